/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets: which nft sets of this node are replicated, and how each of them fares. A set is known by
 * its names; that it was deleted and made anew is seen by its handle.
 */
#ifndef SETS_H
#define SETS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "flyrep.h"
#include "nft.h"

#define SET_PREFIX_MAX (2 * NFT_NAME_MAXLEN + 8)

/**
 * struct set - one of them
 * @nft: as it is, or was when it was here last
 * @is_here: this node has it
 * @is_dirty: its elements are to be learnt
 * @is_doubtful: of those in the index it is to be seen which are there
 * @is_reborn: it was made anew, and may have been filled by who did
 * @is_lost: writer: its elements are gone without being meant to, peers have them
 * @is_unknown: of a lost one: this agent never saw any
 * @n_back: elements that peers gave back since it was lost
 * @is_flushed: in the transaction whose hints are being read
 * @is_filled: likewise, since then
 * @n_named: elements that the last dump found
 * @n_refused: records this node could not write
 * @error: of the last of them, 0 none
 * @refused_ms: when that was, CLOCK_MONOTONIC
 * @prefix: of the canonical keys of its elements
 */
struct set {
	struct fr_nft_set nft;
	bool is_here;
	bool is_dirty;
	bool is_doubtful;
	bool is_reborn;
	bool is_lost;
	bool is_unknown;
	uint64_t n_back;
	bool is_flushed;
	bool is_filled;
	uint64_t n_named;
	uint64_t n_refused;
	int error;
	uint64_t refused_ms;
	uint16_t prefix_len;
	uint8_t prefix[SET_PREFIX_MAX];
};

struct sets {
	const struct fr_config *config;
	struct set *v[FLYREP_SETS_MAX];
	size_t n;
	bool is_over;			/* there are more than that */
};

/**
 * sets_refresh - look which there are now
 * @n: to ask
 * @has_changed: set if the module is to be told
 *
 * New ones are dirty; a set that was made anew is dirty and reborn.
 *
 * Return: 0 or -errno.
 */
int sets_refresh(struct sets *s, struct fr_nft *n, bool *has_changed);
void sets_free(struct sets *s);

/* NULL: not one of ours. */
struct set *sets_by_handle(const struct sets *s, uint64_t table, uint64_t handle);
struct set *sets_by_name(const struct sets *s, uint8_t family, const char *table,
			 const char *name);
/* By the canonical key of an element. */
struct set *sets_by_key(const struct sets *s, const uint8_t *key, size_t key_len);

/* This node could not write a record of a set, which it may not even have. */
void sets_refused(struct sets *s, const struct fr_nft_name *name, int error);

/* What was last refused before then is not any more. */
void sets_forgive(struct sets *s, uint64_t before_ms);

/* Only packets or its timeout make its elements: no ruleset brings them back. */
bool set_is_dynamic(const struct set *set);
/* Its elements cannot be read one by one. */
bool set_has_intervals(const struct set *set);
/* "inet/filter/blocked" in @buf of SET_TEXT_LEN. */
#define SET_TEXT_LEN (2 * NFT_NAME_MAXLEN + 16)
const char *set_text(const struct set *set, char *buf);
/* What is wrong with it, or NULL. */
const char *set_trouble(const struct set *set);

/* For status: an array. */
json_t *sets_json(const struct sets *s);

#endif
