// SPDX-License-Identifier: GPL-2.0-or-later
/* What of the configuration reaches the ledger. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ledger_rules.h"

#define HEAD                                                                                       \
	"replication {\nmode = \"multi-master\"\nnode_id = \"a\"\nlisten_addr = \"10.0.0.1\"\n"    \
	"secret_key = \"0123456789abcdef0123456789abcdef\"\n"                                      \
	"peers = [{ id = \"b\", address = \"10.0.0.2\" }, { id = \"c\", address = \"10.0.0.3\" }]\n"

static const struct fr_siphash_key hash_key = { "rules" };

static void read_config(struct fr_config *config, const char *text)
{
	struct fr_diag diag;
	int rc = fr_config_parse("f", text, strlen(text), 0, config, &diag);

	if (rc)
		fr_diag_print(&diag, stderr);
	fr_diag_free(&diag);
	assert_int_equal(rc, 0);
}

static void all_of_it_and_the_configuration_may_go(void **state)
{
	struct fr_arena arena = { 0 };
	struct fr_config config;
	struct ledger_config c;

	(void)state;
	read_config(&config,
		    HEAD "state_dir = \"/srv/s\"\ndata { learning_state = false\nconfiguration = false }\n"
			 "conflict_resolution {\nstrategy = \"manual\"\n"
			 "priorities = { a = 100, \"b\" = 50 }\ntimestamp_resolution = \"second\"\n"
			 "clock_skew_tolerance = \"2s\"\nmanual_resolution {\n"
			 "require_approval = true\napprovers = [\"ops\", \"admin\"]\n"
			 "timeout = \"5m\"\n}\n}\n}\n");
	assert_int_equal(ledger_config_from(&c, &config, &hash_key, &arena), 0);
	fr_config_free(&config);
	assert_string_equal(c.dir, "/srv/s");
	assert_string_equal(c.node_id, "a");
	assert_int_equal(c.n_peers, 2);
	assert_string_equal(c.peers[0], "b");
	assert_string_equal(c.peers[1], "c");
	assert_int_equal(c.tables, 1ull << FLYREP_TABLE_LEASE | 1ull << FLYREP_TABLE_DNS |
					   1ull << FLYREP_TABLE_NFT_SET);
	assert_ptr_equal(c.hash_key, &hash_key);
	assert_int_equal(c.rules.strategy, HISTORY_MANUAL);
	assert_int_equal(c.rules.resolution, HISTORY_SECOND);
	assert_int_equal(c.rules.n_priorities, 2);
	assert_string_equal(c.rules.priorities[0].node, "a");
	assert_int_equal(c.rules.priorities[0].priority, 100);
	assert_string_equal(c.rules.priorities[1].node, "b");
	assert_int_equal(c.rules.priorities[1].priority, 50);
	assert_int_equal(c.rules.skew_tolerance_ms, 2000);
	assert_true(c.rules.is_approval_required);
	assert_int_equal(c.inbox.n_approvers, 2);
	assert_string_equal(c.inbox.approvers[0], "ops");
	assert_string_equal(c.inbox.approvers[1], "admin");
	assert_int_equal(c.inbox.timeout_ms, 300000);
	assert_int_equal(c.tombstone_ms, LEDGER_TOMBSTONE_MS);
	assert_int_equal(c.tombstones_max, LEDGER_TOMBSTONES_MAX);
	assert_int_equal(c.history_max, LEDGER_HISTORY_MAX);
	fr_arena_free(&arena);
}

static void defaults(void **state)
{
	struct fr_arena arena = { 0 };
	struct fr_config config;
	struct ledger_config c;

	(void)state;
	read_config(&config, HEAD "}\n");
	assert_int_equal(ledger_config_from(&c, &config, &hash_key, &arena), 0);
	fr_config_free(&config);
	assert_int_equal(c.tables, 1ull << FLYREP_TABLE_LEASE | 1ull << FLYREP_TABLE_DNS |
				   1ull << FLYREP_TABLE_LEARNING | 1ull << FLYREP_TABLE_CONFIG |
				   1ull << FLYREP_TABLE_NFT_SET);
	assert_int_equal(c.rules.strategy, HISTORY_TIMESTAMP);
	assert_int_equal(c.rules.resolution, HISTORY_MILLISECOND);
	assert_int_equal(c.rules.n_priorities, 0);
	assert_int_equal(c.rules.skew_tolerance_ms, 100);
	assert_true(c.rules.is_approval_required);
	assert_int_equal(c.inbox.n_approvers, 0);
	assert_int_equal(c.inbox.timeout_ms, 3600000);
	fr_arena_free(&arena);
}

/* Each choice means what it says: the numbers are the ledger's. */
static void choices(void **state)
{
	static const char *const strategies[] = { "timestamp", "priority", "manual" };
	static const char *const units[] = { "second", "millisecond", "microsecond", "nanosecond" };
	struct fr_config config;
	struct ledger_config c;
	char text[1024];
	int i;

	(void)state;
	for (i = 0; i < 12; i++) {
		struct fr_arena arena = { 0 };

		snprintf(text, sizeof(text),
			 HEAD "conflict_resolution = { strategy = \"%s\", timestamp_resolution = "
			      "\"%s\" }\n}\n",
			 strategies[i % 3], units[i / 3]);
		read_config(&config, text);
		assert_int_equal(ledger_config_from(&c, &config, &hash_key, &arena), 0);
		assert_int_equal(c.rules.strategy, HISTORY_TIMESTAMP + i % 3);
		assert_int_equal(c.rules.resolution, HISTORY_SECOND + i / 3);
		fr_config_free(&config);
		fr_arena_free(&arena);
	}
}

