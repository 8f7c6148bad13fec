// SPDX-License-Identifier: GPL-2.0-or-later

#include "receive.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "buckets.h"
#include "log.h"
#include "monotonic.h"

#define DELETES_LEN	(64u << 10)	/* bytes of DELETE records, for one go of the kernel */
#define SHORT_ACKS_MAX	64		/* then one tells all again */
#define SWEEP_LOOKS	2000		/* at entries and buckets, before others get the loop */

struct receive {
	sd_event_source *ack;		/* one for all that came in one go */
	sd_event_source *sweep;		/* goes on when nothing else is to be done */
	struct truth *const *truths;	/* by table id */
	const struct receive_ops *ops;
	void *cookie;
	struct receive_figures figures;
	struct receive_table_figures table_figures[FR_TABLES_MAX];
	uint8_t *recs;			/* FR_BATCH_MAX_LEN bytes: one batch decoded */

	struct conn *conn;		/* not ours; NULL: no session */
	uint64_t tables;		/* bitmap of those agreed on */
	uint64_t min_epoch;
	bool is_started;		/* START was seen in this session */
	bool is_paused;
	uint8_t history[FR_HISTORY_LEN];
	uint64_t seq;			/* last applied */
	uint64_t refused;		/* in this session */
	bool takes_short;		/* the writer: ACKs */
	struct fr_ack told;		/* the last ACK that was not short */
	unsigned int n_short;		/* since then */

	uint32_t audit_id;		/* of the running audit */
	uint64_t audited;		/* bitmap: tables compared in it */
	bool has_asked;			/* for an audit, as references were lost */

	/* of the running repair */
	bool counts_end;		/* the writer waits for its end */
	bool is_sweeping;		/* END has come */
	unsigned int n_swept;		/* buckets */
	unsigned int n_looked;		/* entries and buckets, in this go */
	int sweep_rc;			/* what became of the last one */
	const char *sweep_why;
	struct truth *repair_truth;
	uint64_t repair_begin;		/* order */
	uint32_t repaired;		/* number of its last batch */
	bool is_left_out;		/* it may not be now: nothing of it is applied */
	uint8_t repair[FLYREP_BUCKETS_LEN];
	size_t n_deletes;
	size_t deletes_len;
	bool is_full;			/* not all of a bucket fitted below */
	uint8_t deletes[DELETES_LEN] __attribute__((aligned(8)));
};

/* The truth of an agreed table, or NULL. */
static struct truth *truth_of(const struct receive *r, uint8_t table)
{
	return table < FR_TABLES_MAX && r->tables >> table & 1 ? r->truths[table] : NULL;
}

/* Objects held, all tables. */
static uint64_t count_entries(const struct receive *r)
{
	uint64_t n = 0;
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (truth_of(r, id))
			n += index_entries(truth_index(r->truths[id]));
	return n;
}

/* All but how far the stream is was told not long ago. */
static bool is_short(const struct receive *r, const struct fr_ack *m)
{
	return r->takes_short && r->n_short < SHORT_ACKS_MAX && m->refused == r->told.refused &&
	       m->repaired == r->told.repaired;
}

static int on_ack_due(sd_event_source *s, void *cookie)
{
	struct receive *r = cookie;
	struct fr_ack m = { .refused = r->refused, .repaired = r->repaired,
			    .entries = count_entries(r) };
	uint8_t buf[64];
	struct fr_writer w;

	(void)s;
	if (!r->conn)
		return 0;
	m.seq = r->ops->acked(r->cookie, r->seq);
	fr_writer_init(&w, buf, sizeof(buf));
	if (is_short(r, &m)) {
		fr_ack_encode_short(&w, &m);
		r->n_short++;
	} else {
		fr_ack_encode(&w, &m);
		r->told = m;
		r->n_short = 0;
	}
	conn_send_message(r->conn, FR_FRAME_ACK, 0, buf, fr_writer_len(&w), NULL);
	return 0;
}

static void ack_soon(struct receive *r)
{
	sd_event_source_set_enabled(r->ack, SD_EVENT_ONESHOT);
}

static int on_sweep(sd_event_source *s, void *cookie);

