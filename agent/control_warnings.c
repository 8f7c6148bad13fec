// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_warnings.h"

#include "control_state.h"
#include "ready.h"

#include <time.h>

#define CERT_ENDS_S (14 * 86400) /* warned so long before, as docs/monitoring/alerts.yml does */

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

static void warn_of_certificate(json_t *warnings, const struct tls_keys *keys)
{
	int64_t end = tls_keys_expiry(keys);
	char date[sizeof("2026-11-27 08:00 UTC")];
	time_t at = end, now = time(NULL);
	struct tm tm;

	if (tls_keys_trouble(keys)[0])
		json_array_append_new(warnings,
				      json_sprintf("certificate: %s", tls_keys_trouble(keys)));
	if (!end || end - now > CERT_ENDS_S || !gmtime_r(&at, &tm))
		return;
	strftime(date, sizeof(date), "%F %H:%M UTC", &tm);
	json_array_append_new(warnings, json_sprintf("certificate: it %s on %s",
						     end > now ? "ends" : "ended", date));
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

static void warn_of_api(json_t *warnings, const struct api *api)
{
	struct api_place p;
	size_t i;

	for (i = 0; api_place(api, i, &p); i++)
		if (*p.trouble && !p.is_absent)
			json_array_append_new(warnings, json_sprintf("api: %s: %s", p.address,
								     p.trouble));
}

json_t *control_warnings_json(struct flow *f, const struct api *api)
{
	const struct inject_counts *ic = inject_counts(f->inject);
	const char *windows = ready_windows(f);
	struct arbiter arbiter = control_state_arbiter(f);
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
	if (f->keys)
		warn_of_certificate(a, f->keys);
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
	warn_of_api(a, api);
	return a;
}
