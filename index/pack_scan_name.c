/*
 * The second half of a scan: which chunks the blocks that were found hold.  A
 * head gives each chunk's length only; its name comes from decoding it.
 */
#include <stdlib.h>
#include <string.h>

#include "index/io.h"
#include "index/pack_private.h"

struct decoder {
	int fd;
	struct pack_table *table;
	bool *good; /* one for each block: decoded, and its chunks named */
	struct id_hasher *hasher;
	struct block_codec *codec;
	const struct chunk_source *bases; /* NULL: none but our own */
	bool lacks; /* the block at hand has a base that cannot be had */
	uint32_t n_lacking;
	/* The block last decoded for its bases at each depth: the bases of a
	 * delta lie together, and decoding anew for each would multiply from
	 * depth to depth. */
	struct {
		const struct block_entry *block;
		uint8_t *raw;
	} kept[BLOCK_DEPTH_MAX];
};

static int raw_of(struct decoder *d, const struct block_entry *e, uint8_t **out,
    struct err *err);

/* Finds a named chunk in the blocks less deep than `depth`, and its place. */
static const struct block_entry *find_base(const struct decoder *d,
    const struct block_chunk *base, unsigned depth, size_t *at)
{
	const struct pack_table *t = d->table;

	for (uint32_t i = 0; i < t->n_blocks; i++) {
		const struct block_entry *e = &t->blocks[i];
		const struct block_chunk *c = t->chunks + e->first_chunk;

		if (!d->good[i] || e->depth >= depth)
			continue;
		*at = 0;
		for (uint32_t k = 0; k < e->n_chunks; k++) {
			if (id_equal(&c[k].id, &base->id) &&
			    c[k].len == base->len)
				return e;
			*at += c[k].len;
		}
	}
	return NULL;
}

/* From another pack. */
static int base_elsewhere(struct decoder *d, const struct block_chunk *base,
    uint8_t *to, struct err *err)
{
	struct chunk c = { 0 };
	int rc = ERR_NOT_FOUND;

	if (d->bases)
		rc = chunk_get(d->bases, base->kind, &base->id, &c, err);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc || c.len != base->len) {
		d->lacks = true;
		rc = err_set(err, ERR_CORRUPT, "a base is not to be had");
	} else {
		memcpy(to, c.data, c.len);
	}
	chunk_release(d->bases, &c);
	return rc;
}

static int base_of(struct decoder *d, const struct block_chunk *base,
    unsigned depth, uint8_t *to, struct err *err)
{
	const struct block_entry *e;
	uint8_t *raw;
	size_t at;
	int rc;

	e = find_base(d, base, depth, &at);
	if (!e)
		return base_elsewhere(d, base, to, err);
	if (d->kept[e->depth].block != e) {
		rc = raw_of(d, e, &raw, err);
		if (rc)
			return rc;
		free(d->kept[e->depth].raw);
		d->kept[e->depth].block = e;
		d->kept[e->depth].raw = raw;
	}
	memcpy(to, d->kept[e->depth].raw + at, base->len);
	return 0;
}

static int prefix_of(struct decoder *d, const struct block_entry *e,
    uint8_t **out, size_t *len, struct err *err)
{
	const struct block_chunk *bases = d->table->bases + e->first_base;
	uint8_t *prefix;
	size_t n = 0;
	int rc;

	for (uint32_t i = 0; i < e->n_bases; i++)
		n += bases[i].len;
	prefix = malloc(n + 1);
	if (!prefix)
		return err_set(err, ERR_NOMEM, "prefix of %zu bytes", n);
	*len = n;
	n = 0;
	for (uint32_t i = 0; i < e->n_bases; i++) {
		rc = base_of(d, &bases[i], e->depth, prefix + n, err);
		if (rc) {
			free(prefix);
			return rc;
		}
		n += bases[i].len;
	}
	*out = prefix;
	return 0;
}

/*
 * Reads and decodes a block; *out is from malloc.  Calls itself for the bases,
 * which are of lesser depth, hence BLOCK_DEPTH_MAX times at most.
 */
