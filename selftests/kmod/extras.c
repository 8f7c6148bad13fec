// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=600
 *
 * What few flows have and carry in their tail: each thing made by the kernel itself, captured,
 * put into another namespace and read back; and what it is good for after a failover.
 */
#include "kt_ftp.h"
#include "kt_harness.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MODPROBE "/proc/sys/kernel/modprobe"
#define ASKED "/tmp/asked-of-modprobe"
#define STATISTICS (FLYREP_CT_EXT_START | FLYREP_CT_EXT_COUNTERS)

KT_FIXTURE(extras)

static int apply(struct fr_genl *g, const struct flyrep_ct *r, const struct flyrep_ct_ext *x)
{
	return x->has ? kt_apply_tail(g, *r, x, sizeof(*x)) : kt_apply(g, *r, 0);
}

/* A flow with a tail that says nothing yet */
static struct flyrep_ct udp(uint16_t sport)
{
	return kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", sport, "10.2.0.1", 53);
}

static const struct flyrep_ct_ext with_labels = { .has = FLYREP_CT_EXT_LABELS, .labels = { 0x81, 0, 7 } };

/* Drain until a flow has all of @has; false at the deadline */
static bool drained(struct fr_genl *g, struct kt_recs *k, const struct flyrep_ct *key, uint32_t has,
		    struct flyrep_ct *r, struct flyrep_ct_ext *x)
{
	struct flyrep_ct *found = NULL;

	kt_until(kt_drain(g, k) || ((found = kt_find(k, key)) && (k->x[found - k->r].has & has) == has));
	if (!found || (k->x[found - k->r].has & has) != has)
		return false;
	*r = kt_rec_from(found, FLYREP_OP_INSERT);
	*x = k->x[found - k->r];
	return true;
}

/* Put it into b, and see that the same comes out */
static void travels(struct __test_metadata *_metadata, const struct kt_nets *nets,
		    const struct flyrep_ct *r, const struct flyrep_ct_ext *x)
{
	struct fr_genl *g = kt_open_b(nets);
	struct flyrep_ct_ext back;
	struct flyrep_ct got;
	uint64_t updated;

	ASSERT_NE(NULL, g);
	updated = kt_counter(g, FLYREP_C_INJECT_UPDATED);
	ASSERT_EQ(0, apply(g, r, x));
	ASSERT_TRUE(kt_get_tail(g, r, &got, &back));
	EXPECT_EQ(x->has, back.has);
	EXPECT_EQ(0, memcmp(x, &back, sizeof(back)));
	EXPECT_EQ(0, kt_counter(g, FLYREP_C_INJECT_REDUCED));
	/* Once more, as an update */
	ASSERT_EQ(0, apply(g, r, x));
	EXPECT_EQ(updated + 1, kt_counter(g, FLYREP_C_INJECT_UPDATED));
	ASSERT_TRUE(kt_get_tail(g, r, &got, &back));
	EXPECT_EQ(0, memcmp(x, &back, sizeof(back)));
	EXPECT_EQ(0, kt_counter(g, FLYREP_C_INJECT_REDUCED));
	fr_genl_close(g);
}

/* --- each thing, from the kernel and back ----------------------------------------- */

TEST_F(extras, plain_flows_have_no_tail)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), got;

	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	EXPECT_EQ(0, got.rec.tail_len);
	got = udp(1);
	ASSERT_EQ(0, kt_apply(self->g, got, 0));
	ASSERT_TRUE(kt_get(self->g, &got, &got));
	EXPECT_EQ(0, got.rec.tail_len);
}

