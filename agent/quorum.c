// SPDX-License-Identifier: GPL-2.0-or-later

#include "quorum.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

struct election {
	quorum_done_t done;	/* NULL: none is running */
	void *cookie;
	uint64_t ballot;
	uint64_t end_ns;
	uint64_t next_ns;	/* to ask again */
	uint8_t verdicts[FR_CONFIG_VOTERS_MAX];
	char primaries[FR_CONFIG_VOTERS_MAX][FR_NODE_ID_MAX_LEN + 1];	/* that were named */
};

struct quorum {
	const struct fr_config *config;
	struct role *role;
	struct events *events;
	const struct quorum_ops *ops;
	void *cookie;
	struct heartbeat *heartbeat;
	struct election election;
	uint64_t begin_ns;
	uint64_t voted_ns;	/* the last vote for another node; 0: none */
	bool is_short;		/* told already: there is no majority */
	bool is_split;		/* told already: there is another primary of our epoch */
};

static uint64_t timeout_ns(const struct quorum *q)
{
	return q->config->heartbeat.timeout_ms * 1000000ull;
}

static const struct heartbeat_voter *voter(const struct quorum *q, size_t i)
{
	return heartbeat_voter(q->heartbeat, i);
}

static size_t n_voters(const struct quorum *q)
{
	return heartbeat_n_voters(q->heartbeat);
}

static bool is_primary(const struct quorum *q)
{
	return q->role->role == FR_ROLE_PRIMARY;
}

/* --- who is there -------------------------------------------------------- */

bool quorum_is_needed(const struct quorum *q)
{
	return q->config->quorum.enabled;
}

unsigned int quorum_n_votes(const struct quorum *q)
{
	return 1 + n_voters(q);
}

unsigned int quorum_n_needed(const struct quorum *q)
{
	return quorum_n_votes(q) / 2 + 1;
}

unsigned int quorum_n_alive(const struct quorum *q)
{
	unsigned int n = 1;
	size_t i;

	for (i = 0; i < n_voters(q); i++)
		n += voter(q, i)->is_alive;
	return n;
}

bool quorum_has_majority(const struct quorum *q)
{
	return quorum_n_alive(q) >= quorum_n_needed(q);
}

const struct heartbeat_voter *quorum_primary(const struct quorum *q)
{
	const struct heartbeat_voter *best = NULL;
	size_t i;

	for (i = 0; i < n_voters(q); i++) {
		const struct heartbeat_voter *v = voter(q, i);

		if (v->is_alive && v->last.role == FR_ROLE_PRIMARY &&
		    (!best || v->last.epoch > best->last.epoch))
			best = v;
	}
	return best;
}

const struct heartbeat_voter *quorum_rival(const struct quorum *q)
{
	size_t i;

	for (i = 0; is_primary(q) && i < n_voters(q); i++) {
		const struct heartbeat_voter *v = voter(q, i);

		if (v->is_alive && v->last.role == FR_ROLE_PRIMARY &&
		    v->last.epoch == q->role->epoch)
			return v;
	}
	return NULL;
}

/* --- must this node step down? ------------------------------------------- */

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

bool quorum_heals(const struct quorum *q, const struct heartbeat_voter *rival)
{
	return q->config->quorum.split_brain != FR_CONFIG_SPLIT_MANUAL &&
	       rival->last.rule == q->config->quorum.split_brain;
}

/* Both ends come to the same answer, as each knows the values of both. */
static bool has_lost(const struct quorum *q, const struct heartbeat_voter *rival)
{
	const struct fr_beat *m = &rival->last;
	int order = q->config->quorum.split_brain == FR_CONFIG_SPLIT_PRIORITY ?
			    compare(q->config->quorum.priority, m->priority) :
			    compare(q->role->since_us, m->since_us);

	return order ? order < 0 : strcmp(q->config->node_id, m->from) < 0;
}

