/*
 * Root records of the snapshots in use, the most recently used first.
 */
#include <stdlib.h>
#include <string.h>

#include "index/store_private.h"
#include "index/view_private.h"

/* Bytes of a snapshot's hard links kept in memory, at most. */
#define LINKS_MAX (1u << 20)

void opened_drop(struct opened *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	snapshot_close(o->snap);
	free(o->links);
	free(o);
}

/* Moves the snapshot to the front and holds it; NULL when it is not open. */
static struct opened *opened_take(struct view *v, uint64_t serial)
{
	for (size_t i = 0; i < VIEW_OPENED && v->opened[i]; i++) {
		struct opened *o = v->opened[i];

		if (o->snap->row.serial != serial)
			continue;
		memmove(&v->opened[1], &v->opened[0], i * sizeof(o));
		v->opened[0] = o;
		atomic_fetch_add(&o->refs, 1);
		return o;
	}
	return NULL;
}

static void opened_forget(struct view *v, struct opened *o)
{
	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < VIEW_OPENED; i++) {
		if (v->opened[i] != o)
			continue;
		memmove(&v->opened[i], &v->opened[i + 1],
		    (VIEW_OPENED - 1 - i) * sizeof(o));
		v->opened[VIEW_OPENED - 1] = NULL;
		atomic_fetch_sub(&o->refs, 1); /* the caller holds another */
		break;
	}
	pthread_mutex_unlock(&v->lock);
}

static int opened_shown(struct view *v, const struct opened *o,
    struct err *err)
{
	struct roster *r;
	size_t row;
	int rc;

	rc = roster_hold(v, &r, err);
	if (rc)
		return rc;
	rc = roster_find(r, o->snap->row.resource_no, &row, err);
	roster_drop(r);
	return rc;
}

static int opened_load(struct view *v, uint64_t serial, uint64_t version,
    struct opened **out, struct err *err)
{
	const struct content *links;
	struct opened *o;
	size_t len;
	int rc;

	o = calloc(1, sizeof(*o));
	if (!o)
		return err_set(err, ERR_NOMEM, "open snapshot");
	atomic_init(&o->refs, 1);
	atomic_init(&o->version, version);
	rc = snapshot_open(&o->snap, v->store, serial, err);
	if (rc)
		goto out;
	rc = opened_shown(v, o, err);
	if (rc)
		goto out;
	if (o->snap->root.top.beneath > VIEW_NUMBER_MAX) {
		rc = err_set(err, ERR_INVALID,
		    "snapshot %llu holds more things than have numbers",
		    (unsigned long long)serial);
		goto out;
	}
	links = &o->snap->root.links;
	if (links->size <= LINKS_MAX && links->size % LINK_SIZE == 0) {
		struct err unread;

		/* Links that cannot be read fail where one is asked for. */
		if (blob_get(store_source(v->store), links, LINKS_MAX,
		    &o->links, &len, &unread) == 0)
			o->n_links = len / LINK_SIZE;
	}

	*out = o;
	o = NULL;

out:
	opened_drop(o);
	return rc;
}

/* Makes sure that the snapshot has not been pruned since. */
static int opened_check(struct view *v, struct opened *o, uint64_t version,
    struct err *err)
{
	struct snapshot_row row;
	int rc;

	if (atomic_load(&o->version) == version)
		return 0;
	rc = db_snapshot_by_serial(store_db(v->store), o->snap->row.serial,
	    &row, err);
	if (rc == ERR_NOT_FOUND)
		opened_forget(v, o);
	if (rc)
		return rc;
	atomic_store(&o->version, version);
	return 0;
}

int opened_hold(struct view *v, uint64_t serial, struct opened **out,
    struct err *err)
{
	struct opened *last = NULL;
	struct opened *o;
	uint64_t version;
	int rc;

	rc = version_recent(v, &version, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&v->lock);
	o = opened_take(v, serial);
	pthread_mutex_unlock(&v->lock);
	if (o) {
		rc = opened_check(v, o, version, err);
		if (rc) {
			opened_drop(o);
			return rc;
		}
		*out = o;
		return 0;
	}

	rc = opened_load(v, serial, version, &o, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&v->lock);
	*out = opened_take(v, serial);
	if (*out) {
		last = o; /* another thread was faster */
	} else {
		last = v->opened[VIEW_OPENED - 1];
		memmove(&v->opened[1], &v->opened[0],
		    (VIEW_OPENED - 1) * sizeof(o));
		v->opened[0] = o;
		atomic_fetch_add(&o->refs, 1);
		*out = o;
	}
	pthread_mutex_unlock(&v->lock);
	opened_drop(last);
	return 0;
}
