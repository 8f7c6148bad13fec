// SPDX-License-Identifier: GPL-2.0-or-later

#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "certs.h"
#include "log.h"
#include "monotonic.h"
#include "renewal.h"

#define BACKOFF_MIN_MS	1000
#define BACKOFF_MAX_MS	4000	/* a SYN costs nothing; each second without the peer may */
#define GREET_MS	5000	/* TCP, TLS and HELLO together */
#define PING_MS		1000
#define SILENT_MS	10000	/* no byte for this long: it is gone */
#define SUSPECT_MS	3000	/* likewise, if it gives no other sign of life either */
#define ALIVE_MS	3000	/* heard within this: a second session with its id is refused */
#define RENEW_AGAIN_MS	10000	/* after a renewal that failed */
#define GUESTS_MAX	16	/* accepted, not yet greeted */

struct guest {
	struct peers *peers;
	struct conn *conn;
	uint64_t since_ns;
};

struct peers {
	sd_event *event;
	const struct fr_config *config;
	struct tls_keys *keys;
	const struct peer_ops *ops;
	void *cookie;
	int listen_fd;
	sd_event_source *listen;
	sd_event_source *tick;
	struct guest guests[GUESTS_MAX];
	struct fr_log_limit log_limit;
	size_t n;
	struct peer *peer;
};

struct peer {
	struct peers *peers;
	void *cookie;
	enum peer_state state;
	bool is_to_dial;		/* whenever there is no session */
	bool is_dialled;		/* by us, the connection that there is, or was last */
	bool is_suspect;
	char expected[FR_NODE_ID_MAX_LEN + 1];	/* "*": whoever answers there */
	char id[FR_NODE_ID_MAX_LEN + 1];
	struct fr_address address[2 * FR_CONFIG_ADDRESSES_MAX];	/* as peer, and as primary */
	size_t n_addresses;
	size_t at;			/* the one in use, or next to be dialled */
	unsigned int n_tried;		/* in vain, since there was a session */
	char address_text[FR_ADDRESS_TEXT_LEN];
	struct conn *conn;
	struct renewal renewal;		/* of that connection, and its keys */
	uint64_t next_renewal_ns;
	uint64_t n_renewals;
	char renewal_trouble[256];
	struct fr_hello hello;
	uint8_t wire;			/* version of the session */
	uint64_t since_ns;		/* of the state */
	uint64_t next_dial_ns;
	uint32_t backoff_ms;
	size_t secret;			/* offered */
	uint64_t next_ping_ns;
	uint64_t ping_ns;
	uint64_t rtt_ns;
	uint64_t remote_pending;
	uint64_t rx_bytes;
	uint64_t tx_bytes;
	char trouble[256];
};

static const char *const state_names[] = {
	[PEER_DOWN] = "down",
	[PEER_CONNECTING] = "connecting",
	[PEER_GREETING] = "greeting",
	[PEER_UP] = "up",
};

const char *peer_state_name(enum peer_state state)
{
	return state_names[state];
}

static void set_state(struct peer *p, enum peer_state state)
{
	p->state = state;
	p->since_ns = monotonic_ns();
}

static uint32_t jitter(uint32_t ms)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = monotonic_ns();
	return ms / 2 + r % (ms / 2 + 1);
}

/* What was used last, or tried, does not answer: the next one. */
static void turn_to_next(struct peer *p)
{
	if (!p->is_to_dial)
		return;
	p->n_tried++;
	p->at = (p->at + 1) % p->n_addresses;
	fr_address_format(&p->address[p->at], p->address_text);
}

/* Forget the session; @why NULL: nothing to say. */
static void end_session(struct peer *p, const char *why)
{
	bool was_up = p->state == PEER_UP;

	renewal_reset(&p->renewal);
	p->renewal_trouble[0] = '\0';
	if (p->conn) {
		p->rx_bytes += conn_rx_bytes(p->conn);
		p->tx_bytes += conn_tx_bytes(p->conn);
		conn_free(p->conn);
		p->conn = NULL;
	}
	if (why && !was_up && strcmp(p->trouble, why) != 0)
		fr_warn("replication: peer %s: %s", peer_id(p), why);
	if (why)
		snprintf(p->trouble, sizeof(p->trouble), "%s", why);
	set_state(p, PEER_DOWN);
	if (was_up)
		p->backoff_ms = BACKOFF_MIN_MS;
	p->next_dial_ns = monotonic_ns() + jitter(p->backoff_ms) * 1000000ull;
	turn_to_next(p);
	if (p->n_tried % p->n_addresses)
		p->next_dial_ns = 0; /* over another link at once */
	else
		p->backoff_ms = p->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS :
								     p->backoff_ms * 2;
	if (was_up)
		p->peers->ops->down(p->peers->cookie, p);
}

