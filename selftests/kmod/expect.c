// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=600
 *
 * What helpers expect: announced by real sessions, captured, put into another namespace, and met
 * there by the flow that was expected.
 */
#include "kt_ftp.h"
#include "kt_harness.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PERMANENT 1
#define INACTIVE 2

/* What was told, in order; of flows only that they were, and when */
struct told {
	unsigned int		n;
	bool			is_dirty;
	uint64_t		flow_order;	/* of the first record of a flow; 0: none */
	uint64_t		order[512];
	struct flyrep_expect	e[512];
	uint64_t		last;
};

FIXTURE(expect)
{
	struct kt_nets	nets;
	struct fr_genl	*g;
	struct told	*told;
	struct kt_tcp	t;
	char		heard[64];
};

FIXTURE_SETUP(expect)
{
	memset(&self->t, 0xff, sizeof(self->t));
	self->told = calloc(1, sizeof(*self->told));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
}

/* At once: a FIN that nobody lets through would keep the namespace, and so its helpers. */
static void hang_up(struct kt_tcp *t)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(t->a, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	setsockopt(t->b, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	kt_tcp_close(t);
}

FIXTURE_TEARDOWN(expect)
{
	hang_up(&self->t);
	fr_genl_close(self->g);
	kt_nets_down(&self->nets);
	free(self->told);
}

static void on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	const struct flyrep_expect *e = recs;
	struct told *told = cookie;

	if (table == FLYREP_TABLE_CONNTRACK && !told->flow_order)
		told->flow_order = ++told->last;
	if (table != FLYREP_TABLE_EXPECTATION)
		return;
	for (; n; n--, told->n++) {
		if (told->n == N_OF(told->e) || e->rec.tail_len)
			abort();
		told->order[told->n] = ++told->last;
		told->e[told->n] = *e++;
	}
}

static void on_dirty(void *cookie, uint8_t table, uint32_t n, const uint8_t *buckets)
{
	if (table != FLYREP_TABLE_EXPECTATION)
		return;
	if (n != FLYREP_BUCKETS || buckets)
		abort();
	((struct told *)cookie)->is_dirty = true;
}

static const struct fr_genl_sink told_sink = { .records = on_records, .dirty = on_dirty };

static int pump(struct fr_genl *g, struct told *told)
{
	int rc;

	do {
		struct pollfd p = { .fd = fr_genl_fd(g), .events = POLLIN };

		rc = fr_genl_pump(g, &told_sink, told);
		if (rc == -EAGAIN && poll(&p, 1, KT_WAIT_MS) <= 0)
			return -ETIMEDOUT;
	} while (rc == 1 || rc == -EAGAIN);
	return rc;
}

static void forget(struct told *told)
{
	memset(told, 0, sizeof(*told));
}

/* Add what is new to @told. */
static int drain(struct fr_genl *g, struct told *told)
{
	return fr_genl_drain_start(g) ?: pump(g, told);
}

static int snapshot(struct fr_genl *g, struct told *told, uint8_t origin, const uint8_t *buckets)
{
	struct fr_genl_snapshot req = {
		.table = FLYREP_TABLE_EXPECTATION, .origin = origin, .buckets = buckets,
	};

	forget(told);
	return fr_genl_snapshot_start(g, &req) ?: pump(g, told);
}

/* How many expectations of this origin there are */
static int count(struct fr_genl *g, struct told *told, uint8_t origin)
{
	return snapshot(g, told, origin, NULL) ?: (int)told->n;
}

static void on_error(void *cookie, const void *rec, int error)
{
	(void)rec;
	*(int *)cookie = error;
}

static int apply(struct fr_genl *g, struct flyrep_expect e, uint8_t op, uint32_t flags)
{
	int err = 0;
	ssize_t n;

	memset(&e.rec, 0, sizeof(e.rec));
	e.rec.op = op;
	n = fr_genl_apply(g, FLYREP_TABLE_EXPECTATION, flags, &e, 1, on_error, &err);
	return n < 0 ? (int)n : err;
}

/* With a tail, which no expectation has */
static int apply_tail(struct fr_genl *g, struct flyrep_expect e)
{
	struct {
		struct flyrep_expect	e;
		uint64_t		tail;
	} rec = { .e = e };
	int err = 0;
	ssize_t n;

	rec.e.rec.op = FLYREP_OP_INSERT;
	rec.e.rec.tail_len = sizeof(rec.tail);
	n = fr_genl_apply(g, FLYREP_TABLE_EXPECTATION, 0, &rec, 1, on_error, &err);
	return n < 0 ? (int)n : err;
}

