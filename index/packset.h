/*
 * packset -- the packs that are open for reading.
 *
 * At most STORE_PACKS_OPEN are kept open, the least recently used are closed
 * first; a pack in use is never closed under its users, so while more threads
 * than that hold one each there are more.
 *
 * Memory: the decoded tables of the open packs.
 *
 * Threads: any at once; no lock is held while a pack is opened.
 */
#ifndef INDEX_PACKSET_H
#define INDEX_PACKSET_H

#include <stdint.h>

#include "chunker/err.h"
#include "index/db.h"
#include "index/pack.h"

struct packset;

/* A pack in use. */
struct held_pack {
	struct pack *pack;
	const struct pack_table *table; /* borrowed from pack */
};

/* packs_dir, db and uuid must outlive the set. */
int packset_new(struct packset **out, int packs_dir, struct db *db,
    const uint8_t uuid[16], struct err *err);
void packset_free(struct packset *s); /* nobody may hold a pack any more */

/*
 * The pack with this number, open, held until packset_put.  ERR_NOT_FOUND: the
 * index knows no such pack; ERR_CORRUPT: it does, but the file is missing or
 * damaged.
 */
int packset_get(struct packset *s, uint32_t no, struct held_pack **out,
    struct err *err);

/* Accepts NULL. */
void packset_put(struct packset *s, struct held_pack *p);

#endif
