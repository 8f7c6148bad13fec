// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A batch of a table other than that of flows, which is in the first byte; then what a peer sent.
 * Whatever is accepted passes the check, has a key that gives its key back, a digest and a text, and
 * survives being encoded and decoded once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "item.h"

#define N_MAX 64
#define ROOM (N_MAX * 2 * FR_ITEM_ROOM)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct fr_siphash_key hash_key = { "fuzz" };

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static void take(const struct fr_table *t, const void *rec)
{
	static uint64_t back[FR_ITEM_ROOM / 8 + 1];
	uint8_t key[FR_KEY_MAX_LEN], again[FR_KEY_MAX_LEN];
	unsigned int key_len = t->key(key, rec);
	const char *why;
	json_t *obj;

	must(t->check(rec, &why) == 0);
	memset(back, 0, FR_RECORD_KEY_ROOM);
	must(t->from_key(back, key, key_len) == 0);
	must(t->key(again, back) == key_len && !memcmp(key, again, key_len));
	obj = t->to_json(rec);
	must(!!obj);
	json_decref(obj);
	t->digest(rec, &hash_key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t recs[ROOM] __attribute__((aligned(8))), again[ROOM] __attribute__((aligned(8)));
	static uint8_t wire[ROOM];
	const struct fr_table *t;
	const void *rec = recs;
	struct fr_reader r;
	struct fr_writer w;
	size_t n, n_again, i;
	int err;

	if (!len)
		return 0;
	t = fr_table_by_id(FLYREP_TABLE_LEASE + data[0] % (FLYREP_TABLE_MAX - 1));
	fr_reader_init(&r, data + 1, len - 1);
	err = t->decode(&r, recs, sizeof(recs), N_MAX, &n);
	must(err == 0 || err == -EBADMSG);
	if (err)
		return 0;
	for (i = 0; i < n; i++, rec = fr_record_next(t, rec))
		take(t, rec);
	fr_writer_init(&w, wire, sizeof(wire));
	must(t->encode(&w, recs, n) == 0);
	must(fr_writer_len(&w) <= len - 1 - fr_reader_left(&r));
	fr_reader_init(&r, wire, fr_writer_len(&w));
	must(t->decode(&r, again, sizeof(again), N_MAX, &n_again) == 0);
	must(n_again == n && !memcmp(recs, again, (size_t)((const uint8_t *)rec - recs)));
	return 0;
}
