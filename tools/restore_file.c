#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/io.h"
#include "tools/restore_private.h"

/* ---- Names ---- */

void made_init(struct made *m, struct folder *f, const struct tree_entry *e)
{
	m->folder = f;
	m->fd = -1;
	m->path_only = false;
	m->temporary = false;
	m->mode = 0;
	m->given = OWNER_UNKNOWN;
	memcpy(m->name, e->name, e->name_len);
	m->name[e->name_len] = 0;
}

void made_tmp(struct restore *r, struct made *m)
{
	unsigned serial = atomic_fetch_add(&r->tmp_serial, 1);

	snprintf(m->tmp, sizeof(m->tmp), ".ieri-%ld-%u", (long)getpid(),
	    serial);
	m->temporary = true;
}

int made_place(struct made *m, struct err *err)
{
	int dir = m->folder->fd;

	if (!m->temporary)
		return 0;
	if (renameat(dir, m->tmp, dir, m->name) < 0) {
		if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST)
			return err_set(err, ERR_EXISTS,
			    "a directory is in the way");
		return err_sys(err, "rename");
	}
	/* Two names of one file stay two: rename then does nothing. */
	(void)unlinkat(dir, m->tmp, 0);
	m->temporary = false;
	return 0;
}

void made_drop(struct made *m, bool remove)
{
	/* Whoever took the name away in the meantime did our work. */
	if (remove)
		(void)unlinkat(m->folder->fd, m->temporary ? m->tmp : m->name,
		    0);
	io_close(m->fd);
	m->fd = -1;
}

/* Returns 0, 1 when the name is there and is kept, or a negative code. */
static int create(struct restore *r, struct made *m, struct err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int dir = m->folder->fd;

	m->fd = openat(dir, m->name, flags, m->mode);
	if (m->fd < 0 && errno == EEXIST) {
		if (!r->options.replace)
			return 1;
		made_tmp(r, m);
		m->fd = openat(dir, m->tmp, flags, m->mode);
	}
	if (m->fd < 0)
		return err_sys(err, "create");
	return 0;
}

/* ---- Content ---- */

static int write_piece(struct restore *r, int fd,
    const struct rope_piece *piece, struct err *err)
{
	struct chunk chunk = { 0 };
	int rc;

	rc = chunk_get(r->src, ID_DATA, &piece->id, &chunk, err);
	if (rc)
		return rc;
	if (chunk.len != piece->len)
		rc = err_set(err, ERR_CORRUPT,
		    "a piece has another length than its list says");
	else
		rc = io_pwrite_full(fd, chunk.data, chunk.len, piece->offset,
		    err);
	chunk_release(r->src, &chunk);
	return rc;
}

/*
 * Writes the pieces that begin in [from, to); *end gets where the last written
 * one ended.  Holes are left out.
 */
static int write_pieces(struct restore *r, int fd,
    const struct content *content, uint64_t from, uint64_t to, uint64_t *end,
    struct err *err)
{
	struct rope_cursor cursor;
	struct rope_piece piece;
	uint64_t offset = from;
	int rc;

	*end = 0;
	rope_cursor_init(&cursor, r->src, content);
	while ((rc = rope_cursor_seek(&cursor, offset, &piece, err)) == 1) {
		rc = 0;
		if (piece.offset >= to)
			break;
		offset = piece.offset + piece.len;
		if (piece.offset < from || id_is_zero(&piece.id))
			continue;
		if (restore_stopping(r)) {
			rc = err_set(err, ERR_STOPPED, "stopped");
			break;
		}
		rc = write_piece(r, fd, &piece, err);
		if (rc)
			break;
		*end = offset;
	}
	rope_cursor_fini(&cursor);
	return rc;
}

static int set_size(int fd, uint64_t size, struct err *err)
{
	if (ftruncate(fd, (off_t)size) < 0)
		return err_sys(err, "set size");
	return 0;
}

/* ---- Finishing ---- */

/* After the content: all else, the final name, the counts. */
static int finish(struct worker *w, struct made *m,
    const struct tree_entry *e, uint64_t group, struct err *err)
{
	struct restore *r = w->restore;
	int rc;

	rc = meta_apply(w, m, e, err);
	if (rc)
		return rc;
	rc = made_place(m, err);
	if (rc)
		return rc;
	if (group != NO_GROUP)
		rc = links_made(r, group, m->fd, err);
	if (rc)
		return rc;

	/* Some file systems say only now that the bytes did not fit. */
	rc = close(m->fd);
	m->fd = -1;
	if (rc < 0 && errno != EINTR)
		return err_sys(err, "close");
	atomic_fetch_add_explicit(&r->files, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->bytes, e->size, memory_order_relaxed);
	return 0;
}

