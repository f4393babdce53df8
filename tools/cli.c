#include "tools/cli.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands.h"

#define OWN_MAX 32

enum {
	OPT_INDEX = 900,
	OPT_JSON,
	OPT_PROGRESS,
};

static const struct option shared[] = {
	{ "store", required_argument, NULL, 's' },
	{ "index", required_argument, NULL, OPT_INDEX },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "progress", required_argument, NULL, OPT_PROGRESS },
	{ "help", no_argument, NULL, CLI_OPT_HELP },
};

#define N_SHARED (sizeof(shared) / sizeof(shared[0]))

/* Set by the signal handler, read by cli_stopped: the one thing they share. */
static atomic_bool stopped;

static void on_stop(int sig)
{
	(void)sig;
	atomic_store(&stopped, true);
}

bool cli_stopped(void)
{
	return atomic_load_explicit(&stopped, memory_order_relaxed);
}

void cli_init(struct cli *cli)
{
	struct sigaction sa = { .sa_handler = on_stop };

	memset(cli, 0, sizeof(*cli));
	cli->store_path = getenv("IERI_STORE");
	if (cli->store_path && !cli->store_path[0])
		cli->store_path = NULL;

	/* A second signal ends us at once, as people expect. */
	sa.sa_flags = (int)SA_RESETHAND;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static int set_progress(struct cli *cli, const char *text, struct err *err)
{
	static const char *const modes[] = { "auto", "always", "never" };

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(text, modes[i]) == 0) {
			cli->progress = (enum progress_mode)i;
			return 0;
		}
	return err_set(err, ERR_INVALID,
	    "--progress=%s: it is auto, always or never", text);
}

/* True when opt was one of the shared options; *rc then tells how it went. */
static bool take_shared(struct cli *cli, int opt, int *rc, struct err *err)
{
	*rc = 0;
	switch (opt) {
	case 's':
		cli->store_path = optarg;
		return true;
	case 'q':
		cli->quiet = true;
		return true;
	case 'v':
		cli->verbose++;
		return true;
	case OPT_INDEX:
		cli->index_dir = optarg;
		return true;
	case OPT_JSON:
		cli->json = true;
		return true;
	case OPT_PROGRESS:
		*rc = set_progress(cli, optarg, err);
		return true;
	default:
		return false;
	}
}

static int bad_option(int argc, char **argv, int opt, struct err *err)
{
	const char *arg = optind > 0 && optind <= argc ? argv[optind - 1] : "";

	if (opt == ':') {
		if (optopt > 0 && optopt < 128)
			err_set(err, ERR_INVALID,
			    "option -%c needs an argument; see --help", optopt);
		else
			err_set(err, ERR_INVALID,
			    "option %s needs an argument; see --help", arg);
	} else if (optopt > 0 && optopt < 128) {
		err_set(err, ERR_INVALID, "unknown option -%c; see --help",
		    optopt);
	} else if (optopt) {
		err_set(err, ERR_INVALID,
		    "option %s takes no argument; see --help", arg);
	} else {
		err_set(err, ERR_INVALID, "unknown option %s; see --help", arg);
	}
	return '?';
}

int cli_getopt(struct cli *cli, int argc, char **argv, const char *own_short,
    const struct option *own, struct err *err)
{
	struct option all[N_SHARED + OWN_MAX + 1];
	char letters[64];
	size_t n = N_SHARED;

	memset(all, 0, sizeof(all));
	memcpy(all, shared, sizeof(shared));
	for (; own && own->name && n < N_SHARED + OWN_MAX; own++)
		all[n++] = *own;
	snprintf(letters, sizeof(letters), ":s:qv%s", own_short);

	opterr = 0;
	for (;;) {
		int opt = getopt_long(argc, argv, letters, all, NULL);
		int rc;

		if (opt == -1)
			return -1;
		if (opt == CLI_OPT_HELP) {
			cli_help(cli->command);
			return CLI_OPT_HELP;
		}
		if (opt == '?' || opt == ':')
			return bad_option(argc, argv, opt, err);
		if (!take_shared(cli, opt, &rc, err))
			return opt;
		if (rc)
			return '?';
	}
}

int cli_usage(struct err *err, const char *fmt, ...)
{
	char words[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	err_set(err, ERR_INVALID, "%s", words);
	return EXIT_USAGE;
}

int cli_status(const struct err *err)
{
	return err->code == ERR_INVALID ? EXIT_USAGE : EXIT_FAILED;
}

int cli_open_store(struct cli *cli, struct store **out, struct err *err)
{
	struct store_options options = { .index_dir = cli->index_dir };

	if (!cli->store_path)
		return err_set(err, ERR_INVALID,
		    "no store named: give -s STORE or set IERI_STORE");
	return store_open(out, cli->store_path, &options, err);
}

static void say(const struct cli *cli, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void say(const struct cli *cli, const char *fmt, va_list ap)
{
	char words[1200];

	vsnprintf(words, sizeof(words), fmt, ap);

	/* One line is one write: threads do not mix their words. */
	flockfile(stderr);
	if (cli->progress != PROGRESS_NEVER && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	fputs("ieri: ", stderr);
	out_name(stderr, words, strlen(words));
	fputc('\n', stderr);
	funlockfile(stderr);
}

void cli_warn(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->quiet)
		return;
	va_start(ap, fmt);
	say(cli, fmt, ap);
	va_end(ap);
}

void cli_error(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(cli, fmt, ap);
	va_end(ap);
}