static void on_split(struct quorum *q, const struct heartbeat_voter *rival)
{
	const char *rule = fr_config_split_brain_name(q->config->quorum.split_brain);
	char why[QUORUM_WHY_LEN];

	if (!q->is_split && !quorum_heals(q, rival))
		events_log(q->events, EVENT_SPLIT_BRAIN, FR_LOG_ERR, rival->id,
			   "quorum: split brain: %s and this node are both primary under epoch %lu; "
			   "run `flyrep role backup` on one of them%s", rival->name, q->role->epoch,
			   rival->last.rule == q->config->quorum.split_brain ?
				   "" : " (quorum.split_brain is another one there)");
	else if (!q->is_split)
		events_log(q->events, EVENT_SPLIT_BRAIN, FR_LOG_ERR, rival->id,
			   "quorum: split brain: %s and this node are both primary under epoch %lu; "
			   "%s goes on, by the rule %s", rival->name, q->role->epoch,
			   has_lost(q, rival) ? rival->name : "this node", rule);
	q->is_split = true;
	if (!quorum_heals(q, rival) || !has_lost(q, rival))
		return;
	snprintf(why, sizeof(why), "%s is primary under the same epoch, and goes on by the rule %s",
		 rival->name, rule);
	q->ops->step_down(q->cookie, why);
}

static void on_heard(void *cookie, const struct heartbeat_voter *v, uint64_t now)
{
	const struct fr_beat *m = &v->last;
	struct quorum *q = cookie;
	char why[QUORUM_WHY_LEN];
	size_t i;

	(void)now;
	if (q->role->role == FR_ROLE_PEER)
		return;
	if (!is_primary(q)) {
		role_observe(q->role, m->epoch);
	} else if (m->primary_epoch > q->role->epoch) {
		snprintf(why, sizeof(why), "%s says that %s is primary under epoch %lu, above ours "
			 "(%lu)", v->name, m->primary, m->primary_epoch, q->role->epoch);
		q->ops->step_down(q->cookie, why);
	} else if (quorum_rival(q) == v) {
		on_split(q, v);
	} else if (!quorum_rival(q)) {
		q->is_split = false;
	}
	if (m->kind != FR_BEAT_VOTE || !q->election.done || m->ballot != q->election.ballot)
		return;
	for (i = 0; voter(q, i) != v; i++)
		;
	q->election.verdicts[i] = m->verdict;
	strcpy(q->election.primaries[i], m->primary);
	quorum_tick(q, now);
}

/* --- a vote for another node --------------------------------------------- */

/* May @v have our vote, leaving the epoch aside? */
static enum fr_beat_verdict judge(const struct quorum *q, const struct heartbeat_voter *v,
				  uint64_t now)
{
	const struct heartbeat_voter *primary = quorum_primary(q);

	if (q->role->role == FR_ROLE_PEER)
		return FR_BEAT_FAILED;
	if (is_primary(q) || (primary && primary != v))
		return FR_BEAT_PRIMARY;
	if (now - q->begin_ns < timeout_ns(q))
		return FR_BEAT_STARTING;
	if (q->election.done)
		return FR_BEAT_VOTED;
	if (q->voted_ns && now - q->voted_ns < timeout_ns(q) &&
	    strcmp(q->role->promised_to, v->id) != 0)
		return FR_BEAT_VOTED;
	return FR_BEAT_GRANTED;
}

static enum fr_beat_verdict on_vote(void *cookie, const struct heartbeat_voter *v, uint64_t now)
{
	uint64_t ballot = v->last.ballot;
	struct quorum *q = cookie;
	enum fr_beat_verdict verdict = judge(q, v, now);
	bool is_new = ballot != q->role->promised;
	int rc;

	if (verdict != FR_BEAT_GRANTED)
		return verdict;
	rc = role_promise(q->role, ballot, v->id);
	if (rc)
		return rc == -ESTALE ? FR_BEAT_EPOCH : FR_BEAT_FAILED;
	if (is_new)
		fr_notice("quorum: voted for %s, epoch %lu", v->name, ballot);
	q->voted_ns = now;
	return FR_BEAT_GRANTED;
}

/* --- votes for this node ------------------------------------------------- */

/* The highest epoch that anybody is known to have seen or promised. */
static uint64_t highest(const struct quorum *q)
{
	uint64_t epoch = q->role->epoch;
	size_t i;

	if (q->role->promised > epoch)
		epoch = q->role->promised;
	for (i = 0; i < n_voters(q); i++) {
		const struct fr_beat *m = &voter(q, i)->last;

		if (m->epoch > epoch)
			epoch = m->epoch;
		if (m->promised > epoch)
			epoch = m->promised;
	}
	return epoch;
}

