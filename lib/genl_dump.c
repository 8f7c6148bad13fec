// SPDX-License-Identifier: GPL-2.0-or-later
#include "genl_dump.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "genl_message.h"
#include "netlink.h"
#include "records.h"

/* What an attribute can hold, and as much again for what its records may grow by */
#define SCRATCH_LEN (2 * 65536)

void fr_genl_dump_begin(struct fr_genl_dump *d, uint8_t cmd, uint8_t table,
			uint32_t seq)
{
	d->cmd = cmd;
	d->table = table;
	d->seq = seq;
	d->phase = FLYREP_PHASE_UNSPEC;
	d->is_interrupted = false;
	d->end_stamp = 0;
}

void fr_genl_dump_free(struct fr_genl_dump *d)
{
	free(d->scratch);
	d->scratch = NULL;
}

/* Return: room of SCRATCH_LEN bytes, or NULL. */
static void *scratch(struct fr_genl_dump *d)
{
	if (!d->scratch)
		d->scratch = malloc(SCRATCH_LEN);
	return d->scratch;
}

static int take_records(struct fr_genl_dump *d,
			const struct fr_genl_attrs *attrs,
			const struct fr_genl_sink *sink, void *cookie)
{
	const struct nlattr *attr = attrs->by_type[FLYREP_A_RECORDS];
	const struct fr_table *table;
	const uint8_t *recs;
	uint16_t src_len;
	size_t len, chunk;
	ssize_t n;
	uint8_t id;

	if (!attr || fr_genl_message_u8(attrs, FLYREP_A_TABLE, &id) ||
	    fr_genl_message_u16(attrs, FLYREP_A_REC_LEN, &src_len))
		return -EPROTO;
	recs = mnl_attr_get_payload(attr);
	len = mnl_attr_get_payload_len(attr);
	if (src_len < sizeof(struct flyrep_rec))
		return -EPROTO;
	n = fr_records_count(recs, len, src_len);
	if (n < 0)
		return -EPROTO;
	if (d->cmd == FLYREP_CMD_SNAPSHOT && id != d->table)
		return -EPROTO;
	table = fr_table_by_id(id);
	/* A newer module may drain tables that this program has never heard of. */
	if (!table || !sink->records)
		return 0;

	if (src_len == table->rec_len &&
	    !((uintptr_t)recs % alignof(struct flyrep_rec))) {
		if (n)
			sink->records(cookie, id, recs, (size_t)n);
		return 0;
	}
	/* Another size, or aligned as netlink aligns: to four bytes only. */
	if (!scratch(d))
		return -ENOMEM;
	/* So many that they fit with the longest tails, and one at least. */
	for (; n; n -= (ssize_t)chunk) {
		chunk = (SCRATCH_LEN - len) / table->rec_len;
		if (chunk > (size_t)n)
			chunk = (size_t)n;
		recs += fr_records_resize(table, d->scratch, recs, src_len, chunk);
		sink->records(cookie, id, d->scratch, chunk);
	}
	return 0;
}

/* Are these whole hints, each with a key of at most its length, and zeros behind it? */
static bool are_hints(const uint8_t *pos, size_t len)
{
	struct flyrep_hint h;
	size_t step, i;

	for (; len; pos += step, len -= step) {
		if (len < sizeof(h))
			return false;
		memcpy(&h, pos, sizeof(h));
		step = FLYREP_HINT_LEN(h.key_len);
		if (h.key_len > FLYREP_HINT_KEY_MAX_LEN || step > len)
			return false;
		for (i = sizeof(h) + h.key_len; i < step; i++)
			if (pos[i])
				return false;
	}
	return true;
}

static int take_hints(struct fr_genl_dump *d, const struct fr_genl_attrs *attrs,
		      const struct fr_genl_sink *sink, void *cookie)
{
	const struct nlattr *attr = attrs->by_type[FLYREP_A_HINTS];
	const void *hints = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);
	uint8_t id;

	if (fr_genl_message_u8(attrs, FLYREP_A_TABLE, &id) ||
	    id != FLYREP_TABLE_NFT_SET || !len || !are_hints(hints, len))
		return -EPROTO;
	if (!sink->hints)
		return 0;
	if ((uintptr_t)hints % alignof(struct flyrep_hint)) {
		if (!scratch(d))
			return -ENOMEM;
		hints = memcpy(d->scratch, hints, len);
	}
	sink->hints(cookie, hints, len);
	return 0;
}

static int take_dirty(const struct fr_genl_attrs *attrs,
		      const struct fr_genl_sink *sink, void *cookie)
{
	const uint8_t *buckets;
	uint32_t n;
	uint8_t id;

	if (fr_genl_message_u8(attrs, FLYREP_A_TABLE, &id) ||
	    fr_genl_message_u32(attrs, FLYREP_A_DIRTY, &n) || !n ||
	    fr_genl_message_buckets(attrs, &buckets) ||
	    (!buckets && n != FLYREP_BUCKETS))
		return -EPROTO;
	/* At once: the module has handed these buckets over, whatever happens next. */
	if (fr_table_by_id(id) && sink->dirty)
		sink->dirty(cookie, id, n, buckets);
	return 0;
}

