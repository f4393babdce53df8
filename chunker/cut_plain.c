/*
 * The paths for every machine: the scalar one, which is the definition, and
 * one that does the same in long loops a compiler turns into vectors.
 */
#include <endian.h>
#include <string.h>

#include "chunker/bytes.h"
#include "chunker/cut_path.h"

/*
 * hash[k] starts as P1 of the word k words before the window's last one.  Each
 * step folds pairs of neighbours, twice as far apart as the step before.
 */
static uint16_t window_hash(const uint8_t *end)
{
	static const uint16_t multiplier[] = { CUT_M2, CUT_M4, CUT_M8, CUT_M16,
		CUT_M32 };
	uint16_t hash[CUT_WORDS];

	for (size_t k = 0; k < CUT_WORDS; k++)
		hash[k] = (uint16_t)(le16_get(end - 2 * (k + 1)) * CUT_M1);
	for (size_t step = 0; step < 5; step++) {
		size_t apart = (size_t)1 << step;

		for (size_t k = 0; k < CUT_WORDS; k += 2 * apart)
			hash[k] = (uint16_t)(hash[k] +
			    (uint32_t)hash[k + apart] * multiplier[step]);
	}
	return (uint16_t)(hash[0] + CUT_ADD);
}

size_t cut_scan_rest(const struct cut_params *p, const uint8_t *data,
    size_t first, size_t end)
{
	for (size_t i = first; i <= end; i++)
		if (window_hash(data + i) < p->below && cut_decide(p, data, i))
			return i;
	return end;
}

size_t cut_scan_scalar(const struct cut_params *p, const uint8_t *data,
    size_t end)
{
	return cut_scan_rest(p, data, (size_t)p->min + 1, end);
}

/* Words of one stream in a block.  The arrays of a block stay in the L1. */
#define BLOCK 512

/*
 * A block with the window's words before it, which its hashes reach, and in
 * front of them zeros, so that every loop runs over a round number of words.
 * With each step the first few words before the block are wrong, but never
 * those that the next step needs.
 */
#define ZEROS 8
#define SPAN (ZEROS + CUT_WORDS + BLOCK)

/* One step of the doubling, from `in` to `out`, which differ. */
static inline void fold(uint16_t *restrict out, const uint16_t *restrict in,
    size_t apart, uint32_t multiplier)
{
	for (size_t k = ZEROS; k < SPAN; k++)
		out[k] = (uint16_t)(in[k] + in[k - apart] * multiplier);
}

/* Fills hash[k] with the hash of the window whose last word is at + 2 * k. */
static void block_hash(const uint8_t *at, uint16_t *restrict hash)
{
	uint16_t a[SPAN], b[SPAN];

	memset(a, 0, ZEROS * sizeof(*a));
	memset(b, 0, ZEROS * sizeof(*b));
	memcpy(a + ZEROS, at - CUT_WINDOW, sizeof(a) - ZEROS * sizeof(*a));
	for (size_t k = ZEROS; k < SPAN; k++)
		b[k] = (uint16_t)(le16toh(a[k]) * CUT_M1);
	fold(a, b, 1, CUT_M2);
	fold(b, a, 2, CUT_M4);
	fold(a, b, 4, CUT_M8);
	fold(b, a, 8, CUT_M16);
	for (size_t k = 0; k < BLOCK; k++)
		hash[k] = (uint16_t)(b[k + SPAN - BLOCK] +
		    b[k + SPAN - BLOCK - CUT_WORDS / 2] * CUT_M32 + CUT_ADD);
}

static uint16_t least(const uint16_t *hash)
{
	uint16_t low = UINT16_MAX;

	for (size_t k = 0; k < BLOCK; k++)
		low = hash[k] < low ? hash[k] : low;
	return low;
}

size_t cut_scan_plain(const struct cut_params *p, const uint8_t *data,
    size_t end)
{
	uint16_t hash[2][BLOCK];
	size_t base = p->min;

	/* A block decides the lengths from base + 1 to base + 2 * BLOCK. */
	for (; end - base >= 2 * BLOCK; base += 2 * BLOCK) {
		block_hash(data + base - 1, hash[0]);
		block_hash(data + base, hash[1]);
		if (least(hash[0]) >= p->below && least(hash[1]) >= p->below)
			continue;
		for (size_t k = 0; k < 2 * BLOCK; k++)
			if (hash[k & 1][k >> 1] < p->below &&
			    cut_decide(p, data, base + 1 + k))
				return base + 1 + k;
	}
	return cut_scan_rest(p, data, base + 1, end);
}
