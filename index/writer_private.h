/*
 * writer_private -- what the parts of a session share.
 *
 * writer.c begins and ends it, writer_put.c knows claims and fills packs,
 * writer_meta.c gathers meta chunks, writer_commit.c makes the snapshot.
 */
#ifndef INDEX_WRITER_PRIVATE_H
#define INDEX_WRITER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/block.h"
#include "index/claims.h"
#include "index/pack.h"
#include "index/pinned.h"
#include "index/root.h"
#include "index/store_private.h"
#include "index/writer.h"

#define N_LANES 2 /* enum pack_kind */

/* A pack that takes blocks. */
struct open_pack {
	struct pack_writer *writer;
	unsigned users; /* threads that are adding to it; its lane's lock */
};

/* The packs of one kind: one is open, full ones are sealed beside it. */
struct lane {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t left;  /* a user left some pack of this lane */
	struct open_pack *current;
	uint32_t spare_no; /* a number taken ahead, or 0 */
};

/* A batch of meta chunks that waits for its next use. */
struct spare_batch {
	struct batch batch;
	struct spare_batch *next;
};

struct writer {
	struct store *store;
	bool read_back;
	char *resource;
	uint32_t resource_no;
	uint64_t session; /* 0 before the row is committed */
	int store_lock;
	int session_lock;
	struct snapshot *last;
	uint8_t prev[ROOT_DIGEST_LEN];

	struct claims *claims;
	struct pinned *pinned;
	pthread_mutex_t pin_lock; /* one pin transaction at a time */
	struct lane lanes[N_LANES];
	atomic_uint_fast64_t added;
	atomic_uint n_files;  /* names in tmp/ */
	atomic_uint n_sealed;

	pthread_mutex_t meta_lock; /* guards the two below */
	struct spare_batch *meta;  /* being filled; NULL before the first */
	struct spare_batch *spare;
	struct chunk_sink sink;

	pthread_mutex_t failure_lock; /* guards failure */
	struct err failure;           /* the first; only when failed is set */
	atomic_bool failed;

	bool committed;
	/* Something of ours lies on disk that only recovery can put right, so
	 * the session's row must stay for it. */
	atomic_bool leave_row;
};

/* The first failure of this session, or 0. */
int writer_check(struct writer *w, struct err *err);

/* Makes rc, unless it is 0, the end of the session.  Returns rc. */
int writer_fail(struct writer *w, int rc, const struct err *err);

/* Commits when rc is 0, aborts otherwise; the first failure. */
int writer_tx_end(struct writer *w, int rc, struct err *err);

/* Encodes and adds what waits for a full batch of meta chunks. */
int writer_flush_meta(struct writer *w, struct err *err);

/* Seals the open pack of this kind, if there is one.  No other thread is in. */
int writer_finish_lane(struct writer *w, enum pack_kind kind,
    struct err *err);

/* Frees the open packs; their temporary files go. */
void writer_drop_packs(struct writer *w);

/* writer_claim and writer_put_batch without a memory for failures. */
int writer_look(struct writer *w, const struct id *id, bool *is_new,
    struct err *err);
int writer_add_batch(struct writer *w, enum pack_kind kind,
    struct block_codec *codec, const struct batch *batch, struct err *err);

/* Sets up the sink; frees the batches. */
void writer_meta_init(struct writer *w);
void writer_drop_meta(struct writer *w);

#endif
