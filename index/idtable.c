#include "index/idtable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/idtable_private.h"
#include "index/io.h"
#include "index/pack.h"

/* 24 MiB, whatever the packs hold. */
#define LOOSE_ENTRIES_MAX (1u << 20)

/* ---- States ---- */

void state_free(struct state *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_runs; i++)
		run_unref(s->runs[i]);
	free(s->runs);
	free(s->slots);
	free(s);
}

void state_replace(struct idtable *t, struct state *s)
{
	struct state *old = t->state;

	/* Once the lock is ours no look-up is in the old state, and none can
	 * come to it any more. */
	pthread_rwlock_wrlock(&t->swap);
	t->state = s;
	pthread_rwlock_unlock(&t->swap);
	state_free(old);
}

/* ---- The part in memory ---- */

/* Ids are uniform: their own bytes are the hash. */
static void slot_add(struct state *s, const struct entry *e)
{
	uint32_t pack_no = location_pack(le64_get(e->location));
	uint64_t i = le64_get(e->id) & s->mask;
	uint64_t there;

	while ((there = le64_get(s->slots[i].location)) != 0) {
		/* A chunk that lies twice in a pack is found once. */
		if (location_pack(there) == pack_no &&
		    memcmp(s->slots[i].id, e->id, ID_LEN) == 0)
			return;
		i = (i + 1) & s->mask;
	}
	s->slots[i] = *e;
	s->n_slots_used++;
}

static uint64_t slot_find(const struct state *s, const uint8_t id[ID_LEN],
    const struct wish *wish)
{
	uint64_t best = 0;
	uint64_t location;

	if (!s->slots)
		return 0;
	for (uint64_t i = le64_get(id) & s->mask;; i = (i + 1) & s->mask) {
		location = le64_get(s->slots[i].location);
		if (location == 0)
			return best;
		if (memcmp(s->slots[i].id, id, ID_LEN) == 0 &&
		    (best == 0 || location < best) &&
		    wish_takes(wish, location))
			best = location;
	}
}

int gather_pack(struct gather *g, struct idtable *t,
    const struct pack_row *row, struct err *err)
{
	struct pack_table table = { .blocks = NULL };
	uint8_t *bytes = NULL;
	struct entry *more;
	size_t len;
	int rc;

	rc = db_pack_table(t->db, row->no, &bytes, &len, err);
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc)
		return rc;
	rc = pack_table_decode(&table, bytes, len, t->uuid, err);
	if (!rc && table.no != row->no)
		rc = err_set(err, ERR_CORRUPT, "it is of pack %u",
		    (unsigned)table.no);
	if (rc) {
		err_wrap(err, "table of pack %u in the index",
		    (unsigned)row->no);
		goto out;
	}
	if (g->cap - g->n < table.n_chunks) {
		more = realloc(g->entries, (g->n + table.n_chunks) * 2 *
		    sizeof(*more));
		if (!more) {
			rc = err_set(err, ERR_NOMEM, "ids of a pack");
			goto out;
		}
		g->entries = more;
		g->cap = (g->n + table.n_chunks) * 2;
	}
	for (uint32_t b = 0; b < table.n_blocks; b++)
		for (uint32_t i = 0; i < table.blocks[b].n_chunks; i++) {
			struct entry *e = &g->entries[g->n++];

			memcpy(e->id, table.chunks[
			    table.blocks[b].first_chunk + i].id.b, ID_LEN);
			le64_put(e->location, (uint64_t)row->no << 32 |
			    (uint64_t)b << 12 | i);
		}

out:
	pack_table_fini(&table);
	free(bytes);
	return rc;
}

