// SPDX-License-Identifier: GPL-2.0-or-later

#include "flow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "job.h"
#include "life.h"
#include "log.h"
#include "monotonic.h"
#include "versions.h"

#define BATCH_MAX	8192	/* records that fit FR_FRAME_MAX_LEN, whatever they hold */
#define REPAIR_BATCH	1000
#define REF_MANY	(1u << 20)	/* objects; of more, short references are often no good */

static void relate_all(struct flow *f);

/* --- tables --- */

static struct flow_table *table_of(const struct flow *f, unsigned int id)
{
	return id < FR_TABLES_MAX ? f->by_id[id] : NULL;
}

/* What is offered to peers: what the module has, as far as that is known. */
static uint64_t tables_here(const struct flow *f)
{
	uint64_t tables = 0;
	size_t i;

	for (i = 0; i < f->n_tables; i++)
		if (!f->tables[i].is_missing)
			tables |= 1ull << f->tables[i].row->id;
	return tables;
}

/* What travels between this node and a peer. */
static uint64_t tables_agreed(const struct flow *f, const struct flow_link *l)
{
	return f->stream.tables & peer_hello(l->peer)->tables;
}

bool flow_has_versions(const struct flow_table *t)
{
	return versions_has(t->flow->versions, t->row->id);
}

struct ledger *flow_ledger(const struct flow *f)
{
	return versions_ledger(f->versions);
}

/* What of a table is held for a link's peer; NULL: nothing, as it has versions or is not there */
static struct truth *held_of(const struct flow_link *l, unsigned int table)
{
	return versions_has(l->flow->versions, table) ? NULL : l->truths[table];
}

uint64_t flow_table_entries(const struct flow_table *t, uint64_t *digest)
{
	const struct index *ix = truth_index(t->truth);

	if (flow_has_versions(t))
		return versions_entries(t, digest);
	if (digest)
		*digest = index_digest(ix);
	return index_entries(ix);
}

uint64_t flow_entries(const struct flow *f)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < f->n_tables; i++)
		n += flow_table_entries(&f->tables[i], NULL);
	for (i = 0; i < f->n_links && flow_is_shared(f); i++)
		n += flow_link_entries(&f->links[i]);
	return n;
}

uint64_t flow_link_entries(const struct flow_link *l)
{
	uint64_t n = 0;
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (held_of(l, id))
			n += index_entries(truth_index(held_of(l, id)));
	return n;
}

const char *flow_table_names(uint64_t tables, char *buf, size_t len)
{
	unsigned int id;
	size_t at = 0;

	buf[0] = '\0';
	for (id = 0; id < FR_TABLES_MAX && at < len; id++) {
		const struct fr_table *t = fr_table_by_id(id);

		if (!(tables >> id & 1))
			continue;
		if (t)
			at += snprintf(buf + at, len - at, "%s%s", at ? ", " : "", t->name);
		else
			at += snprintf(buf + at, len - at, "%stable %u", at ? ", " : "", id);
	}
	return buf;
}

/* --- writer: drain → truth → batch → backlog → ship --- */

void flow_kick(struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_links; i++)
		ship_kick(f->links[i].ship);
}

static void dirty_all(struct flow_table *t, const uint16_t *buckets, size_t n)
{
	struct flow *f = t->flow;
	size_t i, k;

	for (i = 0; i < f->n_links; i++)
		for (k = 0; k < n; k++)
			ship_dirty(f->links[i].ship, t->row->id, buckets[k]);
}

void flow_refuse(struct flow_table *t, const char *why)
{
	t->n_refused++;
	if (fr_log_allow(&t->flow->log_limit, "batch"))
		fr_err("batch: a record of %s cannot be sent: %s", t->row->name, why);
}

static void on_unsendable(void *cookie, unsigned int bucket, const char *why)
{
	uint16_t dirty = bucket;

	flow_refuse(cookie, why);
	dirty_all(cookie, &dirty, 1);
}

/*
 * May what travels of a table name objects by reference? Where all write a node may forget what a
 * peer still tells of: so it may not be.
 */
static bool takes_refs(const struct flow_table *t)
{
	const struct flow *f = t->flow;
	size_t i;

	if (!FR_HAS_REFS || !t->row->encode_refs || flow_is_shared(f))
		return false;
	for (i = 0; i < f->n_links; i++)
		if (!ship_takes_refs(f->links[i].ship, t->row->id))
			return false;
	return true;
}

/* Does everybody who hears of it have of this bucket what this node had before? */
static bool tells_refs(const struct flow_table *t, unsigned int bucket)
{
	const struct flow *f = t->flow;
	size_t i;

	for (i = 0; i < f->n_links; i++)
		if (!ship_tells_refs(f->links[i].ship, t->row->id, bucket))
			return false;
	return true;
}

/* A record that goes into the batch may be named by reference, if its key can be told so. */
static void refer(struct flow_table *t, const void *rec, unsigned int bucket)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct index *ix = truth_index(t->truth);
	unsigned int bits;
	bool is_told;
	uint64_t hash;

	if (!takes_refs(t))
		return;
	bits = index_entries(ix) <= REF_MANY ? FR_REF_BITS : FR_REF_BITS_MAX;
	is_told = index_is_alone(ix, key, t->row->key(key, rec), bits, &hash);
	batch_refer(t->batch, hash, is_told && tells_refs(t, bucket) ? bits : 0);
}

/* Put what was collected of a table into the backlog. */
static void flush_table(struct flow_table *t)
{
	struct flow *f = t->flow;
	struct backlog_batch b = {
		.captured_ns = batch_captured_ns(t->batch),
		.encoded_ns = monotonic_ns(),
		.table = t->row->id,
	};
	ssize_t len;

	if (!batch_count(t->batch))
		return;
	/* Who could take them then may be another one now. */
	len = batch_encode(t->batch, f->encoder, backlog_next_seq(f->backlog),
			   takes_refs(t) ? FR_FRAME_F_REFS : 0, &b.frame, on_unsendable, t);
	b.has_refs = len > 0 && fr_frame_has_refs(b.frame);
	b.len = len;
	b.n_changes = batch_count(t->batch);
	b.buckets = batch_buckets(t->batch);
	f->flushed_ns = b.encoded_ns;
	if (b.n_changes && (len < 0 || !backlog_push(f->backlog, &b))) {
		fr_err("batch: %u changes of %s could not be kept, their buckets will be repaired",
		       b.n_changes, t->row->name);
		dirty_all(t, b.buckets, b.n_changes);
	}
	batch_reset(t->batch);
}

/* All tables up to this one, in their order: an expectation follows its master. */
static void flush(struct flow *f, const struct flow_table *last)
{
	struct flow_table *t;

	for (t = f->tables; t <= last; t++)
		flush_table(t);
}

static void flush_all(struct flow *f)
{
	sd_event_source_set_enabled(f->pace, SD_EVENT_OFF);
	if (f->n_tables)
		flush(f, &f->tables[f->n_tables - 1]);
}

/* Changes that wait for their batch. */
static size_t n_collected(const struct flow *f)
{
	size_t i, n = 0;

	for (i = 0; i < f->n_tables; i++)
		n += batch_count(f->tables[i].batch);
	return n;
}

static bool is_link_idle(const struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_links; i++)
		if (ship_is_started(f->links[i].ship) && !ship_is_idle(f->links[i].ship))
			return false;
	return true;
}

/* The ring is empty: send now, unless a batch is under way to everybody. */
void flow_pace(struct flow *f)
{
	if (!n_collected(f))
		return;
	if (is_link_idle(f)) {
		flush_all(f);
		flow_kick(f);
		return;
	}
	if (sd_event_source_get_enabled(f->pace, NULL) > 0)
		return;
	sd_event_source_set_time_relative(f->pace, f->config->sync.interval_ms * 1000);
	sd_event_source_set_enabled(f->pace, SD_EVENT_ONESHOT);
}

static int on_pace(sd_event_source *s, uint64_t usec, void *cookie)
{
	(void)s;
	(void)usec;
	flush_all(cookie);
	flow_kick(cookie);
	return 0;
}

/*
 * In mode full changes travel only while a peer is sent a snapshot and compared: so it has
 * all that this node had at the end of that.
 */
static bool is_withheld(const struct flow *f)
{
	size_t i;

	if (f->config->sync.mode != FR_CONFIG_SYNC_FULL)
		return false;
	for (i = 0; i < f->n_links; i++)
		if (!ship_is_settled(f->links[i].ship))
			return false;
	return true;
}

void flow_publish(struct flow_table *t, const void *rec, int op, unsigned int bucket)
{
	const struct flyrep_rec *head = rec;
	struct flow *f = t->flow;
	uint64_t now;

	if (!f->is_known)
		return;
	if (is_withheld(f)) {
		f->n_withheld++;
		return;
	}
	now = monotonic_ns();
	batch_add(t->batch, rec, op, bucket, now - head->age_us * 1000ull);
	t->n_changes++;
	refer(t, rec, bucket);
	if (batch_is_full(t->batch)) {
		flush(f, t);
		flow_kick(f);
	}
}

/* --- standby --- */

uint64_t flow_next_order(struct flow *f)
{
	return ++f->order;
}

void flow_ship_on(struct flow_table *t, const void *rec, int op, unsigned int bucket)
{
	op = flow_news(rec, op);
	if (t->flow->config->mode == FR_CONFIG_CHAIN && op > FLYREP_OP_UNSPEC)
		flow_publish(t, rec, op, bucket);
}

