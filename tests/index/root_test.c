#include "index/root.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"

#define GOLDEN_ROOT 0xdb758760dad0967b
#define HEAD 256

/* A record that never changes; `packs` must outlive it. */
static struct root sample(uint8_t packs[2 * ROOT_PACK_SIZE])
{
	static const uint8_t sources[] = { 5, 0, 0, 0, '/', 'h', 'o', 'm', 'e',
		0, 0, 0, 0 };
	struct root_pack one = { .no = 3, .id = { "pack number thr" } };
	struct root_pack two = { .no = 9, .id = { "pack number nin" } };
	struct root r = {
		.uuid = "store uuid 0123",
		.id = { "snapshot id 012" },
		.serial = 12,
		.session = 42,
		.prev = "a digest of the record before 1",
		.resource_no = 5,
		.time_ns = 1763777913123456789,
		.end_ns = 1763777999000000001,
		.utc_offset = -3600,
		.n_files = 1,
		.n_dirs = 2,
		.n_other = 3,
		.n_bytes = 4,
		.n_added = 5,
		.n_faults = 6,
		.resource = "acme/web",
		.resource_len = 8,
		.top = {
			.flags = TREE_CHUNK,
			.mode = S_IFDIR | 0755,
			.uid = 1000,
			.gid = 100,
			.mtime_s = 1763777913,
			.mtime_ns = 123456789,
			.ctime_s = 1763777914,
			.ino = 77,
			.beneath = 6,
			.subdirs = 1,
			.content = { "top page of tre" },
		},
		.links = { CONTENT_CHUNK, 48, { "links of snapsh" } },
		.names = { CONTENT_ROPE, 1 << 20, { "names of owners" } },
		.packs = packs,
		.n_packs = 2,
		.zone = "Europe/Rome",
		.zone_len = 11,
		.sources = sources,
		.sources_len = sizeof(sources),
		.host = "web1",
		.host_len = 4,
	};

	root_pack_encode(&one, packs);
	root_pack_encode(&two, packs + ROOT_PACK_SIZE);
	return r;
}

static void encode(struct buf *out, const struct root *r)
{
	struct err err;

	buf_init(out);
	assert_int_equal(0, root_encode(out, r, &err));
}

static void reseal(uint8_t *data, size_t len)
{
	le64_put(data + 248, len);
	le64_put(data + len - 8, sum64(data, len - 8));
}

static void test_a_record_reads_back(void **state)
{
	uint8_t packs[2 * ROOT_PACK_SIZE];
	struct root r = sample(packs);
	struct root got;
	struct buf out, again;
	struct err err;

	(void)state;
	encode(&out, &r);
	assert_int_equal(0, root_decode(&got, out.data, out.len, &err));
	encode(&again, &got);
	assert_int_equal(out.len, again.len);
	assert_memory_equal(out.data, again.data, out.len);
	assert_int_equal(12, got.serial);
	assert_int_equal(-3600, got.utc_offset);
	assert_int_equal(2, got.n_packs);
	assert_int_equal(9, root_pack_at(&got, 1).no);
	assert_memory_equal("acme/web", got.resource, got.resource_len);
	assert_memory_equal("web1", got.host, got.host_len);
	assert_int_equal(6, got.top.beneath);
	assert_int_equal(CONTENT_ROPE, got.names.kind);
	buf_fini(&out);
	buf_fini(&again);
}

static void test_what_is_empty_has_no_section(void **state)
{
	uint8_t packs[2 * ROOT_PACK_SIZE];
	struct root r = sample(packs);
	struct root got;
	struct buf out;
	struct err err;

	(void)state;
	r.links = (struct content){ 0 };
	r.names = (struct content){ 0 };
	r.n_packs = 0;
	r.zone_len = r.sources_len = r.host_len = 0;
	r.zone = r.host = NULL;
	r.packs = r.sources = NULL;
	encode(&out, &r);
	assert_int_equal(0, root_decode(&got, out.data, out.len, &err));
	assert_int_equal(0, got.n_packs);
	assert_int_equal(CONTENT_NONE, got.links.kind);
	assert_int_equal(0, got.host_len);
	buf_fini(&out);
}

