/*
 * Days and dates by days_from_civil and civil_from_days of Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms": years begin in March, so the
 * leap day is the last, and 400 years are one era of 146097 days.
 */
#include "index/date.h"

#include <assert.h>
#include <string.h>

#include "index/date_private.h"

#define DAY_SECONDS 86400
#define ERA_DAYS 146097
#define EPOCH_DAYS 719468 /* 1970-01-01 since 0000-03-01 */

static const char *const period_names[PERIODS] = {
	[PERIOD_ALL] = "all",
	[PERIOD_HOURLY] = "hourly",
	[PERIOD_DAILY] = "daily",
	[PERIOD_WEEKLY] = "weekly",
	[PERIOD_MONTHLY] = "monthly",
	[PERIOD_YEARLY] = "yearly",
};

const char *period_name(enum period p)
{
	assert(p < PERIODS);
	return period_names[p];
}

bool period_parse(enum period *out, const char *name, size_t len)
{
	for (unsigned p = 0; p < PERIODS; p++) {
		if (strlen(period_names[p]) != len ||
		    memcmp(period_names[p], name, len) != 0)
			continue;
		*out = (enum period)p;
		return true;
	}
	return false;
}

/* ---- The calendar ---- */

struct civil {
	int64_t year;
	unsigned month; /* 1 to 12 */
	unsigned day;   /* 1 to 31 */
};

/* Division rounded down, which C's is not below zero. */
static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;

	return a % b < 0 ? q - 1 : q;
}

