// SPDX-License-Identifier: GPL-2.0-or-later
/* Elements of nft sets in the ledger: packets of all nodes put their ends off, and no node's wins. */
#include "cluster.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SET FLYREP_TABLE_NFT_SET
#define GRACE_MS 2000 /* LEDGER_GRACE_MS */

static struct flyrep_item *element(const char *key, const char *data, uint64_t expires_ms)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { "inet", "st", "seen", key, NULL, data };

	return item_make(SET, expires_ms, texts);
}

static void put(struct node *n, struct flyrep_item *it)
{
	local_put(n, SET, it);
	free(it);
	flush(n);
}

static void del(struct node *n, const char *key)
{
	struct flyrep_item *it = element(key, NULL, 0);

	local_delete(n, SET, it);
	free(it);
	flush(n);
}

static const struct flyrep_item *held(const struct node *n, const char *key)
{
	struct flyrep_item *like = element(key, NULL, 0);
	const struct flyrep_item *it = kernel_get(n, SET, like);

	free(like);
	return it;
}

/* When it ends in the own kernel, ms from now; -1: it is not there */
static int64_t left(const struct node *n, const char *key)
{
	const struct flyrep_item *it = held(n, key);

	return it ? (int64_t)(it->expires_ms - n->cluster->now_ms) : -1;
}

/* Packets put the end off, which nobody tells. */
static void packet(struct node *n, const char *key, uint64_t timeout_ms)
{
	struct flyrep_item *it = (struct flyrep_item *)held(n, key);

	assert_non_null(it);
	it->expires_ms = n->cluster->now_ms + timeout_ms;
}

/* The agent looks at it, as it does when half its time has gone. Return: whether it was a write */
static int look(struct node *n, const char *key)
{
	struct flyrep_item *it = (struct flyrep_item *)held(n, key);
	int rc;

	assert_non_null(it);
	it->rec.stamp = ++n->stamp;
	rc = ledger_local(n->ledger, SET, it);
	flush(n);
	return rc;
}

static const struct ledger_figures *figures(struct node *n)
{
	return ledger_figures(n->ledger);
}

static bool is_any(void *cookie, const uint8_t *key, size_t key_len)
{
	(void)cookie;
	(void)key;
	(void)key_len;
	return true;
}

/* The ruleset is loaded anew. */
static void empty(struct node *n)
{
	while (n->n_items)
		free(n->items[--n->n_items].item);
}

#define START(nodes, strategy_)                                                            \
	static const struct history_priority priorities[] = { { "n1", 100 } };             \
	struct ledger_config config = {                                                    \
		.tables = 1ull << SET,                                                     \
		.rules = { .strategy = strategy_,                                          \
			   .resolution = HISTORY_MILLISECOND,                              \
			   .priorities = priorities,                                       \
			   .n_priorities = (strategy_) == HISTORY_PRIORITY,                \
			   .skew_tolerance_ms = 100,                                       \
			   .is_approval_required = true },                                 \
		.inbox = { .timeout_ms = 3600000 },                                        \
		.tombstone_ms = 5000,                                                      \
		.tombstones_max = 100,                                                     \
		.history_max = 100,                                                        \
	};                                                                                 \
	struct cluster c;                                                                  \
	(void)state;                                                                       \
	cluster_init(&c, nodes, &config)

static void test_an_element_is_everywhere_until_it_ends(void **state)
{
	START(3, HISTORY_TIMESTAMP);

	put(&c.nodes[0], element("01", NULL, c.now_ms + 60000));
	talk(&c);
	assert_int_equal(left(&c.nodes[0], "01"), 60000);
	assert_int_equal(left(&c.nodes[1], "01"), 60000 + GRACE_MS);
	/* What was put there comes back by a look, and is no write. */
	assert_int_equal(look(&c.nodes[1], "01"), 0);
	assert_int_equal(figures(&c.nodes[1])->n_own, 0);
	pass(&c, 60001);
	assert_int_equal(left(&c.nodes[0], "01"), -1);
	pass(&c, GRACE_MS);
	assert_int_equal(left(&c.nodes[1], "01"), -1);
	assert_int_equal(figures(&c.nodes[0])->n_slots, 0);
	assert_int_equal(figures(&c.nodes[1])->n_slots, 0);
	assert_int_equal(c.n_writes, 1); /* no tombstone */
	cluster_free(&c);
}

