#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "index/date.h"
#include "tools/cli.h"
#include "tools/place.h"
#include "tools/restore.h"

enum {
	OPT_CONFLICT = 1000,
	OPT_NUMERIC,
	OPT_NO_OWNER,
	OPT_SYNC,
	OPT_THREADS,
};

static const struct option options[] = {
	{ "conflict", required_argument, NULL, OPT_CONFLICT },
	{ "numeric-ids", no_argument, NULL, OPT_NUMERIC },
	{ "no-owner", no_argument, NULL, OPT_NO_OWNER },
	{ "sync", no_argument, NULL, OPT_SYNC },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ NULL, 0, NULL, 0 },
};

static int parse_threads(const char *text, unsigned *out, struct err *err)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || *text == '-' || n < 1 || n > 64)
		return cli_usage(err, "--threads=%s: a number from 1 to 64",
		    text);
	*out = (unsigned)n;
	return EXIT_DONE;
}

static int parse_conflict(const char *text, bool *replace, struct err *err)
{
	*replace = strcmp(text, "replace") == 0;
	if (!*replace && strcmp(text, "keep") != 0)
		return cli_usage(err, "--conflict=%s: it is keep or replace",
		    text);
	return EXIT_DONE;
}

static int parse(struct cli *cli, int argc, char **argv,
    struct restore_options *o, struct err *err)
{
	int status = EXIT_DONE;
	int opt;

	while (status == EXIT_DONE &&
	    (opt = cli_getopt(cli, argc, argv, "", options, err)) != -1)
		switch (opt) {
		case OPT_CONFLICT:
			status = parse_conflict(optarg, &o->replace, err);
			break;
		case OPT_NUMERIC:
			o->numeric_ids = true;
			break;
		case OPT_NO_OWNER:
			o->no_owner = true;
			break;
		case OPT_SYNC:
			o->sync = true;
			break;
		case OPT_THREADS:
			status = parse_threads(optarg, &o->threads, err);
			break;
		case CLI_OPT_HELP:
			return CLI_HELPED;
		default:
			return EXIT_USAGE;
		}
	if (status == EXIT_DONE && argc - optind != 2)
		return cli_usage(err, "one REF and one DEST, please; see"
		    " --help");
	return status;
}

static void print_json(const struct place *what, const char *dest,
    const struct restore_report *r, double secs)
{
	const struct root *root = &what->snap->root;
	char date[DATE_NAME_SIZE];
	char hex[ID_HEX];
	struct json j;

	date_full(root->time_ns, root->utc_offset, date);
	json_init(&j, stdout);
	json_object(&j, NULL);
	json_bytes(&j, "resource", root->resource, root->resource_len);
	json_text(&j, "snapshot", id_hex(&root->id, hex));
	json_text(&j, "time", date);
	json_i64(&j, "time_ns", root->time_ns);
	json_bytes(&j, "path", what->ref.path, what->ref.path_len);
	json_bytes(&j, "dest", dest, strlen(dest));
	json_u64(&j, "files", r->files);
	json_u64(&j, "dirs", r->dirs);
	json_u64(&j, "others", r->others);
	json_u64(&j, "links", r->links);
	json_u64(&j, "bytes", r->bytes);
	json_u64(&j, "kept", r->kept);
	json_u64(&j, "failed", r->failed);
	json_u64(&j, "unset", r->unset);
	json_u64(&j, "elapsed_ms", (uint64_t)(secs * 1000));
	json_end_object(&j);
}

static void print_words(const struct place *what, const char *dest,
    const struct restore_report *r, double secs)
{
	const struct root *root = &what->snap->root;
	char date[DATE_NAME_SIZE];
	char size[SIZE_TEXT];
	char hex[ID_HEX];

	date_full(root->time_ns, root->utc_offset, date);
	fputs("restored ", stdout);
	out_name(stdout, root->resource, root->resource_len);
	if (what->ref.path_len) {
		fputs(":/", stdout);
		out_name(stdout, what->ref.path, what->ref.path_len);
	}
	printf(" of %s (%.12s) to ", date, id_hex(&root->id, hex));
	out_name(stdout, dest, strlen(dest));
	printf("\n%" PRIu64 " files, %" PRIu64 " directories, %" PRIu64
	    " others, %" PRIu64 " further links, %s in %.1f s\n", r->files,
	    r->dirs, r->others, r->links, size_text(r->bytes, size), secs);
	if (r->kept)
		printf("%" PRIu64 " were there already and were kept\n",
		    r->kept);
	if (r->failed)
		printf("%" PRIu64 " could not be restored\n", r->failed);
}

static int run(struct cli *cli, struct store *store, struct place *what,
    char **argv, const struct restore_options *o, struct err *err)
{
	struct timespec begin, end;
	struct restore_report report;
	double secs;

	if (place_init(what, store, argv[0], err))
		return cli_status(err);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (restore_run(cli, what, argv[1], o, &report, err))
		return cli_status(err);
	clock_gettime(CLOCK_MONOTONIC, &end);
	secs = (double)(end.tv_sec - begin.tv_sec) +
	    (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;

	if (cli->json)
		print_json(what, argv[1], &report, secs);
	else if (!cli->quiet)
		print_words(what, argv[1], &report, secs);
	return report.failed || report.unset ? EXIT_PARTIAL : EXIT_DONE;
}

int cmd_restore(struct cli *cli, int argc, char **argv, struct err *err)
{
	struct restore_options o = { .replace = false };
	struct store *store = NULL;
	struct place what = { .store = NULL };
	int status;

	status = parse(cli, argc, argv, &o, err);
	if (status != EXIT_DONE)
		return status;
	status = cli_open_store(cli, &store, err) ? cli_status(err) :
	    run(cli, store, &what, argv + optind, &o, err);
	place_fini(&what);
	store_close(store);
	return status;
}
