#include "index/block.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "index/chunks.h"

#define CAP (256u << 10)
#define GOLDEN_RECORD 0x60d74682792b00e6

static bool lie;

/* Stands before the library's, so that a case can make it lie. */
size_t ZSTD_compress2(ZSTD_CCtx *c, void *dst, size_t dst_len,
    const void *src, size_t src_len)
{
	size_t (*real)(ZSTD_CCtx *, void *, size_t, const void *, size_t);
	uint8_t *altered;
	size_t n;

	*(void **)&real = dlsym(RTLD_NEXT, "ZSTD_compress2");
	if (!lie)
		return real(c, dst, dst_len, src, src_len);
	altered = malloc(src_len);
	memcpy(altered, src, src_len);
	altered[src_len / 2] ^= 1;
	n = real(c, dst, dst_len, altered, src_len);
	free(altered);
	return n;
}

/* Words that compress, or noise that does not. */
static void fill(uint8_t *data, size_t len, bool noise, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		data[i] = noise ? (uint8_t)(seed >> 56) :
		                  (uint8_t)('a' + (seed >> 62));
	}
}

static struct id id_of(uint64_t n)
{
	struct id id = { { 1 } };

	le64_put(id.b + 8, n);
	return id;
}

static void add(struct batch *b, size_t len, bool noise)
{
	struct id id = id_of(b->n_chunks);
	uint8_t *data = malloc(len);
	struct err err;

	fill(data, len, noise, b->n_chunks + 1);
	assert_int_equal(0, batch_add(b, ID_DATA, &id, data, len, &err));
	free(data);
}

static void test_blocks_come_back_as_they_were(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		uint32_t n;
		bool noise;
		uint8_t codec;
	} cases[] = {
		{ "one byte", 1, 1, false, BLOCK_PLAIN },
		{ "a small file", 700, 1, false, BLOCK_ZSTD },
		{ "a full block of words", 65536, 4, false, BLOCK_ZSTD },
		{ "a full block of noise", 65536, 4, true, BLOCK_PLAIN },
		{ "as many chunks as go", 64, 4096, false, BLOCK_ZSTD },
		{ "a large chunk", 1 << 20, 1, false, BLOCK_ZSTD },
	};
	struct block_codec *c;
	struct err err;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct block_entry e;
		struct batch b;
		uint8_t *record, *raw;
		size_t len;

		print_message("%s\n", cases[i].name);
		assert_int_equal(0, batch_init(&b, CAP, &err));
		for (uint32_t k = 0; k < cases[i].n; k++) {
			assert_true(batch_fits(&b, cases[i].len));
			add(&b, cases[i].len, cases[i].noise);
		}
		assert_int_equal(0, block_encode(c, &b, true, &record, &len,
		    &e, &err));
		assert_int_equal(cases[i].codec, e.codec);
		assert_int_equal(b.len, e.raw);
		assert_int_equal(b.n_chunks, e.n_chunks);
		assert_int_equal(0, e.n_bases);
		assert_int_equal(block_head_len(e.n_chunks, 0) + e.stored, len);
		raw = malloc(e.raw);
		assert_int_equal(0, block_decode(c, &e, record + len - e.stored,
		    NULL, 0, raw, &err));
		assert_memory_equal(b.raw, raw, e.raw);
		free(raw);
		batch_fini(&b);
	}
	block_codec_free(c);
}

static void test_a_batch_knows_what_fits(void **state)
{
	static uint8_t data[CAP + 1];
	struct id id = id_of(1);
	struct batch b;
	struct err err;

	(void)state;
	assert_int_equal(0, batch_init(&b, CAP, &err));
	assert_true(batch_fits(&b, CHUNK_MAX));
	assert_int_equal(ERR_INVALID, batch_add(&b, ID_DATA, &id, data, 0,
	    &err));
	add(&b, CAP - 10, false);
	assert_true(batch_fits(&b, 10));
	assert_false(batch_fits(&b, 11));
	batch_reset(&b);
	add(&b, CAP + 1, false);
	assert_false(batch_fits(&b, 1));
	batch_reset(&b);
	for (int i = 0; i < BLOCK_CHUNKS_MAX; i++)
		add(&b, 1, false);
	assert_false(batch_fits(&b, 1));
	batch_fini(&b);
}

/* What becomes of noise of which only the last `same` bytes can be saved. */
static uint8_t codec_saving(struct block_codec *c, size_t same)
{
	static uint8_t data[100000];
	struct id id = id_of(1);
	struct block_entry e;
	uint8_t *record;
	struct batch b;
	struct err err;
	size_t len;

	fill(data, sizeof(data), true, 7);
	memset(data + sizeof(data) - same, 'x', same);
	assert_int_equal(0, batch_init(&b, CAP, &err));
	assert_int_equal(0, batch_add(&b, ID_DATA, &id, data, sizeof(data),
	    &err));
	assert_int_equal(0, block_encode(c, &b, true, &record, &len, &e,
	    &err));
	batch_fini(&b);
	return e.codec;
}

