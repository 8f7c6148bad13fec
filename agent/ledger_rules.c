// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger_rules.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define IS_SAME(name) ((int)HISTORY_##name == (int)FR_CONFIG_##name)

static_assert(IS_SAME(TIMESTAMP) && IS_SAME(PRIORITY) && IS_SAME(MANUAL), "in the same order");

static char *copy(struct fr_arena *arena, const char *text)
{
	return fr_arena_strndup(arena, text, strlen(text));
}

static int copy_peers(struct ledger_config *out, const struct fr_config *c, struct fr_arena *arena)
{
	const char **peers = fr_arena_alloc(arena, c->peers.n * sizeof(*peers));
	size_t i;

	for (i = 0; peers && i < c->peers.n; i++) {
		peers[i] = copy(arena, c->peers.v[i].id);
		if (!peers[i])
			return -ENOMEM;
	}
	out->peers = peers;
	out->n_peers = c->peers.n;
	return peers ? 0 : -ENOMEM;
}

static int copy_priorities(struct history_rules *out, const struct fr_config_map *map,
			   struct fr_arena *arena)
{
	struct history_priority *priorities = fr_arena_alloc(arena, map->n * sizeof(*priorities));
	size_t i;

	for (i = 0; priorities && i < map->n; i++) {
		priorities[i].node = copy(arena, map->v[i].node_id);
		priorities[i].priority = map->v[i].number;
		if (!priorities[i].node)
			return -ENOMEM;
	}
	out->priorities = priorities;
	out->n_priorities = map->n;
	return priorities ? 0 : -ENOMEM;
}

static int copy_approvers(struct inbox_rules *out, const struct fr_config_strings *names,
			  struct fr_arena *arena)
{
	const char **approvers = fr_arena_alloc(arena, names->n * sizeof(*approvers));
	size_t i;

	for (i = 0; approvers && i < names->n; i++) {
		approvers[i] = copy(arena, names->v[i]);
		if (!approvers[i])
			return -ENOMEM;
	}
	out->approvers = approvers;
	out->n_approvers = names->n;
	return approvers ? 0 : -ENOMEM;
}

static uint64_t tables_of(const struct fr_config *c)
{
	uint64_t tables = 0;
	unsigned int table;

	for (table = 0; table <= FLYREP_TABLE_MAX; table++)
		if (fr_config_has_versions(c, table))
			tables |= 1ull << table;
	return tables;
}

int ledger_config_from(struct ledger_config *out, const struct fr_config *c,
		       const struct fr_siphash_key *hash_key, struct fr_arena *arena)
{
	bool is_approval_required = c->conflict_resolution.manual_resolution.require_approval;

	*out = (struct ledger_config){
		.dir = copy(arena, c->state_dir),
		.node_id = copy(arena, c->node_id),
		.tables = tables_of(c),
		.hash_key = hash_key,
		.rules = {
			.strategy = c->conflict_resolution.strategy,
			.resolution = c->conflict_resolution.timestamp_resolution,
			.skew_tolerance_ms = c->conflict_resolution.clock_skew_tolerance_ms,
			.is_approval_required = is_approval_required,
		},
		.inbox.timeout_ms = c->conflict_resolution.manual_resolution.timeout_ms,
		.tombstone_ms = LEDGER_TOMBSTONE_MS,
		.tombstones_max = LEDGER_TOMBSTONES_MAX,
		.history_max = LEDGER_HISTORY_MAX,
	};
	if (!out->dir || !out->node_id || copy_peers(out, c, arena) ||
	    copy_priorities(&out->rules, &c->conflict_resolution.priorities, arena) ||
	    copy_approvers(&out->inbox, &c->conflict_resolution.manual_resolution.approvers, arena))
		return -ENOMEM;
	return 0;
}
