// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records as the kernel hands them out: the size of the fixed part in the first byte, then
 * records. What passes the check has a key that gives its key fields
 * back, a digest, a text, and travels as a batch of one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack.h"

#define N_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct fr_siphash_key hash_key = { "fuzz" };

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static void travel(const struct fr_table *t, const struct flyrep_ct *ct)
{
	struct {
		struct flyrep_ct ct;
		struct flyrep_ct_ext tail;
	} back;
	struct fr_reader r;
	struct fr_writer w;
	uint8_t buf[512];
	size_t n;

	fr_writer_init(&w, buf, sizeof(buf));
	must(t->encode(&w, ct, 1) == 0);
	fr_reader_init(&r, buf, fr_writer_len(&w));
	must(t->decode(&r, &back, sizeof(back), 1, &n) == 0 && n == 1);
	must(back.ct.rec.op == ct->rec.op);
	if (ct->rec.op != FLYREP_OP_DELETE)
		must(t->digest(&back, &hash_key) == t->digest(ct, &hash_key));
}

static void take(const struct fr_table *t, const struct flyrep_ct *ct)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	uint8_t again[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct flyrep_ct back = { 0 };
	const char *why = NULL;
	unsigned int key_len;
	json_t *obj;

	/* A person may look at anything. */
	obj = t->to_json(ct);
	must(!!obj);
	json_decref(obj);
	if (t->check(ct, &why)) {
		must(why && *why);
		return;
	}
	key_len = t->key(key, ct);
	must(t->from_key(&back, key, key_len) == 0);
	must(t->key(again, &back) == key_len);
	must(!memcmp(key, again, key_len));
	must(back.family == ct->family && back.proto == ct->proto);
	must(!memcmp(&back.orig, &ct->orig, sizeof(ct->orig)));
	travel(t, ct);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t recs[N_MAX * sizeof(struct flyrep_ct) + 65536] __attribute__((aligned(8)));
	const struct fr_table *t = fr_table_by_id(FLYREP_TABLE_CONNTRACK);
	struct flyrep_ct from_key = { 0 };
	const void *rec = recs;
	size_t src_len;
	ssize_t n;

	if (!len || data[0] < sizeof(struct flyrep_rec) || len > 65536)
		return 0;
	src_len = data[0];
	n = fr_records_count(data + 1, len - 1, src_len);
	if (n > N_MAX)
		return 0;
	if (n > 0)
		must(fr_records_resize(t, recs, data + 1, src_len, n) == len - 1);
	for (; n > 0; n--, rec = fr_record_next(t, rec))
		take(t, rec);
	/* Any bytes as a key: refused, or a key. */
	if (t->from_key(&from_key, data + 1, len - 1) == 0)
		must(len - 1 == 16 || len - 1 == 40);
	return 0;
}
