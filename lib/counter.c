// SPDX-License-Identifier: GPL-2.0-or-later
#include "counter.h"

#include "flyrep.h"

/* A counter without a name does not build. */
static const struct {
	const char *name;
	const char *help;
} rows[] = {
	[FLYREP_C_CAPTURE_QUEUED] = { "capture_queued", "Objects put into the ring." },
	[FLYREP_C_CAPTURE_COALESCED] = { "capture_coalesced",
					 "Changes of an object that was in the ring already." },
	[FLYREP_C_CAPTURE_FILTERED] = { "capture_filtered", "Events that the filter refused." },
	[FLYREP_C_CAPTURE_ECHO] = { "capture_echo", "Events of the agent's own making." },
	[FLYREP_C_CAPTURE_UNBOUND] = { "capture_unbound", "Events while no agent listened." },
	[FLYREP_C_CAPTURE_TAKEOVER] = { "capture_takeover",
					"Held objects that a packet took over." },
	[FLYREP_C_RING_OVERFLOW] = { "ring_overflow", "Changes that found the ring full." },
	[FLYREP_C_DRAIN_RECORDS] = { "drain_records", "Records drained." },
	[FLYREP_C_DRAIN_UNSEEN] = { "drain_unseen",
				    "Objects that came and went between two drains." },
	[FLYREP_C_WAKE_SENT] = { "wake_sent", "Times that the agent was woken." },
	[FLYREP_C_WAKE_FAILED] = { "wake_failed",
				   "Times that it could not be: no memory, or no room." },
	[FLYREP_C_SNAPSHOT_RECORDS] = { "snapshot_records", "Records of snapshots." },
	[FLYREP_C_SNAPSHOT_RESTARTS] = { "snapshot_restarts",
					 "Snapshots begun again: the table was resized." },
	[FLYREP_C_INJECT_INSERTED] = { "inject_inserted", "Objects injected anew." },
	[FLYREP_C_INJECT_UPDATED] = { "inject_updated", "Objects changed by injection." },
	[FLYREP_C_INJECT_REPLACED] = { "inject_replaced", "Objects made anew by injection." },
	[FLYREP_C_INJECT_DELETED] = { "inject_deleted", "Objects ended by injection." },
	[FLYREP_C_INJECT_REFUSED] = { "inject_refused", "Records answered with an error." },
	[FLYREP_C_INJECT_FULL] = { "inject_full", "Of these: the table was full." },
	[FLYREP_C_INJECT_NAT_CLASH] = { "inject_nat_clash",
					"Of these: NAT address or port taken, or expected." },
	[FLYREP_C_HELD_LOST] = { "held_lost", "Held objects that vanished unasked." },
	[FLYREP_C_PROMOTED] = { "promoted", "Held objects made local by a takeover." },
	[FLYREP_C_DEMOTED] = { "demoted", "Local objects that became held." },
	[FLYREP_C_ORPHANED] = { "orphaned",
				"Held objects let go of, as the agent stayed away." },
	[FLYREP_C_STRICT] = { "strict", "Flows that changed hands, tracked strictly again." },
	[FLYREP_C_ITEM_PUT] = { "item_put", "Items created or changed." },
	[FLYREP_C_ITEM_DELETED] = { "item_deleted", "Items deleted." },
	[FLYREP_C_ITEM_EXPIRED] = { "item_expired", "Items that ended at their time." },
	[FLYREP_C_ITEM_REFUSED] = { "item_refused",
				    "Records of items answered with an error." },
	[FLYREP_C_INJECT_REDUCED] = { "inject_reduced",
				      "Records applied without some of what they say." },
	[FLYREP_C_HINT_QUEUED] = { "hint_queued", "Hints at elements of sets, queued." },
	[FLYREP_C_HINT_COALESCED] = { "hint_coalesced",
				      "Hints that the last one in the ring had told already." },
	[FLYREP_C_HINT_ECHO] = { "hint_echo", "Changes of sets of the agent's own making." },
	[FLYREP_C_HINT_LOST] = { "hint_lost", "Hints that found their ring full." },
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) == __FLYREP_C_MAX, "every counter has a name");

const char *fr_counter_name(size_t counter)
{
	return counter < __FLYREP_C_MAX ? rows[counter].name : NULL;
}

const char *fr_counter_help(size_t counter)
{
	return counter < __FLYREP_C_MAX ? rows[counter].help : NULL;
}
