/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Capture where we cannot stand in the slot of the event notifier: a netlink socket of the
 * kernel's own hears what nf_conntrack_netlink tells everybody (FLYREP_CAPTURE_NETLINK).
 *
 * A message names a flow. It is looked up, and queued as if we had been called ourselves. The
 * end of a flow, and a flow that is not found, make their bucket dirty; a lost message all of
 * them. Messages are read a little later than they are sent, so a reader that drains has
 * those read first that came before.
 */
#ifndef _FLYREP_LISTEN_H
#define _FLYREP_LISTEN_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct flyrep_net;
struct socket;

/* Our port. Events that carry it as their cause are of our own making. */
#define FLYREP_LISTEN_PORTID	0xf17e9000

/**
 * struct flyrep_listen - an ear
 * @sock: NULL when not listening
 * @buf: one message
 * @lock: serializes reading; protects @sock and @is_lost
 * @is_lost: messages were lost, and more may be until all are read
 * @work: reads
 */
struct flyrep_listen {
	struct socket		*sock;
	void			*buf;
	struct mutex		lock;	/* see above */
	bool			is_lost;
	struct work_struct	work;
};

/**
 * flyrep_listen_init - not listening
 * @fn: the namespace
 */
void flyrep_listen_init(struct flyrep_net *fn);

/**
 * flyrep_listen_start - begin
 * @fn: the namespace; fn->lock held; not listening
 *
 * Context: process. Return: 0 or -errno.
 */
int flyrep_listen_start(struct flyrep_net *fn);

/**
 * flyrep_listen_stop - end; again is no error
 * @fn: the namespace; nobody can start any more
 *
 * On return nothing is read any more. fn->lock must not be held: a netlink socket that closes
 * is told to those who take it.
 *
 * Context: process.
 */
void flyrep_listen_stop(struct flyrep_net *fn);

/**
 * flyrep_listen_is_on - is this namespace captured so
 * @fn: the namespace
 */
bool flyrep_listen_is_on(const struct flyrep_net *fn);

/**
 * flyrep_listen_catch_up - read what was said up to now
 * @fn: the namespace; need not listen
 *
 * Context: process.
 */
void flyrep_listen_catch_up(struct flyrep_net *fn);

#endif
