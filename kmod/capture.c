// SPDX-License-Identifier: GPL-2.0-only
#include "capture.h"

#include <linux/kallsyms.h>
#include <linux/module.h>
#include <net/netfilter/nf_conntrack_ecache.h>

#include "conntrack.h"
#include "expect.h"
#include "filter.h"
#include "listen.h"
#include "pernet.h"
#include "reader.h"
#include "ring.h"
#include "trace.h"
#include "window.h"

#define CAPTURE_EVENTS_ALWAYS	1

static char *capture = "auto";
module_param(capture, charp, 0444);
MODULE_PARM_DESC(capture, "how flows are captured: chain (in front of the event notifier), netlink (by listening to nf_conntrack_netlink), auto (netlink where another module has the notifier)");

static enum {
	CAPTURE_AUTO,
	CAPTURE_CHAIN,
	CAPTURE_NETLINK,
} capture_choice __ro_after_init;

int __init flyrep_capture_setup(void)
{
	static const char * const names[] = { "auto", "chain", "netlink" };
	int i = match_string(names, ARRAY_SIZE(names), capture);

	if (i < 0) {
		pr_err("flyrep: capture=%s is not one of auto, chain, netlink\n", capture);
		return -EINVAL;
	}
	capture_choice = i;
	return 0;
}

/* Context: RCU read side, any; cold */
static noinline void capture_overflow(struct flyrep_net *fn, struct flyrep_reader *reader,
				      struct nf_conn *ct)
{
	struct flyrep_ct r;

	clear_bit(FLYREP_CT_QUEUED_BIT, &ct->status);
	flyrep_conntrack_read_key(&r, ct);
	flyrep_buckets_mark(&fn->buckets, flyrep_conntrack_bucket(&r, fn));
	trace_flyrep_overflow(fn, ct);
	/* Never the last one: who raised the event has its own. */
	nf_ct_put(ct);
	flyrep_pernet_count(fn, FLYREP_C_RING_OVERFLOW, 1);
	if (flyrep_ring_disarm(reader->ring))
		flyrep_reader_wake(fn);
}

/*
 * The flow has changed. Who clears QUEUED reads the flow after that; on our side the change is
 * before the bit is looked at, with a full barrier between. So if it is still set, the change
 * will be read.
 *
 * Context: RCU read side, any
 */
static bool capture_is_queued(const struct nf_conn *ct, unsigned long status)
{
	if (!(status & FLYREP_CT_QUEUED))
		return false;
	/* Pairs with the cmpxchg of drain_decide(). */
	smp_mb();
	return test_bit(FLYREP_CT_QUEUED_BIT, &ct->status);
}

/* Apart, so that the path of every event saves no registers for it. */
static noinline void capture_trace_push(const struct flyrep_net *fn, const struct nf_conn *ct)
{
	trace_flyrep_push(fn, ct);
}

/* Setting the bit is a full barrier too. Context: RCU read side, any */
static void capture_queue(struct flyrep_net *fn, struct flyrep_reader *reader, struct nf_conn *ct)
{
	int ret;

	if (test_and_set_bit(FLYREP_CT_QUEUED_BIT, &ct->status)) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_COALESCED, 1);
		return;
	}
	nf_conntrack_get(&ct->ct_general);
	ret = flyrep_ring_push(reader->ring, ct);
	if (unlikely(ret < 0)) {
		capture_overflow(fn, reader, ct);
		return;
	}
	flyrep_pernet_count(fn, FLYREP_C_CAPTURE_QUEUED, 1);
	if (ret)
		flyrep_reader_wake(fn);
	if (trace_flyrep_push_enabled())
		capture_trace_push(fn, ct);
}

/*
 * An event of a flow that is held, or that APPLY deletes. True if the flow is to be queued,
 * whatever the filter says.
 *
 * Context: RCU read side, any
 */
