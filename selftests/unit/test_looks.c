// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Looks are taken in their order, in runs of one set, never before their time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "looks.h"
#include "sets.h"

static struct set sets[2];

static struct look look_of(unsigned int set, uint64_t at_ms, uint8_t byte)
{
	return (struct look){ .set = &sets[set], .at_ms = at_ms, .key_len = 1, .key = { byte } };
}

static void add(struct looks *q, unsigned int set, uint64_t at_ms, uint8_t byte)
{
	struct look l = look_of(set, at_ms, byte);

	assert_int_equal(looks_add(q, &l), 0);
}

static void test_runs_of_one_set(void **state)
{
	struct looks q = { 0 };
	struct look out[8];

	(void)state;
	assert_int_equal(looks_take(&q, 100, out, 8), 0);
	assert_true(looks_next_ms(&q) == UINT64_MAX);
	add(&q, 0, 10, 1);
	add(&q, 0, 10, 2);
	add(&q, 1, 10, 3);
	add(&q, 0, 10, 4);
	assert_int_equal(looks_next_ms(&q), 10);
	assert_int_equal(looks_take(&q, 9, out, 8), 0);
	assert_int_equal(looks_take(&q, 10, out, 8), 2);
	assert_int_equal(out[1].key[0], 2);
	assert_int_equal(looks_take(&q, 10, out, 8), 1);
	assert_ptr_equal(out[0].set, &sets[1]);
	add(&q, 0, 50, 5);
	assert_int_equal(looks_take(&q, 10, out, 8), 1);
	assert_int_equal(looks_next_ms(&q), 50);
	assert_int_equal(looks_take(&q, 50, out, 8), 1);
	assert_int_equal(out[0].key[0], 5);
	looks_free(&q);
}

static void test_bounded_and_in_order(void **state)
{
	uint64_t n_in = 0, n_out = 0, i;
	struct looks q = { 0 };
	struct look out[64], l;
	size_t n;

	(void)state;
	while (n_in < 3 * LOOKS_MAX) {
		for (i = 0; i < 1000; i++) {
			l = look_of(0, n_in, 0);
			if (looks_add(&q, &l))
				break;
			n_in++;
		}
		if (i < 1000)
			assert_int_equal(n_in - n_out, LOOKS_MAX);
		for (i = 0; i < 12; i++) {
			n = looks_take(&q, UINT64_MAX - 1, out, 64);
			for (size_t k = 0; k < n; k++)
				assert_int_equal(out[k].at_ms, n_out++);
		}
	}
	assert_true(q.room <= 2 * LOOKS_MAX);
	looks_free(&q);
}

static void test_keys_grow(void **state)
{
	struct keys k = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		uint8_t *room = keys_room(&k);

		assert_non_null(room);
		memset(room, (int)i, 48);
		keys_added(&k, 48);
	}
	assert_int_equal(k.n, 5000);
	for (i = 0; i < 5000; i++)
		assert_int_equal(k.recs[48 * i + 47], i & 0xff);
	keys_reset(&k);
	assert_ptr_equal(keys_room(&k), k.recs);
	keys_free(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_of_one_set),
		cmocka_unit_test(test_bounded_and_in_order),
		cmocka_unit_test(test_keys_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
