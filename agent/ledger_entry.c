// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger_entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BITS_MIN 8
#define BITS_MAX 30

/* --- entries ------------------------------------------------------------ */

static uint64_t hash_of(const struct ledger *l, uint8_t table, const void *bytes, size_t len)
{
	return fr_siphash(bytes, len, &l->chain_key) ^ table * 0x9e3779b97f4a7c15ull;
}

static struct entry **chain_of(struct entry **chains, unsigned int bits, uint64_t hash)
{
	return &chains[hash & ((1ull << bits) - 1)];
}

static uint64_t claim_hash(const struct ledger *l, const struct claim *c)
{
	return hash_of(l, FLYREP_TABLE_LEASE, c->pos, c->len);
}

/* Twice the chains; without memory for them they get longer. */
static int grow(struct ledger *l)
{
	unsigned int bits = l->slots ? l->bits + 1 : BITS_MIN;
	struct entry **slots, **claims, *e, *next, **to;
	size_t i;

	if (bits > BITS_MAX)
		return 0;
	slots = calloc(1ull << bits, sizeof(*slots));
	claims = calloc(1ull << bits, sizeof(*claims));
	if (!slots || !claims) {
		free(slots);
		free(claims);
		return l->slots ? 0 : -ENOMEM;
	}
	for (i = 0; l->slots && i < 1ull << l->bits; i++) {
		for (e = l->slots[i]; e; e = next) {
			next = e->next;
			to = chain_of(slots, bits, e->hash);
			e->next = *to;
			*to = e;
			if (!e->claim.len)
				continue;
			to = chain_of(claims, bits, claim_hash(l, &e->claim));
			e->claim_next = *to;
			*to = e;
		}
	}
	free(l->slots);
	free(l->claims);
	l->slots = slots;
	l->claims = claims;
	l->bits = bits;
	return 0;
}

struct entry *entry_find(const struct ledger *l, uint8_t table, const void *key, size_t key_len)
{
	uint64_t hash = hash_of(l, table, key, key_len);
	struct entry *e;

	if (!l->slots)
		return NULL;
	for (e = *chain_of(l->slots, l->bits, hash); e; e = e->next)
		if (e->hash == hash && e->table == table && e->key_len == key_len &&
		    !memcmp(e->key, key, key_len))
			return e;
	return NULL;
}

struct entry *entry_get(struct ledger *l, uint8_t table, const void *key, size_t key_len)
{
	struct entry *e = entry_find(l, table, key, key_len), **chain;

	if (e)
		return e;
	if ((!l->slots || l->n_entries >= 1ull << l->bits) && grow(l))
		return NULL;
	e = calloc(1, sizeof(*e) + key_len);
	if (!e)
		return NULL;
	e->hash = hash_of(l, table, key, key_len);
	e->table = table;
	e->key_len = (uint16_t)key_len;
	memcpy(e->key, key, key_len);
	chain = chain_of(l->slots, l->bits, e->hash);
	e->next = *chain;
	*chain = e;
	l->n_entries++;
	return e;
}

bool entry_is_idle(const struct entry *e)
{
	return !e->n_slots && !e->applied.is_there && !e->is_dirty && !e->is_touched &&
	       !e->is_unsaved && !e->is_named;
}

void entry_free(struct ledger *l, struct entry *e)
{
	struct entry **link = chain_of(l->slots, l->bits, e->hash);

	while (*link != e)
		link = &(*link)->next;
	*link = e->next;
	l->n_entries--;
	entry_claim(l, e, NULL);
	while (e->n_slots)
		slot_free(e->slots[--e->n_slots]);
	free(e->slots);
	free(e->applied_claim.pos);
	free(e->merged);
	free(e);
}

void entry_each(struct ledger *l, void (*fn)(struct ledger *l, struct entry *e, void *cookie),
		void *cookie)
{
	struct entry *e;
	size_t i;

	for (i = 0; l->slots && i < 1ull << l->bits; i++)
		for (e = l->slots[i]; e; e = e->next)
			fn(l, e, cookie);
}

size_t entry_item(const struct entry *e, void *item, const uint8_t *value, size_t value_len,
		  uint64_t expires_ms)
{
	struct flyrep_item *it = item;
	size_t len = e->key_len + value_len;

	memset(it, 0, sizeof(*it));
	it->rec.op = value ? FLYREP_OP_UPDATE : FLYREP_OP_DELETE;
	it->key_len = e->key_len;
	it->value_len = (uint16_t)value_len;
	it->expires_ms = expires_ms;
	it->rec.tail_len = (uint16_t)FLYREP_ITEM_TAIL_LEN(e->key_len, value_len);
	memcpy(it + 1, e->key, e->key_len);
	if (value_len)
		memcpy((uint8_t *)(it + 1) + e->key_len, value, value_len);
	memset((uint8_t *)(it + 1) + len, 0, it->rec.tail_len - len);
	return sizeof(*it) + it->rec.tail_len;
}

