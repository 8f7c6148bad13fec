// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random histories: nodes write, delete, stop, crash and begin anew, packets put ends of elements off,
 * sets lose all they hold, links delay and break. When all
 * is quiet, all nodes hold the same slots and have the same in effect, no tombstone is left, and each
 * write is in effect, or replaced by one that saw it, or listed as a conflict.
 *
 * LEDGER_SEED=n runs this history alone, LEDGER_SEEDS=n so many.
 */
#include "cluster.h"

#define SEEDS 240
#define STEPS 160
#define TOMBSTONE_MS 5000
#define TIMEOUT_MS 20000
#define QUIET_ROUNDS 60
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

struct model {
	struct cluster c;
	unsigned int seed, random;
	uint64_t counted; /* of the learning item that is never deleted */
	bool is_inexact; /* a crash or a reboot took counts with it that were nowhere else */
	size_t n_keys;
	struct {
		uint8_t table;
		struct flyrep_item *item;
	} keys[16];
};

static unsigned int roll(struct model *m, unsigned int n)
{
	return (unsigned int)rand_r(&m->random) / 7 % n;
}

/* --- items -------------------------------------------------------------- */

static struct flyrep_item *make(struct model *m, size_t key, uint64_t expires_ms)
{
	static const char *const names[] = { "00:01", "00:02", "00:03", "00:04" };
	static const char *const ips[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3" };
	static const char *const ttls[] = { "1", "2", "3", "4", "5", "6", "7", "8" };
	const char *lease[FR_ITEM_FIELDS_MAX] = { "lan", names[key % 4], NULL, ips[roll(m, 3)],
						  "active", ttls[roll(m, 8)] };
	const char *dns[FR_ITEM_FIELDS_MAX] = { NULL, names[key % 4], "A", "10.0.0.1",
						ttls[roll(m, 8)] };
	const char *element[FR_ITEM_FIELDS_MAX] = { "inet", "st", "seen", names[key % 4], NULL,
						    names[roll(m, 2)] };

	if (m->keys[key].table == FLYREP_TABLE_NFT_SET)
		return item_make(FLYREP_TABLE_NFT_SET, expires_ms, element);
	return m->keys[key].table == FLYREP_TABLE_LEASE ?
		       item_make(FLYREP_TABLE_LEASE, expires_ms, lease) :
		       item_make(FLYREP_TABLE_DNS, expires_ms, dns);
}

static uint64_t count_of(const struct flyrep_item *it)
{
	struct fr_item_bytes f[FR_ITEM_FIELDS_MAX];
	uint64_t n = 0;
	size_t i;

	assert_int_equal(fr_item_unpack(it, FLYREP_TABLE_LEARNING, f), 0);
	for (i = 0; i < f[7].len; i++)
		n = n << 8 | f[7].pos[i];
	return n;
}

/* What the kernel would hold after so many more packets, and perhaps another policy. */
static struct flyrep_item *learn(struct model *m, const struct node *n, size_t key, uint64_t more)
{
	static const char *const policies[] = { "allow", "deny", "ask" };
	const struct flyrep_item *old = kernel_get(n, FLYREP_TABLE_LEARNING, m->keys[key].item);
	struct fr_item_bytes f[FR_ITEM_FIELDS_MAX] = { 0 };
	uint64_t room[FR_ITEM_ROOM / 8 + 1], count = more + (old ? count_of(old) : 0);
	const char *policy = policies[roll(m, 3)];
	uint8_t bytes[4] = { 1, (uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count };
	int skip;

	assert_int_equal(fr_item_unpack(old ? old : m->keys[key].item, FLYREP_TABLE_LEARNING, f), 0);
	if (!roll(m, 4))
		f[3] = (struct fr_item_bytes){ (const uint8_t *)policy, strlen(policy) };
	for (skip = 1; skip < 3 && !bytes[skip]; skip++)
		;
	f[7] = (struct fr_item_bytes){ bytes + skip, (size_t)(4 - skip) };
	assert_true(fr_item_pack(room, FLYREP_TABLE_LEARNING, FLYREP_OP_UPDATE, f, 0) > 0);
	return copy(room, item_size((struct flyrep_item *)room));
}

static void add_keys(struct model *m)
{
	static const char *const macs[] = { "00:01", "00:02" };
	const char *texts[FR_ITEM_FIELDS_MAX] = { NULL };
	size_t i;

	for (i = 0; i < 8; i++) {
		m->keys[i].table = i < 4 ? FLYREP_TABLE_LEASE : FLYREP_TABLE_DNS;
		m->keys[i].item = make(m, i, 0);
	}
	for (; i < 10; i++) {
		texts[0] = macs[i - 8];
		texts[1] = "tcp";
		m->keys[i].table = FLYREP_TABLE_LEARNING;
		m->keys[i].item = item_make(FLYREP_TABLE_LEARNING, 0, texts);
	}
	for (; i < 14; i++) {
		m->keys[i].table = FLYREP_TABLE_NFT_SET;
		m->keys[i].item = make(m, i, 0);
	}
	m->n_keys = i;
}

/* --- steps -------------------------------------------------------------- */

static struct node *any_node(struct model *m)
{
	return &m->c.nodes[roll(m, (unsigned int)m->c.n)];
}

static void step_write(struct model *m, struct node *n)
{
	size_t key = roll(m, (unsigned int)m->n_keys);
	uint8_t table = m->keys[key].table;
	uint64_t expires_ms = roll(m, 3) ? 0 : node_ms(n) + 500 + roll(m, 20000), more = 1 + roll(m, 9);
	struct flyrep_item *it;

	if (table == FLYREP_TABLE_LEARNING) {
		it = learn(m, n, key, more);
		m->counted += key == 8 ? more : 0;
	} else {
		it = make(m, key, expires_ms);
	}
	if (!kernel_has_rival(n, table, it))
		local_put(n, table, it);
	free(it);
}

static void step_delete(struct model *m, struct node *n)
{
	size_t key = roll(m, (unsigned int)m->n_keys);

	if (key != 8 && kernel_get(n, m->keys[key].table, m->keys[key].item))
		local_delete(n, m->keys[key].table, m->keys[key].item);
}

/* Nobody tells of that, but the looks at what is there. */
static void step_packet(struct model *m, struct node *n)
{
	size_t i = roll(m, (unsigned int)n->n_items + 1);

	if (i < n->n_items && n->items[i].table == FLYREP_TABLE_NFT_SET &&
	    n->items[i].item->expires_ms)
		n->items[i].item->expires_ms = node_ms(n) + 20000;
}

static void look(struct node *n)
{
	size_t i;

	for (i = 0; i < n->n_items; i++) {
		if (n->items[i].table != FLYREP_TABLE_NFT_SET)
			continue;
		n->items[i].item->rec.stamp = ++n->stamp;
		tell(n, FLYREP_TABLE_NFT_SET, n->items[i].item);
	}
}

static bool is_any(void *cookie, const uint8_t *key, size_t key_len)
{
	(void)cookie;
	(void)key;
	(void)key_len;
	return true;
}

/* The ruleset is loaded anew. */
static void step_lose(struct node *n)
{
	size_t i;

	if (!n->ledger || n->is_gone)
		return;
	tell_all(n);
	for (i = 0; i < n->n_items;) {
		if (n->items[i].table == FLYREP_TABLE_NFT_SET)
			kernel_drop(n, FLYREP_TABLE_NFT_SET, n->items[i].item);
		else
			i++;
	}
	ledger_lose(n->ledger, FLYREP_TABLE_NFT_SET, is_any, NULL);
}

/* What a link comes back with: a repair, key by key in any order, and an audit. */
static void heal(struct model *m, int from, int to)
{
	struct link *l = &m->c.links[from][to];
	size_t begin = roll(m, (unsigned int)m->n_keys), i;

	link_clear(l);
	l->is_cut = false;
	if (!m->c.nodes[from].ledger || m->c.nodes[from].is_gone)
		return;
	for (i = 0; i < m->n_keys; i++) {
		size_t key = (begin + i * 3) % m->n_keys; /* 3 and 14 have no divisor */

		repair_key(&m->c, from, to, m->keys[key].table, m->keys[key].item);
	}
	audit(&m->c, from, to);
}

static void step_link(struct model *m)
{
	int from = (int)roll(m, (unsigned int)m->c.n), to = (int)roll(m, (unsigned int)m->c.n);

	if (from == to)
		return;
	if (m->c.links[from][to].is_cut || !roll(m, 3))
		heal(m, from, to); /* also while it lives: a repair tells twice */
	else
		cut(&m->c, from, to);
}

static void step_deliver(struct model *m)
{
	int from = (int)roll(m, (unsigned int)m->c.n), to = (int)roll(m, (unsigned int)m->c.n);
	unsigned int n = 1 + roll(m, 12);

	while (from != to && n-- && deliver(&m->c, from, to))
		;
}

static void start(struct model *m, struct node *n)
{
	bool is_new_kernel = !roll(m, 3);
	int i;

	m->is_inexact |= is_new_kernel && n->is_unlearnt;
	while (is_new_kernel && n->n_items)
		free(n->items[--n->n_items].item);
	if (is_new_kernel)
		n->stamp = 0;
	node_open(n, is_new_kernel);
	for (i = 0; i < m->c.n; i++) {
		if (i == n->number)
			continue;
		if (!m->c.links[n->number][i].is_cut)
			heal(m, n->number, i);
		if (!m->c.links[i][n->number].is_cut)
			heal(m, i, n->number);
	}
}

/* Up: it stops, or crashes, at once or at some callback. Down: it starts. */
static void step_restart(struct model *m, struct node *n)
{
	if (!n->ledger) {
		start(m, n);
		return;
	}
	switch (roll(m, 3)) {
	case 0:
		n->crash_in = 1 + (int)roll(m, 6);
		return;
	case 1:
		node_crash(n);
		m->is_inexact = true;
		break;
	default:
		flush(n);
	}
	node_close(n);
}

static void find_pending(void *cookie, const struct inbox_conflict *c)
{
	*(uint64_t *)cookie = c->id;
}

static void step_resolve(struct model *m, struct node *n)
{
	uint64_t id = 0;
	char why[256];
	int rc;

	if (!n->ledger || n->is_gone)
		return;
	inbox_list(ledger_inbox(n->ledger), INBOX_PENDING, find_pending, &id);
	if (!id)
		return;
	rc = ledger_resolve(n->ledger, id, roll(m, 2) ? INBOX_USE_LOCAL : INBOX_USE_REMOTE, "ops",
			    "because", why, sizeof(why));
	if (rc)
		assert_int_equal(rc, -EALREADY);
}

static void pass_time(struct model *m, unsigned int ms)
{
	int i;

	for (i = 0; i < m->c.n; i++)
		flush(&m->c.nodes[i]); /* no turn of the event loop is that long */
	m->c.now_ms += ms;
	for (i = 0; i < m->c.n; i++) {
		kernel_expire(&m->c.nodes[i]);
		if (!roll(m, 3))
			tick(&m->c.nodes[i]);
	}
}

static void step(struct model *m)
{
	struct node *n = any_node(m);

	if (n->is_gone) {
		node_close(n);
		m->is_inexact = true;
	}
	switch (roll(m, 24)) {
	case 0 ... 6:
		step_write(m, n);
		break;
	case 7:
		step_delete(m, n);
		break;
	case 8 ... 13:
		step_deliver(m);
		break;
	case 14:
		step_link(m);
		break;
	case 15:
		if (!roll(m, 4))
			step_restart(m, n);
		break;
	case 16:
		step_resolve(m, n);
		break;
	case 17:
		tell_all(n);
		audit(&m->c, n->number, (n->number + 1) % m->c.n);
		break;
	case 18 ... 20:
		step_packet(m, n);
		break;
	case 21:
		look(n);
		if (!roll(m, 4))
			step_lose(n);
		break;
	default:
		pass_time(m, roll(m, 4) ? roll(m, 50) : roll(m, 3000));
	}
	if (roll(m, 3))
		flush(n);
}

/* --- quiet -------------------------------------------------------------- */

static bool drain_links(struct model *m)
{
	bool is_any = false;
	int i, k;

	for (i = 0; i < m->c.n; i++)
		for (k = 0; k < m->c.n; k++)
			while (i != k && deliver(&m->c, i, k))
				is_any = true;
	return is_any;
}

static void round_of_all(struct model *m)
{
	int i, k, n;

	for (i = 0; i < m->c.n; i++) {
		tell_all(&m->c.nodes[i]);
		look(&m->c.nodes[i]);
		tick(&m->c.nodes[i]);
	}
	for (n = 0; drain_links(m); n++) {
		for (i = 0; i < m->c.n; i++)
			flush(&m->c.nodes[i]);
		if (n > 100)
			fail_msg("seed %u: it never ends", m->seed);
	}
	for (i = 0; i < m->c.n; i++)
		for (k = 0; k < m->c.n; k++)
			if (i != k)
				audit(&m->c, i, k);
	drain_links(m);
	for (i = 0; i < m->c.n; i++)
		flush(&m->c.nodes[i]);
}

static void quieten(struct model *m)
{
	int i, k, round;

	for (i = 0; i < m->c.n; i++) {
		struct node *n = &m->c.nodes[i];

		n->crash_in = 0;
		if (n->is_gone) {
			node_close(n);
			m->is_inexact = true;
		}
		if (!n->ledger)
			start(m, n);
	}
	for (i = 0; i < m->c.n; i++)
		for (k = 0; k < m->c.n; k++)
			if (i != k)
				heal(m, i, k);
	for (round = 0; round < QUIET_ROUNDS; round++) {
		round_of_all(m);
		m->c.now_ms += 1000;
	}
	m->c.now_ms += 2 * 3600 * 1000; /* whatever clock: what ends has ended */
	for (round = 0; round < 5; round++) {
		round_of_all(m);
		m->c.now_ms += 1000;
	}
}

/* --- what must hold ----------------------------------------------------- */

static void check_mirrors(struct model *m)
{
	uint8_t table;
	int i, k;

	for (table = 1; table < FR_TABLES_MAX; table++) {
		for (i = 0; m->c.config.tables >> table & 1 && i < m->c.n; i++) {
			struct truth *own = ledger_truth(m->c.nodes[i].ledger, table, node_names[i]);

			for (k = 0; k < m->c.n; k++) {
				struct truth *t = ledger_truth(m->c.nodes[k].ledger, table,
							       node_names[i]);

				if (index_digest(truth_index(t)) != index_digest(truth_index(own)))
					fail_msg("seed %u: %s has other slots of %s than that",
						 m->seed, node_names[k], node_names[i]);
			}
		}
	}
}

struct effect {
	struct node *n, *other;
	uint8_t table;
	size_t count;
	unsigned int seed;
};

static void check_item(void *cookie, const void *rec)
{
	struct effect *e = cookie;
	const struct flyrep_item *it = rec, *a = kernel_get(e->n, e->table, it);
	const struct flyrep_item *b = kernel_get(e->other, e->table, it);

	e->count++;
	if (!a || !b || a->value_len != it->value_len || b->value_len != it->value_len ||
	    a->expires_ms != it->expires_ms || b->expires_ms != it->expires_ms ||
	    memcmp(a + 1, it + 1, it->key_len + it->value_len) ||
	    memcmp(b + 1, it + 1, it->key_len + it->value_len))
		fail_msg("seed %u: %s: not in effect everywhere: table %u of %s and %s", e->seed,
			 node_names[e->n->number], e->table, a ? "it" : "not it",
			 b ? "n1" : "not n1");
}

/* What ledgers and kernels say, and the first kernel */
static void check_effects(struct model *m)
{
	uint8_t table;
	size_t total;
	int i;

	for (i = 0; i < m->c.n; i++) {
		for (table = 1, total = 0; table < FR_TABLES_MAX; table++) {
			struct effect e = { &m->c.nodes[i], &m->c.nodes[0], table, 0, m->seed };

			if (!(m->c.config.tables >> table & 1))
				continue;
			ledger_walk_effect(m->c.nodes[i].ledger, table, check_item, &e);
			total += e.count;
		}
		if (total != m->c.nodes[i].n_items || total != m->c.nodes[0].n_items)
			fail_msg("seed %u: %s: %zu in effect, %zu in its kernel", m->seed,
				 node_names[i], total, m->c.nodes[i].n_items);
	}
}

static void check_nothing_left(struct model *m)
{
	size_t n_slots = 0, n_learnt = 0, n = 0, k;
	int i;

	for (i = 0; i < m->c.n; i++) {
		const struct ledger_figures *f = ledger_figures(m->c.nodes[i].ledger);

		if (f->n_tombstones)
			fail_msg("seed %u: %s: %zu tombstones left", m->seed, node_names[i],
				 f->n_tombstones);
		if (inbox_count(ledger_inbox(m->c.nodes[i].ledger), INBOX_PENDING))
			fail_msg("seed %u: %s: a conflict waits for ever", m->seed, node_names[i]);
		n_slots += f->n_own;
		n = f->n_in_effect;
	}
	for (k = 8; k < 10; k++)
		n_learnt += !!kernel_get(&m->c.nodes[0], m->keys[k].table, m->keys[k].item);
	/* One slot a key; only what is added up has one of each node. */
	if (n_slots < n || n_slots > n - n_learnt + n_learnt * (size_t)m->c.n)
		fail_msg("seed %u: %zu slots for %zu in effect", m->seed, n_slots, n);
}

static void check_counts(struct model *m)
{
	const struct flyrep_item *it =
		kernel_get(&m->c.nodes[0], FLYREP_TABLE_LEARNING, m->keys[8].item);

	if (!m->is_inexact && (it ? count_of(it) : 0) != m->counted)
		fail_msg("seed %u: counted %lu, and %lu are in effect", m->seed, m->counted,
			 it ? count_of(it) : 0);
}

static bool is_same_key(const struct fr_slot *a, const struct fr_slot *b)
{
	return a->key_len == b->key_len && !memcmp(a + 1, b + 1, a->key_len);
}

static bool is_same_content(const struct fr_slot *a, const struct fr_slot *b)
{
	return a->flags == b->flags && a->expires_ms == b->expires_ms && a->value_len == b->value_len &&
	       !memcmp(fr_slot_value(a), fr_slot_value(b), a->value_len);
}

/* What other writes say of one: seen, and so replaced; or lost against. */
static bool is_replaced(const struct model *m, const struct write *w, bool *is_lost)
{
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	size_t i, k, n;

	for (i = 0; i < m->c.n_writes; i++) {
		const struct write *o = &m->c.writes[i];

		if (o->table != w->table || !is_same_key(o->slot, w->slot))
			continue;
		if (o->node == w->node) {
			if (o->slot->version > w->slot->version)
				return true;
			continue;
		}
		n = fr_slot_saw(o->slot, saw);
		for (k = 0; k < n; k++) {
			if (strncmp(saw[k].node, node_names[w->node], saw[k].node_len) ||
			    saw[k].version < w->slot->version)
				continue;
			if (!(saw[k].flags & FR_SLOT_SAW_F_LOST) || saw[k].version > w->slot->version ||
			    is_same_content(o->slot, w->slot) ||
			    (w->slot->flags & FR_SLOT_F_TOMBSTONE && o->slot->expires_ms))
				return true; /* and both may have been dead */
			*is_lost = true;
		}
	}
	return false;
}

struct sought {
	const struct write *w;
	bool is_found;
};

static void seek(void *cookie, const struct inbox_conflict *c)
{
	struct sought *s = cookie;
	size_t i;

	for (i = 0; i < c->n_sides; i++)
		s->is_found |= c->table == s->w->table &&
			       c->sides[i].version == s->w->slot->version &&
			       !strcmp(c->sides[i].node, node_names[s->w->node]);
}

static bool is_listed(const struct model *m, const struct write *w)
{
	struct sought s = { w, false };
	int i;

	for (i = 0; i < m->c.n; i++)
		inbox_list(ledger_inbox(m->c.nodes[i].ledger), -1, seek, &s);
	return s.is_found;
}

/* It is there still, or went by itself: it was over, or a tombstone. */
static bool is_kept(const struct model *m, const struct write *w)
{
	struct truth *t = ledger_truth(m->c.nodes[w->node].ledger, w->table, node_names[w->node]);
	struct index_entry e;

	return w->slot->flags & FR_SLOT_F_TOMBSTONE || w->slot->expires_ms ||
	       index_find(truth_index(t), w->slot + 1, w->slot->key_len, &e);
}

static void check_writes(struct model *m)
{
	size_t i;

	for (i = 0; i < m->c.n_writes; i++) {
		const struct write *w = &m->c.writes[i];
		bool is_lost = false;

		if (w->table == FLYREP_TABLE_LEARNING || is_replaced(m, w, &is_lost))
			continue;
		if (is_lost && w->slot->expires_ms)
			continue; /* may have been over when it lost */
		if (is_lost ? !is_listed(m, w) : !is_kept(m, w))
			fail_msg("seed %u: a write of %s to table %u is gone, and nobody tells of it",
				 m->seed, node_names[w->node], w->table);
	}
}

/* --- histories ---------------------------------------------------------- */

static void run(unsigned int seed)
{
	static const struct history_priority priorities[] = { { "n1", 100 }, { "n2", 50 }, { "n4", 25 } };
	static const int sizes[] = { 2, 3, 5 };
	struct ledger_config config = {
		.tables = 1ull << FLYREP_TABLE_LEASE | 1ull << FLYREP_TABLE_DNS |
			  1ull << FLYREP_TABLE_LEARNING | 1ull << FLYREP_TABLE_NFT_SET,
		.rules = { .strategy = (int)(seed % 3),
			   .resolution = (int)(seed / 3 % 3),
			   .priorities = priorities,
			   .n_priorities = N_OF(priorities),
			   .skew_tolerance_ms = 100,
			   .is_approval_required = seed % 4 },
		.inbox = { .timeout_ms = TIMEOUT_MS },
		.tombstone_ms = TOMBSTONE_MS,
		.tombstones_max = 1000,
		.history_max = 100000,
	};
	struct model *m = calloc(1, sizeof(*m));
	size_t i;
	int k;

	assert_non_null(m);
	m->seed = seed;
	m->random = seed * 2654435761u;
	add_keys(m);
	cluster_init(&m->c, sizes[seed / 2 % 3], &config);
	for (k = 0; k < m->c.n; k++)
		m->c.nodes[k].offset_ms = (int64_t)roll(m, 80) - 40;
	for (k = 0; k < m->c.n; k++)
		m->c.nodes[k].is_slow = seed % 2;
	if (seed % 5 == 4)
		m->c.nodes[roll(m, (unsigned int)m->c.n)].offset_ms = roll(m, 2) ? 3600000 : -3600000;
	for (i = 0; i < STEPS; i++)
		step(m);
	quieten(m);
	check_mirrors(m);
	check_effects(m);
	check_nothing_left(m);
	check_counts(m);
	check_writes(m);
	cluster_free(&m->c);
	for (i = 0; i < m->n_keys; i++)
		free(m->keys[i].item);
	free(m);
}

static unsigned int number_from(const char *name, unsigned int dflt)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 10) : dflt;
}

static void test_all_nodes_come_to_agree(void **state)
{
	unsigned int first = number_from("LEDGER_SEED", 1), i;
	unsigned int n = number_from("LEDGER_SEEDS", getenv("LEDGER_SEED") ? 1 : SEEDS);

	(void)state;
	print_message("# seeds %u to %u\n", first, first + n - 1);
	for (i = 0; i < n; i++)
		run(first + i);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_nodes_come_to_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
