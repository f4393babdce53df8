/*
 * place -- what RESOURCE@WHEN:/path on the command line stands for.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_PLACE_H
#define TOOLS_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "index/blob.h"
#include "index/ref.h"
#include "index/snapshot.h"
#include "index/store.h"

struct place {
	struct store *store; /* borrowed */
	struct ref ref;
	struct snapshot *snap;
	struct snapshot_item item;
};

/*
 * Finds the snapshot and the thing in it.  Release with place_fini, after a
 * failure too, if *out was all zero before.
 */
int place_init(struct place *out, struct store *store, const char *text,
    struct err *err);
void place_fini(struct place *p);

/* The thing's own name: the last one of the path; "" for a whole snapshot. */
const char *place_name(const struct place *p, size_t *len);

/* ---- The names of owners, as the snapshot keeps them ---- */

struct names {
	uint8_t *bytes;       /* what the names in list borrow from */
	struct owner *list;   /* by (kind, number) */
	size_t n;
};

#define NAMES_MAX (64u << 20) /* bytes of a table */

/* *out all zero before; names_fini after a failure too. */
int names_init(struct names *out, struct store *store,
    const struct snapshot *snap, struct err *err);
void names_fini(struct names *n);

/* NULL when the snapshot knows no name for it. */
const struct owner *names_find(const struct names *n, enum owner_kind kind,
    uint32_t number);

#endif
