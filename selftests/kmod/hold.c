// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=600
 *
 * Held flows: how long they live, and how they stop being held.
 */
#include "kt_flow.h"
#include "kt_harness.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

FIXTURE(hold)
{
	struct kt_nets	nets;
	struct fr_genl	*g;
	struct kt_recs	k;
};

FIXTURE_SETUP(hold)
{
	memset(&self->k, 0, sizeof(self->k));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
}

FIXTURE_TEARDOWN(hold)
{
	fr_genl_close(self->g);
	kt_recs_reset(&self->k);
	kt_nets_down(&self->nets);
}

/* Close the reader, and be another socket that is not one. */
static int be_nobody(struct fr_genl **g)
{
	fr_genl_close(*g);
	return fr_genl_open(g);
}

static bool is_between(uint32_t value, uint32_t low, uint32_t high)
{
	if (value >= low && value <= high)
		return true;
	fprintf(stderr, "# %u is not in %u .. %u\n", value, low, high);
	return false;
}

/* A packet with news takes a held flow over: it is local, and the reader hears of it. */
TEST_F(hold, takeover)
{
	struct flyrep_ct key = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 6001);
	struct flyrep_ct r, *drained;
	struct kt_tcp t;

	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 6001));
	ASSERT_TRUE(kt_get(self->g, &key, &r));
	r = kt_rec_from(&r, FLYREP_OP_UPDATE);
	ASSERT_EQ(0, kt_apply(self->g, r, FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(0, kt_config(self->g, -1, -1, 1));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	kt_recs_reset(&self->k);

	/* Data is no event; the end is. Even on a standby. */
	ASSERT_EQ(0, kt_send(t.a, "hello"));
	ASSERT_EQ(5, kt_recv(t.b));
	ASSERT_TRUE(kt_get(self->g, &key, &r));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, r.rec.flags);
	shutdown(t.a, SHUT_WR);
	ASSERT_EQ(0, kt_recv(t.b));
	ASSERT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_CAPTURE_TAKEOVER) == 1));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	drained = kt_find(&self->k, &key);
	ASSERT_NE(NULL, drained);
	EXPECT_EQ(FLYREP_OP_UPDATE, drained->rec.op);
	EXPECT_EQ(0, drained->rec.flags);
	EXPECT_TRUE(drained->tcp_state >= TCP_CONNTRACK_FIN_WAIT);
	EXPECT_TRUE(is_between(drained->timeout_s, 1, 120));
	/* It is this node's now. */
	EXPECT_EQ(-EBUSY, kt_apply(self->g, kt_rec_from(&key, FLYREP_OP_DELETE), 0));
	kt_tcp_close(&t);
}

