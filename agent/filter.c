// SPDX-License-Identifier: GPL-2.0-or-later

#include "filter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "anonymize.h"
#include "expr.h"
#include "frame.h"
#include "item.h"
#include "log.h"
#include "sensitive.h"
#include "zone.h"

#define HELD_MAX 16	/* files that are named */
#define HELD_LEN 256

static_assert(FR_ITEM_FIELDS_MAX <= 32, "fields do not fit a mask");

struct condition {
	unsigned int table;
	struct fr_expr *expr;
};

/* A file of configuration that stays here */
struct held {
	char path[HELD_LEN];
	char text[HELD_LEN + 64 + FR_SENSITIVE_WORD_LEN];
};

struct filter {
	const struct fr_config *config;
	struct truth *const *truths;
	struct fr_anonymize *anonymize;		/* NULL: not wanted */
	size_t n_conditions;
	struct condition conditions[FR_CONFIG_FILTERS_MAX];
	bool is_filtered[FR_TABLES_MAX];	/* records of this table may not pass */
	uint32_t sensitive[FR_TABLES_MAX];	/* bitmap: fields that are left out */
	struct filter_counts counts[FR_TABLES_MAX];

	unsigned int n_held;
	bool is_over;				/* more are held than are named */
	struct held held[HELD_MAX];

	uint8_t texts[FLYREP_ITEM_KEY_MAX_LEN + FLYREP_ITEM_VALUE_MAX_LEN];
	uint8_t other[FR_ITEM_ROOM] __attribute__((aligned(8)));	/* what leaves instead */
	uint8_t gone[FR_RECORD_KEY_ROOM] __attribute__((aligned(8)));
};

/* --- life --------------------------------------------------------------- */

static int compile(struct filter *f)
{
	const struct fr_config_filters *list = &f->config->filters.custom_filters;
	struct fr_expr_error error;
	size_t i;

	for (i = 0; i < list->n; i++) {
		struct condition *c = &f->conditions[i];
		const char *text = list->v[i].condition;

		c->table = fr_config_filter_table(list->v[i].type);
		c->expr = fr_expr_compile(c->table, text, strlen(text), &error);
		if (!c->expr) {
			fr_err("filter: %s: character %u: %s", text, error.column, error.text);
			return -1;
		}
		f->n_conditions++;
		f->is_filtered[c->table] = true;
	}
	return 0;
}

/* Files are looked into; of other items of the module, fields are left out. */
static void find_sensitive(struct filter *f)
{
	const struct fr_item_field *fields;
	unsigned int table, i;

	f->is_filtered[FLYREP_TABLE_CONFIG] = true;
	for (table = FLYREP_TABLE_LEASE; table <= FLYREP_TABLE_METRIC; table++) {
		fields = fr_item_fields(table);
		for (i = 0; fields[i].name && table != FLYREP_TABLE_CONFIG; i++)
			if (!fields[i].is_key &&
			    fr_sensitive_field(fields[i].name, &f->config->filters.sensitive))
				f->sensitive[table] |= 1u << i;
	}
}

static int open_anonymize(struct filter *f)
{
	const struct fr_config_secret *secret = &f->config->secret;
	uint8_t key[FR_ANONYMIZE_KEY_LEN];

	if (!fr_anonymize_derive(secret->bytes, secret->len, key))
		f->anonymize = fr_anonymize_new(key);
	explicit_bzero(key, sizeof(key));
	if (f->anonymize)
		return 0;
	fr_err("filter: the crypto library refused a key for addresses");
	return -1;
}

struct filter *filter_new(const struct fr_config *config, struct truth *const *truths)
{
	struct filter *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return NULL;
	f->config = config;
	f->truths = truths;
	rc = compile(f);
	if (config->filters.zones.n)
		f->is_filtered[FLYREP_TABLE_LEASE] = f->is_filtered[FLYREP_TABLE_CONNTRACK] = true;
	if (config->filters.exclude_sensitive)
		find_sensitive(f);
	f->is_filtered[FLYREP_TABLE_EXPECTATION] = f->is_filtered[FLYREP_TABLE_CONNTRACK];
	if (!rc && config->transformations.anonymize_ips)
		rc = open_anonymize(f);
	if (!rc)
		return f;
	filter_free(f);
	return NULL;
}

void filter_free(struct filter *f)
{
	size_t i;

	if (!f)
		return;
	for (i = 0; i < f->n_conditions; i++)
		fr_expr_free(f->conditions[i].expr);
	fr_anonymize_free(f->anonymize);
	free(f);
}

void filter_inherit(struct filter *f, const struct filter *other)
{
	memcpy(f->counts, other->counts, sizeof(f->counts));
}

/* --- files that are held back ------------------------------------------- */

