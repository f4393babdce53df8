#include "index/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/io.h"
#include "index/store_private.h"

void store_dirs_close(struct store_dirs *d)
{
	io_close(d->top);
	io_close(d->packs);
	io_close(d->roots);
	io_close(d->run);
	io_close(d->tmp);
	*d = (struct store_dirs){ -1, -1, -1, -1, -1 };
}

static int config_read(struct config *out, int top, struct err *err)
{
	uint8_t *data = NULL;
	size_t len;
	int rc;

	rc = io_read_file(top, "config", CONFIG_SIZE, &data, &len, err);
	if (rc == ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND,
		    "not an ieri store: it has no config");
	if (rc == ERR_INVALID)
		rc = err_set(err, ERR_CORRUPT, "longer than %d bytes",
		    CONFIG_SIZE);
	if (!rc)
		rc = config_decode(out, data, len, err);
	free(data);
	if (rc)
		return err_wrap(err, "config");
	return 0;
}

static int folders_open(struct store_dirs *d, struct err *err)
{
	const struct {
		const char *name;
		int *fd;
	} folders[] = {
		{ "packs", &d->packs },
		{ "roots", &d->roots },
		{ "run", &d->run },
		{ "tmp", &d->tmp },
	};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		int rc = io_open_dir(folders[i].fd, d->top, folders[i].name,
		    err);

		/* The store is there, but a part of it is not. */
		if (rc == ERR_NOT_FOUND)
			return err_set(err, ERR_CORRUPT,
			    "its folder %s is missing", folders[i].name);
		if (rc)
			return rc;
	}
	return 0;
}

static int top_open(struct store_dirs *d, const char *path, char **path_abs,
    struct err *err)
{
	*path_abs = realpath(path, NULL);
	if (!*path_abs && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "no such directory");
	if (!*path_abs)
		return err_sys(err, "open");
	d->top = open(*path_abs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->top < 0 && errno == ENOTDIR)
		return err_set(err, ERR_NOT_FOUND,
		    "not an ieri store: it is no directory");
	if (d->top < 0)
		return err_sys(err, "open");
	return 0;
}

int store_dirs_open(struct store_dirs *out, const char *path, char **path_abs,
    struct config *config, struct err *err)
{
	int rc;

	*out = (struct store_dirs){ -1, -1, -1, -1, -1 };
	*path_abs = NULL;
	rc = top_open(out, path, path_abs, err);
	if (!rc)
		rc = config_read(config, out->top, err);
	if (!rc)
		rc = folders_open(out, err);
	if (rc) {
		store_dirs_close(out);
		free(*path_abs);
		*path_abs = NULL;
		return err_wrap(err, "store %s", path);
	}
	return 0;
}

/* Absolute even where it does not exist yet, as before a rebuild. */
int store_index_dir(char **out, const char *path_abs,
    const struct store_options *options, struct err *err)
{
	const char *named = options ? options->index_dir : NULL;
	char cwd[PATH_MAX];
	int n;

	*out = NULL;
	if (!named) {
		n = asprintf(out, "%s/index", path_abs);
	} else if (named[0] == '/') {
		n = asprintf(out, "%s", named);
	} else {
		if (!getcwd(cwd, sizeof(cwd)))
			return err_sys(err, "current directory");
		n = asprintf(out, "%s/%s", cwd, named);
	}
	if (n < 0) {
		*out = NULL;
		return err_set(err, ERR_NOMEM, "name of the index");
	}
	return 0;
}

static int index_stat(const struct store *s, struct stat *st, struct err *err)
{
	char *name;
	int rc = 0;

	if (asprintf(&name, "%s/index.db", s->index_dir) < 0)
		return err_set(err, ERR_NOMEM, "name of the index");
	if (stat(name, st) < 0)
		rc = err_sys(err, "%s", name);
	free(name);
	return rc;
}

int store_index_current(const struct store *s, struct err *err)
{
	struct stat st;
	int rc;

	rc = index_stat(s, &st, err);
	if (rc == 0 && (st.st_dev != s->index_dev || st.st_ino != s->index_ino))
		rc = ERR_NOT_FOUND;
	if (rc == ERR_NOT_FOUND)
		return err_set(err, ERR_BUSY,
		    "the index was rebuilt meanwhile; open the store again");
	return rc;
}

/* The words say what to do: an index is never the only copy of anything. */
static int index_open(struct store *s, struct err *err)
{
	struct stat st;
	struct err why;
	int rc;

	/* Before opening: a database that is replaced in between is then
	 * found to be another one, not taken for the same. */
	rc = index_stat(s, &st, err);
	if (!rc) {
		s->index_dev = st.st_dev;
		s->index_ino = st.st_ino;
		rc = db_open(&s->db, s->index_dir, "index.db", s->config.uuid,
		    false, err);
	}
	if (rc == ERR_NOT_FOUND)
		return err_set(err, ERR_CORRUPT,
		    "index %s is missing; run: ieri rebuild-index",
		    s->index_dir);
	if (rc == ERR_CORRUPT) {
		why = *err;
		return err_set(err, ERR_CORRUPT,
		    "index %s is damaged (%.200s); run: ieri rebuild-index",
		    s->index_dir, why.msg);
	}
	if (rc)
		return err_wrap(err, "index %s", s->index_dir);
	rc = idtable_open(&s->ids, s->index_dir, s->db, s->config.uuid, err);
	if (rc)
		return err_wrap(err, "index %s", s->index_dir);
	return 0;
}

static int parts_open(struct store *s, const struct store_options *options,
    struct err *err)
{
	size_t cache_bytes = options ? options->cache_bytes : 0;
	int rc;

	rc = store_index_dir(&s->index_dir, s->path, options, err);
	if (!rc)
		rc = index_open(s, err);
	if (!rc)
		rc = cache_new(&s->cache,
		    cache_bytes ? cache_bytes : STORE_CACHE_DEFAULT, err);
	if (!rc)
		rc = packset_new(&s->packs, s->dirs.packs, s->db,
		    s->config.uuid, err);
	return rc;
}

int store_open(struct store **out, const char *path,
    const struct store_options *options, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	struct err ignored;
	int rc;

	if (!s)
		return err_set(err, ERR_NOMEM, "store");
	pthread_mutex_init(&s->readers_lock, NULL);
	pthread_mutex_init(&s->ids_lock, NULL);
	store_source_init(s);
	rc = store_dirs_open(&s->dirs, path, &s->path, &s->config, err);
	if (!rc) {
		rc = parts_open(s, options, err);
		if (rc)
			err_wrap(err, "store %s", path);
	}
	if (rc) {
		store_close(s);
		return rc;
	}

	/* What dead sessions left disturbs no reader, and who may only read
	 * cannot clear it away; the next writer must, and reports failures. */
	(void)store_recover(s, false, &ignored);
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	cache_free(s->cache);
	packset_free(s->packs);
	readers_free(s);
	idtable_close(s->ids);
	db_close(s->db);
	store_dirs_close(&s->dirs);
	pthread_mutex_destroy(&s->readers_lock);
	pthread_mutex_destroy(&s->ids_lock);
	free(s->path);
	free(s->index_dir);
	free(s);
}

const struct config *store_config(const struct store *s)
{
	return &s->config;
}

const char *store_path(const struct store *s)
{
	return s->path;
}

const struct chunk_source *store_source(struct store *s)
{
	return &s->source;
}

struct db *store_db(struct store *s)
{
	return s->db;
}

int store_version(struct store *s, uint64_t *out, struct err *err)
{
	return db_version(s->db, out, err);
}
