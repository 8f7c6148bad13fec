// SPDX-License-Identifier: GPL-2.0-or-later
/* What others see of the ledger. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_entry.h"

const struct fr_siphash_key ledger_common_key;

struct truth *ledger_truth(const struct ledger *l, uint8_t table, const char *owner)
{
	int node = !strcmp(owner, l->config.node_id) ? LEDGER_SELF : peer_number(l, owner);

	return node < 0 ? NULL : node_truth(l, table, (uint8_t)node);
}

const char *ledger_trouble(const struct ledger *l)
{
	return l->is_in_trouble ? l->trouble : NULL;
}

uint64_t ledger_offset_ms(const struct ledger *l, const char *peer)
{
	int node = peer_number(l, peer);

	return node < 0 ? 0 : l->nodes[node].offset_ms;
}

static void count_in_effect(struct ledger *l, struct entry *e, void *cookie)
{
	(void)cookie;
	l->figures.n_in_effect += settle_item(l, e, l->item);
}

const struct ledger_figures *ledger_figures(struct ledger *l)
{
	l->figures.n_in_effect = 0;
	ledger_now(l);
	entry_each(l, count_in_effect, NULL);
	return &l->figures;
}

const struct inbox *ledger_inbox(const struct ledger *l)
{
	return l->inbox;
}

struct walk {
	struct ledger *l;
	uint8_t table, node;
	void (*fn)(void *cookie, const void *rec);
	void *cookie;
};

static bool walk_slot(void *cookie, const struct index_entry *ie)
{
	struct walk *w = cookie;
	const struct entry *e = entry_find(w->l, w->table, ie->key, ie->key_len);
	const struct history_slot *s = e ? entry_slot(e, w->node) : NULL;

	if (s)
		w->fn(w->cookie, slot_record(w->l, e, s));
	return false;
}

void ledger_walk(struct ledger *l, uint8_t table, const char *owner, unsigned int bucket,
		 void (*fn)(void *cookie, const void *slot), void *cookie)
{
	int node = !strcmp(owner, l->config.node_id) ? LEDGER_SELF : peer_number(l, owner);
	struct walk w = { l, table, (uint8_t)node, fn, cookie };
	struct truth *truth = node < 0 ? NULL : node_truth(l, table, (uint8_t)node);

	if (truth && bucket < FLYREP_BUCKETS)
		index_walk(truth_index(truth), bucket, walk_slot, &w);
}

static void walk_effect(struct ledger *l, struct entry *e, void *cookie)
{
	struct walk *w = cookie;

	if (e->table == w->table && settle_item(l, e, l->item))
		w->fn(w->cookie, l->item);
}

void ledger_walk_effect(struct ledger *l, uint8_t table, void (*fn)(void *cookie, const void *item),
			void *cookie)
{
	struct walk w = { l, table, 0, fn, cookie };

	ledger_now(l);
	entry_each(l, walk_effect, &w);
}

static void put_rules(const struct ledger *l, struct fr_writer *w)
{
	const struct history_rules *r = &l->config.rules;

	fr_put_varint(w, (uint64_t)r->strategy);
	fr_put_varint(w, (uint64_t)r->resolution);
	fr_put_u8(w, r->is_approval_required);
	fr_put_varint(w, l->config.inbox.timeout_ms);
	fr_put_varint(w, r->skew_tolerance_ms);
}

uint64_t ledger_rules_digest(const struct ledger *l)
{
	uint8_t buf[FR_SLOT_NODE_MAX + 64];
	struct fr_writer w;
	uint64_t digest;
	size_t i;

	fr_writer_init(&w, buf, sizeof(buf));
	put_rules(l, &w);
	digest = fr_siphash(buf, fr_writer_len(&w), &ledger_common_key);
	/* In whatever order they were written; 0 is as good as not named. */
	for (i = 0; i < l->config.rules.n_priorities; i++) {
		const struct history_priority *p = &l->config.rules.priorities[i];

		if (!p->priority)
			continue;
		fr_writer_init(&w, buf, sizeof(buf));
		fr_put_str8(&w, p->node);
		fr_put_varint(&w, p->priority);
		digest += fr_siphash(buf, fr_writer_len(&w), &ledger_common_key);
	}
	return digest;
}
