// SPDX-License-Identifier: GPL-2.0-or-later
/* Of each peer, of each table, and of each table with each peer. */
#include "metrics_row.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "control_state.h"
#include "control_tables.h"
#include "monotonic.h"

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

/* When something of the monotonic clock was, since 1970; NAN: never */
static double when(uint64_t at_ns)
{
	return at_ns ? (double)time(NULL) - seconds(monotonic_ns() - at_ns) : NAN;
}

/* --- how samples are told --- */

static void tell_of(struct scrape *s, const struct flow_link *l, double value)
{
	exposition_sample(&s->x, "", METRICS_LABELS({ "peer", peer_id(l->peer) }), value);
}

static void tell_link(struct scrape *s, const struct metrics_row *m)
{
	size_t i;

	for (i = 0; i < s->flow->n_links; i++)
		tell_of(s, &s->flow->links[i], m->link(&s->flow->links[i]));
}

static void tell_table(struct scrape *s, const struct metrics_row *m)
{
	size_t i;

	for (i = 0; i < s->flow->n_tables; i++) {
		const struct flow_table *t = &s->flow->tables[i];

		if (!t->is_missing)
			exposition_sample(&s->x, "", METRICS_LABELS({ "table", t->row->name }),
					  m->table(t));
	}
}

static void tell_ship(struct scrape *s, const struct metrics_row *m)
{
	size_t i;

	for (i = 0; i < s->flow->n_links; i++) {
		const struct flow_link *l = &s->flow->links[i];

		tell_of(s, l, metrics_row_counter(ship_figures(l->ship), m));
	}
}

static void tell_receive(struct scrape *s, const struct metrics_row *m)
{
	size_t i;

	for (i = 0; i < s->flow->n_links; i++) {
		const struct flow_link *l = &s->flow->links[i];

		tell_of(s, l, metrics_row_counter(receive_figures(l->receive), m));
	}
}

static void tell_filter(struct scrape *s, const struct metrics_row *m)
{
	size_t i;

	for (i = 0; i < s->flow->n_tables; i++) {
		const struct fr_table *row = s->flow->tables[i].row;

		exposition_sample(&s->x, "", METRICS_LABELS({ "table", row->name }),
				  metrics_row_counter(filter_counts(s->flow->filter, row->id), m));
	}
}

/* --- of a peer --- */

static double is_up(const struct flow_link *l)
{
	return peer_state(l->peer) == PEER_UP;
}

static void tell_peer_state(struct scrape *s, const struct metrics_row *m)
{
	size_t i;

	(void)m;
	for (i = 0; i < s->flow->n_links; i++) {
		const struct flow_link *l = &s->flow->links[i];
		const struct exposition_label peer = { "peer", peer_id(l->peer) };

		metrics_row_words(s, &peer, "state", control_state_name, control_state_link(l));
	}
}

static void tell_lag(struct scrape *s, const struct metrics_row *m)
{
	static const struct {
		const char *name;
		unsigned int permille;
	} quantiles[] = { { "0.5", 500 }, { "0.99", 990 }, { "1", 1000 } };
	size_t i, k;

	(void)m;
	for (i = 0; i < s->flow->n_links; i++) {
		struct latency *l = ship_latency(s->flow->links[i].ship);
		const struct exposition_label peer = { "peer",
						       peer_id(s->flow->links[i].peer) };
		bool has_any = latency_count(l, s->now_ns);
		uint64_t n;
		double sum;

		for (k = 0; k < sizeof(quantiles) / sizeof(quantiles[0]); k++) {
			uint64_t ns = latency_quantile_ns(l, s->now_ns, quantiles[k].permille);

			exposition_sample(&s->x, "",
					  METRICS_LABELS(peer, { "quantile", quantiles[k].name }),
					  has_any ? seconds(ns) : NAN);
		}
		latency_total(l, &n, &sum);
		exposition_sample(&s->x, "_sum", METRICS_LABELS(peer), sum);
		exposition_sample(&s->x, "_count", METRICS_LABELS(peer), (double)n);
	}
}

static double oldest(const struct flow_link *l)
{
	uint64_t n, bytes, age = control_state_age_ns(l, &n, &bytes);

	return ship_is_started(l->ship) ? seconds(age) : NAN;
}

static double n_backlog(const struct flow_link *l)
{
	uint64_t n, bytes;

	control_state_age_ns(l, &n, &bytes);
	return ship_is_started(l->ship) ? (double)n : NAN;
}

