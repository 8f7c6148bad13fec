// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep backup and checkpoint: what the agent keeps on its disk, and back from there */
#include "format.h"
#include "http.h"
#include "style.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

#define PATH "/api/replication/backups"
#define TIMEOUT_S 70 /* the agent gives up sooner, and says why */

static json_int_t count_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* --- list --------------------------------------------------------------------- */

static void print_list(const struct cli *cli, const json_t *answer)
{
	static const struct style_column columns[] = {
		{ "name", false }, { "kind", false }, { "size", true }, { "taken", false },
	};
	struct style_table *table;
	const json_t *backup;
	char text[FORMAT_LEN];
	size_t i;

	table = style_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(json_object_get(answer, "backups"), i, backup) {
		style_table_cell(table, STYLE_HEAD, "%s", format_text(backup, "name"));
		style_table_cell(table, STYLE_PLAIN, "%s", format_text(backup, "kind"));
		style_table_cell(table, STYLE_PLAIN, "%s",
				 format_bytes(json_object_get(backup, "bytes"), text));
		style_table_cell(table, STYLE_PLAIN, "%s",
				 format_ago(json_object_get(backup, "time"), text));
	}
	style_table_end(cli, table);
}

static int list(const struct cli *cli)
{
	json_t *answer;
	int rc = http_get(cli, PATH, &answer);

	if (rc)
		return rc;
	if (cli->json)
		http_show(cli, answer);
	else if (json_array_size(json_object_get(answer, "backups")))
		print_list(cli, answer);
	else
		printf("no backups in %s\n", format_text(answer, "directory"));
	json_decref(answer);
	return CLI_OK;
}

/* --- create ------------------------------------------------------------------- */

static void print_taken(const json_t *answer)
{
	char text[FORMAT_LEN];
	const json_t *table;
	size_t i;

	printf("%s  %s\n", format_text(answer, "name"),
	       format_bytes(json_object_get(answer, "bytes"), text));
	json_array_foreach(json_object_get(answer, "tables"), i, table)
		printf("%s  %s\n", format_text(table, "table"),
		       format_count(json_object_get(table, "records"), text));
}

static int create(const struct cli *cli, const char *path)
{
	const struct http_request request = { "POST", path, json_object(), TIMEOUT_S,
						"writing it" };

	return http_do(cli, &request, print_taken);
}

int checkpoint_run(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return create(cli, "/api/replication/checkpoint");
}

/* --- restore ------------------------------------------------------------------ */

/* One line for each table, of what there is to say. */
static void print_restored(const struct cli *cli, const json_t *table, bool is_dry)
{
	static const struct {
		const char *key, *text, *dry_text;
	} counts[] = {
		{ "restored", "restored", "would be restored" },
		{ "expired", "ended since", "ended since" },
		{ "refused", "refused", "refused" },
		{ "skipped", "skipped: not replicated here", "skipped: not replicated here" },
		{ "removed", "removed", "would be removed" },
		{ "kept", "not in the backup: kept", "not in the backup: kept" },
	};
	char count[FORMAT_LEN];
	size_t i;

	printf("%s  %s records", format_text(table, "table"),
	       format_count(json_object_get(table, "records"), count));
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (count_of(table, counts[i].key) || !i)
			printf(", %s %s",
			       format_count(json_object_get(table, counts[i].key), count),
			       is_dry ? counts[i].dry_text : counts[i].text);
	if (count_of(table, "refused"))
		style_print(cli, STYLE_BAD, "  the last: %s", format_text(table, "error"));
	putchar('\n');
}

/* Exits 1 if something was refused. */
static int judge(const json_t *answer)
{
	const json_t *table;
	size_t i;

	json_array_foreach(json_object_get(answer, "tables"), i, table)
		if (count_of(table, "refused"))
			return CLI_FAILED;
	return CLI_OK;
}

static int restore(const struct cli *cli, const char *name)
{
	struct http_request request = { "POST", NULL, NULL, TIMEOUT_S, "restoring" };
	bool is_dry = cli_flag(cli, "dry-run");
	json_t *answer, *table;
	char path[160];
	size_t i;
	int rc;

	if (!*name || strlen(name) > 63 ||
	    name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			      "0123456789.")])
		return cli_usage(cli, "backup", "\"%.80s\": a name as backup list tells it", name);
	snprintf(path, sizeof(path), PATH "/%s/restore", name);
	request.path = path;
	request.body = json_pack("{s:b, s:b}", "dry_run", is_dry, "exact",
				 !!cli_flag(cli, "exact"));
	rc = http_call(cli, &request, &answer);
	json_decref(request.body);
	if (rc)
		return rc;
	rc = judge(answer);
	if (cli->json) {
		http_show(cli, answer);
	} else {
		char ago[FORMAT_LEN];

		printf("of %s, %s\n", format_text(answer, "node_id"),
		       format_ago(json_object_get(answer, "time"), ago));
		json_array_foreach(json_object_get(answer, "tables"), i, table)
			print_restored(cli, table, is_dry);
	}
	json_decref(answer);
	return rc;
}

int backup_run(struct cli *cli, int argc, char **argv)
{
	const char *sub = argc > 1 ? argv[1] : "list";
	bool is_restore = !strcmp(sub, "restore");

	if (is_restore && argc != 3)
		return cli_usage(cli, "backup", "restore one of those that backup list tells");
	if (!is_restore && argc > 2)
		return cli_usage(cli, "backup", "%s takes no argument", sub);
	if (!is_restore && (cli_flag(cli, "dry-run") || cli_flag(cli, "exact")))
		return cli_usage(cli, "backup", "--dry-run and --exact are for restore");
	if (cli->watch_s > 0 && strcmp(sub, "list") != 0)
		return cli_usage(cli, "backup", "--watch is for list");
	if (is_restore)
		return restore(cli, argv[2]);
	return strcmp(sub, "create") ? list(cli) : create(cli, PATH);
}
