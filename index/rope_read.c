#include "index/rope.h"

#include "chunker/bytes.h"
#include "index/chunks_private.h"
#include "index/rope_private.h"

void content_encode(const struct content *c, uint8_t out[CONTENT_SIZE])
{
	memset(out, 0, CONTENT_SIZE);
	out[0] = (uint8_t)c->kind;
	le64_put(out + 8, c->size);
	memcpy(out + 16, c->id.b, ID_LEN);
}

int content_decode(
    struct content *out, const uint8_t data[CONTENT_SIZE], struct err *err)
{
	bool none = data[0] == CONTENT_NONE;

	if (data[0] > CONTENT_ROPE)
		return err_set(err, ERR_FORMAT,
		    "content of kind %u needs a newer ieri", data[0]);
	for (int i = 1; i < 8; i++)
		if (data[i])
			return err_set(
			    err, ERR_FORMAT, "content needs a newer ieri");

	out->kind = (enum content_kind)data[0];
	out->size = le64_get(data + 8);
	memcpy(out->id.b, data + 16, ID_LEN);
	if (out->size > INT64_MAX || none != (out->size == 0) ||
	    none != id_is_zero(&out->id))
		return err_set(err, ERR_CORRUPT,
		    "content of kind %u claims %llu bytes", data[0],
		    (unsigned long long)out->size);
	return 0;
}

void rope_cursor_init(struct rope_cursor *cur, const struct chunk_source *src,
    const struct content *content)
{
	cur->src = src;
	cur->content = *content;
	cur->depth = 0;
	cur->height = 0;
}

static void cursor_pop(struct rope_cursor *cur)
{
	chunk_release(cur->src, &cur->level[--cur->depth].node);
}

void rope_cursor_fini(struct rope_cursor *cur)
{
	while (cur->depth > 0)
		cursor_pop(cur);
}

/*
 * Checks a whole node once: a head, ends that rise strictly, and at the end the
 * `span` bytes that whoever names it claims.  height -1 accepts any level.
 */
static int node_check(
    const struct chunk *node, int height, uint64_t span, struct err *err)
{
	uint64_t end = 0;
	uint32_t count;

	if (node->len < ROPE_NODE_HEAD || node->data[0] != ROPE_MAGIC)
		return err_set(err, ERR_CORRUPT, "not a list node");
	if (node->data[1] != ROPE_VERSION || node->data[3] != 0)
		return err_set(err, ERR_FORMAT, "needs a newer ieri");
	if (node->data[2] >= ROPE_LEVELS_MAX ||
	    (height >= 0 && node->data[2] != height))
		return err_set(err, ERR_CORRUPT, "claims level %u, %d was due",
		    node->data[2], height);

	count = le32_get(node->data + 4);
	if (count == 0 || (node->len - ROPE_NODE_HEAD) % ROPE_ENTRY_SIZE ||
	    (node->len - ROPE_NODE_HEAD) / ROPE_ENTRY_SIZE != count)
		return err_set(err, ERR_CORRUPT,
		    "claims %u entries in %zu bytes", count, node->len);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t next = rope_entry_end(node->data, i);

		if (next <= end)
			return err_set(err, ERR_CORRUPT, "ends do not rise");
		end = next;
	}
	if (end != span)
		return err_set(err, ERR_CORRUPT, "has %llu bytes, %llu claimed",
		    (unsigned long long)end, (unsigned long long)span);
	return 0;
}

/* Holds one node more; it is to cover [start, end) of the content. */
static int cursor_push(struct rope_cursor *cur, const struct id *id,
    uint64_t start, uint64_t end, struct err *err)
{
	int height = cur->depth ? cur->height - cur->depth : -1;
	struct rope_level *lv = &cur->level[cur->depth];
	char hex[ID_HEX];
	int rc;

	lv->node = (struct chunk){ 0 };
	rc = chunk_need(cur->src, ID_LIST, id, &lv->node, err);
	if (rc)
		goto out;
	rc = node_check(&lv->node, height, end - start, err);
	if (rc) {
		chunk_release(cur->src, &lv->node);
		goto out;
	}

	lv->start = start;
	lv->end = end;
	lv->count = le32_get(lv->node.data + 4);
	lv->at = 0;
	if (cur->depth == 0)
		cur->height = lv->node.data[2];
	cur->depth++;

out:
	if (rc)
		err_wrap(err, "list node %s", id_hex(id, hex));
	return rc;
}

/* Where entry i of the node begins, counted as its ends are. */
static uint64_t entry_start(const struct rope_level *lv, uint32_t i)
{
	return i ? rope_entry_end(lv->node.data, i - 1) : 0;
}

