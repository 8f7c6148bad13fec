// SPDX-License-Identifier: GPL-2.0-or-later
/* Flows named by reference: their columns, what is refused, and what cannot be told. */
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#define N_MAX 64
#define RECS_LEN (N_MAX * (sizeof(struct flyrep_ct) + sizeof(struct flyrep_ct_ext)))

static const struct fr_siphash_key hash_key = { "reference tests" };
static const struct fr_table *const table = &fr_conntrack_table;

/* --- what the reader knows ------------------------------------------------ */

struct known {
	size_t n;
	struct {
		uint8_t key[FLYREP_CT_KEY_MAX_LEN] __attribute__((aligned(8)));
		unsigned int len;
		uint64_t hash;
	} v[N_MAX];
	unsigned int bits;
	uint32_t hidden; /* reference that is not found */
	size_t n_asked;
};

static const uint8_t *find(void *cookie, uint32_t ref, unsigned int bits, size_t *key_len,
			   uint64_t *hash)
{
	struct known *k = cookie;
	size_t i;

	k->n_asked++;
	assert_int_equal(bits, k->bits);
	for (i = 0; i < k->n && ref >> (32 - bits) != k->hidden >> (32 - bits); i++) {
		if (k->v[i].hash >> (64 - bits) != ref >> (32 - bits))
			continue;
		*key_len = k->v[i].len;
		*hash = k->v[i].hash;
		return k->v[i].key;
	}
	return NULL;
}

static uint64_t learn(struct known *k, const struct flyrep_ct *ct)
{
	k->v[k->n].len = table->key(k->v[k->n].key, ct);
	k->v[k->n].hash = fr_siphash(k->v[k->n].key, k->v[k->n].len, &hash_key);
	return k->v[k->n++].hash;
}

/* --- batches --------------------------------------------------------------- */

struct made {
	uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	size_t n, len;
	uint64_t hashes[N_MAX];
	uint8_t columns[RECS_LEN];
	size_t columns_len;
};

static struct flyrep_ct *add(struct made *m, uint8_t op, uint8_t proto, const char *src,
			     const char *dst, uint16_t sport, uint16_t dport)
{
	struct flyrep_ct *ct = (struct flyrep_ct *)(void *)(m->recs + m->len);

	memset(ct, 0, sizeof(*ct));
	ct->rec.op = op;
	ct->family = strchr(src, ':') ? AF_INET6 : AF_INET;
	ct->proto = proto;
	ct->zone_dir = 3;
	assert_int_equal(inet_pton(ct->family, src, ct->orig.src.byte), 1);
	assert_int_equal(inet_pton(ct->family, dst, ct->orig.dst.byte), 1);
	ct->orig.sport = htons(sport);
	ct->orig.dport = htons(dport);
	if (op != FLYREP_OP_DELETE) {
		fr_conntrack_invert(&ct->reply, ct);
		ct->status = 0x06;
	}
	m->len += sizeof(*ct);
	m->n++;
	return ct;
}

static void encode(struct made *m, unsigned int bits)
{
	struct fr_writer w;

	fr_writer_init(&w, m->columns, sizeof(m->columns));
	assert_int_equal(table->encode_refs(&w, m->recs, m->n, m->hashes, bits), 0);
	m->columns_len = fr_writer_len(&w);
}

static int decode(const struct made *m, size_t len, struct known *k, struct fr_refs *refs,
		  void *recs, size_t *n)
{
	uint8_t *exact = malloc(len ? len : 1); /* so that a byte too far is noticed */
	struct fr_reader r;
	int rc;

	assert_non_null(exact);
	memcpy(exact, m->columns, len);
	*refs = (struct fr_refs){ .find = find, .cookie = k };
	fr_reader_init(&r, exact, len);
	rc = table->decode_refs(&r, recs, RECS_LEN, N_MAX, n, refs);
	if (!rc)
		assert_int_equal(fr_reader_left(&r), 0);
	free(exact);
	return rc;
}

