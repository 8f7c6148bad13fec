// SPDX-License-Identifier: GPL-2.0-only
#include "filter.h"

#include <linux/inetdevice.h>
#include <linux/slab.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_zones.h>
#include <net/ipv6.h>
#include <net/netlink.h>

#include "conntrack.h"
#include "pernet.h"
#include "proto.h"

struct flyrep_filter {
	DECLARE_BITMAP(protos, 256);
	bool			is_assured;
	u32			mark;
	u32			mark_mask;
	u16			n_zones;
	u16			n_ignore;
	u16			zones[FLYREP_FILTER_ZONES_MAX];
	struct flyrep_prefix	ignore[];
};

/* All that conntrack tracks; 0 is no protocol, but ctnetlink makes such flows for whoever asks. */
static const struct flyrep_filter filter_default = {
	.protos = {
		[0] = ~BIT(0),
		[1 ... BITS_TO_LONGS(256) - 1] = ~0UL,
	},
};

/* What FLYREP_FILTER_A_PROTOS has to call by their numbers; 0 stands for the rest. */
static const u8 filter_named[] = {
	IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_GRE, IPPROTO_ICMPV6,
	IPPROTO_SCTP, IPPROTO_UDPLITE,
};

/* A range, though a multiple would say more: it is all a policy can tell user space. */
#define FILTER_ARRAY(elem, max) \
	NLA_POLICY_RANGE(NLA_BINARY, sizeof(elem), (max) * sizeof(elem))

const struct nla_policy flyrep_filter_policy[FLYREP_FILTER_A_MAX + 1] = {
	[FLYREP_FILTER_A_PROTOS]	= FILTER_ARRAY(u8, FLYREP_FILTER_PROTOS_MAX),
	[FLYREP_FILTER_A_ASSURED]	= NLA_POLICY_MAX(NLA_U8, 1),
	[FLYREP_FILTER_A_IGNORE]	= FILTER_ARRAY(struct flyrep_prefix,
						       FLYREP_FILTER_IGNORE_MAX),
	[FLYREP_FILTER_A_ZONES]		= FILTER_ARRAY(u16, FLYREP_FILTER_ZONES_MAX),
	[FLYREP_FILTER_A_MARK]		= { .type = NLA_U32 },
	[FLYREP_FILTER_A_MARK_MASK]	= { .type = NLA_U32 },
};

void flyrep_filter_init(struct flyrep_net *fn)
{
	RCU_INIT_POINTER(fn->filter, &filter_default);
}

/* Context: process */
static void filter_free(const struct flyrep_filter *filter)
{
	if (filter != &filter_default)
		kvfree(filter);
}

void flyrep_filter_free(struct flyrep_filter *filter)
{
	filter_free(filter);
}

void flyrep_filter_exit(struct flyrep_net *fn)
{
	filter_free(rcu_dereference_raw(fn->filter));
}

/* Length of an array attribute in elements; 0 with extack set if it is not one. */
static unsigned int filter_array(const struct nlattr *attr, size_t elem_len,
				 struct netlink_ext_ack *extack)
{
	unsigned int len = nla_len(attr);

	if (len % elem_len) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "length is not a multiple of the element");
		return 0;
	}
	return len / elem_len;
}

/* Is this a network, with nothing set beyond its prefix? */
static bool filter_prefix_is_sane(const struct flyrep_prefix *p)
{
	unsigned int bits = p->family == AF_INET ? 32 : 128, i;

	if ((p->family != AF_INET && p->family != AF_INET6) || p->prefix_len > bits ||
	    p->reserved)
		return false;
	for (i = p->prefix_len; i < 128; i++)
		if (p->addr.byte[i / 8] & (0x80 >> (i % 8)))
			return false;
	return true;
}

/* Context: process. Return: 0 or -EINVAL with extack set */
static int filter_parse_ignore(struct flyrep_filter *f, const struct nlattr *attr,
			       struct netlink_ext_ack *extack)
{
	unsigned int i;

	memcpy(f->ignore, nla_data(attr), nla_len(attr));
	for (i = 0; i < f->n_ignore; i++) {
		if (filter_prefix_is_sane(&f->ignore[i]))
			continue;
		NL_SET_ERR_MSG_ATTR(extack, attr, "not a network: family, length or host bits");
		return -EINVAL;
	}
	return 0;
}

static void filter_parse_protos(struct flyrep_filter *f, const struct nlattr *attr)
{
	const u8 *proto = nla_data(attr);
	DECLARE_BITMAP(wanted, 256) = {};
	int i;

	if (memchr(proto, 0, nla_len(attr))) {
		bitmap_fill(wanted, 256);
		for (i = 0; i < ARRAY_SIZE(filter_named); i++)
			__clear_bit(filter_named[i], wanted);
	}
	for (i = 0; i < nla_len(attr); i++)
		__set_bit(proto[i], wanted);
	bitmap_and(f->protos, wanted, filter_default.protos, 256);
}

