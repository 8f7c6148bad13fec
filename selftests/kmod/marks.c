// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300
 *
 * Our marks on a flow and others: user space neither takes them away nor makes any. With
 * MARKS=low in the environment the module was built to have them where ctnetlink shows them.
 */
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kt_flow.h"
#include "kt_harness.h"

/* Six bits from here on, in the module's words FLYREP_CT_REMOTE_BIT and on */
#define MARKS_LOW	(0x3fu << 26)
#define MARK_REMOTE	(1u << 26)
#define MARK_SENT	(1u << 28)

FIXTURE(marks)
{
	struct kt_nets		nets;
	struct fr_genl		*g;
	struct mnl_socket	*s;
	bool			is_low;
};

FIXTURE_SETUP(marks)
{
	const char *marks = getenv("MARKS");

	self->is_low = marks && !strcmp(marks, "low");
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
	self->s = mnl_socket_open(NETLINK_NETFILTER);
	ASSERT_NE(NULL, self->s);
	ASSERT_EQ(0, mnl_socket_bind(self->s, 0, MNL_SOCKET_AUTOPID));
}

FIXTURE_TEARDOWN(marks)
{
	mnl_socket_close(self->s);
	fr_genl_close(self->g);
	kt_nets_down(&self->nets);
}

static int on_status(const struct nlmsghdr *nlh, void *data)
{
	struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == CTA_STATUS)
			*(uint32_t *)data = ntohl(mnl_attr_get_u32(attr));
	return MNL_CB_OK;
}

/*
 * A request of ctnetlink about the flow of @r, which is UDP and IPv4: tell its status, or
 * change it to *@status. 0 or -errno
 */
static int ask(struct mnl_socket *s, const struct flyrep_ct *r, uint32_t *status, bool is_change)
{
	char buf[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nlattr *tuple, *nest;
	struct nfgenmsg *nfg;
	ssize_t n;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 |
			  (is_change ? IPCTNL_MSG_CT_NEW : IPCTNL_MSG_CT_GET);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_INET;
	tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put_u32(nlh, CTA_IP_V4_SRC, r->orig.src.word[0]);
	mnl_attr_put_u32(nlh, CTA_IP_V4_DST, r->orig.dst.word[0]);
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, r->proto);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, r->orig.sport);
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, r->orig.dport);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
	if (is_change)
		mnl_attr_put_u32(nlh, CTA_STATUS, htonl(*status));
	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		n = mnl_cb_run(buf, n, 0, 0, on_status, status);
		if (n < 0)
			return -errno;
	} while (n > 0);
	return 0;
}

/* A held flow stays held, though a request takes away all that it can. */
TEST_F(marks, are_not_taken)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1, "10.2.0.1", 53);
	struct flyrep_ct got;
	uint32_t status, bare;

	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, ask(self->s, &r, &status, false));
	EXPECT_EQ(self->is_low ? MARK_REMOTE | MARK_SENT : 0, status & MARKS_LOW);
	bare = status & ~MARKS_LOW;
	ASSERT_EQ(0, ask(self->s, &r, &bare, true));
	ASSERT_EQ(0, ask(self->s, &r, &bare, false));
	EXPECT_EQ(status, bare);
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
	EXPECT_TRUE(got.timeout_s > 86000);
}

/* Nor is a local one made into anything. */
TEST_F(marks, are_not_made)
{
	struct flyrep_ct r = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), *p;
	uint32_t status, all;
	struct flyrep_ct got;
	struct kt_recs k = {};

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_drain(self->g, &k));
	kt_recs_reset(&k);
	ASSERT_EQ(0, ask(self->s, &r, &status, false));
	EXPECT_EQ(self->is_low ? MARK_SENT : 0, status & MARKS_LOW);
	all = status | MARKS_LOW;
	ASSERT_EQ(0, ask(self->s, &r, &all, true));
	/* The request itself is a change, which queues the flow. */
	ASSERT_EQ(0, kt_drain(self->g, &k));
	kt_recs_reset(&k);
	ASSERT_EQ(0, ask(self->s, &r, &all, false));
	EXPECT_EQ(status, all);
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_EQ(0, got.rec.flags);
	/* It still is in no ring, and its end is news. */
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	ASSERT_EQ(0, kt_drain(self->g, &k));
	p = kt_find(&k, &r);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(FLYREP_OP_DELETE, p->rec.op);
	kt_recs_reset(&k);
}

/* What the module tells of a flow's status is the kernel's part of it. */
TEST_F(marks, are_not_told)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1, "10.2.0.1", 53);
	struct kt_recs k = {};
	size_t i;

	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_drain(self->g, &k));
	ASSERT_LT(0, k.n);
	for (i = 0; i < k.n; i++)
		EXPECT_EQ(0, k.r[i].status & MARKS_LOW);
	ASSERT_EQ(0, kt_snapshot(self->g, &k, FLYREP_ORIGIN_ANY, NULL));
	ASSERT_LT(1, k.n);
	for (i = 0; i < k.n; i++)
		EXPECT_EQ(0, k.r[i].status & MARKS_LOW);
	kt_recs_reset(&k);
}

TEST_HARNESS_MAIN
