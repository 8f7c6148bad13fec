// SPDX-License-Identifier: GPL-2.0-only
#include "proto.h"

#include <net/netfilter/nf_conntrack_l4proto.h>
#include <net/netfilter/nf_conntrack_timeout.h>

#include "conntrack.h"

static_assert(FLYREP_CT_SCTP_STATES == (SCTP_CONNTRACK_HEARTBEAT_SENT + 1));

#define PROTO_MAX_SCALE 14

bool flyrep_proto_has_ports(u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return true;
	case IPPROTO_UDPLITE:
		return IS_ENABLED(CONFIG_NF_CT_PROTO_UDPLITE);
	case IPPROTO_SCTP:
		return IS_ENABLED(CONFIG_NF_CT_PROTO_SCTP);
	case IPPROTO_DCCP:
		return FLYREP_COMPAT_CT_DCCP;
	case IPPROTO_GRE:
		return IS_ENABLED(CONFIG_NF_CT_PROTO_GRE);
	default:
		return false;
	}
}

/* --- SCTP ------------------------------------------------------------------- */

static void proto_read_sctp(struct flyrep_ct *r, const struct ip_ct_sctp *sctp)
{
	r->sctp_state = READ_ONCE(sctp->state);
	r->sctp_vtag[0] = READ_ONCE(sctp->vtag[0]);
	r->sctp_vtag[1] = READ_ONCE(sctp->vtag[1]);
}

/* The tracker looks at the tags without a lock. */
static void proto_write_sctp(struct ip_ct_sctp *sctp, const struct flyrep_ct *r)
{
	WRITE_ONCE(sctp->state, r->sctp_state);
	WRITE_ONCE(sctp->vtag[0], r->sctp_vtag[0]);
	WRITE_ONCE(sctp->vtag[1], r->sctp_vtag[1]);
}

/*
 * CLOSED is the first state and the last: until the answer to an INIT has told the tag of the
 * original direction, nothing has begun.
 */
static unsigned int proto_rank_sctp(u8 state, bool is_answered)
{
	static const u8 rank[FLYREP_CT_SCTP_STATES] = {
		[SCTP_CONNTRACK_NONE]			= 0,
		[SCTP_CONNTRACK_HEARTBEAT_SENT]		= 2,
		[SCTP_CONNTRACK_COOKIE_WAIT]		= 3,
		[SCTP_CONNTRACK_COOKIE_ECHOED]		= 4,
		[SCTP_CONNTRACK_ESTABLISHED]		= 5,
		[SCTP_CONNTRACK_SHUTDOWN_SENT]		= 6,
		[SCTP_CONNTRACK_SHUTDOWN_RECD]		= 6,
		[SCTP_CONNTRACK_SHUTDOWN_ACK_SENT]	= 7,
		[SCTP_CONNTRACK_CLOSED]			= 8,
	};

	if (!is_answered)
		return state != SCTP_CONNTRACK_NONE;
	return rank[min_t(u8, state, FLYREP_CT_SCTP_STATES - 1)];
}

static bool proto_is_same_sctp(const struct ip_ct_sctp *sctp, const struct flyrep_ct *r)
{
	int dir;

	for (dir = 0; dir < IP_CT_DIR_MAX; dir++) {
		__be32 tag = READ_ONCE(sctp->vtag[dir]);

		if (tag && r->sctp_vtag[dir] && tag != r->sctp_vtag[dir])
			return false;
	}
	return true;
}

static int proto_lead_sctp(const struct ip_ct_sctp *sctp, const struct flyrep_ct *r)
{
	if (!proto_is_same_sctp(sctp, r))
		return 0;
	return (int)proto_rank_sctp(r->sctp_state, r->sctp_vtag[IP_CT_DIR_ORIGINAL]) -
	       (int)proto_rank_sctp(READ_ONCE(sctp->state),
				    READ_ONCE(sctp->vtag[IP_CT_DIR_ORIGINAL]));
}

/* --- DCCP ------------------------------------------------------------------- */

#ifdef FLYREP_HAVE_CT_DCCP
static_assert(FLYREP_CT_DCCP_STATES == (CT_DCCP_TIMEWAIT + 1));

