/* The progress line of cli.h. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli.h"

struct progress {
	const struct cli *cli;
	const char *verb;
	struct timespec begin;
	atomic_uint_fast64_t files;
	atomic_uint_fast64_t bytes;
	atomic_uint_fast64_t total_files;
	atomic_uint_fast64_t total_bytes;
	bool line; /* renew a line on the terminal */
	bool terminal;
	pthread_t thread;
	pthread_mutex_t lock; /* guards stop */
	bool stop;
};

static double elapsed(const struct progress *p)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - p->begin.tv_sec) +
	    (double)(now.tv_nsec - p->begin.tv_nsec) * 1e-9;
}

static void print_json(const struct progress *p, uint64_t files,
    uint64_t bytes, double secs)
{
	struct json j;

	json_init(&j, stderr);
	json_object(&j, NULL);
	json_text(&j, "progress", p->verb);
	json_u64(&j, "files", files);
	json_u64(&j, "bytes", bytes);
	json_u64(&j, "total_files", p->total_files);
	json_u64(&j, "total_bytes", p->total_bytes);
	json_u64(&j, "elapsed_ms", (uint64_t)(secs * 1000));
	json_end_object(&j);
}

static void print(const struct progress *p, bool renew)
{
	uint64_t files = p->files;
	uint64_t bytes = p->bytes;
	uint64_t total = p->total_bytes;
	double secs = elapsed(p);
	double rate = secs > 0 ? (double)bytes / secs : 0;
	char size[SIZE_TEXT], speed[SIZE_TEXT], of[SIZE_TEXT];

	flockfile(stderr);
	if (p->cli->json) {
		print_json(p, files, bytes, secs);
		funlockfile(stderr);
		return;
	}
	if (renew && p->terminal)
		fputs("\r\033[K", stderr);
	fprintf(stderr, "%s %" PRIu64 " files, %s", p->verb, files,
	    size_text(bytes, size));
	if (total)
		fprintf(stderr, " of %s", size_text(total, of));
	fprintf(stderr, ", %s/s", size_text((uint64_t)rate, speed));
	if (total > bytes && rate > 0)
		fprintf(stderr, ", %.0f s left", (double)(total - bytes) / rate);
	if (!renew || !p->terminal)
		fputc('\n', stderr);
	fflush(stderr);
	funlockfile(stderr);
}

/*
 * Waits for the half second or for SIGUSR1, which only this thread takes: main
 * blocks it before any thread starts.
 */
static void *run(void *arg)
{
	struct progress *p = arg;
	struct timespec tick = { .tv_nsec = 500000000 };
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	for (;;) {
		int sig = sigtimedwait(&usr1, NULL, &tick);
		bool stop;

		pthread_mutex_lock(&p->lock);
		stop = p->stop;
		pthread_mutex_unlock(&p->lock);
		if (stop)
			return NULL;
		if (sig == SIGUSR1)
			print(p, false);
		else if (p->line)
			print(p, true);
	}
}

int progress_start(struct progress **out, const struct cli *cli,
    const char *verb, struct err *err)
{
	struct progress *p = calloc(1, sizeof(*p));
	sigset_t usr1;

	if (!p)
		return err_set(err, ERR_NOMEM, "progress");
	p->cli = cli;
	p->verb = verb;
	p->terminal = isatty(STDERR_FILENO) != 0;
	p->line = !cli->quiet &&
	    (cli->progress == PROGRESS_ALWAYS ||
	    (cli->progress == PROGRESS_AUTO && p->terminal));
	clock_gettime(CLOCK_MONOTONIC, &p->begin);
	pthread_mutex_init(&p->lock, NULL);

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	errno = pthread_create(&p->thread, NULL, run, p);
	if (errno) {
		err_sys(err, "progress thread");
		pthread_mutex_destroy(&p->lock);
		free(p);
		return err->code;
	}
	*out = p;
	return 0;
}

void progress_total(struct progress *p, uint64_t files, uint64_t bytes)
{
	p->total_files = files;
	p->total_bytes = bytes;
}

void progress_add(struct progress *p, uint64_t files, uint64_t bytes)
{
	atomic_fetch_add_explicit(&p->files, files, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->bytes, bytes, memory_order_relaxed);
}

void progress_stop(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_mutex_unlock(&p->lock);
	pthread_kill(p->thread, SIGUSR1); /* ends its wait */
	pthread_join(p->thread, NULL);
	if (p->line && p->terminal && !p->cli->json) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}
