/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger: what all nodes say of the items of the tables that several nodes write, and which of it
 * is in effect. Kept in memory, and durable in ledger.db of the state directory.
 *
 *   own kernel ─ ledger_local() ─► own slot ─ ops.publish() ─► peers
 *   others ─ ledger_remote() ─► their slots ─► settle ─ ops.effect() ─► own kernel
 *
 * For each key each node has at most one slot, written by it alone and mirrored on the others by
 * the stream, the audits and the repairs there are for any table: a slot is a record (lib/slot.h)
 * and each (table, owner) has a struct truth. So all nodes come to hold the same slots. What is in
 * effect follows from the slots of a key alone (history.h), so it is the same everywhere. But for
 * the strategy "manual", where a node keeps its own value until somebody or the timeout decides.
 *
 * Nothing is called back, and nothing leaves the node, before it is durable: ledger_local() and
 * ledger_remote() take note, ledger_flush() settles, commits and then tells. Call it once in each
 * turn of the event loop. One thread.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history.h"
#include "inbox.h"
#include "slot.h"
#include "truth.h"

#define LEDGER_FILE "ledger.db"
#define LEDGER_ID_LEN 16

/* The tables it can keep: those of items, and elements of nft sets; bit n: table n. */
#define LEDGER_TABLES                                                                              \
	(1ull << FLYREP_TABLE_LEASE | 1ull << FLYREP_TABLE_DNS | 1ull << FLYREP_TABLE_LEARNING |   \
	 1ull << FLYREP_TABLE_CONFIG | 1ull << FLYREP_TABLE_METRIC | 1ull << FLYREP_TABLE_NFT_SET)

#define LEDGER_TOMBSTONE_MS 60000	/* defaults, see struct ledger_config */
#define LEDGER_TOMBSTONES_MAX 65536
#define LEDGER_HISTORY_MAX 1000

struct ledger;

/**
 * struct ledger_config - all pointers must outlive the ledger
 * @dir: state directory
 * @node_id: of this node; a ledger that another one wrote is refused
 * @peers: node_ids of the other writers, @n_peers of them. Slots of a node that is no longer one of
 *	them are adopted: what of it is in effect becomes this node's own
 * @tables: bitmap, of LEDGER_TABLES
 * @hash_key: of buckets and digests, the same on all nodes
 * @rules: conflict_resolution, the same on all nodes
 * @tombstone_ms: a tombstone stays at least this long
 * @tombstones_max: of the own ones no more are kept; the oldest goes
 * @history_max: conflicts that are over of which the inbox keeps a record
 */
struct ledger_config {
	const char *dir;
	const char *node_id;
	const char *const *peers;
	size_t n_peers;
	uint64_t tables;
	const struct fr_siphash_key *hash_key;
	struct history_rules rules;
	struct inbox_rules inbox;
	uint64_t tombstone_ms;
	uint32_t tombstones_max;
	uint32_t history_max;
};

/**
 * struct ledger_ops - what the ledger asks and tells, but for @now_ms from within ledger_flush()
 * @now_ms: CLOCK_REALTIME, ms since 1970
 * @effect: put this into the own kernel: an item of op INSERT (create or replace) or DELETE. What
 *	of it is refused: ledger_refused()
 * @publish: a slot of this node changed: @op is an enum flyrep_op, as of truth_put(), @slot a
 *	record of fr_slot_table(@table)
 * @conflict: a conflict came up, or its state changed; may be NULL
 */
struct ledger_ops {
	uint64_t (*now_ms)(void *cookie);
	void (*effect)(void *cookie, uint8_t table, const void *item);
	void (*publish)(void *cookie, uint8_t table, const void *slot, int op, unsigned int bucket);
	void (*conflict)(void *cookie, const struct inbox_conflict *c);
};

