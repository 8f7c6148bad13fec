/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nearest - "did you mean"
 */
#ifndef FR_NEAREST_H
#define FR_NEAREST_H

#include <stddef.h>

#define FR_NEAREST_WORD_MAX 64 /* longer words are never guessed at */

struct fr_nearest {
	const char *word; /* what was written */
	const char *best; /* the closest candidate so far, or NULL */
	size_t distance;
};

/**
 * fr_nearest_init() - start a search for the word closest to @word
 */
void fr_nearest_init(struct fr_nearest *nearest, const char *word);

/**
 * fr_nearest_offer() - consider @candidate, which must outlive the search
 *
 * A candidate is taken when fewer than half of its letters (and at most three)
 * have to be typed anew, or when one of the two words begins with the other.
 * Swapped neighbours count once.
 */
void fr_nearest_offer(struct fr_nearest *nearest, const char *candidate);

#endif
