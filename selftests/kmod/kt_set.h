/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of nf_tables: their handles, and their elements written and read by netlink, without a
 * process of nft for each.
 */
#ifndef KT_SET_H
#define KT_SET_H

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kt_flow.h"

/* The table of all these, in the family inet */
#define KT_SET_TABLE "ktset"

/* Handles of a set of KT_SET_TABLE, zeros if there is none */
KT_UNUSED static struct flyrep_set kt_set(const char *name)
{
	unsigned long long table, set;
	char line[64];

	kt_line(line, sizeof(line), "nft -a list table inet " KT_SET_TABLE " 2>/dev/null | "
		"sed -n 's/^table .* handle //p; s/^\t\\(set\\|map\\) %s .* handle //p' | tr '\\n' ' '",
		name);
	if (sscanf(line, "%llu %llu", &table, &set) != 2)
		return (struct flyrep_set){};
	return (struct flyrep_set){ .table = table, .set = set };
}

/* Watch these sets and no others; what CONFIG says. */
KT_UNUSED static int kt_watch(struct fr_genl *g, const struct flyrep_set *sets, size_t n)
{
	static const struct flyrep_set none;
	struct fr_genl_config c = FR_GENL_CONFIG_KEEP;

	c.sets = n ? sets : &none;
	c.n_sets = n;
	return fr_genl_config(g, &c);
}

/* A transaction that changes elements of one set, with a socket of its own */
struct kt_set_batch {
	struct mnl_socket	*nl;
	const char		*set;
	char			*buf;
	size_t			room;
	size_t			len;
	uint32_t		seq;
	struct nlmsghdr		*last;	/* of the changes: older kernels answer no BATCH_END */
};

KT_UNUSED static int kt_set_open(struct kt_set_batch *b, const char *set, size_t room)
{
	memset(b, 0, sizeof(*b));
	b->set = set;
	b->room = room;
	b->buf = malloc(room);
	b->nl = mnl_socket_open(NETLINK_NETFILTER);
	if (!b->buf || !b->nl || mnl_socket_bind(b->nl, 0, MNL_SOCKET_AUTOPID))
		return -1;
	return setsockopt(mnl_socket_get_fd(b->nl), SOL_SOCKET, SO_SNDBUFFORCE,
			  &(int){ 2 * room + 65536 }, sizeof(int));
}

KT_UNUSED static void kt_set_close(struct kt_set_batch *b)
{
	if (b->nl)
		mnl_socket_close(b->nl);
	free(b->buf);
	memset(b, 0, sizeof(*b));
}

static struct nlmsghdr *kt_set_message(struct kt_set_batch *b, uint16_t type, uint16_t flags,
				       uint8_t family, uint16_t res_id)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(b->buf + b->len);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++b->seq;
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(res_id);
	return nlh;
}

static struct nlmsghdr *kt_set_request(struct kt_set_batch *b, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = kt_set_message(b, NFNL_SUBSYS_NFTABLES << 8 | type, flags,
					      NFPROTO_INET, 0);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, KT_SET_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, b->set);
	return nlh;
}

static void kt_set_put_key(struct nlmsghdr *nlh, uint32_t key)
{
	struct nlattr *elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, sizeof(key), &key);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, elem);
}

KT_UNUSED static void kt_set_begin(struct kt_set_batch *b)
{
	struct nlmsghdr *nlh;

	b->len = 0;
	nlh = kt_set_message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	b->len += nlh->nlmsg_len;
}

/* @type: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM of @n keys of four bytes, from @key on */
KT_UNUSED static void kt_set_put(struct kt_set_batch *b, uint16_t type, uint32_t key, unsigned int n)
{
	unsigned int i, k;

	for (i = 0; i < n; i += k) {
		struct nlmsghdr *nlh = kt_set_request(b, type, type == NFT_MSG_NEWSETELEM ?
						      NLM_F_CREATE : 0);
		struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);

		/* As many as an attribute can hold */
		for (k = 0; k < 2000 && i + k < n; k++)
			kt_set_put_key(nlh, htonl(key + i + k));
		mnl_attr_nest_end(nlh, nest);
		b->len += nlh->nlmsg_len;
		b->last = nlh;
	}
}

KT_UNUSED static void kt_set_flush(struct kt_set_batch *b)
{
	b->last = kt_set_request(b, NFT_MSG_DELSETELEM, 0);
	b->len += b->last->nlmsg_len;
}

/* Bytes that @n keys may take */
#define KT_SET_ROOM(n) (4096 + (n) * 20 + (n) / 2000 * 64)

/* The first error there is, 0 after the answer to message @seq */
static int kt_set_answer(struct kt_set_batch *b, uint32_t seq)
{
	char buf[16384] __attribute__((aligned(8)));
	int err = 0, done = 0;

	while (!done) {
		ssize_t len = mnl_socket_recvfrom(b->nl, buf, sizeof(buf));
		const struct nlmsghdr *nlh;
		int left = len;

		if (len < 0)
			return -errno;
		for (nlh = (void *)buf; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_type == NLMSG_ERROR) {
				const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

				err = err ?: e->error;
				done |= nlh->nlmsg_seq == seq || e->error;
			}
		}
	}
	return err;
}

/* Send the transaction, and wait for what comes of it. */
KT_UNUSED static int kt_set_commit(struct kt_set_batch *b)
{
	struct nlmsghdr *nlh = kt_set_message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC,
					      NFNL_SUBSYS_NFTABLES);

	char rest;

	/* The other errors of a transaction that failed */
	while (recv(mnl_socket_get_fd(b->nl), &rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
	b->len += nlh->nlmsg_len;
	b->last->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(b->nl, b->buf, b->len) < 0)
		return -errno;
	return kt_set_answer(b, b->last->nlmsg_seq);
}

/* One change in a transaction of its own */
KT_UNUSED static int kt_set_change(struct kt_set_batch *b, uint16_t type, uint32_t key,
				   unsigned int n)
{
	kt_set_begin(b);
	kt_set_put(b, type, key, n);
	return kt_set_commit(b);
}

/* Is this key in the set? 0 or -errno, -ENOENT above all */
KT_UNUSED static int kt_set_get(struct kt_set_batch *b, uint32_t key)
{
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	b->len = 0;
	nlh = kt_set_request(b, NFT_MSG_GETSETELEM, NLM_F_ACK);
	nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	kt_set_put_key(nlh, htonl(key));
	mnl_attr_nest_end(nlh, nest);
	if (mnl_socket_sendto(b->nl, b->buf, nlh->nlmsg_len) < 0)
		return -errno;
	return kt_set_answer(b, b->seq);
}

#endif
