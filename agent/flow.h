/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flow: wires the stages. The only file that names them all.
 *
 *   writer    drain → filter → truth → batch → backlog → ship ═► peer
 *   standby   peer ═► receive → filter → truth, inject → kernel
 *
 * A node of a chain does the second and, with what it led to, the first from batch on (relay.h).
 *
 * Where several nodes write (a peer among peers), each does both to each of the others: its own
 * truth is what it writes, and of each link there is another one, of what that node writes.
 *
 * and one snapshot at a time, whose pieces go the same way: to learn a whole
 * table after binding, to learn buckets the ring lost, to check the index against
 * the kernel, or to repair a peer. All stages serve all tables; each table has its own
 * truth and batch, and all share one stream to each peer.
 */
#ifndef FLOW_H
#define FLOW_H

#include <systemd/sd-event.h>

#include "archive.h"
#include "backlog.h"
#include "batch.h"
#include "buckets.h"
#include "config.h"
#include "drain.h"
#include "elements.h"
#include "events.h"
#include "filter.h"
#include "inject.h"
#include "log.h"
#include "peer.h"
#include "pulse.h"
#include "receive.h"
#include "relay.h"
#include "resync.h"
#include "role.h"
#include "schedule.h"
#include "ship.h"
#include "truth.h"

#define FLOW_NAMES_LEN 256	/* of all tables */

/* What the running snapshot, of one table, is for. */
enum flow_job {
	FLOW_JOB_NONE,
	FLOW_JOB_LEARN,		/* the whole table, nothing is shipped of it */
	FLOW_JOB_DIRTY,		/* buckets whose changes the ring lost */
	FLOW_JOB_CHECK,		/* index against kernel */
	FLOW_JOB_REPAIR,	/* buckets of one link */
	FLOW_JOB_RECALL,	/* standby: what the writer of one link has lost */
	FLOW_JOB_ARCHIVE,	/* the whole table, for a backup */
};

struct flow;
struct ledger;
struct versions;

/* One kind of record as this node keeps it. */
struct flow_table {
	struct flow *flow;
	const struct fr_table *row;
	struct truth *truth;
	/*
	 * Elements with versions, whose truth is of slots: what the own kernel holds of them, as
	 * it was last read or written; NULL: the module knows better.
	 */
	struct truth *kernel;
	struct batch *batch;		/* of the stream, being collected */
	struct batch *repair;		/* of the running repair, likewise */
	bool is_missing;		/* the module does not have it */
	bool is_known;			/* the index holds all there is */
	bool wants_check;
	struct buckets dirty;
	struct buckets mute;	/* writer: with objects that raise no events */
	struct truth_counts counts;	/* of the last comparison of index and kernel */
	uint64_t n_refused;		/* records that are not well-formed, so never sent */
	uint64_t n_changes;		/* that went into batches for the peers */
};

/* Comparisons of index and kernel, all tables. */
struct flow_check {
	uint64_t n;			/* comparisons finished */
	uint64_t at_ns;			/* CLOCK_MONOTONIC of the last, 0: none */
};

/* One peer, and the session with it both ways. */
struct flow_link {
	struct flow *flow;
	struct peer *peer;
	struct ship *ship;
	struct receive *receive;
	struct truth *truths[FR_TABLES_MAX];	/* what it writes; of a pair: that of the flow */
	enum fr_role role;		/* of the peer */
	uint64_t epoch;
	enum role_relation relation;
	uint8_t distance;		/* of the peer from the writer, as it says */
	uint8_t told_distance;		/* of this node, as the peer was told */
	struct relay_way way;		/* of what is shipped on */
	uint8_t life[FR_LIFE_LEN];	/* of its kernel, when what we hold for it was told */
	bool is_paused;			/* by the peer */
	uint64_t wants_check;		/* bitmap: tables the peer asked us to validate */
	struct fr_checked checked[FR_TABLES_MAX];
	unsigned int n_differ[FR_TABLES_MAX];	/* buckets, at the last audit of what was written */
	uint64_t n_checked;		/* how often all tables were answered */
	uint8_t recall_table;		/* standby: what the peer wants back; 0: nothing */
	uint16_t recall_len;
	uint8_t recall[FR_RECALL_MAX_LEN];	/* a prefix of keys */
	bool is_recall_short;		/* not all of it could be sent */
	/*
	 * Reader: of the stream with which this node was in step once, or before whose repairs a
	 * backup was taken.
	 */
	uint8_t saved_history[FR_HISTORY_LEN];
	bool wants_backup;		/* a repair waits for one */
};

