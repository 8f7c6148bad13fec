/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exposition: text for Prometheus, format 0.0.4: families of samples. Knows nothing of what they
 * mean.
 */
#ifndef EXPOSITION_H
#define EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Ended by one without a name. @value: any bytes; what is not UTF-8 is told in "?" */
struct exposition_label {
	const char *name;
	const char *value;
};

struct exposition {
	FILE *file;
	char *text;
	size_t len;
	const char *name;
	const char *type;
	const char *help;
	bool is_begun;	/* the family has a sample */
};

/* -ENOMEM */
int exposition_open(struct exposition *x);
/*
 * The samples from here on are of this one; of one without samples nothing is written. @name, @type
 * and @help must live as long.
 */
void exposition_family(struct exposition *x, const char *name, const char *type, const char *help);
/*
 * @suffix: "", or "_sum" and "_count" of a summary. @labels: NULL: none. @value: NaN: there is no
 * such sample
 */
void exposition_sample(struct exposition *x, const char *suffix,
		       const struct exposition_label *labels, double value);
/* The text, malloced; NULL: no memory. */
char *exposition_close(struct exposition *x);

#endif
