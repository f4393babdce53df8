#include "index/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "index/pack.h"
#include "tests/index/store_fixture.h"

/* Three resources, several packs, snapshots in between. */
static void fill(struct scratch *dir)
{
	struct store *s = store_make(dir);

	ingest(s, "acme/web", 0, 200);
	ingest(s, "acme/mail", 150, 300);
	ingest(s, "acme/web", 100, 400);
	ingest(s, "zeta", 0, 10);
	store_close(s);
}

/* Everything that packs and root records tell, in a form to be compared. */
struct picture {
	struct resource_row *resources;
	size_t n_resources;
	struct snapshot_row *snapshots;
	size_t n_snapshots;
	struct pack_row *packs;
	size_t n_packs;
	uint8_t **records;
	size_t *record_lens;
	uint8_t **tables;
	size_t *table_lens;
};

static int by_number(const void *a, const void *b)
{
	const struct pack_row *x = a;
	const struct pack_row *y = b;

	return x->no < y->no ? -1 : x->no > y->no;
}

static void picture_take(struct picture *p, struct store *s)
{
	struct err err;

	OK(db_resource_list(s->db, &p->resources, &p->n_resources, &err));
	OK(db_snapshot_list(s->db, 0, &p->snapshots, &p->n_snapshots, &err));
	OK(db_pack_list(s->db, 0, &p->packs, &p->n_packs, &err));
	qsort(p->packs, p->n_packs, sizeof(*p->packs), by_number);
	p->records = calloc(p->n_snapshots, sizeof(*p->records));
	p->record_lens = calloc(p->n_snapshots, sizeof(size_t));
	p->tables = calloc(p->n_packs, sizeof(*p->tables));
	p->table_lens = calloc(p->n_packs, sizeof(size_t));
	for (size_t i = 0; i < p->n_snapshots; i++)
		OK(db_snapshot_record(s->db, p->snapshots[i].serial,
		    &p->records[i], &p->record_lens[i], &err));
	for (size_t i = 0; i < p->n_packs; i++)
		OK(db_pack_table(s->db, p->packs[i].no, &p->tables[i],
		    &p->table_lens[i], &err));
}

static void picture_drop(struct picture *p)
{
	for (size_t i = 0; i < p->n_snapshots; i++)
		free(p->records[i]);
	for (size_t i = 0; i < p->n_packs; i++)
		free(p->tables[i]);
	db_resources_free(p->resources, p->n_resources);
	free(p->snapshots);
	free(p->packs);
	free(p->records);
	free(p->record_lens);
	free(p->tables);
	free(p->table_lens);
}

static void snapshots_equal(const struct snapshot_row *a,
    const struct snapshot_row *b)
{
	assert_int_equal(a->serial, b->serial);
	assert_memory_equal(&a->id, &b->id, sizeof(a->id));
	assert_int_equal(a->resource_no, b->resource_no);
	assert_int_equal(a->time_ns, b->time_ns);
	assert_int_equal(a->end_ns, b->end_ns);
	assert_int_equal(a->utc_offset, b->utc_offset);
	assert_int_equal(a->n_files, b->n_files);
	assert_int_equal(a->n_dirs, b->n_dirs);
	assert_int_equal(a->n_other, b->n_other);
	assert_int_equal(a->n_bytes, b->n_bytes);
	assert_int_equal(a->n_added, b->n_added);
	assert_int_equal(a->n_faults, b->n_faults);
}

static void packs_equal(const struct pack_row *a, const struct pack_row *b)
{
	assert_int_equal(a->no, b->no);
	assert_memory_equal(&a->id, &b->id, sizeof(a->id));
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->n_blocks, b->n_blocks);
	assert_int_equal(a->n_chunks, b->n_chunks);
	assert_int_equal(a->session, b->session);
}

static void pictures_equal(const struct picture *a, const struct picture *b)
{
	assert_int_equal(a->n_resources, b->n_resources);
	for (size_t i = 0; i < a->n_resources; i++) {
		assert_int_equal(a->resources[i].no, b->resources[i].no);
		assert_int_equal(a->resources[i].state, b->resources[i].state);
		assert_string_equal(a->resources[i].name,
		    b->resources[i].name);
	}
	assert_int_equal(a->n_snapshots, b->n_snapshots);
	for (size_t i = 0; i < a->n_snapshots; i++) {
		snapshots_equal(&a->snapshots[i], &b->snapshots[i]);
		assert_int_equal(a->record_lens[i], b->record_lens[i]);
		assert_memory_equal(a->records[i], b->records[i],
		    a->record_lens[i]);
	}
	assert_int_equal(a->n_packs, b->n_packs);
	for (size_t i = 0; i < a->n_packs; i++) {
		packs_equal(&a->packs[i], &b->packs[i]);
		assert_int_equal(a->table_lens[i], b->table_lens[i]);
		assert_memory_equal(a->tables[i], b->tables[i],
		    a->table_lens[i]);
	}
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

static void remove_index(struct scratch *dir)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/store/index", dir->path);
	assert_int_equal(0, nftw(path, scratch_drop_one, 16,
	    FTW_DEPTH | FTW_PHYS));
}