static noinline bool capture_held(struct flyrep_net *fn, unsigned int events,
				  const struct nf_ct_event *item)
{
	struct nf_conn *ct = item->ct;

	if (test_bit(FLYREP_CT_DELETED_BIT, &ct->status)) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_ECHO, 1);
		return false;
	}
	if (events & (1 << IPCT_DESTROY)) {
		trace_flyrep_lost(fn, ct);
		flyrep_pernet_count(fn, FLYREP_C_HELD_LOST, 1);
		return true;
	}
	/* A request of an administrator: the owner's state will overrule it. */
	if (item->portid || item->report) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_FILTERED, 1);
		return false;
	}
	/* The module of its helper goes. With a packet comes no such event alone. */
	if (events == (1 << IPCT_HELPER)) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_FILTERED, 1);
		return false;
	}
	/* A packet: the flow runs through this node now. */
	if (test_and_clear_bit(FLYREP_CT_REMOTE_BIT, &ct->status)) {
		trace_flyrep_takeover(fn, ct);
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_TAKEOVER, 1);
		flyrep_window_watch(fn);
	}
	return true;
}

/*
 * Is the reader to be told of this local flow? It is if the filter lets it pass; and if it was
 * told before, so that it learns of the end, or of the flow leaving the filter.
 *
 * The drain sets SENT, then reads the flow. We change the flow (before the event), then read SENT.
 * With a barrier on both sides one of us sees the other. DYING is set by an atomic that is one.
 *
 * Context: RCU read side, any
 */
static bool capture_wants(struct flyrep_net *fn, unsigned int events, const struct nf_conn *ct)
{
	if (unlikely(READ_ONCE(fn->is_standby)))
		return false;
	if (!(events & (1 << IPCT_DESTROY))) {
		if (likely(flyrep_filter_pass(fn, ct)))
			return true;
		/* Pairs with those of drain_decide() and snapshot_visit(). */
		smp_mb();
	}
	return test_bit(FLYREP_CT_SENT_BIT, &ct->status);
}

/* Context: RCU read side, any */
static void capture_event(struct flyrep_net *fn, unsigned int events,
			  const struct nf_ct_event *item)
{
	struct nf_conn *ct = item->ct;
	unsigned long status = READ_ONCE(ct->status);
	struct flyrep_reader *reader = rcu_dereference(fn->reader);
	bool is_wanted;

	if (unlikely(!reader)) {
		if (status & (FLYREP_CT_REMOTE | FLYREP_CT_DELETED))
			capture_held(fn, events, item);
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_UNBOUND, 1);
		return;
	}
	if (unlikely(status & (FLYREP_CT_REMOTE | FLYREP_CT_DELETED))) {
		if (!capture_held(fn, events, item))
			return;
		is_wanted = true;
	} else {
		if (capture_is_queued(ct, status)) {
			flyrep_pernet_count(fn, FLYREP_C_CAPTURE_COALESCED, 1);
			return;
		}
		is_wanted = capture_wants(fn, events, ct);
	}
	if (is_wanted)
		capture_queue(fn, reader, ct);
	else
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_FILTERED, 1);
}

/*
 * The only place that the path of every event is inlined to: a second one would lengthen it.
 *
 * Context: RCU read side; softirq, process or a worker, with any conntrack lock held
 */
static noinline int capture_on_ct(unsigned int events, const struct nf_ct_event *item)
{
	struct flyrep_net *fn = flyrep_pernet_rcu(nf_ct_net(item->ct));

	capture_event(fn, events, item);
	return READ_ONCE(fn->saved)->ct_event(events, item);
}

/* Context: as above, with nf_conntrack_expect_lock held */
static int capture_on_exp(unsigned int events, const struct nf_exp_event *item)
{
	struct flyrep_net *fn = flyrep_pernet_rcu(nf_ct_net(item->exp->master));

	flyrep_expect_capture(fn, events, item);
	return READ_ONCE(fn->saved)->exp_event(events, item);
}

static struct nf_ct_event_notifier capture_notifier = {
	.ct_event	= capture_on_ct,
	.exp_event	= capture_on_exp,
};

/* Stands for the notifier behind us when we listen: whom it concerns has been told. */
static int capture_nobody_on_ct(unsigned int events, const struct nf_ct_event *item)
{
	return 0;
}

static const struct nf_ct_event_notifier capture_nobody = {
	.ct_event	= capture_nobody_on_ct,
};

