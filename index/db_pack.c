#include "index/db_private.h"

#include <stdlib.h>

/* In the order of PACK_COLUMNS in db_sql.c. */
static int take(sqlite3_stmt *st, struct pack_row *out, struct err *err)
{
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

/* Takes the one row of a bound statement. */
static int take_one(struct db *db, sqlite3_stmt *st, struct pack_row *out,
    struct err *err)
{
	int rc = db_step(db, st, err);

	if (rc == 1)
		return take(st, out, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no such pack");
	return rc;
}

int db_pack_find(struct db *db, uint32_t no, struct pack_row *out,
    struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_PACK_FIND, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, no);
	rc = take_one(db, st, out, err);
	db_done(db, st);
	return rc;
}

int db_pack_by_id(struct db *db, const struct id *id, struct pack_row *out,
    struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_PACK_BY_ID, &st, err);
	if (rc)
		return rc;
	db_bind_blob(db, st, 1, id->b, sizeof(id->b));
	rc = take_one(db, st, out, err);
	db_done(db, st);
	return rc;
}

int db_pack_list(struct db *db, uint64_t seq, struct pack_row **rows,
    size_t *n, struct err *err)
{
	struct pack_row *list = NULL;
	struct pack_row *more;
	sqlite3_stmt *st;
	size_t count = 0;
	size_t cap = 0;
	int rc;

	rc = db_start(db, Q_PACK_LIST, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, seq);
	while ((rc = db_step(db, st, err)) == 1) {
		more = db_rows_room(list, &cap, count, sizeof(*list));
		if (!more) {
			rc = err_set(err, ERR_NOMEM, "list of packs");
			goto out;
		}
		list = more;
		rc = take(st, &list[count], err);
		if (rc)
			goto out;
		count++;
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