struct flow {
	sd_event *event;
	const struct fr_config *config;
	struct tls_keys *keys;
	struct role role;
	struct flow_table *tables;	/* in the order of their ids */
	size_t n_tables;
	struct flow_table *by_id[FR_TABLES_MAX];	/* NULL: not replicated */
	struct truth *truths[FR_TABLES_MAX];
	struct versions *versions;	/* NULL: no table has versions */
	struct filter *filter;
	struct drain *drain;
	struct elements *elements;	/* NULL: no nft set is replicated */
	struct flow_link *recall_link;	/* who gives back what this writer lost */
	const struct set *recall_set;
	struct inject *inject;
	struct encoder *encoder;
	struct encoder *whole_encoder;	/* of full resyncs */
	struct backlog *backlog;
	struct ship_stream stream;
	struct pulse *pulse;		/* NULL: no heartbeats */
	struct peers *peers;
	struct flow_link *links;
	size_t n_links;
	struct flow_link *source;	/* whom a standby reads from; NULL: nobody */
	uint8_t distance;		/* from the writer; FR_DISTANCE_NONE */
	bool is_raised;			/* the epoch was, and peers are to be told */
	struct resync *resync;
	struct schedule *schedule;	/* NULL: none */
	struct archive *archive;
	struct events *events;

	bool is_drained;		/* the ring was empty once since the module is there */
	bool is_known;			/* all tables are, or are missing */
	uint64_t order;			/* of what a standby learns */
	enum flow_job job;
	bool is_sweeping;		/* it was read, and what it did not name is looked for */
	struct flow_table *job_table;
	struct flow_link *job_link;
	uint64_t job_order;		/* standby: when it began */
	size_t n_swept;			/* truths */
	size_t repair_max;		/* records in one batch of a repair */
	struct truth_counts job_counts;
	uint64_t held_order;		/* shared: likewise, of what is held for peers */
	/*
	 * Shared: the kernel may hold what an earlier agent took of a peer that has ended it since.
	 * Looked at once all peers have been heard.
	 */
	bool has_strangers;
	uint8_t life[FR_LIFE_LEN];	/* of the own kernel */
	struct truth_scope job_scope;
	struct flow_check check;
	struct fr_log_limit log_limit;

	uint64_t flushed_ns;		/* CLOCK_MONOTONIC of the last batch of the stream */
	sd_event_source *pace;		/* longest wait of a change for its batch */
	sd_event_source *audit;
	sd_event_source *self_check;
	sd_event_source *listen;	/* looks at the mute ones again */
	sd_event_source *sweep;		/* goes on when nothing else is to be done */

	sd_event_source *snapshot;	/* in mode full */
	uint64_t n_withheld;		/* in mode full: changes since the last snapshot began */
	uint64_t n_taken_over;		/* held flows that became local here, but for a promotion */
	uint64_t n_lost;		/* held objects that vanished from the kernel */
	bool was_in_step;		/* standby: at the last audit, even if the writer is gone */
	uint64_t in_step_ns;		/* CLOCK_MONOTONIC */
};

/* @config must outlive it. -errno (logged). */
int flow_new(struct flow **f, sd_event *event, const struct fr_config *config);
void flow_free(struct flow *f);
/* *@config is another one, as fr_config_reload_check() allows: go by it. -errno (logged) */
int flow_reload(struct flow *f);

/**
 * flow_set_role - an operator or a failover manager decides
 * @n_promoted: flows made this node's own, 0 unless it became primary
 * Return: 0, -errno and nothing has changed.
 */
int flow_set_role(struct flow *f, enum fr_role role, uint32_t *n_promoted);

/* What its heartbeat tells of a peer, NULL: nothing. */
const struct heartbeat_voter *flow_heartbeat(const struct flow_link *link);
/* The peer is alive, but there is no session with it. */
bool flow_is_cut_off(const struct flow_link *link);

