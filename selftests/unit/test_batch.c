// SPDX-License-Identifier: GPL-2.0-or-later
/* Batches of records of any length, and one that the encoder refuses among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "notes.h"

static void never(void *cookie, unsigned int bucket, const char *why)
{
	(void)cookie;
	(void)bucket;
	fail_msg("refused: %s", why);
}

struct refused {
	unsigned int n;
	unsigned int bucket;
	const char *why;
};

static void on_refused(void *cookie, unsigned int bucket, const char *why)
{
	struct refused *r = cookie;

	r->n++;
	r->bucket = bucket;
	r->why = why;
}

/* The records of a frame, in static memory. */
static const void *unpack(const uint8_t *frame, ssize_t len, struct fr_frame_head *head, size_t *n)
{
	static uint8_t recs[2 << 20] __attribute__((aligned(8)));
	static struct fr_squeeze *squeeze;
	const uint8_t *payload;
	struct fr_reader r;
	size_t payload_len;

	if (!squeeze)
		squeeze = fr_squeeze_new();
	assert_non_null(squeeze);
	assert_int_equal(fr_frame_head_decode(head, frame), 0);
	assert_int_equal(head->len + FR_FRAME_HEAD_LEN, len);
	assert_int_equal(fr_squeeze_unpack(squeeze, frame + FR_FRAME_HEAD_LEN, head->len,
					   head->flags, &payload, &payload_len), 0);
	fr_reader_init(&r, payload, payload_len);
	assert_int_equal(note_decode(&r, recs, sizeof(recs), FR_BATCH_MAX, n), 0);
	return recs;
}

static void test_records_of_any_length_arrive(void **state)
{
	static const char *const texts[] = { "", "x", "seven b", "eight by", "nine byte" };
	struct encoder *e = encoder_new(true);
	struct batch *b = batch_new(&note_table, 100);
	struct fr_frame_head head;
	union note_room room;
	const uint8_t *frame;
	const struct note *note;
	size_t i, n;
	ssize_t len;

	(void)state;
	assert_non_null(e);
	assert_non_null(b);
	assert_int_equal(batch_captured_ns(b), UINT64_MAX);
	for (i = 0; i < 50; i++)
		batch_add(b, note_make(&room, FLYREP_OP_UPDATE, 1, "name", texts[i % 5]),
			  FLYREP_OP_INSERT, i, 1000 - i);
	assert_int_equal(batch_count(b), 50);
	assert_int_equal(batch_captured_ns(b), 951);
	assert_int_equal(batch_buckets(b)[49], 49);
	len = batch_encode(b, e, 7, 0, &frame, never, NULL);
	assert_true(len > 0);
	note = unpack(frame, len, &head, &n);
	assert_int_equal(head.type, FR_FRAME_BATCH);
	assert_int_equal(head.table, NOTE_TABLE);
	assert_int_equal(head.seq, 7);
	assert_true(head.flags & FR_FRAME_F_ZSTD);
	assert_int_equal(n, 50);
	for (i = 0; i < n; i++, note = fr_record_next(&note_table, note)) {
		assert_int_equal(note->rec.op, FLYREP_OP_INSERT);
		assert_int_equal(note->text_len, strlen(texts[i % 5]));
		assert_memory_equal(note->tail + 4, texts[i % 5], note->text_len);
	}
	batch_reset(b);
	assert_int_equal(batch_count(b), 0);
	assert_int_equal(batch_encode(b, e, 8, 0, &frame, never, NULL), 0);
	batch_free(b);
	encoder_free(e);
}

/* Bytes that do not compress, none of them 0 or '!'. */
static void noise(char *text, size_t len, uint64_t *seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
		text[i] = 'A' + (*seed >> 33) % 180;
	}
	text[len] = '\0';
}

