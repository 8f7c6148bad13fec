// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep status: the node, its peers and what it carries, on one screen */
#include "format.h"
#include "http.h"
#include "peers.h"
#include "state.h"
#include "style.h"
#include "verbs.h"

#include <string.h>

static void print_module(const struct cli *cli, const json_t *module)
{
	if (!json_is_true(json_object_get(module, "present"))) {
		style_print(cli, STYLE_BAD, "no kernel module");
		return;
	}
	printf("module %s", format_text(module, "version"));
	if (!json_is_true(json_object_get(module, "bound")))
		style_print(cli, STYLE_WARN, " not bound");
	else if (cli->verbose || !strcmp(format_text(module, "capture"), "netlink"))
		printf(" (%s)", format_text(module, "capture"));
}

static void print_node(const struct cli *cli, const json_t *status)
{
	const struct state *state = state_of(status, "sync_state");
	const json_t *pending = json_object_get(status, "conflicts_pending");
	const char *role =
		json_string_value(json_object_get(status, "ha_role"));
	char count[FORMAT_LEN];

	style_print(cli, STYLE_HEAD, "%s", format_text(status, "node_id"));
	printf("  %s  ", role && *role ? role : format_text(status, "mode"));
	style_print(cli, state->style, "%s", state->text);
	printf("  epoch %s  ",
	       format_count(json_object_get(status, "epoch"), count));
	print_module(cli, json_object_get(status, "module"));
	if (json_integer_value(pending) > 0)
		style_print(cli, STYLE_BAD, "  %s %s pending", format_count(pending, count),
			    json_integer_value(pending) == 1 ? "conflict" : "conflicts");
	if (json_is_true(json_object_get(status, "paused")))
		style_print(cli, STYLE_WARN, "  paused");
	putchar('\n');
	if (!cli->verbose)
		return;
	printf("flyrep %s", format_text(status, "version"));
	printf(", configured as %s", format_text(status, "mode"));
	printf(", sequence %s",
	       format_count(json_object_get(status, "sequence"), count));
	printf(", last sync %s\n",
	       format_ago(json_object_get(status, "last_sync_time"), count));
}

/* Only what is not well: that a node is in step is said above already. */
static void print_step(const struct cli *cli, const json_t *table)
{
	const json_t *n = json_object_get(table, "buckets_differ");
	char count[FORMAT_LEN];

	if (!json_is_false(json_object_get(table, "in_step")))
		return;
	if (json_is_integer(n))
		style_print(cli, STYLE_BAD, "  %s buckets differ",
			    format_count(n, count));
	else
		style_print(cli, STYLE_BAD, "  differs");
}

/* What the filters did, as far as they did anything. */
static void print_filtered(const struct cli *cli, const json_t *table)
{
	static const struct {
		const char *key, *text;
	} counts[] = { { "filtered", "filtered" },
		       { "withdrawn", "withdrawn" },
		       { "missing_value", "with a value missing" },
		       { "reduced", "reduced" },
		       { "refused_here", "refused here" } };
	char count[FORMAT_LEN];
	size_t i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const json_t *n = json_object_get(table, counts[i].key);

		if (json_integer_value(n) > 0)
			style_print(cli, STYLE_DIM, "  %s %s",
				    format_count(n, count), counts[i].text);
	}
}

static void print_tables(const struct cli *cli, const json_t *tables)
{
	char count[FORMAT_LEN];
	const json_t *table;
	size_t i;

	if (json_array_size(tables))
		putchar('\n');
	json_array_foreach(tables, i, table) {
		printf("%s  %s", format_text(table, "table"),
		       format_count(json_object_get(table, "entries"), count));
		print_step(cli, table);
		if (cli->verbose)
			print_filtered(cli, table);
		if (cli->verbose)
			style_print(cli, STYLE_DIM, "  digest %s",
				    format_text(table, "digest"));
		putchar('\n');
	}
}

/* How many voters there are, and each of them for who wants to know more. */
static void print_quorum(const struct cli *cli, const json_t *status)
{
	const json_t *quorum = json_object_get(status, "quorum"), *voter;
	bool is_enabled = json_is_true(json_object_get(quorum, "enabled"));
	char count[FORMAT_LEN], count2[FORMAT_LEN];
	size_t i;

	if (is_enabled || (quorum && cli->verbose))
		putchar('\n');
	if (is_enabled) {
		printf("quorum  %s of %s voters",
		       format_count(json_object_get(quorum, "alive"), count),
		       format_count(json_object_get(quorum, "votes"), count2));
		printf(", %s needed\n", format_count(json_object_get(quorum, "needed"), count));
	}
	if (!cli->verbose)
		return;
	json_array_foreach(json_object_get(json_object_get(status, "heartbeat"), "voters"), i,
			   voter) {
		bool is_alive = json_is_true(json_object_get(voter, "alive"));

		printf("heartbeat  %s  ", format_text(voter, "name"));
		style_print(cli, is_alive ? STYLE_GOOD : STYLE_BAD, "%s",
			    is_alive ? "alive" : "SILENT");
		printf("  %s  epoch %s\n", format_ms(json_object_get(voter, "rtt_ms"), count),
		       format_count(json_object_get(voter, "epoch"), count2));
	}
}

static void print_warnings(const struct cli *cli, const json_t *status)
{
	const char *error = json_string_value(json_object_get(status, "error"));
	const json_t *warning;
	size_t i;

	if (error && *error) {
		style_print(cli, STYLE_BAD, "error: %s", error);
		putchar('\n');
	}
	json_array_foreach(json_object_get(status, "warnings"), i, warning) {
		const char *text = json_string_value(warning);

		if (!text || (error && !strcmp(text, error)))
			continue;
		style_print(cli, STYLE_WARN, "warning: %s", text);
		putchar('\n');
	}
}

static bool is_degraded(const json_t *status)
{
	if (json_integer_value(json_object_get(status, "conflicts_pending")) > 0 ||
	    json_is_string(json_object_get(status, "ledger_error")))
		return true;
	if (state_of(status, "sync_state")->is_degraded ||
	    strcmp(format_text(status, "backup_trouble"), "-") != 0)
		return true;
	return peers_are_degraded(json_object_get(status, "peers"));
}

int status_run(struct cli *cli, int argc, char **argv)
{
	json_t *answer, *status;
	int rc;

	(void)argc;
	(void)argv;
	rc = http_get(cli, "/api/replication/status", &answer);
	if (rc)
		return rc;
	status = json_object_get(answer, "status");
	rc = is_degraded(status) ? CLI_DEGRADED : CLI_OK;
	if (cli->json) {
		http_show(cli, answer);
	} else {
		const json_t *peers = json_object_get(status, "peers");

		print_node(cli, status);
		if (json_array_size(peers))
			putchar('\n');
		peers_print(cli, peers);
		print_tables(cli, json_object_get(status, "tables"));
		print_quorum(cli, status);
		print_warnings(cli, status);
	}
	json_decref(answer);
	return rc;
}