static struct held *find_held(struct filter *f, const char *path)
{
	unsigned int i;

	for (i = 0; i < f->n_held; i++)
		if (!strcmp(f->held[i].path, path))
			return &f->held[i];
	return NULL;
}

static void hold(struct filter *f, const char *path, unsigned int line, const char *word)
{
	struct held *h = find_held(f, path);
	bool is_new = !h;

	if (is_new && f->n_held == HELD_MAX) {
		f->is_over = true;
		return;
	}
	if (is_new)
		h = &f->held[f->n_held++];
	snprintf(h->path, sizeof(h->path), "%s", path);
	snprintf(h->text, sizeof(h->text), "%s, line %u: %s", path, line, word);
	if (is_new)
		fr_notice("filter: config %s is held back: filters.exclude_sensitive", h->text);
}

static void let_go(struct filter *f, const char *path)
{
	struct held *h = find_held(f, path);

	if (h)
		*h = f->held[--f->n_held];
}

static void copy_path(char path[HELD_LEN], const struct fr_item_bytes *field)
{
	snprintf(path, HELD_LEN, "%.*s", (int)field->len, (const char *)field->pos);
}

/* Does a file of configuration set nothing sensitive? */
static bool is_harmless(struct filter *f, const void *rec, bool is_own)
{
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX];
	const struct fr_item_bytes *bytes = &fields[FR_ITEM_CONFIG_BYTES];
	char path[HELD_LEN], word[FR_SENSITIVE_WORD_LEN];
	unsigned int line;

	if (!f->config->filters.exclude_sensitive)
		return true;
	if (fr_item_unpack(rec, FLYREP_TABLE_CONFIG, fields))
		return false;
	line = fr_sensitive_find(bytes->pos, bytes->len, &f->config->filters.sensitive, word);
	copy_path(path, &fields[FR_ITEM_CONFIG_PATH]);
	if (is_own && line)
		hold(f, path, line, word);
	else if (is_own)
		let_go(f, path);
	return !line;
}

/* --- what passes -------------------------------------------------------- */

static bool is_delete(const void *rec)
{
	return ((const struct flyrep_rec *)rec)->op == FLYREP_OP_DELETE;
}

static bool meets_conditions(struct filter *f, unsigned int table, const void *rec)
{
	bool is_missing, is_true = true;
	size_t i;

	for (i = 0; i < f->n_conditions && is_true; i++) {
		if (f->conditions[i].table != table)
			continue;
		is_missing = false;
		is_true = fr_expr_matches(f->conditions[i].expr, rec, &is_missing);
		f->counts[table].missing_value += is_missing;
	}
	return is_true;
}

/* Without its master a peer cannot take an expectation. */
static bool has_master(const struct filter *f, const struct flyrep_expect *e)
{
	struct truth *flows = f->truths[FLYREP_TABLE_CONNTRACK];
	struct flyrep_ct master = { .family = e->family, .proto = e->master_proto, .zone = e->zone,
				    .zone_dir = e->zone_dir, .orig = e->master };
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct index_entry entry;

	return !flows ||
	       index_find(truth_index(flows), key, flyrep_ct_key(key, &master), &entry);
}

static bool passes(struct filter *f, unsigned int table, const void *rec, bool is_own)
{
	if (!f->is_filtered[table])
		return true;
	return meets_conditions(f, table, rec) && fr_zone_admits(f->config, table, rec) &&
	       (table != FLYREP_TABLE_CONFIG || is_harmless(f, rec, is_own)) &&
	       (table != FLYREP_TABLE_EXPECTATION || !is_own || has_master(f, rec));
}

/* --- in which form ------------------------------------------------------ */

static bool is_anonymous(const struct filter *f, unsigned int table)
{
	return f->anonymize && (table == FLYREP_TABLE_LEARNING || table == FLYREP_TABLE_METRIC);
}

/* Other addresses in one text, in f->texts from @used on. Return: 1 if it has changed, 0, -errno */
static int anonymize(struct filter *f, struct fr_item_bytes *text, size_t *used)
{
	char *to = (char *)f->texts + *used;
	ssize_t len = fr_anonymize_text(f->anonymize, (const char *)text->pos, text->len, to,
					sizeof(f->texts) - *used);

	if (len < 0)
		return (int)len;
	if ((size_t)len == text->len && !memcmp(to, text->pos, text->len))
		return 0;
	*text = (struct fr_item_bytes){ (const uint8_t *)to, (size_t)len };
	*used += (size_t)len;
	return 1;
}

