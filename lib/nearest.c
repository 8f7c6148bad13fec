// SPDX-License-Identifier: GPL-2.0-or-later
#include "nearest.h"

#include <stdint.h>
#include <string.h>

void fr_nearest_init(struct fr_nearest *nearest, const char *word)
{
	*nearest = (struct fr_nearest){ .word = word, .distance = SIZE_MAX };
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance with transpositions (optimal string alignment), three rows. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][FR_NEAREST_WORD_MAX + 1];
	size_t *before = rows[0], *prev = rows[1], *row = rows[2], *spare;
	size_t i, j;

	for (j = 0; j <= b_len; j++)
		prev[j] = j;
	for (i = 1; i <= a_len; i++) {
		row[0] = i;
		for (j = 1; j <= b_len; j++) {
			row[j] = min3(prev[j] + 1, row[j - 1] + 1,
				      prev[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		spare = before;
		before = prev;
		prev = row;
		row = spare;
	}
	return prev[b_len];
}

void fr_nearest_offer(struct fr_nearest *nearest, const char *candidate)
{
	size_t a_len = strlen(nearest->word), b_len = strlen(candidate);
	size_t shorter = a_len < b_len ? a_len : b_len;
	size_t d;

	if (a_len > FR_NEAREST_WORD_MAX || b_len > FR_NEAREST_WORD_MAX ||
	    !a_len)
		return;
	d = distance(nearest->word, a_len, candidate, b_len);
	if ((d > 3 || d * 2 >= b_len) &&
	    !(shorter >= 3 && !strncmp(nearest->word, candidate, shorter)))
		return;
	if (d < nearest->distance) {
		nearest->distance = d;
		nearest->best = candidate;
	}
}
