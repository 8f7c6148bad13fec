// SPDX-License-Identifier: GPL-2.0-or-later
/* Frame heads, compressed payloads, control messages. */
#include "frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* --- heads -------------------------------------------------------------- */

static const struct fr_frame_head good_heads[] = {
	{ .type = FR_FRAME_HELLO, .len = 80 },
	{ .type = FR_FRAME_BATCH,
	  .len = FR_FRAME_MAX_LEN,
	  .table = 1,
	  .seq = 1 },
	{ .type = FR_FRAME_BATCH,
	  .flags = FR_FRAME_F_ZSTD,
	  .table = 255,
	  .seq = UINT64_MAX },
	{ .type = FR_FRAME_BATCH, .flags = FR_FRAME_F_REPAIR, .table = 1 },
	{ .type = FR_FRAME_BATCH, .flags = FR_FRAME_F_REFS, .table = 1, .seq = 7 },
	{ .type = FR_FRAME_AUDIT,
	  .flags = FR_FRAME_F_ZSTD,
	  .len = 7,
	  .table = 2 },
	{ .type = FR_FRAME_CHECK },
	{ .type = FR_FRAME_CHECK, .table = 2 },
	{ .type = FR_FRAME_CHECKED, .len = 32, .table = 2 },
	{ .type = FR_FRAME_RECALL, .len = 7, .table = 7 },
	{ .type = FR_FRAME_RECALLED, .table = 7 },
	{ .type = FR_FRAME_MOVE, .len = 32 },
	{ .type = FR_FRAME_MOVED },
	{ .type = FR_FRAME_RENEW },
	{ .type = FR_FRAME_PAUSE, .len = 1 },
	{ .type = FR_FRAME_RESYNC, .len = 54 },
};

static void heads_round_trip(void **state)
{
	uint8_t head[FR_FRAME_HEAD_LEN];
	struct fr_frame_head back;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(good_heads); i++) {
		const struct fr_frame_head *h = &good_heads[i];

		fr_frame_head_encode(head, h);
		assert_int_equal(fr_frame_head_decode(&back, head), 0);
		assert_int_equal(back.len, h->len);
		assert_int_equal(back.type, h->type);
		assert_int_equal(back.flags, h->flags);
		assert_int_equal(back.table, h->table);
		assert_true(back.seq == h->seq);
	}
}

static void strange_heads_are_refused(void **state)
{
	static const struct {
		struct fr_frame_head h;
		int err;
	} bad[] = {
		{ { .type = 0 }, -EBADMSG },
		{ { .type = FR_FRAME_TYPE_END }, -EBADMSG },
		{ { .type = 255 }, -EBADMSG },
		{ { .type = FR_FRAME_ACK, .flags = FR_FRAME_F_REFS }, -EBADMSG },
		{ { .type = FR_FRAME_ACK, .flags = 8 }, -EBADMSG },
		{ { .type = FR_FRAME_BATCH,
		    .table = 1,
		    .flags = FR_FRAME_F_REFS | FR_FRAME_F_REPAIR },
		  -EBADMSG },
		{ { .type = FR_FRAME_BATCH, .table = 1, .flags = FR_FRAME_F_REFS },
		  -EBADMSG },
		{ { .type = FR_FRAME_ACK, .flags = 0x80 }, -EBADMSG },
		{ { .type = FR_FRAME_ACK, .flags = FR_FRAME_F_REPAIR },
		  -EBADMSG },
		{ { .type = FR_FRAME_ACK, .seq = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_ACK, .table = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_HELLO, .table = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_AUDIT }, -EBADMSG },
		{ { .type = FR_FRAME_AUDIT_REPLY }, -EBADMSG },
		{ { .type = FR_FRAME_REPAIR_BEGIN }, -EBADMSG },
		{ { .type = FR_FRAME_REPAIR_END }, -EBADMSG },
		{ { .type = FR_FRAME_CHECKED }, -EBADMSG },
		{ { .type = FR_FRAME_RECALL }, -EBADMSG },
		{ { .type = FR_FRAME_RECALLED }, -EBADMSG },
		{ { .type = FR_FRAME_MOVE, .table = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_MOVED, .seq = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_PAUSE, .table = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_RESYNC, .table = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_BATCH, .seq = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_BATCH, .table = 1 }, -EBADMSG },
		{ { .type = FR_FRAME_BATCH,
		    .table = 1,
		    .seq = 1,
		    .flags = FR_FRAME_F_REPAIR },
		  -EBADMSG },
		{ { .type = FR_FRAME_ACK, .len = FR_FRAME_MAX_LEN + 1 },
		  -EMSGSIZE },
		{ { .type = FR_FRAME_ACK, .len = UINT32_MAX }, -EMSGSIZE },
	};
	uint8_t head[FR_FRAME_HEAD_LEN];
	struct fr_frame_head back;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(bad); i++) {
		fr_frame_head_encode(head, &bad[i].h);
		assert_int_equal(fr_frame_head_decode(&back, head), bad[i].err);
	}
	fr_frame_head_encode(head, &good_heads[0]);
	head[7] = 1; /* reserved */
	assert_int_equal(fr_frame_head_decode(&back, head), -EBADMSG);
}

