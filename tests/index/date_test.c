/*
 * Proves date.h: names against a table and against the C library, and what
 * people may write for a time.
 */
#include "index/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NS INT64_C(1000000000)
#define HOUR 3600

/* ---- Names ---- */

static const struct {
	const char *name;
	int64_t seconds;
	int32_t offset;
	const char *daily, *hourly, *weekly, *monthly, *yearly, *all, *full;
} times[] = {
	{ "the first second of all", 0, 0, "1970-01-01", "1970-01-01_00",
	    "1970-W01", "1970-01", "1970", "1970-01-01_000000Z",
	    "1970-01-01 00:00:00 +00:00" },
	{ "the second before it", -1, 0, "1969-12-31", "1969-12-31_23",
	    "1970-W01", "1969-12", "1969", "1969-12-31_235959Z",
	    "1969-12-31 23:59:59 +00:00" },
	{ "a day in the evening, one hour east", 1763805600, HOUR,
	    "2025-11-22", "2025-11-22_11", "2025-W47", "2025-11", "2025",
	    "2025-11-22_100000Z", "2025-11-22 11:00:00 +01:00" },
	{ "new year's eve in the first week of the next year", 1735603200, 0,
	    "2024-12-31", "2024-12-31_00", "2025-W01", "2024-12", "2024",
	    "2024-12-31_000000Z", "2024-12-31 00:00:00 +00:00" },
	{ "new year's day in the last week of the year before", 1609459200, 0,
	    "2021-01-01", "2021-01-01_00", "2020-W53", "2021-01", "2021",
	    "2021-01-01_000000Z", "2021-01-01 00:00:00 +00:00" },
	{ "the leap day of 2000", 951782400, 0, "2000-02-29", "2000-02-29_00",
	    "2000-W09", "2000-02", "2000", "2000-02-29_000000Z",
	    "2000-02-29 00:00:00 +00:00" },
	{ "no leap day in 1900", -2203891200 - 1, 0, "1900-02-28",
	    "1900-02-28_23", "1900-W09", "1900-02", "1900",
	    "1900-02-28_235959Z", "1900-02-28 23:59:59 +00:00" },
	{ "fourteen hours east is tomorrow", 1763805600 + 4 * HOUR,
	    14 * HOUR, "2025-11-23", "2025-11-23_04", "2025-W47", "2025-11",
	    "2025", "2025-11-22_140000Z", "2025-11-23 04:00:00 +14:00" },
	{ "fourteen hours west is yesterday", 1763805600, -14 * HOUR,
	    "2025-11-21", "2025-11-21_20", "2025-W47", "2025-11", "2025",
	    "2025-11-22_100000Z", "2025-11-21 20:00:00 -14:00" },
	{ "half an hour makes the next day in India", 1763749800 + 1, 19800,
	    "2025-11-22", "2025-11-22_00", "2025-W47", "2025-11", "2025",
	    "2025-11-21_183001Z", "2025-11-22 00:00:01 +05:30" },
	{ "half an hour west of Newfoundland's three", 1763805600, -12600,
	    "2025-11-22", "2025-11-22_06", "2025-W47", "2025-11", "2025",
	    "2025-11-22_100000Z", "2025-11-22 06:30:00 -03:30" },
	{ "the hour before Rome's clocks go back", 1792886400 + 30, 2 * HOUR,
	    "2026-10-25", "2026-10-25_02", "2026-W43", "2026-10", "2026",
	    "2026-10-25_000030Z", "2026-10-25 02:00:30 +02:00" },
	{ "the same hour once more after it", 1792890000 + 30, HOUR,
	    "2026-10-25", "2026-10-25_02", "2026-W43", "2026-10", "2026",
	    "2026-10-25_010030Z", "2026-10-25 02:00:30 +01:00" },
};

