/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: what the one snapshot that runs at a time is for. Each is of one table: to learn it after
 * binding, to learn buckets the ring lost, to back it up, to compare the index with the kernel, to
 * give the writer back what it lost, or to repair a peer; in this order. The module makes it or, of
 * elements of nft sets, the agent.
 */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow;
struct flow_table;

/* Before all others. -errno */
int job_open(struct flow *f);

/* Start the next one, if one is due and none runs. */
void job_schedule(struct flow *f);
/* What the running one was for no longer holds; its pieces are ignored from here on. */
void job_cancel(struct flow *f);

/* What it has read of this table so far does not hold any more: it is done once more. */
void job_restart(struct flow_table *t);

/* An object of this bucket does not tell of all its changes: it is looked at again and again. */
void job_mute(struct flow_table *t, unsigned int bucket);

/* Whoever takes in what it brings has no room, or has some again. */
void job_hold(struct flow *f, bool hold);

/* For struct drain_ops and struct elements_ops. */
void job_snap_begin(void *cookie, uint64_t stamp);
void job_snap_records(void *cookie, uint8_t table, const void *recs, size_t n);
void job_snap_end(void *cookie, int err);

#endif
