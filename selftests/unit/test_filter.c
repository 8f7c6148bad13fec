// SPDX-License-Identifier: GPL-2.0-or-later
/* What leaves a node, in which form, and what comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter.h"
#include "frame.h"
#include "item.h"

static const struct fr_siphash_key hash_key = { "0123456789abcdef" };

struct node {
	struct fr_config config;
	struct truth *truths[FR_TABLES_MAX];
	struct filter *filter;
	uint64_t order;
	uint8_t rec[FR_ITEM_ROOM] __attribute__((aligned(8)));
};

static struct node *node_new(const char *body)
{
	struct node *n = aligned_alloc(8, sizeof(*n) + 8 - sizeof(*n) % 8);
	struct fr_diag diag;
	char text[4096];
	unsigned int id;

	memset(n, 0, sizeof(*n));
	snprintf(text, sizeof(text),
		 "replication {\nmode = \"replica\"\nnode_id = \"a\"\n"
		 "secret_key = \"0123456789abcdef0123456789abcdef\"\n%s\n}\n", body);
	if (fr_config_parse("f", text, strlen(text), 0, &n->config, &diag)) {
		fr_diag_print(&diag, stderr);
		fail();
	}
	fr_diag_free(&diag);
	for (id = 0; id < FR_TABLES_MAX; id++)
		if (fr_table_by_id(id))
			n->truths[id] = truth_new(fr_table_by_id(id), &hash_key);
	n->filter = filter_new(&n->config, n->truths);
	assert_non_null(n->filter);
	return n;
}

static void node_free(struct node *n)
{
	unsigned int id;

	filter_free(n->filter);
	for (id = 0; id < FR_TABLES_MAX; id++)
		truth_free(n->truths[id]);
	fr_config_free(&n->config);
	free(n);
}

static const void *make(struct node *n, unsigned int table, uint8_t op, const char *const *texts)
{
	char *why;

	assert_true(fr_item_make(n->rec, table, op, texts, 0, &why) > 0);
	((struct flyrep_rec *)(void *)n->rec)->stamp = 77;
	((struct flyrep_rec *)(void *)n->rec)->id = 5;
	return n->rec;
}

static const void *lease(struct node *n, uint8_t op, const char *scope, const char *ip)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { scope, "00:00:00:00:00:01", NULL, ip };

	return make(n, FLYREP_TABLE_LEASE, op, texts);
}

/* As the owner does it: what its index says of it */
static int put(struct node *n, unsigned int table, const void *rec)
{
	bool is_withdrawal;
	const void *out = filter_pass(n->filter, fr_table_by_id(table), rec, &is_withdrawal);
	unsigned int bucket;
	int op;

	assert_non_null(out);
	op = truth_put(n->truths[table], out, ++n->order, &bucket);
	if (is_withdrawal && op == FLYREP_OP_DELETE)
		filter_withdrew(n->filter, fr_table_by_id(table));
	return op;
}

static size_t entries(const struct node *n, unsigned int table)
{
	return index_entries(truth_index(n->truths[table]));
}

/* A field of a record as a person sees it, to be freed; NULL: it is empty. */
static char *field(unsigned int table, const void *rec, const char *name)
{
	json_t *obj = fr_table_by_id(table)->to_json(rec);
	const char *text = json_string_value(json_object_get(obj, name));
	char *copy = text ? strdup(text) : NULL;

	json_decref(obj);
	return copy;
}

static void assert_field(unsigned int table, const void *rec, const char *name, const char *want)
{
	char *text = field(table, rec, name);

	if (want)
		assert_string_equal(text, want);
	else
		assert_null(text);
	free(text);
}

static void what_passes_is_left_alone(void **state)
{
	struct node *n = node_new("");
	bool is_withdrawal;
	const void *rec = lease(n, FLYREP_OP_UPDATE, "lan", "192.0.2.1");

	(void)state;
	assert_ptr_equal(filter_pass(n->filter, &fr_lease_table, rec, &is_withdrawal), rec);
	assert_false(is_withdrawal);
	assert_true(filter_admits(n->filter, &fr_lease_table, rec));
	assert_false(filter_moves_keys(n->filter, &fr_lease_table));
	node_free(n);
}

