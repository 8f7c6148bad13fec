// SPDX-License-Identifier: GPL-2.0-or-later

#include "receive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "monotonic.h"

#define DELETES_MAX 480		/* records in one request to the kernel */

struct receive {
	sd_event_source *ack;		/* one for all that came in one go */
	struct truth *truth;
	const struct receive_ops *ops;
	void *cookie;
	struct receive_figures figures;
	union fr_record *recs;		/* FR_BATCH_MAX, one batch decoded */

	struct conn *conn;		/* not ours; NULL: no session */
	uint64_t min_epoch;
	bool is_started;		/* START was seen in this session */
	uint8_t history[FR_HISTORY_LEN];
	uint64_t seq;			/* last applied */
	uint64_t refused;		/* in this session */

	/* of the running repair */
	uint64_t repair_begin;		/* order */
	uint32_t repaired;		/* number of its last batch */
	uint8_t repair[FLYREP_BUCKETS_LEN];
	size_t n_deletes;
	union fr_record deletes[DELETES_MAX];
};

static int on_ack_due(sd_event_source *s, void *cookie)
{
	struct receive *r = cookie;
	struct fr_ack m = { .seq = r->seq, .refused = r->refused, .repaired = r->repaired,
			    .entries = index_entries(truth_index(r->truth)) };
	uint8_t buf[64];
	struct fr_writer w;

	(void)s;
	if (!r->conn)
		return 0;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_ack_encode(&w, &m);
	conn_send_message(r->conn, FR_FRAME_ACK, 0, buf, fr_writer_len(&w), NULL);
	return 0;
}

static void ack_soon(struct receive *r)
{
	sd_event_source_set_enabled(r->ack, SD_EVENT_ONESHOT);
}

struct receive *receive_new(sd_event *event, struct truth *truth, const struct receive_ops *ops,
			    void *cookie)
{
	struct receive *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->truth = truth;
	r->ops = ops;
	r->cookie = cookie;
	r->recs = calloc(FR_BATCH_MAX, truth_table(truth)->rec_len);
	if (!r->recs || sd_event_add_defer(event, &r->ack, on_ack_due, r) < 0) {
		receive_free(r);
		return NULL;
	}
	sd_event_source_set_enabled(r->ack, SD_EVENT_OFF);
	return r;
}

void receive_free(struct receive *r)
{
	if (!r)
		return;
	sd_event_source_disable_unref(r->ack);
	free(r->recs);
	free(r);
}

void receive_start(struct receive *r, struct conn *conn, uint64_t min_epoch)
{
	receive_stop(r);
	r->conn = conn;
	r->min_epoch = min_epoch;
	r->refused = 0;
	r->repaired = 0;
	r->figures.refused = 0;
}

void receive_stop(struct receive *r)
{
	sd_event_source_set_enabled(r->ack, SD_EVENT_OFF);
	r->conn = NULL;
	r->is_started = false;
	r->figures.is_repairing = false;
}

bool receive_is_started(const struct receive *r)
{
	return r->is_started;
}

void receive_forget(struct receive *r)
{
	memset(r->history, 0, sizeof(r->history));
	r->seq = 0;
	r->figures.is_equal = false;
	r->figures.unrepaired = 0;
	r->figures.last_audit_ns = 0;
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
	return 0;
}

/* --- resolve and inject --- */

static void on_refused(void *cookie, const void *rec, int error)
{
	struct receive *r = cookie;
	struct flyrep_rec *head = (struct flyrep_rec *)rec; /* our own buffer */

	(void)error;
	r->refused++;
	r->figures.refused++;
	r->figures.unrepaired++;
	truth_drop(r->truth, rec);
	head->op = FLYREP_OP_UNSPEC;
}

/*
 * A repair names much that is held already, just as it should be: a peer that
 * was away for a second would otherwise be injected whole. Only touch those.
 */
static size_t leave_out_known(struct receive *r, uint8_t *recs, size_t rec_len, size_t n)
{
	const struct fr_table *t = truth_table(r->truth);
	struct index *ix = truth_index(r->truth);
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
		const void *rec = recs + i * rec_len;
		unsigned int bucket, key_len = t->key(key, rec);
		struct index_entry e;

		if (index_find(ix, key, key_len, &e) &&
		    truth_put(r->truth, rec, r->ops->order(r->cookie), &bucket) ==
			    FLYREP_OP_UNSPEC)
			continue;
		if (kept != i)
			memmove(recs + kept * rec_len, rec, rec_len);
		kept++;
	}
	return kept;
}

static int apply(struct receive *r, uint8_t *recs, size_t rec_len, size_t n, const char **why)
{
	const struct fr_table *t = truth_table(r->truth);
	size_t i;
	int rc;

	rc = r->ops->inject(r->cookie, t->id, recs, n, on_refused, r);
	for (i = 0; i < n; i++) {
		const struct flyrep_rec *rec = (const void *)(recs + i * rec_len);
		unsigned int bucket;

		if (rec->op != FLYREP_OP_UNSPEC &&
		    truth_put(r->truth, rec, r->ops->order(r->cookie), &bucket) == -ENOMEM)
			truth_drop(r->truth, rec);
	}
	if (rc < 0)
		*why = "the kernel module is gone";
	return rc;
}

