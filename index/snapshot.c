#include "index/snapshot.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "index/store_private.h"

/* The most of a path that an error shows: its end, where the fault is. */
#define PATH_SHOWN 300

int resource_list(struct store *s, struct resource_row **rows, size_t *n,
    struct err *err)
{
	return db_resource_list(store_db(s), rows, n, err);
}

int resource_find(struct store *s, const char *name, struct resource_row *out,
    struct err *err)
{
	int rc;

	rc = db_resource_find(store_db(s), name, out, err);
	if (rc == ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "no resource %s", name);
	return rc;
}

int snapshot_list(struct store *s, uint32_t resource_no,
    struct snapshot_row **rows, size_t *n, struct err *err)
{
	return db_snapshot_list(store_db(s), resource_no, rows, n, err);
}

/* ---- Opening ---- */

int snapshot_open(struct snapshot **out, struct store *s, uint64_t serial,
    struct err *err)
{
	struct db *db = store_db(s);
	struct snapshot *snap;
	int rc;

	snap = calloc(1, sizeof(*snap));
	if (!snap)
		return err_set(err, ERR_NOMEM, "snapshot");

	rc = db_snapshot_by_serial(db, serial, &snap->row, err);
	if (rc)
		goto out;
	rc = db_snapshot_record(db, serial, &snap->record, &snap->record_len,
	    err);
	if (rc)
		goto out;
	rc = root_decode(&snap->root, snap->record, snap->record_len, err);
	if (rc)
		goto out;
	if (snap->root.serial != serial ||
	    !id_equal(&snap->root.id, &snap->row.id) ||
	    snap->root.resource_no != snap->row.resource_no) {
		rc = err_set(err, ERR_CORRUPT,
		    "the root record is another snapshot's");
		goto out;
	}

	*out = snap;
	snap = NULL;

out:
	if (rc)
		err_wrap(err, "snapshot %llu", (unsigned long long)serial);
	snapshot_close(snap);
	return rc;
}

void snapshot_close(struct snapshot *snap)
{
	if (!snap)
		return;
	free(snap->record);
	free(snap);
}

/* ---- Going down ---- */

static void item_top(struct snapshot_item *out, const struct snapshot *snap)
{
	memset(out, 0, sizeof(*out));
	out->entry = snap->root.top;
}

void snapshot_item_fini(struct snapshot_item *item)
{
	if (!item || !item->iter.src)
		return;
	tree_iter_fini(&item->iter);
	item->iter.src = NULL;
}

/* A directory's top page; zero for an empty one. */
static struct id dir_top(const struct tree_entry *e)
{
	static const struct id zero;

	return e->flags & TREE_CHUNK ? e->content : zero;
}

/*
 * Turns the item, a directory, into the entry that is next in its iterator
 * after a look-up has placed it there.  Numbers: FORMAT.md, section 6.
 */
static int item_enter(struct snapshot_item *item, uint64_t dir_number,
    uint64_t dir_beneath, const struct tree_entry *e, uint64_t before,
    struct err *err)
{
	if (before >= dir_beneath || e->beneath >= dir_beneath - before)
		return err_set(err, ERR_CORRUPT,
		    "a directory holds more than its entry says");
	item->entry = *e;
	item->number = dir_number + 1 + before;
	return 0;
}

/* The next name of a path, or false at its end. */
static bool path_next(const char **path, const char *end, const char **name,
    size_t *len)
{
	const char *p = *path;

	while (p < end && *p == '/')
		p++;
	*name = p;
	while (p < end && *p != '/')
		p++;
	*len = (size_t)(p - *name);
	*path = p;
	return *len != 0;
}

static int walk_failure(enum err_code code, const char *path,
    const char *name_end, const char *words, struct err *err)
{
	size_t len = (size_t)(name_end - path);
	size_t shown = len > PATH_SHOWN ? PATH_SHOWN : len;

	return err_set(err, code, "%s%.*s: %s", shown < len ? "..." : "",
	    (int)shown, name_end - shown, words);
}

