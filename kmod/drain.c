// SPDX-License-Identifier: GPL-2.0-only
#include "drain.h"

#include <linux/ktime.h>
#include <linux/math64.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "conntrack.h"
#include "expect.h"
#include "filter.h"
#include "hint.h"
#include "item.h"
#include "listen.h"
#include "netlink.h"
#include "pernet.h"
#include "reader.h"
#include "ring.h"
#include "trace.h"

#define DRAIN_BATCH 16

/* The head of a message and all that is small in it, in bytes */
#define DRAIN_OVERHEAD 256

/* cb->args */
enum {
	DRAIN_PHASE,
	DRAIN_BUDGET,		/* objects, or words of hints, this dump may still take: it ends,
				 * however busy
				 */
};

/* What comes next */
enum {
	DRAIN_BEGIN,
	DRAIN_RECORDS,
	DRAIN_EXPECTS,
	DRAIN_ITEMS,
	DRAIN_HINTS,
	DRAIN_BUCKETS,
	DRAIN_LAST,
};

int flyrep_drain_start(struct netlink_callback *cb)
{
	cb->min_dump_alloc = FLYREP_NETLINK_DUMP_LEN;
	return 0;
}

/*
 * Read one flow that was popped, and tell what it is to the reader.
 *
 * SENT before the read: a flow that dies after the read finds it set, and is queued. QUEUED is
 * cleared before the read: what changes after it queues the flow again. And DYING is
 * set before the event: who was not queued because SENT was not set yet is seen dying here.
 *
 * Context: process, RCU read side. Return: enum flyrep_op, FLYREP_OP_UNSPEC for no news.
 */
static u8 drain_decide(struct flyrep_net *fn, struct nf_conn *ct)
{
	unsigned long status = READ_ONCE(ct->status);
	bool was_sent;

	/* Both at once, and a full barrier */
	while (!try_cmpxchg(&ct->status, &status,
			    (status | FLYREP_CT_SENT) & ~FLYREP_CT_QUEUED))
		;
	was_sent = status & FLYREP_CT_SENT;
	status = READ_ONCE(ct->status);

	if (status & IPS_DYING) {
		clear_bit(FLYREP_CT_SENT_BIT, &ct->status);
		if (status & FLYREP_CT_DELETED)
			return FLYREP_OP_UNSPEC;
		if (was_sent || (status & FLYREP_CT_REMOTE))
			return FLYREP_OP_DELETE;
		flyrep_pernet_count(fn, FLYREP_C_DRAIN_UNSEEN, 1);
		return FLYREP_OP_UNSPEC;
	}
	/* Queued as a local flow, held since: that was the reader's own doing. */
	if (status & FLYREP_CT_REMOTE)
		return FLYREP_OP_UNSPEC;
	if (likely(flyrep_filter_pass(fn, ct)))
		return FLYREP_OP_UPDATE;
	/* It left the filter: to the reader it is gone. */
	clear_bit(FLYREP_CT_SENT_BIT, &ct->status);
	return was_sent ? FLYREP_OP_DELETE : FLYREP_OP_UNSPEC;
}

/* Context: process, RCU read side; @recs has room */
static void drain_one(struct flyrep_net *fn, struct flyrep_netlink_records *recs,
		      struct nf_conn *ct, u64 age_ns)
{
	struct flyrep_ct *r = recs->data + recs->len;
	u8 op = drain_decide(fn, ct);

	if (op == FLYREP_OP_UNSPEC)
		return;
	/*
	 * Before the read, as a record must not look newer than it is; and after QUEUED was
	 * cleared: should a snapshot beside us get a higher stamp and an older state, the
	 * change between the two has queued the flow again.
	 */
	r->rec.stamp = atomic64_inc_return(&fn->stamp);
	flyrep_conntrack_read_key(r, ct);
	flyrep_conntrack_read_state(r, ct, fn);
	r->rec.op = op;
	r->rec.age_us = min_t(u64, div_u64(age_ns, NSEC_PER_USEC), U32_MAX);
	recs->len += sizeof(*r) + r->rec.tail_len;
	recs->n++;
	if (unlikely(r->rec.tail_len))
		flyrep_expect_look(fn, ct);
}

