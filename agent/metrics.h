/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics: what GET /metrics tells Prometheus; the figures are those of the status. Each is a row
 * of one table, and documented in docs/monitoring.md, which is held against that table.
 */
#ifndef METRICS_H
#define METRICS_H

#include "api.h"
#include "flow.h"

/* As EXPOSITION_TYPE, malloced; NULL: no memory. */
char *metrics_text(struct flow *f, const struct api *api);

#endif
