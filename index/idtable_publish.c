#include "index/idtable_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chunker/buf.h"
#include "chunker/sum.h"
#include "index/io.h"

#define MANIFEST_VERSION 1
#define MANIFEST_HEAD 40
#define MANIFEST_MAX 16384

/* Entries sorted at once: 12 MiB, and as much again while sorting. */
#define BATCH_ENTRIES (1u << 19)

/* A run absorbs the younger ones when it is less than this many times as large
 * as they are together: so their number grows with the logarithm. */
#define RUN_RATIO 4

/* Above this a map of the existing packs costs more than stale entries. */
#define ALIVE_MAX (1u << 26)

static const char manifest_magic[8] = "IERIMANI";

/* ---- The manifest ---- */

static int64_t stamp_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

bool manifest_changed(struct idtable *t)
{
	struct stat st;

	return t->dir >= 0 && fstatat(t->dir, "manifest", &st, 0) == 0 &&
	    (st.st_ino != t->manifest_ino || stamp_ns(&st) != t->manifest_ns);
}

/* Runs are shared with the present state where they are the same files. */
static int run_get(struct idtable *t, uint64_t no, struct run **out,
    struct err *err)
{
	const struct state *s = t->state;

	for (size_t i = 0; s && i < s->n_runs; i++)
		if (s->runs[i]->no == no && run_is_named(s->runs[i], t->dir)) {
			s->runs[i]->refs++;
			*out = s->runs[i];
			return 0;
		}
	return run_open(out, t->dir, no, t->uuid, err);
}

static int manifest_decode(struct idtable *t, struct state *s,
    const uint8_t *data, size_t len, struct err *err)
{
	struct bytes b = bytes_of(data, len);
	const uint8_t *magic = bytes_take(&b, 8);
	uint32_t version = bytes_le32(&b);
	uint32_t n = bytes_le32(&b);
	const uint8_t *uuid = bytes_take(&b, 16);
	int rc;

	s->covered = bytes_le64(&b);
	s->seq = s->covered;
	if (b.bad || memcmp(magic, manifest_magic, 8) != 0 ||
	    bytes_left(&b) < 8 || (bytes_left(&b) - 8) / 8 != n ||
	    bytes_left(&b) % 8 != 0 ||
	    sum64(data, len - 8) != le64_get(data + len - 8))
		return err_set(err, ERR_CORRUPT, "id table: bad manifest");
	if (version != MANIFEST_VERSION)
		return err_set(err, ERR_FORMAT, "id table: newer manifest");
	if (memcmp(uuid, t->uuid, 16) != 0)
		return err_set(err, ERR_INVALID, "id table: another store's");

	s->runs = calloc((size_t)n + 1, sizeof(struct run *));
	if (!s->runs)
		return err_set(err, ERR_NOMEM, "runs");
	for (uint32_t i = 0; i < n; i++) {
		rc = run_get(t, bytes_le64(&b), &s->runs[i], err);
		if (rc)
			return rc;
		s->n_runs++;
	}
	return 0;
}

static int load_once(struct idtable *t, struct state **out, struct err *err)
{
	struct state *s = NULL;
	uint8_t *data = NULL;
	struct stat st;
	size_t len;
	int rc;

	/* The stamp first: a manifest that comes in between is read again. */
	if (fstatat(t->dir, "manifest", &st, 0) < 0)
		return err_sys(err, "manifest");
	rc = io_read_file(t->dir, "manifest", MANIFEST_MAX, &data, &len, err);
	if (rc)
		goto out;
	s = calloc(1, sizeof(*s));
	if (!s) {
		rc = err_set(err, ERR_NOMEM, "id table");
		goto out;
	}
	rc = manifest_decode(t, s, data, len, err);
	if (rc)
		goto out;
	t->manifest_ino = st.st_ino;
	t->manifest_ns = stamp_ns(&st);
	*out = s;
	s = NULL;

out:
	state_free(s);
	free(data);
	return rc;
}

