/*
 * rope -- the content of a file: nothing, one chunk, or a tree of chunk lists.
 *
 * Offsets are cumulative within each node, so a read at any offset of a
 * terabyte touches one node a level, and an insertion near the front of a file
 * leaves the nodes behind it as they were.  FORMAT.md, section 7.
 *
 * Threads: a writer belongs to one thread, a cursor too.
 */
#ifndef INDEX_ROPE_H
#define INDEX_ROPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/chunks.h"
#include "index/config.h"

enum content_kind {
	CONTENT_NONE = 0,
	CONTENT_CHUNK = 1,
	CONTENT_ROPE = 2,
};

/* Where some bytes are.  size is 0 exactly when kind is CONTENT_NONE. */
struct content {
	enum content_kind kind;
	uint64_t size;
	struct id id;
};

#define CONTENT_SIZE 32

void content_encode(const struct content *c, uint8_t out[CONTENT_SIZE]);
int content_decode(struct content *out, const uint8_t data[CONTENT_SIZE],
    struct err *err);

struct rope_writer;

int rope_writer_new(struct rope_writer **out, const struct page_params *params,
    const struct chunk_sink *sink, struct err *err);
void rope_writer_free(struct rope_writer *w);

/*
 * The next len > 0 bytes are this chunk, or a hole when id is NULL.
 * ERR_INVALID for an empty piece, a zero id, a chunk above CHUNK_MAX, or a
 * content above 2^63 - 1 bytes; the piece is then left out.
 */
int rope_writer_add(struct rope_writer *w, const struct id *id, uint64_t len,
    struct err *err);

/*
 * Ends the content; the writer is then ready for the next one, after a failure
 * too.  A single chunk needs no list; adjacent holes become one.  Fails when
 * the sink failed in an earlier rope_writer_add.
 */
int rope_writer_finish(struct rope_writer *w, struct content *out,
    struct err *err);

/* One piece of a content. */
struct rope_piece {
	uint64_t offset; /* in the content, of its first byte */
	uint64_t len;
	struct id id;    /* zero for a hole */
};

#define ROPE_LEVELS_MAX 8

/* One list node on a cursor's way. */
struct rope_level {
	struct chunk node;
	uint64_t start; /* in the content, of the node's first byte */
	uint64_t end;   /* just past its last */
	uint32_t count; /* entries */
	uint32_t at;    /* the entry found last */
};

/*
 * Remembers the way to its last piece: going on from there is cheap.  After a
 * failure it may be used again.
 */
struct rope_cursor {
	const struct chunk_source *src;
	struct content content;
	int depth;  /* nodes held; 0 before the first */
	int height; /* level of the top node */
	struct rope_level level[ROPE_LEVELS_MAX]; /* 0 is the top */
};

void rope_cursor_init(struct rope_cursor *cur, const struct chunk_source *src,
    const struct content *content);
void rope_cursor_fini(struct rope_cursor *cur);

/*
 * Finds the piece that holds the byte at `offset`.  Returns 1, 0 when offset is
 * at or past the end, or a negative code; a missing node is ERR_CORRUPT.
 */
int rope_cursor_seek(struct rope_cursor *cur, uint64_t offset,
    struct rope_piece *out, struct err *err);

/*
 * Copies up to len bytes from `offset`, holes as zeros, through chunks of this
 * kind (ID_DATA or ID_META).  *got is short only at the end.
 */
int rope_read(struct rope_cursor *cur, enum id_kind kind, uint64_t offset,
    void *buf, size_t len, size_t *got, struct err *err);

#endif
