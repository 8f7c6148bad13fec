// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is made of what nf_tables says, and of what peers say, without a kernel. The datagrams are the seeds of
 * fuzz_nft, recorded on 6.1; the recipe:
 *
 *   selftests/vm/run -k 6.1 -d DIR -e RECORD=/run/lab -- build/kmod-tests/nft
 */
#include "vectors.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <stdbool.h>

#include "nft_message.h"

#define NOW_MS 1700000000000

/* A seed: the set and the datagrams. */
struct seed {
	uint8_t *bytes;
	size_t len;
	struct fr_nft_set set;
};

static void seed_open(struct seed *s, const char *name)
{
	char path[256];
	FILE *in;

	snprintf(path, sizeof(path), CORPUS "nft/%s", name);
	in = fopen(path, "re");
	if (!in)
		fail_msg("%s: %s (run from the top)", path, strerror(errno));
	s->bytes = malloc(65536);
	assert_non_null(s->bytes);
	s->len = fread(s->bytes, 1, 65536, in);
	fclose(in);
	assert_true(s->len > 5);
	s->set = (struct fr_nft_set){ .family = NFPROTO_INET, .table = "kt", .name = "s",
				      .flags = s->bytes[1], .key_len = s->bytes[2],
				      .data_len = s->bytes[3],
				      .data_type = s->bytes[4] & 1 ? NFT_DATA_VERDICT : 0,
				      .timeout_ms = s->bytes[4] & 2 ? 3600000 : 0 };
}

struct heard {
	json_t *recs;
};

static void on_records(void *cookie, const void *recs, size_t n)
{
	struct heard *h = cookie;
	const char *why;

	for (; n; n--, recs = fr_record_next(&fr_nft_set_table, recs)) {
		assert_int_equal(fr_nft_set_table.check(recs, &why), 0);
		json_array_append_new(h->recs, fr_nft_set_table.to_json(recs));
	}
}

/* Takes the datagrams of a seed, the last one @cut bytes short. Each is in memory of its own. */
static int take(const struct seed *s, size_t cut, struct heard *h)
{
	const uint8_t *pos = s->bytes + 5, *end = s->bytes + s->len;
	struct fr_nft_dump d = { 0 };
	char text[64], *exact;
	size_t len;
	int err = 1;

	h->recs = json_array();
	assert_int_equal(fr_nft_dump_begin(&d, &s->set, 77), 0);
	while (pos < end && err == 1) {
		len = (size_t)(pos[0] | pos[1] << 8);
		pos += 2;
		if (pos + len == end)
			len -= cut;
		exact = malloc(len ? len : 1);
		assert_non_null(exact);
		memcpy(exact, pos, len);
		pos += pos + len + cut == end ? len + cut : len;
		err = fr_nft_dump_take(&d, exact, len, NOW_MS, on_records, h, text, sizeof(text));
		free(exact);
	}
	fr_nft_dump_free(&d);
	return err;
}

static json_t *found(const struct heard *h, const char *key)
{
	json_t *rec;
	size_t i;

	json_array_foreach(h->recs, i, rec) {
		const char *k = json_string_value(json_object_get(rec, "key"));

		if (!strcmp(k ? k : "", key))
			return rec;
	}
	fail_msg("no element %s", key);
	return NULL;
}

static void assert_text(json_t *rec, const char *name, const char *want)
{
	const char *got = json_string_value(json_object_get(rec, name));

	if (want) {
		assert_non_null(got);
		assert_string_equal(got, want);
	} else {
		assert_null(got);
	}
}

#define COUNTER "2c:00:01:00:0c:00:01:00:63:6f:75:6e:74:65:72:00:1c:00:02:00:0c:00:01:00:" \
	"00:00:00:00:00:00:00:00:0c:00:02:00:00:00:00:00:00:00:00:00"
#define LIMIT "44:00:01:00:0a:00:01:00:6c:69:6d:69:74:00:00:00:34:00:02:00:0c:00:01:00:" \
	"00:00:00:00:00:00:00:05:0c:00:02:00:00:00:00:00:00:00:00:01:08:00:03:00:00:00:00:05:" \
	"08:00:04:00:00:00:00:00:08:00:05:00:00:00:00:00"

