/* Proves index/blob.h: attribute sets, owners, hard links, and their keeping.
 */
#include "tests/index/tree_fixture.h"

#include "chunker/cut.h"
#include "index/blob.h"
#include "tests/index/hex.h"

static void config_make(struct config *config)
{
	struct err err;

	memset(config, 0, sizeof(*config));
	config->pages = small_pages;
	assert_int_equal(
	    cut_params_init(&config->cuts, 1024, 4096, 16384, 2, 1, &err), 0);
}

static void blobs_of_every_size_come_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 1024, 16384, 16385, 500000 };
	uint64_t seed = random_seed("blob");
	uint8_t *data = malloc(500000);
	struct memory_chunks m;
	struct config config;
	struct err err;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < 500000; i++)
		data[i] = (uint8_t)random_next(&seed);
	memory_init(&m);
	config_make(&config);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct content c;
		uint8_t *got;
		size_t len;

		assert_int_equal(
		    blob_put(&config, &m.sink, data, sizes[i], &c, &err), 0);
		assert_int_equal(c.size, sizes[i]);
		assert_int_equal(c.kind == CONTENT_NONE, sizes[i] == 0);
		assert_int_equal(
		    blob_get(&m.source, &c, sizes[i], &got, &len, &err), 0);
		assert_int_equal(len, sizes[i]);
		assert_int_equal(got == NULL, sizes[i] == 0);
		if (len)
			assert_memory_equal(got, data, len);
		free(got);
		if (len)
			assert_int_equal(blob_get(&m.source, &c, sizes[i] - 1,
					     &got, &len, &err),
			    ERR_INVALID);
		if (len == 500000)
			assert_int_equal(c.kind, CONTENT_ROPE);
	}
	free(data);
	assert_int_equal(memory_fini(&m), 0);
}

static void a_missing_blob_is_damage(void **state)
{
	struct content c = { CONTENT_CHUNK, 10, id_of(1) };
	struct memory_chunks m;
	struct err err;
	uint8_t *got;
	size_t len;

	(void)state;
	memory_init(&m);
	assert_int_equal(
	    blob_get(&m.source, &c, 10, &got, &len, &err), ERR_CORRUPT);
	c.kind = CONTENT_ROPE;
	assert_int_equal(
	    blob_get(&m.source, &c, 10, &got, &len, &err), ERR_CORRUPT);
	/* The claim is refused before any memory is asked for. */
	c.size = INT64_MAX;
	assert_int_equal(
	    blob_get(&m.source, &c, XATTR_SET_MAX, &got, &len, &err),
	    ERR_INVALID);
	assert_int_equal(memory_fini(&m), 0);
}

static struct xattr xattr_of(const char *name, const char *value)
{
	return (struct xattr){
		.name = name,
		.name_len = strlen(name),
		.value = (const uint8_t *)value,
		.value_len = strlen(value),
	};
}

static const char golden_xattrs[] =
    "020000000600757365722e61030000006f6e650600757365722e6200000000";

static void a_set_is_sorted_and_has_the_golden_bytes(void **state)
{
	struct xattr set[] = { xattr_of("user.b", ""),
		xattr_of("user.a", "one") };
	struct buf buf = { 0 };
	struct xattr_iter it;
	struct xattr got;
	struct err err;

	(void)state;
	xattr_encode(&buf, set, 2);
	assert_hex(buf.data, buf.len, golden_xattrs);
	assert_int_equal(xattr_iter_init(&it, buf.data, buf.len, &err), 0);
	assert_int_equal(xattr_iter_next(&it, &got, &err), 1);
	assert_int_equal(got.name_len, 6);
	assert_memory_equal(got.name, "user.a", 6);
	assert_int_equal(got.value_len, 3);
	assert_memory_equal(got.value, "one", 3);
	assert_int_equal(xattr_iter_next(&it, &got, &err), 1);
	assert_memory_equal(got.name, "user.b", 6);
	assert_int_equal(got.value_len, 0);
	assert_int_equal(xattr_iter_next(&it, &got, &err), 0);
	assert_int_equal(xattr_iter_next(&it, &got, &err), 0);
	buf_fini(&buf);
}

