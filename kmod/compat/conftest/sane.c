// SPDX-License-Identifier: GPL-2.0-only
/* Compiles wherever the module can. If this fails, no other answer means anything. */
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_ecache.h>
#include <net/netfilter/nf_nat.h>
#include <net/genetlink.h>

struct nf_ct_event_notifier *conftest(struct net *net);

struct nf_ct_event_notifier *conftest(struct net *net)
{
	return rcu_access_pointer(net->ct.nf_conntrack_event_cb);
}
