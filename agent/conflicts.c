// SPDX-License-Identifier: GPL-2.0-or-later
/* What of the ledger's disputes goes into the inbox, and what comes back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_entry.h"
#include "refuse.h"

#define RULE "rule"

/* The item that a slot says. NULL: no memory */
static void *item_of(const struct ledger *l, const struct party *p)
{
	const struct history_slot *s = p->slot;
	size_t len;
	void *copy;

	len = s->is_tombstone ? entry_item(p->e, l->item, NULL, 0, 0) :
				entry_item(p->e, l->item, s->value, s->value_len, s->expires_ms);
	copy = malloc(len);
	if (copy)
		memcpy(copy, l->item, len);
	return copy;
}

static void sides_free(struct inbox_conflict *c)
{
	size_t i;

	for (i = 0; c->sides && i < c->n_sides; i++)
		free(c->sides[i].item);
	free(c->sides);
}

static bool is_skewed(const struct ledger *l, const struct dispute *d)
{
	uint64_t ms = hlc_ms(d->v[d->winner].slot->dot.version), other;
	size_t i;

	for (i = 0; i < d->n; i++) {
		other = hlc_ms(d->v[i].slot->dot.version);
		if (i != d->winner && (ms > other ? ms - other : other - ms) <
					      l->config.rules.skew_tolerance_ms)
			return true;
	}
	return false;
}

/* All of it but what becomes of it. false: no memory */
static bool conflict_make(struct ledger *l, struct inbox_conflict *c, const struct dispute *d)
{
	size_t i;

	memset(c, 0, sizeof(*c));
	c->table = d->v[0].e->table;
	c->kind = d->kind;
	c->at_ms = l->now_ms;
	c->local = (int)d->local;
	c->winner = -1;
	c->is_skewed = is_skewed(l, d);
	c->sides = calloc(d->n, sizeof(*c->sides));
	for (i = 0; c->sides && i < d->n; i++, c->n_sides++) {
		struct inbox_side *side = &c->sides[i];

		snprintf(side->node, sizeof(side->node), "%s",
			 l->order.nodes[d->v[i].slot->dot.node]);
		side->version = d->v[i].slot->dot.version;
		side->item = item_of(l, &d->v[i]);
		if (!side->item)
			break;
	}
	if (c->n_sides == d->n) {
		c->id = inbox_id(c->table, c->sides, c->n_sides, &ledger_common_key);
		return true;
	}
	sides_free(c);
	l->is_oom = true;
	return false;
}

void conflict_news(struct ledger *l, uint64_t id)
{
	uint64_t *news = realloc(l->news, (l->n_news + 1) * sizeof(*news));

	if (!news)
		return; /* it is in the inbox all the same */
	l->news = news;
	news[l->n_news++] = id;
}

static void add(struct ledger *l, const struct inbox_conflict *c)
{
	l->figures.n_conflicts++;
	l->figures.n_skewed += c->is_skewed;
	if (inbox_add(l->inbox, c))
		conflict_news(l, c->id);
}

void conflict_end(struct ledger *l, uint64_t id, enum inbox_state state,
		  enum inbox_resolution resolution, int winner, const char *who,
		  const char *reason)
{
	struct inbox_conflict end = {
		.state = state,
		.resolution = resolution,
		.over_ms = l->now_ms,
		.winner = winner,
	};

	snprintf(end.who, sizeof(end.who), "%s", who);
	snprintf(end.reason, sizeof(end.reason), "%s", reason);
	inbox_end(l->inbox, id, &end);
	conflict_news(l, id);
}

/* Why the winner wins over the first of the others. */
static void explain(const struct ledger *l, const struct dispute *d, char *buf, size_t len)
{
	const struct history_slot *a = d->v[d->winner].slot, *b = d->v[!d->winner].slot;

	if (history_compare_dots(&l->order, &a->dot, &b->dot) > 0)
		history_explain(&l->order, &a->dot, &b->dot, buf, len);
	else
		snprintf(buf, len, "%s replaces a write that %s does not win over",
			 l->order.nodes[a->dot.node], l->order.nodes[b->dot.node]);
}

void conflict_note(struct ledger *l, const struct dispute *d)
{
	struct inbox_conflict c;

	if (!conflict_make(l, &c, d))
		return;
	if (!inbox_find(l->inbox, c.id)) {
		c.state = INBOX_RESOLVED;
		c.resolution = INBOX_BY_RULE;
		c.over_ms = l->now_ms;
		c.winner = (int)d->winner;
		snprintf(c.who, sizeof(c.who), RULE);
		explain(l, d, c.reason, sizeof(c.reason));
		add(l, &c);
	}
	sides_free(&c);
}

/* --- those that wait ---------------------------------------------------- */

static const struct inbox_conflict *waiting(const struct ledger *l, uint64_t id)
{
	const struct inbox_conflict *c = id ? inbox_find(l->inbox, id) : NULL;

	return c && c->state == INBOX_PENDING ? c : NULL;
}

static void wake_at(struct entry *e, uint64_t ms)
{
	if (!e->wake_ms || ms < e->wake_ms)
		e->wake_ms = ms;
}

/* It waits as long as what it grew out of would have. */
static void begin(struct ledger *l, uint64_t *id, struct inbox_conflict *c)
{
	const struct inbox_conflict *old = waiting(l, *id);
	uint64_t was = *id;

	if (old)
		c->at_ms = old->at_ms;
	if (!inbox_find(l->inbox, c->id)) {
		c->state = INBOX_PENDING;
		add(l, c);
	}
	*id = c->id;
	if (waiting(l, was))
		conflict_end(l, was, INBOX_RESOLVED, INBOX_OVERWRITTEN, -1, RULE,
			     "a side was written again, or another came up");
}

