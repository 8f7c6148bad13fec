// SPDX-License-Identifier: GPL-2.0-or-later

#include "truth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Entries and buckets looked at in one go; each costs some 60 instructions. */
#define SWEEP_LOOKS	2000

struct truth {
	const struct fr_table *table;
	struct index *index;
	bool (*is_excused)(void *cookie, const uint8_t *key, size_t key_len);
	void *excuse_cookie;

	/* of the running snapshot */
	bool is_running;
	uint64_t begin;
	struct index *gone;	/* keys deleted since it began, stamp: order of the delete */
	struct fr_siphash_key hash_key;
	struct truth_counts counts;
	struct truth_scope scope;
	unsigned int n_swept;	/* buckets */
};

struct truth *truth_new(const struct fr_table *table, const struct fr_siphash_key *hash_key)
{
	struct truth *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->table = table;
	t->hash_key = *hash_key;
	t->index = index_new(hash_key, 0);
	if (!t->index) {
		free(t);
		return NULL;
	}
	return t;
}

void truth_free(struct truth *t)
{
	if (!t)
		return;
	truth_abort(t);
	index_free(t->index);
	free(t);
}

void truth_rekey(struct truth *t, const struct fr_siphash_key *hash_key)
{
	truth_abort(t);
	index_rekey(t->index, hash_key);
	t->hash_key = *hash_key;
}

void truth_set_excuse(struct truth *t,
		      bool (*is_excused)(void *cookie, const uint8_t *key, size_t key_len),
		      void *cookie)
{
	t->is_excused = is_excused;
	t->excuse_cookie = cookie;
}

struct index *truth_index(struct truth *t)
{
	return t->index;
}

const struct fr_table *truth_table(const struct truth *t)
{
	return t->table;
}

static uint32_t rec_id(const void *rec)
{
	return ((const struct flyrep_rec *)rec)->id;
}

static uint8_t rec_op(const void *rec)
{
	return ((const struct flyrep_rec *)rec)->op;
}

static int put_gone(struct truth *t, const uint8_t *key, unsigned int key_len, uint64_t order,
		    unsigned int *bucket)
{
	*bucket = index_bucket(t->index, key, key_len);
	if (t->is_running && index_set(t->gone, key, key_len, order, 0, 0, NULL))
		return -ENOMEM;
	if (index_remove(t->index, key, key_len, NULL))
		return FLYREP_OP_UNSPEC;
	return FLYREP_OP_DELETE;
}

int truth_put(struct truth *t, const void *rec, uint64_t order, unsigned int *bucket)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	unsigned int key_len = t->table->key(key, rec);
	struct index_entry e;
	uint64_t digest;
	int op, err;

	if (index_find(t->index, key, key_len, &e)) {
		*bucket = index_bucket(t->index, key, key_len);
		/*
		 * The death of an object whose key another one has taken already:
		 * rings of different CPUs are drained one after the other, so the
		 * new one may come first. Only the id tells.
		 */
		if (rec_op(rec) == FLYREP_OP_DELETE && e.id && rec_id(rec) && e.id != rec_id(rec))
			return FLYREP_OP_UNSPEC;
		if (order < e.stamp)
			return FLYREP_OP_UNSPEC;
	} else {
		e.key = NULL;
	}
	if (rec_op(rec) == FLYREP_OP_DELETE)
		return put_gone(t, key, key_len, order, bucket);

	digest = t->table->digest(rec, &t->hash_key);
	if (!e.key)
		op = FLYREP_OP_INSERT;
	else if (e.digest == digest)
		op = FLYREP_OP_UNSPEC;
	else if (e.id && rec_id(rec) && e.id != rec_id(rec))
		op = FLYREP_OP_INSERT;
	else
		op = FLYREP_OP_UPDATE;
	err = index_set(t->index, key, key_len, order, digest, rec_id(rec), bucket);
	return err ? err : op;
}

unsigned int truth_bucket(const struct truth *t, const void *rec)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	unsigned int key_len = t->table->key(key, rec);

	return index_bucket(t->index, key, key_len);
}

bool truth_has(const struct truth *t, const void *rec)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct index_entry e;

	return index_find(t->index, key, t->table->key(key, rec), &e);
}

bool truth_is(const struct truth *t, const void *rec)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct index_entry e;

	return index_find(t->index, key, t->table->key(key, rec), &e) &&
	       e.digest == t->table->digest(rec, &t->hash_key);
}

