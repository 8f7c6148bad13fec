/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Expectations: the flows that helpers announce (struct flyrep_expect). Each belongs to its
 * master, so nothing is marked on it: it is held if its master is held, and the reader is told
 * of it if it was told of its master.
 *
 * The kernel's expectation does not hold its master, and events come under a lock. So what
 * is queued is a key and no reference, and the kernel is asked when it is drained. They are few: a
 * queue that is full makes the table dirty as a whole.
 */
#ifndef _FLYREP_EXPECT_H
#define _FLYREP_EXPECT_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct flyrep_expect_slot;
struct flyrep_inject;
struct flyrep_net;
struct flyrep_netlink_records;
struct nf_conn;
struct nf_exp_event;

/**
 * struct flyrep_expects - what the reader of a namespace is to be told of
 * @lock: guards all of it but @full_since; a leaf
 * @slots: the queue; NULL before flyrep_expect_prepare()
 * @head: next to fill; free-running
 * @tail: next to take
 * @is_dirty: the reader is to take a snapshot of all of it
 * @is_full: the kernel had no room for one more
 * @full_since: when that was, jiffies
 */
struct flyrep_expects {
	raw_spinlock_t			lock;	/* see above */
	struct flyrep_expect_slot	*slots;
	unsigned int			head;
	unsigned int			tail;
	bool				is_dirty;
	bool				is_full;
	unsigned long			full_since;
};

/**
 * flyrep_expect_init - start with none
 * @fn: the namespace
 */
void flyrep_expect_init(struct flyrep_net *fn);

/**
 * flyrep_expect_exit - free the memory
 * @fn: the namespace; no event, no request can come any more
 */
void flyrep_expect_exit(struct flyrep_net *fn);

/**
 * flyrep_expect_prepare - get the memory for a reader; again is no error
 * @fn: the namespace; fn->lock held
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int flyrep_expect_prepare(struct flyrep_net *fn);

/**
 * flyrep_expect_forget - the reader is gone: nothing is to be told
 * @fn: the namespace; fn->lock held, fn->reader is NULL
 *
 * Context: any.
 */
void flyrep_expect_forget(struct flyrep_net *fn);

/**
 * flyrep_expect_capture - an expectation came or went
 * @fn: the namespace
 * @events: bits of enum ip_conntrack_expect_events
 * @item: the event
 *
 * Context: RCU read side, nf_conntrack_expect_lock held.
 */
void flyrep_expect_capture(struct flyrep_net *fn, unsigned int events,
			   const struct nf_exp_event *item);

/**
 * flyrep_expect_look - what the reader is told of a flow changes: so it may of what it expects
 * @fn: the namespace; there is a reader
 * @ct: the flow; the caller holds a reference
 *
 * After FLYREP_CT_SENT was set or cleared; and before a held flow is made anew.
 *
 * Context: process or softirq; takes nf_conntrack_expect_lock.
 */
void flyrep_expect_look(struct flyrep_net *fn, const struct nf_conn *ct);

/**
 * flyrep_expect_dirty - the reader knows nothing of this table
 * @fn: the namespace; the caller rings
 *
 * Context: any.
 */
void flyrep_expect_dirty(struct flyrep_net *fn);

/**
 * flyrep_expect_take_dirty - is the table dirty? it is clean then
 * @fn: the namespace
 *
 * Context: the reader.
 */
bool flyrep_expect_take_dirty(struct flyrep_net *fn);

/**
 * flyrep_expect_changed - how many are queued
 * @fn: the namespace
 *
 * Context: any.
 */
unsigned int flyrep_expect_changed(struct flyrep_net *fn);

/**
 * flyrep_expect_drain - tell what became of those that are queued
 * @fn: the namespace
 * @recs: to fill; has room for one record at least
 * @budget: most to take; lessened by those taken, 0 when none is left
 *
 * Context: process, the reader.
 */
void flyrep_expect_drain(struct flyrep_net *fn, struct flyrep_netlink_records *recs,
			 long *budget);

/**
 * flyrep_expect_snapshot - name expectations from where the walk stands
 * @fn: the namespace
 * @recs: to fill
 * @chain: where it stands: a chain of the kernel's table, which is never resized
 * @origin: enum flyrep_origin; the filter binds those of local masters only
 * @buckets: bitmap, NULL for all
 *
 * Context: process. Return: 1 when the end was reached; 0: the message is full; -EMSGSIZE: and
 * empty, as one chain does not fit.
 */
int flyrep_expect_snapshot(struct flyrep_net *fn, struct flyrep_netlink_records *recs,
			   unsigned int *chain, u8 origin, const u8 *buckets);

/**
 * flyrep_expect_apply - apply records, one by one
 * @fn: the namespace
 * @req: the request
 *
 * Context: process, may sleep. Any number of them may run side by side. Return: how many were
 * refused, each with an entry in @req->errors.
 */
unsigned int flyrep_expect_apply(struct flyrep_net *fn, const struct flyrep_inject *req);

#endif
