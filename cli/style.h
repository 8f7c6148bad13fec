/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * style - colours and aligned columns for a person at a terminal
 *
 * What is printed in a style or a cell may come from others: control characters but newlines
 * come out as '?'.
 */
#ifndef STYLE_H
#define STYLE_H

#include "cli.h"

#include <stdio.h>

enum style {
	STYLE_PLAIN,
	STYLE_HEAD,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_N,
};

#define STYLE_COLUMNS_MAX 12

struct style_column {
	const char *title;
	bool is_right; /* numbers */
};

struct style_table;

/**
 * style_print() - printf() in a style; plain where colours are off
 */
void style_print(const struct cli *cli, enum style style, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * style_table_new() - an empty table
 * @columns: at most STYLE_COLUMNS_MAX, must outlive the table
 *
 * Return: the table, or NULL without memory, which the other functions accept.
 */
struct style_table *style_table_new(const struct style_column *columns,
				    size_t n_columns);

/**
 * style_table_cell() - fill the next cell, row by row
 */
void style_table_cell(struct style_table *table, enum style style,
		      const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * style_table_end() - print to stdout and release
 *
 * On a terminal the last columns are left out if they do not fit.
 */
void style_table_end(const struct cli *cli, struct style_table *table);

#endif
