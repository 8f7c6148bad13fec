// SPDX-License-Identifier: GPL-2.0-only
#include "snapshot.h"

#include <linux/mm.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/netfilter/nf_conntrack_ecache.h>
#include <net/sock.h>

#include "compat/compat.h"
#include "conntrack.h"
#include "expect.h"
#include "filter.h"
#include "item.h"
#include "netlink.h"
#include "pernet.h"
#include "walk.h"

/* Chains in one message, and RCU section, however little is found in them */
#define SNAPSHOT_STEP	1024

/**
 * struct snapshot - one dump, in cb->args[0]
 * @walk: where it stands in the flows
 * @cursor: or in the items
 * @chain: or in the expectations
 * @table: enum flyrep_table
 * @phase: of the next message
 * @origin: enum flyrep_origin
 * @is_all: no @buckets
 * @buckets: which
 */
struct snapshot {
	union {
		struct flyrep_walk		walk;
		struct flyrep_item_cursor	cursor;
		unsigned int			chain;
	};
	u8			table;
	u8			phase;
	u8			origin;
	bool			is_all;
	u8			buckets[FLYREP_BUCKETS_LEN];
};

/* What one message takes in */
struct snapshot_fill {
	struct flyrep_net		*fn;
	const struct snapshot		*snap;
	struct flyrep_netlink_records	recs;
};

int flyrep_snapshot_start(struct netlink_callback *cb)
{
	cb->min_dump_alloc = FLYREP_NETLINK_DUMP_LEN;
	return 0;
}

/*
 * Read the request. Not in .start: there old kernels have no way to say what is wrong.
 *
 * Context: process. Return: 0 or -errno with extack set
 */
static int snapshot_open(struct flyrep_net *fn, struct netlink_callback *cb)
{
	struct nlattr **attrs = flyrep_compat_dump_attrs(cb);
	struct snapshot *snap;

	if (!attrs || !attrs[FLYREP_A_TABLE]) {
		NL_SET_ERR_MSG(cb->extack, "TABLE is missing");
		return -EINVAL;
	}
	if (nla_get_u8(attrs[FLYREP_A_TABLE]) == FLYREP_TABLE_NFT_SET) {
		NL_SET_ERR_MSG(cb->extack, "elements of nft sets are read through nf_tables");
		return -EOPNOTSUPP;
	}
	if (attrs[FLYREP_A_BUCKETS] && !READ_ONCE(fn->buckets.is_keyed)) {
		NL_SET_ERR_MSG(cb->extack, "no HASH_KEY was set: there are no buckets");
		return -ENOKEY;
	}
	snap = kvzalloc(sizeof(*snap), GFP_KERNEL_ACCOUNT);
	if (!snap)
		return -ENOMEM;
	snap->table = nla_get_u8(attrs[FLYREP_A_TABLE]);
	snap->phase = FLYREP_PHASE_BEGIN;
	snap->is_all = !attrs[FLYREP_A_BUCKETS];
	if (!snap->is_all)
		nla_memcpy(snap->buckets, attrs[FLYREP_A_BUCKETS], sizeof(snap->buckets));
	if (attrs[FLYREP_A_ORIGIN])
		snap->origin = nla_get_u8(attrs[FLYREP_A_ORIGIN]);
	cb->args[0] = (long)snap;
	return 0;
}

/* Is this flow of those that were asked for? The filter binds local ones only. */
static bool snapshot_wants(const struct snapshot *snap, const struct flyrep_net *fn,
			   const struct nf_conn *ct)
{
	if (test_bit(FLYREP_CT_REMOTE_BIT, &ct->status))
		return snap->origin != FLYREP_ORIGIN_LOCAL;
	return snap->origin != FLYREP_ORIGIN_REMOTE && flyrep_filter_pass(fn, ct);
}

/* Nobody will be told when this flow ends. Context: RCU read side */
static bool snapshot_is_mute(const struct nf_conn *ct)
{
	const struct nf_conntrack_ecache *e = nf_ct_ecache_find(ct);

	return !e || !(e->ctmask & (1 << IPCT_DESTROY));
}

