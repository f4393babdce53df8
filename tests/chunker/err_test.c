#include "chunker/err.h"

#include <errno.h>

#include "tests/chunker/support.h"

static void test_set_records_a_failure(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(ERR_CORRUPT,
	    err_set(&err, ERR_CORRUPT, "%d of %s", 2, "three"));
	assert_int_equal(ERR_CORRUPT, err.code);
	assert_int_equal(0, err.sys);
	assert_string_equal("2 of three", err.msg);
}

static void test_sys_translates_errno(void **state)
{
	static const struct {
		const char *name;
		int sys;
		enum err_code code;
		const char *msg;
	} cases[] = {
		{ "a missing file is not found", ENOENT, ERR_NOT_FOUND,
		    "open: No such file or directory" },
		{ "a file in the way exists", EEXIST, ERR_EXISTS,
		    "open: File exists" },
		{ "no memory keeps its code", ENOMEM, ERR_NOMEM,
		    "open: Cannot allocate memory" },
		{ "a full disk is the system's answer", ENOSPC, ERR_SYSTEM,
		    "open: No space left on device" },
		{ "so is a refusal", EACCES, ERR_SYSTEM,
		    "open: Permission denied" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct err err;

		test_case(cases[i].name);
		errno = cases[i].sys;
		assert_int_equal(cases[i].code, err_sys(&err, "%s", "open"));
		assert_int_equal(cases[i].code, err.code);
		assert_int_equal(cases[i].sys, err.sys);
		assert_string_equal(cases[i].msg, err.msg);
	}
}

static void test_context_grows_outward(void **state)
{
	struct err err;

	(void)state;
	errno = EACCES;
	err_sys(&err, "open");
	assert_int_equal(ERR_SYSTEM, err_wrap(&err, "%s", "/home/ada"));
	assert_int_equal(ERR_SYSTEM, err_wrap(&err, "ingest"));
	assert_int_equal(EACCES, err.sys);
	assert_string_equal("ingest: /home/ada: open: Permission denied",
	    err.msg);
}

static void test_message_may_be_made_of_the_old_one(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_BUSY, "locked");
	err_set(&err, ERR_SYSTEM, "again %s", err.msg);
	assert_string_equal("again locked", err.msg);
	err_wrap(&err, "(%s)", err.msg);
	assert_string_equal("(again locked): again locked", err.msg);
}

static void test_long_line_keeps_both_ends(void **state)
{
	static const size_t lens[] = { 400, 464, 465, 466, 479, 480, 4096,
		20000 };

	(void)state;
	for (size_t i = 0; i < N_OF(lens); i++) {
		char *path = malloc(lens[i] + 1);
		struct err err;
		size_t len;

		assert_non_null(path);
		memset(path, 'p', lens[i]);
		path[lens[i]] = '\0';
		err_set(&err, ERR_SYSTEM, "the cause");
		err_wrap(&err, "do %s", path);
		free(path);

		len = strlen(err.msg);
		assert_true(len < sizeof(err.msg));
		assert_memory_equal("do ppp", err.msg, 6);
		assert_string_equal("p: the cause", err.msg + len - 12);
		/* "do " and ": the cause" take 14. */
		assert_int_equal(lens[i] + 14 >= sizeof(err.msg),
		    strstr(err.msg, "...") != NULL);
	}
}

static void test_line_stays_one_line(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_SYSTEM, "a\nb\x1b[2J\x7f \xc3\xa9");
	assert_string_equal("a?b?[2J? \xc3\xa9", err.msg);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_records_a_failure),
		cmocka_unit_test(test_sys_translates_errno),
		cmocka_unit_test(test_context_grows_outward),
		cmocka_unit_test(test_message_may_be_made_of_the_old_one),
		cmocka_unit_test(test_long_line_keeps_both_ends),
		cmocka_unit_test(test_line_stays_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
