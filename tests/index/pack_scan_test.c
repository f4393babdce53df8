#include "index/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "tests/index/pack_fixture.h"

static void test_a_scan_needs_no_table(void **state)
{
	struct scratch *s = *state;
	struct pack_table t;
	uint64_t data_end;
	struct pack *p;
	uint32_t lacking;
	struct err err;
	uint8_t *data;
	size_t len;

	pack_make(s, 10, 3000, false);
	assert_int_equal(0, pack_open(&p, s->fd, &info.id, uuid, &err));
	data_end = pack_table(p)->data_end;
	pack_close(p);
	data = slurp(s, &len);
	for (int cut = 0; cut < 3; cut++) {
		/* Whole; without footer; in the midst of the last block. */
		size_t left = cut == 0 ? len : data_end - (cut == 2);
		uint32_t want = cut == 2 ? 9 : 10;

		overwrite(s, data, left);
		assert_int_equal(0, pack_scan(&t, s->fd, &info.id, uuid, &key,
		    NULL, &lacking, &err));
		assert_int_equal(want, t.n_blocks);
		assert_int_equal(7, t.no);
		for (uint32_t i = 0; i < want; i++)
			assert_true(is_batch(&t, i, i, 3000, false));
		pack_table_fini(&t);
	}
	/* The header is lost as well: nobody knows its number. */
	data[0] ^= 1;
	overwrite(s, data, data_end);
	assert_int_equal(ERR_CORRUPT, pack_scan(&t, s->fd, &info.id, uuid,
	    &key, NULL,
	    &lacking, &err));
	overwrite(s, data, len);
	assert_int_equal(0, pack_scan(&t, s->fd, &info.id, uuid, &key, NULL,
	    &lacking, &err));
	assert_int_equal(10, t.n_blocks);
	pack_table_fini(&t);
	free(data);
}

static void test_a_scan_loses_only_the_damaged_block(void **state)
{
	struct scratch *s = *state;
	struct pack_table t, whole;
	struct pack *p;
	uint32_t lacking;
	struct err err;
	uint8_t *data;
	size_t len;

	small_pack(s, 4);
	data = slurp(s, &len);
	assert_int_equal(0, pack_open(&p, s->fd, &info.id, uuid, &err));
	whole = *pack_table(p);
	for (size_t at = 96; at < whole.data_end; at++) {
		uint32_t bad = (uint32_t)block_at(&whole, at, true);
		uint32_t n = 0;

		data[at] ^= 0x20;
		overwrite(s, data, whole.data_end);
		data[at] ^= 0x20;
		assert_int_equal(0, pack_scan(&t, s->fd, &info.id, uuid, &key,
		    NULL, &lacking, &err));
		assert_int_equal(3, t.n_blocks);
		for (uint32_t i = 0; i < 4; i++)
			if (i != bad)
				assert_true(is_batch(&t, n++, i, 40, i % 2));
		pack_table_fini(&t);
	}
	pack_close(p);
	free(data);
}

/* Appends a delta of one chunk; encoding them is not block.h's yet. */
static void add_delta(struct pack_writer *w, const uint8_t *now, size_t len,
    const uint8_t *then, const struct block_chunk *base, uint8_t depth,
    struct block_chunk *chunk)
{
	static uint8_t record[65536];
	struct block_entry e = { .codec = BLOCK_DELTA, .depth = depth };
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	struct id_hasher *h;
	struct err err;

	assert_int_equal(0, id_hasher_new(&h, &key, &err));
	*chunk = (struct block_chunk){ .len = (uint32_t)len };
	assert_int_equal(0, id_hash(h, ID_DATA, now, len, &chunk->id, &err));
	id_hasher_free(h);
	ZSTD_CCtx_refPrefix(cctx, then, base->len);
	e.stored = (uint32_t)ZSTD_compress2(cctx, record + 76, 60000, now,
	    len);
	ZSTD_freeCCtx(cctx);
	e.raw = (uint32_t)len;
	e.n_chunks = 1;
	e.n_bases = 1;
	e.sum = sum64(record + 76, e.stored);
	memset(record, 0, 76);
	memcpy(record, "IBLK", 4);
	record[4] = e.codec;
	record[6] = depth;
	le32_put(record + 8, e.raw);
	le32_put(record + 12, e.stored);
	le32_put(record + 16, 1);
	le32_put(record + 20, 1);
	le64_put(record + 32, e.sum);
	le32_put(record + 48, block_word(chunk));
	memcpy(record + 52, base->id.b, 16);
	le32_put(record + 68, block_word(base));
	assert_int_equal(0, pack_writer_add(w, record, 76 + e.stored, &e, chunk,
	    &err));
}

static void test_a_scan_follows_bases_and_leaves_orphans_out(void **state)
{
	struct scratch *s = *state;
	uint8_t day2[3000], day3[3000];
	struct block_chunk two, three;
	struct pack_writer *w;
	struct block_codec *c;
	struct pack_table t;
	struct batch b;
	uint32_t lacking;
	struct err err;
	uint8_t *table, *data;
	size_t len;

	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, new_writer(s, &w, &info, &err));
	batch_make(&b, 0, 3, 3000, true);
	memcpy(day2, b.raw + 3000, 3000);
	memcpy(day2 + 100, "two", 3);
	memcpy(day3, day2, 3000);
	memcpy(day3 + 200, "three", 5);
	/* The deltas lie before their base, as threads may have it. */
	add_delta(w, day2, 3000, b.raw + 3000, &b.chunks[1], 1, &two);
	add_delta(w, day3, 3000, day2, &two, 2, &three);
	assert_int_equal(0, batch_write(w, c, &b, &err));
	assert_int_equal(0, pack_writer_seal(w, s->fd, &table, &len, &err));
	pack_writer_free(w);
	free(table);

	assert_int_equal(0, pack_scan(&t, s->fd, &info.id, uuid, &key, NULL,
	    &lacking, &err));
	assert_int_equal(3, t.n_blocks);
	assert_int_equal(2, t.n_bases);
	assert_true(id_equal(&t.chunks[0].id, &two.id));
	assert_true(id_equal(&t.chunks[1].id, &three.id));
	assert_true(id_equal(&t.bases[1].id, &two.id));
	pack_table_fini(&t);

	/* Damage in the first delta orphans the second, not the base. */
	data = slurp(s, &len);
	data[96 + 76 + 10] ^= 1;
	overwrite(s, data, len);
	assert_int_equal(0, pack_scan(&t, s->fd, &info.id, uuid, &key, NULL,
	    &lacking, &err));
	assert_int_equal(1, t.n_blocks);
	assert_int_equal(3, t.n_chunks);
	assert_int_equal(0, t.n_bases);
	assert_true(is_batch(&t, 0, 0, 3000, true));
	pack_table_fini(&t);
	free(data);
	batch_fini(&b);
	block_codec_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_scan_needs_no_table),
		SCRATCH_TEST(test_a_scan_loses_only_the_damaged_block),
		SCRATCH_TEST(
		    test_a_scan_follows_bases_and_leaves_orphans_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
