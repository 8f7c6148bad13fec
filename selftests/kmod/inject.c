// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=600
 *
 * Injection: what APPLY makes of a record, and that it is never captured.
 */
#include "kt_flow.h"
#include "kt_harness.h"

KT_FIXTURE(inject)

/* Every protocol and family; the kernel shows what was put in, and gives it back. */
TEST_F(inject, round_trip)
{
	struct flyrep_ct recs[] = {
		kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 1000, "10.2.0.1", 80),
		kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "fd01::1", 1001, "fd02::1", 80),
		kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1002, "10.2.0.1", 53),
		kt_rec(FLYREP_OP_UPDATE, IPPROTO_UDP, "fd01::1", 1003, "fd02::1", 53),
		kt_rec(FLYREP_OP_INSERT, IPPROTO_ICMP, "10.1.0.1", 77, "10.2.0.1", 0),
		kt_rec(FLYREP_OP_INSERT, IPPROTO_ICMPV6, "fd01::1", 78, "fd02::1", 0),
		kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1002, "10.2.0.1", 53),
	};
	struct flyrep_ct got;
	size_t i;

	recs[0].mark = 0x1234;
	recs[0].tcp_scale[0] = 3;
	recs[0].tcp_scale[1] = 14;
	recs[1].tcp_state = TCP_CONNTRACK_SYN_RECV;
	recs[1].status = IPS_SEEN_REPLY;
	/* The same key in another zone is another flow. */
	recs[6].zone = 7;
	for (i = 0; i < sizeof(recs) / sizeof(*recs); i++) {
		ASSERT_EQ(0, kt_apply(self->g, recs[i], 0));
		ASSERT_TRUE(kt_get(self->g, &recs[i], &got));
		EXPECT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
		EXPECT_EQ(0, memcmp(&got.reply, &recs[i].reply, sizeof(got.reply)));
		EXPECT_EQ(recs[i].status, got.status & FLYREP_CT_STATUS_MASK);
		EXPECT_EQ(recs[i].mark, got.mark);
		EXPECT_EQ(recs[i].tcp_state, got.tcp_state);
		EXPECT_EQ(recs[i].tcp_flags[0], got.tcp_flags[0] & FLYREP_CT_TCP_FLAGS_MASK);
		EXPECT_EQ(0, memcmp(recs[i].tcp_scale, got.tcp_scale, 2));
		EXPECT_EQ(recs[i].zone, got.zone);
		EXPECT_TRUE(got.timeout_s > 86000 && got.timeout_s <= 86400);
	}
	EXPECT_EQ(1, kt_number("conntrack -L -p tcp 2>/dev/null | grep -c "
			       "'ESTABLISHED src=10.1.0.1 dst=10.2.0.1 sport=1000 dport=80 src=10.2.0.1 "
			       "dst=10.1.0.1 sport=80 dport=1000 .*ASSURED.* mark=4660'"));
	EXPECT_EQ(1, kt_number("conntrack -L -f ipv6 -p tcp 2>/dev/null | grep -c SYN_RECV"));
	EXPECT_EQ(1, kt_number("conntrack -L --zone 7 2>/dev/null | grep -c zone=7"));
	EXPECT_EQ(7, kt_counter(self->g, FLYREP_C_INJECT_INSERTED));

	for (i = 0; i < sizeof(recs) / sizeof(*recs); i++) {
		recs[i].rec.op = FLYREP_OP_DELETE;
		EXPECT_EQ(0, kt_apply(self->g, recs[i], 0));
		EXPECT_EQ(-ENOENT, kt_apply(self->g, recs[i], 0));
	}
	/* None of this is news. */
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	EXPECT_EQ(0, self->k.dirty);
	EXPECT_EQ(7, kt_counter(self->g, FLYREP_C_CAPTURE_ECHO));
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_HELD_LOST));
}

