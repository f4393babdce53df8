/*
 * support -- what the tests of the chunker share: cmocka with all it wants
 * included before it, spoken test rows, and inputs made from a seed.
 *
 * The frozen vectors rest on these inputs, so what they make never changes.
 */
#ifndef TESTS_CHUNKER_SUPPORT_H
#define TESTS_CHUNKER_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chunker/bytes.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Says which row is being tried; a failure follows its sentence. */
static inline void test_case(const char *name)
{
	print_message("             %s\n", name);
}

/* SplitMix64. */
static inline uint64_t draw(uint64_t *state)
{
	uint64_t z;

	*state += UINT64_C(0x9E3779B97F4A7C15);
	z = *state;
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

enum input {
	INPUT_RANDOM,
	INPUT_TEXT,   /* words of a small vocabulary, lines of ten */
	INPUT_ROWS,   /* a number and 84 blanks a row, as some dumps have */
	INPUT_PERIOD, /* 251 random bytes again and again */
	INPUT_ZERO,
	INPUT_MIXED, /* stretches of 1000 to 4095 bytes of the above */
	INPUTS,
};

static inline const char *input_name(enum input input)
{
	static const char *const names[INPUTS] = { "random bytes", "text",
		"rows of blanks", "a period of 251", "zeros", "a mixture" };

	return names[input];
}

static inline void fill_random(uint64_t seed, uint8_t *out, size_t len)
{
	uint8_t word[8];

	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			le64_put(word, draw(&seed));
		out[i] = word[i % 8];
	}
}

static inline void fill_text(uint64_t seed, uint8_t *out, size_t len)
{
	static const char *const words[] = { "yesterday", "all", "the", "store",
		"of", "every", "day", "is", "kept", "once", "and", "a", "path",
		"leads", "back", "to" };
	size_t n_words = 0;

	for (size_t i = 0; i < len;) {
		const char *word = words[draw(&seed) % N_OF(words)];

		while (*word && i < len)
			out[i++] = (uint8_t)*word++;
		if (i < len)
			out[i++] = ++n_words % 10 ? ' ' : '\n';
	}
}

static inline void fill_rows(uint64_t seed, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t row = seed + i / 94;
		size_t column = i % 94;

		for (size_t digit = column; digit < 8; digit++)
			row /= 10;
		out[i] = column == 93 ? '\n' : ' ';
		if (column < 9)
			out[i] = (uint8_t)('0' + row % 10);
	}
}

static inline void fill_period(uint64_t seed, uint8_t *out, size_t len)
{
	size_t first = len < 251 ? len : 251;

	fill_random(seed, out, first);
	for (size_t i = first; i < len; i++)
		out[i] = out[i - first];
}

static inline void fill(enum input input, uint64_t seed, uint8_t *out,
    size_t len)
{
	switch (input) {
	case INPUT_RANDOM:
		fill_random(seed, out, len);
		break;
	case INPUT_TEXT:
		fill_text(seed, out, len);
		break;
	case INPUT_ROWS:
		fill_rows(seed, out, len);
		break;
	case INPUT_PERIOD:
		fill_period(seed, out, len);
		break;
	case INPUT_ZERO:
	case INPUTS:
		memset(out, 0, len);
		break;
	case INPUT_MIXED:
		while (len > 0) {
			uint64_t x = draw(&seed);
			size_t piece = 1000 + (size_t)(x >> 32) % 3096;

			piece = piece < len ? piece : len;
			fill((enum input)(x % INPUT_MIXED), x, out, piece);
			out += piece;
			len -= piece;
		}
		break;
	}
}

/* The same in memory of its own, to be freed.  len > 0. */
static inline uint8_t *input_new(enum input input, uint64_t seed, size_t len)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	fill(input, seed, data, len);
	return data;
}

#endif
