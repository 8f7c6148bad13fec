// SPDX-License-Identifier: GPL-2.0-or-later
/* Durations, sizes, addresses and the nearest word. */
#include "address.h"
#include "nearest.h"
#include "units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void durations(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t ns;
		const char *back;
	} rows[] = {
		{ "0", 0, 0, "0s" },
		{ "0s", 0, 0, "0s" },
		{ "1ns", 0, 1, "1ns" },
		{ "1500us", 0, 1500000, "1ms500us" },
		{ "90m", 0, 5400000000000, "1h30m" },
		{ "1h30m", 0, 5400000000000, "1h30m" },
		{ "1w2d3h4m5s6ms7us8ns", 0, 788645006007008,
		  "1w2d3h4m5s6ms7us8ns" },
		{ "7d", 0, 604800000000000, "1w" },
		{ "24h", 0, 86400000000000, "1d" },
		{ "18446744073709551615ns", 0, UINT64_MAX, NULL },
		{ "18446744073709551616ns", -ERANGE, 0, NULL },
		{ "18446744073709551615ns1ns", -ERANGE, 0, NULL },
		{ "30501w", -ERANGE, 0, NULL },
		{ "", -EINVAL, 0, NULL },
		{ "10", -EINVAL, 0, NULL },
		{ "s", -EINVAL, 0, NULL },
		{ "-1s", -EINVAL, 0, NULL },
		{ "1.5s", -EINVAL, 0, NULL },
		{ "1 s", -EINVAL, 0, NULL },
		{ "1s ", -EINVAL, 0, NULL },
		{ "1S", -EINVAL, 0, NULL },
		{ "1y", -EINVAL, 0, NULL },
		{ "1hm", -EINVAL, 0, NULL },
		{ "1sm", -EINVAL, 0, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[FR_UNITS_TEXT_LEN];
		uint64_t ns = 0, again;

		assert_int_equal(fr_units_parse_duration(rows[i].text, &ns),
				 rows[i].err);
		assert_true(ns == rows[i].ns);
		if (rows[i].err)
			continue;
		fr_units_format_duration(ns, buf);
		if (rows[i].back)
			assert_string_equal(buf, rows[i].back);
		assert_int_equal(fr_units_parse_duration(buf, &again), 0);
		assert_true(again == ns);
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t n_bytes;
		const char *back;
	} rows[] = {
		{ "0", 0, 0, "0" },
		{ "1000", 0, 1000, "1000" },
		{ "1024", 0, 1024, "1k" },
		{ "64M", 0, 64 << 20, "64M" },
		{ "64MiB", 0, 64 << 20, "64M" },
		{ "64MB", 0, 64 << 20, "64M" },
		{ "8B", 0, 8, "8" },
		{ "1K", 0, 1024, "1k" },
		{ "3G", 0, 3ULL << 30, "3G" },
		{ "2048T", 0, 2048ULL << 40, "2048T" },
		{ "16777216T", -ERANGE, 0, NULL },
		{ "", -EINVAL, 0, NULL },
		{ "M", -EINVAL, 0, NULL },
		{ "1m", -EINVAL, 0, NULL },
		{ "1MM", -EINVAL, 0, NULL },
		{ "1iB", -EINVAL, 0, NULL },
		{ "1 M", -EINVAL, 0, NULL },
		{ "-1", -EINVAL, 0, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[FR_UNITS_TEXT_LEN];
		uint64_t n_bytes = 0;

		assert_int_equal(fr_units_parse_bytes(rows[i].text, &n_bytes),
				 rows[i].err);
		assert_true(n_bytes == rows[i].n_bytes);
		if (rows[i].back)
			assert_string_equal(fr_units_format_bytes(n_bytes, buf),
					    rows[i].back);
	}
}

static void addresses(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *back;
	} rows[] = {
		{ "192.0.2.1", 0, "192.0.2.1:9001" },
		{ "192.0.2.1:80", 0, "192.0.2.1:80" },
		{ "0.0.0.0:1", 0, "0.0.0.0:1" },
		{ "[2001:db8::1]", 0, "[2001:db8::1]:9001" },
		{ "[2001:db8::1]:65535", 0, "[2001:db8::1]:65535" },
		{ "[fe80::1%lo]:5", 0, "[fe80::1%lo]:5" },
		{ "[fe80::1%nosuchif]:5", -ENODEV, NULL },
		{ "", -EINVAL, NULL },
		{ "192.0.2.1:", -EINVAL, NULL },
		{ "192.0.2.1:0", -EINVAL, NULL },
		{ "192.0.2.1:65536", -EINVAL, NULL },
		{ "192.0.2.1:+80", -EINVAL, NULL },
		{ "192.0.2.1:8 ", -EINVAL, NULL },
		{ "192.0.2:80", -EINVAL, NULL },
		{ "192.0.2.256", -EINVAL, NULL },
		{ "2001:db8::1", -EINVAL, NULL },
		{ "[2001:db8::1", -EINVAL, NULL },
		{ "[2001:db8::1]9001", -EINVAL, NULL },
		{ "[192.0.2.1]:80", -EINVAL, NULL },
		{ "localhost:80", -EINVAL, NULL },
		{ "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]",
		  -EINVAL, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[FR_ADDRESS_TEXT_LEN];
		struct fr_address address;

		assert_int_equal(fr_address_parse(rows[i].text, 9001, &address),
				 rows[i].err);
		if (rows[i].err)
			assert_int_equal(address.sa_len, 0);
		else
			assert_string_equal(fr_address_format(&address, buf),
					    rows[i].back);
	}
}

static void networks(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *back;
	} rows[] = {
		{ "10.0.0.0/8", 0, "10.0.0.0/8" },
		{ "192.0.2.1", 0, "192.0.2.1/32" },
		{ "0.0.0.0/0", 0, "0.0.0.0/0" },
		{ "::/0", 0, "::/0" },
		{ "fe80::/10", 0, "fe80::/10" },
		{ "::1", 0, "::1/128" },
		{ "10.0.0.1/31", -EDOM, NULL },
		{ "fe80::1/64", -EDOM, NULL },
		{ "10.0.0.0/33", -EINVAL, NULL },
		{ "::/129", -EINVAL, NULL },
		{ "10.0.0.0/", -EINVAL, NULL },
		{ "10.0.0.0/-1", -EINVAL, NULL },
		{ "10/8", -EINVAL, NULL },
		{ "", -EINVAL, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[FR_ADDRESS_TEXT_LEN];
		struct fr_network network;

		assert_int_equal(fr_network_parse(rows[i].text, &network),
				 rows[i].err);
		if (!rows[i].err)
			assert_string_equal(fr_network_format(&network, buf),
					    rows[i].back);
	}
}

static void nearest(void **state)
{
	static const char *const candidates[] = {
		"status", "lag", "ready", "role", "validate", "config"
	};
	static const struct {
		const char *word;
		const char *best;
	} rows[] = {
		{ "stauts", "status" }, { "stat", "status" },
		{ "lga", "lag" },	{ "raedy", "ready" },
		{ "rol", "role" },	{ "validaet", "validate" },
		{ "x", NULL },		{ "", NULL },
		{ "frobnicate", NULL }, { "conf", "config" },
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fr_nearest search;

		fr_nearest_init(&search, rows[i].word);
		for (j = 0; j < sizeof(candidates) / sizeof(candidates[0]); j++)
			fr_nearest_offer(&search, candidates[j]);
		if (rows[i].best)
			assert_string_equal(search.best, rows[i].best);
		else
			assert_null(search.best);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations), cmocka_unit_test(sizes),
		cmocka_unit_test(addresses), cmocka_unit_test(networks),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
