/*
 * walk -- what lies in a directory, and the way to it, by descriptors alone.
 *
 * Nothing here gives the kernel a path, so trees deeper than PATH_MAX are
 * walked like any other, and nobody can lead the walk astray by putting a
 * symlink in its way.
 *
 * Memory: a list holds the names of one directory, some 16 bytes a name beside
 * the name's own bytes, and gives back what a large one took.
 *
 * Threads: a list belongs to one thread.
 */
#ifndef TOOLS_WALK_H
#define TOOLS_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "chunker/buf.h"
#include "chunker/err.h"

struct walk_name {
	uint64_t prefix; /* first eight bytes, big-endian: compared first */
	uint32_t offset; /* of the name in `bytes` */
	uint32_t len;
};

struct walk_list {
	struct buf bytes; /* names, each NUL-terminated */
	struct walk_name *names;
	uint32_t n;
	uint32_t cap;
	uint8_t *block; /* what getdents64 fills */
};

void walk_list_init(struct walk_list *l);
void walk_list_fini(struct walk_list *l);

/* Forgets the names. */
void walk_list_reset(struct walk_list *l);

/* Adds one by hand, for directories of which only some names are wanted. */
int walk_list_add(struct walk_list *l, const char *name, size_t len,
    struct err *err);

/*
 * Reads all names of an open directory, without "." and "..", in byte order.
 * The failure of the directory itself is ERR_SYSTEM (or ERR_NOT_FOUND) with
 * err->sys set; memory running out is ERR_NOMEM.
 */
int walk_list_read(struct walk_list *l, int fd, struct err *err);

void walk_list_sort(struct walk_list *l);

/* The i-th name, borrowed until the list is reset. */
static inline const char *walk_list_name(const struct walk_list *l, uint32_t i)
{
	return (const char *)l->bytes.data + l->names[i].offset;
}

/*
 * Opens a directory or file by name beneath an open directory, never through a
 * symlink, never changing its access time where that is allowed.  Returns the
 * descriptor, or -1 and errno.
 */
int walk_open_dir(int at, const char *name);
int walk_open_file(int at, const char *name);

#endif
