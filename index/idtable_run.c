#include "index/idtable_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chunker/sum.h"
#include "index/io.h"

#define RUN_VERSION 1

static const char run_magic[8] = "IERIRUNS";

/* FORMAT.md section 10. */
struct disk_run {
	uint8_t magic[8];
	uint8_t version[4];
	uint8_t zero[4];
	uint8_t uuid[16];
	uint8_t n[8];   /* entries */
	uint8_t sum[8]; /* of the entries */
	uint8_t zero2[8];
	uint8_t head_sum[8]; /* of all before */
};

static_assert(sizeof(struct disk_run) == 64, "FORMAT.md 10");
static_assert(offsetof(struct disk_run, n) == 32, "FORMAT.md 10");
static_assert(offsetof(struct disk_run, head_sum) == 56, "FORMAT.md 10");

#define RUN_ENTRIES_MAX \
	((SIZE_MAX - sizeof(struct disk_run)) / sizeof(struct entry))

/* The id's first eight bytes, in the order that bytes compare in. */
static uint64_t prefix(const uint8_t *id)
{
	return __builtin_bswap64(le64_get(id));
}

int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;
	uint64_t px = prefix(x->id), py = prefix(y->id);
	uint64_t lx, ly;
	int diff;

	if (px != py)
		return px < py ? -1 : 1;
	diff = memcmp(x->id + 8, y->id + 8, ID_LEN - 8);
	if (diff)
		return diff;
	lx = le64_get(x->location);
	ly = le64_get(y->location);
	return lx < ly ? -1 : lx > ly;
}

void run_name(uint64_t no, char name[RUN_NAME_SIZE])
{
	snprintf(name, RUN_NAME_SIZE, "%" PRIu64 ".run", no);
}

static int head_decode(struct run *r, const struct disk_run *d,
    const uint8_t uuid[16], struct err *err)
{
	static const uint8_t zero[8];

	if (memcmp(d->magic, run_magic, sizeof(run_magic)) != 0 ||
	    sum64(d, offsetof(struct disk_run, head_sum)) !=
	    le64_get(d->head_sum))
		return err_set(err, ERR_CORRUPT, "not a run, or damaged");
	if (le32_get(d->version) != RUN_VERSION ||
	    memcmp(d->zero, zero, sizeof(d->zero)) != 0 ||
	    memcmp(d->zero2, zero, sizeof(d->zero2)) != 0)
		return err_set(err, ERR_FORMAT, "made by another ieri");
	if (memcmp(d->uuid, uuid, sizeof(d->uuid)) != 0)
		return err_set(err, ERR_INVALID, "of another store");
	r->n = le64_get(d->n);
	r->sum = le64_get(d->sum);
	if (r->n > RUN_ENTRIES_MAX || r->map_len !=
	    sizeof(struct disk_run) + r->n * sizeof(struct entry))
		return err_set(err, ERR_CORRUPT,
		    "%zu bytes do not hold %" PRIu64 " entries", r->map_len,
		    r->n);
	return 0;
}

int run_open(struct run **out, int dir, uint64_t no, const uint8_t uuid[16],
    struct err *err)
{
	char name[RUN_NAME_SIZE];
	struct run *r = NULL;
	struct stat st;
	int fd = -1;
	int rc;

	run_name(no, name);
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = err_sys(err, "open");
		goto out;
	}
	if (!S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < sizeof(struct disk_run)) {
		rc = err_set(err, ERR_CORRUPT, "shorter than its header");
		goto out;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		rc = err_set(err, ERR_NOMEM, "run");
		goto out;
	}
	r->no = no;
	r->refs = 1;
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	r->map_len = (size_t)st.st_size;
	r->map = mmap(NULL, r->map_len, PROT_READ, MAP_SHARED, fd, 0);
	if (r->map == MAP_FAILED) {
		r->map = NULL;
		rc = err_sys(err, "mmap");
		goto out;
	}
	rc = head_decode(r, r->map, uuid, err);
	if (rc)
		goto out;
	r->entries = (const struct entry *)
	    ((const uint8_t *)r->map + sizeof(struct disk_run));

	*out = r;
	r = NULL;

out:
	if (rc)
		err_wrap(err, "id table, %s", name);
	run_unref(r);
	io_close(fd);
	return rc;
}

void run_unref(struct run *r)
{
	if (!r || --r->refs)
		return;
	if (r->map)
		munmap(r->map, r->map_len);
	free(r);
}

bool run_is_named(const struct run *r, int dir)
{
	char name[RUN_NAME_SIZE];
	struct stat st;

	/* The mapping keeps the inode alive, so its number is nobody else's. */
	run_name(r->no, name);
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == r->ino && st.st_dev == r->dev &&
	    (uint64_t)st.st_size == r->map_len;
}

int run_verify(const struct run *r, struct err *err)
{
	if (sum64(r->entries, r->n * sizeof(struct entry)) != r->sum)
		return err_set(err, ERR_CORRUPT,
		    "id table, %" PRIu64 ".run is damaged", r->no);
	return 0;
}

/* How many entries lie, on average, between two prefixes this far apart. */
static uint64_t entries_in(uint64_t distance, uint64_t n)
{
	return (uint64_t)((unsigned __int128)distance * n >> 64);
}

static bool below(const struct run *r, uint64_t i, const uint8_t *id,
    uint64_t key)
{
	uint64_t p = prefix(r->entries[i].id);

	if (p != key)
		return p < key;
	return memcmp(r->entries[i].id, id, ID_LEN) < 0;
}

/*
 * Ids are the output of a cipher, so their places can be computed: the first
 * guess is off by the square root of n, the second by the root of that.  Then
 * steps of doubling width bracket the place, which bounds the work whatever
 * the file holds.
 */
