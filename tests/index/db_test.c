/*
 * The database: real files, real processes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "index/db.h"

static const uint8_t uuid[16] = "store of a test";

/* ---- A disk that fails ---- */

static volatile int sync_fails; /* syncs of the log still to be refused */

/* Takes the place of libc's for SQLite. */
int fdatasync(int fd)
{
	char link[64], name[256];
	ssize_t n;

	if (sync_fails > 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		if (n > 4 && strcmp(name + n - 4, "-wal") == 0) {
			sync_fails--;
			errno = EIO;
			return -1;
		}
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* ---- What every case begins with ---- */

struct fixture {
	char dir[256];
	struct db *db;
};

static void must(int rc, const struct err *err)
{
	if (rc)
		fail_msg("%s", err->msg);
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	snprintf(f->dir, sizeof(f->dir), "%s/ieri-db.XXXXXX",
	    tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	must(db_open(&f->db, f->dir, "index.db", uuid, true, &err), &err);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "index.db", "index.db-wal",
		"index.db-shm", "write.lock" };
	struct fixture *f = *state;
	char path[300];

	db_close(f->db);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		unlink(path);
	}
	assert_int_equal(0, rmdir(f->dir));
	free(f);
	return 0;
}

static struct db *second(const struct fixture *f)
{
	struct db *db;
	struct err err;

	must(db_open(&db, f->dir, "index.db", uuid, false, &err), &err);
	return db;
}

/* Says a thing to the file that db.h has no words for. */
static void tell(const struct fixture *f, const char *sql)
{
	char path[300];
	sqlite3 *conn;

	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(0, sqlite3_open(path, &conn));
	sqlite3_busy_timeout(conn, 10000);
	sqlite3_db_config(conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (sqlite3_exec(conn, sql, NULL, NULL, NULL))
		fail_msg("%s", sqlite3_errmsg(conn));
	sqlite3_close(conn);
}

static struct pack_row pack_of(uint32_t no)
{
	struct pack_row row = { .no = no, .size = 1000u + no, .n_blocks = 2,
		.n_chunks = 3, .session = 7 };

	memcpy(row.id.b, &no, sizeof(no));
	row.id.b[15] = 1;
	return row;
}

static int add_pack(struct db *db, uint32_t no, struct err *err)
{
	struct pack_row row = pack_of(no);

	return db_pack_add(db, &row, (const uint8_t *)"table", 5, err);
}

static void add_packs(struct db *db, uint32_t first, uint32_t last)
{
	struct err err;

	must(db_begin(db, &err), &err);
	for (uint32_t no = first; no <= last; no++)
		must(add_pack(db, no, &err), &err);
	must(db_commit(db, &err), &err);
}

static size_t count_packs(struct db *db)
{
	struct pack_row *rows;
	struct err err;
	size_t n;

	must(db_pack_list(db, 0, &rows, &n, &err), &err);
	free(rows);
	return n;
}

/*
 * A child, and the parent's handle opened anew: a process that has inherited
 * an open SQLite connection can have none of its own.
 */
static pid_t fork_clean(struct fixture *f)
{
	pid_t pid;

	db_close(f->db);
	f->db = NULL;
	pid = fork();
	if (pid > 0)
		f->db = second(f);
	return pid;
}

static void quit(bool ok)
{
	_exit(ok ? 0 : 1);
}

static void expect_exit(pid_t pid)
{
	int status;

	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFEXITED(status));
	assert_int_equal(0, WEXITSTATUS(status));
}

/* ---- Opening ---- */

static void opening_tells_absent_foreign_and_damaged_apart(void **state)
{
	static const uint8_t other[16] = "another store..";
	struct fixture *f = *state;
	char path[300];
	struct db *db;
	struct err err;

	assert_int_equal(ERR_NOT_FOUND,
	    db_open(&db, f->dir, "absent.db", uuid, false, &err));
	assert_int_equal(ERR_NOT_FOUND,
	    db_open(&db, "/nonexistent", "index.db", uuid, true, &err));
	assert_int_equal(ERR_INVALID,
	    db_open(&db, f->dir, "index.db", other, false, &err));
	/* Making what is there already is opening it. */
	must(db_open(&db, f->dir, "index.db", uuid, true, &err), &err);
	db_close(db);

	tell(f, "UPDATE meta SET schema = 99");
	assert_int_equal(ERR_FORMAT,
	    db_open(&db, f->dir, "index.db", uuid, false, &err));
	tell(f, "DROP TABLE meta");
	assert_int_equal(ERR_CORRUPT,
	    db_open(&db, f->dir, "index.db", uuid, false, &err));

	db_close(f->db);
	f->db = NULL;
	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(0, truncate(path, 100));
	snprintf(path, sizeof(path), "%s/index.db-wal", f->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(ERR_CORRUPT,
	    db_open(&db, f->dir, "index.db", uuid, false, &err));
	assert_non_null(strstr(err.msg, "ieri rebuild-index"));
	assert_int_equal(0, truncate(path, 0));
	assert_int_equal(ERR_CORRUPT,
	    db_open(&db, f->dir, "index.db", uuid, false, &err));
}

static void the_connection_has_the_settings_that_keep_data(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char path[300];

	/* Closing copies nothing into the database: that is done under the
	 * lock alone. */
	add_packs(f->db, 1, 50);
	db_close(f->db);
	f->db = NULL;
	snprintf(path, sizeof(path), "%s/index.db-wal", f->dir);
	assert_int_equal(0, stat(path, &st));
	assert_true(st.st_size > 4096);
	f->db = second(f);
	assert_int_equal(50, count_packs(f->db));
}

static void a_reader_without_write_permission_reads(void **state)
{
	struct fixture *f = *state;
	struct err err;
	char path[300];
	pid_t pid;

	if (geteuid() != 0)
		skip();
	add_packs(f->db, 1, 3);
	assert_int_equal(0, chmod(f->dir, 0755));
	snprintf(path, sizeof(path), "%s/index.db-wal", f->dir);
	chmod(path, 0644);
	pid = fork_clean(f);
	if (pid == 0) {
		struct pack_row *rows;
		struct db *db;
		size_t n;

		quit(seteuid(65534) == 0 &&
		    db_open(&db, f->dir, "index.db", uuid, false, &err) == 0 &&
		    db_pack_list(db, 0, &rows, &n, &err) == 0 && n == 3 &&
		    db_begin(db, &err) == ERR_SYSTEM);
	}
	expect_exit(pid);
}

static void a_handle_is_refused_after_a_fork(void **state)
{
	struct fixture *f = *state;
	struct err err;
	uint64_t n;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		bool ok = db_pack_last_seq(f->db, &n, &err) == ERR_INVALID &&
		    db_begin(f->db, &err) == ERR_INVALID &&
		    db_commit(f->db, &err) == ERR_INVALID &&
		    db_checkpoint(f->db, 0, &err) == ERR_INVALID;

		db_close(f->db);
		quit(ok);
	}
	expect_exit(pid);
	add_packs(f->db, 1, 1);
}

/* ---- Transactions ---- */

static void what_was_not_committed_vanishes(void **state)
{
	struct fixture *f = *state;
	struct err err;
	uint64_t n;

	must(db_begin(f->db, &err), &err);
	must(add_pack(f->db, 1, &err), &err);
	assert_int_equal(1, count_packs(f->db));
	db_abort(f->db);
	db_abort(f->db);
	assert_int_equal(0, count_packs(f->db));
	must(db_pack_last_seq(f->db, &n, &err), &err);
	assert_int_equal(0, n);
	assert_int_equal(ERR_INVALID, db_commit(f->db, &err));
	assert_int_equal(ERR_INVALID, add_pack(f->db, 1, &err));
	must(db_begin(f->db, &err), &err);
	assert_int_equal(ERR_INVALID, db_begin(f->db, &err));
	db_abort(f->db);
}

static void the_version_changes_with_every_commit(void **state)
{
	struct fixture *f = *state;
	struct db *other = second(f);
	uint64_t before, after, own;
	struct err err;

	must(db_version(f->db, &own, &err), &err);
	must(db_version(other, &before, &err), &err);
	must(db_version(other, &after, &err), &err);
	assert_int_equal(before, after);
	add_packs(f->db, 1, 1);
	must(db_version(other, &after, &err), &err);
	assert_int_not_equal(before, after);
	must(db_version(f->db, &after, &err), &err);
	assert_int_not_equal(own, after);
	db_close(other);
}

static void a_second_writer_waits_for_the_first(void **state)
{
	struct fixture *f = *state;
	struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };
	int go[2];
	int status;
	pid_t pid;
	char c;
	struct err err;

	assert_int_equal(0, pipe(go));
	pid = fork_clean(f);
	if (pid == 0) {
		struct db *db;

		if (read(go[0], &c, 1) != 1)
			quit(false);
		db = second(f);
		/* Readers do not wait, writers do. */
		if (count_packs(db) != 0)
			quit(false);
		add_packs(db, 2, 2);
		quit(count_packs(db) == 2);
	}
	must(db_begin(f->db, &err), &err);
	must(add_pack(f->db, 1, &err), &err);
	assert_int_equal(1, write(go[1], "x", 1));
	nanosleep(&pause, NULL);
	assert_int_equal(0, waitpid(pid, &status, WNOHANG));
	must(db_commit(f->db, &err), &err);
	expect_exit(pid);
	close(go[0]);
	close(go[1]);
}

