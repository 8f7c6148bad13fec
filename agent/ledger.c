// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_entry.h"

#define EXPIRY_SLACK_MS 1000 /* a DELETE so short before the end is the end */
#define RETRY_MS 10000 /* what the own kernel refused */
#define LATE_MS 1000 /* what it refused as it had something to tell first */

uint64_t ledger_now(struct ledger *l)
{
	l->now_ms = l->ops.now_ms(l->cookie);
	return l->now_ms;
}

struct truth *node_truth(const struct ledger *l, uint8_t table, uint8_t node)
{
	return ledger_has(l, table) ? l->nodes[node].truths[table] : NULL;
}

void settle_all(struct ledger *l)
{
	while (l->dirty.n) {
		struct entry *e = l->dirty.v[--l->dirty.n];

		e->is_dirty = false;
		settle(l, e);
	}
}

/* --- from the own kernel ------------------------------------------------ */

/* What is to be remembered of an item in the own kernel. */
static struct kernel_item kernel_item_of(const struct ledger *l, const struct entry *e,
					 const struct flyrep_item *it)
{
	struct kernel_item k = { .is_there = true };
	struct merge_applied m;

	k.e.digest = fr_table_by_id(e->table)->digest(it, &l->key);
	k.e.expires_ms = it->expires_ms;
	if (merge_has_rules(e->table)) {
		m = merge_applied(item_value(it), it->value_len, &l->key);
		k.e.count = m.count;
		k.e.decided = m.decided;
	}
	return k;
}

void entry_set_item(struct ledger *l, struct entry *e, const struct flyrep_item *it)
{
	struct kernel_item k = { 0 };
	struct claim claim = { 0 };
	struct claim_parts parts;

	if (it) {
		k = kernel_item_of(l, e, it);
		if (entry_claim_parts(e, item_value(it), it->value_len, &parts))
			claim_set(&claim, &parts); /* without it a swap may need a repair */
	}
	entry_applied(l, e, &k, it ? &claim : NULL);
}

static bool has_ended(const struct ledger *l, const struct kernel_item *k)
{
	return k->is_there && k->e.expires_ms &&
	       k->e.expires_ms <= l->now_ms + EXPIRY_SLACK_MS;
}

/* Return: whether it was a write, or -errno */
static int take_delete(struct ledger *l, struct entry *e)
{
	bool is_end = !e->applied.is_there || has_ended(l, &e->applied);
	int rc = is_end ? 0 : settle_write(l, e, NULL);

	if (rc)
		return rc;
	entry_set_item(l, e, NULL);
	entry_dirty(l, e);
	return !is_end;
}

/* Whether the kernel says what is in effect anyway, though it may not have been put there. */
bool settle_is(const struct ledger *l, const struct entry *e, uint64_t digest)
{
	return settle_item(l, e, l->item) &&
	       fr_table_by_id(e->table)->digest(l->item, &l->key) == digest;
}

/* What was put into the own kernel is known: the last run did not end in the middle of it. */
static bool is_noted(const struct ledger *l, uint8_t table)
{
	return l->was_stopped || l->met >> table & 1;
}

/*
 * Somebody has written it. What was added up here and elsewhere may come to the same sum by
 * chance.
 */
static bool is_written(const struct ledger *l, const struct entry *e, uint64_t digest)
{
	if (e->applied.is_there && e->applied.e.digest == digest)
		return false;
	return (merge_has_rules(e->table) && is_noted(l, e->table)) || !settle_is(l, e, digest);
}

static int take_item(struct ledger *l, struct entry *e, const struct flyrep_item *it)
{
	uint64_t digest = fr_table_by_id(e->table)->digest(it, &l->key);
	bool is_write = is_written(l, e, digest) || end_is_put_off(l, e, it);
	int rc = is_write ? settle_write(l, e, it) : 0;

	if (rc)
		return rc;
	entry_set_item(l, e, it);
	e->retry_ms = 0;
	entry_dirty(l, e);
	return is_write;
}

static int take(struct ledger *l, struct entry *e, const struct flyrep_item *it)
{
	if (it->rec.stamp < e->stamp)
		return 0;
	e->stamp = it->rec.stamp;
	e->is_named = true;
	return it->rec.op == FLYREP_OP_DELETE ? take_delete(l, e) : take_item(l, e, it);
}

