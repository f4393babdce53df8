#include "tools/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "index/io.h"
#include "tools/restore_private.h"

#define THREADS_MAX 64

/* ---- Words and counts ---- */

void path_join(struct buf *out, const char *dir, const char *name, size_t len)
{
	size_t dir_len = strlen(dir);

	if (dir_len > PATH_KEPT) {
		buf_put(out, "...", 3);
		dir += dir_len - PATH_KEPT;
		dir_len = PATH_KEPT;
	}
	buf_put(out, dir, dir_len);
	if (dir_len && len)
		buf_u8(out, '/');
	buf_put(out, name, len);
	buf_u8(out, 0);
}

/* A target that takes no more: every further file would fail alike. */
static bool is_fatal(const struct err *err)
{
	return err->code == ERR_NOMEM || err->code == ERR_STOPPED ||
	    err->sys == ENOSPC || err->sys == EDQUOT || err->sys == EROFS;
}

void restore_failed(struct restore *r, const char *path, const char *name,
    size_t name_len, const struct err *err)
{
	struct buf text;

	buf_init(&text);
	path_join(&text, path, name, name_len);
	if (!is_fatal(err)) {
		atomic_fetch_add(&r->failed, 1);
		cli_error(r->cli, "%s: %s",
		    text.oom ? "" : (const char *)text.data, err->msg);
		goto out;
	}
	pthread_mutex_lock(&r->lock);
	if (!r->fatal) {
		r->error = *err;
		if (err->code != ERR_STOPPED && !text.oom)
			err_wrap(&r->error, "%s", (const char *)text.data);
	}
	r->fatal = true;
	pthread_mutex_unlock(&r->lock);
	queue_stop(&r->queue);

out:
	buf_fini(&text);
}

void restore_kept(struct restore *r, const char *path, const char *name,
    size_t name_len)
{
	struct buf text;

	atomic_fetch_add(&r->kept, 1);
	if (!r->cli->verbose)
		return;
	buf_init(&text);
	path_join(&text, path, name, name_len);
	if (!text.oom)
		cli_warn(r->cli, "%s: there already, kept",
		    (const char *)text.data);
	buf_fini(&text);
}

void restore_note(struct restore *r, uint64_t number, unsigned note)
{
	uint64_t key = number << 1 | note;

	pthread_mutex_lock(&r->lock);
	buf_put(&r->noted, &key, sizeof(key));
	pthread_mutex_unlock(&r->lock);
}

bool restore_stopping(const struct restore *r)
{
	return atomic_load_explicit(&r->fatal, memory_order_relaxed) ||
	    cli_stopped();
}

static uint64_t report_unset(struct restore *r)
{
	static const char *const words[UNSETS] = {
		[UNSET_OWNER] = "owners",
		[UNSET_MODE] = "modes",
		[UNSET_SETID] = "set-user-ID or set-group-ID bits",
		[UNSET_ACL] = "ACLs",
		[UNSET_XATTR] = "extended attributes",
		[UNSET_CAPABILITY] = "capabilities",
		[UNSET_TIMES] = "times",
	};
	uint64_t all = 0;

	for (unsigned i = 0; i < UNSETS; i++) {
		uint64_t n = r->unset[i];

		if (n)
			cli_error(r->cli, "%llu %s could not be set: %s",
			    (unsigned long long)n, words[i],
			    strerror(r->unset_errno[i]));
		all += n;
	}
	return all;
}

/* ---- Owners ---- */

static uint32_t number_here(const struct owner *o)
{
	char name[OWNER_NAME_MAX + 1];
	const struct passwd *user;
	const struct group *group;

	memcpy(name, o->name, o->name_len);
	name[o->name_len] = 0;
	if (o->kind == OWNER_USER) {
		user = getpwnam(name);
		return user ? user->pw_uid : o->number;
	}
	group = getgrnam(name);
	return group ? group->gr_gid : o->number;
}

static int map_owners(struct restore *r, struct err *err)
{
	int rc;

	rc = names_init(&r->names, r->store, r->snap, err);
	if (rc)
		return rc;
	r->local = calloc(r->names.n + 1, sizeof(*r->local));
	if (!r->local)
		return err_set(err, ERR_NOMEM, "names of owners");
	for (size_t i = 0; i < r->names.n; i++)
		r->local[i] = r->options.numeric_ids ? r->names.list[i].number :
		    number_here(&r->names.list[i]);
	return 0;
}

/* ---- The target ---- */

struct target {
	struct folder *folder; /* what is filled, or holds the one thing */
	bool ours;             /* the folder itself gets all it had */
	char *name;            /* of the one thing */
};

