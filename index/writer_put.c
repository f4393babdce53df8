#include "index/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/io.h"
#include "index/writer_private.h"

/*
 * A pack is full a little before its limits, so that the blocks which other
 * threads are adding at that moment still fit.
 */
#define BLOCKS_FULL (PACK_BLOCKS_MAX - 512)
#define CHUNKS_FULL (PACK_CHUNKS_MAX - 512 * BLOCK_CHUNKS_MAX)
#define BASES_FULL (PACK_BASES_MAX - 512 * BLOCK_BASES_MAX)

/* ---- Claims ---- */

/*
 * Makes the session rely on a pack.  The transaction reads the pack's state
 * anew, whatever any look-up said before; ERR_NOT_FOUND: it is going.  The lock
 * is held meanwhile, so that a pack is pinned by one thread only.
 */
int writer_pin_one(struct writer *w, uint32_t no, const struct id *id,
    bool *fresh, struct err *err)
{
	int rc = 0;

	*fresh = false;
	if (pinned_find(w->pinned, no, NULL))
		return 0;
	pthread_mutex_lock(&w->pin_lock);
	if (!pinned_find(w->pinned, no, NULL)) {
		rc = db_begin(w->store->db, err);
		if (!rc) {
			rc = db_pin_add(w->store->db, w->session, no, err);
			rc = writer_tx_end(w, rc, err);
		}
		if (!rc)
			rc = pinned_add(w->pinned, no, id, err);
		*fresh = rc == 0;
	}
	pthread_mutex_unlock(&w->pin_lock);
	return rc;
}

/* Whether a pack that this session may rely on holds the chunk. */
static int look_up(struct writer *w, const struct id *id, bool *present,
    struct err *err)
{
	struct store *s = w->store;
	struct refused refused = { .n = 0 };
	struct chunk_place p;
	int rc;

	*present = false;
	for (;;) {
		rc = store_locate(s, id, &refused, &p, err);
		if (rc)
			return rc == ERR_NOT_FOUND ? 0 : rc;
		rc = writer_pin(w, &p, err);
		packset_put(s->packs, p.pack);
		if (rc == 0) {
			*present = true;
			return 0;
		}
		if (rc != ERR_NOT_FOUND)
			return rc;
		refused_add(&refused, p.at.pack_no, err);
	}
}

/*
 * The claim comes before the look-up.  An id leaves the claims only when the
 * id table shows its pack; so who finds no claim finds the chunk in the table,
 * or it is nowhere.  The other order would store a chunk twice whose pack is
 * being sealed at this moment.
 */
int writer_look(struct writer *w, const struct id *id, bool *is_new,
    struct err *err)
{
	bool present;
	int rc;

	*is_new = false;
	rc = claims_add(w->claims, id, is_new, err);
	if (rc || !*is_new)
		return rc;
	rc = look_up(w, id, &present, err);
	if (rc)
		return rc;
	if (present) {
		claims_remove(w->claims, id);
		*is_new = false;
	}
	return 0;
}

int writer_claim(struct writer *w, const struct id *id, bool *is_new,
    struct err *err)
{
	int rc;

	rc = writer_check(w, err);
	if (rc)
		return rc;
	return writer_fail(w, writer_look(w, id, is_new, err), err);
}

/* ---- Packs ---- */

static void open_pack_free(struct open_pack *p)
{
	if (!p)
		return;
	pack_writer_free(p->writer);
	free(p);
}

/* A number for a pack; usually the last seal has brought one. */
static int number_take(struct writer *w, struct lane *lane, uint32_t *out,
    struct err *err)
{
	*out = lane->spare_no;
	lane->spare_no = 0;
	return *out ? 0 : db_next_pack_no(w->store->db, out, err);
}

static int open_pack_new(struct writer *w, struct lane *lane,
    enum pack_kind kind, struct open_pack **out, struct err *err)
{
	struct pack_info info = {
		.kind = kind,
		.session = w->session,
		.created_ns = io_now_ns(),
	};
	struct open_pack *p;
	char name[64];
	int rc;

	memcpy(info.uuid, w->store->config.uuid, sizeof(info.uuid));
	rc = number_take(w, lane, &info.no, err);
	if (!rc)
		rc = id_random(&info.id, sizeof(info.id), err);
	if (rc)
		return rc;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, ERR_NOMEM, "pack");
	snprintf(name, sizeof(name), "%" PRIu64 ".%u", w->session,
	    atomic_fetch_add(&w->n_files, 1));
	rc = pack_writer_new(&p->writer, w->store->dirs.tmp, name, &info, err);
	if (rc) {
		free(p);
		return rc;
	}
	*out = p;
	return 0;
}

/* The row, and the number of the pack after this one, in one transaction. */
static int pack_enter(struct writer *w, struct lane *lane,
    const struct pack_table *t, const uint8_t *table, size_t len,
    struct err *err)
{
	struct db *db = w->store->db;
	uint32_t next = 0;
	int rc;

	rc = db_begin(db, err);
	if (rc)
		return rc;
	rc = pack_row_add(db, t, w->session, table, len, err);
	if (!rc)
		rc = db_next_pack_no(db, &next, err);
	rc = writer_tx_end(w, rc, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&lane->lock);
	if (lane->spare_no == 0)
		lane->spare_no = next;
	pthread_mutex_unlock(&lane->lock);
	return 0;
}

/*
 * From the row on others may rely on the pack.  Ours counts as pinned without
 * a pin: the collector spares the packs of sessions at work.  The claims go
 * last, see writer_look.
 */