static void test_what_saves_under_three_percent_is_plain(void **state)
{
	struct block_codec *c;
	struct err err;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(BLOCK_PLAIN, codec_saving(c, 2500));
	assert_int_equal(BLOCK_ZSTD, codec_saving(c, 3500));
	block_codec_free(c);
}

static void test_a_lying_compressor_is_caught(void **state)
{
	struct block_codec *c;
	struct block_entry e;
	uint8_t *record;
	struct batch b;
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, batch_init(&b, CAP, &err));
	add(&b, 5000, false);
	lie = true;
	assert_int_equal(0, block_encode(c, &b, false, &record, &len, &e,
	    &err));
	assert_int_equal(ERR_CORRUPT, block_encode(c, &b, true, &record, &len,
	    &e, &err));
	lie = false;
	assert_int_equal(0, block_encode(c, &b, true, &record, &len, &e,
	    &err));
	batch_fini(&b);
	block_codec_free(c);
}

/* A record of three chunks at offset 96; the caller frees it. */
static uint8_t *sample(struct block_codec *c, bool noise, size_t *len,
    struct block_entry *e)
{
	uint8_t *record, *copy;
	struct batch b;
	struct err err;

	assert_int_equal(0, batch_init(&b, CAP, &err));
	add(&b, 100, noise);
	add(&b, 200, noise);
	add(&b, 300, noise);
	b.chunks[1].kind = ID_META;
	assert_int_equal(0, block_encode(c, &b, true, &record, len, e, &err));
	block_place(record, 96);
	e->offset = 96;
	copy = malloc(*len);
	memcpy(copy, record, *len);
	batch_fini(&b);
	return copy;
}

static void test_a_head_tells_all_but_the_ids(void **state)
{
	struct block_chunk chunks[2];
	struct block_entry e, got;
	struct block_codec *c;
	uint8_t *record;
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	record = sample(c, false, &len, &e);
	assert_int_equal(0, block_head_decode(record, len, 96, &got, chunks, 2,
	    &err));
	assert_int_equal(e.sum, got.sum);
	assert_int_equal(e.stored, got.stored);
	assert_int_equal(600, got.raw);
	assert_int_equal(3, got.n_chunks);
	assert_int_equal(BLOCK_ZSTD, got.codec);
	assert_int_equal(96, got.offset);
	assert_int_equal(100, chunks[0].len);
	assert_int_equal(200, chunks[1].len);
	assert_int_equal(ID_META, chunks[1].kind);
	assert_int_equal(ERR_CORRUPT, block_head_decode(record, len, 97, &got,
	    chunks, 2, &err));
	free(record);
	block_codec_free(c);
}

static void test_every_flip_and_cut_is_seen(void **state)
{
	struct block_codec *c;
	struct block_entry e, got;
	uint8_t *record, *stored;
	uint8_t raw[600];
	struct err err;
	size_t head, len;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	for (int noise = 0; noise < 2; noise++) {
		record = sample(c, noise, &len, &e);
		head = len - e.stored;
		stored = record + head;
		for (size_t i = 0; i < len; i++) {
			record[i] ^= 0x10;
			if (i < head)
				assert_int_equal(ERR_CORRUPT,
				    block_head_decode(record, len, 96, &got,
				    NULL, 0, &err));
			else
				assert_int_equal(ERR_CORRUPT, block_decode(c,
				    &e, stored, NULL, 0, raw, &err));
			record[i] ^= 0x10;
		}
		for (size_t i = 0; i < head; i++) {
			uint8_t *cut = malloc(i + 1);

			memcpy(cut, record, i);
			assert_int_equal(ERR_CORRUPT, block_head_decode(cut, i,
			    96, &got, NULL, 0, &err));
			free(cut);
		}
		assert_int_equal(0, block_decode(c, &e, stored, NULL, 0, raw,
		    &err));
		free(record);
	}
	block_codec_free(c);
}

