// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The golden vectors of frames and messages hold them byte for byte; those of
 * squeezed payloads must stay readable.
 *
 * With --write they are written anew, and the seeds of fuzz_frame. A difference
 * in an old vector is another wire version.
 */
#include "vectors.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>

#include "conntrack.h"
#include "frame.h"
#include "item.h"

/* One flow behind source NAT, from a port of its client. */
static void make_record(struct flyrep_ct *ct, uint16_t sport)
{
	memset(ct, 0, sizeof(*ct));
	ct->rec.op = FLYREP_OP_UPDATE;
	ct->family = AF_INET;
	ct->proto = IPPROTO_TCP;
	ct->zone_dir = 3;
	ct->orig.src.word[0] = htonl(0x0a010005);
	ct->orig.dst.word[0] = htonl(0xc6336407);
	ct->orig.sport = htons(sport);
	ct->orig.dport = htons(443);
	fr_conntrack_invert(&ct->reply, ct);
	ct->reply.dst.word[0] = htonl(0xcb007101);
	ct->status = 0x16;
	ct->tcp_state = 3;
	ct->tcp_scale[0] = 7;
}

static void put_flows(struct fr_writer *w, size_t n)
{
	struct flyrep_ct recs[64];
	size_t i;

	for (i = 0; i < n; i++)
		make_record(&recs[i], (uint16_t)(40000 + i * 7));
	if (fr_conntrack_table.encode(w, recs, n))
		abort();
}

static const struct fr_hello hello = {
	.wire_min = 1,
	.wire_max = 2,
	.role = FR_ROLE_PRIMARY,
	.tables = 1 << FLYREP_TABLE_CONNTRACK,
	.epoch = 7,
	.now_us = 1767225600000000ULL,
	.history = { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9,
		     0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf },
	.seq = 4711,
	.have_history = { 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8,
			  0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf },
	.have_seq = 42,
	.ct_max = 262144,
	.node_id = "node1",
	.version = "0.1.0",
	.hash_key = { 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9,
		      0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf },
	.ledger = { 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9,
		    0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf },
	.rules = 0xe0e1e2e3e4e5e6e7ULL,
	.distance = FR_DISTANCE_NONE,
};

static void put_hello(struct fr_writer *w)
{
	fr_hello_encode(w, &hello);
}

static void put_hello_1(struct fr_writer *w)
{
	struct fr_hello m = hello;

	m.wire_max = 1;
	fr_hello_encode(w, &m);
}

static int say_hello(FILE *out, const void *buf, size_t len)
{
	struct fr_hello m;
	int err = fr_hello_decode(&m, buf, len);

	fprintf(out,
		"wire %u-%u, role %s, capabilities %" PRIx64 ", tables %" PRIx64
		", epoch %" PRIu64 ", now_us %" PRIu64 ", history %02x..%02x, "
		"seq %" PRIu64 ", have_history %02x..%02x, have_seq %" PRIu64
		", ct_max %u, node_id %s, version %s, hash_key %02x..%02x"
		", ledger %02x..%02x, rules %" PRIx64 ", distance %u",
		m.wire_min, m.wire_max, fr_role_name(m.role), m.capabilities,
		m.tables, m.epoch, m.now_us, m.history[0], m.history[15], m.seq,
		m.have_history[0], m.have_history[15], m.have_seq, m.ct_max,
		m.node_id, m.version, m.hash_key[0], m.hash_key[15],
		m.ledger[0], m.ledger[15], m.rules, m.distance);
	return err;
}

static void put_start(struct fr_writer *w)
{
	struct fr_start m = { .next_seq = 4712, .epoch = 7 };

	memcpy(m.history, hello.history, sizeof(m.history));
	fr_start_encode(w, &m);
}

static int say_start(FILE *out, const void *buf, size_t len)
{
	struct fr_start m;
	int err = fr_start_decode(&m, buf, len);

	fprintf(out, "history %02x..%02x, next_seq %" PRIu64 ", epoch %" PRIu64,
		m.history[0], m.history[15], m.next_seq, m.epoch);
	return err;
}

static void put_batch(struct fr_writer *w)
{
	put_flows(w, 1);
}

static int say_batch(FILE *out, const void *buf, size_t len)
{
	struct flyrep_ct ct = { 0 };
	struct fr_reader r;
	json_t *obj;
	size_t n;
	int err;

	fr_reader_init(&r, buf, len);
	err = fr_conntrack_table.decode(&r, &ct, sizeof(ct), 1, &n);
	obj = fr_conntrack_table.to_json(&ct);
	json_dumpf(obj, out, JSON_COMPACT);
	json_decref(obj);
	return err;
}

