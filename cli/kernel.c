// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep kernel: straight to the module, no agent needed */
#include "kernel.h"

#include "items.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "counter.h"
#include "genl.h"
#include "records.h"
#include "style.h"
#include "units.h"
#include "words.h"

static const char *const capture_names[] = {
	[FLYREP_CAPTURE_NONE] = "none",
	[FLYREP_CAPTURE_CHAIN] = "chain",
	[FLYREP_CAPTURE_NETLINK] = "netlink",
};

int kernel_fail(const struct cli *cli, struct fr_genl *g, int err)
{
	int rc = CLI_FAILED;

	if (err == -EPERM || err == -EACCES)
		rc = CLI_DENIED;
	else if (err == -ENOENT)
		rc = CLI_UNREACHABLE;
	return cli_error(cli, rc, "kernel: %s",
			 g ? fr_genl_error(g) : strerror(-err));
}

int kernel_open(const struct cli *cli, struct fr_genl **g)
{
	int err = fr_genl_open(g);

	if (err == -ENOENT)
		return cli_error(cli, CLI_UNREACHABLE,
				 "kernel: the module is not loaded "
				 "(modprobe flyrep)");
	return err ? kernel_fail(cli, NULL, err) : CLI_OK;
}

static void show_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT);
	putchar('\n');
}

static json_t *usage_to_json(const struct flyrep_usage *u)
{
	const struct fr_table *t = fr_table_by_id(u->table);

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "table",
			 t ? t->name : "unknown", "entries",
			 (json_int_t)u->entries, "held", (json_int_t)u->held,
			 "max_entries", (json_int_t)u->max_entries, "bytes",
			 (json_int_t)u->bytes, "max_bytes",
			 (json_int_t)u->max_bytes);
}

static void print_usage(const struct flyrep_usage *u)
{
	const struct fr_table *t = fr_table_by_id(u->table);
	char bytes[FR_UNITS_TEXT_LEN], max[FR_UNITS_TEXT_LEN];

	printf("%s %u of %u (%u held), %s of %s\n", t ? t->name : "unknown",
	       u->entries, u->max_entries, u->held,
	       fr_units_format_bytes(u->bytes, bytes),
	       fr_units_format_bytes(u->max_bytes, max));
}

static const char *capture_name(const struct fr_genl_info *info)
{
	return info->capture <
			       sizeof(capture_names) / sizeof(capture_names[0]) ?
		       capture_names[info->capture] :
		       "unknown";
}

static json_t *info_to_json(const struct fr_genl_info *info)
{
	const char *capture = capture_name(info);
	json_t *counters = json_object(), *items = json_array();
	size_t i;

	for (i = 0; i < info->n_counters && i < __FLYREP_C_MAX; i++)
		json_object_set_new(
			counters, fr_counter_name(i),
			json_integer((json_int_t)info->counters[i]));
	for (i = 0; i < info->n_items; i++)
		json_array_append_new(items, usage_to_json(&info->items[i]));
	return json_pack(
		"{s:s, s:i, s:s, s:I, s:b, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:o, s:o}",
		"version", info->version, "abi", (int)info->abi, "capture",
		capture, "reader", (json_int_t)info->reader, "standby",
		info->standby, "ring_entries", (json_int_t)info->ring_entries,
		"dirty", (json_int_t)info->dirty, "hold_s",
		(json_int_t)info->hold_s, "grace_s", (json_int_t)info->grace_s,
		"learn_s", (json_int_t)info->learn_s, "flows",
		(json_int_t)info->ct_count, "flows_max",
		(json_int_t)info->ct_max, "counters", counters, "items", items);
}

