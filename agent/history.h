/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * History: which of the slots of a key is in effect. Pure: it looks at slots and rules, and at
 * nothing else, so that all nodes with the same slots say the same.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slot.h"

/* In the order of the choices in schema.c */
enum history_strategy {
	HISTORY_TIMESTAMP,
	HISTORY_PRIORITY,
	HISTORY_MANUAL,
};

enum history_resolution {
	HISTORY_SECOND,
	HISTORY_MILLISECOND,
	HISTORY_MICROSECOND,	/* a stamp has no finer time below it than its counter: all of it */
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

#endif
