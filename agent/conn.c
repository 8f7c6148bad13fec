// SPDX-License-Identifier: GPL-2.0-or-later

#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monotonic.h"

#define RX_START_LEN	(64u << 10)
#define TX_START_LEN	(64u << 10)
#define READS_MAX	32	/* TLS records taken in one go, before others get the loop */

/* Who hears of it: stays when connections change places. */
struct owner {
	const struct conn_ops *ops;
	void *cookie;
	bool *is_freed;			/* set while a callback may free us */
};

struct conn {
	sd_event *event;
	struct owner owner;
	int fd;
	struct tls *tls;
	struct fr_squeeze *squeeze;
	sd_event_source *io;
	sd_event_source *again;		/* TLS holds more than one go took */
	bool is_connected;
	bool is_ready;
	bool is_closed;
	bool is_rejected;
	bool is_held;			/* nothing is taken in */

	uint8_t *rx;
	size_t rx_len;
	size_t rx_size;
	uint8_t *tx;
	size_t tx_start;
	size_t tx_len;
	size_t tx_size;
	uint64_t ready_ns;
	uint64_t last_rx_ns;
	uint64_t rx_bytes;
	uint64_t tx_bytes;
};

static void fail(struct conn *c, const char *why)
{
	char text[256];

	if (c->is_closed)
		return;
	/* The owner may free us, and what the text is part of. */
	snprintf(text, sizeof(text), "%s", why);
	c->is_closed = true;
	sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
	sd_event_source_set_enabled(c->again, SD_EVENT_OFF);
	c->owner.ops->closed(c->owner.cookie, c, text);
}

/* Call out; false: the callee freed us. */
#define CALL(whose, call) ({			\
	struct conn *conn_ = (whose);		\
	bool freed_ = false;			\
	bool *outer_ = conn_->owner.is_freed;		\
	conn_->owner.is_freed = &freed_;		\
	call;					\
	if (freed_) {				\
		if (outer_)			\
			*outer_ = true;		\
	} else {				\
		conn_->owner.is_freed = outer_;	\
	}					\
	!freed_;				\
})

static void want(struct conn *c, uint32_t events)
{
	uint32_t now = 0;

	sd_event_source_get_io_events(c->io, &now);
	if (now != events)
		sd_event_source_set_io_events(c->io, events);
}