static void put_ack(struct fr_writer *w)
{
	static const struct fr_ack m = {
		.seq = 4711, .entries = 100000, .refused = 3, .repaired = 2
	};

	fr_ack_encode(w, &m);
}

/* The one before the short one, which is two ahead: the half of the number that travels begins anew. */
static const struct fr_ack told = {
	.seq = 0x1ffffffffULL, .entries = 100000, .refused = 3, .repaired = 2
};

static void put_short_ack(struct fr_writer *w)
{
	struct fr_ack m = { .seq = told.seq + 2 };

	fr_ack_encode_short(w, &m);
}

static void print_ack(FILE *out, const struct fr_ack *m)
{
	fprintf(out,
		"seq %" PRIu64 ", entries %" PRIu64 ", refused %" PRIu64
		", repaired %u",
		m->seq, m->entries, m->refused, m->repaired);
}

static int say_ack(FILE *out, const void *buf, size_t len)
{
	struct fr_ack m;
	int err = fr_ack_decode(&m, buf, len);

	print_ack(out, &m);
	return err;
}

static int say_short_ack(FILE *out, const void *buf, size_t len)
{
	struct fr_ack m = told;
	int err = fr_ack_decode_short(&m, buf, len);

	print_ack(out, &m);
	return err;
}

static void put_audit(struct fr_writer *w)
{
	static const struct fr_audit m = {
		.id = 5,
		.entries = 2,
		.group = { [0x12] = 0x0123456789abcdefULL, [0xff] = 1 },
	};

	fr_audit_encode(w, &m);
}

static int say_audit(FILE *out, const void *buf, size_t len)
{
	struct fr_audit m;
	int err = fr_audit_decode(&m, buf, len), i;

	fprintf(out, "id %u, entries %" PRIu64, m.id, m.entries);
	for (i = 0; i < FR_GROUPS; i++)
		if (m.group[i])
			fprintf(out, ", group %d: %016" PRIx64, i, m.group[i]);
	return err;
}

static void put_audit_reply(struct fr_writer *w)
{
	static uint64_t digests[FLYREP_BUCKETS] = {
		[0x1200] = 0x0123456789abcdefULL, [0x12ff] = 1
	};
	struct fr_audit_reply m = { .id = 5, .entries = 1 };

	m.differs[0x12 / 8] = 1 << 0x12 % 8;
	fr_audit_reply_encode(w, &m, digests);
}

static int say_audit_reply(FILE *out, const void *buf, size_t len)
{
	struct fr_audit_reply m;
	int err = fr_audit_reply_decode(&m, buf, len);
	unsigned int i, j;

	fprintf(out, "id %u, entries %" PRIu64 ", groups that differ:", m.id,
		m.entries);
	for (i = 0; i < FR_GROUPS; i++)
		if (m.differs[i / 8] >> i % 8 & 1)
			fprintf(out, " %u", i);
	for (i = 0; !err && i < m.n_groups; i++)
		for (j = 0; j < FR_GROUP_BUCKETS; j++)
			if (fr_audit_reply_digest(&m, i, j))
				fprintf(out, ", its bucket %u: %016" PRIx64, j,
					fr_audit_reply_digest(&m, i, j));
	return err;
}

static void put_nothing(struct fr_writer *w)
{
	(void)w;
}

static int say_nothing(FILE *out, const void *buf, size_t len)
{
	(void)buf;
	fputs("empty", out);
	return len ? -EBADMSG : 0;
}

static void put_role(struct fr_writer *w)
{
	static const struct fr_role_msg m = { FR_ROLE_BACKUP, 8, 2 };

	fr_role_encode(w, &m, 2);
}

static void put_role_1(struct fr_writer *w)
{
	static const struct fr_role_msg m = { FR_ROLE_BACKUP, 8, 2 };

	fr_role_encode(w, &m, 1);
}

static int say_role_of(FILE *out, const void *buf, size_t len, uint8_t wire)
{
	struct fr_role_msg m;
	int err = fr_role_decode(&m, buf, len, wire);

	fprintf(out, "role %s, epoch %" PRIu64 ", distance %u", fr_role_name(m.role), m.epoch,
		m.distance);
	return err;
}

