// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep config: check a file, show what it comes to, list the keys */
#include "config.h"

#include "schema.h"
#include "style.h"
#include "verbs.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SCDOC_WIDTH 70

static json_t *entries_json(const struct fr_diag *diag,
			    enum fr_diag_severity severity)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < diag->n_entries; i++) {
		const struct fr_diag_entry *entry = &diag->entries[i];

		if (entry->severity == severity)
			json_array_append_new(
				list, json_pack("{s:i, s:i, s:s}", "line",
						(int)entry->pos.line, "column",
						(int)entry->pos.column,
						"message", entry->text));
	}
	return list;
}

static void print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

static void print_entries(const struct cli *cli, const struct fr_diag *diag,
			  FILE *out)
{
	if (cli->json)
		print_json(json_pack("{s:s, s:b, s:o, s:o}", "file", diag->file,
				     "ok", !fr_diag_has_errors(diag), "errors",
				     entries_json(diag, FR_DIAG_ERROR),
				     "warnings",
				     entries_json(diag, FR_DIAG_WARNING)));
	else
		fr_diag_print(diag, out);
}

static int check(const struct cli *cli, const char *path)
{
	struct fr_config config;
	struct fr_diag diag;
	int err;

	err = fr_config_load(path, FR_CONFIG_SECRET_OPTIONAL, &config, &diag);
	print_entries(cli, &diag, stdout);
	if (!err && !cli->json)
		printf("%s: fine%s\n", path,
		       diag.n[FR_DIAG_WARNING] ? ", but see above" : "");
	fr_diag_free(&diag);
	fr_config_free(&config);
	return err ? CLI_FAILED : CLI_OK;
}

static int show_json(const struct fr_config *config, const char *path)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int err = out ? fr_config_print(config, out) : -ENOMEM;

	if (out)
		fclose(out);
	if (!err)
		print_json(json_pack("{s:s, s:s}", "file", path, "text", text));
	free(text);
	return err;
}

static int show(const struct cli *cli, const char *path)
{
	struct fr_config config;
	struct fr_diag diag;
	int err;

	err = fr_config_load(path, FR_CONFIG_SECRET_OPTIONAL, &config, &diag);
	if (err)
		print_entries(cli, &diag, stderr);
	else if (cli->json)
		err = show_json(&config, path);
	else
		err = fr_config_print(&config, stdout);
	fr_diag_free(&diag);
	fr_config_free(&config);
	return err ? CLI_FAILED : CLI_OK;
}

static json_t *row_json(const struct fr_schema *row)
{
	json_t *json, *choices = json_array();
	char range[160];
	size_t i;

	for (i = 0; row->choices && row->choices[i]; i++)
		json_array_append_new(choices, json_string(row->choices[i]));
	fr_schema_range(row, range, sizeof(range));
	json = json_pack(
		"{s:s, s:s, s:s?, s:o, s:s?, s:s?, s:b, s:b, s:s}", "key",
		row->path, "type", fr_schema_type_name(row->type), "default",
		row->dflt, "choices", choices, "range", *range ? range : NULL,
		"only", row->only, "required",
		!!(row->flags & FR_SCHEMA_REQUIRED), "reloadable",
		!!(row->flags & FR_SCHEMA_RELOADABLE), "help", row->help);
	return json;
}

/* "default 1s; 1ms to 1h": what the type alone does not say. */
static void print_limits(const struct fr_schema *row, const char *between)
{
	char range[160];

	if (row->flags & FR_SCHEMA_REQUIRED)
		printf("%srequired", between);
	if (row->dflt)
		printf("%sdefault %s", between, row->dflt);
	if (*fr_schema_range(row, range, sizeof(range)))
		printf("%s%s", between, range);
}

static void print_choices(const struct fr_schema *row)
{
	size_t i;

	for (i = 0; row->choices[i]; i++)
		printf("%s%s", i ? " | " : ": ", row->choices[i]);
}

static void schema_text(const struct cli *cli, const struct fr_schema *rows,
			size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const struct fr_schema *row = &rows[i];

		style_print(cli, STYLE_HEAD, "%s", row->path);
		printf("  %s", fr_schema_type_name(row->type));
		if (row->choices)
			print_choices(row);
		print_limits(row, "; ");
		if (row->only)
			style_print(cli, STYLE_WARN, "; only %s yet",
				    row->only);
		printf("\n    %s\n", row->help);
	}
}

/*
 * One paragraph of a manual page's source, broken into lines: long ones are
 * bad style there. What scdoc would take for markup is escaped, unless
 * @is_markup.
 */
static void scdoc_wrap(const char *indent, const char *text, bool is_markup)
{
	const char *special = is_markup ? "[|" : "[|_*\\";
	size_t column = SIZE_MAX; /* nothing printed yet */

	while (*text) {
		size_t len = strcspn(text, " "), i;

		if (column > SCDOC_WIDTH || column + len > SCDOC_WIDTH) {
			printf("%s%s", column == SIZE_MAX ? "" : "\n", indent);
			column = 0;
		} else {
			putchar(' ');
		}
		for (i = 0; i < len; i++)
			printf(strchr(special, text[i]) ? "\\%c" : "%c",
			       text[i]);
		column += len + 1;
		text += len + (text[len] == ' ');
	}
	putchar('\n');
}

/* "(duration; default "1s"; 1ms to 1h)", and what of it exists. */
static void scdoc_row(const struct fr_schema *row)
{
	char *head = NULL, *body = NULL, range[160];
	FILE *out;
	size_t len, i;

	out = open_memstream(&head, &len);
	fprintf(out, "*%s* (%s", row->path, fr_schema_type_name(row->type));
	for (i = 0; row->choices && row->choices[i]; i++)
		fprintf(out, "%s%s", i ? " | " : ": ", row->choices[i]);
	if (row->flags & FR_SCHEMA_REQUIRED)
		fputs("; required", out);
	if (row->dflt)
		fprintf(out, "; default %s", row->dflt);
	if (*fr_schema_range(row, range, sizeof(range)))
		fprintf(out, "; %s", range);
	fputc(')', out);
	fclose(out);
	out = open_memstream(&body, &len);
	fputs(row->help, out);
	if (row->only)
		fprintf(out, " Supported so far: %s.", row->only);
	fclose(out);
	scdoc_wrap("", head, true);
	scdoc_wrap("\t", body, false);
	putchar('\n');
	free(head);
	free(body);
}

static int schema(const struct cli *cli)
{
	const struct fr_schema *rows;
	json_t *list;
	size_t n, i;

	rows = fr_schema_rows(&n);
	if (cli_flag(cli, "scdoc")) {
		for (i = 0; i < n; i++)
			scdoc_row(&rows[i]);
		return CLI_OK;
	}
	if (!cli->json) {
		schema_text(cli, rows, n);
		return CLI_OK;
	}
	list = json_array();
	for (i = 0; i < n; i++)
		json_array_append_new(list, row_json(&rows[i]));
	print_json(list);
	return CLI_OK;
}

int config_run(struct cli *cli, int argc, char **argv)
{
	const char *path = argc > 2 ? argv[2] : FR_CONFIG_PATH;

	if (argc < 2)
		return cli_usage(cli, "config", "check, show or schema?");
	if (argc > (strcmp(argv[1], "schema") ? 3 : 2))
		return cli_usage(cli, "config", "too many arguments");
	if (!strcmp(argv[1], "schema"))
		return schema(cli);
	return strcmp(argv[1], "check") ? show(cli, path) : check(cli, path);
}
