// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=600
 *
 * Capture, drain and snapshot of real flows, whichever way they are captured.
 */
#include "kt_flow.h"
#include "kt_harness.h"

FIXTURE(capture)
{
	struct kt_nets	nets;
	struct fr_genl	*g;
	struct kt_recs	k;
	bool		is_heard;	/* by netlink: an end is a dirty bucket */
};

FIXTURE_SETUP(capture)
{
	struct fr_genl_info info;

	memset(&self->k, 0, sizeof(self->k));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	self->is_heard = info.capture == FLYREP_CAPTURE_NETLINK;
}

FIXTURE_TEARDOWN(capture)
{
	fr_genl_close(self->g);
	kt_recs_reset(&self->k);
	kt_nets_down(&self->nets);
}

/* Was it told in the last drain that this flow is gone? */
static bool is_told_gone(struct _test_data_capture *self, const struct flyrep_ct *key)
{
	unsigned int bucket = kt_bucket(key);
	size_t i;

	if (self->is_heard)
		return self->k.has_buckets && self->k.buckets[bucket / 8] & (1 << bucket % 8);
	for (i = 0; i < self->k.n; i++)
		if (self->k.r[i].rec.op == FLYREP_OP_DELETE &&
		    !memcmp(&self->k.r[i].orig, &key->orig, sizeof(key->orig)))
			return true;
	return false;
}

TEST_F(capture, udp_is_read_when_drained)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), *r;

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	r = kt_find(&self->k, &key);
	ASSERT_NE(NULL, r);
	/* NEW and REPLY are one record. */
	EXPECT_EQ(1, self->k.n);
	EXPECT_EQ(FLYREP_OP_UPDATE, r->rec.op);
	EXPECT_EQ(0, r->rec.flags);
	EXPECT_TRUE(r->rec.stamp > 0 && r->rec.stamp <= self->k.end);
	EXPECT_TRUE(r->rec.id);
	EXPECT_TRUE(r->status & IPS_SEEN_REPLY);
	EXPECT_EQ(0, memcmp(&r->reply, &key.reply, sizeof(r->reply)));
	EXPECT_TRUE(r->timeout_s > 0 && r->timeout_s <= 120);
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_CAPTURE_QUEUED));
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_CAPTURE_COALESCED));
	/* BIND made the first. */
	EXPECT_EQ(2, kt_counter(self->g, FLYREP_C_WAKE_SENT));
	EXPECT_EQ(0, self->k.dirty);
}

