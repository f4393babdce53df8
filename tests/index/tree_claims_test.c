/*
 * Proves that a directory's pages are claims: whatever a damaged or malicious
 * store says, index/tree.h answers ERR_CORRUPT or ERR_FORMAT, or something
 * well-formed, and ends.
 */
#include "tests/index/tree_fixture.h"

#include "index/tree_private.h"
#include "tests/index/hex.h"

/* A child as an inner page of these tests names it. */
struct claim {
	const char *name;
	uint8_t id; /* every byte of it */
	uint64_t entries;
	uint64_t span;
};

static void put_inner(struct memory_chunks *m, uint8_t id, int level,
    const struct claim *claims, size_t n)
{
	struct id page_id = id_of(id);
	struct buf page = { 0 };

	tree_page_begin(&page, level);
	for (size_t i = 0; i < n; i++) {
		struct tree_inner e = {
			.name = claims[i].name,
			.name_len = strlen(claims[i].name),
			.id = id_of(claims[i].id),
			.entries = claims[i].entries,
			.span = claims[i].span,
		};

		tree_inner_encode(&page, &e);
	}
	tree_page_seal(&page, (uint32_t)n);
	memory_set(m, ID_TREE, &page_id, page.data, page.len);
	buf_fini(&page);
}

/* A leaf of files named by the letters. */
static void put_leaf(struct memory_chunks *m, uint8_t id, const char *letters)
{
	struct id page_id = id_of(id);
	struct buf page = { 0 };

	tree_page_begin(&page, 0);
	for (const char *p = letters; *p; p++) {
		char name[2] = { *p, '\0' };
		struct tree_entry e = plain_file(name);

		tree_entry_encode(&page, &e);
	}
	tree_page_seal(&page, (uint32_t)strlen(letters));
	memory_set(m, ID_TREE, &page_id, page.data, page.len);
	buf_fini(&page);
}

/* Two leaves, "ab" under 0x0a and "cd" under 0x0c, and these claims of them. */
static const struct {
	const char *why;
	int level;
	struct claim claims[2];
	int want;
} tops[] = {
	{ "the truth", 1, { { "b", 0x0a, 2, 2 }, { "d", 0x0c, 2, 2 } }, 4 },
	{ "entries too few", 1, { { "b", 0x0a, 1, 2 }, { "d", 0x0c, 2, 2 } },
	    ERR_CORRUPT },
	{ "entries too many", 1, { { "b", 0x0a, 3, 3 }, { "d", 0x0c, 2, 2 } },
	    ERR_CORRUPT },
	{ "span too large", 1, { { "b", 0x0a, 2, 3 }, { "d", 0x0c, 2, 2 } },
	    ERR_CORRUPT },
	{ "span of all numbers there are", 1,
	    { { "b", 0x0a, 2, 2 }, { "d", 0x0c, 2, UINT64_MAX - 1 } },
	    ERR_CORRUPT },
	{ "greatest name too small", 1,
	    { { "a", 0x0a, 2, 2 }, { "d", 0x0c, 2, 2 } }, ERR_CORRUPT },
	{ "greatest name too great", 1,
	    { { "b", 0x0a, 2, 2 }, { "e", 0x0c, 2, 2 } }, ERR_CORRUPT },
	{ "greatest name that reaches into the next child", 1,
	    { { "c", 0x0a, 2, 2 }, { "d", 0x0c, 2, 2 } }, ERR_CORRUPT },
	{ "children out of order", 1,
	    { { "d", 0x0c, 2, 2 }, { "b", 0x0a, 2, 2 } }, ERR_CORRUPT },
	{ "the same child twice", 1,
	    { { "b", 0x0a, 2, 2 }, { "d", 0x0a, 2, 2 } }, ERR_CORRUPT },
	{ "one name twice", 1, { { "b", 0x0a, 2, 2 }, { "b", 0x0a, 2, 2 } },
	    ERR_CORRUPT },
	{ "a level skipped", 2, { { "b", 0x0a, 2, 2 }, { "d", 0x0c, 2, 2 } },
	    ERR_CORRUPT },
	{ "itself as its child", 1,
	    { { "b", 0xee, 2, 2 }, { "d", 0x0c, 2, 2 } }, ERR_CORRUPT },
	{ "itself as its child, from high up", TREE_LEVELS_MAX - 1,
	    { { "b", 0xee, 2, 2 }, { "d", 0x0c, 2, 2 } }, ERR_CORRUPT },
	{ "a level above the highest", TREE_LEVELS_MAX,
	    { { "b", 0x0a, 2, 2 }, { "d", 0x0c, 2, 2 } }, ERR_CORRUPT },
	{ "a missing child", 1, { { "b", 0x0a, 2, 2 }, { "d", 0x99, 2, 2 } },
	    ERR_CORRUPT },
	{ "the id of nothing", 1, { { "b", 0x0a, 2, 2 }, { "d", 0x00, 2, 2 } },
	    ERR_CORRUPT },
	{ "a child without entries", 1,
	    { { "b", 0x0a, 2, 2 }, { "d", 0x0c, 0, 0 } }, ERR_CORRUPT },
	{ "a nameless child", 1, { { "", 0x0a, 2, 2 }, { "d", 0x0c, 2, 2 } },
	    ERR_CORRUPT },
	{ "sums that wrap", 1,
	    { { "b", 0x0a, UINT64_MAX, UINT64_MAX }, { "d", 0x0c, 2, 2 } },
	    ERR_CORRUPT },
};

