// SPDX-License-Identifier: GPL-2.0-only
/* Does an expectation end at a time, or by a timer of its own? */
#include <net/netfilter/nf_conntrack_expect.h>

bool conftest(struct nf_conntrack_expect *exp, u32 *timeout);
bool conftest(struct nf_conntrack_expect *exp, u32 *timeout)
{
	*timeout = exp->timeout;
	return nf_ct_exp_is_expired(exp);
}
