/*
 * Proves ref.h: how references are taken apart, and which snapshot a WHEN
 * picks among crafted rows.
 */
#include "index/ref.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NS INT64_C(1000000000)
#define HOUR 3600
#define DAY 86400

/* ---- References ---- */

static void a_reference_falls_into_three_parts(void **state)
{
	static const struct {
		const char *text;
		const char *resource;
		enum when_kind kind;
		const char *name;
		const char *path;
	} cases[] = {
		{ "acme/web", "acme/web", WHEN_LATEST, "", "" },
		{ "acme/web/", "acme/web", WHEN_LATEST, "", "" },
		{ "acme/web:/", "acme/web", WHEN_LATEST, "", "" },
		{ "acme/web:/var/www", "acme/web", WHEN_LATEST, "",
		    "var/www" },
		{ "acme/web@yesterday", "acme/web", WHEN_YESTERDAY, "", "" },
		{ "a@2026-11-22:/x/", "a", WHEN_PERIOD, "2026-11-22", "x" },
		{ "a@2026-11-22T02:00:03Z:/x:/y@z", "a", WHEN_TIME,
		    "2026-11-22_020003Z", "x:/y@z" },
		{ "a:/b@c", "a", WHEN_LATEST, "", "b@c" },
	};
	struct err err;
	struct ref r;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case: %s\n", cases[i].text);
		assert_int_equal(ref_parse(&r, cases[i].text, &err), 0);
		assert_string_equal(r.resource, cases[i].resource);
		assert_int_equal(r.when.kind, cases[i].kind);
		assert_string_equal(r.when.name, cases[i].name);
		assert_string_equal(r.path, cases[i].path);
		assert_int_equal(r.path_len, strlen(cases[i].path));
		ref_fini(&r);
	}
}

static void a_bad_reference_is_refused_with_its_bad_part(void **state)
{
	static const struct {
		const char *text;
		const char *words;
	} cases[] = {
		{ "", "no resource" },
		{ "@latest", "no resource" },
		{ "/", "no resource" },
		{ ":/x", "no resource" },
		{ "acme:x", "begins with '/'" },
		{ "acme@", "\"\" names no time" },
		{ "acme@soon", "soon" },
		{ "acme@latest:x", "latest:x" },
		{ "acme:x@y:/z", "@WHEN" },
	};
	struct err err;
	struct ref r;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case: %s\n", cases[i].text);
		assert_int_equal(ref_parse(&r, cases[i].text, &err),
		    ERR_INVALID);
		assert_non_null(strstr(err.msg, cases[i].words));
	}
}

/* ---- Picking ---- */

/* 2026-11-22 is day 20779 since 1970. */
#define D(day) ((INT64_C(20779) + (day)) * DAY)

static const struct {
	int64_t seconds;
	int32_t offset;
	const char *id; /* its first bytes */
} crafted[] = {
	{ D(-400) + 3 * HOUR, 0, "\x01\x02\x03\x04" },
	{ D(-5) + 2 * HOUR, HOUR, "\xaa\xbb\xcc\x01" },
	{ D(-3) + 2 * HOUR, HOUR, "\xaa\xbb\xcc\x02" },
	{ D(-3) + 14 * HOUR, HOUR, "\x10" },
	{ D(-2) + 23 * HOUR + 1800, HOUR, "\x11" }, /* locally the 21st */
	{ D(0) + 1 * HOUR, HOUR, "\x12" },
	{ D(0) + 1 * HOUR, HOUR, "\x13" }, /* the same second */
};

#define N (sizeof(crafted) / sizeof(crafted[0]))

static void craft(struct snapshot_row rows[N])
{
	memset(rows, 0, N * sizeof(rows[0]));
	for (size_t i = 0; i < N; i++) {
		rows[i].serial = 10 + i;
		rows[i].time_ns = crafted[i].seconds * NS + (int64_t)i;
		rows[i].utc_offset = crafted[i].offset;
		memcpy(rows[i].id.b, crafted[i].id, strlen(crafted[i].id));
	}
}

static int pick(const char *text, int64_t now, size_t *out, struct err *err)
{
	struct snapshot_row rows[N];
	struct when when;
	int rc;

	craft(rows);
	rc = when_parse(&when, text, strlen(text), err);
	assert_int_equal(rc, 0);
	return when_pick(&when, rows, N, now * NS, out, err);
}

