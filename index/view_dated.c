/*
 * Things in snapshots, from the entries of their trees.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "index/view_private.h"

#define NO_PARENT UINT64_MAX

/* ---- From an entry to a node ---- */

static struct link link_at(const struct opened *o, size_t i)
{
	return link_decode(o->links + i * LINK_SIZE);
}

static int link_get(struct view *v, const struct opened *o,
    const struct tree_entry *e, struct link *out, struct err *err)
{
	size_t lo = 0;
	size_t hi = o->n_links;

	if (!o->links)
		return link_find(store_source(v->store), &o->snap->root.links,
		    e->dev, e->ino, out, err);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		*out = link_at(o, mid);
		if (out->dev == e->dev && out->ino == e->ino)
			return 0;
		if (out->dev < e->dev ||
		    (out->dev == e->dev && out->ino < e->ino))
			lo = mid + 1;
		else
			hi = mid;
	}
	return err_set(err, ERR_NOT_FOUND, "one name in this snapshot");
}

/*
 * What stat tells of disk use: the data of a sparse file, so that cp and tar
 * look for its holes, else the size in pages, as most file systems have it.
 */
static uint64_t blocks_of(const struct tree_entry *e)
{
	uint64_t blocks;

	if (e->flags & TREE_SPARSE)
		return e->data / 512 + (e->data % 512 != 0);
	blocks = e->size / 512 + (e->size % 512 != 0);
	return blocks + (8 - blocks % 8) % 8;
}

static void node_fill(struct view_node *out, const struct tree_entry *e)
{
	memset(out, 0, sizeof(*out));
	out->dated = true;
	out->mode = e->mode;
	out->uid = e->uid;
	out->gid = e->gid;
	out->nlink = 1;
	out->mtime_s = e->mtime_s;
	out->mtime_ns = e->mtime_ns;
	out->ctime_s = e->ctime_s;
	out->ctime_ns = e->ctime_ns;
	out->unreadable = (e->flags & TREE_UNREADABLE) != 0;
	out->content = tree_content(e);
	out->xattrs = tree_xattrs(e);
	switch (e->mode & S_IFMT) {
	case S_IFDIR:
		out->nlink = 2 + (uint64_t)e->subdirs;
		out->size = 4096;
		out->blocks = 8;
		break;
	case S_IFREG:
		out->size = e->size;
		out->blocks = blocks_of(e);
		break;
	case S_IFLNK:
		out->size = e->target_len;
		break;
	case S_IFCHR:
	case S_IFBLK:
		out->major = e->major;
		out->minor = e->minor;
		break;
	}
}

int dated_place(const struct dated_dir *dir, const struct tree_entry *e,
    uint64_t before, uint64_t *number, struct err *err)
{
	if (before >= dir->beneath || e->beneath >= dir->beneath - before)
		return err_set(err, ERR_CORRUPT,
		    "a directory holds more than its entry says");
	*number = dir->number + 1 + before;
	return 0;
}

/* Numbers of a thing that has several names: all show the first's. */
static int node_links(struct view *v, const struct opened *o,
    const struct tree_entry *e, uint64_t *number, uint64_t *nlink,
    struct err *err)
{
	struct link link;
	struct err none;
	int rc;

	if (o->snap->root.links.kind == CONTENT_NONE)
		return 0;
	rc = link_get(v, o, e, &link, &none);
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc) {
		*err = none;
		return rc;
	}
	if (link.number > o->snap->root.top.beneath)
		return err_set(err, ERR_CORRUPT,
		    "a hard link leads out of its snapshot");
	*number = link.number;
	*nlink = link.names;
	return 0;
}

int dated_node(struct view *v, const struct opened *o, enum period p,
    uint64_t number, uint64_t parent, const struct tree_entry *e,
    struct view_node *out, struct err *err)
{
	uint64_t serial = o->snap->row.serial;
	uint64_t shown = number;
	int rc;

	node_fill(out, e);
	if (tree_is_dir(e)) {
		struct dated_dir dir = {
			.number = number,
			.parent = parent,
			.beneath = e->beneath,
		};

		out->ino = view_dated(p, serial, number);
		out->snapshot = number == 0;
		dir.node = *out;
		if (e->flags & TREE_CHUNK)
			dir.top = e->content;
		dir_remember(v, &dir);
		return 0;
	}

	if (e->flags & TREE_LINKED) {
		rc = node_links(v, o, e, &shown, &out->nlink, err);
		if (rc)
			return rc;
	}
	out->ino = view_dated(p, serial, shown);
	file_remember(v, &(struct dated_file){
		.node = *out,
		.parent = shown == number ? parent : NO_PARENT,
	});
	return 0;
}

/* ---- From a number to a node ---- */

/* The snapshot that the number belongs to, held. */
static int dated_hold(struct view *v, uint64_t ino, struct opened **out,
    struct err *err)
{
	if ((ino & ((UINT64_C(1) << VIEW_NUMBER_BITS) - 1)) == 0 ||
	    view_dated_period(ino) >= PERIODS)
		return err_set(err, ERR_NOT_FOUND, "no node has number %llu",
		    (unsigned long long)ino);
	return opened_hold(v, view_dated_serial(ino), out, err);
}

/* Walks down from the top of the snapshot. */
static int node_walk(struct view *v, const struct opened *o, uint64_t ino,
    struct view_node *out, struct err *err)
{
	struct snapshot_item item;
	uint64_t parent;
	int rc;

