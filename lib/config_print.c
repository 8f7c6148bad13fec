// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"
#include "hcl.h"
#include "schema.h"
#include "units.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Prints what the row's type says lies at @from, as HCL. */
typedef void print_fn(const struct fr_schema *row, const void *from, FILE *out);

static void print_bool(const struct fr_schema *row, const void *from, FILE *out)
{
	(void)row;
	fputs(*(const bool *)from ? "true" : "false", out);
}

static void print_number(const struct fr_schema *row, const void *from,
			 FILE *out)
{
	(void)row;
	fprintf(out, "%" PRIu32, *(const uint32_t *)from);
}

static void print_mask(const struct fr_schema *row, const void *from, FILE *out)
{
	(void)row;
	fprintf(out, "\"0x%" PRIx32 "\"", *(const uint32_t *)from);
}

static void print_optional(const struct fr_schema *row, const void *from,
			   FILE *out)
{
	(void)row;
	fprintf(out, "%" PRIu32, ((const struct fr_config_number *)from)->value);
}

static void print_mark(const struct fr_schema *row, const void *from, FILE *out)
{
	const struct fr_config_mark *mark = from;

	(void)row;
	fprintf(out, "\"0x%" PRIx32 "/0x%" PRIx32 "\"", mark->value, mark->mask);
}

static void print_duration(const struct fr_schema *row, const void *from,
			   FILE *out)
{
	char text[FR_UNITS_TEXT_LEN];

	(void)row;
	fprintf(out, "\"%s\"",
		fr_units_format_duration(
			*(const uint64_t *)from * FR_UNITS_NS_PER_MS, text));
}

static void print_seconds(const struct fr_schema *row, const void *from,
			  FILE *out)
{
	char text[FR_UNITS_TEXT_LEN];

	(void)row;
	fprintf(out, "\"%s\"",
		fr_units_format_duration(
			*(const uint32_t *)from * FR_UNITS_NS_PER_S, text));
}

static void print_size(const struct fr_schema *row, const void *from, FILE *out)
{
	char text[FR_UNITS_TEXT_LEN];

	(void)row;
	fprintf(out, "\"%s\"",
		fr_units_format_bytes(*(const uint64_t *)from, text));
}

static void print_string(const struct fr_schema *row, const void *from,
			 FILE *out)
{
	(void)row;
	fr_hcl_write_string(*(char *const *)from, out);
}

static void print_choice(const struct fr_schema *row, const void *from,
			 FILE *out)
{
	fprintf(out, "\"%s\"", row->choices[*(const int *)from]);
}

static void print_address(const struct fr_schema *row, const void *from,
			  FILE *out)
{
	char text[FR_ADDRESS_TEXT_LEN];

	(void)row;
	fprintf(out, "\"%s\"", fr_address_format(from, text));
}

static void print_addresses(const struct fr_schema *row, const void *from,
			    FILE *out)
{
	const struct fr_config_addresses *list = from;
	size_t i;

	fputc('[', out);
	for (i = 0; i < list->n; i++) {
		fputs(i ? ", " : "", out);
		print_address(row, &list->v[i], out);
	}
	fputc(']', out);
}

static void print_protos(const struct fr_schema *row, const void *from,
			 FILE *out)
{
	const struct fr_config_protos *list = from;
	size_t i, j;

	fputc('[', out);
	for (i = 0; i < list->n; i++)
		for (j = 0; row->choices[j]; j++)
			if (fr_schema_protos[j] == list->v[i])
				fprintf(out, "%s\"%s\"", i ? ", " : "",
					row->choices[j]);
	fputc(']', out);
}

static void print_networks(const struct fr_schema *row, const void *from,
			   FILE *out)
{
	const struct fr_config_networks *list = from;
	char text[FR_ADDRESS_TEXT_LEN];
	size_t i;

	(void)row;
	fputc('[', out);
	for (i = 0; i < list->n; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "",
			fr_network_format(&list->v[i], text));
	fputc(']', out);
}

static void print_zones(const struct fr_schema *row, const void *from,
			FILE *out)
{
	const struct fr_config_zones *list = from;
	size_t i;

	(void)row;
	fputc('[', out);
	for (i = 0; i < list->n; i++)
		fprintf(out, "%s%u", i ? ", " : "", list->v[i]);
	fputc(']', out);
}

