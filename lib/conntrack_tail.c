// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack_tail.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "conntrack.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static_assert(sizeof(struct flyrep_ct_ext) == 224, "layout");
static_assert(offsetof(struct flyrep_ct_ext, labels) == 88, "layout");
static_assert(offsetof(struct flyrep_ct_ext, start_ns) == 184, "layout");

bool fr_conntrack_tail(struct flyrep_ct_ext *x, const struct flyrep_ct *ct)
{
	size_t len = ct->rec.tail_len;

	memset(x, 0, sizeof(*x));
	if (!len || ct->rec.op == FLYREP_OP_DELETE)
		return false;
	memcpy(x, ct + 1, len < sizeof(*x) ? len : sizeof(*x));
	return true;
}

/* --- check -------------------------------------------------------------- */

static bool is_zero(const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	uint8_t any = 0;
	size_t i;

	for (i = 0; i < n; i++)
		any |= b[i];
	return !any;
}

static bool is_name(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	return len && len < size && is_zero(name + len, size - len);
}

/* What is not there is zero. */
static bool is_tidy(const struct flyrep_ct_ext *x)
{
#define FIELD(bit, first, next)                                             \
	{                                                                   \
		FLYREP_CT_EXT_##bit, offsetof(struct flyrep_ct_ext, first), \
			offsetof(struct flyrep_ct_ext, next)                \
	}
	static const struct {
		uint16_t bit, at, end;
	} fields[] = {
		FIELD(MASTER, master_proto, reserved),
		FIELD(MASTER, master, synproxy_isn),
		FIELD(SYNPROXY, synproxy_isn, helper),
		FIELD(HELPER, helper, masq_ifname),
		FIELD(MASQ, masq_ifname, labels),
		FIELD(LABELS, labels, seqadj),
		FIELD(SEQADJ, seqadj, timeout_s),
		FIELD(TIMEOUT, timeout_s, start_ns),
		FIELD(START, start_ns, packets),
		FIELD(COUNTERS, packets, bytes[2]),
	};
#undef FIELD
	size_t i;

	for (i = 0; i < N_OF(fields); i++)
		if (!(x->has & fields[i].bit) &&
		    !is_zero((const uint8_t *)x + fields[i].at,
			     (size_t)fields[i].end - fields[i].at))
			return false;
	return true;
}

static const char *reject_master(const struct flyrep_ct_ext *x,
				 const struct flyrep_ct *ct)
{
	struct flyrep_ct master = {
		.rec.op = FLYREP_OP_DELETE,
		.family = ct->family,
		.proto = x->master_proto,
		.zone_dir = ct->zone_dir,
		.orig = x->master,
	};
	const char *why = NULL;

	/* The kernel has ICMP of any type for a master, and finds none. */
	if (x->master_proto == IPPROTO_ICMP ||
	    x->master_proto == IPPROTO_ICMPV6)
		master.orig.dport = htons(
			x->master_proto == IPPROTO_ICMP ? 0x0800 : 0x8000);
	return fr_conntrack_check(&master, &why) ? "no such master" : NULL;
}

const char *fr_conntrack_tail_reject(const struct flyrep_ct *ct)
{
	struct flyrep_ct_ext x;

	if (ct->rec.tail_len % 8)
		return "a tail of no length";
	if (!fr_conntrack_tail(&x, ct))
		return NULL;
	if (!x.has || x.has & ~(uint32_t)FLYREP_CT_EXT_ALL)
		return "a tail of nothing, or of things unknown";
	if (x.reserved[0] | x.reserved[1] | x.reserved[2])
		return "reserved bytes are set";
	if (!is_tidy(&x))
		return "more in the tail than it says";
	if (x.has & FLYREP_CT_EXT_HELPER &&
	    !is_name(x.helper, sizeof(x.helper)))
		return "no name of a helper";
	if (x.has & FLYREP_CT_EXT_MASQ &&
	    !is_name(x.masq_ifname, sizeof(x.masq_ifname)))
		return "no name of an interface";
	if (x.has & FLYREP_CT_EXT_LABELS && is_zero(x.labels, sizeof(x.labels)))
		return "no labels";
	if (x.has & FLYREP_CT_EXT_SYNPROXY &&
	    !(x.synproxy_isn | x.synproxy_its | x.synproxy_tsoff))
		return "no numbers of synproxy";
	if (x.has & FLYREP_CT_EXT_START && !x.start_ns)
		return "no start";
	return x.has & FLYREP_CT_EXT_MASTER ? reject_master(&x, ct) : NULL;
}

