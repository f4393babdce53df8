/*
 * block -- chunks gathered, compressed together, and taken apart again.
 *
 * A batch collects new chunks in arrival order up to the store's block size;
 * block_encode makes of it one block record as FORMAT.md section 5 lays it
 * out; block_decode gives the raw bytes back, checked.
 *
 * Threads: a batch and a struct block_codec belong to one thread at a time.
 */
#ifndef INDEX_BLOCK_H
#define INDEX_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"

#define BLOCK_RAW_MAX (1u << 24)
#define BLOCK_CHUNKS_MAX 4096
#define BLOCK_BASES_MAX 4096
#define BLOCK_DEPTH_MAX 8
#define BLOCK_PREFIX_MAX (1u << 24) /* raw bytes of all bases of a block */
#define BLOCK_HEAD_SIZE 48
#define BLOCK_HEAD_MAX \
	(BLOCK_HEAD_SIZE + 4 * BLOCK_CHUNKS_MAX + 24 * BLOCK_BASES_MAX)

enum block_codec_kind {
	BLOCK_PLAIN = 0,
	BLOCK_ZSTD = 1,
	BLOCK_DELTA = 2, /* zstd with the bases' raw bytes as prefix */
};

struct block_chunk {
	struct id id;
	enum id_kind kind;
	uint32_t len;
};

struct batch {
	uint8_t *raw;
	size_t len;
	size_t cap;  /* most raw bytes of several chunks */
	size_t room; /* bytes allocated at raw */
	struct block_chunk *chunks; /* room for BLOCK_CHUNKS_MAX */
	uint32_t n_chunks;
	struct block_chunk *bases; /* room for BLOCK_BASES_MAX */
	uint32_t n_bases;
	size_t bases_len; /* raw bytes of all bases */
	size_t bases_cap;
};

/*
 * cap: most raw bytes, unless a single chunk is larger, up to CHUNK_MAX.  The
 * bases together may have two and a half times as many.
 */
int batch_init(struct batch *b, size_t cap, struct err *err);
void batch_fini(struct batch *b);
void batch_reset(struct batch *b);

/* Whether len more bytes belong into this batch; an empty one always fits. */
bool batch_fits(const struct batch *b, size_t len);

/* The chunk must fit, and have at least one byte. */
int batch_add(struct batch *b, enum id_kind kind, const struct id *id,
    const uint8_t *data, size_t len, struct err *err);

/*
 * Names a stored chunk that resembles the batch's chunks: its bytes may become
 * part of the block's prefix.  False: it is not taken, there being no room.
 */
bool batch_add_base(struct batch *b, const struct block_chunk *base);

/* Takes the base named last away again. */
void batch_drop_base(struct batch *b);

/* What the pack's table keeps of one block. */
struct block_entry {
	uint64_t offset; /* of the record */
	uint64_t sum;    /* of the stored bytes */
	uint32_t stored;
	uint32_t raw;
	uint32_t n_chunks;
	uint32_t n_bases;
	uint32_t first_chunk; /* place of its first chunk in the pack's table */
	uint32_t first_base;
	uint8_t codec;
	uint8_t depth;
};

/* Compression and decompression contexts and their scratch memory. */
struct block_codec;

int block_codec_new(struct block_codec **out, int level, struct err *err);
void block_codec_free(struct block_codec *c);

/*
 * Encodes the batch as a record.  read_back decodes the very bytes again and
 * compares them; a difference is ERR_CORRUPT.  *record is borrowed from the
 * codec until its next use; its offset field and head sum are filled in by
 * block_place once the offset is known.  *entry has everything but offset,
 * first_chunk and first_base.
 */
int block_encode(struct block_codec *c, const struct batch *b, bool read_back,
    uint8_t **record, size_t *len, struct block_entry *entry,
    struct err *err);

/* The bases of a block, found and read. */
struct block_prefix {
	const uint8_t *raw; /* of all bases, in order */
	size_t len;         /* BLOCK_PREFIX_MAX at most */
	const struct block_chunk *bases;
	uint32_t n_bases;
	uint8_t depth; /* of the deepest block among them */
};

/*
 * As block_encode, but with the bases' bytes as prefix where that saves at
 * least a tenth; entry->codec is BLOCK_DELTA then, and the depth one more than
 * the bases'.  No bases, or prefix NULL: block_encode.
 */
int block_encode_delta(struct block_codec *c, const struct batch *b,
    const struct block_prefix *prefix, bool read_back, uint8_t **record,
    size_t *len, struct block_entry *entry, struct err *err);

/*
 * Room for the bytes of a prefix, borrowed from the codec until the next call;
 * encoding and decoding leave it alone.
 */
int block_prefix_room(struct block_codec *c, size_t len, uint8_t **out,
    struct err *err);

/* Writes the offset and the head's sum into a record made by block_encode. */
void block_place(uint8_t *record, uint64_t offset);

/*
 * Checks what can be said of an entry by itself: each number within its limits
 * and in agreement with the others.  ERR_CORRUPT, or ERR_FORMAT for an unknown
 * codec.
 */
int block_entry_check(const struct block_entry *e, struct err *err);

/* Length and kind as one u32: a *chunk word* of FORMAT.md, section 5. */
uint32_t block_word(const struct block_chunk *chunk);

/* The id stays as it is.  ERR_CORRUPT for no length, ERR_FORMAT for a kind. */
int block_word_decode(struct block_chunk *out, uint32_t word,
    struct err *err);

/* One base as it stands in records and tables. */
#define BLOCK_BASE_SIZE 24
int block_base_decode(struct block_chunk *out,
    const uint8_t data[BLOCK_BASE_SIZE], struct err *err);

/* Bytes of a record before its stored bytes. */
static inline uint32_t block_head_len(uint32_t n_chunks, uint32_t n_bases)
{
	return BLOCK_HEAD_SIZE + 4 * n_chunks + 24 * n_bases;
}

/*
 * Decodes stored[0, e->stored) into raw, which has room for e->raw.  Checks
 * the sum first and the length after; ERR_CORRUPT.  prefix is the raw bytes of
 * the bases for BLOCK_DELTA, NULL otherwise.
 */
int block_decode(struct block_codec *c, const struct block_entry *e,
    const uint8_t *stored, const uint8_t *prefix, size_t prefix_len,
    uint8_t *raw, struct err *err);

/*
 * Reads a record's head for recovery without a table: data[0, len) begins at
 * `offset` of the pack and holds the whole head, BLOCK_HEAD_MAX bytes at most.
 * Fills entry and, as far as the caller gives room, chunk words; ids stay
 * unknown.  ERR_CORRUPT when it is no intact head.
 */
int block_head_decode(const uint8_t *data, size_t len, uint64_t offset,
    struct block_entry *entry, struct block_chunk *chunks, size_t room,
    struct err *err);

#endif
