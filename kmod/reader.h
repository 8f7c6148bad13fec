/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reader: the one netlink socket of a namespace that drains, its rings, and the WAKE
 * that calls it. It exists from BIND until the socket closes.
 */
#ifndef _FLYREP_READER_H
#define _FLYREP_READER_H

#include <linux/types.h>

#include "pernet.h"

struct flyrep_ring;
struct netlink_ext_ack;
struct pid;

/**
 * struct flyrep_reader - who drains
 * @ring: what was captured for it; owns a reference to each flow
 * @tgid: the process that bound it
 * @portid: its netlink port
 */
struct flyrep_reader {
	struct flyrep_ring	*ring;
	struct pid		*tgid;
	u32			portid;
};

/**
 * flyrep_reader_init - start with none
 * @fn: the namespace
 */
void flyrep_reader_init(struct flyrep_net *fn);

/**
 * flyrep_reader_exit - drop the reader, if any
 * @fn: the namespace; capture has left it
 *
 * Context: process, may sleep.
 */
void flyrep_reader_exit(struct flyrep_net *fn);

/**
 * flyrep_reader_bind - make a socket the reader
 * @fn: the namespace
 * @portid: of the socket
 * @extack: where to say what is wrong
 *
 * Context: process, may sleep. Return: 0, -EBUSY, -ENOKEY, -ENOMEM.
 */
int flyrep_reader_bind(struct flyrep_net *fn, u32 portid, struct netlink_ext_ack *extack);

/**
 * flyrep_reader_release - a socket has closed
 * @fn: the namespace
 * @portid: of the socket; nothing happens if it is not the reader
 *
 * Context: process, may sleep.
 */
void flyrep_reader_release(struct flyrep_net *fn, u32 portid);

/**
 * flyrep_reader_find - is this socket the reader
 * @fn: the namespace
 * @portid: of the socket that asks
 *
 * Context: process, on behalf of that very socket, which by that stays open.
 * Return: the reader, which lives as long as the socket, or NULL.
 */
struct flyrep_reader *flyrep_reader_find(struct flyrep_net *fn, u32 portid);

/**
 * flyrep_reader_portid - who is the reader
 * @fn: the namespace
 *
 * Context: any. Return: the port, 0 for none.
 */
u32 flyrep_reader_portid(struct flyrep_net *fn);

/**
 * flyrep_reader_wake - send WAKE soon
 * @fn: the namespace
 *
 * Context: any; the reader is kept alive by RCU, by fn->lock, or as it is itself that calls.
 */
void flyrep_reader_wake(struct flyrep_net *fn);

/**
 * flyrep_reader_ring - there is something new to drain: send WAKE if the reader waits for it
 * @fn: the namespace
 *
 * Context: any.
 */
void flyrep_reader_ring(struct flyrep_net *fn);

/**
 * flyrep_reader_dirty - every bucket is dirty: tell the reader
 * @fn: the namespace; fn->lock held
 *
 * Context: process.
 */
void flyrep_reader_dirty(struct flyrep_net *fn);

#endif
