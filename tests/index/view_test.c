/*
 * Proves view.h over a real store: every name, number and listing of the dated
 * tree agree with each other, and follow what is committed and pruned.
 */
#include "index/view.h"

#include <pthread.h>
#include <sqlite3.h>
#include <time.h>

#include "index/io.h"
#include "tests/index/fixture.h"

#define NS INT64_C(1000000000)
#define DAY (86400 * NS)

/* ---- What the cases share ---- */

static struct plant *small_tree(const char *content)
{
	struct plant *root = plant_root();

	plant_add(root, "var/www/index.html", S_IFREG | 0644, content);
	plant_add(root, "var/www/logo", S_IFREG | 0640, "logo");
	plant_add(root, "var/log", S_IFDIR | 01777, NULL);
	plant_add(root, "etc/link", S_IFLNK | 0777, "../var");
	plant_add(root, "dev/null", S_IFCHR | 0666, NULL)->entry.major = 1;
	return root;
}

static uint64_t commit_small(struct fixture *f, const char *resource,
    int64_t time_ns, int32_t offset, const char *content)
{
	struct plant *root = small_tree(content);
	uint64_t serial = fixture_commit(f, resource, time_ns, offset, root);

	plant_free(root);
	return serial;
}

static struct view *open_view(struct fixture *f, const char *only)
{
	struct view_options options = { .only = only };
	struct view *v;
	struct err err;

	OK(view_open(&v, f->reader, &options, &err));
	return v;
}

static struct view_node at(struct view *v, const char *path)
{
	struct view_node node;
	struct err err;

	OK(view_resolve(v, path, &node, &err));
	return node;
}

static int missing(struct view *v, const char *path)
{
	struct view_node node;
	struct err err;

	return view_resolve(v, path, &node, &err) == ERR_NOT_FOUND;
}

/* The names of a directory, in order, each followed by a space. */
struct names {
	char text[4000];
	size_t len;
	size_t n;
	size_t stop; /* after so many; 0 never */
	uint64_t next;
};

static bool take_name(void *ctx, const char *name, size_t len,
    const struct view_node *node, uint64_t next_offset)
{
	struct names *names = ctx;

	assert_true(node->ino != 0);
	if (names->len + len + 2 < sizeof(names->text)) {
		memcpy(names->text + names->len, name, len);
		names->len += len;
		names->text[names->len++] = ' ';
		names->text[names->len] = '\0';
	}
	assert_true(next_offset > names->next);
	names->next = next_offset;
	return ++names->n != names->stop;
}

static void list(struct view *v, uint64_t dir, struct names *names)
{
	struct err err;

	*names = (struct names){ .n = 0 };
	OK(view_readdir(v, dir, 0, take_name, names, &err));
}

#define LISTS(v, path, wanted) \
	do { \
		struct names names_; \
		list(v, at(v, path).ino, &names_); \
		assert_string_equal(names_.text, wanted); \
	} while (0)

static void same_node(const struct view_node *a, const struct view_node *b)
{
	assert_int_equal(a->ino, b->ino);
	assert_int_equal(a->mode & S_IFMT, b->mode & S_IFMT);
	assert_int_equal(a->dated, b->dated);
	assert_int_equal(a->snapshot, b->snapshot);
	/* Dates are listed without attributes, and nothing else is. */
	assert_true(a->bare + b->bare <= a->snapshot);
	if (a->bare || b->bare)
		return;
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->nlink, b->nlink);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->blocks, b->blocks);
	assert_int_equal(a->mtime_s, b->mtime_s);
	assert_int_equal(a->mtime_ns, b->mtime_ns);
	assert_int_equal(a->ctime_s, b->ctime_s);
	assert_int_equal(a->content.kind, b->content.kind);
}

/* ---- The whole tree, walked ---- */

struct seen {
	char path[200];
	struct view_node node;
};

struct walk {
	struct view *view;
	struct seen seen[2000];
	size_t n;
	size_t dir; /* whose entries are being taken */
};

static bool take_node(void *ctx, const char *name, size_t len,
    const struct view_node *node, uint64_t next_offset)
{
	struct walk *w = ctx;
	struct seen *s = &w->seen[w->n++];
	char path[200];

	(void)next_offset;
	assert_true(w->n < 2000);
	memcpy(path, w->seen[w->dir].path, sizeof(path));
	assert_true(snprintf(s->path, sizeof(s->path), "%s/%.*s", path,
	    (int)len, name) < (int)sizeof(s->path));
	s->node = *node;
	return true;
}

