/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clear: in place of TLS, where both operators insist: an authenticated byte channel over a
 * non-blocking socket that is not encrypted (docs/protocol.md, Without encryption). Each record has
 * a MAC under keys made of the secret and nonces of both sides, and counts: what is altered,
 * replayed, left out or put in another order ends the session. It hides nothing, and recorded
 * traffic is as open as it was.
 */
#ifndef CLEAR_H
#define CLEAR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "keys.h"

#define CLEAR_FIRST 'F' /* first byte of either side; no TLS record begins so */

struct clear;

/**
 * clear_admit_fn - listener: a stranger says who it is
 * @identity: bytes of a stranger
 * @id: set to what they mean
 * @secret: set to the one that is meant
 * Return: 0; -EKEYREJECTED: none of our secrets; -EACCES: no
 */
typedef int clear_admit_fn(void *cookie, const uint8_t *identity, size_t len,
			   struct keys_identity *id, const struct keys **secret);

/* The descriptor and the secret stay the caller's. NULL: no memory, or no random bytes. */
struct clear *clear_dial(int fd, const struct keys_identity *id, const struct keys *secret);
struct clear *clear_listen(int fd, clear_admit_fn *admit, void *cookie);
void clear_free(struct clear *c);

/*
 * As those of tls.h, but for the sentence: -EAGAIN with clear_events(), or -errno, which sticks:
 * -EPROTONOSUPPORT: the other side speaks TLS, -EKEYREJECTED: it has not this secret, -EACCES: it
 * refused or was refused, -EBADMSG: a MAC is wrong, -EPROTO: nonsense, -ECONNRESET: closed
 * without notice, the socket's own.
 */
int clear_handshake(struct clear *c);
ssize_t clear_read(struct clear *c, void *buf, size_t len);	/* 0: closed in order */
ssize_t clear_write(struct clear *c, const void *buf, size_t len);
void clear_shutdown(struct clear *c);
uint32_t clear_events(const struct clear *c);
size_t clear_pending(const struct clear *c);
/* 48 bytes that only both ends can make. 0, -EIO */
int clear_export(const struct clear *c, const char *label, uint8_t out[KEYS_PSK_LEN]);

#endif
