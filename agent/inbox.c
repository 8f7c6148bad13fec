// SPDX-License-Identifier: GPL-2.0-or-later
#include "inbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ID_MASK ((1ull << 53) - 1)

/* A change of state. */
struct step {
	uint64_t at_ms;
	uint8_t state;
	bool is_saved;
	char who[256];
	char reason[256];
};

/* A conflict and what became of it. */
struct letter {
	struct inbox_conflict conflict;
	bool is_dirty;
	size_t n_steps;
	struct step *steps;
};

struct inbox {
	uint32_t history_max;
	size_t n;
	struct letter **letters; /* oldest first */
	size_t n_dropped; /* no longer kept, still in the database */
	uint64_t *dropped;
};

/* Indexed by enum inbox_state */
static const char *const state_names[] = { "pending", "resolved", "expired" };
/* Indexed by enum inbox_resolution */
static const char *const resolution_names[] = { "",	 "use_local", "use_remote",
						"merge", "rule",      "overwritten" };
/* Indexed by enum inbox_kind */
static const char *const kind_names[] = { "writes", "address" };

const char *inbox_state_name(unsigned int state)
{
	return state < N_OF(state_names) ? state_names[state] : "unknown";
}

const char *inbox_resolution_name(unsigned int resolution)
{
	return resolution < N_OF(resolution_names) ? resolution_names[resolution] : "unknown";
}

struct inbox *inbox_new(uint32_t history_max)
{
	struct inbox *b = calloc(1, sizeof(*b));

	if (b)
		b->history_max = history_max;
	return b;
}

static void letter_free(struct letter *l)
{
	size_t i;

	if (!l)
		return;
	for (i = 0; l->conflict.sides && i < l->conflict.n_sides; i++)
		free(l->conflict.sides[i].item);
	free(l->conflict.sides);
	free(l->steps);
	free(l);
}

void inbox_free(struct inbox *b)
{
	size_t i;

	if (!b)
		return;
	for (i = 0; i < b->n; i++)
		letter_free(b->letters[i]);
	free(b->letters);
	free(b->dropped);
	free(b);
}

static struct letter *letter_of(const struct inbox *b, uint64_t id)
{
	size_t i;

	/* The newest are asked for most. */
	for (i = b->n; i; i--)
		if (b->letters[i - 1]->conflict.id == id)
			return b->letters[i - 1];
	return NULL;
}

const struct inbox_conflict *inbox_find(const struct inbox *b, uint64_t id)
{
	const struct letter *l = letter_of(b, id);

	return l ? &l->conflict : NULL;
}

void inbox_list(const struct inbox *b, int state,
		void (*fn)(void *cookie, const struct inbox_conflict *c), void *cookie)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (state < 0 || b->letters[i]->conflict.state == state)
			fn(cookie, &b->letters[i]->conflict);
}

size_t inbox_count(const struct inbox *b, int state)
{
	size_t i, n = 0;

	for (i = 0; i < b->n; i++)
		n += state < 0 || b->letters[i]->conflict.state == state;
	return n;
}

/* --- ids ---------------------------------------------------------------- */

static uint64_t side_digest(uint8_t table, const struct inbox_side *s,
			    const struct fr_siphash_key *hash_key)
{
	uint8_t room[FR_KEY_MAX_LEN + FR_SLOT_NODE_MAX + 16];
	const struct flyrep_item *it = s->item;
	struct fr_writer w;

	fr_writer_init(&w, room, sizeof(room));
	fr_put_u8(&w, table);
	fr_put_be64(&w, s->version);
	fr_put_str8(&w, s->node);
	fr_put_bytes(&w, it + 1, it->key_len);
	return fr_siphash(room, fr_writer_len(&w), hash_key);
}

uint64_t inbox_id(uint8_t table, const struct inbox_side *sides, size_t n,
		  const struct fr_siphash_key *hash_key)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += side_digest(table, &sides[i], hash_key);
	sum &= ID_MASK;
	return sum ? sum : 1; /* 0 is no conflict */
}

