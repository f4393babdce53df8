#include "index/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chunker/bytes.h"
#include "index/io.h"
#include "index/pack_private.h"

static const char magic[4] = "IBLK";

/* A sector that cannot be read is passed over in steps of this. */
#define BAD_STEP 4096u

struct scan {
	int fd;
	uint64_t end; /* of the records, as far as is known */
	struct pack_table table;
	uint32_t room_blocks;
	uint32_t room_chunks;
	uint32_t room_bases;
	struct block_chunk *words; /* room for BLOCK_CHUNKS_MAX */
	uint8_t *window;           /* room for BLOCK_HEAD_MAX */
};

static void scan_fini(struct scan *s)
{
	io_close(s->fd);
	pack_table_fini(&s->table);
	free(s->words);
	free(s->window);
}

static int scan_init(struct scan *s, struct err *err)
{
	s->words = malloc(BLOCK_CHUNKS_MAX * sizeof(*s->words));
	s->window = malloc(BLOCK_HEAD_MAX);
	if (!s->words || !s->window)
		return err_set(err, ERR_NOMEM, "pack scan");
	return 0;
}

/* ---- Whose pack it is ---- */

static int take_head(struct scan *s, const uint8_t uuid[16], struct err *err)
{
	uint8_t data[PACK_HEAD_SIZE];
	struct pack_info info;
	int rc;

	if (s->table.size < sizeof(data))
		return err_set(err, ERR_CORRUPT, "has only %llu bytes",
		    (unsigned long long)s->table.size);
	rc = io_pread_full(s->fd, data, sizeof(data), 0, err);
	if (rc)
		return rc;
	rc = pack_head_decode(&info, data, uuid, err);
	if (rc)
		return rc;
	s->table.no = info.no;
	s->table.kind = info.kind;
	s->table.id = info.id;
	return 0;
}

static int take_foot(struct scan *s, const uint8_t uuid[16], struct err *err)
{
	uint8_t data[PACK_FOOT_SIZE];
	struct pack_foot foot;
	int rc;

	if (s->table.size < sizeof(data))
		return err_set(err, ERR_CORRUPT, "has only %llu bytes",
		    (unsigned long long)s->table.size);
	rc = io_pread_full(s->fd, data, sizeof(data),
	    s->table.size - sizeof(data), err);
	if (rc)
		return rc;
	rc = pack_foot_decode(&foot, data, uuid, err);
	if (rc)
		return rc;
	s->table.no = foot.no;
	s->table.kind = foot.kind;
	s->table.id = foot.id;
	if (foot.size == s->table.size)
		s->end = foot.table;
	return 0;
}

/* Either of header and footer will do; the header is believed first. */
static int take_name(struct scan *s, const struct id *id,
    const uint8_t uuid[16], struct err *err)
{
	struct err lost;
	int foot, head;

	s->end = s->table.size;
	foot = take_foot(s, uuid, &lost);
	head = take_head(s, uuid, err);
	if (head && (foot || head == ERR_FORMAT))
		return head;
	if (!id_equal(&s->table.id, id))
		return err_set(err, ERR_CORRUPT, "holds another pack");
	return 0;
}

/* ---- Finding records ---- */

/* The list with room for n more items after its `used` first, or NULL. */
static void *grow(void *list, uint32_t used, uint32_t n, uint32_t *room,
    size_t item)
{
	size_t want = ((size_t)used + n) * 3 / 2 + 64;
	void *more;

	if (list && n <= *room - used)
		return list;
	more = realloc(list, want * item);
	if (more)
		*room = (uint32_t)want;
	return more;
}

static int make_room(struct scan *s, const struct block_entry *e,
    struct err *err)
{
	struct pack_table *t = &s->table;
	void *more;

	more = grow(t->blocks, t->n_blocks, 1, &s->room_blocks,
	    sizeof(*t->blocks));
	if (!more)
		return err_set(err, ERR_NOMEM, "pack scan");
	t->blocks = more;
	more = grow(t->chunks, t->n_chunks, e->n_chunks, &s->room_chunks,
	    sizeof(*t->chunks));
	if (!more)
		return err_set(err, ERR_NOMEM, "pack scan");
	t->chunks = more;
	more = grow(t->bases, t->n_bases, e->n_bases, &s->room_bases,
	    sizeof(*t->bases));
	if (!more)
		return err_set(err, ERR_NOMEM, "pack scan");
	t->bases = more;
	return 0;
}