static void what_no_longer_passes_is_withdrawn(void **state)
{
	struct node *n = node_new("filters { custom_filters = [\n"
				  "{ type = \"dhcp\", condition = \"scope != 'test'\" },\n"
				  "{ type = \"dhcp\", condition = \"ip in 192.0.2.0/24\" } ] }");
	const struct filter_counts *c = filter_counts(n->filter, FLYREP_TABLE_LEASE);

	(void)state;
	assert_int_equal(put(n, FLYREP_TABLE_LEASE, lease(n, FLYREP_OP_UPDATE, "test", "192.0.2.1")),
			 FLYREP_OP_UNSPEC);
	assert_int_equal(put(n, FLYREP_TABLE_LEASE, lease(n, FLYREP_OP_UPDATE, "lan", "10.0.0.1")),
			 FLYREP_OP_UNSPEC);
	assert_int_equal(entries(n, FLYREP_TABLE_LEASE), 0);
	assert_int_equal(c->filtered, 2);
	assert_int_equal(c->withdrawn, 0);
	assert_int_equal(c->missing_value, 0);
	assert_int_equal(put(n, FLYREP_TABLE_LEASE, lease(n, FLYREP_OP_UPDATE, "lan", "192.0.2.1")),
			 FLYREP_OP_INSERT);
	assert_int_equal(put(n, FLYREP_TABLE_LEASE, lease(n, FLYREP_OP_UPDATE, "lan", NULL)),
			 FLYREP_OP_DELETE);
	assert_int_equal(c->withdrawn, 1);
	assert_int_equal(c->missing_value, 1);
	assert_int_equal(entries(n, FLYREP_TABLE_LEASE), 0);
	/* A delete of what was never shipped is none. */
	assert_int_equal(put(n, FLYREP_TABLE_LEASE, lease(n, FLYREP_OP_DELETE, "lan", NULL)),
			 FLYREP_OP_UNSPEC);
	assert_int_equal(put(n, FLYREP_TABLE_LEASE, lease(n, FLYREP_OP_UPDATE, "lan", "192.0.2.1")),
			 FLYREP_OP_INSERT);
	assert_int_equal(put(n, FLYREP_TABLE_LEASE, lease(n, FLYREP_OP_DELETE, "lan", NULL)),
			 FLYREP_OP_DELETE);
	node_free(n);
}

static void a_receiver_checks_again(void **state)
{
	struct node *n = node_new("filters { sensitive = [\"hostname\"]\n custom_filters = [\n"
				  "{ type = \"dhcp\", condition = \"scope != 'test'\" } ] }");
	const char *texts[FR_ITEM_FIELDS_MAX] = { "lan", "01", NULL, NULL, NULL, "desk" };

	(void)state;
	assert_true(filter_admits(n->filter, &fr_lease_table, lease(n, FLYREP_OP_INSERT, "lan", NULL)));
	assert_false(filter_admits(n->filter, &fr_lease_table,
				   lease(n, FLYREP_OP_INSERT, "test", NULL)));
	assert_true(filter_admits(n->filter, &fr_lease_table,
				  lease(n, FLYREP_OP_DELETE, "test", NULL)));
	assert_false(filter_admits(n->filter, &fr_lease_table,
				   make(n, FLYREP_TABLE_LEASE, FLYREP_OP_INSERT, texts)));
	node_free(n);
}

