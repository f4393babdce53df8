#include "tools/ingest.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "index/date.h"
#include "index/io.h"
#include "tools/ingest_private.h"

/* More threads than this by default would only fill memory. */
#define THREADS_DEFAULT_MAX 16
#define THREADS_DEFAULT_MIN 2

/* Full batches that may wait for a thread, for each thread. */
#define QUEUE_PER_THREAD 2

/* Descriptors that others need: packs, the index, files being read. */
#define FDS_RESERVED 192
#define FDS_LEAST 8
#define FDS_MOST 16384

/* ---- What workers ask of it ---- */

/* The path of a thing, for words: from the base through its directories. */
static char *path_text(const struct ingest *in, const struct dir *d,
    const char *name)
{
	const char *base = in->sources.base;
	size_t base_len = base[1] ? strlen(base) : 0;
	size_t len = base_len + 1 + (name ? strlen(name) + 1 : 0);
	char *text, *at;

	for (const struct dir *up = d; up && up->parent; up = up->parent)
		len += strlen(up->name) + 1;
	text = malloc(len + 1);
	if (!text)
		return NULL;

	/* Written from its end, since only parents are known. */
	at = text + len;
	*at = 0;
	if (name) {
		at -= strlen(name);
		memcpy(at, name, strlen(name));
		*--at = '/';
	}
	for (const struct dir *up = d; up && up->parent; up = up->parent) {
		at -= strlen(up->name);
		memcpy(at, up->name, strlen(up->name));
		*--at = '/';
	}
	at -= base_len;
	memcpy(at, base, base_len);
	return *at ? memmove(text, at, strlen(at) + 1) : strcpy(text, "/");
}

void ingest_fault(struct worker *w, const struct dir *d, const char *name,
    const char *fmt, ...)
{
	char *path = path_text(w->in, d, name);
	char words[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	cli_error(w->in->cli, "%s: %s", path ? path : name ? name : "?", words);
	free(path);
	w->counts.faults++;
}

void ingest_note(const struct worker *w, const struct dir *d,
    const char *name, const char *words)
{
	char *path = path_text(w->in, d, name);

	cli_warn(w->in->cli, "%s: %s", path ? path : name ? name : "?", words);
	free(path);
}

int ingest_check(const struct worker *w, struct err *err)
{
	if (cli_stopped() || jobs_failed(w->in->jobs))
		return err_set(err, ERR_STOPPED, "stopped; nothing committed");
	return 0;
}

void ingest_tell(struct worker *w)
{
	uint64_t files = w->counts.files - w->told_files;
	uint64_t bytes = 0;

	if (w->counts.bytes > w->told_bytes)
		bytes = w->counts.bytes - w->told_bytes;
	if (files || bytes)
		progress_add(w->in->progress, files, bytes);
	w->told_files += files;
	w->told_bytes += bytes;
}

void ingest_tell_bytes(struct worker *w, uint64_t bytes)
{
	progress_add(w->in->progress, 0, bytes);
	w->told_bytes += bytes;
}

/* ---- Batches ---- */

static struct batch *spare_take(struct ingest *in)
{
	struct batch *b;

	/* There is one for each place a batch can be in, so one is spare. */
	pthread_mutex_lock(&in->spare_lock);
	b = in->spare[--in->n_spare];
	pthread_mutex_unlock(&in->spare_lock);
	return b;
}

static void spare_put(struct ingest *in, struct batch *b)
{
	batch_reset(b);
	pthread_mutex_lock(&in->spare_lock);
	in->spare[in->n_spare++] = b;
	pthread_mutex_unlock(&in->spare_lock);
}

static int compress(struct worker *w, const struct batch *b, struct err *err)
{
	if (b->n_chunks == 0)
		return 0;
	return writer_put_batch(w->in->writer, PACK_DATA, w->codec, b, err);
}

/* Hands the full batch on, or does it here when the others are busy. */
static int batch_full(struct worker *w, struct err *err)
{
	int rc;

	if (jobs_rush(w->in->jobs, w->batch)) {
		w->batch = spare_take(w->in);
		return 0;
	}
	rc = compress(w, w->batch, err);
	batch_reset(w->batch);
	return rc;
}

int ingest_chunk(struct worker *w, const uint8_t *data, size_t len,
    struct id *out, struct err *err)
{
	bool is_new;

	if (id_hash(w->hasher, ID_DATA, data, len, out, err) ||
	    writer_claim(w->in->writer, out, &is_new, err))
		return err->code;
	if (!is_new)
		return 0;
	if (!batch_fits(w->batch, len) && batch_full(w, err))
		return err->code;
	return batch_add(w->batch, ID_DATA, out, data, len, err);
}

/* ---- The threads ---- */

static int work_one(struct worker *w, const struct jobs_item *item,
    struct err *err)
{
	struct ingest *in = w->in;
	struct dir *d;
	int rc;

	if (item->rush) {
		rc = compress(w, item->rush, err);
		spare_put(in, item->rush);
		return rc;
	}
	if (item->job == &in->start)
		return ingest_dir_run(w, in->top, err);
	/* The job is the first member of its directory. */
	d = (struct dir *)item->job;
	return ingest_dir_part(w, d, item->part, err);
}

static void work(void *ctx, unsigned worker)
{
	struct ingest *in = ctx;
	struct worker *w = &in->workers[worker];
	struct jobs_item item = { .held = false };
	struct err err;

	while (jobs_take(in->jobs, &item))
		if (work_one(w, &item, &err))
			jobs_fail(in->jobs, &err);
	if (!jobs_failed(in->jobs) && compress(w, w->batch, &err))
		jobs_fail(in->jobs, &err);
}

static int worker_init(struct ingest *in, struct worker *w, struct err *err)
{
	const struct config *c = in->config;
	const struct chunk_sink *sink = writer_sink(in->writer);

	w->in = in;
	owners_init(&w->owners);
	walk_list_init(&w->list);
	w->batch = spare_take(in);
	w->small = malloc((size_t)c->chunk_max + 1);
	if (!w->small)
		return err_set(err, ERR_NOMEM, "worker");
	if (id_hasher_new(&w->hasher, &c->key, err) ||
	    block_codec_new(&w->codec, c->zstd_level, err) ||
	    rope_writer_new(&w->rope, &c->pages, sink, err) ||
	    tree_writer_new(&w->tree, &c->pages, sink, err) ||
	    xattr_capture_new(&w->xattrs, c, sink, err))
		return err->code;
	return 0;
}

static void worker_fini(struct worker *w)
{
	xattr_capture_free(w->xattrs);
	tree_writer_free(w->tree);
	rope_writer_free(w->rope);
	block_codec_free(w->codec);
	id_hasher_free(w->hasher);
	stream_free(w->stream);
	walk_list_fini(&w->list);
	owners_fini(&w->owners);
	free(w->small);
}

/* ---- Beginning ---- */

static unsigned threads_default(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < THREADS_DEFAULT_MIN)
		return THREADS_DEFAULT_MIN;
	return n > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX : (unsigned)n;
}

