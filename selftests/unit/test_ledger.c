// SPDX-License-Identifier: GPL-2.0-or-later
/* The ledger, rule by rule: who wins, what waits for whom, what survives what. */
#include "cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define DNS FLYREP_TABLE_DNS
#define LEASE FLYREP_TABLE_LEASE
#define LEARNING FLYREP_TABLE_LEARNING

static const struct history_priority priorities[] = { { "n1", 100 }, { "n2", 50 }, { "n3", 25 } };

static struct ledger_config config_of(int strategy)
{
	return (struct ledger_config){
		.tables = LEDGER_TABLES,
		.rules = { .strategy = strategy, .resolution = HISTORY_MILLISECOND,
			   .priorities = priorities,
			   .n_priorities = strategy == HISTORY_PRIORITY ? N_OF(priorities) : 0,
			   .skew_tolerance_ms = 100, .is_approval_required = true },
		.inbox = { .timeout_ms = 3600000 },
		.tombstone_ms = 5000,
		.tombstones_max = 100,
		.history_max = 100,
	};
}

/* --- a small language ---------------------------------------------------- */

static struct flyrep_item *dns(const char *name, const char *ttl, uint64_t expires_ms)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { NULL, name, "A", "10.0.0.1", ttl };

	return item_make(DNS, expires_ms, texts);
}

static struct flyrep_item *lease(const char *client, const char *ip, uint64_t expires_ms)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { "lan", client, NULL, ip, "active" };

	return item_make(LEASE, expires_ms, texts);
}

static struct flyrep_item *learnt(const char *policy, const char *first, const char *last,
				  const char *count)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { "00:01", "tcp", "443", policy, NULL,
						  first,   last,  count };

	return item_make(LEARNING, 0, texts);
}

static void put(struct node *n, uint8_t table, struct flyrep_item *it)
{
	local_put(n, table, it);
	free(it);
	flush(n);
}

static void del(struct node *n, uint8_t table, struct flyrep_item *it)
{
	local_delete(n, table, it);
	free(it);
	flush(n);
}

/* A text field of an item in a kernel; "-": no such item. */
static const char *says(const struct node *n, uint8_t table, struct flyrep_item *like,
			const char *field)
{
	static char text[4][64];
	static unsigned int at;
	const struct flyrep_item *it = kernel_get(n, table, like);
	char *to = text[at++ % 4];
	const json_t *value;
	json_t *obj;

	snprintf(to, 64, "-");
	free(like);
	if (!it)
		return to;
	obj = fr_table_by_id(table)->to_json(it);
	value = json_object_get(obj, field);
	if (json_is_integer(value))
		snprintf(to, 64, "%lld", json_integer_value(value));
	else
		snprintf(to, 64, "%s", value ? json_string_value(value) : "");
	json_decref(obj);
	return to;
}

#define TTL(node, name) says(&c.nodes[node], DNS, dns(name, NULL, 0), "ttl")
#define IP(node, client) says(&c.nodes[node], LEASE, lease(client, NULL, 0), "ip")
#define LEARNT(node, field) says(&c.nodes[node], LEARNING, learnt(NULL, NULL, NULL, NULL), field)

static void last(void *cookie, const struct inbox_conflict *c)
{
	*(const struct inbox_conflict **)cookie = c;
}

/* The newest conflict in a state, or NULL. */
static const struct inbox_conflict *conflict(const struct node *n, int state)
{
	const struct inbox_conflict *c = NULL;

	inbox_list(ledger_inbox(n->ledger), state, last, &c);
	return c;
}

static const struct ledger_figures *figures(struct node *n)
{
	return ledger_figures(n->ledger);
}

#define START(nodes, strategy)                             \
	struct ledger_config config = config_of(strategy); \
	struct cluster c;                                  \
	(void)state;                                       \
	cluster_init(&c, nodes, &config)

/* --- who wins ------------------------------------------------------------ */

static void test_a_write_is_in_effect_everywhere(void **state)
{
	START(3, HISTORY_TIMESTAMP);

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	talk(&c);
	assert_string_equal(TTL(2, "a"), "1");
	/* Equal content again is no write. */
	put(&c.nodes[1], DNS, dns("a", "1", 0));
	assert_int_equal(figures(&c.nodes[1])->n_own, 0);
	put(&c.nodes[1], DNS, dns("a", "2", 0));
	talk(&c);
	assert_string_equal(TTL(0, "a"), "2");
	/* It was seen: no conflict, and the first slot is gone. */
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	assert_int_equal(figures(&c.nodes[2])->n_slots, 1);
	del(&c.nodes[2], DNS, dns("a", NULL, 0));
	talk(&c);
	assert_string_equal(TTL(0, "a"), "-");
	assert_string_equal(TTL(1, "a"), "-");
	pass(&c, 1000);
	assert_int_equal(figures(&c.nodes[2])->n_tombstones, 1);
	pass(&c, 5000);
	pass(&c, 1000);
	assert_int_equal(figures(&c.nodes[2])->n_slots, 0);
	assert_int_equal(figures(&c.nodes[0])->n_slots, 0);
	cluster_free(&c);
}

static void test_the_later_stamp_wins(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	const struct inbox_conflict *news;

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	c.now_ms += 500;
	put(&c.nodes[1], DNS, dns("a", "2", 0));
	talk(&c);
	assert_string_equal(TTL(0, "a"), "2");
	assert_string_equal(TTL(1, "a"), "2");
	assert_int_equal(figures(&c.nodes[0])->n_slots, 1);
	news = conflict(&c.nodes[0], INBOX_RESOLVED);
	assert_non_null(news);
	assert_string_equal(news->reason, "n2 wrote 500 ms after n1");
	assert_int_equal(news->resolution, INBOX_BY_RULE);
	assert_false(news->is_skewed);
	assert_string_equal(news->sides[news->winner].node, "n2");
	/* The same on both nodes. */
	assert_true(conflict(&c.nodes[1], INBOX_RESOLVED)->id == news->id);
	cluster_free(&c);
}

static void test_stamps_that_are_close_are_noted(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	c.now_ms += 99;
	put(&c.nodes[1], DNS, dns("a", "2", 0));
	talk(&c);
	assert_true(conflict(&c.nodes[0], INBOX_RESOLVED)->is_skewed);
	assert_int_equal(figures(&c.nodes[0])->n_skewed, 1);
	cluster_free(&c);
}

static void test_equal_stamps_are_decided_by_node(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	put(&c.nodes[1], DNS, dns("a", "2", 0));
	talk(&c);
	assert_string_equal(TTL(0, "a"), "2");
	assert_string_equal(conflict(&c.nodes[0], -1)->reason,
			    "stamps and priorities are equal, n2 comes after n1");
	cluster_free(&c);
}

