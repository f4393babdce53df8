/*
 * xattr -- extended attributes, as they were recorded.
 *
 * ACLs are among them and come back bit for bit; the kernel does not enforce
 * them (the group bits of the mode, their mask, it does).
 *
 * Threads: any at once.
 */
#ifndef FS_XATTR_H
#define FS_XATTR_H

#include "fs/fuse.h"

void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size);

#endif
