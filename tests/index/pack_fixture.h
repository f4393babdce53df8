/*
 * pack_fixture -- packs whose every byte follows from a number, and ways to
 * spoil them.
 */
#ifndef TESTS_INDEX_PACK_FIXTURE_H
#define TESTS_INDEX_PACK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "index/io.h"
#include "index/pack.h"
#include "tests/index/scratch.h"

#define CAP (64u << 10)

static const uint8_t uuid[16] = "store uuid 0123";
static const struct id_key key = { "key one of a st", "key two of a st" };
static const struct pack_info info = {
	.uuid = "store uuid 0123",
	.id = { { 0xab, 0xcd, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	    16 } },
	.no = 7,
	.kind = PACK_DATA,
	.session = 42,
	.created_ns = 1763777913123456789,
};

#define PACK_PATH "ab/abcd030405060708090a0b0c0d0e0f10.pack"

static inline void fill(uint8_t *data, size_t len, bool noise, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		data[i] = noise ? (uint8_t)(seed >> 56) :
		                  (uint8_t)('a' + (seed >> 62));
	}
}

/* A batch whose bytes and ids follow from its number. */
static inline void batch_make(struct batch *b, unsigned number,
    unsigned n_chunks, size_t chunk_len, bool noise)
{
	struct id_hasher *h;
	uint8_t *data = malloc(chunk_len);
	struct err err;
	struct id id;

	assert_int_equal(0, id_hasher_new(&h, &key, &err));
	assert_int_equal(0, batch_init(b, CAP, &err));
	for (unsigned i = 0; i < n_chunks; i++) {
		fill(data, chunk_len, noise, number * 1000 + i);
		assert_int_equal(0, id_hash(h, ID_DATA, data, chunk_len, &id,
		    &err));
		assert_int_equal(0, batch_add(b, ID_DATA, &id, data, chunk_len,
		    &err));
	}
	id_hasher_free(h);
	free(data);
}

static inline int batch_write(struct pack_writer *w, struct block_codec *c,
    const struct batch *b, struct err *err)
{
	struct block_entry e;
	uint8_t *record;
	size_t len;
	int rc;

	rc = block_encode(c, b, true, &record, &len, &e, err);
	if (rc)
		return rc;
	return pack_writer_add(w, record, len, &e, b->chunks, err);
}

static inline int new_writer(struct scratch *s, struct pack_writer **out,
    const struct pack_info *who, struct err *err)
{
	mkdirat(s->fd, "ab", 0700);
	return pack_writer_new(out, s->fd, "new.pack", who, err);
}

/* Writes batches 0 to n - 1, each of three chunks, and seals. */
static inline void pack_make(struct scratch *s, unsigned n, size_t chunk_len,
    bool noise)
{
	struct pack_writer *w;
	struct block_codec *c;
	uint8_t *table;
	struct batch b;
	struct err err;
	size_t len;

	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, new_writer(s, &w, &info, &err));
	for (unsigned i = 0; i < n; i++) {
		batch_make(&b, i, 3, chunk_len, noise);
		assert_int_equal(0, batch_write(w, c, &b, &err));
		batch_fini(&b);
	}
	assert_int_equal(0, pack_writer_seal(w, s->fd, &table, &len, &err));
	pack_writer_free(w);
	free(table);
	block_codec_free(c);
}

static inline bool absent(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
}

/* Overwrites the pack's file, as a bad disk would. */
static inline void overwrite(struct scratch *s, const uint8_t *data, size_t len)
{
	int fd;

	unlinkat(s->fd, PACK_PATH, 0);
	fd = openat(s->fd, PACK_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(len, write(fd, data, len));
	close(fd);
}

static inline uint8_t *slurp(struct scratch *s, size_t *len)
{
	struct err err;
	uint8_t *data;

	assert_int_equal(0, io_read_file(s->fd, PACK_PATH, 64 << 20, &data,
	    len, &err));
	return data;
}

/* Reads and decodes one block of an open pack; the caller frees *raw. */
static inline int block_get(const struct pack *p, struct block_codec *c,
    uint32_t i, uint8_t **raw, struct err *err)
{
	const struct block_entry *e = &pack_table(p)->blocks[i];
	uint8_t *stored = malloc(e->stored);
	int rc;

	*raw = malloc(e->raw);
	rc = pack_read_stored(p, e, stored, err);
	if (rc == 0)
		rc = block_decode(c, e, stored, NULL, 0, *raw, err);
	free(stored);
	return rc;
}

/* Whether block i of the table is batch `number` of pack_make. */
static inline bool is_batch(const struct pack_table *t, uint32_t i,
    unsigned number, size_t chunk_len, bool noise)
{
	struct batch b;
	bool same;

	batch_make(&b, number, 3, chunk_len, noise);
	same = t->blocks[i].n_chunks == 3 && t->blocks[i].raw == b.len;
	for (uint32_t k = 0; same && k < 3; k++) {
		const struct block_chunk *c =
		    &t->chunks[t->blocks[i].first_chunk + k];

		same = id_equal(&c->id, &b.chunks[k].id) &&
		    c->len == b.chunks[k].len && c->kind == b.chunks[k].kind;
	}
	batch_fini(&b);
	return same;
}

static inline void small_pack(struct scratch *s, unsigned n)
{
	struct pack_writer *w;
	struct block_codec *c;
	uint8_t *table;
	struct batch b;
	struct err err;
	size_t len;

	assert_int_equal(0, block_codec_new(&c, 1, &err));
	assert_int_equal(0, new_writer(s, &w, &info, &err));
	for (unsigned i = 0; i < n; i++) {
		batch_make(&b, i, 3, 40, i % 2);
		assert_int_equal(0, batch_write(w, c, &b, &err));
		batch_fini(&b);
	}
	assert_int_equal(0, pack_writer_seal(w, s->fd, &table, &len, &err));
	pack_writer_free(w);
	free(table);
	block_codec_free(c);
}

/* Which block's stored bytes hold this offset, or -1. */
static inline int block_at(const struct pack_table *t, size_t offset,
    bool whole)
{
	for (uint32_t i = 0; i < t->n_blocks; i++) {
		const struct block_entry *e = &t->blocks[i];
		uint64_t head = block_head_len(e->n_chunks, e->n_bases);
		uint64_t from = e->offset + (whole ? 0 : head);

		if (offset >= from && offset < e->offset + head + e->stored)
			return (int)i;
	}
	return -1;
}

#endif
