// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_events.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_state.h"
#include "control_warnings.h"
#include "events.h"
#include "monotonic.h"

#define TICK_US 1000000
#define WAITERS_MAX 64
#define WAIT_MAX_S 50		/* less than the deadline of a call */
#define NUMBER_MAX (1ull << 53)	/* that JSON tells exactly */

struct waiter {
	struct api_call *call;
	uint64_t since;
	uint64_t end_ns;
};

struct control_events {
	struct flow *flow;
	const struct api *api;
	sd_event_source *tick;
	sd_event_source *news;		/* after all of one turn of the loop are there */
	size_t n_waiters;
	struct waiter waiters[WAITERS_MAX];
	json_t *warnings;		/* as they were at the last look */
	const char *state;
};

/* --- what nobody tells --------------------------------------------------- */

/* The same for warnings that differ in how much of it there is. */
static void strip_counts(const char *text, char *out, size_t len)
{
	bool is_word = true;
	size_t n = 0;

	while (*text && n < len - 1) {
		size_t digits = strspn(text, "0123456789");

		if (is_word && digits && (!text[digits] || strchr(" ,)", text[digits]))) {
			text += digits;
			continue;
		}
		is_word = *text == ' ' || *text == '(';
		out[n++] = *text++;
	}
	out[n] = '\0';
}

static bool has(const json_t *warnings, const char *text)
{
	char a[512], b[512];
	json_t *w;
	size_t i;

	strip_counts(text, a, sizeof(a));
	json_array_foreach(warnings, i, w) {
		strip_counts(json_string_value(w), b, sizeof(b));
		if (!strcmp(a, b))
			return true;
	}
	return false;
}

/* Those of @a that are not in @b */
static void tell_difference(struct events *e, const json_t *a, const json_t *b,
			    enum event_type type, enum fr_log_level level, const char *prefix)
{
	json_t *w;
	size_t i;

	json_array_foreach(a, i, w)
		if (!has(b, json_string_value(w)))
			events_log(e, type, level, NULL, "%s: %s", prefix,
				   json_string_value(w));
}

static void look(struct control_events *c)
{
	json_t *now = control_warnings_json(c->flow, c->api);
	const char *state = control_state_node(c->flow);

	tell_difference(c->flow->events, c->warnings, now, EVENT_CLEARED, FR_LOG_NOTICE,
			"cleared");
	tell_difference(c->flow->events, now, c->warnings, EVENT_WARNING, FR_LOG_WARNING,
			"warning");
	json_decref(c->warnings);
	c->warnings = now;
	if (!c->state)
		events_log(c->flow->events, EVENT_STATE, FR_LOG_NOTICE, NULL, "state: %s", state);
	else if (strcmp(state, c->state))
		events_log(c->flow->events, EVENT_STATE, FR_LOG_NOTICE, NULL,
			   "state: %s, was %s", state, c->state);
	c->state = state;
}

/* --- who waits ----------------------------------------------------------- */

static void answer(struct control_events *c, size_t i)
{
	struct waiter w = c->waiters[i];

	c->waiters[i] = c->waiters[--c->n_waiters];
	api_reply(w.call, events_json(c->flow->events, w.since));
}

static bool is_due(const struct control_events *c, const struct waiter *w)
{
	return events_next(c->flow->events) > w->since || monotonic_ns() >= w->end_ns ||
	       api_is_gone(w->call);
}

static void answer_due(struct control_events *c)
{
	size_t i = 0;

	while (i < c->n_waiters)
		if (is_due(c, &c->waiters[i]))
			answer(c, i);
		else
			i++;
}

static int on_news(sd_event_source *s, void *cookie)
{
	(void)s;
	answer_due(cookie);
	return 0;
}

static void on_event(void *cookie)
{
	struct control_events *c = cookie;

	sd_event_source_set_enabled(c->news, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct control_events *c = cookie;

	(void)usec;
	look(c);
	answer_due(c);
	sd_event_source_set_time_relative(s, TICK_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* A number in the URL. false: @call has its answer */
static bool get_number(struct api_call *call, const char *key, uint64_t max, uint64_t *number)
{
	const char *text = json_string_value(json_object_get(api_query(call), key));
	char *end;

	if (!text)
		return true;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (!errno && isdigit((unsigned char)*text) && !*end && *number <= max)
		return true;
	api_fail(call, 400, "bad request", "%s: a number from 0 to %lu", key, max);
	return false;
}

static bool has_only_known(struct api_call *call)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)api_query(call), key, v) {
		if (strcmp(key, "since") && strcmp(key, "wait")) {
			api_fail(call, 400, "bad request",
				 "%.64s: no such parameter, there are since and wait", key);
			return false;
		}
	}
	return true;
}

void control_events_tell(struct control_events *c, struct api_call *call)
{
	uint64_t since = 0, wait = 0;

	if (!has_only_known(call) || !get_number(call, "since", NUMBER_MAX, &since) ||
	    !get_number(call, "wait", WAIT_MAX_S, &wait))
		return;
	if (!wait || events_next(c->flow->events) != since) {
		api_reply(call, events_json(c->flow->events, since));
	} else if (c->n_waiters == WAITERS_MAX) {
		api_fail(call, 503, "busy", "%d wait for events already", WAITERS_MAX);
	} else {
		c->waiters[c->n_waiters++] = (struct waiter){
			call, since, monotonic_ns() + wait * 1000000000ull };
	}
}

/* --- life ---------------------------------------------------------------- */

int control_events_new(struct control_events **out, sd_event *event, struct flow *flow,
		       const struct api *api)
{
	struct control_events *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (!c)
		return rc;
	c->flow = flow;
	c->api = api;
	c->warnings = json_array();
	if (c->warnings)
		rc = sd_event_add_defer(event, &c->news, on_news, c);
	if (rc >= 0) {
		sd_event_source_set_enabled(c->news, SD_EVENT_OFF);
		rc = sd_event_add_time_relative(event, &c->tick, CLOCK_MONOTONIC, 0, 0, on_tick,
						c);
	}
	if (rc < 0) {
		control_events_free(c);
		return rc;
	}
	events_watch(flow->events, on_event, c);
	*out = c;
	return 0;
}

void control_events_free(struct control_events *c)
{
	if (!c)
		return;
	events_watch(c->flow->events, NULL, NULL);
	while (c->n_waiters)
		answer(c, 0);
	sd_event_source_disable_unref(c->news);
	sd_event_source_disable_unref(c->tick);
	json_decref(c->warnings);
	free(c);
}
