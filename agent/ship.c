// SPDX-License-Identifier: GPL-2.0-or-later

#include "ship.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buckets.h"
#include "log.h"
#include "monotonic.h"

#define WINDOW_BYTES		(4u << 20)	/* of the stream, unacknowledged */
#define REPAIR_WINDOW		2		/* repair batches unacknowledged */
#define LATENCY_WINDOW_MS	60000
#define CONFIRM_MAX		3		/* audits right after a repair, then by the clock */

/* What a session keeps of one table that both ends have. */
struct ship_table {
	struct ship_table_figures figures;
	bool is_answered;		/* by the peer, in the running audit */
	bool is_checking;		/* CHECK was sent, CHECKED is awaited */
	bool wants_whole;		/* the next repair is of all of it */
	bool is_whole;			/* the running one is */
	uint8_t taken[FLYREP_BUCKETS_LEN];	/* buckets of the running repair */
	uint8_t dirty[FLYREP_BUCKETS_LEN];
	uint8_t differs[FLYREP_BUCKETS_LEN];	/* at the last audit */
	uint64_t frozen[FLYREP_BUCKETS];	/* digests at the AUDIT */
};

struct ship {
	const struct ship_stream *stream;
	const struct ship_ops *ops;
	void *cookie;
	struct latency *latency;
	struct fr_squeeze *squeeze;
	struct ship_figures figures;

	/* of the session */
	struct conn *conn;		/* not ours; NULL: not started */
	struct ship_table *tables[FR_TABLES_MAX];	/* NULL: does not travel */
	uint64_t cursor;		/* next to send */
	uint64_t acked;
	uint64_t flight_bytes;
	bool needs_start;
	bool is_kicking;
	bool is_paused;			/* by the peer */
	bool is_asking;			/* it is repaired only when somebody asks */
	bool counts_end;		/* its ACK tells when a repair is over there */
	bool takes_refs;		/* it understands references */
	bool is_doubted;		/* until the next audit: what it holds */

	bool is_repairing;
	/*
	 * Repair batches, counted through all repairs and sessions: the answer to the last of one
	 * repair may come after the next has begun.
	 */
	uint32_t repair_sent;
	uint32_t repair_acked;
	uint8_t repair_table;		/* of the running repair, or the last one */

	bool wants_audit;
	bool is_auditing;
	uint32_t audit_id;
	unsigned int n_confirms;
};

/* What the session keeps of a table, or NULL if it does not travel. */
static struct ship_table *table_of(const struct ship *s, uint8_t table)
{
	return table < FR_TABLES_MAX ? s->tables[table] : NULL;
}

struct ship *ship_new(const struct ship_stream *stream, const struct ship_ops *ops, void *cookie)
{
	struct ship *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->stream = stream;
	s->ops = ops;
	s->cookie = cookie;
	s->latency = latency_new(LATENCY_WINDOW_MS);
	s->squeeze = fr_squeeze_new();
	if (!s->latency || !s->squeeze) {
		ship_free(s);
		return NULL;
	}
	return s;
}

static void free_tables(struct ship *s)
{
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++) {
		free(s->tables[id]);
		s->tables[id] = NULL;
	}
}

void ship_free(struct ship *s)
{
	if (!s)
		return;
	free_tables(s);
	latency_free(s->latency);
	fr_squeeze_free(s->squeeze);
	free(s);
}

/* At one end or the other. */
static bool is_paused(const struct ship *s)
{
	return s->is_paused || s->stream->is_paused;
}

static bool at_head(const struct ship *s)
{
	return s->cursor == backlog_next_seq(s->stream->backlog);
}

/* The peer has all of a repair, but is not through with what it did not name. */
static bool is_ending(const struct ship *s)
{
	return s->counts_end && !s->is_repairing && s->repair_acked != s->repair_sent;
}

static int send_start(struct ship *s)
{
	struct fr_start m = { .next_seq = s->cursor, .epoch = s->stream->epoch };
	uint8_t buf[64];
	struct fr_writer w;
	int rc;

	memcpy(m.history, s->stream->history, sizeof(m.history));
	fr_writer_init(&w, buf, sizeof(buf));
	fr_start_encode(&w, &m);
	rc = conn_send_message(s->conn, FR_FRAME_START, 0, buf, fr_writer_len(&w), NULL);
	s->needs_start = rc < 0;
	return rc;
}

