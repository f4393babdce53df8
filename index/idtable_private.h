/*
 * idtable_private -- what the files of idtable.h share.
 *
 * idtable.c looks up and keeps what is in memory, idtable_run.c knows one
 * sorted file, idtable_publish.c the manifest and the making of runs.
 */
#ifndef INDEX_IDTABLE_PRIVATE_H
#define INDEX_IDTABLE_PRIVATE_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "chunker/bytes.h"
#include "chunker/err.h"
#include "chunker/id.h"
#include "index/db.h"
#include "index/idtable.h"

/* FORMAT.md section 10.  A location of 0 is nowhere: packs count from 1. */
struct entry {
	uint8_t id[ID_LEN];
	uint8_t location[8];
};

static_assert(sizeof(struct entry) == 24, "FORMAT.md 10");

/* Runs are sorted by id as bytes, then by location. */
int entry_compare(const void *a, const void *b);

static inline uint32_t location_pack(uint64_t location)
{
	return (uint32_t)(location >> 32);
}

/* What a look-up asks for, beside the id. */
struct wish {
	bool (*skip)(void *ctx, uint32_t pack_no);
	void *ctx;
};

static inline bool wish_takes(const struct wish *w, uint64_t location)
{
	return !w->skip || !w->skip(w->ctx, location_pack(location));
}

/* ---- Runs ---- */

/* A run, mapped.  refs is guarded by the table's `change`. */
struct run {
	uint64_t no; /* the file is NO.run */
	unsigned refs;
	dev_t dev;
	ino_t ino;
	void *map;
	size_t map_len;
	const struct entry *entries;
	uint64_t n;
	uint64_t sum; /* that the entries should have */
};

#define RUN_NAME_SIZE 32
void run_name(uint64_t no, char name[RUN_NAME_SIZE]);

/* Header and length are checked; the entries only by run_verify. */
int run_open(struct run **out, int dir, uint64_t no, const uint8_t uuid[16],
    struct err *err);
void run_unref(struct run *r); /* accepts NULL */

/* Whether this is still the file of its name. */
bool run_is_named(const struct run *r, int dir);

/* Reads all entries; ERR_CORRUPT when they are not what was written. */
int run_verify(const struct run *r, struct err *err);

/* The lowest location of this id that the wish takes; 0 for none. */
uint64_t run_find(const struct run *r, const uint8_t id[ID_LEN],
    const struct wish *wish);

/* Sorted entries yet to be merged. */
struct source {
	const struct entry *next;
	const struct entry *end;
};

/* Which packs exist.  bits NULL: not known, all do. */
struct alive {
	uint8_t *bits;
	uint64_t n;
};

/*
 * Merges the sources, less the packs that are gone, into NO.run, durable on
 * success; the name is taken by rename.  The caller holds ids/lock.
 */
int run_create(int dir, uint64_t no, const uint8_t uuid[16],
    struct source *sources, size_t n_sources, const struct alive *alive,
    struct err *err);

/* ---- The table ---- */

/* What look-ups see; never changed once it is in place. */
struct state {
	struct run **runs; /* the largest and oldest first */
	size_t n_runs;
	struct entry *slots; /* open addressing; location 0 is empty */
	uint64_t mask;
	uint64_t n_slots_used;
	uint32_t n_packs;  /* in slots */
	uint64_t covered;  /* arrivals up to here are in the runs */
	uint64_t seq;      /* and up to here in runs or slots */
};

struct idtable {
	struct db *db;
	int dir; /* ids/; -1 when we have none and may make none */
	uint8_t uuid[16];
	pthread_mutex_t change; /* one at a time replaces the state */
	pthread_rwlock_t swap;  /* held for as long as a look-up takes */
	struct state *state;
	/* Of the manifest last read; zero for none. */
	ino_t manifest_ino;
	int64_t manifest_ns;
};

void state_free(struct state *s);

/* Puts it in place of the present one, which is freed. */
void state_replace(struct idtable *t, struct state *s);

/* Entries being gathered. */
struct gather {
	struct entry *entries;
	size_t n;
	size_t cap;
};

/* Adds a pack's chunks; a pack that has gone adds none. */
int gather_pack(struct gather *g, struct idtable *t,
    const struct pack_row *row, struct err *err);

/* ---- idtable_publish.c; `change` is held ---- */

/* The state that the manifest describes; any failure means: do not use it. */
int manifest_load(struct idtable *t, struct state **out, struct err *err);
bool manifest_changed(struct idtable *t);

/* fresh: without regard to the files there are. */
int publish(struct idtable *t, bool fresh, struct err *err);

#endif