/* The last thing told of the expected destination port: enum flyrep_op, 0 for nothing */
static uint8_t last_op(const struct told *told, uint16_t dport)
{
	unsigned int i;

	for (i = told->n; i; i--)
		if (told->e[i - 1].tuple.dport == htons(dport))
			return told->e[i - 1].rec.op;
	return 0;
}

/* Drain until that is the last thing told of it. */
static bool comes(struct _test_data_expect *self, uint16_t dport, uint8_t op)
{
	return kt_until(drain(self->g, self->told) || last_op(self->told, dport) == op) &&
	       last_op(self->told, dport) == op;
}

/* A session from port 6000, logged in. What it sends between two owners makes no flow. */
static int session(struct _test_data_expect *self, bool has_nat)
{
	return kt_sh("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0") ?:
	       kt_ftp_rules(has_nat) ?:
	       kt_tcp_open(&self->nets, &self->t, "10.9.0.1", 6000, "10.9.0.2", 21) ?:
	       kt_ftp_login(&self->t);
}

static int announce(struct _test_data_expect *self, uint16_t port)
{
	return kt_ftp_port(&self->t, port, self->heard, sizeof(self->heard));
}

/* The session's flow and what it expects, as the module in a tells them */
struct copy {
	struct flyrep_ct	flow;
	struct flyrep_ct_ext	ext;
	struct flyrep_expect	e;
};

static bool take(struct _test_data_expect *self, struct copy *c)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 21);

	if (count(self->g, self->told, FLYREP_ORIGIN_ANY) != 1 ||
	    !kt_get_tail(self->g, &key, &c->flow, &c->ext))
		return false;
	c->flow = kt_rec_from(&c->flow, FLYREP_OP_INSERT);
	c->e = self->told->e[0];
	return true;
}

static int give(struct fr_genl *g, const struct copy *c)
{
	return kt_apply_tail(g, c->flow, &c->ext, sizeof(c->ext)) ?:
	       apply(g, c->e, FLYREP_OP_INSERT, 0);
}

static bool same(const struct flyrep_expect *a, const struct flyrep_expect *b)
{
	struct flyrep_expect x = *a, y = *b;

	memset(&x.rec, 0, sizeof(x.rec));
	memset(&y.rec, 0, sizeof(y.rec));
	x.timeout_s = y.timeout_s = 0;
	return !memcmp(&x, &y, sizeof(x));
}

/* Put it in the place of the only one there, which differs in what cannot change in place. */
static bool replaces(struct fr_genl *g, struct told *told, const struct flyrep_expect *e)
{
	uint64_t n = kt_counter(g, FLYREP_C_INJECT_REPLACED);

	return !apply(g, *e, FLYREP_OP_UPDATE, 0) &&
	       kt_counter(g, FLYREP_C_INJECT_REPLACED) == n + 1 &&
	       count(g, told, FLYREP_ORIGIN_REMOTE) == 1 && same(e, &told->e[0]);
}

/* --- capture ---------------------------------------------------------------------- */

TEST_F(expect, ftp)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 21);
	const struct flyrep_expect *e = self->told->e;
	struct kt_tcp data;

	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_UPDATE));
	ASSERT_EQ(1, self->told->n);
	EXPECT_LT(0, self->told->flow_order);
	EXPECT_LT(self->told->flow_order, self->told->order[0]);
	EXPECT_EQ(AF_INET, e->family);
	EXPECT_EQ(IPPROTO_TCP, e->proto);
	EXPECT_EQ(IPPROTO_TCP, e->master_proto);
	EXPECT_EQ(3, e->zone_dir);
	EXPECT_EQ(0, memcmp(&e->master, &key.orig, sizeof(e->master)));
	EXPECT_EQ(htonl(0x0a090002), e->tuple.src.word[0]);
	EXPECT_EQ(htonl(0x0a090001), e->tuple.dst.word[0]);
	EXPECT_EQ(0, e->tuple.sport);
	EXPECT_EQ(0, e->mask_sport);
	EXPECT_EQ(UINT32_MAX, e->mask_src.word[0]);
	EXPECT_EQ(0, e->flags);
	EXPECT_LT(250, e->timeout_s);
	EXPECT_GE(300, e->timeout_s);
	EXPECT_STREQ("", e->helper);
	EXPECT_STREQ("", e->expectfn);
	EXPECT_EQ(0, e->rec.flags);

	/* It comes, and is expected no more. */
	ASSERT_EQ(0, kt_ftp_data(&self->nets, self->heard, 7000, &data));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_DELETE));
	EXPECT_LT(e->rec.stamp, self->told->e[self->told->n - 1].rec.stamp);
	EXPECT_EQ(0, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	hang_up(&data);

	/* The next one takes the place of the one before; then the session ends. */
	ASSERT_EQ(0, announce(self, 7001));
	ASSERT_EQ(0, announce(self, 7002));
	ASSERT_TRUE(comes(self, 7002, FLYREP_OP_UPDATE));
	EXPECT_EQ(FLYREP_OP_DELETE, last_op(self->told, 7001));
	ASSERT_EQ(0, kt_sh("conntrack -D -p tcp --orig-port-dst 21 2>/dev/null"));
	ASSERT_TRUE(comes(self, 7002, FLYREP_OP_DELETE));
}

