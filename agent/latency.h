/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Latency: a log-linear histogram of durations over a sliding window, for
 * percentiles that a person reads. Relative error below 4 %, fixed size, no
 * allocation after new. Resolution 1 us, range up to 1 hour (longer counts as 1 hour).
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>

struct latency;

/* @window_ms: how far back percentiles look; kept as 8 slices of it. */
struct latency *latency_new(uint64_t window_ms);
void latency_free(struct latency *l);
/* @n: how many samples of this value. @now_ns: CLOCK_MONOTONIC. */
void latency_add(struct latency *l, uint64_t now_ns, uint64_t value_ns, uint64_t n);
/* @permille: 500 for the median; 1000 gives the maximum. 0 when there are no samples. */
uint64_t latency_quantile_ns(struct latency *l, uint64_t now_ns, unsigned int permille);
uint64_t latency_count(struct latency *l, uint64_t now_ns);
/* All samples there ever were, and their sum. */
void latency_total(const struct latency *l, uint64_t *n, double *sum_s);

#endif
