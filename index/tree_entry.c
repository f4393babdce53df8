#include "index/tree.h"

#include <assert.h>

#include "index/tree_private.h"

#define NS_PER_S 1000000000u
#define CONTENT_FLAGS (TREE_CHUNK | TREE_ROPE)
#define XATTR_FLAGS (TREE_XATTR_CHUNK | TREE_XATTR_ROPE)

int tree_name_cmp(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return tree_name_order(a, a_len, b, b_len);
}

/* ---- What is acceptable ---- */

/* Nonzero when one of the eight bytes is zero. */
static inline uint64_t any_zero(uint64_t w)
{
	return (w - 0x0101010101010101) & ~w & 0x8080808080808080;
}

/* Nonzero when one of the eight bytes cannot be in a name. */
static inline uint64_t any_foul(const char *p)
{
	uint64_t w = le64_get((const uint8_t *)p);

	return any_zero(w) | any_zero(w ^ 0x2f2f2f2f2f2f2f2f);
}

/*
 * A name with a slash would let an archive write outside the directory it is
 * restored to.
 */
static bool name_is_proper(const char *name, size_t len)
{
	uint64_t foul = 0;

	if (len >= 8) {
		for (size_t i = 0; i + 8 < len; i += 8)
			foul |= any_foul(name + i);
		return !(foul | any_foul(name + len - 8));
	}
	if (len == 0 || (len == 1 && name[0] == '.') ||
	    (len == 2 && name[0] == '.' && name[1] == '.'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] == '\0' || name[i] == '/')
			return false;
	return true;
}

static const char *file_complaint(const struct tree_entry *e)
{
	bool missing = e->flags & TREE_UNREADABLE;
	uint32_t content = e->flags & CONTENT_FLAGS;

	if (e->size > INT64_MAX)
		return "size beyond 2^63 - 1";
	if ((e->flags & TREE_SPARSE) && e->data > e->size)
		return "more data than size";
	if (content == CONTENT_FLAGS)
		return "two contents";
	if (content && (e->size == 0 || missing))
		return "content of a file that has none";
	if (!content && e->size && !missing)
		return "size without content";
	return NULL;
}

static const char *dir_complaint(const struct tree_entry *e)
{
	if (e->flags & (TREE_ROPE | TREE_SPARSE))
		return "directory with a file's content";
	if (e->beneath > TREE_BENEATH_MAX || e->subdirs > e->beneath)
		return "senseless number of entries beneath";
	if (!(e->flags & TREE_CHUNK) != !e->beneath)
		return "directory whose page and number disagree";
	return NULL;
}

static const char *type_complaint(const struct tree_entry *e)
{
	switch (e->mode & S_IFMT) {
	case S_IFREG:
		return file_complaint(e);
	case S_IFDIR:
		return dir_complaint(e);
	case S_IFLNK:
		if (e->target_len == 0 || e->target_len > TREE_TARGET_MAX ||
		    memchr(e->target, '\0', e->target_len))
			return "improper symlink target";
		break;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return "unknown file type";
	}
	if (e->flags & (CONTENT_FLAGS | TREE_SPARSE))
		return "content of a thing that has none";
	return NULL;
}

const char *tree_entry_complaint(const struct tree_entry *e, bool root)
{
	if (root ? e->name_len != 0 : !name_is_proper(e->name, e->name_len))
		return "improper name";
	if (e->name_len > TREE_NAME_MAX || e->mode > UINT16_MAX)
		return "name or mode too long";
	if (e->mtime_ns >= NS_PER_S || e->ctime_ns >= NS_PER_S)
		return "nanoseconds beyond a second";
	if (!(e->flags & TREE_DEVICE) != !e->dev)
		return "device and its flag disagree";
	if ((e->flags & CONTENT_FLAGS) && id_is_zero(&e->content))
		return "content without an id";
	if (e->flags & XATTR_FLAGS) {
		if ((e->flags & XATTR_FLAGS) == XATTR_FLAGS)
			return "two xattr sets";
		if (e->xattr_size == 0 || e->xattr_size > INT64_MAX ||
		    id_is_zero(&e->xattr))
			return "xattr set without size or id";
	}
	return type_complaint(e);
}

/* ---- Encoding ---- */

static void encode_by_type(struct buf *out, const struct tree_entry *e)
{
	switch (e->mode & S_IFMT) {
	case S_IFREG:
		buf_varint(out, e->size);
		if (e->flags & TREE_SPARSE)
			buf_varint(out, e->data);
		break;
	case S_IFDIR:
		buf_varint(out, e->beneath);
		buf_varint(out, e->subdirs);
		break;
	case S_IFLNK:
		buf_varint(out, e->target_len);
		buf_put(out, e->target, e->target_len);
		break;
	case S_IFCHR:
	case S_IFBLK:
		buf_varint(out, e->major);
		buf_varint(out, e->minor);
		break;
	}
}

