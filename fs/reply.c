#include "fs/reply.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "fs/log.h"

/* What cat, cp and rsync take as the size of their buffers. */
#define BLKSIZE 131072

/*
 * How long the kernel may keep a dated name, in seconds.  Without it each path
 * that begins above the snapshots costs a request or two for every folder on
 * its way, and cp -a walks five such paths a file.  No ingest is this quick, so
 * nobody who waits for one sees what was before it.
 */
#define A_MOMENT 0.01

/* The one place where our codes become errno. */
static int errno_of(const struct err *err)
{
	switch (err->code) {
	case ERR_NOT_FOUND:
		return ENOENT;
	case ERR_EXISTS:
		return EEXIST;
	case ERR_BUSY:
		return EAGAIN;
	case ERR_NOMEM:
		return ENOMEM;
	case ERR_INVALID:
		return EINVAL;
	case ERR_STOPPED:
		return EINTR;
	case ERR_CORRUPT:
	case ERR_FORMAT:
	case ERR_SYSTEM:
		return EIO;
	}
	return EIO;
}

void reply_failure(fuse_req_t req, const char *op, uint64_t ino,
    const struct err *err)
{
	if (err->code != ERR_NOT_FOUND && err->code != ERR_INVALID)
		log_failure(op, ino, err);
	fuse_reply_err(req, errno_of(err));
}

void reply_gone(fuse_req_t req, const char *op, uint64_t ino,
    const struct err *err)
{
	if (err->code == ERR_NOT_FOUND)
		fuse_reply_err(req, ESTALE);
	else
		reply_failure(req, op, ino, err);
}

void reply_damage(fuse_req_t req, const char *op, uint64_t ino,
    const struct err *err)
{
	log_failure(op, ino, err);
	fuse_reply_err(req, err->code == ERR_NOMEM ? ENOMEM : EIO);
}

/*
 * The kernel keeps a listing while the folder's time stays the same, and a
 * dropped snapshot leaves the newest one's time as it was.  So above the
 * snapshots the nanoseconds, which tell nobody anything there, change with
 * every commit to the store.
 */
static long stamp(const struct mount *m)
{
	struct timespec now;
	struct err err;
	uint64_t version;

	if (store_version(m->store, &version, &err) == 0)
		return (long)(version % 1000000000u);
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_nsec;
}

void attr_of(const struct mount *m, const struct view_node *node,
    struct stat *out)
{
	const struct disguise *d = &m->disguise;

	*out = (struct stat){ 0 };
	out->st_ino = node->ino;
	out->st_mode = node->mode;
	out->st_nlink = node->nlink;
	out->st_uid = d->has_uid ? d->uid : node->uid;
	out->st_gid = d->has_gid ? d->gid : node->gid;
	if (d->has_umask && !S_ISLNK(node->mode))
		out->st_mode &= ~d->umask;
	out->st_rdev = makedev(node->major, node->minor);
	out->st_size = (off_t)node->size;
	out->st_blocks = (blkcnt_t)node->blocks;
	out->st_blksize = BLKSIZE;
	out->st_mtim.tv_sec = node->mtime_s;
	out->st_mtim.tv_nsec = node->mtime_ns;
	out->st_ctim.tv_sec = node->ctime_s;
	out->st_ctim.tv_nsec = node->ctime_ns;
	if (!node->dated && S_ISDIR(node->mode))
		out->st_mtim.tv_nsec = stamp(m);
	/* Access times are not kept. */
	out->st_atim = out->st_mtim;
}

double attr_timeout_of(const struct view_node *node)
{
	return node->dated ? FOR_EVER : A_MOMENT;
}

struct fuse_entry_param entry_of(const struct mount *m,
    const struct view_node *node)
{
	struct fuse_entry_param entry = {
		.ino = node->ino,
		.attr_timeout = attr_timeout_of(node),
		/* A date may mean another snapshot any moment. */
		.entry_timeout = node->dated && !node->snapshot ? FOR_EVER :
								  A_MOMENT,
	};

	attr_of(m, node, &entry.attr);
	return entry;
}

bool is_dated(uint64_t ino)
{
	return ino != VIEW_ROOT && !(ino >> 63);
}
