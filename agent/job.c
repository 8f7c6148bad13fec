// SPDX-License-Identifier: GPL-2.0-or-later

#include "job.h"

#include <errno.h>
#include <string.h>

#include "flow.h"
#include "log.h"
#include "monotonic.h"
#include "versions.h"

#define MUTE_MS		20000	/* between two looks at objects that raise no events */
#define RECALL_QUEUED	(1u << 20)	/* bytes on their way to a writer that has lost them */
#define LIVE_NS		200000000ull	/* so long after a change there may be another one */
#define REPAIR_LIVE	64		/* records that a change may have to wait for */

void job_hold(struct flow *f, bool hold)
{
	drain_snapshot_hold(f->drain, hold);
	if (f->elements)
		elements_snapshot_hold(f->elements, hold);
	if (f->versions)
		versions_hold(f->versions, hold);
}

static bool is_running(const struct flow *f)
{
	return f->is_sweeping || drain_is_snapping(f->drain) ||
	       (f->elements && elements_is_snapping(f->elements)) ||
	       (f->versions && versions_is_snapping(f->versions));
}

/* --- shared: what the kernel holds for others is named beside what is its own --- */

static bool names_held(const struct flow *f, enum flow_job job)
{
	return flow_is_shared(f) && job != FLOW_JOB_REPAIR;
}

static int begin_held(struct flow_table *t)
{
	struct flow *f = t->flow;
	size_t i;

	f->held_order = flow_next_order(f);
	for (i = 0; i < f->n_links && names_held(f, f->job); i++)
		if (truth_begin(f->links[i].truths[t->row->id], &f->job_scope, f->held_order) < 0)
			return -ENOMEM;
	return 0;
}

/*
 * Whose it is the kernel does not know. What no peer was heard to have is that of the only one; of
 * several, each will send all it has, and what is left then is nobody's.
 */
static void name_shared(struct flow_table *t, const void *rec)
{
	struct flow *f = t->flow;
	bool is_current, is_known = false;
	unsigned int bucket;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		struct truth *truth = f->links[i].truths[t->row->id];

		if (f->n_links > 1 && !truth_has(truth, rec))
			continue;
		truth_name(truth, rec, f->held_order, &bucket, &is_current);
		is_known = true;
	}
	if (!is_known)
		flow_turn_out(t, rec);
}

/* Nothing follows from a snapshot that is not complete. */
static void abort_table(struct flow_table *t)
{
	struct flow *f = t->flow;
	size_t i;

	if (t->kernel)
		truth_abort(t->kernel);
	if (flow_has_versions(t))
		return;
	truth_abort(t->truth);
	for (i = 0; i < f->n_links && flow_is_shared(f); i++)
		truth_abort(f->links[i].truths[t->row->id]);
}

/* What the running snapshot was for no longer holds; its pieces are ignored from here on. */
void job_cancel(struct flow *f)
{
	bool was_archive;

	if (f->job == FLOW_JOB_REPAIR)
		ship_repair_end(f->job_link->ship, -ECANCELED);
	if (f->job_table)
		abort_table(f->job_table);
	if (f->versions)
		versions_snapshot_cancel(f->versions);
	f->job_link = NULL;
	f->job_table = NULL;
	was_archive = f->job == FLOW_JOB_ARCHIVE;
	f->job = FLOW_JOB_NONE;
	job_hold(f, false);
	if (was_archive)
		archive_table_end(f->archive, -EINTR);
}

void job_restart(struct flow_table *t)
{
	struct flow *f = t->flow;

	if (f->job_table != t || f->job == FLOW_JOB_REPAIR)
		return;
	buckets_add(&t->dirty, f->job_scope.buckets);
	t->wants_check |= f->job == FLOW_JOB_CHECK;
	job_cancel(f);
}