static void proto_read_dccp(struct flyrep_ct *r, const struct nf_conn *ct)
{
	const struct nf_ct_dccp *dccp = &ct->proto.dccp;

	r->dccp_state = READ_ONCE(dccp->state);
	r->dccp_role[0] = READ_ONCE(dccp->role[0]);
	r->dccp_role[1] = READ_ONCE(dccp->role[1]);
	r->dccp_handshake_seq = READ_ONCE(dccp->handshake_seq);
}

static void proto_write_dccp(struct nf_conn *ct, const struct flyrep_ct *r)
{
	struct nf_ct_dccp *dccp = &ct->proto.dccp;

	WRITE_ONCE(dccp->state, r->dccp_state);
	WRITE_ONCE(dccp->role[0], r->dccp_role[0]);
	WRITE_ONCE(dccp->role[1], r->dccp_role[1]);
	WRITE_ONCE(dccp->handshake_seq, r->dccp_handshake_seq);
}

static bool proto_is_same_dccp(const struct nf_conn *ct, const struct flyrep_ct *r)
{
	u64 seq = READ_ONCE(ct->proto.dccp.handshake_seq);

	return !seq || !r->dccp_handshake_seq || seq == r->dccp_handshake_seq;
}

static int proto_lead_dccp(const struct nf_conn *ct, const struct flyrep_ct *r)
{
	/* Its states are numbered in the order of their path. */
	return proto_is_same_dccp(ct, r) ?
	       (int)r->dccp_state - (int)READ_ONCE(ct->proto.dccp.state) : 0;
}

static bool proto_is_over_dccp(const struct nf_conn *ct)
{
	return READ_ONCE(ct->proto.dccp.state) == CT_DCCP_TIMEWAIT;
}

static u32 proto_timeout_dccp(const struct nf_conn *ct, const unsigned int *policy)
{
	u8 state = min_t(u8, READ_ONCE(ct->proto.dccp.state), FLYREP_CT_DCCP_STATES - 1);

	return policy ? policy[state] : nf_dccp_pernet(nf_ct_net(ct))->dccp_timeout[state];
}
#else
static void proto_read_dccp(struct flyrep_ct *r, const struct nf_conn *ct) { }
static void proto_write_dccp(struct nf_conn *ct, const struct flyrep_ct *r) { }

static bool proto_is_same_dccp(const struct nf_conn *ct, const struct flyrep_ct *r)
{
	return true;
}

static int proto_lead_dccp(const struct nf_conn *ct, const struct flyrep_ct *r)
{
	return 0;
}

static bool proto_is_over_dccp(const struct nf_conn *ct)
{
	return false;
}

static u32 proto_timeout_dccp(const struct nf_conn *ct, const unsigned int *policy)
{
	return policy ? policy[0] : nf_generic_pernet(nf_ct_net(ct))->timeout;
}
#endif

/* --- TCP -------------------------------------------------------------------- */

static void proto_write_tcp(struct ip_ct_tcp *tcp, const struct flyrep_ct *r)
{
	int dir;

	tcp->state = r->tcp_state;
	for (dir = 0; dir < IP_CT_DIR_MAX; dir++) {
		struct ip_ct_tcp_state *seen = &tcp->seen[dir];

		seen->flags = (seen->flags & ~FLYREP_CT_TCP_FLAGS_MASK) |
			      (r->tcp_flags[dir] & FLYREP_CT_TCP_FLAGS_MASK);
		seen->td_scale = r->tcp_scale[dir];
	}
}

static unsigned int proto_rank_tcp(u8 state)
{
	static const u8 rank[TCP_CONNTRACK_MAX] = {
		[TCP_CONNTRACK_NONE]		= 0,
		[TCP_CONNTRACK_SYN_SENT]	= 1,
		[TCP_CONNTRACK_SYN_SENT2]	= 2,
		[TCP_CONNTRACK_SYN_RECV]	= 3,
		[TCP_CONNTRACK_ESTABLISHED]	= 4,
		[TCP_CONNTRACK_FIN_WAIT]	= 5,
		[TCP_CONNTRACK_CLOSE_WAIT]	= 6,
		[TCP_CONNTRACK_LAST_ACK]	= 7,
		[TCP_CONNTRACK_TIME_WAIT]	= 8,
		[TCP_CONNTRACK_CLOSE]		= 9,
	};

	return rank[min_t(u8, state, TCP_CONNTRACK_MAX - 1)];
}

