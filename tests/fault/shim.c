/*
 * shim -- fails, or dies at, one chosen call that changes a store.
 *
 * Preloaded (LD_PRELOAD) into a program under test.  It numbers, from 1, the
 * calls that can change or harden what lies beneath one directory, whoever
 * makes them, SQLite included: opening for writing or making a file, writes,
 * fsync, rename, link, unlink, mkdir, chmod, truncation and allocation.  One
 * of them, or all from one on, then goes wrong.  Memory maps are not seen.
 *
 * The environment tells it what to do:
 *
 *     FAULT_DIR     the directory, absolute and without symlinks
 *     FAULT_HOW     EIO, ENOSPC, EINTR, SHORT (half of a write), BEFORE or
 *                   AFTER (SIGKILL); absent: nothing goes wrong
 *     FAULT_NTH     the call it happens to
 *     FAULT_ON      1: every call from that one on goes wrong as well
 *     FAULT_PART    number only calls on paths that begin so, seen from there
 *     FAULT_REPORT  a file that gets one line: "CALLS FIRED CALL PATH"
 *                   at the end, or at the moment something goes wrong
 *     FAULT_TRACE   a file that gets a line for each call, see trace()
 *
 * EINTR and SHORT number only the calls to which the kernel may do that on a
 * local file system; EINTR also flock.
 *
 * Threads: any.  Calls are numbered in the order in which they begin.
 */
/* Both spellings of every call are ours: with this set, one is the other. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

/* What may happen to a call besides EIO and ENOSPC. */
enum trait {
	PLAIN = 0,
	MAY_BREAK = 1, /* EINTR */
	MAY_SHORT = 2,
	ONLY_BREAK = 4, /* changes nothing: counted for EINTR alone */
};

enum how { NOTHING, ERRNO, BREAK, HALF, KILL_BEFORE, KILL_AFTER };

