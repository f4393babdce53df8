#include "tools/ingest_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index/io.h"

/* ---- Their lives ---- */

static struct dir *dir_new(struct ingest *in, struct dir *parent,
    const char *name, size_t len)
{
	struct dir *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->fd = -1;
	d->parent = parent;
	d->name = strndup(name, len);
	if (!d->name) {
		free(d);
		return NULL;
	}
	pthread_mutex_lock(&in->dirs_lock);
	d->next = in->dirs;
	if (d->next)
		d->next->prev = d;
	in->dirs = d;
	pthread_mutex_unlock(&in->dirs_lock);
	return d;
}

static void dir_free(struct ingest *in, struct dir *d)
{
	pthread_mutex_lock(&in->dirs_lock);
	if (d->next)
		d->next->prev = d->prev;
	if (d->prev)
		d->prev->next = d->next;
	else
		in->dirs = d->next;
	pthread_mutex_unlock(&in->dirs_lock);

	for (uint32_t i = 0; i < d->n_subs; i++)
		links_found_fini(&d->subs[i].links);
	links_found_fini(&d->links);
	buf_fini(&d->entries);
	io_close(d->fd);
	free(d->subs);
	free(d->name);
	free(d);
}

void ingest_dirs_free(struct ingest *in)
{
	while (in->dirs)
		dir_free(in, in->dirs);
	links_found_fini(&in->top_sub.links);
}

/* ---- The way down ---- */

/*
 * Opens a directory whose descriptor was given up, name by name from the top.
 * Returns the descriptor or -1 and errno; *d itself must still be the same.
 */
static int reopen(const struct ingest *in, const struct dir *d)
{
	const struct dir **way;
	struct stat st;
	size_t depth = 0;
	int fd = in->sources.fd;
	size_t i = 0;

	for (const struct dir *up = d; up->parent; up = up->parent)
		depth++;
	way = calloc(depth, sizeof(*way));
	if (!way)
		return -1;
	for (const struct dir *up = d; up->parent; up = up->parent)
		way[i++] = up;
	while (i > 0 && fd >= 0) {
		int next = walk_open_dir(fd, way[--i]->name);
		int saved = errno;

		if (fd != in->sources.fd)
			io_close(fd);
		errno = saved;
		fd = next;
	}
	free(way);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_dev != d->dev ||
			   st.st_ino != d->ino)) {
		io_close(fd);
		errno = ENOENT;
		return -1;
	}
	return fd;
}

/* Opens d in its parent, whose descriptor goes with its last child. */
static int open_beneath(struct ingest *in, struct dir *d)
{
	struct dir *parent = d->parent;
	int at = parent->fd;
	int saved;
	int fd;

	if (at < 0)
		at = parent->parent ? reopen(in, parent) : in->sources.fd;
	fd = at < 0 ? -1 : walk_open_dir(at, d->name);
	saved = errno;
	if (parent->fd < 0 && parent->parent)
		io_close(at);
	if (atomic_fetch_sub(&parent->unopened, 1) == 1 && parent->fd >= 0) {
		io_close(parent->fd);
		parent->fd = -1;
		atomic_fetch_sub(&in->fds_open, 1);
	}
	errno = saved;
	return fd;
}

/* ---- The way up ---- */

/*
 * Numbers within d, whose own is 0: its entries come in order, each followed
 * by what lies beneath it.
 */
static int links_gather(struct dir *d, struct sub *out, struct err *err)
{
	struct links_found all = { 0 };
	uint64_t shift = 1;
	size_t own = 0;
	int rc = 0;

	for (uint32_t i = 0; i <= d->n_subs && !rc; i++) {
		struct sub *sub = i < d->n_subs ? &d->subs[i] : NULL;

		for (; own < d->links.n &&
		     (!sub || d->links.places[own].number < sub->ordinal);
		     own++)
			d->links.places[own].number += shift;
		if (!sub)
			break;
		rc = links_found_move(&all, &sub->links, shift + sub->ordinal,
		    err);
		if (sub->state & SUB_GONE)
			shift--;
		else
			shift += sub->beneath;
	}
	if (!rc)
		rc = links_found_move(&all, &d->links, 0, err);
	out->links = all;
	return rc;
}

static void entry_complete(struct tree_entry *e, const struct sub *sub)
{
	e->beneath = sub->beneath;
	e->subdirs = sub->subdirs;
	e->content = sub->id;
	if (!id_is_zero(&sub->id))
		e->flags |= TREE_CHUNK;
	if (sub->state & SUB_UNREADABLE)
		e->flags |= TREE_UNREADABLE;
	if (sub->state & SUB_XATTRS)
		capture_set_xattrs(e, &sub->xattrs);
}

