/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ship: the writer's side of one session. Sends the stream from the backlog,
 * keeps what travels bounded, audits, and repairs what an audit or a dropped
 * batch says the peer lacks. A live change always goes before a repair. The tables that
 * both ends have share one stream; each has digests and dirty buckets of its own.
 */
#ifndef SHIP_H
#define SHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "backlog.h"
#include "conn.h"
#include "frame.h"
#include "latency.h"
#include "truth.h"

struct ship;

/**
 * struct ship_stream - what all ships of this node share
 * @truths: by table id; NULL: not replicated by this node
 * @tables: bitmap of those offered to peers, of the ones above
 * @held: of these: not repaired for now, as this node has lost what peers still hold
 * @is_paused: nothing is sent for now
 * @auto_resync: repair what differs or was missed; else only what ship_resync() is asked for
 * @resync_threshold: changes; who lacks more when it returns may be compared instead
 * @history: of the stream
 * @epoch: under which it is written
 */
struct ship_stream {
	struct backlog *backlog;
	struct truth *const *truths;	/* FR_TABLES_MAX of them */
	uint64_t tables;
	uint64_t held;
	bool is_paused;
	uint8_t history[FR_HISTORY_LEN];
	uint64_t epoch;
	bool auto_resync;
	uint32_t resync_threshold;
};

/**
 * struct ship_ops - what the owner hears and is asked
 * @flush: put what waits for its batch into the backlog, now; may call ship_kick()
 * @acked: the peer has applied more
 * @audited: an audit of all tables is over; @n_buckets that differ
 * @checked: the answer to CHECK of one table; @is_last: all tables are answered
 * @wants: there is something to repair and room for it; take a snapshot
 */
struct ship_ops {
	void (*flush)(void *cookie);
	void (*acked)(void *cookie, struct ship *s);
	void (*audited)(void *cookie, struct ship *s, uint64_t entries, unsigned int n_buckets);
	void (*checked)(void *cookie, struct ship *s, uint8_t table, const struct fr_checked *m,
			bool is_last);
	void (*wants)(void *cookie, struct ship *s);
};

/**
 * struct ship_figures - for status
 * @n_audits_begun: sent; one is of all tables
 * @n_audits: of these: answered
 * @last_audit_ns: CLOCK_MONOTONIC of the last one, 0: none in this session
 * @is_equal: the last audit found no difference in any table
 * @n_differ: buckets that differed in it
 * @remote_entries: objects the peer holds
 * @n_repaired: buckets repaired since the node began
 * @n_dirty: buckets waiting for repair, or in it
 * @refused: records the peer's kernel refused in this session
 * @n_jumps: how often the peer fell off the backlog
 * @n_skips: how often a return was cheaper by comparing than by replay
 * @n_sessions: begun
 * @n_repair_records: sent in repairs since the node began
 * @n_repair_bytes: likewise
 */
struct ship_figures {
	uint64_t n_audits_begun;
	uint64_t n_audits;
	uint64_t last_audit_ns;
	bool is_equal;
	unsigned int n_differ;
	uint64_t remote_entries;
	uint64_t n_repaired;
	unsigned int n_dirty;
	uint64_t refused;
	uint64_t n_jumps;
	uint64_t n_skips;
	uint64_t n_sessions;
	uint64_t n_repair_records;
	uint64_t n_repair_bytes;
};

/**
 * struct ship_table_figures - of one table that both ends have
 * @n_differ: buckets that differed in the last audit
 * @n_dirty: buckets waiting for repair, or in it
 * @remote_entries: objects the peer held at the last audit
 * @n_sent: records of the running repair so far
 */
struct ship_table_figures {
	unsigned int n_differ;
	unsigned int n_dirty;
	uint64_t remote_entries;
	uint64_t n_sent;
};

struct ship *ship_new(const struct ship_stream *stream, const struct ship_ops *ops, void *cookie);
void ship_free(struct ship *s);

/*
 * Begin a session as its writer; @theirs decides which tables travel and where the stream
 * goes on. -ENOMEM
 */
int ship_start(struct ship *s, struct conn *conn, const struct fr_hello *theirs);
void ship_stop(struct ship *s);
bool ship_is_started(const struct ship *s);

