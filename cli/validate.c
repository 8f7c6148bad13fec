// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep validate: are this node and its peers the same, record by record */
#include "format.h"
#include "http.h"
#include "style.h"
#include "verbs.h"

/* A deep comparison reads both kernels' tables. */
#define DEEP_TIMEOUT_S 300

static void print_verdict(struct style_table *table, const char *name,
			  enum style style, const json_t *of)
{
	static const char *const counts[] = {
		"entries_local", "entries_remote", "buckets_differ",
		"missing",	 "stale",	   "differ"
	};
	bool is_equal = json_is_true(json_object_get(of, "equal"));
	char text[FORMAT_LEN];
	size_t i;

	style_table_cell(table, style, "%s", name);
	style_table_cell(table, is_equal ? STYLE_GOOD : STYLE_BAD, "%s",
			 is_equal ? "equal" : "DIFFERS");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const json_t *n = json_object_get(of, counts[i]);

		style_table_cell(table,
				 i > 1 && json_integer_value(n) ? STYLE_BAD :
								  STYLE_PLAIN,
				 "%s", format_count(n, text));
	}
}

/* A row a peer, and one for each table where there are several. */
static void print_peers(const struct cli *cli, const json_t *peers)
{
	static const struct style_column columns[] = {
		{ "peer", false }, { "verdict", false },  { "here", true },
		{ "there", true }, { "buckets", true },	  { "missing", true },
		{ "stale", true }, { "different", true },
	};
	struct style_table *table =
		style_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *peer, *tables, *one;
	char name[FORMAT_LEN];
	size_t i, j;

	json_array_foreach(peers, i, peer) {
		print_verdict(table, format_text(peer, "id"), STYLE_HEAD, peer);
		tables = json_object_get(peer, "tables");
		if (json_array_size(tables) < 2)
			continue;
		json_array_foreach(tables, j, one) {
			snprintf(name, sizeof(name), "  %s",
				 format_text(one, "table"));
			print_verdict(table, name, STYLE_PLAIN, one);
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
						  HTTP_TIMEOUT_S,
					"comparing" };
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