/* Both families, all protocols, as real packets make them */
TEST_F(capture, every_protocol_and_family)
{
	static const char *src[] = { "10.9.0.1", "fd09::1" }, *dst[] = { "10.9.0.2", "fd09::2" };
	struct kt_tcp t[2];
	struct flyrep_ct key, *r;
	unsigned int f;
	size_t i, n_icmp = 0;

	for (f = 0; f < 2; f++) {
		ASSERT_EQ(0, kt_udp_once(&self->nets, src[f], 4001, dst[f], 5001, false));
		ASSERT_EQ(0, kt_tcp_open(&self->nets, &t[f], src[f], 4002, dst[f], 5002));
		ASSERT_EQ(0, kt_send(t[f].a, "hello"));
		ASSERT_EQ(5, kt_recv(t[f].b));
		ASSERT_EQ(0, kt_sh("ping -q -c 1 -W 5 %s >/dev/null", dst[f]));
	}
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	for (f = 0; f < 2; f++) {
		key = kt_rec(0, IPPROTO_UDP, src[f], 4001, dst[f], 5001);
		r = kt_find(&self->k, &key);
		ASSERT_NE(NULL, r);
		EXPECT_FALSE(r->status & IPS_SEEN_REPLY);
		EXPECT_EQ(0, r->tcp_state);

		key = kt_rec(0, IPPROTO_TCP, src[f], 4002, dst[f], 5002);
		r = kt_find(&self->k, &key);
		ASSERT_NE(NULL, r);
		EXPECT_EQ(TCP_CONNTRACK_ESTABLISHED, r->tcp_state);
		EXPECT_EQ(FLYREP_CT_TCP_FLAGS_MASK, r->tcp_flags[0] & FLYREP_CT_TCP_FLAGS_MASK);
		EXPECT_EQ(FLYREP_CT_TCP_FLAGS_MASK, r->tcp_flags[1] & FLYREP_CT_TCP_FLAGS_MASK);
		EXPECT_TRUE(r->tcp_scale[0] && r->tcp_scale[0] <= 14);
		EXPECT_TRUE(r->status & IPS_ASSURED);
		EXPECT_EQ(0, memcmp(&r->reply, &key.reply, sizeof(r->reply)));
	}
	for (i = 0; i < self->k.n; i++) {
		r = &self->k.r[i];
		if (r->proto != IPPROTO_ICMP && r->proto != IPPROTO_ICMPV6)
			continue;
		/* Echo requests: type in the first byte */
		if (r->orig.dport != htons((r->proto == IPPROTO_ICMP ? 8 : 128) << 8))
			continue;
		n_icmp++;
		EXPECT_EQ(r->orig.sport, r->reply.sport);
		EXPECT_EQ(htons((r->proto == IPPROTO_ICMP ? 0 : 129) << 8), r->reply.dport);
	}
	EXPECT_EQ(2, n_icmp);
	kt_tcp_close(&t[0]);
	kt_tcp_close(&t[1]);
}

/* What lives and dies between two drains is no record at all; what was told of is told gone. */
TEST_F(capture, ends)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4003, "10.9.0.2", 5003), *r;
	uint64_t stamp;
	uint32_t id;

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4003, "10.9.0.2", 5003, true));
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	/* A listener may have come too late to see it alive. */
	EXPECT_TRUE(self->is_heard || kt_counter(self->g, FLYREP_C_DRAIN_UNSEEN) == 1);

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4003, "10.9.0.2", 5003, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	r = kt_find(&self->k, &key);
	ASSERT_NE(NULL, r);
	stamp = r->rec.stamp;
	id = r->rec.id;

	/* The old one ends, a new one takes its key, before anybody drains: two records, two ids. */
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4003, "10.9.0.2", 5003, true));
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_TRUE(is_told_gone(self, &key));
	if (self->is_heard) {
		/* The new one; nobody held the memory of the old, so their ids may be the same. */
		ASSERT_EQ(1, self->k.n);
		EXPECT_EQ(FLYREP_OP_UPDATE, self->k.r[0].rec.op);
		return;
	}
	ASSERT_EQ(2, self->k.n);
	r = self->k.r;
	if (r[0].rec.op != FLYREP_OP_DELETE) {
		struct flyrep_ct tmp = r[0];

		r[0] = r[1];
		r[1] = tmp;
	}
	EXPECT_EQ(FLYREP_OP_DELETE, r[0].rec.op);
	EXPECT_EQ(FLYREP_OP_UPDATE, r[1].rec.op);
	EXPECT_EQ(id, r[0].rec.id);
	EXPECT_NE(id, r[1].rec.id);
	EXPECT_TRUE(r[0].rec.stamp > stamp && r[1].rec.stamp > stamp);
}

