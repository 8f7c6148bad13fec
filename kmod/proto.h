/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a layer-4 protocol adds to a flow: ports, a state that goes one way, timeouts. A
 * protocol that the kernel has no tracker of its own for has none of it: its flows are
 * told apart by their addresses, and live as long as the generic tracker says.
 */
#ifndef _FLYREP_PROTO_H
#define _FLYREP_PROTO_H

#include <linux/in.h>
#include <net/netfilter/nf_conntrack.h>

#include "compat/compat.h"
#include "flyrep_records.h"

/**
 * flyrep_proto_has_ports - do ports, or GRE's keys in their place, tell flows apart
 * @proto: IPPROTO_*
 *
 * Context: any.
 */
bool flyrep_proto_has_ports(u8 proto);

/**
 * flyrep_proto_has_handshake - does the tracker wait for a handshake before it says ASSURED
 * @proto: IPPROTO_*
 *
 * Context: any.
 */
static inline bool flyrep_proto_has_handshake(u8 proto)
{
	return proto == IPPROTO_TCP ||
	       (proto == IPPROTO_SCTP && IS_ENABLED(CONFIG_NF_CT_PROTO_SCTP)) ||
	       (proto == IPPROTO_DCCP && FLYREP_COMPAT_CT_DCCP);
}

/**
 * flyrep_proto_has_value - is there a value to read and to write
 * @proto: IPPROTO_*
 *
 * Context: any.
 */
static inline bool flyrep_proto_has_value(u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_SCTP || proto == IPPROTO_DCCP;
}

/**
 * flyrep_proto_check_tuple - can APPLY use protocol and ports of a tuple
 * @family: AF_INET or AF_INET6
 * @proto: IPPROTO_*
 * @t: the tuple
 *
 * Return: 0; -EPROTONOSUPPORT if it is no protocol, or has ports that this kernel does not
 * track; -EINVAL.
 */
int flyrep_proto_check_tuple(u8 family, u8 proto, const struct flyrep_ct_tuple *t);

/**
 * flyrep_proto_check - can APPLY use protocol, ports and value of this record
 * @r: a record from user space, its family checked; of a DELETE the key alone is looked at
 *
 * Return: 0; -EPROTONOSUPPORT if it is no protocol, or says of one what this kernel does not
 * track; -EINVAL.
 */
int flyrep_proto_check(const struct flyrep_ct *r);

/**
 * flyrep_proto_read - fill the protocol's value of a record
 * @r: a record whose key fields are filled, proto_value zero
 * @ct: a flow; the caller holds a reference
 *
 * Not of TCP, which conntrack.c reads in place. Takes no lock, see
 * flyrep_conntrack_read_state().
 *
 * Context: any.
 */
void flyrep_proto_read(struct flyrep_ct *r, const struct nf_conn *ct);

/**
 * flyrep_proto_init - a flow that no packet has told anything of
 * @ct: a flow that nobody else can reach yet, its timeout policy set
 *
 * Context: RCU read side.
 */
void flyrep_proto_init(struct nf_conn *ct);

/**
 * flyrep_proto_write - give a flow the protocol's value of a record
 * @ct: a flow that is not confirmed, or whose lock is held
 * @r: a valid record of this flow's protocol
 *
 * TCP: windows stay as they are.
 */
void flyrep_proto_write(struct nf_conn *ct, const struct flyrep_ct *r);

/**
 * flyrep_proto_is_backward - does the record lie behind the flow on a state's one-way path
 * @ct: a flow
 * @r: a valid record of this flow's protocol
 *
 * Never if both are known to be of different connections with the same ports: SCTP by
 * their tags, DCCP by their handshake.
 *
 * Context: any; exact with ct->lock held.
 */
bool flyrep_proto_is_backward(const struct nf_conn *ct, const struct flyrep_ct *r);

/**
 * flyrep_proto_is_ahead - does the record lie ahead of the flow on a state's one-way path
 * @ct: a flow
 * @r: a valid record of this flow's protocol
 *
 * Never if both are known to be of different connections with the same ports.
 *
 * Context: any; exact with ct->lock held.
 */
bool flyrep_proto_is_ahead(const struct nf_conn *ct, const struct flyrep_ct *r);

/**
 * flyrep_proto_is_over - has the connection of a flow ended, as far as its tracker knows
 * @ct: a flow
 *
 * Context: any; exact with ct->lock held.
 */
bool flyrep_proto_is_over(const struct nf_conn *ct);

/**
 * flyrep_proto_is_other - is the record of another connection than the flow
 * @ct: a flow
 * @r: a valid record of this flow's protocol that is news of a connection, not of a change
 *
 * Context: any; exact with ct->lock held.
 */
bool flyrep_proto_is_other(const struct nf_conn *ct, const struct flyrep_ct *r);

/**
 * flyrep_proto_timeout - what the flow's protocol, or its own policy, gives it after a packet
 *	in its state
 * @ct: a flow
 *
 * Context: any. Return: jiffies, at least a second.
 */
u32 flyrep_proto_timeout(const struct nf_conn *ct);

#endif