/* Somebody who can compute sums is still held to the lengths. */
static void test_lengths_must_be_exact(void **state)
{
	struct block_codec *c;
	struct block_entry e, wrong;
	uint8_t *record, *stored;
	uint8_t *raw;
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	record = sample(c, false, &len, &e);
	stored = record + len - e.stored;
	for (int by = -600; by <= 600; by += 100) {
		if (by == 0 || by == -600)
			continue;
		wrong = e;
		wrong.raw = (uint32_t)(600 + by);
		raw = malloc(wrong.raw);
		assert_int_equal(ERR_CORRUPT, block_decode(c, &wrong, stored,
		    NULL, 0, raw, &err));
		free(raw);
	}
	raw = malloc(e.raw);
	for (uint32_t cut = 1; cut < e.stored; cut++) {
		wrong = e;
		wrong.stored = cut;
		wrong.sum = sum64(stored, cut);
		assert_int_equal(ERR_CORRUPT, block_decode(c, &wrong, stored,
		    NULL, 0, raw, &err));
	}
	wrong = e;
	wrong.codec = BLOCK_PLAIN;
	assert_int_equal(ERR_CORRUPT, block_decode(c, &wrong, stored, NULL, 0,
	    raw, &err));
	wrong.codec = 3;
	assert_int_equal(ERR_FORMAT, block_decode(c, &wrong, stored, NULL, 0,
	    raw, &err));
	free(raw);
	free(record);
	block_codec_free(c);
}

static void test_a_delta_needs_its_base(void **state)
{
	static uint8_t base[20000], now[20000], stored[20000], raw[20000];
	struct block_entry e = { .codec = BLOCK_DELTA, .depth = 1 };
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	struct block_codec *c;
	struct err err;
	size_t n;

	(void)state;
	fill(base, sizeof(base), true, 3);
	memcpy(now, base, sizeof(now));
	memcpy(now + 5000, "changed since yesterday", 23);
	ZSTD_CCtx_refPrefix(cctx, base, sizeof(base));
	n = ZSTD_compress2(cctx, stored, sizeof(stored), now, sizeof(now));
	ZSTD_freeCCtx(cctx);
	assert_true(n < 200);
	e.raw = sizeof(now);
	e.stored = (uint32_t)n;
	e.sum = sum64(stored, n);

	assert_int_equal(0, block_codec_new(&c, 1, &err));
	/* Twice: the prefix of one must not linger in the next. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(0, block_decode(c, &e, stored, base,
		    sizeof(base), raw, &err));
		assert_memory_equal(now, raw, sizeof(now));
		memset(raw, 0, sizeof(raw));
	}
	assert_int_equal(ERR_CORRUPT, block_decode(c, &e, stored, NULL, 0, raw,
	    &err));
	block_codec_free(c);
}

static void test_the_bytes_of_a_record_are_frozen(void **state)
{
	struct block_codec *c;
	struct block_entry e;
	uint8_t covered[52];
	uint8_t *record;
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	record = sample(c, true, &len, &e);
	assert_int_equal(48 + 12 + 600, len);
	assert_memory_equal("IBLK\0\0\0\0\x58\2\0\0\x58\2\0\0\3\0\0\0", record,
	    20);
	assert_int_equal(96, le64_get(record + 24));
	assert_int_equal(sum64(record + 60, 600), le64_get(record + 32));
	assert_memory_equal("\x64\0\0\0\xc8\0\0\3\x2c\1\0\0", record + 48, 12);
	memcpy(covered, record, 40);
	memcpy(covered + 40, record + 48, 12);
	assert_int_equal(sum64(covered, 52), le64_get(record + 40));
	assert_int_equal(GOLDEN_RECORD, le64_get(record + 40));
	free(record);
	block_codec_free(c);
}

/* ---- Deltas ---- */

/* A batch of one chunk, its base, and what they hold. */
struct pair {
	uint8_t base[20000];
	uint8_t now[20000];
	struct block_chunk chunk;
	struct block_prefix prefix;
	struct batch b;
};

static struct pair *pair_make(bool noise, uint64_t seed_base, uint64_t seed_now)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct id id = id_of(2);
	struct err err;

	fill(p->base, sizeof(p->base), noise, seed_base);
	fill(p->now, sizeof(p->now), noise, seed_now);
	memcpy(p->now + 5000, "changed since yesterday", 23);
	p->chunk = (struct block_chunk){ .id = id_of(1), .kind = ID_DATA,
		.len = sizeof(p->base) };
	p->prefix = (struct block_prefix){ .raw = p->base,
		.len = sizeof(p->base), .bases = &p->chunk, .n_bases = 1,
		.depth = 2 };
	assert_int_equal(0, batch_init(&p->b, CAP, &err));
	assert_int_equal(0, batch_add(&p->b, ID_DATA, &id, p->now,
	    sizeof(p->now), &err));
	return p;
}

static void pair_drop(struct pair *p)
{
	batch_fini(&p->b);
	free(p);
}

