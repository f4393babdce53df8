#include "index/config.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "chunker/bytes.h"
#include "chunker/sum.h"
#include "index/block.h"
#include "index/chunks.h"

#define CONFIG_VERSION 1
#define ID_ALGORITHM 1
#define CUT_ALGORITHM 1

/* Twice the longest entry of an inner directory page, so that every level has
 * fewer pages than the one beneath and the tree comes to an end. */
#define PAGE_MIN_LEAST 1024
#define LIST_MIN_LEAST 2
#define LIST_ENTRY_SIZE 24
/* A page ends after the entry that fills it; the longest takes half of this. */
#define PAGE_SPILL 16384
#define BITS_MAX 32
#define LEVEL_LEAST (-131072) /* zstd's own limits */
#define LEVEL_MOST 22

static const char magic[8] = "IERICONF";

/* FORMAT.md, section 2. */
struct disk_config {
	uint8_t magic[8];
	uint8_t version[4];
	uint8_t flags[4];
	uint8_t uuid[16];
	uint8_t created_ns[8];
	uint8_t id_algorithm;
	uint8_t cut_algorithm;
	uint8_t wrapping;
	uint8_t cut_norm;
	uint8_t chunk_min[4];
	uint8_t chunk_target[4];
	uint8_t chunk_max[4];
	uint8_t block_max[4];
	uint8_t pack_target[4];
	uint8_t zstd_level[4];
	uint8_t depth_max[4];
	uint8_t page_min[4];
	uint8_t page_max[4];
	uint8_t page_bits[4];
	uint8_t list_min[4];
	uint8_t list_max[4];
	uint8_t list_bits[4];
	uint8_t parity[4];
	uint8_t reserved_1[28];
	uint8_t secret[32];
	uint8_t reserved_2[96];
	uint8_t zone_len;
	uint8_t zone[63];
	uint8_t reserved_3[184];
	uint8_t sum[8];
};

static_assert(sizeof(struct disk_config) == CONFIG_SIZE, "FORMAT.md 2");
static_assert(offsetof(struct disk_config, chunk_min) == 44, "FORMAT.md 2");
static_assert(offsetof(struct disk_config, secret) == 128, "FORMAT.md 2");
static_assert(offsetof(struct disk_config, zone_len) == 256, "FORMAT.md 2");
static_assert(offsetof(struct disk_config, sum) == 504, "FORMAT.md 2");

static bool zone_ok(const uint8_t *zone, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (zone[i] <= ' ' || zone[i] >= 0x7f)
			return false;
	return true;
}

/* What follows from the stored values. */
static int derive(struct config *c, struct err *err)
{
	uint64_t cut_key;
	int rc;

	rc = id_key_derive(&c->key, c->secret, c->uuid, 0, err);
	if (rc)
		return rc;
	rc = id_cut_key_derive(&cut_key, c->secret, c->uuid, err);
	if (rc)
		return rc;
	c->pages.cut_key = cut_key;
	return cut_params_init(&c->cuts, c->chunk_min, c->chunk_target,
	    c->chunk_max, c->cut_norm, cut_key, err);
}

int config_new(struct config *out, const char *zone, int64_t now_ns,
    struct err *err)
{
	struct config c = {
		.created_ns = now_ns,
		.chunk_min = 16384,
		.chunk_target = 65536,
		.chunk_max = 262144,
		.cut_norm = 2,
		.block_max = 262144,
		.pack_target = 67108864,
		.zstd_level = 1,
		.depth_max = 4,
		.pages = {
			.page_min = 2048,
			.page_max = 32768,
			.page_bits = 7,
			.list_min = 64,
			.list_max = 1024,
			.list_bits = 8,
		},
	};
	size_t zone_len = strlen(zone);
	int rc;

	if (zone_len > CONFIG_ZONE_MAX)
		return err_set(err, ERR_INVALID,
		    "time zone has %zu bytes, the most is %d", zone_len,
		    CONFIG_ZONE_MAX);
	if (!zone_ok((const uint8_t *)zone, zone_len))
		return err_set(err, ERR_INVALID,
		    "time zone has a blank or an unprintable character");
	memcpy(c.zone, zone, zone_len);

