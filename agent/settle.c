// SPDX-License-Identifier: GPL-2.0-or-later
/* What the slots of a key, and the leases of an address, come to: the rules of the ledger. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_entry.h"

#define DEAD_CHECK_MS 1000 /* how often something dead is looked at again */

static void wake_at(struct entry *e, uint64_t ms)
{
	if (!e->wake_ms || ms < e->wake_ms)
		e->wake_ms = ms;
}

static bool is_peer_in_step(const struct ledger *l, uint8_t node, uint64_t since)
{
	return l->nodes[node].in_step > since;
}

/* Whether conflicts of this table wait for somebody. */
static bool may_wait(const struct ledger *l, const struct entry *e)
{
	return l->config.rules.strategy == HISTORY_MANUAL &&
	       l->config.rules.is_approval_required && !merge_has_rules(e->table) &&
	       e->table != FLYREP_TABLE_METRIC;
}

/* --- writing ------------------------------------------------------------ */

/*
 * A dot need not be carried on when nobody can hold a slot that it replaces: its owner has none,
 * as was found after the own slot was written, and it is older than a tombstone gets.
 */
static bool is_stale(const struct ledger *l, const struct entry *e, const struct history_dot *dot)
{
	if (entry_slot(e, dot->node))
		return false;
	if (!l->nodes[dot->node].is_peer)
		return true;
	return is_peer_in_step(l, dot->node, e->written) &&
	       hlc_ms(dot->version) + l->config.tombstone_ms < l->now_ms;
}

/* What the own slot had replaced, and what the own kernel has seen of others. */
static int inherit(const struct ledger *l, const struct entry *e, struct history_slot *s,
		   bool is_merged)
{
	const struct history_slot *old = entry_slot(e, LEDGER_SELF);
	size_t i;
	int rc = 0;

	for (i = 0; old && rc >= 0 && i < old->n_saw; i++)
		if (!is_stale(l, e, &old->saw[i]))
			rc = history_add(s, &old->saw[i]);
	for (i = 0; !is_merged && rc >= 0 && i < e->n_slots; i++)
		if (e->slots[i] != old && e->slots[i]->is_seen)
			rc = history_absorb(s, e->slots[i], 0);
	return rc < 0 ? rc : 0;
}

static int set_value(struct history_slot *s, const void *value, size_t len)
{
	s->value_len = (uint16_t)len;
	s->value = malloc(len ? len : 1);
	if (!s->value)
		return -ENOMEM;
	memcpy(s->value, value, len);
	return 0;
}

/* What this node adds to a merged item; and whether it has decided something. */
static int write_merged(const struct ledger *l, const struct entry *e, struct history_slot *s,
			const uint8_t *value, size_t len)
{
	const struct history_slot *old = entry_slot(e, LEDGER_SELF);
	struct merge_applied before = { e->applied.e.count, e->applied.e.decided };
	struct merge_value out;
	size_t i;
	int rc;

	rc = merge_write(&out, old, value, len, e->applied.is_there ? &before : NULL,
			 &l->key);
	if (rc < 0)
		return rc;
	s->decided = old ? old->decided : 0;
	if (rc) {
		s->decided = s->dot.version;
		for (i = 0; i < e->n_slots; i++)
			if (e->slots[i]->decided >= s->decided)
				s->decided = e->slots[i]->decided + 1;
	}
	return set_value(s, out.bytes, out.len);
}

static int write_slot(struct ledger *l, struct entry *e, const void *item, uint64_t version)
{
	const struct flyrep_item *it = item;
	bool is_merged = it && merge_has_rules(e->table);
	struct history_slot *s = calloc(1, sizeof(*s));
	const uint8_t *value;
	int rc;

	if (!s)
		return -ENOMEM;
	s->dot.version = version;
	s->dot.node = LEDGER_SELF;
	s->is_seen = true;
	s->is_tombstone = !it;
	rc = inherit(l, e, s, is_merged);
	if (!rc && it) {
		value = (const uint8_t *)(it + 1) + it->key_len;
		s->expires_ms = it->expires_ms;
		rc = is_merged ? write_merged(l, e, s, value, it->value_len) :
				 set_value(s, value, it->value_len);
	}
	if (!rc)
		rc = entry_put_slot(l, e, s);
	if (rc) {
		slot_free(s);
		return rc;
	}
	e->written = l->n_steps;
	return 0;
}