static void test_a_lost_index_comes_back_row_for_row(void **state)
{
	struct picture before, after, twice;
	struct rebuild_report report;
	struct scratch *dir = *state;
	struct store *s;

	fill(dir);
	s = store_again(dir);
	picture_take(&before, s);
	store_close(s);

	remove_index(dir);
	report = rebuild(dir);
	assert_int_equal(before.n_packs, report.packs);
	assert_int_equal(0, report.packs_scanned);
	assert_int_equal(0, report.packs_lost);
	assert_int_equal(4, report.snapshots);
	assert_int_equal(0, report.snapshots_damaged);
	assert_int_equal(400, report.chunks);
	s = store_again(dir);
	picture_take(&after, s);
	pictures_equal(&before, &after);
	all_read_back(s, 0, 400);
	store_close(s);

	rebuild(dir);
	s = store_again(dir);
	picture_take(&twice, s);
	pictures_equal(&after, &twice);
	store_close(s);
	picture_drop(&before);
	picture_drop(&after);
	picture_drop(&twice);
}

static void test_the_old_index_is_kept(void **state)
{
	struct scratch *dir = *state;
	struct stat st;

	fill(dir);
	rebuild(dir);
	assert_int_equal(0, fstatat(dir->fd, "store/index/old-1/index.db",
	    &st, 0));
	assert_int_equal(0, fstatat(dir->fd, "store/index/old-1/ids/manifest",
	    &st, 0));
	rebuild(dir);
	assert_int_equal(0, fstatat(dir->fd, "store/index/old-2/index.db",
	    &st, 0));
	assert_int_not_equal(0, fstatat(dir->fd, "store/index/index.new", &st,
	    0));
}

/* Numbers go on where they were: none is given a second time. */
static void test_sessions_go_on_after_a_rebuild(void **state)
{
	struct scratch *dir = *state;
	struct picture before, after;
	struct store *s;

	fill(dir);
	s = store_again(dir);
	picture_take(&before, s);
	store_close(s);
	rebuild(dir);
	s = store_again(dir);
	assert_int_equal(100, ingest(s, "acme/web", 100, 500));
	assert_int_equal(10, ingest(s, "new", 490, 510));
	picture_take(&after, s);
	assert_int_equal(4, before.n_snapshots);
	assert_int_equal(6, after.n_snapshots);
	for (size_t i = 0; i < before.n_packs; i++)
		packs_equal(&before.packs[i], &after.packs[i]);
	store_close(s);
	rebuild(dir);
	s = store_again(dir);
	all_read_back(s, 0, 510);
	store_close(s);
	picture_drop(&before);
	picture_drop(&after);
}

static void test_no_rebuild_while_a_session_is_at_work(void **state)
{
	struct scratch *dir = *state;
	struct rebuild_report report;
	char path[PATH_ROOM];
	struct store *s;
	struct writer *w;
	struct err err;
	struct id id;

	fill(dir);
	store_at(dir, path);
	s = store_again(dir);
	OK(writer_begin(&w, s, "acme/web", NULL, &err));
	assert_int_equal(ERR_BUSY,
	    store_rebuild(path, NULL, NULL, NULL, &report, &err));
	OK(commit_empty(w, 9, &id, &err));
	writer_end(w);

	/* A handle from before the rebuild would write into the old index. */
	rebuild(dir);
	assert_int_equal(ERR_BUSY,
	    writer_begin(&w, s, "acme/web", NULL, &err));
	store_close(s);
	s = store_again(dir);
	ingest(s, "acme/web", 0, 10);
	store_close(s);
}

/* ---- Damage ---- */