/* --- all of them ------------------------------------------------------------ */

/* An ICMP of the wrong family is not a protocol at all. */
int flyrep_proto_check_tuple(u8 family, u8 proto, const struct flyrep_ct_tuple *t)
{
	switch (proto) {
	case 0:
		return -EPROTONOSUPPORT;
	case IPPROTO_ICMP:
		return family == AF_INET ? 0 : -EINVAL;
	case IPPROTO_ICMPV6:
		return family == AF_INET6 ? 0 : -EINVAL;
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_GRE:
		/* Other kernels may know its ports. */
		return flyrep_proto_has_ports(proto) || !(t->sport | t->dport) ?
		       0 : -EPROTONOSUPPORT;
	default:
		return t->sport | t->dport ? -EINVAL : 0;
	}
}

static bool proto_is_sane(const struct flyrep_ct *r)
{
	switch (r->proto) {
	case IPPROTO_TCP:
		return r->tcp_state < TCP_CONNTRACK_MAX &&
		       r->tcp_scale[0] <= PROTO_MAX_SCALE && r->tcp_scale[1] <= PROTO_MAX_SCALE &&
		       flyrep_conntrack_is_zero(r->tcp_reserved, sizeof(r->tcp_reserved));
	case IPPROTO_SCTP:
		return r->sctp_state < FLYREP_CT_SCTP_STATES &&
		       flyrep_conntrack_is_zero(r->sctp_reserved, sizeof(r->sctp_reserved));
	case IPPROTO_DCCP:
		return r->dccp_state < FLYREP_CT_DCCP_STATES &&
		       r->dccp_role[0] <= 1 && r->dccp_role[1] <= 1 && !r->dccp_reserved;
	default:
		return flyrep_conntrack_is_zero(r->proto_value, sizeof(r->proto_value));
	}
}

int flyrep_proto_check(const struct flyrep_ct *r)
{
	int err = flyrep_proto_check_tuple(r->family, r->proto, &r->orig);

	if (err || r->rec.op == FLYREP_OP_DELETE)
		return err;
	err = flyrep_proto_check_tuple(r->family, r->proto, &r->reply);
	if (err)
		return err;
	if (!proto_is_sane(r))
		return -EINVAL;
	if ((r->proto == IPPROTO_SCTP || r->proto == IPPROTO_DCCP) &&
	    !flyrep_proto_has_ports(r->proto) &&
	    !flyrep_conntrack_is_zero(r->proto_value, sizeof(r->proto_value)))
		return -EPROTONOSUPPORT;
	return 0;
}

void flyrep_proto_read(struct flyrep_ct *r, const struct nf_conn *ct)
{
	switch (r->proto) {
	case IPPROTO_SCTP:
		proto_read_sctp(r, &ct->proto.sctp);
		break;
	case IPPROTO_DCCP:
		proto_read_dccp(r, ct);
		break;
	}
}

void flyrep_proto_init(struct nf_conn *ct)
{
	memset(&ct->proto, 0, sizeof(ct->proto));
#ifdef CONFIG_NF_CT_PROTO_GRE
	/* Its tracker sets these with the first packet of a flow it does not know yet. */
	if (nf_ct_protonum(ct) == IPPROTO_GRE) {
		const unsigned int *timeouts = nf_ct_timeout_lookup(ct) ?:
					       nf_gre_pernet(nf_ct_net(ct))->timeouts;

		ct->proto.gre.timeout = timeouts[GRE_CT_UNREPLIED];
		ct->proto.gre.stream_timeout = timeouts[GRE_CT_REPLIED];
	}
#endif
}

void flyrep_proto_write(struct nf_conn *ct, const struct flyrep_ct *r)
{
	switch (r->proto) {
	case IPPROTO_TCP:
		proto_write_tcp(&ct->proto.tcp, r);
		break;
	case IPPROTO_SCTP:
		proto_write_sctp(&ct->proto.sctp, r);
		break;
	case IPPROTO_DCCP:
		proto_write_dccp(ct, r);
		break;
	}
}