int settle_write(struct ledger *l, struct entry *e, const void *item)
{
	return write_slot(l, e, item, hlc_tick(&l->clock, l->now_ms));
}

int settle_adopt(struct ledger *l, struct entry *e, const void *item, uint64_t version)
{
	uint64_t now = hlc_tick(&l->clock, l->now_ms), own = 0, reach;
	size_t i;

	for (i = 0; i < e->n_slots; i++) {
		reach = history_reach(e->slots[i], LEDGER_SELF);
		if (reach > own)
			own = reach;
	}
	if (version <= own)
		version = own + 1;
	return write_slot(l, e, item, version < now ? version : now);
}

/* --- histories ---------------------------------------------------------- */

static const struct history_slot *highest(const struct ledger *l, const struct entry *e)
{
	const struct history_slot *top = NULL;
	size_t i;

	for (i = 0; i < e->n_slots; i++)
		if (!top || history_compare(&l->order, e->slots[i], top) > 0)
			top = e->slots[i];
	return top;
}

static bool is_covered(const struct ledger *l, const struct entry *e, const struct history_slot *s)
{
	size_t i;

	for (i = 0; i < e->n_slots; i++)
		if (e->slots[i] != s && history_covers(&l->order, e->slots[i], s))
			return true;
	return false;
}

static bool has_lost(const struct entry *e, const struct history_slot *s)
{
	size_t i;

	for (i = 0; i < e->n_slots; i++)
		if (e->slots[i] != s && history_has_lost(s, e->slots[i]))
			return true;
	return false;
}

/* The own slot takes over the history of what it has replaced; @is_winner: of all others. */
static void absorb(struct ledger *l, struct entry *e, bool is_winner)
{
	struct history_slot *own = entry_slot(e, LEDGER_SELF);
	bool is_changed = false, covers;
	size_t i;
	int rc;

	for (i = 0; own && i < e->n_slots; i++) {
		const struct history_slot *s = e->slots[i];

		if (s == own)
			continue;
		covers = history_covers(&l->order, own, s);
		if (!covers && !is_winner)
			continue;
		is_changed |= end_join(l, e, own, s);
		if (history_dominates(&l->order, own, s))
			continue;
		rc = history_absorb(own, s, covers ? 0 : FR_SLOT_SAW_F_LOST);
		if (rc < 0)
			l->is_oom = true;
		is_changed |= rc > 0;
	}
	if (is_changed)
		entry_changed(l, e, LEDGER_SELF);
}

/* Nothing is lost with the own slot. */
static void drop_dominated(struct ledger *l, struct entry *e)
{
	const struct history_slot *own = entry_slot(e, LEDGER_SELF);
	size_t i;

	for (i = 0; own && i < e->n_slots; i++) {
		if (e->slots[i] == own || !history_dominates(&l->order, e->slots[i], own))
			continue;
		entry_drop_slot(l, e, LEDGER_SELF);
		return;
	}
}

/* Whether another slot needs the own one, which is dead, to be there. */
static bool is_needed(const struct ledger *l, const struct entry *e, const struct history_slot *own)
{
	size_t i;

	for (i = 0; i < e->n_slots; i++) {
		const struct history_slot *s = e->slots[i];

		if (s == own)
			continue;
		if (history_covers(&l->order, own, s) ||
		    (own->is_tombstone && !merge_has_rules(e->table)))
			return true;
		/* What was counted counts as long as the item lives. */
		if (merge_has_rules(e->table) && !own->is_tombstone &&
		    history_is_alive(s, l->now_ms))
			return true;
	}
	return false;
}

/*
 * A tombstone, or a slot that is over, goes when nothing can come back with it. What is over and
 * had replaced nothing goes at once: it is over everywhere.
 */
static bool is_retirable(const struct ledger *l, const struct entry *e,
			 const struct history_slot *own)
{
	size_t i;

	if (is_needed(l, e, own))
		return false;
	if (!own->is_tombstone) {
		for (i = 0; i < own->n_saw; i++)
			if (l->nodes[own->saw[i].node].is_peer &&
			    !is_peer_in_step(l, own->saw[i].node, e->written))
				return false;
		return true;
	}
	for (i = 0; i < l->order.n_nodes; i++)
		if (l->nodes[i].is_peer && !is_peer_in_step(l, (uint8_t)i, e->written))
			return false;
	return hlc_ms(own->dot.version) + l->config.tombstone_ms <= l->now_ms;
}

