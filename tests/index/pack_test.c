#include "index/pack.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "tests/index/pack_fixture.h"

#define GOLDEN_PACK 0xb7fa2b9d7dce2f6

static void test_a_sealed_pack_holds_its_batches(void **state)
{
	struct scratch *s = *state;
	struct block_codec *c;
	struct stat st;
	struct pack *p;
	struct err err;

	pack_make(s, 20, 5000, false);
	assert_true(absent(s->fd, "new.pack"));
	assert_int_equal(0, fstatat(s->fd, PACK_PATH, &st, 0));
	assert_int_equal(0440, st.st_mode & 07777);

	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, pack_open(&p, s->fd, &info.id, uuid, &err));
	assert_int_equal(20, pack_table(p)->n_blocks);
	assert_int_equal(60, pack_table(p)->n_chunks);
	assert_int_equal(7, pack_table(p)->no);
	assert_int_equal(st.st_size, pack_table(p)->size);
	assert_int_equal(42, pack_info(p)->session);
	assert_int_equal(info.created_ns, pack_info(p)->created_ns);
	for (unsigned i = 0; i < 20; i++) {
		struct batch b;
		uint8_t *raw;

		assert_true(is_batch(pack_table(p), i, i, 5000, false));
		batch_make(&b, i, 3, 5000, false);
		assert_int_equal(0, block_get(p, c, i, &raw, &err));
		assert_memory_equal(b.raw, raw, b.len);
		free(raw);
		batch_fini(&b);
	}
	pack_close(p);
	block_codec_free(c);
}

static void test_seal_and_open_give_the_same_table(void **state)
{
	struct scratch *s = *state;
	struct pack_table t;
	struct pack_writer *w;
	struct block_codec *c;
	uint8_t *given, *read;
	size_t given_len, read_len;
	struct pack *p;
	struct batch b;
	struct err err;

	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, new_writer(s, &w, &info, &err));
	batch_make(&b, 1, 3, 100, false);
	assert_int_equal(96, pack_writer_size(w));
	assert_int_equal(0, batch_write(w, c, &b, &err));
	assert_int_equal(1, pack_writer_blocks(w));
	assert_int_equal(3, pack_writer_chunks(w));
	assert_memory_equal(&info.id, &pack_writer_info(w)->id, 16);
	assert_int_equal(0, pack_writer_seal(w, s->fd, &given, &given_len,
	    &err));
	assert_int_equal(ERR_SYSTEM, batch_write(w, c, &b, &err));
	pack_writer_free(w);

	assert_int_equal(0, pack_open(&p, s->fd, &info.id, uuid, &err));
	assert_int_equal(0, pack_table_bytes(p, &read, &read_len, &err));
	assert_int_equal(given_len, read_len);
	assert_memory_equal(given, read, read_len);
	assert_int_equal(0, pack_table_decode(&t, given, given_len, uuid,
	    &err));
	assert_int_equal(1, t.n_blocks);
	pack_table_fini(&t);
	pack_close(p);
	free(given);
	free(read);
	batch_fini(&b);
	block_codec_free(c);
}

struct adder {
	struct pack_writer *w;
	unsigned first;
	int rc;
};

#define THREADS 4
#define EACH 200

static void *add_many(void *arg)
{
	struct adder *a = arg;
	struct block_codec *c;
	struct err err;

	a->rc = block_codec_new(&c, 1, &err);
	for (unsigned i = 0; a->rc == 0 && i < EACH; i++) {
		struct batch b;

		batch_make(&b, a->first + i, 3, 500 + 10 * i, i % 2);
		a->rc = batch_write(a->w, c, &b, &err);
		batch_fini(&b);
	}
	block_codec_free(c);
	return NULL;
}

