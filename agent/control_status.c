// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_status.h"

#include <stdio.h>
#include <time.h>

#include "control_json.h"
#include "control_peers.h"
#include "control_state.h"
#include "control_tables.h"
#include "control_warnings.h"
#include "monotonic.h"

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

/* The last one begun, by whomever; null: none. */
static json_t *resync_last(const struct resync *r)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", resync_id(r));
	return resync_json(r, id) ?: json_null();
}

/* Where it listens beside the unix socket. */
static json_t *api_json(const struct api *api)
{
	json_t *list = json_array();
	struct api_place p = { 0 };
	size_t i;

	for (i = 0; api_place(api, i, &p); i++)
		json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "address", p.address,
						      "listening", p.is_listening, "error",
						      p.trouble));
	return json_pack("{s:o, s:b, s:b}", "listen", list, "tls", p.is_tls, "token", p.has_token);
}

json_t *control_status_json(struct flow *f, const struct api *api)
{
	const struct quorum *q = pulse_quorum(f->pulse);
	json_t *s = json_object();
	struct arbiter a = control_state_arbiter(f);
	bool connected = false;
	size_t i;

	for (i = 0; i < f->n_links; i++)
		connected |= peer_state(f->links[i].peer) == PEER_UP;
	json_object_set_new(s, "mode", json_string(fr_config_mode_name(f->config->mode)));
	json_object_set_new(s, "ha_enabled", json_boolean(!flow_is_standalone(f)));
	json_object_set_new(s, "ha_role", json_string(fr_role_name(f->role.role)));
	json_object_set_new(s, "node_id", json_string(f->config->node_id));
	json_object_set_new(s, "connected", json_boolean(connected));
	json_object_set_new(s, "peer_address",
			    f->n_links ? json_string(peer_address(f->links[0].peer)) : json_null());
	json_object_set_new(s, "sync_state", json_string(control_state_node(f)));
	json_object_set_new(s, "last_sync_time", control_json_when(last_sync_ns(f)));
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
	json_object_set_new(s, "resync", resync_last(f->resync));
	json_object_set_new(s, "taken_over", json_integer(f->n_taken_over));
	json_object_set_new(s, "lost", json_integer(f->n_lost));
	json_object_set_new(s, "module", module_json(f));
	json_object_set_new(s, "tables", control_tables_json(f));
	if (f->elements)
		json_object_set_new(s, "nft_sets", sets_json(elements_sets(f->elements)));
	json_object_set_new(s, "backup_trouble", json_string(archive_trouble(f->archive)));
	json_object_set_new(s, "forced", json_boolean(f->role.role == FR_ROLE_PRIMARY &&
						      f->role.is_forced));
	if (q)
		json_object_set_new(s, "heartbeat", control_peers_heartbeat(quorum_heartbeat(q)));
	if (q)
		json_object_set_new(s, "quorum", quorum_json(f, q));
	json_object_set_new(s, "api", api_json(api));
	json_object_set_new(s, "warnings", control_warnings_json(f, api));
	json_object_set_new(s, "peers", control_peers_json(f));
	return s;
}
