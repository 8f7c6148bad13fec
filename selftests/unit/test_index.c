// SPDX-License-Identifier: GPL-2.0-or-later
/* The index against a naive model, and its promises about memory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "index.h"

static const struct fr_siphash_key hash_key = { .b = "index test key!" };

static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

#define MODEL 8192 /* keys that ever exist */

struct model {
	struct {
		bool is_there;
		uint64_t stamp;
		uint64_t digest;
		uint32_t id;
	} v[MODEL];
	size_t n;
};

/* Key i: any length, with those of flows (16, 40) most common. */
static size_t key_of(unsigned int i, uint8_t key[INDEX_KEY_MAX])
{
	size_t len = i % 3 == 0 ? 16 : i % 3 == 1 ? 40 : 4 + i % (INDEX_KEY_MAX - 3);

	memset(key, i & 0xff, len);
	memcpy(key, &i, sizeof(i));
	return len;
}

struct seen {
	const struct model *m;
	unsigned int bucket;
	size_t n;
	unsigned int remove_mod; /* remove entries whose number divides; 0 none */
	struct index *ix;
	bool was_shown[MODEL];
};

static bool see(void *cookie, const struct index_entry *e)
{
	struct seen *s = cookie;
	unsigned int i;

	memcpy(&i, e->key, sizeof(i));
	assert_in_range(i, 0, MODEL - 1);
	assert_false(s->was_shown[i]);
	s->was_shown[i] = true;
	s->n++;
	assert_true(s->m->v[i].is_there);
	assert_int_equal(e->stamp, s->m->v[i].stamp);
	assert_int_equal(e->digest, s->m->v[i].digest);
	assert_int_equal(e->id, s->m->v[i].id);
	assert_int_equal(index_bucket(s->ix, e->key, e->key_len), s->bucket);
	return s->remove_mod && i % s->remove_mod == 0;
}

/* Everything the index says, recomputed from the model. */
static void compare(struct index *ix, const struct model *m)
{
	uint64_t *digests = calloc(FLYREP_BUCKETS, sizeof(*digests));
	uint64_t groups[FR_GROUPS] = { 0 };
	struct seen *s = calloc(1, sizeof(*s));
	uint64_t all = 0;
	unsigned int i;

	assert_non_null(digests);
	assert_non_null(s);
	for (i = 0; i < MODEL; i++) {
		struct index_entry e;
		uint8_t key[INDEX_KEY_MAX];
		size_t len = key_of(i, key);
		uint64_t hash = fr_siphash(key, len, &hash_key);

		assert_int_equal(index_find(ix, key, len, &e),
				 m->v[i].is_there);
		if (!m->v[i].is_there)
			continue;
		assert_int_equal(e.stamp, m->v[i].stamp);
		assert_int_equal(e.digest, m->v[i].digest);
		assert_int_equal(e.id, m->v[i].id);
		assert_int_equal(e.key_len, len);
		assert_memory_equal(e.key, key, len);
		assert_int_equal((uintptr_t)e.key % 8, 0);
		digests[hash >> 48] += e.digest;
		groups[hash >> 56] += e.digest;
		all += e.digest;
	}
	assert_memory_equal(digests, index_digests(ix),
			    FLYREP_BUCKETS * sizeof(*digests));
	assert_memory_equal(groups, index_groups(ix), sizeof(groups));
	assert_true(all == index_digest(ix));
	assert_int_equal(index_entries(ix), m->n);

	s->m = m;
	s->ix = ix;
	for (s->bucket = 0; s->bucket < FLYREP_BUCKETS; s->bucket++)
		index_walk(ix, s->bucket, see, s);
	assert_int_equal(s->n, m->n);
	free(s);
	free(digests);
}

static void set(struct index *ix, struct model *m, unsigned int i,
		uint64_t *seed)
{
	unsigned int bucket = ~0u;
	uint8_t key[INDEX_KEY_MAX];
	size_t len = key_of(i, key);

	m->n += !m->v[i].is_there;
	m->v[i].is_there = true;
	m->v[i].stamp = next(seed);
	m->v[i].digest = next(seed);
	m->v[i].id = next(seed);
	assert_int_equal(index_set(ix, key, len, m->v[i].stamp, m->v[i].digest,
				   m->v[i].id, &bucket),
			 0);
	assert_int_equal(bucket, fr_siphash(key, len, &hash_key) >> 48);
}