static int new_tables(struct ship *s, uint64_t tables)
{
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++) {
		if (!s->stream->truths[id] || !(tables >> id & 1))
			continue;
		s->tables[id] = calloc(1, sizeof(*s->tables[id]));
		if (!s->tables[id]) {
			free_tables(s);
			return -ENOMEM;
		}
	}
	return 0;
}

bool ship_is_auto(const struct ship *s)
{
	return s->stream->auto_resync && !s->is_asking;
}

static unsigned int count_bits(const uint8_t *bits, size_t len)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < len; i++)
		n += __builtin_popcount(bits[i]);
	return n;
}

/* Which buckets of a table change in the backlog from @seq on. */
static void touched(const struct ship *s, uint8_t table, uint64_t seq,
		    uint8_t buckets[FLYREP_BUCKETS_LEN])
{
	const struct backlog_batch *b;
	uint32_t i;

	memset(buckets, 0, FLYREP_BUCKETS_LEN);
	for (; (b = backlog_get(s->stream->backlog, seq)); seq++)
		for (i = 0; b->table == table && i < b->n_changes; i++)
			buckets[b->buckets[i] / 8] |= 1u << (b->buckets[i] % 8);
}

/*
 * What a comparison of a table would send: digests of the groups that differ both ways, and the
 * objects of the buckets that differ, each like a change of the stream.
 */
static uint64_t cost_of_comparing(const struct ship *s, uint8_t table, uint64_t seq,
				  uint64_t change_len)
{
	uint64_t entries = index_entries(truth_index(s->stream->truths[table]));
	uint8_t buckets[FLYREP_BUCKETS_LEN];
	unsigned int g, n, n_groups = 0, n_buckets = 0;

	touched(s, table, seq, buckets);
	for (g = 0; g < FR_GROUPS; g++) {
		n = count_bits(buckets + g * FR_GROUP_BUCKETS / 8, FR_GROUP_BUCKETS / 8);
		n_groups += n > 0;
		n_buckets += n;
	}
	return (1 + n_groups) * FR_GROUP_BUCKETS * 8ull +
	       n_buckets * (1 + entries / FLYREP_BUCKETS) * change_len;
}

/* Is it cheaper to compare with a peer that lacks the stream from @seq on than to send that? */
static bool is_better_compared(const struct ship *s, uint64_t seq)
{
	uint64_t n_changes, n_bytes, cost = 0;
	size_t id;

	backlog_pending(s->stream->backlog, seq, &n_changes, &n_bytes);
	if (!ship_is_auto(s) || n_changes <= s->stream->resync_threshold)
		return false;
	for (id = 0; id < FR_TABLES_MAX; id++)
		if (s->tables[id])
			cost += cost_of_comparing(s, id, seq, n_bytes / n_changes + 1);
	return cost < n_bytes;
}

/* Where the stream goes on for a peer that has been away. */
static uint64_t resume_at(struct ship *s, const struct fr_hello *theirs)
{
	const struct backlog *bl = s->stream->backlog;
	uint64_t next = theirs->have_seq + 1, end = backlog_next_seq(bl);

	if (memcmp(theirs->have_history, s->stream->history, FR_HISTORY_LEN) ||
	    next < backlog_first_seq(bl) || next > end)
		return end;
	/* What it would not understand counts as gone. */
	if (!s->takes_refs && backlog_last_refs(bl) >= next)
		return end;
	if (!is_better_compared(s, next))
		return next;
	s->figures.n_skips++;
	fr_notice("replication: peer %s is far behind: comparing is cheaper than sending all of it",
		  theirs->node_id);
	return end;
}

int ship_start(struct ship *s, struct conn *conn, const struct fr_hello *theirs)
{
	ship_stop(s);
	if (new_tables(s, s->stream->tables & theirs->tables) < 0)
		return -ENOMEM;
	s->conn = conn;
	s->figures.n_sessions++;
	s->is_asking = theirs->capabilities & FR_CAPABILITY_ASK;
	s->counts_end = theirs->capabilities & FR_CAPABILITY_END;
	s->takes_refs = theirs->capabilities & FR_CAPABILITY_REFS;
	s->is_doubted = false;
	s->cursor = resume_at(s, theirs);
	s->acked = s->cursor - 1;
	s->wants_audit = true;
	s->needs_start = true;
	if (!is_paused(s))
		send_start(s);
	ship_kick(s);
	return 0;
}

void ship_pause(struct ship *s, bool is_paused)
{
	s->is_paused = is_paused;
	if (is_paused && s->is_auditing) {
		s->is_auditing = false; /* the peer may not answer it */
		s->wants_audit = true;
		s->figures.n_audits_begun = s->figures.n_audits;
	}
	ship_kick(s);
}

