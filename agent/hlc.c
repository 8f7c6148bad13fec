// SPDX-License-Identifier: GPL-2.0-or-later
#include "hlc.h"

#include <stddef.h>

#define MS_MAX (UINT64_MAX >> HLC_COUNTER_BITS)

/* The last stamp of a millisecond */
static uint64_t end_of(uint64_t ms)
{
	return ms >= MS_MAX ? UINT64_MAX - 1 : ((ms + 1) << HLC_COUNTER_BITS) - 1;
}

uint64_t hlc_tick(struct hlc *h, uint64_t wall_ms)
{
	uint64_t wall = wall_ms >= MS_MAX ? 0 : wall_ms << HLC_COUNTER_BITS;

	h->last = wall > h->last ? wall : h->last + 1;
	return h->last;
}

void hlc_restore(struct hlc *h, uint64_t stamp)
{
	if (stamp > h->last)
		h->last = stamp;
}

uint64_t hlc_observe(struct hlc *h, uint64_t wall_ms, uint64_t stamp, bool *is_clamped)
{
	uint64_t ahead = hlc_ms(stamp) > wall_ms ? hlc_ms(stamp) - wall_ms : 0;
	bool is_far = ahead > h->tolerance_ms;

	if (is_far) {
		h->n_clamped++;
		stamp = end_of(wall_ms + h->tolerance_ms);
	}
	hlc_restore(h, stamp);
	if (is_clamped)
		*is_clamped = is_far;
	return ahead;
}
