/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inbox: the conflicts: those that wait for somebody, and, for the record, those that are over.
 * With an audit trail: each change of state is one row that is never changed.
 */
#ifndef INBOX_H
#define INBOX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_db.h"
#include "siphash.h"
#include "slot.h"

/* Names: inbox_state_name(), inbox_resolution_name() */
enum inbox_state {
	INBOX_PENDING,
	INBOX_RESOLVED,
	INBOX_EXPIRED,
};

enum inbox_resolution {
	INBOX_NONE,		/* it waits */
	INBOX_USE_LOCAL,
	INBOX_USE_REMOTE,
	INBOX_MERGE,
	INBOX_BY_RULE,		/* the strategy, or its timeout, decided */
	INBOX_OVERWRITTEN,	/* somebody wrote the key again, who had seen all sides */
};

enum inbox_kind {
	INBOX_WRITES,		/* of one key, and none had seen the other */
	INBOX_ADDRESS,		/* two leases of one address */
};

/**
 * struct inbox_rules - manual_resolution
 * @approvers: who may decide besides root, @n_approvers of them; none: anybody
 * @timeout_ms: after this the rules decide; 0: never
 */
struct inbox_rules {
	const char *const *approvers;
	size_t n_approvers;
	uint64_t timeout_ms;
};

/**
 * struct inbox_side - one of the values
 * @node: who wrote it
 * @version: stamp of the write
 * @item: struct flyrep_item; op DELETE: it was deleted
 */
struct inbox_side {
	char node[FR_SLOT_NODE_MAX + 1];
	uint64_t version;
	void *item;
};

/**
 * struct inbox_conflict - one of them
 * @id: of table, keys and versions, so the same on all nodes that saw the same sides; below 2^53,
 *	as numbers of JSON are to many readers
 * @table: enum flyrep_table
 * @state: enum inbox_state
 * @kind: enum inbox_kind
 * @resolution: enum inbox_resolution
 * @is_skewed: stamps closer than clock_skew_tolerance: the clocks may have decided wrongly
 * @at_ms: when it was noticed here
 * @over_ms: when it ended; 0: it waits
 * @local: index of the side in effect here (or that was) when it was noticed
 * @winner: index of the side that holds; -1: it waits, or none of them
 * @n_sides: at least 2
 * @who: decided; empty: nobody yet; "rule"; a node_id: decided there
 * @reason: of a person, or why the winner is the winner
 */
struct inbox_conflict {
	uint64_t id;
	uint8_t table;
	uint8_t state;
	uint8_t kind;
	uint8_t resolution;
	bool is_skewed;
	uint64_t at_ms;
	uint64_t over_ms;
	int local;
	int winner;
	size_t n_sides;
	struct inbox_side *sides;
	char who[256];
	char reason[256];
};

#define INBOX_SIDES_MAX FR_SLOT_SAW_MAX

struct inbox;

const char *inbox_state_name(unsigned int state);
const char *inbox_resolution_name(unsigned int resolution);

/* NULL: no such conflict */
const struct inbox_conflict *inbox_find(const struct inbox *b, uint64_t id);

/* Oldest first. @state: an enum inbox_state, or -1: all */
void inbox_list(const struct inbox *b, int state,
		void (*fn)(void *cookie, const struct inbox_conflict *c), void *cookie);
size_t inbox_count(const struct inbox *b, int state);

/* In the field names of the guide; new reference. */
json_t *inbox_to_json(const struct inbox_conflict *c);

/* What became of a conflict, oldest first: [{"at_ms", "state", "who", "reason"}]; new reference. */
json_t *inbox_trail(const struct inbox *b, uint64_t id);

/* --- for ledger.c ------------------------------------------------------- */

/* @history_max: conflicts that are over of which a record is kept. NULL: no memory. */
struct inbox *inbox_new(uint32_t history_max);
void inbox_free(struct inbox *b);

/* Of a table and the sides, whatever their order. */
uint64_t inbox_id(uint8_t table, const struct inbox_side *sides, size_t n,
		  const struct fr_siphash_key *hash_key);

/**
 * inbox_add - a conflict was noticed
 * @c: copied with its sides; one with this id must not be there
 * Return: the copy, NULL: no memory
 */
struct inbox_conflict *inbox_add(struct inbox *b, const struct inbox_conflict *c);

/* It is over. @why is copied, @who as well. */
void inbox_end(struct inbox *b, uint64_t id, const struct inbox_conflict *end);

/* May this identity decide? */
bool inbox_is_approver(const struct inbox_rules *rules, const char *who);

/* Write what has changed since inbox_saved(). */
void inbox_save(struct inbox *b, struct ledger_db *db);
void inbox_saved(struct inbox *b);
/* What was written: as in struct ledger_db_loader, @cookie is the inbox. */
int inbox_load(void *cookie, const struct ledger_db_conflict *row);
int inbox_load_trail(void *cookie, const struct ledger_db_trail *row);

#endif
