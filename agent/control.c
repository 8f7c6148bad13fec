// SPDX-License-Identifier: GPL-2.0-or-later

#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arbiter.h"
#include "control_backups.h"
#include "log.h"
#include "monotonic.h"
#include "ready.h"
#include "validate.h"
#include "versions.h"

struct control {
	sd_event *event;
	struct flow *flow;
	const struct fr_config *config;
	struct api *api;
	struct validate *validate;	/* the running one */
	struct control_backups *backups;
	struct api_call *takeover;	/* that is voted on, since then */
	uint64_t takeover_ns;
};

/* --- what state a link and the node are in --- */

static uint64_t oldest_age_ns(const struct flow_link *l, uint64_t *n_changes, uint64_t *n_bytes)
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

	return oldest_age_ns(l, &n, &bytes) > l->flow->config->sync.max_lag_ms * 1000000ull;
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

static const char *worse_state(const char *a, const char *b)
{
	/* Worst first. */
	static const char *const states[] = { "split_brain", "no_quorum",    "paused",
					      "down",	     "needs_resync", "lagging",
					      "connecting",  "syncing",	     "in_sync" };
	size_t k;

	for (k = 0; strcmp(a, states[k]) && strcmp(b, states[k]); k++)
		;
	return states[k];
}

static const char *link_state(const struct flow_link *l)
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

static const char *node_state(const struct flow *f)
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
		state = worse_state(state, link_state(&f->links[i]));
	return f->n_links ? state : "init";
}

static struct arbiter arbiter_of(const struct flow *f)
{
	return (struct arbiter){ f->config, flow_ledger(f) };
}

/* RFC 3339 of an instant on the monotonic clock; null for never. */
static json_t *when(uint64_t at_ns)
{
	struct timespec now;
	char text[40];
	struct tm tm;
	time_t t;

	if (!at_ns)
		return json_null();
	clock_gettime(CLOCK_REALTIME, &now);
	t = now.tv_sec - (time_t)((monotonic_ns() - at_ns) / 1000000000ull);
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *digest_json(uint64_t digest)
{
	return json_sprintf("%016lx", digest);
}

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
							digest_json(index_digest(ix))));
	}
	return json_pack("{s:I, s:I, s:I, s:o, s:b, s:o}", "entries",
			 (json_int_t)flow_link_entries(l), "of", (json_int_t)r->writer_entries,
			 "refused", (json_int_t)r->refused, "last_audit", when(r->last_audit_ns),
			 "in_step", r->is_equal, "tables", tables);
}

