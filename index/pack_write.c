#include "index/pack.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chunker/buf.h"
#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "index/io.h"
#include "index/pack_private.h"

/*
 * How many bytes may lie dirty before the kernel is told to begin.  The disk
 * then works while we compress, and the fsync of a 64 MiB pack finds little
 * left to do: 4 ms instead of 30, the whole pack a third sooner.
 */
#define FLUSH_STEP (8u << 20)

struct pack_writer {
	struct pack_info info;
	int fd;
	int tmp_dir; /* our own */
	char *tmp_name;
	pthread_mutex_t lock; /* guards all below */
	struct buf blocks;    /* the three parts of the table, as stored */
	struct buf chunks;
	struct buf bases;
	uint64_t end;     /* where the next record goes */
	uint64_t flushed; /* up to here the kernel has been told to write */
	uint32_t n_blocks;
	uint32_t n_chunks;
	uint32_t n_bases;
	bool linked; /* the temporary file is there */
	bool dead;
};

/* After a failed write or fsync nothing that is in the file can be believed. */
static void kill_file(struct pack_writer *w)
{
	pthread_mutex_lock(&w->lock);
	if (w->linked)
		unlinkat(w->tmp_dir, w->tmp_name, 0);
	w->linked = false;
	w->dead = true;
	pthread_mutex_unlock(&w->lock);
}

static int dead(struct err *err)
{
	return err_set(err, ERR_SYSTEM,
	    "pack was given up after an earlier failure");
}

static int create(struct pack_writer *w, int tmp_dir, const char *tmp_name,
    struct err *err)
{
	uint8_t head[PACK_HEAD_SIZE];
	int rc;

