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
	    "      --no-read-back     trust the compressor: do not decode what\n"
	    "                         was just compressed\n"
	    "\n"
	    "Exit status: 0 done; 1 failed, nothing committed; 2 wrong usage;\n"
	    "3 committed, but some things could not be read, each named on\n"
	    "standard error.\n" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct command *command_at(size_t i)
{
	return i < N_COMMANDS ? &commands[i] : NULL;
}

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