static void spoil(int dir, const char *name, off_t from_end)
{
	struct stat st;
	uint8_t byte;
	int fd;

	assert_int_equal(0, fchmodat(dir, name, 0600, 0));
	fd = openat(dir, name, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(0, fstat(fd, &st));
	assert_int_equal(1, pread(fd, &byte, 1, st.st_size - from_end));
	byte ^= 0x55;
	assert_int_equal(1, pwrite(fd, &byte, 1, st.st_size - from_end));
	close(fd);
}

static void test_a_pack_without_a_table_is_read_through(void **state)
{
	struct scratch *dir = *state;
	char name[PACK_NAME_SIZE];
	struct rebuild_report report;
	struct picture p;
	struct store *s;

	fill(dir);
	s = store_again(dir);
	picture_take(&p, s);
	pack_name(&p.packs[0].id, name);
	spoil(s->dirs.packs, name, 200);
	store_close(s);
	remove_index(dir);

	report = rebuild(dir);
	assert_int_equal(p.n_packs, report.packs);
	assert_int_equal(1, report.packs_scanned);
	assert_int_equal(0, report.snapshots_damaged);
	assert_int_equal(400, report.chunks);
	s = store_again(dir);
	all_read_back(s, 0, 400);
	store_close(s);
	picture_drop(&p);
}

static void test_what_is_lost_is_counted_and_the_rest_is_there(void **state)
{
	struct scratch *dir = *state;
	char name[PACK_NAME_SIZE];
	char hex[ID_HEX];
	struct rebuild_report report;
	struct picture p;
	struct store *s;
	struct err err;
	unsigned n_bad = 0;

	fill(dir);
	s = store_again(dir);
	picture_take(&p, s);
	pack_name(&p.packs[0].id, name);
	assert_int_equal(0, unlinkat(s->dirs.packs, name, 0));
	/* The record of the fourth snapshot. */
	spoil(s->dirs.roots, id_hex(&p.snapshots[0].id, hex), 20);
	store_close(s);
	remove_index(dir);

	report = rebuild(dir);
	assert_int_equal(p.n_packs - 1, report.packs);
	assert_int_equal(3, report.snapshots);
	assert_true(report.snapshots_damaged >= 2);
	s = store_again(dir);
	for (uint64_t i = 0; i < 400; i++) {
		int rc = read_back(s, ID_DATA, i, &err);

		assert_true(rc == 0 || rc == ERR_NOT_FOUND);
		n_bad += rc != 0;
	}
	assert_int_equal(p.packs[0].n_chunks, n_bad);
	store_close(s);
	picture_drop(&p);
}

/* A rebuild that died at any of its steps is simply run again. */
static void test_leftovers_of_a_rebuild_do_no_harm(void **state)
{
	struct scratch *dir = *state;
	struct picture before, after;
	struct store *s;
	int fd;

	fill(dir);
	s = store_again(dir);
	picture_take(&before, s);
	store_close(s);
	fd = openat(dir->fd, "store/index/index.new", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(4, write(fd, "junk", 4));
	close(fd);
	fd = openat(dir->fd, "store/index/index.new-wal", O_CREAT | O_WRONLY,
	    0600);
	assert_int_equal(4, write(fd, "junk", 4));
	close(fd);
	assert_int_equal(0, mkdirat(dir->fd, "store/index/old-1", 0700));
	assert_int_equal(0, renameat(dir->fd, "store/index/index.db", dir->fd,
	    "store/index/old-1/index.db"));
	rebuild(dir);
	s = store_again(dir);
	picture_take(&after, s);
	pictures_equal(&before, &after);
	store_close(s);
	picture_drop(&before);
	picture_drop(&after);
}

static void test_the_index_may_live_elsewhere(void **state)
{
	struct scratch *dir = *state;
	struct store_options options = { .cache_bytes = 0 };
	struct rebuild_report report;
	char path[PATH_ROOM];
	char index[PATH_ROOM];
	struct store *s;
	struct err err;

	fill(dir);
	store_at(dir, path);
	snprintf(index, sizeof(index), "%s/elsewhere", dir->path);
	options.index_dir = index;
	assert_int_equal(ERR_CORRUPT, store_open(&s, path, &options, &err));
	OK(store_rebuild(path, &options, NULL, NULL, &report, &err));
	assert_int_equal(4, report.snapshots);
	remove_index(dir);
	OK(store_open(&s, path, &options, &err));
	all_read_back(s, 0, 400);
	ingest(s, "acme/web", 0, 410);
	store_close(s);
}

static const struct CMUnitTest tests[] = {
	SCRATCH_TEST(test_a_lost_index_comes_back_row_for_row),
	SCRATCH_TEST(test_the_old_index_is_kept),
	SCRATCH_TEST(test_sessions_go_on_after_a_rebuild),
	SCRATCH_TEST(test_no_rebuild_while_a_session_is_at_work),
	SCRATCH_TEST(test_a_pack_without_a_table_is_read_through),
	SCRATCH_TEST(test_what_is_lost_is_counted_and_the_rest_is_there),
	SCRATCH_TEST(test_leftovers_of_a_rebuild_do_no_harm),
	SCRATCH_TEST(test_the_index_may_live_elsewhere),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