/*
 * One of each kind; those with a hash are known to the reader. A tail is on one by reference, and on
 * one by its key behind it.
 */
static void make_all_of(struct made *m, struct known *k, unsigned int bits)
{
	struct flyrep_ct_ext tail = { .has = FLYREP_CT_EXT_LABELS, .labels = { 1, 2 } };
	struct flyrep_ct *ct;
	size_t i;

	memset(m, 0, sizeof(*m));
	memset(k, 0, sizeof(*k));
	ct = add(m, FLYREP_OP_UPDATE, IPPROTO_TCP, "10.0.0.5", "198.51.100.7", 40000, 443);
	ct->tcp_state = 3;
	ct->reply.dst.word[0] = htonl(0xcb007101);
	ct->reply.dport = htons(61000);
	ct->mark = 7;
	m->hashes[0] = learn(k, ct);
	add(m, FLYREP_OP_INSERT, IPPROTO_UDP, "10.0.0.6", "198.51.100.8", 5000, 53);
	ct = add(m, FLYREP_OP_DELETE, IPPROTO_UDP, "2001:db8::5", "2001:db8:f::7", 5001, 53);
	ct->zone = 9;
	m->hashes[2] = learn(k, ct);
	ct = add(m, FLYREP_OP_UPDATE, IPPROTO_SCTP, "2001:db8::6", "2001:db8:f::8", 2905, 2906);
	ct->sctp_state = 4;
	ct->zone = 3;
	ct->zone_dir = 1;
	m->hashes[3] = learn(k, ct);
	ct->rec.tail_len = sizeof(tail);
	memcpy(ct + 1, &tail, sizeof(tail));
	m->len += sizeof(tail);
	ct = add(m, FLYREP_OP_UPDATE, IPPROTO_ICMP, "10.0.0.7", "198.51.100.9", 77, 0x0800);
	m->hashes[4] = learn(k, ct);
	ct = add(m, FLYREP_OP_UPDATE, IPPROTO_UDP, "10.0.0.8", "198.51.100.9", 5002, 53);
	ct->rec.tail_len = sizeof(tail);
	tail.labels[3] = 9;
	memcpy(ct + 1, &tail, sizeof(tail));
	m->len += sizeof(tail);
	add(m, FLYREP_OP_DELETE, IPPROTO_TCP, "10.0.0.9", "198.51.100.7", 40001, 443);
	/* Named twice */
	ct = add(m, FLYREP_OP_DELETE, IPPROTO_TCP, "10.0.0.5", "198.51.100.7", 40000, 443);
	m->hashes[7] = m->hashes[0];
	/* Others that the reader knows */
	for (i = 0; i < 20; i++) {
		struct made other = { .n = 0 };

		learn(k, add(&other, FLYREP_OP_UPDATE, IPPROTO_TCP, "10.9.0.1", "10.9.0.2",
			     (uint16_t)(1000 + i), 80));
	}
	encode(m, bits);
	k->bits = bits;
}

static void make_all(struct made *m, struct known *k)
{
	make_all_of(m, k, FR_REF_BITS_MAX);
}

/* The records of a batch but for those by reference are what was decoded. */
static void assert_rest(const struct made *m, const uint8_t *recs, size_t n)
{
	const uint8_t *want = m->recs;
	size_t i, n_rest = 0;

	for (i = 0; i < m->n; i++, want = fr_record_next(table, want)) {
		if (m->hashes[i])
			continue;
		assert_memory_equal(recs, want, fr_record_len(table, want));
		recs = fr_record_next(table, recs);
		n_rest++;
	}
	assert_int_equal(n, n_rest);
}

