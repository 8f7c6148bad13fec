/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of queues: what waits on its way from the kernel to the peers.
 */
#ifndef CONTROL_QUEUE_H
#define CONTROL_QUEUE_H

#include <jansson.h>

#include "flow.h"

json_t *control_queue_json(struct flow *f);

#endif