void ship_stop(struct ship *s)
{
	s->conn = NULL;
	s->flight_bytes = 0;
	s->is_repairing = false;
	s->repair_acked = s->repair_sent;
	s->wants_audit = s->is_auditing = false;
	s->figures.n_audits_begun = s->figures.n_audits;
	s->n_confirms = 0;
	free_tables(s);
	s->figures.n_dirty = 0;
	s->figures.last_audit_ns = 0;
	s->figures.is_equal = false;
	s->figures.refused = 0;
}

bool ship_is_started(const struct ship *s)
{
	return s->conn;
}

/*
 * Send the next batches of the stream. Those of a table that the peer does not have are left
 * out; a START tells it of the gap.
 */
static void send_stream(struct ship *s)
{
	const struct backlog_batch *b;

	while (!at_head(s) && s->flight_bytes < WINDOW_BYTES) {
		b = backlog_get(s->stream->backlog, s->cursor);
		if (!b)
			return; /* ship_on_drop() moves the cursor before this can be */
		if (!table_of(s, b->table)) {
			s->cursor++;
			s->needs_start = true;
			continue;
		}
		if (s->needs_start && send_start(s) < 0)
			return;
		if (conn_send(s->conn, b->frame, b->len) < 0)
			return;
		s->cursor++;
		s->flight_bytes += b->len;
	}
	/* At the end too: what was left out is acknowledged as the rest is. */
	if (s->needs_start && at_head(s))
		send_start(s);
}

/* Of one table; false: not sent. */
static bool send_audit_of(struct ship *s, size_t id)
{
	struct index *ix = truth_index(s->stream->truths[id]);
	struct fr_audit m = { .id = s->audit_id, .entries = index_entries(ix) };
	struct ship_table *t = s->tables[id];
	uint8_t buf[sizeof(m) + 64];
	struct fr_writer w;

	memcpy(t->frozen, index_digests(ix), sizeof(t->frozen));
	memcpy(m.group, index_groups(ix), sizeof(m.group));
	t->is_answered = false;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_audit_encode(&w, &m);
	return conn_send_message(s->conn, FR_FRAME_AUDIT, id, buf, fr_writer_len(&w), NULL) >= 0;
}

/* Of all tables, at one point of the stream. */
static void send_audit(struct ship *s)
{
	size_t id;

	s->audit_id++;
	for (id = 0; id < FR_TABLES_MAX; id++)
		/* If not all can be sent, the next one has another id. */
		if (s->tables[id] && !send_audit_of(s, id))
			return;
	s->wants_audit = false;
	s->is_auditing = true;
	s->figures.n_audits_begun++;
}

void ship_kick(struct ship *s)
{
	if (!s->conn || s->is_kicking || is_paused(s))
		return;
	s->is_kicking = true;
	send_stream(s);
	if (s->wants_audit && !s->is_auditing && !s->is_repairing && !is_ending(s) &&
	    !s->figures.n_dirty && at_head(s)) {
		/* The index is ahead of the stream by what waits for its batch. */
		s->ops->flush(s->cookie);
		send_stream(s);
		if (at_head(s))
			send_audit(s);
	}
	s->is_kicking = false;
	if (s->is_repairing ? ship_repair_room(s) : ship_wants_repair(s))
		s->ops->wants(s->cookie, s);
}

static int decode_ack(const struct ship *s, struct fr_ack *m, const uint8_t *payload, size_t len)
{
	if (len != FR_ACK_SHORT_LEN)
		return fr_ack_decode(m, payload, len);
	m->seq = s->acked;
	m->entries = s->figures.remote_entries;
	m->refused = s->figures.refused;
	m->repaired = s->repair_acked;
	return fr_ack_decode_short(m, payload, len);
}

int ship_on_ack(struct ship *s, const uint8_t *payload, size_t len, const char **why)
{
	const struct backlog_batch *b;
	uint64_t now = monotonic_ns();
	struct fr_ack m;

	if (decode_ack(s, &m, payload, len) < 0) {
		*why = "malformed";
		return -EBADMSG;
	}
	if (m.seq >= s->cursor || (int32_t)(m.repaired - s->repair_sent) > 0) {
		*why = "acknowledges what was never sent";
		return -EBADMSG;
	}
	while (s->acked < m.seq) {
		b = backlog_get(s->stream->backlog, ++s->acked);
		if (!b)
			continue; /* dropped since */
		if (!table_of(s, b->table))
			continue; /* left out */
		s->flight_bytes -= b->len < s->flight_bytes ? b->len : s->flight_bytes;
		latency_add(s->latency, now, now - b->captured_ns, b->n_changes);
	}
	if (s->acked + 1 == s->cursor)
		s->flight_bytes = 0;
	if ((int32_t)(m.repaired - s->repair_acked) > 0)
		s->repair_acked = m.repaired;
	s->figures.remote_entries = m.entries;
	s->figures.refused = m.refused;
	s->ops->acked(s->cookie, s);
	ship_kick(s);
	return 0;
}

