/*
 * chunks_private -- getting a chunk that must be there.
 *
 * Threads: as chunks.h.
 */
#ifndef INDEX_CHUNKS_PRIVATE_H
#define INDEX_CHUNKS_PRIVATE_H

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/chunks.h"

/*
 * chunk_get for an id that stored bytes name.  Its absence is damage and not an
 * answer: passed on as ERR_NOT_FOUND it would look like a name that is not in
 * the directory.
 */
static inline int chunk_need(const struct chunk_source *src, enum id_kind kind,
    const struct id *id, struct chunk *out, struct err *err)
{
	int rc = chunk_get(src, kind, id, out, err);

	if (rc == ERR_NOT_FOUND)
		rc = err_set(err, ERR_CORRUPT, "it is missing");
	return rc;
}

#endif