int64_t date_days(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = floor_div(y, 400);
	int64_t year_of_era = y - era * 400;
	int64_t month_from_march = month > 2 ? month - 3 : month + 9;
	int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 -
	    year_of_era / 100 + day_of_year;

	return era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

static struct civil civil_of(int64_t days)
{
	int64_t shifted = days + EPOCH_DAYS;
	int64_t era = floor_div(shifted, ERA_DAYS);
	int64_t day_of_era = shifted - era * ERA_DAYS;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 +
	    day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era +
	    year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;
	struct civil c;

	c.day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
	c.month = (unsigned)(month_from_march < 10 ? month_from_march + 3 :
	    month_from_march - 9);
	c.year = era * 400 + year_of_era + (c.month <= 2);
	return c;
}

bool date_exists(int64_t year, int64_t month, int64_t day)
{
	struct civil c;

	if (month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	c = civil_of(date_days(year, (unsigned)month, (unsigned)day));
	return c.month == month && c.day == day;
}

/* Weeks since that of 1970-01-01, a Thursday; they begin on Mondays. */
static int64_t week_of(int64_t days)
{
	return floor_div(days + 3, 7);
}

/* ISO 8601: a week belongs to the year that has its Thursday. */
static void week_name(int64_t week, int64_t *year, int64_t *number)
{
	int64_t thursday = week * 7;

	*year = civil_of(thursday).year;
	*number = (thursday - date_days(*year, 1, 1)) / 7 + 1;
}

/* ---- Keys ---- */

int64_t date_seconds(int64_t time_ns, int32_t utc_offset)
{
	return floor_div(time_ns, 1000000000) + utc_offset;
}

int64_t date_key(enum period p, int64_t time_ns, int32_t utc_offset)
{
	int64_t seconds = date_seconds(time_ns, utc_offset);
	int64_t days = floor_div(seconds, DAY_SECONDS);
	struct civil c;

	switch (p) {
	case PERIOD_ALL:
		return date_seconds(time_ns, 0);
	case PERIOD_HOURLY:
		return floor_div(seconds, 3600);
	case PERIOD_DAILY:
		return days;
	case PERIOD_WEEKLY:
		return week_of(days);
	case PERIOD_MONTHLY:
		c = civil_of(days);
		return c.year * 12 + c.month - 1;
	case PERIOD_YEARLY:
		return civil_of(days).year;
	}
	return 0;
}

/* ---- Names ---- */

static char *put_char(char *p, char c)
{
	*p = c;
	return p + 1;
}

/* The value's last n decimal digits. */
static char *put_digits(char *p, int64_t value, unsigned n)
{
	for (unsigned i = n; i-- > 0; value /= 10)
		p[i] = (char)('0' + value % 10);
	return p + n;
}

static char *put_date(char *p, int64_t days)
{
	struct civil c = civil_of(days);

	p = put_digits(p, c.year, 4);
	p = put_char(p, '-');
	p = put_digits(p, c.month, 2);
	p = put_char(p, '-');
	return put_digits(p, c.day, 2);
}

void date_time_name(int64_t seconds, bool utc, int64_t step,
    char out[DATE_NAME_SIZE])
{
	int64_t days = floor_div(seconds, DAY_SECONDS);
	int64_t rest = seconds - days * DAY_SECONDS;
	char *p = put_char(put_date(out, days), '_');

	p = put_digits(p, rest / 3600, 2);
	p = put_digits(p, rest / 60 % 60, 2);
	if (step == 1)
		p = put_digits(p, rest % 60, 2);
	if (utc)
		p = put_char(p, 'Z');
	*p = '\0';
}

void date_key_name(enum period p, int64_t key, char out[DATE_NAME_SIZE])
{
	char *end = out;
	int64_t year;
	int64_t week;

	switch (p) {
	case PERIOD_ALL:
		date_time_name(key, true, 1, out);
		return;
	case PERIOD_HOURLY:
		end = put_date(out, floor_div(key, 24));
		end = put_char(end, '_');
		end = put_digits(end, key - floor_div(key, 24) * 24, 2);
		break;
	case PERIOD_DAILY:
		end = put_date(out, key);
		break;
	case PERIOD_WEEKLY:
		week_name(key, &year, &week);
		end = put_digits(out, year, 4);
		end = put_char(put_char(end, '-'), 'W');
		end = put_digits(end, week, 2);
		break;
	case PERIOD_MONTHLY:
		end = put_digits(out, floor_div(key, 12), 4);
		end = put_char(end, '-');
		end = put_digits(end, key - floor_div(key, 12) * 12 + 1, 2);
		break;
	case PERIOD_YEARLY:
		end = put_digits(out, key, 4);
		break;
	}
	*end = '\0';
}

void date_name(enum period p, int64_t time_ns, int32_t utc_offset,
    char out[DATE_NAME_SIZE])
{
	date_key_name(p, date_key(p, time_ns, utc_offset), out);
}

void date_full(int64_t time_ns, int32_t utc_offset, char out[DATE_NAME_SIZE])
{
	int64_t seconds = date_seconds(time_ns, utc_offset);
	int64_t days = floor_div(seconds, DAY_SECONDS);
	int64_t rest = seconds - days * DAY_SECONDS;
	int64_t minutes = utc_offset < 0 ? -((int64_t)utc_offset / 60) :
	    utc_offset / 60;
	char *p = put_char(put_date(out, days), ' ');

	p = put_char(put_digits(p, rest / 3600, 2), ':');
	p = put_char(put_digits(p, rest / 60 % 60, 2), ':');
	p = put_char(put_digits(p, rest % 60, 2), ' ');
	p = put_char(p, utc_offset < 0 ? '-' : '+');
	p = put_char(put_digits(p, minutes / 60, 2), ':');
	p = put_digits(p, minutes % 60, 2);
	*p = '\0';
}

/* ---- Names back into keys ---- */

bool date_digits(const char **p, const char *end, size_t n, int64_t *out)
{
	int64_t value = 0;

	if ((size_t)(end - *p) < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = (*p)[i];

		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (c - '0');
	}
	*p += n;
	*out = value;
	return true;
}

static bool take_char(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	(*p)++;
	return true;
}

static bool take_date(const char **p, const char *end, int64_t *days)
{
	int64_t year;
	int64_t month;
	int64_t day;

	if (!date_digits(p, end, 4, &year) || !take_char(p, end, '-') ||
	    !date_digits(p, end, 2, &month) || !take_char(p, end, '-') ||
	    !date_digits(p, end, 2, &day) || !date_exists(year, month, day))
		return false;
	*days = date_days(year, (unsigned)month, (unsigned)day);
	return true;
}

bool date_time_parse(const char *name, size_t len, int64_t *seconds, bool *utc,
    int64_t *step)
{
	const char *p = name;
	const char *end = name + len;
	int64_t days;
	int64_t hour;
	int64_t minute;
	int64_t second = 0;

	if (!take_date(&p, end, &days) || !take_char(&p, end, '_') ||
	    !date_digits(&p, end, 2, &hour) ||
	    !date_digits(&p, end, 2, &minute))
		return false;
	*step = date_digits(&p, end, 2, &second) ? 1 : 60;
	*utc = take_char(&p, end, 'Z');
	if (p != end || hour > 23 || minute > 59 || second > 59)
		return false;
	*seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second;
	return true;
}

static bool parse_week(const char *p, const char *end, int64_t *key)
{
	int64_t year;
	int64_t week;
	int64_t shown_year;
	int64_t shown_week;

	if (!date_digits(&p, end, 4, &year) || !take_char(&p, end, '-') ||
	    !take_char(&p, end, 'W') || !date_digits(&p, end, 2, &week) ||
	    p != end || week < 1)
		return false;
	/* The fourth of January always lies in the year's first week. */
	*key = week_of(date_days(year, 1, 4)) + week - 1;
	week_name(*key, &shown_year, &shown_week);
	return shown_year == year && shown_week == week;
}

static bool parse_month(const char *p, const char *end, int64_t *key)
{
	int64_t year;
	int64_t month;

	if (!date_digits(&p, end, 4, &year) || !take_char(&p, end, '-') ||
	    !date_digits(&p, end, 2, &month) || p != end || month < 1 ||
	    month > 12)
		return false;
	*key = year * 12 + month - 1;
	return true;
}

bool date_key_parse(enum period p, const char *name, size_t len, int64_t *key)
{
	const char *next = name;
	const char *end = name + len;
	int64_t hour;
	int64_t step;
	bool utc;

	switch (p) {
	case PERIOD_ALL:
		return date_time_parse(name, len, key, &utc, &step) && utc &&
		    step == 1;
	case PERIOD_HOURLY:
		if (!take_date(&next, end, key) ||
		    !take_char(&next, end, '_') ||
		    !date_digits(&next, end, 2, &hour) || hour > 23)
			return false;
		*key = *key * 24 + hour;
		return next == end;
	case PERIOD_DAILY:
		return take_date(&next, end, key) && next == end;
	case PERIOD_WEEKLY:
		return parse_week(name, end, key);
	case PERIOD_MONTHLY:
		return parse_month(name, end, key);
	case PERIOD_YEARLY:
		return date_digits(&next, end, 4, key) && next == end;
	}
	return false;
}
