// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the client makes of a drain and of a snapshot.
 *
 * With --write the seeds of fuzz_genl are written anew.
 */
#include "datagram.h"

static void a_drain_hands_out_all(void **state)
{
	struct flyrep_ct recs[300];
	struct datagram d = { 0 };
	struct dump u;

	(void)state;
	fill(recs, 300);
	dump_init(&u, FLYREP_CMD_DRAIN);
	drain_records(&d, recs, sizeof(recs[0]), 200);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	drain_records(&d, recs + 200, sizeof(recs[0]), 99);
	drain_records(&d, recs + 299, sizeof(recs[0]), 1);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	assert_int_equal(u.heard->n, 300);
	assert_memory_equal(u.heard->recs, recs, sizeof(recs));
	drain_dirty(&d, 2);
	drain_end(&d, 555);
	done(&d, 0, NULL);
	assert_int_equal(dump_take(&u, &d, 0), 0);
	assert_int_equal(u.d.cmd, FLYREP_CMD_UNSPEC);
	assert_int_equal(u.heard->n_drained, 1);
	assert_int_equal(u.heard->drained_stamp, 555);
	assert_int_equal(u.heard->dirty, 2);
	assert_int_equal(u.heard->first_bucket, 0x81);

	/* All of them need no bitmap. */
	fr_genl_dump_begin(&u.d, FLYREP_CMD_DRAIN, 0, SEQ);
	drain_dirty(&d, FLYREP_BUCKETS);
	drain_end(&d, 556);
	done(&d, 0, NULL);
	assert_int_equal(dump_take(&u, &d, 0), 0);
	assert_int_equal(u.heard->dirty, FLYREP_BUCKETS);
	assert_false(u.heard->has_buckets);
	dump_free(&u);
}

static void a_snapshot_ends_only_when_it_is_confirmed(void **state)
{
	static const uint8_t buckets[FLYREP_BUCKETS_LEN] = { 0x42 };
	struct flyrep_ct recs[10];
	struct datagram d = { 0 };
	struct dump u;

	(void)state;
	fill(recs, 10);
	dump_init(&u, FLYREP_CMD_SNAPSHOT);
	put_phase(&d, FLYREP_PHASE_BEGIN, 40);
	mnl_attr_put(d.nlh, FLYREP_A_BUCKETS, sizeof(buckets), buckets);
	put_phase(&d, FLYREP_PHASE_DATA, 0);
	put_records(&d, recs, sizeof(recs[0]), 10);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	assert_int_equal(u.heard->begin_stamp, 40);
	assert_int_equal(u.heard->first_bucket, 0x42);
	assert_int_equal(u.heard->n, 10);
	put_phase(&d, FLYREP_PHASE_END, 41);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	assert_int_equal(u.heard->n_end, 0);
	done(&d, 0, NULL);
	assert_int_equal(dump_take(&u, &d, 0), 0);
	assert_int_equal(u.heard->n_end, 1);
	assert_int_equal(u.heard->end_stamp, 41);
	dump_free(&u);
}

static void a_snapshot_of_nothing_is_one(void **state)
{
	struct datagram d = { 0 };
	struct dump u;

	(void)state;
	dump_init(&u, FLYREP_CMD_SNAPSHOT);
	put_phase(&d, FLYREP_PHASE_BEGIN, 40);
	put_phase(&d, FLYREP_PHASE_END, 41);
	done(&d, 0, NULL);
	assert_int_equal(dump_take(&u, &d, 0), 0);
	assert_false(u.heard->has_buckets);
	assert_int_equal(u.heard->n_end, 1);
	dump_free(&u);
}

static void an_interrupted_snapshot_never_ends(void **state)
{
	struct datagram d = { 0 };
	struct dump u;

	(void)state;
	dump_init(&u, FLYREP_CMD_SNAPSHOT);
	put_phase(&d, FLYREP_PHASE_BEGIN, 40);
	d.nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
	put_phase(&d, FLYREP_PHASE_END, 41);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	done(&d, 0, NULL);
	assert_int_equal(dump_take(&u, &d, 0), -EINTR);
	assert_int_equal(u.heard->n_end, 0);
	assert_int_equal(u.d.cmd, FLYREP_CMD_UNSPEC);

	/* The next one starts with a clean sheet. */
	fr_genl_dump_begin(&u.d, FLYREP_CMD_SNAPSHOT, FLYREP_TABLE_CONNTRACK,
			   SEQ);
	put_phase(&d, FLYREP_PHASE_BEGIN, 40);
	put_phase(&d, FLYREP_PHASE_END, 41);
	done(&d, 0, NULL);
	assert_int_equal(dump_take(&u, &d, 0), 0);
	assert_int_equal(u.heard->n_end, 1);
	dump_free(&u);
}

