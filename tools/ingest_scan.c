#include "tools/ingest_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/io.h"

#define TELL_EVERY 256

#define CONTENT_FLAGS (TREE_CHUNK | TREE_ROPE | TREE_SPARSE)
#define XATTR_FLAGS (TREE_XATTR_CHUNK | TREE_XATTR_ROPE)

/* The same directory of the last snapshot, walked beside the names of today. */
struct past {
	struct tree_iter iter;
	struct tree_entry entry;
	bool have; /* entry is one that was not passed yet */
};

/* One name at work. */
struct scan {
	struct worker *w;
	struct dir *d;
	int64_t now_ns;
	const char *name;
	const struct tree_entry *old; /* NULL: not in the last snapshot */
	struct stat st;
	struct tree_entry e;
	bool known;  /* as it was: nothing need be read */
	bool entered; /* a directory that becomes a sub */
};

bool ingest_trusted(const struct tree_entry *old, const struct tree_entry *now)
{
	return !(old->flags & (TREE_RACY | TREE_UNREADABLE)) &&
	    (old->mode & S_IFMT) == (now->mode & S_IFMT) &&
	    old->size == now->size && old->ino == now->ino &&
	    old->mtime_s == now->mtime_s && old->mtime_ns == now->mtime_ns &&
	    old->ctime_s == now->ctime_s && old->ctime_ns == now->ctime_ns;
}

/*
 * A last snapshot that cannot be read is no reason not to make a new one: what
 * is lost there counts as never seen, and is stored again.
 */
static void past_next(struct scan *s, struct past *p)
{
	struct err err;
	int rc = tree_iter_next(&p->iter, &p->entry, NULL, &err);

	p->have = rc == 1;
	if (rc >= 0)
		return;
	ingest_note(s->w, s->d, NULL,
	    "unreadable in the last snapshot; all of it is read again");
	s->d->old = (struct id){ { 0 } };
	s->d->changed = true;
}

/* Passes what is there no more.  NULL when the name is new. */
static const struct tree_entry *past_find(struct scan *s, struct past *p,
    const char *name, size_t len)
{
	int cmp = -1;

	while (p->have && (cmp = tree_name_cmp(p->entry.name,
			       p->entry.name_len, name, len)) < 0) {
		s->d->changed = true;
		past_next(s, p);
	}
	return p->have && cmp == 0 ? &p->entry : NULL;
}

static void take_over_xattrs(struct tree_entry *e, const struct tree_entry *old)
{
	e->flags |= old->flags & XATTR_FLAGS;
	e->xattr_size = old->xattr_size;
	e->xattr = old->xattr;
}

int ingest_xattrs(struct worker *w, const struct dir *d, const char *name,
    int fd, const char *at, struct tree_entry *e, struct err *err)
{
	struct content set;
	int rc = xattr_capture(w->xattrs, fd, at, &set, err);

	if (rc < 0)
		return rc;
	if (rc > 0) {
		ingest_fault(w, d, name, "extended attributes: %s",
		    strerror(rc));
		e->flags |= TREE_RACY;
	}
	capture_set_xattrs(e, &set);
	return 0;
}

/* ---- One name, by its type: 1 recorded, 0 gone, or a negative code ---- */

static int scan_special(struct scan *s, struct err *err)
{
	if (s->known) {
		take_over_xattrs(&s->e, s->old);
		return 1;
	}
	if (capture_racy(&s->st, s->now_ns))
		s->e.flags |= TREE_RACY;
	if (ingest_xattrs(s->w, s->d, s->name, s->d->fd, s->name, &s->e, err))
		return err->code;
	return 1;
}

static int scan_symlink(struct scan *s, char *room, struct err *err)
{
	ssize_t len;

	if (s->known) {
		s->e.target = s->old->target;
		s->e.target_len = s->old->target_len;
		return scan_special(s, err);
	}
	len = readlinkat(s->d->fd, s->name, room, TREE_TARGET_MAX + 1);
	if (len <= 0 || len > TREE_TARGET_MAX) {
		ingest_fault(s->w, s->d, s->name, "readlink: %s",
		    len < 0 ? strerror(errno) : "target of strange length");
		return 0;
	}
	s->e.target = room;
	s->e.target_len = (size_t)len;
	return scan_special(s, err);
}

