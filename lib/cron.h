/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cron - five fields of crontab(5), and when they are due in local time
 *
 *   minute hour day-of-month month day-of-week
 *
 * Each is "*" or a list of numbers, names (of months and days, three letters)
 * and ranges, steps after "*" or a range. 0 and 7 are Sunday. A day counts when
 * both day fields say so; when neither begins with "*", when one of them does.
 *
 * Where clocks change: a time that comes twice is due the first time, one that is
 * left out is due in the first minute after the gap. So each is due exactly once.
 */
#ifndef FR_CRON_H
#define FR_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Bit n: n is in the list. */
struct fr_cron {
	uint64_t minutes; /* 0 to 59 */
	uint32_t hours; /* 0 to 23 */
	uint32_t days; /* 1 to 31 */
	uint16_t months; /* 1 to 12 */
	uint8_t weekdays; /* 0 to 6, Sunday first */
	bool is_either_day; /* days or weekdays, not days and weekdays */
};

/**
 * fr_cron_parse() - read five fields
 * @why: what is wrong, with the column, of @why_len bytes
 *
 * Return: 0, or -EINVAL, also for dates that never come.
 */
int fr_cron_parse(struct fr_cron *cron, const char *text, char *why,
		  size_t why_len);

/**
 * fr_cron_next() - when it is due next, after and not at @after
 *
 * By the local time of the process (TZ).
 *
 * Return: that second.
 */
time_t fr_cron_next(const struct fr_cron *cron, time_t after);

#endif
