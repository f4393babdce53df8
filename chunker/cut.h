/*
 * cut -- where a stream is cut into chunks: the `pw` chunker.
 *
 * A 64-byte window, hashed in 16-bit lanes by doubling with odd multipliers,
 * proposes a cut about once in 4096 bytes; XXH3 of the window, seeded with the
 * store's key, decides.  Both stages are defined byte by byte in FORMAT.md,
 * section 4, and every code path gives the same cuts; tests hold each against
 * the scalar definition.  Normalization as in FastCDC (Xia et al., ATC 2016):
 * before the target a cut is made unlikely, after it likely.
 *
 * Why not Gear: a third of the speed for the same ratio.  Why not a
 * comparison-based chunker: three times the speed, and on a database dump it
 * finds nearly nothing.
 *
 * Sizes are in bytes.  Threads: no state; any at once.
 */
#ifndef CHUNKER_CUT_H
#define CHUNKER_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"

#define CUT_MIN_LEAST 128 /* the window and its warm-up lie inside a chunk */

struct cut_params {
	uint32_t min;
	uint32_t target; /* a power of two */
	uint32_t max;
	uint64_t key;
	/* Derived by cut_params_init. */
	uint64_t mask_early; /* second stage, lengths up to target */
	uint64_t mask_late;  /* second stage, lengths above target */
	uint16_t below;      /* first stage: candidate when hash < below */
};

/*
 * Checks and completes a set of parameters.  norm is the normalization level,
 * 0 to 3.  ERR_INVALID unless CUT_MIN_LEAST <= min < target < max, target is a
 * power of two from 1 KiB to 16 MiB and max is at most 64 MiB.
 */
int cut_params_init(struct cut_params *p, uint32_t min, uint32_t target,
    uint32_t max, unsigned norm, uint64_t key, struct err *err);

/*
 * Length of the first chunk in data[0, len), len > 0.  The caller offers at
 * least p->max bytes, or everything up to the end of the stream; the answer
 * then depends on those bytes alone, never on how they arrived.  Uses the
 * fastest path this processor has.
 */
size_t cut_next(const struct cut_params *p, const uint8_t *data, size_t len);

/* The paths, for tests and benchmarks. */
enum cut_path {
	CUT_SCALAR, /* the definition, one position at a time */
	CUT_PLAIN,  /* portable C the compiler can vectorize */
	CUT_SSE2,
	CUT_AVX2,
	CUT_AVX512,
	CUT_PATHS,
};

/* False when this machine or build lacks the path. */
bool cut_path_usable(enum cut_path path);
const char *cut_path_name(enum cut_path path);

/* cut_next by one given path, which must be usable. */
size_t cut_next_by(enum cut_path path, const struct cut_params *p,
    const uint8_t *data, size_t len);

#endif
