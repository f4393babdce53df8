/*
 * rebuild_private -- an index being made anew, between rebuild.c and
 * rebuild_broken.c.
 */
#ifndef INDEX_REBUILD_PRIVATE_H
#define INDEX_REBUILD_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/pack.h"
#include "index/pinned.h"
#include "index/store_private.h"

struct name_list {
	struct id *ids;
	size_t n;
	size_t cap;
};

struct rebuild {
	struct store_dirs dirs;
	char *path;
	char *index_dir;
	int index_fd;
	struct config config;
	struct db *db;
	struct pinned *known; /* packs that have a row in the new index */
	uint64_t serial;      /* greatest numbers met */
	uint64_t session;
	uint64_t pack_no;
	struct name_list broken; /* packs whose table is lost */
	struct rebuild_report report;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};

/*
 * Enters a pack, in the caller's transaction.  One whose number another pack
 * has is counted as lost instead.
 */
int rebuild_pack_add(struct rebuild *r, const struct pack_table *t,
    uint64_t session, const uint8_t *table, size_t len, struct err *err);

/*
 * Makes tables for the broken packs from what of them still decodes, and enters
 * them.  All other packs are in the new index already: blocks may lean on them.
 */
int rebuild_broken(struct rebuild *r, struct err *err);

#endif
