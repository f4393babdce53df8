/*
 * commands -- the table of all commands.
 *
 * Threads: constant data.
 */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include <stdio.h>

#include "tools/cli.h"

/* NULL when there is no such command. */
const struct command *command_find(const char *name);

/* All commands, a line each.  Returns EXIT_USAGE on stderr, else EXIT_DONE. */
int cli_overview(FILE *to);

/* One command's help on standard output.  Returns EXIT_DONE. */
int cli_help(const struct command *cmd);

#endif
