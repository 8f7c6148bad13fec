// SPDX-License-Identifier: GPL-2.0-only
#include "reader.h"

#include <linux/log2.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netlink.h>

#include "capture.h"
#include "conntrack.h"
#include "hold.h"
#include "netlink.h"
#include "ring.h"

#define READER_RING_DEFAULT	16384
#define READER_RING_MIN		16
#define READER_RETRY_MS		10
#define READER_BATCH		32

/* Context: softirq (tasklet) or process (retry) */
static void reader_send_wake(struct flyrep_net *fn)
{
	u32 portid = flyrep_reader_portid(fn);
	int err;

	if (!portid)
		return;
	err = flyrep_netlink_send_wake(fn->net, portid);
	if (!err) {
		flyrep_pernet_count(fn, FLYREP_C_WAKE_SENT, 1);
		return;
	}
	flyrep_pernet_count(fn, FLYREP_C_WAKE_FAILED, 1);
	/* The flag is taken: nobody else will try. */
	schedule_delayed_work(&fn->wake_retry, msecs_to_jiffies(READER_RETRY_MS));
}

static void reader_on_tasklet(struct tasklet_struct *t)
{
	reader_send_wake(container_of(t, struct flyrep_net, wake));
}

static void reader_on_retry(struct work_struct *work)
{
	reader_send_wake(container_of(work, struct flyrep_net, wake_retry.work));
}

void flyrep_reader_init(struct flyrep_net *fn)
{
	tasklet_setup(&fn->wake, reader_on_tasklet);
	INIT_DELAYED_WORK(&fn->wake_retry, reader_on_retry);
}

/* Slots for each CPU: all together hold at most an eighth of the flows there may be. */
static unsigned int reader_ring_entries(const struct flyrep_net *fn)
{
	unsigned int wanted = fn->ring_entries ?: READER_RING_DEFAULT;
	unsigned int max = READ_ONCE(nf_conntrack_max);

	if (max)
		wanted = min(wanted, max / 8 / num_possible_cpus());
	return rounddown_pow_of_two(max(wanted, READER_RING_MIN + 0U));
}

static struct flyrep_reader *reader_new(const struct flyrep_net *fn, u32 portid)
{
	struct flyrep_reader *reader = kzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);

	if (!reader)
		return NULL;
	reader->portid = portid;
	reader->ring = flyrep_ring_new(reader_ring_entries(fn));
	if (!reader->ring) {
		kfree(reader);
		return NULL;
	}
	reader->tgid = get_pid(task_tgid(current));
	return reader;
}

/* Context: process; no producer is left */
static void reader_free(struct flyrep_reader *reader)
{
	struct flyrep_ring_slot slots[READER_BATCH];
	unsigned int n, i;

	do {
		n = flyrep_ring_pop(reader->ring, slots, ARRAY_SIZE(slots));
		for (i = 0; i < n; i++) {
			struct nf_conn *ct = slots[i].obj;

			clear_bit(FLYREP_CT_QUEUED_BIT, &ct->status);
			nf_ct_put(ct);
		}
		cond_resched();
	} while (n);
	flyrep_ring_free(reader->ring);
	put_pid(reader->tgid);
	kfree(reader);
}

/* Context: process, fn->lock held */
static void reader_drop(struct flyrep_net *fn)
{
	struct flyrep_reader *reader;

	reader = rcu_replace_pointer(fn->reader, NULL, lockdep_is_held(&fn->lock));
	if (!reader)
		return;
	synchronize_rcu();
	flyrep_hint_release(fn);
	tasklet_kill(&fn->wake);
	cancel_delayed_work_sync(&fn->wake_retry);
	flyrep_item_forget(fn);
	flyrep_expect_forget(fn);
	reader_free(reader);
}

void flyrep_reader_exit(struct flyrep_net *fn)
{
	mutex_lock(&fn->lock);
	reader_drop(fn);
	mutex_unlock(&fn->lock);
}

/* Context: process, fn->lock held */
static int reader_bind(struct flyrep_net *fn, u32 portid, struct netlink_ext_ack *extack)
{
	struct flyrep_reader *reader;
	int err;

	if (rcu_access_pointer(fn->reader)) {
		NL_SET_ERR_MSG(extack, "there is a reader already");
		return -EBUSY;
	}
	if (!fn->buckets.is_keyed) {
		NL_SET_ERR_MSG(extack, "no HASH_KEY was set");
		return -ENOKEY;
	}
	if (flyrep_buckets_init(&fn->buckets) || flyrep_expect_prepare(fn))
		return -ENOMEM;
	reader = reader_new(fn, portid);
	if (!reader) {
		NL_SET_ERR_MSG(extack, "no memory for the ring");
		return -ENOMEM;
	}
	err = flyrep_hint_bind(fn, reader->tgid, extack);
	if (err) {
		reader_free(reader);
		return err;
	}
	fn->is_touched = true;
	flyrep_hold_on_bind(fn);
	flyrep_capture_attach(fn);
	rcu_assign_pointer(fn->reader, reader);
	/*
	 * Events still under way have seen no reader. Once they are through, what they
	 * tell of is in the table, and the marks cover it.
	 */
	synchronize_rcu();
	flyrep_reader_dirty(fn);
	return 0;
}

int flyrep_reader_bind(struct flyrep_net *fn, u32 portid, struct netlink_ext_ack *extack)
{
	int err;

	mutex_lock(&fn->lock);
	err = reader_bind(fn, portid, extack);
	mutex_unlock(&fn->lock);
	return err;
}

void flyrep_reader_release(struct flyrep_net *fn, u32 portid)
{
	if (flyrep_reader_portid(fn) != portid)
		return;
	mutex_lock(&fn->lock);
	if (flyrep_reader_portid(fn) == portid) {
		reader_drop(fn);
		flyrep_hold_on_release(fn);
	}
	mutex_unlock(&fn->lock);
}

struct flyrep_reader *flyrep_reader_find(struct flyrep_net *fn, u32 portid)
{
	struct flyrep_reader *reader;

	rcu_read_lock();
	reader = rcu_dereference(fn->reader);
	if (reader && reader->portid != portid)
		reader = NULL;
	rcu_read_unlock();
	return reader;
}

u32 flyrep_reader_portid(struct flyrep_net *fn)
{
	const struct flyrep_reader *reader;
	u32 portid;

	rcu_read_lock();
	reader = rcu_dereference(fn->reader);
	portid = reader ? reader->portid : 0;
	rcu_read_unlock();
	return portid;
}

void flyrep_reader_wake(struct flyrep_net *fn)
{
	tasklet_schedule(&fn->wake);
}

void flyrep_reader_ring(struct flyrep_net *fn)
{
	const struct flyrep_reader *reader;

	rcu_read_lock();
	reader = rcu_dereference(fn->reader);
	if (reader && flyrep_ring_disarm(reader->ring))
		flyrep_reader_wake(fn);
	rcu_read_unlock();
}

void flyrep_reader_dirty(struct flyrep_net *fn)
{
	lockdep_assert_held(&fn->lock);
	if (!rcu_access_pointer(fn->reader))
		return;
	flyrep_buckets_mark_all(&fn->buckets);
	flyrep_item_dirty(fn);
	flyrep_hint_dirty(fn);
	flyrep_expect_dirty(fn);
	flyrep_reader_ring(fn);
}