static void a_process_killed_in_a_transaction_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct err err;
	int pipe_fd[2];
	char c;

	add_packs(f->db, 1, 1);
	for (int i = 0; i < 3; i++) {
		pid_t pid;

		assert_int_equal(0, pipe(pipe_fd));
		pid = fork_clean(f);
		if (pid == 0) {
			struct db *db = second(f);

			must(db_begin(db, &err), &err);
			for (uint32_t no = 2; no < 2000; no++)
				must(add_pack(db, no, &err), &err);
			if (write(pipe_fd[1], "x", 1) != 1)
				quit(false);
			pause();
		}
		assert_int_equal(1, read(pipe_fd[0], &c, 1));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		assert_int_equal(1, count_packs(f->db));
	}
	add_packs(f->db, 2, 2);
	must(db_check(f->db, &err), &err);
}

#define WRITERS 4
#define COMMITS 200

static void write_and_checkpoint(const struct fixture *f, uint32_t who)
{
	struct db *db = second(f);
	uint32_t no;
	struct err err;

	for (uint32_t i = 0; i < COMMITS; i++) {
		must(db_begin(db, &err), &err);
		must(db_next_pack_no(db, &no, &err), &err);
		must(add_pack(db, no, &err), &err);
		must(db_commit(db, &err), &err);
		if (i % 10 == who)
			must(db_checkpoint(db, i % 20 == who, &err), &err);
	}
	db_close(db);
}

