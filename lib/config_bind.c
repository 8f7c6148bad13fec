// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_bind.h"

#include "config_value.h"

#include <string.h>

static void bind_section(struct fr_config_binder *b,
			 const struct fr_schema *parent,
			 const struct fr_hcl_body *body, void *base);

/* Looking for the nearest word is not free, and nobody reads past the limit. */
static bool is_worth_a_hint(const struct fr_config_binder *b)
{
	return b->diag->n[FR_DIAG_ERROR] < FR_DIAG_MAX;
}

/* A field for a list of sections, whatever these are */
struct sections {
	void *v;
	size_t n;
};

static void bind_sections(struct fr_config_binder *b,
			  const struct fr_schema *row,
			  const struct fr_hcl_value *value, void *to)
{
	const struct fr_hcl_value *element;
	struct sections list = { 0 };
	char *at;

	if (!fr_config_value_get_list(b, row, value) ||
	    fr_config_value_refuse(b, row, value))
		return;
	list.v = fr_arena_alloc(b->arena, value->list.n * row->element_len);
	at = list.v;
	for (element = value->list.first; element && list.v;
	     element = element->next) {
		if (!fr_config_value_get_object(b, row, element))
			continue;
		bind_section(b, row, element->object, to ? at : NULL);
		at += row->element_len;
		list.n++;
	}
	if (to && list.v)
		memcpy(to, &list, sizeof(list));
}

static void bind_value(struct fr_config_binder *b, const struct fr_schema *row,
		       const struct fr_hcl_value *value, void *to)
{
	switch (row->type) {
	case FR_SCHEMA_SECTION:
		if (fr_config_value_get_object(b, row, value))
			bind_section(b, row, value->object, to);
		break;
	case FR_SCHEMA_SECTIONS:
		bind_sections(b, row, value, to);
		break;
	default:
		fr_config_value_bind(b, row, value, to);
	}
}

/* The defaults are HCL themselves, so that they pass the same checks. */
static void bind_default(struct fr_config_binder *b,
			 const struct fr_schema *row, void *to)
{
	struct fr_hcl_body *body;
	char text[128];
	int len;

	len = snprintf(text, sizeof(text), "v = %s", row->dflt);
	body = fr_hcl_parse(text, (size_t)len, b->arena, b->diag);
	if (body && body->first)
		bind_value(b, row, &body->first->value, to);
}

/* Several blocks of one name, as the list of their bodies. */
static void blocks_to_list(struct fr_config_binder *b,
			   const struct fr_hcl_item *item,
			   struct fr_hcl_value *list)
{
	struct fr_hcl_value **tail = &list->list.first;
	const struct fr_hcl_item *other;

	*list = (struct fr_hcl_value){ .type = FR_HCL_LIST,
				       .pos = item->value.pos };
	for (other = item; other; other = other->next) {
		struct fr_hcl_value *element;

		if (strcmp(other->key, item->key))
			continue;
		element = fr_arena_alloc(b->arena, sizeof(*element));
		if (!element)
			return;
		*element = other->value;
		*tail = element;
		tail = &element->next;
		list->list.n++;
	}
}

static bool is_labelled(const struct fr_hcl_item *item, const char *key)
{
	return !strcmp(item->key, key) && item->is_block && item->n_labels == 1 &&
	       item->value.type == FR_HCL_OBJECT;
}

/* The first of these blocks with the label of this one, which may be itself */
static const struct fr_hcl_item *first_of_label(const struct fr_hcl_item *first,
						const struct fr_hcl_item *item)
{
	while (!is_labelled(first, item->key) ||
	       strcmp(first->labels[0], item->labels[0]))
		first = first->next;
	return first;
}

/* All blocks of one name that have a label; @item is the first with the name. */
static void bind_labelled(struct fr_config_binder *b,
			  const struct fr_schema *row,
			  const struct fr_hcl_item *item, void *to)
{
	const struct fr_hcl_item *block, *same;
	struct sections list = { 0 };
	size_t n = 0;
	char *at;

	for (block = item; block; block = block->next)
		n += is_labelled(block, item->key);
	if (n > row->max) {
		fr_diag_error(b->diag, item->pos, "%s: more than %zu of them",
			      row->path, (size_t)row->max);
		return;
	}
	list.v = fr_arena_alloc(b->arena, n * row->element_len);
	at = list.v;
	for (block = item; block && list.v; block = block->next) {
		if (!is_labelled(block, item->key))
			continue;
		same = first_of_label(item, block);
		if (same != block)
			fr_diag_error(b->diag, block->pos,
				      "%s \"%.60s\" is set twice: first on line %u",
				      row->path, block->labels[0], same->pos.line);
		memcpy(at, &block->labels[0], sizeof(block->labels[0]));
		bind_section(b, row, block->value.object, to ? at : NULL);
		at += row->element_len;
		list.n++;
	}
	if (to && list.v)
		memcpy(to, &list, sizeof(list));
}