static void test_threads_may_add_to_one_pack(void **state)
{
	struct scratch *s = *state;
	struct adder adders[THREADS];
	pthread_t threads[THREADS];
	bool seen[THREADS * EACH] = { false };
	struct pack_writer *w;
	struct block_codec *c;
	uint8_t *table;
	struct pack *p;
	struct err err;
	size_t len;

	assert_int_equal(0, new_writer(s, &w, &info, &err));
	for (unsigned i = 0; i < THREADS; i++) {
		adders[i] = (struct adder){ .w = w, .first = i * EACH };
		pthread_create(&threads[i], NULL, add_many, &adders[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(0, adders[i].rc);
	}
	assert_int_equal(THREADS * EACH, pack_writer_blocks(w));
	assert_int_equal(0, pack_writer_seal(w, s->fd, &table, &len, &err));
	pack_writer_free(w);
	free(table);

	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, pack_open(&p, s->fd, &info.id, uuid, &err));
	for (uint32_t i = 0; i < pack_table(p)->n_blocks; i++) {
		uint8_t *raw;

		assert_int_equal(0, block_get(p, c, i, &raw, &err));
		free(raw);
		for (unsigned k = 0; k < THREADS * EACH; k++)
			if (pack_table(p)->blocks[i].raw ==
			        3 * (500 + 10 * (k % EACH)) &&
			    is_batch(pack_table(p), i, k, 500 + 10 * (k % EACH),
			        k % EACH % 2))
				seen[k] = true;
	}
	for (unsigned k = 0; k < THREADS * EACH; k++)
		assert_true(seen[k]);
	pack_close(p);
	block_codec_free(c);
}

static void test_a_failed_write_leaves_no_file(void **state)
{
	struct scratch *s = *state;
	struct rlimit before, tight;
	struct pack_writer *w;
	struct block_codec *c;
	uint8_t *table;
	struct batch b;
	struct err err;
	size_t len;
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, new_writer(s, &w, &info, &err));
	batch_make(&b, 1, 3, 20000, true);
	assert_int_equal(0, batch_write(w, c, &b, &err));
	getrlimit(RLIMIT_FSIZE, &before);
	tight = before;
	tight.rlim_cur = 70000;
	setrlimit(RLIMIT_FSIZE, &tight);
	rc = batch_write(w, c, &b, &err);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(ERR_SYSTEM, rc);
	assert_true(absent(s->fd, "new.pack"));
	assert_int_equal(ERR_SYSTEM, batch_write(w, c, &b, &err));
	assert_int_equal(ERR_SYSTEM, pack_writer_seal(w, s->fd, &table, &len,
	    &err));
	assert_true(absent(s->fd, PACK_PATH));
	pack_writer_free(w);
	batch_fini(&b);
	block_codec_free(c);
}

static void test_a_writer_given_up_leaves_no_file(void **state)
{
	struct scratch *s = *state;
	struct pack_writer *w, *second;
	struct block_codec *c;
	uint8_t *table;
	struct batch b;
	struct err err;
	size_t len;

	assert_int_equal(0, new_writer(s, &w, &info, &err));
	assert_int_equal(ERR_EXISTS, new_writer(s, &second, &info, &err));
	assert_false(absent(s->fd, "new.pack"));
	pack_writer_free(w);
	assert_true(absent(s->fd, "new.pack"));

	assert_int_equal(0, new_writer(s, &w, &info, &err));
	assert_int_equal(ERR_INVALID, pack_writer_seal(w, s->fd, &table, &len,
	    &err));
	assert_true(absent(s->fd, "new.pack"));
	pack_writer_free(w);

	/* The name is taken: what is there stays. */
	pack_make(s, 1, 100, false);
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, new_writer(s, &w, &info, &err));
	batch_make(&b, 5, 3, 100, false);
	assert_int_equal(0, batch_write(w, c, &b, &err));
	assert_int_equal(ERR_EXISTS, pack_writer_seal(w, s->fd, &table, &len,
	    &err));
	assert_true(absent(s->fd, "new.pack"));
	assert_false(absent(s->fd, PACK_PATH));
	pack_writer_free(w);
	batch_fini(&b);
	block_codec_free(c);
}

static void test_kinds_do_not_mix(void **state)
{
	struct scratch *s = *state;
	struct pack_info meta = info;
	struct pack_writer *w;
	struct block_codec *c;
	struct batch b;
	struct err err;

	meta.kind = PACK_META;
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, new_writer(s, &w, &meta, &err));
	batch_make(&b, 1, 3, 100, false);
	assert_int_equal(ERR_INVALID, batch_write(w, c, &b, &err));
	assert_int_equal(0, pack_writer_blocks(w));
	b.chunks[0].kind = ID_TREE;
	b.chunks[1].kind = ID_LIST;
	b.chunks[2].kind = ID_META;
	assert_int_equal(0, batch_write(w, c, &b, &err));
	pack_writer_free(w);
	batch_fini(&b);
	block_codec_free(c);
}

