// SPDX-License-Identifier: GPL-2.0-only
#include "conntrack.h"

#include <linux/siphash.h>

#include "buckets.h"
#include "compat/compat.h"
#include "pernet.h"

static_assert(sizeof(struct flyrep_rec) == 24);
static_assert(sizeof(struct flyrep_ct_tuple) == 36);
static_assert(sizeof(struct flyrep_ct) == 128);
static_assert(__IPS_MAX_BIT <= 32, "the kernel uses more of nf_conn.status than it did");
static_assert(sizeof_field(struct nf_conn, status) == 8);
static_assert(FLYREP_CT_STATUS_MASK ==
	      (IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT | IPS_DST_NAT));
static_assert(FLYREP_CT_TCP_FLAGS_MASK ==
	      (IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM));

#define CONNTRACK_MAX_SCALE 14

static __always_inline void conntrack_read_addr(union flyrep_addr *to,
						const union nf_inet_addr *from, bool is_v4)
{
	if (is_v4) {
		to->word[0] = from->ip;
		to->word[1] = 0;
		to->word[2] = 0;
		to->word[3] = 0;
	} else {
		memcpy(to, from, sizeof(*to));
	}
}

static void conntrack_read_tuple(struct flyrep_ct_tuple *to, const struct nf_conntrack_tuple *t)
{
	bool is_v4 = t->src.l3num == AF_INET;

	conntrack_read_addr(&to->src, &t->src.u3, is_v4);
	conntrack_read_addr(&to->dst, &t->dst.u3, is_v4);
	/* ICMP: the identifier, and type and code as they lie in memory */
	to->sport = t->src.u.all;
	to->dport = t->dst.u.all;
}

void flyrep_conntrack_read_key(struct flyrep_ct *r, const struct nf_conn *ct)
{
	r->family = nf_ct_l3num(ct);
	r->proto = nf_ct_protonum(ct);
	r->zone = nf_ct_zone(ct)->id;
	r->zone_dir = nf_ct_zone(ct)->dir;
	memset(r->reserved, 0, sizeof(r->reserved));
	conntrack_read_tuple(&r->orig, &ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple);
}

static void conntrack_read_tcp(struct flyrep_ct *r, const struct ip_ct_tcp *tcp)
{
	int dir;

	r->tcp_state = READ_ONCE(tcp->state);
	for (dir = 0; dir < IP_CT_DIR_MAX; dir++) {
		r->tcp_flags[dir] = READ_ONCE(tcp->seen[dir].flags);
		r->tcp_scale[dir] = READ_ONCE(tcp->seen[dir].td_scale);
	}
}

void flyrep_conntrack_read_state(struct flyrep_ct *r, const struct nf_conn *ct,
				 const struct flyrep_net *fn)
{
	unsigned long status = READ_ONCE(ct->status);

	r->rec.flags = status & FLYREP_CT_REMOTE ? FLYREP_REC_F_REMOTE : 0;
	r->rec.reserved = 0;
	r->rec.reserved2 = 0;
	r->rec.id = hsiphash_2u32((unsigned long)ct, (unsigned long)ct >> 32, &fn->id_key);
	conntrack_read_tuple(&r->reply, &ct->tuplehash[IP_CT_DIR_REPLY].tuple);
	r->status = status;
	r->timeout_s = nf_ct_expires(ct) / HZ;
	r->mark = flyrep_conntrack_mark(ct);
	/* To the end: a record is memory that user space sees. */
	memset_after(r, 0, mark);
	if (r->proto == IPPROTO_TCP)
		conntrack_read_tcp(r, &ct->proto.tcp);
}

unsigned int flyrep_conntrack_bucket(const struct flyrep_ct *r, const struct flyrep_net *fn)
{
	u8 key[FLYREP_CT_KEY_MAX_LEN] __aligned(8);

	return flyrep_buckets_hash(&fn->buckets, key, flyrep_ct_key(key, r));
}