static void every_type_and_role_has_a_name(void **state)
{
	unsigned int i, j;

	(void)state;
	for (i = 1; i < FR_FRAME_TYPE_END; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(fr_frame_type_name(i),
						fr_frame_type_name(j));
	assert_string_equal(fr_frame_type_name(0), "unknown");
	assert_string_equal(fr_frame_type_name(FR_FRAME_TYPE_END), "unknown");
	assert_string_equal(fr_role_name(FR_ROLE_BACKUP), "backup");
	assert_string_equal(fr_role_name(FR_ROLE_PRIMARY), "primary");
	assert_string_equal(fr_role_name(FR_ROLE_FAULT), "fault");
	assert_string_equal(fr_role_name(0), "unknown");
	assert_string_equal(fr_role_name(FR_ROLE_PEER), "peer");
	assert_string_equal(fr_role_name(5), "unknown");
}

/* --- squeezed payloads -------------------------------------------------- */

static int set_up_squeeze(void **state)
{
	*state = fr_squeeze_new();
	return *state ? 0 : -1;
}

static int tear_down_squeeze(void **state)
{
	fr_squeeze_free(*state);
	fr_squeeze_free(NULL);
	return 0;
}

static void pack(struct fr_squeeze *s, const uint8_t *src, size_t len,
		 bool is_smaller)
{
	size_t room = len + 1, out_len;
	uint8_t *dst = malloc(room), flags = 0x82;
	const uint8_t *out;
	ssize_t n;

	assert_non_null(dst);
	n = fr_squeeze_pack(s, dst, room, src, len, &flags);
	assert_true(n >= 0);
	assert_int_equal(flags, is_smaller ? 0x83 : 0x82);
	if (is_smaller)
		assert_true((size_t)n <= len - len / 16 &&
			    (size_t)n <= len - 16);
	else
		assert_int_equal(n, len);
	assert_int_equal(
		fr_squeeze_unpack(s, dst, (size_t)n, flags, &out, &out_len), 0);
	assert_int_equal(out_len, len);
	if (len)
		assert_memory_equal(out, src, len);
	free(dst);
}

static void payloads_round_trip(void **state)
{
	static uint8_t flat[FR_PAYLOAD_MAX_LEN], noise[70000];
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < sizeof(noise); i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
	memset(flat, 'f', sizeof(flat));
	pack(*state, flat, sizeof(flat), true);
	pack(*state, flat, 100000, true);
	pack(*state, flat, 64, true);
	pack(*state, flat, 16, false);
	pack(*state, flat, 1, false);
	pack(*state, flat, 0, false);
	pack(*state, noise, sizeof(noise), false);
	pack(*state, noise, 100, false);
}

static void a_payload_without_room_is_refused(void **state)
{
	static uint8_t flat[FR_PAYLOAD_MAX_LEN + 1];
	uint8_t dst[64], flags = 1;

	assert_int_equal(fr_squeeze_pack(*state, dst, sizeof(dst), flat,
					 sizeof(flat), &flags),
			 -ENOSPC);
	assert_int_equal(flags, 0);
	assert_int_equal(fr_squeeze_pack(*state, dst, 5, "abcdef", 6, &flags),
			 -ENOSPC);
	/* Room for less than the copy, but enough for the squeezed form. */
	assert_true(fr_squeeze_pack(*state, dst, sizeof(dst), flat, 10000,
				    &flags) < 64);
	assert_int_equal(flags, 1);
}

static void assert_no_payload(struct fr_squeeze *s, const uint8_t *src,
			      size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	const uint8_t *out;
	size_t out_len;

	assert_non_null(exact);
	memcpy(exact, src, len);
	assert_int_equal(fr_squeeze_unpack(s, exact, len, FR_FRAME_F_ZSTD, &out,
					   &out_len),
			 -EBADMSG);
	free(exact);
}

static void what_is_not_one_frame_is_refused(void **state)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 4,	  0,
					     0,	   0,	 'a',  'b',  'c', 'd' };
	static const uint8_t old_format[] = { 0x27, 0xb5, 0x2f, 0xfd, 0, 0 };
	uint8_t text[1000], good[1024], bad[2048];
	const uint8_t *out;
	size_t len, cut, out_len;

	memset(text, 'x', sizeof(text));
	memcpy(text, "some beginning", 14);
	len = ZSTD_compress(good, sizeof(good), text, sizeof(text), 1);
	assert_false(ZSTD_isError(len));
	assert_int_equal(fr_squeeze_unpack(*state, good, len, FR_FRAME_F_ZSTD,
					   &out, &out_len),
			 0);
	assert_int_equal(out_len, sizeof(text));

	for (cut = 0; cut < len; cut++)
		assert_no_payload(*state, good, cut);
	memcpy(bad, good, len);
	bad[len] = 0;
	assert_no_payload(*state, bad, len + 1);
	memcpy(bad + len, good, len);
	assert_no_payload(*state, bad, 2 * len);
	memcpy(bad + len, skippable, sizeof(skippable));
	assert_no_payload(*state, bad, len + sizeof(skippable));
	assert_no_payload(*state, skippable, sizeof(skippable));
	assert_no_payload(*state, old_format, sizeof(old_format));
}

