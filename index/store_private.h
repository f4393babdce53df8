/*
 * store_private -- what the parts of an open store share among themselves.
 *
 * For index/ alone.  struct store is written here so that the writer, recovery
 * and the rebuild work on the same handles.
 *
 * Threads: as store.h; every field is fixed once the store is open, or belongs
 * to a module that any threads may use at once.
 */
#ifndef INDEX_STORE_PRIVATE_H
#define INDEX_STORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/block.h"
#include "index/cache.h"
#include "index/chunks.h"
#include "index/config.h"
#include "index/db.h"
#include "index/idtable.h"
#include "index/packset.h"
#include "index/store.h"

/* Descriptors of the store's folders. */
struct store_dirs {
	int top;
	int packs;
	int roots;
	int run;
	int tmp;
};

/* A decoder's belongings, borrowed for one block at a time. */
struct reader {
	struct block_codec *codec;
	struct id_hasher *hasher;
	uint8_t *stored;
	size_t stored_cap;
	struct reader *next;
};

struct store {
	struct config config;
	char *path;      /* absolute */
	char *index_dir; /* absolute */
	struct store_dirs dirs;
	struct db *db;
	struct idtable *ids;
	struct cache *cache;
	struct packset *packs;
	struct chunk_source source;
	uint64_t index_dev; /* of index.db when it was opened */
	uint64_t index_ino;
	pthread_mutex_t ids_lock;     /* held while ids is made anew */
	atomic_bool ids_remade;       /* it was; written under ids_lock */
	pthread_mutex_t readers_lock;
	struct reader *readers; /* idle ones */
};

/* The database of an open store, for the modules that list and find. */
struct db *store_db(struct store *s);

/* ---- Opening (store.c) ---- */

/*
 * Opens the folders of the store at path and reads its config; *path_abs is
 * the caller's.  On failure nothing is left open.
 */
int store_dirs_open(struct store_dirs *out, const char *path, char **path_abs,
    struct config *config, struct err *err);
void store_dirs_close(struct store_dirs *d);

/* The index's folder: the one named, or STORE/index.  From malloc. */
int store_index_dir(char **out, const char *path_abs,
    const struct store_options *options, struct err *err);

/*
 * ERR_BUSY when a rebuild has put another database into the place of the one
 * this handle has open: what were written to that would be lost to everybody.
 * To be asked by who holds the store's lock.
 */
int store_index_current(const struct store *s, struct err *err);

/* ---- Reading (store_read.c) ---- */

#define REFUSED_MAX 8

/* Packs that failed a request, so that another copy is looked for. */
struct refused {
	uint32_t no[REFUSED_MAX];
	unsigned n;
	struct err why; /* the first one failed; only when n is not 0 */
};

void refused_add(struct refused *r, uint32_t pack_no, const struct err *why);

/* Where a chunk lies, confirmed by its pack's own table. */
struct chunk_place {
	struct location at;
	struct held_pack *pack; /* held, to be given back with packset_put */
	const struct block_entry *block;
	const struct block_chunk *chunk;
};

/*
 * Finds a chunk outside the refused packs.  A pack that cannot be opened, or
 * that disowns the chunk, is added to them and the next one tried.
 * ERR_NOT_FOUND: no other pack is known to hold it.
 */
int store_locate(struct store *s, const struct id *id,
    struct refused *refused, struct chunk_place *out, struct err *err);

/* A decoder's belongings from the store's stock; never more than threads. */
int reader_take(struct store *s, struct reader **out, struct err *err);
void reader_give(struct store *s, struct reader *r);
void readers_free(struct store *s);

/* Sets up s->source. */
void store_source_init(struct store *s);

/* ---- Locks and recovery (recover.c) ---- */

#define STORE_LOCK "store.lock"

/* "N.lock": the file in run/ whose flock is the life of session N. */
#define SESSION_NAME_SIZE 32
void session_lock_name(uint64_t session, char name[SESSION_NAME_SIZE]);

/*
 * Takes the store's lock: shared for sessions, exclusive for the rebuild.
 * ERR_BUSY when it cannot be had at once.
 */
int store_lock(int *out, int run_dir, bool exclusive, struct err *err);

/* Whether the session's process is gone: nobody holds its lock. */
int session_is_dead(struct store *s, uint64_t session, bool *dead,
    struct err *err);

/*
 * Clears away the sessions of dead processes: their temporary files, pins and
 * unfinished root records go, their sealed packs are taken in.  With `wait`
 * waits for another process that is about it, otherwise leaves it to that one.
 */
int store_recover(struct store *s, bool wait, struct err *err);

/*
 * Enters a live pack, in the caller's transaction: its row from the decoded
 * table, and the table's bytes.
 */
int pack_row_add(struct db *db, const struct pack_table *t, uint64_t session,
    const uint8_t *table, size_t len, struct err *err);

/* "ID.pack" for a pack; anything else in packs/ is none of ours. */
bool pack_name_parse(struct id *out, const char *name);

/*
 * Calls act for each file of a folder, names beginning with a dot left out; a
 * failure ends the walk.
 */
int each_file(int at, const char *folder,
    int (*act)(void *ctx, int dir, const char *name, struct err *err),
    void *ctx, struct err *err);

/* ---- Rebuilding (index_swap.c) ---- */

#define INDEX_NEW "index.new"

/* Removes what a rebuild that died has left. */
int index_new_clear(int index_dir, struct err *err);

/*
 * Puts INDEX_NEW, which nobody has open, into the place of index.db; the old
 * one goes to old-N with its log and its id table.  If it dies in between there
 * is no index, and the rebuild is to be run again.
 */
int index_swap(int index_dir, struct err *err);

/* A larger file in roots/ is no root record: 16 million packs fit. */
#define ROOT_RECORD_MAX (512u << 20)

#endif
