// SPDX-License-Identifier: GPL-2.0-or-later
#include "style.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_MIN 3 /* that are shown however narrow it is */

struct cell {
	enum style style;
	char *text;
};

struct style_table {
	const struct style_column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n_cells;
};

static const char *const escapes[STYLE_N] = {
	[STYLE_PLAIN] = "",	   [STYLE_HEAD] = "\033[1m",
	[STYLE_DIM] = "\033[2m",   [STYLE_GOOD] = "\033[32m",
	[STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[1;31m",
};

static const char *begin(const struct cli *cli, enum style style)
{
	return cli->color ? escapes[style] : "";
}

static const char *end(const struct cli *cli, enum style style)
{
	return cli->color && style != STYLE_PLAIN ? "\033[0m" : "";
}

/* What others wrote may be in it: nothing that a terminal would obey. */
static void tame(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

		if ((iscntrl(c) && c != '\n') || (c == 0xc2 && next >= 0x80 && next < 0xa0))
			*text = '?';
	}
}

void style_print(const struct cli *cli, enum style style, const char *fmt, ...)
{
	va_list args;
	char *text;
	int rc;

	va_start(args, fmt);
	rc = vasprintf(&text, fmt, args);
	va_end(args);
	if (rc < 0)
		return;
	tame(text);
	printf("%s%s%s", begin(cli, style), text, end(cli, style));
	free(text);
}

struct style_table *style_table_new(const struct style_column *columns,
				    size_t n_columns)
{
	struct style_table *table = calloc(1, sizeof(*table));

	if (table) {
		table->columns = columns;
		table->n_columns = n_columns;
	}
	return table;
}

void style_table_cell(struct style_table *table, enum style style,
		      const char *fmt, ...)
{
	struct cell *cells;
	va_list args;
	int rc;

	if (!table)
		return;
	cells = realloc(table->cells, (table->n_cells + 1) * sizeof(*cells));
	if (!cells)
		return;
	table->cells = cells;
	cells[table->n_cells].style = style;
	va_start(args, fmt);
	rc = vasprintf(&cells[table->n_cells].text, fmt, args);
	va_end(args);
	if (rc < 0)
		return;
	tame(cells[table->n_cells++].text);
}

/* In characters, which for what we print are columns of the terminal. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_cell(const struct cli *cli, enum style style,
		       const char *text, size_t width, bool is_right,
		       bool is_last)
{
	size_t pad = width - width_of(text);

	if (is_right)
		printf("%*s", (int)pad, "");
	printf("%s%s%s", begin(cli, style), text, end(cli, style));
	if (is_last)
		putchar('\n');
	else
		printf("%*s", (int)(is_right ? 2 : pad + 2), "");
}

/* How many columns fit beside each other: a line that is broken is worse than one cut off. */
static size_t n_fitting(const struct cli *cli, const size_t *widths, size_t n)
{
	struct winsize size = { 0 };
	size_t i, at = 0;

	if (!cli->is_tty || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return n;
	for (i = 0; i < n && (i < COLUMNS_MIN || at + widths[i] <= size.ws_col); i++)
		at += widths[i] + 2;
	return i;
}

void style_table_end(const struct cli *cli, struct style_table *table)
{
	size_t widths[STYLE_COLUMNS_MAX], n, n_shown, i;

	if (!table)
		return;
	n = table->n_columns;
	for (i = 0; i < n; i++)
		widths[i] = width_of(table->columns[i].title);
	for (i = 0; i < table->n_cells; i++)
		if (width_of(table->cells[i].text) > widths[i % n])
			widths[i % n] = width_of(table->cells[i].text);
	n_shown = n_fitting(cli, widths, n);
	for (i = 0; i < n_shown; i++)
		print_cell(cli, STYLE_DIM, table->columns[i].title, widths[i],
			   table->columns[i].is_right, i == n_shown - 1);
	for (i = 0; i < table->n_cells; i++) {
		if (i % n < n_shown)
			print_cell(cli, table->cells[i].style, table->cells[i].text,
				   widths[i % n], table->columns[i % n].is_right,
				   i % n == n_shown - 1);
		free(table->cells[i].text);
	}
	free(table->cells);
	free(table);
}
