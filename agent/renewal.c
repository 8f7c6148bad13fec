// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is sent is split by MOVED, the last frame on the first connection: whoever has sent it
 * goes on with the second one, and whoever got it begins to read there. The listener does so
 * when it gets MOVE, the dialler when it gets the listener's MOVED. Until then the second
 * connection is held: what came on it is younger than what is still to come on the first.
 */
#include "renewal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "monotonic.h"

#define BEGIN_MS 5000	/* until both connections are there */
#define CLOSE_MS 30000	/* until the first one is empty */

static void set_state(struct renewal *r, enum renewal_state state)
{
	r->state = state;
	r->since_ns = monotonic_ns();
}

void renewal_reset(struct renewal *r)
{
	sd_event_source_set_enabled(r->turn, SD_EVENT_OFF);
	conn_free(r->other);
	r->other = NULL;
	r->conn = NULL;
	r->is_accepted = r->is_told = false;
	set_state(r, RENEWAL_NONE);
}

/* The session is still what it was, or not. */
static void give_up(struct renewal *r, const char *why)
{
	if (r->state == RENEWAL_CLOSING) {
		r->ops->lost(r->cookie, why);
		return;
	}
	/* Told that nothing more comes on the first one, there is no way back. */
	if (r->is_told || (r->state == RENEWAL_TURNING && !r->is_dialler)) {
		r->ops->lost(r->cookie, why);
		return;
	}
	renewal_reset(r);
	r->ops->failed(r->cookie, why);
}

static void finish(struct renewal *r)
{
	renewal_reset(r);
	r->ops->done(r->cookie);
}

/* --- the other connection --- */

static const struct conn_ops other_ops;

static void dial(struct renewal *r)
{
	set_state(r, RENEWAL_DIALLING);
	r->other = r->ops->dial(r->cookie, r->secret, &other_ops, r);
	if (!r->other)
		give_up(r, "cannot dial again");
}

static void on_ready(void *cookie, struct conn *c)
{
	uint8_t token[CONN_TOKEN_LEN];
	struct renewal *r = cookie;

	if (conn_token(r->conn, token) < 0 ||
	    conn_send_message(c, FR_FRAME_MOVE, 0, token, sizeof(token), NULL) < 0) {
		give_up(r, "no token for the second connection");
		return;
	}
	set_state(r, RENEWAL_AGREEING);
}

static void on_frame(void *cookie, struct conn *c, const struct fr_frame_head *head,
		     const uint8_t *payload, size_t len)
{
	struct renewal *r = cookie;
	struct fr_error m;

	if (r->state == RENEWAL_CLOSING) {
		r->ops->frame(r->cookie, c, head, payload, len);
		return;
	}
	if (head->type == FR_FRAME_ERROR && fr_error_decode(&m, payload, len) >= 0)
		give_up(r, m.text);
	else if (head->type != FR_FRAME_MOVED || renewal_on_moved(r, c) < 0)
		give_up(r, "protocol error on the second connection");
}

static void on_drained(void *cookie, struct conn *c)
{
	(void)cookie;
	(void)c;
}

static void on_closed(void *cookie, struct conn *c, const char *why)
{
	struct renewal *r = cookie;

	if (r->state == RENEWAL_CLOSING && r->is_dialler && !conn_queued(c)) {
		finish(r); /* the listener had our MOVED, and hung up */
		return;
	}
	if (r->state == RENEWAL_DIALLING && conn_is_rejected(c) && ++r->secret < r->n_secrets) {
		conn_free(c);
		dial(r);
		return;
	}
	give_up(r, why);
}

static const struct conn_ops other_ops = {
	.ready = on_ready,
	.frame = on_frame,
	.drained = on_drained,
	.closed = on_closed,
};

/* --- the turn --- */

/* Never inside a callback of either connection: they change places. */
static int on_turn(sd_event_source *s, void *cookie)
{
	struct renewal *r = cookie;
	int rc;

	(void)s;
	rc = conn_send_message(r->conn, FR_FRAME_MOVED, 0, NULL, 0, NULL);
	if (rc == -ENOBUFS)
		return 0; /* renewal_tend() tries again */
	if (rc < 0) {
		give_up(r, "the first connection broke");
		return 0;
	}
	conn_swap(r->conn, r->other);
	set_state(r, RENEWAL_CLOSING);
	if (r->is_dialler)
		conn_hold(r->conn, false);
	return 0;
}

