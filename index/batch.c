#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "index/block.h"
#include "index/chunks.h"

int batch_init(struct batch *b, size_t cap, struct err *err)
{
	*b = (struct batch){ .cap = cap, .room = cap };
	b->bases_cap = cap < BLOCK_PREFIX_MAX / 3 ? 2 * cap + cap / 2
	                                          : BLOCK_PREFIX_MAX;
	b->raw = malloc(cap);
	b->chunks = malloc(BLOCK_CHUNKS_MAX * sizeof(*b->chunks));
	b->bases = malloc(BLOCK_BASES_MAX * sizeof(*b->bases));
	if (!b->raw || !b->chunks || !b->bases) {
		batch_fini(b);
		return err_set(err, ERR_NOMEM, "batch of %zu bytes", cap);
	}
	return 0;
}

void batch_fini(struct batch *b)
{
	free(b->raw);
	free(b->chunks);
	free(b->bases);
	*b = (struct batch){ 0 };
}

void batch_reset(struct batch *b)
{
	b->len = 0;
	b->n_chunks = 0;
	b->n_bases = 0;
	b->bases_len = 0;
}

bool batch_fits(const struct batch *b, size_t len)
{
	if (b->n_chunks == 0)
		return true;
	return b->n_chunks < BLOCK_CHUNKS_MAX && b->len <= b->cap &&
	    len <= b->cap - b->len;
}

int batch_add(struct batch *b, enum id_kind kind, const struct id *id,
    const uint8_t *data, size_t len, struct err *err)
{
	if (len < 1 || len > CHUNK_MAX)
		return err_set(err, ERR_INVALID,
		    "chunk of %zu bytes, a block takes 1 to %u", len,
		    CHUNK_MAX);
	assert(batch_fits(b, len));

	/* Only the first chunk can be too large: nothing is there to copy. */
	if (len > b->room) {
		uint8_t *raw = malloc(len);

		if (!raw)
			return err_set(err, ERR_NOMEM, "chunk of %zu bytes",
			    len);
		free(b->raw);
		b->raw = raw;
		b->room = len;
	}
	memcpy(b->raw + b->len, data, len);
	b->len += len;
	b->chunks[b->n_chunks++] = (struct block_chunk){
		.id = *id,
		.kind = kind,
		.len = (uint32_t)len,
	};
	return 0;
}

bool batch_add_base(struct batch *b, const struct block_chunk *base)
{
	if (b->n_bases == BLOCK_BASES_MAX ||
	    base->len > b->bases_cap - b->bases_len)
		return false;
	b->bases[b->n_bases++] = *base;
	b->bases_len += base->len;
	return true;
}

void batch_drop_base(struct batch *b)
{
	assert(b->n_bases > 0);
	b->bases_len -= b->bases[--b->n_bases].len;
}
