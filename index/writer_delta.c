#include "index/writer.h"

#include <stdlib.h>
#include <string.h>

#include "index/writer_private.h"

/*
 * The depth of a base's block, or -1 when no block of ours may lean on it: it
 * must lie in a sealed pack that this session relies on, and not be as deep as
 * a block may get.  Of several copies any that will do is taken.
 */
static int base_depth(struct writer *w, const struct block_chunk *base)
{
	struct store *s = w->store;
	struct refused refused = { .n = 0 };
	struct chunk_place p;
	struct err why = { .code = 0 };
	int depth = -1;

	while (depth < 0 && !store_locate(s, &base->id, &refused, &p, &why)) {
		if (p.chunk->kind == base->kind && p.chunk->len == base->len &&
		    p.block->depth < s->config.depth_max &&
		    writer_pin(w, &p, &why) == 0)
			depth = p.block->depth;
		else
			refused_add(&refused, p.at.pack_no, &why);
		packset_put(s->packs, p.pack);
	}
	return depth;
}

/* Copies the base's bytes; false when they cannot be had. */
static bool base_read(struct writer *w, const struct block_chunk *base,
    uint8_t *to)
{
	const struct chunk_source *source = store_source(w->store);
	struct chunk c = { 0 };
	struct err ignored;
	bool good;

	if (chunk_get(source, base->kind, &base->id, &c, &ignored))
		return false;
	good = c.len == base->len;
	if (good)
		memcpy(to, c.data, c.len);
	chunk_release(source, &c);
	return good;
}

/*
 * Gathers those bases that can be relied on and read.  What is left out makes
 * the block larger, never wrong; so nothing here is a failure.
 */
static void prefix_gather(struct writer *w, struct block_codec *codec,
    const struct batch *batch, struct block_chunk *bases,
    struct block_prefix *out)
{
	struct err ignored;
	uint8_t *raw;

	if (block_prefix_room(codec, batch->bases_len, &raw, &ignored))
		return;
	out->bases = bases;
	out->raw = raw;
	for (uint32_t i = 0; i < batch->n_bases; i++) {
		const struct block_chunk *base = &batch->bases[i];
		int depth = base_depth(w, base);

		if (depth < 0 || !base_read(w, base, raw + out->len))
			continue;
		bases[out->n_bases++] = *base;
		out->len += base->len;
		if (depth > out->depth)
			out->depth = (uint8_t)depth;
	}
}

int writer_encode(struct writer *w, struct block_codec *codec,
    const struct batch *batch, struct writer_block *out, struct err *err)
{
	struct block_prefix prefix = { .n_bases = 0 };
	struct block_chunk *bases = NULL;
	int rc;

	if (batch->n_bases)
		bases = malloc(batch->n_bases * sizeof(*bases));
	if (bases)
		prefix_gather(w, codec, batch, bases, &prefix);
	rc = block_encode_delta(codec, batch, &prefix, w->read_back,
	    &out->record, &out->len, &out->entry, err);
	out->refused = !rc && prefix.n_bases && out->entry.n_bases == 0;
	free(bases);
	return rc;
}

/* ---- The packs that bases lie in ---- */

/* Packs that are pinned, but whose bases were not looked at yet. */
struct to_do {
	uint32_t *no;
	size_t n;
	size_t room;
};

static int to_do_add(struct to_do *t, uint32_t no, struct err *err)
{
	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 16;
		uint32_t *more = reallocarray(t->no, room, sizeof(*more));

		if (!more)
			return err_set(err, ERR_NOMEM, "packs of bases");
		t->no = more;
		t->room = room;
	}
	t->no[t->n++] = no;
	return 0;
}

static int base_pin(struct writer *w, const struct block_chunk *base,
    struct to_do *todo, struct err *err)
{
	struct refused refused = { .n = 0 };
	struct chunk_place p;
	bool fresh = false;
	int rc;

	rc = store_locate(w->store, &base->id, &refused, &p, err);
	if (rc)
		return rc == ERR_NOMEM ? rc : 0;
	rc = writer_pin_one(w, p.at.pack_no, &p.pack->table->id, &fresh, err);
	packset_put(w->store->packs, p.pack);
	if (!rc && fresh)
		rc = to_do_add(todo, p.at.pack_no, err);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* A base that is gone is found when its block is read; here it is passed. */
static int bases_pin(struct writer *w, const struct pack_table *t,
    struct to_do *todo, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < t->n_bases && !rc; i++)
		if (i == 0 || !id_equal(&t->bases[i].id, &t->bases[i - 1].id))
			rc = base_pin(w, &t->bases[i], todo, err);
	return rc;
}

int writer_pin(struct writer *w, const struct chunk_place *p, struct err *err)
{
	struct to_do todo = { .n = 0 };
	bool fresh = false;
	int rc;

	rc = writer_pin_one(w, p->at.pack_no, &p->pack->table->id, &fresh, err);
	if (!rc && fresh)
		rc = bases_pin(w, p->pack->table, &todo, err);
	while (!rc && todo.n) {
		struct held_pack *pack;
		struct err ignored;

		if (packset_get(w->store->packs, todo.no[--todo.n], &pack,
		    &ignored))
			continue;
		rc = bases_pin(w, pack->table, &todo, err);
		packset_put(w->store->packs, pack);
	}
	free(todo.no);
	return rc;
}
