// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep lease, flyrep record: the tables that the module keeps, no agent needed */
#include "items.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "item.h"
#include "kernel.h"
#include "nearest.h"
#include "units.h"
#include "words.h"

#define RECORD_TABLES "dns learning config metric lease"

/* What was asked for, one text for each field of the table; NULL: not named */
struct request {
	struct cli *cli;
	const char *verb;
	const struct fr_table *table;
	const struct fr_item_field *fields;
	const char *texts[FR_ITEM_FIELDS_MAX];
};

/* --- output ------------------------------------------------------------- */

static bool needs_quotes(const char *text)
{
	return !*text || strpbrk(text, " \t\n\"'\\$`&|;<>()*?[]#~!{}");
}

/* Length of a control character of UTF-8, to which a terminal would listen; 0: it is none */
static size_t control_len(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	if (*c && (*c < 0x20 || *c == 0x7f))
		return 1;
	return c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0 ? 2 : 0;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if (control_len(text))
			return true;
	return false;
}

/* In the quotes of a shell that have escapes: $'...' */
static void print_escaped(const char *text)
{
	size_t n;

	fputs("$'", stdout);
	while (*text) {
		n = control_len(text);
		if (!n && (*text == '\'' || *text == '\\'))
			putchar('\\');
		if (!n)
			putchar(*text++);
		for (; n; n--)
			printf("\\%03o", (unsigned char)*text++);
	}
	putchar('\'');
}

/* So that a shell reads it as it is, and a terminal shows it as it is */
static void print_quoted(const char *text)
{
	if (has_control(text)) {
		print_escaped(text);
		return;
	}
	if (!needs_quotes(text)) {
		fputs(text, stdout);
		return;
	}
	putchar('\'');
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	putchar('\'');
}

static void print_field(const char *name, const json_t *value, bool is_first)
{
	printf("%s%s=", is_first ? "" : " ", name);
	if (json_is_string(value))
		print_quoted(json_string_value(value));
	else
		printf("%lld", (long long)json_integer_value(value));
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void item_print(unsigned int table, const json_t *rec)
{
	const struct fr_item_field *f = fr_item_fields(table);
	const json_t *end = json_object_get(rec, "expires_ms"), *value;
	char text[FR_UNITS_TEXT_LEN];
	bool is_first = true;
	uint64_t now, at;

	for (; f->name; f++) {
		value = json_object_get(rec, f->name);
		if (!value)
			continue;
		print_field(f->name, value, is_first);
		is_first = false;
	}
	if (!end)
		return;
	now = now_ms();
	at = (uint64_t)json_integer_value(end);
	fr_units_format_duration(
		(at > now ? (at - now) / 1000 : 0) * FR_UNITS_NS_PER_S, text);
	printf("  # ends in %s", text);
}

/* Is it one of those that were asked for? */
static bool is_match(const struct request *q, const json_t *rec)
{
	char number[32];
	size_t i;

	for (i = 0; q->fields[i].name; i++) {
		const json_t *value = json_object_get(rec, q->fields[i].name);
		const char *text = json_string_value(value);

		if (!q->texts[i])
			continue;
		if (json_is_integer(value)) {
			snprintf(number, sizeof(number), "%lld",
				 (long long)json_integer_value(value));
			text = number;
		}
		if (strcmp(text ? text : "", q->texts[i]))
			return false;
	}
	return true;
}

struct listing {
	const struct request *q;
	json_t *list; /* NULL: as they come */
};

static void on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	struct listing *l = cookie;

	for (; n; n--, recs = fr_record_next(l->q->table, recs)) {
		json_t *value = l->q->table->to_json(recs);

		if (!is_match(l->q, value)) {
			json_decref(value);
			continue;
		}
		if (l->list) {
			json_array_append(l->list, value);
		} else {
			item_print(table, value);
			putchar('\n');
		}
		json_decref(value);
	}
}

static const struct fr_genl_sink sink = { .records = on_records };