/*
 * Send and apply nothing, or go on. Capture goes on meanwhile; what the backlog has no room for is
 * repaired later. A restart of the agent ends it.
 */
void flow_pause(struct flow *f, bool pause);
/* Whether nothing goes between this node and a peer, as one of them is paused. */
bool flow_is_paused(const struct flow_link *link);

/* Objects this node knows, all tables, its own and those it holds for others. */
uint64_t flow_entries(const struct flow *f);
/* Of these: held for this peer, where all write. */
uint64_t flow_link_entries(const struct flow_link *l);
/* Of one table; @digest: of all of them, NULL: not wanted */
uint64_t flow_table_entries(const struct flow_table *t, uint64_t *digest);
/* All nodes write it, and it goes through the ledger. */
bool flow_has_versions(const struct flow_table *t);
/* The peer writes to us, we write to it; both, where all write. */
static inline bool flow_link_reads(const struct flow_link *l)
{
	return l->relation == ROLE_READ || l->relation == ROLE_SHARE;
}

static inline bool flow_link_writes(const struct flow_link *l)
{
	return l->relation == ROLE_WRITE || l->relation == ROLE_SHARE;
}

/* NULL: no table has versions. */
struct ledger *flow_ledger(const struct flow *f);
/* Is a table replicated here, and known? */
bool flow_has_table(const struct flow *f, unsigned int table);
/*
 * The keys of what this node owns of a table that it has or, if all nodes write it, of what is in
 * effect. @made: set to what is to be freed by index_free(), or NULL. NULL: no memory
 */
struct index *flow_keys(const struct flow *f, unsigned int table, struct index **made);
/*
 * Writer: put records into the kernel as this node's own; what it takes is captured and shipped
 * like any change. Only tables that flow_has_table().
 */
void flow_write_own(struct flow *f, unsigned int table, const void *recs, size_t n,
		    void (*on_refused)(void *c, const void *rec, int error), void *c);
/* Would a resync overwrite what a backup can bring back, and is one to be taken before? */
bool flow_needs_backup(const struct flow *f);

/* Names of the tables of a bitmap, "" for none. */
const char *flow_table_names(uint64_t tables, char *buf, size_t len);
/* Compare all indexes with the own kernel; f->check.n grows when done. */
void flow_check(struct flow *f);
/* Writer: audit this peer now. */
void flow_audit(struct flow *f, struct flow_link *link);
/* Standby: ask the writer to audit. */
int flow_ask_audit(struct flow_link *link);

/* --- for job.c: the writer's path, and the order of what a standby learns --- */
bool flow_is_writer(const struct flow *f);
/* No peers, ever: it writes, and nobody reads. */
bool flow_is_standalone(const struct flow *f);
/* This node writes, and so do its peers: what it holds for them is in the truths of their links. */
bool flow_is_shared(const struct flow *f);
uint64_t flow_next_order(struct flow *f);
/* A change that peers shall know of. */
void flow_publish(struct flow_table *t, const void *rec, int op, unsigned int bucket);
/* Chain: what a standby holds has changed, and those behind it shall know. */
void flow_ship_on(struct flow_table *t, const void *rec, int op, unsigned int bucket);
/* Nothing more to publish for now: send, unless a batch is under way to everybody. */
void flow_pace(struct flow *f);
void flow_kick(struct flow *f);
/* A record is not well-formed and cannot be sent. */
void flow_refuse(struct flow_table *t, const char *why);
/* What a read means for who follows: an enum flyrep_op, from that of truth_put(). */
int flow_news(const void *rec, int op);
/* What was lost may have been found, or the reverse. */
void flow_recall(struct flow *f);
/* Shared: the kernel holds it for a peer, but none says it has it. */
void flow_turn_out(struct flow_table *t, const void *rec);
/* Peers are told to forget what no longer passes the filter. */
void flow_withdrew(struct flow_table *t);
/* Standby: is it held against the own filter? Then it goes. */
void flow_expel(struct flow_table *t, const void *rec);
/* A table was learnt; if it was the last one, the node is known. */
void flow_learnt(struct flow *f);

#endif
