/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS BIO: what OpenSSL reads from and writes to: a non-blocking socket, without
 * SIGPIPE, that remembers why it failed. It can keep a short message the socket has no room
 * for, so that changing a key never waits for the other side to read.
 */
#ifndef TLS_BIO_H
#define TLS_BIO_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/bio.h>

#define TLS_BIO_KEEP_LEN 256 /* one KeyUpdate record is 27 bytes */

/**
 * struct tls_bio - the socket; lives as long as the BIO made on it
 * @fd: socket, the caller's
 * @error: errno of the last read or write that failed for good, 0 none
 * @is_eof: the other side has closed
 * @first: byte that came, where @has_first
 * @may_keep: a write that does not fit is kept here instead of refused
 */
struct tls_bio {
	int fd;
	int error;
	bool is_eof;
	bool has_first;
	uint8_t first; /* byte that came */
	bool may_keep;
	unsigned int kept_len;
	uint8_t kept[TLS_BIO_KEEP_LEN];
};

/* NULL: no memory. To be freed by BIO_meth_free() after all its BIOs. */
BIO_METHOD *tls_bio_method(void);
/* A BIO on *b; SSL_set_bio() may take it over. NULL: no memory. */
BIO *tls_bio_new(const BIO_METHOD *method, struct tls_bio *b);

#endif
