// SPDX-License-Identifier: GPL-2.0-or-later
/* Bounded cursors: values, bounds, and that a failure sticks. */
#include "cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void integers_are_big_endian(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4,  5,  6,  7, 8,
					 9, 10, 11, 12, 13, 14, 15 };
	struct fr_reader r;
	struct fr_writer w;
	uint8_t buf[sizeof(bytes)];

	(void)state;
	fr_reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(fr_get_u8(&r), 1);
	assert_int_equal(fr_get_be16(&r), 0x0203);
	assert_int_equal(fr_get_be32(&r), 0x04050607);
	assert_true(fr_get_be64(&r) == 0x08090a0b0c0d0e0fULL);
	assert_int_equal(fr_reader_left(&r), 0);
	assert_false(r.bad);

	fr_writer_init(&w, buf, sizeof(buf));
	fr_put_u8(&w, 1);
	fr_put_be16(&w, 0x0203);
	fr_put_be32(&w, 0x04050607);
	fr_put_be64(&w, 0x08090a0b0c0d0e0fULL);
	assert_false(w.bad);
	assert_int_equal(fr_writer_len(&w), sizeof(bytes));
	assert_memory_equal(buf, bytes, sizeof(bytes));
}

static void an_overrun_of_a_reader_sticks(void **state)
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff };
	uint8_t out[4] = { 1, 1, 1, 1 };
	struct fr_reader r;

	(void)state;
	fr_reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(fr_get_be32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(fr_get_u8(&r), 0);
	assert_int_equal(fr_reader_left(&r), 0);
	assert_null(fr_get_ref(&r, 0));
	fr_get_bytes(&r, out, sizeof(out));
	assert_memory_equal(out, "\0\0\0\0", sizeof(out));

	/* A length near the top of the address space must not wrap. */
	fr_reader_init(&r, bytes, sizeof(bytes));
	fr_get_u8(&r);
	assert_null(fr_get_ref(&r, SIZE_MAX));
	assert_true(r.bad);

	fr_reader_init(&r, NULL, 0);
	assert_non_null(fr_get_ref(&r, 0));
	assert_false(r.bad);
	assert_int_equal(fr_get_u8(&r), 0);
	assert_true(r.bad);
}

static void an_overrun_of_a_writer_sticks(void **state)
{
	uint8_t buf[5] = { 0 };
	struct fr_writer w;

	(void)state;
	fr_writer_init(&w, buf, 3);
	fr_put_be16(&w, 0xabcd);
	fr_put_be16(&w, 0xabcd);
	assert_true(w.bad);
	fr_put_u8(&w, 0xff);
	assert_null(fr_put_room(&w, 0));
	assert_int_equal(fr_writer_len(&w), 2);
	assert_memory_equal(buf, "\xab\xcd\0\0\0", sizeof(buf));

	fr_writer_init(&w, buf, 3);
	assert_null(fr_put_room(&w, SIZE_MAX));
	assert_true(w.bad);
}

static void varints_round_trip(void **state)
{
	static const struct {
		uint64_t v;
		size_t len;
	} cases[] = {
		{ 0, 1 },
		{ 0x7f, 1 },
		{ 0x80, 2 },
		{ 0x3fff, 2 },
		{ 0x4000, 3 },
		{ UINT32_MAX, 5 },
		{ 1ULL << 63, 10 },
		{ UINT64_MAX, 10 },
	};
	struct fr_reader r;
	struct fr_writer w;
	uint8_t buf[16];
	size_t i, len;

	(void)state;
	for (i = 0; i < N_OF(cases); i++) {
		fr_writer_init(&w, buf, sizeof(buf));
		fr_put_varint(&w, cases[i].v);
		assert_int_equal(fr_writer_len(&w), cases[i].len);
		fr_reader_init(&r, buf, cases[i].len);
		assert_true(fr_get_varint(&r) == cases[i].v);
		assert_false(r.bad);
		assert_int_equal(fr_reader_left(&r), 0);
		for (len = 0; len < cases[i].len; len++) {
			fr_reader_init(&r, buf, len);
			assert_true(fr_get_varint(&r) == 0);
			assert_true(r.bad);
		}
	}
}

static void varints_have_one_form(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "\x80\x00", 2 }, /* 0 with an idle byte */
		{ "\xff\x80\x00", 3 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10 }, /* 65 bits */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11 },
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11 },
	};
	struct fr_reader r;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(bad); i++) {
		fr_reader_init(&r, bad[i].bytes, bad[i].len);
		assert_true(fr_get_varint(&r) == 0);
		assert_true(r.bad);
	}
}

static void strings_are_bounded_and_without_nul(void **state)
{
	char s[4] = "xxx", longest[256], too_long[257];
	struct fr_reader r;
	struct fr_writer w;
	uint8_t buf[300];

	(void)state;
	fr_reader_init(&r, "\3abc\0", 5);
	fr_get_str8(&r, s, sizeof(s));
	assert_string_equal(s, "abc");
	fr_get_str8(&r, s, sizeof(s));
	assert_string_equal(s, "");
	assert_false(r.bad);

	fr_reader_init(&r, "\4abcd", 5);
	fr_get_str8(&r, s, sizeof(s));
	assert_string_equal(s, "");
	assert_true(r.bad);

	fr_reader_init(&r, "\3a\0c", 4);
	fr_get_str8(&r, s, sizeof(s));
	assert_string_equal(s, "");
	assert_true(r.bad);

	fr_reader_init(&r, "\3ab", 3);
	fr_get_str8(&r, s, sizeof(s));
	assert_string_equal(s, "");
	assert_true(r.bad);

	memset(longest, 'a', 255);
	longest[255] = 0;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_put_str8(&w, longest);
	assert_false(w.bad);
	assert_int_equal(fr_writer_len(&w), 256);
	memset(too_long, 'a', 256);
	too_long[256] = 0;
	fr_put_str8(&w, too_long);
	assert_true(w.bad);
	assert_int_equal(fr_writer_len(&w), 256);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_big_endian),
		cmocka_unit_test(an_overrun_of_a_reader_sticks),
		cmocka_unit_test(an_overrun_of_a_writer_sticks),
		cmocka_unit_test(varints_round_trip),
		cmocka_unit_test(varints_have_one_form),
		cmocka_unit_test(strings_are_bounded_and_without_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