static int say_role(FILE *out, const void *buf, size_t len)
{
	return say_role_of(out, buf, len, 2);
}

static int say_role_1(FILE *out, const void *buf, size_t len)
{
	return say_role_of(out, buf, len, 1);
}

static void put_ping(struct fr_writer *w)
{
	static const struct fr_ping m = { 0x1122334455667788ULL, 12 };

	fr_ping_encode(w, &m);
}

static int say_ping(FILE *out, const void *buf, size_t len)
{
	struct fr_ping m;
	int err = fr_ping_decode(&m, buf, len);

	fprintf(out, "token %" PRIx64 ", pending %" PRIu64, m.token, m.pending);
	return err;
}

static void put_pong(struct fr_writer *w)
{
	fr_put_be64(w, 0x1122334455667788ULL);
}

static int say_pong(FILE *out, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	fprintf(out, "token %" PRIx64, fr_get_be64(&r));
	return r.bad ? -EBADMSG : 0;
}

static void put_error(struct fr_writer *w)
{
	static const struct fr_error m = { FR_ERROR_EPOCH,
					   "your epoch 6 is older than mine" };

	fr_error_encode(w, &m);
}

static int say_error(FILE *out, const void *buf, size_t len)
{
	struct fr_error m;
	int err = fr_error_decode(&m, buf, len);

	fprintf(out, "code %u, text \"%s\"", m.code, m.text);
	return err;
}

static void put_checked(struct fr_writer *w)
{
	static const struct fr_checked m = { 100000, 1, 2, 3 };

	fr_checked_encode(w, &m);
}

static int say_checked(FILE *out, const void *buf, size_t len)
{
	struct fr_checked m;
	int err = fr_checked_decode(&m, buf, len);

	fprintf(out,
		"entries %" PRIu64 ", missing %" PRIu64 ", stale %" PRIu64
		", differ %" PRIu64,
		m.entries, m.missing, m.stale, m.differ);
	return err;
}

static void put_repair_begin(struct fr_writer *w)
{
	static const uint8_t buckets[FLYREP_BUCKETS_LEN] = {
		0x01, [FLYREP_BUCKETS_LEN - 1] = 0x80
	};
	static const struct fr_repair_begin m = { buckets, 258 };

	fr_repair_begin_encode(w, &m);
}

static int say_repair_begin(FILE *out, const void *buf, size_t len)
{
	struct fr_repair_begin m;
	int err = fr_repair_begin_decode(&m, buf, len);
	size_t i;

	fprintf(out, "batches before %u, buckets", m.n_before);
	for (i = 0; !err && i < FLYREP_BUCKETS; i++)
		if (m.buckets[i / 8] >> i % 8 & 1)
			fprintf(out, " %zu", i);
	return err;
}

static void put_recall(struct fr_writer *w)
{
	static const struct fr_recall m = { (const uint8_t *)"\0\1\1\0\6filter", 11 };

	fr_recall_encode(w, &m);
}

static int say_recall(FILE *out, const void *buf, size_t len)
{
	struct fr_recall m;
	int err = fr_recall_decode(&m, buf, len);
	size_t i;

	fputs("prefix ", out);
	for (i = 0; !err && i < m.prefix_len; i++)
		fprintf(out, "%02x", m.prefix[i]);
	return err;
}

static void put_move(struct fr_writer *w)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		fr_put_u8(w, (uint8_t)(0xd0 + i));
}

static int say_move(FILE *out, const void *buf, size_t len)
{
	const uint8_t *token = buf;

	if (len < 32)
		return -EBADMSG;
	fprintf(out, "token %02x..%02x", token[0], token[31]);
	return 0;
}

static void put_pause(struct fr_writer *w)
{
	static const struct fr_pause m = { 1 };

	fr_pause_encode(w, &m);
}

static int say_pause(FILE *out, const void *buf, size_t len)
{
	struct fr_pause m;
	int err = fr_pause_decode(&m, buf, len);

	fprintf(out, "paused %u", m.is_paused);
	return err;
}

static void put_resync(struct fr_writer *w)
{
	static const struct fr_resync m = {
		.id = 3, .state = FR_RESYNC_RUNNING, .tables = 2, .buckets = 16384,
		.buckets_total = 65536, .records = 25000, .records_total = 100000,
		.bytes = 750000,
	};

	fr_resync_encode(w, &m);
}