static void print_status(const struct cli *cli, const struct fr_genl_info *info)
{
	bool is_capturing = info->capture != FLYREP_CAPTURE_NONE;
	size_t i;

	style_print(cli, is_capturing ? STYLE_GOOD : STYLE_BAD, "%s",
		    is_capturing ? "capturing" : "not capturing");
	if (is_capturing)
		printf(" (%s)", capture_name(info));
	printf("  module %s, %s, %s\n", info->version,
	       info->reader ? "a reader is bound" : "no reader",
	       info->standby ? "standby" : "active");
	printf("flows %u of %u, ring %u a CPU, dirty buckets %u, "
	       "hold %u s, grace %u s, learn %u s\n",
	       info->ct_count, info->ct_max, info->ring_entries, info->dirty,
	       info->hold_s, info->grace_s, info->learn_s);
	for (i = 0; i < info->n_items; i++)
		if (info->items[i].entries || cli->verbose)
			print_usage(&info->items[i]);
	for (i = 0; i < info->n_counters && i < __FLYREP_C_MAX; i++)
		if (info->counters[i] || cli->verbose)
			printf("  %-20s %llu\n", fr_counter_name(i),
			       (unsigned long long)info->counters[i]);
}

static int status(struct cli *cli, struct fr_genl *g, const struct fr_table *t)
{
	struct fr_genl_info info;
	int err = fr_genl_info(g, &info);
	json_t *value;

	(void)t;
	if (err)
		return kernel_fail(cli, g, err);
	if (cli->json) {
		value = info_to_json(&info);
		show_json(value);
		json_decref(value);
	} else {
		print_status(cli, &info);
	}
	return info.capture == FLYREP_CAPTURE_NONE ? CLI_DEGRADED : CLI_OK;
}

/* Where records go: to people line by line, to JSON as one array or a line each */
struct output {
	const struct cli *cli;
	json_t *list; /* NULL: as they come */
	uint64_t n;
	bool is_woken;
};

static const char *text_of(const json_t *object, const char *key)
{
	return json_is_string(json_object_get(object, key)) ?
		       json_string_value(json_object_get(object, key)) :
		       "";
}

/* By its name, or by its number if it has none */
static void print_proto(const json_t *proto)
{
	if (json_is_string(proto))
		printf("%-7s ", json_string_value(proto));
	else
		printf("%-7lld ", (long long)json_integer_value(proto));
}

/* "10.0.0.1:53" or "[fd00::1]:53"; the address alone where there are no ports */
static void print_end(const json_t *tuple, const char *addr, const char *port)
{
	const json_t *number = json_object_get(tuple, port);
	const char *text = text_of(tuple, addr);

	if (!number)
		fputs(text, stdout);
	else if (strchr(text, ':'))
		printf("[%s]:%lld", text,
		       (long long)json_integer_value(number));
	else
		printf("%s:%lld", text, (long long)json_integer_value(number));
}

static void print_tuple(const json_t *tuple)
{
	const json_t *id = json_object_get(tuple, "id");

	print_end(tuple, "src", "sport");
	fputs(" > ", stdout);
	print_end(tuple, "dst", "dport");
	if (id)
		printf(" id %lld", (long long)json_integer_value(id));
}