/* --- changes ------------------------------------------------------------ */

static size_t item_len(const void *item)
{
	return sizeof(struct flyrep_item) + ((const struct flyrep_item *)item)->rec.tail_len;
}

static struct letter *letter_new(const struct inbox_conflict *c)
{
	struct letter *l = calloc(1, sizeof(*l));
	size_t i;

	if (!l)
		return NULL;
	l->conflict = *c;
	l->conflict.sides = calloc(c->n_sides, sizeof(*c->sides));
	for (i = 0; l->conflict.sides && i < c->n_sides; i++) {
		struct inbox_side *side = &l->conflict.sides[i];

		*side = c->sides[i];
		side->item = malloc(item_len(c->sides[i].item));
		if (!side->item)
			break;
		memcpy(side->item, c->sides[i].item, item_len(c->sides[i].item));
	}
	if (i == c->n_sides)
		return l;
	letter_free(l);
	return NULL;
}

static int step_add(struct letter *l, uint64_t at_ms, uint8_t state, const char *who,
		    const char *reason)
{
	struct step *steps = realloc(l->steps, (l->n_steps + 1) * sizeof(*steps)), *s;

	if (!steps)
		return -ENOMEM;
	l->steps = steps;
	s = &steps[l->n_steps++];
	*s = (struct step){ .at_ms = at_ms, .state = state };
	snprintf(s->who, sizeof(s->who), "%s", who);
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	return 0;
}

static int push(struct inbox *b, struct letter *l)
{
	struct letter **letters = realloc(b->letters, (b->n + 1) * sizeof(*letters));

	if (!letters)
		return -ENOMEM;
	b->letters = letters;
	letters[b->n++] = l;
	return 0;
}

/* Of those that are over only so many are kept; without memory to note which: more. */
static void prune(struct inbox *b)
{
	size_t over = b->n - inbox_count(b, INBOX_PENDING), i;
	uint64_t *dropped;

	for (i = 0; over > b->history_max && i < b->n;) {
		struct letter *l = b->letters[i];

		if (l->conflict.state == INBOX_PENDING) {
			i++;
			continue;
		}
		dropped = realloc(b->dropped, (b->n_dropped + 1) * sizeof(*dropped));
		if (!dropped)
			return;
		b->dropped = dropped;
		dropped[b->n_dropped++] = l->conflict.id;
		letter_free(l);
		memmove(&b->letters[i], &b->letters[i + 1], (--b->n - i) * sizeof(*b->letters));
		over--;
	}
}

struct inbox_conflict *inbox_add(struct inbox *b, const struct inbox_conflict *c)
{
	struct letter *l = letter_new(c);

	if (!l)
		return NULL;
	l->is_dirty = true;
	if (step_add(l, c->over_ms ? c->over_ms : c->at_ms, c->state, c->who, c->reason) ||
	    push(b, l)) {
		letter_free(l);
		return NULL;
	}
	prune(b);
	return letter_of(b, c->id) ? &l->conflict : NULL;
}

void inbox_end(struct inbox *b, uint64_t id, const struct inbox_conflict *end)
{
	struct letter *l = letter_of(b, id);
	struct inbox_conflict *c;

	if (!l)
		return;
	c = &l->conflict;
	c->state = end->state;
	c->resolution = end->resolution;
	c->over_ms = end->over_ms;
	c->winner = end->winner;
	memcpy(c->who, end->who, sizeof(c->who));
	memcpy(c->reason, end->reason, sizeof(c->reason));
	l->is_dirty = true;
	step_add(l, c->over_ms, c->state, c->who, c->reason);
	prune(b);
}