static void retire(struct ledger *l, struct entry *e)
{
	const struct history_slot *own = entry_slot(e, LEDGER_SELF);

	if (!own)
		return;
	if (history_is_alive(own, l->now_ms)) {
		if (own->expires_ms)
			wake_at(e, own->expires_ms);
	} else if (is_retirable(l, e, own)) {
		entry_drop_slot(l, e, LEDGER_SELF);
	} else {
		wake_at(e, l->now_ms + DEAD_CHECK_MS);
	}
}

/* --- who is in effect --------------------------------------------------- */

/* Slots that none has replaced, and that differ; the winner first. */
static void contenders(const struct ledger *l, struct entry *e, const struct history_slot *top,
		       struct dispute *d)
{
	size_t i, k;

	d->kind = INBOX_WRITES;
	d->n = 0;
	d->v[d->n++] = (struct party){ e, top };
	d->local = d->winner = 0;
	for (i = 0; i < e->n_slots; i++) {
		const struct history_slot *s = e->slots[i];

		if (s == top || is_covered(l, e, s))
			continue;
		for (k = 0; k < d->n; k++)
			if (end_is_alike(l, e, d->v[k].slot, s))
				break;
		if (k == d->n)
			d->v[d->n++] = (struct party){ e, s };
	}
}

/* Not over. */
static bool has_a_say(const struct ledger *l, const struct history_slot *s)
{
	return s->is_tombstone || history_is_alive(s, l->now_ms);
}

/* By the rules: who lost against the winner, and has not been told of yet. */
static void note_losers(struct ledger *l, struct entry *e, const struct history_slot *top)
{
	struct dispute d = { .kind = INBOX_WRITES, .n = 1, .v = { { e, top } } };
	size_t i;

	for (i = 0; has_a_say(l, top) && i < e->n_slots; i++) {
		struct history_slot *s = e->slots[i];

		if (s == top || s->is_told || (is_covered(l, e, s) && !has_lost(e, s)) ||
		    end_is_alike(l, e, s, top) || !has_a_say(l, s))
			continue;
		s->is_told = true;
		d.v[d.n++] = (struct party){ e, s };
		if (s->dot.node == LEDGER_SELF)
			d.local = d.n - 1;
	}
	if (d.n > 1)
		conflict_note(l, &d);
}

static bool is_applied(const struct ledger *l, const struct entry *e, const struct history_slot *s)
{
	if (!e->applied.is_there || !history_is_alive(s, l->now_ms))
		return false;
	entry_item(e, l->item, s->value, s->value_len, s->expires_ms);
	return fr_table_by_id(e->table)->digest(l->item, &l->key) ==
	       e->applied.e.digest;
}

/* As long as nobody has decided, the own value stays; else that which was in effect. */
static void choose_local(const struct ledger *l, const struct entry *e, struct dispute *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->v[i].slot->dot.node == LEDGER_SELF)
			goto found;
	for (i = 0; i < d->n; i++)
		if (d->v[i].slot->dot.node == e->chosen_dot.node &&
		    d->v[i].slot->dot.version == e->chosen_dot.version)
			goto found;
	for (i = 0; i < d->n; i++)
		if (is_applied(l, e, d->v[i].slot))
			goto found;
	i = d->winner;
found:
	d->local = i;
}

static void settle_writes(struct ledger *l, struct entry *e)
{
	const struct history_slot *top = highest(l, e);
	bool is_waiting = false;
	struct dispute d;
	uint64_t end;

	absorb(l, e, false);
	top = highest(l, e);
	if (top && may_wait(l, e)) {
		contenders(l, e, top, &d);
		choose_local(l, e, &d);
		if (d.n > 1)
			is_waiting = conflict_wait(l, e, &e->conflict, &d);
		else
			conflict_gone(l, &e->conflict, top);
	} else {
		conflict_gone(l, &e->conflict, top);
	}
	if (top && !is_waiting)
		note_losers(l, e, top);
	e->chosen = is_waiting ? d.v[d.local].slot : top;
	/*
	 * What is over makes way, by the clock of its owner alone: a wrong one ends no other's
	 * lease.
	 */
	if (!is_waiting && top && top->dot.node == LEDGER_SELF && has_a_say(l, top))
		absorb(l, e, true);
	drop_dominated(l, e);
	retire(l, e);
	if (!e->chosen)
		return;
	e->chosen_dot = e->chosen->dot;
	end = end_of(l, e, e->chosen);
	if (end > l->now_ms)
		wake_at(e, end);
}

