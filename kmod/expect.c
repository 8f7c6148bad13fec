// SPDX-License-Identifier: GPL-2.0-only
#include "expect.h"

#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_ecache.h>
#include <net/netfilter/nf_conntrack_expect.h>
#include <net/netfilter/nf_conntrack_helper.h>

#include "compat/compat.h"
#include "conntrack.h"
#include "filter.h"
#include "inject.h"
#include "netlink.h"
#include "pernet.h"
#include "proto.h"
#include "reader.h"
#include "trace.h"

static_assert(sizeof(struct flyrep_expect) == 200);
static_assert(offsetof(struct flyrep_expect, flags) == 120);
static_assert(sizeof_field(struct nf_conntrack_helper, name) == FLYREP_CT_HELPER_LEN);
static_assert(NF_CT_MAX_EXPECT_CLASSES == FLYREP_EXPECT_CLASSES);
static_assert(FLYREP_EXPECT_FLAGS_MASK == (NF_CT_EXPECT_PERMANENT | NF_CT_EXPECT_INACTIVE));

#define EXPECT_SLOTS	256	/* a power of two */
#define EXPECT_RESCHED	64
/* A held one outlives its original by this, in seconds: its end is the owner's to tell. */
#define EXPECT_GRACE_S	10
#define EXPECT_MAX_S	FLYREP_HOLD_MAX_S
/* When the kernel has no room it says so in its log: it is not asked at once again. */
#define EXPECT_BACKOFF	HZ

/* Of our making: nobody has a socket of this port but we, see listen.h. */
#define EXPECT_PORTID	FLYREP_LISTEN_PORTID

/**
 * struct flyrep_expect_slot - an expectation that changed
 * @r: its key, its id, and whether it was held
 * @pushed_ns: ktime_get_mono_fast_ns() of that
 */
struct flyrep_expect_slot {
	struct flyrep_expect	r;
	u64			pushed_ns;
};

/* --- reading ---------------------------------------------------------------- */

/*
 * Context: nf_conntrack_expect_lock held: an expectation holds no reference to its master, but is
 * unlinked under this lock before that goes away.
 */
static void expect_read_key(struct flyrep_expect *r, const struct nf_conntrack_expect *exp)
{
	const struct nf_conn *master = exp->master;
	size_t n, i;

	lockdep_assert_held(&nf_conntrack_expect_lock);
	r->family = nf_ct_l3num(master);
	r->proto = exp->tuple.dst.protonum;
	r->master_proto = nf_ct_protonum(master);
	r->zone_dir = nf_ct_zone(master)->dir;
	r->zone = nf_ct_zone(master)->id;
	r->mask_sport = exp->mask.src.u.all;
	flyrep_conntrack_read_tuple(&r->master, &master->tuplehash[IP_CT_DIR_ORIGINAL].tuple);
	flyrep_conntrack_read_tuple(&r->tuple, &exp->tuple);
	n = r->family == AF_INET ? 1 : ARRAY_SIZE(r->mask_src.word);
	for (i = 0; i < ARRAY_SIZE(r->mask_src.word); i++)
		r->mask_src.word[i] = i < n ? (__force __be32)exp->mask.src.u3.all[i] : 0;
}

/* Context: as above, RCU read side. Return: NULL if it has none, or if that has no name */
static const char *expect_fn_name(const struct nf_conntrack_expect *exp)
{
	const struct nf_ct_helper_expectfn *f;

	f = exp->expectfn ? nf_ct_helper_expectfn_find_by_symbol(exp->expectfn) : NULL;
	return f && strlen(f->name) < FLYREP_EXPECT_FN_LEN ? f->name : NULL;
}

/* All the rest, but for rec. Context: as above */
static void expect_read_value(struct flyrep_expect *r, const struct nf_conntrack_expect *exp)
{
	const struct nf_conntrack_helper *helper = flyrep_compat_expect_helper(exp);
	const char *fn = expect_fn_name(exp);
	s32 left = flyrep_compat_expect_left(exp);

	memset_after(r, 0, mask_src);
	r->flags = READ_ONCE(exp->flags) & NF_CT_EXPECT_MASK;
	r->timeout_s = left > 0 ? left / HZ : 0;
	r->class = exp->class;
#if IS_ENABLED(CONFIG_NF_NAT)
	r->nat_dir = exp->dir;
	r->nat_port = exp->saved_proto.all;
	memcpy(&r->nat_addr, &exp->saved_addr,
	       r->family == AF_INET ? sizeof(__be32) : sizeof(r->nat_addr));
#endif
	if (helper)
		strscpy(r->helper, helper->name, sizeof(r->helper));
	if (fn)
		strscpy(r->expectfn, fn, sizeof(r->expectfn));
}

