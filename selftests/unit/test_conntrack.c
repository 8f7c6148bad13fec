// SPDX-License-Identifier: GPL-2.0-or-later
/* The record table's row for flows: key, check, digest, columns. */
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct fr_siphash_key hash_key = { "conntrack tests" };

static uint16_t type_code(uint8_t type, uint8_t code)
{
	return htons((uint16_t)(type << 8 | code));
}

static void address(union flyrep_addr *a, uint8_t family, const char *text)
{
	memset(a, 0, sizeof(*a));
	assert_int_equal(inet_pton(family, text, a->byte), 1);
}

/* A flow without NAT, as the kernel would hand it out. */
static struct flyrep_ct flow(uint8_t proto, const char *src, const char *dst,
			     uint16_t sport, uint16_t dport)
{
	struct flyrep_ct ct = { 0 };

	ct.rec.op = FLYREP_OP_UPDATE;
	ct.family = strchr(src, ':') ? AF_INET6 : AF_INET;
	ct.proto = proto;
	ct.zone_dir = 3;
	address(&ct.orig.src, ct.family, src);
	address(&ct.orig.dst, ct.family, dst);
	ct.orig.sport = htons(sport);
	ct.orig.dport = htons(dport);
	fr_conntrack_invert(&ct.reply, &ct);
	ct.status = 0x06;
	if (proto == IPPROTO_TCP) {
		ct.tcp_state = 3;
		ct.tcp_flags[0] = 0x03;
		ct.tcp_flags[1] = 0x01;
		ct.tcp_scale[0] = 7;
		ct.tcp_scale[1] = 14;
	}
	if (proto == IPPROTO_SCTP) {
		ct.sctp_state = 4;
		ct.sctp_vtag[0] = htonl(0x01020304);
		ct.sctp_vtag[1] = htonl(0xf0e0d0c0);
	}
	if (proto == IPPROTO_DCCP) {
		ct.dccp_state = 4;
		ct.dccp_role[1] = 1;
		ct.dccp_handshake_seq = 0xa1b2c3d4e5f6;
	}
	return ct;
}

static struct flyrep_ct tcp4(void)
{
	return flow(IPPROTO_TCP, "10.0.0.5", "198.51.100.7", 40000, 443);
}

static struct flyrep_ct tcp6(void)
{
	return flow(IPPROTO_TCP, "2001:db8::5", "2001:db8:f::7", 40000, 443);
}

static struct flyrep_ct sctp4(void)
{
	return flow(IPPROTO_SCTP, "10.0.0.5", "198.51.100.7", 2905, 2906);
}

static struct flyrep_ct dccp6(void)
{
	return flow(IPPROTO_DCCP, "2001:db8::5", "2001:db8:f::7", 40000, 5001);
}

/* Tracked by its addresses alone */
static struct flyrep_ct esp4(void)
{
	return flow(IPPROTO_ESP, "10.0.0.5", "198.51.100.7", 0, 0);
}

/* --- what is a record, and what is not --------------------------------- */

struct flaw {
	size_t at; /* byte that is set to */
	uint8_t to;
	const char *why;
};

#define FLAW(field, to, why)                               \
	{                                                  \
		offsetof(struct flyrep_ct, field), to, why \
	}

static void assert_refused(const struct flyrep_ct *good,
			   const struct flaw *flaw)
{
	const struct fr_table *t = &fr_conntrack_table;
	struct flyrep_ct ct = *good;
	const char *why = NULL;
	struct fr_writer w;
	uint8_t buf[512];

	assert_int_equal(t->check(&ct, &why), 0);
	((uint8_t *)&ct)[flaw->at] = flaw->to;
	assert_int_equal(t->check(&ct, &why), -EINVAL);
	assert_string_equal(why, flaw->why);
	fr_writer_init(&w, buf, sizeof(buf));
	assert_int_equal(t->encode(&w, &ct, 1), -EINVAL);
}

