// SPDX-License-Identifier: GPL-2.0-or-later
/* Percentiles against sorted samples. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "latency.h"

#define MS 1000000ull
#define S (1000 * MS)
#define HOUR (3600 * S)

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void near(uint64_t got, uint64_t expected)
{
	uint64_t error = got > expected ? got - expected : expected - got;

	/* 1 us of resolution, 4 % of range. */
	if (error > 1000 && error > expected / 25)
		fail_msg("%llu instead of %llu", (unsigned long long)got,
			 (unsigned long long)expected);
}

static void test_every_magnitude_is_near(void **state)
{
	uint64_t value;

	(void)state;
	for (value = 1000; value <= HOUR; value += value / 7 + 1) {
		struct latency *l = latency_new(1000);

		latency_add(l, 5 * S, value, 1);
		near(latency_quantile_ns(l, 5 * S, 500), value);
		near(latency_quantile_ns(l, 5 * S, 1000), value);
		/* And with a larger one beside it, so that no maximum helps. */
		latency_add(l, 5 * S, HOUR, 1);
		near(latency_quantile_ns(l, 5 * S, 500), value);
		latency_free(l);
	}
}

static void test_quantiles_of_random_samples(void **state)
{
	static const unsigned int permille[] = { 0,   1,   100, 500,
						 900, 990, 999, 1000 };
	static uint64_t sorted[20000];
	struct latency *l = latency_new(60000);
	const size_t n = sizeof(sorted) / sizeof(sorted[0]);
	size_t i;

	(void)state;
	srandom(1);
	for (i = 0; i < n; i++) {
		/* Spread over magnitudes, as latencies are. */
		sorted[i] = 1000ull << random() % 20;
		sorted[i] += random() % sorted[i];
		latency_add(l, 100 * S + i * MS, sorted[i], 1);
	}
	qsort(sorted, n, sizeof(sorted[0]), compare);
	for (i = 0; i < sizeof(permille) / sizeof(permille[0]); i++) {
		size_t rank = (n * permille[i] + 999) / 1000;

		near(latency_quantile_ns(l, 120 * S, permille[i]),
		     sorted[rank ? rank - 1 : 0]);
	}
	assert_int_equal(latency_count(l, 120 * S), n);
	latency_free(l);
}

/* What has left the window counts in the total all the same. */
static void test_total(void **state)
{
	struct latency *l = latency_new(1000);
	double sum;
	uint64_t n;

	(void)state;
	latency_add(l, S, 250 * MS, 3);
	latency_add(l, 60 * S, 2 * HOUR, 1);
	latency_add(l, 60 * S, 5 * S, 0);
	assert_int_equal(latency_count(l, 90 * S), 0);
	latency_total(l, &n, &sum);
	assert_int_equal(n, 4);
	assert_true(sum > 3600.7499 && sum < 3600.7501);
	latency_free(l);
}

static void test_edges(void **state)
{
	struct latency *l = latency_new(1000);

	(void)state;
	assert_int_equal(latency_quantile_ns(l, 0, 500), 0);
	assert_int_equal(latency_quantile_ns(l, 9 * S, 1000), 0);
	assert_int_equal(latency_count(l, 9 * S), 0);
	latency_add(l, 9 * S, 5 * MS, 0);
	assert_int_equal(latency_count(l, 9 * S), 0);
	assert_int_equal(latency_quantile_ns(l, 9 * S, 500), 0);
	latency_add(l, 9 * S, UINT64_MAX, 1);
	assert_int_equal(latency_quantile_ns(l, 9 * S, 1000), HOUR);
	latency_add(l, 9 * S, 0, 1);
	assert_int_equal(latency_quantile_ns(l, 9 * S, 500), 0);
	/* Values to 63 us are exact. */
	latency_add(l, 9 * S, 63000, 100);
	assert_int_equal(latency_quantile_ns(l, 9 * S, 500), 63000);
	latency_add(l, 9 * S, 62499, 1000);
	assert_int_equal(latency_quantile_ns(l, 9 * S, 500), 62000);
	latency_free(l);

	l = latency_new(0);
	latency_add(l, 5, 7 * MS, 3);
	assert_int_equal(latency_count(l, 5), 3);
	latency_free(l);
	latency_free(NULL);
}

/* One sample of weight n is n samples. */
static void test_weights(void **state)
{
	struct latency *l = latency_new(1000);

	(void)state;
	latency_add(l, S, 1 * MS, 99);
	latency_add(l, S, 50 * MS, 1);
	near(latency_quantile_ns(l, S, 500), 1 * MS);
	near(latency_quantile_ns(l, S, 990), 1 * MS);
	near(latency_quantile_ns(l, S, 991), 50 * MS);
	assert_int_equal(latency_quantile_ns(l, S, 1000), 50 * MS);
	/* Far more than a product with 1000 has room for. */
	latency_add(l, S, 2 * MS, UINT64_MAX / 2);
	near(latency_quantile_ns(l, S, 500), 2 * MS);
	near(latency_quantile_ns(l, S, 999), 2 * MS);
	latency_free(l);
}

static void test_the_window_slides(void **state)
{
	struct latency *l = latency_new(8000);
	unsigned int i;

	(void)state;
	/* One sample each second, the i-th of i ms. */
	for (i = 1; i <= 30; i++) {
		latency_add(l, i * S, i * MS, 1);
		assert_int_equal(latency_count(l, i * S), i < 8 ? i : 8);
		near(latency_quantile_ns(l, i * S, 1000), i * MS);
		near(latency_quantile_ns(l, i * S, 0),
		     (i < 8 ? 1 : i - 7) * MS);
	}
	/* Time passes without samples: they leave one by one. */
	assert_int_equal(latency_count(l, 33 * S), 5);
	near(latency_quantile_ns(l, 33 * S, 0), 26 * MS);
	assert_int_equal(latency_count(l, 37 * S), 1);
	assert_int_equal(latency_count(l, 38 * S), 0);
	assert_int_equal(latency_quantile_ns(l, 38 * S, 1000), 0);
	/* A clock that steps back is taken for now. */
	latency_add(l, 20 * S, 3 * MS, 1);
	assert_int_equal(latency_count(l, 38 * S), 1);
	/* A leap over many windows leaves nothing of the old one. */
	latency_add(l, 1000000 * S, 4 * MS, 1);
	assert_int_equal(latency_count(l, 1000000 * S), 1);
	latency_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_magnitude_is_near),
		cmocka_unit_test(test_quantiles_of_random_samples),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_the_window_slides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
