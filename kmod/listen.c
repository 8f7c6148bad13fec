// SPDX-License-Identifier: GPL-2.0-only
#include "listen.h"

#include <linux/net.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/slab.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "capture.h"
#include "compat/compat.h"
#include "conntrack.h"
#include "expect.h"
#include "pernet.h"
#include "reader.h"

#define LISTEN_BUF_LEN	8192
#define LISTEN_RCVBUF	(8 << 20)
/* Messages in one turn of the worker, and before an answer that waits for them */
#define LISTEN_TURN	128
#define LISTEN_BACKLOG	65536
#define LISTEN_GROUPS	((1 << (NFNLGRP_CONNTRACK_NEW - 1)) |		\
			 (1 << (NFNLGRP_CONNTRACK_UPDATE - 1)) |	\
			 (1 << (NFNLGRP_CONNTRACK_DESTROY - 1)) |	\
			 (1 << (NFNLGRP_CONNTRACK_EXP_NEW - 1)) |	\
			 (1 << (NFNLGRP_CONNTRACK_EXP_DESTROY - 1)))

static const struct nla_policy listen_ct_policy[CTA_MAX + 1] = {
	[CTA_TUPLE_ORIG]	= { .type = NLA_NESTED },
	[CTA_TUPLE_REPLY]	= { .type = NLA_NESTED },
	[CTA_ZONE]		= { .type = NLA_U16 },
};

static const struct nla_policy listen_tuple_policy[CTA_TUPLE_MAX + 1] = {
	[CTA_TUPLE_IP]		= { .type = NLA_NESTED },
	[CTA_TUPLE_PROTO]	= { .type = NLA_NESTED },
	[CTA_TUPLE_ZONE]	= { .type = NLA_U16 },
};

static const struct nla_policy listen_ip_policy[CTA_IP_MAX + 1] = {
	[CTA_IP_V4_SRC]		= { .type = NLA_U32 },
	[CTA_IP_V4_DST]		= { .type = NLA_U32 },
	[CTA_IP_V6_SRC]		= { .len = sizeof(struct in6_addr) },
	[CTA_IP_V6_DST]		= { .len = sizeof(struct in6_addr) },
};

static const struct nla_policy listen_proto_policy[CTA_PROTO_MAX + 1] = {
	[CTA_PROTO_NUM]		= { .type = NLA_U8 },
	[CTA_PROTO_SRC_PORT]	= { .type = NLA_U16 },
	[CTA_PROTO_DST_PORT]	= { .type = NLA_U16 },
	[CTA_PROTO_ICMP_ID]	= { .type = NLA_U16 },
	[CTA_PROTO_ICMP_TYPE]	= { .type = NLA_U8 },
	[CTA_PROTO_ICMP_CODE]	= { .type = NLA_U8 },
	[CTA_PROTO_ICMPV6_ID]	= { .type = NLA_U16 },
	[CTA_PROTO_ICMPV6_TYPE]	= { .type = NLA_U8 },
	[CTA_PROTO_ICMPV6_CODE]	= { .type = NLA_U8 },
};

/* --- what a message says ------------------------------------------------------ */

static int listen_parse_ip(struct flyrep_ct *r, const struct nlattr *nest)
{
	struct nlattr *ip[CTA_IP_MAX + 1];
	bool is_v4 = r->family == AF_INET;
	const struct nlattr *src, *dst;
	size_t len = is_v4 ? sizeof(__be32) : sizeof(struct in6_addr);
	int err;

	err = nla_parse_nested_deprecated(ip, CTA_IP_MAX, nest, listen_ip_policy, NULL);
	if (err)
		return err;
	src = ip[is_v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC];
	dst = ip[is_v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST];
	if (!src || !dst)
		return -EINVAL;
	nla_memcpy(&r->orig.src, src, len);
	nla_memcpy(&r->orig.dst, dst, len);
	return 0;
}