static int say_resync(FILE *out, const void *buf, size_t len)
{
	struct fr_resync m;
	int err = fr_resync_decode(&m, buf, len);

	fprintf(out, "id %u, state %u, tables %lx, buckets %lu of %lu, ", m.id, m.state,
		m.tables, m.buckets, m.buckets_total);
	fprintf(out, "records %lu of %lu, bytes %lu, why \"%s\"", m.records, m.records_total,
		m.bytes, m.why);
	return err;
}

union room {
	struct flyrep_item item;
	uint8_t bytes[FR_ITEM_ROOM];
};

/* A lease of a node that knows no fields of it but address and state. */
static void put_short_lease(struct fr_writer *w)
{
	static const char *const texts[FR_ITEM_FIELDS_MAX] = { "lan", "00:1b:21:3c:4d:5e", NULL,
							       "192.0.2.7", "active" };
	const struct fr_table *t = fr_table_by_id(FLYREP_TABLE_LEASE);
	struct fr_reader r;
	union room room;
	char *why;

	if (fr_item_make(&room, FLYREP_TABLE_LEASE, FLYREP_OP_INSERT, texts, 0, &why) < 0)
		abort();
	fr_reader_init(&r, room.bytes + sizeof(room.item) + room.item.key_len,
		       room.item.value_len);
	fr_get_ref(&r, fr_get_be16(&r));
	fr_get_ref(&r, fr_get_be16(&r));
	room.item.value_len -= (uint16_t)fr_reader_left(&r);
	room.item.rec.tail_len = FLYREP_ITEM_TAIL_LEN(room.item.key_len, room.item.value_len);
	memset(room.bytes + sizeof(room.item) + room.item.key_len + room.item.value_len, 0, 8);
	if (r.bad || t->encode(w, &room, 1))
		abort();
}

static int say_lease(FILE *out, const void *buf, size_t len)
{
	const struct fr_table *t = fr_table_by_id(FLYREP_TABLE_LEASE);
	union room room = { 0 };
	struct fr_reader r;
	json_t *obj;
	size_t n;
	int err;

	fr_reader_init(&r, buf, len);
	err = t->decode(&r, &room, sizeof(room), 1, &n);
	obj = t->to_json(&room);
	json_dumpf(obj, out, JSON_COMPACT);
	json_decref(obj);
	return err;
}

/* A row for every type of frame: write its payload; say what a payload means. */
struct message {
	void (*put)(struct fr_writer *w);
	int (*say)(FILE *out, const void *buf, size_t len);
};

static const struct message messages[FR_FRAME_TYPE_END] = {
	[FR_FRAME_HELLO] = { put_hello, say_hello },
	[FR_FRAME_START] = { put_start, say_start },
	[FR_FRAME_BATCH] = { put_batch, say_batch },
	[FR_FRAME_ACK] = { put_ack, say_ack },
	[FR_FRAME_AUDIT] = { put_audit, say_audit },
	[FR_FRAME_AUDIT_REPLY] = { put_audit_reply, say_audit_reply },
	[FR_FRAME_REPAIR_BEGIN] = { put_repair_begin, say_repair_begin },
	[FR_FRAME_REPAIR_END] = { put_nothing, say_nothing },
	[FR_FRAME_ROLE] = { put_role, say_role },
	[FR_FRAME_PING] = { put_ping, say_ping },
	[FR_FRAME_PONG] = { put_pong, say_pong },
	[FR_FRAME_ERROR] = { put_error, say_error },
	[FR_FRAME_CHECK] = { put_nothing, say_nothing },
	[FR_FRAME_CHECKED] = { put_checked, say_checked },
	[FR_FRAME_RECALL] = { put_recall, say_recall },
	[FR_FRAME_RECALLED] = { put_nothing, say_nothing },
	[FR_FRAME_MOVE] = { put_move, say_move },
	[FR_FRAME_MOVED] = { put_nothing, say_nothing },
	[FR_FRAME_RENEW] = { put_nothing, say_nothing },
	[FR_FRAME_PAUSE] = { put_pause, say_pause },
	[FR_FRAME_RESYNC] = { put_resync, say_resync },
};

/* What may be sent instead, and must be understood: shorter ones, and those of the previous version. */
static const struct other {
	const char *name;
	unsigned int type;
	uint8_t table;
	struct message message;
} others[] = {
	{ "ACK, short", FR_FRAME_ACK, 0, { put_short_ack, say_short_ack } },
	{ "HELLO of version 1", FR_FRAME_HELLO, 0, { put_hello_1, say_hello } },
	{ "ROLE of version 1", FR_FRAME_ROLE, 0, { put_role_1, say_role_1 } },
	{ "BATCH with fewer fields", FR_FRAME_BATCH, FLYREP_TABLE_LEASE,
	  { put_short_lease, say_lease } },
};

