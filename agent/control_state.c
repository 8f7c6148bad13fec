// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_state.h"

#include <string.h>

#include "monotonic.h"

uint64_t control_state_age_ns(const struct flow_link *l, uint64_t *n_changes, uint64_t *n_bytes)
{
	uint64_t oldest = 0;

	*n_changes = *n_bytes = 0;
	if (!ship_is_started(l->ship))
		return 0;
	ship_pending(l->ship, n_changes, n_bytes, &oldest);
	return oldest ? monotonic_ns() - oldest : 0;
}

static bool is_lagging(const struct flow_link *l)
{
	uint64_t n, bytes;

	return control_state_age_ns(l, &n, &bytes) > l->flow->config->sync.max_lag_ms * 1000000ull;
}

static const char *writer_state(const struct flow_link *l)
{
	const struct ship_figures *s = ship_figures(l->ship);

	if (!ship_is_started(l->ship))
		return peer_hello(l->peer)->ct_max ? "syncing" : "down";
	if (is_lagging(l))
		return "lagging";
	if (!s->last_audit_ns || s->n_dirty)
		return "syncing";
	if (!s->is_equal)
		return ship_is_auto(l->ship) ? "syncing" : "needs_resync";
	return "in_sync";
}

static const char *reader_state(const struct flow_link *l)
{
	const struct receive_figures *r = receive_figures(l->receive);

	if (!receive_is_started(l->receive) || !r->last_audit_ns || r->is_repairing)
		return "syncing";
	return r->is_equal ? "in_sync" : "needs_resync";
}

/* Worst first; the last two are of the node alone, and of no link. */
static const char *const states[] = { "split_brain", "no_quorum",  "paused",  "down",
				      "needs_resync", "lagging",   "connecting", "syncing",
				      "in_sync",      "init",	   "standalone", NULL };

const char *control_state_name(size_t i)
{
	return i < sizeof(states) / sizeof(states[0]) ? states[i] : NULL;
}

static const char *worse_state(const char *a, const char *b)
{
	size_t k;

	for (k = 0; strcmp(a, states[k]) && strcmp(b, states[k]); k++)
		;
	return states[k];
}

const char *control_state_link(const struct flow_link *l)
{
	switch (peer_state(l->peer)) {
	case PEER_DOWN:
		return "down";
	case PEER_CONNECTING:
	case PEER_GREETING:
		return "connecting";
	case PEER_UP:
		break;
	}
	if (flow_is_paused(l) && l->relation != ROLE_SPLIT)
		return "paused";
	switch (l->relation) {
	case ROLE_WRITE:
		return writer_state(l);
	case ROLE_READ:
		return reader_state(l);
	case ROLE_SHARE:
		return worse_state(writer_state(l), reader_state(l));
	case ROLE_SPLIT:
		return "split_brain";
	default:
		return "connecting";
	}
}

const char *control_state_node(const struct flow *f)
{
	const struct quorum *q = pulse_quorum(f->pulse);
	const char *state = "in_sync";
	size_t i;

	if (!drain_is_attached(f->drain))
		return "down";
	if (!f->is_known)
		return "init";
	if (flow_is_standalone(f))
		return f->stream.is_paused ? "paused" : "standalone";
	if (f->stream.is_paused)
		state = "paused";
	if (q && quorum_rival(q))
		state = worse_state(state, "split_brain");
	if (q && quorum_is_needed(q) && !quorum_has_majority(q))
		state = worse_state(state, "no_quorum");
	for (i = 0; i < f->n_links; i++)
		state = worse_state(state, control_state_link(&f->links[i]));
	return f->n_links ? state : "init";
}

struct arbiter control_state_arbiter(const struct flow *f)
{
	return (struct arbiter){ f->config, flow_ledger(f) };
}
