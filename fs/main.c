/*
 * ieri-mount -- the program behind `ieri mount` and mount(8).
 *
 * In the background a child serves, and the parent waits at a pipe until the
 * mount answers or the child has said why it does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/log.h"
#include "fs/options.h"
#include "fs/serve.h"

enum {
	STATUS_DONE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
};

static int complain(const struct options *o, const struct err *err)
{
	if (o->mountpoint)
		fprintf(stderr, "ieri mount: %s: %s\n", o->mountpoint,
		    err->msg);
	else
		fprintf(stderr, "ieri mount: %s\n", err->msg);
	return STATUS_FAILED;
}

/* Lets go of the terminal and of the directory it was called in. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Without them the mount is as good: it only pins what it was given. */
	if (null >= 0) {
		(void)dup2(null, 0);
		(void)dup2(null, 1);
		(void)dup2(null, 2);
		if (null > 2)
			close(null);
	}
	(void)!chdir("/");
}

static void ready_foreground(void *ctx)
{
	(void)ctx;
	(void)!chdir("/");
}

/* ctx is the pipe to the parent. */
static void ready_background(void *ctx)
{
	int *to_parent = ctx;
	char ok = 1;

	(void)!write(*to_parent, &ok, 1);
	close(*to_parent);
	*to_parent = -1;
	leave_terminal();
}

static int child(const struct options *o, int to_parent)
{
	struct err err;
	int rc;

	setsid();
	rc = serve_run(o, ready_background, &to_parent, &err);
	if (!rc)
		return STATUS_DONE;
	if (to_parent >= 0)
		return complain(o, &err);
	log_line("%s: %s", o->mountpoint, err.msg);
	return STATUS_FAILED;
}

/*
 * The child says a byte when all is well.  Otherwise it has said why not
 * itself, on the standard error that both share, unless it was killed.
 */
static int parent(const struct options *o, int from_child, pid_t pid)
{
	struct err err;
	ssize_t got;
	int status;
	char ok;

	do
		got = read(from_child, &ok, 1);
	while (got < 0 && errno == EINTR);
	if (got == 1)
		return STATUS_DONE;
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		return WEXITSTATUS(status);
	err_set(&err, ERR_SYSTEM, "the mount died before it answered");
	return complain(o, &err);
}

static int background(const struct options *o)
{
	struct err err;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		err_sys(&err, "pipe");
		return complain(o, &err);
	}
	pid = fork();
	if (pid < 0) {
		err_sys(&err, "fork");
		return complain(o, &err);
	}
	if (pid == 0) {
		close(ends[0]);
		return child(o, ends[1]);
	}
	close(ends[1]);
	return parent(o, ends[0], pid);
}

static int foreground(const struct options *o)
{
	struct err err;

	return serve_run(o, ready_foreground, NULL, &err) ? complain(o, &err) :
							    STATUS_DONE;
}

/* libfuse and SQLite open files too: 0, 1 and 2 must not become theirs. */
static void occupy_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static int run(const struct options *o)
{
	if (o->help) {
		fputs(options_help, stdout);
		return STATUS_DONE;
	}
	if (o->version) {
		puts("ieri-mount " IERI_VERSION);
		return STATUS_DONE;
	}
	if (o->rehearse)
		return STATUS_DONE;
	log_open(o->foreground, o->debug);
	return o->foreground ? foreground(o) : background(o);
}

int main(int argc, char **argv)
{
	struct options options;
	struct err err;
	int status;

	occupy_standard_files();
	signal(SIGPIPE, SIG_IGN);
	/* An arena for each thread would keep that much more memory unused. */
	mallopt(M_ARENA_MAX, 2);

	if (options_parse(&options, argc, argv, &err)) {
		complain(&options, &err);
		status = STATUS_USAGE;
	} else {
		status = run(&options);
	}
	options_fini(&options);
	return status;
}
