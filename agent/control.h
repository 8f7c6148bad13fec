/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control: the API's endpoints. Turns the state of flow into JSON, and requests
 * into calls of flow. All of them, and the shapes of what they take and answer, are in
 * docs/openapi.json, which is served as /api/openapi.json.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "api.h"
#include "flow.h"

struct control;

int control_new(struct control **c, sd_event *event, struct flow *flow,
		const struct fr_config *config);
/* *config is another one: go by it. -errno */
int control_reload(struct control *c);
void control_free(struct control *c);
/* One line for the service manager. */
void control_summary(struct control *c, char *buf, size_t len);

#endif
