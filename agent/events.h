/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events: what happens, at the level of an operator. Each is a line of the log; the last EVENTS_MAX
 * are remembered, with numbers, for who follows them by the API. Loop thread.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <jansson.h>
#include <stdint.h>

#include "log.h"

#define EVENTS_MAX 512
#define EVENT_TEXT_LEN 320

enum event_type {
	EVENT_START,
	EVENT_RELOAD,
	EVENT_MODULE_UP,
	EVENT_MODULE_DOWN,
	EVENT_PEER_UP,
	EVENT_PEER_DOWN,
	EVENT_ROLE,
	EVENT_SPLIT_BRAIN,
	EVENT_MAJORITY_LOST,
	EVENT_MAJORITY_BACK,
	EVENT_STATE,
	EVENT_PAUSED,
	EVENT_RESUMED,
	EVENT_RESYNC_BEGUN,
	EVENT_RESYNC_DONE,
	EVENT_RESYNC_FAILED,
	EVENT_IN_STEP,
	EVENT_DIFFERS,
	EVENT_CONFLICT,
	EVENT_RESOLVED,
	EVENT_WARNING,
	EVENT_CLEARED,
	EVENT_N_TYPES,
};

struct events;

/* NULL: no memory, or no random bytes for its instance. */
struct events *events_new(void);
void events_free(struct events *e);
/* Call this when there is one more; NULL: nobody. */
void events_watch(struct events *e, void (*fn)(void *cookie), void *cookie);

/**
 * events_log - log one, and remember it
 * @e: NULL: only log it
 * @peer: whom it is about; NULL: nobody but this node
 * @fmt: the line of the log. Of what is remembered a first word that ends in ": " is left out,
 *	and what is longer than EVENT_TEXT_LEN is cut
 *
 * The journal has the type as FLYREP_EVENT, the peer as FLYREP_PEER and a MESSAGE_ID, which
 * agent/flyrep.catalog explains. These never change: monitors look for them, not for words.
 */
void events_log(struct events *e, enum event_type type, enum fr_log_level level, const char *peer,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Number of the next one. */
uint64_t events_next(const struct events *e);
/*
 * Those from number @since on, as GET /api/replication/events has it. New reference. A @since above
 * the next is of another run: all are told.
 */
json_t *events_json(const struct events *e, uint64_t since);
/* An array of those about a peer. New reference. */
json_t *events_about(const struct events *e, const char *peer);

#endif