/* How many directories may stay open; asks for all the system grants. */
static unsigned fds_budget(unsigned n_threads)
{
	rlim_t reserved = FDS_RESERVED + 4 * (rlim_t)n_threads;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return FDS_LEAST;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = before;
	}
	if (limit.rlim_cur < reserved + FDS_LEAST)
		return FDS_LEAST;
	return limit.rlim_cur - reserved > FDS_MOST
	           ? FDS_MOST
	           : (unsigned)(limit.rlim_cur - reserved);
}

static int batches_init(struct ingest *in, struct err *err)
{
	in->n_batches = (QUEUE_PER_THREAD + 2) * in->n_workers;
	in->batches = calloc(in->n_batches, sizeof(*in->batches));
	in->spare = calloc(in->n_batches, sizeof(struct batch *));
	if (!in->batches || !in->spare)
		return err_set(err, ERR_NOMEM, "batches");
	for (unsigned i = 0; i < in->n_batches; i++) {
		if (batch_init(&in->batches[i], in->config->block_max, err))
			return err->code;
		in->spare[in->n_spare++] = &in->batches[i];
	}
	return 0;
}

/* The store and its index would be read while they are written. */
static void skip_add(struct ingest *in, const char *path)
{
	if (path && stat(path, &in->skip[in->n_skip]) == 0)
		in->n_skip++;
}

static int ingest_init(struct ingest *in, const char *resource,
    struct err *err)
{
	const struct writer_options options = {
		.no_read_back = in->options->no_read_back,
	};
	int rc;

	skip_add(in, store_path(in->store));
	skip_add(in, in->cli->index_dir);
	in->fds_max = fds_budget(in->n_workers);
	rc = sources_open(&in->sources, in->options->paths,
	    in->options->n_paths, err);
	if (!rc)
		rc = writer_begin(&in->writer, in->store, resource, &options,
		    err);
	if (!rc)
		rc = jobs_new(&in->jobs, QUEUE_PER_THREAD * in->n_workers,
		    err);
	if (!rc)
		rc = links_known_new(&in->links, err);
	if (!rc)
		rc = batches_init(in, err);
	if (rc)
		return rc;

	in->workers = calloc(in->n_workers, sizeof(*in->workers));
	if (!in->workers)
		return err_set(err, ERR_NOMEM, "threads");
	for (unsigned i = 0; i < in->n_workers && !rc; i++)
		rc = worker_init(in, &in->workers[i], err);
	return rc ? rc : ingest_dir_top(in, err);
}