/* A frame of @len equal bytes; says so in its head, or not. */
static size_t make_flat(uint8_t *dst, size_t dst_len, size_t len, int says_so)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	uint8_t *flat = calloc(1, len);
	size_t n;

	assert_non_null(c);
	assert_non_null(flat);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, says_so);
	n = ZSTD_compress2(c, dst, dst_len, flat, len);
	assert_false(ZSTD_isError(n));
	ZSTD_freeCCtx(c);
	free(flat);
	return n;
}

static void bombs_are_refused(void **state)
{
	static uint8_t buf[65536];
	const uint8_t *out;
	size_t len, out_len;

	len = make_flat(buf, sizeof(buf), FR_PAYLOAD_MAX_LEN + 1, 1);
	assert_true(len < 4096);
	assert_no_payload(*state, buf, len);
	len = make_flat(buf, sizeof(buf), 1000, 0);
	assert_no_payload(*state, buf, len);
	len = make_flat(buf, sizeof(buf), FR_PAYLOAD_MAX_LEN, 1);
	assert_int_equal(fr_squeeze_unpack(*state, buf, len, FR_FRAME_F_ZSTD,
					   &out, &out_len),
			 0);
	assert_int_equal(out_len, FR_PAYLOAD_MAX_LEN);

	/* A head that lies: the two bytes behind the descriptor are the size. */
	len = make_flat(buf, sizeof(buf), 1000, 1);
	assert_int_equal(buf[5] | buf[6] << 8, 1000 - 256);
	buf[5]++;
	assert_no_payload(*state, buf, len);
	buf[5] -= 2;
	assert_no_payload(*state, buf, len);
}

/* --- messages ----------------------------------------------------------- */

union message {
	struct fr_hello hello;
	struct fr_start start;
	struct fr_ack ack;
	struct fr_audit audit;
	struct fr_repair_begin repair_begin;
	struct fr_role_msg role;
	struct fr_ping ping;
	struct fr_checked checked;
	struct fr_error error;
};

/* Encode and decode of each message, with a common type. */
#define CODEC(name, type)                                                    \
	static void name##_put(struct fr_writer *w, const union message *m)  \
	{                                                                    \
		fr_##name##_encode(w, (const struct type *)m);               \
	}                                                                    \
	static int name##_get(union message *m, const void *buf, size_t len) \
	{                                                                    \
		return fr_##name##_decode((struct type *)m, buf, len);       \
	}

CODEC(hello, fr_hello)
CODEC(start, fr_start)
CODEC(ack, fr_ack)
CODEC(audit, fr_audit)
CODEC(repair_begin, fr_repair_begin)
CODEC(ping, fr_ping)
CODEC(checked, fr_checked)
CODEC(error, fr_error)