/* Whether fd lies in the store: what is restored there would ruin it. */
static int check_outside(const struct restore *r, int fd, struct err *err)
{
	struct stat store, here, last = { 0 };
	int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int rc = 0;

	if (up < 0 || stat(store_path(r->store), &store) < 0) {
		rc = err_sys(err, "stat");
		goto out;
	}
	for (;;) {
		int next;

		if (fstat(up, &here) < 0) {
			rc = err_sys(err, "stat");
			goto out;
		}
		if (here.st_dev == store.st_dev &&
		    here.st_ino == store.st_ino) {
			rc = err_set(err, ERR_INVALID, "lies in the store");
			goto out;
		}
		if (here.st_dev == last.st_dev && here.st_ino == last.st_ino)
			goto out;
		last = here;
		next = openat(up, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (next < 0) {
			rc = err_sys(err, "directory above");
			goto out;
		}
		io_close(up);
		up = next;
	}

out:
	io_close(up);
	return rc;
}

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *d;
	bool empty = true;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	if (!dir) {
		io_close(copy);
		return false;
	}
	while (empty && (d = readdir(dir)) != NULL)
		empty = strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

/* A directory for a directory's contents. */
static int open_dir(struct restore *r, const struct place *what,
    const char *dest, struct target *t, struct err *err)
{
	const struct tree_entry *e = &what->item.entry;
	bool fresh;
	int fd;
	int rc;

	fresh = mkdir(dest, 0700) == 0;
	if (!fresh && errno != EEXIST)
		return err_sys(err, "make directory");
	/* Links on the way to dest are the caller's own and are followed. */
	fd = open(dest, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open");
	rc = check_outside(r, fd, err);
	if (rc) {
		io_close(fd);
		if (fresh)
			(void)rmdir(dest); /* as it was, if possible */
		return rc;
	}
	t->ours = fresh || r->options.replace || is_empty(fd);
	rc = folder_new(&t->folder, fd, &e->content, what->item.number,
	    e->subdirs, dest, err);
	if (rc)
		return rc;
	t->folder->fresh = fresh;
	t->folder->clears_acl = folder_inherits_acl(fd);
	return 0;
}

static int target_name(struct target *t, const char *name, size_t len,
    struct err *err)
{
	if (len == 0 || len > TREE_NAME_MAX)
		return err_set(err, ERR_INVALID, "not a name for a file");
	t->name = strndup(name, len);
	return t->name ? 0 : err_set(err, ERR_NOMEM, "name");
}

/* The folder for one thing, and its name there. */
static int open_parent(struct restore *r, const struct place *what,
    const char *dest, struct target *t, struct err *err)
{
	const char *slash = strrchr(dest, '/');
	char *dir = NULL;
	size_t len;
	int fd;
	int rc;

	fd = open(dest, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		const char *name = place_name(what, &len);

		/* A snapshot of one thing has it without a name. */
		rc = len ? target_name(t, name, len, err) :
		    err_set(err, ERR_INVALID, "a directory; name a file in it");
		dir = rc ? NULL : strdup(dest);
	} else {
		const char *name = slash ? slash + 1 : dest;

		rc = target_name(t, name, strlen(name), err);
		dir = !slash ? strdup(".") : slash == dest ? strdup("/") :
		    strndup(dest, (size_t)(slash - dest));
		if (!rc && dir)
			fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (!rc && dir && fd < 0)
			rc = err_sys(err, "open %s", dir);
	}
	if (!rc && !dir)
		rc = err_set(err, ERR_NOMEM, "target");
	if (!rc)
		rc = check_outside(r, fd, err);
	if (!rc) {
		const struct id none = { { 0 } };

		rc = folder_new(&t->folder, fd, &none, 0, 0,
		    strcmp(dir, ".") == 0 ? "" : dir, err);
		fd = -1;
	}
	if (!rc)
		t->folder->clears_acl = folder_inherits_acl(t->folder->fd);
	io_close(fd);
	free(dir);
	return rc;
}

/* ---- The run ---- */

static void *thread_main(void *arg)
{
	struct worker *w = arg;

	queue_work(&w->restore->queue, w);
	return NULL;
}

/* Fills the folder with all threads, this one among them. */
static void run_threads(struct restore *r, struct worker *workers)
{
	unsigned started = 1;

	while (started < r->options.threads &&
	    pthread_create(&workers[started].thread, NULL, thread_main,
	    &workers[started]) == 0)
		started++;
	queue_work(&r->queue, &workers[0]);
	for (unsigned i = 1; i < started; i++)
		pthread_join(workers[i].thread, NULL);
}

static int stopped(struct restore *r, struct err *err)
{
	if (r->fatal) {
		*err = r->error;
		return err->code;
	}
	if (restore_stopping(r))
		return err_set(err, ERR_STOPPED, "stopped by a signal");
	return 0;
}

static int run_dir(struct restore *r, const struct place *what,
    const struct target *t, struct worker *workers, struct err *err)
{
	struct folder *top = t->folder;
	int rc;

	atomic_fetch_add(&r->dirs, 1);
	if (!id_is_zero(&top->top)) {
		queue_ref(&r->queue, &top->work);
		folder_push(r, top);
		run_threads(r, workers);
	}
	rc = stopped(r, err);
	if (rc)
		return rc;
	rc = links_finish(&workers[0], top, err);
	if (!rc)
		rc = stopped(r, err);
	if (!rc)
		rc = dirs_finish(&workers[0], top, &what->item.entry, t->ours,
		    err);
	return rc;
}

static int run_one(struct restore *r, const struct place *what,
    const struct target *t, struct worker *workers, struct err *err)
{
	struct tree_entry e = what->item.entry;

	e.name = t->name;
	e.name_len = strlen(t->name);
	e.flags &= ~(uint32_t)TREE_LINKED; /* it comes alone */
	restore_entry(&workers[0], t->folder, &e, what->item.number);
	run_threads(r, workers); /* a large file left its parts there */
	return stopped(r, err);
}

static int sync_target(const struct target *t, struct err *err)
{
	int fd = openat(t->folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 || syncfs(fd) < 0)
		rc = err_sys(err, "sync");
	io_close(fd);
	return rc;
}

static void count(struct restore *r, struct restore_report *out)
{
	*out = (struct restore_report){
		.files = r->files,
		.dirs = r->dirs,
		.others = r->others,
		.links = r->linked,
		.bytes = r->bytes,
		.kept = r->kept,
		.failed = r->failed,
		.unset = report_unset(r),
	};
}

static int run(struct restore *r, struct place *what, const char *dest,
    struct err *err)
{
	bool dir = tree_is_dir(&what->item.entry);
	struct target t = { .folder = NULL };
	struct worker *workers;
	int rc;

	workers = calloc(r->options.threads, sizeof(*workers));
	if (!workers)
		return err_set(err, ERR_NOMEM, "threads");
	for (unsigned i = 0; i < r->options.threads; i++)
		workers[i].restore = r;

	rc = dir ? open_dir(r, what, dest, &t, err) :
	    open_parent(r, what, dest, &t, err);
	if (rc) {
		err_wrap(err, "%s", dest);
		goto out;
	}
	rc = progress_start(&r->progress, r->cli, "restored", err);
	if (rc)
		goto out;
	if (dir && what->item.number == 0)
		progress_total(r->progress, what->snap->root.n_files,
		    what->snap->root.n_bytes);
	rc = dir ? run_dir(r, what, &t, workers, err) :
	    run_one(r, what, &t, workers, err);
	progress_stop(r->progress);
	r->progress = NULL;
	if (!rc && r->options.sync)
		rc = sync_target(&t, err);

out:
	for (unsigned i = 0; i < r->options.threads; i++)
		free(workers[i].xattrs);
	free(workers);
	folder_free(t.folder);
	free(t.name);
	return rc;
}

static unsigned thread_count(unsigned asked)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (asked == 0)
		asked = cores > 0 ? (unsigned)cores : 1;
	return asked < THREADS_MAX ? asked : THREADS_MAX;
}

int restore_run(const struct cli *cli, struct place *what, const char *dest,
    const struct restore_options *options, struct restore_report *out,
    struct err *err)
{
	struct restore r = { .cli = cli, .options = *options };
	struct rlimit files;
	int rc;

	r.store = what->store;
	r.src = store_source(what->store);
	r.snap = what->snap;
	r.options.threads = thread_count(options->threads);
	pthread_mutex_init(&r.lock, NULL);
	queue_init(&r.queue);
	umask(0);
	/* A deep tree holds a descriptor for each level. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); /* as it is, then */
	}

	rc = links_init(&r.links, err);
	if (!rc)
		rc = map_owners(&r, err);
	if (!rc)
		rc = run(&r, what, dest, err);
	count(&r, out);

	links_fini(&r.links);
	names_fini(&r.names);
	free(r.local);
	buf_fini(&r.noted);
	queue_fini(&r.queue);
	pthread_mutex_destroy(&r.lock);
	return rc;
}
