#include "index/block.h"

#include <stdlib.h>
#include <string.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "index/block_private.h"

/* What saves less than three in a hundred is not worth its decoding. */
#define SAVING_LEAST 3

/* A delta makes reading slower, so it has to save more: a tenth. */
#define DELTA_MOST_TENTHS 9

/*
 * Below this part of the raw bytes a delta is good without comparing.  A
 * quarter would be too much: dumps and logs shrink further by themselves.
 */
#define DELTA_SURE 16

#define WINDOW_LOG_LEAST 14
#define LEVEL_WITH_CHAINS 3

/* Makes *p at least len bytes; what it held is lost. */
static int make_room(uint8_t **p, size_t *room, size_t len, struct err *err)
{
	uint8_t *more;

	if (len <= *room)
		return 0;
	more = malloc(len);
	if (!more)
		return err_set(err, ERR_NOMEM, "block of %zu bytes", len);
	free(*p);
	*p = more;
	*room = len;
	return 0;
}

int block_prefix_room(struct block_codec *c, size_t len, uint8_t **out,
    struct err *err)
{
	int rc = make_room(&c->prefix, &c->prefix_room, len, err);

	*out = c->prefix;
	return rc;
}

static int zstd_failure(size_t rc, struct err *err)
{
	return err_set(err, ERR_SYSTEM, "zstd: %s", ZSTD_getErrorName(rc));
}

/*
 * Compresses straight to where the bytes are to lie, or copies them there.
 * The room is zstd's bound, with which it runs faster than with less.
 */
static int fill(struct block_codec *c, const struct batch *b, uint8_t *to,
    size_t room, struct block_entry *e, struct err *err)
{
	size_t n = ZSTD_compress2(c->pack, to, room, b->raw, b->len);

	if (ZSTD_isError(n))
		return zstd_failure(n, err);
	if (n < b->len && (b->len - n) * 100 >= b->len * SAVING_LEAST) {
		e->codec = BLOCK_ZSTD;
		e->stored = (uint32_t)n;
	} else {
		memcpy(to, b->raw, b->len);
		e->codec = BLOCK_PLAIN;
		e->stored = (uint32_t)b->len;
	}
	return 0;
}

/*
 * Sets up the compressor for one delta.  A window over the prefix and the
 * block, and a table that has room for every place in it, find a base anywhere
 * in the prefix; zstd's own choice for so small an input would forget most.
 */
static size_t delta_setup(struct block_codec *c, const struct batch *b,
    const struct block_prefix *p)
{
	int log = WINDOW_LOG_LEAST;
	size_t rc;

	while ((size_t)1 << log < p->len + b->len)
		log++;
	rc = ZSTD_CCtx_reset(c->delta, ZSTD_reset_session_and_parameters);
	if (!ZSTD_isError(rc))
		rc = ZSTD_CCtx_setParameter(c->delta, ZSTD_c_compressionLevel,
		    c->level);
	if (!ZSTD_isError(rc))
		rc = ZSTD_CCtx_setParameter(c->delta, ZSTD_c_windowLog, log);
	if (!ZSTD_isError(rc))
		rc = ZSTD_CCtx_setParameter(c->delta, ZSTD_c_hashLog, log);
	if (!ZSTD_isError(rc) && c->level >= LEVEL_WITH_CHAINS)
		rc = ZSTD_CCtx_setParameter(c->delta, ZSTD_c_chainLog, log);
	if (!ZSTD_isError(rc))
		rc = ZSTD_CCtx_refPrefix(c->delta, p->raw, p->len);
	return rc;
}

static int fill_delta(struct block_codec *c, const struct batch *b,
    const struct block_prefix *p, uint8_t *to, size_t room,
    struct block_entry *e, struct err *err)
{
	size_t rc;

	if (!c->delta)
		c->delta = ZSTD_createCCtx();
	if (!c->delta)
		return err_set(err, ERR_NOMEM, "zstd");
	rc = delta_setup(c, b, p);
	if (!ZSTD_isError(rc))
		rc = ZSTD_compress2(c->delta, to, room, b->raw, b->len);
	if (ZSTD_isError(rc))
		return zstd_failure(rc, err);
	e->codec = BLOCK_DELTA;
	e->depth = (uint8_t)(p->depth + 1);
	e->n_bases = p->n_bases;
	e->stored = rc < UINT32_MAX ? (uint32_t)rc : UINT32_MAX;
	return 0;
}

/*
 * The better of a delta and a plain block, which can be had even when there is
 * no memory for the delta.  The stored bytes end up where the record's head,
 * which a delta's bases make longer, lets them begin.
 */