struct receive *receive_new(sd_event *event, struct truth *const *truths,
			    const struct receive_ops *ops, void *cookie)
{
	struct receive *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->truths = truths;
	r->ops = ops;
	r->cookie = cookie;
	r->recs = malloc(FR_BATCH_MAX_LEN); /* touched as far as batches need it */
	if (!r->recs || sd_event_add_defer(event, &r->ack, on_ack_due, r) < 0 ||
	    sd_event_add_defer(event, &r->sweep, on_sweep, r) < 0 ||
	    sd_event_source_set_priority(r->sweep, SD_EVENT_PRIORITY_NORMAL + 10) < 0) {
		receive_free(r);
		return NULL;
	}
	sd_event_source_set_enabled(r->ack, SD_EVENT_OFF);
	sd_event_source_set_enabled(r->sweep, SD_EVENT_OFF);
	return r;
}

void receive_free(struct receive *r)
{
	if (!r)
		return;
	sd_event_source_disable_unref(r->ack);
	sd_event_source_disable_unref(r->sweep);
	free(r->recs);
	free(r);
}

void receive_start(struct receive *r, struct conn *conn, uint64_t tables, uint64_t min_epoch,
		   uint64_t capabilities)
{
	size_t id;

	receive_stop(r);
	r->conn = conn;
	r->tables = tables;
	r->min_epoch = min_epoch;
	r->counts_end = capabilities & FR_CAPABILITY_END;
	r->takes_short = FR_HAS_REFS && capabilities & FR_CAPABILITY_ACKS;
	r->n_short = SHORT_ACKS_MAX; /* the first is not */
	r->refused = 0;
	r->repaired = 0;
	r->audited = 0;
	r->has_asked = false;
	r->figures.refused = 0;
	for (id = 0; id < FR_TABLES_MAX; id++)
		r->table_figures[id].refused = 0;
}

void receive_stop(struct receive *r)
{
	sd_event_source_set_enabled(r->ack, SD_EVENT_OFF);
	sd_event_source_set_enabled(r->sweep, SD_EVENT_OFF);
	r->conn = NULL;
	r->is_started = false;
	r->is_sweeping = false;
	r->sweep_rc = 0;
	r->figures.is_repairing = false;
}

bool receive_is_started(const struct receive *r)
{
	return r->is_started;
}

void receive_ack(struct receive *r)
{
	if (r->is_started)
		ack_soon(r);
}

void receive_pause(struct receive *r, bool is_paused)
{
	r->is_paused = is_paused;
}

void receive_forget(struct receive *r)
{
	size_t id;

	memset(r->history, 0, sizeof(r->history));
	r->seq = 0;
	r->figures.is_equal = false;
	r->figures.last_audit_ns = 0;
	for (id = 0; id < FR_TABLES_MAX; id++)
		r->table_figures[id] = (struct receive_table_figures){
			.n_changes = r->table_figures[id].n_changes,
		};
}

void receive_position(const struct receive *r, uint8_t history[FR_HISTORY_LEN], uint64_t *seq)
{
	memcpy(history, r->history, FR_HISTORY_LEN);
	*seq = r->seq;
}