/* --- columns ------------------------------------------------------------ */

enum column {
	MASTER_PROTO,
	MASTER_SRC4,
	MASTER_SRC6,
	MASTER_DST4,
	MASTER_DST6,
	MASTER_SPORT,
	MASTER_DPORT,
	HELPER,
	TIMEOUT,
	MASQ,
	LABELS,
	SEQADJ,
	SYNPROXY,
	START,
	COUNTERS,
	N_COLUMNS
};

static_assert(N_COLUMNS <= FR_CONNTRACK_TAIL_COLUMNS, "columns");

#define ANY 0
#define V4 4
#define V6 6

/* clang-format off */
/* In the order they travel, behind the bitmap and the words that tell who has what. */
static const struct {
	uint16_t bit;
	uint8_t family;
	uint8_t len;
} columns[N_COLUMNS] = {
	[MASTER_PROTO] = { FLYREP_CT_EXT_MASTER, ANY, 1 },
	[MASTER_SRC4] = { FLYREP_CT_EXT_MASTER, V4, 4 },
	[MASTER_SRC6] = { FLYREP_CT_EXT_MASTER, V6, 16 },
	[MASTER_DST4] = { FLYREP_CT_EXT_MASTER, V4, 4 },
	[MASTER_DST6] = { FLYREP_CT_EXT_MASTER, V6, 16 },
	[MASTER_SPORT] = { FLYREP_CT_EXT_MASTER, ANY, 2 },
	[MASTER_DPORT] = { FLYREP_CT_EXT_MASTER, ANY, 2 },
	[HELPER] = { FLYREP_CT_EXT_HELPER, ANY, FLYREP_CT_HELPER_LEN },
	[TIMEOUT] = { FLYREP_CT_EXT_TIMEOUT, ANY, 4 * FLYREP_CT_TIMEOUTS },
	[MASQ] = { FLYREP_CT_EXT_MASQ, ANY, FLYREP_CT_IFNAME_LEN },
	[LABELS] = { FLYREP_CT_EXT_LABELS, ANY, FLYREP_CT_LABELS_LEN },
	[SEQADJ] = { FLYREP_CT_EXT_SEQADJ, ANY, 24 },
	[SYNPROXY] = { FLYREP_CT_EXT_SYNPROXY, ANY, 12 },
	[START] = { FLYREP_CT_EXT_START, ANY, 8 },
	[COUNTERS] = { FLYREP_CT_EXT_COUNTERS, ANY, 32 },
};

/* clang-format on */

#define COLUMN_MAX_LEN (4 * FLYREP_CT_TIMEOUTS)

static_assert(sizeof(((struct flyrep_ct_ext *)0)->seqadj) == 24, "layout");

static bool has_column(uint32_t has, bool v6, unsigned int c)
{
	return has & columns[c].bit &&
	       (columns[c].family == ANY || (columns[c].family == V6) == v6);
}

/* @n numbers of host order as they travel, and back. */
static void swap32(void *to, const void *from, size_t n)
{
	uint32_t v;
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(&v, (const uint8_t *)from + 4 * i, 4);
		v = htobe32(v);
		memcpy((uint8_t *)to + 4 * i, &v, 4);
	}
}

static void swap64(void *to, const void *from, size_t n)
{
	uint64_t v;
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(&v, (const uint8_t *)from + 8 * i, 8);
		v = htobe64(v);
		memcpy((uint8_t *)to + 8 * i, &v, 8);
	}
}