/* Two nodes own one flow: what the other one says moves it forward, and takes it away from nobody. */
TEST_F(hold, shared)
{
	struct flyrep_ct key = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.9.0.1", 6100, "10.9.0.2", 6101);
	struct flyrep_ct r, got, *drained;
	struct kt_tcp t;

	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6100, "10.9.0.2", 6101));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	ASSERT_EQ(TCP_CONNTRACK_ESTABLISHED, got.tcp_state);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	kt_recs_reset(&self->k);

	/* Neither what is the same nor what lies behind */
	r = kt_rec_from(&got, FLYREP_OP_UPDATE);
	EXPECT_EQ(-EBUSY, kt_apply(self->g, r, FLYREP_APPLY_F_SHARED));
	r.tcp_state = TCP_CONNTRACK_SYN_SENT;
	EXPECT_EQ(-EBUSY, kt_apply(self->g, r, FLYREP_APPLY_F_SHARED));
	r.rec.op = FLYREP_OP_INSERT;
	EXPECT_EQ(-EBUSY, kt_apply(self->g, r, FLYREP_APPLY_F_SHARED));
	EXPECT_EQ(-EBUSY, kt_apply(self->g, kt_rec_from(&key, FLYREP_OP_DELETE),
				   FLYREP_APPLY_F_SHARED));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);

	/* The end was seen elsewhere: it ends here, too, and the reader is told. */
	r = kt_rec_from(&got, FLYREP_OP_UPDATE);
	r.tcp_state = TCP_CONNTRACK_TIME_WAIT;
	EXPECT_EQ(-EBUSY, kt_apply(self->g, r, FLYREP_APPLY_F_SHARED));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	EXPECT_EQ(TCP_CONNTRACK_TIME_WAIT, got.tcp_state);
	EXPECT_EQ(0, got.rec.flags);
	EXPECT_TRUE(is_between(got.timeout_s, 100, 120));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	drained = kt_find(&self->k, &key);
	ASSERT_NE(NULL, drained);
	EXPECT_EQ(TCP_CONNTRACK_TIME_WAIT, drained->tcp_state);

	/* Only the next connection takes the place of one that has ended. */
	r = kt_rec_from(&got, FLYREP_OP_INSERT);
	r.tcp_state = TCP_CONNTRACK_SYN_RECV;
	EXPECT_EQ(0, kt_apply(self->g, r, FLYREP_APPLY_F_SHARED));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
	EXPECT_EQ(TCP_CONNTRACK_SYN_RECV, got.tcp_state);
	EXPECT_EQ(-EINVAL, kt_apply(self->g, r, FLYREP_APPLY_F_SHARED | FLYREP_APPLY_F_FORCE));
	kt_tcp_close(&t);
}

/* Its owner gives a held flow up, but packets go through here: it is this node's from then on. */
TEST_F(hold, shared_and_used)
{
	struct flyrep_ct key = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.9.0.1", 6200, "10.9.0.2", 6201);
	struct flyrep_ct idle = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 4, "10.2.0.1", 53);
	struct flyrep_ct r, got, *drained;
	struct kt_tcp t;

	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6200, "10.9.0.2", 6201));
	ASSERT_TRUE(kt_get(self->g, &key, &r));
	r = kt_rec_from(&r, FLYREP_OP_UPDATE);
	ASSERT_EQ(0, kt_apply(self->g, r, FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(0, kt_apply(self->g, idle, FLYREP_APPLY_F_SHARED));
	ASSERT_EQ(0, kt_chat(&t));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	ASSERT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	kt_recs_reset(&self->k);

	EXPECT_EQ(-EBUSY, kt_apply(self->g, kt_rec_from(&key, FLYREP_OP_DELETE),
				   FLYREP_APPLY_F_SHARED));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	EXPECT_EQ(0, got.rec.flags);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	drained = kt_find(&self->k, &key);
	ASSERT_NE(NULL, drained);
	EXPECT_EQ(FLYREP_OP_UPDATE, drained->rec.op);
	EXPECT_EQ(0, drained->rec.flags);

	EXPECT_EQ(0, kt_apply(self->g, kt_rec_from(&idle, FLYREP_OP_DELETE),
			      FLYREP_APPLY_F_SHARED));
	EXPECT_FALSE(kt_get(self->g, &idle, &got));
	kt_tcp_close(&t);
}

/* Each protocol and state its own timeout, none before. */
TEST_F(hold, promote)
{
	struct {
		struct flyrep_ct	r;
		uint32_t		timeout_s;
	} f[] = {
		{ kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 1, "10.2.0.1", 80), 432000 },
		{ kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 2, "10.2.0.1", 80), 60 },
		{ kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 3, "10.2.0.1", 80), 10 },
		{ kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 4, "10.2.0.1", 53), 120 },
		{ kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "fd01::1", 5, "fd02::1", 53), 30 },
		{ kt_rec(FLYREP_OP_INSERT, IPPROTO_ICMP, "10.1.0.1", 6, "10.2.0.1", 0), 30 },
		{ kt_rec(FLYREP_OP_INSERT, IPPROTO_ICMPV6, "fd01::1", 7, "fd02::1", 0), 30 },
	};
	const size_t n = sizeof(f) / sizeof(*f);
	struct flyrep_ct got;
	uint32_t applied;
	size_t i;

	f[1].r.tcp_state = TCP_CONNTRACK_SYN_RECV;
	f[2].r.tcp_state = TCP_CONNTRACK_CLOSE;
	f[4].r.status = IPS_SEEN_REPLY;
	ASSERT_EQ(0, kt_config(self->g, -1, -1, 1));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, kt_apply(self->g, f[i].r, 0));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	ASSERT_EQ(0, fr_genl_promote(self->g, &applied));
	EXPECT_EQ(n, applied);
	for (i = 0; i < n; i++) {
		ASSERT_TRUE(kt_get(self->g, &f[i].r, &got));
		EXPECT_EQ(0, got.rec.flags);
		EXPECT_TRUE(is_between(got.timeout_s, f[i].timeout_s - 5, f[i].timeout_s));
	}
	/* The standby is over, and what was not captured is dirty. */
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	/* As they are local now, their end is news. */
	ASSERT_EQ(0, kt_sh("conntrack -D -p tcp --orig-port-src 1 >/dev/null 2>&1"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	ASSERT_NE(NULL, kt_find(&self->k, &f[0].r));
	EXPECT_EQ(FLYREP_OP_DELETE, kt_find(&self->k, &f[0].r)->rec.op);
	EXPECT_EQ(2, self->k.n);
	ASSERT_EQ(0, fr_genl_promote(self->g, &applied));
	EXPECT_EQ(0, applied);
}

/* A sysctl of 0 does not kill what is promoted. */
TEST_F(hold, promote_never_to_zero)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 4, "10.2.0.1", 53), got;
	uint32_t applied;

	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_udp_timeout_stream=0"));
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, fr_genl_promote(self->g, &applied));
	EXPECT_EQ(1, applied);
	EXPECT_TRUE(kt_get(self->g, &r, &got));
}

