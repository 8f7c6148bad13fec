// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep key: fresh keys for the sessions with the peers */
#include "format.h"
#include "http.h"
#include "peers.h"
#include "verbs.h"

#include <string.h>
#include <time.h>

#define ROTATE_TIMEOUT_S 40 /* the agent gives up sooner, and says why */
#define POLL_MS 50

static json_int_t count_of(const json_t *peer, const char *key)
{
	return json_integer_value(json_object_get(peer, key));
}

/* Has the agent done what it began, or given it up? */
static bool is_over(const json_t *begun, const json_t *now)
{
	return !json_is_true(json_object_get(now, "connected")) ||
	       count_of(now, "key_renewals") > count_of(begun, "renewals") ||
	       *json_string_value(json_object_get(now, "key_trouble"));
}

/* Wait until all are over; *answer: the status then. */
static int wait_for(const struct cli *cli, const json_t *begun, json_t **answer)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int i, rc;

	for (i = 0; i < ROTATE_TIMEOUT_S * 1000 / POLL_MS; i++) {
		const json_t *peers, *peer;
		bool is_done = true;
		size_t k;

		rc = http_get(cli, "/api/replication/status", answer);
		if (rc)
			return rc;
		peers = json_object_get(json_object_get(*answer, "status"),
					"peers");
		json_array_foreach(begun, k, peer) {
			const json_t *now =
				peers_find(peers, format_text(peer, "id"));

			is_done &= now && json_is_string(json_object_get(
						  now, "key_trouble")) ?
					   is_over(peer, now) :
					   true;
		}
		if (is_done)
			return CLI_OK;
		json_decref(*answer);
		nanosleep(&pause, NULL);
	}
	return cli_error(cli, CLI_TIMED_OUT, "the keys were not replaced in time");
}

/* One line for each; CLI_FAILED if one has its old keys still. */
static int print_result(const struct cli *cli, const json_t *begun,
			const json_t *peers)
{
	json_t *result = json_array();
	const json_t *peer;
	int rc = CLI_OK;
	size_t i;

	json_array_foreach(begun, i, peer) {
		const char *id = format_text(peer, "id"), *why;
		const json_t *now = peers_find(peers, id);
		bool is_new = count_of(now, "key_renewals") >
			      count_of(peer, "renewals");
		char age[FORMAT_LEN];

		why = is_new ? "" : format_text(now, "key_trouble");
		if (!is_new)
			rc = CLI_FAILED;
		json_array_append_new(result,
				      json_pack("{s:s, s:b, s:s}", "id", id,
						"rotated", is_new, "error",
						why));
		if (cli->json)
			continue;
		if (is_new)
			printf("%s  fresh keys, %s old\n", id,
			       format_ms(json_object_get(now, "key_age_ms"),
					 age));
		else
			printf("%s  keys not replaced: %s\n", id, why);
	}
	if (cli->json) {
		json_t *all = json_pack("{s:O}", "peers", result);

		http_show(cli, all);
		json_decref(all);
	}
	json_decref(result);
	return rc;
}

static int rotate(const struct cli *cli, const char *peer)
{
	struct http_request request = { "POST", "/api/replication/key/rotate",
					NULL, HTTP_TIMEOUT_S, NULL };
	json_t *begun, *answer;
	int rc;

	request.body = peer ? json_pack("{s:s}", "peer", peer) : json_object();
	rc = peers_call(cli, &request, peer, &begun);
	json_decref(request.body);
	if (rc)
		return rc;
	rc = wait_for(cli, json_object_get(begun, "peers"), &answer);
	if (!rc) {
		rc = print_result(cli, json_object_get(begun, "peers"),
				  json_object_get(json_object_get(answer,
								  "status"),
						  "peers"));
		json_decref(answer);
	}
	json_decref(begun);
	return rc;
}

int key_run(struct cli *cli, int argc, char **argv)
{
	int rc;

	if (argc < 2)
		return cli_usage(cli, "key", "say key rotate, and maybe a peer");
	if (argc > 3)
		return cli_usage(cli, "key", "one peer at a time");
	rc = peers_check(cli, "key", "", argv[2]); /* NULL behind the last */
	return rc ? rc : rotate(cli, argv[2]);
}