	rc = id_random(c.uuid, sizeof(c.uuid), err);
	if (rc)
		return rc;
	rc = id_random(c.secret, sizeof(c.secret), err);
	if (rc)
		return rc;
	rc = derive(&c, err);
	if (rc)
		return rc;
	*out = c;
	return 0;
}

void config_encode(const struct config *c, uint8_t out[CONFIG_SIZE])
{
	struct disk_config d = {
		.id_algorithm = ID_ALGORITHM,
		.cut_algorithm = CUT_ALGORITHM,
		.cut_norm = (uint8_t)c->cut_norm,
		.zone_len = (uint8_t)strlen(c->zone),
	};

	memcpy(d.magic, magic, sizeof(d.magic));
	le32_put(d.version, CONFIG_VERSION);
	memcpy(d.uuid, c->uuid, sizeof(d.uuid));
	le64_put(d.created_ns, (uint64_t)c->created_ns);
	le32_put(d.chunk_min, c->chunk_min);
	le32_put(d.chunk_target, c->chunk_target);
	le32_put(d.chunk_max, c->chunk_max);
	le32_put(d.block_max, c->block_max);
	le32_put(d.pack_target, c->pack_target);
	le32_put(d.zstd_level, (uint32_t)c->zstd_level);
	le32_put(d.depth_max, c->depth_max);
	le32_put(d.page_min, c->pages.page_min);
	le32_put(d.page_max, c->pages.page_max);
	le32_put(d.page_bits, c->pages.page_bits);
	le32_put(d.list_min, c->pages.list_min);
	le32_put(d.list_max, c->pages.list_max);
	le32_put(d.list_bits, c->pages.list_bits);
	memcpy(d.secret, c->secret, sizeof(d.secret));
	memcpy(d.zone, c->zone, d.zone_len);
	le64_put(d.sum, sum64(&d, offsetof(struct disk_config, sum)));
	memcpy(out, &d, sizeof(d));
}

/*
 * Whether this is a whole config that this program understands.  The sum is
 * asked before the version, else a flipped bit would send the administrator
 * looking for a newer ieri; it ends the file in every version.
 */