static void send_error(struct conn *c, enum fr_error_code code, const char *text)
{
	struct fr_error m = { .code = code };
	uint8_t buf[sizeof(m) + 16];
	struct fr_writer w;

	snprintf(m.text, sizeof(m.text), "%s", text);
	fr_writer_init(&w, buf, sizeof(buf));
	fr_error_encode(&w, &m);
	conn_send_message(c, FR_FRAME_ERROR, 0, buf, fr_writer_len(&w), NULL);
	conn_flush(c);
}

void peer_reject(struct peer *p, enum fr_error_code code, const char *text)
{
	if (p->conn)
		send_error(p->conn, code, text);
	end_session(p, text);
}

/* A node that does not tell its life, its ledger or its distance can only be one of a pair. */
static uint8_t wire_min(const struct fr_config *config)
{
	bool is_pair = config->mode == FR_CONFIG_PRIMARY || config->mode == FR_CONFIG_REPLICA;

	return is_pair ? FR_WIRE_VERSION_MIN : FR_WIRE_VERSION_MANY;
}

static void send_hello(struct peers *ps, const struct peer *p, struct conn *c)
{
	struct fr_hello h = { .wire_min = wire_min(ps->config), .wire_max = FR_WIRE_VERSION };
	struct timespec ts;
	uint8_t buf[512];
	struct fr_writer w;

	clock_gettime(CLOCK_REALTIME, &ts);
	h.now_us = ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
	snprintf(h.node_id, sizeof(h.node_id), "%s", ps->config->node_id);
	snprintf(h.version, sizeof(h.version), "%s", FLYREP_VERSION);
	ps->ops->hello(ps->cookie, p, &h);
	fr_writer_init(&w, buf, sizeof(buf));
	fr_hello_encode(&w, &h);
	conn_send_message(c, FR_FRAME_HELLO, 0, buf, fr_writer_len(&w), NULL);
}

static void send_ping(struct peer *p)
{
	struct fr_ping m = { .token = monotonic_ns(),
			     .pending = p->peers->ops->pending(p->peers->cookie, p) };
	uint8_t buf[16];
	struct fr_writer w;

	fr_writer_init(&w, buf, sizeof(buf));
	fr_ping_encode(&w, &m);
	conn_send_message(p->conn, FR_FRAME_PING, 0, buf, fr_writer_len(&w), NULL);
	p->next_ping_ns = m.token + PING_MS * 1000000ull;
}

static void on_hello(struct peer *p, const uint8_t *payload, size_t len)
{
	struct peers *ps = p->peers;
	char text[200];

	if (p->state != PEER_GREETING || fr_hello_decode(&p->hello, payload, len) < 0) {
		peer_reject(p, FR_ERROR_PROTOCOL, "malformed or second HELLO");
		return;
	}
	p->wire = fr_wire_common(wire_min(ps->config), FR_WIRE_VERSION, &p->hello);
	if (!p->wire) {
		snprintf(text, sizeof(text),
			 "speaks wire version %u to %u, this node in mode %s %u to %u",
			 p->hello.wire_min, p->hello.wire_max,
			 fr_config_mode_name(ps->config->mode), wire_min(ps->config),
			 FR_WIRE_VERSION);
		peer_reject(p, FR_ERROR_VERSION, text);
		return;
	}
	if (!strcmp(p->hello.node_id, ps->config->node_id)) {
		snprintf(text, sizeof(text), "has this node's own id %s", ps->config->node_id);
		peer_reject(p, FR_ERROR_IDENTITY, text);
		return;
	}
	if (strcmp(p->expected, "*") != 0 && strcmp(p->hello.node_id, p->expected) != 0) {
		snprintf(text, sizeof(text), "calls itself %s, expected %s", p->hello.node_id,
			 p->expected);
		peer_reject(p, FR_ERROR_IDENTITY, text);
		return;
	}
	if (!conn_is_peer(p->conn, p->hello.node_id)) {
		snprintf(text, sizeof(text), "calls itself %s, but its certificate does not",
			 p->hello.node_id);
		peer_reject(p, FR_ERROR_IDENTITY, text);
		return;
	}
	snprintf(p->id, sizeof(p->id), "%s", p->hello.node_id);
	p->backoff_ms = BACKOFF_MIN_MS;
	p->trouble[0] = '\0';
	p->n_tried = 0;
	p->next_renewal_ns = 0;
	set_state(p, PEER_UP);
	send_ping(p);
	ps->ops->up(ps->cookie, p, &p->hello);
}

