#include <string.h>

#include "tools/cli.h"

static const struct option options[] = {
	{ "timezone", required_argument, NULL, 1000 },
	{ NULL, 0, NULL, 0 },
};

int cmd_init(struct cli *cli, int argc, char **argv, struct err *err)
{
	const char *zone = NULL;
	const char *path;
	struct json j;
	int opt;

	while ((opt = cli_getopt(cli, argc, argv, "", options, err)) != -1) {
		if (opt == CLI_OPT_HELP)
			return CLI_HELPED;
		if (opt != 1000)
			return EXIT_USAGE;
		zone = optarg;
	}
	if (argc - optind > 1)
		return cli_usage(err, "one STORE, please; see --help");
	path = optind < argc ? argv[optind] : cli->store_path;
	if (!path)
		return cli_usage(err, "no STORE named; see --help");
	if (store_init(path, zone, err))
		return cli_status(err);

	if (cli->json) {
		json_init(&j, stdout);
		json_object(&j, NULL);
		json_text(&j, "store", path);
		json_end_object(&j);
	} else if (!cli->quiet) {
		printf("made an empty store in ");
		out_name(stdout, path, strlen(path));
		putchar('\n');
	}
	return EXIT_DONE;
}
