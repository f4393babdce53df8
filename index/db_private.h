/*
 * db_private -- what the files of db.h share.
 *
 * db.c opens and closes, db_sql.c holds every statement, db_step.c runs one,
 * db_rows.c makes rows of the answers, db_write.c is the only place that locks,
 * begins, commits and checkpoints; the others are the questions of db.h, by
 * subject.
 *
 * Order of locks in a handle: `writing`, then the flock, then `use`.
 */
#ifndef INDEX_DB_PRIVATE_H
#define INDEX_DB_PRIVATE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/db.h"

#define DB_BUSY_TIMEOUT_MS 60000

enum query {
	Q_META,
	Q_DATA_VERSION,
	Q_INTEGRITY,
	Q_FOREIGN_KEYS,
	Q_COUNTER_NEXT,
	Q_COUNTER_RAISE,
	Q_COUNTER_GET,
	Q_RESOURCE_FIND,
	Q_RESOURCE_BENEATH,
	Q_RESOURCE_ADD,
	Q_RESOURCE_LIST,
	Q_SNAPSHOT_ADD,
	Q_SNAPSHOT_LIST,
	Q_SNAPSHOT_LIST_ALL,
	Q_SNAPSHOT_LAST,
	Q_SNAPSHOT_BY_ID,
	Q_SNAPSHOT_BY_SERIAL,
	Q_SNAPSHOT_RECORD,
	Q_PACK_ADD,
	Q_PACK_TABLE_ADD,
	Q_PACK_FIND,
	Q_PACK_BY_ID,
	Q_PACK_LIST,
	Q_PACK_TABLE,
	Q_PACK_RESCUE,
	Q_SESSION_ADD,
	Q_SESSION_FIND,
	Q_SESSION_LIST,
	Q_SESSION_REMOVE,
	Q_PIN_ADD,
	Q_PIN_LIST,
	Q_COUNT,
};

/* Every statement the program runs; and the text of a new database. */
extern const char *const db_sql[Q_COUNT];
extern const char db_schema[];

struct db {
	char *path;
	int dir_fd;
	int lock_fd; /* of write.lock; -1 where we may only read */
	pid_t pid;   /* of the process that opened it */

	pthread_mutex_t writing; /* held from db_lock to db_unlock */
	pthread_mutex_t use;     /* recursive; guards all below */
	sqlite3 *conn;           /* NULL once the outcome of a commit is lost */
	sqlite3_stmt *stmt[Q_COUNT];
	bool in_tx;
	bool spoiled;     /* a statement of this transaction broke down */
	bool bind_failed; /* of the statement being bound */
	uint64_t token;   /* that the running transaction will leave behind */
	uint32_t n_commits;
	int wal_pages; /* in the log after our last commit */
};

/* ---- db.c ---- */

/* A connection with all settings made; create: of a file that may be absent. */
int db_connect(struct db *db, bool create, struct err *err);
void db_disconnect(struct db *db);

/* ---- db_write.c ---- */

/* The mutex of writers, then the flock on write.lock. */
int db_lock(struct db *db, struct err *err);
void db_unlock(struct db *db);

/* Turns a database just connected into one that has the schema. */
int db_create(struct db *db, const uint8_t uuid[16], struct err *err);

/* ---- db_step.c ---- */

/* ERR_INVALID in a child of the process that opened the handle. */
int db_check_process(const struct db *db, struct err *err);

/*
 * Takes the handle for this thread and hands out a statement, ready to be
 * bound; refuses one that writes outside a transaction.  On success db_done
 * must follow.
 */
int db_start(struct db *db, enum query q, sqlite3_stmt **out, struct err *err);
void db_done(struct db *db, sqlite3_stmt *st);

/* Failures of binding are kept and reported by db_step. */
void db_bind_u64(struct db *db, sqlite3_stmt *st, int i, uint64_t v);
void db_bind_i64(struct db *db, sqlite3_stmt *st, int i, int64_t v);
void db_bind_blob(struct db *db, sqlite3_stmt *st, int i, const void *data,
    size_t len);
void db_bind_text(struct db *db, sqlite3_stmt *st, int i, const char *text);

/*
 * Returns 1 for a row, 0 for none, or a negative code: ERR_EXISTS for a
 * doubled key, ERR_NOT_FOUND for a row that names a missing one, ERR_INVALID
 * for a value the schema refuses.
 */
int db_step(struct db *db, sqlite3_stmt *st, struct err *err);

/* For a statement without rows: 0 or a negative code. */
int db_run(struct db *db, sqlite3_stmt *st, struct err *err);

/* What the library last complained of, as one of our codes. */
int db_failure(sqlite3 *conn, struct err *err);

/* ERR_CORRUPT, and what the administrator does about it. */
int db_damaged(struct err *err, const char *what);

static inline uint64_t db_column_u64(sqlite3_stmt *st, int i)
{
	return (uint64_t)sqlite3_column_int64(st, i);
}

static inline uint32_t db_column_u32(sqlite3_stmt *st, int i)
{
	return (uint32_t)sqlite3_column_int64(st, i);
}

/* ERR_CORRUPT when the column has not exactly len bytes. */
int db_column_bytes(sqlite3_stmt *st, int i, void *out, size_t len,
    struct err *err);

/* A copy of the column's bytes; *out is the caller's, never NULL. */
int db_column_copy(sqlite3_stmt *st, int i, uint8_t **out, size_t *len,
    struct err *err);

/* Raises a counter by one, in the running transaction. */
int db_counter_next(struct db *db, const char *name, uint64_t *out,
    struct err *err);
int db_counter_raise(struct db *db, const char *name, uint64_t least,
    struct err *err);

/* ---- db_rows.c ---- */

/* One kind of row, and how to have it in memory. */
struct db_kind {
	const char *name; /* of one, for messages */
	size_t size;      /* of the struct that holds one */
	int (*take)(sqlite3_stmt *st, void *row, struct err *err);
	void (*drop)(void *row); /* frees what a row owns; may be NULL */
};

/* The row that a bound statement gives, or ERR_NOT_FOUND. */
int db_take_one(struct db *db, sqlite3_stmt *st, const struct db_kind *kind,
    void *row, struct err *err);

/* The row that a query gives whose one parameter is this. */
int db_find_number(struct db *db, enum query q, uint64_t number,
    const struct db_kind *kind, void *row, struct err *err);
int db_find_id(struct db *db, enum query q, const struct id *id,
    const struct db_kind *kind, void *row, struct err *err);

/* All rows a bound statement gives, in an array from malloc. */
int db_take_all(struct db *db, sqlite3_stmt *st, const struct db_kind *kind,
    void **rows, size_t *n, struct err *err);

#endif