static int list(const struct request *q, struct fr_genl *g)
{
	struct listing l = { .q = q,
			     .list = q->cli->json ? json_array() : NULL };
	struct fr_genl_snapshot req = { .table = q->table->id };
	int err = fr_genl_snapshot_start(g, &req);

	if (!err)
		err = kernel_pump(g, &sink, &l);
	if (!err && l.list) {
		json_dumpf(l.list, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(l.list);
	return err ? kernel_fail(q->cli, g, err) : CLI_OK;
}

/* --- input -------------------------------------------------------------- */

static const char *refusal(int err)
{
	switch (err) {
	case -EBUSY:
		return "it is held for a peer, which owns it; --force takes it over";
	case -EEXIST:
		return "another item of this scope has the address; --force deletes that one";
	case -ENOENT:
		return "there is no such item";
	case -ENFILE:
		return "the table holds as many entries as its limit allows";
	case -EDQUOT:
		return "the table holds as many bytes as its limit allows";
	case -ETIME:
		return "it would have ended already";
	default:
		return strerror(-err);
	}
}

static void on_error(void *cookie, const void *rec, int error)
{
	(void)rec;
	*(int *)cookie = error;
}

static int apply(const struct request *q, struct fr_genl *g, const void *rec)
{
	uint32_t flags = FLYREP_APPLY_F_LOCAL;
	ssize_t n;
	int err = 0;

	if (cli_flag(q->cli, "force"))
		flags |= FLYREP_APPLY_F_FORCE;
	n = fr_genl_apply(g, q->table->id, flags, rec, 1, on_error, &err);
	if (n < 0)
		return kernel_fail(q->cli, g, (int)n);
	if (err)
		return cli_error(q->cli, CLI_FAILED, "%s: %s", q->table->name,
				 refusal(err));
	if (q->cli->json)
		puts("{}");
	return CLI_OK;
}

/* When "--expires" ends, 0 for never. Return: enum cli_exit */
static int get_end(const struct request *q, uint64_t *expires_ms)
{
	const char *text = cli_flag(q->cli, "expires");
	uint64_t ns;

	*expires_ms = 0;
	if (!text)
		return CLI_OK;
	if (fr_units_parse_duration(text, &ns) || ns < FR_UNITS_NS_PER_MS)
		return cli_usage(q->cli, q->verb,
				 "--expires: not a duration: \"%s\"", text);
	*expires_ms = now_ms() + ns / FR_UNITS_NS_PER_MS;
	return CLI_OK;
}

static int change(const struct request *q, struct fr_genl *g, uint8_t op)
{
	void *rec = aligned_alloc(8, FR_ITEM_ROOM);
	uint64_t expires_ms;
	char *why = NULL;
	int rc;

	if (!rec)
		return cli_error(q->cli, CLI_FAILED, "out of memory");
	rc = get_end(q, &expires_ms);
	if (!rc &&
	    fr_item_make(rec, q->table->id, op, q->texts, expires_ms, &why) < 0)
		rc = cli_usage(q->cli, q->verb, "%s",
			       why ? why : "out of memory");
	if (!rc)
		rc = apply(q, g, rec);
	free(why);
	free(rec);
	return rc;
}

static int unknown_field(const struct request *q, const char *arg)
{
	struct fr_nearest near;
	char name[64];
	size_t i;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg, "="), arg);
	fr_nearest_init(&near, name);
	for (i = 0; q->fields[i].name; i++)
		fr_nearest_offer(&near, q->fields[i].name);
	if (!near.best)
		return cli_usage(q->cli, q->verb, "%s has no field \"%s\"",
				 q->table->name, name);
	return cli_usage(q->cli, q->verb,
			 "%s has no field \"%s\"; did you mean \"%s\"?",
			 q->table->name, name, near.best);
}

/* FIELD=VALUE. Return: enum cli_exit */
static int take(struct request *q, const char *arg)
{
	size_t len = strcspn(arg, "="), i;

	if (!arg[len])
		return cli_usage(q->cli, q->verb, "\"%s\" is not FIELD=VALUE",
				 arg);
	for (i = 0; q->fields[i].name; i++)
		if (strlen(q->fields[i].name) == len &&
		    !memcmp(q->fields[i].name, arg, len))
			break;
	if (!q->fields[i].name)
		return unknown_field(q, arg);
	if (q->texts[i])
		return cli_usage(q->cli, q->verb, "%s is given twice",
				 q->fields[i].name);
	q->texts[i] = arg + len + 1;
	return CLI_OK;
}

static int run(struct request *q, const char *sub, int argc, char **argv)
{
	struct fr_genl *g;
	int rc = CLI_OK;

	q->fields = fr_item_fields(q->table->id);
	for (; argc && !rc; argc--, argv++)
		rc = take(q, *argv);
	if (!rc)
		rc = kernel_open(q->cli, &g);
	if (rc)
		return rc;
	if (!strcmp(sub, "list"))
		rc = list(q, g);
	else
		rc = change(q, g,
			    strcmp(sub, "del") ? FLYREP_OP_INSERT :
						 FLYREP_OP_DELETE);
	fr_genl_close(g);
	return rc;
}

int lease_run(struct cli *cli, int argc, char **argv)
{
	struct request q = { .cli = cli,
			     .verb = "lease",
			     .table = fr_table_by_id(FLYREP_TABLE_LEASE) };

	if (argc < 2)
		return cli_usage(cli, q.verb, "add, del or list?");
	return run(&q, argv[1], argc - 2, argv + 2);
}

int record_run(struct cli *cli, int argc, char **argv)
{
	struct request q = { .cli = cli, .verb = "record" };

	if (argc < 3)
		return cli_usage(cli, q.verb,
				 "add, del or list, and of which table?");
	q.table = fr_table_by_name(argv[2]);
	if (!q.table || !fr_item_fields(q.table->id))
		return words_check(cli, q.verb, "table ", argv[2], RECORD_TABLES);
	return run(&q, argv[1], argc - 3, argv + 3);
}
