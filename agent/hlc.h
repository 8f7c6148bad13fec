/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HLC: a hybrid logical clock (Kulkarni, Demirbas and others, 2014). Its stamps are the wall clock
 * as long as that goes forward, and go on counting when it does not; what was seen of another node
 * is always earlier than what is written after it.
 *
 * A stamp is 48 bits of milliseconds since 1970 and a counter of 16 bits. When the counter is full
 * it carries into the milliseconds. A peer whose clock is wrong must not drag this one
 * along: of a stamp further in the future than the tolerance, only so much is taken.
 */
#ifndef HLC_H
#define HLC_H

#include <stdbool.h>
#include <stdint.h>

#define HLC_COUNTER_BITS 16

/**
 * struct hlc - zeroed, with its tolerance: ready
 * @last: highest stamp given out or taken over
 * @tolerance_ms: how far in the future a peer's stamp may lie
 * @n_clamped: stamps that lay further
 */
struct hlc {
	uint64_t last;
	uint64_t tolerance_ms;
	uint64_t n_clamped;
};

static inline uint64_t hlc_ms(uint64_t stamp)
{
	return stamp >> HLC_COUNTER_BITS;
}

/* A stamp for a write, higher than any before. @wall_ms: CLOCK_REALTIME, ms since 1970 */
uint64_t hlc_tick(struct hlc *h, uint64_t wall_ms);

/* This node gave out this stamp before it was started anew: whatever the wall clock says. */
void hlc_restore(struct hlc *h, uint64_t stamp);

/**
 * hlc_observe - a stamp of a peer was received
 * @is_clamped: set: it lies further in the future than is tolerated; may be NULL
 * Return: how far it is ahead of the wall clock, ms; 0: it is not
 */
uint64_t hlc_observe(struct hlc *h, uint64_t wall_ms, uint64_t stamp, bool *is_clamped);

#endif
