/* Proves index/rope.h against plain buffers, and against nodes that lie. */
#include "tests/index/tree_fixture.h"

#include "index/rope.h"
#include "tests/index/hex.h"

/* A content as it was written: pieces of a plain buffer. */
struct model {
	uint8_t *data;
	size_t size;
	struct content content;
};

static struct rope_writer *writer(
    struct memory_chunks *m, const struct page_params *params)
{
	struct rope_writer *w = NULL;
	struct err err;

	assert_int_equal(rope_writer_new(&w, params, &m->sink, &err), 0);
	return w;
}

/* n pieces of at most `most` bytes, a third of them holes. */
static void model_make(struct model *model, struct memory_chunks *m,
    struct rope_writer *w, uint64_t *seed, size_t n, size_t most)
{
	struct err err;

	model->data = calloc(n + 1, most);
	assert_non_null(model->data);
	model->size = 0;
	for (size_t i = 0; i < n; i++) {
		size_t len = 1 + random_below(seed, most);
		uint8_t *at = model->data + model->size;
		struct id id;

		model->size += len;
		if (random_below(seed, 3) == 0) {
			assert_int_equal(
			    rope_writer_add(w, NULL, len, &err), 0);
			continue;
		}
		for (size_t k = 0; k < len; k++)
			at[k] = (uint8_t)random_next(seed);
		assert_int_equal(
		    chunk_put(&m->sink, ID_DATA, at, len, &id, &err), 0);
		assert_int_equal(rope_writer_add(w, &id, len, &err), 0);
	}
	assert_int_equal(rope_writer_finish(w, &model->content, &err), 0);
	assert_int_equal(model->content.size, model->size);
}

static void model_read(
    const struct model *model, struct memory_chunks *m, uint64_t *seed)
{
	uint8_t *to = malloc(model->size + 1);
	struct rope_cursor cur;
	struct err err;

	assert_non_null(to);
	rope_cursor_init(&cur, &m->source, &model->content);
	for (int round = 0; round < 500; round++) {
		size_t offset = random_below(seed, model->size + 2);
		size_t len = random_below(seed, model->size + 1);
		size_t want = 0;
		size_t got;

		if (round % 4)
			len %= 50;
		if (offset < model->size)
			want = len < model->size - offset
				   ? len
				   : model->size - offset;
		assert_int_equal(
		    rope_read(&cur, ID_DATA, offset, to, len, &got, &err), 0);
		assert_int_equal(got, want);
		if (want)
			assert_memory_equal(to, model->data + offset, want);
	}
	rope_cursor_fini(&cur);
	free(to);
}

static void random_reads_equal_a_plain_buffer(void **state)
{
	static const size_t pieces[] = { 0, 1, 2, 3, 5, 8, 20, 60, 200, 1000,
		3000 };
	uint64_t seed = random_seed("rope");
	struct memory_chunks m;
	struct rope_writer *w;

	(void)state;
	memory_init(&m);
	w = writer(&m, &small_pages);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct model model;

		model_make(&model, &m, w, &seed, pieces[i], 40);
		model_read(&model, &m, &seed);
		free(model.data);
	}
	rope_writer_free(w);
	rope_writer_free(NULL);
	assert_int_equal(memory_fini(&m), 0);
}

static void reading_on_gets_each_node_once(void **state)
{
	uint64_t seed = random_seed("nodes");
	struct rope_cursor cur;
	struct rope_piece piece;
	struct memory_chunks m;
	struct rope_writer *w;
	struct model model;
	uint64_t offset = 0;
	size_t nodes = 0;
	struct err err;

	(void)state;
	memory_init(&m);
	w = writer(&m, &small_pages);
	model_make(&model, &m, w, &seed, 3000, 40);
	for (size_t i = 0; i < m.n_slots; i++)
		nodes += m.slots[i].data && m.slots[i].kind == ID_LIST;
	rope_cursor_init(&cur, &m.source, &model.content);
	while (rope_cursor_seek(&cur, offset, &piece, &err) == 1) {
		assert_int_equal(piece.offset, offset);
		offset += piece.len;
	}
	assert_int_equal(offset, model.size);
	assert_true(nodes > 300);
	assert_int_equal(m.gets[ID_LIST], nodes);
	rope_cursor_fini(&cur);

	/* And one node a level for a place of its own. */
	m.gets[ID_LIST] = 0;
	rope_cursor_init(&cur, &m.source, &model.content);
	assert_int_equal(
	    rope_cursor_seek(&cur, model.size / 2, &piece, &err), 1);
	assert_int_equal(m.gets[ID_LIST], cur.height + 1);
	assert_true(cur.height >= 3);
	rope_cursor_fini(&cur);
	rope_writer_free(w);
	free(model.data);
	assert_int_equal(memory_fini(&m), 0);
}

