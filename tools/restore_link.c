/*
 * Hard links.  The first of a file's names to be met gets the content,
 * whichever thread it is; the others are written down and linked when all is
 * there.  Then both names are reached anew from the top, and what is linked to
 * must be the very inode that was made: a file put in its place by somebody
 * else never gains a name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/io.h"
#include "tools/restore_private.h"

#define GROUPS_FIRST 64

/* ---- The table ---- */

int links_init(struct restore_links *l, struct err *err)
{
	memset(l, 0, sizeof(*l));
	pthread_mutex_init(&l->lock, NULL);
	l->room = GROUPS_FIRST;
	l->groups = calloc(l->room, sizeof(*l->groups));
	return l->groups ? 0 : err_set(err, ERR_NOMEM, "hard links");
}

void links_fini(struct restore_links *l)
{
	pthread_mutex_destroy(&l->lock);
	free(l->groups);
	free(l->later);
}

/* Where the group is, or goes; the table is never full. */
static struct link_group *slot(struct link_group *groups, size_t room,
    uint64_t first)
{
	size_t at = (size_t)(first * 0x9e3779b97f4a7c15ull >> 20) % room;

	while (groups[at].first && groups[at].first != first + 1)
		at = (at + 1) % room;
	return &groups[at];
}

static int grow(struct restore_links *l, struct err *err)
{
	size_t room = 2 * l->room;
	struct link_group *more;

	if (2 * (l->n_groups + 1) < l->room)
		return 0;
	more = calloc(room, sizeof(*more));
	if (!more)
		return err_set(err, ERR_NOMEM, "hard links");
	for (size_t i = 0; i < l->room; i++)
		if (l->groups[i].first)
			*slot(more, room, l->groups[i].first - 1) =
			    l->groups[i];
	free(l->groups);
	l->groups = more;
	l->room = room;
	return 0;
}

static int add_later(struct restore_links *l, uint64_t number,
    uint64_t first, struct err *err)
{
	if (l->n_later == l->later_room) {
		size_t room = l->later_room ? 2 * l->later_room : 64;
		struct link_later *more;

		more = reallocarray(l->later, room, sizeof(*more));
		if (!more)
			return err_set(err, ERR_NOMEM, "hard links");
		l->later = more;
		l->later_room = room;
	}
	l->later[l->n_later++] = (struct link_later){ number, first };
	return 0;
}

int links_ask(struct restore *r, const struct tree_entry *e, uint64_t number,
    uint64_t *group, bool *later, struct err *err)
{
	struct restore_links *l = &r->links;
	struct link_group *g;
	struct link link;
	int rc;

	*group = NO_GROUP;
	*later = false;
	rc = link_find(r->src, &r->snap->root.links, e->dev, e->ino, &link,
	    err);
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc)
		return rc;

	pthread_mutex_lock(&l->lock);
	rc = grow(l, err);
	if (rc)
		goto out;
	g = slot(l->groups, l->room, link.number);
	if (g->first) {
		*later = true;
		rc = add_later(l, number, link.number, err);
		goto out;
	}
	*g = (struct link_group){ .first = link.number + 1, .number = number };
	l->n_groups++;
	*group = link.number;

out:
	pthread_mutex_unlock(&l->lock);
	return rc;
}

int links_made(struct restore *r, uint64_t group, int fd, struct err *err)
{
	struct restore_links *l = &r->links;
	struct link_group *g;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat");
	pthread_mutex_lock(&l->lock);
	g = slot(l->groups, l->room, group);
	g->dev = st.st_dev;
	g->ino = st.st_ino;
	g->made = true;
	pthread_mutex_unlock(&l->lock);
	return 0;
}

/* ---- Back to a name ---- */

/* A thing found again: its folder, opened, and its entry, held by iter. */
struct found {
	struct folder *folder;
	struct tree_entry entry;
	struct tree_iter iter;
};

static void found_fini(struct found *f)
{
	tree_iter_fini(&f->iter);
	folder_free(f->folder);
	f->folder = NULL;
}

/* One step down: the directory `e` becomes the folder. */
static int enter(struct found *f, const struct tree_entry *e,
    uint64_t number, struct err *err)
{
	char name[TREE_NAME_MAX + 1];
	struct folder *down = NULL;
	struct buf path;
	int fd;
	int rc;

	memcpy(name, e->name, e->name_len);
	name[e->name_len] = 0;
	buf_init(&path);
	path_join(&path, f->folder->path, e->name, e->name_len);
	rc = buf_check(&path, err);
	if (rc)
		goto out;
	fd = openat(f->folder->fd, name,
	    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		rc = err_sys(err, "%s", (const char *)path.data);
		goto out;
	}
	rc = folder_new(&down, fd, &e->content, number, 0,
	    (const char *)path.data, err);
	if (rc)
		goto out;
	folder_free(f->folder);
	f->folder = down;

out:
	buf_fini(&path);
	return rc;
}

