/*
 * tree_fixture -- what the tests of directories share: parameters, random
 * entries, comparison, whole directories in one call.
 */
#ifndef TESTS_INDEX_TREE_FIXTURE_H
#define TESTS_INDEX_TREE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "index/tree.h"
#include "tests/index/memory_chunks.h"

static const struct page_params default_pages = {
	.page_min = 2048,
	.page_max = 32768,
	.page_bits = 7,
	.list_min = 64,
	.list_max = 1024,
	.list_bits = 8,
	.cut_key = 0x1e31,
};

/* So small that a few thousand entries make five levels. */
static const struct page_params small_pages = {
	.page_min = 200,
	.page_max = 1000,
	.page_bits = 3,
	.list_min = 2,
	.list_max = 6,
	.list_bits = 2,
	.cut_key = 0x1e31,
};

/* splitmix64 (Steele, Lea and Flood 2014). */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	return random_next(state) % n;
}

/* SEED in the environment repeats a run. */
static inline uint64_t random_seed(const char *test)
{
	const char *given = getenv("SEED");
	uint64_t seed =
	    given ? strtoull(given, NULL, 0) : (uint64_t)(uintptr_t)&given >> 4;

	print_message("%s: SEED=%llu\n", test, (unsigned long long)seed);
	return seed;
}

/* A plain file of ten bytes with this name, which is borrowed. */
static inline struct tree_entry plain_file(const char *name)
{
	struct tree_entry e = { 0 };

	e.name = name;
	e.name_len = strlen(name);
	e.flags = TREE_CHUNK;
	e.mode = S_IFREG | 0644;
	e.size = 10;
	memset(e.content.b, 0xc0, ID_LEN);
	return e;
}

static inline bool entry_equal(
    const struct tree_entry *a, const struct tree_entry *b)
{
	return a->name_len == b->name_len &&
	       memcmp(a->name, b->name, a->name_len) == 0 &&
	       a->flags == b->flags && a->mode == b->mode && a->uid == b->uid &&
	       a->gid == b->gid && a->mtime_s == b->mtime_s &&
	       a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s &&
	       a->ctime_ns == b->ctime_ns && a->ino == b->ino &&
	       a->dev == b->dev && a->subdirs == b->subdirs &&
	       a->size == b->size && a->data == b->data &&
	       a->beneath == b->beneath && a->target_len == b->target_len &&
	       (!a->target_len ||
		   memcmp(a->target, b->target, a->target_len) == 0) &&
	       a->major == b->major && a->minor == b->minor &&
	       id_equal(&a->content, &b->content) &&
	       a->xattr_size == b->xattr_size && id_equal(&a->xattr, &b->xattr);
}

/* Writes n entries as one directory. */
static inline struct tree_dir dir_write(struct memory_chunks *m,
    const struct page_params *params, const struct tree_entry *entries,
    size_t n)
{
	struct tree_writer *w = NULL;
	struct tree_dir dir;
	struct err err;

	assert_int_equal(tree_writer_new(&w, params, &m->sink, &err), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(tree_writer_add(w, &entries[i], &err), 0);
	assert_int_equal(tree_writer_finish(w, &dir, &err), 0);
	tree_writer_free(w);
	return dir;
}

/* Reads to the end.  Returns the number of entries, or the failure. */
static inline int dir_walk(
    struct memory_chunks *m, const struct id *top, struct err *err)
{
	struct tree_entry e;
	struct tree_iter it;
	int n = 0;
	int rc;

	tree_iter_init(&it, &m->source, top);
	while ((rc = tree_iter_next(&it, &e, NULL, err)) == 1)
		n++;
	tree_iter_fini(&it);
	return rc < 0 ? rc : n;
}

/* An id whose every byte is b. */
static inline struct id id_of(uint8_t b)
{
	struct id id;

	memset(id.b, b, ID_LEN);
	return id;
}

#endif
