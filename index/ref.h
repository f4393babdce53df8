/*
 * ref -- RESOURCE@WHEN:/path, as people name snapshots and things in them.
 *
 * Threads: plain data.
 */
#ifndef INDEX_REF_H
#define INDEX_REF_H

#include <stddef.h>
#include <stdint.h>

#include "chunker/err.h"
#include "index/date.h"
#include "index/snapshot.h"
#include "index/store.h"

struct ref {
	char *resource;   /* from malloc */
	struct when when; /* WHEN_LATEST when none was given */
	char *path;       /* from malloc; "" for the whole snapshot */
	size_t path_len;
};

/* ERR_INVALID names the part that is wrong. */
int ref_parse(struct ref *out, const char *text, struct err *err);
void ref_fini(struct ref *r);

/*
 * The snapshot a WHEN names among a resource's.  "Today" is now_ns at the
 * offset of the newest snapshot.  ERR_NOT_FOUND names the nearest dates before
 * and after; ERR_INVALID an ambiguous id prefix.
 */
int when_pick(const struct when *when, const struct snapshot_row *rows,
    size_t n, int64_t now_ns, size_t *out, struct err *err);

/* resource -> when -> snapshot, opened; to be closed by the caller. */
int ref_open(const struct ref *r, struct store *s, int64_t now_ns,
    struct snapshot **out, struct err *err);

#endif
