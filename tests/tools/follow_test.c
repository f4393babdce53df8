#include "tools/follow.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/index/memory_chunks.h"

#define TARGET 65536u
#define LEN 80000u
#define CAP (256u << 10)

static const struct page_params params = {
	.list_min = 64,
	.list_max = 1024,
	.list_bits = 8,
};

static struct id id_of(uint64_t n)
{
	struct id id = { { 1 } };

	le64_put(id.b, n * 0x9E3779B97F4A7C15u);
	le64_put(id.b + 8, n + 1);
	return id;
}

struct fixture {
	struct memory_chunks m;
	struct follow *f;
	struct batch b;
	struct content old;
};

/* An old content of n chunks with the ids first, first + 1, ... */
static void old_make(struct fixture *x, uint64_t first, unsigned n)
{
	struct rope_writer *w;
	struct err err;

	assert_int_equal(0, rope_writer_new(&w, &params, &x->m.sink, &err));
	for (unsigned i = 0; i < n; i++) {
		struct id id = id_of(first + i);

		assert_int_equal(0, rope_writer_add(w, &id, LEN, &err));
	}
	assert_int_equal(0, rope_writer_finish(w, &x->old, &err));
	rope_writer_free(w);
}

static int make(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct err err;

	memory_init(&x->m);
	assert_int_equal(0, follow_new(&x->f, &x->m.source, TARGET, &err));
	assert_int_equal(0, batch_init(&x->b, CAP, &err));
	*state = x;
	return 0;
}

static int drop(void **state)
{
	struct fixture *x = *state;

	follow_free(x->f);
	assert_int_equal(0, x->m.held);
	batch_fini(&x->b);
	memory_fini(&x->m);
	free(x);
	return 0;
}

static void known(struct fixture *x, uint64_t n)
{
	struct id id = id_of(n);

	follow_known(x->f, &x->b, &id, LEN);
}

static bool fresh(struct fixture *x)
{
	struct id id = id_of(1u << 30);
	struct err err;

	if (!follow_fresh(x->f, &x->b, LEN))
		return false;
	assert_int_equal(0, batch_add(&x->b, ID_DATA, &id,
	    (const uint8_t *)"new", 3, &err));
	return true;
}

/* The batch's bases are exactly first, first + 1, ... */
static void bases_are(struct fixture *x, uint64_t first, uint32_t n)
{
	assert_int_equal(n, x->b.n_bases);
	for (uint32_t i = 0; i < n; i++) {
		struct id id = id_of(first + i);

		assert_true(id_equal(&id, &x->b.bases[i].id));
		assert_int_equal(LEN, x->b.bases[i].len);
	}
}

static void test_nothing_old_gives_no_base(void **state)
{
	struct fixture *x = *state;

	follow_begin(x->f, &x->old);
	known(x, 1);
	assert_true(fresh(x));
	bases_are(x, 0, 0);
}

static void test_a_changed_chunk_leans_on_the_one_in_its_place(void **state)
{
	struct fixture *x = *state;

	old_make(x, 100, 20);
	follow_begin(x->f, &x->old);
	for (unsigned i = 0; i < 5; i++)
		known(x, 100 + i);
	assert_true(fresh(x));
	/* As long as nothing more is known, a little more than its length. */
	bases_are(x, 105, 3);
	known(x, 106);
	bases_are(x, 105, 1);
	known(x, 107);
	assert_true(fresh(x));
	known(x, 109);
	assert_int_equal(2, x->b.n_bases);
}

static void test_a_run_names_no_base_twice(void **state)
{
	struct fixture *x = *state;

	old_make(x, 100, 20);
	follow_begin(x->f, &x->old);
	for (unsigned i = 0; i < 5; i++)
		assert_true(fresh(x));
	bases_are(x, 100, 7);
	/* The next batch begins with what is at hand now. */
	assert_false(fresh(x) && fresh(x) && fresh(x));
	batch_reset(&x->b);
	follow_next_batch(x->f);
	assert_true(fresh(x));
	assert_true(x->b.n_bases >= 3);
	assert_true(x->b.bases_len <= 5 * LEN);
}

static void test_what_was_put_in_between_shifts_nothing(void **state)
{
	struct fixture *x = *state;

	old_make(x, 100, 20);
	follow_begin(x->f, &x->old);
	known(x, 100);
	assert_true(fresh(x));
	known(x, 101);
	bases_are(x, 0, 0);
	known(x, 102);
	assert_true(fresh(x));
	known(x, 104);
	bases_are(x, 103, 1);
}