/* Where the field of a column lies in a tail */
static void *field_of(struct flyrep_ct_ext *x, unsigned int c)
{
	switch (c) {
	case MASTER_PROTO:
		return &x->master_proto;
	case MASTER_SRC4:
	case MASTER_SRC6:
		return x->master.src.byte;
	case MASTER_DST4:
	case MASTER_DST6:
		return x->master.dst.byte;
	case MASTER_SPORT:
		return &x->master.sport;
	case MASTER_DPORT:
		return &x->master.dport;
	case HELPER:
		return x->helper;
	case TIMEOUT:
		return x->timeout_s;
	case MASQ:
		return x->masq_ifname;
	case LABELS:
		return x->labels;
	case SEQADJ:
		return x->seqadj;
	case SYNPROXY:
		return &x->synproxy_isn;
	case START:
		return &x->start_ns;
	default:
		return x->packets;
	}
}

/* Bytes of a field between host order and that of the wire; the same both ways. */
static void turn(void *to, const void *from, unsigned int c)
{
	switch (c) {
	case TIMEOUT:
	case SEQADJ:
	case SYNPROXY:
		swap32(to, from, columns[c].len / 4u);
		break;
	case START:
	case COUNTERS:
		swap64(to, from, columns[c].len / 8u);
		break;
	default:
		memcpy(to, from, columns[c].len);
	}
}

static void count(size_t n[N_COLUMNS], uint32_t has, bool v6)
{
	unsigned int c;

	for (c = 0; c < N_COLUMNS; c++)
		n[c] += has_column(has, v6, c);
}

/* Offsets of the columns from the first one; returns their length together. */
static size_t layout(size_t offset[N_COLUMNS], const size_t n[N_COLUMNS])
{
	size_t len = 0, c;

	for (c = 0; c < N_COLUMNS; c++) {
		offset[c] = len;
		len += n[c] * columns[c].len;
	}
	return len;
}

static void put_tail(uint8_t *base, struct fr_conntrack_tails *t,
		     struct flyrep_ct_ext *x, bool v6)
{
	uint8_t bytes[COLUMN_MAX_LEN];
	unsigned int c;
	uint8_t *to;
	size_t i;

	for (c = 0; c < N_COLUMNS; c++) {
		if (!has_column(x->has, v6, c))
			continue;
		turn(bytes, field_of(x, c), c);
		to = base + t->offset[c] + t->at[c]++;
		for (i = 0; i < columns[c].len; i++)
			to[i * t->n[c]] = bytes[i];
	}
}

static const struct flyrep_ct *next(const struct flyrep_ct *ct)
{
	return fr_record_next(&fr_conntrack_table, ct);
}

int fr_conntrack_tails_encode(struct fr_writer *w, const struct flyrep_ct *recs,
			      size_t n)
{
	struct fr_conntrack_tails t = { 0 };
	const struct flyrep_ct *ct = recs;
	uint8_t *bitmap, *has, *base;
	struct flyrep_ct_ext x;
	size_t i, at = 0;

	for (i = 0; i < n; i++, ct = next(ct)) {
		if (!fr_conntrack_tail(&x, ct))
			continue;
		count(t.n, x.has, ct->family == AF_INET6);
		t.n_tails++;
	}
	if (!t.n_tails)
		return 0;
	bitmap = fr_put_room(w, (n + 7) / 8);
	has = fr_put_room(w, 2 * t.n_tails);
	base = fr_put_room(w, layout(t.offset, t.n));
	if (!bitmap || !has || !base)
		return -ENOSPC;
	memset(bitmap, 0, (n + 7) / 8);
	for (i = 0, ct = recs; i < n; i++, ct = next(ct)) {
		if (!fr_conntrack_tail(&x, ct))
			continue;
		bitmap[i / 8] |= (uint8_t)(1 << i % 8);
		has[at] = (uint8_t)(x.has >> 8);
		has[at + t.n_tails] = (uint8_t)x.has;
		at++;
		put_tail(base, &t, &x, ct->family == AF_INET6);
	}
	return 0;
}

