// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions over real socket pairs, against ourselves and against strangers made
 * of plain OpenSSL with a key schedule written a second time here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs.h"
#include "keys.h"
#include "proof.h"
#include "tls.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER_SECRET "0123456789abcdef0123456789abcdeF"

/* --- key schedule ------------------------------------------------------------ */

static void unhex(const char *hex, uint8_t *out, size_t len)
{
	size_t i;

	assert_int_equal(strlen(hex), 2 * len);
	for (i = 0; i < len; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &out[i]), 1);
}

/* HKDF-SHA384 (RFC 5869) for at most 48 bytes: two HMACs. */
static void hkdf(const char *secret, const void *info, size_t info_len,
		 uint8_t *out, size_t out_len)
{
	uint8_t prk[48], okm[48], buf[256];

	assert_non_null(HMAC(EVP_sha384(), "flyrep/1", 8, (const void *)secret,
			     strlen(secret), prk, NULL));
	memcpy(buf, info, info_len);
	buf[info_len] = 1;
	assert_non_null(HMAC(EVP_sha384(), prk, sizeof(prk), buf, info_len + 1,
			     okm, NULL));
	memcpy(out, okm, out_len);
}

static void test_keys_match_the_vectors(void **state)
{
	/*
	 * python3 -c '
	 * import hmac
	 * h = lambda k, m: hmac.new(k, m, "sha384").digest()
	 * prk = h(b"flyrep/1", b"0123456789abcdef" * 2)
	 * print(h(prk, b"\x0aflyrep psk\x03fw1\x03fw2\x01").hex())
	 * print(h(prk, b"\x0aflyrep tag\x03fw1\x03fw2\x01")[:8].hex())'
	 */
	static const char psk_hex[] =
		"25dde2bbdf84e14935ccc043f9018738f19e465a35c72caf"
		"518d5afb2ee22b1100b4f570f5f73137e85c2fb3512dc022";
	static const char tag_hex[] = "ac670ddf0e0ad370";
	static const char label[] = "\x0a"
				    "flyrep psk\x03"
				    "fw1\x03"
				    "fw2";
	uint8_t expected[48], psk[48], swapped[48], tag[KEYS_TAG_LEN];
	struct keys k;

	(void)state;
	assert_int_equal(keys_init(&k, SECRET, strlen(SECRET)), 0);
	assert_int_equal(keys_psk(&k, "fw1", "fw2", psk), 0);
	unhex(psk_hex, expected, 48);
	assert_memory_equal(psk, expected, 48);
	hkdf(SECRET, label, sizeof(label) - 1, expected, 48);
	assert_memory_equal(psk, expected, 48);
	assert_int_equal(keys_tag(&k, "fw1", "fw2", tag), 0);
	unhex(tag_hex, expected, 8);
	assert_memory_equal(tag, expected, 8);

	assert_int_equal(keys_psk(&k, "fw2", "fw1", swapped), 0);
	assert_memory_not_equal(psk, swapped, 48);
	/* The same bytes in a row, cut elsewhere. */
	assert_int_equal(keys_psk(&k, "fw1f", "w2", swapped), 0);
	assert_memory_not_equal(psk, swapped, 48);
	assert_int_equal(keys_psk(&k, "fw1:", "fw2", psk), -EINVAL);
	assert_int_equal(keys_psk(&k, "fw1", "", psk), -EINVAL);
	keys_wipe(&k);
	for (size_t i = 0; i < sizeof(k.prk); i++)
		assert_int_equal(k.prk[i], 0);
	assert_int_equal(keys_init(&k, "", 0), -EINVAL);
}

static void test_identity_is_parsed_exactly(void **state)
{
#define LONG63 "a23456789012345678901234567890123456789012345678901234567890123"
#define TAG ":0123456789abcdef"
	static const struct {
		const char *text;
		size_t len; /* 0: strlen */
		int rc;
	} rows[] = {
		{ "flyrep/1:fw1:fw2" TAG, 0, 0 },
		{ "flyrep/1:" LONG63 ":" LONG63 TAG, 0, 0 },
		{ "flyrep/1:fw1:*" TAG, 0, 0 },
		{ "flyrep/1:*:fw1" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1:**" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1:fw*" TAG, 0, -EBADMSG },
		{ "flyrep/1:" LONG63 "x:fw2" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1:" LONG63 "x" TAG, 0, -EBADMSG },
		{ "flyrep/1:" LONG63 ":" LONG63 "x" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2:" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2:3" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1::fw2" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1:" TAG, 0, -EBADMSG },
		{ "flyrep/1::fw2" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1" TAG, 0, -EBADMSG },
		{ "flyrep/1:" TAG, 0, -EBADMSG },
		{ "flyrep/1", 0, -EBADMSG },
		{ "flyrep/2:fw1:fw2" TAG, 0, -EBADMSG },
		{ " flyrep/1:fw1:fw2" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2 " TAG, 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2\n" TAG, 0, -EBADMSG },
		{ "flyrep/1:fw\0001:fw2" TAG, 34, -EBADMSG },
		{ "flyrep/1:fw1:fw2" TAG "\0", 34, -EBADMSG },
		{ "flyrep/1:fw1:fw2", 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2:", 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2:0123456789abcde", 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2:0123456789abcdeF", 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2:0123456789abcde\0", 33, -EBADMSG },
		{ "flyrep/1:fw1:fw2:0123456789abcdeg", 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2" TAG "0", 0, -EBADMSG },
		{ "flyrep/1:fw1:fw2" TAG TAG, 0, -EBADMSG },
		{ "flyrep/1:\xc3\xbc:fw2" TAG, 0, -EBADMSG },
	};
	struct keys_identity id;
	char identity[KEYS_IDENTITY_SIZE];
	uint8_t zero[300] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = rows[i].len ? rows[i].len : strlen(rows[i].text);
		/* An exact copy, so that reading past it is caught. */
		uint8_t *bytes = malloc(len);

		assert_non_null(bytes);
		memcpy(bytes, rows[i].text, len);
		if (keys_identity_parse(bytes, len, &id) !=
		    rows[i].rc)
			fail_msg("row %zu: %s", i, rows[i].text);
		if (!rows[i].rc) {
			assert_int_equal(keys_identity_format(identity, &id),
					 0);
			assert_string_equal(identity, rows[i].text);
		}
		free(bytes);
	}
	assert_int_equal(keys_identity_parse(zero, 0, &id), -EBADMSG);
	assert_int_equal(keys_identity_parse(zero, sizeof(zero), &id),
			 -EBADMSG);
	strcpy(id.dialler, "a b");
	strcpy(id.listener, "c");
	assert_int_equal(keys_identity_format(identity, &id), -EINVAL);
}

/* --- pairs ------------------------------------------------------------------- */

static struct tls_keys *keys_of(const char *node_id, const char *secret)
{
	const struct tls_secret s = { secret, strlen(secret) };

	return tls_keys_new(node_id, &s, 1, NULL);
}

struct pair {
	struct tls_keys *dialler_keys;
	struct tls_keys *listener_keys;
	struct tls *dialler;
	struct tls *listener;
	int fd[2];
	const char *allowed;
	unsigned int n_asked;
};

static int is_allowed(void *cookie, const char *peer_id)
{
	struct pair *p = cookie;

	p->n_asked++;
	return !strcmp(peer_id, p->allowed);
}

static void sockets(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, fd),
			 0);
}

static void pair_open(struct pair *p, const char *dialler_id,
		      const char *dialled_id, const char *listener_id,
		      const char *dialler_secret, const char *listener_secret)
{
	sockets(p->fd);
	p->n_asked = 0;
	p->dialler_keys = keys_of(dialler_id, dialler_secret);
	p->listener_keys = keys_of(listener_id, listener_secret);
	assert_non_null(p->dialler_keys);
	assert_non_null(p->listener_keys);
	p->dialler = tls_new(p->dialler_keys, p->fd[0], dialled_id, NULL, NULL);
	p->listener = tls_new(p->listener_keys, p->fd[1], NULL, is_allowed, p);
	assert_non_null(p->dialler);
	assert_non_null(p->listener);
}

static void pair_close(struct pair *p)
{
	tls_free(p->dialler);
	tls_free(p->listener);
	tls_keys_free(p->dialler_keys);
	tls_keys_free(p->listener_keys);
	close(p->fd[0]);
	close(p->fd[1]);
}

/* Both to their end. */
static void shake(struct tls *a, struct tls *b, int *rc_a, int *rc_b)
{
	int i;

	*rc_a = *rc_b = -EAGAIN;
	for (i = 0; i < 20; i++) {
		if (*rc_a == -EAGAIN)
			*rc_a = tls_handshake(a);
		if (*rc_b == -EAGAIN)
			*rc_b = tls_handshake(b);
	}
}

static void pair_ready(struct pair *p)
{
	int d, l;

	p->allowed = "fw1";
	pair_open(p, "fw1", "fw2", "fw2", SECRET, SECRET);
	shake(p->dialler, p->listener, &d, &l);
	assert_int_equal(d, 0);
	assert_int_equal(l, 0);
}

