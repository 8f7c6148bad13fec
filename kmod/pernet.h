/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything the module keeps, once for each network namespace.
 */
#ifndef _FLYREP_PERNET_H
#define _FLYREP_PERNET_H

#include <linux/atomic.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/siphash.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "buckets.h"
#include "expect.h"
#include "flyrep.h"
#include "hint.h"
#include "item.h"
#include "listen.h"

struct flyrep_filter;
struct flyrep_reader;
struct nf_ct_event_notifier;

/* A helper that modprobe did not find at @since, in jiffies */
struct flyrep_missing {
	char		name[FLYREP_CT_HELPER_LEN];
	unsigned long	since;
};

struct flyrep_counters {
	u64 c[__FLYREP_C_MAX];
};

/**
 * struct flyrep_net - state of one namespace
 * @saved: the event notifier that stood in the slot before us; valid while the slot is ours,
 *	or stands for it while we listen
 * @reader: who drains; NULL for none
 * @filter: what is captured, never NULL
 * @counters: one set for each CPU
 * @is_standby: nothing local is queued
 * @stamp: last stamp given to a read
 * @id_key: hides addresses in record ids
 * @instance: see FLYREP_A_INSTANCE
 * @buckets: dirty ones; initialized before the first reader
 * @net: the namespace
 * @lock: serializes CONFIG, BIND, release, PROMOTE, DEMOTE, the orphan guard, and
 *	attaching to the notifier slot, @has_labels and @missing
 * @is_chained: we stand in the notifier slot, or did when we last looked
 * @is_touched: a reader or APPLY was here: flows may carry our bits
 * @has_labels: new flows have room for labels by our doing
 * @missing: helpers that modprobe did not find lately
 * @next_missing: the one of these that gives way next
 * @saved_sysctl_events: what nf_conntrack_events was
 * @hold_s: longest life of a held flow without a packet
 * @grace_s: how long held flows outlive the reader
 * @learn_s: until the first look at the windows of flows that became local
 * @learn_wait_s: what the last wait was
 * @ring_entries: slots for each CPU at the next BIND, 0: chosen
 * @wake: sends WAKE
 * @wake_retry: sends it again when there was no room
 * @guard: gives held flows a normal life when no reader came back
 * @learn: makes flows strict whose windows are known again
 * @items: the tables that are kept here
 * @hints: which elements of nf_tables sets changed
 * @expects: expectations that changed
 * @listen: hears of events where we do not stand in the notifier slot
 */
struct flyrep_net {
	const struct nf_ct_event_notifier *saved;
	struct flyrep_reader __rcu	*reader;
	const struct flyrep_filter __rcu *filter;
	struct flyrep_counters __percpu	*counters;
	bool				is_standby;

	atomic64_t			stamp ____cacheline_aligned_in_smp;
	hsiphash_key_t			id_key;
	u64				instance;
	struct flyrep_buckets		buckets;
	struct net			*net;
	struct mutex			lock;	/* see above */
	bool				is_chained;
	bool				is_touched;
	bool				has_labels;
	struct flyrep_missing		missing[8];
	unsigned int			next_missing;
	u8				saved_sysctl_events;
	u32				hold_s;
	u32				grace_s;
	u32				learn_s;
	u32				learn_wait_s;
	u32				ring_entries;
	struct tasklet_struct		wake;
	struct delayed_work		wake_retry;
	struct delayed_work		guard;
	struct delayed_work		learn;
	struct flyrep_items		items;
	struct flyrep_hints		hints;
	struct flyrep_expects		expects;
	struct flyrep_listen		listen;
};

extern unsigned int flyrep_pernet_id;

/**
 * flyrep_pernet - our state of a namespace
 * @net: a namespace that lives
 */
static inline struct flyrep_net *flyrep_pernet(const struct net *net)
{
	return net_generic(net, flyrep_pernet_id);
}

/**
 * flyrep_pernet_rcu - the same, for the path of every event
 * @net: a namespace that lives
 *
 * Context: RCU read side.
 */
static inline struct flyrep_net *flyrep_pernet_rcu(const struct net *net)
{
	return rcu_dereference(net->gen)->ptr[flyrep_pernet_id];
}

/**
 * flyrep_pernet_count - add to a counter
 * @fn: the namespace
 * @counter: which
 * @n: how much
 *
 * Context: any.
 */
static inline void flyrep_pernet_count(struct flyrep_net *fn, enum flyrep_counter counter, u64 n)
{
	this_cpu_add(fn->counters->c[counter], n);
}

/**
 * flyrep_pernet_sum - read all counters
 * @fn: the namespace
 * @sum: __FLYREP_C_MAX values to write
 */
void flyrep_pernet_sum(const struct flyrep_net *fn, u64 *sum);

/**
 * flyrep_pernet_init - start in every namespace, present and future
 *
 * Context: module init. Return: 0 or -errno.
 */
int flyrep_pernet_init(void);

/**
 * flyrep_pernet_exit - leave every namespace
 *
 * On return no flow carries our bits, and nothing of ours is reachable.
 * Context: module exit; no request can come any more.
 */
void flyrep_pernet_exit(void);

#endif
