/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Versions: where all nodes write, the tables of items go through the ledger on their way. What
 * travels of them is slots, not items; the rest of the path does not notice, as a slot is a record,
 * and the slots of each node have a truth.
 *
 *   own kernel ─► drain ─► filter ─► ledger ─► batch ...    what this node says
 *   peer ═► receive ─► ledger ─► inject ─► own kernel       what is in effect
 *
 * What is put into effect must not cover a write of the own kernel that nobody has heard of. So
 * nothing is, as long as a drain is under way; the module refuses what it has not told yet, and
 * elements of nft sets are read before they are written (sift.h).
 */
#ifndef VERSIONS_H
#define VERSIONS_H

#include "flow.h"
#include "ledger.h"

/* *@v: NULL: no table has versions. -errno (logged) */
int versions_open(struct versions **v, struct flow *f);
/* Commits what is left. */
void versions_close(struct versions *v);

struct ledger *versions_ledger(const struct versions *v);
bool versions_has(const struct versions *v, uint8_t table);

/* A record of the own kernel has passed the filter. */
void versions_local(struct flow_table *t, const void *item);
/* Slots of a peer arrived; as struct receive_ops.inject */
void versions_remote(struct flow_link *l, struct flow_table *t, const void *slots, size_t n,
		     void (*on_refused)(void *c, const void *rec, int error), void *cookie);
/* May this node hold what a slot says? */
bool versions_admits(struct flow_table *t, const void *slot);

/* All of a table is going to be read from the own kernel, is, was. @counts: what was found */
int versions_learn_begin(struct flow_table *t);
void versions_learn(struct flow_table *t, const void *item);
void versions_learn_end(struct flow_table *t, struct truth_counts *counts);
/*
 * The own kernel holds this for a peer, as it did when this node was a standby: from here on it is
 * this node's as much as anybody's, or nobody could change it here.
 */
void versions_take_over(struct flow_table *t, const void *item);
/*
 * The own kernel has lost all items whose canonical key begins so, and shall have them again.
 * Return: how many of them are in effect
 */
size_t versions_lose(struct flow_table *t, const uint8_t *prefix, size_t prefix_len);
/* What was learnt is gone with the module. */
void versions_lose_kernel(struct versions *v);

/*
 * Read the own slots of f->job_scope, in pieces: job_snap_records() gets them, as slots, then
 * job_snap_end(). versions_hold() as drain_snapshot_hold()
 */
int versions_snapshot(struct flow_table *t);
bool versions_is_snapping(const struct versions *v);
void versions_hold(struct versions *v, bool hold);
void versions_snapshot_cancel(struct versions *v);

/* Settle, commit and tell, as soon as nothing of the own kernel is on its way here. */
void versions_flush_soon(struct versions *v);
/* Nothing is, just now. */
void versions_gap(struct versions *v);
/* What is in effect may not be in the own kernel yet; job_schedule() follows when it is. */
bool versions_is_due(const struct versions *v);

/*
 * Items in effect; @digest: the sum of theirs, the same on all nodes once they agree, NULL: not
 * wanted
 */
size_t versions_entries(const struct flow_table *t, uint64_t *digest);
/* Likewise, of those in some buckets, a bitmap */
size_t versions_entries_in(const struct flow_table *t, const uint8_t *buckets);
/* The keys of the items in effect, to be freed by index_free(); NULL: no memory */
struct index *versions_keys(const struct flow_table *t);
/* The slots of a node, this one or a peer. */
struct truth *versions_truth(const struct versions *v, uint8_t table, const char *owner);
/* What HELLO tells. */
void versions_hello(const struct versions *v, struct fr_hello *h);
/* A session begins. false: it cannot, as the peer goes by other rules. */
bool versions_meet(struct flow_link *l, const struct fr_hello *theirs);
/* An audit has found all slots of the peer here. */
void versions_in_step(struct flow_link *l);
int versions_rekey(struct versions *v, const struct fr_siphash_key *key);

#endif
