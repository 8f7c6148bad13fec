// SPDX-License-Identifier: GPL-2.0-or-later
/* The backlog against a model that keeps everything it ever pushed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backlog.h"

struct drops {
	struct backlog *bl;
	uint64_t next; /* the number that must be dropped next */
	uint64_t n;
	uint64_t n_buckets;
};

static void on_drop(void *cookie, const struct backlog_batch *b)
{
	struct drops *d = cookie;

	/* Oldest first, and still there while we are told. */
	assert_int_equal(b->seq, backlog_first_seq(d->bl));
	assert_ptr_equal(backlog_get(d->bl, b->seq), b);
	if (d->next)
		assert_int_equal(b->seq, d->next++);
	d->n++;
	d->n_buckets += b->n_changes;
}

/* Batch number i: all of it follows from i. */
static struct backlog_batch batch_of(uint64_t i, uint8_t *frame,
				     uint16_t *buckets)
{
	struct backlog_batch b = {
		.seq = 12345, /* ignored */
		.captured_ns = i * 3,
		.encoded_ns = i * 5,
		.table = 1 + i % 5,
		.n_changes = i * 7 % 60,
		.len = 16 + i * 13 % 900,
		.frame = frame,
		.buckets = buckets,
	};
	unsigned int k;

	for (k = 0; k < b.len; k++)
		frame[k] = i + k;
	for (k = 0; k < b.n_changes; k++)
		buckets[k] = i * 31 + k;
	return b;
}

static void check(const struct backlog *bl, uint64_t seq)
{
	uint8_t frame[1000];
	uint16_t buckets[60];
	struct backlog_batch e = batch_of(seq, frame, buckets);
	const struct backlog_batch *b = backlog_get(bl, seq);

	assert_non_null(b);
	assert_int_equal(b->seq, seq);
	assert_int_equal(b->captured_ns, e.captured_ns);
	assert_int_equal(b->encoded_ns, e.encoded_ns);
	assert_int_equal(b->table, e.table);
	assert_int_equal(b->n_changes, e.n_changes);
	assert_int_equal(b->len, e.len);
	assert_memory_equal(b->frame, frame, e.len);
	assert_memory_equal(b->buckets, buckets, 2 * e.n_changes);
}

static uint64_t push(struct backlog *bl)
{
	uint8_t frame[1000];
	uint16_t buckets[60];
	struct backlog_batch b = batch_of(backlog_next_seq(bl), frame, buckets);

	return backlog_push(bl, &b);
}

static void check_all(const struct backlog *bl)
{
	uint64_t first = backlog_first_seq(bl), next = backlog_next_seq(bl);
	uint64_t changes = 0, bytes = 0, seq, n, len;

	backlog_pending(bl, next, &n, &len);
	assert_int_equal(n, 0);
	assert_int_equal(len, 0);
	for (seq = next - 1; seq >= first; seq--) {
		const struct backlog_batch *b = backlog_get(bl, seq);

		check(bl, seq);
		changes += b->n_changes;
		bytes += b->len;
		backlog_pending(bl, seq, &n, &len);
		assert_int_equal(n, changes);
		assert_int_equal(len, bytes);
	}
	/* What is gone does not count. */
	backlog_pending(bl, 0, &n, &len);
	assert_int_equal(n, changes);
	assert_int_equal(len, bytes);
	assert_null(backlog_get(bl, first - 1));
	assert_null(backlog_get(bl, next));
	assert_null(backlog_get(bl, 0));
	assert_null(backlog_get(bl, UINT64_MAX));
}