TEST_F(expect, ftp_with_nat)
{
	const struct flyrep_expect *e = self->told->e;

	ASSERT_EQ(0, session(self, true));
	ASSERT_EQ(0, announce(self, 7000));
	EXPECT_NE(NULL, strstr(self->heard, "10,9,0,111"));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_UPDATE));
	EXPECT_EQ(htonl(0x0a09006f), e->tuple.dst.word[0]);
	EXPECT_STREQ("nat-follow-master", e->expectfn);
	EXPECT_EQ(htons(7000), e->nat_port);
	EXPECT_EQ(1, e->nat_dir);
}

/* It is announced by the first packet of its master, which is then no flow of the table yet. */
TEST_F(expect, tftp)
{
	static const char request[] = "\0\1file\0octet";
	int a = kt_socket(SOCK_DGRAM, "10.9.0.1", 4000);
	int b = kt_socket_b(&self->nets, SOCK_DGRAM, "10.9.0.2", 69);

	ASSERT_EQ(0, kt_sh("nft 'add ct helper inet kt tftp { type \"tftp\" protocol udp; };"
			   "add chain inet kt early { type filter hook output priority -10; };"
			   "add rule inet kt early udp dport 69 ct helper set \"tftp\"'"));
	ASSERT_EQ(0, kt_connect(a, "10.9.0.2", 69));
	ASSERT_EQ(sizeof(request), send(a, request, sizeof(request), 0));
	EXPECT_EQ(sizeof(request), kt_recv(b));
	ASSERT_TRUE(comes(self, 4000, FLYREP_OP_UPDATE));
	EXPECT_LT(0, self->told->flow_order);
	EXPECT_LT(self->told->flow_order, self->told->order[self->told->n - 1]);
	EXPECT_EQ(IPPROTO_UDP, self->told->e[self->told->n - 1].proto);
	close(a);
	close(b);
}

/* A REGISTER, or the answer to it */
static int sip(int fd, const char *first)
{
	char text[512];

	snprintf(text, sizeof(text), "%s\r\nVia: SIP/2.0/UDP 10.9.0.1:5060;branch=z9hG4bK1\r\n"
		 "From: <sip:me@10.9.0.2>;tag=1\r\nTo: <sip:me@10.9.0.2>\r\n"
		 "Call-ID: 1@10.9.0.1\r\nCSeq: 1 REGISTER\r\n"
		 "Contact: <sip:me@10.9.0.1:5062>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
		 first);
	return kt_send(fd, text);
}

