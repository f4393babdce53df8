#include "index/store.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "index/pack.h"
#include "tests/index/store_fixture.h"

/* ---- Making and opening ---- */

static void test_a_new_store_has_all_its_folders(void **state)
{
	struct scratch *dir = *state;
	char path[PATH_ROOM];
	struct stat st;
	struct err err;
	char name[64];

	store_at(dir, path);
	OK(store_init(path, "Europe/Rome", &err));
	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "store/packs/%02x", i);
		assert_int_equal(0, fstatat(dir->fd, name, &st, 0));
		assert_int_equal(S_IFDIR | 0700, st.st_mode);
	}
	assert_int_equal(0, fstatat(dir->fd, "store", &st, 0));
	assert_int_equal(S_IFDIR | 0700, st.st_mode);
	assert_int_equal(0, fstatat(dir->fd, "store/config", &st, 0));
	assert_int_equal(CONFIG_SIZE, st.st_size);
	assert_int_equal(0, fstatat(dir->fd, "store/index/index.db", &st, 0));
	assert_int_not_equal(0, fstatat(dir->fd, "store/tmp/config", &st, 0));
}

static void test_what_is_not_empty_is_not_made_a_store(void **state)
{
	struct scratch *dir = *state;
	char path[PATH_ROOM];
	struct stat st;
	struct err err;

	/* An empty directory will do, and a store is not made twice. */
	store_at(dir, path);
	assert_int_equal(0, mkdirat(dir->fd, "store", 0755));
	OK(store_init(path, "UTC", &err));
	assert_int_equal(ERR_EXISTS, store_init(path, "UTC", &err));

	assert_int_equal(0, mkdirat(dir->fd, "mine", 0755));
	assert_int_equal(0, mkdirat(dir->fd, "mine/.file", 0755));
	snprintf(path, sizeof(path), "%s/mine", dir->path);
	assert_int_equal(ERR_EXISTS, store_init(path, "UTC", &err));
	assert_int_equal(0, fstatat(dir->fd, "mine", &st, 0));
	assert_int_equal(3, st.st_nlink);

	snprintf(path, sizeof(path), "%s/no/such", dir->path);
	assert_int_equal(ERR_NOT_FOUND, store_init(path, "UTC", &err));
	snprintf(path, sizeof(path), "%s/zone", dir->path);
	assert_int_equal(ERR_INVALID, store_init(path, "Mars/Olympus", &err));
	assert_int_not_equal(0, fstatat(dir->fd, "zone", &st, 0));
}

/* What init made before it failed is gone, and it can be tried again. */
static void test_an_init_that_fails_leaves_nothing(void **state)
{
	struct scratch *dir = *state;
	char path[PATH_ROOM];
	struct rlimit old, low;
	struct stat st;
	struct err err;

	store_at(dir, path);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	low = old;
	low.rlim_cur = 100;
	setrlimit(RLIMIT_FSIZE, &low);
	assert_int_not_equal(0, store_init(path, "UTC", &err));
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_not_equal(0, fstatat(dir->fd, "store", &st, 0));
	OK(store_init(path, "UTC", &err));
}