/* found_fini after a failure too. */
static int find(struct restore *r, const struct folder *top, uint64_t number,
    struct found *out, struct err *err)
{
	int fd = fcntl(top->fd, F_DUPFD_CLOEXEC, 3);
	uint64_t before, at;
	int rc;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return err_sys(err, "%s", top->path);
	rc = folder_new(&out->folder, fd, &top->top, top->number, 0,
	    top->path, err);
	while (!rc) {
		tree_iter_init(&out->iter, r->src, &out->folder->top);
		rc = tree_iter_seek_offset(&out->iter,
		    number - out->folder->number - 1, err);
		if (!rc)
			rc = tree_iter_next(&out->iter, &out->entry, &before,
			    err);
		if (rc == 0)
			rc = err_set(err, ERR_CORRUPT,
			    "%s: a hard link leads nowhere",
			    out->folder->path);
		if (rc < 0)
			break;
		at = out->folder->number + 1 + before;
		if (at == number) {
			out->folder->clears_acl =
			    folder_inherits_acl(out->folder->fd);
			return 0;
		}
		rc = enter(out, &out->entry, at, err);
		tree_iter_fini(&out->iter);
	}
	return rc;
}

/* ---- Linking ---- */

/* Opens what the group has here, and makes sure that it is still that. */
static int open_group(struct restore *r, const struct folder *top,
    const struct link_group *g, int *out, struct err *err)
{
	char name[TREE_NAME_MAX + 1];
	struct found first;
	struct stat st;
	int fd = -1;
	int rc;

	rc = find(r, top, g->number, &first, err);
	if (rc)
		goto out;
	memcpy(name, first.entry.name, first.entry.name_len);
	name[first.entry.name_len] = 0;
	fd = openat(first.folder->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = err_sys(err, "open its other name");
		goto out;
	}
	if (st.st_dev != g->dev || st.st_ino != g->ino) {
		rc = err_set(err, ERR_BUSY,
		    "somebody else put something in place of its other name");
		goto out;
	}
	*out = fd;
	fd = -1;

out:
	io_close(fd);
	found_fini(&first);
	return rc;
}

static int link_fd(int fd, int dir, const char *name)
{
	char path[40];

	/* Asks for no privilege, as AT_EMPTY_PATH does. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

/* Returns 0, 1 when the name is there and is kept, or a negative code. */
static int link_one(struct restore *r, int fd, struct found *f,
    struct err *err)
{
	struct made m;
	int rc = 0;

	made_init(&m, f->folder, &f->entry);
	if (link_fd(fd, f->folder->fd, m.name) < 0) {
		if (errno != EEXIST)
			return err_sys(err, "link");
		if (!r->options.replace)
			return 1;
		made_tmp(r, &m);
		if (link_fd(fd, f->folder->fd, m.tmp) < 0)
			return err_sys(err, "link");
		rc = made_place(&m, err);
		if (rc)
			made_drop(&m, true);
	}
	return rc;
}

/*
 * One further name.  Where no name of the group could be made, this one gets
 * the content and stands for the group from now on.
 */
static void finish_one(struct worker *w, const struct folder *top,
    const struct link_later *later)
{
	struct restore *r = w->restore;
	struct link_group *g;
	struct found f;
	struct err err;
	int fd = -1;
	int rc;

	rc = find(r, top, later->number, &f, &err);
	if (rc) {
		restore_failed(r, "", "", 0, &err);
		goto out;
	}
	g = slot(r->links.groups, r->links.room, later->first);
	if (!g->made) {
		g->number = later->number;
		rc = S_ISREG(f.entry.mode) ?
		    restore_file(w, f.folder, &f.entry, later->first, &err) :
		    restore_special(w, f.folder, &f.entry, later->first, &err);
	} else {
		rc = open_group(r, top, g, &fd, &err);
		if (!rc)
			rc = link_one(r, fd, &f, &err);
		if (!rc)
			atomic_fetch_add(&r->linked, 1);
	}
	if (rc < 0)
		restore_failed(r, f.folder->path, f.entry.name,
		    f.entry.name_len, &err);
	else if (rc == 1)
		restore_kept(r, f.folder->path, f.entry.name,
		    f.entry.name_len);

out:
	io_close(fd);
	found_fini(&f);
}

static int later_cmp(const void *a, const void *b)
{
	const struct link_later *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

int links_finish(struct worker *w, const struct folder *top, struct err *err)
{
	struct restore_links *l = &w->restore->links;

	if (l->n_later)
		qsort(l->later, l->n_later, sizeof(*l->later), later_cmp);
	for (size_t i = 0; i < l->n_later; i++) {
		if (restore_stopping(w->restore))
			return err_set(err, ERR_STOPPED, "stopped");
		finish_one(w, top, &l->later[i]);
	}
	return 0;
}
