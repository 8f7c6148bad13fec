/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arbiter: what the API tells of conflicts, and how somebody decides them. The conflicts are the
 * ledger's (inbox.h); where no table has versions there are none.
 *
 *   GET  /api/replication/conflicts[?state=pending|resolved|expired]
 *	{"conflicts": [CONFLICT...], "pending": n, "counts": {"conflicts", "skewed", "clamped"}};
 *	oldest first. Texts of more than ARBITER_TEXT_MAX bytes are left out of this one
 *   GET  /api/replication/conflicts/ID
 *	{"conflict": CONFLICT, "audit": [{"at_ms", "state", "who", "reason"}...]}
 *   POST /api/replication/conflicts/ID/resolve  {"resolution": "use_local"|"use_remote"|"merge",
 *	"reason": text}: as the one before
 *   GET  /api/replication/test-conflict[?peer=NODE]
 *	{"test": as ledger_test_conflict()}
 *
 * A CONFLICT is as inbox_to_json(), with "strategy"; "expires_ms", when the timeout decides, if it
 * waits and there is one; and "written_ms" of each side. All _ms: since 1970.
 */
#ifndef ARBITER_H
#define ARBITER_H

#include <jansson.h>

#include "api.h"
#include "config.h"
#include "ledger.h"

#define ARBITER_TEXT_MAX 256

/**
 * struct arbiter - what is asked
 * @config: that the ledger goes by
 * @ledger: NULL: no table has versions
 */
struct arbiter {
	const struct fr_config *config;
	struct ledger *ledger;
};

/* Each ends in an answer to the call. */
void arbiter_list(const struct arbiter *a, struct api_call *call);
void arbiter_show(const struct arbiter *a, struct api_call *call);
/* Follow with ledger_flush(), as soon as it may be. */
void arbiter_resolve(const struct arbiter *a, struct api_call *call, const json_t *body);
void arbiter_test(const struct arbiter *a, struct api_call *call);

/* Conflicts that wait for somebody: the node is degraded. */
size_t arbiter_pending(const struct arbiter *a);
/* What is wrong with the ledger: likewise; NULL: nothing. */
const char *arbiter_trouble(const struct arbiter *a);
/* The clock of a peer, ms that it is ahead of this node's; 0: it is not. */
uint64_t arbiter_offset_ms(const struct arbiter *a, const char *peer);
/* Append to the warnings of the status. */
void arbiter_warn(const struct arbiter *a, json_t *warnings);

#endif
