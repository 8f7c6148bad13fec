// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A frame of a peer: its head, its payload if squeezed, and the message that
 * its type says. What is accepted can be encoded, and means the same again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "records.h"

#define N_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int is_true)
{
	if (!is_true)
		abort();
}

/*
 * Decode; if accepted, the bytes made of it are a beginning of those that came.
 * Not for texts, from which the decoder takes control bytes.
 */
/* clang-format off */
#define AGAIN(name, type) \
	static void name(const uint8_t *data, size_t len) \
	{ \
		static uint8_t buf[16384]; \
		struct fr_writer w; \
		struct type m; \
		int err = fr_##name##_decode(&m, data, len); \
\
		must(err == 0 || err == -EBADMSG); \
		if (err) \
			return; \
		fr_writer_init(&w, buf, sizeof(buf)); \
		fr_##name##_encode(&w, &m); \
		must(!w.bad && fr_writer_len(&w) <= len); \
		must(!memcmp(buf, data, fr_writer_len(&w))); \
	}

/* clang-format on */

AGAIN(start, fr_start)
AGAIN(ack, fr_ack)
AGAIN(audit, fr_audit)
AGAIN(repair_begin, fr_repair_begin)
AGAIN(ping, fr_ping)
AGAIN(checked, fr_checked)

static void hello(const uint8_t *data, size_t len)
{
	struct fr_hello m;

	if (fr_hello_decode(&m, data, len))
		return;
	must(m.wire_min && m.wire_min <= m.wire_max);
	must(m.node_id[0] && strlen(m.node_id) <= FR_NODE_ID_MAX_LEN);
	must(strlen(m.version) < sizeof(m.version));
	must(strcmp(fr_role_name(m.role), "unknown"));
	must(m.wire_max >= FR_WIRE_VERSION_MANY || (!m.rules && m.distance == FR_DISTANCE_NONE));
}

static void role(const uint8_t *data, size_t len)
{
	struct fr_role_msg m;
	struct fr_writer w;
	uint8_t buf[16];

	if (!fr_role_decode(&m, data, len, FR_WIRE_VERSION_MIN))
		must(m.distance == FR_DISTANCE_NONE);
	if (fr_role_decode(&m, data, len, FR_WIRE_VERSION))
		return;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_role_encode(&w, &m, FR_WIRE_VERSION);
	must(fr_writer_len(&w) <= len && !memcmp(buf, data, fr_writer_len(&w)));
}

static void error(const uint8_t *data, size_t len)
{
	struct fr_error m;
	size_t i;

	if (fr_error_decode(&m, data, len))
		return;
	must(strlen(m.text) < sizeof(m.text));
	for (i = 0; m.text[i]; i++)
		must((uint8_t)m.text[i] >= ' ' && m.text[i] != 0x7f);
}

static void audit_reply(const uint8_t *data, size_t len)
{
	struct fr_audit_reply m;
	uint64_t sum = 0;
	unsigned int i, j;

	if (fr_audit_reply_decode(&m, data, len))
		return;
	for (i = 0; i < m.n_groups; i++)
		for (j = 0; j < FR_GROUP_BUCKETS; j++)
			sum += fr_audit_reply_digest(&m, i, j);
	/* Every byte was read; keep the compiler from knowing better. */
	__asm__ volatile("" : : "r"(sum));
}

static void recall(const uint8_t *data, size_t len)
{
	struct fr_recall m;

	if (fr_recall_decode(&m, data, len))
		return;
	must(m.prefix_len && m.prefix_len <= FR_RECALL_MAX_LEN);
	must(m.prefix + m.prefix_len <= data + len);
}

static void pause_or_not(const uint8_t *data, size_t len)
{
	struct fr_pause m;

	if (!fr_pause_decode(&m, data, len))
		must(m.is_paused <= 1);
}

static void resync(const uint8_t *data, size_t len)
{
	struct fr_resync m;

	if (fr_resync_decode(&m, data, len))
		return;
	must(m.state && m.buckets <= m.buckets_total);
	must(strlen(m.why) < sizeof(m.why));
}

static void batch(const uint8_t *data, size_t len)
{
	static union fr_record recs[N_MAX];
	unsigned int id;
	struct fr_reader r;
	size_t n;
	int err;

	for (id = 1; id <= FLYREP_TABLE_MAX; id++) {
		fr_reader_init(&r, data, len);
		err = fr_table_by_id(id)->decode(&r, recs, sizeof(recs), N_MAX, &n);
		must(err == 0 || err == -EBADMSG);
	}
}

static void (*const decoders[FR_FRAME_TYPE_END])(const uint8_t *, size_t) = {
	[FR_FRAME_HELLO] = hello, [FR_FRAME_START] = start,
	[FR_FRAME_BATCH] = batch, [FR_FRAME_ACK] = ack,
	[FR_FRAME_AUDIT] = audit, [FR_FRAME_AUDIT_REPLY] = audit_reply,
	[FR_FRAME_REPAIR_BEGIN] = repair_begin,
	[FR_FRAME_ROLE] = role,	  [FR_FRAME_PING] = ping,
	[FR_FRAME_ERROR] = error, [FR_FRAME_CHECKED] = checked,
	[FR_FRAME_RECALL] = recall, [FR_FRAME_PAUSE] = pause_or_not,
	[FR_FRAME_RESYNC] = resync,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct fr_squeeze *squeeze;
	uint8_t again[FR_FRAME_HEAD_LEN];
	struct fr_frame_head h;
	const uint8_t *payload;
	size_t payload_len;
	int err;

	if (!squeeze)
		squeeze = fr_squeeze_new();
	must(!!squeeze);
	if (len < FR_FRAME_HEAD_LEN)
		return 0;
	err = fr_frame_head_decode(&h, data);
	must(err == 0 || err == -EBADMSG || err == -EMSGSIZE);
	if (err)
		return 0;
	must(h.len <= FR_FRAME_MAX_LEN);
	fr_frame_head_encode(again, &h);
	must(!memcmp(again, data, sizeof(again)));

	/* The length in the head is the reader's business: take what is there. */
	if (fr_squeeze_unpack(squeeze, data + FR_FRAME_HEAD_LEN,
			      len - FR_FRAME_HEAD_LEN, h.flags, &payload,
			      &payload_len))
		return 0;
	must(payload_len <= FR_PAYLOAD_MAX_LEN);
	if (decoders[h.type])
		decoders[h.type](payload, payload_len);
	return 0;
}
