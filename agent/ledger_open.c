// SPDX-License-Identifier: GPL-2.0-or-later
/* The ledger from its file, and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_entry.h"
#include "refuse.h"

static int load_slot(void *cookie, uint8_t table, const char *owner, struct ledger_db_bytes body)
{
	const struct fr_table *row = fr_slot_table(table);
	struct ledger *l = cookie;
	const struct fr_slot *rec = l->room;
	struct history_slot *s;
	unsigned int bucket;
	struct truth *truth;
	struct fr_reader r;
	struct entry *e;
	size_t n;
	int node, rc;

	if (!row)
		return -EBADMSG;
	if (!ledger_has(l, table))
		return 0;
	fr_reader_init(&r, body.pos, body.len);
	if (row->decode(&r, l->room, FR_SLOT_ROOM, 1, &n) || n != 1 || fr_reader_left(&r) ||
	    rec->rec.op == FLYREP_OP_DELETE)
		return -EBADMSG;
	node = history_node(&l->order, owner, strlen(owner));
	if (node < 0)
		return node;
	rc = slot_from(l, (uint8_t)node, rec, &s);
	if (rc)
		return rc;
	e = entry_get(l, table, fr_slot_key(rec), rec->key_len);
	rc = e ? entry_put_slot(l, e, s) : -ENOMEM;
	if (rc) {
		slot_free(s);
		return rc;
	}
	if (node == LEDGER_SELF)
		hlc_restore(&l->clock, s->dot.version);
	truth = node_truth(l, table, (uint8_t)node);
	return truth && truth_put(truth, rec, 0, &bucket) < 0 ? -ENOMEM : 0;
}

static int load_effect(void *cookie, uint8_t table, struct ledger_db_bytes key,
		       const struct ledger_db_effect *row)
{
	struct ledger *l = cookie;
	struct entry *e;

	if (!fr_slot_table(table) || !key.len || key.len > FLYREP_ITEM_KEY_MAX_LEN)
		return -EBADMSG;
	if (!ledger_has(l, table))
		return 0;
	e = entry_get(l, table, key.pos, key.len);
	if (!e)
		return -ENOMEM;
	e->applied = (struct kernel_item){ true, *row };
	return 0;
}

static int load_conflict(void *cookie, const struct ledger_db_conflict *row)
{
	return inbox_load(((struct ledger *)cookie)->inbox, row);
}

static int load_trail(void *cookie, const struct ledger_db_trail *row)
{
	return inbox_load_trail(((struct ledger *)cookie)->inbox, row);
}

static int load_bytes(void *to, size_t len, struct ledger_db_bytes value)
{
	if (value.len != len)
		return -EBADMSG;
	memcpy(to, value.pos, len);
	return 0;
}

static int load_kernel(struct ledger *l, const char *table, struct ledger_db_bytes value)
{
	char *end;
	unsigned long n = strtoul(table, &end, 10);

	if (*end || n >= FR_TABLES_MAX)
		return -EBADMSG;
	return load_bytes(&l->kernels[n], sizeof(l->kernels[n]), value);
}

static int load_ledger(struct ledger *l, const char *node, struct ledger_db_bytes value)
{
	int n = peer_number(l, node);

	return n < 0 ? 0 : load_bytes(l->nodes[n].ledger, LEDGER_ID_LEN, value);
}

/* Notes of a later version are left alone. */
static int load_note(void *cookie, const char *name, struct ledger_db_bytes value)
{
	struct ledger *l = cookie;

	if (!strcmp(name, "id"))
		return load_bytes(l->id, sizeof(l->id), value);
	if (!strcmp(name, "key"))
		return load_bytes(l->key.b, sizeof(l->key.b), value);
	if (!strcmp(name, LEDGER_NOTE_STOPPED))
		return load_bytes(&l->is_stopped, sizeof(l->is_stopped), value);
	if (!strncmp(name, LEDGER_NOTE_KERNEL, strlen(LEDGER_NOTE_KERNEL)))
		return load_kernel(l, name + strlen(LEDGER_NOTE_KERNEL), value);
	if (!strncmp(name, LEDGER_NOTE_LEDGER, strlen(LEDGER_NOTE_LEDGER)))
		return load_ledger(l, name + strlen(LEDGER_NOTE_LEDGER), value);
	return 0;
}

/* What was read is saved, and known to peers as far as they will know by an audit. */
static void loaded(struct ledger *l, struct entry *e, void *cookie)
{
	(void)cookie;
	e->owners_unsaved = 0;
	e->is_to_publish = false;
	e->is_unsaved = false;
	entry_dirty(l, e);
}

/* What is in the own kernel as it shall be had been seen there. */
static void see_loaded(struct ledger *l, struct entry *e, void *cookie)
{
	(void)cookie;
	if (e->applied.is_there ? settle_is(l, e, e->applied.e.digest) :
				  !settle_item(l, e, l->item))
		settle_seen(l, e);
}

