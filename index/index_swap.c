#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/io.h"
#include "index/store_private.h"

#define OLD_MAX 100000

/*
 * What belongs to an index.  The id table goes first and the database last: a
 * table that stayed behind would be taken for the new database's own.
 */
static const char *const parts[] = { "ids", "index.db-shm", "index.db-wal",
	"index.db" };

#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static const char *const leftovers[] = { INDEX_NEW, INDEX_NEW "-wal",
	INDEX_NEW "-shm" };

#define N_LEFTOVERS (sizeof(leftovers) / sizeof(leftovers[0]))

int index_new_clear(int index_dir, struct err *err)
{
	for (size_t i = 0; i < N_LEFTOVERS; i++)
		if (unlinkat(index_dir, leftovers[i], 0) < 0 &&
		    errno != ENOENT)
			return err_sys(err, "remove %s", leftovers[i]);
	return 0;
}

/* *out stays -1 when there is nothing to be moved. */
static int old_make(int index_dir, int *out, struct err *err)
{
	char name[32];
	struct stat st;
	size_t n = 0;

	for (size_t i = 0; i < N_PARTS; i++)
		if (fstatat(index_dir, parts[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			n++;
	if (n == 0)
		return 0;
	for (unsigned i = 1; i < OLD_MAX; i++) {
		snprintf(name, sizeof(name), "old-%u", i);
		if (mkdirat(index_dir, name, 0700) == 0)
			return io_open_dir(out, index_dir, name, err);
		if (errno != EEXIST)
			return err_sys(err, "make %s", name);
	}
	return err_set(err, ERR_EXISTS, "too many old indexes");
}

/* The old one is out of the way, durably, before the new one takes its name. */
static int old_move(int index_dir, struct err *err)
{
	int old = -1;
	int rc;

	rc = old_make(index_dir, &old, err);
	if (rc || old < 0)
		return rc;
	for (size_t i = 0; i < N_PARTS && !rc; i++)
		if (renameat(index_dir, parts[i], old, parts[i]) < 0 &&
		    errno != ENOENT)
			rc = err_sys(err, "move %s", parts[i]);
	if (!rc && fsync(old) < 0)
		rc = err_sys(err, "fsync the old index");
	if (!rc && fsync(index_dir) < 0)
		rc = err_sys(err, "fsync directory of the index");
	io_close(old);
	return rc;
}

/* The new database alone, all of its log copied into it. */
static int new_check(int index_dir, struct err *err)
{
	struct stat st;
	int fd;

	if (fstatat(index_dir, INDEX_NEW "-wal", &st, 0) == 0 && st.st_size)
		return err_set(err, ERR_SYSTEM,
		    "the new index has a log that was not copied");
	for (size_t i = 1; i < N_LEFTOVERS; i++)
		if (unlinkat(index_dir, leftovers[i], 0) < 0 &&
		    errno != ENOENT)
			return err_sys(err, "remove %s", leftovers[i]);
	fd = openat(index_dir, INDEX_NEW, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", INDEX_NEW);
	return io_sync_close(fd, err);
}

int index_swap(int index_dir, struct err *err)
{
	int rc;

	rc = new_check(index_dir, err);
	if (!rc)
		rc = old_move(index_dir, err);
	if (!rc)
		rc = io_rename_durable(index_dir, INDEX_NEW, index_dir,
		    "index.db", err);
	return rc;
}
