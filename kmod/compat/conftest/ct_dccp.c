// SPDX-License-Identifier: GPL-2.0-only
/* Does conntrack know DCCP? Newer kernels track it by its addresses, like any other protocol. */
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_l4proto.h>

unsigned int conftest(struct net *net, struct nf_conn *ct);

unsigned int conftest(struct net *net, struct nf_conn *ct)
{
	ct->proto.dccp.role[0] = CT_DCCP_ROLE_CLIENT;
	ct->proto.dccp.handshake_seq = 0;
	return nf_dccp_pernet(net)->dccp_timeout[CT_DCCP_TIMEWAIT];
}