static void test_appending_leaves_what_was_there(void **state)
{
	uint8_t packs[2 * ROOT_PACK_SIZE];
	struct root r = sample(packs);
	struct root got;
	struct buf out;
	struct err err;

	(void)state;
	buf_init(&out);
	buf_put(&out, "before", 6);
	assert_int_equal(0, root_encode(&out, &r, &err));
	assert_memory_equal("before", out.data, 6);
	assert_int_equal(0, root_decode(&got, out.data + 6, out.len - 6,
	    &err));
	buf_fini(&out);
}

static void test_the_bytes_are_frozen(void **state)
{
	uint8_t packs[2 * ROOT_PACK_SIZE];
	struct root r = sample(packs);
	struct buf out;

	(void)state;
	encode(&out, &r);
	assert_memory_equal("IERIROOT\1\0\0\0\0\0\0\0store uuid 0123", out.data,
	    31);
	assert_int_equal(12, le64_get(out.data + 48));
	assert_int_equal(5, le32_get(out.data + 96));
	assert_int_equal(1, le32_get(out.data + 100));
	assert_int_equal((uint32_t)-3600, le32_get(out.data + 120));
	assert_int_equal(6, le64_get(out.data + 168));
	assert_int_equal(out.len, le64_get(out.data + 248));
	assert_memory_equal("\1\0\0\0\x8\0\0\0acme/web\2\0\0\0",
	    out.data + HEAD, 20);
	/* The sum stands for all the bytes before it. */
	assert_int_equal(GOLDEN_ROOT, le64_get(out.data + out.len - 8));
	buf_fini(&out);
}

static void test_every_flip_and_cut_is_seen(void **state)
{
	uint8_t packs[2 * ROOT_PACK_SIZE];
	struct root r = sample(packs);
	struct buf out;
	struct err err;

	(void)state;
	encode(&out, &r);
	for (size_t bit = 0; bit < 8 * out.len; bit++) {
		out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(ERR_CORRUPT, root_decode(&r, out.data,
		    out.len, &err));
		out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < out.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, out.data, len);
		assert_int_equal(ERR_CORRUPT, root_decode(&r, copy, len,
		    &err));
		free(copy);
	}
	buf_fini(&out);
}

/* Right sums around cut sections: nothing may be read past the end. */
static void test_a_resealed_cut_is_refused(void **state)
{
	uint8_t packs[2 * ROOT_PACK_SIZE];
	struct root r = sample(packs);
	struct buf out;
	struct err err;
	int accepted = 0;

	(void)state;
	encode(&out, &r);
	for (size_t len = HEAD + 8; len < out.len; len++) {
		uint8_t *copy = malloc(len);
		int rc;

		memcpy(copy, out.data, len);
		reseal(copy, len);
		rc = root_decode(&r, copy, len, &err);
		assert_true(rc == 0 || rc == ERR_CORRUPT);
		accepted += rc == 0;
		free(copy);
	}
	/* Only a cut right behind packs, zone or sources leaves it whole. */
	assert_int_equal(3, accepted);
	buf_fini(&out);
}

static void test_each_senseless_value_is_refused(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
		uint8_t value;
		int code;
	} cases[] = {
		{ "a newer version", 8, 2, ERR_FORMAT },
		{ "a flag", 12, 1, ERR_FORMAT },
		{ "another type", 100, 2, ERR_FORMAT },
		{ "reserved bytes", 124, 1, ERR_FORMAT },
		{ "more reserved bytes", 247, 1, ERR_FORMAT },
		{ "a serial past the last", 50, 0x80, ERR_CORRUPT },
		{ "two days east", 122, 0x02, ERR_CORRUPT },
		{ "tag 0 first", HEAD, 0, ERR_CORRUPT },
		{ "a tag out of order", HEAD, 3, ERR_CORRUPT },
		{ "an unknown optional tag for the name", HEAD, 99,
		    ERR_CORRUPT },
		{ "a flag of a section", HEAD + 2, 2, ERR_FORMAT },
		{ "a length past the end", HEAD + 6, 1, ERR_CORRUPT },
		{ "a name with an empty component", HEAD + 8, '/',
		    ERR_CORRUPT },
		{ "a name with a control byte", HEAD + 9, '\n', ERR_CORRUPT },
	};
	uint8_t packs[2 * ROOT_PACK_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct root r = sample(packs);
		struct buf out;
		struct err err;

		encode(&out, &r);
		out.data[cases[i].offset] = cases[i].value;
		reseal(out.data, out.len);
		if (root_decode(&r, out.data, out.len, &err) != cases[i].code)
			fail_msg("%s: %s", cases[i].name, err.msg);
		buf_fini(&out);
	}
}

