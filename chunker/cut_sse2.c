/*
 * The path for every x86-64: 8 words of each stream a step, a quarter window.
 */
#ifdef __x86_64__

#include <emmintrin.h>

#include "chunker/cut_path.h"

#define LANES_BYTES 16

/*
 * The words of one stream's last step, by how many words they have folded; P32
 * looks back two steps, so P16 is kept from both.
 */
struct lanes {
	__m128i p2, p4, p8, p16, p16_older;
};

static inline __m128i all(uint32_t v)
{
	return _mm_set1_epi16((short)(uint16_t)v);
}

static inline __m128i load(const uint8_t *at)
{
	return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* now + multiplier * before */
static inline __m128i fold(__m128i now, __m128i before, uint32_t multiplier)
{
	before = _mm_mullo_epi16(before, all(multiplier));
	return _mm_add_epi16(now, before);
}

/* Moves a stream on by one vector, whose words begin at `at`. */
static inline __m128i lanes_step(struct lanes *last, const uint8_t *at)
{
	struct lanes now;
	__m128i before;
	__m128i hash;

	now.p2 = fold(_mm_mullo_epi16(load(at), all(CUT_M1)), load(at - 2),
	    CUT_M1 * CUT_M2);
	before = _mm_or_si128(_mm_slli_si128(now.p2, 4),
	    _mm_srli_si128(last->p2, 12));
	now.p4 = fold(now.p2, before, CUT_M4);
	before = _mm_or_si128(_mm_slli_si128(now.p4, 8),
	    _mm_srli_si128(last->p4, 8));
	now.p8 = fold(now.p4, before, CUT_M8);
	now.p16 = fold(now.p8, last->p8, CUT_M16);
	now.p16_older = last->p16;
	hash = fold(now.p16, last->p16_older, CUT_M32);
	*last = now;
	return _mm_add_epi16(hash, all(CUT_ADD));
}

/* All ones where a <= b: SSE2 compares no unsigned words, but saturates. */
static inline __m128i at_most(__m128i a, __m128i b)
{
	return _mm_cmpeq_epi16(_mm_subs_epu16(a, b), _mm_setzero_si128());
}

static inline uint32_t byte_mask(__m128i words)
{
	return (uint32_t)_mm_movemask_epi8(words);
}

size_t cut_scan_sse2(const struct cut_params *p, const uint8_t *data,
    size_t end)
{
	const __m128i limit = all(p->below - 1u);
	const __m128i zero = _mm_setzero_si128();
	struct lanes odd = { zero, zero, zero, zero, zero };
	struct lanes even = odd;
	size_t base = p->min;

	/* Four steps before the first block fill what it looks back at. */
	for (size_t back = 4 * LANES_BYTES; back > 0; back -= LANES_BYTES) {
		(void)lanes_step(&odd, data + base - 1 - back);
		(void)lanes_step(&even, data + base - back);
	}

	for (; end - base >= LANES_BYTES; base += LANES_BYTES) {
		__m128i a = at_most(lanes_step(&odd, data + base - 1), limit);
		__m128i b = at_most(lanes_step(&even, data + base), limit);
		uint64_t candidates = (byte_mask(a) & CUT_FIRST_STREAM) |
		    (byte_mask(b) & ~CUT_FIRST_STREAM);
		size_t cut;

		if (__builtin_expect(candidates == 0, 1))
			continue;
		cut = cut_decide_block(p, data, base + 1, candidates);
		if (cut)
			return cut;
	}
	return cut_scan_rest(p, data, base + 1, end);
}

#endif
