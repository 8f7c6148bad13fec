// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rules by which reads of the kernel change the index, and a random history of
 * a table read live and by snapshots, in pieces and late, against the table itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "notes.h"
#include "truth.h"

static const struct fr_siphash_key hash_key = { "0123456789abcdef" };

static union fr_record flow(unsigned int n, uint32_t mark, uint32_t id, uint8_t op)
{
	union fr_record r = { .ct = {
		.rec = { .op = op, .id = id },
		.family = AF_INET,
		.proto = IPPROTO_UDP,
		.zone_dir = 3,
		.mark = mark,
	} };

	r.ct.orig.src.word[0] = r.ct.reply.dst.word[0] = htonl(0x0a000000 + n);
	r.ct.orig.dst.word[0] = r.ct.reply.src.word[0] = htonl(0xc0000201);
	r.ct.orig.sport = r.ct.reply.dport = htons(1000);
	r.ct.orig.dport = r.ct.reply.sport = htons(53);
	return r;
}

static struct truth *new_truth(void)
{
	struct truth *t = truth_new(fr_table_by_id(FLYREP_TABLE_CONNTRACK), &hash_key);

	assert_non_null(t);
	return t;
}

static const struct truth_scope everything = {
	.buckets = { [0 ... FLYREP_BUCKETS_LEN - 1] = 0xff },
};

/* The end of a snapshot, in one go */
static void sweep(struct truth *t,
		  void (*fn)(void *cookie, const void *rec, unsigned int bucket), void *cookie,
		  struct truth_counts *counts)
{
	while (truth_sweep(t, fn, cookie))
		;
	truth_end(t, counts);
}

static int put(struct truth *t, union fr_record r, uint64_t order)
{
	unsigned int bucket;

	return truth_put(t, &r, order, &bucket);
}

static int name(struct truth *t, union fr_record r, uint64_t order, bool *is_current)
{
	unsigned int bucket;

	return truth_name(t, &r, order, &bucket, is_current);
}

static void test_put_tells_what_is_new(void **state)
{
	struct truth *t = new_truth();

	(void)state;
	assert_int_equal(put(t, flow(1, 0, 7, FLYREP_OP_UPDATE), 1), FLYREP_OP_INSERT);
	assert_int_equal(put(t, flow(1, 0, 7, FLYREP_OP_UPDATE), 2), FLYREP_OP_UNSPEC);
	assert_int_equal(put(t, flow(1, 5, 7, FLYREP_OP_UPDATE), 3), FLYREP_OP_UPDATE);
	assert_int_equal(put(t, flow(1, 6, 8, FLYREP_OP_UPDATE), 4), FLYREP_OP_INSERT);
	assert_int_equal(put(t, flow(1, 6, 8, FLYREP_OP_DELETE), 5), FLYREP_OP_DELETE);
	assert_int_equal(put(t, flow(1, 6, 8, FLYREP_OP_DELETE), 6), FLYREP_OP_UNSPEC);
	assert_int_equal(index_entries(truth_index(t)), 0);
	assert_int_equal(index_digest(truth_index(t)), 0);
	truth_free(t);
}

static void test_late_delete_of_former_object(void **state)
{
	struct truth *t = new_truth();

	(void)state;
	put(t, flow(1, 0, 7, FLYREP_OP_UPDATE), 1);
	assert_int_equal(put(t, flow(1, 1, 8, FLYREP_OP_UPDATE), 2), FLYREP_OP_INSERT);
	/* Read later, but it is the death of the first one. */
	assert_int_equal(put(t, flow(1, 0, 7, FLYREP_OP_DELETE), 3), FLYREP_OP_UNSPEC);
	assert_int_equal(index_entries(truth_index(t)), 1);
	truth_free(t);
}

static void test_stale_read_changes_nothing(void **state)
{
	struct truth *t = new_truth();

	(void)state;
	put(t, flow(1, 2, 7, FLYREP_OP_UPDATE), 9);
	assert_int_equal(put(t, flow(1, 1, 7, FLYREP_OP_UPDATE), 8), FLYREP_OP_UNSPEC);
	assert_int_equal(put(t, flow(1, 2, 7, FLYREP_OP_UPDATE), 9), FLYREP_OP_UNSPEC);
	truth_free(t);
}