static int scan_file(struct scan *s, struct err *err)
{
	int rc;

	if (s->known) {
		take_over_xattrs(&s->e, s->old);
		s->e.flags |= s->old->flags & CONTENT_FLAGS;
		s->e.data = s->old->data;
		s->e.content = s->old->content;
		return 1;
	}
	if ((s->e.flags & TREE_LINKED) &&
	    links_known_find(s->w->in->links, &s->e))
		return 1;
	rc = ingest_file(s->w, s->d, s->name, s->old, &s->st, &s->e, err);
	if (rc == 1 && (s->e.flags & TREE_LINKED) &&
	    !(s->e.flags & TREE_UNREADABLE) &&
	    links_known_add(s->w->in->links, &s->e, s->st.st_nlink, err))
		return err->code;
	return rc;
}

/* Words why a directory is left shut, or NULL. */
static const char *shut(const struct scan *s, const struct device *device)
{
	const struct ingest *in = s->w->in;

	for (unsigned i = 0; i < in->n_skip; i++)
		if (s->st.st_dev == in->skip[i].st_dev &&
		    s->st.st_ino == in->skip[i].st_ino)
			return "belongs to the store itself; not entered";
	if (s->st.st_dev == s->d->dev)
		return NULL;
	if (device->ours)
		return "a mount of ieri; not entered";
	if (in->options->one_file_system && !s->d->pick &&
	    s->st.st_dev != s->d->home)
		return "on another file system; not entered";
	return NULL;
}

static int sub_add(struct scan *s, struct err *err)
{
	struct dir *d = s->d;
	struct sub *sub;

	if (d->n_subs == d->cap_subs) {
		uint32_t cap = d->cap_subs ? d->cap_subs * 2 : 8;

		sub = reallocarray(d->subs, cap, sizeof(*sub));
		if (!sub)
			return err_set(err, ERR_NOMEM, "subdirectories");
		d->subs = sub;
		d->cap_subs = cap;
	}
	sub = &d->subs[d->n_subs++];
	memset(sub, 0, sizeof(*sub));
	sub->entry_at = d->entries.len;
	sub->ordinal = d->n_entries;
	if (s->old && tree_is_dir(s->old) && (s->old->flags & TREE_CHUNK))
		sub->id = s->old->content;
	if (!s->known)
		sub->state = SUB_XATTRS;
	return 0;
}

static int scan_dir(struct scan *s, const struct device *device,
    struct err *err)
{
	const char *why = shut(s, device);

	s->d->n_dirs++;
	if (why) {
		ingest_note(s->w, s->d, s->name, why);
		return scan_special(s, err);
	}
	s->entered = true;
	if (s->known)
		take_over_xattrs(&s->e, s->old);
	else if (capture_racy(&s->st, s->now_ns))
		s->e.flags |= TREE_RACY;
	return sub_add(s, err) ? err->code : 1;
}

/* ---- All names ---- */

/*
 * All but names and the flag that is ours; of an entered directory all but
 * what lies beneath.
 */
static bool same_entry(const struct tree_entry *a, const struct tree_entry *b,
    bool entered)
{
	uint32_t differ = (a->flags ^ b->flags) & ~(uint32_t)TREE_RACY;

	if (entered)
		differ &= ~(uint32_t)TREE_CHUNK;
	else if (!id_equal(&a->content, &b->content) ||
	    a->beneath != b->beneath)
		return false;
	return differ == 0 && a->mode == b->mode && a->uid == b->uid &&
	    a->gid == b->gid && a->mtime_s == b->mtime_s &&
	    a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s &&
	    a->ctime_ns == b->ctime_ns && a->ino == b->ino &&
	    a->dev == b->dev && a->size == b->size && a->data == b->data &&
	    a->major == b->major && a->minor == b->minor &&
	    a->xattr_size == b->xattr_size && id_equal(&a->xattr, &b->xattr) &&
	    a->target_len == b->target_len &&
	    (a->target_len == 0 ||
		memcmp(a->target, b->target, a->target_len) == 0);
}

static void count(struct scan *s, bool same)
{
	struct counts *c = &s->w->counts;

	owners_add(&s->w->owners, s->e.uid, s->e.gid);
	if (S_ISDIR(s->e.mode)) {
		c->dirs++;
		return;
	}
	if (S_ISREG(s->e.mode)) {
		c->files++;
		c->bytes += s->e.size;
	} else {
		c->other++;
	}
	if (!s->old)
		c->fresh++;
	else if (same)
		c->unchanged++;
	else
		c->changed++;
}