static int open_ballot(struct quorum *q, uint64_t now)
{
	struct election *e = &q->election;
	uint64_t ballot = highest(q) + 1;
	int rc = role_promise(q->role, ballot, q->config->node_id);

	if (rc)
		return rc;
	e->ballot = ballot;
	e->next_ns = now;
	memset(e->verdicts, FR_BEAT_NONE, sizeof(e->verdicts));
	return 0;
}

static size_t n_with(const struct quorum *q, enum fr_beat_verdict verdict)
{
	size_t i, n = 0;

	for (i = 0; i < n_voters(q); i++)
		n += q->election.verdicts[i] == verdict;
	return n;
}

/* Who did not vote for this node, and why. */
static void explain(const struct quorum *q, char *why, size_t len)
{
	const struct election *e = &q->election;
	size_t i, at;

	at = snprintf(why, len, "%zu of %u votes, %u are needed", 1 + n_with(q, FR_BEAT_GRANTED),
		      quorum_n_votes(q), quorum_n_needed(q));
	for (i = 0; i < n_voters(q) && at < len; i++) {
		const char *named = e->primaries[i];

		if (e->verdicts[i] == FR_BEAT_GRANTED)
			continue;
		at += snprintf(why + at, len - at, "; %s: ", voter(q, i)->name);
		if (at >= len)
			return;
		if (e->verdicts[i] != FR_BEAT_PRIMARY || !named[0])
			at += snprintf(why + at, len - at, "%s",
				       fr_beat_verdict_text(e->verdicts[i]));
		else if (!strcmp(named, voter(q, i)->id))
			at += snprintf(why + at, len - at, "is primary itself");
		else
			at += snprintf(why + at, len - at, "hears the primary %s", named);
	}
}

static void finish(struct quorum *q, const char *why)
{
	struct election e = q->election;

	q->election.done = NULL;
	e.done(e.cookie, why);
}

static void ask_all(struct quorum *q, uint64_t now)
{
	size_t i;

	for (i = 0; i < n_voters(q); i++)
		if (q->election.verdicts[i] != FR_BEAT_GRANTED)
			heartbeat_ask(q->heartbeat, i, q->election.ballot, now);
	q->election.next_ns = now + QUORUM_ASK_MS * 1000000ull;
}

static void count(struct quorum *q, uint64_t now)
{
	const struct heartbeat_voter *primary = quorum_primary(q);
	struct election *e = &q->election;
	char why[QUORUM_WHY_LEN] = "";

	/* While it hears a primary it has not even its own vote, and asks for no other. */
	if (!primary && 1 + n_with(q, FR_BEAT_GRANTED) >= quorum_n_needed(q)) {
		finish(q, "");
	} else if (now >= e->end_ns) {
		if (primary)
			snprintf(why, sizeof(why), "%s is primary and alive: make it backup first",
				 primary->name);
		else
			explain(q, why, sizeof(why));
		finish(q, why);
	} else if (primary) {
		e->next_ns = now + QUORUM_ASK_MS * 1000000ull;
	} else if (n_with(q, FR_BEAT_EPOCH) && open_ballot(q, now)) {
		finish(q, "the own vote could not be saved");
	} else if (now >= e->next_ns) {
		ask_all(q, now);
	}
}

int quorum_elect(struct quorum *q, quorum_done_t done, void *cookie, uint64_t now)
{
	struct election *e = &q->election;
	int rc;

	if (e->done)
		return -EBUSY;
	rc = open_ballot(q, now);
	if (rc)
		return rc;
	e->done = done;
	e->cookie = cookie;
	e->end_ns = now + q->config->quorum.timeout_ms * 1000000ull;
	quorum_tick(q, now);
	return 0;
}

void quorum_withdraw(struct quorum *q)
{
	q->election.done = NULL;
}

int quorum_force(struct quorum *q)
{
	return role_force(q->role, q->config->node_id, highest(q));
}

/* --- time ---------------------------------------------------------------- */

