#include "index/blob.h"

#include <assert.h>
#include <stdlib.h>

#include "chunker/cut.h"
#include "index/tree.h"

int blob_put(const struct config *config, const struct chunk_sink *sink,
    const uint8_t *data, size_t len, struct content *out, struct err *err)
{
	struct rope_writer *w = NULL;
	int rc = rope_writer_new(&w, &config->pages, sink, err);

	while (!rc && len) {
		size_t n = cut_next(&config->cuts, data, len);
		struct id id;

		rc = chunk_put(sink, ID_META, data, n, &id, err);
		if (!rc)
			rc = rope_writer_add(w, &id, n, err);
		data += n;
		len -= n;
	}
	if (!rc)
		rc = rope_writer_finish(w, out, err);
	rope_writer_free(w);
	return rc;
}

int blob_get(const struct chunk_source *src, const struct content *content,
    size_t max, uint8_t **out, size_t *len, struct err *err)
{
	struct rope_cursor cur;
	uint8_t *data;
	size_t got;
	int rc;

	if (content->size > max)
		return err_set(err, ERR_INVALID, "%llu bytes, at most %zu",
		    (unsigned long long)content->size, max);
	*out = NULL;
	*len = 0;
	if (content->size == 0)
		return 0;

	data = malloc((size_t)content->size);
	if (!data)
		return err_set(err, ERR_NOMEM, "blob");
	rope_cursor_init(&cur, src, content);
	rc =
	    rope_read(&cur, ID_META, 0, data, (size_t)content->size, &got, err);
	if (!rc && got != content->size)
		rc = err_set(err, ERR_CORRUPT, "blob is cut short");
	if (rc)
		goto out;

	*out = data;
	*len = got;
	data = NULL;

out:
	rope_cursor_fini(&cur);
	free(data);
	return rc;
}

/* ---- Extended attributes ---- */

static int xattr_order(const void *a, const void *b)
{
	const struct xattr *x = a;
	const struct xattr *y = b;

	return tree_name_cmp(x->name, x->name_len, y->name, y->name_len);
}

void xattr_encode(struct buf *out, struct xattr *set, size_t n)
{
	if (n)
		qsort(set, n, sizeof(*set), xattr_order);
	buf_le32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		assert(set[i].name_len && set[i].name_len <= UINT16_MAX);
		assert(set[i].value_len <= UINT32_MAX);
		buf_le16(out, (uint16_t)set[i].name_len);
		buf_put(out, set[i].name, set[i].name_len);
		buf_le32(out, (uint32_t)set[i].value_len);
		buf_put(out, set[i].value, set[i].value_len);
	}
}

int xattr_iter_init(
    struct xattr_iter *it, const uint8_t *data, size_t len, struct err *err)
{
	it->rest = bytes_of(data, len);
	it->left = bytes_le32(&it->rest);
	it->last = "";
	it->last_len = 0;
	if (it->rest.bad)
		return err_set(err, ERR_CORRUPT, "xattr set is cut short");
	return 0;
}

int xattr_iter_next(struct xattr_iter *it, struct xattr *out, struct err *err)
{
	if (!it->left) {
		if (bytes_left(&it->rest))
			return err_set(
			    err, ERR_CORRUPT, "xattr set has bytes to spare");
		return 0;
	}
	out->name_len = bytes_le16(&it->rest);
	out->name = (const char *)bytes_take(&it->rest, out->name_len);
	out->value_len = bytes_le32(&it->rest);
	out->value = bytes_take(&it->rest, out->value_len);
	if (it->rest.bad)
		return err_set(err, ERR_CORRUPT, "xattr set is cut short");
	if (memchr(out->name, '\0', out->name_len) ||
	    tree_name_cmp(it->last, it->last_len, out->name, out->name_len) >=
		0)
		return err_set(err, ERR_CORRUPT, "xattr names do not rise");

	it->last = out->name;
	it->last_len = out->name_len;
	it->left--;
	return 1;
}

/* ---- Names of owners ---- */

