// SPDX-License-Identifier: GPL-2.0-or-later
#include "keys.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define SALT "flyrep/1"
#define PSK_LABEL "flyrep psk"
#define PROOF_LABEL "flyrep proof"
#define CLEAR_LABEL "flyrep clear"
#define TAG_LABEL "flyrep tag"
#define HEARTBEAT_LABEL "flyrep heartbeat"
#define BACKUP_LABEL "flyrep backup"
#define BACKUP_ID_LABEL "flyrep name of backup key"

struct hkdf {
	int mode; /* EVP_KDF_HKDF_MODE_EXTRACT_ONLY or _EXPAND_ONLY */
	const void *key;
	size_t key_len;
	const char *param; /* what @bytes are: salt or info */
	const void *bytes;
	size_t bytes_len;
};

static int derive(const struct hkdf *h, uint8_t *out, size_t out_len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int mode = h->mode;
	/* OpenSSL only reads what it is given without const. */
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
						 (char *)"SHA384", 0),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
						  (void *)h->key, h->key_len),
		OSSL_PARAM_construct_octet_string(h->param, (void *)h->bytes,
						  h->bytes_len),
		OSSL_PARAM_construct_end(),
	};
	int ok = ctx && EVP_KDF_derive(ctx, out, out_len, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	if (ok)
		return 0;
	OPENSSL_cleanse(out, out_len);
	return -EIO;
}

static int expand(const struct keys *k, const void *info, size_t info_len,
		  uint8_t *out, size_t out_len)
{
	const struct hkdf h = {
		.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
		.key = k->prk,
		.key_len = sizeof(k->prk),
		.param = OSSL_KDF_PARAM_INFO,
		.bytes = info,
		.bytes_len = info_len,
	};

	return derive(&h, out, out_len);
}

int keys_init(struct keys *k, const void *secret, size_t secret_len)
{
	const struct hkdf h = {
		.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
		.key = secret,
		.key_len = secret_len,
		.param = OSSL_KDF_PARAM_SALT,
		.bytes = SALT,
		.bytes_len = strlen(SALT),
	};

	if (!secret_len)
		return -EINVAL;
	return derive(&h, k->prk, sizeof(k->prk));
}

void keys_wipe(struct keys *k)
{
	OPENSSL_cleanse(k, sizeof(*k));
}

int keys_is_node_id(const char *id)
{
	size_t len = strnlen(id, FR_NODE_ID_MAX_LEN + 1);

	return len && len <= FR_NODE_ID_MAX_LEN &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyz"
			  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			  "0123456789._-") == len;
}

static bool is_listener(const char *id)
{
	return !strcmp(id, KEYS_ANYONE) || keys_is_node_id(id);
}

/* What is for one pair in one direction of dialling, and for one purpose. */
static int expand_for(const struct keys *k, const char *purpose,
		      const char *dialler, const char *listener, uint8_t *out,
		      size_t out_len)
{
	const char *const parts[] = { purpose, dialler, listener };
	uint8_t label[sizeof(parts) / sizeof(parts[0]) *
		      (1 + FR_NODE_ID_MAX_LEN)];
	size_t len = 0, i;

	if (!keys_is_node_id(dialler) || !is_listener(listener))
		return -EINVAL;
	/* A length before each part: no two triples make the same label. */
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t n = strlen(parts[i]);

		label[len++] = n;
		memcpy(label + len, parts[i], n);
		len += n;
	}
	return expand(k, label, len, out, out_len);
}

int keys_psk(const struct keys *k, const char *dialler, const char *listener,
	     uint8_t psk[KEYS_PSK_LEN])
{
	return expand_for(k, PSK_LABEL, dialler, listener, psk, KEYS_PSK_LEN);
}

int keys_backup(const struct keys *k, const uint8_t salt[KEYS_BACKUP_SALT_LEN],
		uint8_t out[KEYS_BACKUP_LEN])
{
	uint8_t info[sizeof(BACKUP_LABEL) - 1 + KEYS_BACKUP_SALT_LEN];

	memcpy(info, BACKUP_LABEL, sizeof(BACKUP_LABEL) - 1);
	memcpy(info + sizeof(BACKUP_LABEL) - 1, salt, KEYS_BACKUP_SALT_LEN);
	return expand(k, info, sizeof(info), out, KEYS_BACKUP_LEN);
}

