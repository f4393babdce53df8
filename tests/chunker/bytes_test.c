#include "chunker/bytes.h"

#include "tests/chunker/support.h"

static void test_numbers_are_little_endian(void **state)
{
	static const uint8_t want[] = { 0x02, 0x01, 0x06, 0x05, 0x04, 0x03,
		0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0xf0 };
	uint8_t got[sizeof(want)];

	(void)state;
	le16_put(got, 0x0102);
	le32_put(got + 2, 0x03040506);
	le64_put(got + 6, UINT64_C(0xf032547698badcfe));
	assert_memory_equal(want, got, sizeof(want));
	assert_int_equal(0x0102, le16_get(got));
	assert_int_equal(0x03040506, le32_get(got + 2));
	assert_true(le64_get(got + 6) == UINT64_C(0xf032547698badcfe));
}

static void test_zigzag_keeps_small_numbers_small(void **state)
{
	static const struct {
		int64_t v;
		uint64_t z;
	} cases[] = {
		{ 0, 0 },
		{ -1, 1 },
		{ 1, 2 },
		{ -2, 3 },
		{ INT64_MAX, UINT64_MAX - 1 },
		{ INT64_MIN, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_true(zigzag(cases[i].v) == cases[i].z);
		assert_true(unzigzag(cases[i].z) == cases[i].v);
	}
}

static void test_varint_goes_there_and_back(void **state)
{
	static const struct {
		uint64_t v;
		size_t len;
	} cases[] = {
		{ 0, 1 },
		{ 1, 1 },
		{ 127, 1 },
		{ 128, 2 },
		{ 16383, 2 },
		{ 16384, 3 },
		{ UINT32_MAX, 5 },
		{ UINT64_C(1) << 62, 9 },
		{ UINT64_C(1) << 63, 10 },
		{ UINT64_MAX, 10 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		uint8_t encoded[VARINT_MAX];
		struct bytes b;

		assert_int_equal(cases[i].len, varint_put(encoded, cases[i].v));
		b = bytes_of(encoded, cases[i].len);
		assert_true(bytes_varint(&b) == cases[i].v);
		assert_false(b.bad);
		assert_int_equal(0, bytes_left(&b));
	}
}

static void test_bad_varints_are_refused(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		uint8_t encoded[12];
	} cases[] = {
		{ "nothing at all", 0, { 0 } },
		{ "one byte promises another", 1, { 0x80 } },
		{ "nine bytes promise another", 9,
		    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
		{ "the tenth byte overflows", 10,
		    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0x02 } },
		{ "an eleventh byte", 11,
		    { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
			0x81, 0x00 } },
		{ "a zero padded to two bytes", 2, { 0x80, 0x00 } },
		{ "a one padded to three bytes", 3, { 0x81, 0x80, 0x00 } },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct bytes b = bytes_of(cases[i].encoded, cases[i].len);

		test_case(cases[i].name);
		assert_true(bytes_varint(&b) == 0);
		assert_true(b.bad);
	}
}

static void test_walk_takes_what_is_there(void **state)
{
	static const uint8_t data[] = { 1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0,
		0, 0, 0x85, 0x01, 'x', 'y' };
	struct bytes b = bytes_of(data, sizeof(data));

	(void)state;
	assert_int_equal(1, bytes_u8(&b));
	assert_int_equal(2, bytes_le16(&b));
	assert_int_equal(3, bytes_le32(&b));
	assert_int_equal(4, bytes_le64(&b));
	assert_int_equal(133, bytes_varint(&b));
	assert_int_equal(2, bytes_left(&b));
	assert_memory_equal("xy", bytes_take(&b, 2), 2);
	assert_int_equal(0, bytes_left(&b));
	assert_false(b.bad);
}

static void test_walk_never_passes_the_end(void **state)
{
	/* On the heap, so that a sanitizer sees one byte too many. */
	uint8_t *data = input_new(INPUT_RANDOM, 1, 7);

	(void)state;
	for (size_t len = 0; len <= 7; len++) {
		struct bytes b = bytes_of(data + 7 - len, len);

		assert_int_equal(0, bytes_le64(&b));
		assert_true(b.bad);
		/* Once bad, even what is there is not given. */
		assert_null(bytes_take(&b, 0));
		assert_int_equal(0, bytes_u8(&b));
		assert_int_equal(0, bytes_varint(&b));
		assert_int_equal(len, bytes_left(&b));
	}
	free(data);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_little_endian),
		cmocka_unit_test(test_zigzag_keeps_small_numbers_small),
		cmocka_unit_test(test_varint_goes_there_and_back),
		cmocka_unit_test(test_bad_varints_are_refused),
		cmocka_unit_test(test_walk_takes_what_is_there),
		cmocka_unit_test(test_walk_never_passes_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
