/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conn: one TCP connection that carries frames through TLS. It owns the
 * descriptor, buffers both ways, and knows no message but its head. Bounded: a
 * frame's length on the way in, CONN_TX_MAX bytes on the way out.
 */
#ifndef CONN_H
#define CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "frame.h"
#include "tls.h"

#define CONN_TX_MAX (8u << 20)	/* bytes waiting to be sent before conn_send() refuses */

#define CONN_TOKEN_LEN 32

struct conn;

/**
 * struct conn_ops - what the owner hears
 * @ready: TLS is established; conn_peer_id() is authenticated
 * @frame: one frame, decompressed. The conn may be freed inside
 * @drained: what was queued is sent
 * @closed: over, conn_free() is the owner's to call; @why is a sentence for the log
 */
struct conn_ops {
	void (*ready)(void *cookie, struct conn *c);
	void (*frame)(void *cookie, struct conn *c, const struct fr_frame_head *head,
		      const uint8_t *payload, size_t len);
	void (*drained)(void *cookie, struct conn *c);
	void (*closed)(void *cookie, struct conn *c, const char *why);
};

/**
 * conn_new - take over a connected or connecting socket
 * @fd: non-blocking; closed by conn_free(), also when conn_new() fails
 * @dialled: node id expected at the other end, or NULL: we accepted this one
 * @is_allowed: for accepted ones, see tls_new()
 */
struct conn *conn_new(sd_event *event, struct tls_keys *keys, int fd, const char *dialled,
		      int (*is_allowed)(void *cookie, const char *peer_id),
		      const struct conn_ops *ops, void *cookie);
void conn_free(struct conn *c);
/* Dialled, before the loop runs again: offer this secret, see tls_offer(). */
void conn_offer(struct conn *c, size_t secret);

/* Another owner from here on: an accepted connection has shown whose it is. */
void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *cookie);
/*
 * They change places: what carried the one carries the other. Not from inside a callback of
 * either.
 */
void conn_swap(struct conn *a, struct conn *b);
/* Take nothing in, from the next frame on; or go on. */
void conn_hold(struct conn *c, bool hold);
/* What only the two ends of this connection know. -ENOTCONN, -EIO */
int conn_token(const struct conn *c, uint8_t token[CONN_TOKEN_LEN]);
/* Queue a frame made by someone else. -ENOBUFS: CONN_TX_MAX, -ENOMEM, -ENOTCONN. */
int conn_send(struct conn *c, const void *frame, size_t len);
/* Queue a frame of a control message; compressed if @squeeze is given. */
int conn_send_message(struct conn *c, uint8_t type, uint8_t table, const void *payload,
		      size_t len, struct fr_squeeze *squeeze);
/* Bytes queued and not yet taken by the kernel. */
size_t conn_queued(const struct conn *c);
const char *conn_peer_id(const struct conn *c);
bool conn_is_peer(const struct conn *c, const char *id);	/* see tls_is_peer() */
/* Which secret authenticated it, see tls_secret(). */
int conn_secret(const struct conn *c);
/* The other side refused this secret, but may have another one. */
bool conn_is_rejected(const struct conn *c);
/* Milliseconds since the last byte came in. */
uint64_t conn_idle_ms(const struct conn *c);
/* Milliseconds since it was ready: the age of its keys. */
uint64_t conn_age_ms(const struct conn *c);
uint64_t conn_rx_bytes(const struct conn *c);
uint64_t conn_tx_bytes(const struct conn *c);
/* Try to send what is queued, then shut TLS down; for a last ERROR before conn_free(). */
void conn_flush(struct conn *c);

#endif
