#include "tools/ingest_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "index/io.h"

#define ATTEMPTS 3
#define STREAM_SIZE (4u << 20)

/* Small enough to be cut and named while still in the processor's cache. */
#define READ_SIZE (256u << 10)

/* What is being read.  `got` counts bytes handed on, holes not. */
struct reading {
	struct worker *w;
	int fd;
	uint64_t got;
};

/*
 * The functions below return 0, a negative code when the store failed, or a
 * positive errno when the source did.
 */

static int rope_add(struct reading *r, const uint8_t *data, size_t len,
    struct err *err)
{
	struct id id;

	if (ingest_chunk(r->w, data, len, &id, err))
		return err->code;
	return rope_writer_add(r->w->rope, &id, len, err);
}

static int hole_add(struct reading *r, uint64_t len, struct err *err)
{
	follow_hole(r->w->follow, len);
	return rope_writer_add(r->w->rope, NULL, len, err);
}

/* A file that fits the buffer: most files, so nothing is done in vain. */
static int small_put(struct reading *r, size_t len, struct content *out,
    struct err *err)
{
	const struct config *config = r->w->in->config;
	const uint8_t *data = r->w->small;
	int rc = 0;

	if (len == 0)
		return 0;
	if (len <= config->chunk_min) {
		out->kind = CONTENT_CHUNK;
		out->size = len;
		return ingest_chunk(r->w, data, len, &out->id, err);
	}
	for (size_t at = 0, n; at < len && !rc; at += n) {
		n = cut_next(&config->cuts, data + at, len - at);
		rc = rope_add(r, data + at, n, err);
	}
	return rc ? rc : rope_writer_finish(r->w->rope, out, err);
}

