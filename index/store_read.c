#include "index/store_private.h"

#include <stdlib.h>
#include <string.h>

#include "index/pack.h"

/* What a fill needs to know. */
struct fill {
	struct store *store;
	const struct held_pack *pack;
};

static int fetch(struct store *s, enum id_kind kind, const struct id *id,
    unsigned depth_max, struct chunk *out, struct err *err);

/* ---- Decoders' belongings ---- */

static void reader_free(struct reader *r)
{
	if (!r)
		return;
	block_codec_free(r->codec);
	id_hasher_free(r->hasher);
	free(r->stored);
	free(r);
}

int reader_take(struct store *s, struct reader **out, struct err *err)
{
	struct reader *r;
	int rc;

	pthread_mutex_lock(&s->readers_lock);
	r = s->readers;
	if (r)
		s->readers = r->next;
	pthread_mutex_unlock(&s->readers_lock);
	if (r) {
		*out = r;
		return 0;
	}

	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(err, ERR_NOMEM, "decoder");
	rc = block_codec_new(&r->codec, s->config.zstd_level, err);
	if (!rc)
		rc = id_hasher_new(&r->hasher, &s->config.key, err);
	if (rc) {
		reader_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void reader_give(struct store *s, struct reader *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&s->readers_lock);
	r->next = s->readers;
	s->readers = r;
	pthread_mutex_unlock(&s->readers_lock);
}

void readers_free(struct store *s)
{
	while (s->readers) {
		struct reader *r = s->readers;

		s->readers = r->next;
		reader_free(r);
	}
}

static int stored_room(struct reader *r, size_t len, struct err *err)
{
	uint8_t *wider;

	if (len <= r->stored_cap)
		return 0;
	wider = realloc(r->stored, len);
	if (!wider)
		return err_set(err, ERR_NOMEM, "%zu bytes of a block", len);
	r->stored = wider;
	r->stored_cap = len;
	return 0;
}

/* ---- Where a chunk lies ---- */

void refused_add(struct refused *r, uint32_t pack_no, const struct err *why)
{
	if (r->n == 0)
		r->why = *why;
	if (r->n < REFUSED_MAX)
		r->no[r->n++] = pack_no;
}

static bool is_refused(void *ctx, uint32_t pack_no)
{
	const struct refused *r = ctx;

	/* A chunk that so many packs failed to give is given up. */
	if (r->n == REFUSED_MAX)
		return true;
	for (unsigned i = 0; i < r->n; i++)
		if (r->no[i] == pack_no)
			return true;
	return false;
}

/* The id table is only a hint: what the pack itself says counts. */
static bool confirm(const struct id *id, struct chunk_place *p)
{
	const struct pack_table *t = p->pack->table;

	if (p->at.block >= t->n_blocks)
		return false;
	p->block = &t->blocks[p->at.block];
	if (p->at.slot >= p->block->n_chunks)
		return false;
	p->chunk = &t->chunks[p->block->first_chunk + p->at.slot];
	return id_equal(&p->chunk->id, id);
}

/*
 * An entry that its pack disowns makes the whole table doubtful.  It is built
 * anew once in the life of a handle: were the database's own copy of a pack's
 * table at odds with the pack, doing it for each look-up would never end.
 * *again: the table is another one than when `seen` was read.  The lock is held
 * while building, so that nobody takes the old table for the truth meanwhile.
 */
static int remake_ids(struct store *s, bool seen, bool *again, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->ids_lock);
	*again = !seen;
	if (!atomic_load(&s->ids_remade)) {
		rc = idtable_rebuild(s->ids, err);
		atomic_store(&s->ids_remade, true);
	}
	pthread_mutex_unlock(&s->ids_lock);
	return rc;
}

static int disowned(const struct chunk_place *p, struct err *err)
{
	char hex[ID_HEX];

	return err_set(err, ERR_CORRUPT,
	    "pack %s, block %u: chunk %u is not the one the index names",
	    id_hex(&p->pack->table->id, hex), p->at.block, p->at.slot);
}

int store_locate(struct store *s, const struct id *id,
    struct refused *refused, struct chunk_place *out, struct err *err)
{
	for (;;) {
		bool seen = atomic_load(&s->ids_remade);
		bool again = false;
		struct err why;
		int rc;

		rc = idtable_find(s->ids, id, &out->at, is_refused, refused,
		    err);
		if (rc)
			return rc;
		rc = packset_get(s->packs, out->at.pack_no, &out->pack, err);
		if (rc == ERR_NOMEM)
			return rc;
		if (rc == 0) {
			if (confirm(id, out))
				return 0;
			disowned(out, &why);
			packset_put(s->packs, out->pack);
			rc = remake_ids(s, seen, &again, err);
			if (rc)
				return rc;
			*err = why;
		}
		if (!again)
			refused_add(refused, out->at.pack_no, err);
	}
}