/* The reverse: local flows are held, those the filter leaves out are not. */
TEST_F(hold, demote)
{
	static const uint8_t udp = IPPROTO_UDP;
	struct fr_genl_filter f = { .protos = &udp, .n_protos = 1 };
	struct flyrep_ct u = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), got;
	struct flyrep_ct t = kt_rec(0, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 6001);
	struct fr_genl_info info;
	struct kt_tcp tcp;
	uint32_t n;

	ASSERT_EQ(0, kt_filter(self->g, &f));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_tcp_open(&self->nets, &tcp, "10.9.0.1", 6000, "10.9.0.2", 6001));
	ASSERT_EQ(0, fr_genl_demote(self->g, &n));
	EXPECT_EQ(1, n);
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_TRUE(info.standby);
	f.n_protos = 0;
	ASSERT_EQ(0, kt_filter(self->g, &f));
	ASSERT_TRUE(kt_get(self->g, &u, &got));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
	EXPECT_TRUE(got.timeout_s > 86000);
	ASSERT_TRUE(kt_get(self->g, &t, &got));
	EXPECT_EQ(0, got.rec.flags);
	/* The other node is the owner now: it may update and delete. */
	EXPECT_EQ(0, kt_apply(self->g, kt_rec_from(&u, FLYREP_OP_DELETE), 0));
	kt_tcp_close(&tcp);
}

/* To and fro with a connection running: windows are learnt again, nothing is invalid. */
TEST_F(hold, demote_and_promote_a_live_connection)
{
	struct kt_tcp t;
	long invalid;
	uint32_t n;
	int i;

	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 6001));
	invalid = kt_invalid(&self->nets);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, i % 2 ? fr_genl_promote(self->g, &n) : fr_genl_demote(self->g, &n));
		EXPECT_LE(1, n);
		ASSERT_EQ(0, kt_send(t.a, "0123456789"));
		ASSERT_EQ(10, kt_recv(t.b));
		ASSERT_EQ(0, kt_send(t.b, "0123456789"));
		ASSERT_EQ(10, kt_recv(t.a));
	}
	EXPECT_EQ(invalid, kt_invalid(&self->nets));
	kt_tcp_close(&t);
}

