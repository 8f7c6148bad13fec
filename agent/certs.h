/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Certs: the certificate of this node and the one authority that it believes, from PEM files,
 * and which nodes a certificate names.
 */
#ifndef CERTS_H
#define CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include <openssl/ssl.h>

#include "frame.h"

#define CERTS_NAMES_MAX 16 /* of one certificate that are node ids; the others are ignored */

/**
 * struct certs_files - paths, the caller's
 * @cert_file: ours, and intermediate ones after it
 * @key_file: its private key
 * @ca_file: authorities; nothing else is believed. NULL, for certs_use(): nobody is asked who it is
 */
struct certs_files {
	const char *cert_file;
	const char *key_file;
	const char *ca_file;
};

/* Which version of the files. */
struct certs_stamp {
	struct timespec mtime[3];
	off_t size[3];
	ino_t inode[3];
};

/* SAN of type DNS that are node ids; the CN if there is no such SAN at all. */
struct certs_names {
	size_t n;
	char name[CERTS_NAMES_MAX][FR_NODE_ID_MAX_LEN + 1];
};

/* What is there now; a file that is not is all zero. */
void certs_stamp(const struct certs_files *f, struct certs_stamp *s);

/**
 * certs_use - have a context show our certificate and believe only the authority
 * @why: set to a sentence with the path on failure
 * Return: 0; -EINVAL: a file cannot be read or does not fit the others, or the certificate
 *	is not valid now
 */
int certs_use(SSL_CTX *ctx, const struct certs_files *f, char *why, size_t why_len);

/* When the certificate that a context shows ends, seconds since 1970; 0: it has none. */
int64_t certs_expiry(const SSL_CTX *ctx);

void certs_names(X509 *cert, struct certs_names *names);
/* Letter by letter: there are no wildcards. */
bool certs_has_name(const struct certs_names *names, const char *id);

#endif
