// SPDX-License-Identifier: GPL-2.0-only
#include "window.h"

#include <linux/workqueue.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_tuple.h>

#include "conntrack.h"
#include "pernet.h"
#include "walk.h"

/* A flow that says nothing for long is looked at ever less often, down to this. */
#define WINDOW_MAX_FACTOR 8

static bool window_is_tcp(const struct nf_conn *ct)
{
	return nf_ct_protonum(ct) == IPPROTO_TCP;
}

/* Context: ct->lock held, or not confirmed */
static void window_clear(struct nf_conn *ct)
{
	int dir;

	for (dir = 0; dir < IP_CT_DIR_MAX; dir++) {
		struct ip_ct_tcp_state *seen = &ct->proto.tcp.seen[dir];

		seen->td_end = 0;
		seen->td_maxend = 0;
		seen->td_maxwin = 0;
		seen->td_maxack = 0;
		seen->flags &= ~IP_CT_TCP_FLAG_MAXACK_SET;
	}
}

/* Context: ct->lock held. Both directions have spoken since window_clear(). */
static bool window_is_known(const struct nf_conn *ct)
{
	lockdep_assert_held(&ct->lock);
	return ct->proto.tcp.seen[0].td_maxwin && ct->proto.tcp.seen[1].td_maxwin;
}

/* Context: ct->lock held, or not confirmed. Return: false if it was, and not by us */
static bool window_be_liberal(struct nf_conn *ct)
{
	struct ip_ct_tcp_state *seen = ct->proto.tcp.seen;

	if ((seen[0].flags & seen[1].flags & IP_CT_TCP_FLAG_BE_LIBERAL) &&
	    !test_bit(FLYREP_CT_LIBERAL_BIT, &ct->status))
		return false;
	seen[0].flags |= IP_CT_TCP_FLAG_BE_LIBERAL;
	seen[1].flags |= IP_CT_TCP_FLAG_BE_LIBERAL;
	return true;
}

/* Context: ct->lock held */
static void window_be_strict(struct nf_conn *ct)
{
	lockdep_assert_held(&ct->lock);
	ct->proto.tcp.seen[0].flags &= ~IP_CT_TCP_FLAG_BE_LIBERAL;
	ct->proto.tcp.seen[1].flags &= ~IP_CT_TCP_FLAG_BE_LIBERAL;
}

static void window_unmark(struct nf_conn *ct)
{
	clear_bit(FLYREP_CT_LIBERAL_BIT, &ct->status);
	clear_bit(FLYREP_CT_CALM_BIT, &ct->status);
}

void flyrep_window_forget(struct nf_conn *ct)
{
	if (!window_is_tcp(ct))
		return;
	spin_lock_bh(&ct->lock);
	window_clear(ct);
	if (window_be_liberal(ct)) {
		set_bit(FLYREP_CT_LIBERAL_BIT, &ct->status);
		clear_bit(FLYREP_CT_CALM_BIT, &ct->status);
	}
	spin_unlock_bh(&ct->lock);
}

void flyrep_window_fresh(struct nf_conn *ct)
{
	WARN_ON_ONCE(!window_is_tcp(ct));
	if (window_be_liberal(ct))
		__set_bit(FLYREP_CT_LIBERAL_BIT, &ct->status);
}

void flyrep_window_leave(struct nf_conn *ct)
{
	if (!test_bit(FLYREP_CT_LIBERAL_BIT, &ct->status))
		return;
	spin_lock_bh(&ct->lock);
	if (window_is_known(ct))
		window_be_strict(ct);
	window_unmark(ct);
	spin_unlock_bh(&ct->lock);
}

struct window_walk {
	unsigned int n_strict;
	unsigned int n_left;
};

/*
 * Twice in one pass does no harm: the first has forgotten the windows.
 *
 * Context: process, RCU read side
 */
static void window_visit(struct nf_conn *ct, void *data)
{
	struct window_walk *ww = data;

	if (!test_bit(FLYREP_CT_LIBERAL_BIT, &ct->status) ||
	    test_bit(FLYREP_CT_REMOTE_BIT, &ct->status) || nf_ct_is_dying(ct))
		return;
	spin_lock_bh(&ct->lock);
	if (window_is_known(ct) && test_bit(FLYREP_CT_CALM_BIT, &ct->status)) {
		window_be_strict(ct);
		window_unmark(ct);
		ww->n_strict++;
	} else {
		if (window_is_known(ct)) {
			window_clear(ct);
			set_bit(FLYREP_CT_CALM_BIT, &ct->status);
		}
		ww->n_left++;
	}
	spin_unlock_bh(&ct->lock);
}

static void window_on_learn(struct work_struct *work)
{
	struct flyrep_net *fn = container_of(work, struct flyrep_net, learn.work);
	u32 max_s = READ_ONCE(fn->learn_s) * WINDOW_MAX_FACTOR;
	struct window_walk ww = {};

	flyrep_walk_all(fn->net, window_visit, &ww);
	flyrep_pernet_count(fn, FLYREP_C_STRICT, ww.n_strict);
	fn->learn_wait_s = ww.n_left ? min(fn->learn_wait_s * 2, max_s) : 0;
	if (ww.n_left)
		schedule_delayed_work(&fn->learn, (unsigned long)fn->learn_wait_s * HZ);
}

void flyrep_window_watch(struct flyrep_net *fn)
{
	u32 wait_s = READ_ONCE(fn->learn_s);

	/* Pending: it comes soon enough. */
	if (schedule_delayed_work(&fn->learn, (unsigned long)wait_s * HZ))
		WRITE_ONCE(fn->learn_wait_s, wait_s);
}

void flyrep_window_init(struct flyrep_net *fn)
{
	INIT_DELAYED_WORK(&fn->learn, window_on_learn);
}

void flyrep_window_exit(struct flyrep_net *fn)
{
	cancel_delayed_work_sync(&fn->learn);
}
