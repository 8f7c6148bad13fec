// SPDX-License-Identifier: GPL-2.0-only
/* A timeout policy is counted by the flows that have it. */
#include <net/netfilter/nf_conntrack_timeout.h>

void conftest(struct nf_ct_timeout *t);
void conftest(struct nf_ct_timeout *t)
{
	kfree_rcu(t, rcu);
	refcount_inc(&t->refcnt);
}
