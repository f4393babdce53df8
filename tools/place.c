#include "tools/place.h"

#include <stdlib.h>
#include <string.h>

#include "index/io.h"

int place_init(struct place *out, struct store *store, const char *text,
    struct err *err)
{
	int rc;

	out->store = store;
	rc = ref_parse(&out->ref, text, err);
	if (rc)
		return rc;
	rc = ref_open(&out->ref, store, io_now_ns(), &out->snap, err);
	if (rc)
		return rc;
	rc = snapshot_walk(store, out->snap, out->ref.path, out->ref.path_len,
	    &out->item, err);
	return rc ? err_wrap(err, "%s", text) : 0;
}

void place_fini(struct place *p)
{
	if (p->snap) {
		snapshot_item_fini(&p->item);
		snapshot_close(p->snap);
	}
	ref_fini(&p->ref);
	memset(p, 0, sizeof(*p));
}

const char *place_name(const struct place *p, size_t *len)
{
	*len = p->item.entry.name_len;
	return *len ? p->item.entry.name : "";
}

static int owner_cmp(const struct owner *o, enum owner_kind kind,
    uint32_t number)
{
	if (o->kind != kind)
		return o->kind < kind ? -1 : 1;
	if (o->number != number)
		return o->number < number ? -1 : 1;
	return 0;
}

int names_init(struct names *out, struct store *store,
    const struct snapshot *snap, struct err *err)
{
	struct owner owner;
	struct bytes in;
	size_t room = 0;
	size_t len;
	int rc;

	rc = blob_get(store_source(store), &snap->root.names, NAMES_MAX,
	    &out->bytes, &len, err);
	if (rc)
		return err_wrap(err, "names of owners");

	in = bytes_of(out->bytes, len);
	while ((rc = owner_next(&in, &owner, err)) == 1) {
		if (out->n == room) {
			struct owner *more;

			room = room ? 2 * room : 64;
			more = reallocarray(out->list, room, sizeof(*more));
			if (!more)
				return err_set(err, ERR_NOMEM,
				    "names of owners");
			out->list = more;
		}
		/* Searching needs the order that the format promises. */
		if (out->n && owner_cmp(&out->list[out->n - 1], owner.kind,
		    owner.number) >= 0)
			return err_set(err, ERR_CORRUPT,
			    "names of owners are out of order");
		out->list[out->n++] = owner;
	}
	return rc;
}

void names_fini(struct names *n)
{
	free(n->list);
	free(n->bytes);
	memset(n, 0, sizeof(*n));
}

const struct owner *names_find(const struct names *n, enum owner_kind kind,
    uint32_t number)
{
	size_t low = 0;
	size_t high = n->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int cmp = owner_cmp(&n->list[mid], kind, number);

		if (cmp == 0)
			return &n->list[mid];
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
