// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=600
 *
 * The layer-4 protocols beside TCP, UDP and ICMP: each through injection, hold and capture.
 */
#include "kt_flow.h"
#include "kt_harness.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

KT_FIXTURE(protocols)

/* Does the guest's kernel have these modules? Their sockets and links are no part of conntrack. */
static bool has_modules(const char *names)
{
	return !kt_sh("modprobe -qa %s", names);
}

static int set_timeout(const char *name, uint32_t seconds)
{
	return kt_sh("sysctl -qw net.netfilter.nf_conntrack_%s=%u", name, seconds);
}

/* --- injection and hold ------------------------------------------------------- */

/* What travels through APPLY and SNAPSHOT, and the timeout that PROMOTE finds for it */
struct sample {
	struct flyrep_ct	r;
	const char		*timeout;	/* sysctl that says so */
};

enum { N_SAMPLES = 27 };

static struct flyrep_ct with_state(struct flyrep_ct r, uint8_t state)
{
	r.proto_value[0] = state;
	return r;
}

static struct flyrep_ct with_status(struct flyrep_ct r, uint32_t status)
{
	r.status = status;
	return r;
}

/* Source NAT; @port 0 keeps it */
static struct flyrep_ct with_nat(struct flyrep_ct r, const char *addr, uint16_t port)
{
	kt_addr(&r.reply.dst, addr);
	if (port)
		r.reply.dport = htons(port);
	r.status |= IPS_SRC_NAT;
	return r;
}

static struct flyrep_ct with_dnat(struct flyrep_ct r, const char *addr, uint16_t port)
{
	kt_addr(&r.reply.src, addr);
	if (port)
		r.reply.sport = htons(port);
	r.status |= IPS_DST_NAT;
	return r;
}

static struct flyrep_ct v4(uint8_t proto, uint16_t sport, uint16_t dport)
{
	return kt_rec(FLYREP_OP_INSERT, proto, "10.1.0.1", sport, "10.2.0.1", dport);
}

static struct flyrep_ct v6(uint8_t proto, uint16_t sport, uint16_t dport)
{
	return kt_rec(FLYREP_OP_INSERT, proto, "fd01::1", sport, "fd02::1", dport);
}

