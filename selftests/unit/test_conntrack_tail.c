// SPDX-License-Identifier: GPL-2.0-or-later
/* The tail of a flow's record: check, digest, columns, text. */
#include "conntrack_tail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conntrack.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define REC_MAX_LEN (sizeof(struct flyrep_ct) + sizeof(struct flyrep_ct_ext))

static const struct fr_siphash_key hash_key = { "conntrack tests" };
static const struct fr_table *const t = &fr_conntrack_table;

/* A record with its tail */
struct tailed {
	struct flyrep_ct ct;
	uint8_t tail[512];
};

static struct flyrep_ct flow(uint8_t family, uint16_t sport)
{
	struct flyrep_ct ct = { .rec.op = FLYREP_OP_UPDATE,
				.family = family,
				.proto = IPPROTO_TCP,
				.zone_dir = 3,
				.tcp_state = 3 };

	ct.orig.src.byte[0] = 10;
	ct.orig.src.byte[3] = 1;
	ct.orig.dst.byte[0] = 10;
	ct.orig.dst.byte[3] = 2;
	if (family == AF_INET6)
		ct.orig.src.byte[15] = ct.orig.dst.byte[14] = 9;
	ct.orig.sport = htons(sport);
	ct.orig.dport = htons(21);
	fr_conntrack_invert(&ct.reply, &ct);
	return ct;
}

static const struct flyrep_ct_ext full = {
	.has = FLYREP_CT_EXT_ALL,
	.master_proto = IPPROTO_UDP,
	.master = { .src.byte = { 10, 3, 2, 1 },
		    .dst.byte = { 10, 3, 2, 2 },
		    .sport = 1,
		    .dport = 2 },
	.synproxy_isn = 0x01020304,
	.synproxy_its = 1,
	.synproxy_tsoff = 2,
	.helper = "ftp",
	.masq_ifname = "eth0",
	.labels = { 0, 2, [15] = 0x80 },
	.seqadj = { { 1, -2, 3 }, { 4, 5, -6 } },
	.timeout_s = { 1, 2, 3 },
	.start_ns = 4,
	.packets = { 5, 6 },
	.bytes = { 7, 8 },
};

static struct tailed tailed(struct flyrep_ct ct, const struct flyrep_ct_ext *x)
{
	struct tailed rec = { .ct = ct };

	rec.ct.rec.tail_len = sizeof(*x);
	memcpy(rec.tail, x, sizeof(*x));
	return rec;
}

/* Only the things of @bits */
static struct flyrep_ct_ext part(uint32_t bits)
{
	struct flyrep_ct_ext x = { .has = full.has & bits };

#define TAKE(bit, field)                                                \
	do {                                                            \
		if (bits & (bit))                                       \
			memcpy(&x.field, &full.field, sizeof(x.field)); \
	} while (0)
	TAKE(FLYREP_CT_EXT_MASTER, master_proto);
	TAKE(FLYREP_CT_EXT_MASTER, master);
	TAKE(FLYREP_CT_EXT_HELPER, helper);
	TAKE(FLYREP_CT_EXT_TIMEOUT, timeout_s);
	TAKE(FLYREP_CT_EXT_MASQ, masq_ifname);
	TAKE(FLYREP_CT_EXT_LABELS, labels);
	TAKE(FLYREP_CT_EXT_SEQADJ, seqadj);
	TAKE(FLYREP_CT_EXT_SYNPROXY, synproxy_isn);
	TAKE(FLYREP_CT_EXT_SYNPROXY, synproxy_its);
	TAKE(FLYREP_CT_EXT_SYNPROXY, synproxy_tsoff);
	TAKE(FLYREP_CT_EXT_START, start_ns);
	TAKE(FLYREP_CT_EXT_COUNTERS, packets);
	TAKE(FLYREP_CT_EXT_COUNTERS, bytes);
#undef TAKE
	return x;
}

static const char *refused(const struct flyrep_ct_ext *x)
{
	struct tailed rec = tailed(flow(AF_INET, 1), x);
	const char *why = NULL;

	if (t->check(&rec, &why))
		return why;
	return NULL;
}