static void print_flow(const json_t *rec)
{
	const json_t *reply = json_object_get(rec, "reply"), *status, *item;
	static const char *const states[] = { "tcp_state", "sctp_state",
					      "dccp_state" };
	size_t i;

	print_proto(json_object_get(rec, "proto"));
	print_tuple(json_object_get(rec, "original"));
	if (reply) {
		fputs("  reply ", stdout);
		print_tuple(reply);
	}
	for (i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (*text_of(rec, states[i]))
			printf("  %s", text_of(rec, states[i]));
	status = json_object_get(rec, "status");
	json_array_foreach(status, i, item)
		printf(" %s", json_string_value(item));
	if (json_integer_value(json_object_get(rec, "mark")))
		printf("  mark %lld", (long long)json_integer_value(
					      json_object_get(rec, "mark")));
	if (reply)
		printf("  %lld s", (long long)json_integer_value(
					   json_object_get(rec, "timeout_s")));
}

static void print_expectation(const json_t *rec)
{
	const json_t *master = json_object_get(rec, "master"), *flags, *item;
	size_t i;

	print_proto(json_object_get(rec, "proto"));
	print_tuple(json_object_get(rec, "expected"));
	fputs("  master ", stdout);
	print_proto(json_object_get(master, "proto"));
	print_tuple(master);
	if (*text_of(rec, "helper"))
		printf("  helper %s", text_of(rec, "helper"));
	flags = json_object_get(rec, "flags");
	json_array_foreach(flags, i, item)
		printf(" %s", json_string_value(item));
	if (flags)
		printf("  %lld s", (long long)json_integer_value(
					   json_object_get(rec, "timeout_s")));
}

static void print_record(const struct cli *cli, const struct fr_table *row,
			 const json_t *rec)
{
	bool is_gone = !strcmp(text_of(rec, "op"), "delete");

	style_print(cli, is_gone ? STYLE_BAD : STYLE_GOOD, "%-6s",
		    text_of(rec, "op"));
	printf(" %-6s ", text_of(rec, "origin"));
	if (row->id == FLYREP_TABLE_CONNTRACK) {
		print_flow(rec);
	} else if (row->id == FLYREP_TABLE_EXPECTATION) {
		printf("%s ", row->name);
		print_expectation(rec);
	} else {
		printf("%s ", row->name);
		item_print(row->id, rec);
	}
	putchar('\n');
}

static void on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	const struct fr_table *row = fr_table_by_id(table);
	struct output *out = cookie;
	size_t i;

	for (i = 0; i < n; i++, recs = fr_record_next(row, recs)) {
		json_t *value = row->to_json(recs);

		out->n++;
		if (out->list)
			json_array_append(out->list, value);
		else if (out->cli->json)
			show_json(value);
		else
			print_record(out->cli, row, value);
		json_decref(value);
	}
}

static const char *const hint_names[] = {
	[FLYREP_HINT_ELEMENT] = "element",
	[FLYREP_HINT_FLUSH] = "flush",
	[FLYREP_HINT_GENERATION] = "generation",
};

