// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *   dialler    "FLYREPC1", length u8, identity, nonce 32
 *   listener   "FLYREPC1", status u8, nonce 32, MAC 32
 *   dialler    MAC 32
 *   both       records: length u16, bytes, MAC 32
 *
 * All up to the listener's nonce is the salt of the keys, so both MACs of the handshake cover it.
 */
#include "clear.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MAGIC "FLYREPC1"
#define MAGIC_LEN 8
#define NONCE_LEN 32
#define MAC_LEN 32 /* HMAC-SHA384, its first bytes */
#define HELLO_MAX (MAGIC_LEN + 1 + KEYS_IDENTITY_SIZE + NONCE_LEN)
#define ANSWER_LEN (MAGIC_LEN + 1 + NONCE_LEN) /* and a MAC, if the status is OK */
#define RECORD_MAX 16384
#define RECORD_HEAD 2
#define BUFFER_LEN (RECORD_HEAD + RECORD_MAX + MAC_LEN)
#define TLS_HANDSHAKE 0x16
#define TLS_ALERT 0x15

enum status { STATUS_OK, STATUS_KEY, STATUS_REFUSED, STATUS_NO_TLS };

/* What is awaited, in this order: by a listener the first three, by a dialler the next two. */
enum stage { HELLO_HEAD, HELLO, CONFIRM, ANSWER, ANSWER_MAC, READY };

struct direction {
	uint8_t key[KEYS_PSK_LEN];
	uint64_t n; /* records */
};

struct clear {
	int fd;
	bool is_dialler;
	enum stage stage;
	int failed;
	uint32_t events;
	clear_admit_fn *admit;
	void *cookie;
	struct keys_identity id;
	const struct keys *secret;
	struct keys session;
	struct direction out, in;
	uint8_t confirm[KEYS_PSK_LEN];

	uint8_t salt[HELLO_MAX + ANSWER_LEN];
	size_t salt_len;
	uint8_t rx[BUFFER_LEN];
	size_t rx_len; /* bytes there */
	size_t open_at, open_len; /* of a record that was checked, not yet taken */
	bool is_ended; /* the other side has, in order */
	uint8_t tx[BUFFER_LEN];
	size_t tx_at, tx_len;
	size_t tx_promised; /* bytes of the caller's in the record under way */
};

static int fail(struct clear *c, int error)
{
	if (!c->failed)
		c->failed = error;
	return c->failed;
}

/* --- the socket --- */

static int send_rest(struct clear *c)
{
	while (c->tx_at < c->tx_len) {
		ssize_t n = send(c->fd, c->tx + c->tx_at, c->tx_len - c->tx_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			c->events = EPOLLOUT;
			return -EAGAIN;
		}
		if (n < 0)
			return fail(c, -errno);
		c->tx_at += n;
	}
	c->tx_at = c->tx_len = 0;
	return 0;
}

/* Until there are so many bytes in rx. */
static int need(struct clear *c, size_t len)
{
	while (c->rx_len < len) {
		ssize_t n = recv(c->fd, c->rx + c->rx_len, len - c->rx_len,
				 MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			c->events = EPOLLIN;
			return -EAGAIN;
		}
		if (n < 0)
			return fail(c, -errno);
		if (!n)
			return fail(c, -ECONNRESET);
		c->rx_len += n;
		/* The very first byte tells whether it is one of us. */
		if ((c->stage == HELLO_HEAD || c->stage == ANSWER) &&
		    (c->rx[0] == TLS_HANDSHAKE || c->rx[0] == TLS_ALERT))
			return -EPROTONOSUPPORT;
	}
	return 0;
}

/* --- keys --- */

static int mac(const uint8_t key[KEYS_PSK_LEN], const void *head, size_t head_len,
	       const void *bytes, size_t len, uint8_t out[MAC_LEN])
{
	uint8_t full[EVP_MAX_MD_SIZE], text[sizeof(uint64_t) + RECORD_HEAD + RECORD_MAX];

	memcpy(text, head, head_len);
	if (len)
		memcpy(text + head_len, bytes, len);
	if (!HMAC(EVP_sha384(), key, KEYS_PSK_LEN, text, head_len + len, full, NULL))
		return -EIO;
	memcpy(out, full, MAC_LEN);
	return 0;
}

/* All of the salt is there. */
static int make_keys(struct clear *c)
{
	struct direction *dialler = c->is_dialler ? &c->out : &c->in;
	struct direction *listener = c->is_dialler ? &c->in : &c->out;
	int rc = keys_clear(c->secret, &c->id, c->salt, c->salt_len, &c->session);

	if (!rc)
		rc = keys_label(&c->session, "dialler", dialler->key);
	if (!rc)
		rc = keys_label(&c->session, "listener", listener->key);
	if (!rc)
		rc = keys_label(&c->session, "confirm", c->confirm);
	return rc;
}