/* Context: process */
static void drain_fill(struct flyrep_net *fn, struct flyrep_reader *reader,
		       struct netlink_callback *cb, struct flyrep_netlink_records *recs)
{
	struct flyrep_ring_slot slots[DRAIN_BATCH];
	u64 now_ns = ktime_get_mono_fast_ns();
	unsigned int want, fit, n, i;

	while (cb->args[DRAIN_BUDGET] > 0) {
		/* Whatever is popped has room. */
		fit = (recs->room - recs->len) / FLYREP_CONNTRACK_MAX_LEN;
		if (!fit)
			break;
		want = min3(fit, DRAIN_BATCH + 0U, (unsigned int)cb->args[DRAIN_BUDGET]);
		n = flyrep_ring_pop(reader->ring, slots, want);
		cb->args[DRAIN_BUDGET] -= n;
		rcu_read_lock();
		for (i = 0; i < n; i++) {
			struct nf_conn *ct = slots[i].obj;
			s64 age_ns = now_ns - slots[i].pushed_ns;

			drain_one(fn, recs, ct, max_t(s64, age_ns, 0));
			nf_ct_put(ct);
		}
		rcu_read_unlock();
		if (n < want)
			cb->args[DRAIN_BUDGET] = 0;
		cond_resched();
	}
}

/* Context: process. Return: 0 or -EMSGSIZE, nothing taken then */
static int drain_records(struct flyrep_net *fn, struct flyrep_reader *reader,
			 struct sk_buff *skb, struct netlink_callback *cb)
{
	struct flyrep_netlink_records recs;
	int err;

	err = flyrep_netlink_records_begin(&recs, skb, cb, FLYREP_CMD_DRAIN,
					   FLYREP_TABLE_CONNTRACK, sizeof(struct flyrep_ct),
					   FLYREP_CONNTRACK_MAX_LEN, FLYREP_PHASE_UNSPEC);
	if (err)
		return err;
	drain_fill(fn, reader, cb, &recs);
	flyrep_netlink_records_end(&recs, skb, false);
	trace_flyrep_drain(fn, recs.n, max_t(long, cb->args[DRAIN_BUDGET], 0));
	flyrep_pernet_count(fn, FLYREP_C_DRAIN_RECORDS, recs.n);
	return 0;
}

/* After the flows: a master goes first. Context, return: as above */
static int drain_expects(struct flyrep_net *fn, struct sk_buff *skb, struct netlink_callback *cb)
{
	struct flyrep_netlink_records recs;
	int err;

	err = flyrep_netlink_records_begin(&recs, skb, cb, FLYREP_CMD_DRAIN,
					   FLYREP_TABLE_EXPECTATION, sizeof(struct flyrep_expect),
					   sizeof(struct flyrep_expect), FLYREP_PHASE_UNSPEC);
	if (err)
		return err;
	flyrep_expect_drain(fn, &recs, &cb->args[DRAIN_BUDGET]);
	flyrep_netlink_records_end(&recs, skb, false);
	trace_flyrep_drain(fn, recs.n, max_t(long, cb->args[DRAIN_BUDGET], 0));
	flyrep_pernet_count(fn, FLYREP_C_DRAIN_RECORDS, recs.n);
	return 0;
}

/* Context: process. Return: 0 or -EMSGSIZE, nothing taken then */
static int drain_items(struct flyrep_net *fn, struct sk_buff *skb, struct netlink_callback *cb)
{
	struct flyrep_netlink_records recs;
	u8 table = flyrep_item_changed(fn);
	int err;

	if (!table) {
		cb->args[DRAIN_BUDGET] = 0;
		return 0;
	}
	err = flyrep_netlink_records_begin(&recs, skb, cb, FLYREP_CMD_DRAIN, table,
					   sizeof(struct flyrep_item), FLYREP_ITEM_MAX_LEN,
					   FLYREP_PHASE_UNSPEC);
	if (err)
		return err;
	flyrep_item_drain(fn, &recs, table, &cb->args[DRAIN_BUDGET]);
	flyrep_netlink_records_end(&recs, skb, false);
	trace_flyrep_drain(fn, recs.n, max_t(long, cb->args[DRAIN_BUDGET], 0));
	flyrep_pernet_count(fn, FLYREP_C_DRAIN_RECORDS, recs.n);
	return 0;
}