static int record(struct scan *s, struct err *err)
{
	struct dir *d = s->d;
	bool same = s->old && same_entry(s->old, &s->e, s->entered);

	/* Xattrs still to be read may differ, so they count as different. */
	if (!same || (s->entered && !s->known) ||
	    ((s->old->flags ^ s->e.flags) & TREE_RACY))
		d->changed = true;
	count(s, same);
	if ((s->e.flags & TREE_LINKED) &&
	    links_found_add(&d->links, s->e.dev, s->e.ino, d->n_entries, err))
		return err->code;
	tree_entry_encode(&d->entries, &s->e);
	d->n_entries++;
	return buf_check(&d->entries, err);
}

static int scan_stat(struct scan *s, struct device *device, struct err *err)
{
	*device = s->d->device;
	if (fstatat(s->d->fd, s->name, &s->st,
		AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
		ingest_fault(s->w, s->d, s->name, "%s",
		    errno == ENOENT ? "vanished before it was read"
		                    : strerror(errno));
		return 0;
	}
	if (s->st.st_dev != s->d->dev &&
	    devices_get(&s->w->in->devices, s->st.st_dev,
		s->old ? s->old->dev : DEVICES_NO_HINT, device, err))
		return err->code;
	capture_stat(&s->e, &s->st, device->ordinal);
	s->known = s->old && ingest_trusted(s->old, &s->e);
	return 1;
}

static int scan_name(struct scan *s, size_t len, struct err *err)
{
	char target[TREE_TARGET_MAX + 1];
	struct device device;
	int rc;

	memset(&s->e, 0, sizeof(s->e));
	s->e.name = s->name;
	s->e.name_len = len;
	s->entered = false;
	if (len > TREE_NAME_MAX) {
		ingest_fault(s->w, s->d, s->name, "name of more than %d bytes",
		    TREE_NAME_MAX);
		return 0;
	}
	rc = scan_stat(s, &device, err);
	if (rc == 1) {
		if (S_ISDIR(s->st.st_mode))
			rc = scan_dir(s, &device, err);
		else if (S_ISREG(s->st.st_mode))
			rc = scan_file(s, err);
		else if (S_ISLNK(s->st.st_mode))
			rc = scan_symlink(s, target, err);
		else
			rc = scan_special(s, err);
	}
	if (rc == 0)
		s->d->changed = true;
	return rc == 1 ? record(s, err) : rc;
}

static int list(struct worker *w, struct dir *d, struct err *err)
{
	int rc = 0;

	if (!d->pick)
		return walk_list_read(&w->list, d->fd, err);
	walk_list_reset(&w->list);
	for (const struct pick *p = d->pick->below; p && !rc; p = p->next)
		rc = walk_list_add(&w->list, p->name, strlen(p->name), err);
	walk_list_sort(&w->list);
	return rc;
}

static int scan_all(struct scan *s, struct err *err)
{
	const struct walk_list *names = &s->w->list;
	struct past past = { .have = false };
	int rc = 0;

	tree_iter_init(&past.iter, s->w->in->source, &s->d->old);
	past_next(s, &past);
	for (uint32_t i = 0; i < names->n && !rc; i++) {
		size_t len = names->names[i].len;

		s->name = walk_list_name(names, i);
		s->old = past_find(s, &past, s->name, len);
		rc = scan_name(s, len, err);
		/* Before its page goes: known symlinks borrow from it. */
		if (s->old)
			past_next(s, &past);
		if (!rc)
			rc = ingest_check(s->w, err);
		if (i % TELL_EVERY == TELL_EVERY - 1)
			ingest_tell(s->w);
	}
	if (past.have)
		s->d->changed = true;
	tree_iter_fini(&past.iter);
	ingest_tell(s->w);
	return rc;
}

int ingest_scan(struct worker *w, struct dir *d, struct err *err)
{
	struct scan s = { .w = w, .d = d, .now_ns = io_now_ns() };
	int rc = list(w, d, err);

	if (rc == ERR_NOMEM || rc == ERR_INVALID)
		return rc;
	if (rc)
		return err->sys ? err->sys : EIO;
	rc = scan_all(&s, err);
	walk_list_reset(&w->list);
	return rc;
}
