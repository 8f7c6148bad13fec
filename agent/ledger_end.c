// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When an element of an nft set ends. Packets put that off on all nodes at once, so it is no part
 * of what nodes can disagree on: of slots that say the same, the latest end is that of the element.
 * Who replaces a slot, or wins over it, takes the later end over, so it is not lost with the other.
 */
#include <string.h>

#include "ledger_entry.h"

bool end_is_later(uint64_t a, uint64_t b, uint64_t by_ms)
{
	return b && (!a || a > b + by_ms);
}

/* Of what a slot says, but for its end. */
static uint64_t content(const struct ledger *l, const struct entry *e, const struct history_slot *s)
{
	entry_item(e, l->item, s->value, s->value_len, 0);
	return fr_table_by_id(e->table)->digest(l->item, &l->key);
}

bool end_is_alike(const struct ledger *l, const struct entry *e, const struct history_slot *a,
		  const struct history_slot *b)
{
	if (!end_is_joined(e->table) || a->is_tombstone || b->is_tombstone)
		return history_is_equal(a, b, l->now_ms);
	return a == b || content(l, e, a) == content(l, e, b);
}

uint64_t end_of(const struct ledger *l, const struct entry *e, const struct history_slot *s)
{
	uint64_t end = s->expires_ms;
	size_t i;

	for (i = 0; end_is_joined(e->table) && !s->is_tombstone && i < e->n_slots; i++)
		if (end_is_later(e->slots[i]->expires_ms, end, 0) &&
		    !e->slots[i]->is_tombstone && end_is_alike(l, e, e->slots[i], s))
			end = e->slots[i]->expires_ms;
	return end;
}

bool end_join(const struct ledger *l, const struct entry *e, struct history_slot *to,
	      const struct history_slot *from)
{
	if (!end_is_joined(e->table) || to->is_tombstone || from->is_tombstone ||
	    !end_is_later(from->expires_ms, to->expires_ms, 0) || !end_is_alike(l, e, to, from))
		return false;
	to->expires_ms = from->expires_ms;
	return true;
}

/* Somebody has deleted it, which the own kernel is going to be told. */
static bool is_being_deleted(const struct entry *e)
{
	size_t i;

	for (i = 0; i < e->n_slots; i++)
		if (e->slots[i]->is_tombstone && !e->slots[i]->is_seen)
			return true;
	return false;
}

bool end_is_put_off(const struct ledger *l, const struct entry *e, const struct flyrep_item *it)
{
	const struct fr_table *row = fr_table_by_id(e->table);
	uint64_t known = 1; /* long over */

	if (!end_is_joined(e->table) || is_being_deleted(e))
		return false;
	if (settle_item(l, e, l->item)) {
		if (row->digest(l->item, &l->key) != row->digest(it, &l->key))
			return false; /* the same, by another one */
		known = ((const struct flyrep_item *)l->item)->expires_ms;
	}
	if (e->applied.is_there && end_is_later(e->applied.e.expires_ms, known, 0))
		known = e->applied.e.expires_ms;
	return end_is_later(it->expires_ms, known, LEDGER_TOLERANCE_MS);
}

bool end_is_to_come(const struct entry *e, uint64_t ends_ms)
{
	return end_is_joined(e->table) &&
	       end_is_later(ends_ms, e->applied.e.expires_ms, LEDGER_TOLERANCE_MS);
}
