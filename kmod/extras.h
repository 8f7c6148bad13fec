/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What few flows have: a helper, a master, labels and so on. In the kernel these are
 * extensions of a flow, in a record they are its tail (struct flyrep_ct_ext).
 */
#ifndef _FLYREP_EXTRAS_H
#define _FLYREP_EXTRAS_H

#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_ecache.h>
#include <net/netfilter/nf_conntrack_extend.h>

#include "flyrep_records.h"

struct flyrep_net;
struct nf_conntrack_zone;

/**
 * flyrep_extras_maybe - may a flow have something for a tail
 * @ct: a confirmed flow
 *
 * False for a flow with no extension but that of its events, as most are.
 *
 * Context: any.
 */
static inline bool flyrep_extras_maybe(const struct nf_conn *ct)
{
	const struct nf_ct_ext *ext = ct->ext;

	if (unlikely(ct->master))
		return true;
	return ext && (ext->offset[NF_CT_EXT_ECACHE] != sizeof(*ext) ||
		       ext->len != sizeof(*ext) + sizeof(struct nf_conntrack_ecache));
}

/**
 * flyrep_extras_read - write a flow's tail
 * @x: all of it is written
 * @ct: a confirmed flow; the caller holds a reference
 *
 * Context: RCU read side, not hardirq. Return: length of the tail, 0 if there is nothing to tell.
 */
unsigned int flyrep_extras_read(struct flyrep_ct_ext *x, struct nf_conn *ct);

/**
 * flyrep_extras_check - can APPLY use this tail
 * @x: a tail from user space
 * @r: its record, otherwise valid and no DELETE
 *
 * Return: 0 or -EINVAL.
 */
int flyrep_extras_check(const struct flyrep_ct_ext *x, const struct flyrep_ct *r);

/**
 * flyrep_extras_prepare - get what a tail needs and no flow can wait for: modules
 * @fn: the namespace
 * @x: a valid tail
 * @r: its record
 * @has_nat: the flow has NAT: so must the helper
 *
 * Context: process, may sleep.
 */
void flyrep_extras_prepare(struct flyrep_net *fn, const struct flyrep_ct_ext *x,
			   const struct flyrep_ct *r, bool has_nat);

/**
 * flyrep_extras_help - give a new flow its helper, before its NAT, which looks at it
 * @ct: a flow that nobody else can reach yet
 * @x: a valid tail
 *
 * Context: RCU read side, the one in which the flow is inserted. Return: the
 * FLYREP_CT_EXT_* that were left out, or -ENOMEM.
 */
int flyrep_extras_help(struct nf_conn *ct, const struct flyrep_ct_ext *x);

/**
 * flyrep_extras_add - give a new flow the rest of a tail
 * @ct: a flow that nobody else can reach yet, with its NAT and those extensions that a packet
 *	would have made
 * @x: a valid tail
 *
 * The master's reference is the flow's; before it is in the table the caller has to put it.
 *
 * Context: RCU read side, the one in which the flow is inserted. Return: the
 * FLYREP_CT_EXT_* that were left out, -ENOMEM or -EAGAIN.
 */
int flyrep_extras_add(struct nf_conn *ct, const struct flyrep_ct_ext *x);

/**
 * flyrep_extras_fit - has a flow, as it was made, room for a tail
 * @ct: a confirmed flow; the caller holds a reference
 * @x: a valid tail
 *
 * Only what a new flow could be given counts.
 *
 * Context: process.
 */
bool flyrep_extras_fit(const struct nf_conn *ct, const struct flyrep_ct_ext *x);

/**
 * flyrep_extras_merge - bring a confirmed flow to what a tail says, as far as it has room
 * @ct: a flow; the caller holds a reference
 * @x: a valid tail, or NULL for a record without
 *
 * Context: process; takes ct->lock. Return: the FLYREP_CT_EXT_* that were left out.
 */
u32 flyrep_extras_merge(struct nf_conn *ct, const struct flyrep_ct_ext *x);

/**
 * flyrep_extras_exit - need no labels any more
 * @fn: the namespace; no request can come
 */
void flyrep_extras_exit(struct flyrep_net *fn);

#endif