static void role_put(struct fr_writer *w, const union message *m)
{
	fr_role_encode(w, &m->role, FR_WIRE_VERSION);
}

static int role_get(union message *m, const void *buf, size_t len)
{
	return fr_role_decode(&m->role, buf, len, FR_WIRE_VERSION);
}

struct codec {
	void (*put)(struct fr_writer *w, const union message *m);
	int (*get)(union message *m, const void *buf, size_t len);
	size_t len; /* of its payload */
	union message sample;
};

#define MESSAGE_MAX (FLYREP_BUCKETS_LEN + 1024)

static const uint8_t some_buckets[FLYREP_BUCKETS_LEN] = { 1, 2, 3 };

static const struct codec codecs[] = {
	{ hello_put,
	  hello_get,
	  159,
	  { .hello = { .wire_min = 1,
		       .wire_max = 3,
		       .role = FR_ROLE_PRIMARY,
		       .capabilities = 1ULL << 63,
		       .tables = 2,
		       .epoch = 5,
		       .now_us = 1700000000000000ULL,
		       .history = "0123456789abcde",
		       .seq = 77,
		       .have_history = "fedcba987654321",
		       .have_seq = 66,
		       .ct_max = 262144,
		       .node_id = "fw-a.x_1",
		       .version = "0.1.0",
		       .hash_key = "0123456789ABCDE",
		       .life = "life of a kernel",
		       .ledger = "id of a ledger..",
		       .rules = 1ULL << 62,
		       .distance = 3 } } },
	{ start_put,
	  start_get,
	  32,
	  { .start = { .history = "0123456789abcde",
		       .next_seq = 1,
		       .epoch = UINT64_MAX } } },
	{ ack_put,
	  ack_get,
	  28,
	  { .ack = { .seq = UINT64_MAX,
		     .entries = 2,
		     .refused = 3,
		     .repaired = 4 } } },
	{ audit_put,
	  audit_get,
	  12 + 256 * 8,
	  { .audit = { .id = 0xdeadbeef,
		       .entries = 9,
		       .group = { 1, 2, [255] = UINT64_MAX } } } },
	{ repair_begin_put,
	  repair_begin_get,
	  4 + FLYREP_BUCKETS_LEN,
	  { .repair_begin = { .buckets = some_buckets, .n_before = UINT32_MAX } } },
	{ role_put,
	  role_get,
	  10,
	  { .role = { .role = FR_ROLE_FAULT, .epoch = 4, .distance = 200 } } },
	{ ping_put, ping_get, 16, { .ping = { .token = 1, .pending = 2 } } },
	{ checked_put,
	  checked_get,
	  32,
	  { .checked = { .entries = 1,
			 .missing = 2,
			 .stale = 3,
			 .differ = 4 } } },
	{ error_put,
	  error_get,
	  2 + 1 + 12,
	  { .error = { .code = FR_ERROR_EPOCH, .text = "epoch is old" } } },
};

static size_t put_sample(const struct codec *c, uint8_t *buf, size_t size)
{
	struct fr_writer w;

	fr_writer_init(&w, buf, size);
	c->put(&w, &c->sample);
	assert_false(w.bad);
	return fr_writer_len(&w);
}

static int get_exact(const struct codec *c, union message *m,
		     const uint8_t *buf, size_t len)
{
	static uint8_t *exact; /* what was decoded may point into it */

	free(exact);
	exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, buf, len);
	return c->get(m, exact, len);
}

static void messages_round_trip(void **state)
{
	uint8_t buf[MESSAGE_MAX], again[MESSAGE_MAX];
	struct fr_writer w;
	union message m;
	size_t i, len;

	(void)state;
	for (i = 0; i < N_OF(codecs); i++) {
		const struct codec *c = &codecs[i];

		len = put_sample(c, buf, sizeof(buf));
		assert_int_equal(len, c->len);
		memset(&m, 0xee, sizeof(m));
		assert_int_equal(get_exact(c, &m, buf, len), 0);
		fr_writer_init(&w, again, sizeof(again));
		c->put(&w, &m);
		assert_int_equal(fr_writer_len(&w), len);
		assert_memory_equal(buf, again, len);
	}
}

