#include "index/tree.h"

#include "index/chunks_private.h"
#include "index/tree_private.h"

/* What a walk looks for; everything before it is passed over. */
enum goal_kind {
	GOAL_NEXT,
	GOAL_NAME,
	GOAL_ORDINAL,
	GOAL_OFFSET,
};

struct goal {
	enum goal_kind kind;
	const char *name;
	size_t len;
	uint64_t number; /* never before the iterator's place */
};

void tree_iter_init(
    struct tree_iter *it, const struct chunk_source *src, const struct id *top)
{
	it->src = src;
	it->top = *top;
	it->depth = 0;
	it->height = 0;
	it->ordinal = 0;
	it->offset = 0;
}

void tree_iter_fini(struct tree_iter *it)
{
	while (it->depth > 0)
		chunk_release(it->src, &it->level[--it->depth].page);
}

static int level_wrap(const struct tree_level *lv, struct err *err)
{
	char hex[ID_HEX];

	return err_wrap(err, "directory page %s", id_hex(&lv->id, hex));
}

/* Puts a held page before its first entry; height -1 accepts any level. */
static int level_start(
    struct tree_level *lv, int height, struct tree_page *page, struct err *err)
{
	lv->rest = bytes_of(lv->page.data, lv->page.len);
	if (tree_page_decode(page, &lv->rest, err))
		return level_wrap(lv, err);
	if (height >= 0 && page->level != height) {
		err_set(err, ERR_CORRUPT, "is of level %d, %d was due",
		    page->level, height);
		return level_wrap(lv, err);
	}
	lv->left = page->count;
	return 0;
}

/* Goes before the first entry of the directory, which is not empty. */
static int iter_rewind(struct tree_iter *it, struct err *err)
{
	struct tree_level *lv = &it->level[0];
	struct tree_page page;
	int rc;

	while (it->depth > 1)
		chunk_release(it->src, &it->level[--it->depth].page);
	if (it->depth == 0) {
		lv->id = it->top;
		lv->page = (struct chunk){ 0 };
		if (chunk_need(it->src, ID_TREE, &lv->id, &lv->page, err))
			return level_wrap(lv, err);
	}
	rc = level_start(lv, -1, &page, err);
	if (rc) {
		it->depth = 0;
		chunk_release(it->src, &lv->page);
		return rc;
	}

	/* Nobody claims anything of the top, but its sums must not wrap. */
	lv->entries = UINT64_MAX;
	lv->span = UINT64_MAX;
	lv->low = "";
	lv->low_len = 0;
	lv->high = NULL;
	lv->high_len = 0;
	it->depth = 1;
	it->height = page.level;
	it->ordinal = 0;
	it->offset = 0;
	return 0;
}

/* Holds the child's page below the page that names it. */
static int iter_descend(struct tree_iter *it, const struct tree_inner *child,
    const struct bytes *rest, struct err *err)
{
	struct tree_level *parent = &it->level[it->depth - 1];
	struct tree_level *lv = parent + 1;
	int height = it->height - it->depth;
	struct tree_page page;
	int rc;

	lv->id = child->id;
	lv->page = (struct chunk){ 0 };
	if (chunk_need(it->src, ID_TREE, &lv->id, &lv->page, err))
		return level_wrap(lv, err);
	rc = level_start(lv, height, &page, err);
	if (rc)
		goto out;
	if (page.count > child->entries ||
	    (height == 0 && page.count != child->entries)) {
		err_set(err, ERR_CORRUPT, "has %u entries, %llu claimed",
		    page.count, (unsigned long long)child->entries);
		rc = level_wrap(lv, err);
		goto out;
	}

	lv->entries = child->entries;
	lv->span = child->span;
	lv->low = parent->low;
	lv->low_len = parent->low_len;
	lv->high = child->name;
	lv->high_len = child->name_len;

	parent->rest = *rest;
	parent->left--;
	parent->entries -= child->entries;
	parent->span -= child->span;
	parent->low = child->name;
	parent->low_len = child->name_len;
	it->depth++;

out:
	if (rc)
		chunk_release(it->src, &lv->page);
	return rc;
}

/* Leaves a finished page, when it has kept what its parent claimed. */
static int iter_ascend(struct tree_iter *it, struct err *err)
{
	struct tree_level *lv = &it->level[it->depth - 1];

	if (lv->entries || lv->span ||
	    tree_name_order(lv->low, lv->low_len, lv->high, lv->high_len)) {
		err_set(err, ERR_CORRUPT, "is not what its parent claims");
		return level_wrap(lv, err);
	}
	chunk_release(it->src, &lv->page);
	it->depth--;
	return 0;
}

/* Holds an entry of either sort against the page's order and claims. */
static inline int entry_fits(const struct tree_level *lv, const char *name,
    size_t len, uint64_t entries, uint64_t span, struct err *err)
{
	if (tree_name_order(lv->low, lv->low_len, name, len) >= 0)
		return err_set(err, ERR_CORRUPT, "names do not rise");
	if (lv->high && tree_name_order(name, len, lv->high, lv->high_len) > 0)
		return err_set(err, ERR_CORRUPT, "name above the claimed");
	if (entries > lv->entries || span > lv->span)
		return err_set(err, ERR_CORRUPT, "more than claimed");
	return 0;
}

/* Moves behind one entry, which fits. */
static inline void iter_pass(struct tree_iter *it, const struct bytes *rest,
    const char *name, size_t len, uint64_t entries, uint64_t span)
{
	struct tree_level *lv = &it->level[it->depth - 1];

	lv->rest = *rest;
	lv->left--;
	lv->entries -= entries;
	lv->span -= span;
	lv->low = name;
	lv->low_len = len;
	it->ordinal += entries;
	it->offset += span;
}

