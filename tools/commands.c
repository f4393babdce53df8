#include "tools/commands.h"

#include <string.h>

static const struct command commands[] = {
	{ "init", cmd_init, "STORE [--timezone ZONE]", "make an empty store",
	    "Makes STORE, an empty store.  The directory may exist if it is\n"
	    "empty.\n"
	    "\n"
	    "  --timezone ZONE  the zone in which days begin and end, an IANA\n"
	    "                   name such as Europe/Rome; the machine's zone\n"
	    "                   when not given\n" },
	{ "ingest", cmd_ingest, "RESOURCE PATH...",
	    "make a snapshot of a directory or file",
	    "Makes a snapshot of RESOURCE, such as acme/web, which need not\n"
	    "exist yet.  Of one directory the contents become the top of the\n"
	    "snapshot; one file lies alone in it; several PATHs are stored\n"
	    "under their full names.  Symlinks in a PATH are resolved, those\n"
	    "met on the way are stored as they are.  The store itself and\n"
	    "mounts of ieri are never entered.\n"
	    "\n"
	    "  -x, --one-file-system  stay on the file system of each PATH\n"
	    "      --threads N        1 to 256; one for each processor, at\n"
	    "                         least 2, when not given\n"
	    "      --host NAME        recorded instead of the machine's name\n"
	    "      --time WHEN        the snapshot is of an earlier day, such as\n"
	    "                         2026-11-21 or \"2026-11-21 02:00\", in the\n"
	    "                         store's zone; now, when not given\n"
	    "      --no-delta         compress each changed file by itself, not\n"
	    "                         against what it was in the last snapshot\n"
	    "      --no-read-back     trust the compressor: do not decode what\n"
	    "                         was just compressed\n"
	    "\n"
	    "Exit status: 0 done; 1 failed, nothing committed; 2 wrong usage;\n"
	    "3 committed, but some things could not be read, each named on\n"
	    "standard error.\n" },
	{ "list", cmd_list, "[RESOURCE]",
	    "list resources, or the snapshots of one",
	    "Without RESOURCE: each resource with the number of its snapshots\n"
	    "and the time of the newest.  With one: its snapshots, oldest\n"
	    "first: local time, id, files, bytes, bytes added to the store,\n"
	    "and faults (things that could not be read whole).\n" },
	{ "ls", cmd_ls, "[-l] [-R] REF", "list a directory of a snapshot",
	    "REF is RESOURCE@WHEN:/path, the path and @WHEN optional:\n"
	    "  acme/web                    the newest snapshot\n"
	    "  acme/web@yesterday:/etc     a directory of yesterday's\n"
	    "  acme/web@2026-11:/etc/fstab a file of November's newest\n"
	    "WHEN is latest, yesterday, 3d (days ago), 2026-11-22,\n"
	    "2026-11-22_14, 2026-W47, 2026-11, 2026, a full time, or the\n"
	    "first six or more digits of a snapshot's id.\n"
	    "\n"
	    "  -l, --long       mode, links, owner, size, time and more\n"
	    "  -R, --recursive  all that lies beneath as well\n"
	    "\n"
	    "With --json, an object a line.\n" },
	{ "cat", cmd_cat, "REF...", "print files of snapshots",
	    "Writes the bytes of each file to standard output.  REF is as for\n"
	    "ieri ls.\n" },
	{ "restore", cmd_restore, "REF DEST", "copy back with all metadata",
	    "A directory's contents go into DEST, which is made when absent;\n"
	    "any other thing becomes DEST, or goes into it when DEST is a\n"
	    "directory.  REF is as for ieri ls.  Nothing is ever deleted.\n"
	    "\n"
	    "  --conflict=keep     what is there stays as it is (the default);\n"
	    "                      with -v each such thing is named\n"
	    "  --conflict=replace  what is there is replaced, a file as a whole\n"
	    "                      and in one step; directories are merged\n"
	    "  --numeric-ids       owners by number; else by name, where this\n"
	    "                      machine knows the name\n"
	    "  --no-owner          all belongs to whoever restores\n"
	    "  --sync              be on disk before success is said\n"
	    "  --threads N         1 to 64; one for each processor when not\n"
	    "                      given\n"
	    "\n"
	    "A file with a damaged piece is removed again and named.  Exit\n"
	    "status 3: some things could not be restored, or not with all\n"
	    "they had; each is named or counted on standard error.\n" },
	{ "mount", cmd_mount, "[-f] [-d] [-o OPTIONS] MOUNTPOINT",
	    "show all days as read-only directories",
	    "Mounts the store on the directory MOUNTPOINT.  End it with\n"
	    "umount(8), or fusermount3 -u.\n"
	    "\n"
	    "  -o OPTIONS     a list parted by commas:\n"
	    "    allow_other  let other users in, as far as modes let them\n"
	    "    uid=N        show everything as owned by this user\n"
	    "    gid=N        or by this group\n"
	    "    umask=OCTAL  take these bits from all modes\n"
	    "    only=NAME    show one resource or customer as the top\n"
	    "    cache=SIZE   memory for decoded blocks, such as 64M\n"
	    "    nonempty     mount over a directory that is not empty\n"
	    "  --cache SIZE   the same as -o cache=SIZE\n"
	    "  --only NAME    the same as -o only=NAME\n"
	    "  -f             stay in the foreground\n"
	    "  -d             show every request; stays in the foreground\n" },
	{ "rebuild-index", cmd_rebuild_index, "",
	    "make the index anew from the packs",
	    "For an index that is lost or damaged.  Reads the packs and root\n"
	    "records and changes none of them; the old index is set aside\n"
	    "beside the new one.  Nothing else may be writing to the store.\n"
	    "Exit status 3: done, but something the store once had is gone.\n" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int cli_overview(FILE *to)
{
	fprintf(to,
	    "ieri keeps every day of your data once; a mount shows each day\n"
	    "as a read-only directory.\n"
	    "\n"
	    "usage: ieri COMMAND [options] ...\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-14s %s\n", commands[i].name,
		    commands[i].summary);
	fprintf(to,
	    "\n"
	    "ieri COMMAND --help tells more; ieri(1) all.\n");
	return to == stderr ? EXIT_USAGE : EXIT_DONE;
}

int cli_help(const struct command *cmd)
{
	printf("usage: ieri %s %s\n\n%s", cmd->name, cmd->args, cmd->help);
	printf("\n"
	       "Options of every command:\n"
	       "  -s, --store STORE  the store; else the variable IERI_STORE\n"
	       "      --index DIR    where its index lives, if not within it\n"
	       "      --json         results as JSON\n"
	       "  -q, --quiet        no words but errors\n"
	       "  -v, --verbose      more words; twice for still more\n"
	       "      --progress=auto|always|never\n"
	       "      --help         this\n");
	return EXIT_DONE;
}
