/*
 * Where a node above the snapshots is: the tree that the names of resources
 * make, and the numbers of its folders.
 */
#include <string.h>

#include "index/view_private.h"

/* ---- Names of resources, as a tree ---- */

/* Compares the start of a name with `want`, and what follows with `end`. */
static int name_cmp(const char *name, const char *want, size_t len, char end)
{
	int c = strncmp(name, want, len);

	if (c)
		return c;
	return (int)(unsigned char)name[len] - (int)(unsigned char)end;
}

/* First row in [lo, hi) whose name from `skip` on is not below want and end. */
static size_t lower_bound(const struct roster *r, size_t lo, size_t hi,
    size_t skip, const char *want, size_t len, char end)
{
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (name_cmp(r->rows[mid].name + skip, want, len, end) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Where a prefix's own children begin in the names beneath it. */
static size_t child_skip(const struct place *p)
{
	return p->name_len ? p->name_len + 1 : 0;
}

static uint32_t least_no(const struct roster *r, size_t lo, size_t hi)
{
	uint32_t least = UINT32_MAX;

	for (size_t i = lo; i < hi; i++)
		if (r->rows[i].no < least)
			least = r->rows[i].no;
	return least;
}

void place_child(const struct roster *r, const struct place *dir, size_t i,
    struct place *out, size_t *next, const char **name, size_t *len)
{
	const char *whole = r->rows[i].name;
	size_t skip = child_skip(dir);
	size_t end = i + 1;

	*name = whole + skip;
	*len = strcspn(*name, "/");
	memset(out, 0, sizeof(*out));
	if ((*name)[*len] == '/') {
		while (end < dir->hi && name_cmp(r->rows[end].name + skip,
		    *name, *len, '/') == 0)
			end++;
		out->kind = VIEW_PREFIX;
		out->lo = i;
		out->hi = end;
		out->name_len = skip + *len;
		out->depth = dir->depth + 1;
		out->no = least_no(r, i, end);
	} else {
		out->kind = VIEW_RESOURCE;
		out->no = r->rows[i].no;
	}
	*next = end;
}

/* ---- From numbers to places ---- */

/* Length of the first `depth` names; 0 when there are not more than that. */
static size_t prefix_len(const char *name, unsigned depth)
{
	const char *p = name;

	for (; depth > 0; depth--) {
		p += strcspn(p, "/");
		if (*p != '/')
			return 0;
		p++;
	}
	return p == name ? 0 : (size_t)(p - name) - 1;
}

/* The prefix of this depth above a row, as far as the roster shows it. */
static int prefix_find(const struct roster *r, size_t row, unsigned depth,
    struct place *out, struct err *err)
{
	const char *name = depth > 0 ? r->rows[row].name : "";
	size_t len = prefix_len(name, depth);

	if (depth > 0 && len == 0)
		return err_set(err, ERR_NOT_FOUND, "no such folder");
	out->kind = VIEW_PREFIX;
	out->name_len = len;
	out->depth = depth;
	out->lo = r->first;
	out->hi = r->end;
	if (depth > 0) {
		out->lo = lower_bound(r, r->first, r->end, 0, name, len, '/');
		out->hi = lower_bound(r, r->first, r->end, 0, name, len,
		    '/' + 1);
	}
	out->no = least_no(r, out->lo, out->hi);
	return 0;
}

int place_top(struct view *v, const struct roster *r, struct place *out,
    struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (*v->only && r->first == r->end)
		return err_set(err, ERR_NOT_FOUND,
		    "no resource or folder of resources %s", v->only);
	if (*v->only && strcmp(r->rows[r->first].name, v->only) == 0) {
		out->kind = VIEW_RESOURCE;
		out->no = r->rows[r->first].no;
		return 0;
	}
	return prefix_find(r, r->first, v->top_depth, out, err);
}

static int no_node(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no such folder");
}

static int place_find(struct view *v, const struct roster *r, uint64_t ino,
    struct place *out, struct err *err)
{
	uint64_t extra = ino >> 32 & ((UINT64_C(1) << 28) - 1);
	size_t row;
	int rc;

	if (ino == VIEW_ROOT)
		return place_top(v, r, out, err);

	memset(out, 0, sizeof(*out));
	out->no = (uint32_t)ino;
	out->kind = (enum view_kind)(ino >> VIEW_KIND_SHIFT & 7);
	rc = roster_find(r, out->no, &row, err);
	if (rc)
		return rc;
	switch (out->kind) {
	case VIEW_PREFIX:
		if (v->top_kind != VIEW_PREFIX || extra <= v->top_depth ||
		    extra > VIEW_DEPTH_MAX)
			return no_node(err);
		rc = prefix_find(r, row, (unsigned)extra, out, err);
		if (rc)
			return rc;
		break;
	case VIEW_RESOURCE:
		break;
	case VIEW_PERIOD:
		if (extra >= PERIODS)
			return no_node(err);
		out->period = (enum period)extra;
		break;
	case VIEW_LATEST:
	case VIEW_YESTERDAY:
		out->serial = extra;
		break;
	default:
		return no_node(err);
	}
	/* Every node has one number, and it is the one that was shown. */
	return place_number(v, out) == ino ? 0 : no_node(err);
}

int place_hold(struct view *v, uint64_t ino, struct roster **held,
    struct place *out, struct err *err)
{
	struct roster *r;
	int rc;

	rc = roster_hold(v, &r, err);
	if (rc)
		return rc;
	rc = place_find(v, r, ino, out, err);
	if (rc) {
		roster_drop(r);
		return rc;
	}
	*held = r;
	return 0;
}

/* What lies above the top is not shown, so kind and depth tell. */
static bool is_top(const struct view *v, const struct place *p)
{
	return p->kind == v->top_kind &&
	    (p->kind != VIEW_PREFIX || p->depth == v->top_depth);
}

uint64_t place_number(struct view *v, const struct place *p)
{
	if (is_top(v, p))
		return VIEW_ROOT;
	switch (p->kind) {
	case VIEW_PREFIX:
		return view_synthetic(VIEW_PREFIX, p->no, p->depth);
	case VIEW_RESOURCE:
		return view_synthetic(VIEW_RESOURCE, p->no, 0);
	case VIEW_PERIOD:
		return view_synthetic(VIEW_PERIOD, p->no, p->period);
	case VIEW_LATEST:
	case VIEW_YESTERDAY:
		return view_synthetic(p->kind, p->no, p->serial);
	}
	return VIEW_ROOT;
}

/* ---- To the neighbours ---- */

int place_lookup(const struct roster *r, const struct place *dir,
    const char *name, size_t len, struct place *out, struct err *err)
{
	static const char ends[] = { '/', '\0' };
	size_t skip = child_skip(dir);
	const char *found;
	size_t found_len;
	size_t next;

	for (size_t e = 0; e < sizeof(ends); e++) {
		size_t i = lower_bound(r, dir->lo, dir->hi, skip, name, len,
		    ends[e]);

		if (i == dir->hi || name_cmp(r->rows[i].name + skip, name,
		    len, ends[e]) != 0)
			continue;
		place_child(r, dir, i, out, &next, &found, &found_len);
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "no %.*s here",
	    len > 255 ? 255 : (int)len, name);
}

int place_parent(const struct roster *r, const struct place *p,
    struct place *out, struct err *err)
{
	unsigned depth = p->depth;
	size_t row;
	int rc;

	memset(out, 0, sizeof(*out));
	if (p->kind != VIEW_PREFIX && p->kind != VIEW_RESOURCE) {
		out->kind = VIEW_RESOURCE;
		out->no = p->no;
		return 0;
	}
	rc = roster_find(r, p->no, &row, err);
	if (rc)
		return rc;
	if (p->kind == VIEW_RESOURCE) {
		depth = 1;
		for (const char *c = r->rows[row].name; *c; c++)
			depth += *c == '/';
	}
	return prefix_find(r, row, depth - 1, out, err);
}
