/*
 * scratch -- a directory of its own for each test case, gone afterwards.
 */
#ifndef TESTS_INDEX_SCRATCH_H
#define TESTS_INDEX_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int scratch_drop_one(const char *path, const struct stat *st,
    int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

struct scratch {
	char path[256];
	int fd;
};

/* 0, or -1: then the test case fails in its set-up. */
static inline int scratch_make(void **state)
{
	const char *base = getenv("TMPDIR");
	struct scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	snprintf(s->path, sizeof(s->path), "%s/ieri-XXXXXX",
	    base ? base : "/tmp");
	if (!mkdtemp(s->path))
		return -1;
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = s;
	return s->fd < 0 ? -1 : 0;
}

static inline int scratch_drop(void **state)
{
	struct scratch *s = *state;

	if (!s)
		return 0;
	close(s->fd);
	nftw(s->path, scratch_drop_one, 16, FTW_DEPTH | FTW_PHYS);
	free(s);
	return 0;
}

/*
 * How often to do what is done n times in an ordinary run: IERI_TEST_ROUNDS is
 * a percentage, for builds that are slow.  At least once.
 */
static inline int scratch_rounds(int n)
{
	const char *percent = getenv("IERI_TEST_ROUNDS");
	int rounds = percent ? (int)((long)n * atol(percent) / 100) : n;

	return rounds > 0 ? rounds : 1;
}

#define SCRATCH_TEST(f) \
	cmocka_unit_test_setup_teardown(f, scratch_make, scratch_drop)

#endif
