/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel - the verbs that talk to the module: this one, and what it shares with items.c
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "cli.h"
#include "genl.h"

/**
 * kernel_run() - flyrep kernel status|events|snapshot [TABLE]
 *
 * events is the reader while it runs, and there is only one: it is refused while
 * an agent runs, and an agent cannot start meanwhile.
 *
 * Return: enum cli_exit; status: CLI_DEGRADED when nothing is captured.
 */
int kernel_run(struct cli *cli, int argc, char **argv);

/**
 * kernel_open() - a socket to the module
 *
 * Return: CLI_OK, or the exit code after an error was told.
 */
int kernel_open(const struct cli *cli, struct fr_genl **g);

/**
 * kernel_fail() - tell what the module or the kernel refused
 * @g: where it happened, or NULL
 *
 * Return: the exit code for it.
 */
int kernel_fail(const struct cli *cli, struct fr_genl *g, int err);

/**
 * kernel_pump() - read a dump to its end
 *
 * Return: 0; -ETIMEDOUT when the kernel is silent for ten seconds; -errno.
 */
int kernel_pump(struct fr_genl *g, const struct fr_genl_sink *to, void *cookie);

#endif