static void mark_dirty(struct ship *s, struct ship_table *t, unsigned int bucket)
{
	uint8_t bit = 1u << (bucket % 8);

	if (t->dirty[bucket / 8] & bit)
		return;
	t->dirty[bucket / 8] |= bit;
	t->figures.n_dirty++;
	s->figures.n_dirty++;
}

void ship_dirty(struct ship *s, uint8_t table, unsigned int bucket)
{
	struct ship_table *t = table_of(s, table);

	if (!t)
		return;
	if (ship_is_auto(s)) {
		mark_dirty(s, t, bucket);
		return;
	}
	s->figures.is_equal = false;
	s->wants_audit = true;
}

void ship_on_drop(struct ship *s, const struct backlog_batch *b)
{
	uint32_t i;

	if (!s->conn || s->cursor > b->seq)
		return;
	for (i = 0; i < b->n_changes; i++)
		ship_dirty(s, b->table, b->buckets[i]);
	if (!s->needs_start) {
		s->figures.n_jumps++;
		fr_warn("replication: a peer fell off the backlog; what it missed %s",
			ship_is_auto(s) ? "will be repaired" : "waits for `flyrep resync`");
	}
	s->cursor = b->seq + 1;
	s->acked = b->seq;
	s->flight_bytes = 0;
	s->needs_start = true;
}

void ship_audit(struct ship *s)
{
	s->wants_audit = true;
	s->n_confirms = 0;
	ship_kick(s);
}

void ship_doubt(struct ship *s)
{
	s->is_doubted = true;
	ship_audit(s);
}

bool ship_takes_refs(const struct ship *s, uint8_t table)
{
	if (!s->conn || !table_of(s, table))
		return true;
	return s->takes_refs && ship_is_auto(s) && s->figures.last_audit_ns && !s->is_doubted;
}

bool ship_tells_refs(const struct ship *s, uint8_t table, unsigned int bucket)
{
	const struct ship_table *t = table_of(s, table);

	if (!s->conn || !t)
		return true;
	return ship_takes_refs(s, table) && !buckets_has(t->dirty, bucket) &&
	       !buckets_has(t->taken, bucket) && !buckets_has(t->differs, bucket);
}

int ship_check(struct ship *s, uint64_t tables)
{
	size_t id;
	int rc = 0;

	if (!s->conn)
		return -ENOTCONN;
	for (id = 0; id < FR_TABLES_MAX && rc >= 0; id++) {
		if (!s->tables[id] || !(tables >> id & 1))
			continue;
		rc = conn_send_message(s->conn, FR_FRAME_CHECK, id, NULL, 0, NULL);
		s->tables[id]->is_checking = rc >= 0;
	}
	return rc;
}

int ship_on_checked(struct ship *s, uint8_t table, const uint8_t *payload, size_t len,
		    const char **why)
{
	struct ship_table *t = table_of(s, table);
	bool is_last = true;
	struct fr_checked m;
	size_t id;

	if (!t || fr_checked_decode(&m, payload, len) < 0) {
		*why = t ? "malformed" : "a table that was not agreed on";
		return -EBADMSG;
	}
	t->is_checking = false;
	for (id = 0; id < FR_TABLES_MAX; id++)
		is_last &= !s->tables[id] || !s->tables[id]->is_checking;
	s->ops->checked(s->cookie, s, table, &m, is_last);
	return 0;
}

static unsigned int mark_group(struct ship *s, uint8_t table, const struct fr_audit_reply *m,
			       unsigned int nth, unsigned int group)
{
	const uint64_t *frozen = s->tables[table]->frozen;
	uint8_t *differs = s->tables[table]->differs;
	unsigned int i, n = 0;

	for (i = 0; i < FR_GROUP_BUCKETS; i++) {
		unsigned int bucket = group * FR_GROUP_BUCKETS + i;

		if (fr_audit_reply_digest(m, nth, i) == frozen[bucket])
			continue;
		n++;
		differs[bucket / 8] |= 1u << (bucket % 8);
		if (ship_is_auto(s))
			ship_dirty(s, table, bucket);
	}
	return n;
}

