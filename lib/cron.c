// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Times of the wall are counted here in minutes, as if they were UTC: "wall". What local
 * clocks showed at an instant t is t + offset(t), where the offset is constant but
 * for a few jumps. A wall is due at the first instant at which clocks show it or
 * more; a wall that was shown, or passed over, before an instant is over.
 */
#include "cron.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define DAYS_OF_ALL_DATES 146097 /* the calendar repeats after 400 years */
#define OFFSET_MAX (26 * HOUR) /* more than any zone's, or change of it */

/* --- parser ------------------------------------------------------------------ */

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may",
					   "jun", "jul", "aug", "sep", "oct",
					   "nov", "dec", NULL };
static const char *const day_names[] = { "sun", "mon", "tue", "wed",
					 "thu", "fri", "sat", NULL };

static const struct field {
	const char *name;
	unsigned int min, max;
	const char *const *names; /* of min, min + 1 and so on */
} fields[] = {
	{ "minute", 0, 59, NULL },
	{ "hour", 0, 23, NULL },
	{ "day of the month", 1, 31, NULL },
	{ "month", 1, 12, month_names },
	{ "day of the week", 0, 7, day_names },
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

struct parser {
	const char *text;
	const char *at;
	const struct field *field;
	char *why;
	size_t why_len;
};

static __attribute__((format(printf, 2, 3))) int refuse(const struct parser *p,
							const char *fmt, ...)
{
	char what[100];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	snprintf(p->why, p->why_len, "column %d: %s: %s",
		 (int)(p->at - p->text) + 1, p->field->name, what);
	return -EINVAL;
}

static int parse_name(struct parser *p, unsigned int *value)
{
	size_t len = 0, i;

	while (isalpha((unsigned char)p->at[len]))
		len++;
	for (i = 0; p->field->names && p->field->names[i]; i++) {
		if (len != strlen(p->field->names[i]) ||
		    strncasecmp(p->at, p->field->names[i], len))
			continue;
		*value = p->field->min + (unsigned int)i;
		p->at += len;
		return 0;
	}
	return refuse(p, "\"%.*s\" is no name here", (int)(len < 20 ? len : 20),
		      p->at);
}

static int parse_number(struct parser *p, unsigned int *value)
{
	const char *begin = p->at;

	*value = 0;
	for (; isdigit((unsigned char)*p->at); p->at++)
		*value = *value > 1000 ? *value :
					 *value * 10 + (unsigned int)(*p->at - '0');
	if (p->at > begin)
		return 0;
	if (!*begin || isspace((unsigned char)*begin))
		return refuse(p, "a number is missing");
	return refuse(p, "a number was expected");
}

static int parse_value(struct parser *p, unsigned int *value)
{
	const char *begin = p->at;
	int rc;

	if (isalpha((unsigned char)*p->at))
		return parse_name(p, value);
	rc = parse_number(p, value);
	if (!rc && (*value < p->field->min || *value > p->field->max)) {
		p->at = begin;
		rc = refuse(p, "%u to %u", p->field->min, p->field->max);
	}
	return rc;
}

static int parse_step(struct parser *p, unsigned int *step)
{
	const char *begin = ++p->at;
	int rc = parse_number(p, step);

	if (!rc && (!*step || *step > p->field->max)) {
		p->at = begin;
		rc = refuse(p, "a step of 1 to %u", p->field->max);
	}
	return rc;
}

/* "*", "5", "mon-fri", "0-30/5" */
static int parse_element(struct parser *p, uint64_t *bits)
{
	unsigned int first = p->field->min, last = p->field->max, step = 1;
	const char *begin = p->at;
	bool is_range = true;
	int rc = 0;

	if (*p->at == '*') {
		p->at++;
	} else {
		rc = parse_value(p, &first);
		last = first;
		is_range = !rc && *p->at == '-';
		if (is_range) {
			p->at++;
			rc = parse_value(p, &last);
		}
		/* As the end of a range, Sunday is the last day. */
		if (is_range && !last && first && p->field->names == day_names)
			last = 7;
	}
	if (rc)
		return rc;
	if (first > last) {
		p->at = begin;
		return refuse(p, "the range ends before it begins");
	}
	if (*p->at == '/' && !is_range)
		return refuse(p, "a step needs a range or *");
	if (*p->at == '/')
		rc = parse_step(p, &step);
	for (; !rc && first <= last; first += step)
		*bits |= 1ULL << first;
	return rc;
}

static int parse_field(struct parser *p, uint64_t *bits)
{
	int rc;

	*bits = 0;
	while (*p->at == ' ' || *p->at == '\t')
		p->at++;
	for (;;) {
		rc = parse_element(p, bits);
		if (rc || *p->at != ',')
			break;
		p->at++;
	}
	if (!rc && *p->at && *p->at != ' ' && *p->at != '\t')
		rc = refuse(p, "\"%c\" was not expected",
			    isprint((unsigned char)*p->at) ? *p->at : '?');
	return rc;
}

static bool has_day(const struct fr_cron *cron, int64_t day);

/* Any of the days there are? */
static bool is_ever(const struct fr_cron *cron)
{
	int64_t day;

	for (day = 0; day < DAYS_OF_ALL_DATES; day++)
		if (has_day(cron, day))
			return true;
	return false;
}

int fr_cron_parse(struct fr_cron *cron, const char *text, char *why,
		  size_t why_len)
{
	struct parser p = { text, text, NULL, why, why_len };
	bool is_open[N_FIELDS];
	uint64_t bits[N_FIELDS];
	size_t i;

	for (i = 0; i < N_FIELDS; i++) {
		p.field = &fields[i];
		while (*p.at == ' ' || *p.at == '\t')
			p.at++;
		is_open[i] = *p.at == '*';
		if (parse_field(&p, &bits[i]))
			return -EINVAL;
	}
	while (*p.at == ' ' || *p.at == '\t')
		p.at++;
	if (*p.at) {
		snprintf(why, why_len, "column %d: more than five fields",
			 (int)(p.at - text) + 1);
		return -EINVAL;
	}
	*cron = (struct fr_cron){
		.minutes = bits[0],
		.hours = (uint32_t)bits[1],
		.days = (uint32_t)bits[2],
		.months = (uint16_t)bits[3],
		.weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
		.is_either_day = !is_open[2] && !is_open[4],
	};
	if (is_ever(cron))
		return 0;
	snprintf(why, why_len, "no month has such a day");
	return -EINVAL;
}

/* --- the calendar ------------------------------------------------------------ */

/* Howard Hinnant's civil_from_days; @day counts from 1970-01-01. */
static void date_of(int64_t day, unsigned int *month, unsigned int *mday)
{
	int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned int doe = (unsigned int)(z - era * 146097);
	unsigned int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned int mp = (5 * doy + 2) / 153;

	*mday = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
}

static bool has_day(const struct fr_cron *cron, int64_t day)
{
	unsigned int month, mday, weekday = (unsigned int)((day % 7 + 11) % 7);
	bool is_mday, is_weekday;

	date_of(day, &month, &mday);
	if (!(cron->months >> month & 1))
		return false;
	is_mday = cron->days >> mday & 1;
	is_weekday = cron->weekdays >> weekday & 1;
	return cron->is_either_day ? is_mday || is_weekday :
				     is_mday && is_weekday;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The first wall in the schedule, not before @wall; both in seconds. */
static int64_t next_wall(const struct fr_cron *cron, int64_t wall)
{
	int64_t day = floor_div(wall, DAY), minute;

	minute = floor_div(wall - day * DAY + MINUTE - 1, MINUTE);
	for (;; day++, minute = 0) {
		if (!has_day(cron, day))
			continue;
		for (; minute < DAY / MINUTE; minute++)
			if (cron->hours >> minute / 60 & 1 &&
			    cron->minutes >> minute % 60 & 1)
				return day * DAY + minute * MINUTE;
	}
}

/* --- local time -------------------------------------------------------------- */

static int64_t offset_at(time_t t)
{
	struct tm tm;

	return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/* Where the offset changes between @low and @high, at whose ends it differs. */
static time_t change_between(time_t low, time_t high)
{
	int64_t offset = offset_at(low);

	while (high - low > 1) {
		time_t middle = low + (high - low) / 2;

		if (offset_at(middle) == offset)
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* Where a stretch of one offset that begins at @begin ends; at @limit at the latest. */
static time_t stretch_end(time_t begin, time_t limit)
{
	int64_t offset = offset_at(begin);
	time_t t, next;

	for (t = begin; t < limit; t = next) {
		next = limit - t > HOUR ? t + HOUR : limit;
		if (offset_at(next) != offset)
			return change_between(t, next);
	}
	return limit;
}

/* The latest that clocks have shown until @t. */
static int64_t latest_wall(time_t t)
{
	time_t begin = t - 2 * OFFSET_MAX, end;
	int64_t latest = INT64_MIN, wall;

	for (; begin <= t; begin = end) {
		end = stretch_end(begin, t + 1);
		wall = end - 1 + offset_at(begin);
		if (wall > latest)
			latest = wall;
	}
	return latest;
}

/* The first instant at which clocks show @wall or more. */
static time_t instant_of(int64_t wall)
{
	time_t begin = wall - OFFSET_MAX, end, limit = wall + OFFSET_MAX;
	int64_t t;

	for (; begin < limit; begin = end) {
		end = stretch_end(begin, limit);
		t = wall - offset_at(begin);
		if (t < end)
			return t > begin ? t : begin;
	}
	return limit;
}

time_t fr_cron_next(const struct fr_cron *cron, time_t after)
{
	return instant_of(next_wall(cron, latest_wall(after) + 1));
}