static void false_claims_of_a_child_are_damage(void **state)
{
	struct id top = id_of(0xee);
	struct memory_chunks m;
	struct err err;

	(void)state;
	memory_init(&m);
	put_leaf(&m, 0x0a, "ab");
	put_leaf(&m, 0x0c, "cd");
	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		int rc;

		put_inner(&m, 0xee, tops[i].level, tops[i].claims, 2);
		rc = dir_walk(&m, &top, &err);
		if (rc != tops[i].want)
			fail_msg("%s: %d", tops[i].why, rc);
	}
	assert_int_equal(memory_fini(&m), 0);
}

static void false_claims_of_a_grandchild_are_damage(void **state)
{
	struct id top = id_of(0xee);
	struct memory_chunks m;
	struct err err;
	struct claim left[] = { { "b", 0x0a, 2, 2 }, { "d", 0x0c, 2, 2 } };
	struct claim right[] = { { "f", 0x0e, 2, 2 } };
	struct claim both[] = { { "d", 0xe1, 4, 4 }, { "f", 0xe2, 2, 2 } };

	(void)state;
	memory_init(&m);
	put_leaf(&m, 0x0a, "ab");
	put_leaf(&m, 0x0c, "cd");
	put_leaf(&m, 0x0e, "ef");
	put_inner(&m, 0xe1, 1, left, 2);
	put_inner(&m, 0xe2, 1, right, 1);
	put_inner(&m, 0xee, 2, both, 2);
	assert_int_equal(dir_walk(&m, &top, &err), 6);

	/* A leaf that begins before its uncle ended. */
	put_leaf(&m, 0x0e, "df");
	assert_int_equal(dir_walk(&m, &top, &err), ERR_CORRUPT);
	put_leaf(&m, 0x0e, "ef");

	both[0].entries = 5;
	both[0].span = 5;
	put_inner(&m, 0xee, 2, both, 2);
	assert_int_equal(dir_walk(&m, &top, &err), ERR_CORRUPT);
	both[0].entries = 3;
	put_inner(&m, 0xee, 2, both, 2);
	assert_int_equal(dir_walk(&m, &top, &err), ERR_CORRUPT);
	both[0].entries = 1;
	put_inner(&m, 0xee, 2, both, 2);
	assert_int_equal(dir_walk(&m, &top, &err), ERR_CORRUPT);
	assert_int_equal(memory_fini(&m), 0);
}

