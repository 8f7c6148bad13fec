// SPDX-License-Identifier: GPL-2.0-or-later
#include "arbiter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hlc.h"

#define SKEW_WARN_PERCENT 80 /* of the tolerance */

/* --- as JSON ------------------------------------------------------------ */

static json_t *conflict_json(const struct arbiter *a, const struct inbox_conflict *c)
{
	uint64_t timeout = a->config->conflict_resolution.manual_resolution.timeout_ms;
	json_t *obj = inbox_to_json(c), *side;
	size_t i;

	json_object_set_new(obj, "strategy", json_string(fr_config_strategy_name(
						     a->config->conflict_resolution.strategy)));
	if (c->state == INBOX_PENDING && timeout)
		json_object_set_new(obj, "expires_ms",
				    json_integer((json_int_t)(c->at_ms + timeout)));
	json_array_foreach(json_object_get(obj, "sides"), i, side)
		json_object_set_new(side, "written_ms",
				    json_integer((json_int_t)hlc_ms(c->sides[i].version)));
	return obj;
}

/* A thousand conflicts about files would be an answer of many megabytes. */
static void leave_out_long(json_t *side)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(side, next, key, value)
		if (json_string_length(value) > ARBITER_TEXT_MAX)
			json_object_del(side, key);
}

struct listing {
	const struct arbiter *arbiter;
	json_t *conflicts;
};

static void list_one(void *cookie, const struct inbox_conflict *c)
{
	struct listing *l = cookie;
	json_t *obj = conflict_json(l->arbiter, c), *side;
	size_t i;

	json_array_foreach(json_object_get(obj, "sides"), i, side)
		leave_out_long(side);
	json_array_append_new(l->conflicts, obj);
}

static json_t *counts_json(struct ledger *l)
{
	const struct ledger_figures *n = ledger_figures(l);

	return json_pack("{s:I, s:I, s:I}", "conflicts", (json_int_t)n->n_conflicts, "skewed",
			 (json_int_t)n->n_skewed, "clamped", (json_int_t)n->n_clamped);
}

static json_t *whole_json(const struct arbiter *a, const struct inbox_conflict *c)
{
	return json_pack("{s:o, s:o}", "conflict", conflict_json(a, c), "audit",
			 inbox_trail(ledger_inbox(a->ledger), c->id));
}

/* --- what is asked for -------------------------------------------------- */

/* A parameter of the URL, the only one there is; NULL: not given. false: @call has its answer */
static bool get_parameter(struct api_call *call, const char *key, const char **value)
{
	json_t *query = (json_t *)api_query(call), *v;
	const char *given;

	*value = NULL;
	json_object_foreach(query, given, v) {
		if (strcmp(given, key)) {
			api_fail(call, 400, "bad request", "%.64s: no such parameter, there is %s",
				 given, key);
			return false;
		}
		*value = json_string_value(v);
	}
	return true;
}

/* The conflict that the path names. NULL: @call has its answer */
static const struct inbox_conflict *get_conflict(const struct arbiter *a, struct api_call *call)
{
	const char *text = api_arg(call);
	const struct inbox_conflict *c = NULL;
	uint64_t id;

	/* 53 bits are 16 digits. */
	if (a->ledger && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 16) {
		id = strtoull(text, NULL, 10);
		c = inbox_find(ledger_inbox(a->ledger), id);
	}
	if (!c)
		api_fail(call, 404, "not found", "no conflict %s", text);
	return c;
}

static bool get_state(struct api_call *call, int *state)
{
	const char *name;

	*state = -1;
	if (!get_parameter(call, "state", &name))
		return false;
	if (!name)
		return true;
	for (*state = INBOX_PENDING; *state <= INBOX_EXPIRED; ++*state)
		if (!strcmp(name, inbox_state_name((unsigned int)*state)))
			return true;
	api_fail(call, 400, "bad request", "state: one of pending, resolved, expired");
	return false;
}

static bool get_resolution(struct api_call *call, const json_t *body, enum inbox_resolution *how)
{
	const char *name = json_string_value(json_object_get(body, "resolution"));

	for (*how = INBOX_USE_LOCAL; name && *how <= INBOX_MERGE; ++*how)
		if (!strcmp(name, inbox_resolution_name(*how)))
			return true;
	api_fail(call, 400, "bad request", "resolution: one of use_local, use_remote, merge");
	return false;
}

/* A slip in a key must not leave a decision without its reason. */
static bool get_decision(struct api_call *call, const json_t *body, enum inbox_resolution *how,
			 const char **reason)
{
	const json_t *given = json_object_get(body, "reason"), *v;
	const char *key;

	*reason = given ? json_string_value(given) : "";
	json_object_foreach((json_t *)body, key, v) {
		if (strcmp(key, "resolution") && strcmp(key, "reason")) {
			api_fail(call, 400, "bad request",
				 "%.64s: no such key, there are resolution and reason", key);
			return false;
		}
	}
	if (!*reason) {
		api_fail(call, 400, "bad request", "reason: a text");
		return false;
	}
	return get_resolution(call, body, how);
}