TEST_F(extras, labels)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), r, got;
	struct flyrep_ct_ext x, back;
	struct fr_genl *g;

	ASSERT_EQ(0, kt_sh("nft add rule inet kt out udp dport 5000 ct label set 9"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_TRUE(drained(self->g, &self->k, &key, FLYREP_CT_EXT_LABELS, &r, &x));
	EXPECT_EQ(FLYREP_CT_EXT_LABELS, x.has);
	EXPECT_EQ(2, x.labels[1]);
	travels(_metadata, &self->nets, &r, &x);
	ASSERT_EQ(0, kt_sh("mkdir -p /etc/xtables && echo 9 nine >/etc/xtables/connlabel.conf"));
	EXPECT_EQ(1, kt_number("ip netns exec %s conntrack -L -o labels 2>/dev/null | "
			       "grep -c labels=nine", self->nets.b));

	/* A held flow from before there were labels gets them, others, and none. */
	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	r = udp(1);
	r.rec.op = FLYREP_OP_UPDATE;
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	x = with_labels;
	ASSERT_EQ(0, apply(g, &r, &x));
	x.labels[0] = 1;
	x.labels[15] = 0x80;
	ASSERT_EQ(0, apply(g, &r, &x));
	ASSERT_TRUE(kt_get_tail(g, &r, &got, &back));
	EXPECT_EQ(0, memcmp(&x, &back, sizeof(x)));
	ASSERT_EQ(0, kt_apply(g, r, 0));
	ASSERT_TRUE(kt_get_tail(g, &r, &got, &back));
	EXPECT_EQ(0, got.rec.tail_len);
	fr_genl_close(g);
}

/* What a held flow has no room for makes it anew; what it has room for does not. */
TEST_F(extras, grows)
{
	static const struct flyrep_ct_ext tails[] = {
		{ .has = FLYREP_CT_EXT_LABELS, .labels = { 1 } },
		{ .has = FLYREP_CT_EXT_SEQADJ, .seqadj = { { 1, 2, 3 }, { 4, 5, -6 } } },
		{ .has = FLYREP_CT_EXT_SYNPROXY, .synproxy_isn = 7, .synproxy_its = 8 },
		{ .has = FLYREP_CT_EXT_TIMEOUT, .timeout_s = { 10, 20, 30, 40 } },
		{ .has = FLYREP_CT_EXT_MASQ, .masq_ifname = "va" },
		{ .has = FLYREP_CT_EXT_HELPER, .helper = "ftp" },
	};
	struct flyrep_ct r, got;
	struct flyrep_ct_ext x;
	size_t i;

	/* The first flow with labels makes room in all that come after. */
	for (i = 0; i < N_OF(tails); i++) {
		r = kt_rec(FLYREP_OP_UPDATE, IPPROTO_TCP, "10.1.0.1", 1 + i, "10.2.0.1", 21);
		ASSERT_EQ(0, kt_apply(self->g, r, 0));
	}
	for (i = 0; i < N_OF(tails); i++) {
		r = kt_rec(FLYREP_OP_UPDATE, IPPROTO_TCP, "10.1.0.1", 1 + i, "10.2.0.1", 21);
		ASSERT_EQ(0, apply(self->g, &r, &tails[i]));
		EXPECT_EQ(i + 1, kt_counter(self->g, FLYREP_C_INJECT_REPLACED)) TH_LOG("tail %zu", i);
		ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &x));
		EXPECT_EQ(0, memcmp(&x, &tails[i], sizeof(x))) TH_LOG("tail %zu", i);
		ASSERT_EQ(0, apply(self->g, &r, &tails[i]));
		EXPECT_EQ(i + 1, kt_counter(self->g, FLYREP_C_INJECT_REPLACED)) TH_LOG("tail %zu", i);
		/* Older news do not: they merge as far as there is room. */
		r.tcp_state = TCP_CONNTRACK_SYN_SENT;
		x = tails[i];
		x.has |= FLYREP_CT_EXT_MASTER;
		x.master_proto = IPPROTO_TCP;
		x.master = r.orig;
		x.master.sport = htons(99);
		ASSERT_EQ(0, apply(self->g, &r, &x));
		EXPECT_EQ(i + 1, kt_counter(self->g, FLYREP_C_INJECT_REPLACED)) TH_LOG("tail %zu", i);
		EXPECT_EQ(i + 1, kt_counter(self->g, FLYREP_C_INJECT_REDUCED)) TH_LOG("tail %zu", i);
	}
	/* A later state of the adjustment follows, and so does its absence. */
	r = kt_rec(FLYREP_OP_UPDATE, IPPROTO_TCP, "10.1.0.1", 2, "10.2.0.1", 21);
	x = tails[1];
	x.seqadj[1].offset_after = 77;
	ASSERT_EQ(0, apply(self->g, &r, &x));
	ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &x));
	EXPECT_EQ(77, x.seqadj[1].offset_after);
	EXPECT_TRUE(got.status & IPS_SEQ_ADJUST);
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &x));
	EXPECT_EQ(0, got.rec.tail_len);
	EXPECT_FALSE(got.status & IPS_SEQ_ADJUST);
}

TEST_F(extras, timeout_policy)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), r, got;
	struct flyrep_ct tcp = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 6001);
	struct flyrep_ct_ext x;
	struct kt_tcp t;
	uint32_t n;

	ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n"
			   "table inet kt {\n"
			   "  ct timeout u { protocol udp; l3proto ip; policy = { unreplied : 1111, replied : 2222 }; }\n"
			   "  ct timeout t { protocol tcp; l3proto ip; policy = { established : 3333, close : 7 }; }\n"
			   "  chain early { type filter hook output priority -10;\n"
			   "    udp dport 5000 ct timeout set \"u\"; tcp dport 6001 ct timeout set \"t\";\n  }\n"
			   "}\nX"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_TRUE(drained(self->g, &self->k, &key, FLYREP_CT_EXT_TIMEOUT, &r, &x));
	EXPECT_EQ(FLYREP_CT_EXT_TIMEOUT, x.has);
	EXPECT_EQ(1111, x.timeout_s[0]);
	EXPECT_EQ(2222, x.timeout_s[1]);
	EXPECT_EQ(0, x.timeout_s[2]);
	travels(_metadata, &self->nets, &r, &x);

	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 6001));
	ASSERT_TRUE(drained(self->g, &self->k, &tcp, FLYREP_CT_EXT_TIMEOUT, &r, &x));
	EXPECT_EQ(3333, x.timeout_s[TCP_CONNTRACK_ESTABLISHED]);
	EXPECT_EQ(7, x.timeout_s[TCP_CONNTRACK_CLOSE]);
	EXPECT_NE(0, x.timeout_s[13]);
	travels(_metadata, &self->nets, &r, &x);

	/* It outlives its name, is what PROMOTE goes by, and what the tracker goes by later. */
	tcp.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, kt_apply(self->g, tcp, FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(0, kt_sh("nft flush chain inet kt early && nft delete ct timeout inet kt t"));
	ASSERT_EQ(0, apply(self->g, &r, &x));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_TRUE(got.timeout_s > 3200 && got.timeout_s <= 3333) TH_LOG("%u s", got.timeout_s);
	ASSERT_EQ(0, kt_chat(&t));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_TRUE(got.timeout_s > 3200 && got.timeout_s <= 3333) TH_LOG("%u s", got.timeout_s);
	kt_tcp_close(&t);
}