int keys_backup_id(const struct keys *k, uint8_t out[KEYS_BACKUP_ID_LEN])
{
	return expand(k, BACKUP_ID_LABEL, strlen(BACKUP_ID_LABEL), out,
		      KEYS_BACKUP_ID_LEN);
}

int keys_tag(const struct keys *k, const char *dialler, const char *listener,
	     uint8_t tag[KEYS_TAG_LEN])
{
	return expand_for(k, TAG_LABEL, dialler, listener, tag, KEYS_TAG_LEN);
}

int keys_proof(const struct keys *k, uint8_t key[KEYS_PSK_LEN])
{
	return expand(k, PROOF_LABEL, strlen(PROOF_LABEL), key, KEYS_PSK_LEN);
}

int keys_heartbeat(const struct keys *k, struct fr_beat_key *key)
{
	return expand(k, HEARTBEAT_LABEL, strlen(HEARTBEAT_LABEL), key->b, sizeof(key->b));
}

int keys_clear(const struct keys *k, const struct keys_identity *id,
	       const void *salt, size_t salt_len, struct keys *session)
{
	uint8_t key[KEYS_PSK_LEN];
	const struct hkdf h = {
		.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
		.key = key,
		.key_len = sizeof(key),
		.param = OSSL_KDF_PARAM_SALT,
		.bytes = salt,
		.bytes_len = salt_len,
	};
	int rc = expand_for(k, CLEAR_LABEL, id->dialler, id->listener, key,
			    sizeof(key));

	if (!rc)
		rc = derive(&h, session->prk, sizeof(session->prk));
	OPENSSL_cleanse(key, sizeof(key));
	return rc;
}

int keys_label(const struct keys *session, const char *label,
	       uint8_t key[KEYS_PSK_LEN])
{
	return expand(session, label, strlen(label), key, KEYS_PSK_LEN);
}

int keys_identity_format(char text[KEYS_IDENTITY_SIZE],
			 const struct keys_identity *id)
{
	size_t i;
	int n;

	if (!keys_is_node_id(id->dialler) || !is_listener(id->listener))
		return -EINVAL;
	n = snprintf(text, KEYS_IDENTITY_SIZE, "%s%s:%s:", KEYS_IDENTITY_PREFIX,
		     id->dialler, id->listener);
	for (i = 0; i < sizeof(id->tag); i++)
		n += snprintf(text + n, KEYS_IDENTITY_SIZE - n, "%02x",
			      id->tag[i]);
	return 0;
}

/* Copy what may be a node id; -EBADMSG where it cannot. */
static int id_copy(char id[FR_NODE_ID_MAX_LEN + 1], const uint8_t *bytes,
		   size_t len)
{
	if (len > FR_NODE_ID_MAX_LEN)
		return -EBADMSG;
	memcpy(id, bytes, len);
	id[len] = '\0';
	return strlen(id) == len ? 0 : -EBADMSG;
}

/* Lower case only: there is one way to write it. */
static int tag_parse(uint8_t tag[KEYS_TAG_LEN], const uint8_t *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	if (len != 2 * KEYS_TAG_LEN)
		return -EBADMSG;
	memset(tag, 0, KEYS_TAG_LEN);
	for (i = 0; i < len; i++) {
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

		if (!digit)
			return -EBADMSG;
		tag[i / 2] = tag[i / 2] << 4 | (digit - digits);
	}
	return 0;
}

int keys_identity_parse(const uint8_t *text, size_t len,
			struct keys_identity *id)
{
	const size_t prefix_len = strlen(KEYS_IDENTITY_PREFIX);
	const uint8_t *end = text + len, *listener, *tag;

	if (len < prefix_len || len >= KEYS_IDENTITY_SIZE ||
	    memcmp(text, KEYS_IDENTITY_PREFIX, prefix_len))
		return -EBADMSG;
	text += prefix_len;
	listener = memchr(text, ':', end - text);
	tag = listener ? memchr(listener + 1, ':', end - listener - 1) : NULL;
	if (!tag || id_copy(id->dialler, text, listener - text) ||
	    !keys_is_node_id(id->dialler) ||
	    id_copy(id->listener, listener + 1, tag - listener - 1) ||
	    !is_listener(id->listener))
		return -EBADMSG;
	return tag_parse(id->tag, tag + 1, end - tag - 1);
}
