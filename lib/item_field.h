/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * item_field - a field of an item as bytes, as text and as JSON, by its type
 */
#ifndef FR_ITEM_FIELD_H
#define FR_ITEM_FIELD_H

#include "item.h"

/* Whether bytes, none of them too, are what a field may hold. */
bool fr_item_field_is_good(const struct fr_item_field *f, const uint8_t *field, size_t len);

/* Appends the bytes that a text stands for. 0; -EINVAL: for none, see fr_item_field_flaw(). */
int fr_item_field_put(struct fr_writer *w, const struct fr_item_field *f, const char *text);

/* What a text is not that was refused, static. */
const char *fr_item_field_flaw(const struct fr_item_field *f);

/* Says a field that is not empty under its name in an object; in hex if it is not good. */
void fr_item_field_to_json(json_t *obj, const struct fr_item_field *f, const uint8_t *field,
			   size_t len);

/* The families of nft by their numbers, NFPROTO_*, *@n of them; NULL between. */
const char *const *fr_item_field_families(size_t *n);

/* The comment in the userdata of an nft element, *@comment_len bytes; NULL: it has none. */
const uint8_t *fr_item_field_comment(const uint8_t *field, size_t len, size_t *comment_len);

/* "@prefix", then digits with @between the bytes; NULL: no memory. */
json_t *fr_item_field_hex(const char *prefix, const uint8_t *field, size_t len,
			  const char *between);

#endif
