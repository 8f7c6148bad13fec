// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep conflicts, flyrep test-conflict: what two nodes wrote at once, and who wins */
#include "format.h"
#include "http.h"
#include "item.h"
#include "items.h"
#include "peers.h"
#include "records.h"
#include "style.h"
#include "verbs.h"
#include "words.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define PATH "/api/replication/conflicts"
#define TEXT_LEN 96
#define STATES "pending resolved expired"
#define RESOLUTIONS "use_local use_remote merge"

/* --- words ---------------------------------------------------------------- */

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* "8 s ago", of ms since 1970 */
static char *ago(const json_t *object, const char *key, char *buf)
{
	json_t *seconds = json_real(json_number_value(json_object_get(object, key)) / 1e3);

	format_ago(seconds, buf);
	json_decref(seconds);
	return buf;
}

/* "in 59 min", of ms since 1970 */
static char *ahead(const json_t *object, const char *key, char *buf)
{
	double ms = json_number_value(json_object_get(object, key)) - now_ms();
	json_t *left = json_real(ms > 0 ? ms : 0);

	format_ms(left, buf);
	json_decref(left);
	return buf;
}

/* What others wrote, for a terminal: nothing in it that moves the cursor */
static const char *plain(const char *text, char buf[TEXT_LEN])
{
	size_t i;

	for (i = 0; i + 1 < TEXT_LEN && text[i]; i++)
		buf[i] = iscntrl((unsigned char)text[i]) ? '?' : text[i];
	buf[i] = '\0';
	return buf;
}

static const json_t *side_at(const json_t *conflict, const char *key)
{
	const json_t *n = json_object_get(conflict, key);

	return json_is_integer(n) && json_integer_value(n) >= 0 ?
		       json_array_get(json_object_get(conflict, "sides"),
				      (size_t)json_integer_value(n)) :
		       NULL;
}

static bool is_pending(const json_t *conflict)
{
	return !strcmp(format_text(conflict, "state"), "pending");
}

static bool is_address(const json_t *conflict)
{
	return !strcmp(format_text(conflict, "kind"), "address");
}

/* The key that both have written, or the address that both have leased */
static void describe(const json_t *conflict, char buf[TEXT_LEN])
{
	const struct fr_table *table = fr_table_by_name(format_text(conflict, "table"));
	const struct fr_item_field *f = table ? fr_item_fields(table->id) : NULL;
	const json_t *side = json_array_get(json_object_get(conflict, "sides"), 0);
	char text[TEXT_LEN] = "";
	size_t len = 0;

	if (is_address(conflict)) {
		snprintf(text, sizeof(text), "%s %s", format_text(side, "scope"),
			 format_text(side, "ip"));
		f = NULL;
	}
	for (; f && f->name && f->is_key && len < sizeof(text); f++) {
		const json_t *value = json_object_get(side, f->name);

		if (json_is_integer(value))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld",
						len ? " " : "",
						(long long)json_integer_value(value));
		else if (json_string_length(value))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
						len ? " " : "", json_string_value(value));
	}
	plain(*text ? text : "-", buf);
}

/* --- the list ------------------------------------------------------------- */

static void print_row(struct style_table *table, const json_t *conflict)
{
	const json_t *sides = json_object_get(conflict, "sides"), *side;
	char text[TEXT_LEN] = "", what[TEXT_LEN], time[FORMAT_LEN];
	bool waits = is_pending(conflict);
	size_t i, len = 0;

	describe(conflict, what);
	style_table_cell(table, STYLE_HEAD, "%lld",
			 (long long)json_integer_value(json_object_get(conflict, "id")));
	style_table_cell(table, waits ? STYLE_BAD : STYLE_PLAIN, "%s",
			 waits ? "PENDING" : format_text(conflict, "state"));
	style_table_cell(table, STYLE_PLAIN, "%s", format_text(conflict, "table"));
	style_table_cell(table, STYLE_PLAIN, "%s", what);
	json_array_foreach(sides, i, side)
		if (len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
						i ? ", " : "", format_text(side, "node_id"));
	style_table_cell(table, STYLE_PLAIN, "%s", text);
	style_table_cell(table, STYLE_PLAIN, "%s", ago(conflict, "detected_ms", time));
	if (!waits)
		style_table_cell(table, STYLE_PLAIN, "%s: %s",
				 plain(format_text(conflict, "resolved_by"), text),
				 format_text(conflict, "resolution"));
	else if (json_object_get(conflict, "expires_ms"))
		style_table_cell(table, STYLE_WARN, "the time, in %s",
				 ahead(conflict, "expires_ms", time));
	else
		style_table_cell(table, STYLE_WARN, "nobody yet");
}