/* One writer: no versions. Flows alone: none either. */
static void no_tables_no_ledger(void **state)
{
	static const char *const texts[] = {
		"replication {\nmode = \"replica\"\n}\n",
		HEAD "data { dhcp_leases = false\ndns_records = false\nlearning_state = false\n"
		     "configuration = false\nnft_sets = [] }\n}\n",
	};
	struct fr_config config;
	struct ledger_config c;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct fr_arena arena = { 0 };

		read_config(&config, texts[i]);
		assert_int_equal(ledger_config_from(&c, &config, &hash_key, &arena), 0);
		assert_int_equal(c.tables, 0);
		fr_config_free(&config);
		fr_arena_free(&arena);
	}
}

static uint64_t now_ms(void *cookie)
{
	(void)cookie;
	return 1700000000000;
}

static void a_ledger_opens(void **state)
{
	const struct ledger_ops ops = { .now_ms = now_ms };
	char dir[] = "/tmp/test_ledger_rules.XXXXXX", why[256], path[64];
	struct fr_arena arena = { 0 };
	struct fr_config config;
	struct ledger_config c;
	struct ledger *l;

	(void)state;
	assert_non_null(mkdtemp(dir));
	read_config(&config, HEAD "data { metrics = true\ndns_records = false }\n}\n");
	config.state_dir = dir;
	assert_int_equal(ledger_config_from(&c, &config, &hash_key, &arena), 0);
	fr_config_free(&config);
	if (ledger_open(&l, &c, &ops, NULL, why, sizeof(why)))
		fail_msg("%s", why);
	assert_non_null(ledger_truth(l, FLYREP_TABLE_METRIC, "c"));
	assert_null(ledger_truth(l, FLYREP_TABLE_DNS, "c"));
	ledger_close(l);
	fr_arena_free(&arena);
	snprintf(path, sizeof(path), "%s/%s", dir, LEDGER_FILE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void too_little_memory(void **state)
{
	struct fr_config config;
	struct ledger_config c;
	int rc = -ENOMEM;
	size_t max;

	(void)state;
	read_config(&config, HEAD "conflict_resolution { priorities = { a = 1 }\n"
				  "manual_resolution { approvers = [\"ops\"] } }\n}\n");
	for (max = 1; rc; max++) {
		struct fr_arena arena;

		fr_arena_init(&arena, max);
		rc = ledger_config_from(&c, &config, &hash_key, &arena);
		assert_true(!rc || rc == -ENOMEM);
		fr_arena_free(&arena);
	}
	assert_true(max > 100);
	fr_config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_and_the_configuration_may_go),
		cmocka_unit_test(defaults),
		cmocka_unit_test(choices),
		cmocka_unit_test(no_tables_no_ledger),
		cmocka_unit_test(a_ledger_opens),
		cmocka_unit_test(too_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