static bool has_tail(const uint8_t *bitmap, size_t i)
{
	return bitmap[i / 8] & 1 << i % 8;
}

static uint32_t has_at(const struct fr_conntrack_tails *t, size_t i)
{
	return (uint32_t)t->has[i] << 8 | t->has[i + t->n_tails];
}

/* Who has a tail: at least one, none beyond the last, and no DELETE. */
static int open_bitmap(struct fr_conntrack_tails *t, struct fr_reader *r,
		       const uint8_t *shape, size_t n)
{
	size_t i;

	t->bitmap = fr_get_ref(r, (n + 7) / 8);
	if (!t->bitmap || (n % 8 && t->bitmap[n / 8] >> n % 8))
		return -EBADMSG;
	for (i = 0; i < n; i++) {
		if (!has_tail(t->bitmap, i))
			continue;
		if ((shape[i] & FR_CONNTRACK_SHAPE_OP) == FLYREP_OP_DELETE)
			return -EBADMSG;
		t->n_tails++;
	}
	return t->n_tails ? 0 : -EBADMSG;
}

int fr_conntrack_tails_open(struct fr_conntrack_tails *t, struct fr_reader *r,
			    const uint8_t *shape, size_t n)
{
	size_t i, at = 0;
	uint32_t has;

	memset(t, 0, sizeof(*t));
	if (!n || !fr_reader_left(r))
		return 0;
	if (open_bitmap(t, r, shape, n))
		return -EBADMSG;
	t->has = fr_get_ref(r, 2 * t->n_tails);
	if (!t->has)
		return -EBADMSG;
	for (i = 0; i < n; i++) {
		if (!has_tail(t->bitmap, i))
			continue;
		has = has_at(t, at++);
		if (!has || has & ~(uint32_t)FLYREP_CT_EXT_ALL)
			return -EBADMSG;
		count(t->n, has, shape[i] & FR_CONNTRACK_SHAPE_V6);
	}
	/* As many tails as bytes at most: this cannot overflow. */
	t->base = fr_get_ref(r, layout(t->offset, t->n));
	return t->base ? 0 : -EBADMSG;
}

void fr_conntrack_tails_next(struct fr_conntrack_tails *t, struct flyrep_ct *ct)
{
	struct flyrep_ct_ext *x = (struct flyrep_ct_ext *)(ct + 1);
	uint8_t bytes[COLUMN_MAX_LEN];
	const uint8_t *from;
	unsigned int c;
	size_t i;

	if (!t->n_tails || !has_tail(t->bitmap, t->i++))
		return;
	ct->rec.tail_len = sizeof(*x);
	memset(x, 0, sizeof(*x));
	x->has = has_at(t, t->at_tail++);
	for (c = 0; c < N_COLUMNS; c++) {
		if (!has_column(x->has, ct->family == AF_INET6, c))
			continue;
		from = t->base + t->offset[c] + t->at[c]++;
		for (i = 0; i < columns[c].len; i++)
			bytes[i] = from[i * t->n[c]];
		turn(field_of(x, c), bytes, c);
	}
}

/* --- digest ------------------------------------------------------------- */

uint8_t *fr_conntrack_tail_digest(uint8_t *p, const struct flyrep_ct *ct)
{
	static const struct {
		uint8_t column, mark;
	} covered[] = { { LABELS, 1 }, { SEQADJ, 2 }, { SYNPROXY, 4 } };
	struct flyrep_ct_ext x;
	uint8_t *marks = p;
	size_t i;

	if (!fr_conntrack_tail(&x, ct) ||
	    !(x.has & (FLYREP_CT_EXT_LABELS | FLYREP_CT_EXT_SEQADJ |
		       FLYREP_CT_EXT_SYNPROXY)))
		return p;
	*p++ = 0;
	for (i = 0; i < N_OF(covered); i++) {
		unsigned int c = covered[i].column;

		if (!(x.has & columns[c].bit))
			continue;
		*marks |= covered[i].mark;
		turn(p, field_of(&x, c), c);
		p += columns[c].len;
	}
	return p;
}