static void what_was_recorded_becomes_records(void **state)
{
	static const struct {
		const char *seed, *key, *key_end, *data, *object, *comment, *expressions;
		json_int_t timeout, left_ms;
	} want[] = {
		{ "hash", "c0:00:02:01", .comment = NULL },
		{ "hash", "c0:00:02:02", .comment = "two" },
		/* One expression alone and a list of them are said in one way. */
		{ "fresh", "c0:00:02:01", .expressions = COUNTER, .left_ms = 3600000 },
		{ "fresh", "c0:00:02:02", .expressions = COUNTER, .timeout = 300000, .left_ms = 240000 },
		{ "two", "c0:00:02:09", .expressions = COUNTER ":" LIMIT },
		/* Open to the top; alone; side by side. */
		{ "intervals", "f0:00:00:00", .key_end = NULL },
		{ "intervals", "c0:00:02:07", .key_end = "c0:00:02:08" },
		{ "intervals", "0b:00:00:00", .key_end = "0c:00:00:00" },
		{ "intervals", "0a:00:00:00", .key_end = "0b:00:00:00" },
		{ "verdicts", "0a:00:00:01:00:01:00:00", .key_end = "0a:00:00:09:04:00:00:00",
		  .data = "14:00:02:00:08:00:01:00:ff:ff:ff:fd:06:00:02:00:78:00:00:00" },
		{ "verdicts", "c0:00:02:01:00:16:00:00", "c0:00:02:01:00:16:00:00",
		  .data = "0c:00:02:00:08:00:01:00:00:00:00:00" },
		{ "objects", "c0:00:02:01", .object = "c" },
		{ "values", "00:50", .data = "14:00:01:00:20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:01",
		  .timeout = 3600000, .left_ms = 3600000 },
		{ "values", "", .data = "14:00:01:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00" },
	};
	struct heard h;
	struct seed s;
	json_t *rec;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i += n) {
		seed_open(&s, want[i].seed);
		assert_int_equal(take(&s, 0, &h), 0);
		for (n = 0; n < json_array_size(h.recs); n++) {
			assert_string_equal(want[i + n].seed, want[i].seed);
			rec = found(&h, want[i + n].key);
			assert_text(rec, "family", "inet");
			assert_text(rec, "table", "nft_set");
			assert_text(rec, "nft_table", "kt");
			assert_text(rec, "set", "s");
			assert_text(rec, "key_end", want[i + n].key_end);
			assert_text(rec, "data", want[i + n].data);
			assert_text(rec, "object", want[i + n].object);
			assert_text(rec, "comment", want[i + n].comment);
			assert_text(rec, "expressions", want[i + n].expressions);
			assert_int_equal(json_integer_value(json_object_get(rec, "timeout")),
					 want[i + n].timeout);
			assert_in_range(json_integer_value(json_object_get(rec, "expires_ms")),
					want[i + n].left_ms ? NOW_MS + want[i + n].left_ms - 9999 : 0,
					want[i + n].left_ms ? NOW_MS + want[i + n].left_ms : 0);
		}
		json_decref(h.recs);
		free(s.bytes);
	}
}

static void cut_anywhere_it_is_refused(void **state)
{
	static const char *const seeds[] = { "fresh", "intervals", "verdicts", "objects", "values" };
	struct heard h;
	struct seed s;
	size_t i, cut, first;
	int err;

	(void)state;
	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		seed_open(&s, seeds[i]);
		/* Only the first datagram, which holds the elements. */
		first = (size_t)(s.bytes[5] | s.bytes[6] << 8);
		s.len = 7 + first;
		for (cut = 1; cut < first; cut++) {
			err = take(&s, cut, &h);
			/* Between two messages it is no cut. */
			assert_true(err == -EPROTO || (err == 1 && cut <= 20));
			json_decref(h.recs);
		}
		free(s.bytes);
	}
}

