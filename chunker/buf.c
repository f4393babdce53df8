#include "chunker/buf.h"

#include <stdlib.h>
#include <string.h>

#include "chunker/bytes.h"

#define CAP_LEAST 256

void buf_init(struct buf *b)
{
	*b = (struct buf){ 0 };
}

void buf_fini(struct buf *b)
{
	free(b->data);
	buf_init(b);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
}

uint8_t *buf_room(struct buf *b, size_t len)
{
	size_t cap = b->cap ? b->cap : CAP_LEAST;
	uint8_t *data;

	if (b->oom)
		return NULL;
	if (b->data && len <= b->cap - b->len)
		return b->data + b->len;
	if (len > SIZE_MAX / 2 - b->len)
		goto out;

	/* The need is at most SIZE_MAX / 2: doubling to it cannot wrap. */
	while (cap < b->len + len)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		goto out;
	b->data = data;
	b->cap = cap;
	return data + b->len;

out:
	b->oom = true;
	return NULL;
}

void buf_put(struct buf *b, const void *data, size_t len)
{
	uint8_t *to = buf_room(b, len);

	/* An empty append may come with NULL, which memcpy does not allow. */
	if (!to || len == 0)
		return;
	memcpy(to, data, len);
	b->len += len;
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void buf_le16(struct buf *b, uint16_t v)
{
	uint8_t le[2];

	le16_put(le, v);
	buf_put(b, le, sizeof(le));
}

void buf_le32(struct buf *b, uint32_t v)
{
	uint8_t le[4];

	le32_put(le, v);
	buf_put(b, le, sizeof(le));
}

void buf_le64(struct buf *b, uint64_t v)
{
	uint8_t le[8];

	le64_put(le, v);
	buf_put(b, le, sizeof(le));
}

void buf_varint(struct buf *b, uint64_t v)
{
	uint8_t encoded[VARINT_MAX];

	buf_put(b, encoded, varint_put(encoded, v));
}

int buf_check(const struct buf *b, struct err *err)
{
	if (b->oom)
		return err_set(err, ERR_NOMEM, "a buffer cannot grow");
	return 0;
}
