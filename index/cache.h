/*
 * cache -- decoded blocks in memory, each decoded once however many want it.
 *
 * Keyed by (pack number, block).  Whoever asks first decodes; the others wait
 * for that one block and for nothing else.  Least recently used blocks go when
 * the bound is reached; blocks in use are never freed under their users.
 *
 * Threads: any at once; no lock is held while decoding.
 */
#ifndef INDEX_CACHE_H
#define INDEX_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"

struct cache;

/* A decoded block.  raw and chunk_start are read-only for users. */
struct cached {
	uint8_t *raw;
	uint32_t raw_len;
	uint32_t n_chunks;
	uint32_t *chunk_start; /* n_chunks + 1 offsets into raw */
	uint8_t *verified;     /* one byte a chunk; see store.c */
};

/*
 * Fills *block (raw, chunk_start, verified from malloc) for key; no lock held.
 */
typedef int cache_fill_fn(void *ctx, uint32_t pack_no, uint32_t block,
    struct cached *out, struct err *err);

int cache_new(struct cache **out, size_t max_bytes, struct err *err);
void cache_free(struct cache *c); /* nobody may hold a block any more */

/*
 * The block, held until cache_put.  A failed fill is given to all who waited
 * for it and is not remembered.
 */
int cache_get(struct cache *c, uint32_t pack_no, uint32_t block,
    cache_fill_fn *fill, void *ctx, struct cached **out, struct err *err);
void cache_put(struct cache *c, struct cached *block);

struct cache_stats {
	uint64_t hits;
	uint64_t fills;
	size_t bytes;
};

void cache_stats(struct cache *c, struct cache_stats *out);

#endif