/* It lasts, gives its helper on, and sleeps until the answer; that it wakes raises no event. */
TEST_F(expect, sip)
{
	int a = kt_socket(SOCK_DGRAM, "10.9.0.1", 5060);
	int b = kt_socket_b(&self->nets, SOCK_DGRAM, "10.9.0.2", 5060);
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, "10.9.0.1", 5060, "10.9.0.2", 5060), flow;
	struct flyrep_expect *e = self->told->e, first;
	struct flyrep_ct_ext ext;
	struct fr_genl *g;

	ASSERT_EQ(0, kt_sh("nft 'add ct helper inet kt sip { type \"sip\" protocol udp; };"
			   "add chain inet kt early { type filter hook output priority -10; };"
			   "add rule inet kt early udp dport 5060 ct helper set \"sip\"'"));
	ASSERT_EQ(0, kt_connect(a, "10.9.0.2", 5060));
	ASSERT_EQ(0, kt_connect(b, "10.9.0.1", 5060));
	ASSERT_EQ(0, sip(a, "REGISTER sip:10.9.0.2 SIP/2.0"));
	EXPECT_LT(0, kt_recv(b));
	ASSERT_TRUE(comes(self, 5062, FLYREP_OP_UPDATE));
	EXPECT_EQ(PERMANENT | INACTIVE, e->flags);
	EXPECT_EQ(FLYREP_REC_F_MUTE, e->rec.flags);
	EXPECT_STREQ("sip", e->helper);
	EXPECT_LT(150, e->timeout_s);
	EXPECT_GE(180, e->timeout_s);
	first = *e;

	ASSERT_EQ(0, sip(b, "SIP/2.0 200 OK"));
	EXPECT_LT(0, kt_recv(a));
	ASSERT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	EXPECT_EQ(PERMANENT, e->flags);
	EXPECT_EQ(0, e->rec.flags);
	EXPECT_LT(3500, e->timeout_s);
	/* The answer is an event of the master, which is looked at anew with what it expects. */
	forget(self->told);
	ASSERT_TRUE(comes(self, 5062, FLYREP_OP_UPDATE));
	EXPECT_EQ(PERMANENT, self->told->e[self->told->n - 1].flags);

	/* Asleep, then awake, on another node */
	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	ASSERT_TRUE(kt_get_tail(self->g, &key, &flow, &ext));
	ASSERT_EQ(0, kt_apply_tail(g, kt_rec_from(&flow, FLYREP_OP_INSERT), &ext, sizeof(ext)));
	ASSERT_EQ(0, apply(g, first, FLYREP_OP_INSERT, 0));
	ASSERT_EQ(1, count(g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_TRUE(same(&first, e));
	first.flags = PERMANENT;
	ASSERT_EQ(0, apply(g, first, FLYREP_OP_UPDATE, 0));
	EXPECT_EQ(1, kt_counter(g, FLYREP_C_INJECT_UPDATED));
	ASSERT_EQ(1, count(g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_TRUE(same(&first, e));
	/* Of another class; then by a protocol that is not its master's */
	first.class = 1;
	EXPECT_TRUE(replaces(g, self->told, &first));
	ASSERT_EQ(0, apply(g, first, FLYREP_OP_DELETE, 0));
	first.proto = IPPROTO_TCP;
	ASSERT_EQ(0, apply(g, first, FLYREP_OP_INSERT, 0));
	ASSERT_EQ(1, count(g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_TRUE(same(&first, e));
	fr_genl_close(g);
	close(a);
	close(b);
}

/* An expectation goes with its master into the filter, and out of it. */
TEST_F(expect, filter)
{
	const struct fr_genl_filter marked = { .mark = 1, .mark_mask = 1 };

	ASSERT_EQ(0, kt_filter(self->g, &marked));
	ASSERT_EQ(0, drain(self->g, self->told));
	forget(self->told);
	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
	EXPECT_EQ(0, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	ASSERT_EQ(0, kt_sh("nft add rule inet kt out tcp dport 21 ct mark set 1"));
	ASSERT_EQ(0, kt_chat(&self->t));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_UPDATE));
	EXPECT_LT(self->told->flow_order, self->told->order[0]);
	EXPECT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	forget(self->told);
	ASSERT_EQ(0, kt_sh("nft add rule inet kt out tcp dport 21 ct mark set 2"));
	ASSERT_EQ(0, kt_chat(&self->t));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_DELETE));
}

TEST_F(expect, overflow)
{
	int i;

	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, drain(self->g, self->told));
	forget(self->told);
	for (i = 0; i < 150; i++)
		ASSERT_EQ(0, announce(self, 7000 + i));
	EXPECT_LT(0, kt_counter(self->g, FLYREP_C_RING_OVERFLOW));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_TRUE(self->told->is_dirty);
	EXPECT_EQ(256, self->told->n);
	ASSERT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_LOCAL));
	EXPECT_EQ(htons(7149), self->told->e[0].tuple.dport);
	/* Clean again */
	forget(self->told);
	ASSERT_EQ(0, announce(self, 7150));
	ASSERT_TRUE(comes(self, 7150, FLYREP_OP_UPDATE));
	EXPECT_FALSE(self->told->is_dirty);
	/* What waited for one reader is not told to the next, who has to look at all of it. */
	ASSERT_EQ(0, announce(self, 7151));
	fr_genl_close(self->g);
	ASSERT_EQ(0, fr_genl_open(&self->g) ?: kt_config(self->g, -1, -1, -1));
	ASSERT_EQ(0, fr_genl_bind(self->g));
	forget(self->told);
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_TRUE(self->told->is_dirty);
	EXPECT_EQ(0, self->told->n);
}