static int item_child(struct store *s, struct snapshot_item *item,
    const char *name, size_t len, struct err *err)
{
	struct id top = dir_top(&item->entry);
	uint64_t beneath = item->entry.beneath;
	struct tree_entry e;
	uint64_t before;
	int rc;

	snapshot_item_fini(item);
	rc = tree_find(&item->iter, store_source(s), &top, name, len, &e,
	    &before, err);
	if (rc)
		return rc;
	return item_enter(item, item->number, beneath, &e, before, err);
}

int snapshot_walk(struct store *s, const struct snapshot *snap,
    const char *path, size_t len, struct snapshot_item *out, struct err *err)
{
	const char *next = path;
	const char *end = path + len;
	const char *name;
	size_t name_len;
	int rc = 0;

	item_top(out, snap);
	while (path_next(&next, end, &name, &name_len)) {
		if (name_len == 1 && name[0] == '.')
			continue;
		if (name_len == 2 && name[0] == '.' && name[1] == '.') {
			rc = walk_failure(ERR_INVALID, path, next,
			    "\"..\" leads nowhere in a snapshot", err);
			goto out;
		}
		if (!tree_is_dir(&out->entry)) {
			rc = walk_failure(ERR_NOT_FOUND, path, name,
			    "not a directory", err);
			goto out;
		}
		rc = item_child(s, out, name, name_len, err);
		if (rc == ERR_NOT_FOUND)
			walk_failure(ERR_NOT_FOUND, path, next,
			    "not in the snapshot", err);
		if (rc)
			goto out;
	}

out:
	if (rc)
		snapshot_item_fini(out);
	return rc;
}

/*
 * One step towards `number`, which lies beneath the item: to the entry that is
 * it or has it beneath.
 */
static int item_towards(struct store *s, struct snapshot_item *item,
    uint64_t number, struct err *err)
{
	struct id top = dir_top(&item->entry);
	uint64_t beneath = item->entry.beneath;
	uint64_t offset = number - item->number - 1;
	struct tree_entry e;
	uint64_t before;
	int rc;

	snapshot_item_fini(item);
	tree_iter_init(&item->iter, store_source(s), &top);
	rc = tree_iter_seek_offset(&item->iter, offset, err);
	if (rc)
		return rc;
	rc = tree_iter_next(&item->iter, &e, &before, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || before > offset || e.beneath < offset - before)
		return err_set(err, ERR_CORRUPT,
		    "a directory holds less than its entry says");
	return item_enter(item, item->number, beneath, &e, before, err);
}

int snapshot_at(struct store *s, const struct snapshot *snap, uint64_t number,
    struct snapshot_item *out, uint64_t *parent_number, struct err *err)
{
	uint64_t parent = 0;
	int rc = 0;

	if (number > snap->root.top.beneath)
		return err_set(err, ERR_NOT_FOUND,
		    "no thing has number %llu in the snapshot",
		    (unsigned long long)number);

	item_top(out, snap);
	while (out->number != number) {
		parent = out->number;
		rc = item_towards(s, out, number, err);
		if (rc)
			goto out;
	}
	*parent_number = parent;

out:
	if (rc)
		snapshot_item_fini(out);
	return rc;
}

/* ---- Contents ---- */

struct content tree_content(const struct tree_entry *e)
{
	struct content c = { .kind = CONTENT_NONE };

	if (!S_ISREG(e->mode) || e->size == 0 ||
	    !(e->flags & (TREE_CHUNK | TREE_ROPE)))
		return c;
	c.kind = e->flags & TREE_ROPE ? CONTENT_ROPE : CONTENT_CHUNK;
	c.size = e->size;
	c.id = e->content;
	return c;
}

struct content tree_xattrs(const struct tree_entry *e)
{
	struct content c = { .kind = CONTENT_NONE };

	if (!(e->flags & (TREE_XATTR_CHUNK | TREE_XATTR_ROPE)))
		return c;
	c.kind = e->flags & TREE_XATTR_ROPE ? CONTENT_ROPE : CONTENT_CHUNK;
	c.size = e->xattr_size;
	c.id = e->xattr;
	return c;
}
