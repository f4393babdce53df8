#include "index/ref.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "index/date_private.h"

/*
 * A snapshot stamped further ahead than this by a wrong clock is shown under
 * its date but is not "latest", else it would hide every good one after it.  A
 * day leaves room for clocks that differ by a zone.
 */
#define FUTURE_NS (86400 * INT64_C(1000000000))

/* ---- Parsing ---- */

static char *copy(const char *text, size_t len)
{
	char *p = malloc(len + 1);

	if (!p)
		return NULL;
	memcpy(p, text, len);
	p[len] = '\0';
	return p;
}

static void strip_slashes(const char **text, size_t *len)
{
	while (*len > 0 && **text == '/') {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && (*text)[*len - 1] == '/')
		(*len)--;
}

int ref_parse(struct ref *out, const char *text, struct err *err)
{
	size_t resource_len = strcspn(text, "@:");
	const char *when = text + resource_len;
	const char *path = strstr(when, ":/");
	size_t when_len = path ? (size_t)(path - when) : strlen(when);
	size_t path_len;
	int rc;

	memset(out, 0, sizeof(*out));
	if (*when == ':' && !path)
		return err_set(err, ERR_INVALID,
		    "\"%.200s\": after ':' comes a path that begins with '/'",
		    text);
	strip_slashes(&text, &resource_len);
	if (resource_len == 0)
		return err_set(err, ERR_INVALID,
		    "no resource is named: say RESOURCE@WHEN:/path");

	out->when.kind = WHEN_LATEST;
	if (when_len > 0) {
		if (*when != '@')
			return err_set(err, ERR_INVALID,
			    "\"%.200s\": after the resource comes @WHEN or "
			    ":/path", text);
		rc = when_parse(&out->when, when + 1, when_len - 1, err);
		if (rc)
			return rc;
	}

	path = path ? path + 1 : "";
	path_len = strlen(path);
	strip_slashes(&path, &path_len);
	out->resource = copy(text, resource_len);
	out->path = copy(path, path_len);
	out->path_len = path_len;
	if (!out->resource || !out->path) {
		ref_fini(out);
		return err_set(err, ERR_NOMEM, "reference");
	}
	return 0;
}

void ref_fini(struct ref *r)
{
	if (!r)
		return;
	free(r->resource);
	free(r->path);
	r->resource = NULL;
	r->path = NULL;
}

/* ---- Picking ---- */

/* How one WHEN reads a snapshot's time: a number, and the number's name. */
struct scale {
	bool time; /* WHEN_TIME */
	enum period period;
	bool utc;
	int64_t step;
};

static int64_t scale_key(const struct scale *s, const struct snapshot_row *row)
{
	int64_t seconds;

	if (!s->time)
		return date_key(s->period, row->time_ns, row->utc_offset);
	seconds = date_seconds(row->time_ns, s->utc ? 0 : row->utc_offset);
	/* Rounded down, below zero too. */
	return seconds - ((seconds % s->step) + s->step) % s->step;
}

static void scale_name(const struct scale *s, int64_t key,
    char out[DATE_NAME_SIZE])
{
	if (s->time)
		date_time_name(key, s->utc, s->step, out);
	else
		date_key_name(s->period, key, out);
}

static bool newer(const struct snapshot_row *a, const struct snapshot_row *b)
{
	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns;
	return a->serial > b->serial;
}

/* n where there is none to choose; rows may come in any order. */
static size_t newest(const struct snapshot_row *rows, size_t n, int64_t now_ns)
{
	size_t best = n;
	size_t any = n;

	for (size_t i = 0; i < n; i++) {
		if (any == n || newer(&rows[i], &rows[any]))
			any = i;
		if (rows[i].time_ns > now_ns &&
		    rows[i].time_ns - now_ns > FUTURE_NS)
			continue;
		if (best == n || newer(&rows[i], &rows[best]))
			best = i;
	}
	return best < n ? best : any;
}

static int nothing_on(const struct scale *scale, int64_t key,
    const struct snapshot_row *rows, size_t n, struct err *err)
{
	char wanted[DATE_NAME_SIZE];
	char before[DATE_NAME_SIZE];
	char after[DATE_NAME_SIZE];
	int64_t low = INT64_MIN;
	int64_t high = INT64_MAX;

	for (size_t i = 0; i < n; i++) {
		int64_t k = scale_key(scale, &rows[i]);

		if (k < key && k > low)
			low = k;
		if (k > key && k < high)
			high = k;
	}
	scale_name(scale, key, wanted);
	if (low != INT64_MIN)
		scale_name(scale, low, before);
	if (high != INT64_MAX)
		scale_name(scale, high, after);

	if (low != INT64_MIN && high != INT64_MAX)
		return err_set(err, ERR_NOT_FOUND,
		    "no snapshot on %s; nearest are %s and %s", wanted, before,
		    after);
	return err_set(err, ERR_NOT_FOUND, "no snapshot on %s; nearest is %s",
	    wanted, low != INT64_MIN ? before : after);
}