int clear_export(const struct clear *c, const char *label, uint8_t out[KEYS_PSK_LEN])
{
	return keys_label(&c->session, label, out);
}

/* --- handshake --- */

static void add_salt(struct clear *c, const void *bytes, size_t len)
{
	memcpy(c->salt + c->salt_len, bytes, len);
	c->salt_len += len;
}

static void queue(struct clear *c, const void *bytes, size_t len)
{
	memcpy(c->tx + c->tx_len, bytes, len);
	c->tx_len += len;
}

static int queue_mac(struct clear *c, char side)
{
	int rc = mac(c->confirm, &side, 1, NULL, 0, c->tx + c->tx_len);

	c->tx_len += rc ? 0 : MAC_LEN;
	return rc;
}

/* Listener: who it is, and what we say to that. */
static int on_hello(struct clear *c, size_t identity_len)
{
	uint8_t answer[ANSWER_LEN] = MAGIC;
	int rc;

	rc = c->admit(c->cookie, c->rx + MAGIC_LEN + 1, identity_len, &c->id, &c->secret);
	answer[MAGIC_LEN] = !rc ? STATUS_OK : rc == -EKEYREJECTED ? STATUS_KEY : STATUS_REFUSED;
	if (getrandom(answer + MAGIC_LEN + 1, NONCE_LEN, 0) != NONCE_LEN)
		return fail(c, -EIO);
	queue(c, answer, ANSWER_LEN);
	if (rc) {
		send_rest(c);
		return fail(c, rc);
	}
	add_salt(c, c->rx, c->rx_len);
	add_salt(c, answer, ANSWER_LEN);
	rc = make_keys(c);
	if (!rc)
		rc = queue_mac(c, 'L');
	return rc ? fail(c, rc) : 0;
}

/* Dialler. */
static int on_answer(struct clear *c)
{
	if (memcmp(c->rx, MAGIC, MAGIC_LEN) != 0)
		return fail(c, -EPROTO);
	if (c->rx[MAGIC_LEN] == STATUS_KEY)
		return fail(c, -EKEYREJECTED);
	if (c->rx[MAGIC_LEN] != STATUS_OK)
		return fail(c, -EACCES);
	add_salt(c, c->rx, ANSWER_LEN);
	return make_keys(c) ? fail(c, -EIO) : 0;
}

static int check_mac(struct clear *c, const uint8_t *got, char side)
{
	uint8_t want[MAC_LEN];

	if (mac(c->confirm, &side, 1, NULL, 0, want))
		return fail(c, -EIO);
	return CRYPTO_memcmp(got, want, MAC_LEN) ? fail(c, -EKEYREJECTED) : 0;
}

/* A TLS hello: say in the first byte that there is none here. */
static int refuse_tls(struct clear *c)
{
	uint8_t answer[ANSWER_LEN] = MAGIC;

	answer[MAGIC_LEN] = STATUS_NO_TLS;
	if (!c->is_dialler) {
		queue(c, answer, ANSWER_LEN);
		send_rest(c);
	}
	return fail(c, -EPROTONOSUPPORT);
}

/* One message of the other side. */
static int take(struct clear *c)
{
	size_t len;
	int rc;

	switch (c->stage) {
	case HELLO_HEAD:
		rc = need(c, MAGIC_LEN + 1);
		if (rc)
			return rc;
		len = c->rx[MAGIC_LEN];
		if (memcmp(c->rx, MAGIC, MAGIC_LEN) != 0 || !len || len >= KEYS_IDENTITY_SIZE)
			return fail(c, -EPROTO);
		c->stage = HELLO;
		return 0;
	case HELLO:
		len = c->rx[MAGIC_LEN];
		rc = need(c, MAGIC_LEN + 1 + len + NONCE_LEN);
		if (!rc)
			rc = on_hello(c, len);
		c->stage = rc ? HELLO : CONFIRM;
		break;
	case CONFIRM:
		rc = need(c, MAC_LEN);
		if (!rc)
			rc = check_mac(c, c->rx, 'D');
		c->stage = rc ? CONFIRM : READY;
		break;
	case ANSWER:
		rc = need(c, ANSWER_LEN);
		if (!rc)
			rc = on_answer(c);
		c->stage = rc ? ANSWER : ANSWER_MAC;
		break;
	default:
		rc = need(c, MAC_LEN);
		if (!rc)
			rc = check_mac(c, c->rx, 'L');
		if (!rc)
			rc = queue_mac(c, 'D');
		c->stage = rc ? ANSWER_MAC : READY;
	}
	if (!rc)
		c->rx_len = 0;
	return rc;
}

int clear_handshake(struct clear *c)
{
	int rc = c->failed;

	while (!rc) {
		rc = send_rest(c);
		if (rc || c->stage == READY)
			break;
		rc = take(c);
	}
	return rc == -EPROTONOSUPPORT ? refuse_tls(c) : rc;
}

