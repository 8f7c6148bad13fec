/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Probes: where we stand in nf_tables, which tells nobody what it does to the elements of sets.
 * They are armed while somebody uses them, at the earliest when nf_tables is loaded.
 */
#ifndef _FLYREP_PROBE_H
#define _FLYREP_PROBE_H

struct netlink_ext_ack;

/**
 * flyrep_probe_start - wait for nf_tables
 *
 * Context: module init. Return: 0 or -errno.
 */
int flyrep_probe_start(void);

/**
 * flyrep_probe_stop - wait no more
 *
 * Context: module exit. Who uses the probes still puts them.
 */
void flyrep_probe_stop(void);

/**
 * flyrep_probe_get - use the probes
 * @extack: where to say what is wrong
 *
 * Context: process, may sleep. Return: 0, also if nf_tables is not loaded yet; -EOPNOTSUPP: this
 * kernel cannot be probed; -errno.
 */
int flyrep_probe_get(struct netlink_ext_ack *extack);

/**
 * flyrep_probe_put - use them no more
 *
 * Who was the last finds nobody in a probe on return. Context: process, may sleep.
 */
void flyrep_probe_put(void);

/**
 * flyrep_probe_missed - how often a probe was passed unseen
 *
 * As when another probe is being served by the processor. Context: any. Return: a number that
 * changes when that happens.
 */
unsigned long flyrep_probe_missed(void);

#endif
