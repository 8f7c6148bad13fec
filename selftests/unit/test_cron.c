// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cron: what parses and what does not, and when it is due. The generated cases are held
 * against a model that walks through time minute by minute.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cron.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static struct fr_cron parsed(const char *text)
{
	struct fr_cron cron;
	char why[200];

	if (fr_cron_parse(&cron, text, why, sizeof(why)))
		fail_msg("\"%s\": %s", text, why);
	return cron;
}

/* "2026-03-29 03:00 +0200" of an instant, in the zone that is set */
static const char *local(time_t t)
{
	static char text[40];
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M %z", &tm);
	return text;
}

static time_t utc(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return timegm(&tm);
}

static void fields_are_read(void **state)
{
	struct fr_cron c = parsed("0 2 * * *");

	(void)state;
	assert_true(c.minutes == 1 && c.hours == 4);
	assert_int_equal(c.days, 0xfffffffe);
	assert_int_equal(c.months, 0x1ffe);
	assert_int_equal(c.weekdays, 0x7f);
	assert_false(c.is_either_day);
	c = parsed(" */15\t0-4/2,23  1,15 jan-MAR,12 Mon-fri ");
	assert_true(c.minutes == (1ull | 1ull << 15 | 1ull << 30 | 1ull << 45));
	assert_int_equal(c.hours, 1 | 1 << 2 | 1 << 4 | 1 << 23);
	assert_int_equal(c.days, 1 << 1 | 1 << 15);
	assert_int_equal(c.months, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 12);
	assert_int_equal(c.weekdays, 0x3e);
	assert_true(c.is_either_day);
	assert_int_equal(parsed("0 0 * * 0").weekdays, 1);
	assert_int_equal(parsed("0 0 * * 7").weekdays, 1);
	assert_int_equal(parsed("0 0 * * sun").weekdays, 1);
	assert_int_equal(parsed("0 0 * * 5-7").weekdays, 0x61);
	assert_int_equal(parsed("0 0 * * fri-sun").weekdays, 0x61);
	assert_int_equal(parsed("0 0 * * sun-tue").weekdays, 7);
	assert_false(parsed("0 0 */2 * 1").is_either_day);
	assert_int_equal(parsed("0 0 29 2 *").days, 1 << 29);
}

static void faults_are_named(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "column 1: minute: a number is missing" },
		{ "0 2 * *", "column 8: day of the week: a number is missing" },
		{ "0 2 * * * *", "column 11: more than five fields" },
		{ "60 2 * * *", "column 1: minute: 0 to 59" },
		{ "0 24 * * *", "column 3: hour: 0 to 23" },
		{ "0 0 0 * *", "column 5: day of the month: 1 to 31" },
		{ "0 0 * 13 *", "column 7: month: 1 to 12" },
		{ "0 0 * * 8", "column 9: day of the week: 0 to 7" },
		{ "0 0 * * 99999999999999999999", "column 9: day of the week: 0 to 7" },
		{ "0 0 * foo *", "column 7: month: \"foo\" is no name here" },
		{ "0 0 * january *", "column 7: month: \"january\" is no name here" },
		{ "jan 0 * * *", "column 1: minute: \"jan\" is no name here" },
		{ "5/10 0 * * *", "column 2: minute: a step needs a range or *" },
		{ "*/0 0 * * *", "column 3: minute: a step of 1 to 59" },
		{ "*/60 0 * * *", "column 3: minute: a step of 1 to 59" },
		{ "*/ 0 * * *", "column 3: minute: a number is missing" },
		{ "30-10 0 * * *", "column 1: minute: the range ends before it begins" },
		{ "0 0 * * fri-mon", "column 9: day of the week: the range ends before it begins" },
		{ "1, 0 * * *", "column 3: minute: a number is missing" },
		{ "1-2-3 0 * * *", "column 4: minute: \"-\" was not expected" },
		{ "*5 0 * * *", "column 2: minute: \"5\" was not expected" },
		{ "-1 0 * * *", "column 1: minute: a number was expected" },
		{ "0 0 31 2 *", "no month has such a day" },
		{ "0 0 31 4,6 *", "no month has such a day" },
		{ "@daily", "column 1: minute: a number was expected" },
	};
	struct fr_cron c;
	char why[200];
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(cases); i++) {
		assert_int_equal(fr_cron_parse(&c, cases[i].text, why, sizeof(why)), -EINVAL);
		assert_string_equal(why, cases[i].why);
	}
	/* Either day will do, and the 31st of February need not come. */
	parsed("0 0 31 2 mon");
}

