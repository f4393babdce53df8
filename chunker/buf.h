/*
 * buf -- bytes that grow at the end.
 *
 * Appending never fails in place: when memory runs out `oom` sticks, later
 * appends do nothing, and the builder asks once, at the end, with buf_check.
 *
 * Threads: one at a time.
 */
#ifndef CHUNKER_BUF_H
#define CHUNKER_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool oom;
};

/* An all-zero struct buf is empty and valid; init makes one. */
void buf_init(struct buf *b);
void buf_fini(struct buf *b);

/* Forgets the contents, keeps the memory. */
void buf_reset(struct buf *b);

/*
 * Makes room for len more bytes; returns where they go, or NULL and oom.  The
 * caller adds to b->len what it wrote there.
 */
uint8_t *buf_room(struct buf *b, size_t len);

void buf_put(struct buf *b, const void *data, size_t len);
void buf_u8(struct buf *b, uint8_t v);
void buf_le16(struct buf *b, uint16_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_le64(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, uint64_t v);

/* 0, or ERR_NOMEM when any append since init was dropped. */
int buf_check(const struct buf *b, struct err *err);

#endif
