/*
 * ieri -- every day of your data, once; yesterday is a path.
 *
 * The whole command line in one table: dispatch, usage and help read it.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "chunker/err.h"
#include "tools/cli.h"
#include "tools/commands.h"

/* A reader that has seen enough and left, as head(1) does, is no failure. */
static bool reader_left(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&out, 1, 0) > 0 && (out.revents & POLLERR);
}

static int finish(const struct command *cmd, int status)
{
	bool failed = fflush(stdout) != 0 || ferror(stdout);

	if (failed && status == EXIT_DONE && !reader_left()) {
		fprintf(stderr, "ieri %s: standard output: write failed\n",
		    cmd->name);
		status = EXIT_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	const struct command *cmd;
	struct cli cli;
	struct err err;
	int status;

	cli_init(&cli);
	if (argc < 2)
		return cli_overview(stderr);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("ieri %s\n", IERI_VERSION);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cli_overview(stdout);
	if (strcmp(argv[1], "help") == 0) {
		if (argc < 3)
			return cli_overview(stdout);
		cmd = command_find(argv[2]);
		if (cmd)
			return cli_help(cmd);
		fprintf(stderr, "ieri help: no command ");
		out_name(stderr, argv[2], strlen(argv[2]));
		fprintf(stderr, "; see ieri --help\n");
		return EXIT_USAGE;
	}

	cmd = command_find(argv[1]);
	if (!cmd) {
		fprintf(stderr, "ieri: no command ");
		out_name(stderr, argv[1], strlen(argv[1]));
		fprintf(stderr, "; see ieri --help\n");
		return EXIT_USAGE;
	}

	signal(SIGPIPE, SIG_IGN);
	cli.command = cmd;
	status = cmd->run(&cli, argc - 1, argv + 1, &err);
	if (status == EXIT_FAILED || status == EXIT_USAGE) {
		fprintf(stderr, "ieri %s: ", cmd->name);
		out_name(stderr, err.msg, strlen(err.msg));
		fputc('\n', stderr);
	}
	if (status == CLI_HELPED)
		status = EXIT_DONE;
	return finish(cmd, status);
}