static void print_strings(const struct fr_schema *row, const void *from,
			  FILE *out)
{
	const struct fr_config_strings *list = from;
	size_t i;

	(void)row;
	fputc('[', out);
	for (i = 0; i < list->n; i++) {
		fputs(i ? ", " : "", out);
		fr_hcl_write_string(list->v[i], out);
	}
	fputc(']', out);
}

static void print_map(const struct fr_schema *row, const void *from, FILE *out)
{
	const struct fr_config_map *map = from;
	size_t i;

	(void)row;
	fputs(map->n ? "{ " : "{", out);
	for (i = 0; i < map->n; i++) {
		fputs(i ? ", " : "", out);
		fr_hcl_write_string(map->v[i].node_id, out);
		fprintf(out, " = %" PRIu32, map->v[i].number);
	}
	fputs(map->n ? " }" : "}", out);
}

static_assert(sizeof(struct fr_config_sets) == sizeof(struct fr_config_strings),
	      "sets are printed as strings");

/* Types without an entry are never bound, or have their own way. */
static print_fn *const printers[FR_SCHEMA_N_TYPES] = {
	[FR_SCHEMA_MAP] = print_map,
	[FR_SCHEMA_BOOL] = print_bool,
	[FR_SCHEMA_NUMBER] = print_number,
	[FR_SCHEMA_MASK] = print_mask,
	[FR_SCHEMA_OPTIONAL] = print_optional,
	[FR_SCHEMA_MARK] = print_mark,
	[FR_SCHEMA_DURATION] = print_duration,
	[FR_SCHEMA_SECONDS] = print_seconds,
	[FR_SCHEMA_SIZE] = print_size,
	[FR_SCHEMA_STRING] = print_string,
	[FR_SCHEMA_CHOICE] = print_choice,
	[FR_SCHEMA_NODE_ID] = print_string,
	[FR_SCHEMA_PATH] = print_string,
	[FR_SCHEMA_ADDRESS] = print_address,
	[FR_SCHEMA_ADDRESSES] = print_addresses,
	[FR_SCHEMA_PROTOS] = print_protos,
	[FR_SCHEMA_NETWORKS] = print_networks,
	[FR_SCHEMA_ZONES] = print_zones,
	[FR_SCHEMA_STRINGS] = print_strings,
	[FR_SCHEMA_SETS] = print_strings,
};

static bool is_absent(const struct fr_schema *row, const void *from)
{
	switch (row->type) {
	case FR_SCHEMA_STRING:
	case FR_SCHEMA_NODE_ID:
	case FR_SCHEMA_PATH:
	case FR_SCHEMA_SECRET:
		return !*(char *const *)from;
	case FR_SCHEMA_OPTIONAL:
		return !((const struct fr_config_number *)from)->is_set;
	case FR_SCHEMA_MARK:
		return !((const struct fr_config_mark *)from)->is_set;
	case FR_SCHEMA_ADDRESS:
		return !((const struct fr_address *)from)->sa_len;
	case FR_SCHEMA_SECRETS:
		return !((const struct fr_config_secrets *)from)->n;
	default:
		return false;
	}
}

static void indent(FILE *out, unsigned int depth)
{
	while (depth--)
		fputs("  ", out);
}

static void print_rows(const struct fr_schema *parent, const void *base,
		       unsigned int depth, FILE *out);

/* A list of sections, whatever these are */
struct sections {
	const char *v;
	size_t n;
};

static void print_sections(const struct fr_schema *row,
			   const struct sections *list, unsigned int depth,
			   FILE *out)
{
	size_t i;

	indent(out, depth);
	fprintf(out, "%s = [", fr_schema_name(row));
	for (i = 0; i < list->n; i++) {
		fputs(i ? ",\n" : "\n", out);
		indent(out, depth + 1);
		fputs("{\n", out);
		print_rows(row, list->v + i * row->element_len, depth + 2, out);
		indent(out, depth + 1);
		fputc('}', out);
	}
	if (list->n) {
		fputc('\n', out);
		indent(out, depth);
	}
	fputs("]\n", out);
}

/* The label comes first in each. */
static void print_labelled(const struct fr_schema *row,
			   const struct sections *list, unsigned int depth,
			   FILE *out)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		const char *section = list->v + i * row->element_len;
		const char *label;

		memcpy(&label, section, sizeof(label));
		fputc('\n', out);
		indent(out, depth);
		fprintf(out, "%s ", fr_schema_name(row));
		fr_hcl_write_string(label, out);
		fputs(" {\n", out);
		print_rows(row, section, depth + 1, out);
		indent(out, depth);
		fputs("}\n", out);
	}
}

