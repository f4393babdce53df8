/*
 * read -- bytes of files, from the decoded blocks straight to the kernel.
 *
 * Threads: any at once; nothing is locked while a block is decoded.
 */
#ifndef FS_READ_H
#define FS_READ_H

#include "fs/fuse.h"

void read_reply(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
    struct fuse_file_info *info);

/* SEEK_DATA and SEEK_HOLE. */
void read_seek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
    struct fuse_file_info *info);

#endif
