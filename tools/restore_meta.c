#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tools/restore_private.h"

static const char capability[] = "security.capability";

/* The kernel's own limit (XATTR_NAME_MAX). */
#define NAME_LEN_MAX 255

/* ---- What could not be set: one line a kind, at the end ---- */

static void unset(struct restore *r, enum unset kind)
{
	atomic_store_explicit(&r->unset_errno[kind], errno,
	    memory_order_relaxed);
	atomic_fetch_add_explicit(&r->unset[kind], 1, memory_order_relaxed);
}

/* ---- Calls on what is open, or open as O_PATH ---- */

static void fd_path(const struct made *m, char out[40])
{
	snprintf(out, 40, "/proc/self/fd/%d", m->fd);
}

static int set_owner(const struct made *m, uid_t uid, gid_t gid)
{
	if (!m->path_only)
		return fchown(m->fd, uid, gid);
	return fchownat(m->fd, "", uid, gid, AT_EMPTY_PATH);
}

static int set_mode(const struct made *m, mode_t mode)
{
	char path[40];

	if (!m->path_only)
		return fchmod(m->fd, mode);
	fd_path(m, path);
	return chmod(path, mode);
}

static int set_xattr(const struct made *m, const char *name,
    const void *value, size_t len)
{
	char path[40];

	if (!m->path_only)
		return fsetxattr(m->fd, name, value, len, 0);
	fd_path(m, path);
	return setxattr(path, name, value, len, 0);
}

static int set_times(const struct made *m, const struct timespec times[2])
{
	if (!m->path_only)
		return futimens(m->fd, times);
	return utimensat(m->fd, "", times, AT_EMPTY_PATH);
}

static void drop_inherited_acl(const struct made *m)
{
	char path[40];

	fd_path(m, path);
	(void)removexattr(path, "system.posix_acl_access"); /* may be none */
}

/* ---- Owner ---- */

static uint32_t owner_here(const struct restore *r, enum owner_kind kind,
    uint32_t number)
{
	const struct owner *o;

	if (r->options.numeric_ids)
		return number;
	o = names_find(&r->names, kind, number);
	return o ? r->local[o - r->names.list] : number;
}

/*
 * Who owns what is created here: asked once a folder, since set-group-ID
 * folders, mount options and mapped ids all have their say.
 */
static int learn_given(struct made *m, struct err *err)
{
	struct stat st;

	if (m->given != OWNER_UNKNOWN)
		return 0;
	m->given = atomic_load_explicit(&m->folder->given,
	    memory_order_relaxed);
	if (m->given != OWNER_UNKNOWN)
		return 0;
	if (fstat(m->fd, &st) < 0)
		return err_sys(err, "stat");
	m->given = (uint64_t)st.st_uid << 32 | st.st_gid;
	atomic_store_explicit(&m->folder->given, m->given,
	    memory_order_relaxed);
	return 0;
}

/*
 * Gives it to its owner.  Returns which of S_ISUID and S_ISGID it may have: a
 * program that runs as its owner must not do so as somebody else.
 */
static mode_t apply_owner(struct restore *r, struct made *m,
    const struct tree_entry *e)
{
	uid_t uid = owner_here(r, OWNER_USER, e->uid);
	gid_t gid = owner_here(r, OWNER_GROUP, e->gid);
	uid_t has_uid = (uid_t)(m->given >> 32);
	gid_t has_gid = (gid_t)m->given;
	mode_t allowed = S_ISUID | S_ISGID;

	if (uid == has_uid && gid == has_gid)
		return allowed;
	if (!r->options.no_owner) {
		if (set_owner(m, uid, gid) == 0) {
			m->given = (uint64_t)uid << 32 | gid;
			return allowed;
		}
		unset(r, UNSET_OWNER);
		/* One's own groups may be given even so. */
		if (gid != has_gid && set_owner(m, (uid_t)-1, gid) == 0)
			has_gid = gid;
	}
	if (uid != has_uid)
		allowed &= ~(mode_t)S_ISUID;
	if (gid != has_gid)
		allowed &= ~(mode_t)S_ISGID;
	return allowed;
}

/* ---- Extended attributes ---- */