/* Bytes that a socket has sent and nobody has acknowledged */
static int unacked(int fd)
{
	int n = -1;

	return ioctl(fd, SIOCOUTQ, &n) ? -errno : n;
}

/*
 * The acknowledgements were lost on the way: the sender begins anew with a segment far behind
 * what the receiver has, and gets an answer for data that this node never saw.
 */
TEST_F(hold, old_segments_after_a_takeover)
{
	enum { LEN = 12000 };	/* fits the first window */
	int64_t end = kt_now_ms() + KT_WAIT_MS;
	static char buf[LEN];
	struct kt_tcp t;
	long invalid;
	int got = 0;
	uint32_t n;

	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 6001));
	ASSERT_EQ(0, kt_tcp_bulk(t.b, t.a, 4 * LEN));
	ASSERT_TRUE(kt_until(!unacked(t.b)));
	invalid = kt_invalid(&self->nets);

	/* b does not hear; and its probe of the tail goes before the takeover. */
	ASSERT_EQ(0, kt_sh("ip netns exec %s nft 'add table ip deaf; "
			   "add chain ip deaf in { type filter hook prerouting priority -300; "
			   "tcp sport 6000 drop; }'", self->nets.b));
	ASSERT_EQ(LEN, send(t.b, buf, LEN, MSG_NOSIGNAL));
	while (got < LEN && kt_now_ms() < end)
		got += read(t.a, buf, LEN);
	ASSERT_EQ(LEN, got);
	ASSERT_TRUE(kt_until(kt_number("ip netns exec %s nstat -asz TcpRetransSegs | "
				       "awk '/Tcp/ { print $2 }'", self->nets.b) >= 2));
	EXPECT_EQ(LEN, unacked(t.b));

	ASSERT_EQ(0, fr_genl_demote(self->g, &n));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	ASSERT_EQ(0, kt_sh("ip netns exec %s nft delete table ip deaf", self->nets.b));
	EXPECT_TRUE(kt_until(!unacked(t.b)));
	ASSERT_EQ(0, kt_tcp_bulk(t.a, t.b, LEN));
	ASSERT_EQ(0, kt_tcp_bulk(t.b, t.a, LEN));
	EXPECT_EQ(invalid, kt_invalid(&self->nets));
	kt_tcp_close(&t);
}

#define LIBERAL IP_CT_TCP_FLAG_BE_LIBERAL

/* Some bytes both ways */
static int chat(const struct kt_tcp *t)
{
	return kt_send(t->a, "0123456789") || kt_recv(t->b) != 10 ||
	       kt_send(t->b, "0123456789") || kt_recv(t->a) != 10;
}

/* How both directions of a flow are tracked: bits of LIBERAL, or -1 if it is not there */
static int liberal(struct fr_genl *g, const struct flyrep_ct *key)
{
	struct flyrep_ct r;

	if (!kt_get(g, key, &r))
		return -1;
	return (r.tcp_flags[0] & LIBERAL) == (r.tcp_flags[1] & LIBERAL) ? r.tcp_flags[0] & LIBERAL : -1;
}

static int set_learn(struct fr_genl *g, int64_t learn_s)
{
	struct fr_genl_config c = FR_GENL_CONFIG_KEEP;

	c.learn_s = learn_s;
	return fr_genl_config(g, &c);
}

