/*
 * cli -- what all commands of `ieri` share: options, words out, exit status.
 *
 * Results go to standard output, words for people to standard error.  Every
 * command takes -s STORE (or IERI_STORE), --index DIR, --json, -q, -v,
 * --progress=auto|always|never and --help, before or after its own options.
 *
 * A command is a function in tools/cmd_NAME.c and a line in tools/commands.c.
 *
 * Threads: cli_warn, cli_stopped and progress_add may be called from any; the
 * rest from the main thread.
 */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "chunker/err.h"
#include "index/store.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* nothing committed */
	EXIT_USAGE = 2,
	EXIT_PARTIAL = 3, /* committed, but some things could not be read */
	CLI_HELPED = 100, /* --help was asked for and printed; main exits 0 */
};

enum progress_mode {
	PROGRESS_AUTO, /* when standard error is a terminal */
	PROGRESS_ALWAYS,
	PROGRESS_NEVER,
};

struct command;

struct cli {
	const struct command *command; /* the one that runs */
	const char *store_path; /* NULL until given */
	const char *index_dir;  /* NULL unless given */
	bool json;
	bool quiet;
	unsigned verbose;
	enum progress_mode progress;
};

/*
 * run gets the command's own arguments, argv[0] its name.  It returns an exit
 * status; on EXIT_FAILED and EXIT_USAGE it has filled err, and main prints it
 * once as "ieri NAME: words".
 */
struct command {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv, struct err *err);
	const char *args;
	const char *summary;
	const char *help; /* the rest of --help: what it does, its options */
};

int cmd_init(struct cli *cli, int argc, char **argv, struct err *err);
int cmd_ingest(struct cli *cli, int argc, char **argv, struct err *err);
int cmd_mount(struct cli *cli, int argc, char **argv, struct err *err);
int cmd_list(struct cli *cli, int argc, char **argv, struct err *err);
int cmd_ls(struct cli *cli, int argc, char **argv, struct err *err);
int cmd_cat(struct cli *cli, int argc, char **argv, struct err *err);
int cmd_restore(struct cli *cli, int argc, char **argv, struct err *err);
int cmd_rebuild_index(struct cli *cli, int argc, char **argv,
    struct err *err);

/* Fills in the defaults and IERI_STORE. */
void cli_init(struct cli *cli);

/*
 * getopt_long over the shared options and the command's own.  Shared options
 * are taken care of here.  Returns the command's option, -1 at the end,
 * CLI_OPT_HELP when --help was printed (the command returns CLI_HELPED), or '?'
 * after filling err (ERR_INVALID; the command returns EXIT_USAGE).  `own` ends
 * with a zero entry and may be NULL; its values must be 1000 or above for
 * options with no short form.  own_short is as getopt's, "" for none.
 */
#define CLI_OPT_HELP 999

int cli_getopt(struct cli *cli, int argc, char **argv, const char *own_short,
    const struct option *own, struct err *err);

/* EXIT_USAGE with a one-line error. */
int cli_usage(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The exit status a failure has: EXIT_USAGE for ERR_INVALID, else FAILED. */
int cli_status(const struct err *err);

/* Opens the store named by the options; words when none is named. */
int cli_open_store(struct cli *cli, struct store **out, struct err *err);

/* A line on standard error, "ieri: words", escaped for a terminal; not -q. */
void cli_warn(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, said with -q too: something was not done. */
void cli_error(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- Names of any bytes, safe on a terminal ---- */

/*
 * Writes bytes so that no terminal is driven by them: printable ASCII and
 * valid printable UTF-8 (no bidi controls) as they are, the rest as \n, \t,
 * \\ or \xHH.
 */
void out_name(FILE *to, const char *bytes, size_t len);

/* ---- JSON ---- */

/*
 * A small writer: begin, keys and values in order, end.  Commas are its
 * business.  Bytes that are not valid UTF-8 become U+DC80..U+DCFF escapes
 * (surrogateescape), so that a name survives a round trip through Python.
 */
struct json {
	FILE *to;
	unsigned depth;
	bool comma;
};

void json_init(struct json *j, FILE *to);
void json_object(struct json *j, const char *key); /* key NULL in arrays */
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_bytes(struct json *j, const char *key, const char *s, size_t len);
void json_text(struct json *j, const char *key, const char *s);
void json_u64(struct json *j, const char *key, uint64_t v);
void json_i64(struct json *j, const char *key, int64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);

/* Ends a line; closing the outermost bracket does it by itself. */
void json_newline(struct json *j);

/* ---- Progress ---- */

struct progress;

/*
 * Starts a line on standard error, renewed twice a second by a thread of its
 * own, as the options say; SIGUSR1 prints one in any case (as a line of JSON
 * with --json).  totals may be 0 when unknown.
 */
int progress_start(struct progress **out, const struct cli *cli,
    const char *verb, struct err *err);
void progress_total(struct progress *p, uint64_t files, uint64_t bytes);
void progress_add(struct progress *p, uint64_t files, uint64_t bytes);
void progress_stop(struct progress *p); /* accepts NULL; clears the line */

/* True once SIGINT or SIGTERM has come; long work looks at it now and then. */
bool cli_stopped(void);

/* 1234567 -> "1.2 MB"; returns buf. */
#define SIZE_TEXT 16
char *size_text(uint64_t bytes, char buf[SIZE_TEXT]);

#endif