bool inbox_is_approver(const struct inbox_rules *rules, const char *who)
{
	size_t i;

	for (i = 0; i < rules->n_approvers; i++)
		if (!strcmp(rules->approvers[i], who))
			return true;
	/* Who can be any user need not become one. */
	return !rules->n_approvers || !strcmp(who, "root");
}

/* --- the database ------------------------------------------------------- */

/* Each side: node, version, and its item as a batch of one. NULL: no memory */
static uint8_t *sides_pack(const struct inbox_conflict *c, size_t *len)
{
	size_t room = 0, i;
	struct fr_writer w;
	uint8_t *buf;

	for (i = 0; i < c->n_sides; i++)
		room += FR_SLOT_NODE_MAX + 32 + item_len(c->sides[i].item);
	buf = malloc(room);
	if (!buf)
		return NULL;
	fr_writer_init(&w, buf, room);
	for (i = 0; i < c->n_sides; i++) {
		fr_put_str8(&w, c->sides[i].node);
		fr_put_be64(&w, c->sides[i].version);
		fr_table_by_id(c->table)->encode(&w, c->sides[i].item, 1);
	}
	*len = fr_writer_len(&w);
	if (!w.bad)
		return buf;
	free(buf);
	return NULL;
}

static void save(struct letter *l, struct ledger_db *db)
{
	const struct inbox_conflict *c = &l->conflict;
	struct ledger_db_conflict row = {
		.id = c->id,
		.table = c->table,
		.state = c->state,
		.kind = c->kind,
		.resolution = c->resolution,
		.is_skewed = c->is_skewed,
		.at_ms = c->at_ms,
		.over_ms = c->over_ms,
		.local = c->local,
		.winner = c->winner,
		.who = c->who,
		.reason = c->reason,
	};
	uint8_t *sides = sides_pack(c, &row.sides.len);
	size_t i;

	if (!sides)
		return;
	row.sides.pos = sides;
	ledger_db_put_conflict(db, &row);
	free(sides);
	for (i = 0; i < l->n_steps; i++) {
		struct ledger_db_trail t = { c->id, l->steps[i].at_ms, l->steps[i].state,
					     l->steps[i].who, l->steps[i].reason };

		if (!l->steps[i].is_saved)
			ledger_db_add_trail(db, &t);
	}
}

void inbox_save(struct inbox *b, struct ledger_db *db)
{
	size_t i;

	for (i = 0; i < b->n_dropped; i++)
		ledger_db_drop_conflict(db, b->dropped[i]);
	for (i = 0; i < b->n; i++)
		if (b->letters[i]->is_dirty)
			save(b->letters[i], db);
}

void inbox_saved(struct inbox *b)
{
	size_t i, k;

	b->n_dropped = 0;
	for (i = 0; i < b->n; i++) {
		b->letters[i]->is_dirty = false;
		for (k = 0; k < b->letters[i]->n_steps; k++)
			b->letters[i]->steps[k].is_saved = true;
	}
}

static int side_load(struct fr_reader *r, uint8_t table, struct inbox_side *side)
{
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	size_t n;

	fr_get_str8(r, side->node, sizeof(side->node));
	side->version = fr_get_be64(r);
	if (r->bad || fr_table_by_id(table)->decode(r, room, sizeof(room), 1, &n) || n != 1)
		return -EBADMSG;
	side->item = malloc(item_len(room));
	if (!side->item)
		return -ENOMEM;
	memcpy(side->item, room, item_len(room));
	return 0;
}

static int sides_load(struct inbox_conflict *c, struct ledger_db_bytes bytes)
{
	struct fr_reader r;
	int rc = 0;

	c->sides = calloc(INBOX_SIDES_MAX, sizeof(*c->sides));
	if (!c->sides)
		return -ENOMEM;
	fr_reader_init(&r, bytes.pos, bytes.len);
	while (!rc && fr_reader_left(&r)) {
		if (c->n_sides == INBOX_SIDES_MAX)
			return -EBADMSG;
		rc = side_load(&r, c->table, &c->sides[c->n_sides++]);
	}
	return rc ? rc : r.bad || c->n_sides < 2 ? -EBADMSG : 0;
}

