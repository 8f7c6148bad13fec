/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger entry: one key of the ledger in memory, with its slots, what the own kernel holds of it,
 * and what is to be done about it. For ledger.c and settle.c alone; others see ledger.h.
 */
#ifndef LEDGER_ENTRY_H
#define LEDGER_ENTRY_H

#include "frame.h"
#include "hlc.h"
#include "ledger.h"
#include "log.h"
#include "merge.h"

#define LEDGER_SELF 0	/* number of this node */

#define LEDGER_GRACE_MS 2000	 /* what is put off elsewhere is so here, before it ends here */
#define LEDGER_TOLERANCE_MS 1000 /* an end that is later by no more is the same */

/* Names of notes in the database; of the kernel by table, of ledgers by node */
#define LEDGER_NOTE_KERNEL "kernel."
#define LEDGER_NOTE_LEDGER "ledger."
#define LEDGER_NOTE_STOPPED "stopped" /* 1: the last run noted all it did */

struct entry;

/* Bytes of an address that a lease claims: the scope and the address, as fields. len 0: none */
struct claim {
	uint16_t len;
	uint8_t *pos;
};

/**
 * struct kernel_item - what of a key is in the own kernel, or shall be
 * @is_there: anything
 * @e: of it
 */
struct kernel_item {
	bool is_there;
	struct ledger_db_effect e;
};

/**
 * struct entry - one key
 * @next: with the same hash
 * @claim_next: with the same claim, or at least its hash
 * @is_dirty: to be settled
 * @is_touched: something may have to be told
 * @is_unsaved: something is not in the database
 * @is_to_publish: the own slot has changed
 * @is_effect_unsaved: applied has changed
 * @is_named: by the running ledger_learn(), or told of since it began
 * @is_blocked: another lease holds the address
 * @blocked_by: number of the node whose slot does
 * @blocked_since: struct ledger.n_steps when it was noticed
 * @owners_unsaved: bitmap of nodes whose slot has changed
 * @stamp: of the newest read of the own kernel
 * @wake_ms: when time will change something; 0: never
 * @retry_ms: do not offer it to the own kernel before; 0: nothing was refused
 * @written: struct ledger.n_steps when the own slot was written
 * @applied: in the own kernel, as far as is known
 * @applied_claim: of it
 * @has_unknown_claim: of it, as the kernel refused what came after
 * @before: what it was until the flush of that number offered something else; see ledger_refused()
 * @before_flush: that number
 * @is_deleted: what was offered first was to delete it
 * @chosen: the slot in effect; NULL: none, or a merged value
 * @chosen_dot: of it, or of what was in effect before it went; version 0: nothing was
 * @merged: a merged value in effect; NULL: none
 * @merged_expires_ms: its end
 * @claim: of what would be in effect, if no other lease held the address
 * @claim_dot: of the slot that claims it
 * @conflict: id of the conflict that waits; 0: none
 * @address_conflict: likewise
 */
struct entry {
	struct entry *next;
	struct entry *claim_next;
	uint64_t hash;
	uint8_t table;
	bool is_dirty;
	bool is_touched;
	bool is_unsaved;
	bool is_to_publish;
	bool is_effect_unsaved;
	bool is_named;
	bool is_blocked;
	uint8_t blocked_by;
	uint64_t blocked_since;
	uint64_t owners_unsaved;
	uint64_t stamp;
	uint64_t wake_ms;
	uint64_t retry_ms;
	uint64_t written;
	struct kernel_item applied;
	struct claim applied_claim;
	bool has_unknown_claim;
	struct kernel_item before;
	uint64_t before_flush;
	bool is_deleted;
	const struct history_slot *chosen;
	struct history_dot chosen_dot;
	struct merge_value *merged;
	uint64_t merged_expires_ms;
	struct claim claim;
	struct history_dot claim_dot;
	uint64_t conflict;
	uint64_t address_conflict;
	uint8_t n_slots;
	struct history_slot **slots;
	uint16_t key_len;
	uint8_t key[];
};

/* A list of entries, each at most once: the entry has a flag. */
struct entries {
	size_t n;
	size_t n_room;
	struct entry **v;
};

/**
 * struct ledger_node - a node that has a number
 * @is_peer: one of the other writers
 * @is_warned: of its clock
 * @is_lost: it comes back without what it wrote
 * @is_unsaved: @ledger is not in the database
 * @ledger: id of its ledger; zero: never heard
 * @offset_ms: how far its last stamp was ahead
 * @in_step: struct ledger.n_steps when an audit last found its slots equal; 0: never
 * @truths: of its slots, by table
 */
struct ledger_node {
	bool is_peer;
	bool is_warned;
	bool is_lost;
	bool is_unsaved;
	uint8_t ledger[LEDGER_ID_LEN];
	uint64_t offset_ms;
	uint64_t in_step;
	struct truth *truths[FR_TABLES_MAX];
};

/* Of what all nodes are to come to the same for, whatever the key of their buckets */
extern const struct fr_siphash_key ledger_common_key;