static json_t *next_json(const struct schedule *s)
{
	time_t t = schedule_next(s);
	char text[40];
	struct tm tm;

	if (!s)
		return json_null();
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *peer_json(const struct flow_link *l)
{
	const struct ship_figures *s = ship_figures(l->ship);
	const struct receive_figures *r = receive_figures(l->receive);
	const struct heartbeat_voter *v = flow_heartbeat(l);
	bool reads = l->relation == ROLE_READ;
	uint64_t n, bytes, age = oldest_age_ns(l, &n, &bytes);
	struct arbiter a = arbiter_of(l->flow);
	json_t *o = json_object();

	json_object_set_new(o, "id", json_string(peer_id(l->peer)));
	json_object_set_new(o, "address", json_string(peer_address(l->peer)));
	json_object_set_new(o, "role", json_string(l->role ? fr_role_name(l->role) : "unknown"));
	json_object_set_new(o, "state", json_string(link_state(l)));
	json_object_set_new(o, "connected", json_boolean(peer_state(l->peer) == PEER_UP));
	json_object_set_new(o, "wire_version", json_integer(peer_wire(l->peer)));
	json_object_set_new(o, "lag_ms", json_real(monotonic_ms(age)));
	json_object_set_new(o, "backlog_changes", json_integer(n));
	json_object_set_new(o, "backlog_bytes", json_integer(bytes));
	json_object_set_new(o, "rtt_ms", json_real(monotonic_ms(peer_rtt_ns(l->peer))));
	json_object_set_new(o, "tx_bytes", json_integer(peer_tx_bytes(l->peer)));
	json_object_set_new(o, "rx_bytes", json_integer(peer_rx_bytes(l->peer)));
	json_object_set_new(o, "last_audit", when(reads ? r->last_audit_ns : s->last_audit_ns));
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

static uint64_t last_sync_ns(const struct flow *f)
{
	uint64_t last = 0;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		const struct ship_figures *s = ship_figures(f->links[i].ship);

		if (s->is_equal && s->last_audit_ns > last)
			last = s->last_audit_ns;
	}
	if (flow_is_shared(f) && f->in_step_ns < last)
		return f->in_step_ns;
	return flow_is_writer(f) ? last : f->in_step_ns;
}

static json_t *module_json(struct flow *f)
{
	struct fr_genl_info info;
	json_t *o = json_object(), *c;
	size_t i;

	json_object_set_new(o, "present", json_boolean(drain_is_attached(f->drain)));
	if (drain_info(f->drain, &info) < 0)
		return o;
	json_object_set_new(o, "version", json_string(info.version));
	json_object_set_new(o, "capture",
			    json_string(info.capture == FLYREP_CAPTURE_CHAIN   ? "chain" :
					info.capture == FLYREP_CAPTURE_NETLINK ? "netlink" :
										 "none"));
	json_object_set_new(o, "bound", json_boolean(info.reader != 0));
	json_object_set_new(o, "flows", json_integer(info.ct_count));
	json_object_set_new(o, "flows_max", json_integer(info.ct_max));
	json_object_set_new(o, "ring_entries", json_integer(info.ring_entries));
	c = json_array();
	for (i = 0; i < info.n_counters; i++)
		json_array_append_new(c, json_integer(info.counters[i]));
	json_object_set_new(o, "counters", c);
	return o;
}

/* How a link stands in one table, as far as an audit of this session told. */
struct step {
	bool is_known;
	bool is_equal;
	unsigned int n_buckets;		/* that differ; the standby does not know how many */
};

static struct step step_as_reader(const struct flow_link *l, uint8_t table)
{
	return (struct step){
		.is_known = receive_is_started(l->receive) &&
			    receive_figures(l->receive)->last_audit_ns &&
			    receive_tables(l->receive) >> table & 1,
		.is_equal = !receive_table_figures(l->receive, table)->n_groups,
	};
}

static struct step step_as_writer(const struct flow_link *l, uint8_t table)
{
	const struct ship_table_figures *t = ship_table_figures(l->ship, table);
	unsigned int n = !t ? 0 : t->n_dirty > t->n_differ ? t->n_dirty : t->n_differ;

	return (struct step){
		.is_known = t && ship_figures(l->ship)->last_audit_ns,
		.is_equal = !n,
		.n_buckets = n,
	};
}

static struct step step_of(const struct flow_link *l, uint8_t table)
{
	struct step w, r;

	if (!flow_link_writes(l))
		return step_as_reader(l, table);
	w = step_as_writer(l, table);
	if (!flow_link_reads(l))
		return w;
	r = step_as_reader(l, table);
	w.is_known &= r.is_known;
	w.is_equal &= r.is_equal;
	return w;
}

/* The worst of all links; null where nothing is known. */
static void add_step(json_t *o, const struct flow *f, uint8_t table)
{
	bool is_known = false, is_equal = true, is_counted = true;
	unsigned int n_buckets = 0;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		struct step s = step_of(&f->links[i], table);

		if (!s.is_known)
			continue;
		is_known = true;
		is_equal &= s.is_equal;
		is_counted &= s.is_equal || s.n_buckets;
		n_buckets = s.n_buckets > n_buckets ? s.n_buckets : n_buckets;
	}
	json_object_set_new(o, "in_step", is_known ? json_boolean(is_equal) : json_null());
	json_object_set_new(o, "buckets_differ",
			    is_known && is_counted ? json_integer(n_buckets) : json_null());
}

