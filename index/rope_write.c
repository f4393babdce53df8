#include "index/rope.h"

#include <stdlib.h>

#include "chunker/buf.h"
#include "index/rope_private.h"

/* The node of one level that is still open. */
struct open_node {
	struct buf bytes;
	uint32_t count;
	uint64_t end;  /* bytes of content beneath it */
	bool ended;    /* the next entry begins a new node */
	bool followed; /* a node of this level has been written */
	struct id last;
};

struct rope_writer {
	const struct page_params *params;
	const struct chunk_sink *sink;
	uint64_t size;
	uint64_t hole; /* bytes of the hole at the end, not yet in a node */
	bool broken;   /* the sink refused a node: the content has a gap */
	struct open_node node[ROPE_LEVELS_MAX];
};

static void writer_begin(struct rope_writer *w)
{
	w->size = 0;
	w->hole = 0;
	w->broken = false;
	for (int i = 0; i < ROPE_LEVELS_MAX; i++) {
		w->node[i].count = 0;
		w->node[i].end = 0;
		w->node[i].ended = false;
		w->node[i].followed = false;
	}
}

int rope_writer_new(struct rope_writer **out, const struct page_params *params,
    const struct chunk_sink *sink, struct err *err)
{
	struct rope_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return err_set(err, ERR_NOMEM, "rope writer");
	w->params = params;
	w->sink = sink;
	for (int i = 0; i < ROPE_LEVELS_MAX; i++)
		buf_init(&w->node[i].bytes);
	writer_begin(w);
	*out = w;
	return 0;
}

void rope_writer_free(struct rope_writer *w)
{
	if (!w)
		return;
	for (int i = 0; i < ROPE_LEVELS_MAX; i++)
		buf_fini(&w->node[i].bytes);
	free(w);
}

/* Appends to this level's node, which has room. */
static int node_add(struct rope_writer *w, int level, const struct id *id,
    uint64_t len, struct err *err)
{
	uint64_t mask = ((uint64_t)1 << w->params->list_bits) - 1;
	struct open_node *n = &w->node[level];
	struct buf *bytes = &n->bytes;

	if (n->count == 0) {
		buf_reset(bytes);
		buf_u8(bytes, ROPE_MAGIC);
		buf_u8(bytes, ROPE_VERSION);
		buf_u8(bytes, (uint8_t)level);
		buf_u8(bytes, 0);
		buf_le32(bytes, 0);
		n->end = 0;
	}
	n->count++;
	n->end += len;
	buf_le64(bytes, n->end);
	buf_put(bytes, id->b, ID_LEN);
	n->last = *id;

	/*
	 * A hole ends no node: holes are all alike, so in a sparse file they
	 * would end every node at the fewest entries, and one piece more at
	 * the front would shift every node behind it.
	 */
	n->ended = n->count >= w->params->list_max ||
		   (n->count >= w->params->list_min && !id_is_zero(id) &&
		       !(le64_get(id->b) & mask));
	return buf_check(bytes, err);
}

static int node_put(
    struct rope_writer *w, struct open_node *n, struct id *out, struct err *err)
{
	le32_put(n->bytes.data + 4, n->count);
	return chunk_put(
	    w->sink, ID_LIST, n->bytes.data, n->bytes.len, out, err);
}

/* Writes this level's node and names it above, where there is room. */
static int node_hand_up(struct rope_writer *w, int level, struct err *err)
{
	struct open_node *n = &w->node[level];
	struct id id;
	int rc = node_put(w, n, &id, err);

	if (rc)
		return rc;
	rc = node_add(w, level + 1, &id, n->end, err);
	n->count = 0;
	n->ended = false;
	n->followed = true;
	return rc;
}

/*
 * Makes room for one more entry in this level.  A node that has ended stays
 * open until an entry follows, because only then is it known not to be the top.
 */
static int node_turn(struct rope_writer *w, int level, struct err *err)
{
	int free_level = level;
	int rc;

	while (free_level < ROPE_LEVELS_MAX && w->node[free_level].ended)
		free_level++;
	if (free_level >= ROPE_LEVELS_MAX)
		return err_set(err, ERR_INVALID,
		    "content needs more than %d levels of lists",
		    ROPE_LEVELS_MAX);
	while (free_level-- > level) {
		rc = node_hand_up(w, free_level, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int leaf_add(
    struct rope_writer *w, const struct id *id, uint64_t len, struct err *err)
{
	int rc = node_turn(w, 0, err);

	if (!rc)
		rc = node_add(w, 0, id, len, err);
	if (rc)
		w->broken = true;
	return rc;
}

/* Writes the hole at the end, if there is one. */
static int hole_end(struct rope_writer *w, struct err *err)
{
	static const struct id zero;
	uint64_t len = w->hole;

	if (!len)
		return 0;
	w->hole = 0;
	return leaf_add(w, &zero, len, err);
}

int rope_writer_add(
    struct rope_writer *w, const struct id *id, uint64_t len, struct err *err)
{
	int rc;

	if (len == 0 || len > INT64_MAX - w->size)
		return err_set(err, ERR_INVALID,
		    "piece of %llu bytes after %llu", (unsigned long long)len,
		    (unsigned long long)w->size);
	if (id && (id_is_zero(id) || len > CHUNK_MAX))
		return err_set(err, ERR_INVALID,
		    "no chunk has this id or %llu bytes",
		    (unsigned long long)len);
	w->size += len;
	if (!id) {
		w->hole += len;
		return 0;
	}
	rc = hole_end(w, err);
	if (rc)
		return rc;
	return leaf_add(w, id, len, err);
}

/* Writes the open nodes upward until a level has only one: the top. */
static int nodes_finish(struct rope_writer *w, struct id *top, struct err *err)
{
	int level = 0;
	int rc;

	while (w->node[level].followed) {
		rc = node_turn(w, level + 1, err);
		if (rc)
			return rc;
		rc = node_hand_up(w, level, err);
		if (rc)
			return rc;
		level++;
	}
	return node_put(w, &w->node[level], top, err);
}

int rope_writer_finish(
    struct rope_writer *w, struct content *out, struct err *err)
{
	struct content content = { .kind = CONTENT_NONE };
	struct open_node *leaf = &w->node[0];
	int rc = 0;

	if (!w->broken)
		rc = hole_end(w, err);
	else
		rc = err_set(err, ERR_INVALID, "content lost a piece");
	if (rc || w->size == 0)
		goto out;

	content.size = w->size;
	if (!leaf->followed && leaf->count == 1 && !id_is_zero(&leaf->last)) {
		content.kind = CONTENT_CHUNK;
		content.id = leaf->last;
	} else {
		content.kind = CONTENT_ROPE;
		rc = nodes_finish(w, &content.id, err);
	}

out:
	writer_begin(w);
	if (!rc)
		*out = content;
	return rc;
}