static void a_flaw_is_refused_by_name(void **state)
{
	static const struct flaw both[] = {
		FLAW(rec.op, 0, "unknown operation"),
		FLAW(rec.op, 4, "unknown operation"),
		FLAW(rec.reserved2, 1, "reserved bytes are set"),
		FLAW(reserved, 1, "reserved bytes are set"),
		FLAW(reserved[2], 1, "reserved bytes are set"),
		FLAW(tcp_reserved, 1, "reserved bytes are set"),
		FLAW(tcp_reserved[6], 0x80, "reserved bytes are set"),
		FLAW(family, 0, "unknown address family"),
		FLAW(family, 3, "unknown address family"),
		FLAW(proto, 0, "no protocol"),
		FLAW(proto, IPPROTO_SCTP, "reserved bytes are set"),
		FLAW(proto, IPPROTO_ESP, "ports of a protocol without ports"),
		FLAW(proto, 255, "ports of a protocol without ports"),
		FLAW(zone_dir, 0, "zone direction out of range"),
		FLAW(zone_dir, 4, "zone direction out of range"),
		FLAW(tcp_state, 10, "TCP state out of range"),
		FLAW(tcp_scale[0], 15, "TCP window scale out of range"),
		FLAW(tcp_scale[1], 15, "TCP window scale out of range"),
		FLAW(proto, IPPROTO_UDP,
		     "a state of a protocol without states"),
		FLAW(proto, IPPROTO_GRE,
		     "a state of a protocol without states"),
	};
	static const struct flaw v4[] = {
		FLAW(orig.src.byte[4], 1, "unused address words are set"),
		FLAW(orig.dst.byte[15], 1, "unused address words are set"),
		FLAW(reply.src.byte[8], 1, "unused address words are set"),
		FLAW(reply.dst.byte[4], 1, "unused address words are set"),
		FLAW(proto, IPPROTO_ICMPV6, "ICMPv6 in an IPv4 flow"),
	};
	static const struct flaw v6[] = {
		FLAW(proto, IPPROTO_ICMP, "ICMP in an IPv6 flow"),
	};
	struct flyrep_ct four = tcp4(), six = tcp6();
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(both); i++) {
		assert_refused(&four, &both[i]);
		assert_refused(&six, &both[i]);
	}
	for (i = 0; i < N_OF(v4); i++)
		assert_refused(&four, &v4[i]);
	for (i = 0; i < N_OF(v6); i++)
		assert_refused(&six, &v6[i]);
}

static void a_flaw_of_each_protocol_is_refused_by_name(void **state)
{
	static const struct flaw in_sctp[] = {
		FLAW(sctp_state, 9, "SCTP state out of range"),
		FLAW(sctp_state, 255, "SCTP state out of range"),
		FLAW(sctp_reserved, 1, "reserved bytes are set"),
		FLAW(sctp_reserved[2], 1, "reserved bytes are set"),
		FLAW(proto, IPPROTO_UDPLITE,
		     "a state of a protocol without states"),
	};
	static const struct flaw in_dccp[] = {
		FLAW(dccp_state, 8, "DCCP state out of range"),
		FLAW(dccp_role[0], 2, "DCCP role out of range"),
		FLAW(dccp_role[1], 2, "DCCP role out of range"),
		FLAW(dccp_reserved, 1, "reserved bytes are set"),
	};
	static const struct flaw in_esp[] = {
		FLAW(orig.sport, 1, "ports of a protocol without ports"),
		FLAW(orig.dport, 1, "ports of a protocol without ports"),
		FLAW(reply.sport, 1, "ports of a protocol without ports"),
		FLAW(reply.dport, 1, "ports of a protocol without ports"),
		FLAW(proto_value, 1, "a state of a protocol without states"),
		FLAW(proto_value[11], 1,
		     "a state of a protocol without states"),
		FLAW(proto, 0, "no protocol"),
		FLAW(proto, IPPROTO_ICMPV6, "ICMPv6 in an IPv4 flow"),
	};
	struct flyrep_ct sctp = sctp4(), dccp = dccp6(), esp = esp4();
	const char *why;
	unsigned int i;

	(void)state;
	for (i = 0; i < N_OF(in_sctp); i++)
		assert_refused(&sctp, &in_sctp[i]);
	for (i = 0; i < N_OF(in_dccp); i++)
		assert_refused(&dccp, &in_dccp[i]);
	for (i = 0; i < N_OF(in_esp); i++)
		assert_refused(&esp, &in_esp[i]);
	/* Every other number is a protocol. */
	for (i = 1; i < 256; i++) {
		esp.proto = (uint8_t)i;
		assert_int_equal(fr_conntrack_check(&esp, &why),
				 i == IPPROTO_ICMPV6 ? -EINVAL : 0);
	}
}

static void a_delete_needs_only_its_key(void **state)
{
	struct flyrep_ct ct = tcp4();
	const char *why;

	(void)state;
	ct.rec.op = FLYREP_OP_DELETE;
	memset(&ct.reply, 0xff, sizeof(ct) - offsetof(struct flyrep_ct, reply));
	assert_int_equal(fr_conntrack_check(&ct, &why), 0);
	ct.zone_dir = 0;
	assert_int_equal(fr_conntrack_check(&ct, &why), -EINVAL);
}

/* --- inversion ---------------------------------------------------------- */

/* What the kernel's two invmap[] say: type and type of its answer. */
static int kernel_answer(uint8_t proto, uint8_t type)
{
	static const uint8_t v4[][2] = { { 8, 0 },   { 0, 8 },	 { 13, 14 },
					 { 14, 13 }, { 15, 16 }, { 16, 15 },
					 { 17, 18 }, { 18, 17 } };
	static const uint8_t v6[][2] = {
		{ 128, 129 }, { 129, 128 }, { 139, 140 }, { 140, 139 }
	};
	const uint8_t(*pairs)[2] = proto == IPPROTO_ICMP ? v4 : v6;
	size_t n = proto == IPPROTO_ICMP ? N_OF(v4) : N_OF(v6), i;

	for (i = 0; i < n; i++)
		if (pairs[i][0] == type)
			return pairs[i][1];
	return -1;
}

