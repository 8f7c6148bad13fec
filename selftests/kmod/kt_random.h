/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random requests to the module, from a seed: of the family's grammar, then bent. Keys
 * come from a small pool, so that flows meet each other.
 */
#ifndef KT_RANDOM_H
#define KT_RANDOM_H

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "kt_flow.h"

struct kt_random {
	uint64_t		state;
	struct flyrep_set	set;	/* one that there is */
};

/* A message being built; what does not fit is left out */
struct kt_message {
	size_t		len;
	uint8_t		buf[72 << 10] __attribute__((aligned(8)));
};

/* xorshift64* */
static uint32_t kt_random(struct kt_random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (r->state * 0x2545f4914f6cdd1dULL) >> 32;
}

/* 0 .. @n - 1 */
static uint32_t kt_below(struct kt_random *r, uint32_t n)
{
	return kt_random(r) % n;
}

/* True @percent times of 100 */
static bool kt_chance(struct kt_random *r, unsigned int percent)
{
	return kt_below(r, 100) < percent;
}

static void kt_noise(struct kt_random *r, void *buf, size_t len)
{
	uint8_t *b = buf;

	while (len--)
		*b++ = kt_random(r);
}

/* Values that programs get wrong, and any other */
static uint32_t kt_any_number(struct kt_random *r)
{
	static const uint32_t edges[] = { 0, 1, 2, 3, 127, 128, 255, 256, 65535, 65536, 0x7fffffff,
					  0x80000000, 0xffffffff };

	if (kt_chance(r, 50))
		return edges[kt_below(r, sizeof(edges) / sizeof(*edges))];
	return kt_random(r) >> kt_below(r, 32);
}

static void kt_random_addr(struct kt_random *r, union flyrep_addr *a, uint8_t family, unsigned int net)
{
	memset(a, 0, sizeof(*a));
	if (family == AF_INET) {
		a->word[0] = htonl(0x0a000000 | net << 16 | (1 + kt_below(r, 4)));
	} else {
		a->byte[0] = 0xfd;
		a->byte[1] = net;
		a->byte[15] = 1 + kt_below(r, 4);
	}
}

/* A record that is valid in most cases */
static void kt_random_record(struct kt_random *r, struct flyrep_ct *ct)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_UDP,
					  IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_GRE };
	bool is_icmp;

	memset(ct, 0, sizeof(*ct));
	ct->rec.op = 1 + kt_below(r, 3);
	ct->family = kt_chance(r, 60) ? AF_INET : AF_INET6;
	ct->proto = kt_chance(r, 98) ? protos[kt_below(r, sizeof(protos))] : kt_random(r);
	ct->zone = kt_chance(r, 90) ? 0 : kt_below(r, 3);
	ct->zone_dir = kt_chance(r, 90) ? 3 : kt_below(r, 5);
	kt_random_addr(r, &ct->orig.src, ct->family, 1);
	kt_random_addr(r, &ct->orig.dst, ct->family, 2);
	ct->orig.sport = htons(4000 + kt_below(r, 8));
	ct->orig.dport = htons(5000 + kt_below(r, 4));
	/* 10.9 and fd09 are where packets pass. */
	if (kt_chance(r, 15)) {
		ct->proto = IPPROTO_UDP;
		kt_addr(&ct->orig.src, ct->family == AF_INET ? "10.9.0.1" : "fd09::1");
		kt_addr(&ct->orig.dst, ct->family == AF_INET ? "10.9.0.2" : "fd09::2");
		ct->orig.sport = htons(4000);
	}
	is_icmp = ct->proto == IPPROTO_ICMP || ct->proto == IPPROTO_ICMPV6;
	if (is_icmp)
		ct->orig.dport = htons((ct->proto == IPPROTO_ICMP ? 8 : 128) << 8);
	ct->reply.src = ct->orig.dst;
	ct->reply.dst = ct->orig.src;
	ct->reply.sport = is_icmp ? ct->orig.sport : ct->orig.dport;
	ct->reply.dport = is_icmp ? htons((ct->proto == IPPROTO_ICMP ? 0 : 129) << 8) : ct->orig.sport;
	if (kt_chance(r, 25))
		kt_random_addr(r, &ct->reply.src, ct->family, 3);
	if (kt_chance(r, 25))
		kt_random_addr(r, &ct->reply.dst, ct->family, 4);
	if (kt_chance(r, 20))
		ct->reply.dport = htons(6000 + kt_below(r, 4));
	ct->status = kt_chance(r, 80) ? IPS_SEEN_REPLY | IPS_ASSURED : kt_random(r);
	ct->mark = kt_chance(r, 50) ? 0 : kt_random(r);
	if (ct->proto == IPPROTO_TCP || kt_chance(r, 2)) {
		ct->tcp_state = kt_below(r, kt_chance(r, 95) ? 10 : 256);
		ct->tcp_flags[0] = kt_random(r);
		ct->tcp_flags[1] = kt_random(r);
		ct->tcp_scale[0] = kt_below(r, kt_chance(r, 95) ? 15 : 256);
		ct->tcp_scale[1] = kt_below(r, 15);
	}
	if (kt_chance(r, 6))
		((uint8_t *)ct)[kt_below(r, sizeof(*ct))] = kt_random(r);
}

