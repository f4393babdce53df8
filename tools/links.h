/*
 * links -- hard links: read once, recorded under every name.
 *
 * A *known* table remembers what was read of files with several names, until
 * all of them were met.  A *found* list gathers where the names lie, numbered
 * within one directory's subtree, and is shifted on the way up; the list of the
 * top becomes the snapshot's table of links (FORMAT.md, section 8).
 *
 * Memory: some 200 bytes for each linked file with names not yet met; 24 bytes
 * for each name of a linked file in the whole snapshot.
 *
 * Threads: a known table any at once; a found list one at a time.
 */
#ifndef TOOLS_LINKS_H
#define TOOLS_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "index/chunks.h"
#include "index/config.h"
#include "index/rope.h"
#include "index/tree.h"

/* ---- What was read of them ---- */

struct links_known;

int links_known_new(struct links_known **out, struct err *err);
void links_known_free(struct links_known *k);

/*
 * True when the file of *e (device and inode) was read in exactly the state
 * that *e shows; then content and xattrs are filled in.  Counts one name off.
 */
bool links_known_find(struct links_known *k, struct tree_entry *e);

/* Remembers *e for the other names; nlink as stat gives it. */
int links_known_add(struct links_known *k, const struct tree_entry *e,
    uint64_t nlink, struct err *err);

/* ---- Where they are ---- */

struct links_place {
	uint64_t ino;
	uint64_t number;
	uint32_t dev;
};

struct links_found {
	struct links_place *places;
	size_t n;
	size_t cap;
};

void links_found_fini(struct links_found *f);
int links_found_add(struct links_found *f, uint32_t dev, uint64_t ino,
    uint64_t number, struct err *err);

/*
 * Moves all of `from`, each number raised by `shift`, to the end of `into` and
 * leaves `from` empty.  The larger list is kept, not copied.
 */
int links_found_move(struct links_found *into, struct links_found *from,
    uint64_t shift, struct err *err);

/* Sorts the list and stores those with two or more names. */
int links_found_put(struct links_found *f, const struct config *config,
    const struct chunk_sink *sink, struct content *out, struct err *err);

#endif