static void processes_that_write_and_checkpoint_lose_nothing(void **state)
{
	struct fixture *f = *state;
	struct pack_row *rows;
	pid_t pid[WRITERS];
	struct err err;
	size_t n;

	db_close(f->db);
	f->db = NULL;
	for (uint32_t i = 0; i < WRITERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			write_and_checkpoint(f, i);
			quit(true);
		}
	}
	for (int i = 0; i < WRITERS; i++)
		expect_exit(pid[i]);

	f->db = second(f);
	must(db_check(f->db, &err), &err);
	must(db_pack_list(f->db, 0, &rows, &n, &err), &err);
	assert_int_equal(WRITERS * COMMITS, n);
	for (size_t i = 0; i < n; i++) {
		uint8_t *table;
		size_t len;

		assert_int_equal(i + 1, rows[i].seq);
		assert_int_equal(i + 1, rows[i].no);
		must(db_pack_table(f->db, rows[i].no, &table, &len, &err),
		    &err);
		assert_int_equal(5, len);
		free(table);
	}
	free(rows);
}

static void *threads_body(void *arg)
{
	struct db *db = arg;
	uint64_t session;
	uint64_t version;
	struct err err;

	for (int i = 0; i < 50; i++) {
		must(db_begin(db, &err), &err);
		must(db_next_session(db, &session, &err), &err);
		must(add_pack(db, (uint32_t)session, &err), &err);
		must(db_commit(db, &err), &err);
		must(db_version(db, &version, &err), &err);
	}
	return NULL;
}

