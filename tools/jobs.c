#include "tools/jobs.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct jobs {
	pthread_mutex_t lock; /* guards all below but `failed` */
	pthread_cond_t more;
	struct job *top;
	void **rush; /* a ring */
	unsigned rush_max;
	unsigned rush_first;
	unsigned n_rush;
	unsigned n_waiting;
	unsigned n_held;
	struct err why;
	atomic_bool failed;
};

struct thread {
	pthread_t id;
	jobs_fn *fn;
	void *ctx;
	unsigned worker;
};

int jobs_new(struct jobs **out, unsigned rush_max, struct err *err)
{
	struct jobs *j = calloc(1, sizeof(*j));

	if (!j)
		return err_set(err, ERR_NOMEM, "list of jobs");
	j->rush = calloc(rush_max ? rush_max : 1, sizeof(*j->rush));
	if (!j->rush) {
		free(j);
		return err_set(err, ERR_NOMEM, "list of jobs");
	}
	j->rush_max = rush_max;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->more, NULL);
	*out = j;
	return 0;
}

void jobs_free(struct jobs *j)
{
	if (!j)
		return;
	pthread_cond_destroy(&j->more);
	pthread_mutex_destroy(&j->lock);
	free(j->rush);
	free(j);
}

void jobs_push(struct jobs *j, struct job *job, uint32_t parts)
{
	job->next = 0;
	job->parts = parts;

	pthread_mutex_lock(&j->lock);
	job->below = j->top;
	j->top = job;
	if (j->n_waiting)
		pthread_cond_broadcast(&j->more);
	pthread_mutex_unlock(&j->lock);
}

bool jobs_rush(struct jobs *j, void *thing)
{
	bool room;

	pthread_mutex_lock(&j->lock);
	room = j->n_rush < j->rush_max;
	if (room) {
		j->rush[(j->rush_first + j->n_rush++) % j->rush_max] = thing;
		if (j->n_waiting)
			pthread_cond_signal(&j->more);
	}
	pthread_mutex_unlock(&j->lock);
	return room;
}

/* Under the lock: what is to be done next, if anything. */
static bool pick(struct jobs *j, struct jobs_item *item)
{
	if (j->n_rush) {
		item->rush = j->rush[j->rush_first];
		j->rush_first = (j->rush_first + 1) % j->rush_max;
		j->n_rush--;
		return true;
	}
	if (j->top) {
		item->job = j->top;
		item->part = j->top->next++;
		if (j->top->next == j->top->parts)
			j->top = j->top->below;
		return true;
	}
	return false;
}

bool jobs_take(struct jobs *j, struct jobs_item *item)
{
	bool held = item->held;

	memset(item, 0, sizeof(*item));
	pthread_mutex_lock(&j->lock);
	if (held)
		j->n_held--;
	while (!atomic_load(&j->failed)) {
		item->held = pick(j, item);
		if (item->held || j->n_held == 0)
			break;
		j->n_waiting++;
		pthread_cond_wait(&j->more, &j->lock);
		j->n_waiting--;
	}
	if (item->held)
		j->n_held++;
	else
		pthread_cond_broadcast(&j->more);
	pthread_mutex_unlock(&j->lock);
	return item->held;
}

void jobs_fail(struct jobs *j, const struct err *why)
{
	pthread_mutex_lock(&j->lock);
	if (!atomic_load(&j->failed))
		j->why = *why;
	atomic_store(&j->failed, true);
	pthread_cond_broadcast(&j->more);
	pthread_mutex_unlock(&j->lock);
}

bool jobs_failed(const struct jobs *j)
{
	return atomic_load_explicit(&j->failed, memory_order_relaxed);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	t->fn(t->ctx, t->worker);
	return NULL;
}

/* Signals are the main thread's business, so workers are born deaf. */
static unsigned threads_start(struct thread *threads, unsigned n)
{
	sigset_t all, before;
	unsigned started = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (started < n && pthread_create(&threads[started].id, NULL,
				  thread_main, &threads[started]) == 0)
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

int jobs_run(struct jobs *j, unsigned n_threads, jobs_fn *fn, void *ctx,
    struct err *err)
{
	struct thread *threads = calloc(n_threads, sizeof(*threads));
	unsigned started;

	if (!threads)
		return err_set(err, ERR_NOMEM, "%u threads", n_threads);
	for (unsigned i = 0; i < n_threads; i++) {
		threads[i].fn = fn;
		threads[i].ctx = ctx;
		threads[i].worker = i;
	}

	started = threads_start(threads, n_threads);
	if (started < n_threads) {
		struct err why;

		err_set(&why, ERR_SYSTEM, "only %u of %u threads could start",
		    started, n_threads);
		jobs_fail(j, &why);
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i].id, NULL);
	free(threads);

	if (!jobs_failed(j))
		return 0;
	*err = j->why;
	return err->code;
}
