#include "index/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/db_private.h"
#include "index/io.h"


/*
 * FULL: a commit that was acknowledged survives a power cut.  No checkpoint
 * but ours.  The rest keeps a damaged or hostile file from doing more than
 * failing.
 */
static const char settings[] =
    "PRAGMA synchronous = FULL;"
    "PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA mmap_size = 0;";

static int count_pages(void *ctx, sqlite3 *conn, const char *name, int pages)
{
	struct db *db = ctx;

	(void)conn;
	(void)name;
	db->wal_pages = pages;
	return SQLITE_OK;
}

void db_disconnect(struct db *db)
{
	for (int q = 0; q < Q_COUNT; q++) {
		sqlite3_finalize(db->stmt[q]);
		db->stmt[q] = NULL;
	}
	sqlite3_close(db->conn);
	db->conn = NULL;
}

/*
 * SQLite would make the file readable for all.  The log and its index get the
 * mode of the file.  Opened here before SQLite has it: closing a descriptor of
 * a database drops every lock this process holds on it.
 */
static int make_private(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(err, "create %s", path);
	io_close(fd);
	return 0;
}

int db_connect(struct db *db, bool create, struct err *err)
{
	/* Read-write falls back to read-only where the file allows no more. */
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_EXRESCODE | (create ? SQLITE_OPEN_CREATE : 0);
	int rc = create ? make_private(db->path, err) : 0;

	if (rc)
		return rc;
	if (sqlite3_open_v2(db->path, &db->conn, flags, NULL)) {
		rc = db->conn ? db_failure(db->conn, err)
		              : err_set(err, ERR_NOMEM, "index");
		goto out;
	}
	if (sqlite3_busy_timeout(db->conn, DB_BUSY_TIMEOUT_MS) ||
	    sqlite3_db_config(db->conn, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) ||
	    sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
	        NULL) ||
	    sqlite3_exec(db->conn, settings, NULL, NULL, NULL)) {
		rc = db_failure(db->conn, err);
		goto out;
	}
	/* Last: setting the automatic checkpoint takes this hook away. */
	sqlite3_wal_hook(db->conn, count_pages, db);
	rc = 0;

out:
	if (rc)
		db_disconnect(db);
	return rc;
}

/* Whether the file is ours: schema and store. */
static int check_meta(struct db *db, const uint8_t uuid[16], struct err *err)
{
	uint8_t found[16];
	sqlite3_stmt *st;
	int schema;
	int rc;

	rc = db_start(db, Q_META, &st, err);
	if (rc)
		return rc;
	rc = db_step(db, st, err);
	if (rc < 0)
		goto out;
	if (rc == 0) {
		rc = db_damaged(err, "it does not say whose it is");
		goto out;
	}
	schema = sqlite3_column_int(st, 0);
	if (schema != DB_SCHEMA) {
		rc = err_set(err, ERR_FORMAT,
		    "index has schema %d, this ieri knows %d", schema,
		    DB_SCHEMA);
		goto out;
	}
	rc = db_column_bytes(st, 1, found, sizeof(found), err);
	if (rc)
		goto out;
	if (memcmp(found, uuid, sizeof(found)) != 0)
		rc = err_set(err, ERR_INVALID,
		    "index belongs to another store");

out:
	db_done(db, st);
	return rc;
}

