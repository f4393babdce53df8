/*
 * tree_private -- what the writer and the reader of directories share: pages,
 * their inner entries, and what makes an entry acceptable.
 *
 * Threads: plain functions over the caller's data.
 */
#ifndef INDEX_TREE_PRIVATE_H
#define INDEX_TREE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "chunker/buf.h"
#include "chunker/bytes.h"
#include "chunker/err.h"
#include "chunker/id.h"
#include "index/tree.h"

#define TREE_PAGE_HEAD 8

/* Things below one directory: counts and sums stay signed-safe for everyone. */
#define TREE_BENEATH_MAX ((uint64_t)INT64_MAX - 1)

struct tree_page {
	int level;
	uint32_t count;
};

/* One entry of an inner page; name is borrowed from the bytes. */
struct tree_inner {
	const char *name;
	size_t name_len;
	struct id id;
	uint64_t entries;
	uint64_t span;
};

/* Begins a page; the count is filled in by tree_page_seal. */
void tree_page_begin(struct buf *page, int level);
void tree_page_seal(struct buf *page, uint32_t count);

/* Takes the head from the front of the page. */
int tree_page_decode(struct tree_page *out, struct bytes *in, struct err *err);

void tree_inner_encode(struct buf *out, const struct tree_inner *e);
int tree_inner_decode(
    struct tree_inner *out, struct bytes *in, struct err *err);

/* NULL, or in a few words what no stored entry may be. */
const char *tree_entry_complaint(const struct tree_entry *e, bool root);

static inline int tree_name_order(
    const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;
	int order = memcmp(a, b, len);

	if (order)
		return order;
	return (a_len > b_len) - (a_len < b_len);
}

/* The varint of two to eight bytes at the front of w; *len is its length. */
static inline uint64_t varint_squeeze(uint64_t w, unsigned *len)
{
	uint64_t stop = ~w & 0x8080808080808080;

	*len = ((unsigned)__builtin_ctzll(stop) + 1) / 8;
	w &= stop ^ (stop - 1);
	w = (w & 0x007f007f007f007f) | ((w & 0x7f007f007f007f00) >> 1);
	w = (w & 0x00003fff00003fff) | ((w & 0x3fff00003fff0000) >> 2);
	return (w & 0x0fffffff) | ((w & 0x0fffffff00000000) >> 4);
}

/* The cold half of tree_varint; kept out of its way. */
uint64_t tree_varint_rest(struct bytes *b);

/*
 * bytes_varint, the same answers sooner.  A directory is mostly varints of
 * lengths that no branch predictor guesses (nanoseconds, inodes, sizes), so
 * those of two to eight bytes are taken without a loop.  Inlining is forced:
 * ten calls an entry cost a third of its decoding.
 */
static inline __attribute__((always_inline)) uint64_t tree_varint(
    struct bytes *b)
{
	unsigned len;
	uint64_t v;
	uint64_t w;

	if (bytes_left(b) < 8)
		return tree_varint_rest(b);
	w = le64_get(b->next);
	if (!(w & 0x80)) {
		b->next++;
		return w & 0x7f;
	}
	if (!(~w & 0x8080808080808080))
		return tree_varint_rest(b);

	v = varint_squeeze(w, &len);
	if (!b->next[len - 1])
		b->bad = true; /* padded: not the shortest form */
	b->next += len;
	return v;
}

#endif