static int on_batch(struct receive *r, const struct fr_frame_head *head, const uint8_t *payload,
		    size_t len, const char **why)
{
	const struct fr_table *t = truth_table(r->truth);
	bool is_repair = head->flags & FR_FRAME_F_REPAIR;
	struct fr_reader reader;
	size_t n;
	int rc;

	if (head->table != t->id) {
		*why = "a table that was not agreed on";
		return -EBADMSG;
	}
	if (is_repair ? !r->figures.is_repairing : head->seq != r->seq + 1) {
		*why = is_repair ? "a repair without REPAIR_BEGIN" : "a gap in the stream";
		return -EBADMSG;
	}
	fr_reader_init(&reader, payload, len);
	if (t->decode(&reader, r->recs, FR_BATCH_MAX * sizeof(*r->recs), FR_BATCH_MAX, &n) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	r->figures.n_batches++;
	r->figures.n_changes += n;
	if (is_repair)
		n = leave_out_known(r, (uint8_t *)r->recs, t->rec_len, n);
	rc = apply(r, (uint8_t *)r->recs, t->rec_len, n, why);
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

static int on_repair_begin(struct receive *r, const uint8_t *payload, size_t len, const char **why)
{
	struct fr_repair_begin m;

	if (fr_repair_begin_decode(&m, payload, len) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	memcpy(r->repair, m.buckets, sizeof(r->repair));
	r->repair_begin = r->ops->order(r->cookie);
	r->repaired = m.n_before;
	r->figures.is_repairing = true;
	return 0;
}

static bool is_unnamed(void *cookie, const struct index_entry *e)
{
	struct receive *r = cookie;
	union fr_record *rec = &r->deletes[r->n_deletes];

	if (e->stamp >= r->repair_begin || r->n_deletes == DELETES_MAX)
		return false;
	memset(rec, 0, sizeof(*rec));
	if (truth_table(r->truth)->from_key(rec, e->key, e->key_len) < 0)
		return false;
	rec->rec.op = FLYREP_OP_DELETE;
	r->n_deletes++;
	return false; /* apply() takes it out of the index once the kernel has */
}

static int flush_deletes(struct receive *r, const char **why)
{
	int rc = r->n_deletes ? apply(r, (uint8_t *)r->deletes, sizeof(r->deletes[0]),
				      r->n_deletes, why) : 0;

	r->n_deletes = 0;
	return rc;
}

static int on_repair_end(struct receive *r, const char **why)
{
	unsigned int b;
	int rc;

	if (!r->figures.is_repairing) {
		*why = "without REPAIR_BEGIN";
		return -EBADMSG;
	}
	r->figures.is_repairing = false;
	for (b = 0; b < FLYREP_BUCKETS; b++) {
		if (!(r->repair[b / 8] & (1u << (b % 8))))
			continue;
		do {
			rc = r->n_deletes > DELETES_MAX / 2 ? flush_deletes(r, why) : 0;
			if (rc < 0)
				return rc;
			index_walk(truth_index(r->truth), b, is_unnamed, r);
		} while (r->n_deletes == DELETES_MAX);
	}
	return flush_deletes(r, why);
}

/* --- audit --- */

static int on_audit(struct receive *r, const uint8_t *payload, size_t len, const char **why)
{
	struct index *ix = truth_index(r->truth);
	const uint64_t *groups = index_groups(ix);
	struct fr_audit_reply reply = { .entries = index_entries(ix) };
	struct fr_audit m;
	struct fr_writer w;
	unsigned int g;
	size_t size;
	uint8_t *buf;
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
	r->figures.last_audit_ns = monotonic_ns();
	r->figures.is_equal = !reply.n_groups;
	if (r->figures.is_equal)
		r->figures.unrepaired = 0;
	r->figures.writer_entries = m.entries;
	size = 64 + (size_t)reply.n_groups * FR_GROUP_BUCKETS * 8;
	buf = malloc(size);
	if (!buf) {
		*why = "out of memory";
		return -ENOMEM;
	}
	fr_writer_init(&w, buf, size);
	fr_audit_reply_encode(&w, &reply, index_digests(ix));
	rc = w.bad ? -EMSGSIZE :
		     conn_send_message(r->conn, FR_FRAME_AUDIT_REPLY, truth_table(r->truth)->id,
				       buf, fr_writer_len(&w), NULL);
	free(buf);
	if (rc < 0) {
		*why = "cannot answer";
		return rc;
	}
	r->ops->audited(r->cookie, reply.n_groups);
	return 0;
}

void receive_checked(struct receive *r, const struct truth_counts *counts)
{
	struct fr_checked m = { .entries = index_entries(truth_index(r->truth)),
				.missing = counts->missing,
				.stale = counts->added,
				.differ = counts->changed };
	uint8_t buf[64];
	struct fr_writer w;

	if (!r->conn)
		return;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_checked_encode(&w, &m);
	conn_send_message(r->conn, FR_FRAME_CHECKED, 0, buf, fr_writer_len(&w), NULL);
}

int receive_frame(struct receive *r, const struct fr_frame_head *head, const uint8_t *payload,
		  size_t len, const char **why)
{
	if (head->type == FR_FRAME_START)
		return on_start(r, payload, len, why);
	if (!r->is_started) {
		*why = "before START";
		return -EBADMSG;
	}
	switch (head->type) {
	case FR_FRAME_BATCH:
		return on_batch(r, head, payload, len, why);
	case FR_FRAME_AUDIT:
		return on_audit(r, payload, len, why);
	case FR_FRAME_REPAIR_BEGIN:
		return on_repair_begin(r, payload, len, why);
	case FR_FRAME_REPAIR_END:
		return on_repair_end(r, why);
	case FR_FRAME_CHECK:
		r->ops->check(r->cookie);
		return 0;
	default:
		*why = "unexpected";
		return -EBADMSG;
	}
}

const struct receive_figures *receive_figures(const struct receive *r)
{
	return &r->figures;
}
