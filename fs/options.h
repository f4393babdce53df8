/*
 * options -- what the person asked of the mount.
 *
 *     ieri-mount [options] STORE MOUNTPOINT
 *
 * Understands the words that mount(8), fstab and systemd bring along, and
 * refuses by name what it does not know.  A program name that begins with
 * "mount." means it was called by mount(8): there -f asks for a rehearsal,
 * -s, -n, -v and -t TYPE mean nothing.
 *
 * Threads: plain data.
 */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "chunker/err.h"

/* Attributes shown in place of the recorded ones. */
struct disguise {
	bool has_uid;
	bool has_gid;
	bool has_umask;
	uid_t uid;
	gid_t gid;
	mode_t umask;
};

struct options {
	char *store;        /* as given */
	char *mountpoint;   /* as given */
	char *index_dir;    /* NULL unless given */
	char *only;         /* NULL unless given */
	size_t cache_bytes; /* 0: the store's default */
	struct disguise disguise;
	bool allow_other;
	bool nonempty;
	bool noexec;
	bool no_xattr;
	bool foreground;
	bool debug;
	bool rehearse; /* check the command line, mount nothing */
	bool help;
	bool version;
};

/*
 * Fills *out, to be released with options_fini also after a failure.
 * ERR_INVALID names what is wrong.
 */
int options_parse(struct options *out, int argc, char **argv, struct err *err);
void options_fini(struct options *o);

/* The text of --help. */
extern const char options_help[];

#endif
