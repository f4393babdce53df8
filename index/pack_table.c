#include "index/pack_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"

#define PACK_VERSION 1

static const char head_magic[8] = "IERIPACK";
static const char foot_magic[8] = "IERIPEND";

/* All four layouts stand in FORMAT.md, section 5. */
struct disk_head {
	uint8_t magic[8];
	uint8_t version[4];
	uint8_t flags[4];
	uint8_t uuid[16];
	uint8_t id[16];
	uint8_t no[4];
	uint8_t kind;
	uint8_t reserved_1[3];
	uint8_t domain[4];
	uint8_t key_no[4];
	uint8_t created_ns[8];
	uint8_t session[8];
	uint8_t reserved_2[8];
	uint8_t sum[8];
};

static_assert(sizeof(struct disk_head) == PACK_HEAD_SIZE, "FORMAT.md 5");
static_assert(offsetof(struct disk_head, no) == 48, "FORMAT.md 5");
static_assert(offsetof(struct disk_head, created_ns) == 64, "FORMAT.md 5");
static_assert(offsetof(struct disk_head, sum) == 88, "FORMAT.md 5");

struct disk_foot {
	uint8_t magic[8];
	uint8_t table[8];
	uint8_t size[8];
	uint8_t n_blocks[4];
	uint8_t n_chunks[4];
	uint8_t n_bases[4];
	uint8_t no[4];
	uint8_t uuid[16];
	uint8_t id[16];
	uint8_t table_sum[8];
	uint8_t kind;
	uint8_t reserved[7];
	uint8_t sum[8];
};

static_assert(sizeof(struct disk_foot) == PACK_FOOT_SIZE, "FORMAT.md 5");
static_assert(offsetof(struct disk_foot, uuid) == 40, "FORMAT.md 5");
static_assert(offsetof(struct disk_foot, kind) == 80, "FORMAT.md 5");
static_assert(offsetof(struct disk_foot, sum) == 88, "FORMAT.md 5");

struct disk_block {
	uint8_t offset[8];
	uint8_t sum[8];
	uint8_t stored[4];
	uint8_t raw[4];
	uint8_t n_chunks[4];
	uint8_t n_bases[4];
	uint8_t codec;
	uint8_t flags;
	uint8_t depth;
	uint8_t reserved[5];
};

static_assert(sizeof(struct disk_block) == PACK_BLOCK_SIZE, "FORMAT.md 5");
static_assert(offsetof(struct disk_block, codec) == 32, "FORMAT.md 5");

struct disk_chunk {
	uint8_t id[16];
	uint8_t word[4];
};

static_assert(sizeof(struct disk_chunk) == PACK_CHUNK_SIZE, "FORMAT.md 5");

bool pack_kind_holds(enum pack_kind pack, enum id_kind chunk)
{
	return (pack == PACK_DATA) == (chunk == ID_DATA);
}

/* ---- Header ---- */

void pack_head_encode(uint8_t out[PACK_HEAD_SIZE],
    const struct pack_info *info)
{
	struct disk_head d = { .kind = (uint8_t)info->kind };

	memcpy(d.magic, head_magic, sizeof(d.magic));
	le32_put(d.version, PACK_VERSION);
	memcpy(d.uuid, info->uuid, sizeof(d.uuid));
	memcpy(d.id, info->id.b, sizeof(d.id));
	le32_put(d.no, info->no);
	le64_put(d.created_ns, (uint64_t)info->created_ns);
	le64_put(d.session, info->session);
	le64_put(d.sum, sum64(&d, offsetof(struct disk_head, sum)));
	memcpy(out, &d, sizeof(d));
}

