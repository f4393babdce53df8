#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "index/date.h"
#include "tools/cli.h"
#include "tools/ingest.h"

enum {
	OPT_NO_READ_BACK = 1000,
	OPT_NO_DELTA,
	OPT_HOST,
	OPT_THREADS,
	OPT_TIME,
};

static const struct option own[] = {
	{ "no-read-back", no_argument, NULL, OPT_NO_READ_BACK },
	{ "no-delta", no_argument, NULL, OPT_NO_DELTA },
	{ "host", required_argument, NULL, OPT_HOST },
	{ "one-file-system", no_argument, NULL, 'x' },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "time", required_argument, NULL, OPT_TIME },
	{ NULL, 0, NULL, 0 },
};

static int threads_parse(const char *text, unsigned *out, struct err *err)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || n < 1 ||
	    n > INGEST_THREADS_MAX)
		return err_set(err, ERR_INVALID,
		    "--threads %s: a number from 1 to %d is wanted", text,
		    INGEST_THREADS_MAX);
	*out = (unsigned)n;
	return 0;
}

static int host_parse(const char *text, const char **out, struct err *err)
{
	if (!*text || strlen(text) > 255)
		return err_set(err, ERR_INVALID,
		    "--host: a name of 1 to 255 bytes is wanted");
	*out = text;
	return 0;
}

/* 0 and optind at RESOURCE, or the status to end with. */
static int options_parse(struct cli *cli, int argc, char **argv,
    struct ingest_options *out, struct err *err)
{
	int rc = 0;
	int c;

	while (!rc && (c = cli_getopt(cli, argc, argv, "x", own, err)) != -1) {
		switch (c) {
		case OPT_NO_READ_BACK:
			out->no_read_back = true;
			break;
		case OPT_NO_DELTA:
			out->no_delta = true;
			break;
		case OPT_HOST:
			rc = host_parse(optarg, &out->host, err);
			break;
		case 'x':
			out->one_file_system = true;
			break;
		case OPT_THREADS:
			rc = threads_parse(optarg, &out->threads, err);
			break;
		case OPT_TIME:
			out->time = optarg;
			break;
		case CLI_OPT_HELP:
			return CLI_HELPED;
		default:
			return EXIT_USAGE;
		}
	}
	return rc ? EXIT_USAGE : EXIT_DONE;
}

static void report_json(const char *resource, const struct ingest_report *r)
{
	char hex[ID_HEX];
	char day[DATE_NAME_SIZE];
	struct json j;

	date_name(PERIOD_DAILY, r->time_ns, r->utc_offset, day);
	json_init(&j, stdout);
	json_object(&j, NULL);
	json_text(&j, "snapshot", id_hex(&r->id, hex));
	json_bytes(&j, "resource", resource, strlen(resource));
	json_text(&j, "daily", day);
	json_i64(&j, "time_ns", r->time_ns);
	json_i64(&j, "utc_offset", r->utc_offset);
	json_u64(&j, "files", r->n_files);
	json_u64(&j, "dirs", r->n_dirs);
	json_u64(&j, "other", r->n_other);
	json_u64(&j, "bytes", r->n_bytes);
	json_u64(&j, "new", r->n_new);
	json_u64(&j, "changed", r->n_changed);
	json_u64(&j, "unchanged", r->n_unchanged);
	json_u64(&j, "added", r->n_added);
	json_u64(&j, "faults", r->n_faults);
	json_i64(&j, "duration_ns", r->duration_ns);
	json_end_object(&j);
}

static void report_text(const char *resource, const struct ingest_report *r)
{
	char hex[ID_HEX], bytes[SIZE_TEXT], added[SIZE_TEXT];
	char day[DATE_NAME_SIZE];

	date_name(PERIOD_DAILY, r->time_ns, r->utc_offset, day);
	printf("snapshot %s of ", id_hex(&r->id, hex));
	out_name(stdout, resource, strlen(resource));
	printf(", daily/%s\n", day);
	printf("%" PRIu64 " files, %" PRIu64 " directories, %" PRIu64
	       " other, %s\n",
	    r->n_files, r->n_dirs, r->n_other, size_text(r->n_bytes, bytes));
	printf("%" PRIu64 " new, %" PRIu64 " changed, %" PRIu64
	       " unchanged; %s added in %.1f s\n",
	    r->n_new, r->n_changed, r->n_unchanged,
	    size_text(r->n_added, added), (double)r->duration_ns * 1e-9);
	if (r->n_faults)
		printf("%" PRIu64 " faults, named on standard error\n",
		    r->n_faults);
}

static int report(const struct cli *cli, const char *resource,
    const struct ingest_report *r)
{
	if (cli->json)
		report_json(resource, r);
	else if (!cli->quiet)
		report_text(resource, r);
	return r->n_faults ? EXIT_PARTIAL : EXIT_DONE;
}

int cmd_ingest(struct cli *cli, int argc, char **argv, struct err *err)
{
	struct ingest_options options = { .n_paths = 0 };
	struct ingest_report result;
	struct store *store = NULL;
	const char *resource;
	int rc;

	rc = options_parse(cli, argc, argv, &options, err);
	if (rc)
		return rc;
	if (argc - optind < 2)
		return cli_usage(err, "RESOURCE and PATH are needed");
	resource = argv[optind];
	options.paths = (const char *const *)argv + optind + 1;
	options.n_paths = (size_t)(argc - optind - 1);

	rc = cli_open_store(cli, &store, err);
	if (!rc)
		rc = ingest_paths(cli, store, resource, &options, &result,
		    err);
	store_close(store);
	return rc ? cli_status(err) : report(cli, resource, &result);
}
