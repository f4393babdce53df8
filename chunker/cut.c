#include "chunker/cut.h"

#include <assert.h>

#include "chunker/cut_path.h"

#define TARGET_LEAST (1u << 10)
#define TARGET_MOST (1u << 24)
#define MAX_MOST (1u << 26)
#define NORM_MOST 3

/*
 * Bits decided by the first stage, at most.  One candidate in 4096 bytes makes
 * the second stage cost nothing and leaves the key as many bits as it can.
 */
#define STAGE1_BITS 12

static uint64_t low_ones(unsigned n)
{
	return ((uint64_t)1 << n) - 1;
}

int cut_params_init(struct cut_params *p, uint32_t min, uint32_t target,
    uint32_t max, unsigned norm, uint64_t key, struct err *err)
{
	unsigned bits, stage1;

	if (target < TARGET_LEAST || target > TARGET_MOST ||
	    (target & (target - 1)) != 0)
		return err_set(err, ERR_INVALID,
		    "chunk target %u is not a power of two from %u to %u",
		    target, TARGET_LEAST, TARGET_MOST);
	if (min < CUT_MIN_LEAST || min >= target || max <= target ||
	    max > MAX_MOST)
		return err_set(err, ERR_INVALID,
		    "chunk sizes %u, %u, %u do not rise from %u to %u", min,
		    target, max, CUT_MIN_LEAST, MAX_MOST);
	if (norm > NORM_MOST)
		return err_set(err, ERR_INVALID,
		    "chunk normalization %u is above %u", norm, NORM_MOST);

	bits = (unsigned)__builtin_ctz(target);
	stage1 = bits - norm < STAGE1_BITS ? bits - norm : STAGE1_BITS;
	*p = (struct cut_params){
		.min = min,
		.target = target,
		.max = max,
		.key = key,
		.mask_early = low_ones(bits + norm - stage1),
		.mask_late = low_ones(bits - norm - stage1),
		.below = (uint16_t)(1u << (16 - stage1)),
	};
	return 0;
}

/* The scan of a path; NULL when this machine or build lacks it. */
static cut_scan *scan_of(enum cut_path path)
{
	switch (path) {
	case CUT_SCALAR:
		return cut_scan_scalar;
	case CUT_PLAIN:
		return cut_scan_plain;
#ifdef __x86_64__
	/* The compiler's run time asked the processor before main. */
	case CUT_SSE2:
		return cut_scan_sse2;
	case CUT_AVX2:
		if (__builtin_cpu_supports("avx2"))
			return cut_scan_avx2;
		return NULL;
	case CUT_AVX512:
		if (__builtin_cpu_supports("avx512bw"))
			return cut_scan_avx512;
		return NULL;
#else
	case CUT_SSE2:
	case CUT_AVX2:
	case CUT_AVX512:
		return NULL;
#endif
	case CUT_PATHS:
		break;
	}
	return NULL;
}

/*
 * Paths stand from slow to fast.  Asking anew for every chunk costs a few
 * loads, and there is no choice to remember and share between threads.
 */
static cut_scan *scan_fastest(void)
{
	for (enum cut_path path = CUT_PATHS - 1; path > CUT_SCALAR; path--) {
		cut_scan *scan = scan_of(path);

		if (scan)
			return scan;
	}
	return cut_scan_scalar;
}

static size_t next(cut_scan *scan, const struct cut_params *p,
    const uint8_t *data, size_t len)
{
	if (len <= p->min)
		return len;
	return scan(p, data, len < p->max ? len : p->max);
}

size_t cut_next(const struct cut_params *p, const uint8_t *data, size_t len)
{
	return next(scan_fastest(), p, data, len);
}

bool cut_path_usable(enum cut_path path)
{
	return scan_of(path) != NULL;
}

const char *cut_path_name(enum cut_path path)
{
	static const char *const names[CUT_PATHS] = {
		[CUT_SCALAR] = "scalar",
		[CUT_PLAIN] = "plain",
		[CUT_SSE2] = "sse2",
		[CUT_AVX2] = "avx2",
		[CUT_AVX512] = "avx512",
	};

	return path < CUT_PATHS ? names[path] : "unknown";
}

size_t cut_next_by(enum cut_path path, const struct cut_params *p,
    const uint8_t *data, size_t len)
{
	cut_scan *scan = scan_of(path);

	assert(scan);
	return next(scan, p, data, len);
}