/* A state with the same runs, and room in memory for more entries. */
static int state_grow(struct state **out, const struct state *old,
    size_t more, struct err *err)
{
	uint64_t cap = 64;
	struct state *s;

	while (cap / 2 < old->n_slots_used + more)
		cap *= 2;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, ERR_NOMEM, "id table");
	s->covered = old->covered;
	s->seq = old->seq;
	s->n_packs = old->n_packs;
	s->mask = cap - 1;
	s->slots = calloc(cap, sizeof(*s->slots));
	s->runs = calloc(old->n_runs + 1, sizeof(struct run *));
	if (!s->slots || !s->runs) {
		state_free(s);
		return err_set(err, ERR_NOMEM, "id table");
	}
	for (; s->n_runs < old->n_runs; s->n_runs++) {
		s->runs[s->n_runs] = old->runs[s->n_runs];
		s->runs[s->n_runs]->refs++;
	}
	for (uint64_t i = 0; old->slots && i <= old->mask; i++)
		if (le64_get(old->slots[i].location))
			slot_add(s, &old->slots[i]);
	*out = s;
	return 0;
}

/* Takes these packs, which reach up to arrival `seq`, into memory: the new
 * state is `base` and they. */
static int take_loose(struct idtable *t, const struct state *base,
    const struct pack_row *rows, size_t n, uint64_t seq, struct err *err)
{
	struct gather g = { NULL, 0, 0 };
	struct state *s = NULL;
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = gather_pack(&g, t, &rows[i], err);
	if (!rc)
		rc = state_grow(&s, base, g.n, err);
	if (rc)
		goto out;
	for (size_t i = 0; i < g.n; i++)
		slot_add(s, &g.entries[i]);
	s->n_packs += (uint32_t)n;
	s->seq = seq;
	state_replace(t, s);

out:
	free(g.entries);
	return rc;
}

/* ---- Refreshing ---- */

static bool too_much(const struct state *s, const struct pack_row *rows,
    size_t n)
{
	uint64_t entries = s->n_slots_used;

	for (size_t i = 0; i < n; i++)
		entries += rows[i].n_chunks;
	return s->n_packs + n > IDTABLE_LOOSE_MAX ||
	    entries > LOOSE_ENTRIES_MAX;
}

/* An empty state. */
static int state_new(struct state **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_NOMEM, "id table");
	return 0;
}

/*
 * What a refresh starts from when it is not the present state: nothing, when
 * that is of another index; the manifest that another process has written.
 * NULL otherwise.  It is not put in place as it is: it may lack packs that
 * look-ups have already seen.
 */
static int other_base(struct idtable *t, uint64_t last, struct state **out,
    struct err *err)
{
	struct err ignored;

	*out = NULL;
	/* One that cannot be used is left to the next who publishes. */
	if (manifest_changed(t) && manifest_load(t, out, &ignored))
		*out = NULL;
	if (last < t->state->seq)
		return *out ? 0 : state_new(out, err);
	if (*out && (*out)->covered <= t->state->covered) {
		state_free(*out);
		*out = NULL;
	}
	return 0;
}

/* `change` is held. */
static int refresh(struct idtable *t, struct err *err)
{
	struct pack_row *rows = NULL;
	struct state *other = NULL;
	const struct state *base;
	uint64_t last;
	size_t n = 0;
	int rc;

	rc = db_pack_last_seq(t->db, &last, err);
	if (rc || last == t->state->seq)
		return rc;
	rc = other_base(t, last, &other, err);
	if (rc)
		return rc;
	base = other ? other : t->state;
	rc = db_pack_list(t->db, base->seq, &rows, &n, err);
	if (rc)
		goto out;
	if (n > 0 && rows[n - 1].seq > last)
		last = rows[n - 1].seq;
	if (too_much(base, rows, n)) {
		rc = publish(t, false, err);
		/* Where files cannot be written, memory must do: a full disk
		 * is no reason to refuse the reading, or the pruning. */
		if (rc == 0 || rc == ERR_CORRUPT || rc == ERR_NOMEM)
			goto out;
	}
	rc = take_loose(t, base, rows, n, last, err);

out:
	state_free(other);
	free(rows);
	return rc;
}

/* ---- In the open ---- */

/* The folder, made when absent; left out where we may neither make nor see. */
static int open_dir(struct idtable *t, const char *dir, struct err *err)
{
	int parent = -1;
	int rc;

	rc = io_open_dir(&parent, AT_FDCWD, dir, err);
	if (rc)
		return rc;
	t->dir = openat(parent, "ids", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0 && errno == ENOENT &&
	    (mkdirat(parent, "ids", 0700) == 0 || errno == EEXIST))
		t->dir = openat(parent, "ids",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0 && errno != EACCES && errno != EROFS && errno != EPERM)
		rc = err_sys(err, "%s/ids", dir);
	io_close(parent);
	return rc;
}

