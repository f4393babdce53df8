#include "index/writer.h"

#include <stdlib.h>

#include "index/writer_private.h"

static void spare_free(struct spare_batch *b)
{
	if (!b)
		return;
	batch_fini(&b->batch);
	free(b);
}

void writer_drop_meta(struct writer *w)
{
	spare_free(w->meta);
	w->meta = NULL;
	while (w->spare) {
		struct spare_batch *b = w->spare;

		w->spare = b->next;
		spare_free(b);
	}
}

/* An empty batch from the stock; the lock is held. */
static int spare_take(struct writer *w, struct spare_batch **out,
    struct err *err)
{
	struct spare_batch *b = w->spare;
	int rc;

	if (b) {
		w->spare = b->next;
		*out = b;
		return 0;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(err, ERR_NOMEM, "batch");
	rc = batch_init(&b->batch, w->store->config.block_max, err);
	if (rc) {
		free(b);
		return rc;
	}
	*out = b;
	return 0;
}

static int encode_meta(struct writer *w, struct spare_batch *b,
    struct err *err)
{
	struct reader *r = NULL;
	int rc;

	rc = reader_take(w->store, &r, err);
	if (!rc)
		rc = writer_add_batch(w, PACK_META, r->codec, &b->batch,
		    err);
	reader_give(w->store, r);

	batch_reset(&b->batch);
	pthread_mutex_lock(&w->meta_lock);
	b->next = w->spare;
	w->spare = b;
	pthread_mutex_unlock(&w->meta_lock);
	return rc;
}

/* *full gets a batch that this chunk did not fit into, if there was one. */
static int gather(struct writer *w, enum id_kind kind, const struct id *id,
    const uint8_t *data, size_t len, struct spare_batch **full,
    struct err *err)
{
	int rc = 0;

	*full = NULL;
	pthread_mutex_lock(&w->meta_lock);
	if (w->meta && !batch_fits(&w->meta->batch, len)) {
		*full = w->meta;
		w->meta = NULL;
	}
	if (!w->meta)
		rc = spare_take(w, &w->meta, err);
	if (!rc)
		rc = batch_add(&w->meta->batch, kind, id, data, len, err);
	pthread_mutex_unlock(&w->meta_lock);
	return rc;
}

static int put_meta(struct writer *w, enum id_kind kind, const uint8_t *data,
    size_t len, struct id *out, struct err *err)
{
	struct spare_batch *full = NULL;
	struct reader *r = NULL;
	bool is_new = false;
	int rc;

	rc = reader_take(w->store, &r, err);
	if (!rc)
		rc = id_hash(r->hasher, kind, data, len, out, err);
	reader_give(w->store, r);
	if (!rc)
		rc = writer_look(w, out, &is_new, err);
	if (rc || !is_new)
		return rc;

	rc = gather(w, kind, out, data, len, &full, err);
	if (!rc && full)
		return encode_meta(w, full, err);
	spare_free(full);
	return rc;
}

int writer_put(struct writer *w, enum id_kind kind, const uint8_t *data,
    size_t len, struct id *out, struct err *err)
{
	int rc;

	rc = writer_check(w, err);
	if (rc)
		return rc;
	if (kind == ID_DATA || len == 0 || len >= CHUNK_MAX)
		return err_set(err, ERR_INVALID,
		    "no meta chunk: kind %d, %zu bytes", (int)kind, len);
	return writer_fail(w, put_meta(w, kind, data, len, out, err), err);
}

int writer_flush_meta(struct writer *w, struct err *err)
{
	struct spare_batch *b = w->meta;

	w->meta = NULL;
	if (!b)
		return 0;
	return writer_fail(w, encode_meta(w, b, err), err);
}

static int sink_put(void *ctx, enum id_kind kind, const uint8_t *data,
    size_t len, struct id *out, struct err *err)
{
	return writer_put(ctx, kind, data, len, out, err);
}

void writer_meta_init(struct writer *w)
{
	w->sink = (struct chunk_sink){ .ctx = w, .put = sink_put };
}

const struct chunk_sink *writer_sink(struct writer *w)
{
	return &w->sink;
}