TEST_F(extras, masquerade)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), r, got;
	struct flyrep_ct_ext x, back;
	struct fr_genl *g;

	ASSERT_EQ(0, kt_sh("ip addr add 10.8.0.1/32 dev lo && nft -f - <<'X'\n"
			   "table ip knat { chain post { type nat hook postrouting priority 100;\n"
			   "  udp dport 5000 masquerade;\n}\n}\nX"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.8.0.1", 4000, "10.9.0.2", 5000, true));
	kt_addr(&key.orig.src, "10.8.0.1");
	ASSERT_TRUE(drained(self->g, &self->k, &key, FLYREP_CT_EXT_MASQ, &r, &x));
	EXPECT_EQ(FLYREP_CT_EXT_MASQ, x.has);
	EXPECT_STREQ("va", x.masq_ifname);
	EXPECT_TRUE(r.status & IPS_SRC_NAT);

	/* No such interface there: the flow is, without it. */
	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	ASSERT_EQ(0, apply(g, &r, &x));
	ASSERT_TRUE(kt_get_tail(g, &r, &got, &back));
	EXPECT_EQ(0, back.has);
	EXPECT_EQ(0, memcmp(&got.reply, &r.reply, sizeof(r.reply)));
	EXPECT_EQ(1, kt_counter(g, FLYREP_C_INJECT_REDUCED));
	strcpy(x.masq_ifname, "vb");
	ASSERT_EQ(0, apply(g, &r, &x));
	EXPECT_EQ(1, kt_counter(g, FLYREP_C_INJECT_REPLACED));
	ASSERT_TRUE(kt_get_tail(g, &r, &got, &back));
	EXPECT_EQ(0, memcmp(&x, &back, sizeof(x)));
	/* With the interface goes the flow, as anywhere. */
	ASSERT_EQ(0, kt_sh("ip -n %s link set vb down", self->nets.b));
	EXPECT_TRUE(kt_until(!kt_get(g, &r, &got)));
	fr_genl_close(g);
}

TEST_F(extras, statistics)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), r, got;
	struct flyrep_ct_ext x, back;
	struct fr_genl *g;
	struct timespec t;

	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_acct=1 "
			   "net.netfilter.nf_conntrack_timestamp=1"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_TRUE(drained(self->g, &self->k, &key, STATISTICS, &r, &x));
	EXPECT_EQ(STATISTICS, x.has);
	EXPECT_EQ(1, x.packets[0]);
	EXPECT_EQ(29, x.bytes[0]);
	clock_gettime(CLOCK_REALTIME, &t);
	EXPECT_LE(x.start_ns / 1000000000, (uint64_t)t.tv_sec);
	EXPECT_GT(x.start_ns / 1000000000 + 100, (uint64_t)t.tv_sec);

	/* A node that keeps none lacks nothing. */
	ASSERT_EQ(0, apply(g, &r, &x));
	ASSERT_TRUE(kt_get_tail(g, &r, &got, &back));
	EXPECT_EQ(0, back.has);
	EXPECT_EQ(0, kt_counter(g, FLYREP_C_INJECT_REDUCED));
	r.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, apply(g, &r, &x));
	r.rec.op = FLYREP_OP_INSERT;
	fr_genl_close(g);
	ASSERT_EQ(0, kt_sh("ip netns exec %s sysctl -qw net.netfilter.nf_conntrack_acct=1 "
			   "net.netfilter.nf_conntrack_timestamp=1", self->nets.b));
	x.packets[1] = 0x123456789a;
	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	ASSERT_EQ(0, apply(g, &r, &x));
	ASSERT_TRUE(kt_get_tail(g, &r, &got, &back));
	EXPECT_EQ(0, memcmp(&x, &back, sizeof(x)));
	x.bytes[1] += 1000;
	r.rec.op = FLYREP_OP_UPDATE;
	ASSERT_EQ(0, apply(g, &r, &x));
	ASSERT_TRUE(kt_get_tail(g, &r, &got, &back));
	EXPECT_EQ(x.bytes[1], back.bytes[1]);
	EXPECT_EQ(1, kt_number("ip netns exec %s conntrack -L -o extended 2>/dev/null | "
			       "grep -c packets=78187493530", self->nets.b));
	fr_genl_close(g);
}

/* --- helpers ---------------------------------------------------------------------- */

