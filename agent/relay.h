/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Relay: a node of a chain ships on what it holds for a writer that its own peers may not reach.
 *
 * Each node tells its peers how far from the writer it is (HELLO, ROLE), and reads from the one
 * that is nearest; to that one it says so, and to who said so to it, it writes. So a chain finds
 * its direction by itself, whichever node is primary. A node that reads offers itself to the others
 * only, so no two of them feed each other. What is received is acknowledged once those behind have
 * it.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct flow;
struct flow_link;

/* Batches on their way through, of one link */
#define RELAY_WAY_LEN 1024

/* One received batch: what it led to has left with batch @shipped of the own stream. */
struct relay_batch {
	uint64_t received;
	uint64_t shipped;
};

/**
 * struct relay_way - what was received over a link, and is not acknowledged there yet
 * @v: a ring
 * @begin: the oldest
 * @n: how many
 * @seq: what may be acknowledged
 */
struct relay_way {
	struct relay_batch v[RELAY_WAY_LEN];
	size_t begin, n;
	uint64_t seq;
};

/*
 * Whom to read from: f->source. Return: whether it is another one, or nearer or farther, so that
 * peers must be told
 */
bool relay_choose(struct flow *f);
/* Distance from the writer, as this peer is told it: see FR_DISTANCE_* */
uint8_t relay_distance(const struct flow *f, const struct flow_link *l);
/* Both nodes hold only: does the peer write to us, or we to it? Else neither. */
bool relay_reads(const struct flow *f, const struct flow_link *l);
bool relay_writes(const struct flow *f, const struct flow_link *l);

/* A session begins behind this batch: nothing is on its way. */
void relay_start(struct relay_way *w, uint64_t seq);
/**
 * relay_acked - how far of what was received over a link may be acknowledged
 * @received: last batch that was applied
 * @shipped: last batch of the own stream, with what is still collected for the next one
 * @acked: last one that all who are written to have; UINT64_MAX: there is nobody
 */
uint64_t relay_acked(struct relay_way *w, uint64_t received, uint64_t shipped, uint64_t acked);

#endif