#define N_OTHERS (sizeof(others) / sizeof(others[0]))
#define PAYLOAD_MAX (FLYREP_BUCKETS_LEN + 1024)

/* The whole frame; its length. */
static size_t make_frame_of(uint8_t *frame, unsigned int type, uint8_t table,
			    void (*put)(struct fr_writer *w))
{
	struct fr_frame_head h = { .type = (uint8_t)type, .table = table };
	struct fr_writer w;

	fr_writer_init(&w, frame + FR_FRAME_HEAD_LEN, PAYLOAD_MAX);
	put(&w);
	if (w.bad)
		abort();
	h.len = (uint32_t)fr_writer_len(&w);
	h.seq = type == FR_FRAME_BATCH ? 4712 : 0;
	fr_frame_head_encode(frame, &h);
	return FR_FRAME_HEAD_LEN + h.len;
}

static uint8_t table_of(unsigned int type)
{
	switch (type) {
	case FR_FRAME_BATCH:
	case FR_FRAME_AUDIT:
	case FR_FRAME_AUDIT_REPLY:
	case FR_FRAME_REPAIR_BEGIN:
	case FR_FRAME_REPAIR_END:
	case FR_FRAME_CHECK:
	case FR_FRAME_CHECKED:
		return FLYREP_TABLE_CONNTRACK;
	case FR_FRAME_RECALL:
	case FR_FRAME_RECALLED:
		return FLYREP_TABLE_NFT_SET;
	default:
		return 0;
	}
}

static size_t make_frame(uint8_t *frame, unsigned int type)
{
	return make_frame_of(frame, type, table_of(type), messages[type].put);
}

static void write_frame(FILE *out, const char *name, const struct message *m, const uint8_t *frame,
			size_t len)
{
	fprintf(out, "\n== %s\n%-8s", name, "means");
	m->say(out, frame + FR_FRAME_HEAD_LEN, len - FR_FRAME_HEAD_LEN);
	fputc('\n', out);
	put_hex(out, "head", frame, FR_FRAME_HEAD_LEN);
	put_hex(out, "payload", frame + FR_FRAME_HEAD_LEN, len - FR_FRAME_HEAD_LEN);
}

static void write_frames(FILE *out)
{
	static uint8_t frame[FR_FRAME_HEAD_LEN + PAYLOAD_MAX];
	unsigned int type;
	size_t len, i;

	fputs("# A frame of each type, not compressed; then what may be sent instead: shorter\n"
	      "# ones, and those of the previous version.\n"
	      "# Written by: build/unit/test_vectors_frames --write\n",
	      out);
	for (type = 1; type < FR_FRAME_TYPE_END; type++) {
		len = make_frame(frame, type);
		write_frame(out, fr_frame_type_name(type), &messages[type], frame, len);
	}
	for (i = 0; i < N_OTHERS; i++) {
		len = make_frame_of(frame, others[i].type, others[i].table,
				    others[i].message.put);
		write_frame(out, others[i].name, &others[i].message, frame, len);
	}
}

static void write_squeezed(FILE *out)
{
	static uint8_t plain[65536], packed[65536];
	struct fr_squeeze *s = fr_squeeze_new();
	struct fr_writer w;
	uint8_t flags = 0;
	ssize_t n;

	if (!s)
		abort();
	fr_writer_init(&w, plain, sizeof(plain));
	put_flows(&w, 64);
	n = fr_squeeze_pack(s, packed, sizeof(packed), plain, fr_writer_len(&w),
			    &flags);
	if (n < 0 || !(flags & FR_FRAME_F_ZSTD))
		abort();
	fputs("# Payloads with flag 1 as this zstd made them. Another release may make\n"
	      "# other bytes; every one must read these.\n"
	      "# Written by: build/unit/test_vectors_frames --write\n"
	      "\n== columns: a batch of 64\n",
	      out);
	put_hex(out, "plain", plain, fr_writer_len(&w));
	put_hex(out, "packed", packed, (size_t)n);
	fr_squeeze_free(s);
}

static const struct vectors frames = { VECTORS "frames.txt", write_frames };
static const struct vectors squeezed = { VECTORS "squeezed.txt",
					 write_squeezed };

