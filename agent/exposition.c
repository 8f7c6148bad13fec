// SPDX-License-Identifier: GPL-2.0-or-later
#include "exposition.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "item.h"

int exposition_open(struct exposition *x)
{
	memset(x, 0, sizeof(*x));
	x->file = open_memstream(&x->text, &x->len);
	return x->file ? 0 : -ENOMEM;
}

void exposition_family(struct exposition *x, const char *name, const char *type, const char *help)
{
	x->name = name;
	x->type = type;
	x->help = help;
	x->is_begun = false;
}

/* One label that is not UTF-8 would make the reader refuse all of the page. */
static void write_value(FILE *file, const char *value)
{
	bool is_text = fr_item_is_text((const uint8_t *)value, strlen(value));

	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fprintf(file, "\\%c", *value);
		else if (*value == '\n')
			fputs("\\n", file);
		else
			fputc(*value & 0x80 && !is_text ? '?' : *value, file);
	}
}

static void write_help(FILE *file, const char *help)
{
	for (; *help; help++) {
		if (*help == '\\')
			fputs("\\\\", file);
		else if (*help == '\n')
			fputs("\\n", file);
		else
			fputc(*help, file);
	}
}

static void write_labels(FILE *file, const struct exposition_label *labels)
{
	const char *before = "{";

	for (; labels && labels->name; labels++, before = ",") {
		fprintf(file, "%s%s=\"", before, labels->name);
		write_value(file, labels->value);
		fputc('"', file);
	}
	if (*before == ',')
		fputc('}', file);
}

/* As short as it can be without being another number. */
static void write_number(FILE *file, double value)
{
	char text[32];

	if (isinf(value)) {
		fputs(value < 0 ? "-Inf" : "+Inf", file);
		return;
	}
	snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.17g", value);
	fputs(text, file);
}

void exposition_sample(struct exposition *x, const char *suffix,
		       const struct exposition_label *labels, double value)
{
	if (isnan(value))
		return;
	if (!x->is_begun) {
		fprintf(x->file, "# HELP %s ", x->name);
		write_help(x->file, x->help);
		fprintf(x->file, "\n# TYPE %s %s\n", x->name, x->type);
		x->is_begun = true;
	}
	fprintf(x->file, "%s%s", x->name, suffix);
	write_labels(x->file, labels);
	fputc(' ', x->file);
	write_number(x->file, value);
	fputc('\n', x->file);
}

char *exposition_close(struct exposition *x)
{
	bool is_whole = !ferror(x->file);

	if (!fclose(x->file) && is_whole)
		return x->text;
	free(x->text);
	return NULL;
}