static int inject(struct flow *f, uint8_t table, const void *recs, size_t n,
		  void (*on_refused)(void *c, const void *rec, int error), void *c)
{
	if (!n)
		return 0;
	if (table != FLYREP_TABLE_NFT_SET)
		return inject_apply(f->inject, table, recs, n, on_refused, c);
	elements_apply(f->elements, recs, n, on_refused, c);
	return 0;
}

bool flow_has_table(const struct flow *f, unsigned int table)
{
	const struct flow_table *t = table_of(f, table);

	return t && t->is_known;
}

struct index *flow_keys(const struct flow *f, unsigned int table, struct index **made)
{
	struct flow_table *t = table_of(f, table);

	*made = flow_has_versions(t) ? versions_keys(t) : NULL;
	return flow_has_versions(t) ? *made : truth_index(t->truth);
}

void flow_write_own(struct flow *f, unsigned int table, const void *recs, size_t n,
		    void (*on_refused)(void *c, const void *rec, int error), void *c)
{
	if (table == FLYREP_TABLE_NFT_SET)
		elements_apply_own(f->elements, recs, n, on_refused, c);
	else
		inject_apply_own(f->inject, table, recs, n, on_refused, c);
}

/* A standby hears of its kernel only what goes wrong there. */
static void on_standby_record(struct flow_table *t, const void *rec)
{
	const struct flyrep_rec *head = rec;
	struct flow *f = t->flow;
	unsigned int bucket;

	if (!(head->flags & FLYREP_REC_F_REMOTE)) {
		f->n_taken_over++;
		return;
	}
	if (head->op == FLYREP_OP_DELETE &&
	    truth_put(t->truth, rec, flow_next_order(f), &bucket) == FLYREP_OP_DELETE) {
		f->n_lost++;
		flow_ship_on(t, rec, FLYREP_OP_DELETE, bucket);
	}
}

static void on_not_expelled(void *cookie, const void *rec, int error)
{
	(void)cookie;
	(void)rec;
	fr_warn("filter: a record that does not pass could not be deleted: %s", strerror(-error));
}

/* Have the kernel delete the object of a record. */
static void delete_held(struct flow_table *t, const void *rec,
			void (*on_refused)(void *c, const void *rec, int error))
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	uint8_t gone[FR_RECORD_KEY_ROOM] __attribute__((aligned(8))) = { 0 };

	if (t->row->from_key(gone, key, t->row->key(key, rec)) < 0)
		return;
	((struct flyrep_rec *)(void *)gone)->op = FLYREP_OP_DELETE;
	inject(t->flow, t->row->id, gone, 1, on_refused, NULL);
}

void flow_expel(struct flow_table *t, const void *rec)
{
	if (filter_admits(t->flow->filter, t->row, rec))
		return;
	filter_refused(t->flow->filter, t->row);
	delete_held(t, rec, on_not_expelled);
}

int flow_news(const void *rec, int op)
{
	const struct flyrep_rec *head = rec;

	return op == FLYREP_OP_UNSPEC && head->flags & FR_REC_F_REFRESHED ? FLYREP_OP_UPDATE : op;
}

/* --- all write: whose an object is --- */

bool flow_is_standalone(const struct flow *f)
{
	return f->config->mode == FR_CONFIG_STANDALONE;
}

bool flow_is_shared(const struct flow *f)
{
	return f->role.role == FR_ROLE_PEER;
}

/* Does any peer say that it has it? */
static bool is_a_peers(const struct flow_table *t, const void *rec)
{
	const struct flow *f = t->flow;
	size_t i;

	for (i = 0; i < f->n_links; i++)
		if (truth_has(f->links[i].truths[t->row->id], rec))
			return true;
	return false;
}

/*
 * The kernel does not have it any more, though some peers, but for one, say they do: the next
 * audit brings it again.
 */
static void forget_held(struct flow_table *t, const struct flow_link *but, const void *rec)
{
	struct flow *f = t->flow;
	size_t i;

	for (i = 0; i < f->n_links; i++)
		if (&f->links[i] != but)
			truth_drop(f->links[i].truths[t->row->id], rec);
}

/* The kernel tells of what it holds for a peer. */
static void on_held_record(struct flow_table *t, const void *rec)
{
	if (((const struct flyrep_rec *)rec)->op != FLYREP_OP_DELETE)
		return;
	t->flow->n_lost += is_a_peers(t, rec);
	forget_held(t, NULL, rec);
}

/* It tells of what is this node's own; @op: what that means. */
static void on_own_record(struct flow_table *t, const void *rec, int op)
{
	if (op == FLYREP_OP_INSERT)
		t->flow->n_taken_over += is_a_peers(t, rec);
	else if (op == FLYREP_OP_DELETE)
		forget_held(t, NULL, rec);
}

/* Each peer is here, and all it has is held. */
static bool has_heard_all(const struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_links; i++)
		if (!receive_is_started(f->links[i].receive) ||
		    !receive_figures(f->links[i].receive)->is_equal)
			return false;
	return true;
}

static void on_stranger_stays(void *cookie, const void *rec, int error)
{
	(void)cookie;
	(void)rec;
	(void)error; /* counted, and seen again at the next look */
}

void flow_turn_out(struct flow_table *t, const void *rec)
{
	/* Of a peer that is away it may be the last copy. */
	if (has_heard_all(t->flow))
		delete_held(t, rec, on_stranger_stays);
}

/* It took these of a peer: what was this node's own is not any more. */
static void settle(struct flow_link *l, struct flow_table *t, const void *recs, size_t n)
{
	const struct flyrep_rec *rec = recs;

	for (; n; n--, rec = fr_record_next(t->row, rec)) {
		if (rec->op == FLYREP_OP_UNSPEC || rec->flags & FR_REC_F_OURS)
			continue;
		if (rec->op == FLYREP_OP_DELETE) {
			forget_held(t, l, rec);
		} else if (truth_has(t->truth, rec)) {
			truth_drop(t->truth, rec);
			flow_publish(t, rec, FLYREP_OP_DELETE, truth_bucket(t->truth, rec));
		}
	}
	flow_pace(l->flow);
}

/* --- what the kernel tells --- */

bool flow_is_writer(const struct flow *f)
{
	return f->role.role == FR_ROLE_PRIMARY || flow_is_shared(f);
}

void flow_learnt(struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_tables; i++)
		if (!f->tables[i].is_known && !f->tables[i].is_missing)
			return;
	f->is_known = true;
	f->stream.tables = tables_here(f);
	for (i = 0; i < f->n_tables; i++)
		if (f->tables[i].is_known)
			fr_info("replication: %s: %zu known", f->tables[i].row->name,
				index_entries(truth_index(f->tables[i].truth)));
	relate_all(f);
	peers_hurry(f->peers);
}

void flow_withdrew(struct flow_table *t)
{
	struct flow_table *follower = t->flow->by_id[FLYREP_TABLE_EXPECTATION];

	filter_withdrew(t->flow->filter, t->row);
	if (t->row->id != FLYREP_TABLE_CONNTRACK || !follower)
		return;
	buckets_add_all(&follower->dirty);
	job_schedule(t->flow);
}

static void on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	struct flow *f = cookie;
	struct flow_table *t = table_of(f, table);
	const struct flyrep_rec *rec = recs;

	if (!t)
		return;
	for (; n; n--, rec = fr_record_next(t->row, rec)) {
		bool is_withdrawal;
		unsigned int bucket;
		const void *out;
		int op;

		if (!flow_is_writer(f)) {
			on_standby_record(t, rec);
			continue;
		}
		if (flow_has_versions(t)) {
			if (t->kernel)
				truth_put(t->kernel, rec, rec->stamp, &bucket);
			out = filter_pass(f->filter, t->row, rec, &is_withdrawal);
			if (out)
				versions_local(t, out);
			continue;
		}
		if (flow_is_shared(f) && rec->flags & FLYREP_REC_F_REMOTE) {
			on_held_record(t, rec);
			continue;
		}
		out = filter_pass(f->filter, t->row, rec, &is_withdrawal);
		if (!out)
			continue;
		op = truth_put(t->truth, out, rec->stamp, &bucket);
		if (flow_is_shared(f))
			on_own_record(t, out, op);
		if (op >= 0 && (rec->flags & FLYREP_REC_F_MUTE ||
				(is_withdrawal && filter_follows(f->filter, t->row))))
			job_mute(t, bucket);
		op = flow_news(out, op);
		if (op > FLYREP_OP_UNSPEC)
			flow_publish(t, out, op, bucket);
		if (is_withdrawal && op == FLYREP_OP_DELETE)
			flow_withdrew(t);
	}
}

static void on_dirty(void *cookie, uint8_t table, const uint8_t *buckets)
{
	struct flow_table *t = table_of(cookie, table);

	if (!t)
		return;
	if (buckets)
		buckets_add(&t->dirty, buckets);
	else
		buckets_add_all(&t->dirty);
	job_schedule(cookie);
}

/* All tables that the module has were called dirty when it was bound. */
static void find_missing(struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_tables; i++) {
		struct flow_table *t = &f->tables[i];

		if (t->is_known || t->dirty.is_any || f->job_table == t)
			continue;
		t->is_missing = true;
		fr_warn("drain: the module has no table %s; it is not replicated", t->row->name);
	}
	if (!f->is_known)
		flow_learnt(f);
}

