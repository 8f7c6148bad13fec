/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Truth: the index of one table, and the rules by which reads of the kernel change
 * it. On the writer its own kernel is the authority and every change found here is
 * shipped; on a standby the writer's stream is, and reads of the own kernel only
 * find what went missing.
 *
 * Reads carry an order: a number that grows with time. A snapshot is read in pieces
 * while live changes go on, so a piece can be older than what the index already knows; order
 * decides, and keys deleted meanwhile are remembered until the snapshot is over.
 */
#ifndef TRUTH_H
#define TRUTH_H

#include "index.h"
#include "records.h"

struct truth;

/**
 * struct truth_counts - what a snapshot found
 * @named: records it named
 * @added: of these: not in the index
 * @changed: in the index with another digest
 * @missing: in the index, but not named
 */
struct truth_counts {
	uint64_t named;
	uint64_t added;
	uint64_t changed;
	uint64_t missing;
};

/* @table: must outlive it. NULL: no memory. */
struct truth *truth_new(const struct fr_table *table, const struct fr_siphash_key *hash_key);
/* Forget everything; buckets and digests are those of another key from here on. */
void truth_rekey(struct truth *t, const struct fr_siphash_key *hash_key);
/* Ask before something is called missing: true: nothing follows from that it was not named. */
void truth_set_excuse(struct truth *t,
		      bool (*is_excused)(void *cookie, const uint8_t *key, size_t key_len),
		      void *cookie);
void truth_free(struct truth *t);
struct index *truth_index(struct truth *t);
const struct fr_table *truth_table(const struct truth *t);

/**
 * truth_put - the state of one object was read or received
 * @rec: op UPDATE or INSERT: it lives; DELETE: it is gone
 * @order: of the read
 * @bucket: set to the bucket of its key
 * Return: what that means for who follows this index: an enum flyrep_op, FLYREP_OP_UNSPEC for
 *	nothing new; -ENOMEM
 */
int truth_put(struct truth *t, const void *rec, uint64_t order, unsigned int *bucket);

/* The bucket of the object of a record. */
unsigned int truth_bucket(const struct truth *t, const void *rec);

/* Is the object of this record in the index? */
bool truth_has(const struct truth *t, const void *rec);
/* Is it, exactly as the record says? */
bool truth_is(const struct truth *t, const void *rec);

/* Forget a key whatever the order: the kernel refused it. */
void truth_drop(struct truth *t, const void *rec);
/* Likewise, all keys that begin so. */
void truth_drop_all(struct truth *t, const uint8_t *prefix, size_t prefix_len);

/**
 * struct truth_scope - of which objects a snapshot tells
 * @buckets: those in these, a bitmap
 * @prefix: of these: those whose key begins with it
 * @prefix_len: its length, at most FR_KEY_MAX_LEN; 0: any key
 */
struct truth_scope {
	uint8_t buckets[FLYREP_BUCKETS_LEN];
	uint16_t prefix_len;
	uint8_t prefix[FR_KEY_MAX_LEN];
};

/**
 * truth_begin - a snapshot starts
 * @scope: copied
 * @order: reads before this one say nothing
 * One at a time. Return: 0 or -ENOMEM.
 */
int truth_begin(struct truth *t, const struct truth_scope *scope, uint64_t order);

/* In the scope of the running snapshot, and not named so far, nor told of by a newer read. */
bool truth_lacks(const struct truth *t, const struct index_entry *e);

/**
 * truth_name - truth_put() for a record of the running snapshot
 * @is_current: set: the record says what the index holds now. If not, something newer was
 *	put meanwhile
 */
int truth_name(struct truth *t, const void *rec, uint64_t order, unsigned int *bucket,
	       bool *is_current);

/**
 * truth_sweep - the snapshot is complete: what it did not name is gone
 * @on_missing: called with a DELETE record for each; may be NULL
 *
 * A piece at a time: others have the loop in between, and may put what is newer.
 * Return: there is more; call it again. false: all is done, truth_end() is next.
 */
bool truth_sweep(struct truth *t,
		 void (*on_missing)(void *cookie, const void *rec, unsigned int bucket),
		 void *cookie);

/**
 * truth_end - the snapshot is over
 * @counts: what it found; may be NULL
 */
void truth_end(struct truth *t, struct truth_counts *counts);

/* Give a running snapshot up: nothing follows from what it did not name. */
void truth_abort(struct truth *t);

#endif