/**
 * struct ledger_figures - counters since the start, but for the n_ of things there are
 * @n_slots: own ones and mirrors
 * @n_own: of these: own ones
 * @n_tombstones: of the own ones
 * @n_in_effect: keys
 * @n_conflicts: that came up
 * @n_skewed: of these: with stamps closer than clock_skew_tolerance
 * @n_clamped: stamps of peers further in the future than that
 * @n_tombstones_dropped: before their time, as there were too many
 * @n_adopted: slots of nodes that are no longer peers, or have lost them
 * @n_refused: items that the own kernel did not take
 * @n_commits: transactions
 */
struct ledger_figures {
	size_t n_slots;
	size_t n_own;
	size_t n_tombstones;
	size_t n_in_effect;
	uint64_t n_conflicts;
	uint64_t n_skewed;
	uint64_t n_clamped;
	uint64_t n_tombstones_dropped;
	uint64_t n_adopted;
	uint64_t n_refused;
	uint64_t n_commits;
};

/**
 * ledger_open - read the ledger of a state directory, or begin one
 * @why: room for what is wrong, naming the file
 *
 * Nothing is called back yet: follow with ledger_learn_begin() for each table.
 *
 * Return: 0; -EBADMSG: it is damaged; -EPROTO: of a newer version, or not a ledger; -EEXIST:
 * another node's; -E2BIG: of too many nodes; -EBUSY: another process has it; -EINVAL: @config;
 * -errno
 */
int ledger_open(struct ledger **l, const struct ledger_config *config, const struct ledger_ops *ops,
		void *cookie, char *why, size_t why_len);
/* Commits what is left. */
void ledger_close(struct ledger *l);

/**
 * ledger_truth - the index of the slots of one node in one table
 * @owner: this node or one of the peers
 *
 * That of this node is the ledger's to change: take it for struct ship_stream.truths. That of a
 * peer is for receive_new(), whose inject calls ledger_remote(). NULL: no such table or node.
 */
struct truth *ledger_truth(const struct ledger *l, uint8_t table, const char *owner);

/**
 * ledger_local - the own kernel holds this now: written, changed or gone
 * @item: struct flyrep_item; a DELETE of what has ended is not a write
 *
 * What is as the ledger knows it is no write either. Return: 1: a write, 0: none; -EINVAL: not
 * well-formed, or no such table; -ENOMEM
 */
int ledger_local(struct ledger *l, uint8_t table, const void *item);

/**
 * ledger_remote - a slot of a peer changed
 * @peer: its owner
 * @slot: record of fr_slot_table(@table); telling it twice is harmless
 *
 * Return: 0; -EINVAL, -E2BIG (names more nodes than FR_SLOT_SAW_MAX), -ENOENT (no such peer),
 * -ENOMEM: not taken
 */
int ledger_remote(struct ledger *l, const char *peer, uint8_t table, const void *slot);

/* An audit just found this peer's slots, in all tables, equal to what is held of them here. */
void ledger_in_step(struct ledger *l, const char *peer);

/*
 * The own kernel did not take what ops.effect() gave it: ledger_tick() tries again, after a while.
 * Told in the order of the effects, in ledger_flush() or before another function is called.
 * @is_late: something became of the key that the agent has not heard of yet; the kernel will tell
 */
void ledger_refused(struct ledger *l, uint8_t table, const void *item, bool is_late);
/* Nothing can be put into effect until the tables were learnt anew. */
void ledger_lose_kernel(struct ledger *l);

/**
 * ledger_lose - the own kernel has lost items that nobody deleted: they are put there again
 * @is_lost: which of the table; it gets the canonical key, and must change nothing
 *
 * What is there all the same is told by ledger_local(); between ledger_learn_begin() and
 * ledger_learn_end(), what was not learnt. Return: how many of them are in effect
 */
size_t ledger_lose(struct ledger *l, uint8_t table,
		   bool (*is_lost)(void *cookie, const uint8_t *key, size_t key_len), void *cookie);

/* Tells this ledger from any other; of this node too, if the file was lost. */
void ledger_id(const struct ledger *l, uint8_t id[LEDGER_ID_LEN]);

/**
 * ledger_meet - a session with a peer begins
 * @id: of its ledger
 *
 * If that is another one than before the peer has lost what it wrote, and must not take it from
 * all others by saying so: what of it is in effect becomes this node's own. Return: whether it is
 * another one
 */