static void on_drained(void *cookie)
{
	struct flow *f = cookie;

	if (!f->is_drained) {
		f->is_drained = true;
		find_missing(f);
	}
	flow_pace(f);
}

static void forget_table(struct flow_table *t)
{
	t->is_known = false;
	t->is_missing = false;
	buckets_clear(&t->dirty);
	buckets_clear(&t->mute);
	batch_reset(t->batch);
	batch_reset(t->repair);
	if (!flow_has_versions(t))
		index_forget_stamps(truth_index(t->truth));
	if (t->kernel)
		index_clear(truth_index(t->kernel));
}

/* Nothing the indexes say can be trusted; learn the tables before meeting anybody. */
static void forget(struct flow *f)
{
	size_t i;

	job_cancel(f);
	f->is_known = false;
	for (i = 0; i < f->n_tables; i++)
		forget_table(&f->tables[i]);
}

static void clear_held(struct flow_link *l)
{
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (held_of(l, id))
			index_clear(truth_index(held_of(l, id)));
}

static void on_attached(void *cookie, const char *version)
{
	struct flow *f = cookie;
	size_t i;

	for (i = 0; !flow_is_writer(f) && i < f->n_tables; i++)
		index_clear(truth_index(f->tables[i].truth));
	for (i = 0; flow_is_shared(f) && i < f->n_links; i++)
		clear_held(&f->links[i]);
	f->has_strangers = flow_is_shared(f) && f->n_links > 1;
	/* What an earlier life among others has left is nobody else's any more. */
	if (flow_is_standalone(f))
		drain_promote(f->drain, &(uint32_t){ 0 });
	forget(f); /* dirty() follows */
	f->is_drained = false;
	events_log(f->events, EVENT_MODULE_UP, FR_LOG_NOTICE, NULL,
		   "drain: bound to kernel module %s", version);
	if (f->elements)
		elements_attach(f->elements);
	peers_restart(f->peers, "its kernel module is back");
}

static void on_detached(void *cookie)
{
	struct flow *f = cookie;

	forget(f);
	if (f->versions)
		versions_lose_kernel(f->versions);
	if (f->elements)
		elements_detach(f->elements);
	f->was_in_step = false;
	events_log(f->events, EVENT_MODULE_DOWN, FR_LOG_ERR, NULL,
		   "drain: the kernel module is gone");
	peers_restart(f->peers, "its kernel module is gone");
}

static void on_hints(void *cookie, const struct flyrep_hint *hints, size_t len)
{
	struct flow *f = cookie;

	if (f->elements)
		elements_hint(f->elements, hints, len);
}

static void on_watched(void *cookie, int err)
{
	struct flow *f = cookie;

	if (f->elements)
		elements_watched(f->elements, err);
}

static void on_gap(void *cookie)
{
	struct flow *f = cookie;

	if (f->versions)
		versions_gap(f->versions);
}

static const struct drain_ops drain_ops = {
	.attached = on_attached,
	.detached = on_detached,
	.records = on_records,
	.drained = on_drained,
	.gap = on_gap,
	.dirty = on_dirty,
	.hints = on_hints,
	.watched = on_watched,
	.snap_begin = job_snap_begin,
	.snap_records = job_snap_records,
	.snap_end = job_snap_end,
};

static void on_elements(void *cookie, uint8_t table, const void *recs, size_t n)
{
	on_records(cookie, table, recs, n);
	flow_pace(cookie);
}

static void on_watch(void *cookie, const struct flyrep_set *sets, size_t n)
{
	drain_watch(((struct flow *)cookie)->drain, sets, n);
}

static void on_due(void *cookie, const uint8_t *buckets)
{
	on_dirty(cookie, FLYREP_TABLE_NFT_SET, buckets);
}

static void on_sets_changed(void *cookie)
{
	flow_recall(cookie);
	job_schedule(cookie);
}

static const struct elements_ops elements_ops = {
	.records = on_elements,
	.snap_begin = job_snap_begin,
	.snap_records = job_snap_records,
	.snap_end = job_snap_end,
	.watch = on_watch,
	.due = on_due,
	.changed = on_sets_changed,
};

/* --- what a session tells --- */

static void on_acked(void *cookie, struct ship *s)
{
	struct flow *f = ((struct flow_link *)cookie)->flow;
	uint64_t acked = UINT64_MAX;
	size_t i;

	(void)s;
	for (i = 0; i < f->n_links; i++)
		if (ship_acked(f->links[i].ship) < acked)
			acked = ship_acked(f->links[i].ship);
	backlog_trim(f->backlog, acked);
	if (f->source)
		receive_ack(f->source->receive);
	if (n_collected(f) && is_link_idle(f)) {
		flush_all(f);
		flow_kick(f);
	}
}

static void on_ship_audited(void *cookie, struct ship *s, uint64_t entries, unsigned int n_buckets)
{
	struct flow_link *l = cookie;
	struct flow *f = l->flow;
	size_t i;

	for (i = 0; i < f->n_tables; i++) {
		const struct fr_table *row = f->tables[i].row;
		const struct ship_table_figures *t = ship_table_figures(s, row->id);
		unsigned int n = t ? t->n_differ : 0;

		/* What a peer cannot take differs at every audit. */
		if (n && n != l->n_differ[row->id])
			events_log(f->events, EVENT_DIFFERS, FR_LOG_NOTICE, peer_id(l->peer),
				   "replication: peer %s: %s: holds %lu, %u buckets differ%s",
				   peer_id(l->peer), row->name, t->remote_entries, t->n_differ,
				   ship_is_auto(s) ? ", repairing" : ", waiting for a resync");
		l->n_differ[row->id] = n;
	}
	if (!n_buckets && ship_figures(s)->n_audits == 1)
		events_log(f->events, EVENT_IN_STEP, FR_LOG_NOTICE, peer_id(l->peer),
			   "replication: peer %s: in step, %lu entries", peer_id(l->peer), entries);
}

static void on_ship_checked(void *cookie, struct ship *s, uint8_t table,
			    const struct fr_checked *m, bool is_last)
{
	struct flow_link *l = cookie;

	l->checked[table] = *m;
	if (!is_last)
		return;
	l->n_checked++;
	ship_audit(s);
}

static void on_ship_wants(void *cookie, struct ship *s)
{
	struct flow *f = ((struct flow_link *)cookie)->flow;

	if (f->job == FLOW_JOB_REPAIR && f->job_link->ship == s)
		job_hold(f, false);
	else
		job_schedule(f);
}

static void link_flush(void *cookie)
{
	flush_all(((struct flow_link *)cookie)->flow);
}

static const struct ship_ops ship_ops = {
	.flush = link_flush,
	.acked = on_acked,
	.audited = on_ship_audited,
	.checked = on_ship_checked,
	.wants = on_ship_wants,
};

struct link_injection {
	const struct flow *flow;
	void (*on_refused)(void *cookie, const void *rec, int error);
	void *cookie;
};

static void on_link_refused(void *cookie, const void *rec, int error)
{
	struct link_injection *i = cookie;

	if (error == -EBUSY && flow_is_shared(i->flow))
		((struct flyrep_rec *)rec)->flags |= FR_REC_F_OURS; /* in the buffer of receive */
	else
		i->on_refused(i->cookie, rec, error);
}

static int link_inject(void *cookie, uint8_t table, const void *recs, size_t n,
		       void (*on_refused)(void *c, const void *rec, int error), void *c)
{
	struct flow_link *l = cookie;
	struct link_injection i = { .flow = l->flow, .on_refused = on_refused, .cookie = c };
	int rc;

	if (versions_has(l->flow->versions, table)) {
		versions_remote(l, table_of(l->flow, table), recs, n, on_refused, c);
		return 0;
	}
	rc = inject(l->flow, table, recs, n, on_link_refused, &i);

	if (flow_is_shared(l->flow))
		settle(l, table_of(l->flow, table), recs, n);
	return rc;
}

static bool link_admits(void *cookie, uint8_t table, const void *rec)
{
	struct flow *f = ((struct flow_link *)cookie)->flow;
	const struct fr_table *row = fr_table_by_id(table);
	bool is_admitted = versions_has(f->versions, table) ?
				   versions_admits(table_of(f, table), rec) :
				   filter_admits(f->filter, row, rec);

	if (!is_admitted)
		filter_refused(f->filter, row);
	return is_admitted;
}

static uint64_t link_order(void *cookie)
{
	return flow_next_order(((struct flow_link *)cookie)->flow);
}

static void link_started(void *cookie, uint64_t seq)
{
	relay_start(&((struct flow_link *)cookie)->way, seq);
}

static void link_applied(void *cookie, uint8_t table, const void *rec, int op, unsigned int bucket)
{
	struct flow *f = ((struct flow_link *)cookie)->flow;

	if (flow_is_writer(f))
		return;
	flow_ship_on(table_of(f, table), rec, op, bucket);
}

/* What this node ships on is acknowledged when those behind it have it. */
static uint64_t link_acked(void *cookie, uint64_t seq)
{
	struct flow_link *l = cookie;
	struct flow *f = l->flow;
	uint64_t acked = UINT64_MAX;
	size_t i;

	if (f->source != l)
		return seq;
	flow_pace(f);
	for (i = 0; i < f->n_links; i++)
		if (ship_is_started(f->links[i].ship) && ship_acked(f->links[i].ship) < acked)
			acked = ship_acked(f->links[i].ship);
	return relay_acked(&l->way, seq, backlog_next_seq(f->backlog) - !n_collected(f), acked);
}