static void it_is_due(void **state)
{
	static const struct {
		const char *zone, *cron, *after_utc, *due;
	} cases[] = {
		{ "UTC", "0 2 * * *", "2026-01-01 00:00", "2026-01-01 02:00 +0000" },
		{ "UTC", "0 2 * * *", "2026-01-01 02:00", "2026-01-02 02:00 +0000" },
		{ "UTC", "59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59 +0000" },
		{ "UTC", "0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00 +0000" },
		{ "UTC", "0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00 +0000" },
		{ "UTC", "0 0 13 * fri", "2026-01-01 00:00", "2026-01-02 00:00 +0000" },
		{ "UTC", "0 0 13 * fri", "2026-01-10 00:00", "2026-01-13 00:00 +0000" },
		{ "UTC", "0 0 */7 * sun", "2026-01-01 00:00", "2026-02-01 00:00 +0000" },
		{ "UTC", "0 12 * * 7", "2026-01-01 00:00", "2026-01-04 12:00 +0000" },
		{ "UTC", "0 0 1 1 *", "1969-12-31 23:59", "1970-01-01 00:00 +0000" },
		/* 02:00 to 03:00 does not come */
		{ "Europe/Berlin", "30 2 * * *", "2026-03-28 12:00", "2026-03-29 03:00 +0200" },
		{ "Europe/Berlin", "30 2 * * *", "2026-03-29 01:00", "2026-03-30 02:30 +0200" },
		{ "Europe/Berlin", "*/20 * * * *", "2026-03-29 00:40", "2026-03-29 03:00 +0200" },
		{ "Europe/Berlin", "*/20 * * * *", "2026-03-29 01:00", "2026-03-29 03:20 +0200" },
		{ "Europe/Berlin", "59 1 * * *", "2026-03-28 12:00", "2026-03-29 01:59 +0100" },
		/* 02:00 to 03:00 comes twice */
		{ "Europe/Berlin", "30 2 * * *", "2026-10-24 12:00", "2026-10-25 02:30 +0200" },
		{ "Europe/Berlin", "30 2 * * *", "2026-10-25 00:30", "2026-10-26 02:30 +0100" },
		{ "Europe/Berlin", "30 2 * * *", "2026-10-25 01:10", "2026-10-26 02:30 +0100" },
		{ "Europe/Berlin", "*/30 * * * *", "2026-10-25 00:30", "2026-10-25 03:00 +0100" },
		{ "Europe/Berlin", "0 3 * * *", "2026-10-24 12:00", "2026-10-25 03:00 +0100" },
		{ "America/New_York", "15 2 * * *", "2026-03-08 00:00", "2026-03-08 03:00 -0400" },
		{ "America/New_York", "15 1 * * *", "2026-11-01 05:15", "2026-11-02 01:15 -0500" },
		/* half an hour */
		{ "Australia/Lord_Howe", "10 2 * * *", "2026-10-03 12:00", "2026-10-04 02:30 +1100" },
		{ "Australia/Lord_Howe", "45 1 * * *", "2026-04-04 14:45", "2026-04-06 01:45 +1030" },
		/* at midnight: the day begins at one */
		{ "America/Sao_Paulo", "0 0 * * *", "2018-11-03 12:00", "2018-11-04 01:00 -0200" },
		/* a day that was left out */
		{ "Pacific/Apia", "0 12 30 12 *", "2011-12-29 12:00", "2011-12-31 00:00 +1400" },
	};
	struct fr_cron c;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(cases); i++) {
		set_zone(cases[i].zone);
		c = parsed(cases[i].cron);
		assert_string_equal(local(fr_cron_next(&c, utc(cases[i].after_utc))),
				    cases[i].due);
	}
}

/* --- the model --------------------------------------------------------------- */

static bool is_in(const struct fr_cron *c, int64_t wall_minute)
{
	time_t t = wall_minute * 60;
	bool mday, weekday;
	struct tm tm;

	gmtime_r(&t, &tm);
	mday = c->days >> tm.tm_mday & 1;
	weekday = c->weekdays >> tm.tm_wday & 1;
	return c->minutes >> tm.tm_min & 1 && c->hours >> tm.tm_hour & 1 &&
	       c->months >> (tm.tm_mon + 1) & 1 &&
	       (c->is_either_day ? mday || weekday : mday && weekday);
}

