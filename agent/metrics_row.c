// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics_row.h"

#include <string.h>

/* The counter of a row, in the struct that has it */
double metrics_row_counter(const void *figures, const struct metrics_row *m)
{
	uint64_t n;

	memcpy(&n, (const char *)figures + m->at, sizeof(n));
	return (double)n;
}

/* All words there are, of which one holds. */
void metrics_row_words(struct scrape *s, const struct exposition_label *peer, const char *key,
		       const char *(*word)(size_t i), const char *now)
{
	size_t i;

	for (i = 0; word(i); i++)
		exposition_sample(&s->x, "",
				  peer ? METRICS_LABELS(*peer, { key, word(i) }) :
					 METRICS_LABELS({ key, word(i) }),
				  !strcmp(word(i), now));
}