static void sums_beneath_do_not_wrap(void **state)
{
	static const uint64_t beneath[] = { TREE_BENEATH_MAX, TREE_BENEATH_MAX,
		101 };
	struct claim claims[] = { { "c", 0x0a, 3, 100 }, { "d", 0x0d, 1, 1 } };
	struct id leaf_id = id_of(0x0a);
	struct id top = id_of(0xee);
	struct buf page = { 0 };
	struct memory_chunks m;
	struct err err;

	(void)state;
	memory_init(&m);
	tree_page_begin(&page, 0);
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "a", "b", "c" };
		struct tree_entry e = plain_file(names[i]);

		e.mode = S_IFDIR | 0755;
		e.beneath = beneath[i];
		tree_entry_encode(&page, &e);
	}
	tree_page_seal(&page, 3);
	memory_set(&m, ID_TREE, &leaf_id, page.data, page.len);
	put_leaf(&m, 0x0d, "d");
	put_inner(&m, 0xee, 1, claims, 2);
	assert_int_equal(dir_walk(&m, &top, &err), ERR_CORRUPT);
	buf_fini(&page);
	assert_int_equal(memory_fini(&m), 0);
}

static void damage_is_not_the_absence_of_a_name(void **state)
{
	struct claim claims[] = { { "b", 0x0a, 2, 2 }, { "d", 0x99, 2, 2 } };
	struct id top = id_of(0xee);
	struct id gone = id_of(0x77);
	struct memory_chunks m;
	struct tree_entry e;
	struct tree_iter it;
	struct err err;

	(void)state;
	memory_init(&m);
	put_leaf(&m, 0x0a, "ab");
	put_inner(&m, 0xee, 1, claims, 2);
	assert_int_equal(
	    tree_find(&it, &m.source, &top, "a", 1, &e, NULL, &err), 0);
	tree_iter_fini(&it);
	assert_int_equal(
	    tree_find(&it, &m.source, &top, "c", 1, &e, NULL, &err),
	    ERR_CORRUPT);
	tree_iter_fini(&it);
	assert_int_equal(
	    tree_find(&it, &m.source, &top, "e", 1, &e, NULL, &err),
	    ERR_NOT_FOUND);
	tree_iter_fini(&it);
	assert_int_equal(
	    tree_find(&it, &m.source, &gone, "a", 1, &e, NULL, &err),
	    ERR_CORRUPT);
	tree_iter_fini(&it);
	assert_int_equal(memory_fini(&m), 0);
}

/*
 * Reads a whole directory in every way there is; returns what the walk
 * returned.  Any failure is damage or a newer format.
 */
static int read_all_ways(struct memory_chunks *m, const struct id *top)
{
	struct tree_entry e;
	struct tree_iter it;
	struct err err;
	int rc = dir_walk(m, top, &err);

	if (rc < 0 && rc != ERR_CORRUPT && rc != ERR_FORMAT)
		fail_msg("unexpected failure %d: %s", rc, err.msg);
	assert_true(rc <= 1000);
	tree_iter_init(&it, &m->source, top);
	for (uint64_t i = 0; i < 9; i++) {
		if (!tree_iter_seek_ordinal(&it, i * i, &err))
			(void)tree_iter_next(&it, &e, NULL, &err);
		if (!tree_iter_seek_offset(&it, i << (8 * i - i), &err))
			(void)tree_iter_next(&it, &e, NULL, &err);
		if (!tree_iter_seek_name(&it, &"abcdefghi"[i], 1, &err))
			(void)tree_iter_next(&it, &e, NULL, &err);
	}
	tree_iter_fini(&it);
	return rc;
}

/*
 * Cuts the page short, lengthens it, and sets each byte to each value.  With
 * always_seen every one of these is a failure, else those of the head are.
 */
