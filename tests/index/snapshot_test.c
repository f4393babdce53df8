/*
 * Proves snapshot.h over a real store: lists, and the walk by name and by
 * number.
 */
#include "index/snapshot.h"

#include "tests/index/fixture.h"

#define NS INT64_C(1000000000)

static struct plant *small_tree(void)
{
	struct plant *root = plant_root();

	plant_add(root, "var/www/index.html", S_IFREG | 0644, "hello");
	plant_add(root, "var/www/empty", S_IFREG | 0600, "");
	plant_add(root, "var/log", S_IFDIR | 0700, NULL);
	plant_add(root, "var-old", S_IFREG | 0644, "x");
	plant_add(root, "etc/link", S_IFLNK | 0777, "../var");
	plant_add(root, "a\xff\x01", S_IFREG | 0644, "bytes");
	return root;
}

static void check_plants(struct store *s, const struct snapshot *snap,
    const struct plant *p, char *path, size_t len, uint64_t parent)
{
	struct snapshot_item item;
	uint64_t found_parent;
	struct err err;

	OK(snapshot_walk(s, snap, path, len, &item, &err));
	assert_int_equal(item.number, p->number);
	assert_int_equal(item.entry.mode, p->entry.mode);
	assert_int_equal(item.entry.size, p->entry.size);
	snapshot_item_fini(&item);

	OK(snapshot_at(s, snap, p->number, &item, &found_parent, &err));
	assert_int_equal(item.number, p->number);
	assert_int_equal(found_parent, parent);
	assert_int_equal(item.entry.name_len, strlen(p->name));
	assert_memory_equal(item.entry.name, p->name, item.entry.name_len);
	if (p->target)
		assert_memory_equal(item.entry.target, p->target,
		    item.entry.target_len);
	snapshot_item_fini(&item);

	for (size_t i = 0; i < p->n; i++) {
		size_t n = strlen(p->children[i]->name);

		path[len] = '/';
		memcpy(path + len + 1, p->children[i]->name, n);
		check_plants(s, snap, p->children[i], path, len + 1 + n,
		    p->number);
	}
}

static void every_thing_is_found_by_path_and_by_number(void **state)
{
	struct fixture *f = *state;
	struct plant *root = small_tree();
	struct snapshot *snap;
	char path[4096];
	uint64_t serial;
	struct err err;

	serial = fixture_commit(f, "acme/web", 5 * NS, 0, root);
	OK(snapshot_open(&snap, f->reader, serial, &err));
	assert_int_equal(snap->row.time_ns, 5 * NS);
	assert_int_equal(snap->root.top.beneath, 9);
	check_plants(f->reader, snap, root, path, 0, 0);
	snapshot_close(snap);
	plant_free(root);
}

static void paths_are_read_with_patience(void **state)
{
	static const struct {
		const char *path;
		int code;
		const char *words;
	} cases[] = {
		{ "", 0, NULL },
		{ "/", 0, NULL },
		{ "//var///www/", 0, NULL },
		{ "./var/./www/.", 0, NULL },
		{ "etc/link", 0, NULL },
		{ "etc/link/www", ERR_NOT_FOUND, "etc/link/: not a dir" },
		{ "var-old/x", ERR_NOT_FOUND, "var-old/: not a dir" },
		{ "var/wwx/index.html", ERR_NOT_FOUND, "var/wwx: not in" },
		{ "var/../etc", ERR_INVALID, "var/..:" },
		{ "va", ERR_NOT_FOUND, "va: not in" },
		{ "var/log/x", ERR_NOT_FOUND, "var/log/x: not in" },
	};
	struct fixture *f = *state;
	struct plant *root = small_tree();
	struct snapshot_item item;
	struct snapshot *snap;
	uint64_t parent;
	struct err err;

	OK(snapshot_open(&snap, f->reader,
	    fixture_commit(f, "acme/web", 5 * NS, 0, root), &err));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = snapshot_walk(f->reader, snap, cases[i].path,
		    strlen(cases[i].path), &item, &err);

		print_message("case: \"%s\"\n", cases[i].path);
		assert_int_equal(rc, cases[i].code);
		if (rc)
			assert_non_null(strstr(err.msg, cases[i].words));
		else
			snapshot_item_fini(&item);
	}
	assert_int_equal(snapshot_at(f->reader, snap, 10, &item, &parent,
	    &err), ERR_NOT_FOUND);
	snapshot_close(snap);
	plant_free(root);
}

static void depth_has_no_bound(void **state)
{
	enum { DEPTH = 2000 };
	struct fixture *f = *state;
	struct plant *root = plant_root();
	char *path = malloc(2 * DEPTH + 1);
	struct snapshot_item item;
	struct snapshot *snap;
	uint64_t parent;
	struct err err;

	for (size_t i = 0; i < DEPTH; i++)
		memcpy(path + 2 * i, "d/", 2);
	path[2 * DEPTH - 1] = '\0';
	plant_add(root, path, S_IFREG | 0644, "deep");
	OK(snapshot_open(&snap, f->reader,
	    fixture_commit(f, "acme/web", 5 * NS, 0, root), &err));

	OK(snapshot_walk(f->reader, snap, path, strlen(path), &item, &err));
	assert_int_equal(item.number, DEPTH);
	assert_int_equal(item.entry.size, 4);
	snapshot_item_fini(&item);
	OK(snapshot_at(f->reader, snap, DEPTH, &item, &parent, &err));
	assert_int_equal(parent, DEPTH - 1);
	assert_true(S_ISREG(item.entry.mode));
	snapshot_item_fini(&item);

	/* The error shows the end of the path, where the fault is. */
	path[2 * DEPTH - 2] = 'x';
	assert_int_equal(snapshot_walk(f->reader, snap, path, strlen(path),
	    &item, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "d/d/x: not in"));

	snapshot_close(snap);
	plant_free(root);
	free(path);
}

static void lists_are_by_name_and_by_time(void **state)
{
	struct fixture *f = *state;
	struct plant *root = small_tree();
	struct resource_row *resources;
	struct snapshot_row *rows;
	struct resource_row one;
	struct snapshot *snap;
	struct err err;
	size_t n;

	fixture_commit(f, "zeta", 9 * NS, 0, root);
	fixture_commit(f, "acme/web", 7 * NS, 0, root);
	fixture_commit(f, "acme/web", 5 * NS, 0, root);

	OK(resource_list(f->reader, &resources, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(resources[0].name, "acme/web");
	assert_string_equal(resources[1].name, "zeta");
	db_resources_free(resources, n);

	OK(resource_find(f->reader, "acme/web", &one, &err));
	OK(snapshot_list(f->reader, one.no, &rows, &n, &err));
	assert_int_equal(n, 2);
	assert_int_equal(rows[0].time_ns, 5 * NS);
	assert_int_equal(rows[1].time_ns, 7 * NS);
	free(rows);
	free(one.name);
	OK(snapshot_list(f->reader, 0, &rows, &n, &err));
	assert_int_equal(n, 3);
	free(rows);

	assert_int_equal(resource_find(f->reader, "acme", &one, &err),
	    ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "acme"));
	assert_int_equal(snapshot_open(&snap, f->reader, 4711, &err),
	    ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "4711"));
	plant_free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_thing_is_found_by_path_and_by_number),
		FIXTURE_TEST(paths_are_read_with_patience),
		FIXTURE_TEST(depth_has_no_bound),
		FIXTURE_TEST(lists_are_by_name_and_by_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
