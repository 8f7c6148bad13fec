/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control: the API's endpoints. Turns the state of flow into JSON, and requests
 * into calls of flow. Shapes: docs/protocol.md is for peers; this one is documented in flyrepd(8).
 *
 *   GET  /api/replication/status
 *   GET  /api/replication/lag
 *   GET  /api/replication/ready
 *   POST /api/replication/role      {"role": "primary" | "backup" | "fault", "force": bool}
 *   POST /api/replication/validate  {"deep": bool}
 *   POST /api/replication/checkpoint
 *   GET  /api/replication/backups
 *   POST /api/replication/backups
 *   POST /api/replication/backups/NAME/restore  {"dry_run": bool, "exact": bool}
 *   and those of arbiter.h
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "api.h"
#include "flow.h"

struct control;

int control_new(struct control **c, sd_event *event, struct flow *flow,
		const struct fr_config *config);
void control_free(struct control *c);
/* One line for the service manager. */
void control_summary(struct control *c, char *buf, size_t len);

#endif