/* Appends a section behind the last one. */
static int decode_with(unsigned tag, unsigned flags, struct err *err)
{
	uint8_t packs[2 * ROOT_PACK_SIZE];
	struct root r = sample(packs);
	struct buf out;
	int rc;

	encode(&out, &r);
	out.len -= 8;
	buf_le16(&out, (uint16_t)tag);
	buf_le16(&out, (uint16_t)flags);
	buf_le32(&out, 3);
	buf_put(&out, "new", 3);
	buf_le64(&out, 0);
	reseal(out.data, out.len);
	rc = root_decode(&r, out.data, out.len, err);
	buf_fini(&out);
	return rc;
}

static void test_unknown_sections_are_skipped_unless_they_matter(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(0, decode_with(200, 0, &err));
	assert_int_equal(ERR_FORMAT, decode_with(200, 1, &err));
	assert_int_equal(ERR_CORRUPT, decode_with(8, 0, &err));
	assert_int_equal(ERR_CORRUPT, decode_with(7, 0, &err));
}

static void test_the_encoder_refuses_what_the_decoder_would(void **state)
{
	uint8_t packs[2 * ROOT_PACK_SIZE];
	struct root r = sample(packs);
	struct buf out;
	struct err err;

	(void)state;
	buf_init(&out);
	r.serial = ROOT_SERIAL_MAX + 1u;
	assert_int_equal(ERR_INVALID, root_encode(&out, &r, &err));
	r = sample(packs);
	r.resource = "a/../b";
	r.resource_len = 6;
	assert_int_equal(ERR_INVALID, root_encode(&out, &r, &err));
	r = sample(packs);
	packs[0] = 9;
	assert_int_equal(ERR_INVALID, root_encode(&out, &r, &err));
	r = sample(packs);
	r.sources_len--;
	assert_int_equal(ERR_INVALID, root_encode(&out, &r, &err));
	r = sample(packs);
	r.host = "a\nb";
	r.host_len = 3;
	assert_int_equal(ERR_INVALID, root_encode(&out, &r, &err));
	assert_int_equal(0, out.len);
	buf_fini(&out);
}

static void test_names_of_resources(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{ "a", true },         { "acme/web", true },
		{ "a/b/c", true },     { "...", true },
		{ ".hidden/x", true }, { "a b", true },
		{ "\xc3\xa9", true },  { "", false },
		{ "/", false },        { "/a", false },
		{ "a/", false },       { "a//b", false },
		{ ".", false },        { "..", false },
		{ "a/.", false },      { "../a", false },
		{ "a/../b", false },   { "a\tb", false },
		{ "a\x7f", false },
	};
	char name[RESOURCE_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (resource_name_ok(cases[i].name, strlen(cases[i].name)) !=
		    cases[i].ok)
			fail_msg("\"%s\"", cases[i].name);
	assert_false(resource_name_ok("a\0b", 3));
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 200 == 199 ? '/' : 'x';
	name[999] = 'x';
	assert_true(resource_name_ok(name, RESOURCE_NAME_MAX));
	assert_false(resource_name_ok(name, RESOURCE_NAME_MAX + 1));
	memset(name, 'x', sizeof(name));
	assert_true(resource_name_ok(name, 255));
	assert_false(resource_name_ok(name, 256));
}

static void test_the_digest_is_sha256(void **state)
{
	static const uint8_t want[4] = { 0xba, 0x78, 0x16, 0xbf };
	uint8_t out[ROOT_DIGEST_LEN];
	struct err err;

	(void)state;
	assert_int_equal(0, root_digest((const uint8_t *)"abc", 3, out, &err));
	assert_memory_equal(want, out, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_reads_back),
		cmocka_unit_test(test_what_is_empty_has_no_section),
		cmocka_unit_test(test_appending_leaves_what_was_there),
		cmocka_unit_test(test_the_bytes_are_frozen),
		cmocka_unit_test(test_every_flip_and_cut_is_seen),
		cmocka_unit_test(test_a_resealed_cut_is_refused),
		cmocka_unit_test(test_each_senseless_value_is_refused),
		cmocka_unit_test(
		    test_unknown_sections_are_skipped_unless_they_matter),
		cmocka_unit_test(
		    test_the_encoder_refuses_what_the_decoder_would),
		cmocka_unit_test(test_names_of_resources),
		cmocka_unit_test(test_the_digest_is_sha256),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