int pack_head_decode(struct pack_info *out, const uint8_t data[PACK_HEAD_SIZE],
    const uint8_t uuid[16], struct err *err)
{
	const struct disk_head *d = (const void *)data;

	if (memcmp(d->magic, head_magic, sizeof(head_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not an ieri pack");
	if (sum64(data, offsetof(struct disk_head, sum)) != le64_get(d->sum))
		return err_set(err, ERR_CORRUPT,
		    "header is damaged: its checksum does not match");
	if (le32_get(d->version) != PACK_VERSION || le32_get(d->flags) != 0 ||
	    d->kind > PACK_META || le32_get(d->domain) != 0 ||
	    le32_get(d->key_no) != 0 ||
	    !bytes_zero(d->reserved_1, sizeof(d->reserved_1)) ||
	    !bytes_zero(d->reserved_2, sizeof(d->reserved_2)))
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (version %u, flags %x)",
		    le32_get(d->version), le32_get(d->flags));
	if (memcmp(d->uuid, uuid, sizeof(d->uuid)) != 0)
		return err_set(err, ERR_CORRUPT, "belongs to another store");

	memcpy(out->uuid, d->uuid, sizeof(out->uuid));
	memcpy(out->id.b, d->id, sizeof(out->id.b));
	out->no = le32_get(d->no);
	out->kind = (enum pack_kind)d->kind;
	out->session = le64_get(d->session);
	out->created_ns = (int64_t)le64_get(d->created_ns);
	return 0;
}

/* ---- Footer ---- */

uint64_t pack_foot_table_len(const struct pack_foot *foot)
{
	return (uint64_t)foot->n_blocks * PACK_BLOCK_SIZE +
	    (uint64_t)foot->n_chunks * PACK_CHUNK_SIZE +
	    (uint64_t)foot->n_bases * BLOCK_BASE_SIZE;
}

void pack_foot_encode(uint8_t out[PACK_FOOT_SIZE],
    const struct pack_foot *foot)
{
	struct disk_foot d = { .kind = (uint8_t)foot->kind };

	memcpy(d.magic, foot_magic, sizeof(d.magic));
	le64_put(d.table, foot->table);
	le64_put(d.size, foot->size);
	le32_put(d.n_blocks, foot->n_blocks);
	le32_put(d.n_chunks, foot->n_chunks);
	le32_put(d.n_bases, foot->n_bases);
	le32_put(d.no, foot->no);
	memcpy(d.uuid, foot->uuid, sizeof(d.uuid));
	memcpy(d.id, foot->id.b, sizeof(d.id));
	le64_put(d.table_sum, foot->sum);
	le64_put(d.sum, sum64(&d, offsetof(struct disk_foot, sum)));
	memcpy(out, &d, sizeof(d));
}

static int foot_limits(const struct pack_foot *f, struct err *err)
{
	if (f->n_blocks < 1 || f->n_blocks > PACK_BLOCKS_MAX ||
	    f->n_chunks > PACK_CHUNKS_MAX || f->n_bases > PACK_BASES_MAX)
		return err_set(err, ERR_CORRUPT,
		    "footer claims %u blocks, %u chunks, %u bases",
		    f->n_blocks, f->n_chunks, f->n_bases);
	if (f->size < PACK_HEAD_SIZE + PACK_FOOT_SIZE ||
	    f->table < PACK_HEAD_SIZE || f->table > f->size - PACK_FOOT_SIZE ||
	    f->size - PACK_FOOT_SIZE - f->table != pack_foot_table_len(f))
		return err_set(err, ERR_CORRUPT,
		    "footer claims a table at %llu of %llu bytes",
		    (unsigned long long)f->table, (unsigned long long)f->size);
	return 0;
}

int pack_foot_decode(struct pack_foot *out, const uint8_t data[PACK_FOOT_SIZE],
    const uint8_t uuid[16], struct err *err)
{
	const struct disk_foot *d = (const void *)data;
	struct pack_foot f;
	int rc;

	if (memcmp(d->magic, foot_magic, sizeof(foot_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "has no footer at its end");
	if (sum64(data, offsetof(struct disk_foot, sum)) != le64_get(d->sum))
		return err_set(err, ERR_CORRUPT,
		    "footer is damaged: its checksum does not match");
	if (d->kind > PACK_META ||
	    !bytes_zero(d->reserved, sizeof(d->reserved)))
		return err_set(err, ERR_FORMAT,
		    "footer needs a newer ieri (kind %u)", d->kind);
	if (memcmp(d->uuid, uuid, sizeof(d->uuid)) != 0)
		return err_set(err, ERR_CORRUPT, "belongs to another store");

	memcpy(f.uuid, d->uuid, sizeof(f.uuid));
	memcpy(f.id.b, d->id, sizeof(f.id.b));
	f.no = le32_get(d->no);
	f.kind = (enum pack_kind)d->kind;
	f.table = le64_get(d->table);
	f.size = le64_get(d->size);
	f.sum = le64_get(d->table_sum);
	f.n_blocks = le32_get(d->n_blocks);
	f.n_chunks = le32_get(d->n_chunks);
	f.n_bases = le32_get(d->n_bases);
	rc = foot_limits(&f, err);
	if (rc)
		return rc;
	*out = f;
	return 0;
}

/* ---- Table ---- */

void pack_block_put(struct buf *out, const struct block_entry *e)
{
	struct disk_block d = { .codec = e->codec, .depth = e->depth };

	le64_put(d.offset, e->offset);
	le64_put(d.sum, e->sum);
	le32_put(d.stored, e->stored);
	le32_put(d.raw, e->raw);
	le32_put(d.n_chunks, e->n_chunks);
	le32_put(d.n_bases, e->n_bases);
	buf_put(out, &d, sizeof(d));
}

void pack_chunk_put(struct buf *out, const struct block_chunk *chunk)
{
	struct disk_chunk d;

	memcpy(d.id, chunk->id.b, sizeof(d.id));
	le32_put(d.word, block_word(chunk));
	buf_put(out, &d, sizeof(d));
}

/*
 * Blocks lie one after another from the header to the table, and their chunks
 * and bases fill the table exactly: each entry is told where it must begin.
 */
static int blocks_decode(struct pack_table *t, const uint8_t *data,
    struct err *err)
{
	uint64_t offset = PACK_HEAD_SIZE;
	uint32_t chunk = 0;
	uint32_t base = 0;
	int rc;

	for (uint32_t i = 0; i < t->n_blocks; i++) {
		const struct disk_block *d =
		    (const void *)(data + (size_t)i * PACK_BLOCK_SIZE);
		struct block_entry *e = &t->blocks[i];

		*e = (struct block_entry){
			.offset = le64_get(d->offset),
			.sum = le64_get(d->sum),
			.stored = le32_get(d->stored),
			.raw = le32_get(d->raw),
			.n_chunks = le32_get(d->n_chunks),
			.n_bases = le32_get(d->n_bases),
			.first_chunk = chunk,
			.first_base = base,
			.codec = d->codec,
			.depth = d->depth,
		};
		if (d->flags || !bytes_zero(d->reserved, sizeof(d->reserved)))
			return err_set(err, ERR_FORMAT,
			    "block needs a newer ieri");
		rc = block_entry_check(e, err);
		if (rc)
			return rc;
		/* Without gaps in a pack's own table; with some in one made
		 * from what a damaged pack still has. */
		if (e->offset < offset || e->offset > t->data_end ||
		    e->n_chunks > t->n_chunks - chunk ||
		    e->n_bases > t->n_bases - base)
			return err_set(err, ERR_CORRUPT,
			    "table has block %u at %llu instead of %llu", i,
			    (unsigned long long)e->offset,
			    (unsigned long long)offset);
		/* Far from wrapping: no file is near 2^63 bytes. */
		offset = e->offset + block_head_len(e->n_chunks, e->n_bases) +
		    e->stored;
		chunk += e->n_chunks;
		base += e->n_bases;
	}
	if (offset != t->data_end || chunk != t->n_chunks ||
	    base != t->n_bases)
		return err_set(err, ERR_CORRUPT,
		    "table and blocks do not agree on where they end");
	return 0;
}

/* The chunks of a block must fill it, and be of the pack's kind. */
static int block_chunks_check(const struct pack_table *t,
    const struct block_entry *e, struct err *err)
{
	uint64_t raw = 0;
	uint64_t prefix = 0;

	for (uint32_t i = 0; i < e->n_chunks; i++) {
		const struct block_chunk *c = &t->chunks[e->first_chunk + i];

		raw += c->len;
		if (id_is_zero(&c->id) || !pack_kind_holds(t->kind, c->kind))
			return err_set(err, ERR_CORRUPT,
			    "block at %llu has a chunk without name or of"
			    " kind %d",
			    (unsigned long long)e->offset, c->kind);
	}
	for (uint32_t i = 0; i < e->n_bases; i++)
		prefix += t->bases[e->first_base + i].len;
	if (raw != e->raw || prefix > BLOCK_PREFIX_MAX)
		return err_set(err, ERR_CORRUPT,
		    "block at %llu: chunks of %llu bytes, bases of %llu",
		    (unsigned long long)e->offset, (unsigned long long)raw,
		    (unsigned long long)prefix);
	return 0;
}

static int lists_decode(struct pack_table *t, const uint8_t *data,
    struct err *err)
{
	int rc;

	for (uint32_t i = 0; i < t->n_chunks; i++) {
		const struct disk_chunk *d = (const void *)data;

		memcpy(t->chunks[i].id.b, d->id, ID_LEN);
		rc = block_word_decode(&t->chunks[i], le32_get(d->word), err);
		if (rc)
			return rc;
		data += PACK_CHUNK_SIZE;
	}
	for (uint32_t i = 0; i < t->n_bases; i++) {
		rc = block_base_decode(&t->bases[i], data, err);
		if (rc)
			return rc;
		data += BLOCK_BASE_SIZE;
	}
	for (uint32_t i = 0; i < t->n_blocks; i++) {
		rc = block_chunks_check(t, &t->blocks[i], err);
		if (rc)
			return rc;
	}
	return 0;
}

static int table_alloc(struct pack_table *t, struct err *err)
{
	/* One more than needed: an empty list is no failure. */
	t->blocks = calloc((size_t)t->n_blocks + 1, sizeof(*t->blocks));
	t->chunks = calloc((size_t)t->n_chunks + 1, sizeof(*t->chunks));
	t->bases = calloc((size_t)t->n_bases + 1, sizeof(*t->bases));
	if (!t->blocks || !t->chunks || !t->bases)
		return err_set(err, ERR_NOMEM, "pack table");
	return 0;
}

int pack_table_decode(struct pack_table *out, const uint8_t *data, size_t len,
    const uint8_t uuid[16], struct err *err)
{
	struct pack_table t = { 0 };
	struct pack_foot foot;
	size_t table_len;
	int rc;

	if (len < PACK_FOOT_SIZE)
		return err_set(err, ERR_CORRUPT, "table of %zu bytes", len);
	table_len = len - PACK_FOOT_SIZE;
	rc = pack_foot_decode(&foot, data + table_len, uuid, err);
	if (rc)
		return rc;
	if (pack_foot_table_len(&foot) != table_len)
		return err_set(err, ERR_CORRUPT,
		    "table of %zu bytes, the footer claims %llu", table_len,
		    (unsigned long long)pack_foot_table_len(&foot));
	if (sum64(data, table_len) != foot.sum)
		return err_set(err, ERR_CORRUPT,
		    "table is damaged: its checksum does not match");

	t.n_blocks = foot.n_blocks;
	t.n_chunks = foot.n_chunks;
	t.n_bases = foot.n_bases;
	t.no = foot.no;
	t.kind = foot.kind;
	t.id = foot.id;
	t.size = foot.size;
	t.data_end = foot.table;
	rc = table_alloc(&t, err);
	if (rc)
		goto out;
	rc = blocks_decode(&t, data, err);
	if (rc)
		goto out;
	rc = lists_decode(&t, data + (size_t)t.n_blocks * PACK_BLOCK_SIZE,
	    err);
	if (rc)
		goto out;
	*out = t;
	t = (struct pack_table){ 0 };

out:
	pack_table_fini(&t);
	return rc;
}

void pack_table_fini(struct pack_table *t)
{
	free(t->blocks);
	free(t->chunks);
	free(t->bases);
	*t = (struct pack_table){ 0 };
}
