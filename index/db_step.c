#include "index/db_private.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int db_damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT,
	    "index is damaged (%s); run `ieri rebuild-index`", what);
}

int db_failure(sqlite3 *conn, struct err *err)
{
	const char *words = sqlite3_errmsg(conn);
	int sys;

	switch (sqlite3_extended_errcode(conn)) {
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
	case SQLITE_CONSTRAINT_UNIQUE:
		return err_set(err, ERR_EXISTS, "index: %s", words);
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return err_set(err, ERR_NOT_FOUND,
		    "index: a row it would refer to is not there");
	default:
		break;
	}

	switch (sqlite3_errcode(conn) & 0xff) { /* drop the extended part */
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_BUSY, "index is locked");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return db_damaged(err, words);
	case SQLITE_NOMEM:
		return err_set(err, ERR_NOMEM, "index");
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
	case SQLITE_TOOBIG:
		return err_set(err, ERR_INVALID, "index: %s", words);
	case SQLITE_FULL:
		return err_set(err, ERR_SYSTEM, "index: No space left on device");
	case SQLITE_READONLY:
		return err_set(err, ERR_SYSTEM, "index may only be read here");
	default:
		sys = sqlite3_system_errno(conn);
		err_set(err, ERR_SYSTEM, "index: %s%s%s", words,
		    sys ? ": " : "", sys ? strerror(sys) : "");
		err->sys = sys;
		return ERR_SYSTEM;
	}
}

/* A statement that is no longer understood meets another schema. */
static int prepare(struct db *db, enum query q, struct err *err)
{
	int rc = sqlite3_prepare_v3(db->conn, db_sql[q], -1,
	    SQLITE_PREPARE_PERSISTENT, &db->stmt[q], NULL);

	if ((rc & 0xff) == SQLITE_ERROR)
		return db_damaged(err, sqlite3_errmsg(db->conn));
	if (rc)
		return db_failure(db->conn, err);
	return 0;
}

int db_check_process(const struct db *db, struct err *err)
{
	/* SQLite's locks belong to a process: a child that used or closed
	 * them would take them from its parent. */
	if (db->pid != getpid())
		return err_set(err, ERR_INVALID,
		    "index was opened before a fork");
	return 0;
}

int db_start(struct db *db, enum query q, sqlite3_stmt **out, struct err *err)
{
	int rc = db_check_process(db, err);

	if (rc)
		return rc;
	pthread_mutex_lock(&db->use);
	if (!db->conn) {
		rc = err_set(err, ERR_SYSTEM,
		    "index: the outcome of a commit is unknown");
		goto out;
	}
	if (!db->stmt[q])
		rc = prepare(db, q, err);
	if (rc)
		goto out;
	/* SQLite rolls back by itself after some failures; what came after
	 * would then be a transaction of its own, outside the lock. */
	if (!sqlite3_stmt_readonly(db->stmt[q]) &&
	    (!db->in_tx || sqlite3_get_autocommit(db->conn))) {
		rc = err_set(err, ERR_INVALID, "index: no transaction");
		goto out;
	}
	db->bind_failed = false;
	*out = db->stmt[q];

out:
	if (rc)
		pthread_mutex_unlock(&db->use);
	return rc;
}

void db_done(struct db *db, sqlite3_stmt *st)
{
	/* Always: an open statement pins a read snapshot. */
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	pthread_mutex_unlock(&db->use);
}

void db_bind_i64(struct db *db, sqlite3_stmt *st, int i, int64_t v)
{
	if (sqlite3_bind_int64(st, i, v))
		db->bind_failed = true;
}

void db_bind_u64(struct db *db, sqlite3_stmt *st, int i, uint64_t v)
{
	if (v > INT64_MAX || sqlite3_bind_int64(st, i, (int64_t)v))
		db->bind_failed = true;
}

void db_bind_blob(struct db *db, sqlite3_stmt *st, int i, const void *data,
    size_t len)
{
	/* A NULL pointer would be bound as NULL, not as no bytes. */
	if (sqlite3_bind_blob64(st, i, len ? data : "", len, SQLITE_STATIC))
		db->bind_failed = true;
}

void db_bind_text(struct db *db, sqlite3_stmt *st, int i, const char *text)
{
	if (sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC))
		db->bind_failed = true;
}

int db_step(struct db *db, sqlite3_stmt *st, struct err *err)
{
	int rc;

	if (db->bind_failed)
		return err_set(err, ERR_INVALID,
		    "index: a number or text is too large");

	switch (sqlite3_step(st) & 0xff) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		rc = db_failure(db->conn, err);
		/* A refused value undoes its own statement alone; after
		 * anything else nobody knows what the transaction holds. */
		if (rc != ERR_EXISTS && rc != ERR_NOT_FOUND &&
		    rc != ERR_INVALID)
			db->spoiled = true;
		return rc;
	}
}

int db_run(struct db *db, sqlite3_stmt *st, struct err *err)
{
	int rc = db_step(db, st, err);

	return rc < 0 ? rc : 0;
}

int db_column_bytes(sqlite3_stmt *st, int i, void *out, size_t len,
    struct err *err)
{
	const void *data = sqlite3_column_blob(st, i);

	if (!data || (size_t)sqlite3_column_bytes(st, i) != len)
		return db_damaged(err, "a value has the wrong length");
	memcpy(out, data, len);
	return 0;
}

int db_column_copy(sqlite3_stmt *st, int i, uint8_t **out, size_t *len,
    struct err *err)
{
	const void *data = sqlite3_column_blob(st, i);
	size_t n = (size_t)sqlite3_column_bytes(st, i);
	uint8_t *copy;

	/* SQLite answers NULL for no bytes and for no memory. */
	if (!data && n)
		return err_set(err, ERR_NOMEM, "bytes from the index");
	copy = malloc(n + 1);
	if (!copy)
		return err_set(err, ERR_NOMEM, "bytes from the index");
	if (n)
		memcpy(copy, data, n);
	*out = copy;
	*len = n;
	return 0;
}