/* Who changes hands is tracked liberally; and strictly again when all is known. */
TEST_F(hold, strict_again)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 6001);
	struct flyrep_ct mute = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 1, "10.2.0.1", 80);
	struct flyrep_ct r;
	struct kt_tcp t;
	long invalid;
	uint32_t n;

	ASSERT_EQ(0, set_learn(self->g, 1));
	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 6001));
	EXPECT_EQ(0, liberal(self->g, &key));
	invalid = kt_invalid(&self->nets);

	/* Injected, held, and local */
	ASSERT_TRUE(kt_get(self->g, &key, &r));
	r = kt_rec_from(&r, FLYREP_OP_INSERT);
	ASSERT_EQ(0, kt_apply(self->g, kt_rec_from(&r, FLYREP_OP_DELETE), FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, kt_apply(self->g, mute, 0));
	EXPECT_EQ(LIBERAL, liberal(self->g, &key));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	EXPECT_EQ(LIBERAL, liberal(self->g, &key));
	ASSERT_TRUE(kt_until(!chat(&t) && kt_counter(self->g, FLYREP_C_STRICT) == 1));
	EXPECT_EQ(0, liberal(self->g, &key));
	/* Of that one nothing is known. */
	EXPECT_EQ(LIBERAL, liberal(self->g, &mute));

	/* There and back */
	ASSERT_EQ(0, fr_genl_demote(self->g, &n));
	EXPECT_EQ(LIBERAL, liberal(self->g, &key));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	ASSERT_TRUE(kt_until(!chat(&t) && kt_counter(self->g, FLYREP_C_STRICT) == 2));
	EXPECT_EQ(0, liberal(self->g, &key));
	ASSERT_EQ(0, kt_tcp_bulk(t.b, t.a, 2 << 20));
	ASSERT_EQ(0, kt_tcp_bulk(t.a, t.b, 2 << 20));
	EXPECT_EQ(invalid, kt_invalid(&self->nets));

	/* A packet that takes it over does the same. */
	ASSERT_EQ(0, fr_genl_demote(self->g, &n));
	shutdown(t.b, SHUT_WR);
	ASSERT_EQ(0, kt_recv(t.a));
	ASSERT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_CAPTURE_TAKEOVER) == 1));
	ASSERT_EQ(0, kt_send(t.a, "0123456789"));
	ASSERT_EQ(10, kt_recv(t.b));
	ASSERT_TRUE(kt_until(!kt_send(t.a, "x") && kt_recv(t.b) > 0 &&
			     kt_counter(self->g, FLYREP_C_STRICT) == 3));
	EXPECT_EQ(0, liberal(self->g, &key));
	EXPECT_EQ(invalid, kt_invalid(&self->nets));
	kt_tcp_close(&t);
}

/* What somebody else made liberal stays so. */
TEST_F(hold, liberal_by_others)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 6001);
	struct kt_tcp t, u;
	uint32_t n;

	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1"));
	ASSERT_EQ(0, set_learn(self->g, 1));
	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 6001));
	ASSERT_EQ(0, kt_tcp_open(&self->nets, &u, "10.9.0.1", 6002, "10.9.0.2", 6003));
	ASSERT_EQ(0, kt_sh("conntrack -D -p tcp --orig-port-src 6000 >/dev/null 2>&1"));
	ASSERT_EQ(0, chat(&t));
	ASSERT_EQ(LIBERAL, liberal(self->g, &key));
	ASSERT_EQ(0, fr_genl_demote(self->g, &n));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	/* The other one tells when both were looked at. */
	ASSERT_TRUE(kt_until(!chat(&t) && !chat(&u) && kt_counter(self->g, FLYREP_C_STRICT) == 1));
	EXPECT_EQ(LIBERAL, liberal(self->g, &key));
	kt_tcp_close(&t);
	kt_tcp_close(&u);
}

/* Unloading leaves a flow strict if its windows are known, else liberal. */
TEST_F(hold, unloaded_while_learning)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 6001);
	struct flyrep_ct mute = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 1, "10.2.0.1", 80);
	struct kt_tcp t;
	uint32_t n;

	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 6001));
	ASSERT_EQ(0, kt_apply(self->g, mute, 0));
	ASSERT_EQ(0, fr_genl_demote(self->g, &n));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	ASSERT_EQ(0, chat(&t));
	EXPECT_EQ(LIBERAL, liberal(self->g, &key));
	fr_genl_close(self->g);
	ASSERT_EQ(0, kt_sh("rmmod flyrep"));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_reader(&self->g));
	EXPECT_EQ(0, liberal(self->g, &key));
	EXPECT_EQ(LIBERAL, liberal(self->g, &mute));
	ASSERT_EQ(0, chat(&t));
	kt_tcp_close(&t);
}

