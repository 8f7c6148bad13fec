// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep debug: all there is to know about one peer, in groups */
#include "events.h"
#include "format.h"
#include "http.h"
#include "peers.h"
#include "state.h"
#include "style.h"
#include "verbs.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

enum kind {
	TEXT,
	STATE,
	COUNT,
	BYTES,
	MS,
	AGO,
	YES, /* or no */
	LIST,
};

/* What of an object is shown, and how. What is zero, no or empty is left out unless asked for. */
struct row {
	const char *label, *key;
	enum kind kind;
	bool is_always;
	enum style style; /* of what is not zero, no or empty */
};

static const struct row peer_rows[] = {
	{ "role", "role", TEXT, true, STYLE_PLAIN },
	{ "state", "state", STATE, true, STYLE_PLAIN },
	{ "error", "error", TEXT, false, STYLE_BAD },
	{ "paused there", "paused", YES, false, STYLE_BAD },
	{ 0 },
};

static const struct row session_rows[] = {
	{ "connection", "state", TEXT, true, STYLE_PLAIN },
	{ "for", "since_ms", MS, true, STYLE_PLAIN },
	{ "address", "address", TEXT, true, STYLE_PLAIN },
	{ "dialled here", "dialled_here", YES, true, STYLE_PLAIN },
	{ "expected name", "expected_id", TEXT, true, STYLE_PLAIN },
	{ "this node's part", "relation", TEXT, true, STYLE_PLAIN },
	{ "version there", "version", TEXT, true, STYLE_PLAIN },
	{ "wire version", "wire_version", COUNT, true, STYLE_PLAIN },
	{ "epoch there", "epoch", COUNT, true, STYLE_PLAIN },
	{ "replicates", "offers", LIST, true, STYLE_PLAIN },
	{ "round trip", "rtt_ms", MS, true, STYLE_PLAIN },
	{ "silent for", "idle_ms", MS, false, STYLE_PLAIN },
	{ "sent", "tx_bytes", BYTES, true, STYLE_PLAIN },
	{ "received", "rx_bytes", BYTES, true, STYLE_PLAIN },
	{ "encrypted", "encrypted", YES, true, STYLE_PLAIN },
	{ "previous secret", "old_secret", YES, false, STYLE_WARN },
	{ "age of keys", "key_age_ms", MS, true, STYLE_PLAIN },
	{ "renewals", "key_renewals", COUNT, false, STYLE_PLAIN },
	{ "keys not replaced", "key_trouble", TEXT, false, STYLE_WARN },
	{ "heartbeat stopped", "suspect", YES, false, STYLE_BAD },
	{ "back-off if lost", "backoff_ms", MS, false, STYLE_PLAIN },
	{ "error", "error", TEXT, false, STYLE_BAD },
	{ 0 },
};

static const struct row ship_rows[] = {
	{ "acknowledged", "acked_sequence", COUNT, true, STYLE_PLAIN },
	{ "next", "next_sequence", COUNT, true, STYLE_PLAIN },
	{ "waiting changes", "changes", COUNT, true, STYLE_PLAIN },
	{ "waiting bytes", "bytes", BYTES, false, STYLE_PLAIN },
	{ "the oldest", "oldest_ms", MS, false, STYLE_PLAIN },
	{ "in flight", "in_flight_bytes", BYTES, false, STYLE_PLAIN },
	{ "window", "window_bytes", BYTES, false, STYLE_PLAIN },
	{ "in the socket", "socket_bytes", BYTES, false, STYLE_PLAIN },
	{ "paused", "paused", YES, false, STYLE_BAD },
	{ "held back", "held_back", LIST, false, STYLE_WARN },
	{ "lag p50", "lag_p50_ms", MS, true, STYLE_PLAIN },
	{ "lag p99", "lag_p99_ms", MS, true, STYLE_PLAIN },
	{ "lag max", "lag_max_ms", MS, true, STYLE_PLAIN },
	{ "last audit", "last_audit", AGO, true, STYLE_PLAIN },
	{ "audits", "audits", COUNT, false, STYLE_PLAIN },
	{ "audit running", "auditing", YES, false, STYLE_PLAIN },
	{ "equal", "equal", YES, true, STYLE_GOOD },
	{ "entries there", "remote_entries", COUNT, true, STYLE_PLAIN },
	{ "buckets differ", "buckets_differ", COUNT, false, STYLE_BAD },
	{ "repairing", "repairing", YES, false, STYLE_WARN },
	{ "to be repaired", "dirty_buckets", COUNT, false, STYLE_WARN },
	{ "repaired buckets", "repaired_buckets", COUNT, false, STYLE_PLAIN },
	{ "repair records", "repair_records", COUNT, false, STYLE_PLAIN },
	{ "repair bytes", "repair_bytes", BYTES, false, STYLE_PLAIN },
	{ "refused there", "refused", COUNT, false, STYLE_WARN },
	{ "fell off backlog", "jumps", COUNT, false, STYLE_WARN },
	{ "skipped", "skips", COUNT, false, STYLE_PLAIN },
	{ "sessions", "sessions", COUNT, false, STYLE_PLAIN },
	{ 0 },
};

