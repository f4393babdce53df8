/*
 * snapshot -- committed states of resources: listing and opening them.
 *
 * Threads: plain data once opened; any at once.
 */
#ifndef INDEX_SNAPSHOT_H
#define INDEX_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/db.h"
#include "index/root.h"
#include "index/store.h"

/* Resources by name; free with db_resources_free. */
int resource_list(struct store *s, struct resource_row **rows, size_t *n,
    struct err *err);

/* ERR_NOT_FOUND names the resource.  row->name is from malloc. */
int resource_find(struct store *s, const char *name, struct resource_row *out,
    struct err *err);

/* Oldest first by (time, serial); from malloc; resource_no 0 means all. */
int snapshot_list(struct store *s, uint32_t resource_no,
    struct snapshot_row **rows, size_t *n, struct err *err);

/* An open snapshot: its root record, decoded. */
struct snapshot {
	struct snapshot_row row;
	struct root root; /* borrows from record */
	uint8_t *record;
	size_t record_len;
};

int snapshot_open(struct snapshot **out, struct store *s, uint64_t serial,
    struct err *err);
void snapshot_close(struct snapshot *snap);

/* A thing inside a snapshot, with its number there. */
struct snapshot_item {
	struct tree_entry entry; /* name and target borrow from iter */
	uint64_t number;
	struct tree_iter iter;   /* holds the bytes; unused for the top */
};

/*
 * Walks `path` (bytes, '/' between names, leading and trailing ones ignored;
 * "." stays, ".." is ERR_INVALID) from the top.  Symlinks are not followed.
 * ERR_NOT_FOUND names the first component that is not there.  On success the
 * caller ends with snapshot_item_fini.
 */
int snapshot_walk(struct store *s, const struct snapshot *snap,
    const char *path, size_t len, struct snapshot_item *out, struct err *err);

/* Finds the thing with this number; the top is 0. */
int snapshot_at(struct store *s, const struct snapshot *snap, uint64_t number,
    struct snapshot_item *out, uint64_t *parent_number, struct err *err);

void snapshot_item_fini(struct snapshot_item *item);

/* What a tree entry's content and xattrs are. */
struct content tree_content(const struct tree_entry *e);
struct content tree_xattrs(const struct tree_entry *e);

#endif
