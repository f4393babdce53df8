#include "chunker/cut.h"

#include <pthread.h>

#include "chunker/sum.h"
#include "tests/chunker/support.h"

#define KEY UINT64_C(0x555a6f6ad24ffc67)

/* The parameter sets under test, and how much input each is given. */
static const struct {
	const char *name;
	uint32_t min, target, max;
	unsigned norm;
	size_t input_len;
} sets[] = {
	{ "file data", 16384, 65536, 262144, 2, 1 << 20 },
	{ "directories", 1024, 4096, 16384, 2, 200001 },
	{ "the smallest, strongly normalized", 128, 1024, 4096, 3, 200001 },
	{ "the smallest, not normalized", 128, 1024, 2048, 0, 200001 },
	{ "sizes that divide by nothing", 257, 8192, 20011, 1, 200001 },
};

static struct cut_params params_of(size_t set)
{
	struct cut_params p;
	struct err err;

	assert_int_equal(0,
	    cut_params_init(&p, sets[set].min, sets[set].target, sets[set].max,
		sets[set].norm, KEY, &err));
	return p;
}

static void test_derived_parameters(void **state)
{
	static const struct {
		uint32_t target;
		unsigned norm;
		unsigned early, late, below; /* as powers of two */
	} cases[] = {
		{ 1 << 10, 0, 0, 0, 6 },
		{ 1 << 10, 3, 6, 0, 9 },
		{ 1 << 12, 2, 4, 0, 6 },
		{ 1 << 14, 2, 4, 0, 4 },
		{ 1 << 16, 0, 4, 4, 4 },
		{ 1 << 16, 2, 6, 2, 4 },
		{ 1 << 24, 3, 15, 9, 4 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct cut_params p;
		struct err err;

		assert_int_equal(0,
		    cut_params_init(&p, 128, cases[i].target, 1 << 25,
			cases[i].norm, KEY, &err));
		assert_true(p.mask_early == (1u << cases[i].early) - 1);
		assert_true(p.mask_late == (1u << cases[i].late) - 1);
		assert_int_equal(1 << cases[i].below, p.below);
		assert_true(p.key == KEY);
	}
}

static void test_senseless_parameters_are_refused(void **state)
{
	static const struct {
		const char *name;
		uint32_t min, target, max;
		unsigned norm;
	} cases[] = {
		{ "min below the window's room", 127, 1024, 4096, 0 },
		{ "no min", 0, 1024, 4096, 0 },
		{ "min is target", 1024, 1024, 4096, 0 },
		{ "target is max", 128, 4096, 4096, 0 },
		{ "max below target", 128, 4096, 2048, 0 },
		{ "target is no power of two", 128, 4095, 8192, 0 },
		{ "target too small", 128, 512, 4096, 0 },
		{ "target too large", 128, 1 << 25, 1 << 26, 0 },
		{ "no target", 128, 0, 4096, 0 },
		{ "max too large", 128, 1024, (1 << 26) + 1, 0 },
		{ "normalization too strong", 128, 1024, 4096, 4 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct cut_params p;
		struct err err;

		test_case(cases[i].name);
		assert_int_equal(ERR_INVALID,
		    cut_params_init(&p, cases[i].min, cases[i].target,
			cases[i].max, cases[i].norm, KEY, &err));
	}
}

/* The digest of a whole cutting: sum64 over all lengths, as u32. */
static uint64_t cutting(enum cut_path path, const struct cut_params *p,
    const uint8_t *data, size_t len, size_t *n_chunks)
{
	uint8_t *lengths = malloc(4 * (len / p->min + 1));
	size_t n = 0;
	uint64_t sum;

	assert_non_null(lengths);
	for (size_t at = 0; at < len; n++) {
		size_t left = len - at;
		size_t size = cut_next_by(path, p, data + at, left);

		assert_in_range(size, left < p->min ? left : p->min,
		    left < p->max ? left : p->max);
		le32_put(lengths + 4 * n, (uint32_t)size);
		at += size;
	}
	sum = sum64(lengths, 4 * n);
	free(lengths);
	*n_chunks = n;
	return sum;
}

/*
 * Frozen: stores are cut like this.  Computed independently from the text of
 * cut_path.h and the XXH3 specification, in Python; input 7 of each kind.
 */
static const struct {
	size_t n_chunks;
	uint64_t sum;
} frozen[N_OF(sets)][INPUTS] = {
	{
	    { 16, UINT64_C(0x472422f97bdd1104) },
	    { 15, UINT64_C(0x92d1eb2e72d84671) },
	    { 13, UINT64_C(0x370d4be1cb01b944) },
	    { 16, UINT64_C(0x1423065d8afc883d) },
	    { 4, UINT64_C(0xe9c4a7361c089239) },
	    { 12, UINT64_C(0xea06bf444029e07e) },
	},
	{
	    { 45, UINT64_C(0x42f544fa67cecb33) },
	    { 44, UINT64_C(0xfda5c00c6345f1de) },
	    { 38, UINT64_C(0x6e40ae04ba6ac9dd) },
	    { 49, UINT64_C(0x224cc67b40b74404) },
	    { 13, UINT64_C(0x16cdaf65b9de2796) },
	    { 37, UINT64_C(0xea2e6de5daef4474) },
	},
	{
	    { 187, UINT64_C(0xe926f015c9f2dd16) },
	    { 187, UINT64_C(0x5a18ed6cf1cab5eb) },
	    { 171, UINT64_C(0xdfd071b3968fc382) },
	    { 188, UINT64_C(0xdc11e4b15b86765d) },
	    { 49, UINT64_C(0x86da290ad029486f) },
	    { 160, UINT64_C(0x4ea8fcee17ea26b9) },
	},
	{
	    { 204, UINT64_C(0x1525b72c02f6db64) },
	    { 215, UINT64_C(0xecd2ba16357ce4d3) },
	    { 147, UINT64_C(0xe5bb08acb275ad80) },
	    { 798, UINT64_C(0x01497324e8297963) },
	    { 98, UINT64_C(0xc43378c42a38518a) },
	    { 206, UINT64_C(0x04f15e7a55e1fb6e) },
	},
	{
	    { 24, UINT64_C(0xba61d34a68935650) },
	    { 28, UINT64_C(0x13ac34720fca36c1) },
	    { 21, UINT64_C(0x003adec42a975d5c) },
	    { 399, UINT64_C(0xd4a2d50d778a8092) },
	    { 10, UINT64_C(0x2befad39226e47b2) },
	    { 22, UINT64_C(0x7dac49d70d905f19) },
	},
};

static void test_every_path_cuts_as_frozen(void **state)
{
	(void)state;
	for (size_t set = 0; set < N_OF(sets); set++) {
		struct cut_params p = params_of(set);
		size_t len = sets[set].input_len;

		test_case(sets[set].name);
		for (enum input input = 0; input < INPUTS; input++) {
			uint8_t *data = input_new(input, 7, len);

			for (enum cut_path path = 0; path < CUT_PATHS; path++) {
				size_t n_chunks;
				uint64_t sum;

				if (!cut_path_usable(path))
					continue;
				sum = cutting(path, &p, data, len, &n_chunks);
				if (sum != frozen[set][input].sum)
					print_message("%s, %s\n",
					    input_name(input),
					    cut_path_name(path));
				assert_int_equal(frozen[set][input].n_chunks,
				    n_chunks);
				assert_true(sum == frozen[set][input].sum);
			}
			free(data);
		}
	}
}

/* The first cuts of random input, readable; by the fastest path. */
static void test_first_cuts_are_frozen(void **state)
{
	static const size_t want[] = { 70254, 68352, 51987, 128440, 88189,
		68206, 30430, 65578 };
	struct cut_params p = params_of(0);
	uint8_t *data = input_new(INPUT_RANDOM, 7, 1 << 20);
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < N_OF(want); i++) {
		size_t size = cut_next(&p, data + at, (1 << 20) - at);

		assert_int_equal(want[i], size);
		at += size;
	}
	free(data);
}

static void test_unusable_paths_are_named_too(void **state)
{
	(void)state;
	assert_true(cut_path_usable(CUT_SCALAR));
	assert_true(cut_path_usable(CUT_PLAIN));
	for (enum cut_path path = 0; path < CUT_PATHS; path++) {
		if (!cut_path_usable(path))
			print_message("             skipped: no %s here\n",
			    cut_path_name(path));
		assert_true(strlen(cut_path_name(path)) > 0);
	}
}

/*
 * Streams of every length end in every lane of every path.  The bytes lie at
 * the very end of their memory, and begin where it begins, so that a sanitizer
 * sees a path read around them.
 */
static void test_every_length_on_every_path(void **state)
{
	struct cut_params p = params_of(2);

	(void)state;
	for (size_t len = 1; len <= 1600; len++) {
		uint8_t *data = input_new(INPUT_RANDOM, len, len);
		size_t want = cut_next_by(CUT_SCALAR, &p, data, len);

		assert_true(want <= len && (len > p.min || want == len));
		assert_int_equal(want, cut_next(&p, data, len));
		for (enum cut_path path = 1; path < CUT_PATHS; path++)
			if (cut_path_usable(path))
				assert_int_equal(want,
				    cut_next_by(path, &p, data, len));
		free(data);
	}
}

/*
 * With an empty second stage the first candidate is the cut, so every lane's
 * hash is compared with the scalar one at every distance from the start.  A
 * stream that ends one byte before its first candidate has none, and a path
 * that looks one position too far is found out.
 */
static void test_first_stage_lane_by_lane(void **state)
{
	const size_t len = 4096;
	uint8_t *data = input_new(INPUT_MIXED, 8, len);

	(void)state;
	for (uint32_t below = 1; below <= 0x8000; below *= 4) {
		struct cut_params p = params_of(2);

		p.mask_early = 0;
		p.mask_late = 0;
		p.below = (uint16_t)below;
		for (size_t at = 0; at < 130; at++) {
			const uint8_t *from = data + at;
			size_t want = cut_next_by(CUT_SCALAR, &p, from, 600);

			for (enum cut_path path = 1; path < CUT_PATHS; path++) {
				if (!cut_path_usable(path))
					continue;
				assert_int_equal(want,
				    cut_next_by(path, &p, from, 600));
				assert_int_equal(want - 1,
				    cut_next_by(path, &p, from, want - 1));
			}
		}
	}
	free(data);
}

/* Never a cut, whatever the bytes: the first stage has no candidate. */
static void test_without_a_cut_point_max(void **state)
{
	static const struct {
		const char *name;
		size_t len, want;
	} cases[] = {
		{ "shorter than min stays whole", 100, 100 },
		{ "exactly min stays whole", 128, 128 },
		{ "just over min stays whole", 129, 129 },
		{ "just under max stays whole", 4095, 4095 },
		{ "exactly max stays whole", 4096, 4096 },
		{ "just over max is cut at max", 4097, 4096 },
		{ "far over max is cut at max", 9000, 4096 },
	};
	struct cut_params p = params_of(2);
	uint8_t *data = input_new(INPUT_RANDOM, 9, 9000);

	(void)state;
	p.mask_early = UINT64_MAX;
	p.mask_late = UINT64_MAX;
	for (size_t i = 0; i < N_OF(cases); i++) {
		test_case(cases[i].name);
		for (enum cut_path path = 0; path < CUT_PATHS; path++)
			if (cut_path_usable(path))
				assert_int_equal(cases[i].want,
				    cut_next_by(path, &p, data, cases[i].len));
	}
	free(data);
}

/* Bytes past max do not matter, nor do those before the chunk. */
static void test_only_bytes_of_the_chunk_decide(void **state)
{
	struct cut_params p = params_of(2);
	uint8_t *a = input_new(INPUT_RANDOM, 10, 128 + 4096 + 500);
	uint8_t *b = input_new(INPUT_RANDOM, 11, 128 + 4096 + 500);

	(void)state;
	memcpy(b + 128, a + 128, 4096);
	for (enum cut_path path = 0; path < CUT_PATHS; path++)
		if (cut_path_usable(path))
			assert_int_equal(cut_next_by(path, &p, a + 128, 4096),
			    cut_next_by(path, &p, b + 128, 4096 + 500));
	free(a);
	free(b);
}

static void test_another_key_cuts_elsewhere(void **state)
{
	struct cut_params p = params_of(0);
	uint8_t *data = input_new(INPUT_TEXT, 12, 1 << 20);
	size_t n_chunks;
	uint64_t sum = cutting(CUT_PLAIN, &p, data, 1 << 20, &n_chunks);

	(void)state;
	p.key++;
	assert_true(sum != cutting(CUT_PLAIN, &p, data, 1 << 20, &n_chunks));
	free(data);
}

static void test_sizes_gather_around_the_target(void **state)
{
	const size_t len = 1 << 22;
	struct cut_params p = params_of(0);
	uint8_t *data = input_new(INPUT_RANDOM, 13, len);
	size_t n_at_max = 0;
	size_t n = 0;

	(void)state;
	for (size_t at = 0; at < len; n++) {
		size_t size = cut_next(&p, data + at, len - at);

		n_at_max += size == p.max;
		at += size;
	}
	assert_in_range(len / n, 65536, 80000);
	assert_int_equal(0, n_at_max);
	free(data);
}

/*
 * Why chunks are cut by content: after bytes are put in at the front, the cuts
 * fall into step again soon, and stay in step.
 */
static void test_cuts_resynchronize(void **state)
{
	static const size_t inserted[] = { 1, 2, 63, 1000, 20000 };
	const size_t len = 1 << 20;
	const size_t room = 1 << 15;
	static const enum input inputs[] = { INPUT_RANDOM, INPUT_TEXT,
		INPUT_ROWS, INPUT_MIXED };
	struct cut_params p = params_of(0);

	(void)state;
	for (size_t n = 0; n < N_OF(inputs) * N_OF(inserted); n++) {
		size_t more = inserted[n % N_OF(inserted)];
		uint8_t *data = input_new(INPUT_RANDOM, 14, room + len);
		const uint8_t *end = data + room + len;
		const uint8_t *a = data + room;
		const uint8_t *b = data + room - more;

		fill(inputs[n / N_OF(inserted)], 15, data + room, len);
		while (a != b) {
			const uint8_t **behind = a < b ? &a : &b;

			*behind += cut_next(&p, *behind,
			    (size_t)(end - *behind));
		}
		/* From here on the two are cut alike, chunk by chunk. */
		assert_in_range(a - (data + room), 1, 12 * p.target);
		free(data);
	}
}

struct task {
	const struct cut_params *params;
	const uint8_t *data;
	size_t len;
};

static void *cut_all(void *arg)
{
	const struct task *task = arg;
	size_t n = 0;

	for (size_t at = 0; at < task->len; n++)
		at += cut_next(task->params, task->data + at, task->len - at);
	return (void *)(uintptr_t)n;
}

static void test_threads_cut_alike(void **state)
{
	struct cut_params p = params_of(1);
	uint8_t *data = input_new(INPUT_RANDOM, 16, 1 << 20);
	struct task task = { &p, data, 1 << 20 };
	pthread_t threads[4];
	void *first = NULL;

	(void)state;
	for (size_t i = 0; i < N_OF(threads); i++)
		assert_int_equal(0,
		    pthread_create(&threads[i], NULL, cut_all, &task));
	for (size_t i = 0; i < N_OF(threads); i++) {
		void *n;

		assert_int_equal(0, pthread_join(threads[i], &n));
		assert_true(!first || n == first);
		first = n;
	}
	free(data);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_derived_parameters),
		cmocka_unit_test(test_senseless_parameters_are_refused),
		cmocka_unit_test(test_every_path_cuts_as_frozen),
		cmocka_unit_test(test_first_cuts_are_frozen),
		cmocka_unit_test(test_unusable_paths_are_named_too),
		cmocka_unit_test(test_every_length_on_every_path),
		cmocka_unit_test(test_first_stage_lane_by_lane),
		cmocka_unit_test(test_without_a_cut_point_max),
		cmocka_unit_test(test_only_bytes_of_the_chunk_decide),
		cmocka_unit_test(test_another_key_cuts_elsewhere),
		cmocka_unit_test(test_sizes_gather_around_the_target),
		cmocka_unit_test(test_cuts_resynchronize),
		cmocka_unit_test(test_threads_cut_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
