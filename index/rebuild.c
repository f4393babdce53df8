#include "index/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/io.h"
#include "index/pack.h"
#include "index/rebuild_private.h"
#include "index/root.h"

/* One transaction takes in so many packs or root records. */
#define TX_STEP 256

static void raise_u64(uint64_t *most, uint64_t v)
{
	if (v > *most)
		*most = v;
}

/* ---- Names ---- */

static int list_add(struct name_list *l, const struct id *id, struct err *err)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		struct id *wider = realloc(l->ids, cap * sizeof(*wider));

		if (!wider)
			return err_set(err, ERR_NOMEM, "list of files");
		l->ids = wider;
		l->cap = cap;
	}
	l->ids[l->n++] = *id;
	return 0;
}

static int list_pack(void *ctx, int dir, const char *name, struct err *err)
{
	struct id id;

	(void)dir;
	return pack_name_parse(&id, name) ? list_add(ctx, &id, err) : 0;
}

static int list_root(void *ctx, int dir, const char *name, struct err *err)
{
	struct err ignored;
	struct id id;

	(void)dir;
	return id_parse(&id, name, &ignored) ? 0 : list_add(ctx, &id, err);
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct id));
}

/* In the order of their names, so that two rebuilds give the same. */
static void list_sort(struct name_list *l)
{
	if (l->n)
		qsort(l->ids, l->n, sizeof(*l->ids), by_id);
}

/*
 * Calls act for each name, TX_STEP of them in one transaction.  A failure of
 * act ends it all; what is merely damaged act counts and lets pass.
 */
static int each_name(struct rebuild *r, const struct name_list *l,
    bool report,
    int (*act)(struct rebuild *r, const struct id *id, struct err *err),
    struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < l->n && !rc; i++) {
		if (i % TX_STEP == 0)
			rc = db_begin(r->db, err);
		if (!rc)
			rc = act(r, &l->ids[i], err);
		if (!rc && report && r->progress)
			r->progress(r->ctx, i + 1, l->n);
		if (!rc && (i % TX_STEP == TX_STEP - 1 || i == l->n - 1))
			rc = db_commit(r->db, err);
	}
	if (rc)
		db_abort(r->db);
	return rc;
}

/* ---- Packs ---- */

int rebuild_pack_add(struct rebuild *r, const struct pack_table *t,
    uint64_t session, const uint8_t *table, size_t len, struct err *err)
{
	int rc;

	/* Two packs of one number cannot both be had; one is a stranger. */
	if (pinned_find(r->known, t->no, NULL)) {
		r->report.packs_lost++;
		return 0;
	}
	rc = pack_row_add(r->db, t, session, table, len, err);
	if (!rc)
		rc = pinned_add(r->known, t->no, &t->id, err);
	if (rc)
		return rc;
	raise_u64(&r->session, session);
	raise_u64(&r->pack_no, t->no);
	r->report.packs++;
	r->report.chunks += t->n_chunks;
	return 0;
}

static int pack_whole(struct rebuild *r, const struct pack *p,
    struct err *err)
{
	uint8_t *table = NULL;
	size_t len;
	int rc;

	rc = pack_table_bytes(p, &table, &len, err);
	if (!rc)
		rc = rebuild_pack_add(r, pack_table(p), pack_info(p)->session,
		    table, len, err);
	free(table);
	return rc;
}

static int pack_take(struct rebuild *r, const struct id *id, struct err *err)
{
	struct pack *p = NULL;
	int rc;

	rc = pack_open(&p, r->dirs.packs, id, r->config.uuid, err);
	if (rc == 0)
		rc = pack_whole(r, p, err);
	else if (rc != ERR_NOMEM)
		rc = list_add(&r->broken, id, err);
	pack_close(p);
	return rc;
}

static int packs_take(struct rebuild *r, struct err *err)
{
	struct name_list all = { .n = 0 };
	char folder[4];
	int rc = 0;

	for (unsigned i = 0; i < 256 && !rc; i++) {
		snprintf(folder, sizeof(folder), "%02x", i);
		rc = each_file(r->dirs.packs, folder, list_pack, &all, err);
		/* A folder that is gone took its packs along. */
		if (rc == ERR_NOT_FOUND)
			rc = 0;
	}
	list_sort(&all);
	if (!rc)
		rc = each_name(r, &all, true, pack_take, err);
	free(all.ids);
	return rc;
}

