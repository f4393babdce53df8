/*
 * ieri cat: one thread finds and decodes, this one writes.
 *
 * Between them lies a short queue of chunks, held in the store's cache until
 * they are written: nothing is copied.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "index/rope.h"
#include "tools/cli.h"
#include "tools/place.h"

#define QUEUE_LEN 16
#define ZEROS_LEN (64u << 10)

/* A piece ready to be written; chunk.data is NULL for a hole. */
struct ready {
	struct chunk chunk;
	uint64_t len;
};

struct cat {
	struct store *store;
	struct place place;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t moved;
	struct ready queue[QUEUE_LEN];
	unsigned first;
	unsigned n;
	bool ended;  /* nothing more will come */
	bool closed; /* nobody will take any more */
	int rc;      /* of the reading thread, with err */
	struct err err;
};

/* False when nobody wants it any more; the caller then keeps it. */
static bool queue_put(struct cat *c, const struct ready *piece)
{
	bool taken;

	pthread_mutex_lock(&c->lock);
	while (c->n == QUEUE_LEN && !c->closed)
		pthread_cond_wait(&c->moved, &c->lock);
	taken = !c->closed;
	if (taken) {
		c->queue[(c->first + c->n) % QUEUE_LEN] = *piece;
		c->n++;
	}
	pthread_cond_signal(&c->moved);
	pthread_mutex_unlock(&c->lock);
	return taken;
}

/* False at the end. */
static bool queue_take(struct cat *c, struct ready *out)
{
	bool given;

	pthread_mutex_lock(&c->lock);
	while (c->n == 0 && !c->ended)
		pthread_cond_wait(&c->moved, &c->lock);
	given = c->n > 0;
	if (given) {
		*out = c->queue[c->first];
		c->first = (c->first + 1) % QUEUE_LEN;
		c->n--;
	}
	pthread_cond_signal(&c->moved);
	pthread_mutex_unlock(&c->lock);
	return given;
}

static int read_pieces(struct cat *c, struct rope_cursor *cursor)
{
	const struct chunk_source *src = store_source(c->store);
	struct rope_piece piece;
	uint64_t offset = 0;
	int rc;

	while ((rc = rope_cursor_seek(cursor, offset, &piece, &c->err)) == 1) {
		struct ready ready = { .len = piece.len };

		if (!id_is_zero(&piece.id)) {
			rc = chunk_get(src, ID_DATA, &piece.id, &ready.chunk,
			    &c->err);
			if (rc)
				return rc;
			if (ready.chunk.len != piece.len) {
				chunk_release(src, &ready.chunk);
				return err_set(&c->err, ERR_CORRUPT,
				    "a piece has another length than its"
				    " list says");
			}
		}
		if (!queue_put(c, &ready)) {
			chunk_release(src, &ready.chunk);
			return 0;
		}
		offset = piece.offset + piece.len;
	}
	return rc;
}

static void *read_all(void *arg)
{
	struct cat *c = arg;
	struct content content = tree_content(&c->place.item.entry);
	struct rope_cursor cursor;

	rope_cursor_init(&cursor, store_source(c->store), &content);
	c->rc = read_pieces(c, &cursor);
	rope_cursor_fini(&cursor);

	pthread_mutex_lock(&c->lock);
	c->ended = true;
	pthread_cond_signal(&c->moved);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static int write_full(const void *data, size_t len, struct err *err)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, at, len);

		if (n < 0 && errno == EINTR && !cli_stopped())
			continue;
		if (n < 0)
			return err_sys(err, "standard output");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_piece(const struct ready *piece, struct err *err)
{
	static const char zeros[ZEROS_LEN];
	uint64_t left = piece->len;
	int rc = 0;

	if (piece->chunk.data)
		return write_full(piece->chunk.data, piece->chunk.len, err);
	while (!rc && left > 0) {
		size_t n = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

		rc = write_full(zeros, n, err);
		left -= n;
	}
	return rc;
}

/* What is left in the queue once nobody writes any more. */
static void queue_drop(struct cat *c)
{
	struct ready piece;

	pthread_mutex_lock(&c->lock);
	c->closed = true;
	pthread_cond_signal(&c->moved);
	pthread_mutex_unlock(&c->lock);
	while (queue_take(c, &piece))
		chunk_release(store_source(c->store), &piece.chunk);
}

static int print_content(struct cat *c, struct err *err)
{
	struct ready piece;
	pthread_t reader;
	int rc = 0;

	c->first = c->n = 0;
	c->ended = c->closed = false;
	c->rc = 0;
	errno = pthread_create(&reader, NULL, read_all, c);
	if (errno)
		return err_sys(err, "thread");

	while (!rc && queue_take(c, &piece)) {
		rc = write_piece(&piece, err);
		chunk_release(store_source(c->store), &piece.chunk);
		if (!rc && cli_stopped())
			rc = err_set(err, ERR_STOPPED, "stopped");
	}
	queue_drop(c);
	pthread_join(reader, NULL);
	if (!rc && c->rc) {
		*err = c->err;
		rc = c->rc;
	}
	return rc;
}

static int print_one(struct cat *c, const char *text, struct err *err)
{
	const struct tree_entry *e = &c->place.item.entry;
	int rc;

	rc = place_init(&c->place, c->store, text, err);
	if (rc)
		goto out;
	if (tree_is_dir(e))
		rc = err_set(err, ERR_INVALID, "%s: a directory", text);
	else if (!S_ISREG(e->mode))
		rc = err_set(err, ERR_INVALID, "%s: not a regular file", text);
	else if (e->flags & TREE_UNREADABLE)
		rc = err_set(err, ERR_NOT_FOUND,
		    "%s: its content could not be read on that day", text);
	else if ((rc = print_content(c, err)) != 0 && err->sys != EPIPE)
		err_wrap(err, "%s", text);

out:
	place_fini(&c->place);
	return rc;
}

int cmd_cat(struct cli *cli, int argc, char **argv, struct err *err)
{
	struct cat c = { .store = NULL };
	int opt;
	int rc;

	while ((opt = cli_getopt(cli, argc, argv, "", NULL, err)) != -1)
		return opt == CLI_OPT_HELP ? CLI_HELPED : EXIT_USAGE;
	if (optind == argc)
		return cli_usage(err, "one REF at least, please; see --help");

	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.moved, NULL);
	rc = cli_open_store(cli, &c.store, err);
	for (; !rc && optind < argc; optind++)
		rc = print_one(&c, argv[optind], err);
	store_close(c.store);
	pthread_cond_destroy(&c.moved);
	pthread_mutex_destroy(&c.lock);

	/* A reader that has seen enough and left is no failure. */
	if (rc && err->sys == EPIPE)
		return EXIT_DONE;
	return rc ? cli_status(err) : EXIT_DONE;
}
