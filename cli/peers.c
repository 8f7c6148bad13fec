// SPDX-License-Identifier: GPL-2.0-or-later
#include "peers.h"

#include <stdio.h>
#include <string.h>

#include "config.h"
#include "format.h"
#include "words.h"

int peers_check(const struct cli *cli, const char *verb, const char *what, const char *id)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	if (!id || (*id && strlen(id) <= FR_CONFIG_NODE_ID_MAX && !id[strspn(id, letters)]))
		return CLI_OK;
	return cli_usage(cli, verb, "%s\"%.80s\" is no node_id", what, id);
}

const json_t *peers_find(const json_t *peers, const char *id)
{
	const json_t *peer;
	size_t i;

	json_array_foreach(peers, i, peer)
		if (!strcmp(format_text(peer, "id"), id))
			return peer;
	return NULL;
}

/* The names of all peers with spaces between; "" if the agent does not tell. */
static void list(const struct cli *cli, char *words)
{
	char error[CLI_ERROR_LEN];
	struct cli quiet = *cli;
	const json_t *peer;
	size_t i, len = 0;
	json_t *answer;

	*words = '\0';
	quiet.error = error;
	if (http_get(&quiet, "/api/replication/status", &answer))
		return;
	json_array_foreach(json_object_get(json_object_get(answer, "status"), "peers"), i, peer)
		if (len < WORDS_LEN)
			len += (size_t)snprintf(words + len, WORDS_LEN - len, "%s%s",
						i ? " " : "", format_text(peer, "id"));
	json_decref(answer);
}

/* @rc: of a call that was refused with @error, about @id */
static int refused(const struct cli *cli, int rc, const char *error, const char *id)
{
	char words[WORDS_LEN], buf[WORDS_LEN];
	const char *best;

	list(cli, words);
	if (!*words || words_has(words, id))
		return cli_error(cli, rc, "%s", error);
	best = words_nearest(words, id, buf);
	if (best)
		return cli_error(cli, rc, "%s: did you mean %s?", error, best);
	return cli_error(cli, rc, "%s; there is: %s", error, words);
}

int peers_call(const struct cli *cli, const struct http_request *request, const char *id,
	      json_t **answer)
{
	char error[CLI_ERROR_LEN] = "";
	struct cli quiet = *cli;
	int rc;

	if (!id)
		return http_call(cli, request, answer);
	quiet.error = error;
	rc = http_call(&quiet, request, answer);
	if (rc == CLI_FAILED)
		return refused(cli, rc, error, id);
	return rc ? cli_error(cli, rc, "%s", error) : CLI_OK;
}
