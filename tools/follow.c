#include "tools/follow.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "chunker/bytes.h"

/* Pieces of the old content that are known at a time; half lies ahead. */
#define WINDOW 4096u
#define BUCKETS 4096u

/* Pieces with equal ids are all in one chain; no more are looked at. */
#define CHAIN_MOST 64

/* What a place may be off by, backwards, after some new chunks. */
#define SLACK 4096u

/* Two chunks in a row whose lengths differ from two old ones by no more are
 * taken for them, with some rows changed; so far from the place. */
#define LENGTH_SLACK 512
#define LENGTH_REACH 16u

/* Refusals in a row after which only one block in so many is tried. */
#define REFUSED_MANY 3
#define TRY_EACH 32

/* A file so large is worth finding out about anew. */
#define LARGE (8u << 20)

struct follow {
	const struct chunk_source *source;
	size_t target;
	bool on;
	struct rope_cursor lists;
	uint64_t size;

	/* Pieces [low, high) of the old content, at their number modulo the
	 * window; ahead is the offset of the first that was not read. */
	struct rope_piece pieces[WINDOW];
	uint32_t high;
	uint64_t ahead;
	/* The last piece of each bucket, plus 1, and before each piece the one
	 * before it in the same bucket, plus 1.  What is older than the window
	 * ends a chain. */
	uint32_t heads[BUCKETS];
	uint32_t before[WINDOW];

	uint64_t at;       /* the place: an offset in the old content */
	uint32_t at_piece; /* the piece that holds it, or high */
	bool lost;         /* new chunks since the place was last put right */
	uint32_t run;      /* the piece that holds it when it was */
	uint64_t last_len; /* of the chunk before, 0 when it was not new */

	/* Pieces [named, named_end) are the last ones named in the batch. */
	uint32_t named;
	uint32_t named_end;

	bool barred;      /* this batch is to have no bases */
	unsigned batches; /* so far */
	atomic_uint refused; /* in a row */
};

int follow_new(struct follow **out, const struct chunk_source *source,
    size_t target, struct err *err)
{
	struct follow *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(err, ERR_NOMEM, "old content");
	f->source = source;
	f->target = target;
	*out = f;
	return 0;
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	follow_end(f);
	free(f);
}

void follow_end(struct follow *f)
{
	if (f->on)
		rope_cursor_fini(&f->lists);
	f->on = false;
}

/* ---- The window ---- */

static uint32_t low(const struct follow *f)
{
	return f->high > WINDOW ? f->high - WINDOW : 0;
}

static const struct rope_piece *piece_at(const struct follow *f, uint32_t i)
{
	return &f->pieces[i % WINDOW];
}

static uint32_t *head_of(struct follow *f, const struct id *id)
{
	return &f->heads[le32_get(id->b) % BUCKETS];
}

static void piece_add(struct follow *f, const struct rope_piece *piece)
{
	uint32_t slot = f->high % WINDOW;

	f->pieces[slot] = *piece;
	f->before[slot] = 0;
	f->ahead = piece->offset + piece->len;
	f->high++;
	if (!id_is_zero(&piece->id)) {
		uint32_t *head = head_of(f, &piece->id);

		f->before[slot] = *head;
		*head = f->high;
	}
}

/* Reads the list until half a window lies ahead of the place. */
static void read_ahead(struct follow *f)
{
	while (f->ahead < f->size && f->high < UINT32_MAX &&
	    f->high - f->at_piece < WINDOW / 2) {
		struct rope_piece piece;
		struct err ignored;

		if (rope_cursor_seek(&f->lists, f->ahead, &piece,
			&ignored) != 1)
			f->size = f->ahead;
		else
			piece_add(f, &piece);
	}
}

void follow_begin(struct follow *f, const struct content *old)
{
	follow_end(f);
	if (old->kind == CONTENT_NONE)
		return;
	rope_cursor_init(&f->lists, f->source, old);
	memset(f->heads, 0, sizeof(f->heads));
	f->on = true;
	f->size = old->size;
	f->high = 0;
	f->ahead = 0;
	f->at = 0;
	f->at_piece = 0;
	f->lost = false;
	f->run = 0;
	f->last_len = 0;
	f->named = 0;
	f->named_end = 0;
	if (old->size >= LARGE) {
		atomic_store(&f->refused, 0);
		f->barred = false;
	}
	read_ahead(f);
}

/* ---- The place ---- */

static void advance(struct follow *f, uint64_t len)
{
	if (f->at < f->size)
		f->at = len < f->size - f->at ? f->at + len : f->size;
	while (f->at_piece < f->high) {
		const struct rope_piece *p = piece_at(f, f->at_piece);

		if (f->at < p->offset + p->len)
			break;
		f->at_piece++;
		read_ahead(f);
	}
}