static void ingest_fini(struct ingest *in)
{
	for (unsigned i = 0; in->workers && i < in->n_workers; i++)
		worker_fini(&in->workers[i]);
	free(in->workers);
	ingest_dirs_free(in);
	for (unsigned i = 0; in->batches && i < in->n_batches; i++)
		batch_fini(&in->batches[i]);
	free(in->batches);
	free(in->spare);
	links_known_free(in->links);
	jobs_free(in->jobs);
	writer_end(in->writer);
	sources_close(&in->sources);
	devices_fini(&in->devices);
	pthread_mutex_destroy(&in->dirs_lock);
	pthread_mutex_destroy(&in->spare_lock);
}

/* ---- Ending ---- */

static void totals(const struct ingest *in, struct owners *owners,
    struct ingest_report *out)
{
	for (unsigned i = 0; i < in->n_workers; i++) {
		const struct worker *w = &in->workers[i];

		owners_merge(owners, &w->owners);
		out->n_files += w->counts.files;
		out->n_dirs += w->counts.dirs;
		out->n_other += w->counts.other;
		out->n_bytes += w->counts.bytes;
		out->n_new += w->counts.fresh;
		out->n_changed += w->counts.changed;
		out->n_unchanged += w->counts.unchanged;
		out->n_faults += w->counts.faults;
	}
}

static void top_complete(struct ingest *in, struct tree_entry *top)
{
	*top = in->top_entry;
	top->beneath = in->top_sub.beneath;
	top->subdirs = in->top_sub.subdirs;
	top->content = in->top_sub.id;
	if (!id_is_zero(&top->content))
		top->flags |= TREE_CHUNK;
}

static int commit(struct ingest *in, struct ingest_report *out,
    struct err *err)
{
	const struct chunk_sink *sink = writer_sink(in->writer);
	struct root draft = { .time_ns = out->time_ns };
	char host[256] = "";
	struct owners owners;
	int rc;

	owners_init(&owners);
	totals(in, &owners, out);
	top_complete(in, &draft.top);
	draft.utc_offset = out->utc_offset;
	draft.n_files = out->n_files;
	draft.n_dirs = out->n_dirs;
	draft.n_other = out->n_other;
	draft.n_bytes = out->n_bytes;
	draft.n_faults = out->n_faults;
	draft.zone = in->config->zone;
	draft.zone_len = strlen(draft.zone);
	draft.sources = in->sources.record.data;
	draft.sources_len = in->sources.record.len;
	if (!in->options->host && gethostname(host, sizeof(host) - 1) < 0)
		host[0] = 0;
	draft.host = in->options->host ? in->options->host : host;
	draft.host_len = strlen(draft.host);

	rc = links_found_put(&in->top_sub.links, in->config, sink,
	    &draft.links, err);
	if (!rc)
		rc = owners_put(&owners, in->config, sink, &draft.names, err);
	if (!rc && cli_stopped())
		rc = err_set(err, ERR_STOPPED, "stopped; nothing committed");
	if (!rc)
		rc = writer_commit(in->writer, &draft, &out->id, err);
	out->n_added = writer_added(in->writer);
	owners_fini(&owners);
	return rc;
}

static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* When the snapshot is of: now, or the past that was asked for. */
static int time_of(const struct ingest *in, struct ingest_report *out,
    struct err *err)
{
	int64_t now_ns = io_now_ns();
	int rc;

	out->time_ns = now_ns;
	if (in->options->time) {
		rc = date_read(in->config->zone, in->options->time,
		    &out->time_ns, err);
		if (rc)
			return err_wrap(err, "--time");
		/* It would stand before every later day's as the newest. */
		if (out->time_ns > now_ns)
			return err_set(err, ERR_INVALID,
			    "--time: %.64s has not come yet",
			    in->options->time);
	}
	return date_offset(in->config->zone, out->time_ns, &out->utc_offset,
	    err);
}

int ingest_paths(const struct cli *cli, struct store *store,
    const char *resource, const struct ingest_options *options,
    struct ingest_report *out, struct err *err)
{
	struct ingest in = {
		.cli = cli,
		.options = options,
		.store = store,
		.config = store_config(store),
		.source = store_source(store),
		.sources = { .fd = -1 },
	};
	int64_t began = clock_ns();
	int rc;

	memset(out, 0, sizeof(*out));
	in.n_workers = options->threads ? options->threads : threads_default();
	devices_init(&in.devices);
	pthread_mutex_init(&in.dirs_lock, NULL);
	pthread_mutex_init(&in.spare_lock, NULL);

	rc = time_of(&in, out, err);
	if (!rc)
		rc = ingest_init(&in, resource, err);
	if (!rc)
		rc = progress_start(&in.progress, cli, "ingest", err);
	if (!rc) {
		jobs_push(in.jobs, &in.start, 1);
		rc = jobs_run(in.jobs, in.n_workers, work, &in, err);
	}
	progress_stop(in.progress);
	if (!rc)
		rc = commit(&in, out, err);
	ingest_fini(&in);
	out->duration_ns = clock_ns() - began;
	return rc;
}
