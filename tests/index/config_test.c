#include "index/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"

#define GOLDEN_CONFIG 0xe6858b12e7e01d8

/* A config that never changes: every byte of it follows from this page. */
static void sample(struct config *c)
{
	struct err err;

	assert_int_equal(0, config_new(c, "Europe/Rome", 1763777913123456789,
	    &err));
	for (int i = 0; i < 16; i++)
		c->uuid[i] = (uint8_t)(0x10 + i);
	for (int i = 0; i < ID_SECRET_LEN; i++)
		c->secret[i] = (uint8_t)(0xa0 + i);
}

static void seal(uint8_t *data, size_t len)
{
	le64_put(data + len - 8, sum64(data, len - 8));
}

static void test_a_config_reads_back(void **state)
{
	uint8_t data[CONFIG_SIZE], again[CONFIG_SIZE];
	struct config c, got;
	struct err err;

	(void)state;
	assert_int_equal(0, config_new(&c, "Europe/Rome", -5, &err));
	config_encode(&c, data);
	assert_int_equal(0, config_decode(&got, data, sizeof(data), &err));
	config_encode(&got, again);
	assert_memory_equal(data, again, sizeof(data));
	assert_string_equal("Europe/Rome", got.zone);
	assert_int_equal(-5, got.created_ns);
	assert_memory_equal(&c.key, &got.key, sizeof(c.key));
	assert_true(c.cuts.key == got.cuts.key);
	assert_true(got.pages.cut_key == got.cuts.key);
	assert_int_equal(65536, got.cuts.target);
}

static void test_two_stores_share_nothing(void **state)
{
	struct config a, b;
	struct err err;

	(void)state;
	assert_int_equal(0, config_new(&a, "", 0, &err));
	assert_int_equal(0, config_new(&b, "", 0, &err));
	assert_memory_not_equal(a.uuid, b.uuid, 16);
	assert_memory_not_equal(a.secret, b.secret, ID_SECRET_LEN);
	assert_memory_not_equal(&a.key, &b.key, sizeof(a.key));
}

static void test_the_bytes_are_frozen(void **state)
{
	uint8_t data[CONFIG_SIZE];
	struct config c;

	(void)state;
	sample(&c);
	config_encode(&c, data);
	assert_memory_equal("IERICONF\1\0\0\0\0\0\0\0\x10\x11", data, 18);
	assert_int_equal(16384, le32_get(data + 44));
	assert_int_equal(67108864, le32_get(data + 60));
	assert_int_equal(8, le32_get(data + 92));
	assert_int_equal(0xa0, data[128]);
	assert_int_equal(11, data[256]);
	assert_memory_equal("Europe/Rome\0", data + 257, 12);
	/* The sum stands for all the bytes before it. */
	assert_int_equal(GOLDEN_CONFIG, le64_get(data + 504));
}

static void test_every_flipped_bit_is_seen(void **state)
{
	uint8_t data[CONFIG_SIZE];
	struct config c;
	struct err err;

	(void)state;
	sample(&c);
	config_encode(&c, data);
	for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(ERR_CORRUPT, config_decode(&c, data,
		    sizeof(data), &err));
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_every_other_length_is_refused(void **state)
{
	uint8_t data[CONFIG_SIZE];
	struct config c;
	struct err err;

	(void)state;
	sample(&c);
	config_encode(&c, data);
	for (size_t len = 0; len < sizeof(data); len++) {
		/* Exactly so large, for the address sanitizer. */
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, data, len);
		assert_int_equal(ERR_CORRUPT, config_decode(&c, copy, len,
		    &err));
		free(copy);
	}
}

