// SPDX-License-Identifier: GPL-2.0-or-later
#include "events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
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

static const struct {
	const char *name;
	const char *id;		/* MESSAGE_ID in the journal */
} types[EVENT_N_TYPES] = {
	[EVENT_START] = { "start", "f4aa3887f6a94e0a882721d7a6734a97" },
	[EVENT_RELOAD] = { "reload", "080c1998bb9445e3a11d46d47368f7ad" },
	[EVENT_MODULE_UP] = { "module_up", "97797c94725c433dad6f15e73bb92288" },
	[EVENT_MODULE_DOWN] = { "module_down", "1ff561b18c2144558e789262f3e1d4f2" },
	[EVENT_PEER_UP] = { "peer_up", "f03ed92b77e749a2a3560eaa763e0e99" },
	[EVENT_PEER_DOWN] = { "peer_down", "03157a3c62ab448b852381eb43734aaa" },
	[EVENT_ROLE] = { "role", "209f1f3ef22c4f6db2a753022d58fdac" },
	[EVENT_SPLIT_BRAIN] = { "split_brain", "f39b2874273b405f956e700c8d29b0e2" },
	[EVENT_MAJORITY_LOST] = { "majority_lost", "6d8d4cad8467448c8df13e0ccdd9fa85" },
	[EVENT_MAJORITY_BACK] = { "majority_back", "45d2043b42d7448bb855c3b789c3d91d" },
	[EVENT_STATE] = { "state", "39a8da1ba909447ba564cb64313a0614" },
	[EVENT_PAUSED] = { "paused", "999e967a85c8430bac66e29a60f299c5" },
	[EVENT_RESUMED] = { "resumed", "8cb5cf3fd78f4a81ace5ea629037cd80" },
	[EVENT_RESYNC_BEGUN] = { "resync_begun", "9f83d25abbaf4f7d9b9418a8202470a3" },
	[EVENT_RESYNC_DONE] = { "resync_done", "da2db74f5c854ea09bfbe973a4e7c266" },
	[EVENT_RESYNC_FAILED] = { "resync_failed", "a00d7dace0324327acd29e35b7fa9482" },
	[EVENT_IN_STEP] = { "in_step", "8b1e9f5066d64323a2a98c6dd05870e1" },
	[EVENT_DIFFERS] = { "differs", "726774cbf9e4449baed54261a148aa74" },
	[EVENT_CONFLICT] = { "conflict", "4156c57354bb41439bab64803894dedf" },
	[EVENT_RESOLVED] = { "resolved", "a2b6108222da4b07b9408f3ed3efa213" },
	[EVENT_WARNING] = { "warning", "e5c1ff8d0a964b628da21d84b05753b4" },
	[EVENT_CLEARED] = { "cleared", "40286016fcfc424bb5b08cc48b8d1512" },
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
	snprintf(v->text, sizeof(v->text), "%.*s", (int)sizeof(v->text) - 1, text);
	e->next++;
	if (e->fn)
		e->fn(e->cookie);
}

static void write_line(enum event_type type, enum fr_log_level level, const char *peer,
		       const char *text)
{
	int rc;

	if (!fr_log_is_journal(level)) {
		fr_log(level, "%s", text);
		return;
	}
	rc = sd_journal_send("MESSAGE=%s", text, "PRIORITY=%d", level, "SYSLOG_IDENTIFIER=%s",
			     program_invocation_short_name, "MESSAGE_ID=%s", types[type].id,
			     "FLYREP_EVENT=%s", types[type].name, peer ? "FLYREP_PEER=%s" : NULL,
			     peer, NULL);
	if (rc < 0)
		fr_log(level, "%s", text);
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
	fr_log_clean(text);
	write_line(type, level, peer, text);
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
			 (json_int_t)v->at_ms, "type", types[v->type].name, "level",
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
