// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The columns of a conntrack batch; docs/protocol.md is their description.
 *
 * A column holds the same field of all records that have it, byte by byte: first
 * byte 0 of each, then byte 1 of each, and so on. Which records have a field is
 * its class; the shape bytes and the protocol decide it, so both sides first count
 * the classes and then know where every column lies. One pass over the records,
 * with one index for each class, does the rest. Tails come behind all columns, see
 * conntrack_tail.c.
 *
 * A flow that both ends know may be named by reference: by the high bits of the hash
 * of its key, which the reader looks up. Its shape tells so, and its key has no columns.
 */
#include "conntrack.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "conntrack_tail.h"

#define SHAPE_OP FR_CONNTRACK_SHAPE_OP
#define SHAPE_V6 FR_CONNTRACK_SHAPE_V6
#define SHAPE_SRC 0x08 /* reply source address and port follow from the key */
#define SHAPE_ZONE 0x10 /* zone columns; else zone 0, both directions */
#define SHAPE_MARK 0x20 /* mark column; else 0 */
#define SHAPE_DST 0x40 /* reply destination address follows */
#define SHAPE_DPORT 0x80 /* reply destination port follows */
#define SHAPE_FOLLOWS (SHAPE_SRC | SHAPE_DST | SHAPE_DPORT)

/* By reference: an UPDATE has no op, and a DELETE this, which no other has. */
#define SHAPE_DELETE_REF (FLYREP_OP_DELETE | SHAPE_SRC)

static_assert(SHAPE_OP == FLYREP_OP_DELETE && SHAPE_OP + 1 == __FLYREP_OP_MAX,
	      "op fits two bits");

#define ZONE_DIR_BOTH 3

enum class {
	C_PROTO, /* not a DELETE by reference */
	C_REF, /* by reference */
	C_REF_LOW, /* the same, if references have four bytes */
	C_KEY, /* not by reference */
	C_ZONE, /* SHAPE_ZONE */
	C_V4, /* IPv4, not by reference */
	C_V6,
	C_SRC4, /* the reply source is there, IPv4 */
	C_SRC6,
	C_DST4, /* the reply destination is there, IPv4 */
	C_DST6,
	C_SRC, /* C_SRC4 and C_SRC6 */
	C_DPORT, /* the reply destination port is there */
	C_LIVE, /* not a DELETE */
	C_MARK, /* SHAPE_MARK */
	C_TCP, /* TCP and not a DELETE */
	C_SCTP, /* SCTP and not a DELETE */
	C_DCCP, /* DCCP and not a DELETE */
	N_CLASSES
};

enum column {
	PROTO,
	REF,
	REF_LOW,
	ZONE,
	ZONE_DIR,
	SRC4,
	SRC6,
	DST4,
	DST6,
	SPORT,
	DPORT,
	REPLY_SRC4,
	REPLY_SRC6,
	REPLY_DST4,
	REPLY_DST6,
	REPLY_SPORT,
	REPLY_DPORT,
	STATUS,
	MARK,
	TCP_STATE,
	TCP_FLAGS,
	TCP_SCALE,
	SCTP_STATE,
	SCTP_VTAG,
	SCTP_REPLY_VTAG,
	DCCP_STATE,
	DCCP_ROLE,
	DCCP_SEQ,
	N_COLUMNS
};

/* clang-format off */
/* In the order they travel, behind the shape bytes. */
static const struct {
	uint8_t class;
	uint8_t len;
} columns[N_COLUMNS] = {
	[PROTO] = { C_PROTO, 1 },
	[REF] = { C_REF, 3 },
	[REF_LOW] = { C_REF_LOW, 1 },
	[ZONE] = { C_ZONE, 2 },
	[ZONE_DIR] = { C_ZONE, 1 },
	[SRC4] = { C_V4, 4 },
	[SRC6] = { C_V6, 16 },
	[DST4] = { C_V4, 4 },
	[DST6] = { C_V6, 16 },
	[SPORT] = { C_KEY, 2 },
	[DPORT] = { C_KEY, 2 },
	[REPLY_SRC4] = { C_SRC4, 4 },
	[REPLY_SRC6] = { C_SRC6, 16 },
	[REPLY_DST4] = { C_DST4, 4 },
	[REPLY_DST6] = { C_DST6, 16 },
	[REPLY_SPORT] = { C_SRC, 2 },
	[REPLY_DPORT] = { C_DPORT, 2 },
	[STATUS] = { C_LIVE, 1 },
	[MARK] = { C_MARK, 4 },
	[TCP_STATE] = { C_TCP, 1 },
	[TCP_FLAGS] = { C_TCP, 1 },
	[TCP_SCALE] = { C_TCP, 1 },
	[SCTP_STATE] = { C_SCTP, 1 },
	[SCTP_VTAG] = { C_SCTP, 4 },
	[SCTP_REPLY_VTAG] = { C_SCTP, 4 },
	[DCCP_STATE] = { C_DCCP, 1 },
	[DCCP_ROLE] = { C_DCCP, 1 },
	[DCCP_SEQ] = { C_DCCP, 8 },
};