/* Reads a set from an allocation of its size; 0 or the failure. */
static int set_read(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct xattr_iter it;
	struct xattr x;
	struct err err;
	int rc;

	assert_non_null(copy);
	memcpy(copy, data, len);
	rc = xattr_iter_init(&it, copy, len, &err);
	if (rc == 0)
		while ((rc = xattr_iter_next(&it, &x, &err)) == 1)
			assert_true(x.name >= (char *)copy);
	free(copy);
	return rc;
}

static void damaged_sets_are_refused_or_well_formed(void **state)
{
	struct xattr set[] = { xattr_of("user.a", "one"),
		xattr_of("user.b", "two") };
	struct buf buf = { 0 };

	(void)state;
	xattr_encode(&buf, set, 2);
	for (size_t len = 0; len < buf.len; len++)
		assert_int_equal(set_read(buf.data, len), ERR_CORRUPT);
	for (size_t at = 0; at < buf.len; at++) {
		uint8_t was = buf.data[at];

		for (int v = 0; v < 256; v++) {
			int rc;

			buf.data[at] = (uint8_t)v;
			rc = set_read(buf.data, buf.len);
			assert_true(rc == 0 || rc == ERR_CORRUPT);
			assert_true(v == was || at >= 6 || rc);
		}
		buf.data[at] = was;
	}
	buf_u8(&buf, 0);
	assert_int_equal(set_read(buf.data, buf.len), ERR_CORRUPT);
	buf_reset(&buf);
	xattr_encode(&buf, set, 2);
	memcpy(buf.data + 4 + 2 + 5, "b", 1);
	assert_int_equal(set_read(buf.data, buf.len), ERR_CORRUPT);
	buf_fini(&buf);
}

static void owners_have_the_golden_bytes_and_come_back(void **state)
{
	static const char golden[] =
	    "000000000004726f6f740164000000057573657273";
	static const struct owner owners[] = {
		{ OWNER_USER, 0, "root", 4 },
		{ OWNER_GROUP, 100, "users", 5 },
	};
	struct buf buf = { 0 };
	struct owner got;
	struct bytes in;
	struct err err;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		owner_encode(&buf, &owners[i]);
	assert_hex(buf.data, buf.len, golden);
	in = bytes_of(buf.data, buf.len);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(owner_next(&in, &got, &err), 1);
		assert_int_equal(got.kind, owners[i].kind);
		assert_int_equal(got.number, owners[i].number);
		assert_int_equal(got.name_len, owners[i].name_len);
		assert_memory_equal(got.name, owners[i].name, got.name_len);
	}
	assert_int_equal(owner_next(&in, &got, &err), 0);

	for (size_t len = 1; len < buf.len; len++) {
		int rc;

		in = bytes_of(buf.data, len);
		do
			rc = owner_next(&in, &got, &err);
		while (rc == 1);
		assert_int_equal(rc, len == 10 ? 0 : ERR_CORRUPT);
	}
	buf.data[0] = 2;
	in = bytes_of(buf.data, buf.len);
	assert_int_equal(owner_next(&in, &got, &err), ERR_CORRUPT);
	buf_fini(&buf);
}

static struct link link_of(size_t i)
{
	return (struct link){
		.dev = (uint32_t)(i / 1000),
		.names = 2 + (uint32_t)(i % 5),
		.ino = 10 * (i % 1000) + 5,
		.number = 3 * i + 1,
	};
}

static void links_have_the_golden_bytes(void **state)
{
	struct link l = { .dev = 1, .names = 2, .ino = 3, .number = 4 };
	uint8_t data[LINK_SIZE];
	struct link got;

	(void)state;
	link_encode(&l, data);
	assert_hex(data, sizeof(data),
	    "010000000200000003000000000000000400000000000000");
	got = link_decode(data);
	assert_memory_equal(&got, &l, sizeof(l));
}

