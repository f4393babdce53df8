/*
 * stream -- feeds a byte stream to the chunker, whatever the read sizes.
 *
 * The caller asks for room, reads into it, says how much came, and takes
 * chunks until there are none; after the end of the input the rest comes out.
 * No byte is copied but the short tail that a full buffer moves to its front.
 *
 *     while (!done) {
 *             room = stream_room(s, &len);
 *             n = read(fd, room, len);
 *             if (n == 0) stream_end(s); else stream_fed(s, n);
 *             while (stream_next(s, &chunk, &size))
 *                     use(chunk, size);
 *     }
 *
 * Threads: one at a time.
 */
#ifndef CHUNKER_STREAM_H
#define CHUNKER_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/cut.h"
#include "chunker/err.h"

struct stream;

/*
 * cap is the size of the buffer, at least twice params->max; params must
 * outlive the stream.  *out is the caller's, to be released by stream_free.
 */
int stream_new(struct stream **out, const struct cut_params *params,
    size_t cap, struct err *err);
void stream_free(struct stream *s);

/* Begins a new stream in the same memory. */
void stream_reset(struct stream *s);

/* Where the next bytes go; *len is never 0 before stream_end. */
uint8_t *stream_room(struct stream *s, size_t *len);
void stream_fed(struct stream *s, size_t len);
void stream_end(struct stream *s);

/*
 * True and the next chunk, borrowed until the next stream_room or reset; false
 * when more input is needed or everything has been handed out.
 */
bool stream_next(struct stream *s, const uint8_t **chunk, size_t *len);

#endif