static size_t make_samples(struct sample *s)
{
	size_t n = 0;

	s[n++] = (struct sample){ v4(IPPROTO_SCTP, 1, 2905), "sctp_timeout_established" };
	s[n++] = (struct sample){ with_state(v6(IPPROTO_SCTP, 2, 2905), SCTP_CONNTRACK_CLOSED),
				  "sctp_timeout_closed" };
	s[n++] = (struct sample){ with_state(v4(IPPROTO_SCTP, 3, 2905), SCTP_CONNTRACK_COOKIE_WAIT),
				  "sctp_timeout_cookie_wait" };
	s[n++] = (struct sample){ with_state(v4(IPPROTO_SCTP, 4, 2905), SCTP_CONNTRACK_COOKIE_ECHOED),
				  "sctp_timeout_cookie_echoed" };
	s[n++] = (struct sample){ with_state(v4(IPPROTO_SCTP, 5, 2905), SCTP_CONNTRACK_SHUTDOWN_SENT),
				  "sctp_timeout_shutdown_sent" };
	s[n++] = (struct sample){ with_state(v4(IPPROTO_SCTP, 6, 2905), SCTP_CONNTRACK_SHUTDOWN_RECD),
				  "sctp_timeout_shutdown_recd" };
	s[n++] = (struct sample){ with_state(v4(IPPROTO_SCTP, 7, 2905),
					     SCTP_CONNTRACK_SHUTDOWN_ACK_SENT),
				  "sctp_timeout_shutdown_ack_sent" };
	s[n++] = (struct sample){ with_state(v4(IPPROTO_SCTP, 8, 2905), SCTP_CONNTRACK_HEARTBEAT_SENT),
				  "sctp_timeout_heartbeat_sent" };
	s[n++] = (struct sample){ with_nat(v4(IPPROTO_SCTP, 9, 2905), "203.0.113.1", 1025),
				  "sctp_timeout_established" };
	s[n++] = (struct sample){ with_dnat(v6(IPPROTO_SCTP, 10, 2905), "fd02::99", 2906),
				  "sctp_timeout_established" };

	s[n++] = (struct sample){ v4(IPPROTO_GRE, 0, 0), "gre_timeout_stream" };
	s[n++] = (struct sample){ with_status(v6(IPPROTO_GRE, 0, 0), 0), "gre_timeout" };
	s[n++] = (struct sample){ v4(IPPROTO_GRE, 0x1234, 0xabcd), "gre_timeout_stream" };
	s[n++] = (struct sample){ with_nat(kt_rec(FLYREP_OP_INSERT, IPPROTO_GRE, "10.1.0.2", 0,
						  "10.2.0.1", 0), "203.0.113.1", 0),
				  "gre_timeout_stream" };

	s[n++] = (struct sample){ v4(IPPROTO_ESP, 0, 0), "generic_timeout" };
	s[n++] = (struct sample){ with_status(v6(IPPROTO_AH, 0, 0), IPS_SEEN_REPLY),
				  "generic_timeout" };
	s[n++] = (struct sample){ with_status(v4(89, 0, 0), 0), "generic_timeout" };
	s[n++] = (struct sample){ with_nat(kt_rec(FLYREP_OP_INSERT, IPPROTO_ESP, "10.1.0.2", 0,
						  "10.2.0.1", 0), "203.0.113.1", 0),
				  "generic_timeout" };
	s[n++] = (struct sample){ with_dnat(v6(IPPROTO_ESP, 0, 0), "fd02::99", 0),
				  "generic_timeout" };
	s[n++] = (struct sample){ v4(255, 0, 0), "generic_timeout" };

	if (kt_tracks(IPPROTO_UDPLITE)) {
		s[n++] = (struct sample){ v4(IPPROTO_UDPLITE, 1, 5004), "udp_timeout_stream" };
		s[n++] = (struct sample){ with_status(v6(IPPROTO_UDPLITE, 2, 5004),
							 IPS_SEEN_REPLY), "udp_timeout" };
		s[n++] = (struct sample){ with_nat(v4(IPPROTO_UDPLITE, 3, 5004), "203.0.113.1",
						      1026), "udp_timeout_stream" };
	}
	if (!kt_tracks(IPPROTO_DCCP))
		return n;
	s[n++] = (struct sample){ v4(IPPROTO_DCCP, 1, 5001), "dccp_timeout_open" };
	s[n++] = (struct sample){ with_state(v6(IPPROTO_DCCP, 2, 5001), KT_DCCP_REQUEST),
				  "dccp_timeout_request" };
	s[n++] = (struct sample){ with_state(v4(IPPROTO_DCCP, 3, 5001), KT_DCCP_TIMEWAIT),
				  "dccp_timeout_timewait" };
	s[n++] = (struct sample){ with_nat(v4(IPPROTO_DCCP, 4, 5001), "203.0.113.1", 1027),
				  "dccp_timeout_open" };
	return n;
}

static void expect_same(struct __test_metadata *_metadata, const struct flyrep_ct *want,
			const struct flyrep_ct *got, size_t i)
{
	EXPECT_EQ(0, memcmp(&got->orig, &want->orig, sizeof(got->orig))) TH_LOG("sample %zu", i);
	EXPECT_EQ(0, memcmp(&got->reply, &want->reply, sizeof(got->reply))) TH_LOG("sample %zu", i);
	EXPECT_EQ(0, memcmp(got->proto_value, want->proto_value, sizeof(got->proto_value)))
		TH_LOG("sample %zu", i);
	EXPECT_EQ(want->status, got->status & FLYREP_CT_STATUS_MASK) TH_LOG("sample %zu", i);
}

