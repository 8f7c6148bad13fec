/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of backups: the endpoints that take, list and restore them; documented in control.h.
 */
#ifndef CONTROL_BACKUPS_H
#define CONTROL_BACKUPS_H

#include "api.h"
#include "flow.h"

struct control_backups;

/* NULL: no memory. */
struct control_backups *control_backups_new(sd_event *event, struct flow *flow);
/* Answers whoever still waits. */
void control_backups_free(struct control_backups *b);

void control_backups_list(struct control_backups *b, struct api_call *call);
/* Answered when it is on the disk. */
void control_backups_take(struct control_backups *b, struct api_call *call,
			  enum archive_kind kind);
/* Answered when it is done. */
void control_backups_restore(struct control_backups *b, struct api_call *call,
			     const json_t *body);

#endif