static struct walk *walk_all(struct view *v)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct err err;

	assert_non_null(w);
	w->view = v;
	w->n = 1;
	OK(view_get(v, VIEW_ROOT, &w->seen[0].node, &err));
	for (w->dir = 0; w->dir < w->n; w->dir++)
		if (S_ISDIR(w->seen[w->dir].node.mode))
			OK(view_readdir(v, w->seen[w->dir].node.ino, 0,
			    take_node, w, &err));
	return w;
}

/* Each node by look-up, by number and by path, and its place above. */
static void check_walk(struct view *v, const struct walk *w)
{
	struct err err;

	for (size_t i = 1; i < w->n; i++) {
		const struct seen *s = &w->seen[i];
		const char *name = strrchr(s->path, '/') + 1;
		char above[200];
		struct view_node node;
		struct view_node dir;
		uint64_t parent;

		snprintf(above, sizeof(above), "%.*s",
		    (int)(name - 1 - s->path), s->path);
		dir = at(v, above);
		OK(view_lookup(v, dir.ino, name, strlen(name), &node, &err));
		same_node(&node, &s->node);
		OK(view_get(v, s->node.ino, &node, &err));
		same_node(&node, &s->node);
		if (S_ISDIR(node.mode)) {
			OK(view_parent(v, node.ino, &parent, &err));
			assert_int_equal(parent, dir.ino);
		}
	}
}

static void commit_week(struct fixture *f)
{
	/* Days 20777 to 20779 are 2026-11-20 to 22, a Friday to a Sunday. */
	commit_small(f, "acme/web", 20777 * DAY + 7200 * NS, 3600, "one");
	commit_small(f, "acme/web", 20779 * DAY + 7200 * NS, 3600, "two");
	commit_small(f, "acme/web", 20779 * DAY + 9200 * NS, 3600, "three");
	commit_small(f, "acme/mail", 20400 * DAY, 0, "mail");
	commit_small(f, "zeta", 20779 * DAY, 0, "zeta");
}

static void listing_lookup_number_and_path_agree(void **state)
{
	struct fixture *f = *state;
	struct view *v;
	struct walk *w;

	commit_week(f);
	v = open_view(f, NULL);
	w = walk_all(v);
	assert_true(w->n > 150);
	check_walk(v, w);
	view_close(v);

	/* In another view nothing is remembered, and all is the same. */
	v = open_view(f, NULL);
	for (size_t i = w->n; i-- > 0;) {
		struct view_node node;
		struct err err;

		OK(view_get(v, w->seen[i].node.ino, &node, &err));
		same_node(&node, &w->seen[i].node);
	}
	check_walk(v, w);
	view_close(v);
	free(w);
}

static void no_two_things_share_a_number(void **state)
{
	struct fixture *f = *state;
	struct view *v;
	struct walk *w;

	commit_week(f);
	v = open_view(f, NULL);
	w = walk_all(v);
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < i; k++)
			if (w->seen[i].node.ino == w->seen[k].node.ino)
				fail_msg("%s and %s", w->seen[i].path,
				    w->seen[k].path);
	view_close(v);
	free(w);
}