static u32 expect_id(const struct flyrep_net *fn, const struct nf_conntrack_expect *exp)
{
	return hsiphash_2u32((unsigned long)exp, upper_32_bits((unsigned long)exp), &fn->id_key);
}

static unsigned int expect_bucket(const struct flyrep_expect *r, const struct flyrep_net *fn)
{
	u8 key[FLYREP_EXPECT_KEY_MAX_LEN] __aligned(8);

	return flyrep_buckets_hash(&fn->buckets, key, flyrep_expect_key(key, r));
}

/* Can a record tell all of it? Context: as above */
static bool expect_travels(const struct nf_conntrack_expect *exp)
{
	return exp->tuple.src.l3num == nf_ct_l3num(exp->master) &&
	       exp->class < FLYREP_EXPECT_CLASSES && (!exp->expectfn || expect_fn_name(exp));
}

/*
 * The expectation that a packet of the expected flow would meet: there is but one, as two that
 * one packet fits clash.
 *
 * Context: nf_conntrack_expect_lock held, RCU read side
 */
static struct nf_conntrack_expect *expect_meet(const struct flyrep_net *fn,
					       const struct flyrep_expect *r)
{
	struct nf_conntrack_tuple t;
	struct nf_conntrack_zone zone;

	lockdep_assert_held(&nf_conntrack_expect_lock);
	nf_ct_zone_init(&zone, r->zone, r->zone_dir, 0);
	flyrep_conntrack_write_tuple(&t, &r->tuple, r->family, r->proto, IP_CT_DIR_ORIGINAL);
	return __nf_ct_expect_find(fn->net, &zone, &t);
}

/* Context: nf_conntrack_expect_lock held */
static bool expect_has_key(const struct nf_conntrack_expect *exp, const struct flyrep_expect *r)
{
	const size_t from = offsetof(struct flyrep_expect, family);
	struct flyrep_expect key;

	expect_read_key(&key, exp);
	return !memcmp((u8 *)&key + from, (const u8 *)r + from,
		       offsetofend(struct flyrep_expect, mask_src) - from);
}

/* Context: as expect_meet() */
static struct nf_conntrack_expect *expect_find(const struct flyrep_net *fn,
					       const struct flyrep_expect *r)
{
	struct nf_conntrack_expect *exp = expect_meet(fn, r);

	return exp && expect_has_key(exp, r) ? exp : NULL;
}

static bool expect_is_held(const struct nf_conntrack_expect *exp)
{
	return test_bit(FLYREP_CT_REMOTE_BIT, &exp->master->status);
}

/* One that sleeps wakes without an event. Context: nf_conntrack_expect_lock held */
static u8 expect_rec_flags(const struct nf_conntrack_expect *exp)
{
	return (expect_is_held(exp) ? FLYREP_REC_F_REMOTE : 0) |
	       (READ_ONCE(exp->flags) & NF_CT_EXPECT_INACTIVE ? FLYREP_REC_F_MUTE : 0);
}

/* --- the queue -------------------------------------------------------------- */

void flyrep_expect_init(struct flyrep_net *fn)
{
	raw_spin_lock_init(&fn->expects.lock);
}

void flyrep_expect_exit(struct flyrep_net *fn)
{
	kvfree(fn->expects.slots);
}

int flyrep_expect_prepare(struct flyrep_net *fn)
{
	struct flyrep_expects *q = &fn->expects;

	lockdep_assert_held(&fn->lock);
	if (!q->slots)
		q->slots = kvcalloc(EXPECT_SLOTS, sizeof(*q->slots), GFP_KERNEL_ACCOUNT);
	return q->slots ? 0 : -ENOMEM;
}

