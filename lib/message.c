// SPDX-License-Identifier: GPL-2.0-or-later
/* The control messages of frame.h. */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "frame.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const role_names[] = {
	[FR_ROLE_BACKUP] = "backup",
	[FR_ROLE_PRIMARY] = "primary",
	[FR_ROLE_FAULT] = "fault",
	[FR_ROLE_PEER] = "peer",
};

const char *fr_role_name(enum fr_role role)
{
	const char *name =
		(unsigned int)role < N_OF(role_names) ? role_names[role] : NULL;

	return name ? name : "unknown";
}

static bool is_role(uint8_t role)
{
	return role >= FR_ROLE_BACKUP && role <= FR_ROLE_PEER;
}

static bool is_distance(uint8_t distance)
{
	return distance <= FR_DISTANCE_MAX || distance >= FR_DISTANCE_READS;
}

/* As the configuration has it: [A-Za-z0-9._-]{1,63}. */
static bool is_node_id(const char *s)
{
	size_t n = strspn(
		s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n && !s[n];
}

/* Text of a peer ends in logs and on terminals: control bytes become '?'. */
static void defuse(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

static int done(const struct fr_reader *r)
{
	return r->bad ? -EBADMSG : 0;
}

uint8_t fr_wire_common(uint8_t min, uint8_t max, const struct fr_hello *theirs)
{
	uint8_t common = theirs->wire_max < max ? theirs->wire_max : max;

	return common < min || common < theirs->wire_min ? 0 : common;
}

/* What only the modes of more than a pair need. */
static void put_many(struct fr_writer *w, const struct fr_hello *m)
{
	fr_put_bytes(w, m->life, sizeof(m->life));
	fr_put_bytes(w, m->ledger, sizeof(m->ledger));
	fr_put_be64(w, m->rules);
	fr_put_u8(w, m->distance);
}

static void get_many(struct fr_reader *r, struct fr_hello *m)
{
	fr_get_bytes(r, m->life, sizeof(m->life));
	fr_get_bytes(r, m->ledger, sizeof(m->ledger));
	m->rules = fr_get_be64(r);
	m->distance = fr_get_u8(r);
}

static void clear_many(struct fr_hello *m)
{
	memset(m->life, 0, sizeof(m->life));
	memset(m->ledger, 0, sizeof(m->ledger));
	m->rules = 0;
	m->distance = FR_DISTANCE_NONE;
}

void fr_hello_encode(struct fr_writer *w, const struct fr_hello *m)
{
	fr_put_u8(w, m->wire_min);
	fr_put_u8(w, m->wire_max);
	fr_put_u8(w, m->role);
	fr_put_be64(w, m->capabilities);
	fr_put_be64(w, m->tables);
	fr_put_be64(w, m->epoch);
	fr_put_be64(w, m->now_us);
	fr_put_bytes(w, m->history, sizeof(m->history));
	fr_put_be64(w, m->seq);
	fr_put_bytes(w, m->have_history, sizeof(m->have_history));
	fr_put_be64(w, m->have_seq);
	fr_put_be32(w, m->ct_max);
	fr_put_str8(w, m->node_id);
	fr_put_str8(w, m->version);
	fr_put_bytes(w, m->hash_key, sizeof(m->hash_key));
	if (m->wire_max >= FR_WIRE_VERSION_MANY)
		put_many(w, m);
}

int fr_hello_decode(struct fr_hello *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->wire_min = fr_get_u8(&r);
	m->wire_max = fr_get_u8(&r);
	m->role = fr_get_u8(&r);
	m->capabilities = fr_get_be64(&r);
	m->tables = fr_get_be64(&r);
	m->epoch = fr_get_be64(&r);
	m->now_us = fr_get_be64(&r);
	fr_get_bytes(&r, m->history, sizeof(m->history));
	m->seq = fr_get_be64(&r);
	fr_get_bytes(&r, m->have_history, sizeof(m->have_history));
	m->have_seq = fr_get_be64(&r);
	m->ct_max = fr_get_be32(&r);
	fr_get_str8(&r, m->node_id, sizeof(m->node_id));
	fr_get_str8(&r, m->version, sizeof(m->version));
	fr_get_bytes(&r, m->hash_key, sizeof(m->hash_key));
	defuse(m->version);
	if (fr_wire_common(0, FR_WIRE_VERSION, m) >= FR_WIRE_VERSION_MANY)
		get_many(&r, m);
	else
		clear_many(m);
	if (!m->wire_min || m->wire_min > m->wire_max || !is_role(m->role) ||
	    !is_node_id(m->node_id) || !is_distance(m->distance))
		return -EBADMSG;
	return done(&r);
}

void fr_start_encode(struct fr_writer *w, const struct fr_start *m)
{
	fr_put_bytes(w, m->history, sizeof(m->history));
	fr_put_be64(w, m->next_seq);
	fr_put_be64(w, m->epoch);
}

int fr_start_decode(struct fr_start *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	fr_get_bytes(&r, m->history, sizeof(m->history));
	m->next_seq = fr_get_be64(&r);
	m->epoch = fr_get_be64(&r);
	/* A frame with seq 0 is none of the stream. */
	return m->next_seq ? done(&r) : -EBADMSG;
}

void fr_ack_encode(struct fr_writer *w, const struct fr_ack *m)
{
	fr_put_be64(w, m->seq);
	fr_put_be64(w, m->entries);
	fr_put_be64(w, m->refused);
	fr_put_be32(w, m->repaired);
}

int fr_ack_decode(struct fr_ack *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->seq = fr_get_be64(&r);
	m->entries = fr_get_be64(&r);
	m->refused = fr_get_be64(&r);
	m->repaired = fr_get_be32(&r);
	return done(&r);
}

void fr_ack_encode_short(struct fr_writer *w, const struct fr_ack *m)
{
	fr_put_be32(w, (uint32_t)m->seq);
}

int fr_ack_decode_short(struct fr_ack *m, const void *buf, size_t len)
{
	struct fr_reader r;

	if (len != FR_ACK_SHORT_LEN)
		return -EBADMSG;
	fr_reader_init(&r, buf, len);
	m->seq += (uint32_t)(fr_get_be32(&r) - (uint32_t)m->seq);
	return 0;
}

void fr_audit_encode(struct fr_writer *w, const struct fr_audit *m)
{
	size_t i;

	fr_put_be32(w, m->id);
	fr_put_be64(w, m->entries);
	for (i = 0; i < FR_GROUPS; i++)
		fr_put_be64(w, m->group[i]);
}

int fr_audit_decode(struct fr_audit *m, const void *buf, size_t len)
{
	struct fr_reader r;
	size_t i;

	fr_reader_init(&r, buf, len);
	m->id = fr_get_be32(&r);
	m->entries = fr_get_be64(&r);
	for (i = 0; i < FR_GROUPS; i++)
		m->group[i] = fr_get_be64(&r);
	return done(&r);
}

static bool group_differs(const struct fr_audit_reply *m, unsigned int group)
{
	return m->differs[group / 8] >> (group % 8) & 1;
}

void fr_audit_reply_encode(struct fr_writer *w, const struct fr_audit_reply *m,
			   const uint64_t *digests)
{
	unsigned int group, i;

	fr_put_be32(w, m->id);
	fr_put_be64(w, m->entries);
	fr_put_bytes(w, m->differs, sizeof(m->differs));
	for (group = 0; group < FR_GROUPS; group++) {
		if (!group_differs(m, group))
			continue;
		for (i = 0; i < FR_GROUP_BUCKETS; i++)
			fr_put_be64(w, digests[group * FR_GROUP_BUCKETS + i]);
	}
}

int fr_audit_reply_decode(struct fr_audit_reply *m, const void *buf, size_t len)
{
	struct fr_reader r;
	unsigned int group;

	fr_reader_init(&r, buf, len);
	m->id = fr_get_be32(&r);
	m->entries = fr_get_be64(&r);
	fr_get_bytes(&r, m->differs, sizeof(m->differs));
	m->n_groups = 0;
	for (group = 0; group < FR_GROUPS; group++)
		m->n_groups += group_differs(m, group);
	m->bucket = fr_get_ref(&r, (size_t)m->n_groups * FR_GROUP_BUCKETS *
					   sizeof(uint64_t));
	return done(&r);
}

uint64_t fr_audit_reply_digest(const struct fr_audit_reply *m,
			       unsigned int nth_group, unsigned int n)
{
	uint64_t v;

	memcpy(&v,
	       m->bucket +
		       ((size_t)nth_group * FR_GROUP_BUCKETS + n) * sizeof(v),
	       sizeof(v));
	return be64toh(v);
}

void fr_repair_begin_encode(struct fr_writer *w, const struct fr_repair_begin *m)
{
	fr_put_be32(w, m->n_before);
	fr_put_bytes(w, m->buckets, FLYREP_BUCKETS_LEN);
}

int fr_repair_begin_decode(struct fr_repair_begin *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->n_before = fr_get_be32(&r);
	m->buckets = fr_get_ref(&r, FLYREP_BUCKETS_LEN);
	return done(&r);
}

void fr_recall_encode(struct fr_writer *w, const struct fr_recall *m)
{
	fr_put_be16(w, m->prefix_len);
	fr_put_bytes(w, m->prefix, m->prefix_len);
}

int fr_recall_decode(struct fr_recall *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->prefix_len = fr_get_be16(&r);
	m->prefix = fr_get_ref(&r, m->prefix_len);
	if (!m->prefix_len || m->prefix_len > FR_RECALL_MAX_LEN)
		return -EBADMSG;
	return done(&r);
}

void fr_role_encode(struct fr_writer *w, const struct fr_role_msg *m, uint8_t wire)
{
	fr_put_u8(w, m->role);
	fr_put_be64(w, m->epoch);
	if (wire >= FR_WIRE_VERSION_MANY)
		fr_put_u8(w, m->distance);
}

int fr_role_decode(struct fr_role_msg *m, const void *buf, size_t len, uint8_t wire)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->role = fr_get_u8(&r);
	m->epoch = fr_get_be64(&r);
	m->distance = wire >= FR_WIRE_VERSION_MANY ? fr_get_u8(&r) : FR_DISTANCE_NONE;
	return is_role(m->role) && is_distance(m->distance) ? done(&r) : -EBADMSG;
}

void fr_pause_encode(struct fr_writer *w, const struct fr_pause *m)
{
	fr_put_u8(w, m->is_paused);
}

int fr_pause_decode(struct fr_pause *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->is_paused = fr_get_u8(&r);
	return m->is_paused <= 1 ? done(&r) : -EBADMSG;
}

void fr_resync_encode(struct fr_writer *w, const struct fr_resync *m)
{
	fr_put_be32(w, m->id);
	fr_put_u8(w, m->state);
	fr_put_be64(w, m->tables);
	fr_put_be64(w, m->buckets);
	fr_put_be64(w, m->buckets_total);
	fr_put_be64(w, m->records);
	fr_put_be64(w, m->records_total);
	fr_put_be64(w, m->bytes);
	fr_put_str8(w, m->why);
}

int fr_resync_decode(struct fr_resync *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->id = fr_get_be32(&r);
	m->state = fr_get_u8(&r);
	m->tables = fr_get_be64(&r);
	m->buckets = fr_get_be64(&r);
	m->buckets_total = fr_get_be64(&r);
	m->records = fr_get_be64(&r);
	m->records_total = fr_get_be64(&r);
	m->bytes = fr_get_be64(&r);
	fr_get_str8(&r, m->why, sizeof(m->why));
	defuse(m->why);
	if (m->state < FR_RESYNC_WANTED || m->state > FR_RESYNC_FAILED ||
	    m->buckets > m->buckets_total)
		return -EBADMSG;
	return done(&r);
}

void fr_ping_encode(struct fr_writer *w, const struct fr_ping *m)
{
	fr_put_be64(w, m->token);
	fr_put_be64(w, m->pending);
}

int fr_ping_decode(struct fr_ping *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->token = fr_get_be64(&r);
	m->pending = fr_get_be64(&r);
	return done(&r);
}

void fr_checked_encode(struct fr_writer *w, const struct fr_checked *m)
{
	fr_put_be64(w, m->entries);
	fr_put_be64(w, m->missing);
	fr_put_be64(w, m->stale);
	fr_put_be64(w, m->differ);
}

int fr_checked_decode(struct fr_checked *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->entries = fr_get_be64(&r);
	m->missing = fr_get_be64(&r);
	m->stale = fr_get_be64(&r);
	m->differ = fr_get_be64(&r);
	return done(&r);
}

void fr_error_encode(struct fr_writer *w, const struct fr_error *m)
{
	fr_put_be16(w, m->code);
	fr_put_str8(w, m->text);
}

int fr_error_decode(struct fr_error *m, const void *buf, size_t len)
{
	struct fr_reader r;

	fr_reader_init(&r, buf, len);
	m->code = fr_get_be16(&r);
	fr_get_str8(&r, m->text, sizeof(m->text));
	defuse(m->text);
	return done(&r);
}
