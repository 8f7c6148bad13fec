/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Merge: learning is added up, not fought over. A slot has what its own node counted; in effect
 * is the sum over the slots, the earliest first_seen, the latest last_seen, and policy, state and
 * hints as of the one who changed them last.
 *
 * The own kernel holds the sum. So what a local write adds is what the kernel says now less what
 * was put there last. That is exact as long as writes and what is put there take turns; where
 * they cross in the kernel, who comes last overwrites the other, and as many counts are lost as
 * the other had added. A count that is set back below what the other nodes have counted stays at
 * their sum: to begin anew, delete.
 */
#ifndef MERGE_H
#define MERGE_H

#include "history.h"

/* Whether items of a table are merged. */
static inline bool merge_has_rules(uint8_t table)
{
	return table == FLYREP_TABLE_LEARNING;
}

/**
 * struct merge_applied - what a merged item said when it was last put into the own kernel, or
 * read there
 * @count: the sum
 * @decided: digest of the fields that are not merged
 */
struct merge_applied {
	uint64_t count;
	uint64_t decided;
};

/* Bytes: */
struct merge_value {
	uint16_t len;
	uint8_t bytes[FLYREP_ITEM_VALUE_MAX_LEN];
};

/* What is remembered of a value. */
struct merge_applied merge_applied(const uint8_t *value, size_t len,
				   const struct fr_siphash_key *hash_key);

/**
 * merge_write - the value of the own slot after a local write
 * @out: the value
 * @own: the own slot before; NULL: none
 * @value: what the kernel holds now, @len bytes, well-formed
 * @before: what it held; NULL: nothing
 * Return: 1: a field that is not merged was changed; 0: none; -EMSGSIZE
 */
int merge_write(struct merge_value *out, const struct history_slot *own, const uint8_t *value,
		size_t len, const struct merge_applied *before,
		const struct fr_siphash_key *hash_key);

/**
 * merge_effect - what some slots make together
 * @out: their value
 * @expires_ms: the latest end, 0: never
 * @slots: @n of them, at least one, none a tombstone
 * Return: 0, -EMSGSIZE
 */
int merge_effect(struct merge_value *out, uint64_t *expires_ms, const struct history_order *o,
		 const struct history_slot *const *slots, size_t n);

#endif