static bool entry_holds(const struct rope_level *lv, uint32_t i, uint64_t place)
{
	return i < lv->count && entry_start(lv, i) <= place &&
	       place < rope_entry_end(lv->node.data, i);
}

/* Sets lv->at to the entry that holds the byte; the node does hold it. */
static void level_find(struct rope_level *lv, uint64_t offset)
{
	uint64_t place = offset - lv->start;
	uint32_t low = 0;
	uint32_t high = lv->count - 1;

	if (entry_holds(lv, lv->at, place))
		return;
	if (entry_holds(lv, lv->at + 1, place)) {
		lv->at++;
		return;
	}
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (rope_entry_end(lv->node.data, mid) > place)
			high = mid;
		else
			low = mid + 1;
	}
	lv->at = low;
}

/* The piece at the leaf's entry found last. */
static int leaf_piece(
    const struct rope_level *lv, struct rope_piece *out, struct err *err)
{
	uint64_t start = entry_start(lv, lv->at);

	out->offset = lv->start + start;
	out->len = rope_entry_end(lv->node.data, lv->at) - start;
	rope_entry_id(lv->node.data, lv->at, &out->id);
	if (out->len > CHUNK_MAX && !id_is_zero(&out->id))
		return err_set(err, ERR_CORRUPT,
		    "list claims a chunk of %llu bytes",
		    (unsigned long long)out->len);
	return 1;
}

static int list_seek(struct rope_cursor *cur, uint64_t offset,
    struct rope_piece *out, struct err *err)
{
	struct rope_level *lv;
	int rc;

	while (cur->depth && (offset < cur->level[cur->depth - 1].start ||
				 offset >= cur->level[cur->depth - 1].end))
		cursor_pop(cur);
	if (cur->depth == 0) {
		rc = cursor_push(
		    cur, &cur->content.id, 0, cur->content.size, err);
		if (rc)
			return rc;
	}

	/* Each turn falls by one level, which cursor_push has checked. */
	for (;;) {
		struct id id;

		lv = &cur->level[cur->depth - 1];
		level_find(lv, offset);
		if (cur->height < cur->depth)
			return leaf_piece(lv, out, err);
		rope_entry_id(lv->node.data, lv->at, &id);
		if (id_is_zero(&id))
			return err_set(
			    err, ERR_CORRUPT, "inner list node names no child");
		rc = cursor_push(cur, &id, lv->start + entry_start(lv, lv->at),
		    lv->start + rope_entry_end(lv->node.data, lv->at), err);
		if (rc)
			return rc;
	}
}

int rope_cursor_seek(struct rope_cursor *cur, uint64_t offset,
    struct rope_piece *out, struct err *err)
{
	if (offset >= cur->content.size)
		return 0;
	switch (cur->content.kind) {
	case CONTENT_NONE:
		return 0;
	case CONTENT_CHUNK:
		out->offset = 0;
		out->len = cur->content.size;
		out->id = cur->content.id;
		return 1;
	case CONTENT_ROPE:
		return list_seek(cur, offset, out, err);
	}
	return 0;
}

/* Copies [from, from + len) of one piece. */
static int piece_copy(struct rope_cursor *cur, enum id_kind kind,
    const struct rope_piece *piece, uint64_t from, uint8_t *to, size_t len,
    struct err *err)
{
	struct chunk chunk = { 0 };
	char hex[ID_HEX];
	int rc;

	if (id_is_zero(&piece->id)) {
		memset(to, 0, len);
		return 0;
	}
	rc = chunk_need(cur->src, kind, &piece->id, &chunk, err);
	if (!rc && chunk.len != piece->len)
		rc = err_set(err, ERR_CORRUPT, "has %zu bytes, %llu claimed",
		    chunk.len, (unsigned long long)piece->len);
	if (!rc)
		memcpy(to, chunk.data + from, len);
	else
		err_wrap(err, "chunk %s", id_hex(&piece->id, hex));
	chunk_release(cur->src, &chunk);
	return rc;
}

int rope_read(struct rope_cursor *cur, enum id_kind kind, uint64_t offset,
    void *buf, size_t len, size_t *got, struct err *err)
{
	uint8_t *to = buf;
	size_t done = 0;

	*got = 0;
	while (done < len) {
		struct rope_piece piece;
		uint64_t from;
		size_t n = len - done;
		int rc = rope_cursor_seek(cur, offset, &piece, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		from = offset - piece.offset;
		if (n > piece.len - from)
			n = (size_t)(piece.len - from);
		rc = piece_copy(cur, kind, &piece, from, to + done, n, err);
		if (rc)
			return rc;
		done += n;
		offset += n;
	}
	*got = done;
	return 0;
}