/* Context: RCU read side. Return: 0 or -EMSGSIZE */
static int snapshot_visit(struct nf_conn *ct, void *data)
{
	struct snapshot_fill *fill = data;
	struct flyrep_ct *r = fill->recs.data + fill->recs.len;
	bool was_sent;

	if (!snapshot_wants(fill->snap, fill->fn, ct))
		return 0;
	if (fill->recs.room - fill->recs.len < FLYREP_CONNTRACK_MAX_LEN)
		return -EMSGSIZE;
	flyrep_conntrack_read_key(r, ct);
	if (!fill->snap->is_all &&
	    !flyrep_buckets_has(fill->snap->buckets, flyrep_conntrack_bucket(r, fill->fn)))
		return 0;

	/* Named, so its end must be told: SENT, then look, as in the drain. */
	was_sent = test_and_set_bit(FLYREP_CT_SENT_BIT, &ct->status);
	/* Pairs with that of capture_wants(), and with the atomic that sets DYING. */
	smp_mb__after_atomic();
	if (nf_ct_is_dying(ct))
		return 0;
	r->rec.stamp = atomic64_inc_return(&fill->fn->stamp);
	flyrep_conntrack_read_state(r, ct, fill->fn);
	if (snapshot_is_mute(ct))
		r->rec.flags |= FLYREP_REC_F_MUTE;
	r->rec.op = FLYREP_OP_UPDATE;
	r->rec.age_us = 0;
	fill->recs.len += sizeof(*r) + r->rec.tail_len;
	fill->recs.n++;
	if (unlikely(!was_sent && r->rec.tail_len))
		flyrep_expect_look(fill->fn, ct);
	return 0;
}

/*
 * Take whole chains until the message is full or the table ends.
 *
 * Context: process, RCU read side. Return: 0: go on, 1: the end, -EMSGSIZE: full
 */
static int snapshot_step(struct snapshot *snap, struct snapshot_fill *fill)
{
	unsigned int steps, len, n;
	int err;

	if (!flyrep_walk_enter(&snap->walk)) {
		/* The first time it is not another table but the first. */
		if (fill->snap->phase == FLYREP_PHASE_DATA)
			flyrep_pernet_count(fill->fn, FLYREP_C_SNAPSHOT_RESTARTS, 1);
		snap->phase = FLYREP_PHASE_DATA;
	} else if (snap->walk.chain >= snap->walk.size) {
		return 1;
	}
	for (steps = 0; steps < SNAPSHOT_STEP && snap->walk.chain < snap->walk.size; steps++) {
		len = fill->recs.len;
		n = fill->recs.n;
		err = flyrep_walk_chain(&snap->walk, fill->fn->net, snapshot_visit, fill);
		if (err) {
			/* What was taken of this chain is taken again. */
			fill->recs.len = len;
			fill->recs.n = n;
			if (err == -EMSGSIZE)
				return err;
		}
	}
	return 0;
}

/* Context: process. Return: 0: go on, 1: the end was reached, -errno */
static int snapshot_flows(struct flyrep_net *fn, struct snapshot *snap, struct sk_buff *skb,
			  struct netlink_callback *cb)
{
	struct snapshot_fill fill = { .fn = fn, .snap = snap };
	int err;

	err = flyrep_netlink_records_begin(&fill.recs, skb, cb, FLYREP_CMD_SNAPSHOT,
					   FLYREP_TABLE_CONNTRACK, sizeof(struct flyrep_ct),
					   FLYREP_CONNTRACK_MAX_LEN, FLYREP_PHASE_DATA);
	if (err)
		return err;
	rcu_read_lock();
	err = snapshot_step(snap, &fill);
	rcu_read_unlock();
	flyrep_netlink_records_end(&fill.recs, skb, !err);
	flyrep_pernet_count(fn, FLYREP_C_SNAPSHOT_RECORDS, fill.recs.n);
	if (err == -EMSGSIZE && fill.recs.n)
		return 0;
	if (err < 0)
		NL_SET_ERR_MSG(cb->extack, "a chain of the conntrack table does not fit a message");
	return err;
}

/* Context: process. Return: 0: go on, 1: the end was reached, -EMSGSIZE */
static int snapshot_items(struct flyrep_net *fn, struct snapshot *snap, struct sk_buff *skb,
			  struct netlink_callback *cb)
{
	struct flyrep_netlink_records recs;
	int err;