static int add_nodes(struct ledger *l, char *why, size_t why_len)
{
	const struct ledger_config *c = &l->config;
	size_t i;
	int node;

	l->chain_key = *c->hash_key;
	l->order.rules = &l->config.rules;
	for (i = 0; i <= c->n_peers; i++) {
		const char *id = i ? c->peers[i - 1] : c->node_id;

		node = history_node(&l->order, id, strlen(id));
		if (node == (int)i) {
			l->nodes[i].is_peer = i;
			continue;
		}
		if (node == -E2BIG)
			return refuse(why, why_len, -E2BIG, "ledger: more than %d nodes",
				      HISTORY_NODES_MAX);
		return refuse(why, why_len, -EINVAL, "ledger: \"%.*s\" is %s", FR_SLOT_NODE_MAX,
			      id, node < 0 ? "no node_id" : "named twice");
	}
	return 0;
}

static int add_truths(struct ledger *l)
{
	unsigned int table;
	size_t i;

	for (i = 0; i <= l->config.n_peers; i++) {
		for (table = 0; table < FR_TABLES_MAX; table++) {
			if (!ledger_has(l, table))
				continue;
			l->nodes[i].truths[table] =
				truth_new(fr_slot_table(table), l->config.hash_key);
			if (!l->nodes[i].truths[table])
				return -ENOMEM;
		}
	}
	return 0;
}

/* --- nodes that are no longer peers, or have lost what they wrote --------- */

static bool is_former(const struct ledger *l, uint8_t node)
{
	return node != LEDGER_SELF && (!l->nodes[node].is_peer || l->nodes[node].is_lost);
}

/* Of several nodes one adopts what is added up. */
static bool is_first_node(const struct ledger *l)
{
	size_t i;

	for (i = 1; i <= l->config.n_peers; i++)
		if (!l->nodes[i].is_lost && strcmp(l->order.nodes[i], l->config.node_id) < 0)
			return false;
	return true;
}

/* What of a merged item this node and a former one have counted, as if this one had. */
static int adopt_merged(struct ledger *l, struct entry *e, const struct history_slot *from)
{
	const struct history_slot *own = entry_slot(e, LEDGER_SELF);
	const struct history_slot *both[2] = { from, own };
	struct history_slot *s = calloc(1, sizeof(*s));
	struct merge_value value;
	int rc;

	if (!s)
		return -ENOMEM;
	rc = merge_effect(&value, &s->expires_ms, &l->order, both,
			  own && !own->is_tombstone ? 2 : 1);
	s->dot = (struct history_dot){ hlc_tick(&l->clock, l->now_ms), LEDGER_SELF, 0 };
	s->decided = own && own->decided > from->decided ? own->decided : from->decided;
	s->value_len = value.len;
	s->value = rc ? NULL : malloc(value.len ? value.len : 1);
	if (!rc && !s->value)
		rc = -ENOMEM;
	if (!rc) {
		memcpy(s->value, value.bytes, value.len);
		rc = history_absorb(s, from, 0);
	}
	if (rc >= 0 && own)
		rc = history_absorb(s, own, 0);
	if (rc >= 0)
		rc = entry_put_slot(l, e, s);
	if (rc < 0)
		slot_free(s);
	return rc < 0 ? rc : 0;
}

static bool is_replaced(const struct ledger *l, const struct entry *e,
			const struct history_slot *s)
{
	size_t i;

	for (i = 0; i < e->n_slots; i++)
		if (e->slots[i] != s && history_covers(&l->order, e->slots[i], s))
			return true;
	return s->is_tombstone;
}

/* What is in effect of a former node becomes a write of this one, that replaces all there is. */
static int adopt_winner(struct ledger *l, struct entry *e)
{
	size_t i;

	settle(l, e);
	if (!e->chosen || !is_former(l, e->chosen->dot.node) || !settle_item(l, e, l->item))
		return 0;
	for (i = 0; i < e->n_slots; i++)
		e->slots[i]->is_seen = true;
	return settle_adopt(l, e, l->item, e->chosen->dot.version);
}

static void adopt(struct ledger *l, struct entry *e, void *cookie)
{
	int *rc = cookie;
	size_t i;

	for (i = 0; i < e->n_slots && !is_former(l, e->slots[i]->dot.node); i++)
		;
	if (*rc || i == e->n_slots)
		return;
	if (!merge_has_rules(e->table))
		*rc = adopt_winner(l, e);
	for (i = 0; !*rc && i < e->n_slots;) {
		const struct history_slot *s = e->slots[i];

		if (!is_former(l, s->dot.node)) {
			i++;
			continue;
		}
		if (merge_has_rules(e->table) && is_first_node(l) && !is_replaced(l, e, s))
			*rc = adopt_merged(l, e, s);
		l->figures.n_adopted++;
		entry_drop_slot(l, e, s->dot.node);
	}
}

