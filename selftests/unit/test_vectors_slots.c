// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The golden vectors of batches of versioned items hold their bytes.
 *
 * With --write they are written anew, and the seeds of fuzz_slots. A difference in an old vector
 * is another wire version.
 */
#include "vectors.h"

#include "slot.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define RECS_MAX 4
#define RECS_LEN 4096

static const struct fr_siphash_key hash_key = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };

struct made {
	uint8_t op; /* 0: no more */
	const char *texts[FR_ITEM_FIELDS_MAX];
	uint64_t expires_ms, version, decided;
	bool is_tombstone;
	struct fr_slot_saw saw[3]; /* ends without a node */
};

struct batch {
	const char *name, *about;
	uint8_t table;
	struct made slots[RECS_MAX];
};

static const struct batch batches[] = {
	{ "slots-empty", "no record at all", FLYREP_TABLE_DNS, { { 0 } } },
	{ "slots-lease",
	  "a first write; one that replaces two, of which one lost; a tombstone; a removal",
	  FLYREP_TABLE_LEASE,
	  { { .op = FLYREP_OP_INSERT,
	      .texts = { "lan", "00:1b:21:3c:4d:5e", NULL, "192.0.2.7", "active", "laptop" },
	      .expires_ms = 1700003600000,
	      .version = 0x018bcfe568000000 },
	    { .op = FLYREP_OP_UPDATE,
	      .texts = { "lan", "00:1b:21:3c:4d:5f", NULL, "192.0.2.8" },
	      .version = 0x018bcfe568010003,
	      .saw = { { 0x018bcfe568000001, 0, 5, "node2" },
		       { 0x018bcfe568000002, FR_SLOT_SAW_F_LOST, 5, "node3" } } },
	    { .op = FLYREP_OP_UPDATE,
	      .texts = { "lan", "00:1b:21:3c:4d:60" },
	      .version = 0x018bcfe568020000,
	      .is_tombstone = true,
	      .saw = { { 0x018bcfe568000001, 0, 5, "node3" } } },
	    { .op = FLYREP_OP_DELETE, .texts = { "lan", "00:1b:21:3c:4d:61" } } } },
	{ "slots-learning",
	  "what one node counted, and when it last decided",
	  FLYREP_TABLE_LEARNING,
	  { { .op = FLYREP_OP_UPDATE,
	      .texts = { "00:1b:21:3c:4d:5e", "tcp", "443", "allow", NULL, "1700000000",
			 "1700000100", "17" },
	      .version = 0x018bcfe568030000,
	      .decided = 0x018bcfe568010000 } } },
	{ "slots-element",
	  "an element whose end packets of this node have put off, and one that was deleted",
	  FLYREP_TABLE_NFT_SET,
	  { { .op = FLYREP_OP_UPDATE,
	      .texts = { "inet", "filter", "blocked", "c0:00:02:07", NULL, NULL, "3600000" },
	      .expires_ms = 1700003600000,
	      .version = 0x018bcfe568040000,
	      .saw = { { 0x018bcfe568000001, 0, 5, "node2" } } },
	    { .op = FLYREP_OP_UPDATE,
	      .texts = { "inet", "filter", "blocked", "c0:00:02:08" },
	      .version = 0x018bcfe568050000,
	      .is_tombstone = true } } },
};

static size_t make_slot(void *room, uint8_t table, const struct made *m)
{
	uint64_t item[FR_ITEM_ROOM / 8 + 1];
	const struct flyrep_item *it = (const struct flyrep_item *)item;
	struct fr_slot head = { .rec.op = m->op, .version = m->version, .decided = m->decided,
				.flags = m->is_tombstone ? FR_SLOT_F_TOMBSTONE : 0 };
	size_t n = 0;
	ssize_t len;
	char *why;

	len = fr_item_make(item, table, m->is_tombstone ? FLYREP_OP_DELETE : m->op, m->texts,
			   m->expires_ms, &why);
	if (len < 0)
		abort();
	head.key_len = it->key_len;
	head.value_len = it->value_len;
	head.expires_ms = it->expires_ms;
	while (n < N_OF(m->saw) && m->saw[n].node)
		n++;
	len = fr_slot_pack(room, &head, it + 1, (const uint8_t *)(it + 1) + it->key_len, m->saw, n);
	if (len < 0)
		abort();
	return (size_t)len;
}