bool ledger_meet(struct ledger *l, const char *peer, const uint8_t id[LEDGER_ID_LEN]);

/* Buckets and digests are those of another key from here on; @key as in struct ledger_config */
int ledger_rekey(struct ledger *l, const struct fr_siphash_key *key);

/**
 * ledger_learn_begin - all that the own kernel holds of a table is going to be read
 * @kernel: tells this life of its tables from others (a reboot, a reload of the module), which
 *	begin empty: what is lacking in another one than the last time was not deleted. Not 0
 *
 * Call it before the read begins: nothing is put into effect meanwhile. Then ledger_learn() for
 * each item, and ledger_learn_end(): what differs from what was put into
 * effect was written meanwhile, when no agent was there. What the kernel lacks, though it never
 * was put there, is. ledger_local() may come between; of two reads of a key the one with the higher
 * flyrep_rec.stamp counts. Return: as ledger_local(); the end: how many were found deleted
 */
int ledger_learn_begin(struct ledger *l, uint8_t table, uint64_t kernel);
int ledger_learn(struct ledger *l, uint8_t table, const void *item);
size_t ledger_learn_end(struct ledger *l, uint8_t table);

/**
 * ledger_flush - settle, commit, and tell
 * Return: 0; -EAGAIN: not durable, see ledger_trouble(); all else was done
 */
int ledger_flush(struct ledger *l);

/*
 * What time does: ends, timeouts, tombstones, what was refused. Once a second; then ledger_flush().
 */
void ledger_tick(struct ledger *l);

/* What is wrong with the file, for status ("degraded"); NULL: nothing. */
const char *ledger_trouble(const struct ledger *l);

/* The clock of a peer, for status: ms that its last stamp was ahead of this node's; 0: not. */
uint64_t ledger_offset_ms(const struct ledger *l, const char *peer);
const struct ledger_figures *ledger_figures(struct ledger *l);

/* Of the rules: peers that differ here would never agree. For HELLO. */
uint64_t ledger_rules_digest(const struct ledger *l);

/**
 * ledger_walk - the slots of one node in one bucket, for repairs
 * @fn: gets records of fr_slot_table(@table), op UPDATE; must change nothing
 */
void ledger_walk(struct ledger *l, uint8_t table, const char *owner, unsigned int bucket,
		 void (*fn)(void *cookie, const void *slot), void *cookie);

/* What is in effect, of one table: struct flyrep_item, op UPDATE; @fn must change nothing. */
void ledger_walk_effect(struct ledger *l, uint8_t table, void (*fn)(void *cookie, const void *item),
			void *cookie);

/* The conflicts: list and look up; see ledger_resolve(). */
const struct inbox *ledger_inbox(const struct ledger *l);

/**
 * ledger_resolve - somebody decides a conflict that waits
 * @how: an enum inbox_resolution
 * @who: identity that asks
 * @reason: for the record; may be ""
 * @why: room for why not
 *
 * What is chosen, or of a lease or DNS record the local side with what only others say,
 * becomes a write of this node that replaces all sides, so all nodes follow, once
 * ledger_flush() has told them. Who is told that it is decided can rely on it.
 * Return: 0: it is durable; -EAGAIN: it is decided, but not durable yet; -ENOENT: no such
 * conflict; -EALREADY: it does not wait (any more); -EPERM: not one of the approvers;
 * -EOPNOTSUPP: there is no way to merge these; -EMSGSIZE: merged it would be too long; -EINVAL:
 * @how; -ENOMEM
 */
int ledger_resolve(struct ledger *l, uint64_t id, enum inbox_resolution how, const char *who,
		   const char *reason, char *why, size_t why_len);

/**
 * ledger_test_conflict - who would win if this node and a peer wrote one key now; leaves nothing
 * @peer: the other one, need not exist
 * Return: {"table", "key", "strategy", "sides": [{"node", "version", ...}], "winner", "why",
 * "skew"}; new reference, NULL: no memory
 */
json_t *ledger_test_conflict(const struct ledger *l, const char *peer);

#endif