static void short_messages_are_refused_longer_ones_are_not(void **state)
{
	uint8_t buf[MESSAGE_MAX];
	union message m;
	size_t i, cut, len;

	(void)state;
	for (i = 0; i < N_OF(codecs); i++) {
		len = put_sample(&codecs[i], buf, sizeof(buf));
		for (cut = 0; cut < len; cut++)
			assert_int_equal(get_exact(&codecs[i], &m, buf, cut),
					 -EBADMSG);
		memset(buf + len, 0xff, 8);
		assert_int_equal(get_exact(&codecs[i], &m, buf, len + 8), 0);
	}
}

static void fields_arrive_where_they_belong(void **state)
{
	const struct fr_hello *want = &codecs[0].sample.hello;
	uint8_t buf[256];
	struct fr_hello m;
	size_t len = put_sample(&codecs[0], buf, sizeof(buf));

	(void)state;
	assert_int_equal(fr_hello_decode(&m, buf, len), 0);
	assert_int_equal(m.wire_min, 1);
	assert_int_equal(m.wire_max, 3);
	assert_int_equal(m.role, FR_ROLE_PRIMARY);
	assert_true(m.capabilities == 1ULL << 63);
	assert_int_equal(m.tables, 2);
	assert_int_equal(m.epoch, 5);
	assert_true(m.now_us == 1700000000000000ULL);
	assert_memory_equal(m.history, want->history, FR_HISTORY_LEN);
	assert_int_equal(m.seq, 77);
	assert_memory_equal(m.have_history, want->have_history, FR_HISTORY_LEN);
	assert_int_equal(m.have_seq, 66);
	assert_int_equal(m.ct_max, 262144);
	assert_string_equal(m.node_id, "fw-a.x_1");
	assert_string_equal(m.version, "0.1.0");
	assert_memory_equal(m.hash_key, want->hash_key, FLYREP_HASH_KEY_LEN);
	assert_memory_equal(m.life, want->life, FR_LIFE_LEN);
	assert_memory_equal(m.ledger, want->ledger, FR_LEDGER_LEN);
	assert_true(m.rules == 1ULL << 62);
	assert_int_equal(m.distance, 3);
}

/* A node of version 1 sends less, and what it does not send must not be taken for something. */
static void version_1_says_less(void **state)
{
	static const uint8_t zero[FR_LEDGER_LEN];
	struct fr_hello m = codecs[0].sample.hello;
	struct fr_role_msg role = { .role = FR_ROLE_BACKUP, .epoch = 7, .distance = 3 };
	uint8_t buf[256], exact[256];
	struct fr_writer w;
	size_t len, cut;

	(void)state;
	m.wire_max = 1;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_hello_encode(&w, &m);
	len = fr_writer_len(&w);
	assert_int_equal(len, codecs[0].len - FR_LIFE_LEN - FR_LEDGER_LEN - 8 - 1);
	memset(buf + len, 0xff, sizeof(buf) - len); /* not its business */
	memset(&m, 0xee, sizeof(m));
	assert_int_equal(fr_hello_decode(&m, buf, sizeof(buf)), 0);
	assert_string_equal(m.node_id, "fw-a.x_1");
	assert_memory_equal(m.hash_key, codecs[0].sample.hello.hash_key, FLYREP_HASH_KEY_LEN);
	assert_memory_equal(m.life, zero, sizeof(zero));
	assert_memory_equal(m.ledger, zero, sizeof(zero));
	assert_int_equal(m.rules, 0);
	assert_int_equal(m.distance, FR_DISTANCE_NONE);
	for (cut = 0; cut < len; cut++) {
		memcpy(exact, buf, cut);
		assert_int_equal(fr_hello_decode(&m, exact, cut), -EBADMSG);
	}
	/* Of a node that claims more than it sends. */
	buf[1] = 2;
	assert_int_equal(fr_hello_decode(&m, buf, len), -EBADMSG);

	fr_writer_init(&w, buf, sizeof(buf));
	fr_role_encode(&w, &role, 1);
	assert_int_equal(fr_writer_len(&w), 9);
	buf[9] = 0; /* would be the writer itself */
	assert_int_equal(fr_role_decode(&role, buf, 10, 1), 0);
	assert_int_equal(role.epoch, 7);
	assert_int_equal(role.distance, FR_DISTANCE_NONE);
	assert_int_equal(fr_role_decode(&role, buf, 9, 1), 0);
	assert_int_equal(fr_role_decode(&role, buf, 8, 1), -EBADMSG);
	assert_int_equal(fr_role_decode(&role, buf, 9, 2), -EBADMSG);
}

