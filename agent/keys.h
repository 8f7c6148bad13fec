/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys: what is derived from a shared secret (docs/protocol.md, Session 1), and
 * the PSK identity that says which key a connection uses, and of which secret.
 */
#ifndef KEYS_H
#define KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "beat.h"
#include "frame.h"

#define KEYS_PSK_LEN 48
#define KEYS_PRK_LEN 48 /* of HKDF-SHA384 */
#define KEYS_IDENTITY_PREFIX "flyrep/1:"
#define KEYS_TAG_LEN 8
/* Prefix, two node ids, a tag in hexadecimal, a colon before each but the first; NUL included. */
#define KEYS_IDENTITY_SIZE \
	(sizeof(KEYS_IDENTITY_PREFIX) + 2 * (FR_NODE_ID_MAX_LEN + 1) + 2 * KEYS_TAG_LEN)

/* Holds no copy of the secret itself. */
struct keys {
	uint8_t prk[KEYS_PRK_LEN];
};

/* Return: 0; -EINVAL for an empty secret; -EIO: the crypto library refused. */
int keys_init(struct keys *k, const void *secret, size_t secret_len);
void keys_wipe(struct keys *k);

/*
 * Key of one pair in one direction of dialling. -EINVAL on a bad node id, -EIO;
 * @listener may be KEYS_ANYONE.
 */
int keys_psk(const struct keys *k, const char *dialler, const char *listener,
	     uint8_t psk[KEYS_PSK_LEN]);
/*
 * What tells the key of keys_psk() from those of other secrets, and nothing about it that the use
 * of the key would not tell, too. Errors likewise.
 */
int keys_tag(const struct keys *k, const char *dialler, const char *listener,
	     uint8_t tag[KEYS_TAG_LEN]);

/* Key of agent/proof.h. Return: 0, -EIO. */
int keys_proof(const struct keys *k, uint8_t key[KEYS_PSK_LEN]);

/* Key of the datagrams between voters, see lib/beat.h. Return: 0, -EIO. */
int keys_heartbeat(const struct keys *k, struct fr_beat_key *key);

#define KEYS_BACKUP_LEN 32
#define KEYS_BACKUP_SALT_LEN 16
#define KEYS_BACKUP_ID_LEN 8

/* Key of one file at rest, told by its salt. Return: 0, -EIO. */
int keys_backup(const struct keys *k, const uint8_t salt[KEYS_BACKUP_SALT_LEN],
		uint8_t out[KEYS_BACKUP_LEN]);
/* Tells apart the secrets that files are encrypted with, and nothing of them. Return: 0, -EIO. */
int keys_backup_id(const struct keys *k, uint8_t out[KEYS_BACKUP_ID_LEN]);

/* Stands for the listener's id where the dialler was not told it; no node's own. */
#define KEYS_ANYONE "*"

/* 1 to 63 letters, digits, dots, underscores, dashes: never a colon. */
int keys_is_node_id(const char *id);

/* Which key: of whom, in which direction, of which secret. */
struct keys_identity {
	char dialler[FR_NODE_ID_MAX_LEN + 1];
	char listener[FR_NODE_ID_MAX_LEN + 1]; /* or KEYS_ANYONE */
	uint8_t tag[KEYS_TAG_LEN];
};

/**
 * keys_clear - keys of one session that is not encrypted, see agent/clear.h
 * @id: whose, its tag does not matter
 * @salt: what both ends have said, with a nonce of each
 * @session: what keys_label() makes its keys of
 * Return: 0, -EINVAL, -EIO
 */
int keys_clear(const struct keys *k, const struct keys_identity *id, const void *salt,
	       size_t salt_len, struct keys *session);
int keys_label(const struct keys *session, const char *label, uint8_t key[KEYS_PSK_LEN]);

/* A string in @text. -EINVAL on a bad node id. */
int keys_identity_format(char text[KEYS_IDENTITY_SIZE], const struct keys_identity *id);
/**
 * keys_identity_parse - take apart what keys_identity_format() makes, and nothing else
 * @text: bytes of a stranger, not NUL-terminated
 * Return: 0, -EBADMSG
 */
int keys_identity_parse(const uint8_t *text, size_t len, struct keys_identity *id);

#endif