static void spoil_file(int dir, const char *name, off_t at, uint8_t with)
{
	uint8_t byte;
	int fd;

	assert_int_equal(0, fchmodat(dir, name, 0600, 0));
	fd = openat(dir, name, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(1, pread(fd, &byte, 1, at));
	byte ^= with;
	assert_int_equal(1, pwrite(fd, &byte, 1, at));
	close(fd);
}

static void test_each_way_not_to_open_has_its_words(void **state)
{
	struct scratch *dir = *state;
	char path[PATH_ROOM];
	uint8_t data[CONFIG_SIZE];
	struct store *s;
	struct err err;
	int fd;

	store_at(dir, path);
	assert_int_equal(ERR_NOT_FOUND, store_open(&s, path, NULL, &err));
	assert_non_null(strstr(err.msg, "no such directory"));
	assert_int_equal(ERR_NOT_FOUND, store_open(&s, dir->path, NULL, &err));
	assert_non_null(strstr(err.msg, "not an ieri store"));

	store_close(store_make(dir));
	fd = openat(dir->fd, "store/config", O_RDWR);
	assert_int_equal(CONFIG_SIZE, read(fd, data, CONFIG_SIZE));

	spoil_file(dir->fd, "store/config", 130, 1);
	assert_int_equal(ERR_CORRUPT, store_open(&s, path, NULL, &err));
	assert_int_equal(0, ftruncate(fd, 100));
	assert_int_equal(ERR_CORRUPT, store_open(&s, path, NULL, &err));
	assert_int_equal(0, ftruncate(fd, 0));
	assert_int_equal(ERR_CORRUPT, store_open(&s, path, NULL, &err));

	data[8] = 2;
	le64_put(data + 504, sum64(data, 504));
	assert_int_equal(CONFIG_SIZE, pwrite(fd, data, CONFIG_SIZE, 0));
	assert_int_equal(ERR_FORMAT, store_open(&s, path, NULL, &err));
	data[8] = 1;
	le64_put(data + 504, sum64(data, 504));
	assert_int_equal(CONFIG_SIZE, pwrite(fd, data, CONFIG_SIZE, 0));
	OK(store_open(&s, path, NULL, &err));
	store_close(s);
	close(fd);

	spoil_file(dir->fd, "store/index/index.db", 3, 0xff);
	assert_int_equal(ERR_CORRUPT, store_open(&s, path, NULL, &err));
	assert_non_null(strstr(err.msg, "rebuild-index"));
	assert_int_equal(0, unlinkat(dir->fd, "store/index/index.db", 0));
	assert_int_equal(ERR_CORRUPT, store_open(&s, path, NULL, &err));
	assert_non_null(strstr(err.msg, "missing"));
	assert_non_null(strstr(err.msg, "rebuild-index"));
}

static void test_the_path_is_made_absolute(void **state)
{
	struct scratch *dir = *state;
	char path[PATH_ROOM];
	struct store *s;
	struct err err;
	int here = open(".", O_RDONLY | O_DIRECTORY);

	store_close(store_make(dir));
	store_at(dir, path);
	assert_int_equal(0, fchdir(dir->fd));
	OK(store_open(&s, "./store/../store", NULL, &err));
	assert_string_equal(path, store_path(s));
	assert_int_equal(0, fchdir(here));
	store_close(s);
	close(here);
}

static void test_the_version_changes_with_each_commit(void **state)
{
	struct store *s = store_make(*state);
	struct store *other = store_again(*state);
	uint64_t before, after;
	struct err err;

	OK(store_version(s, &before, &err));
	OK(store_version(s, &after, &err));
	assert_int_equal(before, after);
	ingest(other, "acme/web", 0, 3);
	OK(store_version(s, &after, &err));
	assert_int_not_equal(before, after);
	ingest(s, "acme/web", 0, 3);
	OK(store_version(s, &before, &err));
	assert_int_not_equal(before, after);
	store_close(other);
	store_close(s);
}

/* ---- Reading ---- */

static void test_what_nobody_stored_is_not_found(void **state)
{
	struct store *s = store_make(*state);
	struct err err;

	ingest(s, "acme/web", 0, 10);
	assert_int_equal(ERR_NOT_FOUND, read_back(s, ID_DATA, 10, &err));
	assert_int_equal(ERR_NOT_FOUND, read_back(s, ID_TREE, 1, &err));
	store_close(s);
}

static void test_what_arrives_later_is_found(void **state)
{
	struct store *s = store_make(*state);
	struct store *other = store_again(*state);

	ingest(other, "acme/web", 0, 100);
	all_read_back(s, 0, 100);
	store_close(other);
	store_close(s);
}

struct reading {
	struct store *s;
	unsigned seed;
	unsigned wrong;
};

static void *read_many(void *arg)
{
	struct reading *r = arg;

	for (int i = 0; i < 3000; i++) {
		uint64_t number = (uint64_t)rand_r(&r->seed) % 1000;
		uint8_t data[CHUNK_ROOM];
		size_t len = chunk_make(data, number);
		struct reader *tools;
		struct chunk c;
		struct err err;
		struct id id;

		if (reader_take(r->s, &tools, &err) ||
		    id_hash(tools->hasher, ID_DATA, data, len, &id, &err) ||
		    chunk_get(store_source(r->s), ID_DATA, &id, &c, &err)) {
			r->wrong++;
			continue;
		}
		reader_give(r->s, tools);
		if (c.len != len || memcmp(c.data, data, len) != 0)
			r->wrong++;
		chunk_release(store_source(r->s), &c);
	}
	return NULL;
}

static void test_threads_read_with_a_cache_too_small(void **state)
{
	const struct store_options options = { .cache_bytes = 100000 };
	struct store *s = store_make(*state);
	struct reading reading[4];
	pthread_t thread[4];
	char path[PATH_ROOM];
	struct err err;

	/* More packs than are kept open. */
	s->config.pack_target = 8192;
	ingest(s, "acme/web", 0, 1000);
	store_close(s);
	store_at(*state, path);
	OK(store_open(&s, path, &options, &err));
	for (unsigned i = 0; i < 4; i++) {
		reading[i] = (struct reading){ .s = s, .seed = i };
		pthread_create(&thread[i], NULL, read_many, &reading[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(0, reading[i].wrong);
	}
	store_close(s);
}

/* ---- Damage ---- */

/* Sums that hold prove nothing about the name. */
static void test_bytes_that_are_not_their_id_are_refused(void **state)
{
	struct store *s = store_make(*state);
	struct feeder f = { .w = NULL };
	uint8_t data[CHUNK_ROOM];
	size_t len = chunk_make(data, 6);
	bool is_new;
	struct err err;
	struct id id = chunk_id(s, ID_DATA, 5);

	OK(writer_begin(&f.w, s, "acme/web", NULL, &err));
	OK(reader_take(s, &f.r, &err));
	OK(batch_init(&f.batch, 8192, &err));
	OK(feed_one(&f, 1, &err));
	OK(writer_claim(f.w, &id, &is_new, &err));
	OK(batch_add(&f.batch, ID_DATA, &id, data, len, &err));
	OK(feeder_flush(&f, &err));
	batch_fini(&f.batch);
	reader_give(s, f.r);
	OK(commit_empty(f.w, 1, &id, &err));
	writer_end(f.w);

	assert_int_equal(ERR_CORRUPT, read_back(s, ID_DATA, 5, &err));
	assert_int_equal(ERR_CORRUPT, read_back(s, ID_DATA, 5, &err));
	assert_int_equal(ERR_NOT_FOUND, read_back(s, ID_DATA, 6, &err));
	OK(read_back(s, ID_DATA, 1, &err));
	store_close(s);
}

/* The one pack in the store; its name beneath packs/. */
static struct pack_row only_pack(struct store *s, char name[PACK_NAME_SIZE])
{
	struct pack_row *rows;
	struct pack_row row;
	struct err err;
	size_t n;

	OK(db_pack_list(s->db, 0, &rows, &n, &err));
	assert_int_equal(1, n);
	row = rows[0];
	free(rows);
	pack_name(&row.id, name);
	return row;
}

/* Which block, counted from 0, holds each chunk. */
static void blocks_of(struct store *s, unsigned n, uint32_t *block)
{
	struct location at;
	struct err err;

	for (unsigned i = 0; i < n; i++) {
		struct id id = chunk_id(s, ID_DATA, i);

		OK(idtable_find(s->ids, &id, &at, NULL, NULL, &err));
		block[i] = at.block;
	}
}

#define N 60

static void test_a_flipped_byte_costs_the_chunks_of_its_block(void **state)
{
	struct store *s = store_make(*state);
	char name[PACK_NAME_SIZE];
	struct held_pack *held;
	struct pack_row row;
	uint32_t block[N];
	struct err err;

	s->config.pack_target = 1u << 24;
	ingest(s, "acme/web", 0, N);
	row = only_pack(s, name);
	blocks_of(s, N, block);
	assert_true(block[N - 1] > 4);
	OK(packset_get(s->packs, row.no, &held, &err));

	for (uint32_t b = 0; b <= block[N - 1]; b++) {
		const struct block_entry *e = &held->table->blocks[b];
		off_t at = (off_t)(e->offset +
		    block_head_len(e->n_chunks, 0) + e->stored / 2);
		struct store *fresh;
		char want[64];

		spoil_file(s->dirs.packs, name, at, 0x10);
		fresh = store_again(*state);
		snprintf(want, sizeof(want), "block %u at %llu", b,
		    (unsigned long long)e->offset);
		for (unsigned i = 0; i < N; i++) {
			int rc = read_back(fresh, ID_DATA, i, &err);

			assert_int_equal(block[i] == b ? ERR_CORRUPT : 0, rc);
			if (rc)
				assert_non_null(strstr(err.msg, want));
		}
		store_close(fresh);
		spoil_file(s->dirs.packs, name, at, 0x10);
	}
	packset_put(s->packs, held);
	all_read_back(s, 0, N);
	store_close(s);
}

static void test_no_flipped_byte_gives_a_wrong_one(void **state)
{
	unsigned seed = (unsigned)getpid();
	struct store *s = store_make(*state);
	char name[PACK_NAME_SIZE];
	struct pack_row row;
	struct err err;

	print_message("seed %u\n", seed);
	s->config.pack_target = 1u << 24;
	ingest(s, "acme/web", 0, N);
	row = only_pack(s, name);
	for (int round = 0; round < 150; round++) {
		/* Every third one in header, table or footer. */
		uint64_t span = round % 3 ? row.size : N * 20 + 500;
		off_t at = (off_t)(row.size - 1 -
		    (uint64_t)rand_r(&seed) % span);
		uint8_t bit = (uint8_t)(1u << rand_r(&seed) % 8);
		struct store *fresh;

		spoil_file(s->dirs.packs, name, at, bit);
		fresh = store_again(*state);
		for (unsigned i = 0; i < N; i++) {
			int rc = read_back(fresh, ID_DATA, i, &err);

			assert_true(rc == 0 || rc == ERR_CORRUPT);
		}
		store_close(fresh);
		spoil_file(s->dirs.packs, name, at, bit);
	}
	store_close(s);
}

/* The database has its table too. */
static void test_damage_to_a_table_costs_nothing(void **state)
{
	struct store *s = store_make(*state);
	char name[PACK_NAME_SIZE];
	struct pack_row row;

	s->config.pack_target = 1u << 24;
	ingest(s, "acme/web", 0, N);
	row = only_pack(s, name);
	spoil_file(s->dirs.packs, name, (off_t)row.size - 200, 1);
	spoil_file(s->dirs.packs, name, (off_t)row.size - 20, 1);
	spoil_file(s->dirs.packs, name, 20, 1);
	store_close(s);
	s = store_again(*state);
	all_read_back(s, 0, N);
	store_close(s);
}

static void test_a_missing_pack_is_damage_and_heals_by_an_ingest(void **state)
{
	struct store *s = store_make(*state);
	char name[PACK_NAME_SIZE];
	struct err err;

	s->config.pack_target = 1u << 24;
	ingest(s, "acme/web", 0, N);
	only_pack(s, name);
	store_close(s);
	s = store_again(*state);
	assert_int_equal(0, unlinkat(s->dirs.packs, name, 0));
	assert_int_equal(ERR_CORRUPT, read_back(s, ID_DATA, 3, &err));
	assert_non_null(strstr(err.msg, "missing"));

	/* What cannot be had is not there, so it is stored again. */
	assert_int_equal(N, ingest(s, "acme/web", 0, N));
	all_read_back(s, 0, N);
	store_close(s);
}

/* Entries of the id table that lead astray are seen, and it is made anew. */
static void test_a_wrong_id_table_is_never_believed(void **state)
{
	struct scratch *dir = *state;
	struct store *s = store_make(dir);
	struct dirent *d;
	unsigned n = 0;
	DIR *list;
	int fd;

	ingest(s, "acme/web", 0, 200);
	store_close(s);
	fd = openat(dir->fd, "store/index/ids", O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	list = fdopendir(fd);
	while ((d = readdir(list))) {
		struct stat st;

		if (!strstr(d->d_name, ".run"))
			continue;
		assert_int_equal(0, fstatat(fd, d->d_name, &st, 0));
		for (off_t at = 64; at + 24 <= st.st_size; at += 24, n++)
			spoil_file(fd, d->d_name, at + 16, 1);
	}
	closedir(list);
	assert_true(n >= 200);

	s = store_again(dir);
	all_read_back(s, 0, 200);
	store_close(s);
	s = store_again(dir);
	assert_int_equal(0, ingest(s, "acme/web", 0, 200));
	store_close(s);
}

static const struct CMUnitTest tests[] = {
	SCRATCH_TEST(test_a_new_store_has_all_its_folders),
	SCRATCH_TEST(test_what_is_not_empty_is_not_made_a_store),
	SCRATCH_TEST(test_an_init_that_fails_leaves_nothing),
	SCRATCH_TEST(test_each_way_not_to_open_has_its_words),
	SCRATCH_TEST(test_the_path_is_made_absolute),
	SCRATCH_TEST(test_the_version_changes_with_each_commit),
	SCRATCH_TEST(test_what_nobody_stored_is_not_found),
	SCRATCH_TEST(test_what_arrives_later_is_found),
	SCRATCH_TEST(test_threads_read_with_a_cache_too_small),
	SCRATCH_TEST(test_bytes_that_are_not_their_id_are_refused),
	SCRATCH_TEST(test_a_flipped_byte_costs_the_chunks_of_its_block),
	SCRATCH_TEST(test_no_flipped_byte_gives_a_wrong_one),
	SCRATCH_TEST(test_damage_to_a_table_costs_nothing),
	SCRATCH_TEST(test_a_missing_pack_is_damage_and_heals_by_an_ingest),
	SCRATCH_TEST(test_a_wrong_id_table_is_never_believed),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