static void small_contents_need_no_list(void **state)
{
	struct id a = id_of(0xaa);
	struct memory_chunks m;
	struct rope_writer *w;
	struct content c;
	struct err err;

	(void)state;
	memory_init(&m);
	w = writer(&m, &default_pages);
	assert_int_equal(rope_writer_finish(w, &c, &err), 0);
	assert_int_equal(c.kind, CONTENT_NONE);
	assert_int_equal(c.size, 0);
	assert_int_equal(rope_writer_add(w, &a, 5, &err), 0);
	assert_int_equal(rope_writer_finish(w, &c, &err), 0);
	assert_int_equal(c.kind, CONTENT_CHUNK);
	assert_int_equal(c.size, 5);
	assert_true(id_equal(&c.id, &a));
	assert_int_equal(m.puts, 0);
	rope_writer_free(w);
	assert_int_equal(memory_fini(&m), 0);
}

static void holes_merge_and_may_be_huge(void **state)
{
	struct id a = id_of(0xaa);
	struct rope_piece piece;
	struct rope_cursor cur;
	struct memory_chunks m;
	struct rope_writer *w;
	struct content c;
	struct err err;

	(void)state;
	memory_init(&m);
	w = writer(&m, &default_pages);
	assert_int_equal(rope_writer_add(w, NULL, 1, &err), 0);
	assert_int_equal(rope_writer_add(w, NULL, (uint64_t)1 << 40, &err), 0);
	assert_int_equal(rope_writer_add(w, &a, 7, &err), 0);
	assert_int_equal(
	    rope_writer_add(w, NULL, INT64_MAX - ((uint64_t)1 << 40) - 8, &err),
	    0);
	assert_int_equal(rope_writer_add(w, NULL, 1, &err), ERR_INVALID);
	assert_int_equal(rope_writer_add(w, &a, 1, &err), ERR_INVALID);
	assert_int_equal(rope_writer_finish(w, &c, &err), 0);
	assert_int_equal(c.size, INT64_MAX);

	rope_cursor_init(&cur, &m.source, &c);
	assert_int_equal(rope_cursor_seek(&cur, 0, &piece, &err), 1);
	assert_true(id_is_zero(&piece.id));
	assert_int_equal(piece.len, ((uint64_t)1 << 40) + 1);
	assert_int_equal(
	    rope_cursor_seek(&cur, INT64_MAX - 1, &piece, &err), 1);
	assert_int_equal(piece.offset, ((uint64_t)1 << 40) + 8);
	assert_int_equal(rope_cursor_seek(&cur, INT64_MAX, &piece, &err), 0);
	assert_int_equal(rope_cursor_seek(&cur, UINT64_MAX, &piece, &err), 0);
	assert_int_equal(
	    rope_cursor_seek(&cur, piece.offset - 1, &piece, &err), 1);
	assert_true(id_equal(&piece.id, &a));
	rope_cursor_fini(&cur);

	/* Nothing but a hole is still a list, of one entry. */
	assert_int_equal(rope_writer_add(w, NULL, INT64_MAX, &err), 0);
	assert_int_equal(rope_writer_finish(w, &c, &err), 0);
	assert_int_equal(c.kind, CONTENT_ROPE);
	assert_int_equal(memory_slot(&m, ID_LIST, &c.id)->len, 8 + 24);
	rope_writer_free(w);
	assert_int_equal(memory_fini(&m), 0);
}

static void senseless_pieces_are_left_out(void **state)
{
	struct id zero = { { 0 } };
	struct id a = id_of(0xaa);
	struct memory_chunks m;
	struct rope_writer *w;
	struct content c;
	struct err err;

	(void)state;
	memory_init(&m);
	w = writer(&m, &default_pages);
	assert_int_equal(rope_writer_add(w, &a, 0, &err), ERR_INVALID);
	assert_int_equal(rope_writer_add(w, NULL, 0, &err), ERR_INVALID);
	assert_int_equal(rope_writer_add(w, &zero, 1, &err), ERR_INVALID);
	assert_int_equal(
	    rope_writer_add(w, &a, CHUNK_MAX + 1, &err), ERR_INVALID);
	assert_int_equal(rope_writer_finish(w, &c, &err), 0);
	assert_int_equal(c.kind, CONTENT_NONE);
	rope_writer_free(w);
	assert_int_equal(memory_fini(&m), 0);
}