/* A reader that waits is called. */
TEST_F(expect, wakes)
{
	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_UPDATE));
	ASSERT_TRUE(kt_until(!kt_wait_wake(self->g, 0) && !drain(self->g, self->told)));
	/* Without a packet, so that no flow rings */
	ASSERT_EQ(0, kt_sh("conntrack -F expect 2>/dev/null"));
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_DELETE));
}

TEST_F(expect, snapshot)
{
	uint8_t key[FLYREP_EXPECT_KEY_MAX_LEN] __attribute__((aligned(8)));
	uint8_t buckets[FLYREP_BUCKETS_LEN] = {};
	struct fr_siphash_key k;
	struct copy c;
	unsigned int b;

	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	EXPECT_EQ(FLYREP_OP_UPDATE, c.e.rec.op);
	EXPECT_NE(0, c.e.rec.id);
	EXPECT_EQ(0, count(self->g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_LOCAL));
	/* By user space's own hash */
	memcpy(k.b, kt_key, sizeof(k.b));
	b = fr_siphash(key, flyrep_expect_key(key, &c.e), &k) >> (64 - FLYREP_BUCKET_BITS);
	buckets[b / 8] = 1 << b % 8;
	ASSERT_EQ(0, snapshot(self->g, self->told, FLYREP_ORIGIN_ANY, buckets));
	EXPECT_EQ(1, self->told->n);
	buckets[b / 8] = ~buckets[b / 8];
	ASSERT_EQ(0, snapshot(self->g, self->told, FLYREP_ORIGIN_ANY, buckets));
	EXPECT_EQ(0, self->told->n);
}

/* --- inject ----------------------------------------------------------------------- */