/* Into the kernel, held, promoted, and away: what went in is what comes out. */
TEST_F(protocols, round_trip_and_promote)
{
	static struct sample s[N_SAMPLES];
	size_t n = make_samples(s), i, j;
	uint32_t seconds[N_SAMPLES];
	struct flyrep_ct got;
	uint32_t applied;

	ASSERT_LE(n, N_SAMPLES);
	/* No two timeouts of these are alike. */
	for (i = 0; i < n; i++) {
		for (j = 0; strcmp(s[j].timeout, s[i].timeout); j++)
			;
		seconds[i] = 1000 + 100 * j;
		ASSERT_EQ(0, set_timeout(s[i].timeout, seconds[i]));
	}
	ASSERT_EQ(0, kt_config(self->g, -1, -1, 1));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, kt_apply(self->g, s[i].r, 0)) TH_LOG("sample %zu", i);
		ASSERT_TRUE(kt_get(self->g, &s[i].r, &got)) TH_LOG("sample %zu", i);
		expect_same(_metadata, &s[i].r, &got, i);
		EXPECT_EQ(FLYREP_REC_F_REMOTE, got.rec.flags);
		EXPECT_TRUE(got.timeout_s > 86000);
		/* Once more is no change. */
		ASSERT_EQ(0, kt_apply(self->g, s[i].r, 0)) TH_LOG("sample %zu", i);
		ASSERT_TRUE(kt_get(self->g, &s[i].r, &got)) TH_LOG("sample %zu", i);
		expect_same(_metadata, &s[i].r, &got, i);
	}
	EXPECT_EQ(n, kt_counter(self->g, FLYREP_C_INJECT_UPDATED));
	EXPECT_EQ(1, kt_number("conntrack -L -p sctp 2>/dev/null | grep -c "
			       "'ESTABLISHED src=10.1.0.1 dst=10.2.0.1 sport=1 dport=2905 .*ASSURED'"));
	EXPECT_EQ(2, kt_number("conntrack -L -p 50 2>/dev/null | grep -c ' src=10.1.0'"));

	ASSERT_EQ(0, fr_genl_promote(self->g, &applied));
	EXPECT_EQ(n, applied);
	for (i = 0; i < n; i++) {
		ASSERT_TRUE(kt_get(self->g, &s[i].r, &got)) TH_LOG("sample %zu", i);
		expect_same(_metadata, &s[i].r, &got, i);
		EXPECT_EQ(0, got.rec.flags);
		EXPECT_TRUE(got.timeout_s > seconds[i] - 60 && got.timeout_s <= seconds[i])
			TH_LOG("%s: %u, not %u", s[i].timeout, got.timeout_s, seconds[i]);
	}
	/* They are this node's own now: their end is news. */
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	for (i = 0; i < n; i++)
		EXPECT_NE(NULL, kt_find(&self->k, &s[i].r)) TH_LOG("sample %zu", i);
}

/* A GRE flow whose tracker was told of no packet knows how long it lives. */
TEST_F(protocols, gre_lives_on_after_its_first_packet)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_GRE, "10.9.0.1", 0, "10.9.0.2", 0), got;
	uint32_t n;

	if (!has_modules("ip_gre"))
		SKIP(return, "no GRE links in this kernel");
	ASSERT_EQ(0, set_timeout("gre_timeout_stream", 777));
	ASSERT_EQ(0, kt_apply(self->g, r, 0));
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	/* Later ones do not count for it. */
	ASSERT_EQ(0, set_timeout("gre_timeout_stream", 99));
	ASSERT_EQ(0, kt_sh("ip link add gre-kt type gre local 10.9.0.1 remote 10.9.0.2 && "
			   "ip addr add 172.31.0.1/30 dev gre-kt && ip link set gre-kt up && "
			   "ping -q -c 1 -W 1 172.31.0.2 >/dev/null; ip -s link show gre-kt | "
			   "grep -q gre-kt"));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_TRUE(got.timeout_s > 700 && got.timeout_s <= 777) TH_LOG("%u s", got.timeout_s);
}

/* --- states go forward only ----------------------------------------------------- */

/* Apply, and the state that is there then; -1 if it is not */
static int state_after(struct fr_genl *g, struct flyrep_ct r, uint8_t op, uint8_t state)
{
	struct flyrep_ct got;

	r.rec.op = op;
	r.proto_value[0] = state;
	if (kt_apply(g, r, 0) || !kt_get(g, &r, &got))
		return -1;
	return got.proto_value[0];
}

