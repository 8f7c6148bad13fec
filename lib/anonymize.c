// SPDX-License-Identifier: GPL-2.0-or-later
#include "anonymize.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 16

struct fr_anonymize {
	EVP_CIPHER_CTX *aes;
	uint8_t pad[BLOCK];
};

static int encrypt(struct fr_anonymize *a, uint8_t out[BLOCK], const uint8_t in[BLOCK])
{
	int len;

	return EVP_EncryptUpdate(a->aes, out, &len, in, BLOCK) == 1 && len == BLOCK ? 0 : -EIO;
}

struct fr_anonymize *fr_anonymize_new(const uint8_t key[FR_ANONYMIZE_KEY_LEN])
{
	struct fr_anonymize *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->aes = EVP_CIPHER_CTX_new();
	if (!a->aes || EVP_EncryptInit_ex(a->aes, EVP_aes_128_ecb(), NULL, key, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(a->aes, 0) != 1 || encrypt(a, a->pad, key + BLOCK)) {
		fr_anonymize_free(a);
		return NULL;
	}
	return a;
}

void fr_anonymize_free(struct fr_anonymize *a)
{
	if (!a)
		return;
	EVP_CIPHER_CTX_free(a->aes);
	explicit_bzero(a->pad, sizeof(a->pad));
	free(a);
}

int fr_anonymize_derive(const void *secret, size_t secret_len, uint8_t key[FR_ANONYMIZE_KEY_LEN])
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA384", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, "flyrep/1", 8),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, "flyrep anonymize", 16),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int ok = ctx && EVP_KDF_derive(ctx, key, FR_ANONYMIZE_KEY_LEN, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -EIO;
}

int fr_anonymize_address(struct fr_anonymize *a, uint8_t *addr, size_t len)
{
	uint8_t prefix[BLOCK], block[BLOCK], turn[BLOCK] = { 0 };
	size_t i;

	/* The bits so far, and those of the pad behind them */
	memcpy(prefix, a->pad, sizeof(prefix));
	for (i = 0; i < 8 * len; i++) {
		uint8_t bit = 0x80 >> i % 8;

		if (encrypt(a, block, prefix)) {
			memset(addr, 0, len);
			return -EIO;
		}
		if (block[0] & 0x80)
			turn[i / 8] |= bit;
		prefix[i / 8] = (prefix[i / 8] & ~bit) | (addr[i / 8] & bit);
	}
	for (i = 0; i < len; i++)
		addr[i] ^= turn[i];
	return 0;
}

/* --- text --------------------------------------------------------------- */

static bool is_of_address(char c)
{
	return isxdigit((unsigned char)c) || c == '.' || c == ':';
}

/* Not in the middle of a number; but what is written behind a word without a space is found. */
static bool may_begin(const char *text, size_t at)
{
	unsigned char c = (unsigned char)text[at], before = at ? (unsigned char)text[at - 1] : ' ';

	return isdigit(c) ? !isdigit(before) : isxdigit(c) ? !isxdigit(before) : c == ':';
}

/* The longest address at the beginning of a text: its bytes of text, 0 for none. */
static size_t read_address(const char *text, size_t len, int *family, uint8_t addr[16])
{
	char word[INET6_ADDRSTRLEN] = "";
	size_t n = 0;

	while (n < len && n < sizeof(word) - 1 && is_of_address(text[n]))
		n++;
	memcpy(word, text, n);
	if (!strpbrk(word, ".:"))
		return 0;
	for (; n >= 2; n--) {
		word[n] = '\0';
		*family = memchr(word, ':', n) ? AF_INET6 : AF_INET;
		if (inet_pton(*family, word, addr) == 1)
			return n;
	}
	return 0;
}

ssize_t fr_anonymize_text(struct fr_anonymize *a, const char *text, size_t len, char *out,
			  size_t room)
{
	size_t at = 0, n_out = 0, n;

	while (at < len) {
		char other[INET6_ADDRSTRLEN] = { text[at] };
		size_t other_len = 1;
		uint8_t addr[16];
		int family;

		n = may_begin(text, at) ? read_address(text + at, len - at, &family, addr) : 0;
		if (n) {
			if (fr_anonymize_address(a, addr, family == AF_INET ? 4 : 16))
				return -EIO;
			inet_ntop(family, addr, other, sizeof(other));
			other_len = strlen(other);
		}
		if (n_out + other_len > room)
			return -EMSGSIZE;
		memcpy(out + n_out, other, other_len);
		n_out += other_len;
		at += n ? n : 1;
	}
	return (ssize_t)n_out;
}
