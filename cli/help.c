// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep help */
#include "help.h"

#include "options.h"
#include "style.h"
#include "verbs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* "--watch[=SECONDS]" */
static void flag_text(const struct cli_flag *flag, char *buf, size_t len)
{
	if (!flag->arg)
		snprintf(buf, len, "--%s", flag->name);
	else if (flag->is_arg_optional)
		snprintf(buf, len, "--%s[=%s]", flag->name, flag->arg);
	else
		snprintf(buf, len, "--%s %s", flag->name, flag->arg);
}

static bool has_shown_flags(const struct cli_flag *flags)
{
	for (; flags && flags->name; flags++)
		if (flags->summary)
			return true;
	return false;
}

static void print_flags(const struct cli_flag *flags)
{
	char text[64];

	for (; flags && flags->name; flags++) {
		if (!flags->summary)
			continue;
		flag_text(flags, text, sizeof(text));
		if (flags->letter)
			printf("  -%c, %-20s %s\n", flags->letter, text,
			       flags->summary);
		else
			printf("      %-20s %s\n", text, flags->summary);
	}
}

void help_all(const struct cli *cli)
{
	const struct cli_verb *verb;

	puts("flyrep keeps the connections of a firewall alive when another takes over.");
	puts("\nUsage: flyrep [OPTION]... [COMMAND]\n\nCommands:");
	for (verb = cli->verbs; verb->name; verb++) {
		char left[80];

		snprintf(left, sizeof(left), "%s%s%s", verb->name,
			 *verb->args ? " " : "", verb->args);
		style_print(cli, STYLE_HEAD, "  %-32s", left);
		printf(" %s\n", verb->summary);
	}
	puts("\nOptions:");
	print_flags(cli->flags);
	puts("\nWithout a command: status. \"flyrep help COMMAND\" tells more, flyrep(8) all.\n"
	     "Exit: 0 fine, 1 failed, 2 usage, 3 agent unreachable, 4 degraded, 5 denied, 6 timed out.");
}

void help_verb(const struct cli *cli, const struct cli_verb *verb)
{
	printf("Usage: flyrep %s%s%s%s\n\n%s\n", verb->name,
	       has_shown_flags(verb->flags) ? " [OPTION]..." : "",
	       *verb->args ? " " : "", verb->args, verb->summary);
	if (has_shown_flags(verb->flags)) {
		puts("\nOptions:");
		print_flags(verb->flags);
	}
	puts("\nGlobal options:");
	print_flags(cli->flags);
	if (verb->example)
		printf("\nExample: %s\n", verb->example);
}

/* Words in capitals are placeholders, the others are typed as they stand. */
static void scdoc_words(const char *text)
{
	while (*text) {
		size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		char mark = '_';

		if (!len) {
			len = strspn(text, "abcdefghijklmnopqrstuvwxyz-");
			mark = '*';
		}
		if (len)
			printf("%c%.*s%c", mark, (int)len, text, mark);
		else
			printf(*text == '.' ? "\\%c" : "%c", *text);
		text += len ? len : 1;
	}
}

static void scdoc_synopsis(const struct cli *cli)
{
	const struct cli_flag *flag;
	const struct cli_verb *verb;
	char text[64];

	for (verb = cli->verbs; verb->name; verb++) {
		printf("*flyrep* [_OPTION_]... *%s*", verb->name);
		for (flag = verb->flags; flag && flag->name; flag++) {
			if (!flag->summary)
				continue;
			flag_text(flag, text, sizeof(text));
			printf(" [");
			scdoc_words(text);
			putchar(']');
		}
		if (*verb->args)
			putchar(' ');
		scdoc_words(verb->args);
		puts(verb[1].name ? "++" : "\n");
	}
}

int help_run(struct cli *cli, int argc, char **argv)
{
	const struct cli_verb *verb;

	if (cli_flag(cli, "scdoc")) {
		scdoc_synopsis(cli);
		return CLI_OK;
	}
	if (argc < 2) {
		help_all(cli);
		return CLI_OK;
	}
	verb = options_find_verb(cli, argv[1]);
	if (!verb || argc > 2)
		return cli_usage(cli, NULL, "no help about \"%s\"", argv[1]);
	help_verb(cli, verb);
	return CLI_OK;
}
