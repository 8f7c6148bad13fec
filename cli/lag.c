// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep lag: how far behind each peer is, one line a peer */
#include "format.h"
#include "http.h"
#include "style.h"
#include "units.h"
#include "verbs.h"

/* The limit of --max in milliseconds; 0 = none. */
static int parse_max(const struct cli *cli, double *max_ms)
{
	const char *text = cli_flag(cli, "max");
	uint64_t ns;

	*max_ms = 0;
	if (!text)
		return CLI_OK;
	if (fr_units_parse_duration(text, &ns) || !ns)
		return cli_usage(cli, "lag",
				 "--max: \"%s\" is not a duration like 10s",
				 text);
	*max_ms = (double)ns / (double)FR_UNITS_NS_PER_MS;
	return CLI_OK;
}

/* A peer whose lag is not known is not within any limit. */
static bool is_over(const json_t *peer, double max_ms)
{
	const json_t *lag = json_object_get(peer, "max_ms");

	return max_ms > 0 &&
	       (!json_is_number(lag) || json_number_value(lag) > max_ms);
}

static void print_peers(const struct cli *cli, const json_t *peers,
			double max_ms)
{
	static const struct style_column columns[] = {
		{ "peer", false }, { "p50", true },	{ "p99", true },
		{ "max", true },   { "changes", true }, { "bytes", true },
	};
	static const char *const times[] = { "p50_ms", "p99_ms", "max_ms" };
	struct style_table *table =
		style_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char text[FORMAT_LEN];
	const json_t *peer;
	size_t i, j;

	json_array_foreach(peers, i, peer) {
		enum style style = is_over(peer, max_ms) ? STYLE_BAD :
							   STYLE_PLAIN;

		style_table_cell(table, STYLE_HEAD, "%s",
				 format_text(peer, "id"));
		for (j = 0; j < sizeof(times) / sizeof(times[0]); j++)
			style_table_cell(
				table, j == 2 ? style : STYLE_PLAIN, "%s",
				format_ms(json_object_get(peer, times[j]),
					  text));
		style_table_cell(table, STYLE_PLAIN, "%s",
				 format_count(json_object_get(peer, "changes"),
					      text));
		style_table_cell(table, STYLE_PLAIN, "%s",
				 format_bytes(json_object_get(peer, "bytes"),
					      text));
	}
	style_table_end(cli, table);
}

int lag_run(struct cli *cli, int argc, char **argv)
{
	const json_t *peers, *peer;
	json_t *answer;
	double max_ms;
	size_t i;
	int rc;

	(void)argc;
	(void)argv;
	rc = parse_max(cli, &max_ms);
	if (!rc)
		rc = http_get(cli, "/api/replication/lag", &answer);
	if (rc)
		return rc;
	peers = json_object_get(answer, "peers");
	if (cli->json)
		http_show(cli, answer);
	else if (json_array_size(peers))
		print_peers(cli, peers, max_ms);
	else
		puts("no peers");
	json_array_foreach(peers, i, peer)
		if (is_over(peer, max_ms))
			rc = CLI_DEGRADED;
	json_decref(answer);
	return rc;
}
