/* Proves tools/links.h: files with several names, read once, numbered right. */
#include "tests/index/tree_fixture.h"

#include "index/blob.h"
#include "index/config.h"
#include "tools/links.h"

static struct tree_entry linked(uint64_t ino, uint64_t size)
{
	return (struct tree_entry){
		.flags = TREE_LINKED,
		.mode = S_IFREG | 0644,
		.ino = ino,
		.size = size,
		.mtime_s = 7,
		.ctime_s = 8,
	};
}

static void test_what_was_read_is_known_under_the_other_names(void **state)
{
	struct links_known *k = NULL;
	struct tree_entry read = linked(5, 100);
	struct tree_entry name = linked(5, 100);
	struct err err;

	(void)state;
	assert_int_equal(links_known_new(&k, &err), 0);
	assert_false(links_known_find(k, &name));
	read.flags |= TREE_CHUNK;
	memset(&read.content, 0x5a, sizeof(read.content));
	assert_int_equal(links_known_add(k, &read, 3, &err), 0);
	assert_true(links_known_find(k, &name));
	assert_true(id_equal(&name.content, &read.content));
	assert_int_equal(name.flags, TREE_LINKED | TREE_CHUNK);
	name = linked(5, 100);
	assert_true(links_known_find(k, &name));

	/* Three names, all met: nothing is kept any longer. */
	name = linked(5, 100);
	assert_false(links_known_find(k, &name));
	links_known_free(k);
}

static void test_another_state_or_device_is_another_file(void **state)
{
	struct links_known *k = NULL;
	struct tree_entry read = linked(5, 100);
	struct tree_entry name;
	struct err err;

	(void)state;
	assert_int_equal(links_known_new(&k, &err), 0);
	assert_int_equal(links_known_add(k, &read, 9, &err), 0);
	name = linked(5, 101);
	assert_false(links_known_find(k, &name));
	name = linked(5, 100);
	name.ctime_ns = 1;
	assert_false(links_known_find(k, &name));
	name = linked(5, 100);
	name.dev = 1;
	assert_false(links_known_find(k, &name));
	name = linked(5, 100);
	assert_true(links_known_find(k, &name));
	links_known_free(k);
}

static void test_many_files_are_told_apart(void **state)
{
	struct links_known *k = NULL;
	struct err err;

	(void)state;
	assert_int_equal(links_known_new(&k, &err), 0);
	for (uint64_t ino = 1; ino <= 5000; ino++) {
		struct tree_entry e = linked(ino, ino);

		e.data = ino * 3;
		assert_int_equal(links_known_add(k, &e, 2, &err), 0);
	}
	for (uint64_t ino = 1; ino <= 5000; ino++) {
		struct tree_entry e = linked(ino, ino);

		assert_true(links_known_find(k, &e));
		assert_int_equal(e.data, ino * 3);
	}
	links_known_free(k);
}

static void found_add(struct links_found *f, uint64_t ino, uint64_t number)
{
	struct err err;

	assert_int_equal(links_found_add(f, 0, ino, number, &err), 0);
}

static void test_a_table_has_the_first_number_of_each_group(void **state)
{
	struct links_found all = { 0 }, few = { 0 }, many = { 0 };
	struct memory_chunks m;
	struct content content;
	struct config config;
	struct link link;
	struct err err;

	(void)state;
	memory_init(&m);
	assert_int_equal(config_new(&config, "UTC", 0, &err), 0);

	/* Numbers 10 + 1..3 and 100 + 1..2, moved in either order of size. */
	found_add(&few, 77, 1);
	found_add(&few, 42, 2);
	found_add(&many, 42, 1);
	found_add(&many, 9, 2);
	found_add(&many, 42, 3);
	assert_int_equal(links_found_move(&all, &few, 100, &err), 0);
	assert_int_equal(links_found_move(&all, &many, 10, &err), 0);
	assert_int_equal(all.n, 5);
	assert_int_equal(many.n, 0);
	found_add(&all, 77, 200);

	assert_int_equal(links_found_put(&all, &config, &m.sink, &content,
			     &err),
	    0);
	assert_int_equal(content.size, 2 * LINK_SIZE);
	assert_int_equal(link_find(&m.source, &content, 0, 42, &link, &err),
	    0);
	assert_int_equal(link.names, 3);
	assert_int_equal(link.number, 11);
	assert_int_equal(link_find(&m.source, &content, 0, 77, &link, &err),
	    0);
	assert_int_equal(link.names, 2);
	assert_int_equal(link.number, 101);
	assert_int_equal(link_find(&m.source, &content, 0, 9, &link, &err),
	    ERR_NOT_FOUND);
	links_found_fini(&all);
	links_found_fini(&few);
	links_found_fini(&many);
	memory_fini(&m);
}

static void test_no_links_make_no_table(void **state)
{
	struct links_found all = { 0 };
	struct memory_chunks m;
	struct content content = { .kind = CONTENT_ROPE };
	struct config config;
	struct err err;

	(void)state;
	memory_init(&m);
	assert_int_equal(config_new(&config, "UTC", 0, &err), 0);
	found_add(&all, 3, 3);
	assert_int_equal(links_found_put(&all, &config, &m.sink, &content,
			     &err),
	    0);
	assert_int_equal(content.kind, CONTENT_NONE);
	links_found_fini(&all);
	memory_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_what_was_read_is_known_under_the_other_names),
		cmocka_unit_test(test_another_state_or_device_is_another_file),
		cmocka_unit_test(test_many_files_are_told_apart),
		cmocka_unit_test(
		    test_a_table_has_the_first_number_of_each_group),
		cmocka_unit_test(test_no_links_make_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
