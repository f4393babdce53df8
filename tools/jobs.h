/*
 * jobs -- work for a fixed number of threads, and the order it is done in.
 *
 * Two kinds of work.  A *job* has parts, which are handed out one at a time and
 * in order; jobs lie on a stack, so what was begun last is finished first, and
 * a tree of jobs never has more of them open than threads times depth.  A
 * *rush* is a thing in a short queue that goes before every job; when the queue
 * is full its maker is told so and does the work itself, hence nothing ever
 * waits for room and nothing piles up.
 *
 * What the work is, is the caller's business: no function here calls it but
 * the one function each thread runs.
 *
 * Memory: the queue's slots.  Jobs live in the caller's own structs.
 *
 * Threads: any at once, except new, run and free.
 */
#ifndef TOOLS_JOBS_H
#define TOOLS_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "chunker/err.h"

/* Part of a struct of the caller's; must live until its last part is taken. */
struct job {
	struct job *below;
	uint32_t next;
	uint32_t parts;
};

/* What a thread has in hand.  Begin with all zero. */
struct jobs_item {
	bool held;
	void *rush;      /* not NULL: this thing, and no job */
	struct job *job;
	uint32_t part;   /* 0, 1, ... */
};

struct jobs;

int jobs_new(struct jobs **out, unsigned rush_max, struct err *err);
void jobs_free(struct jobs *j);

/* Lays a job of parts > 0 on top of the stack. */
void jobs_push(struct jobs *j, struct job *job, uint32_t parts);

/* False when the queue is full: the caller keeps the thing. */
bool jobs_rush(struct jobs *j, void *thing);

/*
 * Gives up what *item held and waits for the next thing to do.  False when all
 * is done (nothing is queued and nobody holds anything) or something failed.
 */
bool jobs_take(struct jobs *j, struct jobs_item *item);

/* Makes every jobs_take return false; the first failure is kept. */
void jobs_fail(struct jobs *j, const struct err *why);
bool jobs_failed(const struct jobs *j);

/* One call of each thread; worker is 0 to n_threads - 1. */
typedef void jobs_fn(void *ctx, unsigned worker);

/*
 * Runs fn on n_threads > 0 threads and waits for all of them.  Returns the
 * first failure given to jobs_fail, or that of starting the threads.
 */
int jobs_run(struct jobs *j, unsigned n_threads, jobs_fn *fn, void *ctx,
    struct err *err);

#endif
