/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walking the conntrack table, in bounded steps. The table is one for all namespaces.
 *
 * Within an RCU section the table stays allocated, but it may be resized beside us, and a flow
 * may leave its chain for another while we stand on it. The first shows when the step
 * is over (flyrep_walk_enter() of the next says "changed": start again, some flows are seen twice);
 * the second by the end mark of the chain: that chain is walked again.
 */
#ifndef _FLYREP_WALK_H
#define _FLYREP_WALK_H

#include <linux/types.h>

struct hlist_nulls_head;
struct net;
struct nf_conn;

/**
 * struct flyrep_walk - where a walk stands
 * @hash: the table, valid within an RCU section
 * @size: its number of chains
 * @chain: next to walk
 */
struct flyrep_walk {
	struct hlist_nulls_head	*hash;
	unsigned int		size;
	unsigned int		chain;
};

/**
 * flyrep_walk_enter - look at the table
 * @w: the walk; zeroed before the first
 *
 * Context: RCU read side, BH enabled. Return: false if it is not the table seen
 * before: then @w stands at its start.
 */
bool flyrep_walk_enter(struct flyrep_walk *w);

/**
 * flyrep_walk_chain - visit each flow of a namespace in one chain
 * @w: the walk, entered in this RCU section; moves to the next chain on success
 * @net: the namespace
 * @visit: gets a flow with a reference held, and @data; 0 or a negative errno, which ends it
 * @data: for @visit
 *
 * A flow is visited in the chain of its original tuple, confirmed, but maybe dying. After
 * an error some of the chain was visited and it will be visited again.
 *
 * Context: RCU read side. Return: 0; -EAGAIN: the chain must be walked again; the
 * error of @visit.
 */
int flyrep_walk_chain(struct flyrep_walk *w, const struct net *net,
		      int (*visit)(struct nf_conn *ct, void *data), void *data);

/**
 * flyrep_walk_all - visit each flow of a namespace, at least once
 * @net: the namespace
 * @visit: as above; doing it twice must do no harm. It cannot fail
 * @data: for @visit
 *
 * Flows born meanwhile may be left out.
 *
 * Context: process, may sleep.
 */
void flyrep_walk_all(const struct net *net, void (*visit)(struct nf_conn *ct, void *data),
		     void *data);

#endif
