#include "index/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/index/scratch.h"

static void publish(int dir, const char *name, const char *words)
{
	struct err err;

	assert_int_equal(0, io_publish(dir, "new.tmp", dir, name, words,
	    strlen(words), false, &err));
}

static void assert_holds(int dir, const char *name, const char *words)
{
	struct err err;
	uint8_t *data;
	size_t len;

	assert_int_equal(0, io_read_file(dir, name, 4096, &data, &len, &err));
	assert_int_equal(strlen(words), len);
	assert_memory_equal(words, data, len);
	free(data);
}

static void assert_absent(int dir, const char *name)
{
	assert_int_equal(-1, faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW));
	assert_int_equal(ENOENT, errno);
}

static void test_published_bytes_read_back(void **state)
{
	struct scratch *s = *state;

	publish(s->fd, "name", "first");
	assert_holds(s->fd, "name", "first");
	publish(s->fd, "name", "second, longer");
	assert_holds(s->fd, "name", "second, longer");
	publish(s->fd, "name", "");
	assert_holds(s->fd, "name", "");
	assert_absent(s->fd, "new.tmp");
}

static void test_exclusive_publish_never_replaces(void **state)
{
	struct scratch *s = *state;
	struct err err;

	assert_int_equal(0, io_publish(s->fd, "t", s->fd, "name", "old", 3,
	    true, &err));
	assert_int_equal(ERR_EXISTS, io_publish(s->fd, "t", s->fd, "name",
	    "new", 3, true, &err));
	assert_holds(s->fd, "name", "old");
	assert_absent(s->fd, "t");
}

/* A limit on the size of files fails the write halfway. */
static void test_failed_publish_leaves_the_old_bytes(void **state)
{
	struct scratch *s = *state;
	struct rlimit before, tight;
	static uint8_t large[8192];
	struct err err;
	int rc;

	publish(s->fd, "name", "old");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	tight = before;
	tight.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &tight);
	rc = io_publish(s->fd, "t", s->fd, "name", large, sizeof(large), false,
	    &err);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(ERR_SYSTEM, rc);
	assert_int_equal(EFBIG, err.sys);
	assert_holds(s->fd, "name", "old");
	assert_absent(s->fd, "t");
}

static void test_publish_onto_a_directory_fails_clean(void **state)
{
	struct scratch *s = *state;
	struct err err;

	mkdirat(s->fd, "dir", 0700);
	assert_int_equal(ERR_SYSTEM, io_publish(s->fd, "t", s->fd, "dir", "x",
	    1, false, &err));
	assert_absent(s->fd, "t");
}

static void test_a_temporary_link_is_not_followed(void **state)
{
	struct scratch *s = *state;
	struct err err;

	publish(s->fd, "victim", "mine");
	assert_int_equal(0, symlinkat("victim", s->fd, "t"));
	assert_int_equal(ERR_SYSTEM, io_publish(s->fd, "t", s->fd, "name", "x",
	    1, false, &err));
	assert_holds(s->fd, "victim", "mine");
}

static void test_reading_refuses_what_is_no_small_file(void **state)
{
	struct scratch *s = *state;
	struct err err;
	uint8_t *data;
	size_t len;

	publish(s->fd, "name", "12345");
	assert_int_equal(ERR_INVALID, io_read_file(s->fd, "name", 4, &data,
	    &len, &err));
	assert_int_equal(ERR_NOT_FOUND, io_read_file(s->fd, "none", 4, &data,
	    &len, &err));
	mkfifoat(s->fd, "fifo", 0600);
	assert_int_equal(ERR_INVALID, io_read_file(s->fd, "fifo", 4, &data,
	    &len, &err));
	mkdirat(s->fd, "dir", 0700);
	assert_int_equal(ERR_INVALID, io_read_file(s->fd, "dir", 4, &data,
	    &len, &err));
}