static void test_right_key(void **state)
{
	struct pair p;
	char buf[8];

	(void)state;
	p.allowed = "fw1";
	pair_open(&p, "fw1", "fw2", "fw2", SECRET, SECRET);
	assert_int_equal(tls_read(p.dialler, buf, sizeof(buf)), -ENOTCONN);
	assert_int_equal(tls_write(p.dialler, "x", 1), -ENOTCONN);
	pair_close(&p);

	pair_ready(&p);
	assert_int_equal(p.n_asked, 1);
	assert_string_equal(tls_peer_id(p.dialler), "fw2");
	assert_string_equal(tls_peer_id(p.listener), "fw1");
	assert_string_equal(tls_error(p.dialler), "");
	assert_int_equal(tls_read(p.dialler, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(tls_events(p.dialler), EPOLLIN);
	assert_int_equal(tls_write(p.dialler, "hello", 5), 5);
	assert_int_equal(tls_read(p.listener, buf, 2), 2);
	assert_int_equal(tls_pending(p.listener), 3);
	assert_int_equal(tls_read(p.listener, buf + 2, sizeof(buf) - 2), 3);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(tls_pending(p.listener), 0);
	assert_int_equal(tls_secret(p.dialler), 0);
	assert_int_equal(tls_secret(p.listener), 0);
	pair_close(&p);
	tls_free(NULL);
	tls_keys_free(NULL);
}

/* Told an address alone: any node with the secret will do, but not oneself. */
static void test_unknown_listener(void **state)
{
	struct pair p = { .allowed = "fw1" };
	int d, l;

	(void)state;
	pair_open(&p, "fw1", KEYS_ANYONE, "fw2", SECRET, SECRET);
	shake(p.dialler, p.listener, &d, &l);
	assert_int_equal(d, 0);
	assert_int_equal(l, 0);
	assert_string_equal(tls_peer_id(p.listener), "fw1");
	assert_string_equal(tls_peer_id(p.dialler), KEYS_ANYONE);
	pair_close(&p);

	pair_open(&p, "fw1", KEYS_ANYONE, "fw2", OTHER_SECRET, SECRET);
	shake(p.dialler, p.listener, &d, &l);
	assert_int_equal(d, -EKEYREJECTED);
	assert_int_equal(l, -EKEYREJECTED);
	assert_string_equal(
		tls_error(p.dialler),
		"PSK mismatch: the other side says that our secret_key is not its");
	pair_close(&p);

	pair_open(&p, "fw1", KEYS_ANYONE, "fw1", SECRET, SECRET);
	shake(p.dialler, p.listener, &d, &l);
	assert_int_equal(d, -EACCES);
	assert_int_equal(l, -EACCES);
	assert_int_equal(p.n_asked, 0);
	assert_string_equal(tls_error(p.listener),
			    "a node dialled that calls itself fw1, as we do");
	pair_close(&p);
}

struct refusal {
	const char *dialler_id, *dialled_id, *listener_id, *allowed;
	const char *dialler_secret, *listener_secret;
	const char *dialler_says, *listener_says;
	int error;
};

static void test_refusals_are_clear(void **state)
{
	static const struct refusal rows[] = {
		{ "fw1", "fw2", "fw2", "fw1", OTHER_SECRET, SECRET,
		  "PSK mismatch: node fw2 ", "PSK mismatch with node fw1",
		  -EKEYREJECTED },
		{ "fw9", "fw2", "fw2", "fw1", SECRET, SECRET,
		  "refused by node fw2",
		  "unknown identity: node fw9 is none of our peers", -EACCES },
		{ "fw1", "fw2", "fw3", "fw1", SECRET, SECRET,
		  "refused by node fw2",
		  "node fw1 dialled node fw2, but this is node fw3", -EACCES },
		{ "fw2", "fw3", "fw2", "fw2", SECRET, SECRET,
		  "refused by node fw3",
		  "node fw2 dialled node fw3, but this is node fw2", -EACCES },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct refusal *r = &rows[i];
		struct pair p = { .allowed = r->allowed };
		char buf[8];
		int d, l;

		pair_open(&p, r->dialler_id, r->dialled_id, r->listener_id,
			  r->dialler_secret, r->listener_secret);
		shake(p.dialler, p.listener, &d, &l);
		print_message("%s | %s\n", tls_error(p.dialler),
			      tls_error(p.listener));
		assert_int_equal(l, r->error);
		assert_int_equal(d, r->error);
		assert_int_equal(strncmp(tls_error(p.dialler), r->dialler_says,
					 strlen(r->dialler_says)),
				 0);
		assert_int_equal(strncmp(tls_error(p.listener),
					 r->listener_says,
					 strlen(r->listener_says)),
				 0);
		/* It sticks, and nothing gets through. */
		assert_int_equal(tls_handshake(p.listener), r->error);
		assert_int_equal(tls_read(p.listener, buf, sizeof(buf)),
				 r->error);
		assert_int_equal(tls_write(p.dialler, "x", 1), r->error);
		tls_shutdown(p.dialler);
		pair_close(&p);
	}
}

/* --- several secrets --------------------------------------------------------- */

#define NEW_SECRET "a new secret of thirty-two bytes"
#define OLD_SECRET SECRET
#define ODD_SECRET OTHER_SECRET

struct roll {
	const char *dialler[3], *listener[3]; /* their secrets, the present one first */
	int secret; /* the dialler's that works, -1: none */
	int listener_secret; /* the same one, by the listener's count */
};

static size_t roll_secrets(const char *const from[3], struct tls_secret to[3])
{
	size_t n;

	for (n = 0; n < 3 && from[n]; n++)
		to[n] = (struct tls_secret){ from[n], strlen(from[n]) };
	return n;
}

/* Dials with one secret after the other, as long as it is that which is refused. */
static int dial_through(struct pair *p)
{
	size_t i;
	int d, l;

	for (i = 0; i < tls_keys_n_secrets(p->dialler_keys); i++) {
		sockets(p->fd);
		p->dialler = tls_new(p->dialler_keys, p->fd[0], "fw2", NULL,
				     NULL);
		p->listener = tls_new(p->listener_keys, p->fd[1], NULL,
				      is_allowed, p);
		tls_offer(p->dialler, i);
		shake(p->dialler, p->listener, &d, &l);
		assert_int_equal(d, l);
		if (!d)
			return i;
		assert_int_equal(d, -EKEYREJECTED);
		tls_free(p->dialler);
		tls_free(p->listener);
		close(p->fd[0]);
		close(p->fd[1]);
	}
	return -1;
}

static void test_a_new_secret_rolls_out(void **state)
{
	static const struct roll rows[] = {
		{ { NEW_SECRET, OLD_SECRET }, { OLD_SECRET }, 1, 0 },
		{ { OLD_SECRET }, { NEW_SECRET, OLD_SECRET }, 0, 1 },
		{ { NEW_SECRET, OLD_SECRET }, { NEW_SECRET, OLD_SECRET }, 0, 0 },
		{ { NEW_SECRET, OLD_SECRET }, { NEW_SECRET }, 0, 0 },
		{ { ODD_SECRET, NEW_SECRET, OLD_SECRET }, { OLD_SECRET }, 2, 0 },
		{ { OLD_SECRET }, { ODD_SECRET, NEW_SECRET, OLD_SECRET }, 0, 2 },
		{ { OLD_SECRET }, { NEW_SECRET }, -1, 0 },
		{ { ODD_SECRET, OLD_SECRET }, { NEW_SECRET }, -1, 0 },
	};
	struct tls_secret s[3];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct roll *r = &rows[i];
		struct pair p = { .allowed = "fw1" };

		p.dialler_keys = tls_keys_new("fw1", s,
					      roll_secrets(r->dialler, s), NULL);
		p.listener_keys = tls_keys_new("fw2", s,
					       roll_secrets(r->listener, s), NULL);
		assert_int_equal(dial_through(&p), r->secret);
		if (r->secret < 0) {
			tls_keys_free(p.dialler_keys);
			tls_keys_free(p.listener_keys);
			continue;
		}
		assert_int_equal(tls_secret(p.dialler), r->secret);
		assert_int_equal(tls_secret(p.listener), r->listener_secret);
		pair_close(&p);
	}
}

/* What a session is under is counted by the secrets there are now. */
static void test_secrets_change_under_a_session(void **state)
{
	const struct tls_secret next[] = { { NEW_SECRET, strlen(NEW_SECRET) },
					   { SECRET, strlen(SECRET) } };
	const struct tls_secret none = { "", 0 };
	struct pair p;
	int d, l;

	(void)state;
	pair_ready(&p);
	assert_int_equal(tls_keys_set_secrets(p.listener_keys, next, 2), 0);
	assert_int_equal(tls_secret(p.listener), 1);
	assert_int_equal(tls_secret(p.dialler), 0);
	assert_int_equal(tls_keys_set_secrets(p.listener_keys, &none, 1),
			 -EINVAL);
	assert_int_equal(tls_keys_set_secrets(p.listener_keys, next, 0),
			 -EINVAL);
	assert_int_equal(tls_keys_n_secrets(p.listener_keys), 2);
	assert_int_equal(tls_keys_set_secrets(p.listener_keys, next, 1), 0);
	assert_int_equal(tls_secret(p.listener), -ENOKEY);
	assert_int_equal(tls_write(p.listener, "x", 1), 1);
	pair_close(&p);

	/* Offered, and gone before the hello was sent. */
	pair_open(&p, "fw1", "fw2", "fw2", SECRET, SECRET);
	tls_offer(p.dialler, 1);
	shake(p.dialler, p.listener, &d, &l);
	assert_true(d < 0 && d != -EAGAIN);
	pair_close(&p);
}

/* What a node sends comes back to itself: there is no key for that. */
static void test_reflection_finds_no_key(void **state)
{
	struct pair p = { .allowed = "fw2" };
	struct tls_keys *k = keys_of("fw1", SECRET);
	int d = -EAGAIN, l = -EAGAIN, fd[2], i;

	(void)state;
	sockets(p.fd);
	assert_non_null(k);
	/* One node dials, one session of the same node listens to just that. */
	p.dialler = tls_new(k, p.fd[0], "fw2", NULL, NULL);
	p.listener = tls_new(k, p.fd[1], NULL, is_allowed, &p);
	shake(p.dialler, p.listener, &d, &l);
	assert_int_equal(l, -EACCES);
	assert_int_equal(d, -EACCES);
	assert_int_equal(p.n_asked, 0);
	assert_string_equal(tls_error(p.listener),
			    "node fw1 dialled node fw2, but this is node fw1");
	tls_free(p.dialler);
	tls_free(p.listener);
	close(p.fd[0]);
	close(p.fd[1]);

	/* The bytes themselves, echoed to the dialler. */
	sockets(fd);
	p.dialler = tls_new(k, fd[0], "fw2", NULL, NULL);
	d = -EAGAIN;
	for (i = 0; i < 10 && d == -EAGAIN; i++) {
		char buf[4096];
		ssize_t n;

		d = tls_handshake(p.dialler);
		n = read(fd[1], buf, sizeof(buf));
		if (n > 0)
			assert_int_equal(write(fd[1], buf, n), n);
	}
	assert_int_equal(d, -EPROTO);
	tls_free(p.dialler);
	close(fd[0]);
	close(fd[1]);

	assert_null(tls_new(k, 0, "fw1", NULL, NULL));
	assert_null(tls_new(k, 0, "", NULL, NULL));
	tls_keys_free(k);
	assert_null(keys_of("fw:1", SECRET));
	assert_null(keys_of("fw1", ""));
}

/* --- strangers --------------------------------------------------------------- */

struct stranger {
	SSL_CTX *ctx;
	SSL *ssl;
	char identity[100];
	uint8_t psk[48];
	unsigned int n_key_updates; /* received */
};

static SSL_SESSION *stranger_session(SSL *ssl, const struct stranger *s)
{
	static const unsigned char suite[] = { 0x13, 0x02 };
	SSL_SESSION *session = SSL_SESSION_new();

	assert_non_null(session);
	assert_true(SSL_SESSION_set1_master_key(session, s->psk, 48));
	assert_true(
		SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suite)));
	assert_true(SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION));
	return session;
}

