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

/**
 * batch_new - an empty batch
 * @n_max: most records, 1 .. FR_BATCH_MAX
 * @compress: try zstd
 */
struct batch *batch_new(const struct fr_table *table, size_t n_max, bool compress);
void batch_free(struct batch *b);

/**
 * batch_add - append a record; the caller has checked batch_is_full()
 * @op: enum flyrep_op that goes into it
 * @captured_ns: when it changed, CLOCK_MONOTONIC
 */
void batch_add(struct batch *b, const void *rec, uint8_t op, unsigned int bucket,
	       uint64_t captured_ns);
bool batch_is_full(const struct batch *b);
size_t batch_count(const struct batch *b);
/* Of the oldest record; UINT64_MAX when empty. */
uint64_t batch_captured_ns(const struct batch *b);
const uint16_t *batch_buckets(const struct batch *b);
void batch_reset(struct batch *b);

/**
 * batch_encode - make the frame of what was added
 * @flags: FR_FRAME_F_REPAIR or 0
 * @frame: set to head and payload, valid until the next call
 * Return: length in bytes, or -errno (a record that is not well-formed, memory)
 *
 * The batch is left as it is.
 */
ssize_t batch_encode(struct batch *b, uint64_t seq, uint8_t flags, const uint8_t **frame);

#endif