/* Writes n pieces, every other a hole with `sparse`, all of one length. */
static struct content write_row(
    struct memory_chunks *m, size_t first, size_t n, bool sparse)
{
	struct rope_writer *w = writer(m, &default_pages);
	struct content c;
	struct err err;

	for (size_t i = first; i < n; i++) {
		uint64_t seed = i;
		struct id id;

		le64_put(id.b, random_next(&seed));
		le64_put(id.b + 8, 1);
		assert_int_equal(rope_writer_add(w,
				     sparse && i % 2 ? NULL : &id, 65536, &err),
		    0);
	}
	assert_int_equal(rope_writer_finish(w, &c, &err), 0);
	rope_writer_free(w);
	return c;
}

static void pieces_at_the_front_leave_later_nodes_alone(void **state)
{
	(void)state;
	for (int sparse = 0; sparse < 2; sparse++) {
		struct memory_chunks m;
		size_t nodes;

		memory_init(&m);
		write_row(&m, 4, 40000, sparse);
		nodes = m.n_chunks;
		assert_true(nodes > 60);
		write_row(&m, 0, 40000, sparse);
		assert_true(m.n_chunks - nodes <= 6);
		assert_int_equal(memory_fini(&m), 0);
	}
}

static void a_failed_put_fails_the_content_and_only_that(void **state)
{
	struct id a = id_of(0xab);
	struct memory_chunks m;
	struct rope_writer *w;
	struct content c;
	struct err err;
	int rc = -1;

	(void)state;
	memory_init(&m);
	w = writer(&m, &small_pages);
	for (long budget = 0; rc; budget++) {
		bool lost = false;

		m.put_budget = budget;
		for (size_t i = 0; i < 60; i++)
			if (rope_writer_add(w, &a, 9, &err)) {
				lost = true;
				m.put_budget = -1;
			}
		rc = rope_writer_finish(w, &c, &err);
		assert_true(rc || !lost);
	}
	assert_int_equal(c.size, 540);
	assert_true(m.n_chunks > 3);
	rope_writer_free(w);
	assert_int_equal(memory_fini(&m), 0);
}

static const char golden_node[] =
    "520100000300000000000100000000003131313131313131313131313131"
    "313100000100000100000000000000000000000000000000000064000100"
    "0001000032323232323232323232323232323232";

static void a_list_node_has_the_golden_bytes(void **state)
{
	struct id a = id_of(0x31);
	struct id b = id_of(0x32);
	const struct memory_chunk *node;
	struct memory_chunks m;
	struct rope_writer *w;
	struct content c;
	struct err err;

	(void)state;
	memory_init(&m);
	w = writer(&m, &default_pages);
	assert_int_equal(rope_writer_add(w, &a, 65536, &err), 0);
	assert_int_equal(rope_writer_add(w, NULL, (uint64_t)1 << 40, &err), 0);
	assert_int_equal(rope_writer_add(w, &b, 100, &err), 0);
	assert_int_equal(rope_writer_finish(w, &c, &err), 0);
	node = memory_slot(&m, ID_LIST, &c.id);
	assert_hex(node->data, node->len, golden_node);
	rope_writer_free(w);
	assert_int_equal(memory_fini(&m), 0);
}