static void test_positioned_reads_and_writes_are_whole(void **state)
{
	struct scratch *s = *state;
	uint8_t got[8];
	struct err err;
	int fd;

	fd = openat(s->fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(0, io_pwrite_full(fd, "abcdefgh", 8, 100, &err));
	assert_int_equal(0, io_pread_full(fd, got, 8, 100, &err));
	assert_memory_equal("abcdefgh", got, 8);
	assert_int_equal(ERR_CORRUPT, io_pread_full(fd, got, 8, 101, &err));
	assert_int_equal(0, io_pread_full(fd, got, 0, 500, &err));
	assert_int_equal(0, io_sync_close(fd, &err));
	assert_int_equal(ERR_SYSTEM, io_sync_close(fd, &err));
}

static void test_durable_rename_never_replaces(void **state)
{
	struct scratch *s = *state;
	struct err err;

	publish(s->fd, "a", "a");
	publish(s->fd, "b", "b");
	assert_int_equal(ERR_EXISTS, io_rename_durable(s->fd, "a", s->fd, "b",
	    &err));
	assert_holds(s->fd, "b", "b");
	assert_int_equal(0, io_rename_durable(s->fd, "a", s->fd, "c", &err));
	assert_holds(s->fd, "c", "a");
	assert_int_equal(ERR_NOT_FOUND, io_rename_durable(s->fd, "a", s->fd,
	    "d", &err));
}

static void test_a_held_lock_excludes_until_closed(void **state)
{
	struct scratch *s = *state;
	struct err err;
	int a, b;

	assert_int_equal(0, io_lock(&a, s->fd, "lock", false, &err));
	assert_int_equal(ERR_BUSY, io_lock(&b, s->fd, "lock", false, &err));
	io_close(a);
	assert_int_equal(0, io_lock(&b, s->fd, "lock", false, &err));
	io_close(b);
}

struct waiter {
	int dir;
	int fd;
	int rc;
};

static void *wait_for_lock(void *arg)
{
	struct waiter *w = arg;
	struct err err;

	w->rc = io_lock(&w->fd, w->dir, "lock", true, &err);
	return NULL;
}

static void test_a_lock_on_a_removed_file_is_not_enough(void **state)
{
	struct scratch *s = *state;
	struct waiter w = { .dir = s->fd, .fd = -1 };
	struct stat held, named;
	pthread_t thread;
	struct err err;
	int fd;

	assert_int_equal(0, io_lock(&fd, s->fd, "lock", false, &err));
	assert_int_equal(0, pthread_create(&thread, NULL, wait_for_lock, &w));
	usleep(100000); /* if it is not waiting yet, the case proves less */
	unlinkat(s->fd, "lock", 0);
	io_close(fd);
	pthread_join(thread, NULL);
	assert_int_equal(0, w.rc);
	assert_int_equal(0, fstat(w.fd, &held));
	assert_int_equal(0, fstatat(s->fd, "lock", &named, 0));
	assert_true(held.st_ino == named.st_ino);
	io_close(w.fd);
}

static void test_a_kernel_file_system_is_local(void **state)
{
	struct err err;
	bool local = false;
	int fd;

	(void)state;
	assert_int_equal(0, io_open_dir(&fd, AT_FDCWD, "/proc", &err));
	assert_int_equal(0, io_is_local(fd, &local, &err));
	assert_true(local);
	io_close(fd);
	assert_int_equal(ERR_SYSTEM, io_is_local(-1, &local, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_published_bytes_read_back),
		SCRATCH_TEST(test_exclusive_publish_never_replaces),
		SCRATCH_TEST(test_failed_publish_leaves_the_old_bytes),
		SCRATCH_TEST(test_publish_onto_a_directory_fails_clean),
		SCRATCH_TEST(test_a_temporary_link_is_not_followed),
		SCRATCH_TEST(test_reading_refuses_what_is_no_small_file),
		SCRATCH_TEST(test_positioned_reads_and_writes_are_whole),
		SCRATCH_TEST(test_durable_rename_never_replaces),
		SCRATCH_TEST(test_a_held_lock_excludes_until_closed),
		SCRATCH_TEST(test_a_lock_on_a_removed_file_is_not_enough),
		SCRATCH_TEST(test_a_kernel_file_system_is_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
