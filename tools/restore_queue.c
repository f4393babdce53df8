#include <stdlib.h>

#include "tools/restore_private.h"

void queue_init(struct queue *q)
{
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, NULL);
	q->top = NULL;
	q->busy = 0;
	q->stopped = false;
}

void queue_fini(struct queue *q)
{
	pthread_cond_destroy(&q->more);
	pthread_mutex_destroy(&q->lock);
}

void queue_push(struct queue *q, struct work *work)
{
	pthread_mutex_lock(&q->lock);
	work->below = q->top;
	q->top = work;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
}

void queue_ref(struct queue *q, struct work *work)
{
	pthread_mutex_lock(&q->lock);
	work->refs++;
	pthread_mutex_unlock(&q->lock);
}

void queue_unref(struct worker *w, struct work *work)
{
	struct queue *q = &w->restore->queue;
	bool last;

	pthread_mutex_lock(&q->lock);
	last = --work->refs == 0;
	pthread_mutex_unlock(&q->lock);
	if (last)
		work->drop(w, work);
}

void queue_end(struct queue *q, struct work *work, uint64_t end)
{
	pthread_mutex_lock(&q->lock);
	if (end < work->end)
		work->end = end;
	pthread_mutex_unlock(&q->lock);
}

void queue_stop(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stopped = true;
	pthread_cond_broadcast(&q->more);
	pthread_mutex_unlock(&q->lock);
}

/* What one thread has in hand. */
struct item {
	struct work *work;
	unsigned phase;
	uint64_t at;
};

static bool is_over(const struct work *work)
{
	return work->next >= work->end && work->phase + 1 >= work->phases;
}

/*
 * Takes the next part of what lies on top.  The stack's reference goes with the
 * last part, so that a directory whose last child was begun is not kept open
 * for the sake of the stack.  Returns a work whose parts turned out to be over,
 * for the caller to let go without the lock.
 */
static struct work *take(struct queue *q, struct item *out)
{
	struct work *work = q->top;

	out->work = NULL;
	if (work->next >= work->end && !is_over(work)) {
		work->phase++;
		work->next = 0;
	}
	if (work->next >= work->end) {
		q->top = work->below;
		return work;
	}
	out->work = work;
	out->phase = work->phase;
	out->at = work->next;
	work->next += work->step;
	q->busy++;
	if (is_over(work))
		q->top = work->below;
	else
		work->refs++;
	return NULL;
}

/* False when all is done. */
static bool wait_for(struct queue *q, struct item *out, struct work **over)
{
	bool found = false;

	*over = NULL;
	out->work = NULL;
	pthread_mutex_lock(&q->lock);
	while (!q->top && q->busy > 0 && !q->stopped)
		pthread_cond_wait(&q->more, &q->lock);
	if (q->top && !q->stopped) {
		*over = take(q, out);
		found = true;
	} else if (q->top) {
		/* Stopped: what is left is only let go. */
		*over = q->top;
		q->top = q->top->below;
		found = true;
	}
	pthread_mutex_unlock(&q->lock);
	return found;
}

static void give_back(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	if (--q->busy == 0 && !q->top)
		pthread_cond_broadcast(&q->more);
	pthread_mutex_unlock(&q->lock);
}

void queue_work(struct queue *q, struct worker *w)
{
	struct work *over;
	struct item item;

	while (wait_for(q, &item, &over)) {
		if (over)
			queue_unref(w, over);
		if (!item.work)
			continue;
		if (restore_stopping(w->restore))
			queue_stop(q);
		else
			item.work->run(w, item.work, item.phase, item.at);
		queue_unref(w, item.work);
		give_back(q);
	}
}