static json_t *table_json(const struct flow_table *t)
{
	const struct filter_counts *c = filter_counts(t->flow->filter, t->row->id);
	json_t *o = json_object();
	uint64_t digest, n = flow_table_entries(t, &digest);

	json_object_set_new(o, "table", json_string(t->row->name));
	json_object_set_new(o, "entries", json_integer(n));
	json_object_set_new(o, "memory_bytes", json_integer(index_memory(truth_index(t->truth))));
	json_object_set_new(o, "digest", digest_json(digest));
	json_object_set_new(o, "filtered", json_integer(c->filtered));
	json_object_set_new(o, "withdrawn", json_integer(c->withdrawn));
	json_object_set_new(o, "missing_value", json_integer(c->missing_value));
	json_object_set_new(o, "reduced", json_integer(c->reduced));
	json_object_set_new(o, "refused_here", json_integer(c->refused));
	add_step(o, t->flow, t->row->id);
	return o;
}

static json_t *tables_json(const struct flow *f)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < f->n_tables; i++)
		if (!f->tables[i].is_missing)
			json_array_append_new(a, table_json(&f->tables[i]));
	return a;
}

static void warn_of_table(json_t *warnings, const struct flow_table *t)
{
	const char *name = t->row->name;

	if (t->is_missing)
		json_array_append_new(warnings, json_sprintf("the module has no table %s", name));
	if (t->n_refused)
		json_array_append_new(warnings,
				      json_sprintf("%lu malformed records of %s were not sent",
						   t->n_refused, name));
	if (filter_counts(t->flow->filter, t->row->id)->refused)
		json_array_append_new(warnings,
				      json_sprintf("%lu records of %s did not pass this node's "
						   "filters: its peer has others",
						   filter_counts(t->flow->filter,
								 t->row->id)->refused, name));
}

/* What one end of a session replicates and the other does not. */
static void warn_of_tables(json_t *warnings, const struct flow_link *l)
{
	uint64_t ours = l->flow->stream.tables, theirs = peer_hello(l->peer)->tables;
	char names[FLOW_NAMES_LEN];

	if (peer_state(l->peer) != PEER_UP)
		return;
	if (ours & ~theirs)
		json_array_append_new(warnings,
				      json_sprintf("peer %s does not replicate %s",
						   peer_id(l->peer),
						   flow_table_names(ours & ~theirs, names,
								    sizeof(names))));
	if (theirs & ~ours)
		json_array_append_new(warnings,
				      json_sprintf("peer %s replicates %s, this node does not",
						   peer_id(l->peer),
						   flow_table_names(theirs & ~ours, names,
								    sizeof(names))));
}

static void warn_of_keys(json_t *warnings, const struct flow_link *l)
{
	if (peer_has_old_secret(l->peer))
		json_array_append_new(warnings,
				      json_sprintf("peer %s: the session uses a previous secret",
						   peer_id(l->peer)));
	if (peer_renewal_trouble(l->peer)[0])
		json_array_append_new(warnings,
				      json_sprintf("peer %s: the keys were not replaced: %s",
						   peer_id(l->peer),
						   peer_renewal_trouble(l->peer)));
}

static void warn_of_sets(json_t *warnings, const struct sets *sets)
{
	char text[SET_TEXT_LEN];
	size_t i;

	for (i = 0; i < sets->n; i++)
		if (set_trouble(sets->v[i]))
			json_array_append_new(warnings,
					      json_sprintf("nft set %s: %s",
							   set_text(sets->v[i], text),
							   set_trouble(sets->v[i])));
	if (sets->is_over)
		json_array_append_new(warnings,
				      json_sprintf("more than %d nft sets: the others are left out",
						   FLYREP_SETS_MAX));
}

/* --- heartbeats and quorum --- */

static json_t *voter_json(const struct heartbeat_voter *v)
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

static json_t *heartbeat_json(const struct heartbeat *h)
{
	const struct heartbeat_counts *c = heartbeat_counts(h);
	json_t *voters = json_array();
	size_t i;

	for (i = 0; i < heartbeat_n_voters(h); i++)
		json_array_append_new(voters, voter_json(heartbeat_voter(h, i)));
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "voters", voters, "sent",
			 (json_int_t)c->sent, "received", (json_int_t)c->received, "malformed",
			 (json_int_t)c->malformed, "forged", (json_int_t)c->forged, "replayed",
			 (json_int_t)c->replayed, "unproven", (json_int_t)c->unproven,
			 "strangers", (json_int_t)c->strangers);
}

