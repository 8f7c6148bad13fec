// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_value.h"

#include "config_bind.h"
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Checks the value and stores it at @to, unless that is NULL. False: reported. */
typedef bool bind_fn(struct fr_config_binder *b, const struct fr_schema *row,
		     const struct fr_hcl_value *value, void *to);

bool fr_config_value_wrong_type(struct fr_config_binder *b,
				const struct fr_schema *row,
				const struct fr_hcl_value *value,
				const char *wanted)
{
	if (value->type != FR_HCL_INVALID)
		fr_diag_error(b->diag, value->pos, "%s: expected %s, found %s",
			      row->path, wanted, fr_hcl_type_name(value->type));
	return false;
}

static bool out_of_range(struct fr_config_binder *b,
			 const struct fr_schema *row,
			 const struct fr_hcl_value *value)
{
	char range[2 * FR_UNITS_TEXT_LEN + 8];

	fr_diag_error(b->diag, value->pos, "%s: out of range: %s", row->path,
		      fr_schema_range(row, range, sizeof(range)));
	return false;
}

static bool get_integer(struct fr_config_binder *b, const struct fr_schema *row,
			const struct fr_hcl_value *value, uint64_t max,
			uint64_t *number)
{
	if (value->type != FR_HCL_NUMBER || value->number.is_fraction)
		return fr_config_value_wrong_type(b, row, value,
						  "a whole number");
	if (value->number.integer < (int64_t)row->min ||
	    (uint64_t)value->number.integer > max)
		return out_of_range(b, row, value);
	*number = (uint64_t)value->number.integer;
	return true;
}

static bool get_string(struct fr_config_binder *b, const struct fr_schema *row,
		       const struct fr_hcl_value *value)
{
	return value->type == FR_HCL_STRING ||
	       fr_config_value_wrong_type(b, row, value, "a string");
}

bool fr_config_value_get_list(struct fr_config_binder *b,
			      const struct fr_schema *row,
			      const struct fr_hcl_value *value)
{
	if (value->type != FR_HCL_LIST)
		return fr_config_value_wrong_type(b, row, value, "a list");
	if (row->max && (value->list.n < row->min || value->list.n > row->max))
		return out_of_range(b, row, value);
	return true;
}

/* Index of the word in the row's choices, or -1 after reporting. */
static int get_choice(struct fr_config_binder *b, const struct fr_schema *row,
		      const struct fr_hcl_value *value)
{
	char words[256] = "";
	size_t len = 0, i;

	if (!get_string(b, row, value))
		return -1;
	for (i = 0; row->choices[i]; i++) {
		if (!strcmp(row->choices[i], value->string.bytes))
			return (int)i;
		len += (size_t)snprintf(words + len, sizeof(words) - len,
					"%s%s", i ? ", " : "", row->choices[i]);
		if (len >= sizeof(words))
			len = sizeof(words) - 1;
	}
	fr_diag_error(b->diag, value->pos, "%s: \"%.40s\" is not one of %s",
		      row->path, value->string.bytes, words);
	return -1;
}

static bool refuse_choice(struct fr_config_binder *b,
			  const struct fr_schema *row,
			  const struct fr_hcl_value *value)
{
	if (!row->only ||
	    fr_schema_allows(row->only, value->string.bytes))
		return false;
	fr_diag_error(b->diag, value->pos, "%s: \"%s\" is not supported yet",
		      row->path, value->string.bytes);
	return true;
}

static bool bind_bool(struct fr_config_binder *b, const struct fr_schema *row,
		      const struct fr_hcl_value *value, void *to)
{
	if (value->type != FR_HCL_BOOL)
		return fr_config_value_wrong_type(b, row, value,
						  "true or false");
	if (to)
		*(bool *)to = value->boolean;
	return true;
}

static bool bind_number(struct fr_config_binder *b, const struct fr_schema *row,
			const struct fr_hcl_value *value, void *to)
{
	uint64_t number;

	if (!get_integer(b, row, value, row->max, &number))
		return false;
	if (to)
		*(uint32_t *)to = (uint32_t)number;
	return true;
}

