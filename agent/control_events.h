/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of events: answers who follows them, at once or when there is one; and finds, once a
 * second, what nobody tells of by itself: that the state of the node is another, that a warning
 * came or went.
 */
#ifndef CONTROL_EVENTS_H
#define CONTROL_EVENTS_H

#include "api.h"
#include "flow.h"

struct control_events;

/* -errno */
int control_events_new(struct control_events **c, sd_event *event, struct flow *flow,
		       const struct api *api);
/* Answers whoever still waits. */
void control_events_free(struct control_events *c);
/* GET /api/replication/events */
void control_events_tell(struct control_events *c, struct api_call *call);

#endif
