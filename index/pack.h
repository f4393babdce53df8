/*
 * pack -- files of blocks that describe themselves, written once.
 *
 * This module knows bytes, offsets and tables; which chunk lives in which pack
 * is the id table's business, which packs exist the database's.  FORMAT.md,
 * section 5.
 *
 * Threads: a struct pack may be read from any threads at once.  A struct
 * pack_writer takes blocks from any threads at once; sealing is the business
 * of one thread after all others are done with it.
 */
#ifndef INDEX_PACK_H
#define INDEX_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/block.h"
#include "index/chunks.h"

#define PACK_HEAD_SIZE 96
#define PACK_FOOT_SIZE 96
#define PACK_BLOCKS_MAX 65536
#define PACK_CHUNKS_MAX (1u << 22)
#define PACK_BASES_MAX (1u << 22)

enum pack_kind {
	PACK_DATA = 0,
	PACK_META = 1,
};

/* Who a pack is. */
struct pack_info {
	uint8_t uuid[16]; /* of the store */
	struct id id;
	uint32_t no;
	enum pack_kind kind;
	uint64_t session;
	int64_t created_ns;
};

/* A pack's table, decoded. */
struct pack_table {
	struct block_entry *blocks;
	struct block_chunk *chunks;
	struct block_chunk *bases;
	uint32_t n_blocks;
	uint32_t n_chunks;
	uint32_t n_bases;
	uint32_t no;
	enum pack_kind kind;
	struct id id;
	uint64_t size; /* of the pack file */
	uint64_t data_end; /* offset of the table in it */
};

/*
 * Decodes table and footer as they stand at the end of the file and in the
 * database.  Every offset, length and count is checked; uuid must be the
 * store's.  ERR_CORRUPT or ERR_FORMAT.
 */
int pack_table_decode(struct pack_table *out, const uint8_t *data, size_t len,
    const uint8_t uuid[16], struct err *err);
void pack_table_fini(struct pack_table *t);

/* ---- Reading ---- */

struct pack;

/*
 * Opens packs/xx/ID.pack beneath packs_dir, checks header and table.  Fails
 * with ERR_NOT_FOUND, ERR_FORMAT or ERR_CORRUPT.
 */
int pack_open(struct pack **out, int packs_dir, const struct id *id,
    const uint8_t uuid[16], struct err *err);
void pack_close(struct pack *p);

/* Borrowed, as long as the pack is open. */
const struct pack_table *pack_table(const struct pack *p);

/* Table and footer as stored; *out is the caller's, from malloc. */
int pack_table_bytes(const struct pack *p, uint8_t **out, size_t *len,
    struct err *err);

/* The header's words: session and time of creation. */
const struct pack_info *pack_info(const struct pack *p);

/* Reads the stored bytes of a block into buf, which has room for e->stored. */
int pack_read_stored(const struct pack *p, const struct block_entry *e,
    uint8_t *buf, struct err *err);

/* The name of a pack beneath packs/: "xx/ID.pack". */
#define PACK_NAME_SIZE 48
void pack_name(const struct id *id, char name[PACK_NAME_SIZE]);

/* ---- Recovery ---- */

/*
 * Builds the table of a pack whose own is lost or damaged, from its records:
 * walks them by their heads, goes on at the next intact head after a damaged
 * one, decodes each block and names its chunks by `key`.  Blocks that do not
 * decode are left out.  Bases that are not in this pack come from `bases`,
 * which may be NULL; *lacking gets the number of blocks left out for want of
 * theirs.
 * There may be gaps between the blocks, and data_end is where the last ends.
 *
 * *out is to be released by pack_table_fini.  ERR_CORRUPT when neither header
 * nor footer tells whose the pack is, or no block is left.  Slow: every byte
 * is read twice.
 */
int pack_scan(struct pack_table *out, int packs_dir, const struct id *id,
    const uint8_t uuid[16], const struct id_key *key,
    const struct chunk_source *bases, uint32_t *lacking, struct err *err);

/*
 * Opens a pack whose header, table or footer on disk cannot be used, by a table
 * kept elsewhere (the database's).  pack_info knows neither session nor time;
 * pack_table_bytes is not to be had.  ERR_NOT_FOUND or ERR_CORRUPT.
 */
int pack_open_by(struct pack **out, int packs_dir, const struct id *id,
    const uint8_t uuid[16], const uint8_t *table, size_t len,
    struct err *err);

/*
 * Table and footer of a table that pack_scan made, as the database keeps them;
 * *out is the caller's, from malloc.
 */
int pack_table_encode(const struct pack_table *t, const uint8_t uuid[16],
    uint8_t **out, size_t *len, struct err *err);

/* ---- Writing ---- */

struct pack_writer;

/* Creates tmp_dir/tmp_name, which must not exist, and writes the header. */
int pack_writer_new(struct pack_writer **out, int tmp_dir,
    const char *tmp_name, const struct pack_info *info, struct err *err);

/*
 * Appends a record made by block_encode: reserves its place, fills it in and
 * writes it, holding no lock while writing.  chunks are the batch's.
 *
 * ERR_INVALID when the pack has no room for one more, or a chunk is of a kind
 * that belongs into the other kind of pack; nothing has happened then.  Any
 * other failure is the end of the pack: its temporary file is gone, and so
 * are the blocks added before.
 */
int pack_writer_add(struct pack_writer *w, uint8_t *record, size_t len,
    const struct block_entry *entry, const struct block_chunk *chunks,
    struct err *err);

/* Bytes and blocks so far, including those still being written. */
uint64_t pack_writer_size(const struct pack_writer *w);
uint32_t pack_writer_blocks(const struct pack_writer *w);
uint32_t pack_writer_chunks(const struct pack_writer *w);
uint32_t pack_writer_bases(const struct pack_writer *w);
const struct pack_info *pack_writer_info(const struct pack_writer *w);

/*
 * Writes table and footer, fsyncs, renames into packs_dir and fsyncs the
 * directory.  *table is what the database keeps, the caller's, from malloc.
 * After a failure the temporary file is gone.  The writer is to be freed
 * either way.
 */
int pack_writer_seal(struct pack_writer *w, int packs_dir, uint8_t **table,
    size_t *len, struct err *err);

/* Removes the temporary file unless sealed.  Accepts NULL. */
void pack_writer_free(struct pack_writer *w);

#endif
