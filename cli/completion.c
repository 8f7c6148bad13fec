// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep completion: the table of verbs as a script for the shell */
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static void print_flags(const struct cli_flag *flags)
{
	for (; flags && flags->name; flags++)
		if (flags->summary)
			printf(" --%s", flags->name);
}

static void bash(const struct cli *cli)
{
	const struct cli_verb *verb;

	printf("# bash completion for flyrep; written by \"flyrep completion bash\"\n"
	       "_flyrep()\n"
	       "{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} verb='' verb_at=0 i words=''\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\t[[ ${COMP_WORDS[i]} == -* || ${COMP_WORDS[i]} == replication ]] && continue\n"
	       "\t\t[[ ${COMP_WORDS[i - 1]} == --socket ]] && continue\n"
	       "\t\tverb=${COMP_WORDS[i]} verb_at=$i\n"
	       "\t\tbreak\n"
	       "\tdone\n"
	       "\tcase $verb in\n"
	       "\t'')\n\t\twords='");
	for (verb = cli->verbs; verb->name; verb++)
		printf("%s%s", verb == cli->verbs ? "" : " ", verb->name);
	puts("' ;;");
	for (verb = cli->verbs; verb->name; verb++) {
		printf("\t%s)\n\t\twords='", verb->name);
		print_flags(verb->flags);
		puts("'");
		if (verb->subs)
			printf("\t\t((COMP_CWORD == verb_at + 1)) && words+=' %s'\n",
			       verb->subs);
		puts("\t\t;;");
	}
	printf("\tesac\n\twords+='");
	print_flags(cli->flags);
	puts("'\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	     "\tif [[ $verb == config && $cur != -* ]] && ((COMP_CWORD == verb_at + 2)); then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	     "\tfi\n"
	     "}\n"
	     "complete -o filenames -F _flyrep flyrep");
}

int completion_run(struct cli *cli, int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "bash"))
		return cli_usage(cli, "completion", "only bash is known");
	bash(cli);
	return CLI_OK;
}
