// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Without certificates, what authenticates is the PSK and nothing else: no certificate is ever
 * accepted (the dialler verifies and knows no authority), none is ever shown, no ticket is
 * given out, and a handshake that did not use a PSK is not believed.
 *
 * The key belongs to an ordered pair of node ids, so a connection that someone
 * reflects back to its dialler finds no key there (RFC 9257, Selfie).
 *
 * With certificates both sides show one, and there are no PSKs in the handshake: OpenSSL cannot
 * have both authenticate one (RFC 8773). So the secret is proven after it, see proof.h.
 */
#include "tls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certs.h"
#include "clear.h"
#include "keys.h"
#include "log.h"
#include "monotonic.h"
#include "proof.h"
#include "tls_bio.h"

#define CIPHER "TLS_AES_256_GCM_SHA384"
#define GROUP "X25519"
#define RECORD_LEN 16384
#define TLS_PATH_SIZE 4096
#define READ_BUFFER_LEN (64u << 10)

/* AES-GCM is good for 2^24.5 records under one key (RFC 8446, 5.5). */
#define REKEY_RECORDS (1u << 22)
#define REKEY_NS (3600ull * 1000000000)

struct tls_keys {
	char node_id[FR_NODE_ID_MAX_LEN + 1];
	struct keys secrets[TLS_SECRETS_MAX];
	size_t n_secrets;
	SSL_CTX *dialler;
	SSL_CTX *listener;
	bool has_certs;
	bool is_clear;
	char paths[3][TLS_PATH_SIZE];
	struct certs_files files; /* which point there */
	struct certs_stamp stamp;
	char trouble[512];
	BIO_METHOD *bio_method;
	uint32_t rekey_records;
	uint64_t rekey_ns;
};

struct tls {
	struct tls_keys *keys;
	SSL *ssl;
	struct clear *clear; /* in place of that */
	struct tls_bio bio;
	int (*is_allowed)(void *cookie, const char *peer_id);
	void *cookie;
	bool is_dialler;
	bool is_ready;
	bool is_write_open; /* the last write has to be repeated */
	int failed; /* -errno; nothing works any more */
	uint32_t events;

	size_t secret; /* of the keys, as they were at the handshake */
	struct keys_identity id; /* the PSK: offered, or found */
	char identity[KEYS_IDENTITY_SIZE]; /* dialler: that as a text */
	char peer_id[FR_NODE_ID_MAX_LEN + 1];
	bool has_key; /* listener: a key was found for what was offered */
	bool was_offered;
	struct certs_names names; /* of the certificate of the other side */

	/* of the proof of a secret: what goes out, then what comes in, or the reverse */
	bool is_shaken; /* the handshake itself is done */
	int tx_len, tx_done, rx_len, rx_done;
	uint8_t tx[PROOF_OFFER_MAX], rx[PROOF_OFFER_MAX];

	uint64_t n_records; /* written under the present key */
	uint64_t key_since_ns; /* first of them */
	char error[256];
};

static __attribute__((format(printf, 3, 4))) int fail(struct tls *t, int error,
						      const char *fmt, ...)
{
	va_list args;

	if (t->failed)
		return t->failed;
	t->failed = error;
	/* A reason that a callback has left is better than ours. */
	if (t->error[0])
		return error;
	va_start(args, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, args);
	va_end(args);
	return error;
}

/* For callbacks: why the handshake that is about to fail does so. */
static __attribute__((format(printf, 2, 3))) void note(struct tls *t,
						       const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, args);
	va_end(args);
}

/* --- keys ------------------------------------------------------------------ */

/* The PSK of this pair as OpenSSL wants it; a fresh one for each call. */
static SSL_SESSION *session_new(const struct tls *t)
{
	static const unsigned char aes_256_gcm_sha384[] = { 0x13, 0x02 };
	const SSL_CIPHER *cipher = SSL_CIPHER_find(t->ssl, aes_256_gcm_sha384);
	uint8_t psk[KEYS_PSK_LEN];
	SSL_SESSION *s;

	/* There may have been more secrets when the handshake began. */
	if (!cipher || t->secret >= t->keys->n_secrets ||
	    keys_psk(&t->keys->secrets[t->secret], t->id.dialler,
		     t->id.listener, psk))
		return NULL;
	s = SSL_SESSION_new();
	if (s && (!SSL_SESSION_set1_master_key(s, psk, sizeof(psk)) ||
		  !SSL_SESSION_set_cipher(s, cipher) ||
		  !SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION))) {
		SSL_SESSION_free(s);
		s = NULL;
	}
	OPENSSL_cleanse(psk, sizeof(psk));
	return s;
}