static void references_round_trip(void **state)
{
	static const unsigned int bits[] = { FR_REF_BITS, FR_REF_BITS_MAX };
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	struct fr_refs refs;
	struct known k;
	struct made m;
	size_t n, i;

	(void)state;
	for (i = 0; i < N_OF(bits); i++) {
		make_all_of(&m, &k, bits[i]);
		assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), 0);
		assert_false(refs.is_lost);
		assert_int_equal(refs.n, 5);
		assert_int_equal(k.n_asked, 5);
		assert_int_equal(n, m.n);
		assert_memory_equal(recs, m.recs, m.len);
	}
}

static void an_insert_is_named_by_its_key(void **state)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	struct made m = { .n = 0 };
	struct known k = { .n = 0 };
	struct fr_refs refs;
	size_t n;

	(void)state;
	m.hashes[0] = learn(&k, add(&m, FLYREP_OP_INSERT, IPPROTO_UDP, "10.0.0.6", "198.51.100.8",
				    5000, 53));
	encode(&m, FR_REF_BITS);
	k.bits = FR_REF_BITS;
	assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), 0);
	assert_int_equal(refs.n, 0);
	assert_int_equal(k.n_asked, 0);
	assert_int_equal(n, 1);
	assert_memory_equal(recs, m.recs, m.len);
}

static void a_reference_takes_less(void **state)
{
	struct made m = { .n = 0 };
	struct known k = { .n = 0 };
	uint8_t plain[256];
	struct fr_writer w;

	(void)state;
	m.hashes[0] = learn(&k, add(&m, FLYREP_OP_DELETE, IPPROTO_TCP, "10.0.0.5", "198.51.100.7",
				    40000, 443));
	encode(&m, FR_REF_BITS);
	k.bits = FR_REF_BITS;
	/* n, bits, check, shape, reference */
	assert_int_equal(m.columns_len, 1 + 1 + 4 + 1 + 3);
	fr_writer_init(&w, plain, sizeof(plain));
	assert_int_equal(table->encode(&w, m.recs, 1), 0);
	assert_int_equal(fr_writer_len(&w), 1 + 1 + 1 + 12);
}

static void if_one_is_lost_all_are(void **state)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	static const size_t named[] = { 0, 2, 3, 4 };
	struct fr_refs refs;
	struct known k;
	struct made m;
	size_t n, i;

	(void)state;
	make_all(&m, &k);
	for (i = 0; i < N_OF(named); i++) {
		k.hidden = m.hashes[named[i]] >> 32;
		assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), 0);
		assert_true(refs.is_lost);
		assert_int_equal(refs.n, 5);
		assert_rest(&m, recs, n);
	}
}

static void the_check_is_of_all_of_their_hashes(void **state)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	struct fr_refs refs;
	struct known k;
	struct made m;
	size_t n, i, bit;

	(void)state;
	make_all(&m, &k);
	/* Behind the number of records, and the bits of a reference: */
	for (bit = 0; bit < 32; bit++) {
		m.columns[2 + bit / 8] ^= 1u << bit % 8;
		assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), 0);
		assert_true(refs.is_lost);
		assert_rest(&m, recs, n);
		m.columns[2 + bit / 8] ^= 1u << bit % 8;
	}
	/* Another key whose hash begins the same. */
	for (i = 0; i < 4; i++) {
		k.v[i].hash ^= 0x10;
		assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), 0);
		assert_true(refs.is_lost);
		assert_rest(&m, recs, n);
		k.v[i].hash ^= 0x10;
	}
	assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), 0);
	assert_false(refs.is_lost);
}

/* The key that is found is of another protocol, or family, than the values are of. */
static void values_of_another_kind_of_flow_are_lost(void **state)
{
	static const struct {
		uint8_t proto;
		const char *src, *dst;
	} others[] = { { IPPROTO_UDP, "10.0.0.5", "198.51.100.7" },
		       { IPPROTO_TCP, "2001:db8::5", "2001:db8:f::7" } };
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	struct fr_refs refs;
	size_t n, i;

	(void)state;
	for (i = 0; i < N_OF(others); i++) {
		struct made m = { .n = 0 }, other = { .n = 0 };
		struct known k = { .n = 0 };

		m.hashes[0] = learn(&k, add(&other, FLYREP_OP_UPDATE, others[i].proto,
					    others[i].src, others[i].dst, 40000, 443));
		add(&m, FLYREP_OP_UPDATE, IPPROTO_TCP, "10.0.0.5", "198.51.100.7", 40000, 443);
		encode(&m, FR_REF_BITS);
	k.bits = FR_REF_BITS;
		assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), 0);
		assert_true(refs.is_lost);
		assert_int_equal(n, 0);
	}
}

