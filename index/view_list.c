/*
 * Listings.  Where to go on is never a place in a list that may have changed:
 * among resources it is the number of the least resource beneath, among dates
 * the date, in a snapshot the ordinal of an entry.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "index/io.h"
#include "index/view_private.h"

struct listing {
	struct view *view;
	uint64_t offset;
	view_emit_fn *emit;
	void *ctx;
};

/* ---- Folders of resources ---- */

struct child {
	struct place place;
	const char *name;
	size_t len;
};

static int child_by_no(const void *a, const void *b)
{
	const struct child *x = a;
	const struct child *y = b;

	return (x->place.no > y->place.no) - (x->place.no < y->place.no);
}

/* In the order of their first resources: what is new comes last. */
static int list_prefix(const struct listing *l, struct roster *r,
    const struct place *dir, struct err *err)
{
	struct child *children;
	struct view_node node;
	size_t n = 0;
	int rc = 0;

	children = calloc(dir->hi - dir->lo + 1, sizeof(*children));
	if (!children)
		return err_set(err, ERR_NOMEM, "listing");
	for (size_t i = dir->lo; i < dir->hi; n++) {
		struct child *c = &children[n];

		place_child(r, dir, i, &c->place, &i, &c->name, &c->len);
	}
	qsort(children, n, sizeof(*children), child_by_no);

	for (size_t i = 0; i < n; i++) {
		const struct child *c = &children[i];
		uint64_t next = (uint64_t)c->place.no + 1;

		if (next <= l->offset)
			continue;
		rc = place_node(l->view, r, &c->place, &node, err);
		if (rc)
			goto out;
		if (!l->emit(l->ctx, c->name, c->len, &node, next))
			break;
	}

out:
	free(children);
	return rc;
}

/* ---- A resource: fixed places, some of them empty ---- */

#define RESOURCE_PLACES (2 + PERIODS)

/* ERR_NOT_FOUND: there is nothing in this place. */
static int resource_place(const struct days *d, size_t i, int64_t now_ns,
    struct place *out, const char **name, struct err *err)
{
	static const enum view_kind links[] = { VIEW_LATEST, VIEW_YESTERDAY };
	static const char *const names[] = { "latest", "yesterday" };
	size_t row = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	out->no = d->no;
	if (i < 2) {
		rc = days_link(d, links[i], now_ns, &row, err);
		if (rc)
			return rc;
		out->kind = links[i];
		out->serial = d->rows[row].serial;
		*name = names[i];
		return 0;
	}
	out->kind = VIEW_PERIOD;
	out->period = (enum period)(i - 2);
	*name = period_name(out->period);
	if (!days_shows(d, out->period))
		return err_set(err, ERR_NOT_FOUND, "nothing to say");
	return 0;
}

static int list_resource(const struct listing *l, struct roster *r,
    const struct days *d, struct err *err)
{
	int64_t now_ns = io_now_ns();
	struct view_node node;
	struct place p;
	const char *name;
	int rc;

	for (uint64_t i = l->offset; i < RESOURCE_PLACES; i++) {
		rc = resource_place(d, (size_t)i, now_ns, &p, &name, err);
		if (rc == ERR_NOT_FOUND)
			continue;
		if (rc)
			return rc;
		rc = place_node(l->view, r, &p, &node, err);
		if (rc == ERR_NOT_FOUND)
			continue;
		if (rc)
			return rc;
		if (!l->emit(l->ctx, name, strlen(name), &node, i + 1))
			return 0;
	}
	return 0;
}

/* ---- A period: one folder a date ---- */

/*
 * Rises with date and serial; never 0.  Keys are seconds at most, hence below
 * 2^34 on either side of 1970.  Outside all/ a date has one item whatever the
 * serial.
 */
static uint64_t item_offset(const struct days *d, enum period p, size_t i)
{
	const struct folder_item *item = &d->folder[p].items[i];
	uint64_t serial = (1u << VIEW_SERIAL_BITS) - 1;

	if (p == PERIOD_ALL)
		serial = d->rows[item->row].serial;
	return (uint64_t)(item->key + (INT64_C(1) << 34))
	    << VIEW_SERIAL_BITS | serial;
}

static void list_period(const struct listing *l, const struct days *d,
    enum period p)
{
	const struct folder *f = &d->folder[p];
	struct view_node node = {
		.dated = true,
		.snapshot = true,
		.bare = true,
		.mode = S_IFDIR | 0755,
	};
	char name[ITEM_NAME_SIZE];
	size_t lo = 0;
	size_t hi = f->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (item_offset(d, p, mid) <= l->offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t i = lo; i < f->n; i++) {
		size_t len = days_item_name(d, p, i, name);

		node.ino = view_dated(p, d->rows[f->items[i].row].serial, 0);
		if (!l->emit(l->ctx, name, len, &node, item_offset(d, p, i)))
			return;
	}
}

static int list_names(const struct listing *l, uint64_t dir, struct err *err)
{
	struct days *d = NULL;
	struct roster *r;
	struct place p;
	int rc;

	rc = place_hold(l->view, dir, &r, &p, err);
	if (rc)
		return rc;
	if (p.kind == VIEW_PREFIX) {
		rc = list_prefix(l, r, &p, err);
		goto out;
	}
	rc = days_hold(l->view, p.no, r->version, &d, err);
	if (rc)
		goto out;
	if (p.kind == VIEW_RESOURCE)
		rc = list_resource(l, r, d, err);
	else if (p.kind == VIEW_PERIOD)
		list_period(l, d, p.period);
	else
		rc = err_set(err, ERR_INVALID, "not a directory");

out:
	days_drop(d);
	roster_drop(r);
	return rc;
}

/* ---- Directories in snapshots ---- */

static int list_dated(const struct listing *l, uint64_t ino, struct err *err)
{
	uint64_t ordinal = l->offset;
	struct tree_iter iter;
	struct view_node node;
	struct tree_entry e;
	struct dated_dir dir;
	struct opened *o;
	uint64_t number = 0;
	uint64_t before;
	int rc;

	rc = dated_dir(l->view, ino, &o, &dir, err);
	if (rc)
		return rc;
	tree_iter_init(&iter, store_source(l->view->store), &dir.top);
	if (dir.node.unreadable && id_is_zero(&dir.top)) {
		/* An empty listing would pass for an empty directory. */
		rc = err_set(err, ERR_SYSTEM,
		    "the directory could not be read when it was ingested");
		goto out;
	}
	if (ordinal > 0) {
		rc = tree_iter_seek_ordinal(&iter, ordinal, err);
		if (rc)
			goto out;
	}
	while ((rc = tree_iter_next(&iter, &e, &before, err)) == 1) {
		rc = dated_place(&dir, &e, before, &number, err);
		if (!rc)
			rc = dated_node(l->view, o, view_dated_period(ino),
			    number, dir.number, &e, &node, err);
		if (rc || !l->emit(l->ctx, e.name, e.name_len, &node,
		    ++ordinal))
			break;
	}

out:
	tree_iter_fini(&iter);
	opened_drop(o);
	return rc < 0 ? rc : 0;
}

int view_readdir(struct view *v, uint64_t dir, uint64_t offset,
    view_emit_fn *emit, void *ctx, struct err *err)
{
	struct listing l = {
		.view = v,
		.offset = offset,
		.emit = emit,
		.ctx = ctx,
	};

	if (view_is_synthetic(dir))
		return list_names(&l, dir, err);
	return list_dated(&l, dir, err);
}
