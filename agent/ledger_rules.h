/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger rules: what the configuration says to the ledger: conflict_resolution, who the other
 * writers are, and which tables they all write.
 */
#ifndef LEDGER_RULES_H
#define LEDGER_RULES_H

#include "arena.h"
#include "config.h"
#include "ledger.h"

/**
 * ledger_config_from - fill in the configuration of a ledger
 * @out: all of it is set; @c may be freed or reloaded afterwards
 * @hash_key: must outlive the ledger; of buckets and digests, the same on all nodes
 * @arena: what @out points to is copied into it, so it must outlive the ledger as well
 *
 * Where out->tables is 0 there are no versions, and no ledger is needed: the mode is not one in
 * which all nodes write, or no such table is replicated.
 *
 * Return: 0 or -ENOMEM
 */
int ledger_config_from(struct ledger_config *out, const struct fr_config *c,
		       const struct fr_siphash_key *hash_key, struct fr_arena *arena);

#endif
