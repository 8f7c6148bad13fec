/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The source filter: which local flows are captured at all. Asked for every event,
 * so that what does not match costs a branch and not a record.
 */
#ifndef _FLYREP_FILTER_H
#define _FLYREP_FILTER_H

#include <linux/types.h>
#include <net/netlink.h>

#include "flyrep.h"

struct flyrep_filter;
struct flyrep_net;
struct nf_conn;

/* Of the nest: part of CONFIG's, so that user space can ask for it */
extern const struct nla_policy flyrep_filter_policy[FLYREP_FILTER_A_MAX + 1];

/**
 * flyrep_filter_init - start with the default: every protocol that conntrack tracks
 * @fn: the namespace
 */
void flyrep_filter_init(struct flyrep_net *fn);

/**
 * flyrep_filter_exit - free the filter
 * @fn: the namespace; nobody may use the filter any more
 */
void flyrep_filter_exit(struct flyrep_net *fn);

/**
 * flyrep_filter_parse - make a filter from a request
 * @nest: FLYREP_A_FILTER
 * @extack: where to say what is wrong
 *
 * Context: process. Return: a filter for flyrep_filter_replace(), or an ERR_PTR.
 */
struct flyrep_filter *flyrep_filter_parse(const struct nlattr *nest,
					  struct netlink_ext_ack *extack);

/**
 * flyrep_filter_free - free a parsed filter that was not put in place
 * @filter: may be NULL
 */
void flyrep_filter_free(struct flyrep_filter *filter);

/**
 * flyrep_filter_replace - put a filter in place
 * @fn: the namespace; fn->lock held
 * @filter: is ours from here on; NULL does nothing
 *
 * Context: process; waits for an RCU grace period.
 */
void flyrep_filter_replace(struct flyrep_net *fn, const struct flyrep_filter *filter);

/**
 * flyrep_filter_pass - is a flow to be captured
 * @fn: the namespace
 * @ct: a flow; the caller holds a reference
 *
 * Context: any, RCU read side.
 */
bool flyrep_filter_pass(const struct flyrep_net *fn, const struct nf_conn *ct);

#endif