/* @hex: room for two characters a byte and the end */
static void hint_key(const struct flyrep_hint *h, char *hex)
{
	const uint8_t *key = fr_genl_hint_key(h);
	size_t i;

	*hex = 0;
	for (i = 0; i < h->key_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
}

static void show_hint(const struct output *out, const struct flyrep_hint *h)
{
	char key[2 * FLYREP_HINT_KEY_MAX_LEN + 1];
	json_t *value;

	hint_key(h, key);
	if (out->cli->json) {
		value = json_pack("{s:s, s:I, s:I, s:s, s:I}", "hint",
				  hint_names[h->what], "table",
				  (json_int_t)h->table, "set",
				  (json_int_t)h->set, "key", key, "age_us",
				  (json_int_t)h->age_us);
		show_json(value);
		json_decref(value);
		return;
	}
	style_print(out->cli, STYLE_GOOD, "%-6s", "hint");
	printf(" %s", hint_names[h->what]);
	if (h->what != FLYREP_HINT_GENERATION)
		printf(" table %llu set %llu", (unsigned long long)h->table,
		       (unsigned long long)h->set);
	printf("%s%s\n", *key ? " key " : "", key);
}

static void on_hints(void *cookie, const struct flyrep_hint *hints, size_t len)
{
	const void *end = (const uint8_t *)hints + len;

	for (; (const void *)hints < end; hints = fr_genl_hint_next(hints))
		if (hints->what < sizeof(hint_names) / sizeof(*hint_names))
			show_hint(cookie, hints);
}

static void on_wake(void *cookie)
{
	((struct output *)cookie)->is_woken = true;
}

static const struct fr_genl_sink sink = {
	.records = on_records,
	.hints = on_hints,
	.wake = on_wake,
};

/* Until the kernel has something to say, or a signal came */
static int wait_for(struct fr_genl *g, int timeout_ms)
{
	struct pollfd p = { .fd = fr_genl_fd(g), .events = POLLIN };
	int n = poll(&p, 1, timeout_ms);

	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

/* Read a dump to its end. */
int kernel_pump(struct fr_genl *g, const struct fr_genl_sink *to, void *cookie)
{
	int rc;

	do {
		rc = fr_genl_pump(g, to, cookie);
		if (rc == -EAGAIN && wait_for(g, 10000))
			return -ETIMEDOUT;
	} while (rc == 1 || rc == -EAGAIN);
	return rc;
}

static int snapshot(struct cli *cli, struct fr_genl *g,
		    const struct fr_table *t)
{
	struct fr_genl_snapshot req = { .table = t->id };
	struct output out = { .cli = cli,
			      .list = cli->json ? json_array() : NULL };
	int err = fr_genl_snapshot_start(g, &req);

	if (!err)
		err = kernel_pump(g, &sink, &out);
	if (!err && out.list)
		show_json(out.list);
	json_decref(out.list);
	return err ? kernel_fail(cli, g, err) : CLI_OK;
}

static volatile sig_atomic_t is_stopped;

static void on_stop(int sig)
{
	(void)sig;
	is_stopped = 1;
}

/* Be the reader: no other may be, above all no agent. */
static int bind_reader(struct fr_genl *g)
{
	struct fr_genl_config config = FR_GENL_CONFIG_KEEP;
	uint8_t key[FLYREP_HASH_KEY_LEN];
	int err;

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -errno;
	config.hash_key = key;
	err = fr_genl_config(g, &config);
	return err ? err : fr_genl_bind(g);
}

static int events(struct cli *cli, struct fr_genl *g, const struct fr_table *t)
{
	struct sigaction stop = { .sa_handler = on_stop };
	struct output out = { .cli = cli };
	int err = bind_reader(g);

	(void)t;
	if (err == -EBUSY)
		return cli_error(cli, CLI_FAILED,
				 "kernel: there is a reader already, "
				 "most likely flyrepd");
	if (err)
		return kernel_fail(cli, g, err);
	/* Without SA_RESTART: poll comes back. */
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	while (!err && !is_stopped) {
		err = fr_genl_drain_start(g);
		if (!err)
			err = kernel_pump(g, &sink, &out);
		if (fflush(stdout))
			return CLI_FAILED;
		/* A WAKE may have come during the drain. */
		while (!err && !out.is_woken && !is_stopped) {
			wait_for(g, 1000);
			err = fr_genl_pump(g, &sink, &out);
			if (err == -EAGAIN)
				err = 0;
		}
		out.is_woken = false;
	}
	return err ? kernel_fail(cli, g, err) : CLI_OK;
}

static const struct {
	const char *name;
	int (*run)(struct cli *cli, struct fr_genl *g,
		   const struct fr_table *t);
} subs[] = {
	{ "status", status },
	{ "events", events },
	{ "snapshot", snapshot },
};

int kernel_run(struct cli *cli, int argc, char **argv)
{
	const struct fr_table *t = fr_table_by_id(FLYREP_TABLE_CONNTRACK);
	const char *name = argc > 1 ? argv[1] : "status";
	struct fr_genl *g;
	size_t i = 0;
	int rc;

	if (argc > (strcmp(name, "snapshot") ? 2 : 3))
		return cli_usage(cli, "kernel", "too many arguments");
	if (argc == 3)
		t = fr_table_by_name(argv[2]);
	if (!t)
		return words_check_table(cli, "kernel", "table ", argv[2]);
	while (strcmp(subs[i].name, name))
		i++;
	rc = kernel_open(cli, &g);
	if (rc)
		return rc;
	rc = subs[i].run(cli, g, t);
	fr_genl_close(g);
	return rc;
}
