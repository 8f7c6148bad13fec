/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of the status: the answer to GET /api/replication/status.
 */
#ifndef CONTROL_STATUS_H
#define CONTROL_STATUS_H

#include <jansson.h>

#include "api.h"
#include "flow.h"

json_t *control_status_json(struct flow *f, const struct api *api);

#endif