int inbox_load(void *cookie, const struct ledger_db_conflict *row)
{
	struct inbox *b = cookie;
	struct letter *l = calloc(1, sizeof(*l));
	struct inbox_conflict *c;
	int rc;

	if (!l)
		return -ENOMEM;
	c = &l->conflict;
	c->id = row->id;
	c->table = row->table;
	c->state = row->state;
	c->kind = row->kind;
	c->resolution = row->resolution;
	c->is_skewed = row->is_skewed;
	c->at_ms = row->at_ms;
	c->over_ms = row->over_ms;
	c->local = row->local;
	c->winner = row->winner;
	snprintf(c->who, sizeof(c->who), "%s", row->who);
	snprintf(c->reason, sizeof(c->reason), "%s", row->reason);
	if (!fr_slot_table(c->table) || c->state >= N_OF(state_names) ||
	    c->kind >= N_OF(kind_names) || c->resolution >= N_OF(resolution_names))
		rc = -EBADMSG;
	else
		rc = sides_load(c, row->sides);
	if (!rc && (c->local < 0 || c->local >= (int)c->n_sides || c->winner >= (int)c->n_sides))
		rc = -EBADMSG;
	rc = rc ? rc : push(b, l);
	if (rc)
		letter_free(l);
	return rc;
}

int inbox_load_trail(void *cookie, const struct ledger_db_trail *row)
{
	struct letter *l = letter_of(cookie, row->id);

	if (!l)
		return -EBADMSG;
	if (step_add(l, row->at_ms, row->state, row->who, row->reason))
		return -ENOMEM;
	l->steps[l->n_steps - 1].is_saved = true;
	return 0;
}

/* --- for people --------------------------------------------------------- */

static json_t *side_to_json(uint8_t table, const struct inbox_side *side)
{
	json_t *obj = fr_table_by_id(table)->to_json(side->item);

	json_object_set_new(obj, "node_id", json_string(side->node));
	json_object_set_new(obj, "version", json_integer((json_int_t)side->version));
	return obj;
}

json_t *inbox_to_json(const struct inbox_conflict *c)
{
	json_t *sides = json_array(), *obj;
	size_t i;

	for (i = 0; i < c->n_sides; i++)
		json_array_append_new(sides, side_to_json(c->table, &c->sides[i]));
	obj = json_pack("{s:I, s:s, s:s, s:s, s:b, s:I, s:i, s:o}", "id", (json_int_t)c->id,
			"table", fr_table_by_id(c->table)->name, "state",
			inbox_state_name(c->state), "kind", kind_names[c->kind], "skew",
			c->is_skewed, "detected_ms", (json_int_t)c->at_ms, "local", c->local,
			"sides", sides);
	if (c->state == INBOX_PENDING)
		return obj;
	json_object_set_new(obj, "over_ms", json_integer((json_int_t)c->over_ms));
	json_object_set_new(obj, "resolution", json_string(inbox_resolution_name(c->resolution)));
	json_object_set_new(obj, "resolved_by", json_string(c->who));
	json_object_set_new(obj, "reason", json_string(c->reason));
	if (c->winner >= 0)
		json_object_set_new(obj, "winner", json_integer(c->winner));
	return obj;
}

json_t *inbox_trail(const struct inbox *b, uint64_t id)
{
	const struct letter *l = letter_of(b, id);
	json_t *list = json_array();
	size_t i;

	for (i = 0; l && i < l->n_steps; i++)
		json_array_append_new(list,
				      json_pack("{s:I, s:s, s:s, s:s}", "at_ms",
						(json_int_t)l->steps[i].at_ms, "state",
						inbox_state_name(l->steps[i].state), "who",
						l->steps[i].who, "reason", l->steps[i].reason));
	return list;
}
