// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep validate: are this node and its peers the same, record by record */
#include "format.h"
#include "http.h"
#include "style.h"
#include "verbs.h"

/* A deep comparison reads both kernels' tables. */
#define DEEP_TIMEOUT_S 300

static void print_peers(const struct cli *cli, const json_t *peers)
{
	static const struct style_column columns[] = {
		{ "peer", false }, { "verdict", false },  { "here", true },
		{ "there", true }, { "buckets", true },	  { "missing", true },
		{ "stale", true }, { "different", true },
	};
	static const char *const counts[] = {
		"entries_local", "entries_remote", "buckets_differ",
		"missing",	 "stale",	   "differ"
	};
	struct style_table *table =
		style_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char text[FORMAT_LEN];
	const json_t *peer;
	size_t i, j;

	json_array_foreach(peers, i, peer) {
		bool is_equal = json_is_true(json_object_get(peer, "equal"));

		style_table_cell(table, STYLE_HEAD, "%s",
				 format_text(peer, "id"));
		style_table_cell(table, is_equal ? STYLE_GOOD : STYLE_BAD, "%s",
				 is_equal ? "equal" : "DIFFERS");
		for (j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
			const json_t *n = json_object_get(peer, counts[j]);

			style_table_cell(table,
					 j > 1 && json_integer_value(n) ?
						 STYLE_BAD :
						 STYLE_PLAIN,
					 "%s", format_count(n, text));
		}
	}
	style_table_end(cli, table);
}

int validate_run(struct cli *cli, int argc, char **argv)
{
	bool is_deep = cli_flag(cli, "deep");
	struct http_request request = { "POST", "/api/replication/validate",
					NULL,
					is_deep ? DEEP_TIMEOUT_S :
						  HTTP_TIMEOUT_S };
	char took[FORMAT_LEN];
	const json_t *peers;
	json_t *answer;
	int rc;

	(void)argc;
	(void)argv;
	request.body = json_pack("{s:b}", "deep", is_deep);
	rc = http_call(cli, &request, &answer);
	json_decref(request.body);
	if (rc)
		return rc;
	peers = json_object_get(answer, "peers");
	rc = json_is_true(json_object_get(answer, "equal")) ? CLI_OK :
							      CLI_FAILED;
	if (cli->json) {
		http_show(cli, answer);
	} else {
		if (json_array_size(peers))
			print_peers(cli, peers);
		else
			puts("no peers to compare with");
		printf("%s comparison, %s\n", is_deep ? "deep" : "digest",
		       format_ms(json_object_get(answer, "took_ms"), took));
	}
	json_decref(answer);
	return rc;
}
