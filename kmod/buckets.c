// SPDX-License-Identifier: GPL-2.0-only
#include "buckets.h"

#include <linux/bitops.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "flyrep_records.h"

#define BUCKETS_WORDS (FLYREP_BUCKETS / BITS_PER_LONG)

int flyrep_buckets_init(struct flyrep_buckets *b)
{
	if (!b->bits)
		b->bits = kvzalloc(FLYREP_BUCKETS_LEN, GFP_KERNEL_ACCOUNT);
	return b->bits ? 0 : -ENOMEM;
}

void flyrep_buckets_exit(struct flyrep_buckets *b)
{
	kvfree(b->bits);
	b->bits = NULL;
}

void flyrep_buckets_set_key(struct flyrep_buckets *b, const u8 *key)
{
	__le64 word[2];

	memcpy(word, key, sizeof(word));
	WRITE_ONCE(b->key.key[0], le64_to_cpu(word[0]));
	WRITE_ONCE(b->key.key[1], le64_to_cpu(word[1]));
	b->is_keyed = true;
}

unsigned int flyrep_buckets_hash(const struct flyrep_buckets *b, const u8 *key,
				 unsigned int len)
{
	return siphash(key, len, &b->key) >> (64 - FLYREP_BUCKET_BITS);
}

void flyrep_buckets_mark(struct flyrep_buckets *b, unsigned int bucket)
{
	if (!test_and_set_bit_le(bucket, b->bits))
		atomic_inc(&b->n_dirty);
}

void flyrep_buckets_mark_all(struct flyrep_buckets *b)
{
	unsigned int i;

	for (i = 0; i < BUCKETS_WORDS; i++)
		atomic_add(BITS_PER_LONG - hweight_long(xchg(&b->bits[i], ~0UL)),
			   &b->n_dirty);
}

unsigned int flyrep_buckets_take(struct flyrep_buckets *b, u8 *bitmap)
{
	unsigned int n = 0, i;

	for (i = 0; i < BUCKETS_WORDS; i++) {
		unsigned long word = 0;

		if (READ_ONCE(b->bits[i]))
			word = xchg(&b->bits[i], 0);
		n += hweight_long(word);
		memcpy(bitmap + i * sizeof(word), &word, sizeof(word));
	}
	atomic_sub(n, &b->n_dirty);
	return n;
}

unsigned int flyrep_buckets_count(const struct flyrep_buckets *b)
{
	/* A mark is set before it is counted: a taker may be ahead of the count. */
	return max(atomic_read(&b->n_dirty), 0);
}
