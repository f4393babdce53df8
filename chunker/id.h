/*
 * id -- the 16-byte name of a chunk, keyed by the store's secret.
 *
 *     id = AES-128_K2( GMAC-AES-128_K1( nonce(kind), chunk ) )
 *
 * the hash-then-PRF construction (Wegman and Carter 1981; GMAC is NIST SP
 * 800-38D).  The nonce is eleven zero bytes and the kind, so a file that
 * holds the bytes of a directory page is never taken for one.  Without the
 * keys nobody can make two chunks of one name; that is why tenants who do not
 * trust each other may share a store.  FORMAT.md, section 3.
 *
 * An id of sixteen zero bytes names nothing: it stands for a hole or for no
 * content.
 *
 * Threads: a struct id_key is plain data.  A struct id_hasher belongs to one
 * thread at a time.
 */
#ifndef CHUNKER_ID_H
#define CHUNKER_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "chunker/err.h"

#define ID_LEN 16
#define ID_HEX (2 * ID_LEN + 1)
#define ID_SECRET_LEN 32

struct id {
	uint8_t b[ID_LEN];
};

/* What a chunk is; frozen, part of the format. */
enum id_kind {
	ID_DATA = 0, /* bytes of a file */
	ID_TREE = 1, /* a directory page */
	ID_LIST = 2, /* a node of a rope */
	ID_META = 3, /* extended attributes, owner names, link tables */
};

#define ID_KINDS 4

struct id_key {
	uint8_t k1[16];
	uint8_t k2[16];
};

struct id_hasher;

/*
 * Derives the keys of one dedup domain from the store's secret: HKDF-SHA256,
 * salt the store's uuid, info "ieri ids" and the domain as u32.
 */
int id_key_derive(struct id_key *out, const uint8_t secret[ID_SECRET_LEN],
    const uint8_t uuid[16], uint32_t domain, struct err *err);

/* Derives the key of the cut points; info "ieri cuts". */
int id_cut_key_derive(uint64_t *out, const uint8_t secret[ID_SECRET_LEN],
    const uint8_t uuid[16], struct err *err);

/* Fills buf with random bytes fit for keys. */
int id_random(void *buf, size_t len, struct err *err);

/* On success *out is the caller's, to be released with id_hasher_free. */
int id_hasher_new(struct id_hasher **out, const struct id_key *key,
    struct err *err);
void id_hasher_free(struct id_hasher *h);

/* Names data[0, len).  An empty chunk has a name like any other. */
int id_hash(struct id_hasher *h, enum id_kind kind, const void *data,
    size_t len, struct id *out, struct err *err);

/* Lower-case hexadecimal, NUL-terminated.  Returns hex. */
char *id_hex(const struct id *id, char hex[ID_HEX]);

/* Parses exactly 32 hexadecimal digits; ERR_INVALID otherwise. */
int id_parse(struct id *out, const char *hex, struct err *err);

static inline bool id_equal(const struct id *a, const struct id *b)
{
	return memcmp(a->b, b->b, ID_LEN) == 0;
}

static inline bool id_is_zero(const struct id *a)
{
	static const struct id zero;

	return id_equal(a, &zero);
}

#endif