TEST_F(inject, nat)
{
	struct flyrep_ct snat = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 2000, "10.2.0.1", 80);
	struct flyrep_ct dnat = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "fd01::1", 2001, "fd02::1", 53);
	struct flyrep_ct both = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 2002, "10.2.0.1", 53);
	struct flyrep_ct icmp = kt_rec(FLYREP_OP_INSERT, IPPROTO_ICMP, "10.1.0.1", 5, "10.2.0.1", 0);
	struct flyrep_ct clash = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.2", 2000, "10.2.0.1", 80);
	struct flyrep_ct got;

	kt_addr(&snat.reply.dst, "203.0.113.1");
	snat.reply.dport = htons(40000);
	kt_addr(&dnat.reply.src, "fd02::99");
	dnat.reply.sport = htons(5353);
	kt_addr(&both.reply.src, "10.3.0.3");
	both.reply.sport = htons(8053);
	kt_addr(&both.reply.dst, "203.0.113.1");
	kt_addr(&icmp.reply.dst, "203.0.113.1");
	icmp.reply.sport = htons(4711);
	kt_addr(&clash.reply.dst, "203.0.113.1");
	clash.reply.dport = htons(40000);

	ASSERT_EQ(0, kt_apply(self->g, snat, 0));
	ASSERT_TRUE(kt_get(self->g, &snat, &got));
	EXPECT_EQ(0, memcmp(&got.reply, &snat.reply, sizeof(got.reply)));
	EXPECT_EQ(IPS_SRC_NAT, got.status & IPS_NAT_MASK);
	ASSERT_EQ(0, kt_apply(self->g, dnat, 0));
	ASSERT_TRUE(kt_get(self->g, &dnat, &got));
	EXPECT_EQ(0, memcmp(&got.reply, &dnat.reply, sizeof(got.reply)));
	EXPECT_EQ(IPS_DST_NAT, got.status & IPS_NAT_MASK);
	ASSERT_EQ(0, kt_apply(self->g, both, 0));
	ASSERT_TRUE(kt_get(self->g, &both, &got));
	EXPECT_EQ(0, memcmp(&got.reply, &both.reply, sizeof(got.reply)));
	EXPECT_EQ(IPS_NAT_MASK, got.status & IPS_NAT_MASK);
	ASSERT_EQ(0, kt_apply(self->g, icmp, 0));
	ASSERT_TRUE(kt_get(self->g, &icmp, &got));
	EXPECT_EQ(0, memcmp(&got.reply, &icmp.reply, sizeof(got.reply)));

	/* Two flows cannot share one mapping. */
	EXPECT_EQ(-EADDRINUSE, kt_apply(self->g, clash, 0));
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_INJECT_NAT_CLASH));
	/* Nor can a flow's key be the reply tuple of another. */
	clash = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.2.0.1", 80, "203.0.113.1", 40000);
	EXPECT_EQ(-EADDRINUSE, kt_apply(self->g, clash, 0));
	clash.rec.op = FLYREP_OP_DELETE;
	EXPECT_EQ(-ENOENT, kt_apply(self->g, clash, 0));

	/* The mapping of a flow cannot change: it is replaced. */
	snat.reply.dport = htons(40001);
	ASSERT_EQ(0, kt_apply(self->g, snat, 0));
	ASSERT_TRUE(kt_get(self->g, &snat, &got));
	EXPECT_EQ(htons(40001), got.reply.dport);
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
}

TEST_F(inject, tcp_goes_forward_only)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_UPDATE, IPPROTO_TCP, "10.1.0.1", 3000, "10.2.0.1", 80), got;
	uint32_t id;

	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	id = got.rec.id;
	r.tcp_state = TCP_CONNTRACK_FIN_WAIT;
	r.mark = 1;
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	r.tcp_state = TCP_CONNTRACK_SYN_RECV;
	r.mark = 2;
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_EQ(TCP_CONNTRACK_FIN_WAIT, got.tcp_state);
	EXPECT_EQ(2, got.mark);
	EXPECT_EQ(id, got.rec.id);
	/* Status bits are never taken back. */
	r.status = 0;
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_TRUE(got.status & IPS_ASSURED);
	EXPECT_EQ(3, kt_counter(self->g, FLYREP_C_INJECT_UPDATED));

	/* INSERT of an earlier state is another connection with the same ports. */
	r.rec.op = FLYREP_OP_INSERT;
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_EQ(TCP_CONNTRACK_SYN_RECV, got.tcp_state);
	EXPECT_FALSE(got.status & IPS_ASSURED);
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));
}

/* A key that a local flow holds is not ours to touch, unless forced. */
TEST_F(inject, local_flows_are_not_touched)
{
	struct flyrep_ct key = kt_rec(FLYREP_OP_DELETE, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000);
	struct flyrep_ct got;

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	EXPECT_EQ(-EBUSY, kt_apply(self->g, key, 0));
	key.rec.op = FLYREP_OP_INSERT;
	EXPECT_EQ(-EBUSY, kt_apply(self->g, key, 0));
	key.rec.op = FLYREP_OP_UPDATE;
	EXPECT_EQ(-EBUSY, kt_apply(self->g, key, 0));
	ASSERT_EQ(0, kt_apply(self->g, key, FLYREP_APPLY_F_FORCE));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
	EXPECT_TRUE(got.timeout_s > 86000);
	/* It was queued as a local flow; now there is nothing to say. */
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	key.rec.op = FLYREP_OP_DELETE;
	EXPECT_EQ(0, kt_apply(self->g, key, 0));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
}