static void the_folders_are_as_promised(void **state)
{
	struct fixture *f = *state;
	struct view_node node;
	struct view *v;

	commit_week(f);
	v = open_view(f, NULL);
	LISTS(v, "", "acme zeta ");
	LISTS(v, "acme", "web mail ");
	LISTS(v, "acme/web/daily", "2026-11-20 2026-11-22 ");
	LISTS(v, "acme/web/monthly", "2026-11 ");
	LISTS(v, "acme/web/hourly",
	    "2026-11-20_03 2026-11-22_03 ");
	LISTS(v, "acme/web/all", "2026-11-20_020000Z 2026-11-22_020000Z "
	    "2026-11-22_023320Z ");
	LISTS(v, "acme/mail/yearly", "2025 ");
	LISTS(v, "acme/mail/weekly", "2025-W45 ");
	LISTS(v, "acme/web/daily/2026-11-22", "dev etc var ");

	node = at(v, "");
	assert_int_equal(node.ino, VIEW_ROOT);
	assert_int_equal(node.nlink, 4);
	assert_int_equal(node.mode, S_IFDIR | 0755);
	assert_int_equal(at(v, "acme/web").nlink, 6);
	assert_int_equal(at(v, "acme/web/daily").nlink, 4);
	node = at(v, "acme/web/daily/2026-11-22");
	assert_true(node.snapshot && node.dated);
	assert_int_equal(node.mode, S_IFDIR | 0750);
	assert_int_equal(node.nlink, 5);
	/* The newest of the day is what the date shows. */
	assert_int_equal(at(v,
	    "acme/web/daily/2026-11-22/var/www/index.html").size, 5);
	assert_int_equal(at(v,
	    "acme/web/all/2026-11-22_020000Z/var/www/index.html").size, 3);

	assert_true(missing(v, "acme/web/daily/2026-11-21"));
	assert_true(missing(v, "acme/web/daily/2026-11-22/var/x"));
	assert_true(missing(v, "acme/we"));
	assert_true(missing(v, "acm"));
	assert_true(missing(v, "acme/web/daily/2026-11-22/etc/link/www"));
	assert_true(missing(v, "acme/web/fortnightly"));
	view_close(v);
}

static void attributes_are_those_of_the_source(void **state)
{
	struct fixture *f = *state;
	struct plant *root = plant_root();
	struct view_node node;
	struct plant *sparse;
	struct view *v;
	struct err err;
	uint64_t link;
	char *target;

	sparse = plant_add(root, "sparse", S_IFREG | 0600, "x");
	sparse->entry.size = 1 << 30;
	sparse->entry.data = 5000;
	sparse->entry.flags |= TREE_SPARSE;
	sparse->entry.mtime_s = -5;
	plant_add(root, "null", S_IFCHR | 0666, NULL)->entry.minor = 3;
	plant_add(root, "link", S_IFLNK | 0777, "some/where");
	plant_add(root, "plain", S_IFREG | 04755, "hello");
	plant_add(root, "lost", S_IFREG | 0644, NULL)->entry.flags |=
	    TREE_UNREADABLE;
	plant_add(root, "shut", S_IFDIR | 0700, NULL)->entry.flags |=
	    TREE_UNREADABLE;
	fixture_commit(f, "a", 5 * NS, 0, root);
	plant_free(root);
	v = open_view(f, NULL);

	node = at(v, "a/latest/sparse");
	assert_int_equal(node.blocks, 10);
	assert_int_equal(node.size, 1 << 30);
	assert_int_equal(node.mtime_s, -5);
	assert_int_equal(node.mtime_ns, 123456789);
	assert_int_equal(node.ctime_s, 1700000001);
	node = at(v, "a/latest/plain");
	assert_int_equal(node.blocks, 8);
	assert_int_equal(node.mode, S_IFREG | 04755);
	assert_int_equal(node.uid, 1000);
	assert_int_equal(node.gid, 100);
	assert_int_equal(node.nlink, 1);
	assert_int_equal(node.content.kind, CONTENT_CHUNK);
	assert_int_equal(node.content.size, 5);
	assert_int_equal(at(v, "a/latest/null").minor, 3);
	assert_true(at(v, "a/latest/lost").unreadable);
	node = at(v, "a/latest/link");
	assert_int_equal(node.size, 10);
	link = node.ino;
	OK(view_readlink(v, node.ino, &target, &err));
	assert_string_equal(target, "some/where");
	free(target);
	assert_int_equal(view_readlink(v, at(v, "a/latest/plain").ino,
	    &target, &err), ERR_INVALID);
	/* What could not be read is not shown as empty. */
	node = at(v, "a/latest/shut");
	assert_int_equal(view_readdir(v, node.ino, 0, take_name,
	    &(struct names){ .n = 0 }, &err), ERR_SYSTEM);
	view_close(v);

	/* A link is read from its number alone as well. */
	v = open_view(f, NULL);
	OK(view_readlink(v, link, &target, &err));
	assert_string_equal(target, "some/where");
	free(target);
	view_close(v);
}

