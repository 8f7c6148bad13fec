// SPDX-License-Identifier: GPL-2.0-or-later
#include "words.h"

#include <stdio.h>
#include <string.h>

#include "nearest.h"
#include "records.h"

bool words_has(const char *words, const char *word)
{
	size_t len = strlen(word), n;

	for (; len && *words; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		if (n == len && !memcmp(words, word, n))
			return true;
	}
	return false;
}

const char *words_nearest(const char *words, const char *word, char *buf)
{
	struct fr_nearest nearest;
	char *rest = buf, *one;

	fr_nearest_init(&nearest, word);
	snprintf(buf, WORDS_LEN, "%s", words);
	while ((one = strsep(&rest, " ")))
		fr_nearest_offer(&nearest, one);
	return nearest.best;
}

/* "a b" as "a, b" */
static void with_commas(const char *words, char *buf, size_t len)
{
	size_t at = 0;

	for (; *words && at + 3 < len; words++) {
		if (*words == ' ')
			buf[at++] = ',';
		buf[at++] = *words;
	}
	buf[at] = '\0';
}

int words_check(const struct cli *cli, const char *verb, const char *what, const char *word,
		const char *words)
{
	char list[WORDS_LEN], buf[WORDS_LEN];
	const char *best;

	if (words_has(words, word))
		return CLI_OK;
	best = words_nearest(words, word, buf);
	with_commas(words, list, sizeof(list));
	return cli_usage(cli, verb, "%s\"%.80s\" is not %s%s%s%s%s", what, word,
			 strchr(words, ' ') ? "one of " : "", list, best ? ": did you mean " : "",
			 best ? best : "", best ? "?" : "");
}

const char *words_tables(char *buf)
{
	const struct fr_table *t;
	unsigned int id;
	size_t len = 0;

	*buf = '\0';
	for (id = 0; id <= FLYREP_TABLE_MAX && len < WORDS_LEN; id++) {
		t = fr_table_by_id(id);
		if (t)
			len += (size_t)snprintf(buf + len, WORDS_LEN - len, "%s%s",
						len ? " " : "", t->name);
	}
	return buf;
}

int words_check_table(const struct cli *cli, const char *verb, const char *what,
		      const char *word)
{
	char words[WORDS_LEN];

	return words_check(cli, verb, what, word, words_tables(words));
}
