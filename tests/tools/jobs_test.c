/* Proves tools/jobs.h: the order of work, its end, and its failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tools/jobs.h"

#define THREADS 4
#define FANOUT 7
#define DEPTH 5

static struct jobs *list_of(unsigned rush_max)
{
	struct jobs *j = NULL;
	struct err err;

	assert_int_equal(jobs_new(&j, rush_max, &err), 0);
	return j;
}

static void test_the_last_job_comes_first_and_its_parts_in_order(void **state)
{
	struct jobs *j = list_of(1);
	struct jobs_item item = { .held = false };
	struct job older, newer;

	(void)state;
	jobs_push(j, &older, 2);
	jobs_push(j, &newer, 3);
	for (uint32_t part = 0; part < 3; part++) {
		assert_true(jobs_take(j, &item));
		assert_ptr_equal(item.job, &newer);
		assert_int_equal(item.part, part);
	}
	for (uint32_t part = 0; part < 2; part++) {
		assert_true(jobs_take(j, &item));
		assert_ptr_equal(item.job, &older);
		assert_int_equal(item.part, part);
	}
	assert_false(jobs_take(j, &item));
	jobs_free(j);
}

static void test_a_rush_comes_before_jobs_and_in_its_order(void **state)
{
	struct jobs *j = list_of(2);
	struct jobs_item item = { .held = false };
	struct job job;
	int a, b;

	(void)state;
	jobs_push(j, &job, 1);
	assert_true(jobs_rush(j, &a));
	assert_true(jobs_rush(j, &b));
	assert_true(jobs_take(j, &item));
	assert_ptr_equal(item.rush, &a);
	assert_null(item.job);
	assert_true(jobs_take(j, &item));
	assert_ptr_equal(item.rush, &b);
	assert_true(jobs_take(j, &item));
	assert_null(item.rush);
	assert_ptr_equal(item.job, &job);
	assert_false(jobs_take(j, &item));
	jobs_free(j);
}

static void test_a_full_queue_leaves_the_thing_to_its_maker(void **state)
{
	struct jobs *j = list_of(2);
	struct jobs_item item = { .held = false };
	int a, b, c;

	(void)state;
	assert_true(jobs_rush(j, &a));
	assert_true(jobs_rush(j, &b));
	assert_false(jobs_rush(j, &c));
	assert_true(jobs_take(j, &item));
	assert_true(jobs_rush(j, &c));
	jobs_free(j);
}

/* A tree of jobs: each part makes a job of its own, down to DEPTH. */
struct node {
	struct job job; /* first: the address is the node's */
	unsigned depth;
	atomic_uint seen[FANOUT];
};

struct crew {
	struct jobs *jobs;
	struct node *nodes;
	atomic_uint used;
	atomic_uint rushed;
	atomic_uint self;
	unsigned fail_at; /* fail after so many nodes */
	atomic_bool fn_ran[THREADS];
};

static void node_push(struct crew *c, unsigned depth)
{
	struct node *n = &c->nodes[atomic_fetch_add(&c->used, 1)];

	n->depth = depth;
	jobs_push(c->jobs, &n->job, FANOUT);
}

static void crew_work(void *ctx, unsigned worker)
{
	struct crew *c = ctx;
	struct jobs_item item = { .held = false };

	atomic_store(&c->fn_ran[worker], true);
	while (jobs_take(c->jobs, &item)) {
		struct node *n = (struct node *)item.job;
		struct err err;

		if (item.rush) {
			atomic_fetch_add((atomic_uint *)item.rush, 1);
			continue;
		}
		atomic_fetch_add(&n->seen[item.part], 1);
		if (!jobs_rush(c->jobs, &c->rushed))
			atomic_fetch_add(&c->self, 1);
		if (n->depth < DEPTH)
			node_push(c, n->depth + 1);
		if (c->fail_at && atomic_load(&c->used) > c->fail_at) {
			err_set(&err, ERR_CORRUPT, "on purpose");
			jobs_fail(c->jobs, &err);
		}
	}
}

static size_t n_nodes(void)
{
	size_t n = 0, level = 1;

	for (unsigned i = 0; i <= DEPTH; i++, level *= FANOUT)
		n += level;
	return n;
}

static void crew_begin(struct crew *c)
{
	memset(c, 0, sizeof(*c));
	c->jobs = list_of(THREADS);
	c->nodes = calloc(n_nodes() + 1, sizeof(*c->nodes));
	assert_non_null(c->nodes);
	node_push(c, 0);
}

static void crew_end(struct crew *c)
{
	jobs_free(c->jobs);
	free(c->nodes);
}

static void test_every_part_is_done_once_by_some_thread(void **state)
{
	struct crew c;
	struct err err;

	(void)state;
	crew_begin(&c);
	assert_int_equal(jobs_run(c.jobs, THREADS, crew_work, &c, &err), 0);
	assert_int_equal(atomic_load(&c.used), n_nodes());
	for (size_t i = 0; i < n_nodes(); i++)
		for (int part = 0; part < FANOUT; part++)
			assert_int_equal(atomic_load(&c.nodes[i].seen[part]),
			    1);
	/* Whatever was queued was taken, and the rest stayed with its maker. */
	assert_int_equal(atomic_load(&c.rushed) + atomic_load(&c.self),
	    n_nodes() * FANOUT);
	for (int i = 0; i < THREADS; i++)
		assert_true(atomic_load(&c.fn_ran[i]));
	crew_end(&c);
}

static void test_a_failure_ends_all_threads_and_is_told(void **state)
{
	struct crew c;
	struct err err;

	(void)state;
	crew_begin(&c);
	c.fail_at = 50;
	assert_int_equal(jobs_run(c.jobs, THREADS, crew_work, &c, &err),
	    ERR_CORRUPT);
	assert_string_equal(err.msg, "on purpose");
	assert_true(jobs_failed(c.jobs));
	assert_true(atomic_load(&c.used) < n_nodes());
	crew_end(&c);
}

static void test_the_first_failure_is_kept(void **state)
{
	struct jobs *j = list_of(1);
	struct jobs_item item = { .held = false };
	struct job job;
	struct err first, second, err;

	(void)state;
	jobs_push(j, &job, 1);
	err_set(&first, ERR_CORRUPT, "first");
	err_set(&second, ERR_SYSTEM, "second");
	jobs_fail(j, &first);
	jobs_fail(j, &second);
	assert_false(jobs_take(j, &item));
	assert_int_equal(jobs_run(j, 1, crew_work,
			     &(struct crew){ .jobs = j }, &err),
	    ERR_CORRUPT);
	assert_string_equal(err.msg, "first");
	jobs_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_the_last_job_comes_first_and_its_parts_in_order),
		cmocka_unit_test(
		    test_a_rush_comes_before_jobs_and_in_its_order),
		cmocka_unit_test(
		    test_a_full_queue_leaves_the_thing_to_its_maker),
		cmocka_unit_test(test_every_part_is_done_once_by_some_thread),
		cmocka_unit_test(test_a_failure_ends_all_threads_and_is_told),
		cmocka_unit_test(test_the_first_failure_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
