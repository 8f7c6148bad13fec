// SPDX-License-Identifier: GPL-2.0-only
/* Is the helper that an expectation gives apart from the one that made it? */
#include <net/netfilter/nf_conntrack_expect.h>

void conftest(struct nf_conntrack_expect *exp, struct nf_conntrack_helper *helper);
void conftest(struct nf_conntrack_expect *exp, struct nf_conntrack_helper *helper)
{
	rcu_assign_pointer(exp->assign_helper, helper);
}
