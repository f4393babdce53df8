/*
 * The folders above the snapshots: customers, resources, periods, and the
 * symlinks among them.  All belong to root; who may enter a resource is decided
 * by those who mount it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "index/date_private.h"
#include "index/io.h"
#include "index/ref.h"
#include "index/view_private.h"

/* ---- Links and folders of a resource ---- */

int days_link(const struct days *d, enum view_kind kind, int64_t now_ns,
    size_t *row, struct err *err)
{
	struct when when = { .kind = WHEN_LATEST };

	if (kind == VIEW_YESTERDAY)
		when.kind = WHEN_YESTERDAY;
	return when_pick(&when, d->rows, d->n, now_ns, row, err);
}

bool days_shows(const struct days *d, enum period p)
{
	switch (p) {
	case PERIOD_ALL:
	case PERIOD_DAILY:
	case PERIOD_MONTHLY:
		return true;
	case PERIOD_HOURLY:
		return d->n > d->folder[PERIOD_DAILY].n;
	case PERIOD_WEEKLY:
	case PERIOD_YEARLY:
		return d->folder[p].n > 1;
	}
	return false;
}

/*
 * In all/ the snapshots that ended up in one second would share a name: the
 * newest has it, the others carry their serial behind it.
 */
size_t days_item_name(const struct days *d, enum period p, size_t i,
    char out[ITEM_NAME_SIZE])
{
	const struct folder *f = &d->folder[p];
	size_t len;

	date_key_name(p, f->items[i].key, out);
	len = strlen(out);
	if (i + 1 < f->n && f->items[i + 1].key == f->items[i].key)
		len += (size_t)snprintf(out + len, ITEM_NAME_SIZE - len,
		    "-%llu", (unsigned long long)
		    d->rows[f->items[i].row].serial);
	return len;
}

/* The item of this name, or f->n. */
static size_t item_find(const struct days *d, enum period p, const char *name,
    size_t len)
{
	const struct folder *f = &d->folder[p];
	char shown[ITEM_NAME_SIZE];
	size_t lo = 0;
	size_t hi = f->n;
	size_t date_len = len;
	int64_t key;

	if (p == PERIOD_ALL && len > 18 && name[18] == '-')
		date_len = 18;
	if (!date_key_parse(p, name, date_len, &key))
		return f->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->items[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < f->n && f->items[lo].key == key; lo++)
		if (days_item_name(d, p, lo, shown) == len &&
		    memcmp(shown, name, len) == 0)
			return lo;
	return f->n;
}

/* ---- Attributes ---- */

/*
 * The time of the newest commit beneath.  Its last three digits count what is
 * there, so that a prune too is seen by whoever compares times.
 */
static void set_time(struct view_node *out, int64_t time_ns, size_t n)
{
	out->mtime_s = date_seconds(time_ns, 0);
	out->mtime_ns = (uint32_t)(time_ns - out->mtime_s * 1000000000);
	out->mtime_ns = out->mtime_ns / 1000 * 1000 + (uint32_t)(n % 1000);
	out->ctime_s = out->mtime_s;
	out->ctime_ns = out->mtime_ns;
}

static void folder_node(struct view_node *out, uint64_t ino, size_t subdirs)
{
	memset(out, 0, sizeof(*out));
	out->ino = ino;
	out->mode = S_IFDIR | 0755;
	out->nlink = 2 + subdirs;
	out->size = 4096;
	out->blocks = 8;
}

static int prefix_node(struct view *v, struct roster *r, const struct place *p,
    struct view_node *out, struct err *err)
{
	struct place child;
	const char *name;
	int64_t newest;
	size_t subdirs = 0;
	size_t len;
	int rc;

	for (size_t i = p->lo; i < p->hi; subdirs++)
		place_child(r, p, i, &child, &i, &name, &len);
	rc = roster_newest(v, r, p->lo, p->hi, &newest, err);
	if (rc)
		return rc;
	folder_node(out, place_number(v, p), subdirs);
	set_time(out, newest, p->hi - p->lo);
	return 0;
}

static void resource_node(struct view *v, const struct days *d,
    const struct place *p, struct view_node *out)
{
	size_t subdirs = 0;

	for (unsigned i = 0; i < PERIODS; i++)
		subdirs += days_shows(d, (enum period)i);
	folder_node(out, place_number(v, p), subdirs);
	set_time(out, d->newest_ns, d->n);
}

/* The snapshot of a symlink; it may be older than where the name leads now. */
static int link_row(const struct days *d, uint64_t serial, size_t *row,
    struct err *err)
{
	for (size_t i = d->n; i-- > 0;) {
		if (d->rows[i].serial != serial)
			continue;
		*row = i;
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "snapshot %llu is gone",
	    (unsigned long long)serial);
}

#define TARGET_SIZE (DATE_NAME_SIZE + 8)

static size_t link_target(const struct snapshot_row *row,
    char out[TARGET_SIZE])
{
	char name[DATE_NAME_SIZE];

	date_name(PERIOD_DAILY, row->time_ns, row->utc_offset, name);
	return (size_t)snprintf(out, TARGET_SIZE, "daily/%s", name);
}

