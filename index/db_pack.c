#include "index/db_private.h"

/* In the order of PACK_COLUMNS in db_sql.c. */
static int take(sqlite3_stmt *st, void *row, struct err *err)
{
	struct pack_row *out = row;
	int rc;

	rc = db_column_bytes(st, 2, out->id.b, sizeof(out->id.b), err);
	if (rc)
		return rc;
	out->no = db_column_u32(st, 0);
	out->seq = db_column_u64(st, 1);
	out->kind = sqlite3_column_int(st, 3);
	out->state = (enum pack_state)sqlite3_column_int(st, 4);
	out->size = db_column_u64(st, 5);
	out->n_blocks = db_column_u32(st, 6);
	out->n_chunks = db_column_u32(st, 7);
	out->session = db_column_u64(st, 8);
	return 0;
}

static const struct db_kind kind = {
	.name = "pack",
	.size = sizeof(struct pack_row),
	.take = take,
};

static int add_row(struct db *db, const struct pack_row *row, uint64_t seq,
    struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_PACK_ADD, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, row->no);
	db_bind_u64(db, st, 2, seq);
	db_bind_blob(db, st, 3, row->id.b, sizeof(row->id.b));
	db_bind_i64(db, st, 4, row->kind);
	db_bind_i64(db, st, 5, row->state);
	db_bind_u64(db, st, 6, row->size);
	db_bind_u64(db, st, 7, row->n_blocks);
	db_bind_u64(db, st, 8, row->n_chunks);
	db_bind_u64(db, st, 9, row->session);
	rc = db_run(db, st, err);
	db_done(db, st);
	return rc;
}

static int add_table(struct db *db, uint32_t no, const uint8_t *table,
    size_t len, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_PACK_TABLE_ADD, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, no);
	db_bind_blob(db, st, 2, table, len);
	rc = db_run(db, st, err);
	/* A pack without its table must not be committed, even if the caller
	 * goes on: nothing would ever find its chunks. */
	if (rc)
		db->spoiled = true;
	db_done(db, st);
	return rc;
}

int db_pack_add(struct db *db, const struct pack_row *row,
    const uint8_t *table, size_t len, struct err *err)
{
	uint64_t seq;
	int rc;

	rc = db_counter_next(db, "arrival", &seq, err);
	if (!rc)
		rc = add_row(db, row, seq, err);
	if (!rc)
		rc = add_table(db, row->no, table, len, err);
	if (rc)
		err_wrap(err, "pack %u", (unsigned)row->no);
	return rc;
}

int db_pack_find(struct db *db, uint32_t no, struct pack_row *out,
    struct err *err)
{
	return db_find_number(db, Q_PACK_FIND, no, &kind, out, err);
}

int db_pack_by_id(struct db *db, const struct id *id, struct pack_row *out,
    struct err *err)
{
	return db_find_id(db, Q_PACK_BY_ID, id, &kind, out, err);
}

int db_pack_list(struct db *db, uint64_t seq, struct pack_row **rows,
    size_t *n, struct err *err)
{
	sqlite3_stmt *st;
	void *list;
	int rc;

	rc = db_start(db, Q_PACK_LIST, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, seq);
	rc = db_take_all(db, st, &kind, &list, n, err);
	if (!rc)
		*rows = list;
	db_done(db, st);
	return rc;
}

int db_pack_last_seq(struct db *db, uint64_t *out, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	/* The counter, not the greatest row: that one may be deleted, and the
	 * number must not fall. */
	rc = db_start(db, Q_COUNTER_GET, &st, err);
	if (rc)
		return rc;
	db_bind_text(db, st, 1, "arrival");
	rc = db_step(db, st, err);
	if (rc == 1) {
		*out = db_column_u64(st, 0);
		rc = 0;
	} else if (rc == 0) {
		rc = db_damaged(err, "a counter is missing");
	}
	db_done(db, st);
	return rc;
}

int db_pack_table(struct db *db, uint32_t no, uint8_t **out, size_t *len,
    struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_PACK_TABLE, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, no);
	rc = db_step(db, st, err);
	if (rc == 1)
		rc = db_column_copy(st, 0, out, len, err);
	else if (rc == 0)
		rc = err_set(err, ERR_NOT_FOUND, "no table of pack %u",
		    (unsigned)no);
	db_done(db, st);
	return rc;
}
