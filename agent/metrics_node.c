// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics_row.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "control_state.h"
#include "control_warnings.h"
#include "counter.h"
#include "metrics_process.h"
#include "ready.h"

#define COUNTER_NAME_LEN 64

/* --- how samples are told --- */

static void tell_node(struct scrape *s, const struct metrics_row *m)
{
	exposition_sample(&s->x, "", NULL, m->node(s));
}

static void tell_inject(struct scrape *s, const struct metrics_row *m)
{
	exposition_sample(&s->x, "", NULL,
			  metrics_row_counter(inject_counts(s->flow->inject), m));
}

static const struct quorum *quorum_of(const struct scrape *s)
{
	return pulse_quorum(s->flow->pulse);
}

static void tell_heartbeat(struct scrape *s, const struct metrics_row *m)
{
	const struct quorum *q = quorum_of(s);

	if (q)
		exposition_sample(&s->x, "", NULL,
				  metrics_row_counter(heartbeat_counts(quorum_heartbeat(q)), m));
}

static void tell_ledger(struct scrape *s, const struct metrics_row *m)
{
	struct ledger *l = flow_ledger(s->flow);

	if (l)
		exposition_sample(&s->x, "", NULL, metrics_row_counter(ledger_figures(l), m));
}

/* --- of the node --- */

static void tell_build(struct scrape *s, const struct metrics_row *m)
{
	const struct fr_config *c = s->flow->config;

	(void)m;
	exposition_sample(&s->x, "",
			  METRICS_LABELS({ "version", FLYREP_VERSION },
					 { "node_id", c->node_id },
					 { "mode", fr_config_mode_name(c->mode) }),
			  1);
}

static const char *role_word(size_t i)
{
	return i < FR_ROLE_PEER ? fr_role_name(i + FR_ROLE_BACKUP) : NULL;
}

static void tell_role(struct scrape *s, const struct metrics_row *m)
{
	(void)m;
	metrics_row_words(s, NULL, "role", role_word, fr_role_name(s->flow->role.role));
}

static void tell_state(struct scrape *s, const struct metrics_row *m)
{
	(void)m;
	metrics_row_words(s, NULL, "state", control_state_name, control_state_node(s->flow));
}

static double epoch(const struct scrape *s)
{
	return (double)s->flow->role.epoch;
}

static double is_forced(const struct scrape *s)
{
	return s->flow->role.role == FR_ROLE_PRIMARY && s->flow->role.is_forced;
}

static double is_paused(const struct scrape *s)
{
	return s->flow->stream.is_paused;
}

static double is_ready(const struct scrape *s)
{
	char reasons[2048];

	return ready_ask(s->flow, reasons, sizeof(reasons));
}

static double n_warnings(const struct scrape *s)
{
	json_t *warnings = control_warnings_json(s->flow, s->api);
	double n = (double)json_array_size(warnings);

	json_decref(warnings);
	return n;
}

static double n_taken_over(const struct scrape *s)
{
	return (double)s->flow->n_taken_over;
}

static double n_lost(const struct scrape *s)
{
	return (double)s->flow->n_lost;
}

static double n_checks(const struct scrape *s)
{
	return (double)s->flow->check.n;
}

static double cert_expiry(const struct scrape *s)
{
	int64_t at = s->flow->keys ? tls_keys_expiry(s->flow->keys) : 0;

	return at ? (double)(at - time(NULL)) : NAN;
}

static double has_cert_trouble(const struct scrape *s)
{
	return s->flow->keys ? tls_keys_trouble(s->flow->keys)[0] != '\0' : NAN;
}

static double has_backup_trouble(const struct scrape *s)
{
	return archive_trouble(s->flow->archive)[0] != '\0';
}

static double cpu_seconds(const struct scrape *s)
{
	(void)s;
	return metrics_process_cpu_s();
}

static double resident_bytes(const struct scrape *s)
{
	(void)s;
	return metrics_process_resident();
}

static double start_time(const struct scrape *s)
{
	(void)s;
	return metrics_process_start_s();
}

/* --- of the module --- */

static double has_module(const struct scrape *s)
{
	return s->has_module;
}

static double n_flows(const struct scrape *s)
{
	return s->has_module ? s->info.ct_count : NAN;
}

static double n_flows_max(const struct scrape *s)
{
	return s->has_module ? s->info.ct_max : NAN;
}

static double n_ring_entries(const struct scrape *s)
{
	return s->has_module ? s->info.ring_entries : NAN;
}

static double n_dirty(const struct scrape *s)
{
	return s->has_module ? s->info.dirty : NAN;
}