/* The peer applies nothing for now: so nothing is sent to it. Outlives the session. */
void ship_pause(struct ship *s, bool is_paused);

/* Send whatever may be sent now. */
void ship_kick(struct ship *s);
/* -EBADMSG with *why. */
int ship_on_ack(struct ship *s, const uint8_t *payload, size_t len, const char **why);
int ship_on_audit_reply(struct ship *s, uint8_t table, const uint8_t *payload, size_t len,
			const char **why);
int ship_on_checked(struct ship *s, uint8_t table, const uint8_t *payload, size_t len,
		    const char **why);

/* Compare as soon as the stream allows. */
void ship_audit(struct ship *s);
/* The peer asks for that: what it holds may not be what it was told. */
void ship_doubt(struct ship *s);
/*
 * May batches name objects of a table by reference? Without a session there is nobody who could not
 * tell them; who comes later is not sent what it does not understand.
 */
bool ship_takes_refs(const struct ship *s, uint8_t table);
/* So those of this bucket: the peer has of it what it was sent. */
bool ship_tells_refs(const struct ship *s, uint8_t table, unsigned int bucket);
/* Have the peer compare its indexes of these tables, a bitmap, with its kernel. */
int ship_check(struct ship *s, uint64_t tables);
/* Repair all of these tables, a bitmap, whatever an audit says. */
void ship_resync(struct ship *s, uint64_t tables);
/* Of these: those that are not sent yet. */
uint64_t ship_resync_left(const struct ship *s);
/* Nothing is repaired or compared, or is going to be. */
bool ship_is_settled(const struct ship *s);
/* What differs is repaired without being asked for. */
bool ship_is_auto(const struct ship *s);

/* The backlog forgets this batch. */
void ship_on_drop(struct ship *s, const struct backlog_batch *b);
/*
 * A change in this bucket never got into the backlog. Nothing, if the peer has no such table. Where
 * nothing is repaired unasked, it is left to the next audit to say so.
 */
void ship_dirty(struct ship *s, uint8_t table, unsigned int bucket);

/* --- repair: the owner walks, ship sends --- */
bool ship_wants_repair(const struct ship *s);
/* Takes all dirty buckets of one table into @buckets and tells the peer. Return: the table */
int ship_repair_begin(struct ship *s, uint8_t buckets[FLYREP_BUCKETS_LEN]);
/* A frame of it, with @n records. -errno: not sent, and the owner calls ship_dirty() for those. */
int ship_repair_send(struct ship *s, const uint8_t *frame, size_t len, size_t n);
bool ship_is_repairing(const struct ship *s, uint8_t table);
/* The running repair is of all of its table, as ship_resync() wants it. */
bool ship_is_whole(const struct ship *s);
/* Room for more of it now? If not, ops->wants tells when. */
bool ship_repair_room(const struct ship *s);
/* @err: not complete; its buckets are dirty again */
void ship_repair_end(struct ship *s, int err);

/* Changes and bytes not acknowledged, capture time of the oldest (0: none). */
void ship_pending(const struct ship *s, uint64_t *n_changes, uint64_t *n_bytes,
		  uint64_t *oldest_ns);
/* Nothing in flight, nor held back by a pause. */
bool ship_is_idle(const struct ship *s);
uint64_t ship_acked(const struct ship *s);
uint64_t ship_tables(const struct ship *s);	/* bitmap: what travels in this session */
const struct ship_figures *ship_figures(const struct ship *s);
/**
 * struct ship_session - what this one is doing, for whoever looks for a fault
 * @cursor: number of the batch that is sent next
 * @flight_bytes: sent and not acknowledged
 * @window_bytes: the most of them
 * @is_paused: by the peer
 * @is_auditing: an answer is awaited
 * @is_repairing: a repair is being sent
 * @takes_refs: it understands references
 */
struct ship_session {
	uint64_t cursor;
	uint64_t flight_bytes;
	uint64_t window_bytes;
	bool is_paused;
	bool is_auditing;
	bool is_repairing;
	bool takes_refs;
};

struct ship_session ship_session(const struct ship *s);
/* NULL: not in this session. */
const struct ship_table_figures *ship_table_figures(const struct ship *s, uint8_t table);
struct latency *ship_latency(struct ship *s);

#endif