/* The slot as a plain pointer, for the atomics. ctnetlink's mutex is private to it. */
static struct nf_ct_event_notifier **capture_slot(const struct flyrep_net *fn)
{
	return (struct nf_ct_event_notifier __force **)&fn->net->ct.nf_conntrack_event_cb;
}

/* There is no other way to know it: it is private to its module. Context: RCU read side */
static bool capture_is_ctnetlink(const struct nf_ct_event_notifier *notifier)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, (unsigned long)notifier->ct_event);
	/* A kernel that knows no names gives the number. */
	return strstarts(name, "ctnetlink_conntrack_event") || strstarts(name, "0x");
}

/* How to capture with what is in the slot now. Context: process. Return: enum flyrep_capture */
static u8 capture_way(const struct flyrep_net *fn)
{
	const struct nf_ct_event_notifier *cur;
	u8 way = FLYREP_CAPTURE_CHAIN;

	rcu_read_lock();
	cur = READ_ONCE(*capture_slot(fn));
	if (!cur)
		way = FLYREP_CAPTURE_NONE;
	else if (capture_choice == CAPTURE_NETLINK ||
		 (capture_choice == CAPTURE_AUTO && !capture_is_ctnetlink(cur)))
		way = FLYREP_CAPTURE_NETLINK;
	rcu_read_unlock();
	return way;
}

/* Context: process, fn->lock held. Return: true if we stand in the slot now */
static bool capture_chain(struct flyrep_net *fn)
{
	struct nf_ct_event_notifier **slot = capture_slot(fn);
	struct nf_ct_event_notifier *cur;

	do {
		cur = READ_ONCE(*slot);
		if (!cur)
			return false;
		/* Before we can be called; cmpxchg() is a barrier. */
		WRITE_ONCE(fn->saved, cur);
	} while (cmpxchg(slot, cur, &capture_notifier) != cur);
	fn->is_chained = true;
	return true;
}

/* Context: process, fn->lock held. Return: true if we listen now */
static bool capture_listen(struct flyrep_net *fn)
{
	int err;

	if (capture_choice == CAPTURE_AUTO)
		pr_notice_once("flyrep: another module has the conntrack event notifier: capturing by netlink\n");
	/* Before the first message */
	WRITE_ONCE(fn->saved, &capture_nobody);
	err = flyrep_listen_start(fn);
	if (err)
		pr_warn("flyrep: cannot listen to conntrack events: %d\n", err);
	return !err;
}

void flyrep_capture_attach(struct flyrep_net *fn)
{
	bool is_attached = false;

	lockdep_assert_held(&fn->lock);
	/*
	 * Once chained we do not look for more: a notifier that came after may have chained
	 * over us, and over it we would go in circles.
	 */
	if (fn->is_chained || flyrep_listen_is_on(fn))
		return;
	switch (capture_way(fn)) {
	case FLYREP_CAPTURE_CHAIN:
		is_attached = capture_chain(fn);
		break;
	case FLYREP_CAPTURE_NETLINK:
		is_attached = capture_listen(fn);
		break;
	}
	/* What happened while nobody looked: */
	if (is_attached)
		flyrep_reader_dirty(fn);
}

void flyrep_capture_init(struct flyrep_net *fn)
{
	struct net *net = fn->net;

	fn->saved_sysctl_events = READ_ONCE(net->ct.sysctl_events);
	WRITE_ONCE(net->ct.sysctl_events, CAPTURE_EVENTS_ALWAYS);
	mutex_lock(&fn->lock);
	flyrep_capture_attach(fn);
	mutex_unlock(&fn->lock);
}

void flyrep_capture_exit(struct flyrep_net *fn)
{
	struct net *net = fn->net;

	mutex_lock(&fn->lock);
	if (fn->is_chained && *capture_slot(fn) &&
	    cmpxchg(capture_slot(fn), &capture_notifier,
		    (struct nf_ct_event_notifier *)fn->saved) != &capture_notifier)
		pr_warn("flyrep: another module took the conntrack event notifier; left alone\n");
	fn->is_chained = false;
	mutex_unlock(&fn->lock);
	flyrep_listen_stop(fn);
	/* Unless somebody has set it since */
	if (READ_ONCE(net->ct.sysctl_events) == CAPTURE_EVENTS_ALWAYS)
		WRITE_ONCE(net->ct.sysctl_events, fn->saved_sysctl_events);
}

