/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * datagram - datagrams of the module made by hand, and what a client hears of them
 */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include "vectors.h"

#include <linux/genetlink.h>
#include <stdbool.h>

#include "genl_dump.h"
#include "genl_message.h"
#include "netlink.h"
#include "records.h"

#define FAMILY 0x25
#define SEQ 77
#define ROOM 65536

/* --- making datagrams --------------------------------------------------- */

struct datagram {
	char *buf;
	size_t len;
	struct nlmsghdr *nlh; /* the message being made */
};

static inline void message_end(struct datagram *d)
{
	if (d->nlh)
		d->len += MNL_ALIGN(d->nlh->nlmsg_len);
	d->nlh = NULL;
}

static inline void message(struct datagram *d, uint16_t type, uint32_t seq)
{
	message_end(d);
	if (!d->buf)
		d->buf = calloc(1, ROOM);
	assert_non_null(d->buf);
	d->nlh = mnl_nlmsg_put_header(d->buf + d->len);
	d->nlh->nlmsg_type = type;
	d->nlh->nlmsg_seq = seq;
}

static inline void command(struct datagram *d, uint8_t cmd, uint32_t seq)
{
	struct genlmsghdr *genl;

	message(d, FAMILY, seq);
	genl = mnl_nlmsg_put_extra_header(d->nlh, sizeof(*genl));
	genl->cmd = cmd;
}

static inline void put_phase(struct datagram *d, uint8_t phase, uint64_t stamp)
{
	command(d, FLYREP_CMD_SNAPSHOT, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u8(d->nlh, FLYREP_A_PHASE, phase);
	if (stamp)
		mnl_attr_put_u64(d->nlh, FLYREP_A_STAMP, stamp);
}

static inline void put_records(struct datagram *d, const void *recs,
			       uint16_t rec_len, size_t n)
{
	mnl_attr_put_u16(d->nlh, FLYREP_A_REC_LEN, rec_len);
	mnl_attr_put(d->nlh, FLYREP_A_RECORDS, n * rec_len, recs);
}

static inline void drain_records(struct datagram *d, const void *recs,
				 uint16_t rec_len, size_t n)
{
	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	put_records(d, recs, rec_len, n);
}

/* A hint and its key, which is @key_len times its first byte. Return: bytes written. */
static inline size_t hint_make(void *at, uint8_t what, uint8_t key_len,
			       uint8_t byte)
{
	struct flyrep_hint h = { .what = what, .key_len = key_len };

	if (what != FLYREP_HINT_GENERATION) {
		h.table = 7;
		h.set = byte;
	}
	memset(at, 0, FLYREP_HINT_LEN(key_len));
	memcpy(at, &h, sizeof(h));
	memset((char *)at + sizeof(h), byte, key_len);
	return FLYREP_HINT_LEN(key_len);
}

static inline void drain_hints(struct datagram *d, const void *hints,
			       size_t len)
{
	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_NFT_SET);
	mnl_attr_put(d->nlh, FLYREP_A_HINTS, len, hints);
}

static inline void drain_dirty(struct datagram *d, uint32_t n)
{
	static const uint8_t buckets[FLYREP_BUCKETS_LEN] = { 0x81 };

	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u32(d->nlh, FLYREP_A_DIRTY, n);
	if (n != FLYREP_BUCKETS)
		mnl_attr_put(d->nlh, FLYREP_A_BUCKETS, sizeof(buckets),
			     buckets);
}

static inline void drain_end(struct datagram *d, uint64_t stamp)
{
	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u64(d->nlh, FLYREP_A_STAMP, stamp);
}

static inline void done(struct datagram *d, int err, const char *text)
{
	int *at;

	message(d, NLMSG_DONE, SEQ);
	at = mnl_nlmsg_put_extra_header(d->nlh, sizeof(*at));
	*at = err;
	if (text) {
		d->nlh->nlmsg_flags |= NLM_F_ACK_TLVS;
		mnl_attr_put_strz(d->nlh, NLMSGERR_ATTR_MSG, text);
	}
}

static inline void refusal(struct datagram *d, uint32_t seq, int err,
			   const char *text)
{
	struct nlmsgerr *e;

	message(d, NLMSG_ERROR, seq);
	d->nlh->nlmsg_flags |= NLM_F_CAPPED | NLM_F_ACK_TLVS;
	e = mnl_nlmsg_put_extra_header(d->nlh, sizeof(*e));
	e->error = err;
	e->msg.nlmsg_len = 5000; /* capped: none of it follows */
	mnl_attr_put_strz(d->nlh, NLMSGERR_ATTR_MSG, text);
}

