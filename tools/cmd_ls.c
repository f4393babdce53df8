#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/cli.h"
#include "tools/place.h"

static const struct option options[] = {
	{ "long", no_argument, NULL, 'l' },
	{ "recursive", no_argument, NULL, 'R' },
	{ NULL, 0, NULL, 0 },
};

struct ls {
	struct cli *cli;
	struct store *store;
	struct place place;
	struct names names;
	struct json json;
	bool detail;
	bool recursive;
	struct buf path; /* of the directory at hand, beneath the one named */
};

/* One directory on the way down: where to go on when its child is done. */
struct ls_level {
	struct id top;
	uint64_t next;     /* ordinal of the entry to look at */
	size_t path_len;   /* of its own path */
};

/* ---- One entry ---- */

static char type_letter(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	default:
		return '-';
	}
}

static const char *type_word(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char-device";
	case S_IFBLK:
		return "block-device";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "file";
	}
}

static void mode_text(uint32_t mode, char text[11])
{
	static const char letters[] = "rwxrwxrwx";

	text[0] = type_letter(mode);
	for (unsigned i = 0; i < 9; i++)
		text[1 + i] = mode & (0400u >> i) ? letters[i] : '-';
	if (mode & S_ISUID)
		text[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = mode & S_IXOTH ? 't' : 'T';
	text[10] = 0;
}

/* At the snapshot's own offset, so that every reader sees the same. */
static void time_text(const struct ls *ls, int64_t seconds, char text[20])
{
	time_t at = (time_t)(seconds + ls->place.snap->row.utc_offset);
	struct tm tm;

	if (!gmtime_r(&at, &tm) ||
	    strftime(text, 20, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(text, 20, "%lld", (long long)seconds);
}

static int links_of(const struct ls *ls, const struct tree_entry *e,
    uint64_t *out, struct err *err)
{
	struct link link;
	int rc;

	*out = tree_is_dir(e) ? 2 + (uint64_t)e->subdirs : 1;
	if (!(e->flags & TREE_LINKED))
		return 0;
	rc = link_find(store_source(ls->store), &ls->place.snap->root.links,
	    e->dev, e->ino, &link, err);
	if (rc == 0)
		*out = link.names;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void owner_text(const struct ls *ls, enum owner_kind kind,
    uint32_t number)
{
	const struct owner *o = names_find(&ls->names, kind, number);

	if (!o) {
		printf(" %-8" PRIu32, number);
		return;
	}
	putchar(' ');
	out_name(stdout, o->name, o->name_len);
	printf("%*s", o->name_len < 8 ? (int)(8 - o->name_len) : 0, "");
}

static void path_text(const struct ls *ls, const struct tree_entry *e)
{
	if (ls->path.len) {
		out_name(stdout, (const char *)ls->path.data, ls->path.len);
		putchar('/');
	}
	if (e->name_len)
		out_name(stdout, e->name, e->name_len);
	else
		putchar('.');
}

static int print_line(const struct ls *ls, const struct tree_entry *e,
    struct err *err)
{
	char mode[11], when[20], device[32];
	uint64_t links;
	int rc;

	if (!ls->detail) {
		path_text(ls, e);
		putchar('\n');
		return 0;
	}
	rc = links_of(ls, e, &links, err);
	if (rc)
		return rc;
	mode_text(e->mode, mode);
	time_text(ls, e->mtime_s, when);
	printf("%s %3" PRIu64, mode, links);
	owner_text(ls, OWNER_USER, e->uid);
	owner_text(ls, OWNER_GROUP, e->gid);
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		snprintf(device, sizeof(device), "%" PRIu32 ", %" PRIu32,
		    e->major, e->minor);
		printf(" %12s", device);
	} else {
		printf(" %12" PRIu64, S_ISLNK(e->mode) ?
		    (uint64_t)e->target_len : e->size);
	}
	printf(" %s ", when);
	path_text(ls, e);
	if (S_ISLNK(e->mode)) {
		fputs(" -> ", stdout);
		out_name(stdout, e->target, e->target_len);
	}
	if (e->flags & TREE_UNREADABLE)
		fputs(" (could not be read)", stdout);
	putchar('\n');
	return 0;
}

static void json_owner(struct ls *ls, const char *number_key,
    const char *name_key, enum owner_kind kind, uint32_t number)
{
	const struct owner *o = names_find(&ls->names, kind, number);

	json_u64(&ls->json, number_key, number);
	if (o)
		json_bytes(&ls->json, name_key, o->name, o->name_len);
	else
		json_null(&ls->json, name_key);
}

static int json_path(struct ls *ls, const struct tree_entry *e,
    struct err *err)
{
	struct buf path;
	int rc;

	buf_init(&path);
	if (ls->path.len) {
		buf_put(&path, ls->path.data, ls->path.len);
		buf_u8(&path, '/');
	}
	buf_put(&path, e->name_len ? e->name : ".",
	    e->name_len ? e->name_len : 1);
	rc = buf_check(&path, err);
	if (!rc)
		json_bytes(&ls->json, "path", (const char *)path.data,
		    path.len);
	buf_fini(&path);
	return rc;
}

static int print_json(struct ls *ls, const struct tree_entry *e,
    struct err *err)
{
	struct json *j = &ls->json;
	uint64_t links;
	char text[8];
	int rc;

	rc = links_of(ls, e, &links, err);
	if (rc)
		return rc;
	snprintf(text, sizeof(text), "%04o", (unsigned)(e->mode & 07777));

	json_object(j, NULL);
	rc = json_path(ls, e, err);
	json_bytes(j, "name", e->name, e->name_len);
	json_text(j, "type", type_word(e->mode));
	json_text(j, "mode", text);
	json_u64(j, "links", links);
	json_owner(ls, "uid", "user", OWNER_USER, e->uid);
	json_owner(ls, "gid", "group", OWNER_GROUP, e->gid);
	json_i64(j, "mtime_s", e->mtime_s);
	json_u64(j, "mtime_ns", e->mtime_ns);
	json_i64(j, "ctime_s", e->ctime_s);
	json_u64(j, "ctime_ns", e->ctime_ns);
	json_u64(j, "inode", e->ino);
	if (S_ISREG(e->mode)) {
		json_u64(j, "size", e->size);
		json_u64(j, "data", e->flags & TREE_SPARSE ? e->data : e->size);
		json_bool(j, "unreadable", (e->flags & TREE_UNREADABLE) != 0);
	}
	if (tree_is_dir(e))
		json_u64(j, "beneath", e->beneath);
	if (S_ISLNK(e->mode))
		json_bytes(j, "target", e->target, e->target_len);
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		json_u64(j, "major", e->major);
		json_u64(j, "minor", e->minor);
	}
	json_bool(j, "xattrs",
	    (e->flags & (TREE_XATTR_CHUNK | TREE_XATTR_ROPE)) != 0);
	json_end_object(j);
	return rc;
}

static int print_entry(struct ls *ls, const struct tree_entry *e,
    struct err *err)
{
	return ls->cli->json ? print_json(ls, e, err) : print_line(ls, e, err);
}

/* ---- Directories ---- */

static int level_push(struct buf *stack, const struct id *top,
    size_t path_len, struct err *err)
{
	struct ls_level level = { .top = *top, .path_len = path_len };

	buf_put(stack, &level, sizeof(level));
	return buf_check(stack, err);
}

static int path_enter(struct ls *ls, const struct tree_entry *e,
    struct err *err)
{
	if (ls->path.len)
		buf_u8(&ls->path, '/');
	buf_put(&ls->path, e->name, e->name_len);
	return buf_check(&ls->path, err);
}

/*
 * Prints what is left of the directory on top of the stack, up to the first
 * directory to be gone into, which it pushes; pops when there is none.  The
 * pages on the way are not held meanwhile: a deep tree costs a few bytes a
 * level.
 */
static int print_level(struct ls *ls, struct buf *stack, struct err *err)
{
	size_t at = stack->len - sizeof(struct ls_level);
	struct tree_entry e;
	struct ls_level level;
	struct tree_iter it;
	int rc;

	memcpy(&level, stack->data + at, sizeof(level));
	ls->path.len = level.path_len;
	tree_iter_init(&it, store_source(ls->store), &level.top);
	rc = tree_iter_seek_ordinal(&it, level.next, err);
	while (!rc && (rc = tree_iter_next(&it, &e, NULL, err)) == 1) {
		level.next++;
		rc = print_entry(ls, &e, err);
		if (rc || ferror(stdout) || cli_stopped())
			break;
		if (!ls->recursive || !tree_is_dir(&e))
			continue;
		memcpy(stack->data + at, &level, sizeof(level));
		rc = path_enter(ls, &e, err);
		if (!rc)
			rc = level_push(stack, &e.content, ls->path.len, err);
		goto out;
	}
	stack->len = at;

out:
	tree_iter_fini(&it);
	return rc;
}

static int print_dir(struct ls *ls, const struct id *top, struct err *err)
{
	struct buf stack;
	int rc;

	buf_init(&stack);
	rc = level_push(&stack, top, 0, err);
	while (!rc && stack.len > 0 && !ferror(stdout)) {
		rc = print_level(ls, &stack, err);
		if (!rc && cli_stopped())
			rc = err_set(err, ERR_STOPPED, "stopped");
	}
	buf_fini(&stack);
	return rc;
}

static int run(struct ls *ls, const char *text, struct err *err)
{
	const struct tree_entry *e = &ls->place.item.entry;
	int rc;

	rc = cli_open_store(ls->cli, &ls->store, err);
	if (rc)
		return rc;
	rc = place_init(&ls->place, ls->store, text, err);
	if (rc)
		return rc;
	rc = names_init(&ls->names, ls->store, ls->place.snap, err);
	if (rc)
		return rc;
	json_init(&ls->json, stdout);
	if (tree_is_dir(e))
		return print_dir(ls, &e->content, err);
	return print_entry(ls, e, err);
}

int cmd_ls(struct cli *cli, int argc, char **argv, struct err *err)
{
	struct ls ls = { .cli = cli };
	int opt;
	int rc;

	while ((opt = cli_getopt(cli, argc, argv, "lR", options, err)) != -1)
		switch (opt) {
		case 'l':
			ls.detail = true;
			break;
		case 'R':
			ls.recursive = true;
			break;
		case CLI_OPT_HELP:
			return CLI_HELPED;
		default:
			return EXIT_USAGE;
		}
	if (argc - optind != 1)
		return cli_usage(err, "one REF, please; see --help");

	rc = run(&ls, argv[optind], err);
	buf_fini(&ls.path);
	names_fini(&ls.names);
	place_fini(&ls.place);
	store_close(ls.store);
	return rc ? cli_status(err) : EXIT_DONE;
}