static void test_a_full_batch_fits_a_frame(void **state)
{
	unsigned int compress;

	(void)state;
	for (compress = 0; compress < 2; compress++) {
		struct encoder *e = encoder_new(compress);
		struct batch *b = batch_new(&note_table, FR_BATCH_MAX);
		char text[NOTE_TEXT_MAX + 1], name[FR_KEY_MAX_LEN + 1];
		struct fr_frame_head head;
		union note_room room;
		const uint8_t *frame;
		uint64_t seed = 1;
		size_t n_added = 0, n;
		ssize_t len;

		for (; !batch_is_full(b); n_added++) {
			noise(name, FR_KEY_MAX_LEN, &seed);
			noise(text, n_added % 3 ? NOTE_TEXT_MAX : 0, &seed);
			batch_add(b, note_make(&room, FLYREP_OP_UPDATE, 1, name, text),
				  FLYREP_OP_UPDATE, 0, 0);
		}
		assert_true(n_added > 200);
		len = batch_encode(b, e, 1, 0, &frame, never, NULL);
		assert_true(len > 0 && len <= FR_FRAME_MAX_LEN + FR_FRAME_HEAD_LEN);
		unpack(frame, len, &head, &n);
		assert_int_equal(n, n_added);
		batch_free(b);
		encoder_free(e);
	}
}

static void test_it_is_full_at_its_number(void **state)
{
	struct batch *b = batch_new(&note_table, 2);
	union note_room room;

	(void)state;
	batch_add(b, note_make(&room, FLYREP_OP_UPDATE, 1, "a", ""), FLYREP_OP_UPDATE, 0, 0);
	assert_false(batch_is_full(b));
	batch_add(b, note_make(&room, FLYREP_OP_UPDATE, 1, "b", ""), FLYREP_OP_UPDATE, 0, 0);
	assert_true(batch_is_full(b));
	batch_free(b);
	batch_free(NULL);
	encoder_free(NULL);
}

static void test_one_refused_record_does_not_cost_the_others(void **state)
{
	struct encoder *e = encoder_new(false);
	struct batch *b = batch_new(&note_table, 100);
	struct refused refused = { 0 };
	struct fr_frame_head head;
	union note_room room;
	const uint8_t *frame;
	const struct note *note;
	ssize_t len;
	size_t n;

	(void)state;
	batch_add(b, note_make(&room, FLYREP_OP_UPDATE, 1, "one", "long enough"),
		  FLYREP_OP_UPDATE, 1, 5);
	batch_add(b, note_make(&room, FLYREP_OP_UPDATE, 1, "bad", "!"), FLYREP_OP_UPDATE, 2, 4);
	batch_add(b, note_make(&room, FLYREP_OP_UPDATE, 1, "two", "short"), FLYREP_OP_UPDATE, 3, 3);
	len = batch_encode(b, e, 1, 0, &frame, on_refused, &refused);
	assert_true(len > 0);
	assert_int_equal(refused.n, 1);
	assert_int_equal(refused.bucket, 2);
	assert_non_null(refused.why);
	assert_int_equal(batch_count(b), 2);
	assert_int_equal(batch_buckets(b)[1], 3);
	note = unpack(frame, len, &head, &n);
	assert_int_equal(n, 2);
	assert_memory_equal(note->tail, "one", 3);
	note = fr_record_next(&note_table, note);
	assert_memory_equal(note->tail, "two", 3);
	/* It can be encoded again, and be filled further. */
	assert_int_equal(batch_encode(b, e, 1, 0, &frame, never, NULL), len);

	batch_reset(b);
	batch_add(b, note_make(&room, FLYREP_OP_UPDATE, 1, "bad", "!"), FLYREP_OP_UPDATE, 2, 4);
	assert_int_equal(batch_encode(b, e, 1, 0, &frame, on_refused, &refused), 0);
	assert_int_equal(refused.n, 2);
	assert_int_equal(batch_count(b), 0);
	batch_free(b);
	encoder_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_of_any_length_arrive),
		cmocka_unit_test(test_a_full_batch_fits_a_frame),
		cmocka_unit_test(test_it_is_full_at_its_number),
		cmocka_unit_test(test_one_refused_record_does_not_cost_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
