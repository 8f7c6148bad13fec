// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries live in chunks that never move and are named by a 32-bit reference: the
 * offset in units of 8 bytes, chunk number in the high bits. Freed ones wait in a
 * list for each size.
 *
 * There are never fewer slots than buckets, so a bucket is a run of whole slots.
 * When the table doubles, slot i splits into 2i and 2i + 1 of the new one. Slots below
 * n_moved have been split, the others not yet: a key is always in exactly one
 * place, and a lookup never tries two.
 */
#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define CHUNK_BITS 15 /* units in a chunk: 256 KiB */
#define CHUNK_UNITS (1u << CHUNK_BITS)
#define CHUNK_LEN (8u * CHUNK_UNITS)
#define N_CHUNKS_MAX (1u << (32 - CHUNK_BITS))
#define SLOT_BITS_MAX 31
#define HASHED_MAX 64 /* bytes of a key whose hash is kept; longer ones are rare */
#define MOVES_PER_CHANGE 4 /* slots split at each change while growing */

struct entry {
	uint64_t stamp;
	uint64_t digest;
	uint32_t next; /* in the slot, or in the free list */
	uint32_t id;
	uint32_t hash; /* high half */
	uint16_t key_len;
	uint8_t reserved[2];
	uint8_t key[];
};

_Static_assert(sizeof(struct entry) == 32, "48 bytes for an IPv4 flow");

/* Units that an entry takes, and the number of its free list. */
#define UNITS(key_len) \
	((unsigned int)(sizeof(struct entry) + (key_len) + 7) / 8)
#define N_SIZES (UNITS(INDEX_KEY_MAX) + 1)

/**
 * struct hashed - a key and its hash
 * @len: 0: none
 *
 * What happens to an object asks for its key several times in a row.
 */
struct hashed {
	uint64_t hash;
	size_t len;
	uint8_t key[HASHED_MAX];
};

struct index {
	struct fr_siphash_key hash_key;
	size_t limit;
	size_t n_entries;
	struct hashed last;

	uint32_t *slots; /* 1 << slot_bits references, 0 empty */
	uint32_t *wider; /* twice as many, while growing; else NULL */
	unsigned int slot_bits;
	size_t n_moved; /* of slots, into wider */

	uint64_t **chunks;
	uint32_t n_chunks;
	uint32_t n_chunks_room;
	uint32_t n_units; /* used in the last chunk */
	uint32_t free[N_SIZES];

	uint64_t digest;
	uint64_t groups[FR_GROUPS];
	uint64_t digests[FLYREP_BUCKETS];
};

static struct entry *entry_at(const struct index *ix, uint32_t ref)
{
	return (struct entry *)&ix
		->chunks[ref >> CHUNK_BITS][ref & (CHUNK_UNITS - 1)];
}

static size_t n_slots(const struct index *ix)
{
	return (size_t)1 << ix->slot_bits;
}

/* A chunk more; what is left of the last one is lost, less than one entry. */
static int chunk_add(struct index *ix)
{
	uint64_t *chunk;

	if (ix->n_chunks == N_CHUNKS_MAX)
		return -ENOMEM;
	if (ix->n_chunks == ix->n_chunks_room) {
		uint32_t room = ix->n_chunks_room ? 2 * ix->n_chunks_room : 16;
		uint64_t **chunks = realloc(ix->chunks, room * sizeof(*chunks));

		if (!chunks)
			return -ENOMEM;
		ix->chunks = chunks;
		ix->n_chunks_room = room;
	}
	chunk = malloc(CHUNK_LEN);
	if (!chunk)
		return -ENOMEM;
	ix->n_units = ix->n_chunks ? 0 : 1; /* reference 0 is nobody's */
	ix->chunks[ix->n_chunks++] = chunk;
	return 0;
}

/* Return: a reference, 0: no memory. */
static uint32_t entry_new(struct index *ix, size_t key_len)
{
	unsigned int units = UNITS(key_len);
	uint32_t ref = ix->free[units];

	if (ref) {
		ix->free[units] = entry_at(ix, ref)->next;
		return ref;
	}
	if ((!ix->n_chunks || CHUNK_UNITS - ix->n_units < units) &&
	    chunk_add(ix))
		return 0;
	ref = (ix->n_chunks - 1) << CHUNK_BITS | ix->n_units;
	ix->n_units += units;
	return ref;
}

