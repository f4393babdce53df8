#include "fs/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

const char options_help[] =
    "usage: ieri mount [options] STORE MOUNTPOINT\n"
    "       mount -t fuse.ieri STORE MOUNTPOINT -o OPTIONS\n"
    "\n"
    "Shows every snapshot of STORE as a read-only directory named by date.\n"
    "\n"
    "  -o OPTIONS     a comma-separated list of:\n"
    "      only=NAME      show one resource, or one customer's, as the top\n"
    "      allow_other    let other users in; recorded modes are enforced\n"
    "      uid=N, gid=N   show all as owned by N\n"
    "      umask=OCTAL    take these bits from all modes\n"
    "      cache=SIZE     memory for decoded blocks, e.g. 64M\n"
    "      index=DIR      where the index is, if not in STORE\n"
    "      noxattr        answer no question about extended attributes\n"
    "      nonempty       mount over a directory that is not empty\n"
    "      noexec         let no program be run from the mount\n"
    "  --only NAME    the same as -o only=NAME\n"
    "  --cache SIZE   the same as -o cache=SIZE\n"
    "  --index DIR    the same as -o index=DIR\n"
    "  -f             stay in the foreground; words go to standard error\n"
    "  -d             show every request; implies -f\n"
    "  --help, --version\n"
    "\n"
    "SIGTERM unmounts and goes on serving whoever is still inside; a second\n"
    "one ends at once.\n";

/* Below this a single large file would push its own blocks out. */
#define CACHE_LEAST (4u << 20)

enum long_option {
	LONG_HELP = 256,
	LONG_VERSION,
	LONG_CACHE,
	LONG_ONLY,
	LONG_INDEX,
};

static const struct option longs[] = {
	{ "help", no_argument, NULL, LONG_HELP },
	{ "version", no_argument, NULL, LONG_VERSION },
	{ "cache", required_argument, NULL, LONG_CACHE },
	{ "only", required_argument, NULL, LONG_ONLY },
	{ "index", required_argument, NULL, LONG_INDEX },
	{ NULL, 0, NULL, 0 },
};

/*
 * Words of fstab, of mount(8) and of systemd that ask for what is always so,
 * or for what a read-only view of the past cannot give.  mount.fuse3 adds
 * "dev" and "suid" by itself, so they cannot be taken for a wish.
 */
static const char *const ignored[] = {
	"ro",
	"rw",
	"auto",
	"noauto",
	"user",
	"nouser",
	"users",
	"owner",
	"group",
	"nofail",
	"_netdev",
	"defaults",
	"dev",
	"nodev",
	"suid",
	"nosuid",
	"exec",
	"async",
	"sync",
	"dirsync",
	"atime",
	"noatime",
	"relatime",
	"norelatime",
	"strictatime",
	"diratime",
	"nodiratime",
	"lazytime",
	"nolazytime",
	"iversion",
	"noiversion",
	"mand",
	"nomand",
	"silent",
	"loud",
	"remount",
	"default_permissions",
	"nosymfollow",
	"auto_unmount",
	"symfollow",
	"comment",
	"rootcontext",
	"context",
	"fscontext",
	"defcontext",
};

static bool is_ignored(const char *name, size_t len)
{
	if (len >= 2 &&
	    (memcmp(name, "x-", 2) == 0 || memcmp(name, "X-", 2) == 0))
		return true;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (strlen(ignored[i]) == len &&
		    memcmp(ignored[i], name, len) == 0)
			return true;
	return false;
}

static int parse_number(const char *text, int base, unsigned long max,
    const char *what, unsigned long *out, struct err *err)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, base);
	if (text[0] < '0' || text[0] > '9' || *end || errno || *out > max)
		return err_set(err, ERR_INVALID,
		    "%s=%s: not a number it can be", what, text);
	return 0;
}

/* Digits and at most one of K, M, G, T. */
static bool size_of(const char *text, size_t *out)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	unsigned shift = 0;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno)
		return false;
	if (*end) {
		unit = strchr(units, *end & ~0x20);
		if (!unit || !*unit || end[1])
			return false;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (n > SIZE_MAX >> shift)
		return false;
	*out = (size_t)n << shift;
	return true;
}

static int parse_size(const char *text, size_t *out, struct err *err)
{
	if (!size_of(text, out))
		return err_set(err, ERR_INVALID,
		    "cache=%s: not a size like 64M", text);
	if (*out < CACHE_LEAST)
		return err_set(err, ERR_INVALID, "cache=%s: the least is %uM",
		    text, CACHE_LEAST >> 20);
	return 0;
}

static int keep(char **out, const char *text, struct err *err)
{
	free(*out);
	*out = strdup(text);
	return *out ? 0 : err_set(err, ERR_NOMEM, "options");
}

