// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep filter: what a condition means, before it decides what is replicated */
#include "kernel.h"
#include "verbs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "expr.h"
#include "nearest.h"
#include "schema.h"

#define FIELDS_MAX 32

/* A condition, and the record it is put to: a text for each field, NULL where it is empty */
struct trial {
	struct cli *cli;
	unsigned int table;
	struct fr_expr *expr;
	json_t *record; /* from standard input; its texts are read from here */
	bool has_record;
	size_t n_fields;
	struct fr_field fields[FIELDS_MAX];
	const char *texts[FIELDS_MAX];
	char *owned[FIELDS_MAX]; /* of texts, what is to be freed */
	struct fr_field_value values[FIELDS_MAX];
	uint8_t *rooms[FIELDS_MAX];
	json_t *missing; /* names of fields that were read in vain */
};

/* --- the record --------------------------------------------------------- */

static int unknown_field(const struct trial *t, const char *name)
{
	struct fr_nearest near;
	size_t i;

	fr_nearest_init(&near, name);
	for (i = 0; i < t->n_fields; i++)
		fr_nearest_offer(&near, t->fields[i].name);
	return cli_usage(t->cli, "filter", "no field \"%s\"%s%s%s", name,
			 near.best ? "; did you mean \"" : "", near.best ? near.best : "",
			 near.best ? "\"?" : "");
}

/* FIELD=VALUE. Return: enum cli_exit */
static int take(struct trial *t, const char *arg)
{
	size_t len = strcspn(arg, "="), i;
	char name[64];

	if (!arg[len])
		return cli_usage(t->cli, "filter", "\"%s\" is not FIELD=VALUE", arg);
	snprintf(name, sizeof(name), "%.*s", (int)len, arg);
	for (i = 0; i < t->n_fields && strcmp(t->fields[i].name, name) != 0; i++)
		;
	if (i == t->n_fields)
		return unknown_field(t, name);
	if (t->texts[i])
		return cli_usage(t->cli, "filter", "%s is given twice", name);
	t->texts[i] = arg + len + 1;
	t->has_record = true;
	return CLI_OK;
}

/* The value at "original.src" of a record in JSON, or NULL */
static const json_t *find(const json_t *record, const char *path)
{
	char key[64];
	size_t len;

	for (; record && *path; path += len + (path[len] == '.')) {
		len = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)len, path);
		record = json_object_get(record, key);
	}
	return record;
}

static bool has_word(const json_t *list, const char *word)
{
	const json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
		if (json_is_string(value) && !strcmp(json_string_value(value), word))
			return true;
	return false;
}

/* A field of a record in JSON as a text to be freed; NULL: it does not have it */
static char *text_of(const struct fr_field *f, const json_t *record)
{
	const json_t *value = find(record, f->json);
	bool is_ms = !strcmp(f->json, "expires_ms");
	char *text = NULL;

	if (f->type == FR_FIELD_BOOL && (json_is_array(value) || !value))
		return strdup(has_word(value, f->name) ? "true" : "false");
	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "true" : "false");
	if (!json_is_integer(value) ||
	    asprintf(&text, "%lld", (long long)json_integer_value(value) / (is_ms ? 1000 : 1)) < 0)
		return NULL;
	return text;
}

/* One record as "flyrep kernel snapshot --json" shows it. Return: enum cli_exit */
static int read_record(struct trial *t)
{
	json_error_t error;
	size_t i;

	t->record = json_loadf(stdin, 0, &error);
	if (!json_is_object(t->record))
		return cli_usage(t->cli, "filter", "standard input: %s",
				 t->record ? "not a JSON object" : error.text);
	for (i = 0; i < t->n_fields; i++)
		t->texts[i] = t->owned[i] = text_of(&t->fields[i], t->record);
	t->has_record = true;
	return CLI_OK;
}

/* Texts to values. Return: enum cli_exit */
static int parse_values(struct trial *t)
{
	const char *why;
	size_t i, len;

	for (i = 0; i < t->n_fields; i++) {
		if (!t->texts[i] || !*t->texts[i]) {
			t->texts[i] = NULL;
			/* A boolean is always there. */
			if (t->fields[i].type != FR_FIELD_BOOL)
				continue;
			t->texts[i] = "false";
		}
		len = strlen(t->texts[i]);
		t->rooms[i] = malloc(FR_FIELD_ROOM(len));
		if (!t->rooms[i])
			return cli_error(t->cli, CLI_FAILED, "out of memory");
		if (fr_field_parse(&t->fields[i], t->texts[i], len, t->rooms[i], &t->values[i],
				   &why))
			return cli_usage(t->cli, "filter", "%s=%s: %s", t->fields[i].name,
					 t->texts[i], why);
	}
	return CLI_OK;
}

static bool get(void *cookie, const struct fr_field *f, struct fr_field_value *v)
{
	struct trial *t = cookie;
	size_t i;

	for (i = 0; i < t->n_fields; i++)
		if (t->texts[i] && t->fields[i].at == f->at) {
			*v = t->values[i];
			return true;
		}
	if (!has_word(t->missing, f->name))
		json_array_append_new(t->missing, json_string(f->name));
	return false;
}

/* --- answers ------------------------------------------------------------ */

static void add_field(void *cookie, const struct fr_field *f)
{
	json_object_set_new(cookie, f->name, json_string(fr_field_type_name(f)));
}

