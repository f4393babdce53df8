/*
 * blob -- small sets kept as content of kind ID_META: extended attributes,
 * owner names, hard links.  FORMAT.md, sections 6 and 8.
 *
 * Threads: plain functions over the caller's data; a blob_writer belongs to
 * one thread.
 */
#ifndef INDEX_BLOB_H
#define INDEX_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "chunker/buf.h"
#include "chunker/bytes.h"
#include "chunker/err.h"
#include "index/chunks.h"
#include "index/config.h"
#include "index/rope.h"

/* Cuts data[0, len) and puts it.  len 0 gives CONTENT_NONE. */
int blob_put(const struct config *config, const struct chunk_sink *sink,
    const uint8_t *data, size_t len, struct content *out, struct err *err);

/*
 * Reads all of it; *out is the caller's, from malloc, NULL only when empty.
 * ERR_INVALID when it has more than max bytes.
 */
int blob_get(const struct chunk_source *src, const struct content *content,
    size_t max, uint8_t **out, size_t *len, struct err *err);

/* ---- Extended attributes ---- */

struct xattr {
	const char *name; /* NUL-terminated when given, not when decoded */
	size_t name_len;
	const uint8_t *value;
	size_t value_len;
};

#define XATTR_SET_MAX (64u << 20)

/*
 * Encodes the set; sorts `set` by name in place.  Names differ, have 1 to 65535
 * bytes, and a value fits 32 bits.
 */
void xattr_encode(struct buf *out, struct xattr *set, size_t n);

struct xattr_iter {
	struct bytes rest;
	uint32_t left;
	const char *last;
	size_t last_len;
};

int xattr_iter_init(struct xattr_iter *it, const uint8_t *data, size_t len,
    struct err *err);
int xattr_iter_next(struct xattr_iter *it, struct xattr *out,
    struct err *err);

/* ---- Names of owners ---- */

#define OWNER_NAME_MAX 255

enum owner_kind {
	OWNER_USER = 0,
	OWNER_GROUP = 1,
};

struct owner {
	enum owner_kind kind;
	uint32_t number;
	const char *name; /* not NUL-terminated */
	size_t name_len;
};

/*
 * Appends one; the caller adds them in rising (kind, number).  A name has at
 * most OWNER_NAME_MAX bytes.
 */
void owner_encode(struct buf *out, const struct owner *o);

/* 1 and *out, 0 at the end, or a negative code; begin with bytes_of. */
int owner_next(struct bytes *in, struct owner *out, struct err *err);

/* ---- Hard links ---- */

#define LINK_SIZE 24

struct link {
	uint32_t dev;
	uint32_t names; /* in this snapshot, at least 2 */
	uint64_t ino;
	uint64_t number; /* of the first name */
};

void link_encode(const struct link *l, uint8_t out[LINK_SIZE]);
struct link link_decode(const uint8_t data[LINK_SIZE]);

/* Binary search; ERR_NOT_FOUND: it has one name in this snapshot. */
int link_find(const struct chunk_source *src, const struct content *links,
    uint32_t dev, uint64_t ino, struct link *out, struct err *err);

#endif
