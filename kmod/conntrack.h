/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A flow of the kernel and its record (struct flyrep_ct), and what we mark on a flow.
 */
#ifndef _FLYREP_CONNTRACK_H
#define _FLYREP_CONNTRACK_H

#include <linux/bits.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_zones.h>

#include "flyrep_records.h"

struct flyrep_net;

/*
 * Our marks live in nf_conn.status, above the bits that the kernel knows: the only part of it
 * that the kernel writes after a flow is confirmed. Where there is an upper half they are
 * there, out of everybody's sight. Else they are at the top, or where FLYREP_LOW_MARKS asks
 * for it: ctnetlink shows them then, but it changes none beyond __IPS_MAX_BIT, whatever a
 * request says.
 *
 * REMOTE:  injected, and held until something makes it this node's own
 * QUEUED:  in the ring, which owns a reference
 * SENT:    the reader was told of it: it must be told of its end
 * DELETED: APPLY deletes it: its end is no news
 * LIBERAL: TCP, tracked liberally by our doing until its windows are known, see window.h
 * CALM:    of these: the windows were known once, and are being learnt again
 */
#if BITS_PER_LONG == 64 && !defined(FLYREP_LOW_MARKS)
#define FLYREP_CT_REMOTE_BIT	40
#else
#define FLYREP_CT_REMOTE_BIT	26
#endif
#define FLYREP_CT_QUEUED_BIT	(FLYREP_CT_REMOTE_BIT + 1)
#define FLYREP_CT_SENT_BIT	(FLYREP_CT_REMOTE_BIT + 2)
#define FLYREP_CT_DELETED_BIT	(FLYREP_CT_REMOTE_BIT + 3)
#define FLYREP_CT_LIBERAL_BIT	(FLYREP_CT_REMOTE_BIT + 4)
#define FLYREP_CT_CALM_BIT	(FLYREP_CT_REMOTE_BIT + 5)

#define FLYREP_CT_REMOTE	BIT(FLYREP_CT_REMOTE_BIT)
#define FLYREP_CT_QUEUED	BIT(FLYREP_CT_QUEUED_BIT)
#define FLYREP_CT_SENT		BIT(FLYREP_CT_SENT_BIT)
#define FLYREP_CT_DELETED	BIT(FLYREP_CT_DELETED_BIT)
#define FLYREP_CT_MARKS		GENMASK(FLYREP_CT_CALM_BIT, FLYREP_CT_REMOTE_BIT)

/* The longest record of a flow, with its tail */
#define FLYREP_CONNTRACK_MAX_LEN (sizeof(struct flyrep_ct) + sizeof(struct flyrep_ct_ext))

static inline u32 flyrep_conntrack_mark(const struct nf_conn *ct)
{
#ifdef CONFIG_NF_CONNTRACK_MARK
	return READ_ONCE(ct->mark);
#else
	return 0;
#endif
}

/**
 * flyrep_conntrack_is_zero - is there nothing in a few bytes of a record
 * @bytes: where
 * @len: how many, a constant
 */
static __always_inline bool flyrep_conntrack_is_zero(const u8 *bytes, size_t len)
{
	u8 any = 0;
	size_t i;

	for (i = 0; i < len; i++)
		any |= bytes[i];
	return !any;
}

/**
 * flyrep_conntrack_read_key - fill the key fields of a record
 * @r: the record
 * @ct: a flow; the caller holds a reference
 *
 * Context: any.
 */
void flyrep_conntrack_read_key(struct flyrep_ct *r, const struct nf_conn *ct);

/**
 * flyrep_conntrack_read_tuple - fill a tuple of a record
 * @to: the tuple
 * @t: the kernel's
 *
 * Context: any.
 */
void flyrep_conntrack_read_tuple(struct flyrep_ct_tuple *to, const struct nf_conntrack_tuple *t);

/**
 * flyrep_conntrack_read_state - fill all the rest, but for rec.op, rec.stamp and rec.age_us
 * @r: a record whose key fields are filled, with room for FLYREP_CONNTRACK_MAX_LEN
 * @ct: a flow; the caller holds a reference
 * @fn: the namespace
 *
 * Takes no lock where a change that runs beside it raises an event after: the flow is
 * read again. Its length is that of the fixed part and rec.tail_len. A flow that is dying has
 * no tail: it has left the table, so a helper or a policy that goes away is not taken from it
 * any more.
 *
 * Context: RCU read side, not hardirq.
 */
void flyrep_conntrack_read_state(struct flyrep_ct *r, struct nf_conn *ct,
				 const struct flyrep_net *fn);

/**
 * flyrep_conntrack_bucket - the bucket of a record
 * @r: a record whose key fields are filled
 * @fn: the namespace; keyed
 *
 * Context: any.
 */
unsigned int flyrep_conntrack_bucket(const struct flyrep_ct *r, const struct flyrep_net *fn);

/**
 * flyrep_conntrack_write_tuple - the kernel's form of a tuple of a record
 * @t: the tuple to write
 * @from: of a valid record
 * @family: AF_INET or AF_INET6
 * @proto: IPPROTO_*
 * @dir: which of the two it is
 */
void flyrep_conntrack_write_tuple(struct nf_conntrack_tuple *t, const struct flyrep_ct_tuple *from,
				  u8 family, u8 proto, enum ip_conntrack_dir dir);

/**
 * flyrep_conntrack_tuple - the same of a record's own
 * @t: the tuple to write
 * @r: a valid record
 * @dir: which of the two
 */
static inline void flyrep_conntrack_tuple(struct nf_conntrack_tuple *t, const struct flyrep_ct *r,
					  enum ip_conntrack_dir dir)
{
	flyrep_conntrack_write_tuple(t, dir == IP_CT_DIR_ORIGINAL ? &r->orig : &r->reply,
				     r->family, r->proto, dir);
}

/**
 * flyrep_conntrack_find_get - the flow of exactly this original tuple and zone
 * @net: the namespace
 * @zone: its zone, with its direction
 * @orig: the tuple
 *
 * Context: any. Return: the flow with a reference, or NULL.
 */
struct nf_conn *flyrep_conntrack_find_get(struct net *net, const struct nf_conntrack_zone *zone,
					  const struct nf_conntrack_tuple *orig);

/**
 * flyrep_conntrack_is_v4 - are both addresses no longer than those of IPv4
 * @t: a tuple from user space
 */
bool flyrep_conntrack_is_v4(const struct flyrep_ct_tuple *t);

/**
 * flyrep_conntrack_check - can APPLY use this record, its tail apart
 * @r: a record from user space
 *
 * Return: 0; -EINVAL; as flyrep_proto_check().
 */
int flyrep_conntrack_check(const struct flyrep_ct *r);

#endif
