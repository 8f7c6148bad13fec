/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS: an authenticated, encrypted byte channel over a non-blocking socket, TLS 1.3
 * with an external PSK (docs/protocol.md, Session 1; RFC 8446, RFC 9257). Keys
 * are derived for each pair of nodes and direction of dialling; the secret itself is never a key.
 * With certificates it is they that authenticate, the only name that counts being a node id, and
 * a secret besides them is proven inside the channel, before anything else is said there.
 * A node may have several secrets, while a new one is rolled out: it answers to all of them.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tls_keys;
struct tls;

#define TLS_SECRETS_MAX 8

struct tls_secret {
	const void *bytes;
	size_t len;
};

struct certs_files;

/**
 * tls_keys_new - keys of this node
 * @node_id: ours
 * @secrets: shared ones, the present one first, then previous ones; wiped once keys are derived
 *	of them
 * @n_secrets: at most TLS_SECRETS_MAX; 0 only with @files
 * @files: certificates, read now, and again at each new session when they have changed; NULL: none
 * NULL: no memory, the crypto library refused, or a file does (logged).
 */
struct tls_keys *tls_keys_new(const char *node_id, const struct tls_secret *secrets,
			      size_t n_secrets, const struct certs_files *files);
void tls_keys_free(struct tls_keys *k);
/*
 * Sessions from now on are authenticated, and not encrypted: see clear.h. Not with certificates.
 * Such a node never talks to one that encrypts.
 */
void tls_keys_go_clear(struct tls_keys *k);
/* Other secrets, for sessions from now on. -errno (logged), and the old ones stay. */
int tls_keys_set_secrets(struct tls_keys *k, const struct tls_secret *secrets, size_t n_secrets);
/*
 * Read the certificates again, from these files. -EINVAL: why is logged and in
 * tls_keys_trouble(), and those read before stay. Nothing where there are none.
 */
int tls_keys_set_files(struct tls_keys *k, const struct certs_files *files);
/* What is wrong with the files now; "" for nothing. */
const char *tls_keys_trouble(const struct tls_keys *k);
/* When our certificate ends, seconds since 1970; 0: there is none. */
int64_t tls_keys_expiry(const struct tls_keys *k);
size_t tls_keys_n_secrets(const struct tls_keys *k);

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
 * A dialler offers the present secret, unless tls_offer() is called.
 * The descriptor stays the caller's.
 * NULL: no memory, or @peer_id is no node id or our own (logged).
 */
struct tls *tls_new(struct tls_keys *k, int fd, const char *peer_id,
		    int (*is_allowed)(void *cookie, const char *peer_id), void *cookie);
void tls_free(struct tls *t);
/* Dialler, before the handshake: try this secret, below tls_keys_n_secrets(). */
void tls_offer(struct tls *t, size_t secret);

/*
 * All return -EAGAIN with the wanted poll events in tls_events(), or -errno with a
 * sentence for the log in tls_error(): -EKEYREJECTED the other side has not this secret, but may
 * have another one, -EACCES authentication failed otherwise, -EPROTO not TLS or not what we
 * speak, -ECONNRESET, the socket's own. A failure sticks. After -EAGAIN a write is repeated with
 * the same bytes first (the buffer may move and grow). Reading and writing need tls_handshake() to
 * have returned 0, else -ENOTCONN.
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
/* Whether the other side may call itself so: by its certificate, or else its PSK. */
bool tls_is_peer(const struct tls *t, const char *id);
/* Bytes that only the two ends of this very session can make (RFC 8446, 7.5). -ENOTCONN, -EIO */
int tls_export(const struct tls *t, const char *label, uint8_t *out, size_t len);
/* Which secret, of those there are now: 0 the present one; -ENOKEY: one that is no longer. */
int tls_secret(const struct tls *t);
const char *tls_error(const struct tls *t);

#endif
