#include "chunker/id.h"

#include <pthread.h>

#include "tests/chunker/support.h"

/*
 * All vectors here are frozen: a store names its chunks by them.  They were
 * computed independently, with the AESGCM, AES-ECB and HKDF of Python's
 * cryptography package: secret 00 01 .. 1f, uuid a0 a1 .. af, and data the
 * first bytes of random input 1.
 */
static uint8_t secret[ID_SECRET_LEN];
static uint8_t uuid[16];

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(uuid); i++)
		uuid[i] = (uint8_t)(0xa0 + i);
	return 0;
}

/* A hasher of domain 0, to be freed. */
static struct id_hasher *hasher_new(void)
{
	struct id_hasher *h;
	struct id_key key;
	struct err err;

	assert_int_equal(0, id_key_derive(&key, secret, uuid, 0, &err));
	assert_int_equal(0, id_hasher_new(&h, &key, &err));
	return h;
}

static void assert_hex(const char *want, const uint8_t bytes[ID_LEN])
{
	char hex[ID_HEX];
	struct id id;

	memcpy(id.b, bytes, ID_LEN);
	assert_string_equal(want, id_hex(&id, hex));
}

static void test_keys_are_frozen(void **state)
{
	static const struct {
		uint32_t domain;
		const char *k1, *k2;
	} cases[] = {
		{ 0, "c2cdd85617c4700c96501423027d167e",
		    "e95645337f0bcca7ee5d324d681efd9d" },
		{ 1, "abfa529781862102e913c6ed1b76a433",
		    "177ba92715c17995b5a3779651f4233e" },
		{ 0x01020304, "e1ac0de40f5dc6f10a56110a15089d50",
		    "3d94084680e81d8473edd2e536e61bd8" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct id_key key;

		assert_int_equal(0,
		    id_key_derive(&key, secret, uuid, cases[i].domain, &err));
		assert_hex(cases[i].k1, key.k1);
		assert_hex(cases[i].k2, key.k2);
	}
}

static void test_cut_key_is_frozen(void **state)
{
	struct err err;
	uint64_t key;

	(void)state;
	assert_int_equal(0, id_cut_key_derive(&key, secret, uuid, &err));
	assert_true(key == UINT64_C(0x555a6f6ad24ffc67));
}

static void test_ids_are_frozen(void **state)
{
	static const struct {
		enum id_kind kind;
		size_t len;
		const char *hex;
	} cases[] = {
		{ ID_DATA, 0, "46709809d10462893cb8191c16a49ffa" },
		{ ID_DATA, 1, "42e410d916ffe0792293dbd2bcfcd7e2" },
		{ ID_DATA, 16, "239f8660f982ff84e89597d2c3e18bb4" },
		{ ID_DATA, 63, "1363ad7b0c459d4021c3942d61fc5c49" },
		{ ID_DATA, 1024, "6261bb3b0d4d70fdaff0a207af166a73" },
		{ ID_DATA, 65536, "f32b759c5f23d705109ef2063e7ed46e" },
		{ ID_TREE, 0, "0645ca1fd27f31e01e83bb5d4ca0cd87" },
		{ ID_TREE, 1, "4a4fcd51f18111b7c60688679f68e607" },
		{ ID_TREE, 1024, "a45026c5f857d611168650188e848047" },
		{ ID_TREE, 65536, "a2229eb468d52f4858423bcc2ef4e7dd" },
		{ ID_LIST, 0, "69c75c5f478f1298e315d6dffe4775d2" },
		{ ID_LIST, 16, "6a4c08cd908f6099fed06ff035dee97a" },
		{ ID_LIST, 1024, "92a5289cb33886611895ffdaa8d6e451" },
		{ ID_META, 0, "f6057498982473790aa9df9c19e82a2a" },
		{ ID_META, 63, "7e0e00b440e3d50580f8b27eb7d5852b" },
		{ ID_META, 1024, "b1a5d8910290f29c86e0d8dcad9efcbf" },
	};
	uint8_t *data = input_new(INPUT_RANDOM, 1, 65536);
	struct id_hasher *h = hasher_new();

	(void)state;
	/* Twice: a hasher forgets every chunk it has named. */
	for (size_t i = 0; i < 2 * N_OF(cases); i++) {
		size_t n = i % N_OF(cases);
		struct err err;
		struct id id;

		assert_int_equal(0,
		    id_hash(h, cases[n].kind, cases[n].len ? data : NULL,
			cases[n].len, &id, &err));
		assert_hex(cases[n].hex, id.b);
	}
	id_hasher_free(h);
	free(data);
}

static void test_ids_tell_keys_and_lengths_apart(void **state)
{
	static const uint8_t zeros[64];
	struct id_key key = { { 0 }, { 0 } };
	struct id seen[65 + 2];
	size_t n = 0;
	struct id_hasher *h;
	struct err err;

	(void)state;
	for (size_t which = 0; which < 3; which++) {
		key.k1[0] = which == 1;
		key.k2[0] = which == 2;
		assert_int_equal(0, id_hasher_new(&h, &key, &err));
		for (size_t len = which ? 64 : 0; len <= 64; len++)
			assert_int_equal(0,
			    id_hash(h, ID_DATA, zeros, len, &seen[n++], &err));
		id_hasher_free(h);
	}
	assert_int_equal(N_OF(seen), n);
	for (size_t i = 0; i < n; i++) {
		assert_false(id_is_zero(&seen[i]));
		for (size_t j = 0; j < i; j++)
			assert_false(id_equal(&seen[i], &seen[j]));
	}
}

static void test_hex_goes_there_and_back(void **state)
{
	static const char hex[] = "00112233445566778899aabbccddeeff";
	char back[ID_HEX];
	struct err err;
	struct id id, upper;

	(void)state;
	assert_int_equal(0, id_parse(&id, hex, &err));
	assert_int_equal(0xff, id.b[15]);
	assert_string_equal(hex, id_hex(&id, back));
	assert_int_equal(0,
	    id_parse(&upper, "00112233445566778899AABBCCDDEEFF", &err));
	assert_true(id_equal(&id, &upper));
}

static void test_what_is_not_an_id_is_refused(void **state)
{
	static const struct {
		const char *name;
		const char *hex;
	} cases[] = {
		{ "nothing", "" },
		{ "a digit too few", "00112233445566778899aabbccddeef" },
		{ "a digit too many", "00112233445566778899aabbccddeeff0" },
		{ "a letter past f", "00112233445566778899aabbccddeefg" },
		{ "a space before", " 0112233445566778899aabbccddeeff" },
		{ "a sign", "+0112233445566778899aabbccddeeff" },
		{ "an accent",
		    "\xc3\xa9"
		    "112233445566778899aabbccddeeff" },
	};
	static const struct id zero;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct id id = zero;
		struct err err;

		test_case(cases[i].name);
		assert_int_equal(ERR_INVALID,
		    id_parse(&id, cases[i].hex, &err));
		assert_true(id_is_zero(&id));
	}
}