static void on_ping(struct peer *p, const uint8_t *payload, size_t len)
{
	struct fr_ping m;
	uint8_t buf[8];
	struct fr_writer w;

	if (fr_ping_decode(&m, payload, len) < 0) {
		peer_reject(p, FR_ERROR_PROTOCOL, "malformed PING");
		return;
	}
	p->remote_pending = m.pending;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_put_be64(&w, m.token);
	conn_send_message(p->conn, FR_FRAME_PONG, 0, buf, sizeof(buf), NULL);
}

static void on_pong(struct peer *p, const uint8_t *payload, size_t len)
{
	uint64_t token, now = monotonic_ns();
	struct fr_reader r;

	fr_reader_init(&r, payload, len);
	token = fr_get_be64(&r);
	if (!r.bad && token <= now)
		p->rtt_ns = now - token;
}

static void on_error(struct peer *p, const uint8_t *payload, size_t len)
{
	struct fr_error m;
	char text[256];

	if (fr_error_decode(&m, payload, len) < 0)
		snprintf(m.text, sizeof(m.text), "(malformed)");
	snprintf(text, sizeof(text), "%s: %s",
		 m.code == FR_ERROR_SHUTDOWN ? "ends the session" : "refuses us", m.text);
	end_session(p, text);
}

static int renew(struct peer *p);

static void on_frame(void *cookie, struct conn *c, const struct fr_frame_head *head,
		     const uint8_t *payload, size_t len)
{
	struct peer *p = cookie;
	const char *why = "protocol error";
	char text[256];

	if (head->type == FR_FRAME_HELLO) {
		on_hello(p, payload, len);
		return;
	}
	if (head->type == FR_FRAME_ERROR) {
		on_error(p, payload, len);
		return;
	}
	if (p->state != PEER_UP) {
		peer_reject(p, FR_ERROR_PROTOCOL, "a message before HELLO");
		return;
	}
	if (p->wire < FR_WIRE_VERSION_PAUSE && head->type >= FR_FRAME_PAUSE) {
		snprintf(text, sizeof(text), "%s in wire version %u",
			 fr_frame_type_name(head->type), p->wire);
		peer_reject(p, FR_ERROR_PROTOCOL, text);
	} else if (head->type == FR_FRAME_PING) {
		on_ping(p, payload, len);
	} else if (head->type == FR_FRAME_PONG) {
		on_pong(p, payload, len);
	} else if (head->type == FR_FRAME_RENEW) {
		renew(p);
	} else if (head->type == FR_FRAME_MOVED) {
		if (renewal_on_moved(&p->renewal, c) < 0)
			peer_reject(p, FR_ERROR_PROTOCOL, "MOVED out of turn");
	} else if (p->peers->ops->frame(p->peers->cookie, p, head, payload, len, &why) < 0) {
		snprintf(text, sizeof(text), "%s: %s", fr_frame_type_name(head->type), why);
		peer_reject(p, FR_ERROR_PROTOCOL, text);
	}
}

static void on_drained(void *cookie, struct conn *c)
{
	struct peer *p = cookie;

	(void)c;
	if (p->state == PEER_UP)
		p->peers->ops->drained(p->peers->cookie, p);
}

static void dial(struct peer *p);