u8 flyrep_capture_mode(const struct flyrep_net *fn)
{
	if (!READ_ONCE(*capture_slot(fn)))
		return FLYREP_CAPTURE_NONE;
	if (flyrep_listen_is_on(fn))
		return FLYREP_CAPTURE_NETLINK;
	return READ_ONCE(fn->is_chained) ? FLYREP_CAPTURE_CHAIN : FLYREP_CAPTURE_NONE;
}

void flyrep_capture_hear(struct nf_conn *ct, u32 portid)
{
	const struct nf_ct_event item = { .ct = ct, .portid = portid };
	struct flyrep_net *fn = flyrep_pernet(nf_ct_net(ct));

	rcu_read_lock();
	/* Nobody captures while there is no notifier. */
	if (READ_ONCE(fn->saved))
		capture_on_ct(0, &item);
	rcu_read_unlock();
}

u32 flyrep_capture_portid(const struct flyrep_net *fn)
{
	return flyrep_listen_is_on(fn) ? FLYREP_LISTEN_PORTID : 0;
}

void flyrep_capture_tell(struct flyrep_net *fn, unsigned int events, struct nf_conn *ct)
{
	const struct nf_ct_event item = { .ct = ct, .portid = flyrep_capture_portid(fn) };
	const struct nf_ct_event_notifier *notifier;
	const struct nf_conntrack_ecache *e;

	if (!READ_ONCE(nf_ctnetlink_has_listener))
		return;
	rcu_read_lock();
	e = nf_ct_ecache_find(ct);
	notifier = READ_ONCE(*capture_slot(fn));
	/* While the slot is ours, what we saved is there to be called. */
	if (notifier == &capture_notifier)
		notifier = READ_ONCE(fn->saved);
	else if (!flyrep_listen_is_on(fn))
		notifier = NULL;
	if (notifier && e && (events & e->ctmask))
		notifier->ct_event(events, &item);
	rcu_read_unlock();
}

/*
 * nf_conntrack_netlink has come: it has put its notifier into every namespace, and we chain
 * over it. Or it is gone: it has emptied the slots and waited for all callers.
 */
static void capture_each(void (*what)(struct flyrep_net *fn))
{
	struct net *net;

	down_read(&net_rwsem);
	for_each_net(net) {
		struct flyrep_net *fn = flyrep_pernet(net);

		mutex_lock(&fn->lock);
		what(fn);
		mutex_unlock(&fn->lock);
	}
	up_read(&net_rwsem);
}

/* Context: process, fn->lock held */
static void capture_forget(struct flyrep_net *fn)
{
	if (!fn->is_chained || READ_ONCE(*capture_slot(fn)))
		return;
	fn->is_chained = false;
	WRITE_ONCE(fn->saved, NULL);
}

/* A listener has been told nothing meanwhile. Context: process, fn->lock held */
static void capture_resume(struct flyrep_net *fn)
{
	flyrep_capture_attach(fn);
	if (flyrep_listen_is_on(fn))
		flyrep_reader_dirty(fn);
}

static int capture_on_module(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct module *mod = data;

	if (strcmp(mod->name, "nf_conntrack_netlink"))
		return NOTIFY_DONE;
	if (state == MODULE_STATE_LIVE)
		capture_each(capture_resume);
	else if (state == MODULE_STATE_GOING)
		capture_each(capture_forget);
	return NOTIFY_OK;
}

static struct notifier_block capture_module_notifier = {
	.notifier_call = capture_on_module,
};

int flyrep_capture_start(void)
{
	int err = register_module_notifier(&capture_module_notifier);

	/* In case it came between the namespaces and the notifier */
	if (!err)
		capture_each(flyrep_capture_attach);
	return err;
}

void flyrep_capture_stop(void)
{
	unregister_module_notifier(&capture_module_notifier);
}
