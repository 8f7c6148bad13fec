/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record table of user space: one row for each enum flyrep_table, with all
 * that the generic stages need to know of a kind. A row missing for a table id
 * fails the build.
 */
#ifndef FR_RECORDS_H
#define FR_RECORDS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cursor.h"
#include "flyrep_records.h"
#include "siphash.h"

#define FR_KEY_MAX_LEN 40	/* longest canonical key of any table, bytes */

/**
 * struct fr_table - one kind of record
 * @id: enum flyrep_table
 * @name: as in the configuration, CLI and API
 * @rec_len: size of the record struct, bytes
 * @key: write the canonical key (8-byte aligned buffer of FR_KEY_MAX_LEN);
 *	returns its length
 * @from_key: fill a zeroed record's key fields from a canonical key; -EINVAL if
 *	it is not one
 * @digest: 64-bit keyed digest of canonical key and of the value fields that
 *	both nodes must agree on (no timeout, age, id, stamp)
 * @check: 0, or -EINVAL with the reason in *why (static text): every field that
 *	the kernel's APPLY would refuse is refused here too
 * @encode: append @n records as columns (docs/protocol.md); -EINVAL on a record
 *	that @check refuses, -ENOSPC when the writer is full
 * @decode: read exactly the columns of one batch, at most @n_max records; never
 *	trusts a count before the bytes are there. Every record passes @check.
 *	Sets *n. -EBADMSG on anything else
 * @to_json: one record for a person, guide field names; new reference
 */
struct fr_table {
	uint8_t id;
	const char *name;
	uint16_t rec_len;
	unsigned int (*key)(uint8_t *key, const void *rec);
	int (*from_key)(void *rec, const uint8_t *key, size_t key_len);
	uint64_t (*digest)(const void *rec, const struct fr_siphash_key *hash_key);
	int (*check)(const void *rec, const char **why);
	int (*encode)(struct fr_writer *w, const void *recs, size_t n);
	int (*decode)(struct fr_reader *r, void *recs, size_t n_max, size_t *n);
	json_t *(*to_json)(const void *rec);
};

/**
 * union fr_record - room for a record of any table
 */
union fr_record {
	struct flyrep_rec rec;
	struct flyrep_ct ct;
};

/* The row of a table id, or NULL. */
const struct fr_table *fr_table_by_id(unsigned int id);
const struct fr_table *fr_table_by_name(const char *name);

/**
 * fr_records_resize - bring packed records of another size to ours
 * @dst: room for @n records of @table->rec_len
 * @src: @n records of @src_len bytes each
 *
 * Missing tail bytes become zero, surplus ones are dropped (the uapi rule).
 */
void fr_records_resize(const struct fr_table *table, void *dst, const void *src,
		       size_t src_len, size_t n);

#endif