static void hard_links_share_a_number_and_count_their_names(void **state)
{
	static const char *const names[] = { "b/two", "a/one", "c" };
	struct fixture *f = *state;
	struct plant *root = plant_root();
	struct view_node first;
	struct view_node node;
	struct plant *alone;
	struct view *v;
	struct err err;

	for (size_t i = 0; i < 3; i++) {
		struct plant *p = plant_add(root, names[i], S_IFREG | 0644,
		    "shared");

		p->entry.flags |= TREE_LINKED;
		p->entry.ino = 77;
	}
	alone = plant_add(root, "alone", S_IFREG | 0644, "lonely");
	alone->entry.flags |= TREE_LINKED;
	alone->entry.ino = 78;
	fixture_commit(f, "a", 5 * NS, 0, root);
	plant_free(root);

	v = open_view(f, NULL);
	first = at(v, "a/latest/a/one");
	assert_int_equal(first.nlink, 3);
	for (size_t i = 0; i < 3; i++) {
		char path[40];

		snprintf(path, sizeof(path), "a/latest/%s", names[i]);
		node = at(v, path);
		same_node(&node, &first);
	}
	assert_true(at(v, "a/monthly/1970-01/c").ino != first.ino);
	node = at(v, "a/latest/alone");
	assert_int_equal(node.nlink, 1);
	assert_true(node.ino != first.ino);
	view_close(v);

	v = open_view(f, NULL);
	OK(view_get(v, first.ino, &node, &err));
	same_node(&node, &first);
	view_close(v);
}

/* ---- Following the store ---- */

/* Takes a snapshot's row away, as a prune will. */
static void prune(struct fixture *f, uint64_t serial)
{
	char path[400];
	char sql[100];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/index/index.db", f->path);
	snprintf(sql, sizeof(sql), "DELETE FROM snapshot WHERE serial = %llu",
	    (unsigned long long)serial);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("prune: %s", sqlite3_errmsg(db));
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
}

static void commits_appear_and_prunes_vanish_at_once(void **state)
{
	struct fixture *f = *state;
	struct view_node before;
	struct view_node node;
	uint64_t first;
	struct view *v;
	struct err err;

	first = commit_small(f, "a/b", 20777 * DAY, 0, "one");
	v = open_view(f, NULL);
	LISTS(v, "a/b/daily", "2026-11-20 ");
	before = at(v, "a/b/daily");
	node = at(v, "a/b/daily/2026-11-20/var/www/index.html");

	commit_small(f, "a/b", 20778 * DAY, 0, "two");
	LISTS(v, "a/b/daily", "2026-11-20 2026-11-21 ");
	assert_int_equal(at(v, "a/b/daily/2026-11-21/var/www/logo").size, 4);
	assert_true(at(v, "a/b/daily").mtime_s != before.mtime_s ||
	    at(v, "a/b/daily").mtime_ns != before.mtime_ns);
	assert_int_equal(at(v, "a/b/daily").ino, before.ino);
	assert_int_equal(at(v, "a/b/daily/2026-11-20/var/www/index.html").ino,
	    node.ino);
	commit_small(f, "a/c", 20778 * DAY, 0, "c");
	LISTS(v, "a", "b c ");

	before = at(v, "a/b/daily");
	prune(f, first);
	LISTS(v, "a/b/daily", "2026-11-21 ");
	assert_true(missing(v, "a/b/daily/2026-11-20"));
	assert_true(at(v, "a/b/daily").mtime_ns != before.mtime_ns);
	assert_int_equal(view_get(v, node.ino, &node, &err), ERR_NOT_FOUND);
	view_close(v);
}

static void a_prune_is_noticed_inside_the_snapshot_too(void **state)
{
	struct fixture *f = *state;
	struct timespec second = { .tv_sec = 1, .tv_nsec = 100000000 };
	struct view_node node;
	uint64_t serial;
	struct view *v;
	struct err err;

	serial = commit_small(f, "a", 20777 * DAY, 0, "one");
	v = open_view(f, NULL);
	node = at(v, "a/latest/var");
	prune(f, serial);
	nanosleep(&second, NULL);
	assert_int_equal(view_lookup(v, node.ino, "www", 3, &node, &err),
	    ERR_NOT_FOUND);
	view_close(v);
}