TEST_F(extras, helper_and_master)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 21), r, got;
	struct flyrep_ct data_key = kt_rec(0, IPPROTO_TCP, "10.9.0.2", 20, "10.9.0.1", 7000), data_r;
	struct flyrep_ct_ext x, data_x, back;
	struct kt_tcp t, data;
	struct fr_genl *g;
	char heard[64];

	ASSERT_EQ(0, kt_ftp_rules(false));
	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 21));
	ASSERT_EQ(0, kt_ftp_login(&t));
	ASSERT_EQ(0, kt_ftp_port(&t, 7000, heard, sizeof(heard)));
	ASSERT_EQ(0, kt_ftp_data(&self->nets, heard, 7000, &data));
	ASSERT_EQ(0, kt_chat(&data));
	ASSERT_TRUE(drained(self->g, &self->k, &key, FLYREP_CT_EXT_HELPER, &r, &x));
	ASSERT_TRUE(drained(self->g, &self->k, &data_key, FLYREP_CT_EXT_MASTER, &data_r, &data_x));
	EXPECT_EQ(FLYREP_CT_EXT_HELPER, x.has);
	EXPECT_STREQ("ftp", x.helper);
	EXPECT_EQ(FLYREP_CT_EXT_MASTER, data_x.has);
	EXPECT_EQ(IPPROTO_TCP, data_x.master_proto);
	EXPECT_EQ(0, memcmp(&data_x.master, &key.orig, sizeof(key.orig)));
	EXPECT_TRUE(data_r.status & IPS_EXPECTED);

	/* The master comes late: the flow is there before it, and gets it then. */
	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	ASSERT_EQ(0, apply(g, &data_r, &data_x));
	EXPECT_EQ(1, kt_counter(g, FLYREP_C_INJECT_REDUCED));
	ASSERT_TRUE(kt_get_tail(g, &data_r, &got, &back));
	EXPECT_EQ(0, back.has);
	ASSERT_EQ(0, apply(g, &r, &x));
	ASSERT_TRUE(kt_get_tail(g, &r, &got, &back));
	EXPECT_EQ(0, memcmp(&x, &back, sizeof(x)));
	EXPECT_TRUE(got.status & IPS_HELPER);
	ASSERT_EQ(0, apply(g, &data_r, &data_x));
	EXPECT_EQ(1, kt_counter(g, FLYREP_C_INJECT_REPLACED));
	ASSERT_TRUE(kt_get_tail(g, &data_r, &got, &back));
	EXPECT_EQ(0, memcmp(&data_x, &back, sizeof(x)));
	EXPECT_TRUE(got.status & IPS_EXPECTED);
	EXPECT_EQ(1, kt_counter(g, FLYREP_C_INJECT_REDUCED));
	EXPECT_EQ(1, kt_number("ip netns exec %s conntrack -L -o extended 2>/dev/null | grep -c 'helper=ftp'",
			       self->nets.b));

	/* The master ends first; the flow holds on to it. */
	r.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, apply(g, &r, &x));
	ASSERT_TRUE(kt_get_tail(g, &data_r, &got, &back));
	EXPECT_EQ(0, memcmp(&data_x, &back, sizeof(x)));
	data_r.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, apply(g, &data_r, &data_x));
	EXPECT_TRUE(kt_until(!kt_number("ip netns exec %s sysctl -n net.netfilter.nf_conntrack_count",
					self->nets.b)));
	fr_genl_close(g);
	kt_tcp_close(&t);
	kt_tcp_close(&data);
}

/* A control connection with NAT changes hands. What it announces then comes in, through NAT. */
TEST_F(extras, ftp_after_a_failover)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 21), r, got;
	struct flyrep_ct_ext x, back;
	struct kt_tcp t, data;
	long invalid;
	char heard[64];
	uint32_t n;
	int i;

	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0"));
	ASSERT_EQ(0, kt_ftp_rules(true));
	/* What is not expected is not let in. */
	ASSERT_EQ(0, kt_sh("nft add rule inet kt in ct state new tcp sport 20 drop"));
	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 21));
	ASSERT_EQ(0, kt_ftp_login(&t));
	ASSERT_EQ(0, kt_ftp_port(&t, 7000, heard, sizeof(heard)));
	EXPECT_NE(NULL, strstr(heard, "10,9,0,111"));
	ASSERT_EQ(0, kt_ftp_data(&self->nets, heard, 7000, &data));
	ASSERT_EQ(0, kt_chat(&data));
	kt_tcp_close(&data);
	ASSERT_TRUE(kt_get_tail(self->g, &key, &r, &x));
	EXPECT_EQ(FLYREP_CT_EXT_HELPER | FLYREP_CT_EXT_SEQADJ, x.has);
	EXPECT_EQ(2, x.seqadj[0].offset_after);
	r = kt_rec_from(&r, FLYREP_OP_INSERT);

	/* It changes hands, and the new owner had no use for FTP until now. */
	invalid = kt_invalid(&self->nets);
	key.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, kt_apply(self->g, key, FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(0, kt_sh("nft 'flush chain inet kt early; delete ct helper inet kt ftp'"));
	ASSERT_TRUE(kt_until(!kt_sh("rmmod nf_nat_ftp nf_conntrack_ftp")));
	ASSERT_EQ(0, apply(self->g, &r, &x));
	EXPECT_EQ(0, access("/sys/module/nf_nat_ftp", F_OK));
	ASSERT_TRUE(kt_get_tail(self->g, &key, &got, &back));
	EXPECT_EQ(0, memcmp(&x, &back, sizeof(x)));
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_INJECT_REDUCED));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, kt_ftp_port(&t, 7001 + i, heard, sizeof(heard))) TH_LOG("round %d", i);
		EXPECT_NE(NULL, strstr(heard, "10,9,0,111")) TH_LOG("round %d: %s", i, heard);
		ASSERT_EQ(0, kt_ftp_data(&self->nets, heard, 7001 + i, &data)) TH_LOG("round %d", i);
		ASSERT_EQ(0, kt_chat(&data));
		kt_tcp_close(&data);
	}
	EXPECT_EQ(invalid, kt_invalid(&self->nets));
	ASSERT_TRUE(kt_get_tail(self->g, &key, &got, &back));
	EXPECT_EQ(8, back.seqadj[0].offset_after);
	kt_tcp_close(&t);
}

