/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * help - what the table of verbs says, for people
 */
#ifndef HELP_H
#define HELP_H

#include "cli.h"

/**
 * help_all() - every verb and the global options
 */
void help_all(const struct cli *cli);

/**
 * help_verb() - one verb with its options and an example
 */
void help_verb(const struct cli *cli, const struct cli_verb *verb);

#endif
