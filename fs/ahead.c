#include "fs/ahead.h"

#include "fs/ops.h"
#include "index/view.h"

/* A walk skips directories, links and empty files between two reads. */
#define GAP_MAX 32

/* Files in a row before anything is stored. */
#define RUN_LEAST 2

/*
 * A walk whose files were all stored in time is seen only by its listings; but
 * so is one that no longer reads.
 */
#define IDLE_MAX 16

/* The most that is stored after one read, and looked at for it. */
#define STORE_BYTES (1u << 20)
#define STORE_NODES 256

/* A larger file is read in several requests that overlap anyway. */
#define FILE_MAX (128u << 10)

void ahead_init(struct ahead *a)
{
	*a = (struct ahead){ .events = 0 };
	pthread_mutex_init(&a->lock, NULL);
}

void ahead_fini(struct ahead *a)
{
	pthread_mutex_destroy(&a->lock);
}

/* The walk that may have come to this place, or NULL. */
static struct walk *walk_find(struct ahead *a, uint64_t ino)
{
	for (unsigned i = 0; i < AHEAD_WALKS; i++) {
		struct walk *w = &a->walks[i];

		if (ino > w->last && ino - w->last <= GAP_MAX)
			return w;
	}
	return NULL;
}

/* The walk unused for longest begins anew. */
static struct walk *walk_new(struct ahead *a)
{
	struct walk *oldest = &a->walks[0];

	for (unsigned i = 1; i < AHEAD_WALKS; i++)
		if (a->walks[i].used < oldest->used)
			oldest = &a->walks[i];
	*oldest = (struct walk){ .last = 0 };
	return oldest;
}

/* The walk to store for, now that it has come here; NULL when not to. */
static struct walk *begin(struct ahead *a, uint64_t ino, bool is_dir)
{
	struct walk *w;

	pthread_mutex_lock(&a->lock);
	w = walk_find(a, ino);
	if (!w && !is_dir)
		w = walk_new(a);
	if (w) {
		w->used = ++a->events;
		w->last = ino;
		w->run += !is_dir;
		w->idle = is_dir ? w->idle + 1 : 0;
		if (w->run <= RUN_LEAST || w->idle > IDLE_MAX || a->storing)
			w = NULL;
		else
			a->storing = true;
	}
	pthread_mutex_unlock(&a->lock);
	return w;
}

/* The walk may have gone on meanwhile, or its place be another's. */
static void end(struct ahead *a, struct walk *w, uint64_t first, uint64_t last)
{
	pthread_mutex_lock(&a->lock);
	if (w->last >= first && w->last < last)
		w->last = last;
	a->storing = false;
	pthread_mutex_unlock(&a->lock);
}

/* False when the kernel does not know the file, or will not have it. */
static bool store(struct mount *m, const struct view_node *node)
{
	struct fuse_bufvec buf = FUSE_BUFVEC_INIT(0);
	struct chunk chunk;
	struct err ignored;
	int rc = 0;

	/* Damage is for the READ to tell. */
	if (chunk_get(m->src, ID_DATA, &node->content.id, &chunk, &ignored))
		return false;
	if (chunk.len == node->content.size) {
		buf.buf[0].mem = (void *)(uintptr_t)chunk.data;
		buf.buf[0].size = chunk.len;
		rc = fuse_lowlevel_notify_store(m->session, node->ino, 0, &buf,
		    FUSE_BUF_NO_SPLICE);
	}
	chunk_release(m->src, &chunk);
	return rc == 0;
}

/* Stores what comes after ino; returns the last that was stored, or ino. */
static uint64_t store_after(struct mount *m, uint64_t ino)
{
	uint64_t last = ino;
	uint64_t bytes = 0;

	for (unsigned i = 1; i <= STORE_NODES && bytes < STORE_BYTES; i++) {
		struct view_node node;
		struct err ignored;

		if (view_get(m->view, ino + i, &node, &ignored))
			break;
		if (node.content.kind != CONTENT_CHUNK ||
		    node.content.size > FILE_MAX)
			continue;
		if (node.ino != ino + i || node.nlink > 1)
			continue;
		if (!store(m, &node))
			break;
		bytes += node.content.size;
		last = node.ino;
	}
	return last;
}

static void go(struct mount *m, uint64_t ino, bool is_dir)
{
	struct walk *w = begin(&m->ahead, ino, is_dir);

	if (w)
		end(&m->ahead, w, ino, store_after(m, ino));
}

void ahead_after(struct mount *m, fuse_ino_t ino)
{
	go(m, ino, false);
}

void ahead_listed(struct mount *m, fuse_ino_t dir)
{
	go(m, dir, true);
}
