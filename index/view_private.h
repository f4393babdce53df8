/*
 * view_private -- what the parts of the dated tree share.
 *
 *     view.c        the public calls: each decides whose node it is
 *     view_place.c  where a node above the snapshots is
 *     view_names.c  what is there: folders and symlinks, from the lists
 *     view_dated.c  things in snapshots, from tree entries
 *     view_list.c   listings of both
 *     view_cache.c  lists of resources and snapshots, kept fresh
 *     view_opened.c root records of the snapshots in use
 *     view_slots.c  the tables of nodes met lately
 *
 * Threads: any at once.  What is "held" is counted and never changes, so it is
 * read without a lock until it is dropped.
 */
#ifndef INDEX_VIEW_PRIVATE_H
#define INDEX_VIEW_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/blob.h"
#include "index/date.h"
#include "index/snapshot.h"
#include "index/view.h"

/* ---- Numbers ---- */

#define VIEW_SYNTHETIC (UINT64_C(1) << 63)
#define VIEW_NUMBER_BITS 37
#define VIEW_SERIAL_BITS 23
#define VIEW_KIND_SHIFT 60
#define VIEW_NUMBER_MAX ((UINT64_C(1) << VIEW_NUMBER_BITS) - 2)

/* Bits 60-62 of a number whose bit 63 is set; the rest beside each. */
enum view_kind {
	VIEW_PREFIX = 0,    /* 0-31 least resource beneath, 32-47 depth */
	VIEW_RESOURCE = 1,  /* 0-31 resource */
	VIEW_PERIOD = 2,    /* 0-31 resource, 32-34 period */
	VIEW_LATEST = 3,    /* 0-31 resource, 32-54 serial it leads to */
	VIEW_YESTERDAY = 4, /* likewise */
};

#define VIEW_DEPTH_MAX 0xffffu

static inline uint64_t view_synthetic(enum view_kind kind, uint32_t no,
    uint64_t extra)
{
	return VIEW_SYNTHETIC | (uint64_t)kind << VIEW_KIND_SHIFT |
	    extra << 32 | no;
}

static inline bool view_is_synthetic(uint64_t ino)
{
	return ino == VIEW_ROOT || ino & VIEW_SYNTHETIC;
}

static inline uint64_t view_dated(enum period p, uint64_t serial,
    uint64_t number)
{
	return (uint64_t)p << VIEW_KIND_SHIFT | serial << VIEW_NUMBER_BITS |
	    (number + 1);
}

static inline enum period view_dated_period(uint64_t ino)
{
	return (enum period)(ino >> VIEW_KIND_SHIFT & 7);
}

static inline uint64_t view_dated_serial(uint64_t ino)
{
	return ino >> VIEW_NUMBER_BITS & ((1u << VIEW_SERIAL_BITS) - 1);
}

/* The caller has seen that the low bits are not zero. */
static inline uint64_t view_dated_number(uint64_t ino)
{
	return (ino & ((UINT64_C(1) << VIEW_NUMBER_BITS) - 1)) - 1;
}

/* ---- Lists, fresh as of a store_version ---- */

/* All resources the view shows, by name. */
struct roster {
	atomic_uint refs;
	uint64_t version;
	struct resource_row *rows;
	size_t n_rows; /* in the store */
	size_t first;  /* shown: rows[first, end) */
	size_t end;
	struct roster_no *by_no; /* the shown ones, by number */
	_Atomic int64_t *newest; /* of each row; see roster_newest */
};

struct roster_no {
	uint32_t no;
	size_t row;
};

/* One name in a period's folder. */
struct folder_item {
	int64_t key; /* date_private.h */
	uint32_t row;
};

struct folder {
	struct folder_item *items; /* by (key, serial) */
	size_t n;
};

/* The snapshots of one resource. */
struct days {
	atomic_uint refs;
	struct days *next; /* in its bucket; under the view's lock */
	uint64_t version;
	uint32_t no;
	struct snapshot_row *rows;
	size_t n;
	struct folder folder[PERIODS];
	int64_t newest_ns; /* end of the last commit */
};

/* An open snapshot, and its hard links when they are few. */
struct opened {
	atomic_uint refs;
	atomic_uint_fast64_t version; /* when it was last seen to exist */
	struct snapshot *snap;
	uint8_t *links; /* NULL: to be looked up in the store */
	size_t n_links;
};

/* ---- Nodes met lately ---- */

/* A directory in a snapshot: all that is needed to go on from there. */
struct dated_dir {
	struct view_node node;
	struct id top;
	uint64_t number;
	uint64_t parent;
	uint64_t beneath;
};

/* Any other thing; parent is UINT64_MAX when the number is another name's. */
struct dated_file {
	struct view_node node;
	uint64_t parent;
};

#define VIEW_DIR_SLOTS 4096
#define VIEW_FILE_SLOTS 16384
#define VIEW_SHARDS 64
#define VIEW_OPENED 32
#define VIEW_DAYS_BUCKETS 256

struct view {
	struct store *store;
	char *only;               /* "" for everything */
	enum view_kind top_kind;  /* VIEW_PREFIX or VIEW_RESOURCE */
	unsigned top_depth;       /* names in `only` */
	atomic_uint_fast64_t version;  /* the newest seen */
	atomic_int_fast64_t looked_ms; /* when, by the monotonic clock */
	pthread_mutex_t lock;          /* guards the pointers below */
	struct roster *roster;
	struct days *days[VIEW_DAYS_BUCKETS];
	struct opened *opened[VIEW_OPENED]; /* most recently used first */
	pthread_mutex_t shards[VIEW_SHARDS]; /* guard the slots */
	struct dated_dir *dirs;
	struct dated_file *files;
};

