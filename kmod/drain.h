/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DRAIN: the rings as packed records. A flow is read when it is drained, not when it
 * changed: a burst of changes is one record.
 */
#ifndef _FLYREP_DRAIN_H
#define _FLYREP_DRAIN_H

struct netlink_callback;
struct sk_buff;

/* The callbacks of FLYREP_CMD_DRAIN, see struct genl_ops. Context: process. */
int flyrep_drain_start(struct netlink_callback *cb);
int flyrep_drain_dump(struct sk_buff *skb, struct netlink_callback *cb);

#endif