/* @fields as they may leave. Return: 1 if that changed any, 0, -errno */
static int rewrite_fields(struct filter *f, unsigned int table, struct fr_item_bytes *bytes)
{
	const struct fr_item_field *fields = fr_item_fields(table);
	bool is_reduced = false;
	int rc, changed = 0;
	size_t used = 0;
	unsigned int i;

	for (i = 0; fields[i].name; i++) {
		if (!bytes[i].len)
			continue;
		if (f->sensitive[table] >> i & 1) {
			bytes[i].len = 0;
			is_reduced = true;
		} else if (is_anonymous(f, table) && fields[i].type == FR_ITEM_STRING) {
			rc = anonymize(f, &bytes[i], &used);
			if (rc < 0)
				return rc;
			changed |= rc;
		}
	}
	f->counts[table].reduced += is_reduced;
	return changed | is_reduced;
}

/* A record as it may leave; NULL: it may not, as that does not fit or work. */
static const void *rewrite(struct filter *f, const struct fr_table *t, const void *rec)
{
	struct fr_item_bytes bytes[FR_ITEM_FIELDS_MAX];
	const struct flyrep_item *it = rec;
	struct flyrep_item *other = (struct flyrep_item *)(void *)f->other;
	uint16_t tail_len;
	int rc;

	if (!f->sensitive[t->id] && !is_anonymous(f, t->id))
		return rec;
	if (fr_item_unpack(rec, t->id, bytes))
		return NULL;
	rc = rewrite_fields(f, t->id, bytes);
	if (rc <= 0)
		return rc ? NULL : rec;
	if (fr_item_pack(other, t->id, it->rec.op, bytes, it->expires_ms) < 0)
		return NULL;
	tail_len = other->rec.tail_len;
	other->rec = it->rec;
	other->rec.tail_len = tail_len;
	return other;
}

/* The DELETE of its key, as that leaves */
static const void *withdraw(struct filter *f, const struct fr_table *t, const void *rec)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	unsigned int key_len = t->key(key, rec);
	const void *other;

	memset(f->gone, 0, sizeof(f->gone));
	if (t->from_key(f->gone, key, key_len) < 0)
		return NULL;
	((struct flyrep_rec *)(void *)f->gone)->op = FLYREP_OP_DELETE;
	((struct flyrep_rec *)(void *)f->gone)->stamp = ((const struct flyrep_rec *)rec)->stamp;
	other = rewrite(f, t, f->gone);
	return other ? other : f->gone;
}

const void *filter_pass(struct filter *f, const struct fr_table *t, const void *rec,
			bool *is_withdrawal)
{
	const void *other;
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX];
	char path[HELD_LEN];

	*is_withdrawal = false;
	if (is_delete(rec)) {
		if (f->n_held && t->id == FLYREP_TABLE_CONFIG &&
		    !fr_item_unpack(rec, t->id, fields)) {
			copy_path(path, &fields[FR_ITEM_CONFIG_PATH]);
			let_go(f, path);
		}
		other = rewrite(f, t, rec);
		return other ? other : rec;
	}
	other = passes(f, t->id, rec, true) ? rewrite(f, t, rec) : NULL;
	if (other)
		return other;
	f->counts[t->id].filtered++;
	*is_withdrawal = true;
	return withdraw(f, t, rec);
}

void filter_withdrew(struct filter *f, const struct fr_table *t)
{
	f->counts[t->id].withdrawn++;
}

/* Does a record of an item hold a field that this node leaves out? */
static bool has_sensitive(const struct filter *f, unsigned int table, const void *rec)
{
	struct fr_item_bytes bytes[FR_ITEM_FIELDS_MAX];
	unsigned int i;

	if (!f->sensitive[table])
		return false;
	if (fr_item_unpack(rec, table, bytes))
		return true;
	for (i = 0; fr_item_fields(table)[i].name; i++)
		if (f->sensitive[table] >> i & 1 && bytes[i].len)
			return true;
	return false;
}

bool filter_admits(struct filter *f, const struct fr_table *t, const void *rec)
{
	return is_delete(rec) ||
	       (passes(f, t->id, rec, false) && !has_sensitive(f, t->id, rec));
}

void filter_refused(struct filter *f, const struct fr_table *t)
{
	f->counts[t->id].refused++;
}

bool filter_moves_keys(const struct filter *f, const struct fr_table *t)
{
	return is_anonymous(f, t->id);
}

bool filter_follows(const struct filter *f, const struct fr_table *t)
{
	return t->id == FLYREP_TABLE_EXPECTATION && f->is_filtered[t->id];
}

const struct filter_counts *filter_counts(const struct filter *f, uint8_t table)
{
	return &f->counts[table];
}

const char *filter_held(const struct filter *f, unsigned int i)
{
	if (i < f->n_held)
		return f->held[i].text;
	return i == f->n_held && f->is_over ? "others" : NULL;
}