/* The directory, and the file of the write lock where we may have it. */
static int open_files(struct db *db, const char *dir, struct err *err)
{
	bool local;
	int rc;

	rc = io_open_dir(&db->dir_fd, AT_FDCWD, dir, err);
	if (rc)
		return rc;
	rc = io_is_local(db->dir_fd, &local, err);
	if (rc)
		return rc;
	if (!local)
		return err_set(err, ERR_INVALID,
		    "%s: the index must be on a local file system", dir);

	db->lock_fd = openat(db->dir_fd, "write.lock",
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (db->lock_fd < 0 && errno != EACCES && errno != EROFS &&
	    errno != EPERM)
		return err_sys(err, "open write.lock");
	return 0;
}

/*
 * SQLite syncs the folder of a log it has made, but does not look whether that
 * worked; and a log that loses its name takes all its commits with it.  So a
 * log which was not there before gets a sync that counts.
 */
static bool log_is_there(const struct db *db, const char *name)
{
	char log[NAME_MAX + 1];

	snprintf(log, sizeof(log), "%s-wal", name);
	return faccessat(db->dir_fd, log, F_OK, 0) == 0;
}

static int new_handle(struct db **out, const char *dir, const char *name,
    struct err *err)
{
	pthread_mutexattr_t attr;
	struct db *db = calloc(1, sizeof(*db));

	if (!db)
		return err_set(err, ERR_NOMEM, "index handle");
	db->dir_fd = -1;
	db->lock_fd = -1;
	db->pid = getpid();
	if (asprintf(&db->path, "%s/%s", dir, name) < 0) {
		free(db);
		return err_set(err, ERR_NOMEM, "index handle");
	}
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&db->use, &attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&db->writing, &attr);
	pthread_mutexattr_destroy(&attr);
	*out = db;
	return 0;
}

int db_open(struct db **out, const char *dir, const char *name,
    const uint8_t uuid[16], bool create, struct err *err)
{
	struct db *db = NULL;
	bool had_log;
	int rc;

	rc = new_handle(&db, dir, name, err);
	if (rc)
		goto out;
	rc = open_files(db, dir, err);
	if (rc)
		goto out;
	had_log = log_is_there(db, name);
	/* SQLite would say no more than "unable to open". */
	if (!create && faccessat(db->dir_fd, name, F_OK, 0) < 0) {
		rc = err_sys(err, "%s", name);
		goto out;
	}
	rc = db_connect(db, create, err);
	if (rc)
		goto out;
	if (create)
		rc = db_create(db, uuid, err);
	if (!rc)
		rc = check_meta(db, uuid, err);
	/* That first question has made the log. */
	if (!rc && !had_log && db->lock_fd >= 0 && fsync(db->dir_fd) < 0)
		rc = err_sys(err, "fsync directory of the log");
	if (rc)
		goto out;

	*out = db;
	db = NULL;

out:
	if (rc)
		err_wrap(err, "%s/%s", dir, name);
	db_close(db);
	return rc;
}

void db_close(struct db *db)
{
	/* In a child after a fork everything still belongs to the parent. */
	if (!db || db->pid != getpid())
		return;
	db_abort(db);
	db_disconnect(db);
	io_close(db->lock_fd);
	io_close(db->dir_fd);
	pthread_mutex_destroy(&db->writing);
	pthread_mutex_destroy(&db->use);
	free(db->path);
	free(db);
}

int db_version(struct db *db, uint64_t *out, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_DATA_VERSION, &st, err);
	if (rc)
		return rc;
	rc = db_step(db, st, err);
	if (rc == 1) {
		/* SQLite does not count this connection's own commits. */
		*out = db_column_u64(st, 0) << 32 | db->n_commits;
		rc = 0;
	} else if (rc == 0) {
		rc = db_damaged(err, "it has no version");
	}
	db_done(db, st);
	return rc;
}

static int check_integrity(struct db *db, struct err *err)
{
	const char *words;
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_INTEGRITY, &st, err);
	if (rc)
		return rc;
	rc = db_step(db, st, err);
	if (rc == 1) {
		words = (const char *)sqlite3_column_text(st, 0);
		rc = words && strcmp(words, "ok") == 0 ? 0
		    : db_damaged(err, words ? words : "no answer");
	} else if (rc == 0) {
		rc = db_damaged(err, "no answer");
	}
	db_done(db, st);
	return rc;
}

int db_check(struct db *db, struct err *err)
{
	char words[200];
	sqlite3_stmt *st;
	int rc;

	rc = check_integrity(db, err);
	if (rc)
		return rc;
	rc = db_start(db, Q_FOREIGN_KEYS, &st, err);
	if (rc)
		return rc;
	rc = db_step(db, st, err);
	if (rc == 1) {
		snprintf(words, sizeof(words), "table %s names a row of %s "
		    "that is not there",
		    (const char *)sqlite3_column_text(st, 0),
		    (const char *)sqlite3_column_text(st, 2));
		rc = db_damaged(err, words);
	}
	db_done(db, st);
	return rc;
}