TEST_F(expect, travels)
{
	struct fr_genl *g;
	struct copy c;

	ASSERT_EQ(0, session(self, true));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	g = kt_open_b(&self->nets);
	ASSERT_NE(NULL, g);
	ASSERT_EQ(0, kt_config(g, -1, -1, -1));
	ASSERT_EQ(0, fr_genl_bind(g));
	ASSERT_EQ(0, drain(g, self->told));
	EXPECT_TRUE(self->told->is_dirty);
	ASSERT_EQ(0, give(g, &c));
	EXPECT_EQ(0, count(g, self->told, FLYREP_ORIGIN_LOCAL));
	ASSERT_EQ(1, count(g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, self->told->e[0].rec.flags);
	EXPECT_TRUE(same(&c.e, &self->told->e[0]));
	EXPECT_LE(c.e.timeout_s, self->told->e[0].timeout_s);
	EXPECT_GE(c.e.timeout_s + 10, self->told->e[0].timeout_s);
	EXPECT_EQ(1, kt_number("ip netns exec %s conntrack -L expect 2>/dev/null | "
			       "grep -c 'dst=10.9.0.111.*dport=7000.*helper=ftp'", self->nets.b));
	/* Again, with another time, the longest there is, and another value */
	c.e.timeout_s = UINT32_MAX;
	ASSERT_EQ(0, apply(g, c.e, FLYREP_OP_UPDATE, 0));
	EXPECT_EQ(1, kt_counter(g, FLYREP_C_INJECT_UPDATED));
	ASSERT_EQ(1, count(g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_LT(FLYREP_HOLD_MAX_S - 60, self->told->e[0].timeout_s);
	EXPECT_GE(FLYREP_HOLD_MAX_S + 10, self->told->e[0].timeout_s);
	c.e.timeout_s = 1000;
	c.e.nat_port = htons(7007);
	EXPECT_TRUE(replaces(g, self->told, &c.e));
	EXPECT_LT(900, self->told->e[0].timeout_s);
	EXPECT_GE(1010, self->told->e[0].timeout_s);
	c.e.nat_addr.word[0] = htonl(0x0a090001);
	EXPECT_TRUE(replaces(g, self->told, &c.e));
	c.e.nat_dir = 0;
	EXPECT_TRUE(replaces(g, self->told, &c.e));
	memset(c.e.expectfn, 0, sizeof(c.e.expectfn));
	EXPECT_TRUE(replaces(g, self->told, &c.e));
	strcpy(c.e.helper, "ftp");
	EXPECT_TRUE(replaces(g, self->told, &c.e));
	/* Flags that are none of a record's are left alone. */
	ASSERT_EQ(0, apply(g, c.e, FLYREP_OP_DELETE, 0));
	c.e.flags = ~FLYREP_EXPECT_FLAGS_MASK;
	ASSERT_EQ(0, apply(g, c.e, FLYREP_OP_INSERT, 0));
	ASSERT_EQ(1, count(g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_EQ(0, self->told->e[0].flags);
	ASSERT_EQ(0, apply(g, c.e, FLYREP_OP_DELETE, 0));
	EXPECT_EQ(-ENOENT, apply(g, c.e, FLYREP_OP_DELETE, 0));
	EXPECT_EQ(0, count(g, self->told, FLYREP_ORIGIN_ANY));
	/* All that was our own doing. */
	forget(self->told);
	ASSERT_EQ(0, drain(g, self->told));
	EXPECT_EQ(0, self->told->n);
	EXPECT_FALSE(self->told->is_dirty);
	EXPECT_LE(4, kt_counter(g, FLYREP_C_CAPTURE_ECHO));
	fr_genl_close(g);
}

/* The session changes hands between the announcement and the flow that was announced. */
static void changes_hands(struct __test_metadata *_metadata, struct _test_data_expect *self,
			  bool has_nat)
{
	struct flyrep_ct key = kt_rec(FLYREP_OP_DELETE, IPPROTO_TCP, "10.9.0.1", 6000, "10.9.0.2", 21);
	struct kt_tcp data;
	struct copy c;
	uint32_t n;

	ASSERT_EQ(0, session(self, has_nat));
	/* What is not expected is not let in. */
	ASSERT_EQ(0, kt_sh("nft add rule inet kt in ct state new tcp sport 20 drop"));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	ASSERT_EQ(0, kt_apply(self->g, key, FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(0, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	ASSERT_EQ(0, give(self->g, &c));
	ASSERT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_REMOTE));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	ASSERT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_LOCAL));
	ASSERT_EQ(0, kt_ftp_data(&self->nets, self->heard, 7000, &data));
	ASSERT_EQ(0, kt_chat(&data));
	EXPECT_EQ(0, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	hang_up(&data);
}

TEST_F(expect, ftp_after_a_failover)
{
	changes_hands(_metadata, self, false);
}

TEST_F(expect, ftp_with_nat_after_a_failover)
{
	changes_hands(_metadata, self, true);
}

TEST_F(expect, standby)
{
	struct flyrep_ct_ext labels;
	struct copy c;
	uint64_t lost;

	ASSERT_EQ(0, kt_config(self->g, -1, -1, true));
	ASSERT_EQ(0, drain(self->g, self->told));
	forget(self->told);
	/* What is local is not told. */
	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	ASSERT_EQ(0, kt_sh("conntrack -F expect 2>/dev/null"));
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	forget(self->told);
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);

	/* Nor is what the owner does. */
	ASSERT_EQ(0, give(self->g, &c));
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_DELETE, 0));
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	c.flow.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, kt_apply(self->g, c.flow, 0));
	c.flow.rec.op = FLYREP_OP_INSERT;
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);

	/* A loss is. */
	lost = kt_counter(self->g, FLYREP_C_HELD_LOST);
	ASSERT_EQ(0, give(self->g, &c));
	ASSERT_EQ(0, kt_sh("conntrack -F expect 2>/dev/null"));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_DELETE));
	EXPECT_EQ(1, self->told->n);
	EXPECT_EQ(FLYREP_REC_F_REMOTE, self->told->e[0].rec.flags);
	EXPECT_EQ(lost + 1, kt_counter(self->g, FLYREP_C_HELD_LOST));

	/* So is what goes when its master is made anew. */
	forget(self->told);
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	labels = c.ext;
	labels.has |= FLYREP_CT_EXT_LABELS;
	labels.labels[3] = 1;
	c.flow.rec.op = FLYREP_OP_UPDATE;
	ASSERT_EQ(0, kt_apply_tail(self->g, c.flow, &labels, sizeof(labels)));
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_DELETE));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, self->told->e[0].rec.flags);
	/* But not if the owner was quicker. */
	forget(self->told);
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	ASSERT_EQ(0, kt_sh("conntrack -F expect 2>/dev/null"));
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
}

