// SPDX-License-Identifier: GPL-2.0-only
/* A helper is counted by the flows that have it. */
#include <net/netfilter/nf_conntrack_helper.h>

bool conftest(struct nf_conntrack_helper *helper);
bool conftest(struct nf_conntrack_helper *helper)
{
	return refcount_inc_not_zero(&helper->ct_refcnt);
}
