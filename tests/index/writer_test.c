#include "index/writer.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "index/writer_private.h"
#include "tests/index/store_fixture.h"

static unsigned count_files(int at, const char *folder)
{
	DIR *dir;
	struct dirent *d;
	unsigned n = 0;
	int fd = openat(at, folder, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	dir = fdopendir(fd);
	while ((d = readdir(dir)))
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

static size_t count_sessions(struct store *s)
{
	struct session_row *rows;
	struct err err;
	size_t n;

	OK(db_session_list(s->db, &rows, &n, &err));
	free(rows);
	return n;
}

static size_t count_packs(struct store *s)
{
	struct pack_row *rows;
	struct err err;
	size_t n;

	OK(db_pack_list(s->db, 0, &rows, &n, &err));
	free(rows);
	return n;
}

static void test_what_is_committed_reads_back(void **state)
{
	struct store *s = store_make(*state);

	assert_int_equal(500, ingest(s, "acme/web", 0, 500));
	assert_true(count_packs(s) > 3);
	all_read_back(s, 0, 500);
	store_close(s);

	s = store_again(*state);
	all_read_back(s, 0, 500);
	assert_int_equal(0, count_files(s->dirs.tmp, "."));
	assert_int_equal(0, count_sessions(s));
	store_close(s);
}

static void test_what_is_there_is_not_stored_again(void **state)
{
	struct store *s = store_make(*state);

	assert_int_equal(300, ingest(s, "acme/web", 0, 300));
	assert_int_equal(0, ingest(s, "acme/web", 0, 300));
	assert_int_equal(50, ingest(s, "other", 200, 350));
	store_close(s);

	s = store_again(*state);
	assert_int_equal(10, ingest(s, "third", 0, 360));
	store_close(s);
}

/* ---- Threads ---- */

struct part {
	struct store *s;
	struct writer *w;
	uint64_t from;
	uint64_t to;
	unsigned n_new;
	int rc;
	struct err err;
};

static void *feed_thread(void *arg)
{
	struct part *p = arg;

	p->rc = feed(p->s, p->w, p->from, p->to, &p->n_new, &p->err);
	for (uint64_t i = p->from; i < p->to && !p->rc; i += 10) {
		uint8_t data[CHUNK_ROOM];
		size_t len = chunk_make(data, i);
		struct id id;

		p->rc = chunk_put(writer_sink(p->w), ID_TREE, data, len, &id,
		    &p->err);
	}
	return NULL;
}

static void test_four_threads_store_each_chunk_once(void **state)
{
	struct store *s = store_make(*state);
	struct part part[4];
	pthread_t thread[4];
	struct writer *w;
	unsigned n_new = 0;
	struct err err;
	struct id id;

	OK(writer_begin(&w, s, "acme/web", NULL, &err));
	writer_sink(w);
	for (int i = 0; i < 4; i++) {
		part[i] = (struct part){ .s = s, .w = w,
			.from = (uint64_t)i * 300,
			.to = (uint64_t)i * 300 + 600 };
		pthread_create(&thread[i], NULL, feed_thread, &part[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		if (part[i].rc)
			fail_msg("%s", part[i].err.msg);
		n_new += part[i].n_new;
	}
	assert_int_equal(1500, n_new);
	OK(commit_empty(w, 1, &id, &err));
	writer_end(w);

	all_read_back(s, 0, 1500);
	for (uint64_t i = 0; i < 1500; i += 10)
		OK(read_back(s, ID_TREE, i, &err));
	store_close(s);
}

/* ---- Sessions side by side ---- */

static void test_two_sessions_of_one_resource_do_not_run_at_once(void **state)
{
	struct store *s = store_make(*state);
	struct writer *a, *b, *other;
	struct err err;
	struct id id;

	OK(writer_begin(&a, s, "acme/web", NULL, &err));
	assert_int_equal(ERR_BUSY, writer_begin(&b, s, "acme/web", NULL, &err));
	OK(writer_begin(&other, s, "acme/mail", NULL, &err));
	OK(feed(s, a, 0, 100, NULL, &err));
	OK(feed(s, other, 100, 200, NULL, &err));
	OK(commit_empty(other, 1, &id, &err));
	OK(commit_empty(a, 2, &id, &err));
	writer_end(other);
	writer_end(a);

	OK(writer_begin(&b, s, "acme/web", NULL, &err));
	assert_non_null(writer_last(b));
	writer_end(b);
	all_read_back(s, 0, 200);
	assert_int_equal(0, count_sessions(s));
	store_close(s);
}

static void test_names_that_make_no_sense_are_refused(void **state)
{
	static const char *const names[] = { "", "/", "/a", "a/", "a//b", ".",
		"..", "a/../b", "a b", "a@b", "a:b", "-a", "a/.b", "a\nb",
		"acme/web/deep", "acme" };
	struct store *s = store_make(*state);
	struct writer *w;
	struct err err;

	ingest(s, "acme/web", 0, 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(ERR_INVALID,
		    writer_begin(&w, s, names[i], NULL, &err));
	assert_int_equal(0, count_sessions(s));
	store_close(s);
}

static void test_a_session_pins_what_it_finds(void **state)
{
	struct store *s = store_make(*state);
	struct writer *w;
	uint32_t *pins;
	unsigned n_new;
	struct err err;
	size_t n;

	ingest(s, "one", 0, 200);
	ingest(s, "two", 200, 400);

	/* Those of its own last snapshot at once, others at the first hit. */
	OK(writer_begin(&w, s, "one", NULL, &err));
	OK(db_pin_list(s->db, w->session, &pins, &n, &err));
	free(pins);
	assert_int_equal(writer_last(w)->root.n_packs, n);
	OK(feed(s, w, 200, 400, &n_new, &err));
	assert_int_equal(0, n_new);
	OK(db_pin_list(s->db, w->session, &pins, &n, &err));
	free(pins);
	assert_int_equal(count_packs(s), n);
	writer_end(w);
	store_close(s);
}

/* ---- Failures ---- */

static void test_an_abandoned_session_leaves_its_sealed_packs(void **state)
{
	struct store *s = store_make(*state);
	struct writer *w;
	struct err err;
	unsigned again;

	OK(writer_begin(&w, s, "acme/web", NULL, &err));
	OK(feed(s, w, 0, 400, NULL, &err));
	writer_end(w);
	assert_int_equal(0, count_files(s->dirs.tmp, "."));
	assert_int_equal(0, count_sessions(s));
	assert_true(count_packs(s) > 0);

	again = ingest(s, "acme/web", 0, 400);
	assert_true(again > 0 && again < 400);
	all_read_back(s, 0, 400);
	store_close(s);
}

static void test_a_chunk_claimed_and_not_brought_stops_the_commit(void **state)
{
	struct store *s = store_make(*state);
	struct snapshot_row row;
	struct writer *w;
	bool is_new;
	struct err err;
	struct id id;

	OK(writer_begin(&w, s, "acme/web", NULL, &err));
	OK(feed(s, w, 0, 20, NULL, &err));
	id = chunk_id(s, ID_DATA, 99);
	OK(writer_claim(w, &id, &is_new, &err));
	assert_true(is_new);
	assert_int_equal(ERR_INVALID, commit_empty(w, 1, &id, &err));
	writer_end(w);
	assert_int_equal(ERR_NOT_FOUND,
	    db_snapshot_last(s->db, 1, &row, &err));
	assert_int_equal(0, count_files(s->dirs.roots, "."));
	store_close(s);
}

/* The pack cannot be written on: the session is over, the store is not. */
static void test_a_full_disk_ends_the_session_only(void **state)
{
	struct rlimit old, low;
	struct store *s = store_make(*state);
	struct writer *w;
	struct err err;
	struct err again;
	bool is_new;
	struct id id;
	int rc;

	ingest(s, "acme/web", 0, 100);
	OK(writer_begin(&w, s, "acme/web", NULL, &err));
	s->config.pack_target = 4u << 20;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	low = old;
	low.rlim_cur = 600u << 10;
	setrlimit(RLIMIT_FSIZE, &low);
	rc = feed(s, w, 100, 3000, NULL, &err);
	assert_int_equal(ERR_SYSTEM, rc);
	id = chunk_id(s, ID_DATA, 1);
	assert_int_equal(rc, writer_claim(w, &id, &is_new, &again));
	assert_string_equal(err.msg, again.msg);
	assert_int_equal(rc, commit_empty(w, 2, &id, &again));
	setrlimit(RLIMIT_FSIZE, &old);
	writer_end(w);

	assert_int_equal(0, count_files(s->dirs.tmp, "."));
	all_read_back(s, 0, 100);
	ingest(s, "acme/web", 0, 200);
	all_read_back(s, 0, 200);
	store_close(s);
}

/*
 * The pack is sealed, but its row cannot be written.  Its bytes are not lost:
 * the session's row stays behind for a recovery to find them.
 */
static void test_a_pack_whose_row_fails_is_taken_in_later(void **state)
{
	struct scratch *dir = *state;
	struct store *s = store_make(dir);
	struct rlimit old, low;
	struct writer *w;
	struct stat st;
	struct err err;
	unsigned again;

	for (uint64_t i = 0; i < 20; i++)
		ingest(s, "acme/web", i, i + 1);
	OK(writer_begin(&w, s, "acme/web", NULL, &err));
	assert_int_equal(0, fstatat(dir->fd, "store/index/index.db-wal", &st,
	    0));
	assert_true(st.st_size > 2 * SMALL_PACK);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	low = old;
	low.rlim_cur = (rlim_t)st.st_size;
	setrlimit(RLIMIT_FSIZE, &low);
	assert_int_not_equal(0, feed(s, w, 100, 500, NULL, &err));
	writer_end(w);
	setrlimit(RLIMIT_FSIZE, &old);
	store_close(s);

	s = store_again(dir);
	assert_int_equal(0, count_sessions(s));
	assert_int_equal(0, count_files(s->dirs.tmp, "."));
	again = ingest(s, "acme/web", 100, 500);
	assert_true(again > 0 && again < 400);
	all_read_back(s, 0, 20);
	all_read_back(s, 100, 500);
	store_close(s);
}

/*
 * The root record cannot be published: its folder is gone from under the
 * session, so nothing may be committed.
 */
static void test_without_a_root_record_there_is_no_snapshot(void **state)
{
	struct scratch *dir = *state;
	struct store *s = store_make(dir);
	struct snapshot_row row;
	struct writer *w;
	struct err err;
	struct id id;

	OK(writer_begin(&w, s, "acme/web", NULL, &err));
	OK(feed(s, w, 0, 50, NULL, &err));
	assert_int_equal(0, unlinkat(dir->fd, "store/roots", AT_REMOVEDIR));
	assert_int_not_equal(0, commit_empty(w, 1, &id, &err));
	writer_end(w);
	assert_int_equal(ERR_NOT_FOUND,
	    db_snapshot_last(s->db, 1, &row, &err));
	assert_int_equal(0, count_sessions(s));
	store_close(s);
}

/* The last step fails: somebody has cleared the session away. */
static void test_a_failed_commit_takes_its_root_record_back(void **state)
{
	struct store *s = store_make(*state);
	struct snapshot_row row;
	struct writer *w;
	struct err err;
	struct id id;

	OK(writer_begin(&w, s, "acme/web", NULL, &err));
	OK(feed(s, w, 0, 50, NULL, &err));
	OK(db_begin(s->db, &err));
	OK(db_session_remove(s->db, w->session, &err));
	OK(db_commit(s->db, &err));
	assert_int_not_equal(0, commit_empty(w, 1, &id, &err));
	writer_end(w);
	assert_int_equal(ERR_NOT_FOUND,
	    db_snapshot_last(s->db, 1, &row, &err));
	assert_int_equal(0, count_files(s->dirs.roots, "."));
	store_close(s);
}

/* ---- Death ---- */

/* In the child: sessions one after another until it is killed. */
static void ingest_for_ever(const char *path, int told, uint64_t from)
{
	struct store *s;
	struct writer *w;
	struct err err;
	struct id id;

	if (store_open(&s, path, NULL, &err))
		_exit(1);
	s->config.pack_target = SMALL_PACK;
	for (;; from += 150) {
		if (writer_begin(&w, s, "acme/web", NULL, &err) ||
		    feed(s, w, from, from + 150, NULL, &err) ||
		    commit_empty(w, (int64_t)from, &id, &err))
			_exit(1);
		writer_end(w);
		if (write(told, &from, sizeof(from)) != sizeof(from))
			_exit(1);
	}
}

/*
 * Runs a child for that long, counted from its first promise with `wait`, and
 * kills it.  Returns just past the last chunk it promised.
 */
static uint64_t kill_one(const char *path, uint64_t from, bool wait,
    unsigned after_us)
{
	struct pollfd promise;
	uint64_t last;
	uint64_t end = from;
	int status;
	int fd[2];
	pid_t pid;

	assert_int_equal(0, pipe(fd));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fd[0]);
		ingest_for_ever(path, fd[1], from);
	}
	close(fd[1]);
	promise = (struct pollfd){ .fd = fd[0], .events = POLLIN };
	if (wait)
		assert_int_equal(1, poll(&promise, 1, 60000));
	usleep(after_us);
	kill(pid, SIGKILL);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFSIGNALED(status));
	while (read(fd[0], &last, sizeof(last)) == sizeof(last))
		end = last + 150;
	close(fd[0]);
	return end;
}

/* Each snapshot row has its record, each record its row. */
static void check_roots(struct store *s)
{
	struct snapshot_row *rows;
	struct err err;
	size_t n;

	OK(db_snapshot_list(s->db, 0, &rows, &n, &err));
	assert_int_equal(n, count_files(s->dirs.roots, "."));
	free(rows);
}

static void test_a_killed_writer_loses_nothing_committed(void **state)
{
	unsigned seed = (unsigned)getpid();
	char path[PATH_ROOM];
	struct store *s = store_make(*state);
	uint64_t end = 0;

	store_close(s);
	store_at(*state, path);
	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 30; i++) {
		uint64_t from = end;

		end = kill_one(path, from, i % 3 == 0,
		    5000 + (unsigned)rand() % 60000);
		s = store_again(*state);
		assert_int_equal(0, count_sessions(s));
		assert_int_equal(0, count_files(s->dirs.tmp, "."));
		check_roots(s);
		all_read_back(s, from > 300 ? from - 300 : 0, end);
		store_close(s);
	}
	s = store_again(*state);
	all_read_back(s, 0, end);
	assert_true(end > 0);
	store_close(s);
}

/*
 * Seals a pack of chunks [from, to) in the session's name and tells nobody, as
 * if the process had died just before its row.
 */
static int seal_in_silence(struct writer *w, uint64_t from, uint64_t to,
    struct err *err)
{
	struct store *s = w->store;
	struct pack_info info = { .no = w->lanes[PACK_DATA].spare_no,
		.session = w->session };
	struct pack_writer *p = NULL;
	struct feeder f = { .w = w };
	struct block_entry e;
	uint8_t *record;
	uint8_t *table = NULL;
	size_t len;
	int rc;

	memcpy(info.uuid, s->config.uuid, sizeof(info.uuid));
	id_random(&info.id, sizeof(info.id), err);
	rc = reader_take(s, &f.r, err);
	if (!rc)
		rc = batch_init(&f.batch, 1u << 20, err);
	for (uint64_t i = from; i < to && !rc; i++)
		rc = feed_one(&f, i, err);
	if (!rc)
		rc = pack_writer_new(&p, s->dirs.tmp, "x", &info, err);
	if (!rc)
		rc = block_encode(f.r->codec, &f.batch, true, &record, &len,
		    &e, err);
	if (!rc)
		rc = pack_writer_add(p, record, len, &e, f.batch.chunks, err);
	if (!rc)
		rc = pack_writer_seal(p, s->dirs.packs, &table, &len, err);
	free(table);
	pack_writer_free(p);
	batch_fini(&f.batch);
	reader_give(s, f.r);
	return rc;
}

/* A root record of this session that no row names. */
static int publish_in_silence(struct writer *w, struct err *err)
{
	struct root r = {
		.session = w->session,
		.serial = 77,
		.resource_no = w->resource_no,
		.resource = "acme/web",
		.resource_len = 8,
		.top = { .mode = S_IFDIR | 0755 },
	};
	char name[ID_HEX];
	struct buf b;
	int rc;

	buf_init(&b);
	memcpy(r.uuid, w->store->config.uuid, sizeof(r.uuid));
	id_random(&r.id, sizeof(r.id), err);
	rc = root_encode(&b, &r, err);
	if (!rc)
		rc = io_publish(w->store->dirs.tmp, "y", w->store->dirs.roots,
		    id_hex(&r.id, name), b.data, b.len, true, err);
	buf_fini(&b);
	return rc;
}

static void die_before_the_rows(const char *path)
{
	struct store *s;
	struct writer *w;
	struct err err;

	if (store_open(&s, path, NULL, &err) ||
	    writer_begin(&w, s, "acme/web", NULL, &err) ||
	    seal_in_silence(w, 0, 60, &err) || publish_in_silence(w, &err))
		_exit(1);
	/* And a pack half written. */
	if (feed(s, w, 100, 120, NULL, &err))
		_exit(1);
	raise(SIGKILL);
}

static void test_what_the_dead_left_is_put_right(void **state)
{
	char path[PATH_ROOM];
	struct store *s = store_make(*state);
	int status;
	pid_t pid;

	ingest(s, "other", 1000, 1010);
	store_close(s);
	store_at(*state, path);
	pid = fork();
	if (pid == 0)
		die_before_the_rows(path);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFSIGNALED(status));

	s = store_again(*state);
	assert_int_equal(0, count_sessions(s));
	assert_int_equal(0, count_files(s->dirs.tmp, "."));
	check_roots(s);
	all_read_back(s, 0, 60);
	assert_int_equal(20, ingest(s, "acme/web", 0, 60) +
	    ingest(s, "acme/web", 100, 120));
	all_read_back(s, 1000, 1010);
	store_close(s);
}