/* clang-format on */

static inline bool is_live(uint8_t shape)
{
	return (shape & SHAPE_OP) != FLYREP_OP_DELETE;
}

static inline bool is_ref(uint8_t shape)
{
	return !(shape & SHAPE_OP) || shape == SHAPE_DELETE_REF;
}

/* Adds one record to the counts (or moves the indices behind it). */
static inline void classes_add(size_t n[N_CLASSES], uint8_t shape,
			       uint8_t proto)
{
	bool v6 = shape & SHAPE_V6, live = is_live(shape), ref = is_ref(shape);

	n[C_PROTO] += live || !ref;
	n[C_REF] += ref;
	n[C_REF_LOW] += ref;
	n[C_KEY] += !ref;
	n[C_V4] += !ref && !v6;
	n[C_V6] += !ref && v6;
	n[C_ZONE] += !!(shape & SHAPE_ZONE);
	if (!live)
		return;
	n[C_LIVE]++;
	n[C_MARK] += !!(shape & SHAPE_MARK);
	n[C_TCP] += proto == IPPROTO_TCP;
	n[C_SCTP] += proto == IPPROTO_SCTP;
	n[C_DCCP] += proto == IPPROTO_DCCP;
	if ((shape & SHAPE_FOLLOWS) == SHAPE_FOLLOWS)
		return;
	n[C_SRC] += !(shape & SHAPE_SRC);
	n[C_SRC4] += !(shape & SHAPE_SRC) && !v6;
	n[C_SRC6] += !(shape & SHAPE_SRC) && v6;
	n[C_DST4] += !(shape & SHAPE_DST) && !v6;
	n[C_DST6] += !(shape & SHAPE_DST) && v6;
	n[C_DPORT] += !(shape & SHAPE_DPORT);
}

/* Offsets of the columns from the first one; returns their length together. */
static size_t layout(size_t offset[N_COLUMNS], const size_t n[N_CLASSES])
{
	size_t len = 0, i;

	for (i = 0; i < N_COLUMNS; i++) {
		offset[i] = len;
		len += n[columns[i].class] * columns[i].len;
	}
	return len;
}

/* Where a pass stands: one index for each class. */
struct pass {
	size_t offset[N_COLUMNS];
	size_t n[N_CLASSES];
	size_t at[N_CLASSES];
};

static inline __attribute__((always_inline)) void
put(uint8_t *base, const struct pass *p, enum column c, const void *field)
{
	size_t stride = p->n[columns[c].class], i;
	uint8_t *to = base + p->offset[c] + p->at[columns[c].class];
	const uint8_t *from = field;

	for (i = 0; i < columns[c].len; i++)
		to[i * stride] = from[i];
}

static inline __attribute__((always_inline)) void
get(const uint8_t *base, const struct pass *p, enum column c, void *field)
{
	size_t stride = p->n[columns[c].class], i;
	const uint8_t *from = base + p->offset[c] + p->at[columns[c].class];
	uint8_t *to = field;

	for (i = 0; i < columns[c].len; i++)
		to[i] = from[i * stride];
}

static inline bool is_same_addr(const union flyrep_addr *a,
				const union flyrep_addr *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) |
		 (a->word[2] ^ b->word[2]) | (a->word[3] ^ b->word[3]));
}

