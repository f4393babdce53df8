/*
 * pack_private -- header, table and footer of a pack, between the pack's own
 * source files.
 *
 * FORMAT.md, section 5.
 */
#ifndef INDEX_PACK_PRIVATE_H
#define INDEX_PACK_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/buf.h"
#include "chunker/err.h"
#include "index/pack.h"

#define PACK_BLOCK_SIZE 40
#define PACK_CHUNK_SIZE 20

/* A footer, decoded. */
struct pack_foot {
	uint8_t uuid[16];
	struct id id;
	uint32_t no;
	enum pack_kind kind;
	uint64_t table; /* offset of the table */
	uint64_t size;  /* of the file */
	uint64_t sum;   /* of the table */
	uint32_t n_blocks;
	uint32_t n_chunks;
	uint32_t n_bases;
};

void pack_head_encode(uint8_t out[PACK_HEAD_SIZE],
    const struct pack_info *info);

/* ERR_CORRUPT or ERR_FORMAT; uuid must be the store's. */
int pack_head_decode(struct pack_info *out, const uint8_t data[PACK_HEAD_SIZE],
    const uint8_t uuid[16], struct err *err);

void pack_foot_encode(uint8_t out[PACK_FOOT_SIZE],
    const struct pack_foot *foot);

/* Checks the footer by itself: sum, limits, and that its lengths add up. */
int pack_foot_decode(struct pack_foot *out, const uint8_t data[PACK_FOOT_SIZE],
    const uint8_t uuid[16], struct err *err);

/* Bytes of the table without the footer. */
uint64_t pack_foot_table_len(const struct pack_foot *foot);

void pack_block_put(struct buf *out, const struct block_entry *e);
void pack_chunk_put(struct buf *out, const struct block_chunk *chunk);

/* Whether chunks of this kind belong into packs of that kind. */
bool pack_kind_holds(enum pack_kind pack, enum id_kind chunk);

/* Opens packs/xx/ID.pack and tells its size. */
int pack_file_open(int *out, uint64_t *size, int packs_dir,
    const struct id *id, struct err *err);

/*
 * Decodes the blocks of a table that was put together from their heads, gives
 * their chunks their names, and takes out the blocks that do not decode.
 * bases and lacking are as for pack_scan.
 */
int pack_scan_name(struct pack_table *t, int fd, const struct id_key *key,
    const struct chunk_source *bases, uint32_t *lacking, struct err *err);

#endif
