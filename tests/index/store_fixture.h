/*
 * store_fixture -- real stores in a scratch directory, filled with chunks whose
 * every byte follows from a number.
 */
#ifndef TESTS_INDEX_STORE_FIXTURE_H
#define TESTS_INDEX_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "index/block.h"
#include "index/io.h"
#include "index/store_private.h"
#include "index/writer.h"
#include "tests/index/scratch.h"

#define PATH_ROOM 512

/* Many packs from few bytes. */
#define SMALL_PACK (64u << 10)

#define OK(call) \
	do { \
		if (call) \
			fail_msg("%s", err.msg); \
	} while (0)

static inline void store_at(const struct scratch *dir, char path[PATH_ROOM])
{
	snprintf(path, PATH_ROOM, "%s/store", dir->path);
}

static inline struct store *store_make(const struct scratch *dir)
{
	char path[PATH_ROOM];
	struct store *s;
	struct err err;

	store_at(dir, path);
	OK(store_init(path, "UTC", &err));
	OK(store_open(&s, path, NULL, &err));
	s->config.pack_target = SMALL_PACK;
	return s;
}

static inline struct store *store_again(const struct scratch *dir)
{
	char path[PATH_ROOM];
	struct store *s;
	struct err err;

	store_at(dir, path);
	OK(store_open(&s, path, NULL, &err));
	s->config.pack_target = SMALL_PACK;
	return s;
}

/* The chunk of this number: half of it compresses. */
static inline size_t chunk_make(uint8_t *data, uint64_t number)
{
	size_t len = 500 + number * 7919 % 1500;
	uint64_t seed = number * 0x9E3779B97F4A7C15u + 1;

	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		data[i] = i % 2 ? (uint8_t)(seed >> 56) : 'x';
	}
	return len;
}

#define CHUNK_ROOM 2000

static inline struct id chunk_id(struct store *s, enum id_kind kind,
    uint64_t number)
{
	uint8_t data[CHUNK_ROOM];
	size_t len = chunk_make(data, number);
	struct reader *r;
	struct err err;
	struct id id;

	OK(reader_take(s, &r, &err));
	OK(id_hash(r->hasher, kind, data, len, &id, &err));
	reader_give(s, r);
	return id;
}

/* What one thread needs to store data chunks; makes no assertion itself. */
struct feeder {
	struct writer *w;
	struct reader *r;
	struct batch batch;
	unsigned n_new;
};

static inline int feeder_flush(struct feeder *f, struct err *err)
{
	int rc = writer_put_batch(f->w, PACK_DATA, f->r->codec, &f->batch,
	    err);

	batch_reset(&f->batch);
	return rc;
}

static inline int feed_one(struct feeder *f, uint64_t number, struct err *err)
{
	uint8_t data[CHUNK_ROOM];
	size_t len = chunk_make(data, number);
	bool is_new;
	struct id id;
	int rc;

	rc = id_hash(f->r->hasher, ID_DATA, data, len, &id, err);
	if (!rc)
		rc = writer_claim(f->w, &id, &is_new, err);
	if (rc || !is_new)
		return rc;
	f->n_new++;
	if (!batch_fits(&f->batch, len))
		rc = feeder_flush(f, err);
	if (!rc)
		rc = batch_add(&f->batch, ID_DATA, &id, data, len, err);
	return rc;
}

/* Brings chunks [from, to); *n_new: how many were not there. */
static inline int feed(struct store *s, struct writer *w, uint64_t from,
    uint64_t to, unsigned *n_new, struct err *err)
{
	struct feeder f = { .w = w };
	int rc;

	rc = reader_take(s, &f.r, err);
	if (!rc)
		rc = batch_init(&f.batch, 8192, err);
	for (uint64_t i = from; i < to && !rc; i++)
		rc = feed_one(&f, i, err);
	if (!rc)
		rc = feeder_flush(&f, err);
	batch_fini(&f.batch);
	reader_give(s, f.r);
	if (n_new)
		*n_new = f.n_new;
	return rc;
}

/* A snapshot of an empty directory, with this time. */
static inline int commit_empty(struct writer *w, int64_t time_ns,
    struct id *id, struct err *err)
{
	struct root draft = {
		.time_ns = time_ns,
		.n_dirs = 1,
		.top = { .mode = S_IFDIR | 0755 },
		.zone = "UTC",
		.zone_len = 3,
	};

	return writer_commit(w, &draft, id, err);
}

/* A whole session: these chunks, one snapshot.  Returns how many were new. */
static inline unsigned ingest(struct store *s, const char *resource,
    uint64_t from, uint64_t to)
{
	struct writer *w;
	unsigned n_new;
	struct err err;
	struct id id;

	OK(writer_begin(&w, s, resource, NULL, &err));
	OK(feed(s, w, from, to, &n_new, &err));
	OK(commit_empty(w, (int64_t)to, &id, &err));
	writer_end(w);
	return n_new;
}

/* 0 and the right bytes, or the failure; wrong bytes end the test. */
static inline int read_back(struct store *s, enum id_kind kind,
    uint64_t number, struct err *err)
{
	uint8_t data[CHUNK_ROOM];
	size_t len = chunk_make(data, number);
	struct id id = chunk_id(s, kind, number);
	struct chunk c = { 0 };
	int rc;

	rc = chunk_get(store_source(s), kind, &id, &c, err);
	if (rc)
		return rc;
	assert_int_equal(len, c.len);
	assert_memory_equal(data, c.data, len);
	chunk_release(store_source(s), &c);
	return 0;
}

static inline void all_read_back(struct store *s, uint64_t from, uint64_t to)
{
	struct err err;

	for (uint64_t i = from; i < to; i++)
		OK(read_back(s, ID_DATA, i, &err));
}

#endif
