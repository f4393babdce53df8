#include "index/pack.h"

#include <string.h>

#include "chunker/buf.h"
#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "index/pack_private.h"

/* As it stands in the table: a chunk entry and four reserved bytes. */
static void base_put(struct buf *out, const struct block_chunk *base)
{
	pack_chunk_put(out, base);
	buf_le32(out, 0);
}

/*
 * The footer says where the table would stand, had the file been cut off after
 * the last block that was found.
 */
int pack_table_encode(const struct pack_table *t, const uint8_t uuid[16],
    uint8_t **out, size_t *len, struct err *err)
{
	struct pack_foot foot = {
		.id = t->id,
		.no = t->no,
		.kind = t->kind,
		.table = t->data_end,
		.n_blocks = t->n_blocks,
		.n_chunks = t->n_chunks,
		.n_bases = t->n_bases,
	};
	uint8_t data[PACK_FOOT_SIZE];
	struct buf b;
	int rc;

	buf_init(&b);
	for (uint32_t i = 0; i < t->n_blocks; i++)
		pack_block_put(&b, &t->blocks[i]);
	for (uint32_t i = 0; i < t->n_chunks; i++)
		pack_chunk_put(&b, &t->chunks[i]);
	for (uint32_t i = 0; i < t->n_bases; i++)
		base_put(&b, &t->bases[i]);
	rc = buf_check(&b, err);
	if (!rc) {
		memcpy(foot.uuid, uuid, sizeof(foot.uuid));
		foot.size = t->data_end + b.len + PACK_FOOT_SIZE;
		foot.sum = sum64(b.data, b.len);
		pack_foot_encode(data, &foot);
		buf_put(&b, data, sizeof(data));
		rc = buf_check(&b, err);
	}
	if (rc) {
		buf_fini(&b);
		return rc;
	}
	*out = b.data;
	*len = b.len;
	return 0;
}