static void each_flaw_is_refused_by_name(void **state)
{
	struct flyrep_ct_ext x;
	uint32_t bit;

	(void)state;
	assert_null(refused(&full));
#define FLAW(change, why)                              \
	do {                                           \
		x = full;                              \
		change;                                \
		assert_non_null(refused(&x));          \
		assert_string_equal(refused(&x), why); \
	} while (0)
	FLAW(x.has = 0, "a tail of nothing, or of things unknown");
	FLAW(x.has = 0x200, "a tail of nothing, or of things unknown");
	FLAW(x.reserved[1] = 1, "reserved bytes are set");
	for (bit = 1; bit < FLYREP_CT_EXT_ALL; bit <<= 1)
		FLAW(x.has &= ~bit, "more in the tail than it says");
	FLAW(x.helper[15] = 1, "no name of a helper");
	FLAW(x.helper[0] = 0, "no name of a helper");
	FLAW(memset(x.helper, 'a', 16), "no name of a helper");
	FLAW(x.masq_ifname[5] = 1, "no name of an interface");
	FLAW(memset(x.masq_ifname, 'a', 16), "no name of an interface");
	FLAW(memset(x.labels, 0, 16), "no labels");
	FLAW(x.synproxy_isn = x.synproxy_its = x.synproxy_tsoff = 0,
	     "no numbers of synproxy");
	FLAW(x.start_ns = 0, "no start");
	FLAW(x.master_proto = 0, "no such master");
	FLAW(x.master_proto = IPPROTO_ESP, "no such master");
	FLAW(x.master_proto = IPPROTO_ICMPV6, "no such master");
	FLAW(x.master.dst.byte[4] = 1, "no such master");
#undef FLAW
}

static void a_tail_may_be_shorter_or_longer(void **state)
{
	struct flyrep_ct_ext labels = part(FLYREP_CT_EXT_LABELS), x;
	struct tailed rec = tailed(flow(AF_INET, 1), &labels);
	uint64_t digest = t->digest(&rec, &hash_key);
	const char *why = NULL;

	(void)state;
	assert_int_equal(t->tail_max, sizeof(full));
	memset(rec.tail + 104, 0xee, sizeof(rec.tail) - 104);
	rec.ct.rec.tail_len = 104;
	assert_int_equal(t->check(&rec, &why), 0);
	assert_true(fr_conntrack_tail(&x, &rec.ct));
	assert_memory_equal(&x, &labels, sizeof(x));
	assert_true(t->digest(&rec, &hash_key) == digest);
	memcpy(rec.tail, &labels, sizeof(labels));
	rec.ct.rec.tail_len = 504;
	assert_int_equal(t->check(&rec, &why), 0);
	assert_true(t->digest(&rec, &hash_key) == digest);
	rec.ct.rec.tail_len = 100;
	assert_int_equal(t->check(&rec, &why), -EINVAL);
	/* Of a DELETE nobody looks. */
	rec.ct.rec.op = FLYREP_OP_DELETE;
	memset(rec.tail, 0xee, sizeof(rec.tail));
	assert_int_equal(t->check(&rec, &why), 0);
	assert_false(fr_conntrack_tail(&x, &rec.ct));
}

/* What a healthy node may lack, or sees otherwise, is no difference. */
static void the_digest_covers_what_all_nodes_can_hold(void **state)
{
	const uint32_t covered = FLYREP_CT_EXT_LABELS | FLYREP_CT_EXT_SEQADJ |
				 FLYREP_CT_EXT_SYNPROXY;
	struct flyrep_ct ct = flow(AF_INET, 1);
	uint64_t plain = t->digest(&ct, &hash_key), seen[8], d;
	struct flyrep_ct_ext x = part(FLYREP_CT_EXT_ALL & ~covered);
	struct tailed rec = tailed(ct, &x);
	size_t i, j, n = 0;
	uint32_t bits;

	(void)state;
	assert_true(t->digest(&rec, &hash_key) == plain);
	for (bits = 0; bits <= covered; bits += FLYREP_CT_EXT_LABELS) {
		if (bits & ~covered)
			continue;
		x = part(bits);
		rec = tailed(ct, &x);
		if (!bits)
			rec.ct.rec.tail_len = 0;
		seen[n++] = t->digest(&rec, &hash_key);
		/* Beside all the rest it is the same. */
		x = part(bits | (FLYREP_CT_EXT_ALL & ~covered));
		rec = tailed(ct, &x);
		assert_true(t->digest(&rec, &hash_key) == seen[n - 1]);
	}
	assert_int_equal(n, 8);
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);

	rec = tailed(ct, &full);
	d = t->digest(&rec, &hash_key);
	for (i = 0; i < sizeof(full); i++) {
		bool is_covered =
			(i >= offsetof(struct flyrep_ct_ext, synproxy_isn) &&
			 i < offsetof(struct flyrep_ct_ext, helper)) ||
			(i >= offsetof(struct flyrep_ct_ext, labels) &&
			 i < offsetof(struct flyrep_ct_ext, timeout_s));

		if (i < sizeof(full.has))
			continue;
		rec.tail[i] ^= 0x40;
		assert_int_equal(t->digest(&rec, &hash_key) != d, is_covered);
		rec.tail[i] ^= 0x40;
	}
}