/* Type and code of ICMP, as they lie in a tuple */
static __be16 listen_icmp(const struct nlattr *type, const struct nlattr *code)
{
	return htons((type ? nla_get_u8(type) : 0) << 8 | (code ? nla_get_u8(code) : 0));
}

static int listen_parse_proto(struct flyrep_ct *r, const struct nlattr *nest)
{
	struct nlattr *p[CTA_PROTO_MAX + 1];
	int err;

	err = nla_parse_nested_deprecated(p, CTA_PROTO_MAX, nest, listen_proto_policy, NULL);
	if (err)
		return err;
	if (!p[CTA_PROTO_NUM])
		return -EINVAL;
	r->proto = nla_get_u8(p[CTA_PROTO_NUM]);
	if (p[CTA_PROTO_SRC_PORT])
		r->orig.sport = nla_get_be16(p[CTA_PROTO_SRC_PORT]);
	if (p[CTA_PROTO_DST_PORT])
		r->orig.dport = nla_get_be16(p[CTA_PROTO_DST_PORT]);
	if (p[CTA_PROTO_ICMP_ID]) {
		r->orig.sport = nla_get_be16(p[CTA_PROTO_ICMP_ID]);
		r->orig.dport = listen_icmp(p[CTA_PROTO_ICMP_TYPE], p[CTA_PROTO_ICMP_CODE]);
	}
	if (p[CTA_PROTO_ICMPV6_ID]) {
		r->orig.sport = nla_get_be16(p[CTA_PROTO_ICMPV6_ID]);
		r->orig.dport = listen_icmp(p[CTA_PROTO_ICMPV6_TYPE], p[CTA_PROTO_ICMPV6_CODE]);
	}
	return 0;
}

static void listen_set_zone(struct flyrep_ct *r, const struct nlattr *id, u8 dir)
{
	if (!id)
		return;
	r->zone = ntohs(nla_get_be16(id));
	r->zone_dir = dir;
}

/* Context: process. Return: 0 with the key fields of @r filled, or -errno */
static int listen_parse(struct flyrep_ct *r, const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = nlmsg_data(nlh);
	struct nlattr *tuple[CTA_TUPLE_MAX + 1];
	struct nlattr *ct[CTA_MAX + 1];
	int err;

	memset(r, 0, sizeof(*r));
	err = nlmsg_parse_deprecated(nlh, sizeof(*nfg), ct, CTA_MAX, listen_ct_policy, NULL);
	if (err)
		return err;
	r->family = nfg->nfgen_family;
	if (!ct[CTA_TUPLE_ORIG] || !ct[CTA_TUPLE_REPLY] ||
	    (r->family != AF_INET && r->family != AF_INET6))
		return -EINVAL;
	/* A zone says its direction by its place. */
	r->zone = NF_CT_DEFAULT_ZONE_ID;
	r->zone_dir = NF_CT_DEFAULT_ZONE_DIR;
	listen_set_zone(r, ct[CTA_ZONE], NF_CT_DEFAULT_ZONE_DIR);
	err = nla_parse_nested_deprecated(tuple, CTA_TUPLE_MAX, ct[CTA_TUPLE_REPLY],
					  listen_tuple_policy, NULL);
	if (err)
		return err;
	listen_set_zone(r, tuple[CTA_TUPLE_ZONE], NF_CT_ZONE_DIR_REPL);
	err = nla_parse_nested_deprecated(tuple, CTA_TUPLE_MAX, ct[CTA_TUPLE_ORIG],
					  listen_tuple_policy, NULL);
	if (err)
		return err;
	listen_set_zone(r, tuple[CTA_TUPLE_ZONE], NF_CT_ZONE_DIR_ORIG);
	if (!tuple[CTA_TUPLE_IP] || !tuple[CTA_TUPLE_PROTO])
		return -EINVAL;
	return listen_parse_ip(r, tuple[CTA_TUPLE_IP]) ?:
	       listen_parse_proto(r, tuple[CTA_TUPLE_PROTO]);
}

