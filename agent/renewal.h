/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Renewal: a session moves to a second connection, which has keys of its own, and the
 * first one is closed (docs/protocol.md, Renewal). Make before break: frames go on both ways,
 * none is lost, doubled or overtaken by a later one. If the second connection does not come
 * about, the session goes on as it was.
 *
 * The struct conn of the session stays the same for all who know it; what carries it changes.
 */
#ifndef RENEWAL_H
#define RENEWAL_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "conn.h"

enum renewal_state {
	RENEWAL_NONE,
	RENEWAL_DIALLING,	/* dialler: TCP and TLS of the second connection */
	RENEWAL_AGREEING,	/* dialler: MOVE sent on it; MOVED is awaited on both */
	RENEWAL_TURNING,	/* nothing more will be sent on the first connection but MOVED */
	RENEWAL_CLOSING,	/* the first one carries what was sent on it before */
};

/**
 * struct renewal_ops - what the owner hears and does
 * @dial: connect to the peer once more, with this secret. NULL: no
 * @frame: a frame of the session came on the first connection; the renewal may be reset inside
 * @done: the first connection is closed
 * @failed: the session goes on under its old keys
 * @lost: the session cannot go on; the renewal is to be reset inside
 */
struct renewal_ops {
	struct conn *(*dial)(void *cookie, size_t secret, const struct conn_ops *ops,
			     void *ops_cookie);
	void (*frame)(void *cookie, struct conn *c, const struct fr_frame_head *head,
		      const uint8_t *payload, size_t len);
	void (*done)(void *cookie);
	void (*failed)(void *cookie, const char *why);
	void (*lost)(void *cookie, const char *why);
};

struct renewal {
	const struct renewal_ops *ops;
	void *cookie;
	sd_event_source *turn;
	enum renewal_state state;
	bool is_dialler;
	struct conn *conn;	/* of the session, not ours */
	struct conn *other;	/* the second connection; from RENEWAL_CLOSING on, the first */
	uint64_t since_ns;
	size_t secret;		/* dialler: offered */
	size_t n_secrets;
	bool is_accepted;	/* dialler: MOVED came on the second connection */
	bool is_told;		/* dialler: and on the first */
};

/* -errno */
int renewal_init(struct renewal *r, sd_event *event, const struct renewal_ops *ops, void *cookie);
void renewal_exit(struct renewal *r);
/* The session is over. */
void renewal_reset(struct renewal *r);

/**
 * renewal_start - dialler: renew the session on this connection
 * @n_secrets: that may be offered, one after the other
 * Nothing, if it is being renewed.
 */
void renewal_start(struct renewal *r, struct conn *conn, size_t n_secrets);
/**
 * renewal_accept - listener: a second connection of the same node began with MOVE
 * @conn: of the session
 * @second: ours from here on, if 0 is returned
 * Return: 0, or -errno with *why
 */
int renewal_accept(struct renewal *r, struct conn *conn, struct conn *second,
		   const uint8_t *payload, size_t len, const char **why);
/*
 * MOVED came on this connection: that of the session, or the one given to ops->frame.
 * -EBADMSG: unexpected
 */
int renewal_on_moved(struct renewal *r, struct conn *c);
/* The clock: give up what takes too long. */
void renewal_tend(struct renewal *r, uint64_t now_ns);
/* The connection of the session is not read for now, so its silence means nothing. */
bool renewal_is_closing(const struct renewal *r);

#endif