/* Of each counter a family of its own: they are of different things. */
static void tell_kernel(struct scrape *s, const struct metrics_row *m)
{
	char name[COUNTER_NAME_LEN];
	size_t i;

	for (i = 0; s->has_module && i < s->info.n_counters && fr_counter_name(i); i++) {
		snprintf(name, sizeof(name), "%s%s_total", m->name, fr_counter_name(i));
		exposition_family(&s->x, name, m->type, fr_counter_help(i));
		exposition_sample(&s->x, "", NULL, (double)s->info.counters[i]);
	}
}

/* --- of conflicts, resyncs, heartbeats --- */

static double n_pending(const struct scrape *s)
{
	struct arbiter a = control_state_arbiter(s->flow);

	return (double)arbiter_pending(&a);
}

static double has_ledger_trouble(const struct scrape *s)
{
	struct arbiter a = control_state_arbiter(s->flow);

	return a.ledger ? !!arbiter_trouble(&a) : NAN;
}

static double n_resyncs(const struct scrape *s)
{
	return resync_id(s->flow->resync);
}

static double resync_progress(const struct scrape *s)
{
	bool is_on, has_failed;

	return resync_ratio(s->flow->resync, &is_on, &has_failed);
}

static double is_resyncing(const struct scrape *s)
{
	bool is_on, has_failed;

	resync_ratio(s->flow->resync, &is_on, &has_failed);
	return is_on;
}

static double has_resync_failed(const struct scrape *s)
{
	bool is_on, has_failed;

	resync_ratio(s->flow->resync, &is_on, &has_failed);
	return has_failed;
}

static void tell_voters(struct scrape *s, const struct metrics_row *m)
{
	const struct heartbeat *h = quorum_of(s) ? quorum_heartbeat(quorum_of(s)) : NULL;
	size_t i;

	(void)m;
	for (i = 0; h && i < heartbeat_n_voters(h); i++) {
		const struct heartbeat_voter *v = heartbeat_voter(h, i);

		exposition_sample(&s->x, "", METRICS_LABELS({ "voter", v->name }), v->is_alive);
	}
}

static double has_majority(const struct scrape *s)
{
	const struct quorum *q = quorum_of(s);

	return q && quorum_is_needed(q) ? quorum_has_majority(q) : NAN;
}

static double n_votes(const struct scrape *s)
{
	return quorum_of(s) ? quorum_n_votes(quorum_of(s)) : NAN;
}

static double n_votes_alive(const struct scrape *s)
{
	return quorum_of(s) ? quorum_n_alive(quorum_of(s)) : NAN;
}

/* --- the table --- */

#define NODE(fn) tell_node, .node = (fn)
#define INJECT(field) tell_inject, .at = METRICS_AT(struct inject_counts, field)
#define BEAT(field) tell_heartbeat, .at = METRICS_AT(struct heartbeat_counts, field)
#define LEDGER(field) tell_ledger, .at = METRICS_AT(struct ledger_figures, field)