static int begin_reads(struct flow_table *t)
{
	struct flow *f = t->flow;

	if (flow_has_versions(t))
		return t->kernel ? truth_begin(t->kernel, &f->job_scope, f->job_order) : 0;
	return truth_begin(t->truth, &f->job_scope, f->job_order) < 0 ? -ENOMEM : begin_held(t);
}

void job_snap_begin(void *cookie, uint64_t stamp)
{
	struct flow *f = cookie;

	if (f->job == FLOW_JOB_NONE)
		return;
	/*
	 * What was read from now on has a stamp above this one, which is 0 in a module that has
	 * read nothing yet. A standby orders by its own count: what the stream brings from now on
	 * is newer.
	 */
	f->job_order = flow_is_writer(f) ? stamp + 1 : flow_next_order(f);
	if (begin_reads(f->job_table) < 0) {
		fr_err("drain: out of memory for a snapshot");
		buckets_add(&f->job_table->dirty, f->job_scope.buckets);
		job_cancel(f);
	}
}

static void on_missing(void *cookie, const void *rec, unsigned int bucket)
{
	flow_publish(cookie, rec, FLYREP_OP_DELETE, bucket);
}

static void on_held_missing(void *cookie, const void *rec, unsigned int bucket)
{
	flow_ship_on(cookie, rec, FLYREP_OP_DELETE, bucket);
}

/* It will differ at every audit, and that is true: no reason to repair it at once again. */
static void on_unsendable(void *cookie, unsigned int bucket, const char *why)
{
	(void)bucket;
	flow_refuse(cookie, why);
}

static int send_back(struct flow_link *l, const uint8_t *frame, size_t len)
{
	struct conn *c = peer_conn(l->peer);
	int rc = c ? conn_send(c, frame, len) : -ENOTCONN;

	l->is_recall_short |= rc < 0;
	return rc;
}

/* Send what was collected for the peer in repair, or for the writer that has lost it. */
static void flush_repair(struct flow_table *t)
{
	struct flow *f = t->flow;
	struct flow_link *l = f->job_link;
	const uint8_t *frame;
	ssize_t len;
	size_t i;

	if (!batch_count(t->repair))
		return;
	len = batch_encode(t->repair, ship_is_whole(l->ship) ? f->whole_encoder : f->encoder, 0,
			   FR_FRAME_F_REPAIR, &frame, on_unsendable, t);
	if (len > 0)
		len = f->job == FLOW_JOB_RECALL ?
			      send_back(l, frame, len) :
			      ship_repair_send(l->ship, frame, len, batch_count(t->repair));
	for (i = 0; len < 0 && i < batch_count(t->repair); i++)
		ship_dirty(l->ship, t->row->id, batch_buckets(t->repair)[i]);
	batch_reset(t->repair);
}

static void add_repair(struct flow_table *t, const void *rec, unsigned int bucket)
{
	batch_add(t->repair, rec, FLYREP_OP_INSERT, bucket, 0);
	if (batch_is_full(t->repair) || batch_count(t->repair) >= t->flow->repair_max)
		flush_repair(t);
}

static void look_again_later(struct flow *f)
{
	if (sd_event_source_get_enabled(f->listen, NULL) > 0)
		return;
	sd_event_source_set_time_relative(f->listen, MUTE_MS * 1000);
	sd_event_source_set_enabled(f->listen, SD_EVENT_ONESHOT);
}

void job_mute(struct flow_table *t, unsigned int bucket)
{
	buckets_add_one(&t->mute, bucket);
	look_again_later(t->flow);
}

/* Writer: a record of the own kernel, or its withdrawal if it does not pass the filter */
static void name_own(struct flow_table *t, const struct flyrep_rec *rec)
{
	struct flow *f = t->flow;
	bool is_withdrawal, is_current;
	const void *out = filter_pass(f->filter, t->row, rec, &is_withdrawal);
	unsigned int bucket;
	int op;

	if (!out)
		return;
	op = truth_name(t->truth, out, rec->stamp, &bucket, &is_current);
	op = flow_news(out, op);
	if (rec->flags & FLYREP_REC_F_MUTE || (is_withdrawal && filter_follows(f->filter, t->row)))
		job_mute(t, bucket);
	if (op > FLYREP_OP_UNSPEC)
		flow_publish(t, out, op, bucket);
	if (is_withdrawal && op == FLYREP_OP_DELETE)
		flow_withdrew(t);
	if (is_current && !is_withdrawal && f->job == FLOW_JOB_REPAIR)
		add_repair(t, out, bucket);
}

