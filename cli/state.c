// SPDX-License-Identifier: GPL-2.0-or-later
#include "state.h"

#include <string.h>

/* Only what is in sync, or alone, is fine: a node still syncing would lose flows. */
static const struct state states[] = {
	{ "in_sync", "in sync", STYLE_GOOD, false },
	{ "standalone", "standalone", STYLE_GOOD, false },
	{ "syncing", "syncing", STYLE_WARN, true },
	{ "init", "starting", STYLE_WARN, true },
	{ "connecting", "connecting", STYLE_WARN, true },
	{ "lagging", "LAGGING", STYLE_BAD, true },
	{ "needs_resync", "NEEDS RESYNC", STYLE_BAD, true },
	{ "paused", "PAUSED", STYLE_BAD, true },
	{ "no_quorum", "NO QUORUM", STYLE_BAD, true },
	{ "split_brain", "SPLIT BRAIN", STYLE_BAD, true },
	{ "down", "DOWN", STYLE_BAD, true },
	{ NULL, "unknown", STYLE_BAD, true },
};

const struct state *state_find(const char *word)
{
	const struct state *state = states;

	while (state->word && (!word || strcmp(state->word, word)))
		state++;
	return state;
}

const struct state *state_of(const json_t *object, const char *key)
{
	return state_find(json_string_value(json_object_get(object, key)));
}