static void a_time_has_the_names_of_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const char *wanted[PERIODS] = {
			[PERIOD_ALL] = times[i].all,
			[PERIOD_HOURLY] = times[i].hourly,
			[PERIOD_DAILY] = times[i].daily,
			[PERIOD_WEEKLY] = times[i].weekly,
			[PERIOD_MONTHLY] = times[i].monthly,
			[PERIOD_YEARLY] = times[i].yearly,
		};
		char name[DATE_NAME_SIZE];

		print_message("case: %s\n", times[i].name);
		for (unsigned p = 0; p < PERIODS; p++) {
			date_name((enum period)p, times[i].seconds * NS,
			    times[i].offset, name);
			assert_string_equal(name, wanted[p]);
		}
		date_full(times[i].seconds * NS, times[i].offset, name);
		assert_string_equal(name, times[i].full);
	}
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 16;
}

static void names_agree_with_the_c_library(void **state)
{
	static const char *const formats[PERIODS] = {
		[PERIOD_ALL] = "%Y-%m-%d_%H%M%SZ",
		[PERIOD_HOURLY] = "%Y-%m-%d_%H",
		[PERIOD_DAILY] = "%Y-%m-%d",
		[PERIOD_WEEKLY] = "%G-W%V",
		[PERIOD_MONTHLY] = "%Y-%m",
		[PERIOD_YEARLY] = "%Y",
	};
	uint64_t seed = 20261122;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		/* Some 285 years to either side of 1970. */
		int64_t ns = (int64_t)(next_random(&seed) << 16 ^
		    next_random(&seed));
		int32_t offset = (int32_t)(next_random(&seed) % 113) * 900 -
		    14 * HOUR;
		char name[DATE_NAME_SIZE];
		char wanted[DATE_NAME_SIZE];

		ns %= INT64_C(9000000000) * NS;
		for (unsigned p = 0; p < PERIODS; p++) {
			time_t t = (time_t)(ns / NS - (ns % NS < 0));
			struct tm tm;

			t += p == PERIOD_ALL ? 0 : offset;
			gmtime_r(&t, &tm);
			strftime(wanted, sizeof(wanted), formats[p], &tm);
			date_name((enum period)p, ns, offset, name);
			assert_string_equal(name, wanted);
		}
	}
}

static void periods_have_names_and_names_periods(void **state)
{
	enum period found;

	(void)state;
	for (unsigned p = 0; p < PERIODS; p++) {
		const char *name = period_name((enum period)p);

		assert_true(period_parse(&found, name, strlen(name)));
		assert_int_equal(found, p);
	}
	assert_false(period_parse(&found, "dail", 4));
	assert_false(period_parse(&found, "dailyx", 6));
	assert_false(period_parse(&found, "", 0));
}

/* ---- Zones ---- */

static void zones_know_their_summer(void **state)
{
	static const struct {
		const char *zone;
		int64_t seconds;
		int32_t offset;
	} cases[] = {
		{ "UTC", 1763805600, 0 },
		{ "Europe/Rome", 1763805600, HOUR },
		{ "Europe/Rome", 1784800000, 2 * HOUR },
		/* 2026-03-29 01:00 and 2026-10-25 01:00 UTC. */
		{ "Europe/Rome", 1774746000 - 1, HOUR },
		{ "Europe/Rome", 1774746000, 2 * HOUR },
		{ "Europe/Rome", 1792890000 - 1, 2 * HOUR },
		{ "Europe/Rome", 1792890000, HOUR },
		{ "Asia/Kolkata", 1763805600, 19800 },
		{ "America/St_Johns", 1763805600, -12600 },
		{ "Pacific/Kiritimati", 1763805600, 14 * HOUR },
	};
	struct err err;
	int32_t offset;

	(void)state;
	if (date_offset("Europe/Rome", 0, &offset, &err)) {
		print_message("no zones on this machine\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case: %s\n", cases[i].zone);
		assert_int_equal(date_offset(cases[i].zone,
		    cases[i].seconds * NS, &offset, &err), 0);
		assert_int_equal(offset, cases[i].offset);
	}
}

static void unknown_zones_are_refused(void **state)
{
	static const char *const zones[] = { "Europe/Atlantis",
		"../../../etc/passwd", "Europe/../Europe/Rome",
		"/usr/share/zoneinfo/Europe/Rome", ":UTC", "Europe",
		"zone.tab", "EST5EDT4,M3.2.0,M11.1.0" };
	struct err err;
	int32_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		print_message("case: %s\n", zones[i]);
		assert_int_equal(date_offset(zones[i], 0, &offset, &err),
		    ERR_INVALID);
		assert_non_null(strstr(err.msg, zones[i]));
	}
}

