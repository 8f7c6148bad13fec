// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300 smp=1
 *
 * The ways to capture: which is taken when, and what is particular to listening. That the
 * tests of capture pass with it too, see listening.sh.
 */
#include "kt_ftp.h"
#include "kt_harness.h"

FIXTURE(listen)
{
	struct kt_nets	nets;
	struct fr_genl	*g;
	struct kt_recs	k;
};

/* Load the module anew, "foreign" before it or not. */
static int load(const char *params, bool foreign)
{
	return kt_sh("rmmod flyrep 2>/dev/null; rmmod foreign 2>/dev/null; "
		     "modprobe -a nf_conntrack_netlink nf_nat nft_ct veth && "
		     "if [ %d = 1 ]; then insmod $BUILD/module/$LAB_KERNEL/foreign.ko; fi && "
		     "insmod $FLYREP_KO %s", foreign, params);
}

FIXTURE_SETUP(listen)
{
	self->g = NULL;
	memset(&self->k, 0, sizeof(self->k));
}

FIXTURE_TEARDOWN(listen)
{
	if (self->g)
		fr_genl_close(self->g);
	kt_recs_reset(&self->k);
	if (self->nets.a[0])
		kt_nets_down(&self->nets);
	/* The next program's namespaces know nothing of this. */
	kt_sh("rmmod flyrep; rmmod foreign 2>/dev/null; true");
}

static int begin(struct _test_data_listen *self, const char *params, bool foreign)
{
	return load(params, foreign) ?: kt_nets_up(&self->nets) ?: kt_reader(&self->g);
}

static int mode(struct fr_genl *g)
{
	struct fr_genl_info info;

	return fr_genl_info(g, &info) ?: info.capture;
}

static bool is_dirty(const struct kt_recs *k, const struct flyrep_ct *key)
{
	unsigned int bucket = kt_bucket(key);

	return k->has_buckets && k->buckets[bucket / 8] & (1 << bucket % 8);
}

TEST_F(listen, parameter)
{
	static const struct {
		const char	*params;
		int		mode;
	} cases[] = {
		{ "", FLYREP_CAPTURE_CHAIN },
		{ "capture=auto", FLYREP_CAPTURE_CHAIN },
		{ "capture=chain", FLYREP_CAPTURE_CHAIN },
		{ "capture=netlink", FLYREP_CAPTURE_NETLINK },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ASSERT_EQ(0, load(cases[i].params, false));
		ASSERT_EQ(0, fr_genl_open(&self->g));
		EXPECT_EQ(cases[i].mode, mode(self->g)) TH_LOG("\"%s\"", cases[i].params);
		fr_genl_close(self->g);
		self->g = NULL;
	}
	ASSERT_EQ(0, kt_sh("rmmod flyrep; dmesg -C"));
	EXPECT_EQ(0, kt_sh("insmod $FLYREP_KO capture=nonsense 2>&1 | "
			   "grep -q 'Invalid parameters'"));
	EXPECT_EQ(0, kt_sh("dmesg | grep -q 'flyrep: capture=nonsense is not one of "
			   "auto, chain, netlink'"));
	EXPECT_NE(0, kt_sh("insmod $FLYREP_KO capture= 2>/dev/null"));
	ASSERT_EQ(0, load("", false));
}

/* A notifier that is not ctnetlink's stays in front, unless we are told to go before it. */
TEST_F(listen, foreign_notifier)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000);
	static const struct {
		const char	*params;
		int		mode;
	} cases[] = {
		{ "", FLYREP_CAPTURE_NETLINK },
		{ "capture=chain", FLYREP_CAPTURE_CHAIN },
		{ "capture=netlink", FLYREP_CAPTURE_NETLINK },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ASSERT_EQ(0, begin(self, cases[i].params, true));
		EXPECT_EQ(cases[i].mode, mode(self->g)) TH_LOG("\"%s\"", cases[i].params);
		ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
		ASSERT_EQ(0, kt_drain(self->g, &self->k));
		EXPECT_NE(NULL, kt_find(&self->k, &key)) TH_LOG("\"%s\"", cases[i].params);
		EXPECT_LE(2, kt_number("cat /sys/module/foreign/parameters/events"));
		fr_genl_close(self->g);
		self->g = NULL;
		kt_recs_reset(&self->k);
		kt_nets_down(&self->nets);
		self->nets.a[0] = 0;
	}
}

