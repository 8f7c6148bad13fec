// SPDX-License-Identifier: GPL-2.0-or-later
#include "records.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "conntrack.h"
#include "expect.h"
#include "item.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Indexed by enum flyrep_table; a new id without its row here stops the build. */
static const struct fr_table *const tables[] = {
	[FLYREP_TABLE_CONNTRACK] = &fr_conntrack_table,
	[FLYREP_TABLE_LEASE] = &fr_lease_table,
	[FLYREP_TABLE_DNS] = &fr_dns_table,
	[FLYREP_TABLE_LEARNING] = &fr_learning_table,
	[FLYREP_TABLE_CONFIG] = &fr_config_table,
	[FLYREP_TABLE_METRIC] = &fr_metric_table,
	[FLYREP_TABLE_NFT_SET] = &fr_nft_set_table,
	[FLYREP_TABLE_EXPECTATION] = &fr_expect_table,
};

static_assert(N_OF(tables) == __FLYREP_TABLE_MAX, "a table id has no row");
static_assert(FLYREP_CT_KEY_MAX_LEN <= FR_KEY_MAX_LEN, "a key does not fit");

const struct fr_table *fr_table_by_id(unsigned int id)
{
	return id < N_OF(tables) ? tables[id] : NULL;
}

const struct fr_table *fr_table_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < N_OF(tables); i++)
		if (tables[i] && !strcmp(tables[i]->name, name))
			return tables[i];
	return NULL;
}

static size_t tail_len(const uint8_t *rec)
{
	uint16_t len;

	memcpy(&len, rec + offsetof(struct flyrep_rec, tail_len), sizeof(len));
	return len;
}

ssize_t fr_records_count(const void *recs, size_t len, size_t rec_len)
{
	const uint8_t *pos = recs;
	ssize_t n = 0;
	size_t step;

	for (; len; pos += step, len -= step, n++) {
		if (len < rec_len)
			return -EBADMSG;
		step = rec_len + tail_len(pos);
		if (step > len || step % 8)
			return -EBADMSG;
	}
	return n;
}

size_t fr_records_resize(const struct fr_table *table, void *dst, const void *src,
			 size_t src_len, size_t n)
{
	size_t rec_len = table->rec_len,
	       common = src_len < rec_len ? src_len : rec_len, tail;
	const uint8_t *from = src;
	uint8_t *to = dst;

	for (; n; n--) {
		tail = tail_len(from);
		memcpy(to, from, common);
		memset(to + common, 0, rec_len - common);
		memcpy(to + rec_len, from + src_len, tail);
		from += src_len + tail;
		to += rec_len + tail;
	}
	return (size_t)(from - (const uint8_t *)src);
}