static int link_node(struct view *v, const struct days *d,
    const struct place *p, struct view_node *out, struct err *err)
{
	char target[TARGET_SIZE];
	size_t row = 0;
	int rc;

	rc = link_row(d, p->serial, &row, err);
	if (rc)
		return rc;
	memset(out, 0, sizeof(*out));
	out->ino = place_number(v, p);
	out->mode = S_IFLNK | 0777;
	out->nlink = 1;
	out->size = link_target(&d->rows[row], target);
	set_time(out, d->rows[row].end_ns, 0);
	return 0;
}

int place_node(struct view *v, struct roster *r, const struct place *p,
    struct view_node *out, struct err *err)
{
	struct days *d;
	int rc;

	if (p->kind == VIEW_PREFIX)
		return prefix_node(v, r, p, out, err);

	rc = days_hold(v, p->no, r->version, &d, err);
	if (rc)
		return rc;
	switch (p->kind) {
	case VIEW_PREFIX:
		break;
	case VIEW_RESOURCE:
		resource_node(v, d, p, out);
		break;
	case VIEW_PERIOD:
		folder_node(out, place_number(v, p), d->folder[p->period].n);
		set_time(out, d->newest_ns, d->n);
		break;
	case VIEW_LATEST:
	case VIEW_YESTERDAY:
		rc = link_node(v, d, p, out, err);
		break;
	}
	days_drop(d);
	return rc;
}

/* ---- Looking up ---- */

static int no_name(const char *name, size_t len, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no %.*s here",
	    len > 255 ? 255 : (int)len, name);
}

static int resource_lookup(struct view *v, struct roster *r,
    const struct days *d, const char *name, size_t len, struct view_node *out,
    struct err *err)
{
	struct place child = { .kind = VIEW_PERIOD, .no = d->no };
	size_t row = 0;
	int rc;

	if (period_parse(&child.period, name, len))
		return place_node(v, r, &child, out, err);
	if (len == 6 && memcmp(name, "latest", 6) == 0)
		child.kind = VIEW_LATEST;
	else if (len == 9 && memcmp(name, "yesterday", 9) == 0)
		child.kind = VIEW_YESTERDAY;
	else
		return no_name(name, len, err);
	rc = days_link(d, child.kind, io_now_ns(), &row, err);
	if (rc)
		return rc;
	child.serial = d->rows[row].serial;
	return link_node(v, d, &child, out, err);
}

int names_lookup(struct view *v, uint64_t dir, const char *name, size_t len,
    struct view_node *out, struct err *err)
{
	struct days *d = NULL;
	struct place child;
	struct roster *r;
	struct place p;
	size_t i;
	int rc;

	rc = place_hold(v, dir, &r, &p, err);
	if (rc)
		return rc;
	if (p.kind == VIEW_PREFIX) {
		rc = place_lookup(r, &p, name, len, &child, err);
		if (!rc)
			rc = place_node(v, r, &child, out, err);
		goto out;
	}
	rc = days_hold(v, p.no, r->version, &d, err);
	if (rc)
		goto out;
	if (p.kind == VIEW_RESOURCE) {
		rc = resource_lookup(v, r, d, name, len, out, err);
	} else if (p.kind == VIEW_PERIOD) {
		i = item_find(d, p.period, name, len);
		rc = i == d->folder[p.period].n ? no_name(name, len, err) :
		    dated_top(v, p.period, d->rows[
		    d->folder[p.period].items[i].row].serial, out, err);
	} else {
		rc = err_set(err, ERR_INVALID, "not a directory");
	}

out:
	days_drop(d);
	roster_drop(r);
	return rc;
}

int names_parent(struct view *v, uint64_t dir, uint64_t *out,
    struct err *err)
{
	struct place above;
	struct roster *r;
	struct place p;
	int rc;

	if (dir == VIEW_ROOT) {
		*out = VIEW_ROOT;
		return 0;
	}
	rc = place_hold(v, dir, &r, &p, err);
	if (rc)
		return rc;
	rc = place_parent(r, &p, &above, err);
	if (!rc)
		*out = place_number(v, &above);
	roster_drop(r);
	return rc;
}

int names_readlink(struct view *v, uint64_t ino, char **out, struct err *err)
{
	char target[TARGET_SIZE];
	struct days *d = NULL;
	struct roster *r;
	struct place p;
	size_t row = 0;
	int rc;

	rc = place_hold(v, ino, &r, &p, err);
	if (rc)
		return rc;
	if (p.kind != VIEW_LATEST && p.kind != VIEW_YESTERDAY) {
		rc = err_set(err, ERR_INVALID, "not a symbolic link");
		goto out;
	}
	rc = days_hold(v, p.no, r->version, &d, err);
	if (rc)
		goto out;
	rc = link_row(d, p.serial, &row, err);
	if (rc)
		goto out;
	link_target(&d->rows[row], target);
	*out = strdup(target);
	if (!*out)
		rc = err_set(err, ERR_NOMEM, "target of a link");

out:
	days_drop(d);
	roster_drop(r);
	return rc;
}
