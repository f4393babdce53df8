#include "fs/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chunker/buf.h"
#include "fs/ops.h"
#include "fs/reply.h"
#include "index/blob.h"

/* The one shape both questions have: a size to be told, or bytes that fit. */
static void reply_sized(fuse_req_t req, const void *data, size_t len,
    size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, data, len);
}

/*
 * The set of attributes of a thing.  0 and *out NULL when it has none; a
 * negative value after it has replied with a failure.
 */
static int load(fuse_req_t req, fuse_ino_t ino, const char *op, uint8_t **out,
    size_t *len)
{
	struct mount *m = fuse_req_userdata(req);
	struct view_node node;
	struct err err;
	int rc;

	*out = NULL;
	*len = 0;
	if (m->no_xattr) {
		fuse_reply_err(req, ENOSYS);
		return ERR_INVALID;
	}
	rc = view_get(m->view, ino, &node, &err);
	if (rc) {
		reply_gone(req, op, ino, &err);
		return rc;
	}
	if (node.xattrs.kind == CONTENT_NONE)
		return 0;
	rc = blob_get(m->src, &node.xattrs, XATTR_SET_MAX, out, len, &err);
	if (rc)
		reply_damage(req, op, ino, &err);
	return rc;
}

void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	size_t name_len = strlen(name);
	struct xattr_iter iter;
	struct xattr x;
	struct err err;
	uint8_t *set;
	size_t len;
	int rc;

	if (load(req, ino, "getxattr", &set, &len))
		return;
	if (!set) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	rc = xattr_iter_init(&iter, set, len, &err);
	if (!rc)
		while ((rc = xattr_iter_next(&iter, &x, &err)) == 1)
			if (x.name_len == name_len &&
			    memcmp(x.name, name, name_len) == 0)
				break;
	if (rc < 0)
		reply_damage(req, "getxattr", ino, &err);
	else if (rc == 0)
		fuse_reply_err(req, ENODATA);
	else
		reply_sized(req, x.value, x.value_len, size);
	free(set);
}

void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct xattr_iter iter;
	struct buf names;
	struct xattr x;
	struct err err;
	uint8_t *set;
	size_t len;
	int rc;

	if (load(req, ino, "listxattr", &set, &len))
		return;
	if (!set) {
		reply_sized(req, NULL, 0, size);
		return;
	}
	buf_init(&names);
	rc = xattr_iter_init(&iter, set, len, &err);
	if (!rc)
		while ((rc = xattr_iter_next(&iter, &x, &err)) == 1) {
			buf_put(&names, x.name, x.name_len);
			buf_u8(&names, 0);
		}
	if (!rc)
		rc = buf_check(&names, &err);
	if (rc)
		reply_damage(req, "listxattr", ino, &err);
	else
		reply_sized(req, names.data, names.len, size);
	buf_fini(&names);
	free(set);
}