/* Enters an intact head; `bases` are as in the record. */
static int enter(struct scan *s, const struct block_entry *e,
    const uint8_t *bases, struct err *err)
{
	struct pack_table *t = &s->table;
	uint64_t prefix = 0;
	int rc;

	rc = make_room(s, e, err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < e->n_chunks; i++)
		if (!pack_kind_holds(t->kind, s->words[i].kind))
			return 0;
	for (uint32_t i = 0; i < e->n_bases; i++) {
		struct block_chunk *base = &t->bases[t->n_bases + i];

		if (block_base_decode(base, bases + i * BLOCK_BASE_SIZE, err))
			return 0;
		prefix += base->len;
	}
	if (prefix > BLOCK_PREFIX_MAX)
		return 0;
	memcpy(t->chunks + t->n_chunks, s->words,
	    e->n_chunks * sizeof(*s->words));
	t->blocks[t->n_blocks] = *e;
	t->blocks[t->n_blocks].first_chunk = t->n_chunks;
	t->blocks[t->n_blocks].first_base = t->n_bases;
	t->n_blocks++;
	t->n_chunks += e->n_chunks;
	t->n_bases += e->n_bases;
	return 0;
}

static bool full(const struct pack_table *t, const struct block_entry *e)
{
	return t->n_blocks == PACK_BLOCKS_MAX ||
	    e->n_chunks > PACK_CHUNKS_MAX - t->n_chunks ||
	    e->n_bases > PACK_BASES_MAX - t->n_bases;
}

/*
 * How far to go in a window that does not begin with an intact head: to the
 * next magic that stands where its own offset field says, or past all that
 * cannot be the beginning of one.
 */
static size_t skip(const uint8_t *window, size_t len, uint64_t offset)
{
	size_t i;

	for (i = 1; i + BLOCK_HEAD_SIZE <= len; i++) {
		const uint8_t *p = memchr(window + i, magic[0], len - i);

		if (!p)
			return len;
		i = (size_t)(p - window);
		if (i + BLOCK_HEAD_SIZE <= len &&
		    memcmp(p, magic, sizeof(magic)) == 0 &&
		    le64_get(p + 24) == offset + i)
			return i;
	}
	return i;
}

/* Looks at one place and says how many bytes to go on; 0 at the end. */
static int step(struct scan *s, uint64_t offset, uint64_t *on,
    struct err *err)
{
	uint64_t left = s->end - offset;
	size_t len = left < BLOCK_HEAD_MAX ? (size_t)left : BLOCK_HEAD_MAX;
	struct block_entry e;
	uint64_t head;
	int rc;

	*on = 0;
	if (len < BLOCK_HEAD_SIZE)
		return 0;
	rc = io_pread_full(s->fd, s->window, len, offset, err);
	if (rc == ERR_SYSTEM && err->sys == EIO) {
		*on = left < BAD_STEP ? left : BAD_STEP - offset % BAD_STEP;
		return 0;
	}
	if (rc)
		return rc;

	rc = block_head_decode(s->window, len, offset, &e, s->words,
	    BLOCK_CHUNKS_MAX, err);
	if (rc == ERR_NOMEM)
		return rc;
	head = rc ? 0 : block_head_len(e.n_chunks, e.n_bases);
	if (rc || e.stored > left - head) {
		*on = skip(s->window, len, offset);
		return 0;
	}
	if (full(&s->table, &e))
		return 0;
	*on = head + e.stored;
	return enter(s, &e,
	    s->window + BLOCK_HEAD_SIZE + 4 * (size_t)e.n_chunks, err);
}

static int find_records(struct scan *s, struct err *err)
{
	uint64_t offset = PACK_HEAD_SIZE;
	uint64_t on = 1;
	int rc;

	while (on > 0 && offset < s->end) {
		rc = step(s, offset, &on, err);
		if (rc)
			return rc;
		offset += on;
	}
	return 0;
}

int pack_scan(struct pack_table *out, int packs_dir, const struct id *id,
    const uint8_t uuid[16], const struct id_key *key,
    const struct chunk_source *bases, uint32_t *lacking, struct err *err)
{
	struct scan s = { .fd = -1 };
	char hex[ID_HEX];
	int rc;

	*lacking = 0;
	rc = scan_init(&s, err);
	if (rc)
		goto out;
	rc = pack_file_open(&s.fd, &s.table.size, packs_dir, id, err);
	if (rc)
		goto out;
	rc = take_name(&s, id, uuid, err);
	if (rc)
		goto out;
	rc = find_records(&s, err);
	if (rc)
		goto out;
	rc = pack_scan_name(&s.table, s.fd, key, bases, lacking, err);
	if (rc)
		goto out;
	if (s.table.n_blocks == 0) {
		rc = err_set(err, ERR_CORRUPT, "has no intact block");
		goto out;
	}
	*out = s.table;
	s.table = (struct pack_table){ 0 };

out:
	if (rc)
		err_wrap(err, "pack %s", id_hex(id, hex));
	scan_fini(&s);
	return rc;
}
