// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_peers.h"

#include "control_json.h"
#include "control_state.h"
#include "monotonic.h"

/* Where all write: what is held for this peer. What has versions is held for nobody. */
static json_t *held_json(const struct flow_link *l)
{
	const struct receive_figures *r = receive_figures(l->receive);
	json_t *tables = json_array();
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++) {
		const struct flow_table *t = l->flow->by_id[id];
		struct index *ix = t && !flow_has_versions(t) ? truth_index(l->truths[id]) : NULL;

		if (ix && receive_tables(l->receive) >> id & 1)
			json_array_append_new(tables,
					      json_pack("{s:s, s:I, s:o}", "table",
							fr_table_by_id(id)->name, "entries",
							(json_int_t)index_entries(ix), "digest",
							control_json_digest(index_digest(ix))));
	}
	return json_pack("{s:I, s:I, s:I, s:o, s:b, s:o}",
			 "entries", (json_int_t)flow_link_entries(l),
			 "of", (json_int_t)r->writer_entries,
			 "refused", (json_int_t)r->refused,
			 "last_audit", control_json_when(r->last_audit_ns),
			 "in_step", r->is_equal,
			 "tables", tables);
}

json_t *control_peers_one(const struct flow_link *l)
{
	const struct ship_figures *s = ship_figures(l->ship);
	const struct receive_figures *r = receive_figures(l->receive);
	const struct heartbeat_voter *v = flow_heartbeat(l);
	bool reads = l->relation == ROLE_READ;
	uint64_t n, bytes, age = control_state_age_ns(l, &n, &bytes);
	struct arbiter a = control_state_arbiter(l->flow);
	json_t *o = json_object();

	json_object_set_new(o, "id", json_string(peer_id(l->peer)));
	json_object_set_new(o, "address", json_string(peer_address(l->peer)));
	json_object_set_new(o, "role", json_string(l->role ? fr_role_name(l->role) : "unknown"));
	json_object_set_new(o, "state", json_string(control_state_link(l)));
	json_object_set_new(o, "connected", json_boolean(peer_state(l->peer) == PEER_UP));
	json_object_set_new(o, "wire_version", json_integer(peer_wire(l->peer)));
	json_object_set_new(o, "flows_max", json_integer(peer_hello(l->peer)->ct_max));
	json_object_set_new(o, "lag_ms", json_real(monotonic_ms(age)));
	json_object_set_new(o, "backlog_changes", json_integer(n));
	json_object_set_new(o, "backlog_bytes", json_integer(bytes));
	json_object_set_new(o, "rtt_ms", json_real(monotonic_ms(peer_rtt_ns(l->peer))));
	json_object_set_new(o, "tx_bytes", json_integer(peer_tx_bytes(l->peer)));
	json_object_set_new(o, "rx_bytes", json_integer(peer_rx_bytes(l->peer)));
	json_object_set_new(o, "last_audit",
			    control_json_when(reads ? r->last_audit_ns : s->last_audit_ns));
	json_object_set_new(o, "entries",
			    json_integer(reads ? r->writer_entries : s->remote_entries));
	json_object_set_new(o, "repairing_buckets", json_integer(s->n_dirty));
	json_object_set_new(o, "repaired_buckets", json_integer(s->n_repaired));
	json_object_set_new(o, "refused", json_integer(reads ? r->refused : s->refused));
	json_object_set_new(o, "references", json_integer(r->n_refs));
	json_object_set_new(o, "lost_references", json_integer(r->n_lost_refs));
	if (l->relation == ROLE_SHARE)
		json_object_set_new(o, "held", held_json(l));
	json_object_set_new(o, "clock_offset_ms",
			    json_integer(arbiter_offset_ms(&a, peer_id(l->peer))));
	json_object_set_new(o, "key_age_ms",
			    peer_state(l->peer) == PEER_UP ?
				    json_integer(peer_key_age_ms(l->peer)) :
				    json_null());
	json_object_set_new(o, "key_renewals", json_integer(peer_n_renewals(l->peer)));
	json_object_set_new(o, "key_trouble", json_string(peer_renewal_trouble(l->peer)));
	json_object_set_new(o, "paused", json_boolean(l->is_paused));
	json_object_set_new(o, "alive", v ? json_boolean(v->is_alive) : json_null());
	json_object_set_new(o, "error", json_string(peer_trouble(l->peer)));
	return o;
}

