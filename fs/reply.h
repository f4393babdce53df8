/*
 * reply -- answers that several operations share: failures, nodes, entries.
 *
 * Threads: any at once.
 */
#ifndef FS_REPLY_H
#define FS_REPLY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "chunker/err.h"
#include "fs/fuse.h"
#include "fs/ops.h"
#include "index/view.h"

/* How long the kernel may keep what cannot change: some thirty years. */
#define FOR_EVER 1e9

/*
 * Answers a request about `ino` that failed.  Absence is an ordinary answer;
 * everything else is also logged.
 */
void reply_failure(fuse_req_t req, const char *op, uint64_t ino,
    const struct err *err);

/*
 * The same for a request about the thing `ino` itself, not about a name: the
 * kernel has seen it, so when it is absent now its snapshot is gone: ESTALE.
 */
void reply_gone(fuse_req_t req, const char *op, uint64_t ino,
    const struct err *err);

/* Content that should be there and is not, or is damaged: always EIO. */
void reply_damage(fuse_req_t req, const char *op, uint64_t ino,
    const struct err *err);

void attr_of(const struct mount *m, const struct view_node *node,
    struct stat *out);
double attr_timeout_of(const struct view_node *node);

struct fuse_entry_param entry_of(const struct mount *m,
    const struct view_node *node);

/* Whether a number is that of a thing in a snapshot; view.h. */
bool is_dated(uint64_t ino);

#endif