static void unset(struct index *ix, struct model *m, unsigned int i)
{
	unsigned int bucket = ~0u;
	uint8_t key[INDEX_KEY_MAX];
	size_t len = key_of(i, key);

	assert_int_equal(index_remove(ix, key, len, &bucket),
			 m->v[i].is_there ? 0 : -ENOENT);
	assert_int_equal(bucket, fr_siphash(key, len, &hash_key) >> 48);
	m->n -= m->v[i].is_there;
	m->v[i].is_there = false;
}

static void test_random_operations_match_a_model(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	struct index *ix = index_new(&hash_key, 0);
	uint64_t seed = 1;
	unsigned int round, i;

	(void)state;
	assert_non_null(m);
	assert_non_null(ix);
	for (round = 0; round < 12; round++) {
		/* Waves: mostly filling, then mostly emptying. */
		unsigned int fill = round % 4 < 2 ? 75 : 25;

		for (i = 0; i < 20000; i++) {
			unsigned int k = next(&seed) % MODEL;

			if (next(&seed) % 100 < fill)
				set(ix, m, k, &seed);
			else
				unset(ix, m, k);
		}
		compare(ix, m);
	}
	index_clear(ix);
	memset(m, 0, sizeof(*m));
	compare(ix, m);
	set(ix, m, 5, &seed);
	compare(ix, m);
	index_free(ix);
	free(m);
}

/* Fill it up with other keys so that the doublings happen under the model. */
static void test_growth_keeps_everything(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	struct index *ix = index_new(&hash_key, 0);
	size_t before = index_memory(ix), n_extra = 0;
	uint64_t seed = 2;
	uint8_t key[16];

	(void)state;
	assert_non_null(m);
	while (n_extra < 300000) {
		uint64_t big = (1ULL << 40) + n_extra;

		if (n_extra % 40 == 0)
			set(ix, m, next(&seed) % MODEL, &seed);
		if (n_extra % 90 == 0)
			unset(ix, m, next(&seed) % MODEL);
		memset(key, 0xee, sizeof(key));
		memcpy(key + 4, &big, sizeof(big));
		assert_int_equal(index_set(ix, key, 16, 7, 0, 9, NULL), 0);
		n_extra++;
		/* Check inside, at the start and after each doubling. */
		if (n_extra % 10007 == 0) {
			struct index_entry e;
			unsigned int i;

			for (i = 0; i < MODEL; i++) {
				uint8_t k[INDEX_KEY_MAX];
				size_t len = key_of(i, k);

				assert_int_equal(index_find(ix, k, len, &e),
						 m->v[i].is_there);
				if (m->v[i].is_there)
					assert_int_equal(e.digest,
							 m->v[i].digest);
			}
			assert_int_equal(index_entries(ix), m->n + n_extra);
		}
	}
	assert_true(index_memory(ix) > before);
	for (; n_extra; n_extra--) {
		uint64_t big = (1ULL << 40) + n_extra - 1;

		memset(key, 0xee, sizeof(key));
		memcpy(key + 4, &big, sizeof(big));
		assert_int_equal(index_remove(ix, key, 16, NULL), 0);
	}
	compare(ix, m);
	index_clear(ix);
	assert_int_equal(index_memory(ix), before);
	index_free(ix);
	free(m);
}