/* The nearest piece with this id, rather ahead than behind; false: none. */
static bool match(struct follow *f, const struct id *id, uint32_t *out)
{
	uint32_t next = *head_of(f, id);
	bool found = false;

	*out = f->at_piece;
	if (f->at_piece < f->high &&
	    id_equal(&piece_at(f, f->at_piece)->id, id))
		return true;
	for (unsigned n = 0; n < CHAIN_MOST && next > low(f); n++) {
		uint32_t i = next - 1;

		next = f->before[i % WINDOW];
		if (!id_equal(&piece_at(f, i)->id, id))
			continue;
		if (found && i < f->at_piece)
			break;
		found = true;
		*out = i;
	}
	return found;
}

/*
 * A new run is over where piece `i` is met again: what was named from there on
 * was named in vain.
 */
static void trim(struct follow *f, struct batch *b, uint32_t i)
{
	uint32_t from = f->named > f->run ? f->named : f->run;

	if (!f->lost || i < f->run)
		return;
	while (f->named_end > from && f->named_end > i) {
		const struct rope_piece *p = piece_at(f, --f->named_end);

		if (!id_is_zero(&p->id))
			batch_drop_base(b);
	}
}

void follow_known(struct follow *f, struct batch *b, const struct id *id,
    uint64_t len)
{
	uint32_t i;

	if (!f->on)
		return;
	f->last_len = 0;
	if (!match(f, id, &i)) {
		f->lost = true;
		advance(f, len);
		return;
	}
	trim(f, b, i);
	f->at = piece_at(f, i)->offset;
	f->at_piece = i;
	f->lost = false;
	advance(f, len);
	f->run = f->at_piece;
}

void follow_hole(struct follow *f, uint64_t len)
{
	if (f->on)
		advance(f, len);
}

/* ---- Bases ---- */

/* Old pieces [*from, *to) that a new chunk of len bytes may have come from. */
static void range(const struct follow *f, uint64_t len, uint32_t *from,
    uint32_t *to)
{
	uint64_t ahead = len + len / 4 + f->target;
	uint32_t i = f->at_piece;

	if (f->lost && i > low(f) && i > f->run &&
	    f->at - piece_at(f, i - 1)->offset - piece_at(f, i - 1)->len <
	        SLACK)
		i--;
	*from = i;
	for (i = f->at_piece; i < f->high; i++)
		if (piece_at(f, i)->offset >= f->at &&
		    piece_at(f, i)->offset - f->at >= ahead)
			break;
	*to = i;
}

static bool same_length(const struct follow *f, uint32_t i, uint64_t len)
{
	uint64_t old = piece_at(f, i)->len;

	return (old > len ? old - len : len - old) <= LENGTH_SLACK;
}

/*
 * Where every chunk has changed a little none is met again, and bytes put in or
 * taken out would leave the place beside the truth for long.  But most cuts are
 * where they were: so the lengths tell.  The nearest to the place counts.
 */
static void pass(struct follow *f, uint64_t len)
{
	uint32_t from = f->at_piece > f->run + LENGTH_REACH
	                    ? f->at_piece - LENGTH_REACH
	                    : f->run + 1;
	uint32_t best = f->high;

	for (uint32_t i = from; f->last_len && i < f->high &&
	     i <= f->at_piece + LENGTH_REACH; i++) {
		if (i <= low(f) || !same_length(f, i, len) ||
		    !same_length(f, i - 1, f->last_len))
			continue;
		if (best == f->high || i <= f->at_piece)
			best = i;
	}
	f->last_len = len;
	f->lost = true;
	if (best < f->high) {
		f->at_piece = best;
		f->at = piece_at(f, best)->offset;
		len = piece_at(f, best)->len;
	}
	advance(f, len);
}

static bool name(struct follow *f, struct batch *b, uint32_t i)
{
	const struct rope_piece *p = piece_at(f, i);
	const struct block_chunk base = {
		.id = p->id,
		.kind = ID_DATA,
		.len = (uint32_t)p->len,
	};

	if (i >= f->named && i < f->named_end)
		return true;
	if (!id_is_zero(&p->id) && !batch_add_base(b, &base))
		return false;
	if (i != f->named_end)
		f->named = i;
	f->named_end = i + 1;
	return true;
}

bool follow_fresh(struct follow *f, struct batch *b, uint64_t len)
{
	uint32_t before = b->n_bases;
	uint32_t from, to;

	if (!f->on)
		return true;
	range(f, len, &from, &to);
	for (uint32_t i = from; i < to && !f->barred && name(f, b, i); i++)
		from++;
	if (from < to && !f->barred && b->n_chunks) {
		while (b->n_bases > before)
			batch_drop_base(b);
		return false;
	}
	pass(f, len);
	return true;
}

void follow_next_batch(struct follow *f)
{
	f->named = 0;
	f->named_end = 0;
	f->batches++;
	f->barred = atomic_load(&f->refused) >= REFUSED_MANY &&
	    f->batches % TRY_EACH != 0;
}

void follow_told(struct follow *f, bool refused)
{
	if (refused)
		atomic_fetch_add(&f->refused, 1);
	else
		atomic_store(&f->refused, 0);
}