/* --- hearing what comes out --------------------------------------------- */

struct heard {
	struct flyrep_ct recs[1200];
	size_t n;
	size_t n_begin, n_end, n_drained, n_wake;
	uint64_t begin_stamp, end_stamp, drained_stamp;
	uint32_t dirty;
	uint8_t first_bucket;
	bool has_buckets;
	uint8_t hints[1024] __attribute__((aligned(8)));
	size_t hints_len;
};

static inline void on_records(void *cookie, uint8_t table, const void *recs,
			      size_t n)
{
	struct heard *h = cookie;

	assert_int_equal(table, FLYREP_TABLE_CONNTRACK);
	assert_int_equal((uintptr_t)recs % 8, 0);
	assert_true(h->n + n <= 1200);
	memcpy(&h->recs[h->n], recs, n * sizeof(h->recs[0]));
	h->n += n;
}

static inline void on_hints(void *cookie, const struct flyrep_hint *hints,
			    size_t len)
{
	struct heard *h = cookie;

	assert_int_equal((uintptr_t)hints % 8, 0);
	assert_true(h->hints_len + len <= sizeof(h->hints));
	memcpy(h->hints + h->hints_len, hints, len);
	h->hints_len += len;
}

static inline void on_begin(void *cookie, uint8_t table, uint64_t stamp,
			    const uint8_t *buckets)
{
	struct heard *h = cookie;

	assert_int_equal(table, FLYREP_TABLE_CONNTRACK);
	h->n_begin++;
	h->begin_stamp = stamp;
	h->has_buckets = buckets;
	h->first_bucket = buckets ? buckets[0] : 0;
}

static inline void on_end(void *cookie, uint8_t table, uint64_t stamp)
{
	struct heard *h = cookie;

	assert_int_equal(table, FLYREP_TABLE_CONNTRACK);
	h->n_end++;
	h->end_stamp = stamp;
}

static inline void on_dirty(void *cookie, uint8_t table, uint32_t n,
			    const uint8_t *buckets)
{
	struct heard *h = cookie;

	assert_int_equal(table, FLYREP_TABLE_CONNTRACK);
	h->dirty = n;
	h->has_buckets = buckets;
	h->first_bucket = buckets ? buckets[0] : 0;
}

static inline void on_drained(void *cookie, uint64_t stamp)
{
	struct heard *h = cookie;

	h->n_drained++;
	h->drained_stamp = stamp;
}

static inline void on_wake(void *cookie)
{
	struct heard *h = cookie;

	h->n_wake++;
}

static const struct fr_genl_sink sink = { on_records, on_hints, on_begin,
					  on_end,     on_dirty, on_drained,
					  on_wake };

/* A dump of @cmd to which datagrams are given one by one. */
struct dump {
	struct fr_genl_dump d;
	struct heard *heard;
	char text[64];
};

static inline void dump_init(struct dump *u, uint8_t cmd)
{
	memset(u, 0, sizeof(*u));
	u->d.family = FAMILY;
	u->heard = calloc(1, sizeof(*u->heard));
	assert_non_null(u->heard);
	if (cmd)
		fr_genl_dump_begin(&u->d, cmd,
				   cmd == FLYREP_CMD_SNAPSHOT ?
					   FLYREP_TABLE_CONNTRACK :
					   FLYREP_TABLE_UNSPEC,
				   SEQ);
}

static inline void dump_free(struct dump *u)
{
	fr_genl_dump_free(&u->d);
	free(u->heard);
}

/* Gives a copy that ends where the datagram ends, @cut bytes early. */
static inline int dump_take(struct dump *u, struct datagram *d, size_t cut)
{
	char *exact;
	int err;

	message_end(d);
	assert_true(d->len > cut);
	exact = malloc(d->len - cut);
	assert_non_null(exact);
	memcpy(exact, d->buf, d->len - cut);
	err = fr_genl_dump_take(&u->d, exact, d->len - cut, &sink, u->heard,
				u->text, sizeof(u->text));
	free(exact);
	free(d->buf);
	memset(d, 0, sizeof(*d));
	return err;
}

static inline void fill(struct flyrep_ct *recs, size_t n)
{
	size_t i;

	memset(recs, 0, n * sizeof(*recs));
	for (i = 0; i < n; i++) {
		recs[i].rec.op = FLYREP_OP_UPDATE;
		recs[i].rec.stamp = 100 + i;
		recs[i].mark = (uint32_t)i;
	}
}

#endif