static uint8_t shape_of(const struct flyrep_ct *ct)
{
	struct flyrep_ct_tuple follows;
	uint8_t shape = ct->rec.op;

	if (ct->family == AF_INET6)
		shape |= SHAPE_V6;
	if (ct->zone || ct->zone_dir != ZONE_DIR_BOTH)
		shape |= SHAPE_ZONE;
	if (!is_live(shape))
		return shape;
	if (ct->mark)
		shape |= SHAPE_MARK;
	fr_conntrack_invert(&follows, ct);
	if (is_same_addr(&ct->reply.src, &follows.src) &&
	    ct->reply.sport == follows.sport)
		shape |= SHAPE_SRC;
	if (is_same_addr(&ct->reply.dst, &follows.dst))
		shape |= SHAPE_DST;
	if (ct->reply.dport == follows.dport)
		shape |= SHAPE_DPORT;
	return shape;
}

static inline void put_proto(uint8_t *base, const struct pass *p,
			     const struct flyrep_ct *ct)
{
	uint8_t flags, scale, roles;
	uint64_t seq;

	switch (ct->proto) {
	case IPPROTO_TCP:
		flags = fr_conntrack_nibbles(ct->tcp_flags,
					     FLYREP_CT_TCP_FLAGS_MASK);
		scale = fr_conntrack_nibbles(ct->tcp_scale, 0xf);
		put(base, p, TCP_STATE, &ct->tcp_state);
		put(base, p, TCP_FLAGS, &flags);
		put(base, p, TCP_SCALE, &scale);
		break;
	case IPPROTO_SCTP:
		put(base, p, SCTP_STATE, &ct->sctp_state);
		put(base, p, SCTP_VTAG, &ct->sctp_vtag[0]);
		put(base, p, SCTP_REPLY_VTAG, &ct->sctp_vtag[1]);
		break;
	case IPPROTO_DCCP:
		roles = fr_conntrack_nibbles(ct->dccp_role, 0xf);
		seq = htobe64(ct->dccp_handshake_seq);
		put(base, p, DCCP_STATE, &ct->dccp_state);
		put(base, p, DCCP_ROLE, &roles);
		put(base, p, DCCP_SEQ, &seq);
		break;
	}
}

static inline void put_value(uint8_t *base, const struct pass *p, uint8_t shape,
			     const struct flyrep_ct *ct)
{
	uint8_t status = fr_conntrack_status_to_wire(ct->status);

	put(base, p, STATUS, &status);
	if (!(shape & SHAPE_SRC)) {
		put(base, p, shape & SHAPE_V6 ? REPLY_SRC6 : REPLY_SRC4,
		    ct->reply.src.byte);
		put(base, p, REPLY_SPORT, &ct->reply.sport);
	}
	if (!(shape & SHAPE_DST))
		put(base, p, shape & SHAPE_V6 ? REPLY_DST6 : REPLY_DST4,
		    ct->reply.dst.byte);
	if (!(shape & SHAPE_DPORT))
		put(base, p, REPLY_DPORT, &ct->reply.dport);
	if (shape & SHAPE_MARK) {
		uint32_t mark = htonl(ct->mark);

		put(base, p, MARK, &mark);
	}
	put_proto(base, p, ct);
}

static inline void put_key(uint8_t *base, const struct pass *p, uint8_t shape,
			   const struct flyrep_ct *ct)
{
	if (shape & SHAPE_ZONE) {
		uint16_t zone = htons(ct->zone);

		put(base, p, ZONE, &zone);
		put(base, p, ZONE_DIR, &ct->zone_dir);
	}
	if (shape & SHAPE_V6) {
		put(base, p, SRC6, ct->orig.src.byte);
		put(base, p, DST6, ct->orig.dst.byte);
	} else {
		put(base, p, SRC4, ct->orig.src.byte);
		put(base, p, DST4, ct->orig.dst.byte);
	}
	put(base, p, SPORT, &ct->orig.sport);
	put(base, p, DPORT, &ct->orig.dport);
}

static inline bool is_wide(const struct pass *p)
{
	return p->n[C_REF_LOW];
}

static inline void put_ref(uint8_t *base, const struct pass *p, uint64_t hash)
{
	uint32_t ref = htonl((uint32_t)(hash >> 32));

	put(base, p, REF, &ref);
	if (is_wide(p))
		put(base, p, REF_LOW, (uint8_t *)&ref + 3);
}

/* @hash: of the key, if the record is named by it */
static inline void put_record(uint8_t *base, const struct pass *p,
			      uint8_t shape, const struct flyrep_ct *ct,
			      uint64_t hash)
{
	if (shape != SHAPE_DELETE_REF)
		put(base, p, PROTO, &ct->proto);
	if (is_ref(shape))
		put_ref(base, p, hash);
	else
		put_key(base, p, shape, ct);
	if (is_live(shape))
		put_value(base, p, shape, ct);
}

