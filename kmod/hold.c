// SPDX-License-Identifier: GPL-2.0-only
#include "hold.h"

#include <net/netfilter/nf_conntrack_core.h>

#include "conntrack.h"
#include "filter.h"
#include "listen.h"
#include "pernet.h"
#include "proto.h"
#include "reader.h"
#include "trace.h"
#include "walk.h"
#include "window.h"

static void hold_set_timeout(struct nf_conn *ct, u32 timeout)
{
	if (!test_bit(IPS_FIXED_TIMEOUT_BIT, &ct->status))
		__nf_ct_set_timeout(ct, timeout);
}

void flyrep_hold_refresh(struct nf_conn *ct)
{
	hold_set_timeout(ct, flyrep_proto_timeout(ct));
}

void flyrep_hold_extend(const struct flyrep_net *fn, struct nf_conn *ct)
{
	hold_set_timeout(ct, READ_ONCE(fn->hold_s) * HZ);
	/* A flow that a packet took over just now must not keep this: write, then look. */
	smp_mb();
	if (!test_bit(FLYREP_CT_REMOTE_BIT, &ct->status))
		hold_set_timeout(ct, flyrep_proto_timeout(ct));
}

bool flyrep_hold_is_used(const struct flyrep_net *fn, const struct nf_conn *ct)
{
	u64 hold = (u64)READ_ONCE(fn->hold_s) * HZ;
	u32 timeout = flyrep_proto_timeout(ct);

	if (test_bit(IPS_OFFLOAD_BIT, &ct->status))
		return true;
	return timeout < hold ? nf_ct_expires(ct) <= timeout : nf_ct_expires(ct) > hold;
}

void flyrep_hold_take(const struct flyrep_net *fn, struct nf_conn *ct)
{
	/* SENT: the reader knows of it, as the taking is its doing. */
	set_bit(FLYREP_CT_SENT_BIT, &ct->status);
	set_bit(FLYREP_CT_REMOTE_BIT, &ct->status);
	flyrep_window_forget(ct);
	flyrep_hold_extend(fn, ct);
	trace_flyrep_hold(fn, ct);
}

struct hold_walk {
	struct flyrep_net *fn;
	u32 n;
};

static void hold_visit_promote(struct nf_conn *ct, void *data)
{
	struct hold_walk *hw = data;

	/* In this order: flyrep_hold_extend() beside us writes, then looks at the bit. */
	if (!test_and_clear_bit(FLYREP_CT_REMOTE_BIT, &ct->status))
		return;
	flyrep_window_forget(ct);
	hold_set_timeout(ct, flyrep_proto_timeout(ct));
	trace_flyrep_promote(hw->fn, ct);
	hw->n++;
}

u32 flyrep_hold_promote(struct flyrep_net *fn)
{
	struct hold_walk hw = { .fn = fn };

	mutex_lock(&fn->lock);
	fn->is_touched = true;
	WRITE_ONCE(fn->is_standby, false);
	flyrep_walk_all(fn->net, hold_visit_promote, &hw);
	hw.n += flyrep_item_promote(fn);
	flyrep_window_watch(fn);
	/* Local flows were not captured until now. */
	synchronize_rcu();
	flyrep_reader_dirty(fn);
	mutex_unlock(&fn->lock);
	flyrep_pernet_count(fn, FLYREP_C_PROMOTED, hw.n);
	return hw.n;
}

static void hold_visit_demote(struct nf_conn *ct, void *data)
{
	struct hold_walk *hw = data;

	if (test_bit(FLYREP_CT_REMOTE_BIT, &ct->status) || nf_ct_is_dying(ct) ||
	    !flyrep_filter_pass(hw->fn, ct))
		return;
	flyrep_hold_take(hw->fn, ct);
	hw->n++;
}

u32 flyrep_hold_demote(struct flyrep_net *fn)
{
	struct hold_walk hw = { .fn = fn };

	/* What changed until now is not a takeover. */
	flyrep_listen_catch_up(fn);
	mutex_lock(&fn->lock);
	fn->is_touched = true;
	WRITE_ONCE(fn->is_standby, true);
	flyrep_walk_all(fn->net, hold_visit_demote, &hw);
	hw.n += flyrep_item_demote(fn);
	if (!rcu_access_pointer(fn->reader))
		flyrep_hold_on_release(fn);
	mutex_unlock(&fn->lock);
	flyrep_pernet_count(fn, FLYREP_C_DEMOTED, hw.n);
	return hw.n;
}

/*
 * It stays held, so that its end is not taken for a local one; but it ends, and never later than
 * it would have.
 */
static void hold_visit_orphan(struct nf_conn *ct, void *data)
{
	struct hold_walk *hw = data;
	u32 timeout = flyrep_proto_timeout(ct);

	if (!test_bit(FLYREP_CT_REMOTE_BIT, &ct->status) || nf_ct_expires(ct) <= timeout)
		return;
	hold_set_timeout(ct, timeout);
	hw->n++;
}

static void hold_on_guard(struct work_struct *work)
{
	struct flyrep_net *fn = container_of(work, struct flyrep_net, guard.work);
	struct hold_walk hw = { .fn = fn };

	mutex_lock(&fn->lock);
	if (!rcu_access_pointer(fn->reader)) {
		flyrep_walk_all(fn->net, hold_visit_orphan, &hw);
		hw.n += flyrep_item_orphan(fn);
	}
	mutex_unlock(&fn->lock);
	if (!hw.n)
		return;
	flyrep_pernet_count(fn, FLYREP_C_ORPHANED, hw.n);
	pr_notice("flyrep: no reader for %u s: %u held objects expire like any other now\n",
		  READ_ONCE(fn->grace_s), hw.n);
}

void flyrep_hold_init(struct flyrep_net *fn)
{
	INIT_DELAYED_WORK(&fn->guard, hold_on_guard);
}

void flyrep_hold_on_bind(struct flyrep_net *fn)
{
	lockdep_assert_held(&fn->lock);
	/* If it runs already, it waits for the lock, and then finds a reader. */
	cancel_delayed_work(&fn->guard);
}

void flyrep_hold_on_release(struct flyrep_net *fn)
{
	schedule_delayed_work(&fn->guard, (unsigned long)READ_ONCE(fn->grace_s) * HZ);
}

static void hold_visit_clear(struct nf_conn *ct, void *data)
{
	hold_visit_promote(ct, data);
	flyrep_window_leave(ct);
	clear_bit(FLYREP_CT_QUEUED_BIT, &ct->status);
	clear_bit(FLYREP_CT_SENT_BIT, &ct->status);
	clear_bit(FLYREP_CT_DELETED_BIT, &ct->status);
}

void flyrep_hold_exit(struct flyrep_net *fn)
{
	struct hold_walk hw = { .fn = fn };

	cancel_delayed_work_sync(&fn->guard);
	if (!fn->is_touched)
		return;
	/* Events under way may still set our bits, and have flows watched. */
	synchronize_rcu();
	flyrep_window_exit(fn);
	/* In a namespace that goes away the flows do too. */
	if (!check_net(fn->net))
		return;
	flyrep_walk_all(fn->net, hold_visit_clear, &hw);
}
