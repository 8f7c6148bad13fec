/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TCP windows of a flow that changes hands. They do not travel: a window that is not exact
 * makes the tracker drop good segments. So they are forgotten, and the next packet of each
 * direction tells them anew.
 *
 * What is learnt so can still be wrong: where acknowledgements were lost with the old node, the
 * sender begins anew far behind what the receiver has, and the receiver's answer acknowledges
 * data that this tracker never saw. Were it strict, it would drop that answer, each time it
 * comes, and the connection would stall. So the flow is tracked liberally until both windows
 * are known, have been learnt once more in calm, and are known again. Then it is strict for good.
 */
#ifndef _FLYREP_WINDOW_H
#define _FLYREP_WINDOW_H

struct flyrep_net;
struct nf_conn;

/**
 * flyrep_window_init - start with nothing to watch
 * @fn: the namespace
 */
void flyrep_window_init(struct flyrep_net *fn);

/**
 * flyrep_window_exit - watch no more
 * @fn: the namespace; nobody may call flyrep_window_watch() any more
 *
 * Context: process, may sleep.
 */
void flyrep_window_exit(struct flyrep_net *fn);

/**
 * flyrep_window_forget - forget the windows, be liberal; does nothing unless the flow is TCP
 * @ct: a confirmed flow; the caller holds a reference
 *
 * A flow that somebody else made liberal stays so for ever.
 *
 * Context: any but hardirq; takes ct->lock.
 */
void flyrep_window_forget(struct nf_conn *ct);

/**
 * flyrep_window_fresh - the same, for a TCP flow that is being made
 * @ct: a flow that nobody else can reach yet, its windows zero
 */
void flyrep_window_fresh(struct nf_conn *ct);

/**
 * flyrep_window_leave - take our marks off a flow
 * @ct: a confirmed flow; the caller holds a reference
 *
 * It is strict from here on if its windows are known; else it stays liberal, as nobody will look
 * after it later.
 *
 * Context: any but hardirq; takes ct->lock.
 */
void flyrep_window_leave(struct nf_conn *ct);

/**
 * flyrep_window_watch - flows have become local: see to it that they get strict
 * @fn: the namespace
 *
 * The first look is fn->learn_s from the first call; more of them change nothing.
 *
 * Context: any.
 */
void flyrep_window_watch(struct flyrep_net *fn);

#endif