static void assert_icmp_type(uint8_t proto, const char *src, const char *dst,
			     uint8_t type)
{
	struct flyrep_ct ct = flow(proto, src, dst, 0x1234, 0);
	struct flyrep_ct_tuple reply;
	int answer = kernel_answer(proto, type);
	const char *why;

	ct.orig.dport = type_code(type, 5);
	assert_int_equal(fr_conntrack_check(&ct, &why),
			 answer < 0 ? -EINVAL : 0);
	ct.rec.op = FLYREP_OP_DELETE;
	assert_int_equal(fr_conntrack_check(&ct, &why),
			 answer < 0 ? -EINVAL : 0);
	if (answer < 0) {
		assert_string_equal(why, "ICMP type without an answer");
		return;
	}
	fr_conntrack_invert(&reply, &ct);
	assert_memory_equal(&reply.src, &ct.orig.dst, sizeof(reply.src));
	assert_memory_equal(&reply.dst, &ct.orig.src, sizeof(reply.dst));
	assert_int_equal(reply.sport, htons(0x1234));
	assert_int_equal(reply.dport, type_code((uint8_t)answer, 5));
}

static void icmp_types_have_the_kernels_answers(void **state)
{
	unsigned int type;

	(void)state;
	for (type = 0; type < 256; type++) {
		assert_icmp_type(IPPROTO_ICMP, "10.0.0.1", "10.0.0.2",
				 (uint8_t)type);
		assert_icmp_type(IPPROTO_ICMPV6, "fd00::1", "fd00::2",
				 (uint8_t)type);
	}
}

/* --- key and digest ----------------------------------------------------- */

static void a_key_gives_the_record_back(void **state)
{
	const struct fr_table *t = &fr_conntrack_table;
	struct flyrep_ct cases[] = {
		tcp4(),
		tcp6(),
		flow(IPPROTO_UDP, "0.0.0.0", "255.255.255.255", 68, 67),
		flow(IPPROTO_ICMP, "10.0.0.1", "10.0.0.2", 77, 0x0800),
		flow(IPPROTO_ICMPV6, "fd00::1", "fd00::2", 77, 0x8000),
		sctp4(),
		dccp6(),
		esp4(),
		flow(IPPROTO_GRE, "10.0.0.1", "10.0.0.2", 0, 4711),
		flow(255, "fd00::1", "fd00::2", 0, 0),
	};
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct flyrep_ct back;
	unsigned int len, i;

	(void)state;
	cases[0].zone = 0xabcd;
	cases[0].zone_dir = 1;
	for (i = 0; i < N_OF(cases); i++) {
		len = t->key(key, &cases[i]);
		if (cases[i].family == AF_INET)
			assert_int_equal(len, FLYREP_CT_KEY_V4_LEN);
		else
			assert_int_equal(len, FLYREP_CT_KEY_MAX_LEN);
		memset(&back, 0, sizeof(back));
		assert_int_equal(t->from_key(&back, key, len), 0);
		assert_int_equal(back.rec.op, 0);
		assert_int_equal(back.family, cases[i].family);
		assert_int_equal(back.proto, cases[i].proto);
		assert_int_equal(back.zone, cases[i].zone);
		assert_int_equal(back.zone_dir, cases[i].zone_dir);
		assert_memory_equal(&back.orig, &cases[i].orig,
				    sizeof(back.orig));
	}
}

static void what_is_no_key_is_refused(void **state)
{
	const struct fr_table *t = &fr_conntrack_table;
	uint8_t key[FR_KEY_MAX_LEN + 1] __attribute__((aligned(8))) = { 0 };
	struct flyrep_ct ct = tcp4(), out;
	size_t len;

	(void)state;
	t->key(key, &ct);
	for (len = 0; len < sizeof(key); len++) {
		memset(&out, 0, sizeof(out));
		assert_int_equal(t->from_key(&out, key, len),
				 len == 16 ? 0 : -EINVAL);
	}
	key[0] = 0x36; /* says IPv6 */
	assert_int_equal(t->from_key(&out, key, 16), -EINVAL);
	key[0] = 0x04; /* no direction */
	assert_int_equal(t->from_key(&out, key, 16), -EINVAL);
	key[0] = 0x44;
	assert_int_equal(t->from_key(&out, key, 16), -EINVAL);
	key[0] = 0x34;
	key[1] = IPPROTO_ICMPV6;
	assert_int_equal(t->from_key(&out, key, 16), -EINVAL);
	key[1] = IPPROTO_ESP; /* with ports */
	assert_int_equal(t->from_key(&out, key, 16), -EINVAL);
	key[1] = 0;
	assert_int_equal(t->from_key(&out, key, 16), -EINVAL);
}