TEST_F(inject, bad_records)
{
	const struct flyrep_ct tcp = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 1, "10.2.0.1", 2);
	const struct flyrep_ct udp = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1, "10.2.0.1", 2);
	struct flyrep_ct r;

#define REFUSED(err, from, change) do {					\
	r = from;							\
	change;								\
	EXPECT_EQ(err, kt_apply(self->g, r, 0)) TH_LOG("%s", #change);	\
} while (0)
	REFUSED(-EINVAL, tcp, r.rec.op = 0);
	REFUSED(-EINVAL, tcp, r.rec.op = __FLYREP_OP_MAX);
	REFUSED(-EINVAL, tcp, r.rec.flags = 1);
	REFUSED(-EINVAL, tcp, r.rec.reserved2 = 1);
	REFUSED(-EINVAL, tcp, r.rec.id = 1);
	REFUSED(-EINVAL, tcp, r.rec.stamp = 1);
	REFUSED(-EINVAL, tcp, r.reserved[2] = 1);
	REFUSED(-EINVAL, tcp, r.tcp_reserved[6] = 1);
	REFUSED(-EINVAL, tcp, r.family = AF_UNIX);
	REFUSED(-EINVAL, tcp, r.zone_dir = 0);
	REFUSED(-EINVAL, tcp, r.zone_dir = 4);
	REFUSED(-EINVAL, tcp, r.orig.src.word[1] = 1);
	REFUSED(-EINVAL, tcp, r.reply.dst.word[3] = 1);
	REFUSED(-EINVAL, tcp, r.tcp_state = TCP_CONNTRACK_MAX);
	REFUSED(-EINVAL, tcp, r.tcp_scale[1] = 15);
	REFUSED(-EINVAL, udp, r.tcp_state = 1);
	REFUSED(-EINVAL, udp, r.tcp_scale[0] = 1);
	REFUSED(-EINVAL, udp, r.tcp_flags[0] = 1);
	REFUSED(-EINVAL, udp, r.proto = IPPROTO_ICMPV6);
	REFUSED(-EINVAL, udp, r.proto = IPPROTO_ESP);
	REFUSED(-EPROTONOSUPPORT, udp, r.proto = 0);
	/* ICMP: an error has no answer. */
	REFUSED(-EINVAL, kt_rec(FLYREP_OP_INSERT, IPPROTO_ICMP, "10.1.0.1", 1, "10.2.0.1", 0),
		r.orig.dport = htons(3 << 8));
#undef REFUSED
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, NULL));
	EXPECT_EQ(0, self->k.n);
	EXPECT_EQ(22, kt_counter(self->g, FLYREP_C_INJECT_REFUSED));
}

/* One bad record does not spoil its neighbours, and is named by its place. */
static void note_error(void *cookie, const void *rec, int error)
{
	long *sum = cookie;

	sum[0]++;
	sum[1] += ((const struct flyrep_ct *)rec)->mark;
	sum[2] = error;
}

TEST_F(inject, errors_name_their_record)
{
	struct flyrep_ct recs[100];
	long sum[3] = {};
	size_t i;

	for (i = 0; i < 100; i++) {
		recs[i] = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1 + i, "10.2.0.1", 53);
		recs[i].mark = i;
	}
	recs[13].family = 99;
	recs[77].family = 99;
	EXPECT_EQ(98, fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0, recs, 100,
				    note_error, sum));
	EXPECT_EQ(2, sum[0]);
	EXPECT_EQ(13 + 77, sum[1]);
	EXPECT_EQ(-EINVAL, sum[2]);
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, NULL));
	EXPECT_EQ(98, self->k.n);
}

/* A full table refuses; it does not throw out a local flow to make room. */
TEST_F(inject, full_table)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), got;
	long max = kt_number("sysctl -n net.netfilter.nf_conntrack_max");
	struct fr_genl_info info;

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, false));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	ASSERT_EQ(0, kt_sh("ip netns exec %s true; nsenter -t 1 -n sysctl -qw "
			   "net.netfilter.nf_conntrack_max=%u", self->nets.a, info.ct_count));
	EXPECT_EQ(-ENFILE, kt_apply(self->g, kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1, "10.2.0.1", 53),
				    0));
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_INJECT_FULL));
	EXPECT_TRUE(kt_get(self->g, &key, &got));
	EXPECT_EQ(0, kt_sh("nsenter -t 1 -n sysctl -qw net.netfilter.nf_conntrack_max=%ld", max));
}