/* ---- view_cache.c ---- */

/* The version seen last, looked at again once in a while. */
int version_recent(struct view *v, uint64_t *out, struct err *err);

/* Makes sure of the store's version.  All hold calls are paired with a drop. */
int roster_hold(struct view *v, struct roster **out, struct err *err);
void roster_drop(struct roster *r);

/* The row of a resource that is shown; ERR_NOT_FOUND. */
int roster_find(const struct roster *r, uint32_t no, size_t *row,
    struct err *err);

/* The end of the last commit in rows[lo, hi), in ns. */
int roster_newest(struct view *v, struct roster *r, size_t lo, size_t hi,
    int64_t *out, struct err *err);

/* version: the roster's. */
int days_hold(struct view *v, uint32_t no, uint64_t version,
    struct days **out, struct err *err);
void days_drop(struct days *d);

/* ---- view_opened.c ---- */

/*
 * ERR_NOT_FOUND when the snapshot has gone or is not beneath `only`.  A pruned
 * snapshot is missed within a second, at once after a look at any list.
 */
int opened_hold(struct view *v, uint64_t serial, struct opened **out,
    struct err *err);
void opened_drop(struct opened *o);

/* ---- view_slots.c ---- */

int slots_init(struct view *v, struct err *err);
void slots_fini(struct view *v);
void dir_remember(struct view *v, const struct dated_dir *dir);
bool dir_recall(struct view *v, uint64_t ino, struct dated_dir *out);
void file_remember(struct view *v, const struct dated_file *file);
bool file_recall(struct view *v, uint64_t ino, struct dated_file *out);

/* ---- view_place.c ---- */

/* A folder or symlink above the snapshots, decoded and found to exist. */
struct place {
	enum view_kind kind;
	uint32_t no; /* resource; of a prefix the least beneath */
	enum period period;
	uint64_t serial; /* of a symlink */
	size_t lo;       /* a prefix: its rows of the roster */
	size_t hi;
	size_t name_len; /* a prefix: length of its name, 0 for the store */
	unsigned depth;  /* a prefix: names in it */
};

/* The place a number stands for, and the roster it was found in, held. */
int place_hold(struct view *v, uint64_t ino, struct roster **held,
    struct place *out, struct err *err);

/*
 * Finds out where the view's top is.  ERR_NOT_FOUND when nothing is named
 * `only`, or lies beneath it.
 */
int place_top(struct view *v, const struct roster *r, struct place *out,
    struct err *err);

uint64_t place_number(struct view *v, const struct place *p);

/*
 * The i-th row's child beneath a prefix: a prefix or a resource; *next is the
 * first row that is no longer its.  *name borrows from the roster.
 */
void place_child(const struct roster *r, const struct place *dir, size_t i,
    struct place *out, size_t *next, const char **name, size_t *len);

/* Finds a child of a prefix by name; ERR_NOT_FOUND. */
int place_lookup(const struct roster *r, const struct place *dir,
    const char *name, size_t len, struct place *out, struct err *err);

/* The folder that a folder other than the top lies in. */
int place_parent(const struct roster *r, const struct place *p,
    struct place *out, struct err *err);

/* ---- view_names.c ---- */

int place_node(struct view *v, struct roster *r, const struct place *p,
    struct view_node *out, struct err *err);

/* The row `latest` or `yesterday` leads to now; ERR_NOT_FOUND for none. */
int days_link(const struct days *d, enum view_kind kind, int64_t now_ns,
    size_t *row, struct err *err);

/* Has the period's folder something to say? */
bool days_shows(const struct days *d, enum period p);

/* The name of the i-th item of a period's folder. */
#define ITEM_NAME_SIZE (DATE_NAME_SIZE + 24)
size_t days_item_name(const struct days *d, enum period p, size_t i,
    char out[ITEM_NAME_SIZE]);

int names_lookup(struct view *v, uint64_t dir, const char *name, size_t len,
    struct view_node *out, struct err *err);
int names_parent(struct view *v, uint64_t dir, uint64_t *out,
    struct err *err);
int names_readlink(struct view *v, uint64_t ino, char **out, struct err *err);

/* ---- view_dated.c ---- */

/* The directory, with its snapshot held. */
int dated_dir(struct view *v, uint64_t ino, struct opened **held,
    struct dated_dir *out, struct err *err);

/*
 * Makes and remembers the node of an entry: `number` its place, `parent` that
 * of its directory.
 */
int dated_node(struct view *v, const struct opened *o, enum period p,
    uint64_t number, uint64_t parent, const struct tree_entry *e,
    struct view_node *out, struct err *err);

/* The number of an entry of a directory; ERR_CORRUPT when it is beyond it. */
int dated_place(const struct dated_dir *dir, const struct tree_entry *e,
    uint64_t before, uint64_t *number, struct err *err);

/* The top of a snapshot seen through a period. */
int dated_top(struct view *v, enum period p, uint64_t serial,
    struct view_node *out, struct err *err);

int dated_lookup(struct view *v, uint64_t dir, const char *name, size_t len,
    struct view_node *out, struct err *err);
int dated_get(struct view *v, uint64_t ino, struct view_node *out,
    struct err *err);
int dated_parent(struct view *v, uint64_t dir, uint64_t *out,
    struct err *err);
int dated_readlink(struct view *v, uint64_t ino, char **out, struct err *err);

#endif
