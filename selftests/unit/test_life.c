// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a kernel: the same as long as it lasts, another one in each namespace. */

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void that_of_a_peer_is_remembered(void **state)
{
	char dir[] = "/tmp/test_life.XXXXXX", path[64];
	uint8_t a[FR_LIFE_LEN] = "0123456789abcde", b[FR_LIFE_LEN], zero[FR_LIFE_LEN] = { 0 };
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	life_load(dir, "b", b);
	assert_memory_equal(b, zero, FR_LIFE_LEN);
	assert_int_equal(life_save(dir, "b", zero), 0);
	assert_int_equal(life_save(dir, "b", a), 0);
	life_load(dir, "b", b);
	assert_memory_equal(a, b, FR_LIFE_LEN);
	life_load(dir, "c", b);
	assert_memory_equal(b, zero, FR_LIFE_LEN);
	/* Half of one is none. */
	snprintf(path, sizeof(path), "%s/life.b", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("30313233", f);
	fclose(f);
	life_load(dir, "b", b);
	assert_memory_equal(b, zero, FR_LIFE_LEN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(life_save(dir, "b", a), -ENOENT);
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
		cmocka_unit_test(that_of_a_peer_is_remembered),
		cmocka_unit_test(another_namespace_is_another_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