static void the_digest_covers_what_travels(void **state)
{
	static const struct flaw covered[] = {
		FLAW(proto, IPPROTO_UDP, ""), FLAW(zone, 7, ""),
		FLAW(zone_dir, 1, ""),	      FLAW(orig.src, 99, ""),
		FLAW(orig.dst, 99, ""),	      FLAW(orig.sport, 99, ""),
		FLAW(orig.dport, 99, ""),     FLAW(reply.src, 99, ""),
		FLAW(reply.dst, 99, ""),      FLAW(reply.sport, 99, ""),
		FLAW(reply.dport, 99, ""),    FLAW(status, 0x02, ""),
		FLAW(status, 0x16, ""),	      FLAW(mark, 1, ""),
		FLAW(tcp_state, 4, ""),	      FLAW(tcp_flags[0], 0x01, ""),
		FLAW(tcp_flags[1], 0x03, ""), FLAW(tcp_scale[0], 8, ""),
		FLAW(tcp_scale[1], 8, ""),
	};
	static const struct flaw ignored[] = {
		FLAW(rec.op, FLYREP_OP_INSERT, ""),
		FLAW(rec.flags, 1, ""),
		FLAW(rec.id, 9, ""),
		FLAW(rec.stamp, 9, ""),
		FLAW(rec.age_us, 9, ""),
		FLAW(timeout_s, 9, ""),
		FLAW(status, 0x8e | 0x40, ""), /* local bits beside the same */
		FLAW(tcp_flags[0], 0x2b, ""),
	};
	const struct fr_table *t = &fr_conntrack_table;
	struct flyrep_ct base[] = { tcp4(), tcp6() }, ct;
	uint64_t digest;
	size_t i, j;

	(void)state;
	for (i = 0; i < N_OF(base); i++) {
		digest = t->digest(&base[i], &hash_key);
		for (j = 0; j < N_OF(covered); j++) {
			ct = base[i];
			((uint8_t *)&ct)[covered[j].at] = covered[j].to;
			assert_true(t->digest(&ct, &hash_key) != digest);
		}
		for (j = 0; j < N_OF(ignored); j++) {
			ct = base[i];
			((uint8_t *)&ct)[ignored[j].at] = ignored[j].to;
			assert_true(t->digest(&ct, &hash_key) == digest);
		}
	}
}

static void the_digest_covers_the_state_of_each_protocol(void **state)
{
	static const struct flaw in_sctp[] = {
		FLAW(sctp_state, 5, ""),
		FLAW(sctp_vtag[0], 9, ""),
		FLAW(sctp_vtag[1], 9, ""),
	};
	static const struct flaw in_dccp[] = {
		FLAW(dccp_state, 5, ""),
		FLAW(dccp_role[0], 1, ""),
		FLAW(dccp_role[1], 0, ""),
		FLAW(dccp_handshake_seq, 9, ""),
		/* the highest byte, on a little and on a big endian machine */
		{ offsetof(struct flyrep_ct, dccp_handshake_seq) + 7, 9, "" },
	};
	const struct fr_table *t = &fr_conntrack_table;
	struct flyrep_ct sctp = sctp4(), dccp = dccp6(), ct;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(in_sctp); i++) {
		ct = sctp;
		((uint8_t *)&ct)[in_sctp[i].at] = in_sctp[i].to;
		assert_true(t->digest(&ct, &hash_key) !=
			    t->digest(&sctp, &hash_key));
	}
	for (i = 0; i < N_OF(in_dccp); i++) {
		ct = dccp;
		((uint8_t *)&ct)[in_dccp[i].at] = in_dccp[i].to;
		assert_true(t->digest(&ct, &hash_key) !=
			    t->digest(&dccp, &hash_key));
	}
}

/* --- columns ------------------------------------------------------------ */

/* What is left of a record once it has travelled. */
static struct flyrep_ct travelled(const struct flyrep_ct *ct)
{
	struct flyrep_ct out = *ct;
	size_t value = offsetof(struct flyrep_ct, reply);

	memset(&out.rec, 0, sizeof(out.rec));
	out.rec.op = ct->rec.op;
	out.timeout_s = 0;
	out.status &= FLYREP_CT_STATUS_MASK;
	if (ct->proto == IPPROTO_TCP) {
		out.tcp_flags[0] &= FLYREP_CT_TCP_FLAGS_MASK;
		out.tcp_flags[1] &= FLYREP_CT_TCP_FLAGS_MASK;
	}
	if (ct->rec.op == FLYREP_OP_DELETE)
		memset((uint8_t *)&out + value, 0, sizeof(out) - value);
	return out;
}

