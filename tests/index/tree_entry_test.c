/* Proves the bytes of one directory entry: index/tree.h, encode and decode. */
#include "tests/index/tree_fixture.h"

#include "tests/index/hex.h"

/* One of each type, with extreme values; content and xattr ids follow. */
static const struct tree_entry samples[] = {
	{ .name = "block",
	    .mode = S_IFBLK | 0660,
	    .gid = 6,
	    .mtime_s = 1700000000,
	    .ctime_s = 1700000000,
	    .ino = 7,
	    .major = 8,
	    .minor = 1 },
	{ .name = "char",
	    .flags = TREE_DEVICE,
	    .mode = S_IFCHR | 0666,
	    .mtime_s = 1700000000,
	    .mtime_ns = 999999999,
	    .ctime_s = 1700000001,
	    .ctime_ns = 1,
	    .ino = 8,
	    .dev = 3,
	    .major = 1,
	    .minor = 300 },
	{ .name = "dir",
	    .flags = TREE_CHUNK,
	    .mode = S_IFDIR | 0755,
	    .uid = 1000,
	    .gid = 1000,
	    .mtime_s = 1700000000,
	    .mtime_ns = 123456789,
	    .ctime_s = 1700000000,
	    .ctime_ns = 123456789,
	    .ino = 9,
	    .beneath = 1000,
	    .subdirs = 2 },
	{ .name = "fifo",
	    .mode = S_IFIFO | 0600,
	    .uid = 1,
	    .gid = 1,
	    .mtime_s = -1,
	    .mtime_ns = 5,
	    .ino = 10 },
	{ .name = "file",
	    .flags = TREE_CHUNK | TREE_LINKED | TREE_XATTR_CHUNK | TREE_RACY,
	    .mode = S_IFREG | 04755,
	    .uid = UINT32_MAX,
	    .gid = UINT32_MAX,
	    .mtime_s = -86400,
	    .mtime_ns = 1,
	    .ctime_s = 17179869184,
	    .ctime_ns = 2,
	    .ino = 11,
	    .size = 65536,
	    .xattr_size = 40 },
	{ .name = "lost",
	    .flags = TREE_UNREADABLE,
	    .mode = S_IFREG | 0600,
	    .ino = 12,
	    .size = 77 },
	{ .name = "rope",
	    .flags = TREE_ROPE | TREE_SPARSE | TREE_XATTR_ROPE,
	    .mode = S_IFREG | 0644,
	    .ino = 13,
	    .size = INT64_MAX,
	    .data = 300,
	    .xattr_size = 100000 },
	{ .name = "socket", .mode = S_IFSOCK | 0777, .ino = 14 },
	{ .name = "symlink",
	    .mode = S_IFLNK | 0777,
	    .ino = UINT64_MAX,
	    .target = "../target",
	    .target_len = 9 },
};

#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

static const char golden_leaf[] =
    "440100000900000005626c6f636b0000b061000680c49fd50c00000007080104"
    "636861721000b621000080c49fd50cff93ebdc030201080301ac020364697201"
    "00ed41e807e80780c49fd50c959aef3a00959aef3a09e80702d1d1d1d1d1d1d1"
    "d1d1d1d1d1d1d1d1d1046669666f000080110101010502000a0466696c65a500"
    "ed89ffffffff0fffffffff0fffc50a0180c68a808001020b808004f1f1f1f1f1"
    "f1f1f1f1f1f1f1f1f1f1f128a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1046c6f73"
    "74000180810000000000000c4d04726f70654a00a4810000000000000dffffff"
    "ffffffffff7fac02f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2a08d06a2a2a2a2a2"
    "a2a2a2a2a2a2a2a2a2a2a206736f636b65740000ffc10000000000000e077379"
    "6d6c696e6b0000ffa1000000000000ffffffffffffffffff01092e2e2f746172"
    "676574";

static struct tree_entry sample(size_t i)
{
	struct tree_entry e = samples[i];

	e.name_len = strlen(e.name);
	if (e.flags & TREE_CHUNK)
		e.content = id_of(tree_is_dir(&e) ? 0xd1 : 0xf1);
	if (e.flags & TREE_ROPE)
		e.content = id_of(0xf2);
	if (e.flags & TREE_XATTR_CHUNK)
		e.xattr = id_of(0xa1);
	if (e.flags & TREE_XATTR_ROPE)
		e.xattr = id_of(0xa2);
	return e;
}