/* The set, kept for the next entry, which often has the same. */
static int load_xattrs(struct worker *w, const struct tree_entry *e,
    struct err *err)
{
	struct content set = tree_xattrs(e);
	int rc;

	if (w->xattrs && id_equal(&w->xattr_id, &set.id))
		return 0;
	free(w->xattrs);
	w->xattrs = NULL;
	rc = blob_get(w->restore->src, &set, XATTR_SET_MAX, &w->xattrs,
	    &w->xattrs_len, err);
	if (rc)
		return err_wrap(err, "extended attributes");
	w->xattr_id = set.id;
	return 0;
}

static enum unset xattr_kind(const char *name)
{
	if (strcmp(name, capability) == 0)
		return UNSET_CAPABILITY;
	if (strncmp(name, "system.posix_acl_", 17) == 0)
		return UNSET_ACL;
	return UNSET_XATTR;
}

/*
 * Sets the capabilities, or all but them: a change of owner or mode would take
 * them away again, so they come after both.
 */
static int apply_xattrs(struct worker *w, struct made *m, bool capabilities,
    struct err *err)
{
	char name[NAME_LEN_MAX + 1];
	struct xattr_iter it;
	struct xattr x;
	int rc;

	rc = xattr_iter_init(&it, w->xattrs, w->xattrs_len, err);
	while (!rc && (rc = xattr_iter_next(&it, &x, err)) == 1) {
		rc = 0;
		errno = ERANGE;
		if (x.name_len > NAME_LEN_MAX) {
			unset(w->restore, UNSET_XATTR);
			continue;
		}
		memcpy(name, x.name, x.name_len);
		name[x.name_len] = 0;
		if ((strcmp(name, capability) == 0) != capabilities)
			continue;
		if (set_xattr(m, name, x.value, x.value_len) < 0)
			unset(w->restore, xattr_kind(name));
	}
	return rc;
}

/* ---- All of it ---- */

mode_t meta_create_mode(const struct folder *f, const struct tree_entry *e)
{
	/* Attributes can be set only on what its owner may write. */
	if (e->flags & (TREE_XATTR_CHUNK | TREE_XATTR_ROPE))
		return 0600;
	/*
	 * In a folder that others can enter, nobody may open it before it has
	 * its owner; and with an ACL about, the mode is not what is asked for.
	 */
	if (!f->fresh || f->clears_acl)
		return e->mode & 0700;
	return e->mode & 0777;
}

static void apply_mode(struct restore *r, struct made *m,
    const struct tree_entry *e, mode_t setid, bool again)
{
	mode_t mode = e->mode & 01777;

	if (S_ISLNK(e->mode))
		return;
	mode |= e->mode & setid;
	/* On a directory the bit lends no rights. */
	if (S_ISDIR(e->mode))
		mode |= e->mode & (S_ISUID | S_ISGID);
	if (mode != (e->mode & 07777) && !r->options.no_owner) {
		errno = EPERM;
		unset(r, UNSET_SETID);
	}
	if ((again || mode != m->mode) && set_mode(m, mode) < 0)
		unset(r, UNSET_MODE);
}

int meta_apply(struct worker *w, struct made *m, const struct tree_entry *e,
    struct err *err)
{
	bool attributes = e->flags & (TREE_XATTR_CHUNK | TREE_XATTR_ROPE);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct restore *r = w->restore;
	bool inherits = m->folder && m->folder->clears_acl;
	mode_t setid;
	int rc;

	rc = learn_given(m, err);
	if (rc)
		return rc;
	setid = apply_owner(r, m, e);

	if (inherits && !S_ISLNK(e->mode))
		drop_inherited_acl(m);
	if (attributes) {
		rc = load_xattrs(w, e, err);
		if (!rc)
			rc = apply_xattrs(w, m, false, err);
		if (rc)
			return rc;
	}
	apply_mode(r, m, e, setid, attributes || inherits);
	if (attributes) {
		rc = apply_xattrs(w, m, true, err);
		if (rc)
			return rc;
	}

	times[1].tv_sec = e->mtime_s;
	times[1].tv_nsec = e->mtime_ns;
	if (set_times(m, times) < 0)
		unset(r, UNSET_TIMES);
	return 0;
}
