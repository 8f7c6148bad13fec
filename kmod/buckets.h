/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty buckets: where a change could not be queued, the bucket of its key is
 * marked, and a snapshot of that bucket tells later what is true.
 */
#ifndef _FLYREP_BUCKETS_H
#define _FLYREP_BUCKETS_H

#include <linux/atomic.h>
#include <linux/siphash.h>
#include <linux/types.h>

/**
 * struct flyrep_buckets - a bitmap of marks
 * @bits: FLYREP_BUCKETS bits in the order of FLYREP_A_BUCKETS; NULL before init
 * @n_dirty: how many are set
 * @key: of the hash
 * @is_keyed: @key was set
 */
struct flyrep_buckets {
	unsigned long	*bits;
	atomic_t	n_dirty;
	siphash_key_t	key;
	bool		is_keyed;
};

/**
 * flyrep_buckets_init - get the memory; again is no error
 * @b: zeroed at first
 *
 * Context: process, serialized by the caller. Return: 0 or -ENOMEM.
 */
int flyrep_buckets_init(struct flyrep_buckets *b);

/**
 * flyrep_buckets_exit - free the memory
 * @b: never initialized is fine
 */
void flyrep_buckets_exit(struct flyrep_buckets *b);

/**
 * flyrep_buckets_set_key - change the hash
 * @b: the buckets
 * @key: FLYREP_HASH_KEY_LEN bytes
 *
 * Buckets computed meanwhile may be of neither key: wait for an RCU grace period,
 * then mark all.
 *
 * Context: process, serialized by the caller.
 */
void flyrep_buckets_set_key(struct flyrep_buckets *b, const u8 *key);

/**
 * flyrep_buckets_hash - the bucket of a canonical key
 * @b: keyed
 * @key: 8-byte aligned, see flyrep_ct_key()
 * @len: its length
 */
unsigned int flyrep_buckets_hash(const struct flyrep_buckets *b, const u8 *key,
				 unsigned int len);

/**
 * flyrep_buckets_mark - mark one bucket
 * @b: initialized
 * @bucket: below FLYREP_BUCKETS
 *
 * A full memory barrier: what changed before is seen by who takes the mark.
 * Context: any.
 */
void flyrep_buckets_mark(struct flyrep_buckets *b, unsigned int bucket);

/**
 * flyrep_buckets_mark_all - mark every bucket
 * @b: initialized
 *
 * Context: any.
 */
void flyrep_buckets_mark_all(struct flyrep_buckets *b);

/**
 * flyrep_buckets_take - move all marks out
 * @b: initialized
 * @bitmap: FLYREP_BUCKETS_LEN bytes to write to, any alignment
 *
 * Context: any. Return: how many there were.
 */
unsigned int flyrep_buckets_take(struct flyrep_buckets *b, u8 *bitmap);

/**
 * flyrep_buckets_count - how many are marked, about
 * @b: never initialized is fine
 */
unsigned int flyrep_buckets_count(const struct flyrep_buckets *b);

/**
 * flyrep_buckets_has - is a bucket in a bitmap
 * @bitmap: in the order of FLYREP_A_BUCKETS
 * @bucket: below FLYREP_BUCKETS
 */
static inline bool flyrep_buckets_has(const u8 *bitmap, unsigned int bucket)
{
	return bitmap[bucket / 8] & (1 << (bucket % 8));
}

#endif