/* Whether the entry comes back as it was, and its bytes are used up. */
static bool comes_back(const struct tree_entry *e, bool root)
{
	struct buf buf = { 0 };
	struct tree_entry got;
	struct bytes in;
	struct err err;
	bool same;

	tree_entry_encode(&buf, e);
	in = bytes_of(buf.data, buf.len);
	same = tree_entry_decode(&got, &in, root, &err) == 0 &&
	       bytes_left(&in) == 0 && entry_equal(e, &got);
	buf_fini(&buf);
	return same;
}

static void a_leaf_with_every_type_has_the_golden_bytes(void **state)
{
	struct tree_entry entries[N_SAMPLES];
	const struct memory_chunk *c;
	struct memory_chunks m;
	struct tree_dir dir;

	(void)state;
	memory_init(&m);
	for (size_t i = 0; i < N_SAMPLES; i++)
		entries[i] = sample(i);
	dir = dir_write(&m, &default_pages, entries, N_SAMPLES);
	assert_int_equal(m.n_chunks, 1);
	c = memory_slot(&m, ID_TREE, &dir.id);
	assert_hex(c->data, c->len, golden_leaf);

	assert_int_equal(dir.entries, N_SAMPLES);
	assert_int_equal(dir.beneath, N_SAMPLES + 1000);
	assert_int_equal(dir.subdirs, 1);
	assert_int_equal(memory_fini(&m), 0);
}

static void every_type_comes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct tree_entry e = sample(i);

		if (!comes_back(&e, false))
			fail_msg("%s does not come back", e.name);
		e.name_len = 0;
		if (!comes_back(&e, true))
			fail_msg("%s does not come back as root", e.name);
	}
}

static void extreme_values_come_back(void **state)
{
	static const int64_t times[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1,
		253402300800, INT64_MAX - 1, INT64_MAX };
	static const size_t n_times = sizeof(times) / sizeof(times[0]);
	static char target[TREE_TARGET_MAX];
	struct tree_entry e;

	(void)state;
	for (size_t i = 0; i < n_times * n_times; i++) {
		e = plain_file("t");
		e.mtime_s = times[i / n_times];
		e.ctime_s = times[i % n_times];
		e.mtime_ns = 999999999;
		assert_true(comes_back(&e, false));
	}
	for (unsigned shift = 0; shift < 64; shift++) {
		e = plain_file("n");
		e.ino = (uint64_t)1 << shift;
		e.size = shift < 63 ? (uint64_t)1 << shift : INT64_MAX;
		e.uid = (uint32_t)((uint64_t)UINT32_MAX >> (shift & 31));
		e.gid = (uint32_t)((uint64_t)1 << (shift & 31));
		assert_true(comes_back(&e, false));
		e.ino--;
		assert_true(comes_back(&e, false));
	}
	memset(target, 0xff, sizeof(target));
	e = sample(N_SAMPLES - 1);
	e.target = target;
	for (e.target_len = 1; e.target_len <= sizeof(target); e.target_len++)
		assert_true(comes_back(&e, false));
}

static void names_may_hold_any_byte_but_slash_and_nul(void **state)
{
	char name[TREE_NAME_MAX];
	struct tree_entry e = plain_file("x");

	(void)state;
	e.name = name;
	for (e.name_len = 1; e.name_len <= sizeof(name); e.name_len++) {
		for (size_t at = 0; at < e.name_len; at += 1 + at / 9) {
			memset(name, 'x', sizeof(name));
			for (int c = 0; c < 256; c++) {
				name[at] = (char)c;
				assert_int_equal(comes_back(&e, false),
				    c != 0 && c != '/' &&
					!(e.name_len == 1 && c == '.'));
			}
		}
	}
}