struct ledger {
	struct ledger_config config;
	struct ledger_ops ops;
	void *cookie;
	struct ledger_db *db;
	uint8_t id[LEDGER_ID_LEN];
	struct fr_siphash_key key;	/* of what stays here */
	struct fr_siphash_key chain_key; /* of the chains below */
	uint64_t kernels[FR_TABLES_MAX]; /* which it was when its items were last known; 0: never */
	uint64_t learning;		/* which it is that is being learnt */
	uint64_t kernels_unsaved;	/* bitmap of tables */
	struct hlc clock;
	uint64_t saved_clock;
	struct history_order order;
	struct ledger_node nodes[HISTORY_NODES_MAX];
	struct inbox *inbox;
	struct ledger_figures figures;
	uint64_t now_ms;		/* of this call */
	uint64_t ticked_ms;		/* of the last ledger_tick() */
	uint64_t n_steps;		/* counts what must not be mixed up in time */
	uint64_t n_flushes;
	uint64_t truth_order;
	uint64_t learnt;		/* bitmap of tables whose kernel items are known */
	uint64_t met;			/* bitmap of tables that were learnt since the start */
	bool is_oom;			/* something could not be settled: tried again */
	bool is_begun;			/* flushed once */
	bool was_stopped;		/* the last run noted all it did */
	uint8_t is_stopped;		/* 0 or 1, as the database has it */
	uint8_t is_closing;		/* 0 or 1 */

	struct entry **slots;		/* 1 << bits chains, by hash */
	struct entry **claims;		/* likewise, by hash of the claim */
	unsigned int bits;
	size_t n_entries;

	uint64_t *news;			/* ids of conflicts to tell of */
	size_t n_news;

	struct entries dirty;
	struct entries touched;
	struct entries unsaved;

	bool is_in_trouble;
	uint64_t tried_ms;		/* the last commit that failed */
	char trouble[256];
	struct fr_log_limit log_limit;
	void *room;			/* FR_SLOT_ROOM bytes: a slot as a record */
	void *item;			/* FR_ITEM_ROOM bytes: an item */
	uint8_t *body;			/* FR_SLOT_ROOM bytes: a slot in the database */
};

#define LEDGER_BODY_ROOM (FR_SLOT_ROOM + 64) /* a slot in the database */

static inline const uint8_t *item_value(const struct flyrep_item *it)
{
	return (const uint8_t *)(it + 1) + it->key_len;
}

static inline const char *node_name(const struct ledger *l, const struct history_dot *dot)
{
	return l->order.nodes[dot->node];
}

static inline bool ledger_has(const struct ledger *l, unsigned int table)
{
	return table < FR_TABLES_MAX && l->config.tables >> table & 1;
}

/* --- ledger.c --- */
/* Reads the clock into l->now_ms. */
uint64_t ledger_now(struct ledger *l);
/* NULL: no such table, or it is neither this node nor a peer */
struct truth *node_truth(const struct ledger *l, uint8_t table, uint8_t node);
/* -ENOENT: no peer */
int peer_number(const struct ledger *l, const char *peer);
void settle_all(struct ledger *l);
/* The own kernel holds this item; NULL: nothing. */
void entry_set_item(struct ledger *l, struct entry *e, const struct flyrep_item *it);
/* Whether the item in effect has this digest. */
bool settle_is(const struct ledger *l, const struct entry *e, uint64_t digest);

/* --- ledger_flush.c --- */
/* 0; -EAGAIN: not durable */
int ledger_commit(struct ledger *l);

/* --- entries --- */
struct entry *entry_find(const struct ledger *l, uint8_t table, const void *key, size_t key_len);
/* The same, made if need be. NULL: no memory. */
struct entry *entry_get(struct ledger *l, uint8_t table, const void *key, size_t key_len);
/* Nothing is left to know of it. */
bool entry_is_idle(const struct entry *e);
void entry_free(struct ledger *l, struct entry *e);
/* Call @fn for all entries; it must add and free none. */
void entry_each(struct ledger *l, void (*fn)(struct ledger *l, struct entry *e, void *cookie),
		void *cookie);

/* To be settled. */
void entry_dirty(struct ledger *l, struct entry *e);
/* The slot of a node has changed: write it, and if it is the own one, publish it. */
void entry_changed(struct ledger *l, struct entry *e, uint8_t node);
/* What is in the kernel has changed. @claim: of it; NULL: not known, if there is anything */
void entry_applied(struct ledger *l, struct entry *e, const struct kernel_item *k,
		   const struct claim *claim);

/* An item of this key, into FR_ITEM_ROOM bytes. @value: NULL: op DELETE. Return: its length */
size_t entry_item(const struct entry *e, void *item, const uint8_t *value, size_t value_len,
		  uint64_t expires_ms);

/* --- its slots --- */
struct history_slot *entry_slot(const struct entry *e, uint8_t node);
/*
 * Puts @s, which is taken over, in the place of what its node had. -ENOMEM, and @s is the caller's
 */