static size_t make_slots(void *recs, size_t *len, const struct batch *b)
{
	size_t n;

	for (n = *len = 0; n < RECS_MAX && b->slots[n].op; n++)
		*len += make_slot((uint8_t *)recs + *len, b->table, &b->slots[n]);
	return n;
}

static size_t encode(uint8_t *buf, size_t size, const struct batch *b, const void *recs, size_t n)
{
	struct fr_writer w;

	fr_writer_init(&w, buf, size);
	if (fr_slot_table(b->table)->encode(&w, recs, n))
		abort();
	return fr_writer_len(&w);
}

static void write_batches(FILE *out)
{
	uint64_t recs[FR_SLOT_ROOM / 8 * 2];
	uint8_t buf[RECS_LEN];
	size_t i, k, n, len;

	fprintf(out, "# Batches of versioned items. What they mean: docs/protocol.md\n"
		     "# Written by build/unit/test_vectors_slots --write\n");
	for (i = 0; i < N_OF(batches); i++) {
		const struct fr_table *t = fr_slot_table(batches[i].table);
		const void *rec = recs;

		n = make_slots(recs, &len, &batches[i]);
		fprintf(out, "\n== %s: %s\n", batches[i].name, batches[i].about);
		for (k = 0; k < n; k++, rec = fr_record_next(t, rec)) {
			json_t *obj = t->to_json(rec);
			char *text = json_dumps(obj, JSON_COMPACT | JSON_SORT_KEYS);

			fprintf(out, "record  %s\n", text);
			fprintf(out, "digest  %016lx\n", t->digest(rec, &hash_key));
			free(text);
			json_decref(obj);
		}
		put_hex(out, "batch", buf, encode(buf, sizeof(buf), &batches[i], recs, n));
	}
}

static const struct vectors vectors = { VECTORS "slots.txt", write_batches };

static void the_encoder_writes_the_vectors(void **state)
{
	(void)state;
	assert_file_is_current(&vectors);
}

static void batches_are_read_back(void **state)
{
	static uint64_t recs[FR_SLOT_ROOM / 4], want[FR_SLOT_ROOM / 4];
	char *text = file_read(vectors.path);
	struct fr_reader r;
	size_t i, n, len, bytes_len;

	(void)state;
	for (i = 0; i < N_OF(batches); i++) {
		const char *pos = section(text, batches[i].name);
		uint8_t *bytes = bytes_next(&pos, "batch", &bytes_len);
		const struct fr_table *t = fr_slot_table(batches[i].table);

		fr_reader_init(&r, bytes, bytes_len);
		assert_int_equal(t->decode(&r, recs, sizeof(recs), RECS_MAX, &n), 0);
		assert_int_equal(fr_reader_left(&r), 0);
		assert_int_equal(n, make_slots(want, &len, &batches[i]));
		assert_memory_equal(recs, want, len ? len : 1);
		free(bytes);
	}
	free(text);
}

/* fuzz_slots: the table in the first byte */
static int seeds_of_batches(void)
{
	static uint64_t recs[FR_SLOT_ROOM / 4];
	uint8_t buf[1 + RECS_LEN];
	size_t i, n, len;
	int bad = 0;

	for (i = 0; i < N_OF(batches); i++) {
		n = make_slots(recs, &len, &batches[i]);
		buf[0] = batches[i].table - FLYREP_TABLE_LEASE;
		len = encode(buf + 1, RECS_LEN, &batches[i], recs, n);
		bad |= seed_write("slots", batches[i].name, buf, 1 + len);
	}
	return bad;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_encoder_writes_the_vectors),
		cmocka_unit_test(batches_are_read_back),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return vectors_write(&vectors) | seeds_of_batches();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