int idtable_open(struct idtable **out, const char *dir, struct db *db,
    const uint8_t uuid[16], struct err *err)
{
	struct idtable *t = calloc(1, sizeof(*t));
	pthread_rwlockattr_t attr;
	int rc;

	if (!t)
		return err_set(err, ERR_NOMEM, "id table");
	t->db = db;
	t->dir = -1;
	memcpy(t->uuid, uuid, sizeof(t->uuid));
	pthread_mutex_init(&t->change, NULL);
	pthread_rwlockattr_init(&attr);
	/* A stream of look-ups must not keep a new state out for ever. */
	pthread_rwlockattr_setkind_np(&attr,
	    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&t->swap, &attr);
	pthread_rwlockattr_destroy(&attr);

	rc = open_dir(t, dir, err);
	if (rc)
		goto out;
	/* No manifest, or a bad one, is none: the refresh builds it anew. */
	if (manifest_load(t, &t->state, err))
		rc = state_new(&t->state, err);
	if (!rc)
		rc = idtable_refresh(t, err);
	if (rc)
		goto out;
	*out = t;
	t = NULL;

out:
	idtable_close(t);
	return rc;
}

void idtable_close(struct idtable *t)
{
	if (!t)
		return;
	state_free(t->state);
	io_close(t->dir);
	pthread_rwlock_destroy(&t->swap);
	pthread_mutex_destroy(&t->change);
	free(t);
}

int idtable_find(struct idtable *t, const struct id *id, struct location *out,
    bool (*skip)(void *ctx, uint32_t pack_no), void *ctx, struct err *err)
{
	struct wish wish = { skip, ctx };
	const struct state *s;
	uint64_t best;
	uint64_t location;

	pthread_rwlock_rdlock(&t->swap);
	s = t->state;
	best = slot_find(s, id->b, &wish);
	for (size_t i = 0; i < s->n_runs; i++) {
		location = run_find(s->runs[i], id->b, &wish);
		if (location && (!best || location < best))
			best = location;
	}
	pthread_rwlock_unlock(&t->swap);

	if (!best)
		return err_set(err, ERR_NOT_FOUND, "no such chunk");
	out->pack_no = location_pack(best);
	out->block = (uint32_t)best >> 12;
	out->slot = (uint32_t)best & 0xfff;
	return 0;
}

int idtable_refresh(struct idtable *t, struct err *err)
{
	int rc;

	/* Rows that are not committed must not get in; and a thread in a
	 * transaction must not wait for one that waits for the handle. */
	if (db_in_transaction(t->db))
		return 0;
	pthread_mutex_lock(&t->change);
	rc = refresh(t, err);
	pthread_mutex_unlock(&t->change);
	return rc;
}

int idtable_publish(struct idtable *t, struct err *err)
{
	int rc;

	if (db_in_transaction(t->db))
		return 0;
	pthread_mutex_lock(&t->change);
	rc = publish(t, false, err);
	pthread_mutex_unlock(&t->change);
	return rc;
}

int idtable_rebuild(struct idtable *t, struct err *err)
{
	int rc;

	if (db_in_transaction(t->db))
		return err_set(err, ERR_INVALID,
		    "id table: not inside a transaction");
	pthread_mutex_lock(&t->change);
	rc = publish(t, true, err);
	pthread_mutex_unlock(&t->change);
	return rc;
}

int idtable_check(struct idtable *t, struct err *err)
{
	int rc = 0;

	if (db_in_transaction(t->db))
		return err_set(err, ERR_INVALID,
		    "id table: not inside a transaction");
	pthread_mutex_lock(&t->change);
	for (size_t i = 0; !rc && i < t->state->n_runs; i++)
		rc = run_verify(t->state->runs[i], err);
	if (rc == ERR_CORRUPT)
		rc = publish(t, true, err);
	pthread_mutex_unlock(&t->change);
	return rc;
}
