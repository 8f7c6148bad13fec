// SPDX-License-Identifier: GPL-2.0-or-later

#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct batch {
	const struct fr_table *table;
	size_t n;
	size_t n_max;
	bool compress;
	uint64_t captured_ns;
	struct fr_squeeze *squeeze;
	uint8_t *recs;
	uint16_t *buckets;
	uint8_t *raw;		/* columns */
	uint8_t *frame;
	size_t raw_len;		/* room in raw, and behind the head in frame */
};

struct batch *batch_new(const struct fr_table *table, size_t n_max, bool compress)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->table = table;
	b->n_max = n_max;
	b->compress = compress;
	b->captured_ns = UINT64_MAX;
	b->raw_len = 16 + n_max * table->rec_len; /* columns are never larger than records */
	if (b->raw_len > FR_FRAME_MAX_LEN)
		b->raw_len = FR_FRAME_MAX_LEN;
	b->squeeze = fr_squeeze_new();
	b->recs = malloc(n_max * table->rec_len);
	b->buckets = malloc(n_max * sizeof(*b->buckets));
	b->raw = malloc(b->raw_len);
	b->frame = malloc(FR_FRAME_HEAD_LEN + b->raw_len);
	if (!b->squeeze || !b->recs || !b->buckets || !b->raw || !b->frame) {
		batch_free(b);
		return NULL;
	}
	return b;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	fr_squeeze_free(b->squeeze);
	free(b->recs);
	free(b->buckets);
	free(b->raw);
	free(b->frame);
	free(b);
}

void batch_add(struct batch *b, const void *rec, uint8_t op, unsigned int bucket,
	       uint64_t captured_ns)
{
	uint8_t *slot = b->recs + b->n * b->table->rec_len;

	memcpy(slot, rec, b->table->rec_len);
	((struct flyrep_rec *)(void *)slot)->op = op;
	b->buckets[b->n++] = bucket;
	if (captured_ns < b->captured_ns)
		b->captured_ns = captured_ns;
}

bool batch_is_full(const struct batch *b)
{
	return b->n == b->n_max;
}

size_t batch_count(const struct batch *b)
{
	return b->n;
}

uint64_t batch_captured_ns(const struct batch *b)
{
	return b->captured_ns;
}

const uint16_t *batch_buckets(const struct batch *b)
{
	return b->buckets;
}

void batch_reset(struct batch *b)
{
	b->n = 0;
	b->captured_ns = UINT64_MAX;
}

ssize_t batch_encode(struct batch *b, uint64_t seq, uint8_t flags, const uint8_t **frame)
{
	struct fr_frame_head head = { .type = FR_FRAME_BATCH, .flags = flags,
				      .table = b->table->id, .seq = seq };
	struct fr_writer w;
	ssize_t len;
	int rc;

	fr_writer_init(&w, b->raw, b->raw_len);
	rc = b->table->encode(&w, b->recs, b->n);
	if (rc < 0)
		return rc;
	len = fr_writer_len(&w);
	if (b->compress) {
		len = fr_squeeze_pack(b->squeeze, b->frame + FR_FRAME_HEAD_LEN, b->raw_len, b->raw,
				      len, &head.flags);
		if (len < 0)
			return len;
	} else {
		memcpy(b->frame + FR_FRAME_HEAD_LEN, b->raw, len);
	}
	head.len = len;
	fr_frame_head_encode(b->frame, &head);
	*frame = b->frame;
	return FR_FRAME_HEAD_LEN + len;
}