static json_t *quorum_json(const struct flow *f, const struct quorum *q)
{
	int rule = f->config->quorum.split_brain;

	return json_pack("{s:b, s:i, s:i, s:i, s:b, s:I, s:s, s:s}", "enabled",
			 quorum_is_needed(q), "votes", quorum_n_votes(q), "needed",
			 quorum_n_needed(q), "alive", quorum_n_alive(q), "majority",
			 quorum_has_majority(q), "promised", (json_int_t)f->role.promised,
			 "promised_to", f->role.promised_to, "split_brain",
			 fr_config_split_brain_name(rule));
}

/* Both count the same votes, or two majorities need not share a voter. */
static void warn_of_votes(json_t *warnings, const struct quorum *q, const struct heartbeat_voter *v)
{
	unsigned int ours = quorum_is_needed(q) ? quorum_n_votes(q) : 0;

	if (v->is_alive && v->last.votes != ours)
		json_array_append_new(warnings,
				      json_sprintf("quorum: %s counts %u votes, this node %u",
						   v->name, v->last.votes, ours));
}

static void warn_of_quorum(json_t *warnings, const struct flow *f)
{
	const struct quorum *q = pulse_quorum(f->pulse);
	const struct heartbeat *h = q ? quorum_heartbeat(q) : NULL;
	size_t i;

	if (f->role.role == FR_ROLE_PRIMARY && f->role.is_forced)
		json_array_append_new(warnings, json_sprintf("primary by force, without the votes "
							     "of a majority"));
	if (!q)
		return;
	if (quorum_rival(q))
		json_array_append_new(warnings, json_sprintf("split brain: %s is primary, too",
							     quorum_rival(q)->name));
	if (quorum_is_needed(q) && !quorum_has_majority(q))
		json_array_append_new(warnings,
				      json_sprintf("no majority: %u of %u voters are there, %u are "
						   "needed", quorum_n_alive(q), quorum_n_votes(q),
						   quorum_n_needed(q)));
	for (i = 0; i < heartbeat_n_voters(h); i++)
		warn_of_votes(warnings, q, heartbeat_voter(h, i));
	for (i = 0; i < f->n_links; i++)
		if (flow_is_cut_off(&f->links[i]))
			json_array_append_new(warnings,
					      json_sprintf("%s is alive, but not connected",
							   flow_heartbeat(&f->links[i])->name));
}

static json_t *warnings_json(struct flow *f)
{
	const struct inject_counts *ic = inject_counts(f->inject);
	const char *windows = ready_windows(f);
	struct arbiter arbiter = arbiter_of(f);
	json_t *a = json_array();
	size_t i;

	if (drain_trouble(f->drain)[0])
		json_array_append_new(a, json_string(drain_trouble(f->drain)));
	if (windows)
		json_array_append_new(a, json_string(windows));
	for (i = 0; i < f->n_tables; i++)
		warn_of_table(a, &f->tables[i]);
	if (!f->config->transport.encryption)
		json_array_append_new(a, json_string("NOT ENCRYPTED: "
						     "transport.encryption = false"));
	if (f->keys && tls_keys_trouble(f->keys)[0])
		json_array_append_new(a, json_sprintf("certificate: %s",
						      tls_keys_trouble(f->keys)));
	for (i = 0; i < f->n_links; i++) {
		warn_of_tables(a, &f->links[i]);
		warn_of_keys(a, &f->links[i]);
	}
	warn_of_quorum(a, f);
	for (i = 0; filter_held(f->filter, i); i++)
		json_array_append_new(a, json_sprintf("config held back as sensitive: %s",
						      filter_held(f->filter, i)));
	if (f->elements)
		warn_of_sets(a, elements_sets(f->elements));
	arbiter_warn(&arbiter, a);
	if (archive_trouble(f->archive)[0])
		json_array_append_new(a, json_string(archive_trouble(f->archive)));
	for (i = 0; i < f->n_links; i++)
		if (f->links[i].wants_backup)
			json_array_append_new(a, json_sprintf("peer %s: repairs wait for a backup",
							      peer_id(f->links[i].peer)));
	if (ic->full)
		json_array_append_new(a, json_sprintf("%lu records found their table full",
						      ic->full));
	if (ic->clash)
		json_array_append_new(a, json_sprintf("%lu records found their NAT port taken",
						      ic->clash));
	return a;
}