/* One that is held and has nothing to send would be told again and again that its end is near. */
static void want_more(struct conn *c)
{
	uint32_t events = (c->is_held ? 0 : EPOLLIN) | (c->tx_len ? EPOLLOUT : 0);

	if (events)
		want(c, events);
	sd_event_source_set_enabled(c->io, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int grow(uint8_t **buf, size_t *size, size_t need)
{
	size_t n = *size;
	uint8_t *p;

	while (n < need)
		n *= 2;
	if (n == *size)
		return 0;
	p = realloc(*buf, n);
	if (!p)
		return -ENOMEM;
	*buf = p;
	*size = n;
	return 0;
}

/* Return: 0 all sent or as much as goes, -errno */
static int flush(struct conn *c)
{
	ssize_t n;

	while (c->tx_len) {
		n = tls_write(c->tls, c->tx + c->tx_start, c->tx_len);
		if (n == -EAGAIN)
			break;
		if (n < 0)
			return n;
		c->tx_start += n;
		c->tx_len -= n;
		c->tx_bytes += n;
	}
	if (!c->tx_len)
		c->tx_start = 0;
	return 0;
}

/* Hand out the frames that are complete; false: freed or failed. */
static bool take_frames(struct conn *c)
{
	size_t pos = 0;

	while (!c->is_held && c->rx_len - pos >= FR_FRAME_HEAD_LEN) {
		struct fr_frame_head head;
		const uint8_t *payload;
		size_t len;
		int rc = fr_frame_head_decode(&head, c->rx + pos);

		if (rc < 0) {
			fail(c, rc == -EMSGSIZE ? "a frame is too long" :
						  "a frame head is malformed");
			return false;
		}
		if (c->rx_len - pos < FR_FRAME_HEAD_LEN + head.len) {
			if (grow(&c->rx, &c->rx_size, FR_FRAME_HEAD_LEN + head.len)) {
				fail(c, "out of memory");
				return false;
			}
			break;
		}
		rc = fr_squeeze_unpack(c->squeeze, c->rx + pos + FR_FRAME_HEAD_LEN, head.len,
				       head.flags, &payload, &len);
		if (rc < 0) {
			fail(c, "a frame does not decompress");
			return false;
		}
		if (!CALL(c, c->owner.ops->frame(c->owner.cookie, c, &head, payload, len)))
			return false;
		if (c->is_closed)
			return false;
		pos += FR_FRAME_HEAD_LEN + head.len;
	}
	memmove(c->rx, c->rx + pos, c->rx_len - pos);
	c->rx_len -= pos;
	return true;
}

static void read_some(struct conn *c)
{
	int i;

	/* What came before it was held. */
	if (c->rx_len && !take_frames(c))
		return;
	for (i = 0; i < READS_MAX && !c->is_held; i++) {
		ssize_t n;

		if (c->rx_size == c->rx_len && grow(&c->rx, &c->rx_size, c->rx_size + 1)) {
			fail(c, "out of memory");
			return;
		}
		n = tls_read(c->tls, c->rx + c->rx_len, c->rx_size - c->rx_len);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			fail(c, n ? tls_error(c->tls) : "closed by the other side");
			return;
		}
		c->last_rx_ns = monotonic_ns();
		c->rx_bytes += n;
		c->rx_len += n;
		if (!take_frames(c))
			return;
	}
	if (!c->is_held && tls_pending(c->tls))
		sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
}

static int shake_hands(struct conn *c)
{
	int rc, err = 0;
	socklen_t len = sizeof(err);

	if (!c->is_connected) {
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
			err = errno;
		if (err) {
			fail(c, strerror(err));
			return -err;
		}
		c->is_connected = true;
	}
	rc = tls_handshake(c->tls);
	if (rc == -EAGAIN) {
		want(c, tls_events(c->tls));
		return rc;
	}
	if (rc < 0) {
		c->is_rejected = rc == -EKEYREJECTED;
		fail(c, tls_error(c->tls));
		return rc;
	}
	c->is_ready = true;
	c->ready_ns = c->last_rx_ns = monotonic_ns();
	want(c, EPOLLIN);
	return CALL(c, c->owner.ops->ready(c->owner.cookie, c)) && !c->is_closed ? 0 : -ECONNRESET;
}

static void work(struct conn *c)
{
	bool had_tx;

	if (!c->is_ready && shake_hands(c) < 0)
		return;
	if (!CALL(c, read_some(c)) || c->is_closed)
		return;
	had_tx = c->tx_len;
	if (flush(c) < 0) {
		fail(c, tls_error(c->tls));
		return;
	}
	if (had_tx && !c->tx_len && !CALL(c, c->owner.ops->drained(c->owner.cookie, c)))
		return;
	if (!c->is_closed)
		want_more(c);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *cookie)
{
	(void)s;
	(void)fd;
	(void)revents;
	work(cookie);
	return 0;
}

static int on_again(sd_event_source *s, void *cookie)
{
	(void)s;
	work(cookie);
	return 0;
}

struct conn *conn_new(sd_event *event, struct tls_keys *keys, int fd, const char *dialled,
		      int (*is_allowed)(void *cookie, const char *peer_id),
		      const struct conn_ops *ops, void *cookie)
{
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1, timeout_ms = 10000;

	if (!c) {
		close(fd);
		return NULL;
	}
	c->event = sd_event_ref(event);
	c->fd = fd;
	c->owner.ops = ops;
	c->owner.cookie = cookie;
	c->last_rx_ns = monotonic_ns();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	c->rx = malloc(c->rx_size = RX_START_LEN);
	c->tx = malloc(c->tx_size = TX_START_LEN);
	c->squeeze = fr_squeeze_new();
	c->tls = tls_new(keys, fd, dialled, is_allowed, cookie);
	if (!c->rx || !c->tx || !c->squeeze || !c->tls ||
	    sd_event_add_io(event, &c->io, fd, EPOLLIN | EPOLLOUT, on_io, c) < 0 ||
	    sd_event_add_defer(event, &c->again, on_again, c) < 0) {
		conn_free(c);
		return NULL;
	}
	sd_event_source_set_priority(c->io, SD_EVENT_PRIORITY_NORMAL - 5);
	sd_event_source_set_priority(c->again, SD_EVENT_PRIORITY_NORMAL - 5);
	sd_event_source_set_enabled(c->again, SD_EVENT_OFF);
	return c;
}

void conn_free(struct conn *c)
{
	if (!c)
		return;
	if (c->owner.is_freed)
		*c->owner.is_freed = true;
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->again);
	tls_free(c->tls);
	close(c->fd);
	fr_squeeze_free(c->squeeze);
	free(c->rx);
	free(c->tx);
	sd_event_unref(c->event);
	free(c);
}

