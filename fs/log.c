#include "fs/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "fs/fuse.h"

/* This many lines at once, then one a second. */
#define BURST 20

static bool to_stderr;
static bool with_debug;

static struct {
	pthread_mutex_t lock; /* guards all below */
	int64_t second;       /* when lines were last earned */
	unsigned left;
	unsigned long dropped;
	char library[256];
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .left = BURST };

static void put(const char *fmt, va_list args)
{
	char line[640];

	vsnprintf(line, sizeof(line), fmt, args);
	if (to_stderr)
		fprintf(stderr, "ieri mount: %s\n", line);
	else
		syslog(LOG_ERR, "%s", line);
}

void log_line(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put(fmt, args);
	va_end(args);
}

static bool take_line(unsigned long *dropped)
{
	struct timespec now;
	uint64_t earned;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&state.lock);
	earned = (uint64_t)(now.tv_sec - state.second);
	state.second = now.tv_sec;
	state.left = earned > BURST - state.left ?
	    BURST :
	    state.left + (unsigned)earned;
	ok = state.left > 0;
	*dropped = 0;
	if (ok) {
		state.left--;
		*dropped = state.dropped;
		state.dropped = 0;
	} else {
		state.dropped++;
	}
	pthread_mutex_unlock(&state.lock);
	return ok;
}

void log_failure(const char *op, unsigned long long ino, const struct err *err)
{
	unsigned long dropped;

	if (!take_line(&dropped))
		return;
	if (dropped)
		log_line("%lu lines like the next left out", dropped);
	log_line("%s of inode %llu: %s", op, ino, err->msg);
}

static void library_log(enum fuse_log_level level, const char *fmt,
    va_list args)
{
	size_t len;

	if (level == FUSE_LOG_DEBUG || with_debug) {
		vfprintf(stderr, fmt, args);
		return;
	}
	pthread_mutex_lock(&state.lock);
	vsnprintf(state.library, sizeof(state.library), fmt, args);
	len = strcspn(state.library, "\n");
	state.library[len] = '\0';
	pthread_mutex_unlock(&state.lock);
}

const char *log_library_words(void)
{
	static const char ours[] = "fuse: ";
	size_t skip = sizeof(ours) - 1;

	/* Our own line says whose words these are. */
	return strncmp(state.library, ours, skip) == 0 ? state.library + skip :
							 state.library;
}

void log_open(bool foreground, bool debug)
{
	to_stderr = foreground;
	with_debug = debug;
	if (!foreground)
		openlog("ieri-mount", LOG_PID, LOG_DAEMON);
	fuse_set_log_func(library_log);
}
