// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300
 *
 * Every tracepoint fires when it should, and says of what.
 */
#include "kt_harness.h"
#include "kt_set.h"

#include <sys/stat.h>

#define TRACING "/sys/kernel/tracing/"

FIXTURE(trace)
{
	struct kt_nets		nets;
	struct fr_genl		*g;
	struct kt_recs		k;
	unsigned int		netns;
};

FIXTURE_SETUP(trace)
{
	struct stat st;

	self->g = NULL;
	memset(&self->k, 0, sizeof(self->k));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, stat("/proc/self/ns/net", &st));
	self->netns = st.st_ino;
	/*
	 * Names of processes are learnt by a probe in __schedule(). An emulator of several
	 * processors may never see that this was patched, and run into the breakpoint for ever.
	 */
	ASSERT_EQ(0, kt_write(TRACING "options/record-cmd", "0"));
	/* The number of a namespace that is gone may be that of ours. */
	ASSERT_EQ(0, kt_sh(": >" TRACING "trace"));
	ASSERT_EQ(0, kt_write(TRACING "events/flyrep/enable", "1"));
}

FIXTURE_TEARDOWN(trace)
{
	kt_write(TRACING "events/flyrep/enable", "0");
	if (self->g)
		fr_genl_close(self->g);
	kt_recs_reset(&self->k);
	kt_nets_down(&self->nets);
}

/* How often an event was seen in our namespace, with a text among its fields */
static long count(const struct _test_data_trace *self, const char *event, const char *text)
{
	return kt_number("grep ' %s: netns=%u ' " TRACING "trace | grep -c -e '%s'", event,
			 self->netns, text);
}

/* Was it seen that often? If not, show what was. */
static bool seen(const struct _test_data_trace *self, long n, const char *event, const char *text)
{
	long found = count(self, event, text);

	if (found == n)
		return true;
	fprintf(stderr, "# %s: %ld, not %ld, with %s\n", event, found, n, text);
	kt_sh("grep 'netns=%u ' " TRACING "trace | tail -n 12 | sed 's/^/# /' >&2", self->netns);
	return false;
}

static struct flyrep_ct held(uint8_t op)
{
	return kt_rec(op, IPPROTO_UDP, "10.1.0.1", 6000, "10.2.0.1", 53);
}

TEST_F(trace, push_and_drain)
{
	ASSERT_EQ(0, kt_reader(&self->g));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "fd09::1", 4001, "fd09::2", 5001, false));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	/* Its answer found it queued already. */
	EXPECT_TRUE(seen(self, 1, "flyrep_push",
			 "zone=0 proto=17 src=::ffff:10.9.0.1 dst=::ffff:10.9.0.2 sport=4000 dport=5000 "));
	EXPECT_TRUE(seen(self, 1, "flyrep_push", "proto=17 src=fd09::1 dst=fd09::2 sport=4001 dport=5001 "));
	EXPECT_TRUE(seen(self, 0, "flyrep_overflow", ""));
	/* The first drain is that of kt_reader(). */
	EXPECT_TRUE(seen(self, 1, "flyrep_drained", "dirty=65536$"));
	EXPECT_TRUE(seen(self, 1, "flyrep_drained", "dirty=0$"));
	EXPECT_TRUE(seen(self, 1, "flyrep_drain", "records=0 left=0$"));
	EXPECT_TRUE(seen(self, 1, "flyrep_drain", "records=[2-9] left=0$"));
}

TEST_F(trace, overflow)
{
	struct fr_genl_config c = FR_GENL_CONFIG_KEEP;
	int cpus = kt_number("nproc --all"), i;

	ASSERT_EQ(0, fr_genl_open(&self->g));
	c.hash_key = kt_key;
	c.ring_entries = 16;
	ASSERT_EQ(0, fr_genl_config(self->g, &c));
	ASSERT_EQ(0, fr_genl_bind(self->g));
	for (i = 0; i < 16 * cpus + 5; i++)
		ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000 + i, "10.9.0.2", 5000, false));
	EXPECT_TRUE(seen(self, kt_counter(self->g, FLYREP_C_RING_OVERFLOW), "flyrep_overflow", ""));
	EXPECT_LT(0, count(self, "flyrep_overflow", "proto=17 src=::ffff:10.9.0.1 .* dport=5000 "));
	EXPECT_TRUE(seen(self, kt_counter(self->g, FLYREP_C_CAPTURE_QUEUED), "flyrep_push", ""));
}

