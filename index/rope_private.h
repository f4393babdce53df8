/*
 * rope_private -- list nodes, as their writer and their reader know them.
 * FORMAT.md, section 7.
 *
 * Threads: plain functions over the caller's data.
 */
#ifndef INDEX_ROPE_PRIVATE_H
#define INDEX_ROPE_PRIVATE_H

#include <stdint.h>
#include <string.h>

#include "chunker/bytes.h"
#include "chunker/id.h"

#define ROPE_NODE_HEAD 8
#define ROPE_ENTRY_SIZE 24
#define ROPE_MAGIC 'R'
#define ROPE_VERSION 1

/* Offset just past the entry's bytes, from the start of the node's own. */
static inline uint64_t rope_entry_end(const uint8_t *node, uint32_t i)
{
	return le64_get(node + ROPE_NODE_HEAD + (size_t)i * ROPE_ENTRY_SIZE);
}

static inline void rope_entry_id(
    const uint8_t *node, uint32_t i, struct id *out)
{
	memcpy(out->b, node + ROPE_NODE_HEAD + (size_t)i * ROPE_ENTRY_SIZE + 8,
	    ID_LEN);
}

#endif