/* ---- Blocks ---- */

static int prefix_add(struct store *s, const struct block_chunk *base,
    unsigned depth_max, uint8_t *prefix, struct err *err)
{
	struct chunk c = { 0 };
	int rc;

	rc = fetch(s, base->kind, &base->id, depth_max, &c, err);
	if (rc == ERR_NOT_FOUND)
		return err_set(err, ERR_CORRUPT, "a base of the block is gone");
	if (rc)
		return rc;
	if (c.len == base->len)
		memcpy(prefix, c.data, c.len);
	else
		rc = err_set(err, ERR_CORRUPT,
		    "a base has %zu bytes, the block says %u", c.len,
		    base->len);
	chunk_release(&s->source, &c);
	return rc;
}

/*
 * The raw bytes of a delta block's bases, in order; *out is the caller's, NULL
 * when there are none.  Every base must lie in a block of lesser depth: so no
 * ring of bases can make the fill of a block wait for itself, and the recursion
 * ends after BLOCK_DEPTH_MAX steps.
 */
static int prefix_get(struct fill *f, const struct block_entry *e,
    uint8_t **out, size_t *len, struct err *err)
{
	const struct block_chunk *bases =
	    f->pack->table->bases + e->first_base;
	size_t total = 0;
	uint8_t *to;
	int rc = 0;

	*out = NULL;
	*len = 0;
	if (e->n_bases == 0)
		return 0;
	for (uint32_t i = 0; i < e->n_bases; i++)
		total += bases[i].len;
	to = malloc(total);
	if (!to)
		return err_set(err, ERR_NOMEM, "bases of a block");
	*out = to;
	*len = total;
	for (uint32_t i = 0; i < e->n_bases && !rc; i++) {
		rc = prefix_add(f->store, &bases[i], e->depth - 1u, to, err);
		to += bases[i].len;
	}
	return rc;
}

static int cached_shape(struct cached *out, const struct pack_table *t,
    const struct block_entry *e, struct err *err)
{
	const struct block_chunk *chunks = t->chunks + e->first_chunk;
	uint32_t at = 0;

	out->raw = malloc(e->raw);
	out->chunk_start =
	    malloc(((size_t)e->n_chunks + 1) * sizeof(*out->chunk_start));
	out->verified = calloc(e->n_chunks, 1);
	if (!out->raw || !out->chunk_start || !out->verified)
		return err_set(err, ERR_NOMEM, "%u bytes of a block", e->raw);
	out->raw_len = e->raw;
	out->n_chunks = e->n_chunks;
	for (uint32_t i = 0; i < e->n_chunks; i++) {
		out->chunk_start[i] = at;
		at += chunks[i].len;
	}
	out->chunk_start[e->n_chunks] = at;
	return 0;
}

static void cached_fini(struct cached *c)
{
	free(c->raw);
	free(c->chunk_start);
	free(c->verified);
	*c = (struct cached){ 0 };
}

static int decode_into(struct fill *f, const struct block_entry *e,
    const uint8_t *prefix, size_t prefix_len, uint8_t *raw, struct err *err)
{
	struct reader *r = NULL;
	int rc;

	rc = reader_take(f->store, &r, err);
	if (!rc)
		rc = stored_room(r, e->stored, err);
	if (!rc)
		rc = pack_read_stored(f->pack->pack, e, r->stored, err);
	if (!rc)
		rc = block_decode(r->codec, e, r->stored, prefix, prefix_len,
		    raw, err);
	reader_give(f->store, r);
	return rc;
}

static int fill_block(void *ctx, uint32_t pack_no, uint32_t block,
    struct cached *out, struct err *err)
{
	struct fill *f = ctx;
	const struct pack_table *t = f->pack->table;
	const struct block_entry *e = &t->blocks[block];
	uint8_t *prefix = NULL;
	size_t prefix_len = 0;
	char hex[ID_HEX];
	int rc;

	(void)pack_no; /* f->pack is that pack */
	rc = prefix_get(f, e, &prefix, &prefix_len, err);
	if (!rc)
		rc = cached_shape(out, t, e, err);
	if (!rc)
		rc = decode_into(f, e, prefix, prefix_len, out->raw, err);
	free(prefix);
	if (rc) {
		cached_fini(out);
		err_wrap(err, "pack %s, block %u at %llu",
		    id_hex(&t->id, hex), block,
		    (unsigned long long)e->offset);
	}
	return rc;
}

