/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record table of user space: one row for each enum flyrep_table, with all
 * that the generic stages need to know of a kind. A row missing for a table id
 * fails the build.
 *
 * Records lie packed one behind the other, 8-byte aligned, each a fixed part of
 * fr_table.rec_len bytes and its tail. fr_record_next() walks them.
 */
#ifndef FR_RECORDS_H
#define FR_RECORDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cursor.h"
#include "flyrep_records.h"
#include "siphash.h"

#define FR_KEY_MAX_LEN 1024	/* longest canonical key of any table, bytes */

/* Bits of a reference: so many while there are not too many objects, or these. */
#define FR_REF_BITS		24
#define FR_REF_BITS_MAX		32

/**
 * struct fr_refs - what the records of a batch are named by in place of their keys
 * @find: the key of the only object whose hash begins with the first @bits of @ref; *hash: all of
 *	it. NULL: there is none, or several. The key is read before the next call
 * @cookie: its first argument
 * @n: set to the number of records that were named so
 * @is_lost: set if not all of them could be told: then none of them was decoded
 */
struct fr_refs {
	const uint8_t *(*find)(void *cookie, uint32_t ref, unsigned int bits, size_t *key_len,
			       uint64_t *hash);
	void *cookie;
	size_t n;
	bool is_lost;
};

/**
 * struct fr_table - one kind of record
 * @id: enum flyrep_table
 * @name: as in the configuration, CLI and API
 * @rec_len: size of the record struct: the fixed part, bytes
 * @tail_max: longest tail, bytes
 * @key: write the canonical key (8-byte aligned buffer of FR_KEY_MAX_LEN);
 *	returns its length
 * @from_key: make a record of @op UNSPEC, tail and all, from a canonical key, in
 *	FR_RECORD_KEY_ROOM bytes that the caller has zeroed; -EINVAL if it is not one
 * @digest: 64-bit keyed digest of canonical key and of the value fields that
 *	both nodes must agree on (no timeout, age, id, stamp)
 * @check: 0, or -EINVAL with the reason in *why (static text): every field that
 *	the kernel's APPLY would refuse is refused here too
 * @encode: append @n records as columns (docs/protocol.md); -EINVAL on a record
 *	that @check refuses, -ENOSPC when the writer is full
 * @decode: read exactly the columns of one batch, at most @n_max records of @room bytes
 *	together; never trusts a count before the bytes are there. Every record
 *	passes @check. Sets *n. -EBADMSG on anything else
 * @encode_refs: like @encode, but a record that is no INSERT is named by reference if its
 *	place in @hashes holds the hash of its key, and not 0; @bits: FR_REF_BITS, or _MAX.
 *	NULL: not of this table
 * @decode_refs: like @decode, of what @encode_refs wrote. NULL: not of this table
 * @to_json: one record for a person, guide field names; new reference
 */
struct fr_table {
	uint8_t id;
	const char *name;
	uint16_t rec_len;
	uint16_t tail_max;
	unsigned int (*key)(uint8_t *key, const void *rec);
	int (*from_key)(void *rec, const uint8_t *key, size_t key_len);
	uint64_t (*digest)(const void *rec, const struct fr_siphash_key *hash_key);
	int (*check)(const void *rec, const char **why);
	int (*encode)(struct fr_writer *w, const void *recs, size_t n);
	int (*decode)(struct fr_reader *r, void *recs, size_t room, size_t n_max,
		      size_t *n);
	int (*encode_refs)(struct fr_writer *w, const void *recs, size_t n,
			   const uint64_t *hashes, unsigned int bits);
	int (*decode_refs)(struct fr_reader *r, void *recs, size_t room, size_t n_max,
			   size_t *n, struct fr_refs *refs);
	json_t *(*to_json)(const void *rec);
};

/*
 * In flyrep_rec.flags, in user space only: peers are to be told though the digest is as it was. Of
 * what a digest leaves out (when an element ends), something has changed.
 */
#define FR_REC_F_REFRESHED 0x80

/*
 * Likewise, of a record that a peer wrote where this node writes too: the kernel has left the
 * object as this node's own.
 */
#define FR_REC_F_OURS 0x40

/**
 * union fr_record - room for a record of any table without a tail
 */
union fr_record {
	struct flyrep_rec rec;
	struct flyrep_ct ct;
	struct flyrep_expect expect;
};

/* Room for a record of any table that says no more than its key. */
#define FR_RECORD_KEY_ROOM	(sizeof(union fr_record) + FR_KEY_MAX_LEN + 8)

/* The bytes of one record, tail and all. */
static inline size_t fr_record_len(const struct fr_table *table, const void *rec)
{
	return table->rec_len + (size_t)((const struct flyrep_rec *)rec)->tail_len;
}

/* The record behind this one. */
static inline void *fr_record_next(const struct fr_table *table, const void *rec)
{
	return (uint8_t *)rec + fr_record_len(table, rec);
}

/* The row of a table id, or NULL. */
const struct fr_table *fr_table_by_id(unsigned int id);
const struct fr_table *fr_table_by_name(const char *name);

/**
 * fr_records_count - how many packed records some bytes hold
 * @recs: any alignment
 * @rec_len: of the fixed part of each, at least sizeof(struct flyrep_rec)
 *
 * Return: the number; -EBADMSG unless they are whole records and nothing else.
 */
ssize_t fr_records_count(const void *recs, size_t len, size_t rec_len);

/**
 * fr_records_resize - bring packed records whose fixed part has another size to ours
 * @dst: aligned; room for @n records of @table->rec_len and the tails of @src
 * @src: @n whole records of @src_len bytes and a tail each, any alignment
 *
 * Bytes missing in the fixed part become zero, surplus ones are dropped (the uapi
 * rule); tails stay.
 *
 * Return: bytes of @src that were read.
 */
size_t fr_records_resize(const struct fr_table *table, void *dst, const void *src,
			 size_t src_len, size_t n);

#endif