static void on_status(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;
	struct flow *f = c->flow;
	const struct quorum *q = pulse_quorum(f->pulse);
	json_t *s = json_object(), *peers = json_array();
	struct arbiter a = arbiter_of(f);
	bool connected = false;
	size_t i;

	(void)body;
	for (i = 0; i < f->n_links; i++) {
		json_array_append_new(peers, peer_json(&f->links[i]));
		connected |= peer_state(f->links[i].peer) == PEER_UP;
	}
	json_object_set_new(s, "mode", json_string(fr_config_mode_name(c->config->mode)));
	json_object_set_new(s, "ha_enabled", json_boolean(!flow_is_standalone(f)));
	json_object_set_new(s, "ha_role", json_string(fr_role_name(f->role.role)));
	json_object_set_new(s, "node_id", json_string(c->config->node_id));
	json_object_set_new(s, "connected", json_boolean(connected));
	json_object_set_new(s, "peer_address",
			    f->n_links ? json_string(peer_address(f->links[0].peer)) : json_null());
	json_object_set_new(s, "sync_state", json_string(node_state(f)));
	json_object_set_new(s, "last_sync_time", when(last_sync_ns(f)));
	json_object_set_new(s, "version", json_string(FLYREP_VERSION));
	json_object_set_new(s, "error", json_string(drain_trouble(f->drain)));
	json_object_set_new(s, "sequence", json_integer(backlog_next_seq(f->backlog) - 1));
	json_object_set_new(s, "epoch", json_integer(f->role.epoch));
	json_object_set_new(s, "paused", json_boolean(f->stream.is_paused));
	json_object_set_new(s, "conflicts_pending", json_integer(arbiter_pending(&a)));
	json_object_set_new(s, "ledger_error", arbiter_trouble(&a) ?
						       json_string(arbiter_trouble(&a)) :
						       json_null());
	json_object_set_new(s, "next_full_resync", next_json(f->schedule));
	json_object_set_new(s, "taken_over", json_integer(f->n_taken_over));
	json_object_set_new(s, "lost", json_integer(f->n_lost));
	json_object_set_new(s, "module", module_json(f));
	json_object_set_new(s, "tables", tables_json(f));
	if (f->elements)
		json_object_set_new(s, "nft_sets", sets_json(elements_sets(f->elements)));
	json_object_set_new(s, "backup_trouble", json_string(archive_trouble(f->archive)));
	json_object_set_new(s, "forced", json_boolean(f->role.role == FR_ROLE_PRIMARY &&
						      f->role.is_forced));
	if (q)
		json_object_set_new(s, "heartbeat", heartbeat_json(quorum_heartbeat(q)));
	if (q)
		json_object_set_new(s, "quorum", quorum_json(f, q));
	json_object_set_new(s, "warnings", warnings_json(f));
	json_object_set_new(s, "peers", peers);
	api_reply(call, json_pack("{s:o}", "status", s));
}

static json_t *quantile_json(struct latency *l, uint64_t now, unsigned int permille)
{
	return json_real(monotonic_ms(latency_quantile_ns(l, now, permille)));
}