static void test_walk_may_remove_in_every_phase_of_growth(void **state)
{
	unsigned int n;

	(void)state;
	/* 65 600 is in the middle of the first doubling, 150 000 of the second. */
	for (n = 65000; n <= 150000; n += n < 66000 ? 600 : 21100) {
		struct index *ix = index_new(&hash_key, 0);
		struct model *m = calloc(1, sizeof(*m));
		struct seen *s = calloc(1, sizeof(*s));
		uint64_t seed = n;
		unsigned int i;

		assert_non_null(m);
		assert_non_null(s);
		for (i = 0; i < n; i++) {
			uint64_t key[2] = { (1ULL << 40) + i, i };

			assert_int_equal(index_set(ix, key, 16, 0, 0, 0, NULL),
					 0);
		}
		for (i = 0; i < n; i++) {
			uint64_t key[2] = { (1ULL << 40) + i, i };

			/* Removing goes on growing; stop at half. */
			if (i % 2)
				assert_int_equal(
					index_remove(ix, key, 16, NULL), 0);
			if (i < 100)
				set(ix, m, next(&seed) % MODEL, &seed);
		}
		for (i = 0; i < n; i += 2) {
			uint64_t key[2] = { (1ULL << 40) + i, i };

			assert_int_equal(index_remove(ix, key, 16, NULL), 0);
		}
		s->m = m;
		s->ix = ix;
		s->remove_mod = 2;
		for (s->bucket = 0; s->bucket < FLYREP_BUCKETS; s->bucket++)
			index_walk(ix, s->bucket, see, s);
		assert_int_equal(s->n, m->n);
		for (i = 0; i < MODEL; i += 2) {
			m->n -= m->v[i].is_there;
			m->v[i].is_there = false;
		}
		compare(ix, m);
		index_free(ix);
		free(s);
		free(m);
	}
}

static void test_limit_refuses_new_but_not_changes(void **state)
{
	struct index *ix = index_new(&hash_key, 3);
	struct index_entry e;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(index_set(ix, &i, sizeof(i), i, i, i, NULL),
				 0);
	assert_int_equal(index_set(ix, &i, sizeof(i), i, i, i, NULL), -ENOSPC);
	assert_false(index_find(ix, &i, sizeof(i), &e));
	i = 1;
	assert_int_equal(index_set(ix, &i, sizeof(i), 9, 9, 9, NULL), 0);
	assert_true(index_digest(ix) == 0 + 9 + 2);
	i = 0;
	assert_int_equal(index_remove(ix, &i, sizeof(i), NULL), 0);
	i = 3;
	assert_int_equal(index_set(ix, &i, sizeof(i), 0, 0, 0, NULL), 0);
	index_free(ix);
	index_free(NULL);
}

static void test_too_long_key_is_refused(void **state)
{
	struct index *ix = index_new(&hash_key, 0);
	uint8_t key[INDEX_KEY_MAX + 1] = { 0 };
	struct index_entry e;

	(void)state;
	assert_int_equal(index_set(ix, key, sizeof(key), 0, 0, 0, NULL), -EINVAL);
	assert_int_equal(index_set(ix, key, INDEX_KEY_MAX, 0, 0, 0, NULL), 0);
	assert_int_equal(index_remove(ix, key, sizeof(key), NULL), -ENOENT);
	assert_int_equal(index_entries(ix), 1);
	/* Beginnings of one another, and lengths equal but for their high byte. */
	assert_int_equal(index_set(ix, key, 300, 3, 0, 0, NULL), 0);
	assert_int_equal(index_set(ix, key, 300 - 256, 4, 0, 0, NULL), 0);
	assert_int_equal(index_entries(ix), 3);
	assert_true(index_find(ix, key, 300, &e));
	assert_int_equal(e.stamp, 3);
	assert_int_equal(e.key_len, 300);
	index_free(ix);
}

static void test_stamps_are_forgotten(void **state)
{
	struct index *ix = index_new(&hash_key, 0);
	struct index_entry e;
	uint64_t digest;
	unsigned int i;

	(void)state;
	/* 65 540: four changes into the doubling. */
	for (i = 0; i < 65540; i++)
		assert_int_equal(
			index_set(ix, &i, sizeof(i), i + 1, i, i, NULL), 0);
	digest = index_digest(ix);
	index_forget_stamps(ix);
	for (i = 0; i < 65540; i++) {
		assert_true(index_find(ix, &i, sizeof(i), &e));
		assert_int_equal(e.stamp, 0);
		assert_int_equal(e.id, i);
	}
	assert_true(digest == index_digest(ix));
	index_free(ix);
}

static void test_a_million_flows_cost_at_most_100_bytes_each(void **state)
{
	struct index *ix = index_new(&hash_key, 0);
	uint64_t seed = 3;
	size_t most = 0;
	uint32_t i;

	(void)state;
	for (i = 0; i < 1000000; i++) {
		uint64_t key[2] = { next(&seed), i };

		assert_int_equal(index_set(ix, key, 16, i, i, i, NULL), 0);
		if (i > 500000 && index_memory(ix) / i > most)
			most = index_memory(ix) / i;
	}
	print_message("%zu bytes a flow at a million, at most %zu on the way\n",
		      index_memory(ix) / 1000000, most);
	assert_in_range(index_memory(ix) / 1000000, 16, 100);
	assert_in_range(most, 16, 100);
	index_free(ix);
}