static void entry_free(struct index *ix, uint32_t ref)
{
	struct entry *e = entry_at(ix, ref);
	unsigned int units = UNITS(e->key_len);

	e->next = ix->free[units];
	ix->free[units] = ref;
}

/* The slot where entries with this hash (its high half) are now. */
static uint32_t *slot_of(const struct index *ix, uint32_t hash)
{
	size_t slot = hash >> (32 - ix->slot_bits);

	if (slot < ix->n_moved)
		return &ix->wider[hash >> (31 - ix->slot_bits)];
	return &ix->slots[slot];
}

static void slot_split(struct index *ix, size_t slot)
{
	uint32_t ref = ix->slots[slot];

	while (ref) {
		struct entry *e = entry_at(ix, ref);
		uint32_t next = e->next;
		uint32_t *to = &ix->wider[e->hash >> (31 - ix->slot_bits)];

		e->next = *to;
		*to = ref;
		ref = next;
	}
}

/* Called at each change: start to grow when full, go on when growing. */
static void grow(struct index *ix)
{
	unsigned int i;

	if (!ix->wider) {
		if (ix->n_entries <= n_slots(ix) ||
		    ix->slot_bits == SLOT_BITS_MAX)
			return;
		/* Without memory for it chains get longer; nothing fails. */
		ix->wider = calloc(2 * n_slots(ix), sizeof(*ix->wider));
		if (!ix->wider)
			return;
	}
	for (i = 0; i < MOVES_PER_CHANGE && ix->n_moved < n_slots(ix); i++)
		slot_split(ix, ix->n_moved++);
	if (ix->n_moved < n_slots(ix))
		return;
	free(ix->slots);
	ix->slots = ix->wider;
	ix->wider = NULL;
	ix->n_moved = 0;
	ix->slot_bits++;
}

static unsigned int bucket_of(uint32_t hash)
{
	return hash >> (32 - FLYREP_BUCKET_BITS);
}

static void digest_add(struct index *ix, uint32_t hash, uint64_t difference)
{
	unsigned int bucket = bucket_of(hash);

	ix->digests[bucket] += difference;
	ix->groups[bucket / FR_GROUP_BUCKETS] += difference;
	ix->digest += difference;
}

static uint64_t whole_hash_of(const struct index *ix, const void *key,
			      size_t key_len)
{
	/* Nobody sees that it changes. */
	struct hashed *last = &((struct index *)ix)->last;

	if (!key_len || key_len > sizeof(last->key))
		return fr_siphash(key, key_len, &ix->hash_key);
	if (key_len == last->len && !memcmp(last->key, key, key_len))
		return last->hash;
	last->hash = fr_siphash(key, key_len, &ix->hash_key);
	last->len = key_len;
	memcpy(last->key, key, key_len);
	return last->hash;
}

static uint32_t hash_of(const struct index *ix, const void *key, size_t key_len)
{
	return whole_hash_of(ix, key, key_len) >> 32;
}

static bool is_key(const struct entry *e, const void *key, size_t key_len)
{
	return e->key_len == key_len && !memcmp(e->key, key, key_len);
}

/* Where the reference of this key is stored, or the 0 at the end of its chain. */
static uint32_t *locate(const struct index *ix, uint32_t hash, const void *key,
			size_t key_len)
{
	uint32_t *link = slot_of(ix, hash);

	while (*link) {
		struct entry *e = entry_at(ix, *link);

		if (e->hash == hash && is_key(e, key, key_len))
			break;
		link = &e->next;
	}
	return link;
}

static void unlink_entry(struct index *ix, uint32_t *link)
{
	uint32_t ref = *link;
	struct entry *e = entry_at(ix, ref);

	*link = e->next;
	digest_add(ix, e->hash, -e->digest);
	ix->n_entries--;
	entry_free(ix, ref);
}