int entry_put_slot(struct ledger *l, struct entry *e, struct history_slot *s);
void entry_drop_slot(struct ledger *l, struct entry *e, uint8_t node);
void slot_free(struct history_slot *s);

/* As a record, in l->room */
const struct fr_slot *slot_record(const struct ledger *l, const struct entry *e,
				  const struct history_slot *s);
/* The record that the own slot is gone, likewise */
const struct fr_slot *slot_removal(const struct ledger *l, const struct entry *e);
/* From a record that has passed the check. -ENOMEM, -E2BIG: it names too many nodes */
int slot_from(struct ledger *l, uint8_t node, const struct fr_slot *rec, struct history_slot **out);

/* --- ledger_end.c --- */
/* Whether items of a table end when the last of their slots does, as packets put it off. */
static inline bool end_is_joined(uint8_t table)
{
	return table == FLYREP_TABLE_NFT_SET;
}

/* @a is later than @b, by more than @by_ms; 0 is never. */
bool end_is_later(uint64_t a, uint64_t b, uint64_t by_ms);
/* No conflict: they say the same, or both nothing. */
bool end_is_alike(const struct ledger *l, const struct entry *e, const struct history_slot *a,
		  const struct history_slot *b);
/* When the item of a slot ends. */
uint64_t end_of(const struct ledger *l, const struct entry *e, const struct history_slot *s);
/* @to ends no sooner than @from, if they say the same. Return: whether @to has changed */
bool end_join(const struct ledger *l, const struct entry *e, struct history_slot *to,
	      const struct history_slot *from);
/* What the own kernel holds ends so much later than it was known to that others shall know. */
bool end_is_put_off(const struct ledger *l, const struct entry *e, const struct flyrep_item *it);
/* The own kernel would end it too soon; @ends_ms: what is in effect. */
bool end_is_to_come(const struct entry *e, uint64_t ends_ms);

/* --- claims --- */
/* What a lease of this value claims; points into key and value. */
struct claim_parts {
	const uint8_t *scope, *address;
	uint16_t scope_len, address_len;
};

bool entry_claim_parts(const struct entry *e, const uint8_t *value, size_t len,
		       struct claim_parts *parts);
bool claim_is(const struct claim *c, const struct claim_parts *parts);
/* -ENOMEM */
int claim_set(struct claim *c, const struct claim_parts *parts);
/* Changes e->claim. NULL: none. -ENOMEM: as it was */
int entry_claim(struct ledger *l, struct entry *e, const struct claim_parts *parts);
/* The next entry with the claim of @e, or the first one if @at is NULL; @e is one of them. */
struct entry *entry_next_claimant(const struct ledger *l, const struct entry *e,
				  const struct entry *at);

/* --- conflicts.c --- */
/* One side of a conflict: a slot of a key. */
struct party {
	struct entry *e;
	const struct history_slot *slot;
};

/* Parties to one conflict, of @kind; @local: in effect here; @winner: by the rules */
struct dispute {
	enum inbox_kind kind;
	size_t n;
	struct party v[INBOX_SIDES_MAX];
	size_t local;
	size_t winner;
};

/* It is decided by the rules, now. Told once. */
void conflict_note(struct ledger *l, const struct dispute *d);
/*
 * It waits for somebody: @id names what waited so far, and is changed to what does now. Return:
 * whether it does (still): neither decided nor timed out.
 */
bool conflict_wait(struct ledger *l, struct entry *e, uint64_t *id, const struct dispute *d);
/* Nothing is disputed any more. @heir: the slot that holds now; NULL: none */
void conflict_gone(struct ledger *l, uint64_t *id, const struct history_slot *heir);
/* Something became of it: tell. */
void conflict_news(struct ledger *l, uint64_t id);
/* End it. @who, @reason: copied; @winner: index of a side, or -1 */
void conflict_end(struct ledger *l, uint64_t id, enum inbox_state state,
		  enum inbox_resolution resolution, int winner, const char *who,
		  const char *reason);

/* --- settle.c --- */
/* Find out what is in effect for a key, drop and absorb what is ours to. */
void settle(struct ledger *l, struct entry *e);
/* What settle() found: the item of FR_ITEM_ROOM bytes in effect. false: none */
bool settle_item(const struct ledger *l, const struct entry *e, void *item);
/* A new own slot. @item: struct flyrep_item; NULL: a tombstone. -ENOMEM, -EMSGSIZE */
int settle_write(struct ledger *l, struct entry *e, const void *item);
/*
 * The same, of what another node has written with this version: it is no younger than that, so
 * it takes nothing back that was written since by who has not heard of this slot; and younger than
 * any own one.
 */
int settle_adopt(struct ledger *l, struct entry *e, const void *item, uint64_t version);
/* What was in effect has reached the own kernel, or it has told us: local writes have seen it. */
void settle_seen(struct ledger *l, struct entry *e);

#endif
