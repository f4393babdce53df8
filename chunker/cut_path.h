/*
 * cut_path -- what the paths of the `pw` chunker share; private to cut*.c.
 *
 * All lengths are counted from the start of the chunk, at `data`.  A cut of
 * length i lies before data[i] and is decided by its window, data[i - 64, i),
 * alone.  The first stage hashes the window's 32 words, little-endian and 16
 * bits each, by doubling; all arithmetic is modulo 65536:
 *
 *     P1(j)  = 0x9E35 * word(j)             word(j) = data[j], data[j + 1]
 *     P2(j)  = P1(j)  + 0x6D2D * P1(j - 2)
 *     P4(j)  = P2(j)  + 0xB535 * P2(j - 4)
 *     P8(j)  = P4(j)  + 0x5851 * P4(j - 8)
 *     P16(j) = P8(j)  + 0xC2B9 * P8(j - 16)
 *     P32(j) = P16(j) + 0x2F85 * P16(j - 32)
 *
 * and i is a candidate when P32(i - 2) + 0x5A17 < below.  The multipliers are
 * 1 modulo 4, so periodic data loses one bit a step and no more.  Six steps
 * instead of 32, in 16-bit lanes every vector unit has, are the whole speed.
 *
 * The second stage makes a candidate a cut when XXH3-64 of the window, seeded
 * with the key, is zero under mask_early for i <= target, under mask_late for
 * i > target.  The first cut among the lengths above min and up to max is
 * taken; without one the chunk has max bytes, or all there are.
 *
 * With target = 2^bits and stage1 = min(12, bits - norm), below is
 * 2^(16 - stage1), and the masks have their low bits + norm - stage1 and low
 * bits - norm - stage1 bits set: normalization asks a cut before the target
 * for norm bits more, and one after it for norm bits less.
 *
 * Words start at every byte, so a path works on two streams side by side, one
 * for the even and one for the odd addresses, each in whole words.
 *
 * Threads: no state; any at once.
 */
#ifndef CHUNKER_CUT_PATH_H
#define CHUNKER_CUT_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/cut.h"
#include "chunker/sum.h"

#define CUT_WINDOW 64
#define CUT_WORDS (CUT_WINDOW / 2)

/* The multipliers of P1, P2, P4, P8, P16 and P32, and the last addend. */
#define CUT_M1 0x9E35u
#define CUT_M2 0x6D2Du
#define CUT_M4 0xB535u
#define CUT_M8 0x5851u
#define CUT_M16 0xC2B9u
#define CUT_M32 0x2F85u
#define CUT_ADD 0x5A17u

/*
 * A vector path gets two bits for each word of both streams; the first stream
 * owns the lengths base + 1, base + 3 and so on, the second those between.
 */
#define CUT_FIRST_STREAM UINT64_C(0x5555555555555555)

/*
 * A scan looks for the first cut of a length above p->min and up to end, and
 * returns it, or end when there is none.  p->min < end <= p->max.
 */
typedef size_t cut_scan(const struct cut_params *p, const uint8_t *data,
    size_t end);

cut_scan cut_scan_scalar;
cut_scan cut_scan_plain;
#ifdef __x86_64__
cut_scan cut_scan_sse2;
cut_scan cut_scan_avx2;
cut_scan cut_scan_avx512;
#endif

/*
 * The scalar scan of the lengths from first to end only; a path whose blocks
 * do not divide its work leaves the rest to it.
 */
size_t cut_scan_rest(const struct cut_params *p, const uint8_t *data,
    size_t first, size_t end);

/* The second stage: is the candidate of length i a cut? */
static inline bool cut_decide(const struct cut_params *p, const uint8_t *data,
    size_t i)
{
	uint64_t mask = i <= p->target ? p->mask_early : p->mask_late;

	return !(sum64_seeded(data + i - CUT_WINDOW, CUT_WINDOW, p->key) &
	    mask);
}

/*
 * Decides a block's candidates: bit k of `candidates` stands for the length
 * first + k.  Returns the first cut, or 0 for none.
 */
static inline size_t cut_decide_block(const struct cut_params *p,
    const uint8_t *data, size_t first, uint64_t candidates)
{
	for (; candidates; candidates &= candidates - 1) {
		size_t i = first + (size_t)__builtin_ctzll(candidates);

		if (cut_decide(p, data, i))
			return i;
	}
	return 0;
}

#endif