TEST_F(protocols, sctp_goes_forward_only)
{
	/* Each step but the last is refused backward; the two of a SHUTDOWN are alike. */
	static const uint8_t path[] = {
		SCTP_CONNTRACK_NONE, SCTP_CONNTRACK_HEARTBEAT_SENT, SCTP_CONNTRACK_COOKIE_WAIT,
		SCTP_CONNTRACK_COOKIE_ECHOED, SCTP_CONNTRACK_ESTABLISHED,
		SCTP_CONNTRACK_SHUTDOWN_RECD, SCTP_CONNTRACK_SHUTDOWN_ACK_SENT,
		SCTP_CONNTRACK_CLOSED,
	};
	struct flyrep_ct r = v4(IPPROTO_SCTP, 1000, 2905), got;
	uint32_t id;
	size_t i;

	for (i = 0; i < N_OF(path); i++) {
		EXPECT_EQ(path[i], state_after(self->g, r, FLYREP_OP_UPDATE, path[i]));
		if (i) {
			r.mark = i;
			EXPECT_EQ(path[i], state_after(self->g, r, FLYREP_OP_UPDATE, path[i - 1]));
			ASSERT_TRUE(kt_get(self->g, &r, &got));
			EXPECT_EQ(i, got.mark);
		}
	}
	id = got.rec.id;

	/* An older record does not take a tag back either. */
	r.sctp_vtag[0] = 0;
	EXPECT_EQ(SCTP_CONNTRACK_CLOSED,
		  state_after(self->g, r, FLYREP_OP_UPDATE, SCTP_CONNTRACK_CLOSED));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_EQ(htonl(0x01020304), got.sctp_vtag[0]);

	/* Other tags: another association, which begins anew on this flow. */
	r.sctp_vtag[0] = htonl(77);
	EXPECT_EQ(SCTP_CONNTRACK_COOKIE_WAIT,
		  state_after(self->g, r, FLYREP_OP_UPDATE, SCTP_CONNTRACK_COOKIE_WAIT));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_EQ(id, got.rec.id);
	EXPECT_EQ(htonl(77), got.sctp_vtag[0]);
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));

	/* An INSERT that lies behind, or has other tags, replaces. */
	r.status = 0;
	EXPECT_EQ(SCTP_CONNTRACK_NONE,
		  state_after(self->g, r, FLYREP_OP_INSERT, SCTP_CONNTRACK_NONE));
	r.sctp_vtag[1] = htonl(78);
	EXPECT_EQ(SCTP_CONNTRACK_ESTABLISHED,
		  state_after(self->g, r, FLYREP_OP_INSERT, SCTP_CONNTRACK_ESTABLISHED));
	EXPECT_EQ(2, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));

	/* CLOSED without an answer is how it begins. */
	r = v6(IPPROTO_SCTP, 1001, 2905);
	r.sctp_vtag[0] = 0;
	EXPECT_EQ(SCTP_CONNTRACK_CLOSED,
		  state_after(self->g, r, FLYREP_OP_INSERT, SCTP_CONNTRACK_CLOSED));
	r.sctp_vtag[0] = htonl(5);
	EXPECT_EQ(SCTP_CONNTRACK_COOKIE_WAIT,
		  state_after(self->g, r, FLYREP_OP_UPDATE, SCTP_CONNTRACK_COOKIE_WAIT));
	r.sctp_vtag[0] = 0;
	EXPECT_EQ(SCTP_CONNTRACK_COOKIE_WAIT,
		  state_after(self->g, r, FLYREP_OP_UPDATE, SCTP_CONNTRACK_CLOSED));
}

TEST_F(protocols, dccp_goes_forward_only)
{
	struct flyrep_ct r = v4(IPPROTO_DCCP, 1000, 5001), got;
	int state;

	if (!kt_tracks(IPPROTO_DCCP))
		SKIP(return, "this kernel does not track DCCP");
	for (state = KT_DCCP_NONE; state <= KT_DCCP_TIMEWAIT; state++) {
		EXPECT_EQ(state, state_after(self->g, r, FLYREP_OP_UPDATE, state));
		if (state)
			EXPECT_EQ(state, state_after(self->g, r, FLYREP_OP_UPDATE, state - 1));
	}
	/* The next handshake on this flow, the other way round */
	r.dccp_handshake_seq++;
	r.dccp_role[0] = 1;
	r.dccp_role[1] = 0;
	EXPECT_EQ(KT_DCCP_RESPOND, state_after(self->g, r, FLYREP_OP_UPDATE, KT_DCCP_RESPOND));
	ASSERT_TRUE(kt_get(self->g, &r, &got));
	EXPECT_EQ(r.dccp_handshake_seq, got.dccp_handshake_seq);
	EXPECT_EQ(1, got.dccp_role[0]);
	EXPECT_EQ(0, got.dccp_role[1]);
	EXPECT_EQ(0, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));
	EXPECT_EQ(KT_DCCP_REQUEST, state_after(self->g, r, FLYREP_OP_INSERT, KT_DCCP_REQUEST));
	r.dccp_handshake_seq++;
	EXPECT_EQ(KT_DCCP_OPEN, state_after(self->g, r, FLYREP_OP_INSERT, KT_DCCP_OPEN));
	EXPECT_EQ(2, kt_counter(self->g, FLYREP_C_INJECT_REPLACED));
}

