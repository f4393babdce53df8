#include "index/db_private.h"

static int take(sqlite3_stmt *st, void *row, struct err *err)
{
	struct session_row *out = row;

	(void)err;
	out->id = db_column_u64(st, 0);
	out->resource_no = db_column_u32(st, 1);
	out->started_ns = sqlite3_column_int64(st, 2);
	return 0;
}

static const struct db_kind kind = {
	.name = "session",
	.size = sizeof(struct session_row),
	.take = take,
};

int db_session_add(struct db *db, const struct session_row *row,
    struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_SESSION_ADD, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, row->id);
	db_bind_u64(db, st, 2, row->resource_no);
	db_bind_i64(db, st, 3, row->started_ns);
	rc = db_run(db, st, err);
	db_done(db, st);
	return rc;
}

int db_session_find(struct db *db, uint64_t id, struct session_row *out,
    struct err *err)
{
	int rc;

	rc = db_find_number(db, Q_SESSION_FIND, id, &kind, out, err);
	if (rc == ERR_NOT_FOUND)
		err_set(err, ERR_NOT_FOUND, "no session %llu",
		    (unsigned long long)id);
	return rc;
}

int db_session_list(struct db *db, struct session_row **rows, size_t *n,
    struct err *err)
{
	sqlite3_stmt *st;
	void *list;
	int rc;

	rc = db_start(db, Q_SESSION_LIST, &st, err);
	if (rc)
		return rc;
	rc = db_take_all(db, st, &kind, &list, n, err);
	if (!rc)
		*rows = list;
	db_done(db, st);
	return rc;
}

int db_session_remove(struct db *db, uint64_t id, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_SESSION_REMOVE, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, id);
	rc = db_run(db, st, err);
	if (!rc && sqlite3_changes(db->conn) == 0)
		rc = err_set(err, ERR_NOT_FOUND, "no session %llu",
		    (unsigned long long)id);
	db_done(db, st);
	return rc;
}

static int rescue(struct db *db, uint32_t pack_no, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_PACK_RESCUE, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, pack_no);
	rc = db_run(db, st, err);
	db_done(db, st);
	return rc;
}

int db_pin_add(struct db *db, uint64_t session, uint32_t pack_no,
    struct err *err)
{
	struct pack_row pack;
	sqlite3_stmt *st;
	int rc;

	/* Whatever the caller has looked up earlier, the state now decides. */
	rc = db_pack_find(db, pack_no, &pack, err);
	if (rc)
		return rc;
	if (pack.state == PACK_DELETING)
		return err_set(err, ERR_NOT_FOUND, "pack %u is being deleted",
		    (unsigned)pack_no);
	if (pack.state == PACK_CONDEMNED)
		rc = rescue(db, pack_no, err);
	if (rc)
		return rc;

	rc = db_start(db, Q_PIN_ADD, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, session);
	db_bind_u64(db, st, 2, pack_no);
	rc = db_run(db, st, err);
	if (rc == ERR_NOT_FOUND)
		err_set(err, ERR_NOT_FOUND, "no session %llu",
		    (unsigned long long)session);
	db_done(db, st);
	return rc;
}

static int take_pin(sqlite3_stmt *st, void *row, struct err *err)
{
	uint32_t *out = row;

	(void)err;
	*out = db_column_u32(st, 0);
	return 0;
}

static const struct db_kind pin = {
	.name = "pin",
	.size = sizeof(uint32_t),
	.take = take_pin,
};

int db_pin_list(struct db *db, uint64_t session, uint32_t **nos, size_t *n,
    struct err *err)
{
	sqlite3_stmt *st;
	void *list;
	int rc;

	rc = db_start(db, Q_PIN_LIST, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, session);
	rc = db_take_all(db, st, &pin, &list, n, err);
	if (!rc)
		*nos = list;
	db_done(db, st);
	return rc;
}