static int parse_flag(struct options *o, const char *name, struct err *err)
{
	static const struct {
		const char *name;
		size_t field;
	} flags[] = {
		{ "allow_other", offsetof(struct options, allow_other) },
		{ "nonempty", offsetof(struct options, nonempty) },
		{ "noexec", offsetof(struct options, noexec) },
		{ "noxattr", offsetof(struct options, no_xattr) },
		{ "debug", offsetof(struct options, debug) },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(flags[i].name, name) != 0)
			continue;
		*(bool *)((char *)o + flags[i].field) = true;
		return 0;
	}
	return err_set(err, ERR_INVALID, "unknown option %s", name);
}

/* One word of -o; value is NULL without '='. */
static int parse_word(struct options *o, char *name, const char *value,
    struct err *err)
{
	struct disguise *d = &o->disguise;
	unsigned long n;
	int rc;

	if (is_ignored(name, strlen(name)))
		return 0;
	if (!value)
		return parse_flag(o, name, err);
	if (strcmp(name, "only") == 0)
		return keep(&o->only, value, err);
	if (strcmp(name, "index") == 0)
		return keep(&o->index_dir, value, err);
	if (strcmp(name, "cache") == 0)
		return parse_size(value, &o->cache_bytes, err);
	/* The mount names itself after its store. */
	if (strcmp(name, "fsname") == 0 || strcmp(name, "subtype") == 0)
		return 0;
	if (strcmp(name, "uid") == 0) {
		rc = parse_number(value, 10, UINT32_MAX - 1, name, &n, err);
		d->uid = (uid_t)n;
		d->has_uid = true;
		return rc;
	}
	if (strcmp(name, "gid") == 0) {
		rc = parse_number(value, 10, UINT32_MAX - 1, name, &n, err);
		d->gid = (gid_t)n;
		d->has_gid = true;
		return rc;
	}
	if (strcmp(name, "umask") == 0) {
		rc = parse_number(value, 8, 07777, name, &n, err);
		d->umask = (mode_t)n;
		d->has_umask = true;
		return rc;
	}
	return err_set(err, ERR_INVALID, "unknown option %s", name);
}

/* list is cut up in place; a comma in a value is written "\,". */
static int parse_list(struct options *o, char *list, struct err *err)
{
	char *read = list;
	char *write;
	char *word;
	char *value;
	bool more = true;
	int rc;

	while (more) {
		word = write = read;
		for (; *read && *read != ','; read++) {
			if (*read == '\\' && read[1])
				read++;
			*write++ = *read;
		}
		more = *read == ',';
		read++;
		*write = '\0';
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		rc = *word ? parse_word(o, word, value, err) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

/* One answer of getopt. */
static int parse_option(struct options *o, int c, char **argv, bool helper,
    struct err *err)
{
	switch (c) {
	case 'o':
		return parse_list(o, optarg, err);
	case 'f':
		if (helper)
			o->rehearse = true;
		else
			o->foreground = true;
		return 0;
	case 'd':
		o->debug = true;
		return 0;
	case LONG_HELP:
	case 'h':
		o->help = true;
		return 0;
	case LONG_VERSION:
	case 'V':
		o->version = true;
		return 0;
	case LONG_CACHE:
		return parse_size(optarg, &o->cache_bytes, err);
	case LONG_ONLY:
		return keep(&o->only, optarg, err);
	case LONG_INDEX:
		return keep(&o->index_dir, optarg, err);
	case ':':
		return err_set(err, ERR_INVALID, "%s needs a value",
		    argv[optind - 1]);
	case '?':
		if (optopt && optopt < LONG_HELP)
			return err_set(err, ERR_INVALID, "unknown option -%c",
			    optopt);
		return err_set(err, ERR_INVALID, "unknown option %s",
		    argv[optind - 1]);
	}
	return 0; /* -s, -n, -v, -t of mount(8) */
}

static bool is_helper(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strncmp(slash ? slash + 1 : program, "mount.", 6) == 0;
}

int options_parse(struct options *out, int argc, char **argv, struct err *err)
{
	bool helper = argc > 0 && is_helper(argv[0]);
	int rc;
	int c;

	*out = (struct options){ 0 };
	opterr = 0;
	optind = 0; /* the GNU way to begin anew, for more than one call */
	while ((c = getopt_long(argc, argv, helper ? ":o:fdhVsnvt:" : ":o:fdhV",
		    longs, NULL)) != -1) {
		rc = parse_option(out, c, argv, helper, err);
		if (rc)
			return rc;
	}
	if (out->help || out->version)
		return 0;
	if (argc - optind != 2)
		return err_set(err, ERR_INVALID,
		    "give a store and a mount point; see --help");
	if (out->debug)
		out->foreground = true;
	rc = keep(&out->store, argv[optind], err);
	if (rc)
		return rc;
	return keep(&out->mountpoint, argv[optind + 1], err);
}

void options_fini(struct options *o)
{
	free(o->store);
	free(o->mountpoint);
	free(o->index_dir);
	free(o->only);
	*o = (struct options){ 0 };
}