/* --- what is refused ------------------------------------------------------------ */

TEST_F(protocols, bad_values)
{
	const struct flyrep_ct sctp = v4(IPPROTO_SCTP, 1, 2905), esp = v4(IPPROTO_ESP, 0, 0);
	const struct flyrep_ct dccp = v6(IPPROTO_DCCP, 1, 5001), gre = v4(IPPROTO_GRE, 0, 0);
	const struct flyrep_ct udplite = v6(IPPROTO_UDPLITE, 1, 5004);
	struct flyrep_ct r;

#define REFUSED(err, from, change) do {					\
	r = from;							\
	change;								\
	EXPECT_EQ(err, kt_apply(self->g, r, 0)) TH_LOG("%s", #change);	\
} while (0)
	REFUSED(-EINVAL, sctp, r.sctp_state = FLYREP_CT_SCTP_STATES);
	REFUSED(-EINVAL, sctp, r.sctp_state = 255);
	REFUSED(-EINVAL, sctp, r.sctp_reserved[0] = 1);
	REFUSED(-EINVAL, sctp, r.sctp_reserved[2] = 1);
	if (kt_tracks(IPPROTO_UDPLITE)) {
		REFUSED(-EINVAL, udplite, r.proto_value[0] = 1);
		REFUSED(-EINVAL, udplite, r.proto_value[11] = 1);
	} else {
		REFUSED(-EPROTONOSUPPORT, udplite, (void)0);
	}
	REFUSED(-EINVAL, gre, r.proto_value[3] = 1);
	REFUSED(-EINVAL, esp, r.proto_value[8] = 1);
	REFUSED(-EINVAL, esp, r.orig.sport = 1);
	REFUSED(-EINVAL, esp, r.orig.dport = 1);
	REFUSED(-EINVAL, esp, r.reply.sport = 1);
	REFUSED(-EINVAL, esp, r.reply.dport = 1);
	REFUSED(-EINVAL, esp, r.orig.dport = 1; r.rec.op = FLYREP_OP_DELETE);
	REFUSED(-EINVAL, esp, r.proto = IPPROTO_ICMPV6);
	REFUSED(-EPROTONOSUPPORT, esp, r.proto = 0);
	REFUSED(-EPROTONOSUPPORT, esp, r.proto = 0; r.rec.op = FLYREP_OP_DELETE);
	if (kt_tracks(IPPROTO_DCCP)) {
		REFUSED(-EINVAL, dccp, r.dccp_state = FLYREP_CT_DCCP_STATES);
		REFUSED(-EINVAL, dccp, r.dccp_role[0] = 2);
		REFUSED(-EINVAL, dccp, r.dccp_role[1] = 2);
		REFUSED(-EINVAL, dccp, r.dccp_reserved = 1);
	} else {
		REFUSED(-EPROTONOSUPPORT, dccp, (void)0);
		REFUSED(-EPROTONOSUPPORT, dccp, r.rec.op = FLYREP_OP_DELETE);
		REFUSED(-EPROTONOSUPPORT, dccp, r.orig.sport = r.orig.dport = 0;
			r.reply.sport = r.reply.dport = 0);
	}
	/* No helper, no keys to map. */
	REFUSED(-EADDRINUSE, v4(IPPROTO_GRE, 1, 2), r.reply.dport = htons(9));
#undef REFUSED
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, NULL));
	EXPECT_EQ(0, self->k.n);

	/* Two flows of one protocol without ports cannot share an address. */
	ASSERT_EQ(0, kt_apply(self->g, with_nat(esp, "203.0.113.1", 0), 0));
	r = with_nat(esp, "203.0.113.1", 0);
	r.orig.src.byte[3] = 99;
	EXPECT_EQ(-EADDRINUSE, kt_apply(self->g, r, 0));
	r.proto = IPPROTO_AH;
	EXPECT_EQ(0, kt_apply(self->g, r, 0));
}

/* --- real traffic --------------------------------------------------------------- */

/* Drain until a flow has all of @status; NULL at the deadline */
static struct flyrep_ct *drained(struct fr_genl *g, struct kt_recs *k, const struct flyrep_ct *key,
				 uint32_t status)
{
	struct flyrep_ct *r = NULL;

	kt_until(kt_drain(g, k) || ((r = kt_find(k, key)) && (r->status & status) == status));
	return r && (r->status & status) == status ? r : NULL;
}

