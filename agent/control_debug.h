/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, for debugging: all that there is to know about one peer.
 */
#ifndef CONTROL_DEBUG_H
#define CONTROL_DEBUG_H

#include <jansson.h>

#include "flow.h"

/* NULL: no peer has this id. */
json_t *control_debug_json(const struct flow *f, const char *id);

#endif
