/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS: an authenticated, encrypted byte channel over a non-blocking socket, TLS 1.3
 * with an external PSK (docs/protocol.md, Session 1; RFC 8446, RFC 9257). Keys
 * are derived for each pair of nodes and direction of dialling; the secret itself is never a key.
 */
#ifndef TLS_H
#define TLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "siphash.h"

struct tls_keys;
struct tls;

/**
 * tls_keys_new - keys of this node
 * @node_id: ours
 * @secret: shared secret, copied after derivation is set up; wiped on free
 * NULL: no memory or the crypto library refused (logged).
 */
struct tls_keys *tls_keys_new(const char *node_id, const void *secret, size_t secret_len);
void tls_keys_free(struct tls_keys *k);
/* Key of bucket hashes and digests, equal on all nodes with this secret. */
void tls_keys_hash_key(const struct tls_keys *k, struct fr_siphash_key *out);

/**
 * tls_keys_rekey_after - change the write key of each session more often
 * @n_records: after so many records; 2^22 when never called
 * @ms: after so long, if anything is written; one hour when never called
 */
void tls_keys_rekey_after(struct tls_keys *k, uint32_t n_records, uint64_t ms);

/**
 * tls_new - a session over a connected socket
 * @k: outlives the session
 * @peer_id: node dialled, "*" when only its address is known (HELLO will tell); NULL: we
 *	listen, and the peer says who it is
 * @is_allowed: listening: whether that node may connect; called before any key is derived for it
 * The descriptor stays the caller's.
 * NULL: no memory, or @peer_id is no node id or our own (logged).
 */
struct tls *tls_new(struct tls_keys *k, int fd, const char *peer_id,
		    int (*is_allowed)(void *cookie, const char *peer_id), void *cookie);
void tls_free(struct tls *t);

/*
 * All return -EAGAIN with the wanted poll events in tls_events(), or -errno with a
 * sentence for the log in tls_error(): -EACCES authentication failed, -EPROTO not
 * TLS or not what we speak, -ECONNRESET, the socket's own. A failure sticks. After -EAGAIN a
 * write is repeated with the same bytes first (the buffer may move and grow). Reading and
 * writing need tls_handshake() to have returned 0, else -ENOTCONN.
 */
int tls_handshake(struct tls *t);			/* 0: done */
ssize_t tls_read(struct tls *t, void *buf, size_t len);	/* 0: closed in order */
ssize_t tls_write(struct tls *t, const void *buf, size_t len);
/* Send close_notify if that does not block. */
void tls_shutdown(struct tls *t);

uint32_t tls_events(const struct tls *t);		/* EPOLLIN, EPOLLOUT */
/* Bytes already decrypted: poll would not report them. */
size_t tls_pending(const struct tls *t);
/* Authenticated node id of the other side, once the handshake is done; "*" if that was dialled. */
const char *tls_peer_id(const struct tls *t);
const char *tls_error(const struct tls *t);

#endif