/* --- tests -------------------------------------------------------------- */

static void encoders_write_the_vectors(void **state)
{
	(void)state;
	assert_file_is_current(&frames);
}

static void is_read_back(const char *text, const char *section_name, unsigned int type,
			 const struct message *m)
{
	char name[32], *means, *said = NULL;
	size_t head_len, len, said_len;
	uint8_t *head, *payload;
	struct fr_frame_head h;
	const char *pos;
	FILE *out;

	snprintf(name, sizeof(name), "%s\n", section_name);
	pos = section(text, name) - 1;
	means = value_next(&pos, "means");
	head = bytes_next(&pos, "head", &head_len);
	payload = bytes_next(&pos, "payload", &len);

	assert_int_equal(head_len, FR_FRAME_HEAD_LEN);
	assert_int_equal(fr_frame_head_decode(&h, head), 0);
	assert_int_equal(h.type, type);
	assert_int_equal(h.len, len);
	out = open_memstream(&said, &said_len);
	assert_int_equal(m->say(out, payload, len), 0);
	fclose(out);
	assert_string_equal(said, means);
	free(said);
	free(means);
	free(head);
	free(payload);
}

static void frames_are_read_back(void **state)
{
	char *text = file_read(frames.path);
	unsigned int type;
	size_t i;

	(void)state;
	for (type = 1; type < FR_FRAME_TYPE_END; type++)
		is_read_back(text, fr_frame_type_name(type), type, &messages[type]);
	for (i = 0; i < N_OTHERS; i++)
		is_read_back(text, others[i].name, others[i].type, &others[i].message);
	free(text);
}

static void squeezed_payloads_are_read_back(void **state)
{
	char *text = file_read(squeezed.path);
	const char *pos = section(text, "columns");
	size_t plain_len, packed_len, out_len;
	uint8_t *plain = bytes_next(&pos, "plain", &plain_len);
	uint8_t *packed = bytes_next(&pos, "packed", &packed_len);
	struct fr_squeeze *s = fr_squeeze_new();
	const uint8_t *out;

	(void)state;
	assert_non_null(s);
	assert_true(packed_len < plain_len / 4);
	assert_int_equal(fr_squeeze_unpack(s, packed, packed_len,
					   FR_FRAME_F_ZSTD, &out, &out_len),
			 0);
	assert_int_equal(out_len, plain_len);
	assert_memory_equal(out, plain, plain_len);
	fr_squeeze_free(s);
	free(plain);
	free(packed);
	free(text);
}

/* --- writing ------------------------------------------------------------ */

static int seeds_of_frames(void)
{
	static uint8_t frame[FR_FRAME_HEAD_LEN + 65536];
	static uint8_t plain[65536];
	struct fr_frame_head h = { .type = FR_FRAME_BATCH,
				   .table = FLYREP_TABLE_CONNTRACK,
				   .seq = 1 };
	struct fr_squeeze *s = fr_squeeze_new();
	struct fr_writer w;
	unsigned int type;
	ssize_t len;
	size_t i;
	int bad = 0;

	for (type = 1; type < FR_FRAME_TYPE_END; type++) {
		len = (ssize_t)make_frame(frame, type);
		bad |= seed_write("frame", fr_frame_type_name(type), frame,
				  (size_t)len);
	}
	for (i = 0; i < N_OTHERS; i++) {
		char name[32];

		len = (ssize_t)make_frame_of(frame, others[i].type, others[i].table,
					     others[i].message.put);
		snprintf(name, sizeof(name), "%s-1", fr_frame_type_name(others[i].type));
		bad |= seed_write("frame", name, frame, (size_t)len);
	}
	fr_writer_init(&w, plain, sizeof(plain));
	put_flows(&w, 64);
	len = fr_squeeze_pack(s, frame + FR_FRAME_HEAD_LEN, 65536, plain,
			      fr_writer_len(&w), &h.flags);
	if (len < 0)
		abort();
	h.len = (uint32_t)len;
	fr_frame_head_encode(frame, &h);
	bad |= seed_write("frame", "BATCH-zstd", frame,
			  FR_FRAME_HEAD_LEN + (size_t)len);
	fr_squeeze_free(s);
	return bad;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(encoders_write_the_vectors),
		cmocka_unit_test(frames_are_read_back),
		cmocka_unit_test(squeezed_payloads_are_read_back),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return vectors_write(&frames) | vectors_write(&squeezed) |
		       seeds_of_frames();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
