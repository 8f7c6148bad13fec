/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * anonymize - IP addresses replaced by others, so that what shares a prefix still does
 *
 * Crypto-PAn (Fan, Xu, Ammar, Moon 2004): bit i of the other address is bit i of this one, turned
 * over or not as AES under a key says of the i bits before it. The same key gives the same
 * address each time, two addresses never give one, and without the key there is no way back but by
 * addresses whose other one is known.
 */
#ifndef FR_ANONYMIZE_H
#define FR_ANONYMIZE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FR_ANONYMIZE_KEY_LEN 32 /* 16 for AES, 16 for what pads the prefix */

struct fr_anonymize;

/* NULL: no memory, or the crypto library refused. */
struct fr_anonymize *fr_anonymize_new(const uint8_t key[FR_ANONYMIZE_KEY_LEN]);
void fr_anonymize_free(struct fr_anonymize *a);

/**
 * fr_anonymize_derive() - a key from a secret
 *
 * HKDF-SHA384 with the salt "flyrep/1" and the label "flyrep anonymize".
 *
 * Return: 0; -EIO: the crypto library refused.
 */
int fr_anonymize_derive(const void *secret, size_t secret_len, uint8_t key[FR_ANONYMIZE_KEY_LEN]);

/**
 * fr_anonymize_address() - in place
 * @len: 4 or 16 bytes
 *
 * Return: 0; -EIO: @addr is zeroed.
 */
int fr_anonymize_address(struct fr_anonymize *a, uint8_t *addr, size_t len);

/**
 * fr_anonymize_text() - every address in a text
 * @out: @room bytes, not where @text is
 *
 * What reads as an address is taken for one, wherever it stands; a length of a prefix, a port or a
 * zone behind it stays.
 *
 * Return: bytes of @out; -EMSGSIZE; -EIO.
 */
ssize_t fr_anonymize_text(struct fr_anonymize *a, const char *text, size_t len, char *out,
			  size_t room);

#endif
