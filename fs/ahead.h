/*
 * ahead -- the next small files of a walk, given to the kernel unasked.
 *
 * Who reads small files one after another (tar, cp, rsync) waits for one round
 * trip to the daemon at each.  The number of a thing is its place in the walk
 * of its snapshot, so after two files in a row it is known which come next:
 * their bytes are stored into the kernel's page cache, where the reader finds
 * them without asking.  What is stored unasked is bounded, and dropped by the
 * kernel like any clean page.
 *
 * Threads: any at once.  Only one stores at a time: it may wait for a page
 * whose READ another thread has to answer.
 */
#ifndef FS_AHEAD_H
#define FS_AHEAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/fuse.h"

/* Walks that are told apart. */
#define AHEAD_WALKS 8

struct mount;

/* One reader on its way through a snapshot. */
struct walk {
	uint64_t last; /* the furthest file read or stored */
	uint64_t used; /* when, in events */
	unsigned run;  /* files in a row so far */
	unsigned idle; /* listings that led to a store since the last read */
};

struct ahead {
	pthread_mutex_t lock; /* guards all below */
	struct walk walks[AHEAD_WALKS];
	uint64_t events;
	bool storing;
};

void ahead_init(struct ahead *a);
void ahead_fini(struct ahead *a);

/*
 * To be called when the first bytes of a file have been read, after the reply:
 * what it stores may belong to the file's successors, and takes its time.
 */
void ahead_after(struct mount *m, fuse_ino_t ino);

/*
 * To be called when a directory has been listed to its end, after the reply:
 * the kernel now knows its entries.  Without a walk of files that comes by here
 * nothing happens, so a mere listing of everything stores nothing.
 */
void ahead_listed(struct mount *m, fuse_ino_t dir);

#endif