/* Zones, with and without a direction, and both families: the right flow, the right bucket. */
TEST_F(listen, keys)
{
	struct flyrep_ct key, *r;
	struct kt_recs ends = {};
	size_t i, n = 0;

	ASSERT_EQ(0, begin(self, "capture=netlink", false));
	ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n"
			   "table inet kz {\n"
			   "  chain out { type filter hook output priority -300;\n"
			   "    udp dport 5001 ct zone set 7\n"
			   "    udp dport 5002 ct original zone set 8\n"
			   "    udp dport 5003 ct reply zone set 9\n"
			   "  }\n"
			   "}\nX"));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000 + i, false));
		ASSERT_EQ(0, kt_udp_once(&self->nets, "fd09::1", 4000, "fd09::2", 5000 + i, false));
	}
	ASSERT_EQ(0, kt_sh("ping -q -c 1 -W 5 10.9.0.2 >/dev/null && "
			   "ping -q -c 1 -W 5 fd09::2 >/dev/null"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	/* All were found: of none a bucket is dirty. */
	EXPECT_EQ(0, self->k.dirty);
	for (i = 0; i < self->k.n; i++) {
		r = &self->k.r[i];
		n += r->proto == IPPROTO_UDP && r->orig.sport == htons(4000);
		n += r->proto == IPPROTO_ICMP;
		n += r->proto == IPPROTO_ICMPV6 && r->orig.dport == htons(128 << 8);
		if (r->proto != IPPROTO_UDP)
			continue;
		EXPECT_EQ(r->orig.dport == htons(5001) ? 7 : r->orig.dport == htons(5002) ? 8 :
			  r->orig.dport == htons(5003) ? 9 : 0, r->zone);
	}
	EXPECT_EQ(10, n);

	/* Their ends: the bucket of each, by user space's own hash */
	ASSERT_EQ(0, kt_sh("conntrack -F >/dev/null 2>&1; conntrack -F -f ipv6 >/dev/null 2>&1"));
	ASSERT_EQ(0, kt_drain(self->g, &ends));
	for (i = 0; i < self->k.n; i++)
		EXPECT_TRUE(is_dirty(&ends, &self->k.r[i]))
			TH_LOG("proto %u zone %u", self->k.r[i].proto, self->k.r[i].zone);
	EXPECT_LE(ends.dirty, self->k.n);
	key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000);
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_ANY, ends.buckets));
	EXPECT_EQ(NULL, kt_find(&self->k, &key));
	kt_recs_reset(&ends);
}

/* What comes and goes among the expectations makes their table dirty. */
static bool expects_are_dirty(struct _test_data_listen *self)
{
	return !kt_drain(self->g, &self->k) && self->k.n_expects_dirty;
}

TEST_F(listen, expectations)
{
	struct kt_tcp t;
	char heard[64];

	ASSERT_EQ(0, begin(self, "capture=netlink", false));
	ASSERT_EQ(0, kt_ftp_rules(false));
	ASSERT_EQ(0, kt_tcp_open(&self->nets, &t, "10.9.0.1", 6000, "10.9.0.2", 21));
	ASSERT_EQ(0, kt_ftp_login(&t));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n_expects_dirty);
	ASSERT_EQ(0, kt_ftp_port(&t, 7000, heard, sizeof(heard)));
	ASSERT_TRUE(kt_until(expects_are_dirty(self)));
	self->k.n_expects_dirty = 0;
	ASSERT_EQ(0, kt_sh("conntrack -F expect 2>/dev/null"));
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_TRUE(kt_until(expects_are_dirty(self)));
	kt_tcp_close(&t);
}