/* Standby: a record that is held for the writer */
static void name_held(struct flow_table *t, const struct flyrep_rec *rec)
{
	struct flow *f = t->flow;
	unsigned int bucket;
	bool is_current;
	int op;

	op = truth_name(t->truth, rec, f->job_order, &bucket, &is_current);
	flow_ship_on(t, rec, op, bucket);
	if (f->job == FLOW_JOB_RECALL || (f->job == FLOW_JOB_REPAIR && is_current))
		add_repair(t, rec, bucket);
	if (f->job == FLOW_JOB_CHECK || f->job == FLOW_JOB_LEARN)
		flow_expel(t, rec);
}

/* Nothing newer is known of it than this read. */
static bool is_news(struct flow_table *t, const struct flyrep_rec *rec)
{
	unsigned int bucket;
	bool is_current;

	truth_name(t->kernel, rec, rec->stamp, &bucket, &is_current);
	return is_current;
}

/* A slot of this node, for a repair; or an item of the own kernel */
static void name_version(struct flow_table *t, const void *rec)
{
	const struct flyrep_rec *head = rec;
	struct flow *f = t->flow;
	bool is_withdrawal;

	if (f->job == FLOW_JOB_REPAIR) {
		add_repair(t, rec, truth_bucket(t->truth, rec));
		return;
	}
	if (head->flags & FLYREP_REC_F_REMOTE)
		versions_take_over(t, rec);
	if (t->kernel && !is_news(t, rec))
		return;
	rec = filter_pass(f->filter, t->row, rec, &is_withdrawal);
	if (rec && (is_withdrawal || (t->kernel && f->job != FLOW_JOB_LEARN)))
		versions_local(t, rec);
	else if (rec)
		versions_learn(t, rec);
}

/* The own kernel does not hold it any more. */
static void on_gone(void *cookie, const void *rec, unsigned int bucket)
{
	struct flow_table *t = cookie;

	(void)bucket;
	((struct flyrep_rec *)rec)->stamp = t->flow->job_order; /* of the truth's own making */
	versions_local(t, rec);
}

/* Of a pair: what the role of this node does not look at. A backup takes it all the same. */
static bool is_others(const struct flow *f, const struct flyrep_rec *rec)
{
	return f->job == FLOW_JOB_ARCHIVE && !flow_is_shared(f) &&
	       flow_is_writer(f) == !!(rec->flags & FLYREP_REC_F_REMOTE);
}

void job_snap_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	struct flow *f = cookie;
	struct flow_table *t = f->job_table;
	const struct flyrep_rec *rec = recs;

	if (!t || table != t->row->id)
		return;
	if (f->job == FLOW_JOB_ARCHIVE)
		archive_records(f->archive, recs, n);
	f->repair_max = monotonic_ns() - f->flushed_ns < LIVE_NS ? REPAIR_LIVE : SIZE_MAX;
	for (; n; n--, rec = fr_record_next(t->row, rec)) {
		if (is_others(f, rec))
			continue;
		if (flow_has_versions(t))
			name_version(t, rec);
		else if (flow_is_shared(f) && rec->flags & FLYREP_REC_F_REMOTE)
			name_shared(t, rec);
		else if (flow_is_writer(f))
			name_own(t, rec);
		else
			name_held(t, rec);
	}
	flow_pace(f);
	if (f->job == FLOW_JOB_REPAIR)
		job_hold(f, !ship_repair_room(f->job_link->ship));
	else if (f->job == FLOW_JOB_RECALL && peer_conn(f->job_link->peer))
		job_hold(f, conn_queued(peer_conn(f->job_link->peer)) > RECALL_QUEUED);
}

