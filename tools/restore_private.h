/*
 * What the parts of restore share:
 *
 *     restore.c          the target, the threads, the report
 *     restore_queue.c    who does what next
 *     restore_folder.c   directories made and filled
 *     restore_file.c     contents of regular files
 *     restore_special.c  symlinks, devices, FIFOs, sockets
 *     restore_meta.c     owners, attributes, modes, times
 *     restore_link.c     hard links
 *     restore_dirs.c     directories closed, from the leaves up
 */
#ifndef TOOLS_RESTORE_PRIVATE_H
#define TOOLS_RESTORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "chunker/buf.h"
#include "index/blob.h"
#include "index/rope.h"
#include "index/tree.h"
#include "tools/restore.h"

/* Entries of a directory, or 8 MiB of a file, done in one go. */
#define PART_ENTRIES 64
#define PART_BYTES (8u << 20)

/* Above this a file's parts are written by several threads. */
#define BIG_FILE (3 * PART_BYTES)

/* The most of a path that is remembered, for messages; its end. */
#define PATH_KEPT 900

#define OWNER_UNKNOWN UINT64_MAX

struct worker;

/* ---- The queue ---- */

/*
 * Work in parts, in phases, on a stack: what was begun last is finished first.
 * Embedded in the caller's struct; drop is called once, by any thread, when
 * nobody holds it any more.
 */
struct work {
	struct work *below;
	void (*run)(struct worker *w, struct work *work, unsigned phase,
	    uint64_t at);
	void (*drop)(struct worker *w, struct work *work);
	unsigned refs; /* this and all below: the queue's lock */
	unsigned phase;
	unsigned phases;
	uint64_t next;
	uint64_t step;
	uint64_t end; /* of each phase; UINT64_MAX while unknown */
};

struct queue {
	pthread_mutex_t lock; /* guards the rest, and all work */
	pthread_cond_t more;
	struct work *top;
	unsigned busy; /* threads with work in hand */
	bool stopped;
};

void queue_init(struct queue *q);
void queue_fini(struct queue *q);

/* Takes over one reference. */
void queue_push(struct queue *q, struct work *work);
void queue_ref(struct queue *q, struct work *work);
void queue_unref(struct worker *w, struct work *work);

/* Now it is known where the phases end. */
void queue_end(struct queue *q, struct work *work, uint64_t end);

/* All threads go home, and what is queued is dropped. */
void queue_stop(struct queue *q);

/* Works until all is done. */
void queue_work(struct queue *q, struct worker *w);

/* ---- Everything ---- */

enum unset {
	UNSET_OWNER,
	UNSET_MODE,
	UNSET_SETID,
	UNSET_ACL,
	UNSET_XATTR,
	UNSET_CAPABILITY,
	UNSET_TIMES,
	UNSETS,
};

struct link_group {
	uint64_t first;  /* the first name's number in the snapshot, plus 1 */
	uint64_t number; /* of the name that has the content here */
	dev_t dev;       /* what it is here; only with `made` */
	ino_t ino;
	bool made;
};

struct link_later {
	uint64_t number;
	uint64_t first;
};

struct restore_links {
	pthread_mutex_t lock; /* guards the rest */
	struct link_group *groups; /* a hash table by first */
	size_t n_groups;
	size_t room;
	struct link_later *later;
	size_t n_later;
	size_t later_room;
};

struct restore {
	const struct cli *cli;
	struct restore_options options;
	struct store *store;
	const struct chunk_source *src;
	const struct snapshot *snap;
	struct names names;
	uint32_t *local; /* the number here of each of names.list */
	struct progress *progress;
	struct queue queue;
	struct restore_links links;

	atomic_bool fatal;    /* all ends, for the reason in error */
	pthread_mutex_t lock; /* guards error and noted */
	struct err error;
	struct buf noted; /* uint64_t: number << 1 | NOTE_*, see below */

	atomic_uint_fast64_t files, dirs, others, linked, bytes, kept, failed;
	atomic_uint_fast64_t unset[UNSETS];
	atomic_int unset_errno[UNSETS];
	atomic_uint tmp_serial;
};

/* Of a directory, by number: what the last pass must know. */
#define NOTE_LEAVE 0u /* it was there before: only its contents are ours */
#define NOTE_SKIP 1u  /* it is not there, or not ours: not entered */