static void latest_and_yesterday_lead_to_the_right_days(void **state)
{
	struct fixture *f = *state;
	int64_t now = io_now_ns();
	/* So that the local time is noon: no midnight during the test. */
	int32_t offset = (int32_t)(43200 - now / NS % 86400);
	char name[DATE_NAME_SIZE];
	char wanted[60];
	struct view_node latest;
	struct view_node node;
	struct view *v;
	struct err err;
	char *target;

	commit_small(f, "a", now - 3600 * NS, offset, "today");
	v = open_view(f, NULL);
	LISTS(v, "a", "latest all daily monthly ");
	assert_true(missing(v, "a/yesterday"));
	OK(view_lookup(v, at(v, "a").ino, "latest", 6, &latest, &err));
	assert_int_equal(latest.mode, S_IFLNK | 0777);
	OK(view_readlink(v, latest.ino, &target, &err));
	date_name(PERIOD_DAILY, now, offset, name);
	snprintf(wanted, sizeof(wanted), "daily/%s", name);
	assert_string_equal(target, wanted);
	assert_int_equal(latest.size, strlen(wanted));
	free(target);

	commit_small(f, "a", now - 2 * DAY, offset, "older");
	OK(view_lookup(v, at(v, "a").ino, "yesterday", 9, &node, &err));
	OK(view_readlink(v, node.ino, &target, &err));
	date_name(PERIOD_DAILY, now - 2 * DAY, offset, name);
	snprintf(wanted, sizeof(wanted), "daily/%s", name);
	assert_string_equal(target, wanted);
	free(target);
	assert_int_equal(at(v, "a/latest/var/www/index.html").size, 5);

	/* A new target is a new node; the old one still tells its own. */
	commit_small(f, "a", now - 60 * NS, offset, "todayy");
	OK(view_lookup(v, at(v, "a").ino, "latest", 6, &node, &err));
	assert_true(node.ino != latest.ino);
	assert_int_equal(at(v, "a/latest/var/www/index.html").size, 6);
	OK(view_get(v, latest.ino, &node, &err));
	assert_int_equal(node.ino, latest.ino);
	view_close(v);
}

static void snapshots_of_one_second_all_have_a_name(void **state)
{
	struct fixture *f = *state;
	char wanted[100];
	uint64_t serial;
	struct view *v;

	serial = commit_small(f, "a", 20777 * DAY, 0, "1");
	commit_small(f, "a", 20777 * DAY + 5, 0, "22");
	v = open_view(f, NULL);
	snprintf(wanted, sizeof(wanted),
	    "2026-11-20_000000Z-%llu 2026-11-20_000000Z ",
	    (unsigned long long)serial);
	LISTS(v, "a/all", wanted);
	snprintf(wanted, sizeof(wanted),
	    "a/all/2026-11-20_000000Z-%llu/var/www/index.html",
	    (unsigned long long)serial);
	assert_int_equal(at(v, wanted).size, 1);
	assert_int_equal(at(v,
	    "a/all/2026-11-20_000000Z/var/www/index.html").size, 2);
	assert_true(missing(v, "a/all/2026-11-20_000000Z-99"));
	view_close(v);
}

/* ---- One part only ---- */

static void only_shows_a_part_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	struct view_options none = { .only = "acme/webb" };
	struct view_node secret;
	struct view_node node;
	struct view *v;
	uint64_t parent;
	struct err err;

	commit_week(f);
	commit_small(f, "acme-x/web", 20779 * DAY, 0, "x");
	v = open_view(f, NULL);
	secret = at(v, "zeta/latest/var");
	view_close(v);

	v = open_view(f, "/acme/");
	LISTS(v, "", "web mail ");
	assert_int_equal(at(v, "").ino, VIEW_ROOT);
	OK(view_parent(v, at(v, "web").ino, &parent, &err));
	assert_int_equal(parent, VIEW_ROOT);
	assert_true(missing(v, "acme"));
	assert_int_equal(view_get(v, secret.ino, &node, &err), ERR_NOT_FOUND);
	assert_int_equal(view_lookup(v, secret.ino, "www", 3, &node, &err),
	    ERR_NOT_FOUND);
	view_close(v);

	v = open_view(f, "acme/web");
	LISTS(v, "daily", "2026-11-20 2026-11-22 ");
	assert_int_equal(at(v, "latest/var/www/index.html").size, 5);
	OK(view_parent(v, at(v, "daily").ino, &parent, &err));
	assert_int_equal(parent, VIEW_ROOT);
	assert_int_equal(view_get(v, secret.ino, &node, &err), ERR_NOT_FOUND);
	view_close(v);

	assert_int_equal(view_open(&v, f->reader, &none, &err),
	    ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "acme/webb"));
}