/* Every one is wrong in one respect; the reader must say so. */
static const struct {
	const char *why;
	struct tree_entry e;
} wrong[] = {
	{ "no name", { .name = "", .mode = S_IFIFO } },
	{ "this directory", { .name = ".", .mode = S_IFIFO } },
	{ "the parent directory", { .name = "..", .mode = S_IFIFO } },
	{ "no type", { .name = "x", .mode = 0644 } },
	{ "unheard-of type", { .name = "x", .mode = 0xf000 } },
	{ "mtime of a full second",
	    { .name = "x", .mode = S_IFIFO, .mtime_ns = 1000000000 } },
	{ "ctime of a full second",
	    { .name = "x", .mode = S_IFIFO, .ctime_ns = 1000000000 } },
	{ "device flag without a device",
	    { .name = "x", .mode = S_IFIFO, .flags = TREE_DEVICE } },
	{ "content of a FIFO", { .name = "x",
				   .mode = S_IFIFO,
				   .flags = TREE_CHUNK,
				   .content = { { 1 } } } },
	{ "holes in a FIFO",
	    { .name = "x", .mode = S_IFIFO, .flags = TREE_SPARSE } },
	{ "size without content", { .name = "x", .mode = S_IFREG, .size = 1 } },
	{ "content without size", { .name = "x",
				      .mode = S_IFREG,
				      .flags = TREE_CHUNK,
				      .content = { { 1 } } } },
	{ "two contents", { .name = "x",
			      .mode = S_IFREG,
			      .size = 1,
			      .flags = TREE_CHUNK | TREE_ROPE,
			      .content = { { 1 } } } },
	{ "content that could not be read",
	    { .name = "x",
		.mode = S_IFREG,
		.size = 1,
		.flags = TREE_CHUNK | TREE_UNREADABLE,
		.content = { { 1 } } } },
	{ "content with the id of nothing",
	    { .name = "x", .mode = S_IFREG, .size = 1, .flags = TREE_CHUNK } },
	{ "size of 2^63", { .name = "x",
			      .mode = S_IFREG,
			      .size = (uint64_t)1 << 63,
			      .flags = TREE_UNREADABLE } },
	{ "more data than size", { .name = "x",
				     .mode = S_IFREG,
				     .size = 1,
				     .data = 2,
				     .flags = TREE_SPARSE | TREE_UNREADABLE } },
	{ "directory in a rope", { .name = "x",
				     .mode = S_IFDIR,
				     .beneath = 1,
				     .flags = TREE_ROPE,
				     .content = { { 1 } } } },
	{ "empty directory with a page", { .name = "x",
					     .mode = S_IFDIR,
					     .flags = TREE_CHUNK,
					     .content = { { 1 } } } },
	{ "entries without a page",
	    { .name = "x", .mode = S_IFDIR, .beneath = 1 } },
	{ "more directories than entries", { .name = "x",
					       .mode = S_IFDIR,
					       .beneath = 1,
					       .subdirs = 2,
					       .flags = TREE_CHUNK,
					       .content = { { 1 } } } },
	{ "2^63 - 1 entries beneath", { .name = "x",
					  .mode = S_IFDIR,
					  .beneath = INT64_MAX,
					  .flags = TREE_CHUNK,
					  .content = { { 1 } } } },
	{ "symlink to nothing", { .name = "x", .mode = S_IFLNK } },
	{ "symlink with a NUL",
	    { .name = "x", .mode = S_IFLNK, .target = "\0", .target_len = 1 } },
	{ "two xattr sets", { .name = "x",
				.mode = S_IFIFO,
				.flags = TREE_XATTR_CHUNK | TREE_XATTR_ROPE,
				.xattr_size = 1,
				.xattr = { { 1 } } } },
	{ "empty xattr set", { .name = "x",
				 .mode = S_IFIFO,
				 .flags = TREE_XATTR_CHUNK,
				 .xattr = { { 1 } } } },
	{ "xattr set with the id of nothing", { .name = "x",
						  .mode = S_IFIFO,
						  .flags = TREE_XATTR_CHUNK,
						  .xattr_size = 1 } },
};

static void senseless_entries_are_neither_read_nor_written(void **state)
{
	struct memory_chunks m;
	struct tree_writer *w = NULL;
	struct tree_dir dir;
	struct err err;

	(void)state;
	memory_init(&m);
	assert_int_equal(tree_writer_new(&w, &default_pages, &m.sink, &err), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct tree_entry e = wrong[i].e;
		struct buf buf = { 0 };
		struct tree_entry got;
		struct bytes in;

		e.name_len = strlen(e.name);
		tree_entry_encode(&buf, &e);
		in = bytes_of(buf.data, buf.len);
		if (tree_entry_decode(&got, &in, false, &err) != ERR_CORRUPT)
			fail_msg("read: %s", wrong[i].why);
		if (tree_writer_add(w, &e, &err) != ERR_INVALID)
			fail_msg("written: %s", wrong[i].why);
		buf_fini(&buf);
	}
	assert_int_equal(tree_writer_finish(w, &dir, &err), 0);
	assert_int_equal(dir.entries, 0);
	assert_true(id_is_zero(&dir.id));
	tree_writer_free(w);
	assert_int_equal(memory_fini(&m), 0);
}

