#include "index/db_private.h"

#include <stdlib.h>
#include <string.h>

#include "index/root.h"

/* ---- Counters ---- */

int db_counter_next(struct db *db, const char *name, uint64_t *out,
    struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_COUNTER_NEXT, &st, err);
	if (rc)
		return rc;
	db_bind_text(db, st, 1, name);
	rc = db_step(db, st, err);
	if (rc == 1) {
		*out = db_column_u64(st, 0);
		rc = 0;
	} else if (rc == 0) {
		rc = db_damaged(err, "a counter is missing");
	} else if (rc == ERR_INVALID) {
		err_set(err, ERR_INVALID,
		    "the store has no %s numbers left", name);
	}
	db_done(db, st);
	return rc;
}

int db_counter_raise(struct db *db, const char *name, uint64_t least,
    struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, Q_COUNTER_RAISE, &st, err);
	if (rc)
		return rc;
	db_bind_text(db, st, 1, name);
	db_bind_u64(db, st, 2, least);
	rc = db_run(db, st, err);
	db_done(db, st);
	return rc;
}

/* In the caller's transaction, or in one of its own. */
static int next(struct db *db, const char *name, uint64_t *out,
    struct err *err)
{
	int rc;

	if (db_in_transaction(db))
		return db_counter_next(db, name, out, err);

	rc = db_begin(db, err);
	if (rc)
		return rc;
	rc = db_counter_next(db, name, out, err);
	if (!rc)
		return db_commit(db, err);
	db_abort(db);
	return rc;
}

int db_next_serial(struct db *db, uint64_t *out, struct err *err)
{
	return next(db, "serial", out, err);
}

int db_next_session(struct db *db, uint64_t *out, struct err *err)
{
	return next(db, "session", out, err);
}

int db_next_pack_no(struct db *db, uint32_t *out, struct err *err)
{
	uint64_t no;
	int rc;

	rc = next(db, "pack", &no, err);
	if (!rc)
		*out = (uint32_t)no;
	return rc;
}

int db_reserve(struct db *db, uint64_t serial, uint64_t session,
    uint32_t pack_no, struct err *err)
{
	int rc;

	rc = db_counter_raise(db, "serial", serial, err);
	if (!rc)
		rc = db_counter_raise(db, "session", session, err);
	if (!rc)
		rc = db_counter_raise(db, "pack", pack_no, err);
	return rc;
}

/* ---- Resources ---- */

static int take(sqlite3_stmt *st, void *row, struct err *err)
{
	struct resource_row *out = row;
	uint8_t *name;
	size_t len;
	int rc;

	rc = db_column_copy(st, 2, &name, &len, err);
	if (rc)
		return rc;
	name[len] = '\0'; /* db_column_copy leaves room for it */
	out->no = db_column_u32(st, 0);
	out->state = (enum resource_state)sqlite3_column_int(st, 1);
	out->name = (char *)name;
	return 0;
}

static void drop(void *row)
{
	struct resource_row *r = row;

	free(r->name);
}

static const struct db_kind kind = {
	.name = "resource",
	.size = sizeof(struct resource_row),
	.take = take,
	.drop = drop,
};

/* The one row that a query about this name gives, if any. */
static int find(struct db *db, enum query q, const char *name,
    struct resource_row *out, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	rc = db_start(db, q, &st, err);
	if (rc)
		return rc;
	db_bind_text(db, st, 1, name);
	rc = db_take_one(db, st, &kind, out, err);
	if (rc == ERR_NOT_FOUND)
		err_set(err, ERR_NOT_FOUND, "no resource %s", name);
	db_done(db, st);
	return rc;
}

int db_resource_find(struct db *db, const char *name, struct resource_row *out,
    struct err *err)
{
	return find(db, Q_RESOURCE_FIND, name, out, err);
}

/* Paths of one name or more: no empty part, or the order of names would not
 * show what lies beneath what. */
static int check_name(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > RESOURCE_NAME_MAX)
		return err_set(err, ERR_INVALID,
		    "a resource's name has 1 to %d bytes, not %zu",
		    RESOURCE_NAME_MAX, len);
	if (name[0] == '/' || name[len - 1] == '/' || strstr(name, "//"))
		return err_set(err, ERR_INVALID,
		    "resource %s has an empty part in its name", name);
	return 0;
}

/* ERR_INVALID when this query finds a resource, 0 when it finds none. */
static int refuse(struct db *db, enum query q, const char *asked,
    const char *name, struct err *err)
{
	struct resource_row other;
	int rc;

	rc = find(db, q, asked, &other, err);
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc)
		return rc;
	rc = err_set(err, ERR_INVALID,
	    "resource %s would lie %s resource %s", name,
	    q == Q_RESOURCE_BENEATH ? "above" : "beneath", other.name);
	free(other.name);
	return rc;
}

/* No resource lies beneath another: a date and a customer's own folder would
 * share one directory. */
static int check_place(struct db *db, const char *name, struct err *err)
{
	char above[RESOURCE_NAME_MAX + 1];
	int rc;

	rc = refuse(db, Q_RESOURCE_BENEATH, name, name, err);
	for (size_t i = 0; !rc && name[i]; i++) {
		if (name[i] != '/')
			continue;
		memcpy(above, name, i);
		above[i] = '\0';
		rc = refuse(db, Q_RESOURCE_FIND, above, name, err);
	}
	return rc;
}

int db_resource_add(struct db *db, const char *name, uint32_t no,
    uint32_t *out, struct err *err)
{
	sqlite3_stmt *st;
	uint64_t number = no;
	int rc;

	rc = check_name(name, err);
	if (!rc)
		rc = check_place(db, name, err);
	if (rc)
		return rc;
	if (no)
		rc = db_counter_raise(db, "resource", no, err);
	else
		rc = db_counter_next(db, "resource", &number, err);
	if (rc)
		return rc;

	rc = db_start(db, Q_RESOURCE_ADD, &st, err);
	if (rc)
		return rc;
	db_bind_u64(db, st, 1, number);
	db_bind_text(db, st, 2, name);
	rc = db_run(db, st, err);
	if (!rc)
		*out = (uint32_t)number;
	else if (rc == ERR_EXISTS)
		err_set(err, ERR_EXISTS, "resource %s, or number %u, "
		    "is there already", name, (unsigned)number);
	db_done(db, st);
	return rc;
}

int db_resource_list(struct db *db, struct resource_row **rows, size_t *n,
    struct err *err)
{
	sqlite3_stmt *st;
	void *list;
	int rc;

	rc = db_start(db, Q_RESOURCE_LIST, &st, err);
	if (rc)
		return rc;
	rc = db_take_all(db, st, &kind, &list, n, err);
	if (!rc)
		*rows = list;
	db_done(db, st);
	return rc;
}

void db_resources_free(struct resource_row *rows, size_t n)
{
	for (size_t i = 0; rows && i < n; i++)
		drop(&rows[i]);
	free(rows);
}
