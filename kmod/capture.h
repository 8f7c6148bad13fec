/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Capture: we stand in front of the namespace's conntrack event notifier (that of
 * nf_conntrack_netlink), take note, and pass every event on as it came.
 *
 * The notifier of another module we do not stand in front of, unless the module parameter
 * says capture=chain: it may count on being where it is. Then, and with capture=netlink, we
 * listen to what nf_conntrack_netlink tells user space, see listen.h. An empty slot is left
 * empty, as ctnetlink refuses to live with anything in it; we wait for it
 * (FLYREP_CAPTURE_NONE).
 */
#ifndef _FLYREP_CAPTURE_H
#define _FLYREP_CAPTURE_H

#include <linux/types.h>

struct flyrep_net;
struct nf_conn;

/**
 * flyrep_capture_setup - read the module parameter
 *
 * Context: module init, before all else. Return: 0 or -EINVAL.
 */
int flyrep_capture_setup(void);

/**
 * flyrep_capture_start - follow the coming and going of nf_conntrack_netlink
 *
 * Context: module init, after flyrep_pernet_init(). Return: 0 or -errno.
 */
int flyrep_capture_start(void);

/**
 * flyrep_capture_stop - the reverse
 *
 * Context: module exit, before flyrep_pernet_exit().
 */
void flyrep_capture_stop(void);

/**
 * flyrep_capture_init - have events made, and attach if that is possible yet
 * @fn: the namespace
 *
 * Sets nf_conntrack_events to 1: a flow born without the event extension can never
 * get one.
 *
 * Context: process.
 */
void flyrep_capture_init(struct flyrep_net *fn);

/**
 * flyrep_capture_exit - leave the slot or stop listening, restore nf_conntrack_events
 * @fn: the namespace
 *
 * Events may still be under way; they are through after an RCU grace period.
 *
 * Context: process.
 */
void flyrep_capture_exit(struct flyrep_net *fn);

/**
 * flyrep_capture_attach - chain or listen, if there is a notifier and we have not yet
 * @fn: the namespace; fn->lock held
 *
 * Context: process.
 */
void flyrep_capture_attach(struct flyrep_net *fn);

/**
 * flyrep_capture_mode - enum flyrep_capture of the namespace
 * @fn: the namespace
 */
u8 flyrep_capture_mode(const struct flyrep_net *fn);

/**
 * flyrep_capture_hear - a flow was changed without an event, or a message told of one; not its end
 * @ct: the flow; the caller holds a reference
 * @portid: netlink port of who asked for it, 0 for a packet
 *
 * Context: process.
 */
void flyrep_capture_hear(struct nf_conn *ct, u32 portid);

/**
 * flyrep_capture_portid - the cause that an event of our own making is to name
 * @fn: the namespace
 *
 * Return: our port, by which we know it again when we listen; 0 where it cannot come back.
 */
u32 flyrep_capture_portid(const struct flyrep_net *fn);

/**
 * flyrep_capture_tell - show others (`conntrack -E`) what APPLY did, past ourselves
 * @fn: the namespace
 * @events: bits of enum ip_conntrack_events
 * @ct: a confirmed flow; the caller holds a reference
 *
 * Costs a load where nobody listens. Deletions need no telling: nf_ct_delete() does.
 *
 * Context: process or softirq.
 */
void flyrep_capture_tell(struct flyrep_net *fn, unsigned int events, struct nf_conn *ct);

#endif
