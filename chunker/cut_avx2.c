/*
 * The path for AVX2: 16 words of each stream a step, half a window.
 */
#ifdef __x86_64__

#include <immintrin.h>

#include "chunker/cut_path.h"

#define AVX2 __attribute__((target("avx2")))

#define LANES_BYTES 32

/* The words of one stream's last step, by how many words they have folded. */
struct lanes {
	__m256i p2, p4, p8, p16;
};

AVX2 static inline __m256i all(uint32_t v)
{
	return _mm256_set1_epi16((short)(uint16_t)v);
}

AVX2 static inline __m256i load(const uint8_t *at)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

/* now + multiplier * before */
AVX2 static inline __m256i fold(__m256i now, __m256i before,
    uint32_t multiplier)
{
	before = _mm256_mullo_epi16(before, all(multiplier));
	return _mm256_add_epi16(now, before);
}

/* The words 16 bytes before those of now. */
AVX2 static inline __m256i half_before(__m256i now, __m256i last)
{
	return _mm256_permute2x128_si256(last, now, 0x21);
}

/*
 * Moves a stream on by one vector, whose words begin at `at`; returns their
 * hashes.  alignr works within halves, hence the detour over half_before.
 */
AVX2 static inline __m256i lanes_step(struct lanes *last, const uint8_t *at)
{
	struct lanes now;
	__m256i before;
	__m256i hash;

	now.p2 = fold(_mm256_mullo_epi16(load(at), all(CUT_M1)), load(at - 2),
	    CUT_M1 * CUT_M2);
	before = half_before(now.p2, last->p2);
	before = _mm256_alignr_epi8(now.p2, before, 12);
	now.p4 = fold(now.p2, before, CUT_M4);
	before = half_before(now.p4, last->p4);
	before = _mm256_alignr_epi8(now.p4, before, 8);
	now.p8 = fold(now.p4, before, CUT_M8);
	now.p16 = fold(now.p8, half_before(now.p8, last->p8), CUT_M16);
	hash = fold(now.p16, last->p16, CUT_M32);
	*last = now;
	return _mm256_add_epi16(hash, all(CUT_ADD));
}

/* All ones where a <= b; AVX2 compares no unsigned words. */
AVX2 static inline __m256i at_most(__m256i a, __m256i b)
{
	return _mm256_cmpeq_epi16(_mm256_min_epu16(a, b), a);
}

AVX2 static inline uint32_t byte_mask(__m256i words)
{
	return (uint32_t)_mm256_movemask_epi8(words);
}

AVX2 size_t cut_scan_avx2(const struct cut_params *p, const uint8_t *data,
    size_t end)
{
	const __m256i limit = all(p->below - 1u);
	const __m256i zero = _mm256_setzero_si256();
	struct lanes odd = { zero, zero, zero, zero };
	struct lanes even = odd;
	size_t base = p->min;

	/* Two steps before the first block fill what it looks back at. */
	for (size_t back = 2 * LANES_BYTES; back > 0; back -= LANES_BYTES) {
		(void)lanes_step(&odd, data + base - 1 - back);
		(void)lanes_step(&even, data + base - back);
	}

	for (; end - base >= LANES_BYTES; base += LANES_BYTES) {
		__m256i a = at_most(lanes_step(&odd, data + base - 1), limit);
		__m256i b = at_most(lanes_step(&even, data + base), limit);
		__m256i any = _mm256_or_si256(a, b);
		uint64_t candidates;
		size_t cut;

		if (__builtin_expect(_mm256_testz_si256(any, any), 1))
			continue;
		candidates = (byte_mask(a) & CUT_FIRST_STREAM) |
		    (byte_mask(b) & ~CUT_FIRST_STREAM);
		cut = cut_decide_block(p, data, base + 1, candidates);
		if (cut)
			return cut;
	}
	return cut_scan_rest(p, data, base + 1, end);
}

#endif
