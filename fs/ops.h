/*
 * ops -- requests of the kernel, turned into questions to index/view.h.
 *
 * There is no table of inodes: a nodeid is the view's number, so FORGET means
 * nothing, memory does not grow with what was visited, and handles given to
 * NFS clients outlive the daemon.
 *
 * What lies in a snapshot never changes, and the kernel may keep it for ever.
 * The dated names above may mean something else at any moment, and it must ask
 * again a hundredth of a second later.
 *
 * Threads: any at once.
 */
#ifndef FS_OPS_H
#define FS_OPS_H

#include <stdbool.h>

#include "fs/ahead.h"
#include "fs/fuse.h"
#include "fs/options.h"
#include "index/store.h"
#include "index/view.h"

/* The most bytes of one READ; the mount option max_read must say the same. */
#define OPS_READ_MAX 262144u

/* What every request needs; the session's user data. */
struct mount {
	struct store *store;
	struct view *view;
	const struct chunk_source *src;
	struct disguise disguise;
	bool no_xattr;
	bool no_open; /* the kernel knows to stop asking; set by INIT */
	bool no_opendir;
	struct fuse_session *session;
	struct ahead ahead;
};

extern const struct fuse_lowlevel_ops ops_table;

#endif