static void on_receive_check(void *cookie, uint8_t table)
{
	struct flow_link *l = cookie;

	l->wants_check |= 1ull << table;
	table_of(l->flow, table)->wants_check = true;
	job_schedule(l->flow);
}

/* --- standby: no resync without a backup ---------------------------------------- */

static uint64_t archive_tables(void *cookie)
{
	const struct flow *f = cookie;
	uint64_t tables = 0;
	size_t i;

	for (i = 0; i < f->n_tables && f->is_known && drain_is_attached(f->drain); i++)
		if (f->tables[i].is_known && archive_has_table(f->tables[i].row->id))
			tables |= 1ull << f->tables[i].row->id;
	return tables;
}

static void on_describe(void *cookie, struct backup_head *head, struct fr_siphash_key *hash_key)
{
	const struct flow *f = cookie;

	head->epoch = f->role.epoch;
	memcpy(head->history, f->stream.history, sizeof(head->history));
	snprintf(head->node_id, sizeof(head->node_id), "%s", f->config->node_id);
	*hash_key = f->role.hash_key;
}

static void on_archive_schedule(void *cookie)
{
	job_schedule(cookie);
}

/* The stream that comes over a link overwrites nothing any more that is not saved. */
static void remember_stream(struct flow_link *l)
{
	uint64_t seq;

	receive_position(l->receive, l->saved_history, &seq);
	l->wants_backup = false;
}

static bool has_remembered_stream(const struct flow_link *l)
{
	uint8_t history[FR_HISTORY_LEN];
	uint64_t seq;

	receive_position(l->receive, history, &seq);
	return !memcmp(history, l->saved_history, sizeof(history));
}

static bool on_saved(void *cookie, int err, const char *why)
{
	struct flow *f = cookie;
	bool is_wanted = false;
	size_t i;

	resync_saved(f->resync, err, why);
	for (i = 0; i < f->n_links; i++) {
		struct flow_link *l = &f->links[i];
		bool is_left_out = l->wants_backup;

		is_wanted |= err && is_left_out;
		if (err)
			continue;
		remember_stream(l); /* whichever overwrites this node: it is saved */
		if (is_left_out)
			flow_ask_audit(l); /* it finds that again */
	}
	return is_wanted;
}

static const struct archive_ops archive_ops = {
	.tables = archive_tables,
	.describe = on_describe,
	.schedule = on_archive_schedule,
	.saved = on_saved,
};

bool flow_needs_backup(const struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_tables && f->config->backup_before_resync; i++)
		if (archive_has_table(f->tables[i].row->id) &&
		    flow_table_entries(&f->tables[i], NULL))
			return true;
	return false;
}

static bool count_one(void *cookie, const struct index_entry *e)
{
	(void)e;
	++*(size_t *)cookie;
	return false;
}

static size_t entries_in(const struct flow_table *t, const uint8_t *buckets)
{
	struct index *ix = truth_index(t->truth);
	unsigned int b;
	size_t n = 0;

	if (flow_has_versions(t))
		return versions_entries_in(t, buckets);
	for (b = 0; b < FLYREP_BUCKETS; b++)
		if (buckets_has(buckets, b))
			index_walk(ix, b, count_one, &n);
	return n;
}

/* Does a repair go over more than half of what is held of a table, or in effect? */
static bool is_much(const struct flow_table *t, const uint8_t *buckets)
{
	return entries_in(t, buckets) > flow_table_entries(t, NULL) / 2;
}

static bool link_may_repair(void *cookie, uint8_t table, const uint8_t *buckets)
{
	struct flow_link *l = cookie;
	struct flow *f = l->flow;

	if (!f->config->backup_before_resync || !archive_has_table(table) ||
	    has_remembered_stream(l) || !is_much(table_of(f, table), buckets))
		return true;
	l->wants_backup = true;
	archive_want(f->archive);
	return false;
}

/* What a standby says of all its writers, and of one that was lost. */
static void on_receive_audited(void *cookie, unsigned int n_groups)
{
	struct flow_link *l = cookie;
	struct flow *f = l->flow;

	if (!n_groups)
		remember_stream(l);
	if (!n_groups && f->versions)
		versions_in_step(l);
	if (flow_is_shared(f) && !has_heard_all(f))
		n_groups++;
	if (!n_groups && !f->was_in_step)
		events_log(f->events, EVENT_IN_STEP, FR_LOG_NOTICE, NULL,
			   "replication: in step, %lu entries held", flow_entries(f));
	f->was_in_step = !n_groups;
	if (!n_groups && f->has_strangers) {
		f->has_strangers = false;
		flow_check(f);
	}
	if (!n_groups && f->elements)
		elements_forgive(f->elements);
	if (!n_groups)
		f->in_step_ns = monotonic_ns();
}

static const struct receive_ops receive_ops = {
	.admits = link_admits,
	.inject = link_inject,
	.started = link_started,
	.applied = link_applied,
	.acked = link_acked,
	.order = link_order,
	.may_repair = link_may_repair,
	.check = on_receive_check,
	.audited = on_receive_audited,
};

/* --- what a writer has lost, and a standby holds --- */

static bool can_recall(const struct flow_link *l)
{
	return !flow_is_paused(l) && ship_is_started(l->ship) &&
	       ship_tables(l->ship) >> FLYREP_TABLE_NFT_SET & 1;
}

static int send_recall(struct flow_link *l, const struct set *set)
{
	struct fr_recall m = { .prefix = set->prefix, .prefix_len = set->prefix_len };
	uint8_t buf[FR_RECALL_MAX_LEN + 8];
	struct fr_writer w;

	fr_writer_init(&w, buf, sizeof(buf));
	fr_recall_encode(&w, &m);
	return conn_send_message(peer_conn(l->peer), FR_FRAME_RECALL, FLYREP_TABLE_NFT_SET, buf,
				 fr_writer_len(&w), NULL);
}

/* All write: the ledger knows what was lost. */
static void refill(struct flow *f)
{
	struct flow_table *t = f->by_id[FLYREP_TABLE_NFT_SET];
	const struct set *set = f->is_known ? elements_next_lost(f->elements) : NULL;

	if (!set)
		return;
	job_restart(t);
	elements_refill(f->elements, set, versions_lose(t, set->prefix, set->prefix_len));
}

void flow_recall(struct flow *f)
{
	const uint64_t bit = 1ull << FLYREP_TABLE_NFT_SET;
	const struct set *set;
	size_t i;

	if (!f->elements)
		return;
	if (flow_is_shared(f)) {
		refill(f);
		return;
	}
	if (flow_is_writer(f) && !elements_is_whole(f->elements))
		f->stream.held |= bit;
	else
		f->stream.held &= ~bit;
	set = f->recall_link || !f->is_known ? NULL : elements_next_lost(f->elements);
	for (i = 0; set && i < f->n_links; i++) {
		if (!can_recall(&f->links[i]) || send_recall(&f->links[i], set) < 0)
			continue;
		f->recall_link = &f->links[i];
		f->recall_set = set;
		return;
	}
}

/* The session is over, or turned round: ask somebody else. */
static void forget_recall(struct flow *f, struct flow_link *l)
{
	l->recall_table = 0;
	if (f->recall_link != l)
		return;
	f->recall_link = NULL;
	f->recall_set = NULL;
}

