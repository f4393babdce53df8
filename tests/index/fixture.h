/*
 * fixture -- a real store in a scratch directory, with snapshots of trees that
 * a test plants by their paths.
 *
 * Files have made-up content ids: no bytes are stored for them, since listing
 * and finding read none.  Two handles are open, as in real life: one writes,
 * the other reads.
 */
#ifndef TESTS_INDEX_FIXTURE_H
#define TESTS_INDEX_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "chunker/sum.h"
#include "index/blob.h"
#include "index/snapshot.h"
#include "index/store.h"
#include "index/tree.h"
#include "index/writer.h"
#include "tests/index/scratch.h"

#define OK(call) fixture_ok((call), &err, __FILE__, __LINE__)

static inline void fixture_ok(int rc, const struct err *err, const char *file,
    int line)
{
	if (rc)
		print_error("%s\n", err->msg);
	_assert_true(rc == 0, "success", file, line);
}

/* ---- Trees ---- */

struct plant {
	char *name;
	char *target;
	struct tree_entry entry;
	uint64_t number;
	struct plant **children; /* by name once written */
	size_t n;
	size_t cap;
};

static inline void plant_free(struct plant *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		plant_free(p->children[i]);
	free(p->children);
	free(p->name);
	free(p->target);
	free(p);
}

static inline struct plant *plant_new(const char *name, size_t len,
    uint32_t mode)
{
	struct plant *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->name = strndup(name, len);
	p->entry.mode = mode;
	p->entry.uid = 1000;
	p->entry.gid = 100;
	p->entry.mtime_s = 1700000000;
	p->entry.mtime_ns = 123456789;
	p->entry.ctime_s = 1700000001;
	p->entry.ctime_ns = 7;
	return p;
}

static inline struct plant *plant_root(void)
{
	return plant_new("", 0, S_IFDIR | 0750);
}

static inline struct plant *plant_child(struct plant *dir, const char *name,
    size_t len, uint32_t mode)
{
	struct plant *p;

	for (size_t i = dir->n; i-- > 0;)
		if (strlen(dir->children[i]->name) == len &&
		    memcmp(dir->children[i]->name, name, len) == 0)
			return dir->children[i];
	p = plant_new(name, len, mode);
	if (dir->n == dir->cap) {
		dir->cap = dir->cap ? 2 * dir->cap : 4;
		dir->children = realloc(dir->children,
		    dir->cap * sizeof(*dir->children));
		assert_non_null(dir->children);
	}
	dir->children[dir->n++] = p;
	return p;
}

/*
 * Adds a thing and the directories above it.  text is the target of a symlink
 * or the content of a file, or NULL.
 */
static inline struct plant *plant_add(struct plant *root, const char *path,
    uint32_t mode, const char *text)
{
	struct plant *p = root;
	struct tree_entry *e;

	while (*path) {
		size_t len = strcspn(path, "/");
		bool last = path[len] == '\0';

		p = plant_child(p, path, len, last ? mode : S_IFDIR | 0755);
		path += len + !last;
	}
	e = &p->entry;
	if (S_ISLNK(mode)) {
		free(p->target);
		p->target = strdup(text);
	}
	if (S_ISREG(mode) && text && *text) {
		uint64_t sum = sum64(text, strlen(text)) | 1;

		e->size = strlen(text);
		e->flags |= TREE_CHUNK;
		memcpy(e->content.b, &sum, sizeof(sum));
	}
	return p;
}

static inline int plant_by_name(const void *a, const void *b)
{
	const struct plant *x = *(struct plant *const *)a;
	const struct plant *y = *(struct plant *const *)b;

	return tree_name_cmp(x->name, strlen(x->name), y->name,
	    strlen(y->name));
}

struct fixture_counts {
	uint64_t files;
	uint64_t dirs;
	uint64_t other;
	uint64_t bytes;
};

/* Writes the directories from the bottom up. */
static inline void plant_write(struct plant *dir, struct tree_writer *w,
    struct fixture_counts *counts)
{
	struct tree_dir done;
	struct err err;

	counts->dirs++;
	if (dir->n > 0)
		qsort(dir->children, dir->n, sizeof(*dir->children),
		    plant_by_name);
	for (size_t i = 0; i < dir->n; i++)
		if (S_ISDIR(dir->children[i]->entry.mode))
			plant_write(dir->children[i], w, counts);
	for (size_t i = 0; i < dir->n; i++) {
		struct plant *p = dir->children[i];

		p->entry.name = p->name;
		p->entry.name_len = strlen(p->name);
		if (p->target) {
			p->entry.target = p->target;
			p->entry.target_len = strlen(p->target);
		}
		counts->files += S_ISREG(p->entry.mode);
		counts->other += !S_ISREG(p->entry.mode) &&
		    !S_ISDIR(p->entry.mode);
		counts->bytes += p->entry.size;
		OK(tree_writer_add(w, &p->entry, &err));
	}
	OK(tree_writer_finish(w, &done, &err));
	dir->entry.beneath = done.beneath;
	dir->entry.subdirs = done.subdirs;
	dir->entry.content = done.id;
	dir->entry.flags &= ~(uint32_t)TREE_CHUNK;
	if (!id_is_zero(&done.id))
		dir->entry.flags |= TREE_CHUNK;
}