/* ---- Root records ---- */

/* Numbers and names of resources belong together one to one. */
static int number_is_free(struct rebuild *r, uint32_t no, bool *free_no,
    struct err *err)
{
	struct resource_row *rows = NULL;
	size_t n = 0;
	int rc;

	rc = db_resource_list(r->db, &rows, &n, err);
	*free_no = true;
	for (size_t i = 0; i < n && !rc; i++)
		if (rows[i].no == no)
			*free_no = false;
	db_resources_free(rows, n);
	return rc;
}

/* *fits false: another record has said something else of this resource. */
static int resource_take(struct rebuild *r, const struct root *root,
    bool *fits, struct err *err)
{
	char name[RESOURCE_NAME_MAX + 1];
	struct resource_row row;
	uint32_t no;
	int rc;

	memcpy(name, root->resource, root->resource_len);
	name[root->resource_len] = '\0';
	rc = db_resource_find(r->db, name, &row, err);
	if (rc == 0) {
		*fits = row.no == root->resource_no;
		free(row.name);
		return 0;
	}
	if (rc != ERR_NOT_FOUND)
		return rc;
	rc = number_is_free(r, root->resource_no, fits, err);
	if (rc || !*fits)
		return rc;
	rc = db_resource_add(r->db, name, root->resource_no, &no, err);
	if (rc != ERR_INVALID)
		return rc;
	*fits = false;
	return 0;
}

/* Counts the snapshot as damaged when a pack it may need is not there. */
static void packs_look(struct rebuild *r, const struct root *root)
{
	bool whole = true;

	for (size_t i = 0; i < root->n_packs; i++) {
		struct root_pack listed = root_pack_at(root, i);
		struct id id;

		raise_u64(&r->pack_no, listed.no);
		if (!pinned_find(r->known, listed.no, &id) ||
		    !id_equal(&id, &listed.id))
			whole = false;
	}
	if (!whole)
		r->report.snapshots_damaged++;
}

static int snapshot_take(struct rebuild *r, const struct root *root,
    const uint8_t *record, size_t len, struct err *err)
{
	const struct snapshot_row row = {
		.serial = root->serial,
		.id = root->id,
		.resource_no = root->resource_no,
		.time_ns = root->time_ns,
		.end_ns = root->end_ns,
		.utc_offset = root->utc_offset,
		.n_files = root->n_files,
		.n_dirs = root->n_dirs,
		.n_other = root->n_other,
		.n_bytes = root->n_bytes,
		.n_added = root->n_added,
		.n_faults = root->n_faults,
	};
	struct snapshot_row other;
	bool fits = false;
	int rc;

	rc = db_snapshot_by_serial(r->db, root->serial, &other, err);
	if (rc == ERR_NOT_FOUND)
		rc = resource_take(r, root, &fits, err);
	if (rc)
		return rc;
	if (!fits) {
		r->report.snapshots_damaged++;
		return 0;
	}
	rc = db_snapshot_add(r->db, &row, record, len, err);
	if (rc)
		return rc;
	r->report.snapshots++;
	raise_u64(&r->serial, root->serial);
	raise_u64(&r->session, root->session);
	packs_look(r, root);
	return 0;
}

/* A record that cannot be read stays where it is, for people to look at. */
static int root_take(struct rebuild *r, const struct id *id, struct err *err)
{
	uint8_t *data = NULL;
	char name[ID_HEX];
	struct root root;
	size_t len;
	int rc;

	rc = io_read_file(r->dirs.roots, id_hex(id, name), ROOT_RECORD_MAX,
	    &data, &len, err);
	if (!rc)
		rc = root_decode(&root, data, len, err);
	if (!rc && (!id_equal(&root.id, id) ||
	    memcmp(root.uuid, r->config.uuid, sizeof(root.uuid)) != 0))
		rc = err_set(err, ERR_CORRUPT, "record of another snapshot");
	if (!rc)
		rc = snapshot_take(r, &root, data, len, err);
	else if (rc != ERR_NOMEM) {
		r->report.snapshots_damaged++;
		rc = 0;
	}
	free(data);
	return rc;
}