static void an_empty_store_is_an_empty_folder(void **state)
{
	struct fixture *f = *state;
	struct view *v = open_view(f, NULL);

	LISTS(v, "", "");
	assert_int_equal(at(v, "").nlink, 2);
	assert_true(missing(v, "x"));
	commit_small(f, "x", 5 * NS, 0, "x");
	LISTS(v, "", "x ");
	view_close(v);
}

static void senseless_numbers_are_absent(void **state)
{
	struct fixture *f = *state;
	struct view_node node;
	uint64_t seed = 1;
	struct view *v;
	struct err err;

	commit_week(f);
	v = open_view(f, NULL);
	for (int i = 0; i < 20000; i++) {
		uint64_t ino = seed;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		if (i % 2)
			ino &= ~(UINT64_C(0xffffff) << 8);
		if (ino == VIEW_ROOT)
			continue;
		if (view_get(v, ino, &node, &err) == 0)
			assert_int_equal(node.ino, ino);
		else
			assert_int_equal(err.code, ERR_NOT_FOUND);
	}
	view_close(v);
}

/* ---- Large and deep ---- */

enum { MANY = 10000 };

static struct view *open_many(struct fixture *f)
{
	struct plant *root = plant_root();
	char name[40];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many/f%05d", i);
		plant_add(root, name, S_IFREG | 0644, "x");
	}
	fixture_commit(f, "a", 5 * NS, 0, root);
	plant_free(root);
	return open_view(f, NULL);
}

static void a_listing_goes_on_from_any_entry(void **state)
{
	struct fixture *f = *state;
	struct view *v = open_many(f);
	uint64_t dir = at(v, "a/latest/many").ino;
	struct err err;

	for (uint64_t offset = 0; offset < MANY; offset += 97) {
		struct names one = { .stop = 1, .next = offset };
		char wanted[40];

		OK(view_readdir(v, dir, offset, take_name, &one, &err));
		snprintf(wanted, sizeof(wanted), "f%05u ", (unsigned)offset);
		assert_string_equal(one.text, wanted);
		assert_int_equal(one.next, offset + 1);
	}
	for (uint64_t offset = MANY; offset < MANY + 3; offset++) {
		struct names none = { .stop = 1 };

		OK(view_readdir(v, dir, offset, take_name, &none, &err));
		assert_int_equal(none.n, 0);
	}
	view_close(v);
}

static void lists_of_dates_go_on_where_they_stopped(void **state)
{
	static const char *const paths[] = { "", "acme", "acme/web",
		"acme/web/all", "acme/web/daily" };
	struct fixture *f = *state;
	struct view *v;
	struct err err;

	commit_week(f);
	v = open_view(f, NULL);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		uint64_t dir = at(v, paths[i]).ino;
		struct names whole;
		struct names steps = { .n = 0 };

		list(v, dir, &whole);
		do {
			steps.stop = steps.n + 1;
			OK(view_readdir(v, dir, steps.next, take_name, &steps,
			    &err));
		} while (steps.n == steps.stop);
		assert_string_equal(steps.text, whole.text);
	}
	view_close(v);
}

static int64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

static void a_large_directory_is_listed_and_searched_fast(void **state)
{
	struct fixture *f = *state;
	struct view *v = open_many(f);
	uint64_t dir = at(v, "a/latest/many").ino;
	struct names names;
	struct view_node node;
	struct err err;
	int rounds = scratch_rounds(20);
	int lookups = scratch_rounds(MANY);
	int64_t start;
	char name[40];

	list(v, dir, &names);
	assert_int_equal(names.n, MANY);
	start = clock_ns();
	for (int i = 0; i < rounds; i++)
		list(v, dir, &names);
	print_message("listing: %lld ns an entry\n",
	    (long long)(clock_ns() - start) / (rounds * MANY));
	start = clock_ns();
	for (int i = 0; i < lookups; i++) {
		snprintf(name, sizeof(name), "f%05d", i * 7919 % MANY);
		OK(view_lookup(v, dir, name, strlen(name), &node, &err));
	}
	print_message("look-up: %lld ns\n",
	    (long long)(clock_ns() - start) / lookups);
	view_close(v);
}