/* A held one ends at its time, without anybody. */
TEST_F(expect, expires)
{
	struct copy c;

	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	c.e.timeout_s = 0;
	ASSERT_EQ(0, give(self->g, &c));
	EXPECT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_TRUE(kt_until(!count(self->g, self->told, FLYREP_ORIGIN_REMOTE)));
	/* Its place is free. */
	c.e.timeout_s = 60;
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	EXPECT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_REMOTE));
}

/* Whose it is decides: held ones give way, local ones only to force. */
TEST_F(expect, clashes)
{
	struct flyrep_ct other;
	struct copy c;

	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	/* Its master is local. */
	EXPECT_EQ(-EBUSY, apply(self->g, c.e, FLYREP_OP_UPDATE, 0));
	EXPECT_EQ(-EBUSY, apply(self->g, c.e, FLYREP_OP_DELETE, 0));
	/* Of another master, the same */
	other = c.flow;
	other.orig.sport = htons(6001);
	other.reply.dport = htons(6001);
	ASSERT_EQ(0, kt_apply_tail(self->g, other, &c.ext, sizeof(c.ext)));
	c.e.master.sport = htons(6001);
	EXPECT_EQ(-EADDRINUSE, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_INJECT_NAT_CLASH));
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, FLYREP_APPLY_F_FORCE));
	ASSERT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	EXPECT_TRUE(same(&c.e, &self->told->e[0]));
	/* And of a third */
	other.orig.sport = htons(6002);
	other.reply.dport = htons(6002);
	ASSERT_EQ(0, kt_apply_tail(self->g, other, &c.ext, sizeof(c.ext)));
	c.e.master.sport = htons(6002);
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	ASSERT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	EXPECT_TRUE(same(&c.e, &self->told->e[0]));
	/* One that any source fits is in the way of all. */
	c.e.master.sport = htons(6001);
	memset(&c.e.mask_src, 0, sizeof(c.e.mask_src));
	memset(&c.e.tuple.src, 0, sizeof(c.e.tuple.src));
	EXPECT_EQ(-EADDRINUSE, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
}

/* There is one limit, which belongs to the first namespace. */
static int set_max(long max)
{
	return kt_sh("nsenter -t 1 -n sysctl -qw net.netfilter.nf_conntrack_expect_max=%ld", max);
}