/* Within a second the priority decides, beyond it the stamp. */
static void test_resolution_is_coarse(void **state)
{
	struct ledger_config config = config_of(HISTORY_TIMESTAMP);
	struct cluster c;

	(void)state;
	config.rules.resolution = HISTORY_SECOND;
	config.rules.priorities = priorities;
	config.rules.n_priorities = N_OF(priorities);
	cluster_init(&c, 2, &config);
	put(&c.nodes[0], DNS, dns("a", "1", 0));
	put(&c.nodes[0], DNS, dns("b", "1", 0));
	c.now_ms += 900;
	put(&c.nodes[1], DNS, dns("a", "2", 0));
	c.now_ms += 100;
	put(&c.nodes[1], DNS, dns("b", "2", 0));
	talk(&c);
	assert_string_equal(TTL(1, "a"), "1");
	assert_string_equal(TTL(1, "b"), "2");
	cluster_free(&c);
}

static void test_the_higher_priority_wins(void **state)
{
	START(2, HISTORY_PRIORITY);

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	c.now_ms += 5000;
	put(&c.nodes[1], DNS, dns("a", "2", 0));
	talk(&c);
	assert_string_equal(TTL(1, "a"), "1");
	assert_string_equal(conflict(&c.nodes[1], -1)->reason, "n1 has priority 100, n2 50");
	/* But who has seen it may change it. */
	put(&c.nodes[1], DNS, dns("a", "3", 0));
	talk(&c);
	assert_string_equal(TTL(0, "a"), "3");
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 1);
	cluster_free(&c);
}

/* A backup, whoever wrote what is in it, is written back as by anybody on that node. */
static void test_what_is_written_back_wins(void **state)
{
	static const int strategies[] = { HISTORY_TIMESTAMP, HISTORY_PRIORITY,
							    HISTORY_MANUAL };
	size_t i;

	for (i = 0; i < N_OF(strategies); i++) {
		START(3, strategies[i]);

		put(&c.nodes[0], DNS, dns("changed", "1", 0));
		put(&c.nodes[2], DNS, dns("deleted", "1", 0));
		talk(&c);
		c.now_ms += 5000;
		put(&c.nodes[0], DNS, dns("changed", "2", 0));
		del(&c.nodes[0], DNS, dns("deleted", NULL, 0));
		put(&c.nodes[0], DNS, dns("new", "2", 0));
		talk(&c);
		/* On the node of the least priority, with a clock behind that of the others. */
		c.nodes[1].offset_ms = -3000;
		put(&c.nodes[1], DNS, dns("changed", "1", 0));
		put(&c.nodes[1], DNS, dns("deleted", "1", 0));
		del(&c.nodes[1], DNS, dns("new", NULL, 0));
		talk(&c);
		pass(&c, 1000);
		assert_string_equal(TTL(0, "changed"), "1");
		assert_string_equal(TTL(2, "deleted"), "1");
		assert_string_equal(TTL(0, "new"), "-");
		assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
		cluster_free(&c);
	}
}

static void test_equal_content_is_no_conflict(void **state)
{
	START(2, HISTORY_MANUAL);

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	put(&c.nodes[1], DNS, dns("a", "1", 0));
	talk(&c);
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	assert_int_equal(figures(&c.nodes[1])->n_conflicts, 0);
	assert_int_equal(figures(&c.nodes[1])->n_slots, 1);
	cluster_free(&c);
}

/*
 * n3 overwrites what n1 wrote and loses to n2; n1 hears of it late. What n1 had written must not come
 * back though its priority is the highest: it was replaced by what lost.
 */
static void test_a_loser_takes_what_it_replaced_with_it(void **state)
{
	START(3, HISTORY_PRIORITY);

	c.links[2][0].is_cut = true;
	put(&c.nodes[0], DNS, dns("a", "1", 0));
	while (deliver(&c, 0, 2))
		;
	flush(&c.nodes[2]);
	c.links[0][1].is_cut = true;
	link_clear(&c.links[0][1]);
	put(&c.nodes[2], DNS, dns("a", "3", 0));
	put(&c.nodes[1], DNS, dns("b", "2", 0));
	talk(&c);
	assert_string_equal(TTL(1, "a"), "3");
	/* n1 is heard by n2 at last, which knows that it was replaced. */
	c.links[0][1].is_cut = false;
	repair_key(&c, 0, 1, DNS, c.nodes[1].items[0].item);
	repair_key(&c, 0, 1, DNS, c.nodes[1].items[1].item);
	talk(&c);
	assert_string_equal(TTL(1, "a"), "3");
	c.links[2][0].is_cut = false;
	repair_key(&c, 2, 0, DNS, c.nodes[1].items[0].item);
	repair_key(&c, 2, 0, DNS, c.nodes[1].items[1].item);
	talk(&c);
	assert_string_equal(TTL(0, "a"), "3");
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	cluster_free(&c);
}

/* What was not there yet when the kernel was written was not seen. */
static void test_a_crossing_write_is_a_conflict(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	struct flyrep_item *it = dns("a", "2", 0);

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	while (deliver(&c, 0, 1))
		;
	local_put(&c.nodes[1], DNS, it); /* before the flush that would have put "1" there */
	flush(&c.nodes[1]);
	talk(&c);
	assert_string_equal(TTL(0, "a"), "2");
	assert_int_equal(figures(&c.nodes[1])->n_conflicts, 1);
	free(it);
	cluster_free(&c);
}

/* --- deletes and ends ---------------------------------------------------- */

static void test_a_tombstone_waits_for_who_was_away(void **state)
{
	START(3, HISTORY_TIMESTAMP);
	struct flyrep_item *key = dns("a", NULL, 0);
	int i;

	put(&c.nodes[2], DNS, dns("a", "1", 0));
	talk(&c);
	for (i = 0; i < 2; i++) {
		cut(&c, 2, i);
		cut(&c, i, 2);
	}
	del(&c.nodes[0], DNS, dns("a", NULL, 0));
	for (i = 0; i < 20; i++)
		pass(&c, 1000);
	assert_int_equal(figures(&c.nodes[0])->n_tombstones, 1);
	assert_string_equal(TTL(2, "a"), "1");
	for (i = 0; i < 2; i++) {
		c.links[2][i].is_cut = c.links[i][2].is_cut = false;
		repair_key(&c, 2, i, DNS, key);
		repair_key(&c, i, 2, DNS, key);
	}
	talk(&c);
	assert_string_equal(TTL(2, "a"), "-");
	assert_string_equal(TTL(0, "a"), "-");
	for (i = 0; i < 3; i++)
		pass(&c, 1000);
	assert_int_equal(figures(&c.nodes[0])->n_slots, 0);
	free(key);
	cluster_free(&c);
}

/* n1 knows what n3 wrote only by what n2 has replaced, and n3 is away. */
static struct flyrep_item *replaced_unseen(struct cluster *c)
{
	struct flyrep_item *key = dns("a", NULL, 0);

	cut(c, 2, 0);
	cut(c, 0, 2);
	put(&c->nodes[2], DNS, dns("a", "3", 0));
	talk(c);
	cut(c, 2, 1);
	cut(c, 1, 2);
	put(&c->nodes[1], DNS, dns("a", "2", 0));
	talk(c);
	return key;
}

static void come_back(struct cluster *c, const struct flyrep_item *key)
{
	int i;

	for (i = 0; i < 2; i++) {
		c->links[2][i].is_cut = c->links[i][2].is_cut = false;
		repair_key(c, 2, i, DNS, key);
		repair_key(c, i, 2, DNS, key);
	}
	talk(c);
}