/* The shape of a record that is named by reference. */
static inline uint8_t ref_shape(uint8_t shape)
{
	return is_live(shape) ? shape & ~(SHAPE_OP | SHAPE_ZONE) :
				SHAPE_DELETE_REF;
}

static inline bool has_ref(const struct flyrep_ct *ct, const uint64_t *hashes,
			   size_t i)
{
	return hashes && hashes[i] && ct->rec.op != FLYREP_OP_INSERT;
}

/* @hashes: NULL: no references; @bits: of these */
static int encode(struct fr_writer *w, const void *recs, size_t n,
		  const uint64_t *hashes, unsigned int bits)
{
	const struct fr_table *table = &fr_conntrack_table;
	const struct flyrep_ct *ct = recs;
	struct pass p = { 0 };
	uint8_t *shape, *base;
	bool has_tails = false;
	uint32_t check = 0;
	const char *why;
	size_t i;

	fr_put_varint(w, n);
	for (i = 0; hashes && i < n; i++, ct = fr_record_next(table, ct))
		check += has_ref(ct, hashes, i) ? (uint32_t)hashes[i] : 0;
	if (hashes) {
		fr_put_u8(w, bits);
		fr_put_be32(w, check);
	}
	ct = recs;
	shape = fr_put_room(w, n);
	if (!shape)
		return -ENOSPC;
	for (i = 0; i < n; i++, ct = fr_record_next(table, ct)) {
		if (fr_conntrack_check(ct, &why)) {
			w->bad = true;
			return -EINVAL;
		}
		shape[i] = shape_of(ct);
		if (has_ref(ct, hashes, i))
			shape[i] = ref_shape(shape[i]);
		classes_add(p.n, shape[i], ct->proto);
		has_tails |= ct->rec.tail_len;
	}
	if (bits == FR_REF_BITS)
		p.n[C_REF_LOW] = 0;
	base = fr_put_room(w, layout(p.offset, p.n));
	if (!base)
		return -ENOSPC;
	for (i = 0, ct = recs; i < n; i++, ct = fr_record_next(table, ct)) {
		put_record(base, &p, shape[i], ct, hashes ? hashes[i] : 0);
		classes_add(p.at, shape[i], ct->proto);
	}
	return has_tails ? fr_conntrack_tails_encode(w, recs, n) : 0;
}

int fr_conntrack_encode(struct fr_writer *w, const void *recs, size_t n)
{
	return encode(w, recs, n, NULL, FR_REF_BITS);
}

int fr_conntrack_encode_refs(struct fr_writer *w, const void *recs, size_t n,
			     const uint64_t *hashes, unsigned int bits)
{
	return encode(w, recs, n, hashes, bits);
}

/* What no encoder writes: a DELETE with a value, a reference with a zone, or where none may be. */
static inline bool is_shape(uint8_t shape, bool has_refs)
{
	if (is_ref(shape))
		return has_refs && !(shape & SHAPE_ZONE);
	return is_live(shape) || !(shape & (SHAPE_FOLLOWS | SHAPE_MARK));
}

static inline int get_proto(const uint8_t *base, const struct pass *p,
			    struct flyrep_ct *ct)
{
	uint8_t flags, scale, roles;
	uint64_t seq;

	switch (ct->proto) {
	case IPPROTO_TCP:
		get(base, p, TCP_STATE, &ct->tcp_state);
		get(base, p, TCP_FLAGS, &flags);
		get(base, p, TCP_SCALE, &scale);
		if (flags &
		    ~(FLYREP_CT_TCP_FLAGS_MASK | FLYREP_CT_TCP_FLAGS_MASK << 4))
			return -EBADMSG;
		ct->tcp_flags[0] = flags & 0xf;
		ct->tcp_flags[1] = flags >> 4;
		ct->tcp_scale[0] = scale & 0xf;
		ct->tcp_scale[1] = scale >> 4;
		break;
	case IPPROTO_SCTP:
		get(base, p, SCTP_STATE, &ct->sctp_state);
		get(base, p, SCTP_VTAG, &ct->sctp_vtag[0]);
		get(base, p, SCTP_REPLY_VTAG, &ct->sctp_vtag[1]);
		break;
	case IPPROTO_DCCP:
		get(base, p, DCCP_STATE, &ct->dccp_state);
		get(base, p, DCCP_ROLE, &roles);
		get(base, p, DCCP_SEQ, &seq);
		ct->dccp_role[0] = roles & 0xf;
		ct->dccp_role[1] = roles >> 4;
		ct->dccp_handshake_seq = be64toh(seq);
		break;
	}
	return 0;
}