static int check_item(const struct ledger *l, uint8_t table, const struct flyrep_item *it)
{
	const char *why;

	return ledger_has(l, table) ? fr_table_by_id(table)->check(it, &why) : -EINVAL;
}

int ledger_local(struct ledger *l, uint8_t table, const void *item)
{
	const struct flyrep_item *it = item;
	struct entry *e;
	int rc = check_item(l, table, it);

	if (rc)
		return rc;
	ledger_now(l);
	e = entry_get(l, table, it + 1, it->key_len);
	return e ? take(l, e, it) : -ENOMEM;
}

/* --- a whole table of the own kernel ------------------------------------ */

struct learning {
	uint8_t table;
	bool is_new_kernel;
	bool is_oom;
	size_t n_deleted;
};

/* It went without being deleted, and with it what of others had been seen there. */
static void lose_item(struct ledger *l, struct entry *e)
{
	size_t i;

	entry_set_item(l, e, NULL);
	for (i = 0; i < e->n_slots; i++)
		e->slots[i]->is_seen = e->slots[i]->dot.node == LEDGER_SELF;
}

static void unname(struct ledger *l, struct entry *e, void *cookie)
{
	const struct learning *a = cookie;

	if (e->table != a->table)
		return;
	e->is_named = false;
	if (!a->is_new_kernel)
		return;
	e->stamp = 0;
	lose_item(l, e);
}

int ledger_learn_begin(struct ledger *l, uint8_t table, uint64_t kernel)
{
	struct learning a = { .table = table };

	if (!ledger_has(l, table))
		return -EINVAL;
	a.is_new_kernel = l->kernels[table] && l->kernels[table] != kernel;
	l->learning = kernel;
	ledger_now(l);
	settle_all(l);
	l->learnt &= ~(1ull << table);
	entry_each(l, unname, &a);
	return 0;
}

/*
 * The last run may have put more into the own kernel than it could note before it ended: what is
 * counted there is then more than that.
 */
static void assume_applied(struct ledger *l, struct entry *e, const struct flyrep_item *it)
{
	struct kernel_item k = kernel_item_of(l, e, it);

	if (!merge_has_rules(e->table) || is_noted(l, e->table) || !e->applied.is_there ||
	    e->applied.e.digest == k.e.digest || !settle_item(l, e, l->item))
		return;
	if (kernel_item_of(l, e, l->item).e.count <= k.e.count)
		entry_set_item(l, e, l->item);
}

int ledger_learn(struct ledger *l, uint8_t table, const void *item)
{
	const struct flyrep_item *it = item;
	struct entry *e;
	int rc = check_item(l, table, it);

	if (rc)
		return rc;
	if (it->rec.op == FLYREP_OP_DELETE)
		return -EINVAL;
	/* It ended between the read and now, or is about to. */
	if (it->expires_ms && it->expires_ms <= ledger_now(l))
		return 0;
	e = entry_get(l, table, it + 1, it->key_len);
	if (!e)
		return -ENOMEM;
	assume_applied(l, e, it);
	return take(l, e, it);
}

static void miss(struct ledger *l, struct entry *e, void *cookie)
{
	struct learning *a = cookie;
	int rc;

	if (e->table != a->table)
		return;
	rc = e->is_named ? 0 : take_delete(l, e);
	a->is_oom |= rc < 0;
	a->n_deleted += rc > 0;
	e->is_named = false;
	entry_dirty(l, e);
}

size_t ledger_learn_end(struct ledger *l, uint8_t table)
{
	struct learning a = { .table = table };

	if (!ledger_has(l, table))
		return 0;
	ledger_now(l);
	entry_each(l, miss, &a);
	l->learnt |= 1ull << table;
	l->met |= 1ull << table;
	l->is_oom |= a.is_oom;
	if (l->kernels[table] != l->learning)
		l->kernels_unsaved |= 1ull << table;
	l->kernels[table] = l->learning;
	return a.n_deleted;
}

void ledger_lose_kernel(struct ledger *l)
{
	l->learnt = 0;
}