static void the_zone_of_the_process_is_left_alone(void **state)
{
	struct err err;
	int32_t offset;
	int32_t here;

	(void)state;
	setenv("TZ", "XYZ-3", 1);
	assert_int_equal(date_offset(NULL, 0, &here, &err), 0);
	assert_int_equal(here, 3 * HOUR);
	if (date_offset("Asia/Kolkata", 0, &offset, &err) == 0) {
		assert_int_equal(offset, 19800);
		assert_string_equal(getenv("TZ"), "XYZ-3");
		assert_int_equal(date_offset("", 0, &here, &err), 0);
		assert_int_equal(here, 3 * HOUR);
		unsetenv("TZ");
		assert_int_equal(date_offset("Asia/Kolkata", 0, &offset,
		    &err), 0);
		assert_null(getenv("TZ"));
	}
	unsetenv("TZ");
	tzset();
}

/* ---- WHEN ---- */

static void people_may_write_a_time_in_these_ways(void **state)
{
	static const struct {
		const char *text;
		enum when_kind kind;
		enum period period;
		unsigned days;
		const char *name; /* of the period or time, or the id */
	} cases[] = {
		{ "latest", WHEN_LATEST, 0, 0, "" },
		{ "yesterday", WHEN_YESTERDAY, 0, 0, "" },
		{ "today", WHEN_DAYS_AGO, 0, 0, "" },
		{ "0d", WHEN_DAYS_AGO, 0, 0, "" },
		{ "3d", WHEN_DAYS_AGO, 0, 3, "" },
		{ "9999d", WHEN_DAYS_AGO, 0, 9999, "" },
		{ "2026", WHEN_PERIOD, PERIOD_YEARLY, 0, "2026" },
		{ "2026-11", WHEN_PERIOD, PERIOD_MONTHLY, 0, "2026-11" },
		{ "2026-W47", WHEN_PERIOD, PERIOD_WEEKLY, 0, "2026-W47" },
		{ "2026-W53", WHEN_PERIOD, PERIOD_WEEKLY, 0, "2026-W53" },
		{ "2026-11-22", WHEN_PERIOD, PERIOD_DAILY, 0, "2026-11-22" },
		{ "2024-02-29", WHEN_PERIOD, PERIOD_DAILY, 0, "2024-02-29" },
		{ "2026-11-22_14", WHEN_PERIOD, PERIOD_HOURLY, 0,
		    "2026-11-22_14" },
		{ "2026-11-22_020003Z", WHEN_TIME, 0, 0,
		    "2026-11-22_020003Z" },
		{ "2026-11-22T02:00:03Z", WHEN_TIME, 0, 0,
		    "2026-11-22_020003Z" },
		{ "2026-11-22 02:00:03Z", WHEN_TIME, 0, 0,
		    "2026-11-22_020003Z" },
		{ "2026-11-22_02:00Z", WHEN_TIME, 0, 0, "2026-11-22_0200Z" },
		{ "2026-11-22T02:00:03", WHEN_TIME, 0, 0,
		    "2026-11-22_020003" },
		{ "2026-11-22T02:00", WHEN_TIME, 0, 0, "2026-11-22_0200" },
		{ "2026-11-22_0200", WHEN_TIME, 0, 0, "2026-11-22_0200" },
		{ "2026-11-22T00:30:03+01:00", WHEN_TIME, 0, 0,
		    "2026-11-21_233003Z" },
		{ "2026-12-31 22:00:00-0330", WHEN_TIME, 0, 0,
		    "2027-01-01_013000Z" },
		{ "2026-11-22T02:00+05", WHEN_TIME, 0, 0,
		    "2026-11-21_2100Z" },
		{ "0a1b2c", WHEN_ID, 0, 0, "0a1b2c" },
		{ "99999d", WHEN_ID, 0, 0, "99999d" },
		{ "202611", WHEN_ID, 0, 0, "202611" },
		{ "0A1B2C3D4E5F60718293A4B5C6D7E8F9", WHEN_ID, 0, 0,
		    "0a1b2c3d4e5f60718293a4b5c6d7e8f9" },
	};
	struct when when;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case: %s\n", cases[i].text);
		assert_int_equal(when_parse(&when, cases[i].text,
		    strlen(cases[i].text), &err), 0);
		assert_int_equal(when.kind, cases[i].kind);
		assert_int_equal(when.days, cases[i].days);
		if (when.kind == WHEN_PERIOD)
			assert_int_equal(when.period, cases[i].period);
		assert_string_equal(when.kind == WHEN_ID ? when.id :
		    when.name, cases[i].name);
	}
}

