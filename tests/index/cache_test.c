#include "index/cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(call) \
	do { \
		if (call) \
			fail_msg("%s", err.msg); \
	} while (0)

/* What a fill does, and how often it was asked. */
struct filler {
	atomic_uint calls;
	uint32_t raw_len;
	bool slow;
	bool fails;
};

static int fill(void *ctx, uint32_t pack_no, uint32_t block,
    struct cached *out, struct err *err)
{
	struct filler *f = ctx;

	atomic_fetch_add(&f->calls, 1);
	if (f->slow)
		usleep(20000);
	if (f->fails)
		return err_set(err, ERR_CORRUPT, "block %u of pack %u", block,
		    pack_no);
	out->raw = malloc(f->raw_len);
	out->raw_len = f->raw_len;
	out->n_chunks = 1;
	out->chunk_start = calloc(2, sizeof(uint32_t));
	out->chunk_start[1] = f->raw_len;
	out->verified = calloc(1, 1);
	memset(out->raw, (int)(pack_no * 31 + block), f->raw_len);
	return 0;
}

static void check(const struct cached *b, uint32_t pack_no, uint32_t block)
{
	assert_int_equal((uint8_t)(pack_no * 31 + block), b->raw[0]);
	assert_int_equal((uint8_t)(pack_no * 31 + block),
	    b->raw[b->raw_len - 1]);
}

static void test_a_block_is_filled_once(void **state)
{
	struct filler f = { .raw_len = 1000 };
	struct cache_stats stats;
	struct cached *a, *b;
	struct cache *c;
	struct err err;

	(void)state;
	OK(cache_new(&c, 1u << 20, &err));
	OK(cache_get(c, 1, 2, fill, &f, &a, &err));
	OK(cache_get(c, 1, 2, fill, &f, &b, &err));
	assert_ptr_equal(a, b);
	check(a, 1, 2);
	cache_put(c, a);
	cache_put(c, b);
	OK(cache_get(c, 1, 2, fill, &f, &a, &err));
	OK(cache_get(c, 2, 1, fill, &f, &b, &err));
	check(b, 2, 1);
	cache_put(c, a);
	cache_put(c, b);
	assert_int_equal(2, atomic_load(&f.calls));
	cache_stats(c, &stats);
	assert_int_equal(2, stats.hits);
	assert_int_equal(2, stats.fills);
	cache_free(c);
}

static void test_the_bound_holds_and_the_oldest_go_first(void **state)
{
	struct filler f = { .raw_len = 10000 };
	struct cache_stats stats;
	struct cached *b;
	struct cache *c;
	struct err err;

	(void)state;
	OK(cache_new(&c, 100000, &err));
	for (uint32_t i = 0; i < 100; i++) {
		OK(cache_get(c, 7, i, fill, &f, &b, &err));
		check(b, 7, i);
		cache_put(c, b);
		/* The first is asked for again and again, and so stays. */
		OK(cache_get(c, 7, 0, fill, &f, &b, &err));
		cache_put(c, b);
		cache_stats(c, &stats);
		assert_true(stats.bytes <= 100000);
	}
	assert_int_equal(100, atomic_load(&f.calls));
	OK(cache_get(c, 7, 99, fill, &f, &b, &err));
	cache_put(c, b);
	assert_int_equal(100, atomic_load(&f.calls));
	OK(cache_get(c, 7, 1, fill, &f, &b, &err));
	cache_put(c, b);
	assert_int_equal(101, atomic_load(&f.calls));
	cache_free(c);
}

static void test_a_block_in_use_stays_beyond_the_bound(void **state)
{
	struct filler f = { .raw_len = 10000 };
	struct cached *held[50];
	struct cache_stats stats;
	struct cache *c;
	struct err err;

	(void)state;
	OK(cache_new(&c, 20000, &err));
	for (uint32_t i = 0; i < 50; i++)
		OK(cache_get(c, 3, i, fill, &f, &held[i], &err));
	for (uint32_t i = 0; i < 50; i++)
		check(held[i], 3, i);
	for (uint32_t i = 0; i < 50; i++)
		cache_put(c, held[i]);
	cache_stats(c, &stats);
	assert_true(stats.bytes <= 20000);
	cache_free(c);
}

