#include "chunker/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room to put a line together before it is fitted: one PATH_MAX and words. */
#define LINE_MAX_LEN 6144

/* What stands where a long line was shortened, and how much is kept before. */
#define GAP "..."
#define GAP_LEN (sizeof(GAP) - 1)
#define HEAD_LEN 160

/*
 * Copies a line into err->msg.  One that is too long loses its middle, because
 * the start says what was attempted and the end says why it failed.  A control
 * character, which a file name may hold, would break the promise of one line
 * or play with a terminal, so it becomes a question mark.
 */
static void line_fit(struct err *err, const char *line)
{
	const size_t most = sizeof(err->msg) - 1;
	size_t len = strlen(line);

	if (len <= most) {
		memcpy(err->msg, line, len + 1);
	} else {
		size_t tail = most - HEAD_LEN - GAP_LEN;

		memcpy(err->msg, line, HEAD_LEN);
		memcpy(err->msg + HEAD_LEN, GAP, GAP_LEN);
		memcpy(err->msg + HEAD_LEN + GAP_LEN, line + len - tail,
		    tail + 1);
	}

	for (char *c = err->msg; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

/*
 * Puts "words: cause" together on the stack, never in place: the words may be
 * made from err->msg itself.  Words too long for the stack lose their end, the
 * cause stays.
 */
static void line_make(struct err *err, const char *fmt, va_list args,
    const char *cause)
{
	char line[LINE_MAX_LEN + 2 + sizeof(err->msg)];
	size_t len;
	int n;

	n = vsnprintf(line, LINE_MAX_LEN, fmt, args);
	if (n < 0)
		line[0] = '\0';
	len = strlen(line);
	if (cause)
		snprintf(line + len, sizeof(line) - len, ": %s", cause);
	line_fit(err, line);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line_make(err, fmt, args, NULL);
	va_end(args);
	err->code = code;
	err->sys = 0;
	return code;
}

static enum err_code code_of(int sys)
{
	switch (sys) {
	case ENOENT:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_SYSTEM;
	}
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int sys = errno; /* anything called below may change it */
	char cause[128];
	va_list args;

	/* %m and not strerror, which may share a buffer between threads. */
	snprintf(cause, sizeof(cause), "%m");
	va_start(args, fmt);
	line_make(err, fmt, args, cause);
	va_end(args);
	err->code = code_of(sys);
	err->sys = sys;
	return err->code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char cause[sizeof(err->msg)];
	va_list args;

	memcpy(cause, err->msg, sizeof(cause));
	va_start(args, fmt);
	line_make(err, fmt, args, cause);
	va_end(args);
	return err->code;
}