/* All tables are answered. */
static void end_audit(struct ship *s)
{
	size_t id;

	s->is_auditing = false;
	s->figures.n_audits++;
	s->figures.last_audit_ns = monotonic_ns();
	s->figures.n_differ = 0;
	s->figures.remote_entries = 0;
	for (id = 0; id < FR_TABLES_MAX; id++) {
		if (!s->tables[id])
			continue;
		s->figures.n_differ += s->tables[id]->figures.n_differ;
		s->figures.remote_entries += s->tables[id]->figures.remote_entries;
	}
	s->figures.is_equal = !s->figures.n_differ;
	s->is_doubted &= s->wants_audit; /* it was asked for after this one had begun */
	if (s->figures.is_equal)
		s->n_confirms = 0;
	s->ops->audited(s->cookie, s, s->figures.remote_entries, s->figures.n_differ);
	ship_kick(s);
}

int ship_on_audit_reply(struct ship *s, uint8_t table, const uint8_t *payload, size_t len,
			const char **why)
{
	struct ship_table *t = table_of(s, table);
	unsigned int group, nth = 0, n = 0;
	struct fr_audit_reply m;
	size_t id;

	if (!t || fr_audit_reply_decode(&m, payload, len) < 0) {
		*why = t ? "malformed" : "a table that was not agreed on";
		return -EBADMSG;
	}
	if (m.id - 1 >= s->audit_id || (m.id == s->audit_id && t->is_answered)) {
		*why = "answers no audit";
		return -EBADMSG;
	}
	if (m.id != s->audit_id || !s->is_auditing)
		return 0; /* one that was given up */
	memset(t->differs, 0, sizeof(t->differs));
	/* What was repaired was so before this audit, which proves it. */
	memset(t->taken, 0, sizeof(t->taken));
	for (group = 0; group < FR_GROUPS; group++)
		if (m.differs[group / 8] & (1u << (group % 8)))
			n += mark_group(s, table, &m, nth++, group);
	t->is_answered = true;
	t->figures.n_differ = n;
	t->figures.remote_entries = m.entries;
	for (id = 0; id < FR_TABLES_MAX; id++)
		if (s->tables[id] && !s->tables[id]->is_answered)
			return 0;
	end_audit(s);
	return 0;
}

/* --- repair --- */

static void dirty_whole(struct ship *s, uint8_t table)
{
	unsigned int b;

	for (b = 0; b < FLYREP_BUCKETS; b++)
		mark_dirty(s, s->tables[table], b);
	s->tables[table]->wants_whole = true;
}

void ship_resync(struct ship *s, uint64_t tables)
{
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (s->tables[id] && tables >> id & 1)
			dirty_whole(s, id);
	s->n_confirms = 0;
	ship_kick(s);
}

uint64_t ship_resync_left(const struct ship *s)
{
	uint64_t left = 0;
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (s->tables[id] && (s->tables[id]->wants_whole || s->tables[id]->is_whole))
			left |= 1ull << id;
	return left;
}

static bool is_dirty(const struct ship *s, uint8_t table)
{
	return s->tables[table] && s->tables[table]->figures.n_dirty &&
	       !(s->stream->held >> table & 1);
}

/* The next table with dirty buckets: each has its turn. 0: none */
static uint8_t next_dirty(const struct ship *s)
{
	uint8_t table = s->repair_table;

	do {
		table = (table + 1) % FR_TABLES_MAX;
	} while (table != s->repair_table && !is_dirty(s, table));
	return is_dirty(s, table) ? table : 0;
}

bool ship_wants_repair(const struct ship *s)
{
	return s->conn && s->figures.n_dirty && !s->is_repairing && !is_ending(s) &&
	       !s->is_auditing && !is_paused(s) && at_head(s) && !s->needs_start && next_dirty(s);
}

bool ship_is_settled(const struct ship *s)
{
	return !s->conn || (!s->figures.n_dirty && !s->is_repairing && !is_ending(s) &&
			    !s->is_auditing && !s->wants_audit);
}

