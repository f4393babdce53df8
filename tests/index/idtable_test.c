/*
 * The id table against a plain array, on real files and a real database.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "index/idtable.h"
#include "index/pack.h"
#include "tests/index/scratch.h"

static const uint8_t uuid[16] = "store of a test";

static uint64_t seed;

static uint64_t roll(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void must(int rc, const struct err *err)
{
	if (rc)
		fail_msg("%s", err->msg);
}

/* ---- A pack's table, written by FORMAT.md section 5 ---- */

#define PER_BLOCK 10

static struct id id_of(uint64_t number)
{
	uint64_t keep = seed;
	struct id id;

	seed = number;
	le64_put(id.b, roll());
	le64_put(id.b + 8, roll());
	seed = keep;
	return id;
}

/* n is a multiple of PER_BLOCK. */
static uint8_t *table_make(uint32_t no, const uint64_t *numbers, uint32_t n,
    size_t *len)
{
	uint32_t blocks = n / PER_BLOCK;
	size_t size = 40 * (size_t)blocks + 20 * (size_t)n;
	uint8_t *t = calloc(1, size + 96);
	uint8_t *foot = t + size;
	uint64_t offset = 96;

	for (uint32_t b = 0; b < blocks; b++) {
		le64_put(t + 40 * b, offset);
		le32_put(t + 40 * b + 16, PER_BLOCK * 100);
		le32_put(t + 40 * b + 20, PER_BLOCK * 100);
		le32_put(t + 40 * b + 24, PER_BLOCK);
		offset += 48 + 4 * PER_BLOCK + PER_BLOCK * 100;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct id id = id_of(numbers[i]);

		memcpy(t + 40 * blocks + 20 * i, id.b, 16);
		le32_put(t + 40 * blocks + 20 * i + 16, 100);
	}
	memcpy(foot, "IERIPEND", 8);
	le64_put(foot + 8, offset);
	le64_put(foot + 16, offset + size + 96);
	le32_put(foot + 24, blocks);
	le32_put(foot + 28, n);
	le32_put(foot + 36, no);
	memcpy(foot + 40, uuid, 16);
	le32_put(foot + 56, no);
	foot[71] = 1;
	le64_put(foot + 72, sum64(t, size));
	le64_put(foot + 88, sum64(foot, 88));
	*len = size + 96;
	return t;
}

static void pack_add(struct db *db, uint32_t no, const uint64_t *numbers,
    uint32_t n)
{
	struct pack_row row = { .no = no, .n_chunks = n,
		.n_blocks = n / PER_BLOCK };
	struct err err;
	uint8_t *table;
	size_t len;

	le32_put(row.id.b, no);
	row.id.b[15] = 1;
	table = table_make(no, numbers, n, &len);
	must(db_begin(db, &err), &err);
	must(db_pack_add(db, &row, table, len, &err), &err);
	must(db_commit(db, &err), &err);
	free(table);
}

/* ---- The model: which packs hold a number ---- */

#define NUMBERS 20000
#define PACKS_MAX 200

struct fixture {
	void *scratch;
	const char *dir;
	struct db *db;
	struct idtable *t;
	uint32_t n_packs;
	/* The lowest location of a number, or 0; and the next pack's. */
	uint64_t where[NUMBERS];
	uint64_t second[NUMBERS];
};

static void model_add(struct fixture *f, uint64_t number, uint64_t location)
{
	uint64_t *w = &f->where[number];

	if (!*w)
		*w = location;
	else if (*w >> 32 != location >> 32 && !f->second[number])
		f->second[number] = location;
}

/* The next pack, of n random numbers below NUMBERS / 2. */
static void grow(struct fixture *f, uint32_t n)
{
	uint64_t numbers[2000];
	uint32_t no = ++f->n_packs;

	for (uint32_t i = 0; i < n; i++) {
		numbers[i] = roll() % (NUMBERS / 2);
		model_add(f, numbers[i], (uint64_t)no << 32 |
		    (i / PER_BLOCK) << 12 | i % PER_BLOCK);
	}
	pack_add(f->db, no, numbers, n);
}

static bool skip_one(void *ctx, uint32_t pack_no)
{
	return pack_no == *(uint32_t *)ctx;
}