/* Numbers by the walk of FORMAT.md, and the hard links met on it. */
struct fixture_links {
	struct link link[64];
	size_t n;
};

static inline void plant_number(struct plant *p, uint64_t *next,
    struct fixture_links *links)
{
	size_t i;

	p->number = (*next)++;
	if (p->entry.flags & TREE_LINKED) {
		for (i = 0; i < links->n; i++)
			if (links->link[i].ino == p->entry.ino)
				break;
		assert_true(i < 64);
		if (i == links->n)
			links->link[links->n++] = (struct link){
				.ino = p->entry.ino,
				.number = p->number,
			};
		links->link[i].names++;
	}
	for (i = 0; i < p->n; i++)
		plant_number(p->children[i], next, links);
}

static inline int link_by_ino(const void *a, const void *b)
{
	const struct link *x = a;
	const struct link *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

/* ---- The store ---- */

struct fixture {
	struct scratch *scratch;
	char path[300];
	struct store *reader;
	struct store *writer;
};

static inline int fixture_make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *scratch = NULL;
	struct err err;

	if (!f || scratch_make(&scratch))
		return -1;
	f->scratch = scratch;
	snprintf(f->path, sizeof(f->path), "%s/store", f->scratch->path);
	*state = f;
	if (store_init(f->path, "UTC", &err) ||
	    store_open(&f->writer, f->path, NULL, &err) ||
	    store_open(&f->reader, f->path, NULL, &err)) {
		print_error("%s\n", err.msg);
		return -1;
	}
	return 0;
}

static inline int fixture_drop(void **state)
{
	struct fixture *f = *state;
	void *scratch;

	if (!f)
		return 0;
	store_close(f->reader);
	store_close(f->writer);
	scratch = f->scratch;
	scratch_drop(&scratch);
	free(f);
	return 0;
}

#define FIXTURE_TEST(f) \
	cmocka_unit_test_setup_teardown(f, fixture_make, fixture_drop)

static inline struct content fixture_put_links(struct fixture *f,
    struct writer *w, struct fixture_links *links)
{
	uint8_t bytes[64 * LINK_SIZE];
	struct content content = { .kind = CONTENT_NONE };
	struct err err;
	size_t n = 0;

	qsort(links->link, links->n, sizeof(links->link[0]), link_by_ino);
	for (size_t i = 0; i < links->n; i++)
		if (links->link[i].names > 1)
			link_encode(&links->link[i], bytes + n++ * LINK_SIZE);
	OK(blob_put(store_config(f->writer), writer_sink(w), bytes,
	    n * LINK_SIZE, &content, &err));
	return content;
}

/* Commits a snapshot of the tree; returns its serial. */
static inline uint64_t fixture_commit(struct fixture *f, const char *resource,
    int64_t time_ns, int32_t utc_offset, struct plant *root)
{
	struct fixture_links links = { .n = 0 };
	struct fixture_counts counts = { 0 };
	struct snapshot_row *rows = NULL;
	struct root draft = { 0 };
	struct tree_writer *tw;
	uint64_t serial = 0;
	uint64_t next = 0;
	struct writer *w;
	struct err err;
	struct id id;
	size_t n;

	OK(writer_begin(&w, f->writer, resource, NULL, &err));
	OK(tree_writer_new(&tw, &store_config(f->writer)->pages,
	    writer_sink(w), &err));
	plant_write(root, tw, &counts);
	tree_writer_free(tw);
	plant_number(root, &next, &links);

	draft.time_ns = time_ns;
	draft.utc_offset = utc_offset;
	draft.n_files = counts.files;
	draft.n_dirs = counts.dirs;
	draft.n_other = counts.other;
	draft.n_bytes = counts.bytes;
	draft.top = root->entry;
	draft.top.name = "";
	draft.top.name_len = 0;
	draft.links = fixture_put_links(f, w, &links);
	draft.zone = "UTC";
	draft.zone_len = 3;
	OK(writer_commit(w, &draft, &id, &err));
	writer_end(w);

	OK(snapshot_list(f->writer, 0, &rows, &n, &err));
	for (size_t i = 0; i < n; i++)
		if (id_equal(&rows[i].id, &id))
			serial = rows[i].serial;
	free(rows);
	assert_true(serial != 0);
	return serial;
}

#endif
