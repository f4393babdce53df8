#include "tools/links.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "chunker/buf.h"
#include "index/blob.h"

#define BUCKETS_LEAST 256

struct known {
	struct known *next;
	uint64_t names_left;
	struct tree_entry entry; /* name unused */
};

struct links_known {
	pthread_mutex_t lock; /* guards the rest */
	struct known **buckets;
	size_t n_buckets; /* a power of two */
	size_t n;
};

int links_known_new(struct links_known **out, struct err *err)
{
	struct links_known *k = calloc(1, sizeof(*k));

	if (!k)
		return err_set(err, ERR_NOMEM, "table of links");
	k->n_buckets = BUCKETS_LEAST;
	k->buckets = calloc(k->n_buckets, sizeof(*k->buckets));
	if (!k->buckets) {
		free(k);
		return err_set(err, ERR_NOMEM, "table of links");
	}
	pthread_mutex_init(&k->lock, NULL);
	*out = k;
	return 0;
}

void links_known_free(struct links_known *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n_buckets; i++) {
		while (k->buckets[i]) {
			struct known *one = k->buckets[i];

			k->buckets[i] = one->next;
			free(one);
		}
	}
	free(k->buckets);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Inode numbers of files made together are neighbours: spread them. */
static size_t bucket_of(size_t n_buckets, uint32_t dev, uint64_t ino)
{
	uint64_t hash = (ino ^ (uint64_t)dev << 48) * 0x9e3779b97f4a7c15ull;

	return (size_t)(hash >> 32) & (n_buckets - 1);
}

static struct known **place_of(struct links_known *k, uint32_t dev,
    uint64_t ino)
{
	struct known **at;

	at = &k->buckets[bucket_of(k->n_buckets, dev, ino)];
	while (*at && ((*at)->entry.ino != ino || (*at)->entry.dev != dev))
		at = &(*at)->next;
	return at;
}

static bool same_state(const struct tree_entry *a, const struct tree_entry *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	    a->size == b->size && a->mtime_s == b->mtime_s &&
	    a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s &&
	    a->ctime_ns == b->ctime_ns;
}

bool links_known_find(struct links_known *k, struct tree_entry *e)
{
	struct known **at;
	struct known *one;
	bool found;

	pthread_mutex_lock(&k->lock);
	at = place_of(k, e->dev, e->ino);
	one = *at;
	found = one && same_state(&one->entry, e);
	if (found) {
		e->flags = one->entry.flags;
		e->data = one->entry.data;
		e->content = one->entry.content;
		e->xattr_size = one->entry.xattr_size;
		e->xattr = one->entry.xattr;
		if (--one->names_left == 0) {
			*at = one->next;
			k->n--;
			free(one);
		}
	}
	pthread_mutex_unlock(&k->lock);
	return found;
}

/* Under the lock.  Failing to grow costs time, not truth. */
static void grow(struct links_known *k)
{
	size_t n_buckets = k->n_buckets * 2;
	struct known **buckets = calloc(n_buckets, sizeof(*buckets));

	if (!buckets)
		return;
	for (size_t i = 0; i < k->n_buckets; i++) {
		while (k->buckets[i]) {
			struct known *one = k->buckets[i];
			size_t to = bucket_of(n_buckets, one->entry.dev,
			    one->entry.ino);

			k->buckets[i] = one->next;
			one->next = buckets[to];
			buckets[to] = one;
		}
	}
	free(k->buckets);
	k->buckets = buckets;
	k->n_buckets = n_buckets;
}

int links_known_add(struct links_known *k, const struct tree_entry *e,
    uint64_t nlink, struct err *err)
{
	struct known **at;
	int rc = 0;

	if (nlink < 2)
		return 0;
	pthread_mutex_lock(&k->lock);
	if (k->n > k->n_buckets)
		grow(k);
	at = place_of(k, e->dev, e->ino);
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at) {
			rc = err_set(err, ERR_NOMEM, "table of links");
			goto out;
		}
		(*at)->names_left = nlink - 1;
		k->n++;
	}
	/* Read twice, by two threads or after a change: the later is truer. */
	(*at)->entry = *e;

out:
	pthread_mutex_unlock(&k->lock);
	return rc;
}

/* ---- Where they are ---- */

void links_found_fini(struct links_found *f)
{
	free(f->places);
	memset(f, 0, sizeof(*f));
}

static int found_room(struct links_found *f, size_t more, struct err *err)
{
	struct links_place *places;
	size_t cap = f->cap ? f->cap : 16;

	if (more <= f->cap - f->n)
		return 0;
	while (cap - f->n < more)
		cap *= 2;
	places = reallocarray(f->places, cap, sizeof(*places));
	if (!places)
		return err_set(err, ERR_NOMEM, "%zu linked names", cap);
	f->places = places;
	f->cap = cap;
	return 0;
}

int links_found_add(struct links_found *f, uint32_t dev, uint64_t ino,
    uint64_t number, struct err *err)
{
	if (found_room(f, 1, err))
		return err->code;
	f->places[f->n++] = (struct links_place){
		.ino = ino,
		.number = number,
		.dev = dev,
	};
	return 0;
}

int links_found_move(struct links_found *into, struct links_found *from,
    uint64_t shift, struct err *err)
{
	for (size_t i = 0; i < from->n; i++)
		from->places[i].number += shift;

	if (from->n > into->n) {
		struct links_found larger = *from;

		*from = *into;
		*into = larger;
	}
	if (from->n) {
		if (found_room(into, from->n, err))
			return err->code;
		memcpy(into->places + into->n, from->places,
		    from->n * sizeof(*from->places));
		into->n += from->n;
	}
	links_found_fini(from);
	return 0;
}

static int place_cmp(const void *a, const void *b)
{
	const struct links_place *x = a;
	const struct links_place *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return 0;
}

int links_found_put(struct links_found *f, const struct config *config,
    const struct chunk_sink *sink, struct content *out, struct err *err)
{
	struct buf table;
	size_t end;
	int rc;

	if (f->n)
		qsort(f->places, f->n, sizeof(*f->places), place_cmp);
	buf_init(&table);
	for (size_t i = 0; i < f->n; i = end) {
		const struct links_place *first = &f->places[i];
		struct link link = {
			.dev = first->dev,
			.ino = first->ino,
			.number = first->number,
		};
		uint8_t *room;

		for (end = i + 1; end < f->n; end++)
			if (f->places[end].dev != first->dev ||
			    f->places[end].ino != first->ino)
				break;
		if (end - i < 2)
			continue;
		link.names = (uint32_t)(end - i);
		room = buf_room(&table, LINK_SIZE);
		if (!room)
			break;
		link_encode(&link, room);
		table.len += LINK_SIZE;
	}
	rc = buf_check(&table, err);
	if (!rc)
		rc = blob_put(config, sink, table.data, table.len, out, err);
	if (rc)
		err_wrap(err, "table of links");
	buf_fini(&table);
	return rc;
}
