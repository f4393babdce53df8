/*
 * WHEN as people write it, and the offset of a zone: what date.h promises
 * beyond pure names.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "index/date.h"
#include "index/date_private.h"
#include "index/io.h"

/* Five hexadecimal digits are no id, so "9999d" can only be days. */
#define DAYS_DIGITS 4
#define ID_DIGITS_LEAST 6
#define NS_PER_S INT64_C(1000000000)
#define SECONDS_PER_DAY 86400
/* Nanoseconds in 64 bits reach 292 years; the offset must fit too. */
#define YEARS_200 (INT64_C(200) * 366 * SECONDS_PER_DAY)
#define ID_DIGITS_MOST 32

/* ---- WHEN ---- */

static bool is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

static bool parse_days(struct when *out, const char *text, size_t len)
{
	const char *p = text;
	int64_t days;

	if (len < 2 || len > DAYS_DIGITS + 1 || text[len - 1] != 'd' ||
	    !date_digits(&p, text + len - 1, len - 1, &days))
		return false;
	out->kind = WHEN_DAYS_AGO;
	out->days = (unsigned)days;
	return true;
}

static bool parse_period(struct when *out, const char *text, size_t len)
{
	static const enum period periods[] = { PERIOD_HOURLY, PERIOD_DAILY,
		PERIOD_WEEKLY, PERIOD_MONTHLY, PERIOD_YEARLY };
	int64_t key;

	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		if (!date_key_parse(periods[i], text, len, &key))
			continue;
		out->kind = WHEN_PERIOD;
		out->period = periods[i];
		date_key_name(out->period, key, out->name);
		return true;
	}
	return false;
}

static bool parse_id(struct when *out, const char *text, size_t len)
{
	if (len < ID_DIGITS_LEAST || len > ID_DIGITS_MOST)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
		out->id[i] = c;
	}
	out->id[len] = '\0';
	out->kind = WHEN_ID;
	return true;
}

/* Cuts "Z", "+01:00", "+0100" or "+01" off the end of a time of day. */
static bool cut_zone(const char *start, const char **end, bool *utc,
    int64_t *offset)
{
	const char *sign = start;
	const char *p;
	int64_t hours;
	int64_t minutes = 0;

	*utc = false;
	*offset = 0;
	if (*end > start && (*end)[-1] == 'Z') {
		*utc = true;
		(*end)--;
		return true;
	}
	while (sign < *end && *sign != '+' && *sign != '-')
		sign++;
	if (sign == *end)
		return true;

	p = sign + 1;
	if (!date_digits(&p, *end, 2, &hours))
		return false;
	if (p < *end && *p == ':')
		p++;
	if (p < *end && !date_digits(&p, *end, 2, &minutes))
		return false;
	if (p != *end || p[-1] == ':' || hours > 18 || minutes > 59)
		return false;
	*offset = (hours * 60 + minutes) * 60;
	if (*sign == '-')
		*offset = -*offset;
	*utc = true;
	*end = sign;
	return true;
}

/* Hours, minutes and seconds with or without colons, into digits alone. */
static bool cut_colons(const char *p, const char *end, char digits[8])
{
	bool colons = end - p > 2 && p[2] == ':';
	size_t n = 0;

	while (p < end) {
		if (n == 6)
			return false;
		if (colons && n > 0 && n % 2 == 0) {
			if (*p++ != ':' || p == end)
				return false;
		}
		digits[n++] = *p++;
	}
	digits[n] = '\0';
	return n == 4 || n == 6;
}

static bool parse_time(struct when *out, const char *text, size_t len)
{
	const char *end = text + len;
	char digits[8];
	char name[DATE_NAME_SIZE];
	int64_t offset;
	int64_t seconds;
	int64_t step;
	bool local;
	bool utc;

	if (len < 15 || (text[10] != 'T' && text[10] != '_' &&
	    text[10] != ' '))
		return false;
	if (!cut_zone(text + 11, &end, &utc, &offset) ||
	    !cut_colons(text + 11, end, digits))
		return false;
	snprintf(name, sizeof(name), "%.10s_%s", text, digits);
	if (!date_time_parse(name, strlen(name), &seconds, &local, &step))
		return false;
	out->kind = WHEN_TIME;
	date_time_name(seconds - offset, utc, step, out->name);
	return true;
}

int when_parse(struct when *out, const char *text, size_t len,
    struct err *err)
{
	memset(out, 0, sizeof(*out));

