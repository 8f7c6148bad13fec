// SPDX-License-Identifier: GPL-2.0-or-later
#include "proof.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* Who speaks: what is reflected proves nothing. */
enum side { DIALLER = 'D', LISTENER = 'L' };

static int mac(const struct keys *secret, enum side side,
	       const uint8_t binding[PROOF_BINDING_LEN],
	       uint8_t out[PROOF_MAC_LEN])
{
	uint8_t text[1 + PROOF_BINDING_LEN], key[KEYS_PSK_LEN];
	const uint8_t *done = NULL;

	text[0] = side;
	memcpy(text + 1, binding, PROOF_BINDING_LEN);
	if (!keys_proof(secret, key))
		done = HMAC(EVP_sha384(), key, sizeof(key), text, sizeof(text),
			    out, NULL);
	OPENSSL_cleanse(key, sizeof(key));
	return done ? 0 : -EIO;
}

int proof_offer(const struct keys *secrets, size_t n_secrets,
		const uint8_t binding[PROOF_BINDING_LEN],
		uint8_t offer[PROOF_OFFER_MAX])
{
	size_t i;
	int rc = 0;

	offer[0] = n_secrets;
	for (i = 0; i < n_secrets && !rc; i++)
		rc = mac(&secrets[i], DIALLER, binding,
			 offer + 1 + i * PROOF_MAC_LEN);
	return rc ? rc : (int)(1 + n_secrets * PROOF_MAC_LEN);
}

int proof_offer_len(uint8_t first)
{
	return first && first <= PROOF_SECRETS_MAX ? 1 + first * PROOF_MAC_LEN :
						     -EBADMSG;
}

/* The place of a MAC in an offer, -1: not there. */
static int find(const uint8_t *offer, const uint8_t want[PROOF_MAC_LEN])
{
	int i;

	for (i = 0; i < offer[0]; i++)
		if (!CRYPTO_memcmp(offer + 1 + i * PROOF_MAC_LEN, want,
				   PROOF_MAC_LEN))
			return i;
	return -1;
}

int proof_answer(const struct keys *secrets, size_t n_secrets,
		 const uint8_t binding[PROOF_BINDING_LEN], const uint8_t *offer,
		 uint8_t answer[PROOF_ANSWER_LEN])
{
	uint8_t want[PROOF_MAC_LEN];
	size_t i;
	int at;

	memset(answer, 0, PROOF_ANSWER_LEN);
	answer[0] = PROOF_NONE;
	for (i = 0; i < n_secrets; i++) {
		if (mac(&secrets[i], DIALLER, binding, want))
			return -EIO;
		at = find(offer, want);
		if (at < 0)
			continue;
		answer[0] = at;
		return mac(&secrets[i], LISTENER, binding, answer + 1) ?: (int)i;
	}
	return -EKEYREJECTED;
}

int proof_check(const struct keys *secrets, size_t n_secrets,
		const uint8_t binding[PROOF_BINDING_LEN],
		const uint8_t answer[PROOF_ANSWER_LEN])
{
	uint8_t want[PROOF_MAC_LEN];

	if (answer[0] == PROOF_NONE)
		return -EKEYREJECTED;
	if (answer[0] >= n_secrets)
		return -EACCES;
	if (mac(&secrets[answer[0]], LISTENER, binding, want))
		return -EIO;
	return CRYPTO_memcmp(answer + 1, want, sizeof(want)) ? -EACCES :
							       answer[0];
}