/* Context: process. Return: the head of a message, or NULL without room for @len bytes more */
static void *drain_message(struct sk_buff *skb, struct netlink_callback *cb, unsigned int len)
{
	/* Nothing may fail once something was taken. */
	if (skb_tailroom(skb) < len + DRAIN_OVERHEAD)
		return NULL;
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &flyrep_netlink_family, NLM_F_MULTI, FLYREP_CMD_DRAIN);
}

/* Context: process. Return: 0 or -EMSGSIZE, nothing taken then */
static int drain_hints(struct flyrep_net *fn, struct sk_buff *skb, struct netlink_callback *cb)
{
	unsigned int room, len;
	struct nlattr *attr;
	void *hdr;

	hdr = drain_message(skb, cb, FLYREP_HINT_MAX_LEN);
	if (!hdr)
		return -EMSGSIZE;
	nla_put_u8(skb, FLYREP_A_TABLE, FLYREP_TABLE_NFT_SET);
	if ((skb->len + NLA_HDRLEN) % sizeof(u64))
		nla_reserve(skb, FLYREP_A_PAD, 0);
	room = min_t(unsigned int, skb_tailroom(skb) - NLA_HDRLEN, FLYREP_RECORDS_MAX_LEN);
	room = round_down(room, sizeof(u64));
	attr = nla_reserve(skb, FLYREP_A_HINTS, room);
	if (WARN_ON_ONCE(!attr)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	len = flyrep_hint_drain(fn, nla_data(attr), room, &cb->args[DRAIN_BUDGET]);
	if (!len) {
		genlmsg_cancel(skb, hdr);
		return 0;
	}
	attr->nla_len = nla_attr_size(len);
	nlmsg_trim(skb, (char *)attr + NLA_ALIGN(attr->nla_len));
	genlmsg_end(skb, hdr);
	return 0;
}

/* A table other than that of flows is dirty as a whole. Context: process. Return: 0 or -EMSGSIZE */
static int drain_dirty(struct flyrep_net *fn, struct sk_buff *skb, struct netlink_callback *cb)
{
	u8 table = 0;
	void *hdr;

	while (skb_tailroom(skb) >= DRAIN_OVERHEAD) {
		table = flyrep_item_take_dirty(fn, table);
		if (!table && flyrep_hint_take_dirty(fn))
			table = FLYREP_TABLE_NFT_SET;
		if (!table && flyrep_expect_take_dirty(fn))
			table = FLYREP_TABLE_EXPECTATION;
		if (!table)
			return 0;
		hdr = drain_message(skb, cb, 0);
		if (WARN_ON_ONCE(!hdr))
			return -EMSGSIZE;
		nla_put_u8(skb, FLYREP_A_TABLE, table);
		nla_put_u32(skb, FLYREP_A_DIRTY, FLYREP_BUCKETS);
		genlmsg_end(skb, hdr);
	}
	return -EMSGSIZE;
}

/* Context: process. Return: 0 or -EMSGSIZE, nothing taken then */
static int drain_buckets(struct flyrep_net *fn, struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nlattr *bitmap;
	unsigned int n;
	void *hdr;

	if (!flyrep_buckets_count(&fn->buckets)) {
		trace_flyrep_drained(fn, 0);
		return 0;
	}
	hdr = drain_message(skb, cb, FLYREP_BUCKETS_LEN);
	if (!hdr)
		return -EMSGSIZE;
	nla_put_u8(skb, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	bitmap = nla_reserve(skb, FLYREP_A_BUCKETS, FLYREP_BUCKETS_LEN);
	if (WARN_ON_ONCE(!bitmap))
		return -EMSGSIZE;
	n = flyrep_buckets_take(&fn->buckets, nla_data(bitmap));
	trace_flyrep_drained(fn, n);
	if (!n) {
		genlmsg_cancel(skb, hdr);
		return 0;
	}
	nla_put_u32(skb, FLYREP_A_DIRTY, n);
	genlmsg_end(skb, hdr);
	return 0;
}

/* Context: process. Return: 0 or -EMSGSIZE */
static int drain_last(struct flyrep_net *fn, struct sk_buff *skb, struct netlink_callback *cb)
{
	void *hdr = drain_message(skb, cb, 0);

	if (!hdr)
		return -EMSGSIZE;
	nla_put_u64_64bit(skb, FLYREP_A_STAMP, atomic64_read(&fn->stamp), FLYREP_A_PAD);
	genlmsg_end(skb, hdr);
	return 0;
}

/* From here on, whatever is pushed or marked rings. Context: process */
static void drain_arm(struct flyrep_net *fn, struct flyrep_reader *reader)
{
	if (flyrep_ring_arm(reader->ring))
		flyrep_reader_wake(fn);
	else if (flyrep_item_changed(fn) || flyrep_expect_changed(fn) || flyrep_hint_words(fn))
		flyrep_reader_ring(fn);
	/* Pairs with the atomic of flyrep_buckets_mark(), after which the flag is read. */
	smp_mb();
}

int flyrep_drain_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct flyrep_net *fn = flyrep_pernet(sock_net(cb->skb->sk));
	struct flyrep_reader *reader = flyrep_reader_find(fn, NETLINK_CB(cb->skb).portid);
	int err = 0;

	if (!reader) {
		NL_SET_ERR_MSG(cb->extack, "only the reader may drain: BIND first");
		return -EPERM;
	}
	switch (cb->args[DRAIN_PHASE]) {
	case DRAIN_BEGIN:
		flyrep_listen_catch_up(fn);
		cb->args[DRAIN_BUDGET] = flyrep_ring_capacity(reader->ring);
		cb->args[DRAIN_PHASE] = DRAIN_RECORDS;
		fallthrough;
	case DRAIN_RECORDS:
		err = drain_records(fn, reader, skb, cb);
		if (err || cb->args[DRAIN_BUDGET] > 0)
			return err ?: skb->len;
		cb->args[DRAIN_BUDGET] = flyrep_expect_changed(fn);
		cb->args[DRAIN_PHASE] = DRAIN_EXPECTS;
		fallthrough;
	case DRAIN_EXPECTS:
		while (!err && cb->args[DRAIN_BUDGET] > 0)
			err = drain_expects(fn, skb, cb);
		if (err)
			break;
		cb->args[DRAIN_BUDGET] = READ_ONCE(fn->items.n_changed);
		cb->args[DRAIN_PHASE] = DRAIN_ITEMS;
		fallthrough;
	case DRAIN_ITEMS:
		while (!err && cb->args[DRAIN_BUDGET] > 0)
			err = drain_items(fn, skb, cb);
		if (err)
			break;
		cb->args[DRAIN_BUDGET] = flyrep_hint_words(fn);
		cb->args[DRAIN_PHASE] = DRAIN_HINTS;
		fallthrough;
	case DRAIN_HINTS:
		while (!err && cb->args[DRAIN_BUDGET] > 0)
			err = drain_hints(fn, skb, cb);
		if (err)
			break;
		drain_arm(fn, reader);
		cb->args[DRAIN_PHASE] = DRAIN_BUCKETS;
		fallthrough;
	case DRAIN_BUCKETS:
		err = drain_buckets(fn, skb, cb) ?: drain_dirty(fn, skb, cb);
		if (err)
			break;
		cb->args[DRAIN_PHASE] = DRAIN_LAST;
		fallthrough;
	case DRAIN_LAST:
		err = drain_last(fn, skb, cb);
	}
	/* With something in the message: the rest in the next one */
	return err == -EMSGSIZE && skb->len ? skb->len : err;
}