/* Labels and repetition, where the type has a say in it. */
static bool is_well_formed(struct fr_config_binder *b,
			   const struct fr_schema *row,
			   const struct fr_hcl_body *body,
			   const struct fr_hcl_item *item)
{
	const struct fr_hcl_item *first = fr_hcl_find(body, item->key);
	int n_labels = row->type == FR_SCHEMA_LABELLED;

	if (item->value.type == FR_HCL_INVALID)
		return false;
	if (item->n_labels != n_labels || (n_labels && !item->is_block)) {
		if (n_labels)
			fr_diag_error(b->diag, item->pos,
				      "%s: write %s \"NAME\" { ... }",
				      row->path, item->key);
		else
			fr_diag_error(b->diag, item->pos, "%s: takes no label",
				      row->path);
		return false;
	}
	if (item->is_block && item != first && row->type == FR_SCHEMA_SECTION) {
		fr_diag_error(b->diag, item->pos,
			      "%s is set twice: first on line %u", row->path,
			      first->pos.line);
		return false;
	}
	return true;
}

static void bind_item(struct fr_config_binder *b, const struct fr_schema *row,
		      const struct fr_hcl_body *body,
		      const struct fr_hcl_item *item, void *base)
{
	struct fr_hcl_value list;

	if (!is_well_formed(b, row, body, item) ||
	    item->value.type == FR_HCL_NULL)
		return;
	if (row->type != FR_SCHEMA_SECTION && row->offset == FR_SCHEMA_UNBOUND)
		base = NULL;
	if (base && row->type != FR_SCHEMA_SECTION)
		base = (char *)base + row->offset;
	if (item->is_block && row->type == FR_SCHEMA_SECTIONS) {
		if (item == fr_hcl_find(body, item->key)) {
			blocks_to_list(b, item, &list);
			bind_value(b, row, &list, base);
		}
	} else if (row->type == FR_SCHEMA_LABELLED) {
		if (item == fr_hcl_find(body, item->key))
			bind_labelled(b, row, item, base);
	} else {
		bind_value(b, row, &item->value, base);
	}
}

static void unknown_key(struct fr_config_binder *b,
			const struct fr_schema *parent,
			const struct fr_hcl_item *item)
{
	const char *nearest = is_worth_a_hint(b) ?
				      fr_schema_nearest(parent, item->key) :
				      NULL;

	fr_diag_error(b->diag, item->pos, "unknown key \"%.60s\" in %s%s%s%s",
		      item->key, parent ? parent->path : "replication",
		      nearest ? ": did you mean \"" : "",
		      nearest ? nearest : "", nearest ? "\"?" : "");
}

static bool is_set(const struct fr_hcl_body *body, const struct fr_schema *row)
{
	const struct fr_hcl_item *item =
		body ? fr_hcl_find(body, fr_schema_name(row)) : NULL;

	return item && item->value.type != FR_HCL_NULL;
}

/* What the body left out. @base NULL: nothing is stored, only missed. */
static void bind_absent(struct fr_config_binder *b,
			const struct fr_schema *parent,
			const struct fr_hcl_body *body, void *base)
{
	const struct fr_schema *rows;
	size_t n, i;

	rows = fr_schema_rows(&n);
	for (i = 0; i < n; i++) {
		const struct fr_schema *row = &rows[i];

		if (!fr_schema_is_child(parent, row) || is_set(body, row))
			continue;
		if (row->type == FR_SCHEMA_SECTION)
			bind_section(b, row, NULL, base);
		else if (row->flags & FR_SCHEMA_REQUIRED && body &&
			 !b->is_partial)
			fr_diag_error(b->diag, body->pos, "%s is missing",
				      row->path);
		else if (base && row->dflt && row->offset != FR_SCHEMA_UNBOUND)
			bind_default(b, row, (char *)base + row->offset);
	}
}

static void bind_section(struct fr_config_binder *b,
			 const struct fr_schema *parent,
			 const struct fr_hcl_body *body, void *base)
{
	const struct fr_hcl_item *item;

	for (item = body ? body->first : NULL; item; item = item->next) {
		const struct fr_schema *row =
			fr_schema_child(parent, item->key);

		if (row)
			bind_item(b, row, body, item, base);
		else
			unknown_key(b, parent, item);
	}
	bind_absent(b, parent, body, base);
}

const struct fr_hcl_body *fr_config_bind(const struct fr_hcl_body *root,
					 struct fr_config *config,
					 struct fr_diag *diag)
{
	struct fr_config_binder b = { .arena = &config->arena,
				      .diag = diag,
				      .is_partial = fr_diag_has_errors(diag) };
	const struct fr_hcl_item *item,
		*section = fr_hcl_find(root, "replication");

	for (item = root->first; item; item = item->next) {
		if (strcmp(item->key, "replication"))
			fr_diag_error(
				diag, item->pos,
				"unknown section \"%.60s\": everything goes inside replication { }",
				item->key);
		else if (item != section)
			fr_diag_error(
				diag, item->pos,
				"replication is set twice: first on line %u",
				section->pos.line);
		else if (item->n_labels)
			fr_diag_error(diag, item->pos,
				      "replication takes no label");
		else if (item->value.type != FR_HCL_OBJECT &&
			 item->value.type != FR_HCL_INVALID)
			fr_diag_error(diag, item->value.pos,
				      "replication: expected { ... }, found %s",
				      fr_hcl_type_name(item->value.type));
	}
	if (!section) {
		if (!b.is_partial)
			fr_diag_error(diag, (struct fr_diag_pos){ 0 },
				      "no replication { } in it");
		return NULL;
	}
	if (section->value.type != FR_HCL_OBJECT)
		return NULL;
	bind_section(&b, NULL, section->value.object, config);
	return section->value.object;
}