static const char *kt_pick(struct kt_random *r, const char *const *names, unsigned int n)
{
	return names[kt_below(r, n)];
}

/* A tail that is valid in most cases. Return: its length */
static size_t kt_random_tail(struct kt_random *r, const struct flyrep_ct *ct, struct flyrep_ct_ext *x)
{
	static const char *const helpers[] = { "ftp", "ftp", "tftp", "sip", "nobody-has-it" };
	static const char *const links[] = { "va", "lo", "nowhere" };
	size_t len = sizeof(*x);

	memset(x, 0, sizeof(*x));
	x->has = (kt_random(r) & kt_random(r) & FLYREP_CT_EXT_ALL) ?: FLYREP_CT_EXT_LABELS;
	if (x->has & FLYREP_CT_EXT_MASTER) {
		x->master_proto = kt_chance(r, 80) ? IPPROTO_UDP : IPPROTO_TCP;
		kt_random_addr(r, &x->master.src, ct->family, 1);
		kt_random_addr(r, &x->master.dst, ct->family, 2);
		x->master.sport = htons(4000 + kt_below(r, 8));
		x->master.dport = htons(5000 + kt_below(r, 4));
	}
	if (x->has & FLYREP_CT_EXT_HELPER)
		strcpy(x->helper, kt_pick(r, helpers, 5));
	if (x->has & FLYREP_CT_EXT_MASQ)
		strcpy(x->masq_ifname, kt_pick(r, links, 3));
	if (x->has & FLYREP_CT_EXT_TIMEOUT)
		kt_noise(r, x->timeout_s, sizeof(x->timeout_s));
	if (x->has & FLYREP_CT_EXT_LABELS)
		x->labels[kt_below(r, FLYREP_CT_LABELS_LEN)] = 1 << kt_below(r, 8);
	if (x->has & FLYREP_CT_EXT_SEQADJ)
		kt_noise(r, x->seqadj, sizeof(x->seqadj));
	if (x->has & FLYREP_CT_EXT_SYNPROXY)
		x->synproxy_isn = kt_random(r) | 1;
	if (x->has & FLYREP_CT_EXT_START)
		x->start_ns = kt_random(r) | 1;
	if (x->has & FLYREP_CT_EXT_COUNTERS)
		kt_noise(r, x->packets, sizeof(x->packets) + sizeof(x->bytes));
	if (kt_chance(r, 6))
		((uint8_t *)x)[kt_below(r, sizeof(*x))] = kt_random(r);
	if (kt_chance(r, 10))
		len = 8 * kt_below(r, sizeof(*x) / 8);
	return len;
}

/* An attribute with room for @len bytes of value, or NULL */
static void *kt_reserve(struct kt_message *m, uint16_t type, size_t len)
{
	struct nlattr *a = (struct nlattr *)(m->buf + m->len);

	if (m->len + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(m->buf) || len > 65000)
		return NULL;
	memset(a, 0, NLA_HDRLEN + NLA_ALIGN(len));
	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	m->len += NLA_HDRLEN + NLA_ALIGN(len);
	return (uint8_t *)a + NLA_HDRLEN;
}

/* Start a request with no attributes yet; its length and sequence number are the caller's. */
static void kt_message_begin(struct kt_message *m, uint16_t family, uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)m->buf;
	struct genlmsghdr *ghdr = (struct genlmsghdr *)(m->buf + NLMSG_HDRLEN);

	m->len = NLMSG_HDRLEN + GENL_HDRLEN;
	memset(m->buf, 0, m->len);
	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	ghdr->cmd = cmd;
	ghdr->version = FLYREP_GENL_VERSION;
}

