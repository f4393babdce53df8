#include "index/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "index/io.h"
#include "index/writer_private.h"

/* How often a session of this resource may die while we clear away others. */
#define BEGIN_TRIES 5

/* ---- Failures ---- */

int writer_check(struct writer *w, struct err *err)
{
	if (!atomic_load_explicit(&w->failed, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&w->failure_lock);
	*err = w->failure;
	pthread_mutex_unlock(&w->failure_lock);
	return err->code;
}

int writer_fail(struct writer *w, int rc, const struct err *err)
{
	if (rc == 0)
		return 0;
	pthread_mutex_lock(&w->failure_lock);
	if (!atomic_load(&w->failed)) {
		w->failure = *err;
		atomic_store_explicit(&w->failed, true, memory_order_release);
	}
	pthread_mutex_unlock(&w->failure_lock);
	return rc;
}

int writer_tx_end(struct writer *w, int rc, struct err *err)
{
	if (rc == 0)
		return db_commit(w->store->db, err);
	db_abort(w->store->db);
	return rc;
}

/* ---- Beginning ---- */

static bool byte_ok(char c)
{
	return (unsigned char)c > 0x20 && c != 0x7f && c != '@' && c != ':' &&
	    c != '\\';
}

/* One name between slashes: a folder of the mount, and part of R@WHEN:/path. */
static bool part_ok(const char *part, size_t len)
{
	if (len == 0 || len > TREE_NAME_MAX || part[0] == '.' ||
	    part[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!byte_ok(part[i]))
			return false;
	return true;
}

static int name_check(const char *name, struct err *err)
{
	const char *part = name;

	if (strlen(name) > RESOURCE_NAME_MAX)
		return err_set(err, ERR_INVALID,
		    "name of a resource is longer than %d bytes",
		    RESOURCE_NAME_MAX);
	for (;;) {
		size_t len = strcspn(part, "/");

		if (!part_ok(part, len))
			return err_set(err, ERR_INVALID,
			    "%s: no name for a resource (parts like acme/web,"
			    " without blanks, @ and :, not beginning with . or"
			    " -)", name);
		if (!part[len])
			return 0;
		part += len + 1;
	}
}

static int writer_new(struct writer **out, struct store *s,
    const char *resource, const struct writer_options *options,
    struct err *err)
{
	struct writer *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (!w)
		return err_set(err, ERR_NOMEM, "session");
	w->store = s;
	w->read_back = !(options && options->no_read_back);
	w->store_lock = -1;
	w->session_lock = -1;
	writer_meta_init(w);
	pthread_mutex_init(&w->pin_lock, NULL);
	pthread_mutex_init(&w->meta_lock, NULL);
	pthread_mutex_init(&w->failure_lock, NULL);
	for (int i = 0; i < N_LANES; i++) {
		pthread_mutex_init(&w->lanes[i].lock, NULL);
		pthread_cond_init(&w->lanes[i].left, NULL);
	}
	w->resource = strdup(resource);
	if (!w->resource)
		rc = err_set(err, ERR_NOMEM, "session");
	if (!rc)
		rc = claims_new(&w->claims, err);
	if (!rc)
		rc = pinned_new(&w->pinned, err);
	if (rc) {
		writer_end(w);
		return rc;
	}
	*out = w;
	return 0;
}

static int resource_make(struct writer *w, struct err *err)
{
	struct resource_row row;
	int rc;

	rc = db_resource_find(w->store->db, w->resource, &row, err);
	if (rc == ERR_NOT_FOUND)
		return db_resource_add(w->store->db, w->resource, 0,
		    &w->resource_no, err);
	if (rc)
		return rc;
	free(row.name);
	w->resource_no = row.no;
	return 0;
}

/* *dead: a session of this resource is there whose process is not. */
static int others_check(struct writer *w, bool *dead, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	int rc;

	*dead = false;
	rc = db_session_list(w->store->db, &rows, &n, err);
	for (size_t i = 0; i < n && !rc && !*dead; i++) {
		if (rows[i].resource_no != w->resource_no)
			continue;
		rc = session_is_dead(w->store, rows[i].id, dead, err);
		if (!rc && !*dead)
			rc = err_set(err, ERR_BUSY,
			    "another session of %s is at work", w->resource);
	}
	free(rows);
	return rc;
}

/*
 * A session that died between the commit which took its row away and its last
 * step has left its lock.  Rows and locks come into being under the index's
 * write lock, which is held here; so a lock that has no row and can be had is
 * nobody's.
 */
static int remove_stale(void *ctx, int dir, const char *name, struct err *err)
{
	struct writer *w = ctx;
	char again[SESSION_NAME_SIZE];
	struct session_row row;
	uint64_t session = strtoull(name, NULL, 10);
	int fd;
	int rc;

	session_lock_name(session, again);
	if (strcmp(name, again) != 0)
		return 0;
	rc = db_session_find(w->store->db, session, &row, err);
	if (rc != ERR_NOT_FOUND)
		return rc;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	/* Found by nobody; if it stays, the next session meets it again. */
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(dir, name, 0);
	io_close(fd);
	return 0;
}

/*
 * The lock is made inside the transaction that makes the row: a row without a
 * held lock is a dead session, at every moment.
 */
static int session_make(struct writer *w, uint64_t *session, struct err *err)
{
	struct session_row row = { .started_ns = io_now_ns() };
	char name[SESSION_NAME_SIZE];
	int rc;

	rc = db_next_session(w->store->db, session, err);
	if (rc)
		return rc;
	session_lock_name(*session, name);
	rc = io_lock(&w->session_lock, w->store->dirs.run, name, false, err);
	if (rc)
		return rc;
	row.id = *session;
	row.resource_no = w->resource_no;
	return db_session_add(w->store->db, &row, err);
}

/* A pack of the last snapshot that is gone is simply not relied upon. */
static int pin_listed(struct writer *w, uint64_t session,
    const struct root_pack *listed, struct err *err)
{
	struct pack_row row;
	int rc;

	rc = db_pack_find(w->store->db, listed->no, &row, err);
	if (!rc && !id_equal(&row.id, &listed->id))
		return 0;
	if (!rc)
		rc = db_pin_add(w->store->db, session, listed->no, err);
	if (!rc)
		rc = pinned_add(w->pinned, listed->no, &listed->id, err);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int pin_last(struct writer *w, uint64_t session, uint64_t *serial,
    struct err *err)
{
	struct snapshot_row row;
	uint8_t *record = NULL;
	struct root root;
	size_t len;
	int rc;

	*serial = 0;
	rc = db_snapshot_last(w->store->db, w->resource_no, &row, err);
	if (rc)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	rc = db_snapshot_record(w->store->db, row.serial, &record, &len, err);
	if (!rc)
		rc = root_digest(record, len, w->prev, err);
	if (!rc)
		rc = root_decode(&root, record, len, err);
	for (size_t i = 0; !rc && i < root.n_packs; i++) {
		struct root_pack listed = root_pack_at(&root, i);

		rc = pin_listed(w, session, &listed, err);
	}
	free(record);
	if (rc)
		return err_wrap(err, "last snapshot of %s", w->resource);
	*serial = row.serial;
	return 0;
}

static int numbers_take(struct writer *w, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < N_LANES && !rc; i++)
		rc = db_next_pack_no(w->store->db, &w->lanes[i].spare_no, err);
	return rc;
}

/*
 * Everything a session needs from the database, in one transaction.  *again: a
 * dead session of this resource has to be cleared away first.
 */
static int begin_tx(struct writer *w, bool *again, uint64_t *last_serial,
    struct err *err)
{
	uint64_t session = 0;
	int rc;

	*again = false;
	rc = db_begin(w->store->db, err);
	if (rc)
		return rc;
	rc = resource_make(w, err);
	if (!rc)
		rc = others_check(w, again, err);
	if (!rc && *again) {
		db_abort(w->store->db);
		return 0;
	}
	if (!rc)
		rc = each_file(w->store->dirs.run, ".", remove_stale, w, err);
	if (!rc)
		rc = session_make(w, &session, err);
	if (!rc)
		rc = numbers_take(w, err);
	if (!rc)
		rc = pin_last(w, session, last_serial, err);
	rc = writer_tx_end(w, rc, err);
	if (!rc)
		w->session = session;
	return rc;
}

static int begin_session(struct writer *w, struct err *err)
{
	uint64_t last_serial = 0;
	bool again = true;
	int rc = 0;

	for (int i = 0; i < BEGIN_TRIES && again && !rc; i++) {
		rc = store_recover(w->store, true, err);
		if (!rc)
			rc = begin_tx(w, &again, &last_serial, err);
	}
	if (!rc && again)
		rc = err_set(err, ERR_BUSY, "sessions of %s keep dying",
		    w->resource);
	if (!rc && last_serial)
		rc = snapshot_open(&w->last, w->store, last_serial, err);
	/* Its packs are pinned; that somebody forgot it does not matter. */
	if (rc == ERR_NOT_FOUND)
		rc = 0;
	/* What others sealed since this store was opened. */
	if (!rc)
		rc = idtable_refresh(w->store->ids, err);
	return rc;
}

int writer_begin(struct writer **out, struct store *store,
    const char *resource, const struct writer_options *options,
    struct err *err)
{
	struct writer *w = NULL;
	int rc;

	rc = name_check(resource, err);
	if (rc)
		return rc;
	rc = writer_new(&w, store, resource, options, err);
	if (rc)
		return rc;
	rc = store_lock(&w->store_lock, store->dirs.run, false, err);
	if (!rc)
		rc = store_index_current(store, err);
	if (!rc)
		rc = begin_session(w, err);
	if (rc) {
		writer_end(w);
		return rc;
	}
	*out = w;
	return 0;
}

const struct snapshot *writer_last(const struct writer *w)
{
	return w->last;
}

uint64_t writer_added(const struct writer *w)
{
	return atomic_load(&w->added);
}

/* ---- Ending ---- */

/* False when the row had to stay; then the next recovery looks after it. */
static bool row_remove(struct writer *w)
{
	struct err ignored;
	int rc;

	if (atomic_load(&w->leave_row))
		return false;
	rc = db_begin(w->store->db, &ignored);
	if (rc)
		return false;
	rc = db_session_remove(w->store->db, w->session, &ignored);
	return writer_tx_end(w, rc, &ignored) == 0;
}

void writer_end(struct writer *w)
{
	char name[SESSION_NAME_SIZE];

	if (!w)
		return;
	writer_drop_packs(w);
	writer_drop_meta(w);
	if (w->session && (w->committed || row_remove(w))) {
		/* A lock without a row is found by nobody. */
		session_lock_name(w->session, name);
		(void)unlinkat(w->store->dirs.run, name, 0);
	}
	io_close(w->session_lock);
	io_close(w->store_lock);

	snapshot_close(w->last);
	claims_free(w->claims);
	pinned_free(w->pinned);
	for (int i = 0; i < N_LANES; i++) {
		pthread_mutex_destroy(&w->lanes[i].lock);
		pthread_cond_destroy(&w->lanes[i].left);
	}
	pthread_mutex_destroy(&w->pin_lock);
	pthread_mutex_destroy(&w->meta_lock);
	pthread_mutex_destroy(&w->failure_lock);
	free(w->resource);
	free(w);
}
