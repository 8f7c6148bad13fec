// SPDX-License-Identifier: GPL-2.0-or-later
/* Slots: what is refused, what the digest covers, and that any batch comes back as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slot.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define BATCH_LEN (1u << 20)

static const struct fr_siphash_key hash_key = { "slots" };
static const uint8_t dns_key[] = "\0\0\0\1a\0\1A\0\1x";
static const uint8_t dns_value[] = "\0\1\7";
#define KEY_LEN (sizeof(dns_key) - 1)
#define VALUE_LEN (sizeof(dns_value) - 1)

static const struct fr_table *dns(void)
{
	return fr_slot_table(FLYREP_TABLE_DNS);
}

static struct fr_slot *plain(void *room)
{
	static const struct fr_slot_saw saw[] = { { 5, 0, 2, "n2" }, { 9, FR_SLOT_SAW_F_LOST, 2, "n3" } };
	struct fr_slot head = {
		.rec.op = FLYREP_OP_UPDATE,
		.key_len = KEY_LEN,
		.value_len = VALUE_LEN,
		.expires_ms = 1000,
		.version = 77,
	};

	assert_true(fr_slot_pack(room, &head, dns_key, dns_value, saw, 2) > 0);
	return room;
}

static void test_a_slot_has_its_parts(void **state)
{
	uint64_t room[FR_SLOT_ROOM / 8 + 1], item[FR_ITEM_ROOM / 8 + 1];
	struct fr_slot *s = plain(room);
	struct flyrep_item *it = (struct flyrep_item *)item;
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	const char *why;
	json_t *obj;

	(void)state;
	assert_int_equal(dns()->check(s, &why), 0);
	assert_int_equal(fr_slot_saw(s, saw), 2);
	assert_int_equal(saw[1].version, 9);
	assert_memory_equal(saw[1].node, "n3", 2);
	assert_int_equal(saw[1].flags, FR_SLOT_SAW_F_LOST);
	fr_slot_item(item, s);
	assert_int_equal(fr_table_by_id(FLYREP_TABLE_DNS)->check(it, &why), 0);
	assert_int_equal(it->expires_ms, 1000);
	obj = dns()->to_json(s);
	assert_string_equal(json_string_value(json_object_get(obj, "name")), "a");
	assert_int_equal(json_integer_value(json_object_get(obj, "version")), 77);
	assert_int_equal(json_array_size(json_object_get(obj, "replaces")), 2);
	json_decref(obj);
	assert_null(fr_slot_table(FLYREP_TABLE_CONNTRACK));
	assert_null(fr_slot_table(FLYREP_TABLE_EXPECTATION));
	assert_null(fr_slot_table(200));
}

static void refused(struct fr_slot *s, const char *want)
{
	const char *why = "";

	assert_int_equal(dns()->check(s, &why), -EINVAL);
	assert_string_equal(why, want);
}

static void test_bad_slots_are_refused(void **state)
{
	uint64_t room[FR_SLOT_ROOM / 8 + 1];
	struct fr_slot *s;
	uint8_t *saw;

	(void)state;
#define BAD(change, why) (s = plain(room), (change), refused(s, why))
	BAD(s->rec.op = 0, "no such operation");
	BAD(s->rec.op = 4, "no such operation");
	BAD(s->flags = 2, "reserved bits are set");
	BAD(s->key_len = 0, "its length is wrong");
	BAD(s->value_len = FLYREP_ITEM_VALUE_MAX_LEN + 1, "its length is wrong");
	BAD(s->flags = FR_SLOT_F_TOMBSTONE, "what is deleted has a value");
	BAD(s->version = 0, "its version is out of range");
	BAD(s->version = 1ull << 63, "its version is out of range");
	BAD(s->decided = 1ull << 63, "its version is out of range");
	BAD(s->n_saw = 3, "what it replaces is malformed");
	BAD(s->n_saw = 1, "what it replaces has bytes behind it");
	BAD(s->n_saw = 65, "it replaces too many slots");
#undef BAD
	saw = (uint8_t *)(plain(room) + 1) + KEY_LEN + VALUE_LEN;
	saw[8] = 2;
	refused((void *)room, "what it replaces is malformed");
	plain(room);
	saw[11] = '9';
	refused((void *)room, "what it replaces is out of order");
	plain(room);
	saw[10] = '/';
	refused((void *)room, "what it replaces is malformed");
	plain(room);
	memset(saw, 0, 8);
	refused((void *)room, "what it replaces is malformed");
}

/* Two nodes must agree in all of it. */
static void test_the_digest_covers_all(void **state)
{
	uint64_t room[FR_SLOT_ROOM / 8 + 1], seen[64];
	struct fr_slot *s;
	size_t i, k, n = 0;

	(void)state;
	seen[n++] = dns()->digest(plain(room), &hash_key);
#define CHANGED(change) \
	(s = plain(room), (change), seen[n++] = dns()->digest(s, &hash_key))
	CHANGED(s->expires_ms = 1001);
	CHANGED(s->version = 78);
	CHANGED(s->decided = 1);
	CHANGED(s->flags = FR_SLOT_F_TOMBSTONE);
	CHANGED(s->key_len = KEY_LEN + 1);
#undef CHANGED
	for (i = 0; i < KEY_LEN + VALUE_LEN + 24; i++) {
		s = plain(room);
		((uint8_t *)(s + 1))[i] ^= 1;
		if (n < N_OF(seen))
			seen[n++] = dns()->digest(s, &hash_key);
	}
	for (i = 0; i < n; i++)
		for (k = 0; k < i; k++)
			assert_true(seen[i] != seen[k]);
	/* Head and record fields are the node's own. */
	s = plain(room);
	s->rec.stamp = 5;
	assert_true(dns()->digest(s, &hash_key) == seen[0]);
}

