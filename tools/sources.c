#include "tools/sources.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "index/io.h"

const struct pick *pick_find(const struct pick *p, const char *name)
{
	const struct pick *one = p->below;

	while (one && strcmp(one->name, name) != 0)
		one = one->next;
	return one;
}

/* Finds or makes a name below p. */
static struct pick *pick_put(struct sources *s, struct pick *p,
    const char *name, size_t len)
{
	struct pick **at = &p->below;
	struct pick *one;
	char *copy = strndup(name, len);

	if (!copy)
		return NULL;
	while (*at && strcmp((*at)->name, copy) < 0)
		at = &(*at)->next;
	if (*at && strcmp((*at)->name, copy) == 0) {
		free(copy);
		return *at;
	}

	one = calloc(1, sizeof(*one));
	if (!one) {
		free(copy);
		return NULL;
	}
	one->name = copy;
	one->next = *at;
	*at = one;
	one->made = s->top.made;
	s->top.made = one;
	return one;
}

/* Marks an absolute path, every name of it from the top. */
static int pick_path(struct sources *s, const char *path, struct err *err)
{
	struct pick *p = &s->top;

	while (*path && !p->whole) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0)
			break;
		p = pick_put(s, p, path, len);
		if (!p)
			return err_set(err, ERR_NOMEM, "%s", path);
		path += len;
	}
	p->whole = true;
	return 0;
}

static void record_add(struct sources *s, const char *path)
{
	buf_le32(&s->record, (uint32_t)strlen(path));
	buf_put(&s->record, path, strlen(path));
}

/* One PATH: a directory is the top itself, anything else a name in the top. */
static int source_single(struct sources *s, const char *path, struct err *err)
{
	struct stat st;
	char *slash;

	s->base = strdup(path);
	if (!s->base)
		return err_set(err, ERR_NOMEM, "path");
	if (stat(path, &st) < 0)
		return err_sys(err, "stat");
	if (S_ISDIR(st.st_mode)) {
		s->top.whole = true;
		return 0;
	}
	slash = strrchr(s->base, '/');
	if (pick_path(s, slash, err))
		return err->code;
	slash[slash == s->base] = 0;
	return 0;
}

static int source_add(struct sources *s, const char *path, bool single,
    struct err *err)
{
	char *real = realpath(path, NULL);
	int rc;

	if (!real)
		return err_sys(err, "%s", path);
	record_add(s, real);
	rc = single ? source_single(s, real, err) : pick_path(s, real, err);
	if (rc)
		err_wrap(err, "%s", path);
	free(real);
	return rc;
}

int sources_open(struct sources *out, const char *const *paths, size_t n,
    struct err *err)
{
	int rc = 0;

	memset(out, 0, sizeof(*out));
	out->fd = -1;
	for (size_t i = 0; i < n && !rc; i++)
		rc = source_add(out, paths[i], n == 1, err);
	if (rc)
		goto out;
	if (n > 1)
		out->base = strdup("/");
	rc = buf_check(&out->record, err);
	if (rc)
		goto out;
	if (!out->base) {
		rc = err_set(err, ERR_NOMEM, "paths");
		goto out;
	}
	out->fd = open(out->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->fd < 0)
		rc = err_sys(err, "%s", out->base);

out:
	if (rc)
		sources_close(out);
	return rc;
}

void sources_close(struct sources *s)
{
	while (s->top.made) {
		struct pick *one = s->top.made;

		s->top.made = one->made;
		free(one->name);
		free(one);
	}
	io_close(s->fd);
	free(s->base);
	buf_fini(&s->record);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}