static void test_what_is_not_even_known_stays_deleted(void **state)
{
	START(3, HISTORY_TIMESTAMP);
	struct flyrep_item *key = replaced_unseen(&c);
	int i;

	del(&c.nodes[0], DNS, dns("a", NULL, 0));
	talk(&c);
	for (i = 0; i < 20; i++)
		pass(&c, 1000);
	come_back(&c, key);
	for (i = 0; i < 3; i++)
		assert_string_equal(TTL(i, "a"), "-");
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	free(key);
	cluster_free(&c);
}

static void test_a_write_keeps_what_the_last_one_replaced(void **state)
{
	START(3, HISTORY_TIMESTAMP);
	struct flyrep_item *key = replaced_unseen(&c);
	int i;

	put(&c.nodes[0], DNS, dns("a", "4", 0));
	talk(&c);
	put(&c.nodes[0], DNS, dns("a", "5", 0));
	come_back(&c, key);
	for (i = 0; i < 3; i++) {
		assert_string_equal(TTL(i, "a"), "5");
		assert_int_equal(figures(&c.nodes[i])->n_conflicts, 0);
	}
	free(key);
	cluster_free(&c);
}

/* Who hears of the winner only when it has replaced the loser is told all the same. */
static void test_a_loser_is_told_of_everywhere(void **state)
{
	START(3, HISTORY_TIMESTAMP);
	int i;

	cut(&c, 1, 0);
	cut(&c, 1, 2);
	put(&c.nodes[0], DNS, dns("a", "1", 0));
	c.now_ms += 500;
	put(&c.nodes[1], DNS, dns("a", "2", 0));
	talk(&c);
	c.links[1][0].is_cut = c.links[1][2].is_cut = false;
	repair_key(&c, 1, 0, DNS, c.nodes[1].items[0].item);
	repair_key(&c, 1, 2, DNS, c.nodes[1].items[0].item);
	talk(&c);
	for (i = 0; i < 3; i++)
		assert_int_equal(figures(&c.nodes[i])->n_conflicts, 1);
	cluster_free(&c);
}

static void test_tombstones_are_bounded(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	char name[16];
	int i;

	cut(&c, 0, 1);
	for (i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		put(&c.nodes[0], DNS, dns(name, "1", 0));
		del(&c.nodes[0], DNS, dns(name, NULL, 0));
	}
	tick(&c.nodes[0]);
	assert_int_equal(figures(&c.nodes[0])->n_tombstones, 100);
	assert_int_equal(figures(&c.nodes[0])->n_tombstones_dropped, 50);
	cluster_free(&c);
}

static void test_an_end_leaves_no_tombstone(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], DNS, dns("a", "1", c.now_ms + 1000));
	talk(&c);
	assert_string_equal(TTL(1, "a"), "1");
	pass(&c, 1000);
	assert_string_equal(TTL(1, "a"), "-");
	assert_int_equal(figures(&c.nodes[0])->n_slots, 0);
	assert_int_equal(figures(&c.nodes[1])->n_slots, 0);
	cluster_free(&c);
}

/* A peer that is an hour ahead ends the lease in its own kernel, and nowhere else. */
static void test_a_clock_an_hour_ahead_ends_no_lease_elsewhere(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	c.nodes[1].offset_ms = 3600000;
	put(&c.nodes[0], LEASE, lease("00:01", "10.0.0.1", c.now_ms + 1800000));
	put(&c.nodes[0], LEASE, lease("00:02", "10.0.0.2", c.now_ms + 7200000));
	talk(&c);
	assert_string_equal(IP(1, "00:01"), "-");
	assert_string_equal(IP(1, "00:02"), "10.0.0.2");
	pass(&c, 1000);
	assert_string_equal(IP(0, "00:01"), "10.0.0.1");
	/* Its stamps do not drag the other clock along, and are told of. */
	put(&c.nodes[1], DNS, dns("a", "1", 0));
	talk(&c);
	assert_int_equal(figures(&c.nodes[0])->n_clamped, 1);
	assert_int_equal(ledger_offset_ms(c.nodes[0].ledger, "n2"), 3600000);
	put(&c.nodes[0], DNS, dns("b", "1", 0));
	assert_true(hlc_ms(c.writes[c.n_writes - 1].slot->version) <= c.now_ms + 101);
	/* What it wrote can be changed all the same. */
	put(&c.nodes[0], DNS, dns("a", "2", 0));
	talk(&c);
	assert_string_equal(TTL(1, "a"), "2");
	/* When it is set right, it takes the lease. */
	c.nodes[1].offset_ms = 0;
	pass(&c, 1000);
	assert_string_equal(IP(1, "00:01"), "10.0.0.1");
	cluster_free(&c);
}

/* --- one address --------------------------------------------------------- */

static void test_an_address_is_leased_once(void **state)
{
	START(3, HISTORY_TIMESTAMP);

	put(&c.nodes[0], LEASE, lease("00:01", "10.0.0.1", 0));
	c.now_ms += 500;
	put(&c.nodes[1], LEASE, lease("00:02", "10.0.0.1", 0));
	talk(&c);
	assert_string_equal(IP(0, "00:02"), "10.0.0.1");
	assert_string_equal(IP(0, "00:01"), "-");
	assert_string_equal(IP(2, "00:01"), "-");
	assert_int_equal(conflict(&c.nodes[2], -1)->kind, INBOX_ADDRESS);
	/* The loser's owner deletes it, but only when it is sure. */
	assert_int_equal(figures(&c.nodes[0])->n_tombstones, 0);
	pass(&c, 1000);
	assert_int_equal(figures(&c.nodes[0])->n_tombstones, 1);
	cluster_free(&c);
}

/* Two clients swap their addresses: each kernel can follow. */
static void test_addresses_are_swapped(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], LEASE, lease("00:01", "10.0.0.1", 0));
	put(&c.nodes[0], LEASE, lease("00:02", "10.0.0.2", 0));
	talk(&c);
	local_delete(&c.nodes[0], LEASE, c.nodes[0].items[0].item);
	local_delete(&c.nodes[0], LEASE, c.nodes[0].items[0].item);
	put(&c.nodes[0], LEASE, lease("00:01", "10.0.0.2", 0));
	put(&c.nodes[0], LEASE, lease("00:02", "10.0.0.1", 0));
	talk(&c);
	assert_string_equal(IP(1, "00:01"), "10.0.0.2");
	assert_string_equal(IP(1, "00:02"), "10.0.0.1");
	assert_int_equal(c.nodes[1].n_refused, 0);
	assert_int_equal(figures(&c.nodes[1])->n_conflicts, 0);
	cluster_free(&c);
}

/* --- learning ------------------------------------------------------------ */

