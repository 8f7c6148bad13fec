/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Monotonic: the clock that intervals are measured with.
 */
#ifndef MONOTONIC_H
#define MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Milliseconds, to the microsecond. */
static inline double monotonic_ms(uint64_t ns)
{
	return ns / 1000 / 1000.0;
}

#endif