static void ask(struct fixture *f, struct idtable *t, uint64_t number)
{
	struct id id = id_of(number);
	uint64_t want = f->where[number];
	struct location at = { 0, 0, 0 };
	uint32_t skip = (uint32_t)(want >> 32);
	struct err err;
	int rc;

	rc = idtable_find(t, &id, &at, NULL, NULL, &err);
	if (rc != (want ? 0 : ERR_NOT_FOUND))
		fail_msg("number %d of seed: %d", (int)number, rc);
	if (!want)
		return;
	assert_int_equal(want, (uint64_t)at.pack_no << 32 | at.block << 12 |
	    at.slot);
	rc = idtable_find(t, &id, &at, skip_one, &skip, &err);
	want = f->second[number];
	assert_int_equal(want ? 0 : ERR_NOT_FOUND, rc);
	if (want)
		assert_int_equal(want, (uint64_t)at.pack_no << 32 |
		    at.block << 12 | at.slot);
}

static void ask_all(struct fixture *f)
{
	for (uint64_t i = 0; i < NUMBERS; i++)
		ask(f, f->t, i);
}

static void reopen(struct fixture *f)
{
	struct err err;

	idtable_close(f->t);
	must(idtable_open(&f->t, f->dir, f->db, uuid, &err), &err);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *given = getenv("SEED");
	struct err err;

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	print_message("seed %llu\n", (unsigned long long)seed);
	if (scratch_make(&f->scratch))
		return -1;
	f->dir = ((struct scratch *)f->scratch)->path;
	must(db_open(&f->db, f->dir, "index.db", uuid, true, &err), &err);
	must(idtable_open(&f->t, f->dir, f->db, uuid, &err), &err);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	idtable_close(f->t);
	db_close(f->db);
	scratch_drop(&f->scratch);
	free(f);
	return 0;
}

static unsigned count_runs(const struct fixture *f)
{
	char path[300];
	struct dirent *d;
	unsigned n = 0;
	DIR *list;

	snprintf(path, sizeof(path), "%s/ids", f->dir);
	list = opendir(path);
	assert_non_null(list);
	while ((d = readdir(list)))
		n += strstr(d->d_name, ".run") != NULL;
	closedir(list);
	return n;
}

/* ---- Cases ---- */

static void answers_are_those_of_a_plain_array(void **state)
{
	struct fixture *f = *state;
	struct err err;

	for (int round = 0; round < 120; round++) {
		unsigned n = (unsigned)(roll() % 3);

		while (n-- && f->n_packs < PACKS_MAX)
			grow(f, (uint32_t)(1 + roll() % 20) * PER_BLOCK);
		must(idtable_refresh(f->t, &err), &err);
		switch (roll() % 8) {
		case 0:
			reopen(f);
			break;
		case 1:
			must(idtable_publish(f->t, &err), &err);
			break;
		case 2:
			if (roll() % 4 == 0)
				must(idtable_rebuild(f->t, &err), &err);
			break;
		default:
			break;
		}
		for (int i = 0; i < 1000; i++)
			ask(f, f->t, roll() % NUMBERS);
	}
	assert_true(count_runs(f) <= 8);
	ask_all(f);
	reopen(f);
	ask_all(f);
}

static void spoil(const struct fixture *f, const char *name, off_t at,
    off_t cut)
{
	char path[300];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof(path), "%s/ids/%s", f->dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	if (cut >= 0) {
		assert_int_equal(0, ftruncate(fd, cut));
	} else {
		assert_int_equal(1, pread(fd, &byte, 1, at));
		byte ^= 0x55;
		assert_int_equal(1, pwrite(fd, &byte, 1, at));
	}
	close(fd);
}

/* The name of some run. */
static void some_run(const struct fixture *f, char name[256])
{
	char path[300];
	struct dirent *d;
	DIR *list;

	snprintf(path, sizeof(path), "%s/ids", f->dir);
	list = opendir(path);
	while ((d = readdir(list)))
		if (strstr(d->d_name, ".run"))
			snprintf(name, 256, "%.200s", d->d_name);
	closedir(list);
}

static void spoiled_files_are_built_anew(void **state)
{
	static const struct {
		bool manifest;
		off_t at;
		off_t cut;
	} cases[] = {
		{ true, 3, -1 },
		{ true, 9, -1 },
		{ true, 20, -1 },
		{ true, 33, -1 },
		{ true, 41, -1 },
		{ true, 0, 0 },
		{ true, 0, 45 },
		{ false, 3, -1 },
		{ false, 20, -1 },
		{ false, 33, -1 },
		{ false, 50, -1 },
		{ false, 0, 0 },
		{ false, 0, 64 },
		{ false, 0, 1000 },
	};
	struct fixture *f = *state;
	char name[256] = "";
	char path[300];
	struct err err;

	for (int i = 0; i < 30; i++)
		grow(f, 200);
	must(idtable_publish(f->t, &err), &err);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		idtable_close(f->t);
		f->t = NULL;
		some_run(f, name);
		spoil(f, cases[i].manifest ? "manifest" : name, cases[i].at,
		    cases[i].cut);
		reopen(f);
		ask_all(f);
		grow(f, 10);
		must(idtable_publish(f->t, &err), &err);
		ask_all(f);
	}
	idtable_close(f->t);
	f->t = NULL;
	some_run(f, name);
	snprintf(path, sizeof(path), "%s/ids/%s", f->dir, name);
	assert_int_equal(0, unlink(path));
	reopen(f);
	ask_all(f);
}