static void test_the_later_end_holds(void **state)
{
	START(2, HISTORY_PRIORITY);

	put(&c.nodes[0], element("01", NULL, c.now_ms + 60000));
	talk(&c);
	pass(&c, 30000);
	packet(&c.nodes[1], "01", 60000);
	assert_int_equal(look(&c.nodes[1], "01"), 1);
	talk(&c);
	assert_int_equal(left(&c.nodes[0], "01"), 60000 + GRACE_MS);
	assert_int_equal(figures(&c.nodes[0])->n_slots, 1);
	/* By less than the tolerance is not later, nor is what was put there. */
	packet(&c.nodes[1], "01", 60900);
	assert_int_equal(look(&c.nodes[1], "01"), 0);
	assert_int_equal(look(&c.nodes[0], "01"), 0);
	/* What ends in the own kernel sooner, as somebody had it so, is put off again. */
	packet(&c.nodes[0], "01", 1000);
	assert_int_equal(look(&c.nodes[0], "01"), 0);
	assert_int_equal(left(&c.nodes[0], "01"), 60000 + GRACE_MS);
	cluster_free(&c);
}

/* Both see packets all the time: each tells once in half a timeout, and nothing else comes of it. */
static void test_packets_on_both(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	size_t n_writes;
	int i;

	put(&c.nodes[0], element("01", NULL, c.now_ms + 60000));
	put(&c.nodes[1], element("01", NULL, c.now_ms + 60500));
	talk(&c);
	assert_int_equal(figures(&c.nodes[0])->n_slots, 1);
	n_writes = c.n_writes;
	for (i = 0; i < 20; i++) {
		pass(&c, 30000);
		packet(&c.nodes[0], "01", 60000);
		packet(&c.nodes[1], "01", 60000 - (i % 3) * 400);
		look(&c.nodes[0], "01"); /* before either has heard of the other */
		look(&c.nodes[1], "01");
		talk(&c);
		assert_int_equal(look(&c.nodes[0], "01"), 0);
		assert_int_equal(look(&c.nodes[1], "01"), 0);
		assert_in_range(left(&c.nodes[0], "01"), 59000, 62000);
		assert_in_range(left(&c.nodes[1], "01"), 59000, 62000);
		assert_int_equal(figures(&c.nodes[0])->n_slots, 1);
	}
	/* Two writes, and who wins takes the other one over. */
	assert_in_range(c.n_writes - n_writes, 20, 3 * 20);
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	assert_int_equal(figures(&c.nodes[1])->n_conflicts, 0);
	cluster_free(&c);
}

/* The winner ends sooner than the loser, which goes: what it said of the end does not. */
static void test_the_loser_ends_later(void **state)
{
	START(3, HISTORY_PRIORITY);
	int i;

	put(&c.nodes[0], element("01", NULL, c.now_ms + 60000));
	put(&c.nodes[1], element("01", NULL, c.now_ms + 90000));
	talk(&c);
	for (i = 0; i < 3; i++) {
		assert_in_range(left(&c.nodes[i], "01"), 90000, 90000 + GRACE_MS);
		assert_int_equal(figures(&c.nodes[i])->n_slots, 1);
		assert_int_equal(figures(&c.nodes[i])->n_conflicts, 0);
	}
	empty(&c.nodes[2]);
	ledger_lose(c.nodes[2].ledger, SET, is_any, NULL);
	flush(&c.nodes[2]);
	assert_int_equal(left(&c.nodes[2], "01"), 90000 + GRACE_MS);
	cluster_free(&c);
}

static void test_what_was_put_off_unheard_is_not_deleted(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], element("01", NULL, c.now_ms + 60000));
	talk(&c);
	c.now_ms += 59990;
	packet(&c.nodes[0], "01", 60000);
	pass(&c, 20); /* over, as far as the ledger knows */
	assert_int_equal(left(&c.nodes[0], "01"), 59980);
	assert_int_equal(look(&c.nodes[0], "01"), 1);
	talk(&c);
	assert_int_equal(left(&c.nodes[1], "01"), 59980 + GRACE_MS);
	cluster_free(&c);
}