static void threads_take_turns(void **state)
{
	struct fixture *f = *state;
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, threads_body, f->db);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(200, count_packs(f->db));
}

static void the_log_does_not_grow_without_bound(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char path[300];
	struct err err;

	snprintf(path, sizeof(path), "%s/index.db-wal", f->dir);
	for (uint32_t i = 0; i < 60; i++)
		add_packs(f->db, i * 400 + 1, i * 400 + 400);
	assert_int_equal(0, stat(path, &st));
	assert_true(st.st_size < 3000 * 4096);
	must(db_checkpoint(f->db, 0, &err), &err);
	assert_int_equal(0, stat(path, &st));
	assert_int_equal(0, st.st_size);
	assert_int_equal(60 * 400, count_packs(f->db));
}

static void a_commit_whose_sync_fails_is_not_committed(void **state)
{
	struct fixture *f = *state;
	struct db *other;
	struct err err;
	uint64_t before, after;

	add_packs(f->db, 1, 1);
	must(db_version(f->db, &before, &err), &err);
	must(db_begin(f->db, &err), &err);
	must(add_pack(f->db, 2, &err), &err);
	sync_fails = 1;
	assert_int_equal(ERR_SYSTEM, db_commit(f->db, &err));
	assert_int_equal(0, sync_fails);
	assert_int_equal(1, count_packs(f->db));
	must(db_version(f->db, &after, &err), &err);
	assert_int_not_equal(before, after);

	/* Nor does a recovery of the log find it. */
	db_close(f->db);
	f->db = NULL;
	char path[300];
	snprintf(path, sizeof(path), "%s/index.db-shm", f->dir);
	assert_int_equal(0, unlink(path));
	f->db = second(f);
	assert_int_equal(1, count_packs(f->db));
	add_packs(f->db, 2, 2);
	other = second(f);
	assert_int_equal(2, count_packs(other));
	db_close(other);
}

static void a_lost_outcome_kills_the_handle_and_no_other(void **state)
{
	struct fixture *f = *state;
	uint64_t n;
	struct db *other;
	struct err err;

	must(db_begin(f->db, &err), &err);
	must(add_pack(f->db, 1, &err), &err);
	sync_fails = 1000;
	assert_int_equal(ERR_SYSTEM, db_commit(f->db, &err));
	sync_fails = 0;
	assert_non_null(strstr(err.msg, "cannot tell"));
	assert_int_equal(ERR_SYSTEM, db_pack_last_seq(f->db, &n, &err));
	assert_int_equal(ERR_SYSTEM, db_begin(f->db, &err));
	other = second(f);
	add_packs(other, 2, 2);
	db_close(other);
}

/* ---- Rows ---- */

static void counters_never_repeat(void **state)
{
	struct fixture *f = *state;
	uint64_t a, b;
	uint32_t no;
	struct err err;

	must(db_next_serial(f->db, &a, &err), &err);
	assert_int_equal(1, a);
	db_close(f->db);
	f->db = second(f);
	must(db_next_serial(f->db, &b, &err), &err);
	assert_int_equal(2, b);
	must(db_begin(f->db, &err), &err);
	must(db_reserve(f->db, 10, 20, 30, &err), &err);
	must(db_reserve(f->db, 1, 1, 1, &err), &err);
	must(db_commit(f->db, &err), &err);
	must(db_next_serial(f->db, &a, &err), &err);
	must(db_next_session(f->db, &b, &err), &err);
	must(db_next_pack_no(f->db, &no, &err), &err);
	assert_int_equal(11, a);
	assert_int_equal(21, b);
	assert_int_equal(31, no);

	must(db_begin(f->db, &err), &err);
	must(db_reserve(f->db, 8388607, 0, UINT32_MAX, &err), &err);
	must(db_commit(f->db, &err), &err);
	assert_int_equal(ERR_INVALID, db_next_serial(f->db, &a, &err));
	assert_int_equal(ERR_INVALID, db_next_pack_no(f->db, &no, &err));
}

