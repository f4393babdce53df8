/*
 * config -- the store's constants: uuid, parameters, secret.
 *
 * Written once by store_init, read by every open.  FORMAT.md, section 2.
 *
 * Threads: plain data.
 */
#ifndef INDEX_CONFIG_H
#define INDEX_CONFIG_H

#include <stdint.h>

#include "chunker/cut.h"
#include "chunker/err.h"
#include "chunker/id.h"

#define CONFIG_SIZE 512
#define CONFIG_ZONE_MAX 63

/* When a directory page or list node ends; FORMAT.md, sections 6 and 7. */
struct page_params {
	uint32_t page_min;  /* bytes of a directory page */
	uint32_t page_max;
	uint32_t page_bits;
	uint32_t list_min;  /* entries of a list node */
	uint32_t list_max;
	uint32_t list_bits;
	uint64_t cut_key;
};

struct config {
	uint8_t uuid[16];
	int64_t created_ns;
	uint32_t chunk_min;
	uint32_t chunk_target;
	uint32_t chunk_max;
	uint32_t cut_norm;
	uint32_t block_max;
	uint32_t pack_target;
	int32_t zstd_level;
	uint32_t depth_max;
	uint8_t secret[ID_SECRET_LEN];
	char zone[CONFIG_ZONE_MAX + 1];
	struct page_params pages; /* cut_key is derived, not stored */
	/* Derived by config_decode and config_new. */
	struct cut_params cuts;
	struct id_key key; /* domain 0 */
};

/* A new store's config: fresh uuid and secret, default parameters. */
int config_new(struct config *out, const char *zone, int64_t now_ns,
    struct err *err);

void config_encode(const struct config *c, uint8_t out[CONFIG_SIZE]);

/*
 * ERR_CORRUPT for a wrong size, magic, sum or a senseless value; ERR_FORMAT
 * for a newer version or an unknown must-understand flag.
 */
int config_decode(struct config *out, const uint8_t *data, size_t len,
    struct err *err);

#endif