static size_t encode(uint8_t *buf, size_t size, const struct flyrep_ct *recs,
		     size_t n)
{
	struct fr_writer w;

	fr_writer_init(&w, buf, size);
	assert_int_equal(fr_conntrack_table.encode(&w, recs, n), 0);
	assert_false(w.bad);
	return fr_writer_len(&w);
}

/* Decodes from memory that ends where the input ends, so that ASan sees all. */
static int decode(const uint8_t *buf, size_t len, struct flyrep_ct *recs,
		  size_t n_max, size_t *n)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct fr_reader r;
	int err;

	assert_non_null(exact);
	memcpy(exact, buf, len);
	fr_reader_init(&r, exact, len);
	err = fr_conntrack_table.decode(&r, recs, n_max * sizeof(*recs), n_max, n);
	if (!err)
		assert_int_equal(fr_reader_left(&r), 0);
	else
		assert_int_equal(err, -EBADMSG);
	free(exact);
	return err;
}

#define N_SAMPLES 400

/* Every kind of shape, beside each other in all orders. */
static void make_samples(struct flyrep_ct *recs)
{
	static const uint8_t protos[] = { IPPROTO_TCP,	IPPROTO_UDP,
					  IPPROTO_ICMP, IPPROTO_SCTP,
					  IPPROTO_DCCP, IPPROTO_UDPLITE,
					  IPPROTO_GRE,	IPPROTO_ESP };
	uint32_t x = 12345;
	size_t i;

	for (i = 0; i < N_SAMPLES; i++) {
		bool is_v6 = (x >> 8) & 1;
		uint8_t proto = protos[(x >> 9) % N_OF(protos)];
		struct flyrep_ct *ct = &recs[i];

		if (is_v6 && proto == IPPROTO_ICMP)
			proto = IPPROTO_ICMPV6;
		*ct = flow(proto, is_v6 ? "fd00::1" : "10.0.0.1",
			   is_v6 ? "fd00::2" : "10.0.0.2", (uint16_t)x,
			   (uint16_t)(x >> 16));
		if (proto == IPPROTO_ESP)
			ct->orig.sport = ct->orig.dport = 0;
		if (proto == IPPROTO_ICMP)
			ct->orig.dport = type_code((x >> 5) & 1 ? 8 : 14, 0);
		if (proto == IPPROTO_ICMPV6)
			ct->orig.dport = type_code((x >> 5) & 1 ? 128 : 140, 0);
		ct->orig.src.byte[3] = (uint8_t)x;
		ct->orig.dst.byte[2] = (uint8_t)(x >> 3);
		fr_conntrack_invert(&ct->reply, ct);
		ct->rec.op = (uint8_t)(1 + (x >> 12) % 3);
		ct->rec.id = x;
		ct->rec.stamp = x;
		ct->timeout_s = x;
		ct->status = x >> 3;
		ct->mark = (x >> 14) & 1 ? x : 0;
		ct->zone = (x >> 15) & 1 ? (uint16_t)(x >> 5) : 0;
		ct->zone_dir = (x >> 16) & 1 ? (uint8_t)(1 + (x >> 17) % 3) : 3;
		if ((x >> 20) & 1)
			ct->reply.src.byte[1] ^= 0x11;
		if ((x >> 21) & 1)
			ct->reply.dst.byte[0] ^= 0x11;
		if ((x >> 22) & 1 && proto != IPPROTO_ESP)
			ct->reply.dport ^= 0x1100;
		if ((x >> 23) & 1 && proto != IPPROTO_ESP)
			ct->reply.sport ^= 0x0011;
		if (proto == IPPROTO_SCTP) {
			ct->sctp_state = (uint8_t)((x >> 4) % 9);
			ct->sctp_vtag[0] = x;
			ct->sctp_vtag[1] = ~x;
		}
		if (proto == IPPROTO_DCCP) {
			ct->dccp_state = (uint8_t)((x >> 4) % 8);
			ct->dccp_role[x & 1] = 1;
			ct->dccp_handshake_seq = x * 0x123456789abull;
		}
		if (proto == IPPROTO_TCP) {
			ct->tcp_state = (uint8_t)((x >> 4) % 10);
			ct->tcp_flags[0] = (uint8_t)(x >> 6);
			ct->tcp_flags[1] = (uint8_t)(x >> 7);
			ct->tcp_scale[0] = (uint8_t)((x >> 10) % 15);
			ct->tcp_scale[1] = (uint8_t)((x >> 11) % 15);
		}
		x = x * 1664525 + 1013904223;
	}
}

static void batches_round_trip(void **state)
{
	static struct flyrep_ct recs[N_SAMPLES], back[N_SAMPLES];
	static uint8_t buf[N_SAMPLES * 128];
	size_t n, n_back, len, i;

	(void)state;
	make_samples(recs);
	for (n = 0; n <= N_SAMPLES; n = n * 2 + 1) {
		len = encode(buf, sizeof(buf), recs, n);
		assert_int_equal(decode(buf, len, back, N_SAMPLES, &n_back), 0);
		assert_int_equal(n_back, n);
		for (i = 0; i < n; i++) {
			struct flyrep_ct want = travelled(&recs[i]);

			assert_memory_equal(&back[i], &want, sizeof(want));
		}
	}
}