static void test_other_stores_and_names_are_refused(void **state)
{
	struct scratch *s = *state;
	struct id other = info.id;
	struct pack *p;
	struct err err;

	pack_make(s, 1, 100, false);
	assert_int_equal(ERR_CORRUPT, pack_open(&p, s->fd, &info.id,
	    (const uint8_t *)"another uuid 123", &err));
	other.b[15]++;
	assert_int_equal(ERR_NOT_FOUND, pack_open(&p, s->fd, &other, uuid,
	    &err));
	assert_int_equal(0, renameat(s->fd, PACK_PATH, s->fd,
	    "ab/abcd030405060708090a0b0c0d0e0f11.pack"));
	assert_int_equal(ERR_CORRUPT, pack_open(&p, s->fd, &other, uuid,
	    &err));
}

/*
 * A flipped pack does not open, or still has the same table.  Heads of records
 * serve recovery only: a flip there changes nothing that is read.
 */
static void assert_flip_is_seen(struct scratch *s, struct block_codec *c)
{
	struct pack *p;
	struct err err;
	int rc;

	rc = pack_open(&p, s->fd, &info.id, uuid, &err);
	if (rc) {
		assert_int_equal(ERR_CORRUPT, rc);
		return;
	}
	for (uint32_t i = 0; i < pack_table(p)->n_blocks; i++) {
		uint8_t *raw;

		rc = block_get(p, c, i, &raw, &err);
		assert_true(rc == 0 || rc == ERR_CORRUPT);
		assert_true(is_batch(pack_table(p), i, i, 40, i % 2));
		free(raw);
	}
	pack_close(p);
}

static void test_every_flipped_byte_is_seen(void **state)
{
	struct scratch *s = *state;
	struct block_codec *c;
	struct pack_table t;
	struct pack *p;
	struct err err;
	uint8_t *data;
	size_t len;

	small_pack(s, 3);
	assert_int_equal(0, block_codec_new(&c, 1, &err));
	data = slurp(s, &len);
	assert_int_equal(0, pack_open(&p, s->fd, &info.id, uuid, &err));
	t = *pack_table(p);
	for (size_t at = 0; at < len; at++) {
		int block = block_at(&t, at, false);
		struct pack *q;
		uint8_t *raw;

		data[at] ^= 0x04;
		overwrite(s, data, len);
		data[at] ^= 0x04;
		assert_flip_is_seen(s, c);
		if (block < 0)
			continue;
		assert_int_equal(0, pack_open(&q, s->fd, &info.id, uuid,
		    &err));
		assert_int_equal(ERR_CORRUPT, block_get(q, c, (uint32_t)block,
		    &raw, &err));
		free(raw);
		pack_close(q);
	}
	pack_close(p);
	free(data);
	block_codec_free(c);
}

static void test_every_truncation_is_seen(void **state)
{
	struct scratch *s = *state;
	struct pack *p;
	struct err err;
	uint8_t *data;
	size_t len;

	small_pack(s, 2);
	data = slurp(s, &len);
	for (size_t cut = 0; cut < len; cut++) {
		overwrite(s, data, cut);
		assert_int_equal(ERR_CORRUPT, pack_open(&p, s->fd, &info.id,
		    uuid, &err));
	}
	free(data);
}

static void test_header_and_footer_must_belong_together(void **state)
{
	struct scratch *s = *state;
	uint8_t *data, *copy;
	struct pack *p;
	struct err err;
	size_t len;

	small_pack(s, 2);
	data = slurp(s, &len);
	copy = malloc(len);
	/* Another id, another number, another kind. */
	for (size_t at = 47; at <= 52; at += at == 47 ? 1 : 4) {
		memcpy(copy, data, len);
		copy[at] ^= 1;
		le64_put(copy + 88, sum64(copy, 88));
		overwrite(s, copy, len);
		assert_int_equal(ERR_CORRUPT, pack_open(&p, s->fd, &info.id,
		    uuid, &err));
	}
	/* Header and footer, and nothing between them. */
	memcpy(copy, data, 96);
	memcpy(copy + 96, data + len - 96, 96);
	overwrite(s, copy, 192);
	assert_int_equal(ERR_CORRUPT, pack_open(&p, s->fd, &info.id, uuid,
	    &err));
	free(copy);
	free(data);
}