void owner_encode(struct buf *out, const struct owner *o)
{
	assert(o->name_len <= OWNER_NAME_MAX);
	buf_u8(out, (uint8_t)o->kind);
	buf_le32(out, o->number);
	buf_u8(out, (uint8_t)o->name_len);
	buf_put(out, o->name, o->name_len);
}

int owner_next(struct bytes *in, struct owner *out, struct err *err)
{
	uint8_t kind;

	if (!in->bad && !bytes_left(in))
		return 0;
	kind = bytes_u8(in);
	out->number = bytes_le32(in);
	out->name_len = bytes_u8(in);
	out->name = (const char *)bytes_take(in, out->name_len);
	if (in->bad)
		return err_set(err, ERR_CORRUPT, "owner is cut short");
	if (kind > OWNER_GROUP)
		return err_set(err, ERR_CORRUPT, "owner of kind %u", kind);
	out->kind = (enum owner_kind)kind;
	return 1;
}

/* ---- Hard links ---- */

/* Records read at once: a table no longer than this costs one chunk_get. */
#define LINK_WINDOW 128

void link_encode(const struct link *l, uint8_t out[LINK_SIZE])
{
	le32_put(out, l->dev);
	le32_put(out + 4, l->names);
	le64_put(out + 8, l->ino);
	le64_put(out + 16, l->number);
}

struct link link_decode(const uint8_t data[LINK_SIZE])
{
	return (struct link){
		.dev = le32_get(data),
		.names = le32_get(data + 4),
		.ino = le64_get(data + 8),
		.number = le64_get(data + 16),
	};
}

static int link_order(const struct link *l, uint32_t dev, uint64_t ino)
{
	if (l->dev != dev)
		return l->dev < dev ? -1 : 1;
	return (l->ino > ino) - (l->ino < ino);
}

/* Reads n records from the i-th on; the table has them all. */
static int links_read(
    struct rope_cursor *cur, uint64_t i, uint8_t *to, size_t n, struct err *err)
{
	size_t got;
	int rc = rope_read(
	    cur, ID_META, i * LINK_SIZE, to, n * LINK_SIZE, &got, err);

	if (!rc && got != n * LINK_SIZE)
		rc = err_set(err, ERR_CORRUPT, "link table is cut short");
	return rc;
}

/* Halves [*low, *high), where the link is if anywhere, down to a window. */
static int links_narrow(struct rope_cursor *cur, uint32_t dev, uint64_t ino,
    uint64_t *low, uint64_t *high, struct err *err)
{
	uint8_t data[LINK_SIZE];

	while (*high - *low > LINK_WINDOW) {
		uint64_t mid = *low + (*high - *low) / 2;
		struct link l;
		int rc = links_read(cur, mid, data, 1, err);

		if (rc)
			return rc;
		l = link_decode(data);
		if (link_order(&l, dev, ino) <= 0)
			*low = mid;
		else
			*high = mid;
	}
	return 0;
}

int link_find(const struct chunk_source *src, const struct content *links,
    uint32_t dev, uint64_t ino, struct link *out, struct err *err)
{
	uint8_t data[LINK_WINDOW * LINK_SIZE];
	uint64_t high = links->size / LINK_SIZE;
	struct rope_cursor cur;
	uint64_t low = 0;
	int rc;

	if (links->size % LINK_SIZE)
		return err_set(err, ERR_CORRUPT, "link table is cut short");
	rope_cursor_init(&cur, src, links);
	rc = links_narrow(&cur, dev, ino, &low, &high, err);
	if (!rc)
		rc = links_read(&cur, low, data, (size_t)(high - low), err);
	rope_cursor_fini(&cur);
	if (rc)
		return rc;

	for (size_t i = 0; i < high - low; i++) {
		struct link l = link_decode(data + i * LINK_SIZE);

		if (link_order(&l, dev, ino))
			continue;
		if (l.names < 2)
			return err_set(err, ERR_CORRUPT,
			    "hard link with %u names", l.names);
		*out = l;
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "one name only");
}
