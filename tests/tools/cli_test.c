/* Proves the words of tools/cli.h: names on a terminal, JSON, sizes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/cli.h"

static char *shown(const char *bytes, size_t len)
{
	char *text = NULL;
	size_t text_len;
	FILE *to = open_memstream(&text, &text_len);

	assert_non_null(to);
	out_name(to, bytes, len);
	fclose(to);
	return text;
}

static void check_shown(const char *bytes, const char *expected)
{
	char *text = shown(bytes, strlen(bytes));

	assert_string_equal(text, expected);
	free(text);
}

static void single_bytes_never_drive_a_terminal(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 256; b++) {
		char byte = (char)b;
		char *text = shown(&byte, 1);

		for (const char *at = text; *at; at++)
			assert_in_range((unsigned char)*at, 0x20, 0x7e);
		if (b >= 0x20 && b < 0x7f && b != '\\')
			assert_true(text[0] == byte && text[1] == 0);
		else
			assert_true(text[0] == '\\' && text[1] != 0);
		free(text);
	}
}

static void names_are_escaped_only_where_they_must_be(void **state)
{
	(void)state;
	check_shown("plain name", "plain name");
	check_shown("a\nb\tc\\d", "a\\nb\\tc\\\\d");
	check_shown("caff\xc3\xa8 \xe6\x97\xa5 \xf0\x9f\x98\x80",
	    "caff\xc3\xa8 \xe6\x97\xa5 \xf0\x9f\x98\x80");
	/* OSC 52 would write to the clipboard. */
	check_shown("\033]52;c;eA==\007", "\\x1B]52;c;eA==\\x07");
	/* A C1 control, a bidi override, an isolate, a zero-width space. */
	check_shown("\xc2\x9b", "\\xC2\\x9B");
	check_shown("\xe2\x80\xae", "\\xE2\\x80\\xAE");
	check_shown("\xe2\x81\xa6", "\\xE2\\x81\\xA6");
	check_shown("\xe2\x80\x8b", "\\xE2\\x80\\x8B");
	/* Overlong, a surrogate, cut short, past the last code point. */
	check_shown("\xc0\xaf", "\\xC0\\xAF");
	check_shown("\xed\xa0\x80", "\\xED\\xA0\\x80");
	check_shown("\xe2\x80", "\\xE2\\x80");
	check_shown("\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80");
}

static void json_keeps_every_byte(void **state)
{
	const char *expected = "{\"a\":\"\\\"\\\\\\n\\t\\u0001\\u007f\\udcff\","
	    "\"b\":[1,-2,true,null],\"c\":{}}\n";
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	struct json j;

	(void)state;
	assert_non_null(to);
	json_init(&j, to);
	json_object(&j, NULL);
	json_bytes(&j, "a", "\"\\\n\t\x01\x7f\xff", 7);
	json_array(&j, "b");
	json_u64(&j, NULL, 1);
	json_i64(&j, NULL, -2);
	json_bool(&j, NULL, true);
	json_null(&j, NULL);
	json_end_array(&j);
	json_object(&j, "c");
	json_end_object(&j);
	json_end_object(&j);
	fclose(to);
	assert_string_equal(text, expected);
	free(text);
}

static void sizes_read_well(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1000, "1.0 kB" },
		{ 1234567, "1.2 MB" },
		{ 999960, "1.0 MB" },
		{ UINT64_MAX, "18.4 EB" },
	};
	char buf[SIZE_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(size_text(cases[i].bytes, buf),
		    cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_bytes_never_drive_a_terminal),
		cmocka_unit_test(names_are_escaped_only_where_they_must_be),
		cmocka_unit_test(json_keeps_every_byte),
		cmocka_unit_test(sizes_read_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