/* --- any batch ---------------------------------------------------------- */

static unsigned int roll(unsigned int *seed, unsigned int n)
{
	return (unsigned int)rand_r(seed) % n;
}

static uint64_t number(unsigned int *seed, unsigned int bits)
{
	uint64_t n = (uint64_t)rand_r(seed) << 32 ^ (uint64_t)rand_r(seed) << 8;

	return (n & ((1ull << roll(seed, bits)) - 1)) + 1;
}

static size_t make_any(void *room, unsigned int *seed)
{
	static const char *const nodes[] = { "a", "a.b", "b", "node-1", "node-10", "z_z" };
	struct fr_slot head = { .rec.op = (uint8_t)(1 + roll(seed, 3)), .key_len = KEY_LEN };
	struct fr_slot_saw saw[N_OF(nodes)];
	bool is_delete = head.rec.op == FLYREP_OP_DELETE;
	size_t n = 0, i;
	ssize_t len;

	for (i = 0; !is_delete && i < N_OF(nodes); i++)
		if (!roll(seed, 3))
			saw[n++] = (struct fr_slot_saw){ number(seed, 63), (uint8_t)roll(seed, 2),
							 (uint8_t)strlen(nodes[i]), nodes[i] };
	if (!is_delete) {
		head.version = number(seed, 63);
		head.flags = roll(seed, 4) ? 0 : FR_SLOT_F_TOMBSTONE;
	}
	if (!is_delete && !head.flags) {
		head.value_len = roll(seed, 2) ? VALUE_LEN : 0;
		head.expires_ms = roll(seed, 2) ? number(seed, 60) : 0;
		head.decided = roll(seed, 3) ? 0 : number(seed, 63);
	}
	len = fr_slot_pack(room, &head, dns_key, dns_value, saw, n);
	assert_true(len > 0);
	return (size_t)len;
}

