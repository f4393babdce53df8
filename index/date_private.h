/*
 * date_private -- names of periods as numbers that can be sorted.
 *
 * A key is the number of a period: seconds since 1970 for PERIOD_ALL, hours,
 * days and ISO weeks counted likewise, months as year * 12 + month - 1, years
 * as they are.  Keys of one period rise exactly as its names do.
 *
 * Threads: no state; any at once.
 */
#ifndef INDEX_DATE_PRIVATE_H
#define INDEX_DATE_PRIVATE_H

#include "index/date.h"

/* Seconds since 1970, rounded down, at an offset from UTC. */
int64_t date_seconds(int64_t time_ns, int32_t utc_offset);

int64_t date_key(enum period p, int64_t time_ns, int32_t utc_offset);
void date_key_name(enum period p, int64_t key, char out[DATE_NAME_SIZE]);

/* False unless name is exactly what date_key_name writes for a key. */
bool date_key_parse(enum period p, const char *name, size_t len, int64_t *key);

/*
 * The second, or the first of a minute, that the name of a WHEN_TIME stands
 * for.  *utc false: local; *step is 1 or 60 seconds.
 */
bool date_time_parse(const char *name, size_t len, int64_t *seconds, bool *utc,
    int64_t *step);

/* The name of that second in the same form. */
void date_time_name(int64_t seconds, bool utc, int64_t step,
    char out[DATE_NAME_SIZE]);

/* Days since 1970 of a date, which must be a proper one. */
int64_t date_days(int64_t year, unsigned month, unsigned day);

/* False for a date the calendar does not have. */
bool date_exists(int64_t year, int64_t month, int64_t day);

/* Reads exactly n digits, at most 9; false when they are not there. */
bool date_digits(const char **p, const char *end, size_t n, int64_t *out);

#endif