/* Ask for the number of the family. @m is scratch. Return: 0 or -errno */
KT_UNUSED static int kt_family(struct kt_message *m, uint16_t *family)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)m->buf;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	uint8_t *p;

	kt_message_begin(m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	memcpy(kt_reserve(m, CTRL_ATTR_FAMILY_NAME, sizeof(FLYREP_GENL_NAME)), FLYREP_GENL_NAME,
	       sizeof(FLYREP_GENL_NAME));
	nlh->nlmsg_len = m->len;
	if (send(fd, m->buf, m->len, 0) < 0 || recv(fd, m->buf, sizeof(m->buf), 0) < 0)
		return -errno;
	close(fd);
	for (p = m->buf + NLMSG_HDRLEN + GENL_HDRLEN; p + NLA_HDRLEN < m->buf + nlh->nlmsg_len;
	     p += NLA_ALIGN(((struct nlattr *)p)->nla_len)) {
		if (((struct nlattr *)p)->nla_type != CTRL_ATTR_FAMILY_ID)
			continue;
		memcpy(family, p + NLA_HDRLEN, sizeof(*family));
		return 0;
	}
	return -ENOENT;
}

/* A number of @len bytes, which is rarely as long as it should */
static void kt_put_number(struct kt_random *r, struct kt_message *m, uint16_t type, size_t len,
			  uint32_t value)
{
	uint64_t bytes = value;
	void *p;

	if (kt_chance(r, 3))
		len = kt_below(r, 9);
	p = kt_reserve(m, type, len);
	if (p)
		memcpy(p, &bytes, len);
}

/* Noise, rarely of the length it should have */
static void kt_put_noise(struct kt_random *r, struct kt_message *m, uint16_t type, size_t len)
{
	void *p;

	if (kt_chance(r, 3))
		len = kt_chance(r, 50) ? len + 1 : kt_below(r, len + 64);
	p = kt_reserve(m, type, len);
	if (p)
		kt_noise(r, p, len);
}

/* A value of some range, or any */
static uint32_t kt_value(struct kt_random *r, uint32_t min, uint32_t max)
{
	return kt_chance(r, 85) ? min + kt_below(r, max - min + 1) : kt_any_number(r);
}

static void kt_put_prefixes(struct kt_random *r, struct kt_message *m)
{
	unsigned int n = kt_chance(r, 90) ? 1 + kt_below(r, 4) : kt_below(r, 330);
	struct flyrep_prefix *p = kt_reserve(m, FLYREP_FILTER_A_IGNORE, n * sizeof(*p));

	for (; p && n; n--, p++) {
		p->family = kt_chance(r, 50) ? AF_INET : AF_INET6;
		kt_random_addr(r, &p->addr, p->family, 5 + kt_below(r, 3));
		p->prefix_len = kt_chance(r, 95) ? p->family == AF_INET ? 32 : 128 : kt_random(r);
	}
}

static void kt_put_filter(struct kt_random *r, struct kt_message *m)
{
	static const uint8_t known[] = { IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_ICMPV6 };
	struct nlattr *nest = (struct nlattr *)(m->buf + m->len);
	size_t i, n, begin = m->len;
	uint8_t *p;

	if (!kt_reserve(m, FLYREP_A_FILTER | (kt_chance(r, 97) ? NLA_F_NESTED : 0), 0))
		return;
	if (kt_chance(r, 50)) {
		n = kt_chance(r, 90) ? 1 + kt_below(r, 5) : kt_below(r, 70);
		p = kt_reserve(m, FLYREP_FILTER_A_PROTOS, n);
		for (i = 0; p && i < n; i++)
			p[i] = kt_chance(r, 70) ? known[i % 4] : kt_random(r);
	}
	if (kt_chance(r, 30))
		kt_put_number(r, m, FLYREP_FILTER_A_ASSURED, 1, kt_value(r, 0, 1));
	if (kt_chance(r, 30))
		kt_put_prefixes(r, m);
	if (kt_chance(r, 5))
		kt_put_noise(r, m, FLYREP_FILTER_A_ZONES, 2 * (1 + kt_below(r, 66)));
	if (kt_chance(r, 10))
		kt_put_number(r, m, FLYREP_FILTER_A_MARK, 4, kt_any_number(r));
	if (kt_chance(r, 10))
		kt_put_number(r, m, FLYREP_FILTER_A_MARK_MASK, 4, kt_any_number(r));
	if (kt_chance(r, 3))
		kt_put_noise(r, m, kt_below(r, FLYREP_FILTER_A_MAX + 3), kt_below(r, 40));
	nest->nla_len = m->len - begin;
}

