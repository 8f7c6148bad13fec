/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of tables: what the API tells of each.
 */
#ifndef CONTROL_TABLES_H
#define CONTROL_TABLES_H

#include <jansson.h>

#include "flow.h"

/**
 * struct control_step - how a link stands in one table
 * @is_known: an audit of this session told
 * @n_buckets: that differ; 0 of what is not equal: the standby does not know how many
 */
struct control_step {
	bool is_known;
	bool is_equal;
	unsigned int n_buckets;
};

struct control_step control_tables_step(const struct flow_link *l, uint8_t table);
json_t *control_tables_json(const struct flow *f);

#endif
