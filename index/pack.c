#include "index/pack.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "index/io.h"
#include "index/pack_private.h"

struct pack {
	int fd;
	struct pack_info info;
	struct pack_table table;
};

void pack_name(const struct id *id, char name[PACK_NAME_SIZE])
{
	char hex[ID_HEX];

	id_hex(id, hex);
	snprintf(name, PACK_NAME_SIZE, "%.2s/%s.pack", hex, hex);
}

int pack_file_open(int *out, uint64_t *size, int packs_dir,
    const struct id *id, struct err *err)
{
	char name[PACK_NAME_SIZE];
	struct stat st;
	int fd;
	int rc = 0;

	pack_name(id, name);
	fd = openat(packs_dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		rc = err_sys(err, "open");
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_CORRUPT, "not a file");
	if (rc) {
		io_close(fd);
		return rc;
	}
	*out = fd;
	*size = (uint64_t)st.st_size;
	return 0;
}

/* Table and footer at the end of a file of this size. */
static int table_read(int fd, uint64_t size, const uint8_t uuid[16],
    uint8_t **out, size_t *len, struct err *err)
{
	uint8_t data[PACK_FOOT_SIZE];
	struct pack_foot foot;
	uint8_t *table = NULL;
	int rc;

	rc = io_pread_full(fd, data, sizeof(data), size - sizeof(data), err);
	if (rc)
		return rc;
	rc = pack_foot_decode(&foot, data, uuid, err);
	if (rc)
		return rc;
	if (foot.size != size)
		return err_set(err, ERR_CORRUPT,
		    "has %llu bytes, its footer says %llu",
		    (unsigned long long)size, (unsigned long long)foot.size);

	*len = (size_t)(size - foot.table);
	table = malloc(*len);
	if (!table)
		return err_set(err, ERR_NOMEM, "table of %zu bytes", *len);
	rc = io_pread_full(fd, table, *len, foot.table, err);
	if (rc) {
		free(table);
		return rc;
	}
	*out = table;
	return 0;
}

/* Whether name, header and footer speak of the same pack. */
static int agree(const struct pack *p, const struct id *id, struct err *err)
{
	if (!id_equal(&p->info.id, id) || !id_equal(&p->table.id, id) ||
	    p->info.no != p->table.no || p->info.kind != p->table.kind)
		return err_set(err, ERR_CORRUPT,
		    "name, header and footer are of different packs");
	return 0;
}

int pack_open(struct pack **out, int packs_dir, const struct id *id,
    const uint8_t uuid[16], struct err *err)
{
	uint8_t head[PACK_HEAD_SIZE];
	struct pack *p = NULL;
	uint8_t *table = NULL;
	char hex[ID_HEX];
	uint64_t size;
	size_t len = 0;
	int rc;

	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, ERR_NOMEM, "pack handle");
	p->fd = -1;
	rc = pack_file_open(&p->fd, &size, packs_dir, id, err);
	if (rc)
		goto out;
	if (size < PACK_HEAD_SIZE + PACK_FOOT_SIZE) {
		rc = err_set(err, ERR_CORRUPT, "has only %llu bytes",
		    (unsigned long long)size);
		goto out;
	}
	rc = io_pread_full(p->fd, head, sizeof(head), 0, err);
	if (rc)
		goto out;
	rc = pack_head_decode(&p->info, head, uuid, err);
	if (rc)
		goto out;
	rc = table_read(p->fd, size, uuid, &table, &len, err);
	if (rc)
		goto out;
	rc = pack_table_decode(&p->table, table, len, uuid, err);
	if (rc)
		goto out;
	rc = agree(p, id, err);
	if (rc)
		goto out;
	*out = p;
	p = NULL;

out:
	if (rc)
		err_wrap(err, "pack %s", id_hex(id, hex));
	free(table);
	pack_close(p);
	return rc;
}

int pack_open_by(struct pack **out, int packs_dir, const struct id *id,
    const uint8_t uuid[16], const uint8_t *table, size_t len,
    struct err *err)
{
	struct pack *p;
	char hex[ID_HEX];
	uint64_t size;
	int rc;

	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, ERR_NOMEM, "pack handle");
	p->fd = -1;
	rc = pack_file_open(&p->fd, &size, packs_dir, id, err);
	if (!rc)
		rc = pack_table_decode(&p->table, table, len, uuid, err);
	if (!rc && !id_equal(&p->table.id, id))
		rc = err_set(err, ERR_CORRUPT, "the table is another pack's");
	if (rc) {
		pack_close(p);
		return err_wrap(err, "pack %s", id_hex(id, hex));
	}
	memcpy(p->info.uuid, uuid, sizeof(p->info.uuid));
	p->info.id = *id;
	p->info.no = p->table.no;
	p->info.kind = p->table.kind;
	*out = p;
	return 0;
}

void pack_close(struct pack *p)
{
	if (!p)
		return;
	io_close(p->fd);
	pack_table_fini(&p->table);
	free(p);
}

const struct pack_table *pack_table(const struct pack *p)
{
	return &p->table;
}

const struct pack_info *pack_info(const struct pack *p)
{
	return &p->info;
}

int pack_table_bytes(const struct pack *p, uint8_t **out, size_t *len,
    struct err *err)
{
	char hex[ID_HEX];
	int rc;

	rc = table_read(p->fd, p->table.size, p->info.uuid, out, len, err);
	if (rc)
		err_wrap(err, "pack %s", id_hex(&p->info.id, hex));
	return rc;
}

int pack_read_stored(const struct pack *p, const struct block_entry *e,
    uint8_t *buf, struct err *err)
{
	char hex[ID_HEX];
	int rc;

	rc = io_pread_full(p->fd, buf, e->stored,
	    e->offset + block_head_len(e->n_chunks, e->n_bases), err);
	if (rc)
		err_wrap(err, "pack %s", id_hex(&p->info.id, hex));
	return rc;
}
