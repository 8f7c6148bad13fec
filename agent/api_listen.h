/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API listen: the addresses of api.listen, each with a server of its own, for api.c only. What is
 * in use by another program, or not there yet, is tried again, for ever; so are a certificate and
 * key that cannot be used.
 */
#ifndef API_LISTEN_H
#define API_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

struct api;
struct api_listen;
struct api_place;
struct api_server;

/* NULL: no memory. */
struct api_listen *api_listen_new(struct api *api);
void api_listen_free(struct api_listen *l);
/* Go by this; nothing happens if it, and the files it names, are as before. -errno (logged) */
int api_listen_set(struct api_listen *l, const struct fr_config_api *config);
/* Now and then. */
void api_listen_tick(struct api_listen *l);
/* The sum of what @fn returns for each server. */
unsigned int api_listen_sum(struct api_listen *l, unsigned int (*fn)(struct api_server *s));
/* See api_place(). */
bool api_listen_place(const struct api_listen *l, size_t i, struct api_place *place);

#endif