static void no_resource_lies_above_or_beneath_another(void **state)
{
	static const struct {
		const char *name;
		int rc;
	} cases[] = {
		{ "acme/web", 0 },
		{ "acme/web", ERR_EXISTS },
		{ "acme", ERR_INVALID },
		{ "acme/web/x", ERR_INVALID },
		{ "acme/web/x/y", ERR_INVALID },
		{ "acme/web2", 0 },
		{ "acme/web-2", 0 },
		{ "acme/we", 0 },
		{ "acme0", 0 },
		{ "acme-", 0 },
		{ "b/c/d/e", 0 },
		{ "b/c", ERR_INVALID },
		{ "b/c/d", ERR_INVALID },
		{ "b", ERR_INVALID },
		{ "", ERR_INVALID },
		{ "/a", ERR_INVALID },
		{ "a/", ERR_INVALID },
		{ "a//b", ERR_INVALID },
		{ "b/c/e", 0 },
	};
	struct fixture *f = *state;
	struct resource_row *rows, row;
	uint32_t no;
	size_t n;
	struct err err;

	must(db_begin(f->db, &err), &err);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (db_resource_add(f->db, cases[i].name, 0, &no, &err) !=
		    cases[i].rc)
			fail_msg("%s", cases[i].name);
	must(db_resource_add(f->db, "given", 77, &no, &err), &err);
	assert_int_equal(77, no);
	must(db_resource_add(f->db, "after", 0, &no, &err), &err);
	assert_int_equal(78, no);
	assert_int_equal(ERR_EXISTS,
	    db_resource_add(f->db, "twice", 77, &no, &err));
	must(db_commit(f->db, &err), &err);

	must(db_resource_find(f->db, "given", &row, &err), &err);
	assert_int_equal(77, row.no);
	assert_int_equal(RESOURCE_LIVE, row.state);
	assert_string_equal("given", row.name);
	free(row.name);
	assert_int_equal(ERR_NOT_FOUND,
	    db_resource_find(f->db, "acme", &row, &err));

	must(db_resource_list(f->db, &rows, &n, &err), &err);
	assert_int_equal(10, n);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(rows[i - 1].name, rows[i].name) < 0);
	db_resources_free(rows, n);
}

