// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include "nearest.h"

#include <string.h>

struct parse {
	struct cli *cli;
	struct options *options;
	char **argv;
	int argc;
	int i; /* the argument that is looked at */
};

const struct cli_verb *options_find_verb(const struct cli *cli,
					 const char *name)
{
	const struct cli_verb *verb;

	for (verb = cli->verbs; verb->name; verb++)
		if (!strcmp(verb->name, name))
			return verb;
	return NULL;
}

static const char *verb_name(const struct parse *p)
{
	return p->options->verb ? p->options->verb->name : NULL;
}

static const struct cli_flag *find(const struct cli_flag *flags,
				   const char *name, size_t len, char letter)
{
	for (; flags && flags->name; flags++)
		if (letter ? flags->letter == letter :
			     strlen(flags->name) == len &&
				     !memcmp(flags->name, name, len))
			return flags;
	return NULL;
}

static const struct cli_flag *find_flag(const struct parse *p, const char *name,
					size_t len, char letter)
{
	const struct cli_verb *verb = p->options->verb;
	const struct cli_flag *flag = NULL;

	if (verb)
		flag = find(verb->flags, name, len, letter);
	return flag ? flag : find(p->cli->flags, name, len, letter);
}

static int unknown(const struct parse *p, const char *name, size_t len)
{
	const struct cli_verb *verb = p->options->verb;
	const struct cli_flag *flag;
	struct fr_nearest nearest;
	char word[64];

	if (len >= sizeof(word))
		len = sizeof(word) - 1;
	memcpy(word, name, len);
	word[len] = '\0';
	fr_nearest_init(&nearest, word);
	for (flag = verb ? verb->flags : NULL; flag && flag->name; flag++)
		fr_nearest_offer(&nearest, flag->name);
	for (flag = p->cli->flags; flag->name; flag++)
		fr_nearest_offer(&nearest, flag->name);
	return cli_usage(p->cli, verb_name(p), "unknown option --%s%s%s%s",
			 word, nearest.best ? ": did you mean --" : "",
			 nearest.best ? nearest.best : "",
			 nearest.best ? "?" : "");
}

static int give(const struct parse *p, const struct cli_flag *flag,
		const char *value)
{
	struct cli *cli = p->cli;

	if (cli->n_given == CLI_FLAGS_MAX)
		return cli_usage(cli, verb_name(p), "too many options");
	cli->given[cli->n_given].flag = flag;
	cli->given[cli->n_given++].value = value;
	return CLI_OK;
}

/* @attached: what stood right behind the option, or NULL. */
static int take(struct parse *p, const struct cli_flag *flag,
		const char *attached)
{
	if (!flag->arg && attached)
		return cli_usage(p->cli, verb_name(p), "--%s takes no value",
				 flag->name);
	if (!flag->arg || attached || flag->is_arg_optional)
		return give(p, flag, attached ? attached : "");
	if (p->i + 1 >= p->argc)
		return cli_usage(p->cli, verb_name(p), "--%s needs a value: %s",
				 flag->name, flag->arg);
	return give(p, flag, p->argv[++p->i]);
}

static int parse_long(struct parse *p, const char *name)
{
	size_t len = strcspn(name, "=");
	const struct cli_flag *flag = find_flag(p, name, len, 0);

	if (!flag)
		return unknown(p, name, len);
	return take(p, flag, name[len] ? name + len + 1 : NULL);
}

/* "-jv", "-w2" */
static int parse_letters(struct parse *p, const char *letters)
{
	int rc = CLI_OK;

	for (; *letters && !rc; letters++) {
		const struct cli_flag *flag = find_flag(p, "", 0, *letters);

		if (!flag)
			return cli_usage(p->cli, verb_name(p),
					 "unknown option -%c", *letters);
		if (flag->arg)
			return take(p, flag, letters[1] ? letters + 1 : NULL);
		rc = take(p, flag, NULL);
	}
	return rc;
}

static int parse_verb(struct parse *p, const char *name)
{
	const struct cli_verb *verb;
	struct fr_nearest nearest;

	p->options->verb = options_find_verb(p->cli, name);
	if (p->options->verb)
		return CLI_OK;
	fr_nearest_init(&nearest, name);
	for (verb = p->cli->verbs; verb->name; verb++)
		fr_nearest_offer(&nearest, verb->name);
	return cli_usage(p->cli, NULL, "unknown command \"%s\"%s%s%s", name,
			 nearest.best ? ": did you mean " : "",
			 nearest.best ? nearest.best : "",
			 nearest.best ? "?" : "");
}

int options_parse(struct cli *cli, int argc, char **argv,
		  struct options *options)
{
	struct parse p = { cli, options, argv, argc, 1 };
	bool is_over = false, was_prefixed = false;
	int n_args = 0, rc = CLI_OK;

	*options = (struct options){ 0 };
	for (; p.i < argc && !rc; p.i++) {
		char *arg = argv[p.i];

		if (!is_over && !strcmp(arg, "--")) {
			is_over = true;
		} else if (!is_over && !strncmp(arg, "--", 2)) {
			rc = parse_long(&p, arg + 2);
		} else if (!is_over && arg[0] == '-' && arg[1]) {
			rc = parse_letters(&p, arg + 1);
		} else if (!n_args && !was_prefixed &&
			   !strcmp(arg, "replication")) {
			was_prefixed = true;
		} else {
			if (!n_args)
				rc = parse_verb(&p, arg);
			argv[n_args++] = arg; /* never ahead of p.i */
		}
	}
	options->argc = n_args;
	options->argv = argv;
	argv[n_args] = NULL;
	return rc;
}
