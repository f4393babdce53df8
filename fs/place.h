/*
 * place -- whether something may be mounted at a directory.
 *
 * Threads: no state.
 */
#ifndef FS_PLACE_H
#define FS_PLACE_H

#include <stdbool.h>

#include "chunker/err.h"

/*
 * Makes sure that mountpoint is a directory, empty unless `nonempty`, apart
 * from the store (neither lies in the other), and not a mount of ours already.
 * A mount of ours that has died there is detached first.  *out gets its
 * absolute path, the caller's, from malloc.  store is absolute, free of
 * symlinks.
 */
int place_check(const char *mountpoint, const char *store, bool nonempty,
    char **out, struct err *err);

/*
 * Takes the uppermost mount at this path out of the tree, lazily; as an
 * ordinary user through fusermount3.
 */
int place_detach(const char *path, struct err *err);

#endif
