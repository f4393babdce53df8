/*
 * utf8 -- the next character of bytes that may not be UTF-8 at all.
 *
 * Threads: no state; any at once.
 */
#ifndef TOOLS_UTF8_H
#define TOOLS_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * The length of the well-formed character at s (len > 0) and its code point, or
 * 0 when there is none: overlong forms, surrogates and values past U+10FFFF are
 * none (Unicode 15, table 3-7).
 */
size_t utf8_next(const char *s, size_t len, uint32_t *out);

#endif