static void snapshots_come_back_as_they_were_added(void **state)
{
	struct fixture *f = *state;
	struct snapshot_row row = { .serial = 5, .id = { "id of five" },
		.resource_no = 1, .time_ns = -3, .end_ns = INT64_MAX,
		.utc_offset = -3600, .n_files = 1, .n_dirs = 2, .n_other = 3,
		.n_bytes = INT64_MAX, .n_added = 5, .n_faults = 6 };
	struct snapshot_row got, *rows;
	uint8_t *record;
	uint32_t no;
	size_t n;
	struct err err;

	must(db_begin(f->db, &err), &err);
	assert_int_equal(ERR_NOT_FOUND, db_snapshot_add(f->db, &row,
	    (const uint8_t *)"rec", 3, &err));
	must(db_resource_add(f->db, "a", 1, &no, &err), &err);
	must(db_resource_add(f->db, "b", 2, &no, &err), &err);
	must(db_snapshot_add(f->db, &row, (const uint8_t *)"rec", 3, &err),
	    &err);
	assert_int_equal(ERR_EXISTS, db_snapshot_add(f->db, &row,
	    (const uint8_t *)"rec", 3, &err));
	got = row;
	got.serial = 4;
	got.time_ns = 9;
	got.id.b[0] = 'x';
	must(db_snapshot_add(f->db, &got, NULL, 0, &err), &err);
	got.serial = 6;
	got.time_ns = -9;
	got.id.b[0] = 'y';
	got.resource_no = 2;
	must(db_snapshot_add(f->db, &got, NULL, 0, &err), &err);
	got.serial = 7;
	got.id.b[0] = 'z';
	got.n_bytes = UINT64_MAX;
	assert_int_equal(ERR_INVALID,
	    db_snapshot_add(f->db, &got, NULL, 0, &err));
	must(db_commit(f->db, &err), &err);

	must(db_snapshot_by_id(f->db, &row.id, &got, &err), &err);
	assert_int_equal(5, got.serial);
	assert_memory_equal(row.id.b, got.id.b, sizeof(row.id.b));
	assert_int_equal(row.time_ns, got.time_ns);
	assert_int_equal(row.end_ns, got.end_ns);
	assert_int_equal(row.utc_offset, got.utc_offset);
	assert_int_equal(row.n_files, got.n_files);
	assert_int_equal(row.n_dirs, got.n_dirs);
	assert_int_equal(row.n_other, got.n_other);
	assert_int_equal(row.n_bytes, got.n_bytes);
	assert_int_equal(row.n_added, got.n_added);
	assert_int_equal(row.n_faults, got.n_faults);

	/* The last is the last by serial, the list is by time. */
	must(db_snapshot_last(f->db, 1, &got, &err), &err);
	assert_int_equal(5, got.serial);
	must(db_snapshot_list(f->db, 1, &rows, &n, &err), &err);
	assert_int_equal(2, n);
	assert_int_equal(5, rows[0].serial);
	assert_int_equal(4, rows[1].serial);
	free(rows);
	must(db_snapshot_list(f->db, 0, &rows, &n, &err), &err);
	assert_int_equal(3, n);
	assert_int_equal(6, rows[0].serial);
	free(rows);
	assert_int_equal(ERR_NOT_FOUND,
	    db_snapshot_by_serial(f->db, 99, &got, &err));
	must(db_snapshot_record(f->db, 5, &record, &n, &err), &err);
	assert_int_equal(3, n);
	assert_memory_equal("rec", record, 3);
	free(record);
}

static void packs_and_tables_come_back_in_order_of_arrival(void **state)
{
	struct fixture *f = *state;
	struct pack_row want = pack_of(3), got, *rows;
	uint64_t seq;
	uint8_t *table;
	size_t n;
	struct err err;

	add_packs(f->db, 3, 3);
	add_packs(f->db, 1, 2);
	must(db_pack_list(f->db, 1, &rows, &n, &err), &err);
	assert_int_equal(2, n);
	assert_int_equal(1, rows[0].no);
	assert_int_equal(2, rows[0].seq);
	free(rows);
	must(db_pack_by_id(f->db, &want.id, &got, &err), &err);
	assert_int_equal(3, got.no);
	assert_int_equal(1, got.seq);
	assert_int_equal(want.size, got.size);
	assert_int_equal(want.n_blocks, got.n_blocks);
	assert_int_equal(want.n_chunks, got.n_chunks);
	assert_int_equal(want.session, got.session);
	must(db_pack_table(f->db, 2, &table, &n, &err), &err);
	assert_int_equal(5, n);
	free(table);
	assert_int_equal(ERR_NOT_FOUND,
	    db_pack_table(f->db, 9, &table, &n, &err));
	assert_int_equal(ERR_NOT_FOUND, db_pack_find(f->db, 9, &got, &err));

	/* The number of the last arrival stays when its pack goes. */
	tell(f, "PRAGMA foreign_keys = ON; DELETE FROM pack WHERE no = 2");
	must(db_pack_last_seq(f->db, &seq, &err), &err);
	assert_int_equal(3, seq);
	assert_int_equal(ERR_NOT_FOUND,
	    db_pack_table(f->db, 2, &table, &n, &err));
	must(db_begin(f->db, &err), &err);
	assert_int_equal(ERR_EXISTS, add_pack(f->db, 1, &err));
	db_abort(f->db);
}

