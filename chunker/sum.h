/*
 * sum -- the checksum that guards stored bytes against bit rot.
 *
 * XXH3, 64 bits, called through libxxhash's dispatch entry point on x86 (nine
 * times the inlined form there), the plain call elsewhere; same value on every
 * machine.  It stops accidents, not attackers: names are id.h's business.
 *
 * Threads: any at once.
 */
#ifndef CHUNKER_SUM_H
#define CHUNKER_SUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t sum64(const void *data, size_t len);

/* The same with a seed: the keyed cut decisions use it. */
uint64_t sum64_seeded(const void *data, size_t len, uint64_t seed);

#endif
