/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Witness: a vote without data, for two nodes (docs/architecture.md, Quorum). It answers heartbeats
 * and votes, and keeps its promises; it knows nothing of flows, module or netlink.
 */
#ifndef WITNESS_H
#define WITNESS_H

#include <systemd/sd-event.h>

#include "config.h"

struct witness;

/* @config, of mode witness, must outlive it. -errno (logged) */
int witness_new(struct witness **w, sd_event *event, const struct fr_config *config);
void witness_free(struct witness *w);
/* The configuration is another one, as fr_config_reload_check() allows. -errno (logged) */
int witness_reload(struct witness *w);
/* One line for the service manager. */
void witness_summary(struct witness *w, char *buf, size_t len);

#endif