	rc = snapshot_at(v->store, o->snap, view_dated_number(ino), &item,
	    &parent, err);
	if (rc)
		return rc;
	rc = dated_node(v, o, view_dated_period(ino), item.number, parent,
	    &item.entry, out, err);
	snapshot_item_fini(&item);
	return rc;
}

int dated_dir(struct view *v, uint64_t ino, struct opened **held,
    struct dated_dir *out, struct err *err)
{
	struct snapshot_item item;
	struct view_node node;
	int rc;

	*held = NULL;
	rc = dated_hold(v, ino, held, err);
	if (rc)
		return rc;
	if (dir_recall(v, ino, out))
		return 0;

	rc = snapshot_at(v->store, (*held)->snap, view_dated_number(ino),
	    &item, &out->parent, err);
	if (rc)
		goto out;
	if (!tree_is_dir(&item.entry)) {
		rc = err_set(err, ERR_INVALID, "not a directory");
	} else {
		rc = dated_node(v, *held, view_dated_period(ino), item.number,
		    out->parent, &item.entry, &node, err);
		out->node = node;
		out->number = item.number;
		out->beneath = item.entry.beneath;
		out->top = item.entry.flags & TREE_CHUNK ?
		    item.entry.content : (struct id){ { 0 } };
	}
	snapshot_item_fini(&item);

out:
	if (rc) {
		opened_drop(*held);
		*held = NULL;
	}
	return rc;
}

int dated_top(struct view *v, enum period p, uint64_t serial,
    struct view_node *out, struct err *err)
{
	return dated_get(v, view_dated(p, serial, 0), out, err);
}

int dated_get(struct view *v, uint64_t ino, struct view_node *out,
    struct err *err)
{
	struct dated_file file;
	struct dated_dir dir;
	struct opened *o;
	int rc;

	rc = dated_hold(v, ino, &o, err);
	if (rc)
		return rc;
	if (file_recall(v, ino, &file))
		*out = file.node;
	else if (dir_recall(v, ino, &dir))
		*out = dir.node;
	else
		rc = node_walk(v, o, ino, out, err);
	opened_drop(o);
	return rc;
}

int dated_parent(struct view *v, uint64_t ino, uint64_t *out,
    struct err *err)
{
	struct dated_dir dir;
	struct opened *o;
	int rc;

	rc = dated_dir(v, ino, &o, &dir, err);
	if (rc)
		return rc;
	if (dir.number == 0)
		*out = view_synthetic(VIEW_PERIOD, o->snap->row.resource_no,
		    view_dated_period(ino));
	else
		*out = view_dated(view_dated_period(ino),
		    view_dated_serial(ino), dir.parent);
	opened_drop(o);
	return 0;
}

/* ---- Looking up and reading links ---- */

int dated_lookup(struct view *v, uint64_t ino, const char *name, size_t len,
    struct view_node *out, struct err *err)
{
	struct tree_iter iter;
	struct tree_entry e;
	struct dated_dir dir;
	struct opened *o;
	uint64_t number = 0;
	uint64_t before;
	int rc;

	rc = dated_dir(v, ino, &o, &dir, err);
	if (rc)
		return rc;
	rc = tree_find(&iter, store_source(v->store), &dir.top, name, len, &e,
	    &before, err);
	if (rc)
		goto out;
	rc = dated_place(&dir, &e, before, &number, err);
	if (rc)
		goto out;
	rc = dated_node(v, o, view_dated_period(ino), number, dir.number, &e,
	    out, err);

out:
	tree_iter_fini(&iter);
	opened_drop(o);
	return rc;
}

/* The entry by way of its directory, if both are remembered: no walk. */
static int item_near(struct view *v, uint64_t ino, struct snapshot_item *out,
    struct err *err)
{
	uint64_t number = view_dated_number(ino);
	struct dated_file file;
	struct dated_dir dir;
	uint64_t before;
	int rc;

	if (!file_recall(v, ino, &file) || file.parent == NO_PARENT ||
	    !dir_recall(v, view_dated(view_dated_period(ino),
	    view_dated_serial(ino), file.parent), &dir))
		return 0;

	memset(out, 0, sizeof(*out));
	tree_iter_init(&out->iter, store_source(v->store), &dir.top);
	rc = tree_iter_seek_offset(&out->iter, number - dir.number - 1, err);
	if (!rc)
		rc = tree_iter_next(&out->iter, &out->entry, &before, err);
	if (rc == 1 && before != number - dir.number - 1)
		rc = err_set(err, ERR_CORRUPT, "a directory has changed");
	if (rc != 1)
		snapshot_item_fini(out);
	return rc;
}

int dated_readlink(struct view *v, uint64_t ino, char **out, struct err *err)
{
	struct snapshot_item item;
	struct opened *o;
	uint64_t parent;
	int rc;

	rc = dated_hold(v, ino, &o, err);
	if (rc)
		return rc;
	rc = item_near(v, ino, &item, err);
	if (rc == 0)
		rc = snapshot_at(v->store, o->snap, view_dated_number(ino),
		    &item, &parent, err);
	if (rc < 0)
		goto out;

	if (!S_ISLNK(item.entry.mode)) {
		rc = err_set(err, ERR_INVALID, "not a symbolic link");
	} else {
		*out = strndup(item.entry.target, item.entry.target_len);
		rc = *out ? 0 : err_set(err, ERR_NOMEM, "target of a link");
	}
	snapshot_item_fini(&item);

out:
	opened_drop(o);
	return rc;
}
