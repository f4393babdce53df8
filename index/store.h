/*
 * store -- a store opened for reading: from a chunk's id to its bytes.
 *
 * Whoever has only a struct store cannot change it; writing is a struct
 * writer (writer.h).  Every byte handed out has passed the sum of its block
 * and the id of its chunk.
 *
 * Memory: the cache's bound, the tables of at most STORE_PACKS_OPEN packs, and
 * the mapped id table.
 *
 * Threads: any at once.
 */
#ifndef INDEX_STORE_H
#define INDEX_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/chunks.h"
#include "index/config.h"

#define STORE_PACKS_OPEN 64
#define STORE_CACHE_DEFAULT (48u << 20)

struct store;

struct store_options {
	const char *index_dir; /* NULL: STORE/index */
	size_t cache_bytes;    /* 0: STORE_CACHE_DEFAULT */
};

/*
 * Makes an empty store.  The directory may exist if it is empty; otherwise
 * ERR_EXISTS and nothing is touched.  zone is an IANA name; NULL takes the
 * machine's.  All is durable on success.
 */
int store_init(const char *path, const char *zone, struct err *err);

/*
 * Opens a store; options may be NULL.  ERR_NOT_FOUND: no store there;
 * ERR_CORRUPT, ERR_FORMAT: its config or index cannot be used (the words say
 * what to do).  Sessions of dead processes are cleared away on the way.
 */
int store_open(struct store **out, const char *path,
    const struct store_options *options, struct err *err);
void store_close(struct store *s);

const struct config *store_config(const struct store *s);
const char *store_path(const struct store *s); /* absolute */

/* The interface to trees and ropes; borrowed, lives with the store. */
const struct chunk_source *store_source(struct store *s);

/* A number that changes when anything was committed; costs microseconds. */
int store_version(struct store *s, uint64_t *out, struct err *err);

/*
 * Makes everything that is derived (database, id table) anew from packs and
 * root records.  No session may be at work: ERR_BUSY.  The old index is kept in
 * index/old-N.  Nothing in packs/ or roots/ is changed.
 */
struct rebuild_report {
	uint64_t packs;
	uint64_t packs_scanned; /* their table was lost */
	uint64_t packs_lost;    /* unreadable, left alone */
	uint64_t snapshots;
	uint64_t snapshots_damaged; /* kept, but something they need is gone */
	uint64_t chunks;
};

/* progress (may be NULL) is called with done and total packs. */
int store_rebuild(const char *path, const struct store_options *options,
    void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
    struct rebuild_report *out, struct err *err);

#endif
