#include "tools/ingest_private.h"

#include <stdlib.h>

/* ---- Batches ---- */

int ingest_batches_init(struct ingest *in, struct err *err)
{
	in->n_batches = (INGEST_QUEUE + 2) * in->n_workers;
	in->batches = calloc(in->n_batches, sizeof(*in->batches));
	in->takers = calloc(in->n_batches, sizeof(struct worker *));
	in->spare = calloc(in->n_batches, sizeof(struct batch *));
	if (!in->batches || !in->takers || !in->spare)
		return err_set(err, ERR_NOMEM, "batches");
	for (unsigned i = 0; i < in->n_batches; i++) {
		if (batch_init(&in->batches[i], in->config->block_max, err))
			return err->code;
		in->spare[in->n_spare++] = &in->batches[i];
	}
	return 0;
}

void ingest_batches_fini(struct ingest *in)
{
	for (unsigned i = 0; in->batches && i < in->n_batches; i++)
		batch_fini(&in->batches[i]);
	free(in->batches);
	free(in->takers);
	free(in->spare);
}

struct batch *ingest_batch_take(struct worker *w)
{
	struct ingest *in = w->in;
	struct batch *b;

	/* There is one for each place a batch can be in, so one is spare. */
	pthread_mutex_lock(&in->spare_lock);
	b = in->spare[--in->n_spare];
	pthread_mutex_unlock(&in->spare_lock);
	in->takers[b - in->batches] = w;
	return b;
}

void ingest_batch_put(struct ingest *in, struct batch *b)
{
	batch_reset(b);
	pthread_mutex_lock(&in->spare_lock);
	in->spare[in->n_spare++] = b;
	pthread_mutex_unlock(&in->spare_lock);
}

int ingest_compress(struct worker *w, const struct batch *b, struct err *err)
{
	struct worker *taker = w->in->takers[b - w->in->batches];
	bool refused;
	int rc;

	if (b->n_chunks == 0)
		return 0;
	rc = writer_put_delta(w->in->writer, PACK_DATA, w->codec, b, &refused,
	    err);
	if (!rc && b->n_bases)
		follow_told(taker->follow, refused);
	return rc;
}

/* Hands the full batch on, or does it here when the others are busy. */
static int batch_full(struct worker *w, struct err *err)
{
	int rc = 0;

	if (jobs_rush(w->in->jobs, w->batch)) {
		w->batch = ingest_batch_take(w);
	} else {
		rc = ingest_compress(w, w->batch, err);
		batch_reset(w->batch);
	}
	follow_next_batch(w->follow);
	return rc;
}

/* ---- Chunks ---- */

static int chunk_fresh(struct worker *w, const struct id *id,
    const uint8_t *data, size_t len, struct err *err)
{
	if (!batch_fits(w->batch, len) && batch_full(w, err))
		return err->code;
	if (!follow_fresh(w->follow, w->batch, len)) {
		if (batch_full(w, err))
			return err->code;
		(void)follow_fresh(w->follow, w->batch, len);
	}
	return batch_add(w->batch, ID_DATA, id, data, len, err);
}

int ingest_chunk(struct worker *w, const uint8_t *data, size_t len,
    struct id *out, struct err *err)
{
	bool is_new;

	if (id_hash(w->hasher, ID_DATA, data, len, out, err) ||
	    writer_claim(w->in->writer, out, &is_new, err))
		return err->code;
	if (is_new)
		return chunk_fresh(w, out, data, len, err);
	follow_known(w->follow, w->batch, out, len);
	return 0;
}
