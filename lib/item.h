/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * item - the record table's rows for the tables that the module keeps: leases, DNS,
 * learning, configuration, metrics (struct flyrep_item)
 *
 * All of them are one list of fields in item.c. The kernel keeps the fields of key and value as
 * bytes (see flyrep_records.h); here they have a name, a type and a text.
 */
#ifndef FR_ITEM_H
#define FR_ITEM_H

#include <stdbool.h>

#include "records.h"

extern const struct fr_table fr_lease_table, fr_dns_table, fr_learning_table,
	fr_config_table, fr_metric_table, fr_nft_set_table;

/**
 * enum fr_item_type - what the bytes of a field are; an empty field says nothing
 * @FR_ITEM_STRING: UTF-8 text without NUL
 * @FR_ITEM_NUMBER: big-endian, as few bytes as it takes, at least one, at most 8
 * @FR_ITEM_TIME: the same, seconds since 1970
 * @FR_ITEM_HEX: bytes; as text "00:1b:21:3c"
 * @FR_ITEM_NET: an address of 4 or 16 bytes and the length of the prefix; as text
 *	"192.0.2.7" or "2001:db8::/56"
 * @FR_ITEM_BYTES: bytes; as text itself where it is UTF-8, else "hex:" and digits
 * @FR_ITEM_FAMILY: one byte, NFPROTO_*; as text "inet"
 * @FR_ITEM_USERDATA: bytes, what nft keeps of its own with an element; as text like HEX, and the
 *	comment in it beside
 */
enum fr_item_type {
	FR_ITEM_STRING,
	FR_ITEM_NUMBER,
	FR_ITEM_TIME,
	FR_ITEM_HEX,
	FR_ITEM_NET,
	FR_ITEM_BYTES,
	FR_ITEM_FAMILY,
	FR_ITEM_USERDATA,
};

/**
 * struct fr_item_field - one field
 * @name: as in the CLI and in JSON
 * @type: enum fr_item_type
 * @is_key: of the key; key fields come first
 * @is_needed: must not be empty
 */
struct fr_item_field {
	const char *name;
	uint8_t type;
	bool is_key;
	bool is_needed;
};

/* Whether bytes are UTF-8 as RFC 3629 has it, without NUL. */
bool fr_item_is_text(const uint8_t *s, size_t len);

/**
 * fr_item_flaw() - what is wrong with the rows of fields that are an item
 * @has_value: look at the value too
 *
 * Return: static text, NULL: nothing.
 */
const char *fr_item_flaw(unsigned int table, const uint8_t *key, size_t key_len, bool has_value,
			 const uint8_t *value, size_t value_len);

/* The fields of a table of items, ending with one without a name; NULL: no such table. */
const struct fr_item_field *fr_item_fields(unsigned int table);

#define FR_ITEM_FIELDS_MAX 16

/* The fields of FLYREP_TABLE_NFT_SET; attributes are the kernel's own bytes (lib/nft.h). */
enum fr_item_nft_set {
	FR_ITEM_NFT_FAMILY,
	FR_ITEM_NFT_TABLE,
	FR_ITEM_NFT_SET,
	FR_ITEM_NFT_KEY,	/* empty: the catch-all element */
	FR_ITEM_NFT_KEY_END,	/* of an interval; empty: none, or open to the top */
	FR_ITEM_NFT_DATA,	/* what is in NFTA_SET_ELEM_DATA */
	FR_ITEM_NFT_TIMEOUT,	/* ms; empty: the set's; 0: none, though the set has one */
	FR_ITEM_NFT_USERDATA,
	FR_ITEM_NFT_OBJECT,
	FR_ITEM_NFT_EXPRESSIONS, /* what is in NFTA_SET_ELEM_EXPRESSIONS; not in the digest */
};

/* The fields of FLYREP_TABLE_CONFIG */
enum fr_item_config {
	FR_ITEM_CONFIG_PATH,
	FR_ITEM_CONFIG_SHA256,
	FR_ITEM_CONFIG_SCHEMA_VERSION,
	FR_ITEM_CONFIG_AUTHOR,
	FR_ITEM_CONFIG_APPLIED_AT,
	FR_ITEM_CONFIG_BYTES,
};

/* Room for any item */
#define FR_ITEM_ROOM                                   \
	(sizeof(struct flyrep_item) +                  \
	 FLYREP_ITEM_TAIL_LEN(FLYREP_ITEM_KEY_MAX_LEN, \
			      FLYREP_ITEM_VALUE_MAX_LEN))

/**
 * fr_item_make() - a record from texts
 * @rec: FR_ITEM_ROOM bytes, 8-byte aligned; all of the record is written
 * @table: enum flyrep_table
 * @op: enum flyrep_op; with DELETE only the key's texts are read
 * @texts: one for each field in their order, NULL for an empty one
 * @expires_ms: as in struct flyrep_item
 * @why: what is wrong, to be freed
 *
 * Return: bytes written; -EINVAL with *@why set, -ENOMEM without.
 */
ssize_t fr_item_make(void *rec, unsigned int table, uint8_t op,
		     const char *const *texts, uint64_t expires_ms, char **why);

/**
 * struct fr_item_bytes - a field as it lies in a record
 * @pos: its bytes, not NUL-terminated
 * @len: how many; 0: it is empty, or the record does not have it
 */
struct fr_item_bytes {
	const uint8_t *pos;
	size_t len;
};

/**
 * fr_item_pack() - a record from the bytes of its fields
 * @rec: FR_ITEM_ROOM bytes, 8-byte aligned
 * @fields: one for each field in their order
 * Others as fr_item_make(); what the bytes are is the caller's business.
 *
 * Return: bytes written; -EMSGSIZE: they do not fit.
 */
ssize_t fr_item_pack(void *rec, unsigned int table, uint8_t op,
		     const struct fr_item_bytes *fields, uint64_t expires_ms);

/**
 * fr_item_unpack() - the fields of a record, in place
 * @fields: FR_ITEM_FIELDS_MAX of them, those beyond the table's are left alone
 *
 * Return: 0; -EINVAL: fr_table.check() would refuse how they are framed.
 */
int fr_item_unpack(const void *rec, unsigned int table, struct fr_item_bytes *fields);

#endif