static void test_counts_are_added_up(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], LEARNING, learnt(NULL, "100", "200", "10"));
	put(&c.nodes[1], LEARNING, learnt(NULL, "50", "150", "5"));
	talk(&c);
	assert_string_equal(LEARNT(0, "count"), "15");
	assert_string_equal(LEARNT(1, "count"), "15");
	assert_string_equal(LEARNT(1, "first_seen"), "50");
	assert_string_equal(LEARNT(0, "last_seen"), "200");
	/* The kernel holds the sum, and counts on. */
	put(&c.nodes[1], LEARNING, learnt(NULL, "50", "300", "18"));
	put(&c.nodes[0], LEARNING, learnt(NULL, "50", "250", "16"));
	talk(&c);
	assert_string_equal(LEARNT(0, "count"), "19");
	assert_string_equal(LEARNT(1, "count"), "19");
	assert_string_equal(LEARNT(1, "last_seen"), "300");
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	/* Deleted is deleted: nobody's count comes back. */
	del(&c.nodes[0], LEARNING, learnt(NULL, NULL, NULL, NULL));
	talk(&c);
	assert_string_equal(LEARNT(1, "count"), "-");
	put(&c.nodes[0], LEARNING, learnt(NULL, "400", "400", "1"));
	talk(&c);
	assert_string_equal(LEARNT(1, "count"), "1");
	cluster_free(&c);
}

/* Who only counts does not undo what another one decided. */
static void test_counting_decides_nothing(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], LEARNING, learnt("ask", "1", "1", "1"));
	talk(&c);
	put(&c.nodes[0], LEARNING, learnt("allow", "1", "1", "1"));
	c.now_ms += 100;
	put(&c.nodes[1], LEARNING, learnt("ask", "1", "2", "2"));
	talk(&c);
	assert_string_equal(LEARNT(0, "policy"), "allow");
	assert_string_equal(LEARNT(1, "policy"), "allow");
	assert_string_equal(LEARNT(1, "count"), "2");
	c.now_ms += 100;
	put(&c.nodes[1], LEARNING, learnt("deny", "1", "2", "2"));
	c.now_ms += 100;
	put(&c.nodes[0], LEARNING, learnt("allow", "1", "3", "5"));
	talk(&c);
	assert_string_equal(LEARNT(0, "policy"), "deny");
	assert_string_equal(LEARNT(0, "count"), "5");
	cluster_free(&c);
}

/* --- manual -------------------------------------------------------------- */

static void two_differ(struct cluster *c)
{
	put(&c->nodes[0], DNS, dns("a", "1", 0));
	c->now_ms += 500;
	put(&c->nodes[1], DNS, dns("a", "2", 0));
	talk(c);
}

static int resolve(struct node *n, uint64_t id, enum inbox_resolution how, const char *who, char *why)
{
	int rc = ledger_resolve(n->ledger, id, how, who, "it is ours", why, 256);

	flush(n);
	return rc;
}

static void test_a_person_decides(void **state)
{
	START(3, HISTORY_MANUAL);
	const struct inbox_conflict *waits;
	json_t *trail, *obj;
	char why[256];
	uint64_t id;

	two_differ(&c);
	assert_string_equal(TTL(0, "a"), "1");
	assert_string_equal(TTL(1, "a"), "2");
	waits = conflict(&c.nodes[0], INBOX_PENDING);
	assert_non_null(waits);
	id = waits->id;
	assert_string_equal(waits->sides[waits->local].node, "n1");
	assert_true(conflict(&c.nodes[1], INBOX_PENDING)->id == id);
	assert_true(conflict(&c.nodes[2], INBOX_PENDING)->id == id);
	assert_true(id < 1ull << 53);

	assert_int_equal(resolve(&c.nodes[1], id + 1, INBOX_USE_LOCAL, "ops", why), -ENOENT);
	assert_int_equal(resolve(&c.nodes[1], id, INBOX_BY_RULE, "ops", why), -EINVAL);
	assert_int_equal(resolve(&c.nodes[1], id, INBOX_USE_REMOTE, "ops", why), 0);
	talk(&c);
	assert_string_equal(TTL(0, "a"), "1");
	assert_string_equal(TTL(1, "a"), "1");
	assert_string_equal(TTL(2, "a"), "1");
	assert_int_equal(resolve(&c.nodes[1], id, INBOX_USE_LOCAL, "ops", why), -EALREADY);
	assert_string_equal(why, "this conflict is resolved already, by ops");
	assert_int_equal(inbox_count(ledger_inbox(c.nodes[0].ledger), INBOX_PENDING), 0);
	assert_int_equal(inbox_find(ledger_inbox(c.nodes[0].ledger), id)->resolution, INBOX_OVERWRITTEN);
	assert_string_equal(inbox_find(ledger_inbox(c.nodes[0].ledger), id)->who, "n2");
	trail = inbox_trail(ledger_inbox(c.nodes[1].ledger), id);
	assert_int_equal(json_array_size(trail), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(trail, 1), "reason")),
			    "it is ours");
	json_decref(trail);
	obj = inbox_to_json(inbox_find(ledger_inbox(c.nodes[1].ledger), id));
	assert_string_equal(json_string_value(json_object_get(obj, "resolved_by")), "ops");
	assert_int_equal(json_array_size(json_object_get(obj, "sides")), 2);
	json_decref(obj);
	cluster_free(&c);
}

static struct flyrep_item *lease_with(const char *ip, const char *hostname, const char *zone,
				      uint64_t expires_ms)
{
	const struct fr_item_field *f = fr_item_fields(LEASE);
	const char *texts[FR_ITEM_FIELDS_MAX] = { "lan", "00:01", NULL, ip };
	size_t i;

	for (i = 0; f[i].name; i++) {
		if (!strcmp(f[i].name, "hostname"))
			texts[i] = hostname;
		else if (!strcmp(f[i].name, "zone"))
			texts[i] = zone;
	}
	return item_make(LEASE, expires_ms, texts);
}

/* What each side alone says is kept; where both say something, the one who decides is right. */
static void test_a_person_merges(void **state)
{
	START(2, HISTORY_MANUAL);
	uint64_t id, end;
	char why[256];
	int i;

	put(&c.nodes[0], LEASE, lease_with("10.0.0.1", "desk", NULL, c.now_ms + 100000));
	c.now_ms += 500;
	end = c.now_ms + 200000;
	put(&c.nodes[1], LEASE, lease_with("10.0.0.1", "tower", "dmz", end));
	talk(&c);
	id = conflict(&c.nodes[0], INBOX_PENDING)->id;
	assert_int_equal(resolve(&c.nodes[0], id, INBOX_MERGE, "ops", why), 0);
	talk(&c);
	for (i = 0; i < 2; i++) {
		struct flyrep_item *key = lease_with(NULL, NULL, NULL, 0);

		assert_int_equal(kernel_get(&c.nodes[i], LEASE, key)->expires_ms, end);
		free(key);
		assert_string_equal(IP(i, "00:01"), "10.0.0.1");
		assert_string_equal(says(&c.nodes[i], LEASE, lease_with(NULL, NULL, NULL, 0),
					 "hostname"), "desk");
		assert_string_equal(says(&c.nodes[i], LEASE, lease_with(NULL, NULL, NULL, 0),
					 "zone"), "dmz");
		assert_null(conflict(&c.nodes[i], INBOX_PENDING));
	}
	assert_int_equal(inbox_find(ledger_inbox(c.nodes[0].ledger), id)->resolution, INBOX_MERGE);
	assert_int_equal(inbox_find(ledger_inbox(c.nodes[0].ledger), id)->winner, -1);
	cluster_free(&c);
}