/* --- what becomes of it --------------------------------------------------------- */

/* The bucket of @r is dirty; without it, all are, of every table. Context: process */
static void listen_dirty(struct flyrep_net *fn, const struct flyrep_ct *r)
{
	rcu_read_lock();
	if (!rcu_access_pointer(fn->reader)) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_UNBOUND, 1);
		goto out;
	}
	if (r)
		flyrep_buckets_mark(&fn->buckets, flyrep_conntrack_bucket(r, fn));
	else
		flyrep_buckets_mark_all(&fn->buckets);
	if (!r)
		flyrep_expect_dirty(fn);
	flyrep_reader_ring(fn);
out:
	rcu_read_unlock();
}

/* Which of them came or went is not asked: they are few. Context: process */
static void listen_dirty_expects(struct flyrep_net *fn)
{
	if (!flyrep_reader_portid(fn)) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_UNBOUND, 1);
		return;
	}
	flyrep_expect_dirty(fn);
	flyrep_reader_ring(fn);
}

/* Context: process. Return: the flow with a reference, or NULL */
static struct nf_conn *listen_find(struct net *net, const struct flyrep_ct *r)
{
	struct nf_conntrack_tuple_hash *h;
	struct nf_conntrack_tuple t;
	struct nf_conntrack_zone zone;
	struct nf_conn *ct;

	nf_ct_zone_init(&zone, r->zone, r->zone_dir, 0);
	flyrep_conntrack_tuple(&t, r, IP_CT_DIR_ORIGINAL);
	h = nf_conntrack_find_get(net, &zone, &t);
	if (!h)
		return NULL;
	ct = nf_ct_tuplehash_to_ctrack(h);
	if (NF_CT_DIRECTION(h) == IP_CT_DIR_ORIGINAL && nf_ct_zone(ct)->id == r->zone)
		return ct;
	nf_ct_put(ct);
	return NULL;
}

/* Context: process. Return: 0, or -errno if the message makes no sense */
static int listen_on_message(struct flyrep_net *fn, const struct nlmsghdr *nlh)
{
	struct flyrep_ct r;
	struct nf_conn *ct;
	int err;

	if (nlh->nlmsg_pid == FLYREP_LISTEN_PORTID) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_ECHO, 1);
		return 0;
	}
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) == NFNL_SUBSYS_CTNETLINK_EXP)
		listen_dirty_expects(fn);
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return 0;
	err = listen_parse(&r, nlh);
	if (err)
		return err;
	ct = NFNL_MSG_TYPE(nlh->nlmsg_type) == IPCTNL_MSG_CT_DELETE ? NULL :
	     listen_find(fn->net, &r);
	if (ct) {
		flyrep_capture_hear(ct, nlh->nlmsg_pid);
		nf_ct_put(ct);
	} else {
		listen_dirty(fn, &r);
	}
	return 0;
}

/* Context: process, lock held. Return: bytes received, or -errno */
static int listen_receive(struct flyrep_listen *l, u32 *from)
{
	struct sockaddr_nl addr = {};
	struct msghdr msg = { .msg_name = &addr, .msg_namelen = sizeof(addr) };
	struct kvec vec = { .iov_base = l->buf, .iov_len = LISTEN_BUF_LEN };
	int len;

	len = kernel_recvmsg(l->sock, &msg, &vec, 1, LISTEN_BUF_LEN, MSG_DONTWAIT);
	*from = addr.nl_pid;
	return len >= 0 && (msg.msg_flags & MSG_TRUNC) ? -EMSGSIZE : len;
}

