/*
 * crew -- the threads that answer requests, and the wait for their end.
 *
 * One more thread than there are CPUs, so that one that waits for the disk
 * does not idle a CPU.  libfuse's own loop starts and reaps threads as load
 * comes and goes, which costs more than it saves.
 *
 * Threads: all functions are for the one thread that made the crew.
 */
#ifndef FS_CREW_H
#define FS_CREW_H

#include "chunker/err.h"
#include "fs/fuse.h"

struct crew;

enum crew_event {
	CREW_SIGNAL, /* SIGTERM, SIGINT or SIGHUP */
	CREW_DONE,   /* no thread is left: the kernel closed the connection */
};

/*
 * Keeps SIGTERM, SIGINT and SIGHUP for crew_wait, in this thread and those it
 * starts.  To be called before there is a mount to leave behind.
 */
int crew_block_signals(struct err *err);

/* The session must be mounted, and outlive the crew. */
int crew_new(struct crew **out, struct fuse_session *session, struct err *err);

enum crew_event crew_wait(struct crew *c);

/* Ends the threads, each after the request at hand. */
void crew_free(struct crew *c);

#endif
