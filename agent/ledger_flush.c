// SPDX-License-Identifier: GPL-2.0-or-later
/* A turn of the event loop: settle, commit, tell. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_entry.h"

#define COMMIT_RETRY_MS 1000

/* Conflicts of the last run that wait, but not any more: what they were about was written again. */
static void mark_waiting(struct ledger *l, struct entry *e, void *cookie)
{
	uint64_t *found = cookie;

	(void)l;
	if (e->conflict == *found || e->address_conflict == *found)
		*found = 0;
}

static void collect_waiting(void *cookie, const struct inbox_conflict *c)
{
	conflict_news(cookie, c->id);
}

static void sweep_inbox(struct ledger *l)
{
	size_t n = l->n_news, i, end;
	uint64_t id;

	inbox_list(l->inbox, INBOX_PENDING, collect_waiting, l);
	end = l->n_news;
	for (i = n; i < end; i++) {
		id = l->news[i];
		entry_each(l, mark_waiting, &id);
		if (id)
			conflict_gone(l, &id, NULL);
	}
	if (l->n_news > end)
		memmove(&l->news[n], &l->news[end], (l->n_news - end) * sizeof(*l->news));
	l->n_news -= end - n;
}

static void save_slot(struct ledger *l, const struct entry *e, uint8_t node)
{
	const struct history_slot *s = entry_slot(e, node);
	struct ledger_db_bytes key = { e->key, e->key_len }, body = { l->body, 0 };
	struct fr_writer w;

	if (!s) {
		ledger_db_drop_slot(l->db, e->table, l->order.nodes[node], key);
		return;
	}
	fr_writer_init(&w, l->body, LEDGER_BODY_ROOM);
	fr_slot_table(e->table)->encode(&w, slot_record(l, e, s), 1);
	body.len = fr_writer_len(&w);
	ledger_db_put_slot(l->db, e->table, l->order.nodes[node], key, body);
}

static void save(struct ledger *l, const struct entry *e)
{
	struct ledger_db_bytes key = { e->key, e->key_len };
	uint8_t node;

	for (node = 0; node < l->order.n_nodes; node++)
		if (e->owners_unsaved >> node & 1)
			save_slot(l, e, node);
	if (!e->is_effect_unsaved)
		return;
	if (e->applied.is_there)
		ledger_db_put_effect(l->db, e->table, key, &e->applied.e);
	else
		ledger_db_drop_effect(l->db, e->table, key);
}

static void save_notes(struct ledger *l)
{
	char name[sizeof(LEDGER_NOTE_LEDGER) + FR_SLOT_NODE_MAX];
	size_t i;

	for (i = 0; i < FR_TABLES_MAX; i++) {
		if (!(l->kernels_unsaved >> i & 1))
			continue;
		snprintf(name, sizeof(name), LEDGER_NOTE_KERNEL "%zu", i);
		ledger_db_put_note(l->db, name, (struct ledger_db_bytes){ &l->kernels[i], 8 });
	}
	for (i = 0; i < l->order.n_nodes; i++) {
		if (!l->nodes[i].is_unsaved)
			continue;
		snprintf(name, sizeof(name), LEDGER_NOTE_LEDGER "%s", l->order.nodes[i]);
		ledger_db_put_note(l->db, name,
				   (struct ledger_db_bytes){ l->nodes[i].ledger, LEDGER_ID_LEN });
	}
	if (l->is_stopped != l->is_closing)
		ledger_db_put_note(l->db, LEDGER_NOTE_STOPPED,
				   (struct ledger_db_bytes){ &l->is_closing, 1 });
}

static bool has_notes(const struct ledger *l)
{
	size_t i;

	for (i = 0; i < l->order.n_nodes; i++)
		if (l->nodes[i].is_unsaved)
			return true;
	return l->kernels_unsaved || l->is_stopped != l->is_closing;
}

static void saved(struct ledger *l)
{
	size_t i;

	l->is_stopped = l->is_closing;
	l->kernels_unsaved = 0;
	for (i = 0; i < l->order.n_nodes; i++)
		l->nodes[i].is_unsaved = false;

	for (i = 0; i < l->unsaved.n; i++) {
		struct entry *e = l->unsaved.v[i];

		e->owners_unsaved = 0;
		e->is_effect_unsaved = false;
		e->is_unsaved = false;
		if (entry_is_idle(e))
			entry_free(l, e);
	}
	l->unsaved.n = 0;
	l->saved_clock = l->clock.last;
	l->figures.n_commits++;
	inbox_saved(l->inbox);
	if (l->is_in_trouble)
		fr_notice("ledger: %s/%s is written again", l->config.dir, LEDGER_FILE);
	l->is_in_trouble = false;
}

/* A full disk is tried again once in a while, not with each change. */
static bool is_to_wait(const struct ledger *l)
{
	return l->is_in_trouble && l->now_ms >= l->tried_ms &&
	       l->now_ms < l->tried_ms + COMMIT_RETRY_MS;
}

