#include "index/cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * A bound is shared out among the shards, and a shard that holds only a few
 * blocks evicts what it needs next.  So there are fewer shards when the bound
 * is small.
 */
#define SHARDS_MAX 16
#define SHARD_BYTES_LEAST (4u << 20)
#define BUCKETS_LEAST 64

enum entry_state {
	ENTRY_FILLING,
	ENTRY_READY,
	ENTRY_FAILED, /* out of the table; whoever leaves last frees it */
};

struct entry {
	struct cached block; /* first: a user's pointer is the entry's */
	uint64_t key;
	size_t bytes;
	uint32_t users;
	enum entry_state state;
	struct entry *chain; /* next in the same bucket */
	struct entry *newer; /* in the shard's list of unused blocks */
	struct entry *older;
	struct err why; /* ENTRY_FAILED */
};

struct shard {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t filled;
	struct entry **buckets;
	size_t n_buckets; /* a power of two */
	size_t n_entries;
	size_t bytes;
	struct entry *newest; /* unused blocks, the last used first */
	struct entry *oldest;
	uint64_t hits;
	uint64_t fills;
} __attribute__((aligned(64)));

struct cache {
	struct shard shards[SHARDS_MAX];
	size_t n_shards; /* a power of two */
	size_t shard_bytes;
};

static uint64_t key_of(uint32_t pack_no, uint32_t block)
{
	return (uint64_t)pack_no << 32 | block;
}

/* Neighbouring blocks go to different shards and buckets. */
static uint64_t key_mix(uint64_t key)
{
	key *= 0x9E3779B97F4A7C15u;
	return key ^ key >> 32;
}

static struct shard *shard_of(struct cache *c, uint64_t key)
{
	return &c->shards[key_mix(key) & (c->n_shards - 1)];
}

static struct entry **bucket_of(struct shard *s, uint64_t key)
{
	return &s->buckets[key_mix(key) >> 8 & (s->n_buckets - 1)];
}

static int shard_init(struct shard *s, struct err *err)
{
	s->n_buckets = BUCKETS_LEAST;
	s->buckets = calloc(s->n_buckets, sizeof(*s->buckets));
	if (!s->buckets)
		return err_set(err, ERR_NOMEM, "block cache");
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->filled, NULL);
	return 0;
}