/* While a new secret rolls out: what it does not know may be the new one. */
static bool try_next_secret(struct peer *p)
{
	if (!p->is_dialled || !conn_is_rejected(p->conn) ||
	    ++p->secret >= tls_keys_n_secrets(p->peers->keys))
		return false;
	conn_free(p->conn);
	p->conn = NULL;
	dial(p);
	return true;
}

static void on_closed(void *cookie, struct conn *c, const char *why)
{
	struct peer *p = cookie;

	(void)c;
	if (p->state != PEER_CONNECTING || !try_next_secret(p))
		end_session(p, why);
}

static void on_ready(void *cookie, struct conn *c)
{
	struct peer *p = cookie;

	set_state(p, PEER_GREETING);
	send_hello(p->peers, p, c);
}

static const struct conn_ops conn_ops = {
	.ready = on_ready,
	.frame = on_frame,
	.drained = on_drained,
	.closed = on_closed,
};

/* A connection on its way; NULL, with the reason in @why. */
static struct conn *connect_to(struct peer *p, size_t secret, const struct conn_ops *ops,
			       void *cookie, char *why, size_t why_len)
{
	const struct fr_address *a = &p->address[p->at];
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct conn *c;

	if (fd < 0) {
		snprintf(why, why_len, "%s", strerror(errno));
		return NULL;
	}
	if (connect(fd, (const struct sockaddr *)&a->sa, a->sa_len) < 0 &&
	    errno != EINPROGRESS) {
		snprintf(why, why_len, "cannot connect to %s: %s", p->address_text,
			 strerror(errno));
		close(fd);
		return NULL;
	}
	c = conn_new(p->peers->event, p->peers->keys, fd, p->expected, NULL, ops, cookie);
	if (c)
		conn_offer(c, secret);
	else
		snprintf(why, why_len, "out of memory");
	return c;
}

static void dial(struct peer *p)
{
	char why[128];

	set_state(p, PEER_CONNECTING);
	p->is_dialled = true;
	p->conn = connect_to(p, p->secret, &conn_ops, p, why, sizeof(why));
	if (!p->conn)
		end_session(p, why);
}

/* --- new keys for a session --- */

static struct conn *on_renewal_dial(void *cookie, size_t secret, const struct conn_ops *ops,
				    void *ops_cookie)
{
	struct peer *p = cookie;
	char why[128];

	return connect_to(p, secret, ops, ops_cookie, why, sizeof(why));
}

static void on_renewal_frame(void *cookie, struct conn *c, const struct fr_frame_head *head,
			     const uint8_t *payload, size_t len)
{
	on_frame(cookie, c, head, payload, len);
}

static void on_renewed(void *cookie)
{
	struct peer *p = cookie;

	p->n_renewals++;
	p->renewal_trouble[0] = '\0';
	p->next_renewal_ns = 0;
	fr_info("replication: peer %s: the session has fresh keys", peer_id(p));
}

static void on_renewal_failed(void *cookie, const char *why)
{
	struct peer *p = cookie;

	if (strcmp(p->renewal_trouble, why))
		fr_warn("replication: peer %s: the keys were not replaced: %s", peer_id(p), why);
	snprintf(p->renewal_trouble, sizeof(p->renewal_trouble), "%s", why);
	p->next_renewal_ns = monotonic_ns() + RENEW_AGAIN_MS * 1000000ull;
}

static void on_renewal_lost(void *cookie, const char *why)
{
	end_session(cookie, why);
}

static const struct renewal_ops renewal_ops = {
	.dial = on_renewal_dial,
	.frame = on_renewal_frame,
	.done = on_renewed,
	.failed = on_renewal_failed,
	.lost = on_renewal_lost,
};

/* -errno: it could not be begun */
static int renew(struct peer *p)
{
	/* Whichever end wants it, the one that dialled dials again. */
	p->next_renewal_ns = monotonic_ns() + RENEW_AGAIN_MS * 1000000ull;
	if (!p->is_dialled)
		return conn_send_message(p->conn, FR_FRAME_RENEW, 0, NULL, 0, NULL);
	renewal_start(&p->renewal, p->conn, tls_keys_n_secrets(p->peers->keys));
	return 0;
}

