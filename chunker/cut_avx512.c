/*
 * The path for AVX-512BW: 32 words of each stream a step, the whole window in
 * one vector.
 */
#ifdef __x86_64__

#include <immintrin.h>

#include "chunker/cut_path.h"

#define AVX512 __attribute__((target("avx512f,avx512bw")))

#define LANES_BYTES 64

/* The words of one stream's last step, by how many words they have folded. */
struct lanes {
	__m512i p2, p4, p8, p16;
};

AVX512 static inline __m512i all(uint32_t v)
{
	return _mm512_set1_epi16((short)(uint16_t)v);
}

/* now + multiplier * before */
AVX512 static inline __m512i fold(__m512i now, __m512i before,
    uint32_t multiplier)
{
	before = _mm512_mullo_epi16(before, all(multiplier));
	return _mm512_add_epi16(now, before);
}

/*
 * Moves a stream on by one vector, whose words begin at `at`; returns their
 * hashes.  alignr(now, last, n) gives the words 2 * (16 - n) before.
 */
AVX512 static inline __m512i lanes_step(struct lanes *last, const uint8_t *at)
{
	struct lanes now;
	__m512i before;
	__m512i hash;

	hash = _mm512_mullo_epi16(_mm512_loadu_si512(at), all(CUT_M1));
	before = _mm512_loadu_si512(at - 2);
	now.p2 = fold(hash, before, CUT_M1 * CUT_M2);
	before = _mm512_alignr_epi32(now.p2, last->p2, 15);
	now.p4 = fold(now.p2, before, CUT_M4);
	before = _mm512_alignr_epi32(now.p4, last->p4, 14);
	now.p8 = fold(now.p4, before, CUT_M8);
	before = _mm512_alignr_epi32(now.p8, last->p8, 12);
	now.p16 = fold(now.p8, before, CUT_M16);
	before = _mm512_alignr_epi32(now.p16, last->p16, 8);
	hash = fold(now.p16, before, CUT_M32);
	*last = now;
	return _mm512_add_epi16(hash, all(CUT_ADD));
}

AVX512 static inline uint64_t byte_mask(__mmask32 words)
{
	return _mm512_movepi8_mask(_mm512_movm_epi16(words));
}

AVX512 size_t cut_scan_avx512(const struct cut_params *p, const uint8_t *data,
    size_t end)
{
	const __m512i below = all(p->below);
	const __m512i zero = _mm512_setzero_si512();
	struct lanes odd = { zero, zero, zero, zero };
	struct lanes even = odd;
	size_t base = p->min;

	/* One step before the first block fills what it looks back at. */
	(void)lanes_step(&odd, data + base - 1 - LANES_BYTES);
	(void)lanes_step(&even, data + base - LANES_BYTES);

	for (; end - base >= LANES_BYTES; base += LANES_BYTES) {
		__m512i a = lanes_step(&odd, data + base - 1);
		__m512i b = lanes_step(&even, data + base);
		__mmask32 in_a = _mm512_cmplt_epu16_mask(a, below);
		__mmask32 in_b = _mm512_cmplt_epu16_mask(b, below);
		uint64_t candidates;
		size_t cut;

		if (__builtin_expect((in_a | in_b) == 0, 1))
			continue;
		candidates = (byte_mask(in_a) & CUT_FIRST_STREAM) |
		    (byte_mask(in_b) & ~CUT_FIRST_STREAM);
		cut = cut_decide_block(p, data, base + 1, candidates);
		if (cut)
			return cut;
	}
	return cut_scan_rest(p, data, base + 1, end);
}

#endif