/*
 * Decodes exactly these bytes from an allocation of their size.  What is
 * accepted must be the one encoding of what it says.
 */
static int decode_exactly(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct buf again = { 0 };
	struct tree_entry e;
	struct bytes in;
	struct err err;
	int rc;

	assert_non_null(copy);
	memcpy(copy, data, len);
	in = bytes_of(copy, len);
	rc = tree_entry_decode(&e, &in, false, &err);
	if (rc == 0) {
		size_t used = len - bytes_left(&in);

		tree_entry_encode(&again, &e);
		assert_int_equal(again.len, used);
		assert_memory_equal(again.data, copy, used);
	} else if (rc != ERR_CORRUPT && rc != ERR_FORMAT) {
		fail_msg("unexpected failure %d: %s", rc, err.msg);
	}
	buf_fini(&again);
	free(copy);
	return rc;
}

static void damaged_entries_are_refused_or_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct tree_entry e = sample(i);
		struct buf buf = { 0 };

		tree_entry_encode(&buf, &e);
		assert_int_equal(decode_exactly(buf.data, buf.len), 0);
		for (size_t len = 0; len < buf.len; len++)
			assert_true(decode_exactly(buf.data, len) < 0);
		for (size_t at = 0; at < buf.len; at++) {
			uint8_t was = buf.data[at];

			for (int v = 0; v < 256; v++) {
				buf.data[at] = (uint8_t)v;
				(void)decode_exactly(buf.data, buf.len);
			}
			buf.data[at] = was;
		}
		buf_fini(&buf);
	}
}

static void noise_is_refused_or_well_formed(void **state)
{
	uint64_t seed = random_seed("noise");
	uint8_t data[96];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = random_below(&seed, sizeof(data));

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)random_next(&seed);
		data[0] = (uint8_t)random_below(&seed, 12);
		le16_put(data + 1 + data[0], data[60] & 0x7f);
		(void)decode_exactly(data, len);
	}
}

static void unknown_flags_need_a_newer_reader(void **state)
{
	struct tree_entry e = sample(0);
	struct buf buf = { 0 };
	struct bytes in;
	struct err err;

	(void)state;
	tree_entry_encode(&buf, &e);
	for (unsigned bit = 9; bit < 16; bit++) {
		le16_put(buf.data + 1 + e.name_len, (uint16_t)(1u << bit));
		in = bytes_of(buf.data, buf.len);
		assert_int_equal(
		    tree_entry_decode(&e, &in, false, &err), ERR_FORMAT);
	}
	buf_fini(&buf);
}

static void names_are_ordered_by_bytes_and_the_shorter_first(void **state)
{
	(void)state;
	assert_true(tree_name_cmp("a", 1, "b", 1) < 0);
	assert_true(tree_name_cmp("a", 1, "ab", 2) < 0);
	assert_true(tree_name_cmp("b", 1, "ab", 2) > 0);
	assert_true(tree_name_cmp("\xff", 1, "a", 1) > 0);
	assert_true(tree_name_cmp("ab", 2, "ab", 2) == 0);
	assert_true(tree_name_cmp("", 0, "a", 1) < 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_with_every_type_has_the_golden_bytes),
		cmocka_unit_test(every_type_comes_back),
		cmocka_unit_test(extreme_values_come_back),
		cmocka_unit_test(names_may_hold_any_byte_but_slash_and_nul),
		cmocka_unit_test(
		    senseless_entries_are_neither_read_nor_written),
		cmocka_unit_test(damaged_entries_are_refused_or_well_formed),
		cmocka_unit_test(noise_is_refused_or_well_formed),
		cmocka_unit_test(unknown_flags_need_a_newer_reader),
		cmocka_unit_test(
		    names_are_ordered_by_bytes_and_the_shorter_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