int ledger_commit(struct ledger *l)
{
	const char *why;
	size_t i;

	if (!l->unsaved.n && !l->n_news && !l->is_in_trouble && !has_notes(l))
		return 0;
	if (is_to_wait(l))
		return -EAGAIN;
	ledger_db_begin(l->db);
	for (i = 0; i < l->unsaved.n; i++)
		save(l, l->unsaved.v[i]);
	inbox_save(l->inbox, l->db);
	save_notes(l);
	if (l->clock.last != l->saved_clock)
		ledger_db_put_clock(l->db, l->clock.last);
	if (!ledger_db_commit(l->db, &why)) {
		saved(l);
		return 0;
	}
	if (!l->is_in_trouble)
		fr_err("ledger: %s/%s cannot be written, going on from memory: %s", l->config.dir,
		       LEDGER_FILE, why);
	snprintf(l->trouble, sizeof(l->trouble), "%s", why);
	l->is_in_trouble = true;
	l->tried_ms = l->now_ms;
	return -EAGAIN;
}

static void publish(struct ledger *l, struct entry *e)
{
	const struct history_slot *own = entry_slot(e, LEDGER_SELF);
	struct truth *truth = l->nodes[LEDGER_SELF].truths[e->table];
	const struct fr_slot *rec;
	unsigned int bucket;
	int op;

	if (!e->is_to_publish)
		return;
	rec = own ? slot_record(l, e, own) : slot_removal(l, e);
	op = truth_put(truth, rec, ++l->truth_order, &bucket);
	if (op < 0) {
		l->is_oom = true;
		return;
	}
	e->is_to_publish = false;
	if (op != FLYREP_OP_UNSPEC)
		l->ops.publish(l->cookie, e->table, rec, op, bucket);
}

/*
 * Whether what is in effect, in l->item then, has another address than what is in the own kernel.
 */
static bool moves(const struct entry *e, const struct flyrep_item *it)
{
	struct claim_parts parts;

	if (e->table != FLYREP_TABLE_LEASE)
		return false;
	if (!e->applied_claim.len)
		return e->has_unknown_claim;
	return !entry_claim_parts(e, item_value(it), it->value_len, &parts) ||
	       !claim_is(&e->applied_claim, &parts);
}

/* Something else is about to be offered to the own kernel, which may refuse it. */
static void remember(struct ledger *l, struct entry *e)
{
	if (e->before_flush == l->n_flushes)
		return;
	e->before_flush = l->n_flushes;
	e->before = e->applied;
	e->is_deleted = false;
}

static void effect_delete(struct ledger *l, struct entry *e)
{
	uint64_t room[FR_RECORD_KEY_ROOM / 8 + 1] = { 0 };
	struct flyrep_item *it = (struct flyrep_item *)room;

	fr_table_by_id(e->table)->from_key(it, e->key, e->key_len);
	it->rec.op = FLYREP_OP_DELETE;
	remember(l, e);
	e->is_deleted = true;
	entry_set_item(l, e, NULL);
	l->ops.effect(l->cookie, e->table, it);
}

/* Nobody deleted it, and it ends by itself: packets may have put that off here, unheard yet. */
static bool is_ending(const struct entry *e)
{
	return end_is_joined(e->table) && e->applied.e.expires_ms &&
	       !(e->chosen && e->chosen->is_tombstone);
}

/* First what goes, and what moves to another address: that may be taken over. */
static void take_away(struct ledger *l, struct entry *e)
{
	if (!(l->learnt >> e->table & 1) || !e->applied.is_there)
		return;
	if (settle_item(l, e, l->item) ? moves(e, l->item) : !is_ending(e))
		effect_delete(l, e);
}

static void put_into_effect(struct ledger *l, struct entry *e)
{
	struct flyrep_item *it = l->item;
	bool is_there;

	if (!(l->learnt >> e->table & 1))
		return;
	is_there = settle_item(l, e, it);
	if (is_there && !e->retry_ms &&
	    (!e->applied.is_there || end_is_to_come(e, it->expires_ms) ||
	     e->applied.e.digest !=
		     fr_table_by_id(e->table)->digest(it, &l->key))) {
		remember(l, e);
		if (end_is_joined(e->table) && it->expires_ms)
			it->expires_ms += LEDGER_GRACE_MS;
		entry_set_item(l, e, it);
		it->rec.op = FLYREP_OP_INSERT;
		l->ops.effect(l->cookie, e->table, it);
	}
	if (is_there == e->applied.is_there)
		settle_seen(l, e);
}

static void tell(struct ledger *l)
{
	size_t i;

	for (i = 0; i < l->touched.n; i++)
		publish(l, l->touched.v[i]);
	for (i = 0; i < l->touched.n; i++)
		take_away(l, l->touched.v[i]);
	for (i = 0; i < l->touched.n; i++)
		put_into_effect(l, l->touched.v[i]);
	for (i = 0; i < l->n_news; i++) {
		const struct inbox_conflict *c = inbox_find(l->inbox, l->news[i]);

		if (c && l->ops.conflict)
			l->ops.conflict(l->cookie, c);
	}
	l->n_news = 0;
}

static void let_go(struct ledger *l)
{
	size_t i;

	for (i = 0; i < l->touched.n; i++) {
		struct entry *e = l->touched.v[i];

		e->is_touched = false;
		if (entry_is_idle(e) && !e->is_to_publish)
			entry_free(l, e);
	}
	l->touched.n = 0;
}

int ledger_flush(struct ledger *l)
{
	int rc;

	ledger_now(l);
	l->n_flushes++;
	settle_all(l);
	if (!l->is_begun)
		sweep_inbox(l);
	l->is_begun = true;
	rc = ledger_commit(l);
	tell(l);
	let_go(l);
	return rc;
}