void tree_entry_encode(struct buf *out, const struct tree_entry *e)
{
	/* Any two times have a difference mod 2^64, whatever the clocks said.
	 */
	uint64_t delta = (uint64_t)e->ctime_s - (uint64_t)e->mtime_s;

	assert(e->name_len <= TREE_NAME_MAX && e->flags <= TREE_FLAGS_ALL);
	buf_u8(out, (uint8_t)e->name_len);
	buf_put(out, e->name, e->name_len);
	buf_le16(out, (uint16_t)e->flags);
	buf_le16(out, (uint16_t)e->mode);
	buf_varint(out, e->uid);
	buf_varint(out, e->gid);
	buf_varint(out, zigzag(e->mtime_s));
	buf_varint(out, e->mtime_ns);
	buf_varint(out, zigzag((int64_t)delta));
	buf_varint(out, e->ctime_ns);
	buf_varint(out, e->ino);
	if (e->flags & TREE_DEVICE)
		buf_varint(out, e->dev);
	encode_by_type(out, e);
	if (e->flags & CONTENT_FLAGS)
		buf_put(out, e->content.b, ID_LEN);
	if (e->flags & XATTR_FLAGS) {
		buf_varint(out, e->xattr_size);
		buf_put(out, e->xattr.b, ID_LEN);
	}
}

/* ---- Decoding ---- */

/* A number that must fit 32 bits; malformed when it does not. */
static inline uint32_t take_u32(struct bytes *in)
{
	uint64_t v = tree_varint(in);

	if (v > UINT32_MAX)
		in->bad = true;
	return (uint32_t)v;
}

static inline void take_id(struct bytes *in, struct id *out)
{
	const uint8_t *p = bytes_take(in, ID_LEN);

	if (p)
		memcpy(out->b, p, ID_LEN);
}

static inline void decode_owner_and_times(
    struct tree_entry *out, struct bytes *in)
{
	uint64_t delta;

	out->uid = take_u32(in);
	out->gid = take_u32(in);
	out->mtime_s = unzigzag(tree_varint(in));
	out->mtime_ns = take_u32(in);
	delta = (uint64_t)unzigzag(tree_varint(in));
	out->ctime_s = (int64_t)((uint64_t)out->mtime_s + delta);
	out->ctime_ns = take_u32(in);
	out->ino = tree_varint(in);
	out->dev = out->flags & TREE_DEVICE ? take_u32(in) : 0;
}

static inline void decode_by_type(struct tree_entry *out, struct bytes *in)
{
	out->size = 0;
	out->data = 0;
	out->beneath = 0;
	out->subdirs = 0;
	out->target = NULL;
	out->target_len = 0;
	out->major = 0;
	out->minor = 0;

	switch (out->mode & S_IFMT) {
	case S_IFREG:
		out->size = tree_varint(in);
		if (out->flags & TREE_SPARSE)
			out->data = tree_varint(in);
		break;
	case S_IFDIR:
		out->beneath = tree_varint(in);
		out->subdirs = take_u32(in);
		break;
	case S_IFLNK:
		out->target_len = tree_varint(in);
		out->target = (const char *)bytes_take(in, out->target_len);
		break;
	case S_IFCHR:
	case S_IFBLK:
		out->major = take_u32(in);
		out->minor = take_u32(in);
		break;
	}
}

static inline void decode_ids(struct tree_entry *out, struct bytes *in)
{
	out->content = (struct id){ { 0 } };
	out->xattr = (struct id){ { 0 } };
	out->xattr_size = 0;

	if (out->flags & CONTENT_FLAGS)
		take_id(in, &out->content);
	if (out->flags & XATTR_FLAGS) {
		out->xattr_size = tree_varint(in);
		take_id(in, &out->xattr);
	}
}

int tree_entry_decode(
    struct tree_entry *out, struct bytes *in, bool root, struct err *err)
{
	struct bytes b = *in; /* a copy, so that it can live in registers */
	const char *complaint;

	out->name_len = bytes_u8(&b);
	out->name = (const char *)bytes_take(&b, out->name_len);
	out->flags = bytes_le16(&b);
	out->mode = bytes_le16(&b);
	if (out->flags & ~(uint32_t)TREE_FLAGS_ALL)
		return err_set(err, ERR_FORMAT,
		    "entry flags %#x need a newer ieri", out->flags);
	decode_owner_and_times(out, &b);
	decode_by_type(out, &b);
	decode_ids(out, &b);
	if (b.bad)
		return err_set(err, ERR_CORRUPT, "entry is malformed");

	complaint = tree_entry_complaint(out, root);
	if (complaint)
		return err_set(err, ERR_CORRUPT, "entry with %s", complaint);
	*in = b;
	return 0;
}
