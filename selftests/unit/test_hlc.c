// SPDX-License-Identifier: GPL-2.0-or-later
/* The hybrid logical clock: grows whatever the wall clock does, and no peer drags it along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hlc.h"

#define WALL 1700000000000

static uint64_t stamp_of(uint64_t ms, uint64_t counter)
{
	return ms << HLC_COUNTER_BITS | counter;
}

static void test_follows_the_wall_clock(void **state)
{
	struct hlc h = { .tolerance_ms = 100 };

	(void)state;
	assert_true(hlc_tick(&h, WALL) == stamp_of(WALL, 0));
	assert_true(hlc_tick(&h, WALL) == stamp_of(WALL, 1));
	assert_true(hlc_tick(&h, WALL + 5) == stamp_of(WALL + 5, 0));
}

static void test_goes_on_when_the_wall_clock_goes_back(void **state)
{
	struct hlc h = { .tolerance_ms = 100 };

	(void)state;
	hlc_tick(&h, WALL);
	assert_true(hlc_tick(&h, WALL - 3600000) == stamp_of(WALL, 1));
	assert_true(hlc_tick(&h, 0) == stamp_of(WALL, 2));
	/* and after a restart */
	h = (struct hlc){ .tolerance_ms = 100 };
	hlc_restore(&h, stamp_of(WALL, 7));
	hlc_restore(&h, stamp_of(WALL, 3));
	assert_true(hlc_tick(&h, WALL - 3600000) == stamp_of(WALL, 8));
}

static void test_a_full_counter_carries(void **state)
{
	struct hlc h = { .last = stamp_of(WALL, 0xffff) };

	(void)state;
	assert_true(hlc_tick(&h, WALL) == stamp_of(WALL + 1, 0));
}

static void test_what_was_seen_is_earlier(void **state)
{
	struct hlc h = { .tolerance_ms = 100 };
	bool is_clamped;

	(void)state;
	assert_int_equal(hlc_observe(&h, WALL, stamp_of(WALL + 100, 9), &is_clamped), 100);
	assert_false(is_clamped);
	assert_true(hlc_tick(&h, WALL) == stamp_of(WALL + 100, 10));
	assert_int_equal(hlc_observe(&h, WALL, stamp_of(WALL - 50, 9), NULL), 0);
	assert_true(hlc_tick(&h, WALL) == stamp_of(WALL + 100, 11));
	assert_int_equal(h.n_clamped, 0);
}

static void test_a_wrong_clock_does_not_drag_along(void **state)
{
	struct hlc h = { .tolerance_ms = 100 };
	bool is_clamped;

	(void)state;
	assert_int_equal(hlc_observe(&h, WALL, stamp_of(WALL + 3600000, 0), &is_clamped), 3600000);
	assert_true(is_clamped);
	assert_int_equal(h.n_clamped, 1);
	assert_true(hlc_tick(&h, WALL) <= stamp_of(WALL + 101, 0));
	/* as far as it goes */
	hlc_observe(&h, WALL, UINT64_MAX, &is_clamped);
	assert_true(is_clamped);
	assert_true(hlc_tick(&h, WALL) <= stamp_of(WALL + 101, 1));
}

static void test_never_twice(void **state)
{
	struct hlc h = { .tolerance_ms = 50 };
	unsigned int seed = 3, i;
	uint64_t last = 0, stamp, wall = WALL;

	(void)state;
	for (i = 0; i < 100000; i++) {
		wall += (uint64_t)(rand_r(&seed) % 100) - 48;
		if (rand_r(&seed) % 3 == 0)
			hlc_observe(&h, wall, stamp_of(wall + rand_r(&seed) % 200, 5), NULL);
		stamp = hlc_tick(&h, wall);
		assert_true(stamp > last);
		last = stamp;
	}
	assert_true(h.n_clamped > 1000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follows_the_wall_clock),
		cmocka_unit_test(test_goes_on_when_the_wall_clock_goes_back),
		cmocka_unit_test(test_a_full_counter_carries),
		cmocka_unit_test(test_what_was_seen_is_earlier),
		cmocka_unit_test(test_a_wrong_clock_does_not_drag_along),
		cmocka_unit_test(test_never_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