static void on_lag(void *cookie, struct api_call *call, const json_t *body)
{
	struct flow *f = ((struct control *)cookie)->flow;
	json_t *peers = json_array();
	uint64_t now = monotonic_ns();
	size_t i;

	(void)body;
	for (i = 0; i < f->n_links; i++) {
		struct latency *l = ship_latency(f->links[i].ship);
		uint64_t n, bytes, age = oldest_age_ns(&f->links[i], &n, &bytes);
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
	api_reply(call, json_pack("{s:o}", "peers", peers));
}

/* Changes that exist nowhere but on the writer. */
static json_t *would_lose(const struct flow *f)
{
	uint64_t worst = 0, n, bytes;
	bool is_known = false;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		const struct flow_link *l = &f->links[i];

		if (peer_state(l->peer) != PEER_UP)
			continue;
		if (l->relation == ROLE_WRITE && ship_is_started(l->ship))
			oldest_age_ns(l, &n, &bytes), n += f->n_withheld;
		else if (flow_link_reads(l))
			n = peer_remote_pending(l->peer);
		else
			continue;
		is_known = true;
		worst = n > worst ? n : worst;
	}
	return is_known ? json_integer(worst) : json_null();
}

static void on_ready(void *cookie, struct api_call *call, const json_t *body)
{
	struct flow *f = ((struct control *)cookie)->flow;
	json_t *reasons = json_array();
	char text[2048], *line, *save = NULL;
	bool ready;

	(void)body;
	ready = ready_ask(f, text, sizeof(text));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		json_array_append_new(reasons, json_string(line));
	api_reply(call, json_pack("{s:b, s:o, s:o, s:s}", "ready", ready, "reasons", reasons,
				  "would_lose", would_lose(f), "role",
				  fr_role_name(f->role.role)));
}

/* Change the role, and answer. */
static void set_role(struct flow *f, struct api_call *call, enum fr_role role, uint64_t begin)
{
	uint32_t n = 0;
	int rc = flow_set_role(f, role, &n);

	if (rc < 0) {
		api_fail(call, 500, "role not changed", "%s", strerror(-rc));
		return;
	}
	api_reply(call, json_pack("{s:s, s:I, s:I, s:b, s:f}", "role", fr_role_name(f->role.role),
				  "epoch", (json_int_t)f->role.epoch, "promoted", (json_int_t)n,
				  "forced", role == FR_ROLE_PRIMARY && f->role.is_forced,
				  "took_ms", monotonic_ms(monotonic_ns() - begin)));
}

static void on_elected(void *cookie, const char *why)
{
	struct control *c = cookie;
	struct api_call *call = c->takeover;

	c->takeover = NULL;
	if (!why[0]) {
		set_role(c->flow, call, FR_ROLE_PRIMARY, c->takeover_ns);
		return;
	}
	fr_warn("quorum: the takeover was refused: %s", why);
	api_fail(call, 409, "no majority", "%s", why);
}

/* With a quorum: answered when the votes are there, or the time is up. */
static void elect(struct control *c, struct api_call *call)
{
	int rc;

	if (c->takeover) {
		api_fail(call, 409, "busy", "a takeover is being voted on");
		return;
	}
	c->takeover = call;
	c->takeover_ns = monotonic_ns();
	rc = pulse_elect(c->flow->pulse, on_elected, c);
	if (rc >= 0)
		return;
	c->takeover = NULL;
	api_fail(call, 500, "role not changed", "the own vote cannot be saved: %s", strerror(-rc));
}

static void force(struct flow *f, struct api_call *call)
{
	int rc = quorum_force(pulse_quorum(f->pulse));

	if (rc < 0) {
		api_fail(call, 500, "role not changed", "%s", strerror(-rc));
		return;
	}
	fr_warn("quorum: primary by force, without the votes of a majority: %u of %u voters are "
		"there", quorum_n_alive(pulse_quorum(f->pulse)),
		quorum_n_votes(pulse_quorum(f->pulse)));
	set_role(f, call, FR_ROLE_PRIMARY, monotonic_ns());
}