static void test_each_refusal_has_words_of_its_own(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
		uint32_t value;
		int code;
		const char *words;
	} cases[] = {
		{ "version", 8, 2, ERR_FORMAT, "needs a newer ieri (version 2)" },
		{ "flags", 12, 1, ERR_FORMAT, "flags 1" },
		{ "parity", 96, 1, ERR_FORMAT, "parity" },
		{ "reserved", 100, 1, ERR_FORMAT, "reserved" },
		{ "reserved keys", 160, 1, ERR_FORMAT, "reserved" },
		{ "reserved end", 500, 1, ERR_FORMAT, "reserved" },
		{ "algorithms", 40, 0x02000102, ERR_FORMAT, "id algorithm 2" },
		{ "cuts", 40, 0x02000201, ERR_FORMAT, "cut algorithm 2" },
		{ "wrapping", 40, 0x02010101, ERR_FORMAT, "wrapped secret" },
		{ "norm", 40, 0x09000101, ERR_CORRUPT, "level 9" },
		{ "chunk minimum", 44, 0, ERR_CORRUPT, "chunks of 0" },
		{ "chunk target", 48, 65537, ERR_CORRUPT, "65537" },
		{ "chunk maximum", 52, 1u << 24, ERR_CORRUPT, "16777216" },
		{ "no blocks", 56, 0, ERR_CORRUPT, "blocks of up to 0" },
		{ "blocks", 56, (1u << 24) + 1, ERR_CORRUPT, "16777217" },
		{ "packs", 60, 0, ERR_CORRUPT, "packs of 0" },
		{ "level", 64, 23, ERR_CORRUPT, "zstd level 23" },
		{ "depth", 68, 9, ERR_CORRUPT, "delta depth 9" },
		{ "page minimum", 72, 1, ERR_CORRUPT, "directory pages" },
		{ "page maximum", 76, 2047, ERR_CORRUPT, "directory pages" },
		{ "page bits", 80, 33, ERR_CORRUPT, "33 bits" },
		{ "list minimum", 84, 1, ERR_CORRUPT, "list nodes" },
		{ "list maximum", 88, 63, ERR_CORRUPT, "list nodes" },
		{ "list bits", 92, 33, ERR_CORRUPT, "33 bits" },
		{ "zone length", 256, 64, ERR_CORRUPT, "time zone" },
		{ "zone tail", 316, 1, ERR_CORRUPT, "time zone" },
		{ "magic", 0, 0, ERR_CORRUPT, "not an ieri config" },
	};
	uint8_t data[CONFIG_SIZE];
	struct config c;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sample(&c);
		config_encode(&c, data);
		le32_put(data + cases[i].offset, cases[i].value);
		seal(data, sizeof(data));
		if (config_decode(&c, data, sizeof(data), &err) !=
		    cases[i].code || !strstr(err.msg, cases[i].words))
			fail_msg("%s: %s", cases[i].name, err.msg);
	}
	sample(&c);
	config_encode(&c, data);
	config_decode(&c, data, 100, &err);
	assert_non_null(strstr(err.msg, "too short"));
	data[300] ^= 1;
	config_decode(&c, data, sizeof(data), &err);
	assert_non_null(strstr(err.msg, "damaged"));
}

static void test_a_longer_config_of_a_newer_version_is_named_so(void **state)
{
	uint8_t data[CONFIG_SIZE + 512] = { 0 };
	struct config c;
	struct err err;

	(void)state;
	sample(&c);
	config_encode(&c, data);
	le32_put(data + 8, 7);
	seal(data, sizeof(data));
	assert_int_equal(ERR_FORMAT, config_decode(&c, data, sizeof(data),
	    &err));
	assert_non_null(strstr(err.msg, "version 7"));
	le32_put(data + 8, 1);
	seal(data, sizeof(data));
	assert_int_equal(ERR_CORRUPT, config_decode(&c, data, sizeof(data),
	    &err));
	assert_non_null(strstr(err.msg, "too long"));
}

static void test_a_zone_must_be_a_name(void **state)
{
	char zone[80];
	struct config c;
	struct err err;

	(void)state;
	memset(zone, 'x', sizeof(zone));
	zone[63] = '\0';
	assert_int_equal(0, config_new(&c, zone, 0, &err));
	zone[63] = 'x';
	zone[64] = '\0';
	assert_int_equal(ERR_INVALID, config_new(&c, zone, 0, &err));
	assert_int_equal(ERR_INVALID, config_new(&c, "a\nb", 0, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_config_reads_back),
		cmocka_unit_test(test_two_stores_share_nothing),
		cmocka_unit_test(test_the_bytes_are_frozen),
		cmocka_unit_test(test_every_flipped_bit_is_seen),
		cmocka_unit_test(test_every_other_length_is_refused),
		cmocka_unit_test(test_each_refusal_has_words_of_its_own),
		cmocka_unit_test(
		    test_a_longer_config_of_a_newer_version_is_named_so),
		cmocka_unit_test(test_a_zone_must_be_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
