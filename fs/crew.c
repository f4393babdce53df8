#include "fs/crew.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Each may hold the blocks of one request beside the cache. */
#define THREADS_MAX 16

/* A thread is small: no request recurses. */
#define STACK_SIZE (512u << 10)

/* Wakes a thread from its wait for a request. */
#define KICK SIGUSR2

struct crew {
	struct fuse_session *session;
	pthread_t thread[THREADS_MAX];
	unsigned n_threads;
	atomic_uint at_work;
	atomic_bool stop;
	int done;    /* eventfd, readable when at_work is 0 */
	int signals; /* signalfd */
};

static void end_signals(sigset_t *out)
{
	sigemptyset(out);
	sigaddset(out, SIGTERM);
	sigaddset(out, SIGINT);
	sigaddset(out, SIGHUP);
}

int crew_block_signals(struct err *err)
{
	sigset_t set;

	end_signals(&set);
	errno = pthread_sigmask(SIG_BLOCK, &set, NULL);
	return errno ? err_sys(err, "signal mask") : 0;
}

static void *work(void *arg)
{
	struct crew *c = arg;
	struct fuse_buf buf = { 0 };
	uint64_t one = 1;
	int len;

	while (!atomic_load(&c->stop) && !fuse_session_exited(c->session)) {
		len = fuse_session_receive_buf(c->session, &buf);
		if (len == -EINTR || len == -EAGAIN)
			continue;
		if (len <= 0)
			break;
		fuse_session_process_buf(c->session, &buf);
	}
	free(buf.mem);
	/* A full eventfd is as readable as one just written. */
	if (atomic_fetch_sub(&c->at_work, 1) == 1)
		(void)!write(c->done, &one, sizeof(one));
	return NULL;
}

/* Exists to interrupt a system call, and does so by being called. */
static void on_kick(int number)
{
	(void)number;
}

static int start(struct crew *c, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned want = cpus < 1 ? 2 : (unsigned)cpus + 1;
	pthread_attr_t attr;
	int rc = 0;

	if (want > THREADS_MAX)
		want = THREADS_MAX;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	while (c->n_threads < want) {
		atomic_fetch_add(&c->at_work, 1);
		errno = pthread_create(&c->thread[c->n_threads], &attr, work,
		    c);
		if (errno) {
			atomic_fetch_sub(&c->at_work, 1);
			rc = err_sys(err, "thread");
			break;
		}
		c->n_threads++;
	}
	pthread_attr_destroy(&attr);
	return rc;
}

int crew_new(struct crew **out, struct fuse_session *session, struct err *err)
{
	struct sigaction kick = { .sa_handler = on_kick };
	struct crew *c;
	sigset_t set;
	int rc;

	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(err, ERR_NOMEM, "threads");
	c->session = session;
	end_signals(&set);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC);
	c->done = eventfd(0, EFD_CLOEXEC);
	if (c->signals < 0 || c->done < 0 || sigaction(KICK, &kick, NULL) < 0)
		rc = err_sys(err, "signals");
	else
		rc = start(c, err);
	if (rc) {
		crew_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

enum crew_event crew_wait(struct crew *c)
{
	struct signalfd_siginfo info;
	struct pollfd fds[] = {
		{ .fd = c->done, .events = POLLIN },
		{ .fd = c->signals, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue; /* EINTR, the only failure there can be */
		if (fds[0].revents)
			return CREW_DONE;
		if (fds[1].revents &&
		    read(c->signals, &info, sizeof(info)) == sizeof(info))
			return CREW_SIGNAL;
	}
}

void crew_free(struct crew *c)
{
	struct pollfd done;

	if (!c)
		return;
	atomic_store(&c->stop, true);
	done = (struct pollfd){ .fd = c->done, .events = POLLIN };
	/* A kick just before a thread begins to wait is lost: kick again. */
	while (atomic_load(&c->at_work) > 0) {
		for (unsigned i = 0; i < c->n_threads; i++)
			pthread_kill(c->thread[i], KICK);
		poll(&done, 1, 10);
	}
	for (unsigned i = 0; i < c->n_threads; i++)
		pthread_join(c->thread[i], NULL);
	if (c->signals >= 0)
		close(c->signals);
	if (c->done >= 0)
		close(c->done);
	free(c);
}
