// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Values below 64 us have a counter for each microsecond; from there on each
 * octave has 32 equal counters, told apart by the five bits below the leading
 * one. A quantile answers with the middle of its counter, off by at most 1/64.
 */
#include "latency.h"

#include <stdlib.h>
#include <string.h>

#define SUB_BITS 5 /* 32 counters an octave */
#define LINEAR (2u << SUB_BITS)
#define MAX_US 3600000000ULL /* 1 h, below 2^32 */
#define N_COUNTERS (((31 - SUB_BITS) << SUB_BITS) + LINEAR)
#define N_SLICES 8
#define NS_PER_US 1000

struct slice {
	uint64_t n;
	uint64_t max_us;
	uint64_t counter[N_COUNTERS];
};

struct latency {
	uint64_t slice_ns;
	uint64_t number; /* of the slice that samples go to now, since time 0 */
	uint64_t n;
	double sum_s;
	struct slice slices[N_SLICES];
};

static unsigned int counter_of(uint64_t us)
{
	unsigned int shift;

	if (us < LINEAR)
		return us;
	shift = 63 - __builtin_clzll(us) - SUB_BITS;
	return (shift << SUB_BITS) + (us >> shift);
}

/* The middle of what a counter stands for. */
static uint64_t value_of(unsigned int counter)
{
	unsigned int shift;

	if (counter < LINEAR)
		return counter;
	shift = (counter >> SUB_BITS) - 1;
	return ((uint64_t)(counter - (shift << SUB_BITS)) << shift) +
	       ((1ULL << shift) >> 1);
}

struct latency *latency_new(uint64_t window_ms)
{
	struct latency *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->slice_ns = window_ms * 1000000 / N_SLICES;
	if (!l->slice_ns)
		l->slice_ns = 1;
	return l;
}

void latency_free(struct latency *l)
{
	free(l);
}

/* Empty the slices that have left the window since the last call. */
static void slide(struct latency *l, uint64_t now_ns)
{
	uint64_t number = now_ns / l->slice_ns;
	uint64_t n_stale;

	if (number <= l->number)
		return;
	n_stale = number - l->number;
	if (n_stale > N_SLICES)
		n_stale = N_SLICES;
	l->number = number;
	for (; n_stale; n_stale--, number--)
		memset(&l->slices[number % N_SLICES], 0, sizeof(struct slice));
}

void latency_add(struct latency *l, uint64_t now_ns, uint64_t value_ns,
		 uint64_t n)
{
	uint64_t us = value_ns / NS_PER_US;
	struct slice *s;

	if (value_ns % NS_PER_US >= NS_PER_US / 2)
		us++;
	if (us > MAX_US)
		us = MAX_US;
	slide(l, now_ns);
	if (!n)
		return;
	s = &l->slices[l->number % N_SLICES];
	s->n += n;
	l->n += n;
	l->sum_s += (double)us / 1e6 * (double)n;
	s->counter[counter_of(us)] += n;
	if (us > s->max_us)
		s->max_us = us;
}

uint64_t latency_count(struct latency *l, uint64_t now_ns)
{
	uint64_t n = 0;
	unsigned int i;

	slide(l, now_ns);
	for (i = 0; i < N_SLICES; i++)
		n += l->slices[i].n;
	return n;
}

void latency_total(const struct latency *l, uint64_t *n, double *sum_s)
{
	*n = l->n;
	*sum_s = l->sum_s;
}

static uint64_t max_us(const struct latency *l)
{
	uint64_t max = 0;
	unsigned int i;

	for (i = 0; i < N_SLICES; i++)
		if (l->slices[i].max_us > max)
			max = l->slices[i].max_us;
	return max;
}

uint64_t latency_quantile_ns(struct latency *l, uint64_t now_ns,
			     unsigned int permille)
{
	uint64_t n = latency_count(l, now_ns);
	uint64_t max = max_us(l);
	uint64_t rank, us = max;
	unsigned int i, counter;

	if (!n)
		return 0;
	/* The rank-th smallest sample; n * permille could overflow. */
	rank = n / 1000 * permille + (n % 1000 * permille + 999) / 1000;
	if (!rank)
		rank = 1;
	if (permille >= 1000)
		return max * NS_PER_US;
	for (counter = 0; counter < N_COUNTERS; counter++) {
		uint64_t here = 0;

		for (i = 0; i < N_SLICES; i++)
			here += l->slices[i].counter[counter];
		if (here >= rank) {
			us = value_of(counter);
			break;
		}
		rank -= here;
	}
	/* The largest sample may lie below the middle of its counter. */
	return (us < max ? us : max) * NS_PER_US;
}