	w->tmp_name = strdup(tmp_name);
	if (!w->tmp_name)
		return err_set(err, ERR_NOMEM, "pack writer");
	w->tmp_dir = fcntl(tmp_dir, F_DUPFD_CLOEXEC, 0);
	if (w->tmp_dir < 0)
		return err_sys(err, "directory of %s", tmp_name);
	w->fd = openat(tmp_dir, tmp_name,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return err_sys(err, "create %s", tmp_name);
	w->linked = true;

	pack_head_encode(head, &w->info);
	rc = io_pwrite_full(w->fd, head, sizeof(head), 0, err);
	if (rc)
		return err_wrap(err, "%s", tmp_name);
	return 0;
}

int pack_writer_new(struct pack_writer **out, int tmp_dir,
    const char *tmp_name, const struct pack_info *info, struct err *err)
{
	struct pack_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return err_set(err, ERR_NOMEM, "pack writer");
	pthread_mutex_init(&w->lock, NULL);
	buf_init(&w->blocks);
	buf_init(&w->chunks);
	buf_init(&w->bases);
	w->info = *info;
	w->fd = -1;
	w->tmp_dir = -1;
	w->end = PACK_HEAD_SIZE;
	rc = create(w, tmp_dir, tmp_name, err);
	if (rc) {
		pack_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void pack_writer_free(struct pack_writer *w)
{
	if (!w)
		return;
	kill_file(w);
	io_close(w->fd);
	io_close(w->tmp_dir);
	free(w->tmp_name);
	buf_fini(&w->blocks);
	buf_fini(&w->chunks);
	buf_fini(&w->bases);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/*
 * Gives the record its place and enters it into the table.  The caller holds
 * the lock.
 */
static int reserve(struct pack_writer *w, const uint8_t *record, size_t len,
    struct block_entry *e, const struct block_chunk *chunks, struct err *err)
{
	if (w->dead)
		return dead(err);
	if (w->n_blocks == PACK_BLOCKS_MAX ||
	    e->n_chunks > PACK_CHUNKS_MAX - w->n_chunks ||
	    e->n_bases > PACK_BASES_MAX - w->n_bases)
		return err_set(err, ERR_INVALID, "pack is full");

	e->offset = w->end;
	pack_block_put(&w->blocks, e);
	for (uint32_t i = 0; i < e->n_chunks; i++)
		pack_chunk_put(&w->chunks, &chunks[i]);
	buf_put(&w->bases, record + block_head_len(e->n_chunks, 0),
	    (size_t)e->n_bases * BLOCK_BASE_SIZE);
	w->end += len;
	w->n_blocks++;
	w->n_chunks += e->n_chunks;
	w->n_bases += e->n_bases;
	return 0;
}

/* The part that is due to be written out before this record, or nothing. */
static uint64_t flush_due(struct pack_writer *w, uint64_t offset,
    uint64_t *from)
{
	uint64_t due = offset - w->flushed;

	if (due < FLUSH_STEP)
		return 0;
	*from = w->flushed;
	w->flushed = offset;
	return due;
}

int pack_writer_add(struct pack_writer *w, uint8_t *record, size_t len,
    const struct block_entry *entry, const struct block_chunk *chunks,
    struct err *err)
{
	struct block_entry e = *entry;
	uint64_t from = 0;
	uint64_t due = 0;
	int rc;

	for (uint32_t i = 0; i < e.n_chunks; i++)
		if (!pack_kind_holds(w->info.kind, chunks[i].kind))
			return err_set(err, ERR_INVALID,
			    "chunk of kind %d in a pack of kind %d",
			    chunks[i].kind, w->info.kind);

	pthread_mutex_lock(&w->lock);
	rc = reserve(w, record, len, &e, chunks, err);
	if (rc == 0)
		due = flush_due(w, e.offset, &from);
	pthread_mutex_unlock(&w->lock);
	if (rc)
		return rc;

	block_place(record, e.offset);
	rc = io_pwrite_full(w->fd, record, len, e.offset, err);
	if (rc) {
		kill_file(w);
		return err_wrap(err, "%s", w->tmp_name);
	}
	/* A hint: what it misses or fails to write, fsync does. */
	if (due)
		(void)sync_file_range(w->fd, (off_t)from, (off_t)due,
		    SYNC_FILE_RANGE_WRITE);
	return 0;
}

uint64_t pack_writer_size(const struct pack_writer *w)
{
	struct pack_writer *me = (struct pack_writer *)w;
	uint64_t size;

	pthread_mutex_lock(&me->lock);
	size = me->end;
	pthread_mutex_unlock(&me->lock);
	return size;
}

uint32_t pack_writer_blocks(const struct pack_writer *w)
{
	struct pack_writer *me = (struct pack_writer *)w;
	uint32_t n;

	pthread_mutex_lock(&me->lock);
	n = me->n_blocks;
	pthread_mutex_unlock(&me->lock);
	return n;
}

uint32_t pack_writer_chunks(const struct pack_writer *w)
{
	struct pack_writer *me = (struct pack_writer *)w;
	uint32_t n;

	pthread_mutex_lock(&me->lock);
	n = me->n_chunks;
	pthread_mutex_unlock(&me->lock);
	return n;
}

uint32_t pack_writer_bases(const struct pack_writer *w)
{
	struct pack_writer *me = (struct pack_writer *)w;
	uint32_t n;

	pthread_mutex_lock(&me->lock);
	n = me->n_bases;
	pthread_mutex_unlock(&me->lock);
	return n;
}

const struct pack_info *pack_writer_info(const struct pack_writer *w)
{
	return &w->info;
}

/* ---- Sealing ---- */

/* Table and footer in one piece, in the buffer of the blocks. */
static int finish_table(struct pack_writer *w, struct err *err)
{
	struct pack_foot foot = {
		.id = w->info.id,
		.no = w->info.no,
		.kind = w->info.kind,
		.table = w->end,
		.n_blocks = w->n_blocks,
		.n_chunks = w->n_chunks,
		.n_bases = w->n_bases,
	};
	struct buf *table = &w->blocks;
	uint8_t data[PACK_FOOT_SIZE];
	int rc;

	/* A part that ran out of memory would be left out in silence. */
	rc = buf_check(&w->chunks, err);
	if (rc)
		return rc;
	rc = buf_check(&w->bases, err);
	if (rc)
		return rc;
	buf_put(table, w->chunks.data, w->chunks.len);
	buf_put(table, w->bases.data, w->bases.len);
	rc = buf_check(table, err);
	if (rc)
		return rc;

	memcpy(foot.uuid, w->info.uuid, sizeof(foot.uuid));
	foot.size = w->end + table->len + PACK_FOOT_SIZE;
	foot.sum = sum64(table->data, table->len);
	pack_foot_encode(data, &foot);
	buf_put(table, data, sizeof(data));
	return buf_check(table, err);
}

/* Everything the file is to hold, durable, but not yet under its name. */
static int finish_file(struct pack_writer *w, struct err *err)
{
	int rc;

	rc = io_pwrite_full(w->fd, w->blocks.data, w->blocks.len, w->end, err);
	if (rc)
		return rc;
	if (fchmod(w->fd, 0440) < 0)
		return err_sys(err, "chmod");
	if (fsync(w->fd) < 0)
		return err_sys(err, "fsync");
	return 0;
}

static int publish(struct pack_writer *w, int packs_dir, struct err *err)
{
	char name[PACK_NAME_SIZE];
	char folder[3];
	int dir = -1;
	int rc;

	pack_name(&w->info.id, name);
	memcpy(folder, name, 2);
	folder[2] = '\0';
	rc = io_open_dir(&dir, packs_dir, folder, err);
	if (rc)
		return rc;
	if (renameat2(w->tmp_dir, w->tmp_name, dir, name + 3,
	    RENAME_NOREPLACE) < 0) {
		rc = err_sys(err, "rename to %s", name);
		goto out;
	}
	w->linked = false;
	if (fsync(dir) < 0) {
		rc = err_sys(err, "fsync directory of %s", name);
		/* Nobody knows of it yet, and nobody shall. */
		unlinkat(dir, name + 3, 0);
	}

out:
	io_close(dir);
	return rc;
}

int pack_writer_seal(struct pack_writer *w, int packs_dir, uint8_t **table,
    size_t *len, struct err *err)
{
	int rc;

	if (w->dead)
		return dead(err);
	if (w->n_blocks == 0) {
		rc = err_set(err, ERR_INVALID, "pack without blocks");
		goto out;
	}
	rc = finish_table(w, err);
	if (rc)
		goto out;
	rc = finish_file(w, err);
	if (rc)
		goto out;
	rc = publish(w, packs_dir, err);
	if (rc)
		goto out;

	*table = w->blocks.data;
	*len = w->blocks.len;
	buf_init(&w->blocks);

out:
	if (rc) {
		err_wrap(err, "seal %s", w->tmp_name);
		kill_file(w);
	}
	/* A sealed pack takes no more blocks, a failed one never will. */
	w->dead = true;
	return rc;
}
