/*
 * The database: opening, transactions, other processes, failing disks.
 */
#include "tests/index/db_fixture.h"

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
	static const char *const names[] = { "", "-wal", "-shm" };
	struct fixture *f = *state;
	struct err err;
	char path[300];
	pid_t pid;

	if (geteuid() != 0)
		skip();
	add_packs(f->db, 1, 3);
	assert_int_equal(0, chmod(f->dir, 0755));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/index.db%s", f->dir, names[i]);
		assert_int_equal(0, chmod(path, 0644));
	}
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

static void nobody_else_may_read_the_files(void **state)
{
	static const char *const names[] = { "index.db", "index.db-wal",
		"index.db-shm", "write.lock" };
	struct fixture *f = *state;
	char path[300];
	struct stat st;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		assert_int_equal(0, stat(path, &st));
		assert_int_equal(0600, st.st_mode & 0777);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(opening_tells_absent_foreign_and_damaged_apart),
		CASE(the_connection_has_the_settings_that_keep_data),
		CASE(nobody_else_may_read_the_files),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