/* --- keys told by the high half of their hash ------------------------------- */

#define N_HALVES 300000

struct half {
	uint32_t half;
	uint32_t i;
};

static int by_half(const void *a, const void *b)
{
	const struct half *x = a, *y = b;

	return (x->half > y->half) - (x->half < y->half);
}

/* Two keys, among many numbers, whose hashes begin with the same 32 bits. */
static void find_twins(uint32_t twins[2])
{
	struct half *v = malloc(N_HALVES * sizeof(*v));
	uint32_t i;

	assert_non_null(v);
	for (i = 0; i < N_HALVES; i++)
		v[i] = (struct half){ fr_siphash(&i, sizeof(i), &hash_key) >> 32, i };
	qsort(v, N_HALVES, sizeof(*v), by_half);
	for (i = 1; i < N_HALVES && v[i].half != v[i - 1].half; i++)
		;
	assert_true(i < N_HALVES);
	twins[0] = v[i - 1].i;
	twins[1] = v[i].i;
	free(v);
}

static void test_a_key_is_told_by_half_a_hash(void **state)
{
	struct index *ix = index_new(&hash_key, 0);
	struct index_entry e;
	uint64_t hash, found;
	uint32_t twins[2], i;

	(void)state;
	/* In the midst of growing, too. */
	for (i = 0; i < 150000; i++) {
		assert_int_equal(index_set(ix, &i, sizeof(i), 1, i, 0, NULL), 0);
		if (i % 1000)
			continue;
		hash = fr_siphash(&i, sizeof(i), &hash_key);
		assert_true(index_is_alone(ix, &i, sizeof(i), 32, &found));
		assert_true(found == hash);
		assert_true(index_resolve(ix, hash >> 32, 32, &e, &found));
		assert_true(found == hash);
		assert_int_equal(e.key_len, sizeof(i));
		assert_memory_equal(e.key, &i, sizeof(i));
		assert_int_equal(e.digest, i);
	}
	index_clear(ix);
	find_twins(twins);
	hash = fr_siphash(&twins[0], sizeof(i), &hash_key);
	assert_true(index_is_alone(ix, &twins[0], sizeof(i), 32, &found));
	assert_true(found == hash);
	assert_false(index_resolve(ix, hash >> 32, 32, &e, &found));
	assert_int_equal(index_set(ix, &twins[0], sizeof(i), 1, 1, 0, NULL), 0);
	assert_true(index_is_alone(ix, &twins[0], sizeof(i), 32, &found));
	assert_false(index_is_alone(ix, &twins[1], sizeof(i), 32, &found));
	assert_true(index_resolve(ix, hash >> 32, 32, &e, &found));
	assert_memory_equal(e.key, &twins[0], sizeof(i));
	assert_int_equal(index_set(ix, &twins[1], sizeof(i), 1, 1, 0, NULL), 0);
	assert_false(index_is_alone(ix, &twins[0], sizeof(i), 32, &found));
	assert_false(index_resolve(ix, hash >> 32, 32, &e, &found));
	assert_int_equal(index_remove(ix, &twins[0], sizeof(i), NULL), 0);
	assert_true(index_resolve(ix, hash >> 32, 32, &e, &found));
	assert_memory_equal(e.key, &twins[1], sizeof(i));
	assert_true(found == fr_siphash(&twins[1], sizeof(i), &hash_key));
	index_free(ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations_match_a_model),
		cmocka_unit_test(test_growth_keeps_everything),
		cmocka_unit_test(test_walk_may_remove_in_every_phase_of_growth),
		cmocka_unit_test(test_limit_refuses_new_but_not_changes),
		cmocka_unit_test(test_too_long_key_is_refused),
		cmocka_unit_test(test_stamps_are_forgotten),
		cmocka_unit_test(test_a_key_is_told_by_half_a_hash),
		cmocka_unit_test(
			test_a_million_flows_cost_at_most_100_bytes_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
