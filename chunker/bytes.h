/*
 * bytes -- numbers to and from bytes, the one place that knows byte order.
 *
 * Everything ieri writes to disk is little-endian.  Fixed-width accessors
 * serve records with offsets; varints (LEB128, seven bits a byte, low bits
 * first, at most ten bytes) serve directory pages.  A struct bytes walks a
 * buffer that is not trusted: it never reads past the end, and remembers that
 * somebody tried.
 *
 * Threads: no state but the caller's.
 */
#ifndef CHUNKER_BYTES_H
#define CHUNKER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VARINT_MAX 10

/* Whether all are zero, as reserved ones have to be. */
static inline bool bytes_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static inline uint16_t le16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* One load where the machine's order is ours; not every compiler finds it. */
static inline uint32_t le32_get(const uint8_t *p)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
#else
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
#endif
}

static inline uint64_t le64_get(const uint8_t *p)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
#else
	return (uint64_t)le32_get(p) | (uint64_t)le32_get(p + 4) << 32;
#endif
}

static inline void le16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void le32_put(uint8_t *p, uint32_t v)
{
	le16_put(p, (uint16_t)v);
	le16_put(p + 2, (uint16_t)(v >> 16));
}

static inline void le64_put(uint8_t *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put(p + 4, (uint32_t)(v >> 32));
}

/* Signed numbers near zero become small unsigned ones: 0, -1, 1, -2, ... */
static inline uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Writes v at p, which has room for VARINT_MAX.  Returns the bytes used. */
static inline size_t varint_put(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		p[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	p[n++] = (uint8_t)v;
	return n;
}

/* A walk through untrusted bytes.  `bad` sticks; later answers are zero. */
struct bytes {
	const uint8_t *next;
	const uint8_t *end;
	bool bad;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct bytes){ .next = p, .end = p + len, .bad = false };
}

static inline size_t bytes_left(const struct bytes *b)
{
	return (size_t)(b->end - b->next);
}

/* The next len bytes, borrowed; NULL and bad when there are fewer. */
static inline const uint8_t *bytes_take(struct bytes *b, size_t len)
{
	const uint8_t *p = b->next;

	if (b->bad || len > bytes_left(b)) {
		b->bad = true;
		return NULL;
	}
	b->next += len;
	return p;
}

static inline uint8_t bytes_u8(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 1);

	return p ? *p : 0;
}

static inline uint16_t bytes_le16(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 2);

	return p ? le16_get(p) : 0;
}

static inline uint32_t bytes_le32(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 4);

	return p ? le32_get(p) : 0;
}

static inline uint64_t bytes_le64(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 8);

	return p ? le64_get(p) : 0;
}

/* Refuses a varint of more than 64 bits, and one padded with zero bytes. */
static inline uint64_t bytes_varint(struct bytes *b)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c;

		if (b->bad || b->next == b->end)
			break;
		c = *b->next++;
		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			if (c == 0 && shift)
				break;
			return v;
		}
	}
	b->bad = true;
	return 0;
}

#endif
