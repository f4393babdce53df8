/*
 * nodes -- attributes of things in snapshots seen lately, by number.
 *
 * A listing names the attributes and content of a hundred files at once; the
 * reads and the questions about extended attributes that follow find them
 * here instead of searching the directory again for each.
 *
 * Memory: NODES_SLOTS nodes, less than 1 MiB.
 *
 * Threads: any at once.
 */
#ifndef FS_NODES_H
#define FS_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "chunker/err.h"
#include "index/view.h"

#define NODES_SLOTS 4096u

struct nodes;

int nodes_new(struct nodes **out, struct err *err);
void nodes_free(struct nodes *n);

/* Remembers a dated node; others are left alone, since they change. */
void nodes_put(struct nodes *n, const struct view_node *node);

/* False when it is not remembered. */
bool nodes_find(struct nodes *n, uint64_t ino, struct view_node *out);

#endif
