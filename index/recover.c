#include "index/store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "index/io.h"
#include "index/pack.h"
#include "index/root.h"

#define RECOVER_LOCK "recover.lock"

/* ---- Locks ---- */

void session_lock_name(uint64_t session, char name[SESSION_NAME_SIZE])
{
	snprintf(name, SESSION_NAME_SIZE, "%" PRIu64 ".lock", session);
}

int store_lock(int *out, int run_dir, bool exclusive, struct err *err)
{
	int how = exclusive ? LOCK_EX : LOCK_SH;
	int fd;
	int rc;

	fd = openat(run_dir, STORE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "open %s", STORE_LOCK);
	do
		rc = flock(fd, how | LOCK_NB);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		if (errno == EWOULDBLOCK)
			rc = err_set(err, ERR_BUSY, exclusive ?
			        "sessions are at work" :
			        "the index is being rebuilt");
		else
			rc = err_sys(err, "lock %s", STORE_LOCK);
		io_close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

/*
 * The lock is tried shared, so that two who ask at once do not take each other
 * for the session.  It makes its lock before its row and removes it after: a
 * row without a lock file is a dead one's too.
 */
int session_is_dead(struct store *s, uint64_t session, bool *dead,
    struct err *err)
{
	char name[SESSION_NAME_SIZE];
	int fd;
	int rc;

	*dead = true;
	session_lock_name(session, name);
	fd = openat(s->dirs.run, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open %s", name);
	do
		rc = flock(fd, LOCK_SH | LOCK_NB);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		*dead = false;
		rc = errno == EWOULDBLOCK ? 0 : err_sys(err, "lock %s", name);
	}
	io_close(fd);
	return rc;
}

/* ---- What a dead session left ---- */

int each_file(int at, const char *folder,
    int (*act)(void *ctx, int dir, const char *name, struct err *err),
    void *ctx, struct err *err)
{
	struct dirent *d;
	DIR *dir;
	int rc;
	int fd;

	rc = io_open_dir(&fd, at, folder, err);
	if (rc)
		return rc;
	dir = fdopendir(fd);
	if (!dir) {
		rc = err_sys(err, "read %s", folder);
		io_close(fd);
		return rc;
	}
	for (;;) {
		errno = 0;
		d = readdir(dir);
		if (!d) {
			if (errno)
				rc = err_sys(err, "read %s", folder);
			break;
		}
		if (d->d_name[0] == '.')
			continue;
		rc = act(ctx, fd, d->d_name, err);
		if (rc)
			break;
	}
	closedir(dir);
	return rc;
}

struct dead {
	struct store *s;
	uint64_t session;
};

static int remove_tmp(void *ctx, int dir, const char *name, struct err *err)
{
	const struct dead *dead = ctx;
	char prefix[SESSION_NAME_SIZE];

	snprintf(prefix, sizeof(prefix), "%" PRIu64 ".", dead->session);
	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return 0;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove tmp/%s", name);
	return 0;
}

bool pack_name_parse(struct id *out, const char *name)
{
	char hex[ID_HEX];
	struct err ignored;

	if (strlen(name) != ID_HEX - 1 + 5 ||
	    strcmp(name + ID_HEX - 1, ".pack") != 0)
		return false;
	memcpy(hex, name, ID_HEX - 1);
	hex[ID_HEX - 1] = '\0';
	return id_parse(out, hex, &ignored) == 0;
}

int pack_row_add(struct db *db, const struct pack_table *t, uint64_t session,
    const uint8_t *table, size_t len, struct err *err)
{
	const struct pack_row row = {
		.no = t->no,
		.id = t->id,
		.kind = (int)t->kind,
		.state = PACK_LIVE,
		.size = t->size,
		.n_blocks = t->n_blocks,
		.n_chunks = t->n_chunks,
		.session = session,
	};

	return db_pack_add(db, &row, table, len, err);
}

static int pack_adopt(struct db *db, const struct pack *p, struct err *err)
{
	uint8_t *bytes = NULL;
	size_t len;
	int rc;

	rc = pack_table_bytes(p, &bytes, &len, err);
	if (!rc)
		rc = pack_row_add(db, pack_table(p), pack_info(p)->session,
		    bytes, len, err);
	free(bytes);
	return rc;
}

/*
 * A pack that was sealed but not yet entered: its bytes are durable, so the
 * next session need not write them again.
 */
static int adopt_file(void *ctx, int dir, const char *name, struct err *err)
{
	const struct dead *dead = ctx;
	struct store *s = dead->s;
	struct pack *p = NULL;
	struct pack_row row;
	struct id id;
	int rc;

	(void)dir; /* pack_open goes by the id */
	if (!pack_name_parse(&id, name))
		return 0;
	rc = db_pack_by_id(s->db, &id, &row, err);
	if (rc != ERR_NOT_FOUND)
		return rc;

	/* What cannot be read is left for people to look at. */
	rc = pack_open(&p, s->dirs.packs, &id, s->config.uuid, err);
	if (rc)
		return rc == ERR_NOMEM ? rc : 0;
	if (pack_info(p)->session == dead->session) {
		rc = db_begin(s->db, err);
		if (!rc) {
			rc = pack_adopt(s->db, p, err);
			if (!rc)
				rc = db_commit(s->db, err);
			db_abort(s->db);
		}
	}
	pack_close(p);
	return rc;
}

/* A root record whose snapshot was never committed, if it is this session's. */
static int remove_root(void *ctx, int dir, const char *name, struct err *err)
{
	const struct dead *dead = ctx;
	struct snapshot_row row;
	uint8_t *data = NULL;
	struct err ignored;
	struct root root;
	struct id id;
	size_t len;
	int rc;

	if (id_parse(&id, name, &ignored))
		return 0;
	rc = db_snapshot_by_id(dead->s->db, &id, &row, err);
	if (rc != ERR_NOT_FOUND)
		return rc;
	rc = io_read_file(dir, name, ROOT_RECORD_MAX, &data, &len, err);
	if (rc)
		return rc == ERR_NOT_FOUND || rc == ERR_INVALID ? 0 : rc;
	rc = root_decode(&root, data, len, &ignored);
	if (!rc && root.session == dead->session &&
	    id_equal(&root.id, &id) &&
	    memcmp(root.uuid, dead->s->config.uuid, 16) == 0 &&
	    unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		rc = err_sys(err, "remove roots/%s", name);
	else
		rc = 0;
	free(data);
	return rc;
}

static int remove_row(struct store *s, uint64_t session, struct err *err)
{
	int rc;

	rc = db_begin(s->db, err);
	if (rc)
		return rc;
	rc = db_session_remove(s->db, session, err);
	if (!rc)
		rc = db_commit(s->db, err);
	db_abort(s->db);
	return rc;
}

/*
 * The row goes last: until then a recovery that dies is done again from the
 * start.  The folder of the root records is synced before, so that no record
 * comes back after nobody is left who would remove it.
 */
static int recover_session(struct store *s, uint64_t session, struct err *err)
{
	struct dead dead = { .s = s, .session = session };
	char name[SESSION_NAME_SIZE];
	struct session_row row;
	char folder[4];
	int rc;

	/* It may have ended well between the list and the look at its lock. */
	rc = db_session_find(s->db, session, &row, err);
	if (rc)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	rc = each_file(s->dirs.tmp, ".", remove_tmp, &dead, err);
	for (unsigned i = 0; i < 256 && !rc; i++) {
		snprintf(folder, sizeof(folder), "%02x", i);
		rc = each_file(s->dirs.packs, folder, adopt_file, &dead, err);
	}
	if (!rc)
		rc = each_file(s->dirs.roots, ".", remove_root, &dead, err);
	if (!rc && fsync(s->dirs.roots) < 0)
		rc = err_sys(err, "fsync roots");
	if (!rc)
		rc = remove_row(s, session, err);
	if (rc)
		return err_wrap(err, "clear away session %" PRIu64, session);

	/* A lock nobody's row names is harmless and found by nobody. */
	session_lock_name(session, name);
	(void)unlinkat(s->dirs.run, name, 0);
	return 0;
}

/* With `act` recovers each dead session, otherwise only counts them. */
static int each_dead(struct store *s, bool act, size_t *n_dead,
    struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	int rc;

	*n_dead = 0;
	rc = db_session_list(s->db, &rows, &n, err);
	for (size_t i = 0; i < n && !rc; i++) {
		bool dead;

		rc = session_is_dead(s, rows[i].id, &dead, err);
		if (rc || !dead)
			continue;
		++*n_dead;
		if (act)
			rc = recover_session(s, rows[i].id, err);
	}
	free(rows);
	return rc;
}

int store_recover(struct store *s, bool wait, struct err *err)
{
	size_t n_dead;
	int lock = -1;
	int rc;

	rc = each_dead(s, false, &n_dead, err);
	if (rc || n_dead == 0)
		return rc;
	rc = io_lock(&lock, s->dirs.run, RECOVER_LOCK, wait, err);
	if (rc)
		return rc;
	rc = each_dead(s, true, &n_dead, err);
	io_close(lock);
	if (!rc)
		rc = idtable_refresh(s->ids, err);
	return rc;
}