static int on_start(struct receive *r, const uint8_t *payload, size_t len, const char **why)
{
	struct fr_start m;

	if (fr_start_decode(&m, payload, len) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	if (m.epoch < r->min_epoch) {
		*why = "your epoch is older than mine";
		return -ESTALE;
	}
	memcpy(r->history, m.history, sizeof(r->history));
	r->seq = m.next_seq - 1;
	r->is_started = true;
	r->ops->started(r->cookie, r->seq);
	ack_soon(r); /* it may have left out what has no table here */
	return 0;
}

/* --- resolve and inject --- */

/* Records on their way into the kernel. */
struct injection {
	struct receive *receive;
	struct truth *truth;
};

static void on_refused(void *cookie, const void *rec, int error)
{
	struct flyrep_rec *head = (struct flyrep_rec *)rec; /* our own buffer */
	struct injection *i = cookie;
	struct receive *r = i->receive;
	struct receive_table_figures *t = &r->table_figures[truth_table(i->truth)->id];

	r->refused++;
	r->figures.refused++;
	t->refused++;
	/*
	 * This node has not what it takes, a helper for one. A repair could not bring it: so the
	 * two agree, until a look at the own kernel finds it missing, and it is tried once more.
	 */
	if (error == -EOPNOTSUPP)
		return;
	t->unrepaired++;
	truth_drop(i->truth, rec);
	head->op = FLYREP_OP_UNSPEC;
}

/*
 * A repair names much that is held already, just as it should be: a peer that
 * was away for a second would otherwise be injected whole. Only touch those.
 */
static size_t leave_out_known(struct receive *r, struct truth *truth, size_t n)
{
	const struct fr_table *t = truth_table(truth);
	struct index *ix = truth_index(truth);
	uint8_t *rec = r->recs, *to = r->recs;
	size_t kept = 0, len;

	for (; n; n--, rec += len) {
		uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
		unsigned int bucket, key_len = t->key(key, rec);
		struct index_entry e;

		len = fr_record_len(t, rec);
		if (index_find(ix, key, key_len, &e) &&
		    truth_put(truth, rec, r->ops->order(r->cookie), &bucket) == FLYREP_OP_UNSPEC)
			continue;
		if (to != rec)
			memmove(to, rec, len);
		to += len;
		kept++;
	}
	return kept;
}

static int apply_admitted(struct receive *r, struct truth *truth, const void *recs, size_t n,
			  const char **why)
{
	struct injection i = { .receive = r, .truth = truth };
	const struct fr_table *t = truth_table(truth);
	const struct flyrep_rec *rec = recs;
	int rc;

	if (!n)
		return 0;
	rc = r->ops->inject(r->cookie, t->id, recs, n, on_refused, &i);
	for (; n; n--, rec = fr_record_next(t, rec)) {
		unsigned int bucket;
		int op;

		if (rec->op == FLYREP_OP_UNSPEC)
			continue;
		op = truth_put(truth, rec, r->ops->order(r->cookie), &bucket);
		if (op == -ENOMEM)
			truth_drop(truth, rec);
		else
			r->ops->applied(r->cookie, t->id, rec, op, bucket);
	}
	if (rc < 0)
		*why = "the kernel module is gone";
	return rc;
}

/*
 * The writer's filter lets pass what ours does not. What the kernel may have under its key goes;
 * the index takes it, as no repair could bring it.
 */
static int refuse(struct receive *r, struct truth *truth, const void *rec, const char **why)
{
	const struct fr_table *t = truth_table(truth);
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	uint8_t gone[FR_RECORD_KEY_ROOM] __attribute__((aligned(8))) = { 0 };
	unsigned int bucket, key_len = t->key(key, rec);
	struct index_entry e;
	int rc = 0;

	r->refused++;
	r->figures.refused++;
	r->table_figures[t->id].refused++;
	if (index_find(truth_index(truth), key, key_len, &e) && !t->from_key(gone, key, key_len)) {
		((struct flyrep_rec *)(void *)gone)->op = FLYREP_OP_DELETE;
		rc = apply_admitted(r, truth, gone, 1, why);
	}
	if (truth_put(truth, rec, r->ops->order(r->cookie), &bucket) == -ENOMEM)
		truth_drop(truth, rec);
	return rc;
}

/* Runs of what is admitted, and what is not one by one, in their order */
static int apply(struct receive *r, struct truth *truth, const void *recs, size_t n,
		 const char **why)
{
	const struct fr_table *t = truth_table(truth);
	const void *rec = recs, *run = recs;
	size_t n_run = 0;
	int rc = 0;

	for (; n && rc >= 0; n--) {
		const void *next = fr_record_next(t, rec);

		if (r->ops->admits(r->cookie, t->id, rec)) {
			n_run++;
		} else {
			rc = apply_admitted(r, truth, run, n_run, why);
			if (rc >= 0)
				rc = refuse(r, truth, rec, why);
			run = next;
			n_run = 0;
		}
		rec = next;
	}
	return rc < 0 ? rc : apply_admitted(r, truth, run, n_run, why);
}

static const uint8_t *find_ref(void *cookie, uint32_t ref, unsigned int bits, size_t *key_len,
			       uint64_t *hash)
{
	struct index_entry e;

	if (!index_resolve(cookie, ref, bits, &e, hash))
		return NULL;
	*key_len = e.key_len;
	return e.key;
}

/*
 * What was named by reference and cannot be told is lost, and with it all references of its batch:
 * an audit finds what that was.
 */
static void lose_refs(struct receive *r, const struct truth *truth)
{
	r->figures.n_lost_refs++;
	if (r->has_asked)
		return;
	r->has_asked = conn_send_message(r->conn, FR_FRAME_CHECK, 0, NULL, 0, NULL) >= 0;
	fr_notice("replication: %s: not all references could be told, asking for an audit",
		  truth_table(truth)->name);
}

static int decode(struct receive *r, struct truth *truth, const struct fr_frame_head *head,
		  const uint8_t *payload, size_t len, size_t *n)
{
	struct fr_refs refs = { .find = find_ref, .cookie = truth_index(truth) };
	const struct fr_table *t = truth_table(truth);
	struct fr_reader reader;
	int rc;

	fr_reader_init(&reader, payload, len);
	if (!(head->flags & FR_FRAME_F_REFS))
		return t->decode(&reader, r->recs, FR_BATCH_MAX_LEN, FR_BATCH_MAX, n);
	if (!t->decode_refs)
		return -EBADMSG;
	rc = t->decode_refs(&reader, r->recs, FR_BATCH_MAX_LEN, FR_BATCH_MAX, n, &refs);
	if (rc < 0)
		return rc;
	if (refs.is_lost)
		lose_refs(r, truth);
	else
		r->figures.n_refs += refs.n;
	return 0;
}

static int on_batch(struct receive *r, struct truth *truth, const struct fr_frame_head *head,
		    const uint8_t *payload, size_t len, const char **why)
{
	bool is_repair = head->flags & FR_FRAME_F_REPAIR;
	size_t n;
	int rc;

	if (is_repair ? !r->figures.is_repairing || r->is_sweeping || truth != r->repair_truth :
			head->seq != r->seq + 1) {
		*why = is_repair ? "a repair without REPAIR_BEGIN" : "a gap in the stream";
		return -EBADMSG;
	}
	if (decode(r, truth, head, payload, len, &n) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	r->figures.n_batches++;
	r->figures.n_changes += n;
	r->table_figures[truth_table(truth)->id].n_changes += n;
	if (is_repair)
		n = r->is_left_out ? 0 : leave_out_known(r, truth, n);
	rc = apply(r, truth, r->recs, n, why);
	if (rc < 0)
		return rc;
	if (is_repair)
		r->repaired++;
	else
		r->seq = head->seq;
	ack_soon(r);
	return 0;
}

/* --- repair --- */

static int on_repair_begin(struct receive *r, struct truth *truth, const uint8_t *payload,
			   size_t len, const char **why)
{
	struct fr_repair_begin m;

	if (fr_repair_begin_decode(&m, payload, len) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	memcpy(r->repair, m.buckets, sizeof(r->repair));
	r->repair_truth = truth;
	r->repair_begin = r->ops->order(r->cookie);
	r->repaired = m.n_before;
	r->is_left_out = !r->ops->may_repair(r->cookie, truth_table(truth)->id, r->repair);
	r->figures.is_repairing = true;
	return 0;
}

static bool is_unnamed(void *cookie, const struct index_entry *e)
{
	struct receive *r = cookie;
	const struct fr_table *t = truth_table(r->repair_truth);
	struct flyrep_rec *rec = (struct flyrep_rec *)(void *)(r->deletes + r->deletes_len);

	r->n_looked++;
	if (e->stamp >= r->repair_begin)
		return false;
	r->is_full = sizeof(r->deletes) - r->deletes_len < FR_RECORD_KEY_ROOM;
	if (r->is_full)
		return false;
	memset(rec, 0, FR_RECORD_KEY_ROOM);
	if (t->from_key(rec, e->key, e->key_len) < 0)
		return false;
	rec->op = FLYREP_OP_DELETE;
	r->deletes_len += fr_record_len(t, rec);
	r->n_deletes++;
	return false; /* apply() takes it out of the index once the kernel has */
}

static int flush_deletes(struct receive *r, const char **why)
{
	int rc = r->n_deletes ? apply(r, r->repair_truth, r->deletes, r->n_deletes, why) : 0;

	r->n_deletes = 0;
	r->deletes_len = 0;
	return rc;
}

/* What the repair did not name of one bucket. */
static int sweep_bucket(struct receive *r, unsigned int bucket, const char **why)
{
	int rc = 0;

	do {
		if (r->deletes_len > DELETES_LEN / 2)
			rc = flush_deletes(r, why);
		r->is_full = false;
		if (rc >= 0)
			index_walk(truth_index(r->repair_truth), bucket, is_unnamed, r);
	} while (r->is_full && rc >= 0);
	return rc;
}

/*
 * Until @n entries and buckets were looked at. What is to go goes before anybody else has the loop,
 * and the stream may bring it anew.
 */
static int sweep(struct receive *r, unsigned int n, const char **why)
{
	int rc = 0;

	r->n_looked = 0;
	while (rc >= 0 && r->n_swept < FLYREP_BUCKETS && r->n_looked < n) {
		unsigned int b = r->n_swept++;

		if (!buckets_has(r->repair, b))
			continue;
		r->n_looked++;
		rc = sweep_bucket(r, b, why);
	}
	if (rc >= 0)
		rc = flush_deletes(r, why);
	if (rc < 0 || r->n_swept < FLYREP_BUCKETS)
		return rc;
	r->is_sweeping = false;
	r->figures.is_repairing = false;
	if (r->counts_end) {
		r->repaired++;
		ack_soon(r);
	}
	return 0;
}

static int on_sweep(sd_event_source *s, void *cookie)
{
	struct receive *r = cookie;

	if (r->is_sweeping && r->sweep_rc >= 0)
		r->sweep_rc = sweep(r, SWEEP_LOOKS, &r->sweep_why);
	if (!r->is_sweeping || r->sweep_rc < 0)
		sd_event_source_set_enabled(s, SD_EVENT_OFF);
	return 0;
}

/* What comes next builds on it. */
static int finish_sweep(struct receive *r, const char **why)
{
	if (r->sweep_rc < 0) {
		*why = r->sweep_why;
		return r->sweep_rc;
	}
	return r->is_sweeping ? sweep(r, UINT_MAX, why) : 0;
}

static int on_repair_end(struct receive *r, struct truth *truth, const char **why)
{
	if (!r->figures.is_repairing || r->is_sweeping || truth != r->repair_truth) {
		*why = "without REPAIR_BEGIN";
		return -EBADMSG;
	}
	r->is_sweeping = true;
	r->n_swept = r->is_left_out ? FLYREP_BUCKETS : 0;
	sd_event_source_set_enabled(r->sweep, SD_EVENT_ON);
	return 0;
}

/* --- audit --- */

static int answer_audit(struct receive *r, struct truth *truth, struct fr_audit_reply *reply,
			const char **why)
{
	size_t size = 64 + (size_t)reply->n_groups * FR_GROUP_BUCKETS * 8;
	uint8_t *buf = malloc(size);
	struct fr_writer w;
	int rc;

	if (!buf) {
		*why = "out of memory";
		return -ENOMEM;
	}
	fr_writer_init(&w, buf, size);
	fr_audit_reply_encode(&w, reply, index_digests(truth_index(truth)));
	rc = w.bad ? -EMSGSIZE :
		     conn_send_message(r->conn, FR_FRAME_AUDIT_REPLY, truth_table(truth)->id, buf,
				       fr_writer_len(&w), NULL);
	free(buf);
	if (rc < 0)
		*why = "cannot answer";
	return rc;
}

/* All tables were compared: that is one audit. */
static void end_audit(struct receive *r)
{
	unsigned int n_groups = 0;
	size_t id;

	r->figures.writer_entries = 0;
	for (id = 0; id < FR_TABLES_MAX; id++) {
		if (!truth_of(r, id))
			continue;
		n_groups += r->table_figures[id].n_groups;
		r->figures.writer_entries += r->table_figures[id].writer_entries;
	}
	r->figures.last_audit_ns = monotonic_ns();
	r->figures.is_equal = !n_groups;
	r->has_asked = false;
	r->ops->audited(r->cookie, n_groups);
}

static int on_audit(struct receive *r, struct truth *truth, const uint8_t *payload, size_t len,
		    const char **why)
{
	uint8_t table = truth_table(truth)->id;
	struct receive_table_figures *t = &r->table_figures[table];
	struct index *ix = truth_index(truth);
	const uint64_t *groups = index_groups(ix);
	struct fr_audit_reply reply = { .entries = index_entries(ix) };
	struct fr_audit m;
	unsigned int g;
	int rc;

	if (fr_audit_decode(&m, payload, len) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	reply.id = m.id;
	for (g = 0; g < FR_GROUPS; g++) {
		if (m.group[g] == groups[g])
			continue;
		reply.differs[g / 8] |= 1u << (g % 8);
		reply.n_groups++;
	}
	t->n_groups = reply.n_groups;
	t->writer_entries = m.entries;
	if (!t->n_groups)
		t->unrepaired = 0;
	rc = answer_audit(r, truth, &reply, why);
	if (rc < 0)
		return rc;
	if (m.id != r->audit_id)
		r->audited = 0;
	r->audit_id = m.id;
	r->audited |= 1ull << table;
	if (r->audited == r->tables) {
		r->audited = 0;
		end_audit(r);
	}
	return 0;
}

void receive_checked(struct receive *r, uint8_t table, const struct truth_counts *counts)
{
	struct truth *truth = truth_of(r, table);
	struct fr_checked m = { .missing = counts->missing,
				.stale = counts->added,
				.differ = counts->changed };
	uint8_t buf[64];
	struct fr_writer w;

	if (!r->conn || !truth)
		return;
	m.entries = index_entries(truth_index(truth));
	fr_writer_init(&w, buf, sizeof(buf));
	fr_checked_encode(&w, &m);
	conn_send_message(r->conn, FR_FRAME_CHECKED, table, buf, fr_writer_len(&w), NULL);
}

static bool is_of_table(uint8_t type)
{
	return type == FR_FRAME_BATCH || type == FR_FRAME_AUDIT || type == FR_FRAME_REPAIR_BEGIN ||
	       type == FR_FRAME_REPAIR_END || type == FR_FRAME_CHECK;
}

int receive_frame(struct receive *r, const struct fr_frame_head *head, const uint8_t *payload,
		  size_t len, const char **why)
{
	struct truth *truth = truth_of(r, head->table);
	int rc;

	if (r->is_paused && head->type != FR_FRAME_CHECK)
		return 0;
	if (head->type == FR_FRAME_START)
		return on_start(r, payload, len, why);
	if (!r->is_started) {
		*why = "before START";
		return -EBADMSG;
	}
	if (!truth && is_of_table(head->type)) {
		*why = "a table that was not agreed on";
		return -EBADMSG;
	}
	rc = head->type == FR_FRAME_BATCH && r->sweep_rc >= 0 ? 0 : finish_sweep(r, why);
	if (rc < 0)
		return rc;
	switch (head->type) {
	case FR_FRAME_BATCH:
		return on_batch(r, truth, head, payload, len, why);
	case FR_FRAME_AUDIT:
		return on_audit(r, truth, payload, len, why);
	case FR_FRAME_REPAIR_BEGIN:
		return on_repair_begin(r, truth, payload, len, why);
	case FR_FRAME_REPAIR_END:
		return on_repair_end(r, truth, why);
	case FR_FRAME_CHECK:
		r->ops->check(r->cookie, head->table);
		return 0;
	default:
		*why = "unexpected";
		return -EBADMSG;
	}
}

uint64_t receive_tables(const struct receive *r)
{
	return r->tables;
}

const struct receive_figures *receive_figures(const struct receive *r)
{
	return &r->figures;
}

const struct receive_table_figures *receive_table_figures(const struct receive *r, uint8_t table)
{
	return &r->table_figures[table];
}
