// SPDX-License-Identifier: GPL-2.0-or-later

#include "validate.h"

#include <stdlib.h>

#include "monotonic.h"

#define VALIDATE_TIMEOUT_NS	60000000000ull
#define VALIDATE_POLL_US	10000

enum validate_step { VALIDATE_SELF, VALIDATE_PEERS, VALIDATE_AUDIT };

struct validate {
	struct flow *flow;
	struct validate **running;	/* set to NULL at the end */
	struct api_call *call;
	sd_event_source *timer;
	bool is_deep;
	enum validate_step step;
	uint64_t begin_ns;
	uint64_t step_ns;	/* the step began */
	uint64_t n_self;	/* own comparisons before */
	uint64_t *n_before;	/* each link: answers or audits so far; UINT64_MAX: left out */
};

static void validate_free(struct validate *v)
{
	*v->running = NULL;
	sd_event_source_disable_unref(v->timer);
	free(v->n_before);
	free(v);
}

/* What a comparison found in one table, or in all of them. */
struct verdict {
	bool is_equal;
	uint64_t entries_local;
	uint64_t entries_remote;
	uint64_t n_buckets;
	uint64_t missing;
	uint64_t stale;
	uint64_t differ;
};

static void count_add(struct verdict *d, uint64_t missing, uint64_t stale, uint64_t differ)
{
	d->missing += missing;
	d->stale += stale;
	d->differ += differ;
}

static struct verdict verdict_of(const struct validate *v, const struct flow_link *l,
				 const struct flow_table *t)
{
	const struct receive_table_figures *r = receive_table_figures(l->receive, t->row->id);
	const struct ship_table_figures *s = ship_table_figures(l->ship, t->row->id);
	const struct fr_checked *checked = &l->checked[t->row->id];
	bool reads = flow_link_reads(l), writes = flow_link_writes(l);
	struct verdict d = {
		.is_equal = (!reads || !r->n_groups) && (!writes || (s && !s->n_differ)),
		.entries_local = index_entries(truth_index(t->truth)),
		.entries_remote = !writes ? r->writer_entries : s ? s->remote_entries : 0,
		.n_buckets = s ? s->n_differ : 0,
	};

	/* Where all write, a node's own comparison is of what it holds for all of them. */
	if (v->is_deep && reads)
		count_add(&d, t->counts.missing, t->counts.added, t->counts.changed);
	if (v->is_deep && writes)
		count_add(&d, checked->missing, checked->stale, checked->differ);
	return d;
}

static void verdict_add(struct verdict *sum, const struct verdict *d)
{
	sum->is_equal &= d->is_equal;
	sum->entries_local += d->entries_local;
	sum->entries_remote += d->entries_remote;
	sum->n_buckets += d->n_buckets;
	sum->missing += d->missing;
	sum->stale += d->stale;
	sum->differ += d->differ;
}

static json_t *verdict_json(const char *what, const char *name, const struct verdict *d)
{
	return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", what, name, "equal",
			 d->is_equal, "entries_local", (json_int_t)d->entries_local,
			 "entries_remote", (json_int_t)d->entries_remote, "buckets_differ",
			 (json_int_t)d->n_buckets, "missing", (json_int_t)d->missing, "stale",
			 (json_int_t)d->stale, "differ", (json_int_t)d->differ);
}

static json_t *validate_link_json(const struct validate *v, size_t i, bool *equal)
{
	const struct flow *f = v->flow;
	const struct flow_link *l = &f->links[i];
	uint64_t travels = flow_link_writes(l) ? ship_tables(l->ship) :
						 receive_tables(l->receive);
	struct verdict sum = { .is_equal = true }, d;
	json_t *tables = json_array(), *o;
	size_t k;

	for (k = 0; k < f->n_tables; k++) {
		const struct flow_table *t = &f->tables[k];

		if (!(travels >> t->row->id & 1))
			continue;
		d = verdict_of(v, l, t);
		verdict_add(&sum, &d);
		json_array_append_new(tables, verdict_json("table", t->row->name, &d));
	}
	*equal &= sum.is_equal;
	o = verdict_json("id", peer_id(l->peer), &sum);
	json_object_set_new(o, "tables", tables);
	return o;
}

/* Standalone: how what the agent believes differed from its own kernel. */
static void validate_finish_alone(struct validate *v)
{
	struct verdict sum = { .is_equal = true };
	const struct flow *f = v->flow;
	json_t *tables = json_array(), *o;
	size_t k;

	for (k = 0; k < f->n_tables; k++) {
		const struct flow_table *t = &f->tables[k];
		const struct truth_counts *c = &t->counts;
		uint64_t entries = index_entries(truth_index(t->truth));
		struct verdict d = { .is_equal = !(c->missing + c->added + c->changed),
				     .entries_local = entries,
				     .entries_remote = entries };

		if (t->is_missing)
			continue;
		count_add(&d, c->missing, c->added, c->changed);
		verdict_add(&sum, &d);
		json_array_append_new(tables, verdict_json("table", t->row->name, &d));
	}
	o = verdict_json("id", f->config->node_id, &sum);
	json_object_set_new(o, "tables", tables);
	api_reply(v->call, json_pack("{s:b, s:b, s:[o], s:f}", "equal", sum.is_equal, "deep", true,
				     "peers", o, "took_ms",
				     monotonic_ms(monotonic_ns() - v->begin_ns)));
	validate_free(v);
}

