/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of values: how the API writes them.
 */
#ifndef CONTROL_JSON_H
#define CONTROL_JSON_H

#include <jansson.h>
#include <stdint.h>

/* RFC 3339 of an instant on the monotonic clock; null for never, 0. */
json_t *control_json_when(uint64_t at_ns);
json_t *control_json_digest(uint64_t digest);

#endif