#define N_SAMPLES 200

/* Records of all kinds in turn; returns their length */
static size_t make_samples(uint8_t *recs, uint8_t *plain)
{
	uint8_t *end = recs;
	uint32_t v = 12345;
	size_t i;

	for (i = 0; i < N_SAMPLES; i++) {
		struct flyrep_ct ct =
			flow(v & 0x100 ? AF_INET6 : AF_INET, (uint16_t)i);
		struct flyrep_ct_ext x = part(v >> 10 & FLYREP_CT_EXT_ALL);

		v = v * 1664525 + 1013904223;
		ct.rec.op = (uint8_t)(1 + (v >> 12) % 3);
		memcpy(plain + i * sizeof(ct), &ct, sizeof(ct));
		if (v & 0x10000 && x.has) {
			if (ct.family == AF_INET6 &&
			    x.has & FLYREP_CT_EXT_MASTER)
				x.master.dst.byte[9] = (uint8_t)v;
			ct.rec.tail_len = sizeof(x);
		}
		memcpy(end, &ct, sizeof(ct));
		memcpy(end + sizeof(ct), &x, sizeof(x));
		end += sizeof(ct) + ct.rec.tail_len;
	}
	return (size_t)(end - recs);
}

static size_t encode(uint8_t *buf, size_t size, const void *recs, size_t n)
{
	struct fr_writer w;

	fr_writer_init(&w, buf, size);
	assert_int_equal(t->encode(&w, recs, n), 0);
	return fr_writer_len(&w);
}

/* Decodes from memory that ends where the input ends, into memory of @room bytes. */
static int decode(const uint8_t *buf, size_t len, uint8_t *recs, size_t room,
		  size_t *n)
{
	uint8_t *exact = malloc(len ? len : 1);
	uint8_t *out = malloc(room ? room : 1);
	struct fr_reader r;
	int err;

	assert_non_null(exact);
	assert_non_null(out);
	memcpy(exact, buf, len);
	fr_reader_init(&r, exact, len);
	err = t->decode(&r, out, room, SIZE_MAX, n);
	if (!err) {
		assert_int_equal(fr_reader_left(&r), 0);
		memcpy(recs, out, room);
	}
	free(exact);
	free(out);
	return err;
}

static void batches_round_trip(void **state)
{
	static uint8_t recs[N_SAMPLES * REC_MAX_LEN]
		__attribute__((aligned(8)));
	static uint8_t plain[N_SAMPLES * sizeof(struct flyrep_ct)]
		__attribute__((aligned(8)));
	static uint8_t back[sizeof(recs)] __attribute__((aligned(8)));
	static uint8_t buf[sizeof(recs)], bare[sizeof(recs)];
	const struct flyrep_ct *a, *b;
	size_t len, room, n, i, bare_len, n_tails = 0;

	(void)state;
	room = make_samples(recs, plain);
	len = encode(buf, sizeof(buf), recs, N_SAMPLES);
	/* The columns before the tails are those of the same flows without. */
	bare_len = encode(bare, sizeof(bare), plain, N_SAMPLES);
	assert_true(bare_len < len);
	assert_memory_equal(buf, bare, bare_len);

	/* A DELETE has lost its tail on the way. */
	for (i = 0, a = (void *)recs; i < N_SAMPLES; i++) {
		if (a->rec.op == FLYREP_OP_DELETE)
			room -= a->rec.tail_len;
		else
			n_tails += !!a->rec.tail_len;
		a = fr_record_next(t, a);
	}
	assert_true(n_tails > 20 && n_tails < N_SAMPLES - 20);
	assert_int_equal(decode(buf, len, back, room - 1, &n), -EBADMSG);
	assert_int_equal(decode(buf, len, back, room, &n), 0);
	assert_int_equal(n, N_SAMPLES);
	for (i = 0, a = (void *)recs, b = (void *)back; i < n; i++) {
		if (a->rec.op == FLYREP_OP_DELETE)
			assert_int_equal(b->rec.tail_len, 0);
		else
			assert_memory_equal(a, b, fr_record_len(t, a));
		a = fr_record_next(t, a);
		b = fr_record_next(t, b);
	}
}

