#include "fs/nodes.h"

#include <pthread.h>
#include <stdlib.h>

#define LOCKS 64u

struct nodes {
	pthread_mutex_t lock[LOCKS]; /* i guards the slots s with s % LOCKS = i */
	struct view_node slot[NODES_SLOTS]; /* ino 0: empty */
};

/* Neighbours have neighbouring numbers, and so get slots of their own. */
static size_t slot_of(uint64_t ino)
{
	/* The high bits hold the snapshot and the period. */
	return (size_t)((ino ^ (ino >> 37) * 0x9e3779b1u) % NODES_SLOTS);
}

int nodes_new(struct nodes **out, struct err *err)
{
	struct nodes *n = calloc(1, sizeof(*n));

	if (!n)
		return err_set(err, ERR_NOMEM, "table of nodes");
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&n->lock[i], NULL);
	*out = n;
	return 0;
}

void nodes_free(struct nodes *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&n->lock[i]);
	free(n);
}

void nodes_put(struct nodes *n, const struct view_node *node)
{
	size_t i = slot_of(node->ino);

	if (!node->dated)
		return;
	pthread_mutex_lock(&n->lock[i % LOCKS]);
	n->slot[i] = *node;
	pthread_mutex_unlock(&n->lock[i % LOCKS]);
}

bool nodes_find(struct nodes *n, uint64_t ino, struct view_node *out)
{
	size_t i = slot_of(ino);
	bool found;

	pthread_mutex_lock(&n->lock[i % LOCKS]);
	found = n->slot[i].ino == ino && ino != 0;
	if (found)
		*out = n->slot[i];
	pthread_mutex_unlock(&n->lock[i % LOCKS]);
	return found;
}
