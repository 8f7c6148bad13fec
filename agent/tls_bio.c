// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls_bio.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Return: bytes, or -1 with the reason in b->error, 0 there: try again. */
static int socket_send(struct tls_bio *b, const void *buf, int len)
{
	ssize_t n;

	do {
		n = send(b->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		b->error = errno;
	return -1;
}

static void keep(struct tls_bio *b, const char *buf, int len)
{
	memcpy(b->kept + b->kept_len, buf, len);
	b->kept_len += len;
}

/* What was kept goes first. False: it has not gone yet. */
static bool send_kept(struct tls_bio *b)
{
	int n;

	if (!b->kept_len)
		return true;
	n = socket_send(b, b->kept, b->kept_len);
	if (n > 0) {
		b->kept_len -= n;
		memmove(b->kept, b->kept + n, b->kept_len);
	}
	return !b->kept_len;
}

static int bio_write(BIO *bio, const char *buf, int len)
{
	struct tls_bio *b = BIO_get_data(bio);
	int n = -1;

	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	if (send_kept(b))
		n = socket_send(b, buf, len);
	if (b->may_keep && !b->error && n < len) {
		int sent = n > 0 ? n : 0;

		if ((size_t)(len - sent) <= sizeof(b->kept) - b->kept_len) {
			keep(b, buf + sent, len - sent);
			return len;
		}
	}
	if (n < 0 && !b->error)
		BIO_set_retry_write(bio);
	return n;
}

static int bio_read(BIO *bio, char *buf, int len)
{
	struct tls_bio *b = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	do {
		n = recv(b->fd, buf, len, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0 && !b->has_first) {
		b->has_first = true;
		b->first = buf[0];
	}
	if (!n)
		b->is_eof = true;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_read(bio);
	else if (n < 0)
		b->error = errno;
	return n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct tls_bio *b = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH: /* nothing is ever held back but what was kept */
		return 1;
	case BIO_CTRL_EOF:
		return b->is_eof;
	default:
		return 0;
	}
}

BIO_METHOD *tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
				     "flyrep socket");

	if (!m)
		return NULL;
	if (!BIO_meth_set_write(m, bio_write) ||
	    !BIO_meth_set_read(m, bio_read) ||
	    !BIO_meth_set_ctrl(m, bio_ctrl)) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

BIO *tls_bio_new(const BIO_METHOD *method, struct tls_bio *b)
{
	BIO *bio = BIO_new(method);

	if (!bio)
		return NULL;
	BIO_set_data(bio, b);
	BIO_set_init(bio, 1);
	return bio;
}