/* Finds each of n links and none of their neighbours. */
static void find_all(struct memory_chunks *m, const struct content *c, size_t n)
{
	struct link got;
	struct err err;

	for (size_t i = 0; i<n; i += n> 1000 ? 7 : 1) {
		struct link want = link_of(i);

		assert_int_equal(
		    link_find(&m->source, c, want.dev, want.ino, &got, &err),
		    0);
		assert_memory_equal(&got, &want, sizeof(got));
		assert_int_equal(link_find(&m->source, c, want.dev,
				     want.ino - 1, &got, &err),
		    ERR_NOT_FOUND);
		assert_int_equal(link_find(&m->source, c, want.dev + 9,
				     want.ino, &got, &err),
		    ERR_NOT_FOUND);
	}
	assert_int_equal(
	    link_find(&m->source, c, 0, 0, &got, &err), ERR_NOT_FOUND);
	assert_int_equal(
	    link_find(&m->source, c, UINT32_MAX, UINT64_MAX, &got, &err),
	    ERR_NOT_FOUND);
}

static void every_link_is_found_and_no_other(void **state)
{
	static const size_t counts[] = { 0, 1, 2, 127, 128, 129, 130, 300,
		7000 };
	struct memory_chunks m;
	struct config config;
	struct err err;

	(void)state;
	memory_init(&m);
	config_make(&config);
	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		uint8_t *data = malloc(counts[k] * LINK_SIZE + 1);
		struct content c;

		assert_non_null(data);
		for (size_t i = 0; i < counts[k]; i++) {
			struct link l = link_of(i);

			link_encode(&l, data + i * LINK_SIZE);
		}
		assert_int_equal(blob_put(&config, &m.sink, data,
				     counts[k] * LINK_SIZE, &c, &err),
		    0);
		find_all(&m, &c, counts[k]);
		free(data);
	}
	assert_int_equal(memory_fini(&m), 0);
}

static void a_small_table_costs_one_chunk(void **state)
{
	uint8_t data[100 * LINK_SIZE];
	struct content c = { CONTENT_CHUNK, sizeof(data), id_of(1) };
	struct memory_chunks m;
	struct link got;
	struct err err;

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		struct link l = link_of(i);

		link_encode(&l, data + i * LINK_SIZE);
	}
	memory_init(&m);
	memory_set(&m, ID_META, &c.id, data, sizeof(data));
	assert_int_equal(link_find(&m.source, &c, 0, 505, &got, &err), 0);
	assert_int_equal(m.gets[ID_META], 1);
	assert_int_equal(memory_fini(&m), 0);
}

static void false_tables_are_damage(void **state)
{
	uint8_t data[LINK_SIZE + 1] = { 0 };
	struct content c = { CONTENT_CHUNK, LINK_SIZE, id_of(1) };
	struct link l = { .names = 1, .ino = 5 };
	struct memory_chunks m;
	struct link got;
	struct err err;

	(void)state;
	memory_init(&m);
	assert_int_equal(
	    link_find(&m.source, &c, 0, 5, &got, &err), ERR_CORRUPT);
	link_encode(&l, data);
	memory_set(&m, ID_META, &c.id, data, LINK_SIZE);
	assert_int_equal(
	    link_find(&m.source, &c, 0, 5, &got, &err), ERR_CORRUPT);
	memory_set(&m, ID_META, &c.id, data, LINK_SIZE + 1);
	c.size = LINK_SIZE + 1;
	assert_int_equal(
	    link_find(&m.source, &c, 0, 5, &got, &err), ERR_CORRUPT);
	assert_int_equal(memory_fini(&m), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(blobs_of_every_size_come_back),
		cmocka_unit_test(a_missing_blob_is_damage),
		cmocka_unit_test(a_set_is_sorted_and_has_the_golden_bytes),
		cmocka_unit_test(damaged_sets_are_refused_or_well_formed),
		cmocka_unit_test(owners_have_the_golden_bytes_and_come_back),
		cmocka_unit_test(links_have_the_golden_bytes),
		cmocka_unit_test(every_link_is_found_and_no_other),
		cmocka_unit_test(a_small_table_costs_one_chunk),
		cmocka_unit_test(false_tables_are_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
