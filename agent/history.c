// SPDX-License-Identifier: GPL-2.0-or-later
#include "history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hlc.h"

#define MS_PER_SECOND 1000

static uint64_t priority_of(const struct history_rules *rules, const char *node)
{
	size_t i;

	for (i = 0; i < rules->n_priorities; i++)
		if (!strcmp(rules->priorities[i].node, node))
			return rules->priorities[i].priority;
	return 0;
}

int history_node(struct history_order *o, const char *node, size_t node_len)
{
	size_t i;

	if (!node_len || node_len > FR_SLOT_NODE_MAX)
		return -EINVAL;
	for (i = 0; i < o->n_nodes; i++)
		if (strlen(o->nodes[i]) == node_len && !memcmp(o->nodes[i], node, node_len))
			return (int)i;
	if (i == HISTORY_NODES_MAX)
		return -E2BIG;
	memcpy(o->nodes[i], node, node_len);
	o->nodes[i][node_len] = '\0';
	o->priorities[i] = priority_of(o->rules, o->nodes[i]);
	return (int)o->n_nodes++;
}

bool history_is_alive(const struct history_slot *s, uint64_t now_ms)
{
	return !s->is_tombstone && (!s->expires_ms || s->expires_ms > now_ms);
}

/* --- order -------------------------------------------------------------- */

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static uint64_t coarse(const struct history_rules *rules, uint64_t version)
{
	switch (rules->resolution) {
	case HISTORY_SECOND:
		return hlc_ms(version) / MS_PER_SECOND;
	case HISTORY_MILLISECOND:
		return hlc_ms(version);
	default:
		return version;
	}
}

/* Of one node the higher version is always higher: histories stand for all dots up to theirs. */
int history_compare_dots(const struct history_order *o, const struct history_dot *a,
			 const struct history_dot *b)
{
	int priority = compare(o->priorities[a->node], o->priorities[b->node]);
	int version = compare(a->version, b->version), order;

	if (o->rules->strategy == HISTORY_PRIORITY) {
		order = priority ? priority : version;
	} else {
		order = compare(coarse(o->rules, a->version), coarse(o->rules, b->version));
		order = order ? order : priority;
	}
	if (!order)
		order = strcmp(o->nodes[a->node], o->nodes[b->node]);
	return order ? order : version;
}

uint64_t history_reach(const struct history_slot *s, uint8_t node)
{
	uint64_t version = s->dot.node == node ? s->dot.version : 0;
	size_t i;

	for (i = 0; i < s->n_saw; i++)
		if (s->saw[i].node == node && s->saw[i].version > version)
			version = s->saw[i].version;
	return version;
}

/* The highest dot of @a that @b does not have; version 0: it has all. */
static struct history_dot surplus(const struct history_order *o, const struct history_slot *a,
				  const struct history_slot *b)
{
	struct history_dot best = { 0 };
	size_t i;

	if (history_reach(b, a->dot.node) < a->dot.version)
		best = a->dot;
	for (i = 0; i < a->n_saw; i++)
		if (history_reach(b, a->saw[i].node) < a->saw[i].version &&
		    (!best.version || history_compare_dots(o, &a->saw[i], &best) > 0))
			best = a->saw[i];
	return best;
}

int history_compare(const struct history_order *o, const struct history_slot *a,
		    const struct history_slot *b)
{
	struct history_dot over_b = surplus(o, a, b), over_a = surplus(o, b, a);

	if (!over_b.version && !over_a.version)
		return history_compare_dots(o, &a->dot, &b->dot);
	if (!over_b.version || !over_a.version)
		return over_b.version ? 1 : -1;
	return history_compare_dots(o, &over_b, &over_a);
}

bool history_covers(const struct history_order *o, const struct history_slot *a,
		    const struct history_slot *b)
{
	if (history_reach(a, b->dot.node) < b->dot.version)
		return false;
	/* Two that absorbed each other on nodes that were apart: the higher one has. */
	return history_reach(b, a->dot.node) < a->dot.version || history_compare(o, a, b) > 0;
}

bool history_dominates(const struct history_order *o, const struct history_slot *a,
		       const struct history_slot *b)
{
	return !surplus(o, b, a).version && history_compare(o, a, b) > 0;
}

bool history_is_equal(const struct history_slot *a, const struct history_slot *b, uint64_t now_ms)
{
	bool is_alive = history_is_alive(a, now_ms);

	if (is_alive != history_is_alive(b, now_ms))
		return false;
	return !is_alive ||
	       (a->expires_ms == b->expires_ms && a->value_len == b->value_len &&
		(!a->value_len || !memcmp(a->value, b->value, a->value_len)));
}

bool history_has_lost(const struct history_slot *a, const struct history_slot *other)
{
	size_t i;

	for (i = 0; i < other->n_saw; i++)
		if (other->saw[i].node == a->dot.node && other->saw[i].version == a->dot.version)
			return other->saw[i].flags & FR_SLOT_SAW_F_LOST;
	return false;
}

void history_explain(const struct history_order *o, const struct history_dot *winner,
		     const struct history_dot *loser, char *buf, size_t len)
{
	const char *a = o->nodes[winner->node], *b = o->nodes[loser->node];
	uint64_t pa = o->priorities[winner->node], pb = o->priorities[loser->node];
	uint64_t va = winner->version, vb = loser->version;

	if (o->rules->strategy != HISTORY_PRIORITY) {
		va = coarse(o->rules, va);
		vb = coarse(o->rules, vb);
	}
	if (pa != pb && (o->rules->strategy == HISTORY_PRIORITY || va == vb))
		snprintf(buf, len, "%s has priority %" PRIu64 ", %s %" PRIu64, a, pa, b, pb);
	else if (va != vb)
		snprintf(buf, len, "%s wrote %" PRIu64 " ms after %s", a,
			 hlc_ms(winner->version) - hlc_ms(loser->version), b);
	else
		snprintf(buf, len, "stamps and priorities are equal, %s comes after %s", a, b);
}

/* --- growth ------------------------------------------------------------- */

int history_add(struct history_slot *a, const struct history_dot *dot)
{
	struct history_dot *saw;
	size_t i;

	if (dot->node == a->dot.node)
		return 0; /* what it has overwritten itself */
	for (i = 0; i < a->n_saw && a->saw[i].node < dot->node; i++)
		;
	if (i < a->n_saw && a->saw[i].node == dot->node) {
		saw = &a->saw[i];
		if (saw->version > dot->version ||
		    (saw->version == dot->version && (saw->flags | dot->flags) == saw->flags))
			return 0;
		saw->flags = dot->flags | (saw->version == dot->version ? saw->flags : 0);
		saw->version = dot->version;
		return 1;
	}
	saw = realloc(a->saw, (a->n_saw + 1u) * sizeof(*saw));
	if (!saw)
		return -ENOMEM;
	a->saw = saw;
	memmove(&saw[i + 1], &saw[i], (a->n_saw - i) * sizeof(*saw));
	saw[i] = *dot;
	a->n_saw++;
	return 1;
}

int history_absorb(struct history_slot *a, const struct history_slot *b, uint8_t flags)
{
	struct history_dot dot = b->dot;
	int rc, changed;
	size_t i;

	dot.flags = flags;
	changed = history_add(a, &dot);
	for (i = 0; changed >= 0 && i < b->n_saw; i++) {
		rc = history_add(a, &b->saw[i]);
		changed = rc < 0 ? rc : changed | rc;
	}
	return changed;
}
