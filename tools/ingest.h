/*
 * ingest -- a directory of the system becomes a snapshot of a resource.
 *
 * Several threads walk the tree, read what the last snapshot does not know
 * already, and compress; whoever has nothing to walk compresses what others
 * have read.  A file counts as known when type, size, both times and inode are
 * those of the last snapshot: then it is not even opened.  A directory in which
 * nothing changed keeps its tree and is not written again.
 *
 * What cannot be read is a *fault*: named on standard error, recorded as
 * unreadable (or left out when it has vanished), and counted; the ingest goes
 * on.  What the store refuses ends the ingest, and nothing is committed.
 *
 * Never entered, and recorded as empty directories: the store itself, mounts of
 * ieri, and with one_file_system other file systems.
 *
 * Memory: about 16 MiB for each thread; the store's cache of blocks, for what
 * changed files are compressed against; a directory's entries (some 100 bytes
 * each, 80 more for a subdirectory) until everything beneath it is done, which
 * holds for the directories on the way down of each thread; while a directory
 * is listed its names; hard links as links.h says; the writer's ids of chunks
 * not yet sealed.
 *
 * Descriptors: directories on the way are kept open within the limit of open
 * files; beyond it they are opened again from the top.
 *
 * Threads: one call at a time; it starts and ends its own.
 */
#ifndef TOOLS_INGEST_H
#define TOOLS_INGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/store.h"
#include "tools/cli.h"

#define INGEST_THREADS_MAX 256

struct ingest_options {
	const char *const *paths;
	size_t n_paths;   /* at least 1 */
	unsigned threads; /* 0: one for each processor, at least 2 */
	bool no_read_back;
	bool no_delta; /* no block leans on those of the last snapshot */
	bool one_file_system;
	const char *host; /* NULL: the machine's name */
	const char *time; /* NULL: now; else as date_read has it, not later */
};

struct ingest_report {
	struct id id;
	int64_t time_ns;
	int32_t utc_offset;
	uint64_t n_files;     /* regular */
	uint64_t n_dirs;      /* the top one too */
	uint64_t n_other;
	uint64_t n_bytes;     /* of regular files */
	uint64_t n_new;       /* not directories; the last snapshot had not */
	uint64_t n_changed;   /* the same; it had them otherwise */
	uint64_t n_unchanged; /* the same; it had them just so */
	uint64_t n_added;     /* bytes added to the store */
	uint64_t n_faults;
	int64_t duration_ns;
};

/*
 * Makes one snapshot.  ERR_BUSY when another ingest of the resource is at
 * work, ERR_STOPPED after SIGINT or SIGTERM.  On failure nothing is committed.
 */
int ingest_paths(const struct cli *cli, struct store *store,
    const char *resource, const struct ingest_options *options,
    struct ingest_report *out, struct err *err);

#endif