int peer_renew(struct peer *p)
{
	if (p->state != PEER_UP)
		return -ENOTCONN;
	p->renewal_trouble[0] = '\0';
	return renew(p);
}

/* Are the keys old enough? */
static void tend_keys(struct peer *p, uint64_t now)
{
	uint64_t rotation_ms = p->peers->config->auth.key_rotation_ms;

	renewal_tend(&p->renewal, now);
	if (p->state == PEER_UP && rotation_ms && conn_age_ms(p->conn) >= rotation_ms &&
	    now >= p->next_renewal_ns)
		renew(p);
}

/* --- those who dial us --- */

static struct peer *find(struct peers *ps, const char *id)
{
	size_t i;

	for (i = 0; i < ps->n; i++)
		if (!strcmp(ps->peer[i].expected, id) || !strcmp(ps->peer[i].id, id))
			return &ps->peer[i];
	return NULL;
}

static int is_allowed(void *cookie, const char *id)
{
	struct guest *g = cookie;

	return strcmp(id, g->peers->config->node_id) != 0 && find(g->peers, id);
}

static void dismiss(struct guest *g)
{
	conn_free(g->conn);
	g->conn = NULL;
}

static void on_guest_closed(void *cookie, struct conn *c, const char *why)
{
	struct guest *g = cookie;

	(void)c;
	if (fr_log_allow(&g->peers->log_limit, "replication: guests"))
		fr_warn("replication: a connection was refused: %s", why);
	dismiss(g);
}

static void on_guest_frame(void *cookie, struct conn *c, const struct fr_frame_head *head,
			   const uint8_t *payload, size_t len);

static void on_guest_ready(void *cookie, struct conn *c)
{
	struct guest *g = cookie;
	struct peers *ps = g->peers;

	if (!ps->ops->may_greet(ps->cookie)) {
		send_error(c, FR_ERROR_INTERNAL, "not ready yet");
		dismiss(g);
	}
}

static void on_guest_drained(void *cookie, struct conn *c)
{
	(void)cookie;
	(void)c;
}

static const struct conn_ops guest_ops = {
	.ready = on_guest_ready,
	.frame = on_guest_frame,
	.drained = on_guest_drained,
	.closed = on_guest_closed,
};

static void refuse(struct guest *g, enum fr_error_code code, const char *text)
{
	send_error(g->conn, code, text);
	dismiss(g);
}

/* A second connection for a session that there is. */
static void on_move(struct guest *g, struct peer *p, const uint8_t *payload, size_t len)
{
	const char *why = "there is no session to move";
	int rc = -ENOENT;

	if (p->state == PEER_UP && !p->is_dialled)
		rc = renewal_accept(&p->renewal, p->conn, g->conn, payload, len, &why);
	if (!rc) {
		g->conn = NULL;
		return;
	}
	fr_warn("replication: peer %s: a second connection was refused: %s", peer_id(p), why);
	refuse(g, rc == -EACCES ? FR_ERROR_IDENTITY : FR_ERROR_INTERNAL, why);
}

static void on_guest_frame(void *cookie, struct conn *c, const struct fr_frame_head *head,
			   const uint8_t *payload, size_t len)
{
	struct guest *g = cookie;
	struct peer *p = find(g->peers, conn_peer_id(c));

	if (!p) {
		dismiss(g);
		return;
	}
	if (head->type == FR_FRAME_MOVE) {
		on_move(g, p, payload, len);
		return;
	}
	if (p->conn && p->state == PEER_UP && conn_idle_ms(p->conn) < ALIVE_MS) {
		fr_warn("replication: peer %s: a second node uses this id, refused", peer_id(p));
		refuse(g, FR_ERROR_IDENTITY, "a node with this id is connected already");
		return;
	}
	if (p->conn)
		end_session(p, "replaced by a new connection of the same node");
	g->conn = NULL;
	p->is_dialled = false;
	p->conn = c;
	conn_set_owner(c, &conn_ops, p);
	set_state(p, PEER_GREETING);
	send_hello(p->peers, p, c);
	on_frame(p, c, head, payload, len);
}

