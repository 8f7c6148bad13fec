/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Held flows: injected for another node, kept alive without packets until that node
 * deletes them, a packet takes them over, PROMOTE makes them our own, or the
 * orphan guard finds that nobody looks after them any more.
 */
#ifndef _FLYREP_HOLD_H
#define _FLYREP_HOLD_H

#include <linux/types.h>

struct flyrep_net;
struct nf_conn;

/**
 * flyrep_hold_init - start with nothing to guard
 * @fn: the namespace
 */
void flyrep_hold_init(struct flyrep_net *fn);

/**
 * flyrep_hold_exit - leave no trace on any flow; held ones get their protocol's timeout
 * @fn: the namespace; capture and reader have left it
 *
 * Context: process, may sleep.
 */
void flyrep_hold_exit(struct flyrep_net *fn);

/**
 * flyrep_hold_on_bind - a reader has come
 * @fn: the namespace; fn->lock held
 */
void flyrep_hold_on_bind(struct flyrep_net *fn);

/**
 * flyrep_hold_on_release - nobody looks after the held flows
 * @fn: the namespace; fn->lock held, or APPLY without a reader
 *
 * The guard strikes fn->grace_s from the first call; more of them change nothing.
 */
void flyrep_hold_on_release(struct flyrep_net *fn);

/**
 * flyrep_hold_refresh - give a local flow what a packet would
 * @ct: a confirmed flow; the caller holds a reference
 *
 * Context: any.
 */
void flyrep_hold_refresh(struct nf_conn *ct);

/**
 * flyrep_hold_extend - give a held flow its long life
 * @fn: the namespace
 * @ct: a confirmed flow; the caller holds a reference
 *
 * If a packet takes the flow over beside us, it ends with its protocol's timeout.
 */
void flyrep_hold_extend(const struct flyrep_net *fn, struct nf_conn *ct);

/**
 * flyrep_hold_is_used - do packets of a held flow pass through this node
 * @fn: the namespace
 * @ct: a confirmed flow; the caller holds a reference
 *
 * Told by its time left, which a packet sets to what its protocol gives. So it is also said of
 * one that was held for almost the longest time, or was left alone for longer than the grace
 * period: those are about to end.
 *
 * Context: any.
 */
bool flyrep_hold_is_used(const struct flyrep_net *fn, const struct nf_conn *ct);

/**
 * flyrep_hold_take - make a flow held
 * @fn: the namespace
 * @ct: a confirmed flow; the caller holds a reference
 *
 * Context: process or softirq.
 */
void flyrep_hold_take(const struct flyrep_net *fn, struct nf_conn *ct);

/**
 * flyrep_hold_promote - every held flow becomes local; ends the standby
 * @fn: the namespace
 *
 * Context: process, may sleep. Return: how many.
 */
u32 flyrep_hold_promote(struct flyrep_net *fn);

/**
 * flyrep_hold_demote - every local flow that the filter lets pass becomes held; starts
 *	the standby
 * @fn: the namespace
 *
 * Context: process, may sleep. Return: how many.
 */
u32 flyrep_hold_demote(struct flyrep_net *fn);

#endif