static int pack_announce(struct writer *w, struct lane *lane,
    const uint8_t *table, size_t len, struct err *err)
{
	struct pack_table t;
	struct err ignored;
	int rc;

	rc = pack_table_decode(&t, table, len, w->store->config.uuid, err);
	if (rc)
		return rc;
	rc = pack_enter(w, lane, &t, table, len, err);
	if (!rc)
		rc = pinned_add(w->pinned, t.no, &t.id, err);
	if (!rc)
		rc = idtable_refresh(w->store->ids, err);
	for (uint32_t i = 0; i < t.n_chunks && !rc; i++)
		claims_remove(w->claims, &t.chunks[i].id);
	pack_table_fini(&t);

	/* Keeps the part in memory small; skipping it is harmless. */
	if (!rc && atomic_fetch_add(&w->n_sealed, 1) % IDTABLE_LOOSE_MAX ==
	    IDTABLE_LOOSE_MAX - 1)
		(void)idtable_publish(w->store->ids, &ignored);
	return rc;
}

/*
 * Seals p and frees it.  A page of a sealed meta pack may name chunks that lie
 * in a data pack not sealed yet, and dies with it in a crash.  That is allowed,
 * because a hit on a page never stands for what the page names: every session
 * claims or writes each chunk itself, the children of a known page too.  Only
 * at the commit, when a root record will vouch for all, data goes first.
 */
static int seal(struct writer *w, struct lane *lane, struct open_pack *p,
    struct err *err)
{
	uint8_t *table = NULL;
	size_t len = 0;
	int rc;

	rc = writer_check(w, err);
	if (!rc)
		rc = pack_writer_seal(p->writer, w->store->dirs.packs, &table,
		    &len, err);
	if (!rc) {
		rc = pack_announce(w, lane, table, len, err);
		/* Under its name, but unknown to the index: recovery will
		 * take it in. */
		if (rc)
			atomic_store(&w->leave_row, true);
	}
	free(table);
	open_pack_free(p);
	return rc;
}

/*
 * Enters the open pack.  The lock is held while a new file is made: whoever
 * waits for it needs that very file.
 */
static int lane_enter(struct writer *w, enum pack_kind kind,
    struct open_pack **out, struct err *err)
{
	struct lane *lane = &w->lanes[kind];
	int rc = 0;

	pthread_mutex_lock(&lane->lock);
	if (!lane->current)
		rc = open_pack_new(w, lane, kind, &lane->current, err);
	if (!rc) {
		*out = lane->current;
		lane->current->users++;
	}
	pthread_mutex_unlock(&lane->lock);
	return rc;
}

static bool is_full(const struct writer *w, const struct pack_writer *p)
{
	return pack_writer_size(p) >= w->store->config.pack_target ||
	    pack_writer_blocks(p) >= BLOCKS_FULL ||
	    pack_writer_chunks(p) >= CHUNKS_FULL ||
	    pack_writer_bases(p) >= BASES_FULL;
}

/*
 * Leaves it again.  True: it is full, the next block goes into another, and the
 * caller is the one who has to seal it, all others being done with it.
 */
static bool lane_leave(struct writer *w, enum pack_kind kind,
    struct open_pack *p)
{
	struct lane *lane = &w->lanes[kind];
	bool mine;

	pthread_mutex_lock(&lane->lock);
	p->users--;
	pthread_cond_broadcast(&lane->left);
	mine = lane->current == p && is_full(w, p->writer);
	if (mine) {
		lane->current = NULL;
		while (p->users)
			pthread_cond_wait(&lane->left, &lane->lock);
	}
	pthread_mutex_unlock(&lane->lock);
	return mine;
}

int writer_add_batch(struct writer *w, enum pack_kind kind,
    struct block_codec *codec, const struct batch *batch, bool *refused,
    struct err *err)
{
	struct open_pack *p = NULL;
	struct writer_block block;
	int rc;

	rc = writer_encode(w, codec, batch, &block, err);
	if (!rc)
		rc = lane_enter(w, kind, &p, err);
	if (rc)
		return rc;
	*refused = block.refused;
	rc = pack_writer_add(p->writer, block.record, block.len, &block.entry,
	    batch->chunks, err);
	if (!rc)
		atomic_fetch_add(&w->added, block.len);
	/* Before leaving: who finds this pack full must not seal it. */
	writer_fail(w, rc, err);
	if (lane_leave(w, kind, p)) {
		struct err why;
		int seal_rc = seal(w, &w->lanes[kind], p, &why);

		if (!rc && seal_rc) {
			*err = why;
			rc = seal_rc;
		}
	}
	return rc;
}

int writer_put_delta(struct writer *w, enum pack_kind kind,
    struct block_codec *codec, const struct batch *batch, bool *refused,
    struct err *err)
{
	int rc;

	*refused = false;
	rc = writer_check(w, err);
	if (rc || batch->n_chunks == 0)
		return rc;
	return writer_fail(w, writer_add_batch(w, kind, codec, batch, refused,
	    err), err);
}

int writer_put_batch(struct writer *w, enum pack_kind kind,
    struct block_codec *codec, const struct batch *batch, struct err *err)
{
	bool unused;

	return writer_put_delta(w, kind, codec, batch, &unused, err);
}

int writer_finish_lane(struct writer *w, enum pack_kind kind, struct err *err)
{
	struct lane *lane = &w->lanes[kind];
	struct open_pack *p = lane->current;

	lane->current = NULL;
	return p ? writer_fail(w, seal(w, lane, p, err), err) : 0;
}

void writer_drop_packs(struct writer *w)
{
	for (int i = 0; i < N_LANES; i++) {
		open_pack_free(w->lanes[i].current);
		w->lanes[i].current = NULL;
	}
}
