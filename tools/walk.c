#include "tools/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK_SIZE (128u << 10)

/* A list that grew beyond this gives its memory back. */
#define KEEP_MAX (1u << 20)

/* As the kernel fills it. */
struct dirent_bytes {
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type;
	char name[];
};

void walk_list_init(struct walk_list *l)
{
	memset(l, 0, sizeof(*l));
}

void walk_list_fini(struct walk_list *l)
{
	buf_fini(&l->bytes);
	free(l->names);
	free(l->block);
	walk_list_init(l);
}

void walk_list_reset(struct walk_list *l)
{
	if (l->bytes.cap > KEEP_MAX)
		buf_fini(&l->bytes);
	if (l->cap > KEEP_MAX / sizeof(*l->names)) {
		free(l->names);
		l->names = NULL;
		l->cap = 0;
	}
	buf_reset(&l->bytes);
	l->n = 0;
}

static uint64_t prefix_of(const char *name, size_t len)
{
	uint64_t prefix = 0;

	for (size_t i = 0; i < 8; i++)
		prefix = prefix << 8 | (i < len ? (uint8_t)name[i] : 0);
	return prefix;
}

int walk_list_add(struct walk_list *l, const char *name, size_t len,
    struct err *err)
{
	struct walk_name *w;

	if (l->n == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 256;

		w = reallocarray(l->names, cap, sizeof(*w));
		if (!w)
			return err_set(err, ERR_NOMEM, "%u names", cap);
		l->names = w;
		l->cap = cap;
	}
	if (l->n >= UINT32_MAX / 2 || l->bytes.len > UINT32_MAX - 256)
		return err_set(err, ERR_INVALID, "too many names");
	w = &l->names[l->n];
	w->prefix = prefix_of(name, len);
	w->offset = (uint32_t)l->bytes.len;
	w->len = (uint32_t)len;
	buf_put(&l->bytes, name, len);
	buf_u8(&l->bytes, 0);
	if (buf_check(&l->bytes, err))
		return err->code;
	l->n++;
	return 0;
}

static int name_cmp(const void *a, const void *b, void *bytes)
{
	const struct walk_name *x = a;
	const struct walk_name *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return strcmp((const char *)bytes + x->offset,
	    (const char *)bytes + y->offset);
}

void walk_list_sort(struct walk_list *l)
{
	if (l->n > 1)
		qsort_r(l->names, l->n, sizeof(*l->names), name_cmp,
		    l->bytes.data);
}

static int block_add(struct walk_list *l, size_t len, struct err *err)
{
	const uint8_t *p = l->block;
	const uint8_t *end = p + len;
	int rc = 0;

	while (!rc && p < end) {
		const struct dirent_bytes *d = (const void *)p;
		const char *name = d->name;

		p += d->len;
		if (name[0] == '.' &&
		    (name[1] == 0 || (name[1] == '.' && name[2] == 0)))
			continue;
		rc = walk_list_add(l, name, strlen(name), err);
	}
	return rc;
}

int walk_list_read(struct walk_list *l, int fd, struct err *err)
{
	int rc;

	if (!l->block)
		l->block = malloc(BLOCK_SIZE);
	if (!l->block)
		return err_set(err, ERR_NOMEM, "names of a directory");

	walk_list_reset(l);
	for (;;) {
		long n = syscall(SYS_getdents64, fd, l->block, BLOCK_SIZE);

		if (n < 0)
			return err_sys(err, "list");
		if (n == 0)
			break;
		rc = block_add(l, (size_t)n, err);
		if (rc)
			return rc;
	}
	walk_list_sort(l);
	return 0;
}

/* Only the owner of a file and root may leave its access time alone. */
static int open_quietly(int at, const char *name, int flags)
{
	int fd = openat(at, name, flags | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = openat(at, name, flags);
	return fd;
}

int walk_open_dir(int at, const char *name)
{
	return open_quietly(at, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Never waits for the other end of what has become a FIFO meanwhile. */
int walk_open_file(int at, const char *name)
{
	return open_quietly(at, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}
