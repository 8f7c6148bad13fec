/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SNAPSHOT: every flow of some buckets, or of all, between BEGIN and END.
 */
#ifndef _FLYREP_SNAPSHOT_H
#define _FLYREP_SNAPSHOT_H

struct netlink_callback;
struct sk_buff;

/* The callbacks of FLYREP_CMD_SNAPSHOT, see struct genl_ops. Context: process. */
int flyrep_snapshot_start(struct netlink_callback *cb);
int flyrep_snapshot_dump(struct sk_buff *skb, struct netlink_callback *cb);
int flyrep_snapshot_done(struct netlink_callback *cb);

#endif