/* The first datagram again, of other rules. */
static void rules_that_change_are_noticed(void **state)
{
	struct nfgenmsg head;
	struct heard h;
	struct seed s;
	uint8_t *again;
	size_t first;

	(void)state;
	seed_open(&s, "hash");
	first = 2 + (size_t)(s.bytes[5] | s.bytes[6] << 8);
	memmove(s.bytes + 5 + first, s.bytes + 5, s.len - 5);
	s.len += first;
	assert_int_equal(take(&s, 0, &h), 0);
	assert_int_equal(json_array_size(h.recs), 4);
	json_decref(h.recs);

	again = s.bytes + 5 + first + 2 + MNL_NLMSG_HDRLEN;
	memcpy(&head, again, sizeof(head));
	head.res_id ^= htons(1);
	memcpy(again, &head, sizeof(head));
	assert_int_equal(take(&s, 0, &h), -EINTR);
	json_decref(h.recs);

	/* Nor is an element of another set one of this. */
	s.set.name[0] = 'x';
	assert_int_equal(take(&s, 0, &h), -EPROTO);
	json_decref(h.recs);
	free(s.bytes);
}

/* --- sets --------------------------------------------------------------- */

static struct nlmsghdr *a_set(void *buf, const char *name, uint32_t flags, uint32_t key_len)
{
	struct nlmsghdr *nlh = fr_nft_message_head(buf, FR_NFT_TYPE(NFT_MSG_NEWSET), 0, 77, NFPROTO_IPV4);

	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, "kt");
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, name);
	mnl_attr_put_u32(nlh, NFTA_SET_FLAGS, htonl(flags));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_LEN, htonl(key_len));
	mnl_attr_put_u64(nlh, NFTA_SET_HANDLE, htobe64(9));
	return nlh;
}

static void sets_are_named_and_sized(void **state)
{
	char buf[1024] __attribute__((aligned(8))), longest[NFT_NAME_MAXLEN + 1];
	struct fr_nft_table table;
	struct fr_nft_set set;
	struct nlmsghdr *nlh;

	(void)state;
	assert_int_equal(fr_nft_message_set(a_set(buf, "s", NFT_SET_TIMEOUT, 64), &set), 0);
	assert_int_equal(set.family, NFPROTO_IPV4);
	assert_int_equal(set.handle, 9);
	assert_int_equal(set.key_len, 64);
	assert_string_equal(set.name, "s");
	assert_int_equal(fr_nft_message_set(a_set(buf, "s", NFT_SET_ANONYMOUS, 4), &set), -ENOENT);
	assert_int_equal(fr_nft_message_set(a_set(buf, "\xff", 0, 4), &set), -ENOENT);
	assert_int_equal(fr_nft_message_set(a_set(buf, "", 0, 4), &set), -EPROTO);
	assert_int_equal(fr_nft_message_set(a_set(buf, "s", 0, 0), &set), -EPROTO);
	assert_int_equal(fr_nft_message_set(a_set(buf, "s", 0, 65), &set), -EPROTO);
	memset(longest, 'x', sizeof(longest));
	longest[NFT_NAME_MAXLEN] = 0;
	assert_int_equal(fr_nft_message_set(a_set(buf, longest, 0, 4), &set), -EPROTO);
	assert_int_equal(fr_nft_message_set(a_set(buf, longest + 1, 0, 4), &set), 0);
	assert_string_equal(set.name, longest + 1);

	nlh = fr_nft_message_head(buf, FR_NFT_TYPE(NFT_MSG_NEWTABLE), 0, 77, NFPROTO_INET);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, "kt");
	mnl_attr_put_u64(nlh, NFTA_TABLE_HANDLE, htobe64(5));
	assert_int_equal(fr_nft_message_table(nlh, &table), 0);
	assert_int_equal(table.handle, 5);
	assert_false(table.is_owned);
	mnl_attr_put_u32(nlh, NFTA_TABLE_OWNER, htonl(4711));
	assert_int_equal(fr_nft_message_table(nlh, &table), 0);
	assert_true(table.is_owned);
	mnl_attr_put_u16(nlh, NFTA_TABLE_OWNER, 1);
	assert_int_equal(fr_nft_message_table(nlh, &table), -EPROTO);
}

/* --- records of peers --------------------------------------------------- */

static void *make(uint64_t *room, const char *key, const char *key_end, const char *data,
		  const char *timeout, uint64_t expires_ms)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { "inet", "kt", "s", key, key_end, data, timeout };
	char *why;

	assert_true(fr_item_make(room, FLYREP_TABLE_NFT_SET, FLYREP_OP_UPDATE, texts, expires_ms,
				 &why) > 0);
	return room;
}

