#include "index/block.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "index/block_private.h"
#include "index/chunks.h"

#define WORD_LEN_BITS 24

/* ---- Words, bases, entries ---- */

uint32_t block_word(const struct block_chunk *chunk)
{
	return chunk->len | (uint32_t)chunk->kind << WORD_LEN_BITS;
}

int block_word_decode(struct block_chunk *out, uint32_t word,
    struct err *err)
{
	uint32_t kind = word >> WORD_LEN_BITS;

	if (kind >= ID_KINDS)
		return err_set(err, ERR_FORMAT,
		    "chunk of kind %u needs a newer ieri", kind);
	out->kind = (enum id_kind)kind;
	out->len = word & CHUNK_MAX;
	if (out->len == 0)
		return err_set(err, ERR_CORRUPT, "chunk of no bytes");
	return 0;
}

int block_base_decode(struct block_chunk *out,
    const uint8_t data[BLOCK_BASE_SIZE], struct err *err)
{
	memcpy(out->id.b, data, ID_LEN);
	if (le32_get(data + 20) != 0)
		return err_set(err, ERR_FORMAT, "base needs a newer ieri");
	return block_word_decode(out, le32_get(data + 16), err);
}

int block_entry_check(const struct block_entry *e, struct err *err)
{
	bool delta = e->codec == BLOCK_DELTA;

	if (e->codec > BLOCK_DELTA)
		return err_set(err, ERR_FORMAT,
		    "block codec %u needs a newer ieri", e->codec);
	if (e->raw < 1 || e->raw > BLOCK_RAW_MAX)
		return err_set(err, ERR_CORRUPT,
		    "block claims %u raw bytes, the most is %u", e->raw,
		    BLOCK_RAW_MAX);
	if (e->stored < 1 || e->stored > e->raw ||
	    (e->codec == BLOCK_PLAIN && e->stored != e->raw))
		return err_set(err, ERR_CORRUPT,
		    "block claims %u stored bytes for %u raw ones", e->stored,
		    e->raw);
	if (e->n_chunks < 1 || e->n_chunks > BLOCK_CHUNKS_MAX)
		return err_set(err, ERR_CORRUPT,
		    "block claims %u chunks, the most is %u", e->n_chunks,
		    BLOCK_CHUNKS_MAX);
	if (e->n_bases > BLOCK_BASES_MAX || e->depth > BLOCK_DEPTH_MAX ||
	    delta != (e->n_bases > 0) || delta != (e->depth > 0))
		return err_set(err, ERR_CORRUPT,
		    "block claims codec %u, %u bases and depth %u", e->codec,
		    e->n_bases, e->depth);
	return 0;
}

/* ---- The codec ---- */

int block_codec_new(struct block_codec **out, int level, struct err *err)
{
	struct block_codec *c = calloc(1, sizeof(*c));
	size_t rc;

	if (!c)
		return err_set(err, ERR_NOMEM, "block codec");
	c->level = level;
	c->pack = ZSTD_createCCtx();
	c->unpack = ZSTD_createDCtx();
	c->again = ZSTD_createDCtx();
	if (!c->pack || !c->unpack || !c->again) {
		block_codec_free(c);
		return err_set(err, ERR_NOMEM, "zstd");
	}
	rc = ZSTD_CCtx_setParameter(c->pack, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(rc))
		rc = ZSTD_CCtx_setParameter(c->pack, ZSTD_c_contentSizeFlag, 1);
	if (!ZSTD_isError(rc))
		rc = ZSTD_CCtx_setParameter(c->pack, ZSTD_c_checksumFlag, 0);
	if (ZSTD_isError(rc)) {
		block_codec_free(c);
		return err_set(err, ERR_SYSTEM, "zstd: %s",
		    ZSTD_getErrorName(rc));
	}
	*out = c;
	return 0;
}

void block_codec_free(struct block_codec *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->pack);
	ZSTD_freeCCtx(c->delta);
	ZSTD_freeDCtx(c->unpack);
	ZSTD_freeDCtx(c->again);
	free(c->record);
	free(c->copy);
	free(c->plain);
	free(c->prefix);
	free(c);
}

/*
 * The sum covers the head but for the sum itself, which lies in the middle.
 * Bytes 0 to 39 move up to the rest, so that one pass sees them as one piece.
 */
static uint64_t head_sum(uint8_t *head, size_t len)
{
	uint8_t front[offsetof(struct disk_head, head_sum)];
	uint8_t *moved = head + BLOCK_HEAD_SIZE - sizeof(front);
	uint64_t sum;

	memcpy(front, head, sizeof(front));
	memcpy(moved, front, sizeof(front));
	sum = sum64(moved, len - (BLOCK_HEAD_SIZE - sizeof(front)));
	memcpy(head, front, sizeof(front));
	return sum;
}

