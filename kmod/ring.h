/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bounded queue of pointers: one ring for each CPU, any number of producers,
 * one consumer. It also keeps the "armed" flag that makes the first push into a
 * drained queue, and only that one, ring the bell.
 */
#ifndef _FLYREP_RING_H
#define _FLYREP_RING_H

#include <linux/types.h>

struct flyrep_ring;

/**
 * struct flyrep_ring_slot - what a ring holds
 * @obj: the object; the slot owns whatever the producer gave with it
 * @pushed_ns: ktime_get_mono_fast_ns() of the push
 */
struct flyrep_ring_slot {
	void	*obj;
	u64	pushed_ns;
};

/**
 * flyrep_ring_new - allocate empty rings, armed
 * @n_entries: slots for each CPU, a power of two
 *
 * Context: process, may sleep. Return: the rings, or NULL without memory.
 */
struct flyrep_ring *flyrep_ring_new(unsigned int n_entries);

/**
 * flyrep_ring_free - free rings that were popped empty
 * @ring: may be NULL; no producer may be left
 */
void flyrep_ring_free(struct flyrep_ring *ring);

/**
 * flyrep_ring_entries - slots for each CPU
 * @ring: the rings
 */
unsigned int flyrep_ring_entries(const struct flyrep_ring *ring);

/**
 * flyrep_ring_capacity - slots of all CPUs together
 * @ring: the rings
 */
unsigned int flyrep_ring_capacity(const struct flyrep_ring *ring);

/**
 * flyrep_ring_push - queue an object on this CPU's ring
 * @ring: the rings
 * @obj: not NULL
 *
 * Context: any but NMI; takes one raw spinlock, a leaf. Return: 0; 1: queued, and the
 * caller must wake the consumer; -ENOBUFS when full.
 */
int flyrep_ring_push(struct flyrep_ring *ring, void *obj);

/**
 * flyrep_ring_pop - take objects out, in order for each CPU
 * @ring: the rings
 * @slots: where to
 * @n: how many at most
 *
 * Context: process; one consumer at a time. Return: how many were taken. Fewer than
 * @n: each ring was seen empty.
 */
unsigned int flyrep_ring_pop(struct flyrep_ring *ring, struct flyrep_ring_slot *slots,
			     unsigned int n);

/**
 * flyrep_ring_arm - ask for a bell on the next push
 * @ring: the rings
 *
 * Context: process, the consumer. Return: true if something is queued already: then it is
 * not armed, and the caller must come back by itself.
 */
bool flyrep_ring_arm(struct flyrep_ring *ring);

/**
 * flyrep_ring_disarm - take the bell
 * @ring: the rings
 *
 * Context: any. Return: true if it was armed: then the caller must wake the consumer.
 */
bool flyrep_ring_disarm(struct flyrep_ring *ring);

#endif
