/*
 * The only file that takes the write lock, begins, commits, rolls back and
 * checkpoints; a test holds the others to that.
 */
#include "index/db_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* 4 MiB of log: a copy takes some milliseconds, and readers of the log search
 * a short list. */
#define WAL_PAGES 1000
#define PAGE_SIZE 4096

static const char sql_begin[] = "BEGIN IMMEDIATE";
static const char sql_commit[] = "COMMIT";
static const char sql_abort[] = "ROLLBACK";

int db_lock(struct db *db, struct err *err)
{
	int rc = db_check_process(db, err);

	if (rc)
		return rc;
	if (db->lock_fd < 0)
		return err_set(err, ERR_SYSTEM, "index may only be read here");
	/* Two threads of one handle share the flock; this keeps them apart. */
	if (pthread_mutex_lock(&db->writing) == EDEADLK)
		return err_set(err, ERR_INVALID,
		    "index: this thread is in a transaction already");
	while (flock(db->lock_fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		err_sys(err, "lock of the index");
		pthread_mutex_unlock(&db->writing);
		return err->code;
	}
	return 0;
}

void db_unlock(struct db *db)
{
	/* Not by closing: a child of a fork may hold the descriptor too. */
	flock(db->lock_fd, LOCK_UN);
	pthread_mutex_unlock(&db->writing);
}

bool db_in_transaction(struct db *db)
{
	bool in_tx;

	if (pthread_mutex_trylock(&db->use))
		return false; /* another thread is at it */
	in_tx = db->in_tx;
	pthread_mutex_unlock(&db->use);
	return in_tx;
}

static int execute(struct db *db, const char *text, struct err *err)
{
	if (sqlite3_exec(db->conn, text, NULL, NULL, NULL))
		return db_failure(db->conn, err);
	return 0;
}

/* Both mutexes and the flock are held from here to end(). */
static int begin(struct db *db, struct err *err)
{
	int rc;

	if (!db->conn)
		return err_set(err, ERR_SYSTEM,
		    "index: the outcome of a commit is unknown");
	rc = execute(db, sql_begin, err);
	if (rc)
		return rc;
	db->in_tx = true;
	db->spoiled = false;
	return 0;
}

static void roll_back(struct db *db)
{
	db->in_tx = false;
	/* It fails when SQLite has rolled back by itself; that is the same. */
	if (db->conn && !sqlite3_get_autocommit(db->conn))
		(void)sqlite3_exec(db->conn, sql_abort, NULL, NULL, NULL);
}

/*
 * A commit has failed for the reason in *err.  Its frames may lie in the log
 * whole, though nobody counts them: whoever recovered the log after a crash
 * would find them and believe them.  So a transaction of no meaning is written
 * over them; beginning it also shows, by the token, whether the commit had
 * happened after all.  The write lock has been ours all the time.
 *
 * Returns 0 when it had.
 */
static int settle(struct db *db, struct err *err)
{
	struct err later;
	uint64_t token;

	/* The disk refused the bytes: the last frame, which makes a commit,
	 * cannot be there. */
	bool full = sqlite3_errcode(db->conn) == SQLITE_FULL;

	roll_back(db);
	if (full)
		return err->code;

	if (begin(db, &later) ||
	    db_counter_next(db, "commit", &token, &later) ||
	    execute(db, sql_commit, &later)) {
		db->in_tx = false;
		db_disconnect(db);
		return err_wrap(err,
		    "index: cannot tell whether this was committed");
	}
	db->in_tx = false;
	db->n_commits++;
	return token == db->token ? err->code : 0;
}

/* Failure is no matter: the log stays as it is, the next commit tries again. */
static int checkpoint(struct db *db, int mode, struct err *err)
{
	int rc;

	/* A reader in the way is not waited for, nor made to wait. */
	sqlite3_busy_timeout(db->conn, 0);
	rc = sqlite3_wal_checkpoint_v2(db->conn, "main", mode, NULL, NULL);
	if (rc && (rc & 0xff) != SQLITE_BUSY)
		rc = db_failure(db->conn, err);
	else
		rc = 0;
	sqlite3_busy_timeout(db->conn, DB_BUSY_TIMEOUT_MS);
	return rc;
}

/* Takes both mutexes and the flock, and begins. */
static int enter(struct db *db, struct err *err)
{
	int rc;

	rc = db_lock(db, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&db->use);
	rc = begin(db, err);
	if (rc) {
		pthread_mutex_unlock(&db->use);
		db_unlock(db);
	}
	return rc;
}

static void leave(struct db *db)
{
	pthread_mutex_unlock(&db->use);
	db_unlock(db);
}

static int finish(struct db *db, struct err *err)
{
	int rc;

	if (db->spoiled || sqlite3_get_autocommit(db->conn)) {
		roll_back(db);
		return err_set(err, ERR_SYSTEM,
		    "index: a step of the transaction failed");
	}
	rc = execute(db, sql_commit, err);
	if (rc)
		rc = settle(db, err);
	db->in_tx = false;
	return rc;
}

int db_begin(struct db *db, struct err *err)
{
	int rc;

	rc = enter(db, err);
	if (rc)
		return rc;
	rc = db_counter_next(db, "commit", &db->token, err);
	if (rc)
		db_abort(db);
	return rc;
}

int db_commit(struct db *db, struct err *err)
{
	struct err ignored;
	int rc;

	rc = db_check_process(db, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&db->use);
	if (!db->in_tx) {
		pthread_mutex_unlock(&db->use);
		return err_set(err, ERR_INVALID, "index: no transaction");
	}
	rc = finish(db, err);
	if (!rc) {
		db->n_commits++;
		/* The commit stands whatever becomes of the copying. */
		if (db->wal_pages > WAL_PAGES)
			(void)checkpoint(db, SQLITE_CHECKPOINT_PASSIVE,
			    &ignored);
	}
	pthread_mutex_unlock(&db->use);
	leave(db);
	return rc;
}

void db_abort(struct db *db)
{
	if (!db || db->pid != getpid())
		return;
	pthread_mutex_lock(&db->use);
	if (db->in_tx) {
		roll_back(db);
		leave(db);
	}
	pthread_mutex_unlock(&db->use);
}

/* Bytes of the log; only ever looked at by name, never opened: closing a
 * descriptor of ours would drop SQLite's locks on the file. */
static int log_size(struct db *db, uint64_t *out, struct err *err)
{
	struct stat st;
	char *name;
	int rc = 0;

	if (asprintf(&name, "%s-wal", db->path) < 0)
		return err_set(err, ERR_NOMEM, "name of the log");
	*out = 0;
	if (stat(name, &st) == 0)
		*out = (uint64_t)st.st_size;
	else if (errno != ENOENT)
		rc = err_sys(err, "%s", name);
	free(name);
	return rc;
}

int db_checkpoint(struct db *db, unsigned pages, struct err *err)
{
	uint64_t size = 0;
	int rc;

	rc = db_check_process(db, err);
	if (!rc)
		rc = log_size(db, &size, err);
	if (rc || size / PAGE_SIZE <= pages)
		return rc;

	rc = db_lock(db, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&db->use);
	if (!db->conn)
		rc = err_set(err, ERR_SYSTEM,
		    "index: the outcome of a commit is unknown");
	else
		rc = checkpoint(db, pages ? SQLITE_CHECKPOINT_PASSIVE
		                          : SQLITE_CHECKPOINT_TRUNCATE, err);
	leave(db);
	return rc;
}

static int has_schema(struct db *db, bool *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc;

	rc = sqlite3_prepare_v2(db->conn,
	    "SELECT 1 FROM sqlite_schema WHERE name = 'meta'", -1, &st, NULL);
	if (!rc)
		rc = sqlite3_step(st);
	*out = rc == SQLITE_ROW;
	rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0
	    : db_failure(db->conn, err);
	sqlite3_finalize(st);
	return rc;
}

static int fill(struct db *db, const uint8_t uuid[16], struct err *err)
{
	char text[160];
	char hex[ID_HEX];
	struct id id;
	int rc;

	rc = execute(db, db_schema, err);
	if (rc)
		return rc;
	memcpy(id.b, uuid, sizeof(id.b));
	snprintf(text, sizeof(text), "INSERT INTO meta VALUES (1, %d, x'%s')",
	    DB_SCHEMA, id_hex(&id, hex));
	return execute(db, text, err);
}

int db_create(struct db *db, const uint8_t uuid[16], struct err *err)
{
	bool done;
	int rc;

	rc = db_lock(db, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&db->use);

	/* Somebody may have been quicker, or have died half way. */
	rc = has_schema(db, &done, err);
	if (rc || done)
		goto out;
	rc = execute(db, "PRAGMA journal_mode = WAL", err);
	if (rc)
		goto out;
	rc = begin(db, err);
	if (rc)
		goto out;
	rc = fill(db, uuid, err);
	if (!rc)
		rc = execute(db, sql_commit, err);
	roll_back(db);
	if (rc)
		goto out;
	/* Into the file and to the disk, then the name. */
	rc = checkpoint(db, SQLITE_CHECKPOINT_TRUNCATE, err);
	if (!rc && fsync(db->dir_fd) < 0)
		rc = err_sys(err, "fsync directory of the index");

out:
	leave(db);
	return rc;
}