static inline int get_value(const uint8_t *base, const struct pass *p,
			    uint8_t shape, struct flyrep_ct *ct)
{
	uint8_t status;
	uint32_t mark;

	get(base, p, STATUS, &status);
	if (status & ~FR_CONNTRACK_STATUS_WIRE_MASK)
		return -EBADMSG;
	ct->status = fr_conntrack_status_from_wire(status);
	if (shape & SHAPE_FOLLOWS)
		fr_conntrack_invert(&ct->reply, ct);
	if (!(shape & SHAPE_SRC)) {
		get(base, p, shape & SHAPE_V6 ? REPLY_SRC6 : REPLY_SRC4,
		    ct->reply.src.byte);
		get(base, p, REPLY_SPORT, &ct->reply.sport);
	}
	if (!(shape & SHAPE_DST))
		get(base, p, shape & SHAPE_V6 ? REPLY_DST6 : REPLY_DST4,
		    ct->reply.dst.byte);
	if (!(shape & SHAPE_DPORT))
		get(base, p, REPLY_DPORT, &ct->reply.dport);
	if (shape & SHAPE_MARK) {
		get(base, p, MARK, &mark);
		ct->mark = ntohl(mark);
	}
	return get_proto(base, p, ct);
}

static inline void get_key(const uint8_t *base, const struct pass *p,
			   uint8_t shape, struct flyrep_ct *ct)
{
	ct->zone_dir = ZONE_DIR_BOTH;
	if (shape & SHAPE_ZONE) {
		get(base, p, ZONE, &ct->zone);
		ct->zone = ntohs(ct->zone);
		get(base, p, ZONE_DIR, &ct->zone_dir);
	}
	if (shape & SHAPE_V6) {
		get(base, p, SRC6, ct->orig.src.byte);
		get(base, p, DST6, ct->orig.dst.byte);
	} else {
		get(base, p, SRC4, ct->orig.src.byte);
		get(base, p, DST4, ct->orig.dst.byte);
	}
	get(base, p, SPORT, &ct->orig.sport);
	get(base, p, DPORT, &ct->orig.dport);
}

/*
 * The key that is meant; false: none, or not one of the protocol and family that the values
 * are of. @proto: of these. *@check: grows by what its batch is checked with
 */
static inline bool find_key(const uint8_t *base, const struct pass *p,
			    uint8_t shape, uint8_t proto, struct flyrep_ct *ct,
			    const struct fr_refs *refs, uint32_t *check)
{
	const uint8_t *key;
	uint32_t ref = 0;
	uint64_t hash;
	size_t len;

	get(base, p, REF, &ref);
	if (is_wide(p))
		get(base, p, REF_LOW, (uint8_t *)&ref + 3);
	key = refs->find(refs->cookie, ntohl(ref),
			 is_wide(p) ? FR_REF_BITS_MAX : FR_REF_BITS, &len, &hash);
	if (!key || fr_conntrack_table.from_key(ct, key, len) < 0)
		return false;
	*check += (uint32_t)hash;
	return !is_live(shape) ||
	       (ct->proto == proto &&
		ct->family == (shape & SHAPE_V6 ? AF_INET6 : AF_INET));
}

/* The columns of a batch, and where its reader stands. */
struct batch {
	const uint8_t *shape;
	const uint8_t *base;
	size_t n;
	struct pass pass;
	struct fr_conntrack_tails tails;
};