/* A held flow that somebody else deletes is missed. */
TEST_F(hold, lost)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 4, "10.2.0.1", 53), *d;

	ASSERT_EQ(0, kt_config(self->g, -1, -1, 1));
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	ASSERT_EQ(1, self->k.n);
	d = self->k.r;
	EXPECT_EQ(FLYREP_OP_DELETE, d->rec.op);
	EXPECT_EQ(FLYREP_REC_F_REMOTE, d->rec.flags);
	EXPECT_TRUE(kt_same_key(d, &r));
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_HELD_LOST));
}

/* The hold is a bound, and running out is a loss too. */
TEST_F(hold, runs_out)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 4, "10.2.0.1", 53), got;

	ASSERT_EQ(0, kt_config(self->g, 2, -1, -1));
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_LE(got.timeout_s, 2);
	/* Looking for it is what collects it. */
	ASSERT_TRUE(kt_until(kt_sh("conntrack -G -p udp -s 10.1.0.1 -d 10.2.0.1 --sport 4 --dport 53 "
				   ">/dev/null 2>&1")));
	ASSERT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_HELD_LOST) == 1));
}

/* Nobody looks after held flows: they get a normal life, and are nobody's news. */
TEST_F(hold, orphans)
{
	struct flyrep_ct u = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 4, "10.2.0.1", 53), got;
	struct flyrep_ct t = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 5, "10.2.0.1", 80);
	struct flyrep_ct l = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000);

	ASSERT_EQ(0, kt_config(self->g, -1, 1, -1));
	t.tcp_state = TCP_CONNTRACK_FIN_WAIT;
	ASSERT_EQ(0, kt_apply(self->g, u, 0));
	ASSERT_EQ(0, kt_apply(self->g, t, 0));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, false));
	ASSERT_EQ(0, be_nobody(&self->g));
	ASSERT_TRUE(kt_get(self->g, &u, &got));
	EXPECT_TRUE(got.timeout_s > 86000);
	ASSERT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_ORPHANED) == 2));
	ASSERT_TRUE(kt_get(self->g, &u, &got));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
	EXPECT_TRUE(is_between(got.timeout_s, 100, 120));
	ASSERT_TRUE(kt_get(self->g, &t, &got));
	EXPECT_TRUE(is_between(got.timeout_s, 100, 120));
	ASSERT_TRUE(kt_get(self->g, &l, &got));
	EXPECT_LE(got.timeout_s, 30);

	/* The guard also looks after what is injected without any reader. */
	u.orig.sport = htons(44);
	u.reply.dport = htons(44);
	ASSERT_EQ(0, kt_apply(self->g, u, 0));
	ASSERT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_ORPHANED) == 3));
}

/* A reader that comes back in time finds its flows as they were. */
TEST_F(hold, reader_in_time)
{
	struct flyrep_ct u = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 4, "10.2.0.1", 53), got;
	int64_t end;

	ASSERT_EQ(0, kt_config(self->g, -1, 2, -1));
	ASSERT_EQ(0, kt_apply(self->g, u, 0));
	fr_genl_close(self->g);
	ASSERT_EQ(0, kt_reader(&self->g));
	end = kt_now_ms() + 3500;
	ASSERT_TRUE(kt_until(kt_now_ms() > end));
	ASSERT_TRUE(kt_get(self->g, &u, &got));
	EXPECT_TRUE(got.timeout_s > 86000);
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_ORPHANED));
}

TEST_HARNESS_MAIN