/* The end of a flow is told after its helper's module has gone. */
TEST_F(extras, helper_of_a_dead_flow)
{
	struct flyrep_ct_ext x = { .has = FLYREP_CT_EXT_HELPER, .helper = "ftp" };
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 1, "10.2.0.1", 21), *end;

	ASSERT_EQ(0, apply(self->g, &r, &x));
	/* Unasked, so the ring holds it. */
	ASSERT_EQ(0, kt_sh("conntrack -D -p tcp 2>/dev/null"));
	ASSERT_TRUE(kt_until(!kt_sh("rmmod nf_nat_ftp 2>/dev/null; rmmod nf_conntrack_ftp")));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	end = kt_find(&self->k, &r);
	ASSERT_NE(NULL, end);
	EXPECT_EQ(FLYREP_OP_DELETE, end->rec.op);
	EXPECT_EQ(0, end->rec.tail_len);
}

/* Have a program that only notes what it is asked for as the kernel's modprobe, or not any more. */
static int note_modprobe(bool is_on)
{
	static char was[256];

	if (!is_on)
		return kt_write(MODPROBE, was);
	kt_line(was, sizeof(was), "cat " MODPROBE);
	return kt_sh("printf '#!/bin/sh\\necho \"$*\" >>" ASKED "\\nexit 1\\n' >" ASKED ".sh && "
		     "chmod +x " ASKED ".sh && rm -f " ASKED) ?:
	       kt_write(MODPROBE, ASKED ".sh");
}

/* Helpers that nobody has cost the flow nothing, and modprobe is not asked for each. */
TEST_F(extras, no_such_helper)
{
	static const char *const nobody[] = { "nobody-has-it", "nobody-has-this" };
	struct flyrep_ct_ext x = { .has = FLYREP_CT_EXT_HELPER }, back;
	struct flyrep_ct got, r;
	int i, err = 0;

	ASSERT_EQ(0, note_modprobe(true));
	for (i = 0; i < 100 && !err; i++) {
		r = udp(1 + i);
		memset(x.helper, 0, sizeof(x.helper));
		strcpy(x.helper, nobody[i % 2]);
		err = apply(self->g, &r, &x);
	}
	ASSERT_EQ(0, note_modprobe(false));
	ASSERT_EQ(0, err);
	EXPECT_EQ(2, kt_number("grep -c nobody- " ASKED));
	ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &back));
	EXPECT_EQ(0, got.rec.tail_len);
	EXPECT_EQ(100, kt_counter(self->g, FLYREP_C_INJECT_REDUCED));
	EXPECT_EQ(100, kt_counter(self->g, FLYREP_C_INJECT_INSERTED));
	/* An update changes nothing of that, and replaces nothing. */
	r.rec.op = FLYREP_OP_UPDATE;
	ASSERT_EQ(0, apply(self->g, &r, &x));
	EXPECT_EQ(101, kt_counter(self->g, FLYREP_C_INJECT_REDUCED));
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));
	/* One of another protocol is none. */
	memset(x.helper, 0, sizeof(x.helper));
	strcpy(x.helper, "ftp");
	r = udp(1000);
	ASSERT_EQ(0, apply(self->g, &r, &x));
	EXPECT_EQ(102, kt_counter(self->g, FLYREP_C_INJECT_REDUCED));
}

/* Masters of masters of masters: not without end */
TEST_F(extras, masters_do_not_pile_up)
{
	struct flyrep_ct_ext x = { .has = FLYREP_CT_EXT_MASTER, .master_proto = IPPROTO_UDP }, back;
	struct flyrep_ct r = udp(1), got;
	int i, depth = 0;

	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	for (i = 0; i < 20; i++) {
		x.master = r.orig;
		r = udp(2 + i);
		ASSERT_EQ(0, apply(self->g, &r, &x));
		ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &back));
		depth += back.has == FLYREP_CT_EXT_MASTER;
	}
	EXPECT_EQ(18, depth);
	EXPECT_EQ(2, kt_counter(self->g, FLYREP_C_INJECT_REDUCED));
	/* Nor is a flow its own. */
	r = udp(100);
	x.master = r.orig;
	ASSERT_EQ(0, apply(self->g, &r, &x));
	r.rec.op = FLYREP_OP_UPDATE;
	ASSERT_EQ(0, apply(self->g, &r, &x));
	ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &back));
	EXPECT_EQ(0, back.has);
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));
}