struct flyrep_filter *flyrep_filter_parse(const struct nlattr *nest,
					  struct netlink_ext_ack *extack)
{
	struct nlattr *tb[FLYREP_FILTER_A_MAX + 1];
	unsigned int n_ignore = 0, n_zones = 0;
	struct flyrep_filter *f;
	int err;

	err = nla_parse_nested(tb, FLYREP_FILTER_A_MAX, nest, flyrep_filter_policy, extack);
	if (err)
		return ERR_PTR(err);
	if (!tb[FLYREP_FILTER_A_MARK] != !tb[FLYREP_FILTER_A_MARK_MASK]) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "mark and mask come together");
		return ERR_PTR(-EINVAL);
	}
	if (tb[FLYREP_FILTER_A_IGNORE]) {
		n_ignore = filter_array(tb[FLYREP_FILTER_A_IGNORE], sizeof(struct flyrep_prefix),
					extack);
		if (!n_ignore)
			return ERR_PTR(-EINVAL);
	}
	if (tb[FLYREP_FILTER_A_ZONES]) {
		n_zones = filter_array(tb[FLYREP_FILTER_A_ZONES], sizeof(u16), extack);
		if (!n_zones)
			return ERR_PTR(-EINVAL);
	}

	f = kvzalloc(struct_size(f, ignore, n_ignore), GFP_KERNEL_ACCOUNT);
	if (!f)
		return ERR_PTR(-ENOMEM);
	bitmap_copy(f->protos, filter_default.protos, 256);
	f->n_ignore = n_ignore;
	f->n_zones = n_zones;
	if (tb[FLYREP_FILTER_A_PROTOS])
		filter_parse_protos(f, tb[FLYREP_FILTER_A_PROTOS]);
	if (tb[FLYREP_FILTER_A_ASSURED])
		f->is_assured = nla_get_u8(tb[FLYREP_FILTER_A_ASSURED]);
	if (tb[FLYREP_FILTER_A_ZONES])
		memcpy(f->zones, nla_data(tb[FLYREP_FILTER_A_ZONES]), n_zones * sizeof(u16));
	if (tb[FLYREP_FILTER_A_MARK]) {
		f->mark = nla_get_u32(tb[FLYREP_FILTER_A_MARK]) &
			  nla_get_u32(tb[FLYREP_FILTER_A_MARK_MASK]);
		f->mark_mask = nla_get_u32(tb[FLYREP_FILTER_A_MARK_MASK]);
	}
	if (tb[FLYREP_FILTER_A_IGNORE]) {
		err = filter_parse_ignore(f, tb[FLYREP_FILTER_A_IGNORE], extack);
		if (err) {
			kvfree(f);
			return ERR_PTR(err);
		}
	}
	return f;
}

void flyrep_filter_replace(struct flyrep_net *fn, const struct flyrep_filter *filter)
{
	if (!filter)
		return;
	filter = rcu_replace_pointer(fn->filter, filter, lockdep_is_held(&fn->lock));
	synchronize_rcu();
	filter_free(filter);
}

static bool filter_prefix_has(const struct flyrep_prefix *p, const union nf_inet_addr *addr)
{
	if (p->family == AF_INET)
		return !((addr->ip ^ p->addr.word[0]) & inet_make_mask(p->prefix_len));
	return ipv6_prefix_equal(&addr->in6, (const struct in6_addr *)&p->addr, p->prefix_len);
}

static bool filter_ignores(const struct flyrep_filter *f, const struct nf_conn *ct)
{
	const struct nf_conntrack_tuple *t = &ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple;
	unsigned int i;

	for (i = 0; i < f->n_ignore; i++)
		if (f->ignore[i].family == t->src.l3num &&
		    (filter_prefix_has(&f->ignore[i], &t->src.u3) ||
		     filter_prefix_has(&f->ignore[i], &t->dst.u3)))
			return true;
	return false;
}

static bool filter_has_zone(const struct flyrep_filter *f, const struct nf_conn *ct)
{
	unsigned int i;

	for (i = 0; i < f->n_zones; i++)
		if (f->zones[i] == nf_ct_zone(ct)->id)
			return true;
	return false;
}

/* Is the handshake done? Where there is none, an answer will do. */
static bool filter_is_assured(const struct nf_conn *ct)
{
	return test_bit(IPS_ASSURED_BIT, &ct->status) ||
	       (test_bit(IPS_SEEN_REPLY_BIT, &ct->status) &&
		!flyrep_proto_has_handshake(nf_ct_protonum(ct)));
}

bool flyrep_filter_pass(const struct flyrep_net *fn, const struct nf_conn *ct)
{
	const struct flyrep_filter *f = rcu_dereference(fn->filter);

	if (!test_bit(nf_ct_protonum(ct), f->protos))
		return false;
	if (f->is_assured && !filter_is_assured(ct))
		return false;
	if (f->mark_mask && (flyrep_conntrack_mark(ct) & f->mark_mask) != f->mark)
		return false;
	if (f->n_zones && !filter_has_zone(f, ct))
		return false;
	return likely(!f->n_ignore) || !filter_ignores(f, ct);
}
