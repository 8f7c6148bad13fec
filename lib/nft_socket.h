/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_socket - what nft.h keeps to itself: the socket of a struct fr_nft, and what goes through it
 */
#ifndef FR_NFT_SOCKET_H
#define FR_NFT_SOCKET_H

#include "nft.h"
#include "nft_message.h"

/* Writing an element takes so many messages at most. */
#define FR_NFT_APPLY_MESSAGES 3

/**
 * struct fr_nft - a socket and its buffers
 * @seq: of the last message
 * @n_get_max: so many answers find room before the first is read
 * @n_apply_max: so many records, if each of their messages is refused
 * @out: messages in the making, @out_len bytes, which the kernel takes in one go
 * @is_add_first: most records that were written last spoke of elements that were not there
 */
struct fr_nft {
	struct mnl_socket *nl;
	uint32_t seq;
	size_t n_get_max;
	size_t n_apply_max;
	char *in; /* FR_NETLINK_IN_LEN bytes */
	char *out;
	size_t out_len;
	bool is_add_first;
	struct fr_nft_dump dump;
	char error[256];
};

/* Remembers the words for a failure: @text, or those that belong to @err. Returns @err. */
int fr_nft_socket_fail(struct fr_nft *n, int err, const char *text);

/* Milliseconds since 1970. */
uint64_t fr_nft_socket_now_ms(void);

/* -EBUSY while a dump runs; else 0, and what nobody waited for any more is gone. */
int fr_nft_socket_begin(struct fr_nft *n);

/* Sends @len bytes of n->out. */
int fr_nft_socket_send(struct fr_nft *n, size_t len);

#endif