static void set_merged(struct ledger *l, struct entry *e, const struct merge_value *v)
{
	size_t len = offsetof(struct merge_value, bytes) + (v ? v->len : 0u);
	struct merge_value *merged = v ? malloc(len) : NULL;

	if (v && !merged) {
		l->is_oom = true;
		return;
	}
	if (v)
		memcpy(merged, v, len);
	free(e->merged);
	e->merged = merged;
}

static void settle_merged(struct ledger *l, struct entry *e)
{
	const struct history_slot *slots[HISTORY_NODES_MAX];
	struct merge_value value;
	bool is_alive = false;
	size_t n = 0, i;

	absorb(l, e, false);
	drop_dominated(l, e);
	for (i = 0; i < e->n_slots; i++) {
		if (e->slots[i]->is_tombstone || is_covered(l, e, e->slots[i]))
			continue;
		is_alive |= history_is_alive(e->slots[i], l->now_ms);
		slots[n++] = e->slots[i];
	}
	/* A sum that does not fit into an item leaves what was in effect. */
	if (!is_alive)
		set_merged(l, e, NULL);
	else if (!merge_effect(&value, &e->merged_expires_ms, &l->order, slots, n))
		set_merged(l, e, &value);
	if (is_alive && e->merged_expires_ms)
		wake_at(e, e->merged_expires_ms);
	retire(l, e);
}

/* --- one address, one lease --------------------------------------------- */

static void dirty_claimants(struct ledger *l, struct entry *e)
{
	struct entry *other = NULL;

	while ((other = entry_next_claimant(l, e, other)))
		if (other != e)
			entry_dirty(l, other);
}

/*
 * What is in effect claims its address; whoever else claims it, or did, is to be settled anew.
 * @was_gone: its slot was about to be chosen anew, and others left it out meanwhile
 */
static bool claim(struct ledger *l, struct entry *e, bool was_gone)
{
	const struct history_slot *s = e->chosen;
	struct claim_parts parts;
	bool is_claim = s && history_is_alive(s, l->now_ms) &&
			entry_claim_parts(e, s->value, s->value_len, &parts);

	if (is_claim ? !claim_is(&e->claim, &parts) : e->claim.len != 0) {
		dirty_claimants(l, e);
		if (entry_claim(l, e, is_claim ? &parts : NULL))
			l->is_oom = true;
		dirty_claimants(l, e);
	} else if (is_claim && (was_gone || e->claim_dot.version != s->dot.version ||
				e->claim_dot.node != s->dot.node)) {
		dirty_claimants(l, e);
	}
	if (is_claim)
		e->claim_dot = s->dot;
	return e->claim.len;
}

/* Who stays as long as nobody has decided: the own one, then the one that is in the own kernel. */
static int compare_local(const struct ledger *l, const struct party *a, const struct party *b)
{
	bool is_own_a = a->slot->dot.node == LEDGER_SELF;
	bool is_own_b = b->slot->dot.node == LEDGER_SELF;

	if (is_own_a != is_own_b)
		return is_own_a ? 1 : -1;
	if (a->e->applied.is_there != b->e->applied.is_there)
		return a->e->applied.is_there ? 1 : -1;
	return history_compare_dots(&l->order, &a->slot->dot, &b->slot->dot);
}

