#include "chunker/stream.h"

#include "tests/chunker/support.h"

static struct cut_params params_of(uint32_t min, uint32_t target, uint32_t max)
{
	struct cut_params params;
	struct err err;

	assert_int_equal(0,
	    cut_params_init(&params, min, target, max, 2,
		UINT64_C(0x555a6f6ad24ffc67), &err));
	return params;
}

/*
 * Feeds data in reads of at most `most` bytes and checks each chunk against
 * cut_next over the whole: same lengths, same bytes, nothing lost.
 */
static void check_stream(struct stream *s, const struct cut_params *params,
    const uint8_t *data, size_t len, size_t most)
{
	size_t fed = 0;
	size_t seen = 0;
	const uint8_t *chunk;
	bool done = false;
	size_t size;

	while (!done) {
		size_t room_len;
		uint8_t *room = stream_room(s, &room_len);
		size_t n = len - fed;

		assert_true(room_len > 0);
		n = n < most ? n : most;
		n = n < room_len ? n : room_len;
		memcpy(room, data + fed, n);
		fed += n;
		done = n == 0;
		if (done)
			stream_end(s);
		else
			stream_fed(s, n);
		while (stream_next(s, &chunk, &size)) {
			assert_true(size <= fed - seen);
			assert_int_equal(cut_next(params, data + seen,
					     len - seen),
			    size);
			assert_memory_equal(data + seen, chunk, size);
			seen += size;
		}
	}
	assert_int_equal(len, seen);
	assert_false(stream_next(s, &chunk, &size));
}

static void test_cuts_do_not_depend_on_reads(void **state)
{
	static const size_t reads[] = { 1, 7, 127, 128, 4096, 65536, 1 << 20 };
	const size_t len = 300000;
	struct cut_params params = params_of(1024, 4096, 16384);
	size_t caps[] = { 2 * params.max, 2 * params.max + 1, 1 << 18 };
	uint8_t *data = input_new(INPUT_MIXED, 3, len);

	(void)state;
	for (size_t c = 0; c < N_OF(caps); c++) {
		struct stream *s;
		struct err err;

		assert_int_equal(0, stream_new(&s, &params, caps[c], &err));
		for (size_t i = 0; i < N_OF(reads); i++) {
			check_stream(s, &params, data, len, reads[i]);
			stream_reset(s);
		}
		stream_free(s);
	}
	free(data);
}

static void test_short_streams_come_whole(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} cases[] = {
		{ "an empty stream has no chunk", 0 },
		{ "one byte is a chunk", 1 },
		{ "min is a chunk", 128 },
		{ "just over min", 129 },
		{ "just under max", 4095 },
		{ "exactly max", 4096 },
		{ "just over max", 4097 },
		{ "twice max, a full buffer", 8192 },
		{ "one byte more than the buffer", 8193 },
	};
	struct cut_params params = params_of(128, 1024, 4096);
	struct stream *s;
	struct err err;

	(void)state;
	assert_int_equal(0, stream_new(&s, &params, 8192, &err));
	for (size_t i = 0; i < N_OF(cases); i++) {
		for (enum input input = 0; input < INPUTS; input++) {
			uint8_t *data = input_new(input, 4, cases[i].len + 1);

			test_case(cases[i].name);
			check_stream(s, &params, data, cases[i].len, 8192);
			stream_reset(s);
			check_stream(s, &params, data, cases[i].len, 100);
			stream_reset(s);
			free(data);
		}
	}
	stream_free(s);
}

static void test_reset_forgets_what_was_fed(void **state)
{
	struct cut_params params = params_of(128, 1024, 4096);
	uint8_t *data = input_new(INPUT_TEXT, 5, 20000);
	struct stream *s;
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(0, stream_new(&s, &params, 8192, &err));
	memset(stream_room(s, &len), 'x', 3000);
	stream_fed(s, 3000);
	stream_reset(s);
	check_stream(s, &params, data, 20000, 1000);
	stream_free(s);
	stream_free(NULL);
	free(data);
}

/*
 * A stream fed byte by byte must not move its tail for each byte.  Where the
 * room begins tells how often it moved back.
 */
static void test_small_reads_move_little(void **state)
{
	struct cut_params params = params_of(128, 1024, 4096);
	const uint8_t *before = NULL;
	uint64_t random = 6;
	size_t n_moves = 0;
	struct stream *s;
	struct err err;

	(void)state;
	assert_int_equal(0, stream_new(&s, &params, 8192, &err));
	for (size_t i = 0; i < 100000; i++) {
		const uint8_t *chunk;
		uint8_t *room;
		size_t len;

		room = stream_room(s, &len);
		n_moves += before && room < before;
		before = room;
		*room = (uint8_t)draw(&random);
		stream_fed(s, 1);
		while (stream_next(s, &chunk, &len))
			;
	}
	assert_in_range(n_moves, 0, 100000 / 3072);
	stream_free(s);
}

static void test_small_buffers_are_refused(void **state)
{
	struct cut_params params = params_of(128, 1024, 4096);
	struct stream *s;
	struct err err;

	(void)state;
	assert_int_equal(ERR_INVALID, stream_new(&s, &params, 0, &err));
	assert_int_equal(ERR_INVALID, stream_new(&s, &params, 8191, &err));
	assert_int_equal(ERR_INVALID, stream_new(&s, &params, SIZE_MAX, &err));
	assert_int_equal(0, stream_new(&s, &params, 8192, &err));
	stream_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts_do_not_depend_on_reads),
		cmocka_unit_test(test_short_streams_come_whole),
		cmocka_unit_test(test_reset_forgets_what_was_fed),
		cmocka_unit_test(test_small_reads_move_little),
		cmocka_unit_test(test_small_buffers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
