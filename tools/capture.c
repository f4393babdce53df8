#include "tools/capture.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "index/blob.h"

#define RACY_NS 2000000000ll
#define LOOKUP_SIZE (1u << 20)

/* ---- Devices ---- */

void devices_init(struct devices *d)
{
	memset(d, 0, sizeof(*d));
	pthread_mutex_init(&d->lock, NULL);
}

void devices_fini(struct devices *d)
{
	pthread_mutex_destroy(&d->lock);
	free(d->list);
}

/*
 * Whether the table of mounts gives this device the type fuse.ieri.  A line is
 * "id parent major:minor root point options [tags] - type source more".
 */
static bool mounted_by_us(dev_t dev)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	bool found = false;

	if (!table)
		return false;
	while (!found && getline(&line, &cap, table) > 0) {
		unsigned major_no, minor_no;
		const char *type = strstr(line, " - ");

		if (type &&
		    sscanf(line, "%*d %*d %u:%u", &major_no, &minor_no) == 2 &&
		    makedev(major_no, minor_no) == dev)
			found = strncmp(type, " - fuse.ieri ", 13) == 0;
	}
	free(line);
	fclose(table);
	return found;
}

static bool ordinal_taken(const struct devices *d, uint32_t ordinal)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].ordinal == ordinal)
			return true;
	return false;
}

static uint32_t ordinal_next(const struct devices *d)
{
	uint32_t next = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].ordinal >= next)
			next = d->list[i].ordinal + 1;
	return next;
}

static int device_add(struct devices *d, dev_t dev, uint32_t hint,
    struct device *out, struct err *err)
{
	struct device *list;

	list = reallocarray(d->list, d->n + 1, sizeof(*list));
	if (!list)
		return err_set(err, ERR_NOMEM, "table of devices");
	d->list = list;

	/* The highest number is left unused, so that "next" never wraps. */
	if (hint >= UINT32_MAX - 1 || ordinal_taken(d, hint))
		hint = ordinal_next(d);
	out->dev = dev;
	out->ordinal = hint;
	out->ours = mounted_by_us(dev);
	d->list[d->n++] = *out;
	return 0;
}

int devices_get(struct devices *d, dev_t dev, uint32_t hint,
    struct device *out, struct err *err)
{
	int rc = 0;
	size_t i = 0;

	pthread_mutex_lock(&d->lock);
	while (i < d->n && d->list[i].dev != dev)
		i++;
	if (i < d->n)
		*out = d->list[i];
	else
		rc = device_add(d, dev, hint, out, err);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

/* ---- Attributes ---- */

void capture_stat(struct tree_entry *e, const struct stat *st,
    uint32_t ordinal)
{
	e->flags = ordinal ? TREE_DEVICE : 0;
	e->mode = st->st_mode;
	e->uid = st->st_uid;
	e->gid = st->st_gid;
	e->mtime_s = st->st_mtim.tv_sec;
	e->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	e->ctime_s = st->st_ctim.tv_sec;
	e->ctime_ns = (uint32_t)st->st_ctim.tv_nsec;
	e->ino = st->st_ino;
	e->dev = ordinal;
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
		e->flags |= TREE_LINKED;
	if (S_ISREG(st->st_mode))
		e->size = (uint64_t)st->st_size;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		e->major = major(st->st_rdev);
		e->minor = minor(st->st_rdev);
	}
}

bool capture_racy(const struct stat *st, int64_t now_ns)
{
	int64_t now_s = now_ns / 1000000000;

	/* By seconds first: a forged time may lie centuries away. */
	if (st->st_ctim.tv_sec < now_s - 3)
		return false;
	if (st->st_ctim.tv_sec > now_s)
		return true;
	return st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec +
	    RACY_NS > now_ns;
}

void capture_set_xattrs(struct tree_entry *e, const struct content *set)
{
	if (set->kind == CONTENT_NONE)
		return;
	e->flags |= set->kind == CONTENT_CHUNK ? TREE_XATTR_CHUNK
	                                       : TREE_XATTR_ROPE;
	e->xattr_size = set->size;
	e->xattr = set->id;
}

/* ---- Owners ---- */

void owners_init(struct owners *o)
{
	memset(o, 0, sizeof(*o));
}

void owners_fini(struct owners *o)
{
	free(o->ids[OWNER_USER]);
	free(o->ids[OWNER_GROUP]);
	owners_init(o);
}

static void owner_note(struct owners *o, enum owner_kind kind, uint32_t id)
{
	uint32_t *ids = o->ids[kind];
	size_t low = 0;
	size_t high = o->n[kind];

	if (high && o->last[kind] == id)
		return;
	o->last[kind] = id;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < o->n[kind] && ids[low] == id)
		return;

	ids = reallocarray(ids, o->n[kind] + 1, sizeof(*ids));
	if (!ids) {
		o->oom = true;
		return;
	}
	memmove(ids + low + 1, ids + low, (o->n[kind] - low) * sizeof(*ids));
	ids[low] = id;
	o->ids[kind] = ids;
	o->n[kind]++;
}

void owners_add(struct owners *o, uint32_t uid, uint32_t gid)
{
	owner_note(o, OWNER_USER, uid);
	owner_note(o, OWNER_GROUP, gid);
}

void owners_merge(struct owners *into, const struct owners *from)
{
	for (int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < from->n[kind]; i++)
			owner_note(into, (enum owner_kind)kind,
			    from->ids[kind][i]);
	into->oom = into->oom || from->oom;
}

/* NULL where the system knows no name; the entry keeps the number anyway. */
static const char *owner_name(enum owner_kind kind, uint32_t id, char *room)
{
	struct passwd user, *user_found = NULL;
	struct group group, *group_found = NULL;

	if (kind == OWNER_USER) {
		getpwuid_r(id, &user, room, LOOKUP_SIZE, &user_found);
		return user_found ? user.pw_name : NULL;
	}
	getgrgid_r(id, &group, room, LOOKUP_SIZE, &group_found);
	return group_found ? group.gr_name : NULL;
}

int owners_put(const struct owners *o, const struct config *config,
    const struct chunk_sink *sink, struct content *out, struct err *err)
{
	char *room = malloc(LOOKUP_SIZE);
	struct buf table;
	int rc;

	buf_init(&table);
	if (!room || o->oom) {
		rc = err_set(err, ERR_NOMEM, "names of owners");
		goto out;
	}
	for (int kind = 0; kind < 2; kind++) {
		for (size_t i = 0; i < o->n[kind]; i++) {
			struct owner one = {
				.kind = (enum owner_kind)kind,
				.number = o->ids[kind][i],
			};

			one.name = owner_name(one.kind, one.number, room);
			one.name_len = one.name ? strlen(one.name) : 0;
			if (one.name_len > 0 && one.name_len <= 255)
				owner_encode(&table, &one);
		}
	}
	rc = buf_check(&table, err);
	if (!rc)
		rc = blob_put(config, sink, table.data, table.len, out, err);

out:
	if (rc)
		err_wrap(err, "names of owners");
	buf_fini(&table);
	free(room);
	return rc;
}
