/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conntrack_tail - the tail of a flow's record, struct flyrep_ct_ext
 */
#ifndef FR_CONNTRACK_TAIL_H
#define FR_CONNTRACK_TAIL_H

#include <jansson.h>
#include <stdbool.h>

#include "cursor.h"
#include "flyrep_records.h"

/* The first byte of a record in its batch: op in bits 0-1, then what is left out. */
#define FR_CONNTRACK_SHAPE_OP	0x03
#define FR_CONNTRACK_SHAPE_V6	0x04

#define FR_CONNTRACK_TAIL_DIGEST_MAX 53

/**
 * fr_conntrack_tail - the tail of a record, whatever its length
 * @x: all of it is written, zeros if there is no tail
 * @ct: a record with its tail behind it; a DELETE has none
 */
bool fr_conntrack_tail(struct flyrep_ct_ext *x, const struct flyrep_ct *ct);

/* What is wrong with the tail of a record that is otherwise valid and no DELETE, or NULL. */
const char *fr_conntrack_tail_reject(const struct flyrep_ct *ct);

/* Append what the digest covers, at most FR_CONNTRACK_TAIL_DIGEST_MAX bytes; returns its end. */
uint8_t *fr_conntrack_tail_digest(uint8_t *p, const struct flyrep_ct *ct);

/* What a person is told beside the record's own fields. */
void fr_conntrack_tail_to_json(json_t *obj, const struct flyrep_ct *ct);

/**
 * fr_conntrack_tails_encode - append the tails of a batch, nothing if there are none
 * @recs: @n packed records that pass the check
 *
 * Return: 0, -ENOSPC.
 */
int fr_conntrack_tails_encode(struct fr_writer *w, const struct flyrep_ct *recs, size_t n);

#define FR_CONNTRACK_TAIL_COLUMNS 16

/**
 * struct fr_conntrack_tails - the tails of a batch that is being read
 * @n_tails: how many records have one
 */
struct fr_conntrack_tails {
	size_t n_tails;
	/* private: */
	const uint8_t *bitmap;
	const uint8_t *has;
	const uint8_t *base;
	size_t i;
	size_t at_tail;
	size_t offset[FR_CONNTRACK_TAIL_COLUMNS];
	size_t n[FR_CONNTRACK_TAIL_COLUMNS];
	size_t at[FR_CONNTRACK_TAIL_COLUMNS];
};

/**
 * fr_conntrack_tails_open - look at the tails behind the columns of a batch
 * @r: behind the last column; moves behind the tails, if there are any
 * @shape: first bytes of the @n records
 *
 * Return: 0, -EBADMSG.
 */
int fr_conntrack_tails_open(struct fr_conntrack_tails *t, struct fr_reader *r,
			    const uint8_t *shape, size_t n);

/**
 * fr_conntrack_tails_next - write the tail of the next record, if it has one
 * @ct: the record, read but for its tail; needs room behind it for one if it has one
 */
void fr_conntrack_tails_next(struct fr_conntrack_tails *t, struct flyrep_ct *ct);

#endif