/* A delete and a write have nothing in common; nor have two files, or two leases. */
static void test_what_cannot_be_merged(void **state)
{
	START(2, HISTORY_MANUAL);
	const char *texts[FR_ITEM_FIELDS_MAX] = { "/etc/x" };
	char why[256];

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	talk(&c);
	put(&c.nodes[0], DNS, dns("a", "2", 0));
	del(&c.nodes[1], DNS, dns("a", NULL, 0));
	talk(&c);
	assert_int_equal(resolve(&c.nodes[0], conflict(&c.nodes[0], INBOX_PENDING)->id, INBOX_MERGE,
				 "ops", why), -EOPNOTSUPP);
	assert_string_equal(why, "a delete and a write cannot be merged: use_local or use_remote");
	assert_int_equal(resolve(&c.nodes[0], conflict(&c.nodes[0], INBOX_PENDING)->id,
				 INBOX_USE_LOCAL, "ops", why), 0);
	talk(&c);
	put(&c.nodes[0], LEASE, lease("00:01", "10.0.0.1", 0));
	put(&c.nodes[1], LEASE, lease("00:02", "10.0.0.1", 0));
	talk(&c);
	assert_int_equal(resolve(&c.nodes[0], conflict(&c.nodes[0], INBOX_PENDING)->id, INBOX_MERGE,
				 "ops", why), -EOPNOTSUPP);
	assert_string_equal(why,
			    "two leases of one address cannot be merged: use_local or use_remote");
	texts[5] = "one";
	put(&c.nodes[0], FLYREP_TABLE_CONFIG, item_make(FLYREP_TABLE_CONFIG, 0, texts));
	texts[5] = "two";
	put(&c.nodes[1], FLYREP_TABLE_CONFIG, item_make(FLYREP_TABLE_CONFIG, 0, texts));
	talk(&c);
	assert_int_equal(resolve(&c.nodes[0], conflict(&c.nodes[0], INBOX_PENDING)->id, INBOX_MERGE,
				 "ops", why), -EOPNOTSUPP);
	assert_string_equal(why, "config cannot be merged: use_local or use_remote");
	cluster_free(&c);
}

/* Who was told that it is decided can rely on it. */
static void test_a_decision_survives_a_crash(void **state)
{
	START(2, HISTORY_MANUAL);
	struct flyrep_item *key = dns("a", NULL, 0);
	struct node *n = &c.nodes[0];
	char why[256];
	uint64_t id;

	two_differ(&c);
	id = conflict(n, INBOX_PENDING)->id;
	assert_int_equal(ledger_resolve(n->ledger, id, INBOX_USE_REMOTE, "ops", "", why, 256), 0);
	node_crash(n);
	node_close(n);
	node_open(n, false);
	assert_int_equal(inbox_find(ledger_inbox(n->ledger), id)->resolution, INBOX_USE_REMOTE);
	assert_string_equal(inbox_find(ledger_inbox(n->ledger), id)->who, "ops");
	flush(n);
	repair_key(&c, 0, 1, DNS, key);
	free(key);
	talk(&c);
	assert_string_equal(TTL(0, "a"), "2");
	assert_string_equal(TTL(1, "a"), "2");
	assert_null(conflict(n, INBOX_PENDING));
	assert_null(conflict(&c.nodes[1], INBOX_PENDING));
	cluster_free(&c);
}

static void test_only_approvers_decide(void **state)
{
	static const char *const approvers[] = { "admin", "ops" };
	struct ledger_config config = config_of(HISTORY_MANUAL);
	struct cluster c;
	char why[256];
	uint64_t id;

	(void)state;
	config.inbox.approvers = approvers;
	config.inbox.n_approvers = N_OF(approvers);
	cluster_init(&c, 2, &config);
	two_differ(&c);
	id = conflict(&c.nodes[0], INBOX_PENDING)->id;
	assert_int_equal(resolve(&c.nodes[0], id, INBOX_USE_LOCAL, "guest", why), -EPERM);
	assert_string_equal(why, "\"guest\" is not one of the approvers");
	assert_int_equal(resolve(&c.nodes[0], id, INBOX_USE_LOCAL, "admin", why), 0);
	cluster_free(&c);
}

static void test_time_decides_when_nobody_does(void **state)
{
	START(3, HISTORY_MANUAL);
	int i;

	two_differ(&c);
	pass(&c, 3599000);
	assert_string_equal(TTL(0, "a"), "1");
	pass(&c, 2000);
	for (i = 0; i < 3; i++) {
		assert_string_equal(TTL(i, "a"), "2");
		assert_non_null(conflict(&c.nodes[i], INBOX_EXPIRED));
		assert_null(conflict(&c.nodes[i], INBOX_PENDING));
		assert_int_equal(figures(&c.nodes[i])->n_slots, 1);
	}
	cluster_free(&c);
}

/* The owner of the winner is away: the others follow the rule all the same. */
static void test_time_decides_without_the_winner(void **state)
{
	START(3, HISTORY_MANUAL);

	two_differ(&c);
	node_close(&c.nodes[1]);
	pass(&c, 3601000);
	assert_string_equal(TTL(0, "a"), "2");
	assert_string_equal(TTL(2, "a"), "2");
	cluster_free(&c);
}

static void test_without_approval_nothing_waits(void **state)
{
	struct ledger_config config = config_of(HISTORY_MANUAL);
	struct cluster c;

	(void)state;
	config.rules.is_approval_required = false;
	cluster_init(&c, 2, &config);
	two_differ(&c);
	assert_string_equal(TTL(0, "a"), "2");
	assert_null(conflict(&c.nodes[0], INBOX_PENDING));
	assert_non_null(conflict(&c.nodes[0], INBOX_RESOLVED));
	cluster_free(&c);
}

static void test_leases_of_one_address_wait_too(void **state)
{
	START(2, HISTORY_MANUAL);
	const struct inbox_conflict *waits;
	char why[256];

	put(&c.nodes[0], LEASE, lease("00:01", "10.0.0.1", 0));
	c.now_ms += 500;
	put(&c.nodes[1], LEASE, lease("00:02", "10.0.0.1", 0));
	talk(&c);
	pass(&c, 1000);
	assert_string_equal(IP(0, "00:01"), "10.0.0.1");
	assert_string_equal(IP(1, "00:02"), "10.0.0.1");
	waits = conflict(&c.nodes[0], INBOX_PENDING);
	assert_non_null(waits);
	assert_int_equal(waits->kind, INBOX_ADDRESS);
	assert_int_equal(resolve(&c.nodes[0], waits->id, INBOX_USE_LOCAL, "ops", why), 0);
	talk(&c);
	assert_string_equal(IP(1, "00:01"), "10.0.0.1");
	assert_string_equal(IP(1, "00:02"), "-");
	assert_null(conflict(&c.nodes[1], INBOX_PENDING));
	cluster_free(&c);
}

