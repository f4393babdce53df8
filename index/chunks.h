/*
 * chunks -- where trees, ropes and blobs get chunks from and put them to.
 *
 * Two small interfaces, so that the modules that give chunks a meaning know no
 * packs and can be proved over a plain map in memory.  store.h provides the
 * source, writer.h the sink.
 *
 * Threads: a source and a sink may be used by any threads at once.
 */
#ifndef INDEX_CHUNKS_H
#define INDEX_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"

/* The most bytes a chunk may have: its length is stored in 24 bits. */
#define CHUNK_MAX ((1u << 24) - 1)

/*
 * Bytes of one chunk, verified against its id, borrowed until chunk_release.
 * An all-zero struct is a valid, empty hold.
 */
struct chunk {
	const uint8_t *data;
	size_t len;
	void *hold; /* the source's own: what keeps data alive */
};

struct chunk_source {
	void *ctx;
	/* ERR_NOT_FOUND when the id is unknown, ERR_CORRUPT when damaged. */
	int (*get)(void *ctx, enum id_kind kind, const struct id *id,
	    struct chunk *out, struct err *err);
	void (*release)(void *ctx, struct chunk *c);
};

struct chunk_sink {
	void *ctx;
	/* Names and keeps data[0, len); idempotent by content. */
	int (*put)(void *ctx, enum id_kind kind, const uint8_t *data,
	    size_t len, struct id *out, struct err *err);
};

static inline int chunk_get(const struct chunk_source *src, enum id_kind kind,
    const struct id *id, struct chunk *out, struct err *err)
{
	return src->get(src->ctx, kind, id, out, err);
}

/* Leaves *c empty; releasing an empty chunk does nothing. */
static inline void chunk_release(const struct chunk_source *src,
    struct chunk *c)
{
	if (c->hold)
		src->release(src->ctx, c);
	*c = (struct chunk){ 0 };
}

static inline int chunk_put(const struct chunk_sink *sink, enum id_kind kind,
    const uint8_t *data, size_t len, struct id *out, struct err *err)
{
	return sink->put(sink->ctx, kind, data, len, out, err);
}

#endif