/*
 * A live connection whose entry vanishes and is put back from its record goes on, under strict
 * rules: nothing picked up in the middle, whatever is invalid dropped.
 */
static void live_connection(struct __test_metadata *_metadata, struct kt_nets *nets,
			    struct fr_genl *g, const char *src, const char *dst)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, src, 6000, dst, 6001), r, got;
	struct kt_tcp t;
	long invalid;
	int i;

	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0"));
	ASSERT_EQ(0, kt_tcp_open(nets, &t, src, 6000, dst, 6001));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, kt_send(t.a, "0123456789"));
		ASSERT_EQ(10, kt_recv(t.b));
		ASSERT_EQ(0, kt_send(t.b, "0123456789"));
		ASSERT_EQ(10, kt_recv(t.a));
	}
	ASSERT_EQ(0, kt_tcp_bulk(t.b, t.a, 2 << 20));
	ASSERT_TRUE(kt_get(g, &key, &r));
	r = kt_rec_from(&r, FLYREP_OP_INSERT);
	invalid = kt_invalid(nets);
	key.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, kt_apply(g, key, FLYREP_APPLY_F_FORCE));
	ASSERT_FALSE(kt_get(g, &key, &got));
	ASSERT_EQ(0, kt_apply(g, r, 0));
	ASSERT_EQ(0, kt_tcp_bulk(t.b, t.a, 2 << 20));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, kt_send(t.b, "0123456789"));
		ASSERT_EQ(10, kt_recv(t.a));
		ASSERT_EQ(0, kt_send(t.a, "0123456789"));
		ASSERT_EQ(10, kt_recv(t.b));
	}
	EXPECT_EQ(invalid, kt_invalid(nets));

	/* And without its entry it would not have. */
	key.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, kt_apply(g, key, FLYREP_APPLY_F_FORCE));
	invalid = kt_invalid(nets);
	ASSERT_EQ(0, kt_send(t.a, "0123456789"));
	EXPECT_TRUE(kt_until(kt_invalid(nets) > invalid));
	kt_tcp_close(&t);
}

TEST_F(inject, live_connection_v4)
{
	live_connection(_metadata, &self->nets, self->g, "10.9.0.1", "10.9.0.2");
}

TEST_F(inject, live_connection_v6)
{
	live_connection(_metadata, &self->nets, self->g, "fd09::1", "fd09::2");
}

/* Many at once, then all of them are there, once. */
TEST_F(inject, fifty_thousand)
{
	const unsigned int n = 50000;
	struct flyrep_ct *recs = calloc(n, sizeof(*recs));
	uint8_t *seen = calloc(1, n);
	unsigned int i, found = 0;
	char addr[32];
	int err = 0;

	for (i = 0; i < n; i++) {
		snprintf(addr, sizeof(addr), "10.1.%u.%u", i >> 16, i >> 8 & 255);
		recs[i] = kt_rec(FLYREP_OP_INSERT, i % 3 ? IPPROTO_UDP : IPPROTO_TCP, addr, 1000 + i % 256,
				 "10.2.0.1", 80);
		recs[i].mark = i;
		if (i % 2) {
			kt_addr(&recs[i].reply.dst, "203.0.113.1");
			recs[i].reply.dport = htons(1024 + i % 60000);
		}
	}
	ASSERT_EQ((ssize_t)n, fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0, recs, n,
					    kt_on_error, &err)) TH_LOG("first error %d", err);
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, NULL));
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_SNAPSHOT_RESTARTS));
	ASSERT_EQ(n, self->k.n);
	for (i = 0; i < n; i++) {
		const struct flyrep_ct *r = &self->k.r[i];

		ASSERT_LT(r->mark, n);
		found += !seen[r->mark] && kt_same_key(r, &recs[r->mark]) &&
			 !memcmp(&r->reply, &recs[r->mark].reply, sizeof(r->reply));
		seen[r->mark] = 1;
	}
	EXPECT_EQ(n, found);
	for (i = 0; i < n; i++)
		recs[i].rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ((ssize_t)n, fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0, recs, n,
					    kt_on_error, &err));
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, NULL));
	EXPECT_EQ(0, self->k.n);
	free(recs);
	free(seen);
}

TEST_HARNESS_MAIN