static void sensitive_fields_stay_here(void **state)
{
	struct node *n = node_new("filters { sensitive = [\"vendor\", \"hostname\"] }");
	const char *texts[FR_ITEM_FIELDS_MAX] = { "lan",  "01", NULL,  "192.0.2.1", "bound",
						  "desk", NULL, "lan", NULL,	    "MSFT" };
	const void *rec = make(n, FLYREP_TABLE_LEASE, FLYREP_OP_UPDATE, texts), *out;
	const struct flyrep_rec *head;
	bool is_withdrawal;
	const char *why;

	(void)state;
	out = filter_pass(n->filter, &fr_lease_table, rec, &is_withdrawal);
	assert_ptr_not_equal(out, rec);
	assert_false(is_withdrawal);
	head = out;
	assert_int_equal(head->stamp, 77);
	assert_int_equal(head->id, 5);
	assert_int_equal(head->op, FLYREP_OP_UPDATE);
	assert_int_equal(fr_lease_table.check(out, &why), 0);
	assert_field(FLYREP_TABLE_LEASE, out, "hostname", NULL);
	assert_field(FLYREP_TABLE_LEASE, out, "vendor", NULL);
	assert_field(FLYREP_TABLE_LEASE, out, "ip", "192.0.2.1");
	assert_field(FLYREP_TABLE_LEASE, out, "zone", "lan");
	assert_true(filter_admits(n->filter, &fr_lease_table, out));
	assert_int_equal(filter_counts(n->filter, FLYREP_TABLE_LEASE)->reduced, 1);
	node_free(n);
}

static const void *file(struct node *n, uint8_t op, const char *path, const char *bytes)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { path, NULL, NULL, NULL, NULL, bytes };

	return make(n, FLYREP_TABLE_CONFIG, op, texts);
}

static void files_with_secrets_stay_here(void **state)
{
	struct node *n = node_new("");

	(void)state;
	assert_int_equal(put(n, FLYREP_TABLE_CONFIG, file(n, FLYREP_OP_UPDATE, "/a", "x = 1\n")),
			 FLYREP_OP_INSERT);
	assert_null(filter_held(n->filter, 0));
	assert_int_equal(put(n, FLYREP_TABLE_CONFIG,
			     file(n, FLYREP_OP_UPDATE, "/a", "x = 1\npassword = y\n")),
			 FLYREP_OP_DELETE);
	assert_string_equal(filter_held(n->filter, 0), "/a, line 2: password");
	assert_null(filter_held(n->filter, 1));
	assert_int_equal(put(n, FLYREP_TABLE_CONFIG,
			     file(n, FLYREP_OP_UPDATE, "/b", "secret: y\n")),
			 FLYREP_OP_UNSPEC);
	assert_string_equal(filter_held(n->filter, 1), "/b, line 1: secret");
	assert_int_equal(put(n, FLYREP_TABLE_CONFIG, file(n, FLYREP_OP_UPDATE, "/a", "x = 1\n")),
			 FLYREP_OP_INSERT);
	assert_string_equal(filter_held(n->filter, 0), "/b, line 1: secret");
	put(n, FLYREP_TABLE_CONFIG, file(n, FLYREP_OP_DELETE, "/b", NULL));
	assert_null(filter_held(n->filter, 0));
	assert_false(filter_admits(n->filter, &fr_config_table,
				   file(n, FLYREP_OP_INSERT, "/c", "psk=1")));
	assert_null(filter_held(n->filter, 0));
	node_free(n);
	n = node_new("filters { exclude_sensitive = false }");
	assert_int_equal(put(n, FLYREP_TABLE_CONFIG,
			     file(n, FLYREP_OP_UPDATE, "/a", "password = y\n")),
			 FLYREP_OP_INSERT);
	node_free(n);
}

static void more_files_than_are_named(void **state)
{
	struct node *n = node_new("");
	char path[32];
	unsigned int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		put(n, FLYREP_TABLE_CONFIG, file(n, FLYREP_OP_UPDATE, path, "secret: y\n"));
	}
	assert_string_equal(filter_held(n->filter, 15), "/15, line 1: secret");
	assert_string_equal(filter_held(n->filter, 16), "others");
	assert_null(filter_held(n->filter, 17));
	node_free(n);
}