/* ---- Large files: parts for several threads ---- */

struct big {
	struct work work; /* first: a struct work is cast to its big */
	struct made made;
	struct tree_entry entry; /* its name is made.name */
	uint64_t group;
	atomic_bool failed;
	atomic_uint_fast64_t written; /* parts done */
};

static void big_run(struct worker *w, struct work *work, unsigned phase,
    uint64_t at)
{
	struct big *b = (struct big *)(void *)work;
	struct content content = tree_content(&b->entry);
	struct err err;
	uint64_t end;

	(void)phase;
	if (atomic_load(&b->failed))
		return;
	if (write_pieces(w->restore, b->made.fd, &content, at,
	    at + PART_BYTES, &end, &err)) {
		/* Of several failures the first is named. */
		if (!atomic_exchange(&b->failed, true))
			restore_failed(w->restore, b->made.folder->path,
			    b->made.name, b->entry.name_len, &err);
		return;
	}
	atomic_fetch_add(&b->written, 1);
	if (w->restore->progress)
		progress_add(w->restore->progress, 0,
		    b->entry.size - at < PART_BYTES ? b->entry.size - at :
		    PART_BYTES);
}

/* Nobody is at work on it any more: it is whole, or it goes. */
static void big_drop(struct worker *w, struct work *work)
{
	struct big *b = (struct big *)(void *)work;
	uint64_t parts = (b->entry.size + PART_BYTES - 1) / PART_BYTES;
	bool whole = !atomic_load(&b->failed) &&
	    atomic_load(&b->written) == parts;
	struct err err;

	if (whole && finish(w, &b->made, &b->entry, b->group, &err)) {
		restore_failed(w->restore, b->made.folder->path, b->made.name,
		    b->entry.name_len, &err);
		whole = false;
	}
	made_drop(&b->made, !whole);
	queue_unref(w, &b->made.folder->work);
	free(b);
}

/* Takes over *m on success. */
static int begin_big(struct worker *w, struct made *m,
    const struct tree_entry *e, uint64_t group, struct err *err)
{
	struct restore *r = w->restore;
	struct big *b;
	int rc;

	rc = set_size(m->fd, e->size, err);
	if (rc)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(err, ERR_NOMEM, "large file");
	b->made = *m;
	b->entry = *e;
	b->entry.name = b->made.name;
	b->entry.target = NULL;
	b->group = group;
	atomic_init(&b->failed, false);
	atomic_init(&b->written, 0);
	b->work.run = big_run;
	b->work.drop = big_drop;
	b->work.refs = 1;
	b->work.phases = 1;
	b->work.step = PART_BYTES;
	b->work.end = e->size;
	queue_ref(&r->queue, &m->folder->work);
	queue_push(&r->queue, &b->work);
	return 0;
}

/* ---- One file ---- */

static int write_whole(struct worker *w, struct made *m,
    const struct tree_entry *e, struct err *err)
{
	struct content content = tree_content(e);
	uint64_t end;
	int rc;

	rc = write_pieces(w->restore, m->fd, &content, 0, UINT64_MAX, &end,
	    err);
	if (!rc && end < e->size)
		rc = set_size(m->fd, e->size, err);
	return rc;
}

int restore_file(struct worker *w, struct folder *f,
    const struct tree_entry *e, uint64_t group, struct err *err)
{
	struct restore *r = w->restore;
	struct made m;
	int rc;

	if (e->flags & TREE_UNREADABLE)
		return err_set(err, ERR_NOT_FOUND,
		    "its content could not be read on that day");

	made_init(&m, f, e);
	m.mode = meta_create_mode(f, e);
	rc = create(r, &m, err);
	if (rc)
		return rc;
	if (e->size > BIG_FILE && r->options.threads > 1) {
		rc = begin_big(w, &m, e, group, err);
		if (!rc)
			return 0;
	}
	if (!rc)
		rc = write_whole(w, &m, e, err);
	if (!rc)
		rc = finish(w, &m, e, group, err);
	made_drop(&m, rc != 0);
	if (!rc && r->progress)
		progress_add(r->progress, 1, e->size);
	return rc;
}