/* What APPLY does is told to others, and is no news to us; a packet's doing is. */
TEST_F(listen, own_doing)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000);
	struct flyrep_ct got;

	ASSERT_EQ(0, begin(self, "capture=netlink", false));
	r.status = 0;
	ASSERT_EQ(0, kt_sh("stdbuf -oL conntrack -E >/tmp/kt.events 2>/dev/null & echo $! >/tmp/kt.pid"));
	ASSERT_TRUE(kt_until(!system("conntrack -D -p udp -s 10.1.0.9 >/dev/null 2>&1; "
				     "conntrack -I -p udp -s 10.1.0.9 -d 10.2.0.9 --sport 1 --dport 1 "
				     "-t 100 >/dev/null 2>&1; grep -q 10.1.0.9 /tmp/kt.events")));
	ASSERT_EQ(0, kt_sh("conntrack -D -p udp -s 10.1.0.9 >/dev/null 2>&1"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	kt_recs_reset(&self->k);

	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, kt_apply(self->g, kt_rec_from(&r, FLYREP_OP_UPDATE), 0));
	ASSERT_EQ(0, kt_apply(self->g, kt_rec_from(&r, FLYREP_OP_DELETE), 0));
	ASSERT_TRUE(kt_until(!system("grep -q 'DESTROY.*sport=4000' /tmp/kt.events")));
	EXPECT_EQ(0, kt_sh("grep -q 'NEW.*sport=4000' /tmp/kt.events"));
	EXPECT_EQ(0, kt_sh("grep -q 'UPDATE.*sport=4000' /tmp/kt.events"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	EXPECT_EQ(0, self->k.dirty);
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_CAPTURE_TAKEOVER));
	EXPECT_LE(3, kt_counter(self->g, FLYREP_C_CAPTURE_ECHO));

	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	/* The answer is an event. */
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(1, self->k.n);
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_CAPTURE_TAKEOVER));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_EQ(0, got.rec.flags);

	/* A held flow that another deletes */
	r.orig.sport = r.reply.dport = htons(4001);
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, kt_sh("conntrack -D -p udp --orig-port-src 4001 >/dev/null 2>&1"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_TRUE(is_dirty(&self->k, &r));
	kt_sh("kill $(cat /tmp/kt.pid)");
}

/* More than the socket holds: all is dirty, once, and from then on all is heard again. */
TEST_F(listen, overrun)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000);
	const struct sched_param rt = { .sched_priority = 1 }, normal = {};
	const char *kernel = getenv("LAB_KERNEL");
	unsigned int i;
	int fd;

	/* There it takes minutes, in which RCU rightly complains, and flows end. */
	if (kernel && !strcmp(kernel, "debug"))
		SKIP(return, "a debug kernel cannot spare its only processor for so long");
	ASSERT_EQ(0, begin(self, "capture=netlink", false));
	/* The only processor is ours: nobody reads meanwhile. */
	ASSERT_EQ(0, kt_sh("sysctl -qw kernel.sched_rt_runtime_us=-1 && "
			   "ip link add sink up type dummy && ip route add 10.9.1.0/24 dev sink"));
	fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &rt));
	for (i = 0; i < 40000; i++) {
		struct sockaddr_in to = {
			.sin_family = AF_INET,
			.sin_port = htons(1 + i),
			.sin_addr.s_addr = htonl(0x0a090101),
		};

		ASSERT_EQ(1, sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	}
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_OTHER, &normal));
	close(fd);
	ASSERT_EQ(0, kt_sh("sysctl -qw kernel.sched_rt_runtime_us=950000"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);
	/* Some were heard: this was no silence. */
	EXPECT_LT(1000, kt_counter(self->g, FLYREP_C_CAPTURE_QUEUED));
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.dirty);
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_NE(NULL, kt_find(&self->k, &key));
	EXPECT_EQ(0, self->k.dirty);
}

/* ctnetlink goes and comes back: there is nothing to hear, and then all is dirty. */
TEST_F(listen, ctnetlink_reloaded)
{
	ASSERT_EQ(0, begin(self, "capture=netlink", false));
	ASSERT_EQ(0, kt_sh("rmmod nf_conntrack_netlink"));
	EXPECT_EQ(FLYREP_CAPTURE_NONE, mode(self->g));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_sh("modprobe nf_conntrack_netlink"));
	EXPECT_EQ(FLYREP_CAPTURE_NETLINK, mode(self->g));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4001, "10.9.0.2", 5001, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(1, self->k.n);
}

TEST_HARNESS_MAIN
