// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_entry.h"

#define EXPIRY_SLACK_MS 1000 /* a DELETE so short before the end is the end */
#define RETRY_MS 10000 /* what the own kernel refused */
#define COMMIT_RETRY_MS 1000
#define BODY_ROOM (FR_SLOT_ROOM + 64)

static __attribute__((format(printf, 4, 5))) int refuse(char *why, size_t why_len, int err,
							const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, why_len, fmt, args);
	va_end(args);
	return err;
}

static uint64_t now(struct ledger *l)
{
	l->now_ms = l->ops.now_ms(l->cookie);
	return l->now_ms;
}

static bool is_kept(const struct ledger *l, unsigned int table)
{
	return table < FR_TABLES_MAX && l->config.tables >> table & 1;
}

/* --- slots and records -------------------------------------------------- */

static const char *name_of(const struct ledger *l, const struct history_dot *dot)
{
	return l->order.nodes[dot->node];
}

/* In a record they are in the order of the names. */
static size_t saw_of(const struct ledger *l, const struct history_slot *s, struct fr_slot_saw *saw)
{
	size_t i, k;

	for (i = 0; i < s->n_saw; i++) {
		const char *node = name_of(l, &s->saw[i]);

		for (k = i; k && strcmp(node, saw[k - 1].node) < 0; k--)
			saw[k] = saw[k - 1];
		saw[k] = (struct fr_slot_saw){ s->saw[i].version, s->saw[i].flags,
					       (uint8_t)strlen(node), node };
	}
	return s->n_saw;
}

/* A slot as a record, in l->room. */
static const struct fr_slot *record_of(const struct ledger *l, const struct entry *e,
				       const struct history_slot *s)
{
	struct fr_slot head = {
		.rec.op = FLYREP_OP_UPDATE,
		.key_len = e->key_len,
		.value_len = s->value_len,
		.flags = s->is_tombstone ? FR_SLOT_F_TOMBSTONE : 0,
		.expires_ms = s->expires_ms,
		.version = s->dot.version,
		.decided = s->decided,
	};
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	size_t n = saw_of(l, s, saw);

	fr_slot_pack(l->room, &head, e->key, s->value, saw, n); /* it did fit */
	return l->room;
}

static const struct fr_slot *removal_of(const struct ledger *l, const struct entry *e)
{
	struct fr_slot head = { .rec.op = FLYREP_OP_DELETE, .key_len = e->key_len };

	fr_slot_pack(l->room, &head, e->key, NULL, NULL, 0);
	return l->room;
}

static int slot_fill(struct ledger *l, struct history_slot *s, const struct fr_slot *rec)
{
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	size_t n = fr_slot_saw(rec, saw), i;
	struct history_dot dot;
	int node, rc = 0;

	s->dot.version = rec->version;
	s->decided = rec->decided;
	s->expires_ms = rec->expires_ms;
	s->is_tombstone = rec->flags & FR_SLOT_F_TOMBSTONE;
	s->value_len = rec->value_len;
	s->value = malloc(s->value_len ? s->value_len : 1);
	if (!s->value)
		return -ENOMEM;
	memcpy(s->value, fr_slot_value(rec), s->value_len);
	for (i = 0; rc >= 0 && i < n; i++) {
		node = history_node(&l->order, saw[i].node, saw[i].node_len);
		if (node < 0)
			return node;
		dot = (struct history_dot){ saw[i].version, (uint8_t)node, saw[i].flags };
		rc = history_add(s, &dot);
	}
	return rc < 0 ? rc : 0;
}

static int slot_of(struct ledger *l, uint8_t node, const struct fr_slot *rec,
		   struct history_slot **out)
{
	struct history_slot *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->dot.node = node;
	rc = slot_fill(l, s, rec);
	if (rc)
		slot_free(s);
	else
		*out = s;
	return rc;
}

static struct truth *truth_of(const struct ledger *l, uint8_t table, uint8_t node)
{
	return is_kept(l, table) ? l->nodes[node].truths[table] : NULL;
}