static int pick_key(const struct scale *scale, int64_t key,
    const struct snapshot_row *rows, size_t n, size_t *out, struct err *err)
{
	size_t best = n;

	for (size_t i = 0; i < n; i++)
		if (scale_key(scale, &rows[i]) == key &&
		    (best == n || newer(&rows[i], &rows[best])))
			best = i;
	if (best == n)
		return nothing_on(scale, key, rows, n, err);
	*out = best;
	return 0;
}

static int pick_yesterday(const struct snapshot_row *rows, size_t n,
    int64_t today, size_t *out, struct err *err)
{
	size_t best = n;

	for (size_t i = 0; i < n; i++)
		if (date_key(PERIOD_DAILY, rows[i].time_ns,
		    rows[i].utc_offset) < today &&
		    (best == n || newer(&rows[i], &rows[best])))
			best = i;
	if (best == n) {
		char name[DATE_NAME_SIZE];

		date_key_name(PERIOD_DAILY, today, name);
		return err_set(err, ERR_NOT_FOUND,
		    "no snapshot of a day before %s", name);
	}
	*out = best;
	return 0;
}

static int pick_id(const char *prefix, const struct snapshot_row *rows,
    size_t n, size_t *out, struct err *err)
{
	size_t len = strlen(prefix);
	size_t found = n;

	for (size_t i = 0; i < n; i++) {
		char hex[ID_HEX];

		if (strncmp(id_hex(&rows[i].id, hex), prefix, len) != 0)
			continue;
		if (found < n)
			return err_set(err, ERR_INVALID,
			    "several snapshots have an id that begins with %s",
			    prefix);
		found = i;
	}
	if (found == n)
		return err_set(err, ERR_NOT_FOUND, "no snapshot has id %s",
		    prefix);
	*out = found;
	return 0;
}

int when_pick(const struct when *when, const struct snapshot_row *rows,
    size_t n, int64_t now_ns, size_t *out, struct err *err)
{
	struct scale scale = { .period = PERIOD_DAILY, .step = 1 };
	size_t last = newest(rows, n, now_ns);
	int64_t today;
	int64_t key;

	if (n == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no snapshot yet");
	today = date_key(PERIOD_DAILY, now_ns, rows[last].utc_offset);

	switch (when->kind) {
	case WHEN_LATEST:
		*out = last;
		return 0;
	case WHEN_YESTERDAY:
		return pick_yesterday(rows, n, today, out, err);
	case WHEN_DAYS_AGO:
		return pick_key(&scale, today - (int64_t)when->days, rows, n,
		    out, err);
	case WHEN_PERIOD:
		scale.period = when->period;
		if (date_key_parse(when->period, when->name,
		    strlen(when->name), &key))
			return pick_key(&scale, key, rows, n, out, err);
		break;
	case WHEN_TIME:
		scale.time = true;
		if (date_time_parse(when->name, strlen(when->name), &key,
		    &scale.utc, &scale.step))
			return pick_key(&scale, key, rows, n, out, err);
		break;
	case WHEN_ID:
		return pick_id(when->id, rows, n, out, err);
	}
	return err_set(err, ERR_INVALID, "\"%.31s\" names no time", when->name);
}

int ref_open(const struct ref *r, struct store *s, int64_t now_ns,
    struct snapshot **out, struct err *err)
{
	struct resource_row resource = { .name = NULL };
	struct snapshot_row *rows = NULL;
	size_t n;
	size_t i;
	int rc;

	rc = resource_find(s, r->resource, &resource, err);
	if (rc)
		return rc;
	rc = snapshot_list(s, resource.no, &rows, &n, err);
	if (rc)
		goto out;
	rc = when_pick(&r->when, rows, n, now_ns, &i, err);
	if (rc)
		goto out;
	rc = snapshot_open(out, s, rows[i].serial, err);

out:
	if (rc)
		err_wrap(err, "%s", r->resource);
	free(rows);
	free(resource.name);
	return rc;
}
