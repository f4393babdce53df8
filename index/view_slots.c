/*
 * Two direct-mapped tables of nodes: a newer node takes the slot of an older
 * one.  Whatever is not there is found by walking down, so forgetting is
 * always right.
 */
#include <stdlib.h>

#include "index/view_private.h"

/* Spreads neighbours; 2^64 divided by the golden ratio. */
static size_t slot_of(uint64_t ino, size_t slots)
{
	return (size_t)((ino * UINT64_C(0x9E3779B97F4A7C15)) >> 32) &
	    (slots - 1);
}

int slots_init(struct view *v, struct err *err)
{
	for (size_t i = 0; i < VIEW_SHARDS; i++)
		pthread_mutex_init(&v->shards[i], NULL);
	v->dirs = calloc(VIEW_DIR_SLOTS, sizeof(*v->dirs));
	v->files = calloc(VIEW_FILE_SLOTS, sizeof(*v->files));
	if (!v->dirs || !v->files)
		return err_set(err, ERR_NOMEM, "tables of the view");
	return 0;
}

void slots_fini(struct view *v)
{
	for (size_t i = 0; i < VIEW_SHARDS; i++)
		pthread_mutex_destroy(&v->shards[i]);
	free(v->dirs);
	free(v->files);
}

void dir_remember(struct view *v, const struct dated_dir *dir)
{
	size_t slot = slot_of(dir->node.ino, VIEW_DIR_SLOTS);
	pthread_mutex_t *shard = &v->shards[slot % VIEW_SHARDS];

	pthread_mutex_lock(shard);
	v->dirs[slot] = *dir;
	pthread_mutex_unlock(shard);
}

bool dir_recall(struct view *v, uint64_t ino, struct dated_dir *out)
{
	size_t slot = slot_of(ino, VIEW_DIR_SLOTS);
	pthread_mutex_t *shard = &v->shards[slot % VIEW_SHARDS];
	bool found;

	pthread_mutex_lock(shard);
	found = v->dirs[slot].node.ino == ino;
	if (found)
		*out = v->dirs[slot];
	pthread_mutex_unlock(shard);
	return found;
}

void file_remember(struct view *v, const struct dated_file *file)
{
	size_t slot = slot_of(file->node.ino, VIEW_FILE_SLOTS);
	pthread_mutex_t *shard = &v->shards[slot % VIEW_SHARDS];

	pthread_mutex_lock(shard);
	v->files[slot] = *file;
	pthread_mutex_unlock(shard);
}

bool file_recall(struct view *v, uint64_t ino, struct dated_file *out)
{
	size_t slot = slot_of(ino, VIEW_FILE_SLOTS);
	pthread_mutex_t *shard = &v->shards[slot % VIEW_SHARDS];
	bool found;

	pthread_mutex_lock(shard);
	found = v->files[slot].node.ino == ino;
	if (found)
		*out = v->files[slot];
	pthread_mutex_unlock(shard);
	return found;
}