/* What one thread has of its own. */
struct worker {
	struct restore *restore;
	pthread_t thread;
	struct id xattr_id; /* whose set is in xattrs */
	uint8_t *xattrs;
	size_t xattrs_len;
};

/* Says what failed and counts it; whatever ends all ends all. */
void restore_failed(struct restore *r, const char *path, const char *name,
    size_t name_len, const struct err *err);
void restore_kept(struct restore *r, const char *path, const char *name,
    size_t name_len);
void restore_note(struct restore *r, uint64_t number, unsigned note);
bool restore_stopping(const struct restore *r);

/* dir/name, of a long path only the end; buf_fini it. */
void path_join(struct buf *out, const char *dir, const char *name, size_t len);

/* ---- Folders ---- */

struct folder {
	struct work work; /* first: a struct work is cast to its folder */
	struct folder *parent; /* held until this one is opened */
	int fd;                /* O_PATH; -1 until opened */
	bool fresh;            /* made by us, closed to others */
	bool clears_acl;       /* what is made in it inherits an ACL */
	uint64_t number;
	uint32_t subdirs;
	struct id top;
	_Atomic uint64_t given; /* uid << 32 | gid of what is made in it */
	char *path;             /* for messages */
	size_t name_len;
	char name[TREE_NAME_MAX + 1];
};

/* Takes over fd, on failure too. */
int folder_new(struct folder **out, int fd, const struct id *top,
    uint64_t number, uint32_t subdirs, const char *path, struct err *err);
void folder_free(struct folder *f);
void folder_push(struct restore *r, struct folder *f);

/* Whether things made in this open directory inherit an ACL. */
bool folder_inherits_acl(int fd);

/* One entry that is not a directory; failures are reported. */
void restore_entry(struct worker *w, struct folder *f,
    const struct tree_entry *e, uint64_t number);

/* ---- Things being made ---- */

/* Something new under its name, or a temporary one to be renamed. */
struct made {
	struct folder *folder;
	int fd;
	bool path_only; /* fd is O_PATH */
	bool temporary;
	mode_t mode;    /* what it has now */
	uint64_t given; /* owner it has now, uid << 32 | gid */
	char name[TREE_NAME_MAX + 1];
	char tmp[40];
};

void made_init(struct made *m, struct folder *f, const struct tree_entry *e);

/* Fills m->tmp with a name that nobody is likely to have. */
void made_tmp(struct restore *r, struct made *m);

/* The final name; ERR_EXISTS when a directory is in the way. */
int made_place(struct made *m, struct err *err);

/* Closes; when it was not placed, or must not stay, removes it. */
void made_drop(struct made *m, bool remove);

int restore_file(struct worker *w, struct folder *f,
    const struct tree_entry *e, uint64_t group, struct err *err);
int restore_special(struct worker *w, struct folder *f,
    const struct tree_entry *e, uint64_t group, struct err *err);

/* ---- Metadata ---- */

/* Permission bits to create with; the rest comes with meta_apply. */
mode_t meta_create_mode(const struct folder *f, const struct tree_entry *e);

/* Sets all but content.  What cannot be set is counted, never a failure. */
int meta_apply(struct worker *w, struct made *m, const struct tree_entry *e,
    struct err *err);

/* ---- Links ---- */

#define NO_GROUP UINT64_MAX

int links_init(struct restore_links *l, struct err *err);
void links_fini(struct restore_links *l);

/*
 * Asks what to do with an entry that had several names.  *group is NO_GROUP or
 * the group that links_made is to be told of; *later: it is a further name,
 * remembered for links_finish.
 */
int links_ask(struct restore *r, const struct tree_entry *e, uint64_t number,
    uint64_t *group, bool *later, struct err *err);

/* The content of a group is here now, as this open thing. */
int links_made(struct restore *r, uint64_t group, int fd, struct err *err);

/* Links all further names; failures of single ones are reported. */
int links_finish(struct worker *w, const struct folder *top, struct err *err);

/* ---- The end of directories ---- */

/* Gives every directory what it had; top_too: the target itself as well. */
int dirs_finish(struct worker *w, const struct folder *top,
    const struct tree_entry *entry, bool top_too, struct err *err);

#endif