static const char *const src[] = { "10.9.0.1", "fd09::1" };
static const char *const dst[] = { "10.9.0.2", "fd09::2" };

/*
 * A connection is captured; its entry vanishes and comes back from the record, and it goes on,
 * with whatever is invalid dropped. Without the record, or with a wrong one, it would not.
 */
static void live(struct __test_metadata *_metadata, struct kt_nets *nets, struct fr_genl *g,
		 int proto, unsigned int family)
{
	struct flyrep_ct key = kt_rec(0, proto, src[family], 6000, dst[family], 6001), *r, got, put;
	struct kt_recs k = {};
	struct kt_tcp t;
	long invalid;
	int i;

	ASSERT_EQ(0, kt_conn_open(nets, &t, proto, src[family], 6000, dst[family], 6001));
	ASSERT_EQ(0, kt_chat(&t));
	r = drained(g, &k, &key, IPS_SEEN_REPLY | IPS_ASSURED);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(0, memcmp(&r->reply, &key.reply, sizeof(r->reply)));
	EXPECT_EQ(0, r->rec.flags);
	if (proto == IPPROTO_SCTP) {
		EXPECT_EQ(SCTP_CONNTRACK_ESTABLISHED, r->sctp_state);
		EXPECT_TRUE(r->sctp_vtag[0] && r->sctp_vtag[1]);
		EXPECT_NE(r->sctp_vtag[0], r->sctp_vtag[1]);
	} else {
		EXPECT_EQ(KT_DCCP_OPEN, r->dccp_state);
		EXPECT_EQ(0, r->dccp_role[0]);
		EXPECT_EQ(1, r->dccp_role[1]);
		EXPECT_TRUE(r->dccp_handshake_seq);
	}
	put = kt_rec_from(r, FLYREP_OP_INSERT);

	invalid = kt_invalid(nets);
	key.rec.op = FLYREP_OP_DELETE;
	ASSERT_EQ(0, kt_apply(g, key, FLYREP_APPLY_F_FORCE));
	ASSERT_FALSE(kt_get(g, &key, &got));
	ASSERT_EQ(0, kt_apply(g, put, 0));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, kt_chat(&t));
	EXPECT_EQ(invalid, kt_invalid(nets));
	ASSERT_TRUE(kt_get(g, &key, &got));
	EXPECT_EQ(0, memcmp(got.proto_value, put.proto_value, sizeof(put.proto_value)));

	if (proto == IPPROTO_SCTP) {
		ASSERT_EQ(0, kt_apply(g, key, 0));
		put.sctp_vtag[0] ^= htonl(1);
		ASSERT_EQ(0, kt_apply(g, put, 0));
		ASSERT_EQ(0, kt_send(t.a, "0123456789"));
		EXPECT_TRUE(kt_until(kt_invalid(nets) > invalid));
		put.sctp_vtag[0] ^= htonl(1);
		ASSERT_EQ(0, kt_apply(g, put, 0));
		ASSERT_EQ(10, kt_recv(t.b));
	}

	/* Its end takes the flow over. */
	kt_recs_reset(&k);
	kt_tcp_close(&t);
	ASSERT_TRUE(kt_until(!kt_drain(g, &k) && (r = kt_find(&k, &key)) &&
			     r->rec.op == FLYREP_OP_UPDATE &&
			     r->proto_value[0] != put.proto_value[0]));
	EXPECT_EQ(0, r->rec.flags);
	kt_recs_reset(&k);
}

TEST_F(protocols, sctp_v4)
{
	if (!has_modules("sctp"))
		SKIP(return, "no SCTP sockets in this kernel");
	live(_metadata, &self->nets, self->g, IPPROTO_SCTP, 0);
}

TEST_F(protocols, sctp_v6)
{
	if (!has_modules("sctp"))
		SKIP(return, "no SCTP sockets in this kernel");
	live(_metadata, &self->nets, self->g, IPPROTO_SCTP, 1);
}

TEST_F(protocols, dccp)
{
	if (!kt_tracks(IPPROTO_DCCP) || !has_modules("dccp_ipv4 dccp_ipv6"))
		SKIP(return, "no DCCP sockets, or no tracker, in this kernel");
	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_dccp_loose=0"));
	live(_metadata, &self->nets, self->g, IPPROTO_DCCP, 0);
}

