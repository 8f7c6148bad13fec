/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli - what every verb of the command line is given
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>

/* What the shell sees; documented in flyrep(8). */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_UNREACHABLE = 3, /* no agent, or no module for the kernel verbs */
	CLI_DEGRADED = 4,
	CLI_DENIED = 5,
	CLI_TIMED_OUT = 6,
};

#define CLI_FLAGS_MAX 24
#define CLI_ERROR_LEN 1024

/* One option of a verb; a table of them ends with a row without a name. */
struct cli_flag {
	const char *name; /* without the dashes */
	char letter; /* one-letter form, or 0 */
	const char *arg; /* name of its argument in the help, or NULL for none */
	bool is_arg_optional; /* "--watch" and "--watch=2" are both fine */
	const char *summary; /* NULL: for the build, not shown to people */
};

struct cli;

/* What --watch makes of a verb */
enum cli_watch {
	CLI_ONCE, /* it makes no sense */
	CLI_AGAIN, /* runs it again and again */
	CLI_BY_ITSELF, /* that it does by itself */
};

/* One row of the table in verbs.c. */
struct cli_verb {
	const char *name;
	const char *args; /* positionals as the help shows them, or ""; placeholders in capitals */
	const char *summary;
	const char *subs; /* what the first word may be, spaces between, or NULL */
	const struct cli_flag *flags; /* or NULL */
	/*
	 * argv[0] is the verb, the rest are positionals; options were taken
	 * out before. Returns enum cli_exit.
	 */
	int (*run)(struct cli *cli, int argc, char **argv);
	enum cli_watch watch;
	const char *example;
};

struct cli {
	bool json; /* --json: one JSON value on stdout, nothing else */
	bool color; /* stdout takes colours */
	bool verbose;
	bool is_tty; /* stdout is a terminal */
	double watch_s; /* 0 = once */
	const char *socket; /* of the agent */
	char *error; /* CLI_ERROR_LEN bytes for errors that are not to be told, or NULL */

	const struct cli_verb
		*verbs; /* the whole table, for help and completion */
	const struct cli_flag *flags; /* the global options, likewise */

	struct {
		const struct cli_flag *flag;
		const char *value;
	} given[CLI_FLAGS_MAX];
	size_t n_given;
};

/**
 * cli_flag() - the value given to the option @name
 *
 * Return: NULL when it was not given; "" when it was given without a value.
 */
const char *cli_flag(const struct cli *cli, const char *name);

/**
 * cli_error() - "flyrep: text" on stderr, or {"error","details"} with --json
 * @rc: enum cli_exit
 *
 * Return: @rc, so that a verb can return cli_error(...).
 */
int cli_error(const struct cli *cli, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * cli_usage() - as cli_error() with CLI_USAGE, followed by where to find help
 */
int cli_usage(const struct cli *cli, const char *verb, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
