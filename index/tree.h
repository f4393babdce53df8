/*
 * tree -- directories: entries by name, in pages, found by name or number.
 *
 * A directory is a tree of pages; each is a chunk, cut where the names say so,
 * hence a changed entry costs one page on each level and a directory of a
 * million entries is searched without decoding all of it.  FORMAT.md, 6.
 *
 * Every entry carries the number of entries beneath it.  The number of a thing
 * in its snapshot follows from that by addition on the way down, so a mount
 * gives stable inode numbers without any table.
 *
 * Names are bytes.  Sizes are in bytes, times in seconds and nanoseconds.
 *
 * Threads: a writer or an iterator belongs to one thread; a chunk_source is
 * shared by all.
 */
#ifndef INDEX_TREE_H
#define INDEX_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "chunker/buf.h"
#include "chunker/bytes.h"
#include "chunker/err.h"
#include "chunker/id.h"
#include "index/chunks.h"
#include "index/config.h"

#define TREE_NAME_MAX 255
#define TREE_TARGET_MAX 4095

/* Flags of an entry as on disk. */
enum tree_flags {
	TREE_CHUNK = 0x01,  /* content is one chunk */
	TREE_ROPE = 0x02,   /* content is a rope */
	TREE_LINKED = 0x04, /* had other names at the source */
	TREE_SPARSE = 0x08, /* has holes; `data` counts the rest */
	TREE_DEVICE = 0x10, /* `dev` is not 0 */
	TREE_XATTR_CHUNK = 0x20,
	TREE_XATTR_ROPE = 0x40,
	TREE_RACY = 0x80,        /* changed within 2 s of being read */
	TREE_UNREADABLE = 0x100, /* content is missing: it could not be read */
};

#define TREE_FLAGS_ALL 0x1ff

struct tree_entry {
	const char *name; /* not NUL-terminated */
	size_t name_len;
	uint32_t flags;
	uint32_t mode; /* st_mode: type and permissions */
	uint32_t uid;
	uint32_t gid;
	int64_t mtime_s;
	int64_t ctime_s;
	uint32_t mtime_ns;
	uint32_t ctime_ns;
	uint64_t ino; /* at the source */
	uint32_t dev; /* ordinal of the device at the source, 0 the first */
	uint32_t subdirs;    /* directory: directories directly in it */
	uint64_t size;       /* regular file */
	uint64_t data;       /* regular file with TREE_SPARSE: bytes of data */
	uint64_t beneath;    /* directory: entries in its whole subtree */
	const char *target;  /* symlink; not NUL-terminated */
	size_t target_len;
	uint32_t major; /* device */
	uint32_t minor;
	struct id content;   /* with TREE_CHUNK or TREE_ROPE */
	uint64_t xattr_size; /* with TREE_XATTR_* */
	struct id xattr;
};

static inline bool tree_is_dir(const struct tree_entry *e)
{
	return S_ISDIR(e->mode);
}

/* Appends the entry's bytes.  The entry is our own and must make sense. */
void tree_entry_encode(struct buf *out, const struct tree_entry *e);

/*
 * Decodes one entry; name and target are borrowed from the bytes.  With `root`
 * the name must be empty, else it must be a proper name.  ERR_CORRUPT, or
 * ERR_FORMAT for an unknown flag.
 */
int tree_entry_decode(struct tree_entry *out, struct bytes *in, bool root,
    struct err *err);

/* Byte order, the shorter first among equals. */
int tree_name_cmp(const char *a, size_t a_len, const char *b, size_t b_len);

/* ---- Writing ---- */

/* What a finished directory puts into its own entry. */
struct tree_dir {
	struct id id;     /* zero when empty */
	uint64_t entries; /* directly in it */
	uint64_t beneath;
	uint32_t subdirs;
};

struct tree_writer;

/* params and sink must outlive the writer. */
int tree_writer_new(struct tree_writer **out, const struct page_params *params,
    const struct chunk_sink *sink, struct err *err);
void tree_writer_free(struct tree_writer *w);

/*
 * Names must rise strictly and the entry must be one that tree_entry_decode
 * accepts; ERR_INVALID otherwise, and the entry is left out.
 */
int tree_writer_add(struct tree_writer *w, const struct tree_entry *e,
    struct err *err);

/*
 * Ends the directory; the writer is then ready for the next one, after a
 * failure too.  Fails when the sink failed in an earlier tree_writer_add.
 */
int tree_writer_finish(struct tree_writer *w, struct tree_dir *out,
    struct err *err);

/* ---- Reading ---- */

#define TREE_LEVELS_MAX 8

/* One page on an iterator's way, and what its parent claims of it. */
struct tree_level {
	struct chunk page;
	struct id id;
	struct bytes rest; /* the entries not yet passed */
	uint32_t left;     /* how many those are */
	uint64_t entries;  /* of the directory, claimed and not yet passed */
	uint64_t span;     /* things, claimed and not yet passed */
	const char *low;   /* the name passed last: all to come are greater */
	size_t low_len;
	const char *high;  /* the claimed greatest name; NULL for the top */
	size_t high_len;
};

/*
 * A place in a directory.  Holds the chunks of the pages on its way, so it is
 * to be closed.  After a failure a call may be made again: tree_iter_next goes
 * on from the place it could not leave.
 *
 * What a parent claims of a child is checked while walking: level, numbers,
 * first and last name.  A contradiction is ERR_CORRUPT, so is a missing page;
 * whatever the pages hold, a walk ends.
 */
struct tree_iter {
	const struct chunk_source *src;
	struct id top;
	int depth;        /* pages held; 0 before the first */
	int height;       /* level of the top page */
	uint64_t ordinal; /* of the next entry in the directory */
	uint64_t offset;  /* sum of (1 + beneath) over the entries passed */
	struct tree_level level[TREE_LEVELS_MAX]; /* 0 is the top */
};

/* A zero id is the empty directory.  Reads nothing yet.  Cannot fail. */
void tree_iter_init(struct tree_iter *it, const struct chunk_source *src,
    const struct id *top);
void tree_iter_fini(struct tree_iter *it);

/*
 * Returns 1 and fills *out, 0 at the end, or a negative code.  *out is borrowed
 * until the next call.  *before, if not NULL, gets the sum of (1 + beneath)
 * over the entries before this one: the entry's number is its directory's
 * number plus 1 plus that.
 */
int tree_iter_next(struct tree_iter *it, struct tree_entry *out,
    uint64_t *before, struct err *err);

/* Moves to the first entry whose name is not less than this one. */
int tree_iter_seek_name(struct tree_iter *it, const char *name, size_t len,
    struct err *err);

/* Moves to the ordinal-th entry, or the end. */
int tree_iter_seek_ordinal(struct tree_iter *it, uint64_t ordinal,
    struct err *err);

/*
 * Moves to the entry that has, or has beneath it, the thing `offset` places
 * into the directory, counted as `before` above.
 */
int tree_iter_seek_offset(struct tree_iter *it, uint64_t offset,
    struct err *err);

/*
 * Finds one name.  ERR_NOT_FOUND is an ordinary answer.  On success the entry
 * is borrowed from *it, which the caller finishes with tree_iter_fini (after a
 * failure too).
 */
int tree_find(struct tree_iter *it, const struct chunk_source *src,
    const struct id *top, const char *name, size_t len, struct tree_entry *out,
    uint64_t *before, struct err *err);

#endif
