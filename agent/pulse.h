/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pulse: the socket and the clock of a quorum, see quorum.h; in flyrepd and in the witness alike.
 */
#ifndef PULSE_H
#define PULSE_H

#include <systemd/sd-event.h>

#include "quorum.h"

struct pulse;

/**
 * struct pulse_ops - what the owner does and hears; as in struct quorum_ops
 */
struct pulse_ops {
	void (*step_down)(void *cookie, const char *why);
	void (*changed)(void *cookie, const struct heartbeat_voter *v);
};

/*
 * @config, which has heartbeats, @role and @events, which may be NULL, must outlive it.
 * -errno: cannot listen (logged)
 */
int pulse_new(struct pulse **p, sd_event *event, const struct fr_config *config, struct role *role,
	      struct events *events, const struct pulse_ops *ops, void *cookie);
void pulse_free(struct pulse *p);
/* The configuration is another one. -errno (logged) */
int pulse_reload(struct pulse *p);
/* The role has changed: tell all at once. NULL is fine. */
void pulse_tell(struct pulse *p);
/* As quorum_elect(). */
int pulse_elect(struct pulse *p, quorum_done_t done, void *cookie);
/* To be asked; NULL for NULL. */
struct quorum *pulse_quorum(struct pulse *p);

#endif