static bool bind_mask(struct fr_config_binder *b, const struct fr_schema *row,
		      const struct fr_hcl_value *value, void *to)
{
	const char *text = value->type == FR_HCL_STRING ? value->string.bytes :
							  NULL;
	unsigned long long number;
	char *end;

	if (!text)
		return bind_number(b, row, value, to);
	errno = 0;
	number = strtoull(text, &end, 16);
	if (strncmp(text, "0x", 2) || !text[2] ||
	    strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2))
		return fr_config_value_wrong_type(
			b, row, value, "a number or a string like \"0xff\"");
	if (errno || number > row->max) {
		fr_diag_error(b->diag, value->pos, "%s: out of range: 32 bits",
			      row->path);
		return false;
	}
	if (to)
		*(uint32_t *)to = (uint32_t)number;
	return true;
}

static bool bind_optional(struct fr_config_binder *b,
			  const struct fr_schema *row,
			  const struct fr_hcl_value *value, void *to)
{
	struct fr_config_number number = { .is_set = true };

	if (!bind_number(b, row, value, &number.value))
		return false;
	if (to)
		*(struct fr_config_number *)to = number;
	return true;
}

/* A number of 32 bits at *@text, decimal or 0x; moves behind it. */
static bool read_bits(const char **text, uint32_t *bits)
{
	bool is_hex = !strncmp(*text, "0x", 2);
	const char *digits = *text + 2 * is_hex;
	unsigned long long number;
	char *end;

	if (!isxdigit((unsigned char)digits[0]) || digits[1] == 'x')
		return false;
	errno = 0;
	number = strtoull(digits, &end, is_hex ? 16 : 10);
	if (end == digits || errno || number > UINT32_MAX)
		return false;
	*text = end;
	*bits = (uint32_t)number;
	return true;
}

static bool bind_mark(struct fr_config_binder *b, const struct fr_schema *row,
		      const struct fr_hcl_value *value, void *to)
{
	struct fr_config_mark mark = { .is_set = true, .mask = UINT32_MAX };
	const char *text;

	if (!get_string(b, row, value))
		return false;
	text = value->string.bytes;
	if (!read_bits(&text, &mark.value) ||
	    (*text == '/' && (text++, !read_bits(&text, &mark.mask))) || *text) {
		fr_diag_error(b->diag, value->pos,
			      "%s: \"%.40s\" is not a mark like \"0x10/0xf0\", of 32 bits",
			      row->path, value->string.bytes);
		return false;
	}
	if (mark.value & ~mark.mask) {
		fr_diag_error(b->diag, value->pos,
			      "%s: 0x%x has bits outside 0x%x: nothing matches",
			      row->path, mark.value, mark.mask);
		return false;
	}
	if (to)
		*(struct fr_config_mark *)to = mark;
	return true;
}

/* In units of @unit_ns; what is finer than that is refused. */
static bool get_duration(struct fr_config_binder *b,
			 const struct fr_schema *row,
			 const struct fr_hcl_value *value, uint64_t unit_ns,
			 uint64_t *n_units)
{
	uint64_t ns = 0;
	int err = 0;

	if (value->type == FR_HCL_NUMBER && !value->number.is_fraction) {
		if (value->number.integer < 0 ||
		    __builtin_mul_overflow((uint64_t)value->number.integer,
					   FR_UNITS_NS_PER_S, &ns))
			err = -ERANGE;
	} else if (value->type == FR_HCL_STRING) {
		err = fr_units_parse_duration(value->string.bytes, &ns);
	} else {
		return fr_config_value_wrong_type(
			b, row, value,
			"a duration like \"1h30m\" or a number of seconds");
	}
	if (err == -EINVAL) {
		fr_diag_error(
			b->diag, value->pos,
			"%s: \"%.40s\" is not a duration: numbers with the units ns us ms s m h d w",
			row->path, value->string.bytes);
		return false;
	}
	if (err || ns / unit_ns < row->min || ns / unit_ns > row->max ||
	    (ns / unit_ns == row->max && ns % unit_ns))
		return out_of_range(b, row, value);
	if (ns % unit_ns) {
		fr_diag_error(b->diag, value->pos, "%s: counts in whole %s",
			      row->path,
			      unit_ns == FR_UNITS_NS_PER_S ? "seconds" :
							     "milliseconds");
		return false;
	}
	*n_units = ns / unit_ns;
	return true;
}

