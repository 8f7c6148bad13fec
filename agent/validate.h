/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Validate: are this node and its peers the same, each table of each of them. Waits for
 * comparisons that begin from now on, then answers the call.
 */
#ifndef VALIDATE_H
#define VALIDATE_H

#include <systemd/sd-event.h>

#include "api.h"
#include "flow.h"

struct validate;

/**
 * validate_start - take a call over
 * @running: the one that runs, or NULL for none: one at a time
 */
void validate_start(struct validate **running, sd_event *event, struct flow *f,
		    struct api_call *call, const json_t *body);
/* Give up; NULL is fine. */
void validate_stop(struct validate *v);

#endif
