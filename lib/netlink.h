/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink - a socket to the kernel, and taking apart what it sends: what generic netlink
 * and nfnetlink share
 */
#ifndef FR_NETLINK_H
#define FR_NETLINK_H

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * More than the 32 KiB up to which the kernel fills a dump's datagrams when the
 * reader's buffer allows, and more than any answer.
 */
#define FR_NETLINK_IN_LEN 65536

/* --- the socket --------------------------------------------------------- */

/**
 * fr_netlink_open() - a bound socket that does not block, with extended errors
 * @bus: NETLINK_*
 * @buffer_len: room for what is to be sent and received, if the system allows
 */
int fr_netlink_open(struct mnl_socket **nl, int bus, int buffer_len);

/* One datagram to the kernel. Return: 0 or -errno. */
int fr_netlink_send(struct mnl_socket *nl, const struct iovec *iov, size_t n);

/**
 * fr_netlink_receive() - one datagram of the kernel
 * @buf: FR_NETLINK_IN_LEN bytes
 * Return: its length; -EAGAIN there is none; -EMSGSIZE; -errno.
 */
ssize_t fr_netlink_receive(struct mnl_socket *nl, void *buf);

/* CLOCK_MONOTONIC in ms */
int64_t fr_netlink_now_ms(void);

/* When an answer that has not come yet is not to be expected any more, by that clock. */
int64_t fr_netlink_deadline_ms(void);

/* The same as fr_netlink_receive(), but waits for it. -ETIMEDOUT. */
ssize_t fr_netlink_await(struct mnl_socket *nl, void *buf, int64_t deadline_ms);

/* --- what comes in; pure ------------------------------------------------ */

/**
 * fr_netlink_messages() - walk the messages of a datagram
 * @buf: 4-byte aligned
 * @fn: other than 0 ends the walk
 *
 * Return: what @fn returned last; -EPROTO when a message is not whole.
 */
int fr_netlink_messages(const void *buf, size_t len,
			int (*fn)(const struct nlmsghdr *nlh, void *cookie), void *cookie);

/**
 * fr_netlink_attrs() - walk attributes
 *
 * As mnl_attr_for_each(), which stops quietly at an attribute that does not fit: here that
 * is -EPROTO. @fn and what is returned are as above.
 */
int fr_netlink_attrs(const void *buf, size_t len,
		     int (*fn)(const struct nlattr *attr, void *cookie), void *cookie);

/**
 * fr_netlink_error() - what NLMSG_ERROR or NLMSG_DONE says
 * @text: the kernel's extack message, cut to @size, or "" for none
 *
 * Return: 0 for success; -errno as the kernel gave it; -EPROTO when it is malformed.
 */
int fr_netlink_error(const struct nlmsghdr *nlh, char *text, size_t size);

#endif
