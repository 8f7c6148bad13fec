/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys: what is derived from the shared secret (docs/protocol.md, Session 1), and
 * the PSK identity that says which key a connection uses.
 */
#ifndef KEYS_H
#define KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "siphash.h"

#define KEYS_PSK_LEN 48
#define KEYS_PRK_LEN 48 /* of HKDF-SHA384 */
#define KEYS_IDENTITY_PREFIX "flyrep/1:"
/* Prefix, two node ids, the colon between; NUL included. */
#define KEYS_IDENTITY_SIZE (sizeof(KEYS_IDENTITY_PREFIX) + 2 * FR_NODE_ID_MAX_LEN + 1)

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
/* Key of bucket hashes and digests. Return: 0, -EIO. */
int keys_hash(const struct keys *k, struct fr_siphash_key *out);

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

/* A string in @identity. -EINVAL on a bad node id; @listener may be KEYS_ANYONE. */
int keys_identity_format(char identity[KEYS_IDENTITY_SIZE], const char *dialler,
			 const char *listener);
/**
 * keys_identity_parse - take apart what keys_identity_format() makes, and nothing else
 * @identity: bytes of a stranger, not NUL-terminated
 * Return: 0, -EBADMSG
 */
int keys_identity_parse(const uint8_t *identity, size_t len, char dialler[FR_NODE_ID_MAX_LEN + 1],
			char listener[FR_NODE_ID_MAX_LEN + 1]);

#endif