/* Context: process, lock held. Return: true if there may be more */
static bool listen_read(struct flyrep_net *fn, unsigned int budget)
{
	struct flyrep_listen *l = &fn->listen;
	const struct nlmsghdr *nlh;
	u32 from;
	int len;

	for (; budget; budget--) {
		len = listen_receive(l, &from);
		if (len == -EAGAIN)
			break;
		/* The kernel's own messages come from port 0. */
		if (len >= 0 && from)
			continue;
		if (len < 0)
			l->is_lost = true;
		for (nlh = l->buf; nlmsg_ok(nlh, len); nlh = nlmsg_next(nlh, &len))
			if (listen_on_message(fn, nlh))
				l->is_lost = true;
		cond_resched();
	}
	if (!budget)
		return true;
	/* Only now: until all was read the socket may have gone on dropping. */
	if (l->is_lost) {
		l->is_lost = false;
		listen_dirty(fn, NULL);
	}
	return false;
}

static void listen_take_turn(struct flyrep_net *fn, unsigned int budget)
{
	struct flyrep_listen *l = &fn->listen;

	mutex_lock(&l->lock);
	if (l->sock && listen_read(fn, budget))
		schedule_work(&l->work);
	mutex_unlock(&l->lock);
}

void flyrep_listen_catch_up(struct flyrep_net *fn)
{
	if (flyrep_listen_is_on(fn))
		listen_take_turn(fn, LISTEN_BACKLOG);
}

static void listen_on_work(struct work_struct *work)
{
	listen_take_turn(container_of(work, struct flyrep_net, listen.work), LISTEN_TURN);
}

/* A message has come, or was lost. Context: any */
static void listen_on_ready(struct sock *sk)
{
	struct flyrep_net *fn;

	read_lock_bh(&sk->sk_callback_lock);
	fn = sk->sk_user_data;
	if (fn)
		schedule_work(&fn->listen.work);
	read_unlock_bh(&sk->sk_callback_lock);
}

/* --- beginning and end ------------------------------------------------------------- */

void flyrep_listen_init(struct flyrep_net *fn)
{
	mutex_init(&fn->listen.lock);
	INIT_WORK(&fn->listen.work, listen_on_work);
}

bool flyrep_listen_is_on(const struct flyrep_net *fn)
{
	return READ_ONCE(fn->listen.sock);
}

int flyrep_listen_start(struct flyrep_net *fn)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK, .nl_pid = FLYREP_LISTEN_PORTID, .nl_groups = LISTEN_GROUPS,
	};
	struct flyrep_listen *l = &fn->listen;
	struct socket *sock;
	int err;

	lockdep_assert_held(&fn->lock);
	if (!l->buf)
		l->buf = kmalloc(LISTEN_BUF_LEN, GFP_KERNEL);
	if (!l->buf)
		return -ENOMEM;
	err = sock_create_kern(fn->net, PF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, &sock);
	if (err)
		return err;
	sock_set_rcvbuf(sock->sk, LISTEN_RCVBUF);
	write_lock_bh(&sock->sk->sk_callback_lock);
	sock->sk->sk_user_data = fn;
	sock->sk->sk_data_ready = listen_on_ready;
	sock->sk->sk_error_report = listen_on_ready;
	write_unlock_bh(&sock->sk->sk_callback_lock);
	WRITE_ONCE(l->sock, sock);
	err = flyrep_compat_bind(sock, &addr);
	/* Never bound: nobody is told of its end. */
	if (err)
		flyrep_listen_stop(fn);
	return err;
}

void flyrep_listen_stop(struct flyrep_net *fn)
{
	struct flyrep_listen *l = &fn->listen;
	struct socket *sock = l->sock;

	if (!sock)
		return;
	write_lock_bh(&sock->sk->sk_callback_lock);
	sock->sk->sk_user_data = NULL;
	write_unlock_bh(&sock->sk->sk_callback_lock);
	mutex_lock(&l->lock);
	WRITE_ONCE(l->sock, NULL);
	mutex_unlock(&l->lock);
	cancel_work_sync(&l->work);
	/* Leaves the groups: nobody calls us for an event after that. */
	sock_release(sock);
	kfree(l->buf);
	l->buf = NULL;
	l->is_lost = false;
}
