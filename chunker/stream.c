#include "chunker/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct stream {
	const struct cut_params *params;
	size_t cap;
	size_t head; /* first byte not handed out */
	size_t tail; /* just past the last byte fed */
	bool ended;
	uint8_t data[];
};

int stream_new(struct stream **out, const struct cut_params *params, size_t cap,
    struct err *err)
{
	struct stream *s;

	if (cap / 2 < params->max || cap > SIZE_MAX - sizeof(*s))
		return err_set(err, ERR_INVALID,
		    "a stream buffer of %zu bytes for chunks of up to %u", cap,
		    params->max);
	s = malloc(sizeof(*s) + cap);
	if (!s)
		return err_set(err, ERR_NOMEM, "stream buffer");
	s->params = params;
	s->cap = cap;
	stream_reset(s);
	*out = s;
	return 0;
}

void stream_free(struct stream *s)
{
	free(s);
}

void stream_reset(struct stream *s)
{
	s->head = 0;
	s->tail = 0;
	s->ended = false;
}

uint8_t *stream_room(struct stream *s, size_t *len)
{
	assert(!s->ended);

	/*
	 * Move late, or small reads would move the same bytes again and again.
	 * A drained stream holds less than max, at most half of cap, so three
	 * eighths of cap are fed between two moves.
	 */
	if (s->head == s->tail) {
		s->head = 0;
		s->tail = 0;
	} else if (s->head > 0 && s->cap - s->tail < s->cap / 8) {
		memmove(s->data, s->data + s->head, s->tail - s->head);
		s->tail -= s->head;
		s->head = 0;
	}

	*len = s->cap - s->tail;
	assert(*len > 0);
	return s->data + s->tail;
}

void stream_fed(struct stream *s, size_t len)
{
	assert(!s->ended && len <= s->cap - s->tail);
	s->tail += len;
}

void stream_end(struct stream *s)
{
	s->ended = true;
}

bool stream_next(struct stream *s, const uint8_t **chunk, size_t *len)
{
	size_t left = s->tail - s->head;

	/* With less than max, bytes still to come could move the cut. */
	if (left == 0 || (left < s->params->max && !s->ended))
		return false;

	*chunk = s->data + s->head;
	*len = cut_next(s->params, *chunk, left);
	s->head += *len;
	return true;
}