static void test_random_bytes_differ(void **state)
{
	uint8_t a[32], b[32];
	struct err err;

	(void)state;
	assert_int_equal(0, id_random(a, sizeof(a), &err));
	assert_int_equal(0, id_random(b, sizeof(b), &err));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(0, id_random(a, 0, &err));
	assert_int_equal(ERR_SYSTEM, id_random(a, SIZE_MAX, &err));
}

/* Each thread with a hasher of its own.  Returns NULL when all ids agree. */
static void *name_often(void *want)
{
	struct id_hasher *h = hasher_new();
	uint8_t data[1024];
	bool same = true;

	fill(INPUT_RANDOM, 1, data, sizeof(data));
	for (size_t i = 0; i < 2000; i++) {
		struct err err;
		struct id id;

		same = same &&
		    id_hash(h, ID_DATA, data, sizeof(data), &id, &err) == 0 &&
		    id_equal(&id, want);
	}
	id_hasher_free(h);
	return same ? NULL : want;
}

static void test_threads_name_alike(void **state)
{
	pthread_t threads[4];
	struct err err;
	struct id want;

	(void)state;
	assert_int_equal(0,
	    id_parse(&want, "6261bb3b0d4d70fdaff0a207af166a73", &err));
	for (size_t i = 0; i < N_OF(threads); i++)
		assert_int_equal(0,
		    pthread_create(&threads[i], NULL, name_often, &want));
	for (size_t i = 0; i < N_OF(threads); i++) {
		void *differs;

		assert_int_equal(0, pthread_join(threads[i], &differs));
		assert_null(differs);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_frozen),
		cmocka_unit_test(test_cut_key_is_frozen),
		cmocka_unit_test(test_ids_are_frozen),
		cmocka_unit_test(test_ids_tell_keys_and_lengths_apart),
		cmocka_unit_test(test_hex_goes_there_and_back),
		cmocka_unit_test(test_what_is_not_an_id_is_refused),
		cmocka_unit_test(test_random_bytes_differ),
		cmocka_unit_test(test_threads_name_alike),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