/* What we offer; -EINVAL, -EIO. */
static int id_make(struct tls *t)
{
	if (t->secret >= t->keys->n_secrets)
		return -EINVAL;
	strcpy(t->id.dialler, t->keys->node_id);
	strcpy(t->id.listener, t->peer_id);
	return keys_tag(&t->keys->secrets[t->secret], t->id.dialler,
			t->id.listener, t->id.tag);
}

static int on_offer(SSL *ssl, const EVP_MD *md, const unsigned char **id,
		    size_t *id_len, SSL_SESSION **session)
{
	struct tls *t = SSL_get_app_data(ssl);

	*session = NULL;
	/* After a retry the hash is settled, and only ours fits the key. */
	if (md && !EVP_MD_is_a(md, "SHA384"))
		return 1;
	if (id_make(t) || keys_identity_format(t->identity, &t->id))
		return 0;
	*session = session_new(t);
	*id = (const unsigned char *)t->identity;
	*id_len = strlen(t->identity);
	return *session ? 1 : 0;
}

static bool is_for_us(const struct tls *t, const char *listener)
{
	return !strcmp(listener, KEYS_ANYONE) ||
	       !strcmp(listener, t->keys->node_id);
}

/* The secret that is meant, -ENOKEY: none of ours. */
static int find_secret(const struct tls_keys *k, const struct keys_identity *id)
{
	uint8_t tag[KEYS_TAG_LEN];
	size_t i;

	for (i = 0; i < k->n_secrets; i++)
		if (!keys_tag(&k->secrets[i], id->dialler, id->listener, tag) &&
		    !memcmp(tag, id->tag, sizeof(tag)))
			return i;
	return -ENOKEY;
}

/*
 * A stranger's bytes: whether that node may come in. Return: 0; -EKEYREJECTED: it may, but its
 * secret is none of ours; -EACCES: why is noted
 */
static int admit(struct tls *t, const uint8_t *text, size_t len)
{
	struct keys_identity id;
	int secret;

	if (keys_identity_parse(text, len, &id)) {
		note(t, "PSK identity is not one of flyrep");
		return -EACCES;
	}
	if (!is_for_us(t, id.listener)) {
		note(t, "node %s dialled node %s, but this is node %s",
		     id.dialler, id.listener, t->keys->node_id);
		return -EACCES;
	}
	if (!strcmp(id.dialler, t->keys->node_id)) {
		note(t, "a node dialled that calls itself %s, as we do",
		     id.dialler);
		return -EACCES;
	}
	if (!t->is_allowed(t->cookie, id.dialler)) {
		note(t, "unknown identity: node %s is none of our peers",
		     id.dialler);
		return -EACCES;
	}
	secret = find_secret(t->keys, &id);
	t->secret = secret < 0 ? 0 : secret;
	t->id = id;
	strcpy(t->peer_id, id.dialler);
	return secret < 0 ? -EKEYREJECTED : 0;
}

/*
 * Unknown: no session, and the handshake fails for want of a certificate. One
 * look-up for each connection, so a hello full of identities costs one derivation.
 */
static int on_identity(SSL *ssl, const unsigned char *text, size_t len,
		       SSL_SESSION **session)
{
	struct tls *t = SSL_get_app_data(ssl);
	struct keys_identity id;

	*session = NULL;
	if (t->was_offered) {
		/* Asked again after a retry of the hello: same or nothing. */
		if (!t->has_key || keys_identity_parse(text, len, &id) ||
		    strcmp(id.dialler, t->id.dialler) ||
		    strcmp(id.listener, t->id.listener) ||
		    memcmp(id.tag, t->id.tag, sizeof(id.tag)))
			return 1;
		*session = session_new(t);
		return *session ? 1 : 0;
	}
	t->was_offered = true;
	/*
	 * If the secret is none of ours, the present one: then the binder does not verify, which
	 * tells both ends what is wrong.
	 */
	if (admit(t, text, len) == -EACCES)
		return 1;
	*session = session_new(t);
	if (!*session)
		return 0;
	t->has_key = true;
	return 1;
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_NO_DHE_KEX |
					   SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER_LEN);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_set_ciphersuites(ctx, CIPHER) &&
	    SSL_CTX_set1_groups_list(ctx, GROUP) &&
	    SSL_CTX_set_num_tickets(ctx, 0) &&
	    SSL_CTX_set_max_early_data(ctx, 0) &&
	    SSL_CTX_set_recv_max_early_data(ctx, 0))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* --- certificates ------------------------------------------------------------ */