/* The helper's module goes while held flows use it, then ours, then the namespaces. */
TEST_F(extras, everything_may_go)
{
	struct flyrep_ct_ext x = { .has = FLYREP_CT_EXT_HELPER | FLYREP_CT_EXT_LABELS | FLYREP_CT_EXT_TIMEOUT,
				   .helper = "ftp", .labels = { 1 }, .timeout_s = { 9, 9, 9, 9 } }, back;
	struct flyrep_ct_ext child = { .has = FLYREP_CT_EXT_MASTER, .master_proto = IPPROTO_TCP };
	const char *named = "conntrack -L -o extended 2>/dev/null | grep -c helper=ftp";
	struct flyrep_ct r, c, got;
	long n_named;
	int i;

	for (i = 0; i < 50; i++) {
		r = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 1 + i, "10.2.0.1", 21);
		ASSERT_EQ(0, apply(self->g, &r, &x));
		c = udp(1 + i);
		child.master = r.orig;
		ASSERT_EQ(0, apply(self->g, &c, &child));
	}
	ASSERT_EQ(0, kt_counter(self->g, FLYREP_C_INJECT_REDUCED));
	kt_sh("rmmod nf_nat_ftp 2>/dev/null");
	ASSERT_TRUE(kt_until(!kt_sh("rmmod nf_conntrack_ftp")));
	/* Newer kernels leave them the name. */
	n_named = kt_number("%s", named);
	EXPECT_TRUE(n_named == 0 || n_named == 50);
	ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &back));
	EXPECT_EQ(x.has & ~FLYREP_CT_EXT_HELPER, back.has);
	EXPECT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_CAPTURE_TAKEOVER));
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_HELD_LOST));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	/* It comes back with the next record. */
	r.rec.op = FLYREP_OP_UPDATE;
	ASSERT_EQ(0, apply(self->g, &r, &x));
	ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &back));
	EXPECT_EQ(x.has, back.has & x.has);

	fr_genl_close(self->g);
	self->g = NULL;
	ASSERT_TRUE(kt_until(!kt_sh("rmmod flyrep")));
	EXPECT_EQ(100, kt_number("conntrack -L 2>/dev/null | grep -c src=10.1.0.1"));
	EXPECT_EQ(n_named ?: 1, kt_number("%s", named));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, fr_genl_open(&self->g));
	ASSERT_TRUE(kt_get_tail(self->g, &r, &got, &back));
	EXPECT_EQ(x.has, back.has & x.has);
	EXPECT_EQ(0, got.rec.flags);
}

/* --- synproxy ---------------------------------------------------------------------- */

/* The proxy has given the server other numbers than the client: only the tail knows them. */
TEST_F(extras, synproxy_after_a_failover)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.2", 6000, "10.9.0.1", 8080), r, got;
	struct flyrep_ct_ext x, back;
	struct kt_tcp t;
	int listener, i;
	uint32_t n;

	if (kt_sh("modprobe -q nft_synproxy"))
		SKIP(return, "no synproxy in this kernel");
	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0 net.ipv4.tcp_syncookies=1 "
			   "net.ipv4.tcp_timestamps=1 && nft -f - <<'X'\n"
			   "table inet kt {\n"
			   "  chain raw { type filter hook prerouting priority -300; iifname va tcp dport 8080 tcp flags & (syn|ack) == syn notrack;\n  }\n"
			   "  chain proxy { type filter hook input priority -10;\n"
			   "    iifname va tcp dport 8080 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm;\n  }\n"
			   "}\nX"));
	/* What the proxy says before there is a flow */
	ASSERT_EQ(0, kt_sh("nft 'insert rule inet kt out ct state invalid tcp sport 8080 "
			   "tcp flags & (syn|ack) == syn|ack accept'"));
	listener = kt_socket(SOCK_STREAM, "10.9.0.1", 8080);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, listen(listener, 4));
	t.b = kt_socket_b(&self->nets, SOCK_STREAM, "10.9.0.2", 6000);
	ASSERT_LE(0, t.b);
	ASSERT_EQ(0, kt_connect(t.b, "10.9.0.1", 8080));
	t.a = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ASSERT_LE(0, t.a);
	ASSERT_EQ(0, kt_chat(&t));
	ASSERT_TRUE(drained(self->g, &self->k, &key, FLYREP_CT_EXT_SYNPROXY | FLYREP_CT_EXT_SEQADJ, &r, &x));
	EXPECT_EQ(FLYREP_CT_EXT_SYNPROXY | FLYREP_CT_EXT_SEQADJ, x.has);
	EXPECT_NE(0, x.synproxy_isn);
	EXPECT_NE(0, x.seqadj[0].offset_after | x.seqadj[1].offset_after);
	travels(_metadata, &self->nets, &r, &x);

	key.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, kt_apply(self->g, key, FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(0, apply(self->g, &r, &x));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, kt_chat(&t)) TH_LOG("round %d", i);
	ASSERT_TRUE(kt_get_tail(self->g, &key, &got, &back));
	EXPECT_EQ(0, memcmp(&x, &back, sizeof(x)));
	close(listener);
	kt_tcp_close(&t);
}

/* --- zones, NAT, offload -------------------------------------------------------------- */

TEST_F(extras, zones)
{
	static const struct {
		const char	*rule;
		uint8_t		dir;
	} cases[] = {
		{ "ct zone set 5", 3 }, { "ct original zone set 6", 1 }, { "ct reply zone set 7", 2 },
	};
	struct flyrep_ct key, got;
	struct fr_genl *g;
	size_t i;

	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	ASSERT_EQ(0, kt_sh("nft 'add chain inet kt raw { type filter hook output priority -300; }'"));
	for (i = 0; i < N_OF(cases); i++) {
		ASSERT_EQ(0, kt_sh("nft add rule inet kt raw udp dport %zu %s", 5000 + i, cases[i].rule));
		/* An answer does not know the zone: it is another flow here. */
		ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000 + i, false));
		key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000 + i);
		key.zone = 5 + i;
		key.zone_dir = cases[i].dir;
		ASSERT_TRUE(kt_get(self->g, &key, &got)) TH_LOG("%s", cases[i].rule);
		got = kt_rec_from(&got, FLYREP_OP_INSERT);
		ASSERT_EQ(0, kt_apply(g, got, 0));
		ASSERT_TRUE(kt_get(g, &key, &got)) TH_LOG("%s", cases[i].rule);
		EXPECT_EQ(cases[i].dir, got.zone_dir);
		key.rec.op = FLYREP_OP_DELETE;
		ASSERT_EQ(0, kt_apply(g, key, 0));
	}
	fr_genl_close(g);
}