static void print_list(const struct cli *cli, const json_t *answer)
{
	static const struct style_column columns[] = {
		{ "id", true },	    { "state", false },	  { "table", false },	   { "of", false },
		{ "nodes", false }, { "noticed", false }, { "decided by", false },
	};
	const json_t *conflicts = json_object_get(answer, "conflicts"), *conflict;
	struct style_table *table;
	size_t i;

	if (!json_array_size(conflicts)) {
		puts("no conflicts");
		return;
	}
	table = style_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(conflicts, i, conflict)
		print_row(table, conflict);
	style_table_end(cli, table);
}

static int list(const struct cli *cli)
{
	const char *state = cli_flag(cli, "state");
	json_t *answer;
	char path[128] = PATH;
	int rc;

	rc = state ? words_check(cli, "conflicts", "--state: ", state, STATES) : CLI_OK;
	if (rc)
		return rc;
	if (state)
		snprintf(path, sizeof(path), PATH "?state=%s", state);
	rc = http_get(cli, path, &answer);
	if (rc)
		return rc;
	if (cli->json)
		http_show(cli, answer);
	else
		print_list(cli, answer);
	json_decref(answer);
	return CLI_OK;
}

/* --- one of them ---------------------------------------------------------- */

static void print_sides(const struct cli *cli, const json_t *conflict)
{
	const struct fr_table *table = fr_table_by_name(format_text(conflict, "table"));
	const json_t *local = side_at(conflict, "local"), *winner = side_at(conflict, "winner");
	const json_t *sides = json_object_get(conflict, "sides"), *side;
	char time[FORMAT_LEN];
	size_t i;

	json_array_foreach(sides, i, side) {
		putchar('\n');
		style_print(cli, STYLE_HEAD, "%s", format_text(side, "node_id"));
		printf("  written %s", ago(side, "written_ms", time));
		if (side == local)
			fputs(is_pending(conflict) ? "  in effect here" : "  was in effect here",
			      stdout);
		if (side == winner)
			style_print(cli, STYLE_GOOD, "  won");
		fputs("\n  ", stdout);
		if (!strcmp(format_text(side, "op"), "delete"))
			style_print(cli, STYLE_WARN, "deleted  ");
		if (table && fr_item_fields(table->id))
			item_print(table->id, side);
		putchar('\n');
	}
}

static void print_trail(const json_t *audit)
{
	char time[FORMAT_LEN], who[TEXT_LEN];
	const json_t *step;
	size_t i;

	puts("\nwhat became of it");
	json_array_foreach(audit, i, step) {
		const char *reason = json_string_value(json_object_get(step, "reason"));
		const char *by = json_string_value(json_object_get(step, "who"));

		printf("  %s  %s", ago(step, "at_ms", time), format_text(step, "state"));
		if (by && *by)
			printf(" by %s", plain(by, who));
		fputs(reason && *reason ? ": " : "", stdout);
		for (; reason && *reason; reason++)
			putchar(iscntrl((unsigned char)*reason) ? '?' : *reason);
		putchar('\n');
	}
}

static void print_one(const struct cli *cli, const json_t *answer)
{
	const json_t *conflict = json_object_get(answer, "conflict");
	char what[TEXT_LEN], time[FORMAT_LEN];

	describe(conflict, what);
	printf("conflict %lld  ", (long long)json_integer_value(json_object_get(conflict, "id")));
	style_print(cli, is_pending(conflict) ? STYLE_BAD : STYLE_GOOD, "%s",
		    is_pending(conflict) ? "PENDING" : format_text(conflict, "state"));
	printf("  %s %s%s, noticed %s\n", format_text(conflict, "table"),
	       is_address(conflict) ? "of one address: " : "", what,
	       ago(conflict, "detected_ms", time));
	printf("strategy %s", format_text(conflict, "strategy"));
	if (json_object_get(conflict, "expires_ms"))
		printf(", the time decides in %s", ahead(conflict, "expires_ms", time));
	if (json_is_true(json_object_get(conflict, "skew")))
		style_print(cli, STYLE_WARN,
			    "; closer than clock_skew_tolerance: clocks may be wrong");
	putchar('\n');
	print_sides(cli, conflict);
	print_trail(json_object_get(answer, "audit"));
}