static bool has_bound_rows(const struct fr_schema *section)
{
	const struct fr_schema *rows;
	size_t n, i;

	rows = fr_schema_rows(&n);
	for (i = 0; i < n; i++)
		if (fr_schema_is_child(section, &rows[i]) &&
		    rows[i].offset != FR_SCHEMA_UNBOUND)
			return true;
	return false;
}

static void print_row(const struct fr_schema *row, const void *base,
		      unsigned int depth, FILE *out)
{
	const void *from = (const char *)base +
			   (row->offset == FR_SCHEMA_UNBOUND ? 0 : row->offset);

	if (row->type == FR_SCHEMA_SECTION) {
		if (!has_bound_rows(row))
			return;
		fputc('\n', out);
		indent(out, depth);
		fprintf(out, "%s {\n", fr_schema_name(row));
		print_rows(row, base, depth + 1, out);
		indent(out, depth);
		fputs("}\n", out);
		return;
	}
	if (row->offset == FR_SCHEMA_UNBOUND || is_absent(row, from))
		return;
	if (row->type == FR_SCHEMA_SECTIONS || row->type == FR_SCHEMA_LABELLED) {
		struct sections list;

		memcpy(&list, from, sizeof(list));
		if (row->type == FR_SCHEMA_SECTIONS)
			print_sections(row, &list, depth, out);
		else
			print_labelled(row, &list, depth, out);
		return;
	}
	indent(out, depth);
	if (row->type == FR_SCHEMA_SECRET) {
		fprintf(out, "# %s = <set, %zu bytes>\n", fr_schema_name(row),
			strlen(*(char *const *)from));
		return;
	}
	if (row->type == FR_SCHEMA_SECRETS) {
		fprintf(out, "# %s = <%zu of them>\n", fr_schema_name(row),
			((const struct fr_config_secrets *)from)->n);
		return;
	}
	fprintf(out, "%s = ", fr_schema_name(row));
	printers[row->type](row, from, out);
	fputc('\n', out);
}

static void print_rows(const struct fr_schema *parent, const void *base,
		       unsigned int depth, FILE *out)
{
	const struct fr_schema *rows;
	size_t n, i;

	rows = fr_schema_rows(&n);
	for (i = 0; i < n; i++)
		if (fr_schema_is_child(parent, &rows[i]))
			print_row(&rows[i], base, depth, out);
}

int fr_config_print(const struct fr_config *config, FILE *out)
{
	fputs("replication {\n", out);
	if (config->secret.len && !config->secret_key &&
	    !config->auth.secret_key)
		fprintf(out, "  # secret from %s: <set, %zu bytes>\n",
			config->secret_origin, config->secret.len);
	print_rows(NULL, config, 1, out);
	fputs("}\n", out);
	return fflush(out) || ferror(out) ? -EIO : 0;
}

/* The row as text; the caller frees it. NULL: no memory. */
static char *row_text(const struct fr_schema *row,
		      const struct fr_config *config)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	print_row(row, config, 0, out);
	fclose(out);
	return text;
}

int fr_config_reload_check(const struct fr_config *running,
			   const struct fr_config *next, struct fr_diag *diag)
{
	size_t n_before = diag->n[FR_DIAG_ERROR], n, i;
	const struct fr_schema *rows;
	struct fr_diag_pos nowhere = { 0 };

	rows = fr_schema_rows(&n);
	for (i = 0; i < n; i++) {
		const struct fr_schema *row = &rows[i];
		char *before, *after;

		if (row->offset == FR_SCHEMA_UNBOUND ||
		    row->flags & FR_SCHEMA_RELOADABLE ||
		    !strncmp(row->path, "peers.", 6))
			continue;
		before = row_text(row, running);
		after = row_text(row, next);
		if (!before || !after || strcmp(before, after))
			fr_diag_error(diag, nowhere,
				      "%s changed: that needs a restart",
				      row->path);
		free(before);
		free(after);
	}
	/* Which files is a matter of a reload, whether any is not. */
	if (!running->transport.tls.cert_file != !next->transport.tls.cert_file)
		fr_diag_error(diag, nowhere,
			      "transport.tls changed: that needs a restart");
	return diag->n[FR_DIAG_ERROR] == n_before ? 0 : -EINVAL;
}