static void test_a_dry_run_leaves_nothing(void **state)
{
	START(2, HISTORY_PRIORITY);
	uint64_t commits;
	json_t *obj;

	flush(&c.nodes[0]);
	commits = figures(&c.nodes[0])->n_commits;
	obj = ledger_test_conflict(c.nodes[0].ledger, "n2");

	assert_string_equal(json_string_value(json_object_get(obj, "winner")), "n1");
	assert_string_equal(json_string_value(json_object_get(obj, "why")), "n1 has priority 100, n2 50");
	json_decref(obj);
	flush(&c.nodes[0]);
	assert_int_equal(figures(&c.nodes[0])->n_slots, 0);
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	assert_int_equal(figures(&c.nodes[0])->n_commits, commits);
	cluster_free(&c);
}

/* --- restarts ------------------------------------------------------------ */

static void restart(struct node *n, bool is_new_kernel)
{
	node_close(n);
	while (is_new_kernel && n->n_items)
		free(n->items[--n->n_items].item);
	node_open(n, is_new_kernel);
	flush(n);
}

static void test_a_reboot_deletes_nothing(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	put(&c.nodes[1], DNS, dns("b", "2", 0));
	talk(&c);
	restart(&c.nodes[0], true);
	assert_string_equal(TTL(0, "a"), "1");
	assert_string_equal(TTL(0, "b"), "2");
	talk(&c);
	assert_string_equal(TTL(1, "a"), "1");
	cluster_free(&c);
}

/* Its kernel and its disk have nothing any more. */
static void lose_all(struct node *n)
{
	char path[128];

	node_close(n);
	snprintf(path, sizeof(path), "%s/" LEDGER_FILE, n->dir);
	assert_int_equal(unlink(path), 0);
	while (n->n_items)
		free(n->items[--n->n_items].item);
	node_open(n, true);
}

/* A session begins; whether this node finds that the peer has lost its ledger. */
static bool meet(struct cluster *c, int node, int peer)
{
	uint8_t id[LEDGER_ID_LEN];
	bool is_lost;

	ledger_id(c->nodes[peer].ledger, id);
	is_lost = ledger_meet(c->nodes[node].ledger, node_names[peer], id);
	flush(&c->nodes[node]);
	return is_lost;
}

/* A peer whose ledger is another one than before has lost it: what it wrote is kept for it. */
static void test_a_peer_that_lost_its_ledger_takes_nothing_away(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	uint8_t id[LEDGER_ID_LEN], untold[LEDGER_ID_LEN] = { 0 };
	struct flyrep_item *keys[2] = { dns("a", NULL, 0), dns("b", NULL, 0) };
	int i;
	struct node *n = &c.nodes[0];

	put(&c.nodes[1], DNS, dns("a", "1", 0));
	put(n, DNS, dns("b", "2", 0));
	talk(&c);
	ledger_id(c.nodes[1].ledger, id);
	assert_false(ledger_meet(n->ledger, "n2", id));
	assert_false(ledger_meet(n->ledger, "n2", id));
	assert_false(ledger_meet(n->ledger, "n2", untold));
	assert_false(ledger_meet(n->ledger, "n9", id));
	flush(n);
	node_close(n);
	node_open(n, false);
	assert_false(ledger_meet(n->ledger, "n2", id));

	lose_all(&c.nodes[1]);
	assert_true(meet(&c, 0, 1));
	assert_int_equal(figures(n)->n_own, 2);
	for (i = 0; i < 4; i++)
		repair_key(&c, i / 2, !(i / 2), DNS, keys[i % 2]);
	talk(&c);
	assert_string_equal(TTL(0, "a"), "1");
	assert_string_equal(TTL(1, "a"), "1");
	assert_string_equal(TTL(1, "b"), "2");
	for (i = 0; i < 2; i++)
		free(keys[i]);
	cluster_free(&c);
}

/* What is adopted is as old as it was: it takes nothing back that was written meanwhile. */
static void test_what_is_adopted_is_no_younger(void **state)
{
	START(3, HISTORY_TIMESTAMP);
	struct flyrep_item *keys[2] = { dns("a", NULL, 0), dns("b", NULL, 0) };
	int i, k, key;

	put(&c.nodes[2], DNS, dns("a", "1", 0));
	put(&c.nodes[2], DNS, dns("b", "1", 0));
	talk(&c);
	meet(&c, 0, 2);
	for (i = 0; i < 3; i += 2) {
		cut(&c, 1, i);
		cut(&c, i, 1);
	}
	c.now_ms += 1000;
	put(&c.nodes[1], DNS, dns("a", "2", 0)); /* it has seen "1" */
	lose_all(&c.nodes[2]);
	put(&c.nodes[2], DNS, dns("b", "3", 0)); /* it knows of nothing */
	c.now_ms += 1000;
	assert_true(meet(&c, 0, 2));
	for (i = 0; i < 3; i++)
		for (k = 0; k < 3; k++)
			c.links[i][k].is_cut = false;
	for (i = 0; i < 3; i++)
		for (k = 0; k < 3; k++)
			for (key = 0; key < 2 && i != k; key++)
				repair_key(&c, i, k, DNS, keys[key]);
	talk(&c);
	for (i = 0; i < 3; i++) {
		assert_string_equal(TTL(i, "a"), "2");
		assert_string_equal(TTL(i, "b"), "3");
	}
	/* Who adopted it writes later than that. */
	put(&c.nodes[0], DNS, dns("a", "4", 0));
	talk(&c);
	assert_string_equal(TTL(1, "a"), "4");
	for (i = 0; i < 2; i++)
		free(keys[i]);
	cluster_free(&c);
}

/* What peers compare follows the key that all nodes have. */
static void test_another_hash_key(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	static const struct fr_siphash_key other = { "another" };
	uint64_t digest[2];
	int i;

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	put(&c.nodes[1], DNS, dns("b", "2", 0));
	talk(&c);
	digest[0] = index_digest(truth_index(ledger_truth(c.nodes[0].ledger, DNS, "n1")));
	for (i = 0; i < 2; i++)
		assert_int_equal(ledger_rekey(c.nodes[i].ledger, &other), 0);
	for (i = 0; i < 2; i++)
		digest[1] = index_digest(truth_index(ledger_truth(c.nodes[i].ledger, DNS, "n1")));
	assert_true(digest[0] != digest[1]);
	assert_true(digest[1] ==
		    index_digest(truth_index(ledger_truth(c.nodes[0].ledger, DNS, "n1"))));
	assert_int_equal(index_entries(truth_index(ledger_truth(c.nodes[0].ledger, DNS, "n2"))), 1);
	/* No write is seen where there was none. */
	node_learn(&c.nodes[0], false, NULL);
	flush(&c.nodes[0]);
	assert_int_equal(figures(&c.nodes[0])->n_own, 1);
	cluster_free(&c);
}

