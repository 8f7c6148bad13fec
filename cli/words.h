/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * words - a word of the command line that has to be one of a few
 */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>

#include "cli.h"

#define WORDS_LEN 1024 /* of a list, spaces and all */

/**
 * words_has() - is @word one of @words, which have spaces between them
 */
bool words_has(const char *words, const char *word);

/**
 * words_check() - the same, and what to say if it is not
 * @verb: whose help is pointed at
 * @what: begins the text, as in "--state: ", or ""
 *
 * Return: CLI_OK, or CLI_USAGE after naming all of them, and the one that was most
 * likely meant.
 */
int words_check(const struct cli *cli, const char *verb, const char *what, const char *word,
		const char *words);

/**
 * words_tables() - the names of all tables that are replicated
 * @buf: holds them, WORDS_LEN bytes
 */
const char *words_tables(char *buf);

/**
 * words_check_table() - words_check() for the name of a replicated table
 */
int words_check_table(const struct cli *cli, const char *verb, const char *what,
		      const char *word);

/**
 * words_nearest() - the one of @words that is closest to @word
 * @buf: holds the answer, at least WORDS_LEN bytes
 *
 * Return: NULL if none is close.
 */
const char *words_nearest(const char *words, const char *word, char *buf);

#endif
