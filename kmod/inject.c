// SPDX-License-Identifier: GPL-2.0-only
#include "inject.h"

#include <linux/sched.h>
#include <net/netfilter/nf_conntrack_acct.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_ecache.h>
#include <net/netfilter/nf_conntrack_labels.h>
#include <net/netfilter/nf_conntrack_timestamp.h>
#include <net/netfilter/nf_nat.h>

#include "capture.h"
#include "conntrack.h"
#include "expect.h"
#include "extras.h"
#include "flyrep.h"
#include "hold.h"
#include "listen.h"
#include "pernet.h"
#include "proto.h"
#include "reader.h"
#include "trace.h"
#include "window.h"

/* The status bits of a record that are ours to set; those of NAT follow from the tuples. */
#define INJECT_STATUS		(IPS_SEEN_REPLY | IPS_ASSURED)
/* Between looking for a flow and inserting it another may come. */
#define INJECT_TRIES		3
#define INJECT_RESCHED		64

#define INJECT_EVENTS_UPDATE	((1 << IPCT_REPLY) | (1 << IPCT_ASSURED) | \
				 (1 << IPCT_PROTOINFO) | (1 << IPCT_MARK))
/* With a tail, these beside them */
#define INJECT_EVENTS_TAIL	((1 << IPCT_HELPER) | (1 << IPCT_LABEL) | (1 << IPCT_SEQADJ) | \
				 (1 << IPCT_SYNPROXY))

/* What becomes of the flow that holds the key of a record */
enum inject_verdict {
	INJECT_BUSY,
	INJECT_SHARE,
	INJECT_MERGE,
	INJECT_REPLACE,
};

/**
 * struct inject_flow - a record, in the kernel's terms
 * @r: the record
 * @x: its tail, or NULL
 * @zone: its zone
 * @orig: its original tuple
 * @reply: its reply tuple
 * @natural: the reply tuple it would have without NAT
 */
struct inject_flow {
	const struct flyrep_ct		*r;
	const struct flyrep_ct_ext	*x;
	struct nf_conntrack_zone	zone;
	struct nf_conntrack_tuple	orig;
	struct nf_conntrack_tuple	reply;
	struct nf_conntrack_tuple	natural;
};

static int inject_flow_init(struct inject_flow *f, const struct flyrep_ct *r,
			    const struct flyrep_ct_ext *x)
{
	f->r = r;
	f->x = x;
	nf_ct_zone_init(&f->zone, r->zone, r->zone_dir, 0);
	flyrep_conntrack_tuple(&f->orig, r, IP_CT_DIR_ORIGINAL);
	flyrep_conntrack_tuple(&f->reply, r, IP_CT_DIR_REPLY);
	/* ICMP: only a request has an answer. */
	return nf_ct_invert_tuple(&f->natural, &f->orig) ? 0 : -EINVAL;
}

/*
 * The flow that holds the key. A flow found by its reply tuple, or of a zone that is another but
 * overlaps, is not the one: it is in the way.
 *
 * Context: process. Return: 0 with a reference in *@ct, -ENOENT, -EADDRINUSE
 */
static int inject_find(struct net *net, const struct inject_flow *f, struct nf_conn **ct)
{
	struct nf_conntrack_tuple_hash *h = nf_conntrack_find_get(net, &f->zone, &f->orig);

	if (!h)
		return -ENOENT;
	*ct = nf_ct_tuplehash_to_ctrack(h);
	if (NF_CT_DIRECTION(h) == IP_CT_DIR_ORIGINAL &&
	    nf_ct_zone(*ct)->id == f->zone.id && nf_ct_zone(*ct)->dir == f->zone.dir)
		return 0;
	nf_ct_put(*ct);
	return -EADDRINUSE;
}

static bool inject_has_nat(const struct inject_flow *f)
{
	return !nf_ct_tuple_equal(&f->natural, &f->reply);
}