static const struct row receive_rows[] = {
	{ "applied", "sequence", COUNT, true, STYLE_PLAIN },
	{ "batches", "batches", COUNT, true, STYLE_PLAIN },
	{ "changes", "changes", COUNT, true, STYLE_PLAIN },
	{ "waiting there", "remote_changes", COUNT, false, STYLE_PLAIN },
	{ "refused here", "refused", COUNT, false, STYLE_WARN },
	{ "last audit", "last_audit", AGO, true, STYLE_PLAIN },
	{ "equal", "equal", YES, true, STYLE_GOOD },
	{ "entries there", "writer_entries", COUNT, true, STYLE_PLAIN },
	{ "repairing", "repairing", YES, false, STYLE_WARN },
	{ "waits for backup", "wants_backup", YES, false, STYLE_BAD },
	{ "by reference", "references", COUNT, false, STYLE_PLAIN },
	{ "lost references", "lost_references", COUNT, false, STYLE_WARN },
	{ "hops from writer", "distance", COUNT, false, STYLE_PLAIN },
	{ 0 },
};

static const struct row heartbeat_rows[] = {
	{ "alive", "alive", YES, true, STYLE_GOOD },
	{ "address", "address", TEXT, true, STYLE_PLAIN },
	{ "heard", "heard_ms", MS, true, STYLE_PLAIN },
	{ "round trip", "rtt_ms", MS, true, STYLE_PLAIN },
	{ "role", "role", TEXT, true, STYLE_PLAIN },
	{ "epoch", "epoch", COUNT, true, STYLE_PLAIN },
	{ "promised", "promised", COUNT, false, STYLE_PLAIN },
	{ "counts votes", "votes", COUNT, false, STYLE_PLAIN },
	{ 0 },
};

static const struct row clock_rows[] = {
	{ "ahead by (ms)", "offset_ms", TEXT, true, STYLE_PLAIN },
	{ "tolerance", "tolerance_ms", MS, true, STYLE_PLAIN },
	{ 0 },
};

static void print_list(const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		printf("%s%s", i ? ", " : "", json_string_value(item));
	if (!json_array_size(list))
		putchar('-');
}

static bool is_nothing(const json_t *value)
{
	return !value || json_is_null(value) || json_is_false(value) ||
	       (json_is_string(value) && !json_string_length(value)) ||
	       (json_is_number(value) && json_number_value(value) == 0) ||
	       (json_is_array(value) && !json_array_size(value));
}

static const char *value_text(const struct row *row, const json_t *object, char *buf)
{
	const json_t *value = json_object_get(object, row->key);

	switch (row->kind) {
	case COUNT:
		return format_count(value, buf);
	case BYTES:
		return format_bytes(value, buf);
	case MS:
		return format_ms(value, buf);
	case AGO:
		return format_ago(value, buf);
	case YES:
		return json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-";
	default:
		break;
	}
	if (!json_is_integer(value))
		return format_text(object, row->key);
	snprintf(buf, FORMAT_LEN, "%lld", (long long)json_integer_value(value));
	return buf;
}

static void print_value(const struct cli *cli, const struct row *row, const json_t *object)
{
	const json_t *value = json_object_get(object, row->key);
	const struct state *state;
	char buf[FORMAT_LEN];

	if (row->kind == STATE) {
		state = state_of(object, row->key);
		style_print(cli, state->style, "%s", state->text);
	} else if (row->kind == LIST) {
		print_list(value);
	} else {
		style_print(cli, is_nothing(value) ? STYLE_PLAIN : row->style, "%s",
			    value_text(row, object, buf));
	}
}

static void print_rows(const struct cli *cli, const struct row *row, const json_t *object)
{
	for (; row->label; row++) {
		if (!row->is_always && !cli->verbose &&
		    is_nothing(json_object_get(object, row->key)))
			continue;
		printf("  %s: ", row->label);
		print_value(cli, row, object);
		putchar('\n');
	}
}

static void print_group(const struct cli *cli, const char *title, const struct row *rows,
			const json_t *object)
{
	putchar('\n');
	style_print(cli, STYLE_HEAD, "%s", title);
	putchar('\n');
	print_rows(cli, rows, object);
}