/* Of the names of a certificate, the one peer that it stands for. */
static bool find_peer(struct tls *t)
{
	size_t i, n = 0;

	for (i = 0; i < t->names.n; i++) {
		const char *name = t->names.name[i];

		if (!strcmp(name, t->keys->node_id)) {
			note(t, "a node dialled whose certificate names %s, as ours does",
			     name);
			return false;
		}
		if (!t->is_allowed(t->cookie, name) || !strcmp(name, t->peer_id))
			continue;
		if (n++) {
			note(t, "the certificate of the other side names more than one of "
			     "our peers: %s, %s",
			     t->peer_id, name);
			return false;
		}
		strcpy(t->peer_id, name);
	}
	if (!n)
		note(t, "unknown identity: the certificate of the other side, "
		     "\"%s\", names none of our peers",
		     t->names.n ? t->names.name[0] : "");
	return n;
}

/* Called for each certificate of the chain, ours being the last one. */
static int on_verify(int is_good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
		store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);
	int code = X509_STORE_CTX_get_error(store);

	if (!is_good) {
		note(t, "the certificate of the other side is refused: %s",
		     X509_verify_cert_error_string(code));
		return 0;
	}
	if (X509_STORE_CTX_get_error_depth(store))
		return 1;
	certs_names(X509_STORE_CTX_get_current_cert(store), &t->names);
	if (!t->is_dialler) {
		is_good = find_peer(t);
	} else if (strcmp(t->peer_id, KEYS_ANYONE) &&
		   !certs_has_name(&t->names, t->peer_id)) {
		note(t, "the certificate at its address is of \"%s\", not of node %s",
		     t->names.n ? t->names.name[0] : "", t->peer_id);
		is_good = 0;
	}
	if (!is_good)
		X509_STORE_CTX_set_error(store,
					 X509_V_ERR_APPLICATION_VERIFICATION);
	return is_good;
}