static bool bind_duration(struct fr_config_binder *b,
			  const struct fr_schema *row,
			  const struct fr_hcl_value *value, void *to)
{
	uint64_t ms;

	if (!get_duration(b, row, value, FR_UNITS_NS_PER_MS, &ms))
		return false;
	if (to)
		*(uint64_t *)to = ms;
	return true;
}

static bool bind_seconds(struct fr_config_binder *b,
			 const struct fr_schema *row,
			 const struct fr_hcl_value *value, void *to)
{
	uint64_t seconds;

	if (!get_duration(b, row, value, FR_UNITS_NS_PER_S, &seconds))
		return false;
	if (to)
		*(uint32_t *)to = (uint32_t)seconds;
	return true;
}

static bool bind_size(struct fr_config_binder *b, const struct fr_schema *row,
		      const struct fr_hcl_value *value, void *to)
{
	uint64_t n_bytes = 0;
	int err;

	if (value->type != FR_HCL_STRING) {
		if (value->type != FR_HCL_NUMBER)
			return fr_config_value_wrong_type(
				b, row, value,
				"a size like \"64M\" or a number of bytes");
		if (!get_integer(b, row, value, row->max, &n_bytes))
			return false;
	} else {
		err = fr_units_parse_bytes(value->string.bytes, &n_bytes);
		if (err == -EINVAL) {
			fr_diag_error(
				b->diag, value->pos,
				"%s: \"%.40s\" is not a size: a number and one of k M G T",
				row->path, value->string.bytes);
			return false;
		}
		if (err || n_bytes < row->min || n_bytes > row->max)
			return out_of_range(b, row, value);
	}
	if (to)
		*(uint64_t *)to = n_bytes;
	return true;
}

static bool bind_string(struct fr_config_binder *b, const struct fr_schema *row,
			const struct fr_hcl_value *value, void *to)
{
	if (!get_string(b, row, value))
		return false;
	if (to)
		*(char **)to = value->string.bytes;
	return true;
}

static bool bind_choice(struct fr_config_binder *b, const struct fr_schema *row,
			const struct fr_hcl_value *value, void *to)
{
	int choice = get_choice(b, row, value);

	if (choice < 0 || refuse_choice(b, row, value))
		return false;
	if (to)
		*(int *)to = choice;
	return true;
}