static int on_accept(sd_event_source *s, int listen_fd, uint32_t revents, void *cookie)
{
	struct peers *ps = cookie;
	struct guest *g = NULL;
	size_t i;
	int fd;

	(void)s;
	(void)revents;
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return 0;
	for (i = 0; i < GUESTS_MAX && !g; i++)
		if (!ps->guests[i].conn)
			g = &ps->guests[i];
	if (!g) {
		if (fr_log_allow(&ps->log_limit, "replication: guests"))
			fr_warn("replication: too many connections at once, one refused");
		close(fd);
		return 0;
	}
	g->peers = ps;
	g->since_ns = monotonic_ns();
	g->conn = conn_new(ps->event, ps->keys, fd, NULL, is_allowed, &guest_ops, g);
	return 0;
}

static int open_listener(struct peers *ps)
{
	const struct fr_address *a = &ps->config->listen_addr;
	char text[FR_ADDRESS_TEXT_LEN];
	int one = 1, rc;

	ps->listen_fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ps->listen_fd < 0)
		return -errno;
	setsockopt(ps->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(ps->listen_fd, (const struct sockaddr *)&a->sa, a->sa_len) < 0 ||
	    listen(ps->listen_fd, GUESTS_MAX) < 0) {
		rc = -errno;
		fr_err("replication: cannot listen on %s: %s", fr_address_format(a, text),
		       strerror(-rc));
		return rc;
	}
	return sd_event_add_io(ps->event, &ps->listen, ps->listen_fd, EPOLLIN, on_accept, ps);
}

/* --- time --- */

static bool is_silent(const struct peer *p)
{
	return conn_idle_ms(p->conn) > (p->is_suspect ? SUSPECT_MS : SILENT_MS);
}

static void tend(struct peer *p, uint64_t now)
{
	uint64_t age_ms = (now - p->since_ns) / 1000000;

	switch (p->state) {
	case PEER_DOWN:
		if (p->is_to_dial && now >= p->next_dial_ns &&
		    p->peers->ops->may_greet(p->peers->cookie)) {
			p->secret = 0;
			dial(p);
		}
		break;
	case PEER_CONNECTING:
	case PEER_GREETING:
		if (age_ms > GREET_MS)
			end_session(p, "no answer in time");
		break;
	case PEER_UP:
		tend_keys(p, now);
		if (p->state != PEER_UP)
			break;
		if (!renewal_is_closing(&p->renewal) && is_silent(p))
			end_session(p, p->is_suspect ? "silent, and without heartbeat" :
						       "silent for 10 s");
		else if (now >= p->next_ping_ns)
			send_ping(p);
		break;
	}
}

