/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Items: the tables that the module keeps itself (struct flyrep_item). Each is in a tree by its
 * key, by its end if it has one, and by the address it claims if it is a lease. One
 * mutex guards all of a namespace: no packet ever waits for it.
 */
#ifndef _FLYREP_ITEM_H
#define _FLYREP_ITEM_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "flyrep.h"

struct flyrep_inject;
struct flyrep_net;
struct flyrep_netlink_records;
struct netlink_ext_ack;
struct nlattr;

/* Tables that hold items */
#define FLYREP_ITEM_TABLES (FLYREP_TABLE_METRIC - FLYREP_TABLE_LEASE + 1)

/* The longest record */
#define FLYREP_ITEM_MAX_LEN (sizeof(struct flyrep_item) + \
	FLYREP_ITEM_TAIL_LEN(FLYREP_ITEM_KEY_MAX_LEN, FLYREP_ITEM_VALUE_MAX_LEN))

/**
 * struct flyrep_item_table - one table
 * @by_key: its items
 * @by_address: those that claim one
 * @entries: how many items
 * @held: of these: held for a peer
 * @gone: not of these: what is only kept to be told
 * @bytes: of their keys and values
 * @max_entries: limit
 * @max_bytes: limit
 * @is_dirty: the reader is to take a snapshot of all of it
 */
struct flyrep_item_table {
	struct rb_root	by_key;
	struct rb_root	by_address;
	u32		entries;
	u32		held;
	u32		gone;
	u64		bytes;
	u32		max_entries;
	u64		max_bytes;
	bool		is_dirty;
};

/**
 * struct flyrep_items - those of one namespace
 * @lock: guards all of it; taken inside fn->lock
 * @table: by enum flyrep_table; that of flows is unused
 * @by_end: local items that end, the first to end first
 * @changed: what the reader is to be told, in this order
 * @n_changed: how many
 * @last_id: last id given to an item
 * @expire: ends what has come to its time
 */
struct flyrep_items {
	struct mutex			lock;	/* see above */
	struct flyrep_item_table	table[__FLYREP_TABLE_MAX];
	struct rb_root_cached		by_end;
	struct list_head		changed;
	u32				n_changed;
	u32				last_id;
	struct delayed_work		expire;
};

/**
 * struct flyrep_item_cursor - where a snapshot of a table stands
 * @key_len: bytes of @key, 0 at its begin
 * @key: of the last item that was looked at
 */
struct flyrep_item_cursor {
	u16	key_len;
	u8	key[FLYREP_ITEM_KEY_MAX_LEN];
};

/**
 * flyrep_item_has_table - does this table hold items
 * @table: enum flyrep_table
 */
static inline bool flyrep_item_has_table(u8 table)
{
	return table >= FLYREP_TABLE_LEASE && table <= FLYREP_TABLE_METRIC;
}

/**
 * flyrep_item_init - start with none
 * @fn: the namespace
 */
void flyrep_item_init(struct flyrep_net *fn);

/**
 * flyrep_item_exit - free all
 * @fn: the namespace; no reader, no request can come any more
 *
 * Context: process, may sleep.
 */
void flyrep_item_exit(struct flyrep_net *fn);

/**
 * flyrep_item_check_limits - is this attribute an array of good limits
 * @attr: FLYREP_A_LIMITS
 * @extack: where to say what is wrong
 *
 * Return: 0 or -EINVAL.
 */
int flyrep_item_check_limits(const struct nlattr *attr, struct netlink_ext_ack *extack);

/**
 * flyrep_item_set_limits - set them
 * @fn: the namespace
 * @attr: checked
 *
 * Context: process.
 */
void flyrep_item_set_limits(struct flyrep_net *fn, const struct nlattr *attr);

/**
 * flyrep_item_usage - how full the tables are
 * @fn: the namespace
 * @usage: FLYREP_ITEM_TABLES of them, one for each table that holds items
 *
 * Context: process.
 */
void flyrep_item_usage(struct flyrep_net *fn, struct flyrep_usage *usage);

/**
 * flyrep_item_apply - apply records, one by one
 * @fn: the namespace
 * @req: the request, of a table that holds items
 *
 * Context: process, may sleep. Return: how many were refused, each with an entry in
 * @req->errors.
 */
unsigned int flyrep_item_apply(struct flyrep_net *fn, const struct flyrep_inject *req);

/**
 * flyrep_item_changed - what has to be told
 * @fn: the namespace
 *
 * Context: process. Return: the table of the next change, 0 for none.
 */
u8 flyrep_item_changed(struct flyrep_net *fn);

/**
 * flyrep_item_drain - tell the next changes, of one table
 * @fn: the namespace
 * @recs: to fill; has room for one record at least
 * @table: as flyrep_item_changed() said
 * @budget: most changes to take; lessened by those taken
 *
 * Context: process, the reader.
 */
void flyrep_item_drain(struct flyrep_net *fn, struct flyrep_netlink_records *recs, u8 table,
		       long *budget);

/**
 * flyrep_item_snapshot - name items from where the cursor stands
 * @fn: the namespace
 * @recs: to fill
 * @table: which
 * @cursor: where it stands
 * @origin: enum flyrep_origin
 * @buckets: bitmap, NULL for all
 *
 * Context: process. Return: 1 when the end was reached, else 0.
 */
int flyrep_item_snapshot(struct flyrep_net *fn, struct flyrep_netlink_records *recs, u8 table,
			 struct flyrep_item_cursor *cursor, u8 origin, const u8 *buckets);

/**
 * flyrep_item_take_dirty - is the next table dirty? it is clean then
 * @fn: the namespace
 * @table: to begin at
 *
 * Context: process, the reader. Return: its id, 0 when no more is.
 */
u8 flyrep_item_take_dirty(struct flyrep_net *fn, u8 table);

/**
 * flyrep_item_dirty - the reader knows nothing of any table
 * @fn: the namespace; fn->lock held
 *
 * Context: process.
 */
void flyrep_item_dirty(struct flyrep_net *fn);

/**
 * flyrep_item_forget - the reader is gone: nothing is to be told
 * @fn: the namespace; fn->lock held, fn->reader is NULL
 *
 * Context: process.
 */
void flyrep_item_forget(struct flyrep_net *fn);

/**
 * flyrep_item_promote - every held item becomes local
 * @fn: the namespace; fn->lock held
 *
 * Context: process. Return: how many there were.
 */
u32 flyrep_item_promote(struct flyrep_net *fn);

/**
 * flyrep_item_demote - every local item becomes held
 * @fn: the namespace; fn->lock held
 *
 * Context: process. Return: how many there were.
 */
u32 flyrep_item_demote(struct flyrep_net *fn);

/**
 * flyrep_item_orphan - held items end at their time, like any other
 * @fn: the namespace; fn->lock held, no reader
 *
 * Context: process. Return: how many there were.
 */
u32 flyrep_item_orphan(struct flyrep_net *fn);

#endif
