// SPDX-License-Identifier: GPL-2.0-or-later
/* SipHash-2-4 against its authors' vectors and another implementation. */
#include "siphash.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Of the reference implementation: message 00 01 02 .. of n bytes, by n. */
static const uint64_t vectors[] = {
	0x726fdb47dd0e0e31ULL, 0x74f839c593dc67fdULL, 0x0d6c8009d9a94f5aULL,
	0x85676696d7fb7e2dULL, 0xcf2794e0277187b7ULL, 0x18765564cd99a68dULL,
	0xcbc9466e58fee3ceULL, 0xab0200f58b01d137ULL, 0x93f5f5799a932462ULL,
	0x9e0082df0ba9e4b0ULL, 0x7a5dbbc594ddb9f3ULL, 0xf4b32f46226bada7ULL,
	0x751e8fbc860ee5fbULL, 0x14ea5627c0843d90ULL, 0xf723ca908e7af2eeULL,
	0xa129ca6149be45e5ULL, 0x3f2acc7f57c29bdbULL, 0x699ae9f52cbe4794ULL,
	0x4bc1b3f0968dd39cULL, 0xbb6dc91da77961bdULL, 0xbed65cf21aa2ee98ULL,
	0xd0f2cbb02e3b67c7ULL, 0x93536795e3a33e88ULL, 0xa80c038ccd5ccec8ULL,
	0xb8ad50c6f649af94ULL, 0xbce192de8a85b8eaULL, 0x17d835b85bbb15f3ULL,
	0x2f2e6163076bcfadULL, 0xde4daaaca71dc9a5ULL, 0xa6a2506687956571ULL,
	0xad87a3535c49ef28ULL, 0x32d892fad841c342ULL,
};

static const struct fr_siphash_key key = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }
};

static void agrees_with_the_reference(void **state)
{
	uint8_t message[N_OF(vectors)];
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(vectors); i++) {
		assert_true(fr_siphash(message, i, &key) == vectors[i]);
		message[i] = (uint8_t)i;
	}
}

static uint64_t other(const uint8_t *message, size_t len,
		      const struct fr_siphash_key *k)
{
	size_t size = 8, n = 0;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	uint64_t v;

	assert_int_equal(EVP_MAC_init(ctx, k->b, sizeof(k->b), params), 1);
	assert_int_equal(EVP_MAC_update(ctx, message, len), 1);
	assert_int_equal(EVP_MAC_final(ctx, (uint8_t *)&v, &n, sizeof(v)), 1);
	assert_int_equal(n, sizeof(v));
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return le64toh(v);
}

static void agrees_with_openssl(void **state)
{
	struct fr_siphash_key k;
	uint8_t message[200];
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 151 + 43);
	for (len = 0; len < sizeof(message); len++) {
		for (i = 0; i < sizeof(k.b); i++)
			k.b[i] = (uint8_t)(len * 31 + i * 89);
		assert_true(fr_siphash(message, len, &k) ==
			    other(message, len, &k));
	}
}

static void works_at_any_alignment(void **state)
{
	uint8_t buf[40 + 8];
	size_t i, j;

	(void)state;
	for (i = 0; i < 8; i++) {
		for (j = 0; j < 31; j++)
			buf[i + j] = (uint8_t)j;
		assert_true(fr_siphash(buf + i, 31, &key) == vectors[31]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_reference),
		cmocka_unit_test(agrees_with_openssl),
		cmocka_unit_test(works_at_any_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