static int stranger_offer(SSL *ssl, const EVP_MD *md, const unsigned char **id,
			  size_t *len, SSL_SESSION **session)
{
	struct stranger *s = SSL_get_app_data(ssl);

	(void)md;
	*session = stranger_session(ssl, s);
	*id = (const void *)s->identity;
	*len = strlen(s->identity);
	return 1;
}

static void stranger_hears(int is_write, int version, int type, const void *buf,
			   size_t len, SSL *ssl, void *arg)
{
	struct stranger *s = arg;

	(void)version;
	(void)ssl;
	if (!is_write && type == SSL3_RT_HANDSHAKE && len &&
	    *(const uint8_t *)buf == SSL3_MT_KEY_UPDATE)
		s->n_key_updates++;
}

static void stranger_open(struct stranger *s, bool is_client, int fd)
{
	*s = (struct stranger){ 0 };
	s->ctx = SSL_CTX_new(TLS_method());
	assert_non_null(s->ctx);
	SSL_CTX_set_num_tickets(s->ctx, 0);
	s->ssl = SSL_new(s->ctx);
	assert_non_null(s->ssl);
	SSL_set_app_data(s->ssl, s);
	SSL_set_msg_callback(s->ssl, stranger_hears);
	SSL_set_msg_callback_arg(s->ssl, s);
	assert_true(SSL_set_fd(s->ssl, fd));
	if (is_client)
		SSL_set_connect_state(s->ssl);
	else
		SSL_set_accept_state(s->ssl);
}

static void stranger_close(struct stranger *s)
{
	SSL_free(s->ssl);
	SSL_CTX_free(s->ctx);
	ERR_clear_error();
}

/* The identity gets the tag of the pair that it should name: fw1 that dials fw2. */
static void stranger_psk(struct stranger *s, const char *identity,
			 const char *dialler, const char *listener)
{
	static const char tag_label[] = "\x0a"
					"flyrep tag\x03"
					"fw1\x03"
					"fw2";
	char label[200];
	uint8_t tag[8];
	int i, n;

	n = snprintf(label, sizeof(label), "%cflyrep psk%c%s%c%s", 10,
		     (int)strlen(dialler), dialler, (int)strlen(listener),
		     listener);
	hkdf(SECRET, label, n, s->psk, 48);
	hkdf(SECRET, tag_label, sizeof(tag_label) - 1, tag, 8);
	n = snprintf(s->identity, sizeof(s->identity), "%s:", identity);
	for (i = 0; i < 8; i++)
		n += snprintf(s->identity + n, sizeof(s->identity) - n, "%02x",
			      tag[i]);
	SSL_set_psk_use_session_callback(s->ssl, stranger_offer);
}

/* Return: what our end says; *ok: the stranger believes to be connected. */
static int stranger_shake(struct stranger *s, struct tls *t, bool *ok)
{
	int i, rc = -EAGAIN;

	*ok = false;
	for (i = 0; i < 20; i++) {
		if (!*ok)
			*ok = SSL_do_handshake(s->ssl) == 1;
		ERR_clear_error();
		if (rc == -EAGAIN)
			rc = tls_handshake(t);
	}
	return rc;
}