void block_place(uint8_t *record, uint64_t offset)
{
	struct disk_head *d = (void *)record;
	size_t len = block_head_len(le32_get(d->n_chunks),
	    le32_get(d->n_bases));
	uint64_t sum;

	le64_put(d->offset, offset);
	sum = head_sum(record, len);
	le64_put(d->head_sum, sum);
}

int block_decode(struct block_codec *c, const struct block_entry *e,
    const uint8_t *stored, const uint8_t *prefix, size_t prefix_len,
    uint8_t *raw, struct err *err)
{
	size_t n;

	if (sum64(stored, e->stored) != e->sum)
		return err_set(err, ERR_CORRUPT,
		    "block at %llu is damaged: its checksum does not match",
		    (unsigned long long)e->offset);
	if (e->codec == BLOCK_PLAIN) {
		if (e->stored != e->raw)
			return err_set(err, ERR_CORRUPT,
			    "block at %llu: %u plain bytes for %u",
			    (unsigned long long)e->offset, e->stored, e->raw);
		memcpy(raw, stored, e->raw);
		return 0;
	}
	if (e->codec != BLOCK_ZSTD && e->codec != BLOCK_DELTA)
		return err_set(err, ERR_FORMAT,
		    "block codec %u needs a newer ieri", e->codec);

	if (e->codec == BLOCK_DELTA) {
		n = ZSTD_DCtx_refPrefix(c->unpack, prefix, prefix_len);
		if (ZSTD_isError(n))
			return err_set(err, ERR_NOMEM, "zstd: %s",
			    ZSTD_getErrorName(n));
	}
	n = ZSTD_decompressDCtx(c->unpack, raw, e->raw, stored, e->stored);
	if (ZSTD_isError(n))
		return err_set(err, ERR_CORRUPT, "block at %llu: zstd: %s",
		    (unsigned long long)e->offset, ZSTD_getErrorName(n));
	if (n != e->raw)
		return err_set(err, ERR_CORRUPT,
		    "block at %llu gives %zu bytes instead of %u",
		    (unsigned long long)e->offset, n, e->raw);
	return 0;
}

/* ---- Recovery ---- */

/* Decodes the words; their lengths must add up to the block. */
static int words_decode(const uint8_t *words, const struct block_entry *e,
    struct block_chunk *chunks, size_t room, struct err *err)
{
	uint64_t sum = 0;
	int rc;

	for (uint32_t i = 0; i < e->n_chunks; i++) {
		struct block_chunk chunk = { 0 };

		rc = block_word_decode(&chunk, le32_get(words + 4 * i), err);
		if (rc)
			return rc;
		sum += chunk.len;
		if (i < room)
			chunks[i] = chunk;
	}
	if (sum != e->raw)
		return err_set(err, ERR_CORRUPT,
		    "chunks of %llu bytes in a block of %u",
		    (unsigned long long)sum, e->raw);
	return 0;
}

/* Whether the head's own sum agrees; works on a copy, for head_sum moves it. */
static int head_check(const uint8_t *data, size_t len, struct err *err)
{
	const struct disk_head *d = (const void *)data;
	uint8_t *copy = malloc(len);
	bool good;

	if (!copy)
		return err_set(err, ERR_NOMEM, "block head");
	memcpy(copy, data, len);
	good = head_sum(copy, len) == le64_get(d->head_sum);
	free(copy);
	if (!good)
		return err_set(err, ERR_CORRUPT,
		    "block head is damaged: its checksum does not match");
	return 0;
}

int block_head_decode(const uint8_t *data, size_t len, uint64_t offset,
    struct block_entry *entry, struct block_chunk *chunks, size_t room,
    struct err *err)
{
	const struct disk_head *d = (const void *)data;
	struct block_entry e = { .offset = offset };
	int rc;

	if (len < BLOCK_HEAD_SIZE ||
	    memcmp(d->magic, BLOCK_MAGIC, sizeof(d->magic)) != 0 ||
	    le64_get(d->offset) != offset)
		return err_set(err, ERR_CORRUPT, "no block head");
	e.codec = d->codec;
	e.depth = d->depth;
	e.raw = le32_get(d->raw);
	e.stored = le32_get(d->stored);
	e.n_chunks = le32_get(d->n_chunks);
	e.n_bases = le32_get(d->n_bases);
	e.sum = le64_get(d->sum);
	if (e.n_chunks > BLOCK_CHUNKS_MAX || e.n_bases > BLOCK_BASES_MAX ||
	    block_head_len(e.n_chunks, e.n_bases) > len)
		return err_set(err, ERR_CORRUPT, "block head is cut short");
	rc = head_check(data, block_head_len(e.n_chunks, e.n_bases), err);
	if (rc)
		return rc;
	if (d->flags != 0 || d->reserved != 0)
		return err_set(err, ERR_FORMAT, "block needs a newer ieri");
	rc = block_entry_check(&e, err);
	if (rc)
		return rc;
	rc = words_decode(data + BLOCK_HEAD_SIZE, &e, chunks, room, err);
	if (rc)
		return rc;
	*entry = e;
	return 0;
}
