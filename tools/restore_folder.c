#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "index/io.h"
#include "tools/restore_private.h"

#define OPEN_FOLDER (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

enum {
	PHASE_FILES, /* first, in the order in which they were stored */
	PHASE_DIRS,
	PHASES,
};

static const char acl_default[] = "system.posix_acl_default";
static const char acl_access[] = "system.posix_acl_access";

static void folder_drop(struct worker *w, struct work *work)
{
	struct folder *f = (struct folder *)(void *)work;

	if (f->parent)
		queue_unref(w, &f->parent->work);
	folder_free(f);
}

int folder_new(struct folder **out, int fd, const struct id *top,
    uint64_t number, uint32_t subdirs, const char *path, struct err *err)
{
	struct folder *f = calloc(1, sizeof(*f));

	if (f)
		f->path = strdup(path);
	if (!f || !f->path) {
		free(f);
		io_close(fd);
		return err_set(err, ERR_NOMEM, "directory %s", path);
	}
	f->work.refs = 1;
	f->work.drop = folder_drop;
	f->fd = fd;
	f->top = *top;
	f->number = number;
	f->subdirs = subdirs;
	atomic_init(&f->given, OWNER_UNKNOWN);
	*out = f;
	return 0;
}

void folder_free(struct folder *f)
{
	if (!f)
		return;
	io_close(f->fd);
	free(f->path);
	free(f);
}

static void fd_path(int fd, char out[40])
{
	snprintf(out, 40, "/proc/self/fd/%d", fd);
}

bool folder_inherits_acl(int fd)
{
	char path[40];

	fd_path(fd, path);
	return getxattr(path, acl_default, NULL, 0) > 0;
}

/* ---- Opening ---- */

/*
 * What stands in the way of a directory goes, if it may.  Returns 0 when the
 * name is free now, 1 when it stays.
 */