static void depth_has_no_bound(void **state)
{
	enum { DEPTH = 2000 };
	struct fixture *f = *state;
	struct plant *root = plant_root();
	char *path = malloc(2 * DEPTH + 20);
	struct view_node node;
	struct view_node deep;
	uint64_t up;
	struct view *v;
	struct err err;

	memcpy(path, "a/latest/", 9);
	for (size_t i = 0; i < DEPTH; i++)
		memcpy(path + 9 + 2 * i, "d/", 2);
	path[9 + 2 * DEPTH - 1] = '\0';
	plant_add(root, path + 9, S_IFDIR | 0700, NULL);
	fixture_commit(f, "a", 5 * NS, 0, root);
	plant_free(root);

	v = open_view(f, NULL);
	deep = at(v, path);
	view_close(v);
	v = open_view(f, NULL);
	OK(view_get(v, deep.ino, &node, &err));
	same_node(&node, &deep);
	up = deep.ino;
	for (size_t i = 0; i < DEPTH; i++)
		OK(view_parent(v, up, &up, &err));
	assert_int_equal(up, at(v, "a/latest").ino);
	view_close(v);
	free(path);
}

/* ---- Threads ---- */

struct racer {
	struct view *view;
	uint64_t dir;
	int rounds;
	bool failed;
};

static bool take_any(void *ctx, const char *name, size_t len,
    const struct view_node *node, uint64_t next_offset)
{
	(void)name;
	(void)len;
	(void)next_offset;
	*(uint64_t *)ctx += node->ino;
	return true;
}

static void *race(void *arg)
{
	struct racer *r = arg;
	struct view_node node;
	struct err err;

	for (int i = 0; i < r->rounds && !r->failed; i++) {
		uint64_t sum = 0;

		r->failed = view_resolve(r->view,
		    "a/daily/2026-11-20/var/www/index.html", &node, &err) ||
		    view_get(r->view, node.ino, &node, &err) ||
		    node.size != 3 ||
		    view_resolve(r->view, "a/latest", &node, &err) ||
		    view_readdir(r->view, node.ino, 0, take_any, &sum, &err) ||
		    view_readdir(r->view, VIEW_ROOT, 0, take_any, &sum,
		    &err) ||
		    view_readdir(r->view, r->dir, 0, take_any, &sum, &err);
	}
	return NULL;
}

static void threads_may_look_while_snapshots_are_made(void **state)
{
	struct fixture *f = *state;
	struct racer racers[4];
	pthread_t threads[4];
	struct view *v;

	commit_small(f, "a", 20777 * DAY, 0, "one");
	v = open_view(f, NULL);
	for (size_t i = 0; i < 4; i++) {
		racers[i] = (struct racer){
			.view = v,
			.dir = at(v, "a/all").ino,
			.rounds = 150,
		};
		assert_int_equal(pthread_create(&threads[i], NULL, race,
		    &racers[i]), 0);
	}
	for (int i = 1; i < 12; i++)
		commit_small(f, "a", (20777 + i) * DAY, 0, "later");
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_false(racers[i].failed);
	}
	view_close(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(listing_lookup_number_and_path_agree),
		FIXTURE_TEST(no_two_things_share_a_number),
		FIXTURE_TEST(the_folders_are_as_promised),
		FIXTURE_TEST(attributes_are_those_of_the_source),
		FIXTURE_TEST(hard_links_share_a_number_and_count_their_names),
		FIXTURE_TEST(commits_appear_and_prunes_vanish_at_once),
		FIXTURE_TEST(a_prune_is_noticed_inside_the_snapshot_too),
		FIXTURE_TEST(latest_and_yesterday_lead_to_the_right_days),
		FIXTURE_TEST(snapshots_of_one_second_all_have_a_name),
		FIXTURE_TEST(only_shows_a_part_and_nothing_else),
		FIXTURE_TEST(an_empty_store_is_an_empty_folder),
		FIXTURE_TEST(senseless_numbers_are_absent),
		FIXTURE_TEST(a_listing_goes_on_from_any_entry),
		FIXTURE_TEST(lists_of_dates_go_on_where_they_stopped),
		FIXTURE_TEST(a_large_directory_is_listed_and_searched_fast),
		FIXTURE_TEST(depth_has_no_bound),
		FIXTURE_TEST(threads_may_look_while_snapshots_are_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
