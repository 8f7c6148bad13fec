// SPDX-License-Identifier: GPL-2.0-or-later

#include "resync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "monotonic.h"

#define POLL_US		20000
#define TELL_NS		200000000ull	/* between two messages to who asked */
#define SILENCE_NS	60000000000ull	/* of a writer that was asked */

/*
 * A writer goes from AGREE, if the other end is to be asked, to PROVE. A standby takes a backup
 * (SAVE), and has asked its writer (ASKED). Where all write each sends what is its own, and asks
 * for nothing.
 */
enum step { STEP_NONE, STEP_AGREE, STEP_CHECK, STEP_SEND, STEP_PROVE, STEP_SAVE, STEP_ASKED,
	    STEP_DONE };

/* What is done with one peer. */
struct part {
	enum step step;
	uint64_t tables;
	uint64_t n_session;
	uint64_t n_before;	/* answers to CHECK, then audits, when the step began */
	uint64_t n_records;	/* sent in repairs before */
	uint64_t n_bytes;
};

/* What a peer is about to send everything for: it waits for our backup. */
struct announced {
	bool is_waiting;
	uint32_t id;
};

struct resync {
	sd_event_source *timer;
	struct flow *flow;
	struct part *parts;	/* one for each link */
	struct announced *announced;	/* likewise */
	struct fr_resync now;	/* state 0: there never was one */
	uint64_t begin_ns;
	uint64_t end_ns;	/* 0: it runs */
	uint64_t heard_ns;	/* standby: from the writer */
	struct flow_link *asker;	/* writer: the standby that wants it; NULL: nobody */
	uint32_t asked_id;
	uint64_t told_ns;
};

static bool is_running(const struct resync *r)
{
	return r->now.state == FR_RESYNC_WANTED || r->now.state == FR_RESYNC_RUNNING;
}

/* --- messages --- */

static void send_message(struct flow_link *l, const struct fr_resync *m)
{
	uint8_t buf[sizeof(*m) + 64];
	struct fr_writer w;

	if (!peer_conn(l->peer))
		return;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_resync_encode(&w, m);
	conn_send_message(peer_conn(l->peer), FR_FRAME_RESYNC, 0, buf, fr_writer_len(&w), NULL);
}

static void tell_asker(struct resync *r)
{
	struct fr_resync m = r->now;

	if (!r->asker)
		return;
	m.id = r->asked_id;
	r->told_ns = monotonic_ns();
	send_message(r->asker, &m);
}

/* --- progress --- */

static uint64_t entries_of(const struct resync *r, unsigned int table)
{
	return index_entries(truth_index(r->flow->truths[table]));
}

/* Of one table; while it is sent, in proportion to its records. */
static uint64_t buckets_sent(const struct resync *r, const struct part *p, const struct ship *s,
			     unsigned int table)
{
	uint64_t sent = ship_table_figures(s, table)->n_sent, all = entries_of(r, table);

	if (p->step > STEP_SEND || !(ship_resync_left(s) >> table & 1))
		return p->step < STEP_SEND ? 0 : FLYREP_BUCKETS;
	if (!ship_is_repairing(s, table) || !all)
		return 0;
	return sent < all ? sent * FLYREP_BUCKETS / all : FLYREP_BUCKETS;
}

static void add_progress(struct resync *r, const struct part *p, const struct ship *s)
{
	const struct ship_figures *f = ship_figures(s);
	unsigned int id;

	r->now.records += f->n_repair_records - p->n_records;
	r->now.bytes += f->n_repair_bytes - p->n_bytes;
	for (id = 0; id < FR_TABLES_MAX; id++) {
		if (!(p->tables >> id & 1) || !ship_table_figures(s, id))
			continue;
		r->now.records_total += entries_of(r, id);
		r->now.buckets_total += FLYREP_BUCKETS;
		r->now.buckets += buckets_sent(r, p, s, id);
	}
}

