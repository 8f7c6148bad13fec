// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Items: from texts to a record and back, what is refused, how they travel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "item.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct fr_siphash_key hash_key = { "0123456789abcdef" };

/* A record in memory that ends where the record ends, so that ASan sees all. */
static void *make(unsigned int table, uint8_t op, const char *const *texts,
		  uint64_t expires_ms)
{
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	char *why = NULL;
	ssize_t len = fr_item_make(room, table, op, texts, expires_ms, &why);
	void *rec;

	assert_null(why);
	assert_true(len > 0);
	rec = malloc((size_t)len);
	assert_non_null(rec);
	memcpy(rec, room, (size_t)len);
	assert_int_equal(fr_record_len(fr_table_by_id(table), rec), len);
	return rec;
}

static const char *const a_lease[FR_ITEM_FIELDS_MAX] = {
	"lan", "00:1b:21:3c:4d:5e", "7", "2001:db8:1::/48", "active", "tv", NULL, NULL, "1700000000",
};

static const char *const a_record[FR_ITEM_FIELDS_MAX] = { "", "www", "A",
							  "192.0.2.1", "0" };

static const char *const a_config[FR_ITEM_FIELDS_MAX] = { "fw/rules", "ab01",  NULL,
							  "admin",    NULL, "hex:00ff" };

static void what_was_written_is_read(void **state)
{
	void *rec = make(FLYREP_TABLE_LEASE, FLYREP_OP_INSERT, a_lease, 42000);
	json_t *got = fr_lease_table.to_json(rec), *want;

	(void)state;
	want = json_loads("{\"table\": \"lease\", \"op\": \"insert\", \"origin\": \"local\","
			  "\"id\": 0, \"stamp\": 0, \"age_us\": 0, \"scope\": \"lan\","
			  "\"client\": \"00:1b:21:3c:4d:5e\", \"iaid\": 7,"
			  "\"ip\": \"2001:db8:1::/48\", \"state\": \"active\","
			  "\"hostname\": \"tv\", \"start\": 1700000000,"
			  "\"expires_ms\": 42000}", 0, NULL);
	assert_non_null(want);
	assert_true(json_equal(got, want));
	json_decref(got);
	json_decref(want);
	free(rec);

	rec = make(FLYREP_TABLE_CONFIG, FLYREP_OP_INSERT, a_config, 0);
	got = fr_config_table.to_json(rec);
	assert_string_equal(json_string_value(json_object_get(got, "bytes")), "hex:00ff");
	assert_string_equal(json_string_value(json_object_get(got, "sha256")), "ab:01");
	assert_null(json_object_get(got, "expires_ms"));
	json_decref(got);
	free(rec);
}

/* Zero is a number; nothing is none. */
static void zero_is_not_nothing(void **state)
{
	void *rec = make(FLYREP_TABLE_DNS, FLYREP_OP_INSERT, a_record, 0);
	json_t *got = fr_dns_table.to_json(rec);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(got, "ttl")), 0);
	assert_non_null(json_object_get(got, "ttl"));
	assert_null(json_object_get(got, "priority"));
	json_decref(got);
	free(rec);
}

