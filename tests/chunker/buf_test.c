#include "chunker/buf.h"

#include "chunker/bytes.h"
#include "tests/chunker/support.h"

static void test_appends_stand_in_order(void **state)
{
	static const uint8_t want[] = { 1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0,
		0, 0, 0x85, 0x01, 'x', 'y' };
	struct buf b;
	struct err err;

	(void)state;
	buf_init(&b);
	buf_u8(&b, 1);
	buf_le16(&b, 2);
	buf_le32(&b, 3);
	buf_le64(&b, 4);
	buf_varint(&b, 133);
	buf_put(&b, "xy", 2);
	buf_put(&b, NULL, 0);
	assert_int_equal(0, buf_check(&b, &err));
	assert_int_equal(sizeof(want), b.len);
	assert_memory_equal(want, b.data, sizeof(want));
	buf_fini(&b);
}

static void test_grows_and_keeps_its_bytes(void **state)
{
	const size_t len = 100000;
	uint8_t *data = input_new(INPUT_RANDOM, 1, len);
	struct buf b = { 0 };
	struct err err;

	(void)state;
	for (size_t i = 0, piece = 1; i < len; i += piece, piece++) {
		piece = piece < len - i ? piece : len - i;
		buf_put(&b, data + i, piece);
	}
	assert_int_equal(0, buf_check(&b, &err));
	assert_int_equal(len, b.len);
	assert_memory_equal(data, b.data, len);
	assert_true(b.cap >= len && b.cap < 3 * len);
	buf_fini(&b);
	free(data);
}

static void test_room_is_taken_by_the_caller(void **state)
{
	struct buf b;
	uint8_t *room;

	(void)state;
	buf_init(&b);
	room = buf_room(&b, 0);
	assert_non_null(room);
	room = buf_room(&b, 5000);
	assert_non_null(room);
	memset(room, 7, 5000);
	assert_int_equal(0, b.len);
	b.len += 3;
	buf_u8(&b, 8);
	assert_int_equal(4, b.len);
	assert_memory_equal("\7\7\7\10", b.data, 4);
	buf_fini(&b);
}

static void test_reset_keeps_the_memory(void **state)
{
	struct buf b = { 0 };
	const uint8_t *data;

	(void)state;
	buf_le64(&b, 1);
	data = b.data;
	buf_reset(&b);
	assert_int_equal(0, b.len);
	buf_u8(&b, 5);
	assert_ptr_equal(data, b.data);
	assert_int_equal(5, b.data[0]);
	buf_fini(&b);
	assert_null(b.data);
	assert_int_equal(0, b.cap);
}

static void test_no_memory_sticks(void **state)
{
	static const size_t lens[] = { SIZE_MAX, SIZE_MAX - 3, SIZE_MAX / 2,
		SIZE_MAX / 2 + 1 };

	(void)state;
	for (size_t i = 0; i < N_OF(lens); i++) {
		struct buf b = { 0 };
		struct err err;

		buf_put(&b, "abcd", 4);
		assert_null(buf_room(&b, lens[i]));
		buf_put(&b, "e", 1);
		assert_int_equal(4, b.len);
		assert_null(buf_room(&b, 1));
		buf_reset(&b);
		assert_int_equal(ERR_NOMEM, buf_check(&b, &err));
		assert_int_equal(ERR_NOMEM, err.code);
		buf_fini(&b);
		assert_int_equal(0, buf_check(&b, &err));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appends_stand_in_order),
		cmocka_unit_test(test_grows_and_keeps_its_bytes),
		cmocka_unit_test(test_room_is_taken_by_the_caller),
		cmocka_unit_test(test_reset_keeps_the_memory),
		cmocka_unit_test(test_no_memory_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