/*
 * A comparison of one table is over; it answers those who asked before it began. The last table
 * ends the comparison of all.
 */
static void end_check(struct flow_table *t, const struct truth_counts *counts)
{
	struct flow *f = t->flow;
	size_t i;

	t->counts = *counts;
	for (i = 0; i < f->n_links && !t->wants_check; i++) {
		struct flow_link *l = &f->links[i];

		if (l->wants_check >> t->row->id & 1)
			receive_checked(l->receive, t->row->id, counts);
		l->wants_check &= ~(1ull << t->row->id);
	}
	for (i = 0; i < f->n_tables; i++)
		if (f->tables[i].wants_check && !f->tables[i].is_missing)
			return;
	f->check.n++;
	f->check.at_ns = monotonic_ns();
}

/* The writer has all of it; if not, it gets it once more. */
static void end_recall(struct flow_table *t, struct flow_link *l, int err)
{
	struct conn *c = peer_conn(l->peer);

	if (!c || l->is_recall_short || err)
		return;
	l->recall_table = 0;
	conn_send_message(c, FR_FRAME_RECALLED, t->row->id, NULL, 0, NULL);
}

/* --- what a snapshot did not name is gone --- */

/*
 * The truths that the running snapshot was compared with, one after the other: that of the table,
 * what is held for each of the peers, or what the own kernel holds of what has versions.
 * Return: NULL: there is no other
 */
static struct truth *nth_compared(const struct flow *f, size_t n)
{
	const struct flow_table *t = f->job_table;

	if (flow_has_versions(t))
		return n || f->job == FLOW_JOB_REPAIR ? NULL : t->kernel;
	if (!n)
		return t->truth;
	return n <= f->n_links && names_held(f, f->job) ?
		       f->links[n - 1].truths[t->row->id] : NULL;
}

/* One piece. Return: there is more */
static bool sweep(struct flow *f)
{
	void (*fn)(void *cookie, const void *rec, unsigned int bucket) = NULL;
	struct truth *truth = nth_compared(f, f->n_swept);
	struct truth_counts counts;

	if (!truth)
		return false;
	if (flow_has_versions(f->job_table))
		fn = on_gone;
	else if (!f->n_swept)
		fn = flow_is_writer(f) ? on_missing : on_held_missing;
	if (truth_sweep(truth, fn, f->job_table))
		return true;
	truth_end(truth, &counts);
	f->job_counts.named += counts.named;
	f->job_counts.added += counts.added;
	f->job_counts.changed += counts.changed;
	f->job_counts.missing += counts.missing;
	return nth_compared(f, ++f->n_swept);
}

/* Nothing more comes of it. */
static void end_job(struct flow *f, int err)
{
	struct flow_link *link = f->job_link;
	struct flow_table *t = f->job_table;
	enum flow_job job = f->job;

	f->job = FLOW_JOB_NONE;
	f->job_table = NULL;
	f->job_link = NULL;
	if (err) {
		abort_table(t);
		/* The module's socket was opened anew; nf_tables may need a while. */
		buckets_add(t->row->id == FLYREP_TABLE_NFT_SET ? &t->mute : &t->dirty,
			    f->job_scope.buckets);
		look_again_later(f);
		t->wants_check |= job == FLOW_JOB_CHECK;
	} else if (flow_has_versions(t) && job != FLOW_JOB_REPAIR &&
		   (!t->kernel || job == FLOW_JOB_LEARN)) {
		versions_learn_end(t, &f->job_counts);
	}
	if (job == FLOW_JOB_REPAIR)
		ship_repair_end(link->ship, err);
	if (job == FLOW_JOB_RECALL)
		end_recall(t, link, err);
	if (!err && job == FLOW_JOB_LEARN) {
		t->is_known = true;
		flow_learnt(f);
	}
	if (!err && job == FLOW_JOB_CHECK)
		end_check(t, &f->job_counts);
	if (job == FLOW_JOB_ARCHIVE)
		archive_table_end(f->archive, err);
	flow_recall(f);
	flow_pace(f);
	flow_kick(f);
	job_schedule(f);
}

