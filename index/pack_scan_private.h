/*
 * pack_scan_private -- a pack being read through, between pack_scan.c, which
 * finds the records, and pack_scan_name.c, which decodes them.
 */
#ifndef INDEX_PACK_SCAN_PRIVATE_H
#define INDEX_PACK_SCAN_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/chunks.h"
#include "index/pack.h"

struct scan {
	int fd;
	uint64_t end; /* of the records, as far as is known */
	struct pack_table table;
	uint32_t room_blocks;
	uint32_t room_chunks;
	uint32_t room_bases;
	bool *good; /* one for each block: decoded, and its chunks named */
	struct id_hasher *hasher;
	struct block_codec *codec;
	const struct chunk_source *bases; /* NULL: none but our own */
	bool lacks; /* the block at hand has a base that cannot be had */
	uint32_t n_lacking;
	struct block_chunk *words; /* room for BLOCK_CHUNKS_MAX */
	uint8_t *window;           /* room for BLOCK_HEAD_MAX */
	/* The block last decoded for its bases at each depth: the bases of a
	 * delta lie together, and decoding anew for each would multiply from
	 * depth to depth. */
	struct {
		const struct block_entry *block;
		uint8_t *raw;
	} kept[BLOCK_DEPTH_MAX];
};

/*
 * Decodes the blocks and names their chunks, by rising depth, so that every
 * base has its name when it is asked for.  Those that fail are not marked good.
 */
int pack_scan_name(struct scan *s, struct err *err);

#endif
