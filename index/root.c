#include "index/root.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"

#define ROOT_VERSION 1
#define TYPE_SNAPSHOT 1
#define UTC_OFFSET_MAX 86400
#define MUST_UNDERSTAND 1u
#define SUM_SIZE 8

static const char magic[8] = "IERIROOT";

/* FORMAT.md, section 8. */
struct disk_root {
	uint8_t magic[8];
	uint8_t version[4];
	uint8_t flags[4];
	uint8_t uuid[16];
	uint8_t id[16];
	uint8_t serial[8];
	uint8_t session[8];
	uint8_t prev[32];
	uint8_t resource_no[4];
	uint8_t type[4];
	uint8_t time_ns[8];
	uint8_t end_ns[8];
	uint8_t utc_offset[4];
	uint8_t reserved_1[4];
	uint8_t n_files[8];
	uint8_t n_dirs[8];
	uint8_t n_other[8];
	uint8_t n_bytes[8];
	uint8_t n_added[8];
	uint8_t n_faults[8];
	uint8_t reserved_2[72];
	uint8_t len[8];
};

static_assert(sizeof(struct disk_root) == 256, "FORMAT.md 8");
static_assert(offsetof(struct disk_root, resource_no) == 96, "FORMAT.md 8");
static_assert(offsetof(struct disk_root, n_files) == 128, "FORMAT.md 8");
static_assert(offsetof(struct disk_root, len) == 248, "FORMAT.md 8");

enum section {
	SECTION_RESOURCE = 1,
	SECTION_TOP = 2,
	SECTION_LINKS = 3,
	SECTION_NAMES = 4,
	SECTION_PACKS = 5,
	SECTION_ZONE = 6,
	SECTION_SOURCES = 7,
	SECTION_HOST = 8,
};

/* ---- What both directions ask ---- */

