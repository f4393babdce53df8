/*
 * follow -- the old content of a file, walked along while the new one is cut.
 *
 * A chunk that the old content has too puts the place right; what is new in
 * between most likely took the place of what lay there.  Those old chunks are
 * named as bases in the batch that gets the new one, and are the prefix of its
 * block.  Nothing depends on the guess but the size of the block.
 *
 * Nothing is looked up but in the old content itself: all of it when it is
 * short, else a few thousand chunks around the place.  What of it cannot be
 * read ends the walk in silence.
 *
 * Memory: 160 KiB, and the list nodes on the way.
 *
 * Threads: one at a time; follow_told takes any.
 */
#ifndef TOOLS_FOLLOW_H
#define TOOLS_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "chunker/id.h"
#include "index/block.h"
#include "index/rope.h"

struct follow;

/* target: of a chunk, in bytes; how far a base reaches beyond the new one. */
int follow_new(struct follow **out, const struct chunk_source *source,
    size_t target, struct err *err);
void follow_free(struct follow *f);

/* Begins with a content, which may be nothing; ends the one before. */
void follow_begin(struct follow *f, const struct content *old);

/* The old content is no longer of use; also before the source goes. */
void follow_end(struct follow *f);

/*
 * The next len bytes are a chunk that is stored already.  When it stands in the
 * old content the bases beyond it are taken out of the batch again.
 */
void follow_known(struct follow *f, struct batch *b, const struct id *id,
    uint64_t len);

/* The next len bytes are a hole. */
void follow_hole(struct follow *f, uint64_t len);

/*
 * The next len bytes are new, and go into this batch.  Names their bases in it.
 * False: the batch has chunks and no room for the bases; it would better be
 * handed on first.  Ask again with another batch then.
 */
bool follow_fresh(struct follow *f, struct batch *b, uint64_t len);

/* The batch that bases were named in was handed on, or is empty again. */
void follow_next_batch(struct follow *f);

/*
 * What became of a block with bases.  After several refusals in a row bases are
 * named for few blocks only, until one pays again.
 */
void follow_told(struct follow *f, bool refused);

#endif