static void count_missing(void *cookie, const void *rec, unsigned int bucket)
{
	const struct flyrep_ct *ct = rec;

	(void)bucket;
	assert_int_equal(ct->rec.op, FLYREP_OP_DELETE);
	assert_int_equal(ct->proto, IPPROTO_UDP);
	++*(unsigned int *)cookie;
}

static void test_snapshot_finds_what_is_gone(void **state)
{
	struct truth *t = new_truth();
	struct truth_counts counts;
	unsigned int n_missing = 0;
	bool is_current;

	(void)state;
	put(t, flow(1, 0, 1, FLYREP_OP_UPDATE), 1);
	put(t, flow(2, 0, 2, FLYREP_OP_UPDATE), 2);
	put(t, flow(3, 0, 3, FLYREP_OP_UPDATE), 3);
	truth_begin(t, &everything, 10);
	assert_int_equal(name(t, flow(1, 0, 1, FLYREP_OP_UPDATE), 11, &is_current),
			 FLYREP_OP_UNSPEC);
	assert_true(is_current);
	/* 2 dies while the snapshot runs, and a piece read before that comes after. */
	assert_int_equal(put(t, flow(2, 0, 2, FLYREP_OP_DELETE), 14), FLYREP_OP_DELETE);
	assert_int_equal(name(t, flow(2, 0, 2, FLYREP_OP_UPDATE), 12, &is_current),
			 FLYREP_OP_UNSPEC);
	assert_false(is_current);
	/* 4 is born while it runs and is not named. */
	assert_int_equal(put(t, flow(4, 0, 4, FLYREP_OP_UPDATE), 15), FLYREP_OP_INSERT);
	sweep(t, count_missing, &n_missing, &counts);
	assert_int_equal(n_missing, 1); /* 3 */
	assert_int_equal(counts.missing, 1);
	assert_int_equal(index_entries(truth_index(t)), 2);
	truth_free(t);
}

/* What is put between two pieces of the end stays, wherever the end has got to. */
static void test_the_end_of_a_snapshot_comes_in_pieces(void **state)
{
	enum { N = 5000 };
	struct truth *t = new_truth();
	unsigned int n_missing = 0, n_pieces = 0, i;
	struct truth_counts counts;
	union fr_record r;

	(void)state;
	for (i = 0; i < N; i++)
		put(t, flow(i, 0, i, FLYREP_OP_UPDATE), 10);
	assert_int_equal(truth_begin(t, &everything, 20), 0);
	while (truth_sweep(t, count_missing, &n_missing)) {
		if (++n_pieces > 1)
			continue;
		/* Of each other one there is news, or it is born again. */
		assert_in_range(n_missing, 100, N - 100);
		for (i = 0; i < N; i += 2)
			put(t, flow(i, 1, i, FLYREP_OP_UPDATE), 21);
	}
	truth_end(t, &counts);
	assert_in_range(n_pieces, 10, 50);
	assert_int_equal(counts.missing, n_missing);
	for (i = 0; i < N; i++) {
		r = flow(i, 0, i, FLYREP_OP_UPDATE);
		assert_int_equal(truth_has(t, &r), i % 2 == 0);
	}
	truth_free(t);
}

static void test_aborted_snapshot_deletes_nothing(void **state)
{
	struct truth *t = new_truth();

	(void)state;
	put(t, flow(1, 0, 1, FLYREP_OP_UPDATE), 1);
	truth_begin(t, &everything, 10);
	truth_abort(t);
	assert_int_equal(index_entries(truth_index(t)), 1);
	truth_free(t);
}

/* --- records of any length --- */

static const char *longest(char c)
{
	static char name[FR_KEY_MAX_LEN + 1];

	memset(name, c, FR_KEY_MAX_LEN);
	return name;
}

static void tell_missing(void *cookie, const void *rec, unsigned int bucket)
{
	const struct note *n = rec;

	(void)bucket;
	assert_int_equal(n->rec.op, FLYREP_OP_DELETE);
	assert_int_equal(n->text_len, 0);
	assert_int_equal(n->rec.tail_len, FR_KEY_MAX_LEN);
	assert_memory_equal(n->tail, longest('b'), FR_KEY_MAX_LEN);
	++*(unsigned int *)cookie;
}

