/*
 * idtable -- from a chunk's id to where it lies: pack, block, slot.
 *
 * Sorted runs of 24-byte entries, mapped into memory and shared by all
 * processes, plus a small part in memory for packs that arrived since the last
 * manifest.  Opening takes constant time.  Everything here is derived from the
 * pack tables in the database: entries are hints, to be confirmed against the
 * pack's own table, and any doubt about a file leads to building it anew.
 * FORMAT.md, section 10.
 *
 * Sizes: 24 bytes an entry on disk.  In memory only the arrivals since the last
 * manifest, at most IDTABLE_LOOSE_MAX packs before somebody publishes.
 *
 * Threads: any at once; a look-up takes no lock that a refresh holds for long.
 */
#ifndef INDEX_IDTABLE_H
#define INDEX_IDTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/db.h"

#define IDTABLE_LOOSE_MAX 16

struct idtable;

struct location {
	uint32_t pack_no;
	uint32_t block;
	uint32_t slot;
};

/*
 * dir is the index directory; runs live in its folder ids/, made when absent.
 * uuid is the store's.  db must outlive the table.
 */
int idtable_open(struct idtable **out, const char *dir, struct db *db,
    const uint8_t uuid[16], struct err *err);
void idtable_close(struct idtable *t);

/*
 * ERR_NOT_FOUND is an ordinary answer.  An id stored in several packs gives the
 * location in the pack with the lowest number that `skip` (may be NULL) does
 * not refuse.  skip must not call this module.
 */
int idtable_find(struct idtable *t, const struct id *id, struct location *out,
    bool (*skip)(void *ctx, uint32_t pack_no), void *ctx, struct err *err);

/*
 * Takes in packs that have arrived since; cheap when there are none.  May
 * publish when there are many.  Does nothing in a thread that is inside a
 * transaction, for rows not committed must not get in; nor does publish.
 */
int idtable_refresh(struct idtable *t, struct err *err);

/*
 * Writes what is only in memory into a run, merges runs so that their number
 * stays logarithmic, publishes the manifest.  Harmless to skip; called at the
 * end of sessions.
 */
int idtable_publish(struct idtable *t, struct err *err);

/* Forgets all files and builds them from the database. */
int idtable_rebuild(struct idtable *t, struct err *err);

/*
 * Reads every run and compares its sum, which opening does not; a damaged one
 * leads to a rebuild.  For a reader who misses an id that a tree names.
 */
int idtable_check(struct idtable *t, struct err *err);

#endif