static void give_certificate(SSL *ssl)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	assert_non_null(key);
	assert_non_null(cert);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN",
				   MBSTRING_ASC, (const void *)"fw2", -1, -1,
				   0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_use_certificate(ssl, cert), 1);
	assert_int_equal(SSL_use_PrivateKey(ssl, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

struct listener {
	struct tls_keys *keys;
	struct tls *tls;
	struct pair p;
};

static void listener_open(struct listener *l)
{
	sockets(l->p.fd);
	l->p.allowed = "fw1";
	l->p.n_asked = 0;
	l->keys = keys_of("fw2", SECRET);
	assert_non_null(l->keys);
	l->tls = tls_new(l->keys, l->p.fd[1], NULL, is_allowed, &l->p);
	assert_non_null(l->tls);
}

static void listener_close(struct listener *l)
{
	tls_free(l->tls);
	tls_keys_free(l->keys);
	close(l->p.fd[0]);
	close(l->p.fd[1]);
}

static void test_plain_openssl_speaks_the_protocol(void **state)
{
	struct listener l;
	struct stranger s;
	bool ok;

	(void)state;
	listener_open(&l);
	stranger_open(&s, true, l.p.fd[0]);
	stranger_psk(&s, "flyrep/1:fw1:fw2", "fw1", "fw2");
	assert_int_equal(stranger_shake(&s, l.tls, &ok), 0);
	assert_true(ok);
	assert_string_equal(SSL_get_cipher_name(s.ssl),
			    "TLS_AES_256_GCM_SHA384");
	assert_int_equal(SSL_get_negotiated_group(s.ssl), NID_X25519);
	assert_int_equal(SSL_version(s.ssl), TLS1_3_VERSION);
	assert_string_equal(tls_peer_id(l.tls), "fw1");
	stranger_close(&s);
	listener_close(&l);
}

static void test_identity_and_key_must_belong_together(void **state)
{
	static const struct {
		const char *identity, *dialler, *listener;
		int error;
	} rows[] = {
		/* the key of another pair, of the other direction */
		{ "flyrep/1:fw1:fw2", "fw3", "fw2", -EKEYREJECTED },
		{ "flyrep/1:fw1:fw2", "fw2", "fw1", -EKEYREJECTED },
		/* right key, other words */
		{ "flyrep/1:fw1:fw2:0", "fw1", "fw2", -EACCES },
		{ "flyrep/1:fw1:fw2 ", "fw1", "fw2", -EACCES },
		{ "fw1", "fw1", "fw2", -EACCES },
		{ "flyrep/1:fw2:fw2", "fw2", "fw2", -EACCES },
		{ "flyrep/1:fw2:fw1", "fw2", "fw1", -EACCES },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct listener l;
		struct stranger s;
		bool ok;

		listener_open(&l);
		stranger_open(&s, true, l.p.fd[0]);
		stranger_psk(&s, rows[i].identity, rows[i].dialler,
			     rows[i].listener);
		assert_int_equal(stranger_shake(&s, l.tls, &ok), rows[i].error);
		assert_false(ok);
		assert_true(strlen(tls_error(l.tls)) > 10);
		stranger_close(&s);
		listener_close(&l);
	}
}

static void test_strangers_without_psk_or_tls13_are_refused(void **state)
{
	struct listener l;
	struct stranger s;
	bool ok;

	(void)state;
	listener_open(&l);
	stranger_open(&s, true, l.p.fd[0]);
	SSL_set_max_proto_version(s.ssl, TLS1_2_VERSION);
	assert_int_equal(stranger_shake(&s, l.tls, &ok), -EPROTO);
	assert_false(ok);
	assert_string_equal(tls_error(l.tls),
			    "the other side does not speak TLS 1.3");
	stranger_close(&s);
	listener_close(&l);

	listener_open(&l);
	stranger_open(&s, true, l.p.fd[0]);
	assert_int_equal(stranger_shake(&s, l.tls, &ok), -EACCES);
	assert_false(ok);
	assert_int_equal(l.p.n_asked, 0);
	stranger_close(&s);
	listener_close(&l);

	/* Only AES-128 and SHA-256: no common ground. */
	listener_open(&l);
	stranger_open(&s, true, l.p.fd[0]);
	SSL_set_ciphersuites(s.ssl, "TLS_AES_128_GCM_SHA256");
	assert_true(stranger_shake(&s, l.tls, &ok) < 0);
	assert_false(ok);
	stranger_close(&s);
	listener_close(&l);
}

/* A server that shows a certificate instead of knowing the key. */
static void test_certificate_is_no_substitute(void **state)
{
	struct tls_keys *k = keys_of("fw1", SECRET);
	struct stranger s;
	struct tls *t;
	int fd[2];
	bool ok;

	(void)state;
	sockets(fd);
	t = tls_new(k, fd[0], "fw2", NULL, NULL);
	assert_non_null(t);
	stranger_open(&s, false, fd[1]);
	give_certificate(s.ssl);
	assert_int_equal(stranger_shake(&s, t, &ok), -EACCES);
	assert_false(ok);
	assert_string_equal(
		tls_error(t),
		"node fw2 did not take our PSK and showed a certificate");
	stranger_close(&s);
	tls_free(t);
	tls_keys_free(k);
	close(fd[0]);
	close(fd[1]);
}

static void feed(const void *bytes, size_t len, int expected, const char *says)
{
	struct listener l;
	int rc, i;

	listener_open(&l);
	assert_int_equal(write(l.p.fd[0], bytes, len), len);
	rc = tls_handshake(l.tls);
	if (rc == -EAGAIN) {
		shutdown(l.p.fd[0], SHUT_WR);
		for (i = 0; i < 5 && rc == -EAGAIN; i++)
			rc = tls_handshake(l.tls);
	}
	assert_true(rc < 0 && rc != -EAGAIN);
	if (expected)
		assert_int_equal(rc, expected);
	if (says)
		assert_string_equal(tls_error(l.tls), says);
	assert_true(strlen(tls_error(l.tls)) > 10);
	listener_close(&l);
}

static void test_garbage_is_refused(void **state)
{
	uint8_t bytes[2000];
	unsigned int i, j;

	(void)state;
	feed("GET / HTTP/1.1\r\n\r\n", 18, -EPROTO,
	     "the other side speaks HTTP, not TLS");
	feed("SSH-2.0-OpenSSH\r\n", 17, -EPROTO,
	     "the other side does not speak TLS");
	feed("\x16\x03\x01\x00\x05", 5, -ECONNRESET, NULL);
	feed("", 0, -ECONNRESET, NULL);
	srandom(1);
	for (i = 0; i < 300; i++) {
		for (j = 0; j < sizeof(bytes); j++)
			bytes[j] = random() >> 7;
		if (i % 2) { /* a plausible record head */
			bytes[0] = 22;
			bytes[1] = 3;
			bytes[2] = 1 + i % 3;
			bytes[5] = 1;
		}
		feed(bytes, 1 + random() % sizeof(bytes), 0, NULL);
	}
}

/* A real hello with single bytes turned over never gets in, never crashes. */
static void test_damaged_hello_is_refused(void **state)
{
	struct listener l;
	uint8_t hello[2000];
	ssize_t len;
	struct tls_keys *k = keys_of("fw1", SECRET);
	struct tls *t;
	int fd[2];
	ssize_t i;

	(void)state;
	sockets(fd);
	t = tls_new(k, fd[0], "fw2", NULL, NULL);
	assert_int_equal(tls_handshake(t), -EAGAIN);
	len = read(fd[1], hello, sizeof(hello));
	assert_in_range(len, 100, sizeof(hello) - 1);
	tls_free(t);
	tls_keys_free(k);
	close(fd[0]);
	close(fd[1]);
	for (i = 0; i < len; i++) {
		int rc;

		listener_open(&l);
		hello[i] ^= 0x41;
		assert_int_equal(write(l.p.fd[0], hello, len), len);
		hello[i] ^= 0x41;
		shutdown(l.p.fd[0], SHUT_WR);
		do {
			rc = tls_handshake(l.tls);
		} while (rc == -EAGAIN);
		assert_true(rc < 0);
		listener_close(&l);
	}
}

/* --- data -------------------------------------------------------------------- */

/* Send n bytes from a to b in pieces of write_len, read in pieces of read_len. */
static void transfer(struct tls *a, struct tls *b, size_t n, size_t write_len,
		     size_t read_len)
{
	uint8_t *data = malloc(n), *out = malloc(write_len),
		*in = malloc(read_len);
	size_t sent = 0, got = 0, i;

	assert_non_null(data);
	assert_non_null(out);
	assert_non_null(in);
	for (i = 0; i < n; i++)
		data[i] = i ^ i >> 8 ^ i >> 16;
	while (got < n) {
		bool moved = false;
		ssize_t rc;

		while (sent < n) {
			size_t len = n - sent < write_len ? n - sent :
							    write_len;

			/* Only now: the buffer need not stay as it is. */
			memcpy(out, data + sent, len);
			rc = tls_write(a, out, len);
			memset(out, 0, len);
			if (rc == -EAGAIN)
				break;
			assert_in_range(rc, 1, len);
			sent += rc;
			moved = true;
		}
		for (;;) {
			rc = tls_read(b, in, read_len);
			if (rc == -EAGAIN)
				break;
			assert_in_range(rc, 1, read_len);
			assert_in_range(rc, 1, n - got);
			assert_memory_equal(in, data + got, rc);
			got += rc;
			moved = true;
		}
		assert_true(moved);
	}
	free(data);
	free(out);
	free(in);
}

static void test_big_transfers(void **state)
{
	static const struct {
		size_t n, write_len, read_len;
	} rows[] = {
		{ 8 << 20, 1 << 18, 1 << 20 }, { 1 << 20, 1 << 18, 7 },
		{ 50000, 1, 65536 },	       { 3000, 1, 1 },
		{ 4 << 20, 16385, 16383 },
	};
	struct pair p;
	size_t i;

	(void)state;
	pair_ready(&p);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		transfer(p.dialler, p.listener, rows[i].n, rows[i].write_len,
			 rows[i].read_len);
		transfer(p.listener, p.dialler, rows[i].n, rows[i].write_len,
			 rows[i].read_len);
	}
	pair_close(&p);
}

static void test_blocked_write_says_what_it_waits_for(void **state)
{
	static uint8_t block[1 << 20];
	struct pair p;
	ssize_t rc;

	(void)state;
	pair_ready(&p);
	do {
		rc = tls_write(p.dialler, block, sizeof(block));
	} while (rc > 0);
	assert_int_equal(rc, -EAGAIN);
	assert_int_equal(tls_events(p.dialler), EPOLLOUT);
	/* Reading goes on meanwhile. */
	assert_int_equal(tls_write(p.listener, "abc", 3), 3);
	assert_int_equal(tls_read(p.dialler, block, sizeof(block)), 3);
	pair_close(&p);
}

static void test_keys_change_in_the_middle(void **state)
{
	struct listener l;
	struct stranger s;
	char buf[64];
	unsigned int i;
	struct pair p;
	bool ok;

	(void)state;
	/* A stranger counts the messages: after each third record. */
	listener_open(&l);
	tls_keys_rekey_after(l.keys, 3, 3600000);
	stranger_open(&s, true, l.p.fd[0]);
	stranger_psk(&s, "flyrep/1:fw1:fw2", "fw1", "fw2");
	assert_int_equal(stranger_shake(&s, l.tls, &ok), 0);
	for (i = 0; i < 30; i++) {
		assert_int_equal(tls_write(l.tls, "0123456789", 10), 10);
		assert_int_equal(SSL_read(s.ssl, buf, sizeof(buf)), 10);
		assert_memory_equal(buf, "0123456789", 10);
		assert_int_equal(s.n_key_updates, i / 3);
	}
	/* It may ask us to change too. */
	assert_true(SSL_key_update(s.ssl, SSL_KEY_UPDATE_REQUESTED));
	assert_int_equal(SSL_write(s.ssl, "abc", 3), 3);
	assert_int_equal(tls_read(l.tls, buf, sizeof(buf)), 3);
	assert_int_equal(tls_write(l.tls, "def", 3), 3);
	assert_int_equal(SSL_read(s.ssl, buf, sizeof(buf)), 3);
	assert_true(s.n_key_updates >= 10);
	stranger_close(&s);
	listener_close(&l);

	/* By time: at once, whenever anything is written. */
	listener_open(&l);
	tls_keys_rekey_after(l.keys, 1u << 22, 0);
	stranger_open(&s, true, l.p.fd[0]);
	stranger_psk(&s, "flyrep/1:fw1:fw2", "fw1", "fw2");
	assert_int_equal(stranger_shake(&s, l.tls, &ok), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(tls_write(l.tls, "x", 1), 1);
		assert_int_equal(SSL_read(s.ssl, buf, sizeof(buf)), 1);
	}
	assert_int_equal(s.n_key_updates, 2);
	stranger_close(&s);
	listener_close(&l);

	/* Both ways under load, through full sockets. */
	pair_ready(&p);
	tls_keys_rekey_after(p.dialler_keys, 2, 3600000);
	tls_keys_rekey_after(p.listener_keys, 3, 3600000);
	transfer(p.dialler, p.listener, 2 << 20, 100000, 50000);
	transfer(p.listener, p.dialler, 2 << 20, 100000, 50000);
	transfer(p.dialler, p.listener, 10000, 1, 3);
	pair_close(&p);
}

/*
 * Both write until their sockets are full, changing keys at each record, and only
 * then read: neither may refuse to read because its own key change waits.
 */
static void test_key_changes_on_full_sockets_do_not_deadlock(void **state)
{
	static const uint8_t block[4000];
	static uint8_t in[sizeof(block)];
	struct pair p;
	int round;

	(void)state;
	pair_ready(&p);
	tls_keys_rekey_after(p.dialler_keys, 1, 3600000);
	tls_keys_rekey_after(p.listener_keys, 1, 3600000);
	for (round = 0; round < 100; round++) {
		struct tls *const t[2] = { p.dialler, p.listener };
		int i;

		for (i = 0; i < 2; i++) {
			ssize_t rc;

			/* Another length each round, so the edge moves. */
			do {
				rc = tls_write(t[i], block,
					       sizeof(block) - 100 + round);
			} while (rc > 0);
			assert_int_equal(rc, -EAGAIN);
		}
		for (i = 0; i < 2; i++) {
			size_t n = 0;
			ssize_t rc;

			while ((rc = tls_read(t[i], in, sizeof(in))) > 0)
				n += rc;
			assert_int_equal(rc, -EAGAIN);
			assert_true(n > 0);
		}
	}
	pair_close(&p);
}

static void test_orderly_and_disorderly_ends(void **state)
{
	struct pair p;
	char buf[16];

	(void)state;
	/* close_notify: what was sent before it arrives, then 0, again and again. */
	pair_ready(&p);
	assert_int_equal(tls_write(p.dialler, "last", 4), 4);
	tls_shutdown(p.dialler);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), 4);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), 0);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), 0);
	/* The other direction still works. */
	assert_int_equal(tls_write(p.listener, "bye", 3), 3);
	assert_int_equal(tls_read(p.dialler, buf, sizeof(buf)), 3);
	pair_close(&p);

	/* The socket closes under it: that is no orderly end. */
	pair_ready(&p);
	shutdown(p.fd[0], SHUT_RDWR);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), -ECONNRESET);
	assert_string_equal(tls_error(p.listener),
			    "node fw1 closed the connection without notice");
	pair_close(&p);

	/* Writing to a closed socket is an error, not a signal. */
	pair_ready(&p);
	close(p.fd[1]);
	assert_int_equal(tls_write(p.dialler, "x", 1), -EPIPE);
	assert_string_equal(tls_error(p.dialler), "node fw2: Broken pipe");
	p.fd[1] = dup(p.fd[0]);
	pair_close(&p);
}

