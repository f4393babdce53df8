/*
 * db_fixture -- a database in a folder of its own for each case.
 */
#ifndef TESTS_INDEX_DB_FIXTURE_H
#define TESTS_INDEX_DB_FIXTURE_H

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

struct fixture {
	char dir[256];
	struct db *db;
};

static inline void must(int rc, const struct err *err)
{
	if (rc)
		fail_msg("%s", err->msg);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline struct db *second(const struct fixture *f)
{
	struct db *db;
	struct err err;

	must(db_open(&db, f->dir, "index.db", uuid, false, &err), &err);
	return db;
}

/* Says a thing to the file that db.h has no words for. */
static inline void tell(const struct fixture *f, const char *sql)
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

static inline struct pack_row pack_of(uint32_t no)
{
	struct pack_row row = { .no = no, .size = 1000u + no, .n_blocks = 2,
		.n_chunks = 3, .session = 7 };

	memcpy(row.id.b, &no, sizeof(no));
	row.id.b[15] = 1;
	return row;
}

static inline int add_pack(struct db *db, uint32_t no, struct err *err)
{
	struct pack_row row = pack_of(no);

	return db_pack_add(db, &row, (const uint8_t *)"table", 5, err);
}

static inline void add_packs(struct db *db, uint32_t first, uint32_t last)
{
	struct err err;

	must(db_begin(db, &err), &err);
	for (uint32_t no = first; no <= last; no++)
		must(add_pack(db, no, &err), &err);
	must(db_commit(db, &err), &err);
}

static inline size_t count_packs(struct db *db)
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
static inline pid_t fork_clean(struct fixture *f)
{
	pid_t pid;

	db_close(f->db);
	f->db = NULL;
	pid = fork();
	if (pid > 0)
		f->db = second(f);
	return pid;
}

static inline void quit(bool ok)
{
	_exit(ok ? 0 : 1);
}

static inline void expect_exit(pid_t pid)
{
	int status;

	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFEXITED(status));
	assert_int_equal(0, WEXITSTATUS(status));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