static void damage_page(struct memory_chunks *m, const struct id *page_id,
    const struct id *top, bool always_seen)
{
	const struct memory_chunk *c = memory_slot(m, ID_TREE, page_id);
	size_t len = c->len;
	uint8_t *good = malloc(len);
	uint8_t *bad = malloc(len + 1);

	assert_true(good && bad);
	memcpy(good, c->data, len);
	memcpy(bad, good, len);
	bad[len] = 0;
	for (size_t n = 0; n < len; n++) {
		memory_set(m, ID_TREE, page_id, good, n);
		assert_true(read_all_ways(m, top) < 0);
	}
	memory_set(m, ID_TREE, page_id, bad, len + 1);
	assert_true(read_all_ways(m, top) < 0);
	for (size_t at = 0; at < len; at++) {
		for (int v = 0; v < 256; v++) {
			int rc;

			if (v == good[at])
				continue;
			bad[at] = (uint8_t)v;
			memory_set(m, ID_TREE, page_id, bad, len);
			rc = read_all_ways(m, top);
			if (rc >= 0 && (always_seen || at < TREE_PAGE_HEAD))
				fail_msg("byte %zu as %d is not seen", at, v);
		}
		bad[at] = good[at];
	}
	memory_set(m, ID_TREE, page_id, good, len);
	free(good);
	free(bad);
}

static void every_damaged_byte_of_a_page_is_survived(void **state)
{
	struct claim claims[] = { { "d", 0x0a, 4, 4 }, { "h", 0x0c, 4, 4 } };
	struct claim upper[] = { { "h", 0xe1, 8, 8 } };
	struct id leaf = id_of(0x0a);
	struct id inner = id_of(0xe1);
	struct id top = id_of(0xee);
	struct memory_chunks m;

	(void)state;
	memory_init(&m);
	put_leaf(&m, 0x0a, "abcd");
	put_leaf(&m, 0x0c, "efgh");
	put_inner(&m, 0xe1, 1, claims, 2);
	put_inner(&m, 0xee, 2, upper, 1);
	assert_int_equal(read_all_ways(&m, &top), 8);
	damage_page(&m, &leaf, &top, false);
	damage_page(&m, &leaf, &leaf, false);
	damage_page(&m, &inner, &top, true);
	damage_page(&m, &inner, &inner, true);
	damage_page(&m, &top, &top, true);
	assert_int_equal(read_all_ways(&m, &top), 8);
	assert_int_equal(memory_fini(&m), 0);
}

static void an_inner_page_has_the_golden_bytes(void **state)
{
	static const char golden[] =
	    "4401010002000000016d11111111111111111111111111111111"
	    "64e807027a7a222222222222222222222222222222220505";
	struct claim claims[] = { { "m", 0x11, 100, 1000 },
		{ "zz", 0x22, 5, 5 } };
	struct id id = id_of(0xee);
	const struct memory_chunk *c;
	struct memory_chunks m;

	(void)state;
	memory_init(&m);
	put_inner(&m, 0xee, 1, claims, 2);
	c = memory_slot(&m, ID_TREE, &id);
	assert_hex(c->data, c->len, golden);
	assert_int_equal(memory_fini(&m), 0);
}

/* The quick varint must agree with the plain one on every length and edge. */
static void the_quick_varint_answers_as_the_plain_one(void **state)
{
	uint64_t seed = random_seed("varint");

	(void)state;
	for (int round = 0; round < 200000; round++) {
		uint8_t data[12];
		size_t len = random_below(&seed, sizeof(data) + 1);
		size_t run = random_below(&seed, sizeof(data) + 1);
		struct bytes a = bytes_of(data, len);
		struct bytes b = bytes_of(data, len);
		uint64_t x, y;

		for (size_t i = 0; i < sizeof(data); i++) {
			data[i] = (uint8_t)random_next(&seed);
			if (random_below(&seed, 4) == 0)
				data[i] = 0;
			data[i] = (uint8_t)(i < run ? data[i] | 0x80
						    : data[i] & 0x7f);
		}
		x = bytes_varint(&a);
		y = tree_varint(&b);
		assert_int_equal(a.bad, b.bad);
		if (a.bad)
			continue;
		assert_int_equal(x, y);
		assert_ptr_equal(a.next, b.next);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(false_claims_of_a_child_are_damage),
		cmocka_unit_test(false_claims_of_a_grandchild_are_damage),
		cmocka_unit_test(sums_beneath_do_not_wrap),
		cmocka_unit_test(damage_is_not_the_absence_of_a_name),
		cmocka_unit_test(every_damaged_byte_of_a_page_is_survived),
		cmocka_unit_test(an_inner_page_has_the_golden_bytes),
		cmocka_unit_test(the_quick_varint_answers_as_the_plain_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
