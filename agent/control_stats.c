// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_stats.h"

#include "control_state.h"
#include "control_tables.h"
#include "counter.h"
#include "ledger.h"
#include "monotonic.h"

struct sum {
	const char *name;
	uint64_t n;
};

static json_t *sums_json(const struct sum *sums, size_t n)
{
	json_t *o = json_object();
	size_t i;

	for (i = 0; i < n; i++)
		json_object_set_new(o, sums[i].name, json_integer((json_int_t)sums[i].n));
	return o;
}

#define SUMS(...) \
	sums_json((const struct sum[]){ __VA_ARGS__ }, \
		  sizeof((const struct sum[]){ __VA_ARGS__ }) / sizeof(struct sum))

static json_t *filter_json(const struct flow *f)
{
	struct filter_counts sum = { 0 };
	size_t i;

	for (i = 0; i < f->n_tables; i++) {
		const struct filter_counts *c = filter_counts(f->filter, f->tables[i].row->id);

		sum.filtered += c->filtered;
		sum.missing_value += c->missing_value;
		sum.withdrawn += c->withdrawn;
		sum.reduced += c->reduced;
		sum.refused += c->refused;
	}
	return SUMS({ "filtered", sum.filtered }, { "missing_value", sum.missing_value },
		    { "withdrawn", sum.withdrawn }, { "reduced", sum.reduced },
		    { "refused", sum.refused });
}

static json_t *batch_json(const struct flow *f)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < f->n_tables; i++)
		n += f->tables[i].n_refused;
	return SUMS({ "batches", backlog_next_seq(f->backlog) - 1 }, { "malformed", n });
}

static json_t *ship_json(const struct flow *f)
{
	struct ship_figures sum = { 0 };
	uint64_t tx = 0;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		const struct ship_figures *s = ship_figures(f->links[i].ship);

		sum.n_sessions += s->n_sessions;
		sum.n_audits += s->n_audits;
		sum.n_jumps += s->n_jumps;
		sum.n_skips += s->n_skips;
		sum.n_repaired += s->n_repaired;
		sum.n_repair_records += s->n_repair_records;
		sum.n_repair_bytes += s->n_repair_bytes;
		tx += peer_tx_bytes(f->links[i].peer);
	}
	return SUMS({ "sessions", sum.n_sessions }, { "audits", sum.n_audits },
		    { "jumps", sum.n_jumps }, { "skips", sum.n_skips },
		    { "repaired_buckets", sum.n_repaired },
		    { "repair_records", sum.n_repair_records },
		    { "repair_bytes", sum.n_repair_bytes }, { "tx_bytes", tx });
}

static json_t *receive_json(const struct flow *f)
{
	struct receive_figures sum = { 0 };
	uint64_t rx = 0;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		const struct receive_figures *r = receive_figures(f->links[i].receive);

		sum.n_batches += r->n_batches;
		sum.n_changes += r->n_changes;
		sum.n_refs += r->n_refs;
		sum.n_lost_refs += r->n_lost_refs;
		rx += peer_rx_bytes(f->links[i].peer);
	}
	return SUMS({ "batches", sum.n_batches }, { "changes", sum.n_changes },
		    { "references", sum.n_refs }, { "lost_references", sum.n_lost_refs },
		    { "rx_bytes", rx });
}

static json_t *resolve_json(const struct flow *f)
{
	const struct arbiter a = control_state_arbiter(f);
	const struct ledger_figures none = { 0 };
	const struct ledger_figures *n = a.ledger ? ledger_figures(a.ledger) : &none;

	return SUMS({ "conflicts", n->n_conflicts }, { "skewed", n->n_skewed },
		    { "clamped", n->n_clamped }, { "pending", arbiter_pending(&a) });
}

static json_t *inject_json(const struct flow *f)
{
	const struct inject_counts *c = inject_counts(f->inject);

	return SUMS({ "applied", c->applied }, { "refused", c->refused }, { "full", c->full },
		    { "clash", c->clash }, { "ours", c->ours });
}

