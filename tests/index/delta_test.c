#include "index/writer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "index/writer_private.h"
#include "tests/index/store_fixture.h"

#define LEN 6000
#define CHUNKS 40
#define NIGHTS 7
#define BLOCK 32768

/* Noise, with one byte changed each night. */
static void night_make(uint8_t *data, unsigned chunk, unsigned night)
{
	uint64_t seed = chunk * 0x9E3779B97F4A7C15u + 1;

	for (size_t i = 0; i < LEN; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		data[i] = (uint8_t)(seed >> 56);
	}
	for (unsigned n = 1; n <= night; n++)
		data[(n * 997 + chunk * 31) % LEN] ^= (uint8_t)n;
}

static struct id night_id(struct store *s, unsigned chunk, unsigned night)
{
	uint8_t data[LEN];
	struct reader *r;
	struct err err;
	struct id id;

	night_make(data, chunk, night);
	OK(reader_take(s, &r, &err));
	OK(id_hash(r->hasher, ID_DATA, data, LEN, &id, &err));
	reader_give(s, r);
	return id;
}

static void night_feed(struct store *s, struct writer *w, unsigned night)
{
	uint8_t data[LEN];
	struct batch b;
	struct reader *r;
	struct err err;

	OK(reader_take(s, &r, &err));
	OK(batch_init(&b, BLOCK, &err));
	for (unsigned k = 0; k < CHUNKS; k++) {
		struct id id = night_id(s, k, night);
		struct block_chunk base = { .kind = ID_DATA, .len = LEN };
		bool is_new;

		OK(writer_claim(w, &id, &is_new, &err));
		if (!is_new)
			continue;
		if (!batch_fits(&b, LEN)) {
			OK(writer_put_batch(w, PACK_DATA, r->codec, &b, &err));
			batch_reset(&b);
		}
		if (night) {
			base.id = night_id(s, k, night - 1);
			assert_true(batch_add_base(&b, &base));
		}
		night_make(data, k, night);
		OK(batch_add(&b, ID_DATA, &id, data, LEN, &err));
	}
	OK(writer_put_batch(w, PACK_DATA, r->codec, &b, &err));
	batch_fini(&b);
	reader_give(s, r);
}

/* Returns the bytes that it added. */
static uint64_t night_ingest(struct store *s, unsigned night)
{
	struct writer *w;
	uint64_t added;
	struct err err;
	struct id id;

	OK(writer_begin(&w, s, "acme/db", NULL, &err));
	night_feed(s, w, night);
	OK(commit_empty(w, night + 1, &id, &err));
	added = writer_added(w);
	writer_end(w);
	return added;
}

static int night_read(struct store *s, unsigned chunk, unsigned night,
    struct err *err)
{
	struct id id = night_id(s, chunk, night);
	struct chunk c = { 0 };
	uint8_t data[LEN];
	int rc;

	rc = chunk_get(store_source(s), ID_DATA, &id, &c, err);
	if (rc)
		return rc;
	night_make(data, chunk, night);
	assert_int_equal(LEN, c.len);
	assert_memory_equal(data, c.data, LEN);
	chunk_release(store_source(s), &c);
	return 0;
}

static void nights_read(struct store *s)
{
	struct err err;

	for (unsigned n = 0; n < NIGHTS; n++)
		for (unsigned k = 0; k < CHUNKS; k++)
			OK(night_read(s, k, n, &err));
}

static struct store *nights_make(struct scratch *dir)
{
	struct store *s = store_make(dir);

	for (unsigned n = 0; n < NIGHTS; n++)
		night_ingest(s, n);
	return s;
}

static struct store *open_with_cache(struct scratch *dir, size_t cache_bytes)
{
	struct store_options options = { .cache_bytes = cache_bytes };
	char path[PATH_ROOM];
	struct store *s;
	struct err err;

	store_at(dir, path);
	OK(store_open(&s, path, &options, &err));
	return s;
}

/* Where it lies; the pack is to be put back. */
static struct chunk_place place_of(struct store *s, unsigned chunk,
    unsigned night)
{
	struct id id = night_id(s, chunk, night);
	struct refused refused = { .n = 0 };
	struct chunk_place p;
	struct err err;

	OK(store_locate(s, &id, &refused, &p, &err));
	return p;
}

static unsigned depth_of(struct store *s, unsigned chunk, unsigned night)
{
	struct chunk_place p = place_of(s, chunk, night);
	unsigned depth = p.block->depth;

	packset_put(s->packs, p.pack);
	return depth;
}

