#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tools/restore_private.h"

static int make(const struct made *m, const char *name, const char *target,
    const struct tree_entry *e)
{
	int dir = m->folder->fd;

	if (S_ISLNK(e->mode))
		return symlinkat(target, dir, name);
	return mknodat(dir, name, (e->mode & S_IFMT) | m->mode,
	    makedev(e->major, e->minor));
}

static int make_somehow(struct restore *r, struct made *m,
    const char *target, const struct tree_entry *e, struct err *err)
{
	int rc = make(m, m->name, target, e);

	if (rc < 0 && errno == EEXIST) {
		if (!r->options.replace)
			return 1;
		made_tmp(r, m);
		rc = make(m, m->tmp, target, e);
	}
	return rc < 0 ? err_sys(err, "create") : 0;
}

/*
 * Opens what was just made.  Whoever can write to the directory may have put
 * something else there, which must not get the owner and mode meant for ours:
 * only a thing of the same kind, with one name, passes.
 */
static int open_made(struct made *m, const struct tree_entry *e,
    struct err *err)
{
	struct stat st;

	m->fd = openat(m->folder->fd, m->temporary ? m->tmp : m->name,
	    O_PATH | O_NOFOLLOW | O_CLOEXEC);
	m->path_only = true;
	if (m->fd < 0 || fstat(m->fd, &st) < 0)
		return err_sys(err, "open");
	if ((st.st_mode & S_IFMT) != (e->mode & S_IFMT) || st.st_nlink != 1 ||
	    ((S_ISCHR(e->mode) || S_ISBLK(e->mode)) &&
	    st.st_rdev != makedev(e->major, e->minor)))
		return err_set(err, ERR_BUSY,
		    "somebody else put something in its place");
	m->given = (uint64_t)st.st_uid << 32 | st.st_gid;
	m->mode = st.st_mode & 07777;
	return 0;
}

int restore_special(struct worker *w, struct folder *f,
    const struct tree_entry *e, uint64_t group, struct err *err)
{
	char target[TREE_TARGET_MAX + 1] = "";
	struct restore *r = w->restore;
	struct made m;
	int rc;

	if (S_ISLNK(e->mode)) {
		memcpy(target, e->target, e->target_len);
		target[e->target_len] = 0;
	}
	made_init(&m, f, e);
	m.mode = meta_create_mode(f, e);
	rc = make_somehow(r, &m, target, e, err);
	if (rc)
		return rc;

	rc = open_made(&m, e, err);
	if (!rc)
		rc = meta_apply(w, &m, e, err);
	if (!rc)
		rc = made_place(&m, err);
	if (!rc && group != NO_GROUP)
		rc = links_made(r, group, m.fd, err);
	made_drop(&m, rc != 0);
	if (rc)
		return rc;
	atomic_fetch_add_explicit(&r->others, 1, memory_order_relaxed);
	if (r->progress)
		progress_add(r->progress, 1, 0);
	return 0;
}
