#include "chunker/sum.h"

#include <xxhash.h>

/*
 * A packaged libxxhash is compiled for the oldest processor of its kind; only
 * the dispatch entry points use the vectors of this one.
 */
#ifdef __x86_64__
#define XXH_DISPATCH_DISABLE_REPLACE
#include <xxh_x86dispatch.h>
#endif

uint64_t sum64(const void *data, size_t len)
{
#ifdef __x86_64__
	return XXH3_64bits_dispatch(data, len);
#else
	return XXH3_64bits(data, len);
#endif
}

uint64_t sum64_seeded(const void *data, size_t len, uint64_t seed)
{
#ifdef __x86_64__
	return XXH3_64bits_withSeed_dispatch(data, len, seed);
#else
	return XXH3_64bits_withSeed(data, len, seed);
#endif
}
