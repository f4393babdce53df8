/*
 * Proves fs/options.h: what words on the command line come to.
 */
#include "fs/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 12

/* Splits at blanks and parses; text is at most 200 bytes. */
static int parse(struct options *out, const char *text, struct err *err)
{
	static char copy[256];
	char *argv[WORDS_MAX + 1];
	int argc = 0;

	assert_true(strlen(text) < sizeof(copy));
	strcpy(copy, text);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	return options_parse(out, argc, argv, err);
}

static void wrong_words_are_named(void **state)
{
	static const struct {
		const char *line;
		const char *words;
	} cases[] = {
		{ "m S M -o bogus", "unknown option bogus" },
		{ "m S M -o ro,bogus=1,rw", "unknown option bogus" },
		{ "m S M -o only", "unknown option only" },
		{ "m S M --bogus", "unknown option --bogus" },
		{ "m -q S M", "unknown option -q" },
		{ "m S M -t fuse", "unknown option -t" },
		{ "m S M --cache", "--cache needs a value" },
		{ "m S M -o", "-o needs a value" },
		{ "m S M -o uid=-1", "uid=-1" },
		{ "m S M -o uid=", "uid=" },
		{ "m S M -o uid=4294967295", "uid=4294967295" },
		{ "m S M -o gid=5x", "gid=5x" },
		{ "m S M -o umask=8", "umask=8" },
		{ "m S M -o umask=10000", "umask=10000" },
		{ "m S M -o cache=", "cache=: " },
		{ "m S M -o cache=-5M", "cache=-5M" },
		{ "m S M -o cache=5X", "cache=5X" },
		{ "m S M -o cache=5MB", "cache=5MB" },
		{ "m S M -o cache=1K", "the least is" },
		{ "m S M -o cache=99999999999999999999", "cache=9999" },
		{ "m S M -o cache=99999999999T", "cache=9999" },
		{ "m", "a store and a mount point" },
		{ "m S", "a store and a mount point" },
		{ "m S M X", "a store and a mount point" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options o;
		struct err err;

		print_message("%s\n", cases[i].line);
		assert_int_equal(parse(&o, cases[i].line, &err), ERR_INVALID);
		assert_non_null(strstr(err.msg, cases[i].words));
		options_fini(&o);
	}
}

static void words_of_fstab_are_passed_over(void **state)
{
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(
	    parse(&o,
		"m S M -o "
		"rw,ro,noauto,auto,user,nofail,_netdev,defaults,dev,suid,"
		"exec,relatime,x-systemd.requires=a,,X-mount.mkdir -o nosuid",
		&err),
	    0);
	assert_string_equal(o.store, "S");
	assert_string_equal(o.mountpoint, "M");
	assert_false(o.allow_other);
	assert_false(o.foreground);
	assert_false(o.disguise.has_uid);
	options_fini(&o);
}

static void values_are_taken(void **state)
{
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(
	    parse(&o,
		"m -o only=a/b,uid=0,gid=7,umask=027,cache=64M,index=/i\\,j "
		"-o allow_other,nonempty,noexec,noxattr S M -d",
		&err),
	    0);
	assert_string_equal(o.only, "a/b");
	assert_string_equal(o.index_dir, "/i,j");
	assert_int_equal(o.cache_bytes, 64 << 20);
	assert_true(o.disguise.has_uid && o.disguise.uid == 0);
	assert_true(o.disguise.has_gid && o.disguise.gid == 7);
	assert_true(o.disguise.has_umask && o.disguise.umask == 027);
	assert_true(o.allow_other && o.nonempty && o.noexec && o.no_xattr);
	assert_true(o.debug && o.foreground);
	options_fini(&o);
}

static void the_last_of_two_values_counts(void **state)
{
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(
	    parse(&o, "m --only x --cache 5m --cache 8388608 S M -o only=y",
		&err),
	    0);
	assert_string_equal(o.only, "y");
	assert_int_equal(o.cache_bytes, 8388608);
	options_fini(&o);
}

static void called_by_mount_f_is_a_rehearsal(void **state)
{
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(
	    parse(&o, "/sbin/mount.fuse.ieri S M -sfnv -t fuse.ieri", &err), 0);
	assert_true(o.rehearse);
	assert_false(o.foreground);
	options_fini(&o);
	assert_int_equal(parse(&o, "/mount.d/ieri-mount S M -f", &err), 0);
	assert_true(o.foreground);
	assert_false(o.rehearse);
	options_fini(&o);
}

static void help_needs_no_store(void **state)
{
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(parse(&o, "m --help", &err), 0);
	assert_true(o.help);
	options_fini(&o);
	assert_int_equal(parse(&o, "m --version", &err), 0);
	assert_true(o.version);
	options_fini(&o);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_words_are_named),
		cmocka_unit_test(words_of_fstab_are_passed_over),
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(the_last_of_two_values_counts),
		cmocka_unit_test(called_by_mount_f_is_a_rehearsal),
		cmocka_unit_test(help_needs_no_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