static void kt_put_records(struct kt_random *r, struct kt_message *m)
{
	static uint8_t recs[FLYREP_RECORDS_MAX_LEN] __attribute__((aligned(8)));
	const size_t tail_len = sizeof(struct flyrep_ct_ext);
	size_t rec_len = sizeof(struct flyrep_ct), len = 0, n;
	bool has_tails = kt_chance(r, 50);
	struct flyrep_ct *ct;
	uint8_t *p;

	if (kt_chance(r, 10))
		rec_len += 8 * kt_below(r, 8);
	n = 1 + kt_below(r, kt_below(r, 1000) < 5 ? FLYREP_RECORDS_MAX_LEN / rec_len : 8);
	if (kt_chance(r, 97))
		kt_put_number(r, m, FLYREP_A_TABLE, 1, kt_value(r, 1, 1));
	if (kt_chance(r, 97))
		kt_put_number(r, m, FLYREP_A_REC_LEN, 2, kt_chance(r, 97) ? rec_len : kt_any_number(r));
	if (kt_chance(r, 40))
		kt_put_number(r, m, FLYREP_A_APPLY_FLAGS, 4, kt_value(r, 0, FLYREP_APPLY_F_FORCE));
	if (kt_chance(r, 20))
		kt_reserve(m, FLYREP_A_PAD, 0);
	for (; n && len + rec_len + tail_len <= sizeof(recs); n--) {
		ct = (struct flyrep_ct *)(recs + len);
		memset(ct, 0, rec_len);
		kt_random_record(r, ct);
		len += rec_len;
		if (!has_tails || kt_chance(r, 40) || ct->rec.tail_len)
			continue;
		ct->rec.tail_len = kt_random_tail(r, ct, (struct flyrep_ct_ext *)(recs + len));
		len += ct->rec.tail_len;
	}
	if (kt_chance(r, 2))
		len -= 1 + kt_below(r, rec_len);
	p = kt_reserve(m, FLYREP_A_RECORDS, len);
	if (p)
		memcpy(p, recs, len);
}

/* Items of few keys and addresses, so that they meet */
static void kt_put_items(struct kt_random *r, struct kt_message *m)
{
	struct flyrep_item *items[8];
	struct nlattr *attr;
	uint8_t *p, *tail;
	size_t n = 1 + kt_below(r, 8), i, len = 0;

	kt_put_number(r, m, FLYREP_A_TABLE, 1, kt_value(r, FLYREP_TABLE_LEASE, FLYREP_TABLE_MAX));
	kt_put_number(r, m, FLYREP_A_REC_LEN, 2, sizeof(struct flyrep_item));
	if (kt_chance(r, 70))
		kt_put_number(r, m, FLYREP_A_APPLY_FLAGS, 4, kt_value(r, 0, 3));
	attr = (struct nlattr *)(m->buf + m->len);
	p = kt_reserve(m, FLYREP_A_RECORDS, n * (sizeof(*items[0]) + 16));
	for (i = 0; p && i < n; i++) {
		items[i] = (void *)(p + len);
		memset(items[i], 0, sizeof(*items[i]) + 16);
		items[i]->rec.op = kt_chance(r, 98) ? 1 + kt_below(r, 3) : kt_random(r);
		items[i]->rec.tail_len = 16;
		items[i]->key_len = 4 + kt_below(r, 2);
		if (items[i]->rec.op != FLYREP_OP_DELETE || kt_chance(r, 2)) {
			items[i]->value_len = kt_chance(r, 90) ? 5 : kt_below(r, 30);
			if (kt_chance(r, 50))
				items[i]->expires_ms = time(NULL) * 1000ull + kt_below(r, 3000);
		}
		if (kt_chance(r, 98))
			items[i]->rec.tail_len = FLYREP_ITEM_TAIL_LEN(items[i]->key_len,
								      items[i]->value_len);
		tail = (uint8_t *)(items[i] + 1);
		tail[1] = items[i]->key_len - 2;
		tail[2] = kt_below(r, 4);
		tail[items[i]->key_len + 1] = 3;
		if (items[i]->value_len)
			tail[items[i]->key_len + 2] = kt_below(r, 4);
		else
			tail[items[i]->key_len + 1] = 0;
		if (kt_chance(r, 2))
			kt_noise(r, tail, 16);
		len += sizeof(*items[i]) + (items[i]->rec.tail_len < 16 ? items[i]->rec.tail_len : 16);
	}
	/* What was reserved in vain is no record. */
	if (p) {
		attr->nla_len = NLA_HDRLEN + len;
		m->len = p + NLA_ALIGN(len) - m->buf;
	}
}

