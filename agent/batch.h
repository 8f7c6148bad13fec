/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Batch: collects records of one table and turns them into frames.
 */
#ifndef BATCH_H
#define BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "records.h"

struct batch;
struct encoder;

/**
 * encoder_new - room to make frames in, shared by all batches of a thread
 * @compress: try zstd
 */
struct encoder *encoder_new(bool compress);
void encoder_free(struct encoder *e);

/**
 * batch_new - an empty batch
 * @n_max: most records, 1 .. FR_BATCH_MAX; bounded in bytes too, so that its frame
 *	never is longer than FR_FRAME_MAX_LEN
 */
struct batch *batch_new(const struct fr_table *table, size_t n_max);
void batch_free(struct batch *b);

/**
 * batch_add - append a record, its tail with it; the caller has checked batch_is_full()
 * @op: enum flyrep_op that goes into it
 * @captured_ns: when it changed, CLOCK_MONOTONIC
 */
void batch_add(struct batch *b, const void *rec, uint8_t op, unsigned int bucket,
	       uint64_t captured_ns);
/**
 * batch_refer - the record added last may be named by reference
 * @hash: of its key
 * @bits: everybody who gets the batch can tell the key by so many bits of @hash, from what it had
 *	before this batch: FR_REF_BITS, or _MAX. 0: not everybody can
 *
 * Called for each record, or no record of the batch is. What an INSERT or a DELETE of the batch
 * was about is named by its key from then on.
 */
void batch_refer(struct batch *b, uint64_t hash, unsigned int bits);
/* No room for any record of the table. */
bool batch_is_full(const struct batch *b);
size_t batch_count(const struct batch *b);
/* Of the oldest record; UINT64_MAX when empty. */
uint64_t batch_captured_ns(const struct batch *b);
const uint16_t *batch_buckets(const struct batch *b);
void batch_reset(struct batch *b);

/**
 * batch_encode - make the frame of what was added
 * @flags: FR_FRAME_F_REPAIR, or FR_FRAME_F_REFS if references may be made, or 0
 * @frame: set to head and payload, valid until the next call with this @e
 * @on_refused: a record is not well-formed: called with its bucket and why, and the batch is
 *	without it from then on. The others do not suffer
 * Return: length in bytes, 0 when nothing is left to send, or -errno
 *
 * But for what was refused, the batch is left as it is.
 */
ssize_t batch_encode(struct batch *b, struct encoder *e, uint64_t seq, uint8_t flags,
		     const uint8_t **frame,
		     void (*on_refused)(void *cookie, unsigned int bucket, const char *why),
		     void *cookie);

#endif
