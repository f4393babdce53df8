#include "index/claims.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "chunker/bytes.h"

#define SHARDS 64
#define SLOTS_LEAST 64

/*
 * Open addressing with linear probing; zero ids are free slots.  Ids are the
 * output of a cipher, so their own bytes serve as hash: the first choose the
 * shard, the next eight the slot.
 */
struct shard {
	pthread_mutex_t lock; /* guards all below */
	struct id *slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t n;
} __attribute__((aligned(64)));

struct claims {
	struct shard shards[SHARDS];
};

int claims_new(struct claims **out, struct err *err)
{
	struct claims *c = aligned_alloc(_Alignof(struct claims), sizeof(*c));

	if (!c)
		return err_set(err, ERR_NOMEM, "table of claims");
	*c = (struct claims){ 0 };
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&c->shards[i].lock, NULL);
	*out = c;
	return 0;
}

void claims_free(struct claims *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_destroy(&c->shards[i].lock);
		free(c->shards[i].slots);
	}
	free(c);
}

static struct shard *shard_of(struct claims *c, const struct id *id)
{
	return &c->shards[id->b[0] % SHARDS];
}

static size_t home_of(const struct shard *s, const struct id *id)
{
	return (size_t)le64_get(id->b + 1) & (s->n_slots - 1);
}

/* Where the id stands, or the free slot where it would. */
static size_t probe(const struct shard *s, const struct id *id)
{
	size_t i = home_of(s, id);

	while (!id_is_zero(&s->slots[i]) && !id_equal(&s->slots[i], id))
		i = (i + 1) & (s->n_slots - 1);
	return i;
}

static int resize(struct shard *s, size_t n_slots, struct err *err)
{
	struct id *old = s->slots;
	size_t n_old = s->n_slots;
	struct id *fresh = calloc(n_slots, sizeof(*fresh));

	if (!fresh)
		return err_set(err, ERR_NOMEM, "table of claims");
	s->slots = fresh;
	s->n_slots = n_slots;
	for (size_t i = 0; i < n_old; i++)
		if (!id_is_zero(&old[i]))
			s->slots[probe(s, &old[i])] = old[i];
	free(old);
	return 0;
}

static int add_locked(struct shard *s, const struct id *id, bool *added,
    struct err *err)
{
	size_t i;
	int rc;

	if (s->n + 1 > s->n_slots / 4 * 3) {
		rc = resize(s, s->n_slots ? 2 * s->n_slots : SLOTS_LEAST, err);
		if (rc)
			return rc;
	}
	i = probe(s, id);
	*added = id_is_zero(&s->slots[i]);
	if (*added) {
		s->slots[i] = *id;
		s->n++;
	}
	return 0;
}

int claims_add(struct claims *c, const struct id *id, bool *added,
    struct err *err)
{
	struct shard *s = shard_of(c, id);
	int rc;

	assert(!id_is_zero(id));
	pthread_mutex_lock(&s->lock);
	rc = add_locked(s, id, added, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/*
 * Moves later ids of the same run back over the hole, so that no look-up stops
 * short of one.  An id may move when its home does not lie after the hole.
 */
static void close_hole(struct shard *s, size_t hole)
{
	size_t mask = s->n_slots - 1;
	size_t i = hole;

	for (;;) {
		i = (i + 1) & mask;
		if (id_is_zero(&s->slots[i]))
			break;
		if (((i - home_of(s, &s->slots[i])) & mask) <
		    ((i - hole) & mask))
			continue;
		s->slots[hole] = s->slots[i];
		hole = i;
	}
	s->slots[hole] = (struct id){ { 0 } };
}

static void remove_locked(struct shard *s, const struct id *id)
{
	struct err ignored;
	size_t i;

	if (s->n == 0)
		return;
	i = probe(s, id);
	if (id_is_zero(&s->slots[i]))
		return;
	close_hole(s, i);
	s->n--;
	/* Smaller only saves memory; without memory it stays as it is. */
	if (s->n_slots > SLOTS_LEAST && s->n < s->n_slots / 8)
		(void)resize(s, s->n_slots / 2, &ignored);
}

void claims_remove(struct claims *c, const struct id *id)
{
	struct shard *s = shard_of(c, id);

	pthread_mutex_lock(&s->lock);
	remove_locked(s, id);
	pthread_mutex_unlock(&s->lock);
}

size_t claims_count(struct claims *c)
{
	size_t n = 0;

	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&c->shards[i].lock);
		n += c->shards[i].n;
		pthread_mutex_unlock(&c->shards[i].lock);
	}
	return n;
}
