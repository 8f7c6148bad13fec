// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep: the global options, and the way from argv to a handler */
#include "cli.h"

#include "config.h"
#include "help.h"
#include "options.h"
#include "units.h"
#include "verbs.h"
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct cli_flag global_flags[] = {
	{ "json", 'j', NULL, false, "answer in JSON" },
	{ "watch", 'w', "SECONDS", true, "again and again, every 2 s" },
	{ "color", 0, "WHEN", true, "auto, always or never; also NO_COLOR" },
	{ "verbose", 'v', NULL, false, "tell more" },
	{ "socket", 0, "PATH", false, "of the agent; also FLYREP_SOCKET" },
	{ "help", 'h', NULL, false, "this text" },
	{ "version", 'V', NULL, false, "the version" },
	{ 0 },
};

static int set_color(struct cli *cli)
{
	const char *when = cli_flag(cli, "color"), *no = getenv("NO_COLOR");

	if (!when || !strcmp(when, "auto"))
		cli->color = cli->is_tty && !(no && *no);
	else if (!*when || !strcmp(when, "always"))
		cli->color = true;
	else if (strcmp(when, "never"))
		return cli_usage(cli, NULL, "--color: auto, always or never");
	return CLI_OK;
}

/* "2", "0.5" or "500ms" */
static int set_watch(struct cli *cli)
{
	const char *text = cli_flag(cli, "watch");
	uint64_t ns;
	char *end;

	if (!text)
		return CLI_OK;
	cli->watch_s = *text ? strtod(text, &end) : 2;
	if (*text && *end && !fr_units_parse_duration(text, &ns))
		cli->watch_s = (double)ns / (double)FR_UNITS_NS_PER_S;
	else if (*text && *end)
		cli->watch_s = 0;
	if (!(cli->watch_s >= 0.1 && cli->watch_s <= 3600))
		return cli_usage(cli, NULL,
				 "--watch: seconds between 0.1 and 3600");
	return CLI_OK;
}

static int set_up(struct cli *cli)
{
	const char *socket = cli_flag(cli, "socket");
	int rc;

	cli->json = cli_flag(cli, "json");
	cli->verbose = cli_flag(cli, "verbose");
	cli->is_tty = isatty(STDOUT_FILENO);
	if (!socket)
		socket = getenv("FLYREP_SOCKET");
	cli->socket = socket && *socket ? socket : FR_CONFIG_API_SOCKET;
	rc = set_color(cli);
	return rc ? rc : set_watch(cli);
}

static int run_once(struct cli *cli, const struct options *options)
{
	int rc = options->verb->run(cli, options->argc, options->argv);

	if (fflush(stdout) && rc == CLI_OK)
		rc = CLI_FAILED;
	return rc;
}

static int watch(struct cli *cli, const struct options *options)
{
	struct timespec pause = {
		.tv_sec = (time_t)cli->watch_s,
		.tv_nsec =
			(long)((cli->watch_s - (double)(time_t)cli->watch_s) *
			       1e9),
	};
	int rc;

	for (;;) {
		if (cli->is_tty && !cli->json)
			fputs("\033[H\033[2J", stdout);
		rc = run_once(cli, options);
		if (ferror(stdout) || rc == CLI_USAGE)
			return rc;
		nanosleep(&pause, NULL);
	}
}

/* The first word, where the table says which there are, and nothing else may stand there. */
static int check_sub(const struct cli *cli, const struct options *options)
{
	const struct cli_verb *verb = options->verb;

	if (!verb->subs || isupper((unsigned char)verb->args[verb->args[0] == '[']) ||
	    options->argc < 2)
		return CLI_OK;
	return words_check(cli, verb->name, "", options->argv[1], verb->subs);
}

static int run(struct cli *cli, struct options *options)
{
	static char *const no_args[] = { "status", NULL };
	int rc;

	if (cli_flag(cli, "version")) {
		puts(cli->json ? "{\"version\":\"" FLYREP_VERSION "\"}" : "flyrep " FLYREP_VERSION);
		return CLI_OK;
	}
	if (cli_flag(cli, "help")) {
		if (options->verb)
			help_verb(cli, options->verb);
		else
			help_all(cli);
		return CLI_OK;
	}
	if (!options->verb) {
		options->verb = options_find_verb(cli, no_args[0]);
		options->argc = 1;
		options->argv = (char **)no_args;
	}
	if (options->argc > 1 && !*options->verb->args)
		return cli_usage(cli, options->verb->name,
				 "%s takes no argument", options->verb->name);
	rc = check_sub(cli, options);
	if (rc)
		return rc;
	if (!cli->watch_s || options->verb->watch == CLI_BY_ITSELF)
		return run_once(cli, options);
	if (options->verb->watch == CLI_ONCE)
		return cli_usage(cli, options->verb->name,
				 "--watch makes no sense with %s",
				 options->verb->name);
	return watch(cli, options);
}

int main(int argc, char **argv)
{
	struct cli cli = { .verbs = verbs_all, .flags = global_flags };
	struct options options;
	int rc;

	rc = options_parse(&cli, argc, argv, &options);
	if (!rc)
		rc = set_up(&cli);
	if (!rc)
		rc = run(&cli, &options);
	return rc;
}
