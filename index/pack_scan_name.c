#include "index/pack_scan_private.h"

#include <stdlib.h>
#include <string.h>

#include "index/io.h"

static int raw_of(struct scan *s, const struct block_entry *e, uint8_t **out,
    struct err *err);

/* Finds a named chunk in the blocks less deep than `depth`, and its place. */
static const struct block_entry *find_base(const struct scan *s,
    const struct block_chunk *base, unsigned depth, size_t *at)
{
	const struct pack_table *t = &s->table;

	for (uint32_t i = 0; i < t->n_blocks; i++) {
		const struct block_entry *e = &t->blocks[i];
		const struct block_chunk *c = t->chunks + e->first_chunk;

		if (!s->good[i] || e->depth >= depth)
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
static int base_elsewhere(struct scan *s, const struct block_chunk *base,
    uint8_t *to, struct err *err)
{
	struct chunk c = { 0 };
	int rc = ERR_NOT_FOUND;

	if (s->bases)
		rc = chunk_get(s->bases, base->kind, &base->id, &c, err);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc || c.len != base->len) {
		s->lacks = true;
		rc = err_set(err, ERR_CORRUPT, "a base is not to be had");
	} else {
		memcpy(to, c.data, c.len);
	}
	chunk_release(s->bases, &c);
	return rc;
}

static int base_of(struct scan *s, const struct block_chunk *base,
    unsigned depth, uint8_t *to, struct err *err)
{
	const struct block_entry *e;
	uint8_t *raw;
	size_t at;
	int rc;

	e = find_base(s, base, depth, &at);
	if (!e)
		return base_elsewhere(s, base, to, err);
	if (s->kept[e->depth].block != e) {
		rc = raw_of(s, e, &raw, err);
		if (rc)
			return rc;
		free(s->kept[e->depth].raw);
		s->kept[e->depth].block = e;
		s->kept[e->depth].raw = raw;
	}
	memcpy(to, s->kept[e->depth].raw + at, base->len);
	return 0;
}

static int prefix_of(struct scan *s, const struct block_entry *e,
    uint8_t **out, size_t *len, struct err *err)
{
	const struct block_chunk *bases = s->table.bases + e->first_base;
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
		rc = base_of(s, &bases[i], e->depth, prefix + n, err);
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
static int raw_of(struct scan *s, const struct block_entry *e, uint8_t **out,
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
	rc = io_pread_full(s->fd, stored, e->stored,
	    e->offset + block_head_len(e->n_chunks, e->n_bases), err);
	if (rc)
		goto out;
	if (e->codec == BLOCK_DELTA) {
		rc = prefix_of(s, e, &prefix, &prefix_len, err);
		if (rc)
			goto out;
	}
	rc = block_decode(s->codec, e, stored, prefix, prefix_len, raw, err);
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
static int name_block(struct scan *s, uint32_t i, struct err *err)
{
	const struct block_entry *e = &s->table.blocks[i];
	uint8_t *raw;
	size_t at = 0;
	int rc;

	s->lacks = false;
	rc = raw_of(s, e, &raw, err);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc) {
		s->n_lacking += s->lacks;
		return 0;
	}
	for (uint32_t k = 0; k < e->n_chunks && rc == 0; k++) {
		struct block_chunk *c = &s->table.chunks[e->first_chunk + k];

		rc = id_hash(s->hasher, c->kind, raw + at, c->len, &c->id, err);
		at += c->len;
	}
	free(raw);
	s->good[i] = rc == 0;
	return rc;
}

int pack_scan_name(struct scan *s, struct err *err)
{
	int rc;

	s->good = calloc((size_t)s->table.n_blocks + 1, sizeof(*s->good));
	if (!s->good)
		return err_set(err, ERR_NOMEM, "pack scan");
	for (unsigned depth = 0; depth <= BLOCK_DEPTH_MAX; depth++) {
		for (uint32_t i = 0; i < s->table.n_blocks; i++) {
			if (s->table.blocks[i].depth != depth)
				continue;
			rc = name_block(s, i, err);
			if (rc)
				return rc;
		}
	}
	return 0;
}
