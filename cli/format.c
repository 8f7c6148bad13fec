// SPDX-License-Identifier: GPL-2.0-or-later
#include "format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static char *missing(char *buf)
{
	return strcpy(buf, "-");
}

char *format_count(const json_t *value, char *buf)
{
	char digits[24];
	size_t len, i, out = 0;

	if (!json_is_integer(value))
		return missing(buf);
	len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64,
			       (uint64_t)json_integer_value(value));
	for (i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[out++] = ' ';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}

struct scale {
	double from;
	double divisor;
	const char *format;
};

static char *scaled(const json_t *value, const struct scale *scales, size_t n,
		    char *buf)
{
	double number = json_number_value(value);
	size_t i;

	if (!json_is_number(value))
		return missing(buf);
	for (i = 0; i + 1 < n && number < scales[i].from; i++)
		;
	snprintf(buf, FORMAT_LEN, "%.*f %s",
		 number / scales[i].divisor < 9.95 && i + 1 < n ? 1 : 0,
		 number / scales[i].divisor, scales[i].format);
	return buf;
}

char *format_bytes(const json_t *value, char *buf)
{
	static const struct scale scales[] = {
		{ 1e12, 1e12, "TB" }, { 1e9, 1e9, "GB" }, { 1e6, 1e6, "MB" },
		{ 1e3, 1e3, "kB" },   { 0, 1, "B" },
	};

	return scaled(value, scales, sizeof(scales) / sizeof(scales[0]), buf);
}

char *format_ms(const json_t *value, char *buf)
{
	static const struct scale scales[] = {
		{ 48 * 3600e3, 86400e3, "days" },
		{ 120 * 60e3, 3600e3, "h" },
		{ 120e3, 60e3, "min" },
		{ 1e3, 1e3, "s" },
		{ 0, 1, "ms" },
		{ 0, 1, "ms" },
	};

	return scaled(value, scales, sizeof(scales) / sizeof(scales[0]), buf);
}

/* Seconds since 1970, or -1. */
static double moment(const json_t *value)
{
	const char *text = json_string_value(value);
	struct tm tm = { 0 };

	if (json_is_number(value))
		return json_number_value(value);
	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return -1;
	return (double)timegm(&tm);
}

char *format_ago(const json_t *value, char *buf)
{
	double then = moment(value), ms;
	struct timespec now;
	json_t *age;

	if (then <= 0)
		return missing(buf);
	clock_gettime(CLOCK_REALTIME, &now);
	ms = ((double)now.tv_sec - then) * 1e3;
	if (ms < 1e3)
		return strcpy(buf, "now");
	age = json_real(ms);
	format_ms(age, buf);
	json_decref(age);
	return strcat(buf, " ago");
}

const char *format_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : "-";
}
