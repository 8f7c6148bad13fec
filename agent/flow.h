/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flow: wires the stages. The only file that names them all.
 *
 *   writer    drain → truth → batch → backlog → ship ═► peer
 *   standby   peer ═► receive → truth, inject → kernel
 *
 * and one snapshot at a time, whose pieces go the same way: to learn the whole
 * table after binding, to learn buckets the ring lost, to check the index against
 * the kernel, or to repair a peer.
 */
#ifndef FLOW_H
#define FLOW_H

#include <systemd/sd-event.h>

#include "backlog.h"
#include "batch.h"
#include "config.h"
#include "drain.h"
#include "inject.h"
#include "peer.h"
#include "receive.h"
#include "role.h"
#include "ship.h"
#include "truth.h"

/* What the running snapshot is for. */
enum flow_job {
	FLOW_JOB_NONE,
	FLOW_JOB_LEARN,		/* the whole table, nothing is shipped of it */
	FLOW_JOB_DIRTY,		/* buckets whose changes the ring lost */
	FLOW_JOB_CHECK,		/* index against kernel */
	FLOW_JOB_REPAIR,	/* buckets of one link */
};

/* Figures of a comparison of index and kernel. */
struct flow_check {
	uint64_t n;			/* comparisons finished */
	uint64_t at_ns;			/* CLOCK_MONOTONIC of the last, 0: none */
	struct truth_counts counts;
};

/* One peer, and the session with it both ways. */
struct flow_link {
	struct flow *flow;
	struct peer *peer;
	struct ship *ship;
	struct receive *receive;
	enum fr_role role;		/* of the peer */
	uint64_t epoch;
	enum role_relation relation;
	bool wants_check;		/* the peer asked us to validate */
	struct fr_checked checked;
	uint64_t n_checked;
};

struct flow {
	sd_event *event;
	const struct fr_config *config;
	struct tls_keys *keys;
	struct role role;
	struct truth *truth;
	struct drain *drain;
	struct inject *inject;
	struct batch *batch;
	struct backlog *backlog;
	struct ship_stream stream;
	struct peers *peers;
	struct flow_link *links;
	size_t n_links;

	bool is_known;			/* the index holds all there is */
	uint64_t order;			/* of what a standby learns */
	enum flow_job job;
	struct flow_link *job_link;
	struct batch *repair;		/* for it */
	uint64_t job_order;		/* standby: when it began */
	uint8_t job_buckets[FLYREP_BUCKETS_LEN];
	bool wants_check;
	bool has_dirty;
	uint8_t dirty[FLYREP_BUCKETS_LEN];
	bool has_mute;
	uint8_t mute[FLYREP_BUCKETS_LEN];	/* writer: with flows that raise no events */
	struct flow_check check;

	sd_event_source *pace;		/* longest wait of a change for its batch */
	sd_event_source *audit;
	sd_event_source *self_check;
	sd_event_source *listen;	/* looks at the mute ones again */

	uint64_t n_taken_over;		/* held flows that a packet made local here */
	uint64_t n_lost;		/* held flows that vanished from the kernel */
	bool was_in_step;		/* standby: at the last audit, even if the writer is gone */
	uint64_t in_step_ns;		/* CLOCK_MONOTONIC */
};

/* @config must outlive it. -errno (logged). */
int flow_new(struct flow **f, sd_event *event, const struct fr_config *config);
void flow_free(struct flow *f);

/**
 * flow_set_role - an operator or a failover manager decides
 * @n_promoted: flows made this node's own, 0 unless it became primary
 * Return: 0, -errno and nothing has changed.
 */
int flow_set_role(struct flow *f, enum fr_role role, uint32_t *n_promoted);

/* Compare the index with the own kernel; f->check.n grows when done. */
void flow_check(struct flow *f);
/* Writer: audit this peer now. */
void flow_audit(struct flow *f, struct flow_link *link);
/* Standby: ask the writer to audit. */
int flow_ask_audit(struct flow_link *link);
/* May this node take over? Appends reasons against it to @reasons, each ended by a newline. */
bool flow_is_ready(struct flow *f, char *reasons, size_t len);

#endif
