#include "fs/listing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ops.h"
#include "fs/reply.h"

/* The offsets that "." and ".." take before the view's own. */
#define OWN_OFFSETS 2

struct listing {
	fuse_req_t req;
	struct mount *mount;
	bool plus;
	char *data;
	size_t len;
	size_t size;
};

/*
 * "." and ".." are known to the kernel already: the entry's ino of 0 asks it
 * to take no reference, while attr brings the number to show.
 */
static bool add_dot(struct listing *l, const char *name, uint64_t ino,
    off_t next)
{
	struct fuse_entry_param entry = { 0 };
	size_t room = l->size - l->len;
	size_t need;

	entry.attr.st_ino = ino;
	entry.attr.st_mode = S_IFDIR;
	if (l->plus)
		need = fuse_add_direntry_plus(l->req, l->data + l->len, room,
		    name, &entry, next);
	else
		need = fuse_add_direntry(l->req, l->data + l->len, room, name,
		    &entry.attr, next);
	if (need > room)
		return false;
	l->len += need;
	return true;
}

static bool add_entry(void *ctx, const char *name, size_t len,
    const struct view_node *node, uint64_t next_offset)
{
	off_t next = (off_t)(next_offset + OWN_OFFSETS);
	struct listing *l = ctx;
	struct fuse_entry_param entry;
	char text[TREE_NAME_MAX + 1];
	size_t room = l->size - l->len;
	struct stat st;
	size_t need;

	/* One name the kernel refuses would hide the whole directory. */
	if (len == 0 || len > TREE_NAME_MAX)
		return true;
	memcpy(text, name, len);
	text[len] = '\0';
	if (l->plus) {
		need = fuse_add_direntry_plus(l->req, NULL, 0, text, NULL, 0);
		if (need > room)
			return false;
		entry = entry_of(l->mount, node);
		if (node->bare)
			entry.ino = 0; /* the kernel will ask when it must */
		fuse_add_direntry_plus(l->req, l->data + l->len, room, text,
		    &entry, next);
	} else {
		st.st_ino = node->ino;
		st.st_mode = node->mode;
		need = fuse_add_direntry(l->req, l->data + l->len, room, text,
		    &st, next);
		if (need > room)
			return false;
	}
	l->len += need;
	return true;
}

/* ".." first: finding it tells whether the directory is still there. */
static int fill(struct listing *l, uint64_t ino, uint64_t offset,
    struct err *err)
{
	struct mount *m = l->mount;
	uint64_t parent;
	int rc;

	if (offset < OWN_OFFSETS) {
		rc = view_parent(m->view, ino, &parent, err);
		if (rc)
			return rc;
		if (offset == 0 && !add_dot(l, ".", ino, 1))
			return 0;
		if (!add_dot(l, "..", parent, OWN_OFFSETS))
			return 0;
		offset = OWN_OFFSETS;
	}
	return view_readdir(m->view, ino, offset - OWN_OFFSETS, add_entry, l,
	    err);
}

static void reply(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
    bool plus)
{
	struct listing l = {
		.req = req,
		.mount = fuse_req_userdata(req),
		.plus = plus,
		.size = size,
	};
	struct err err;
	int rc;

	l.data = malloc(size);
	if (!l.data) {
		err_set(&err, ERR_NOMEM, "%zu bytes of listing", size);
		reply_failure(req, "readdir", ino, &err);
		return;
	}
	/*
	 * Damage further on: what was found goes out first, and the next
	 * request, which begins there, tells of it.
	 */
	rc = fill(&l, ino, (uint64_t)offset, &err);
	if (rc && l.len == 0)
		reply_gone(req, "readdir", ino, &err);
	else
		fuse_reply_buf(req, l.data, l.len);
	free(l.data);
	if (!rc && l.len == 0)
		ahead_listed(l.mount, ino);
}

void listing_reply(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
    struct fuse_file_info *info)
{
	(void)info;
	reply(req, ino, size, offset, false);
}

void listing_reply_plus(fuse_req_t req, fuse_ino_t ino, size_t size,
    off_t offset, struct fuse_file_info *info)
{
	(void)info;
	reply(req, ino, size, offset, true);
}