static int clear_way(struct worker *w, struct folder *f, struct err *err)
{
	if (!w->restore->options.replace)
		return 1;
	if (unlinkat(f->parent->fd, f->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "replace");
	return 0;
}

/* Makes the directory or finds it there.  Returns 1 when it is kept out. */
static int make(struct worker *w, struct folder *f, struct err *err)
{
	int up = f->parent->fd;
	int rc;

	for (int tries = 0; tries < 2; tries++) {
		f->fresh = mkdirat(up, f->name, 0700) == 0;
		if (!f->fresh && errno != EEXIST)
			return err_sys(err, "make directory");
		f->fd = openat(up, f->name, OPEN_FOLDER);
		if (f->fd >= 0)
			return 0;
		if (f->fresh || (errno != ENOTDIR && errno != ELOOP))
			return err_sys(err, "open directory");
		rc = clear_way(w, f, err);
		if (rc)
			return rc;
	}
	return err_set(err, ERR_BUSY, "somebody else makes this name too");
}

/* A fresh directory inherits too, and would pass it on. */
static void clear_acl(struct folder *f)
{
	char path[40];

	fd_path(f->fd, path);
	(void)removexattr(path, acl_default); /* often there is none */
	(void)removexattr(path, acl_access);
	(void)chmod(path, 0700);
}

static int open_folder(struct worker *w, struct folder *f, struct err *err)
{
	int rc = make(w, f, err);

	if (rc)
		return rc;
	if (!f->fresh)
		f->clears_acl = folder_inherits_acl(f->fd);
	else if (f->parent->clears_acl)
		clear_acl(f);
	return 0;
}

static void fill(struct worker *w, struct work *work, unsigned phase,
    uint64_t at);

/* The first run of a folder: opens it, and queues what is in it. */
static void begin(struct worker *w, struct work *work, unsigned phase,
    uint64_t at)
{
	struct folder *f = (struct folder *)(void *)work;
	struct restore *r = w->restore;
	struct err err;
	int rc = open_folder(w, f, &err);

	(void)phase;
	(void)at;
	if (rc < 0)
		restore_failed(r, f->parent->path, f->name, f->name_len, &err);
	else if (rc == 1)
		restore_kept(r, f->parent->path, f->name, f->name_len);
	if (rc)
		restore_note(r, f->number, NOTE_SKIP);
	else if (!f->fresh && !r->options.replace)
		restore_note(r, f->number, NOTE_LEAVE);

	queue_unref(w, &f->parent->work);
	f->parent = NULL;
	if (rc)
		return;
	atomic_fetch_add_explicit(&r->dirs, 1, memory_order_relaxed);
	if (!id_is_zero(&f->top)) {
		queue_ref(&r->queue, &f->work);
		folder_push(r, f);
	}
}

void folder_push(struct restore *r, struct folder *f)
{
	f->work.run = fill;
	f->work.phase = 0;
	f->work.phases = f->subdirs ? PHASES : PHASE_FILES + 1;
	f->work.next = 0;
	f->work.step = PART_ENTRIES;
	f->work.end = UINT64_MAX;
	queue_push(&r->queue, &f->work);
}

/* ---- Filling ---- */

static int child_new(struct worker *w, struct folder *f,
    const struct tree_entry *e, uint64_t number, struct folder **out,
    struct err *err)
{
	struct folder *child = NULL;
	struct buf path;
	int rc;

	buf_init(&path);
	path_join(&path, f->path, e->name, e->name_len);
	rc = buf_check(&path, err);
	if (!rc)
		rc = folder_new(&child, -1, &e->content, number, e->subdirs,
		    (const char *)path.data, err);
	buf_fini(&path);
	if (rc)
		return rc;

	memcpy(child->name, e->name, e->name_len);
	child->name_len = e->name_len;
	child->work.run = begin;
	child->work.phases = 1;
	child->work.step = 1;
	child->work.end = 1;
	queue_ref(&w->restore->queue, &f->work);
	child->parent = f;
	*out = child;
	return 0;
}

static int fill_part(struct worker *w, struct folder *f, unsigned phase,
    uint64_t at, struct err *err)
{
	struct folder *children[PART_ENTRIES];
	struct restore *r = w->restore;
	struct tree_entry e;
	struct tree_iter it;
	uint64_t before;
	size_t n = 0;
	unsigned i = 0;
	int rc;

	tree_iter_init(&it, r->src, &f->top);
	rc = tree_iter_seek_ordinal(&it, at, err);
	for (; !rc && i < PART_ENTRIES && !restore_stopping(r); i++) {
		rc = tree_iter_next(&it, &e, &before, err);
		if (rc != 1)
			break;
		rc = 0;
		if (phase == PHASE_FILES && !tree_is_dir(&e))
			restore_entry(w, f, &e, f->number + 1 + before);
		else if (phase == PHASE_DIRS && tree_is_dir(&e))
			rc = child_new(w, f, &e, f->number + 1 + before,
			    &children[n], err);
		if (phase == PHASE_DIRS && tree_is_dir(&e) && !rc)
			n++;
	}
	if (rc || i < PART_ENTRIES)
		queue_end(&r->queue, &f->work, at + i);
	tree_iter_fini(&it);

	/* The last goes in first: they are begun in their order. */
	while (n > 0)
		queue_push(&r->queue, &children[--n]->work);
	return rc;
}

static void fill(struct worker *w, struct work *work, unsigned phase,
    uint64_t at)
{
	struct folder *f = (struct folder *)(void *)work;
	struct err err;

	if (fill_part(w, f, phase, at, &err))
		restore_failed(w->restore, f->path, "", 0, &err);
}

void restore_entry(struct worker *w, struct folder *f,
    const struct tree_entry *e, uint64_t number)
{
	struct restore *r = w->restore;
	uint64_t group = NO_GROUP;
	bool later = false;
	struct err err;
	int rc = 0;

	if (e->flags & TREE_LINKED)
		rc = links_ask(r, e, number, &group, &later, &err);
	if (!rc && later)
		return;
	if (!rc && S_ISREG(e->mode))
		rc = restore_file(w, f, e, group, &err);
	else if (!rc)
		rc = restore_special(w, f, e, group, &err);
	if (rc < 0)
		restore_failed(r, f->path, e->name, e->name_len, &err);
	else if (rc == 1)
		restore_kept(r, f->path, e->name, e->name_len);
}
