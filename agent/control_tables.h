/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of tables: what the API tells of each.
 */
#ifndef CONTROL_TABLES_H
#define CONTROL_TABLES_H

#include <jansson.h>

#include "flow.h"

json_t *control_tables_json(const struct flow *f);

#endif