static void references_come_back_or_are_refused(void **state)
{
	static const struct {
		const char *why;
		struct content c;
		int want;
	} cases[] = {
		{ "nothing", { CONTENT_NONE, 0, { { 0 } } }, 0 },
		{ "a chunk", { CONTENT_CHUNK, 1, { { 1 } } }, 0 },
		{ "the largest", { CONTENT_ROPE, INT64_MAX, { { 9 } } }, 0 },
		{ "size of nothing", { CONTENT_NONE, 1, { { 0 } } },
		    ERR_CORRUPT },
		{ "id of nothing", { CONTENT_NONE, 0, { { 1 } } },
		    ERR_CORRUPT },
		{ "empty chunk", { CONTENT_CHUNK, 0, { { 1 } } }, ERR_CORRUPT },
		{ "no id", { CONTENT_ROPE, 1, { { 0 } } }, ERR_CORRUPT },
		{ "2^63", { CONTENT_ROPE, (uint64_t)1 << 63, { { 1 } } },
		    ERR_CORRUPT },
		{ "unknown kind", { (enum content_kind)3, 1, { { 1 } } },
		    ERR_FORMAT },
	};
	uint8_t data[CONTENT_SIZE];
	struct content got;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct content *c = &cases[i].c;
		int rc;

		content_encode(c, data);
		rc = content_decode(&got, data, &err);
		if (rc != cases[i].want)
			fail_msg("%s: %d", cases[i].why, rc);
		if (rc)
			continue;
		assert_int_equal(got.kind, c->kind);
		assert_int_equal(got.size, c->size);
		assert_true(id_equal(&got.id, &c->id));
	}
	content_encode(&cases[1].c, data);
	for (size_t i = 1; i < 8; i++) {
		data[i] = 1;
		assert_int_equal(content_decode(&got, data, &err), ERR_FORMAT);
		data[i] = 0;
	}
}

static void a_chunk_of_another_length_is_damage(void **state)
{
	struct content c = { CONTENT_CHUNK, 10, id_of(0xaa) };
	struct rope_cursor cur;
	struct memory_chunks m;
	uint8_t to[16];
	struct err err;
	size_t got;

	(void)state;
	memory_init(&m);
	for (size_t len = 0; len < 12; len++) {
		memory_set(&m, ID_DATA, &c.id, "0123456789ab", len);
		rope_cursor_init(&cur, &m.source, &c);
		assert_int_equal(rope_read(&cur, ID_DATA, 2, to, 3, &got, &err),
		    len == 10 ? 0 : ERR_CORRUPT);
		rope_cursor_fini(&cur);
	}
	rope_cursor_init(&cur, &m.source, &c);
	assert_int_equal(
	    rope_read(&cur, ID_META, 2, to, 3, &got, &err), ERR_CORRUPT);
	rope_cursor_fini(&cur);
	assert_int_equal(memory_fini(&m), 0);
}

/* Walks all pieces; they tile the content, or there is a failure. */
static int walk(struct memory_chunks *m, const struct content *c)
{
	struct rope_piece piece;
	struct rope_cursor cur;
	uint64_t offset = 0;
	struct err err;
	int rc;

	rope_cursor_init(&cur, &m->source, c);
	while ((rc = rope_cursor_seek(&cur, offset, &piece, &err)) == 1) {
		assert_int_equal(piece.offset, offset);
		assert_true(piece.len > 0);
		offset += piece.len;
	}
	rope_cursor_fini(&cur);
	if (rc == 0)
		assert_int_equal(offset, c->size);
	else if (rc != ERR_CORRUPT && rc != ERR_FORMAT)
		fail_msg("unexpected failure %d: %s", rc, err.msg);
	return rc;
}

static void damage_node(
    struct memory_chunks *m, const struct id *id, const struct content *c)
{
	const struct memory_chunk *node = memory_slot(m, ID_LIST, id);
	size_t len = node->len;
	uint8_t good[512];
	uint8_t bad[513];

	assert_true(len <= sizeof(good));
	memcpy(good, node->data, len);
	memcpy(bad, good, len);
	bad[len] = 0;
	for (size_t n = 0; n < len; n++) {
		memory_set(m, ID_LIST, id, good, n);
		assert_true(walk(m, c) < 0);
	}
	memory_set(m, ID_LIST, id, bad, len + 1);
	assert_true(walk(m, c) < 0);
	for (size_t at = 0; at < len; at++) {
		for (int v = 0; v < 256; v++) {
			int rc;

			bad[at] = (uint8_t)v;
			memory_set(m, ID_LIST, id, bad, len);
			rc = walk(m, c);
			assert_true(v != good[at] || rc == 0);
			/* As a leaf, the top would list its children. */
			if (at >= 8 || v == good[at] ||
			    (at == 2 && v == 0 && id_equal(id, &c->id)))
				continue;
			assert_true(rc < 0);
		}
		bad[at] = good[at];
	}
	memory_set(m, ID_LIST, id, good, len);
}