static void a_reply_that_follows_takes_no_bytes(void **state)
{
	struct flyrep_ct ct = tcp4();
	uint8_t buf[128];

	(void)state;
	/* n, shape, proto, addresses, ports, status, TCP */
	assert_int_equal(encode(buf, sizeof(buf), &ct, 1), 19);
	/* source NAT that keeps the port: the new address */
	ct.reply.dst.byte[3] ^= 1;
	assert_int_equal(encode(buf, sizeof(buf), &ct, 1), 19 + 4);
	ct.reply.dport ^= 1;
	assert_int_equal(encode(buf, sizeof(buf), &ct, 1), 19 + 6);
	ct.reply.sport ^= 1;
	assert_int_equal(encode(buf, sizeof(buf), &ct, 1), 19 + 12);

	ct = flow(IPPROTO_ICMP, "10.0.0.1", "10.0.0.2", 7, 0x0800);
	assert_int_equal(encode(buf, sizeof(buf), &ct, 1), 16);
	ct = esp4();
	assert_int_equal(encode(buf, sizeof(buf), &ct, 1), 16);
	ct = sctp4(); /* state, two tags */
	assert_int_equal(encode(buf, sizeof(buf), &ct, 1), 16 + 9);
	ct = dccp6(); /* longer addresses; state, roles, sequence number */
	assert_int_equal(encode(buf, sizeof(buf), &ct, 1), 40 + 10);
}

static void what_is_cut_short_is_refused(void **state)
{
	struct flyrep_ct recs[8], back[8];
	static struct flyrep_ct samples[N_SAMPLES];
	uint8_t buf[1024];
	size_t len, n, cut;

	(void)state;
	make_samples(samples);
	memcpy(recs, samples, sizeof(recs));
	len = encode(buf, sizeof(buf), recs, N_OF(recs));
	for (cut = 0; cut < len; cut++) {
		assert_int_equal(decode(buf, cut, back, N_OF(back), &n),
				 -EBADMSG);
		assert_int_equal(n, 0);
	}
	assert_int_equal(decode(buf, len, back, N_OF(back) - 1, &n), -EBADMSG);
	assert_int_equal(decode(buf, len, back, N_OF(back), &n), 0);
}

static void what_no_encoder_writes_is_refused(void **state)
{
	/* One record of tcp4(): n, shape, proto, 4, 4, 2, 2, status, TCP. */
	static const struct {
		size_t at;
		uint8_t to;
	} bad[] = {
		{ 1, 0xc8 }, /* no operation */
		{ 2, IPPROTO_SCTP }, /* not so much of a value */
		{ 2, 0 },
		{ 2, IPPROTO_ICMPV6 },
		{ 15, 0x10 }, /* status */
		{ 16, 10 }, /* TCP state */
		{ 17, 0x04 }, /* TCP flags */
		{ 17, 0x40 },
		{ 18, 0x0f }, /* scale */
		{ 18, 0xf0 },
	};
	struct flyrep_ct ct = tcp4(), back;
	uint8_t good[64], buf[64];
	size_t len, n, i;

	(void)state;
	len = encode(good, sizeof(good), &ct, 1);
	assert_int_equal(len, 19);
	for (i = 0; i < N_OF(bad); i++) {
		memcpy(buf, good, len);
		buf[bad[i].at] = bad[i].to;
		assert_int_equal(decode(buf, len, &back, 1, &n), -EBADMSG);
	}

	ct = sctp4();
	len = encode(good, sizeof(good), &ct, 1);
	assert_int_equal(decode(good, len, &back, 1, &n), 0);
	good[16] = 9; /* state */
	assert_int_equal(decode(good, len, &back, 1, &n), -EBADMSG);
	ct = dccp6();
	len = encode(good, sizeof(good), &ct, 1);
	assert_int_equal(decode(good, len, &back, 1, &n), 0);
	good[41] = 0x20; /* roles */
	assert_int_equal(decode(good, len, &back, 1, &n), -EBADMSG);
	ct = esp4();
	len = encode(good, sizeof(good), &ct, 1);
	assert_int_equal(decode(good, len, &back, 1, &n), 0);
	good[11] = 1; /* a port */
	assert_int_equal(decode(good, len, &back, 1, &n), -EBADMSG);
	ct = tcp4();

	/* A DELETE has no value and no shape that speaks of one. */
	ct.rec.op = FLYREP_OP_DELETE;
	len = encode(good, sizeof(good), &ct, 1);
	assert_int_equal(good[1], FLYREP_OP_DELETE);
	for (i = 0x08; i <= 0x80; i <<= 1) {
		if (i == 0x10)
			continue;
		memcpy(buf, good, len);
		buf[1] |= (uint8_t)i;
		assert_int_equal(decode(buf, len, &back, 1, &n), -EBADMSG);
	}

	/* An ICMP type without an answer. */
	ct = flow(IPPROTO_ICMP, "10.0.0.1", "10.0.0.2", 7, 0x0800);
	len = encode(buf, sizeof(buf), &ct, 1);
	assert_int_equal(decode(buf, len, &back, 1, &n), 0);
	buf[13] = 3;
	assert_int_equal(decode(buf, len, &back, 1, &n), -EBADMSG);
}