static void bad_texts_are_refused_by_name(void **state)
{
	static const struct {
		unsigned int table;
		const char *texts[FR_ITEM_FIELDS_MAX];
		const char *why;
	} bad[] = {
		{ FLYREP_TABLE_LEASE, { NULL, "aa" }, "scope: missing" },
		{ FLYREP_TABLE_LEASE, { "lan", "" }, "client: missing" },
		{ FLYREP_TABLE_LEASE, { "lan", "0" },
		  "client: not bytes in hexadecimal, as in 00:1b:21:3c:4d:5e" },
		{ FLYREP_TABLE_LEASE, { "lan", "aa:" },
		  "client: not bytes in hexadecimal, as in 00:1b:21:3c:4d:5e" },
		{ FLYREP_TABLE_LEASE, { "la\xffn", "aa" }, "scope: not text in UTF-8" },
		{ FLYREP_TABLE_LEASE, { "\xc0\xaf", "aa" }, "scope: not text in UTF-8" },
		{ FLYREP_TABLE_LEASE, { "\xed\xa0\x80", "aa" }, "scope: not text in UTF-8" },
		{ FLYREP_TABLE_LEASE, { "\xe2\x82", "aa" }, "scope: not text in UTF-8" },
		{ FLYREP_TABLE_LEASE, { "lan", "aa", "x" }, "iaid: not a number" },
		{ FLYREP_TABLE_LEASE, { "lan", "aa", "-1" }, "iaid: not a number" },
		{ FLYREP_TABLE_LEASE, { "lan", "aa", "18446744073709551616" },
		  "iaid: not a number" },
		{ FLYREP_TABLE_LEASE, { "lan", "aa", NULL, "192.0.2.7/24" },
		  "ip: not an address or a prefix without host bits" },
		{ FLYREP_TABLE_LEASE, { "lan", "aa", NULL, "localhost" },
		  "ip: not an address or a prefix without host bits" },
	};
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	char longest[FLYREP_ITEM_KEY_MAX_LEN + 1];
	const char *texts[FR_ITEM_FIELDS_MAX] = { longest };
	char *why;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(bad); i++) {
		assert_int_equal(fr_item_make(room, bad[i].table, FLYREP_OP_INSERT,
					      bad[i].texts, 0, &why), -EINVAL);
		assert_string_equal(why, bad[i].why);
		free(why);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(fr_item_make(room, FLYREP_TABLE_CONFIG, FLYREP_OP_INSERT, texts,
				      0, &why), -EINVAL);
	assert_string_equal(why, "path: too long");
	free(why);
	/* Two bytes of length and all the rest */
	longest[FLYREP_ITEM_KEY_MAX_LEN - 2] = 0;
	assert_true(fr_item_make(room, FLYREP_TABLE_CONFIG, FLYREP_OP_INSERT, texts, 0,
				 &why) > 0);
}

static void a_key_gives_its_record_back(void **state)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	uint8_t again[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	void *rec = make(FLYREP_TABLE_LEASE, FLYREP_OP_INSERT, a_lease, 42000);
	void *gone = make(FLYREP_TABLE_LEASE, FLYREP_OP_DELETE, a_lease, 0);
	unsigned int len = fr_lease_table.key(key, rec);

	(void)state;
	memset(room, 0xee, sizeof(room));
	assert_int_equal(fr_lease_table.from_key(room, key, len), 0);
	assert_int_equal(fr_lease_table.key(again, room), len);
	assert_memory_equal(key, again, len);
	((struct flyrep_rec *)room)->op = FLYREP_OP_DELETE;
	assert_memory_equal(room, gone, fr_record_len(&fr_lease_table, gone));
	assert_int_equal(fr_lease_table.from_key(room, key, len - 1), -EINVAL);
	assert_int_equal(fr_lease_table.from_key(room, key, 0), -EINVAL);
	/* A key of other fields */
	assert_int_equal(fr_config_table.from_key(room, key, len), -EINVAL);
	free(rec);
	free(gone);
}

