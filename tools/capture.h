/*
 * capture -- what the system says about a file, as a tree entry keeps it:
 * attributes, extended attributes and ACLs, owners' names, devices.
 *
 * Memory: one entry for each distinct owner and each device met, and the last
 * few sets of extended attributes.
 *
 * Threads: devices are shared by all; owners and an xattr capturer belong to
 * one thread.
 */
#ifndef TOOLS_CAPTURE_H
#define TOOLS_CAPTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "chunker/buf.h"
#include "chunker/err.h"
#include "index/chunks.h"
#include "index/config.h"
#include "index/rope.h"
#include "index/tree.h"

/* ---- Devices: small numbers that survive a reboot ---- */

struct device {
	dev_t dev;
	uint32_t ordinal;
	bool ours; /* a mount of ieri: never entered */
};

struct devices {
	pthread_mutex_t lock; /* guards the rest */
	struct device *list;
	size_t n;
};

void devices_init(struct devices *d);
void devices_fini(struct devices *d);

#define DEVICES_NO_HINT UINT32_MAX

/*
 * The device's entry, made when it is met for the first time: with the number
 * `hint` (what the last snapshot calls it) while that is free, else with the
 * next.  Reads the table of mounts once for each device, under the lock.
 */
int devices_get(struct devices *d, dev_t dev, uint32_t hint,
    struct device *out, struct err *err);

/* ---- Attributes ---- */

/* Fills all of *e that stat tells, but name, content and xattrs. */
void capture_stat(struct tree_entry *e, const struct stat *st,
    uint32_t ordinal);

/* Whether a time of change is so near to now that it may be used twice. */
bool capture_racy(const struct stat *st, int64_t now_ns);

/* ---- Extended attributes ---- */

struct xattr_capture;

int xattr_capture_new(struct xattr_capture **out, const struct config *config,
    const struct chunk_sink *sink, struct err *err);
void xattr_capture_free(struct xattr_capture *x);

/*
 * Stores the attributes of an open file or directory, or (name not NULL) of
 * `name` in the open directory fd, symlinks not followed.  *out is CONTENT_NONE
 * where there are none.  Returns 0, a negative code when the store failed, or
 * a positive errno when the source did; then *out has what could be read.
 */
int xattr_capture(struct xattr_capture *x, int fd, const char *name,
    struct content *out, struct err *err);

/* Puts a stored set into an entry. */
void capture_set_xattrs(struct tree_entry *e, const struct content *set);

/* ---- Owners ---- */

struct owners {
	uint32_t *ids[2]; /* by enum owner_kind, rising */
	size_t n[2];
	uint32_t last[2];
	bool oom;
};

void owners_init(struct owners *o);
void owners_fini(struct owners *o);
void owners_add(struct owners *o, uint32_t uid, uint32_t gid);
void owners_merge(struct owners *into, const struct owners *from);

/* Looks the names up and stores the table; FORMAT.md, section 8. */
int owners_put(const struct owners *o, const struct config *config,
    const struct chunk_sink *sink, struct content *out, struct err *err);

#endif