static uint64_t lower_bound(const struct run *r, const uint8_t *id)
{
	uint64_t key = prefix(id);
	uint64_t lo = 0, hi = r->n; /* entries below lo are, from hi not */
	uint64_t at = entries_in(key, r->n);
	uint64_t step = 4;

	for (int i = 0; i < 2 && at > lo && at < hi; i++) {
		uint64_t p = prefix(r->entries[at].id);
		uint64_t move = entries_in(p < key ? key - p : p - key, r->n);

		if (p < key) {
			lo = at + 1;
			at = move < hi - at ? at + move : hi - 1;
		} else if (p > key) {
			hi = at;
			at = move < at - lo ? at - move : lo;
		} else {
			break;
		}
	}
	while (lo < hi && step < hi - lo) {
		if (at >= hi)
			at = hi - 1;
		if (at < lo)
			at = lo;
		if (below(r, at, id, key)) {
			lo = at + 1;
			if (step >= hi - lo)
				break;
			at = lo + step;
			if (!below(r, at, id, key)) {
				hi = at;
				break;
			}
		} else {
			hi = at;
			if (step >= hi - lo)
				break;
			at = hi - step;
			if (below(r, at, id, key)) {
				lo = at + 1;
				break;
			}
		}
		step *= 4;
	}
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (below(r, mid, id, key))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t run_find(const struct run *r, const uint8_t id[ID_LEN],
    const struct wish *wish)
{
	uint64_t location;

	for (uint64_t i = lower_bound(r, id); i < r->n; i++) {
		if (memcmp(r->entries[i].id, id, ID_LEN) != 0)
			break;
		location = le64_get(r->entries[i].location);
		if (location && wish_takes(wish, location))
			return location;
	}
	return 0;
}

static bool is_alive(const struct alive *a, uint32_t pack_no)
{
	if (!a->bits)
		return true;
	return pack_no < a->n && a->bits[pack_no / 8] >> pack_no % 8 & 1;
}

/* Merges into out, which has room for all; returns how many were kept. */
static uint64_t merge(struct entry *out, struct source *sources,
    size_t n_sources, const struct alive *alive)
{
	const struct entry *e;
	struct source *least;
	uint64_t n = 0;
	uint32_t pack_no;

	for (;;) {
		least = NULL;
		for (size_t i = 0; i < n_sources; i++)
			if (sources[i].next < sources[i].end && (!least ||
			    entry_compare(sources[i].next, least->next) < 0))
				least = &sources[i];
		if (!least)
			return n;
		e = least->next++;
		pack_no = location_pack(le64_get(e->location));
		/* A chunk that lies twice in a pack is found once. */
		if (!is_alive(alive, pack_no) || (n > 0 &&
		    memcmp(out[n - 1].id, e->id, ID_LEN) == 0 &&
		    location_pack(le64_get(out[n - 1].location)) == pack_no))
			continue;
		out[n++] = *e;
	}
}

static void head_encode(struct disk_run *d, const uint8_t uuid[16],
    uint64_t n, uint64_t sum)
{
	memset(d, 0, sizeof(*d));
	memcpy(d->magic, run_magic, sizeof(d->magic));
	le32_put(d->version, RUN_VERSION);
	memcpy(d->uuid, uuid, sizeof(d->uuid));
	le64_put(d->n, n);
	le64_put(d->sum, sum);
	le64_put(d->head_sum, sum64(d, offsetof(struct disk_run, head_sum)));
}

/* Writes the merged run through a map of fd, and makes it durable. */
static int fill(int fd, uint64_t total, const uint8_t uuid[16],
    struct source *sources, size_t n_sources, const struct alive *alive,
    struct err *err)
{
	size_t len = sizeof(struct disk_run) + total * sizeof(struct entry);
	struct entry *entries;
	uint8_t *map;
	uint64_t n;

	/* All blocks first: a map has no way to say that the disk is full. */
	errno = posix_fallocate(fd, 0, (off_t)len);
	if (errno)
		return err_sys(err, "room for %zu bytes", len);
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_sys(err, "mmap");
	entries = (struct entry *)(map + sizeof(struct disk_run));
	n = merge(entries, sources, n_sources, alive);
	head_encode((struct disk_run *)map, uuid, n,
	    sum64(entries, n * sizeof(struct entry)));
	munmap(map, len);

	len = sizeof(struct disk_run) + n * sizeof(struct entry);
	if (ftruncate(fd, (off_t)len) < 0)
		return err_sys(err, "truncate");
	if (fsync(fd) < 0)
		return err_sys(err, "fsync");
	return 0;
}

int run_create(int dir, uint64_t no, const uint8_t uuid[16],
    struct source *sources, size_t n_sources, const struct alive *alive,
    struct err *err)
{
	const char *tmp = "run.tmp";
	char name[RUN_NAME_SIZE];
	uint64_t total = 0;
	int fd = -1;
	int rc;

	run_name(no, name);
	for (size_t i = 0; i < n_sources; i++)
		total += (uint64_t)(sources[i].end - sources[i].next);
	/* ids/lock is held, so a leftover of a crash is nobody's. */
	fd = openat(dir, tmp,
	    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		rc = err_sys(err, "create %s", tmp);
		goto out;
	}
	rc = fill(fd, total, uuid, sources, n_sources, alive, err);
	if (!rc)
		rc = io_rename_durable(dir, tmp, dir, name, err);
	if (rc)
		unlinkat(dir, tmp, 0);

out:
	if (rc)
		err_wrap(err, "id table, %s", name);
	io_close(fd);
	return rc;
}
