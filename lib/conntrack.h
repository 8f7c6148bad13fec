/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conntrack - the record table's row for flows, struct flyrep_ct
 */
#ifndef FR_CONNTRACK_H
#define FR_CONNTRACK_H

#include <stdbool.h>

#include "records.h"

extern const struct fr_table fr_conntrack_table;

/**
 * fr_conntrack_check() - the check of the row
 *
 * Flags that APPLY masks away (status, TCP flags) may hold anything. Value and tail of a
 * DELETE are not looked at: its key says all. Else the tail lies behind @ct.
 *
 * Return: 0; -EINVAL with the reason in *@why.
 */
int fr_conntrack_check(const struct flyrep_ct *ct, const char **why);

/**
 * fr_conntrack_invert() - the reply tuple of a flow without NAT
 * @reply: all of it is written
 * @ct: a record whose key passes fr_conntrack_check(); only the key is read
 */
void fr_conntrack_invert(struct flyrep_ct_tuple *reply, const struct flyrep_ct *ct);

/*
 * Value fields in the form that travels and that the digest covers: status as
 * SEEN_REPLY 1, ASSURED 2, SRC_NAT 4, DST_NAT 8; two nibbles as original in the
 * low, reply in the high one.
 */
#define FR_CONNTRACK_STATUS_WIRE_MASK 0x0f

static inline uint8_t fr_conntrack_status_to_wire(uint32_t status)
{
	return (uint8_t)((status >> 1 & 0x3) | (status >> 2 & 0xc));
}

static inline uint32_t fr_conntrack_status_from_wire(uint8_t wire)
{
	return (wire & 0x3u) << 1 | (wire & 0xcu) << 2;
}

static inline uint8_t fr_conntrack_nibbles(const uint8_t pair[2], uint8_t mask)
{
	return (uint8_t)((pair[0] & mask) | (pair[1] & mask) << 4);
}

/* Whether flows of a protocol have ports, or the keys of GRE. */
bool fr_conntrack_has_ports(uint8_t proto);

/* Protocols by their numbers, *@n of them; NULL between where one has no name. */
const char *const *fr_conntrack_proto_names(size_t *n);

/* The states of TCP, SCTP or DCCP by their numbers, *@n of them; none of another protocol. */
const char *const *fr_conntrack_state_names(uint8_t proto, size_t *n);

/* What comes first of a record for a person: its head, protocol and zone. */
json_t *fr_conntrack_head_to_json(const char *table, const struct flyrep_ct *ct);

/* A protocol by its name, or else its number. */
json_t *fr_conntrack_proto_to_json(uint8_t proto);

/* A tuple for a person; of @ct family and protocol are read. */
json_t *fr_conntrack_tuple_to_json(const struct flyrep_ct *ct, const struct flyrep_ct_tuple *t);

/* The row's column codec, in conntrack_columns.c. */
int fr_conntrack_encode(struct fr_writer *w, const void *recs, size_t n);
int fr_conntrack_decode(struct fr_reader *r, void *recs, size_t room, size_t n_max, size_t *n);
int fr_conntrack_encode_refs(struct fr_writer *w, const void *recs, size_t n,
			     const uint64_t *hashes, unsigned int bits);
int fr_conntrack_decode_refs(struct fr_reader *r, void *recs, size_t room, size_t n_max, size_t *n,
			     struct fr_refs *refs);

#endif