/* The living are left alone, also while a dead one beside them is not. */
static void test_a_living_session_is_not_cleared_away(void **state)
{
	struct store *s = store_make(*state);
	struct store *other;
	char path[PATH_ROOM];
	struct writer *w;
	struct err err;
	struct id id;
	int status;
	pid_t pid;

	store_at(*state, path);
	OK(writer_begin(&w, s, "acme/mail", NULL, &err));
	pid = fork();
	if (pid == 0)
		die_before_the_rows(path);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_int_equal(2, count_sessions(s));

	OK(feed(s, w, 200, 400, NULL, &err));
	OK(publish_in_silence(w, &err));
	assert_int_equal(2, count_files(s->dirs.roots, "."));
	other = store_again(*state);
	assert_int_equal(1, count_sessions(other));
	assert_int_equal(1, count_files(s->dirs.roots, "."));
	assert_int_not_equal(0, count_files(s->dirs.tmp, "."));
	ingest(other, "acme/web", 500, 510);
	OK(commit_empty(w, 1, &id, &err));
	writer_end(w);
	all_read_back(other, 200, 400);
	store_close(other);
	store_close(s);
}

static const struct CMUnitTest tests[] = {
	SCRATCH_TEST(test_what_is_committed_reads_back),
	SCRATCH_TEST(test_what_is_there_is_not_stored_again),
	SCRATCH_TEST(test_four_threads_store_each_chunk_once),
	SCRATCH_TEST(test_two_sessions_of_one_resource_do_not_run_at_once),
	SCRATCH_TEST(test_names_that_make_no_sense_are_refused),
	SCRATCH_TEST(test_a_session_pins_what_it_finds),
	SCRATCH_TEST(test_an_abandoned_session_leaves_its_sealed_packs),
	SCRATCH_TEST(test_a_chunk_claimed_and_not_brought_stops_the_commit),
	SCRATCH_TEST(test_a_full_disk_ends_the_session_only),
	SCRATCH_TEST(test_a_pack_whose_row_fails_is_taken_in_later),
	SCRATCH_TEST(test_without_a_root_record_there_is_no_snapshot),
	SCRATCH_TEST(test_a_failed_commit_takes_its_root_record_back),
	SCRATCH_TEST(test_a_killed_writer_loses_nothing_committed),
	SCRATCH_TEST(test_what_the_dead_left_is_put_right),
	SCRATCH_TEST(test_a_living_session_is_not_cleared_away),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