/* All who claim the address of @e. Return: whether they are of more than one node */
static bool claimants(const struct ledger *l, const struct entry *e, struct dispute *d)
{
	struct entry *other = NULL;
	bool is_mixed = false;

	d->kind = INBOX_ADDRESS;
	d->n = d->local = d->winner = 0;
	while (d->n < INBOX_SIDES_MAX && (other = entry_next_claimant(l, e, other))) {
		/* One whose slot went is about to be settled. */
		if (!other->chosen)
			continue;
		d->v[d->n] = (struct party){ other, other->chosen };
		if (history_compare_dots(&l->order, &other->chosen->dot,
					 &d->v[d->winner].slot->dot) > 0)
			d->winner = d->n;
		if (compare_local(l, &d->v[d->n], &d->v[d->local]) > 0)
			d->local = d->n;
		is_mixed |= other->chosen->dot.node != d->v[0].slot->dot.node;
		d->n++;
	}
	return is_mixed;
}

/*
 * The owner of the losing lease deletes it, but not before it has all that the owner of the other
 * one has: that one may have moved to another address, and only a repair told the two in another
 * order.
 */
static void give_way(struct ledger *l, struct entry *e, const struct history_slot *to)
{
	if (!e->is_blocked || e->blocked_by != to->dot.node) {
		e->is_blocked = true;
		e->blocked_by = to->dot.node;
		e->blocked_since = l->n_steps;
	}
	if (e->chosen->dot.node != LEDGER_SELF ||
	    (to->dot.node != LEDGER_SELF && !is_peer_in_step(l, to->dot.node, e->blocked_since)))
		return;
	if (settle_write(l, e, NULL))
		l->is_oom = true;
}

/* Two parties only: the winner and @e. */
static void note_address(struct ledger *l, struct entry *e, const struct party *winner)
{
	struct history_slot *s = entry_slot(e, e->chosen->dot.node);
	struct dispute d = { .kind = INBOX_ADDRESS, .n = 2, .v = { *winner, { e, s } } };

	if (s->is_told || s->dot.node == winner->slot->dot.node)
		return;
	s->is_told = true;
	d.local = s->dot.node == LEDGER_SELF;
	conflict_note(l, &d);
}

static void settle_address(struct ledger *l, struct entry *e, bool was_gone)
{
	bool is_waiting = false;
	size_t best;
	struct dispute d;

	if (!claim(l, e, was_gone)) {
		conflict_gone(l, &e->address_conflict, NULL);
		e->is_blocked = false;
		return;
	}
	if (!claimants(l, e, &d) || !may_wait(l, e))
		conflict_gone(l, &e->address_conflict, NULL);
	else
		is_waiting = conflict_wait(l, e, &e->address_conflict, &d);
	best = is_waiting ? d.local : d.winner;
	if (!d.n || d.v[best].e == e) {
		e->is_blocked = false;
		return;
	}
	if (is_waiting) {
		e->is_blocked = true;
		e->blocked_by = d.v[best].slot->dot.node;
		e->blocked_since = l->n_steps;
		return;
	}
	if (!may_wait(l, e))
		note_address(l, e, &d.v[best]);
	give_way(l, e, d.v[best].slot);
}

void settle(struct ledger *l, struct entry *e)
{
	bool was_gone = !e->chosen;

	e->wake_ms = 0;
	if (merge_has_rules(e->table))
		settle_merged(l, e);
	else
		settle_writes(l, e);
	if (e->table == FLYREP_TABLE_LEASE)
		settle_address(l, e, was_gone);
}

/* --- what it found ------------------------------------------------------ */

bool settle_item(const struct ledger *l, const struct entry *e, void *item)
{
	const struct history_slot *s = e->chosen;
	uint64_t end;

	if (e->is_blocked || (!e->merged && (!s || s->is_tombstone)))
		return false;
	if (e->merged) {
		entry_item(e, item, e->merged->bytes, e->merged->len, e->merged_expires_ms);
		return true;
	}
	end = end_of(l, e, s);
	if (end && end <= l->now_ms)
		return false;
	entry_item(e, item, s->value, s->value_len, end);
	return true;
}

void settle_seen(struct ledger *l, struct entry *e)
{
	bool is_waiting = e->conflict && inbox_find(l->inbox, e->conflict) &&
			  inbox_find(l->inbox, e->conflict)->state == INBOX_PENDING;
	size_t i;

	for (i = 0; i < e->n_slots; i++) {
		struct history_slot *s = e->slots[i];

		if (!is_waiting || s == e->chosen ||
		    (e->chosen && history_covers(&l->order, e->chosen, s)))
			s->is_seen = true;
	}
}