static void test_a_failure_is_given_and_not_remembered(void **state)
{
	struct filler f = { .raw_len = 10, .fails = true };
	struct cached *b;
	struct cache *c;
	struct err err;

	(void)state;
	OK(cache_new(&c, 1000, &err));
	assert_int_equal(ERR_CORRUPT, cache_get(c, 1, 1, fill, &f, &b, &err));
	assert_string_equal("block 1 of pack 1", err.msg);
	f.fails = false;
	OK(cache_get(c, 1, 1, fill, &f, &b, &err));
	cache_put(c, b);
	cache_free(c);
}

struct user {
	struct cache *c;
	struct filler *f;
	unsigned seed;
	int rc;
	unsigned wrong;
};

static void *ask_one(void *arg)
{
	struct user *u = arg;
	struct cached *b;
	struct err err;

	u->rc = cache_get(u->c, 5, 5, fill, u->f, &b, &err);
	if (u->rc == 0)
		cache_put(u->c, b);
	return NULL;
}

static void ask_together(bool fails)
{
	struct filler f = { .raw_len = 10, .slow = true, .fails = fails };
	struct user user[8];
	pthread_t thread[8];
	struct cache *c;
	struct err err;

	OK(cache_new(&c, 1000, &err));
	for (int i = 0; i < 8; i++) {
		user[i] = (struct user){ .c = c, .f = &f };
		pthread_create(&thread[i], NULL, ask_one, &user[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(fails ? ERR_CORRUPT : 0, user[i].rc);
	}
	if (!fails)
		assert_int_equal(1, atomic_load(&f.calls));
	cache_free(c);
}

static void test_threads_wait_for_one_fill_and_share_its_end(void **state)
{
	(void)state;
	ask_together(false);
	ask_together(true);
}

static void *ask_many(void *arg)
{
	struct user *u = arg;

	for (int i = 0; i < 20000; i++) {
		uint32_t block = (uint32_t)rand_r(&u->seed) % 40;
		struct cached *b;
		struct err err;

		if (cache_get(u->c, 9, block, fill, u->f, &b, &err)) {
			u->wrong++;
			continue;
		}
		if (b->raw[0] != (uint8_t)(9 * 31 + block))
			u->wrong++;
		cache_put(u->c, b);
	}
	return NULL;
}

static void test_many_threads_get_the_right_blocks(void **state)
{
	struct filler f = { .raw_len = 1000 };
	struct user user[4];
	pthread_t thread[4];
	struct cache *c;
	struct err err;

	(void)state;
	OK(cache_new(&c, 20000, &err));
	for (unsigned i = 0; i < 4; i++) {
		user[i] = (struct user){ .c = c, .f = &f, .seed = i };
		pthread_create(&thread[i], NULL, ask_many, &user[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(0, user[i].wrong);
	}
	assert_true(atomic_load(&f.calls) > 40);
	cache_free(c);
}

/* Generous: the machine may be busy; the measured cost is a tenth of it. */
static void test_a_hit_costs_less_than_a_microsecond(void **state)
{
	struct filler f = { .raw_len = 1000 };
	struct timespec from, to;
	struct cached *b;
	struct cache *c;
	struct err err;
	double ns;

	(void)state;
	OK(cache_new(&c, 1u << 20, &err));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (int i = 0; i < 100000; i++) {
		OK(cache_get(c, 1, (uint32_t)i % 100, fill, &f, &b, &err));
		cache_put(c, b);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	ns = ((double)(to.tv_sec - from.tv_sec) * 1e9 +
	         (double)(to.tv_nsec - from.tv_nsec)) / 100000;
	print_message("a hit: %.0f ns\n", ns);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	assert_true(ns < 1000);
#endif
	cache_free(c);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_block_is_filled_once),
	cmocka_unit_test(test_the_bound_holds_and_the_oldest_go_first),
	cmocka_unit_test(test_a_block_in_use_stays_beyond_the_bound),
	cmocka_unit_test(test_a_failure_is_given_and_not_remembered),
	cmocka_unit_test(test_threads_wait_for_one_fill_and_share_its_end),
	cmocka_unit_test(test_many_threads_get_the_right_blocks),
	cmocka_unit_test(test_a_hit_costs_less_than_a_microsecond),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
