#include "fs/place.h"

#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each start after a crash used to leave one more; more than this is odd. */
#define DEAD_MAX 16

/* mountinfo writes blanks and backslashes as \040 and the like. */
static void unescape(char *text)
{
	char *write = text;

	for (char *read = text; *read; read++) {
		if (read[0] == '\\' && read[1] >= '0' && read[1] <= '3' &&
		    read[2] >= '0' && read[2] <= '7' && read[3] >= '0' &&
		    read[3] <= '7') {
			*write++ = (char)((read[1] - '0') << 6 |
			    (read[2] - '0') << 3 | (read[3] - '0'));
			read += 3;
		} else {
			*write++ = *read;
		}
	}
	*write = '\0';
}

/* Whether the uppermost mount at path is one of ours; false for none. */
static int is_ours(const char *path, bool *out, struct err *err)
{
	char *line = NULL;
	size_t cap = 0;
	FILE *file;

	*out = false;
	file = fopen("/proc/self/mountinfo", "re");
	if (!file)
		return err_sys(err, "/proc/self/mountinfo");
	while (getline(&line, &cap, file) > 0) {
		char *save = NULL;
		char *field = strtok_r(line, " ", &save);
		char *type;

		/* Fields: id, parent, device, root, mount point, ... */
		for (int i = 0; field && i < 4; i++)
			field = strtok_r(NULL, " ", &save);
		type = field ? strstr(save, " - ") : NULL;
		if (!type)
			continue;
		unescape(field);
		/* Later lines lie on top of earlier ones. */
		if (strcmp(field, path) == 0)
			*out = strncmp(type + 3, "fuse.ieri ", 10) == 0;
	}
	free(line);
	fclose(file);
	return 0;
}

int place_detach(const char *path, struct err *err)
{
	const char *const argv[] = { "fusermount3", "-u", "-q", "-z", "--",
		path, NULL };
	int status;
	pid_t pid;

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return err_sys(err, "unmount");
	if (posix_spawnp(&pid, argv[0], NULL, NULL,
		(char *const *)(uintptr_t)argv, environ) != 0)
		return err_set(err, ERR_SYSTEM, "fusermount3 cannot be run");
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 0)
		return err_set(err, ERR_SYSTEM, "fusermount3 cannot unmount");
	return 0;
}

/*
 * Takes away dead mounts at path.  With the cached attributes of a dead root
 * even a second mount succeeds, on top; only a question to its daemon, as
 * statfs is one, tells.
 */
static int clear_dead(const char *path, struct err *err)
{
	struct statfs fs;
	bool ours;
	int rc;

	for (int i = 0; i < DEAD_MAX; i++) {
		if (statfs(path, &fs) == 0)
			return 0;
		if (errno != ENOTCONN)
			return err_sys(err, "cannot be looked at");
		rc = is_ours(path, &ours, err);
		if (rc)
			return rc;
		if (!ours)
			return err_set(err, ERR_SYSTEM,
			    "a mount of another "
			    "program has died here; unmount it first");
		rc = place_detach(path, err);
		if (rc)
			return err_wrap(err, "a dead mount is here");
	}
	return err_set(err, ERR_SYSTEM, "too many dead mounts here");
}

/* Whether path is dir or lies beneath it. */
static bool is_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 &&
	    (path[len] == '/' || path[len] == '\0');
}

static int check_empty(const char *path, struct err *err)
{
	struct dirent *entry;
	bool empty = true;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return err_sys(err, "mount point");
	while (empty && (entry = readdir(dir)))
		empty = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	if (!empty)
		return err_set(err, ERR_EXISTS,
		    "mount point is not empty (-o nonempty mounts over it)");
	return 0;
}

static int check(const char *path, const char *store, bool nonempty,
    struct err *err)
{
	struct stat st;
	bool ours;
	int rc;

	rc = is_ours(path, &ours, err);
	if (rc)
		return rc;
	if (ours)
		return err_set(err, ERR_EXISTS, "already mounted");
	if (stat(path, &st) < 0)
		return err_sys(err, "mount point");
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID,
		    "mount point is not a directory");
	/* The daemon would wait for itself. */
	if (is_within(store, path))
		return err_set(err, ERR_INVALID,
		    "the mount would hide the store %s", store);
	if (is_within(path, store))
		return err_set(err, ERR_INVALID,
		    "mount point lies in the store %s", store);
	return nonempty ? 0 : check_empty(path, err);
}

int place_check(const char *mountpoint, const char *store, bool nonempty,
    char **out, struct err *err)
{
	char *path;
	int rc;

	path = realpath(mountpoint, NULL);
	if (!path)
		return err_sys(err, "mount point");
	rc = clear_dead(path, err);
	if (!rc)
		rc = check(path, store, nonempty, err);
	if (rc) {
		free(path);
		return rc;
	}
	*out = path;
	return 0;
}