static bool component_ok(const char *name, size_t len)
{
	if (len == 0 || len > TREE_NAME_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return true;
}

static bool printable(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return true;
}

bool resource_name_ok(const char *name, size_t len)
{
	size_t start = 0;

	if (len < 1 || len > RESOURCE_NAME_MAX || !printable(name, len))
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && name[i] != '/')
			continue;
		if (!component_ok(name + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

static bool packs_ok(const struct root *r)
{
	struct root_pack before = { 0 };
	struct root_pack p;

	for (size_t i = 0; i < r->n_packs; i++) {
		p = root_pack_at(r, i);
		if (id_is_zero(&p.id) || (i > 0 && p.no <= before.no))
			return false;
		before = p;
	}
	return true;
}

static bool sources_ok(const uint8_t *sources, size_t len)
{
	struct bytes in = bytes_of(sources, len);

	while (!in.bad && bytes_left(&in) > 0)
		bytes_take(&in, bytes_le32(&in));
	return !in.bad;
}

static int values_check(const struct root *r, enum err_code code,
    struct err *err)
{
	if (r->serial > ROOT_SERIAL_MAX)
		return err_set(err, code, "serial %llu, the last is %u",
		    (unsigned long long)r->serial, ROOT_SERIAL_MAX);
	if (r->utc_offset < -UTC_OFFSET_MAX || r->utc_offset > UTC_OFFSET_MAX)
		return err_set(err, code, "%d seconds east of UTC",
		    r->utc_offset);
	if (id_is_zero(&r->id))
		return err_set(err, code, "snapshot without an id");
	if (!resource_name_ok(r->resource, r->resource_len))
		return err_set(err, code, "not a name for a resource");
	if (!packs_ok(r))
		return err_set(err, code, "packs are not in order");
	if (r->zone_len > ROOT_ZONE_MAX || !printable(r->zone, r->zone_len))
		return err_set(err, code, "time zone is no name");
	if (r->host_len > ROOT_HOST_MAX || !printable(r->host, r->host_len))
		return err_set(err, code, "host is no name");
	if (!sources_ok(r->sources, r->sources_len))
		return err_set(err, code, "sources do not add up");
	return 0;
}

/* ---- Encoding ---- */

void root_pack_encode(const struct root_pack *p, uint8_t out[ROOT_PACK_SIZE])
{
	le32_put(out, p->no);
	memcpy(out + 4, p->id.b, ID_LEN);
}

static void section_put(struct buf *out, enum section tag, const void *data,
    size_t len)
{
	buf_le16(out, (uint16_t)tag);
	buf_le16(out, 0);
	buf_le32(out, (uint32_t)len);
	buf_put(out, data, len);
}

/* What is empty has no section. */
static void optional_put(struct buf *out, enum section tag, const void *data,
    size_t len)
{
	if (len > 0)
		section_put(out, tag, data, len);
}

static void content_put(struct buf *out, enum section tag,
    const struct content *c)
{
	uint8_t data[CONTENT_SIZE];

	if (c->kind == CONTENT_NONE)
		return;
	content_encode(c, data);
	section_put(out, tag, data, sizeof(data));
}

static void head_put(struct buf *out, const struct root *r)
{
	struct disk_root d = { 0 };

	memcpy(d.magic, magic, sizeof(d.magic));
	le32_put(d.version, ROOT_VERSION);
	memcpy(d.uuid, r->uuid, sizeof(d.uuid));
	memcpy(d.id, r->id.b, sizeof(d.id));
	le64_put(d.serial, r->serial);
	le64_put(d.session, r->session);
	memcpy(d.prev, r->prev, sizeof(d.prev));
	le32_put(d.resource_no, r->resource_no);
	le32_put(d.type, TYPE_SNAPSHOT);
	le64_put(d.time_ns, (uint64_t)r->time_ns);
	le64_put(d.end_ns, (uint64_t)r->end_ns);
	le32_put(d.utc_offset, (uint32_t)r->utc_offset);
	le64_put(d.n_files, r->n_files);
	le64_put(d.n_dirs, r->n_dirs);
	le64_put(d.n_other, r->n_other);
	le64_put(d.n_bytes, r->n_bytes);
	le64_put(d.n_added, r->n_added);
	le64_put(d.n_faults, r->n_faults);
	buf_put(out, &d, sizeof(d));
}

/* The root entry, whose length is known once it is there. */
static void top_put(struct buf *out, const struct tree_entry *top)
{
	size_t start = out->len;

	section_put(out, SECTION_TOP, NULL, 0);
	tree_entry_encode(out, top);
	if (!out->oom)
		le32_put(out->data + start + 4,
		    (uint32_t)(out->len - start - 8));
}

int root_encode(struct buf *out, const struct root *r, struct err *err)
{
	size_t start = out->len;
	uint8_t *record;
	size_t len;
	int rc;

	rc = values_check(r, ERR_INVALID, err);
	if (rc)
		return rc;
	if (r->n_packs > UINT32_MAX / ROOT_PACK_SIZE ||
	    r->sources_len > UINT32_MAX)
		return err_set(err, ERR_INVALID, "root record is too long");

	head_put(out, r);
	section_put(out, SECTION_RESOURCE, r->resource, r->resource_len);
	top_put(out, &r->top);
	content_put(out, SECTION_LINKS, &r->links);
	content_put(out, SECTION_NAMES, &r->names);
	section_put(out, SECTION_PACKS, r->packs, r->n_packs * ROOT_PACK_SIZE);
	optional_put(out, SECTION_ZONE, r->zone, r->zone_len);
	optional_put(out, SECTION_SOURCES, r->sources, r->sources_len);
	optional_put(out, SECTION_HOST, r->host, r->host_len);
	rc = buf_check(out, err);
	if (rc)
		return rc;

	record = out->data + start;
	len = out->len - start;
	le64_put(record + offsetof(struct disk_root, len), len + SUM_SIZE);
	buf_le64(out, sum64(record, len));
	return buf_check(out, err);
}

/* ---- Decoding ---- */

static int head_decode(struct root *r, const uint8_t *data, size_t len,
    struct err *err)
{
	const struct disk_root *d = (const void *)data;

	if (len < sizeof(magic) || memcmp(data, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a root record");
	if (len < sizeof(*d) + SUM_SIZE)
		return err_set(err, ERR_CORRUPT, "too short: %zu bytes", len);
	if (sum64(data, len - SUM_SIZE) != le64_get(data + len - SUM_SIZE))
		return err_set(err, ERR_CORRUPT,
		    "damaged: its checksum does not match");
	if (le32_get(d->version) != ROOT_VERSION || le32_get(d->flags) != 0 ||
	    le32_get(d->type) != TYPE_SNAPSHOT ||
	    !bytes_zero(d->reserved_1, sizeof(d->reserved_1)) ||
	    !bytes_zero(d->reserved_2, sizeof(d->reserved_2)))
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (version %u, flags %x, type %u)",
		    le32_get(d->version), le32_get(d->flags),
		    le32_get(d->type));
	if (le64_get(d->len) != len)
		return err_set(err, ERR_CORRUPT,
		    "has %zu bytes and claims %llu", len,
		    (unsigned long long)le64_get(d->len));

	memcpy(r->uuid, d->uuid, sizeof(r->uuid));
	memcpy(r->id.b, d->id, sizeof(r->id.b));
	r->serial = le64_get(d->serial);
	r->session = le64_get(d->session);
	memcpy(r->prev, d->prev, sizeof(r->prev));
	r->resource_no = le32_get(d->resource_no);
	r->time_ns = (int64_t)le64_get(d->time_ns);
	r->end_ns = (int64_t)le64_get(d->end_ns);
	r->utc_offset = (int32_t)le32_get(d->utc_offset);
	r->n_files = le64_get(d->n_files);
	r->n_dirs = le64_get(d->n_dirs);
	r->n_other = le64_get(d->n_other);
	r->n_bytes = le64_get(d->n_bytes);
	r->n_added = le64_get(d->n_added);
	r->n_faults = le64_get(d->n_faults);
	return 0;
}

static int top_decode(struct tree_entry *out, const uint8_t *data, size_t len,
    struct err *err)
{
	struct bytes in = bytes_of(data, len);
	int rc;

	rc = tree_entry_decode(out, &in, true, err);
	if (rc)
		return err_wrap(err, "root entry");
	if (in.bad || bytes_left(&in) > 0)
		return err_set(err, ERR_CORRUPT,
		    "bytes left over after the root entry");
	return 0;
}

static int content_section(struct content *out, const uint8_t *data,
    size_t len, struct err *err)
{
	if (len != CONTENT_SIZE)
		return err_set(err, ERR_CORRUPT, "content of %zu bytes", len);
	return content_decode(out, data, err);
}

static int section_decode(struct root *r, unsigned tag, unsigned flags,
    const uint8_t *data, size_t len, struct err *err)
{
	switch (tag) {
	case SECTION_RESOURCE:
		r->resource = (const char *)data;
		r->resource_len = len;
		return 0;
	case SECTION_TOP:
		return top_decode(&r->top, data, len, err);
	case SECTION_LINKS:
		return content_section(&r->links, data, len, err);
	case SECTION_NAMES:
		return content_section(&r->names, data, len, err);
	case SECTION_PACKS:
		if (len % ROOT_PACK_SIZE)
			return err_set(err, ERR_CORRUPT,
			    "packs in %zu bytes", len);
		r->packs = data;
		r->n_packs = len / ROOT_PACK_SIZE;
		return 0;
	case SECTION_ZONE:
		r->zone = (const char *)data;
		r->zone_len = len;
		return 0;
	case SECTION_SOURCES:
		r->sources = data;
		r->sources_len = len;
		return 0;
	case SECTION_HOST:
		r->host = (const char *)data;
		r->host_len = len;
		return 0;
	}
	if (flags & MUST_UNDERSTAND)
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (section %u)", tag);
	return 0;
}

static int sections_decode(struct root *r, struct bytes *in, struct err *err)
{
	unsigned last = 0;
	bool top = false;
	int rc;

	while (bytes_left(in) > 0) {
		unsigned tag = bytes_le16(in);
		unsigned flags = bytes_le16(in);
		uint32_t len = bytes_le32(in);
		const uint8_t *data = bytes_take(in, len);

		if (!data)
			return err_set(err, ERR_CORRUPT,
			    "section %u is cut short", tag);
		if (tag <= last)
			return err_set(err, ERR_CORRUPT,
			    "section %u after section %u", tag, last);
		if (flags & ~MUST_UNDERSTAND)
			return err_set(err, ERR_FORMAT,
			    "section %u needs a newer ieri (flags %x)", tag,
			    flags);
		rc = section_decode(r, tag, flags, data, len, err);
		if (rc)
			return rc;
		last = tag;
		top |= tag == SECTION_TOP;
	}
	if (!r->resource || !top || !r->packs)
		return err_set(err, ERR_CORRUPT,
		    "lacks its resource, root entry or packs");
	return 0;
}

int root_decode(struct root *out, const uint8_t *data, size_t len,
    struct err *err)
{
	struct root r = { 0 };
	struct bytes in;
	int rc;

	rc = head_decode(&r, data, len, err);
	if (rc)
		return rc;
	in = bytes_of(data + sizeof(struct disk_root),
	    len - sizeof(struct disk_root) - SUM_SIZE);
	rc = sections_decode(&r, &in, err);
	if (rc)
		return rc;
	rc = values_check(&r, ERR_CORRUPT, err);
	if (rc)
		return rc;
	*out = r;
	return 0;
}

struct root_pack root_pack_at(const struct root *r, size_t i)
{
	const uint8_t *data = r->packs + i * ROOT_PACK_SIZE;
	struct root_pack p = { .no = le32_get(data) };

	memcpy(p.id.b, data + 4, ID_LEN);
	return p;
}

int root_digest(const uint8_t *data, size_t len, uint8_t out[ROOT_DIGEST_LEN],
    struct err *err)
{
	if (EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_SYSTEM, "SHA-256 is not available");
	return 0;
}
