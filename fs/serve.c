#include "fs/serve.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/crew.h"
#include "fs/fuse.h"
#include "fs/log.h"
#include "fs/notify.h"
#include "fs/ops.h"
#include "fs/place.h"

struct serve {
	struct mount mount;
	struct fuse_session *session;
	struct crew *crew;
	char *store;      /* absolute */
	char *mountpoint; /* absolute */
	dev_t device;     /* of the mount, once it answers */
	bool mounted;
	bool closed; /* the kernel has closed the connection */
};

static int open_store(struct serve *s, const struct options *o, struct err *err)
{
	struct store_options store = {
		.index_dir = o->index_dir,
		.cache_bytes = o->cache_bytes,
	};
	struct view_options view = { .only = o->only };
	int rc;

	rc = store_open(&s->mount.store, s->store, &store, err);
	if (!rc)
		rc = view_open(&s->mount.view, s->mount.store, &view, err);
	if (rc)
		return rc;
	s->mount.src = store_source(s->mount.store);
	s->mount.disguise = o->disguise;
	s->mount.no_xattr = o->no_xattr;
	return 0;
}

/* Builds the argument vector that libfuse reads its mount options from. */
static int session_args(const struct serve *s, const struct options *o,
    struct fuse_args *args)
{
	char limit[32];
	char *list = NULL;
	char *name = NULL;
	int rc;

	snprintf(limit, sizeof(limit), "max_read=%u", OPS_READ_MAX);
	if (asprintf(&name, "fsname=%s", s->store) < 0)
		return -1;
	rc = fuse_opt_add_opt(&list, "ro,nosuid,nodev,default_permissions") ||
	    fuse_opt_add_opt(&list, "subtype=ieri") ||
	    fuse_opt_add_opt(&list, limit) ||
	    fuse_opt_add_opt_escaped(&list, name) ||
	    (o->allow_other && fuse_opt_add_opt(&list, "allow_other")) ||
	    (o->noexec && fuse_opt_add_opt(&list, "noexec")) ||
	    fuse_opt_add_arg(args, "ieri-mount") ||
	    fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, list) ||
	    (o->debug && fuse_opt_add_arg(args, "-d"));
	free(list);
	free(name);
	return rc;
}

static int mount_it(struct serve *s, const struct options *o, struct err *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int rc = 0;

	if (session_args(s, o, &args)) {
		rc = err_set(err, ERR_NOMEM, "mount options");
		goto out;
	}
	s->session = fuse_session_new(&args, &ops_table, sizeof(ops_table),
	    &s->mount);
	s->mount.session = s->session;
	if (!s->session || fuse_session_mount(s->session, s->mountpoint)) {
		rc = err_set(err, ERR_SYSTEM, "%s",
		    *log_library_words() ? log_library_words() :
					   "libfuse could not mount");
		goto out;
	}
	s->mounted = true;

out:
	fuse_opt_free_args(&args);
	return rc;
}

/*
 * The kernel reads ahead 128 KiB unless told otherwise, and only the
 * administrator may: an ordinary user's mount does without.
 */
static void widen_readahead(dev_t device)
{
	char path[80];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
	    major(device), minor(device));
	file = fopen(path, "we");
	if (!file)
		return;
	fputs("1024", file);
	fclose(file);
}

/* Waits for the first answer, which comes after the handshake. */
static int await_answer(struct serve *s, struct err *err)
{
	struct statx st;

	if (statx(AT_FDCWD, s->mountpoint, AT_STATX_FORCE_SYNC,
		STATX_BASIC_STATS, &st) < 0)
		return err_sys(err, "the mount does not answer");
	s->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	widen_readahead(s->device);
	return 0;
}

/* Whether the uppermost mount here is still this one. */
static bool is_uppermost(const struct serve *s)
{
	struct statx st;

	return statx(AT_FDCWD, s->mountpoint, AT_STATX_DONT_SYNC, 0, &st) ==
	    0 &&
	    makedev(st.stx_dev_major, st.stx_dev_minor) == s->device;
}

/* Takes the mount out of the tree; users inside keep it alive. */
static void detach(struct serve *s)
{
	struct err err;

	/* A mount that never answered has no known device. */
	if (!s->mounted || (s->device && !is_uppermost(s)))
		return;
	s->mounted = false;
	if (place_detach(s->mountpoint, &err))
		log_line("%s: %s", s->mountpoint, err.msg);
}

/* Serves until the kernel has no more use for us, or signals end it. */
static void attend(struct serve *s)
{
	while (crew_wait(s->crew) == CREW_SIGNAL) {
		if (!s->mounted)
			return;
		notify_service("STOPPING=1");
		detach(s);
		/* Not ours to take away: ending is all that can be done. */
		if (s->mounted)
			return;
	}
	/* Unmounted by somebody else, or by us and everybody has left. */
	s->mounted = false;
	s->closed = true;
}

static void fini(struct serve *s)
{
	if (s->mounted)
		detach(s);
	crew_free(s->crew);
	/*
	 * While the connection is open libfuse would unmount whatever is at
	 * the mount point by now, somebody else's mount perhaps.  Once it is
	 * closed it only frees what it has.
	 */
	if (s->closed)
		fuse_session_unmount(s->session);
	if (s->session)
		fuse_session_destroy(s->session);
	view_close(s->mount.view);
	store_close(s->mount.store);
	ahead_fini(&s->mount.ahead);
	free(s->mountpoint);
	free(s->store);
}

int serve_run(const struct options *o, serve_ready_fn *ready, void *ctx,
    struct err *err)
{
	struct serve s = { 0 };
	int rc;

	ahead_init(&s.mount.ahead);
	s.store = realpath(o->store, NULL);
	if (!s.store) {
		rc = err_sys(err, "store %s", o->store);
		goto out;
	}
	rc = place_check(o->mountpoint, s.store, o->nonempty, &s.mountpoint,
	    err);
	if (!rc)
		rc = open_store(&s, o, err);
	/* From here on a signal must not leave a dead mount behind. */
	if (!rc)
		rc = crew_block_signals(err);
	if (!rc)
		rc = mount_it(&s, o, err);
	if (!rc)
		rc = crew_new(&s.crew, s.session, err);
	if (!rc)
		rc = await_answer(&s, err);
	if (rc)
		goto out;
	ready(ctx);
	notify_service("READY=1");
	attend(&s);

out:
	fini(&s);
	return rc;
}
