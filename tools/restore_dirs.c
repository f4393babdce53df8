/*
 * The last pass: each directory gets its owner, attributes, mode and times,
 * after all beneath it.  A stack of its own walks the tree anew; pages are not
 * held on the way, and descriptors only for the deepest levels: the way up
 * leads through "..", believed only when it is the directory we came by.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/io.h"
#include "tools/restore_private.h"

/* Directories held open at once. */
#define HELD_MAX 256

struct level {
	int fd;        /* -1: to be opened again */
	dev_t dev;
	ino_t ino;
	mode_t mode;   /* what it has now */
	uint64_t given;
	struct id top;
	uint64_t number;
	uint64_t next; /* ordinal of the entry to look at */
	uint32_t subdirs; /* not yet visited */
	bool leave;
};

struct walk {
	struct worker *worker;
	struct level *levels;
	size_t depth;
	size_t room;
	const uint64_t *noted; /* sorted */
	size_t n_noted;
};

static int note_cmp(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static bool has_note(const struct walk *k, uint64_t number, unsigned note)
{
	uint64_t key = number << 1 | note;

	return k->n_noted && bsearch(&key, k->noted, k->n_noted, sizeof(key),
	    note_cmp);
}

/* Takes over fd, on failure too. */
static int push(struct walk *k, int fd, const struct tree_entry *e,
    uint64_t number, struct err *err)
{
	struct level *l;
	struct stat st;

	if (k->depth == k->room) {
		size_t room = k->room ? 2 * k->room : 32;
		struct level *more = reallocarray(k->levels, room,
		    sizeof(*more));

		if (!more) {
			io_close(fd);
			return err_set(err, ERR_NOMEM, "directories");
		}
		k->levels = more;
		k->room = room;
	}
	if (fstat(fd, &st) < 0) {
		err_sys(err, "stat");
		io_close(fd);
		return err->code;
	}
	l = &k->levels[k->depth++];
	*l = (struct level){
		.fd = fd,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.mode = st.st_mode & 07777,
		.given = (uint64_t)st.st_uid << 32 | st.st_gid,
		.top = e->content,
		.number = number,
		.subdirs = e->subdirs,
		.leave = has_note(k, number, NOTE_LEAVE),
	};
	if (k->depth > HELD_MAX) {
		l = &k->levels[k->depth - 1 - HELD_MAX];
		io_close(l->fd);
		l->fd = -1;
	}
	return 0;
}

/* The level above the last is open again afterwards. */
static int reopen_above(struct walk *k, struct err *err)
{
	const struct level *child = &k->levels[k->depth - 1];
	struct level *l = &k->levels[k->depth - 2];
	struct stat st;

	if (l->fd >= 0)
		return 0;
	l->fd = openat(child->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return err_sys(err, "directory above");
	if (st.st_dev != l->dev || st.st_ino != l->ino)
		return err_set(err, ERR_BUSY,
		    "a directory was moved while it was restored");
	return 0;
}

static int apply(struct walk *k, const struct level *l,
    const struct tree_entry *e, struct err *err)
{
	struct made m = {
		.fd = l->fd,
		.path_only = true,
		.mode = l->mode,
		.given = l->given,
	};

	return l->leave ? 0 : meta_apply(k->worker, &m, e, err);
}

/* The last level is done: its parent knows its entry. */
static int leave(struct walk *k, struct err *err)
{
	struct level *l = &k->levels[k->depth - 1];
	struct level *up = l - 1;
	struct tree_entry e;
	struct tree_iter it;
	struct err why;
	int rc;

	rc = reopen_above(k, err);
	if (rc)
		return rc;
	tree_iter_init(&it, k->worker->restore->src, &up->top);
	rc = tree_iter_seek_ordinal(&it, up->next - 1, &why);
	if (!rc && tree_iter_next(&it, &e, NULL, &why) == 1) {
		rc = apply(k, l, &e, &why);
		if (rc)
			restore_failed(k->worker->restore, "", e.name,
			    e.name_len, &why);
	}
	tree_iter_fini(&it);
	io_close(l->fd);
	k->depth--;
	return 0;
}

/* Opens the directory `e` of the last level, if it is to be entered. */
static int enter(struct walk *k, const struct tree_entry *e,
    uint64_t number, struct err *err)
{
	const struct level *l = &k->levels[k->depth - 1];
	struct restore *r = k->worker->restore;
	char name[TREE_NAME_MAX + 1];
	struct err why;
	int fd;

	if (has_note(k, number, NOTE_SKIP))
		return 0;
	memcpy(name, e->name, e->name_len);
	name[e->name_len] = 0;
	fd = openat(l->fd, name,
	    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		err_sys(&why, "open directory");
		restore_failed(r, "", name, e->name_len, &why);
		return 0;
	}
	return push(k, fd, e, number, err);
}

/* Goes down into the next directory of the last level, or leaves it. */
static int step(struct walk *k, struct err *err)
{
	struct level *l = &k->levels[k->depth - 1];
	size_t depth = k->depth;
	struct tree_entry e;
	struct tree_iter it;
	uint64_t before;
	int rc = 0;

	if (l->subdirs == 0)
		return depth == 1 ? 0 : leave(k, err);
	tree_iter_init(&it, k->worker->restore->src, &l->top);
	rc = tree_iter_seek_ordinal(&it, l->next, err);
	while (!rc && k->depth == depth && k->levels[depth - 1].subdirs > 0) {
		l = &k->levels[depth - 1];
		rc = tree_iter_next(&it, &e, &before, err);
		if (rc != 1) {
			/* Said already when the folder was to be filled. */
			l->subdirs = 0;
			rc = 0;
			break;
		}
		rc = 0;
		l->next++;
		if (!tree_is_dir(&e))
			continue;
		l->subdirs--;
		rc = enter(k, &e, l->number + 1 + before, err);
	}
	tree_iter_fini(&it);
	return rc;
}

int dirs_finish(struct worker *w, const struct folder *top,
    const struct tree_entry *entry, bool top_too, struct err *err)
{
	struct restore *r = w->restore;
	struct walk k = { .worker = w };
	int fd = -1;
	int rc;

	rc = buf_check(&r->noted, err);
	if (rc)
		return rc;
	k.noted = (const uint64_t *)(const void *)r->noted.data;
	k.n_noted = r->noted.len / sizeof(uint64_t);
	if (k.n_noted)
		qsort(r->noted.data, k.n_noted, sizeof(uint64_t), note_cmp);

	fd = openat(top->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", top->path);
	rc = push(&k, fd, entry, top->number, err);
	while (!rc && (k.depth > 1 || k.levels[0].subdirs > 0)) {
		rc = step(&k, err);
		if (!rc && restore_stopping(r))
			rc = err_set(err, ERR_STOPPED, "stopped");
	}
	if (!rc && top_too)
		rc = apply(&k, &k.levels[0], entry, err);

	while (k.depth > 0)
		io_close(k.levels[--k.depth].fd);
	free(k.levels);
	return rc;
}