/* Both contexts from the files; those there are stay if that fails. */
static int read_files(struct tls_keys *k)
{
	SSL_CTX *dialler = context_new(TLS_client_method());
	SSL_CTX *listener = context_new(TLS_server_method());
	char why[sizeof(k->trouble)] = "out of memory";
	int rc = dialler && listener ? 0 : -ENOMEM;

	certs_stamp(&k->files, &k->stamp);
	if (!rc)
		rc = certs_use(dialler, &k->files, why, sizeof(why));
	if (!rc)
		rc = certs_use(listener, &k->files, why, sizeof(why));
	if (rc) {
		SSL_CTX_free(dialler);
		SSL_CTX_free(listener);
		if (strcmp(k->trouble, why))
			fr_err("tls: %s", why);
		strcpy(k->trouble, why);
		return rc;
	}
	SSL_CTX_set_verify(dialler, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_verify(listener,
			   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   on_verify);
	/* Sessions hold what they were made of. */
	SSL_CTX_free(k->dialler);
	SSL_CTX_free(k->listener);
	k->dialler = dialler;
	k->listener = listener;
	k->trouble[0] = '\0';
	return 0;
}

/* Once for each session, so a certificate that was renewed is noticed. */
static void look_at_files(struct tls_keys *k)
{
	struct certs_stamp now;

	certs_stamp(&k->files, &now);
	/* One that is wrong may get right by the clock alone. */
	if (k->trouble[0] || memcmp(&now, &k->stamp, sizeof(now)))
		read_files(k);
}

int tls_keys_set_files(struct tls_keys *k, const struct certs_files *files)
{
	const char *const paths[] = { files->cert_file, files->key_file,
				      files->ca_file };
	size_t i;

	if (!k->has_certs)
		return 0;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		snprintf(k->paths[i], sizeof(k->paths[i]), "%s", paths[i]);
	k->files = (struct certs_files){ k->paths[0], k->paths[1],
					 k->paths[2] };
	return read_files(k);
}

const char *tls_keys_trouble(const struct tls_keys *k)
{
	return k->trouble;
}

int64_t tls_keys_expiry(const struct tls_keys *k)
{
	return k->has_certs ? certs_expiry(k->listener) : 0;
}

/* --- keys of a node ------------------------------------------------------------ */

int tls_keys_set_secrets(struct tls_keys *k, const struct tls_secret *secrets,
			 size_t n_secrets)
{
	struct keys made[TLS_SECRETS_MAX];
	size_t i;
	int rc = (n_secrets || k->has_certs) && n_secrets <= TLS_SECRETS_MAX ?
			 0 :
			 -EINVAL;

	for (i = 0; i < n_secrets && !rc; i++)
		rc = keys_init(&made[i], secrets[i].bytes, secrets[i].len);
	if (rc) {
		fr_err("tls: no key can be derived from the secret");
	} else {
		memcpy(k->secrets, made, n_secrets * sizeof(made[0]));
		k->n_secrets = n_secrets;
	}
	OPENSSL_cleanse(made, sizeof(made));
	return rc;
}

size_t tls_keys_n_secrets(const struct tls_keys *k)
{
	return k->n_secrets;
}

static int use_psk(struct tls_keys *k)
{
	k->dialler = context_new(TLS_client_method());
	k->listener = context_new(TLS_server_method());
	if (!k->dialler || !k->listener) {
		fr_err("tls: OpenSSL refused: %s",
		       ERR_reason_error_string(ERR_peek_last_error()) ?:
			       "out of memory");
		return -EIO;
	}
	/*
	 * The listener has no certificate to show, so nothing but a PSK gets
	 * in. The dialler must say that no certificate pleases it.
	 */
	SSL_CTX_set_verify(k->dialler, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_psk_use_session_callback(k->dialler, on_offer);
	SSL_CTX_set_psk_find_session_callback(k->listener, on_identity);
	return 0;
}

struct tls_keys *tls_keys_new(const char *node_id,
			      const struct tls_secret *secrets,
			      size_t n_secrets, const struct certs_files *files)
{
	struct tls_keys *k;

	if (!keys_is_node_id(node_id)) {
		fr_err("tls: \"%.64s\" is no node id", node_id);
		return NULL;
	}
	k = calloc(1, sizeof(*k));
	if (!k) {
		fr_err("tls: out of memory");
		return NULL;
	}
	strcpy(k->node_id, node_id);
	k->rekey_records = REKEY_RECORDS;
	k->rekey_ns = REKEY_NS;
	k->has_certs = files;
	if (tls_keys_set_secrets(k, secrets, n_secrets))
		goto err;
	k->bio_method = tls_bio_method();
	if (files ? tls_keys_set_files(k, files) : use_psk(k))
		goto err;
	if (k->bio_method)
		return k;
	fr_err("tls: out of memory");
err:
	ERR_clear_error();
	tls_keys_free(k);
	return NULL;
}

void tls_keys_free(struct tls_keys *k)
{
	if (!k)
		return;
	BIO_meth_free(k->bio_method);
	SSL_CTX_free(k->listener);
	SSL_CTX_free(k->dialler);
	OPENSSL_cleanse(k->secrets, sizeof(k->secrets));
	free(k);
}

void tls_keys_go_clear(struct tls_keys *k)
{
	k->is_clear = !k->has_certs;
}

void tls_keys_rekey_after(struct tls_keys *k, uint32_t n_records, uint64_t ms)
{
	k->rekey_records = n_records;
	k->rekey_ns = ms * 1000000;
}

/* --- a session --------------------------------------------------------------- */

static int on_clear_hello(void *cookie, const uint8_t *identity, size_t len,
			  struct keys_identity *id, const struct keys **secret)
{
	struct tls *t = cookie;
	int rc = admit(t, identity, len);

	*id = t->id;
	*secret = &t->keys->secrets[t->secret];
	return rc;
}

struct tls *tls_new(struct tls_keys *k, int fd, const char *peer_id,
		    int (*is_allowed)(void *cookie, const char *peer_id),
		    void *cookie)
{
	struct tls *t;
	BIO *bio;

	if (peer_id &&
	    ((!keys_is_node_id(peer_id) && strcmp(peer_id, KEYS_ANYONE)) ||
	     !strcmp(peer_id, k->node_id))) {
		fr_err("tls: \"%.64s\" cannot be dialled from node %s", peer_id,
		       k->node_id);
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	if (k->has_certs)
		look_at_files(k);
	t->keys = k;
	t->bio.fd = fd;
	t->is_allowed = is_allowed;
	t->cookie = cookie;
	t->is_dialler = peer_id;
	t->events = peer_id ? EPOLLOUT : EPOLLIN;
	if (peer_id)
		strcpy(t->peer_id, peer_id);
	if (k->is_clear) {
		if (!peer_id)
			t->clear = clear_listen(fd, on_clear_hello, t);
		if (peer_id || t->clear) /* a dialler's follows, once the secret is known */
			return t;
		free(t);
		return NULL;
	}
	t->ssl = SSL_new(peer_id ? k->dialler : k->listener);
	bio = t->ssl ? tls_bio_new(k->bio_method, &t->bio) : NULL;
	if (!bio) {
		ERR_clear_error();
		tls_free(t);
		return NULL;
	}
	SSL_set_app_data(t->ssl, t);
	SSL_set_bio(t->ssl, bio, bio);
	if (!peer_id) {
		SSL_set_accept_state(t->ssl);
		return t;
	}
	SSL_set_connect_state(t->ssl);
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	clear_free(t->clear);
	free(t);
}

void tls_offer(struct tls *t, size_t secret)
{
	t->secret = secret;
}

/*
 * What a failure of OpenSSL means here. Rows of the dialler read the alert of the
 * listener; the listener's own reasons are mostly noted by on_identity().
 */
static const struct meaning {
	int reason; /* of ERR_LIB_SSL */
	int error;
	const char *text; /* %s: the other side */
} meanings[] = {
	{ SSL_R_BINDER_DOES_NOT_VERIFY, -EKEYREJECTED,
	  "PSK mismatch with %s: its secret_key is not ours" },
	{ SSL_R_BAD_PSK, -EACCES, "PSK mismatch with %s" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, -EACCES, "%s offered no PSK" },
	{ SSL_R_NO_SHARED_CIPHER, -EACCES,
	  "%s offered neither PSK nor our cipher" },
	{ SSL_R_CERTIFICATE_VERIFY_FAILED, -EACCES,
	  "%s did not take our PSK and showed a certificate" },
	/* Alerts of the other side. */
	{ SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER, -EKEYREJECTED,
	  "PSK mismatch: %s says that our secret_key is not its" },
	{ SSL_R_TLSV1_ALERT_DECRYPT_ERROR, -EKEYREJECTED,
	  "PSK mismatch: %s says that our secret_key is not its" },
	{ SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, -EACCES,
	  "refused by %s: it is another node, or we are none of its peers" },
	{ SSL_R_TLSV1_ALERT_ACCESS_DENIED, -EACCES, "refused by %s" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, -EACCES,
	  "%s showed no certificate" },
	{ SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, -EACCES,
	  "%s asks for a certificate" },
	{ SSL_R_TLSV1_ALERT_UNKNOWN_CA, -EACCES,
	  "refused by %s: it does not believe who signed our certificate" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, -EACCES,
	  "refused by %s: our certificate has expired" },
	{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, -EACCES,
	  "refused by %s: it does not take our certificate" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, -EACCES,
	  "refused by %s: it does not take our certificate" },
	{ SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, -EACCES,
	  "refused by %s: our certificate is not for this use" },
	/* Not us at all. */
	{ SSL_R_UNSUPPORTED_PROTOCOL, -EPROTO, "%s does not speak TLS 1.3" },
	{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, -EPROTO,
	  "%s does not speak TLS 1.3" },
	{ SSL_R_WRONG_VERSION_NUMBER, -EPROTO, "%s does not speak TLS" },
	{ SSL_R_HTTP_REQUEST, -EPROTO, "%s speaks HTTP, not TLS" },
	{ SSL_R_UNEXPECTED_EOF_WHILE_READING, -ECONNRESET,
	  "%s closed the connection without notice" },
};

#define WHO_SIZE (FR_NODE_ID_MAX_LEN + sizeof("node "))

static void who_is(const struct tls *t, char who[WHO_SIZE])
{
	if (keys_is_node_id(t->peer_id))
		snprintf(who, WHO_SIZE, "node %s", t->peer_id);
	else
		strcpy(who, "the other side");
}

/* An alert, protocol_version, to one that speaks no TLS: it knows us by its first byte. */
static void say_tls(struct tls *t)
{
	static const uint8_t alert[] = { 0x15, 3, 3, 0, 2, 2, 70 };

	if (!t->is_dialler &&
	    send(t->bio.fd, alert, sizeof(alert), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* then it sees us hang up */
}

static int explain(struct tls *t)
{
	unsigned long code = ERR_peek_error();
	const char *text = ERR_reason_error_string(code);
	char who[WHO_SIZE];
	size_t i;

	who_is(t, who);
	/* After an end of file it is the alert about it that fails to go. */
	if (t->bio.error && !t->bio.is_eof)
		return fail(t, -t->bio.error, "%s: %s", who,
			    strerror(t->bio.error));
	if (!t->is_ready && t->bio.has_first && t->bio.first == CLEAR_FIRST) {
		say_tls(t);
		return fail(t, -EACCES,
			    "%s does not encrypt (transport.encryption = false), this node does",
			    who);
	}
	/* Refused by a callback, whatever OpenSSL made of it. */
	if (!t->is_ready && t->error[0])
		return fail(t, -EACCES, "%s refused", who);
	if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
		for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
			if (ERR_GET_REASON(code) != meanings[i].reason ||
			    (meanings[i].error == -EKEYREJECTED &&
			     t->keys->has_certs))
				continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			return fail(t, meanings[i].error, meanings[i].text,
				    who);
#pragma GCC diagnostic pop
		}
	}
	if (t->bio.is_eof)
		return fail(t, -ECONNRESET, "%s closed the connection", who);
	return fail(t, -EPROTO, "%s: TLS failed: %s", who,
		    text ?: "no reason given");
}

/* What the return value of an SSL call means. 0: closed in order. */
static int result(struct tls *t, int rc)
{
	int error;

	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		t->events = EPOLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->events = EPOLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		error = explain(t);
		ERR_clear_error();
		return error;
	}
}

/* --- without encryption --- */

/* What a failure of clear.h means; others are passed on. */
static ssize_t clear_result(struct tls *t, ssize_t rc)
{
	char who[WHO_SIZE];

	t->events = clear_events(t->clear);
	if (rc >= 0 || rc == -EAGAIN)
		return rc;
	who_is(t, who);
	switch (rc) {
	case -EPROTONOSUPPORT:
		return fail(t, -EACCES,
			    "%s wants encryption, this node has transport.encryption = false",
			    who);
	case -EKEYREJECTED:
		return fail(t, rc, "PSK mismatch with %s: its secret_key is not ours", who);
	case -EACCES:
		return fail(t, rc, "refused by %s: it is another node, or we are none of its peers",
			    who);
	case -EBADMSG:
		return fail(t, -EPROTO, "%s: a frame was altered, replayed or left out", who);
	case -EPROTO:
		return fail(t, rc, "%s does not speak our protocol", who);
	case -ECONNRESET:
		return fail(t, rc, "%s closed the connection without notice", who);
	default:
		return fail(t, rc, "%s: %s", who, strerror(-rc));
	}
}

static int clear_shake(struct tls *t)
{
	int rc;

	if (!t->clear && !id_make(t))
		t->clear = clear_dial(t->bio.fd, &t->id, &t->keys->secrets[t->secret]);
	if (!t->clear)
		return fail(t, -EIO, "no key can be made");
	rc = clear_result(t, clear_handshake(t->clear));
	if (rc)
		return rc;
	t->is_ready = true;
	t->events = EPOLLIN;
	return 0;
}

/* --- a secret besides certificates --- */

static int proof_failed(struct tls *t, int error)
{
	const char *who = keys_is_node_id(t->peer_id) ? t->peer_id :
							"the other side";

	if (error == -EKEYREJECTED)
		return fail(t, -EACCES,
			    "PSK mismatch with %s: its secret_key is not ours",
			    who);
	return fail(t, -EACCES, "%s does not prove that it has our secret",
		    who);
}

static int binding_of(const struct tls *t, uint8_t binding[PROOF_BINDING_LEN])
{
	static const char label[] = "EXPORTER-flyrep-proof";

	return SSL_export_keying_material(t->ssl, binding, PROOF_BINDING_LEN,
					  label, strlen(label), NULL, 0,
					  0) == 1 ?
		       0 :
		       -EIO;
}

/* Dialler: what to send; the listener first waits for it. */
static int proof_begin(struct tls *t)
{
	uint8_t binding[PROOF_BINDING_LEN];
	int n;

	if (!t->is_dialler) {
		t->rx_len = 1;
		return 0;
	}
	t->rx_len = PROOF_ANSWER_LEN;
	if (binding_of(t, binding))
		return proof_failed(t, -EIO);
	n = proof_offer(t->keys->secrets, t->keys->n_secrets, binding, t->tx);
	if (n < 0)
		return proof_failed(t, n);
	t->tx_len = n;
	return 0;
}

/* Which secret it was, for tls_secret(). */
static void remember_secret(struct tls *t, size_t secret)
{
	t->secret = secret;
	strcpy(t->id.dialler, t->is_dialler ? t->keys->node_id : t->peer_id);
	strcpy(t->id.listener, t->is_dialler ? t->peer_id : t->keys->node_id);
	if (keys_tag(&t->keys->secrets[secret], t->id.dialler, t->id.listener,
		     t->id.tag))
		memset(t->id.tag, 0, sizeof(t->id.tag));
}

/* All that was awaited is there. Return: 0, or what it says of the other side. */
static int proof_take(struct tls *t)
{
	uint8_t binding[PROOF_BINDING_LEN];
	int rc;

	if (!t->is_dialler && t->rx_len == 1) {
		t->rx_len = proof_offer_len(t->rx[0]);
		return t->rx_len < 0 ? t->rx_len : 0;
	}
	if (binding_of(t, binding))
		return -EIO;
	if (t->is_dialler) {
		rc = proof_check(t->keys->secrets, t->keys->n_secrets, binding,
				 t->rx);
	} else {
		rc = proof_answer(t->keys->secrets, t->keys->n_secrets, binding,
				  t->rx, t->tx);
		t->tx_len = PROOF_ANSWER_LEN;
	}
	if (rc >= 0)
		remember_secret(t, rc);
	return rc < 0 ? rc : 0;
}

static int proof_send(struct tls *t)
{
	size_t n;
	int rc;

	while (t->tx_done < t->tx_len) {
		rc = SSL_write_ex(t->ssl, t->tx + t->tx_done,
				  t->tx_len - t->tx_done, &n);
		if (rc != 1)
			return result(t, rc) ?: fail(t, -ECONNRESET, "closed");
		t->tx_done += n;
	}
	return 0;
}

/* 0: both have the secret. */
static int proof_go_on(struct tls *t)
{
	size_t n;
	int rc;

	ERR_clear_error();
	while (t->rx_done < t->rx_len) {
		rc = proof_send(t);
		if (rc)
			return rc;
		rc = SSL_read_ex(t->ssl, t->rx + t->rx_done,
				 t->rx_len - t->rx_done, &n);
		if (rc != 1)
			return result(t, rc) ?:
				       fail(t, -ECONNRESET,
					    "closed before the secret was proven");
		t->rx_done += n;
		if (t->rx_done < t->rx_len)
			continue;
		rc = proof_take(t);
		if (rc) {
			proof_send(t); /* so that it knows, too */
			return proof_failed(t, rc);
		}
	}
	return proof_send(t);
}

/* The handshake has ended well: was it by what we ask for? */
static int check_handshake(struct tls *t)
{
	bool has_cert = SSL_get0_peer_certificate(t->ssl);

	if (t->keys->has_certs) {
		if (SSL_session_reused(t->ssl) || !has_cert ||
		    SSL_get_verify_result(t->ssl) != X509_V_OK)
			return fail(t, -EACCES,
				    "handshake without a certificate");
		return 0;
	}
	/* OpenSSL calls the use of an external PSK a resumption. */
	if (!SSL_session_reused(t->ssl) || has_cert ||
	    !(t->is_dialler || t->has_key))
		return fail(t, -EACCES, "handshake without our PSK");
	return 0;
}

static int shake(struct tls *t)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	if (rc != 1)
		return result(t, rc) ?:
				       fail(t, -ECONNRESET,
					    "closed during the handshake");
	rc = check_handshake(t);
	if (rc)
		return rc;
	t->is_shaken = true;
	t->error[0] = '\0';
	return t->keys->has_certs && t->keys->n_secrets ? proof_begin(t) : 0;
}

int tls_handshake(struct tls *t)
{
	int rc = 0;

	if (t->failed)
		return t->failed;
	if (t->is_ready)
		return 0;
	if (t->keys->is_clear)
		return clear_shake(t);
	if (!t->is_shaken)
		rc = shake(t);
	if (!rc)
		rc = proof_go_on(t);
	if (rc)
		return rc;
	t->is_ready = true;
	t->events = EPOLLIN;
	return 0;
}

ssize_t tls_read(struct tls *t, void *buf, size_t len)
{
	size_t n;
	int rc;

	if (t->failed)
		return t->failed;
	if (!t->is_ready)
		return -ENOTCONN;
	if (t->clear)
		return clear_result(t, clear_read(t->clear, buf, len));
	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, buf, len, &n);
	return rc == 1 ? (ssize_t)n : result(t, rc);
}

