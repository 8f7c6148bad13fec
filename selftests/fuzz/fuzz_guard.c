// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whatever Host, Origin, Sec-Fetch-Site and Authorization say: who passes has called the API by one
 * of its names, from no other site, and has a token where one is asked for.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api_guard.h"

#define TOKEN "0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static bool is_name(const char *host, const struct api_head *head)
{
	static const char *const names[] = { "localhost:8080", "127.0.0.1:8080", "fw.example:8080",
					     "fw.example:08080", "tunnel.example:9", "bare.example",
					     "bare.example:80" };
	size_t i;

	/* Zeros before a number are none of our business, nor is a port that goes without saying. */
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcasecmp(host, names[i]))
			return true;
	return strstr(host, ":0") && head->n_hosts == 1;
}

static bool has_token(const char *authorization)
{
	const char *token = authorization + strlen("Bearer ");

	return !strncasecmp(authorization, "Bearer ", strlen("Bearer ")) &&
	       !strcmp(token + strspn(token, " "), TOKEN);
}

/* The next line of the input, NULL: there is none, or it is "-". */
static char *next(char **rest)
{
	char *line = strsep(rest, "\n");

	return line && strcmp(line, "-") ? line : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(8080),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char *hosts[] = { "fw.example", "tunnel.example:9", "bare.example:80" };
	struct fr_config_token token = { "ops", { (const uint8_t *)TOKEN, strlen(TOKEN) } };
	struct fr_config_api config = { .hosts = { hosts, 3 }, .tokens = &token };
	struct api_head head = { .local = (const struct sockaddr *)&local };
	struct api_guard *g;
	char text[2048], *rest = text, why[300] = "";
	enum api_verdict verdict;
	const char *who;

	if (!len || len > sizeof(text))
		return 0;
	config.n_tokens = data[0] & 1;
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	head.host = next(&rest);
	head.n_hosts = !!head.host + (data[0] >> 1 & 1);
	head.origin = next(&rest);
	head.n_origins = !!head.origin;
	head.fetch_site = next(&rest);
	head.authorization = next(&rest);
	head.n_authorizations = !!head.authorization + (data[0] >> 2 & 1);
	g = api_guard_new(&config);
	must(g);
	verdict = api_guard_check(g, &head, &who, why, sizeof(why));
	if (verdict == API_PASS) {
		must(head.n_hosts == 1 && is_name(head.host, &head));
		must(!head.origin || (!strncasecmp(head.origin, "http://", 7) &&
				      !strcasecmp(head.origin + 7, head.host)));
		must(!head.fetch_site || !strcmp(head.fetch_site, "none") ||
		     !strcmp(head.fetch_site, "same-origin"));
		must(!config.n_tokens == !who);
		must(!who || (has_token(head.authorization) && head.n_authorizations == 1));
	} else {
		/* Host is told as it came; a token never is. */
		must(*why && (verdict == API_BAD_HOST || !strstr(why, TOKEN)));
	}
	api_guard_free(g);
	return 0;
}