/* How far the record is ahead of the flow on its path; 0 if they are of two connections */
static int proto_lead(const struct nf_conn *ct, const struct flyrep_ct *r)
{
	switch (r->proto) {
	case IPPROTO_TCP:
		return (int)proto_rank_tcp(r->tcp_state) -
		       (int)proto_rank_tcp(READ_ONCE(ct->proto.tcp.state));
	case IPPROTO_SCTP:
		return proto_lead_sctp(&ct->proto.sctp, r);
	case IPPROTO_DCCP:
		return proto_lead_dccp(ct, r);
	default:
		return 0;
	}
}

bool flyrep_proto_is_backward(const struct nf_conn *ct, const struct flyrep_ct *r)
{
	return proto_lead(ct, r) < 0;
}

bool flyrep_proto_is_ahead(const struct nf_conn *ct, const struct flyrep_ct *r)
{
	return proto_lead(ct, r) > 0;
}

bool flyrep_proto_is_over(const struct nf_conn *ct)
{
	u8 state;

	switch (nf_ct_protonum(ct)) {
	case IPPROTO_TCP:
		state = READ_ONCE(ct->proto.tcp.state);
		return state == TCP_CONNTRACK_TIME_WAIT || state == TCP_CONNTRACK_CLOSE;
	case IPPROTO_SCTP:
		return READ_ONCE(ct->proto.sctp.state) == SCTP_CONNTRACK_CLOSED;
	case IPPROTO_DCCP:
		return proto_is_over_dccp(ct);
	default:
		return false;
	}
}

bool flyrep_proto_is_other(const struct nf_conn *ct, const struct flyrep_ct *r)
{
	if (r->proto == IPPROTO_SCTP && !proto_is_same_sctp(&ct->proto.sctp, r))
		return true;
	if (r->proto == IPPROTO_DCCP && !proto_is_same_dccp(ct, r))
		return true;
	return flyrep_proto_is_backward(ct, r);
}

/* A timeout of the flow's own policy, or else of the namespace */
static u32 proto_pick(const unsigned int *policy, const unsigned int *timeouts, unsigned int i)
{
	return policy ? policy[i] : timeouts[i];
}

/* Context: RCU read side */
static u32 proto_timeout(const struct nf_conn *ct)
{
	const unsigned int *policy = nf_ct_timeout_lookup(ct);
	struct net *net = nf_ct_net(ct);
	u8 state;

	switch (nf_ct_protonum(ct)) {
	case IPPROTO_TCP:
		state = min_t(u8, READ_ONCE(ct->proto.tcp.state), TCP_CONNTRACK_MAX - 1);
		return proto_pick(policy, nf_tcp_pernet(net)->timeouts, state);
#ifdef CONFIG_NF_CT_PROTO_UDPLITE
	case IPPROTO_UDPLITE:
#endif
	case IPPROTO_UDP:
		return proto_pick(policy, nf_udp_pernet(net)->timeouts,
				  test_bit(IPS_ASSURED_BIT, &ct->status) ?
				  UDP_CT_REPLIED : UDP_CT_UNREPLIED);
	case IPPROTO_ICMP:
		return proto_pick(policy, &nf_icmp_pernet(net)->timeout, 0);
	case IPPROTO_ICMPV6:
		return proto_pick(policy, &nf_icmpv6_pernet(net)->timeout, 0);
#ifdef CONFIG_NF_CT_PROTO_SCTP
	case IPPROTO_SCTP:
		state = min_t(u8, READ_ONCE(ct->proto.sctp.state), SCTP_CONNTRACK_MAX - 1);
		return proto_pick(policy, nf_sctp_pernet(net)->timeouts, state);
#endif
#ifdef CONFIG_NF_CT_PROTO_GRE
	case IPPROTO_GRE:
		/* Of the flow itself: a helper may have given it more than the namespace would. */
		return test_bit(IPS_SEEN_REPLY_BIT, &ct->status) ?
		       ct->proto.gre.stream_timeout : ct->proto.gre.timeout;
#endif
	case IPPROTO_DCCP:
		return proto_timeout_dccp(ct, policy);
	default:
		return proto_pick(policy, &nf_generic_pernet(net)->timeout, 0);
	}
}

u32 flyrep_proto_timeout(const struct nf_conn *ct)
{
	u32 timeout;

	rcu_read_lock();
	timeout = proto_timeout(ct);
	rcu_read_unlock();
	return max_t(u32, timeout, HZ);
}
