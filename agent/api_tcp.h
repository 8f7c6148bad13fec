/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API TCP: sockets of the API that any program of this machine, or of the network, can reach.
 */
#ifndef API_TCP_H
#define API_TCP_H

#include <stdbool.h>
#include <sys/types.h>

#include "address.h"

/* Bind and listen. Return: non-blocking descriptor; -EADDRINUSE, -EADDRNOTAVAIL, -errno */
int api_tcp_open(const struct fr_address *address);

/**
 * api_tcp_owner - the user at the other end of a connection over loopback
 * @fd: our end
 * @tables: directory of the files tcp and tcp6; NULL: /proc/self/net
 * Source: the other end's own entry among the sockets of this network namespace
 * (proc_pid_net(5)), as long as it is established and open there
 * Return: 0; -ENOENT: it is not there (any more); -errno
 */
int api_tcp_owner(int fd, const char *tables, uid_t *uid);

#endif
