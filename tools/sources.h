/*
 * sources -- the PATHs of an ingest, as one directory and what is wanted of it.
 *
 * One directory: all of it.  One other file: its directory, and of that the one
 * name.  Several: the root directory, and of it the names that lead there.
 * Symlinks in a PATH are resolved, once, before anything is read.
 *
 * Threads: plain data once opened.
 */
#ifndef TOOLS_SOURCES_H
#define TOOLS_SOURCES_H

#include <stdbool.h>
#include <stddef.h>

#include "chunker/buf.h"
#include "chunker/err.h"

/* A name that is wanted of a directory. */
struct pick {
	char *name;
	bool whole;         /* all that is in it; then below is unused */
	struct pick *below; /* what is wanted in it, names rising */
	struct pick *next;  /* the next name in the same directory */
	struct pick *made;  /* all of them, for sources_close */
};

struct sources {
	int fd;          /* the top directory */
	char *base;      /* its absolute path */
	struct pick top; /* nameless */
	struct buf record; /* the PATHs as the root record keeps them */
};

/* ERR_NOT_FOUND and others name the PATH. */
int sources_open(struct sources *out, const char *const *paths, size_t n,
    struct err *err);

/* Accepts an all-zero struct with fd -1. */
void sources_close(struct sources *s);

/* The pick of this name below one that is not whole, or NULL. */
const struct pick *pick_find(const struct pick *p, const char *name);

#endif
