#include "index/pinned.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOTS_LEAST 64

/* Open addressing; packs never leave, so a zero id is a free slot for good. */
struct pinned {
	pthread_mutex_t lock; /* guards all below */
	struct root_pack *slots;
	size_t n_slots; /* a power of two */
	size_t n;
};

int pinned_new(struct pinned **out, struct err *err)
{
	struct pinned *p = calloc(1, sizeof(*p));

	if (p) {
		p->n_slots = SLOTS_LEAST;
		p->slots = calloc(p->n_slots, sizeof(*p->slots));
	}
	if (!p || !p->slots) {
		free(p);
		return err_set(err, ERR_NOMEM, "pinned packs");
	}
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return 0;
}

void pinned_free(struct pinned *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p->slots);
	free(p);
}

static struct root_pack *probe(const struct pinned *p, uint32_t no)
{
	size_t i = (size_t)(no * 0x9E3779B1u) & (p->n_slots - 1);

	while (!id_is_zero(&p->slots[i].id) && p->slots[i].no != no)
		i = (i + 1) & (p->n_slots - 1);
	return &p->slots[i];
}

bool pinned_find(struct pinned *p, uint32_t no, struct id *out)
{
	const struct root_pack *at;
	bool has;

	pthread_mutex_lock(&p->lock);
	at = probe(p, no);
	has = !id_is_zero(&at->id);
	if (has && out)
		*out = at->id;
	pthread_mutex_unlock(&p->lock);
	return has;
}

static int grow(struct pinned *p, struct err *err)
{
	struct root_pack *old = p->slots;
	size_t n_old = p->n_slots;
	struct root_pack *wider = calloc(2 * n_old, sizeof(*wider));

	if (!wider)
		return err_set(err, ERR_NOMEM, "pinned packs");
	p->slots = wider;
	p->n_slots = 2 * n_old;
	for (size_t i = 0; i < n_old; i++)
		if (!id_is_zero(&old[i].id))
			*probe(p, old[i].no) = old[i];
	free(old);
	return 0;
}

static int add_locked(struct pinned *p, uint32_t no, const struct id *id,
    struct err *err)
{
	struct root_pack *at;
	int rc;

	if (p->n + 1 > p->n_slots / 2) {
		rc = grow(p, err);
		if (rc)
			return rc;
	}
	at = probe(p, no);
	if (id_is_zero(&at->id)) {
		at->no = no;
		at->id = *id;
		p->n++;
	}
	return 0;
}

int pinned_add(struct pinned *p, uint32_t no, const struct id *id,
    struct err *err)
{
	int rc;

	pthread_mutex_lock(&p->lock);
	rc = add_locked(p, no, id, err);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

static int by_number(const void *a, const void *b)
{
	const struct root_pack *x = a;
	const struct root_pack *y = b;

	return x->no < y->no ? -1 : x->no > y->no;
}

int pinned_list(struct pinned *p, struct root_pack **out, size_t *n,
    struct err *err)
{
	struct root_pack *list;
	size_t k = 0;

	pthread_mutex_lock(&p->lock);
	list = malloc((p->n + 1) * sizeof(*list));
	for (size_t i = 0; list && i < p->n_slots; i++)
		if (!id_is_zero(&p->slots[i].id))
			list[k++] = p->slots[i];
	pthread_mutex_unlock(&p->lock);
	if (!list)
		return err_set(err, ERR_NOMEM, "pinned packs");
	qsort(list, k, sizeof(*list), by_number);
	*out = list;
	*n = k;
	return 0;
}
