/*
 * hex -- golden bytes as they stand in a test.
 */
#ifndef TESTS_INDEX_HEX_H
#define TESTS_INDEX_HEX_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Fails when the bytes are not those written as lower-case hexadecimal. */
static inline void assert_hex(const void *data, size_t len, const char *hex)
{
	const unsigned char *p = data;
	char two[3];

	assert_int_equal(strlen(hex), 2 * len);
	for (size_t i = 0; i < len; i++) {
		snprintf(two, sizeof(two), "%02x", p[i]);
		if (memcmp(two, hex + 2 * i, 2))
			fail_msg(
			    "byte %zu is %s, not %.2s", i, two, hex + 2 * i);
	}
}

#endif