static void the_highest_common_version_is_spoken(void **state)
{
	static const struct {
		uint8_t min, max, their_min, their_max, common;
	} rows[] = {
		{ 1, 2, 1, 2, 2 }, { 1, 2, 1, 1, 1 }, { 2, 2, 1, 1, 0 }, { 1, 1, 1, 2, 1 },
		{ 1, 1, 2, 2, 0 }, { 1, 2, 2, 9, 2 }, { 1, 2, 3, 9, 0 }, { 2, 2, 1, 9, 2 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(rows); i++) {
		struct fr_hello theirs = { .wire_min = rows[i].their_min,
					   .wire_max = rows[i].their_max };

		assert_int_equal(fr_wire_common(rows[i].min, rows[i].max, &theirs),
				 rows[i].common);
	}
}

static void assert_no_hello(const struct fr_hello *m)
{
	uint8_t buf[256];
	struct fr_writer w;
	struct fr_hello back;

	fr_writer_init(&w, buf, sizeof(buf));
	fr_hello_encode(&w, m);
	assert_false(w.bad);
	assert_int_equal(fr_hello_decode(&back, buf, fr_writer_len(&w)),
			 -EBADMSG);
}

static void senseless_messages_are_refused(void **state)
{
	struct fr_role_msg role = { .role = 0 };
	struct fr_start start = { .next_seq = 0 };
	struct fr_resync resync = { .id = 1, .state = FR_RESYNC_WANTED };
	struct fr_pause pause;
	struct fr_hello m;
	struct fr_writer w;
	uint8_t buf[256];

	(void)state;
	m = codecs[0].sample.hello;
	m.wire_min = 0;
	assert_no_hello(&m);
	m.wire_min = 4;
	assert_no_hello(&m);
	m = codecs[0].sample.hello;
	m.role = 0;
	assert_no_hello(&m);
	m.role = FR_ROLE_PEER + 1;
	assert_no_hello(&m);
	m = codecs[0].sample.hello;
	strcpy(m.node_id, "");
	assert_no_hello(&m);
	strcpy(m.node_id, "a b");
	assert_no_hello(&m);
	strcpy(m.node_id, "\x1b[2J");
	assert_no_hello(&m);

	fr_writer_init(&w, buf, sizeof(buf));
	fr_role_encode(&w, &role, FR_WIRE_VERSION);
	assert_int_equal(fr_role_decode(&role, buf, 10, FR_WIRE_VERSION), -EBADMSG);
	fr_writer_init(&w, buf, sizeof(buf));
	fr_resync_encode(&w, &resync);
	assert_int_equal(fr_resync_decode(&resync, buf, fr_writer_len(&w)), 0);
	assert_int_equal(fr_resync_decode(&resync, buf, fr_writer_len(&w) - 1), -EBADMSG);
	buf[4] = 0; /* state */
	assert_int_equal(fr_resync_decode(&resync, buf, fr_writer_len(&w)), -EBADMSG);
	buf[4] = FR_RESYNC_FAILED + 1;
	assert_int_equal(fr_resync_decode(&resync, buf, fr_writer_len(&w)), -EBADMSG);
	buf[4] = FR_RESYNC_DONE;
	buf[20] = 1; /* buckets: 1 of 0 */
	assert_int_equal(fr_resync_decode(&resync, buf, fr_writer_len(&w)), -EBADMSG);
	buf[0] = 2;
	assert_int_equal(fr_pause_decode(&pause, buf, 1), -EBADMSG);
	assert_int_equal(fr_pause_decode(&pause, buf, 0), -EBADMSG);
	fr_writer_init(&w, buf, sizeof(buf));
	fr_start_encode(&w, &start);
	assert_int_equal(fr_start_decode(&start, buf, 32), -EBADMSG);
}

static void texts_of_a_peer_are_harmless(void **state)
{
	struct fr_error e = { .code = 1, .text = "a\x1b[31m\nb\x7f\xc3\xa4" };
	struct fr_hello m = codecs[0].sample.hello;
	struct fr_writer w;
	uint8_t buf[512];

	(void)state;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_error_encode(&w, &e);
	assert_int_equal(fr_error_decode(&e, buf, fr_writer_len(&w)), 0);
	assert_string_equal(e.text, "a?[31m?b?\xc3\xa4");

	strcpy(m.version, "1\n2");
	fr_writer_init(&w, buf, sizeof(buf));
	fr_hello_encode(&w, &m);
	assert_int_equal(fr_hello_decode(&m, buf, fr_writer_len(&w)), 0);
	assert_string_equal(m.version, "1?2");

	/* A text that does not fit its field is an error, not cut. */
	memset(buf, 'a', sizeof(buf));
	buf[0] = 0;
	buf[1] = 1;
	buf[2] = sizeof(e.text);
	assert_int_equal(fr_error_decode(&e, buf, sizeof(buf)), -EBADMSG);
	buf[2]--;
	assert_int_equal(fr_error_decode(&e, buf, sizeof(buf)), 0);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void an_audit_reply_names_the_buckets_that_differ(void **state)
{
	static uint64_t digests[FLYREP_BUCKETS];
	static uint8_t buf[FLYREP_BUCKETS * 8 + 1024];
	static const unsigned int groups[] = { 0, 9, 255 };
	struct fr_audit_reply m = { .id = 7, .entries = 8 }, back;
	struct fr_writer w;
	unsigned int i, j;
	size_t len, cut;

	(void)state;
	for (i = 0; i < FLYREP_BUCKETS; i++)
		digests[i] = i * 0x0001000100010001ULL;
	for (i = 0; i < N_OF(groups); i++)
		m.differs[groups[i] / 8] |= (uint8_t)(1 << groups[i] % 8);

	fr_writer_init(&w, buf, sizeof(buf));
	fr_audit_reply_encode(&w, &m, digests);
	len = fr_writer_len(&w);
	assert_int_equal(len, 12 + 32 + 3 * 256 * 8);
	assert_int_equal(fr_audit_reply_decode(&back, buf, len), 0);
	assert_int_equal(back.id, 7);
	assert_int_equal(back.entries, 8);
	assert_int_equal(back.n_groups, N_OF(groups));
	assert_memory_equal(back.differs, m.differs, sizeof(m.differs));
	for (i = 0; i < N_OF(groups); i++)
		for (j = 0; j < FR_GROUP_BUCKETS; j++)
			assert_true(fr_audit_reply_digest(&back, i, j) ==
				    digests[groups[i] * 256 + j]);
	for (cut = 0; cut < len; cut += 5)
		assert_int_equal(fr_audit_reply_decode(&back, buf, cut),
				 -EBADMSG);

	/* All of them fit a frame. */
	memset(m.differs, 0xff, sizeof(m.differs));
	fr_writer_init(&w, buf, sizeof(buf));
	fr_audit_reply_encode(&w, &m, digests);
	assert_false(w.bad);
	assert_true(fr_writer_len(&w) <= FR_FRAME_MAX_LEN);
	assert_int_equal(fr_audit_reply_decode(&back, buf, fr_writer_len(&w)),
			 0);
	assert_int_equal(back.n_groups, FR_GROUPS);

	/* None differ: as on every audit of a pair in step. */
	memset(m.differs, 0, sizeof(m.differs));
	fr_writer_init(&w, buf, sizeof(buf));
	fr_audit_reply_encode(&w, &m, digests);
	assert_int_equal(fr_writer_len(&w), 44);
	assert_int_equal(fr_audit_reply_decode(&back, buf, 44), 0);
	assert_int_equal(back.n_groups, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_round_trip),
		cmocka_unit_test(strange_heads_are_refused),
		cmocka_unit_test(every_type_and_role_has_a_name),
		cmocka_unit_test(payloads_round_trip),
		cmocka_unit_test(a_payload_without_room_is_refused),
		cmocka_unit_test(what_is_not_one_frame_is_refused),
		cmocka_unit_test(bombs_are_refused),
		cmocka_unit_test(messages_round_trip),
		cmocka_unit_test(
			short_messages_are_refused_longer_ones_are_not),
		cmocka_unit_test(fields_arrive_where_they_belong),
		cmocka_unit_test(version_1_says_less),
		cmocka_unit_test(the_highest_common_version_is_spoken),
		cmocka_unit_test(senseless_messages_are_refused),
		cmocka_unit_test(texts_of_a_peer_are_harmless),
		cmocka_unit_test(an_audit_reply_names_the_buckets_that_differ),
	};

	return cmocka_run_group_tests(tests, set_up_squeeze, tear_down_squeeze);
}