static void on_role(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;
	struct flow *f = c->flow;
	const char *name = json_string_value(json_object_get(body, "role"));
	const json_t *forced = json_object_get(body, "force");
	const struct quorum *q = pulse_quorum(f->pulse);
	int role;

	for (role = FR_ROLE_BACKUP; role <= FR_ROLE_FAULT; role++)
		if (name && !strcmp(name, fr_role_name(role)))
			break;
	if (role > FR_ROLE_FAULT || (forced && !json_is_boolean(forced))) {
		api_fail(call, 400, "bad role", role > FR_ROLE_FAULT ?
			 "role: one of primary, backup, fault" : "force: true or false");
		return;
	}
	if (flow_is_shared(f) || flow_is_standalone(f)) {
		api_fail(call, 409, "no role to change", flow_is_shared(f) ?
			 "where the mode is %s every node writes" :
			 "where the mode is %s there is no other node",
			 fr_config_mode_name(f->config->mode));
		return;
	}
	if (role != FR_ROLE_PRIMARY || f->role.role == FR_ROLE_PRIMARY || !q ||
	    !quorum_is_needed(q))
		set_role(f, call, role, monotonic_ns());
	else if (json_is_true(forced))
		force(f, call);
	else
		elect(c, call);
}

/* Begins it; how it goes is told by the status. */
static void on_key_rotate(void *cookie, struct api_call *call, const json_t *body)
{
	struct flow *f = ((struct control *)cookie)->flow;
	const json_t *wanted = json_object_get(body, "peer");
	json_t *peers = json_array();
	bool is_known = !wanted;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		struct peer *p = f->links[i].peer;

		if (wanted && strcmp(peer_id(p), json_string_value(wanted) ?: "") != 0)
			continue;
		is_known = true;
		if (!peer_renew(p))
			json_array_append_new(peers, json_pack("{s:s, s:I}", "id", peer_id(p),
							       "renewals",
							       (json_int_t)peer_n_renewals(p)));
	}
	if (is_known && json_array_size(peers)) {
		api_reply(call, json_pack("{s:o}", "peers", peers));
		return;
	}
	json_decref(peers);
	if (is_known)
		api_fail(call, 409, "no session", "there are no keys: no peer is connected");
	else
		api_fail(call, 404, "unknown peer", "peer: none of ours");
}

/* Asked twice is asked once. */
static void set_paused(struct control *c, struct api_call *call, bool pause)
{
	bool was_paused = c->flow->stream.is_paused;

	flow_pause(c->flow, pause);
	api_reply(call, json_pack("{s:b, s:b}", "paused", pause, "changed", was_paused != pause));
}

static void on_pause(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	set_paused(cookie, call, true);
}

static void on_resume(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	set_paused(cookie, call, false);
}

/* A name in a body, or NULL; false: it is no name, and @call has its answer. */
static bool get_name(struct api_call *call, const json_t *body, const char *key, const char **name)
{
	const json_t *v = json_object_get(body, key);

	*name = json_string_value(v);
	if (!v || *name)
		return true;
	api_fail(call, 400, "bad request", "%s: a name", key);
	return false;
}

static void on_resync(void *cookie, struct api_call *call, const json_t *body)
{
	struct flow *f = ((struct control *)cookie)->flow;
	struct resync_wish wish = { 0 };
	const char *table;
	char why[200], id[16];
	int rc;

	if (!get_name(call, body, "peer", &wish.peer) || !get_name(call, body, "table", &table))
		return;
	if (table && !fr_table_by_name(table)) {
		api_fail(call, 404, "no such table", "there is no table %.60s", table);
		return;
	}
	if (table)
		wish.tables = 1ull << fr_table_by_name(table)->id;
	rc = resync_start(f->resync, &wish, why, sizeof(why));
	if (rc < 0) {
		api_fail(call, rc == -ENOENT ? 404 : 409,
			 rc == -EBUSY  ? "busy" :
			 rc == -ENOENT ? "no such peer" :
					 "nobody to resync",
			 "%s", why);
		return;
	}
	snprintf(id, sizeof(id), "%u", resync_id(f->resync));
	api_accept(call, resync_json(f->resync, id));
}

static void on_resync_progress(void *cookie, struct api_call *call, const json_t *body)
{
	json_t *o = resync_json(((struct control *)cookie)->flow->resync, api_arg(call));

	(void)body;
	if (o)
		api_reply(call, o);
	else
		api_fail(call, 404, "not found", "no resync %s; the last one is remembered",
			 api_arg(call));
}

