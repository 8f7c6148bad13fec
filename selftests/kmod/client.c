// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300
 *
 * The client library against the module: what it splits, keeps, refuses and notices.
 */
#include "kt_flow.h"
#include "kt_harness.h"

#include "conntrack.h"

FIXTURE(client)
{
	struct kt_nets	nets;
	struct fr_genl	*g;
	struct kt_recs	k;
};

FIXTURE_SETUP(client)
{
	memset(&self->k, 0, sizeof(self->k));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
}

FIXTURE_TEARDOWN(client)
{
	fr_genl_close(self->g);
	kt_recs_reset(&self->k);
	kt_nets_down(&self->nets);
}

/* Errors of an APPLY by the position of the record */
struct errors {
	const struct flyrep_ct	*recs;
	int			*by_index;
	size_t			n;
};

static void on_error(void *cookie, const void *rec, int error)
{
	struct errors *e = cookie;

	e->by_index[(const struct flyrep_ct *)rec - e->recs] = error;
	e->n++;
}

/* Three and a bit of what fits a request, with flaws at the seams. */
TEST_F(client, apply_is_split)
{
	enum { N = 1500, ROOM = FLYREP_RECORDS_MAX_LEN / sizeof(struct flyrep_ct) };
	static const size_t flaws[] = { 0, ROOM - 1, ROOM, 2 * ROOM - 1, 3 * ROOM, N - 1 };
	struct flyrep_ct *recs = calloc(N, sizeof(*recs));
	struct errors e = { .recs = recs, .by_index = calloc(N, sizeof(int)) };
	size_t i, n_flaws = sizeof(flaws) / sizeof(*flaws);

	ASSERT_TRUE(recs && e.by_index);
	ASSERT_GT(N, 3 * ROOM);
	for (i = 0; i < N; i++)
		recs[i] = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1000 + i,
				 "10.2.0.1", 53);
	for (i = 0; i < n_flaws; i++)
		recs[flaws[i]].zone_dir = 0;

	EXPECT_EQ(N - n_flaws, fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0, recs, N,
					     on_error, &e));
	EXPECT_EQ(n_flaws, e.n);
	for (i = 0; i < n_flaws; i++)
		EXPECT_EQ(-EINVAL, e.by_index[flaws[i]]);
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, NULL));
	EXPECT_EQ(N - n_flaws, self->k.n);
	EXPECT_EQ(1, self->k.n_end);

	/* A request that fails as a whole: every record of it and behind it hears of it. */
	e.n = 0;
	memset(e.by_index, 0, N * sizeof(int));
	EXPECT_EQ(-EINVAL, fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0x80, recs, N,
					 on_error, &e));
	EXPECT_EQ(N, e.n);
	EXPECT_EQ(-EINVAL, e.by_index[N - 1]);
	EXPECT_STRNE("", fr_genl_error(self->g));
	EXPECT_EQ(0, fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0, recs, 0, on_error, &e));
	EXPECT_EQ(-EINVAL, fr_genl_apply(self->g, FLYREP_TABLE_UNSPEC, 0, recs, 1, NULL, NULL));
	free(recs);
	free(e.by_index);
}

/* A WAKE that overtakes the answer to a request is not lost. */
TEST_F(client, wake_during_a_request)
{
	struct fr_genl_info info;
	struct pollfd p = { .fd = fr_genl_fd(self->g), .events = POLLIN };

	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 3000, "10.9.0.2", 53, false));
	/* It waits on the socket: the next request has to take it off. */
	ASSERT_EQ(1, poll(&p, 1, KT_WAIT_MS));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(fr_genl_portid(self->g), info.reader);
	EXPECT_EQ(0, poll(&p, 1, 0));

	kt_recs_reset(&self->k);
	EXPECT_EQ(0, fr_genl_pump(self->g, &kt_sink, &self->k));
	EXPECT_EQ(1, self->k.n_wake);
	EXPECT_EQ(-EAGAIN, fr_genl_pump(self->g, &kt_sink, &self->k));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(1, self->k.n);
}

/* One thing at a time on a socket; a second one is free meanwhile. */
TEST_F(client, one_dump_at_a_time)
{
	struct fr_genl_snapshot req = { .table = FLYREP_TABLE_CONNTRACK };
	struct fr_genl_info info;
	struct fr_genl *other;

	ASSERT_EQ(0, fr_genl_open(&other));
	ASSERT_EQ(0, fr_genl_snapshot_start(self->g, &req));
	EXPECT_TRUE(fr_genl_is_dumping(self->g));
	EXPECT_EQ(-EBUSY, fr_genl_snapshot_start(self->g, &req));
	EXPECT_EQ(-EBUSY, fr_genl_drain_start(self->g));
	EXPECT_EQ(-EBUSY, fr_genl_info(self->g, &info));
	EXPECT_EQ(0, fr_genl_info(other, &info));
	EXPECT_EQ(0, kt_pump(self->g, &self->k));
	EXPECT_EQ(1, self->k.n_end);
	EXPECT_FALSE(fr_genl_is_dumping(self->g));
	EXPECT_EQ(0, fr_genl_info(self->g, &info));

	/* A dump that is refused leaves the socket as it was. */
	EXPECT_EQ(-EPERM, kt_drain(other, &self->k));
	EXPECT_STREQ("only the reader may drain: BIND first", fr_genl_error(other));
	EXPECT_FALSE(fr_genl_is_dumping(other));
	EXPECT_EQ(0, fr_genl_info(other, &info));
	fr_genl_close(other);
}

