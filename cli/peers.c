// SPDX-License-Identifier: GPL-2.0-or-later
#include "peers.h"

#include <stdio.h>
#include <string.h>

#include "config.h"
#include "format.h"
#include "state.h"
#include "style.h"
#include "verbs.h"
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

const json_t *peers_lag(const json_t *peer)
{
	const json_t *lag = json_object_get(peer, "lag_ms");

	return json_is_true(json_object_get(peer, "connected")) || json_number_value(lag) > 0 ?
		       lag : NULL;
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

/* --- flyrep peers ---------------------------------------------------------- */

static void print_row(struct style_table *table, const json_t *peer)
{
	const struct state *state = state_of(peer, "state");
	char text[FORMAT_LEN], text2[FORMAT_LEN];
	bool is_up = json_is_true(json_object_get(peer, "connected"));

	style_table_cell(table, STYLE_HEAD, "%s", format_text(peer, "id"));
	style_table_cell(table, STYLE_PLAIN, "%s", format_text(peer, "role"));
	style_table_cell(table, state->style, "%s", state->text);
	style_table_cell(
		table, strcmp(state->text, "LAGGING") ? STYLE_PLAIN : STYLE_BAD,
		"%s", format_ms(peers_lag(peer), text));
	style_table_cell(table, STYLE_PLAIN, "%s",
			 format_count(json_object_get(peer, "backlog_changes"),
				      text));
	style_table_cell(table, STYLE_PLAIN, "%s",
			 format_ms(is_up ? json_object_get(peer, "rtt_ms") :
					   NULL,
				   text));
	style_table_cell(table, STYLE_PLAIN, "%s / %s",
			 format_bytes(json_object_get(peer, "tx_bytes"), text),
			 format_bytes(json_object_get(peer, "rx_bytes"),
				      text2));
	style_table_cell(table, STYLE_PLAIN, "%s",
			 format_ago(json_object_get(peer, "last_audit"), text));
	style_table_cell(table, STYLE_PLAIN, "%s",
			 format_ms(json_object_get(peer, "key_age_ms"), text));
	style_table_cell(table, STYLE_DIM, "%s", format_text(peer, "address"));
}

static void print_table(const struct cli *cli, const json_t *peers)
{
	static const struct style_column columns[] = {
		{ "peer", false },	     { "role", false },
		{ "state", false },	     { "lag", true },
		{ "backlog", true },	     { "rtt", true },
		{ "sent / received", true }, { "last audit", false },
		{ "keys", true },	     { "address", false },
	};
	struct style_table *table;
	const json_t *peer;
	size_t i;

	table = style_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(peers, i, peer)
		print_row(table, peer);
	style_table_end(cli, table);
}

/* What came without its key, and what of that could not be told. */
static void print_references(const struct cli *cli, const json_t *peer)
{
	const json_t *n = json_object_get(peer, "references");
	const json_t *n_lost = json_object_get(peer, "lost_references");
	char count[FORMAT_LEN];

	if (cli->verbose && json_integer_value(n) > 0)
		printf("%s: %s changes came by reference\n", format_text(peer, "id"),
		       format_count(n, count));
	if (json_integer_value(n_lost) > 0) {
		style_print(cli, STYLE_WARN, "%s: %s batches had references that could not be told",
			    format_text(peer, "id"), format_count(n_lost, count));
		putchar('\n');
	}
}

static void print_notes(const struct cli *cli, const json_t *peers)
{
	char count[FORMAT_LEN];
	const json_t *peer;
	size_t i;

	json_array_foreach(peers, i, peer) {
		const json_t *repairing =
			json_object_get(peer, "repairing_buckets");
		const char *error =
			json_string_value(json_object_get(peer, "error"));

		if (json_integer_value(repairing) > 0)
			printf("%s: repairing %s buckets\n",
			       format_text(peer, "id"),
			       format_count(repairing, count));
		if (error && *error) {
			style_print(cli, STYLE_BAD, "%s: %s",
				    format_text(peer, "id"), error);
			putchar('\n');
		}
		print_references(cli, peer);
	}
}

void peers_print(const struct cli *cli, const json_t *peers)
{
	if (!json_array_size(peers))
		return;
	print_table(cli, peers);
	print_notes(cli, peers);
}

bool peers_are_degraded(const json_t *peers)
{
	const json_t *peer;
	size_t i;

	json_array_foreach(peers, i, peer)
		if (state_of(peer, "state")->is_degraded)
			return true;
	return false;
}

int peers_run(struct cli *cli, int argc, char **argv)
{
	const json_t *peers;
	json_t *answer;
	int rc;

	(void)argc;
	(void)argv;
	rc = http_get(cli, "/api/replication/peers", &answer);
	if (rc)
		return rc;
	peers = json_object_get(answer, "peers");
	rc = peers_are_degraded(peers) ? CLI_DEGRADED : CLI_OK;
	if (cli->json)
		http_show(cli, answer);
	else if (json_array_size(peers))
		peers_print(cli, peers);
	else
		puts("no peers");
	json_decref(answer);
	return rc;
}