int cache_new(struct cache **out, size_t max_bytes, struct err *err)
{
	struct cache *c;
	size_t n = 1;
	int rc = 0;

	c = aligned_alloc(_Alignof(struct cache), sizeof(*c));
	if (!c)
		return err_set(err, ERR_NOMEM, "block cache");
	*c = (struct cache){ 0 };

	while (n < SHARDS_MAX && max_bytes / (2 * n) >= SHARD_BYTES_LEAST)
		n *= 2;
	c->shard_bytes = max_bytes / n;
	for (size_t i = 0; i < n && !rc; i++) {
		rc = shard_init(&c->shards[i], err);
		if (!rc)
			c->n_shards++;
	}
	if (rc) {
		cache_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

static void entry_free(struct entry *e)
{
	free(e->block.raw);
	free(e->block.chunk_start);
	free(e->block.verified);
	free(e);
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_shards; i++) {
		struct shard *s = &c->shards[i];

		for (size_t b = 0; b < s->n_buckets; b++) {
			while (s->buckets[b]) {
				struct entry *e = s->buckets[b];

				assert(e->users == 0);
				s->buckets[b] = e->chain;
				entry_free(e);
			}
		}
		free(s->buckets);
		pthread_cond_destroy(&s->filled);
		pthread_mutex_destroy(&s->lock);
	}
	free(c);
}

static void unused_remove(struct shard *s, struct entry *e)
{
	if (e->newer)
		e->newer->older = e->older;
	else
		s->newest = e->older;
	if (e->older)
		e->older->newer = e->newer;
	else
		s->oldest = e->newer;
	e->newer = NULL;
	e->older = NULL;
}

static void unused_add(struct shard *s, struct entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	if (s->newest)
		s->newest->newer = e;
	else
		s->oldest = e;
	s->newest = e;
}

static void table_remove(struct shard *s, struct entry *e)
{
	struct entry **at = bucket_of(s, e->key);

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	e->chain = NULL;
	s->n_entries--;
}

/* Without memory for a larger table the chains grow; nothing is wrong. */
static void table_grow(struct shard *s)
{
	size_t n_old = s->n_buckets;
	struct entry **old = s->buckets;
	struct entry **wider = calloc(2 * n_old, sizeof(*wider));

	if (!wider)
		return;
	s->buckets = wider;
	s->n_buckets = 2 * n_old;
	for (size_t b = 0; b < n_old; b++) {
		while (old[b]) {
			struct entry *e = old[b];
			struct entry **at = bucket_of(s, e->key);

			old[b] = e->chain;
			e->chain = *at;
			*at = e;
		}
	}
	free(old);
}

static void table_add(struct shard *s, struct entry *e)
{
	struct entry **at;

	if (s->n_entries >= s->n_buckets)
		table_grow(s);
	at = bucket_of(s, e->key);
	e->chain = *at;
	*at = e;
	s->n_entries++;
}

static struct entry *table_find(struct shard *s, uint64_t key)
{
	struct entry *e = *bucket_of(s, key);

	while (e && e->key != key)
		e = e->chain;
	return e;
}

/*
 * Takes the longest unused blocks out until the bound holds; returns them
 * chained, to be freed when the lock is no longer held.
 */
static struct entry *evict(struct shard *s, size_t bound)
{
	struct entry *gone = NULL;

	while (s->bytes > bound && s->oldest) {
		struct entry *e = s->oldest;

		unused_remove(s, e);
		table_remove(s, e);
		s->bytes -= e->bytes;
		e->chain = gone;
		gone = e;
	}
	return gone;
}

static void free_chain(struct entry *e)
{
	while (e) {
		struct entry *next = e->chain;

		entry_free(e);
		e = next;
	}
}

/* A block that somebody is filling, or one that is ready; lock held. */
static int join(struct shard *s, struct entry *e, struct cached **out,
    struct err *err)
{
	bool last;

	if (e->users++ == 0)
		unused_remove(s, e);
	while (e->state == ENTRY_FILLING)
		pthread_cond_wait(&s->filled, &s->lock);
	if (e->state == ENTRY_READY) {
		s->hits++;
		*out = &e->block;
		pthread_mutex_unlock(&s->lock);
		return 0;
	}

	*err = e->why;
	last = --e->users == 0;
	pthread_mutex_unlock(&s->lock);
	if (last)
		entry_free(e);
	return err->code;
}

static size_t bytes_of_entry(const struct entry *e)
{
	return sizeof(*e) + e->block.raw_len +
	    (size_t)e->block.n_chunks * (sizeof(uint32_t) + 1);
}

/* Ends a fill: hands the block, or the failure, to all who wait for it. */
static int settle(struct cache *c, struct shard *s, struct entry *e, int rc,
    const struct err *err)
{
	struct entry *gone = NULL;
	bool last = false;

	pthread_mutex_lock(&s->lock);
	s->fills++;
	if (rc) {
		e->state = ENTRY_FAILED;
		e->why = *err;
		table_remove(s, e);
		last = --e->users == 0;
	} else {
		e->state = ENTRY_READY;
		e->bytes = bytes_of_entry(e);
		s->bytes += e->bytes;
		gone = evict(s, c->shard_bytes);
	}
	pthread_cond_broadcast(&s->filled);
	pthread_mutex_unlock(&s->lock);

	free_chain(gone);
	if (last)
		entry_free(e);
	return rc;
}

int cache_get(struct cache *c, uint32_t pack_no, uint32_t block,
    cache_fill_fn *fill, void *ctx, struct cached **out, struct err *err)
{
	uint64_t key = key_of(pack_no, block);
	struct shard *s = shard_of(c, key);
	struct entry *e;
	int rc;

	pthread_mutex_lock(&s->lock);
	e = table_find(s, key);
	if (e)
		return join(s, e, out, err);
	e = calloc(1, sizeof(*e));
	if (!e) {
		pthread_mutex_unlock(&s->lock);
		return err_set(err, ERR_NOMEM, "block cache");
	}
	e->key = key;
	e->users = 1;
	e->state = ENTRY_FILLING;
	table_add(s, e);
	pthread_mutex_unlock(&s->lock);

	rc = settle(c, s, e, fill(ctx, pack_no, block, &e->block, err), err);
	if (rc == 0)
		*out = &e->block;
	return rc;
}

void cache_put(struct cache *c, struct cached *block)
{
	struct entry *e = (struct entry *)block;
	struct shard *s;
	struct entry *gone = NULL;

	if (!block)
		return;
	s = shard_of(c, e->key);
	pthread_mutex_lock(&s->lock);
	if (--e->users == 0) {
		unused_add(s, e);
		gone = evict(s, c->shard_bytes);
	}
	pthread_mutex_unlock(&s->lock);
	free_chain(gone);
}

void cache_stats(struct cache *c, struct cache_stats *out)
{
	*out = (struct cache_stats){ 0 };
	for (size_t i = 0; i < c->n_shards; i++) {
		struct shard *s = &c->shards[i];

		pthread_mutex_lock(&s->lock);
		out->hits += s->hits;
		out->fills += s->fills;
		out->bytes += s->bytes;
		pthread_mutex_unlock(&s->lock);
	}
}