static void measure(struct resync *r)
{
	struct flow *f = r->flow;
	size_t i;

	if (!flow_is_writer(f))
		return; /* the writer tells */
	r->now.buckets = r->now.buckets_total = 0;
	r->now.records = r->now.records_total = r->now.bytes = 0;
	for (i = 0; i < f->n_links; i++)
		if (r->parts[i].step)
			add_progress(r, &r->parts[i], f->links[i].ship);
	if (r->now.records > r->now.records_total)
		r->now.records_total = r->now.records;
}

/* --- the work --- */

static __attribute__((format(printf, 3, 4))) void finish(struct resync *r,
							 enum fr_resync_state state,
							 const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->now.why, sizeof(r->now.why), fmt, args);
	va_end(args);
	r->now.state = state;
	r->end_ns = monotonic_ns();
	sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
	tell_asker(r);
	r->asker = NULL;
	if (state == FR_RESYNC_DONE)
		events_log(r->flow->events, EVENT_RESYNC_DONE, FR_LOG_NOTICE, NULL,
			   "resync %u: done, %lu records", r->now.id, r->now.records);
	else
		events_log(r->flow->events, EVENT_RESYNC_FAILED, FR_LOG_ERR, NULL,
			   "resync %u: %s", r->now.id, r->now.why);
}

/* Buckets that an audit after it all still found different. */
static unsigned int n_differ(const struct part *p, const struct ship *s)
{
	unsigned int id, n = 0;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (p->tables >> id & 1 && ship_table_figures(s, id))
			n += ship_table_figures(s, id)->n_differ;
	return n;
}

static void step_on(struct resync *r, struct part *p, struct flow_link *l)
{
	const struct ship_figures *f = ship_figures(l->ship);

	switch (p->step) {
	case STEP_CHECK:
		if (l->n_checked <= p->n_before)
			return;
		p->step = STEP_SEND;
		ship_resync(l->ship, p->tables);
		return;
	case STEP_SEND:
		if (ship_resync_left(l->ship))
			return;
		p->step = STEP_PROVE;
		p->n_before = f->n_audits_begun;
		ship_audit(l->ship);
		return;
	case STEP_PROVE:
		if (f->n_audits <= p->n_before)
			return;
		p->step = STEP_DONE;
		if (n_differ(p, l->ship))
			finish(r, FR_RESYNC_FAILED, "%u buckets on %s differ still",
			       n_differ(p, l->ship), peer_id(l->peer));
		return;
	case STEP_AGREE:
	case STEP_ASKED:
		if (monotonic_ns() - r->heard_ns > SILENCE_NS)
			finish(r, FR_RESYNC_FAILED, "%s does not answer", peer_id(l->peer));
		return;
	default:
		return;
	}
}

static bool is_there(const struct part *p, const struct flow_link *l)
{
	if (p->step == STEP_ASKED || p->step == STEP_SAVE)
		return l->relation == ROLE_READ && receive_is_started(l->receive);
	return ship_is_started(l->ship) && ship_figures(l->ship)->n_sessions == p->n_session;
}