static void settle_all(struct ledger *l)
{
	while (l->dirty.n) {
		struct entry *e = l->dirty.v[--l->dirty.n];

		e->is_dirty = false;
		settle(l, e);
	}
}

/* --- opening ------------------------------------------------------------ */

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
	if (!is_kept(l, table))
		return 0;
	fr_reader_init(&r, body.pos, body.len);
	if (row->decode(&r, l->room, FR_SLOT_ROOM, 1, &n) || n != 1 || fr_reader_left(&r) ||
	    rec->rec.op == FLYREP_OP_DELETE)
		return -EBADMSG;
	node = history_node(&l->order, owner, strlen(owner));
	if (node < 0)
		return node;
	rc = slot_of(l, (uint8_t)node, rec, &s);
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
	truth = truth_of(l, table, (uint8_t)node);
	return truth && truth_put(truth, rec, 0, &bucket) < 0 ? -ENOMEM : 0;
}

static int load_effect(void *cookie, uint8_t table, struct ledger_db_bytes key,
		       const struct ledger_db_effect *row)
{
	struct ledger *l = cookie;
	struct entry *e;

	if (!fr_slot_table(table) || !key.len || key.len > FLYREP_ITEM_KEY_MAX_LEN)
		return -EBADMSG;
	if (!is_kept(l, table))
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

/* What was read is saved, and known to peers as far as they will know by an audit. */
static void loaded(struct ledger *l, struct entry *e, void *cookie)
{
	(void)cookie;
	e->owners_unsaved = 0;
	e->is_to_publish = false;
	e->is_unsaved = false;
	entry_dirty(l, e);
}

static bool is_in_effect(const struct ledger *l, const struct entry *e, uint64_t digest);

/* What is in the own kernel as it shall be had been seen there. */
static void see_loaded(struct ledger *l, struct entry *e, void *cookie)
{
	(void)cookie;
	if (e->applied.is_there ? is_in_effect(l, e, e->applied.e.digest) :
				  !settle_item(l, e, l->item))
		settle_seen(l, e);
}

static int add_nodes(struct ledger *l, char *why, size_t why_len)
{
	const struct ledger_config *c = &l->config;
	size_t i;
	int node;

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
			if (!is_kept(l, table))
				continue;
			l->nodes[i].truths[table] =
				truth_new(fr_slot_table(table), l->config.hash_key);
			if (!l->nodes[i].truths[table])
				return -ENOMEM;
		}
	}
	return 0;
}

/* --- nodes that are no longer peers ------------------------------------- */

static bool is_former(const struct ledger *l, uint8_t node)
{
	return node != LEDGER_SELF && !l->nodes[node].is_peer;
}