static double backlog_size(const struct flow_link *l)
{
	uint64_t n, bytes;

	control_state_age_ns(l, &n, &bytes);
	return ship_is_started(l->ship) ? (double)bytes : NAN;
}

static void tell_bytes(struct scrape *s, const struct metrics_row *m)
{
	size_t i;

	(void)m;
	for (i = 0; i < s->flow->n_links; i++) {
		const struct peer *p = s->flow->links[i].peer;
		const char *id = peer_id(p);

		exposition_sample(&s->x, "", METRICS_LABELS({ "peer", id }, { "dir", "tx" }),
				  (double)peer_tx_bytes(p));
		exposition_sample(&s->x, "", METRICS_LABELS({ "peer", id }, { "dir", "rx" }),
				  (double)peer_rx_bytes(p));
	}
}

static double rtt(const struct flow_link *l)
{
	uint64_t ns = peer_rtt_ns(l->peer);

	return ns ? seconds(ns) : NAN;
}

static double last_audit(const struct flow_link *l)
{
	bool reads = l->relation == ROLE_READ;

	return when(reads ? receive_figures(l->receive)->last_audit_ns :
			       ship_figures(l->ship)->last_audit_ns);
}

static double n_repairing(const struct flow_link *l)
{
	return ship_figures(l->ship)->n_dirty;
}

static double n_refused(const struct flow_link *l)
{
	bool reads = l->relation == ROLE_READ;

	return (double)(reads ? receive_figures(l->receive)->refused :
				ship_figures(l->ship)->refused);
}

static double is_peer_paused(const struct flow_link *l)
{
	return l->is_paused;
}

static double is_alive(const struct flow_link *l)
{
	const struct heartbeat_voter *v = flow_heartbeat(l);

	return v ? v->is_alive : NAN;
}

static double waits_for_backup(const struct flow_link *l)
{
	return l->wants_backup;
}

static double key_age(const struct flow_link *l)
{
	return is_up(l) ? (double)peer_key_age_ms(l->peer) / 1e3 : NAN;
}

static double n_renewals(const struct flow_link *l)
{
	return (double)peer_n_renewals(l->peer);
}

static double clock_offset(const struct flow_link *l)
{
	struct arbiter a = control_state_arbiter(l->flow);

	return a.ledger ? (double)arbiter_offset_ms(&a, peer_id(l->peer)) / 1e3 : NAN;
}

/* --- of a table, with each peer --- */

static double n_entries(const struct flow_table *t)
{
	return (double)flow_table_entries(t, NULL);
}

static double n_memory(const struct flow_table *t)
{
	return (double)index_memory(truth_index(t->truth));
}

static double n_malformed(const struct flow_table *t)
{
	return (double)t->n_refused;
}

static void tell_step(struct scrape *s, double (*value)(struct control_step step))
{
	size_t i, k;

	for (i = 0; i < s->flow->n_links; i++) {
		const struct flow_link *l = &s->flow->links[i];

		for (k = 0; k < s->flow->n_tables; k++) {
			const struct fr_table *row = s->flow->tables[k].row;
			struct control_step step = control_tables_step(l, row->id);

			exposition_sample(&s->x, "",
					  METRICS_LABELS({ "peer", peer_id(l->peer) },
							 { "table", row->name }),
					  step.is_known ? value(step) : NAN);
		}
	}
}

static double is_equal(struct control_step step)
{
	return step.is_equal;
}

static double n_differ(struct control_step step)
{
	return step.is_equal || step.n_buckets ? step.n_buckets : NAN;
}

static void tell_in_step(struct scrape *s, const struct metrics_row *m)
{
	(void)m;
	tell_step(s, is_equal);
}

static void tell_differ(struct scrape *s, const struct metrics_row *m)
{
	(void)m;
	tell_step(s, n_differ);
}

/* --- the table --- */

#define LINK(fn) tell_link, .link = (fn)
#define TABLE(fn) tell_table, .table = (fn)
#define SHIP(field) tell_ship, .at = METRICS_AT(struct ship_figures, field)
#define RECEIVE(field) tell_receive, .at = METRICS_AT(struct receive_figures, field)
#define FILTER(field) tell_filter, .at = METRICS_AT(struct filter_counts, field)