const struct metrics_row metrics_node_rows[] = {
	{ "flyrep_build_info", "gauge", "Always 1, with what is running.",
	  METRICS_TELL(tell_build) },
	{ "flyrep_role", "gauge", "1 for the role of this node.", METRICS_TELL(tell_role) },
	{ "flyrep_state", "gauge", "1 for the state of this node, as sync_state of the status.",
	  METRICS_TELL(tell_state) },
	{ "flyrep_epoch", "gauge", "Highest epoch that was seen or taken.", NODE(epoch) },
	{ "flyrep_forced", "gauge", "Primary by force, without the votes of a majority.",
	  NODE(is_forced) },
	{ "flyrep_ready", "gauge", "This node may take over, or go on as primary.",
	  NODE(is_ready) },
	{ "flyrep_paused", "gauge", "Replication is paused on this node.", NODE(is_paused) },
	{ "flyrep_warnings", "gauge", "Warnings of the status.", NODE(n_warnings) },
	{ "flyrep_taken_over_total", "counter",
	  "Held flows that a packet made this node's own, without a promotion.",
	  NODE(n_taken_over) },
	{ "flyrep_lost_total", "counter", "Held objects that vanished from the kernel.",
	  NODE(n_lost) },
	{ "flyrep_self_checks_total", "counter", "Comparisons of index and kernel.",
	  NODE(n_checks) },
	{ "flyrep_backup_trouble", "gauge", "The last backup could not be taken.",
	  NODE(has_backup_trouble) },
	{ "flyrep_tls_cert_expiry_seconds", "gauge",
	  "Time until the certificate of this node ends; below 0: it has.", NODE(cert_expiry) },
	{ "flyrep_tls_cert_trouble", "gauge", "A file of transport.tls is faulty.",
	  NODE(has_cert_trouble) },
	{ "process_cpu_seconds_total", "counter", "Processor time of the agent.",
	  NODE(cpu_seconds) },
	{ "process_resident_memory_bytes", "gauge", "Memory of the agent.",
	  NODE(resident_bytes) },
	{ "process_start_time_seconds", "gauge", "When the agent began, since 1970.",
	  NODE(start_time) },

	{ "flyrep_module_present", "gauge", "The kernel module is there.", NODE(has_module) },
	{ "flyrep_kernel_flows", "gauge", "Entries of the connection tracking table.",
	  NODE(n_flows) },
	{ "flyrep_kernel_flows_max", "gauge", "How many it may have.", NODE(n_flows_max) },
	{ "flyrep_kernel_ring_entries", "gauge", "Room in the ring of the module.",
	  NODE(n_ring_entries) },
	{ "flyrep_kernel_dirty_buckets", "gauge",
	  "Buckets that lost changes and are still to be read.", NODE(n_dirty) },
	{ "flyrep_kernel_", "counter", NULL, METRICS_TELL(tell_kernel) },
	{ "flyrep_inject_applied_total", "counter", "Records of peers that the kernel took.",
	  INJECT(applied) },
	{ "flyrep_inject_refused_total", "counter", "Records that it refused.",
	  INJECT(refused) },
	{ "flyrep_inject_full_total", "counter", "Of these: its table was full.", INJECT(full) },
	{ "flyrep_inject_clash_total", "counter", "Of these: NAT address or port taken.",
	  INJECT(clash) },
	{ "flyrep_inject_ours_total", "counter",
	  "Not applied, as this node calls the object its own as well.", INJECT(ours) },

	{ "flyrep_conflicts_pending", "gauge", "Conflicts that wait for somebody.",
	  NODE(n_pending) },
	{ "flyrep_conflicts_total", "counter", "Conflicts that came up.", LEDGER(n_conflicts) },
	{ "flyrep_conflicts_skewed_total", "counter",
	  "Of these: with stamps closer than clock_skew_tolerance.", LEDGER(n_skewed) },
	{ "flyrep_stamps_clamped_total", "counter", "Stamps too far in the future.",
	  LEDGER(n_clamped) },
	{ "flyrep_ledger_commits_total", "counter", "Transactions of the ledger.",
	  LEDGER(n_commits) },
	{ "flyrep_ledger_trouble", "gauge", "The ledger cannot be written.",
	  NODE(has_ledger_trouble) },

	{ "flyrep_resyncs_total", "counter", "Resyncs begun.", NODE(n_resyncs) },
	{ "flyrep_resync_running", "gauge", "One is running.", NODE(is_resyncing) },
	{ "flyrep_resync_failed", "gauge", "The last one has failed.", NODE(has_resync_failed) },
	{ "flyrep_resync_progress_ratio", "gauge",
	  "How far it is, from 0 to 1; of one that failed: how far it came.",
	  NODE(resync_progress) },

	{ "flyrep_heartbeat_sent_total", "counter", "Datagrams sent.", BEAT(sent) },
	{ "flyrep_heartbeat_received_total", "counter", "Datagrams received.", BEAT(received) },
	{ "flyrep_heartbeat_malformed_total", "counter", "Of these: not of this version.",
	  BEAT(malformed) },
	{ "flyrep_heartbeat_forged_total", "counter", "Of these: made with none of our secrets.",
	  BEAT(forged) },
	{ "flyrep_heartbeat_replayed_total", "counter",
	  "Of these: seen before, or of a session that is over.", BEAT(replayed) },
	{ "flyrep_heartbeat_unproven_total", "counter",
	  "Of these: echo nothing that was sent just now.", BEAT(unproven) },
	{ "flyrep_heartbeat_strangers_total", "counter", "Of these: not of a voter, or not to us.",
	  BEAT(strangers) },
	{ "flyrep_voter_alive", "gauge", "Heartbeats of the voter are heard.",
	  METRICS_TELL(tell_voters) },
	{ "flyrep_quorum_majority", "gauge", "The voters that are alive are a majority.",
	  NODE(has_majority) },
	{ "flyrep_quorum_votes", "gauge", "Votes that there are.", NODE(n_votes) },
	{ "flyrep_quorum_alive", "gauge", "Votes of those that are alive.",
	  NODE(n_votes_alive) },
	{ 0 },
};
