// SPDX-License-Identifier: GPL-2.0-or-later

#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Columns are never larger than their records, but for the number of these. */
#define COUNT_LEN	16
#define ROOM		(FR_FRAME_MAX_LEN - COUNT_LEN)

struct encoder {
	struct fr_squeeze *squeeze;	/* NULL: do not compress */
	uint8_t raw[FR_FRAME_MAX_LEN];	/* columns */
	uint8_t frame[FR_FRAME_HEAD_LEN + FR_FRAME_MAX_LEN];
};

struct batch {
	const struct fr_table *table;
	size_t n;
	size_t n_max;
	size_t len;		/* of the records */
	size_t len_max;		/* there is room for any one more up to here */
	uint64_t captured_ns;
	uint8_t *recs;
	const uint8_t *last;	/* record */
	uint16_t *buckets;
	size_t n_referred;	/* records that batch_refer() was called for */
	size_t n_refs;		/* of these: with a hash */
	uint64_t *hashes;	/* of each record; 0: by its key. NULL: the table has none */
	unsigned int ref_bits;	/* as many as each of them needs */
	/* Of what an INSERT or DELETE was about: FR_REF_BITS and 1. Open addressing, 0: empty */
	uint32_t *marks;
	size_t n_marks;		/* places, a power of two */
	uint32_t *used;		/* places in use */
	size_t n_used;
};

struct encoder *encoder_new(bool compress)
{
	/* Not zeroed: no page of it is touched before it is needed. */
	struct encoder *e = malloc(sizeof(*e));

	if (!e)
		return NULL;
	e->squeeze = compress ? fr_squeeze_new() : NULL;
	if (compress && !e->squeeze) {
		free(e);
		return NULL;
	}
	return e;
}

void encoder_free(struct encoder *e)
{
	if (!e)
		return;
	fr_squeeze_free(e->squeeze);
	free(e);
}

static int marks_new(struct batch *b)
{
	for (b->n_marks = 1; b->n_marks < 2 * b->n_max; b->n_marks *= 2)
		;
	b->hashes = malloc(b->n_max * sizeof(*b->hashes));
	b->used = malloc(b->n_max * sizeof(*b->used));
	b->marks = calloc(b->n_marks, sizeof(*b->marks));
	return b->hashes && b->used && b->marks ? 0 : -ENOMEM;
}

/* Where it is, or the empty place for it. */
static size_t mark_place(const struct batch *b, uint32_t mark)
{
	size_t i = mark & (b->n_marks - 1);

	while (b->marks[i] && b->marks[i] != mark)
		i = (i + 1) & (b->n_marks - 1);
	return i;
}

static void marks_clear(struct batch *b)
{
	while (b->n_used)
		b->marks[b->used[--b->n_used]] = 0;
}

struct batch *batch_new(const struct fr_table *table, size_t n_max)
{
	size_t longest = (size_t)table->rec_len + table->tail_max, room = n_max * longest;
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	if (room > ROOM)
		room = ROOM;
	b->table = table;
	b->n_max = n_max;
	b->len_max = room - longest;
	b->captured_ns = UINT64_MAX;
	b->recs = malloc(room);
	b->buckets = malloc(n_max * sizeof(*b->buckets));
	if (!b->recs || !b->buckets || (table->encode_refs && marks_new(b) < 0)) {
		batch_free(b);
		return NULL;
	}
	return b;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	free(b->recs);
	free(b->buckets);
	free(b->hashes);
	free(b->used);
	free(b->marks);
	free(b);
}

void batch_add(struct batch *b, const void *rec, uint8_t op, unsigned int bucket,
	       uint64_t captured_ns)
{
	uint8_t *slot = b->recs + b->len;
	size_t len = fr_record_len(b->table, rec);

	memcpy(slot, rec, len);
	((struct flyrep_rec *)(void *)slot)->op = op;
	b->len += len;
	if (b->hashes)
		b->hashes[b->n] = 0;
	b->last = slot;
	b->buckets[b->n++] = bucket;
	if (captured_ns < b->captured_ns)
		b->captured_ns = captured_ns;
}

void batch_refer(struct batch *b, uint64_t hash, unsigned int bits)
{
	uint8_t op = ((const struct flyrep_rec *)(const void *)b->last)->op;
	uint32_t mark = (hash >> (64 - FR_REF_BITS)) + 1;
	size_t place;

	if (!b->hashes || !hash)
		return;
	place = mark_place(b, mark);
	b->n_referred++;
	if (bits && op != FLYREP_OP_INSERT && !b->marks[place]) {
		b->hashes[b->n - 1] = hash;
		b->ref_bits = bits > b->ref_bits ? bits : b->ref_bits;
		b->n_refs++;
	}
	if (op == FLYREP_OP_UPDATE || b->marks[place])
		return;
	b->marks[place] = mark;
	b->used[b->n_used++] = place;
}

bool batch_is_full(const struct batch *b)
{
	return b->n == b->n_max || b->len > b->len_max;
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
	b->len = 0;
	b->captured_ns = UINT64_MAX;
	b->n_referred = 0;
	b->n_refs = 0;
	b->ref_bits = 0;
	marks_clear(b);
}

/* Take out what the encoder refuses; false: that was nothing. */
static bool leave_out_refused(struct batch *b,
			      void (*on_refused)(void *cookie, unsigned int bucket,
						 const char *why),
			      void *cookie)
{
	size_t i, n = b->n, len;
	uint8_t *rec = b->recs;
	const char *why;

	b->n = 0;
	b->len = 0;
	for (i = 0; i < n; i++, rec += len) {
		len = fr_record_len(b->table, rec);
		if (b->table->check(rec, &why)) {
			on_refused(cookie, b->buckets[i], why);
			continue;
		}
		memmove(b->recs + b->len, rec, len);
		b->len += len;
		if (b->hashes)
			b->hashes[b->n] = b->hashes[i];
		b->buckets[b->n++] = b->buckets[i];
	}
	return b->n < n;
}

ssize_t batch_encode(struct batch *b, struct encoder *e, uint64_t seq, uint8_t flags,
		     const uint8_t **frame,
		     void (*on_refused)(void *cookie, unsigned int bucket, const char *why),
		     void *cookie)
{
	struct fr_frame_head head = { .type = FR_FRAME_BATCH, .table = b->table->id, .seq = seq };
	bool has_refs = flags & FR_FRAME_F_REFS && b->n_refs && b->n_referred == b->n;
	uint8_t *payload = e->frame + FR_FRAME_HEAD_LEN;
	struct fr_writer w;
	ssize_t len;
	int rc;

	head.flags = has_refs ? flags : flags & ~FR_FRAME_F_REFS;
	do {
		if (!b->n)
			return 0;
		fr_writer_init(&w, e->raw, sizeof(e->raw));
		rc = has_refs ? b->table->encode_refs(&w, b->recs, b->n, b->hashes,
							b->ref_bits) :
				b->table->encode(&w, b->recs, b->n);
	} while (rc == -EINVAL && leave_out_refused(b, on_refused, cookie));
	if (rc < 0)
		return rc;
	len = fr_writer_len(&w);
	if (e->squeeze) {
		len = fr_squeeze_pack(e->squeeze, payload, FR_FRAME_MAX_LEN, e->raw, len,
				      &head.flags);
		if (len < 0)
			return len;
	} else {
		memcpy(payload, e->raw, len);
	}
	head.len = len;
	fr_frame_head_encode(e->frame, &head);
	*frame = e->frame;
	return FR_FRAME_HEAD_LEN + len;
}
