/*
 * Lists are loaded whole, never changed, and replaced when the store's version
 * has moved on.  Nothing is loaded under the lock; two threads may load the
 * same list and one of the two is dropped.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "index/date_private.h"
#include "index/store_private.h"
#include "index/view_private.h"

/* No commit yet: this resource's part of `newest` is to be asked for. */
#define NEWEST_UNKNOWN INT64_MIN

#define LOOK_EVERY_MS 1000

/* ---- The version ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int version_look(struct view *v, uint64_t *out, struct err *err)
{
	int rc;

	rc = store_version(v->store, out, err);
	if (rc)
		return rc;
	atomic_store(&v->version, *out);
	atomic_store(&v->looked_ms, now_ms());
	return 0;
}

int version_recent(struct view *v, uint64_t *out, struct err *err)
{
	int64_t age = now_ms() - (int64_t)atomic_load(&v->looked_ms);

	if (age >= LOOK_EVERY_MS)
		return version_look(v, out, err);
	*out = atomic_load(&v->version);
	return 0;
}

/* ---- Resources ---- */

void roster_drop(struct roster *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	db_resources_free(r->rows, r->n_rows);
	free(r->by_no);
	free(r->newest);
	free(r);
}

static int row_by_name(const void *a, const void *b)
{
	const struct resource_row *x = a;
	const struct resource_row *y = b;

	return strcmp(x->name, y->name);
}

static int no_by_no(const void *a, const void *b)
{
	const struct roster_no *x = a;
	const struct roster_no *y = b;

	return (x->no > y->no) - (x->no < y->no);
}

/* Narrows the roster to what is `only`, or beneath it. */
static void roster_narrow(struct roster *r, const char *only)
{
	size_t len = strlen(only);

	r->first = 0;
	r->end = r->n_rows;
	if (len == 0)
		return;
	while (r->first < r->end) {
		const char *name = r->rows[r->first].name;

		if (strncmp(name, only, len) == 0 &&
		    (name[len] == '\0' || name[len] == '/'))
			break;
		r->first++;
	}
	/* A resource stands alone; names beneath a prefix stand together. */
	for (r->end = r->first; r->end < r->n_rows; r->end++) {
		const char *name = r->rows[r->end].name;

		if (strncmp(name, only, len) != 0 ||
		    (name[len] != '\0' && name[len] != '/'))
			break;
	}
}

static int roster_load(struct view *v, uint64_t version, struct roster **out,
    struct err *err)
{
	struct roster *r;
	int rc;

	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(err, ERR_NOMEM, "list of resources");
	atomic_init(&r->refs, 1);
	r->version = version;
	rc = resource_list(v->store, &r->rows, &r->n_rows, err);
	if (rc)
		goto out;
	r->by_no = calloc(r->n_rows + 1, sizeof(*r->by_no));
	r->newest = calloc(r->n_rows + 1, sizeof(*r->newest));
	if (!r->by_no || !r->newest) {
		rc = err_set(err, ERR_NOMEM, "list of resources");
		goto out;
	}
	if (r->n_rows > 0)
		qsort(r->rows, r->n_rows, sizeof(*r->rows), row_by_name);
	roster_narrow(r, v->only);
	for (size_t i = 0; i < r->n_rows; i++)
		atomic_init(&r->newest[i], NEWEST_UNKNOWN);
	for (size_t i = r->first; i < r->end; i++)
		r->by_no[i - r->first] = (struct roster_no){
			.no = r->rows[i].no,
			.row = i,
		};
	qsort(r->by_no, r->end - r->first, sizeof(*r->by_no), no_by_no);

	*out = r;
	r = NULL;

out:
	roster_drop(r);
	return rc;
}

int roster_hold(struct view *v, struct roster **out, struct err *err)
{
	struct roster *old = NULL;
	struct roster *r;
	uint64_t version;
	int rc;

	rc = version_look(v, &version, err);
	if (rc)
		return rc;

	pthread_mutex_lock(&v->lock);
	r = v->roster;
	if (r && r->version == version) {
		atomic_fetch_add(&r->refs, 1);
		pthread_mutex_unlock(&v->lock);
		*out = r;
		return 0;
	}
	pthread_mutex_unlock(&v->lock);

	rc = roster_load(v, version, &r, err);
	if (rc)
		return rc;
	atomic_fetch_add(&r->refs, 1);
	pthread_mutex_lock(&v->lock);
	old = v->roster;
	v->roster = r;
	pthread_mutex_unlock(&v->lock);
	roster_drop(old);
	*out = r;
	return 0;
}

int roster_find(const struct roster *r, uint32_t no, size_t *row,
    struct err *err)
{
	struct roster_no key = { .no = no };
	const struct roster_no *found;

