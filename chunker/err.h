/*
 * err -- what went wrong, carried back to whoever can act on it.
 *
 * Every function that can fail takes a `struct err *` as its last argument
 * and returns 0, or the negative code it stored there.  The caller owns the
 * struct, usually on its stack; it is never NULL and never allocates.  It is
 * written only on failure, so it needs no initial value.
 *
 * Threads: a struct err belongs to one call chain and is never shared.
 */
#ifndef CHUNKER_ERR_H
#define CHUNKER_ERR_H

enum err_code {
	ERR_NOT_FOUND = -1, /* the named thing is not there */
	ERR_EXISTS = -2,    /* it is there already */
	ERR_CORRUPT = -3,   /* stored bytes contradict their sum or format */
	ERR_FORMAT = -4,    /* written by a newer ieri */
	ERR_BUSY = -5,      /* another process is at work on it */
	ERR_SYSTEM = -6,    /* the kernel or a library refused */
	ERR_NOMEM = -7,     /* allocation failed */
	ERR_INVALID = -8,   /* the request itself makes no sense */
	ERR_STOPPED = -9,   /* the person asked us to stop */
};

struct err {
	enum err_code code;
	int sys;       /* errno where the kernel refused, else 0 */
	char msg[480]; /* one line, no newline, outermost context first */
};

/* Records a failure found here.  Returns `code`. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Records the current errno after the formatted words; ENOENT becomes
 * ERR_NOT_FOUND, EEXIST ERR_EXISTS, ENOMEM ERR_NOMEM, the rest ERR_SYSTEM.
 */
int err_sys(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the message already recorded.  Returns its code. */
int err_wrap(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