static void test_altered_record_ends_the_session(void **state)
{
	uint8_t raw[4096];
	struct pair p;
	ssize_t n;

	(void)state;
	pair_ready(&p);
	/* Take a record off the wire, turn a bit over, put it back. */
	assert_int_equal(tls_write(p.dialler, "secret", 6), 6);
	n = read(p.fd[1], raw, sizeof(raw));
	assert_in_range(n, 20, sizeof(raw) - 1);
	assert_null(memmem(raw, n, "secret", 6));
	raw[n - 1] ^= 1;
	assert_int_equal(write(p.fd[0], raw, n), n);
	assert_int_equal(tls_read(p.listener, raw, sizeof(raw)), -EPROTO);
	pair_close(&p);

	/* The same record twice. */
	pair_ready(&p);
	assert_int_equal(tls_write(p.dialler, "secret", 6), 6);
	n = read(p.fd[1], raw, sizeof(raw));
	assert_int_equal(write(p.fd[0], raw, n), n);
	assert_int_equal(write(p.fd[0], raw, n), n);
	assert_int_equal(tls_read(p.listener, raw, sizeof(raw)), 6);
	assert_int_equal(tls_read(p.listener, raw, sizeof(raw)), -EPROTO);
	pair_close(&p);
}

/* --- certificates -------------------------------------------------------------- */

static char cert_dir[64];

struct authority {
	EVP_PKEY *key;
	X509 *cert;
};

static char *cert_path(const char *name)
{
	static char paths[8][160];
	static unsigned int n;
	char *path = paths[n++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", cert_dir, name);
	return path;
}

static void set_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* Valid from now on for @valid_s, or for the hour before. */
static X509 *make_cert(EVP_PKEY *key, const char *cn, const char *san, const struct authority *by,
		       int valid_s)
{
	static long serial = 1;
	X509 *cert = X509_new();

	assert_non_null(cert);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(cert), valid_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const void *)cn, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(by->cert ? by->cert : cert));
	X509_set_pubkey(cert, key);
	if (!by->cert)
		set_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	if (san)
		set_extension(cert, NID_subject_alt_name, san);
	assert_true(X509_sign(cert, by->key, EVP_sha256()) > 0);
	return cert;
}

static void write_cert(const char *name, X509 *cert)
{
	FILE *f = fopen(cert_path(name), "we");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
}