static json_t *module_json(struct flow *f)
{
	struct fr_genl_info info;
	json_t *o;
	size_t i;

	if (drain_info(f->drain, &info) < 0)
		return json_null();
	o = json_object();
	for (i = 0; i < info.n_counters; i++)
		if (fr_counter_name(i))
			json_object_set_new(o, fr_counter_name(i),
					    json_integer((json_int_t)info.counters[i]));
	return o;
}

static json_t *peer_json(const struct flow_link *l)
{
	const struct ship_figures *s = ship_figures(l->ship);
	json_t *o = SUMS({ "tx_bytes", peer_tx_bytes(l->peer) },
			 { "rx_bytes", peer_rx_bytes(l->peer) }, { "sessions", s->n_sessions },
			 { "jumps", s->n_jumps }, { "skips", s->n_skips },
			 { "audits", s->n_audits }, { "repaired_buckets", s->n_repaired },
			 { "repair_records", s->n_repair_records },
			 { "repair_bytes", s->n_repair_bytes },
			 { "key_renewals", peer_n_renewals(l->peer) });

	json_object_set_new(o, "id", json_string(peer_id(l->peer)));
	return o;
}

static json_t *heartbeat_json(const struct flow *f)
{
	const struct quorum *q = pulse_quorum(f->pulse);
	const struct heartbeat_counts *c = q ? heartbeat_counts(quorum_heartbeat(q)) : NULL;

	if (!c)
		return json_null();
	return SUMS({ "sent", c->sent }, { "received", c->received },
		    { "malformed", c->malformed }, { "forged", c->forged },
		    { "replayed", c->replayed }, { "unproven", c->unproven },
		    { "strangers", c->strangers });
}

static json_t *ledger_json(const struct flow *f)
{
	struct ledger *l = flow_ledger(f);
	const struct ledger_figures *n = l ? ledger_figures(l) : NULL;

	if (!n)
		return json_null();
	return SUMS({ "slots", n->n_slots }, { "own", n->n_own },
		    { "tombstones", n->n_tombstones }, { "in_effect", n->n_in_effect },
		    { "tombstones_dropped", n->n_tombstones_dropped },
		    { "adopted", n->n_adopted }, { "refused", n->n_refused },
		    { "commits", n->n_commits });
}

static json_t *api_json(struct api *api)
{
	json_t *o = json_object();
	unsigned int i;

	for (i = 0; i < API_N_COUNTS; i++)
		json_object_set_new(o, api_count_name(i),
				    json_integer((json_int_t)api_counts(api, i)));
	json_object_set_new(o, "connections", json_integer(api_connections(api)));
	return o;
}

json_t *control_stats_json(struct flow *f, struct api *api, uint64_t begin_ns)
{
	json_t *o = json_object(), *peers = json_array();
	size_t i;

	for (i = 0; i < f->n_links; i++)
		json_array_append_new(peers, peer_json(&f->links[i]));
	json_object_set_new(o, "node_id", json_string(f->config->node_id));
	json_object_set_new(o, "version", json_string(FLYREP_VERSION));
	json_object_set_new(o, "uptime_ms", json_real(monotonic_ms(monotonic_ns() - begin_ns)));
	json_object_set_new(o, "stages",
			    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "filter", filter_json(f),
				      "batch", batch_json(f), "ship", ship_json(f), "receive",
				      receive_json(f), "resolve", resolve_json(f), "inject",
				      inject_json(f)));
	json_object_set_new(o, "module", module_json(f));
	json_object_set_new(o, "tables", control_tables_json(f));
	json_object_set_new(o, "peers", peers);
	json_object_set_new(o, "heartbeat", heartbeat_json(f));
	json_object_set_new(o, "ledger", ledger_json(f));
	json_object_set_new(o, "checks", SUMS({ "comparisons", f->check.n }));
	json_object_set_new(o, "api", api_json(api));
	return o;
}
