/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diag - what is wrong with a file the user wrote, and where
 *
 * A reader adds one entry per independent fault and goes on, so that one run
 * shows them all.  Entries print as "file:line:column: text".
 */
#ifndef FR_DIAG_H
#define FR_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FR_DIAG_MAX 20 /* entries kept of each severity; the rest is counted */

enum fr_diag_severity {
	FR_DIAG_ERROR,
	FR_DIAG_WARNING,
	FR_DIAG_N_SEVERITIES,
};

/* A place in a file; line 0 means the file as a whole. Both count from 1. */
struct fr_diag_pos {
	uint32_t line;
	uint32_t column; /* in characters, not bytes */
};

struct fr_diag_entry {
	enum fr_diag_severity severity;
	struct fr_diag_pos pos;
	char *text;
};

struct fr_diag {
	char *file;
	struct fr_diag_entry *entries;
	size_t n_entries;
	size_t n[FR_DIAG_N_SEVERITIES]; /* seen, kept or not */
};

/**
 * fr_diag_init() - an empty list about @file, whose name is copied
 */
void fr_diag_init(struct fr_diag *diag, const char *file);

/**
 * fr_diag_add() - note a fault at @pos; the text is one line without a newline
 * @diag: NULL when nobody wants to know
 */
void fr_diag_add(struct fr_diag *diag, enum fr_diag_severity severity,
		 struct fr_diag_pos pos, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define fr_diag_error(diag, pos, ...) \
	fr_diag_add(diag, FR_DIAG_ERROR, pos, __VA_ARGS__)
#define fr_diag_warning(diag, pos, ...) \
	fr_diag_add(diag, FR_DIAG_WARNING, pos, __VA_ARGS__)

/**
 * fr_diag_has_errors() - was any error added
 */
static inline bool fr_diag_has_errors(const struct fr_diag *diag)
{
	return diag->n[FR_DIAG_ERROR] > 0;
}

/**
 * fr_diag_sort() - put the entries in the order of the file
 */
void fr_diag_sort(struct fr_diag *diag);

/**
 * fr_diag_format() - one entry as "file:line:column: text" into @buf
 *
 * Warnings get "warning: " before the text.  Cut to @len like snprintf().
 */
void fr_diag_format(const struct fr_diag *diag,
		    const struct fr_diag_entry *entry, char *buf, size_t len);

/**
 * fr_diag_print() - every entry on a line of its own, then how many were left out
 */
void fr_diag_print(const struct fr_diag *diag, FILE *out);

/**
 * fr_diag_free() - release the entries; the list may be initialised again
 */
void fr_diag_free(struct fr_diag *diag);

#endif
