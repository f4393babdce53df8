#include "index/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/config.h"
#include "index/date.h"
#include "index/db.h"
#include "index/io.h"

/* In the order of making; removed in the opposite one. */
static const char *const folders[] = { "packs", "roots", "index", "run",
	"tmp" };

#define N_FOLDERS (sizeof(folders) / sizeof(folders[0]))

static int dir_is_empty(int fd, bool *out, struct err *err)
{
	struct dirent *d;
	DIR *dir;
	int copy;

	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return err_sys(err, "open");
	dir = fdopendir(copy);
	if (!dir) {
		io_close(copy);
		return err_sys(err, "read directory");
	}
	*out = true;
	errno = 0;
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			*out = false;
	if (errno) {
		err_sys(err, "read directory");
		closedir(dir);
		return err->code;
	}
	closedir(dir);
	return 0;
}

/* The directory the store's own name stands in. */
static int sync_parent(int top, struct err *err)
{
	int fd = -1;
	int rc;

	rc = io_open_dir(&fd, top, "..", err);
	if (!rc)
		rc = io_sync_close(fd, err);
	return rc;
}

/* *made: the directory was not there before. */
static int top_make(int *out, const char *path, bool *made, struct err *err)
{
	bool empty = true;
	int rc;

	*made = mkdir(path, 0700) == 0;
	if (!*made && errno != EEXIST)
		return err_sys(err, "make directory");
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out < 0 && errno == ENOTDIR)
		return err_set(err, ERR_EXISTS,
		    "it exists and is no directory");
	if (*out < 0)
		return err_sys(err, "open");
	if (*made)
		return sync_parent(*out, err);
	rc = dir_is_empty(*out, &empty, err);
	if (rc)
		return rc;
	if (!empty)
		return err_set(err, ERR_EXISTS, "directory is not empty");
	return 0;
}

static int sync_folder(int at, const char *name, struct err *err)
{
	int fd = -1;
	int rc;

	rc = io_open_dir(&fd, at, name, err);
	if (!rc)
		rc = io_sync_close(fd, err);
	return rc;
}

/* All are made before any is synced: one journal commit then serves them. */
static int folders_make(int top, struct err *err)
{
	char name[16];
	int rc = 0;

	for (size_t i = 0; i < N_FOLDERS; i++)
		if (mkdirat(top, folders[i], 0700) < 0)
			return err_sys(err, "make %s", folders[i]);
	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "packs/%02x", i);
		if (mkdirat(top, name, 0700) < 0)
			return err_sys(err, "make %s", name);
	}
	for (unsigned i = 0; i < 256 && !rc; i++) {
		snprintf(name, sizeof(name), "packs/%02x", i);
		rc = sync_folder(top, name, err);
	}
	for (size_t i = 0; i < N_FOLDERS && !rc; i++)
		rc = sync_folder(top, folders[i], err);
	if (!rc && fsync(top) < 0)
		rc = err_sys(err, "fsync");
	return rc;
}

static int index_make(int top, const char *path, const struct config *config,
    struct err *err)
{
	struct db *db = NULL;
	char *dir = NULL;
	int rc;

	if (asprintf(&dir, "%s/index", path) < 0)
		return err_set(err, ERR_NOMEM, "name of the index");
	rc = db_open(&db, dir, "index.db", config->uuid, true, err);
	db_close(db);
	free(dir);
	if (!rc)
		rc = sync_folder(top, "index", err);
	return rc;
}

/* The config comes last: what has none is no store yet. */
static int config_make(int top, const struct config *config, struct err *err)
{
	uint8_t data[CONFIG_SIZE];
	int tmp = -1;
	int rc;

	config_encode(config, data);
	rc = io_open_dir(&tmp, top, "tmp", err);
	if (!rc)
		rc = io_publish(tmp, "config", top, "config", data,
		    sizeof(data), true, err);
	io_close(tmp);
	return rc;
}

static void remove_files(int top, const char *folder)
{
	struct dirent *d;
	DIR *dir;
	int fd = openat(top, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		io_close(fd);
		return;
	}
	while ((d = readdir(dir))) {
		if (unlinkat(fd, d->d_name, 0) < 0)
			(void)unlinkat(fd, d->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

/*
 * Takes back what a failed init made, as far as it goes, so that it can be
 * tried again.  The failure itself has been recorded; one here adds nothing.
 */
static void undo(int top, const char *path, bool made)
{
	remove_files(top, "index");
	remove_files(top, "tmp");
	remove_files(top, "packs");
	for (size_t i = N_FOLDERS; i-- > 0;)
		(void)unlinkat(top, folders[i], AT_REMOVEDIR);
	if (made)
		(void)rmdir(path);
}

static void trim(char *text)
{
	text[strcspn(text, " \t\r\n")] = '\0';
}

/* Where Debian and its kin, and then everybody else, write the zone's name. */
static void machine_zone(char out[CONFIG_ZONE_MAX + 1])
{
	const char *tz = getenv("TZ");
	char target[PATH_MAX];
	const char *name = NULL;
	ssize_t n;
	FILE *f;

	out[0] = '\0';
	if (tz && tz[0] == ':')
		tz++;
	if (tz && tz[0] && tz[0] != '/' && strlen(tz) <= CONFIG_ZONE_MAX) {
		strcpy(out, tz);
		return;
	}
	n = readlink("/etc/localtime", target, sizeof(target) - 1);
	if (n > 0) {
		target[n] = '\0';
		name = strstr(target, "zoneinfo/");
	}
	if (name)
		snprintf(out, CONFIG_ZONE_MAX + 1, "%s",
		    name + strlen("zoneinfo/"));
	if (out[0])
		return;
	f = fopen("/etc/timezone", "re");
	if (f) {
		if (!fgets(out, CONFIG_ZONE_MAX + 1, f))
			out[0] = '\0';
		fclose(f);
		trim(out);
	}
	if (!out[0])
		strcpy(out, "UTC");
}

static int fill_store(int top, const char *path, const struct config *config,
    struct err *err)
{
	int rc;

	rc = folders_make(top, err);
	if (!rc)
		rc = index_make(top, path, config, err);
	if (!rc)
		rc = config_make(top, config, err);
	return rc;
}

int store_init(const char *path, const char *zone, struct err *err)
{
	char machine[CONFIG_ZONE_MAX + 1];
	struct config config;
	int64_t now = io_now_ns();
	bool made = false;
	int32_t offset;
	int top = -1;
	int rc;

	if (!zone) {
		machine_zone(machine);
		zone = machine;
	}
	rc = date_offset(zone, now, &offset, err);
	if (!rc)
		rc = config_new(&config, zone, now, err);
	if (rc)
		return rc;

	rc = top_make(&top, path, &made, err);
	if (rc == 0) {
		rc = fill_store(top, path, &config, err);
		if (rc)
			undo(top, path, made);
	}
	io_close(top);
	if (rc)
		return err_wrap(err, "store %s", path);
	return 0;
}