static void anything_else_is_refused_with_the_forms(void **state)
{
	static const char *const cases[] = { "", "d", "last", "latest ",
		"Yesterday", "-3d", "3 d", "3w", "20261", "2026-", "2026-1",
		"2026-00", "2026-13", "2026-W00", "2026-W54", "2025-W53",
		"2026-11-00", "2026-11-31", "2026-02-29", "1900-02-29",
		"2026-11-22_", "2026-11-22_24", "2026-11-22_1",
		"2026-11-22T24:00", "2026-11-22T23:60", "2026-11-22T2:00:00",
		"2026-11-22T02:00:60Z", "2026-11-22T02:0003Z",
		"2026-11-22T0200:03Z", "2026-11-22T02:00:03+1",
		"2026-11-22T02:00:03+01:", "2026-11-22T02:00:03+01:60",
		"2026-11-22T02:00:03ZZ", "2026-11-22T02:00:", "2026-11-22T",
		"2026-11-22X02:00:03Z", "2026/11/22", "abcde", "abcdeg",
		"0a1b2c3d4e5f60718293a4b5c6d7e8f90" };
	struct when when;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case: \"%s\"\n", cases[i]);
		assert_int_equal(when_parse(&when, cases[i], strlen(cases[i]),
		    &err), ERR_INVALID);
		assert_non_null(strstr(err.msg, "2026-W47"));
	}
	/* The length counts, not the terminator. */
	assert_int_equal(when_parse(&when, "2026-11-22x", 10, &err), 0);
	assert_int_equal(when_parse(&when, "2026\0", 5, &err), ERR_INVALID);
}

static void a_written_time_is_read_in_its_zone(void **state)
{
	static const struct {
		const char *zone;
		const char *text;
		int64_t seconds;
	} cases[] = {
		{ "UTC", "1970-01-02", 86400 },
		{ "Europe/Rome", "2026-11-22", 1795302000 },
		{ "Europe/Rome", "2026-11-22 02:00", 1795309200 },
		{ "Europe/Rome", "2026-07-01T12:00:30", 1782900030 },
		{ "Europe/Rome", "2026-07-01T12:00:30Z", 1782907230 },
		{ "Asia/Kolkata", "2026-11-22 00:00+00:00", 1795305600 },
		{ "Asia/Kolkata", "2026-11-22", 1795285800 },
	};
	static const char *const bad[] = { "", "2026", "yesterday", "2026-13-01",
		"2026-11-22 25:00", "9999-01-01", "0001-01-01" };
	int64_t ns;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(date_read(cases[i].zone, cases[i].text, &ns,
		    &err), 0);
		assert_int_equal(ns, cases[i].seconds * 1000000000);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(date_read("UTC", bad[i], &ns, &err),
		    ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_has_the_names_of_the_table),
		cmocka_unit_test(names_agree_with_the_c_library),
		cmocka_unit_test(periods_have_names_and_names_periods),
		cmocka_unit_test(zones_know_their_summer),
		cmocka_unit_test(unknown_zones_are_refused),
		cmocka_unit_test(the_zone_of_the_process_is_left_alone),
		cmocka_unit_test(people_may_write_a_time_in_these_ways),
		cmocka_unit_test(anything_else_is_refused_with_the_forms),
		cmocka_unit_test(a_written_time_is_read_in_its_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
