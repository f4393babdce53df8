/*
 * restore -- things of a snapshot back into a file system, with all they had:
 * content and holes, modes, owners, times, extended attributes, ACLs, links,
 * devices, names of any bytes.
 *
 * First every directory is made, open to its owner only, and filled by several
 * threads; then hard links to what was made; then, from the leaves up, each
 * directory gets what it had.  Nothing is reached but by descriptors, one name
 * at a time and no link followed, so that nobody who changes the target
 * meanwhile can lead a write elsewhere.
 *
 * What stands at the target already is kept, or replaced as a whole by way of
 * a temporary name; nothing is ever deleted.  Directories are merged; one that
 * was there keeps its owner, mode and times unless `replace`.
 *
 * A file with a damaged piece is removed and named: wrong bytes are never left
 * behind.
 *
 * Memory: the store's cache; some 64 entries for each level of directories; 48
 * bytes for each file with several names and 16 for each of its further names;
 * 8 bytes for each directory that was there already.
 *
 * Threads: restore_run is for one thread, before others are started.
 */
#ifndef TOOLS_RESTORE_H
#define TOOLS_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "chunker/err.h"
#include "tools/cli.h"
#include "tools/place.h"

struct restore_options {
	bool replace;     /* else what is there is kept */
	bool numeric_ids; /* owners by number, whatever their names here */
	bool no_owner;    /* all belongs to whoever restores */
	bool sync;        /* be durable before success is said */
	unsigned threads; /* 0: one for each processor */
};

struct restore_report {
	uint64_t files;  /* regular, written */
	uint64_t dirs;   /* made or merged */
	uint64_t others; /* symlinks, devices and the like */
	uint64_t links;  /* further names of what was restored */
	uint64_t bytes;  /* of regular files */
	uint64_t kept;   /* there already and left alone */
	uint64_t failed; /* named on standard error */
	uint64_t unset;  /* owners, modes and the like that could not be set */
};

/*
 * Restores `what` to dest: a directory's contents into dest, which is made when
 * absent; any other thing to the name dest, or into dest when that is a
 * directory.  Sets the umask to 0.
 *
 * Fails when dest cannot be used, when the disk is full, or with ERR_STOPPED;
 * what was restored until then stays.  Whatever else goes wrong is named on
 * standard error and counted.
 */
int restore_run(const struct cli *cli, struct place *what, const char *dest,
    const struct restore_options *options, struct restore_report *out,
    struct err *err);

#endif
