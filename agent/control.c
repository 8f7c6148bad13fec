// SPDX-License-Identifier: GPL-2.0-or-later

#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_backups.h"
#include "control_debug.h"
#include "control_events.h"
#include "control_peers.h"
#include "control_queue.h"
#include "control_state.h"
#include "control_stats.h"
#include "control_status.h"
#include "exposition.h"
#include "log.h"
#include "metrics.h"
#include "monotonic.h"
#include "ready.h"
#include "validate.h"
#include "versions.h"

struct control {
	sd_event *event;
	struct flow *flow;
	const struct fr_config *config;
	struct api *api;
	uint64_t begin_ns;
	struct validate *validate;	/* the running one */
	struct control_backups *backups;
	struct control_events *events;
	struct api_call *takeover;	/* that is voted on, since then */
	uint64_t takeover_ns;
};

static void on_status(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;

	(void)body;
	api_reply(call, json_pack("{s:o}", "status", control_status_json(c->flow, c->api)));
}

static void on_lag(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;

	(void)body;
	api_reply(call, json_pack("{s:o}", "peers", control_peers_lag(c->flow)));
}

static void on_peers(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;

	(void)body;
	api_reply(call, json_pack("{s:o}", "peers", control_peers_json(c->flow)));
}

static void on_debug(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;
	json_t *o = control_debug_json(c->flow, api_arg(call));

	(void)body;
	if (o)
		api_reply(call, o);
	else
		api_fail(call, 404, "unknown peer", "%s: none of ours", api_arg(call));
}

static void on_queue(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;

	(void)body;
	api_reply(call, json_pack("{s:o}", "queue", control_queue_json(c->flow)));
}

static void on_stats(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;

	(void)body;
	api_reply(call, json_pack("{s:o}", "stats",
				  control_stats_json(c->flow, c->api, c->begin_ns)));
}

static void on_events(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;

	(void)body;
	control_events_tell(c->events, call);
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
			control_state_age_ns(l, &n, &bytes), n += f->n_withheld;
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
	struct arbiter a = control_state_arbiter(((struct control *)cookie)->flow);

	(void)body;
	arbiter_list(&a, call);
}

static void on_conflict(void *cookie, struct api_call *call, const json_t *body)
{
	struct arbiter a = control_state_arbiter(((struct control *)cookie)->flow);

	(void)body;
	arbiter_show(&a, call);
}

static void on_resolve(void *cookie, struct api_call *call, const json_t *body)
{
	struct arbiter a = control_state_arbiter(((struct control *)cookie)->flow);

	arbiter_resolve(&a, call, body);
	if (a.ledger)
		versions_flush_soon(((struct control *)cookie)->flow->versions);
}

static void on_test_conflict(void *cookie, struct api_call *call, const json_t *body)
{
	struct arbiter a = control_state_arbiter(((struct control *)cookie)->flow);

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

static void on_openapi(void *cookie, struct api_call *call, const json_t *body)
{
	(void)cookie;
	(void)body;
	api_reply_asset(call, &asset_openapi);
}

static void on_page(void *cookie, struct api_call *call, const json_t *body)
{
	(void)cookie;
	(void)body;
	api_reply_asset(call, &asset_page);
}

static void on_page_css(void *cookie, struct api_call *call, const json_t *body)
{
	(void)cookie;
	(void)body;
	api_reply_asset(call, &asset_page_css);
}

static void on_page_js(void *cookie, struct api_call *call, const json_t *body)
{
	(void)cookie;
	(void)body;
	api_reply_asset(call, &asset_page_js);
}

static void on_metrics(void *cookie, struct api_call *call, const json_t *body)
{
	struct control *c = cookie;

	(void)body;
	api_reply_text(call, EXPOSITION_TYPE, metrics_text(c->flow, c->api));
}

static const struct api_route routes[] = {
	API_GET_PUBLIC("/", on_page),
	API_GET_PUBLIC("/page.css", on_page_css),
	API_GET_PUBLIC("/page.js", on_page_js),
	API_GET("/metrics", on_metrics),
	API_GET_PUBLIC("/api/openapi.json", on_openapi),
	API_GET("/api/replication/status", on_status),
	API_GET("/api/replication/peers", on_peers),
	API_GET("/api/replication/peers/+/debug", on_debug),
	API_GET("/api/replication/lag", on_lag),
	API_GET("/api/replication/queue", on_queue),
	API_GET("/api/replication/stats", on_stats),
	API_GET("/api/replication/events", on_events),
	API_GET("/api/replication/ready", on_ready),
	API_POST("/api/replication/role", on_role),
	API_POST("/api/replication/pause", on_pause),
	API_POST("/api/replication/resume", on_resume),
	API_POST("/api/replication/resync", on_resync),
	API_GET("/api/replication/resync/+", on_resync_progress),
	API_POST("/api/replication/validate", on_validate),
	API_POST("/api/replication/key/rotate", on_key_rotate),
	API_GET("/api/replication/conflicts", on_conflicts),
	API_GET("/api/replication/conflicts/+", on_conflict),
	API_POST("/api/replication/conflicts/+/resolve", on_resolve),
	API_GET("/api/replication/test-conflict", on_test_conflict),
	API_POST("/api/replication/checkpoint", on_checkpoint),
	API_GET("/api/replication/backups", on_backups),
	API_POST("/api/replication/backups", on_backup),
	API_POST("/api/replication/backups/+/restore", on_restore),
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
	c->begin_ns = monotonic_ns();
	c->backups = control_backups_new(event, flow);
	rc = c->backups ? api_start(&c->api, event, config->api.socket, routes, c) : -ENOMEM;
	if (rc < 0) {
		fr_err("api: cannot serve on %s: %s", config->api.socket, strerror(-rc));
		control_free(c);
		return rc;
	}
	rc = control_events_new(&c->events, event, flow, c->api);
	if (rc >= 0)
		rc = api_listen(c->api, &config->api);
	if (rc < 0) {
		control_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

int control_reload(struct control *c)
{
	return api_listen(c->api, &c->config->api);
}

void control_free(struct control *c)
{
	if (!c)
		return;
	control_events_free(c->events);
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
		 control_state_node(f), flow_entries(f), f->n_links);
}