	found = bsearch(&key, r->by_no, r->end - r->first, sizeof(*r->by_no),
	    no_by_no);
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "no resource has number %u",
		    no);
	*row = found->row;
	return 0;
}

int roster_newest(struct view *v, struct roster *r, size_t lo, size_t hi,
    int64_t *out, struct err *err)
{
	int64_t newest = store_config(v->store)->created_ns;

	for (size_t i = lo; i < hi; i++) {
		int64_t end = atomic_load(&r->newest[i]);

		if (end == NEWEST_UNKNOWN) {
			struct snapshot_row row;
			int rc;

			rc = db_snapshot_last(store_db(v->store),
			    r->rows[i].no, &row, err);
			if (rc && rc != ERR_NOT_FOUND)
				return rc;
			end = rc ? NEWEST_UNKNOWN + 1 : row.end_ns;
			atomic_store(&r->newest[i], end);
		}
		if (end > newest)
			newest = end;
	}
	*out = newest;
	return 0;
}

/* ---- Snapshots of a resource ---- */

void days_drop(struct days *d)
{
	if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	for (size_t p = 0; p < PERIODS; p++)
		free(d->folder[p].items);
	free(d->rows);
	free(d);
}

/* Rows that a sort sees, for qsort_r. */
static int item_by_key(const void *a, const void *b, void *rows)
{
	const struct folder_item *x = a;
	const struct folder_item *y = b;
	const struct snapshot_row *r = rows;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (r[x->row].serial > r[y->row].serial) -
	    (r[x->row].serial < r[y->row].serial);
}

/* Keeps the last of each key: rows come oldest first. */
static void folder_newest_only(struct folder *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (n > 0 && f->items[n - 1].key == f->items[i].key) {
			if (f->items[i].row > f->items[n - 1].row)
				f->items[n - 1].row = f->items[i].row;
			continue;
		}
		f->items[n++] = f->items[i];
	}
	f->n = n;
}

static int folder_build(struct folder *f, enum period p,
    struct snapshot_row *rows, size_t n, struct err *err)
{
	f->items = calloc(n + 1, sizeof(*f->items));
	if (!f->items)
		return err_set(err, ERR_NOMEM, "folder of dates");
	for (size_t i = 0; i < n; i++) {
		f->items[i].key = date_key(p, rows[i].time_ns,
		    rows[i].utc_offset);
		f->items[i].row = (uint32_t)i;
	}
	f->n = n;
	qsort_r(f->items, n, sizeof(*f->items), item_by_key, rows);
	if (p != PERIOD_ALL)
		folder_newest_only(f);
	return 0;
}

static int days_load(struct view *v, uint32_t no, uint64_t version,
    struct days **out, struct err *err)
{
	struct days *d;
	int rc;

	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(err, ERR_NOMEM, "list of snapshots");
	atomic_init(&d->refs, 1);
	d->version = version;
	d->no = no;
	d->newest_ns = store_config(v->store)->created_ns;
	rc = snapshot_list(v->store, no, &d->rows, &d->n, err);
	if (rc)
		goto out;
	for (unsigned p = 0; p < PERIODS; p++) {
		rc = folder_build(&d->folder[p], (enum period)p, d->rows,
		    d->n, err);
		if (rc)
			goto out;
	}
	for (size_t i = 0; i < d->n; i++)
		if (d->rows[i].end_ns > d->newest_ns)
			d->newest_ns = d->rows[i].end_ns;

	*out = d;
	d = NULL;

out:
	days_drop(d);
	return rc;
}

/* The link that leads to the resource's list, or to the end of its bucket. */
static struct days **days_link_of(struct view *v, uint32_t no)
{
	struct days **link = &v->days[no % VIEW_DAYS_BUCKETS];

	while (*link && (*link)->no != no)
		link = &(*link)->next;
	return link;
}

int days_hold(struct view *v, uint32_t no, uint64_t version,
    struct days **out, struct err *err)
{
	struct days **link;
	struct days *old;
	struct days *d;
	int rc;

	pthread_mutex_lock(&v->lock);
	d = *days_link_of(v, no);
	if (d && d->version == version) {
		atomic_fetch_add(&d->refs, 1);
		pthread_mutex_unlock(&v->lock);
		*out = d;
		return 0;
	}
	pthread_mutex_unlock(&v->lock);

	rc = days_load(v, no, version, &d, err);
	if (rc)
		return rc;
	atomic_fetch_add(&d->refs, 1);
	pthread_mutex_lock(&v->lock);
	link = days_link_of(v, no);
	old = *link;
	d->next = old ? old->next : NULL;
	*link = d;
	pthread_mutex_unlock(&v->lock);
	days_drop(old);
	*out = d;
	return 0;
}
