/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * units - durations and sizes as people write them
 */
#ifndef FR_UNITS_H
#define FR_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define FR_UNITS_TEXT_LEN 64 /* room for whatever the formatters print */

#define FR_UNITS_NS_PER_MS 1000000ULL
#define FR_UNITS_NS_PER_S 1000000000ULL

/**
 * fr_units_parse_duration() - "1h30m" and the like to nanoseconds
 *
 * One or more of integer and unit, without spaces: ns us ms s m h d w. "0"
 * alone needs no unit.
 *
 * Return: 0; -EINVAL when it is no duration; -ERANGE when it does not fit 64 bits.
 */
int fr_units_parse_duration(const char *text, uint64_t *ns);

/**
 * fr_units_format_duration() - the shortest text that parses back to @ns
 *
 * Return: @buf, which holds at least FR_UNITS_TEXT_LEN bytes.
 */
char *fr_units_format_duration(uint64_t ns, char *buf);

/**
 * fr_units_parse_bytes() - "64M" and the like to bytes
 *
 * An integer and at most one of k K M G T, powers of 1024; a final "B" or "iB" is allowed.
 *
 * Return: 0; -EINVAL when it is no size; -ERANGE when it does not fit 64 bits.
 */
int fr_units_parse_bytes(const char *text, uint64_t *n_bytes);

/**
 * fr_units_format_bytes() - the shortest text that parses back to @n_bytes
 *
 * Return: @buf, which holds at least FR_UNITS_TEXT_LEN bytes.
 */
char *fr_units_format_bytes(uint64_t n_bytes, char *buf);

#endif
