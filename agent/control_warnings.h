/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of warnings: what an operator should know, in sentences.
 */
#ifndef CONTROL_WARNINGS_H
#define CONTROL_WARNINGS_H

#include <jansson.h>

#include "api.h"
#include "flow.h"

json_t *control_warnings_json(struct flow *f, const struct api *api);

#endif