/* Whether all of these entries come before the goal. */
static inline bool goal_is_beyond(const struct goal *g,
    const struct tree_iter *it, const char *name, size_t len, uint64_t entries,
    uint64_t span)
{
	switch (g->kind) {
	case GOAL_NEXT:
		return false;
	case GOAL_NAME:
		return tree_name_order(name, len, g->name, g->len) < 0;
	case GOAL_ORDINAL:
		return entries <= g->number - it->ordinal;
	case GOAL_OFFSET:
		return span <= g->number - it->offset;
	}
	return false;
}

/* Passes over one child of an inner page, or descends into it. */
static int inner_step(
    struct tree_iter *it, const struct goal *g, struct err *err)
{
	struct tree_level *lv = &it->level[it->depth - 1];
	struct bytes rest = lv->rest;
	struct tree_inner e;

	if (tree_inner_decode(&e, &rest, err) ||
	    entry_fits(lv, e.name, e.name_len, e.entries, e.span, err))
		return level_wrap(lv, err);
	if (!goal_is_beyond(g, it, e.name, e.name_len, e.entries, e.span))
		return iter_descend(it, &e, &rest, err);
	iter_pass(it, &rest, e.name, e.name_len, e.entries, e.span);
	return 0;
}

/*
 * Passes over the entries of a leaf that come before the goal.  Returns 1 and
 * the first other one, 0 at the end of the leaf.  With `take` it passes over
 * that one too.
 */
static int leaf_step(struct tree_iter *it, const struct goal *g, bool take,
    struct tree_entry *out, struct err *err)
{
	struct tree_level *lv = &it->level[it->depth - 1];

	while (lv->left) {
		struct bytes rest = lv->rest;
		bool beyond;
		uint64_t span;

		if (tree_entry_decode(out, &rest, false, err))
			return level_wrap(lv, err);
		span = 1 + out->beneath;
		if (entry_fits(lv, out->name, out->name_len, 1, span, err))
			return level_wrap(lv, err);
		beyond =
		    goal_is_beyond(g, it, out->name, out->name_len, 1, span);
		if (beyond || take)
			iter_pass(it, &rest, out->name, out->name_len, 1, span);
		if (!beyond)
			return 1;
	}
	return 0;
}

/*
 * Goes on to the goal.  Returns 1 and the entry there, 0 at the end of the
 * directory.  No step changes the place before everything it needs is held and
 * found good, so a failed step can be tried again.
 *
 * It ends: a step down lowers the level, any other uses up an entry of a page.
 */
static int iter_walk(struct tree_iter *it, const struct goal *g, bool take,
    struct tree_entry *out, struct err *err)
{
	int rc;

	if (id_is_zero(&it->top))
		return 0;
	rc = it->depth ? 0 : iter_rewind(it, err);

	while (rc == 0) {
		struct tree_level *lv = &it->level[it->depth - 1];

		if (lv->left) {
			if (it->height < it->depth)
				rc = leaf_step(it, g, take, out, err);
			else
				rc = inner_step(it, g, err);
			continue;
		}
		if (bytes_left(&lv->rest)) {
			err_set(err, ERR_CORRUPT, "has bytes to spare");
			return level_wrap(lv, err);
		}
		if (it->depth == 1)
			return 0;
		rc = iter_ascend(it, err);
	}
	return rc;
}

int tree_iter_next(struct tree_iter *it, struct tree_entry *out,
    uint64_t *before, struct err *err)
{
	static const struct goal next = { .kind = GOAL_NEXT };
	int rc = iter_walk(it, &next, true, out, err);

	if (rc == 1 && before)
		*before = it->offset - (1 + out->beneath);
	return rc;
}

/* Any seek begins at the top page, which stays held. */
static int iter_seek(struct tree_iter *it, const struct goal *g,
    struct tree_entry *out, struct err *err)
{
	int rc;

	if (id_is_zero(&it->top))
		return 0;
	rc = iter_rewind(it, err);
	if (rc)
		return rc;
	return iter_walk(it, g, false, out, err);
}

int tree_iter_seek_name(
    struct tree_iter *it, const char *name, size_t len, struct err *err)
{
	struct goal g = { .kind = GOAL_NAME, .name = name, .len = len };
	struct tree_entry entry;
	int rc = iter_seek(it, &g, &entry, err);

	return rc < 0 ? rc : 0;
}

int tree_iter_seek_ordinal(
    struct tree_iter *it, uint64_t ordinal, struct err *err)
{
	struct goal g = { .kind = GOAL_ORDINAL, .number = ordinal };
	struct tree_entry entry;
	int rc = iter_seek(it, &g, &entry, err);

	return rc < 0 ? rc : 0;
}

int tree_iter_seek_offset(
    struct tree_iter *it, uint64_t offset, struct err *err)
{
	struct goal g = { .kind = GOAL_OFFSET, .number = offset };
	struct tree_entry entry;
	int rc = iter_seek(it, &g, &entry, err);

	return rc < 0 ? rc : 0;
}

int tree_find(struct tree_iter *it, const struct chunk_source *src,
    const struct id *top, const char *name, size_t len, struct tree_entry *out,
    uint64_t *before, struct err *err)
{
	struct goal g = { .kind = GOAL_NAME, .name = name, .len = len };
	int rc;

	tree_iter_init(it, src, top);
	rc = iter_seek(it, &g, out, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || tree_name_order(out->name, out->name_len, name, len))
		return err_set(err, ERR_NOT_FOUND, "no such name");
	if (before)
		*before = it->offset;
	return 0;
}
