#include "index/view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "index/view_private.h"

/* ---- Opening ---- */

static char *copy_only(const char *only)
{
	size_t len;

	if (!only)
		only = "";
	while (*only == '/')
		only++;
	for (len = strlen(only); len > 0 && only[len - 1] == '/'; len--)
		;
	return strndup(only, len);
}

/* Whether the top is a resource or a folder is decided here, once. */
static int find_top(struct view *v, struct err *err)
{
	struct roster *r;
	struct place top;
	int rc;

	v->top_kind = VIEW_PREFIX;
	v->top_depth = *v->only != '\0';
	for (const char *p = v->only; *p; p++)
		v->top_depth += *p == '/';
	rc = roster_hold(v, &r, err);
	if (rc)
		return rc;
	rc = place_top(v, r, &top, err);
	roster_drop(r);
	if (rc)
		return rc;
	v->top_kind = top.kind;
	return 0;
}

int view_open(struct view **out, struct store *s,
    const struct view_options *options, struct err *err)
{
	struct view *v;
	int rc;

	v = calloc(1, sizeof(*v));
	if (!v)
		return err_set(err, ERR_NOMEM, "view");
	v->store = s;
	atomic_init(&v->version, 0);
	atomic_init(&v->looked_ms, 0);
	pthread_mutex_init(&v->lock, NULL);
	rc = slots_init(v, err);
	if (rc)
		goto out;
	v->only = copy_only(options ? options->only : NULL);
	if (!v->only) {
		rc = err_set(err, ERR_NOMEM, "view");
		goto out;
	}
	rc = find_top(v, err);
	if (rc)
		goto out;

	*out = v;
	v = NULL;

out:
	view_close(v);
	return rc;
}

void view_close(struct view *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < VIEW_OPENED; i++)
		opened_drop(v->opened[i]);
	for (size_t i = 0; i < VIEW_DAYS_BUCKETS; i++) {
		struct days *next;

		for (struct days *d = v->days[i]; d; d = next) {
			next = d->next;
			days_drop(d);
		}
	}
	roster_drop(v->roster);
	slots_fini(v);
	pthread_mutex_destroy(&v->lock);
	free(v->only);
	free(v);
}

/* ---- One node ---- */

static int names_get(struct view *v, uint64_t ino, struct view_node *out,
    struct err *err)
{
	struct roster *r;
	struct place p;
	int rc;

	rc = place_hold(v, ino, &r, &p, err);
	if (rc)
		return rc;
	rc = place_node(v, r, &p, out, err);
	roster_drop(r);
	return rc;
}

int view_lookup(struct view *v, uint64_t dir, const char *name, size_t len,
    struct view_node *out, struct err *err)
{
	if (len == 0 || memchr(name, '/', len) || memchr(name, '\0', len))
		return err_set(err, ERR_NOT_FOUND, "nothing has such a name");
	if (view_is_synthetic(dir))
		return names_lookup(v, dir, name, len, out, err);
	return dated_lookup(v, dir, name, len, out, err);
}

int view_get(struct view *v, uint64_t ino, struct view_node *out,
    struct err *err)
{
	if (view_is_synthetic(ino))
		return names_get(v, ino, out, err);
	return dated_get(v, ino, out, err);
}

int view_parent(struct view *v, uint64_t dir, uint64_t *out, struct err *err)
{
	if (!view_is_synthetic(dir))
		return dated_parent(v, dir, out, err);
	return names_parent(v, dir, out, err);
}

int view_readlink(struct view *v, uint64_t ino, char **out, struct err *err)
{
	if (view_is_synthetic(ino))
		return names_readlink(v, ino, out, err);
	return dated_readlink(v, ino, out, err);
}

/* ---- Paths ---- */

/* Goes where a symlink among the dated names leads: "period/date". */
static int follow(struct view *v, uint64_t dir, struct view_node *node,
    struct err *err)
{
	const char *slash;
	char *target;
	int rc;

	rc = view_readlink(v, node->ino, &target, err);
	if (rc)
		return rc;
	slash = strchr(target, '/');
	rc = view_lookup(v, dir, target, (size_t)(slash - target), node, err);
	if (!rc)
		rc = view_lookup(v, node->ino, slash + 1, strlen(slash + 1),
		    node, err);
	free(target);
	return rc;
}

int view_resolve(struct view *v, const char *path, struct view_node *out,
    struct err *err)
{
	const char *p = path;
	uint64_t dir;
	int rc;

	rc = view_get(v, VIEW_ROOT, out, err);
	for (; !rc; p += strcspn(p, "/")) {
		size_t len;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (len == 0)
			return 0;
		if (len == 1 && *p == '.')
			continue;
		if (len == 2 && p[0] == '.' && p[1] == '.')
			return err_set(err, ERR_INVALID,
			    "%.300s: \"..\" is not followed", path);
		if (!S_ISDIR(out->mode))
			return err_set(err, ERR_NOT_FOUND,
			    "%.300s: not a directory", path);
		dir = out->ino;
		rc = view_lookup(v, dir, p, len, out, err);
		if (!rc && S_ISLNK(out->mode) && view_is_synthetic(out->ino))
			rc = follow(v, dir, out, err);
	}
	return err_wrap(err, "%.300s", path);
}