void flyrep_conntrack_tuple(struct nf_conntrack_tuple *t, const struct flyrep_ct *r,
			    enum ip_conntrack_dir dir)
{
	const struct flyrep_ct_tuple *from = dir == IP_CT_DIR_ORIGINAL ? &r->orig : &r->reply;

	memset(t, 0, sizeof(*t));
	memcpy(&t->src.u3, &from->src, sizeof(from->src));
	memcpy(&t->dst.u3, &from->dst, sizeof(from->dst));
	t->src.u.all = from->sport;
	t->dst.u.all = from->dport;
	t->src.l3num = r->family;
	t->dst.protonum = r->proto;
	t->dst.dir = dir;
}

static bool conntrack_tuple_is_v4(const struct flyrep_ct_tuple *t)
{
	return !(t->src.word[1] | t->src.word[2] | t->src.word[3] |
		 t->dst.word[1] | t->dst.word[2] | t->dst.word[3]);
}

/* Return: 0 or -errno; an ICMP of the wrong family is not a protocol at all */
static int conntrack_check_proto(const struct flyrep_ct *r)
{
	switch (r->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return 0;
	case IPPROTO_ICMP:
		return r->family == AF_INET ? 0 : -EINVAL;
	case IPPROTO_ICMPV6:
		return r->family == AF_INET6 ? 0 : -EINVAL;
	default:
		return -EPROTONOSUPPORT;
	}
}

static bool conntrack_tcp_is_sane(const struct flyrep_ct *r)
{
	if (r->proto == IPPROTO_TCP)
		return r->tcp_state < TCP_CONNTRACK_MAX &&
		       r->tcp_scale[0] <= CONNTRACK_MAX_SCALE &&
		       r->tcp_scale[1] <= CONNTRACK_MAX_SCALE;
	return !(r->tcp_state | r->tcp_flags[0] | r->tcp_flags[1] |
		 r->tcp_scale[0] | r->tcp_scale[1]);
}

static __always_inline bool conntrack_is_zero(const u8 *bytes, size_t len)
{
	u8 any = 0;
	size_t i;

	for (i = 0; i < len; i++)
		any |= bytes[i];
	return !any;
}

/* The value of a record; a DELETE has none. Return: 0 or -EINVAL */
static int conntrack_check_value(const struct flyrep_ct *r)
{
	if (r->family == AF_INET && !conntrack_tuple_is_v4(&r->reply))
		return -EINVAL;
	if (!conntrack_is_zero(r->reserved3, sizeof(r->reserved3)))
		return -EINVAL;
	return conntrack_tcp_is_sane(r) ? 0 : -EINVAL;
}

int flyrep_conntrack_check(const struct flyrep_ct *r)
{
	const struct flyrep_rec *rec = &r->rec;
	int err;

	if (rec->op == FLYREP_OP_UNSPEC || rec->op >= __FLYREP_OP_MAX || rec->flags ||
	    rec->reserved || rec->id || rec->stamp || rec->age_us || rec->reserved2)
		return -EINVAL;
	if (!conntrack_is_zero(r->reserved, sizeof(r->reserved)))
		return -EINVAL;
	if (r->family == AF_INET) {
		if (!conntrack_tuple_is_v4(&r->orig))
			return -EINVAL;
	} else if (r->family != AF_INET6) {
		return -EINVAL;
	}
	if (!r->zone_dir || r->zone_dir > NF_CT_DEFAULT_ZONE_DIR)
		return -EINVAL;
#ifndef CONFIG_NF_CONNTRACK_ZONES
	if (r->zone != NF_CT_DEFAULT_ZONE_ID)
		return -EINVAL;
#endif
	err = conntrack_check_proto(r);
	if (err || rec->op == FLYREP_OP_DELETE)
		return err;
	return conntrack_check_value(r);
}

unsigned int flyrep_conntrack_tcp_rank(u8 state)
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

	return rank[state];
}
