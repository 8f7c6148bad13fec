// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep completion: the table of verbs as a script for the shell */
#include "verbs.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

/* What may stand for a placeholder, as a command of the shell that fills words or asks for files */
static const struct {
	const char *arg, *command;
} kinds[] = {
	{ "PEER", "words=$(_flyrep_peers)" },
	{ "TABLE", "words='" }, /* and the names of all tables */
	{ "FILE", "files=1" },
	{ "PATH", "files=1" },
	{ "WHEN", "words='auto always never'" },
	{ "STATE", "words='pending resolved expired'" },
};

static void print_kind(const char *arg)
{
	char tables[WORDS_LEN];
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].arg, arg) != 0)
			continue;
		printf("%s", kinds[i].command);
		if (!strcmp(arg, "TABLE"))
			printf("%s'", words_tables(tables));
		return;
	}
	printf(":"); /* anything, as a number */
}

/* Has a verb before @end an option of that name */
static bool is_known(const struct cli *cli, const struct cli_verb *end, const char *name)
{
	const struct cli_verb *verb;
	const struct cli_flag *flag;

	for (verb = cli->verbs; verb < end; verb++)
		for (flag = verb->flags; flag && flag->name; flag++)
			if (!strcmp(flag->name, name))
				return true;
	return false;
}

/*
 * The value of each option that has one, behind it; one that need not have one behind "=" only
 * @verb: whose they are, NULL: the global ones
 */
static void print_values(const struct cli *cli, const struct cli_verb *verb)
{
	const struct cli_flag *flags = verb ? verb->flags : cli->flags;

	for (; flags && flags->name; flags++) {
		if (!flags->arg || (verb && is_known(cli, verb, flags->name)))
			continue;
		printf("\t%s--%s)\n\t\t", flags->is_arg_optional ? "=" : "?", flags->name);
		print_kind(flags->arg);
		puts(" ;;");
	}
}

static void print_options(const struct cli_flag *flags)
{
	for (; flags && flags->name; flags++)
		if (flags->summary)
			printf(" --%s", flags->name);
}

static void print_verb_names(const struct cli *cli)
{
	const struct cli_verb *verb;

	for (verb = cli->verbs; verb->name; verb++)
		printf("%s%s", verb == cli->verbs ? "" : " ", verb->name);
}

/* What comes behind the first word of a verb, if its arguments name one of these */
static void print_second(const struct cli_verb *verb)
{
	static const char *const args[] = { "TABLE", "PEER", "FILE" };
	size_t i;

	for (i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		if (!verb->subs || !strstr(verb->args, args[i]))
			continue;
		printf("\t\tif ((COMP_CWORD == verb_at + 2)) && [[ $cur != -* ]]; then ");
		print_kind(args[i]);
		puts("; fi");
		return;
	}
}

static void print_verb(const struct cli *cli, const struct cli_verb *verb)
{
	printf("\t%s)\n\t\twords='", verb->name);
	print_options(verb->flags);
	print_options(cli->flags);
	puts("'");
	if (verb->subs)
		printf("\t\t((COMP_CWORD == verb_at + 1)) && words+=' %s'\n", verb->subs);
	if (!strcmp(verb->args, "[COMMAND]")) {
		printf("\t\t((COMP_CWORD == verb_at + 1)) && words+=' ");
		print_verb_names(cli);
		puts("'");
	}
	print_second(verb);
	puts("\t\t;;");
}

/* An option and its value are three words to bash where "=" is between them. */
static void bash(const struct cli *cli)
{
	const struct cli_verb *verb;

	puts("# bash completion for flyrep; written by \"flyrep completion bash\"\n"
	     "_flyrep_peers()\n"
	     "{\n"
	     "\ttimeout 1 \"${COMP_WORDS[0]}\" peers --json 2>/dev/null |\n"
	     "\t\tsed -n 's/^ *\"id\": \"\\([A-Za-z0-9._-]*\\)\".*/\\1/p'\n"
	     "}\n"
	     "\n"
	     "_flyrep()\n"
	     "{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} verb='' verb_at=0 i words='' files='' option=''\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\t[[ ${COMP_WORDS[i]} == -* || ${COMP_WORDS[i]} == replication ]] && continue\n"
	     "\t\t[[ ${COMP_WORDS[i - 1]} == --socket ]] && continue\n"
	     "\t\tverb=${COMP_WORDS[i]} verb_at=$i\n"
	     "\t\tbreak\n"
	     "\tdone\n"
	     "\tcase ${COMP_WORDS[COMP_CWORD - 1]} in\n"
	     "\t=)\n\t\toption=\"=${COMP_WORDS[COMP_CWORD - 2]}\" ;;\n"
	     "\t-*)\n\t\toption=\".${COMP_WORDS[COMP_CWORD - 1]}\" ;;\n"
	     "\tesac\n"
	     "\tif [[ $cur == '=' ]]; then cur='' option=\"=${COMP_WORDS[COMP_CWORD - 1]}\"; fi\n"
	     "\tcase $verb in\n"
	     "\t'')");
	printf("\t\twords='");
	print_verb_names(cli);
	print_options(cli->flags);
	puts("' ;;");
	for (verb = cli->verbs; verb->name; verb++)
		print_verb(cli, verb);
	puts("\tesac\n\tcase $option in");
	print_values(cli, NULL);
	for (verb = cli->verbs; verb->name; verb++)
		print_values(cli, verb);
	puts("\tesac\n"
	     "\tif [[ $files ]]; then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	     "\telse\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	     "\tfi\n"
	     "}\n"
	     "complete -o filenames -F _flyrep flyrep");
}

int completion_run(struct cli *cli, int argc, char **argv)
{
	(void)argv;
	if (argc != 2)
		return cli_usage(cli, "completion", "completion bash; only bash is known");
	bash(cli);
	return CLI_OK;
}