static void show(struct index_entry *out, const struct entry *e)
{
	out->stamp = e->stamp;
	out->digest = e->digest;
	out->id = e->id;
	out->key_len = e->key_len;
	out->key = e->key;
}

struct index *index_new(const struct fr_siphash_key *hash_key, size_t limit)
{
	struct index *ix = calloc(1, sizeof(*ix));

	if (!ix)
		return NULL;
	ix->hash_key = *hash_key;
	ix->limit = limit;
	ix->slot_bits = FLYREP_BUCKET_BITS;
	ix->slots = calloc(n_slots(ix), sizeof(*ix->slots));
	if (!ix->slots) {
		free(ix);
		return NULL;
	}
	return ix;
}

static void chunks_free(struct index *ix)
{
	while (ix->n_chunks)
		free(ix->chunks[--ix->n_chunks]);
	free(ix->chunks);
	ix->chunks = NULL;
	ix->n_chunks_room = 0;
	memset(ix->free, 0, sizeof(ix->free));
}

void index_free(struct index *ix)
{
	if (!ix)
		return;
	chunks_free(ix);
	free(ix->slots);
	free(ix->wider);
	free(ix);
}

void index_clear(struct index *ix)
{
	uint32_t *slots;

	chunks_free(ix);
	free(ix->wider);
	ix->wider = NULL;
	ix->n_moved = 0;
	memset(ix->slots, 0, n_slots(ix) * sizeof(*ix->slots));
	/* Give back what the entries had made it grow to, if that is possible. */
	slots = realloc(ix->slots, FLYREP_BUCKETS * sizeof(*slots));
	if (slots) {
		ix->slots = slots;
		ix->slot_bits = FLYREP_BUCKET_BITS;
	}
	ix->n_entries = 0;
	ix->digest = 0;
	memset(ix->groups, 0, sizeof(ix->groups));
	memset(ix->digests, 0, sizeof(ix->digests));
}

void index_rekey(struct index *ix, const struct fr_siphash_key *hash_key)
{
	index_clear(ix);
	ix->hash_key = *hash_key;
	ix->last.len = 0;
}

unsigned int index_bucket(const struct index *ix, const void *key,
			  size_t key_len)
{
	return bucket_of(hash_of(ix, key, key_len));
}

bool index_find(const struct index *ix, const void *key, size_t key_len,
		struct index_entry *e)
{
	uint32_t ref = *locate(ix, hash_of(ix, key, key_len), key, key_len);

	if (!ref)
		return false;
	show(e, entry_at(ix, ref));
	return true;
}

/*
 * The only entry whose hash begins like this one, but for that of a key. There are more slots than
 * one only if they are told by more bits than these. *@n: how many; above 1 the first is returned.
 */
static const struct entry *find_like(const struct index *ix, uint32_t hash,
				     unsigned int bits, const void *but,
				     size_t but_len, unsigned int *n)
{
	uint64_t at = hash >> (32 - bits) << (32 - bits),
		 end = at + (1ull << (32 - bits));
	const struct entry *found = NULL;

	*n = 0;
	while (at < end) {
		size_t slot = at >> (32 - ix->slot_bits);
		uint32_t ref = *slot_of(ix, at);

		for (; ref && *n < 2; ref = entry_at(ix, ref)->next) {
			const struct entry *e = entry_at(ix, ref);

			if ((e->hash ^ hash) >> (32 - bits) ||
			    (but && is_key(e, but, but_len)))
				continue;
			found = *n ? found : e;
			++*n;
		}
		at += 1ull << (slot < ix->n_moved ? 31 - ix->slot_bits :
						    32 - ix->slot_bits);
	}
	return found;
}

bool index_is_alone(const struct index *ix, const void *key, size_t key_len,
		    unsigned int bits, uint64_t *hash)
{
	unsigned int n;

	*hash = whole_hash_of(ix, key, key_len);
	find_like(ix, *hash >> 32, bits, key, key_len, &n);
	return !n;
}

bool index_resolve(const struct index *ix, uint32_t ref, unsigned int bits,
		   struct index_entry *e, uint64_t *hash)
{
	unsigned int n;
	const struct entry *found = find_like(ix, ref, bits, NULL, 0, &n);