static void spoil(struct store *s, const struct id *pack, off_t at)
{
	char name[PACK_NAME_SIZE];
	uint8_t byte;
	int fd;

	pack_name(pack, name);
	assert_int_equal(0, fchmodat(s->dirs.packs, name, 0600, 0));
	fd = openat(s->dirs.packs, name, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(1, pread(fd, &byte, 1, at));
	byte ^= 0x55;
	assert_int_equal(1, pwrite(fd, &byte, 1, at));
	close(fd);
}

/* ---- Depth, growth, reading ---- */

static void test_no_block_is_deeper_than_the_store_allows(void **state)
{
	static const unsigned want[NIGHTS] = { 0, 1, 2, 3, 4, 0, 1 };
	struct store *s = store_make(*state);
	uint64_t first = 0;

	for (unsigned n = 0; n < NIGHTS; n++) {
		uint64_t added = night_ingest(s, n);

		if (n == 0)
			first = added;
		print_message("night %u: %llu bytes\n", n,
		    (unsigned long long)added);
		if (want[n])
			assert_true(added < first / 10);
		for (unsigned k = 0; k < CHUNKS; k++)
			assert_int_equal(want[n], depth_of(s, k, n));
	}
	store_close(s);
}

static void test_every_night_reads_back_with_any_cache(void **state)
{
	static const size_t caches[] = { 0, 1u << 20, 1 };

	store_close(nights_make(*state));
	for (size_t i = 0; i < sizeof(caches) / sizeof(caches[0]); i++) {
		struct store *s = open_with_cache(*state, caches[i]);

		nights_read(s);
		store_close(s);
	}
}

struct reading {
	struct store *s;
	unsigned from;
	int rc;
	struct err err;
};

static void *read_all(void *arg)
{
	struct reading *r = arg;

	for (unsigned i = 0; i < NIGHTS * CHUNKS && !r->rc; i++) {
		unsigned at = (r->from + i * 11) % (NIGHTS * CHUNKS);

		r->rc = night_read(r->s, at % CHUNKS, at / CHUNKS, &r->err);
	}
	return NULL;
}

static void test_threads_that_need_each_others_bases_do_not_wait(void **state)
{
	struct reading r[4];
	pthread_t thread[4];
	struct store *s;

	store_close(nights_make(*state));
	s = open_with_cache(*state, 64u << 10);
	for (unsigned i = 0; i < 4; i++) {
		r[i] = (struct reading){ .s = s, .from = 71 * i };
		pthread_create(&thread[i], NULL, read_all, &r[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		if (r[i].rc)
			fail_msg("%s", r[i].err.msg);
	}
	store_close(s);
}

/* ---- Bases that cannot be used ---- */

static void test_bases_that_cannot_be_had_are_left_out(void **state)
{
	struct store *s = store_make(*state);
	struct chunk_place p;
	struct err err;

	night_ingest(s, 0);
	p = place_of(s, 3, 0);
	spoil(s, &p.pack->table->id, (off_t)p.block->offset + 2000);
	packset_put(s->packs, p.pack);
	store_close(s);

	s = store_again(*state);
	assert_int_equal(ERR_CORRUPT, night_read(s, 3, 0, &err));
	night_ingest(s, 1);
	for (unsigned k = 0; k < CHUNKS; k++)
		OK(night_read(s, k, 1, &err));
	assert_int_equal(0, depth_of(s, 3, 1));
	assert_int_equal(1, depth_of(s, CHUNKS - 1, 1));

	/* Nights 1 and 2 that were never stored. */
	night_ingest(s, 4);
	for (unsigned k = 0; k < CHUNKS; k++) {
		OK(night_read(s, k, 4, &err));
		assert_int_equal(0, depth_of(s, k, 4));
	}
	store_close(s);
}

static void test_who_relies_on_a_delta_relies_on_its_bases(void **state)
{
	struct store *s = nights_make(*state);
	struct writer *w;
	struct err err;
	bool is_new;
	struct id id;

	id = night_id(s, 0, 4);
	OK(writer_begin(&w, s, "other", NULL, &err));
	OK(writer_claim(w, &id, &is_new, &err));
	assert_false(is_new);
	for (unsigned n = 0; n < NIGHTS; n++) {
		struct chunk_place p = place_of(s, 0, n);

		assert_int_equal(n <= 4,
		    pinned_find(w->pinned, p.at.pack_no, NULL));
		packset_put(s->packs, p.pack);
	}
	writer_end(w);
	store_close(s);
}

/* ---- Damage ---- */

/* Whether the chunk's bytes need the block at `offset` of pack `no`. */
static bool hangs_on(struct store *s, const struct id *id, uint32_t no,
    uint64_t offset)
{
	struct refused refused = { .n = 0 };
	struct chunk_place p;
	struct err err;
	bool does;

	OK(store_locate(s, id, &refused, &p, &err));
	does = p.at.pack_no == no && p.block->offset == offset;
	for (uint32_t i = 0; i < p.block->n_bases && !does; i++)
		does = hangs_on(s,
		    &p.pack->table->bases[p.block->first_base + i].id, no,
		    offset);
	packset_put(s->packs, p.pack);
	return does;
}

static void test_a_damaged_base_costs_what_hangs_on_it_alone(void **state)
{
	struct store *s = nights_make(*state);
	struct store *fresh;
	struct chunk_place p = place_of(s, 0, 1);
	struct err err;
	unsigned lost = 0;

	spoil(s, &p.pack->table->id, (off_t)(p.block->offset +
	    block_head_len(p.block->n_chunks, p.block->n_bases)));
	fresh = store_again(*state);
	for (unsigned n = 0; n < NIGHTS; n++) {
		for (unsigned k = 0; k < CHUNKS; k++) {
			struct id id = night_id(s, k, n);
			int want = hangs_on(s, &id, p.at.pack_no,
			    p.block->offset) ? ERR_CORRUPT : 0;

			assert_int_equal(want, night_read(fresh, k, n, &err));
			lost += want != 0;
		}
	}
	/* Nights 1 to 4 of its chunks; others share their blocks. */
	assert_true(lost >= 4 * 5 && lost < 4 * CHUNKS / 2);
	packset_put(s->packs, p.pack);
	store_close(fresh);
	store_close(s);
}

static void remove_index(struct scratch *dir)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/store/index", dir->path);
	nftw(path, scratch_drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct rebuild_report rebuild(struct scratch *dir)
{
	struct rebuild_report report;
	char path[PATH_ROOM];
	struct err err;

	store_at(dir, path);
	OK(store_rebuild(path, NULL, NULL, NULL, &report, &err));
	return report;
}

static void test_a_lost_index_costs_no_base(void **state)
{
	struct rebuild_report report;
	struct store *s = nights_make(*state);

	store_close(s);
	remove_index(*state);
	report = rebuild(*state);
	assert_int_equal(0, report.packs_scanned);
	assert_int_equal(0, report.snapshots_damaged);
	s = store_again(*state);
	nights_read(s);
	store_close(s);
}

/* Packs that lean on each other, all without a table. */
static void test_lost_tables_and_a_lost_index_cost_no_base(void **state)
{
	struct rebuild_report report;
	struct store *s = nights_make(*state);
	struct pack_row *rows;
	struct err err;
	size_t n;

	OK(db_pack_list(s->db, 0, &rows, &n, &err));
	for (size_t i = 0; i < n; i++)
		spoil(s, &rows[i].id, (off_t)rows[i].size - 200);
	free(rows);
	store_close(s);
	remove_index(*state);
	report = rebuild(*state);
	assert_int_equal(n, report.packs_scanned);
	assert_int_equal(0, report.packs_lost);
	assert_int_equal(0, report.snapshots_damaged);
	assert_int_equal(NIGHTS * CHUNKS, report.chunks);
	s = store_again(*state);
	nights_read(s);
	store_close(s);
}

/* A base that is gone costs the blocks that lean on it, and no other. */
static void test_a_lost_pack_costs_what_leans_on_it(void **state)
{
	struct rebuild_report report;
	struct store *s = nights_make(*state);
	char name[PACK_NAME_SIZE];
	struct chunk_place p = place_of(s, 0, 0);
	struct chunk_place q = place_of(s, 0, 1);
	struct pack_row row;
	struct err err;

	OK(db_pack_find(s->db, q.at.pack_no, &row, &err));
	spoil(s, &row.id, (off_t)row.size - 200);
	pack_name(&p.pack->table->id, name);
	assert_int_equal(0, unlinkat(s->dirs.packs, name, 0));
	packset_put(s->packs, p.pack);
	packset_put(s->packs, q.pack);
	store_close(s);
	remove_index(*state);
	report = rebuild(*state);
	assert_int_equal(1, report.packs_scanned);
	assert_int_equal(0, report.packs_lost);
	assert_true(report.snapshots_damaged > 0);
	s = store_again(*state);
	for (unsigned n = 0; n < 5; n++)
		assert_int_not_equal(0, night_read(s, 0, n, &err));
	for (unsigned n = 0; n < NIGHTS; n++)
		OK(night_read(s, CHUNKS - 1, n, &err));
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_no_block_is_deeper_than_the_store_allows),
		SCRATCH_TEST(test_every_night_reads_back_with_any_cache),
		SCRATCH_TEST(
		    test_threads_that_need_each_others_bases_do_not_wait),
		SCRATCH_TEST(test_bases_that_cannot_be_had_are_left_out),
		SCRATCH_TEST(test_who_relies_on_a_delta_relies_on_its_bases),
		SCRATCH_TEST(test_a_damaged_base_costs_what_hangs_on_it_alone),
		SCRATCH_TEST(test_a_lost_index_costs_no_base),
		SCRATCH_TEST(test_lost_tables_and_a_lost_index_cost_no_base),
		SCRATCH_TEST(test_a_lost_pack_costs_what_leans_on_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
