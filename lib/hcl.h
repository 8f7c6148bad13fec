/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hcl - a strict subset of HashiCorp's configuration language, text to tree
 *
 * Everything accepted is valid HCL2 with the same meaning; a typo never turns
 * into a value.  A body holds attributes, name = value, and blocks,
 * name "label" { }, one a line.  Values are true, false, null, decimal numbers,
 * strings, heredocs (<<EOT, <<-EOT), lists in brackets and objects in braces,
 * whose items are separated by newlines or commas and may use a colon for the
 * equals sign.  Strings know the escapes of n, t, r, quote, backslash, uXXXX
 * and UXXXXXXXX.  Comments: hash, two slashes, slash-star.  No templates: "${"
 * and "%{" are faults, "$${" and "%%{" stand for them.  UTF-8 without NUL
 * bytes, at most FR_HCL_TEXT_MAX bytes, nested at most FR_HCL_DEPTH_MAX deep.
 */
#ifndef FR_HCL_H
#define FR_HCL_H

#include "arena.h"
#include "diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FR_HCL_TEXT_MAX (1u << 20)
#define FR_HCL_DEPTH_MAX 64
#define FR_HCL_LABELS_MAX 3

enum fr_hcl_type {
	FR_HCL_INVALID, /* a fault was reported here; stands in so that reading can go on */
	FR_HCL_NULL,
	FR_HCL_BOOL,
	FR_HCL_NUMBER,
	FR_HCL_STRING,
	FR_HCL_LIST,
	FR_HCL_OBJECT, /* also the inside of a block */
};

struct fr_hcl_body;

struct fr_hcl_value {
	enum fr_hcl_type type;
	struct fr_diag_pos pos;
	struct fr_hcl_value *next; /* in the list it belongs to */
	union {
		bool boolean;
		struct {
			int64_t integer;
			bool is_fraction; /* then the integer means nothing */
		} number;
		struct {
			char *bytes; /* NUL-terminated, no NUL inside */
			size_t len;
		} string;
		struct {
			struct fr_hcl_value *first;
			size_t n;
		} list;
		struct fr_hcl_body *object;
	};
};

struct fr_hcl_item {
	char *key;
	struct fr_diag_pos pos; /* of the key */
	bool is_block;
	uint8_t n_labels;
	char **labels;
	struct fr_hcl_value value;
	struct fr_hcl_item *next; /* in the order of the file */
};

struct fr_hcl_body {
	struct fr_diag_pos pos; /* of its brace */
	struct fr_hcl_item *first;
	struct fr_hcl_item *last;
	size_t n_items;
	struct fr_hcl_item **slots; /* by hash of the key, the first of each */
	size_t n_slots;
};

/**
 * fr_hcl_parse() - text to tree
 * @arena: owns the tree; the text itself is not referred to afterwards
 * @diag: gets every fault found
 *
 * A key set twice in a body is a fault, a block that repeats is not: that is
 * for the schema to say.
 *
 * Return: the root body, as far as it could be read even if there were faults,
 * or NULL when nothing of it is usable.
 */
struct fr_hcl_body *fr_hcl_parse(const char *text, size_t len,
				 struct fr_arena *arena, struct fr_diag *diag);

/**
 * fr_hcl_find() - the first item with this key, or NULL
 */
struct fr_hcl_item *fr_hcl_find(const struct fr_hcl_body *body,
				const char *key);

/**
 * fr_hcl_type_name() - for messages: "a string", "a list" ...
 */
const char *fr_hcl_type_name(enum fr_hcl_type type);

/**
 * fr_hcl_write_string() - @s as a quoted string that parses back to itself
 */
void fr_hcl_write_string(const char *s, FILE *out);

#endif
