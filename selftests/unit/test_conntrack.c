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
		FLAW(rec.reserved, 1, "reserved bytes are set"),
		FLAW(rec.reserved2, 1, "reserved bytes are set"),
		FLAW(reserved, 1, "reserved bytes are set"),
		FLAW(reserved[2], 1, "reserved bytes are set"),
		FLAW(reserved3, 1, "reserved bytes are set"),
		FLAW(reserved3[6], 0x80, "reserved bytes are set"),
		FLAW(family, 0, "unknown address family"),
		FLAW(family, 3, "unknown address family"),
		FLAW(proto, 0, "unknown protocol"),
		FLAW(proto, IPPROTO_SCTP, "unknown protocol"),
		FLAW(zone_dir, 0, "zone direction out of range"),
		FLAW(zone_dir, 4, "zone direction out of range"),
		FLAW(tcp_state, 10, "TCP state out of range"),
		FLAW(tcp_scale[0], 15, "TCP window scale out of range"),
		FLAW(tcp_scale[1], 15, "TCP window scale out of range"),
		FLAW(proto, IPPROTO_UDP,
		     "TCP fields are set for another protocol"),
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
	out.tcp_flags[0] &= FLYREP_CT_TCP_FLAGS_MASK;
	out.tcp_flags[1] &= FLYREP_CT_TCP_FLAGS_MASK;
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
	err = fr_conntrack_table.decode(&r, recs, n_max, n);
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
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP,
					  IPPROTO_ICMP };
	uint32_t x = 12345;
	size_t i;

	for (i = 0; i < N_SAMPLES; i++) {
		bool is_v6 = (x >> 8) & 1;
		uint8_t proto = protos[(x >> 9) % 3];
		struct flyrep_ct *ct = &recs[i];

		if (is_v6 && proto == IPPROTO_ICMP)
			proto = IPPROTO_ICMPV6;
		*ct = flow(proto, is_v6 ? "fd00::1" : "10.0.0.1",
			   is_v6 ? "fd00::2" : "10.0.0.2", (uint16_t)x,
			   (uint16_t)(x >> 16));
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
		if ((x >> 22) & 1)
			ct->reply.dport ^= 0x1100;
		if ((x >> 23) & 1)
			ct->reply.sport ^= 0x0011;
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
		{ 2, IPPROTO_SCTP }, { 2, IPPROTO_ICMPV6 },
		{ 15, 0x10 }, /* status */
		{ 16, 10 }, /* TCP state */
		{ 17, 0x04 }, /* TCP flags */
		{ 17, 0x40 },	     { 18, 0x0f }, /* scale */
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flaw_is_refused_by_name),
		cmocka_unit_test(a_delete_needs_only_its_key),
		cmocka_unit_test(icmp_types_have_the_kernels_answers),
		cmocka_unit_test(a_key_gives_the_record_back),
		cmocka_unit_test(what_is_no_key_is_refused),
		cmocka_unit_test(the_digest_covers_what_travels),
		cmocka_unit_test(batches_round_trip),
		cmocka_unit_test(a_reply_that_follows_takes_no_bytes),
		cmocka_unit_test(what_is_cut_short_is_refused),
		cmocka_unit_test(what_no_encoder_writes_is_refused),
		cmocka_unit_test(counts_beyond_the_input_cost_nothing),
		cmocka_unit_test(a_full_writer_says_so),
		cmocka_unit_test(every_table_has_a_row),
		cmocka_unit_test(records_of_other_sizes_are_fitted),
		cmocka_unit_test(json_says_what_a_person_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
