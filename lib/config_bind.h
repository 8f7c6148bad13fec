/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_bind - from the tree to the struct, as the schema's table says
 *
 * Part of config; nobody else includes it.
 */
#ifndef FR_CONFIG_BIND_H
#define FR_CONFIG_BIND_H

#include "config.h"
#include "hcl.h"

/**
 * fr_config_bind() - bind the tree of a file and fill in the defaults
 * @root: its strings become those of @config, so both live in its arena
 *
 * Every fault goes to @diag: unknown and missing keys, wrong types, values out
 * of range, and what this version does not implement.
 *
 * Return: the body of the replication section, or NULL when there is none.
 */
const struct fr_hcl_body *fr_config_bind(const struct fr_hcl_body *root,
					 struct fr_config *config,
					 struct fr_diag *diag);

/**
 * fr_config_is_node_id() - is @text fit for a node_id
 */
bool fr_config_is_node_id(const char *text);

#endif