/* ---- Chunks ---- */

/*
 * The block's sum has held; this proves the chunk itself, once for as long as
 * the block stays in memory.  Threads that do it at the same time find the
 * same answer, so relaxed order is enough.
 */
static int verify(struct store *s, const struct chunk_place *p,
    struct cached *b, const uint8_t *data, size_t len, struct err *err)
{
	uint8_t *seen = &b->verified[p->at.slot];
	struct reader *r = NULL;
	char hex[ID_HEX];
	struct id id;
	int rc;

	if (__atomic_load_n(seen, __ATOMIC_RELAXED))
		return 0;
	rc = reader_take(s, &r, err);
	if (rc)
		return rc;
	rc = id_hash(r->hasher, p->chunk->kind, data, len, &id, err);
	reader_give(s, r);
	if (rc)
		return rc;
	if (!id_equal(&id, &p->chunk->id))
		return err_set(err, ERR_CORRUPT,
		    "pack %s, block %u at %llu: chunk %u is not what its id"
		    " says", id_hex(&p->pack->table->id, hex), p->at.block,
		    (unsigned long long)p->block->offset, p->at.slot);
	__atomic_store_n(seen, 1, __ATOMIC_RELAXED);
	return 0;
}

static int take_chunk(struct store *s, enum id_kind kind, unsigned depth_max,
    const struct chunk_place *p, struct chunk *out, struct err *err)
{
	struct fill f = { .store = s, .pack = p->pack };
	struct cached *b = NULL;
	const uint8_t *data;
	char hex[ID_HEX];
	size_t len;
	int rc;

	if (p->chunk->kind != kind || p->block->depth > depth_max)
		return err_set(err, ERR_CORRUPT,
		    "pack %s, block %u at %llu: chunk %u is of kind %d, depth"
		    " %u", id_hex(&p->pack->table->id, hex), p->at.block,
		    (unsigned long long)p->block->offset, p->at.slot,
		    (int)p->chunk->kind, p->block->depth);
	rc = cache_get(s->cache, p->at.pack_no, p->at.block, fill_block, &f,
	    &b, err);
	if (rc)
		return rc;
	data = b->raw + b->chunk_start[p->at.slot];
	len = b->chunk_start[p->at.slot + 1] - b->chunk_start[p->at.slot];
	rc = verify(s, p, b, data, len, err);
	if (rc) {
		cache_put(s->cache, b);
		return rc;
	}
	*out = (struct chunk){ .data = data, .len = len, .hold = b };
	return 0;
}

/*
 * Tries every copy that the index knows.  When none is good it looks once for
 * packs that have arrived meanwhile: a collection may just have moved the
 * chunk.
 */
static int fetch(struct store *s, enum id_kind kind, const struct id *id,
    unsigned depth_max, struct chunk *out, struct err *err)
{
	struct refused refused = { .n = 0 };
	struct chunk_place p;
	bool refreshed = false;
	int rc;

	for (;;) {
		rc = store_locate(s, id, &refused, &p, err);
		if (rc == ERR_NOT_FOUND && !refreshed) {
			refreshed = true;
			rc = idtable_refresh(s->ids, err);
			if (rc)
				return rc;
			continue;
		}
		if (rc)
			break;
		rc = take_chunk(s, kind, depth_max, &p, out, err);
		if (rc)
			refused_add(&refused, p.at.pack_no, err);
		packset_put(s->packs, p.pack);
		if (rc == 0 || rc == ERR_NOMEM)
			return rc;
	}

	/* Damaged is another answer than unknown. */
	if (rc == ERR_NOT_FOUND && refused.n) {
		*err = refused.why;
		rc = err->code;
	}
	return rc;
}

static int source_get(void *ctx, enum id_kind kind, const struct id *id,
    struct chunk *out, struct err *err)
{
	struct store *s = ctx;
	int rc;

	*out = (struct chunk){ 0 };
	rc = fetch(s, kind, id, BLOCK_DEPTH_MAX, out, err);
	if (rc == ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "no pack holds the chunk");
	return rc;
}

static void source_release(void *ctx, struct chunk *c)
{
	struct store *s = ctx;

	cache_put(s->cache, c->hold);
}

void store_source_init(struct store *s)
{
	s->source = (struct chunk_source){
		.ctx = s,
		.get = source_get,
		.release = source_release,
	};
}
