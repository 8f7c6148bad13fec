/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * field - the fields of a record by name, as conditions and people call them
 *
 * Names are those of the record's JSON (fr_table.to_json()), but for those of flows, whose tuples
 * are flat: src, dst, sport, dport, and reply_src and so on. Only what travels is a field: both
 * ends of a session read the same from a record, so that the receiver can check what the sender
 * has let through. Timeouts and counters of flows are none, as no event tells of their changes.
 */
#ifndef FR_FIELD_H
#define FR_FIELD_H

#include <stdbool.h>

#include "conntrack_tail.h"
#include "item.h"
#include "records.h"

/**
 * enum fr_field_type - what a field holds
 * @FR_FIELD_TEXT: bytes, UTF-8 where they are meant to be read
 * @FR_FIELD_NUMBER: a count, a port, an instant in seconds since 1970
 * @FR_FIELD_BYTES: bytes such as a MAC address or the key of a set's element
 * @FR_FIELD_NET: an address, or a prefix
 * @FR_FIELD_NAME: one of a few, with a number each
 * @FR_FIELD_BOOL: true or false, and always there
 */
enum fr_field_type {
	FR_FIELD_TEXT,
	FR_FIELD_NUMBER,
	FR_FIELD_BYTES,
	FR_FIELD_NET,
	FR_FIELD_NAME,
	FR_FIELD_BOOL,
};

/**
 * struct fr_field - one of them
 * @name: static
 * @json: where it is in the record's JSON: names with dots between; static
 * @type: enum fr_field_type
 * @unit_ns: NUMBER: a duration counted in these; 0: no duration
 * @names: NAME: by number; NULL between where a number has none
 * @n_names: their number
 * @at: for fr_field_get()
 */
struct fr_field {
	const char *name;
	const char *json;
	enum fr_field_type type;
	uint64_t unit_ns;
	const char *const *names;
	size_t n_names;
	unsigned int at;
};

/**
 * struct fr_field_value - what a field holds
 * @number: NUMBER, NAME; BOOL: 0 or 1; NET: length of the prefix
 * @bytes: TEXT, BYTES; NET: network order, @len 4 or 16
 * @len: of @bytes
 */
struct fr_field_value {
	uint64_t number;
	const uint8_t *bytes;
	size_t len;
};

/* The type for people: "text", "a number" ... */
const char *fr_field_type_name(const struct fr_field *f);

/* The @i-th field of a table, an enum flyrep_table; false: it has no more. */
bool fr_field_at(unsigned int table, unsigned int i, struct fr_field *f);

/* By its name of @len bytes; false: there is none. */
bool fr_field_find(unsigned int table, const char *name, size_t len, struct fr_field *f);

/* A record whose fields are read. */
struct fr_field_reader {
	const void *rec;
	unsigned int table;
	/* private: */
	bool is_open;
	bool is_bad;
	struct fr_item_bytes item[FR_ITEM_FIELDS_MAX];
	struct flyrep_ct_ext ext;
};

/* @rec: passes fr_table.check() and is no DELETE; must outlive it */
void fr_field_reader_init(struct fr_field_reader *r, unsigned int table, const void *rec);

/**
 * fr_field_get() - read one
 * @v: its bytes lie in the record or in @r
 *
 * Return: false: the record does not have it, or it is empty.
 */
bool fr_field_get(struct fr_field_reader *r, const struct fr_field *f, struct fr_field_value *v);

/* Bytes of @room for a text of @len bytes */
#define FR_FIELD_ROOM(len) ((len) / 2 + 17)

/**
 * fr_field_parse() - the value that a text stands for
 * @text: TEXT: itself; NUMBER: decimal, 0x and hexadecimal digits, or a duration like 1h30m where
 *	the field is one; BYTES: pairs of digits with ":" or "-" between, or, for the key of a set's
 *	element, an address; NET: an address or a prefix; NAME: one of the names in any case, or a
 *	number; BOOL: true or false
 * @room: FR_FIELD_ROOM(@len) bytes, where @v may lie; else it lies in @text
 * @why: what is wrong, static
 *
 * Return: 0; -EINVAL.
 */
int fr_field_parse(const struct fr_field *f, const char *text, size_t len, uint8_t *room,
		   struct fr_field_value *v, const char **why);

#endif
