#include "index/packset.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "index/store.h"

#define BUCKETS (2 * STORE_PACKS_OPEN)

struct entry {
	struct held_pack held; /* first: a user's pointer is the entry's */
	uint32_t no;
	uint32_t users;
	struct entry *chain; /* next in the same bucket */
	struct entry *newer; /* in the order of last use, users or not */
	struct entry *older;
};

struct packset {
	int packs_dir;
	struct db *db;
	uint8_t uuid[16];
	pthread_mutex_t lock; /* guards all below */
	struct entry *buckets[BUCKETS];
	struct entry *newest;
	struct entry *oldest;
	unsigned n;
};

int packset_new(struct packset **out, int packs_dir, struct db *db,
    const uint8_t uuid[16], struct err *err)
{
	struct packset *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(err, ERR_NOMEM, "open packs");
	s->packs_dir = packs_dir;
	s->db = db;
	memcpy(s->uuid, uuid, sizeof(s->uuid));
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return 0;
}

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	pack_close(e->held.pack);
	free(e);
}

static void order_remove(struct packset *s, struct entry *e)
{
	if (e->newer)
		e->newer->older = e->older;
	else
		s->newest = e->older;
	if (e->older)
		e->older->newer = e->newer;
	else
		s->oldest = e->newer;
}

static void order_add(struct packset *s, struct entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	if (s->newest)
		s->newest->newer = e;
	else
		s->oldest = e;
	s->newest = e;
}

static struct entry *find(struct packset *s, uint32_t no)
{
	struct entry *e = s->buckets[no % BUCKETS];

	while (e && e->no != no)
		e = e->chain;
	return e;
}

static void add(struct packset *s, struct entry *e)
{
	e->chain = s->buckets[e->no % BUCKETS];
	s->buckets[e->no % BUCKETS] = e;
	order_add(s, e);
	s->n++;
}

static void remove_entry(struct packset *s, struct entry *e)
{
	struct entry **at = &s->buckets[e->no % BUCKETS];

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	order_remove(s, e);
	s->n--;
}

/* Takes one pack that is too many out of the set, or gives NULL. */
static struct entry *surplus(struct packset *s)
{
	struct entry *e = s->oldest;

	if (s->n <= STORE_PACKS_OPEN)
		return NULL;
	while (e && e->users)
		e = e->newer;
	if (e)
		remove_entry(s, e);
	return e;
}

void packset_free(struct packset *s)
{
	if (!s)
		return;
	while (s->oldest) {
		struct entry *e = s->oldest;

		assert(e->users == 0);
		remove_entry(s, e);
		entry_free(e);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct entry *take(struct packset *s, uint32_t no)
{
	struct entry *e = find(s, no);

	if (!e)
		return NULL;
	e->users++;
	if (s->newest != e) {
		order_remove(s, e);
		order_add(s, e);
	}
	return e;
}

/*
 * The database keeps the table of every pack; so damage to a pack's own costs
 * none of its blocks, which carry their own sums.
 */
static int open_file(struct packset *s, const struct pack_row *row,
    struct pack **out, struct err *err)
{
	uint8_t *table = NULL;
	struct err ignored;
	char hex[ID_HEX];
	size_t len;
	int rc;

	rc = pack_open(out, s->packs_dir, &row->id, s->uuid, err);
	if (rc == ERR_NOT_FOUND)
		return err_set(err, ERR_CORRUPT, "pack %s is missing",
		    id_hex(&row->id, hex));
	if (rc != ERR_CORRUPT)
		return rc;
	if (db_pack_table(s->db, row->no, &table, &len, &ignored) == 0 &&
	    pack_open_by(out, s->packs_dir, &row->id, s->uuid, table, len,
	        &ignored) == 0)
		rc = 0;
	free(table);
	return rc;
}

static int open_entry(struct packset *s, uint32_t no, struct entry **out,
    struct err *err)
{
	char hex[ID_HEX];
	struct pack_row row;
	struct entry *e;
	int rc;

	rc = db_pack_find(s->db, no, &row, err);
	if (rc)
		return rc;
	e = calloc(1, sizeof(*e));
	if (!e)
		return err_set(err, ERR_NOMEM, "open pack");
	rc = open_file(s, &row, &e->held.pack, err);
	if (!rc) {
		e->held.table = pack_table(e->held.pack);
		if (e->held.table->no != no)
			rc = err_set(err, ERR_CORRUPT,
			    "pack %s has number %u, the index says %u",
			    id_hex(&row.id, hex), e->held.table->no, no);
	}
	if (rc) {
		entry_free(e);
		return rc;
	}
	e->no = no;
	e->users = 1;
	*out = e;
	return 0;
}

int packset_get(struct packset *s, uint32_t no, struct held_pack **out,
    struct err *err)
{
	struct entry *mine = NULL;
	struct entry *closing = NULL;
	struct entry *e;
	int rc;

	pthread_mutex_lock(&s->lock);
	e = take(s, no);
	pthread_mutex_unlock(&s->lock);
	if (e) {
		*out = &e->held;
		return 0;
	}

	rc = open_entry(s, no, &mine, err);
	if (rc)
		return rc;

	/* Two threads may have opened it at once: the first one's stays. */
	pthread_mutex_lock(&s->lock);
	e = take(s, no);
	if (!e) {
		e = mine;
		mine = NULL;
		add(s, e);
		closing = surplus(s);
	}
	pthread_mutex_unlock(&s->lock);
	entry_free(mine);
	entry_free(closing);
	*out = &e->held;
	return 0;
}

void packset_put(struct packset *s, struct held_pack *p)
{
	struct entry *e = (struct entry *)p;
	struct entry *closing;

	if (!p)
		return;
	pthread_mutex_lock(&s->lock);
	e->users--;
	closing = surplus(s);
	pthread_mutex_unlock(&s->lock);
	entry_free(closing);
}
