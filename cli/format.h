/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format - numbers from the agent's JSON, for people
 *
 * Each function takes a JSON value that may be missing or null ("-"), writes
 * into @buf of FORMAT_LEN bytes and returns it.
 */
#ifndef FORMAT_H
#define FORMAT_H

#include <jansson.h>

#define FORMAT_LEN 48

/**
 * format_count() - 184220 as "184 220"
 */
char *format_count(const json_t *value, char *buf);

/**
 * format_bytes() - 1234567 as "1.2 MB"
 */
char *format_bytes(const json_t *value, char *buf);

/**
 * format_ms() - milliseconds as "0.4 ms", "12 ms", "3.5 s", "14 min"
 */
char *format_ms(const json_t *value, char *buf);

/**
 * format_ago() - a moment (RFC 3339 in UTC, or seconds since 1970) as "8 s ago"
 */
char *format_ago(const json_t *value, char *buf);

/**
 * format_text() - the string under @key, or "-" when it is missing, null or empty
 */
const char *format_text(const json_t *object, const char *key);

#endif
