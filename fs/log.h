/*
 * log -- the few words a running mount has to say.
 *
 * To standard error in the foreground, to syslog otherwise.  A damaged store
 * can fail a thousand reads a second, so lines about requests are rationed;
 * what was left out is counted and said with the next line.
 *
 * Threads: any at once, after log_open.
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include <stdbool.h>

#include "chunker/err.h"

/* Once, before any thread. */
void log_open(bool foreground, bool debug);

/* A line about a request, rationed. */
void log_failure(const char *op, unsigned long long ino, const struct err *err);

/* A line in any case. */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The last complaint of libfuse since log_open, which knows more than its
 * return code; "" for none.  For the thread that mounts.
 */
const char *log_library_words(void);

#endif