static void show(const struct trial *t, json_t *answer)
{
	const json_t *missing, *count;
	const char *name;
	json_t *type;
	size_t i;

	if (t->cli->json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	json_object_foreach(json_object_get(answer, "fields"), name, type)
		printf("%s is %s\n", name, json_string_value(type));
	json_array_foreach(json_object_get(answer, "missing"), i, missing)
		printf("%s is missing, so the comparison with it is false\n",
		       json_string_value(missing));
	if (json_object_get(answer, "result"))
		puts(json_is_true(json_object_get(answer, "result")) ? "true" : "false");
	count = json_object_get(answer, "records");
	if (count)
		printf("%lld of %lld records pass; of %lld a value is missing\n",
		       (long long)json_integer_value(json_object_get(answer, "passed")),
		       (long long)json_integer_value(count),
		       (long long)json_integer_value(json_object_get(answer, "missing_value")));
}

/* The record that was given */
static int try(struct trial *t, json_t *answer)
{
	bool is_missing = false, is_true;
	int rc = parse_values(t);

	if (rc)
		return rc;
	t->missing = json_array();
	is_true = fr_expr_eval(t->expr, get, t, &is_missing);
	json_object_set_new(answer, "result", json_boolean(is_true));
	json_object_set_new(answer, "missing", t->missing);
	return is_true ? CLI_OK : CLI_FAILED;
}

struct count {
	const struct trial *trial;
	json_int_t records, passed, missing;
};

static void on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	const struct fr_table *t = fr_table_by_id(table);
	struct count *c = cookie;
	const char *why;

	for (; n; n--, recs = fr_record_next(t, recs)) {
		bool is_missing = false;

		c->records++;
		if (t->check(recs, &why))
			continue;
		c->passed += fr_expr_matches(c->trial->expr, recs, &is_missing);
		c->missing += is_missing;
	}
}

static const struct fr_genl_sink sink = { .records = on_records };

/* Those that the kernel has now */
static int count(const struct trial *t, json_t *answer)
{
	struct fr_genl_snapshot req = { .table = (uint8_t)t->table };
	struct count c = { .trial = t };
	struct fr_genl *g;
	int rc, err;

	if (t->table == FLYREP_TABLE_NFT_SET)
		return cli_usage(t->cli, "filter",
				 "--kernel: the module has no elements of nft sets to count");
	rc = kernel_open(t->cli, &g);
	if (rc)
		return rc;
	err = fr_genl_snapshot_start(g, &req);
	if (!err)
		err = kernel_pump(g, &sink, &c);
	rc = err ? kernel_fail(t->cli, g, err) : CLI_OK;
	fr_genl_close(g);
	json_object_set_new(answer, "records", json_integer(c.records));
	json_object_set_new(answer, "passed", json_integer(c.passed));
	json_object_set_new(answer, "missing_value", json_integer(c.missing));
	return rc;
}

/* --- the verb ----------------------------------------------------------- */

static int find_table(struct trial *t, const char *name)
{
	const struct fr_schema *list = fr_schema_child(fr_schema_child(NULL, "filters"),
						       "custom_filters");
	const struct fr_schema *types = fr_schema_child(list, "type");
	char words[128] = "";
	size_t at = 0;
	int i;

	for (i = 0; types->choices[i]; i++) {
		if (!strcmp(types->choices[i], name)) {
			t->table = fr_config_filter_table(i);
			return CLI_OK;
		}
		at += (size_t)snprintf(words + at, sizeof(words) - at, "%s%s", i ? ", " : "",
				       types->choices[i]);
	}
	return cli_usage(t->cli, "filter", "\"%s\" is not one of %s", name, words);
}

static int compile(struct trial *t, const char *text)
{
	struct fr_expr_error error;

	t->expr = fr_expr_compile(t->table, text, strlen(text), &error);
	if (t->expr)
		return CLI_OK;
	if (!t->cli->json)
		fprintf(stderr, "%s\n%*s\n", text, (int)error.column, "^");
	return cli_usage(t->cli, "filter", "character %u: %s", error.column, error.text);
}

static int run(struct trial *t, int argc, char **argv)
{
	bool counts = cli_flag(t->cli, "kernel");
	json_t *answer, *fields = json_object();
	int rc;

	while (t->n_fields < FIELDS_MAX &&
	       fr_field_at(t->table, (unsigned int)t->n_fields, &t->fields[t->n_fields]))
		t->n_fields++;
	fr_expr_fields(t->expr, add_field, fields);
	answer = json_pack("{s:b, s:o}", "ok", 1, "fields", fields);
	rc = CLI_OK;
	for (; argc && !rc; argc--, argv++)
		rc = strcmp(*argv, "-") ? take(t, *argv) : read_record(t);
	if (!rc && counts)
		rc = count(t, answer);
	if (!rc && t->has_record)
		rc = try(t, answer);
	if (rc == CLI_OK || json_object_get(answer, "result"))
		show(t, answer);
	json_decref(answer);
	return rc;
}

int filter_run(struct cli *cli, int argc, char **argv)
{
	struct trial t = { .cli = cli };
	size_t i;
	int rc;

	if (argc < 2)
		return cli_usage(cli, "filter", "test?");
	if (argc < 4)
		return cli_usage(cli, "filter", "test: a type and a condition are needed");
	rc = find_table(&t, argv[2]);
	if (!rc)
		rc = compile(&t, argv[3]);
	if (!rc)
		rc = run(&t, argc - 4, argv + 4);
	for (i = 0; i < FIELDS_MAX; i++) {
		free(t.owned[i]);
		free(t.rooms[i]);
	}
	json_decref(t.record);
	fr_expr_free(t.expr);
	return rc;
}
