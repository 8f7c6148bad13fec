/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hints: which elements of the watched nf_tables sets the reader should look at. They are noted
 * where probe.c stands in nf_tables, and handed out by DRAIN.
 *
 * There are two rings. What packets did is handed out at once. What a transaction did cannot be
 * seen before it is committed, so it waits for that; what an aborted one did is forgotten.
 * nf_tables lets one transaction of a namespace in at a time, until its commit has taken effect.
 */
#ifndef _FLYREP_HINT_H
#define _FLYREP_HINT_H

#include <linux/types.h>

#include "flyrep.h"

struct flyrep_net;
struct hint_watch;
struct net;
struct netlink_ext_ack;
struct nft_set;
struct nlattr;
struct pid;

/* The longest hint */
#define FLYREP_HINT_MAX_LEN FLYREP_HINT_LEN(FLYREP_HINT_KEY_MAX_LEN)

/**
 * struct flyrep_hints - the hints of a namespace
 * @watch: the sets and the rings while there is a reader and a set, else NULL
 * @sets: what SETS named, kept whoever reads; under fn->lock
 * @n_sets: how many; under fn->lock
 * @seq: last number given to a @watch; under fn->lock
 * @dirty: bits: hints were lost, and the reader has not been told
 */
struct flyrep_hints {
	struct hint_watch __rcu	*watch;
	struct flyrep_set	*sets;
	unsigned int		n_sets;
	u32			seq;
	unsigned long		dirty;
};

/**
 * struct flyrep_hint_commit - a transaction that is being committed
 * @net: its namespace
 * @seq: number of the watch
 * @begin: where in the ring its hints begin
 * @end: and where they end, with that of its GENERATION
 * @is_lost: hints of it are missing
 */
struct flyrep_hint_commit {
	struct net	*net;
	u32		seq;
	u32		begin;
	u32		end;
	bool		is_lost;
};

/**
 * flyrep_hint_exit - free what SETS named
 * @fn: the namespace; the reader is gone
 */
void flyrep_hint_exit(struct flyrep_net *fn);

/**
 * flyrep_hint_set_sets - watch other sets
 * @fn: the namespace; fn->lock held
 * @attr: FLYREP_A_SETS
 * @extack: where to say what is wrong
 *
 * Context: process, may sleep. Return: 0, or -errno, and nothing has changed.
 */
int flyrep_hint_set_sets(struct flyrep_net *fn, const struct nlattr *attr,
			 struct netlink_ext_ack *extack);

/**
 * flyrep_hint_bind - there is going to be a reader
 * @fn: the namespace; fn->lock held
 * @tgid: the process whose transactions are not told; stays until flyrep_hint_release()
 * @extack: where to say what is wrong
 *
 * What happens until an RCU grace period has passed may be missed: flyrep_hint_dirty() then.
 * Context: process, may sleep. Return: 0 or -errno.
 */
int flyrep_hint_bind(struct flyrep_net *fn, const struct pid *tgid,
		     struct netlink_ext_ack *extack);

/**
 * flyrep_hint_release - there is no reader any more
 * @fn: the namespace; fn->lock held
 *
 * Context: process, may sleep.
 */
void flyrep_hint_release(struct flyrep_net *fn);

/**
 * flyrep_hint_dirty - any element of any set may have changed
 * @fn: the namespace
 *
 * Does not ring: see flyrep_reader_ring(). Context: any.
 */
void flyrep_hint_dirty(struct flyrep_net *fn);

/**
 * flyrep_hint_take_dirty - were hints lost that the reader is to be told of
 * @fn: the namespace
 *
 * What was lost can be seen in the sets by now. Context: process, may sleep. Return: true once.
 */
bool flyrep_hint_take_dirty(struct flyrep_net *fn);

/**
 * flyrep_hint_words - how much there is to hand out
 * @fn: the namespace
 *
 * Context: process; ordered after what the caller wrote before. Return: 0 for nothing.
 */
unsigned int flyrep_hint_words(struct flyrep_net *fn);

/**
 * flyrep_hint_drain - hand out hints
 * @fn: the namespace
 * @data: where to, 8-byte aligned
 * @room: bytes there, FLYREP_HINT_MAX_LEN at least
 * @budget: words that may still be taken; 0 at the end of them
 *
 * Context: process, one caller at a time. Return: bytes written.
 */
unsigned int flyrep_hint_drain(struct flyrep_net *fn, void *data, unsigned int room, long *budget);

/**
 * flyrep_hint_renew - nf_tables came just now, and what it did so far is not known
 *
 * Context: process, may sleep.
 */
void flyrep_hint_renew(void);

/**
 * flyrep_hint_element - an element is about to come, change or go
 * @set: of which set
 * @key: set->klen bytes; NULL for the one that stands for all other keys
 * @is_packet: by a packet, not by a transaction
 *
 * Context: any but a real NMI, preemption off; takes one raw spinlock, a leaf.
 */
void flyrep_hint_element(const struct nft_set *set, const void *key, bool is_packet);

/**
 * flyrep_hint_flush - a transaction empties a set
 * @set: which; told for each of its elements, and noted once
 *
 * Context: process, preemption off, likewise.
 */
void flyrep_hint_flush(const struct nft_set *set);

/**
 * flyrep_hint_commit - a transaction is about to be committed
 * @c: @c->net is set; for flyrep_hint_committed()
 *
 * Context: process, preemption off, likewise. Return: false if nobody wants to know its end.
 */
bool flyrep_hint_commit(struct flyrep_hint_commit *c);

/**
 * flyrep_hint_committed - it was committed, or not
 * @c: from flyrep_hint_commit()
 * @err: 0: then the next transaction may be under way already; else it is going to be aborted
 *
 * Context: as above.
 */
void flyrep_hint_committed(const struct flyrep_hint_commit *c, int err);

/**
 * flyrep_hint_abort - a transaction is given up
 * @net: its namespace
 *
 * Context: as above.
 */
void flyrep_hint_abort(const struct net *net);

#endif