static int on_tick(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct peers *ps = cookie;
	uint64_t now = monotonic_ns();
	size_t i;

	(void)usec;
	for (i = 0; i < ps->n; i++)
		tend(&ps->peer[i], now);
	for (i = 0; i < GUESTS_MAX; i++)
		if (ps->guests[i].conn && now - ps->guests[i].since_ns > GREET_MS * 1000000ull)
			dismiss(&ps->guests[i]);
	sd_event_source_set_time_relative(s, 100000);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* --- life --- */

_Static_assert(1 + FR_CONFIG_PREVIOUS_MAX <= TLS_SECRETS_MAX, "room for all secrets");

static size_t secrets_of(const struct fr_config *c, struct tls_secret s[TLS_SECRETS_MAX])
{
	size_t n = 0, i;

	if (c->auth.method != FR_CONFIG_PSK)
		return 0;
	s[n++] = (struct tls_secret){ c->secret.bytes, c->secret.len };
	for (i = 0; i < c->previous.n; i++)
		s[n++] = (struct tls_secret){ c->previous.v[i].bytes, c->previous.v[i].len };
	return n;
}

static struct certs_files files_of(const struct fr_config *c)
{
	return (struct certs_files){ c->transport.tls.cert_file, c->transport.tls.key_file,
				     c->transport.tls.ca_file };
}

struct tls_keys *peers_keys(const struct fr_config *config)
{
	struct tls_secret secrets[TLS_SECRETS_MAX];
	struct certs_files files = files_of(config);
	struct tls_keys *k = tls_keys_new(config->node_id, secrets, secrets_of(config, secrets),
					  files.cert_file ? &files : NULL);

	if (k && !config->transport.encryption) {
		tls_keys_go_clear(k);
		fr_warn("replication: NOT ENCRYPTED, as transport.encryption = false says: whoever sees the "
			"traffic between the nodes can read all of it");
	}
	return k;
}

int peers_reload(struct peers *ps)
{
	struct certs_files files = files_of(ps->config);
	struct tls_secret secrets[TLS_SECRETS_MAX];
	size_t i;
	int rc;

	rc = tls_keys_set_secrets(ps->keys, secrets, secrets_of(ps->config, secrets));
	if (!rc && files.cert_file)
		rc = tls_keys_set_files(ps->keys, &files);
	for (i = 0; i < ps->n && !rc; i++) {
		struct peer *p = &ps->peer[i];

		if (p->state == PEER_UP && conn_secret(p->conn) < 0)
			peer_reject(p, FR_ERROR_SHUTDOWN, "the secret of this session is no more");
		else if (peer_has_old_secret(p))
			peer_renew(p);
	}
	return rc;
}

static struct peer *new_peer(struct peers *ps, const char *id, bool is_to_dial)
{
	struct peer *p = &ps->peer[ps->n++];

	p->peers = ps;
	p->is_to_dial = is_to_dial;
	p->backoff_ms = BACKOFF_MIN_MS;
	snprintf(p->expected, sizeof(p->expected), "%s", id);
	set_state(p, PEER_DOWN);
	return p;
}

static void add_address(struct peer *p, const struct fr_address *a)
{
	size_t i;

	for (i = 0; i < p->n_addresses; i++)
		if (fr_address_equal(&p->address[i], a))
			return;
	p->address[p->n_addresses++] = *a;
	if (p->n_addresses == 1)
		fr_address_format(a, p->address_text);
}

/* The peer that the primary's addresses, one of them at least, belong to. */
static bool is_primary(const struct fr_config *config, const struct fr_config_peer *c)
{
	const struct fr_address *a, *b;
	size_t i, j;

	for (i = 0; (a = fr_config_primary_address(config, i)); i++)
		for (j = 0; (b = fr_config_peer_address(c, j)); j++)
			if (fr_address_equal(a, b))
				return true;
	return false;
}

static void add_primary(struct peer *p, const struct fr_config *config)
{
	size_t i;

	for (i = 0; fr_config_primary_address(config, i); i++)
		add_address(p, fr_config_primary_address(config, i));
}

/* Those of the configuration, and a primary that is none of them. */
static int add_peers(struct peers *ps, const struct fr_config *config)
{
	bool has_primary = !fr_config_primary_address(config, 0);
	size_t i, k;
	int rc = 0;

	for (i = 0; i < config->peers.n; i++) {
		const struct fr_config_peer *c = &config->peers.v[i];
		bool dialled = fr_config_is_shared(config) ?
				       strcmp(config->node_id, c->id) < 0 :
				       is_primary(config, c);
		struct peer *p = new_peer(ps, c->id, dialled);

		has_primary |= dialled;
		if (dialled)
			add_primary(p, config);
		for (k = 0; fr_config_peer_address(c, k); k++)
			add_address(p, fr_config_peer_address(c, k));
	}
	if (!has_primary)
		add_primary(new_peer(ps, "*", true), config);
	for (i = 0; i < ps->n && rc >= 0; i++)
		rc = renewal_init(&ps->peer[i].renewal, ps->event, &renewal_ops, &ps->peer[i]);
	return rc;
}

int peers_new(struct peers **out, sd_event *event, const struct fr_config *config,
	      struct tls_keys *keys, const struct peer_ops *ops, void *cookie)
{
	struct peers *ps = calloc(1, sizeof(*ps));
	int rc;

	if (!ps)
		return -ENOMEM;
	ps->event = sd_event_ref(event);
	ps->config = config;
	ps->keys = keys;
	ps->ops = ops;
	ps->cookie = cookie;
	ps->listen_fd = -1;
	ps->peer = calloc(config->peers.n + 1, sizeof(*ps->peer));
	rc = ps->peer ? 0 : -ENOMEM;
	if (rc)
		goto err;
	rc = add_peers(ps, config);
	if (rc >= 0 && config->listen_addr.sa_len)
		rc = open_listener(ps);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, &ps->tick, CLOCK_MONOTONIC, 0, 10000,
						on_tick, ps);
	if (rc < 0)
		goto err;
	*out = ps;
	return 0;
err:
	peers_free(ps);
	return rc;
}

