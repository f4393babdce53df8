#include "index/tree_private.h"

#include <assert.h>

#define PAGE_MAGIC 'D'
#define PAGE_VERSION 1

uint64_t tree_varint_rest(struct bytes *b)
{
	return bytes_varint(b);
}

void tree_page_begin(struct buf *page, int level)
{
	buf_reset(page);
	buf_u8(page, PAGE_MAGIC);
	buf_u8(page, PAGE_VERSION);
	buf_u8(page, (uint8_t)level);
	buf_u8(page, 0);
	buf_le32(page, 0);
}

void tree_page_seal(struct buf *page, uint32_t count)
{
	assert(page->len >= TREE_PAGE_HEAD);
	le32_put(page->data + 4, count);
}

int tree_page_decode(struct tree_page *out, struct bytes *in, struct err *err)
{
	const uint8_t *head = bytes_take(in, TREE_PAGE_HEAD);

	if (!head || head[0] != PAGE_MAGIC)
		return err_set(err, ERR_CORRUPT, "not a directory page");
	if (head[1] != PAGE_VERSION || head[3] != 0)
		return err_set(err, ERR_FORMAT, "needs a newer ieri");
	if (head[2] >= TREE_LEVELS_MAX)
		return err_set(err, ERR_CORRUPT, "claims level %u, below %d",
		    head[2], TREE_LEVELS_MAX);

	out->level = head[2];
	out->count = le32_get(head + 4);
	if (out->count == 0)
		return err_set(err, ERR_CORRUPT, "claims no entries");
	return 0;
}

void tree_inner_encode(struct buf *out, const struct tree_inner *e)
{
	buf_u8(out, (uint8_t)e->name_len);
	buf_put(out, e->name, e->name_len);
	buf_put(out, e->id.b, ID_LEN);
	buf_varint(out, e->entries);
	buf_varint(out, e->span);
}

int tree_inner_decode(struct tree_inner *out, struct bytes *in, struct err *err)
{
	const uint8_t *id;

	out->name_len = bytes_u8(in);
	out->name = (const char *)bytes_take(in, out->name_len);
	id = bytes_take(in, ID_LEN);
	out->entries = tree_varint(in);
	out->span = tree_varint(in);
	if (in->bad)
		return err_set(err, ERR_CORRUPT, "inner entry is malformed");
	memcpy(out->id.b, id, ID_LEN);

	/* Its bytes are compared with a leaf's, where they are checked. */
	if (out->name_len == 0 || id_is_zero(&out->id) || out->entries == 0 ||
	    out->span < out->entries)
		return err_set(err, ERR_CORRUPT,
		    "inner entry makes no sense: %llu entries, %llu things",
		    (unsigned long long)out->entries,
		    (unsigned long long)out->span);
	return 0;
}
