// SPDX-License-Identifier: GPL-2.0-or-later
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: that is the order the formatter spends them in. */
static const struct unit durations[] = {
	{ "w", 7 * 86400 * FR_UNITS_NS_PER_S },
	{ "d", 86400 * FR_UNITS_NS_PER_S },
	{ "h", 3600 * FR_UNITS_NS_PER_S },
	{ "m", 60 * FR_UNITS_NS_PER_S },
	{ "s", FR_UNITS_NS_PER_S },
	{ "ms", FR_UNITS_NS_PER_MS },
	{ "us", 1000 },
	{ "ns", 1 },
};

static const struct unit sizes[] = {
	{ "T", 1ULL << 40 },
	{ "G", 1ULL << 30 },
	{ "M", 1ULL << 20 },
	{ "k", 1ULL << 10 },
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Reads digits at *text and moves past them. */
static int parse_number(const char **text, uint64_t *number)
{
	const char *p = *text;
	uint64_t n = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return -ERANGE;
	*text = p;
	*number = n;
	return 0;
}

static const struct unit *duration_unit(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < N_OF(durations); i++)
		if (strlen(durations[i].name) == len &&
		    !memcmp(durations[i].name, name, len))
			return &durations[i];
	return NULL;
}

int fr_units_parse_duration(const char *text, uint64_t *ns)
{
	uint64_t total = 0, n;
	int err;

	if (!strcmp(text, "0")) {
		*ns = 0;
		return 0;
	}
	do {
		const struct unit *unit;
		size_t len;

		err = parse_number(&text, &n);
		if (err)
			return err;
		len = strspn(text, "nusmhdw");
		unit = duration_unit(text, len);
		if (!unit)
			return -EINVAL;
		text += len;
		if (__builtin_mul_overflow(n, unit->factor, &n) ||
		    __builtin_add_overflow(total, n, &total))
			return -ERANGE;
	} while (*text);
	*ns = total;
	return 0;
}

char *fr_units_format_duration(uint64_t ns, char *buf)
{
	size_t len = 0, i;

	if (!ns)
		snprintf(buf, FR_UNITS_TEXT_LEN, "0s");
	for (i = 0; ns && i < N_OF(durations); i++) {
		uint64_t n = ns / durations[i].factor;

		/* "90m" and "36h" would be shorter, but nobody reads them sooner. */
		if (!n)
			continue;
		len += (size_t)snprintf(buf + len, FR_UNITS_TEXT_LEN - len,
					"%" PRIu64 "%s", n, durations[i].name);
		ns %= durations[i].factor;
	}
	return buf;
}

int fr_units_parse_bytes(const char *text, uint64_t *n_bytes)
{
	uint64_t factor = 1, n;
	size_t i;
	int err;

	err = parse_number(&text, &n);
	if (err)
		return err;
	for (i = 0; *text && i < N_OF(sizes); i++)
		if (*text == sizes[i].name[0] ||
		    (*text == 'K' && sizes[i].name[0] == 'k')) {
			factor = sizes[i].factor;
			text++;
			break;
		}
	if (*text && strcmp(text, "B") && (factor == 1 || strcmp(text, "iB")))
		return -EINVAL;
	if (__builtin_mul_overflow(n, factor, &n))
		return -ERANGE;
	*n_bytes = n;
	return 0;
}

char *fr_units_format_bytes(uint64_t n_bytes, char *buf)
{
	const char *suffix = "";
	size_t i;

	for (i = 0; n_bytes && i < N_OF(sizes); i++)
		if (n_bytes % sizes[i].factor == 0) {
			n_bytes /= sizes[i].factor;
			suffix = sizes[i].name;
			break;
		}
	snprintf(buf, FR_UNITS_TEXT_LEN, "%" PRIu64 "%s", n_bytes, suffix);
	return buf;
}
