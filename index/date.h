/*
 * date -- the names that days, hours, weeks, months and years go by.
 *
 * Pure functions of a time and the offset from UTC that was stored with it, so
 * a name never changes afterwards.  Proleptic Gregorian calendar; ISO 8601
 * weeks.
 *
 * Threads: no state; any at once.
 */
#ifndef INDEX_DATE_H
#define INDEX_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"

/* The folders of a resource, in the order a listing shows them. */
enum period {
	PERIOD_ALL = 0,     /* all/2026-11-22_020003Z */
	PERIOD_HOURLY = 1,  /* hourly/2026-11-22_14 */
	PERIOD_DAILY = 2,   /* daily/2026-11-22 */
	PERIOD_WEEKLY = 3,  /* weekly/2026-W47 */
	PERIOD_MONTHLY = 4, /* monthly/2026-11 */
	PERIOD_YEARLY = 5,  /* yearly/2026 */
};

#define PERIODS 6
#define DATE_NAME_SIZE 32

/* "all", "hourly", ... */
const char *period_name(enum period p);
bool period_parse(enum period *out, const char *name, size_t len);

/* The period's name for a time; PERIOD_ALL uses UTC and ignores the offset. */
void date_name(enum period p, int64_t time_ns, int32_t utc_offset,
    char out[DATE_NAME_SIZE]);

/* Full local time with offset for people: 2026-11-22 14:05:09 +01:00. */
void date_full(int64_t time_ns, int32_t utc_offset, char out[DATE_NAME_SIZE]);

/*
 * Seconds east of UTC in an IANA zone at a time; NULL or "" is the machine's
 * zone.  ERR_INVALID for a zone the machine does not know.  Not for threads:
 * it sets TZ for its duration; call it before any are started.
 */
int date_offset(const char *zone, int64_t time_ns, int32_t *out,
    struct err *err);

/*
 * The time that a person's words stand for in a zone (as above): a full time as
 * in when_parse, or a day, meaning its first second.  ERR_INVALID says what
 * forms there are.  Not for threads, as date_offset.
 */
int date_read(const char *zone, const char *text, int64_t *out_ns,
    struct err *err);

/* ---- WHEN, as people write it ---- */

enum when_kind {
	WHEN_LATEST,    /* "latest" */
	WHEN_YESTERDAY, /* "yesterday": newest of a day before today */
	WHEN_DAYS_AGO,  /* "3d": newest of the day 3 days before today */
	WHEN_PERIOD,    /* "2026-11-22", "2026-11-22_14", "2026-11", ... */
	WHEN_TIME,      /* "2026-11-22_020003Z" as in all/, or a full time */
	WHEN_ID,        /* snapshot id in hex, or 6 or more digits of it */
};

struct when {
	enum when_kind kind;
	enum period period;         /* WHEN_PERIOD */
	/* WHEN_PERIOD: canonical; WHEN_TIME: as in all/. */
	char name[DATE_NAME_SIZE];
	unsigned days;              /* WHEN_DAYS_AGO */
	char id[33];                /* WHEN_ID, lower case */
};

/*
 * ERR_INVALID says what forms there are.  A full time is 2026-11-22T02:00:03Z,
 * with 'T', '_' or ' ' between, seconds optional; without Z or offset it is
 * local to the snapshot's own offset and is matched as such.
 */
int when_parse(struct when *out, const char *text, size_t len,
    struct err *err);

#endif