static int on_poll(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct resync *r = cookie;
	struct flow *f = r->flow;
	bool is_done = true;
	size_t i;

	(void)usec;
	measure(r);
	for (i = 0; i < f->n_links && is_running(r); i++) {
		struct flow_link *l = &f->links[i];
		struct part *p = &r->parts[i];

		if (p->step == STEP_NONE || p->step == STEP_DONE)
			continue;
		if (flow_is_paused(l))
			finish(r, FR_RESYNC_FAILED, "replication was paused");
		else if (!is_there(p, l))
			finish(r, FR_RESYNC_FAILED, "the session with %s ended",
			       peer_id(l->peer));
		else
			step_on(r, p, l);
		is_done &= p->step == STEP_DONE;
	}
	if (!is_running(r))
		return 0;
	if (is_done) {
		measure(r);
		finish(r, FR_RESYNC_DONE, "%s", "");
		return 0;
	}
	if (monotonic_ns() - r->told_ns > TELL_NS)
		tell_asker(r);
	sd_event_source_set_time_relative(s, POLL_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* --- begin --- */

/* Standby: the writer cannot be asked. */
static bool is_deaf(const struct flow_link *l)
{
	return l->relation == ROLE_READ && peer_wire(l->peer) < FR_WIRE_VERSION_PAUSE;
}

/* Writer: the peer wants to be asked before. */
static bool wants_backup(const struct flow_link *l)
{
	return peer_hello(l->peer)->capabilities & FR_CAPABILITY_BACKUP &&
	       peer_wire(l->peer) >= FR_WIRE_VERSION_PAUSE;
}

/* What of a wish this link can do; 0: nothing. */
static uint64_t tables_for(const struct flow_link *l, const struct resync_wish *wish)
{
	uint64_t tables = 0;

	if (wish->peer && strcmp(wish->peer, peer_id(l->peer)))
		return 0;
	if (flow_is_paused(l) || is_deaf(l))
		return 0;
	if (ship_is_started(l->ship))
		tables = ship_tables(l->ship);
	else if (l->relation == ROLE_READ && receive_is_started(l->receive))
		tables = receive_tables(l->receive);
	return wish->tables ? tables & wish->tables : tables;
}

/* Standby: ask the writer to send. Writer: ask whether it may. */
static void ask(const struct resync *r, const struct part *p, struct flow_link *l)
{
	struct fr_resync m = { .id = r->now.id, .state = FR_RESYNC_WANTED, .tables = p->tables };

	send_message(l, &m);
}

static void begin_check(struct part *p, struct flow_link *l)
{
	p->step = STEP_CHECK;
	p->n_before = l->n_checked;
	ship_check(l->ship, p->tables);
}

static void begin_part(struct resync *r, struct part *p, struct flow_link *l,
		       const struct resync_wish *wish)
{
	const struct ship_figures *f = ship_figures(l->ship);
	bool is_writer = ship_is_started(l->ship);

	p->n_session = f->n_sessions;
	p->n_records = f->n_repair_records;
	p->n_bytes = f->n_repair_bytes;
	if (!is_writer && flow_needs_backup(r->flow)) {
		p->step = STEP_SAVE;
		archive_want(r->flow->archive);
	} else if (!is_writer) {
		p->step = STEP_ASKED;
		ask(r, p, l);
	} else if (wants_backup(l) && !wish->is_agreed) {
		p->step = STEP_AGREE;
		ask(r, p, l);
	} else {
		begin_check(p, l);
	}
}

/* Nobody can do it: why. */
static int refuse(const struct resync *r, const struct resync_wish *wish, char *why, size_t len)
{
	const struct flow *f = r->flow;
	size_t i;

	for (i = 0; wish->peer && i < f->n_links; i++)
		if (!strcmp(wish->peer, peer_id(f->links[i].peer)))
			break;
	if (wish->peer && i == f->n_links) {
		snprintf(why, len, "%s is none of our peers", wish->peer);
		return -ENOENT;
	}
	for (i = 0; i < f->n_links; i++)
		if (is_deaf(&f->links[i]) &&
		    (!wish->peer || !strcmp(wish->peer, peer_id(f->links[i].peer))))
			break;
	if (f->stream.is_paused)
		snprintf(why, len, "replication is paused here");
	else if (i < f->n_links)
		snprintf(why, len,
			 "%s speaks wire version %u, which has no RESYNC: ask for it there",
			 peer_id(f->links[i].peer), peer_wire(f->links[i].peer));
	else if (wish->peer)
		snprintf(why, len, "%s is not connected, is paused, or has no such table",
			 wish->peer);
	else
		snprintf(why, len, "no peer is connected, not paused, and has such a table");
	return -ENOTCONN;
}

int resync_start(struct resync *r, const struct resync_wish *wish, char *why, size_t len)
{
	struct flow *f = r->flow;
	uint64_t tables = 0;
	size_t i;

	if (is_running(r)) {
		snprintf(why, len, "resync %u is running", r->now.id);
		return -EBUSY;
	}
	for (i = 0; i < f->n_links; i++)
		tables |= tables_for(&f->links[i], wish);
	if (!tables)
		return refuse(r, wish, why, len);
	r->now = (struct fr_resync){ .id = r->now.id + 1, .tables = tables,
				     .state = FR_RESYNC_RUNNING };
	r->asker = NULL;
	r->begin_ns = r->heard_ns = monotonic_ns();
	r->end_ns = 0;
	for (i = 0; i < f->n_links; i++) {
		r->parts[i] = (struct part){ .tables = tables_for(&f->links[i], wish) };
		if (r->parts[i].tables)
			begin_part(r, &r->parts[i], &f->links[i], wish);
	}
	events_log(r->flow->events, EVENT_RESYNC_BEGUN, FR_LOG_NOTICE, NULL,
		   "resync %u: begins", r->now.id);
	sd_event_source_set_time_relative(r->timer, 0);
	sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
	return 0;
}

/* --- between nodes --- */

/* Writer: a standby wants everything. */
static void on_wanted(struct resync *r, struct flow_link *l, const struct fr_resync *m)
{
	struct resync_wish wish = { .peer = peer_id(l->peer), .tables = m->tables,
				    .is_agreed = true };
	struct fr_resync no = { .id = m->id, .state = FR_RESYNC_FAILED };
	char why[150];

	if (resync_start(r, &wish, why, sizeof(why)) < 0) {
		snprintf(no.why, sizeof(no.why), "%s: %s", r->flow->config->node_id, why);
		send_message(l, &no);
		return;
	}
	r->asker = l;
	r->asked_id = m->id;
}

/* Standby: the writer tells how far it is. */
static void on_progress(struct resync *r, struct flow_link *l, const struct fr_resync *m)
{
	struct part *p = &r->parts[l - r->flow->links];

	if (!is_running(r) || p->step != STEP_ASKED || m->id != r->now.id)
		return; /* of one that was given up here */
	r->now = *m;
	r->heard_ns = monotonic_ns();
	if (m->state == FR_RESYNC_RUNNING)
		return;
	p->step = STEP_DONE;
	finish(r, m->state, "%s", m->why);
}

/* --- no resync without a backup ----------------------------------------------------- */

/* The writer may send, or why not. */
static void answer_writer(struct flow_link *l, uint32_t id, int err, const char *why)
{
	struct fr_resync m = { .id = id, .state = err ? FR_RESYNC_FAILED : FR_RESYNC_RUNNING };

	if (err)
		snprintf(m.why, sizeof(m.why), "%.60s takes no backup: %.120s",
			 l->flow->config->node_id, why);
	send_message(l, &m);
}

/* Everything is about to be sent here. */
static void on_announced(struct resync *r, struct flow_link *l, const struct fr_resync *m)
{
	if (!flow_needs_backup(r->flow)) {
		answer_writer(l, m->id, 0, "");
		return;
	}
	r->announced[l - r->flow->links] = (struct announced){ true, m->id };
	archive_want(r->flow->archive);
}

/* Writer: may it be sent? */
static void on_agreed(struct resync *r, struct flow_link *l, const struct fr_resync *m)
{
	struct part *p = &r->parts[l - r->flow->links];

	if (!is_running(r) || p->step != STEP_AGREE || m->id != r->now.id)
		return; /* of one that was given up here */
	if (m->state == FR_RESYNC_FAILED)
		finish(r, FR_RESYNC_FAILED, "%s", m->why);
	else
		begin_check(p, l);
}

void resync_saved(struct resync *r, int err, const char *why)
{
	struct flow *f = r->flow;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		if (r->announced[i].is_waiting)
			answer_writer(&f->links[i], r->announced[i].id, err, why);
		r->announced[i].is_waiting = false;
	}
	for (i = 0; i < f->n_links && is_running(r); i++) {
		struct part *p = &r->parts[i];

		if (p->step != STEP_SAVE)
			continue;
		if (err) {
			finish(r, FR_RESYNC_FAILED, "no backup could be taken before: %s", why);
			return;
		}
		p->step = STEP_ASKED;
		r->heard_ns = monotonic_ns();
		ask(r, p, &f->links[i]);
	}
}

int resync_frame(struct resync *r, struct flow_link *l, const uint8_t *payload, size_t len,
		 const char **why)
{
	struct fr_resync m;

	if (fr_resync_decode(&m, payload, len) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	/* Else the roles have changed while it was under way. */
	if (m.state == FR_RESYNC_WANTED && flow_link_reads(l))
		on_announced(r, l, &m);
	else if (m.state == FR_RESYNC_WANTED && ship_is_started(l->ship))
		on_wanted(r, l, &m);
	else if (m.state != FR_RESYNC_WANTED && l->relation == ROLE_READ)
		on_progress(r, l, &m);
	else if (ship_is_started(l->ship))
		on_agreed(r, l, &m);
	return 0;
}

/* --- what is told of it --- */

uint32_t resync_id(const struct resync *r)
{
	return r->now.id;
}

static json_t *peers_json(const struct resync *r)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < r->flow->n_links; i++)
		if (r->parts[i].step)
			json_array_append_new(a, json_string(peer_id(r->flow->links[i].peer)));
	return a;
}