/* All that both nodes must agree on, and nothing else. */
static void the_digest_covers_key_value_and_end(void **state)
{
	const char *other[FR_ITEM_FIELDS_MAX];
	struct flyrep_item *rec = make(FLYREP_TABLE_LEASE, FLYREP_OP_INSERT, a_lease, 42000);
	uint64_t digest = fr_lease_table.digest(rec, &hash_key);
	void *changed;
	size_t i;

	(void)state;
	rec->rec.id = 7;
	rec->rec.stamp = 9;
	rec->rec.age_us = 11;
	rec->rec.flags = FLYREP_REC_F_REMOTE;
	rec->rec.op = FLYREP_OP_UPDATE;
	assert_int_equal(fr_lease_table.digest(rec, &hash_key), digest);
	rec->expires_ms++;
	assert_int_not_equal(fr_lease_table.digest(rec, &hash_key), digest);
	for (i = 0; i < 9; i++) {
		memcpy(other, a_lease, sizeof(other));
		other[i] = i == 1 ? "aa" : i == 3 ? "192.0.2.1" : "5";
		changed = make(FLYREP_TABLE_LEASE, FLYREP_OP_INSERT, other, 42000);
		assert_int_not_equal(fr_lease_table.digest(changed, &hash_key), digest);
		free(changed);
	}
	free(rec);
}