	err = flyrep_netlink_records_begin(&recs, skb, cb, FLYREP_CMD_SNAPSHOT, snap->table,
					   sizeof(struct flyrep_item), FLYREP_ITEM_MAX_LEN,
					   FLYREP_PHASE_DATA);
	if (err)
		return err;
	err = flyrep_item_snapshot(fn, &recs, snap->table, &snap->cursor, snap->origin,
				   snap->is_all ? NULL : snap->buckets);
	flyrep_netlink_records_end(&recs, skb, !err);
	flyrep_pernet_count(fn, FLYREP_C_SNAPSHOT_RECORDS, recs.n);
	return err;
}

/* Context: process. Return: 0: go on, 1: the end was reached, -errno */
static int snapshot_expects(struct flyrep_net *fn, struct snapshot *snap, struct sk_buff *skb,
			    struct netlink_callback *cb)
{
	struct flyrep_netlink_records recs;
	int err;

	err = flyrep_netlink_records_begin(&recs, skb, cb, FLYREP_CMD_SNAPSHOT,
					   FLYREP_TABLE_EXPECTATION, sizeof(struct flyrep_expect),
					   sizeof(struct flyrep_expect), FLYREP_PHASE_DATA);
	if (err)
		return err;
	err = flyrep_expect_snapshot(fn, &recs, &snap->chain, snap->origin,
				     snap->is_all ? NULL : snap->buckets);
	flyrep_netlink_records_end(&recs, skb, false);
	flyrep_pernet_count(fn, FLYREP_C_SNAPSHOT_RECORDS, recs.n);
	if (err < 0)
		NL_SET_ERR_MSG(cb->extack, "a chain of the expectations does not fit a message");
	return err;
}

/* Context: process. Return: 0: go on, 1: the end was reached, -errno */
static int snapshot_data(struct flyrep_net *fn, struct snapshot *snap, struct sk_buff *skb,
			 struct netlink_callback *cb)
{
	switch (snap->table) {
	case FLYREP_TABLE_CONNTRACK:
		return snapshot_flows(fn, snap, skb, cb);
	case FLYREP_TABLE_EXPECTATION:
		return snapshot_expects(fn, snap, skb, cb);
	default:
		return snapshot_items(fn, snap, skb, cb);
	}
}

/* BEGIN or END. Context: process. Return: 0 or -EMSGSIZE */
static int snapshot_mark(struct flyrep_net *fn, const struct snapshot *snap, struct sk_buff *skb,
			 struct netlink_callback *cb, u8 phase)
{
	void *hdr;

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &flyrep_netlink_family, NLM_F_MULTI, FLYREP_CMD_SNAPSHOT);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u8(skb, FLYREP_A_TABLE, snap->table) ||
	    nla_put_u8(skb, FLYREP_A_PHASE, phase) ||
	    nla_put_u64_64bit(skb, FLYREP_A_STAMP, atomic64_read(&fn->stamp), FLYREP_A_PAD) ||
	    (phase == FLYREP_PHASE_BEGIN && !snap->is_all &&
	     nla_put(skb, FLYREP_A_BUCKETS, sizeof(snap->buckets), snap->buckets))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

int flyrep_snapshot_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct flyrep_net *fn = flyrep_pernet(sock_net(cb->skb->sk));
	struct snapshot *snap;
	int err;

	if (!cb->args[0]) {
		err = snapshot_open(fn, cb);
		if (err)
			return err;
	}
	snap = (struct snapshot *)cb->args[0];
	if (snap->phase == FLYREP_PHASE_BEGIN) {
		err = snapshot_mark(fn, snap, skb, cb, FLYREP_PHASE_BEGIN);
		if (err)
			return err;
		snap->phase = FLYREP_PHASE_UNSPEC;
	}
	if (snap->phase != FLYREP_PHASE_END) {
		err = snapshot_data(fn, snap, skb, cb);
		if (err == -EMSGSIZE && skb->len)
			return skb->len;
		if (err <= 0)
			return err ?: skb->len;
		snap->phase = FLYREP_PHASE_END;
	}
	err = snapshot_mark(fn, snap, skb, cb, FLYREP_PHASE_END);
	return err == -EMSGSIZE && skb->len ? skb->len : err;
}

int flyrep_snapshot_done(struct netlink_callback *cb)
{
	kvfree((void *)cb->args[0]);
	return 0;
}