/* --- for people --------------------------------------------------------- */

static json_t *labels_to_json(const struct flyrep_ct_ext *x)
{
	json_t *list = json_array();
	int i;

	for (i = 0; i < 8 * FLYREP_CT_LABELS_LEN; i++)
		if (x->labels[i / 8] & 1 << i % 8)
			json_array_append_new(list, json_integer(i));
	return list;
}

static json_t *timeouts_to_json(const struct flyrep_ct_ext *x)
{
	json_t *list = json_array();
	size_t n = FLYREP_CT_TIMEOUTS, i;

	while (n && !x->timeout_s[n - 1])
		n--;
	for (i = 0; i < n; i++)
		json_array_append_new(list, json_integer(x->timeout_s[i]));
	return list;
}

static json_t *seqadj_to_json(const struct flyrep_ct_seqadj *a)
{
	return json_pack("{s:I, s:i, s:i}", "correction_pos",
			 (json_int_t)a->correction_pos, "offset_before",
			 a->offset_before, "offset_after", a->offset_after);
}

static json_t *both_to_json(json_t *original, json_t *reply)
{
	return json_pack("{s:o, s:o}", "original", original, "reply", reply);
}

static json_t *counters_to_json(const struct flyrep_ct_ext *x, unsigned int dir)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)x->packets[dir],
			 "bytes", (json_int_t)x->bytes[dir]);
}

/* A name that need not end; what is no text is left out. */
static json_t *name_to_json(const char *name, size_t size)
{
	json_t *s = json_stringn(name, strnlen(name, size));

	return s ? s : json_string("?");
}

void fr_conntrack_tail_to_json(json_t *obj, const struct flyrep_ct *ct)
{
	struct flyrep_ct master = { .family = ct->family };
	struct flyrep_ct_ext x;

	if (!fr_conntrack_tail(&x, ct))
		return;
	if (x.has & FLYREP_CT_EXT_MASTER) {
		master.proto = x.master_proto;
		json_object_set_new(obj, "master",
				    fr_conntrack_tuple_to_json(&master,
							       &x.master));
	}
	if (x.has & FLYREP_CT_EXT_HELPER)
		json_object_set_new(obj, "helper",
				    name_to_json(x.helper, sizeof(x.helper)));
	if (x.has & FLYREP_CT_EXT_TIMEOUT)
		json_object_set_new(obj, "timeouts_s", timeouts_to_json(&x));
	if (x.has & FLYREP_CT_EXT_MASQ)
		json_object_set_new(obj, "masquerade",
				    name_to_json(x.masq_ifname,
						 sizeof(x.masq_ifname)));
	if (x.has & FLYREP_CT_EXT_LABELS)
		json_object_set_new(obj, "labels", labels_to_json(&x));
	if (x.has & FLYREP_CT_EXT_SEQADJ)
		json_object_set_new(obj, "seqadj",
				    both_to_json(seqadj_to_json(&x.seqadj[0]),
						 seqadj_to_json(&x.seqadj[1])));
	if (x.has & FLYREP_CT_EXT_SYNPROXY)
		json_object_set_new(obj, "synproxy",
				    json_pack("{s:I, s:I, s:I}", "isn",
					      (json_int_t)x.synproxy_isn, "its",
					      (json_int_t)x.synproxy_its,
					      "tsoff",
					      (json_int_t)x.synproxy_tsoff));
	if (x.has & FLYREP_CT_EXT_START)
		json_object_set_new(obj, "start_ns",
				    json_integer((json_int_t)x.start_ns));
	if (x.has & FLYREP_CT_EXT_COUNTERS)
		json_object_set_new(obj, "counters",
				    both_to_json(counters_to_json(&x, 0),
						 counters_to_json(&x, 1)));
}
