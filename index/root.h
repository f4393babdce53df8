/*
 * root -- the record that makes a snapshot recoverable without the index.
 *
 * FORMAT.md, section 8.
 *
 * Threads: plain data.
 */
#ifndef INDEX_ROOT_H
#define INDEX_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/buf.h"
#include "chunker/err.h"
#include "chunker/id.h"
#include "index/rope.h"
#include "index/tree.h"

#define ROOT_SERIAL_MAX ((1u << 23) - 1)
#define ROOT_DIGEST_LEN 32
#define ROOT_ZONE_MAX 63
#define ROOT_HOST_MAX 255
#define RESOURCE_NAME_MAX 1000

/*
 * Whether this can name a resource: 1 to RESOURCE_NAME_MAX bytes, components
 * parted by single slashes, none of them empty, "." or ".." or longer than a
 * file name may be, and no control bytes.
 */
bool resource_name_ok(const char *name, size_t len);

struct root_pack {
	uint32_t no;
	struct id id;
};

/*
 * A root record, decoded.  Pointers are borrowed: from the bytes given to
 * root_decode, or whatever the encoder's caller owns.
 */
struct root {
	uint8_t uuid[16];
	struct id id;
	uint64_t serial;
	uint64_t session;
	uint8_t prev[ROOT_DIGEST_LEN];
	uint32_t resource_no;
	int64_t time_ns;
	int64_t end_ns;
	int32_t utc_offset; /* seconds */
	uint64_t n_files;
	uint64_t n_dirs;
	uint64_t n_other;
	uint64_t n_bytes;
	uint64_t n_added;  /* bytes added to the packs */
	uint64_t n_faults; /* things that could not be read whole */
	const char *resource; /* not NUL-terminated */
	size_t resource_len;
	struct tree_entry top;
	struct content links;
	struct content names;
	const uint8_t *packs; /* root_pack_at reads it */
	size_t n_packs;
	const char *zone;
	size_t zone_len;
	const uint8_t *sources; /* raw bytes of section 7 */
	size_t sources_len;
	const char *host;
	size_t host_len;
};

#define ROOT_PACK_SIZE 20
void root_pack_encode(const struct root_pack *p, uint8_t out[ROOT_PACK_SIZE]);

/*
 * Appends the record; r->packs holds n_packs encoded pairs of 20 bytes.
 * ERR_INVALID for what root_decode would refuse, except within r->top.
 */
int root_encode(struct buf *out, const struct root *r, struct err *err);

/* ERR_CORRUPT or ERR_FORMAT; *out borrows from data. */
int root_decode(struct root *out, const uint8_t *data, size_t len,
    struct err *err);

struct root_pack root_pack_at(const struct root *r, size_t i);

/* SHA-256 of a whole encoded record, for its successor's prev. */
int root_digest(const uint8_t *data, size_t len, uint8_t out[ROOT_DIGEST_LEN],
    struct err *err);

#endif
