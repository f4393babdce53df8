/*
 * io -- system calls on the store's files, complete and with words.
 *
 * Reads and writes go on until all bytes are moved, EINTR included.  Nothing
 * here retries a failed fsync: after one the file is dead, and the caller
 * unlinks it and writes a new one.
 *
 * Threads: any at once.
 */
#ifndef INDEX_IO_H
#define INDEX_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "chunker/err.h"

/* Accepts -1.  For descriptors only read, or already synced. */
void io_close(int fd);

/* ERR_CORRUPT when the file ends before len bytes. */
int io_pread_full(int fd, void *buf, size_t len, uint64_t offset,
    struct err *err);
int io_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset,
    struct err *err);
int io_write_full(int fd, const void *buf, size_t len, struct err *err);

/* fsync, then close; the descriptor is gone either way. */
int io_sync_close(int fd, struct err *err);

/* Opens a directory for the *at calls and fsync. */
int io_open_dir(int *out, int at, const char *path, struct err *err);

/*
 * Reads a whole small file; ERR_INVALID when it is larger than max.  *out is
 * the caller's, from malloc, never NULL on success.
 */
int io_read_file(int dir, const char *name, size_t max, uint8_t **out,
    size_t *len, struct err *err);

/*
 * Makes dst_dir/name hold exactly these bytes, by way of tmp_dir/tmp: write,
 * fsync, rename, fsync of dst_dir.  After a failure `name` is as before and
 * the temporary file is gone; only if the very last step failed, and not
 * `exclusive`, may it hold the new bytes, whole.  With `exclusive` an existing
 * name is ERR_EXISTS.
 */
int io_publish(int tmp_dir, const char *tmp, int dst_dir, const char *name,
    const void *data, size_t len, bool exclusive, struct err *err);

/* rename without replacing, then fsync of the target directory. */
int io_rename_durable(int src_dir, const char *src, int dst_dir,
    const char *dst, struct err *err);

/*
 * Creates or opens dir/name and takes an exclusive flock on it.  wait false:
 * ERR_BUSY when another holds it.  *out is the held descriptor; closing it
 * gives the lock up.
 */
int io_lock(int *out, int dir, const char *name, bool wait, struct err *err);

/*
 * False for file systems on which locks or memory maps cannot be trusted
 * (NFS, SMB, FUSE and the like).
 */
int io_is_local(int fd, bool *out, struct err *err);

int64_t io_now_ns(void); /* CLOCK_REALTIME */

#endif