/* --- what is to be done ------------------------------------------------- */

static bool list_add(struct ledger *l, struct entries *list, struct entry *e)
{
	struct entry **v = list->v;

	if (list->n == list->n_room) {
		v = realloc(v, (2 * list->n_room + 16) * sizeof(*v));
		if (!v) {
			l->is_oom = true;
			return false;
		}
		list->v = v;
		list->n_room = 2 * list->n_room + 16;
	}
	v[list->n++] = e;
	return true;
}

static void touch(struct ledger *l, struct entry *e)
{
	if (!e->is_touched)
		e->is_touched = list_add(l, &l->touched, e);
}

void entry_dirty(struct ledger *l, struct entry *e)
{
	if (!e->is_dirty)
		e->is_dirty = list_add(l, &l->dirty, e);
	touch(l, e);
}

static void unsaved(struct ledger *l, struct entry *e)
{
	if (!e->is_unsaved)
		e->is_unsaved = list_add(l, &l->unsaved, e);
}

void entry_changed(struct ledger *l, struct entry *e, uint8_t node)
{
	e->owners_unsaved |= 1ull << node;
	if (node == LEDGER_SELF)
		e->is_to_publish = true;
	unsaved(l, e);
	entry_dirty(l, e);
}

void entry_applied(struct ledger *l, struct entry *e, const struct kernel_item *k,
		   const struct claim *claim)
{
	static const struct claim none;

	if (e->applied.is_there != k->is_there ||
	    (k->is_there && memcmp(&e->applied.e, &k->e, sizeof(k->e)))) {
		e->applied = *k;
		e->is_effect_unsaved = true;
		unsaved(l, e);
	}
	free(e->applied_claim.pos);
	e->applied_claim = claim ? *claim : none;
	e->has_unknown_claim = k->is_there && !claim;
}

/* --- slots -------------------------------------------------------------- */

void slot_free(struct history_slot *s)
{
	if (!s)
		return;
	free(s->saw);
	free(s->value);
	free(s);
}

static size_t slot_index(const struct entry *e, uint8_t node)
{
	size_t i;

	for (i = 0; i < e->n_slots; i++)
		if (e->slots[i]->dot.node == node)
			break;
	return i;
}

struct history_slot *entry_slot(const struct entry *e, uint8_t node)
{
	size_t i = slot_index(e, node);

	return i < e->n_slots ? e->slots[i] : NULL;
}

/* A slot comes (1) or goes (-1). */
static void count(struct ledger *l, const struct history_slot *s, size_t n)
{
	l->figures.n_slots += n;
	if (s->dot.node != LEDGER_SELF)
		return;
	l->figures.n_own += n;
	if (s->is_tombstone)
		l->figures.n_tombstones += n;
}

/* What settle() found may point to it. */
static void forget(struct entry *e, const struct history_slot *s)
{
	if (e->chosen == s)
		e->chosen = NULL;
}

int entry_put_slot(struct ledger *l, struct entry *e, struct history_slot *s)
{
	size_t i = slot_index(e, s->dot.node);
	struct history_slot **slots;

	if (i == e->n_slots) {
		slots = realloc(e->slots, (e->n_slots + 1u) * sizeof(*slots));
		if (!slots)
			return -ENOMEM;
		e->slots = slots;
		e->n_slots++;
	} else {
		forget(e, e->slots[i]);
		count(l, e->slots[i], (size_t)-1);
		slot_free(e->slots[i]);
	}
	e->slots[i] = s;
	count(l, s, 1);
	entry_changed(l, e, s->dot.node);
	return 0;
}

void entry_drop_slot(struct ledger *l, struct entry *e, uint8_t node)
{
	size_t i = slot_index(e, node);

	if (i == e->n_slots)
		return;
	forget(e, e->slots[i]);
	count(l, e->slots[i], (size_t)-1);
	slot_free(e->slots[i]);
	e->slots[i] = e->slots[--e->n_slots];
	entry_changed(l, e, node);
}

/* --- claims ------------------------------------------------------------- */

static uint16_t first_field(const uint8_t *row, size_t len)
{
	size_t field = len < 2 ? 0 : 2 + (size_t)(row[0] << 8 | row[1]);

	return field <= 2 || field > len ? 0 : (uint16_t)field;
}

bool entry_claim_parts(const struct entry *e, const uint8_t *value, size_t len,
		       struct claim_parts *parts)
{
	if (e->table != FLYREP_TABLE_LEASE)
		return false;
	parts->scope = e->key;
	parts->scope_len = first_field(e->key, e->key_len);
	parts->address = value;
	parts->address_len = first_field(value, len);
	return parts->scope_len && parts->address_len;
}