static void test_records_with_tails(void **state)
{
	struct truth *t = truth_new(&note_table, &hash_key);
	unsigned int bucket, n_missing = 0;
	union note_room room;
	bool is_current;

	(void)state;
	assert_non_null(t);
	assert_int_equal(truth_put(t, note_make(&room, FLYREP_OP_UPDATE, 1, "a", "one"), 1,
				   &bucket), FLYREP_OP_INSERT);
	assert_int_equal(truth_put(t, note_make(&room, FLYREP_OP_UPDATE, 1, "a", "two"), 2,
				   &bucket), FLYREP_OP_UPDATE);
	assert_int_equal(truth_put(t, note_make(&room, FLYREP_OP_UPDATE, 2, longest('a'), "x"), 3,
				   &bucket), FLYREP_OP_INSERT);
	assert_int_equal(truth_put(t, note_make(&room, FLYREP_OP_UPDATE, 3, longest('b'), "y"), 4,
				   &bucket), FLYREP_OP_INSERT);
	truth_begin(t, &everything, 10);
	assert_int_equal(truth_name(t, note_make(&room, FLYREP_OP_UPDATE, 1, "a", "two"), 11,
				    &bucket, &is_current), FLYREP_OP_UNSPEC);
	assert_true(is_current);
	assert_int_equal(truth_name(t, note_make(&room, FLYREP_OP_UPDATE, 2, longest('a'), "z"),
				    12, &bucket, &is_current), FLYREP_OP_UPDATE);
	sweep(t, tell_missing, &n_missing, NULL);
	assert_int_equal(n_missing, 1);
	assert_int_equal(index_entries(truth_index(t)), 2);
	assert_int_equal(truth_put(t, note_make(&room, FLYREP_OP_DELETE, 2, longest('a'), ""), 13,
				   &bucket), FLYREP_OP_DELETE);
	truth_free(t);
}

/* --- the random history --- */

#define N_KEYS	64
#define N_STEPS 20000
#define N_QUEUE 4096

struct world {
	uint64_t clock;
	uint32_t next_id;
	uint32_t id[N_KEYS];	/* 0: no such flow */
	uint32_t mark[N_KEYS];
	bool is_queued[N_KEYS];
	union fr_record dead[N_QUEUE];	/* deaths not drained yet */
	size_t n_dead;
	union fr_record pieces[N_KEYS];	/* read by the snapshot, not yet handed out */
	size_t n_pieces;
	unsigned int walked;
	bool is_walking;
};

static void drain(struct world *w, struct truth *t)
{
	unsigned int k, dead_first = rand() % 2;
	size_t i;

	for (i = 0; dead_first && i < w->n_dead; i++)
		put(t, w->dead[i], ++w->clock);
	for (k = 0; k < N_KEYS; k++) {
		if (w->is_queued[k] && w->id[k])
			put(t, flow(k, w->mark[k], w->id[k], FLYREP_OP_UPDATE), ++w->clock);
		w->is_queued[k] = false;
	}
	for (i = 0; !dead_first && i < w->n_dead; i++)
		put(t, w->dead[i], ++w->clock);
	w->n_dead = 0;
}

static void change(struct world *w)
{
	unsigned int k = rand() % N_KEYS;

	if (w->id[k] && rand() % 3 == 0) {
		if (w->n_dead == N_QUEUE)
			return;
		w->dead[w->n_dead++] = flow(k, w->mark[k], w->id[k], FLYREP_OP_DELETE);
		w->id[k] = 0;
		return;
	}
	if (!w->id[k])
		w->id[k] = ++w->next_id;
	w->mark[k] = rand();
	w->is_queued[k] = true;
}

