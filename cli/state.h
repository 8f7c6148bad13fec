/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state - the words of the API for how a node or a peer is doing
 */
#ifndef STATE_H
#define STATE_H

#include <jansson.h>

#include "style.h"

struct state {
	const char *word; /* as the API says it */
	const char *text; /* as people read it */
	enum style style;
	bool is_degraded; /* flyrep status exits 4 */
};

/**
 * state_find() - the row of @word; one that says "unknown" for any other
 */
const struct state *state_find(const char *word);

/**
 * state_of() - state_find() of what an object says under @key
 */
const struct state *state_of(const json_t *object, const char *key);

#endif