static int raw_of(struct decoder *d, const struct block_entry *e, uint8_t **out,
    struct err *err)
{
	uint8_t *stored = malloc(e->stored);
	uint8_t *raw = malloc(e->raw);
	uint8_t *prefix = NULL;
	size_t prefix_len = 0;
	int rc;

	if (!stored || !raw) {
		rc = err_set(err, ERR_NOMEM, "block of %u bytes", e->raw);
		goto out;
	}
	rc = io_pread_full(d->fd, stored, e->stored,
	    e->offset + block_head_len(e->n_chunks, e->n_bases), err);
	if (rc)
		goto out;
	if (e->codec == BLOCK_DELTA) {
		rc = prefix_of(d, e, &prefix, &prefix_len, err);
		if (rc)
			goto out;
	}
	rc = block_decode(d->codec, e, stored, prefix, prefix_len, raw, err);
	if (rc)
		goto out;
	*out = raw;
	raw = NULL;

out:
	free(stored);
	free(raw);
	free(prefix);
	return rc;
}

/* Damage leaves the block unmarked; only what hits every block is a failure. */
static int name_block(struct decoder *d, uint32_t i, struct err *err)
{
	const struct block_entry *e = &d->table->blocks[i];
	uint8_t *raw;
	size_t at = 0;
	int rc;

	d->lacks = false;
	rc = raw_of(d, e, &raw, err);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc) {
		d->n_lacking += d->lacks;
		return 0;
	}
	for (uint32_t k = 0; k < e->n_chunks && rc == 0; k++) {
		struct block_chunk *c = &d->table->chunks[e->first_chunk + k];

		rc = id_hash(d->hasher, c->kind, raw + at, c->len, &c->id, err);
		at += c->len;
	}
	free(raw);
	d->good[i] = rc == 0;
	return rc;
}

/* By rising depth, so that every base has its name when it is asked for. */
static int name_blocks(struct decoder *d, struct err *err)
{
	int rc;

	d->good = calloc((size_t)d->table->n_blocks + 1, sizeof(*d->good));
	if (!d->good)
		return err_set(err, ERR_NOMEM, "pack scan");
	for (unsigned depth = 0; depth <= BLOCK_DEPTH_MAX; depth++) {
		for (uint32_t i = 0; i < d->table->n_blocks; i++) {
			if (d->table->blocks[i].depth != depth)
				continue;
			rc = name_block(d, i, err);
			if (rc)
				return rc;
		}
	}
	return 0;
}

/* Closes the ranks: moves the good blocks to the front of all three lists. */
static void keep_good(struct decoder *d)
{
	struct pack_table *t = d->table;
	uint32_t n = 0;
	uint32_t chunk = 0;
	uint32_t base = 0;

	t->data_end = PACK_HEAD_SIZE;
	for (uint32_t i = 0; i < t->n_blocks; i++) {
		struct block_entry e = t->blocks[i];

		if (!d->good[i])
			continue;
		memmove(t->chunks + chunk, t->chunks + e.first_chunk,
		    e.n_chunks * sizeof(*t->chunks));
		memmove(t->bases + base, t->bases + e.first_base,
		    e.n_bases * sizeof(*t->bases));
		e.first_chunk = chunk;
		e.first_base = base;
		t->blocks[n++] = e;
		chunk += e.n_chunks;
		base += e.n_bases;
		t->data_end = e.offset + e.stored +
		    block_head_len(e.n_chunks, e.n_bases);
	}
	t->n_blocks = n;
	t->n_chunks = chunk;
	t->n_bases = base;
}

int pack_scan_name(struct pack_table *t, int fd, const struct id_key *key,
    const struct chunk_source *bases, uint32_t *lacking, struct err *err)
{
	struct decoder d = { .fd = fd, .table = t, .bases = bases };
	int rc;

	rc = id_hasher_new(&d.hasher, key, err);
	if (!rc)
		rc = block_codec_new(&d.codec, 1, err);
	if (!rc)
		rc = name_blocks(&d, err);
	if (!rc)
		keep_good(&d);
	*lacking = d.n_lacking;

	free(d.good);
	id_hasher_free(d.hasher);
	block_codec_free(d.codec);
	for (size_t i = 0; i < BLOCK_DEPTH_MAX; i++)
		free(d.kept[i].raw);
	return rc;
}
