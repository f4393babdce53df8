/* Proves whole directories: index/tree.h, its writer and its iterator. */
#include "tests/index/tree_fixture.h"

/* A sorted array of entries with names of their own: the model. */
struct model {
	struct tree_entry *entries;
	uint64_t *before; /* sums of (1 + beneath), one more than entries */
	size_t n;
	char (*names)[TREE_NAME_MAX];
};

static int entry_order(const void *a, const void *b)
{
	const struct tree_entry *x = a;
	const struct tree_entry *y = b;
	size_t len = x->name_len < y->name_len ? x->name_len : y->name_len;
	int order = memcmp(x->name, y->name, len);

	return order
		   ? order
		   : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static size_t random_name(uint64_t *seed, char *name)
{
	size_t len = 1 + random_below(seed, 20);

	if (random_below(seed, 500) == 0)
		len = 1 + random_below(seed, TREE_NAME_MAX);
	for (size_t i = 0; i < len; i++) {
		do
			name[i] = (char)(1 + random_below(seed, 255));
		while (name[i] == '/');
	}
	if (name[0] == '.')
		name[0] = '-';
	return len;
}

static void random_entry(uint64_t *seed, struct tree_entry *e)
{
	*e = plain_file("");
	e->ino = random_next(seed) >> random_below(seed, 64);
	e->mtime_s = (int64_t)random_next(seed) >> random_below(seed, 64);
	e->ctime_s = e->mtime_s + (int64_t)random_below(seed, 100);
	e->mtime_ns = (uint32_t)random_below(seed, 1000000000);
	e->size = 1 + (random_next(seed) >> (1 + random_below(seed, 62)));
	if (random_below(seed, 4))
		return;
	e->mode = S_IFDIR | 0755;
	e->size = 0;
	e->beneath = 1 + (random_next(seed) >> (20 + random_below(seed, 44)));
	e->subdirs = (uint32_t)random_below(seed, 2);
}

static void model_make(struct model *model, uint64_t *seed, size_t n)
{
	size_t kept = 0;

	model->entries = calloc(n + 1, sizeof(*model->entries));
	model->before = calloc(n + 1, sizeof(*model->before));
	model->names = calloc(n + 1, sizeof(*model->names));
	assert_true(model->entries && model->before && model->names);
	for (size_t i = 0; i < n; i++) {
		struct tree_entry *e = &model->entries[i];

		random_entry(seed, e);
		e->name = model->names[i];
		e->name_len = random_name(seed, model->names[i]);
	}
	qsort(model->entries, n, sizeof(*model->entries), entry_order);
	for (size_t i = 0; i < n; i++)
		if (!kept ||
		    entry_order(&model->entries[kept - 1], &model->entries[i]))
			model->entries[kept++] = model->entries[i];
	model->n = kept;
	for (size_t i = 0; i < kept; i++)
		model->before[i + 1] =
		    model->before[i] + 1 + model->entries[i].beneath;
}

static void model_drop(struct model *model)
{
	free(model->entries);
	free(model->before);
	free(model->names);
}

/* The iterator's next entry is the model's i-th, or both are at the end. */
static void expect_next(
    struct tree_iter *it, const struct model *model, size_t i)
{
	struct tree_entry e;
	uint64_t before;
	struct err err;
	int rc = tree_iter_next(it, &e, &before, &err);

	if (rc < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(rc, i < model->n);
	if (i >= model->n)
		return;
	assert_true(entry_equal(&e, &model->entries[i]));
	assert_int_equal(before, model->before[i]);
}

/* The place of the first name not less than this one. */
static size_t model_place(
    const struct model *model, const struct tree_entry *name)
{
	size_t low = 0;
	size_t high = model->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (entry_order(&model->entries[mid], name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void model_find_all(
    const struct model *model, struct memory_chunks *m, const struct id *top)
{
	for (size_t i = 0; i < model->n; i++) {
		const struct tree_entry *want = &model->entries[i];
		struct tree_entry e;
		struct tree_iter it;
		uint64_t before;
		struct err err;

		assert_int_equal(tree_find(&it, &m->source, top, want->name,
				     want->name_len, &e, &before, &err),
		    0);
		assert_true(entry_equal(&e, want));
		assert_int_equal(before, model->before[i]);
		expect_next(&it, model, i);
		tree_iter_fini(&it);
	}
}

static void model_miss_some(const struct model *model, struct memory_chunks *m,
    const struct id *top, uint64_t *seed)
{
	for (int round = 0; round < 300; round++) {
		char name[TREE_NAME_MAX];
		struct tree_entry want = { .name = name };
		struct tree_entry e;
		struct tree_iter it;
		struct err err;
		size_t place;

		want.name_len = random_name(seed, name);
		place = model_place(model, &want);
		if (place == model->n ||
		    entry_order(&model->entries[place], &want))
			assert_int_equal(tree_find(&it, &m->source, top, name,
					     want.name_len, &e, NULL, &err),
			    ERR_NOT_FOUND);
		else
			tree_iter_init(&it, &m->source, top);
		assert_int_equal(
		    tree_iter_seek_name(&it, name, want.name_len, &err), 0);
		expect_next(&it, model, place);
		tree_iter_fini(&it);
	}
}

/* Seeks of all sorts on one iterator, forwards and back. */
static void model_seek_some(const struct model *model, struct memory_chunks *m,
    const struct id *top, uint64_t *seed)
{
	struct tree_iter it;
	struct err err;

	tree_iter_init(&it, &m->source, top);
	for (int round = 0; round < 1000; round++) {
		size_t i = random_below(seed, model->n + 1);
		const struct tree_entry *e = &model->entries[i];
		uint64_t offset = model->before[i];
		int rc = 0;

		switch (random_below(seed, 3)) {
		case 0:
			rc = tree_iter_seek_ordinal(&it, i, &err);
			break;
		case 1:
			if (i < model->n)
				offset += random_below(seed, 1 + e->beneath);
			rc = tree_iter_seek_offset(&it, offset, &err);
			break;
		case 2:
			if (i == model->n)
				continue;
			rc = tree_iter_seek_name(
			    &it, e->name, e->name_len, &err);
			break;
		}
		assert_int_equal(rc, 0);
		for (size_t more = 1 + random_below(seed, 40); more--; i++)
			expect_next(&it, model, i);
	}
	assert_int_equal(tree_iter_seek_ordinal(&it, UINT64_MAX, &err), 0);
	expect_next(&it, model, model->n);
	assert_int_equal(tree_iter_seek_offset(&it, UINT64_MAX, &err), 0);
	expect_next(&it, model, model->n);
	tree_iter_fini(&it);
}

static void model_check(
    const struct model *model, const struct page_params *params, uint64_t *seed)
{
	struct memory_chunks m;
	struct tree_iter it;
	struct tree_dir dir;

	memory_init(&m);
	dir = dir_write(&m, params, model->entries, model->n);
	assert_int_equal(dir.entries, model->n);
	assert_int_equal(dir.beneath, model->before[model->n]);
	assert_int_equal(id_is_zero(&dir.id), model->n == 0);

	tree_iter_init(&it, &m.source, &dir.id);
	for (size_t i = 0; i <= model->n; i++)
		expect_next(&it, model, i);
	expect_next(&it, model, model->n);
	assert_true(m.held <= TREE_LEVELS_MAX);
	tree_iter_fini(&it);

	model_find_all(model, &m, &dir.id);
	model_miss_some(model, &m, &dir.id, seed);
	model_seek_some(model, &m, &dir.id, seed);
	assert_int_equal(memory_fini(&m), 0);
}

static void a_directory_equals_a_sorted_array(void **state)
{
	static const size_t most[] = { 0, 1, 2, 3, 10, 30, 100, 300, 1000, 4000,
		20000 };
	uint64_t seed = random_seed("model");

	(void)state;
	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		struct model model;

		model_make(&model, &seed, most[i]);
		model_check(&model, &default_pages, &seed);
		model_check(&model, &small_pages, &seed);
		model_drop(&model);
	}
}

static void one_page_needs_no_inner_page(void **state)
{
	struct tree_entry e = plain_file("only");
	struct memory_chunks m;
	struct tree_dir dir;

	(void)state;
	memory_init(&m);
	dir = dir_write(&m, &small_pages, &e, 1);
	assert_int_equal(m.n_chunks, 1);
	assert_int_equal(memory_slot(&m, ID_TREE, &dir.id)->data[2], 0);
	assert_int_equal(memory_fini(&m), 0);
}

/* Even when the last entry of a level ends its page. */
static void a_top_page_is_never_the_only_child(void **state)
{
	uint64_t seed = random_seed("top");
	struct model model;

	(void)state;
	model_make(&model, &seed, 600);
	for (size_t n = 1; n <= model.n; n++) {
		const struct memory_chunk *top;
		struct memory_chunks m;
		struct tree_dir dir;

		memory_init(&m);
		dir = dir_write(&m, &small_pages, model.entries, n);
		top = memory_slot(&m, ID_TREE, &dir.id);
		assert_true(top->data[2] == 0 || le32_get(top->data + 4) > 1);
		assert_int_equal(memory_fini(&m), 0);
	}
	model_drop(&model);
}

static void the_same_entries_give_the_same_id_whatever_came_before(void **state)
{
	uint64_t seed = random_seed("same");
	struct tree_writer *w = NULL;
	struct tree_dir alone, dir;
	struct model one, other;
	struct memory_chunks m;
	struct err err;

	(void)state;
	memory_init(&m);
	model_make(&one, &seed, 3000);
	model_make(&other, &seed, 777);
	alone = dir_write(&m, &small_pages, one.entries, one.n);
	assert_int_equal(tree_writer_new(&w, &small_pages, &m.sink, &err), 0);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < other.n; i++)
			tree_writer_add(w, &other.entries[i], &err);
		assert_int_equal(tree_writer_finish(w, &dir, &err), 0);
		assert_false(id_equal(&dir.id, &alone.id));
		for (size_t i = 0; i < one.n; i++)
			tree_writer_add(w, &one.entries[i], &err);
		assert_int_equal(tree_writer_finish(w, &dir, &err), 0);
		assert_true(id_equal(&dir.id, &alone.id));
		assert_int_equal(tree_writer_finish(w, &dir, &err), 0);
		assert_true(id_is_zero(&dir.id));
	}
	tree_writer_free(w);
	model_drop(&one);
	model_drop(&other);
	assert_int_equal(memory_fini(&m), 0);
}

static void one_changed_entry_in_100000_costs_a_page_a_level(void **state)
{
	uint64_t seed = random_seed("change");
	struct memory_chunks m;
	struct model model;
	size_t pages;

	(void)state;
	memory_init(&m);
	model_make(&model, &seed, 100000);
	dir_write(&m, &default_pages, model.entries, model.n);
	pages = m.n_chunks;
	assert_true(pages > 300);
	for (int round = 0; round < 5; round++) {
		size_t i = random_below(&seed, model.n);

		model.entries[i].mtime_s ^= 1;
		dir_write(&m, &default_pages, model.entries, model.n);
		assert_true(m.n_chunks - pages <= 4);
		pages = m.n_chunks;
	}
	model_drop(&model);
	assert_int_equal(memory_fini(&m), 0);
}

/* Cuts of inner pages must not depend on how many pages came before. */
static void new_entries_at_the_front_leave_later_pages_alone(void **state)
{
	static const struct page_params pages = {
		.page_min = 512,
		.page_max = 8192,
		.page_bits = 5,
		.cut_key = 7,
	};
	uint64_t seed = random_seed("front");
	struct memory_chunks m;
	struct model model;
	size_t all, later;

	(void)state;
	memory_init(&m);
	model_make(&model, &seed, 100000);
	dir_write(&m, &pages, model.entries + 300, model.n - 300);
	all = m.n_chunks;
	dir_write(&m, &pages, model.entries, model.n);
	later = m.n_chunks;
	print_message("%zu pages, then %zu new\n", all, later - all);
	assert_true(all > 1000);
	assert_true(later - all < 40);
	model_drop(&model);
	assert_int_equal(memory_fini(&m), 0);
}

static void names_that_do_not_rise_are_left_out(void **state)
{
	struct tree_entry a = plain_file("a");
	struct tree_entry b = plain_file("b");
	struct tree_writer *w = NULL;
	struct tree_dir dir, plain;
	struct memory_chunks m;
	struct err err;

	(void)state;
	memory_init(&m);
	plain = dir_write(&m, &small_pages, &b, 1);
	assert_int_equal(tree_writer_new(&w, &small_pages, &m.sink, &err), 0);
	assert_int_equal(tree_writer_add(w, &b, &err), 0);
	assert_int_equal(tree_writer_add(w, &b, &err), ERR_INVALID);
	assert_int_equal(tree_writer_add(w, &a, &err), ERR_INVALID);
	assert_int_equal(tree_writer_finish(w, &dir, &err), 0);
	assert_true(id_equal(&dir.id, &plain.id));
	assert_int_equal(tree_writer_add(w, &a, &err), 0);
	assert_int_equal(tree_writer_finish(w, &dir, &err), 0);
	tree_writer_free(w);
	tree_writer_free(NULL);
	assert_int_equal(memory_fini(&m), 0);
}

/* Fails the first put, then the second, until a directory is written whole. */
static void a_failed_put_fails_the_directory_and_only_that(void **state)
{
	uint64_t seed = random_seed("puts");
	struct tree_writer *w = NULL;
	struct tree_dir whole, dir;
	struct memory_chunks m;
	struct model model;
	struct err err;
	int rc = -1;

	(void)state;
	memory_init(&m);
	model_make(&model, &seed, 400);
	whole = dir_write(&m, &small_pages, model.entries, model.n);
	assert_int_equal(tree_writer_new(&w, &small_pages, &m.sink, &err), 0);
	for (long budget = 0; rc; budget++) {
		bool lost = false;

		m.put_budget = budget;
		for (size_t i = 0; i < model.n; i++)
			if (tree_writer_add(w, &model.entries[i], &err)) {
				lost = true;
				m.put_budget = -1;
			}
		rc = tree_writer_finish(w, &dir, &err);
		assert_true(rc || !lost);
	}
	assert_true(id_equal(&dir.id, &whole.id));
	tree_writer_free(w);
	model_drop(&model);
	assert_int_equal(memory_fini(&m), 0);
}

static void a_failed_get_can_be_tried_again(void **state)
{
	uint64_t seed = random_seed("gets");
	struct memory_chunks m;
	struct tree_iter it;
	struct tree_dir dir;
	struct tree_entry e;
	struct model model;
	struct err err;

	(void)state;
	memory_init(&m);
	model_make(&model, &seed, 2000);
	dir = dir_write(&m, &small_pages, model.entries, model.n);
	tree_iter_init(&it, &m.source, &dir.id);
	for (size_t i = 0; i <= model.n; i++) {
		m.get_budget = 0;
		if (tree_iter_next(&it, &e, NULL, &err) >= 0)
			continue;
		assert_int_equal(err.code, ERR_SYSTEM);
		assert_int_equal(
		    tree_iter_seek_ordinal(&it, i, &err), ERR_SYSTEM);
		m.get_budget = -1;
		assert_int_equal(tree_iter_seek_ordinal(&it, i, &err), 0);
		expect_next(&it, &model, i);
	}
	tree_iter_fini(&it);

	tree_iter_init(&it, &m.source, &dir.id);
	for (size_t i = 0; i <= model.n; i++) {
		m.get_budget = 0;
		if (tree_iter_next(&it, &e, NULL, &err) >= 0)
			continue;
		m.get_budget = -1;
		expect_next(&it, &model, i);
	}
	tree_iter_fini(&it);
	model_drop(&model);
	assert_int_equal(memory_fini(&m), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_equals_a_sorted_array),
		cmocka_unit_test(one_page_needs_no_inner_page),
		cmocka_unit_test(a_top_page_is_never_the_only_child),
		cmocka_unit_test(
		    the_same_entries_give_the_same_id_whatever_came_before),
		cmocka_unit_test(
		    one_changed_entry_in_100000_costs_a_page_a_level),
		cmocka_unit_test(
		    new_entries_at_the_front_leave_later_pages_alone),
		cmocka_unit_test(names_that_do_not_rise_are_left_out),
		cmocka_unit_test(
		    a_failed_put_fails_the_directory_and_only_that),
		cmocka_unit_test(a_failed_get_can_be_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