/* Set before main, read only afterwards. */
static struct {
	char dir[PATH_MAX];
	size_t dir_len;
	enum how how;
	int error;
	long nth;
	bool on;
	const char *part;
	int report;
	int trace;
} plan = { .report = -1, .trace = -1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards counts */
static long n_calls;
static long n_fired;

/* One call on its way. */
struct call {
	const char *name;
	char path[PATH_MAX];
	char other[PATH_MAX]; /* the new name of a rename; else empty */
	bool inside;
	bool fired;
};

/* ---- Words ---- */

static void say(int fd, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* By the bare system call: our own writes are nobody's business. */
static void say(int fd, const char *fmt, ...)
{
	char line[3 * PATH_MAX];
	va_list args;
	int len;

	if (fd < 0)
		return;
	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	(void)syscall(SYS_write, fd, line, (size_t)len);
}

static void report(const struct call *c)
{
	if (plan.report < 0)
		return;
	(void)syscall(SYS_ftruncate, plan.report, 0L);
	(void)syscall(SYS_lseek, plan.report, 0L, SEEK_SET);
	say(plan.report, "%ld %ld %s %s\n", n_calls, n_fired,
	    c ? c->name : "-", c ? c->path : "-");
}

/* THREAD CALL PATH OTHER RESULT, parted by tabs; paths as seen from the
 * directory; the result is -1 with an errno behind it after a failure. */
static void trace(const struct call *c, long result)
{
	int saved = errno;

	if (plan.trace < 0)
		return;
	say(plan.trace, "%ld\t%s\t%s\t%s\t%ld%s%s\n", syscall(SYS_gettid),
	    c->name, c->path, c->other, result, result < 0 ? " " : "",
	    result < 0 ? strerrorname_np(saved) : "");
	errno = saved;
}

/* ---- Beginning and end ---- */

static int open_log(const char *variable)
{
	const char *path = getenv(variable);

	if (!path)
		return -1;
	return (int)syscall(SYS_openat, AT_FDCWD, path,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void choose(const char *how)
{
	if (!how)
		return;
	if (strcmp(how, "EIO") == 0 || strcmp(how, "ENOSPC") == 0) {
		plan.how = ERRNO;
		plan.error = how[1] == 'I' ? EIO : ENOSPC;
	} else if (strcmp(how, "EINTR") == 0) {
		plan.how = BREAK;
		plan.error = EINTR;
	} else if (strcmp(how, "SHORT") == 0) {
		plan.how = HALF;
	} else if (strcmp(how, "BEFORE") == 0) {
		plan.how = KILL_BEFORE;
	} else if (strcmp(how, "AFTER") == 0) {
		plan.how = KILL_AFTER;
	} else {
		say(2, "shim: FAULT_HOW=%s is not known\n", how);
		_exit(99);
	}
}

__attribute__((constructor)) static void begin(void)
{
	const char *dir = getenv("FAULT_DIR");
	const char *nth = getenv("FAULT_NTH");
	const char *on = getenv("FAULT_ON");

	if (!dir)
		return;
	snprintf(plan.dir, sizeof(plan.dir), "%s", dir);
	plan.dir_len = strlen(plan.dir);
	plan.nth = nth ? atol(nth) : 0;
	plan.part = getenv("FAULT_PART") ? getenv("FAULT_PART") : "";
	plan.on = on && on[0] == '1';
	plan.report = open_log("FAULT_REPORT");
	plan.trace = open_log("FAULT_TRACE");
	choose(getenv("FAULT_HOW"));
	report(NULL);
}

__attribute__((destructor)) static void end(void)
{
	if (n_fired == 0)
		report(NULL);
}

/* ---- Paths ---- */

/* The path beneath the directory, or false.  The end need not exist. */
static bool beneath(char out[PATH_MAX], const char *path)
{
	size_t len;

	if (strncmp(path, plan.dir, plan.dir_len) != 0 ||
	    (path[plan.dir_len] != '/' && path[plan.dir_len] != '\0'))
		return false;
	path += plan.dir_len;
	len = strlen(path);
	if (len == 0)
		strcpy(out, ".");
	else
		memcpy(out, path + 1, len);
	return true;
}

static bool of_fd(char out[PATH_MAX], int fd)
{
	char link[64];
	char path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return beneath(out, path);
}

static bool of_name(char out[PATH_MAX], int at, const char *name)
{
	char dir[PATH_MAX] = "";
	char path[2 * PATH_MAX];
	ssize_t n;

	if (name[0] != '/') {
		char link[64] = "/proc/self/cwd";

		if (at != AT_FDCWD)
			snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
		n = readlink(link, dir, sizeof(dir) - 2);
		if (n < 0)
			return false;
		dir[n] = '/';
	}
	snprintf(path, sizeof(path), "%s%s", dir, name);
	if (strlen(path) >= PATH_MAX)
		return false;
	return beneath(out, path);
}

/* ---- The decision ---- */

static bool counts(unsigned traits)
{
	if (plan.how == BREAK)
		return traits & (MAY_BREAK | ONLY_BREAK);
	if (plan.how == HALF)
		return traits & MAY_SHORT;
	return !(traits & ONLY_BREAK);
}

/* Whether this call goes wrong.  Kills before it if that is the plan. */
static bool strike(struct call *c, unsigned traits)
{
	long number;

	if (!c->inside || !counts(traits) ||
	    strncmp(c->path, plan.part, strlen(plan.part)) != 0)
		return false;
	pthread_mutex_lock(&lock);
	number = ++n_calls;
	c->fired = plan.nth > 0 && (number == plan.nth ||
	    (plan.on && number > plan.nth));
	if (c->fired && ++n_fired == 1)
		report(c);
	pthread_mutex_unlock(&lock);
	if (c->fired && plan.how == KILL_BEFORE)
		kill(getpid(), SIGKILL);
	return c->fired && (plan.how == ERRNO || plan.how == BREAK);
}

/* After the call, with its result. */
static void settle(struct call *c, long result)
{
	int saved = errno;

	if (!c->inside)
		return;
	if (c->fired && plan.how == KILL_AFTER)
		kill(getpid(), SIGKILL);
	errno = saved;
	trace(c, result);
}

static long refuse(struct call *c)
{
	errno = plan.error;
	trace(c, -1);
	return -1;
}

static void call_fd(struct call *c, const char *name, int fd)
{
	int saved = errno;

	c->path[0] = c->other[0] = '\0';
	c->inside = false;
	c->fired = false;
	c->name = name;
	if (plan.dir_len)
		c->inside = of_fd(c->path, fd);
	errno = saved;
}

static void call_at(struct call *c, const char *name, int at,
    const char *path)
{
	int saved = errno;

	c->path[0] = c->other[0] = '\0';
	c->fired = false;
	c->inside = false;
	c->name = name;
	if (plan.dir_len)
		c->inside = of_name(c->path, at, path);
	errno = saved;
}

/* Either name is enough to make it ours. */
static void call_two(struct call *c, const char *name, int at,
    const char *path, int other_at, const char *other)
{
	bool two;

	call_at(c, name, at, path);
	if (!plan.dir_len)
		return;
	two = of_name(c->other, other_at, other);
	c->inside = c->inside || two;
}

/* The function we stand before: a declaration, so it comes last of them. */
#define REAL(name) __typeof__(&name) real = dlsym(RTLD_NEXT, #name)

/* A call that is made or refused, and nothing between. */
#define PASS(type, traits, invocation) \
	do { \
		type result; \
		if (strike(&c, traits)) \
			return (type)refuse(&c); \
		result = invocation; \
		settle(&c, (long)result); \
		return result; \
	} while (0)

/* ---- Opening ---- */

static bool changes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY ||
	    (flags & (O_CREAT | O_TRUNC)) != 0;
}

static mode_t mode_of(int flags, va_list args)
{
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
		return va_arg(args, mode_t);
	return 0;
}

#define OPENER(name, DECLARED, at, path, ...) \
	PUBLIC int name DECLARED \
	{ \
		struct call c; \
		va_list args; \
		mode_t mode; \
		REAL(name); \
\
		va_start(args, flags); \
		mode = mode_of(flags, args); \
		va_end(args); \
		if (!changes(flags)) \
			return real(__VA_ARGS__, flags, mode); \
		call_at(&c, "open", at, path); \
		PASS(int, PLAIN, real(__VA_ARGS__, flags, mode)); \
	}

OPENER(open, (const char *path, int flags, ...), AT_FDCWD, path, path)
OPENER(open64, (const char *path, int flags, ...), AT_FDCWD, path, path)
OPENER(openat, (int at, const char *path, int flags, ...), at, path, at, path)
OPENER(openat64, (int at, const char *path, int flags, ...), at, path, at,
    path)

PUBLIC int creat(const char *path, mode_t mode)
{
	return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* ---- Writing ---- */

/* The bytes to offer the kernel when this write is to come out short. */
static size_t offered(const struct call *c, size_t len)
{
	return c->fired && plan.how == HALF && len > 1 ? len / 2 : len;
}

PUBLIC ssize_t write(int fd, const void *data, size_t len)
{
	struct call c;
	REAL(write);

	call_fd(&c, "write", fd);
	PASS(ssize_t, MAY_BREAK | MAY_SHORT, real(fd, data, offered(&c, len)));
}

PUBLIC ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	struct call c;
	REAL(pwrite);

	call_fd(&c, "write", fd);
	PASS(ssize_t, MAY_BREAK | MAY_SHORT,
	    real(fd, data, offered(&c, len), offset));
}

PUBLIC ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	struct call c;
	REAL(pwrite64);

	call_fd(&c, "write", fd);
	PASS(ssize_t, MAY_BREAK | MAY_SHORT,
	    real(fd, data, offered(&c, len), offset));
}

/* Cut to the first piece when it is to come out short. */
static int offered_parts(const struct call *c, int n)
{
	return c->fired && plan.how == HALF && n > 1 ? 1 : n;
}

PUBLIC ssize_t writev(int fd, const struct iovec *parts, int n)
{
	struct call c;
	REAL(writev);

	call_fd(&c, "write", fd);
	PASS(ssize_t, MAY_BREAK | MAY_SHORT,
	    real(fd, parts, offered_parts(&c, n)));
}

PUBLIC ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
	struct call c;
	REAL(pwritev);

	call_fd(&c, "write", fd);
	PASS(ssize_t, MAY_BREAK | MAY_SHORT,
	    real(fd, parts, offered_parts(&c, n), offset));
}

PUBLIC ssize_t copy_file_range(int in, off64_t *in_at, int out,
    off64_t *out_at, size_t len, unsigned flags)
{
	struct call c;
	REAL(copy_file_range);

	call_fd(&c, "write", out);
	PASS(ssize_t, MAY_SHORT,
	    real(in, in_at, out, out_at, offered(&c, len), flags));
}

PUBLIC int ftruncate(int fd, off_t size)
{
	struct call c;
	REAL(ftruncate);

	call_fd(&c, "truncate", fd);
	PASS(int, MAY_BREAK, real(fd, size));
}

PUBLIC int ftruncate64(int fd, off64_t size)
{
	struct call c;
	REAL(ftruncate64);

	call_fd(&c, "truncate", fd);
	PASS(int, MAY_BREAK, real(fd, size));
}

PUBLIC int fallocate(int fd, int mode, off_t offset, off_t len)
{
	struct call c;
	REAL(fallocate);

	call_fd(&c, "allocate", fd);
	PASS(int, MAY_BREAK, real(fd, mode, offset, len));
}

/* This one returns its error. */
PUBLIC int posix_fallocate(int fd, off_t offset, off_t len)
{
	struct call c;
	int rc;
	REAL(posix_fallocate);

	call_fd(&c, "allocate", fd);
	if (strike(&c, PLAIN)) {
		refuse(&c);
		return plan.error;
	}
	rc = real(fd, offset, len);
	settle(&c, -(long)rc);
	return rc;
}

PUBLIC int fchmod(int fd, mode_t mode)
{
	struct call c;
	REAL(fchmod);

	call_fd(&c, "chmod", fd);
	PASS(int, PLAIN, real(fd, mode));
}

/* ---- Hardening ---- */

PUBLIC int fsync(int fd)
{
	struct call c;
	REAL(fsync);

	call_fd(&c, "fsync", fd);
	PASS(int, PLAIN, real(fd));
}

PUBLIC int fdatasync(int fd)
{
	struct call c;
	REAL(fdatasync);

	call_fd(&c, "fsync", fd);
	PASS(int, PLAIN, real(fd));
}

PUBLIC int flock(int fd, int op)
{
	struct call c;
	REAL(flock);

	call_fd(&c, "flock", fd);
	PASS(int, ONLY_BREAK, real(fd, op));
}

/* ---- Names ---- */

PUBLIC int rename(const char *path, const char *other)
{
	struct call c;
	REAL(rename);

	call_two(&c, "rename", AT_FDCWD, path, AT_FDCWD, other);
	PASS(int, PLAIN, real(path, other));
}

PUBLIC int renameat(int at, const char *path, int other_at, const char *other)
{
	struct call c;
	REAL(renameat);

	call_two(&c, "rename", at, path, other_at, other);
	PASS(int, PLAIN, real(at, path, other_at, other));
}

PUBLIC int renameat2(int at, const char *path, int other_at,
    const char *other, unsigned flags)
{
	struct call c;
	REAL(renameat2);

	call_two(&c, "rename", at, path, other_at, other);
	PASS(int, PLAIN, real(at, path, other_at, other, flags));
}

PUBLIC int link(const char *path, const char *other)
{
	struct call c;
	REAL(link);

	call_two(&c, "link", AT_FDCWD, path, AT_FDCWD, other);
	PASS(int, PLAIN, real(path, other));
}

PUBLIC int linkat(int at, const char *path, int other_at, const char *other,
    int flags)
{
	struct call c;
	REAL(linkat);

	call_two(&c, "link", at, path, other_at, other);
	PASS(int, PLAIN, real(at, path, other_at, other, flags));
}

PUBLIC int unlink(const char *path)
{
	struct call c;
	REAL(unlink);

	call_at(&c, "unlink", AT_FDCWD, path);
	PASS(int, PLAIN, real(path));
}

PUBLIC int unlinkat(int at, const char *path, int flags)
{
	struct call c;
	REAL(unlinkat);

	call_at(&c, "unlink", at, path);
	PASS(int, PLAIN, real(at, path, flags));
}

PUBLIC int rmdir(const char *path)
{
	struct call c;
	REAL(rmdir);

	call_at(&c, "unlink", AT_FDCWD, path);
	PASS(int, PLAIN, real(path));
}

PUBLIC int mkdir(const char *path, mode_t mode)
{
	struct call c;
	REAL(mkdir);

	call_at(&c, "mkdir", AT_FDCWD, path);
	PASS(int, PLAIN, real(path, mode));
}

PUBLIC int mkdirat(int at, const char *path, mode_t mode)
{
	struct call c;
	REAL(mkdirat);

	call_at(&c, "mkdir", at, path);
	PASS(int, PLAIN, real(at, path, mode));
}
