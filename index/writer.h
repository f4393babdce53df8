/*
 * writer -- one session of one resource: new chunks in, a snapshot out.
 *
 * The order on disk is fixed here and nowhere else: blocks, packs (fsync,
 * rename, directory fsync), pack rows, root record, and the snapshot row whose
 * transaction is the one commit point.  A writer that dies at any moment leaves
 * every committed snapshot as it was, and its sealed packs for the next one.
 *
 * A chunk counts as present only when its pack is pinned for this session; the
 * packs of the resource's last snapshot are pinned at the beginning, others at
 * the first hit.
 *
 * Memory: ids of chunks in packs not yet sealed (some 32 bytes each).
 *
 * Threads: claim, put_batch, put and the sink take any threads at once; begin,
 * commit and abort are for one thread when no other is inside.
 */
#ifndef INDEX_WRITER_H
#define INDEX_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/block.h"
#include "index/chunks.h"
#include "index/pack.h"
#include "index/root.h"
#include "index/snapshot.h"
#include "index/store.h"

struct writer;

struct writer_options {
	bool no_read_back; /* trust the compressor */
};

/*
 * Begins a session.  Makes the resource when it is new.  ERR_BUSY when another
 * session of this resource is at work; ERR_INVALID for a bad name, or one above
 * or beneath another resource.  options may be NULL.
 */
int writer_begin(struct writer **out, struct store *store,
    const char *resource, const struct writer_options *options,
    struct err *err);

/* The resource's last snapshot, or NULL; borrowed, lives with the writer. */
const struct snapshot *writer_last(const struct writer *w);

/*
 * Asks for the right to store a chunk.  *is_new true: it is nowhere, and the
 * caller must bring it in a batch of this session.  False: it is present or
 * another thread brings it.
 */
int writer_claim(struct writer *w, const struct id *id, bool *is_new,
    struct err *err);

/*
 * Compresses the batch with the caller's codec, appends the block to the open
 * pack of this kind, seals the pack when it is full.  Holds no lock while
 * compressing or writing.  The batch is the caller's again afterwards.
 */
int writer_put_batch(struct writer *w, enum pack_kind kind,
    struct block_codec *codec, const struct batch *batch, struct err *err);

/*
 * As writer_put_batch; *refused tells that the bases which the batch names were
 * read and tried, and that the block is better off without.  A base that cannot
 * be read, or whose block is as deep as the store allows, is left out in
 * silence.  writer_put_batch uses bases too, and does not tell.
 */
int writer_put_delta(struct writer *w, enum pack_kind kind,
    struct block_codec *codec, const struct batch *batch, bool *refused,
    struct err *err);

/* Names, claims and gathers meta chunks (kinds other than ID_DATA). */
int writer_put(struct writer *w, enum id_kind kind, const uint8_t *data,
    size_t len, struct id *out, struct err *err);

/* writer_put as a sink; borrowed, lives with the writer. */
const struct chunk_sink *writer_sink(struct writer *w);

/* Bytes added to packs so far. */
uint64_t writer_added(const struct writer *w);

/*
 * Seals all packs, writes the root record, commits.  draft brings time, zone,
 * counts, top, links, names, sources and host; the writer fills in the rest
 * (uuid, id, serial, session, prev, resource, packs, n_added, end_ns).  *id
 * gets the snapshot's id.  After a success the snapshot is durable; after a
 * failure there is none.  The writer is to be freed with writer_end either way.
 */
int writer_commit(struct writer *w, const struct root *draft, struct id *id,
    struct err *err);

/*
 * Ends the session.  Without a commit its sealed packs stay for the next
 * session and its unsealed ones are removed.  Accepts NULL.
 */
void writer_end(struct writer *w);

#endif