TEST_F(trace, apply)
{
	struct flyrep_ct bad = held(FLYREP_OP_UPDATE);

	ASSERT_EQ(0, kt_reader(&self->g));
	bad.zone_dir = 0;
	ASSERT_EQ(0, kt_apply(self->g, held(FLYREP_OP_INSERT), 0));
	ASSERT_EQ(-EINVAL, kt_apply(self->g, bad, 0));
	ASSERT_EQ(0, kt_apply(self->g, held(FLYREP_OP_DELETE), 0));
	EXPECT_TRUE(seen(self, 1, "flyrep_apply",
			 "op=INSERT error=0 zone=0 proto=17 src=::ffff:10.1.0.1 dst=::ffff:10.2.0.1 "
			 "sport=6000 dport=53$"));
	EXPECT_TRUE(seen(self, 1, "flyrep_apply", "op=UPDATE error=-22 "));
	EXPECT_TRUE(seen(self, 1, "flyrep_apply", "op=DELETE error=0 "));
	EXPECT_TRUE(seen(self, 3, "flyrep_apply", ""));
}

TEST_F(trace, hold)
{
	static const char flow[] = "proto=17 src=::ffff:10.1.0.1 dst=::ffff:10.2.0.1 sport=6000 dport=53 ";
	uint32_t n;

	ASSERT_EQ(0, kt_reader(&self->g));
	ASSERT_EQ(0, kt_apply(self->g, held(FLYREP_OP_INSERT), 0));
	EXPECT_TRUE(seen(self, 1, "flyrep_hold", flow));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	EXPECT_TRUE(seen(self, 1, "flyrep_promote", flow));
	ASSERT_EQ(0, fr_genl_demote(self->g, &n));
	EXPECT_TRUE(seen(self, 2, "flyrep_hold", flow));
	ASSERT_EQ(0, kt_sh("conntrack -D -p udp --orig-src 10.1.0.1 2>/dev/null >&2"));
	EXPECT_TRUE(seen(self, 1, "flyrep_lost", flow));
	EXPECT_TRUE(seen(self, 0, "flyrep_takeover", ""));

	/* A flow of our own addresses, so that an answer can be had */
	ASSERT_EQ(0, kt_apply(self->g, kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.9.0.1", 4000, "10.9.0.2", 5000), 0));
	/* Known as assured, it has no event but a change of its mark. */
	ASSERT_EQ(0, kt_sh("nft 'add chain inet kt m { type filter hook output priority 1; }; "
			   "add rule inet kt m udp dport 5000 ct mark set 7'"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, false));
	EXPECT_TRUE(seen(self, 1, "flyrep_takeover",
			 "proto=17 src=::ffff:10.9.0.1 dst=::ffff:10.9.0.2 sport=4000 dport=5000 "));
}

TEST_F(trace, hint)
{
	struct flyrep_set set;
	char text[128];

	ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n"
			   "table inet " KT_SET_TABLE " {\n"
			   "  set s { type inet_service; flags dynamic; size 64; }\n"
			   "  chain o { type filter hook output priority 2\n"
			   "    udp dport 5000 add @s { udp dport }\n"
			   "  }\n"
			   "}\nX"));
	set = kt_set("s");
	ASSERT_EQ(0, kt_reader(&self->g));
	ASSERT_EQ(0, kt_watch(self->g, &set, 1));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, false));
	ASSERT_EQ(0, kt_sh("nft flush set inet " KT_SET_TABLE " s"));
	snprintf(text, sizeof(text), "table=%llu set=%llu what=ELEMENT by=packet",
		 (unsigned long long)set.table, (unsigned long long)set.set);
	EXPECT_TRUE(seen(self, 1, "flyrep_hint", text));
	EXPECT_TRUE(seen(self, 1, "flyrep_hint", "what=FLUSH by=transaction"));
	EXPECT_TRUE(seen(self, 2, "flyrep_hint", ""));
}

TEST_HARNESS_MAIN
