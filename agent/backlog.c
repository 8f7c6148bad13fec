// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A ring of pointers, slot = seq modulo its size, and one allocation for each
 * batch. Each batch knows what was pushed before it, so the distance of a cursor
 * from the end is a subtraction.
 */
#include "backlog.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN 64

struct item {
	struct backlog_batch batch;
	uint64_t n_changes_before; /* in all batches ever pushed before this one */
	uint64_t n_bytes_before; /* of frames, likewise */
	uint8_t bytes[]; /* buckets, then the frame */
};

struct backlog {
	size_t max_bytes;
	void (*on_drop)(void *cookie, const struct backlog_batch *b);
	void *cookie;

	struct item **ring;
	uint64_t n_ring; /* a power of two, or 0 */
	uint64_t first_seq;
	uint64_t next_seq;
	size_t n_occupied;
	uint64_t last_refs; /* the newest with references */
	uint64_t n_changes; /* ever pushed */
	uint64_t n_bytes;
};

static struct item **slot_of(const struct backlog *bl, uint64_t seq)
{
	return &bl->ring[seq & (bl->n_ring - 1)];
}

/* What a batch counts for against the bound: its memory and its ring slot. */
static size_t occupied(const struct backlog_batch *b)
{
	return sizeof(struct item) + sizeof(struct item *) +
	       (size_t)b->n_changes * sizeof(*b->buckets) + b->len;
}

struct backlog *backlog_new(size_t max_bytes,
			    void (*on_drop)(void *cookie,
					    const struct backlog_batch *b),
			    void *cookie)
{
	struct backlog *bl = calloc(1, sizeof(*bl));

	if (!bl)
		return NULL;
	bl->max_bytes = max_bytes;
	bl->on_drop = on_drop;
	bl->cookie = cookie;
	bl->first_seq = 1;
	bl->next_seq = 1;
	return bl;
}

static void forget_first(struct backlog *bl)
{
	struct item **slot = slot_of(bl, bl->first_seq);

	bl->n_occupied -= occupied(&(*slot)->batch);
	bl->first_seq++;
	free(*slot);
	*slot = NULL;
}

void backlog_free(struct backlog *bl)
{
	if (!bl)
		return;
	while (bl->first_seq < bl->next_seq)
		forget_first(bl);
	free(bl->ring);
	free(bl);
}

/* Make sure that the ring has a slot for next_seq. */
static bool ring_has_room(struct backlog *bl)
{
	uint64_t n_ring = bl->n_ring ? 2 * bl->n_ring : RING_MIN;
	struct item **ring;
	uint64_t seq;

	if (bl->next_seq - bl->first_seq < bl->n_ring)
		return true;
	ring = calloc(n_ring, sizeof(*ring));
	if (!ring)
		return false;
	for (seq = bl->first_seq; seq < bl->next_seq; seq++)
		ring[seq & (n_ring - 1)] = *slot_of(bl, seq);
	free(bl->ring);
	bl->ring = ring;
	bl->n_ring = n_ring;
	return true;
}

static struct item *item_new(const struct backlog_batch *b)
{
	size_t buckets_len = (size_t)b->n_changes * sizeof(*b->buckets);
	struct item *it = malloc(sizeof(*it) + buckets_len + b->len);

	if (!it)
		return NULL;
	it->batch = *b;
	it->batch.buckets = (const uint16_t *)it->bytes;
	it->batch.frame = it->bytes + buckets_len;
	if (buckets_len)
		memcpy(it->bytes, b->buckets, buckets_len);
	if (b->len)
		memcpy(it->bytes + buckets_len, b->frame, b->len);
	return it;
}

uint64_t backlog_push(struct backlog *bl, const struct backlog_batch *b)
{
	size_t needed = occupied(b);
	struct item *it;

	/* All that can fail comes first: nothing is dropped in vain. */
	if (needed > bl->max_bytes || !ring_has_room(bl))
		return 0;
	it = item_new(b);
	if (!it)
		return 0;
	while (bl->n_occupied > bl->max_bytes - needed) {
		bl->on_drop(bl->cookie, &(*slot_of(bl, bl->first_seq))->batch);
		forget_first(bl);
	}
	it->batch.seq = bl->next_seq++;
	if (b->has_refs)
		bl->last_refs = it->batch.seq;
	it->n_changes_before = bl->n_changes;
	it->n_bytes_before = bl->n_bytes;
	bl->n_changes += b->n_changes;
	bl->n_bytes += b->len;
	bl->n_occupied += needed;
	*slot_of(bl, it->batch.seq) = it;
	return it->batch.seq;
}

const struct backlog_batch *backlog_get(const struct backlog *bl, uint64_t seq)
{
	if (seq < bl->first_seq || seq >= bl->next_seq)
		return NULL;
	return &(*slot_of(bl, seq))->batch;
}

void backlog_trim(struct backlog *bl, uint64_t seq)
{
	while (bl->first_seq < bl->next_seq && bl->first_seq <= seq)
		forget_first(bl);
}

uint64_t backlog_next_seq(const struct backlog *bl)
{
	return bl->next_seq;
}

uint64_t backlog_first_seq(const struct backlog *bl)
{
	return bl->first_seq;
}

uint64_t backlog_last_refs(const struct backlog *bl)
{
	return bl->last_refs;
}

size_t backlog_bytes(const struct backlog *bl)
{
	return bl->n_occupied;
}

void backlog_pending(const struct backlog *bl, uint64_t seq,
		     uint64_t *n_changes, uint64_t *n_bytes)
{
	const struct item *it;

	*n_changes = 0;
	*n_bytes = 0;
	if (seq < bl->first_seq)
		seq = bl->first_seq;
	if (seq >= bl->next_seq)
		return;
	it = *slot_of(bl, seq);
	*n_changes = bl->n_changes - it->n_changes_before;
	*n_bytes = bl->n_bytes - it->n_bytes_before;
}