static int64_t wall_minute(time_t t)
{
	struct tm tm;

	localtime_r(&t, &tm);
	return timegm(&tm) / 60;
}

/* Each wall that is new at this minute, or was passed over before it, makes it due. */
static void walk(const struct fr_cron *c, time_t begin, time_t end)
{
	int64_t shown = wall_minute(begin - 60), m;
	time_t last = begin - 60, t;

	/* What was shown in the hours before, some of it once more. */
	for (t = begin - 2 * 86400; t < begin; t += 60)
		shown = wall_minute(t) > shown ? wall_minute(t) : shown;
	for (t = begin; t < end; t += 60) {
		bool is_due = false;

		for (m = shown + 1; m <= wall_minute(t); m++)
			is_due |= is_in(c, m);
		if (m - 1 > shown)
			shown = m - 1;
		if (!is_due)
			continue;
		if (fr_cron_next(c, last) != t) {
			print_message("expected %s, ", local(t));
			fail_msg("got %s", local(fr_cron_next(c, last)));
		}
		assert_int_equal(fr_cron_next(c, t - 1), t);
		last = t;
	}
	assert_true(fr_cron_next(c, last) >= end);
}

static unsigned int dice(uint64_t *seed, unsigned int n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(*seed >> 33) % n;
}

static void a_field(uint64_t *seed, char *text, unsigned int min, unsigned int max)
{
	unsigned int a = min + dice(seed, max - min + 1), b = min + dice(seed, max - min + 1);

	switch (dice(seed, 5)) {
	case 0:
		sprintf(text, "%u", a);
		break;
	case 1:
		sprintf(text, "%u-%u/%u", a < b ? a : b, a < b ? b : a, 1 + dice(seed, 7));
		break;
	case 2:
		sprintf(text, "*/%u", 1 + dice(seed, max));
		break;
	case 3:
		sprintf(text, "%u,%u", a, b);
		break;
	default:
		strcpy(text, "*");
	}
}

static void as_the_model(void **state)
{
	static const struct {
		const char *zone, *around;
	} places[] = {
		{ "Europe/Berlin", "2026-03-29 01:00" },
		{ "Europe/Berlin", "2026-10-25 01:00" },
		{ "America/New_York", "2026-03-08 07:00" },
		{ "America/New_York", "2026-11-01 06:00" },
		{ "Australia/Lord_Howe", "2026-04-04 15:00" },
		{ "Australia/Lord_Howe", "2026-10-03 15:30" },
		{ "America/Sao_Paulo", "2018-11-04 03:00" },
		{ "America/Sao_Paulo", "2019-02-17 02:00" },
		{ "Asia/Kathmandu", "2026-06-01 00:00" },
		{ "Pacific/Apia", "2011-12-30 10:00" },
		{ "UTC", "2028-02-29 00:00" },
		{ "ONE0DAY,J100/2,J101/2", "2026-04-10 12:00" }, /* summer lasts a day */
	};
	char f[5][40], text[250], why[200];
	uint64_t seed = 20260329;
	struct fr_cron c;
	size_t i, k;
	time_t t;

	(void)state;
	for (i = 0; i < N_OF(places); i++) {
		set_zone(places[i].zone);
		t = utc(places[i].around);
		for (k = 0; k < 60; k++) {
			a_field(&seed, f[0], 0, 59);
			a_field(&seed, f[1], 0, k % 2 ? 23 : 4);
			a_field(&seed, f[2], 1, 31);
			a_field(&seed, f[3], 1, 12);
			a_field(&seed, f[4], 0, 7);
			/* Most of them shall be due in these days. */
			if (k % 4)
				strcpy(f[2], "*"), strcpy(f[3], "*");
			snprintf(text, sizeof(text), "%s %s %s %s %s", f[0], f[1], f[2], f[3],
				 f[4]);
			if (fr_cron_parse(&c, text, why, sizeof(why)))
				continue; /* a day that never comes */
			walk(&c, t - 86400, t + 86400);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_read),
		cmocka_unit_test(faults_are_named),
		cmocka_unit_test(it_is_due),
		cmocka_unit_test(as_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
