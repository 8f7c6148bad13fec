/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * schema - the table of every configuration key
 *
 * One row a key, depth first: the rows of a section follow it.  The reader,
 * the printer, "flyrep config schema", the manual page and the suggestions for
 * mistyped keys are all driven by it.  Paths leave out "replication.", the
 * section that holds everything.
 */
#ifndef FR_SCHEMA_H
#define FR_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a key holds, and the type of the field it is bound to. */
enum fr_schema_type {
	FR_SCHEMA_SECTION, /* "x { }" or "x = { }"; binds nothing itself */
	FR_SCHEMA_SECTIONS, /* struct { T *v; size_t n; }: list, or repeated "x { }" */
	FR_SCHEMA_LABELLED, /* likewise, repeated "x "label" { }"; T begins with char *label */
	FR_SCHEMA_MAP, /* struct fr_config_map: node ids = numbers in min..max */
	FR_SCHEMA_BOOL, /* bool */
	FR_SCHEMA_NUMBER, /* uint32_t, min..max */
	FR_SCHEMA_MASK, /* uint32_t, a number or "0x..." */
	FR_SCHEMA_OPTIONAL, /* struct fr_config_number, min..max */
	FR_SCHEMA_MARK, /* struct fr_config_mark, "value/mask" */
	FR_SCHEMA_DURATION, /* uint64_t of milliseconds, min..max */
	FR_SCHEMA_SECONDS, /* uint32_t of seconds, min..max */
	FR_SCHEMA_SIZE, /* uint64_t of bytes, min..max */
	FR_SCHEMA_STRING, /* char * */
	FR_SCHEMA_CHOICE, /* int, index into choices */
	FR_SCHEMA_NODE_ID, /* char * */
	FR_SCHEMA_PATH, /* char *, absolute */
	FR_SCHEMA_SECRET, /* char *, never printed */
	FR_SCHEMA_ADDRESS, /* struct fr_address; min is the default port */
	FR_SCHEMA_ADDRESSES, /* struct fr_config_addresses, at most max; min is the default port */
	FR_SCHEMA_STRINGS, /* struct fr_config_strings, at most max */
	FR_SCHEMA_SECRETS, /* struct fr_config_secrets, at most max, never printed */
	FR_SCHEMA_PROTOS, /* struct fr_config_protos, at most max */
	FR_SCHEMA_NETWORKS, /* struct fr_config_networks, at most max */
	FR_SCHEMA_ZONES, /* struct fr_config_zones, at most max */
	FR_SCHEMA_SETS, /* struct fr_config_sets, at most max */
	FR_SCHEMA_N_TYPES,
};

enum fr_schema_flags {
	FR_SCHEMA_REQUIRED = 1 << 0,
	FR_SCHEMA_RELOADABLE = 1 << 1, /* takes effect without a restart */
};

#define FR_SCHEMA_UNBOUND SIZE_MAX

struct fr_schema {
	const char *path;
	enum fr_schema_type type;
	unsigned int flags; /* enum fr_schema_flags */
	size_t offset; /* in struct fr_config or the list's element */
	uint64_t min, max;
	uint16_t element_len; /* of T */
	const char *dflt; /* as HCL; NULL = none */
	const char *only; /* what is implemented, '|' between; NULL = all */
	const char *const *choices; /* ends with NULL */
	const char *help;
};

/**
 * fr_schema_rows() - the table; *n is its length
 */
const struct fr_schema *fr_schema_rows(size_t *n);

/**
 * fr_schema_child() - the row of @key inside the section @parent (NULL = the top)
 *
 * Return: the row or NULL.
 */
const struct fr_schema *fr_schema_child(const struct fr_schema *parent,
					const char *key);

/**
 * fr_schema_is_child() - is @row directly inside @parent (NULL = the top)
 */
bool fr_schema_is_child(const struct fr_schema *parent,
			const struct fr_schema *row);

/**
 * fr_schema_name() - the last part of the row's path
 */
const char *fr_schema_name(const struct fr_schema *row);

/**
 * fr_schema_nearest() - the key inside @parent that @key was probably meant to be
 *
 * Return: its name, or NULL when nothing is near.
 */
const char *fr_schema_nearest(const struct fr_schema *parent, const char *key);

/**
 * fr_schema_type_name() - "duration", "list of networks" ...
 */
const char *fr_schema_type_name(enum fr_schema_type type);

/**
 * fr_schema_range() - the range of a row in the user's units, "" when it has none
 *
 * Return: @buf of @len bytes.
 */
char *fr_schema_range(const struct fr_schema *row, char *buf, size_t len);

/**
 * fr_schema_allows() - is @text one of the '|'-separated words of @only
 */
bool fr_schema_allows(const char *only, const char *text);

/* In place of a number: every protocol that has no name, as in FLYREP_FILTER_A_PROTOS. */
#define FR_SCHEMA_PROTO_OTHER 0

/* Protocol numbers for FR_SCHEMA_PROTOS, in the order of the row's choices. */
extern const uint8_t fr_schema_protos[];

#endif