void truth_drop(struct truth *t, const void *rec)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	unsigned int key_len = t->table->key(key, rec);

	index_remove(t->index, key, key_len, NULL);
}

struct prefix {
	const uint8_t *pos;
	size_t len;
};

static bool has_prefix(void *cookie, const struct index_entry *e)
{
	const struct prefix *p = cookie;

	return e->key_len >= p->len && !memcmp(e->key, p->pos, p->len);
}

void truth_drop_all(struct truth *t, const uint8_t *prefix, size_t prefix_len)
{
	struct prefix p = { prefix, prefix_len };
	unsigned int b;

	for (b = 0; b < FLYREP_BUCKETS; b++)
		index_walk(t->index, b, has_prefix, &p);
}

int truth_begin(struct truth *t, const struct truth_scope *scope, uint64_t order)
{
	truth_abort(t);
	t->gone = index_new(&t->hash_key, 0);
	if (!t->gone)
		return -ENOMEM;
	t->is_running = true;
	t->begin = order;
	memset(&t->counts, 0, sizeof(t->counts));
	t->n_swept = 0;
	t->scope = *scope;
	return 0;
}

bool truth_lacks(const struct truth *t, const struct index_entry *e)
{
	const struct truth_scope *s = &t->scope;

	return e->stamp < t->begin && e->key_len >= s->prefix_len &&
	       !memcmp(e->key, s->prefix, s->prefix_len);
}

int truth_name(struct truth *t, const void *rec, uint64_t order, unsigned int *bucket,
	       bool *is_current)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	unsigned int key_len = t->table->key(key, rec);
	struct index_entry e;
	int op;

	t->counts.named++;
	*is_current = false;
	if (index_find(t->gone, key, key_len, &e) && e.stamp >= order) {
		*bucket = index_bucket(t->index, key, key_len);
		return FLYREP_OP_UNSPEC;
	}
	op = truth_put(t, rec, order, bucket);
	*is_current = op > FLYREP_OP_UNSPEC ||
		      (index_find(t->index, key, key_len, &e) &&
		       e.digest == t->table->digest(rec, &t->hash_key));
	if (op == FLYREP_OP_INSERT)
		t->counts.added++;
	else if (op == FLYREP_OP_UPDATE)
		t->counts.changed++;
	return op;
}

struct missing {
	struct truth *truth;
	unsigned int n_looked;	/* entries and buckets */
	unsigned int bucket;
	void (*fn)(void *cookie, const void *rec, unsigned int bucket);
	void *cookie;
};

static bool on_entry(void *cookie, const struct index_entry *e)
{
	struct missing *m = cookie;
	uint8_t room[FR_RECORD_KEY_ROOM] __attribute__((aligned(8)));

	m->n_looked++;
	if (!truth_lacks(m->truth, e) ||
	    (m->truth->is_excused &&
	     m->truth->is_excused(m->truth->excuse_cookie, e->key, e->key_len)))
		return false;
	m->truth->counts.missing++;
	if (!m->fn)
		return true;
	memset(room, 0, sizeof(room));
	if (!m->truth->table->from_key(room, e->key, e->key_len)) {
		((struct flyrep_rec *)(void *)room)->op = FLYREP_OP_DELETE;
		m->fn(m->cookie, room, m->bucket);
	}
	return true;
}

bool truth_sweep(struct truth *t,
		 void (*on_missing)(void *cookie, const void *rec, unsigned int bucket),
		 void *cookie)
{
	struct missing m = { .truth = t, .fn = on_missing, .cookie = cookie };

	if (!index_entries(t->index))
		t->n_swept = FLYREP_BUCKETS;
	while (t->n_swept < FLYREP_BUCKETS && m.n_looked < SWEEP_LOOKS) {
		m.bucket = t->n_swept++;
		if (!(t->scope.buckets[m.bucket / 8] & (1u << (m.bucket % 8))))
			continue;
		m.n_looked++;
		index_walk(t->index, m.bucket, on_entry, &m);
	}
	return t->n_swept < FLYREP_BUCKETS;
}

void truth_end(struct truth *t, struct truth_counts *counts)
{
	if (counts)
		*counts = t->counts;
	truth_abort(t);
}

void truth_abort(struct truth *t)
{
	t->is_running = false;
	index_free(t->gone);
	t->gone = NULL;
}
