// SPDX-License-Identifier: GPL-2.0-or-later
#include "merge.h"

#include <errno.h>
#include <string.h>

/* The fields of the value, in the order of lib/item.c */
enum field {
	POLICY,
	STATE,
	FIRST_SEEN,
	LAST_SEEN,
	COUNT,
	HINTS,
	N_FIELDS,
};

/**
 * struct row - a value, in place
 * @rest: fields that a newer node knows, they belong to who decided last
 */
struct row {
	struct fr_item_bytes fields[N_FIELDS];
	struct fr_item_bytes rest;
};

static struct row row_of(const uint8_t *value, size_t len)
{
	struct row row = { 0 };
	struct fr_reader r;
	size_t i;

	fr_reader_init(&r, value, len);
	for (i = 0; i < N_FIELDS && fr_reader_left(&r); i++) {
		row.fields[i].len = fr_get_be16(&r);
		row.fields[i].pos = fr_get_ref(&r, row.fields[i].len);
	}
	row.rest.len = fr_reader_left(&r);
	row.rest.pos = r.pos;
	return row;
}

static int row_put(struct merge_value *out, const struct row *row)
{
	struct fr_writer w;
	size_t i;

	fr_writer_init(&w, out->bytes, sizeof(out->bytes));
	for (i = 0; i < N_FIELDS; i++) {
		fr_put_be16(&w, (uint16_t)row->fields[i].len);
		fr_put_bytes(&w, row->fields[i].pos, row->fields[i].len);
	}
	fr_put_bytes(&w, row->rest.pos, row->rest.len);
	out->len = (uint16_t)fr_writer_len(&w);
	return w.bad ? -EMSGSIZE : 0;
}

/* A number of a field, whose bytes are in @room then: big endian, as few as it takes */
struct number {
	uint64_t value;
	uint8_t room[8];
};

static uint64_t number_of(const struct fr_item_bytes *field)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < field->len && i < 8; i++)
		n = n << 8 | field->pos[i];
	return n;
}

static void number_put(struct fr_item_bytes *field, struct number *n)
{
	size_t i, skip = 0;

	for (i = 0; i < 8; i++)
		n->room[i] = (uint8_t)(n->value >> (56 - 8 * i));
	while (skip < 7 && !n->room[skip])
		skip++;
	field->pos = n->room + skip;
	field->len = 8 - skip;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static void take_decided(struct row *to, const struct row *from)
{
	to->fields[POLICY] = from->fields[POLICY];
	to->fields[STATE] = from->fields[STATE];
	to->fields[HINTS] = from->fields[HINTS];
	to->rest = from->rest;
}

struct merge_applied merge_applied(const uint8_t *value, size_t len,
				   const struct fr_siphash_key *hash_key)
{
	struct row row = row_of(value, len), decided = { 0 };
	struct merge_value room; /* not all of it is touched */

	take_decided(&decided, &row);
	row_put(&room, &decided); /* fits, as what it is of did */
	return (struct merge_applied){
		.count = number_of(&row.fields[COUNT]),
		.decided = fr_siphash(room.bytes, room.len, hash_key),
	};
}

/* What a node that never decided says of these fields. */
static uint64_t undecided(const struct fr_siphash_key *hash_key)
{
	return merge_applied(NULL, 0, hash_key).decided;
}

int merge_write(struct merge_value *out, const struct history_slot *own, const uint8_t *value,
		size_t len, const struct merge_applied *before,
		const struct fr_siphash_key *hash_key)
{
	struct merge_applied now = merge_applied(value, len, hash_key);
	uint64_t was = before ? before->decided : undecided(hash_key);
	uint64_t base = before ? before->count : 0;
	struct row row = row_of(value, len), old = { 0 };
	struct number count = { 0 };
	int rc;

	if (own && !own->is_tombstone)
		old = row_of(own->value, own->value_len);
	if (now.decided == was)
		take_decided(&row, &old);
	count.value = number_of(&old.fields[COUNT]);
	if (now.count >= base)
		count.value = add(count.value, now.count - base);
	else
		count.value -= count.value < base - now.count ? count.value : base - now.count;
	if (count.value || row.fields[COUNT].len)
		number_put(&row.fields[COUNT], &count);
	rc = row_put(out, &row);
	return rc ? rc : now.decided != was;
}

/*
 * Whose policy, state and hints hold: the last who changed them, whatever the strategy, as a
 * change is always later than the one it has seen.
 */
static bool is_later(const struct history_order *o, const struct history_slot *a,
		     const struct history_slot *b)
{
	if (a->decided != b->decided)
		return a->decided > b->decided;
	return strcmp(o->nodes[a->dot.node], o->nodes[b->dot.node]) > 0;
}

/* The lower, or the higher, of two times; an empty one says nothing. */
static void time_merge(struct fr_item_bytes *to, const struct fr_item_bytes *from, bool is_min)
{
	if (!from->len)
		return;
	if (!to->len || (number_of(from) < number_of(to)) == is_min)
		*to = *from;
}

int merge_effect(struct merge_value *out, uint64_t *expires_ms, const struct history_order *o,
		 const struct history_slot *const *slots, size_t n)
{
	const struct history_slot *decider = slots[0];
	struct row row = { 0 }, next;
	struct number count = { 0 };
	bool has_count = false;
	size_t i;

	*expires_ms = slots[0]->expires_ms;
	for (i = 0; i < n; i++) {
		next = row_of(slots[i]->value, slots[i]->value_len);
		time_merge(&row.fields[FIRST_SEEN], &next.fields[FIRST_SEEN], true);
		time_merge(&row.fields[LAST_SEEN], &next.fields[LAST_SEEN], false);
		has_count |= next.fields[COUNT].len;
		count.value = add(count.value, number_of(&next.fields[COUNT]));
		if (!slots[i]->expires_ms || (*expires_ms && slots[i]->expires_ms > *expires_ms))
			*expires_ms = slots[i]->expires_ms;
		if (is_later(o, slots[i], decider))
			decider = slots[i];
	}
	next = row_of(decider->value, decider->value_len);
	take_decided(&row, &next);
	if (has_count)
		number_put(&row.fields[COUNT], &count);
	return row_put(out, &row);
}
