/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buckets: a set of them.
 */
#ifndef BUCKETS_H
#define BUCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "flyrep_records.h"

/**
 * struct buckets - zeroed: none
 * @is_any: not empty
 * @bits: bitmap, as FLYREP_A_BUCKETS
 */
struct buckets {
	bool is_any;
	uint8_t bits[FLYREP_BUCKETS_LEN];
};

static inline void buckets_add(struct buckets *b, const uint8_t bits[FLYREP_BUCKETS_LEN])
{
	unsigned int i;

	for (i = 0; i < FLYREP_BUCKETS_LEN; i++)
		b->bits[i] |= bits[i];
	b->is_any = true;
}

static inline void buckets_add_one(struct buckets *b, unsigned int bucket)
{
	b->bits[bucket / 8] |= 1u << (bucket % 8);
	b->is_any = true;
}

static inline void buckets_add_all(struct buckets *b)
{
	memset(b->bits, 0xff, sizeof(b->bits));
	b->is_any = true;
}

static inline bool buckets_has(const uint8_t bits[FLYREP_BUCKETS_LEN], unsigned int bucket)
{
	return bits[bucket / 8] & 1u << (bucket % 8);
}

static inline bool buckets_is_all(const uint8_t bits[FLYREP_BUCKETS_LEN])
{
	unsigned int i;

	for (i = 0; i < FLYREP_BUCKETS_LEN; i++)
		if (bits[i] != 0xff)
			return false;
	return true;
}

static inline void buckets_clear(struct buckets *b)
{
	memset(b, 0, sizeof(*b));
}

#endif