/* --- the calls ---------------------------------------------------------- */

void arbiter_list(const struct arbiter *a, struct api_call *call)
{
	struct listing listing = { .arbiter = a };
	json_t *answer;
	int state;

	if (!get_state(call, &state))
		return;
	listing.conflicts = json_array();
	if (a->ledger)
		inbox_list(ledger_inbox(a->ledger), state, list_one, &listing);
	answer = json_pack("{s:o, s:I}", "conflicts", listing.conflicts, "pending",
			   (json_int_t)arbiter_pending(a));
	if (a->ledger)
		json_object_set_new(answer, "counts", counts_json(a->ledger));
	api_reply(call, answer);
}

void arbiter_show(const struct arbiter *a, struct api_call *call)
{
	const struct inbox_conflict *c = get_conflict(a, call);

	if (c)
		api_reply(call, whole_json(a, c));
}

static void refuse_decision(struct api_call *call, int rc, const char *why)
{
	switch (rc) {
	case -ENOENT:
		api_fail(call, 404, "not found", "%s", why);
		break;
	case -EALREADY:
		api_fail(call, 409, "decided already", "%s", why);
		break;
	case -EPERM:
		api_fail(call, 403, "not an approver", "%s", why);
		break;
	case -EAGAIN:
		api_fail(call, 500, "not durable yet",
			 "it is decided, and will be written again: %s", why);
		break;
	case -EOPNOTSUPP:
		api_fail(call, 400, "bad request", "resolution: %s", why);
		break;
	case -EINVAL:
		api_fail(call, 400, "bad request", "%s", why);
		break;
	default:
		api_fail(call, 500, "not decided", "%s", why);
	}
}

void arbiter_resolve(const struct arbiter *a, struct api_call *call, const json_t *body)
{
	const struct inbox_conflict *c = get_conflict(a, call);
	enum inbox_resolution how;
	const char *reason;
	char why[256];
	uint64_t id;
	int rc;

	if (!c || !get_decision(call, body, &how, &reason))
		return;
	id = c->id;
	rc = ledger_resolve(a->ledger, id, how, api_who(call), reason, why, sizeof(why));
	if (rc) {
		refuse_decision(call, rc, why);
		return;
	}
	c = inbox_find(ledger_inbox(a->ledger), id);
	if (c)
		api_reply(call, whole_json(a, c));
	else
		api_fail(call, 404, "not found", "conflict %" PRIu64 " is over, and forgotten", id);
}

void arbiter_test(const struct arbiter *a, struct api_call *call)
{
	const struct fr_config *config = a->config;
	const char *peer;

	if (!get_parameter(call, "peer", &peer))
		return;
	if (!a->ledger) {
		api_fail(call, 409, "no conflicts here", "the mode is %s, and %s",
			 fr_config_mode_name(config->mode),
			 fr_config_is_shared(config) ? "no table in data can have any" :
						       "who writes wins");
		return;
	}
	if (!peer && config->peers.n)
		peer = config->peers.v[0].id;
	if (!peer || !fr_config_peer_find(config, peer)) {
		api_fail(call, 404, "unknown peer", "peer: none of ours");
		return;
	}
	api_reply(call, json_pack("{s:o}", "test", ledger_test_conflict(a->ledger, peer)));
}

/* --- for the status ----------------------------------------------------- */

size_t arbiter_pending(const struct arbiter *a)
{
	return a->ledger ? inbox_count(ledger_inbox(a->ledger), INBOX_PENDING) : 0;
}

const char *arbiter_trouble(const struct arbiter *a)
{
	return a->ledger ? ledger_trouble(a->ledger) : NULL;
}

uint64_t arbiter_offset_ms(const struct arbiter *a, const char *peer)
{
	return a->ledger ? ledger_offset_ms(a->ledger, peer) : 0;
}

static void warn_of_clock(const struct arbiter *a, const char *peer, json_t *warnings)
{
	uint64_t tolerance = a->config->conflict_resolution.clock_skew_tolerance_ms;
	uint64_t offset = arbiter_offset_ms(a, peer);

	if (offset && offset * 100 >= tolerance * SKEW_WARN_PERCENT)
		json_array_append_new(warnings,
				      json_sprintf("peer %s: its clock is %lu ms ahead of this "
						   "node's: clock_skew_tolerance is %lu ms",
						   peer, offset, tolerance));
}

void arbiter_warn(const struct arbiter *a, json_t *warnings)
{
	size_t n = arbiter_pending(a), i;

	if (n)
		json_array_append_new(
			warnings,
			json_sprintf(
				"%zu %s for somebody to decide: flyrep conflicts --state pending",
				n, n == 1 ? "conflict waits" : "conflicts wait"));
	if (arbiter_trouble(a))
		json_array_append_new(warnings, json_sprintf("ledger: %s", arbiter_trouble(a)));
	for (i = 0; i < a->config->peers.n; i++)
		warn_of_clock(a, a->config->peers.v[i].id, warnings);
}
