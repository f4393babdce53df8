/*
 * listing -- the entries of a directory, with or without their attributes.
 *
 * Threads: any at once.
 */
#ifndef FS_LISTING_H
#define FS_LISTING_H

#include "fs/fuse.h"

void listing_reply(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
    struct fuse_file_info *info);

/* With attributes: a walk with stat asks once for some fifty entries. */
void listing_reply_plus(fuse_req_t req, fuse_ino_t ino, size_t size,
    off_t offset, struct fuse_file_info *info);

#endif