static int on_sweep(sd_event_source *s, void *cookie)
{
	struct flow *f = cookie;

	/* It may have been cancelled. */
	if (f->job != FLOW_JOB_NONE && sweep(f)) {
		flow_pace(f);
		return 0;
	}
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	f->is_sweeping = false;
	if (f->job == FLOW_JOB_NONE)
		job_schedule(f);
	else
		end_job(f, 0);
	return 0;
}

int job_open(struct flow *f)
{
	int rc = sd_event_add_defer(f->event, &f->sweep, on_sweep, f);

	if (rc >= 0)
		rc = sd_event_source_set_priority(f->sweep, SD_EVENT_PRIORITY_NORMAL + 10);
	return rc < 0 ? rc : sd_event_source_set_enabled(f->sweep, SD_EVENT_OFF);
}

void job_snap_end(void *cookie, int err)
{
	struct flow *f = cookie;

	if (f->job == FLOW_JOB_NONE) {
		job_schedule(f);
		return;
	}
	if (f->job_link)
		flush_repair(f->job_table);
	if (err) {
		end_job(f, err);
		return;
	}
	f->n_swept = 0;
	memset(&f->job_counts, 0, sizeof(f->job_counts));
	f->is_sweeping = true;
	sd_event_source_set_enabled(f->sweep, SD_EVENT_ON);
}

/* What the module keeps it finds; nf_tables is asked for what the index holds, or for all. */
static int take_snapshot(struct flow_table *t, enum flow_job job, const uint8_t *buckets,
			 bool is_thorough)
{
	struct flow *f = t->flow;
	uint8_t origin = job == FLOW_JOB_ARCHIVE ? FLYREP_ORIGIN_ANY :
			 !flow_is_writer(f) ? FLYREP_ORIGIN_REMOTE :
			 flow_is_shared(f) && job != FLOW_JOB_REPAIR ? FLYREP_ORIGIN_ANY :
								       FLYREP_ORIGIN_LOCAL;
	int rc;

	if (flow_has_versions(t) && job == FLOW_JOB_REPAIR)
		return versions_snapshot(t);
	if (flow_has_versions(t) && (!t->kernel || job == FLOW_JOB_LEARN)) {
		/* A write that it does not name was a delete: nothing may be put beside it. */
		rc = versions_learn_begin(t);
		if (rc < 0)
			return rc;
	}
	if (t->row->id == FLYREP_TABLE_NFT_SET)
		return elements_snapshot(f->elements, &f->job_scope, is_thorough);
	if (flow_has_versions(t))
		return drain_snapshot(f->drain, t->row->id, FLYREP_ORIGIN_ANY, NULL);
	return drain_snapshot(f->drain, t->row->id, origin, buckets);
}

/* @buckets: NULL for all */
static bool start_job(struct flow_table *t, enum flow_job job, const uint8_t *buckets,
		      const uint8_t *prefix, size_t prefix_len, bool is_thorough)
{
	const uint8_t *asked = buckets;
	struct flow *f = t->flow;
	int rc;

	/* The kernel has the records elsewhere: it tells of all. */
	if (flow_is_writer(f) && filter_moves_keys(f->filter, t->row)) {
		is_thorough = true;
		asked = NULL;
		if (job != FLOW_JOB_REPAIR)
			buckets = NULL;
	}
	if (buckets)
		memcpy(f->job_scope.buckets, buckets, FLYREP_BUCKETS_LEN);
	else
		memset(f->job_scope.buckets, 0xff, FLYREP_BUCKETS_LEN);
	f->job_scope.prefix_len = (uint16_t)prefix_len;
	if (prefix_len)
		memcpy(f->job_scope.prefix, prefix, prefix_len);
	rc = take_snapshot(t, job, asked, is_thorough);
	if (rc < 0) {
		fr_warn("drain: cannot take a snapshot: %s", strerror(-rc));
		return false;
	}
	f->job = job;
	f->job_table = t;
	return true;
}