/* Say once that the majority is lost, and once that it is back. */
static void watch_majority(struct quorum *q, uint64_t now)
{
	bool is_short = quorum_is_needed(q) && !quorum_has_majority(q);

	if (is_short == q->is_short || (is_short && now - q->begin_ns < timeout_ns(q)))
		return;
	q->is_short = is_short;
	if (is_short)
		events_log(q->events, EVENT_MAJORITY_LOST, FR_LOG_WARNING, NULL,
			   "quorum: no majority: %u of %u voters are there, %u are needed%s",
			   quorum_n_alive(q), quorum_n_votes(q), quorum_n_needed(q),
			   is_primary(q) ? "; this node stays primary for its own packets" : "");
	else
		events_log(q->events, EVENT_MAJORITY_BACK, FR_LOG_NOTICE, NULL,
			   "quorum: the majority is there: %u of %u voters", quorum_n_alive(q),
			   quorum_n_votes(q));
}

void quorum_beat(struct quorum *q, uint64_t now)
{
	heartbeat_beat(q->heartbeat, now);
	quorum_tick(q, now);
}

void quorum_tick(struct quorum *q, uint64_t now)
{
	heartbeat_tick(q->heartbeat, now);
	watch_majority(q, now);
	if (q->election.done)
		count(q, now);
}

uint64_t quorum_next_ns(const struct quorum *q)
{
	const struct election *e = &q->election;

	if (!e->done)
		return 0;
	return e->next_ns < e->end_ns ? e->next_ns : e->end_ns;
}

void quorum_receive(struct quorum *q, const void *buf, size_t len, uint64_t now)
{
	heartbeat_receive(q->heartbeat, buf, len, now);
}

/* --- what this node says ------------------------------------------------- */

static void on_send(void *cookie, const struct heartbeat_voter *v, const uint8_t buf[FR_BEAT_LEN])
{
	struct quorum *q = cookie;

	q->ops->send(q->cookie, &v->address, buf);
}

static void on_fill(void *cookie, struct fr_beat *m)
{
	const struct quorum *q = cookie;
	const struct heartbeat_voter *primary = quorum_primary(q);
	bool is_witness = q->config->mode == FR_CONFIG_WITNESS;

	m->role = is_witness ? FR_BEAT_WITNESS : q->role->role;
	m->rule = q->config->quorum.split_brain;
	m->votes = is_witness || quorum_is_needed(q) ? quorum_n_votes(q) : 0;
	m->priority = q->config->quorum.priority;
	m->epoch = q->role->epoch;
	m->promised = q->role->promised;
	m->since_us = q->role->since_us;
	if (is_primary(q) && (!primary || primary->last.epoch <= q->role->epoch)) {
		m->primary_epoch = q->role->epoch;
		snprintf(m->primary, sizeof(m->primary), "%s", q->config->node_id);
	} else if (primary) {
		m->primary_epoch = primary->last.epoch;
		snprintf(m->primary, sizeof(m->primary), "%s", primary->id);
	}
}

static void on_changed(void *cookie, const struct heartbeat_voter *v, uint64_t now)
{
	struct quorum *q = cookie;

	(void)now;
	if (v->is_alive)
		fr_notice("heartbeat: %s is alive", v->name);
	else
		fr_warn("heartbeat: %s was not heard for %lu ms", v->name,
			q->config->heartbeat.timeout_ms);
	if (q->ops->changed)
		q->ops->changed(q->cookie, v);
}

static const struct heartbeat_ops heartbeat_ops = {
	.send = on_send,
	.fill = on_fill,
	.heard = on_heard,
	.vote = on_vote,
	.changed = on_changed,
};

/* --- life ---------------------------------------------------------------- */

int quorum_new(struct quorum **out, const struct fr_config *config, struct role *role,
	       struct events *events, const struct quorum_ops *ops, void *cookie, uint64_t now)
{
	struct quorum *q = calloc(1, sizeof(*q));
	int rc;

	if (!q)
		return -ENOMEM;
	q->config = config;
	q->role = role;
	q->events = events;
	q->ops = ops;
	q->cookie = cookie;
	q->begin_ns = now;
	rc = heartbeat_new(&q->heartbeat, config, &heartbeat_ops, q);
	if (rc) {
		quorum_free(q);
		return rc;
	}
	*out = q;
	return 0;
}

void quorum_free(struct quorum *q)
{
	if (!q)
		return;
	heartbeat_free(q->heartbeat);
	free(q);
}

int quorum_reload(struct quorum *q)
{
	return heartbeat_set_secrets(q->heartbeat);
}

const struct heartbeat *quorum_heartbeat(const struct quorum *q)
{
	return q->heartbeat;
}
