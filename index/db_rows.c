#include "index/db_private.h"

#include <stdlib.h>

int db_take_one(struct db *db, sqlite3_stmt *st, const struct db_kind *kind,
    void *row, struct err *err)
{
	int rc = db_step(db, st, err);

	if (rc == 1)
		return kind->take(st, row, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no such %s", kind->name);
	return rc;
}

int db_find_number(struct db *db, enum query q, uint64_t number,
    const struct db_kind *kind, void *row, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, q, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, number);
	rc = db_take_one(db, st, kind, row, err);
	db_done(db, st);
	return rc;
}

int db_find_id(struct db *db, enum query q, const struct id *id,
    const struct db_kind *kind, void *row, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, q, &st, err);
	if (rc)
		return rc;
	db_bind_blob(db, st, 1, id->b, sizeof(id->b));
	rc = db_take_one(db, st, kind, row, err);
	db_done(db, st);
	return rc;
}

/* The rows, or a larger copy, with room for one after the first n; or NULL. */
static void *make_room(void *rows, size_t *cap, size_t n, size_t size)
{
	size_t want = *cap ? *cap * 2 : 16;
	void *more;

	if (n < *cap)
		return rows;
	if (want > SIZE_MAX / size)
		return NULL;
	more = realloc(rows, want * size);
	if (more)
		*cap = want;
	return more;
}

int db_take_all(struct db *db, sqlite3_stmt *st, const struct db_kind *kind,
    void **rows, size_t *n, struct err *err)
{
	char *list = NULL;
	size_t count = 0;
	size_t cap = 0;
	int rc;

	while ((rc = db_step(db, st, err)) == 1) {
		char *more = make_room(list, &cap, count, kind->size);

		if (!more) {
			rc = err_set(err, ERR_NOMEM, "list of %ss",
			    kind->name);
			goto out;
		}
		list = more;
		rc = kind->take(st, list + count * kind->size, err);
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
	for (size_t i = 0; list && kind->drop && i < count; i++)
		kind->drop(list + i * kind->size);
	free(list);
	return rc;
}