static int tree_put(struct worker *w, const struct dir *d, struct id *out,
    struct err *err)
{
	struct bytes in = bytes_of(d->entries.data, d->entries.len);
	const struct sub *sub = d->subs;
	const struct sub *end = d->subs + d->n_subs;
	struct tree_dir tree;
	int rc = 0;

	while (bytes_left(&in) && !rc) {
		size_t at = d->entries.len - bytes_left(&in);
		struct tree_entry e;
		bool gone = false;

		rc = tree_entry_decode(&e, &in, false, err);
		if (!rc && sub < end && sub->entry_at == at) {
			entry_complete(&e, sub);
			gone = sub->state & SUB_GONE;
			sub++;
		}
		if (!rc && !gone)
			rc = tree_writer_add(w->tree, &e, err);
	}
	if (!rc)
		rc = tree_writer_finish(w->tree, &tree, err);
	if (!rc)
		*out = tree.id;
	return rc;
}

/* What d becomes in its parent, now that everything beneath it is known. */
static int dir_result(struct worker *w, struct dir *d, struct sub *out,
    struct err *err)
{
	bool changed = d->changed || id_is_zero(&d->old);
	uint64_t beneath = d->n_entries;
	uint32_t subdirs = d->n_dirs;
	struct id id = d->old;
	int rc = 0;

	for (uint32_t i = 0; i < d->n_subs; i++) {
		const struct sub *sub = &d->subs[i];

		changed = changed || sub->changed;
		if (sub->state & SUB_GONE) {
			beneath--;
			subdirs--;
		} else {
			beneath += sub->beneath;
		}
	}
	if (changed && beneath == 0)
		id = (struct id){ { 0 } };
	else if (changed)
		rc = tree_put(w, d, &id, err);
	if (rc)
		return rc;

	out->id = id;
	out->beneath = beneath;
	out->subdirs = subdirs;
	out->changed = out->changed || !id_equal(&id, &d->old);
	return links_gather(d, out, err);
}

static struct sub *sub_of(struct ingest *in, const struct dir *d)
{
	return d->parent ? &d->parent->subs[d->slot] : &in->top_sub;
}

/* Finishes d, and every directory above whose last child this was. */
static int finish(struct worker *w, struct dir *d, struct err *err)
{
	struct ingest *in = w->in;

	for (;;) {
		struct dir *parent = d->parent;

		if (dir_result(w, d, sub_of(in, d), err))
			return err->code;
		dir_free(in, d);
		if (!parent || atomic_fetch_sub(&parent->left, 1) != 1)
			return 0;
		d = parent;
	}
}

/* ---- One directory ---- */

/* d is left out, or is there without what is in it. */
static int dir_lost(struct worker *w, struct dir *d, int sys, struct err *err)
{
	struct sub *sub = sub_of(w->in, d);

	if (sys == EMFILE || sys == ENFILE || sys == ENOMEM)
		return err_set(err, ERR_SYSTEM, "%s: %s", d->name,
		    strerror(sys));
	if (sys == ENOENT || sys == ENOTDIR || sys == ELOOP) {
		ingest_fault(w, d, NULL, "vanished before it was read");
		sub->state |= SUB_GONE;
		w->counts.dirs--;
	} else {
		ingest_fault(w, d, NULL, "%s", strerror(sys));
		sub->state |= SUB_UNREADABLE;
	}
	sub->changed = true;
	d->changed = true;
	return finish(w, d, err);
}

/* Keeps the descriptor for the subdirectories while there are enough. */
static void keep_or_close(struct ingest *in, struct dir *d)
{
	if (atomic_fetch_add(&in->fds_open, 1) < in->fds_max)
		return;
	atomic_fetch_sub(&in->fds_open, 1);
	io_close(d->fd);
	d->fd = -1;
}

int ingest_dir_run(struct worker *w, struct dir *d, struct err *err)
{
	int rc = ingest_scan(w, d, err);

	if (rc > 0 && !d->parent) {
		errno = rc;
		return err_sys(err, "%s: list", w->in->sources.base);
	}
	if (rc > 0)
		return dir_lost(w, d, rc, err);
	if (rc < 0)
		return rc;
	if (d->n_subs == 0)
		return finish(w, d, err);

	keep_or_close(w->in, d);
	atomic_store(&d->unopened, d->n_subs);
	atomic_store(&d->left, d->n_subs);
	/* From here on d is everybody's, and may soon be gone. */
	jobs_push(w->in->jobs, &d->job, d->n_subs);
	return 0;
}