int ship_repair_begin(struct ship *s, uint8_t buckets[FLYREP_BUCKETS_LEN])
{
	uint8_t table = next_dirty(s);
	struct ship_table *t = s->tables[table];
	struct fr_repair_begin m = { .n_before = s->repair_sent };
	uint8_t buf[FLYREP_BUCKETS_LEN + 64];
	struct fr_writer w;
	int rc;

	if (!t)
		return -ENOENT;
	m.buckets = t->dirty;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_repair_begin_encode(&w, &m);
	rc = conn_send_message(s->conn, FR_FRAME_REPAIR_BEGIN, table, buf, fr_writer_len(&w),
			       s->squeeze);
	if (rc < 0)
		return rc;
	memcpy(t->taken, t->dirty, sizeof(t->taken));
	memcpy(buckets, t->dirty, sizeof(t->taken));
	memset(t->dirty, 0, sizeof(t->dirty));
	s->figures.n_repaired += t->figures.n_dirty;
	s->figures.n_dirty -= t->figures.n_dirty;
	t->figures.n_dirty = 0;
	t->figures.n_sent = 0;
	t->is_whole = t->wants_whole;
	t->wants_whole = false;
	s->is_repairing = true;
	s->repair_table = table;
	s->repair_acked = s->repair_sent; /* what is under way of the last one is little */
	return table;
}

int ship_repair_send(struct ship *s, const uint8_t *frame, size_t len, size_t n)
{
	int rc = s->conn && s->is_repairing ? conn_send(s->conn, frame, len) : -ENOTCONN;

	if (rc)
		return rc;
	s->repair_sent++;
	s->tables[s->repair_table]->figures.n_sent += n;
	s->figures.n_repair_records += n;
	s->figures.n_repair_bytes += len;
	return 0;
}

bool ship_is_repairing(const struct ship *s, uint8_t table)
{
	return s->conn && s->is_repairing && s->repair_table == table;
}

bool ship_is_whole(const struct ship *s)
{
	return s->conn && s->is_repairing && s->tables[s->repair_table]->is_whole;
}

bool ship_repair_room(const struct ship *s)
{
	return !s->conn || !s->is_repairing ||
	       (at_head(s) && !s->needs_start && s->repair_sent - s->repair_acked < REPAIR_WINDOW);
}

void ship_repair_end(struct ship *s, int err)
{
	struct ship_table *t;
	unsigned int b;

	if (!s->conn || !s->is_repairing)
		return;
	s->is_repairing = false;
	t = s->tables[s->repair_table];
	t->wants_whole |= t->is_whole && err;
	t->is_whole = false;
	if (err) {
		for (b = 0; b < FLYREP_BUCKETS; b++)
			if (buckets_has(t->taken, b))
				mark_dirty(s, t, b);
		return;
	}
	if (conn_send_message(s->conn, FR_FRAME_REPAIR_END, s->repair_table, NULL, 0, NULL) < 0)
		return;
	s->repair_sent += s->counts_end;
	/* The audit waits until no table has anything left to repair. */
	if (!s->figures.n_dirty && s->n_confirms++ < CONFIRM_MAX)
		s->wants_audit = true;
	ship_kick(s);
}

/* --- figures --- */

void ship_pending(const struct ship *s, uint64_t *n_changes, uint64_t *n_bytes,
		  uint64_t *oldest_ns)
{
	const struct backlog_batch *b = backlog_get(s->stream->backlog, s->acked + 1);

	backlog_pending(s->stream->backlog, s->acked + 1, n_changes, n_bytes);
	*oldest_ns = b ? b->captured_ns : 0;
}

bool ship_is_idle(const struct ship *s)
{
	return !s->conn || (!is_paused(s) && s->acked + 1 == s->cursor);
}

uint64_t ship_acked(const struct ship *s)
{
	return s->acked;
}

uint64_t ship_tables(const struct ship *s)
{
	uint64_t tables = 0;
	size_t id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (s->tables[id])
			tables |= 1ull << id;
	return tables;
}

const struct ship_figures *ship_figures(const struct ship *s)
{
	return &s->figures;
}

struct ship_session ship_session(const struct ship *s)
{
	return (struct ship_session){
		.cursor = s->cursor,
		.flight_bytes = s->flight_bytes,
		.window_bytes = WINDOW_BYTES,
		.is_paused = s->is_paused,
		.is_auditing = s->is_auditing,
		.is_repairing = s->is_repairing,
		.takes_refs = s->takes_refs,
	};
}

const struct ship_table_figures *ship_table_figures(const struct ship *s, uint8_t table)
{
	const struct ship_table *t = table_of(s, table);

	return t ? &t->figures : NULL;
}

struct latency *ship_latency(struct ship *s)
{
	return s->latency;
}