/* Both sides put a record into the same bucket. */
TEST_F(client, buckets_agree)
{
	enum { N = 200 };
	uint8_t mine[FLYREP_BUCKETS_LEN] = { 0 }, rest[FLYREP_BUCKETS_LEN];
	struct flyrep_ct recs[N];
	unsigned int b, i;

	for (i = 0; i < N; i++) {
		recs[i] = i % 2 ? kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "fd01::1", 1000 + i,
					 "fd02::1", 80) :
				  kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1000 + i,
					 "10.2.0.1", 53);
		recs[i].zone = i % 3;
		b = kt_bucket(&recs[i]);
		mine[b / 8] |= 1 << b % 8;
	}
	for (i = 0; i < sizeof(mine); i++)
		rest[i] = ~mine[i];
	ASSERT_EQ(N, fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0, recs, N, NULL, NULL));
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, rest));
	EXPECT_EQ(0, self->k.n);
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, mine));
	EXPECT_EQ(N, self->k.n);
	EXPECT_EQ(0, memcmp(mine, self->k.buckets, sizeof(mine)));
}

static uint32_t draw(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* A good record with one to three bytes changed at random */
static struct flyrep_ct damaged(uint32_t *state)
{
	const struct flyrep_ct good[] = {
		kt_rec(1, IPPROTO_TCP, "10.1.0.1", 1000, "10.2.0.1", 80),
		kt_rec(1, IPPROTO_TCP, "fd01::1", 1001, "fd02::1", 80),
		kt_rec(1, IPPROTO_UDP, "10.1.0.1", 1002, "10.2.0.1", 53),
		kt_rec(2, IPPROTO_UDP, "fd01::1", 1003, "fd02::1", 53),
		kt_rec(2, IPPROTO_ICMP, "10.1.0.1", 77, "10.2.0.1", 0),
		kt_rec(2, IPPROTO_ICMPV6, "fd01::1", 78, "fd02::1", 0),
		kt_rec(1, IPPROTO_SCTP, "10.1.0.1", 1004, "10.2.0.1", 2905),
		kt_rec(2, IPPROTO_SCTP, "fd01::1", 1005, "fd02::1", 2905),
		kt_rec(1, IPPROTO_DCCP, "10.1.0.1", 1006, "10.2.0.1", 5001),
		kt_rec(2, IPPROTO_UDPLITE, "fd01::1", 1007, "fd02::1", 53),
		kt_rec(1, IPPROTO_GRE, "10.1.0.1", 0, "10.2.0.1", 7),
		kt_rec(2, IPPROTO_ESP, "fd01::1", 0, "fd02::1", 0),
	};
	/* Where a small change decides something; the rest of the record is drawn from, too. */
	static const size_t spots[] = {
		offsetof(struct flyrep_ct, rec.op),	   offsetof(struct flyrep_ct, family),
		offsetof(struct flyrep_ct, proto),	   offsetof(struct flyrep_ct, zone_dir),
		offsetof(struct flyrep_ct, orig.dport),	   offsetof(struct flyrep_ct, tcp_state),
		offsetof(struct flyrep_ct, tcp_flags[1]), offsetof(struct flyrep_ct, tcp_scale[0]),
		offsetof(struct flyrep_ct, dccp_role[0]), offsetof(struct flyrep_ct, sctp_vtag[1]),
		offsetof(struct flyrep_ct, reply.sport),
	};
	struct flyrep_ct r = good[draw(state) % (sizeof(good) / sizeof(*good))];
	size_t value = offsetof(struct flyrep_ct, reply);
	unsigned int n = 1 + draw(state) % 3;

	while (n--) {
		bool is_spot = draw(state) % 2;
		size_t at = is_spot ? spots[draw(state) % (sizeof(spots) / sizeof(*spots))] :
				      sizeof(r.rec) + draw(state) % (sizeof(r) - sizeof(r.rec));

		((uint8_t *)&r)[at] = draw(state) % (is_spot ? 20 : 256);
	}
	/* The library does not look at the value of a DELETE, as it never travels. */
	if (r.rec.op == FLYREP_OP_DELETE)
		memset((uint8_t *)&r + value, 0, sizeof(r) - value);
	return r;
}

/* The library refuses what the module would refuse, and nothing else. */
TEST_F(client, checks_agree)
{
	enum { N = 30000 };
	struct flyrep_ct *recs = calloc(N, sizeof(*recs));
	struct errors e = { .recs = recs, .by_index = calloc(N, sizeof(int)) };
	unsigned int n_good = 0, n_bad = 0, i;
	uint32_t state = 1;

	ASSERT_TRUE(recs && e.by_index);
	for (i = 0; i < N; i++)
		recs[i] = damaged(&state);
	ASSERT_GE(fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0, recs, N, on_error, &e), 0);
	for (i = 0; i < N; i++) {
		bool is_refused = e.by_index[i] == -EINVAL || e.by_index[i] == -EPROTONOSUPPORT;
		const char *why = "";
		bool is_bad = fr_conntrack_check(&recs[i], &why);

		/* What only this kernel does not know */
		if (e.by_index[i] == -EPROTONOSUPPORT && !kt_tracks(recs[i].proto))
			continue;
		if (is_refused != is_bad) {
			TH_LOG("record %u: module %d, library \"%s\"", i, e.by_index[i], why ?: "");
			EXPECT_EQ(is_refused, is_bad);
		}
		n_bad += is_bad;
		n_good += !is_bad;
	}
	/* Neither side of the comparison is empty. */
	EXPECT_GT(n_bad, N / 10);
	EXPECT_GT(n_good, N / 10);
	free(recs);
	free(e.by_index);
}