bool claim_is(const struct claim *c, const struct claim_parts *parts)
{
	return c->len == parts->scope_len + parts->address_len &&
	       !memcmp(c->pos, parts->scope, parts->scope_len) &&
	       !memcmp(c->pos + parts->scope_len, parts->address, parts->address_len);
}

int claim_set(struct claim *c, const struct claim_parts *parts)
{
	c->len = (uint16_t)(parts->scope_len + parts->address_len);
	c->pos = malloc(c->len);
	if (!c->pos) {
		c->len = 0;
		return -ENOMEM;
	}
	memcpy(c->pos, parts->scope, parts->scope_len);
	memcpy(c->pos + parts->scope_len, parts->address, parts->address_len);
	return 0;
}

int entry_claim(struct ledger *l, struct entry *e, const struct claim_parts *parts)
{
	struct claim claim = { 0 };
	struct entry **link;

	if (parts && claim_set(&claim, parts))
		return -ENOMEM;
	if (e->claim.len) {
		link = chain_of(l->claims, l->bits, claim_hash(l, &e->claim));
		while (*link != e)
			link = &(*link)->claim_next;
		*link = e->claim_next;
		free(e->claim.pos);
	}
	e->claim = claim;
	if (!claim.len)
		return 0;
	link = chain_of(l->claims, l->bits, claim_hash(l, &claim));
	e->claim_next = *link;
	*link = e;
	return 0;
}

struct entry *entry_next_claimant(const struct ledger *l, const struct entry *e,
				  const struct entry *at)
{
	struct entry *next;

	if (!e->claim.len)
		return NULL;
	next = at ? at->claim_next : *chain_of(l->claims, l->bits, claim_hash(l, &e->claim));
	for (; next; next = next->claim_next)
		if (next->claim.len == e->claim.len &&
		    !memcmp(next->claim.pos, e->claim.pos, e->claim.len))
			return next;
	return NULL;
}

/* --- slots as records --------------------------------------------------- */

/* In a record they are in the order of the names. */
static size_t saw_of(const struct ledger *l, const struct history_slot *s, struct fr_slot_saw *saw)
{
	size_t i, k;

	for (i = 0; i < s->n_saw; i++) {
		const char *node = node_name(l, &s->saw[i]);

		for (k = i; k && strcmp(node, saw[k - 1].node) < 0; k--)
			saw[k] = saw[k - 1];
		saw[k] = (struct fr_slot_saw){ s->saw[i].version, s->saw[i].flags,
					       (uint8_t)strlen(node), node };
	}
	return s->n_saw;
}

/* A slot as a record, in l->room. */
const struct fr_slot *slot_record(const struct ledger *l, const struct entry *e,
				  const struct history_slot *s)
{
	struct fr_slot head = {
		.rec.op = FLYREP_OP_UPDATE,
		.key_len = e->key_len,
		.value_len = s->value_len,
		.flags = s->is_tombstone ? FR_SLOT_F_TOMBSTONE : 0,
		.expires_ms = s->expires_ms,
		.version = s->dot.version,
		.decided = s->decided,
	};
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	size_t n = saw_of(l, s, saw);

	fr_slot_pack(l->room, &head, e->key, s->value, saw, n); /* it did fit */
	return l->room;
}

const struct fr_slot *slot_removal(const struct ledger *l, const struct entry *e)
{
	struct fr_slot head = { .rec.op = FLYREP_OP_DELETE, .key_len = e->key_len };

	fr_slot_pack(l->room, &head, e->key, NULL, NULL, 0);
	return l->room;
}

static int slot_fill(struct ledger *l, struct history_slot *s, const struct fr_slot *rec)
{
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	size_t n = fr_slot_saw(rec, saw), i;
	struct history_dot dot;
	int node, rc = 0;

	s->dot.version = rec->version;
	s->decided = rec->decided;
	s->expires_ms = rec->expires_ms;
	s->is_tombstone = rec->flags & FR_SLOT_F_TOMBSTONE;
	s->value_len = rec->value_len;
	s->value = malloc(s->value_len ? s->value_len : 1);
	if (!s->value)
		return -ENOMEM;
	memcpy(s->value, fr_slot_value(rec), s->value_len);
	for (i = 0; rc >= 0 && i < n; i++) {
		node = history_node(&l->order, saw[i].node, saw[i].node_len);
		if (node < 0)
			return node;
		dot = (struct history_dot){ saw[i].version, (uint8_t)node, saw[i].flags };
		rc = history_add(s, &dot);
	}
	return rc < 0 ? rc : 0;
}

int slot_from(struct ledger *l, uint8_t node, const struct fr_slot *rec,
	      struct history_slot **out)
{
	struct history_slot *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->dot.node = node;
	rc = slot_fill(l, s, rec);
	if (rc)
		slot_free(s);
	else
		*out = s;
	return rc;
}
