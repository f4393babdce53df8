#include "index/rebuild_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CACHE_BYTES (16u << 20)

/* A store over the new index, to read the bases of blocks from. */
struct rescue {
	struct store store; /* its folders and database are the rebuild's */
	char *dir;          /* holds the id table, until the end */
};

static int remove_file(void *ctx, int dir, const char *name, struct err *err)
{
	(void)ctx;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove %s", name);
	return 0;
}

static void rescue_close(struct rescue *a)
{
	struct store *s = &a->store;
	struct err ignored;

	cache_free(s->cache);
	packset_free(s->packs);
	readers_free(s);
	idtable_close(s->ids);
	pthread_mutex_destroy(&s->readers_lock);
	pthread_mutex_destroy(&s->ids_lock);
	/* What stays behind there is overwritten, and used by nobody. */
	(void)each_file(s->dirs.tmp, "ids", remove_file, NULL, &ignored);
	(void)unlinkat(s->dirs.tmp, "ids", AT_REMOVEDIR);
	free(a->dir);
}

/* On failure too it is to be closed. */
static int rescue_open(struct rescue *a, struct rebuild *r, struct err *err)
{
	struct store *s = &a->store;
	int rc;

	*a = (struct rescue){ .dir = NULL };
	s->config = r->config;
	s->dirs = r->dirs;
	s->db = r->db;
	pthread_mutex_init(&s->readers_lock, NULL);
	pthread_mutex_init(&s->ids_lock, NULL);
	store_source_init(s);
	if (asprintf(&a->dir, "%s/tmp", r->path) < 0) {
		a->dir = NULL;
		return err_set(err, ERR_NOMEM, "name of a folder");
	}
	rc = cache_new(&s->cache, CACHE_BYTES, err);
	if (!rc)
		rc = packset_new(&s->packs, s->dirs.packs, s->db,
		    s->config.uuid, err);
	if (!rc)
		rc = idtable_open(&s->ids, a->dir, s->db, s->config.uuid, err);
	/* One that a rebuild which died has left knows other packs. */
	if (!rc)
		rc = idtable_rebuild(s->ids, err);
	return rc;
}

static int scanned_enter(struct rebuild *r, struct rescue *a,
    const struct pack_table *t, struct err *err)
{
	uint8_t *table = NULL;
	size_t len;
	int rc;

	rc = pack_table_encode(t, r->config.uuid, &table, &len, err);
	if (rc)
		return rc;
	rc = db_begin(r->db, err);
	if (!rc)
		rc = rebuild_pack_add(r, t, 0, table, len, err);
	if (!rc)
		rc = db_commit(r->db, err);
	if (rc)
		db_abort(r->db);
	free(table);
	if (rc)
		return rc;
	r->report.packs_scanned++;
	return idtable_refresh(a->store.ids, err);
}

/*
 * Reads one pack through.  *left: it has blocks whose bases are not known, and
 * may be worth another look later; with `last` it is taken as it is.
 */
static int scan(struct rebuild *r, struct rescue *a, const struct id *id,
    bool last, bool *left, struct err *err)
{
	struct pack_table t;
	uint32_t lacking = 0;
	int rc;

	*left = false;
	rc = pack_scan(&t, r->dirs.packs, id, r->config.uuid, &r->config.key,
	    &a->store.source, &lacking, err);
	if (rc == ERR_NOMEM)
		return rc;
	if (lacking && !last) {
		*left = true;
		if (!rc)
			pack_table_fini(&t);
		return 0;
	}
	if (rc) {
		r->report.packs_lost++;
		return 0;
	}
	rc = scanned_enter(r, a, &t, err);
	pack_table_fini(&t);
	return rc;
}

/*
 * A broken pack may lean on another one.  So they are gone through again as
 * long as that brings one more to light, and what is left then is taken as it
 * is.
 */
int rebuild_broken(struct rebuild *r, struct err *err)
{
	struct name_list *l = &r->broken;
	struct rescue a;
	bool last = false;
	int rc;

	rc = rescue_open(&a, r, err);
	while (!rc && l->n) {
		size_t n = 0;

		for (size_t i = 0; i < l->n && !rc; i++) {
			bool left = false;

			rc = scan(r, &a, &l->ids[i], last, &left, err);
			if (left)
				l->ids[n++] = l->ids[i];
		}
		last = n == l->n;
		l->n = n;
	}
	rescue_close(&a);
	return rc;
}
