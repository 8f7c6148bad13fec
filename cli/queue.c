// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep queue: what waits on its way from the kernel to the peers, stage by stage */
#include "format.h"
#include "http.h"
#include "state.h"
#include "style.h"
#include "verbs.h"

static json_int_t count_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_ring(const struct cli *cli, const json_t *ring)
{
	char text[FORMAT_LEN], text2[FORMAT_LEN];

	printf("ring     ");
	if (!json_is_true(json_object_get(ring, "present"))) {
		style_print(cli, STYLE_BAD, "no kernel module\n");
		return;
	}
	printf("room for %s changes a CPU, %s queued so far",
	       format_count(json_object_get(ring, "entries"), text),
	       format_count(json_object_get(ring, "queued"), text2));
	printf(", %s drained", format_count(json_object_get(ring, "drained"), text));
	if (cli->verbose)
		printf(", %s coalesced",
		       format_count(json_object_get(ring, "coalesced"), text));
	if (count_of(ring, "overflowed"))
		style_print(cli, STYLE_WARN, ", %s overflowed",
			    format_count(json_object_get(ring, "overflowed"), text));
	if (count_of(ring, "dirty_buckets"))
		style_print(cli, STYLE_WARN, ", %s buckets to be read whole",
			    format_count(json_object_get(ring, "dirty_buckets"), text));
	putchar('\n');
}

static void print_batch(const json_t *batch)
{
	char text[FORMAT_LEN];

	printf("batch    %s changes", format_count(json_object_get(batch, "changes"), text));
	if (count_of(batch, "changes"))
		printf(", the oldest %s old",
		       format_ms(json_object_get(batch, "oldest_ms"), text));
	if (count_of(batch, "withheld"))
		printf(", %s until the next snapshot",
		       format_count(json_object_get(batch, "withheld"), text));
	putchar('\n');
}

/* Full means that who is away too long is compared when it comes back. */
static void print_backlog(const struct cli *cli, const json_t *backlog)
{
	json_int_t max = count_of(backlog, "bytes_max"), bytes = count_of(backlog, "bytes");
	char text[FORMAT_LEN], text2[FORMAT_LEN];

	printf("backlog  %s changes", format_count(json_object_get(backlog, "changes"), text));
	printf(" in %s batches, ", format_count(json_object_get(backlog, "batches"), text));
	style_print(cli, bytes > max - max / 5 ? STYLE_WARN : STYLE_PLAIN, "%s of %s",
		    format_bytes(json_object_get(backlog, "bytes"), text),
		    format_bytes(json_object_get(backlog, "bytes_max"), text2));
	if (cli->verbose)
		printf(", sequences %s to %s",
		       format_count(json_object_get(backlog, "first_sequence"), text),
		       format_count(json_object_get(backlog, "next_sequence"), text2));
	putchar('\n');
}

static void print_row(struct style_table *table, const json_t *peer)
{
	static const struct {
		const char *key;
		char *(*format)(const json_t *value, char *buf);
	} cells[] = {
		{ "changes", format_count },	     { "bytes", format_bytes },
		{ "oldest_ms", format_ms },	     { "in_flight_bytes", format_bytes },
		{ "socket_bytes", format_bytes },    { "repair_buckets", format_count },
		{ "remote_changes", format_count },  { "jumps", format_count },
	};
	const struct state *state = state_of(peer, "state");
	char text[FORMAT_LEN];
	size_t i;

	style_table_cell(table, STYLE_HEAD, "%s", format_text(peer, "id"));
	style_table_cell(table, state->style, "%s", state->text);
	style_table_cell(table, STYLE_PLAIN, "%s", format_text(peer, "direction"));
	for (i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		style_table_cell(table, STYLE_PLAIN, "%s",
				 cells[i].format(json_object_get(peer, cells[i].key), text));
}

static void print_peers(const struct cli *cli, const json_t *peers)
{
	static const struct style_column columns[] = {
		{ "peer", false },  { "state", false },	   { "way", false },
		{ "waits", true },  { "bytes", true },	   { "oldest", true },
		{ "in flight", true },   { "socket", true },	   { "repair", true },
		{ "waits there", true }, { "jumps", true },
	};
	struct style_table *table =
		style_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *peer;
	size_t i;

	putchar('\n');
	json_array_foreach(peers, i, peer)
		print_row(table, peer);
	style_table_end(cli, table);
}

static void print_queue(const struct cli *cli, const json_t *queue)
{
	const json_t *peers = json_object_get(queue, "peers");

	if (json_is_true(json_object_get(queue, "paused")))
		style_print(cli, STYLE_BAD, "PAUSED: nothing is sent or applied\n");
	print_ring(cli, json_object_get(queue, "ring"));
	print_batch(json_object_get(queue, "batch"));
	print_backlog(cli, json_object_get(queue, "backlog"));
	if (json_array_size(peers))
		print_peers(cli, peers);
}

int queue_run(struct cli *cli, int argc, char **argv)
{
	const json_t *queue;
	json_t *answer;
	int rc;

	(void)argv;
	if (argc != 2)
		return cli_usage(cli, "queue", "say queue status");
	rc = http_get(cli, "/api/replication/queue", &answer);
	if (rc)
		return rc;
	queue = json_object_get(answer, "queue");
	if (json_is_true(json_object_get(queue, "paused")) ||
	    !json_is_true(json_object_get(json_object_get(queue, "ring"), "present")))
		rc = CLI_DEGRADED;
	if (cli->json)
		http_show(cli, answer);
	else
		print_queue(cli, queue);
	json_decref(answer);
	return rc;
}