static void a_when_picks_the_newest_of_its_period(void **state)
{
	static const struct {
		const char *text;
		int64_t now;
		size_t row;
	} cases[] = {
		{ "latest", D(0) + 20 * HOUR, 6 },
		{ "today", D(0) + 20 * HOUR, 6 },
		{ "yesterday", D(0) + 20 * HOUR, 4 },
		/* 23:30 UTC is tomorrow at the snapshots' offset. */
		{ "yesterday", D(0) + 23 * HOUR + 1800, 6 },
		{ "1d", D(0) + 23 * HOUR + 1800, 6 },
		{ "1d", D(0) + 20 * HOUR, 4 },
		{ "3d", D(0) + 20 * HOUR, 3 },
		{ "400d", D(0) + 20 * HOUR, 0 },
		{ "2026-11-19", D(0), 3 },
		{ "2026-11-21", D(0), 4 },
		{ "2026-11-19_03", D(0), 2 },
		{ "2026-11-19_15", D(0), 3 },
		{ "2026-W47", D(0), 6 },
		{ "2026-11", D(0), 6 },
		{ "2025", D(0), 0 },
		{ "2025-10", D(0), 0 },
		{ "2026-11-19_020000Z", D(0), 2 },
		{ "2026-11-19T03:00:00", D(0), 2 },
		{ "2026-11-19T03:00", D(0), 2 },
		{ "2026-11-19T05:00+03:00", D(0), 2 },
		{ "2026-11-22_010000Z", D(0), 6 },
		{ "01020304", D(0), 0 },
		{ "aabbcc02", D(0), 2 },
		{ "AABBCC01", D(0), 1 },
	};
	struct err err;
	size_t row;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case: %s\n", cases[i].text);
		assert_int_equal(pick(cases[i].text, cases[i].now, &row, &err),
		    0);
		assert_int_equal(row, cases[i].row);
	}
}

static void where_there_is_none_the_nearest_are_named(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *words;
	} cases[] = {
		{ "2026-11-20", ERR_NOT_FOUND,
		    "2026-11-20; nearest are 2026-11-19 and 2026-11-21" },
		{ "2d", ERR_NOT_FOUND,
		    "2026-11-20; nearest are 2026-11-19 and 2026-11-21" },
		{ "2026-11-23", ERR_NOT_FOUND, "nearest is 2026-11-22" },
		{ "2024", ERR_NOT_FOUND, "on 2024; nearest is 2025" },
		{ "2026-W46", ERR_NOT_FOUND,
		    "nearest are 2025-W42 and 2026-W47" },
		{ "2026-11-19_04", ERR_NOT_FOUND,
		    "nearest are 2026-11-19_03 and 2026-11-19_15" },
		{ "2026-11-19_020001Z", ERR_NOT_FOUND,
		    "nearest are 2026-11-19_020000Z and 2026-11-19_140000Z" },
		{ "aabbcc", ERR_INVALID, "several" },
		{ "aabbcc03", ERR_NOT_FOUND, "aabbcc03" },
	};
	struct err err;
	size_t row;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case: %s\n", cases[i].text);
		assert_int_equal(pick(cases[i].text, D(0) + 20 * HOUR, &row,
		    &err), cases[i].code);
		print_message("%s\n", err.msg);
		assert_non_null(strstr(err.msg, cases[i].words));
	}
}

static void no_rows_give_no_snapshot(void **state)
{
	static const char *const texts[] = { "latest", "yesterday", "3d",
		"2026", "2026-11-22T02:00", "abcdef" };
	struct when when;
	struct err err;
	size_t row;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(when_parse(&when, texts[i], strlen(texts[i]),
		    &err), 0);
		assert_int_equal(when_pick(&when, NULL, 0, 0, &row, &err),
		    ERR_NOT_FOUND);
	}
}

static void a_snapshot_of_the_far_future_is_not_the_latest(void **state)
{
	struct err err;
	size_t row;

	(void)state;
	/* Seen from the 19th, the 22nd cannot be. */
	assert_int_equal(pick("latest", D(-3) + 15 * HOUR, &row, &err), 0);
	assert_int_equal(row, 3);
	assert_int_equal(pick("yesterday", D(-3) + 15 * HOUR, &row, &err), 0);
	assert_int_equal(row, 1);
	/* A day's difference between clocks is forgiven. */
	assert_int_equal(pick("latest", D(-1) + 2 * HOUR, &row, &err), 0);
	assert_int_equal(row, 6);
	/* Where all are of the future the newest is still there. */
	assert_int_equal(pick("latest", D(-3000), &row, &err), 0);
	assert_int_equal(row, 6);
	/* Its own date always shows it. */
	assert_int_equal(pick("2026-11-22", D(-3000), &row, &err), 0);
	assert_int_equal(row, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reference_falls_into_three_parts),
		cmocka_unit_test(a_bad_reference_is_refused_with_its_bad_part),
		cmocka_unit_test(a_when_picks_the_newest_of_its_period),
		cmocka_unit_test(where_there_is_none_the_nearest_are_named),
		cmocka_unit_test(no_rows_give_no_snapshot),
		cmocka_unit_test(a_snapshot_of_the_far_future_is_not_the_latest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