static void test_numbers_have_no_gap(void **state)
{
	struct drops d = { .next = 1 };
	uint64_t i;

	(void)state;
	d.bl = backlog_new(1 << 20, on_drop, &d);
	assert_non_null(d.bl);
	assert_int_equal(backlog_next_seq(d.bl), 1);
	assert_int_equal(backlog_first_seq(d.bl), 1);
	assert_int_equal(backlog_bytes(d.bl), 0);
	check_all(d.bl);
	for (i = 1; i <= 1000; i++) {
		assert_int_equal(push(d.bl), i);
		if (i % 100 == 0)
			check_all(d.bl);
	}
	assert_int_equal(d.n, 0);
	backlog_trim(d.bl, 400);
	assert_int_equal(backlog_first_seq(d.bl), 401);
	assert_int_equal(d.n, 0);
	check_all(d.bl);
	backlog_trim(d.bl, 0);
	backlog_trim(d.bl, 400);
	assert_int_equal(backlog_first_seq(d.bl), 401);
	backlog_trim(d.bl, UINT64_MAX);
	assert_int_equal(backlog_first_seq(d.bl), 1001);
	assert_int_equal(backlog_next_seq(d.bl), 1001);
	assert_int_equal(backlog_bytes(d.bl), 0);
	check_all(d.bl);
	assert_int_equal(push(d.bl), 1001);
	check_all(d.bl);
	backlog_free(d.bl);
	backlog_free(NULL);
}

static void test_the_oldest_make_room(void **state)
{
	struct drops d = { .next = 1 };
	uint64_t i, n_kept, seq;

	(void)state;
	d.bl = backlog_new(50000, on_drop, &d);
	for (i = 1; i <= 20000; i++) {
		assert_int_equal(push(d.bl), i);
		assert_in_range(backlog_bytes(d.bl), 1, 50000);
		n_kept = backlog_next_seq(d.bl) - backlog_first_seq(d.bl);
		assert_int_equal(d.n + n_kept, i);
		if (i % 1000 == 0)
			check_all(d.bl);
		/* It is full: not much less than the bound, once past it. */
		if (i > 1000)
			assert_in_range(backlog_bytes(d.bl), 48000, 50000);
	}
	/* The bytes are those of what is kept, exactly: they go to 0. */
	for (seq = backlog_first_seq(d.bl); seq < backlog_next_seq(d.bl);
	     seq++) {
		size_t before = backlog_bytes(d.bl);
		const struct backlog_batch *b = backlog_get(d.bl, seq);
		size_t least = b->len + 2 * b->n_changes;

		backlog_trim(d.bl, seq);
		assert_in_range(before - backlog_bytes(d.bl), least,
				least + 200);
	}
	assert_int_equal(backlog_bytes(d.bl), 0);
	backlog_free(d.bl);
}

static void test_too_large_changes_nothing(void **state)
{
	static uint8_t frame[100000];
	struct drops d = { .next = 1 };
	struct backlog_batch b = { .len = sizeof(frame), .frame = frame };
	struct backlog *bl;

	(void)state;
	d.bl = bl = backlog_new(10000, on_drop, &d);
	assert_int_equal(push(bl), 1);
	assert_int_equal(push(bl), 2);
	assert_int_equal(backlog_push(bl, &b), 0);
	assert_int_equal(d.n, 0);
	assert_int_equal(backlog_next_seq(bl), 3);
	check_all(bl);
	/* One that fills all of it drops all others. */
	b.len = 10000 - 120;
	assert_int_equal(backlog_push(bl, &b), 3);
	assert_int_equal(d.n, 2);
	assert_int_equal(backlog_first_seq(bl), 3);
	backlog_free(bl);

	d = (struct drops){ 0 };
	d.bl = bl = backlog_new(0, on_drop, &d);
	assert_int_equal(push(bl), 0);
	assert_int_equal(backlog_next_seq(bl), 1);
	backlog_free(bl);
}

static void test_random_pushes_and_trims(void **state)
{
	struct drops d = { 0 };
	unsigned int i;

	(void)state;
	srandom(1);
	d.bl = backlog_new(200000, on_drop, &d);
	for (i = 0; i < 30000; i++) {
		uint64_t first = backlog_first_seq(d.bl);
		uint64_t n = backlog_next_seq(d.bl) - first;

		if (random() % 50)
			assert_true(push(d.bl));
		else
			backlog_trim(d.bl, first - 1 + random() % (n + 5));
		assert_true(backlog_first_seq(d.bl) >= first);
		if (i % 500 == 0)
			check_all(d.bl);
	}
	assert_true(d.n > 0);
	check_all(d.bl);
	backlog_free(d.bl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_have_no_gap),
		cmocka_unit_test(test_the_oldest_make_room),
		cmocka_unit_test(test_too_large_changes_nothing),
		cmocka_unit_test(test_random_pushes_and_trims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