static void test_a_delta_comes_back_with_its_base(void **state)
{
	struct pair *p = pair_make(true, 3, 3);
	static uint8_t raw[20000];
	struct block_entry e, again;
	struct block_chunk base;
	struct block_codec *c;
	uint8_t *record;
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, block_encode_delta(c, &p->b, &p->prefix, true,
	    &record, &len, &e, &err));
	assert_int_equal(BLOCK_DELTA, e.codec);
	assert_int_equal(3, e.depth);
	assert_int_equal(1, e.n_bases);
	assert_true(e.stored < 200);
	assert_int_equal(block_head_len(1, 1) + e.stored, len);
	assert_int_equal(0, block_entry_check(&e, &err));
	assert_int_equal(0, block_decode(c, &e, record + len - e.stored,
	    p->base, sizeof(p->base), raw, &err));
	assert_memory_equal(p->now, raw, sizeof(raw));

	block_place(record, 96);
	assert_int_equal(0, block_head_decode(record, len, 96, &again, NULL, 0,
	    &err));
	assert_int_equal(3, again.depth);
	assert_int_equal(0, block_base_decode(&base, record + 48 + 4, &err));
	assert_true(id_equal(&base.id, &p->chunk.id));
	assert_int_equal(sizeof(p->base), base.len);

	/* The next block of the same codec knows nothing of it. */
	assert_int_equal(0, block_encode(c, &p->b, true, &record, &len, &e,
	    &err));
	assert_int_equal(BLOCK_PLAIN, e.codec);
	block_codec_free(c);
	pair_drop(p);
}

static void test_a_base_that_does_not_help_is_refused(void **state)
{
	static const struct {
		const char *name;
		bool noise;
		uint8_t codec;
	} cases[] = {
		{ "other noise", true, BLOCK_PLAIN },
		{ "other words", false, BLOCK_ZSTD },
	};
	struct block_codec *c;
	struct err err;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	for (size_t i = 0; i < 2; i++) {
		struct pair *p = pair_make(cases[i].noise, 3, 4);
		static uint8_t raw[20000];
		struct block_entry e;
		uint8_t *record;
		size_t len;

		print_message("%s\n", cases[i].name);
		assert_int_equal(0, block_encode_delta(c, &p->b, &p->prefix,
		    true, &record, &len, &e, &err));
		assert_int_equal(cases[i].codec, e.codec);
		assert_int_equal(0, e.depth);
		assert_int_equal(0, e.n_bases);
		assert_int_equal(block_head_len(1, 0) + e.stored, len);
		assert_int_equal(0, block_decode(c, &e, record + len - e.stored,
		    NULL, 0, raw, &err));
		assert_memory_equal(p->now, raw, sizeof(raw));
		pair_drop(p);
	}
	block_codec_free(c);
}

static void test_a_lying_compressor_is_caught_with_a_base_too(void **state)
{
	struct pair *p = pair_make(true, 3, 3);
	struct block_codec *c;
	struct block_entry e;
	uint8_t *record;
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	lie = true;
	assert_int_equal(ERR_CORRUPT, block_encode_delta(c, &p->b, &p->prefix,
	    true, &record, &len, &e, &err));
	lie = false;
	assert_int_equal(0, block_encode_delta(c, &p->b, &p->prefix, true,
	    &record, &len, &e, &err));
	block_codec_free(c);
	pair_drop(p);
}

static void test_a_batch_takes_bases_up_to_its_bound(void **state)
{
	struct block_chunk base = { .id = id_of(1), .kind = ID_DATA,
		.len = CAP };
	struct batch b;
	struct err err;

	(void)state;
	assert_int_equal(0, batch_init(&b, CAP, &err));
	assert_true(batch_add_base(&b, &base));
	assert_true(batch_add_base(&b, &base));
	assert_false(batch_add_base(&b, &base));
	base.len = CAP / 2;
	assert_true(batch_add_base(&b, &base));
	batch_drop_base(&b);
	assert_int_equal(2 * CAP, b.bases_len);
	batch_reset(&b);
	base.len = 1;
	for (int i = 0; i < BLOCK_BASES_MAX; i++)
		assert_true(batch_add_base(&b, &base));
	assert_false(batch_add_base(&b, &base));
	batch_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_come_back_as_they_were),
		cmocka_unit_test(test_a_batch_knows_what_fits),
		cmocka_unit_test(test_what_saves_under_three_percent_is_plain),
		cmocka_unit_test(test_a_lying_compressor_is_caught),
		cmocka_unit_test(test_a_head_tells_all_but_the_ids),
		cmocka_unit_test(test_every_flip_and_cut_is_seen),
		cmocka_unit_test(test_lengths_must_be_exact),
		cmocka_unit_test(test_a_delta_needs_its_base),
		cmocka_unit_test(test_a_delta_comes_back_with_its_base),
		cmocka_unit_test(test_a_base_that_does_not_help_is_refused),
		cmocka_unit_test(
		    test_a_lying_compressor_is_caught_with_a_base_too),
		cmocka_unit_test(test_a_batch_takes_bases_up_to_its_bound),
		cmocka_unit_test(test_the_bytes_of_a_record_are_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
