// SPDX-License-Identifier: GPL-2.0-only
#include "item.h"

#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <net/netlink.h>

#include "compat/compat.h"
#include "hold.h"
#include "inject.h"
#include "netlink.h"
#include "pernet.h"
#include "reader.h"
#include "trace.h"

#define ITEM_MAX_ENTRIES	65536
#define ITEM_MAX_BYTES		(16 << 20)
/* Items looked at with the lock held */
#define ITEM_STEP		256
/* The clock may be set meanwhile. */
#define ITEM_LOOK_MS		10000

static_assert(sizeof(struct flyrep_item) == 40);
static_assert(sizeof(struct flyrep_limit) == 16);
static_assert(sizeof(struct flyrep_usage) == 32);
/* One record fits a message of a dump, behind BEGIN. */
static_assert(FLYREP_ITEM_MAX_LEN + 256 < 32768 - 1024);

/**
 * struct item - one item
 * @by_key: in its table, unless it is gone
 * @by_address: in its table, if it claims one
 * @by_end: if it is local, or orphaned, and ends
 * @changed: in items.changed, if it is to be told
 * @changed_ns: since when
 * @expires_ms: when it ends, 0 never
 * @id: for struct flyrep_rec
 * @key_len: bytes of the key
 * @value_len: bytes of the value
 * @scope_len: bytes of the key's first field, with its length
 * @address_len: bytes of the value's first field, with its length; 0: it claims none
 * @table: enum flyrep_table
 * @is_held: for a peer
 * @is_lost: held, and ended otherwise than by its owner
 * @is_timed: in by_end
 * @is_gone: it is only kept to be told
 * @data: key and value
 */
struct item {
	struct rb_node		by_key;
	struct rb_node		by_address;
	struct rb_node		by_end;
	struct list_head	changed;
	u64			changed_ns;
	u64			expires_ms;
	u32			id;
	u16			key_len;
	u16			value_len;
	u16			scope_len;
	u16			address_len;
	u8			table;
	bool			is_held;
	bool			is_lost;
	bool			is_timed;
	bool			is_gone;
	u8			data[] __aligned(8);
};

/* An item as APPLY describes it */
struct item_request {
	struct flyrep_item	head;
	const u8		*key;
	const u8		*value;
	u16			scope_len;
	u16			address_len;
	u8			table;
	u32			flags;
};

static u64 item_now_ms(void)
{
	return div_u64(ktime_get_real_ns(), NSEC_PER_MSEC);
}

static const u8 *item_value(const struct item *it)
{
	return it->data + it->key_len;
}

static struct flyrep_item_table *item_table(struct flyrep_net *fn, u8 table)
{
	return &fn->items.table[table];
}

/* Any total order will do; this one compares lengths first. */
static int item_compare(const u8 *a, unsigned int a_len, const u8 *b, unsigned int b_len)
{
	return a_len != b_len ? (a_len < b_len ? -1 : 1) : memcmp(a, b, a_len);
}

static int item_compare_key(const struct item *it, const u8 *key, u16 key_len)
{
	return item_compare(it->data, it->key_len, key, key_len);
}

/* Context: items.lock held */
static struct item *item_find(const struct flyrep_item_table *t, const u8 *key, u16 key_len)
{
	struct rb_node *node = t->by_key.rb_node;