void flyrep_expect_forget(struct flyrep_net *fn)
{
	struct flyrep_expects *q = &fn->expects;
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	q->tail = q->head;
	q->is_dirty = false;
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

/* Context: any. Return: false if it is full */
static bool expect_push(struct flyrep_expects *q, const struct flyrep_expect_slot *slot)
{
	unsigned long flags;
	bool has_room;

	raw_spin_lock_irqsave(&q->lock, flags);
	has_room = q->head - q->tail < EXPECT_SLOTS;
	if (has_room)
		q->slots[q->head++ % EXPECT_SLOTS] = *slot;
	else
		q->is_dirty = true;
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return has_room;
}

/* Context: any. Return: false if it is empty */
static bool expect_pop(struct flyrep_expects *q, struct flyrep_expect_slot *slot)
{
	unsigned long flags;
	bool has_some;

	raw_spin_lock_irqsave(&q->lock, flags);
	has_some = q->head != q->tail;
	if (has_some)
		*slot = q->slots[q->tail++ % EXPECT_SLOTS];
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return has_some;
}

/* Context: nf_conntrack_expect_lock held, RCU read side; there is a reader */
static void expect_queue(struct flyrep_net *fn, const struct nf_conntrack_expect *exp)
{
	struct flyrep_expect_slot slot = { .pushed_ns = ktime_get_mono_fast_ns() };

	expect_read_key(&slot.r, exp);
	slot.r.rec.id = expect_id(fn, exp);
	slot.r.rec.flags = expect_is_held(exp) ? FLYREP_REC_F_REMOTE : 0;
	flyrep_pernet_count(fn, expect_push(&fn->expects, &slot) ? FLYREP_C_CAPTURE_QUEUED :
							      FLYREP_C_RING_OVERFLOW, 1);
	flyrep_reader_ring(fn);
}

/*
 * A held one that ends while its master goes on is a loss. Of a local one the coming is news if
 * its master was told; if not yet, flyrep_expect_look() will follow, and see it: it
 * takes the lock that is held here after SENT was set. The end always may be.
 *
 * Context: nf_conntrack_expect_lock held
 */
static bool expect_is_news(const struct flyrep_net *fn, unsigned int events,
			   const struct nf_conntrack_expect *exp)
{
	bool is_end = events & (1 << IPEXP_DESTROY);

	if (expect_is_held(exp))
		return is_end && !test_bit(FLYREP_CT_DELETED_BIT, &exp->master->status);
	return !READ_ONCE(fn->is_standby) &&
	       (is_end || test_bit(FLYREP_CT_SENT_BIT, &exp->master->status));
}

void flyrep_expect_capture(struct flyrep_net *fn, unsigned int events,
			   const struct nf_exp_event *item)
{
	const struct nf_conntrack_expect *exp = item->exp;

	lockdep_assert_held(&nf_conntrack_expect_lock);
	if (item->portid == EXPECT_PORTID) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_ECHO, 1);
	} else if (!rcu_access_pointer(fn->reader)) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_UNBOUND, 1);
	} else if (!expect_is_news(fn, events, exp)) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_FILTERED, 1);
	} else {
		if (expect_is_held(exp))
			flyrep_pernet_count(fn, FLYREP_C_HELD_LOST, 1);
		expect_queue(fn, exp);
	}
}

void flyrep_expect_look(struct flyrep_net *fn, const struct nf_conn *ct)
{
	const struct nf_conn_help *help = nfct_help(ct);
	const struct nf_conntrack_expect *exp;

	if (likely(!help))
		return;
	rcu_read_lock();
	spin_lock_bh(&nf_conntrack_expect_lock);
	if (rcu_access_pointer(fn->reader))
		hlist_for_each_entry(exp, &help->expectations, lnode)
			expect_queue(fn, exp);
	spin_unlock_bh(&nf_conntrack_expect_lock);
	rcu_read_unlock();
}

