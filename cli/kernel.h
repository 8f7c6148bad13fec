/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel - the verb that talks to the module
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "cli.h"

/**
 * kernel_run() - flyrep kernel status|events|snapshot
 *
 * events is the reader while it runs, and there is only one: it is refused while
 * an agent runs, and an agent cannot start meanwhile.
 *
 * Return: enum cli_exit; status: CLI_DEGRADED when nothing is captured.
 */
int kernel_run(struct cli *cli, int argc, char **argv);

#endif
