// SPDX-License-Identifier: GPL-2.0-or-later
#include "events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "frame.h"

struct event {
	uint64_t at_ms;		/* CLOCK_REALTIME */
	enum event_type type;
	enum fr_log_level level;
	char peer[FR_NODE_ID_MAX_LEN + 1];	/* "": none */
	char text[EVENT_TEXT_LEN];
};

struct events {
	uint64_t instance;
	uint64_t next;		/* numbers begin with 1 */
	void (*fn)(void *cookie);
	void *cookie;
	struct event v[EVENTS_MAX];	/* number n is at n % EVENTS_MAX */
};

static const char *const type_names[EVENT_N_TYPES] = {
	[EVENT_START] = "start",
	[EVENT_RELOAD] = "reload",
	[EVENT_MODULE_UP] = "module_up",
	[EVENT_MODULE_DOWN] = "module_down",
	[EVENT_PEER_UP] = "peer_up",
	[EVENT_PEER_DOWN] = "peer_down",
	[EVENT_ROLE] = "role",
	[EVENT_STATE] = "state",
	[EVENT_PAUSED] = "paused",
	[EVENT_RESUMED] = "resumed",
	[EVENT_RESYNC_BEGUN] = "resync_begun",
	[EVENT_RESYNC_DONE] = "resync_done",
	[EVENT_RESYNC_FAILED] = "resync_failed",
	[EVENT_IN_STEP] = "in_step",
	[EVENT_DIFFERS] = "differs",
	[EVENT_CONFLICT] = "conflict",
	[EVENT_RESOLVED] = "resolved",
	[EVENT_WARNING] = "warning",
	[EVENT_CLEARED] = "cleared",
};

struct events *events_new(void)
{
	struct events *e = calloc(1, sizeof(*e));

	if (e && getrandom(&e->instance, sizeof(e->instance), 0) != sizeof(e->instance)) {
		free(e);
		return NULL;
	}
	if (e)
		e->next = 1;
	return e;
}

void events_free(struct events *e)
{
	free(e);
}

void events_watch(struct events *e, void (*fn)(void *cookie), void *cookie)
{
	e->fn = fn;
	e->cookie = cookie;
}

static void note(struct events *e, enum event_type type, enum fr_log_level level, const char *peer,
		 const char *text)
{
	struct event *v = &e->v[e->next % EVENTS_MAX];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*v = (struct event){ .type = type, .level = level,
			     .at_ms = now.tv_sec * 1000ull + now.tv_nsec / 1000000 };
	snprintf(v->peer, sizeof(v->peer), "%s", peer ? peer : "");
	snprintf(v->text, sizeof(v->text), "%s", text);
	e->next++;
	if (e->fn)
		e->fn(e->cookie);
}

void events_note(struct events *e, enum event_type type, enum fr_log_level level, const char *peer,
		 const char *fmt, ...)
{
	char text[FR_LOG_LINE_MAX];
	va_list args;

	if (!e)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	note(e, type, level, peer, text);
}

void events_log(struct events *e, enum event_type type, enum fr_log_level level, const char *peer,
		const char *fmt, ...)
{
	char text[FR_LOG_LINE_MAX];
	const char *colon;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fr_log(level, "%s", text);
	colon = strstr(text, ": ");
	if (e)
		note(e, type, level, peer,
		     colon && !memchr(text, ' ', colon - text) ? colon + 2 : text);
}

uint64_t events_next(const struct events *e)
{
	return e->next;
}

static uint64_t oldest(const struct events *e)
{
	return e->next > EVENTS_MAX ? e->next - EVENTS_MAX : 1;
}

static const char *level_name(enum fr_log_level level)
{
	switch (level) {
	case FR_LOG_ERR:
		return "error";
	case FR_LOG_WARNING:
		return "warning";
	case FR_LOG_NOTICE:
		return "notice";
	default:
		return "info";
	}
}

/* What a peer said may be cut within a letter, or none. */
static json_t *text_json(const char *text)
{
	char copy[EVENT_TEXT_LEN];
	json_t *o = json_string(text);
	size_t i;

	for (i = 0; !o && text[i]; i++)
		copy[i] = text[i] & 0x80 ? '?' : text[i];
	copy[i] = '\0';
	return o ? o : json_string(copy);
}

static json_t *event_json(const struct events *e, uint64_t n)
{
	const struct event *v = &e->v[n % EVENTS_MAX];

	return json_pack("{s:I, s:I, s:s, s:s, s:o, s:o}", "n", (json_int_t)n, "at_ms",
			 (json_int_t)v->at_ms, "type", type_names[v->type], "level",
			 level_name(v->level), "peer", *v->peer ? text_json(v->peer) : json_null(),
			 "text", text_json(v->text));
}

json_t *events_json(const struct events *e, uint64_t since)
{
	uint64_t n = since <= e->next && since > oldest(e) ? since : oldest(e);
	uint64_t missed = since && since < oldest(e) ? oldest(e) - since : 0;
	json_t *list = json_array();

	for (; n < e->next; n++)
		json_array_append_new(list, event_json(e, n));
	return json_pack("{s:o, s:o, s:I, s:I}", "instance", json_sprintf("%016lx", e->instance),
			 "events", list, "next", (json_int_t)e->next, "missed",
			 (json_int_t)missed);
}

json_t *events_about(const struct events *e, const char *peer)
{
	json_t *list = json_array();
	uint64_t n;

	for (n = oldest(e); n < e->next; n++)
		if (!strcmp(e->v[n % EVENTS_MAX].peer, peer))
			json_array_append_new(list, event_json(e, n));
	return list;
}