/* Of several nodes one adopts what is added up. */
static bool is_first_node(const struct ledger *l)
{
	size_t i;

	for (i = 0; i < l->config.n_peers; i++)
		if (strcmp(l->config.peers[i], l->config.node_id) < 0)
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
	return settle_write(l, e, l->item);
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

static int open_all(struct ledger *l, char *why, size_t why_len)
{
	static const struct ledger_db_loader loader = {
		.slot = load_slot,
		.effect = load_effect,
		.conflict = load_conflict,
		.trail = load_trail,
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
	l->body = malloc(BODY_ROOM);
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
	entry_each(l, loaded, NULL);
	l->unsaved.n = 0;
	now(l);
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

/* --- from the own kernel ------------------------------------------------ */

static const uint8_t *value_of(const struct flyrep_item *it)
{
	return (const uint8_t *)(it + 1) + it->key_len;
}

/* What is to be remembered of an item in the own kernel. */
static struct kernel_item kernel_item_of(const struct ledger *l, const struct entry *e,
					 const struct flyrep_item *it)
{
	struct kernel_item k = { .is_there = true };
	struct merge_applied m;

	k.e.digest = fr_table_by_id(e->table)->digest(it, l->config.hash_key);
	k.e.expires_ms = it->expires_ms;
	if (merge_has_rules(e->table)) {
		m = merge_applied(value_of(it), it->value_len, l->config.hash_key);
		k.e.count = m.count;
		k.e.decided = m.decided;
	}
	return k;
}

static void set_applied(struct ledger *l, struct entry *e, const struct flyrep_item *it)
{
	struct kernel_item k = { 0 };
	struct claim claim = { 0 };
	struct claim_parts parts;

	if (it) {
		k = kernel_item_of(l, e, it);
		if (entry_claim_parts(e, value_of(it), it->value_len, &parts))
			claim_set(&claim, &parts); /* without it a swap may need a repair */
	}
	entry_applied(l, e, &k, it ? &claim : NULL);
}

static bool has_ended(const struct ledger *l, const struct kernel_item *k)
{
	return k->is_there && k->e.expires_ms &&
	       k->e.expires_ms <= l->now_ms + EXPIRY_SLACK_MS;
}

static int take_delete(struct ledger *l, struct entry *e)
{
	bool is_end = !e->applied.is_there || has_ended(l, &e->applied);
	int rc = is_end ? 0 : settle_write(l, e, NULL);

	if (rc)
		return rc;
	set_applied(l, e, NULL);
	entry_dirty(l, e);
	return 0;
}

/* Whether the kernel says what is in effect anyway, though it may not have been put there. */
static bool is_in_effect(const struct ledger *l, const struct entry *e, uint64_t digest)
{
	return settle_item(l, e, l->item) &&
	       fr_table_by_id(e->table)->digest(l->item, l->config.hash_key) == digest;
}

static int take_item(struct ledger *l, struct entry *e, const struct flyrep_item *it)
{
	uint64_t digest = fr_table_by_id(e->table)->digest(it, l->config.hash_key);
	bool is_known = e->applied.is_there && e->applied.e.digest == digest;
	int rc;

	if (!is_known && !is_in_effect(l, e, digest)) {
		rc = settle_write(l, e, it);
		if (rc)
			return rc;
	}
	set_applied(l, e, it);
	e->retry_ms = 0;
	entry_dirty(l, e);
	return 0;
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

	return is_kept(l, table) ? fr_table_by_id(table)->check(it, &why) : -EINVAL;
}

int ledger_local(struct ledger *l, uint8_t table, const void *item)
{
	const struct flyrep_item *it = item;
	struct entry *e;
	int rc = check_item(l, table, it);

	if (rc)
		return rc;
	now(l);
	e = entry_get(l, table, it + 1, it->key_len);
	return e ? take(l, e, it) : -ENOMEM;
}

/* --- a whole table of the own kernel ------------------------------------ */

struct learning {
	uint8_t table;
	bool is_new_kernel;
	int rc;
};

static void unname(struct ledger *l, struct entry *e, void *cookie)
{
	const struct learning *a = cookie;
	size_t i;

	if (e->table != a->table)
		return;
	e->is_named = false;
	if (!a->is_new_kernel)
		return;
	e->stamp = 0;
	set_applied(l, e, NULL);
	for (i = 0; i < e->n_slots; i++)
		e->slots[i]->is_seen = e->slots[i]->dot.node == LEDGER_SELF;
}

int ledger_learn_begin(struct ledger *l, uint8_t table, bool is_new_kernel)
{
	struct learning a = { table, is_new_kernel, 0 };

	if (!is_kept(l, table))
		return -EINVAL;
	now(l);
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

	if (!merge_has_rules(e->table) || l->met >> e->table & 1 || !e->applied.is_there ||
	    e->applied.e.digest == k.e.digest || !settle_item(l, e, l->item))
		return;
	if (kernel_item_of(l, e, l->item).e.count <= k.e.count)
		set_applied(l, e, l->item);
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
	if (it->expires_ms && it->expires_ms <= now(l))
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

	if (e->table != a->table)
		return;
	if (!e->is_named && take_delete(l, e))
		a->rc = -ENOMEM;
	e->is_named = false;
	entry_dirty(l, e);
}

void ledger_learn_end(struct ledger *l, uint8_t table)
{
	struct learning a = { .table = table };

	if (!is_kept(l, table))
		return;
	now(l);
	entry_each(l, miss, &a);
	l->learnt |= 1ull << table;
	l->met |= 1ull << table;
	l->is_oom |= a.rc;
}

void ledger_refused(struct ledger *l, uint8_t table, const void *item)
{
	const struct flyrep_item *it = item;
	struct entry *e = is_kept(l, table) ? entry_find(l, table, it + 1, it->key_len) : NULL;

	if (!e || it->rec.op == FLYREP_OP_DELETE)
		return;
	l->figures.n_refused++;
	set_applied(l, e, NULL);
	e->retry_ms = now(l) + RETRY_MS;
}

/* --- from peers --------------------------------------------------------- */

static int peer_number(const struct ledger *l, const char *peer)
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
		fr_warn("ledger: peer %s: its clock is %lu ms ahead of ours, %s %lu ms",
			l->order.nodes[peer], ahead,
			is_far ? "more than clock_skew_tolerance," : "close to clock_skew_tolerance,",
			tolerance);
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

	if (node < 0 || !is_kept(l, table) || fr_slot_table(table)->check(rec, &why))
		return node < 0 ? node : -EINVAL;
	now(l);
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
	rc = slot_of(l, (uint8_t)node, rec, &s);
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

/* --- flush -------------------------------------------------------------- */

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
	fr_writer_init(&w, l->body, BODY_ROOM);
	fr_slot_table(e->table)->encode(&w, record_of(l, e, s), 1);
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

static void saved(struct ledger *l)
{
	size_t i;

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

static int commit(struct ledger *l)
{
	const char *why;
	size_t i;

	if (!l->unsaved.n && !l->n_news && !l->is_in_trouble)
		return 0;
	if (is_to_wait(l))
		return -EAGAIN;
	ledger_db_begin(l->db);
	for (i = 0; i < l->unsaved.n; i++)
		save(l, l->unsaved.v[i]);
	inbox_save(l->inbox, l->db);
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
	rec = own ? record_of(l, e, own) : removal_of(l, e);
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

	return e->applied_claim.len && (!entry_claim_parts(e, value_of(it), it->value_len, &parts) ||
					!claim_is(&e->applied_claim, &parts));
}

static void effect_delete(struct ledger *l, struct entry *e)
{
	uint64_t room[FR_RECORD_KEY_ROOM / 8 + 1] = { 0 };
	struct flyrep_item *it = (struct flyrep_item *)room;

	fr_table_by_id(e->table)->from_key(it, e->key, e->key_len);
	it->rec.op = FLYREP_OP_DELETE;
	set_applied(l, e, NULL);
	l->ops.effect(l->cookie, e->table, it);
}

/* First what goes, and what moves to another address: that may be taken over. */
static void take_away(struct ledger *l, struct entry *e)
{
	if (!(l->learnt >> e->table & 1) || !e->applied.is_there)
		return;
	if (!settle_item(l, e, l->item) || moves(e, l->item))
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
	    (!e->applied.is_there ||
	     e->applied.e.digest !=
		     fr_table_by_id(e->table)->digest(it, l->config.hash_key))) {
		set_applied(l, e, it);
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

	now(l);
	settle_all(l);
	if (!l->is_begun)
		sweep_inbox(l);
	l->is_begun = true;
	rc = commit(l);
	tell(l);
	let_go(l);
	return rc;
}

void ledger_close(struct ledger *l)
{
	unsigned int table;
	size_t i;

	if (!l)
		return;
	if (l->db) {
		now(l);
		settle_all(l);
		l->tried_ms = l->now_ms + 1; /* once more, whenever the last time was */
		commit(l);
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
		fr_err("ledger: more than %zu tombstones: the oldest %zu went before all peers knew of them; what they deleted may come back with a peer that was away",
		       max, i);
}

void ledger_tick(struct ledger *l)
{
	bool is_all;

	now(l);
	is_all = l->is_oom || l->now_ms < l->ticked_ms; /* the clock was set back */
	l->is_oom = false;
	l->ticked_ms = l->now_ms;
	entry_each(l, tick_one, &is_all);
	bound_tombstones(l);
}

/* --- looking in --------------------------------------------------------- */

struct truth *ledger_truth(const struct ledger *l, uint8_t table, const char *owner)
{
	int node = !strcmp(owner, l->config.node_id) ? LEDGER_SELF : peer_number(l, owner);

	return node < 0 ? NULL : truth_of(l, table, (uint8_t)node);
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
	now(l);
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
		w->fn(w->cookie, record_of(w->l, e, s));
	return false;
}

void ledger_walk(struct ledger *l, uint8_t table, const char *owner, unsigned int bucket,
		 void (*fn)(void *cookie, const void *slot), void *cookie)
{
	int node = !strcmp(owner, l->config.node_id) ? LEDGER_SELF : peer_number(l, owner);
	struct walk w = { l, table, (uint8_t)node, fn, cookie };
	struct truth *truth = node < 0 ? NULL : truth_of(l, table, (uint8_t)node);

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

	now(l);
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
	digest = fr_siphash(buf, fr_writer_len(&w), l->config.hash_key);
	/* In whatever order they were written; 0 is as good as not named. */
	for (i = 0; i < l->config.rules.n_priorities; i++) {
		const struct history_priority *p = &l->config.rules.priorities[i];

		if (!p->priority)
			continue;
		fr_writer_init(&w, buf, sizeof(buf));
		fr_put_str8(&w, p->node);
		fr_put_varint(&w, p->priority);
		digest += fr_siphash(buf, fr_writer_len(&w), l->config.hash_key);
	}
	return digest;
}

/* --- somebody decides --------------------------------------------------- */

/* The entry of a side, if it still says what it said. */
static struct entry *side_entry(struct ledger *l, const struct inbox_conflict *c, size_t i,
				const struct history_slot **slot)
{
	const struct inbox_side *side = &c->sides[i];
	const struct flyrep_item *it = side->item;
	struct entry *e = entry_find(l, c->table, it + 1, it->key_len);
	size_t k;

	*slot = NULL;
	for (k = 0; e && k < e->n_slots; k++)
		if (e->slots[k]->dot.version == side->version &&
		    !strcmp(name_of(l, &e->slots[k]->dot), side->node))
			*slot = e->slots[k];
	return *slot ? e : NULL;
}

/* The side that is in effect here, or the highest of the others. -1: they are no longer there */
static int pick(struct ledger *l, const struct inbox_conflict *c, bool is_local)
{
	const struct history_slot *s, *best = NULL;
	int local = -1, remote = -1;
	struct entry *e;
	size_t i;

	for (i = 0; i < c->n_sides; i++) {
		e = side_entry(l, c, i, &s);
		if (!e)
			return -1;
		if (e->chosen == s && !e->is_blocked) {
			local = (int)i;
		} else if (!best || history_compare_dots(&l->order, &s->dot, &best->dot) > 0) {
			best = s;
			remote = (int)i;
		}
	}
	return is_local ? local : remote;
}

static int overwrite(struct ledger *l, struct entry *e, const void *item)
{
	size_t i;

	for (i = 0; i < e->n_slots; i++)
		e->slots[i]->is_seen = true;
	return settle_write(l, e, item);
}

/*
 * A new own slot for the key; or, of leases of one address, tombstones for all but the chosen one.
 */
static int decide(struct ledger *l, const struct inbox_conflict *c, int chosen)
{
	const struct flyrep_item *it = c->sides[chosen].item;
	const struct history_slot *s;
	struct entry *e;
	size_t i;
	int rc = 0;

	if (c->kind == INBOX_WRITES)
		return overwrite(l, side_entry(l, c, (size_t)chosen, &s),
				 it->rec.op == FLYREP_OP_DELETE ? NULL : it);
	for (i = 0; !rc && i < c->n_sides; i++) {
		e = (int)i == chosen ? NULL : side_entry(l, c, i, &s);
		if (e)
			rc = overwrite(l, e, NULL);
	}
	return rc;
}

static int check_decision(const struct ledger *l, const struct inbox_conflict *c,
			  enum inbox_resolution how, const char *who, const char *reason, char *why,
			  size_t why_len)
{
	if (!c)
		return refuse(why, why_len, -ENOENT, "no such conflict");
	if (c->state != INBOX_PENDING)
		return refuse(why, why_len, -EALREADY, "this conflict is %s already, by %s",
			      inbox_state_name(c->state), c->who);
	if (!inbox_is_approver(&l->config.inbox, who))
		return refuse(why, why_len, -EPERM, "\"%.80s\" is not one of the approvers", who);
	if (how == INBOX_MERGE && !merge_has_rules(c->table))
		return refuse(why, why_len, -EOPNOTSUPP,
			      "items of %s cannot be merged: use_local or use_remote",
			      fr_table_by_id(c->table)->name);
	if (how != INBOX_USE_LOCAL && how != INBOX_USE_REMOTE)
		return refuse(why, why_len, -EINVAL,
			      "a conflict is resolved by use_local, use_remote or merge");
	if (strlen(who) >= sizeof(c->who) || !fr_item_is_text((const uint8_t *)who, strlen(who)))
		return refuse(why, why_len, -EINVAL, "who: not text of at most %zu bytes",
			      sizeof(c->who) - 1);
	if (strlen(reason) >= sizeof(c->reason) ||
	    !fr_item_is_text((const uint8_t *)reason, strlen(reason)))
		return refuse(why, why_len, -EINVAL, "reason: not text of at most %zu bytes",
			      sizeof(c->reason) - 1);
	return 0;
}

int ledger_resolve(struct ledger *l, uint64_t id, enum inbox_resolution how, const char *who,
		   const char *reason, char *why, size_t why_len)
{
	const struct inbox_conflict *c;
	int chosen, rc;

	now(l);
	settle_all(l);
	c = inbox_find(l->inbox, id);
	rc = check_decision(l, c, how, who, reason, why, why_len);
	if (rc)
		return rc;
	chosen = pick(l, c, how == INBOX_USE_LOCAL);
	if (chosen < 0)
		return refuse(why, why_len, -EALREADY, "a side of this conflict was written again");
	rc = decide(l, c, chosen);
	if (rc)
		return refuse(why, why_len, rc, "no memory");
	conflict_end(l, id, INBOX_RESOLVED, how, chosen, who, reason);
	return 0;
}

/* --- a dry run ---------------------------------------------------------- */

json_t *ledger_test_conflict(const struct ledger *l, const char *peer)
{
	static const char *const strategies[] = { "timestamp", "priority", "manual" };
	uint64_t now_ms = l->ops.now_ms(l->cookie);
	struct history_slot sides[2] = { 0 };
	struct history_order order = l->order;
	int node = history_node(&order, peer, strlen(peer)), winner;
	char why[256];

	if (node <= 0)
		return json_pack("{s:s}", "error", "not the name of another node");
	sides[0].dot = (struct history_dot){ now_ms << HLC_COUNTER_BITS, LEDGER_SELF, 0 };
	sides[1].dot = (struct history_dot){ (now_ms + 1) << HLC_COUNTER_BITS, (uint8_t)node, 0 };
	winner = history_compare(&order, &sides[1], &sides[0]) > 0;
	history_explain(&order, &sides[winner].dot, &sides[!winner].dot, why, sizeof(why));
	return json_pack(
		"{s:s, s:s, s:s, s:b, s:[{s:s, s:I}, {s:s, s:I}], s:s, s:s, s:b}", "table", "test",
		"key", "test-conflict", "strategy", strategies[l->config.rules.strategy], "waits",
		l->config.rules.strategy == HISTORY_MANUAL && l->config.rules.is_approval_required,
		"sides", "node_id", l->config.node_id, "version", (json_int_t)sides[0].dot.version,
		"node_id", peer, "version", (json_int_t)sides[1].dot.version, "winner",
		order.nodes[sides[winner].dot.node], "why", why, "skew",
		l->config.rules.skew_tolerance_ms > 1);
}
