// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep: the table of verbs, the global options, and the way from argv to a handler */
#include "cli.h"

#include "config.h"
#include "help.h"
#include "items.h"
#include "kernel.h"
#include "options.h"
#include "units.h"
#include "verbs.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct cli_flag lag_flags[] = {
	{ "max", 0, "DURATION", false,
	  "exit 4 when a peer is further behind than this" },
	{ 0 },
};

static const struct cli_flag role_flags[] = {
	{ "force", 0, NULL, false,
	  "primary: without the votes that quorum.enabled asks for" },
	{ 0 },
};

static const struct cli_flag validate_flags[] = {
	{ "deep", 0, NULL, false,
	  "compare record by record with the kernels, not only digests" },
	{ 0 },
};

static const struct cli_flag resync_flags[] = {
	{ "peer", 0, "PEER", false, "only to or from this node" },
	{ "table", 0, "TABLE", false, "only this table" },
	{ "wait", 0, NULL, false, "until it is done; exit 1 if it fails" },
	{ 0 },
};

static const struct cli_flag conflicts_flags[] = {
	{ "state", 0, "STATE", false,
	  "only these: pending, resolved or expired" },
	{ "reason", 0, "TEXT", false, "resolve: for the record" },
	{ 0 },
};

static const struct cli_flag test_conflict_flags[] = {
	{ "peer", 0, "PEER", false, "with this node; default: the first" },
	{ 0 },
};

static const struct cli_flag backup_flags[] = {
	{ "dry-run", 0, NULL, false, "restore: only tell what would be done" },
	{ "exact", 0, NULL, false,
	  "restore: delete what the backup does not hold" },
	{ 0 },
};

static const struct cli_flag item_flags[] = {
	{ "expires", 0, "DURATION", false, "add: it ends by itself after this" },
	{ "force", 0, NULL, false,
	  "also where a peer owns it, or another has the address" },
	{ 0 },
};

static const struct cli_flag filter_flags[] = {
	{ "kernel", 0, NULL, false,
	  "count how many of the records in the kernel pass" },
	{ 0 },
};

/* What the manual pages are checked against. */
static const struct cli_flag scdoc_flags[] = {
	{ "scdoc", 0, NULL, false, NULL },
	{ 0 },
};

/* The only list of verbs there is. */
static const struct cli_verb verbs[] = {
	{ "status", "", "this node, its peers and what it carries", NULL, NULL,
	  status_run, true, "flyrep status --watch" },
	{ "lag", "", "how far behind each peer is", NULL, lag_flags, lag_run,
	  true, "flyrep lag --max 10s || alert" },
	{ "ready", "", "may this node take over now; exit 4 if not", NULL, NULL,
	  ready_run, true, "flyrep ready" },
	{ "role", "[primary|backup|fault]", "show or change what this node is",
	  "primary backup fault", role_flags, role_run, false,
	  "flyrep role primary" },
	{ "key", "rotate [PEER]",
	  "replace the keys of the sessions with the peers, without a pause",
	  "rotate", NULL, key_run, false, "flyrep key rotate" },
	{ "validate", "",
	  "compare this node with its peers; exit 1 if they differ", NULL,
	  validate_flags, validate_run, false, "flyrep validate --deep" },
	{ "pause", "", "send and apply nothing; capture goes on", NULL, NULL,
	  pause_run, false, "flyrep pause" },
	{ "resume", "", "go on after a pause", NULL, NULL, resume_run, false,
	  "flyrep resume" },
	{ "resync", "[ID]", "send everything again, or tell how far that is",
	  NULL, resync_flags, resync_run, true, "flyrep resync --wait" },
	{ "conflicts", "[ID|resolve ID RESOLUTION]",
	  "what two nodes wrote at once; decide what waits", "resolve",
	  conflicts_flags, conflicts_run, true,
	  "flyrep conflicts resolve 123 use_local --reason 'as planned'" },
	{ "test-conflict", "",
	  "who would win if this node and a peer wrote one key now", NULL,
	  test_conflict_flags, test_conflict_run, false,
	  "flyrep test-conflict --peer node2" },
	{ "checkpoint", "", "write a checkpoint now", NULL, NULL,
	  checkpoint_run, false, "flyrep checkpoint" },
	{ "backup", "[list|create|restore NAME]",
	  "list the backups of this node, take one, write one back into the kernel",
	  "list create restore", backup_flags, backup_run, true,
	  "flyrep backup create" },
	{ "config", "check|show|schema [FILE]",
	  "check a configuration, show what it comes to, list all keys",
	  "check show schema", scdoc_flags, config_run, false,
	  "flyrep config check /etc/flyrep/flyrep.hcl" },
	{ "filter", "test TYPE CONDITION [FIELD=VALUE...|-]",
	  "check a condition, and put it to a record; exit 1 if it is false",
	  "test", filter_flags, filter_run, false,
	  "flyrep filter test dns 'ttl > 60' name=www.example ttl=300" },
	{ "kernel", "status|events|snapshot [TABLE]",
	  "the kernel module itself, without the agent",
	  "status events snapshot", NULL, kernel_run, true,
	  "flyrep kernel status" },
	{ "lease", "add|del|list [FIELD=VALUE]...",
	  "leases of addresses and prefixes, in the kernel",
	  "add del list", item_flags, lease_run, true,
	  "flyrep lease add scope=lan client=00:1b:21:3c:4d:5e ip=192.0.2.7 --expires 1h" },
	{ "record", "add|del|list TABLE [FIELD=VALUE]...",
	  "records of dns, learning, config and metric, in the kernel",
	  "add del list", item_flags, record_run, true,
	  "flyrep record list dns view=lan" },
	{ "completion", "bash", "completion for the shell", "bash", NULL,
	  completion_run, false, ". <(flyrep completion bash)" },
	{ "help", "[COMMAND]", "this, or more about one command", NULL,
	  scdoc_flags, help_run, false, "flyrep help lag" },
	{ 0 },
};

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

const char *cli_flag(const struct cli *cli, const char *name)
{
	size_t i;

	/* The last one counts. */
	for (i = cli->n_given; i--;)
		if (!strcmp(cli->given[i].flag->name, name))
			return cli->given[i].value;
	return NULL;
}

static void print_error(const struct cli *cli, const char *text)
{
	json_t *error;

	if (!cli->json) {
		fflush(stdout);
		fprintf(stderr, "flyrep: %s\n", text);
		return;
	}
	error = json_pack("{s:s}", "error", text);
	json_dumpf(error, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(error);
}

int cli_error(const struct cli *cli, int rc, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	print_error(cli, text);
	return rc;
}

int cli_usage(const struct cli *cli, const char *verb, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	print_error(cli, text);
	if (!cli->json)
		fprintf(stderr, "Try \"flyrep help%s%s\".\n", verb ? " " : "",
			verb ? verb : "");
	return CLI_USAGE;
}

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

static int run(struct cli *cli, struct options *options)
{
	static char *const no_args[] = { "status", NULL };

	if (cli_flag(cli, "version")) {
		puts("flyrep " FLYREP_VERSION);
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
	if (!cli->watch_s)
		return run_once(cli, options);
	if (!options->verb->is_watchable)
		return cli_usage(cli, options->verb->name,
				 "--watch makes no sense with %s",
				 options->verb->name);
	return watch(cli, options);
}

int main(int argc, char **argv)
{
	struct cli cli = { .verbs = verbs, .flags = global_flags };
	struct options options;
	int rc;

	rc = options_parse(&cli, argc, argv, &options);
	if (!rc)
		rc = set_up(&cli);
	if (!rc)
		rc = run(&cli, &options);
	return rc;
}