static int roots_take(struct rebuild *r, struct err *err)
{
	struct name_list all = { .n = 0 };
	int rc;

	rc = each_file(r->dirs.roots, ".", list_root, &all, err);
	list_sort(&all);
	if (!rc)
		rc = each_name(r, &all, false, root_take, err);
	free(all.ids);
	return rc;
}

/* ---- The whole ---- */

static int index_dir_open(struct rebuild *r,
    const struct store_options *options, struct err *err)
{
	int rc;

	rc = store_index_dir(&r->index_dir, r->path, options, err);
	if (rc)
		return rc;
	if (mkdir(r->index_dir, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make %s", r->index_dir);
	return io_open_dir(&r->index_fd, AT_FDCWD, r->index_dir, err);
}

static int fill_new(struct rebuild *r, struct err *err)
{
	int rc;

	rc = index_new_clear(r->index_fd, err);
	if (!rc)
		rc = db_open(&r->db, r->index_dir, INDEX_NEW, r->config.uuid,
		    true, err);
	if (!rc)
		rc = packs_take(r, err);
	if (!rc && r->broken.n)
		rc = rebuild_broken(r, err);
	if (!rc)
		rc = roots_take(r, err);
	if (!rc)
		rc = db_begin(r->db, err);
	if (rc)
		return rc;
	rc = db_reserve(r->db, r->serial, r->session,
	    (uint32_t)r->pack_no, err);
	if (!rc)
		rc = db_commit(r->db, err);
	db_abort(r->db);
	if (!rc)
		rc = db_checkpoint(r->db, 0, err);
	return rc;
}

/* Names of sessions begin with their number; none of them is at work. */
static int remove_dead(void *ctx, int dir, const char *name, struct err *err)
{
	(void)ctx;
	if (name[0] >= '0' && name[0] <= '9' && unlinkat(dir, name, 0) < 0 &&
	    errno != ENOENT)
		return err_sys(err, "remove %s", name);
	return 0;
}

/* The id table would be made by the next who opens the store; better now. */
static int ids_make(struct rebuild *r, struct err *err)
{
	struct idtable *ids = NULL;
	struct db *db = NULL;
	int rc;

	rc = db_open(&db, r->index_dir, "index.db", r->config.uuid, false,
	    err);
	if (!rc)
		rc = idtable_open(&ids, r->index_dir, db, r->config.uuid, err);
	if (!rc)
		rc = idtable_publish(ids, err);
	idtable_close(ids);
	db_close(db);
	return rc;
}

static int rebuild_locked(struct rebuild *r,
    const struct store_options *options, struct err *err)
{
	int rc;

	rc = index_dir_open(r, options, err);
	if (!rc)
		rc = pinned_new(&r->known, err);
	if (!rc)
		rc = fill_new(r, err);
	db_close(r->db);
	r->db = NULL;
	if (!rc)
		rc = index_swap(r->index_fd, err);
	if (!rc)
		rc = each_file(r->dirs.tmp, ".", remove_dead, NULL, err);
	if (!rc)
		rc = each_file(r->dirs.run, ".", remove_dead, NULL, err);
	if (!rc)
		rc = ids_make(r, err);
	return rc;
}

int store_rebuild(const char *path, const struct store_options *options,
    void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
    struct rebuild_report *out, struct err *err)
{
	struct rebuild r = {
		.index_fd = -1,
		.progress = progress,
		.ctx = ctx,
	};
	int lock = -1;
	int rc;

	rc = store_dirs_open(&r.dirs, path, &r.path, &r.config, err);
	if (rc)
		return rc;
	rc = store_lock(&lock, r.dirs.run, true, err);
	if (!rc)
		rc = rebuild_locked(&r, options, err);
	if (!rc)
		*out = r.report;

	io_close(lock);
	io_close(r.index_fd);
	pinned_free(r.known);
	free(r.broken.ids);
	store_dirs_close(&r.dirs);
	free(r.index_dir);
	free(r.path);
	if (rc)
		return err_wrap(err, "rebuild of %s", path);
	return 0;
}