static void counts_beyond_the_input_cost_nothing(void **state)
{
	static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					0xff, 0xff, 0xff, 0x01, 2,    2 };
	struct flyrep_ct back;
	size_t n;

	(void)state;
	assert_int_equal(decode(huge, sizeof(huge), &back, SIZE_MAX, &n),
			 -EBADMSG);
}

static void a_full_writer_says_so(void **state)
{
	struct flyrep_ct recs[2] = { tcp4(), tcp6() };
	struct fr_writer w;
	uint8_t buf[128];
	size_t len, size;

	(void)state;
	len = encode(buf, sizeof(buf), recs, 2);
	for (size = 0; size < len; size++) {
		fr_writer_init(&w, buf, size);
		assert_int_equal(fr_conntrack_table.encode(&w, recs, 2),
				 -ENOSPC);
		assert_true(w.bad);
	}
}

/* --- the table ---------------------------------------------------------- */

static void every_table_has_a_row(void **state)
{
	unsigned int id;

	(void)state;
	assert_null(fr_table_by_id(FLYREP_TABLE_UNSPEC));
	assert_null(fr_table_by_id(__FLYREP_TABLE_MAX));
	assert_null(fr_table_by_id(UINT32_MAX));
	for (id = 1; id <= FLYREP_TABLE_MAX; id++) {
		const struct fr_table *t = fr_table_by_id(id);

		assert_non_null(t);
		assert_int_equal(t->id, id);
		assert_ptr_equal(fr_table_by_name(t->name), t);
		assert_true(t->rec_len >= sizeof(struct flyrep_rec));
	}
	assert_null(fr_table_by_name("nothing"));
}

static void records_of_other_sizes_are_fitted(void **state)
{
	const struct fr_table *t = &fr_conntrack_table;
	struct flyrep_ct ct[2] = { tcp4(), tcp6() }, out[2], want;
	uint8_t wide[2][160], narrow[2][104];
	size_t i;

	(void)state;
	memset(wide, 0xee, sizeof(wide));
	for (i = 0; i < 2; i++) {
		memcpy(wide[i], &ct[i], sizeof(ct[i]));
		memcpy(narrow[i], &ct[i], sizeof(narrow[i]));
	}
	memset(out, 0xdd, sizeof(out));
	fr_records_resize(t, out, wide, sizeof(wide[0]), 2);
	assert_memory_equal(out, ct, sizeof(ct));
	memset(out, 0xdd, sizeof(out));
	fr_records_resize(t, out, narrow, sizeof(narrow[0]), 2);
	for (i = 0; i < 2; i++) {
		memset(&want, 0, sizeof(want));
		memcpy(&want, &ct[i], sizeof(narrow[i]));
		assert_memory_equal(&out[i], &want, sizeof(want));
	}
	memset(out, 0xdd, sizeof(out));
	fr_records_resize(t, out, ct, sizeof(ct[0]), 2);
	assert_memory_equal(out, ct, sizeof(ct));
}

/* --- for people --------------------------------------------------------- */

static void assert_json(const struct flyrep_ct *ct, const char *want)
{
	json_t *obj = fr_conntrack_table.to_json(ct);
	json_t *expected = json_loads(want, 0, NULL);

	assert_non_null(obj);
	assert_non_null(expected);
	if (!json_equal(obj, expected))
		json_dumpf(obj, stderr, JSON_SORT_KEYS);
	assert_true(json_equal(obj, expected));
	json_decref(obj);
	json_decref(expected);
}

