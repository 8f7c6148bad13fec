/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * genl_socket - the socket of a struct fr_genl, and one request with its answer
 */
#ifndef FR_GENL_SOCKET_H
#define FR_GENL_SOCKET_H

#include <libmnl/libmnl.h>
#include <sys/uio.h>

#include "genl.h"
#include "genl_dump.h"
#include "genl_message.h"

/* What genl.h keeps to itself. */
struct fr_genl {
	struct mnl_socket *nl;
	uint16_t family;
	uint32_t seq;
	bool has_wake; /* came in while a request waited for its answer */
	struct fr_genl_dump dump;
	char error[256];
	char *in; /* FR_NETLINK_IN_LEN bytes */
};

/* Opens the socket of a zeroed @g and resolves the family. -errno. */
int fr_genl_socket_open(struct fr_genl *g);
void fr_genl_socket_close(struct fr_genl *g);

/**
 * fr_genl_socket_fail() - remember the words for a failure
 * @text: the kernel's; NULL or "": those that belong to @err
 *
 * Return: @err, which is -ENOENT for all that says that the family is gone.
 */
int fr_genl_socket_fail(struct fr_genl *g, int err, const char *text);

/* Starts a message of the family in @buf, at least 64 bytes; sets its sequence number. */
struct nlmsghdr *fr_genl_socket_message(struct fr_genl *g, void *buf, uint8_t cmd, uint16_t flags);

/**
 * fr_genl_socket_request() - send a message that asks for an acknowledgement, await it
 * @tail: what follows @nlh and is already counted in its length, @n_tail of them, at most 2
 * @on_reply: takes the message that comes before it; NULL: none is expected, and
 *	if there is one, none may be missing
 *
 * A WAKE that comes in between is kept for fr_genl_pump().
 *
 * Return: 0; -EBUSY: a dump runs; -errno.
 */
int fr_genl_socket_request(struct fr_genl *g, const struct nlmsghdr *nlh, const struct iovec *tail,
			   size_t n_tail,
			   int (*on_reply)(const struct fr_genl_attrs *attrs, void *cookie),
			   void *cookie);

#endif
