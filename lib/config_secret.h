/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_secret - secrets and tokens, from wherever the configuration says that they are
 *
 * Part of config; nobody else includes it.
 */
#ifndef FR_CONFIG_SECRET_H
#define FR_CONFIG_SECRET_H

#include "config.h"
#include "hcl.h"

#include <sys/types.h>

/* A file on its way into a configuration. */
struct fr_config_load {
	struct fr_config *config;
	struct fr_diag *diag;
	const struct fr_hcl_body *section;
	unsigned int flags; /* enum fr_config_flags */
	mode_t file_mode; /* of the configuration itself; 0 = unknown */
};

/**
 * fr_config_secret_read_file() - at most @max bytes of a file
 * @buf: has room for one more, which tells a longer file
 * @mode: its permissions, 0 if they are not known
 *
 * Return: the bytes read, or -errno.
 */
ssize_t fr_config_secret_read_file(const char *path, char *buf, size_t max, mode_t *mode);

/**
 * fr_config_secret_find() - fill secret, previous and api.tokens
 *
 * What is wrong with them, or too open, goes to the diag; never what they are.
 */
void fr_config_secret_find(const struct fr_config_load *load);

#endif