int manifest_load(struct idtable *t, struct state **out, struct err *err)
{
	uint64_t last = 0;
	int rc = ERR_NOT_FOUND;

	if (t->dir < 0)
		return err_set(err, ERR_NOT_FOUND, "no id table");
	/* A run may be gone because a newer manifest no longer names it. */
	for (int i = 0; i < 5 && rc == ERR_NOT_FOUND; i++)
		rc = load_once(t, out, err);
	if (rc)
		return rc;
	rc = db_pack_last_seq(t->db, &last, err);
	if (!rc && (*out)->covered > last)
		rc = err_set(err, ERR_CORRUPT,
		    "id table is of another index");
	if (rc)
		state_free(*out);
	return rc;
}

static int manifest_write(struct idtable *t, const struct state *s,
    struct err *err)
{
	struct buf b;
	int rc;

	buf_init(&b);
	buf_put(&b, manifest_magic, 8);
	buf_le32(&b, MANIFEST_VERSION);
	buf_le32(&b, (uint32_t)s->n_runs);
	buf_put(&b, t->uuid, 16);
	buf_le64(&b, s->covered);
	for (size_t i = 0; i < s->n_runs; i++)
		buf_le64(&b, s->runs[i]->no);
	if (!b.oom)
		buf_le64(&b, sum64(b.data, b.len));
	rc = buf_check(&b, err);
	if (!rc)
		rc = io_publish(t->dir, "manifest.tmp", t->dir, "manifest",
		    b.data, b.len, false, err);
	buf_fini(&b);
	return rc;
}

/* ---- Making runs ---- */

/* The number of a run's file, or 0. */
static uint64_t number_of(const char *name)
{
	char again[RUN_NAME_SIZE];
	uint64_t no = strtoull(name, NULL, 10);

	run_name(no, again);
	return strcmp(name, again) == 0 ? no : 0;
}

/*
 * Walks ids/.  With `keep`, unlinks the runs it does not name: processes that
 * still map them are not harmed.  Returns the greatest number seen.
 */
static uint64_t walk(int dir, const struct state *keep)
{
	uint64_t greatest = 0;
	struct dirent *d;
	uint64_t no;
	bool named;
	int fd;
	DIR *list;

	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) {
		io_close(fd);
		return 0;
	}
	while ((d = readdir(list))) {
		no = number_of(d->d_name);
		if (no > greatest)
			greatest = no;
		named = no == 0 || !keep;
		for (size_t i = 0; !named && i < keep->n_runs; i++)
			named = keep->runs[i]->no == no;
		/* What stays is tried again by the next publisher. */
		if (!named)
			(void)unlinkat(dir, d->d_name, 0);
	}
	closedir(list);
	return greatest;
}