bool conflict_wait(struct ledger *l, struct entry *e, uint64_t *id, const struct dispute *d)
{
	uint64_t timeout = l->config.inbox.timeout_ms;
	const struct inbox_conflict *now;
	struct inbox_conflict c;
	char reason[256];

	if (!conflict_make(l, &c, d))
		return true;
	if (c.id != *id)
		begin(l, id, &c);
	sides_free(&c);
	now = waiting(l, *id);
	if (!now)
		return false;
	if (!timeout)
		return true;
	if (l->now_ms < now->at_ms + timeout) {
		wake_at(e, now->at_ms + timeout);
		return true;
	}
	explain(l, d, reason, sizeof(reason));
	conflict_end(l, *id, INBOX_EXPIRED, INBOX_BY_RULE, (int)d->winner, RULE, reason);
	return false;
}

/* The side that a slot is; -1: none of them */
static int side_of(const struct ledger *l, const struct inbox_conflict *c,
		   const struct history_slot *s)
{
	size_t i;

	for (i = 0; s && i < c->n_sides; i++)
		if (c->sides[i].version == s->dot.version &&
		    !strcmp(c->sides[i].node, l->order.nodes[s->dot.node]))
			return (int)i;
	return -1;
}

void conflict_gone(struct ledger *l, uint64_t *id, const struct history_slot *heir)
{
	const struct inbox_conflict *c = waiting(l, *id);
	const char *who = heir ? l->order.nodes[heir->dot.node] : RULE;
	uint64_t was = *id;
	int winner;

	*id = 0;
	if (!c)
		return;
	winner = c->kind == INBOX_WRITES ? side_of(l, c, heir) : -1;
	if (winner >= 0)
		conflict_end(l, was, INBOX_EXPIRED, INBOX_BY_RULE, winner, who,
			     "the time was over there first");
	else
		conflict_end(l, was, INBOX_RESOLVED, INBOX_OVERWRITTEN, -1, who,
			     c->kind == INBOX_WRITES ? "written again, by who had seen all sides" :
						       "the address is no longer leased twice");
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
		    !strcmp(node_name(l, &e->slots[k]->dot), side->node))
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

/* Why not, in words; NULL: it can be done. */
static const char *why_not_merge(const struct inbox_conflict *c)
{
	size_t i;

	if (c->kind != INBOX_WRITES)
		return "two leases of one address";
	/* The fields of a file belong together. */
	if (c->table != FLYREP_TABLE_LEASE && c->table != FLYREP_TABLE_DNS)
		return fr_table_by_id(c->table)->name;
	for (i = 0; i < c->n_sides; i++)
		if (((const struct flyrep_item *)c->sides[i].item)->rec.op == FLYREP_OP_DELETE)
			return "a delete and a write";
	return NULL;
}

/* Where one says nothing, what the other says; it ends when the later of them does. */
static int fill_in(struct fr_item_bytes *fields, uint64_t *expires_ms, uint8_t table,
		   const struct flyrep_item *other)
{
	struct fr_item_bytes more[FR_ITEM_FIELDS_MAX];
	const struct fr_item_field *f = fr_item_fields(table);
	int rc = fr_item_unpack(other, table, more);
	size_t i;

	if (rc)
		return rc;
	for (i = 0; f[i].name; i++)
		if (!fields[i].len)
			fields[i] = more[i];
	if (*expires_ms && (!other->expires_ms || other->expires_ms > *expires_ms))
		*expires_ms = other->expires_ms;
	return 0;
}

/* What this node has, and what the others have besides it. */
static int merge_sides(struct ledger *l, const struct inbox_conflict *c, int local, int remote)
{
	const struct flyrep_item *it = c->sides[local].item;
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX];
	uint64_t expires_ms = it->expires_ms;
	const struct history_slot *s;
	void *merged = malloc(FR_ITEM_ROOM);
	size_t i;
	int rc = merged ? fr_item_unpack(it, c->table, fields) : -ENOMEM;

	if (!rc)
		rc = fill_in(fields, &expires_ms, c->table, c->sides[remote].item);
	for (i = 0; !rc && i < c->n_sides; i++)
		rc = fill_in(fields, &expires_ms, c->table, c->sides[i].item);
	if (!rc && fr_item_pack(merged, c->table, FLYREP_OP_UPDATE, fields, expires_ms) < 0)
		rc = -EMSGSIZE;
	if (!rc)
		rc = overwrite(l, side_entry(l, c, (size_t)local, &s), merged);
	free(merged);
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
	if (how == INBOX_MERGE && why_not_merge(c))
		return refuse(why, why_len, -EOPNOTSUPP,
			      "%s cannot be merged: use_local or use_remote", why_not_merge(c));
	if (how != INBOX_USE_LOCAL && how != INBOX_USE_REMOTE && how != INBOX_MERGE)
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
	int chosen, other, rc;

	ledger_now(l);
	settle_all(l);
	c = inbox_find(l->inbox, id);
	rc = check_decision(l, c, how, who, reason, why, why_len);
	if (rc)
		return rc;
	chosen = pick(l, c, how != INBOX_USE_REMOTE);
	other = pick(l, c, false);
	if (chosen < 0 || (how == INBOX_MERGE && other < 0))
		return refuse(why, why_len, -EALREADY, "a side of this conflict was written again");
	rc = how == INBOX_MERGE ? merge_sides(l, c, chosen, other) : decide(l, c, chosen);
	if (rc)
		return refuse(why, why_len, rc, "%s", strerror(-rc));
	conflict_end(l, id, INBOX_RESOLVED, how, how == INBOX_MERGE ? -1 : chosen, who, reason);
	settle_all(l);
	return ledger_commit(l) ? refuse(why, why_len, -EAGAIN, "%s", l->trouble) : 0;
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
