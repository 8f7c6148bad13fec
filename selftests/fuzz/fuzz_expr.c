// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A condition, up to the first newline, on a table that the first byte names; then a batch of that
 * table, to each record of which it is put. A condition that is refused says where, in its text.
 */
#include <stdlib.h>
#include <string.h>

#include "expr.h"

#define N_MAX 64
#define ROOM (N_MAX * 2 * FR_ITEM_ROOM)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static bool get_nothing(void *cookie, const struct fr_field *f, struct fr_field_value *v)
{
	(void)cookie;
	(void)f;
	(void)v;
	return false;
}

static void count_field(void *cookie, const struct fr_field *f)
{
	must(!!f->name);
	++*(size_t *)cookie;
}

/* Whatever it is, it comes out the same twice, and its record is as it was. */
static void put(const struct fr_expr *e, const struct fr_table *t, const void *recs, size_t n)
{
	bool is_missing = false, is_missing_again = false, is_true;

	for (; n; n--, recs = fr_record_next(t, recs)) {
		if (((const struct flyrep_rec *)recs)->op == FLYREP_OP_DELETE)
			continue;
		is_true = fr_expr_matches(e, recs, &is_missing);
		must(fr_expr_matches(e, recs, &is_missing_again) == is_true);
		must(is_missing == is_missing_again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t tables[] = { FLYREP_TABLE_CONNTRACK, FLYREP_TABLE_LEASE,
					  FLYREP_TABLE_DNS,	  FLYREP_TABLE_LEARNING,
					  FLYREP_TABLE_CONFIG,	  FLYREP_TABLE_METRIC,
					  FLYREP_TABLE_NFT_SET };
	static uint8_t recs[ROOM] __attribute__((aligned(8)));
	const struct fr_table *t;
	struct fr_expr_error error;
	const uint8_t *line_end;
	struct fr_reader r;
	struct fr_expr *e;
	size_t text_len, n_fields = 0, n;
	bool is_missing = false;

	if (!len)
		return 0;
	t = fr_table_by_id(tables[data[0] % sizeof(tables)]);
	data++;
	len--;
	line_end = memchr(data, '\n', len);
	text_len = line_end ? (size_t)(line_end - data) : len;
	e = fr_expr_compile(t->id, (const char *)data, text_len, &error);
	if (!e) {
		must(error.column >= 1 && error.column <= text_len + 1 && error.text[0]);
		return 0;
	}
	fr_expr_fields(e, count_field, &n_fields);
	must(n_fields);
	fr_expr_eval(e, get_nothing, NULL, &is_missing);
	must(is_missing);
	if (line_end) {
		fr_reader_init(&r, line_end + 1, len - text_len - 1);
		if (!t->decode(&r, recs, sizeof(recs), N_MAX, &n))
			put(e, t, recs, n);
	}
	fr_expr_free(e);
	return 0;
}