static void json_says_what_a_person_needs(void **state)
{
	struct flyrep_ct ct = tcp4();

	(void)state;
	ct.rec.id = 4294967295u;
	ct.rec.stamp = 7;
	ct.timeout_s = 60;
	ct.mark = 0xffffffff;
	ct.reply.dst.byte[0] = 11;
	ct.status |= 0x10;
	assert_json(&ct,
		    "{\"table\":\"conntrack\",\"op\":\"update\","
		    "\"origin\":\"local\",\"id\":4294967295,\"stamp\":7,"
		    "\"age_us\":0,\"family\":\"ipv4\",\"proto\":\"tcp\","
		    "\"zone\":0,\"original\":{\"src\":\"10.0.0.5\","
		    "\"dst\":\"198.51.100.7\",\"sport\":40000,\"dport\":443},"
		    "\"reply\":{\"src\":\"198.51.100.7\",\"dst\":\"11.0.0.5\","
		    "\"sport\":443,\"dport\":40000},"
		    "\"status\":[\"seen_reply\",\"assured\",\"src_nat\"],"
		    "\"timeout_s\":60,\"mark\":4294967295,"
		    "\"tcp_state\":\"ESTABLISHED\",\"tcp_original\":"
		    "{\"scale\":7,\"flags\":[\"window_scale\",\"sack_perm\"]},"
		    "\"tcp_reply\":{\"scale\":14,"
		    "\"flags\":[\"window_scale\"]}}");

	ct = flow(IPPROTO_ICMPV6, "fd00::1", "fd00::2", 9, 0x8000);
	ct.rec.op = FLYREP_OP_DELETE;
	ct.rec.flags = FLYREP_REC_F_REMOTE;
	ct.zone = 5;
	ct.zone_dir = 1;
	assert_json(&ct,
		    "{\"table\":\"conntrack\",\"op\":\"delete\","
		    "\"origin\":\"remote\",\"id\":0,\"stamp\":0,\"age_us\":0,"
		    "\"family\":\"ipv6\",\"proto\":\"icmpv6\",\"zone\":5,"
		    "\"zone_dir\":[\"original\"],\"original\":"
		    "{\"src\":\"fd00::1\",\"dst\":\"fd00::2\",\"type\":128,"
		    "\"code\":0,\"id\":9}}");
}

/* The part of a record's text that its protocol decides */
static void assert_json_has(const struct flyrep_ct *ct, const char *want)
{
	json_t *obj = fr_conntrack_table.to_json(ct), *value;
	json_t *expected = json_loads(want, 0, NULL);
	const char *name;

	assert_non_null(expected);
	json_object_foreach(expected, name, value)
		assert_true(json_equal(json_object_get(obj, name), value));
	json_decref(obj);
	json_decref(expected);
}

static void json_tells_each_protocol(void **state)
{
	struct flyrep_ct ct = sctp4();

	(void)state;
	assert_json_has(&ct, "{\"proto\":\"sctp\","
			     "\"original\":{\"src\":\"10.0.0.5\","
			     "\"dst\":\"198.51.100.7\",\"sport\":2905,"
			     "\"dport\":2906},"
			     "\"sctp_state\":\"ESTABLISHED\","
			     "\"sctp_vtag\":[16909060,4041265344]}");
	ct.sctp_state = 77;
	assert_json_has(&ct, "{\"sctp_state\":77}");
	ct = dccp6();
	assert_json_has(&ct, "{\"proto\":\"dccp\",\"dccp_state\":\"OPEN\","
			     "\"dccp_role\":[0,1],"
			     "\"dccp_handshake_seq\":177789161760246}");
	ct.dccp_state = 8;
	assert_json_has(&ct, "{\"dccp_state\":8}");
	ct = flow(IPPROTO_GRE, "10.0.0.5", "198.51.100.7", 1, 2);
	assert_json_has(&ct, "{\"proto\":\"gre\",\"original\":"
			     "{\"src\":\"10.0.0.5\","
			     "\"dst\":\"198.51.100.7\",\"sport\":1,"
			     "\"dport\":2}}");
	ct = flow(IPPROTO_UDPLITE, "10.0.0.5", "198.51.100.7", 1, 2);
	assert_json_has(&ct, "{\"proto\":\"udplite\"}");
	ct = esp4();
	assert_json_has(&ct, "{\"proto\":50,\"original\":"
			     "{\"src\":\"10.0.0.5\","
			     "\"dst\":\"198.51.100.7\"}}");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flaw_is_refused_by_name),
		cmocka_unit_test(a_flaw_of_each_protocol_is_refused_by_name),
		cmocka_unit_test(a_delete_needs_only_its_key),
		cmocka_unit_test(icmp_types_have_the_kernels_answers),
		cmocka_unit_test(a_key_gives_the_record_back),
		cmocka_unit_test(what_is_no_key_is_refused),
		cmocka_unit_test(the_digest_covers_what_travels),
		cmocka_unit_test(the_digest_covers_the_state_of_each_protocol),
		cmocka_unit_test(batches_round_trip),
		cmocka_unit_test(a_reply_that_follows_takes_no_bytes),
		cmocka_unit_test(what_is_cut_short_is_refused),
		cmocka_unit_test(what_no_encoder_writes_is_refused),
		cmocka_unit_test(counts_beyond_the_input_cost_nothing),
		cmocka_unit_test(a_full_writer_says_so),
		cmocka_unit_test(every_table_has_a_row),
		cmocka_unit_test(records_of_other_sizes_are_fitted),
		cmocka_unit_test(json_says_what_a_person_needs),
		cmocka_unit_test(json_tells_each_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
