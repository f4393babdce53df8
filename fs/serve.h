/*
 * serve -- a mount from its first moment to its last.
 *
 * Threads: one serve_run in a process; it starts and ends its own threads.
 */
#ifndef FS_SERVE_H
#define FS_SERVE_H

#include "chunker/err.h"
#include "fs/options.h"

/* Called once, when the mount answers. */
typedef void serve_ready_fn(void *ctx);

/*
 * Opens the store, mounts it, serves until it is unmounted.  SIGTERM, SIGINT
 * and SIGHUP unmount lazily: whoever is inside is served on until he leaves;
 * the second of them ends at once.  Returns 0 after an orderly end, also by a
 * signal; no mount is left behind in any case.
 */
int serve_run(const struct options *o, serve_ready_fn *ready, void *ctx,
    struct err *err);

#endif