static void write_key(const char *name, EVP_PKEY *key)
{
	FILE *f = fopen(cert_path(name), "we");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

static struct authority make_authority(const char *file)
{
	struct authority a = { .key = EVP_EC_gen("P-256") };

	a.cert = make_cert(a.key, file, NULL, &a, 3600);
	write_cert(file, a.cert);
	return a;
}

static void free_authority(struct authority *a)
{
	X509_free(a->cert);
	EVP_PKEY_free(a->key);
}

/* NAME.crt and NAME.key */
static void issue(const struct authority *by, const char *name, const char *cn, const char *san,
		  int valid_s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = make_cert(key, cn, san, by, valid_s);
	char file[80];

	snprintf(file, sizeof(file), "%s.crt", name);
	write_cert(file, cert);
	snprintf(file, sizeof(file), "%s.key", name);
	write_key(file, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static struct authority ours, theirs;

static int certs_setup(void **state)
{
	(void)state;
	strcpy(cert_dir, "/tmp/test_tls.XXXXXX");
	assert_non_null(mkdtemp(cert_dir));
	ours = make_authority("ca.crt");
	theirs = make_authority("other.crt");
	issue(&ours, "fw1", "fw1", NULL, 3600);
	issue(&ours, "fw2", "anything", "DNS:www.example.org,DNS:fw2", 3600);
	issue(&ours, "fw9", "fw9", NULL, 3600);
	issue(&ours, "cn-hidden", "fw1", "DNS:elsewhere", 3600);
	issue(&ours, "wild", "*", "DNS:*", 3600);
	issue(&ours, "two", "x", "DNS:fw1,DNS:fw3", 3600);
	issue(&ours, "expired", "fw1", NULL, -60);
	issue(&theirs, "foreign", "fw1", NULL, 3600);
	return 0;
}

static int certs_teardown(void **state)
{
	char command[100];

	(void)state;
	free_authority(&ours);
	free_authority(&theirs);
	snprintf(command, sizeof(command), "rm -r %s", cert_dir);
	assert_int_equal(system(command), 0);
	return 0;
}

static struct tls_keys *cert_keys(const char *node_id, const char *name, const char *ca,
				  const char *const secrets[3])
{
	struct tls_secret s[3];
	char cert[80], key[80];
	struct certs_files f;

	snprintf(cert, sizeof(cert), "%s.crt", name);
	snprintf(key, sizeof(key), "%s.key", name);
	f = (struct certs_files){ cert_path(cert), cert_path(key), cert_path(ca) };
	return tls_keys_new(node_id, s, secrets ? roll_secrets(secrets, s) : 0, &f);
}

static int is_fw1_or_fw3(void *cookie, const char *id)
{
	(void)cookie;
	return !strcmp(id, "fw1") || !strcmp(id, "fw3");
}

static void certs_open(struct pair *p, const char *dialled)
{
	assert_non_null(p->dialler_keys);
	assert_non_null(p->listener_keys);
	sockets(p->fd);
	p->dialler = tls_new(p->dialler_keys, p->fd[0], dialled, NULL, NULL);
	p->listener = tls_new(p->listener_keys, p->fd[1], NULL, is_fw1_or_fw3, NULL);
	assert_non_null(p->dialler);
	assert_non_null(p->listener);
}

/* Both ends; the dialler may think it is done before the listener has refused it: so it reads. */
static void certs_shake(struct pair *p, int *d, int *l)
{
	char buf[8];

	shake(p->dialler, p->listener, d, l);
	if (!*d && *l)
		*d = tls_read(p->dialler, buf, sizeof(buf));
}

static void test_certificates_authenticate(void **state)
{
	static const char *const dialled[] = { "fw2", KEYS_ANYONE };
	struct pair p;
	size_t i;
	int d, l;

	(void)state;
	for (i = 0; i < 2; i++) {
		p.dialler_keys = cert_keys("fw1", "fw1", "ca.crt", NULL);
		p.listener_keys = cert_keys("fw2", "fw2", "ca.crt", NULL);
		certs_open(&p, dialled[i]);
		certs_shake(&p, &d, &l);
		assert_string_equal(tls_error(p.dialler), "");
		assert_int_equal(d, 0);
		assert_int_equal(l, 0);
		assert_string_equal(tls_peer_id(p.listener), "fw1");
		assert_string_equal(tls_peer_id(p.dialler), dialled[i]);
		assert_true(tls_is_peer(p.dialler, "fw2"));
		assert_false(tls_is_peer(p.dialler, "fw1"));
		assert_false(tls_is_peer(p.dialler, KEYS_ANYONE));
		assert_false(tls_is_peer(p.dialler, "anything")); /* the CN beside a SAN */
		assert_true(tls_is_peer(p.listener, "fw1"));
		assert_int_equal(tls_secret(p.dialler), 0);
		transfer(p.dialler, p.listener, 300000, 20000, 7000);
		transfer(p.listener, p.dialler, 300000, 20000, 7000);
		pair_close(&p);
	}
}

static void test_certificates_are_refused_in_words(void **state)
{
	static const struct {
		const char *dialler, *dialler_ca, *dialled, *dialler_says, *listener_says;
	} rows[] = {
		{ "foreign", "ca.crt", "fw2", "refused by node fw2: it does not believe who signed",
		  "the certificate of the other side is refused: unable to get local issuer" },
		{ "fw1", "other.crt", "fw2",
		  "the certificate of the other side is refused: unable to get local issuer",
		  "refused by the other side: it does not believe who signed" },
		{ "fw1", "ca.crt", "fw3",
		  "the certificate at its address is of \"www.example.org\", not of node fw3", "" },
		{ "fw9", "ca.crt", "fw2", "refused by node fw2",
		  "unknown identity: the certificate of the other side, \"fw9\", names none" },
		{ "cn-hidden", "ca.crt", "fw2", "refused by node fw2", "unknown identity: " },
		{ "wild", "ca.crt", "fw2", "refused by node fw2", "unknown identity: " },
		{ "two", "ca.crt", "fw2", "refused by node fw2",
		  "the certificate of the other side names more than one of our peers: fw1, fw3" },
		{ "fw2", "ca.crt", "fw2", "refused by node fw2",
		  "a node dialled whose certificate names fw2, as ours does" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		int d, l;

		p.dialler_keys = cert_keys("fw1", rows[i].dialler, rows[i].dialler_ca, NULL);
		p.listener_keys = cert_keys("fw2", "fw2", "ca.crt", NULL);
		certs_open(&p, rows[i].dialled);
		certs_shake(&p, &d, &l);
		print_message("%s | %s\n", tls_error(p.dialler), tls_error(p.listener));
		assert_true(d < 0 && d != -EAGAIN);
		assert_true(l < 0 && l != -EAGAIN);
		assert_ptr_equal(strstr(tls_error(p.dialler), rows[i].dialler_says),
				 tls_error(p.dialler));
		assert_ptr_equal(strstr(tls_error(p.listener), rows[i].listener_says),
				 tls_error(p.listener));
		pair_close(&p);
	}
}

/* With a PSK at one end only, nobody gets in. */
static void test_certificates_and_psk_do_not_mix(void **state)
{
	struct pair p;
	int d, l;

	(void)state;
	p.dialler_keys = cert_keys("fw1", "fw1", "ca.crt", NULL);
	p.listener_keys = keys_of("fw2", SECRET);
	certs_open(&p, "fw2");
	certs_shake(&p, &d, &l);
	assert_int_equal(l, -EACCES);
	assert_true(d < 0);
	pair_close(&p);

	p.dialler_keys = keys_of("fw1", SECRET);
	p.listener_keys = cert_keys("fw2", "fw2", "ca.crt", NULL);
	certs_open(&p, "fw2");
	certs_shake(&p, &d, &l);
	assert_true(l < 0);
	assert_int_equal(d, -EACCES);
	pair_close(&p);
}

static void test_certificate_and_secret_must_both_hold(void **state)
{
	static const struct roll rows[] = {
		{ { SECRET }, { SECRET }, 0, 0 },
		{ { NEW_SECRET, OLD_SECRET }, { OLD_SECRET }, 1, 0 },
		{ { OLD_SECRET }, { ODD_SECRET, NEW_SECRET, OLD_SECRET }, 0, 2 },
		{ { OLD_SECRET }, { NEW_SECRET }, -1, 0 },
	};
	size_t i;
	int d, l;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct roll *r = &rows[i];
		struct pair p;

		p.dialler_keys = cert_keys("fw1", "fw1", "ca.crt", r->dialler);
		p.listener_keys = cert_keys("fw2", "fw2", "ca.crt", r->listener);
		certs_open(&p, "fw2");
		certs_shake(&p, &d, &l);
		if (r->secret < 0) {
			assert_int_equal(d, -EACCES);
			assert_int_equal(l, -EACCES);
			assert_string_equal(tls_error(p.dialler),
					    "PSK mismatch with fw2: its secret_key is not ours");
			assert_string_equal(tls_error(p.listener),
					    "PSK mismatch with fw1: its secret_key is not ours");
		} else {
			assert_int_equal(d, 0);
			assert_int_equal(l, 0);
			assert_int_equal(tls_secret(p.dialler), r->secret);
			assert_int_equal(tls_secret(p.listener), r->listener_secret);
			transfer(p.dialler, p.listener, 100000, 5000, 3000);
			transfer(p.listener, p.dialler, 100000, 5000, 3000);
		}
		pair_close(&p);
	}
}

/* One end asks for the secret, the other one knows of none: what it takes for frames is none. */
static void test_a_missing_proof_is_refused(void **state)
{
	static const char *const secrets[3] = { SECRET };
	char buf[600] = { 0 };
	struct pair p;
	int d, l;

	(void)state;
	p.dialler_keys = cert_keys("fw1", "fw1", "ca.crt", NULL);
	p.listener_keys = cert_keys("fw2", "fw2", "ca.crt", secrets);
	certs_open(&p, "fw2");
	shake(p.dialler, p.listener, &d, &l);
	assert_int_equal(d, 0);
	assert_int_equal(l, -EAGAIN);
	buf[0] = 1; /* one MAC, of zeros */
	assert_int_equal(tls_write(p.dialler, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(tls_handshake(p.listener), -EACCES);
	assert_string_equal(tls_error(p.listener),
			    "PSK mismatch with fw1: its secret_key is not ours");
	pair_close(&p);
}

static void test_proof_is_bound_to_its_channel_and_side(void **state)
{
	uint8_t binding[PROOF_BINDING_LEN] = "one channel", other[PROOF_BINDING_LEN] = "another";
	uint8_t offer[PROOF_OFFER_MAX], answer[PROOF_ANSWER_LEN];
	struct keys k[3];
	int i;

	(void)state;
	assert_int_equal(keys_init(&k[0], NEW_SECRET, strlen(NEW_SECRET)), 0);
	assert_int_equal(keys_init(&k[1], OLD_SECRET, strlen(OLD_SECRET)), 0);
	assert_int_equal(keys_init(&k[2], ODD_SECRET, strlen(ODD_SECRET)), 0);
	assert_int_equal(proof_offer(k, 2, binding, offer), 1 + 2 * PROOF_MAC_LEN);
	assert_int_equal(proof_offer_len(offer[0]), 1 + 2 * PROOF_MAC_LEN);
	assert_int_equal(proof_offer_len(0), -EBADMSG);
	assert_int_equal(proof_offer_len(9), -EBADMSG);
	assert_int_equal(proof_answer(&k[1], 2, binding, offer, answer), 0);
	assert_int_equal(proof_check(k, 2, binding, answer), 1);
	/* Of another channel. */
	assert_int_equal(proof_check(k, 2, other, answer), -EACCES);
	assert_int_equal(proof_answer(&k[1], 2, other, offer, answer), -EKEYREJECTED);
	assert_int_equal(answer[0], PROOF_NONE);
	assert_int_equal(proof_check(k, 2, binding, answer), -EKEYREJECTED);
	/* What was offered, given back. */
	answer[0] = 0;
	memcpy(answer + 1, offer + 1, PROOF_MAC_LEN);
	assert_int_equal(proof_check(k, 2, binding, answer), -EACCES);
	/* A secret that was not offered, a bit turned over. */
	assert_int_equal(proof_answer(k, 2, binding, offer, answer), 0);
	answer[0] = 2;
	assert_int_equal(proof_check(k, 2, binding, answer), -EACCES);
	answer[0] = 0;
	for (i = 1; i < PROOF_ANSWER_LEN; i++) {
		answer[i] ^= 1;
		assert_int_equal(proof_check(k, 2, binding, answer), -EACCES);
		answer[i] ^= 1;
	}
	assert_int_equal(proof_check(k, 2, binding, answer), 0);
}

static bool shakes(struct tls_keys *dialler, struct tls_keys *listener)
{
	struct pair p = { .dialler_keys = dialler, .listener_keys = listener };
	int d, l;

	certs_open(&p, "fw2");
	certs_shake(&p, &d, &l);
	tls_free(p.dialler);
	tls_free(p.listener);
	close(p.fd[0]);
	close(p.fd[1]);
	return !d && !l;
}

/* Without a word from anybody, and what is bad is not taken for good. */
static void test_certificates_are_read_again(void **state)
{
	struct tls_keys *dialler, *listener;
	struct certs_files f;

	(void)state;
	issue(&ours, "new", "fw1", NULL, 3600);
	dialler = cert_keys("fw1", "new", "ca.crt", NULL);
	listener = cert_keys("fw2", "fw2", "ca.crt", NULL);
	assert_true(shakes(dialler, listener));

	/* Expired, of another key, gone: the old one still works. */
	issue(&ours, "new", "fw1", NULL, -60);
	assert_true(shakes(dialler, listener));
	assert_non_null(strstr(tls_keys_trouble(dialler), "new.crt: the certificate has expired"));
	issue(&ours, "new2", "fw1", NULL, 3600);
	assert_int_equal(rename(cert_path("new2.crt"), cert_path("new.crt")), 0);
	assert_true(shakes(dialler, listener));
	assert_non_null(strstr(tls_keys_trouble(dialler), "new.key: key values mismatch"));
	unlink(cert_path("new.crt"));
	assert_true(shakes(dialler, listener));
	assert_non_null(strstr(tls_keys_trouble(dialler), "new.crt: No such file or directory"));

	/* A good one is taken, and that it is another one is seen. */
	issue(&ours, "new", "fw9", NULL, 3600);
	assert_false(shakes(dialler, listener));
	assert_string_equal(tls_keys_trouble(dialler), "");
	issue(&ours, "new", "fw1", NULL, 3600);
	assert_true(shakes(dialler, listener));

	/* At a reload the paths may be others. */
	f = (struct certs_files){ cert_path("fw9.crt"), cert_path("fw9.key"), cert_path("ca.crt") };
	assert_int_equal(tls_keys_set_files(dialler, &f), 0);
	assert_false(shakes(dialler, listener));
	f.ca_file = cert_path("nowhere.crt");
	assert_int_equal(tls_keys_set_files(dialler, &f), -EINVAL);
	tls_keys_free(dialler);
	tls_keys_free(listener);

	/* At the start there is no old one. */
	assert_null(cert_keys("fw1", "expired", "ca.crt", NULL));
	assert_null(cert_keys("fw1", "nowhere", "ca.crt", NULL));
	assert_null(cert_keys("fw1", "fw1", "fw1.key", NULL));
}

/* --- without encryption -------------------------------------------------------- */

static void clear_open(struct pair *p, const char *dialled, const char *dialler_secret,
		       const char *listener_secret)
{
	p->allowed = "fw1";
	sockets(p->fd);
	p->n_asked = 0;
	p->dialler_keys = keys_of("fw1", dialler_secret);
	p->listener_keys = keys_of("fw2", listener_secret);
	tls_keys_go_clear(p->dialler_keys);
	tls_keys_go_clear(p->listener_keys);
	p->dialler = tls_new(p->dialler_keys, p->fd[0], dialled, NULL, NULL);
	p->listener = tls_new(p->listener_keys, p->fd[1], NULL, is_allowed, p);
}

static void clear_ready(struct pair *p)
{
	int d, l;

	clear_open(p, "fw2", SECRET, SECRET);
	shake(p->dialler, p->listener, &d, &l);
	assert_int_equal(d, 0);
	assert_int_equal(l, 0);
}

static void test_clear_is_authenticated(void **state)
{
	uint8_t a[32], b[32];
	struct pair p;
	char raw[200];
	int d, l;

	(void)state;
	clear_ready(&p);
	assert_string_equal(tls_peer_id(p.listener), "fw1");
	assert_int_equal(tls_secret(p.listener), 0);
	assert_int_equal(tls_export(p.dialler, "x", a, sizeof(a)), 0);
	assert_int_equal(tls_export(p.listener, "x", b, sizeof(b)), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(tls_export(p.listener, "y", b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(tls_read(p.listener, raw, sizeof(raw)), -EAGAIN);
	transfer(p.dialler, p.listener, 3 << 20, 100000, 50000);
	transfer(p.listener, p.dialler, 300000, 16385, 7);
	transfer(p.listener, p.dialler, 3000, 1, 1);
	/* It is what it says: anybody can read it. */
	assert_int_equal(tls_write(p.dialler, "open", 4), 4);
	assert_in_range(read(p.fd[1], raw, sizeof(raw)), 30, 50);
	assert_memory_equal(raw + 2, "open", 4);
	pair_close(&p);

	clear_open(&p, KEYS_ANYONE, SECRET, SECRET);
	shake(p.dialler, p.listener, &d, &l);
	assert_int_equal(d, 0);
	assert_int_equal(l, 0);
	pair_close(&p);
}

static void test_clear_refusals(void **state)
{
	static const struct {
		const char *dialled, *secret, *allowed, *dialler_says, *listener_says;
		int error;
	} rows[] = {
		{ "fw2", OTHER_SECRET, "fw1", "PSK mismatch with node fw2: its secret_key is not ours",
		  "PSK mismatch with node fw1: its secret_key is not ours", -EKEYREJECTED },
		{ "fw3", SECRET, "fw1",
		  "refused by node fw3: it is another node, or we are none of its peers",
		  "node fw1 dialled node fw3, but this is node fw2", -EACCES },
		{ "fw2", SECRET, "fw9",
		  "refused by node fw2: it is another node, or we are none of its peers",
		  "unknown identity: node fw1 is none of our peers", -EACCES },
	};
	struct tls_keys *k;
	struct pair p;
	size_t i;
	int d, l;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		clear_open(&p, rows[i].dialled, rows[i].secret, SECRET);
		p.allowed = rows[i].allowed;
		shake(p.dialler, p.listener, &d, &l);
		assert_int_equal(d, rows[i].error);
		assert_int_equal(l, rows[i].error);
		assert_string_equal(tls_error(p.dialler), rows[i].dialler_says);
		assert_string_equal(tls_error(p.listener), rows[i].listener_says);
		assert_int_equal(tls_write(p.dialler, "x", 1), rows[i].error);
		pair_close(&p);
	}
	/* What a node sends comes back to itself. */
	k = keys_of("fw1", SECRET);
	tls_keys_go_clear(k);
	sockets(p.fd);
	p.dialler = tls_new(k, p.fd[0], KEYS_ANYONE, NULL, NULL);
	p.listener = tls_new(k, p.fd[1], NULL, is_allowed, &p);
	shake(p.dialler, p.listener, &d, &l);
	assert_int_equal(l, -EACCES);
	assert_int_equal(d, -EACCES);
	p.dialler_keys = k;
	p.listener_keys = NULL;
	pair_close(&p);
}

static void test_clear_rolls_secrets_out(void **state)
{
	const struct tls_secret s[] = { { NEW_SECRET, strlen(NEW_SECRET) },
					{ OLD_SECRET, strlen(OLD_SECRET) } };
	struct pair p = { .allowed = "fw1" };

	(void)state;
	p.dialler_keys = tls_keys_new("fw1", s, 2, NULL);
	p.listener_keys = keys_of("fw2", OLD_SECRET);
	tls_keys_go_clear(p.dialler_keys);
	tls_keys_go_clear(p.listener_keys);
	assert_int_equal(dial_through(&p), 1);
	assert_int_equal(tls_secret(p.dialler), 1);
	pair_close(&p);
}

/* One end wants encryption: both say so, whoever dials. */
static void test_clear_and_tls_refuse_each_other(void **state)
{
	static const char wants[] = "%s wants encryption, this node has transport.encryption = false";
	static const char lacks[] =
		"%s does not encrypt (transport.encryption = false), this node does";
	int clear_one, d, l;

	(void)state;
	for (clear_one = 0; clear_one < 2; clear_one++) {
		struct pair p = { .allowed = "fw1" };
		char dialler_says[100], listener_says[100];

		sockets(p.fd);
		p.dialler_keys = keys_of("fw1", SECRET);
		p.listener_keys = keys_of("fw2", SECRET);
		tls_keys_go_clear(clear_one ? p.listener_keys : p.dialler_keys);
		p.dialler = tls_new(p.dialler_keys, p.fd[0], "fw2", NULL, NULL);
		p.listener = tls_new(p.listener_keys, p.fd[1], NULL, is_allowed, &p);
		shake(p.dialler, p.listener, &d, &l);
		assert_int_equal(d, -EACCES);
		assert_int_equal(l, -EACCES);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(dialler_says, sizeof(dialler_says), clear_one ? lacks : wants,
			 "node fw2");
		snprintf(listener_says, sizeof(listener_says), clear_one ? wants : lacks,
			 "the other side");
#pragma GCC diagnostic pop
		assert_string_equal(tls_error(p.dialler), dialler_says);
		assert_string_equal(tls_error(p.listener), listener_says);
		pair_close(&p);
	}
}

/* Take what the dialler sent off the wire. */
static size_t wiretap(struct pair *p, uint8_t *raw, size_t size, const char *text)
{
	ssize_t n;

	assert_int_equal(tls_write(p->dialler, text, strlen(text)), strlen(text));
	n = read(p->fd[1], raw, size);
	assert_int_equal(n, 2 + strlen(text) + 32);
	return n;
}

static void test_clear_frames_are_bound_to_their_place(void **state)
{
	uint8_t one[100], two[100], other[100];
	size_t len, i;
	struct pair p, q;
	char buf[8];

	(void)state;
	for (i = 0; i < 2 + 3 + 32; i++) { /* any bit turned over */
		clear_ready(&p);
		len = wiretap(&p, one, sizeof(one), "one");
		one[i] ^= 1;
		assert_int_equal(write(p.fd[0], one, len), len);
		if (i < 2) /* another length: what is missing must not be waited for */
			shutdown(p.fd[0], SHUT_WR);
		assert_true(tls_read(p.listener, buf, sizeof(buf)) < -1);
		assert_true(tls_read(p.listener, buf, sizeof(buf)) != -EAGAIN);
		pair_close(&p);
	}
	/* Twice. */
	clear_ready(&p);
	len = wiretap(&p, one, sizeof(one), "one");
	assert_int_equal(write(p.fd[0], one, len), len);
	assert_int_equal(write(p.fd[0], one, len), len);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), 3);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), -EPROTO);
	assert_string_equal(tls_error(p.listener),
			    "node fw1: a frame was altered, replayed or left out");
	pair_close(&p);
	/* In another order, which is also: the first one left out. */
	clear_ready(&p);
	wiretap(&p, one, sizeof(one), "one");
	len = wiretap(&p, two, sizeof(two), "two");
	assert_int_equal(write(p.fd[0], two, len), len);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), -EPROTO);
	pair_close(&p);
	/* Sent back to where it came from; of another session. */
	clear_ready(&p);
	clear_ready(&q);
	len = wiretap(&p, one, sizeof(one), "one");
	wiretap(&q, other, sizeof(other), "one");
	assert_memory_not_equal(one, other, len);
	assert_int_equal(write(p.fd[1], one, len), len);
	assert_int_equal(tls_read(p.dialler, buf, sizeof(buf)), -EPROTO);
	assert_int_equal(write(p.fd[0], other, len), len);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), -EPROTO);
	pair_close(&p);
	pair_close(&q);
}

