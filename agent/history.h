/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * History: which of the slots of a key is in effect. Pure: it looks at slots, rules and names of
 * nodes, and at nothing else, so that all nodes with the same slots say the same.
 *
 * A write is a dot, its node and version. A slot carries its history: its own dot, and for each
 * other node the highest dot of it that it replaces, which stands for all dots of this node up to
 * there. Dots are in an order that the strategy gives (history_compare_dots()). Of two slots the
 * one is higher that has the highest dot that the other has not. For two writes that have seen
 * the same before them this is the order of their dots; and who has seen a slot is always higher
 * than it.
 *
 * The highest slot of a key wins. Its owner adds what the losers are, and what they had replaced,
 * to its history (history_absorb()); the owner of a loser drops it when it learns of a slot that
 * dominates it, and not before. The two together never change who wins on any node:
 *
 * - Histories as sets, compared by the highest element of their difference, are in a total order
 * that
 *   extends inclusion. The highest slot M of any set of slots is well-defined, and is dominated by
 *   none of them: a superset is higher, and of two equal sets the one with the higher own dot is.
 *   So to drop dominated slots never takes M away.
 * - To absorb makes M higher, and no other slot. So M stays M.
 * - What was dominated by a slot stays dominated: slots only grow, a new write of the owner takes
 * the history
 *   of its last one over, and what goes is itself dominated by what stays. So a loser that was
 *   dropped is replaced by something wherever its mirror still is, and nothing that it replaced
 *   comes back, though the links between nodes run at different speeds.
 *
 * Compared by their own dots alone they would not be in such an order: of priorities 100, 50 and
 * 25, let 25 overwrite what 100 has written, and 50 write without having seen either. 25 replaces
 * 100, 100 wins over 50, and 50 over 25: who is left would depend on who heard first of whom.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slot.h"

#define HISTORY_NODES_MAX FR_SLOT_SAW_MAX

/* In the order of the choices in schema.c */
enum history_strategy {
	HISTORY_TIMESTAMP,	/* stamp, then priority, then node_id: that with the higher bytes */
	HISTORY_PRIORITY,	/* priority, then version, then node_id likewise */
	HISTORY_MANUAL,		/* as TIMESTAMP, where nobody decides */
};

enum history_resolution {
	HISTORY_SECOND,
	HISTORY_MILLISECOND,
	HISTORY_MICROSECOND,	/* below its milliseconds a stamp has a counter: all of it */
	HISTORY_NANOSECOND,	/* likewise */
};

struct history_priority {
	const char *node;
	uint64_t priority;	/* higher wins */
};

/**
 * struct history_rules - conflict_resolution, the same on all nodes
 * @strategy: enum history_strategy
 * @resolution: enum history_resolution, of stamps
 * @priorities: @n_priorities of them; who is not named has 0
 * @skew_tolerance_ms: stamps of a conflict that are closer are noted as skewed
 * @is_approval_required: MANUAL: wait for somebody. false: as TIMESTAMP
 */
struct history_rules {
	int strategy;
	int resolution;
	const struct history_priority *priorities;
	size_t n_priorities;
	uint64_t skew_tolerance_ms;
	bool is_approval_required;
};

/**
 * struct history_order - what dots are compared by
 * @rules: must outlive it
 * @n_nodes: that have a number, the index into @nodes and @priorities
 */
struct history_order {
	const struct history_rules *rules;
	size_t n_nodes;
	char nodes[HISTORY_NODES_MAX][FR_SLOT_NODE_MAX + 1];
	uint64_t priorities[HISTORY_NODES_MAX];
};

/**
 * struct history_dot - all writes of a node to a key, up to a version
 * @node: its number
 * @flags: FR_SLOT_SAW_F_*
 */
struct history_dot {
	uint64_t version;
	uint8_t node;
	uint8_t flags;
};

/**
 * struct history_slot - a slot in memory
 * @dot: of its write
 * @decided: see struct fr_slot
 * @expires_ms: likewise
 * @n_saw: of @saw, in the order of the numbers of the nodes
 * @is_seen: what it says had reached the own kernel: the next local write has seen it
 * @is_told: that it lost a conflict
 * @value: @value_len bytes
 */
struct history_slot {
	struct history_dot dot;
	uint64_t decided;
	uint64_t expires_ms;
	bool is_tombstone;
	bool is_seen;
	bool is_told;
	uint8_t n_saw;
	uint16_t value_len;
	struct history_dot *saw;
	uint8_t *value;
};

/* The number of a node, a new one if it has none; -E2BIG: too many, -EINVAL: no node_id. */
int history_node(struct history_order *o, const char *node, size_t node_len);

/* Neither a tombstone nor over. */
bool history_is_alive(const struct history_slot *s, uint64_t now_ms);

/* The highest version of a node in the history of a slot; 0: none */
uint64_t history_reach(const struct history_slot *s, uint8_t node);

/* Below, at, above 0: @a is lower, the same, higher. */
int history_compare_dots(const struct history_order *o, const struct history_dot *a,
			 const struct history_dot *b);
int history_compare(const struct history_order *o, const struct history_slot *a,
		    const struct history_slot *b);

/* @a has replaced @b: it, or what it replaces, saw it, or won over it. */
bool history_covers(const struct history_order *o, const struct history_slot *a,
		    const struct history_slot *b);
/* It has, and all that @b has replaced as well: nothing is lost with @b. */
bool history_dominates(const struct history_order *o, const struct history_slot *a,
		       const struct history_slot *b);

/* Equal for whoever reads them: both dead, or the same value and end. */
bool history_is_equal(const struct history_slot *a, const struct history_slot *b, uint64_t now_ms);

/* Whether @a lost a conflict, by what some other slot says. */
bool history_has_lost(const struct history_slot *a, const struct history_slot *other);

/* Why one dot is higher than another, in words. */
void history_explain(const struct history_order *o, const struct history_dot *winner,
		     const struct history_dot *loser, char *buf, size_t len);

/**
 * history_absorb - add the history of one slot to that of another
 * @flags: of the dot of @b: FR_SLOT_SAW_F_LOST if @a did not see it
 * Return: 1: @a has changed, 0: it had all of it, -ENOMEM
 */
int history_absorb(struct history_slot *a, const struct history_slot *b, uint8_t flags);

/* Add one dot; as history_absorb(). */
int history_add(struct history_slot *a, const struct history_dot *dot);

#endif
