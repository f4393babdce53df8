/*
 * db -- the SQLite index: resources, snapshots, packs, sessions, pins.
 *
 * For index/ alone; the other rooms go through store.h, writer.h, snapshot.h.
 * Only db*.c includes sqlite3.h.  Everything about resources, snapshots and
 * packs can be rebuilt from packs and root records; sessions and pins die with
 * their processes.
 *
 * Debian 12's SQLite has the WAL-reset bug: two connections that write and
 * checkpoint at the same instant can lose a committed transaction.  So every
 * write transaction and every checkpoint runs under one flock (write.lock
 * beside the database), nothing checkpoints by itself, not even on close.
 *
 * Threads: any at once; calls are serialized inside.  db_begin takes the handle
 * for its thread until db_commit or db_abort.  A struct db must not be used
 * after a fork.
 */
#ifndef INDEX_DB_H
#define INDEX_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"

#define DB_SCHEMA 1

struct db;

enum resource_state {
	RESOURCE_LIVE = 0,
	RESOURCE_RETIRED = 1,
	RESOURCE_HELD = 2,
};

struct resource_row {
	uint32_t no;
	enum resource_state state;
	char *name; /* from malloc, the caller's */
};

struct snapshot_row {
	uint64_t serial;
	struct id id;
	uint32_t resource_no;
	int64_t time_ns;
	int64_t end_ns;
	int32_t utc_offset;
	uint64_t n_files;
	uint64_t n_dirs;
	uint64_t n_other;
	uint64_t n_bytes;
	uint64_t n_added;
	uint64_t n_faults;
};

enum pack_state {
	PACK_LIVE = 0,
	PACK_CONDEMNED = 1,
	PACK_DELETING = 2,
};

struct pack_row {
	uint32_t no;
	uint64_t seq; /* order of arrival in this index; rises by commit */
	struct id id;
	int kind; /* enum pack_kind */
	enum pack_state state;
	uint64_t size;
	uint32_t n_blocks;
	uint32_t n_chunks;
	uint64_t session;
};

struct session_row {
	uint64_t id;
	uint32_t resource_no;
	int64_t started_ns;
};

/*
 * Opens (with `create`: makes) index.db in this directory.  A missing database
 * is ERR_NOT_FOUND, a damaged one ERR_CORRUPT, one of another store or a newer
 * schema ERR_INVALID or ERR_FORMAT.  `name` is "index.db" except while
 * rebuilding.  The directory must be on a local file system.
 */
int db_open(struct db **out, const char *dir, const char *name,
    const uint8_t uuid[16], bool create, struct err *err);
void db_close(struct db *db);

/* A number that changes when anybody has committed, this handle included. */
int db_version(struct db *db, uint64_t *out, struct err *err);

/* Takes the write lock and begins; only then may db_*_add and friends run. */
int db_begin(struct db *db, struct err *err);

/*
 * Durable on success.  On failure the outcome has been settled where it was
 * unknown: a failure means not committed.  One exception, when the disk fails
 * again while settling: the message says that nobody can tell, the handle is
 * dead for every later call, and nothing that the transaction named may be
 * removed.
 */
int db_commit(struct db *db, struct err *err);
void db_abort(struct db *db); /* accepts no transaction */

/* Whether the calling thread is inside a transaction. */
bool db_in_transaction(struct db *db);

/*
 * Copies the log into the database when it has grown past `pages`; with 0 also
 * empties it, unless a reader is in the way.  Commits do as much by themselves
 * when the log is long.  Not inside a transaction.
 */
int db_checkpoint(struct db *db, unsigned pages, struct err *err);

/* SQLite's own check of the file; ERR_CORRUPT with its first complaint. */
int db_check(struct db *db, struct err *err);

/*
 * ---- Counters: rising, never used again ----
 *
 * Inside a transaction the number is part of it, and an abort takes it back;
 * outside, the call is a transaction of its own and the number is spent.
 * ERR_INVALID when a counter is at its end.
 */

int db_next_serial(struct db *db, uint64_t *out, struct err *err);
int db_next_session(struct db *db, uint64_t *out, struct err *err);
int db_next_pack_no(struct db *db, uint32_t *out, struct err *err);

/* Raises the counters above numbers met while rebuilding. */
int db_reserve(struct db *db, uint64_t serial, uint64_t session,
    uint32_t pack_no, struct err *err);

/* ---- Resources ---- */

int db_resource_find(struct db *db, const char *name, struct resource_row *out,
    struct err *err);

/*
 * Adds with the next number, or with the given one when it is not 0.
 * ERR_INVALID when a resource lies above or beneath it.
 */
int db_resource_add(struct db *db, const char *name, uint32_t no,
    uint32_t *out, struct err *err);

/* All, by name; *rows is an array from malloc; free with db_resources_free. */
int db_resource_list(struct db *db, struct resource_row **rows, size_t *n,
    struct err *err);
void db_resources_free(struct resource_row *rows, size_t n);

/* ---- Snapshots ---- */

/* `record` is the root record's bytes, `packs` encoded pairs (root.h). */
int db_snapshot_add(struct db *db, const struct snapshot_row *row,
    const uint8_t *record, size_t len, struct err *err);

/* By (time, serial); resource_no 0 means all.  From malloc. */
int db_snapshot_list(struct db *db, uint32_t resource_no,
    struct snapshot_row **rows, size_t *n, struct err *err);

/* The newest by serial, the one an ingest compares with. */
int db_snapshot_last(struct db *db, uint32_t resource_no,
    struct snapshot_row *out, struct err *err);

int db_snapshot_by_id(struct db *db, const struct id *id,
    struct snapshot_row *out, struct err *err);
int db_snapshot_by_serial(struct db *db, uint64_t serial,
    struct snapshot_row *out, struct err *err);

/* The root record; from malloc. */
int db_snapshot_record(struct db *db, uint64_t serial, uint8_t **out,
    size_t *len, struct err *err);

/* ---- Packs ---- */

/* Assigns row->seq itself.  table is table and footer, FORMAT.md section 5. */
int db_pack_add(struct db *db, const struct pack_row *row,
    const uint8_t *table, size_t len, struct err *err);
int db_pack_find(struct db *db, uint32_t no, struct pack_row *out,
    struct err *err);
int db_pack_by_id(struct db *db, const struct id *id, struct pack_row *out,
    struct err *err);

/* Packs that arrived after `seq`, in order of arrival.  From malloc. */
int db_pack_list(struct db *db, uint64_t seq, struct pack_row **rows,
    size_t *n, struct err *err);

/* The newest arrival's seq; 0 for none. */
int db_pack_last_seq(struct db *db, uint64_t *out, struct err *err);

int db_pack_table(struct db *db, uint32_t no, uint8_t **out, size_t *len,
    struct err *err);

/* ---- Sessions and pins ---- */

int db_session_add(struct db *db, const struct session_row *row,
    struct err *err);
int db_session_find(struct db *db, uint64_t id, struct session_row *out,
    struct err *err);
int db_session_list(struct db *db, struct session_row **rows, size_t *n,
    struct err *err);

/* Removes the session and its pins. */
int db_session_remove(struct db *db, uint64_t id, struct err *err);

/*
 * Pins a pack for a session, in a transaction: re-reads the pack's state,
 * rescues a condemned one.  ERR_NOT_FOUND when it is gone or going.
 */
int db_pin_add(struct db *db, uint64_t session, uint32_t pack_no,
    struct err *err);
int db_pin_list(struct db *db, uint64_t session, uint32_t **nos, size_t *n,
    struct err *err);

#endif
