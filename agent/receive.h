/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive: the standby's side of one session. Takes the writer's stream in order,
 * resolves it against what is held, has it injected, acknowledges, answers audits
 * and ends repairs; of all tables that both ends have.
 */
#ifndef RECEIVE_H
#define RECEIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "conn.h"
#include "frame.h"
#include "truth.h"

struct receive;

/**
 * struct receive_ops - what the owner hears and does
 * @admits: may this node hold it; a refusal is counted there
 * @inject: put records into the kernel; calls @on_refused for each not taken
 * @started: the stream goes on behind this batch
 * @applied: what became of a record: @op is an enum flyrep_op, as of truth_put()
 * @acked: of what was applied up to @seq so much may be acknowledged
 * @order: the next number of the order in which this node learns things
 * @may_repair: a repair of these buckets of a table, a bitmap, begins; false: not now, nothing of
 *	it is applied, and the next audit finds it again
 * @check: compare the index of a table with the kernel, then call receive_checked()
 * @audited: the AUDITs of all tables were compared: @n_groups differ
 */
struct receive_ops {
	bool (*admits)(void *cookie, uint8_t table, const void *rec);
	int (*inject)(void *cookie, uint8_t table, const void *recs, size_t n,
		      void (*on_refused)(void *c, const void *rec, int error), void *c);
	void (*started)(void *cookie, uint64_t seq);
	void (*applied)(void *cookie, uint8_t table, const void *rec, int op, unsigned int bucket);
	uint64_t (*acked)(void *cookie, uint64_t seq);
	uint64_t (*order)(void *cookie);
	bool (*may_repair)(void *cookie, uint8_t table, const uint8_t *buckets);
	void (*check)(void *cookie, uint8_t table);
	void (*audited)(void *cookie, unsigned int n_groups);
};

struct receive_figures {
	uint64_t n_batches;
	uint64_t n_changes;
	uint64_t refused;		/* in this session */
	uint64_t last_audit_ns;		/* CLOCK_MONOTONIC, 0: none */
	bool is_equal;			/* all tables, at the last audit */
	uint64_t writer_entries;	/* at the last audit */
	bool is_repairing;
	uint64_t n_refs;		/* records that were named by reference */
	uint64_t n_lost_refs;		/* batches whose references could not be told */
};

/* Of one table. */
struct receive_table_figures {
	uint64_t refused;		/* in this session */
	uint64_t unrepaired;		/* of all sessions, since an audit found it equal */
	unsigned int n_groups;		/* that differed at the last audit */
	uint64_t writer_entries;	/* at the last audit */
	uint64_t n_changes;		/* of all sessions, repairs with them */
};

/* @truths: by table id, FR_TABLES_MAX of them; NULL: not replicated here */
struct receive *receive_new(sd_event *event, struct truth *const *truths,
			    const struct receive_ops *ops, void *cookie);
void receive_free(struct receive *r);

/*
 * A session with the writer begins; @tables: bitmap of those both have; @min_epoch: a stream
 * below it is refused; @capabilities: of the writer.
 */
void receive_start(struct receive *r, struct conn *conn, uint64_t tables, uint64_t min_epoch,
		   uint64_t capabilities);
void receive_stop(struct receive *r);
bool receive_is_started(const struct receive *r);
/* More may be acknowledged than at the last time. */
void receive_ack(struct receive *r);
/* Apply nothing that comes. To go on, the session must begin anew: what came is lost. */
void receive_pause(struct receive *r, bool is_paused);
/* What was held is no longer known: the stream cannot be resumed. */
void receive_forget(struct receive *r);

/* START, BATCH, AUDIT, REPAIR_BEGIN, REPAIR_END, CHECK. -errno with *why. */
int receive_frame(struct receive *r, const struct fr_frame_head *head, const uint8_t *payload,
		  size_t len, const char **why);
/* The answer to ops->check. */
void receive_checked(struct receive *r, uint8_t table, const struct truth_counts *counts);

/* For HELLO: which stream, and how far. Zero if none. */
void receive_position(const struct receive *r, uint8_t history[FR_HISTORY_LEN], uint64_t *seq);
uint64_t receive_tables(const struct receive *r);	/* bitmap: of the last session */
const struct receive_figures *receive_figures(const struct receive *r);
const struct receive_table_figures *receive_table_figures(const struct receive *r, uint8_t table);

#endif