void flyrep_expect_dirty(struct flyrep_net *fn)
{
	struct flyrep_expects *q = &fn->expects;
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	q->is_dirty = true;
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

bool flyrep_expect_take_dirty(struct flyrep_net *fn)
{
	struct flyrep_expects *q = &fn->expects;
	unsigned long flags;
	bool is_dirty;

	raw_spin_lock_irqsave(&q->lock, flags);
	is_dirty = q->is_dirty;
	q->is_dirty = false;
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return is_dirty;
}

/* --- telling ---------------------------------------------------------------- */

unsigned int flyrep_expect_changed(struct flyrep_net *fn)
{
	struct flyrep_expects *q = &fn->expects;
	unsigned long flags;
	unsigned int n;

	/* The lock orders this after the bell was armed, see flyrep_drain_dump(). */
	raw_spin_lock_irqsave(&q->lock, flags);
	n = q->head - q->tail;
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return n;
}

/*
 * What has become of one that was queued; @r holds its key, and is filled if it lives.
 *
 * Context: process. Return: enum flyrep_op, FLYREP_OP_UNSPEC for no news
 */
static u8 expect_decide(struct flyrep_net *fn, struct flyrep_expect *r)
{
	const struct nf_conntrack_expect *exp;
	u8 op = FLYREP_OP_DELETE;

	rcu_read_lock();
	spin_lock_bh(&nf_conntrack_expect_lock);
	/* Under the lock: of two reads the later one has the higher stamp. */
	r->rec.stamp = atomic64_inc_return(&fn->stamp);
	exp = expect_find(fn, r);
	if (exp && expect_is_held(exp)) {
		/* Lost, and there again; or local when it was queued: the reader's own doing. */
		op = FLYREP_OP_UNSPEC;
	} else if (exp && test_bit(FLYREP_CT_SENT_BIT, &exp->master->status) &&
		   expect_travels(exp)) {
		op = FLYREP_OP_UPDATE;
		r->rec.id = expect_id(fn, exp);
		r->rec.flags = expect_rec_flags(exp);
		expect_read_value(r, exp);
	} else if (!(r->rec.flags & FLYREP_REC_F_REMOTE) && READ_ONCE(fn->is_standby)) {
		op = FLYREP_OP_UNSPEC;
	}
	spin_unlock_bh(&nf_conntrack_expect_lock);
	rcu_read_unlock();
	return op;
}

void flyrep_expect_drain(struct flyrep_net *fn, struct flyrep_netlink_records *recs,
			 long *budget)
{
	struct flyrep_expect *r = recs->data + recs->len;
	struct flyrep_expect_slot slot;
	u64 age_ns;

	for (; *budget > 0 && recs->room - recs->len >= sizeof(*r); (*budget)--) {
		if (!expect_pop(&fn->expects, &slot)) {
			*budget = 0;
			break;
		}
		slot.r.rec.op = expect_decide(fn, &slot.r);
		if (slot.r.rec.op == FLYREP_OP_UNSPEC)
			continue;
		age_ns = max_t(s64, ktime_get_mono_fast_ns() - slot.pushed_ns, 0);
		slot.r.rec.age_us = min_t(u64, div_u64(age_ns, NSEC_PER_USEC), U32_MAX);
		*r++ = slot.r;
		recs->len += sizeof(*r);
		recs->n++;
	}
}

/* Context: nf_conntrack_expect_lock held, RCU read side */
static bool expect_is_wanted(const struct flyrep_net *fn, const struct nf_conntrack_expect *exp,
			     u8 origin)
{
	const struct nf_conn *master = exp->master;

	if (!net_eq(nf_ct_net(master), fn->net) || !nf_ct_is_confirmed(master) ||
	    flyrep_compat_expect_left(exp) <= 0 || !expect_travels(exp))
		return false;
	if (expect_is_held(exp))
		return origin != FLYREP_ORIGIN_LOCAL;
	return origin != FLYREP_ORIGIN_REMOTE && flyrep_filter_pass(fn, master);
}

/* Context: process. Return: 0, or -EMSGSIZE with what was taken of this chain undone */
static int expect_snapshot_chain(struct flyrep_net *fn, struct flyrep_netlink_records *recs,
				 unsigned int chain, u8 origin, const u8 *buckets)
{
	unsigned int len = recs->len, n = recs->n;
	const struct nf_conntrack_expect *exp;
	int err = 0;

	rcu_read_lock();
	spin_lock_bh(&nf_conntrack_expect_lock);
	hlist_for_each_entry(exp, &nf_ct_expect_hash[chain], hnode) {
		struct flyrep_expect *r = recs->data + recs->len;

		if (!expect_is_wanted(fn, exp, origin))
			continue;
		if (recs->room - recs->len < sizeof(*r)) {
			recs->len = len;
			recs->n = n;
			err = -EMSGSIZE;
			break;
		}
		expect_read_key(r, exp);
		if (buckets && !flyrep_buckets_has(buckets, expect_bucket(r, fn)))
			continue;
		r->rec = (struct flyrep_rec) {
			.op = FLYREP_OP_UPDATE,
			.flags = expect_rec_flags(exp),
			.id = expect_id(fn, exp),
			.stamp = atomic64_inc_return(&fn->stamp),
		};
		expect_read_value(r, exp);
		recs->len += sizeof(*r);
		recs->n++;
	}
	spin_unlock_bh(&nf_conntrack_expect_lock);
	rcu_read_unlock();
	return err;
}

int flyrep_expect_snapshot(struct flyrep_net *fn, struct flyrep_netlink_records *recs,
			   unsigned int *chain, u8 origin, const u8 *buckets)
{
	for (; *chain < nf_ct_expect_hsize; (*chain)++) {
		/* What comes into it meanwhile is told by the drain. */
		if (hlist_empty(&nf_ct_expect_hash[*chain]))
			continue;
		if (expect_snapshot_chain(fn, recs, *chain, origin, buckets))
			return recs->n ? 0 : -EMSGSIZE;
		cond_resched();
	}
	return 1;
}

/* --- applying --------------------------------------------------------------- */

/* A name or nothing, and zeros behind it */
static bool expect_is_name(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	return len < size && !memchr_inv(name + len, 0, size - len);
}

static bool expect_is_v4(const union flyrep_addr *a)
{
	return !(a->word[1] | a->word[2] | a->word[3]);
}

static int expect_check_value(const struct flyrep_expect *r)
{
	if (r->class >= FLYREP_EXPECT_CLASSES || r->nat_dir >= IP_CT_DIR_MAX ||
	    (r->family == AF_INET && !expect_is_v4(&r->nat_addr)) ||
	    !expect_is_name(r->helper, sizeof(r->helper)) ||
	    !expect_is_name(r->expectfn, sizeof(r->expectfn)) ||
	    !flyrep_conntrack_is_zero(r->reserved, sizeof(r->reserved)))
		return -EINVAL;
	return 0;
}

static int expect_check(const struct flyrep_expect *r)
{
	struct flyrep_ct side = {
		.rec = r->rec, .family = r->family, .zone = r->zone, .zone_dir = r->zone_dir,
		.proto = r->master_proto, .orig = r->master,
	};
	int err;

	if (r->rec.op == FLYREP_OP_UNSPEC || r->rec.op >= __FLYREP_OP_MAX || r->rec.tail_len)
		return -EINVAL;
	/* Each of the two is the key of a flow. */
	side.rec.op = FLYREP_OP_DELETE;
	err = flyrep_conntrack_check(&side);
	if (err)
		return err;
	side.proto = r->proto;
	side.orig = r->tuple;
	err = flyrep_conntrack_check(&side);
	if (err)
		return err;
	if (r->family == AF_INET && !expect_is_v4(&r->mask_src))
		return -EINVAL;
	return r->rec.op == FLYREP_OP_DELETE ? 0 : expect_check_value(r);
}

/* Context: any. Return: the master with a reference, or NULL */
static struct nf_conn *expect_find_master(const struct flyrep_net *fn,
					  const struct flyrep_expect *r)
{
	struct nf_conntrack_tuple t;
	struct nf_conntrack_zone zone;

	nf_ct_zone_init(&zone, r->zone, r->zone_dir, 0);
	flyrep_conntrack_write_tuple(&t, &r->master, r->family, r->master_proto,
				     IP_CT_DIR_ORIGINAL);
	return flyrep_conntrack_find_get(fn->net, &zone, &t);
}

/* What the record leaves to the kernel of this node */
struct expect_parts {
	struct nf_conntrack_helper	*helper;
	void				(*fn)(struct nf_conn *ct, struct nf_conntrack_expect *exp);
};

/*
 * The modules came with the master's helper, so none is loaded here.
 *
 * Context: RCU read side, the one in which it is used. Return: 0 or -EOPNOTSUPP
 */
static int expect_find_parts(struct expect_parts *parts, const struct flyrep_expect *r,
			     const struct nf_conn *master)
{
	const struct nf_conntrack_helper *helper = flyrep_compat_helper_of(master);
	const struct nf_ct_helper_expectfn *fn = NULL;

	memset(parts, 0, sizeof(*parts));
	if (!helper || r->class > helper->expect_class_max)
		return -EOPNOTSUPP;
	if (r->helper[0]) {
		parts->helper = __nf_conntrack_helper_find(r->helper, r->family, r->proto);
		if (!parts->helper)
			return -EOPNOTSUPP;
	}
	if (r->expectfn[0]) {
		fn = nf_ct_helper_expectfn_find_by_name(r->expectfn);
		if (!fn)
			return -EOPNOTSUPP;
		parts->fn = fn->expectfn;
	}
	return 0;
}

static u32 expect_timeout(const struct flyrep_expect *r)
{
	return min_t(u32, r->timeout_s, EXPECT_MAX_S) * HZ + EXPECT_GRACE_S * HZ;
}

/* Context: RCU read side, a reference to @master is held. Return: it, or NULL without memory */
static struct nf_conntrack_expect *expect_new(const struct flyrep_expect *r,
					      const struct expect_parts *parts,
					      struct nf_conn *master)
{
	struct nf_conntrack_expect *exp = nf_ct_expect_alloc(master);
	struct nf_conntrack_tuple t;

	if (!exp)
		return NULL;
	flyrep_conntrack_write_tuple(&t, &r->tuple, r->family, r->proto, IP_CT_DIR_ORIGINAL);
	nf_ct_expect_init(exp, r->class, r->family, &t.src.u3, &t.dst.u3, r->proto,
			  &t.src.u.all, &t.dst.u.all);
	memcpy(&exp->mask.src.u3, &r->mask_src, sizeof(r->mask_src));
	exp->mask.src.u.all = r->mask_sport;
	exp->flags = r->flags & FLYREP_EXPECT_FLAGS_MASK;
	exp->expectfn = parts->fn;
	flyrep_compat_expect_set_helper(exp, parts->helper);
#if IS_ENABLED(CONFIG_NF_NAT)
	exp->dir = r->nat_dir;
	exp->saved_proto.all = r->nat_port;
	memcpy(&exp->saved_addr, &r->nat_addr, sizeof(r->nat_addr));
#endif
	return exp;
}

/* What the kernel says, in the words of struct flyrep_error */
static int expect_error(int err)
{
	switch (err) {
	case -EBUSY:
	case -EALREADY:
		return -EADDRINUSE;
	case -EMFILE:
		return -ENFILE;
	case -ESHUTDOWN:
		return -EOPNOTSUPP;
	default:
		return err;
	}
}

static bool expect_is_full(const struct flyrep_net *fn)
{
	return READ_ONCE(fn->expects.is_full) &&
	       time_before(jiffies, READ_ONCE(fn->expects.full_since) + EXPECT_BACKOFF);
}

/* Context: RCU read side, a reference to @master is held. Return: 0 or -errno for the caller */
static int expect_create(struct flyrep_net *fn, const struct flyrep_expect *r,
			 struct nf_conn *master)
{
	struct nf_conntrack_expect *exp;
	struct expect_parts parts;
	int err;

	err = expect_find_parts(&parts, r, master);
	if (err)
		return err;
	if (expect_is_full(fn))
		return -ENFILE;
	exp = expect_new(r, &parts, master);
	if (!exp)
		return -ENOMEM;
	err = expect_error(nf_ct_expect_related_report(exp, EXPECT_PORTID, 0, 0));
	if (!err) {
		/* It has got what its helper gives to a new one. */
		spin_lock_bh(&nf_conntrack_expect_lock);
		flyrep_compat_expect_set_left(exp, expect_timeout(r));
		spin_unlock_bh(&nf_conntrack_expect_lock);
	}
	if (err == -ENFILE)
		WRITE_ONCE(fn->expects.full_since, jiffies);
	WRITE_ONCE(fn->expects.is_full, err == -ENFILE);
	nf_ct_expect_put(exp);
	return err;
}

/* Is all the same, but for what may change in place? Context: as expect_meet() */
static bool expect_is_same(const struct nf_conntrack_expect *exp, const struct flyrep_expect *r)
{
	struct flyrep_expect now = { .family = r->family };

	expect_read_value(&now, exp);
	return now.class == r->class && now.nat_dir == r->nat_dir &&
	       now.nat_port == r->nat_port &&
	       !memcmp(&now.nat_addr, &r->nat_addr, sizeof(now.nat_addr)) &&
	       !memcmp(now.helper, r->helper, sizeof(now.helper)) &&
	       !memcmp(now.expectfn, r->expectfn, sizeof(now.expectfn));
}

/*
 * Bring the one that is there to what the record says, or take it away.
 *
 * Context: RCU read side. Return: what it takes yet: INSERTED, REPLACED: a new one; UPDATED:
 * nothing; -EADDRINUSE
 */
static int expect_merge(struct flyrep_net *fn, const struct flyrep_expect *r, u32 flags)
{
	struct nf_conntrack_expect *exp;
	int rc = FLYREP_C_INJECT_INSERTED;

	spin_lock_bh(&nf_conntrack_expect_lock);
	exp = expect_meet(fn, r);
	if (exp && expect_has_key(exp, r) && expect_is_same(exp, r)) {
		WRITE_ONCE(exp->flags, (exp->flags & ~FLYREP_EXPECT_FLAGS_MASK) |
				       (r->flags & FLYREP_EXPECT_FLAGS_MASK));
		flyrep_compat_expect_set_left(exp, expect_timeout(r));
		rc = FLYREP_C_INJECT_UPDATED;
	} else if (exp && !expect_has_key(exp, r) && !expect_is_held(exp) &&
		   !(flags & FLYREP_APPLY_F_FORCE)) {
		rc = -EADDRINUSE;
	} else if (exp) {
		flyrep_compat_expect_unlink(exp, EXPECT_PORTID);
		rc = FLYREP_C_INJECT_REPLACED;
	}
	spin_unlock_bh(&nf_conntrack_expect_lock);
	return rc;
}

/* INSERT and UPDATE. Context: process. Return: 0 or -errno for the caller */
static int expect_put(struct flyrep_net *fn, const struct flyrep_expect *r, u32 flags)
{
	struct nf_conn *master = expect_find_master(fn, r);
	int rc, err = 0;

	if (!master)
		return -ESRCH;
	rcu_read_lock();
	/* It has left the table: a helper that goes away is not taken from it any more. */
	if (nf_ct_is_dying(master))
		rc = -ESRCH;
	else if (!test_bit(FLYREP_CT_REMOTE_BIT, &master->status) &&
		 !(flags & FLYREP_APPLY_F_FORCE))
		rc = -EBUSY;
	else
		rc = expect_merge(fn, r, flags);
	if (rc >= 0 && rc != FLYREP_C_INJECT_UPDATED)
		err = expect_create(fn, r, master);
	rcu_read_unlock();
	nf_ct_put(master);
	if (rc < 0)
		return rc;
	if (!err)
		flyrep_pernet_count(fn, rc, 1);
	return err;
}

/* Context: process. Return: 0, -ENOENT, -EBUSY */
static int expect_remove(struct flyrep_net *fn, const struct flyrep_expect *r, u32 flags)
{
	struct nf_conntrack_expect *exp;
	int err = 0;

	rcu_read_lock();
	spin_lock_bh(&nf_conntrack_expect_lock);
	exp = expect_find(fn, r);
	if (!exp)
		err = -ENOENT;
	else if (!expect_is_held(exp) && !(flags & FLYREP_APPLY_F_FORCE))
		err = -EBUSY;
	else
		flyrep_compat_expect_unlink(exp, EXPECT_PORTID);
	spin_unlock_bh(&nf_conntrack_expect_lock);
	rcu_read_unlock();
	if (!err)
		flyrep_pernet_count(fn, FLYREP_C_INJECT_DELETED, 1);
	return err;
}

static int expect_apply_one(struct flyrep_net *fn, const struct flyrep_expect *r, u32 flags)
{
	int err = expect_check(r);

	if (err)
		return err;
	return r->rec.op == FLYREP_OP_DELETE ? expect_remove(fn, r, flags) :
					       expect_put(fn, r, flags);
}

unsigned int flyrep_expect_apply(struct flyrep_net *fn, const struct flyrep_inject *req)
{
	unsigned int n_errors = 0, i;
	const u8 *pos = req->data;
	struct flyrep_expect r;
	int err;

	for (i = 0; i < req->n; i++) {
		memcpy(&r, pos, sizeof(r));
		pos += req->rec_len + r.rec.tail_len;
		err = expect_apply_one(fn, &r, req->flags);
		trace_flyrep_item(fn, FLYREP_TABLE_EXPECTATION, r.rec.op, err);
		if (err) {
			req->errors[n_errors].index = i;
			req->errors[n_errors].error = err;
			n_errors++;
			flyrep_inject_count_error(fn, err);
		}
		if (i % EXPECT_RESCHED == EXPECT_RESCHED - 1)
			cond_resched();
	}
	return n_errors;
}