static bool inject_is_icmp(u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* Make one side of the mapping exactly so. Where there are no ports, nothing is said of them. */
static int inject_nat_side(struct nf_conn *ct, enum nf_nat_manip_type manip,
			   const union nf_inet_addr *addr, __be16 port)
{
	struct nf_nat_range2 range = {
		.flags		= NF_NAT_RANGE_MAP_IPS,
		.min_addr	= *addr,
		.max_addr	= *addr,
		.min_proto.all	= port,
		.max_proto.all	= port,
	};

	if (inject_is_icmp(nf_ct_protonum(ct)) || flyrep_proto_has_ports(nf_ct_protonum(ct)))
		range.flags |= NF_NAT_RANGE_PROTO_SPECIFIED;
	return nf_nat_setup_info(ct, &range, manip) == NF_ACCEPT ? 0 : -ENOMEM;
}

/*
 * Both sides, as the kernel does for a packet that meets NAT. What comes out is compared with what
 * was wanted: the NAT core may have chosen otherwise.
 *
 * Context: RCU read side, flow not confirmed
 */
static int inject_nat(struct nf_conn *ct, const struct inject_flow *f)
{
	const struct nf_conntrack_tuple *t = &f->reply;
	bool is_icmp = inject_is_icmp(f->r->proto);
	int err;

	if (likely(!inject_has_nat(f)))
		return 0;
	/* An identifier is one for both directions, and mapped as a source. */
	err = inject_nat_side(ct, NF_NAT_MANIP_DST, &t->src.u3,
			      is_icmp ? f->natural.src.u.all : t->src.u.all);
	if (err)
		return err;
	err = inject_nat_side(ct, NF_NAT_MANIP_SRC, &t->dst.u3,
			      is_icmp ? t->src.u.all : t->dst.u.all);
	if (err)
		return err;
	return nf_ct_tuple_equal(&ct->tuplehash[IP_CT_DIR_REPLY].tuple, &f->reply) ?
	       0 : -EADDRINUSE;
}

static void inject_set_mark(struct nf_conn *ct, u32 mark)
{
#ifdef CONFIG_NF_CONNTRACK_MARK
	WRITE_ONCE(ct->mark, mark);
#endif
}

/*
 * What a flow has beside its tuples and its state. The helper goes first, as NAT wants to know.
 * Extensions as a packet would have made them: none can be added later.
 *
 * Context: RCU read side, flow not confirmed. Return: FLYREP_CT_EXT_* left out; -errno
 */
static __always_inline int inject_extend(struct nf_conn *ct, const struct inject_flow *f)
{
	struct nf_conn_tstamp *tstamp;
	int left_out = 0, rc;

	/* Without it nobody would learn of its end. */
	if (!nf_ct_ecache_ext_add(ct, 0, 0, GFP_ATOMIC))
		return -ENOMEM;
	if (unlikely(f->x)) {
		left_out = flyrep_extras_help(ct, f->x);
		if (left_out < 0)
			return left_out;
	}
	rc = inject_nat(ct, f);
	if (rc)
		return rc;
	nf_ct_acct_ext_add(ct, GFP_ATOMIC);
	nf_ct_labels_ext_add(ct);
	tstamp = nf_ct_tstamp_ext_add(ct, GFP_ATOMIC);
	if (tstamp)
		tstamp->start = ktime_get_real_ns();
	if (likely(!f->x))
		return 0;
	rc = flyrep_extras_add(ct, f->x);
	return rc < 0 ? rc : left_out | rc;
}

/* A new flow. Context: RCU read side, flow not confirmed. Return: as above */
static int inject_fill(struct flyrep_net *fn, struct nf_conn *ct, const struct inject_flow *f)
{
	int left_out = inject_extend(ct, f);

	if (left_out < 0)
		return left_out;
	ct->status |= IPS_CONFIRMED | (f->r->status & INJECT_STATUS) |
		      FLYREP_CT_REMOTE | FLYREP_CT_SENT;
	__nf_ct_set_timeout(ct, (u64)READ_ONCE(fn->hold_s) * HZ);
	inject_set_mark(ct, f->r->mark);
	flyrep_proto_init(ct);
	flyrep_proto_write(ct, f->r);
	/* Its windows are zero: the next packets tell them. */
	if (f->r->proto == IPPROTO_TCP)
		flyrep_window_fresh(ct);
	return left_out;
}

/*
 * Context: process. Return: 0; -EEXIST: one of the tuples is taken; -EADDRINUSE; -EAGAIN:
 * extensions have changed under us, try again; -ENFILE; -ENOSPC; -ENOMEM
 */
static int inject_create(struct flyrep_net *fn, const struct inject_flow *f)
{
	unsigned int max = READ_ONCE(nf_conntrack_max);
	unsigned int events = INJECT_EVENTS_UPDATE | (1 << IPCT_NEW);
	struct nf_conn *ct;
	int left_out, err;

	/* The kernel would make room by dropping a local flow. Not for this. */
	if (max && nf_conntrack_count(fn->net) >= max)
		return -ENFILE;
	ct = nf_conntrack_alloc(fn->net, &f->zone, &f->orig, &f->natural, GFP_KERNEL);
	if (IS_ERR(ct))
		return -ENOMEM;

	/* In one section, so that a helper which goes away finds the flow in the table. */
	rcu_read_lock();
	left_out = inject_fill(fn, ct, f);
	err = left_out < 0 ? left_out : nf_conntrack_hash_check_insert(ct);
	rcu_read_unlock();
	if (err) {
		/* Not in the table: as far as conntrack goes it never was confirmed. */
		if (ct->master)
			nf_ct_put(ct->master);
		nf_conntrack_free(ct);
		return err;
	}
	trace_flyrep_hold(fn, ct);
	if (unlikely(f->x)) {
		if (left_out)
			flyrep_pernet_count(fn, FLYREP_C_INJECT_REDUCED, 1);
		if (ct->master)
			events ^= (1 << IPCT_NEW) | (1 << IPCT_RELATED);
		events |= INJECT_EVENTS_TAIL;
	}
	flyrep_capture_tell(fn, events, ct);
	nf_ct_put(ct);
	return 0;
}

/* Context: process */
static void inject_delete(const struct flyrep_net *fn, struct nf_conn *ct)
{
	set_bit(FLYREP_CT_DELETED_BIT, &ct->status);
	nf_ct_delete(ct, flyrep_capture_portid(fn), 0);
}

/* What becomes of a local flow that another node calls its own, too */
static enum inject_verdict inject_judge_shared(const struct nf_conn *ct,
					       const struct inject_flow *f)
{
	if (f->r->rec.op == FLYREP_OP_INSERT && flyrep_proto_is_over(ct) &&
	    flyrep_proto_is_other(ct, f->r))
		return INJECT_REPLACE;
	return nf_ct_tuple_equal(&ct->tuplehash[IP_CT_DIR_REPLY].tuple, &f->reply) ?
	       INJECT_SHARE : INJECT_BUSY;
}

static enum inject_verdict inject_judge(const struct nf_conn *ct, const struct inject_flow *f,
					u32 flags)
{
	if (!test_bit(FLYREP_CT_REMOTE_BIT, &ct->status) && !(flags & FLYREP_APPLY_F_FORCE))
		return flags & FLYREP_APPLY_F_SHARED ? inject_judge_shared(ct, f) : INJECT_BUSY;
	if (!nf_ct_tuple_equal(&ct->tuplehash[IP_CT_DIR_REPLY].tuple, &f->reply))
		return INJECT_REPLACE;
	/* A state never goes back: that is another connection, and an INSERT says so. */
	if (f->r->rec.op == FLYREP_OP_INSERT && flyrep_proto_is_other(ct, f->r))
		return INJECT_REPLACE;
	/* Nothing can be added to a flow. A held one can be made anew, unless this is older. */
	if (unlikely(f->x) && test_bit(FLYREP_CT_REMOTE_BIT, &ct->status) &&
	    !flyrep_extras_fit(ct, f->x) && !flyrep_proto_is_backward(ct, f->r))
		return INJECT_REPLACE;
	return INJECT_MERGE;
}

/* Context: process; a reference to @ct is held */
static void inject_merge(struct flyrep_net *fn, struct nf_conn *ct, const struct inject_flow *f)
{
	const struct flyrep_ct *r = f->r;
	unsigned int events = INJECT_EVENTS_UPDATE;

	if (r->status & IPS_SEEN_REPLY)
		set_bit(IPS_SEEN_REPLY_BIT, &ct->status);
	if (r->status & IPS_ASSURED)
		set_bit(IPS_ASSURED_BIT, &ct->status);
	inject_set_mark(ct, r->mark);
	if (flyrep_proto_has_value(r->proto)) {
		spin_lock_bh(&ct->lock);
		if (!flyrep_proto_is_backward(ct, r))
			flyrep_proto_write(ct, r);
		spin_unlock_bh(&ct->lock);
	}
	if (unlikely(f->x || flyrep_extras_maybe(ct))) {
		if (flyrep_extras_merge(ct, f->x))
			flyrep_pernet_count(fn, FLYREP_C_INJECT_REDUCED, 1);
		events |= INJECT_EVENTS_TAIL;
	}
	if (test_bit(FLYREP_CT_REMOTE_BIT, &ct->status))
		flyrep_hold_extend(fn, ct);
	else
		flyrep_hold_take(fn, ct);
	flyrep_capture_tell(fn, events, ct);
}

/*
 * A local flow stays so, but learns what the record is ahead in: where the other node has seen the
 * connection's end it must not live on here. Context: process; a reference to @ct is held
 */
static void inject_share(struct nf_conn *ct, const struct flyrep_ct *r)
{
	unsigned long more = r->status & INJECT_STATUS & ~READ_ONCE(ct->status);
	bool is_ahead;

	spin_lock_bh(&ct->lock);
	is_ahead = flyrep_proto_is_ahead(ct, r);
	if (is_ahead)
		flyrep_proto_write(ct, r);
	spin_unlock_bh(&ct->lock);
	if (more & IPS_SEEN_REPLY)
		set_bit(IPS_SEEN_REPLY_BIT, &ct->status);
	if (more & IPS_ASSURED)
		set_bit(IPS_ASSURED_BIT, &ct->status);
	if (is_ahead)
		flyrep_hold_refresh(ct);
	if (is_ahead || more)
		flyrep_capture_hear(ct, 0);
}

/* Put the flow in place of @old, if any. Context: process. Return: as inject_create() */
static int inject_replace(struct flyrep_net *fn, struct nf_conn *old, const struct inject_flow *f)
{
	/* What it expects goes with it, and is the owner's to give again. */
	flyrep_expect_look(fn, old);
	inject_delete(fn, old);
	return inject_create(fn, f);
}

/*
 * INSERT and UPDATE. Context: process. Return: 0; -EEXIST and -EAGAIN: look again; -errno
 */
static int inject_once(struct flyrep_net *fn, const struct inject_flow *f, u32 flags,
		       bool is_new)
{
	enum flyrep_counter counter = FLYREP_C_INJECT_INSERTED;
	struct nf_conn *ct;
	int err;

	err = is_new ? -ENOENT : inject_find(fn->net, f, &ct);
	if (err == -ENOENT) {
		err = inject_create(fn, f);
	} else if (!err) {
		switch (inject_judge(ct, f, flags)) {
		case INJECT_SHARE:
			inject_share(ct, f->r);
			fallthrough;
		case INJECT_BUSY:
			err = -EBUSY;
			break;
		case INJECT_MERGE:
			counter = FLYREP_C_INJECT_UPDATED;
			inject_merge(fn, ct, f);
			break;
		case INJECT_REPLACE:
			counter = FLYREP_C_INJECT_REPLACED;
			err = inject_replace(fn, ct, f);
			break;
		}
		nf_ct_put(ct);
	}
	if (!err)
		flyrep_pernet_count(fn, counter, 1);
	return err;
}

/* Is the reply tuple taken by another flow? An expired one is removed by looking. */
static bool inject_is_reply_taken(struct net *net, const struct inject_flow *f)
{
	struct nf_conntrack_tuple_hash *h = nf_conntrack_find_get(net, &f->zone, &f->reply);

	if (!h)
		return false;
	nf_ct_put(nf_ct_tuplehash_to_ctrack(h));
	return true;
}

/* Context: process. Return: 0 or -errno for the caller */
static int inject_put(struct flyrep_net *fn, const struct inject_flow *f, u32 flags)
{
	struct nf_conn *ct;
	int tries, err;

	if (unlikely(f->x))
		flyrep_extras_prepare(fn, f->x, f->r, inject_has_nat(f));
	/* An INSERT is most likely of a new flow: do not look for it first. */
	if (f->r->rec.op == FLYREP_OP_INSERT) {
		err = inject_once(fn, f, flags, true);
		if (!err)
			return 0;
	}
	for (tries = 0; tries < INJECT_TRIES; tries++) {
		err = inject_once(fn, f, flags, false);
		if (err != -EEXIST && err != -EAGAIN)
			return err;
		/* Somebody was quicker with this key, or another flow has our reply tuple. */
		if (err == -EEXIST && !inject_find(fn->net, f, &ct))
			nf_ct_put(ct);
		else if (err == -EEXIST && inject_is_reply_taken(fn->net, f))
			return -EADDRINUSE;
	}
	return err == -EEXIST ? -EADDRINUSE : -ENOMEM;
}

/* Context: process. Return: 0, -ENOENT, -EBUSY */
static int inject_remove(struct flyrep_net *fn, const struct inject_flow *f, u32 flags)
{
	struct nf_conn *ct;
	int err;

	err = inject_find(fn->net, f, &ct);
	if (err)
		return -ENOENT;
	if (!test_bit(FLYREP_CT_REMOTE_BIT, &ct->status) && !(flags & FLYREP_APPLY_F_FORCE)) {
		err = -EBUSY;
	} else if ((flags & FLYREP_APPLY_F_SHARED) && flyrep_hold_is_used(fn, ct)) {
		/* Its next packet would be of a new flow otherwise. This is its takeover. */
		flyrep_capture_hear(ct, 0);
		err = -EBUSY;
	} else {
		inject_delete(fn, ct);
	}
	nf_ct_put(ct);
	if (!err)
		flyrep_pernet_count(fn, FLYREP_C_INJECT_DELETED, 1);
	return err;
}

static int inject_one(struct flyrep_net *fn, const struct flyrep_ct *r,
		      const struct flyrep_ct_ext *x, u32 flags)
{
	struct inject_flow f;
	int err;

	err = flyrep_conntrack_check(r);
	if (!err && unlikely(x))
		err = flyrep_extras_check(x, r);
	if (!err)
		err = inject_flow_init(&f, r, x);
	if (err)
		return err;
	if (r->rec.op == FLYREP_OP_DELETE)
		return inject_remove(fn, &f, flags);
	return inject_put(fn, &f, flags);
}

void flyrep_inject_count_error(struct flyrep_net *fn, int err)
{
	flyrep_pernet_count(fn, FLYREP_C_INJECT_REFUSED, 1);
	if (err == -ENFILE)
		flyrep_pernet_count(fn, FLYREP_C_INJECT_FULL, 1);
	else if (err == -EADDRINUSE)
		flyrep_pernet_count(fn, FLYREP_C_INJECT_NAT_CLASH, 1);
}

/* The tail of a record, behind its fixed part, in our length. Return: @x, or NULL for a DELETE */
static noinline const struct flyrep_ct_ext *inject_tail(struct flyrep_ct_ext *x,
							const struct flyrep_ct *r,
							const u8 *tail)
{
	size_t len = min_t(size_t, r->rec.tail_len, sizeof(*x));

	if (r->rec.op == FLYREP_OP_DELETE)
		return NULL;
	memset(x, 0, sizeof(*x));
	memcpy(x, tail, len);
	return x;
}

unsigned int flyrep_inject_apply(struct flyrep_net *fn, const struct flyrep_inject *req)
{
	unsigned int n_errors = 0, i;
	const u8 *pos = req->data;
	struct flyrep_ct_ext x;
	struct flyrep_ct r;
	int err;

	WRITE_ONCE(fn->is_touched, true);
	/* A change of a flow that is still local must not look like its takeover. */
	flyrep_listen_catch_up(fn);
	for (i = 0; i < req->n; i++) {
		memcpy(&r, pos, sizeof(r));
		pos += req->rec_len;
		if (likely(!r.rec.tail_len)) {
			err = inject_one(fn, &r, NULL, req->flags);
		} else {
			err = inject_one(fn, &r, inject_tail(&x, &r, pos), req->flags);
			pos += r.rec.tail_len;
		}
		trace_flyrep_apply(fn, &r, err);
		if (unlikely(err)) {
			req->errors[n_errors].index = i;
			req->errors[n_errors].error = err;
			n_errors++;
			flyrep_inject_count_error(fn, err);
		}
		if (i % INJECT_RESCHED == INJECT_RESCHED - 1)
			cond_resched();
	}
	/* Without a reader somebody must look after what was injected. */
	if (!flyrep_reader_portid(fn))
		flyrep_hold_on_release(fn);
	return n_errors;
}
