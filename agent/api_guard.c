// SPDX-License-Identifier: GPL-2.0-or-later
#include "api_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define HOST_LEN 272 /* name, colon and port */

/* Hashes, so that comparing takes the same time whatever a token and its length are. */
struct token {
	char name[FR_CONFIG_NODE_ID_MAX + 1];
	uint8_t hash[SHA256_DIGEST_LENGTH];
};

struct api_guard {
	size_t n_tokens;
	struct token tokens[FR_CONFIG_TOKENS_MAX];
	size_t n_hosts;
	char hosts[FR_CONFIG_API_HOSTS_MAX][HOST_LEN];
};

/* A name and a port as they stand in Host. */
struct host {
	char name[HOST_LEN];
	unsigned int port;	/* 0: none is given */
	bool is_v6;		/* in brackets, which @name is without */
};

struct api_guard *api_guard_new(const struct fr_config_api *config)
{
	struct api_guard *g = calloc(1, sizeof(*g));
	size_t i;

	if (!g)
		return NULL;
	for (i = 0; i < config->n_tokens; i++) {
		const struct fr_config_token *t = &config->tokens[i];

		snprintf(g->tokens[i].name, sizeof(g->tokens[i].name), "%s", t->name);
		if (!SHA256(t->secret.bytes, t->secret.len, g->tokens[i].hash)) {
			free(g);
			return NULL;
		}
		g->n_tokens++;
	}
	for (i = 0; i < config->hosts.n; i++)
		snprintf(g->hosts[g->n_hosts++], HOST_LEN, "%s", config->hosts.v[i]);
	return g;
}

void api_guard_free(struct api_guard *g)
{
	free(g);
}

bool api_guard_has_tokens(const struct api_guard *g)
{
	return g->n_tokens;
}

/* --- Host ---------------------------------------------------------------- */

static bool parse_port(const char *text, unsigned int *port)
{
	size_t len = strspn(text, "0123456789");

	if (!len || len > 5 || text[len])
		return false;
	*port = (unsigned int)atoi(text);
	return *port && *port <= 65535;
}

static bool parse_host(const char *text, struct host *h)
{
	const char *end;
	size_t len;

	*h = (struct host){ .is_v6 = *text == '[' };
	if (h->is_v6)
		text++;
	end = h->is_v6 ? strchr(text, ']') : text + strcspn(text, ":");
	len = end ? (size_t)(end - text) : 0;
	if (!len || len >= sizeof(h->name))
		return false;
	memcpy(h->name, text, len);
	end += h->is_v6;
	return !*end || (*end == ':' && parse_port(end + 1, &h->port));
}

static unsigned int port_of(const struct sockaddr *a)
{
	return ntohs(a->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port :
						((const struct sockaddr_in *)a)->sin_port);
}

static bool is_loopback(const struct sockaddr *a)
{
	struct fr_address address = { 0 };

	memcpy(&address.sa, a, a->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
							  sizeof(struct sockaddr_in));
	return fr_address_is_loopback(&address);
}

/* The very address that was dialled: no other site can have that for a name. */
static bool is_address(const struct host *h, const struct sockaddr *local)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)local;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)local;
	bool is_v6 = local->sa_family == AF_INET6;
	unsigned char addr[16];

	if (h->is_v6 != is_v6 ||
	    inet_pton(local->sa_family, h->name, addr) != 1)
		return false;
	return h->is_v6 ? !memcmp(addr, &sin6->sin6_addr, sizeof(sin6->sin6_addr)) :
			  !memcmp(addr, &sin->sin_addr, sizeof(sin->sin_addr));
}

/* One of api.hosts; without a port there it is at ours. */
static bool is_listed(const struct api_guard *g, const struct host *h, unsigned int ours)
{
	struct host listed;
	size_t i;

	for (i = 0; i < g->n_hosts; i++)
		if (parse_host(g->hosts[i], &listed) && !strcasecmp(listed.name, h->name) &&
		    !h->is_v6 && h->port == (listed.port ? listed.port : ours))
			return true;
	return false;
}

static bool is_ours(const struct api_guard *g, const struct api_head *head, struct host *h)
{
	unsigned int ours = port_of(head->local);

	if (!h->port)
		h->port = head->is_tls ? 443 : 80;
	if (is_listed(g, h, ours))
		return true;
	if (h->port != ours)
		return false;
	return is_address(h, head->local) ||
	       (is_loopback(head->local) && !h->is_v6 && !strcasecmp(h->name, "localhost"));
}

/* --- Origin -------------------------------------------------------------- */

/* "http://" and what stands in Host. Scheme, name and port are all there is in one. */
static bool is_same_origin(const struct api_head *head)
{
	const char *scheme = head->is_tls ? "https://" : "http://";
	size_t len = strlen(scheme);

	return !strncasecmp(head->origin, scheme, len) &&
	       !strcasecmp(head->origin + len, head->host);
}

static bool is_same_site(const char *fetch_site)
{
	/* none: a person typed it. */
	return !strcmp(fetch_site, "same-origin") || !strcmp(fetch_site, "none");
}

/* --- Authorization ------------------------------------------------------- */

static const char *find_token(const struct api_guard *g, const char *authorization)
{
	static const char scheme[] = "Bearer ";
	uint8_t hash[SHA256_DIGEST_LENGTH];
	const char *name = NULL, *token;
	size_t i;

	if (!authorization || strncasecmp(authorization, scheme, sizeof(scheme) - 1))
		return NULL;
	token = authorization + sizeof(scheme) - 1;
	token += strspn(token, " ");
	if (!SHA256((const unsigned char *)token, strlen(token), hash))
		return NULL;
	/* All of them: how long it takes tells nothing. */
	for (i = 0; i < g->n_tokens; i++)
		if (!CRYPTO_memcmp(hash, g->tokens[i].hash, sizeof(hash)))
			name = g->tokens[i].name;
	return name;
}

enum api_verdict api_guard_check(const struct api_guard *g, const struct api_head *head,
				 const char **who, char *why, size_t len)
{
	struct host h;

	*who = NULL;
	if (head->n_hosts != 1 || !head->host || !parse_host(head->host, &h)) {
		snprintf(why, len, "one Host is needed: a name or address and the port");
		return API_BAD_HOST;
	}
	if (!is_ours(g, head, &h)) {
		snprintf(why, len, "Host: %.128s is not this API; api.hosts may name it",
			 head->host);
		return API_BAD_HOST;
	}
	if (head->n_origins > 1 || (head->origin && !is_same_origin(head)) ||
	    (head->fetch_site && !is_same_site(head->fetch_site))) {
		snprintf(why, len, "a page of another site may not call this API");
		return API_CROSS_ORIGIN;
	}
	if (!g->n_tokens || head->is_public)
		return API_PASS;
	if (head->n_authorizations == 1)
		*who = find_token(g, head->authorization);
	if (*who)
		return API_PASS;
	snprintf(why, len, "%s", head->n_authorizations ?
		 "the token is none of api.token_file" :
		 "a token is needed, in Authorization: Bearer TOKEN");
	return API_NO_TOKEN;
}