static void a_batch_travels(void **state)
{
	uint8_t wire[4096], recs[4096] __attribute__((aligned(8)));
	uint8_t back[4096] __attribute__((aligned(8)));
	struct fr_reader r;
	struct fr_writer w;
	size_t len = 0, n, cut;
	void *rec;

	(void)state;
	for (n = 0; n < 3; n++) {
		rec = make(FLYREP_TABLE_LEASE, n == 1 ? FLYREP_OP_DELETE : FLYREP_OP_INSERT,
			   a_lease, 1000 + n);
		memcpy(recs + len, rec, fr_record_len(&fr_lease_table, rec));
		len += fr_record_len(&fr_lease_table, rec);
		free(rec);
	}
	fr_writer_init(&w, wire, sizeof(wire));
	assert_int_equal(fr_lease_table.encode(&w, recs, 3), 0);
	fr_reader_init(&r, wire, fr_writer_len(&w));
	assert_int_equal(fr_lease_table.decode(&r, back, sizeof(back), 3, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(fr_reader_left(&r), 0);
	assert_memory_equal(recs, back, len);

	/* Nowhere cut, with no room too little, and no record too many is it taken. */
	for (cut = 0; cut < fr_writer_len(&w); cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, wire, cut);
		fr_reader_init(&r, exact, cut);
		assert_int_equal(fr_lease_table.decode(&r, back, sizeof(back), 3, &n),
				 -EBADMSG);
		free(exact);
	}
	fr_reader_init(&r, wire, fr_writer_len(&w));
	assert_int_equal(fr_lease_table.decode(&r, back, len - 1, 3, &n), -EBADMSG);
	fr_reader_init(&r, wire, fr_writer_len(&w));
	assert_int_equal(fr_lease_table.decode(&r, back, sizeof(back), 2, &n), -EBADMSG);
	fr_writer_init(&w, wire, 20);
	assert_int_equal(fr_lease_table.encode(&w, recs, 3), -ENOSPC);
}

/* A field that is missing at the end of a value is empty; one more is carried along. */
static void values_of_other_versions_are_fine(void **state)
{
	struct flyrep_item *rec = make(FLYREP_TABLE_LEASE, FLYREP_OP_INSERT, a_lease, 0);
	uint8_t room[512] __attribute__((aligned(8)));
	struct flyrep_item *it = (void *)room;
	const char *why;

	(void)state;
	memset(room, 0, sizeof(room));
	memcpy(it, rec, sizeof(*rec) + rec->key_len);
	it->value_len = 2 + 17;
	memcpy(room + sizeof(*it) + it->key_len, (uint8_t *)(rec + 1) + rec->key_len, 19);
	it->rec.tail_len = FLYREP_ITEM_TAIL_LEN(it->key_len, it->value_len);
	assert_int_equal(fr_lease_table.check(it, &why), 0);

	memset(room, 0, sizeof(room));
	memcpy(it, rec, sizeof(*rec) + rec->key_len + rec->value_len);
	it->value_len += 3;
	room[sizeof(*it) + it->key_len + it->value_len - 2] = 1;
	room[sizeof(*it) + it->key_len + it->value_len - 1] = 'x';
	it->rec.tail_len = FLYREP_ITEM_TAIL_LEN(it->key_len, it->value_len);
	assert_int_equal(fr_lease_table.check(it, &why), 0);
	/* But not of a key: it would be another one. */
	it->key_len += it->value_len;
	it->value_len = 0;
	assert_int_equal(fr_lease_table.check(it, &why), -EINVAL);
	assert_string_equal(why, "a field too many");
	free(rec);
}

/* Whatever another program has put into the kernel, a person may look at it. */
static void nonsense_is_shown(void **state)
{
	uint8_t room[256] __attribute__((aligned(8)));
	unsigned int seed = 1, i, k, table;

	(void)state;
	for (i = 0; i < 20000; i++) {
		struct flyrep_item *it = (void *)room;
		json_t *obj;

		for (k = 0; k < sizeof(room); k++)
			room[k] = rand_r(&seed) % (i % 2 ? 256 : 4);
		it->rec.tail_len %= sizeof(room) - sizeof(*it);
		table = FLYREP_TABLE_LEASE + i % 5;
		obj = fr_table_by_id(table)->to_json(it);
		assert_non_null(obj);
		json_decref(obj);
	}
}

/* Of an element of an nft set packets change expressions and end: neither is a difference. */
static void an_element_is_more_than_its_counters(void **state)
{
	static const char *const an_element[FR_ITEM_FIELDS_MAX] = {
		"ip6", "fw", "seen", "0a000001", NULL, NULL, "60000", "000474776f00", NULL, "2c000100",
	};
	const char *other[FR_ITEM_FIELDS_MAX];
	struct flyrep_item *rec = make(FLYREP_TABLE_NFT_SET, FLYREP_OP_UPDATE, an_element, 42000);
	uint64_t digest = fr_nft_set_table.digest(rec, &hash_key);
	json_t *got = fr_nft_set_table.to_json(rec);
	void *changed;
	char *why;
	size_t i;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(got, "table")), "nft_set");
	assert_string_equal(json_string_value(json_object_get(got, "family")), "ip6");
	assert_string_equal(json_string_value(json_object_get(got, "nft_table")), "fw");
	assert_string_equal(json_string_value(json_object_get(got, "comment")), "two");
	assert_string_equal(json_string_value(json_object_get(got, "userdata")), "00:04:74:77:6f:00");
	assert_null(json_object_get(got, "key_end"));
	json_decref(got);

	rec->expires_ms = 0;
	assert_int_equal(fr_nft_set_table.digest(rec, &hash_key), digest);
	for (i = 0; i < 10; i++) {
		memcpy(other, an_element, sizeof(other));
		other[i] = i ? "5a" : "inet";
		if (i == FR_ITEM_NFT_TIMEOUT)
			other[i] = "0";
		changed = make(FLYREP_TABLE_NFT_SET, FLYREP_OP_UPDATE, other, 42000);
		if (i == FR_ITEM_NFT_EXPRESSIONS)
			assert_int_equal(fr_nft_set_table.digest(changed, &hash_key), digest);
		else
			assert_int_not_equal(fr_nft_set_table.digest(changed, &hash_key), digest);
		free(changed);
	}

	memcpy(other, an_element, sizeof(other));
	other[0] = "ipx";
	assert_int_equal(fr_item_make(rec, FLYREP_TABLE_NFT_SET, FLYREP_OP_UPDATE, other, 0, &why), -EINVAL);
	assert_string_equal(why, "family: not ip, ip6, inet, arp, bridge or netdev");
	free(why);
	free(rec);
}