static void test_a_delete_wins(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], element("01", NULL, c.now_ms + 60000));
	put(&c.nodes[0], element("02", NULL, 0));
	talk(&c);
	packet(&c.nodes[1], "01", 90000);
	del(&c.nodes[0], "01");
	del(&c.nodes[0], "02");
	while (deliver(&c, 0, 1))
		;
	assert_int_equal(look(&c.nodes[1], "01"), 0); /* before it is deleted */
	talk(&c);
	assert_int_equal(left(&c.nodes[1], "01"), -1);
	assert_null(held(&c.nodes[1], "02"));
	/* Packets bring it back: that is news. */
	put(&c.nodes[1], element("01", NULL, c.now_ms + 60000));
	talk(&c);
	assert_int_equal(left(&c.nodes[0], "01"), 60000 + GRACE_MS);
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	cluster_free(&c);
}

static void test_data_is_decided_by_the_strategy(void **state)
{
	START(2, HISTORY_PRIORITY);
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX];
	int i;

	put(&c.nodes[0], element("01", "aa", c.now_ms + 60000));
	c.now_ms += 500;
	put(&c.nodes[1], element("01", "bb", c.now_ms + 90000));
	talk(&c);
	for (i = 0; i < 2; i++) {
		fr_item_unpack(held(&c.nodes[i], "01"), SET, fields);
		assert_int_equal(fields[FR_ITEM_NFT_DATA].pos[0], 0xaa);
		/* The end is that of another element. */
		assert_in_range(left(&c.nodes[i], "01"), 0, 60000 + GRACE_MS);
		assert_int_equal(figures(&c.nodes[i])->n_conflicts, 1);
	}
	cluster_free(&c);
}

static void test_a_set_that_lost_all_is_filled_again(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], element("01", NULL, c.now_ms + 60000));
	put(&c.nodes[1], element("02", NULL, 0));
	talk(&c);
	empty(&c.nodes[1]);
	assert_int_equal(ledger_lose(c.nodes[1].ledger, SET, is_any, NULL), 2);
	/* A packet was faster with one of them. */
	put(&c.nodes[1], element("01", NULL, c.now_ms + 60500));
	flush(&c.nodes[1]);
	talk(&c);
	assert_in_range(left(&c.nodes[1], "01"), 60000, 60500);
	assert_non_null(held(&c.nodes[1], "02"));
	assert_in_range(left(&c.nodes[0], "01"), 60000, 60500 + GRACE_MS);
	assert_int_equal(figures(&c.nodes[0])->n_tombstones + figures(&c.nodes[1])->n_tombstones, 0);
	cluster_free(&c);
}

/* An agent that comes back to an empty set, and one that was told which of it was lost */
static void test_what_is_lost_while_no_agent_runs(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	struct node *n = &c.nodes[0];

	put(n, element("01", NULL, c.now_ms + 60000));
	put(n, element("02", NULL, 0));
	talk(&c);
	node_close(n);
	empty(n);
	node_open_lost(n, is_any);
	flush(n);
	talk(&c);
	assert_int_equal(left(n, "01"), 60000 + GRACE_MS);
	assert_non_null(held(n, "02"));
	assert_non_null(held(&c.nodes[1], "01"));
	cluster_free(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_element_is_everywhere_until_it_ends),
		cmocka_unit_test(test_the_later_end_holds),
		cmocka_unit_test(test_packets_on_both),
		cmocka_unit_test(test_the_loser_ends_later),
		cmocka_unit_test(test_what_was_put_off_unheard_is_not_deleted),
		cmocka_unit_test(test_a_delete_wins),
		cmocka_unit_test(test_data_is_decided_by_the_strategy),
		cmocka_unit_test(test_a_set_that_lost_all_is_filled_again),
		cmocka_unit_test(test_what_is_lost_while_no_agent_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