struct losing {
	uint8_t table;
	bool (*is_lost)(void *cookie, const uint8_t *key, size_t key_len);
	void *cookie;
	size_t n;
};

static void lose(struct ledger *l, struct entry *e, void *cookie)
{
	struct losing *a = cookie;
	bool is_learning = !(l->learnt >> e->table & 1);

	if (e->table != a->table || (is_learning && e->is_named) ||
	    !a->is_lost(a->cookie, e->key, e->key_len))
		return;
	lose_item(l, e);
	e->retry_ms = 0;
	entry_dirty(l, e);
	a->n += settle_item(l, e, l->item);
}

size_t ledger_lose(struct ledger *l, uint8_t table,
		   bool (*is_lost)(void *cookie, const uint8_t *key, size_t key_len), void *cookie)
{
	struct losing a = { table, is_lost, cookie, 0 };

	ledger_now(l);
	settle_all(l);
	entry_each(l, lose, &a);
	return a.n;
}

void ledger_refused(struct ledger *l, uint8_t table, const void *item, bool is_late)
{
	const struct flyrep_item *it = item;
	struct entry *e = ledger_has(l, table) ? entry_find(l, table, it + 1, it->key_len) : NULL;
	struct history_slot *chosen;

	if (!e)
		return;
	l->figures.n_refused += !is_late;
	/* What of the kernel is going to be told knew nothing of this. */
	chosen = e->chosen ? entry_slot(e, e->chosen->dot.node) : NULL;
	if (is_late && chosen && chosen->dot.node != LEDGER_SELF)
		chosen->is_seen = false;
	if (it->rec.op == FLYREP_OP_DELETE)
		e->is_deleted = false;
	if (e->is_deleted)
		entry_set_item(l, e, NULL);
	else
		entry_applied(l, e, &e->before, NULL);
	e->retry_ms = ledger_now(l) + (is_late ? LATE_MS : RETRY_MS);
}

/* --- from peers --------------------------------------------------------- */

int peer_number(const struct ledger *l, const char *peer)
{
	size_t i;

	for (i = 1; i <= l->config.n_peers; i++)
		if (!strcmp(l->order.nodes[i], peer))
			return (int)i;
	return -ENOENT;
}

/* A clock that runs ahead is told of before its stamps are clamped, and once. */
static void watch_clock(struct ledger *l, uint8_t peer, uint64_t version)
{
	uint64_t tolerance = l->clock.tolerance_ms, ahead;
	struct ledger_node *node = &l->nodes[peer];
	bool is_far;

	ahead = hlc_observe(&l->clock, l->now_ms, version, &is_far);
	node->offset_ms = ahead;
	l->figures.n_clamped = l->clock.n_clamped;
	if (!ahead || ahead * 5 < tolerance * 4) {
		node->is_warned = false;
		return;
	}
	if (!node->is_warned)
		fr_warn("ledger: peer %s: its clock is %lu ms ahead of ours, %s clock_skew_tolerance, %lu ms",
			l->order.nodes[peer], ahead,
			is_far ? "more than" : "close to", tolerance);
	node->is_warned = true;
}

/* What others have seen of us, we have written: even if we know no more, as after a restore. */
static void restore_clock(struct ledger *l, const struct history_slot *s)
{
	size_t i;

	for (i = 0; i < s->n_saw; i++)
		if (s->saw[i].node == LEDGER_SELF)
			hlc_restore(&l->clock, s->saw[i].version);
}

static bool is_same(const struct history_slot *a, const struct history_slot *b)
{
	size_t i;

	for (i = 0; i < a->n_saw && i < b->n_saw; i++)
		if (a->saw[i].node != b->saw[i].node || a->saw[i].version != b->saw[i].version ||
		    a->saw[i].flags != b->saw[i].flags)
			return false;
	return a->dot.version == b->dot.version && a->n_saw == b->n_saw &&
	       a->is_tombstone == b->is_tombstone && a->expires_ms == b->expires_ms &&
	       a->decided == b->decided && a->value_len == b->value_len &&
	       !memcmp(a->value, b->value, a->value_len);
}