/* Expectations of the flows that kt_random_record() makes: some of these have a helper. */
static void kt_put_expects(struct kt_random *r, struct kt_message *m)
{
	static const char *const helpers[] = { "", "", "sip", "nobody-has-it" };
	static const char *const fns[] = { "", "nat-follow-master", "nat-follow-master", "nobody-has-it" };
	size_t n = 1 + kt_below(r, 8);
	struct flyrep_expect *e;

	kt_put_number(r, m, FLYREP_A_TABLE, 1, FLYREP_TABLE_EXPECTATION);
	kt_put_number(r, m, FLYREP_A_REC_LEN, 2, sizeof(*e));
	if (kt_chance(r, 70))
		kt_put_number(r, m, FLYREP_A_APPLY_FLAGS, 4, kt_value(r, 0, FLYREP_APPLY_F_FORCE));
	e = kt_reserve(m, FLYREP_A_RECORDS, n * sizeof(*e));
	for (; e && n; n--, e++) {
		e->rec.op = kt_chance(r, 98) ? 1 + kt_below(r, 3) : kt_random(r);
		e->family = kt_chance(r, 70) ? AF_INET : AF_INET6;
		e->proto = e->master_proto = kt_chance(r, 50) ? IPPROTO_TCP : IPPROTO_UDP;
		e->zone_dir = 3;
		kt_random_addr(r, &e->master.src, e->family, 1);
		kt_random_addr(r, &e->master.dst, e->family, 2);
		e->master.sport = htons(4000 + kt_below(r, 8));
		e->master.dport = htons(5000 + kt_below(r, 4));
		kt_random_addr(r, &e->tuple.dst, e->family, 1);
		e->tuple.dport = htons(7000 + kt_below(r, 4));
		if (kt_chance(r, 50))
			kt_random_addr(r, &e->tuple.src, e->family, 2);
		if (kt_chance(r, 50))
			memset(&e->mask_src, 0xff, e->family == AF_INET ? 4 : 16);
		e->flags = kt_below(r, 8);
		e->timeout_s = kt_chance(r, 90) ? kt_below(r, 100) : kt_random(r);
		e->class = kt_chance(r, 80) ? 0 : kt_below(r, 5);
		e->nat_dir = kt_below(r, 2);
		e->nat_port = kt_random(r);
		strcpy(e->helper, kt_pick(r, helpers, 4));
		strcpy(e->expectfn, kt_pick(r, fns, 4));
		if (kt_chance(r, 6))
			((uint8_t *)e)[kt_below(r, sizeof(*e))] = kt_random(r);
	}
}

static void kt_put_limits(struct kt_random *r, struct kt_message *m)
{
	struct flyrep_limit l = { .table = kt_value(r, FLYREP_TABLE_LEASE, FLYREP_TABLE_MAX),
				  .max_entries = kt_value(r, 1, 8), .max_bytes = kt_value(r, 1, 100) };
	uint8_t *p = kt_reserve(m, FLYREP_A_LIMITS, sizeof(l) - kt_chance(r, 2));

	if (p)
		memcpy(p, &l, sizeof(l) - 1);
}

/* Few handles, so that some are doubled; often those of a set that there is */
static void kt_put_sets(struct kt_random *r, struct kt_message *m)
{
	size_t n = kt_chance(r, 2) ? kt_below(r, FLYREP_SETS_MAX + 2) : kt_below(r, 20), i;
	struct flyrep_set set = {};
	uint8_t *p = kt_reserve(m, FLYREP_A_SETS, n * sizeof(set) + kt_chance(r, 2));

	for (i = 0; p && i < n; i++) {
		set.table = 1 + kt_below(r, 3);
		set.set = 1 + kt_below(r, 4);
		if (kt_chance(r, 30))
			set = r->set;
		memcpy(p + i * sizeof(set), &set, sizeof(set));
	}
}