TEST_F(protocols, udplite)
{
	struct flyrep_ct key, *r;
	unsigned int f;
	int fd;

	fd = kt_socket_proto(SOCK_DGRAM, IPPROTO_UDPLITE, src[0], 4999);
	if (fd < 0)
		SKIP(return, "no UDP-Lite sockets in this kernel");
	close(fd);
	/* Its tracker takes UDP's number for the checksum: what comes from afar is invalid. */
	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_checksum=0"));
	for (f = 0; f < 2; f++) {
		ASSERT_EQ(0, kt_datagram_once(&self->nets, IPPROTO_UDPLITE, src[f], 4000, dst[f],
					      5000, true));
		key = kt_rec(0, IPPROTO_UDPLITE, src[f], 4000, dst[f], 5000);
		r = drained(self->g, &self->k, &key, IPS_SEEN_REPLY);
		ASSERT_NE(NULL, r);
		EXPECT_EQ(0, memcmp(&r->reply, &key.reply, sizeof(r->reply)));
		EXPECT_TRUE(r->timeout_s > 0 && r->timeout_s <= 120);
	}
}

TEST_F(protocols, gre)
{
	static const char *const type[] = { "gre", "ip6gre" };
	struct flyrep_ct key, *r;
	unsigned int f;

	if (!has_modules("ip_gre ip6_gre"))
		SKIP(return, "no GRE links in this kernel");
	for (f = 0; f < 2; f++) {
		ASSERT_EQ(0, kt_sh("ip link add kt%u type %s local %s remote %s && "
				   "ip addr add 172.31.%u.1/30 dev kt%u && ip link set kt%u up",
				   f, type[f], src[f], dst[f], f, f, f));
		ASSERT_EQ(0, kt_sh("ip -n %s link add kt%u type %s local %s remote %s && "
				   "ip -n %s addr add 172.31.%u.2/30 dev kt%u && "
				   "ip -n %s link set kt%u up",
				   self->nets.b, f, type[f], dst[f], src[f], self->nets.b, f, f,
				   self->nets.b, f));
		ASSERT_TRUE(kt_until(!kt_sh("ping -q -c 1 -W 5 172.31.%u.2 >/dev/null", f)));
		key = kt_rec(0, IPPROTO_GRE, src[f], 0, dst[f], 0);
		r = drained(self->g, &self->k, &key, IPS_SEEN_REPLY);
		ASSERT_NE(NULL, r);
		EXPECT_EQ(0, memcmp(&r->reply, &key.reply, sizeof(r->reply)));
	}
}

/* One packet of any protocol, from a to b and, if asked, back */
static int raw_once(const struct kt_nets *n, int proto, unsigned int f, bool answer)
{
	static const char payload[] = "no matter what";
	int b = kt_socket_b_proto(n, SOCK_RAW, proto, dst[f], 0);
	int a = kt_socket_proto(SOCK_RAW, proto, src[f], 0);
	int rc;

	if (a < 0 || b < 0)
		return -EIO;
	rc = kt_connect(a, dst[f], 0) ?: kt_connect(b, src[f], 0);
	if (!rc && send(a, payload, sizeof(payload), 0) != sizeof(payload))
		rc = -errno;
	if (!rc && kt_recv(b) < (int)sizeof(payload))
		rc = -EIO;
	if (!rc && answer && (send(b, payload, sizeof(payload), 0) != sizeof(payload) ||
			      kt_recv(a) < (int)sizeof(payload)))
		rc = -EIO;
	close(a);
	close(b);
	return rc;
}

/* Tracked by their addresses: ESP, OSPF, a number that nobody has */
TEST_F(protocols, others)
{
	static const uint8_t protos[] = { IPPROTO_ESP, 89, 200 };
	struct flyrep_ct key, *r;
	unsigned int f;
	size_t i;

	for (i = 0; i < N_OF(protos); i++) {
		for (f = 0; f < 2; f++) {
			ASSERT_EQ(0, raw_once(&self->nets, protos[i], f, true));
			key = kt_rec(0, protos[i], src[f], 0, dst[f], 0);
			r = drained(self->g, &self->k, &key, IPS_SEEN_REPLY);
			ASSERT_NE(NULL, r) TH_LOG("protocol %u, family %u", protos[i], f);
			EXPECT_EQ(0, memcmp(&r->reply, &key.reply, sizeof(r->reply)));
			EXPECT_TRUE(r->timeout_s > 0 && r->timeout_s <= 600);
		}
	}
}

