/*
 * ingest_private -- what the parts of an ingest share; for tools/ingest*.c.
 *
 * ingest.c starts and ends it and gathers chunks; ingest_dir.c does one
 * directory, ingest_file.c the content of one file.
 *
 * A directory's life: *opened* beneath its parent, *scanned* (names listed,
 * each compared with the last snapshot and, if need be, read), its
 * subdirectories handed out as parts of a job, and *finished* by the thread
 * that finishes the last of them, which then goes on with the parent.  Nothing
 * here recurses.
 *
 * Threads: a struct worker is one thread's.  A struct dir is the scanning
 * thread's until its job is pushed; from then on each sub is the business of
 * the thread that has taken it, and the whole that of the thread that brings
 * `left` to zero.
 */
#ifndef TOOLS_INGEST_PRIVATE_H
#define TOOLS_INGEST_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "chunker/stream.h"
#include "index/block.h"
#include "index/rope.h"
#include "index/tree.h"
#include "index/writer.h"
#include "tools/capture.h"
#include "tools/cli.h"
#include "tools/follow.h"
#include "tools/ingest.h"
#include "tools/jobs.h"
#include "tools/links.h"
#include "tools/sources.h"
#include "tools/walk.h"

/* Full batches that may wait for a thread, for each thread. */
#define INGEST_QUEUE 2

enum sub_state {
	SUB_GONE = 1,       /* vanished after it was listed: left out */
	SUB_UNREADABLE = 2, /* could not be opened or listed */
	SUB_XATTRS = 4,     /* its xattrs are to be read when it is open */
};

/* A subdirectory, in its parent. */
struct sub {
	struct id id;         /* its tree: at first the old, at last the new */
	uint64_t beneath;
	struct links_found links; /* numbers count from its own */
	struct content xattrs; /* with SUB_XATTRS */
	size_t entry_at;      /* its entry in the parent's entries */
	uint32_t ordinal;     /* among the parent's entries */
	uint32_t subdirs;
	uint8_t state;
	bool changed;
};

struct dir {
	struct job job; /* parts are the subs */
	struct dir *parent;
	uint32_t slot;  /* which of the parent's subs */
	struct dir *next, *prev; /* all that live; guarded by dirs_lock */
	const struct pick *pick; /* NULL: everything in it */
	char *name;
	int fd;         /* -1 when closed for want of descriptors */
	dev_t dev;
	ino_t ino;
	dev_t home;     /* the file system --one-file-system stays on */
	struct device device;
	struct id old;  /* its tree in the last snapshot; zero: none */
	bool changed;   /* differs from it, subdirectories aside */
	struct buf entries; /* encoded; those of subs lack what is beneath */
	uint32_t n_entries;
	uint32_t n_dirs; /* directories among them, entered or not */
	struct sub *subs;
	uint32_t n_subs;
	uint32_t cap_subs;
	struct links_found links; /* own entries; numbers are ordinals */
	atomic_uint unopened; /* subs that still need fd */
	atomic_uint left;     /* subs not finished */
};

struct counts {
	uint64_t files;
	uint64_t dirs;
	uint64_t other;
	uint64_t bytes;
	uint64_t fresh;
	uint64_t changed;
	uint64_t unchanged;
	uint64_t faults;
};

struct ingest {
	const struct cli *cli;
	const struct ingest_options *options;
	struct store *store;
	const struct config *config;
	const struct chunk_source *source;
	struct writer *writer;
	struct jobs *jobs;
	struct links_known *links;
	struct progress *progress;
	struct sources sources;
	struct devices devices;
	struct stat skip[2]; /* directories never entered: store and index */
	unsigned n_skip;
	struct worker *workers;
	unsigned n_workers;

	struct batch *batches;
	struct worker **takers; /* who fills each of them */
	struct batch **spare; /* guarded by spare_lock */
	unsigned n_batches;
	unsigned n_spare;
	pthread_mutex_t spare_lock;

	struct dir *dirs;
	pthread_mutex_t dirs_lock;
	atomic_uint fds_open; /* descriptors of directories kept open */
	unsigned fds_max;

	struct job start;     /* one part: the top directory */
	struct dir *top;
	struct tree_entry top_entry; /* its result, without a name */
	struct sub top_sub;
};

struct worker {
	struct ingest *in;
	struct id_hasher *hasher;
	struct block_codec *codec;
	struct rope_writer *rope;
	struct tree_writer *tree;
	struct stream *stream; /* NULL until the first large file */
	struct batch *batch;   /* new chunks, not yet full */
	struct follow *follow; /* the old content of the file at hand */
	uint8_t *small;        /* room for chunk_max + 1 bytes */
	struct xattr_capture *xattrs;
	struct owners owners;
	struct walk_list list;
	struct counts counts;
	uint64_t told_files;   /* what progress knows of counts */
	uint64_t told_bytes;
};

/* ---- ingest.c ---- */

/* A fault: said on standard error with the thing's path, and counted. */
void ingest_fault(struct worker *w, const struct dir *d, const char *name,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Words about a thing that are no fault. */
void ingest_note(const struct worker *w, const struct dir *d,
    const char *name, const char *words);

/* ERR_STOPPED when this ingest is to end. */
int ingest_check(const struct worker *w, struct err *err);

/* Tells progress what was counted since; of a large file beforehand. */
void ingest_tell(struct worker *w);
void ingest_tell_bytes(struct worker *w, uint64_t bytes);

/* ---- ingest_chunk.c ---- */

/* Names a chunk of a file and sees that the store gets it. */
int ingest_chunk(struct worker *w, const uint8_t *data, size_t len,
    struct id *out, struct err *err);

int ingest_batches_init(struct ingest *in, struct err *err);
void ingest_batches_fini(struct ingest *in);

/* An empty batch for this worker. */
struct batch *ingest_batch_take(struct worker *w);
void ingest_batch_put(struct ingest *in, struct batch *b);

/* Makes a block of the batch, whoever has filled it. */
int ingest_compress(struct worker *w, const struct batch *b, struct err *err);

/* ---- ingest_dir.c ---- */

/* Makes the top directory's struct from in->sources. */
int ingest_dir_top(struct ingest *in, struct err *err);

/* Opens, scans and, where nothing lies beneath, finishes. */
int ingest_dir_run(struct worker *w, struct dir *d, struct err *err);
int ingest_dir_part(struct worker *w, struct dir *parent, uint32_t slot,
    struct err *err);

/* Releases all directories left over by a failure. */
void ingest_dirs_free(struct ingest *in);

/* ---- ingest_scan.c ---- */

/*
 * Lists and compares all entries of an open directory.  Returns 0, a negative
 * code, or the positive errno of a directory that cannot be listed; then it
 * has no entries.
 */
int ingest_scan(struct worker *w, struct dir *d, struct err *err);

/* Whether what the last snapshot has of this thing may be taken over. */
bool ingest_trusted(const struct tree_entry *old, const struct tree_entry *now);

/* Reads xattrs (of `name` in fd, or of fd) into *e; a fault is reported. */
int ingest_xattrs(struct worker *w, const struct dir *d, const char *name,
    int fd, const char *at, struct tree_entry *e, struct err *err);

/* ---- ingest_file.c ---- */

/*
 * Reads content and xattrs of a regular file into *e, which has what *st told;
 * both follow the file when it changes meanwhile.  old is what the last
 * snapshot has under this name, or NULL.  Returns 1, 0 when it has vanished,
 * or a negative code.
 */
int ingest_file(struct worker *w, const struct dir *d, const char *name,
    const struct tree_entry *old, struct stat *st, struct tree_entry *e,
    struct err *err);

#endif