/* How long an element stays, by what its record says and by what its set says here. */
static void time_is_told_in_the_terms_of_the_set(void **state)
{
	enum { NONE = -1 };
	static const struct {
		uint64_t set_ms;
		const char *timeout;
		int64_t expires_in_ms; /* 0: never */
		int64_t timeout_ms, left_ms;
		int err;
	} want[] = {
		{ 0, NULL, 0, NONE, NONE, 0 },
		{ 0, "0", 0, NONE, NONE, 0 },
		{ 1000, NULL, 0, 0, NONE, 0 },
		{ 1000, "0", 0, 0, NONE, 0 },
		{ 1000, NULL, 400, NONE, 400, 0 },
		{ 1000, "500", 400, 500, 400, 0 },
		{ 0, "500", 400, 500, 400, 0 },
		{ 0, NULL, 400, 400, 400, 0 },
		/* Clocks that differ */
		{ 1000, NULL, 1400, NONE, 1000, 0 },
		{ 0, "500", 1400, 500, 500, 0 },
		/* Over, or as good as */
		{ 1000, NULL, -1, 0, 0, -ETIME },
		{ 1000, NULL, 9, 0, 0, -ETIME },
		{ 1000, NULL, 10, NONE, 10, 0 },
	};
	struct fr_nft_set set = { .flags = NFT_SET_TIMEOUT, .key_len = 1 };
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	struct fr_nft_elem e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		set.timeout_ms = want[i].set_ms;
		make(room, "01", NULL, NULL, want[i].timeout,
		     want[i].expires_in_ms ? NOW_MS + (uint64_t)want[i].expires_in_ms : 0);
		assert_int_equal(fr_nft_elem_read(&e, &set, room, false, NOW_MS), want[i].err);
		if (want[i].err)
			continue;
		assert_int_equal(e.has_timeout ? (int64_t)e.timeout_ms : NONE, want[i].timeout_ms);
		assert_int_equal(e.ends ? (int64_t)e.left_ms : NONE, want[i].left_ms);
	}
}

/* One kernel says of an element that its time is the set's, another one says nothing. */
static void the_time_of_the_set_is_none_of_its_own(void **state)
{
	static const uint8_t key[] = { 1 };
	struct fr_nft_set set = { .flags = NFT_SET_TIMEOUT, .family = NFPROTO_INET, .key_len = 1,
				  .table = "kt", .name = "s", .timeout_ms = 1000 };
	struct fr_nft_elem e = { .key = { key, sizeof(key) }, .has_timeout = true,
				 .timeout_ms = 1000, .ends = true, .left_ms = 700 };
	uint64_t says[FR_ITEM_ROOM / 8 + 1], silent[FR_ITEM_ROOM / 8 + 1];
	ssize_t len;

	(void)state;
	len = fr_nft_elem_record(says, &set, &e, NOW_MS);
	assert_true(len > 0);
	assert_int_equal(fr_nft_record_timeout_ms(says), 0);
	e.has_timeout = false;
	assert_int_equal(fr_nft_elem_record(silent, &set, &e, NOW_MS), len);
	assert_memory_equal(says, silent, len);
	e.has_timeout = true;
	e.timeout_ms = 999;
	assert_true(fr_nft_elem_record(says, &set, &e, NOW_MS) > 0);
	assert_int_equal(fr_nft_record_timeout_ms(says), 999);
}