static void kt_put_config(struct kt_random *r, struct kt_message *m)
{
	if (kt_chance(r, 20))
		kt_put_noise(r, m, FLYREP_A_HASH_KEY, FLYREP_HASH_KEY_LEN);
	if (kt_chance(r, 30))
		kt_put_number(r, m, FLYREP_A_HOLD_S, 4, kt_value(r, 1, FLYREP_HOLD_MAX_S));
	if (kt_chance(r, 30))
		kt_put_number(r, m, FLYREP_A_GRACE_S, 4, kt_value(r, 0, 3));
	if (kt_chance(r, 30))
		kt_put_number(r, m, FLYREP_A_LEARN_S, 4, kt_value(r, 1, 3));
	if (kt_chance(r, 30))
		kt_put_number(r, m, FLYREP_A_RING_ENTRIES, 4, kt_value(r, 0, 64));
	if (kt_chance(r, 20))
		kt_put_number(r, m, FLYREP_A_STANDBY, 1, kt_value(r, 0, 1));
	if (kt_chance(r, 40))
		kt_put_filter(r, m);
	if (kt_chance(r, 20))
		kt_put_limits(r, m);
	if (kt_chance(r, 10))
		kt_put_sets(r, m);
}

static void kt_put_snapshot(struct kt_random *r, struct kt_message *m)
{
	if (kt_chance(r, 97))
		kt_put_number(r, m, FLYREP_A_TABLE, 1, kt_value(r, 1, FLYREP_TABLE_MAX));
	if (kt_chance(r, 40))
		kt_put_noise(r, m, FLYREP_A_BUCKETS, FLYREP_BUCKETS_LEN);
	if (kt_chance(r, 50))
		kt_put_number(r, m, FLYREP_A_ORIGIN, 1, kt_value(r, 0, FLYREP_ORIGIN_REMOTE));
}

/* Which command, and how often of 1000; the last is any */
static uint8_t kt_random_cmd(struct kt_random *r)
{
	static const struct {
		uint8_t		cmd;
		uint16_t	share;
	} t[] = {
		{ FLYREP_CMD_APPLY, 450 }, { FLYREP_CMD_DRAIN, 170 }, { FLYREP_CMD_SNAPSHOT, 120 },
		{ FLYREP_CMD_CONFIG, 100 }, { FLYREP_CMD_BIND, 60 }, { FLYREP_CMD_INFO, 40 },
		{ FLYREP_CMD_PROMOTE, 20 }, { FLYREP_CMD_DEMOTE, 10 },
	};
	uint32_t x = kt_below(r, 1000);
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(*t); x -= t[i++].share)
		if (x < t[i].share)
			return t[i].cmd;
	return kt_below(r, FLYREP_CMD_MAX + 3);
}

/* Bend what was well-formed: bytes, lengths, the end. */
static void kt_bend(struct kt_random *r, struct kt_message *m)
{
	const size_t head = NLMSG_HDRLEN + GENL_HDRLEN;
	unsigned int i;

	if (m->len <= head)
		return;
	switch (kt_below(r, 3)) {
	case 0:
		for (i = 1 + kt_below(r, 4); i; i--)
			m->buf[head + kt_below(r, m->len - head)] = kt_random(r);
		break;
	case 1:
		((struct nlattr *)(m->buf + head))->nla_len = kt_any_number(r);
		break;
	default:
		m->len -= kt_below(r, m->len - head + 1);
	}
}

/* A whole request for @family, its sequence number yet to be set */
KT_UNUSED static uint8_t kt_random_message(struct kt_random *r, struct kt_message *m, uint16_t family)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)m->buf;
	struct genlmsghdr *ghdr = (struct genlmsghdr *)(m->buf + NLMSG_HDRLEN);
	uint8_t cmd = kt_random_cmd(r);
	bool is_dump = cmd == FLYREP_CMD_DRAIN || cmd == FLYREP_CMD_SNAPSHOT;

	kt_message_begin(m, family, cmd, (is_dump != kt_chance(r, 2) ? NLM_F_DUMP : 0) |
			 (kt_chance(r, 80) ? NLM_F_ACK : 0));
	ghdr->version = kt_chance(r, 98) ? FLYREP_GENL_VERSION : kt_random(r);
	if (cmd == FLYREP_CMD_APPLY)
		if (kt_chance(r, 25))
			kt_put_items(r, m);
		else if (kt_chance(r, 15))
			kt_put_expects(r, m);
		else
			kt_put_records(r, m);
	else if (cmd == FLYREP_CMD_CONFIG)
		kt_put_config(r, m);
	else if (cmd == FLYREP_CMD_SNAPSHOT)
		kt_put_snapshot(r, m);
	if (kt_chance(r, 2))
		kt_put_noise(r, m, kt_below(r, FLYREP_A_MAX + 3), kt_below(r, 300));
	if (kt_chance(r, 8))
		kt_bend(r, m);
	nlh->nlmsg_len = m->len;
	return cmd;
}

#endif