/* Up to what the records say: how many there are of each class, and that all of it is there. */
static int open_batch(struct batch *b, struct fr_reader *r, size_t room,
		      size_t n_max, bool has_refs, unsigned int bits)
{
	const uint8_t *proto;
	size_t i, n_proto, len;

	b->shape = fr_get_ref(r, b->n);
	proto = r->pos; /* the first column, still to be bounded */
	if (!b->shape || b->n > n_max || b->n > room / sizeof(struct flyrep_ct))
		return -EBADMSG;
	for (i = 0; i < b->n; i++) {
		n_proto = b->pass.n[C_PROTO];
		if (!is_shape(b->shape[i], has_refs))
			return -EBADMSG;
		if (b->shape[i] != SHAPE_DELETE_REF &&
		    n_proto == fr_reader_left(r))
			return -EBADMSG;
		classes_add(b->pass.n, b->shape[i],
			    b->shape[i] != SHAPE_DELETE_REF ? proto[n_proto] : 0);
	}
	if (bits == FR_REF_BITS)
		b->pass.n[C_REF_LOW] = 0;
	/* n is at most what has come in bytes, so this cannot overflow. */
	len = layout(b->pass.offset, b->pass.n);
	b->base = fr_get_ref(r, len);
	if (!b->base || fr_conntrack_tails_open(&b->tails, r, b->shape, b->n))
		return -EBADMSG;
	if (room - b->n * sizeof(struct flyrep_ct) <
	    b->tails.n_tails * sizeof(struct flyrep_ct_ext))
		return -EBADMSG;
	return 0;
}

/*
 * Read the records of an open batch; those by reference only if @refs is given, else they are
 * left out. *@check: as of find_key()
 * Return: how many; -EBADMSG; -ENOENT: a reference does not fit
 */
static ssize_t get_records(const struct batch *opened, struct flyrep_ct *ct,
			   const struct fr_refs *refs, uint32_t *check)
{
	struct batch b = *opened;
	const char *why;
	ssize_t n = 0;
	size_t i;

	for (i = 0; i < b.n; i++) {
		uint8_t shape = b.shape[i], proto = 0;
		bool ref = is_ref(shape);

		memset(ct, 0, sizeof(*ct));
		ct->family = shape & SHAPE_V6 ? AF_INET6 : AF_INET;
		if (shape != SHAPE_DELETE_REF)
			get(b.base, &b.pass, PROTO, &proto);
		ct->proto = proto;
		if (!ref)
			get_key(b.base, &b.pass, shape, ct);
		else if (refs && !find_key(b.base, &b.pass, shape, proto, ct, refs, check))
			return -ENOENT;
		ct->rec.op = shape & SHAPE_OP ? shape & SHAPE_OP : FLYREP_OP_UPDATE;
		if ((!ref || refs) && is_live(shape) &&
		    get_value(b.base, &b.pass, shape, ct))
			return -EBADMSG;
		fr_conntrack_tails_next(&b.tails, ct);
		classes_add(b.pass.at, shape, proto);
		if (ref && !refs)
			continue;
		if (fr_conntrack_check(ct, &why))
			return ref ? -ENOENT : -EBADMSG;
		ct = fr_record_next(&fr_conntrack_table, ct);
		n++;
	}
	return n;
}

/* @refs: NULL: there may be no references */
static int decode(struct fr_reader *r, void *recs, size_t room, size_t n_max,
		  size_t *n, struct fr_refs *refs)
{
	unsigned int bits = FR_REF_BITS;
	uint32_t check = 0, want = 0;
	struct batch b = { 0 };
	ssize_t rc;

	*n = 0;
	b.n = fr_get_varint(r);
	if (refs) {
		bits = fr_get_u8(r);
		want = fr_get_be32(r);
	}
	if (r->bad || (bits != FR_REF_BITS && bits != FR_REF_BITS_MAX) ||
	    open_batch(&b, r, room, n_max, refs, bits))
		return -EBADMSG;
	rc = get_records(&b, recs, refs, &check);
	if (refs) {
		refs->n = b.pass.n[C_REF];
		refs->is_lost = rc == -ENOENT || (rc >= 0 && check != want);
		if (refs->is_lost)
			rc = get_records(&b, recs, NULL, NULL);
	}
	if (rc < 0)
		return -EBADMSG;
	*n = rc;
	return 0;
}

int fr_conntrack_decode(struct fr_reader *r, void *recs, size_t room,
			size_t n_max, size_t *n)
{
	return decode(r, recs, room, n_max, n, NULL);
}

int fr_conntrack_decode_refs(struct fr_reader *r, void *recs, size_t room,
			     size_t n_max, size_t *n, struct fr_refs *refs)
{
	refs->n = 0;
	refs->is_lost = false;
	return decode(r, recs, room, n_max, n, refs);
}
