/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * items - the verbs that write and read the tables that the module keeps
 */
#ifndef ITEMS_H
#define ITEMS_H

#include <jansson.h>

#include "cli.h"

/**
 * lease_run() - flyrep lease add|del|list [FIELD=VALUE]...
 *
 * What it adds is this node's own. Return: enum cli_exit.
 */
int lease_run(struct cli *cli, int argc, char **argv);

/**
 * record_run() - flyrep record add|del|list TABLE [FIELD=VALUE]...
 *
 * Likewise, of any table of items. Return: enum cli_exit.
 */
int record_run(struct cli *cli, int argc, char **argv);

/**
 * item_print() - one item as FIELD=VALUE ..., as add takes them, and when it ends
 * @table: enum flyrep_table
 * @rec: as fr_table.to_json() made it
 */
void item_print(unsigned int table, const json_t *rec);

#endif
