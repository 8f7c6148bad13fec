// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_debug.h"

#include <string.h>

#include "control_json.h"
#include "control_peers.h"
#include "control_state.h"
#include "monotonic.h"
#include "versions.h"

/* Zero is for not told. */
static json_t *hex(const uint8_t *bytes, size_t len)
{
	char text[2 * 64 + 1] = "";
	bool is_told = false;
	size_t i;

	for (i = 0; i < len && i < 64; i++) {
		static const char digits[] = "0123456789abcdef";

		is_told |= bytes[i];
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return json_string(is_told ? text : "");
}

/* Names of the tables of a bitmap; those that this node does not know are left out. */
static json_t *names_json(uint64_t tables)
{
	json_t *a = json_array();
	unsigned int id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (tables >> id & 1 && fr_table_by_id(id))
			json_array_append_new(a, json_string(fr_table_by_id(id)->name));
	return a;
}

static json_t *quantile(struct latency *l, unsigned int permille)
{
	return json_real(monotonic_ms(latency_quantile_ns(l, monotonic_ns(), permille)));
}

static json_t *session_json(const struct flow_link *l)
{
	const struct peer_dialling d = peer_dialling(l->peer);
	const struct fr_hello *h = peer_hello(l->peer);
	struct conn *conn = peer_conn(l->peer);
	json_t *o = json_object();

	json_object_set_new(o, "state", json_string(peer_state_name(peer_state(l->peer))));
	json_object_set_new(o, "since_ms",
			    json_real(d.since_ns ? monotonic_ms(monotonic_ns() - d.since_ns) : 0));
	json_object_set_new(o, "dialled_here", json_boolean(d.is_dialled));
	json_object_set_new(o, "address", json_string(peer_address(l->peer)));
	json_object_set_new(o, "expected_id", json_string(d.expected));
	json_object_set_new(o, "relation", json_string(role_relation_name(l->relation)));
	json_object_set_new(o, "wire_version", json_integer(peer_wire(l->peer)));
	json_object_set_new(o, "version", json_string(h->version));
	json_object_set_new(o, "epoch", json_integer(l->epoch));
	json_object_set_new(o, "capabilities", control_json_digest(h->capabilities));
	json_object_set_new(o, "offers", names_json(h->tables));
	json_object_set_new(o, "life", hex(h->life, sizeof(h->life)));
	json_object_set_new(o, "history", hex(h->history, sizeof(h->history)));
	json_object_set_new(o, "sequence", json_integer(h->seq));
	json_object_set_new(o, "rtt_ms", json_real(monotonic_ms(peer_rtt_ns(l->peer))));
	json_object_set_new(o, "idle_ms", conn ? json_integer(conn_idle_ms(conn)) : json_null());
	json_object_set_new(o, "rx_bytes", conn ? json_integer(conn_rx_bytes(conn)) : json_null());
	json_object_set_new(o, "tx_bytes", conn ? json_integer(conn_tx_bytes(conn)) : json_null());
	json_object_set_new(o, "encrypted", json_boolean(l->flow->config->transport.encryption));
	json_object_set_new(o, "old_secret", json_boolean(peer_has_old_secret(l->peer)));
	json_object_set_new(o, "key_age_ms",
			    conn ? json_integer(peer_key_age_ms(l->peer)) : json_null());
	json_object_set_new(o, "key_renewals", json_integer(peer_n_renewals(l->peer)));
	json_object_set_new(o, "key_trouble", json_string(peer_renewal_trouble(l->peer)));
	json_object_set_new(o, "suspect", json_boolean(d.is_suspect));
	json_object_set_new(o, "backoff_ms", json_integer(d.backoff_ms));
	json_object_set_new(o, "error", json_string(peer_trouble(l->peer)));
	return o;
}

static void add_audits(json_t *o, const struct ship_figures *s, const struct ship_session *now)
{
	json_object_set_new(o, "audits_begun", json_integer(s->n_audits_begun));
	json_object_set_new(o, "audits", json_integer(s->n_audits));
	json_object_set_new(o, "auditing", json_boolean(now->is_auditing));
	json_object_set_new(o, "last_audit", control_json_when(s->last_audit_ns));
	json_object_set_new(o, "equal", json_boolean(s->is_equal));
	json_object_set_new(o, "buckets_differ", json_integer(s->n_differ));
	json_object_set_new(o, "remote_entries", json_integer(s->remote_entries));
	json_object_set_new(o, "repairing", json_boolean(now->is_repairing));
	json_object_set_new(o, "dirty_buckets", json_integer(s->n_dirty));
	json_object_set_new(o, "repaired_buckets", json_integer(s->n_repaired));
	json_object_set_new(o, "repair_records", json_integer(s->n_repair_records));
	json_object_set_new(o, "repair_bytes", json_integer(s->n_repair_bytes));
	json_object_set_new(o, "refused", json_integer(s->refused));
	json_object_set_new(o, "jumps", json_integer(s->n_jumps));
	json_object_set_new(o, "skips", json_integer(s->n_skips));
	json_object_set_new(o, "sessions", json_integer(s->n_sessions));
	json_object_set_new(o, "takes_references", json_boolean(now->takes_refs));
}

static json_t *ship_json(const struct flow_link *l)
{
	const struct ship_session now = ship_session(l->ship);
	struct conn *conn = peer_conn(l->peer);
	uint64_t n, bytes, age = control_state_age_ns(l, &n, &bytes);
	bool is_started = ship_is_started(l->ship);
	json_t *o = json_object();

	json_object_set_new(o, "started", json_boolean(is_started));
	json_object_set_new(o, "acked_sequence", json_integer(ship_acked(l->ship)));
	json_object_set_new(o, "next_sequence", json_integer(now.cursor));
	json_object_set_new(o, "changes", json_integer(n));
	json_object_set_new(o, "bytes", json_integer(bytes));
	json_object_set_new(o, "oldest_ms", json_real(monotonic_ms(age)));
	json_object_set_new(o, "in_flight_bytes", json_integer(is_started ? now.flight_bytes : 0));
	json_object_set_new(o, "window_bytes", json_integer(now.window_bytes));
	json_object_set_new(o, "socket_bytes", json_integer(conn ? conn_queued(conn) : 0));
	json_object_set_new(o, "paused", json_boolean(now.is_paused));
	json_object_set_new(o, "held_back", names_json(l->flow->stream.held));
	json_object_set_new(o, "lag_p50_ms", quantile(ship_latency(l->ship), 500));
	json_object_set_new(o, "lag_p99_ms", quantile(ship_latency(l->ship), 990));
	json_object_set_new(o, "lag_max_ms", quantile(ship_latency(l->ship), 1000));
	add_audits(o, ship_figures(l->ship), &now);
	return o;
}

static json_t *receive_json(const struct flow_link *l)
{
	const struct receive_figures *r = receive_figures(l->receive);
	uint8_t history[FR_HISTORY_LEN];
	json_t *o = json_object();
	uint64_t seq;

	receive_position(l->receive, history, &seq);
	json_object_set_new(o, "started", json_boolean(receive_is_started(l->receive)));
	json_object_set_new(o, "sequence", json_integer(seq));
	json_object_set_new(o, "history", hex(history, sizeof(history)));
	json_object_set_new(o, "batches", json_integer(r->n_batches));
	json_object_set_new(o, "changes", json_integer(r->n_changes));
	json_object_set_new(o, "remote_changes", json_integer(peer_remote_pending(l->peer)));
	json_object_set_new(o, "refused", json_integer(r->refused));
	json_object_set_new(o, "last_audit", control_json_when(r->last_audit_ns));
	json_object_set_new(o, "equal", json_boolean(r->is_equal));
	json_object_set_new(o, "writer_entries", json_integer(r->writer_entries));
	json_object_set_new(o, "repairing", json_boolean(r->is_repairing));
	json_object_set_new(o, "references", json_integer(r->n_refs));
	json_object_set_new(o, "lost_references", json_integer(r->n_lost_refs));
	json_object_set_new(o, "wants_backup", json_boolean(l->wants_backup));
	json_object_set_new(o, "distance",
			    l->distance <= FR_DISTANCE_MAX ? json_integer(l->distance) :
							     json_null());
	return o;
}

static json_t *table_json(const struct flow_link *l, const struct flow_table *t)
{
	uint8_t id = t->row->id;
	const struct ship_table_figures *s = ship_table_figures(l->ship, id);
	const struct receive_table_figures *r = receive_table_figures(l->receive, id);
	bool is_received = receive_is_started(l->receive) && receive_tables(l->receive) >> id & 1;
	json_t *o = json_object();
	uint64_t digest, n = flow_table_entries(t, &digest);

	json_object_set_new(o, "table", json_string(t->row->name));
	json_object_set_new(o, "sent", json_boolean(s));
	json_object_set_new(o, "received", json_boolean(is_received));
	json_object_set_new(o, "entries", json_integer(n));
	json_object_set_new(o, "digest", control_json_digest(digest));
	json_object_set_new(o, "remote_entries", s	     ? json_integer(s->remote_entries) :
						 is_received ? json_integer(r->writer_entries) :
							       json_null());
	json_object_set_new(o, "buckets_differ", s ? json_integer(s->n_differ) : json_null());
	json_object_set_new(o, "dirty_buckets", s ? json_integer(s->n_dirty) : json_null());
	json_object_set_new(o, "refused", json_integer(r->refused));
	json_object_set_new(o, "unrepaired", json_integer(r->unrepaired));
	return o;
}

static json_t *tables_json(const struct flow_link *l)
{
	const struct flow *f = l->flow;
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < f->n_tables; i++)
		json_array_append_new(a, table_json(l, &f->tables[i]));
	return a;
}

static json_t *link_json(const struct flow_link *l)
{
	const struct heartbeat_voter *v = flow_heartbeat(l);
	const struct fr_config *config = l->flow->config;
	struct arbiter a = control_state_arbiter(l->flow);

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:I}, s:o}", "peer",
			 control_peers_one(l), "session", session_json(l), "ship", ship_json(l),
			 "receive", receive_json(l), "tables", tables_json(l), "heartbeat",
			 v ? control_peers_voter(v) : json_null(), "clock", "offset_ms",
			 (json_int_t)arbiter_offset_ms(&a, peer_id(l->peer)), "tolerance_ms",
			 (json_int_t)config->conflict_resolution.clock_skew_tolerance_ms, "events",
			 events_about(l->flow->events, peer_id(l->peer)));
}

json_t *control_debug_json(const struct flow *f, const char *id)
{
	size_t i;

	for (i = 0; i < f->n_links; i++)
		if (!strcmp(peer_id(f->links[i].peer), id))
			return link_json(&f->links[i]);
	return NULL;
}
