/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filter: what of this node's tables may leave it, and in which form; and what of a peer's may
 * come in. It stands before truth: what does not pass is in no index and no digest, so that two
 * nodes agree about what they share. The module's own filter (section conntrack) comes first.
 */
#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "records.h"
#include "truth.h"

struct filter;

/* Of one table, since the agent started. */
struct filter_counts {
	uint64_t filtered;	/* reads of records that did not pass */
	uint64_t missing_value;	/* conditions that came upon a field that is not there */
	uint64_t withdrawn;	/* of what had been shipped */
	uint64_t reduced;	/* records that left without a sensitive field */
	uint64_t refused;	/* records of a peer that did not pass here */
};

/**
 * filter_new - compile what the configuration says
 * @config: must outlive it
 * @truths: by table id, FR_TABLES_MAX of them, as far as they are replicated
 * NULL: no memory, or the crypto library refused (logged).
 */
struct filter *filter_new(const struct fr_config *config, struct truth *const *truths);
void filter_free(struct filter *f);
/* Go on counting where another one ends. */
void filter_inherit(struct filter *f, const struct filter *other);

/**
 * filter_pass - what the writer does with a record of its own kernel
 * @rec: a whole record of the table
 * @is_withdrawal: set: it does not pass, and what is returned is the DELETE of its key, in case
 *	peers know of it
 * Return: what is to be put into truth, and published, in its place: itself, or a record in @f that
 *	the next call overwrites; NULL: nothing, as it is not even well-formed
 */
const void *filter_pass(struct filter *f, const struct fr_table *table, const void *rec,
			bool *is_withdrawal);
/* A withdrawal was news to the index. */
void filter_withdrew(struct filter *f, const struct fr_table *table);

/* Does a record of a peer pass? A DELETE does. */
bool filter_admits(struct filter *f, const struct fr_table *table, const void *rec);
/* The standby has refused one. */
void filter_refused(struct filter *f, const struct fr_table *table);

/* Its records get other keys on their way: the buckets of the kernel are not those of the index. */
bool filter_moves_keys(const struct filter *f, const struct fr_table *table);
/* Some of its records pass or not as those of another table do. */
bool filter_follows(const struct filter *f, const struct fr_table *table);

const struct filter_counts *filter_counts(const struct filter *f, uint8_t table);
/* The @i-th file of configuration that is held back and why, for people; NULL: no more. */
const char *filter_held(const struct filter *f, unsigned int i);

#endif