static void a_manifest_that_claims_too_much_is_not_believed(void **state)
{
	struct fixture *f = *state;
	struct err err;

	for (int i = 0; i < 30; i++)
		grow(f, 10);
	must(idtable_publish(f->t, &err), &err);
	idtable_close(f->t);
	f->t = NULL;
	for (int i = 30; i < (30 ^ 0x55); i++)
		grow(f, 10);
	spoil(f, "manifest", 32, -1);
	reopen(f);
	ask_all(f);
}

static void a_check_finds_garbled_entries(void **state)
{
	struct fixture *f = *state;
	char name[256] = "";
	struct err err;

	for (int i = 0; i < 20; i++)
		grow(f, 200);
	must(idtable_publish(f->t, &err), &err);
	some_run(f, name);
	for (off_t at = 64; at < 64 + 24 * 200; at += 24)
		spoil(f, name, at + 2, -1);
	must(idtable_check(f->t, &err), &err);
	ask_all(f);

	/* Merging them finds them as well. */
	some_run(f, name);
	spoil(f, name, 64 + 24 * 7, -1);
	for (int i = 0; i < 20; i++)
		grow(f, 200);
	must(idtable_publish(f->t, &err), &err);
	ask_all(f);
}

static void packs_of_a_transaction_are_not_seen_before_it_ends(void **state)
{
	struct fixture *f = *state;
	struct pack_row row = { .no = 1, .n_chunks = 10, .n_blocks = 1 };
	uint64_t numbers[PER_BLOCK] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct err err;
	uint8_t *table;
	size_t len;

	table = table_make(1, numbers, PER_BLOCK, &len);
	must(db_begin(f->db, &err), &err);
	must(db_pack_add(f->db, &row, table, len, &err), &err);
	must(idtable_refresh(f->t, &err), &err);
	must(idtable_publish(f->t, &err), &err);
	db_abort(f->db);
	free(table);
	/* The next pack has the same arrival number. */
	grow(f, 100);
	must(idtable_refresh(f->t, &err), &err);
	ask_all(f);
}

static void a_damaged_pack_table_is_damage_and_not_absence(void **state)
{
	struct fixture *f = *state;
	struct pack_row row = { .no = 1 };
	struct err err;

	must(db_begin(f->db, &err), &err);
	must(db_pack_add(f->db, &row, (const uint8_t *)"x", 1, &err), &err);
	must(db_commit(f->db, &err), &err);
	assert_int_equal(ERR_CORRUPT, idtable_refresh(f->t, &err));
	assert_int_equal(ERR_CORRUPT, idtable_publish(f->t, &err));
}

static void publishers_in_two_processes_agree(void **state)
{
	struct fixture *f = *state;
	pid_t pid[2];
	struct err err;
	int status;

	for (int i = 0; i < 60; i++)
		grow(f, 100);
	idtable_close(f->t);
	db_close(f->db);
	f->t = NULL;
	f->db = NULL;
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i])
			continue;
		must(db_open(&f->db, f->dir, "index.db", uuid, false, &err),
		    &err);
		must(idtable_open(&f->t, f->dir, f->db, uuid, &err), &err);
		for (int k = 0; k < 30; k++) {
			if (k % 5 == i)
				must(idtable_rebuild(f->t, &err), &err);
			else
				must(idtable_publish(f->t, &err), &err);
			if (k % 3 == 0)
				reopen(f);
			for (int j = 0; j < 200; j++)
				ask(f, f->t, roll() % NUMBERS);
		}
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pid[i], waitpid(pid[i], &status, 0));
		assert_int_equal(0, status);
	}
	must(db_open(&f->db, f->dir, "index.db", uuid, false, &err), &err);
	must(idtable_open(&f->t, f->dir, f->db, uuid, &err), &err);
	ask_all(f);
	assert_true(count_runs(f) <= 8);
}

static atomic_bool stop;

/* What was there when the readers began must never be absent. */
static void *reader(void *arg)
{
	struct fixture *f = arg;
	struct location at;
	struct err err;

	for (uint64_t i = 0; !stop; i = (i + 7) % 1000) {
		struct id id = { .b = { 0 } };
		uint64_t z = i * 0x9e3779b97f4a7c15u;

		le64_put(id.b, z);
		le64_put(id.b + 8, i);
		(void)idtable_find(f->t, &id, &at, NULL, NULL, &err);
	}
	return NULL;
}