/* Reads at most `most` bytes; a file of no size is read to see its end. */
static int small_read(struct reading *r, size_t size, size_t most, size_t *len)
{
	*len = 0;
	while (*len < most) {
		ssize_t n = pread(r->fd, r->w->small + *len, most - *len,
		    (off_t)*len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		*len += (size_t)n;
		if (n == 0 || *len == size)
			break;
	}
	return 0;
}

static int stream_drain(struct reading *r, struct err *err)
{
	const uint8_t *data;
	size_t len;
	int rc = 0;

	while (!rc && stream_next(r->w->stream, &data, &len))
		rc = rope_add(r, data, len, err);
	return rc;
}

/* Cuts the bytes from start to end, or to the end of the file. */
static int segment_read(struct reading *r, uint64_t start, uint64_t end,
    struct err *err)
{
	struct stream *s = r->w->stream;
	bool done = false;
	int rc = 0;

	stream_reset(s);
	while (!done && !rc) {
		size_t room;
		uint8_t *to = stream_room(s, &room);
		ssize_t n;

		if (room > READ_SIZE)
			room = READ_SIZE;
		if (room > end - start)
			room = (size_t)(end - start);
		n = room ? pread(r->fd, to, room, (off_t)start) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		done = n == 0;
		if (done)
			stream_end(s);
		else
			stream_fed(s, (size_t)n);
		start += (uint64_t)n;
		r->got += (uint64_t)n;
		ingest_tell_bytes(r->w, (uint64_t)n);
		rc = stream_drain(r, err);
		if (!rc)
			rc = ingest_check(r->w, err);
	}
	return rc;
}

/* A file with holes: each stretch of data is a stream of its own. */
static int sparse_read(struct reading *r, uint64_t size, struct err *err)
{
	uint64_t at = 0;
	int rc = 0;

	while (at < size && !rc) {
		off_t data = lseek(r->fd, (off_t)at, SEEK_DATA);
		off_t hole;

		if (data < 0 && errno != ENXIO)
			return errno;
		if (data < 0 || (uint64_t)data > size)
			data = (off_t)size;
		if ((uint64_t)data > at)
			rc = hole_add(r, (uint64_t)data - at, err);
		at = (uint64_t)data;
		if (rc || at == size)
			break;

		hole = lseek(r->fd, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole > size)
			hole = (off_t)size;
		/* It shrank since it was asked: the check afterwards tells. */
		if (hole <= data)
			break;
		rc = segment_read(r, at, (uint64_t)hole, err);
		at = (uint64_t)hole;
	}
	return rc;
}

static int large_read(struct reading *r, const struct stat *st, bool sparse,
    struct content *out, struct err *err)
{
	struct worker *w = r->w;
	uint64_t size = (uint64_t)st->st_size;
	int rc;

	if (!w->stream) {
		rc = stream_new(&w->stream, &w->in->config->cuts, STREAM_SIZE,
		    err);
		if (rc)
			return rc;
	}
	/* Advice only. */
	(void)posix_fadvise(r->fd, 0, 0, POSIX_FADV_SEQUENTIAL);

	/* What has no size but bytes is a window of the kernel's. */
	if (sparse)
		rc = sparse_read(r, size, err);
	else
		rc = segment_read(r, 0, size ? size : UINT64_MAX, err);
	return rc ? rc : rope_writer_finish(w->rope, out, err);
}

/* Holes are believed only where blocks are missing. */
static bool has_holes(int fd, const struct stat *st)
{
	off_t hole;

	if (st->st_blocks * 512 >= st->st_size)
		return false;
	hole = lseek(fd, 0, SEEK_HOLE);
	return hole >= 0 && hole < st->st_size;
}

static void forget_rope(struct worker *w, struct err *err)
{
	rope_writer_free(w->rope);
	w->rope = NULL;
	/* A failure here is met again, and reported, by whoever needs one. */
	(void)rope_writer_new(&w->rope, &w->in->config->pages,
	    writer_sink(w->in->writer), err);
}

/* What the last snapshot has of the file, for its blocks to lean on. */
static void old_begin(struct worker *w, const struct tree_entry *old)
{
	struct content content = { .kind = CONTENT_NONE };

	if (old && !w->in->options->no_delta && S_ISREG(old->mode) &&
	    (old->flags & (TREE_CHUNK | TREE_ROPE))) {
		content.kind = old->flags & TREE_CHUNK ? CONTENT_CHUNK
		                                       : CONTENT_ROPE;
		content.size = old->size;
		content.id = old->content;
	}
	follow_begin(w->follow, &content);
}

static int content_read(struct worker *w, int fd, const struct stat *st,
    const struct tree_entry *old, struct tree_entry *e, struct err *err)
{
	struct reading r = { .w = w, .fd = fd };
	struct content content = { .kind = CONTENT_NONE };
	size_t max = w->in->config->chunk_max;
	bool sparse = has_holes(fd, st);
	size_t len;
	int rc;

	if (!w->rope)
		return err_set(err, ERR_NOMEM, "list of chunks");
	old_begin(w, old);
	if (sparse || (uint64_t)st->st_size > max) {
		rc = large_read(&r, st, sparse, &content, err);
	} else {
		rc = small_read(&r, (size_t)st->st_size,
		    st->st_size ? (size_t)st->st_size : max + 1, &len);
		if (!rc && len > max)
			rc = large_read(&r, st, false, &content, err);
		else if (!rc)
			rc = small_put(&r, len, &content, err);
	}
	follow_end(w->follow);
	if (rc) {
		struct err unused;

		forget_rope(w, &unused);
		return rc;
	}

	e->size = content.size;
	e->content = content.id;
	if (content.kind == CONTENT_CHUNK)
		e->flags |= TREE_CHUNK;
	if (content.kind == CONTENT_ROPE)
		e->flags |= TREE_ROPE;
	if (sparse && r.got < content.size) {
		e->flags |= TREE_SPARSE;
		e->data = r.got;
	}
	return 0;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_mode == b->st_mode && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Everything about the file as it is now. */
static int attempt(struct worker *w, const struct dir *d, const char *name,
    int fd, const struct tree_entry *old, const struct stat *st,
    struct tree_entry *e, struct err *err)
{
	struct content set;
	bool racy = capture_racy(st, io_now_ns());
	int xattr_rc;
	int rc;

	capture_stat(e, st, e->dev);
	e->data = 0;
	e->content = (struct id){ { 0 } };
	if (racy)
		e->flags |= TREE_RACY;
	xattr_rc = xattr_capture(w->xattrs, fd, NULL, &set, err);
	if (xattr_rc < 0)
		return xattr_rc;
	capture_set_xattrs(e, &set);
	rc = content_read(w, fd, st, old, e, err);
	if (rc == 0 && xattr_rc > 0) {
		ingest_fault(w, d, name, "extended attributes: %s",
		    strerror(xattr_rc));
		e->flags |= TREE_RACY;
	}
	return rc;
}

static void unreadable(struct worker *w, const struct dir *d, const char *name,
    struct tree_entry *e, int sys)
{
	ingest_fault(w, d, name, "%s", strerror(sys));
	e->flags &= ~(uint32_t)(TREE_CHUNK | TREE_ROPE | TREE_SPARSE);
	e->flags |= TREE_UNREADABLE;
}

/* What can be had of a file that cannot be opened. */
static int closed_file(struct worker *w, const struct dir *d, const char *name,
    struct tree_entry *e, int sys, struct err *err)
{
	struct content set;
	int rc;

	if (sys == ENOENT || sys == ELOOP || sys == ENXIO || sys == ENOTDIR) {
		ingest_fault(w, d, name, "vanished before it was read");
		return 0;
	}
	rc = xattr_capture(w->xattrs, d->fd, name, &set, err);
	if (rc < 0)
		return rc;
	capture_set_xattrs(e, &set);
	unreadable(w, d, name, e, sys);
	return 1;
}

/*
 * The state before and after reading must be one.  The first attempt compares
 * with what the walk saw by name, so a file put in its place is noticed too.
 */
static int read_open(struct worker *w, const struct dir *d, const char *name,
    int fd, const struct tree_entry *old, struct stat *st,
    struct tree_entry *e, struct err *err)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		struct stat after;
		int rc = attempt(w, d, name, fd, old, st, e, err);

		if (rc < 0)
			return rc;
		if (rc > 0) {
			unreadable(w, d, name, e, rc);
			return 1;
		}
		if (fstat(fd, &after) < 0) {
			unreadable(w, d, name, e, errno);
			return 1;
		}
		if (same_state(st, &after))
			return 1;
		if (!S_ISREG(after.st_mode)) {
			ingest_fault(w, d, name, "replaced while being read");
			return 0;
		}
		*st = after;
	}
	ingest_fault(w, d, name, "changed while being read");
	e->flags |= TREE_RACY;
	return 1;
}

int ingest_file(struct worker *w, const struct dir *d, const char *name,
    const struct tree_entry *old, struct stat *st, struct tree_entry *e,
    struct err *err)
{
	int fd = walk_open_file(d->fd, name);
	int rc;

	if (fd < 0)
		return closed_file(w, d, name, e, errno, err);
	rc = read_open(w, d, name, fd, old, st, e, err);
	io_close(fd);
	return rc;
}