static int take_drain(struct fr_genl_dump *d, const struct fr_genl_attrs *attrs,
		      const struct fr_genl_sink *sink, void *cookie)
{
	uint64_t stamp;

	if (d->phase == FLYREP_PHASE_END)
		return -EPROTO;
	if (attrs->by_type[FLYREP_A_RECORDS])
		return take_records(d, attrs, sink, cookie);
	if (attrs->by_type[FLYREP_A_HINTS])
		return take_hints(d, attrs, sink, cookie);
	if (attrs->by_type[FLYREP_A_DIRTY])
		return take_dirty(attrs, sink, cookie);
	if (fr_genl_message_u64(attrs, FLYREP_A_STAMP, &stamp))
		return -EPROTO;
	d->phase = FLYREP_PHASE_END;
	if (sink->drained)
		sink->drained(cookie, stamp);
	return 0;
}

static int take_snapshot(struct fr_genl_dump *d,
			 const struct fr_genl_attrs *attrs,
			 const struct fr_genl_sink *sink, void *cookie)
{
	const uint8_t *buckets;
	uint8_t table, phase;
	uint64_t stamp;

	if (fr_genl_message_u8(attrs, FLYREP_A_TABLE, &table) ||
	    table != d->table ||
	    fr_genl_message_u8(attrs, FLYREP_A_PHASE, &phase))
		return -EPROTO;

	switch (phase) {
	case FLYREP_PHASE_BEGIN:
		if (d->phase != FLYREP_PHASE_UNSPEC ||
		    fr_genl_message_u64(attrs, FLYREP_A_STAMP, &stamp) ||
		    fr_genl_message_buckets(attrs, &buckets))
			return -EPROTO;
		if (sink->begin)
			sink->begin(cookie, table, stamp, buckets);
		break;
	case FLYREP_PHASE_DATA:
		if (d->phase != FLYREP_PHASE_BEGIN &&
		    d->phase != FLYREP_PHASE_DATA)
			return -EPROTO;
		d->phase = phase;
		return take_records(d, attrs, sink, cookie);
	case FLYREP_PHASE_END:
		if (d->phase != FLYREP_PHASE_BEGIN &&
		    d->phase != FLYREP_PHASE_DATA)
			return -EPROTO;
		if (fr_genl_message_u64(attrs, FLYREP_A_STAMP, &d->end_stamp))
			return -EPROTO;
		break;
	default:
		return -EPROTO;
	}
	d->phase = phase;
	return 0;
}

/* A datagram under way. */
struct taking {
	struct fr_genl_dump *d;
	const struct fr_genl_sink *sink;
	void *cookie;
	char *text;
	size_t size;
};

/* NLMSG_DONE, or NLMSG_ERROR in its place: the dump is over. */
static int take_done(const struct taking *t, const struct nlmsghdr *nlh)
{
	struct fr_genl_dump *d = t->d;
	uint8_t cmd = d->cmd;
	int err = fr_netlink_error(nlh, t->text, t->size);

	/* An acknowledgement nobody asked for does not end a dump. */
	if (!err && nlh->nlmsg_type == NLMSG_ERROR)
		return -EPROTO;
	d->cmd = FLYREP_CMD_UNSPEC;
	if (err)
		return err;
	if (d->is_interrupted)
		return -EINTR;
	if (d->phase != FLYREP_PHASE_END)
		return -EPROTO;
	/* Only now is it certain that nothing of the snapshot is missing. */
	if (cmd == FLYREP_CMD_SNAPSHOT && t->sink->end)
		t->sink->end(t->cookie, d->table, d->end_stamp);
	return 0;
}

static int take_message(const struct nlmsghdr *nlh, void *cookie)
{
	const struct taking *t = cookie;
	struct fr_genl_dump *d = t->d;
	struct fr_genl_attrs attrs;
	uint8_t cmd;

	if (nlh->nlmsg_type == d->family && !nlh->nlmsg_seq) {
		if (fr_genl_message_attrs(nlh, &cmd, &attrs))
			return -EPROTO;
		if (cmd == FLYREP_CMD_WAKE && t->sink->wake)
			t->sink->wake(t->cookie);
		return 0;
	}
	if (!d->cmd || nlh->nlmsg_seq != d->seq)
		return 0;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		d->is_interrupted = true;
	if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
		return take_done(t, nlh);
	if (nlh->nlmsg_type != d->family)
		return -EPROTO;
	if (fr_genl_message_attrs(nlh, &cmd, &attrs) || cmd != d->cmd)
		return -EPROTO;
	if (cmd == FLYREP_CMD_DRAIN)
		return take_drain(d, &attrs, t->sink, t->cookie);
	return take_snapshot(d, &attrs, t->sink, t->cookie);
}

int fr_genl_dump_take(struct fr_genl_dump *d, const void *buf, size_t len,
		      const struct fr_genl_sink *sink, void *cookie, char *text,
		      size_t size)
{
	struct taking t = { d, sink, cookie, text, size };
	int err;

	text[0] = 0;
	err = fr_netlink_messages(buf, len, take_message, &t);
	return err ? err : d->cmd != FLYREP_CMD_UNSPEC;
}