static void what_does_not_fit_is_refused(void **state)
{
	static const struct {
		uint32_t flags, data_len, data_type;
		const char *key, *key_end, *data, *timeout;
		bool is_fitting;
	} want[] = {
		{ 0, 0, 0, "01020304", NULL, NULL, NULL, true },
		{ 0, 0, 0, "", NULL, NULL, NULL, true },
		{ 0, 0, 0, "010203", NULL, NULL, NULL, false },
		{ 0, 0, 0, "0102030405", NULL, NULL, NULL, false },
		{ 0, 0, 0, "01020304", "01020305", NULL, NULL, false },
		{ NFT_SET_INTERVAL, 0, 0, "01020304", "01020305", NULL, NULL, true },
		{ NFT_SET_INTERVAL, 0, 0, "", "01020305", NULL, NULL, false },
		{ NFT_SET_INTERVAL, 0, 0, "01020304", "010203", NULL, NULL, false },
		{ 0, 0, 0, "01020304", NULL, "0600010001020000", NULL, false },
		{ 0, 0, 0, "01020304", NULL, NULL, "1", false },
		{ NFT_SET_TIMEOUT, 0, 0, "01020304", NULL, NULL, "1", true },
		{ NFT_SET_MAP, 2, 0, "01020304", NULL, "0600010001020000", NULL, true },
		{ NFT_SET_MAP, 2, 0, "01020304", NULL, NULL, NULL, false },
		{ NFT_SET_MAP, 3, 0, "01020304", NULL, "0600010001020000", NULL, false },
		{ NFT_SET_MAP, 2, 0, "01020304", NULL, "0600020001020000", NULL, false },
		{ NFT_SET_MAP, 2, 0, "01020304", NULL, "0600", NULL, false },
		{ NFT_SET_MAP, 2, 0, "01020304", NULL, "06000100ff", NULL, false },
		{ NFT_SET_MAP, 0, NFT_DATA_VERDICT, "01020304", NULL, "ff", NULL, true },
		{ NFT_SET_MAP | NFT_SET_OBJECT, 2, 0, "01020304", NULL, "0600010001020000", NULL, false },
	};
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	struct fr_nft_elem e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct fr_nft_set set = { .flags = want[i].flags, .key_len = 4, .data_len = want[i].data_len,
					  .data_type = want[i].data_type };

		make(room, want[i].key, want[i].key_end, want[i].data, want[i].timeout, 0);
		assert_int_equal(fr_nft_elem_read(&e, &set, room, false, NOW_MS),
				 want[i].is_fitting ? 0 : -EINVAL);
	}
}

/* Who is asked for by a record's names, and by what packets bring. */
static void records_name_their_set(void **state)
{
	struct fr_nft_set set = { .family = NFPROTO_INET, .table = "kt", .name = "s", .key_len = 4 };
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	char longest[NFT_NAME_MAXLEN + 1];
	const char *texts[FR_ITEM_FIELDS_MAX] = { "bridge", longest, "s", "01" };
	struct fr_nft_name name;
	char *why;
	size_t len;

	(void)state;
	assert_true(fr_nft_key_record(room, &set, (const uint8_t *)"\1\2\3\4", 4) > 0);
	assert_int_equal(((struct flyrep_rec *)room)->op, FLYREP_OP_UNSPEC);
	assert_int_equal(fr_nft_record_name(room, &name), 0);
	assert_int_equal(name.family, NFPROTO_INET);
	assert_string_equal(name.table, "kt");
	assert_string_equal(name.set, "s");
	assert_memory_equal(fr_nft_record_key(room, &len), "\1\2\3\4", 4);
	assert_int_equal(len, 4);
	assert_int_equal(fr_nft_record_timeout_ms(room), 0);
	make(room, "01", NULL, NULL, "70000", 0);
	assert_int_equal(fr_nft_record_timeout_ms(room), 70000);

	assert_int_equal(fr_nft_key_record(room, &set, (const uint8_t *)"\1\2\3", 3), -EINVAL);
	set.flags = NFT_SET_INTERVAL;
	assert_int_equal(fr_nft_key_record(room, &set, (const uint8_t *)"\1\2\3\4", 4), -EOPNOTSUPP);

	/* Longer than the kernel can have */
	memset(longest, 'x', sizeof(longest));
	longest[NFT_NAME_MAXLEN] = 0;
	assert_true(fr_item_make(room, FLYREP_TABLE_NFT_SET, FLYREP_OP_DELETE, texts, 0, &why) > 0);
	assert_int_equal(fr_nft_record_name(room, &name), -EINVAL);
	longest[NFT_NAME_MAXLEN - 1] = 0;
	assert_true(fr_item_make(room, FLYREP_TABLE_NFT_SET, FLYREP_OP_DELETE, texts, 0, &why) > 0);
	assert_int_equal(fr_nft_record_name(room, &name), 0);
	assert_int_equal(name.family, NFPROTO_BRIDGE);
	assert_string_equal(name.table, longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_recorded_becomes_records),
		cmocka_unit_test(cut_anywhere_it_is_refused),
		cmocka_unit_test(rules_that_change_are_noticed),
		cmocka_unit_test(sets_are_named_and_sized),
		cmocka_unit_test(time_is_told_in_the_terms_of_the_set),
		cmocka_unit_test(the_time_of_the_set_is_none_of_its_own),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(records_name_their_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
