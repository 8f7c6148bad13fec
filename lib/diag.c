// SPDX-License-Identifier: GPL-2.0-or-later
#include "diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void fr_diag_init(struct fr_diag *diag, const char *file)
{
	*diag = (struct fr_diag){ .file = strdup(file) };
}

void fr_diag_add(struct fr_diag *diag, enum fr_diag_severity severity,
		 struct fr_diag_pos pos, const char *fmt, ...)
{
	struct fr_diag_entry *entries;
	va_list args;
	char *text;
	int rc;

	if (!diag || diag->n[severity]++ >= FR_DIAG_MAX)
		return;
	entries = realloc(diag->entries,
			  (diag->n_entries + 1) * sizeof(*entries));
	if (!entries)
		return; /* still counted, so the verdict holds */
	diag->entries = entries;
	va_start(args, fmt);
	rc = vasprintf(&text, fmt, args);
	va_end(args);
	if (rc < 0)
		return;
	entries[diag->n_entries++] =
		(struct fr_diag_entry){ severity, pos, text };
}

static bool is_after(struct fr_diag_pos a, struct fr_diag_pos b)
{
	return a.line != b.line ? a.line > b.line : a.column > b.column;
}

/* Insertion sort: at most 2 * FR_DIAG_MAX entries, and it must be stable. */
void fr_diag_sort(struct fr_diag *diag)
{
	size_t i, j;

	for (i = 1; i < diag->n_entries; i++) {
		struct fr_diag_entry entry = diag->entries[i];

		for (j = i; j && is_after(diag->entries[j - 1].pos, entry.pos);
		     j--)
			diag->entries[j] = diag->entries[j - 1];
		diag->entries[j] = entry;
	}
}

void fr_diag_format(const struct fr_diag *diag,
		    const struct fr_diag_entry *entry, char *buf, size_t len)
{
	const char *file = diag->file ? diag->file : "?";
	const char *kind = entry->severity == FR_DIAG_WARNING ? "warning: " :
								"";

	if (entry->pos.line)
		snprintf(buf, len, "%s:%u:%u: %s%s", file, entry->pos.line,
			 entry->pos.column, kind, entry->text);
	else
		snprintf(buf, len, "%s: %s%s", file, kind, entry->text);
}

void fr_diag_print(const struct fr_diag *diag, FILE *out)
{
	size_t n_seen = diag->n[FR_DIAG_ERROR] + diag->n[FR_DIAG_WARNING];
	char line[1024];
	size_t i;

	for (i = 0; i < diag->n_entries; i++) {
		fr_diag_format(diag, &diag->entries[i], line, sizeof(line));
		fprintf(out, "%s\n", line);
	}
	if (n_seen > diag->n_entries)
		fprintf(out, "%s: and %zu more\n",
			diag->file ? diag->file : "?",
			n_seen - diag->n_entries);
}

void fr_diag_free(struct fr_diag *diag)
{
	size_t i;

	for (i = 0; i < diag->n_entries; i++)
		free(diag->entries[i].text);
	free(diag->entries);
	free(diag->file);
	*diag = (struct fr_diag){ 0 };
}
