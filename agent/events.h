/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events: what happened of late, at the level of an operator, for who follows it by the API. The
 * last EVENTS_MAX are remembered, with numbers; the log has them too, and more. Loop thread.
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
 * events_note - remember one
 * @e: NULL is fine
 * @peer: whom it is about; NULL: nobody but this node
 * @fmt: a text for people; longer than EVENT_TEXT_LEN it is cut
 */
void events_note(struct events *e, enum event_type type, enum fr_log_level level, const char *peer,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Likewise, and log it; of the line a first word that ends in ": " is left out here. */
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