	if (is(text, len, "latest")) {
		out->kind = WHEN_LATEST;
		return 0;
	}
	if (is(text, len, "yesterday")) {
		out->kind = WHEN_YESTERDAY;
		return 0;
	}
	if (is(text, len, "today")) {
		out->kind = WHEN_DAYS_AGO;
		return 0;
	}
	if (parse_days(out, text, len) || parse_period(out, text, len) ||
	    parse_time(out, text, len) || parse_id(out, text, len))
		return 0;
	return err_set(err, ERR_INVALID,
	    "\"%.*s\" names no time: say latest, yesterday, 3d, 2026-11-22, "
	    "2026-11-22_14, 2026-W47, 2026-11, 2026, 2026-11-22T02:00:03Z, "
	    "or six or more digits of a snapshot's id",
	    len > 64 ? 64 : (int)len, text);
}

/* ---- Zones ---- */

/*
 * The C library takes an unknown zone for UTC without a word, so the zone's
 * file is looked at first.
 */
static int zone_check(const char *zone, struct err *err)
{
	const char *dir = getenv("TZDIR");
	char path[PATH_MAX];
	char magic[4];
	struct err ignored;
	bool known;
	int fd;

	if (!dir || !*dir)
		dir = "/usr/share/zoneinfo";
	if (zone[0] == '/' || zone[0] == ':' || strstr(zone, "..") ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, zone) >=
	    sizeof(path))
		return err_set(err, ERR_INVALID, "\"%s\" is no time zone",
		    zone);

	/* A named pipe must not hold us up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	known = fd >= 0 &&
	    io_pread_full(fd, magic, sizeof(magic), 0, &ignored) == 0 &&
	    memcmp(magic, "TZif", sizeof(magic)) == 0;
	io_close(fd);
	if (!known)
		return err_set(err, ERR_INVALID,
		    "this machine knows no time zone \"%s\"", zone);
	return 0;
}

static int offset_here(int64_t time_ns, int32_t *out, struct err *err)
{
	time_t seconds = (time_t)date_seconds(time_ns, 0);
	struct tm tm;

	tzset();
	if (!localtime_r(&seconds, &tm))
		return err_sys(err, "local time");
	*out = (int32_t)tm.tm_gmtoff;
	return 0;
}

int date_offset(const char *zone, int64_t time_ns, int32_t *out,
    struct err *err)
{
	const char *before;
	char *saved = NULL;
	int rc;

	if (!zone || !*zone)
		return offset_here(time_ns, out, err);
	if (strcmp(zone, "UTC") == 0) {
		/* Known even where no zones are installed. */
		*out = 0;
		return 0;
	}
	rc = zone_check(zone, err);
	if (rc)
		return rc;

	before = getenv("TZ");
	if (before) {
		saved = strdup(before);
		if (!saved)
			return err_set(err, ERR_NOMEM, "time zone");
	}
	if (setenv("TZ", zone, 1) < 0) {
		rc = err_sys(err, "time zone");
		goto out;
	}
	rc = offset_here(time_ns, out, err);

out:
	/* Room for the old value was there before; a failure leaves ours. */
	if (saved)
		(void)setenv("TZ", saved, 1);
	else
		(void)unsetenv("TZ");
	tzset();
	free(saved);
	return rc;
}

/*
 * Local seconds to UTC: the offset depends on the answer, so the second guess
 * is made with the first one's.
 */
static int local_to_utc(const char *zone, int64_t local, int64_t *out,
    struct err *err)
{
	int64_t seconds = local;
	int32_t offset;
	int rc;

	for (int i = 0; i < 2; i++) {
		rc = date_offset(zone, seconds * NS_PER_S, &offset, err);
		if (rc)
			return rc;
		seconds = local - offset;
	}
	*out = seconds;
	return 0;
}

int date_read(const char *zone, const char *text, int64_t *out_ns,
    struct err *err)
{
	int64_t seconds = 0;
	bool utc = false;
	struct when when;
	struct err ignored;
	int64_t step;
	int64_t day;
	int rc = 0;

	if (when_parse(&when, text, strlen(text), &ignored) == 0 &&
	    when.kind == WHEN_TIME)
		(void)date_time_parse(when.name, strlen(when.name), &seconds,
		    &utc, &step); /* when_parse wrote it so */
	else if (date_key_parse(PERIOD_DAILY, text, strlen(text), &day))
		seconds = day * SECONDS_PER_DAY;
	else
		return err_set(err, ERR_INVALID,
		    "\"%.64s\" is no time: say 2026-11-22, 2026-11-22 02:00 or "
		    "2026-11-22T02:00:03Z", text);
	if (seconds < -YEARS_200 || seconds > YEARS_200)
		return err_set(err, ERR_INVALID, "%.64s is too far away", text);
	if (!utc)
		rc = local_to_utc(zone, seconds, &seconds, err);
	if (!rc)
		*out_ns = seconds * NS_PER_S;
	return rc;
}