/*
 * Change our write key when it has done enough. The message is kept by the BIO
 * where the socket is full: if it had to wait, reading would wait with it, and two
 * nodes that change keys at once with full sockets would wait for each other.
 */
static int rekey(struct tls *t)
{
	uint64_t now_ns = monotonic_ns();
	int rc;

	if (!t->n_records) {
		t->key_since_ns = now_ns;
		return 0;
	}
	if (t->n_records < t->keys->rekey_records &&
	    now_ns - t->key_since_ns < t->keys->rekey_ns)
		return 0;
	t->bio.may_keep = true;
	rc = SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
	if (rc == 1)
		rc = SSL_do_handshake(t->ssl);
	t->bio.may_keep = false;
	if (rc != 1)
		return result(t, rc) ?: fail(t, -ECONNRESET, "closed");
	t->n_records = 0;
	t->key_since_ns = now_ns;
	return 0;
}

ssize_t tls_write(struct tls *t, const void *buf, size_t len)
{
	size_t n;
	int rc;

	if (t->failed)
		return t->failed;
	if (!t->is_ready)
		return -ENOTCONN;
	if (!len)
		return 0;
	if (t->clear)
		return clear_result(t, clear_write(t->clear, buf, len));
	ERR_clear_error();
	if (!t->is_write_open) {
		rc = rekey(t);
		if (rc)
			return rc;
	}
	rc = SSL_write_ex(t->ssl, buf, len, &n);
	if (rc != 1) {
		rc = result(t, rc);
		t->is_write_open = rc == -EAGAIN;
		return rc ?: fail(t, -ECONNRESET, "closed by the other side");
	}
	t->is_write_open = false;
	t->n_records += (n + RECORD_LEN - 1) / RECORD_LEN;
	return n;
}