/* No packet makes a flow of protocol 0, but a tool does; no peer would take it. */
TEST_F(protocols, no_protocol)
{
	struct flyrep_ct key = kt_rec(0, IPPROTO_UDP, src[0], 4000, dst[0], 5000);
	size_t i;

	ASSERT_EQ(0, kt_sh("conntrack -I -s 10.1.0.1 -d 10.2.0.1 -p 0 -t 100 2>/dev/null && "
			   "conntrack -I -s 10.1.0.1 -d 10.2.0.1 -p 50 -t 100 2>/dev/null"));
	EXPECT_EQ(2, kt_number("conntrack -L 2>/dev/null | grep -c src=10.1.0.1"));
	ASSERT_EQ(0, kt_udp_once(&self->nets, src[0], 4000, dst[0], 5000, true));
	ASSERT_NE(NULL, drained(self->g, &self->k, &key, IPS_SEEN_REPLY));
	for (i = 0; i < self->k.n; i++)
		EXPECT_NE(0, self->k.r[i].proto);
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(2, self->k.n);
	for (i = 0; i < self->k.n; i++)
		EXPECT_NE(0, self->k.r[i].proto);
}

/* By number; 0 is all that have no name. A handshake must be done, where there is one. */
TEST_F(protocols, filter)
{
	static const uint8_t esp[] = { IPPROTO_ESP }, rest[] = { IPPROTO_UDP, 0 };
	static const uint8_t named[] = { IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_GRE };
	static const struct {
		const uint8_t	*protos;
		size_t		n;
		bool		has_esp, has_ospf;
	} cases[] = {
		{ esp, 1, true, false },
		{ rest, 2, true, true },
		{ named, 3, false, false },
		{ NULL, 0, true, true },
	};
	struct flyrep_ct esp4 = kt_rec(0, IPPROTO_ESP, src[0], 0, dst[0], 0);
	struct flyrep_ct ospf4 = kt_rec(0, 89, src[0], 0, dst[0], 0);
	struct flyrep_ct sctp4 = kt_rec(0, IPPROTO_SCTP, src[0], 6000, dst[0], 6001);
	struct fr_genl_filter f = { .protos = NULL };
	struct flyrep_ct got;
	struct kt_tcp t;
	size_t i;

	ASSERT_EQ(0, raw_once(&self->nets, IPPROTO_ESP, 0, true));
	ASSERT_EQ(0, raw_once(&self->nets, 89, 0, true));
	for (i = 0; i < N_OF(cases); i++) {
		f.protos = cases[i].protos;
		f.n_protos = cases[i].n;
		ASSERT_EQ(0, kt_filter(self->g, &f));
		EXPECT_EQ(cases[i].has_esp, kt_get(self->g, &esp4, &got)) TH_LOG("case %zu", i);
		EXPECT_EQ(cases[i].has_ospf, kt_get(self->g, &ospf4, &got)) TH_LOG("case %zu", i);
	}
	f.assured = true;
	ASSERT_EQ(0, kt_filter(self->g, &f));
	EXPECT_TRUE(kt_get(self->g, &esp4, &got));
	if (!has_modules("sctp"))
		return;
	/* Answered, and no further: the COOKIE ECHO gets lost. */
	ASSERT_EQ(0, set_timeout("sctp_timeout_cookie_wait", 600));
	ASSERT_EQ(0, set_timeout("sctp_timeout_cookie_echoed", 600));
	ASSERT_EQ(0, kt_sh("nft add chain inet kt late '{ type filter hook output priority 10; }' && "
			   "nft add rule inet kt late sctp chunk cookie-echo exists drop"));
	EXPECT_NE(0, kt_conn_open(&self->nets, &t, IPPROTO_SCTP, src[0], 6000, dst[0], 6001));
	EXPECT_FALSE(kt_get(self->g, &sctp4, &got));
	f.assured = false;
	ASSERT_EQ(0, kt_filter(self->g, &f));
	ASSERT_TRUE(kt_get(self->g, &sctp4, &got));
	EXPECT_TRUE(got.status & IPS_SEEN_REPLY);
	EXPECT_FALSE(got.status & IPS_ASSURED);
}

TEST_HARNESS_MAIN
