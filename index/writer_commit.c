#include "index/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chunker/buf.h"
#include "chunker/bytes.h"
#include "index/io.h"
#include "index/writer_private.h"

/* What is to be committed. */
struct commit {
	struct root root;
	struct root_pack *packs;
	size_t n_packs;
	struct buf listed; /* the same, encoded */
	struct buf record;
};

static void commit_fini(struct commit *c)
{
	free(c->packs);
	buf_fini(&c->listed);
	buf_fini(&c->record);
}

/*
 * All that was claimed must now lie in packs with rows: a chunk that a caller
 * claimed and then failed to bring would be missing for ever, and everybody
 * who asked for it later was told that it is on its way.
 */
static int seal_all(struct writer *w, struct err *err)
{
	size_t n;
	int rc;

	rc = writer_flush_meta(w, err);
	if (!rc)
		rc = writer_finish_lane(w, PACK_DATA, err);
	if (!rc)
		rc = writer_finish_lane(w, PACK_META, err);
	if (rc)
		return rc;
	n = claims_count(w->claims);
	if (n)
		return err_set(err, ERR_INVALID,
		    "%zu chunks were claimed and never brought", n);
	return 0;
}

static int list_packs(struct writer *w, struct commit *c, struct err *err)
{
	int rc;

	rc = pinned_list(w->pinned, &c->packs, &c->n_packs, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < c->n_packs; i++) {
		uint8_t pair[ROOT_PACK_SIZE];

		root_pack_encode(&c->packs[i], pair);
		buf_put(&c->listed, pair, sizeof(pair));
	}
	return buf_check(&c->listed, err);
}

static int serial_take(struct writer *w, uint64_t *out, struct err *err)
{
	int rc;

	rc = db_next_serial(w->store->db, out, err);
	if (!rc && *out > ROOT_SERIAL_MAX)
		rc = err_set(err, ERR_INVALID, "the store has no serials left");
	return rc;
}

static int record_make(struct writer *w, const struct root *draft,
    struct commit *c, struct err *err)
{
	struct root *r = &c->root;
	int rc;

	*r = *draft;
	rc = list_packs(w, c, err);
	if (!rc)
		rc = id_random(&r->id, sizeof(r->id), err);
	if (!rc)
		rc = serial_take(w, &r->serial, err);
	if (rc)
		return rc;
	memcpy(r->uuid, w->store->config.uuid, sizeof(r->uuid));
	memcpy(r->prev, w->prev, sizeof(r->prev));
	r->session = w->session;
	r->resource_no = w->resource_no;
	r->resource = w->resource;
	r->resource_len = strlen(w->resource);
	r->packs = c->listed.data;
	r->n_packs = c->n_packs;
	r->n_added = writer_added(w);
	r->end_ns = io_now_ns();
	return root_encode(&c->record, r, err);
}

/*
 * A pack of ours that was condemned is rescued by a pin, which goes with the
 * session; one that is being deleted cannot be had any more.
 */
static int packs_check(struct writer *w, const struct commit *c,
    struct err *err)
{
	struct db *db = w->store->db;
	char hex[ID_HEX];
	struct pack_row row;
	int rc = 0;

	for (size_t i = 0; i < c->n_packs && !rc; i++) {
		const struct root_pack *p = &c->packs[i];

		rc = db_pack_find(db, p->no, &row, err);
		if (!rc && row.state == PACK_CONDEMNED)
			rc = db_pin_add(db, w->session, p->no, err);
		if (rc == ERR_NOT_FOUND ||
		    (!rc && (row.state == PACK_DELETING ||
		        !id_equal(&row.id, &p->id))))
			rc = err_set(err, ERR_SYSTEM,
			    "pack %s went away under the session",
			    id_hex(&p->id, hex));
	}
	return rc;
}

static int snapshot_enter(struct writer *w, const struct commit *c,
    struct err *err)
{
	const struct root *r = &c->root;
	const struct snapshot_row row = {
		.serial = r->serial,
		.id = r->id,
		.resource_no = r->resource_no,
		.time_ns = r->time_ns,
		.end_ns = r->end_ns,
		.utc_offset = r->utc_offset,
		.n_files = r->n_files,
		.n_dirs = r->n_dirs,
		.n_other = r->n_other,
		.n_bytes = r->n_bytes,
		.n_added = r->n_added,
		.n_faults = r->n_faults,
	};

	return db_snapshot_add(w->store->db, &row, c->record.data,
	    c->record.len, err);
}

/* The one commit point. */
static int commit_tx(struct writer *w, const struct commit *c,
    struct err *err)
{
	struct db *db = w->store->db;
	struct session_row row;
	int rc;

	rc = db_begin(db, err);
	if (rc)
		return rc;
	rc = db_session_find(db, w->session, &row, err);
	if (rc == ERR_NOT_FOUND)
		rc = err_set(err, ERR_SYSTEM,
		    "the session was cleared away as dead");
	if (!rc)
		rc = packs_check(w, c, err);
	if (!rc)
		rc = snapshot_enter(w, c, err);
	if (!rc)
		rc = db_session_remove(db, w->session, err);
	return writer_tx_end(w, rc, err);
}

/*
 * When the transaction is known to have failed, nothing names this record.
 * Were it left, a rebuild would take it for a snapshot; so unless its removal
 * is durable the session's row stays, and recovery does it again.  When nobody
 * knows, the snapshot may be there and need its record: only recovery, which
 * finds the row or does not, may decide.  No transaction begins then any more.
 */
static void record_unpublish(struct writer *w, const char *name)
{
	struct err ignored;

	if (db_begin(w->store->db, &ignored)) {
		atomic_store(&w->leave_row, true);
		return;
	}
	db_abort(w->store->db);
	if (unlinkat(w->store->dirs.roots, name, 0) < 0 ||
	    fsync(w->store->dirs.roots) < 0)
		atomic_store(&w->leave_row, true);
}

static int publish(struct writer *w, const struct commit *c, struct err *err)
{
	char name[ID_HEX];
	char tmp[64];
	int rc;

	id_hex(&c->root.id, name);
	snprintf(tmp, sizeof(tmp), "%" PRIu64 ".root", w->session);
	rc = io_publish(w->store->dirs.tmp, tmp, w->store->dirs.roots, name,
	    c->record.data, c->record.len, true, err);
	if (rc)
		return err_wrap(err, "root record");
	rc = commit_tx(w, c, err);
	if (rc)
		record_unpublish(w, name);
	return rc;
}

int writer_commit(struct writer *w, const struct root *draft, struct id *id,
    struct err *err)
{
	struct commit c = { .packs = NULL };
	struct err ignored;
	int rc;

	buf_init(&c.listed);
	buf_init(&c.record);
	rc = writer_check(w, err);
	if (!rc)
		rc = seal_all(w, err);
	if (!rc)
		rc = record_make(w, draft, &c, err);
	if (!rc)
		rc = publish(w, &c, err);
	if (rc) {
		writer_fail(w, rc, err);
	} else {
		w->committed = true;
		*id = c.root.id;
		/* Derived, and made again by whoever misses it. */
		(void)idtable_publish(w->store->ids, &ignored);
	}
	commit_fini(&c);
	return rc;
}
