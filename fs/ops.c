#include "fs/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "fs/listing.h"
#include "fs/read.h"
#include "fs/reply.h"
#include "fs/xattr.h"

/* The kernel's defaults, 12 and 9, starve several readers at once. */
#define BACKGROUND_MAX 64
#define CONGESTION 48

static void op_init(void *user, struct fuse_conn_info *conn)
{
	struct mount *m = user;

	conn->max_read = OPS_READ_MAX;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = CONGESTION;
	/* Splicing is for writers. */
	conn->want &= ~(unsigned)FUSE_CAP_SPLICE_READ;
	/*
	 * The kernel's own choice asks for attributes with the first part of a
	 * directory only, and then for one name at a time: twenty thousand
	 * requests instead of thirty for a directory of that size.
	 */
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	conn->want |= conn->capable &
	    (FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_CACHE_SYMLINKS |
		FUSE_CAP_READDIRPLUS | FUSE_CAP_AUTO_INVAL_DATA);
	m->no_open = conn->capable & FUSE_CAP_NO_OPEN_SUPPORT;
	m->no_opendir = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
}

/* "." and ".." come for handles of NFS clients; "." of any thing. */
static int lookup(struct mount *m, uint64_t dir, const char *name,
    struct view_node *out, struct err *err)
{
	uint64_t parent;
	int rc;

	if (strcmp(name, ".") == 0)
		return view_get(m->view, dir, out, err);
	if (strcmp(name, "..") == 0) {
		rc = view_parent(m->view, dir, &parent, err);
		return rc ? rc : view_get(m->view, parent, out, err);
	}
	return view_lookup(m->view, dir, name, strlen(name), out, err);
}

static void op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	struct mount *m = fuse_req_userdata(req);
	struct fuse_entry_param entry;
	struct view_node node;
	struct err err;
	int rc;

	rc = lookup(m, dir, name, &node, &err);
	if (!rc) {
		entry = entry_of(m, &node);
		fuse_reply_entry(req, &entry);
	} else if (rc == ERR_NOT_FOUND && is_dated(dir)) {
		/* What is not in a snapshot will never be: keep that, too. */
		entry = (struct fuse_entry_param){ .entry_timeout = FOR_EVER };
		fuse_reply_entry(req, &entry);
	} else {
		reply_failure(req, "lookup", dir, &err);
	}
}

/* The nodeid holds all there is to know, so nothing is to be forgotten. */
static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	(void)ino;
	(void)n;
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
    struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
    struct fuse_file_info *info)
{
	struct mount *m = fuse_req_userdata(req);
	struct view_node node;
	struct stat st;
	struct err err;

	(void)info;
	if (view_get(m->view, ino, &node, &err)) {
		reply_gone(req, "getattr", ino, &err);
		return;
	}
	attr_of(m, &node, &st);
	fuse_reply_attr(req, &st, attr_timeout_of(&node));
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = fuse_req_userdata(req);
	struct err err;
	char *target;

	if (view_readlink(m->view, ino, &target, &err)) {
		reply_gone(req, "readlink", ino, &err);
		return;
	}
	fuse_reply_readlink(req, target);
	free(target);
}

/*
 * "No such operation" tells the kernel not to ask again, and to keep what it
 * has read: a file read twice costs no request the second time.
 */
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct mount *m = fuse_req_userdata(req);

	(void)ino;
	if (m->no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	info->keep_cache = 1;
	fuse_reply_open(req, info);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
    struct fuse_file_info *info)
{
	struct mount *m = fuse_req_userdata(req);

	(void)ino;
	if (m->no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	info->keep_cache = 1;
	info->cache_readdir = 1;
	fuse_reply_open(req, info);
}

/* df shows the file system that the store fills. */
static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = fuse_req_userdata(req);
	struct statvfs st;

	(void)ino;
	if (statvfs(store_path(m->store), &st) < 0) {
		fuse_reply_err(req, EIO);
		return;
	}
	st.f_namemax = TREE_NAME_MAX;
	fuse_reply_statfs(req, &st);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = op_open,
	.opendir = op_opendir,
	.read = read_reply,
	.lseek = read_seek,
	.readdir = listing_reply,
	.readdirplus = listing_reply_plus,
	.getxattr = xattr_get,
	.listxattr = xattr_list,
	.statfs = op_statfs,
};
