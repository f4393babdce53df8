/*
 * block_private -- the codec and the head of a record, between block.c and
 * block_encode.c.
 */
#ifndef INDEX_BLOCK_PRIVATE_H
#define INDEX_BLOCK_PRIVATE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <zstd.h>

#include "chunker/err.h"
#include "index/block.h"

#define BLOCK_MAGIC "IBLK"

/* The fixed part of a record's head; FORMAT.md, section 5. */
struct disk_head {
	uint8_t magic[4];
	uint8_t codec;
	uint8_t flags;
	uint8_t depth;
	uint8_t reserved;
	uint8_t raw[4];
	uint8_t stored[4];
	uint8_t n_chunks[4];
	uint8_t n_bases[4];
	uint8_t offset[8];
	uint8_t sum[8];
	uint8_t head_sum[8];
};

static_assert(sizeof(struct disk_head) == BLOCK_HEAD_SIZE, "FORMAT.md 5");
static_assert(offsetof(struct disk_head, offset) == 24, "FORMAT.md 5");
static_assert(offsetof(struct disk_head, head_sum) == 40, "FORMAT.md 5");

struct block_codec {
	int level;
	ZSTD_CCtx *pack;
	ZSTD_CCtx *delta; /* its tables are wider; NULL before the first */
	ZSTD_DCtx *unpack;
	ZSTD_DCtx *again; /* reading back must not share the reader's state */
	uint8_t *record;
	size_t record_room;
	uint8_t *copy; /* what reading back gave */
	size_t copy_room;
	uint8_t *plain; /* a block without its bases, to be compared */
	size_t plain_room;
	uint8_t *prefix; /* bases, for whoever gathers them */
	size_t prefix_room;
};

#endif
