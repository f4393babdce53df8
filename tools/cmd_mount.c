#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chunker/buf.h"
#include "tools/cli.h"

enum {
	OPT_CACHE = 1000,
	OPT_ONLY,
};

static const struct option options[] = {
	{ "foreground", no_argument, NULL, 'f' },
	{ "debug", no_argument, NULL, 'd' },
	{ "options", required_argument, NULL, 'o' },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ NULL, 0, NULL, 0 },
};

/*
 * Where the mounting program is when it is not in PATH: beside this one as in
 * a build folder, or where it is installed.
 */
static const char *const places[] = { "", "../libexec/ieri/" };

/* The arguments for ieri-mount; text is from malloc. */
struct arguments {
	struct buf list; /* char * */
	bool oom;
};

static void add(struct arguments *a, const char *text)
{
	char *copy = strdup(text);

	if (copy)
		buf_put(&a->list, &copy, sizeof(copy));
	else
		a->oom = true;
}

static void arguments_fini(struct arguments *a)
{
	char **list = (char **)(void *)a->list.data;

	for (size_t i = 0; i < a->list.len / sizeof(char *); i++)
		free(list[i]);
	buf_fini(&a->list);
}

/* Returns only when it could not be run. */
static int run(struct arguments *a, struct err *err)
{
	char *end = NULL;
	char path[4096 + 64];
	char **argv;
	char *slash;
	ssize_t len;

	buf_put(&a->list, &end, sizeof(end));
	if (a->oom || a->list.oom)
		return err_set(err, ERR_NOMEM, "arguments");
	argv = (char **)(void *)a->list.data;

	len = readlink("/proc/self/exe", path, 4096);
	slash = len > 0 ? memrchr(path, '/', (size_t)len) : NULL;
	for (size_t i = 0; slash && i < 2; i++) {
		snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path),
		    "%sieri-mount", places[i]);
		execv(path, argv);
		if (errno != ENOENT)
			return err_sys(err, "%s", path);
	}
	execvp("ieri-mount", argv);
	if (errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND,
		    "the program ieri-mount is not installed");
	return err_sys(err, "ieri-mount");
}

static int parse(struct cli *cli, int argc, char **argv, struct arguments *a,
    struct err *err)
{
	int opt;

	while ((opt = cli_getopt(cli, argc, argv, "fdo:", options, err)) != -1)
		switch (opt) {
		case 'f':
			add(a, "-f");
			break;
		case 'd':
			add(a, "-d");
			break;
		case 'o':
			add(a, "-o");
			add(a, optarg);
			break;
		case OPT_CACHE:
			add(a, "--cache");
			add(a, optarg);
			break;
		case OPT_ONLY:
			add(a, "--only");
			add(a, optarg);
			break;
		case CLI_OPT_HELP:
			return CLI_HELPED;
		default:
			return EXIT_USAGE;
		}
	if (argc - optind != 1)
		return cli_usage(err, "one MOUNTPOINT, please; see --help");
	if (!cli->store_path)
		return cli_usage(err,
		    "no store named: give -s STORE or set IERI_STORE");
	if (cli->index_dir) {
		add(a, "--index");
		add(a, cli->index_dir);
	}

	/* Whatever they look like, these two are names and no options. */
	add(a, "--");
	add(a, cli->store_path);
	add(a, argv[optind]);
	return EXIT_DONE;
}

int cmd_mount(struct cli *cli, int argc, char **argv, struct err *err)
{
	struct arguments a = { .oom = false };
	int status;

	buf_init(&a.list);
	add(&a, "ieri-mount");
	status = parse(cli, argc, argv, &a, err);
	if (status == EXIT_DONE) {
		run(&a, err);
		status = EXIT_FAILED;
	}
	arguments_fini(&a);
	return status;
}
