/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options - argv to struct cli: global options, the verb, its own options
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "cli.h"

struct options {
	const struct cli_verb *verb; /* NULL: none was named */
	int argc; /* of the verb: argv[0] is its name */
	char **argv;
};

/**
 * options_parse() - sort out the command line
 * @argv: is reordered; @options points into it
 *
 * Options may stand anywhere, those of a verb after it; "--" ends them. A
 * leading "replication" is dropped.
 *
 * Return: CLI_OK, or CLI_USAGE after saying what is wrong.
 */
int options_parse(struct cli *cli, int argc, char **argv,
		  struct options *options);

/**
 * options_find_verb() - the row of the table with this name, or NULL
 */
const struct cli_verb *options_find_verb(const struct cli *cli,
					 const char *name);

#endif