/* Each from a rule, captured and put into b; and there never onto another port */
TEST_F(extras, nat_of_every_shape)
{
	static const struct {
		const char	*dst, *real;	/* whom the client asks, and who answers */
		uint16_t	dport, port;
		uint32_t	status;
	} cases[] = {
		{ "10.9.0.2", "10.9.0.2", 5000, 5000, IPS_SRC_NAT },
		{ "10.9.5.5", "10.9.0.2", 5001, 5101, IPS_DST_NAT },
		{ "10.9.5.5", "10.9.0.2", 5002, 5102, IPS_SRC_NAT | IPS_DST_NAT },
		{ "fd09::2", "fd09::2", 5003, 5003, IPS_SRC_NAT },
		{ "fd09::55", "fd09::2", 5004, 5104, IPS_DST_NAT },
		{ "fd09::55", "fd09::2", 5005, 5105, IPS_SRC_NAT | IPS_DST_NAT },
	};
	struct flyrep_ct key, r, got;
	struct fr_genl *g;
	size_t i;
	int a, b;

	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	ASSERT_EQ(0, kt_sh("ip addr add 10.9.0.3/16 dev va && ip addr add fd09::3/64 dev va nodad && nft -f - <<'X'\n"
			   "table ip knat {\n"
			   "  chain out { type nat hook output priority -100; udp dport 5001 dnat to 10.9.0.2:5101;\n"
			   "    udp dport 5002 dnat to 10.9.0.2:5102;\n  }\n"
			   "  chain post { type nat hook postrouting priority 100; udp dport 5000 snat to 10.9.0.3:40000;\n"
			   "    udp dport 5102 snat to 10.9.0.3;\n  }\n"
			   "}\n"
			   "table ip6 knat {\n"
			   "  chain out { type nat hook output priority -100; udp dport 5004 dnat to [fd09::2]:5104;\n"
			   "    udp dport 5005 dnat to [fd09::2]:5105;\n  }\n"
			   "  chain post { type nat hook postrouting priority 100; udp dport 5003 snat to [fd09::3]:40000;\n"
			   "    udp dport 5105 snat to fd09::3;\n  }\n"
			   "}\nX"));
	for (i = 0; i < N_OF(cases); i++) {
		const char *src = i < 3 ? "10.9.0.1" : "fd09::1";

		b = kt_socket_b(&self->nets, SOCK_DGRAM, cases[i].real, cases[i].port);
		a = kt_socket(SOCK_DGRAM, src, 4000);
		ASSERT_TRUE(a >= 0 && b >= 0);
		ASSERT_EQ(0, kt_connect(a, cases[i].dst, cases[i].dport));
		ASSERT_EQ(0, kt_send(a, "x"));
		ASSERT_EQ(1, kt_recv(b)) TH_LOG("case %zu", i);
		close(a);
		close(b);
		key = kt_rec(0, IPPROTO_UDP, src, 4000, cases[i].dst, cases[i].dport);
		ASSERT_TRUE(kt_get(self->g, &key, &r)) TH_LOG("case %zu", i);
		EXPECT_EQ(cases[i].status, r.status & IPS_NAT_MASK) TH_LOG("case %zu", i);
		EXPECT_EQ(0, r.rec.tail_len);
		r = kt_rec_from(&r, FLYREP_OP_INSERT);
		ASSERT_EQ(0, kt_apply(g, r, 0)) TH_LOG("case %zu", i);
		ASSERT_TRUE(kt_get(g, &key, &got));
		EXPECT_EQ(0, memcmp(&r.reply, &got.reply, sizeof(r.reply))) TH_LOG("case %zu", i);
		EXPECT_EQ(cases[i].status, got.status & IPS_NAT_MASK);
		/* Another client cannot have the same mapping, nor a neighbour of it. */
		r.orig.src.byte[7] ^= 9;
		if (r.family == AF_INET)
			r.orig.src.word[1] = 0, r.orig.src.byte[3] ^= 9;
		if (cases[i].status == IPS_DST_NAT)
			continue;
		EXPECT_EQ(-EADDRINUSE, kt_apply(g, r, 0)) TH_LOG("case %zu", i);
		EXPECT_FALSE(kt_get(g, &r, &got)) TH_LOG("case %zu", i);
	}
	EXPECT_EQ(4, kt_counter(g, FLYREP_C_INJECT_NAT_CLASH));
	fr_genl_close(g);
}

