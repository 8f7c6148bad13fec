/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of counters: what was done since the start, stage by stage.
 */
#ifndef CONTROL_STATS_H
#define CONTROL_STATS_H

#include <jansson.h>

#include "api.h"
#include "flow.h"

/* @begin_ns: CLOCK_MONOTONIC of the start */
json_t *control_stats_json(struct flow *f, struct api *api, uint64_t begin_ns);

#endif
