/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The generic netlink family: policies, the commands, and messages full of records.
 */
#ifndef _FLYREP_NETLINK_H
#define _FLYREP_NETLINK_H

#include <linux/skbuff.h>
#include <linux/types.h>

#include "flyrep.h"

struct genl_family;
struct net;
struct netlink_callback;
struct nlattr;

/* One message of a dump: with the skb's own overhead, 32 KiB of memory */
#define FLYREP_NETLINK_DUMP_LEN SKB_WITH_OVERHEAD(32768)

extern struct genl_family flyrep_netlink_family;

/**
 * flyrep_netlink_init - open the door
 *
 * Context: module init, last. Return: 0 or -errno.
 */
int flyrep_netlink_init(void);

/**
 * flyrep_netlink_exit - close it; no command runs on return
 *
 * Context: module exit, first.
 */
void flyrep_netlink_exit(void);

/**
 * flyrep_netlink_send_wake - send WAKE
 * @net: the namespace
 * @portid: to whom
 *
 * Context: process or softirq. Return: 0 or -errno.
 */
int flyrep_netlink_send_wake(struct net *net, u32 portid);

/**
 * struct flyrep_netlink_records - one message of a dump, being filled with records
 * @data: where they go, 8-byte aligned
 * @room: bytes there
 * @len: bytes written, by who fills it
 * @n: records written, likewise
 */
struct flyrep_netlink_records {
	void		*data;
	unsigned int	room;
	unsigned int	len;
	unsigned int	n;
	/* private: */
	void		*hdr;
	struct nlattr	*attr;
};

/**
 * flyrep_netlink_records_begin - start a message of TABLE, REC_LEN, RECORDS
 * @recs: to fill
 * @skb: of the dump
 * @cb: the dump
 * @cmd: enum flyrep_cmd
 * @table: enum flyrep_table
 * @rec_len: of the fixed part of a record
 * @max_len: of the longest record, with its tail
 * @phase: enum flyrep_phase, UNSPEC for none
 *
 * Context: process. Return: 0, or -EMSGSIZE without room for one record.
 */
int flyrep_netlink_records_begin(struct flyrep_netlink_records *recs, struct sk_buff *skb,
				 struct netlink_callback *cb, u8 cmd, u8 table, u16 rec_len,
				 unsigned int max_len, u8 phase);

/**
 * flyrep_netlink_records_end - finish it
 * @recs: filled
 * @skb: as before
 * @keeps_empty: there is a message even without a record: a dump with none is over
 */
void flyrep_netlink_records_end(const struct flyrep_netlink_records *recs, struct sk_buff *skb,
				bool keeps_empty);

#endif