/* Repair one peer that wants it. */
static void repair_next(struct flow *f)
{
	uint8_t buckets[FLYREP_BUCKETS_LEN];
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		struct ship *s = f->links[i].ship;
		int table = ship_wants_repair(s) ? ship_repair_begin(s, buckets) : -ENOENT;

		if (table < 0)
			continue;
		if (start_job(f->by_id[table], FLOW_JOB_REPAIR, buckets, NULL, 0, false)) {
			f->job_link = &f->links[i];
			return;
		}
		ship_repair_end(s, -EAGAIN);
	}
}

/* What must be looked at of this table before others are served; true: a snapshot was tried. */
static bool look_at(struct flow_table *t)
{
	struct flow *f = t->flow;
	bool is_new = !t->is_known;

	/* What a table that is not known has dirty is all of it, but may not have come yet. */
	if (!t->dirty.is_any || (f->is_known && is_new))
		return false;
	if (start_job(t, is_new ? FLOW_JOB_LEARN : FLOW_JOB_DIRTY,
		      is_new ? NULL : t->dirty.bits, NULL, 0, buckets_is_all(t->dirty.bits)))
		buckets_clear(&t->dirty);
	return true;
}

/* One nft set that was changed as a whole. */
static bool look_at_set(struct flow *f)
{
	struct flow_table *t = f->by_id[FLYREP_TABLE_NFT_SET];
	const struct set *set;
	bool is_thorough;

	if (!f->elements || !t->is_known)
		return false;
	set = elements_next_dirty(f->elements, &is_thorough);
	if (!set || !start_job(t, FLOW_JOB_DIRTY, NULL, set->prefix, set->prefix_len,
			       is_thorough))
		return false;
	elements_looked_at(f->elements, set);
	return true;
}

/* The next table of the backup that is being taken. */
static bool archive_table(struct flow *f)
{
	uint8_t table = archive_next(f->archive);

	if (!table)
		return false;
	/* After a reboot the kernel lacks all that is in effect until it was given that. */
	if (f->versions && versions_is_due(f->versions))
		return true;
	if (start_job(f->by_id[table], FLOW_JOB_ARCHIVE, NULL, NULL, 0, true))
		return true;
	archive_table_end(f->archive, -EIO);
	return false;
}

/* Give a writer back what it has lost. */
static bool recall_next(struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		struct flow_link *l = &f->links[i];

		if (!l->recall_table || flow_is_writer(f) || flow_is_paused(l))
			continue;
		l->is_recall_short = false;
		if (!start_job(f->by_id[l->recall_table], FLOW_JOB_RECALL, NULL, l->recall,
			       l->recall_len, false))
			return false;
		f->job_link = l;
		return true;
	}
	return false;
}

static bool check_next(struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_tables; i++) {
		struct flow_table *t = &f->tables[i];

		if (!t->wants_check || t->is_missing)
			continue;
		t->wants_check = !start_job(t, FLOW_JOB_CHECK, NULL, NULL, 0, true);
		return true;
	}
	return false;
}

/* Start the next snapshot, if one is due and none runs. */
void job_schedule(struct flow *f)
{
	size_t i;

	if (!drain_is_attached(f->drain) || is_running(f))
		return;
	for (i = 0; i < f->n_tables; i++)
		if ((f->is_known || !f->tables[i].is_known) && look_at(&f->tables[i]))
			return;
	if (f->is_known && !look_at_set(f) && !archive_table(f) && !check_next(f) &&
	    !recall_next(f))
		repair_next(f);
}
