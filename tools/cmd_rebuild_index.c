#include <inttypes.h>

#include "tools/cli.h"

struct shown {
	struct progress *progress;
	uint64_t done;
};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct shown *s = ctx;

	progress_total(s->progress, total, 0);
	progress_add(s->progress, done - s->done, 0);
	s->done = done;
}

static void print_report(const struct cli *cli,
    const struct rebuild_report *r)
{
	struct json j;

	if (cli->json) {
		json_init(&j, stdout);
		json_object(&j, NULL);
		json_u64(&j, "packs", r->packs);
		json_u64(&j, "packs_scanned", r->packs_scanned);
		json_u64(&j, "packs_lost", r->packs_lost);
		json_u64(&j, "snapshots", r->snapshots);
		json_u64(&j, "snapshots_damaged", r->snapshots_damaged);
		json_u64(&j, "chunks", r->chunks);
		json_end_object(&j);
		return;
	}
	if (cli->quiet)
		return;
	printf("%" PRIu64 " packs, %" PRIu64 " chunks, %" PRIu64
	    " snapshots\n", r->packs, r->chunks, r->snapshots);
	if (r->packs_scanned)
		printf("%" PRIu64 " packs had lost their table and were read"
		    " block by block\n", r->packs_scanned);
}

int cmd_rebuild_index(struct cli *cli, int argc, char **argv,
    struct err *err)
{
	struct store_options options = { 0 };
	struct rebuild_report report = { 0 };
	struct shown shown = { 0 };
	int opt;
	int rc;

	while ((opt = cli_getopt(cli, argc, argv, "", NULL, err)) != -1)
		return opt == CLI_OPT_HELP ? CLI_HELPED : EXIT_USAGE;
	if (argc > optind)
		return cli_usage(err, "unexpected argument %s; see --help",
		    argv[optind]);
	if (!cli->store_path)
		return cli_usage(err,
		    "no store named: give -s STORE or set IERI_STORE");

	rc = progress_start(&shown.progress, cli, "packs read:", err);
	if (rc)
		return EXIT_FAILED;
	options.index_dir = cli->index_dir;
	rc = store_rebuild(cli->store_path, &options, on_progress, &shown,
	    &report, err);
	progress_stop(shown.progress);
	if (rc)
		return cli_status(err);

	print_report(cli, &report);
	if (report.packs_lost)
		cli_error(cli, "%" PRIu64 " packs could not be read and were"
		    " left alone", report.packs_lost);
	if (report.snapshots_damaged)
		cli_error(cli, "%" PRIu64 " snapshots need something that is"
		    " gone", report.snapshots_damaged);
	return report.packs_lost || report.snapshots_damaged ? EXIT_PARTIAL :
	    EXIT_DONE;
}