static void on_validate(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;

	validate_start(&c->validate, c->event, c->flow, call, body);
}

/* --- conflicts --- */

static void on_conflicts(void *cookie, struct api_call *call, const json_t *body)
{
	struct arbiter a = arbiter_of(((struct control *)cookie)->flow);

	(void)body;
	arbiter_list(&a, call);
}

static void on_conflict(void *cookie, struct api_call *call, const json_t *body)
{
	struct arbiter a = arbiter_of(((struct control *)cookie)->flow);

	(void)body;
	arbiter_show(&a, call);
}

static void on_resolve(void *cookie, struct api_call *call, const json_t *body)
{
	struct arbiter a = arbiter_of(((struct control *)cookie)->flow);

	arbiter_resolve(&a, call, body);
	if (a.ledger)
		versions_flush_soon(((struct control *)cookie)->flow->versions);
}

static void on_test_conflict(void *cookie, struct api_call *call, const json_t *body)
{
	struct arbiter a = arbiter_of(((struct control *)cookie)->flow);

	(void)body;
	arbiter_test(&a, call);
}

static void on_checkpoint(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	control_backups_take(((struct control *)cookie)->backups, call, ARCHIVE_CHECKPOINT);
}

static void on_backup(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	control_backups_take(((struct control *)cookie)->backups, call, ARCHIVE_BACKUP);
}

static void on_backups(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	control_backups_list(((struct control *)cookie)->backups, call);
}

static void on_restore(void *cookie, struct api_call *call, const json_t *body)
{
	control_backups_restore(((struct control *)cookie)->backups, call, body);
}

static const struct api_route routes[] = {
	{ "GET", "/api/replication/status", on_status },
	{ "GET", "/api/replication/lag", on_lag },
	{ "GET", "/api/replication/ready", on_ready },
	{ "POST", "/api/replication/role", on_role },
	{ "POST", "/api/replication/pause", on_pause },
	{ "POST", "/api/replication/resume", on_resume },
	{ "POST", "/api/replication/resync", on_resync },
	{ "GET", "/api/replication/resync/+", on_resync_progress },
	{ "POST", "/api/replication/validate", on_validate },
	{ "POST", "/api/replication/key/rotate", on_key_rotate },
	{ "GET", "/api/replication/conflicts", on_conflicts },
	{ "GET", "/api/replication/conflicts/+", on_conflict },
	{ "POST", "/api/replication/conflicts/+/resolve", on_resolve },
	{ "GET", "/api/replication/test-conflict", on_test_conflict },
	{ "POST", "/api/replication/checkpoint", on_checkpoint },
	{ "GET", "/api/replication/backups", on_backups },
	{ "POST", "/api/replication/backups", on_backup },
	{ "POST", "/api/replication/backups/+/restore", on_restore },
	{},
};

int control_new(struct control **out, sd_event *event, struct flow *flow,
		const struct fr_config *config)
{
	struct control *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	c->event = sd_event_ref(event);
	c->flow = flow;
	c->config = config;
	c->backups = control_backups_new(event, flow);
	rc = c->backups ? api_start(&c->api, event, config->api.socket, routes, c) : -ENOMEM;
	if (rc < 0) {
		fr_err("api: cannot serve on %s: %s", config->api.socket, strerror(-rc));
		control_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	validate_stop(c->validate);
	control_backups_free(c->backups);
	if (c->takeover) {
		quorum_withdraw(pulse_quorum(c->flow->pulse));
		api_fail(c->takeover, 503, "stopping", "the agent stops");
	}
	api_stop(c->api);
	sd_event_unref(c->event);
	free(c);
}

void control_summary(struct control *c, char *buf, size_t len)
{
	struct flow *f = c->flow;

	snprintf(buf, len, "%s, %s, %lu entries, %zu peers", fr_role_name(f->role.role),
		 node_state(f), flow_entries(f), f->n_links);
}