static void a_plain_flow_pays_a_bit(void **state)
{
	struct flyrep_ct_ext x = part(FLYREP_CT_EXT_LABELS);
	uint8_t recs[3 * REC_MAX_LEN] __attribute__((aligned(8))), buf[512];
	struct flyrep_ct ct = flow(AF_INET, 1);
	struct tailed rec = tailed(ct, &x);
	size_t one, two;

	(void)state;
	memcpy(recs, &ct, sizeof(ct));
	one = encode(buf, sizeof(buf), recs, 1);
	assert_int_equal(one, 19);
	memcpy(recs + sizeof(ct), &rec, REC_MAX_LEN);
	two = encode(buf, sizeof(buf), recs, 2);
	/* a bitmap, what it has, the labels */
	assert_int_equal(two, 1 + 2 * 18 + 1 + 2 + 16);
}

static void what_no_encoder_writes_is_refused(void **state)
{
	struct flyrep_ct_ext x = part(FLYREP_CT_EXT_HELPER);
	struct tailed rec = tailed(flow(AF_INET, 1), &x);
	uint8_t good[512], buf[512], back[REC_MAX_LEN];
	/* 19 bytes of columns, the bitmap, has, 16 bytes of a name */
	static const struct {
		size_t at;
		uint8_t to;
	} bad[] = {
		{ 19, 0 }, { 19, 3 },	{ 19, 0x81 }, { 20, 2 },   { 21, 0 },
		{ 22, 0 }, { 37, 'x' }, { 26, 'x' },  { 1, 0x03 },
	};
	size_t len, n, i;

	(void)state;
	len = encode(good, sizeof(good), &rec, 1);
	assert_int_equal(len, 19 + 1 + 2 + 16);
	assert_int_equal(decode(good, len, back, sizeof(back), &n), 0);
	for (i = 0; i < N_OF(bad); i++) {
		memcpy(buf, good, len);
		buf[bad[i].at] = bad[i].to;
		assert_int_equal(decode(buf, len, back, sizeof(back), &n),
				 -EBADMSG);
	}
	for (i = 0; i < len; i++) {
		/* There the columns end. */
		if (i == 19)
			continue;
		assert_int_equal(decode(good, i, back, sizeof(back), &n),
				 -EBADMSG);
	}
}

static void a_full_writer_says_so(void **state)
{
	struct tailed rec = tailed(flow(AF_INET, 1), &full);
	struct fr_writer w;
	uint8_t buf[512];
	size_t len, size;

	(void)state;
	len = encode(buf, sizeof(buf), &rec, 1);
	for (size = 0; size < len; size++) {
		fr_writer_init(&w, buf, size);
		assert_int_equal(t->encode(&w, &rec, 1), -ENOSPC);
		assert_true(w.bad);
	}
}

static void json_tells_what_there_is(void **state)
{
	struct tailed rec = tailed(flow(AF_INET, 1), &full);
	json_t *obj = t->to_json(&rec), *value, *expected;
	const char *name;

	(void)state;
	expected = json_loads(
		"{\"master\":{\"src\":\"10.3.2.1\",\"dst\":\"10.3.2.2\","
		"\"sport\":256,\"dport\":512},\"helper\":\"ftp\","
		"\"timeouts_s\":[1,2,3],\"masquerade\":\"eth0\","
		"\"labels\":[9,127],\"seqadj\":{\"original\":"
		"{\"correction_pos\":1,\"offset_before\":-2,"
		"\"offset_after\":3},\"reply\":{\"correction_pos\":4,"
		"\"offset_before\":5,\"offset_after\":-6}},"
		"\"synproxy\":{\"isn\":16909060,\"its\":1,\"tsoff\":2},"
		"\"start_ns\":4,\"counters\":{\"original\":{\"packets\":5,"
		"\"bytes\":7},\"reply\":{\"packets\":6,\"bytes\":8}}}",
		0, NULL);
	assert_non_null(expected);
	json_object_foreach(expected, name, value)
		assert_true(json_equal(json_object_get(obj, name), value));
	json_decref(obj);
	json_decref(expected);
	rec.ct.rec.tail_len = 0;
	obj = t->to_json(&rec);
	assert_null(json_object_get(obj, "helper"));
	assert_null(json_object_get(obj, "counters"));
	json_decref(obj);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_flaw_is_refused_by_name),
		cmocka_unit_test(a_tail_may_be_shorter_or_longer),
		cmocka_unit_test(the_digest_covers_what_all_nodes_can_hold),
		cmocka_unit_test(batches_round_trip),
		cmocka_unit_test(a_plain_flow_pays_a_bit),
		cmocka_unit_test(what_no_encoder_writes_is_refused),
		cmocka_unit_test(a_full_writer_says_so),
		cmocka_unit_test(json_tells_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