/* What was read from one kernel travels and gives the same flow on another. */
TEST_F(client, through_the_codec)
{
	enum { N = 500 };
	static uint8_t buf[N * 128];
	static struct flyrep_ct recs[N], back[N];
	static const struct fr_siphash_key key = { "codec" };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE,
					  IPPROTO_GRE, IPPROTO_ESP, IPPROTO_UDP };
	const struct fr_table *t = fr_table_by_id(FLYREP_TABLE_CONNTRACK);
	struct flyrep_ct *got;
	struct fr_writer w;
	struct fr_reader r;
	unsigned int i;
	size_t n;

	for (i = 0; i < N; i++) {
		uint8_t proto = protos[i % sizeof(protos)];
		bool is_esp;

		if (!kt_tracks(proto))
			proto = IPPROTO_SCTP;
		is_esp = proto == IPPROTO_ESP;
		recs[i] = i / 10 % 2 ? kt_rec(FLYREP_OP_INSERT, proto, "fd01::1", 1000 + i,
					      "fd02::1", 80) :
				       kt_rec(FLYREP_OP_INSERT, proto, "10.1.0.1", 1000 + i,
					      "10.2.0.1", 53);
		if (is_esp) {
			recs[i].orig.sport = recs[i].reply.dport = 0;
			recs[i].orig.dport = recs[i].reply.sport = 0;
			recs[i].orig.src.byte[2] = recs[i].reply.dst.byte[2] = i >> 8;
			recs[i].orig.src.byte[3] = recs[i].reply.dst.byte[3] = i;
		}
		if (i % 3 == 0) {
			recs[i].reply.dst.byte[0] ^= 0x40;
			/* A key is only mapped by the helper of PPTP. */
			if (!is_esp && proto != IPPROTO_GRE)
				recs[i].reply.dport = htons(20000 + i);
			recs[i].status |= IPS_SRC_NAT;
		}
		recs[i].mark = i % 5;
		if (proto == IPPROTO_TCP || proto == IPPROTO_SCTP || proto == IPPROTO_DCCP)
			recs[i].proto_value[0] = 1 + i % 3;
	}
	fr_writer_init(&w, buf, sizeof(buf));
	ASSERT_EQ(0, t->encode(&w, recs, N));
	fr_reader_init(&r, buf, fr_writer_len(&w));
	ASSERT_EQ(0, t->decode(&r, back, N * sizeof(*back), N, &n));
	ASSERT_EQ(N, n);
	ASSERT_EQ(N, fr_genl_apply(self->g, t->id, 0, back, N, NULL, NULL));

	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, NULL));
	ASSERT_EQ(N, self->k.n);
	for (i = 0; i < N; i++) {
		got = kt_find(&self->k, &recs[i]);
		ASSERT_NE(NULL, got);
		/* The digests of what was sent and of what the kernel made of it */
		EXPECT_EQ(t->digest(&recs[i], &key), t->digest(got, &key));
	}
}

/* The module goes and comes back: the client says so, and starts anew. */
TEST_F(client, module_gone_and_back)
{
	struct fr_genl_snapshot req = { .table = FLYREP_TABLE_CONNTRACK };
	struct fr_genl_info info;
	struct fr_genl *late;

	ASSERT_EQ(0, kt_sh("rmmod flyrep"));
	EXPECT_EQ(-ENOENT, fr_genl_info(self->g, &info));
	EXPECT_STREQ("the kernel module is not loaded", fr_genl_error(self->g));
	ASSERT_EQ(0, fr_genl_snapshot_start(self->g, &req));
	EXPECT_EQ(-ENOENT, kt_pump(self->g, &self->k));
	EXPECT_FALSE(fr_genl_is_dumping(self->g));
	EXPECT_EQ(-ENOENT, fr_genl_open(&late));

	ASSERT_EQ(0, kt_load());
	/* The family has another id now: the old socket stays wrong, it does not go astray. */
	EXPECT_EQ(-ENOENT, fr_genl_info(self->g, &info));
	ASSERT_EQ(0, fr_genl_open(&late));
	EXPECT_EQ(0, fr_genl_info(late, &info));
	fr_genl_close(late);
}

TEST_HARNESS_MAIN
