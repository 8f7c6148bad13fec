// SPDX-License-Identifier: GPL-2.0-only
#include "conntrack.h"

#include <linux/siphash.h>
#include <net/netfilter/nf_conntrack_core.h>

#include "buckets.h"
#include "compat/compat.h"
#include "extras.h"
#include "pernet.h"
#include "proto.h"

static_assert(sizeof(struct flyrep_rec) == 24);
static_assert(sizeof(struct flyrep_ct_tuple) == 36);
static_assert(sizeof(struct flyrep_ct) == 128);
static_assert(offsetof(struct flyrep_ct, proto_value) == 116);
static_assert(offsetof(struct flyrep_ct, sctp_vtag) == 120);
static_assert(offsetof(struct flyrep_ct, dccp_handshake_seq) == 120);
static_assert(__IPS_MAX_BIT <= FLYREP_CT_REMOTE_BIT,
	      "the kernel uses more of nf_conn.status than it did");
static_assert(FLYREP_CT_CALM_BIT < 8 * sizeof_field(struct nf_conn, status));
static_assert(!(FLYREP_CT_MARKS & FLYREP_CT_STATUS_MASK));
static_assert(FLYREP_CT_STATUS_MASK ==
	      (IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT | IPS_DST_NAT));
static_assert(FLYREP_CT_TCP_FLAGS_MASK ==
	      (IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM));

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

void flyrep_conntrack_read_tuple(struct flyrep_ct_tuple *to, const struct nf_conntrack_tuple *t)
{
	bool is_v4 = t->src.l3num == AF_INET;

	conntrack_read_addr(&to->src, &t->src.u3, is_v4);
	conntrack_read_addr(&to->dst, &t->dst.u3, is_v4);
	/* ICMP: the identifier, and type and code as they lie in memory; GRE: its keys */
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
	flyrep_conntrack_read_tuple(&r->orig, &ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple);
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

void flyrep_conntrack_read_state(struct flyrep_ct *r, struct nf_conn *ct,
				 const struct flyrep_net *fn)
{
	unsigned long status = READ_ONCE(ct->status);

	r->rec.flags = status & FLYREP_CT_REMOTE ? FLYREP_REC_F_REMOTE : 0;
	r->rec.tail_len = flyrep_extras_maybe(ct) && !(status & IPS_DYING) ?
			  flyrep_extras_read((struct flyrep_ct_ext *)(r + 1), ct) : 0;
	r->rec.reserved2 = 0;
	r->rec.id = hsiphash_2u32((unsigned long)ct, upper_32_bits((unsigned long)ct),
				  &fn->id_key);
	flyrep_conntrack_read_tuple(&r->reply, &ct->tuplehash[IP_CT_DIR_REPLY].tuple);
	r->status = status & ~FLYREP_CT_MARKS;
	r->timeout_s = nf_ct_expires(ct) / HZ;
	r->mark = flyrep_conntrack_mark(ct);
	/* To the end: a record is memory that user space sees. */
	memset_after(r, 0, mark);
	if (r->proto == IPPROTO_TCP)
		conntrack_read_tcp(r, &ct->proto.tcp);
	else if (r->proto != IPPROTO_UDP)
		flyrep_proto_read(r, ct);
}

unsigned int flyrep_conntrack_bucket(const struct flyrep_ct *r, const struct flyrep_net *fn)
{
	u8 key[FLYREP_CT_KEY_MAX_LEN] __aligned(8);

	return flyrep_buckets_hash(&fn->buckets, key, flyrep_ct_key(key, r));
}

void flyrep_conntrack_write_tuple(struct nf_conntrack_tuple *t, const struct flyrep_ct_tuple *from,
				  u8 family, u8 proto, enum ip_conntrack_dir dir)
{
	memset(t, 0, sizeof(*t));
	memcpy(&t->src.u3, &from->src, sizeof(from->src));
	memcpy(&t->dst.u3, &from->dst, sizeof(from->dst));
	t->src.u.all = from->sport;
	t->dst.u.all = from->dport;
	t->src.l3num = family;
	t->dst.protonum = proto;
	t->dst.dir = dir;
}

struct nf_conn *flyrep_conntrack_find_get(struct net *net, const struct nf_conntrack_zone *zone,
					  const struct nf_conntrack_tuple *orig)
{
	struct nf_conntrack_tuple_hash *h = nf_conntrack_find_get(net, zone, orig);
	struct nf_conn *ct;

	if (!h)
		return NULL;
	ct = nf_ct_tuplehash_to_ctrack(h);
	if (NF_CT_DIRECTION(h) == IP_CT_DIR_ORIGINAL && nf_ct_zone(ct)->id == zone->id &&
	    nf_ct_zone(ct)->dir == zone->dir)
		return ct;
	nf_ct_put(ct);
	return NULL;
}

bool flyrep_conntrack_is_v4(const struct flyrep_ct_tuple *t)
{
	return !(t->src.word[1] | t->src.word[2] | t->src.word[3] |
		 t->dst.word[1] | t->dst.word[2] | t->dst.word[3]);
}

int flyrep_conntrack_check(const struct flyrep_ct *r)
{
	const struct flyrep_rec *rec = &r->rec;

	if (rec->op == FLYREP_OP_UNSPEC || rec->op >= __FLYREP_OP_MAX || rec->flags ||
	    rec->id || rec->stamp || rec->age_us || rec->reserved2)
		return -EINVAL;
	if (!flyrep_conntrack_is_zero(r->reserved, sizeof(r->reserved)))
		return -EINVAL;
	if (r->family == AF_INET) {
		if (!flyrep_conntrack_is_v4(&r->orig))
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
	if (r->family == AF_INET && rec->op != FLYREP_OP_DELETE &&
	    !flyrep_conntrack_is_v4(&r->reply))
		return -EINVAL;
	return flyrep_proto_check(r);
}
