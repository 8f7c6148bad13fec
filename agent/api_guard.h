/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API guard: what a request that came over TCP must say of itself before it is looked at: the
 * name by which it called us, that no other site's page sent it, and a token. Against pages that
 * a browser on this machine or in its network shows: with the name of their own site made to
 * point here (Host), or from another one (Origin, Sec-Fetch-Site).
 *
 * A guard never changes, so that any thread may ask it.
 */
#ifndef API_GUARD_H
#define API_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "config.h"

struct api_guard;

/* Copies what it needs. NULL: no memory, or the crypto library refused. */
struct api_guard *api_guard_new(const struct fr_config_api *config);
void api_guard_free(struct api_guard *g);
/* Does it ask for a token? */
bool api_guard_has_tokens(const struct api_guard *g);

/**
 * struct api_head - the headers that matter, NULL for those that are not there
 * @n_hosts, @n_authorizations, @n_origins: how often they are there
 * @local: address of our end of the connection, IPv4 or IPv6
 * @is_tls: it is encrypted
 * @is_public: what is asked for needs no token
 */
struct api_head {
	const char *host;
	unsigned int n_hosts;
	const char *origin;
	unsigned int n_origins;
	const char *fetch_site;
	const char *authorization;
	unsigned int n_authorizations;
	const struct sockaddr *local;
	bool is_tls;
	bool is_public;
};

enum api_verdict {
	API_PASS,
	API_BAD_HOST,		/* none, or not one of ours */
	API_CROSS_ORIGIN,
	API_NO_TOKEN,
};

/**
 * api_guard_check - may it go on
 * @who: set to the name of its token, NULL if none is asked for; the guard's
 * @why: of @len bytes: a sentence, for whoever is turned away; never a token
 */
enum api_verdict api_guard_check(const struct api_guard *g, const struct api_head *head,
				 const char **who, char *why, size_t len);

#endif
