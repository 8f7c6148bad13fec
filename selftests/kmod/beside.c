// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300
 *
 * Beside a bound reader and under load: `conntrack -E`, conntrackd and `nft monitor` miss
 * nothing, nor does the reader. (That the first two see the same as without the module, line
 * by line, see events.sh.)
 */
#include "kt_flow.h"
#include "kt_harness.h"

/* Ends come one by one: in a burst `conntrack -E` alone misses some, without us too. */
#define N_FLOWS 200

FIXTURE(beside)
{
	struct kt_nets	nets;
	struct fr_genl	*g;
	struct kt_recs	k;
};

FIXTURE_SETUP(beside)
{
	memset(&self->k, 0, sizeof(self->k));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
}

FIXTURE_TEARDOWN(beside)
{
	kt_sh("kill $(cat /tmp/kt.*.pid) 2>/dev/null; rm -f /tmp/kt.*; true");
	fr_genl_close(self->g);
	kt_recs_reset(&self->k);
	kt_nets_down(&self->nets);
}

static int start_conntrackd(void)
{
	return kt_sh("cat >/tmp/kt.conf <<'X'\n"
		     "Sync {\n"
		     "  Mode NOTRACK { DisableExternalCache on }\n"
		     "  UDP { IPv4_address 10.9.0.1\n IPv4_Destination_Address 10.9.0.2\n"
		     "    Port 3780\n Interface va\n }\n"
		     "}\n"
		     "General {\n"
		     "  HashSize 4096\n HashLimit 65536\n LockFile /tmp/kt.lock\n"
		     "  UNIX { Path /tmp/kt.ctl }\n"
		     "  NetlinkBufferSize 8388608\n NetlinkBufferSizeMaxGrowth 16777216\n"
		     "}\nX\n"
		     "conntrackd -C /tmp/kt.conf >/tmp/kt.log 2>&1 & echo $! >/tmp/kt.d.pid");
}

static int start_listeners(void)
{
	return kt_sh("stdbuf -oL conntrack -E -b 8388608 >/tmp/kt.e 2>/dev/null & "
		     "echo $! >/tmp/kt.e.pid; "
		     "stdbuf -oL nft monitor >/tmp/kt.n 2>/dev/null & echo $! >/tmp/kt.n.pid") ?:
	       start_conntrackd();
}

/* The first thing that each has heard shows that it listens. */
static bool is_listening(void)
{
	return !system("conntrack -D -p udp -s 10.1.0.9 >/dev/null 2>&1; "
		       "conntrack -I -p udp -s 10.1.0.9 -d 10.2.0.9 --sport 1 --dport 1 -t 100 "
		       ">/dev/null 2>&1; nft add table inet first; nft delete table inet first; "
		       "grep -q 10.1.0.9 /tmp/kt.e && grep -q first /tmp/kt.n && "
		       "conntrackd -C /tmp/kt.conf -i 2>/dev/null | grep -q 10.1.0.9");
}

/* Datagrams to nowhere, each a flow; and a change of the ruleset now and then */
static int make_flows(void)
{
	int fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 4000), rc = fd < 0 ? fd : 0;
	unsigned int i;

	for (i = 0; i < N_FLOWS && !rc; i++) {
		struct sockaddr_in to = {
			.sin_family = AF_INET,
			.sin_port = htons(10000 + i),
			.sin_addr.s_addr = htonl(0x0a090101),
		};

		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1)
			rc = -errno;
		if (!rc && i % 20 == 0)
			rc = kt_sh("nft add table inet load%u", i);
	}
	close(fd);
	return rc;
}

/* Lines of what conntrack -E said of our flows */
static long heard(const char *event)
{
	return kt_number("grep -a '%s' /tmp/kt.e | grep -ac 'dst=10.9.1.1 sport=4000'", event);
}

static long cached(void)
{
	return kt_number("conntrackd -C /tmp/kt.conf -i 2>/dev/null | "
			 "grep -ac 'src=10.9.0.1 dst=10.9.1.1 sport=4000'");
}

/* What the reader was told of: by a record, or by a dirty bucket */
static unsigned int n_told(const struct kt_recs *k, uint8_t op)
{
	unsigned int n = 0, i;
	size_t j;

	for (i = 0; i < N_FLOWS; i++) {
		struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.1.1", 10000 + i);
		unsigned int bucket = kt_bucket(&key);
		bool is_told = k->has_buckets && k->buckets[bucket / 8] & (1 << bucket % 8);

		for (j = 0; j < k->n && !is_told; j++)
			is_told = k->r[j].rec.op == op &&
				  !memcmp(&k->r[j].orig, &key.orig, sizeof(key.orig));
		n += is_told;
	}
	return n;
}

TEST_F(beside, nobody_misses_anything)
{
	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=600"));
	ASSERT_EQ(0, kt_sh("ip link add sink up type dummy && ip route add 10.9.1.0/24 dev sink"));
	ASSERT_EQ(0, start_listeners());
	ASSERT_TRUE(kt_until(is_listening()));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	kt_recs_reset(&self->k);

	ASSERT_EQ(0, make_flows());
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(N_FLOWS, n_told(&self->k, FLYREP_OP_UPDATE));
	EXPECT_TRUE(kt_until(heard("NEW") == N_FLOWS)) TH_LOG("%ld", heard("NEW"));
	EXPECT_TRUE(kt_until(cached() == N_FLOWS)) TH_LOG("%ld", cached());
	EXPECT_TRUE(kt_until(kt_number("grep -c 'add table inet load' /tmp/kt.n") == N_FLOWS / 20));

	ASSERT_EQ(0, kt_sh("for p in $(seq 10000 %u); do "
			   "conntrack -D -p udp -d 10.9.1.1 --orig-port-dst $p >/dev/null 2>&1; done",
			   10000 + N_FLOWS - 1));
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(N_FLOWS, n_told(&self->k, FLYREP_OP_DELETE));
	EXPECT_TRUE(kt_until(heard("DESTROY") == N_FLOWS)) TH_LOG("%ld", heard("DESTROY"));
	EXPECT_TRUE(kt_until(cached() == 0)) TH_LOG("%ld", cached());
}

TEST_HARNESS_MAIN