/* Standby: the writer wants back what this node holds. */
static int on_recall(struct flow *f, struct flow_link *l, const struct fr_frame_head *head,
		     const uint8_t *payload, size_t len, const char **why)
{
	struct fr_recall m;

	if (fr_recall_decode(&m, payload, len) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	if (!(receive_tables(l->receive) >> head->table & 1)) {
		*why = "a table that was not agreed on";
		return -EBADMSG;
	}
	l->recall_table = head->table;
	l->recall_len = m.prefix_len;
	memcpy(l->recall, m.prefix, m.prefix_len);
	job_schedule(f);
	return 0;
}

/* Writer: something comes back. */
static int on_given_back(struct flow *f, struct flow_link *l, const struct fr_frame_head *head,
			 const uint8_t *payload, size_t len, const char **why)
{
	struct flow_table *t = table_of(f, head->table);
	struct fr_reader r;
	uint8_t *recs;
	size_t n;
	int rc;

	if (f->recall_link != l || !t || t->row->id != FLYREP_TABLE_NFT_SET ||
	    !(head->flags & FR_FRAME_F_REPAIR)) {
		*why = "nothing was recalled";
		return -EBADMSG;
	}
	recs = malloc(FR_BATCH_MAX_LEN);
	if (!recs) {
		*why = "out of memory";
		return -ENOMEM;
	}
	fr_reader_init(&r, payload, len);
	rc = t->row->decode(&r, recs, FR_BATCH_MAX_LEN, FR_BATCH_MAX, &n);
	if (rc < 0)
		*why = "malformed";
	else
		elements_give_back(f->elements, recs, n);
	free(recs);
	return rc;
}

static int on_recalled(struct flow *f, struct flow_link *l, const char **why)
{
	const struct set *set = f->recall_set;

	if (f->recall_link != l) {
		*why = "nothing was recalled";
		return -EBADMSG;
	}
	forget_recall(f, l);
	elements_recalled(f->elements, set);
	return 0;
}

/* --- pause --- */

bool flow_is_paused(const struct flow_link *l)
{
	return l->flow->stream.is_paused || l->is_paused;
}

static void send_pause(struct flow_link *l)
{
	struct fr_pause m = { .is_paused = l->flow->stream.is_paused };
	uint8_t buf[8];
	struct fr_writer w;

	if (!peer_conn(l->peer))
		return;
	if (peer_wire(l->peer) < FR_WIRE_VERSION_PAUSE) {
		fr_notice("replication: peer %s cannot be told: it speaks wire version %u",
			  peer_id(l->peer), peer_wire(l->peer));
		return;
	}
	fr_writer_init(&w, buf, sizeof(buf));
	fr_pause_encode(&w, &m);
	conn_send_message(peer_conn(l->peer), FR_FRAME_PAUSE, 0, buf, fr_writer_len(&w), NULL);
}

/* What the running snapshot is for cannot be done now. */
static void stop_job_of(struct flow *f, const struct flow_link *l)
{
	if (f->job_link == l)
		job_cancel(f);
}

void flow_pause(struct flow *f, bool pause)
{
	size_t i;

	if (f->stream.is_paused == pause)
		return;
	events_log(f->events, pause ? EVENT_PAUSED : EVENT_RESUMED, FR_LOG_NOTICE, NULL,
		   "replication: %s by hand", pause ? "paused" : "resumed");
	f->stream.is_paused = pause;
	for (i = 0; i < f->n_links; i++) {
		struct flow_link *l = &f->links[i];

		if (pause)
			stop_job_of(f, l);
		receive_pause(l->receive, pause);
		send_pause(l);
	}
	if (pause)
		return;
	/* A standby has let pass what came meanwhile; HELLO tells where it stands. */
	if (!flow_is_writer(f) || flow_is_shared(f))
		peers_restart(f->peers, "it was resumed");
	peers_hurry(f->peers);
	flow_recall(f);
	flow_kick(f);
	job_schedule(f);
}

static int on_pause(struct flow *f, struct flow_link *l, const uint8_t *payload, size_t len,
		    const char **why)
{
	struct fr_pause m;

	if (fr_pause_decode(&m, payload, len) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	if (l->is_paused != m.is_paused)
		events_log(f->events, m.is_paused ? EVENT_PAUSED : EVENT_RESUMED, FR_LOG_NOTICE,
			   peer_id(l->peer), "replication: peer %s was %s", peer_id(l->peer),
			   m.is_paused ? "paused" : "resumed");
	l->is_paused = m.is_paused;
	if (l->is_paused)
		stop_job_of(f, l);
	ship_pause(l->ship, l->is_paused);
	flow_recall(f);
	return 0;
}

/* --- roles --- */

static void send_role(struct flow *f, struct flow_link *l)
{
	struct fr_role_msg m = { .role = f->role.role, .epoch = f->role.epoch,
				 .distance = relay_distance(f, l) };
	uint8_t buf[16];
	struct fr_writer w;

	if (!peer_conn(l->peer))
		return;
	l->told_distance = m.distance;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_role_encode(&w, &m, peer_wire(l->peer));
	conn_send_message(peer_conn(l->peer), FR_FRAME_ROLE, 0, buf, fr_writer_len(&w), NULL);
}

static int change_role(struct flow *f, enum fr_role role, uint32_t *n_changed);

static void learn_anew(struct flow *f);

/* Where all write: what is held for peers stays in the kernel, and is told again. */
static void rekey_held(struct flow_link *l, const struct fr_siphash_key *key)
{
	struct flow *f = l->flow;
	size_t id;

	for (id = 0; id < FR_TABLES_MAX && flow_is_shared(f); id++)
		if (held_of(l, id))
			truth_rekey(held_of(l, id), key);
	f->has_strangers = flow_is_shared(f) && f->n_links > 1;
}

static bool has_our_hash_key(const struct flow *f, const struct fr_hello *theirs)
{
	return !memcmp(theirs->hash_key, f->role.hash_key.b, sizeof(theirs->hash_key));
}

/* A standby takes its writer's. Where all write the least of all keys becomes that of all. */
static bool must_adopt_hash_key(const struct flow *f, const struct fr_hello *theirs,
				enum role_relation relation)
{
	int order = memcmp(theirs->hash_key, f->role.hash_key.b, sizeof(theirs->hash_key));

	return relation == ROLE_READ ? order != 0 : relation == ROLE_SHARE && order < 0;
}

/*
 * Buckets and digests are compared with those of the writer, so its hash key is to be
 * ours. What was indexed under another one is learnt anew, and the sessions with it.
 */
static void adopt_hash_key(struct flow *f, struct flow_link *l)
{
	struct fr_siphash_key key;
	size_t i;

	memcpy(key.b, peer_hello(l->peer)->hash_key, sizeof(key.b));
	if (role_adopt(&f->role, &key) < 0) {
		peer_reject(l->peer, FR_ERROR_INTERNAL, "cannot save your hash key");
		return;
	}
	fr_notice("replication: takes over the hash key of peer %s", peer_id(l->peer));
	learn_anew(f);
	for (i = 0; i < f->n_tables; i++)
		if (!flow_has_versions(&f->tables[i]))
			truth_rekey(f->tables[i].truth, &key);
	for (i = 0; i < f->n_tables; i++)
		if (f->tables[i].kernel)
			truth_rekey(f->tables[i].kernel, &key);
	if (f->versions && versions_rekey(f->versions, &key) < 0)
		fr_err("replication: out of memory: a restart is needed to agree with peers");
	for (i = 0; i < f->n_links; i++) {
		rekey_held(&f->links[i], &key);
		receive_forget(f->links[i].receive);
	}
	drain_rekey(f->drain, &key);
	job_schedule(f);
	peers_restart(f->peers, "takes over a hash key");
}

/* In a chain those behind this node must hear of it, or one of them would take an epoch twice. */
static void raise_epoch(struct flow *f, uint64_t epoch)
{
	size_t i;

	role_observe(&f->role, epoch);
	f->stream.epoch = f->role.epoch;
	f->is_raised = f->config->mode == FR_CONFIG_CHAIN;
	for (i = 0; f->is_raised && i < f->n_links; i++) {
		ship_stop(f->links[i].ship);
		f->links[i].told_distance = FR_DISTANCE_MAX + 1; /* never told */
	}
}

/* In a chain those who hold ship to each other as well. */
static enum role_relation relation_to(const struct flow_link *l)
{
	const struct flow *f = l->flow;
	enum role_relation relation = role_relation(&f->role, l->role, l->epoch);

	if (relation == ROLE_READ && !relay_reads(f, l))
		return ROLE_IDLE;
	/* It holds for another writer. */
	if (relation == ROLE_WRITE && l->distance <= FR_DISTANCE_MAX)
		return role_relation(&f->role, FR_ROLE_PRIMARY, l->epoch);
	if (relation != ROLE_IDLE || f->role.role != FR_ROLE_BACKUP || l->role != FR_ROLE_BACKUP)
		return relation;
	return relay_reads(f, l) ? ROLE_READ : relay_writes(f, l) ? ROLE_WRITE : ROLE_IDLE;
}

/* Will a rule end a split brain with this peer? */
static bool can_heal(const struct flow_link *l)
{
	const struct heartbeat_voter *v = flow_heartbeat(l);

	return v && v->is_alive && quorum_heals(pulse_quorum(l->flow->pulse), v);
}

/* Begin, end or turn round the session, as the roles now are. */
static void relate_one(struct flow *f, struct flow_link *l)
{
	struct fr_hello theirs = *peer_hello(l->peer);
	uint64_t tables = tables_agreed(f, l);
	enum role_relation relation;

	if (!peer_conn(l->peer)) {
		l->is_paused = false;
		ship_stop(l->ship);
		ship_pause(l->ship, false);
		receive_stop(l->receive);
		l->relation = ROLE_IDLE;
		l->wants_check = 0;
		l->wants_backup = false;
		forget_recall(f, l);
		flow_recall(f);
		return;
	}
	relation = relation_to(l);
	if (relation == ROLE_STEP_DOWN) {
		events_log(f->events, EVENT_ROLE, FR_LOG_WARNING, peer_id(l->peer),
			   "replication: peer %s writes under epoch %lu, above ours (%lu): stepping down",
			   peer_id(l->peer), l->epoch, f->role.epoch);
		role_observe(&f->role, l->epoch);
		change_role(f, FR_ROLE_BACKUP, NULL);
		return; /* which related all links again */
	}
	if (relation == ROLE_MISFIT) {
		peer_reject(l->peer, FR_ERROR_MODE, flow_is_shared(f) ?
			    "all nodes write here, but not there: the modes do not go together" :
			    "all nodes write there, but not here: the modes do not go together");
		return; /* which related this link again */
	}
	if (relation == ROLE_SPLIT && l->relation != ROLE_SPLIT)
		events_log(f->events, EVENT_SPLIT_BRAIN, FR_LOG_ERR, peer_id(l->peer),
			   "replication: split brain: peer %s and this node both write under epoch %lu; %s",
			   peer_id(l->peer), l->epoch, can_heal(l) ?
				   "quorum.split_brain tells which goes on" :
				   "run `flyrep role backup` on one of them");
	if ((relation == ROLE_WRITE || relation == ROLE_READ) && l->epoch > f->role.epoch)
		raise_epoch(f, l->epoch);
	if (f->is_raised)
		return; /* all links are related again */
	if (must_adopt_hash_key(f, &theirs, relation)) {
		adopt_hash_key(f, l);
		return; /* which ended the session */
	}
	l->relation = relation;
	if (!flow_link_reads(l))
		receive_stop(l->receive);
	else if (!receive_is_started(l->receive) && has_our_hash_key(f, &theirs))
		receive_start(l->receive, peer_conn(l->peer), tables,
			      relation == ROLE_READ ? f->role.epoch : 0,
			      theirs.capabilities);
	/* A standby with another hash key takes over ours and comes back. */
	if (!flow_link_writes(l) || !f->is_known || !theirs.ct_max || !tables ||
	    !has_our_hash_key(f, &theirs))
		ship_stop(l->ship);
	else if (!ship_is_started(l->ship) &&
		 ship_start(l->ship, peer_conn(l->peer), &theirs) < 0)
		fr_err("replication: peer %s: out of memory", peer_id(l->peer));
	if (!ship_is_started(l->ship) && f->recall_link == l)
		forget_recall(f, l);
	flow_recall(f);
}

/* Peers learn how far from the writer this node is. */
static void tell_distance(struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_links; i++)
		if (peer_conn(f->links[i].peer) &&
		    f->links[i].told_distance != relay_distance(f, &f->links[i]))
			send_role(f, &f->links[i]);
}

static void relate_all(struct flow *f)
{
	size_t i;

	do {
		f->is_raised = false;
		relay_choose(f);
		tell_distance(f); /* a stream begins behind what its reader must know */
		for (i = 0; i < f->n_links; i++)
			relate_one(f, &f->links[i]);
	} while (f->is_raised);
}

/* Something became of a link; where this node reads from another one then, of all. */
static void relate(struct flow *f, struct flow_link *l)
{
	bool is_all = relay_choose(f);

	if (!is_all)
		relate_one(f, l);
	if (is_all || f->is_raised)
		relate_all(f);
}

static void new_stream(struct flow *f)
{
	if (getrandom(f->stream.history, FR_HISTORY_LEN, 0) != FR_HISTORY_LEN)
		memcpy(f->stream.history, &(uint64_t){ monotonic_ns() }, 8);
	f->stream.epoch = f->role.epoch;
}

/* Whose objects are looked at has changed, but not which tables the module has. */
static void learn_anew(struct flow *f)
{
	uint64_t tables = tables_here(f);
	size_t i;

	forget(f);
	for (i = 0; i < f->n_tables; i++) {
		struct flow_table *t = &f->tables[i];

		t->is_missing = !(tables >> t->row->id & 1);
		if (!t->is_missing)
			buckets_add_all(&t->dirty);
	}
}

/* Tell all, and learn the own tables anew under the new role. */
static int change_role(struct flow *f, enum fr_role role, uint32_t *n_changed)
{
	enum fr_role was = f->role.role;
	uint32_t n = 0;
	size_t i;
	int rc;

	if (n_changed)
		*n_changed = 0;
	if (role == was)
		return 0;
	if (was == FR_ROLE_PEER || role == FR_ROLE_PEER)
		return -EOPNOTSUPP;
	if (was == FR_ROLE_PRIMARY) {
		flush_all(f);
		flow_kick(f);
	}
	/* The kernel first: at a takeover packets are already on their way. */
	rc = role == FR_ROLE_PRIMARY ? drain_promote(f->drain, &n) :
	     was == FR_ROLE_PRIMARY  ? drain_demote(f->drain, &n) :
				       0;
	if (rc < 0 && rc != -ENOTCONN) {
		fr_err("role: the module refuses: %s", strerror(-rc));
		return rc;
	}
	rc = role == FR_ROLE_PRIMARY ? role_take(&f->role, f->config->node_id) :
				       role_leave(&f->role, role);
	if (rc < 0)
		return rc;
	events_log(f->events, EVENT_ROLE, FR_LOG_NOTICE, NULL,
		   "replication: role %s, was %s, epoch %lu, %u objects", fr_role_name(role),
		   fr_role_name(was), f->role.epoch, n);
	drain_set_standby(f->drain, role != FR_ROLE_PRIMARY);
	f->was_in_step = false;
	new_stream(f);
	for (i = 0; i < f->n_links; i++) {
		ship_stop(f->links[i].ship);
		receive_stop(f->links[i].receive);
		receive_forget(f->links[i].receive);
		forget_recall(f, &f->links[i]);
		send_role(f, &f->links[i]);
	}
	if (f->elements)
		elements_set_writer(f->elements, flow_is_writer(f));
	learn_anew(f);
	job_schedule(f);
	relate_all(f);
	pulse_tell(f->pulse);
	if (n_changed)
		*n_changed = n;
	return 0;
}

int flow_set_role(struct flow *f, enum fr_role role, uint32_t *n_promoted)
{
	return change_role(f, role, n_promoted);
}

/* --- heartbeats --- */

const struct heartbeat_voter *flow_heartbeat(const struct flow_link *l)
{
	const struct quorum *q = pulse_quorum(l->flow->pulse);
	const struct heartbeat_voter *v;

	if (!q)
		return NULL;
	v = heartbeat_find(quorum_heartbeat(q), peer_id(l->peer));
	/* Of a pair, the name of the other may not be known yet. */
	if (!v && l->flow->n_links == 1)
		v = heartbeat_voter(quorum_heartbeat(q), 0);
	return v && !v->is_witness ? v : NULL;
}

bool flow_is_cut_off(const struct flow_link *l)
{
	const struct heartbeat_voter *v = flow_heartbeat(l);

	return v && v->is_alive && peer_state(l->peer) != PEER_UP;
}

static void on_step_down(void *cookie, const char *why)
{
	struct flow *f = cookie;

	events_log(f->events, EVENT_ROLE, FR_LOG_WARNING, NULL, "replication: stepping down: %s",
		   why);
	change_role(f, FR_ROLE_BACKUP, NULL);
}

/* Who came back is dialled at once, who is silent need not be waited for long. */
static void on_voter_changed(void *cookie, const struct heartbeat_voter *v)
{
	struct flow *f = cookie;
	size_t i;

	for (i = 0; i < f->n_links; i++)
		if (flow_heartbeat(&f->links[i]) == v)
			peer_suspect(f->links[i].peer, !v->is_alive);
	if (v->is_alive && !v->is_witness)
		peers_hurry(f->peers);
}

static const struct pulse_ops pulse_ops = {
	.step_down = on_step_down,
	.changed = on_voter_changed,
};

/* --- peers --- */

static struct flow_link *link_of(const struct peer *p)
{
	return peer_cookie(p);
}

static void on_hello(void *cookie, const struct peer *p, struct fr_hello *h)
{
	struct flow *f = cookie;
	struct fr_genl_info info;

	h->role = f->role.role;
	h->epoch = f->role.epoch;
	h->tables = f->stream.tables;
	memcpy(h->history, f->stream.history, sizeof(h->history));
	memcpy(h->hash_key, f->role.hash_key.b, sizeof(h->hash_key));
	h->distance = p ? relay_distance(f, link_of(p)) : FR_DISTANCE_NONE;
	if (p)
		link_of(p)->told_distance = h->distance;
	h->capabilities = FR_CAPABILITY_END;
	if (FR_HAS_REFS)
		h->capabilities |= FR_CAPABILITY_REFS | FR_CAPABILITY_ACKS;
	if (!f->config->recovery.auto_resync)
		h->capabilities |= FR_CAPABILITY_ASK;
	if (f->config->backup_before_resync)
		h->capabilities |= FR_CAPABILITY_BACKUP;
	h->seq = backlog_next_seq(f->backlog) - 1;
	if (p)
		receive_position(link_of(p)->receive, h->have_history, &h->have_seq);
	if (!drain_info(f->drain, &info))
		h->ct_max = info.ct_max;
	memcpy(h->life, f->life, sizeof(h->life));
	if (f->versions)
		versions_hello(f->versions, h);
}

static bool may_greet(void *cookie)
{
	struct flow *f = cookie;

	return f->is_known || !drain_is_attached(f->drain);
}

/*
 * The peer has lost all it had, and would take it from us as well by saying so. What is held is
 * this node's own from here on; that of other peers too, which they will not mind.
 */
static void adopt(struct flow_link *l)
{
	struct flow *f = l->flow;
	uint32_t n = 0;
	size_t i;
	int rc;

	if (!flow_link_entries(l) && !f->has_strangers)
		return;
	rc = drain_promote(f->drain, &n);
	if (rc < 0) {
		fr_err("replication: peer %s comes back empty, and the module refuses to keep what "
		       "it had: %s", peer_id(l->peer), strerror(-rc));
		return;
	}
	fr_notice("replication: peer %s comes back empty: %u objects held are this node's own now",
		  peer_id(l->peer), n);
	for (i = 0; i < f->n_links; i++)
		clear_held(&f->links[i]);
}

/* What is held for the peer from now on is of this life of its kernel. */
static void remember_life(struct flow_link *l, const uint8_t life[FR_LIFE_LEN])
{
	int rc;

	if (!memcmp(l->life, life, sizeof(l->life)))
		return;
	memcpy(l->life, life, sizeof(l->life));
	rc = flow_is_shared(l->flow) ?
		     life_save(l->flow->config->state_dir, peer_id(l->peer), life) :
		     0;
	if (rc < 0)
		fr_warn("replication: peer %s: a reboot of it will not be known after a restart: %s",
			peer_id(l->peer), strerror(-rc));
}

static void on_up(void *cookie, struct peer *p, const struct fr_hello *theirs)
{
	char here[FLOW_NAMES_LEN], there[FLOW_NAMES_LEN];
	struct flow_link *l = link_of(p);
	struct flow *f = cookie;

	l->role = theirs->role;
	l->epoch = theirs->epoch;
	l->distance = theirs->distance;
	events_log(f->events, EVENT_PEER_UP, FR_LOG_NOTICE, peer_id(p),
		   "replication: peer %s: session established, wire version %u, flyrep %s",
		   peer_id(p), peer_wire(p), theirs->version);
	if (f->versions && !versions_meet(l, theirs)) {
		peer_reject(p, FR_ERROR_MODE, "conflict_resolution is not the same here and there");
		return;
	}
	if (flow_is_shared(f) && life_is_another(l->life, theirs->life))
		adopt(l);
	remember_life(l, theirs->life);
	if (theirs->tables != f->stream.tables)
		fr_warn("replication: peer %s replicates %s, this node %s", peer_id(p),
			flow_table_names(theirs->tables, there, sizeof(there)),
			flow_table_names(f->stream.tables, here, sizeof(here)));
	if (f->stream.is_paused)
		send_pause(l);
	relate(f, l);
}

static int on_role(struct flow *f, struct flow_link *l, const uint8_t *payload, size_t len,
		   const char **why)
{
	struct fr_role_msg m;
	bool is_other;

	if (fr_role_decode(&m, payload, len, peer_wire(l->peer)) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	is_other = l->role != m.role || l->epoch != m.epoch;
	l->role = m.role;
	l->epoch = m.epoch;
	l->distance = m.distance;
	if (is_other) {
		ship_stop(l->ship);
		receive_stop(l->receive);
		forget_recall(f, l);
	}
	relate(f, l);
	return 0;
}

/* To what a ship says, or ask of it: late, when there is none any more. */
static bool is_answer(const struct fr_frame_head *head)
{
	switch (head->type) {
	case FR_FRAME_ACK:
	case FR_FRAME_AUDIT_REPLY:
	case FR_FRAME_CHECKED:
	case FR_FRAME_RECALLED:
		return true;
	default:
		return head->type == FR_FRAME_CHECK && !head->table;
	}
}

static int on_frame(void *cookie, struct peer *p, const struct fr_frame_head *head,
		    const uint8_t *payload, size_t len, const char **why)
{
	struct flow_link *l = link_of(p);
	struct flow *f = cookie;

	if (head->type == FR_FRAME_ROLE)
		return on_role(f, l, payload, len, why);
	if (head->type == FR_FRAME_PAUSE)
		return on_pause(f, l, payload, len, why);
	if (head->type == FR_FRAME_RESYNC)
		return resync_frame(f->resync, l, payload, len, why);
	if (ship_is_started(l->ship)) {
		switch (head->type) {
		case FR_FRAME_ACK:
			return ship_on_ack(l->ship, payload, len, why);
		case FR_FRAME_AUDIT_REPLY:
			return ship_on_audit_reply(l->ship, head->table, payload, len, why);
		case FR_FRAME_CHECKED:
			return ship_on_checked(l->ship, head->table, payload, len, why);
		case FR_FRAME_CHECK:
			/* Of a table: what the peer writes is meant. */
			if (head->table)
				break;
			ship_doubt(l->ship);
			return 0;
		case FR_FRAME_BATCH:
			if (l->relation != ROLE_WRITE)
				break;
			return on_given_back(f, l, head, payload, len, why);
		case FR_FRAME_RECALLED:
			return on_recalled(f, l, why);
		}
	}
	if (l->relation == ROLE_READ && head->type == FR_FRAME_RECALL)
		return on_recall(f, l, head, payload, len, why);
	if (flow_link_reads(l) && !is_answer(head))
		return receive_frame(l->receive, head, payload, len, why);
	/* What was under way when the roles changed. */
	return 0;
}

static void on_peer_drained(void *cookie, struct peer *p)
{
	struct flow *f = cookie;

	if (f->job == FLOW_JOB_RECALL && f->job_link == link_of(p))
		job_hold(f, false);
	ship_kick(link_of(p)->ship);
}

static uint64_t on_pending(void *cookie, struct peer *p)
{
	uint64_t n_changes, n_bytes, oldest;
	struct flow *f = cookie;

	if (!ship_is_started(link_of(p)->ship))
		return 0;
	ship_pending(link_of(p)->ship, &n_changes, &n_bytes, &oldest);
	return n_changes + n_collected(f) + f->n_withheld;
}

static void on_down(void *cookie, struct peer *p)
{
	struct flow *f = cookie;

	events_log(f->events, EVENT_PEER_DOWN, FR_LOG_WARNING, peer_id(p),
		   "replication: peer %s: %s", peer_id(p), peer_trouble(p));
	relate(f, link_of(p));
}

static const struct peer_ops peer_ops = {
	.hello = on_hello,
	.may_greet = may_greet,
	.up = on_up,
	.frame = on_frame,
	.drained = on_peer_drained,
	.pending = on_pending,
	.down = on_down,
};

/* --- what is done by the clock or on demand --- */

static int on_audit_due(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct flow *f = cookie;
	size_t i;

	(void)usec;
	/* Between two snapshots there is nothing to compare. */
	for (i = 0; i < f->n_links && f->config->sync.mode != FR_CONFIG_SYNC_FULL; i++)
		if (ship_is_started(f->links[i].ship))
			ship_audit(f->links[i].ship);
	sd_event_source_set_time_relative(s, f->config->recovery.audit_interval_ms * 1000);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* Mode full: everything to everybody who has the last one. */
static int on_snapshot_due(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct flow *f = cookie;
	bool is_any = false;
	size_t i;

	(void)usec;
	for (i = 0; i < f->n_links; i++) {
		struct ship *ship = f->links[i].ship;

		if (!ship_is_started(ship) || !ship_is_settled(ship) ||
		    flow_is_paused(&f->links[i]))
			continue;
		is_any = true;
		ship_resync(ship, UINT64_MAX);
	}
	if (is_any)
		f->n_withheld = 0;
	sd_event_source_set_time_relative(s, f->config->sync.interval_ms * 1000);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_self_check_due(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct flow *f = cookie;

	(void)usec;
	flow_check(f);
	sd_event_source_set_time_relative(s, f->config->recovery.resync_interval_ms * 1000);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_listen_due(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct flow *f = cookie;
	size_t i;

	(void)s;
	(void)usec;
	for (i = 0; i < f->n_tables; i++) {
		struct flow_table *t = &f->tables[i];

		if (t->mute.is_any)
			buckets_add(&t->dirty, t->mute.bits);
		buckets_clear(&t->mute);
	}
	job_schedule(f);
	return 0;
}

void flow_check(struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_tables; i++)
		f->tables[i].wants_check = true;
	job_schedule(f);
}

void flow_audit(struct flow *f, struct flow_link *link)
{
	(void)f;
	ship_audit(link->ship);
}

int flow_ask_audit(struct flow_link *link)
{
	struct conn *c = peer_conn(link->peer);

	return c ? conn_send_message(c, FR_FRAME_CHECK, 0, NULL, 0, NULL) : -ENOTCONN;
}

/* A standby compares itself with its kernel, and then with the writer. */
static void look_again(struct flow *f)
{
	size_t i;

	for (i = 0; i < f->n_tables; i++) {
		struct flow_table *t = &f->tables[i];

		if (t->is_missing)
			continue;
		if (flow_is_writer(f))
			buckets_add_all(&t->dirty);
		else
			t->wants_check = true;
	}
	job_schedule(f);
}

/* --- life --- */

static void on_drop(void *cookie, const struct backlog_batch *b)
{
	struct flow *f = cookie;
	size_t i;

	for (i = 0; i < f->n_links; i++)
		ship_on_drop(f->links[i].ship, b);
}

static int add_timer(struct flow *f, sd_event_source **s, uint64_t ms, sd_event_time_handler_t fn)
{
	return sd_event_add_time_relative(f->event, s, CLOCK_MONOTONIC, ms * 1000, 0, fn, f);
}

static bool is_own(void *cookie, const uint8_t *key, size_t key_len)
{
	struct index_entry e;

	return index_find(cookie, key, key_len, &e);
}

/* What the peer of a link writes: of a pair what this node writes when it is its turn. */
static int open_truths(struct flow_link *l)
{
	struct flow *f = l->flow;
	size_t i;

	memcpy(l->truths, f->truths, sizeof(l->truths));
	for (i = 0; i < f->n_tables && flow_is_shared(f); i++) {
		const struct fr_table *row = f->tables[i].row;
		struct truth *t;

		if (flow_has_versions(&f->tables[i])) {
			l->truths[row->id] = versions_truth(f->versions, row->id, peer_id(l->peer));
			continue;
		}
		t = truth_new(row, &f->role.hash_key);
		l->truths[row->id] = t;
		if (!t)
			return -ENOMEM;
		/* The kernel has it, though not as held. */
		truth_set_excuse(t, is_own, truth_index(f->tables[i].truth));
	}
	return 0;
}

static void close_truths(struct flow_link *l)
{
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (l->truths[id] != l->flow->truths[id])
			truth_free(held_of(l, id));
}

static int new_links(struct flow *f)
{
	size_t i;

	f->n_links = peers_count(f->peers);
	f->links = calloc(f->n_links ? f->n_links : 1, sizeof(*f->links));
	if (!f->links) {
		f->n_links = 0;
		return -ENOMEM;
	}
	for (i = 0; i < f->n_links; i++) {
		struct flow_link *l = &f->links[i];

		l->flow = f;
		l->distance = FR_DISTANCE_NONE;
		l->told_distance = FR_DISTANCE_NONE;
		l->peer = peers_at(f->peers, i);
		l->ship = ship_new(&f->stream, &ship_ops, l);
		l->receive = receive_new(f->event, l->truths, &receive_ops, l);
		peer_set_cookie(l->peer, l);
		if (flow_is_shared(f))
			life_load(f->config->state_dir, peer_id(l->peer), l->life);
		if (!l->ship || !l->receive || open_truths(l) < 0)
			return -ENOMEM;
	}
	return 0;
}

static uint32_t batch_max(const struct fr_config *c)
{
	return c->sync.batch_size < BATCH_MAX ? c->sync.batch_size : BATCH_MAX;
}

/* What travels of a table. */
static const struct fr_table *row_of_batch(const struct flow_table *t)
{
	return flow_has_versions(t) ? fr_slot_table(t->row->id) : t->row;
}

static int open_table(struct flow *f, const struct fr_table *row)
{
	struct flow_table *t = &f->tables[f->n_tables++];
	bool has_kernel;

	t->flow = f;
	t->row = row;
	has_kernel = row->id == FLYREP_TABLE_NFT_SET && flow_has_versions(t);
	t->kernel = has_kernel ? truth_new(row, &f->role.hash_key) : NULL;
	if (has_kernel && !t->kernel)
		return -ENOMEM;
	t->truth = flow_has_versions(t) ? versions_truth(f->versions, row->id, f->config->node_id) :
					  truth_new(row, &f->role.hash_key);
	t->batch = batch_new(row_of_batch(t), batch_max(f->config));
	t->repair = batch_new(row_of_batch(t), REPAIR_BATCH);
	f->by_id[row->id] = t;
	f->truths[row->id] = t->truth;
	return t->truth && t->batch && t->repair ? 0 : -ENOMEM;
}

static bool is_wanted(const struct flow *f, unsigned int table)
{
	return fr_table_by_id(table) && fr_config_has_table(f->config, table);
}

static int open_tables(struct flow *f)
{
	unsigned int id;
	size_t n = 0;
	int rc = 0;

	for (id = 0; id < FR_TABLES_MAX; id++)
		n += is_wanted(f, id);
	f->tables = calloc(n, sizeof(*f->tables));
	if (!f->tables)
		return -ENOMEM;
	for (id = 0; id < FR_TABLES_MAX && !rc; id++)
		if (is_wanted(f, id))
			rc = open_table(f, fr_table_by_id(id));
	f->stream.tables = tables_here(f);
	return rc;
}

static int open_elements(struct flow *f)
{
	struct flow_table *t = f->by_id[FLYREP_TABLE_NFT_SET];

	return t ? elements_new(&f->elements, f->event, f->config, flow_is_writer(f),
				t->kernel ? t->kernel : t->truth, &elements_ops, f) :
		   0;
}

static int open_all(struct flow *f)
{
	const struct fr_config *c = f->config;
	int rc;

	rc = role_load(&f->role, c->state_dir,
		       fr_config_is_shared(c)	    ? FR_ROLE_PEER :
		       fr_config_begins_primary(c) ? FR_ROLE_PRIMARY :
						     FR_ROLE_BACKUP);
	/* Alone it is primary, whatever it was among others. */
	if (rc >= 0 && flow_is_standalone(f))
		rc = role_take(&f->role, c->node_id);
	if (rc < 0)
		return rc;
	f->keys = flow_is_standalone(f) ? NULL : peers_keys(c);
	if (!f->keys && !flow_is_standalone(f))
		return -EINVAL;
	rc = life_read(f->life);
	if (rc < 0)
		fr_warn("replication: peers will not know a reboot of this node: %s",
			strerror(-rc));
	rc = versions_open(&f->versions, f);
	if (rc >= 0)
		rc = open_tables(f);
	if (rc < 0)
		return rc;
	f->filter = filter_new(c, f->truths);
	f->inject = inject_new(flow_is_shared(f));
	f->encoder = encoder_new(c->transport.compression);
	f->backlog = backlog_new(c->backlog_len, on_drop, f);
	f->whole_encoder =
		encoder_new(c->transport.compression && c->recovery.full_resync.compression);
	if (!f->filter || !f->inject || !f->encoder || !f->whole_encoder || !f->backlog)
		return -ENOMEM;
	f->stream.backlog = f->backlog;
	f->stream.truths = f->truths;
	f->stream.auto_resync = c->recovery.auto_resync;
	f->stream.resync_threshold = c->recovery.resync_threshold;
	new_stream(f);
	rc = drain_new(&f->drain, f->event, c, &f->role.hash_key, !flow_is_writer(f), &drain_ops,
		       f);
	if (rc >= 0)
		rc = open_elements(f);
	if (rc >= 0)
		rc = peers_new(&f->peers, f->event, c, f->keys, &peer_ops, f);
	if (rc >= 0)
		rc = new_links(f);
	if (rc >= 0 && fr_config_has_heartbeat(c))
		rc = pulse_new(&f->pulse, f->event, c, &f->role, f->events, &pulse_ops, f);
	if (rc >= 0)
		rc = resync_new(&f->resync, f->event, f);
	if (rc >= 0)
		rc = archive_new(&f->archive, f->event, c, &archive_ops, f);
	if (rc >= 0 && c->recovery.full_resync.schedule)
		rc = schedule_new(&f->schedule, f->event, c->recovery.full_resync.schedule,
				  f->resync);
	if (rc >= 0)
		rc = add_timer(f, &f->pace, 0, on_pace);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(f->pace, SD_EVENT_OFF);
	if (rc >= 0)
		rc = add_timer(f, &f->audit, c->recovery.audit_interval_ms, on_audit_due);
	if (rc >= 0)
		rc = add_timer(f, &f->self_check, c->recovery.resync_interval_ms,
			       on_self_check_due);
	if (rc >= 0 && c->sync.mode == FR_CONFIG_SYNC_FULL)
		rc = add_timer(f, &f->snapshot, c->sync.interval_ms, on_snapshot_due);
	if (rc >= 0)
		rc = add_timer(f, &f->listen, 0, on_listen_due);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(f->listen, SD_EVENT_OFF);
	if (rc >= 0)
		rc = job_open(f);
	return rc;
}

int flow_new(struct flow **out, sd_event *event, const struct fr_config *config)
{
	struct flow *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return -ENOMEM;
	f->event = sd_event_ref(event);
	f->config = config;
	f->distance = FR_DISTANCE_NONE;
	f->events = events_new();
	events_log(f->events, EVENT_START, FR_LOG_NOTICE, NULL,
		   "replication: node %s, %s, flyrep %s", config->node_id,
		   fr_config_mode_name(config->mode), FLYREP_VERSION);
	rc = f->events ? open_all(f) : -ENOMEM;
	if (rc < 0) {
		flow_free(f);
		return rc;
	}
	*out = f;
	return 0;
}

/* Batches of the length that is wanted now; without memory for them, those there are. */
static void reload_batches(struct flow *f)
{
	size_t i;

	flush_all(f);
	for (i = 0; i < f->n_tables; i++) {
		struct flow_table *t = &f->tables[i];
		struct batch *b = batch_new(row_of_batch(t), batch_max(f->config));

		if (!b)
			continue;
		batch_free(t->batch);
		t->batch = b;
	}
	flow_kick(f);
}

int flow_reload(struct flow *f)
{
	struct filter *filter = filter_new(f->config, f->truths);

	if (!filter)
		return -ENOMEM;
	filter_inherit(filter, f->filter);
	filter_free(f->filter);
	f->filter = filter;
	f->role.dir = f->config->state_dir;
	reload_batches(f);
	drain_reconfigure(f->drain);
	archive_reload(f->archive);
	look_again(f);
	if (f->pulse && pulse_reload(f->pulse) < 0)
		return -EIO;
	return f->keys ? peers_reload(f->peers) : 0;
}

void flow_free(struct flow *f)
{
	size_t i;

	if (!f)
		return;
	sd_event_source_disable_unref(f->pace);
	sd_event_source_disable_unref(f->audit);
	sd_event_source_disable_unref(f->self_check);
	sd_event_source_disable_unref(f->snapshot);
	sd_event_source_disable_unref(f->listen);
	sd_event_source_disable_unref(f->sweep);
	archive_free(f->archive);
	schedule_free(f->schedule);
	resync_free(f->resync);
	pulse_free(f->pulse);
	peers_free(f->peers);
	for (i = 0; i < f->n_links; i++) {
		ship_free(f->links[i].ship);
		receive_free(f->links[i].receive);
		close_truths(&f->links[i]);
	}
	free(f->links);
	elements_free(f->elements);
	drain_free(f->drain);
	backlog_free(f->backlog);
	encoder_free(f->encoder);
	encoder_free(f->whole_encoder);
	inject_free(f->inject);
	filter_free(f->filter);
	for (i = 0; i < f->n_tables; i++) {
		if (!flow_has_versions(&f->tables[i]))
			truth_free(f->tables[i].truth);
		truth_free(f->tables[i].kernel);
		batch_free(f->tables[i].batch);
		batch_free(f->tables[i].repair);
	}
	versions_close(f->versions);
	free(f->tables);
	tls_keys_free(f->keys);
	sd_event_unref(f->event);
	events_free(f->events);
	free(f);
}
