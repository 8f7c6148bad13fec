// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any command line is sorted out, or refused with words: every option that is taken is one of the table, with a value
 * if it needs one; the verb's words are among those that were given; what is refused says why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "options.h"
#include "peers.h"
#include "verbs.h"
#include "words.h"

#define WORDS_MAX 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static const struct cli_flag flags[] = {
	{ "json", 'j', NULL, false, "" },
	{ "watch", 'w', "SECONDS", true, "" },
	{ "socket", 0, "PATH", false, "" },
	{ 0 },
};

static bool is_of(const struct cli_flag *table, const struct cli_flag *flag)
{
	for (; table && table->name; table++)
		if (table == flag)
			return true;
	return false;
}

static void check(const struct cli *cli, const struct options *options, char *const *given,
		  size_t n_given)
{
	const struct cli_flag *own = options->verb ? options->verb->flags : NULL;
	int i;
	size_t k;

	for (k = 0; k < cli->n_given; k++) {
		must(is_of(flags, cli->given[k].flag) || is_of(own, cli->given[k].flag));
		must(!!cli->given[k].value);
		must(cli->given[k].flag->arg || !*cli->given[k].value);
	}
	must(!options->argv[options->argc]);
	must(!options->argc == !options->verb);
	must(!options->argc || !strcmp(options->argv[0], options->verb->name));
	for (i = 0; i < options->argc; i++) {
		for (k = 0; k < n_given && given[k] != options->argv[i]; k++)
			;
		must(k < n_given);
	}
}

/* Words that have to be of a few */
static void look_up(struct cli *cli, const char *word)
{
	char buf[WORDS_LEN];
	const char *best = words_nearest("status list create", word, buf);

	must(!best || words_has("status list create", best));
	*cli->error = '\0';
	must(!words_check(cli, NULL, "", word, "status list create") ==
	     words_has("status list create", word));
	*cli->error = '\0';
	must(!peers_check(cli, NULL, "", word) == !*cli->error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char error[CLI_ERROR_LEN] = "", text[1024], *argv[WORDS_MAX + 2], *kept[WORDS_MAX + 2];
	struct cli cli = { .verbs = verbs_all, .flags = flags, .error = error };
	struct options options;
	size_t n = 1;
	char *at = text;

	if (!len || len >= sizeof(text))
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	for (argv[0] = text; n <= WORDS_MAX && at <= text + len; at += strlen(at) + 1)
		argv[n++] = at;
	argv[n] = NULL;
	memcpy(kept, argv, sizeof(kept));
	look_up(&cli, argv[1]);
	*error = '\0';
	if (options_parse(&cli, (int)n, argv, &options))
		must(*error);
	else
		check(&cli, &options, kept, n);
	return 0;
}
