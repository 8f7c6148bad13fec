// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A batch of versioned items, whose table is in the first byte; then what a peer sent. Whatever is
 * accepted passes the check, has a key that gives its key back, an item, a digest and a text, and
 * survives being encoded and decoded once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "slot.h"

#define N_MAX 64
#define ROOM (4 * FR_SLOT_ROOM)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct fr_siphash_key hash_key = { "fuzz" };

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static void take(const struct fr_table *t, const struct fr_slot *s)
{
	static uint64_t back[FR_RECORD_KEY_ROOM / 8 + 16], item[FR_ITEM_ROOM / 8 + 1];
	uint8_t key[FR_KEY_MAX_LEN], again[FR_KEY_MAX_LEN];
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	unsigned int key_len = t->key(key, s);
	const char *why;
	json_t *obj;

	must(t->check(s, &why) == 0);
	must(t->from_key(back, key, key_len) == 0);
	must(t->key(again, back) == key_len && !memcmp(key, again, key_len));
	must(fr_slot_saw(s, saw) == s->n_saw);
	fr_slot_item(item, s);
	must(fr_table_by_id(t->id)->check(item, &why) == 0);
	obj = t->to_json(s);
	must(!!obj);
	json_decref(obj);
	t->digest(s, &hash_key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint64_t recs[ROOM / 8], again[ROOM / 8];
	static uint8_t wire[ROOM];
	const struct fr_table *t;
	const void *rec = recs;
	struct fr_reader r;
	struct fr_writer w;
	size_t n, n_again, i;
	int err;

	if (!len)
		return 0;
	t = fr_slot_table(FLYREP_TABLE_LEASE + data[0] % 6);
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
	must(n_again == n &&
	     !memcmp(recs, again, (size_t)((const uint8_t *)rec - (const uint8_t *)recs)));
	return 0;
}
