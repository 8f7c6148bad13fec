/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verbs - the table of verbs, and their handlers, one file each
 *
 * All take what struct cli_verb says and return enum cli_exit.
 */
#ifndef VERBS_H
#define VERBS_H

#include "cli.h"

/* Help, completion and the manual page come from it, too. */
extern const struct cli_verb verbs_all[];

int status_run(struct cli *cli, int argc, char **argv);
int peers_run(struct cli *cli, int argc, char **argv);
int queue_run(struct cli *cli, int argc, char **argv);
int debug_run(struct cli *cli, int argc, char **argv);
int events_run(struct cli *cli, int argc, char **argv);
int doctor_run(struct cli *cli, int argc, char **argv);
int top_run(struct cli *cli, int argc, char **argv);
int lag_run(struct cli *cli, int argc, char **argv);
int ready_run(struct cli *cli, int argc, char **argv);
int role_run(struct cli *cli, int argc, char **argv);
int key_run(struct cli *cli, int argc, char **argv);
int validate_run(struct cli *cli, int argc, char **argv);
int filter_run(struct cli *cli, int argc, char **argv);
int pause_run(struct cli *cli, int argc, char **argv);
int resume_run(struct cli *cli, int argc, char **argv);
int resync_run(struct cli *cli, int argc, char **argv);
int conflicts_run(struct cli *cli, int argc, char **argv);
int test_conflict_run(struct cli *cli, int argc, char **argv);
int checkpoint_run(struct cli *cli, int argc, char **argv);
int backup_run(struct cli *cli, int argc, char **argv);
int config_run(struct cli *cli, int argc, char **argv);
int completion_run(struct cli *cli, int argc, char **argv);
int help_run(struct cli *cli, int argc, char **argv);

#endif
