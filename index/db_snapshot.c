#include "index/db_private.h"

/* In the order of SNAPSHOT_COLUMNS in db_sql.c. */
static int take(sqlite3_stmt *st, void *row, struct err *err)
{
	struct snapshot_row *out = row;
	int rc;

	rc = db_column_bytes(st, 1, out->id.b, sizeof(out->id.b), err);
	if (rc)
		return rc;
	out->serial = db_column_u64(st, 0);
	out->resource_no = db_column_u32(st, 2);
	out->time_ns = sqlite3_column_int64(st, 3);
	out->end_ns = sqlite3_column_int64(st, 4);
	out->utc_offset = sqlite3_column_int(st, 5);
	out->n_files = db_column_u64(st, 6);
	out->n_dirs = db_column_u64(st, 7);
	out->n_other = db_column_u64(st, 8);
	out->n_bytes = db_column_u64(st, 9);
	out->n_added = db_column_u64(st, 10);
	out->n_faults = db_column_u64(st, 11);
	return 0;
}

static const struct db_kind kind = {
	.name = "snapshot",
	.size = sizeof(struct snapshot_row),
	.take = take,
};

int db_snapshot_add(struct db *db, const struct snapshot_row *row,
    const uint8_t *record, size_t len, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_SNAPSHOT_ADD, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, row->serial);
	db_bind_blob(db, st, 2, row->id.b, sizeof(row->id.b));
	db_bind_u64(db, st, 3, row->resource_no);
	db_bind_i64(db, st, 4, row->time_ns);
	db_bind_i64(db, st, 5, row->end_ns);
	db_bind_i64(db, st, 6, row->utc_offset);
	db_bind_u64(db, st, 7, row->n_files);
	db_bind_u64(db, st, 8, row->n_dirs);
	db_bind_u64(db, st, 9, row->n_other);
	db_bind_u64(db, st, 10, row->n_bytes);
	db_bind_u64(db, st, 11, row->n_added);
	db_bind_u64(db, st, 12, row->n_faults);
	db_bind_blob(db, st, 13, record, len);
	rc = db_run(db, st, err);
	if (rc)
		err_wrap(err, "snapshot %llu",
		    (unsigned long long)row->serial);
	db_done(db, st);
	return rc;
}

int db_snapshot_list(struct db *db, uint32_t resource_no,
    struct snapshot_row **rows, size_t *n, struct err *err)
{
	sqlite3_stmt *st;
	void *list;
	int rc;

	rc = db_start(db, resource_no ? Q_SNAPSHOT_LIST : Q_SNAPSHOT_LIST_ALL,
	    &st, err);
	if (rc)
		return rc;
	if (resource_no)
		db_bind_u64(db, st, 1, resource_no);
	rc = db_take_all(db, st, &kind, &list, n, err);
	if (!rc)
		*rows = list;
	db_done(db, st);
	return rc;
}

int db_snapshot_last(struct db *db, uint32_t resource_no,
    struct snapshot_row *out, struct err *err)
{
	return db_find_number(db, Q_SNAPSHOT_LAST, resource_no, &kind, out,
	    err);
}

int db_snapshot_by_id(struct db *db, const struct id *id,
    struct snapshot_row *out, struct err *err)
{
	return db_find_id(db, Q_SNAPSHOT_BY_ID, id, &kind, out, err);
}

int db_snapshot_by_serial(struct db *db, uint64_t serial,
    struct snapshot_row *out, struct err *err)
{
	return db_find_number(db, Q_SNAPSHOT_BY_SERIAL, serial, &kind, out,
	    err);
}

int db_snapshot_record(struct db *db, uint64_t serial, uint8_t **out,
    size_t *len, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_SNAPSHOT_RECORD, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, serial);
	rc = db_step(db, st, err);
	if (rc == 1)
		rc = db_column_copy(st, 0, out, len, err);
	else if (rc == 0)
		rc = err_set(err, ERR_NOT_FOUND, "no such snapshot");
	db_done(db, st);
	return rc;
}