static void every_damaged_byte_of_a_node_is_survived(void **state)
{
	struct memory_chunks m;
	struct rope_writer *w;
	struct content c;
	struct id child;
	struct err err;

	(void)state;
	memory_init(&m);
	w = writer(&m, &small_pages);
	for (unsigned i = 0; i < 40; i++) {
		struct id id = id_of((uint8_t)(i + 1));

		assert_int_equal(
		    rope_writer_add(w, i % 3 ? &id : NULL, 1000 + i, &err), 0);
	}
	assert_int_equal(rope_writer_finish(w, &c, &err), 0);
	rope_writer_free(w);
	assert_int_equal(walk(&m, &c), 0);
	damage_node(&m, &c.id, &c);
	memcpy(child.b, memory_slot(&m, ID_LIST, &c.id)->data + 16, ID_LEN);
	damage_node(&m, &child, &c);
	assert_int_equal(walk(&m, &c), 0);
	assert_int_equal(memory_fini(&m), 0);
}

/* A node of one entry under an id of our choosing. */
static void put_node(struct memory_chunks *m, uint8_t id, uint8_t level,
    uint64_t end, uint8_t child)
{
	struct id node_id = id_of(id);
	uint8_t node[32] = { 'R', 1, level, 0, 1 };

	le64_put(node + 8, end);
	memset(node + 16, child, ID_LEN);
	memory_set(m, ID_LIST, &node_id, node, sizeof(node));
}

/* A leaf of two chunks with these ends. */
static void put_pair(
    struct memory_chunks *m, uint8_t id, uint64_t first, uint64_t second)
{
	struct id node_id = id_of(id);
	uint8_t node[56] = { 'R', 1, 0, 0, 2 };

	le64_put(node + 8, first);
	memset(node + 16, 0x31, ID_LEN);
	le64_put(node + 32, second);
	memset(node + 40, 0x32, ID_LEN);
	memory_set(m, ID_LIST, &node_id, node, sizeof(node));
}

static void nodes_that_lie_about_level_or_length_are_damage(void **state)
{
	struct content c = { CONTENT_ROPE, 100, id_of(0xee) };
	struct memory_chunks m;

	(void)state;
	memory_init(&m);
	put_node(&m, 0x0a, 0, 100, 0x31);
	put_node(&m, 0xee, 1, 100, 0x0a);
	assert_int_equal(walk(&m, &c), 0);
	put_node(&m, 0xee, 2, 100, 0x0a);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	for (uint8_t level = 1; level < ROPE_LEVELS_MAX + 2; level++) {
		put_node(&m, 0xee, level, 100, 0xee);
		assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	}
	put_node(&m, 0xee, 1, 100, 0x99);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	put_node(&m, 0xee, 1, 100, 0x00);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	put_node(&m, 0xee, 1, 99, 0x0a);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	put_node(&m, 0xee, 1, 100, 0x0a);
	put_node(&m, 0x0a, 0, 101, 0x31);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	put_pair(&m, 0xee, 40, 100);
	assert_int_equal(walk(&m, &c), 0);
	put_pair(&m, 0xee, 100, 100);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	put_pair(&m, 0xee, 0, 100);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	put_pair(&m, 0xee, 101, 100);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	c.size = (uint64_t)CHUNK_MAX + 1;
	put_node(&m, 0xee, 0, c.size, 0x31);
	assert_int_equal(walk(&m, &c), ERR_CORRUPT);
	put_node(&m, 0xee, 0, c.size, 0x00);
	assert_int_equal(walk(&m, &c), 0);
	assert_int_equal(memory_fini(&m), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_reads_equal_a_plain_buffer),
		cmocka_unit_test(reading_on_gets_each_node_once),
		cmocka_unit_test(small_contents_need_no_list),
		cmocka_unit_test(holes_merge_and_may_be_huge),
		cmocka_unit_test(senseless_pieces_are_left_out),
		cmocka_unit_test(pieces_at_the_front_leave_later_nodes_alone),
		cmocka_unit_test(a_failed_put_fails_the_content_and_only_that),
		cmocka_unit_test(a_list_node_has_the_golden_bytes),
		cmocka_unit_test(references_come_back_or_are_refused),
		cmocka_unit_test(a_chunk_of_another_length_is_damage),
		cmocka_unit_test(every_damaged_byte_of_a_node_is_survived),
		cmocka_unit_test(
		    nodes_that_lie_about_level_or_length_are_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
