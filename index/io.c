#include "index/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

void io_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int io_pread_full(int fd, void *buf, size_t len, uint64_t offset,
    struct err *err)
{
	uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read");
		if (n == 0)
			return err_set(err, ERR_CORRUPT,
			    "ends at %llu, %zu bytes early",
			    (unsigned long long)offset, len);
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int io_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset,
    struct err *err)
{
	const uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write");
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int io_write_full(int fd, const void *buf, size_t len, struct err *err)
{
	const uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_sync_close(int fd, struct err *err)
{
	int rc = 0;

	if (fsync(fd) < 0)
		rc = err_sys(err, "fsync");
	io_close(fd);
	return rc;
}

int io_open_dir(int *out, int at, const char *path, struct err *err)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "open directory %s", path);
	*out = fd;
	return 0;
}

int io_read_file(int dir, const char *name, size_t max, uint8_t **out,
    size_t *len, struct err *err)
{
	uint8_t *data = NULL;
	struct stat st;
	int fd = -1;
	int rc;

	/* A FIFO of this name must be refused, not waited for. */
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = err_sys(err, "open %s", name);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = err_set(err, ERR_INVALID, "%s is not a file", name);
		goto out;
	}
	if ((uint64_t)st.st_size > max) {
		rc = err_set(err, ERR_INVALID,
		    "%s has %llu bytes, the most is %zu", name,
		    (unsigned long long)st.st_size, max);
		goto out;
	}
	data = malloc((size_t)st.st_size + 1);
	if (!data) {
		rc = err_set(err, ERR_NOMEM, "bytes of %s", name);
		goto out;
	}
	rc = io_pread_full(fd, data, (size_t)st.st_size, 0, err);
	if (rc) {
		err_wrap(err, "%s", name);
		goto out;
	}
	*out = data;
	*len = (size_t)st.st_size;
	data = NULL;

out:
	free(data);
	io_close(fd);
	return rc;
}

int io_publish(int tmp_dir, const char *tmp, int dst_dir, const char *name,
    const void *data, size_t len, bool exclusive, struct err *err)
{
	unsigned flags = exclusive ? RENAME_NOREPLACE : 0;
	int fd;
	int rc;

	/* A leftover of a crash is overwritten; a link never followed. */
	fd = openat(tmp_dir, tmp,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "create %s", tmp);

	rc = io_write_full(fd, data, len, err);
	if (rc) {
		err_wrap(err, "%s", tmp);
		goto out;
	}
	if (fsync(fd) < 0) {
		rc = err_sys(err, "fsync %s", tmp);
		goto out;
	}
	if (renameat2(tmp_dir, tmp, dst_dir, name, flags) < 0) {
		rc = err_sys(err, "rename to %s", name);
		goto out;
	}
	if (fsync(dst_dir) < 0) {
		rc = err_sys(err, "fsync directory of %s", name);
		/* The name was not there before and shall not be now. */
		if (exclusive)
			unlinkat(dst_dir, name, 0);
	}

out:
	if (rc)
		unlinkat(tmp_dir, tmp, 0);
	io_close(fd);
	return rc;
}

int io_rename_durable(int src_dir, const char *src, int dst_dir,
    const char *dst, struct err *err)
{
	if (renameat2(src_dir, src, dst_dir, dst, RENAME_NOREPLACE) < 0)
		return err_sys(err, "rename %s to %s", src, dst);
	if (fsync(dst_dir) < 0)
		return err_sys(err, "fsync directory of %s", dst);
	return 0;
}

/* Whether fd is still what the name leads to. */
static bool still_named(int fd, int dir, const char *name)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(dir, name, &named, 0) == 0 &&
	    held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

static int lock_once(int *out, int dir, const char *name, bool wait,
    struct err *err)
{
	int op = LOCK_EX | (wait ? 0 : LOCK_NB);
	int fd;
	int rc;

	fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "open lock %s", name);
	do
		rc = flock(fd, op);
	while (rc < 0 && errno == EINTR);
	if (rc == 0) {
		*out = fd;
		return 0;
	}
	if (errno == EWOULDBLOCK)
		rc = err_set(err, ERR_BUSY, "%s is locked by another process",
		    name);
	else
		rc = err_sys(err, "lock %s", name);
	io_close(fd);
	return rc;
}

int io_lock(int *out, int dir, const char *name, bool wait, struct err *err)
{
	int fd = -1;
	int rc;

	for (;;) {
		rc = lock_once(&fd, dir, name, wait, err);
		if (rc)
			return rc;
		/* Its last holder may have removed the file between our open
		 * and our lock; a lock on a nameless file excludes nobody. */
		if (still_named(fd, dir, name))
			break;
		io_close(fd);
	}
	*out = fd;
	return 0;
}

/* Those that linux/magic.h does not name come from their own sources. */
static const uint32_t remote[] = {
	NFS_SUPER_MAGIC,
	SMB_SUPER_MAGIC,
	CIFS_SUPER_MAGIC,
	SMB2_SUPER_MAGIC,
	FUSE_SUPER_MAGIC,
	V9FS_MAGIC,
	AFS_SUPER_MAGIC,
	AFS_FS_MAGIC,
	CEPH_SUPER_MAGIC,
	CODA_SUPER_MAGIC,
	NCP_SUPER_MAGIC,
	OCFS2_SUPER_MAGIC,
	0x01161970, /* GFS2 */
	0x0bd00bd0, /* Lustre */
	0x47504653, /* GPFS */
	0x19830326, /* BeeGFS */
	0x786f4256, /* VirtualBox shared folder */
	0xbacbacbc, /* VMware shared folder */
};

int io_is_local(int fd, bool *out, struct err *err)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return err_sys(err, "statfs");
	*out = true;
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if ((uint32_t)st.f_type == remote[i])
			*out = false;
	return 0;
}

int64_t io_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