static void validate_finish(struct validate *v)
{
	struct flow *f = v->flow;
	json_t *peers = json_array();
	bool equal = true;
	size_t i, n = 0;

	for (i = 0; i < f->n_links; i++) {
		if (v->n_before[i] == UINT64_MAX)
			continue;
		json_array_append_new(peers, validate_link_json(v, i, &equal));
		n++;
	}
	if (!n) {
		json_decref(peers);
		api_fail(v->call, 409, "nothing to compare with",
			 "no peer is connected, synchronised and not paused");
	} else {
		api_reply(v->call, json_pack("{s:b, s:b, s:o, s:f}", "equal", equal, "deep",
					     v->is_deep, "peers", peers, "took_ms",
					     monotonic_ms(monotonic_ns() - v->begin_ns)));
	}
	validate_free(v);
}

static bool is_comparable(const struct flow_link *l)
{
	return !flow_is_paused(l) && (ship_is_started(l->ship) || receive_is_started(l->receive));
}

/* Begin a step on every link, remembering what there was before. */
static void validate_begin(struct validate *v, enum validate_step step)
{
	struct flow *f = v->flow;
	size_t i;

	v->step = step;
	v->step_ns = monotonic_ns();
	for (i = 0; i < f->n_links; i++) {
		struct flow_link *l = &f->links[i];

		v->n_before[i] = is_comparable(l) ? 0 : UINT64_MAX;
		if (v->n_before[i])
			continue;
		if (ship_is_started(l->ship)) {
			v->n_before[i] = step == VALIDATE_PEERS ? l->n_checked :
							ship_figures(l->ship)->n_audits_begun;
			if (step == VALIDATE_PEERS)
				ship_check(l->ship, UINT64_MAX);
			else
				flow_audit(f, l);
		}
		if (receive_is_started(l->receive) && step == VALIDATE_AUDIT)
			flow_ask_audit(l);
	}
}

static bool validate_is_done(const struct validate *v, size_t i)
{
	const struct flow_link *l = &v->flow->links[i];

	if (v->n_before[i] == UINT64_MAX)
		return true;
	if (!is_comparable(l))
		return false; /* it may come back before the time is up */
	if (v->step == VALIDATE_AUDIT && receive_is_started(l->receive) &&
	    receive_figures(l->receive)->last_audit_ns <= v->step_ns)
		return false;
	if (!ship_is_started(l->ship))
		return true;
	return (v->step == VALIDATE_PEERS ? l->n_checked : ship_figures(l->ship)->n_audits) >
	       v->n_before[i];
}

static int on_validate_poll(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct validate *v = cookie;
	struct flow *f = v->flow;
	bool done = true;
	size_t i;

	(void)usec;
	if (api_is_gone(v->call) || monotonic_ns() - v->begin_ns > VALIDATE_TIMEOUT_NS) {
		api_fail(v->call, 504, "timed out", "the comparison did not end within 60 s");
		validate_free(v);
		return 0;
	}
	if (v->step == VALIDATE_SELF)
		done = f->check.n > v->n_self;
	else
		for (i = 0; i < f->n_links; i++)
			done &= validate_is_done(v, i);
	if (done && flow_is_standalone(f)) {
		validate_finish_alone(v);
		return 0;
	}
	if (done && v->step == VALIDATE_AUDIT) {
		validate_finish(v);
		return 0;
	}
	if (done)
		validate_begin(v, v->step + 1);
	sd_event_source_set_time_relative(s, VALIDATE_POLL_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

void validate_stop(struct validate *v)
{
	if (!v)
		return;
	api_fail(v->call, 503, "stopping", "the agent stops");
	validate_free(v);
}

void validate_start(struct validate **running, sd_event *event, struct flow *f,
		    struct api_call *call, const json_t *body)
{
	const json_t *deep = json_object_get(body, "deep");
	struct validate *v;

	if (deep && !json_is_boolean(deep)) {
		api_fail(call, 400, "bad request", "deep: true or false");
		return;
	}
	if (*running) {
		api_fail(call, 409, "busy", "a validation is running");
		return;
	}
	v = calloc(1, sizeof(*v));
	if (v)
		v->n_before = calloc(f->n_links ? f->n_links : 1, sizeof(*v->n_before));
	if (!v || !v->n_before ||
	    sd_event_add_time_relative(event, &v->timer, CLOCK_MONOTONIC, 0, 0, on_validate_poll,
				       v) < 0) {
		if (v)
			free(v->n_before);
		free(v);
		api_fail(call, 500, "out of memory", "validate");
		return;
	}
	v->flow = f;
	v->running = running;
	v->call = call;
	v->begin_ns = monotonic_ns();
	/* Alone there is nothing but the own kernel to compare with. */
	v->is_deep = json_is_true(deep) || flow_is_standalone(f);
	v->n_self = f->check.n;
	*running = v;
	if (v->is_deep)
		flow_check(f);
	else
		validate_begin(v, VALIDATE_AUDIT);
}