static void test_what_was_written_without_an_agent_is_a_write(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	struct node *n = &c.nodes[0];
	struct flyrep_item *it = dns("b", "9", 0), *gone = dns("a", NULL, 0);

	put(n, DNS, dns("a", "1", 0));
	put(&c.nodes[1], DNS, dns("b", "2", 0));
	put(n, DNS, dns("c", "3", 0));
	talk(&c);
	node_close(n);
	kernel_put(n, DNS, it);
	kernel_drop(n, DNS, gone);
	node_open(n, false);
	flush(n);
	talk(&c);
	assert_string_equal(TTL(1, "a"), "-");
	assert_string_equal(TTL(1, "b"), "9");
	assert_string_equal(TTL(1, "c"), "3");
	assert_int_equal(figures(n)->n_conflicts, 0);
	free(it);
	free(gone);
	cluster_free(&c);
}

/* Killed between the commit and the kernel: what the kernel still holds is no write. */
static void test_killed_before_the_kernel_had_it(void **state)
{
	START(2, HISTORY_TIMESTAMP);

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	talk(&c);
	put(&c.nodes[0], DNS, dns("a", "2", 0));
	c.nodes[1].crash_in = 1;
	while (deliver(&c, 0, 1))
		;
	flush(&c.nodes[1]);
	assert_string_equal(TTL(1, "a"), "1");
	restart(&c.nodes[1], false);
	assert_string_equal(TTL(1, "a"), "2");
	talk(&c);
	assert_string_equal(TTL(0, "a"), "2");
	assert_int_equal(figures(&c.nodes[0])->n_conflicts, 0);
	cluster_free(&c);
}

static void test_versions_never_go_back(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	uint64_t version;

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	put(&c.nodes[0], DNS, dns("b", "1", c.now_ms + 1000));
	version = c.writes[c.n_writes - 1].slot->version;
	pass(&c, 1000); /* the slot with the highest version is gone */
	node_close(&c.nodes[0]);
	c.now_ms -= 3600000;
	node_open(&c.nodes[0], false);
	put(&c.nodes[0], DNS, dns("c", "1", 0));
	assert_true(c.writes[c.n_writes - 1].slot->version > version);
	cluster_free(&c);
}

static void test_conflicts_survive(void **state)
{
	START(2, HISTORY_MANUAL);
	const struct inbox_conflict *waits;
	uint64_t id;
	json_t *trail;

	two_differ(&c);
	id = conflict(&c.nodes[0], INBOX_PENDING)->id;
	c.now_ms += 1000000;
	restart(&c.nodes[0], false);
	waits = conflict(&c.nodes[0], INBOX_PENDING);
	assert_non_null(waits);
	assert_true(waits->id == id);
	assert_int_equal(waits->n_sides, 2);
	assert_string_equal(TTL(0, "a"), "1");
	trail = inbox_trail(ledger_inbox(c.nodes[0].ledger), id);
	assert_int_equal(json_array_size(trail), 1);
	json_decref(trail);
	/* The time that has passed counts. */
	pass(&c, 3600000 - 1000000);
	assert_string_equal(TTL(0, "a"), "2");
	cluster_free(&c);
}

static void test_slots_of_a_former_peer_are_adopted(void **state)
{
	START(3, HISTORY_TIMESTAMP);
	struct node *n = &c.nodes[0];

	put(&c.nodes[2], DNS, dns("a", "1", 0));
	put(&c.nodes[2], LEARNING, learnt(NULL, "1", "2", "3"));
	put(n, LEARNING, learnt(NULL, "1", "2", "4"));
	talk(&c);
	node_close(&c.nodes[2]);
	node_close(&c.nodes[1]);
	node_close(n);
	c.n = 2; /* n3 is no peer any more */
	node_open(n, false);
	node_open(&c.nodes[1], false);
	flush(n);
	flush(&c.nodes[1]);
	talk(&c);
	assert_int_equal(figures(n)->n_adopted, 2);
	assert_string_equal(TTL(0, "a"), "1");
	assert_string_equal(TTL(1, "a"), "1");
	assert_string_equal(LEARNT(0, "count"), "7");
	assert_string_equal(LEARNT(1, "count"), "7");
	put(&c.nodes[1], DNS, dns("a", "2", 0));
	talk(&c);
	assert_string_equal(TTL(0, "a"), "2");
	c.n = 3;
	cluster_free(&c);
}

/* --- the file ------------------------------------------------------------ */

static int try_open(const struct cluster *c, const char *node_id, char *why)
{
	struct ledger_config config = c->config;
	struct ledger *l;
	int rc;

	config.dir = c->nodes[0].dir;
	config.node_id = node_id;
	config.peers = c->peers[0];
	config.n_peers = 1;
	rc = ledger_open(&l, &config, &cluster_ops, (void *)&c->nodes[0], why, 256);
	if (!rc)
		ledger_close(l);
	return rc;
}

static void said(const char *why, const char *what)
{
	if (!strstr(why, LEDGER_FILE) || !strstr(why, what))
		fail_msg("\"%s\" does not say \"%s\"", why, what);
}

static void exec(const struct cluster *c, const char *sql)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/" LEDGER_FILE, c->nodes[0].dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_a_bad_file_is_refused(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	char path[128], why[256];
	struct stat st;
	int fd, i;

	for (i = 0; i < 40; i++)
		put(&c.nodes[0], DNS, dns("a", i % 2 ? "1" : "2", 0));
	put(&c.nodes[0], LEASE, lease("00:01", "10.0.0.1", 0));
	assert_int_equal(try_open(&c, "n1", why), -EBUSY);
	said(why, "another process");
	node_close(&c.nodes[0]);
	assert_int_equal(try_open(&c, "n1", why), 0);
	snprintf(path, sizeof(path), "%s/" LEDGER_FILE, c.nodes[0].dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	assert_int_equal(try_open(&c, "n5", why), -EEXIST);
	said(why, "belongs to node \"n1\"");
	exec(&c, "PRAGMA user_version = 99");
	assert_int_equal(try_open(&c, "n1", why), -EPROTO);
	said(why, "newer flyrep (version 99");
	exec(&c, "PRAGMA user_version = 1; PRAGMA application_id = 5");
	assert_int_equal(try_open(&c, "n1", why), -EPROTO);
	said(why, "not a ledger");
	exec(&c, "PRAGMA application_id = 1718385010; UPDATE slot SET body = x'00' WHERE tbl = 2");
	assert_int_equal(try_open(&c, "n1", why), -EBADMSG);
	said(why, "row 1 of table slot");

	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (i = 0; i < st.st_size; i += 200)
		assert_int_equal(pwrite(fd, "garbage", 7, 100 + i), 7);
	assert_int_equal(try_open(&c, "n1", why), -EBADMSG);
	said(why, "damaged");
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(try_open(&c, "n1", why), -EBADMSG);
	said(why, "empty");
	close(fd);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(try_open(&c, "n1", why), -EBADMSG);
	said(why, "not a file");
	unlink(path);
	/* None at all is a new one; but not if it was removed from beside its log. */
	snprintf(path, sizeof(path), "%s/" LEDGER_FILE "-wal", c.nodes[0].dir);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(try_open(&c, "n1", why), -EBADMSG);
	unlink(path);
	assert_int_equal(try_open(&c, "n1", why), 0);
	cluster_free(&c);
}

