/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Peer: the other nodes, whoever dials. Keeps one session with each: dials with
 * back-off, listens, admits only the nodes listed, exchanges HELLO, answers PING, gives up a
 * silent one. What the frames of a session mean is the owner's business.
 */
#ifndef PEER_H
#define PEER_H

#include <systemd/sd-event.h>

#include "config.h"
#include "conn.h"
#include "frame.h"

struct peers;
struct peer;

enum peer_state {
	PEER_DOWN,		/* nothing to do but wait: for the back-off, or to be dialled */
	PEER_CONNECTING,	/* TCP, then TLS */
	PEER_GREETING,		/* HELLO sent, theirs awaited */
	PEER_UP,
};

const char *peer_state_name(enum peer_state state);

/**
 * struct peer_ops - what the owner hears and is asked
 * @hello: fill our HELLO; wire versions, node_id, version and now_us are set. @p: NULL as long as
 *	it is not known whom we greet
 * @may_greet: false: not ready to meet anybody, refuse for now
 * @up: both have greeted
 * @frame: a frame of the session, except HELLO, PING, PONG and ERROR. Return 0,
 *	or -errno with a sentence in *why: told to the peer, then the session ends
 * @drained: all that was queued is sent
 * @pending: changes captured and not yet acknowledged by this peer, for PING
 * @down: the session is over; @up was called before
 */
struct peer_ops {
	void (*hello)(void *cookie, const struct peer *p, struct fr_hello *h);
	bool (*may_greet)(void *cookie);
	void (*up)(void *cookie, struct peer *p, const struct fr_hello *theirs);
	int (*frame)(void *cookie, struct peer *p, const struct fr_frame_head *head,
		     const uint8_t *payload, size_t len, const char **why);
	void (*drained)(void *cookie, struct peer *p);
	uint64_t (*pending)(void *cookie, struct peer *p);
	void (*down)(void *cookie, struct peer *p);
};

/* The keys that the configuration tells. NULL (logged). */
struct tls_keys *peers_keys(const struct fr_config *config);
/*
 * Other secrets and certificates, for sessions from now on. Sessions of a secret that is no more
 * are ended. -errno (logged)
 */
int peers_reload(struct peers *ps);

/* @config and @keys must outlive it. Listens and dials. -errno: cannot listen (logged). */
int peers_new(struct peers **ps, sd_event *event, const struct fr_config *config,
	      struct tls_keys *keys, const struct peer_ops *ops, void *cookie);
/* Says ERROR 5 to those who are up. */
void peers_free(struct peers *ps);
size_t peers_count(const struct peers *ps);
struct peer *peers_at(const struct peers *ps, size_t i);
/* End all sessions; dialling goes on. For when what HELLO said no longer holds. */
void peers_restart(struct peers *ps, const char *why);
/* The owner became ready to greet: do not wait for the back-off. */
void peers_hurry(struct peers *ps);

/* Another sign of life of it has stopped: an idle session with it is given up sooner. */
void peer_suspect(struct peer *p, bool is_suspect);

/* The owner's own, for this peer. */
void peer_set_cookie(struct peer *p, void *cookie);
void *peer_cookie(const struct peer *p);

const char *peer_id(const struct peer *p);	/* "?" until known */
const char *peer_address(const struct peer *p);
enum peer_state peer_state(const struct peer *p);
/* Why it is not up, or what went wrong last; "" for nothing. */
const char *peer_trouble(const struct peer *p);
uint64_t peer_rtt_ns(const struct peer *p);	/* 0: not measured yet */
uint64_t peer_remote_pending(const struct peer *p);
uint64_t peer_rx_bytes(const struct peer *p);	/* of all sessions */
uint64_t peer_tx_bytes(const struct peer *p);
const struct fr_hello *peer_hello(const struct peer *p);	/* theirs, of the last session */
uint8_t peer_wire(const struct peer *p);	/* version of the last session, 0: none yet */
/* Up, but under a secret that is being replaced. */
bool peer_has_old_secret(const struct peer *p);
/*
 * Move the session to fresh keys, without a pause; also done when they are as old as
 * auth.key_rotation says.
 * Return: 0: begun, -ENOTCONN
 */
int peer_renew(struct peer *p);
uint64_t peer_key_age_ms(const struct peer *p);	/* of the session, 0 unless up */
uint64_t peer_n_renewals(const struct peer *p);
const char *peer_renewal_trouble(const struct peer *p);	/* of the last one, "" for none */

/**
 * struct peer_dialling - how it stands with the connection, for whoever looks for a fault
 * @expected: node id, "*": whoever answers there
 * @since_ns: CLOCK_MONOTONIC of its present state
 * @backoff_ms: before the next attempt, unless a heartbeat says sooner that it is there
 * @is_dialled: by this node, the last time
 * @is_suspect: see peer_suspect()
 */
struct peer_dialling {
	const char *expected;
	uint64_t since_ns;
	uint32_t backoff_ms;
	bool is_dialled;
	bool is_suspect;
};

struct peer_dialling peer_dialling(const struct peer *p);
/* NULL unless up. */
struct conn *peer_conn(const struct peer *p);
/* End the session with ERROR @code and this text. */
void peer_reject(struct peer *p, enum fr_error_code code, const char *text);

#endif
