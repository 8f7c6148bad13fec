// SPDX-License-Identifier: GPL-2.0-or-later
/* Cost of the index: bytes a flow, nanoseconds a call, the longest of a few. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "index.h"

#define GROUP \
	16 /* calls timed together, so that the clock itself costs little */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* The i-th of a sequence without repetition and without order. */
static void key_of(uint64_t i, uint64_t key[2])
{
	key[0] = i * 0x9e3779b97f4a7c15;
	key[1] = ~i;
}

static int set(struct index *ix, const uint64_t key[2], uint64_t i)
{
	return index_set(ix, key, 16, i, key[0], i, NULL);
}

static int find(struct index *ix, const uint64_t key[2], uint64_t i)
{
	struct index_entry e;

	(void)i;
	return !index_find(ix, key, 16, &e);
}

static int take(struct index *ix, const uint64_t key[2], uint64_t i)
{
	(void)i;
	return index_remove(ix, key, 16, NULL);
}

static const struct step {
	const char *name;
	int (*fn)(struct index *ix, const uint64_t key[2], uint64_t i);
} steps[] = {
	{ "insert", set },
	{ "change", set },
	{ "find", find },
	{ "remove", take },
};

static void measure(struct index *ix, const struct step *step, uint64_t n)
{
	uint64_t stride = 1, start, before, longest = 0, i;

	/* Visit in another order than that of insertion: odd, so all of 2^k. */
	if (step->fn != set)
		stride = 0x9e3779b1;
	start = before = now_ns();
	for (i = 0; i < n; i++) {
		uint64_t key[2];

		key_of(i * stride % n, key);
		if (step->fn(ix, key, i)) {
			fprintf(stderr, "index: %s failed at %llu\n",
				step->name, (unsigned long long)i);
			exit(1);
		}
		if (i % GROUP == GROUP - 1) {
			uint64_t now = now_ns();

			if (now - before > longest)
				longest = now - before;
			before = now;
		}
	}
	printf("%-8s %6.0f ns   longest %d calls %7.1f us   %5.1f bytes a flow\n",
	       step->name, (double)(now_ns() - start) / n, GROUP, longest / 1e3,
	       index_entries(ix) ?
		       (double)index_memory(ix) / index_entries(ix) :
		       0.0);
}

int main(int argc, char **argv)
{
	const struct fr_siphash_key hash_key = { .b = "bench" };
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1 << 20;
	struct index *ix = index_new(&hash_key, 0);
	size_t i;

	if (!ix || !n || n & (n - 1)) {
		fprintf(stderr, "usage: index [flows, a power of two]\n");
		return 2;
	}
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		measure(ix, &steps[i], n);
	index_free(ix);
	return 0;
}
