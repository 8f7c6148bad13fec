// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *cli_flag(const struct cli *cli, const char *name)
{
	size_t i;

	/* The last one counts. */
	for (i = cli->n_given; i--;)
		if (!strcmp(cli->given[i].flag->name, name))
			return cli->given[i].value;
	return NULL;
}

static void tell(const struct cli *cli, const char *text)
{
	json_t *error;

	if (cli->error) {
		snprintf(cli->error, CLI_ERROR_LEN, "%s", text);
		return;
	}
	if (!cli->json) {
		fflush(stdout);
		fprintf(stderr, "flyrep: %s\n", text);
		return;
	}
	error = json_pack("{s:s}", "error", text);
	if (!error) /* not UTF-8, as a word of the command line may be */
		error = json_pack("{s:s}", "error", "what was given is not UTF-8");
	json_dumpf(error, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(error);
}

static __attribute__((format(printf, 2, 0))) void vtell(const struct cli *cli, const char *fmt,
							 va_list args)
{
	char text[CLI_ERROR_LEN];

	vsnprintf(text, sizeof(text), fmt, args);
	tell(cli, text);
}

int cli_error(const struct cli *cli, int rc, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vtell(cli, fmt, args);
	va_end(args);
	return rc;
}

int cli_usage(const struct cli *cli, const char *verb, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vtell(cli, fmt, args);
	va_end(args);
	if (!cli->json && !cli->error)
		fprintf(stderr, "Try \"flyrep help%s%s\".\n", verb ? " " : "",
			verb ? verb : "");
	return CLI_USAGE;
}