/* --- records --- */

/* Number and length; the number is not sent. */
static int record_mac(const struct direction *d, uint16_t len, const uint8_t *bytes,
		      uint8_t out[MAC_LEN])
{
	uint8_t head[sizeof(uint64_t) + RECORD_HEAD];
	uint64_t n = htobe64(d->n);

	len = htobe16(len);
	memcpy(head, &n, sizeof(n));
	memcpy(head + sizeof(n), &len, sizeof(len));
	return mac(d->key, head, sizeof(head), bytes, be16toh(len), out);
}

static int seal(struct clear *c, const void *buf, size_t len)
{
	uint16_t head = htobe16(len);

	queue(c, &head, sizeof(head));
	if (len)
		queue(c, buf, len);
	if (record_mac(&c->out, len, c->tx + RECORD_HEAD, c->tx + c->tx_len))
		return fail(c, -EIO);
	c->tx_len += MAC_LEN;
	c->out.n++;
	return 0;
}

ssize_t clear_write(struct clear *c, const void *buf, size_t len)
{
	size_t n;
	int rc = c->failed;

	if (rc || !len)
		return rc;
	if (!c->tx_promised) {
		c->tx_promised = len < RECORD_MAX ? len : RECORD_MAX;
		rc = seal(c, buf, c->tx_promised);
	}
	if (!rc)
		rc = send_rest(c);
	if (rc)
		return rc;
	n = c->tx_promised;
	c->tx_promised = 0;
	return n;
}

/* The next record whole, and right. */
static int open_record(struct clear *c)
{
	uint8_t want[MAC_LEN];
	uint16_t len;
	int rc;

	c->open_at = RECORD_HEAD;
	rc = need(c, RECORD_HEAD);
	if (rc)
		return rc;
	memcpy(&len, c->rx, sizeof(len));
	len = be16toh(len);
	if (len > RECORD_MAX)
		return fail(c, -EPROTO);
	rc = need(c, RECORD_HEAD + len + MAC_LEN);
	if (rc)
		return rc;
	if (record_mac(&c->in, len, c->rx + RECORD_HEAD, want))
		return fail(c, -EIO);
	if (CRYPTO_memcmp(want, c->rx + RECORD_HEAD + len, MAC_LEN))
		return fail(c, -EBADMSG);
	c->in.n++;
	c->rx_len = 0;
	c->open_len = len;
	c->is_ended = !len;
	return 0;
}

ssize_t clear_read(struct clear *c, void *buf, size_t len)
{
	int rc = c->failed;

	if (c->is_ended && !rc)
		return 0;
	if (!rc && !c->open_len)
		rc = open_record(c);
	if (rc)
		return rc;
	if (len > c->open_len)
		len = c->open_len;
	memcpy(buf, c->rx + c->open_at, len);
	c->open_at += len;
	c->open_len -= len;
	return len;
}

void clear_shutdown(struct clear *c)
{
	if (c->failed || c->stage != READY || c->tx_promised)
		return;
	if (!seal(c, NULL, 0))
		send_rest(c);
	fail(c, -ESHUTDOWN); /* nothing is written after it; what comes is not of interest */
}

uint32_t clear_events(const struct clear *c)
{
	return c->events;
}

size_t clear_pending(const struct clear *c)
{
	return c->open_len;
}

/* --- life --- */

static struct clear *clear_new(int fd)
{
	struct clear *c = calloc(1, sizeof(*c));

	if (c) {
		c->fd = fd;
		c->events = EPOLLIN;
	}
	return c;
}

struct clear *clear_listen(int fd, clear_admit_fn *admit, void *cookie)
{
	struct clear *c = clear_new(fd);

	if (!c)
		return NULL;
	c->admit = admit;
	c->cookie = cookie;
	return c;
}

struct clear *clear_dial(int fd, const struct keys_identity *id, const struct keys *secret)
{
	char identity[KEYS_IDENTITY_SIZE];
	struct clear *c = clear_new(fd);
	uint8_t len, nonce[NONCE_LEN];

	if (!c || keys_identity_format(identity, id) ||
	    getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce)) {
		clear_free(c);
		return NULL;
	}
	c->is_dialler = true;
	c->stage = ANSWER;
	c->id = *id;
	c->secret = secret;
	c->events = EPOLLOUT;
	len = strlen(identity);
	queue(c, MAGIC, MAGIC_LEN);
	queue(c, &len, 1);
	queue(c, identity, len);
	queue(c, nonce, sizeof(nonce));
	add_salt(c, c->tx, c->tx_len);
	return c;
}

void clear_free(struct clear *c)
{
	if (!c)
		return;
	OPENSSL_cleanse(c, sizeof(*c));
	free(c);
}