static int fill_better(struct block_codec *c, const struct batch *b,
    const struct block_prefix *p, size_t bound, struct block_entry *e,
    struct err *err)
{
	struct block_entry plain = *e;
	uint64_t cost = UINT64_MAX / 16; /* no delta is worse than any */
	int rc;

	rc = fill_delta(c, b, p,
	    c->record + block_head_len(b->n_chunks, p->n_bases), bound, e, err);
	if (!rc)
		cost = e->stored + (uint64_t)BLOCK_BASE_SIZE * p->n_bases;
	if (cost < b->len / DELTA_SURE)
		return 0;
	rc = make_room(&c->plain, &c->plain_room, bound, err);
	if (!rc)
		rc = fill(c, b, c->plain, bound, &plain, err);
	if (rc)
		return rc;
	if (cost * 10 < (uint64_t)plain.stored * DELTA_MOST_TENTHS)
		return 0;
	memcpy(c->record + block_head_len(b->n_chunks, 0), c->plain,
	    plain.stored);
	*e = plain;
	return 0;
}

static int compare(struct block_codec *c, const struct batch *b,
    const struct block_prefix *p, const uint8_t *stored,
    const struct block_entry *e, struct err *err)
{
	const uint8_t *got = stored;
	size_t n = e->stored;
	int rc;

	if (e->codec != BLOCK_PLAIN) {
		rc = make_room(&c->copy, &c->copy_room, b->len, err);
		if (rc)
			return rc;
		if (e->codec == BLOCK_DELTA)
			n = ZSTD_DCtx_refPrefix(c->again, p->raw, p->len);
		if (ZSTD_isError(n))
			return zstd_failure(n, err);
		n = ZSTD_decompressDCtx(c->again, c->copy, b->len, stored,
		    e->stored);
		got = c->copy;
	}
	if (n != b->len || memcmp(got, b->raw, b->len) != 0)
		return err_set(err, ERR_CORRUPT,
		    "block of %zu bytes does not read back as it was given",
		    b->len);
	return 0;
}

static void head_encode(uint8_t *record, const struct batch *b,
    const struct block_prefix *p, const struct block_entry *e)
{
	struct disk_head d = { .codec = e->codec, .depth = e->depth };
	uint8_t *at = record + sizeof(d);

	memcpy(d.magic, BLOCK_MAGIC, sizeof(d.magic));
	le32_put(d.raw, e->raw);
	le32_put(d.stored, e->stored);
	le32_put(d.n_chunks, e->n_chunks);
	le32_put(d.n_bases, e->n_bases);
	le64_put(d.sum, e->sum);
	memcpy(record, &d, sizeof(d));
	for (uint32_t i = 0; i < b->n_chunks; i++, at += 4)
		le32_put(at, block_word(&b->chunks[i]));
	for (uint32_t i = 0; i < e->n_bases; i++, at += BLOCK_BASE_SIZE) {
		memcpy(at, p->bases[i].id.b, ID_LEN);
		le32_put(at + 16, block_word(&p->bases[i]));
		le32_put(at + 20, 0);
	}
}

int block_encode_delta(struct block_codec *c, const struct batch *b,
    const struct block_prefix *prefix, bool read_back, uint8_t **record,
    size_t *len, struct block_entry *entry, struct err *err)
{
	struct block_entry e = { .n_chunks = b->n_chunks };
	uint32_t n_bases = prefix ? prefix->n_bases : 0;
	size_t bound = ZSTD_compressBound(b->len);
	uint8_t *stored;
	size_t head;
	int rc;

	assert(b->n_chunks > 0);
	rc = make_room(&c->record, &c->record_room,
	    block_head_len(b->n_chunks, n_bases) + bound, err);
	if (rc)
		return rc;
	e.raw = (uint32_t)b->len;
	if (n_bases)
		rc = fill_better(c, b, prefix, bound, &e, err);
	else
		rc = fill(c, b, c->record + block_head_len(b->n_chunks, 0),
		    bound, &e, err);
	if (rc)
		return rc;
	head = block_head_len(e.n_chunks, e.n_bases);
	stored = c->record + head;
	e.sum = sum64(stored, e.stored);
	if (read_back)
		rc = compare(c, b, prefix, stored, &e, err);
	if (rc)
		return rc;
	head_encode(c->record, b, prefix, &e);

	*record = c->record;
	*len = head + e.stored;
	*entry = e;
	return 0;
}

int block_encode(struct block_codec *c, const struct batch *b, bool read_back,
    uint8_t **record, size_t *len, struct block_entry *entry,
    struct err *err)
{
	return block_encode_delta(c, b, NULL, read_back, record, len, entry,
	    err);
}