/* A flow that a flowtable forwards is in the table all the same. */
TEST_F(extras, flowtable)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.2", 6000, "10.10.0.2", 6001), got, *r;
	struct kt_nets far = self->nets;
	struct kt_tcp t;
	int listener, i;

	if (kt_sh("modprobe -qa nf_flow_table_inet nft_flow_offload"))
		SKIP(return, "no flowtables in this kernel");
	snprintf(far.b, sizeof(far.b), "kt%x-c", getpid());
	ASSERT_EQ(0, kt_sh("ip netns add %s && ip link add vx type veth peer name vy netns %s && "
			   "ip addr add 10.10.0.1/24 dev vx && ip link set vx up && "
			   "ip -n %s addr add 10.10.0.2/24 dev vy && ip -n %s link set vy up && "
			   "ip -n %s route add default via 10.10.0.1 && ip -n %s route add default via 10.9.0.1 && "
			   "sysctl -qw net.ipv4.ip_forward=1", far.b, far.b, far.b, far.b, far.b, self->nets.b));
	ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n"
			   "table inet kt {\n"
			   "  flowtable f { hook ingress priority 0; devices = { va, vx }; }\n"
			   "  chain through { type filter hook forward priority 0; meta l4proto tcp flow add @f;\n  }\n"
			   "}\nX"));
	listener = kt_socket_b(&far, SOCK_STREAM, "10.10.0.2", 6001);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, listen(listener, 1));
	t.b = kt_socket_b(&self->nets, SOCK_STREAM, "10.9.0.2", 6000);
	ASSERT_LE(0, t.b);
	ASSERT_EQ(0, kt_connect(t.b, "10.10.0.2", 6001));
	t.a = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ASSERT_LE(0, t.a);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, kt_chat(&t));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	EXPECT_TRUE(got.status & IPS_OFFLOAD);
	EXPECT_EQ(TCP_CONNTRACK_ESTABLISHED, got.tcp_state);
	ASSERT_TRUE(kt_until(!kt_drain(self->g, &self->k) && (r = kt_find(&self->k, &key)) &&
			     (r->status & IPS_ASSURED)));
	/* Its record is as good as any. */
	got = kt_rec_from(&got, FLYREP_OP_INSERT);
	key.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, kt_apply(self->g, key, FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(0, kt_apply(self->g, got, 0));
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, kt_chat(&t));
	ASSERT_TRUE(kt_get(self->g, &key, &got));
	close(listener);
	kt_tcp_close(&t);
	kt_sh("ip netns del %s", far.b);
}

/* --- what is refused ------------------------------------------------------------------ */

TEST_F(extras, bad_tails)
{
	const struct flyrep_ct_ext full = {
		.has = FLYREP_CT_EXT_ALL, .master_proto = IPPROTO_UDP, .master = udp(1).orig,
		.synproxy_isn = 1, .helper = "ftp", .masq_ifname = "va", .labels = { 1 },
		.seqadj = { { 1, 2, 3 } }, .timeout_s = { 1, 2 }, .start_ns = 1, .packets = { 1 }, .bytes = { 1 },
	};
	struct flyrep_ct r = udp(1), v6 = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "fd01::1", 1, "fd02::1", 2);
	struct flyrep_ct_ext x;
	unsigned int refused = 0;
	uint8_t wide[512] = {};
	uint32_t bit;

#define REFUSED(change) do {							\
	x = full;								\
	change;									\
	EXPECT_EQ(-EINVAL, kt_apply_tail(self->g, r, &x, sizeof(x))) TH_LOG("%s", #change); \
	refused++;								\
} while (0)
	REFUSED(x.has = 0);
	REFUSED(x.has = FLYREP_CT_EXT_ALL + 1);
	REFUSED(memset(&x, 0, sizeof(x)));
	REFUSED(x.reserved[0] = 1);
	REFUSED(x.reserved[2] = 1);
	for (bit = 1; bit < FLYREP_CT_EXT_ALL; bit <<= 1)
		REFUSED(x.has &= ~bit);
	REFUSED(memset(x.helper, 'a', sizeof(x.helper)));
	REFUSED(memset(x.helper, 0, sizeof(x.helper)));
	REFUSED(x.helper[15] = 'a');
	REFUSED(memset(x.masq_ifname, 'a', sizeof(x.masq_ifname)));
	REFUSED(memset(x.masq_ifname, 0, sizeof(x.masq_ifname)));
	REFUSED(x.masq_ifname[15] = 'a');
	REFUSED(memset(x.labels, 0, sizeof(x.labels)));
	REFUSED(x.synproxy_isn = 0);
	REFUSED(x.start_ns = 0);
	REFUSED(x.master_proto = 0);
	REFUSED(x.master_proto = IPPROTO_ICMPV6);
	REFUSED(x.master_proto = IPPROTO_ESP);
	REFUSED(x.master.src.word[1] = 1);
	REFUSED(x.master.dst.word[3] = 1);
#undef REFUSED
	EXPECT_EQ(refused, kt_counter(self->g, FLYREP_C_INJECT_REFUSED));
	x = full;
	x.master_proto = IPPROTO_ICMP;
	EXPECT_EQ(-EINVAL, kt_apply_tail(self->g, v6, &x, sizeof(x)));
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(0, self->k.n);

	/* Shorter: zeros at its end. Longer: whatever is there. Of a DELETE: nothing. */
	x = with_labels;
	ASSERT_EQ(0, kt_apply_tail(self->g, r, &x, 104));
	ASSERT_TRUE(kt_get_tail(self->g, &r, &r, &x));
	EXPECT_EQ(0, memcmp(&x, &with_labels, sizeof(x)));
	r = udp(2);
	memset(wide, 0xee, sizeof(wide));
	memcpy(wide, &x, sizeof(x));
	ASSERT_EQ(0, kt_apply_tail(self->g, r, wide, sizeof(wide)));
	ASSERT_TRUE(kt_get_tail(self->g, &r, &r, &x));
	EXPECT_EQ(0, memcmp(&x, &with_labels, sizeof(x)));
	r = udp(2);
	r.rec.op = FLYREP_OP_DELETE;
	memset(wide, 0xee, sizeof(wide));
	EXPECT_EQ(0, kt_apply_tail(self->g, r, wide, sizeof(wide)));
}

TEST_HARNESS_MAIN