static struct id fixed[200];

static void *sure_reader(void *arg)
{
	struct fixture *f = arg;
	struct location at;
	struct err err;
	uintptr_t missed = 0;

	for (size_t i = 0; !stop; i = (i + 1) % 200)
		missed += idtable_find(f->t, &fixed[i], &at, NULL, NULL,
		    &err) != 0;
	return (void *)missed;
}

static void readers_go_on_while_the_table_changes(void **state)
{
	struct fixture *f = *state;
	pthread_t thread[3];
	uint64_t numbers[200];
	struct idtable *other;
	void *missed;
	struct err err;

	for (uint64_t i = 0; i < 200; i++) {
		numbers[i] = i;
		fixed[i] = id_of(i);
		model_add(f, i, 1ull << 32 | (i / PER_BLOCK) << 12 |
		    i % PER_BLOCK);
	}
	pack_add(f->db, ++f->n_packs, numbers, 200);
	must(idtable_refresh(f->t, &err), &err);
	must(idtable_open(&other, f->dir, f->db, uuid, &err), &err);
	stop = false;
	pthread_create(&thread[0], NULL, reader, f);
	pthread_create(&thread[1], NULL, sure_reader, f);
	pthread_create(&thread[2], NULL, sure_reader, f);
	for (int i = 0; i < 60; i++) {
		grow(f, 200);
		/* Another table of the same files publishes beside us. */
		if (i % 4 == 1)
			must(idtable_publish(other, &err), &err);
		if (i % 3 == 0)
			grow(f, 20);
		must(idtable_refresh(f->t, &err), &err);
		if (i % 7 == 2)
			must(idtable_publish(f->t, &err), &err);
		if (i % 20 == 3)
			must(idtable_rebuild(f->t, &err), &err);
	}
	stop = true;
	pthread_join(thread[0], NULL);
	for (int i = 1; i < 3; i++) {
		pthread_join(thread[i], &missed);
		assert_null(missed);
	}
	ask_all(f);
	idtable_close(other);
}

/* With BENCH=1: what a look-up costs among a million. */
static void a_million_entries(void **state)
{
	struct fixture *f = *state;
	struct timespec a, b, c;
	uint64_t *numbers;
	struct id *ids;
	struct location at;
	struct err err;
	uint64_t found = 0;

	if (!getenv("BENCH"))
		skip();
	numbers = calloc(10000, sizeof(*numbers));
	ids = calloc(400000, sizeof(*ids));
	for (uint32_t p = 0; p < 100; p++) {
		for (uint32_t i = 0; i < 10000; i++)
			numbers[i] = p * 10000 + i;
		pack_add(f->db, p + 1, numbers, 10000);
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	must(idtable_rebuild(f->t, &err), &err);
	clock_gettime(CLOCK_MONOTONIC, &b);
	reopen(f);
	clock_gettime(CLOCK_MONOTONIC, &c);
	print_message("rebuild %.0f ms, open %.3f ms, %u runs\n",
	    (double)(b.tv_sec - a.tv_sec) * 1e3 +
	    (double)(b.tv_nsec - a.tv_nsec) / 1e6,
	    (double)(c.tv_sec - b.tv_sec) * 1e3 +
	    (double)(c.tv_nsec - b.tv_nsec) / 1e6, count_runs(f));
	for (int pass = 0; pass < 4; pass++) {
		for (uint32_t i = 0; i < 400000; i++)
			ids[i] = id_of(roll() % 1000000 +
			    (pass % 2 ? 1000000 : 0));
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (uint32_t i = 0; i < 400000; i++)
			found += idtable_find(f->t, &ids[i], &at, NULL, NULL,
			    &err) == 0;
		clock_gettime(CLOCK_MONOTONIC, &b);
		print_message("%s: %.0f ns\n", pass % 2 ? "miss" : "hit",
		    ((double)(b.tv_sec - a.tv_sec) * 1e9 +
		    (double)(b.tv_nsec - a.tv_nsec)) / 400000);
	}
	assert_int_equal(800000, found);
	free(numbers);
	free(ids);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(answers_are_those_of_a_plain_array),
		CASE(spoiled_files_are_built_anew),
		CASE(a_manifest_that_claims_too_much_is_not_believed),
		CASE(a_check_finds_garbled_entries),
		CASE(packs_of_a_transaction_are_not_seen_before_it_ends),
		CASE(a_damaged_pack_table_is_damage_and_not_absence),
		CASE(publishers_in_two_processes_agree),
		CASE(readers_go_on_while_the_table_changes),
		CASE(a_million_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