/* "both", of what travels; in the words of queue status */
static const char *way_of(const json_t *table)
{
	bool is_sent = json_is_true(json_object_get(table, "sent"));
	bool is_received = json_is_true(json_object_get(table, "received"));

	return is_sent && is_received ? "both" : is_sent ? "out" : is_received ? "in" : "none";
}

static void print_tables(const struct cli *cli, const json_t *tables)
{
	static const struct style_column columns[] = {
		{ "  table", false }, { "way", false },	     { "here", true },
		{ "there", true },    { "differ", true },    { "to repair", true },
		{ "refused", true },  { "unrepaired", true },
	};
	static const char *const counts[] = { "entries",       "remote_entries", "buckets_differ",
					      "dirty_buckets", "refused",	 "unrepaired" };
	struct style_table *out = style_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char text[FORMAT_LEN];
	const json_t *table;
	size_t i, k;

	putchar('\n');
	style_print(cli, STYLE_HEAD, "tables");
	putchar('\n');
	json_array_foreach(tables, i, table) {
		style_table_cell(out, STYLE_PLAIN, "  %s", format_text(table, "table"));
		style_table_cell(out, STYLE_PLAIN, "%s", way_of(table));
		for (k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
			const json_t *n = json_object_get(table, counts[k]);

			style_table_cell(out, k > 1 && json_integer_value(n) ? STYLE_BAD :
									       STYLE_PLAIN,
					 "%s", format_count(n, text));
		}
	}
	style_table_end(cli, out);
}

static void print_all(const struct cli *cli, const json_t *answer)
{
	const json_t *peer = json_object_get(answer, "peer");
	const json_t *ship = json_object_get(answer, "ship");
	const json_t *receive = json_object_get(answer, "receive");
	const json_t *heartbeat = json_object_get(answer, "heartbeat");
	const json_t *events = json_object_get(answer, "events");

	style_print(cli, STYLE_HEAD, "peer: %s", format_text(peer, "id"));
	putchar('\n');
	print_rows(cli, peer_rows, peer);
	print_group(cli, "session", session_rows, json_object_get(answer, "session"));
	if (json_is_true(json_object_get(ship, "started")) || cli->verbose)
		print_group(cli, "ship: to this peer", ship_rows, ship);
	if (json_is_true(json_object_get(receive, "started")) || cli->verbose)
		print_group(cli, "receive: from this peer", receive_rows, receive);
	if (json_array_size(json_object_get(answer, "tables")))
		print_tables(cli, json_object_get(answer, "tables"));
	if (json_is_object(heartbeat))
		print_group(cli, "heartbeat", heartbeat_rows, heartbeat);
	print_group(cli, "clock", clock_rows, json_object_get(answer, "clock"));
	if (!json_array_size(events))
		return;
	putchar('\n');
	style_print(cli, STYLE_HEAD, "events");
	putchar('\n');
	events_print(cli, events);
}

/* The only peer there is, if none was named; @id: of WORDS_LEN bytes */
static int choose(const struct cli *cli, char *id)
{
	json_t *answer;
	int rc = http_get(cli, "/api/replication/peers", &answer);
	const json_t *peers, *peer;
	size_t i, len = 0;

	if (rc)
		return rc;
	peers = json_object_get(answer, "peers");
	json_array_foreach(peers, i, peer)
		if (len < WORDS_LEN)
			len += (size_t)snprintf(id + len, WORDS_LEN - len, "%s%s",
						i ? ", " : "", format_text(peer, "id"));
	if (!i)
		rc = cli_error(cli, CLI_FAILED, "this node has no peers");
	else if (i > 1)
		rc = cli_usage(cli, "debug", "--peer: which one of %s?", id);
	else if (!strcmp(id, "?"))
		rc = cli_error(cli, CLI_FAILED,
			       "the peer has not told its name yet: no session so far");
	json_decref(answer);
	return rc;
}

int debug_run(struct cli *cli, int argc, char **argv)
{
	struct http_request request = { "GET", NULL, NULL, HTTP_TIMEOUT_S, NULL };
	char path[WORDS_LEN + 64], id[WORDS_LEN] = "";
	const char *peer = cli_flag(cli, "peer");
	json_t *answer;
	int rc;

	(void)argc;
	(void)argv;
	rc = peers_check(cli, "debug", "--peer: ", peer);
	if (!rc && !peer)
		rc = choose(cli, id);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "/api/replication/peers/%s/debug", peer ? peer : id);
	request.path = path;
	rc = peers_call(cli, &request, peer ? peer : id, &answer);
	if (rc)
		return rc;
	rc = state_of(json_object_get(answer, "peer"), "state")->is_degraded ? CLI_DEGRADED :
									       CLI_OK;
	if (cli->json)
		http_show(cli, answer);
	else
		print_all(cli, answer);
	json_decref(answer);
	return rc;
}