static void expectations_follow_their_master(void **state)
{
	struct node *n = node_new("filters { custom_filters = [\n"
				  "{ type = \"conntrack\", condition = \"dport == 21\" } ] }");
	struct flyrep_ct ct = { .rec.op = FLYREP_OP_UPDATE, .family = AF_INET,
				.proto = IPPROTO_TCP, .zone_dir = 3 };
	struct flyrep_expect e = { .rec.op = FLYREP_OP_UPDATE, .family = AF_INET,
				   .proto = IPPROTO_TCP, .master_proto = IPPROTO_TCP,
				   .zone_dir = 3 };

	(void)state;
	inet_pton(AF_INET, "192.0.2.1", ct.orig.src.byte);
	inet_pton(AF_INET, "192.0.2.2", ct.orig.dst.byte);
	ct.orig.sport = htons(1000);
	ct.orig.dport = htons(22);
	e.master = e.tuple = ct.orig;
	assert_true(filter_follows(n->filter, fr_table_by_id(FLYREP_TABLE_EXPECTATION)));
	assert_int_equal(put(n, FLYREP_TABLE_CONNTRACK, &ct), FLYREP_OP_UNSPEC);
	assert_int_equal(put(n, FLYREP_TABLE_EXPECTATION, &e), FLYREP_OP_UNSPEC);
	ct.orig.dport = e.master.dport = htons(21);
	assert_int_equal(put(n, FLYREP_TABLE_CONNTRACK, &ct), FLYREP_OP_INSERT);
	assert_int_equal(put(n, FLYREP_TABLE_EXPECTATION, &e), FLYREP_OP_INSERT);
	ct.rec.op = FLYREP_OP_DELETE;
	assert_int_equal(put(n, FLYREP_TABLE_CONNTRACK, &ct), FLYREP_OP_DELETE);
	assert_int_equal(put(n, FLYREP_TABLE_EXPECTATION, &e), FLYREP_OP_DELETE);
	node_free(n);
}

static const void *metric(struct node *n, uint8_t op, const char *name, const char *counters)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { "a", "peer", name, NULL, counters };

	return make(n, FLYREP_TABLE_METRIC, op, texts);
}

static void addresses_leave_in_disguise(void **state)
{
	struct node *n = node_new("data = { conntrack = false, nft_sets = [], dhcp_leases = false,\n"
				  "dns_records = false, configuration = false, metrics = true }\n"
				  "transformations { anonymize_ips = true }");
	const struct fr_table *t = &fr_metric_table;
	bool is_withdrawal;
	const char *why;
	const void *out;
	char *name, *again;

	(void)state;
	assert_true(filter_moves_keys(n->filter, t));
	assert_false(filter_moves_keys(n->filter, &fr_lease_table));
	out = filter_pass(n->filter, t, metric(n, FLYREP_OP_UPDATE, "to 192.0.2.1", "192.0.2.7=3"),
			  &is_withdrawal);
	assert_int_equal(t->check(out, &why), 0);
	name = field(FLYREP_TABLE_METRIC, out, "name");
	assert_string_not_equal(name, "to 192.0.2.1");
	again = field(FLYREP_TABLE_METRIC, out, "counters");
	assert_null(strstr(again, "192.0.2.7"));
	assert_non_null(strstr(again, "=3"));
	free(again);
	/* Its delete has the same key. */
	out = filter_pass(n->filter, t, metric(n, FLYREP_OP_DELETE, "to 192.0.2.1", NULL),
			  &is_withdrawal);
	again = field(FLYREP_TABLE_METRIC, out, "name");
	assert_string_equal(again, name);
	free(again);
	free(name);
	assert_int_equal(put(n, FLYREP_TABLE_METRIC,
			     metric(n, FLYREP_OP_UPDATE, "192.0.2.1", "x")), FLYREP_OP_INSERT);
	assert_int_equal(put(n, FLYREP_TABLE_METRIC, metric(n, FLYREP_OP_DELETE, "192.0.2.1", NULL)),
			 FLYREP_OP_DELETE);
	node_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_passes_is_left_alone),
		cmocka_unit_test(what_no_longer_passes_is_withdrawn),
		cmocka_unit_test(a_receiver_checks_again),
		cmocka_unit_test(sensitive_fields_stay_here),
		cmocka_unit_test(files_with_secrets_stay_here),
		cmocka_unit_test(more_files_than_are_named),
		cmocka_unit_test(expectations_follow_their_master),
		cmocka_unit_test(addresses_leave_in_disguise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