static void a_pin_rescues_or_is_refused(void **state)
{
	struct session_row session = { .id = 4, .resource_no = 1,
		.started_ns = 5 };
	struct fixture *f = *state;
	struct session_row *rows;
	struct pack_row pack;
	uint32_t *nos;
	size_t n;
	struct err err;

	add_packs(f->db, 1, 4);
	tell(f, "UPDATE pack SET state = 1 WHERE no = 2;"
	        "UPDATE pack SET state = 2 WHERE no = 3;");
	must(db_begin(f->db, &err), &err);
	assert_int_equal(ERR_NOT_FOUND, db_pin_add(f->db, 4, 1, &err));
	must(db_session_add(f->db, &session, &err), &err);
	must(db_pin_add(f->db, 4, 2, &err), &err);
	must(db_pin_add(f->db, 4, 1, &err), &err);
	must(db_pin_add(f->db, 4, 1, &err), &err);
	assert_int_equal(ERR_NOT_FOUND, db_pin_add(f->db, 4, 3, &err));
	assert_int_equal(ERR_NOT_FOUND, db_pin_add(f->db, 4, 5, &err));
	must(db_commit(f->db, &err), &err);

	must(db_pack_find(f->db, 2, &pack, &err), &err);
	assert_int_equal(PACK_LIVE, pack.state);
	must(db_pack_find(f->db, 3, &pack, &err), &err);
	assert_int_equal(PACK_DELETING, pack.state);
	must(db_pin_list(f->db, 4, &nos, &n, &err), &err);
	assert_int_equal(2, n);
	assert_int_equal(1, nos[0]);
	assert_int_equal(2, nos[1]);
	free(nos);

	must(db_session_list(f->db, &rows, &n, &err), &err);
	assert_int_equal(1, n);
	assert_int_equal(4, rows[0].id);
	assert_int_equal(1, rows[0].resource_no);
	assert_int_equal(5, rows[0].started_ns);
	free(rows);
	must(db_begin(f->db, &err), &err);
	must(db_session_remove(f->db, 4, &err), &err);
	assert_int_equal(ERR_NOT_FOUND, db_session_remove(f->db, 4, &err));
	must(db_commit(f->db, &err), &err);
	must(db_pin_list(f->db, 4, &nos, &n, &err), &err);
	assert_int_equal(0, n);
	free(nos);
	assert_int_equal(ERR_NOT_FOUND,
	    db_session_find(f->db, 4, &session, &err));
}

static void a_check_finds_a_row_that_names_nothing(void **state)
{
	struct fixture *f = *state;
	struct err err;

	must(db_check(f->db, &err), &err);
	tell(f, "INSERT INTO pack_table VALUES (9, x'00')");
	assert_int_equal(ERR_CORRUPT, db_check(f->db, &err));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(opening_tells_absent_foreign_and_damaged_apart),
		CASE(the_connection_has_the_settings_that_keep_data),
		CASE(a_reader_without_write_permission_reads),
		CASE(a_handle_is_refused_after_a_fork),
		CASE(what_was_not_committed_vanishes),
		CASE(the_version_changes_with_every_commit),
		CASE(a_second_writer_waits_for_the_first),
		CASE(a_process_killed_in_a_transaction_leaves_nothing),
		CASE(processes_that_write_and_checkpoint_lose_nothing),
		CASE(threads_take_turns),
		CASE(the_log_does_not_grow_without_bound),
		CASE(a_commit_whose_sync_fails_is_not_committed),
		CASE(a_lost_outcome_kills_the_handle_and_no_other),
		CASE(counters_never_repeat),
		CASE(no_resource_lies_above_or_beneath_another),
		CASE(snapshots_come_back_as_they_were_added),
		CASE(packs_and_tables_come_back_in_order_of_arrival),
		CASE(a_pin_rescues_or_is_refused),
		CASE(a_check_finds_a_row_that_names_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