void tls_shutdown(struct tls *t)
{
	if (t->failed || !t->is_ready)
		return;
	if (t->clear) {
		clear_shutdown(t->clear);
		return;
	}
	ERR_clear_error();
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}

uint32_t tls_events(const struct tls *t)
{
	return t->events;
}

size_t tls_pending(const struct tls *t)
{
	int n;

	if (t->clear)
		return clear_pending(t->clear);
	n = SSL_pending(t->ssl);

	/* Read ahead, maybe not a whole record: then the next read says so. */
	return n > 0 ? n : SSL_has_pending(t->ssl);
}

const char *tls_peer_id(const struct tls *t)
{
	return t->peer_id;
}

int tls_export(const struct tls *t, const char *label, uint8_t *out, size_t len)
{
	if (!t->is_ready || t->failed)
		return -ENOTCONN;
	if (t->clear) {
		uint8_t all[KEYS_PSK_LEN];
		int rc = len <= sizeof(all) ? clear_export(t->clear, label, all) : -EIO;

		if (!rc)
			memcpy(out, all, len);
		return rc;
	}
	if (SSL_export_keying_material(t->ssl, out, len, label, strlen(label),
				       NULL, 0, 0) == 1)
		return 0;
	ERR_clear_error();
	return -EIO;
}

bool tls_is_peer(const struct tls *t, const char *id)
{
	if (t->keys->has_certs)
		return certs_has_name(&t->names, id);
	return !strcmp(t->peer_id, KEYS_ANYONE) || !strcmp(t->peer_id, id);
}

int tls_secret(const struct tls *t)
{
	if (t->keys->has_certs && !t->id.dialler[0])
		return 0; /* there is none */
	return find_secret(t->keys, &t->id);
}

const char *tls_error(const struct tls *t)
{
	return t->error;
}