/* A flow that leaves the filter is withdrawn, and comes back as new. */
TEST_F(capture, filter)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct flyrep_prefix ignore = { .family = AF_INET, .prefix_len = 32 };
	struct fr_genl_filter f = { .protos = protos, .n_protos = 2, .assured = true,
				    .mark = 0, .mark_mask = 0xf0 };
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4004, "10.9.0.2", 5004), *r;
	struct fr_genl_filter all = {};
	uint64_t filtered;

	kt_addr(&ignore.addr, "10.9.0.2");
	ASSERT_EQ(0, kt_filter(self->g, &f));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	/* A new filter makes all buckets dirty, once. */
	EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.dirty);

	/* No answer yet: not assured */
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4004, "10.9.0.2", 5004, false));
	ASSERT_EQ(0, kt_sh("ping -q -c 1 10.9.0.2 >/dev/null"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	filtered = kt_counter(self->g, FLYREP_C_CAPTURE_FILTERED);
	EXPECT_TRUE(filtered >= 2);

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4004, "10.9.0.2", 5004, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(1, self->k.n);

	ASSERT_EQ(0, kt_sh("nft add rule inet kt out udp dport 5004 ct mark set 0x10"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4004, "10.9.0.2", 5004, false));
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	r = kt_find(&self->k, &key);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(FLYREP_OP_DELETE, r->rec.op);
	EXPECT_EQ(0x10, r->mark);

	/* Withdrawn already: its end is no news. */
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);

	f.ignore = &ignore;
	f.n_ignore = 1;
	ASSERT_EQ(0, kt_filter(self->g, &f));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4005, "10.9.0.2", 5005, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	/* SNAPSHOT obeys it too, for local flows. */
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(0, self->k.n);
	ASSERT_EQ(0, kt_filter(self->g, &all));
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_TRUE(self->k.n >= 1);
}

/* A full ring loses nothing: the buckets of what did not fit are named. */
TEST_F(capture, overflow_is_dirty_buckets)
{
	const unsigned int n_flows = 400;
	struct fr_genl_config c = FR_GENL_CONFIG_KEEP;
	struct fr_genl_info info;
	struct kt_recs snap = {};
	unsigned int i, n = 0;
	int fd, b;

	c.ring_entries = 64;
	ASSERT_EQ(0, fr_genl_config(self->g, &c));
	fr_genl_close(self->g);
	ASSERT_TRUE(kt_until(!kt_reader(&self->g)));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	ASSERT_EQ(64, info.ring_entries);

	b = kt_socket_b(&self->nets, SOCK_DGRAM, "10.9.0.2", 5006);
	ASSERT_LE(0, b);
	for (i = 0; i < n_flows; i++) {
		fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 10000 + i);
		ASSERT_EQ(0, kt_connect(fd, "10.9.0.2", 5006));
		ASSERT_EQ(0, kt_send(fd, "x"));
		close(fd);
	}
	ASSERT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_LT(0, kt_counter(self->g, FLYREP_C_RING_OVERFLOW));
	EXPECT_TRUE(self->k.n >= 64 && self->k.n < n_flows);
	ASSERT_LT(0, self->k.dirty);

	/* Every flow was drained, or its bucket is dirty, by user space's own hash. */
	ASSERT_EQ(0, kt_snapshot(self->g, &snap, FLYREP_ORIGIN_LOCAL, self->k.buckets));
	EXPECT_EQ(1, snap.n_begin);
	EXPECT_EQ(1, snap.n_end);
	EXPECT_TRUE(snap.has_buckets);
	EXPECT_EQ(0, memcmp(snap.buckets, self->k.buckets, sizeof(snap.buckets)));
	for (i = 0; i < snap.n; i++) {
		unsigned int bucket = kt_bucket(&snap.r[i]);

		EXPECT_TRUE(self->k.buckets[bucket / 8] & (1 << bucket % 8));
		EXPECT_LT(snap.begin, snap.r[i].rec.stamp);
	}
	for (i = 0; i < n_flows; i++) {
		struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 10000 + i, "10.9.0.2", 5006);

		n += kt_find(&self->k, &key) || kt_find(&snap, &key);
	}
	EXPECT_EQ(n_flows, n);
	kt_recs_reset(&snap);
	close(b);
	c.ring_entries = 0;
	EXPECT_EQ(0, fr_genl_config(self->g, &c));
}