void conn_offer(struct conn *c, size_t secret)
{
	tls_offer(c->tls, secret);
}

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *cookie)
{
	c->owner.ops = ops;
	c->owner.cookie = cookie;
}

void conn_swap(struct conn *a, struct conn *b)
{
	const struct owner owner_a = a->owner, owner_b = b->owner;
	const struct conn was_a = *a;

	*a = *b;
	*b = was_a;
	a->owner = owner_a;
	b->owner = owner_b;
	sd_event_source_set_userdata(a->io, a);
	sd_event_source_set_userdata(a->again, a);
	sd_event_source_set_userdata(b->io, b);
	sd_event_source_set_userdata(b->again, b);
}

void conn_hold(struct conn *c, bool hold)
{
	c->is_held = hold;
	if (c->is_closed)
		return;
	want_more(c);
	if (!hold)
		sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
}

int conn_token(const struct conn *c, uint8_t token[CONN_TOKEN_LEN])
{
	return tls_export(c->tls, "EXPORTER-flyrep-session", token, CONN_TOKEN_LEN);
}

static int queue(struct conn *c, const void *buf, size_t len)
{
	if (c->tx_start && c->tx_start + c->tx_len + len > c->tx_size) {
		memmove(c->tx, c->tx + c->tx_start, c->tx_len);
		c->tx_start = 0;
	}
	if (grow(&c->tx, &c->tx_size, c->tx_start + c->tx_len + len))
		return -ENOMEM;
	memcpy(c->tx + c->tx_start + c->tx_len, buf, len);
	c->tx_len += len;
	return 0;
}

int conn_send(struct conn *c, const void *frame, size_t len)
{
	int rc;

	if (!c->is_ready || c->is_closed)
		return -ENOTCONN;
	if (c->tx_len + len > CONN_TX_MAX)
		return -ENOBUFS;
	rc = queue(c, frame, len);
	if (rc < 0)
		return rc;
	/* An idle link sends at once; an error shows at the next event. */
	if (c->tx_len == len && flush(c) < 0)
		c->tx_len = c->tx_start = 0;
	want_more(c);
	return 0;
}

int conn_send_message(struct conn *c, uint8_t type, uint8_t table, const void *payload,
		      size_t len, struct fr_squeeze *squeeze)
{
	struct fr_frame_head head = { .type = type, .table = table };
	uint8_t *frame = malloc(FR_FRAME_HEAD_LEN + len);
	ssize_t n = len;
	int rc;

	if (!frame)
		return -ENOMEM;
	if (squeeze)
		n = fr_squeeze_pack(squeeze, frame + FR_FRAME_HEAD_LEN, len, payload, len,
				    &head.flags);
	else if (len)
		memcpy(frame + FR_FRAME_HEAD_LEN, payload, len);
	if (n >= 0) {
		head.len = n;
		fr_frame_head_encode(frame, &head);
		rc = conn_send(c, frame, FR_FRAME_HEAD_LEN + n);
	} else {
		rc = n;
	}
	free(frame);
	return rc;
}

size_t conn_queued(const struct conn *c)
{
	return c->tx_len;
}

const char *conn_peer_id(const struct conn *c)
{
	return tls_peer_id(c->tls);
}

bool conn_is_peer(const struct conn *c, const char *id)
{
	return tls_is_peer(c->tls, id);
}

int conn_secret(const struct conn *c)
{
	return tls_secret(c->tls);
}

bool conn_is_rejected(const struct conn *c)
{
	return c->is_rejected;
}

uint64_t conn_idle_ms(const struct conn *c)
{
	return (monotonic_ns() - c->last_rx_ns) / 1000000;
}

uint64_t conn_age_ms(const struct conn *c)
{
	return c->is_ready ? (monotonic_ns() - c->ready_ns) / 1000000 : 0;
}

uint64_t conn_rx_bytes(const struct conn *c)
{
	return c->rx_bytes;
}

uint64_t conn_tx_bytes(const struct conn *c)
{
	return c->tx_bytes;
}

void conn_flush(struct conn *c)
{
	if (!c->is_ready || c->is_closed)
		return;
	if (!flush(c))
		tls_shutdown(c->tls);
}