bool fr_config_is_node_id(const char *text)
{
	size_t len = strlen(text);

	return len && len <= FR_CONFIG_NODE_ID_MAX &&
	       strspn(text,
		      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       len;
}

static bool is_node_id(struct fr_config_binder *b, const struct fr_schema *row,
		       struct fr_diag_pos pos, const char *text)
{
	if (fr_config_is_node_id(text))
		return true;
	fr_diag_error(
		b->diag, pos,
		"%s: a node id is 1 to %d letters, digits, dots, underscores or dashes",
		row->path, FR_CONFIG_NODE_ID_MAX);
	return false;
}

static bool bind_node_id(struct fr_config_binder *b,
			 const struct fr_schema *row,
			 const struct fr_hcl_value *value, void *to)
{
	return get_string(b, row, value) &&
	       is_node_id(b, row, value->pos, value->string.bytes) &&
	       bind_string(b, row, value, to);
}

static bool bind_path(struct fr_config_binder *b, const struct fr_schema *row,
		      const struct fr_hcl_value *value, void *to)
{
	if (!get_string(b, row, value))
		return false;
	if (value->string.bytes[0] != '/') {
		fr_diag_error(b->diag, value->pos,
			      "%s: \"%.80s\" is not an absolute path",
			      row->path, value->string.bytes);
		return false;
	}
	return bind_string(b, row, value, to);
}

static bool bind_address(struct fr_config_binder *b,
			 const struct fr_schema *row,
			 const struct fr_hcl_value *value, void *to)
{
	struct fr_address address;
	int err;

	if (!get_string(b, row, value))
		return false;
	err = fr_address_parse(value->string.bytes, (uint16_t)row->min,
			       &address);
	if (err == -ENODEV)
		fr_diag_error(b->diag, value->pos,
			      "%s: \"%.80s\": no such interface", row->path,
			      value->string.bytes);
	else if (err)
		fr_diag_error(
			b->diag, value->pos,
			"%s: \"%.80s\" is not an address: \"192.0.2.1:%u\" or \"[2001:db8::1]:%u\"",
			row->path, value->string.bytes, (unsigned int)row->min,
			(unsigned int)row->min);
	else if (to)
		*(struct fr_address *)to = address;
	return !err;
}

static void *alloc_list(struct fr_config_binder *b,
			const struct fr_hcl_value *value, size_t element_len)
{
	return fr_arena_alloc(b->arena, value->list.n * element_len);
}

static bool bind_secrets(struct fr_config_binder *b,
			 const struct fr_schema *row,
			 const struct fr_hcl_value *value, void *to)
{
	struct fr_config_secrets list = { 0 };
	const struct fr_hcl_value *element;
	bool is_good = true;

	if (!fr_config_value_get_list(b, row, value))
		return false;
	list.v = alloc_list(b, value, sizeof(*list.v));
	for (element = value->list.first; element && list.v;
	     element = element->next) {
		if (!get_string(b, row, element)) {
			is_good = false;
			continue;
		}
		list.v[list.n++] = (struct fr_config_secret){
			.bytes = (const uint8_t *)element->string.bytes,
			.len = strlen(element->string.bytes),
		};
	}
	if (to && list.v)
		*(struct fr_config_secrets *)to = list;
	return is_good;
}

static bool bind_strings(struct fr_config_binder *b,
			 const struct fr_schema *row,
			 const struct fr_hcl_value *value, void *to)
{
	struct fr_config_strings list = { 0 };
	const struct fr_hcl_value *element;
	bool is_good = true;

	if (!fr_config_value_get_list(b, row, value))
		return false;
	list.v = alloc_list(b, value, sizeof(*list.v));
	for (element = value->list.first; element && list.v;
	     element = element->next) {
		if (get_string(b, row, element))
			list.v[list.n++] = element->string.bytes;
		else
			is_good = false;
	}
	if (to && list.v)
		*(struct fr_config_strings *)to = list;
	return is_good;
}

static bool bind_addresses(struct fr_config_binder *b,
			   const struct fr_schema *row,
			   const struct fr_hcl_value *value, void *to)
{
	struct fr_config_addresses list = { 0 };
	const struct fr_hcl_value *element;
	bool is_good = true;

	/* One may be written without the brackets, and none as "". */
	if (value->type == FR_HCL_STRING) {
		list.v = fr_arena_alloc(b->arena, sizeof(*list.v));
		list.n = list.v && value->string.len;
		if (list.n)
			is_good = bind_address(b, row, value, list.v);
		if (to && list.v)
			*(struct fr_config_addresses *)to = list;
		return is_good;
	}
	if (value->type != FR_HCL_LIST)
		return fr_config_value_wrong_type(b, row, value, "a list");
	if (value->list.n > row->max)
		return out_of_range(b, row, value);
	list.v = alloc_list(b, value, sizeof(*list.v));
	for (element = value->list.first; element && list.v;
	     element = element->next)
		is_good &= bind_address(b, row, element, &list.v[list.n++]);
	if (to && list.v)
		*(struct fr_config_addresses *)to = list;
	return is_good;
}

static bool bind_protos(struct fr_config_binder *b, const struct fr_schema *row,
			const struct fr_hcl_value *value, void *to)
{
	struct fr_config_protos list = { 0 };
	const struct fr_hcl_value *element;
	bool is_good = true;

	if (!fr_config_value_get_list(b, row, value))
		return false;
	list.v = alloc_list(b, value, sizeof(*list.v));
	for (element = value->list.first; element && list.v;
	     element = element->next) {
		int choice = get_choice(b, row, element);

		if (choice < 0 || refuse_choice(b, row, element))
			is_good = false;
		else
			list.v[list.n++] = fr_schema_protos[choice];
	}
	if (to && list.v)
		*(struct fr_config_protos *)to = list;
	return is_good;
}

static bool bind_networks(struct fr_config_binder *b,
			  const struct fr_schema *row,
			  const struct fr_hcl_value *value, void *to)
{
	struct fr_config_networks list = { 0 };
	const struct fr_hcl_value *element;
	bool is_good = true;

	if (!fr_config_value_get_list(b, row, value))
		return false;
	list.v = alloc_list(b, value, sizeof(*list.v));
	for (element = value->list.first; element && list.v;
	     element = element->next) {
		int err;

		if (!get_string(b, row, element)) {
			is_good = false;
			continue;
		}
		err = fr_network_parse(element->string.bytes, &list.v[list.n]);
		if (err == -EDOM)
			fr_diag_error(
				b->diag, element->pos,
				"%s: \"%.60s\" has bits set behind its prefix",
				row->path, element->string.bytes);
		else if (err)
			fr_diag_error(
				b->diag, element->pos,
				"%s: \"%.60s\" is not a network: \"10.0.0.0/8\" or \"fd00::/8\"",
				row->path, element->string.bytes);
		is_good &= !err;
		list.n += !err;
	}
	if (to && list.v)
		*(struct fr_config_networks *)to = list;
	return is_good;
}

static bool bind_zones(struct fr_config_binder *b, const struct fr_schema *row,
		       const struct fr_hcl_value *value, void *to)
{
	struct fr_config_zones list = { 0 };
	const struct fr_hcl_value *element;
	bool is_good = true;

	if (!fr_config_value_get_list(b, row, value))
		return false;
	list.v = alloc_list(b, value, sizeof(*list.v));
	for (element = value->list.first; element && list.v;
	     element = element->next) {
		if (element->type == FR_HCL_NUMBER &&
		    !element->number.is_fraction &&
		    element->number.integer >= 0 &&
		    element->number.integer <= UINT16_MAX) {
			list.v[list.n++] = (uint16_t)element->number.integer;
			continue;
		}
		is_good = fr_config_value_wrong_type(
			b, row, element, "conntrack zones, 0 to 65535");
	}
	if (to && list.v)
		*(struct fr_config_zones *)to = list;
	return is_good;
}

/* "family/table/set" of shell patterns, or all dynamic ones. */
static bool is_sets(const char *text)
{
	static const char *const families[] = { "inet", "ip", "ip6", "arp",
						"bridge", "netdev" };
	const char *slash = strchr(text, '/'), *second;
	char family[16];
	size_t i;

	if (!strcmp(text, FR_CONFIG_SETS_DYNAMIC))
		return true;
	second = slash ? strchr(slash + 1, '/') : NULL;
	if (!second || second == slash + 1 || !second[1] ||
	    strchr(second + 1, '/') || slash - text >= (ptrdiff_t)sizeof(family))
		return false;
	snprintf(family, sizeof(family), "%.*s", (int)(slash - text), text);
	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (!fnmatch(family, families[i], 0))
			return true;
	return false;
}

static bool bind_sets(struct fr_config_binder *b, const struct fr_schema *row,
		      const struct fr_hcl_value *value, void *to)
{
	struct fr_config_sets list = { 0 };
	const struct fr_hcl_value *element;
	bool is_good = true;

	if (!fr_config_value_get_list(b, row, value))
		return false;
	list.v = alloc_list(b, value, sizeof(*list.v));
	for (element = value->list.first; element && list.v;
	     element = element->next) {
		if (!get_string(b, row, element)) {
			is_good = false;
		} else if (!is_sets(element->string.bytes)) {
			fr_diag_error(
				b->diag, element->pos,
				"%s: \"%.60s\" names no sets: \"inet/filter/*\" or \"%s\"",
				row->path, element->string.bytes,
				FR_CONFIG_SETS_DYNAMIC);
			is_good = false;
		} else {
			list.v[list.n++] = element->string.bytes;
		}
	}
	if (to && list.v)
		*(struct fr_config_sets *)to = list;
	return is_good;
}

bool fr_config_value_get_object(struct fr_config_binder *b,
				const struct fr_schema *row,
				const struct fr_hcl_value *value)
{
	return value->type == FR_HCL_OBJECT ||
	       fr_config_value_wrong_type(b, row, value, "{ ... }");
}

static bool bind_map(struct fr_config_binder *b, const struct fr_schema *row,
		     const struct fr_hcl_value *value, void *to)
{
	const struct fr_hcl_item *item;
	struct fr_config_map map = { 0 };
	bool is_good = true;
	uint64_t number;

	if (!fr_config_value_get_object(b, row, value))
		return false;
	map.v = fr_arena_alloc(b->arena, value->object->n_items * sizeof(*map.v));
	for (item = value->object->first; item && map.v; item = item->next) {
		if (!get_integer(b, row, &item->value, row->max, &number) ||
		    !is_node_id(b, row, item->pos, item->key)) {
			is_good = false;
			continue;
		}
		map.v[map.n].node_id = item->key;
		map.v[map.n++].number = (uint32_t)number;
	}
	if (to && map.v)
		*(struct fr_config_map *)to = map;
	return is_good;
}

static bind_fn *const binders[FR_SCHEMA_N_TYPES] = {
	[FR_SCHEMA_MAP] = bind_map,
	[FR_SCHEMA_BOOL] = bind_bool,
	[FR_SCHEMA_NUMBER] = bind_number,
	[FR_SCHEMA_MASK] = bind_mask,
	[FR_SCHEMA_OPTIONAL] = bind_optional,
	[FR_SCHEMA_MARK] = bind_mark,
	[FR_SCHEMA_DURATION] = bind_duration,
	[FR_SCHEMA_SECONDS] = bind_seconds,
	[FR_SCHEMA_SIZE] = bind_size,
	[FR_SCHEMA_STRING] = bind_string,
	[FR_SCHEMA_CHOICE] = bind_choice,
	[FR_SCHEMA_NODE_ID] = bind_node_id,
	[FR_SCHEMA_PATH] = bind_path,
	[FR_SCHEMA_SECRET] = bind_string,
	[FR_SCHEMA_ADDRESS] = bind_address,
	[FR_SCHEMA_ADDRESSES] = bind_addresses,
	[FR_SCHEMA_STRINGS] = bind_strings,
	[FR_SCHEMA_SECRETS] = bind_secrets,
	[FR_SCHEMA_PROTOS] = bind_protos,
	[FR_SCHEMA_NETWORKS] = bind_networks,
	[FR_SCHEMA_ZONES] = bind_zones,
	[FR_SCHEMA_SETS] = bind_sets,
};

/* What a message or the table's "only" calls a valid value; NULL: checked elsewhere. */
static const char *plain_text(const struct fr_schema *row,
			      const struct fr_hcl_value *value)
{
	uint64_t ns;

	switch (value->type) {
	case FR_HCL_BOOL:
		return value->boolean ? "true" : "false";
	case FR_HCL_LIST:
		if (row->type == FR_SCHEMA_PROTOS)
			return NULL;
		return value->list.n ? "anything but []" : "[]";
	case FR_HCL_NUMBER:
		return value->number.integer ? "anything but 0" : "0s";
	case FR_HCL_STRING:
		if (row->type != FR_SCHEMA_DURATION)
			return NULL;
		if (!fr_units_parse_duration(value->string.bytes, &ns) && !ns)
			return "0s";
		return value->string.bytes;
	default:
		return NULL;
	}
}

bool fr_config_value_refuse(struct fr_config_binder *b,
			    const struct fr_schema *row,
			    const struct fr_hcl_value *value)
{
	const char *text =
		row->only ? plain_text(row, value) : NULL;

	if (!text || fr_schema_allows(row->only, text))
		return false;
	fr_diag_error(b->diag, value->pos, "%s: %s is not supported yet",
		      row->path, text);
	return true;
}

bool fr_config_value_bind(struct fr_config_binder *b,
			  const struct fr_schema *row,
			  const struct fr_hcl_value *value, void *to)
{
	return binders[row->type](b, row, value, to) &&
	       !fr_config_value_refuse(b, row, value);
}
