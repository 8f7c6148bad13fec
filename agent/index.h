/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Index: what this node holds to be true, one entry for each object: on the
 * writer its own objects, on a standby those it holds for the writer. It knows no
 * values, only their digest; the kernel is the store of values. Every change keeps
 * the digests of bucket and group up to date, so comparing two nodes costs no walk.
 *
 * Chained hash over one arena; the slot is the high bits of the key's hash, so the
 * entries of a bucket lie in neighbouring slots and can be walked. Grows by
 * doubling, a bounded number of slots at each change; never more than 100 bytes a flow at
 * a million of them (key included). Single thread.
 */
#ifndef INDEX_H
#define INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flyrep_records.h"
#include "siphash.h"

#define INDEX_KEY_MAX 1024	/* longest key, bytes */

struct index;

/**
 * struct index_entry - one object, as seen by callers
 * @stamp: of the newest read that told of it (see struct flyrep_rec), or any other
 *	growing number the caller orders by
 * @digest: of key and value, as fr_table.digest makes it
 * @id: identity in the kernel, 0 unknown
 * @key_len: bytes of @key
 * @key: canonical key
 */
struct index_entry {
	uint64_t stamp;
	uint64_t digest;
	uint32_t id;
	uint16_t key_len;
	const uint8_t *key;
};

/* @limit: most entries, 0 none. NULL: no memory. */
struct index *index_new(const struct fr_siphash_key *hash_key, size_t limit);
void index_free(struct index *ix);

/* Bucket of a key: the same as the module computes. */
unsigned int index_bucket(const struct index *ix, const void *key, size_t key_len);

/* Fills *e; false: not there. e->key points into the index, until the next change. */
bool index_find(const struct index *ix, const void *key, size_t key_len, struct index_entry *e);

/**
 * index_is_alone - can a key be told by the first bits of its hash?
 * @bits: how many, FLYREP_BUCKET_BITS to 32
 * @hash: set to all of it
 * Return: no other key here has the same ones, whether this one is here or not.
 */
bool index_is_alone(const struct index *ix, const void *key, size_t key_len, unsigned int bits,
		    uint64_t *hash);
/*
 * The key that is told so by the first bits of @ref: fills *e, as index_find(), and *hash with all
 * of it. False: there is none, or there are several.
 */
bool index_resolve(const struct index *ix, uint32_t ref, unsigned int bits, struct index_entry *e,
		   uint64_t *hash);

/**
 * index_set - insert or change an entry
 * @bucket: where not NULL, set to the bucket of the key
 * Return: 0, -EINVAL (longer than INDEX_KEY_MAX), -ENOMEM, -ENOSPC (limit)
 */
int index_set(struct index *ix, const void *key, size_t key_len, uint64_t stamp, uint64_t digest,
	      uint32_t id, unsigned int *bucket);
/* Return: 0 or -ENOENT. */
int index_remove(struct index *ix, const void *key, size_t key_len, unsigned int *bucket);
void index_clear(struct index *ix);
/* Empty, and under another key from here on. */
void index_rekey(struct index *ix, const struct fr_siphash_key *hash_key);
/* Set every entry's stamp to 0: the kernel that numbered them is gone. */
void index_forget_stamps(struct index *ix);

size_t index_entries(const struct index *ix);
/* Bytes allocated, all of it. */
size_t index_memory(const struct index *ix);
/* FLYREP_BUCKETS digests, live. */
const uint64_t *index_digests(const struct index *ix);
/* FR_GROUPS digests, live: each the sum of its 256 buckets. */
const uint64_t *index_groups(const struct index *ix);
/* Sum over everything. */
uint64_t index_digest(const struct index *ix);

/**
 * index_walk - call @fn for every entry of one bucket
 * @fn: may remove the entry it is shown (by returning true), nothing else
 */
void index_walk(struct index *ix, unsigned int bucket,
		bool (*fn)(void *cookie, const struct index_entry *e), void *cookie);

#endif