/* From memory, until there is room again; then nothing is missing on the disk. */
static void test_a_full_disk_stops_nothing(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	struct rlimit was, tiny;
	char name[16];
	int i, rc = 0;

	put(&c.nodes[0], DNS, dns("a", "1", 0));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	tiny = (struct rlimit){ 60000, was.rlim_max };
	setrlimit(RLIMIT_FSIZE, &tiny);
	for (i = 0; i < 100; i++) {
		struct flyrep_item *it;

		snprintf(name, sizeof(name), "x%d", i);
		it = dns(name, "5", 0);
		local_put(&c.nodes[0], DNS, it);
		free(it);
		rc = ledger_flush(c.nodes[0].ledger);
	}
	assert_int_equal(rc, -EAGAIN);
	assert_non_null(ledger_trouble(c.nodes[0].ledger));
	said(ledger_trouble(c.nodes[0].ledger), "");
	while (deliver(&c, 0, 1))
		;
	setrlimit(RLIMIT_FSIZE, &was);
	flush(&c.nodes[1]);
	assert_string_equal(TTL(1, "x99"), "5");
	c.now_ms += 1000;
	flush(&c.nodes[0]);
	assert_null(ledger_trouble(c.nodes[0].ledger));
	node_crash(&c.nodes[0]);
	restart(&c.nodes[0], true);
	assert_int_equal(figures(&c.nodes[0])->n_own, 101);
	assert_string_equal(TTL(0, "x99"), "5");
	cluster_free(&c);
}

static void test_bad_input_is_refused(void **state)
{
	START(2, HISTORY_TIMESTAMP);
	struct ledger *l = c.nodes[0].ledger;
	struct flyrep_item *it = dns("a", "1", 0);
	struct ledger_config bad;
	char why[256];

	it->rec.op = 9;
	assert_int_equal(ledger_local(l, DNS, it), -EINVAL);
	it->rec.op = FLYREP_OP_UPDATE;
	assert_int_equal(ledger_local(l, FLYREP_TABLE_CONNTRACK, it), -EINVAL);
	assert_int_equal(ledger_local(l, 200, it), -EINVAL);
	put(&c.nodes[1], DNS, dns("a", "1", 0));
	assert_int_equal(ledger_remote(l, "n9", DNS, c.writes[0].slot), -ENOENT);
	assert_int_equal(ledger_remote(l, "n1", DNS, c.writes[0].slot), -ENOENT);
	assert_int_equal(ledger_remote(l, "n2", FLYREP_TABLE_NFT_SET, c.writes[0].slot), -EINVAL);
	c.writes[0].slot->version = 0;
	assert_int_equal(ledger_remote(l, "n2", DNS, c.writes[0].slot), -EINVAL);
	assert_null(ledger_truth(l, DNS, "n9"));
	assert_null(ledger_truth(l, FLYREP_TABLE_CONNTRACK, "n1"));
	bad = config;
	bad.tables = 1ull << FLYREP_TABLE_CONNTRACK;
	assert_int_equal(ledger_open(&l, &bad, &cluster_ops, NULL, why, sizeof(why)), -EINVAL);
	assert_null(l);
	free(it);
	cluster_free(&c);
}

/* Nodes with other rules would never agree. */
static void test_rules_have_a_digest(void **state)
{
	START(2, HISTORY_PRIORITY);
	static const struct history_priority turned[] = { { "n3", 25 }, { "n9", 0 }, { "n2", 50 }, { "n1", 100 } };
	uint64_t digest = ledger_rules_digest(c.nodes[0].ledger);

	assert_true(digest == ledger_rules_digest(c.nodes[1].ledger));
	node_close(&c.nodes[0]);
	c.config.rules.priorities = turned;
	c.config.rules.n_priorities = N_OF(turned);
	node_open(&c.nodes[0], false);
	assert_true(digest == ledger_rules_digest(c.nodes[0].ledger));
	node_close(&c.nodes[0]);
	c.config.rules.n_priorities = 3;
	node_open(&c.nodes[0], false);
	assert_true(digest != ledger_rules_digest(c.nodes[0].ledger));
	cluster_free(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_write_is_in_effect_everywhere),
		cmocka_unit_test(test_the_later_stamp_wins),
		cmocka_unit_test(test_stamps_that_are_close_are_noted),
		cmocka_unit_test(test_equal_stamps_are_decided_by_node),
		cmocka_unit_test(test_resolution_is_coarse),
		cmocka_unit_test(test_the_higher_priority_wins),
		cmocka_unit_test(test_what_is_written_back_wins),
		cmocka_unit_test(test_equal_content_is_no_conflict),
		cmocka_unit_test(test_a_loser_takes_what_it_replaced_with_it),
		cmocka_unit_test(test_a_crossing_write_is_a_conflict),
		cmocka_unit_test(test_a_tombstone_waits_for_who_was_away),
		cmocka_unit_test(test_what_is_not_even_known_stays_deleted),
		cmocka_unit_test(test_a_write_keeps_what_the_last_one_replaced),
		cmocka_unit_test(test_a_loser_is_told_of_everywhere),
		cmocka_unit_test(test_tombstones_are_bounded),
		cmocka_unit_test(test_an_end_leaves_no_tombstone),
		cmocka_unit_test(test_a_clock_an_hour_ahead_ends_no_lease_elsewhere),
		cmocka_unit_test(test_an_address_is_leased_once),
		cmocka_unit_test(test_addresses_are_swapped),
		cmocka_unit_test(test_counts_are_added_up),
		cmocka_unit_test(test_counting_decides_nothing),
		cmocka_unit_test(test_a_person_decides),
		cmocka_unit_test(test_a_person_merges),
		cmocka_unit_test(test_what_cannot_be_merged),
		cmocka_unit_test(test_a_decision_survives_a_crash),
		cmocka_unit_test(test_only_approvers_decide),
		cmocka_unit_test(test_time_decides_when_nobody_does),
		cmocka_unit_test(test_time_decides_without_the_winner),
		cmocka_unit_test(test_without_approval_nothing_waits),
		cmocka_unit_test(test_leases_of_one_address_wait_too),
		cmocka_unit_test(test_a_dry_run_leaves_nothing),
		cmocka_unit_test(test_a_reboot_deletes_nothing),
		cmocka_unit_test(test_a_peer_that_lost_its_ledger_takes_nothing_away),
		cmocka_unit_test(test_what_is_adopted_is_no_younger),
		cmocka_unit_test(test_another_hash_key),
		cmocka_unit_test(test_what_was_written_without_an_agent_is_a_write),
		cmocka_unit_test(test_killed_before_the_kernel_had_it),
		cmocka_unit_test(test_versions_never_go_back),
		cmocka_unit_test(test_conflicts_survive),
		cmocka_unit_test(test_slots_of_a_former_peer_are_adopted),
		cmocka_unit_test(test_a_bad_file_is_refused),
		cmocka_unit_test(test_a_full_disk_stops_nothing),
		cmocka_unit_test(test_bad_input_is_refused),
		cmocka_unit_test(test_rules_have_a_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
