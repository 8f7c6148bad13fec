/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_check - what no single key can be blamed for
 *
 * Part of config; nobody else includes it.
 */
#ifndef FR_CONFIG_CHECK_H
#define FR_CONFIG_CHECK_H

#include "config.h"
#include "hcl.h"

/**
 * fr_config_pos() - where a key was written
 * @section: the body of the replication section
 * @path: as in the schema, sections only on the way
 *
 * Return: the place of its value, or of @section when it was not written.
 */
struct fr_diag_pos fr_config_pos(const struct fr_hcl_body *section,
				 const char *path);

/**
 * fr_config_check() - report keys that contradict each other
 */
void fr_config_check(const struct fr_config *config,
		     const struct fr_hcl_body *section, struct fr_diag *diag);

#endif
