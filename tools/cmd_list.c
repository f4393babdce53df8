#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "index/date.h"
#include "index/snapshot.h"
#include "tools/cli.h"

/* ---- All resources ---- */

static const char *const states[] = {
	[RESOURCE_LIVE] = "live",
	[RESOURCE_RETIRED] = "retired",
	[RESOURCE_HELD] = "held",
};

/* The newest of a list that is sorted by time; its id and dates. */
static void resource_json(struct json *j, const struct resource_row *r,
    const struct snapshot_row *rows, size_t n)
{
	char date[DATE_NAME_SIZE];
	char hex[ID_HEX];

	json_object(j, NULL);
	json_bytes(j, "resource", r->name, strlen(r->name));
	json_text(j, "state", states[r->state]);
	json_u64(j, "snapshots", n);
	if (n) {
		const struct snapshot_row *last = &rows[n - 1];

		date_full(last->time_ns, last->utc_offset, date);
		json_text(j, "newest", date);
		json_i64(j, "newest_ns", last->time_ns);
		json_text(j, "newest_id", id_hex(&last->id, hex));
	} else {
		json_null(j, "newest");
	}
	json_end_object(j);
}

/* Aligned by the bytes printed; wide characters may shift a line. */
static void resource_line(const struct resource_row *r,
    const struct snapshot_row *rows, size_t n, int width)
{
	char date[DATE_NAME_SIZE] = "-";
	int pad = width - (int)strlen(r->name);

	if (n)
		date_full(rows[n - 1].time_ns, rows[n - 1].utc_offset, date);
	out_name(stdout, r->name, strlen(r->name));
	printf("%*s  %9zu  %-26s%s\n", pad > 0 ? pad : 0, "", n, date,
	    r->state == RESOURCE_LIVE ? "" : states[r->state]);
}

static int list_resources(struct cli *cli, struct store *store,
    struct err *err)
{
	struct resource_row *rows = NULL;
	struct json j;
	size_t n = 0;
	int width = 8;
	int rc;

	rc = resource_list(store, &rows, &n, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (strlen(rows[i].name) > (size_t)width &&
		    strlen(rows[i].name) < 60)
			width = (int)strlen(rows[i].name);

	json_init(&j, stdout);
	if (cli->json) {
		json_object(&j, NULL);
		json_array(&j, "resources");
	} else if (n) {
		printf("%-*s  %9s  %s\n", width, "RESOURCE", "SNAPSHOTS",
		    "NEWEST");
	} else {
		cli_warn(cli, "the store is empty");
	}
	for (size_t i = 0; i < n && !rc; i++) {
		struct snapshot_row *snaps = NULL;
		size_t n_snaps = 0;

		rc = snapshot_list(store, rows[i].no, &snaps, &n_snaps, err);
		if (!rc && cli->json)
			resource_json(&j, &rows[i], snaps, n_snaps);
		else if (!rc)
			resource_line(&rows[i], snaps, n_snaps, width);
		free(snaps);
	}
	if (!rc && cli->json) {
		json_end_array(&j);
		json_end_object(&j);
	}
	db_resources_free(rows, n);
	return rc;
}

/* ---- The snapshots of one ---- */

static void snapshot_json(struct json *j, const struct snapshot_row *row)
{
	char date[DATE_NAME_SIZE];
	char hex[ID_HEX];

	date_full(row->time_ns, row->utc_offset, date);
	json_object(j, NULL);
	json_text(j, "id", id_hex(&row->id, hex));
	json_text(j, "time", date);
	json_i64(j, "time_ns", row->time_ns);
	json_i64(j, "end_ns", row->end_ns);
	json_i64(j, "utc_offset", row->utc_offset);
	json_u64(j, "files", row->n_files);
	json_u64(j, "dirs", row->n_dirs);
	json_u64(j, "other", row->n_other);
	json_u64(j, "bytes", row->n_bytes);
	json_u64(j, "added", row->n_added);
	json_u64(j, "faults", row->n_faults);
	json_end_object(j);
}

static void snapshot_line(const struct snapshot_row *row)
{
	char date[DATE_NAME_SIZE];
	char bytes[SIZE_TEXT], added[SIZE_TEXT];
	char hex[ID_HEX];

	date_full(row->time_ns, row->utc_offset, date);
	printf("%-26s  %.12s  %9" PRIu64 "  %9s  %9s  %6" PRIu64 "\n", date,
	    id_hex(&row->id, hex), row->n_files, size_text(row->n_bytes, bytes),
	    size_text(row->n_added, added), row->n_faults);
}

static int list_snapshots(struct cli *cli, struct store *store,
    const char *name, struct err *err)
{
	struct resource_row resource = { 0 };
	struct snapshot_row *rows = NULL;
	struct json j;
	size_t n = 0;
	int rc;

	rc = resource_find(store, name, &resource, err);
	if (rc)
		return rc;
	rc = snapshot_list(store, resource.no, &rows, &n, err);
	if (rc)
		goto out;

	json_init(&j, stdout);
	if (cli->json) {
		json_object(&j, NULL);
		json_bytes(&j, "resource", resource.name,
		    strlen(resource.name));
		json_array(&j, "snapshots");
	} else if (n) {
		printf("%-26s  %-12s  %9s  %9s  %9s  %6s\n", "TIME", "ID",
		    "FILES", "BYTES", "ADDED", "FAULTS");
	}
	for (size_t i = 0; i < n; i++)
		if (cli->json)
			snapshot_json(&j, &rows[i]);
		else
			snapshot_line(&rows[i]);
	if (cli->json) {
		json_end_array(&j);
		json_end_object(&j);
	}

out:
	free(rows);
	free(resource.name);
	return rc;
}

int cmd_list(struct cli *cli, int argc, char **argv, struct err *err)
{
	struct store *store = NULL;
	int opt;
	int rc;

	while ((opt = cli_getopt(cli, argc, argv, "", NULL, err)) != -1)
		return opt == CLI_OPT_HELP ? CLI_HELPED : EXIT_USAGE;
	if (argc - optind > 1)
		return cli_usage(err, "one RESOURCE at most; see --help");

	rc = cli_open_store(cli, &store, err);
	if (!rc && optind < argc)
		rc = list_snapshots(cli, store, argv[optind], err);
	else if (!rc)
		rc = list_resources(cli, store, err);
	store_close(store);
	return rc ? cli_status(err) : EXIT_DONE;
}
