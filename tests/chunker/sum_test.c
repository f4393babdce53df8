#include "chunker/sum.h"

#include "tests/chunker/support.h"

#define PRIME32 UINT64_C(2654435761)
#define PRIME64 UINT64_C(11400714785074694797)

/*
 * The vectors of the xxHash project's own sanity check, over the buffer it
 * makes, so that they prove the algorithm and not merely its constancy.
 */
static void test_sums_are_xxh3(void **state)
{
	static const struct {
		size_t len;
		uint64_t seed;
		uint64_t sum;
	} cases[] = {
		{ 0, 0, UINT64_C(0x2D06800538D394C2) },
		{ 0, PRIME64, UINT64_C(0xA8A6B918B2F0364A) },
		{ 1, 0, UINT64_C(0xC44BDFF4074EECDB) },
		{ 1, PRIME64, UINT64_C(0x032BE332DD766EF8) },
		{ 6, 0, UINT64_C(0x27B56A84CD2D7325) },
		{ 6, PRIME64, UINT64_C(0x84589C116AB59AB9) },
		{ 12, 0, UINT64_C(0xA713DAF0DFBB77E7) },
		{ 12, PRIME64, UINT64_C(0xE7303E1B2336DE0E) },
		{ 24, 0, UINT64_C(0xA3FE70BF9D3510EB) },
		{ 24, PRIME64, UINT64_C(0x850E80FC35BDD690) },
		{ 48, 0, UINT64_C(0x397DA259ECBA1F11) },
		{ 48, PRIME64, UINT64_C(0xADC2CBAA44ACC616) },
		{ 80, 0, UINT64_C(0xBCDEFBBB2C47C90A) },
		{ 80, PRIME64, UINT64_C(0xC6DD0CB699532E73) },
		{ 195, 0, UINT64_C(0xCD94217EE362EC3A) },
		{ 195, PRIME64, UINT64_C(0xBA68003D370CB3D9) },
		{ 403, 0, UINT64_C(0xCDEB804D65C6DEA4) },
		{ 403, PRIME64, UINT64_C(0x6259F6ECFD6443FD) },
		{ 512, 0, UINT64_C(0x617E49599013CB6B) },
		{ 512, PRIME64, UINT64_C(0x3CE457DE14C27708) },
		{ 2048, 0, UINT64_C(0xDD59E2C3A5F038E0) },
		{ 2048, PRIME64, UINT64_C(0x66F81670669ABABC) },
		{ 2367, 0, UINT64_C(0xCB37AEB9E5D361ED) },
		{ 2367, PRIME64, UINT64_C(0xD2DB3415B942B42A) },
	};
	uint64_t next = PRIME32;
	uint8_t data[2367];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		data[i] = (uint8_t)(next >> 56);
		next *= PRIME64;
	}
	for (size_t i = 0; i < N_OF(cases); i++) {
		uint64_t got = sum64_seeded(data, cases[i].len, cases[i].seed);

		assert_true(got == cases[i].sum);
		if (cases[i].seed == 0)
			assert_true(sum64(data, cases[i].len) == got);
	}
}

/* Every bit counts, wherever it stands and whatever the alignment. */
static void test_one_flipped_bit_changes_the_sum(void **state)
{
	uint8_t *data = input_new(INPUT_TEXT, 1, 3000);
	uint64_t whole = sum64(data + 1, 2999);

	(void)state;
	for (size_t i = 1; i < 3000; i++) {
		data[i] ^= (uint8_t)(1 << i % 8);
		assert_true(sum64(data + 1, 2999) != whole);
		data[i] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(sum64(data + 1, 2999) == whole);
	free(data);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_are_xxh3),
		cmocka_unit_test(test_one_flipped_bit_changes_the_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