bool ledger_meet(struct ledger *l, const char *peer, const uint8_t id[LEDGER_ID_LEN])
{
	static const uint8_t untold[LEDGER_ID_LEN];
	int number = peer_number(l, peer), rc = 0;
	uint64_t n = l->figures.n_adopted;
	struct ledger_node *node;

	if (number < 0 || !memcmp(id, untold, LEDGER_ID_LEN))
		return false;
	node = &l->nodes[number];
	if (!memcmp(node->ledger, id, LEDGER_ID_LEN))
		return false;
	node->is_lost = memcmp(node->ledger, untold, LEDGER_ID_LEN);
	memcpy(node->ledger, id, LEDGER_ID_LEN);
	node->is_unsaved = true;
	if (!node->is_lost)
		return false;
	ledger_now(l);
	settle_all(l);
	entry_each(l, adopt, &rc);
	l->is_oom |= rc < 0;
	node->is_lost = false;
	fr_notice("ledger: peer %s comes back without what it wrote: %lu slots adopted", peer,
		  l->figures.n_adopted - n);
	return true;
}

void ledger_id(const struct ledger *l, uint8_t id[LEDGER_ID_LEN])
{
	memcpy(id, l->id, LEDGER_ID_LEN);
}

static void rekey_one(struct ledger *l, struct entry *e, void *cookie)
{
	int *rc = cookie;
	size_t i;

	for (i = 0; i < e->n_slots; i++) {
		const struct history_slot *s = e->slots[i];
		struct truth *truth = node_truth(l, e->table, s->dot.node);
		unsigned int bucket;

		if (truth && truth_put(truth, slot_record(l, e, s), 0, &bucket) < 0)
			*rc = -ENOMEM;
	}
}

int ledger_rekey(struct ledger *l, const struct fr_siphash_key *key)
{
	unsigned int table;
	size_t i;
	int rc = 0;

	for (i = 0; i <= l->config.n_peers; i++)
		for (table = 0; table < FR_TABLES_MAX; table++)
			if (ledger_has(l, table))
				truth_rekey(l->nodes[i].truths[table], key);
	entry_each(l, rekey_one, &rc);
	return rc;
}

static int open_all(struct ledger *l, char *why, size_t why_len)
{
	static const struct ledger_db_loader loader = {
		.slot = load_slot,
		.effect = load_effect,
		.conflict = load_conflict,
		.trail = load_trail,
		.note = load_note,
	};
	uint64_t clock = 0;
	int rc;

	rc = add_nodes(l, why, why_len);
	if (rc)
		return rc;
	l->clock.tolerance_ms = l->config.rules.skew_tolerance_ms;
	l->inbox = inbox_new(l->config.history_max);
	l->room = malloc(FR_SLOT_ROOM);
	l->item = malloc(FR_ITEM_ROOM);
	l->body = malloc(LEDGER_BODY_ROOM);
	if (!l->inbox || !l->room || !l->item || !l->body || add_truths(l))
		return refuse(why, why_len, -ENOMEM, "ledger: no memory");
	rc = ledger_db_open(&l->db, l->config.dir, l->config.node_id, &clock, why, why_len);
	if (rc)
		return rc;
	hlc_restore(&l->clock, clock);
	l->saved_clock = clock;
	rc = ledger_db_load(l->db, &loader, l, why, why_len);
	if (rc)
		return rc;
	l->was_stopped = l->is_stopped;
	entry_each(l, loaded, NULL);
	l->unsaved.n = 0;
	ledger_now(l);
	l->ticked_ms = l->now_ms;
	settle_all(l);
	entry_each(l, see_loaded, NULL);
	entry_each(l, adopt, &rc);
	if (l->figures.n_adopted)
		fr_notice("ledger: %lu slots of nodes that are no longer peers adopted",
			  l->figures.n_adopted);
	return rc ? refuse(why, why_len, rc, "ledger: %s", strerror(-rc)) : 0;
}

int ledger_open(struct ledger **out, const struct ledger_config *config,
		const struct ledger_ops *ops, void *cookie, char *why, size_t why_len)
{
	struct ledger *l = calloc(1, sizeof(*l));
	int rc;

	*out = NULL;
	if (!l)
		return refuse(why, why_len, -ENOMEM, "ledger: no memory");
	l->config = *config;
	l->ops = *ops;
	l->cookie = cookie;
	if (config->tables & ~LEDGER_TABLES)
		rc = refuse(why, why_len, -EINVAL, "ledger: a table without versions");
	else
		rc = open_all(l, why, why_len);
	if (rc) {
		ledger_db_close(l->db);
		l->db = NULL;
		ledger_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

void ledger_close(struct ledger *l)
{
	unsigned int table;
	size_t i;

	if (!l)
		return;
	if (l->db) {
		ledger_now(l);
		settle_all(l);
		l->tried_ms = l->now_ms + 1; /* once more, whenever the last time was */
		l->is_closing = true;
		ledger_commit(l);
	}
	ledger_db_close(l->db);
	for (i = 0; l->slots && i < 1ull << l->bits; i++)
		while (l->slots[i])
			entry_free(l, l->slots[i]);
	for (i = 0; i <= l->config.n_peers && i < HISTORY_NODES_MAX; i++)
		for (table = 0; table < FR_TABLES_MAX; table++)
			truth_free(l->nodes[i].truths[table]);
	inbox_free(l->inbox);
	free(l->slots);
	free(l->claims);
	free(l->dirty.v);
	free(l->touched.v);
	free(l->unsaved.v);
	free(l->news);
	free(l->room);
	free(l->item);
	free(l->body);
	free(l);
}
