// SPDX-License-Identifier: GPL-2.0-or-later

#include "ready.h"

#include <stdio.h>
#include <string.h>

static void reason(char *buf, size_t len, const char *text)
{
	size_t at = strlen(buf);

	snprintf(buf + at, len - at, "%s\n", text);
}

/* What the kernel of a standby would not take. */
static void reason_refused(struct flow *f, const struct flow_link *l,
			   const struct fr_genl_info *info, char *reasons, size_t len)
{
	char text[200];
	size_t i;

	for (i = 0; i < f->n_tables; i++) {
		const struct fr_table *row = f->tables[i].row;
		uint64_t n = receive_table_figures(l->receive, row->id)->unrepaired;

		if (!n)
			continue;
		if (row->id == FLYREP_TABLE_CONNTRACK)
			snprintf(text, sizeof(text),
				 "the kernel refused %lu records; it has %u flows of at most %u",
				 n, info->ct_count, info->ct_max);
		else
			snprintf(text, sizeof(text), "the kernel refused %lu records of %s", n,
				 row->name);
		reason(reasons, len, text);
	}
}

/* Sets of which this node could not take everything. */
static void reason_sets(const struct sets *sets, char *reasons, size_t len)
{
	char name[SET_TEXT_LEN], text[SET_TEXT_LEN + 100];
	size_t i;

	for (i = 0; i < sets->n; i++) {
		if (!sets->v[i]->error)
			continue;
		snprintf(text, sizeof(text), "nft set %s: %s", set_text(sets->v[i], name),
			 set_trouble(sets->v[i]));
		reason(reasons, len, text);
	}
}

/* What stands between a standby and this writer. */
static void reason_link(struct flow *f, const struct flow_link *l,
			const struct fr_genl_info *info, char *reasons, size_t len)
{
	const struct fr_hello *theirs = peer_hello(l->peer);
	uint64_t tables = theirs->tables & ~f->stream.tables;
	char names[FLOW_NAMES_LEN], text[FLOW_NAMES_LEN + 100];

	reason_refused(f, l, info, reasons, len);
	if (theirs->ct_max > info->ct_max) {
		snprintf(text, sizeof(text), "nf_conntrack_max is %u here and %u on %s",
			 info->ct_max, theirs->ct_max, theirs->node_id);
		reason(reasons, len, text);
	}
	if (flow_link_reads(l) && tables) {
		snprintf(text, sizeof(text), "%s replicates %s, this node does not",
			 theirs->node_id, flow_table_names(tables, names, sizeof(names)));
		reason(reasons, len, text);
	}
}

/* Paused by hand, here or at a peer. */
static void reason_paused(const struct flow *f, char *reasons, size_t len)
{
	char text[FR_NODE_ID_MAX_LEN + 100];
	size_t i;

	if (f->stream.is_paused)
		reason(reasons, len, "replication is paused here: flyrep resume");
	for (i = 0; i < f->n_links; i++) {
		const struct flow_link *l = &f->links[i];

		if (!l->is_paused || flow_is_writer(f))
			continue;
		snprintf(text, sizeof(text), "replication is paused on %s", peer_id(l->peer));
		reason(reasons, len, text);
	}
}

/* Not in step, and with what. */
static void reason_step(struct flow *f, char *reasons, size_t len)
{
	char names[FLOW_NAMES_LEN], text[FLOW_NAMES_LEN + 100];
	uint64_t tables = 0;
	size_t i, k;

	for (i = 0; i < f->n_links; i++)
		for (k = 0; k < f->n_tables; k++)
			if (receive_table_figures(f->links[i].receive,
						  f->tables[k].row->id)->n_groups)
				tables |= 1ull << f->tables[k].row->id;
	flow_table_names(tables, names, sizeof(names));
	snprintf(text, sizeof(text), "not in step with %s at the last audit%s%s",
		 flow_is_shared(f) ? "all peers" : "the primary", names[0] ? ": " : "", names);
	reason(reasons, len, text);
}

const char *ready_windows(const struct flow *f)
{
	int liberal = 1;
	FILE *file;

	if (!flow_is_shared(f) || !f->by_id[FLYREP_TABLE_CONNTRACK])
		return NULL;
	file = fopen("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "re");
	if (!file)
		return NULL; /* no conntrack: that is told otherwise */
	if (fscanf(file, "%d", &liberal) != 1)
		liberal = 1;
	fclose(file);
	return liberal ? NULL :
			 "a TCP connection that moves to another node and back may stall: set "
			 "net.netfilter.nf_conntrack_tcp_be_liberal = 1 on all";
}

/* What the heartbeats say against a takeover, or against going on. */
static void reason_quorum(const struct flow *f, char *reasons, size_t len)
{
	const struct quorum *q = pulse_quorum(f->pulse);
	char text[sizeof(((struct heartbeat_voter *)NULL)->name) + 100];
	size_t i;

	if (!q)
		return;
	if (quorum_is_needed(q) && !quorum_has_majority(q)) {
		snprintf(text, sizeof(text), "no majority: %u of %u voters are there, %u are "
			 "needed", quorum_n_alive(q), quorum_n_votes(q), quorum_n_needed(q));
		reason(reasons, len, text);
	}
	for (i = 0; i < f->n_links && !flow_is_writer(f); i++) {
		if (!flow_is_cut_off(&f->links[i]))
			continue;
		snprintf(text, sizeof(text), "%s is alive, but not connected: a takeover now would "
			 "be a split brain", flow_heartbeat(&f->links[i])->name);
		reason(reasons, len, text);
	}
}

/* Another primary of this node's epoch, as a session or a heartbeat shows */
static bool is_split(const struct flow *f)
{
	const struct quorum *q = pulse_quorum(f->pulse);
	size_t i;

	if (q && quorum_rival(q))
		return true;
	for (i = 0; i < f->n_links; i++)
		if (f->links[i].relation == ROLE_SPLIT)
			return true;
	return false;
}

bool ready_ask(struct flow *f, char *reasons, size_t len)
{
	const char *windows = ready_windows(f);
	struct fr_genl_info info;
	size_t i;

	reasons[0] = '\0';
	if (drain_info(f->drain, &info) < 0) {
		reason(reasons, len, "the kernel module is not there");
		return false;
	}
	if (!f->is_known)
		reason(reasons, len, "still learning the own tables");
	if (f->role.role == FR_ROLE_FAULT)
		reason(reasons, len, "this node was put into fault by hand");
	reason_paused(f, reasons, len);
	if (windows)
		reason(reasons, len, windows);
	reason_quorum(f, reasons, len);
	if (is_split(f))
		reason(reasons, len, "split brain");
	if (flow_is_writer(f) && !flow_is_shared(f))
		return !reasons[0];
	if (!f->in_step_ns)
		reason(reasons, len, flow_is_shared(f) ? "never was in step with all peers" :
							 "never was in step with the primary");
	else if (!f->was_in_step)
		reason_step(f, reasons, len);
	if (f->elements)
		reason_sets(elements_sets(f->elements), reasons, len);
	for (i = 0; i < f->n_links; i++)
		reason_link(f, &f->links[i], &info, reasons, len);
	return !reasons[0];
}