/* A table whose sums are right and whose numbers are not. */
static void test_a_forged_table_is_refused(void **state)
{
	struct scratch *s = *state;
	struct pack_table t;
	struct pack *p;
	struct err err;
	uint8_t *table, *foot;
	size_t len;

	small_pack(s, 2);
	assert_int_equal(0, pack_open(&p, s->fd, &info.id, uuid, &err));
	assert_int_equal(0, pack_table_bytes(p, &table, &len, &err));
	foot = table + len - 96;
	for (size_t at = 0; at < len - 8; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			int rc;

			table[at] ^= (uint8_t)(1u << bit);
			le64_put(foot + 72, sum64(table, len - 96));
			le64_put(foot + 88, sum64(foot, 88));
			rc = pack_table_decode(&t, table, len, uuid, &err);
			if (rc == 0)
				pack_table_fini(&t);
			else
				assert_true(rc == ERR_CORRUPT ||
				    rc == ERR_FORMAT);
			/* Of a block all is bound but its sum and codec, and,
			 * for there may be gaps, its place and length. */
			if (at < 2 * 40 && at % 40 >= 20 && at % 40 != 32)
				assert_int_not_equal(0, rc);
			table[at] ^= (uint8_t)(1u << bit);
		}
	}
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut + 1);

		memcpy(copy, table + len - cut, cut);
		assert_int_equal(ERR_CORRUPT, pack_table_decode(&t, copy, cut,
		    uuid, &err));
		free(copy);
	}
	free(table);
	pack_close(p);
}

static void test_the_bytes_of_a_pack_are_frozen(void **state)
{
	struct scratch *s = *state;
	struct pack_writer *w;
	struct block_codec *c;
	struct batch b;
	struct err err;
	uint8_t *table, *data;
	size_t len;

	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, new_writer(s, &w, &info, &err));
	batch_make(&b, 1, 2, 50, true);
	memset(b.chunks[0].id.b, 0x11, 16);
	memset(b.chunks[1].id.b, 0x22, 16);
	assert_int_equal(0, batch_write(w, c, &b, &err));
	assert_int_equal(0, pack_writer_seal(w, s->fd, &table, &len, &err));
	pack_writer_free(w);
	free(table);
	batch_fini(&b);
	block_codec_free(c);

	data = slurp(s, &len);
	assert_int_equal(96 + (56 + 100) + 40 + 2 * 20 + 96, len);
	assert_memory_equal("IERIPACK\1\0\0\0\0\0\0\0store uuid 0123", data,
	    31);
	assert_int_equal(7, le32_get(data + 48));
	assert_int_equal(42, le64_get(data + 72));
	assert_memory_equal("IERIPEND", data + len - 96, 8);
	assert_int_equal(252, le64_get(data + len - 96 + 8));
	assert_int_equal(len, le64_get(data + len - 96 + 16));
	assert_int_equal(96, le64_get(data + 252));
	assert_int_equal(0x11, data[252 + 40]);
	assert_int_equal(50, le32_get(data + 252 + 40 + 36));
	assert_int_equal(GOLDEN_PACK, sum64(data, len));
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_sealed_pack_holds_its_batches),
		SCRATCH_TEST(test_seal_and_open_give_the_same_table),
		SCRATCH_TEST(test_threads_may_add_to_one_pack),
		SCRATCH_TEST(test_a_failed_write_leaves_no_file),
		SCRATCH_TEST(test_a_writer_given_up_leaves_no_file),
		SCRATCH_TEST(test_kinds_do_not_mix),
		SCRATCH_TEST(test_other_stores_and_names_are_refused),
		SCRATCH_TEST(test_every_flipped_byte_is_seen),
		SCRATCH_TEST(test_every_truncation_is_seen),
		SCRATCH_TEST(test_header_and_footer_must_belong_together),
		SCRATCH_TEST(test_a_forged_table_is_refused),
		SCRATCH_TEST(test_the_bytes_of_a_pack_are_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
