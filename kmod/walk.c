// SPDX-License-Identifier: GPL-2.0-only
#include "walk.h"

#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <linux/rculist_nulls.h>

/* Chains in one RCU section */
#define WALK_STEP 4096

bool flyrep_walk_enter(struct flyrep_walk *w)
{
	struct hlist_nulls_head *hash;
	unsigned int size;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "walk outside RCU");
	/* A resize holds all of these locks while it changes the two. */
	local_bh_disable();
	nf_conntrack_lock(&nf_conntrack_locks[0]);
	__acquire(&nf_conntrack_locks[0]);	/* its header does not say so */
	hash = nf_conntrack_hash;
	size = nf_conntrack_htable_size;
	spin_unlock(&nf_conntrack_locks[0]);
	local_bh_enable();

	if (w->hash == hash && w->size == size)
		return true;
	w->hash = hash;
	w->size = size;
	w->chain = 0;
	return false;
}

/* Take a reference to what may be a flow; it is memory of one, but maybe of another by now. */
static bool walk_get(struct nf_conn *ct, const struct net *net)
{
	if (!refcount_inc_not_zero(&ct->ct_general.use))
		return false;
	/* As everywhere in conntrack: look again once it cannot go away. */
	smp_acquire__after_ctrl_dep();
	if (likely(nf_ct_is_confirmed(ct) && net_eq(nf_ct_net(ct), net)))
		return true;
	nf_ct_put(ct);
	return false;
}

int flyrep_walk_chain(struct flyrep_walk *w, const struct net *net,
		      int (*visit)(struct nf_conn *ct, void *data), void *data)
{
	struct nf_conntrack_tuple_hash *h;
	struct hlist_nulls_node *n;
	int err;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "walk outside RCU");
	hlist_nulls_for_each_entry_rcu(h, n, &w->hash[w->chain], hnnode) {
		struct nf_conn *ct;

		if (NF_CT_DIRECTION(h) != IP_CT_DIR_ORIGINAL)
			continue;
		ct = nf_ct_tuplehash_to_ctrack(h);
		if (!net_eq(nf_ct_net(ct), net) || !walk_get(ct, net))
			continue;
		err = visit(ct, data);
		nf_ct_put(ct);
		if (err)
			return err;
	}
	if (get_nulls_value(n) != w->chain)
		return -EAGAIN;
	w->chain++;
	return 0;
}

struct walk_visit {
	void (*visit)(struct nf_conn *ct, void *data);
	void *data;
};

static int walk_visit(struct nf_conn *ct, void *data)
{
	const struct walk_visit *v = data;

	v->visit(ct, v->data);
	return 0;
}

void flyrep_walk_all(const struct net *net, void (*visit)(struct nf_conn *ct, void *data),
		     void *data)
{
	struct walk_visit v = { .visit = visit, .data = data };
	struct flyrep_walk w = {};
	bool is_done = false;
	unsigned int steps;

	might_sleep();
	while (!is_done) {
		rcu_read_lock();
		/* The end counts only if the table is still the same. */
		is_done = flyrep_walk_enter(&w) && w.chain >= w.size;
		for (steps = 0; steps < WALK_STEP && w.chain < w.size; steps++)
			flyrep_walk_chain(&w, net, walk_visit, &v);
		rcu_read_unlock();
		cond_resched();
	}
}
