/*
 * pinned -- the packs a session may rely on: pinned by it, or its own.
 *
 * Memory: some 40 bytes a pack, 16,000 packs for a terabyte.
 *
 * Threads: any at once.
 */
#ifndef INDEX_PINNED_H
#define INDEX_PINNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/root.h"

struct pinned;

int pinned_new(struct pinned **out, struct err *err);
void pinned_free(struct pinned *p);

/* out may be NULL. */
bool pinned_find(struct pinned *p, uint32_t no, struct id *out);

/* Adding a pack again is no mistake. */
int pinned_add(struct pinned *p, uint32_t no, const struct id *id,
    struct err *err);

/* All, by rising number; from malloc, the caller's, never NULL on success. */
int pinned_list(struct pinned *p, struct root_pack **out, size_t *n,
    struct err *err);

#endif
