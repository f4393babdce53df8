/*
 * memory_chunks -- a chunk source and sink over a plain map in memory.
 *
 * Every get hands out a copy of exactly the chunk's size that release frees, so
 * the address sanitizer sees each read outside a chunk and each use after its
 * release.  Ids are two seeded sums of the bytes: not secret, but the same on
 * every run, as golden bytes need.  Chunks may also be set under an id of the
 * test's choosing, to play a damaged or malicious store.
 *
 * Threads: one at a time.
 */
#ifndef TESTS_INDEX_MEMORY_CHUNKS_H
#define TESTS_INDEX_MEMORY_CHUNKS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chunker/bytes.h"
#include "chunker/err.h"
#include "chunker/id.h"
#include "chunker/sum.h"
#include "index/chunks.h"

struct memory_chunk {
	struct id id;
	enum id_kind kind;
	uint8_t *data; /* NULL in an empty slot */
	size_t len;
};

struct memory_chunks {
	struct memory_chunk *slots;
	size_t n_slots; /* a power of two */
	size_t n_chunks;
	size_t puts; /* calls */
	size_t gets[ID_KINDS];
	size_t held;     /* handed out and not released */
	long put_budget; /* puts that still succeed; negative: all */
	long get_budget;
	struct chunk_source source;
	struct chunk_sink sink;
};

static inline struct memory_chunk *memory_slot(
    const struct memory_chunks *m, enum id_kind kind, const struct id *id)
{
	size_t i = (size_t)le64_get(id->b) * 4 + (size_t)kind;

	for (;; i++) {
		struct memory_chunk *c = &m->slots[i & (m->n_slots - 1)];

		if (!c->data || (c->kind == kind && id_equal(&c->id, id)))
			return c;
	}
}

static inline void memory_grow(struct memory_chunks *m)
{
	struct memory_chunks old = *m;

	m->n_slots = old.n_slots ? old.n_slots * 2 : 64;
	m->slots = calloc(m->n_slots, sizeof(*m->slots));
	if (!m->slots)
		abort();
	for (size_t i = 0; i < old.n_slots; i++)
		if (old.slots[i].data)
			*memory_slot(m, old.slots[i].kind, &old.slots[i].id) =
			    old.slots[i];
	free(old.slots);
}

/* Puts these bytes under this very id, in place of what was there. */
static inline void memory_set(struct memory_chunks *m, enum id_kind kind,
    const struct id *id, const void *data, size_t len)
{
	struct memory_chunk *c;

	if (m->n_chunks >= m->n_slots / 2)
		memory_grow(m);
	c = memory_slot(m, kind, id);
	if (!c->data)
		m->n_chunks++;
	free(c->data);
	c->id = *id;
	c->kind = kind;
	c->len = len;
	c->data = malloc(len ? len : 1);
	if (!c->data)
		abort();
	memcpy(c->data, data, len);
}

static inline void memory_id(
    enum id_kind kind, const void *data, size_t len, struct id *out)
{
	le64_put(out->b, sum64_seeded(data, len, 2 * (uint64_t)kind + 1));
	le64_put(out->b + 8, sum64_seeded(data, len, 2 * (uint64_t)kind + 2));
}

static inline int memory_put(void *ctx, enum id_kind kind, const uint8_t *data,
    size_t len, struct id *out, struct err *err)
{
	struct memory_chunks *m = ctx;

	if (m->put_budget == 0)
		return err_set(err, ERR_SYSTEM, "no budget");
	if (m->put_budget > 0)
		m->put_budget--;
	m->puts++;
	memory_id(kind, data, len, out);
	memory_set(m, kind, out, data, len);
	return 0;
}

static inline int memory_get(void *ctx, enum id_kind kind, const struct id *id,
    struct chunk *out, struct err *err)
{
	struct memory_chunks *m = ctx;
	const struct memory_chunk *c;

	m->gets[kind]++;
	if (m->get_budget == 0)
		return err_set(err, ERR_SYSTEM, "no budget");
	if (m->get_budget > 0)
		m->get_budget--;
	c = m->n_slots ? memory_slot(m, kind, id) : NULL;
	if (!c || !c->data)
		return err_set(err, ERR_NOT_FOUND, "no such chunk");
	out->hold = malloc(c->len ? c->len : 1);
	if (!out->hold)
		abort();
	memcpy(out->hold, c->data, c->len);
	out->data = out->hold;
	out->len = c->len;
	m->held++;
	return 0;
}

static inline void memory_release(void *ctx, struct chunk *c)
{
	struct memory_chunks *m = ctx;

	m->held--;
	free(c->hold);
}

static inline void memory_init(struct memory_chunks *m)
{
	*m = (struct memory_chunks){ .put_budget = -1, .get_budget = -1 };
	m->source.ctx = m;
	m->source.get = memory_get;
	m->source.release = memory_release;
	m->sink.ctx = m;
	m->sink.put = memory_put;
}

/* Returns how many chunks were never released. */
static inline size_t memory_fini(struct memory_chunks *m)
{
	for (size_t i = 0; i < m->n_slots; i++)
		free(m->slots[i].data);
	free(m->slots);
	return m->held;
}

#endif
