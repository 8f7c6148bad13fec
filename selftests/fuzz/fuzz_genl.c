// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a kernel may send during a dump: the command in the first byte, then
 * datagrams behind their length (16 bits, little endian). The sink hears things
 * in an order that makes sense, whatever comes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "genl_dump.h"
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct heard {
	int n_begin, n_end, n_drained;
	uint8_t sum;
};

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static void sum(struct heard *h, const uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		h->sum += bytes[i];
}

static void on_records(void *cookie, uint8_t table, const void *recs,
		       size_t n)
{
	const struct fr_table *t = fr_table_by_id(table);
	struct heard *h = cookie;

	must(t && n);
	must((uintptr_t)recs % 8 == 0);
	must(!h->n_end && !h->n_drained);
	for (; n; n--, recs = fr_record_next(t, recs))
		sum(h, recs, fr_record_len(t, recs));
}

static void on_hints(void *cookie, const struct flyrep_hint *hints, size_t len)
{
	const uint8_t *end = (const uint8_t *)hints + len;
	struct heard *h = cookie;

	must(len && (uintptr_t)hints % 8 == 0);
	must(!h->n_drained);
	for (; (const uint8_t *)hints < end; hints = fr_genl_hint_next(hints)) {
		must(hints->key_len <= FLYREP_HINT_KEY_MAX_LEN);
		sum(h, fr_genl_hint_key(hints), hints->key_len);
	}
	must((const uint8_t *)hints == end);
}

static void on_begin(void *cookie, uint8_t table, uint64_t stamp,
		     const uint8_t *buckets)
{
	struct heard *h = cookie;

	(void)table;
	(void)stamp;
	must(!h->n_begin++ && !h->n_end);
	if (buckets)
		sum(h, buckets, FLYREP_BUCKETS_LEN);
}

static void on_end(void *cookie, uint8_t table, uint64_t stamp)
{
	struct heard *h = cookie;

	(void)table;
	(void)stamp;
	must(h->n_begin == 1 && !h->n_end++);
}

static void on_dirty(void *cookie, uint8_t table, uint32_t n,
		     const uint8_t *buckets)
{
	struct heard *h = cookie;

	must(fr_table_by_id(table) && n && !h->n_drained);
	if (buckets)
		sum(h, buckets, FLYREP_BUCKETS_LEN);
}

static void on_drained(void *cookie, uint64_t stamp)
{
	struct heard *h = cookie;

	(void)stamp;
	must(!h->n_drained++);
}

static void on_wake(void *cookie)
{
	(void)cookie;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct fr_genl_sink sink = { on_records, on_hints, on_begin, on_end,
						  on_dirty, on_drained, on_wake };
	struct fr_genl_dump d = { .family = 0x25 };
	struct heard heard = { 0 };
	const uint8_t *end = data + len;
	char text[32];
	int err = 0;

	if (!len)
		return 0;
	if (*data == FLYREP_CMD_DRAIN)
		fr_genl_dump_begin(&d, *data, FLYREP_TABLE_UNSPEC, 77);
	else if (*data == FLYREP_CMD_SNAPSHOT)
		fr_genl_dump_begin(&d, *data, FLYREP_TABLE_CONNTRACK, 77);
	data++;
	while (end - data >= 2 && err >= 0) {
		size_t n = (size_t)(data[0] | data[1] << 8);
		uint8_t *exact;

		data += 2;
		if (n > (size_t)(end - data))
			n = (size_t)(end - data);
		exact = malloc(n ? n : 1);
		must(!!exact);
		memcpy(exact, data, n);
		data += n;
		err = fr_genl_dump_take(&d, exact, n, &sink, &heard, text,
					sizeof(text));
		must(err <= 1 && (err == 1) == (err >= 0 && d.cmd));
		must(strlen(text) < sizeof(text));
		free(exact);
	}
	__asm__ volatile("" : : "r"(heard.sum));
	fr_genl_dump_free(&d);
	return 0;
}
