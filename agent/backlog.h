/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backlog: the encoded batches of this node's stream, numbered without a gap,
 * bounded in bytes, kept for all peers together. A peer's cursor is just a
 * sequence number. When there is no room the oldest batch goes; on_drop tells the caller which
 * buckets of which table it held, before it goes, so that peers which still needed it can be
 * repaired.
 */
#ifndef BACKLOG_H
#define BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backlog;

/**
 * struct backlog_batch - one frame, ready to send
 * @seq: number in the stream, from 1
 * @captured_ns: CLOCK_MONOTONIC time of its oldest change
 * @encoded_ns: CLOCK_MONOTONIC time at which it was encoded
 * @table: of its records
 * @has_refs: some of its records are named by reference
 * @n_changes: records in it
 * @len: bytes of @frame, head included
 * @frame: head and payload
 * @buckets: bucket of each record, @n_changes of them (duplicates allowed)
 */
struct backlog_batch {
	uint64_t seq;
	uint64_t captured_ns;
	uint64_t encoded_ns;
	uint8_t table;
	bool has_refs;
	uint32_t n_changes;
	uint32_t len;
	const uint8_t *frame;
	const uint16_t *buckets;
};

/**
 * backlog_new - an empty backlog
 * @max_bytes: bound on what all batches together occupy
 * @on_drop: called for each batch that must make room
 */
struct backlog *backlog_new(size_t max_bytes,
			    void (*on_drop)(void *cookie, const struct backlog_batch *b),
			    void *cookie);
void backlog_free(struct backlog *bl);

/**
 * backlog_push - append a batch; everything is copied; b->seq is ignored
 * Return: its sequence number, or 0 when out of memory or larger than the bound: nothing was
 *	appended and the caller must treat its buckets as dirty for every peer
 */
uint64_t backlog_push(struct backlog *bl, const struct backlog_batch *b);

/* The batch with this number, or NULL if it is gone or not yet there. */
const struct backlog_batch *backlog_get(const struct backlog *bl, uint64_t seq);
/* Forget all up to @seq: every peer has them. Does not call on_drop. */
void backlog_trim(struct backlog *bl, uint64_t seq);
/* Number the next batch will get: one more than the last. */
uint64_t backlog_next_seq(const struct backlog *bl);
/* Number of the oldest batch kept; equals backlog_next_seq() when empty. */
uint64_t backlog_first_seq(const struct backlog *bl);
size_t backlog_bytes(const struct backlog *bl);
/* Number of the newest batch with references; 0: there was none. */
uint64_t backlog_last_refs(const struct backlog *bl);
/* Changes and bytes in batches numbered @seq and later. */
void backlog_pending(const struct backlog *bl, uint64_t seq, uint64_t *n_changes,
		     uint64_t *n_bytes);

#endif