TEST_F(expect, full)
{
	long max = kt_number("sysctl -n net.netfilter.nf_conntrack_expect_max");
	struct copy c;

	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	/* Another session of another client, which expects another port */
	c.flow.orig.sport = c.flow.reply.dport = c.e.master.sport = htons(6001);
	c.e.tuple.dport = htons(7001);
	ASSERT_EQ(0, kt_apply_tail(self->g, c.flow, &c.ext, sizeof(c.ext)));
	ASSERT_EQ(0, set_max(1) ?: kt_sh("dmesg -C"));
	EXPECT_EQ(-ENFILE, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	/* The kernel is not asked again at once, as it would say so each time. */
	EXPECT_EQ(-ENFILE, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	EXPECT_EQ(1, kt_number("dmesg | grep -c 'expectation table full'"));
	EXPECT_EQ(2, kt_counter(self->g, FLYREP_C_INJECT_FULL));
	ASSERT_EQ(0, set_max(max));
	EXPECT_TRUE(kt_until(!apply(self->g, c.e, FLYREP_OP_INSERT, 0)));
	EXPECT_EQ(2, count(self->g, self->told, FLYREP_ORIGIN_ANY));
}

TEST_F(expect, bad_records)
{
	struct flyrep_ct plain = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 1, "10.2.0.1", 2);
	struct flyrep_expect e;
	struct copy c;

	ASSERT_EQ(0, session(self, true));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	ASSERT_EQ(0, kt_apply_tail(self->g, c.flow, &c.ext, sizeof(c.ext)));
	memset(&c.e.rec, 0, sizeof(c.e.rec));
#define REFUSED(err, change) do {							\
		e = c.e;								\
		change;									\
		EXPECT_EQ(err, apply(self->g, e, FLYREP_OP_INSERT, 0))			\
			TH_LOG("%s", #change);						\
	} while (0)
	REFUSED(-EINVAL, e.family = 0);
	REFUSED(-EINVAL, e.family = AF_UNIX);
	REFUSED(-EPROTONOSUPPORT, e.proto = 0);
	REFUSED(-EPROTONOSUPPORT, e.master_proto = 0);
	REFUSED(-EINVAL, e.proto = IPPROTO_ICMPV6);
	REFUSED(-EINVAL, e.zone_dir = 0);
	REFUSED(-EINVAL, e.zone_dir = 4);
	REFUSED(-EINVAL, e.master.src.word[3] = 1);
	REFUSED(-EINVAL, e.tuple.dst.word[1] = 1);
	REFUSED(-EINVAL, e.mask_src.word[2] = 1);
	REFUSED(-EINVAL, e.nat_addr.word[1] = 1);
	REFUSED(-EINVAL, e.class = FLYREP_EXPECT_CLASSES);
	REFUSED(-EINVAL, e.nat_dir = 2);
	REFUSED(-EINVAL, e.reserved[3] = 1);
	REFUSED(-EINVAL, memset(e.helper, 'x', sizeof(e.helper)));
	REFUSED(-EINVAL, memset(e.expectfn, 'x', sizeof(e.expectfn)));
	REFUSED(-EINVAL, e.helper[5] = 'x');
	/* What this node has not */
	REFUSED(-EOPNOTSUPP, e.class = 3);
	REFUSED(-EOPNOTSUPP, strcpy(e.helper, "nobody-has-it"));
	REFUSED(-EOPNOTSUPP, e.expectfn[0]++);
	REFUSED(-ESRCH, e.master.sport = 1);
	REFUSED(-ESRCH, e.zone = 7);
	/* A master found by its answers is another flow. */
	REFUSED(-ESRCH, (e.master.src = c.flow.reply.src, e.master.dst = c.flow.reply.dst,
			 e.master.sport = c.flow.reply.sport, e.master.dport = c.flow.reply.dport));
	ASSERT_EQ(0, kt_apply(self->g, plain, 0));
	REFUSED(-EOPNOTSUPP, e.master = plain.orig);
	EXPECT_EQ(-EINVAL, apply(self->g, c.e, FLYREP_OP_UNSPEC, 0));
	EXPECT_EQ(-EINVAL, apply(self->g, c.e, FLYREP_OP_DELETE + 1, 0));
	EXPECT_EQ(-EINVAL, apply_tail(self->g, c.e));
	EXPECT_EQ(0, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	/* Of a DELETE the key is all. */
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	c.e.class = FLYREP_EXPECT_CLASSES;
	EXPECT_EQ(0, apply(self->g, c.e, FLYREP_OP_DELETE, 0));
}

/* --- ends ------------------------------------------------------------------------- */

/* The helper goes with all that it expects; so does the namespace, and the module from under it. */
TEST_F(expect, all_may_go)
{
	struct kt_nets other;
	struct copy c;

	ASSERT_EQ(0, session(self, false));
	ASSERT_EQ(0, announce(self, 7000));
	ASSERT_TRUE(take(self, &c));
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	ASSERT_EQ(0, give(self->g, &c));
	forget(self->told);
	ASSERT_EQ(0, kt_sh("nft 'flush chain inet kt early; delete ct helper inet kt ftp'"));
	ASSERT_TRUE(kt_until(!kt_sh("rmmod nf_nat_ftp 2>/dev/null; rmmod nf_conntrack_ftp")));
	ASSERT_TRUE(comes(self, 7000, FLYREP_OP_DELETE));
	EXPECT_EQ(-EOPNOTSUPP, apply(self->g, c.e, FLYREP_OP_INSERT, 0));

	/* A namespace with held ones, and events that nobody has drained */
	ASSERT_EQ(0, kt_nets_up(&other));
	fr_genl_close(self->g);
	ASSERT_EQ(0, kt_reader(&self->g));
	ASSERT_EQ(0, give(self->g, &c));
	ASSERT_EQ(0, kt_sh("conntrack -F expect 2>/dev/null"));
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	fr_genl_close(self->g);
	kt_nets_down(&other);
	ASSERT_EQ(0, kt_enter(self->nets.a));

	/* The module, likewise */
	ASSERT_EQ(0, kt_reader(&self->g));
	ASSERT_EQ(0, give(self->g, &c));
	ASSERT_EQ(0, kt_sh("conntrack -F expect 2>/dev/null"));
	ASSERT_EQ(0, apply(self->g, c.e, FLYREP_OP_INSERT, 0));
	ASSERT_EQ(0, kt_sh("rmmod flyrep"));
	EXPECT_EQ(1, kt_number("conntrack -L expect 2>/dev/null | grep -c dport=7000"));
	fr_genl_close(self->g);
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_reader(&self->g));
	EXPECT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_LOCAL));
}

TEST_HARNESS_MAIN
