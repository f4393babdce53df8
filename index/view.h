/*
 * view -- the dated tree: customers, resources, periods, dates, and what lies
 * in them, as nodes with stable numbers.
 *
 *     acme/web/daily/2026-11-21/var/www/index.html
 *
 * The mount and the command line resolve the same names with this code.  It
 * keeps no table of nodes: a node's number says what it is.
 *
 *     bit 63 clear: a thing in a snapshot; bits 60-62 the period it is seen
 *     through, bits 37-59 the snapshot's serial, bits 0-36 its number in it
 *     plus 1;
 *     bit 63 set: a folder or symlink above; bits 60-62 what it is, and the
 *     rest which one, see view_private.h.
 *
 * A date shows the newest snapshot in it.  In all/ that is so for a second:
 * older ones of the same second carry "-SERIAL" behind their names.
 *
 * VIEW_ROOT is the top.  A snapshot seen through two periods has two numbers,
 * since a directory may have only one parent; hard links within one snapshot
 * share one.
 *
 * Memory: the lists of resources and of the snapshots of resources visited,
 * a few open root records, and a bounded table of directories on the way.
 *
 * Threads: any at once.
 */
#ifndef INDEX_VIEW_H
#define INDEX_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "index/date.h"
#include "index/rope.h"
#include "index/snapshot.h"
#include "index/store.h"
#include "index/tree.h"

#define VIEW_ROOT 1u

struct view;

struct view_options {
	const char *only; /* NULL, or a resource or prefix to be the top */
};

/* The store must outlive the view.  ERR_NOT_FOUND for an absent `only`. */
int view_open(struct view **out, struct store *s,
    const struct view_options *options, struct err *err);
void view_close(struct view *v);

/* A node's attributes: all that stat shows. */
struct view_node {
	uint64_t ino;
	bool dated;     /* lies in a snapshot: it never changes */
	bool snapshot;  /* is the top of one: the date's own folder */
	bool bare;      /* a date in a listing: only ino and type are set */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t nlink;
	uint64_t size;
	uint64_t blocks; /* of 512 bytes */
	int64_t mtime_s;
	int64_t ctime_s;
	uint32_t mtime_ns;
	uint32_t ctime_ns;
	uint32_t major;
	uint32_t minor;
	bool unreadable;        /* content is missing: reading is EIO */
	struct content content; /* regular file, else CONTENT_NONE */
	struct content xattrs;
};

/* ERR_NOT_FOUND is an ordinary answer. */
int view_lookup(struct view *v, uint64_t dir, const char *name, size_t len,
    struct view_node *out, struct err *err);

/*
 * ERR_NOT_FOUND when the snapshot has gone since: at once among the dates,
 * within a second inside a snapshot.
 */
int view_get(struct view *v, uint64_t ino, struct view_node *out,
    struct err *err);

/* The directory a directory lies in; the top lies in itself. */
int view_parent(struct view *v, uint64_t dir, uint64_t *out, struct err *err);

/* The target of a symlink; *out is the caller's, from malloc. */
int view_readlink(struct view *v, uint64_t ino, char **out, struct err *err);

/*
 * Calls emit for each entry from `offset` (0 the first, or a next_offset seen
 * before) until it returns false or the directory ends.  "." and ".." are not
 * among them.  The same offset in a dated directory always means the same
 * entry.  name is not NUL-terminated.  A directory that could not be read when
 * it was ingested is ERR_SYSTEM, never an empty listing.
 */
typedef bool view_emit_fn(void *ctx, const char *name, size_t len,
    const struct view_node *node, uint64_t next_offset);

int view_readdir(struct view *v, uint64_t dir, uint64_t offset,
    view_emit_fn *emit, void *ctx, struct err *err);

/*
 * Resolves a path of names from the top, symlinks (latest, yesterday) among the
 * dated names followed, those inside snapshots not.
 */
int view_resolve(struct view *v, const char *path, struct view_node *out,
    struct err *err);

#endif
