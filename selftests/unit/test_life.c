// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a kernel: the same as long as it lasts, another one in each namespace. */

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "life.h"

static void the_same_twice(void **state)
{
	uint8_t a[FR_LIFE_LEN], b[FR_LIFE_LEN], zero[FR_LIFE_LEN] = { 0 };

	(void)state;
	assert_int_equal(life_read(a), 0);
	assert_int_equal(life_read(b), 0);
	assert_memory_equal(a, b, FR_LIFE_LEN);
	assert_memory_not_equal(a, zero, FR_LIFE_LEN);
	assert_false(life_is_another(a, b));
	assert_false(life_is_another(a, zero));
	assert_false(life_is_another(zero, a));
}

/* Last: there is no way back. */
static void another_namespace_is_another_life(void **state)
{
	uint8_t a[FR_LIFE_LEN], b[FR_LIFE_LEN];

	(void)state;
	assert_int_equal(life_read(a), 0);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 && unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(life_read(b), 0);
	assert_true(life_is_another(a, b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_twice),
		cmocka_unit_test(another_namespace_is_another_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
