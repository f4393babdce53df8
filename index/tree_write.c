#include "index/tree.h"

#include <stdlib.h>

#include "chunker/sum.h"
#include "index/tree_private.h"

/* The page of one level that is still open, and what it covers. */
struct open_page {
	struct buf bytes;
	uint32_t count;
	uint64_t entries; /* of the directory, beneath this page */
	uint64_t span;
	bool ended;    /* the next entry begins a new page */
	bool followed; /* a page of this level has been written */
	size_t last_len;
	char last[TREE_NAME_MAX];
};

struct tree_writer {
	const struct page_params *params;
	const struct chunk_sink *sink;
	uint64_t entries;
	uint64_t span;
	uint32_t subdirs;
	bool broken; /* the sink refused a page: the directory has a hole */
	struct open_page page[TREE_LEVELS_MAX];
};

static void page_begin(struct open_page *p, int level)
{
	tree_page_begin(&p->bytes, level);
	p->count = 0;
	p->entries = 0;
	p->span = 0;
	p->ended = false;
}

static void writer_begin(struct tree_writer *w)
{
	w->entries = 0;
	w->span = 0;
	w->subdirs = 0;
	w->broken = false;
	for (int i = 0; i < TREE_LEVELS_MAX; i++) {
		w->page[i].count = 0;
		w->page[i].ended = false;
		w->page[i].followed = false;
		w->page[i].last_len = 0;
	}
}

int tree_writer_new(struct tree_writer **out, const struct page_params *params,
    const struct chunk_sink *sink, struct err *err)
{
	struct tree_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return err_set(err, ERR_NOMEM, "directory writer");
	w->params = params;
	w->sink = sink;
	for (int i = 0; i < TREE_LEVELS_MAX; i++)
		buf_init(&w->page[i].bytes);
	writer_begin(w);
	*out = w;
	return 0;
}

void tree_writer_free(struct tree_writer *w)
{
	if (!w)
		return;
	for (int i = 0; i < TREE_LEVELS_MAX; i++)
		buf_fini(&w->page[i].bytes);
	free(w);
}

static int page_put(
    struct tree_writer *w, struct open_page *p, struct id *out, struct err *err)
{
	int rc = buf_check(&p->bytes, err);

	if (rc)
		return rc;
	tree_page_seal(&p->bytes, p->count);
	return chunk_put(
	    w->sink, ID_TREE, p->bytes.data, p->bytes.len, out, err);
}

/* Accounts for an entry whose bytes have just been appended to the page. */
static void page_note(struct tree_writer *w, int level, const char *name,
    size_t len, uint64_t entries, uint64_t span)
{
	uint64_t mask = ((uint64_t)1 << w->params->page_bits) - 1;
	uint64_t seed = w->params->cut_key + (uint64_t)level;
	struct open_page *p = &w->page[level];

	memcpy(p->last, name, len);
	p->last_len = len;
	p->count++;
	p->entries += entries;
	p->span += span;
	p->ended = p->bytes.len >= w->params->page_max ||
		   (p->bytes.len >= w->params->page_min &&
		       !(sum64_seeded(name, len, seed) & mask));
}

/*
 * Writes the open page of this level and names it in the level above, which
 * must have room for one more entry.
 */
static int page_hand_up(struct tree_writer *w, int level, struct err *err)
{
	struct open_page *p = &w->page[level];
	struct open_page *up = p + 1;
	struct tree_inner inner;
	int rc;

	inner.name = p->last;
	inner.name_len = p->last_len;
	inner.entries = p->entries;
	inner.span = p->span;
	rc = page_put(w, p, &inner.id, err);
	if (rc)
		return rc;

	if (up->count == 0)
		page_begin(up, level + 1);
	tree_inner_encode(&up->bytes, &inner);
	page_note(w, level + 1, p->last, p->last_len, p->entries, p->span);
	p->count = 0;
	p->ended = false;
	p->followed = true;
	return 0;
}

/*
 * Makes room for one more entry in this level.  A page that has ended stays
 * open until an entry follows, because only then is it known not to be the top.
 */
static int page_turn(struct tree_writer *w, int level, struct err *err)
{
	int free_level = level;
	int rc;

	while (free_level < TREE_LEVELS_MAX && w->page[free_level].ended)
		free_level++;
	if (free_level >= TREE_LEVELS_MAX)
		return err_set(err, ERR_INVALID,
		    "directory needs more than %d levels of pages",
		    TREE_LEVELS_MAX);
	while (free_level-- > level) {
		rc = page_hand_up(w, free_level, err);
		if (rc)
			return rc;
	}
	return 0;
}

static uint64_t entry_beneath(const struct tree_entry *e)
{
	return tree_is_dir(e) ? e->beneath : 0;
}

static int entry_check(
    const struct tree_writer *w, const struct tree_entry *e, struct err *err)
{
	const struct open_page *leaf = &w->page[0];
	const char *complaint = tree_entry_complaint(e, false);

	if (complaint)
		return err_set(err, ERR_INVALID, "entry with %s", complaint);
	if (tree_name_order(leaf->last, leaf->last_len, e->name, e->name_len) >=
	    0)
		return err_set(err, ERR_INVALID, "names do not rise");
	if (w->span >= TREE_BENEATH_MAX - entry_beneath(e) ||
	    w->subdirs == UINT32_MAX)
		return err_set(err, ERR_INVALID, "too many entries");
	return 0;
}

int tree_writer_add(
    struct tree_writer *w, const struct tree_entry *e, struct err *err)
{
	struct open_page *leaf = &w->page[0];
	int rc;

	rc = entry_check(w, e, err);
	if (rc)
		return rc;
	rc = page_turn(w, 0, err);
	if (rc)
		goto out;

	if (leaf->count == 0)
		page_begin(leaf, 0);
	tree_entry_encode(&leaf->bytes, e);
	rc = buf_check(&leaf->bytes, err);
	if (rc)
		goto out;
	page_note(w, 0, e->name, e->name_len, 1, 1 + entry_beneath(e));
	w->entries++;
	w->span += 1 + entry_beneath(e);
	if (tree_is_dir(e))
		w->subdirs++;

out:
	if (rc)
		w->broken = true;
	return rc;
}

/* Writes the open pages upward until a level has only one: the top. */
static int pages_finish(struct tree_writer *w, struct id *top, struct err *err)
{
	int level = 0;
	int rc;

	while (w->page[level].followed) {
		rc = page_turn(w, level + 1, err);
		if (rc)
			return rc;
		rc = page_hand_up(w, level, err);
		if (rc)
			return rc;
		level++;
	}
	return page_put(w, &w->page[level], top, err);
}

int tree_writer_finish(
    struct tree_writer *w, struct tree_dir *out, struct err *err)
{
	struct tree_dir dir = { 0 };
	int rc = 0;

	dir.entries = w->entries;
	dir.beneath = w->span;
	dir.subdirs = w->subdirs;
	if (w->broken)
		rc = err_set(err, ERR_INVALID, "directory lost an entry");
	else if (w->entries)
		rc = pages_finish(w, &dir.id, err);

	writer_begin(w);
	if (!rc)
		*out = dir;
	return rc;
}