/* Every chunk has changed a little, and three were taken out before. */
static void test_lengths_tell_the_place_where_nothing_is_met_again(void **state)
{
	struct fixture *x = *state;
	struct rope_writer *w;
	struct err err;

	assert_int_equal(0, rope_writer_new(&w, &params, &x->m.sink, &err));
	for (unsigned i = 0; i < 40; i++) {
		struct id id = id_of(100 + i);

		assert_int_equal(0, rope_writer_add(w, &id,
		    40000 + i * 7919 % 50000, &err));
	}
	assert_int_equal(0, rope_writer_finish(w, &x->old, &err));
	rope_writer_free(w);

	follow_begin(x->f, &x->old);
	for (unsigned i = 3; i < 20; i++) {
		struct id id = id_of(100 + i);

		batch_reset(&x->b);
		follow_next_batch(x->f);
		assert_true(follow_fresh(x->f, &x->b,
		    40010 + i * 7919 % 50000));
		/* The piece before may be there too, for what moved. */
		if (i >= 5)
			assert_true(id_equal(&id, &x->b.bases[0].id) ||
			    id_equal(&id, &x->b.bases[1].id));
	}
}

/* Taken out, moved, and met again further back. */
static void test_the_place_is_put_right_by_any_chunk_met_again(void **state)
{
	struct fixture *x = *state;

	old_make(x, 100, 3000);
	follow_begin(x->f, &x->old);
	known(x, 100 + 1500);
	assert_true(fresh(x));
	known(x, 100 + 1502);
	bases_are(x, 1601, 1);
	batch_reset(&x->b);
	follow_next_batch(x->f);
	known(x, 110);
	assert_true(fresh(x));
	known(x, 112);
	bases_are(x, 111, 1);
}

static void test_a_long_content_is_walked_to_its_end(void **state)
{
	struct fixture *x = *state;

	old_make(x, 100, 20000);
	follow_begin(x->f, &x->old);
	for (unsigned i = 0; i < 20000; i++) {
		if (i % 100 != 99) {
			known(x, 100 + i);
			continue;
		}
		batch_reset(&x->b);
		follow_next_batch(x->f);
		assert_true(fresh(x));
		if (i < 19999) {
			known(x, 100 + ++i);
			bases_are(x, 100 + i - 1, 1);
		}
	}
	assert_true(fresh(x));
}

static void test_holes_are_counted_and_no_base(void **state)
{
	struct fixture *x = *state;
	struct rope_writer *w;
	struct id id = id_of(7);
	struct err err;

	assert_int_equal(0, rope_writer_new(&w, &params, &x->m.sink, &err));
	assert_int_equal(0, rope_writer_add(w, NULL, 1ull << 40, &err));
	assert_int_equal(0, rope_writer_add(w, &id, LEN, &err));
	assert_int_equal(0, rope_writer_add(w, NULL, 1ull << 40, &err));
	assert_int_equal(0, rope_writer_finish(w, &x->old, &err));
	rope_writer_free(w);

	follow_begin(x->f, &x->old);
	assert_true(fresh(x));
	bases_are(x, 0, 0);
	follow_begin(x->f, &x->old);
	follow_hole(x->f, 1ull << 40);
	assert_true(fresh(x));
	bases_are(x, 7, 1);
	follow_hole(x->f, UINT64_MAX);
	assert_true(fresh(x));
}

static void test_a_list_that_cannot_be_read_ends_the_walk(void **state)
{
	struct fixture *x = *state;

	old_make(x, 100, 20000);
	x->m.get_budget = 3;
	follow_begin(x->f, &x->old);
	for (unsigned i = 0; i < 3000; i++) {
		known(x, 100 + i);
		batch_reset(&x->b);
		follow_next_batch(x->f);
		assert_true(fresh(x));
	}
	bases_are(x, 0, 0);
}

static void test_who_is_refused_tries_now_and_then(void **state)
{
	struct fixture *x = *state;
	unsigned tried = 0;

	old_make(x, 100, 4000);
	for (unsigned i = 0; i < 960; i++) {
		/* Many files, as one large one would begin anew. */
		if (i % 3 == 0) {
			x->old.size = 0;
			old_make(x, 100, 50);
			follow_begin(x->f, &x->old);
		}
		follow_next_batch(x->f);
		batch_reset(&x->b);
		assert_true(fresh(x));
		if (x->b.n_bases) {
			tried++;
			follow_told(x->f, true);
		}
	}
	assert_true(tried >= 3 + 25 && tried <= 3 + 35);
	follow_told(x->f, false);
	follow_next_batch(x->f);
	batch_reset(&x->b);
	assert_true(fresh(x));
	assert_true(x->b.n_bases > 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_nothing_old_gives_no_base),
		CASE(test_a_changed_chunk_leans_on_the_one_in_its_place),
		CASE(test_a_run_names_no_base_twice),
		CASE(test_what_was_put_in_between_shifts_nothing),
		CASE(test_lengths_tell_the_place_where_nothing_is_met_again),
		CASE(test_the_place_is_put_right_by_any_chunk_met_again),
		CASE(test_a_long_content_is_walked_to_its_end),
		CASE(test_holes_are_counted_and_no_base),
		CASE(test_a_list_that_cannot_be_read_ends_the_walk),
		CASE(test_who_is_refused_tries_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