static int envelope_check(const uint8_t *data, size_t len, struct err *err)
{
	const struct disk_config *d = (const void *)data;

	if (len < sizeof(magic))
		return err_set(err, ERR_CORRUPT,
		    "too short: %zu bytes, a config has %d", len, CONFIG_SIZE);
	if (memcmp(data, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not an ieri config");
	if (len < CONFIG_SIZE)
		return err_set(err, ERR_CORRUPT,
		    "too short: %zu bytes, a config has %d", len, CONFIG_SIZE);
	if (sum64(data, len - 8) != le64_get(data + len - 8))
		return err_set(err, ERR_CORRUPT,
		    "damaged: its checksum does not match");
	if (le32_get(d->version) != CONFIG_VERSION)
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (version %u)", le32_get(d->version));
	if (le32_get(d->flags) != 0)
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (flags %x)", le32_get(d->flags));
	if (len > CONFIG_SIZE)
		return err_set(err, ERR_CORRUPT,
		    "too long: %zu bytes, a config has %d", len, CONFIG_SIZE);
	return 0;
}

/* Whether it asks for something that this version only reserves. */
static int reserved_check(const struct disk_config *d, struct err *err)
{
	if (d->id_algorithm != ID_ALGORITHM)
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (id algorithm %u)", d->id_algorithm);
	if (d->cut_algorithm != CUT_ALGORITHM)
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (cut algorithm %u)", d->cut_algorithm);
	if (d->wrapping != 0)
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (wrapped secret, kind %u)",
		    d->wrapping);
	if (le32_get(d->parity) != 0)
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (parity %u)", le32_get(d->parity));
	if (!bytes_zero(d->reserved_1, sizeof(d->reserved_1)) ||
	    !bytes_zero(d->reserved_2, sizeof(d->reserved_2)) ||
	    !bytes_zero(d->reserved_3, sizeof(d->reserved_3)))
		return err_set(err, ERR_FORMAT,
		    "needs a newer ieri (reserved bytes in use)");
	return 0;
}

/* The bounds that other modules rely on. */
static int values_check(const struct config *c, struct err *err)
{
	const struct page_params *p = &c->pages;

	if (c->chunk_max > CHUNK_MAX)
		return err_set(err, ERR_CORRUPT,
		    "senseless: chunks of up to %u bytes", c->chunk_max);
	if (c->block_max < 1 || c->block_max > BLOCK_RAW_MAX)
		return err_set(err, ERR_CORRUPT,
		    "senseless: blocks of up to %u bytes", c->block_max);
	if (c->pack_target < 1)
		return err_set(err, ERR_CORRUPT, "senseless: packs of 0 bytes");
	if (c->zstd_level < LEVEL_LEAST || c->zstd_level > LEVEL_MOST)
		return err_set(err, ERR_CORRUPT, "senseless: zstd level %d",
		    c->zstd_level);
	if (c->depth_max > BLOCK_DEPTH_MAX)
		return err_set(err, ERR_CORRUPT, "senseless: delta depth %u",
		    c->depth_max);
	if (p->page_min < PAGE_MIN_LEAST || p->page_max < p->page_min ||
	    p->page_max > CHUNK_MAX - PAGE_SPILL || p->page_bits > BITS_MAX)
		return err_set(err, ERR_CORRUPT,
		    "senseless: directory pages of %u to %u bytes, %u bits",
		    p->page_min, p->page_max, p->page_bits);
	if (p->list_min < LIST_MIN_LEAST || p->list_max < p->list_min ||
	    p->list_max > CHUNK_MAX / LIST_ENTRY_SIZE - 1 ||
	    p->list_bits > BITS_MAX)
		return err_set(err, ERR_CORRUPT,
		    "senseless: list nodes of %u to %u entries, %u bits",
		    p->list_min, p->list_max, p->list_bits);
	return 0;
}

static int zone_decode(struct config *out, const struct disk_config *d,
    struct err *err)
{
	if (d->zone_len > CONFIG_ZONE_MAX || !zone_ok(d->zone, d->zone_len) ||
	    !bytes_zero(d->zone + d->zone_len, CONFIG_ZONE_MAX - d->zone_len))
		return err_set(err, ERR_CORRUPT,
		    "senseless: the time zone is no name");
	memcpy(out->zone, d->zone, d->zone_len);
	return 0;
}

int config_decode(struct config *out, const uint8_t *data, size_t len,
    struct err *err)
{
	const struct disk_config *d = (const void *)data;
	struct config c = { 0 };
	int rc;

	rc = envelope_check(data, len, err);
	if (rc)
		return rc;
	rc = reserved_check(d, err);
	if (rc)
		return rc;

	memcpy(c.uuid, d->uuid, sizeof(c.uuid));
	memcpy(c.secret, d->secret, sizeof(c.secret));
	c.created_ns = (int64_t)le64_get(d->created_ns);
	c.chunk_min = le32_get(d->chunk_min);
	c.chunk_target = le32_get(d->chunk_target);
	c.chunk_max = le32_get(d->chunk_max);
	c.cut_norm = d->cut_norm;
	c.block_max = le32_get(d->block_max);
	c.pack_target = le32_get(d->pack_target);
	c.zstd_level = (int32_t)le32_get(d->zstd_level);
	c.depth_max = le32_get(d->depth_max);
	c.pages.page_min = le32_get(d->page_min);
	c.pages.page_max = le32_get(d->page_max);
	c.pages.page_bits = le32_get(d->page_bits);
	c.pages.list_min = le32_get(d->list_min);
	c.pages.list_max = le32_get(d->list_max);
	c.pages.list_bits = le32_get(d->list_bits);

	rc = zone_decode(&c, d, err);
	if (rc)
		return rc;
	rc = values_check(&c, err);
	if (rc)
		return rc;
	rc = derive(&c, err);
	if (rc == ERR_INVALID)
		return err_set(err, ERR_CORRUPT,
		    "senseless: chunks of %u, %u and %u bytes, level %u",
		    c.chunk_min, c.chunk_target, c.chunk_max, c.cut_norm);
	if (rc)
		return rc;
	*out = c;
	return 0;
}