static int finish(const struct cli *cli, json_t *answer)
{
	if (cli->json)
		http_show(cli, answer);
	else
		print_one(cli, answer);
	json_decref(answer);
	return CLI_OK;
}

static bool is_id(const char *text)
{
	return *text && strlen(text) <= 16 && !text[strspn(text, "0123456789")];
}

static int show(const struct cli *cli, const char *id)
{
	char path[128];
	json_t *answer;
	int rc;

	if (!is_id(id))
		return cli_usage(cli, "conflicts", "\"%s\" is no number, nor \"resolve\"", id);
	if (cli_flag(cli, "state"))
		return cli_usage(cli, "conflicts", "--state is for the list");
	snprintf(path, sizeof(path), PATH "/%s", id);
	rc = http_get(cli, path, &answer);
	return rc ? rc : finish(cli, answer);
}

/* --- to decide ------------------------------------------------------------ */

static int resolve(const struct cli *cli, int argc, char **argv)
{
	struct http_request request = { "POST", NULL, NULL, HTTP_TIMEOUT_S, NULL };
	const char *reason = cli_flag(cli, "reason");
	char path[128];
	json_t *answer;
	int rc;

	if (argc != 2)
		return cli_usage(cli, "conflicts",
				 "resolve ID, and use_local, use_remote or merge");
	if (!is_id(argv[0]))
		return cli_usage(cli, "conflicts", "\"%s\" is no number", argv[0]);
	if (cli->watch_s > 0 || cli_flag(cli, "state"))
		return cli_usage(cli, "conflicts",
				 "--watch and --state make no sense with resolve");
	rc = words_check(cli, "conflicts", "", argv[1], RESOLUTIONS);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), PATH "/%s/resolve", argv[0]);
	request.path = path;
	request.body = json_pack("{s:s, s:s}", "resolution", argv[1], "reason",
				 reason ? reason : "");
	if (!request.body)
		return cli_usage(cli, "conflicts", "--reason: not UTF-8");
	rc = http_call(cli, &request, &answer);
	json_decref(request.body);
	return rc ? rc : finish(cli, answer);
}

int conflicts_run(struct cli *cli, int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "resolve"))
		return resolve(cli, argc - 2, argv + 2);
	if (cli_flag(cli, "reason"))
		return cli_usage(cli, "conflicts", "--reason is for resolve");
	if (argc > 2)
		return cli_usage(cli, "conflicts", "one conflict at a time");
	return argc == 2 ? show(cli, argv[1]) : list(cli);
}

/* --- the dry run ---------------------------------------------------------- */

static void print_test(const struct cli *cli, const json_t *test)
{
	const json_t *side;
	size_t i;

	printf("if ");
	json_array_foreach(json_object_get(test, "sides"), i, side)
		printf("%s%s", i ? " and " : "", format_text(side, "node_id"));
	printf(" wrote one key now (strategy %s):\n", format_text(test, "strategy"));
	if (json_is_true(json_object_get(test, "waits")))
		printf("each keeps its own until somebody decides; when the time is up, ");
	style_print(cli, STYLE_GOOD, "%s", format_text(test, "winner"));
	printf(" wins: %s\n", format_text(test, "why"));
}

int test_conflict_run(struct cli *cli, int argc, char **argv)
{
	struct http_request request = { "GET", NULL, NULL, HTTP_TIMEOUT_S, NULL };
	const char *peer = cli_flag(cli, "peer");
	char path[192] = "/api/replication/test-conflict";
	json_t *answer;
	int rc;

	(void)argc;
	(void)argv;
	rc = peers_check(cli, "test-conflict", "--peer: ", peer);
	if (rc)
		return rc;
	if (peer)
		snprintf(path, sizeof(path), "/api/replication/test-conflict?peer=%s", peer);
	request.path = path;
	rc = peers_call(cli, &request, peer, &answer);
	if (rc)
		return rc;
	if (cli->json)
		http_show(cli, answer);
	else
		print_test(cli, json_object_get(answer, "test"));
	json_decref(answer);
	return CLI_OK;
}