/* Is what was opened what the listing had seen? */
static int dir_check(struct worker *w, struct dir *d,
    const struct tree_entry *e, bool *same, struct err *err)
{
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return err_sys(err, "%s: fstat", d->name);
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->home = d->parent->pick ? st.st_dev : d->parent->home;
	d->device = d->parent->device;
	if (st.st_dev != d->parent->dev &&
	    devices_get(&w->in->devices, st.st_dev, DEVICES_NO_HINT,
		&d->device, err))
		return err->code;
	*same = st.st_ino == e->ino && d->device.ordinal == e->dev;
	return 0;
}

static int dir_xattrs(struct worker *w, struct dir *d, struct sub *sub,
    struct err *err)
{
	int rc = xattr_capture(w->xattrs, d->fd, NULL, &sub->xattrs, err);

	if (rc > 0)
		ingest_fault(w, d, NULL, "extended attributes: %s",
		    strerror(rc));
	return rc < 0 ? rc : 0;
}

int ingest_dir_part(struct worker *w, struct dir *parent, uint32_t slot,
    struct err *err)
{
	struct sub *sub = &parent->subs[slot];
	struct bytes in = bytes_of(parent->entries.data + sub->entry_at,
	    parent->entries.len - sub->entry_at);
	const struct pick *pick = NULL;
	struct tree_entry e;
	struct dir *d;
	bool same = false;

	if (tree_entry_decode(&e, &in, false, err))
		return err->code;
	d = dir_new(w->in, parent, e.name, e.name_len);
	if (!d)
		return err_set(err, ERR_NOMEM, "directory");
	d->slot = slot;
	d->old = sub->id;
	if (parent->pick)
		pick = pick_find(parent->pick, d->name);
	d->pick = pick && !pick->whole ? pick : NULL;

	d->fd = open_beneath(w->in, d);
	if (d->fd < 0)
		return dir_lost(w, d, errno, err);
	if (dir_check(w, d, &e, &same, err))
		return err->code;
	if (!same)
		return dir_lost(w, d, ENOENT, err);
	if ((sub->state & SUB_XATTRS) && dir_xattrs(w, d, sub, err))
		return err->code;
	return ingest_dir_run(w, d, err);
}

/* ---- The top ---- */

static int top_entry(struct ingest *in, const struct stat *st,
    const struct tree_entry *old, struct err *err)
{
	struct tree_entry *e = &in->top_entry;

	capture_stat(e, st, 0);
	e->name = "";
	owners_add(&in->workers[0].owners, e->uid, e->gid);
	in->workers[0].counts.dirs++;
	if (old && ingest_trusted(old, e)) {
		e->flags |= old->flags & (TREE_XATTR_CHUNK | TREE_XATTR_ROPE);
		e->xattr_size = old->xattr_size;
		e->xattr = old->xattr;
		return 0;
	}
	if (capture_racy(st, io_now_ns()))
		e->flags |= TREE_RACY;
	return ingest_xattrs(&in->workers[0], NULL, NULL, in->sources.fd, NULL,
	    e, err);
}

int ingest_dir_top(struct ingest *in, struct err *err)
{
	const struct snapshot *last = writer_last(in->writer);
	const struct tree_entry *old = last ? &last->root.top : NULL;
	struct stat st;
	struct dir *d;

	if (fstat(in->sources.fd, &st) < 0)
		return err_sys(err, "%s", in->sources.base);
	for (unsigned i = 0; i < in->n_skip; i++)
		if (st.st_dev == in->skip[i].st_dev &&
		    st.st_ino == in->skip[i].st_ino)
			return err_set(err, ERR_INVALID,
			    "%s is the store itself", in->sources.base);

	d = dir_new(in, NULL, "", 0);
	if (!d)
		return err_set(err, ERR_NOMEM, "directory");
	in->top = d;
	d->pick = in->sources.top.whole ? NULL : &in->sources.top;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->home = st.st_dev;
	/* The top's device is the first one met, so its ordinal is 0. */
	if (devices_get(&in->devices, st.st_dev, 0, &d->device, err))
		return err->code;
	if (old && (old->flags & TREE_CHUNK))
		d->old = old->content;
	d->fd = walk_open_dir(in->sources.fd, ".");
	if (d->fd < 0)
		return err_sys(err, "%s", in->sources.base);
	return top_entry(in, &st, old, err);
}