static void test_clear_ends(void **state)
{
	struct pair p;
	char buf[8];

	(void)state;
	clear_ready(&p);
	assert_int_equal(tls_write(p.dialler, "last", 4), 4);
	tls_shutdown(p.dialler);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), 4);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), 0);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), 0);
	pair_close(&p);
	/* Cut off is no orderly end. */
	clear_ready(&p);
	shutdown(p.fd[0], SHUT_RDWR);
	assert_int_equal(tls_read(p.listener, buf, sizeof(buf)), -ECONNRESET);
	pair_close(&p);
}

/* Every byte of the handshake counts, in both directions. */
static void test_clear_handshake_cannot_be_altered(void **state)
{
	size_t at;
	int from, i;

	(void)state;
	for (from = 0; from < 2; from++) {
		for (at = 0; at < 170; at++) {
			struct pair p = { .allowed = "fw1" };
			int to_dialler[2], to_listener[2], d = -EAGAIN, l = -EAGAIN;
			size_t seen[2] = { 0 };

			/* Through a man in the middle. */
			sockets(to_dialler);
			sockets(to_listener);
			p.dialler_keys = keys_of("fw1", SECRET);
			p.listener_keys = keys_of("fw2", SECRET);
			tls_keys_go_clear(p.dialler_keys);
			tls_keys_go_clear(p.listener_keys);
			p.dialler = tls_new(p.dialler_keys, to_dialler[0], "fw2", NULL, NULL);
			p.listener = tls_new(p.listener_keys, to_listener[0], NULL, is_allowed,
					     &p);
			for (i = 0; i < 12; i++) {
				uint8_t raw[400];
				int side;

				if (d == -EAGAIN)
					d = tls_handshake(p.dialler);
				if (l == -EAGAIN)
					l = tls_handshake(p.listener);
				for (side = 0; side < 2; side++) {
					int in = side ? to_listener[1] : to_dialler[1];
					int out = side ? to_dialler[1] : to_listener[1];
					ssize_t n = read(in, raw, sizeof(raw));

					if (n <= 0)
						continue;
					if (side == from && at >= seen[side] &&
					    at < seen[side] + n)
						raw[at - seen[side]] ^= 0x20;
					seen[side] += n;
					assert_int_equal(write(out, raw, n), n);
				}
			}
			if (at < seen[from]) {
				if (!d && !l)
					fail_msg("byte %zu of side %d", at, from);
			} else {
				if (d || l)
					fail_msg("unaltered: %s | %s", tls_error(p.dialler),
						 tls_error(p.listener));
			}
			tls_free(p.dialler);
			tls_free(p.listener);
			tls_keys_free(p.dialler_keys);
			tls_keys_free(p.listener_keys);
			for (i = 0; i < 2; i++) {
				close(to_dialler[i]);
				close(to_listener[i]);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_match_the_vectors),
		cmocka_unit_test(test_identity_is_parsed_exactly),
		cmocka_unit_test(test_right_key),
		cmocka_unit_test(test_unknown_listener),
		cmocka_unit_test(test_refusals_are_clear),
		cmocka_unit_test(test_a_new_secret_rolls_out),
		cmocka_unit_test(test_secrets_change_under_a_session),
		cmocka_unit_test(test_reflection_finds_no_key),
		cmocka_unit_test(test_plain_openssl_speaks_the_protocol),
		cmocka_unit_test(test_identity_and_key_must_belong_together),
		cmocka_unit_test(
			test_strangers_without_psk_or_tls13_are_refused),
		cmocka_unit_test(test_certificate_is_no_substitute),
		cmocka_unit_test(test_garbage_is_refused),
		cmocka_unit_test(test_damaged_hello_is_refused),
		cmocka_unit_test(test_big_transfers),
		cmocka_unit_test(test_blocked_write_says_what_it_waits_for),
		cmocka_unit_test(test_keys_change_in_the_middle),
		cmocka_unit_test(
			test_key_changes_on_full_sockets_do_not_deadlock),
		cmocka_unit_test(test_orderly_and_disorderly_ends),
		cmocka_unit_test(test_altered_record_ends_the_session),
	};

	const struct CMUnitTest clear_tests[] = {
		cmocka_unit_test(test_clear_is_authenticated),
		cmocka_unit_test(test_clear_refusals),
		cmocka_unit_test(test_clear_rolls_secrets_out),
		cmocka_unit_test(test_clear_and_tls_refuse_each_other),
		cmocka_unit_test(test_clear_frames_are_bound_to_their_place),
		cmocka_unit_test(test_clear_ends),
		cmocka_unit_test(test_clear_handshake_cannot_be_altered),
	};
	const struct CMUnitTest cert_tests[] = {
		cmocka_unit_test(test_certificates_authenticate),
		cmocka_unit_test(test_certificates_are_refused_in_words),
		cmocka_unit_test(test_certificates_and_psk_do_not_mix),
		cmocka_unit_test(test_certificate_and_secret_must_both_hold),
		cmocka_unit_test(test_a_missing_proof_is_refused),
		cmocka_unit_test(test_proof_is_bound_to_its_channel_and_side),
		cmocka_unit_test(test_certificates_are_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       cmocka_run_group_tests(clear_tests, NULL, NULL) +
	       cmocka_run_group_tests(cert_tests, certs_setup, certs_teardown);
}