static void turn_soon(struct renewal *r)
{
	set_state(r, RENEWAL_TURNING);
	sd_event_source_set_enabled(r->turn, SD_EVENT_ONESHOT);
}

int renewal_on_moved(struct renewal *r, struct conn *c)
{
	/* Listener: nothing more comes on the first one. */
	if (!r->is_dialler && r->state == RENEWAL_CLOSING && c == r->other) {
		conn_hold(r->conn, false);
		conn_flush(c);
		finish(r);
		return 0;
	}
	if (!r->is_dialler || r->state != RENEWAL_AGREEING)
		return -EBADMSG;
	if (c == r->other ? r->is_accepted : r->is_told)
		return -EBADMSG;
	if (c == r->other) {
		r->is_accepted = true;
		conn_hold(c, true);
	} else {
		r->is_told = true;
	}
	if (r->is_accepted && r->is_told)
		turn_soon(r);
	return 0;
}

void renewal_start(struct renewal *r, struct conn *conn, size_t n_secrets)
{
	if (r->state != RENEWAL_NONE)
		return;
	r->is_dialler = true;
	r->conn = conn;
	r->secret = 0;
	r->n_secrets = n_secrets;
	dial(r);
}

int renewal_accept(struct renewal *r, struct conn *conn, struct conn *second,
		   const uint8_t *payload, size_t len, const char **why)
{
	uint8_t token[CONN_TOKEN_LEN];

	if (r->state != RENEWAL_NONE) {
		*why = "the session is being renewed already";
		return -EBUSY;
	}
	if (len < sizeof(token) || conn_token(conn, token) < 0 ||
	    CRYPTO_memcmp(payload, token, sizeof(token)) != 0) {
		*why = "that is not the token of the session";
		return -EACCES;
	}
	if (conn_send_message(second, FR_FRAME_MOVED, 0, NULL, 0, NULL) < 0) {
		*why = "out of memory";
		return -ENOMEM;
	}
	r->is_dialler = false;
	r->conn = conn;
	r->other = second;
	conn_set_owner(second, &other_ops, r);
	conn_hold(second, true);
	turn_soon(r);
	return 0;
}

/* --- life --- */

void renewal_tend(struct renewal *r, uint64_t now_ns)
{
	uint64_t age_ms = (now_ns - r->since_ns) / 1000000;

	switch (r->state) {
	case RENEWAL_NONE:
		break;
	case RENEWAL_DIALLING:
	case RENEWAL_AGREEING:
		if (age_ms > BEGIN_MS)
			give_up(r, "the second connection: no answer in time");
		break;
	case RENEWAL_TURNING:
		sd_event_source_set_enabled(r->turn, SD_EVENT_ONESHOT);
		if (age_ms > CLOSE_MS)
			give_up(r, "the first connection takes nothing more");
		break;
	case RENEWAL_CLOSING:
		if (age_ms > CLOSE_MS)
			give_up(r, "the first connection is not closed in time");
		break;
	}
}

bool renewal_is_closing(const struct renewal *r)
{
	return r->state == RENEWAL_CLOSING;
}

int renewal_init(struct renewal *r, sd_event *event, const struct renewal_ops *ops, void *cookie)
{
	int rc;

	*r = (struct renewal){ .ops = ops, .cookie = cookie };
	rc = sd_event_add_defer(event, &r->turn, on_turn, r);
	if (rc >= 0) /* before the connections, which may always have something to do */
		rc = sd_event_source_set_priority(r->turn, SD_EVENT_PRIORITY_NORMAL - 6);
	return rc < 0 ? rc : sd_event_source_set_enabled(r->turn, SD_EVENT_OFF);
}

void renewal_exit(struct renewal *r)
{
	if (!r->turn)
		return;
	renewal_reset(r);
	r->turn = sd_event_source_disable_unref(r->turn);
}
