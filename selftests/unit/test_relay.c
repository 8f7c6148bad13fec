// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "relay.h"

static struct relay_way way;

static void what_nobody_reads_is_acknowledged_at_once(void **state)
{
	(void)state;
	relay_start(&way, 40);
	assert_int_equal(relay_acked(&way, 41, 7, UINT64_MAX), 41);
	assert_int_equal(relay_acked(&way, 45, 9, UINT64_MAX), 45);
}

static void what_is_read_waits_for_the_last_reader(void **state)
{
	(void)state;
	relay_start(&way, 40);
	assert_int_equal(relay_acked(&way, 40, 6, 5), 40);
	assert_int_equal(relay_acked(&way, 41, 7, 5), 40);
	assert_int_equal(relay_acked(&way, 42, 8, 6), 40);
	assert_int_equal(relay_acked(&way, 43, 9, 7), 41);
	assert_int_equal(relay_acked(&way, 43, 9, 8), 42);
	assert_int_equal(relay_acked(&way, 43, 9, 9), 43);
	/* Nothing new was received; what led to nothing leaves with what was there. */
	assert_int_equal(relay_acked(&way, 44, 9, 9), 44);
}

/* With more on the way than there is room for, the last ones wait for the very last. */
static void a_long_way_acknowledges_late_and_never_too_much(void **state)
{
	uint64_t i;

	(void)state;
	relay_start(&way, 0);
	for (i = 1; i <= 3 * RELAY_WAY_LEN; i++)
		assert_int_equal(relay_acked(&way, i, i, 0), 0);
	assert_int_equal(relay_acked(&way, i, i, 10), 10);
	assert_int_equal(relay_acked(&way, i, i, i - 1), RELAY_WAY_LEN - 1);
	assert_int_equal(relay_acked(&way, i, i, i), i);
}

static void a_new_session_forgets_the_last(void **state)
{
	(void)state;
	relay_start(&way, 10);
	assert_int_equal(relay_acked(&way, 11, 3, 0), 10);
	relay_start(&way, 70);
	assert_int_equal(relay_acked(&way, 70, 5, 4), 70);
	assert_int_equal(relay_acked(&way, 71, 5, 5), 71);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_reads_is_acknowledged_at_once),
		cmocka_unit_test(what_is_read_waits_for_the_last_reader),
		cmocka_unit_test(a_long_way_acknowledges_late_and_never_too_much),
		cmocka_unit_test(a_new_session_forgets_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