/* What nft keeps with an element may be anything: a comment is shown if there is one. */
static void a_comment_is_looked_for(void **state)
{
	static const struct {
		const char *userdata, *comment;
	} want[] = {
		{ "00027800", "x" },
		{ "01040100000000027900", "y" },
		{ "000100", "" },
		{ "000278", NULL },
		{ "00027879", NULL },
		{ "0002ff00", NULL },
		{ "00", NULL },
		{ "0000", NULL },
		{ "0104010000000000", NULL },
	};
	const char *texts[FR_ITEM_FIELDS_MAX] = { "ip", "t", "s", "01" };
	const char *comment;
	json_t *got;
	void *rec;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(want); i++) {
		texts[FR_ITEM_NFT_USERDATA] = want[i].userdata;
		rec = make(FLYREP_TABLE_NFT_SET, FLYREP_OP_UPDATE, texts, 0);
		got = fr_nft_set_table.to_json(rec);
		comment = json_string_value(json_object_get(got, "comment"));
		assert_int_equal(!comment, !want[i].comment);
		if (comment)
			assert_string_equal(comment, want[i].comment);
		json_decref(got);
		free(rec);
	}
}

/* Bytes of fields, in and out. */
static void fields_are_packed_and_unpacked(void **state)
{
	static const uint8_t bytes[FLYREP_ITEM_VALUE_MAX_LEN] = { 7 };
	struct fr_item_bytes in[FR_ITEM_FIELDS_MAX] = { { bytes, 1 }, { bytes, 3 }, { bytes, 0 } };
	struct fr_item_bytes out[FR_ITEM_FIELDS_MAX];
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	struct flyrep_item *rec = (void *)room;
	size_t i;

	(void)state;
	for (i = 3; i < FR_ITEM_FIELDS_MAX; i++)
		in[i] = (struct fr_item_bytes){ bytes, i };
	assert_true(fr_item_pack(room, FLYREP_TABLE_NFT_SET, FLYREP_OP_UPDATE, in, 9) > 0);
	assert_int_equal(rec->expires_ms, 9);
	assert_int_equal(fr_item_unpack(room, FLYREP_TABLE_NFT_SET, out), 0);
	for (i = 0; i < 10; i++) {
		assert_int_equal(out[i].len, in[i].len);
		assert_memory_equal(out[i].pos, bytes, in[i].len);
	}
	/* A delete has no value: its fields are empty. */
	assert_true(fr_item_pack(room, FLYREP_TABLE_NFT_SET, FLYREP_OP_DELETE, in, 9) > 0);
	assert_int_equal(rec->value_len, 0);
	assert_int_equal(rec->expires_ms, 0);
	assert_int_equal(fr_item_unpack(room, FLYREP_TABLE_NFT_SET, out), 0);
	assert_int_equal(out[FR_ITEM_NFT_KEY].len, 3);
	assert_int_equal(out[FR_ITEM_NFT_DATA].len, 0);
	rec->key_len--;
	assert_int_equal(fr_item_unpack(room, FLYREP_TABLE_NFT_SET, out), -EINVAL);

	in[FR_ITEM_NFT_KEY].len = FLYREP_ITEM_KEY_MAX_LEN;
	assert_int_equal(fr_item_pack(room, FLYREP_TABLE_NFT_SET, FLYREP_OP_DELETE, in, 0), -EMSGSIZE);
	in[FR_ITEM_NFT_KEY].len = 0;
	in[FR_ITEM_NFT_DATA].len = sizeof(bytes);
	assert_int_equal(fr_item_pack(room, FLYREP_TABLE_NFT_SET, FLYREP_OP_UPDATE, in, 0), -EMSGSIZE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(zero_is_not_nothing),
		cmocka_unit_test(bad_texts_are_refused_by_name),
		cmocka_unit_test(a_key_gives_its_record_back),
		cmocka_unit_test(the_digest_covers_key_value_and_end),
		cmocka_unit_test(a_batch_travels),
		cmocka_unit_test(values_of_other_versions_are_fine),
		cmocka_unit_test(nonsense_is_shown),
		cmocka_unit_test(an_element_is_more_than_its_counters),
		cmocka_unit_test(a_comment_is_looked_for),
		cmocka_unit_test(fields_are_packed_and_unpacked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