/* Buckets that nobody asked for are not named; those asked for are complete. */
TEST_F(capture, snapshot_by_bucket)
{
	const unsigned int n_flows = 300;
	uint8_t half[FLYREP_BUCKETS_LEN];
	struct kt_recs all = {};
	unsigned int i, want = 0;

	for (i = 0; i < n_flows; i++)
		ASSERT_EQ(0, kt_apply(self->g, kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, i % 2 ? "10.1.0.1" :
						      "fd01::1", 1 + i, i % 2 ? "10.2.0.2" : "fd02::2", 53), 0));
	ASSERT_EQ(0, kt_snapshot(self->g, &all, FLYREP_ORIGIN_REMOTE, NULL));
	EXPECT_EQ(n_flows, all.n);
	EXPECT_FALSE(all.has_buckets);
	memset(half, 0x55, sizeof(half));
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, half));
	for (i = 0; i < all.n; i++) {
		unsigned int bucket = kt_bucket(&all.r[i]);
		bool is_asked = half[bucket / 8] & (1 << bucket % 8);

		want += is_asked;
		EXPECT_EQ(is_asked, !!kt_find(&self->k, &all.r[i]));
	}
	EXPECT_EQ(want, self->k.n);
	EXPECT_TRUE(want > n_flows / 4 && want < n_flows * 3 / 4);
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_LOCAL, NULL));
	for (i = 0; i < all.n; i++)
		EXPECT_EQ(NULL, kt_find(&self->k, &all.r[i]));
	kt_recs_reset(&all);
}

/* Events were off when it was born: its end will be nobody's news, and the snapshot says so. */
TEST_F(capture, mute)
{
	struct flyrep_ct heard = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), got;
	struct flyrep_ct mute = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4001, "10.9.0.2", 5001);

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_events=0"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4001, "10.9.0.2", 5001, true));
	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_events=1"));
	ASSERT_TRUE(kt_get(self->g, &heard, &got));
	EXPECT_EQ(0, got.rec.flags);
	ASSERT_TRUE(kt_get(self->g, &mute, &got));
	EXPECT_EQ(FLYREP_REC_F_MUTE, got.rec.flags);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_sh("conntrack -D -p udp >/dev/null 2>&1"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_TRUE(is_told_gone(self, &heard));
	EXPECT_FALSE(is_told_gone(self, &mute));
	EXPECT_EQ(self->is_heard ? 0 : 1, self->k.n);
}

/* A flow that only a snapshot told of: its end is told too. */
TEST_F(capture, snapshot_makes_ends_news)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4007, "10.9.0.2", 5007);

	fr_genl_close(self->g);
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4007, "10.9.0.2", 5007, true));
	ASSERT_TRUE(kt_until(!kt_reader(&self->g)));
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_LOCAL, NULL));
	ASSERT_NE(NULL, kt_find(&self->k, &key));
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_TRUE(is_told_gone(self, &key));
	EXPECT_EQ(self->is_heard ? 0 : 1, self->k.n);
}

/* On a standby local flows are no news, until it ends. */
TEST_F(capture, standby)
{
	ASSERT_EQ(0, kt_config(self->g, -1, -1, 1));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4008, "10.9.0.2", 5008, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	EXPECT_EQ(0, self->k.dirty);
	ASSERT_EQ(0, kt_config(self->g, -1, -1, 0));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);
}

/* No WAKE is lost: after a drain that emptied the ring, each burst makes exactly one. */
TEST_F(capture, one_wake_a_burst)
{
	uint64_t before;
	int i;

	/* The one BIND made */
	ASSERT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_WAKE_SENT) == 1));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, kt_drain(self->g, &self->k));
		before = kt_counter(self->g, FLYREP_C_WAKE_SENT);
		ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4100 + i, "10.9.0.2", 5009, true));
		ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4200 + i, "10.9.0.2", 5009, true));
		ASSERT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
		EXPECT_EQ(before + 1, kt_counter(self->g, FLYREP_C_WAKE_SENT));
	}
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(40, self->k.n);
}

TEST_HARNESS_MAIN
