/*
 * fuse -- libfuse's low-level interface, at the one version this room is
 * written for.
 */
#ifndef FS_FUSE_H
#define FS_FUSE_H

#define FUSE_USE_VERSION 312

#include <fuse_log.h>
#include <fuse_lowlevel.h>

#endif