static void what_no_encoder_writes_is_refused(void **state)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	/* Shapes by reference: zone; a DELETE of IPv6, with a mark, with a reply */
	static const uint8_t bad[] = { 0x10, 0x0f, 0x2b, 0x4b, 0x8b, 0x1b };
	struct made m = { .n = 0 };
	struct known k = { .n = 0 };
	struct fr_reader r;
	struct fr_refs refs;
	size_t n, i;

	(void)state;
	m.hashes[0] = learn(&k, add(&m, FLYREP_OP_UPDATE, IPPROTO_UDP, "10.0.0.5", "198.51.100.7",
				    40000, 443));
	encode(&m, FR_REF_BITS);
	k.bits = FR_REF_BITS;
	assert_int_equal(m.columns[6], 0xc8);
	for (i = 0; i < N_OF(bad); i++) {
		m.columns[6] = bad[i];
		assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), -EBADMSG);
	}
	m.columns[6] = 0xc8;
	/* Bits of a reference */
	for (i = 0; i < 256; i++) {
		m.columns[1] = i;
		if (i != FR_REF_BITS && i != FR_REF_BITS_MAX)
			assert_int_equal(decode(&m, m.columns_len, &k, &refs, recs, &n), -EBADMSG);
	}
	/* References in a batch that may have none */
	m.columns[5] = m.columns[0];
	fr_reader_init(&r, m.columns + 5, m.columns_len - 5);
	assert_int_equal(table->decode(&r, recs, sizeof(recs), N_MAX, &n), -EBADMSG);
}

static void what_is_cut_short_is_refused(void **state)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	struct fr_refs refs;
	struct known k;
	struct made m;
	size_t n, len;

	(void)state;
	make_all(&m, &k);
	for (len = 0; len < m.columns_len; len++) {
		int rc = decode(&m, len, &k, &refs, recs, &n);

		/* Where the tails begin a batch without them ends: then labels are missing. */
		if (!rc)
			assert_memory_not_equal(recs, m.recs, m.len);
		else
			assert_int_equal(rc, -EBADMSG);
	}
}

static void there_must_be_room(void **state)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	struct fr_refs refs = { .find = find };
	struct fr_reader r;
	struct known k;
	struct made m;
	size_t n;

	(void)state;
	make_all(&m, &k);
	refs.cookie = &k;
	fr_reader_init(&r, m.columns, m.columns_len);
	assert_int_equal(table->decode_refs(&r, recs, m.len, m.n, &n, &refs), 0);
	fr_reader_init(&r, m.columns, m.columns_len);
	assert_int_equal(table->decode_refs(&r, recs, m.len, m.n - 1, &n, &refs), -EBADMSG);
	fr_reader_init(&r, m.columns, m.columns_len);
	assert_int_equal(table->decode_refs(&r, recs, m.len - 8, m.n, &n, &refs), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_round_trip),
		cmocka_unit_test(an_insert_is_named_by_its_key),
		cmocka_unit_test(a_reference_takes_less),
		cmocka_unit_test(if_one_is_lost_all_are),
		cmocka_unit_test(the_check_is_of_all_of_their_hashes),
		cmocka_unit_test(values_of_another_kind_of_flow_are_lost),
		cmocka_unit_test(what_no_encoder_writes_is_refused),
		cmocka_unit_test(what_is_cut_short_is_refused),
		cmocka_unit_test(there_must_be_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