static void walk(struct world *w, struct truth *t)
{
	bool is_current;
	size_t i;

	if (!w->is_walking) {
		truth_begin(t, &everything, ++w->clock);
		w->is_walking = true;
		w->walked = 0;
		return;
	}
	for (i = 0; i < 8 && w->walked < N_KEYS; i++, w->walked++) {
		unsigned int k = w->walked;

		if (!w->id[k])
			continue;
		w->pieces[w->n_pieces] = flow(k, w->mark[k], w->id[k], FLYREP_OP_UPDATE);
		w->pieces[w->n_pieces++].rec.stamp = ++w->clock;
	}
	if (rand() % 2 && w->walked < N_KEYS)
		return; /* they wait in a socket */
	for (i = 0; i < w->n_pieces; i++)
		name(t, w->pieces[i], w->pieces[i].rec.stamp, &is_current);
	w->n_pieces = 0;
	if (w->walked == N_KEYS) {
		sweep(t, NULL, NULL, NULL);
		w->is_walking = false;
	}
}

static void check(const struct world *w, struct truth *t)
{
	struct truth *model = new_truth();
	unsigned int k;

	for (k = 0; k < N_KEYS; k++)
		if (w->id[k])
			put(model, flow(k, w->mark[k], w->id[k], FLYREP_OP_UPDATE), 1);
	assert_int_equal(index_entries(truth_index(t)), index_entries(truth_index(model)));
	assert_int_equal(index_digest(truth_index(t)), index_digest(truth_index(model)));
	truth_free(model);
}

static void test_any_history_converges(void **state)
{
	unsigned int seed, i;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		struct world *w = calloc(1, sizeof(*w));
		struct truth *t = new_truth();

		assert_non_null(w);
		srand(seed);
		for (i = 0; i < N_STEPS / 20; i++) {
			switch (rand() % 6) {
			case 0:
				drain(w, t);
				break;
			case 1:
				walk(w, t);
				break;
			default:
				change(w);
			}
		}
		while (w->is_walking)
			walk(w, t);
		drain(w, t);
		check(w, t);
		truth_free(t);
		free(w);
	}
}

static bool is_excused(void *cookie, const uint8_t *key, size_t key_len)
{
	return key_len == strlen(cookie) && !memcmp(key, cookie, key_len);
}

static void test_scope_of_a_snapshot(void **state)
{
	static const char *const names[] = { "set/a", "set/b", "set/c", "set", "else/a" };
	struct truth *t = truth_new(&note_table, &hash_key);
	struct truth_scope scope = everything;
	struct truth_counts counts;
	union note_room room;
	unsigned int bucket;
	struct index_entry e;
	bool is_current;
	size_t i;

	(void)state;
	assert_non_null(t);
	for (i = 0; i < 5; i++)
		truth_put(t, note_make(&room, FLYREP_OP_UPDATE, 0, names[i], "x"), 1, &bucket);
	scope.prefix_len = 4;
	memcpy(scope.prefix, "set/", 4);
	truth_set_excuse(t, is_excused, (void *)"set/c");
	truth_begin(t, &scope, 10);
	truth_name(t, note_make(&room, FLYREP_OP_UPDATE, 0, "set/a", "x"), 11, &bucket, &is_current);
	assert_true(index_find(truth_index(t), "set/a", 5, &e) && !truth_lacks(t, &e));
	assert_true(index_find(truth_index(t), "set/b", 5, &e) && truth_lacks(t, &e));
	assert_true(index_find(truth_index(t), "set", 3, &e) && !truth_lacks(t, &e));
	sweep(t, NULL, NULL, &counts);
	assert_int_equal(counts.missing, 1); /* b: c is excused, the others are out of scope */
	assert_false(index_find(truth_index(t), "set/b", 5, &e));
	assert_int_equal(index_entries(truth_index(t)), 4);
	truth_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_tells_what_is_new),
		cmocka_unit_test(test_late_delete_of_former_object),
		cmocka_unit_test(test_stale_read_changes_nothing),
		cmocka_unit_test(test_snapshot_finds_what_is_gone),
		cmocka_unit_test(test_the_end_of_a_snapshot_comes_in_pieces),
		cmocka_unit_test(test_aborted_snapshot_deletes_nothing),
		cmocka_unit_test(test_records_with_tails),
		cmocka_unit_test(test_scope_of_a_snapshot),
		cmocka_unit_test(test_any_history_converges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
