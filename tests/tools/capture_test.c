/* Proves tools/capture.h: racy times, device numbers, owners, xattrs. */
#include "tests/index/tree_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "index/blob.h"
#include "index/config.h"
#include "tools/capture.h"

#define SECOND 1000000000ll

static void test_racy_is_two_seconds_and_the_future(void **state)
{
	static const struct {
		int64_t ctime_s;
		long ctime_ns;
		int64_t now_ns;
		bool racy;
	} cases[] = {
		{ 100, 0, 100 * SECOND, true },
		{ 100, 0, 102 * SECOND - 1, true },
		{ 100, 0, 102 * SECOND, false },
		{ 100, 999999999, 102 * SECOND + 5, true },
		{ 100, 0, 99 * SECOND, true },
		{ 100, 0, 1000 * SECOND, false },
		{ INT64_MAX, 999999999, 100 * SECOND, true },
		{ INT64_MIN, 0, 100 * SECOND, false },
		{ -5, 0, 100 * SECOND, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stat st = { .st_size = 0 };

		st.st_ctim.tv_sec = cases[i].ctime_s;
		st.st_ctim.tv_nsec = cases[i].ctime_ns;
		if (capture_racy(&st, cases[i].now_ns) != cases[i].racy)
			fail_msg("case %zu", i);
	}
}

static uint32_t ordinal(struct devices *d, dev_t dev, uint32_t hint)
{
	struct device device;
	struct err err;

	assert_int_equal(devices_get(d, dev, hint, &device, &err), 0);
	assert_int_equal(device.dev, dev);
	assert_false(device.ours);
	return device.ordinal;
}

static void test_devices_keep_the_numbers_of_the_last_snapshot(void **state)
{
	struct devices d;

	(void)state;
	devices_init(&d);
	assert_int_equal(ordinal(&d, makedev(200, 1), 0), 0);
	assert_int_equal(ordinal(&d, makedev(200, 2), 5), 5);
	assert_int_equal(ordinal(&d, makedev(200, 3), DEVICES_NO_HINT), 6);
	assert_int_equal(ordinal(&d, makedev(200, 4), 5), 7);
	assert_int_equal(ordinal(&d, makedev(200, 2), 1), 5);
	assert_int_equal(ordinal(&d, makedev(200, 1), 9), 0);
	devices_fini(&d);
}

static void test_owners_are_named_once_and_in_order(void **state)
{
	struct owners a, b;
	struct memory_chunks m;
	struct content content;
	struct config config;
	struct owner one;
	struct bytes in;
	uint8_t *data = NULL;
	size_t len;
	struct err err;

	(void)state;
	memory_init(&m);
	assert_int_equal(config_new(&config, "UTC", 0, &err), 0);
	owners_init(&a);
	owners_init(&b);
	owners_add(&a, 4000000000u, 0);
	owners_add(&b, 0, 0);
	owners_add(&b, 4000000000u, 4000000001u);
	owners_add(&b, 0, 0);
	owners_merge(&a, &b);
	assert_int_equal(a.n[OWNER_USER], 2);
	assert_int_equal(a.n[OWNER_GROUP], 2);

	/* Only root has a name; the numbers of nobody are left out. */
	assert_int_equal(owners_put(&a, &config, &m.sink, &content, &err), 0);
	assert_int_equal(blob_get(&m.source, &content, 4096, &data, &len,
			     &err),
	    0);
	in = bytes_of(data, len);
	assert_int_equal(owner_next(&in, &one, &err), 1);
	assert_int_equal(one.kind, OWNER_USER);
	assert_int_equal(one.number, 0);
	assert_memory_equal(one.name, "root", 4);
	assert_int_equal(owner_next(&in, &one, &err), 1);
	assert_int_equal(one.kind, OWNER_GROUP);
	assert_int_equal(owner_next(&in, &one, &err), 0);
	free(data);
	owners_fini(&a);
	owners_fini(&b);
	memory_fini(&m);
}

static void test_xattrs_are_read_by_descriptor_and_by_name(void **state)
{
	char dir[] = "/var/tmp/ieri-capture.XXXXXX";
	struct xattr_capture *x = NULL;
	struct memory_chunks m;
	struct content by_fd, by_name, none;
	struct config config;
	struct err err;
	char value[3000];
	int at, fd, rc;

	(void)state;
	memory_init(&m);
	assert_int_equal(config_new(&config, "UTC", 0, &err), 0);
	assert_non_null(mkdtemp(dir));
	at = open(dir, O_RDONLY | O_DIRECTORY);
	fd = openat(at, "file", O_CREAT | O_RDWR, 0600);
	assert_true(at >= 0 && fd >= 0);
	assert_int_equal(xattr_capture_new(&x, &config, &m.sink, &err), 0);

	assert_int_equal(xattr_capture(x, fd, NULL, &none, &err), 0);
	assert_int_equal(none.kind, CONTENT_NONE);
	memset(value, 'v', sizeof(value));
	rc = fsetxattr(fd, "user.long", value, sizeof(value), 0);
	if (rc == 0) {
		assert_int_equal(fsetxattr(fd, "user.a", "", 0, 0), 0);
		assert_int_equal(xattr_capture(x, fd, NULL, &by_fd, &err), 0);
		assert_int_equal(xattr_capture(x, at, "file", &by_name, &err),
		    0);
		assert_int_equal(by_fd.kind, CONTENT_CHUNK);
		assert_int_equal(by_fd.size,
		    4 + 2 + 9 + 4 + 3000 + 2 + 6 + 4);
		assert_true(id_equal(&by_fd.id, &by_name.id));
		assert_int_equal(m.puts, 1); /* the second was remembered */
	}
	assert_int_equal(xattr_capture(x, at, "absent", &none, &err), ENOENT);

	xattr_capture_free(x);
	unlinkat(at, "file", 0);
	close(fd);
	close(at);
	rmdir(dir);
	memory_fini(&m);
	if (rc)
		skip(); /* no user attributes on this file system */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_racy_is_two_seconds_and_the_future),
		cmocka_unit_test(
		    test_devices_keep_the_numbers_of_the_last_snapshot),
		cmocka_unit_test(test_owners_are_named_once_and_in_order),
		cmocka_unit_test(
		    test_xattrs_are_read_by_descriptor_and_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