static json_t *tables_json(const struct resync *r)
{
	json_t *a = json_array();
	unsigned int id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (r->now.tables >> id & 1 && r->flow->by_id[id])
			json_array_append_new(a, json_string(r->flow->by_id[id]->row->name));
	return a;
}

static json_t *left_json(const struct resync *r, double elapsed_ms)
{
	if (!is_running(r) || !r->now.buckets)
		return is_running(r) ? json_null() : json_integer(0);
	return json_real(elapsed_ms * (double)(r->now.buckets_total - r->now.buckets) /
			 (double)r->now.buckets);
}

json_t *resync_json(const struct resync *r, const char *id)
{
	static const char *const names[] = {
		[FR_RESYNC_WANTED] = "running",
		[FR_RESYNC_RUNNING] = "running",
		[FR_RESYNC_DONE] = "done",
		[FR_RESYNC_FAILED] = "failed",
	};
	const struct fr_resync *m = &r->now;
	uint64_t end_ns = r->end_ns ? r->end_ns : monotonic_ns();
	double ms = monotonic_ms(end_ns - r->begin_ns);
	char text[16];
	json_t *o;

	snprintf(text, sizeof(text), "%u", m->id);
	if (!m->state || strcmp(text, id))
		return NULL;
	o = json_pack("{s:s, s:s, s:o, s:o, s:s}", "id", text, "state", names[m->state], "peers",
		      peers_json(r), "tables", tables_json(r), "error", m->why);
	json_object_set_new(o, "buckets", json_integer(m->buckets));
	json_object_set_new(o, "buckets_total", json_integer(m->buckets_total));
	json_object_set_new(o, "records", json_integer(m->records));
	json_object_set_new(o, "records_total", json_integer(m->records_total));
	json_object_set_new(o, "bytes", json_integer(m->bytes));
	json_object_set_new(o, "bytes_per_s", json_real(ms > 0 ? m->bytes * 1000 / ms : 0));
	json_object_set_new(o, "elapsed_ms", json_real(ms));
	json_object_set_new(o, "left_ms", left_json(r, ms));
	return o;
}

double resync_ratio(const struct resync *r, bool *is_on, bool *has_failed)
{
	const struct fr_resync *m = &r->now;

	*is_on = is_running(r);
	*has_failed = m->state == FR_RESYNC_FAILED;
	if (*is_on || *has_failed)
		return m->buckets_total ? (double)m->buckets / (double)m->buckets_total : 0;
	return 1;
}

/* --- life --- */

int resync_new(struct resync **out, sd_event *event, struct flow *f)
{
	struct resync *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	*out = r;
	r->flow = f;
	r->parts = calloc(f->n_links ? f->n_links : 1, sizeof(*r->parts));
	r->announced = calloc(f->n_links ? f->n_links : 1, sizeof(*r->announced));
	if (!r->parts || !r->announced)
		return -ENOMEM;
	rc = sd_event_add_time(event, &r->timer, CLOCK_MONOTONIC, 0, 0, on_poll, r);
	return rc < 0 ? rc : sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
}

void resync_free(struct resync *r)
{
	if (!r)
		return;
	sd_event_source_disable_unref(r->timer);
	free(r->parts);
	free(r->announced);
	free(r);
}