json_t *control_peers_json(const struct flow *f)
{
	json_t *peers = json_array();
	size_t i;

	for (i = 0; i < f->n_links; i++)
		json_array_append_new(peers, control_peers_one(&f->links[i]));
	return peers;
}

/* --- heartbeats --- */

json_t *control_peers_voter(const struct heartbeat_voter *v)
{
	uint64_t now = monotonic_ns();
	json_t *o = json_object();
	char address[FR_ADDRESS_TEXT_LEN];
	bool is_known = v->heard_ns;

	json_object_set_new(o, "id", v->id[0] ? json_string(v->id) : json_null());
	json_object_set_new(o, "name", json_string(v->name));
	json_object_set_new(o, "address", json_string(fr_address_format(&v->address, address)));
	json_object_set_new(o, "witness", json_boolean(v->is_witness));
	json_object_set_new(o, "alive", json_boolean(v->is_alive));
	json_object_set_new(o, "heard_ms", is_known ? json_real(monotonic_ms(now - v->heard_ns)) :
						      json_null());
	json_object_set_new(o, "rtt_ms", v->rtt_ns ? json_real(monotonic_ms(v->rtt_ns)) :
						     json_null());
	json_object_set_new(o, "role", !is_known || v->is_witness ?
					       json_null() :
					       json_string(fr_role_name(v->last.role)));
	json_object_set_new(o, "epoch", is_known ? json_integer(v->last.epoch) : json_null());
	json_object_set_new(o, "promised", is_known ? json_integer(v->last.promised) : json_null());
	json_object_set_new(o, "votes", is_known ? json_integer(v->last.votes) : json_null());
	return o;
}

json_t *control_peers_heartbeat(const struct heartbeat *h)
{
	const struct heartbeat_counts *c = heartbeat_counts(h);
	json_t *voters = json_array();
	size_t i;

	for (i = 0; i < heartbeat_n_voters(h); i++)
		json_array_append_new(voters, control_peers_voter(heartbeat_voter(h, i)));
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "voters", voters, "sent",
			 (json_int_t)c->sent, "received", (json_int_t)c->received, "malformed",
			 (json_int_t)c->malformed, "forged", (json_int_t)c->forged, "replayed",
			 (json_int_t)c->replayed, "unproven", (json_int_t)c->unproven,
			 "strangers", (json_int_t)c->strangers);
}

static json_t *quantile_json(struct latency *l, uint64_t now, unsigned int permille)
{
	return json_real(monotonic_ms(latency_quantile_ns(l, now, permille)));
}

json_t *control_peers_lag(const struct flow *f)
{
	json_t *peers = json_array();
	uint64_t now = monotonic_ns();
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		struct latency *l = ship_latency(f->links[i].ship);
		uint64_t n, bytes, age = control_state_age_ns(&f->links[i], &n, &bytes);
		uint64_t max = latency_quantile_ns(l, now, 1000);
		json_t *o = json_object();

		json_object_set_new(o, "id", json_string(peer_id(f->links[i].peer)));
		json_object_set_new(o, "p50_ms", quantile_json(l, now, 500));
		json_object_set_new(o, "p99_ms", quantile_json(l, now, 990));
		/* Nobody knows the lag of a peer that is not there. */
		json_object_set_new(o, "max_ms",
				    ship_is_started(f->links[i].ship) ||
						    f->links[i].relation == ROLE_READ ?
					    json_real(monotonic_ms(age > max ? age : max)) :
					    json_null());
		json_object_set_new(o, "samples", json_integer(latency_count(l, now)));
		json_object_set_new(o, "changes", json_integer(n));
		json_object_set_new(o, "bytes", json_integer(bytes));
		json_array_append_new(peers, o);
	}
	return peers;
}