static void test_any_batch_comes_back(void **state)
{
	static uint64_t recs[BATCH_LEN / 8], back[BATCH_LEN / 8];
	static uint8_t wire[BATCH_LEN];
	unsigned int seed = 1, round;
	struct fr_reader r;
	struct fr_writer w;
	size_t len, n, n_back, i, cut;

	(void)state;
	for (round = 0; round < 300; round++) {
		n = roll(&seed, 40);
		for (len = i = 0; i < n; i++)
			len += make_any((uint8_t *)recs + len, &seed);
		fr_writer_init(&w, wire, sizeof(wire));
		assert_int_equal(dns()->encode(&w, recs, n), 0);
		assert_true(fr_writer_len(&w) <= len + 10);
		fr_reader_init(&r, wire, fr_writer_len(&w));
		assert_int_equal(dns()->decode(&r, back, sizeof(back), 40, &n_back), 0);
		assert_int_equal(fr_reader_left(&r), 0);
		assert_int_equal(n_back, n);
		assert_memory_equal(recs, back, len ? len : 1);
		/* A batch that was cut off is none; nor is one without room. */
		cut = roll(&seed, (unsigned int)fr_writer_len(&w));
		fr_reader_init(&r, wire, cut);
		assert_int_equal(dns()->decode(&r, back, sizeof(back), 40, &n_back), -EBADMSG);
		fr_reader_init(&r, wire, fr_writer_len(&w));
		if (n)
			assert_int_equal(dns()->decode(&r, back, len - 8, 40, &n_back), -EBADMSG);
		fr_writer_init(&w, wire, fr_writer_len(&w) - 1);
		assert_int_equal(dns()->encode(&w, recs, n), -ENOSPC);
	}
}

static void test_the_longest_fits(void **state)
{
	static uint64_t room[FR_SLOT_ROOM / 8 + 1], back[FR_SLOT_ROOM / 8 + 1];
	static uint8_t key[FLYREP_ITEM_KEY_MAX_LEN], value[FLYREP_ITEM_VALUE_MAX_LEN];
	static uint8_t wire[FR_SLOT_ROOM + 64];
	static char names[FR_SLOT_SAW_MAX][FR_SLOT_NODE_MAX + 1];
	struct fr_slot head = { .rec.op = FLYREP_OP_INSERT, .key_len = sizeof(key),
				.value_len = sizeof(value), .version = 1 };
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	struct fr_reader r;
	struct fr_writer w;
	const char *why;
	size_t i, n;

	(void)state;
	/* config: one field of key, then schema of the value: the longest fields there are */
	memset(key, 'k', sizeof(key));
	key[0] = (sizeof(key) - 2) >> 8;
	key[1] = (sizeof(key) - 2) & 0xff;
	value[0] = (sizeof(value) - 2) >> 8;
	value[1] = (sizeof(value) - 2) & 0xff;
	for (i = 0; i < FR_SLOT_SAW_MAX; i++) {
		memset(names[i], 'x', FR_SLOT_NODE_MAX);
		snprintf(names[i], 4, "%03zu", i);
		names[i][3] = 'x';
		saw[i] = (struct fr_slot_saw){ 1 + i, 0, FR_SLOT_NODE_MAX, names[i] };
	}
	assert_true(fr_slot_pack(room, &head, key, value, saw, FR_SLOT_SAW_MAX) > 0);
	assert_int_equal(fr_slot_table(FLYREP_TABLE_CONFIG)->check(room, &why), 0);
	fr_writer_init(&w, wire, sizeof(wire));
	assert_int_equal(fr_slot_table(FLYREP_TABLE_CONFIG)->encode(&w, room, 1), 0);
	fr_reader_init(&r, wire, fr_writer_len(&w));
	assert_int_equal(fr_slot_table(FLYREP_TABLE_CONFIG)->decode(&r, back, sizeof(back), 1, &n), 0);
	assert_memory_equal(room, back, fr_record_len(fr_slot_table(FLYREP_TABLE_CONFIG), room));
	head.key_len++;
	assert_int_equal(fr_slot_pack(room, &head, key, value, saw, 1), -EMSGSIZE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_slot_has_its_parts),
		cmocka_unit_test(test_bad_slots_are_refused),
		cmocka_unit_test(test_the_digest_covers_all),
		cmocka_unit_test(test_any_batch_comes_back),
		cmocka_unit_test(test_the_longest_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