static int alive_read(struct alive *a, struct db *db, struct err *err)
{
	struct pack_row *rows = NULL;
	uint64_t most = 0;
	size_t n;
	int rc;

	rc = db_pack_list(db, 0, &rows, &n, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (rows[i].no > most)
			most = rows[i].no;
	if (most > ALIVE_MAX)
		goto out;
	a->bits = calloc(1, (size_t)most / 8 + 1);
	if (!a->bits) {
		rc = err_set(err, ERR_NOMEM, "map of packs");
		goto out;
	}
	a->n = most + 1;
	for (size_t i = 0; i < n; i++)
		a->bits[rows[i].no / 8] |= (uint8_t)(1u << rows[i].no % 8);

out:
	free(rows);
	return rc;
}

/* The builder's state owns its runs; g is left empty. */
static int add_run(struct idtable *t, struct state *s, uint64_t *next_no,
    struct gather *g, struct err *err)
{
	struct source *sources = NULL;
	struct alive alive = { NULL, 0 };
	struct run *made = NULL;
	struct run **runs;
	uint64_t n = g->n;
	size_t first = s->n_runs;
	int rc = 0;

	if (g->n == 0)
		return 0;
	qsort(g->entries, g->n, sizeof(struct entry), entry_compare);
	while (first > 0 && s->runs[first - 1]->n / RUN_RATIO < n)
		n += s->runs[--first]->n;

	runs = realloc(s->runs, (s->n_runs + 1) * sizeof(*runs));
	sources = calloc(s->n_runs - first + 1, sizeof(*sources));
	if (runs)
		s->runs = runs;
	if (!runs || !sources) {
		rc = err_set(err, ERR_NOMEM, "runs");
		goto out;
	}
	for (size_t i = first; i < s->n_runs; i++) {
		/* What is copied unread would be damage made durable. */
		rc = run_verify(s->runs[i], err);
		if (rc)
			goto out;
		sources[i - first].next = s->runs[i]->entries;
		sources[i - first].end = s->runs[i]->entries + s->runs[i]->n;
	}
	sources[s->n_runs - first].next = g->entries;
	sources[s->n_runs - first].end = g->entries + g->n;
	if (first < s->n_runs)
		rc = alive_read(&alive, t->db, err);
	if (!rc)
		rc = run_create(t->dir, *next_no, t->uuid, sources,
		    s->n_runs - first + 1, &alive, err);
	if (!rc)
		rc = run_open(&made, t->dir, (*next_no)++, t->uuid, err);
	if (rc)
		goto out;

	while (s->n_runs > first)
		run_unref(s->runs[--s->n_runs]);
	s->runs[s->n_runs++] = made;
	g->n = 0;

out:
	free(alive.bits);
	free(sources);
	return rc;
}

/* Brings the state up to the last pack, in runs. */
static int cover(struct idtable *t, struct state *s, struct err *err)
{
	struct pack_row *rows = NULL;
	struct gather g = { NULL, 0, 0 };
	uint64_t next_no = walk(t->dir, NULL) + 1;
	uint64_t last;
	size_t n = 0;
	int rc;

	for (size_t i = 0; t->state && i < t->state->n_runs; i++)
		if (t->state->runs[i]->no >= next_no)
			next_no = t->state->runs[i]->no + 1;

	rc = db_pack_last_seq(t->db, &last, err);
	if (!rc)
		rc = db_pack_list(t->db, s->covered, &rows, &n, err);
	for (size_t i = 0; !rc && i < n; i++) {
		rc = gather_pack(&g, t, &rows[i], err);
		if (!rc && g.n >= BATCH_ENTRIES)
			rc = add_run(t, s, &next_no, &g, err);
		if (rows[i].seq > last)
			last = rows[i].seq;
	}
	if (!rc)
		rc = add_run(t, s, &next_no, &g, err);
	if (!rc) {
		s->covered = last;
		s->seq = last;
	}
	free(g.entries);
	free(rows);
	return rc;
}

/*
 * The state to begin with: what the manifest says, which another process may
 * have renewed, or nothing, when it is to be distrusted.
 */
static int begin(struct idtable *t, bool fresh, struct state **out,
    struct err *err)
{
	int rc;

	if (!fresh) {
		rc = manifest_load(t, out, err);
		if (rc == 0 || rc == ERR_NOMEM)
			return rc;
	}
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, ERR_NOMEM, "id table");
	return 0;
}

static int publish_once(struct idtable *t, bool fresh, struct err *err)
{
	struct state *s = NULL;
	uint64_t before;
	int rc;

	rc = begin(t, fresh, &s, err);
	if (rc)
		return rc;
	before = s->covered;
	rc = cover(t, s, err);
	if (!rc && (fresh || s->covered != before || before == 0))
		rc = manifest_write(t, s, err);
	if (rc) {
		state_free(s);
		return rc;
	}
	state_replace(t, s);
	walk(t->dir, s);
	return 0;
}

int publish(struct idtable *t, bool fresh, struct err *err)
{
	int lock = -1;
	int rc;

	if (t->dir < 0)
		return err_set(err, ERR_SYSTEM,
		    "id table: its folder may not be written");
	rc = io_lock(&lock, t->dir, "lock", true, err);
	if (rc)
		return rc;
	rc = publish_once(t, fresh, err);
	/* A run that turned out damaged: from the database, then. */
	if (rc == ERR_CORRUPT && !fresh)
		rc = publish_once(t, true, err);
	io_close(lock);
	return rc;
}