const struct metrics_row metrics_peer_rows[] = {
	{ "flyrep_peer_up", "gauge", "There is a session with the peer.", LINK(is_up) },
	{ "flyrep_peer_state", "gauge", "1 for the state of the peer, as in the status.",
	  METRICS_TELL(tell_peer_state) },
	{ "flyrep_peer_lag_seconds", "summary",
	  "From the capture of a change to its acknowledgement, the last minute.",
	  METRICS_TELL(tell_lag) },
	{ "flyrep_peer_oldest_change_seconds", "gauge",
	  "Age of the oldest change that the peer has not acknowledged; 0: there is none.",
	  LINK(oldest) },
	{ "flyrep_peer_backlog_changes", "gauge", "Changes that it has not acknowledged.",
	  LINK(n_backlog) },
	{ "flyrep_peer_backlog_bytes", "gauge", "Bytes of these.", LINK(backlog_size) },
	{ "flyrep_peer_bytes_total", "counter", "Bytes of all sessions, as on the wire.",
	  METRICS_TELL(tell_bytes) },
	{ "flyrep_peer_rtt_seconds", "gauge", "Round trip of the session.", LINK(rtt) },
	{ "flyrep_peer_alive", "gauge", "Heartbeats of the peer are heard.", LINK(is_alive) },
	{ "flyrep_peer_paused", "gauge", "Replication is paused on the peer.",
	  LINK(is_peer_paused) },
	{ "flyrep_peer_sessions_total", "counter", "Sessions begun as its writer.",
	  SHIP(n_sessions) },
	{ "flyrep_peer_audits_total", "counter", "Audits that the peer answered.",
	  SHIP(n_audits) },
	{ "flyrep_peer_last_audit_timestamp_seconds", "gauge",
	  "When the last audit of this session was.", LINK(last_audit) },
	{ "flyrep_peer_repairing_buckets", "gauge", "Buckets that wait for repair.",
	  LINK(n_repairing) },
	{ "flyrep_peer_repaired_buckets_total", "counter", "Buckets repaired.",
	  SHIP(n_repaired) },
	{ "flyrep_peer_repair_records_total", "counter", "Records sent in repairs.",
	  SHIP(n_repair_records) },
	{ "flyrep_peer_repair_bytes_total", "counter", "Bytes of these.", SHIP(n_repair_bytes) },
	{ "flyrep_peer_backlog_losses_total", "counter",
	  "Times that the peer fell behind all that is kept for it.", SHIP(n_jumps) },
	{ "flyrep_peer_received_batches_total", "counter", "Batches received.",
	  RECEIVE(n_batches) },
	{ "flyrep_peer_received_changes_total", "counter", "Changes received.",
	  RECEIVE(n_changes) },
	{ "flyrep_peer_references_total", "counter", "Records received without their keys.",
	  RECEIVE(n_refs) },
	{ "flyrep_peer_lost_references_total", "counter",
	  "Batches whose references could not be told.", RECEIVE(n_lost_refs) },
	{ "flyrep_peer_refused", "gauge",
	  "Records that the kernel of the standby refused in this session.", LINK(n_refused) },
	{ "flyrep_peer_waits_for_backup", "gauge", "Repairs by the peer wait for a backup here.",
	  LINK(waits_for_backup) },
	{ "flyrep_key_age_seconds", "gauge", "Age of the traffic keys of the session.",
	  LINK(key_age) },
	{ "flyrep_key_renewals_total", "counter", "Times that they were replaced.",
	  LINK(n_renewals) },
	{ "flyrep_clock_offset_seconds", "gauge", "How far the clock of the peer is ahead.",
	  LINK(clock_offset) },

	{ "flyrep_in_step", "gauge", "The last audit found no difference; none yet: no sample.",
	  METRICS_TELL(tell_in_step) },
	{ "flyrep_differing_buckets", "gauge", "Buckets that differed, as the writer knows.",
	  METRICS_TELL(tell_differ) },
	{ "flyrep_table_entries", "gauge", "Objects known, this node's and those it holds.",
	  TABLE(n_entries) },
	{ "flyrep_table_memory_bytes", "gauge", "Memory of its index.", TABLE(n_memory) },
	{ "flyrep_table_malformed_total", "counter", "Records not sent, as they are malformed.",
	  TABLE(n_malformed) },
	{ "flyrep_filter_filtered_total", "counter", "Reads of records that did not pass.",
	  FILTER(filtered) },
	{ "flyrep_filter_withdrawn_total", "counter", "Of what had been shipped: withdrawn.",
	  FILTER(withdrawn) },
	{ "flyrep_filter_missing_value_total", "counter",
	  "Conditions that came upon a field that is not there.", FILTER(missing_value) },
	{ "flyrep_filter_reduced_total", "counter", "Records sent without a sensitive field.",
	  FILTER(reduced) },
	{ "flyrep_filter_refused_total", "counter",
	  "Records of a peer that did not pass the filters here.", FILTER(refused) },
	{ 0 },
};
