#include "index/db_private.h"

#include <stdlib.h>

static void take(sqlite3_stmt *st, struct session_row *out)
{
	out->id = db_column_u64(st, 0);
	out->resource_no = db_column_u32(st, 1);
	out->started_ns = sqlite3_column_int64(st, 2);
}

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
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_SESSION_FIND, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, id);
	rc = db_step(db, st, err);
	if (rc == 1) {
		take(st, out);
		rc = 0;
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOT_FOUND, "no session %llu",
		    (unsigned long long)id);
	}
	db_done(db, st);
	return rc;
}

int db_session_list(struct db *db, struct session_row **rows, size_t *n,
    struct err *err)
{
	struct session_row *list = NULL;
	struct session_row *more;
	sqlite3_stmt *st;
	size_t count = 0;
	size_t cap = 0;
	int rc;

	rc = db_start(db, Q_SESSION_LIST, &st, err);
	if (rc)
		return rc;
	while ((rc = db_step(db, st, err)) == 1) {
		more = db_rows_room(list, &cap, count, sizeof(*list));
		if (!more) {
			rc = err_set(err, ERR_NOMEM, "list of sessions");
			goto out;
		}
		list = more;
		take(st, &list[count++]);
	}
	if (rc)
		goto out;
	*rows = list;
	*n = count;
	list = NULL;

out:
	free(list);
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

int db_pin_list(struct db *db, uint64_t session, uint32_t **nos, size_t *n,
    struct err *err)
{
	uint32_t *list = NULL;
	uint32_t *more;
	sqlite3_stmt *st;
	size_t count = 0;
	size_t cap = 0;
	int rc;

	rc = db_start(db, Q_PIN_LIST, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, session);
	while ((rc = db_step(db, st, err)) == 1) {
		more = db_rows_room(list, &cap, count, sizeof(*list));
		if (!more) {
			rc = err_set(err, ERR_NOMEM, "list of pins");
			goto out;
		}
		list = more;
		list[count++] = db_column_u32(st, 0);
	}
	if (rc)
		goto out;
	*nos = list;
	*n = count;
	list = NULL;

out:
	free(list);
	db_done(db, st);
	return rc;
}