static void an_error_ends_the_dump_with_the_kernels_words(void **state)
{
	struct datagram d = { 0 };
	struct dump u;

	(void)state;
	dump_init(&u, FLYREP_CMD_DRAIN);
	refusal(&d, SEQ, -EPERM, "another socket is the reader");
	assert_int_equal(dump_take(&u, &d, 0), -EPERM);
	assert_string_equal(u.text, "another socket is the reader");
	assert_int_equal(u.d.cmd, FLYREP_CMD_UNSPEC);
	dump_free(&u);

	dump_init(&u, FLYREP_CMD_SNAPSHOT);
	put_phase(&d, FLYREP_PHASE_BEGIN, 40);
	done(&d, -ENOMEM,
	     "no memory, so no snapshot: a text too long for its buffer");
	assert_int_equal(dump_take(&u, &d, 0), -ENOMEM);
	assert_int_equal(u.heard->n_end, 0);
	dump_free(&u);
}

static void records_of_another_size_are_fitted(void **state)
{
	static uint8_t wide[300][136];
	uint8_t narrow[300][112];
	struct flyrep_ct recs[300], want;
	struct datagram d = { 0 };
	struct dump u;
	size_t i;

	(void)state;
	fill(recs, 300);
	memset(wide, 0xaa, sizeof(wide));
	for (i = 0; i < 300; i++) {
		memcpy(wide[i], &recs[i], sizeof(recs[i]));
		memcpy(narrow[i], &recs[i], sizeof(narrow[i]));
	}
	dump_init(&u, FLYREP_CMD_DRAIN);
	drain_records(&d, wide, sizeof(wide[0]), 300);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	assert_int_equal(u.heard->n, 300);
	assert_memory_equal(u.heard->recs, recs, sizeof(recs));

	u.heard->n = 0;
	drain_records(&d, narrow, sizeof(narrow[0]), 300);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	assert_int_equal(u.heard->n, 300);
	for (i = 0; i < 300; i++) {
		want = (struct flyrep_ct){ 0 };
		memcpy(&want, &recs[i], sizeof(narrow[i]));
		assert_memory_equal(&u.heard->recs[i], &want, sizeof(want));
	}

	/* More of them than fit the room where they are fitted. */
	u.heard->n = 0;
	command(&d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d.nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	memset(narrow, 0, sizeof(narrow));
	put_records(&d, narrow, 32, 1000);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	assert_int_equal(u.heard->n, 1000);
	dump_free(&u);
}

static void records_are_aligned_whatever_netlink_does(void **state)
{
	struct flyrep_ct recs[3];
	struct datagram d = { 0 };
	struct dump u;
	unsigned int i;

	(void)state;
	fill(recs, 3);
	for (i = 0; i < 2; i++) {
		dump_init(&u, FLYREP_CMD_DRAIN);
		/* 4 bytes more in front, or not: one of the two is misaligned. */
		command(&d, FLYREP_CMD_DRAIN, SEQ);
		if (i)
			mnl_attr_put(d.nlh, FLYREP_A_PAD, 0, NULL);
		mnl_attr_put_u8(d.nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
		put_records(&d, recs, sizeof(recs[0]), 3);
		assert_int_equal(dump_take(&u, &d, 0), 1);
		assert_memory_equal(u.heard->recs, recs, sizeof(recs));
		dump_free(&u);
	}
}

static void hints_are_handed_out_aligned_and_in_order(void **state)
{
	const struct flyrep_hint *h;
	struct datagram d = { 0 };
	uint8_t hints[512];
	size_t len = 0, i;
	struct dump u;

	(void)state;
	len += hint_make(hints, FLYREP_HINT_FLUSH, 0, 1);
	len += hint_make(hints + len, FLYREP_HINT_ELEMENT, 4, 2);
	len += hint_make(hints + len, FLYREP_HINT_ELEMENT, 64, 3);
	len += hint_make(hints + len, FLYREP_HINT_ELEMENT, 7, 4);
	len += hint_make(hints + len, FLYREP_HINT_GENERATION, 0, 0);
	len += hint_make(hints + len, 200, 3, 5); /* of a newer module */
	for (i = 0; i < 2; i++) {
		dump_init(&u, FLYREP_CMD_DRAIN);
		command(&d, FLYREP_CMD_DRAIN, SEQ);
		if (i)
			mnl_attr_put(d.nlh, FLYREP_A_PAD, 0, NULL);
		mnl_attr_put_u8(d.nlh, FLYREP_A_TABLE, FLYREP_TABLE_NFT_SET);
		mnl_attr_put(d.nlh, FLYREP_A_HINTS, len, hints);
		drain_hints(&d, hints, FLYREP_HINT_LEN(0));
		assert_int_equal(dump_take(&u, &d, 0), 1);
		assert_int_equal(u.heard->hints_len, len + FLYREP_HINT_LEN(0));
		assert_memory_equal(u.heard->hints, hints, len);

		h = (const void *)u.heard->hints;
		assert_int_equal(h->what, FLYREP_HINT_FLUSH);
		h = fr_genl_hint_next(fr_genl_hint_next(h));
		assert_int_equal(h->key_len, 64);
		assert_int_equal(fr_genl_hint_key(h)[63], 3);
		h = fr_genl_hint_next(h);
		assert_int_equal(h->key_len, 7);
		assert_int_equal(fr_genl_hint_next(h)->what,
				 FLYREP_HINT_GENERATION);
		dump_free(&u);
	}
}

static void a_wake_is_heard_at_any_time(void **state)
{
	struct datagram d = { 0 };
	struct dump u;

	(void)state;
	dump_init(&u, 0);
	command(&d, FLYREP_CMD_WAKE, 0);
	assert_int_equal(dump_take(&u, &d, 0), 0);
	assert_int_equal(u.heard->n_wake, 1);
	dump_free(&u);

	dump_init(&u, FLYREP_CMD_DRAIN);
	command(&d, FLYREP_CMD_WAKE, 0);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	assert_int_equal(u.heard->n_wake, 1);
	dump_free(&u);
}

static void what_belongs_to_others_is_skipped(void **state)
{
	struct flyrep_ct rec;
	struct datagram d = { 0 };
	struct dump u;

	(void)state;
	fill(&rec, 1);
	dump_init(&u, FLYREP_CMD_DRAIN);
	refusal(&d, SEQ - 1, -EPERM, "of a request before");
	assert_int_equal(dump_take(&u, &d, 0), 1);
	dump_free(&u);

	dump_init(&u, 0);
	drain_records(&d, &rec, sizeof(rec), 1);
	done(&d, 0, NULL);
	assert_int_equal(dump_take(&u, &d, 0), 0);
	assert_int_equal(u.heard->n, 0);
	dump_free(&u);

	/* A table from the future, in a drain. */
	dump_init(&u, FLYREP_CMD_DRAIN);
	command(&d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d.nlh, FLYREP_A_TABLE, 200);
	put_records(&d, &rec, sizeof(rec), 1);
	assert_int_equal(dump_take(&u, &d, 0), 1);
	assert_int_equal(u.heard->n, 0);
	dump_free(&u);
}

/* --- writing ------------------------------------------------------------ */

/* As fuzz_genl takes it: the command, a length (16 bits, little endian), a datagram. */
static int seed(const char *name, uint8_t cmd, struct datagram *d)
{
	char *out;
	int bad;

	message_end(d);
	out = malloc(3 + d->len);
	if (!out)
		abort();
	out[0] = (char)cmd;
	out[1] = (char)(d->len & 0xff);
	out[2] = (char)(d->len >> 8);
	memcpy(out + 3, d->buf, d->len);
	bad = seed_write("genl", name, out, 3 + d->len);
	free(out);
	free(d->buf);
	memset(d, 0, sizeof(*d));
	return bad;
}

static int write_seeds(void)
{
	struct flyrep_ct recs[3];
	struct datagram d = { 0 };
	uint8_t hints[256];
	size_t len;
	int bad;

	fill(recs, 3);
	drain_records(&d, recs, sizeof(recs[0]), 3);
	drain_records(&d, recs, 64, 6);
	drain_dirty(&d, 1);
	drain_end(&d, 9);
	done(&d, 0, NULL);
	bad = seed("drain", FLYREP_CMD_DRAIN, &d);

	put_phase(&d, FLYREP_PHASE_BEGIN, 3);
	put_phase(&d, FLYREP_PHASE_DATA, 0);
	put_records(&d, recs, sizeof(recs[0]), 3);
	put_phase(&d, FLYREP_PHASE_END, 4);
	done(&d, 0, NULL);
	bad |= seed("snapshot", FLYREP_CMD_SNAPSHOT, &d);

	len = hint_make(hints, FLYREP_HINT_FLUSH, 0, 1);
	len += hint_make(hints + len, FLYREP_HINT_ELEMENT, 4, 2);
	len += hint_make(hints + len, FLYREP_HINT_ELEMENT, 17, 3);
	len += hint_make(hints + len, FLYREP_HINT_GENERATION, 0, 0);
	drain_hints(&d, hints, len);
	drain_end(&d, 9);
	done(&d, 0, NULL);
	bad |= seed("hints", FLYREP_CMD_DRAIN, &d);

	refusal(&d, SEQ, -EPERM, "another socket is the reader");
	bad |= seed("refusal", FLYREP_CMD_DRAIN, &d);

	command(&d, FLYREP_CMD_WAKE, 0);
	bad |= seed("wake", FLYREP_CMD_UNSPEC, &d);
	return bad;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_drain_hands_out_all),
		cmocka_unit_test(a_snapshot_ends_only_when_it_is_confirmed),
		cmocka_unit_test(a_snapshot_of_nothing_is_one),
		cmocka_unit_test(an_interrupted_snapshot_never_ends),
		cmocka_unit_test(an_error_ends_the_dump_with_the_kernels_words),
		cmocka_unit_test(records_of_another_size_are_fitted),
		cmocka_unit_test(records_are_aligned_whatever_netlink_does),
		cmocka_unit_test(hints_are_handed_out_aligned_and_in_order),
		cmocka_unit_test(a_wake_is_heard_at_any_time),
		cmocka_unit_test(what_belongs_to_others_is_skipped),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_seeds();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