void peers_free(struct peers *ps)
{
	size_t i;

	if (!ps)
		return;
	for (i = 0; i < ps->n; i++) {
		if (ps->peer[i].state == PEER_UP)
			send_error(ps->peer[i].conn, FR_ERROR_SHUTDOWN, "shutting down");
		renewal_exit(&ps->peer[i].renewal);
		conn_free(ps->peer[i].conn);
	}
	for (i = 0; i < GUESTS_MAX; i++)
		conn_free(ps->guests[i].conn);
	sd_event_source_disable_unref(ps->tick);
	sd_event_source_disable_unref(ps->listen);
	if (ps->listen_fd >= 0)
		close(ps->listen_fd);
	sd_event_unref(ps->event);
	free(ps->peer);
	free(ps);
}

size_t peers_count(const struct peers *ps)
{
	return ps->n;
}

struct peer *peers_at(const struct peers *ps, size_t i)
{
	return &ps->peer[i];
}

void peers_restart(struct peers *ps, const char *why)
{
	size_t i;

	for (i = 0; i < ps->n; i++)
		if (ps->peer[i].conn)
			peer_reject(&ps->peer[i], FR_ERROR_SHUTDOWN, why);
}

void peers_hurry(struct peers *ps)
{
	size_t i;

	for (i = 0; i < ps->n; i++)
		if (ps->peer[i].state == PEER_DOWN)
			ps->peer[i].next_dial_ns = 0;
	sd_event_source_set_time_relative(ps->tick, 0);
}

void peer_suspect(struct peer *p, bool is_suspect)
{
	p->is_suspect = is_suspect;
}

void peer_set_cookie(struct peer *p, void *cookie)
{
	p->cookie = cookie;
}

void *peer_cookie(const struct peer *p)
{
	return p->cookie;
}

const char *peer_id(const struct peer *p)
{
	if (p->id[0])
		return p->id;
	return strcmp(p->expected, "*") ? p->expected : "?";
}

const char *peer_address(const struct peer *p)
{
	return p->address_text;
}

enum peer_state peer_state(const struct peer *p)
{
	return p->state;
}

const char *peer_trouble(const struct peer *p)
{
	return p->trouble;
}

uint64_t peer_rtt_ns(const struct peer *p)
{
	return p->rtt_ns;
}

uint64_t peer_remote_pending(const struct peer *p)
{
	return p->remote_pending;
}

uint64_t peer_rx_bytes(const struct peer *p)
{
	return p->rx_bytes + (p->conn ? conn_rx_bytes(p->conn) : 0);
}

uint64_t peer_tx_bytes(const struct peer *p)
{
	return p->tx_bytes + (p->conn ? conn_tx_bytes(p->conn) : 0);
}

uint8_t peer_wire(const struct peer *p)
{
	return p->wire;
}

const struct fr_hello *peer_hello(const struct peer *p)
{
	return &p->hello;
}

bool peer_has_old_secret(const struct peer *p)
{
	return p->state == PEER_UP && conn_secret(p->conn) > 0;
}

uint64_t peer_key_age_ms(const struct peer *p)
{
	return p->state == PEER_UP ? conn_age_ms(p->conn) : 0;
}

uint64_t peer_n_renewals(const struct peer *p)
{
	return p->n_renewals;
}

const char *peer_renewal_trouble(const struct peer *p)
{
	return p->renewal_trouble;
}

struct peer_dialling peer_dialling(const struct peer *p)
{
	return (struct peer_dialling){
		.expected = p->expected,
		.since_ns = p->since_ns,
		.backoff_ms = p->backoff_ms,
		.is_dialled = p->is_dialled,
		.is_suspect = p->is_suspect,
	};
}

struct conn *peer_conn(const struct peer *p)
{
	return p->state == PEER_UP ? p->conn : NULL;
}
