#include "tools/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "index/blob.h"

#define NAMES_SIZE 65536 /* what the kernel gives at most */
#define VALUE_SIZE 65536
#define PATH_ROOM 320 /* "/proc/self/fd/N/" and a name */

/*
 * Most files of a system that has any attributes have one of a few sets (an
 * inherited ACL, a security label), so the last ones are kept with their names.
 */
#define RECENT 4

struct recent {
	struct buf bytes;
	struct content content;
};

struct xattr_capture {
	const struct config *config;
	const struct chunk_sink *sink;
	struct recent recent[RECENT];
	unsigned turn;
	struct xattr *set;
	size_t cap;
	struct buf values;
	struct buf encoded;
	char names[NAMES_SIZE];
};

/* How the attributes are reached: by descriptor, or by path when not NULL. */
struct way {
	int fd;
	const char *path;
};

int xattr_capture_new(struct xattr_capture **out, const struct config *config,
    const struct chunk_sink *sink, struct err *err)
{
	struct xattr_capture *x = calloc(1, sizeof(*x));

	if (!x)
		return err_set(err, ERR_NOMEM, "extended attributes");
	x->config = config;
	x->sink = sink;
	*out = x;
	return 0;
}

void xattr_capture_free(struct xattr_capture *x)
{
	if (!x)
		return;
	for (int i = 0; i < RECENT; i++)
		buf_fini(&x->recent[i].bytes);
	buf_fini(&x->values);
	buf_fini(&x->encoded);
	free(x->set);
	free(x);
}

static ssize_t names_read(const struct way *way, char *buf, size_t len)
{
	return way->path ? llistxattr(way->path, buf, len)
	                 : flistxattr(way->fd, buf, len);
}

static ssize_t value_read(const struct way *way, const char *name, void *buf,
    size_t len)
{
	return way->path ? lgetxattr(way->path, name, buf, len)
	                 : fgetxattr(way->fd, name, buf, len);
}

/* Values lie one after another in a buffer that moves: values_place points. */
static int set_add(struct xattr_capture *x, size_t n, const char *name,
    size_t value_len, struct err *err)
{
	if (n == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 16;
		struct xattr *set;

		set = reallocarray(x->set, cap, sizeof(*set));
		if (!set)
			return err_set(err, ERR_NOMEM, "extended attributes");
		x->set = set;
		x->cap = cap;
	}
	x->set[n].name = name;
	x->set[n].name_len = strlen(name);
	x->set[n].value = NULL;
	x->set[n].value_len = value_len;
	return 0;
}

/* The buffer has stopped moving: now its places can be pointed at. */
static void values_place(struct xattr_capture *x, size_t n)
{
	const uint8_t *p = x->values.data;

	for (size_t i = 0; i < n; i++) {
		x->set[i].value = p;
		p += x->set[i].value_len;
	}
}

/*
 * Reads the values of names[0, len).  Returns the number read or a negative
 * code; *sys gets the first errno of the source.  One that has gone since the
 * names were listed is no failure.
 */
static int values_read(struct xattr_capture *x, const struct way *way,
    size_t len, int *sys, struct err *err)
{
	int n = 0;

	buf_reset(&x->values);
	for (size_t at = 0; at < len; at += strlen(x->names + at) + 1) {
		const char *name = x->names + at;
		uint8_t *room = buf_room(&x->values, VALUE_SIZE);
		ssize_t got;

		if (!room)
			return buf_check(&x->values, err);
		got = value_read(way, name, room, VALUE_SIZE);
		if (got < 0) {
			if (errno != ENODATA && !*sys)
				*sys = errno;
			continue;
		}
		x->values.len += (size_t)got;
		if (set_add(x, (size_t)n, name, (size_t)got, err))
			return err->code;
		n++;
	}
	values_place(x, (size_t)n);
	return n;
}

static bool equal_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static int set_put(struct xattr_capture *x, struct content *out,
    struct err *err)
{
	struct recent *r;
	int rc;

	for (int i = 0; i < RECENT; i++) {
		if (equal_bytes(&x->recent[i].bytes, &x->encoded)) {
			*out = x->recent[i].content;
			return 0;
		}
	}
	rc = blob_put(x->config, x->sink, x->encoded.data, x->encoded.len, out,
	    err);
	if (rc || x->encoded.len > VALUE_SIZE)
		return rc;

	r = &x->recent[x->turn++ % RECENT];
	buf_reset(&r->bytes);
	buf_put(&r->bytes, x->encoded.data, x->encoded.len);
	r->content = *out;
	return buf_check(&r->bytes, err);
}

int xattr_capture(struct xattr_capture *x, int fd, const char *name,
    struct content *out, struct err *err)
{
	char path[PATH_ROOM];
	struct way way = { .fd = fd };
	int sys = 0;
	ssize_t len;
	int n;

	*out = (struct content){ .kind = CONTENT_NONE };
	if (name) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", fd, name);
		way.path = path;
	}
	len = names_read(&way, x->names, sizeof(x->names));
	if (len == 0 || (len < 0 && errno == EOPNOTSUPP))
		return 0;
	if (len < 0)
		return errno;

	n = values_read(x, &way, (size_t)len, &sys, err);
	if (n < 0)
		return n;
	if (n == 0)
		return sys;
	buf_reset(&x->encoded);
	xattr_encode(&x->encoded, x->set, (size_t)n);
	if (buf_check(&x->encoded, err) || set_put(x, out, err))
		return err->code;
	return sys;
}
