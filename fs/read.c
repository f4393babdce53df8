#include "fs/read.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/ops.h"
#include "fs/reply.h"
#include "index/rope.h"

/*
 * Pieces handed over without a copy.  Each holds a decoded block, and what all
 * threads hold is not bound by the cache; a request that has more pieces (tiny
 * ones, then) is copied together.
 */
#define PIECES_MAX 24

/* Pieces of a rope looked at between two glances at an interrupt. */
#define SEEK_PATIENCE 4096u

/* Never written: the kernel backs all of it with one page. */
static uint8_t zeros[OPS_READ_MAX];

struct pieces {
	struct iovec iov[PIECES_MAX];
	struct chunk held[PIECES_MAX];
	int n;
};

static void pieces_fini(struct pieces *p, const struct chunk_source *src)
{
	for (int i = 0; i < p->n; i++)
		chunk_release(src, &p->held[i]);
}

/*
 * Gathers [offset, offset + len) of the cursor's content.  Returns the bytes
 * gathered, fewer when the pieces are too many, or a negative code.
 */
static ssize_t gather(struct rope_cursor *cur, uint64_t offset, size_t len,
    struct pieces *out, struct err *err)
{
	size_t done = 0;

	while (done < len && out->n < PIECES_MAX) {
		struct chunk *chunk = &out->held[out->n];
		struct rope_piece piece;
		uint64_t skip;
		size_t take;
		int rc;

		rc = rope_cursor_seek(cur, offset + done, &piece, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return err_set(err, ERR_CORRUPT,
			    "content ends before its size");
		skip = offset + done - piece.offset;
		take = len - done;
		if (take > piece.len - skip)
			take = (size_t)(piece.len - skip);
		*chunk = (struct chunk){ 0 };
		if (id_is_zero(&piece.id)) {
			out->iov[out->n].iov_base = zeros;
		} else {
			rc = chunk_get(cur->src, ID_DATA, &piece.id, chunk,
			    err);
			if (rc)
				return rc;
			out->iov[out->n].iov_base =
			    (void *)(uintptr_t)(chunk->data + skip);
		}
		out->iov[out->n++].iov_len = take;
		if (chunk->hold && chunk->len != piece.len)
			return err_set(err, ERR_CORRUPT,
			    "a chunk has %zu bytes, its list says %llu",
			    chunk->len, (unsigned long long)piece.len);
		done += take;
	}
	return (ssize_t)done;
}

/* The slow way, for content in many small pieces. */
static int reply_copy(fuse_req_t req, struct rope_cursor *cur, uint64_t offset,
    size_t len, struct err *err)
{
	uint8_t *copy;
	size_t got;
	int rc;

	copy = malloc(len);
	if (!copy)
		return err_set(err, ERR_NOMEM, "%zu bytes to read into", len);
	rc = rope_read(cur, ID_DATA, offset, copy, len, &got, err);
	if (!rc && got != len)
		rc = err_set(err, ERR_CORRUPT, "content ends before its size");
	if (!rc)
		fuse_reply_buf(req, (char *)copy, len);
	free(copy);
	return rc;
}

/* Replies on success only. */
static int reply_rope(fuse_req_t req, const struct chunk_source *src,
    const struct content *content, uint64_t offset, size_t len, struct err *err)
{
	struct pieces pieces;
	struct rope_cursor cur;
	ssize_t got;
	int rc = 0;

	pieces.n = 0;
	rope_cursor_init(&cur, src, content);
	got = gather(&cur, offset, len, &pieces, err);
	if (got < 0)
		rc = (int)got;
	else if ((size_t)got == len)
		fuse_reply_iov(req, pieces.iov, pieces.n);
	pieces_fini(&pieces, src);
	if (got >= 0 && (size_t)got < len)
		rc = reply_copy(req, &cur, offset, len, err);
	rope_cursor_fini(&cur);
	return rc;
}

/* Replies on success only. */
static int reply_chunk(fuse_req_t req, const struct chunk_source *src,
    const struct content *content, uint64_t offset, size_t len, struct err *err)
{
	struct chunk chunk;
	int rc;

	rc = chunk_get(src, ID_DATA, &content->id, &chunk, err);
	if (rc)
		return rc;
	if (chunk.len == content->size)
		fuse_reply_buf(req, (const char *)chunk.data + offset, len);
	else
		rc = err_set(err, ERR_CORRUPT,
		    "a chunk has %zu bytes, its file %llu", chunk.len,
		    (unsigned long long)content->size);
	chunk_release(src, &chunk);
	return rc;
}

void read_reply(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
    struct fuse_file_info *info)
{
	struct mount *m = fuse_req_userdata(req);
	uint64_t start = (uint64_t)offset;
	struct view_node node;
	struct err err;
	int rc;

	(void)info;
	if (view_get(m->view, ino, &node, &err)) {
		reply_gone(req, "read", ino, &err);
		return;
	}
	if (node.unreadable) {
		err_set(&err, ERR_NOT_FOUND,
		    "the content could not be read when it was backed up");
		reply_damage(req, "read", ino, &err);
		return;
	}
	if (size > OPS_READ_MAX)
		size = OPS_READ_MAX;
	if (start >= node.content.size)
		size = 0;
	else if (size > node.content.size - start)
		size = (size_t)(node.content.size - start);
	if (size == 0) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	if (node.content.kind == CONTENT_CHUNK)
		rc = reply_chunk(req, m->src, &node.content, start, size, &err);
	else
		rc = reply_rope(req, m->src, &node.content, start, size, &err);
	if (rc)
		reply_damage(req, "read", ino, &err);
	else if (start == 0)
		ahead_after(m, ino);
}

/* The next hole or data at or after offset; size when there is no more. */
static int rope_seek(fuse_req_t req, const struct chunk_source *src,
    const struct content *content, uint64_t offset, bool hole, uint64_t *out,
    struct err *err)
{
	struct rope_piece piece;
	struct rope_cursor cur;
	unsigned n = 0;
	int rc;

	rope_cursor_init(&cur, src, content);
	while ((rc = rope_cursor_seek(&cur, offset, &piece, err)) == 1) {
		if (id_is_zero(&piece.id) == hole)
			break;
		offset = piece.offset + piece.len;
		if (++n % SEEK_PATIENCE == 0 && fuse_req_interrupted(req)) {
			rc = err_set(err, ERR_STOPPED, "interrupted");
			break;
		}
	}
	rope_cursor_fini(&cur);
	*out = offset;
	return rc < 0 ? rc : 0;
}

void read_seek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
    struct fuse_file_info *info)
{
	struct mount *m = fuse_req_userdata(req);
	uint64_t at = (uint64_t)offset;
	struct view_node node;
	struct err err;

	(void)info;
	if (view_get(m->view, ino, &node, &err)) {
		reply_gone(req, "lseek", ino, &err);
		return;
	}
	if (offset < 0 || at >= node.size) {
		fuse_reply_err(req, ENXIO);
		return;
	}
	/* Without holes there is no need to read a long list to its end. */
	if (node.content.kind != CONTENT_ROPE ||
	    node.blocks >= node.size / 512) {
		fuse_reply_lseek(req,
		    whence == SEEK_HOLE ? (off_t)node.size : offset);
		return;
	}
	if (rope_seek(req, m->src, &node.content, at, whence == SEEK_HOLE, &at,
		&err)) {
		reply_damage(req, "lseek", ino, &err);
		return;
	}
	if (whence == SEEK_DATA && at >= node.size)
		fuse_reply_err(req, ENXIO);
	else
		fuse_reply_lseek(req, (off_t)at);
}
