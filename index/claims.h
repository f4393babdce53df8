/*
 * claims -- the ids of chunks on their way into a pack.
 *
 * From the moment a thread has claimed an id until the id table shows the pack
 * that holds it, the id stands here, so that no other thread stores it again.
 *
 * Memory: 16 bytes an id at a load of a quarter to three quarters.
 *
 * Threads: any at once.
 */
#ifndef INDEX_CLAIMS_H
#define INDEX_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>

#include "chunker/err.h"
#include "chunker/id.h"

struct claims;

int claims_new(struct claims **out, struct err *err);
void claims_free(struct claims *c);

/* *added false: it stands there already.  The id is not zero. */
int claims_add(struct claims *c, const struct id *id, bool *added,
    struct err *err);

/* An id that is not there is no mistake. */
void claims_remove(struct claims *c, const struct id *id);

size_t claims_count(struct claims *c);

#endif