	if (n != 1)
		return false;
	show(e, found);
	*hash = whole_hash_of(ix, found->key, found->key_len);
	return true;
}

int index_set(struct index *ix, const void *key, size_t key_len, uint64_t stamp,
	      uint64_t digest, uint32_t id, unsigned int *bucket)
{
	uint32_t hash = hash_of(ix, key, key_len);
	uint32_t *link, ref;
	struct entry *e;

	if (bucket)
		*bucket = bucket_of(hash);
	if (key_len > INDEX_KEY_MAX)
		return -EINVAL;
	grow(ix);
	link = locate(ix, hash, key, key_len);
	if (*link) {
		e = entry_at(ix, *link);
		digest_add(ix, hash, digest - e->digest);
	} else {
		if (ix->limit && ix->n_entries >= ix->limit)
			return -ENOSPC;
		ref = entry_new(ix, key_len);
		if (!ref)
			return -ENOMEM;
		e = entry_at(ix, ref);
		e->next = 0;
		e->hash = hash;
		e->key_len = key_len;
		memcpy(e->key, key, key_len);
		*link = ref;
		ix->n_entries++;
		digest_add(ix, hash, digest);
	}
	e->stamp = stamp;
	e->digest = digest;
	e->id = id;
	return 0;
}

int index_remove(struct index *ix, const void *key, size_t key_len,
		 unsigned int *bucket)
{
	uint32_t hash = hash_of(ix, key, key_len);
	uint32_t *link;

	if (bucket)
		*bucket = bucket_of(hash);
	grow(ix);
	link = locate(ix, hash, key, key_len);
	if (!*link)
		return -ENOENT;
	unlink_entry(ix, link);
	return 0;
}

static void walk_slot(struct index *ix, uint32_t *link,
		      bool (*fn)(void *cookie, const struct index_entry *e),
		      void *cookie)
{
	while (*link) {
		struct entry *e = entry_at(ix, *link);
		struct index_entry shown;

		show(&shown, e);
		if (fn(cookie, &shown))
			unlink_entry(ix, link);
		else
			link = &e->next;
	}
}

void index_walk(struct index *ix, unsigned int bucket,
		bool (*fn)(void *cookie, const struct index_entry *e),
		void *cookie)
{
	size_t slot = (size_t)bucket << (ix->slot_bits - FLYREP_BUCKET_BITS);
	size_t end = (size_t)(bucket + 1)
		     << (ix->slot_bits - FLYREP_BUCKET_BITS);

	for (; slot < end; slot++) {
		if (slot >= ix->n_moved) {
			walk_slot(ix, &ix->slots[slot], fn, cookie);
			continue;
		}
		walk_slot(ix, &ix->wider[2 * slot], fn, cookie);
		walk_slot(ix, &ix->wider[2 * slot + 1], fn, cookie);
	}
}

static void forget_stamps(struct index *ix, const uint32_t *slots, size_t from,
			  size_t to)
{
	for (; from < to; from++) {
		uint32_t ref = slots[from];

		while (ref) {
			struct entry *e = entry_at(ix, ref);

			e->stamp = 0;
			ref = e->next;
		}
	}
}

void index_forget_stamps(struct index *ix)
{
	forget_stamps(ix, ix->slots, ix->n_moved, n_slots(ix));
	forget_stamps(ix, ix->wider, 0, 2 * ix->n_moved);
}

size_t index_entries(const struct index *ix)
{
	return ix->n_entries;
}

size_t index_memory(const struct index *ix)
{
	return sizeof(*ix) + ix->n_chunks_room * sizeof(*ix->chunks) +
	       (size_t)ix->n_chunks * CHUNK_LEN +
	       n_slots(ix) * sizeof(*ix->slots) * (ix->wider ? 3 : 1);
}

const uint64_t *index_digests(const struct index *ix)
{
	return ix->digests;
}

const uint64_t *index_groups(const struct index *ix)
{
	return ix->groups;
}

uint64_t index_digest(const struct index *ix)
{
	return ix->digest;
}