int ledger_remote(struct ledger *l, const char *peer, uint8_t table, const void *slot)
{
	const struct fr_slot *rec = slot;
	int node = peer_number(l, peer), rc;
	struct history_slot *s, *old;
	const char *why;
	struct entry *e;

	if (node < 0 || !ledger_has(l, table) || fr_slot_table(table)->check(rec, &why))
		return node < 0 ? node : -EINVAL;
	ledger_now(l);
	if (rec->rec.op == FLYREP_OP_DELETE) {
		e = entry_find(l, table, fr_slot_key(rec), rec->key_len);
		if (e)
			entry_drop_slot(l, e, (uint8_t)node);
		return 0;
	}
	e = entry_get(l, table, fr_slot_key(rec), rec->key_len);
	if (!e)
		return -ENOMEM;
	entry_dirty(l, e);
	rc = slot_from(l, (uint8_t)node, rec, &s);
	if (rc)
		return rc;
	old = entry_slot(e, (uint8_t)node);
	if (old && is_same(old, s)) {
		slot_free(s);
		return 0;
	}
	if (old && old->dot.version == s->dot.version) {
		s->is_seen = old->is_seen;
		s->is_told = old->is_told;
	} else {
		watch_clock(l, (uint8_t)node, s->dot.version);
	}
	restore_clock(l, s);
	rc = entry_put_slot(l, e, s);
	if (rc)
		slot_free(s);
	return rc;
}

static void dirty_blocked(struct ledger *l, struct entry *e, void *cookie)
{
	(void)cookie;
	if (e->is_blocked)
		entry_dirty(l, e);
}

void ledger_in_step(struct ledger *l, const char *peer)
{
	int node = peer_number(l, peer);

	if (node < 0)
		return;
	l->nodes[node].in_step = ++l->n_steps;
	entry_each(l, dirty_blocked, NULL);
}

/* --- time --------------------------------------------------------------- */

static void tick_one(struct ledger *l, struct entry *e, void *cookie)
{
	const bool *is_all = cookie;

	if (e->retry_ms && (*is_all || e->retry_ms <= l->now_ms)) {
		e->retry_ms = 0;
		entry_dirty(l, e);
	}
	if (*is_all || (e->wake_ms && e->wake_ms <= l->now_ms))
		entry_dirty(l, e);
}

struct tombs {
	size_t n;
	struct entry **v;
};

static void tomb_collect(struct ledger *l, struct entry *e, void *cookie)
{
	const struct history_slot *own = entry_slot(e, LEDGER_SELF);
	struct tombs *t = cookie;

	if (own && own->is_tombstone && t->n < l->figures.n_tombstones)
		t->v[t->n++] = e;
}

static int tomb_compare(const void *a, const void *b)
{
	const struct history_slot *x = entry_slot(*(struct entry *const *)a, LEDGER_SELF);
	const struct history_slot *y = entry_slot(*(struct entry *const *)b, LEDGER_SELF);

	return (x->dot.version > y->dot.version) - (x->dot.version < y->dot.version);
}

static void bound_tombstones(struct ledger *l)
{
	size_t n = l->figures.n_tombstones, max = l->config.tombstones_max, i;
	struct tombs t = { 0 };

	if (n <= max)
		return;
	t.v = malloc(n * sizeof(struct entry *));
	if (!t.v)
		return;
	entry_each(l, tomb_collect, &t);
	qsort(t.v, t.n, sizeof(struct entry *), tomb_compare);
	for (i = 0; i < t.n && i < n - max; i++)
		entry_drop_slot(l, t.v[i], LEDGER_SELF);
	free(t.v);
	l->figures.n_tombstones_dropped += i;
	if (fr_log_allow(&l->log_limit, "ledger"))
		fr_err("ledger: more than %zu tombstones: the oldest %zu went before their time; "
		       "what they deleted may come back with a peer that was away",
		       max, i);
}

void ledger_tick(struct ledger *l)
{
	bool is_all;

	ledger_now(l);
	is_all = l->is_oom || l->now_ms < l->ticked_ms; /* the clock was set back */
	l->is_oom = false;
	l->ticked_ms = l->now_ms;
	entry_each(l, tick_one, &is_all);
	bound_tombstones(l);
}