	while (node) {
		struct item *it = rb_entry(node, struct item, by_key);
		int order = item_compare_key(it, key, key_len);

		if (!order)
			return it;
		node = order > 0 ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/* The first item behind a key. Context: items.lock held */
static struct item *item_behind(const struct flyrep_item_table *t, const u8 *key, u16 key_len)
{
	struct rb_node *node = t->by_key.rb_node;
	struct item *found = NULL;

	while (node) {
		struct item *it = rb_entry(node, struct item, by_key);

		if (item_compare_key(it, key, key_len) > 0) {
			found = it;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

static int item_compare_address(const struct item *it, const struct item_request *q)
{
	int order = item_compare(it->data, it->scope_len, q->key, q->scope_len);

	return order ?: item_compare(item_value(it), it->address_len, q->value, q->address_len);
}

/* Who claims the address of this request? Context: items.lock held */
static struct item *item_find_address(const struct flyrep_item_table *t,
				      const struct item_request *q)
{
	struct rb_node *node = t->by_address.rb_node;

	while (q->address_len && node) {
		struct item *it = rb_entry(node, struct item, by_address);
		int order = item_compare_address(it, q);

		if (!order)
			return it;
		node = order > 0 ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static bool item_less_key(struct rb_node *a, const struct rb_node *b)
{
	const struct item *x = rb_entry(b, struct item, by_key);

	return item_compare_key(x, rb_entry(a, struct item, by_key)->data,
				rb_entry(a, struct item, by_key)->key_len) > 0;
}

static bool item_less_address(struct rb_node *a, const struct rb_node *b)
{
	const struct item *x = rb_entry(a, struct item, by_address);
	const struct item *y = rb_entry(b, struct item, by_address);
	int order = item_compare(x->data, x->scope_len, y->data, y->scope_len);

	return (order ?: item_compare(item_value(x), x->address_len, item_value(y),
				      y->address_len)) < 0;
}

static bool item_less_end(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct item, by_end)->expires_ms <
	       rb_entry(b, struct item, by_end)->expires_ms;
}

/* Context: items.lock held */
static void item_look(struct flyrep_net *fn)
{
	struct rb_node *first = rb_first_cached(&fn->items.by_end);
	u64 now = item_now_ms(), end;

	if (!first)
		return;
	end = rb_entry(first, struct item, by_end)->expires_ms;
	mod_delayed_work(system_percpu_wq, &fn->items.expire,
			 end <= now ? 0 : msecs_to_jiffies(min_t(u64, end - now, ITEM_LOOK_MS)));
}

/* Context: items.lock held */
static void item_time(struct flyrep_net *fn, struct item *it)
{
	if (it->is_timed || !it->expires_ms)
		return;
	it->is_timed = true;
	if (rb_add_cached(&it->by_end, &fn->items.by_end, item_less_end))
		item_look(fn);
}

/* Context: items.lock held */
static void item_untime(struct flyrep_net *fn, struct item *it)
{
	if (it->is_timed)
		rb_erase_cached(&it->by_end, &fn->items.by_end);
	it->is_timed = false;
}

/*
 * Is there somebody who wants to hear of a change? A standby does not, but of what its peer has
 * lost here.
 *
 * Context: items.lock held
 */
static bool item_is_news(struct flyrep_net *fn, const struct item *it)
{
	bool is_wanted = it->is_held ? it->is_lost : !READ_ONCE(fn->is_standby);

	return is_wanted && flyrep_reader_portid(fn);
}

/*
 * Tell the reader of this item; once, however often it changes before it is read. It may be gone
 * already as far as the trees go.
 *
 * Context: items.lock held
 */
static void item_queue(struct flyrep_net *fn, struct item *it)
{
	if (!list_empty(&it->changed)) {
		flyrep_pernet_count(fn, FLYREP_C_CAPTURE_COALESCED, 1);
		return;
	}
	it->changed_ns = ktime_get_mono_fast_ns();
	list_add_tail(&it->changed, &fn->items.changed);
	fn->items.n_changed++;
	flyrep_pernet_count(fn, FLYREP_C_CAPTURE_QUEUED, 1);
	flyrep_reader_ring(fn);
}

/* Context: items.lock held */
static void item_unqueue(struct flyrep_net *fn, struct item *it)
{
	list_del_init(&it->changed);
	fn->items.n_changed--;
	item_table(fn, it->table)->gone -= it->is_gone;
}

static void item_free(struct item *it)
{
	kvfree(it);
}

/* Take it out of all trees. Context: items.lock held */
static void item_unlink(struct flyrep_net *fn, struct item *it)
{
	struct flyrep_item_table *t = item_table(fn, it->table);

	rb_erase(&it->by_key, &t->by_key);
	if (it->address_len)
		rb_erase(&it->by_address, &t->by_address);
	item_untime(fn, it);
	t->entries--;
	t->held -= it->is_held;
	t->bytes -= it->key_len + it->value_len;
}

/* Context: items.lock held */
static void item_link(struct flyrep_net *fn, struct item *it)
{
	struct flyrep_item_table *t = item_table(fn, it->table);

	rb_add(&it->by_key, &t->by_key, item_less_key);
	if (it->address_len)
		rb_add(&it->by_address, &t->by_address, item_less_address);
	if (!it->is_held)
		item_time(fn, it);
	t->entries++;
	t->held += it->is_held;
	t->bytes += it->key_len + it->value_len;
}

/* Out of the trees; in memory as long as the reader is to be told. Context: items.lock held */
static void item_leave(struct flyrep_net *fn, struct item *it, bool is_news)
{
	item_unlink(fn, it);
	if (is_news)
		item_queue(fn, it);
	it->is_gone = true;
	if (list_empty(&it->changed))
		item_free(it);
	else
		item_table(fn, it->table)->gone++;
}

/* The end of an item, asked for by its owner or not. Context: items.lock held */
static void item_end(struct flyrep_net *fn, struct item *it, bool is_by_owner)
{
	it->is_lost = it->is_held && !is_by_owner;
	if (it->is_lost)
		flyrep_pernet_count(fn, FLYREP_C_HELD_LOST, 1);
	item_leave(fn, it, item_is_news(fn, it));
}

/* --- APPLY --- */

/* Bytes of the first field of a row; 0 for an empty row. Return: -EINVAL for what is no row */
static int item_check_row(const u8 *row, unsigned int len)
{
	unsigned int at = 0, field, first = 0;

	while (at < len) {
		if (len - at < 2)
			return -EINVAL;
		field = 2 + (row[at] << 8 | row[at + 1]);
		if (field > len - at)
			return -EINVAL;
		if (!at)
			first = field;
		at += field;
	}
	return first;
}

static bool item_is_head_clean(const struct flyrep_item *head)
{
	const struct flyrep_rec *rec = &head->rec;

	return rec->op != FLYREP_OP_UNSPEC && rec->op < __FLYREP_OP_MAX && !rec->flags &&
	       !rec->id && !rec->stamp && !rec->age_us && !rec->reserved2 && !head->reserved;
}

/* Context: process. Return: 0 or -EINVAL */
static int item_parse(struct item_request *q, const u8 *rec, unsigned int rec_len)
{
	unsigned int len, pad;
	int scope, address;

	memcpy(&q->head, rec, sizeof(q->head));
	if (!item_is_head_clean(&q->head) || !q->head.key_len ||
	    q->head.key_len > FLYREP_ITEM_KEY_MAX_LEN ||
	    q->head.value_len > FLYREP_ITEM_VALUE_MAX_LEN)
		return -EINVAL;
	if (q->head.rec.op == FLYREP_OP_DELETE && (q->head.value_len || q->head.expires_ms))
		return -EINVAL;
	len = q->head.key_len + q->head.value_len;
	if (q->head.rec.tail_len != FLYREP_ITEM_TAIL_LEN(q->head.key_len, q->head.value_len))
		return -EINVAL;
	q->key = rec + rec_len;
	q->value = q->key + q->head.key_len;
	for (pad = len; pad < q->head.rec.tail_len; pad++)
		if (q->key[pad])
			return -EINVAL;
	scope = item_check_row(q->key, q->head.key_len);
	address = item_check_row(q->value, q->head.value_len);
	if (scope < 0 || address < 0)
		return -EINVAL;
	q->scope_len = scope;
	/* Two bytes are an empty field. */
	q->address_len = q->table == FLYREP_TABLE_LEASE && address > 2 ? address : 0;
	return 0;
}

static bool item_is_shared_request(const struct item_request *q)
{
	return q->flags & FLYREP_APPLY_F_SHARED;
}

/* What it puts is local. */
static bool item_is_local_request(const struct item_request *q)
{
	return q->flags & (FLYREP_APPLY_F_LOCAL | FLYREP_APPLY_F_SHARED);
}

/* Does this item belong to the side that asks? To who shares it, once it knows the last of it. */
static bool item_is_theirs(const struct item *it, const struct item_request *q)
{
	if (item_is_shared_request(q))
		return list_empty(&it->changed);
	return it->is_held != item_is_local_request(q) || (q->flags & FLYREP_APPLY_F_FORCE);
}

static bool item_is_same(const struct item *it, const struct item_request *q)
{
	return it->is_held != item_is_local_request(q) && it->expires_ms == q->head.expires_ms &&
	       !item_compare(item_value(it), it->value_len, q->value, q->head.value_len);
}

/* Context: process. Return: an item that is nowhere yet, or NULL */
static struct item *item_new(const struct item_request *q)
{
	unsigned int len = q->head.key_len + q->head.value_len;
	struct item *it = kvmalloc(struct_size(it, data, len), GFP_KERNEL_ACCOUNT);

	if (!it)
		return NULL;
	memset(it, 0, sizeof(*it));
	INIT_LIST_HEAD(&it->changed);
	it->table = q->table;
	it->key_len = q->head.key_len;
	it->value_len = q->head.value_len;
	it->scope_len = q->scope_len;
	it->address_len = q->address_len;
	it->expires_ms = q->head.expires_ms;
	it->is_held = !item_is_local_request(q);
	memcpy(it->data, q->key, len);
	return it;
}

/* Context: items.lock held. Return: 0, -ENFILE, -EDQUOT */
static int item_check_room(const struct flyrep_item_table *t, const struct item *old,
			   const struct item_request *q)
{
	u64 bytes = t->bytes + q->head.key_len + q->head.value_len;

	if (old)
		bytes -= old->key_len + old->value_len;
	else if (t->entries >= t->max_entries)
		return -ENFILE;
	/* Above its limit, a table may still shrink. */
	return bytes > t->max_bytes && bytes > t->bytes ? -EDQUOT : 0;
}

/* Put @it in the place of @old, if any. Context: items.lock held */
static void item_replace(struct flyrep_net *fn, struct item *it, struct item *old, bool is_told)
{
	if (old) {
		it->id = old->id;
		item_unlink(fn, old);
		/* What was to be told of the old one is told of the new one, in its place. */
		if (!list_empty(&old->changed)) {
			it->changed_ns = old->changed_ns;
			list_replace_init(&old->changed, &it->changed);
		}
		item_free(old);
	} else {
		it->id = ++fn->items.last_id ?: ++fn->items.last_id;
	}
	item_link(fn, it);
	if (!is_told && item_is_news(fn, it))
		item_queue(fn, it);
}

/* Context: process, items.lock held. Return: 0 or -errno for the caller */
static int item_put(struct flyrep_net *fn, const struct item_request *q)
{
	struct flyrep_item_table *t = item_table(fn, q->table);
	struct item *old, *rival, *it;
	int err;

	old = item_find(t, q->key, q->head.key_len);
	if (old ? !item_is_theirs(old, q) : item_is_shared_request(q) && t->gone)
		return -EBUSY; /* of those gone it may be one */
	/* A held one may have: its owner knows. */
	if (item_is_local_request(q) && q->head.expires_ms && q->head.expires_ms <= item_now_ms())
		return -ETIME;
	rival = item_find_address(t, q);
	if (rival && rival != old && !(q->flags & FLYREP_APPLY_F_FORCE))
		return -EEXIST;
	if (old && item_is_same(old, q))
		return 0;
	err = item_check_room(t, old, q);
	if (err)
		return err;
	it = item_new(q);
	if (!it)
		return -ENOMEM;
	if (rival && rival != old)
		item_end(fn, rival, !item_is_local_request(q));
	/* The owner of a held one has lost it. */
	if (old && old->is_held && (q->flags & FLYREP_APPLY_F_LOCAL)) {
		item_end(fn, old, false);
		old = NULL;
	}
	item_replace(fn, it, old, item_is_shared_request(q));
	flyrep_pernet_count(fn, FLYREP_C_ITEM_PUT, 1);
	return 0;
}

/* Context: process, items.lock held. Return: 0, -ENOENT, -EBUSY */
static int item_remove(struct flyrep_net *fn, const struct item_request *q)
{
	struct item *it = item_find(item_table(fn, q->table), q->key, q->head.key_len);

	if (!it)
		return -ENOENT;
	if (!item_is_theirs(it, q))
		return -EBUSY;
	if (item_is_shared_request(q))
		item_leave(fn, it, false);
	else
		item_end(fn, it, !item_is_local_request(q));
	flyrep_pernet_count(fn, FLYREP_C_ITEM_DELETED, 1);
	return 0;
}

static int item_apply_one(struct flyrep_net *fn, struct item_request *q, const u8 *rec,
			  unsigned int rec_len)
{
	int err = item_parse(q, rec, rec_len);

	if (err)
		return err;
	mutex_lock(&fn->items.lock);
	err = q->head.rec.op == FLYREP_OP_DELETE ? item_remove(fn, q) : item_put(fn, q);
	mutex_unlock(&fn->items.lock);
	return err;
}

unsigned int flyrep_item_apply(struct flyrep_net *fn, const struct flyrep_inject *req)
{
	struct item_request q = { .table = req->table, .flags = req->flags };
	unsigned int n_errors = 0, i;
	const u8 *pos = req->data;
	int err;

	for (i = 0; i < req->n; i++) {
		err = item_apply_one(fn, &q, pos, req->rec_len);
		trace_flyrep_item(fn, q.table, q.head.rec.op, err);
		pos += req->rec_len + q.head.rec.tail_len;
		if (unlikely(err)) {
			req->errors[n_errors].index = i;
			req->errors[n_errors].error = err;
			n_errors++;
			flyrep_pernet_count(fn, FLYREP_C_ITEM_REFUSED, 1);
		}
		cond_resched();
	}
	/* Without a reader somebody must look after what was put here for a peer. */
	if (!item_is_local_request(&q) && !flyrep_reader_portid(fn))
		flyrep_hold_on_release(fn);
	return n_errors;
}

/* --- time --- */

/* Context: process. Return: true if there may be more */
static bool item_expire_some(struct flyrep_net *fn)
{
	u64 now = item_now_ms();
	unsigned int n = 0;
	struct rb_node *first;

	mutex_lock(&fn->items.lock);
	while (n < ITEM_STEP) {
		struct item *it;

		first = rb_first_cached(&fn->items.by_end);
		if (!first)
			break;
		it = rb_entry(first, struct item, by_end);
		if (it->expires_ms > now)
			break;
		trace_flyrep_item(fn, it->table, FLYREP_OP_DELETE, -ETIME);
		item_end(fn, it, false);
		n++;
	}
	flyrep_pernet_count(fn, FLYREP_C_ITEM_EXPIRED, n);
	if (n < ITEM_STEP)
		item_look(fn);
	mutex_unlock(&fn->items.lock);
	return n == ITEM_STEP;
}

static void item_on_expire(struct work_struct *work)
{
	struct flyrep_net *fn = container_of(work, struct flyrep_net, items.expire.work);

	while (item_expire_some(fn))
		cond_resched();
}

/* --- the reader --- */

/* Context: items.lock held; @recs has room */
static void item_write(struct flyrep_net *fn, struct flyrep_netlink_records *recs,
		       const struct item *it)
{
	struct flyrep_item *r = recs->data + recs->len;
	unsigned int value_len = it->is_gone ? 0 : it->value_len;
	unsigned int tail_len = FLYREP_ITEM_TAIL_LEN(it->key_len, value_len);
	u8 *tail = (u8 *)(r + 1);

	memset(r, 0, sizeof(*r));
	r->rec.op = it->is_gone ? FLYREP_OP_DELETE : FLYREP_OP_UPDATE;
	r->rec.flags = it->is_held ? FLYREP_REC_F_REMOTE : 0;
	r->rec.tail_len = tail_len;
	r->rec.id = it->id;
	r->rec.stamp = atomic64_inc_return(&fn->stamp);
	r->key_len = it->key_len;
	r->value_len = value_len;
	r->expires_ms = it->is_gone ? 0 : it->expires_ms;
	memcpy(tail, it->data, it->key_len + value_len);
	memset(tail + it->key_len + value_len, 0, tail_len - it->key_len - value_len);
	recs->len += sizeof(*r) + tail_len;
	recs->n++;
}

static bool item_fits(const struct flyrep_netlink_records *recs, const struct item *it)
{
	return sizeof(struct flyrep_item) + FLYREP_ITEM_TAIL_LEN(it->key_len, it->value_len) <=
	       recs->room - recs->len;
}

u8 flyrep_item_changed(struct flyrep_net *fn)
{
	struct item *it;
	u8 table;

	mutex_lock(&fn->items.lock);
	it = list_first_entry_or_null(&fn->items.changed, struct item, changed);
	table = it ? it->table : FLYREP_TABLE_UNSPEC;
	mutex_unlock(&fn->items.lock);
	return table;
}

void flyrep_item_drain(struct flyrep_net *fn, struct flyrep_netlink_records *recs, u8 table,
		       long *budget)
{
	u64 now_ns = ktime_get_mono_fast_ns();
	struct flyrep_item *r;
	struct item *it;

	mutex_lock(&fn->items.lock);
	for (; *budget > 0; (*budget)--) {
		it = list_first_entry_or_null(&fn->items.changed, struct item, changed);
		if (!it || it->table != table || !item_fits(recs, it))
			break;
		item_unqueue(fn, it);
		/* Held since: that was the reader's own doing. */
		if (!it->is_held || it->is_lost) {
			r = recs->data + recs->len;
			item_write(fn, recs, it);
			r->rec.age_us = min_t(u64, div_u64(now_ns - it->changed_ns, NSEC_PER_USEC),
					      U32_MAX);
		}
		if (it->is_gone)
			item_free(it);
	}
	mutex_unlock(&fn->items.lock);
}

static bool item_is_wanted(const struct flyrep_net *fn, const struct item *it, u8 origin,
			   const u8 *buckets)
{
	if (origin == (it->is_held ? FLYREP_ORIGIN_LOCAL : FLYREP_ORIGIN_REMOTE))
		return false;
	return !buckets ||
	       flyrep_buckets_has(buckets, flyrep_buckets_hash(&fn->buckets, it->data,
							       it->key_len));
}

int flyrep_item_snapshot(struct flyrep_net *fn, struct flyrep_netlink_records *recs, u8 table,
			 struct flyrep_item_cursor *cursor, u8 origin, const u8 *buckets)
{
	unsigned int steps = 0;
	struct rb_node *node;
	struct item *it;

	mutex_lock(&fn->items.lock);
	it = item_behind(item_table(fn, table), cursor->key, cursor->key_len);
	while (it && steps++ < ITEM_STEP) {
		if (item_is_wanted(fn, it, origin, buckets)) {
			if (!item_fits(recs, it))
				break;
			item_write(fn, recs, it);
		}
		cursor->key_len = it->key_len;
		memcpy(cursor->key, it->data, it->key_len);
		node = rb_next(&it->by_key);
		it = node ? rb_entry(node, struct item, by_key) : NULL;
	}
	mutex_unlock(&fn->items.lock);
	return !it;
}

u8 flyrep_item_take_dirty(struct flyrep_net *fn, u8 table)
{
	mutex_lock(&fn->items.lock);
	for (; table <= FLYREP_TABLE_MAX; table++)
		if (flyrep_item_has_table(table) && item_table(fn, table)->is_dirty) {
			item_table(fn, table)->is_dirty = false;
			break;
		}
	mutex_unlock(&fn->items.lock);
	return table <= FLYREP_TABLE_MAX ? table : FLYREP_TABLE_UNSPEC;
}

void flyrep_item_dirty(struct flyrep_net *fn)
{
	u8 table;

	lockdep_assert_held(&fn->lock);
	mutex_lock(&fn->items.lock);
	for (table = 0; table <= FLYREP_TABLE_MAX; table++)
		item_table(fn, table)->is_dirty = flyrep_item_has_table(table);
	mutex_unlock(&fn->items.lock);
}

void flyrep_item_forget(struct flyrep_net *fn)
{
	struct item *it, *next;

	lockdep_assert_held(&fn->lock);
	mutex_lock(&fn->items.lock);
	list_for_each_entry_safe(it, next, &fn->items.changed, changed) {
		item_unqueue(fn, it);
		if (it->is_gone)
			item_free(it);
	}
	mutex_unlock(&fn->items.lock);
}

/* --- whose they are --- */

/* Do something to every item. Context: process, fn->lock held. Return: sum of what @what says */
static u32 item_each(struct flyrep_net *fn, u32 (*what)(struct flyrep_net *fn, struct item *it))
{
	struct rb_node *node;
	u32 n = 0;
	u8 table;

	lockdep_assert_held(&fn->lock);
	mutex_lock(&fn->items.lock);
	for (table = 0; table <= FLYREP_TABLE_MAX; table++) {
		for (node = rb_first(&item_table(fn, table)->by_key); node; node = rb_next(node)) {
			n += what(fn, rb_entry(node, struct item, by_key));
			cond_resched();
		}
	}
	mutex_unlock(&fn->items.lock);
	return n;
}

static u32 item_promote_one(struct flyrep_net *fn, struct item *it)
{
	if (!it->is_held)
		return 0;
	it->is_held = false;
	item_table(fn, it->table)->held--;
	item_time(fn, it);
	return 1;
}

u32 flyrep_item_promote(struct flyrep_net *fn)
{
	return item_each(fn, item_promote_one);
}

static u32 item_demote_one(struct flyrep_net *fn, struct item *it)
{
	if (it->is_held)
		return 0;
	it->is_held = true;
	item_table(fn, it->table)->held++;
	item_untime(fn, it);
	return 1;
}

u32 flyrep_item_demote(struct flyrep_net *fn)
{
	return item_each(fn, item_demote_one);
}

static u32 item_orphan_one(struct flyrep_net *fn, struct item *it)
{
	if (!it->is_held || !it->expires_ms || it->is_timed)
		return 0;
	item_time(fn, it);
	return 1;
}

u32 flyrep_item_orphan(struct flyrep_net *fn)
{
	return item_each(fn, item_orphan_one);
}

/* --- limits --- */

/* Context: process. The n-th limit of the attribute, which has none of its alignment */
static struct flyrep_limit item_limit(const struct nlattr *attr, unsigned int n)
{
	struct flyrep_limit l;

	memcpy(&l, nla_data(attr) + n * sizeof(l), sizeof(l));
	return l;
}

int flyrep_item_check_limits(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	unsigned int i, n = nla_len(attr) / sizeof(struct flyrep_limit);

	if (!n || nla_len(attr) % sizeof(struct flyrep_limit)) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "LIMITS is not an array of limits");
		return -EINVAL;
	}
	for (i = 0; i < n; i++) {
		struct flyrep_limit l = item_limit(attr, i);

		if (!flyrep_item_has_table(l.table)) {
			NL_SET_ERR_MSG_ATTR(extack, attr, "a limit is of no table of items");
			return -EINVAL;
		}
		if (l.reserved[0] | l.reserved[1] | l.reserved[2] || !l.max_entries ||
		    l.max_entries > FLYREP_LIMIT_MAX_ENTRIES || !l.max_bytes ||
		    l.max_bytes > FLYREP_LIMIT_MAX_BYTES) {
			NL_SET_ERR_MSG_ATTR(extack, attr, "a limit is out of range");
			return -EINVAL;
		}
	}
	return 0;
}

void flyrep_item_set_limits(struct flyrep_net *fn, const struct nlattr *attr)
{
	unsigned int i, n = nla_len(attr) / sizeof(struct flyrep_limit);

	mutex_lock(&fn->items.lock);
	for (i = 0; i < n; i++) {
		struct flyrep_limit l = item_limit(attr, i);

		item_table(fn, l.table)->max_entries = l.max_entries;
		item_table(fn, l.table)->max_bytes = l.max_bytes;
	}
	mutex_unlock(&fn->items.lock);
}

void flyrep_item_usage(struct flyrep_net *fn, struct flyrep_usage *usage)
{
	u8 table;

	mutex_lock(&fn->items.lock);
	for (table = 0; table <= FLYREP_TABLE_MAX; table++) {
		const struct flyrep_item_table *t = item_table(fn, table);

		if (!flyrep_item_has_table(table))
			continue;
		*usage++ = (struct flyrep_usage) {
			.table = table, .entries = t->entries, .held = t->held,
			.max_entries = t->max_entries, .bytes = t->bytes,
			.max_bytes = t->max_bytes,
		};
	}
	mutex_unlock(&fn->items.lock);
}

/* --- life --- */

void flyrep_item_init(struct flyrep_net *fn)
{
	u8 table;

	mutex_init(&fn->items.lock);
	INIT_LIST_HEAD(&fn->items.changed);
	fn->items.by_end = RB_ROOT_CACHED;
	INIT_DELAYED_WORK(&fn->items.expire, item_on_expire);
	for (table = 0; table <= FLYREP_TABLE_MAX; table++) {
		item_table(fn, table)->max_entries = ITEM_MAX_ENTRIES;
		item_table(fn, table)->max_bytes = ITEM_MAX_BYTES;
	}
}

void flyrep_item_exit(struct flyrep_net *fn)
{
	struct item *it, *next;
	u8 table;

	cancel_delayed_work_sync(&fn->items.expire);
	WARN_ON_ONCE(!list_empty(&fn->items.changed));
	for (table = 0; table <= FLYREP_TABLE_MAX; table++) {
		rbtree_postorder_for_each_entry_safe(it, next, &item_table(fn, table)->by_key,
						     by_key) {
			item_free(it);
			cond_resched();
		}
	}
}
